"""Which notes of a recording are not learned from, and why; and what the notes beside a recording say about it.

A refusal is a word for machines and a sentence for people. Thresholds were set on recordings whose chords are known:
double stops of two violinists, and phrases of sixteen instruments that hold none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.notes.types import Note

Array = NDArray[np.floating[Any]]

BESIDE_DB = -8.0
"""More power than this beside the partials of the tone that was tracked is another tone, or noise."""

PEAKED = 0.45
"""That power lies in few bins for tones, in many for noise."""

NOISE_SHARE = 0.6
"""Of a note's power between the partials: above this there is more breath or hiss than tone."""

CLIPPED_SHARE = 2e-3
"""Of the samples of a twentieth of a second."""

FAINT_DB = 25.0
"""Below the recording's median note."""

CONFIRM_S = 0.1
_LARGEST_SHIFT_S = 10.0
CONFIRM_SEMITONES = 0.7
TRUSTED_AGREEMENT = 0.5
"""Notes beside a recording of which fewer than this share are heard are of something else: they are set aside."""

REASONS: Mapping[str, str] = {
    "polyphonic": "another tone sounds with it: a double stop, a chord, or another player",
    "noisy": "as much noise as tone",
    "faint": "far below the rest: an echo, or a touch by accident",
    "clipped": "the recording is clipped",
    "not in the notes": "the notes beside the recording have no such note",
    "chord in the notes": "the notes beside the recording have a chord there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What given notes say of heard ones.

    Attributes:
        agreement: share of the given notes outside chords that were heard.
        shift_s: how much later the recording is than its notes.
        transposed: semitones the recording lies above its notes.
        refused: for each heard note why the given ones speak against it, or None.
        velocity: for each heard note the velocity of the one it is, or None.
    """

    agreement: float
    shift_s: float
    transposed: int
    refused: tuple[str | None, ...]
    velocity: tuple[int | None, ...]

    @property
    def trusted(self) -> bool:
        """Whether the notes are of this recording at all."""
        return self.agreement >= TRUSTED_AGREEMENT


def refusal(facts: Mapping[str, Any], clipped: float, median_db: float) -> str | None:
    """Why a note is not learned from, by its sound alone; a key of ``REASONS`` or None.

    Args:
        facts: of the note, with ``beside``, ``peaked`` and ``noise_share``.
        clipped: largest share of clipped samples in a twentieth of a second of it.
        median_db: level of the recording's median note.
    """
    if clipped > CLIPPED_SHARE:
        return "clipped"
    if facts["beside"] > 10.0 ** (BESIDE_DB / 10.0):
        return "polyphonic" if facts["peaked"] >= PEAKED else "noisy"
    if facts["noise_share"] > NOISE_SHARE:
        return "noisy"
    return "faint" if facts["expression"]["level_db"] < median_db - FAINT_DB else None


def confirm(heard: Sequence[tuple[float, float, float]], given: Sequence[Note]) -> Confirmation:
    """Hold heard notes against given ones.

    Args:
        heard: (onset s, offset s, MIDI pitch) of the notes found in the recording, by onset.
        given: the notes beside it, by onset; at least one. They may begin elsewhere and be transposed, but run at the
            recording's tempo.
    """
    times = np.array([note.onset for note in given])
    ends = np.array([note.offset for note in given])
    pitches = np.array([note.pitch for note in given])
    alone = _alone(times, ends)
    if not heard:
        return Confirmation(agreement=0.0, shift_s=0.0, transposed=0, refused=(), velocity=())
    onset, offset, pitch = (np.array(column) for column in zip(*heard))
    best = (-1.0, 0.0, 0)
    for transposed in (0, 12, -12, 2, -2, 3, -3, 7, -7, 9, -9, 5, -5, 14, -14, 24, -24):
        shift = _shift(times, pitches + transposed, onset, pitch)
        share = _agreement(times + shift, ends + shift, pitches + transposed, alone, onset, offset, pitch)
        if share > best[0] + (0.0 if transposed == 0 else 0.2):
            best = (share, shift, transposed)
        if best[0] > 0.8:
            break
    share, shift, transposed = best
    starts, stops, sounding = times + shift, ends + shift, pitches + transposed
    refused: list[str | None] = []
    velocity: list[int | None] = []
    for first, last, tone in heard:
        over = np.minimum(stops, last) - np.maximum(starts, first)
        near = (over > 0.0) | (np.abs(starts - first) < CONFIRM_S)
        same = near & (np.abs(sounding - tone) < CONFIRM_SEMITONES)
        together = over[over > min(0.05, 0.3 * (last - first))]
        chord = len(together) > 1 and bool((~alone & (over > 0.3 * (last - first))).sum() > 1)
        refused.append("chord in the notes" if chord else None if same.any() else "not in the notes")
        match = np.flatnonzero(same)
        velocity.append(given[int(match[np.argmin(np.abs(starts[match] - first))])].velocity if len(match) else None)
    return Confirmation(agreement=share, shift_s=shift, transposed=transposed, refused=tuple(refused),
                        velocity=tuple(velocity))


def _alone(times: Array, ends: Array) -> NDArray[np.bool_]:
    """Which given notes sound with no other for more than 60 ms."""
    result = np.ones(len(times), bool)
    for index in range(len(times)):
        over = np.minimum(ends, ends[index]) - np.maximum(times, times[index])
        over[index] = 0.0
        result[index] = not (over > 0.06).any()
    return result


def _shift(times: Array, pitches: Array, onset: Array, pitch: Array) -> float:
    """By how much notes must move in time for most of them to be heard; s, up to 10."""
    here, there = _pairs(times, onset, _LARGEST_SHIFT_S)
    same = np.abs(pitches[here] - pitch[there]) < CONFIRM_SEMITONES
    moved = (onset[there] - times[here])[same]
    if len(moved) < 3:
        return 0.0
    grid = np.arange(-_LARGEST_SHIFT_S, _LARGEST_SHIFT_S, 0.01)
    count, _ = np.histogram(moved, np.append(grid, _LARGEST_SHIFT_S))
    kernel = np.exp(-0.5 * (np.arange(-15, 16) / 5.0) ** 2)
    density = np.convolve(count, kernel, mode="same")
    density = density * (1.0 + 0.05 * np.exp(-0.5 * (grid / 0.2) ** 2))  # of equals, the one that moves least
    around = moved[np.abs(moved - grid[int(np.argmax(density))]) < 0.06]
    return float(np.median(around)) if len(around) else 0.0


def _agreement(
    starts: Array, stops: Array, pitches: Array, alone: NDArray[np.bool_], onset: Array, offset: Array, pitch: Array
) -> float:
    """Share of the given notes outside chords that are heard: a note of their pitch sounds in the middle of them."""
    chosen = np.flatnonzero(alone)
    if not len(chosen):
        chosen = np.arange(len(starts))
    middle = 0.5 * (starts + stops)[chosen]
    reach = float(np.max(offset - onset)) + CONFIRM_S
    here, there = _pairs(middle, onset, reach)
    same = np.abs(pitches[chosen][here] - pitch[there]) < CONFIRM_SEMITONES
    covered = (onset[there] - CONFIRM_S <= middle[here]) & (middle[here] < offset[there] + CONFIRM_S)
    return len(np.unique(here[same & covered])) / len(chosen)


def _pairs(times: Array, onset: Array, reach: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of all pairs of a time and an onset that lie within ``reach`` of each other; ``onset`` is sorted."""
    first = np.searchsorted(onset, times - reach)
    count = np.searchsorted(onset, times + reach) - first
    here = np.repeat(np.arange(len(times)), count)
    within = np.arange(len(here)) - np.repeat(np.cumsum(count) - count, count)
    return here, first[here] + within
