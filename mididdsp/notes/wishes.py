"""What a composer asks for: voices, ensembles, keys, chords, cadences, what is kept; and the words for them.

Conventions: voices are numbered from the highest, from 0, as many as the prior has (two to five, see ``voice_names``);
bars are counted from 1, a pickup is bar 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mididdsp.notes.keys import Key

VOICES = ("soprano", "alto", "tenor", "bass")
"""Of the shipped prior, from the highest."""

_VOICE_RANGES = ((60, 81), (53, 74), (48, 69), (36, 64))
"""Where the voices sing in the chorales the prior has learnt from, MIDI numbers."""

_NAMES = {
    2: ("soprano", "bass"),
    3: ("soprano", "alto", "bass"),
    4: VOICES,
    5: ("soprano", "quinto", "alto", "tenor", "bass"),
}
_SEATS = {2: (0, 3), 3: (0, 1, 3), 4: (0, 1, 2, 3), 5: (0, 1, 2, 2, 3)}
"""For so many voices: which of the four voices' range and instrument each of them has."""

FROM_FILE = "file"
"""In place of an ensemble: parts of the file keep their instruments, new ones are a string quartet's."""

ENSEMBLES: Mapping[str, tuple[str, str, str, str]] = {
    "string-quartet": ("violin", "violin", "viola", "cello"),
    "woodwind": ("flute", "oboe", "clarinet", "bassoon"),
    "brass": ("trumpet", "horn", "trombone", "tuba"),
    "saxophones": ("saxophone", "saxophone", "saxophone", "bass_clarinet"),
    "mixed": ("flute", "clarinet", "viola", "bassoon"),
}
"""Instruments of the voices. The table has no baritone saxophone: a bass clarinet takes the lowest voice."""

CADENCES = ("authentic", "half", "plagal")

METHODS = ("gibbs", "unmask")
"""Of sampling (see ``NotePrior.sample``)."""

PASSES = 64
"""Of the network per take. Measured on held-out melodies: more change the figures by less than their errors."""


class ComposeError(ValueError):
    """A task cannot be done as it was given; the message is one sentence for the user."""


def voice_names(count: int) -> tuple[str, ...]:
    """Names of the voices of a prior, from the highest.

    Raises:
        ComposeError: composing is made for two to five voices.
    """
    if count not in _NAMES:
        raise ComposeError(f"the prior has {count} voices; composing needs one of {min(_NAMES)} to {max(_NAMES)}")
    return _NAMES[count]


def voice_ranges(count: int) -> list[tuple[int, int]]:
    """Where so many voices usually sing, MIDI numbers."""
    return [_VOICE_RANGES[seat] for seat in _SEATS[count]]


