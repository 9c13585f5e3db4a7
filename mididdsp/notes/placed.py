"""Marks put into a part of music21's by their place, where its reader has left them out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

from mididdsp.notes.library import music21


class PlacedPart:
    """A part with its notes by place; places are quarter notes from the start as written."""

    def __init__(self, part: Any) -> None:
        stream = music21().stream
        self.part = part
        self.bars = list(part.getElementsByClass(stream.Measure))
        self._starts = [float(bar.offset) for bar in self.bars]
        notes = [(float(item.getOffsetInHierarchy(part)), item) for item in part.recurse().notes
                 if not item.duration.isGrace]
        self._notes = sorted(notes, key=lambda pair: pair[0])

    def put(self, place: float, mark: Any) -> None:
        """Put a sign or words at a place."""
        index = max(bisect_right(self._starts, place + 1e-6) - 1, 0)
        self.bars[index].insert(place - self._starts[index], mark)

    def between(self, start: float, end: float) -> list[Any]:
        """The notes that begin from ``start`` to before ``end``."""
        first, last = (bisect_left(self._notes, place - 1e-6, key=lambda pair: pair[0]) for place in (start, end))
        return [item for _, item in self._notes[first:last]]

    def at(self, place: float) -> Any | None:
        """The last note that begins at a place or before it."""
        index = bisect_right(self._notes, place + 1e-6, key=lambda pair: pair[0]) - 1
        return self._notes[index][1] if index >= 0 else None

    def hairpin(self, start: float, end: float, direction: int) -> bool:
        """Draw a crescendo (1) or diminuendo (-1); False where no note begins under it."""
        dynamics = music21().dynamics
        inside = self.between(start, end)
        if inside:
            self.part.insert(0, (dynamics.Crescendo if direction > 0 else dynamics.Diminuendo)(inside[0], inside[-1]))
        return bool(inside)
