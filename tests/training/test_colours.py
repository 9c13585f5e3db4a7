"""Semitones that nothing has taught."""

from __future__ import annotations

import numpy as np
import torch

from mididdsp.training.colours import filled_in, taught_semitones


def test_notes_teach_the_semitones_they_lie_on() -> None:
    many = [61.96] * 40  # however many notes lie a little below a semitone, the one below that is not theirs
    taught = taught_semitones([0] * 41 + [1], [60.0, *many, 50.5], count=3, semitones=128)
    assert np.argwhere(taught).tolist() == [[0, 60], [0, 62], [1, 50], [1, 51]]


def test_pitches_beyond_the_table_are_at_its_ends() -> None:
    taught = taught_semitones([0, 0], [-3.0, 200.0], count=1, semitones=128)
    assert np.flatnonzero(taught[0]).tolist() == [0, 127]


def test_untaught_semitones_lie_between_their_neighbours() -> None:
    table = torch.randn(2 * 6, 3, dtype=torch.float32)
    taught = np.zeros((2, 6), bool)
    taught[0, [1, 4]] = True
    full = filled_in(table, taught)
    assert torch.equal(full[[1, 4]], table[[1, 4]])
    torch.testing.assert_close(full[2], table[1] * 2 / 3 + table[4] / 3)
    assert torch.equal(full[0], table[1])
    assert torch.equal(full[5], table[4])
    assert torch.equal(full[6:], table[6:]), "an instrument of which nothing is known"
    assert full.dtype == table.dtype
