"""Semitones that nothing has taught, or a take or two."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mididdsp.training.colours import LARGEST_OWN, TAKES, filled_in, levelled, takes_of, taught_semitones


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


def test_takes_are_recordings() -> None:
    takes = takes_of([0, 0, 0, 1], [60.2, 59.9, 60.0, 300.0], ["a", "a", "b", "c"], count=2, semitones=128)
    assert np.argwhere(takes).tolist() == [[0, 60], [1, 127]]
    assert takes[0, 60] == 2.0


def test_a_single_take_makes_no_wolf_note() -> None:
    levels, takes = np.tile(0.01 * np.arange(128.0), (3, 1)), np.zeros((3, 128))
    takes[0, 50:80] = 4.0
    levels[0, 60] += 1.0  # 8 dB, by one take
    takes[0, 60] = 1.0
    levels[0, 70] += 0.1  # by four
    levels[0, 90:] += 3.0  # beyond what was recorded
    takes[2, [50, 51]] = 1.0
    evened = levels + levelled(levels, takes)
    own = evened - 0.01 * np.arange(128.0)
    # a line over some five semitones, of which the odd one is one, gives in by a few hundredths
    assert own[0, 60] == pytest.approx(LARGEST_OWN * np.tanh(1.0 / (1.0 + TAKES) / LARGEST_OWN), abs=0.08)
    assert own[0, 70] == pytest.approx(0.1 * 4.0 / (4.0 + TAKES), abs=0.03)
    assert np.abs(own[0, [52, 56, 65, 75, 78]]).max() < 0.06
    added = levelled(levels, takes)
    assert (added[0, :50] == added[0, 50]).all()
    assert (added[0, 80:] == added[0, 79]).all()
    assert not added[1:].any(), "of the others too little is known"


def test_a_semitone_between_that_no_take_tells_lies_on_the_line() -> None:
    levels, takes = np.zeros((1, 128)), np.zeros((1, 128))
    takes[0, 40:60] = 3.0
    takes[0, 50] = 0.0
    levels[0, 50] = 2.0
    assert (levels + levelled(levels, takes))[0, 50] == pytest.approx(0.0, abs=1e-6)
