"""From ticks to seconds and beats, and back: the tempo map of a piece.

Conventions: a beat is a quarter note. Where ticks are fractions of a second (time code) a beat is half a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.notes.types import TempoChange

DEFAULT_QUARTER_US = 500_000
"""Microseconds a quarter note lasts before any tempo: 120 bpm."""

SHORTEST_QUARTER_US = 1_000
"""60,000 bpm. A shorter quarter is a broken file: all its notes would fall together."""

LONGEST_QUARTER_US = 0xFFFFFF
"""What the three bytes of a tempo hold: 3.6 bpm."""

Float64 = NDArray[np.float64]


class Timeline:
    """A tempo map over ticks.

    Args:
        ticks_per_quarter: above 0.
        tempi: (tick, microseconds per quarter); of several at one tick the last counts.
        tick_s: fixed length of a tick in seconds; then the tempi are ignored.
    """

    def __init__(self, ticks_per_quarter: int, tempi: Iterable[tuple[int, int]], tick_s: float | None = None) -> None:
        if tick_s is not None:
            ticks_per_quarter, tempi = round(0.5 / tick_s), ()
        by_tick = dict(sorted(tempi, key=lambda item: item[0]))
        self.given = bool(by_tick)
        self.quarter_us = {0: DEFAULT_QUARTER_US, **by_tick}
        self.ticks_per_quarter = ticks_per_quarter
        self._ticks = np.array(list(self.quarter_us), dtype=np.float64)
        tick_us = np.array(list(self.quarter_us.values()), dtype=np.float64) / ticks_per_quarter
        self._tick_s = tick_us / 1e6 if tick_s is None else np.array([tick_s])
        starts = np.cumsum(np.diff(self._ticks) * self._tick_s[:-1])
        self._starts_s: Float64 = np.concatenate([[0.0], starts])

    def seconds(self, ticks: Sequence[int] | NDArray[Any]) -> Float64:
        """Seconds from tick 0 of each tick."""
        at = np.asarray(ticks, dtype=np.float64)
        index = np.maximum(np.searchsorted(self._ticks, at, side="right") - 1, 0)
        result: Float64 = self._starts_s[index] + (at - self._ticks[index]) * self._tick_s[index]
        return result

    def ticks(self, seconds: Sequence[float] | Float64) -> NDArray[np.int64]:
        """The nearest tick to each time in seconds."""
        at = np.asarray(seconds, dtype=np.float64)
        index = np.maximum(np.searchsorted(self._starts_s, at, side="right") - 1, 0)
        exact = self._ticks[index] + (at - self._starts_s[index]) / self._tick_s[index]
        return np.round(exact).astype(np.int64)

    def beat(self, tick: int) -> float:
        """Quarter notes from tick 0."""
        return tick / self.ticks_per_quarter

    def changes(self, speed: float) -> tuple[TempoChange, ...]:
        """The tempo map in seconds and beats, played ``speed`` times as fast; empty when it is 120 bpm throughout."""
        if not self.given and speed == 1.0:
            return ()
        times = self.seconds(list(self.quarter_us)) / speed
        return tuple(TempoChange(time=float(time), beat=self.beat(tick), bpm=speed * 60e6 / quarter_us)
                     for time, (tick, quarter_us) in zip(times, self.quarter_us.items()))
