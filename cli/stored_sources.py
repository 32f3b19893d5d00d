"""The recordings of a stored drive as they are typed behind `--source`."""

from __future__ import annotations

from roadmask.engines.errors import InputError


def sources_by_camera(given: list[str], camera: str | None, cameras: list[str]) -> dict[str, tuple[str, ...]]:
    """Groups sources by camera; a source without a name belongs to the only camera.

    Args:
        given: sources as typed, `[NAME=]SOURCE`; several of one camera are its chapters.
        camera: camera that sources without a name belong to; None for the only one.
        cameras: the cameras of the drive.

    Raises:
        InputError: a source has no name, and there are several cameras.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        name, equals, spec = text.partition("=")
        if not equals or name not in cameras:
            if camera is None and len(cameras) != 1:
                raise InputError(
                    f"expected --source with the name of its camera, such as {cameras[0]}=VIDEO, got {text}: name the "
                    f"camera."
                )
            name, spec = camera or cameras[0], text
        found[name] = (*found.get(name, ()), spec)
    return found
