"""Keys: what pitches say of them, and how signatures, names and transpositions go together.

Conventions: ``shift`` is the tonic of the major key with the same signature, in semitones from C, -5 (G) to 6 (F
sharp): subtracting it writes the music with the white keys. ``fifths`` counts sharps (positive) or flats of the
signature, -7 to 7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mididdsp.notes.types import KeyChange

SHIFTS = tuple(range(-5, 7))
"""All transpositions to C that are told apart."""

PROFILE = (0.1682, 0.0110, 0.1246, 0.0043, 0.1709, 0.0667, 0.0210, 0.1546, 0.0249, 0.1464, 0.0050, 0.1023)
"""How often each pitch class from C on sounds in Bach's chorales once they are written without signature, major and
minor together (counted on the 286 training chorales)."""

_LETTERS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_ACCIDENTALS = {"": 0, "#": 1, "♯": 1, "sharp": 1, "b": -1, "-": -1, "♭": -1, "flat": -1}
_MAJOR_NAMES = {-7: "Cb", -6: "Gb", -5: "Db", -4: "Ab", -3: "Eb", -2: "Bb", -1: "F", 0: "C", 1: "G", 2: "D", 3: "A",
                4: "E", 5: "B", 6: "F#", 7: "C#"}
_MINOR_NAMES = {-7: "Ab", -6: "Eb", -5: "Bb", -4: "F", -3: "C", -2: "G", -1: "D", 0: "A", 1: "E", 2: "B", 3: "F#",
                4: "C#", 5: "G#", 6: "D#", 7: "A#"}
_MINOR_FINALS = (2, 4, 9)
"""Pitch classes above the shift's tonic on which a piece in minor (or in an old minor mode) ends."""

_CERTAIN = 12
"""Notes of one collection heard before its key is called certain; a few notes fit many keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key signature and a mode.

    Attributes:
        fifths: sharps (positive) or flats, -7 to 7.
        mode: ``major`` or ``minor``.
    """

    fifths: int
    mode: str

    def __post_init__(self) -> None:
        if not -7 <= self.fifths <= 7:
            raise ValueError(f"a key has {self.fifths} fifths; they go from -7 (flats) to 7 (sharps)")
        if self.mode not in ("major", "minor"):
            raise ValueError(f"the mode of a key is {self.mode!r}; it must be major or minor")

    @property
    def shift(self) -> int:
        """Semitones from C of the major key with this signature, -5 to 6."""
        return wrapped(7 * self.fifths)

    @property
    def tonic(self) -> int:
        """Pitch class of the first degree, 0 (C) to 11."""
        return (self.shift + (9 if self.mode == "minor" else 0)) % 12

    @property
    def scale(self) -> frozenset[int]:
        """Pitch classes of the key; in minor with the raised sixth and seventh."""
        major = {(self.shift + step) % 12 for step in (0, 2, 4, 5, 7, 9, 11)}
        raised = {(self.tonic + step) % 12 for step in (9, 11)} if self.mode == "minor" else set()
        return frozenset(major | raised)

    @property
    def name(self) -> str:
        """Such as ``Bb major``."""
        return f"{(_MAJOR_NAMES if self.mode == 'major' else _MINOR_NAMES)[self.fifths]} {self.mode}"

    @property
    def change(self) -> KeyChange:
        """The key as the signature at the beginning of a score."""
        return KeyChange(beat=0.0, fifths=self.fifths, mode=self.mode)


def wrapped(semitones: int) -> int:
    """The same transposition within -5 to 6."""
    return (semitones + 5) % 12 - 5


def parse_key(text: str) -> Key:
    """A key from its name: ``D minor``, ``Bb``, ``F# major``, ``am``; without a mode, small letters are minor.

    Raises:
        ValueError: it is not the name of a key.
    """
    words = text.replace("_", " ").split()
    letter = words[0][:1] if words else ""
    rest = "".join(words)[1:]
    lowered = rest.lower()
    mode = "minor" if letter.islower() and letter else "major"
    for ending, named in (("major", "major"), ("minor", "minor"), ("maj", "major"), ("min", "minor"), ("m", "minor")):
        if lowered.endswith(ending):
            mode = "major" if ending == "m" and rest.endswith("M") else named
            lowered = lowered[: -len(ending)]
            break
    if letter.lower() not in _LETTERS or lowered not in _ACCIDENTALS:
        raise ValueError(f"{text!r} is no key; write it like \"D minor\", \"Bb major\" or \"F#\"")
    spelled = letter.upper() + {1: "#", -1: "b", 0: ""}[_ACCIDENTALS[lowered]]
    names = _MAJOR_NAMES if mode == "major" else _MINOR_NAMES
    for fifths, name in names.items():
        if name == spelled:
            return Key(fifths=fifths, mode=mode)
    # Keys with double accidentals in their signature are written as what they sound like.
    tonic = (_LETTERS[letter.lower()] + _ACCIDENTALS[lowered]) % 12
    return key_of_shift(wrapped(tonic - (9 if mode == "minor" else 0)), mode)


def key_of_shift(shift: int, mode: str) -> Key:
    """The key of a shift with the fewest accidentals."""
    fifths = wrapped(7 * shift)
    return Key(fifths=fifths, mode=mode)


def find_key(pitch: NDArray[np.int16], known: NDArray[np.bool_] | None = None) -> Key | None:
    """The key that the sounding cells fit best, or None where too few sound.

    Args:
        pitch: of the cells, below 0 where silent; [V, T]. The last voice tells major from minor by its last note.
        known: the cells to look at; all by default.
    """
    heard = (pitch >= 0) if known is None else (pitch >= 0) & known
    if int(heard.sum()) < _CERTAIN:
        return None
    counts = np.bincount(pitch[heard] % 12, minlength=12).astype(np.float64)
    scores = [float(np.roll(counts, -shift) @ np.log(PROFILE)) for shift in SHIFTS]
    shift = SHIFTS[int(np.argmax(scores))]
    lowest = next(voice for voice in range(len(pitch) - 1, -1, -1) if heard[voice].any())
    final = int(pitch[lowest][heard[lowest]][-1])
    minor = (final - shift) % 12 in _MINOR_FINALS
    return key_of_shift(shift, "minor" if minor else "major")
