"""Seconds, beats and bars of a score: its tempo and meter maps, read both ways.

Conventions: a beat is a quarter note, counted from 0 at the start of the piece; bars are numbered from 1. Without a
tempo map the tempo is 120 quarters a minute, without a meter map the meter is 4/4. Bars are counted anew from each
change of meter; a bar that a change of meter cuts short is a bar all the same.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

from mididdsp.notes.types import MeterChange, Score, TempoChange

DEFAULT_BPM = 120.0
"""Quarter notes a minute before any tempo."""

_ROUNDING = 1e-6
"""Beats: an onset this near before a bar line lies on it; seconds and beats are converted in float64."""


def beat_at(tempo: Sequence[TempoChange], time_s: float) -> float:
    """Quarter notes from the start of the piece at a time in seconds; ``tempo`` is sorted."""
    index = bisect.bisect_right(tempo, time_s, key=lambda change: change.time) - 1
    here = tempo[index] if index >= 0 else _first(tempo)
    return here.beat + (time_s - here.time) * here.bpm / 60.0


def time_at(tempo: Sequence[TempoChange], beat: float) -> float:
    """Seconds from the start of the piece at a number of quarter notes; ``tempo`` is sorted."""
    index = bisect.bisect_right(tempo, beat, key=lambda change: change.beat) - 1
    here = tempo[index] if index >= 0 else _first(tempo)
    return here.time + (beat - here.beat) * 60.0 / here.bpm


class Bars:
    """The bars of a score.

    Args:
        score: its tempo and meter maps count; notes do not.
    """

    def __init__(self, score: Score) -> None:
        self._tempo = score.tempo
        meter = [change for change in score.meter if _length(change) > 0]
        if not meter or meter[0].beat > 0:
            meter.insert(0, MeterChange(beat=0.0, numerator=4, denominator=4))
        self._starts: list[float] = []  # beat of each change of meter
        self._lengths: list[float] = []  # beats in a bar from there on
        self._numbers: list[int] = []  # the bar that begins there
        number = 1
        for change, following in zip(meter, [*meter[1:], None]):
            self._starts.append(change.beat)
            self._lengths.append(_length(change))
            self._numbers.append(number)
            if following is not None:
                number += max(0, math.ceil((following.beat - change.beat) / _length(change) - _ROUNDING))

    def bar_at_beat(self, beat: float) -> tuple[int, float]:
        """(number of the bar from 1, quarter notes since its bar line) at a beat, which must be 0 or more."""
        beat = max(beat + _ROUNDING, 0.0)
        index = max(0, bisect.bisect_right(self._starts, beat) - 1)
        since = beat - self._starts[index]
        whole = math.floor(since / self._lengths[index])
        return self._numbers[index] + whole, max(0.0, since - whole * self._lengths[index] - _ROUNDING)

    def bar_at(self, time_s: float) -> tuple[int, float]:
        """(number of the bar from 1, quarter notes since its bar line) at a time in seconds."""
        return self.bar_at_beat(beat_at(self._tempo, time_s))

    def beat_of(self, bar: int) -> float:
        """The beat on which a bar begins; ValueError for bars below 1."""
        if bar < 1:
            raise ValueError(f"bar {bar} does not exist; bars are numbered from 1")
        index = max(0, bisect.bisect_right(self._numbers, bar) - 1)
        return self._starts[index] + (bar - self._numbers[index]) * self._lengths[index]

    def span(self, first: int, last: int) -> tuple[float, float]:
        """Seconds at which bar ``first`` begins and bar ``last`` ends.

        Raises:
            ValueError: ``last`` is before ``first``, or a number is below 1.
        """
        if last < first:
            raise ValueError(f"bars {first} to {last} run backwards; give the earlier bar first")
        return time_at(self._tempo, self.beat_of(first)), time_at(self._tempo, self.beat_of(last + 1))


def _first(tempo: Sequence[TempoChange]) -> TempoChange:
    """What holds before the first change."""
    return TempoChange(time=0.0, beat=0.0, bpm=tempo[0].bpm if tempo else DEFAULT_BPM)


def _length(change: MeterChange) -> float:
    """Quarter notes in a bar."""
    return change.numerator * 4.0 / change.denominator
