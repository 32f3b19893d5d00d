"""The tables that commands end with."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from roadmask.streaming.ledger import Ledger
from roadmask.streaming.store import Drive


def found_table(drive: Drive) -> Table:
    """Returns what was found: the tracks of each camera by class, and how long they were seen."""
    table = Table(title="Found", title_justify="left")
    for heading in ("camera", "class"):
        table.add_column(heading)
    for heading in ("tracks", "masks", "median s", "longest s"):
        table.add_column(heading, justify="right")
    for name, camera in drive.items():
        tracks = camera.tracks()
        for class_name in sorted({track.class_name for track in tracks}):
            of_class = [track for track in tracks if track.class_name == class_name]
            spans = sorted((track.last_timestamp_ns - track.first_timestamp_ns) / 1e9 for track in of_class)
            table.add_row(
                name,
                class_name,
                str(len(of_class)),
                str(sum(track.frames for track in of_class)),
                f"{spans[len(spans) // 2]:.1f}",
                f"{spans[-1]:.1f}",
            )
        if not tracks:
            table.add_row(name, "[dim]nothing[/]", "0", "0", "-", "-")
    return table


def ledger_table(ledgers: Iterable[tuple[str, Ledger]], seconds: float | None = None) -> Table:
    """Returns where the frames of each camera went.

    Args:
        ledgers: camera and its ledger.
        seconds: wall time of the run, to state its speed.
    """
    table = Table(title="Ledger", title_justify="left")
    table.add_column("camera")
    for heading in ("captured", "stored", "dropped", "failed"):
        table.add_column(heading, justify="right")
    captured = 0
    for camera, ledger in ledgers:
        captured += ledger.captured
        table.add_row(
            camera, str(ledger.captured), str(ledger.stored), _by_reason(ledger.dropped), _by_reason(ledger.failed)
        )
    if seconds is not None:
        table.caption = f"{captured / seconds:.1f} frames/s over {seconds:.1f} s, starting up included"
        table.caption_justify = "left"
    return table


def _by_reason(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items())) or "0"
