"""The tempo of a score as it is played: marks, *rit.* and *accel.*, and fermatas, as one map from beats to seconds.

Conventions: beats are quarter notes of the unfolded score; tempi are quarter notes a minute. A gradual change is a row
of short steps, so that the map is exact in a MIDI file too. Under a fermata time itself is stretched: for all parts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mididdsp.notes.types import TempoChange

DEFAULT_BPM = 120.0
SLOWEST_BPM, FASTEST_BPM = 5.0, 1_000.0

FERMATA_STRETCH = 1.8
"""How much longer than written a note under a fermata lasts."""

LONGEST_HOLD_S = 4.0
"""Added by one fermata at most."""

SLOWER, FASTER = 0.75, 1.25
"""Where a *rit.* or *accel.* arrives, as a share of the tempo it left."""

GRADUAL_STEP = 0.5
"""Quarter notes between the steps of a gradual change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gradual:
    """From ``start`` to ``end`` (beats) the tempo moves to ``factor`` of what it was."""

    start: float
    end: float
    factor: float


class TempoMap:
    """Beats to seconds.

    Args:
        marks: (beat, bpm); before the first it is 120.
        gradual: changes on the way; they end at the next mark.
        holds: (start, end) of fermatas, in beats; overlapping ones are one, from the latest start to the latest end.
    """

    def __init__(
        self, marks: Iterable[tuple[float, float]], gradual: Iterable[Gradual] = (),
        holds: Iterable[tuple[float, float]] = (),
    ) -> None:
        given = dict(sorted((beat, min(max(bpm, SLOWEST_BPM), FASTEST_BPM)) for beat, bpm in marks))
        base = {0.0: DEFAULT_BPM, **{max(beat, 0.0): bpm for beat, bpm in given.items()}}
        ways = sorted(gradual, key=lambda way: way.start)
        fermatas = _merged(holds)
        edges = set(base)
        for way in ways:
            count = max(1, round((way.end - way.start) / GRADUAL_STEP))
            edges.update(way.start + (way.end - way.start) * index / count for index in range(count + 1))
        for start, end in fermatas:
            edges.update((start, end))
        self._beats: list[float] = []
        self._seconds: list[float] = []
        self._bpm: list[float] = []
        starts = sorted(base)
        ordered = sorted(edge for edge in edges if edge >= 0.0)
        now = 0.0
        for beat, following in zip(ordered, [*ordered[1:], ordered[-1] + 1.0]):
            bpm = base[starts[bisect_right(starts, beat) - 1]]
            for way in ways:
                if way.start <= beat < way.end:
                    share = (0.5 * (beat + following) - way.start) / (way.end - way.start)
                    bpm *= 1.0 + (way.factor - 1.0) * share
            for start, end in fermatas:
                if start <= beat < end:
                    written = (end - start) * 60.0 / bpm
                    bpm /= 1.0 + min((FERMATA_STRETCH - 1.0) * written, LONGEST_HOLD_S) / written
            if not self._bpm or bpm != self._bpm[-1]:
                self._beats.append(beat)
                self._seconds.append(now)
                self._bpm.append(bpm)
            now = self.seconds(following)

    def seconds(self, beat: float) -> float:
        """Seconds from the start to a beat."""
        index = max(bisect_right(self._beats, beat) - 1, 0)
        return self._seconds[index] + (beat - self._beats[index]) * 60.0 / self._bpm[index]

    def changes(self) -> tuple[TempoChange, ...]:
        """The map as a score holds it."""
        return tuple(TempoChange(time=time, beat=beat, bpm=bpm)
                     for time, beat, bpm in zip(self._seconds, self._beats, self._bpm))


def _merged(holds: Iterable[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    result: list[tuple[float, float]] = []
    for start, end in sorted(holds):
        if result and start < result[-1][1]:
            before = result.pop()
            result.append((start, max(end, before[1])) if start < min(end, before[1]) else before)
        else:
            result.append((start, end))
    return result
