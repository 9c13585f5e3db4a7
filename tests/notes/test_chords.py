"""Chord symbols mean the tones that a musician reads in them."""

from __future__ import annotations

import pytest

from mididdsp.notes.chords import parse_chord, parse_chords


@pytest.mark.parametrize(
    ("symbol", "tones", "bass"),
    [
        ("C", {0, 4, 7}, None), ("F#m", {6, 9, 1}, None), ("Bb7", {10, 2, 5, 8}, None), ("C/E", {0, 4, 7}, 4),
        ("Am/G", {9, 0, 4, 7}, 7), ("Bm7b5", {11, 2, 5, 9}, None), ("Gsus4", {7, 0, 2}, None),
        ("Ebmaj7", {3, 7, 10, 2}, None), ("G#dim7", {8, 11, 2, 5}, None),
    ],
)  # fmt: skip
def test_symbols(symbol: str, tones: set[int], bass: int | None) -> None:
    chord = parse_chord(symbol)
    assert chord.tones == tones
    assert chord.bass == bass


def test_bars_share_and_repeat() -> None:
    bars = parse_chords("| C | F G7 | % | N.C. Am |")
    assert [[None if chord is None else chord.symbol for chord in bar] for bar in bars] == [
        ["C"], ["F", "G7"], ["G7"], [None, "Am"]
    ]  # fmt: skip


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match="'Cfoo' is no chord known here"):
        parse_chords("C | Cfoo")
    with pytest.raises(ValueError, match="bar 2 of the chords is empty"):
        parse_chords("C | | G")