def players(ensemble: str, count: int) -> list[str]:
    """Instruments of an ensemble of ``ENSEMBLES`` for so many voices; five strings have two violas."""
    return [ENSEMBLES[ensemble][seat] for seat in _SEATS[count]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Cells to keep: some voices (None for all), over some bars (None for all, last one included)."""

    voices: tuple[int, ...] | None = None
    bars: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.bars is not None:
            check_bars(self.bars)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """A phrase ends in this bar, on ``authentic`` (V-I), ``half`` (V) or ``plagal`` (IV-I) harmony."""

    bar: int
    kind: str = "authentic"

    def __post_init__(self) -> None:
        if self.kind not in CADENCES:
            raise ComposeError(f"a cadence is {self.kind!r}; choose {', '.join(CADENCES)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the composer asks of every take.

    Attributes:
        key: of the piece; None takes the file's signature where it has one that fits, else the key that is heard.
        chords: symbols above the bars from bar 1 on (see ``chords``); a guide, no law. Empty for none.
        cadences: where phrases end.
        locks: what stays as it is.
        keep_rhythm: notes of the file that are open keep their onsets and lengths; only pitches are drawn.
        parallels: ``filter`` mends parallel fifths and octaves, ``report`` counts them.
        ensemble: of ``ENSEMBLES``, or ``FROM_FILE``.
        temperature: above 0; below 1 the likelier, above 1 the more surprising.
        passes: of the network per take.
        method: of the sampling, ``gibbs`` or ``unmask`` (see ``NotePrior.sample``).
        pickup: quarter notes before the first whole bar, where the file does not say.
    """

    key: Key | None = None
    chords: str = ""
    cadences: tuple[Cadence, ...] = ()
    locks: tuple[Lock, ...] = ()
    keep_rhythm: bool = False
    parallels: str = "filter"
    ensemble: str = "string-quartet"
    temperature: float = 1.0
    passes: int = PASSES
    method: str = "gibbs"
    pickup: float | None = None

    def __post_init__(self) -> None:
        if self.parallels not in ("filter", "report"):
            raise ComposeError(f"parallels is {self.parallels!r}; choose filter or report")
        if self.ensemble != FROM_FILE and self.ensemble not in ENSEMBLES:
            raise ComposeError(f"the ensemble is {self.ensemble!r}; choose {', '.join((*ENSEMBLES, FROM_FILE))}")
        if not (self.temperature > 0 and np.isfinite(self.temperature)):
            raise ComposeError(f"the temperature is {self.temperature}; it must be a number above 0")
        if self.passes < 1:
            raise ComposeError(f"passes is {self.passes}; it must be at least 1")
        if self.method not in METHODS:
            raise ComposeError(f"the method is {self.method!r}; choose {' or '.join(METHODS)}")
        if self.pickup is not None and not (self.pickup >= 0 and np.isfinite(self.pickup)):
            raise ComposeError(f"the pickup is {self.pickup} quarter notes; it must be a number from 0")


def parse_voices(text: str, names: Sequence[str] = VOICES) -> tuple[int, ...]:
    """Voices from their names, separated by commas; a beginning is enough: ``alto,ten``.

    Raises:
        ComposeError: a name that no voice has.
    """
    found = []
    for word in text.lower().split(","):
        matching = [number for number, name in enumerate(names) if word.strip() and name.startswith(word.strip())]
        if len(matching) != 1:
            raise ComposeError(f"{word.strip()!r} is no voice; write {', '.join(names)}, separated by commas")
        found.append(matching[0])
    return tuple(dict.fromkeys(found))


def check_bars(bars: tuple[int, int]) -> None:
    """Whether these are a first and a last bar.

    Raises:
        ComposeError: they are not.
    """
    if not 0 <= bars[0] <= bars[1]:
        raise ComposeError(f"the bars {bars[0]} to {bars[1]} are none; give the first, then the last, from 0 or 1")


def parse_bars(text: str) -> tuple[int, int]:
    """First and last bar, from ``5-8`` or ``5``.

    Raises:
        ComposeError: these are no bars.
    """
    first, _, last = text.partition("-")
    try:
        bars = int(first), int(last or first)
    except ValueError:
        bars = (1, 0)
    if not 0 <= bars[0] <= bars[1]:
        raise ComposeError(f"{text!r} are no bars; write them like 5-8, or 5")
    return bars


def parse_lock(text: str, names: Sequence[str] = VOICES) -> Lock:
    """A lock from ``bass``, ``5-8`` or ``alto,tenor:5-8``.

    Raises:
        ComposeError: it is neither.
    """
    voices, colon, bars = text.rpartition(":")
    if colon and not (voices and bars):
        raise ComposeError(f"{text!r} is no lock; write it like bass, 5-8 or alto,tenor:5-8")
    if not voices and bars[:1].isalpha():
        voices, bars = bars, ""
    return Lock(voices=parse_voices(voices, names) if voices else None, bars=parse_bars(bars) if bars else None)


def parse_cadence(text: str) -> Cadence:
    """A cadence from ``8`` or ``8:half``.

    Raises:
        ComposeError: it is neither.
    """
    bar, _, kind = text.partition(":")
    if not bar.isdigit():
        raise ComposeError(f"{text!r} is no cadence; write the bar it ends in, like 8 or 8:half")
    return Cadence(bar=int(bar), kind=kind or CADENCES[0])
