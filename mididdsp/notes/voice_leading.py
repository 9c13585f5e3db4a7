"""Voice leading: what a teacher of harmony would mark in a piece, counted.

Conventions: pitches are MIDI numbers on the grid of sixteenths, [V, T], the highest voice first, ``REST`` where silent.
Two voices *move together* where both change their pitch from one step to the next; that is a *moving pair*. They run in
parallel fifths (octaves, unisons among them) when they move together in one direction from a fifth (octave) to another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mididdsp.notes.grid import REST

UPPER_SPACING = 12
"""Semitones that neighbouring upper voices may lie apart: an octave."""

BASS_SPACING = 19
"""Semitones that the lowest two voices may lie apart: a twelfth."""

_FIFTH, _OCTAVE = 7, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Two voices in parallel fifths or octaves.

    Attributes:
        step: of the second interval.
        upper: number of the higher voice.
        lower: number of the lower voice.
        fifth: a fifth; else an octave or unison.
    """

    step: int
    upper: int
    lower: int
    fifth: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What is counted in a piece.

    Attributes:
        moving_pairs: how often two voices move together.
        fifths: parallel fifths among them.
        octaves: parallel octaves and unisons among them.
        crossed: share of sounding neighbouring cells in which the lower voice lies above the higher, 0 to 1.
        wide: share of them in which the voices lie further apart than ``UPPER_SPACING`` or ``BASS_SPACING``, 0 to 1.
        outside: cells that lie outside the range of their voice.
    """

    moving_pairs: int
    fifths: int
    octaves: int
    crossed: float
    wide: float
    outside: int

    @property
    def parallels_per_1000(self) -> float:
        """Parallel fifths and octaves per 1000 moving pairs; 0 where nothing moves together."""
        return 1000.0 * (self.fifths + self.octaves) / self.moving_pairs if self.moving_pairs else 0.0


def parallels(pitch: NDArray[np.int16]) -> list[Parallel]:
    """All parallel fifths and octaves, by step."""
    found = []
    for upper, lower in combinations(range(len(pitch)), 2):
        together = _together(pitch, upper, lower)
        a, b = pitch[upper].astype(np.int64), pitch[lower].astype(np.int64)
        interval = (a - b) % 12
        same_way = np.sign(np.diff(a)) == np.sign(np.diff(b))
        for kind in (_FIFTH, _OCTAVE):
            here = together & same_way & (interval[1:] == kind) & (interval[:-1] == kind)
            found += [
                Parallel(step=int(step) + 1, upper=upper, lower=lower, fifth=kind == _FIFTH)
                for step in np.flatnonzero(here)
            ]
    return sorted(found, key=lambda one: (one.step, one.upper, one.lower))


def marks(pitch: NDArray[np.int16], ranges: Sequence[tuple[int, int]] | None = None) -> Marks:
    """Count what there is to mark in a piece.

    Args:
        pitch: [V, T].
        ranges: lowest and highest MIDI number of each voice; None allows all.
    """
    moving = sum(int(_together(pitch, a, b).sum()) for a, b in combinations(range(len(pitch)), 2))
    found = parallels(pitch)
    both = (pitch[:-1] != REST) & (pitch[1:] != REST)
    apart = pitch[:-1].astype(np.int64) - pitch[1:]
    widest = np.full((max(0, len(pitch) - 1), 1), UPPER_SPACING)
    widest[-1:] = BASS_SPACING
    neighbours = max(1, int(both.sum()))
    outside = 0
    if ranges is not None:
        low, high = (np.array(side)[:, None] for side in zip(*ranges))
        outside = int(((pitch != REST) & ((pitch < low) | (pitch > high))).sum())
    return Marks(
        moving_pairs=moving,
        fifths=sum(one.fifth for one in found),
        octaves=sum(not one.fifth for one in found),
        crossed=float((both & (apart < 0)).sum() / neighbours),
        wide=float((both & (apart > widest)).sum() / neighbours),
        outside=outside,
    )


def in_key_share(pitch: NDArray[np.int16], scale: frozenset[int]) -> float:
    """Share of the sounding cells whose pitch class is in the scale, 0 to 1; 1 where nothing sounds."""
    sounding = pitch[pitch != REST]
    return float(np.isin(sounding % 12, sorted(scale)).mean()) if sounding.size else 1.0


def _together(pitch: NDArray[np.int16], upper: int, lower: int) -> NDArray[np.bool_]:
    """Where two voices both change their pitch from step t to t + 1, both sounding; bool [T - 1]."""
    a, b = pitch[upper], pitch[lower]
    sounding = (a != REST) & (b != REST)
    return np.asarray(sounding[1:] & sounding[:-1] & (a[1:] != a[:-1]) & (b[1:] != b[:-1]))
