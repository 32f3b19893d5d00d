"""The tables that commands print at their end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rich.table import Table

from roadmask.streaming.ledger import Ledger
from roadmask.streaming.store import DriveSummary


def found_table(drive: DriveSummary) -> Table:
    """Returns the tracks of each camera by class, and how long they were seen."""
    table = Table("camera", "class", title="Found", title_justify="left")
    for heading in ("tracks", "masks", "median s", "longest s"):
        table.add_column(heading, justify="right")
    for camera in drive.cameras:
        for found in camera.classes:
            table.add_row(
                camera.name,
                found.class_name,
                str(found.tracks),
                str(found.instances),
                f"{found.median_s:.1f}",
                f"{found.longest_s:.1f}",
            )
        if not camera.classes:
            table.add_row(camera.name, "[dim]nothing[/]", "0", "0", "-", "-")
    return table


def found_sentence(drive: DriveSummary) -> str:
    """Returns one sentence that says how many things of each class were followed, in how many frames."""
    tracks: Counter[str] = Counter()
    for camera in drive.cameras:
        for found in camera.classes:
            tracks[found.class_name] += found.tracks
    followed = [f"{number} {name if number == 1 else _plural(name)}" for name, number in tracks.items() if number]
    things = " and ".join(filter(None, (", ".join(followed[:-1]), *followed[-1:]))) or "nothing"
    return f"Followed {things} through {drive.frames} frames ({drive.seconds:.1f} s)."


def ledger_table(ledgers: Iterable[tuple[str, Ledger]], seconds: float | None = None) -> Table:
    """Returns the outcomes of the frames of each camera.

    Args:
        ledgers: each camera's name and ledger.
        seconds: wall-clock time of the run, to state its speed; no speed if None.
    """
    table = Table("camera", title="Ledger", title_justify="left")
    for heading in ("captured", "stored", "dropped", "failed"):
        table.add_column(heading, justify="right")
    captured = 0
    for camera, ledger in ledgers:
        captured += ledger.captured
        table.add_row(
            camera, str(ledger.captured), str(ledger.stored), _by_reason(ledger.dropped), _by_reason(ledger.failed)
        )
    if seconds is not None:
        table.caption = f"{captured / seconds:.1f} frames/s over {seconds:.1f} s, including start-up"
        table.caption_justify = "left"
    return table


def _plural(name: str) -> str:
    return f"{name}es" if name.endswith(("s", "x", "ch", "sh")) else f"{name}s"


def _by_reason(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items())) or "0"
