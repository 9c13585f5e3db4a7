"""Chord symbols as a guide: what is written above a melody, in pitch classes.

Conventions: bars are separated by ``|``, the chords of a bar share it evenly, ``%`` repeats the chord before, ``N.C.``
wishes nothing: ``"C | F G7 | Am C/E | %"``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ROOTS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_KINDS = {
    "": (0, 4, 7), "maj": (0, 4, 7), "M": (0, 4, 7), "m": (0, 3, 7), "min": (0, 3, 7), "-": (0, 3, 7),
    "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "M7": (0, 4, 7, 11), "m7": (0, 3, 7, 10), "min7": (0, 3, 7, 10),
    "mM7": (0, 3, 7, 11), "6": (0, 4, 7, 9), "m6": (0, 3, 7, 9), "dim": (0, 3, 6), "o": (0, 3, 6),
    "dim7": (0, 3, 6, 9), "o7": (0, 3, 6, 9), "m7b5": (0, 3, 6, 10), "aug": (0, 4, 8), "+": (0, 4, 8),
    "sus4": (0, 5, 7), "sus": (0, 5, 7), "sus2": (0, 2, 7), "9": (0, 4, 7, 10, 2), "add9": (0, 4, 7, 2), "5": (0, 7),
}
_SYMBOL = re.compile(r"([A-G])([#b♯♭]?)([^/]*)(?:/([A-G])([#b♯♭]?))?")
_NO_CHORD = ("N.C.", "NC", "n.c.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chord:
    """A chord.

    Attributes:
        symbol: as written.
        tones: its pitch classes, 0 (C) to 11.
        bass: pitch class of the lowest voice, or None where any tone of the chord will do.
    """

    symbol: str
    tones: frozenset[int]
    bass: int | None = None


def parse_chord(symbol: str) -> Chord:
    """A chord from its symbol, such as ``F#m7b5`` or ``C/E``.

    Raises:
        ValueError: it is no chord symbol known here.
    """
    found = _SYMBOL.fullmatch(symbol)
    if found is None or found[3] not in _KINDS:
        kinds = ", ".join(filter(None, _KINDS))
        raise ValueError(f"{symbol!r} is no chord known here; write a root, then nothing or one of {kinds}")
    root = _pitch_class(found[1], found[2])
    bass = _pitch_class(found[4], found[5]) if found[4] else None
    tones = {(root + step) % 12 for step in _KINDS[found[3]]} | ({bass} if bass is not None else set())
    return Chord(symbol=symbol, tones=frozenset(tones), bass=bass)


def parse_chords(text: str) -> list[list[Chord | None]]:
    """The chords of each bar, in order; None where nothing is wished.

    Raises:
        ValueError: a symbol is not known, or a bar is empty.
    """
    bars: list[list[Chord | None]] = []
    before: Chord | None = None
    for number, words in enumerate((bar.split() for bar in text.strip().strip("|").split("|")), start=1):
        if not words:
            raise ValueError(f"bar {number} of the chords is empty; write % to repeat the chord before, N.C. for none")
        bar: list[Chord | None] = []
        for word in words:
            if word != "%":
                before = None if word in _NO_CHORD else parse_chord(word)
            bar.append(before)
        bars.append(bar)
    return bars


def _pitch_class(letter: str, accidental: str) -> int:
    return (_ROOTS[letter] + {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}[accidental]) % 12
