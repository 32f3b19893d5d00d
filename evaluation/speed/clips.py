"""Clips for replays: their duration, and copies that last longer."""

from __future__ import annotations

from pathlib import Path

import av


def seconds_of(clip: Path) -> float:
    """Returns how long a clip is."""
    with av.open(str(clip)) as container:
        return max((container.duration or 0) / 1e6, 0.1)


def lengthened(clip: Path, out: Path, times: int) -> Path:
    """Writes a clip several times in a row, packet by packet, so that it lasts; returns where."""
    with av.open(str(out), "w") as target:
        stream = None
        shift = 0
        for _ in range(times):
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                stream = stream or target.add_stream_from_template(video)
                end = 0
                for packet in source.demux(video):
                    if packet.dts is None or packet.pts is None:
                        continue
                    end = max(end, packet.pts + (packet.duration or 0))
                    packet.pts += shift
                    packet.dts += shift
                    packet.stream = stream
                    target.mux(packet)
                shift += end
    return out
