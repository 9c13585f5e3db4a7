"""What is learned of single semitones, filled in where no note has taught it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
