"""What is learned of single semitones, filled in where no note has taught it, and evened out where few have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TAKES = 1.0
"""Takes' worth by which a semitone's own level is drawn to the line through its neighbours. Phrases held out are as
likely with it as without."""

LARGEST_OWN = 0.5
"""The most that a semitone is louder or softer than that line, on the model's scale (4 dB), approached softly: single
notes of one semitone are all of one studio and one day."""

_AROUND_SEMITONES = 2.0
_MOST_TAKES = 6.0
_FEWEST_SEMITONES = 5
_SLOPE_PENALTY = 0.5

LEAST_SHARE = 0.5
"""A note between two semitones teaches the nearer one; the other's row it moves only as far as serves itself."""


def taught_semitones(
    instruments: NDArray[np.integer[Any]] | Sequence[int], pitches: NDArray[np.floating[Any]] | Sequence[float],
    *, count: int, semitones: int,
) -> NDArray[np.bool_]:
    """Which semitones of which instruments notes have taught; [instruments, semitones].

    Args:
        instruments: of the notes, from 0; [N].
        pitches: MIDI numbers with fractions; [N].
        count: of instruments.
        semitones: of the table.
    """
    place = np.clip(np.asarray(pitches, dtype=np.float64), 0.0, semitones - 1.001)
    below = np.floor(place).astype(np.int64)
    share = np.zeros((count, semitones))
    rows = np.asarray(instruments, dtype=np.int64)
    np.maximum.at(share, (rows, below), 1.0 - (place - below))
    np.maximum.at(share, (rows, below + 1), place - below)
    return share >= LEAST_SHARE


def filled_in(table: Tensor, taught: NDArray[np.bool_]) -> Tensor:
    """The table with untaught semitones on straight lines between their taught neighbours, as the nearest beyond them.

    Rows that nothing has taught are as random as they began. An instrument of which nothing is taught is left alone.

    Args:
        table: one row a semitone of each instrument, instrument by instrument; [instruments * semitones, C].
        taught: [instruments, semitones].
    """
    shaped = table.detach().cpu().double().numpy().reshape(*taught.shape, -1).copy()
    every = np.arange(taught.shape[1])
    for rows, known in zip(shaped, taught):
        if known.any():
            for channel in range(rows.shape[1]):
                rows[~known, channel] = np.interp(every[~known], every[known], rows[known, channel])
    return torch.from_numpy(shaped.reshape(table.shape)).to(table)


def takes_of(
    instruments: NDArray[np.integer[Any]] | Sequence[int], pitches: NDArray[np.floating[Any]] | Sequence[float],
    recordings: Sequence[str], *, count: int, semitones: int,
) -> NDArray[np.float64]:
    """How many recordings tell each semitone of each instrument; [instruments, semitones].

    Args:
        instruments: of the notes, from 0; [N].
        pitches: MIDI numbers with fractions; [N].
        recordings: that notes are from; one that tells a semitone twice counts once; [N].
        count: of instruments.
        semitones: of the table.
    """
    rows = np.asarray(instruments, dtype=np.int64)
    nearest = np.clip(np.rint(np.asarray(pitches, dtype=np.float64)), 0, semitones - 1).astype(np.int64)
    takes = np.zeros((count, semitones))
    for row, semitone, _ in set(zip(rows.tolist(), nearest.tolist(), recordings)):
        takes[row, semitone] += 1.0
    return takes


def levelled(levels: NDArray[np.float64], takes: NDArray[np.float64]) -> NDArray[np.float32]:
    """What to add to what semitones have of their own level, lest single takes make wolf notes.

    A semitone's level is drawn to the line through its neighbours, the more so the fewer takes tell it, and what is
    left of it is bounded. Beyond the semitones that takes tell it is as at the nearest; an instrument of which less
    than five are told is left alone.

    Args:
        levels: of each semitone of each instrument, on the model's scale; [instruments, semitones].
        takes: that tell each; [instruments, semitones].

    Returns:
        [instruments, semitones].
    """
    added = np.zeros(levels.shape)
    for level, number, result in zip(levels, takes, added):
        told = np.flatnonzero(number)
        if len(told) < _FEWEST_SEMITONES:
            continue
        first, last = int(told[0]), int(told[-1])
        for semitone in range(first, last + 1):
            away = (told - semitone).astype(np.float64)
            weight = np.exp(-0.5 * (away / _AROUND_SEMITONES) ** 2) * np.minimum(number[told], _MOST_TAKES)
            line = np.stack([np.ones(len(told)), away], axis=1)
            matrix = (line * weight[:, None]).T @ line + np.diag([1e-9, _SLOPE_PENALTY])
            around = float(np.linalg.solve(matrix, (line * weight[:, None]).T @ level[told])[0])
            own = (level[semitone] - around) * number[semitone] / (number[semitone] + TAKES)
            result[semitone] = around + LARGEST_OWN * np.tanh(own / LARGEST_OWN) - level[semitone]
        result[:first], result[last + 1 :] = result[first], result[last]
    return added.astype(np.float32)
