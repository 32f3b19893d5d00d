"""When each track was seen in the last minute: the rows of the timeline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from roadmask.streaming.live.reports import ShownInstance
from roadmask.streaming.sinks.drawing import track_colour

_BREAK_MS = 1500.0
"""Milliseconds unseen after which a track counts as away; a camera that is slower than this shows as dashes."""
_MOST_ROWS = 200


@dataclass
class _Row:
    label: str
    spans: list[list[float]] = field(default_factory=list)
    """[first seen, last seen] on the server's own clock, ms, oldest first."""


class TrackLog:
    """The tracks of one camera. Not thread-safe; its owner holds a lock."""

    def __init__(self, seconds: float) -> None:
        self._span_ms = seconds * 1000
        self._rows: dict[int, _Row] = {}

    def see(self, at_ms: float, instances: Iterable[ShownInstance]) -> None:
        """Notes which tracks an image shows."""
        for instance in instances:
            if instance.track_id <= 0:  # seen, but not yet a track
                continue
            row = self._rows.setdefault(instance.track_id, _Row(instance.label))
            row.label = instance.label
            if row.spans and at_ms - row.spans[-1][1] <= _BREAK_MS:
                row.spans[-1][1] = at_ms
            else:
                row.spans.append([at_ms, at_ms])
        self._expire(at_ms)

    def rows(self, now_ms: float) -> list[dict[str, object]]:
        """Returns the tracks of the last minute in order of appearance."""
        self._expire(now_ms)
        return [
            {
                "id": track_id,
                "label": row.label,
                "colour": "#{:02x}{:02x}{:02x}".format(*track_colour(track_id)),
                "spans": [[round(first), round(last)] for first, last in row.spans],
            }
            for track_id, row in self._rows.items()
        ]

    def _expire(self, now_ms: float) -> None:
        oldest = now_ms - self._span_ms
        for track_id, row in list(self._rows.items()):
            row.spans = [span for span in row.spans if span[1] >= oldest]
            if not row.spans:
                del self._rows[track_id]
        while len(self._rows) > _MOST_ROWS:
            del self._rows[min(self._rows, key=lambda track_id: self._rows[track_id].spans[-1][1])]
