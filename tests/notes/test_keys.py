"""Keys: names, signatures and transpositions go together, and a key is heard from its notes."""

from __future__ import annotations

import numpy as np
import pytest

from mididdsp.notes.keys import PROFILE, SHIFTS, Key, find_key, key_of_shift, parse_key, wrapped


@pytest.mark.parametrize(
    ("text", "fifths", "mode", "tonic"),
    [
        ("C", 0, "major", 0), ("D minor", -1, "minor", 2), ("d", -1, "minor", 2), ("Bb major", -2, "major", 10),
        ("F# minor", 3, "minor", 6), ("am", 0, "minor", 9), ("Ebm", -6, "minor", 3), ("F♯ major", 6, "major", 6),
        ("B-flat major", -2, "major", 10), ("g sharp minor", 5, "minor", 8),
    ],
)  # fmt: skip
def test_names(text: str, fifths: int, mode: str, tonic: int) -> None:
    key = parse_key(text.replace("-flat", " flat"))
    assert (key.fifths, key.mode, key.tonic) == (fifths, mode, tonic)
    assert parse_key(key.name) == key


@pytest.mark.parametrize("text", ["", "H", "C dorian", "12", "minor"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        parse_key(text)


def test_a_signature_and_its_shift_are_the_same_key() -> None:
    for fifths in range(-7, 8):
        for mode in ("major", "minor"):
            key = Key(fifths=fifths, mode=mode)
            assert key.shift in SHIFTS
            assert key_of_shift(key.shift, mode).scale == key.scale
            assert key.tonic in key.scale
    assert Key(fifths=-1, mode="minor").scale == frozenset({2, 4, 5, 7, 9, 10, 0, 11, 1})
    assert [wrapped(value) for value in (-6, -5, 6, 7, 12)] == [6, -5, 6, -5, 0]


def test_the_profile_is_a_distribution_of_the_white_keys() -> None:
    assert sum(PROFILE) == pytest.approx(1.0, abs=1e-3)  # printed with four digits
    white = [PROFILE[step] for step in (0, 2, 4, 5, 7, 9, 11)]
    assert min(white) > max(PROFILE[step] for step in (1, 3, 6, 8, 10))


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_key_is_heard_in_every_transposition(shift: int) -> None:
    upper = np.array([[72, 74, 76, 77, 79, 77, 76, 74, 72, 71, 72, 72]], np.int16) + shift
    for final, mode in ((48, "major"), (45, "minor")):
        lower = np.array([[48, 43, 48, 53, 48, 50, 48, 43, 45, 43, 43, final]], np.int16) + shift
        found = find_key(np.concatenate([upper, lower]))
        assert found == key_of_shift(shift, mode)


def test_too_few_notes_have_no_key() -> None:
    assert find_key(np.array([[60, 64, 67, -1]], np.int16)) is None
    assert find_key(np.full((2, 40), 60, np.int16), np.zeros((2, 40), bool)) is None
