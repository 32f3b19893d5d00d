"""Assigns confirmed tracks to their first, tentative frames too, which a live camera cannot wait for."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np

from roadmask.tracking.tracks import Tracks, TrackState

T = TypeVar("T")


def unconfirmed_to_none(tracks: Tracks) -> Tracks:
    """Returns the tracks with id 0 for tentative instances, as a live camera reports them."""
    return replace(tracks, track_ids=np.where(tracks.states == TrackState.CONFIRMED, tracks.track_ids, 0))


class Backfill(Generic[T]):
    """Delays the frames of a recorded drive until every track in them is confirmed or dropped.

    Instances of a track that is confirmed later are returned as confirmed, with its id. Those of a dropped track are
    returned as tentative, with id 0. Frames keep their order. A frame waits no longer than a track can stay tentative:
    with `IouTracker` and its default of two hits, `confirm_after_s` plus the longer of `keep_tentative_s` and the time
    between two frames. The frames of that time and their items are held in memory.

    Push the tracks of one epoch at a time, and call `flush` at the end of each.
    """

    def __init__(self) -> None:
        self._held: deque[tuple[T, Tracks, set[int]]] = deque()  # with the tentative ids of that frame
        self._confirmed: set[int] = set()  # ids of the tracks in the held frames

    def __len__(self) -> int:
        return len(self._held)

    def push(self, item: T, tracks: Tracks) -> list[tuple[T, Tracks]]:
        """Adds the next frame.

        Args:
            item: anything that belongs to the frame and is returned with it.
            tracks: tracks of the frame.

        Returns:
            Frames without undecided tracks, oldest first; often none, sometimes several.
        """
        tentative = set(tracks.track_ids[tracks.states == TrackState.TENTATIVE].tolist()) - {0}
        undecided = tentative | set(tracks.tentative_unseen.tolist())
        self._confirmed |= set(tracks.track_ids[tracks.states == TrackState.CONFIRMED].tolist())
        self._held.append((item, tracks, tentative))
        ready = []
        while self._held and not self._held[0][2] & undecided:
            ready.append(self._release())
        # Only the ids that held frames wait for are kept, or a long drive would fill the memory with ids.
        self._confirmed &= set().union(*(waiting for _, _, waiting in self._held))
        return ready

    def flush(self) -> list[tuple[T, Tracks]]:
        """Returns all held frames, oldest first. Tracks that are tentative now will never be confirmed."""
        ready = []
        while self._held:
            ready.append(self._release())
        return ready

    def _release(self) -> tuple[T, Tracks]:
        item, tracks, tentative = self._held.popleft()
        known = list(self._confirmed & tentative)
        states = np.where(np.isin(tracks.track_ids, known), TrackState.CONFIRMED, tracks.states).astype(np.uint8)
        return item, unconfirmed_to_none(replace(tracks, states=states))
