"""Words of a musician to values: names of attributes, numbers with units, dynamic marks, note names.

Conventions: every attribute has a short name (``vibrato``) beside its full one (``vibrato_cents``), and one unit in
which a bare number counts. Three short names also name scales of the paper (``mididdsp.expression.views``); there a
bare number would be ambiguous and is refused: a number with a unit is physical, ``paper.vibrato`` is the paper's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mididdsp.expression.types import CURVE_TARGETS, NOTE_ATTRIBUTES
from mididdsp.expression.views import PAPER, PAPER_COLUMNS

SHORT_NAMES: Mapping[str, str] = MappingProxyType({
    "level": "level_db", "fluctuation": "fluctuation_db", "peak": "peak_position", "attack_noise": "attack_noise_db",
    "attack": "attack_s", "release": "release_s", "vibrato": "vibrato_cents",
    "vibrato_rate": "vibrato_rate_hz", "rate": "vibrato_rate_hz", "vibrato_delay": "vibrato_delay_s",
    "delay": "vibrato_delay_s", "tuning": "tuning_cents", "timing": "timing_s", "length": "length_ratio",
    "glide": "glide_s", "vibrato_fade": "vibrato_fade_s", "fade": "vibrato_fade_s", "phase": "vibrato_phase",
    "irregularity": "vibrato_irregularity",
})
"""Short name to attribute."""

MARK_LEVELS_DB: Mapping[str, float] = MappingProxyType({
    "pppp": -50.0, "ppp": -45.0, "pp": -40.0, "p": -35.0, "mp": -30.0, "mf": -26.0, "f": -21.0, "ff": -16.0,
    "fff": -12.0, "ffff": -9.0,
})
"""Level of a dynamic mark: the mean of what the sixteen instruments play at its velocity."""

_DB = {"db": 1.0}
_CENTS = {"c": 1.0, "ct": 1.0, "cent": 1.0, "cents": 1.0, "¢": 1.0, "st": 100.0, "semitone": 100.0, "semitones": 100.0}
_SECONDS = {"s": 1.0, "ms": 1e-3}
_SHARE = {"%": 0.01}

UNITS: Mapping[str, Mapping[str, float]] = MappingProxyType({
    "level_db": _DB, "fluctuation_db": _DB, "peak_position": _SHARE, "brightness": {"oct": 1.0, "octaves": 1.0},
    "attack_noise_db": _DB, "attack_s": _SECONDS, "release_s": _SECONDS, "vibrato_cents": _CENTS,
    "vibrato_rate_hz": {"hz": 1.0}, "vibrato_delay_s": _SECONDS, "tuning_cents": _CENTS, "timing_s": _SECONDS,
    "length_ratio": _SHARE, "glide_s": _SECONDS, "vibrato_fade_s": _SECONDS,
    "vibrato_phase": {"%": 0.01, "deg": 1 / 360, "°": 1 / 360, "cycles": 1.0}, "vibrato_irregularity": _SHARE,
    "pitch": _CENTS, "gain": _DB, "noise": _DB, "partials": _DB,
    "duration": _SECONDS, "onset": _SECONDS, "velocity": {},
})
"""Units of each attribute, of the curves' targets and of a note's own numbers, with their size in the attribute's."""

SHOWN_UNITS: Mapping[str, str] = MappingProxyType({
    "level_db": "dB", "fluctuation_db": "dB", "peak_position": "", "brightness": "oct", "attack_noise_db": "dB",
    "attack_s": "s", "release_s": "s", "vibrato_cents": "c", "vibrato_rate_hz": "Hz", "vibrato_delay_s": "s",
    "tuning_cents": "c", "timing_s": "s", "length_ratio": "", "glide_s": "s",
    "vibrato_fade_s": "s", "vibrato_phase": "", "vibrato_irregularity": "",
})
"""How an attribute's unit is printed."""

_BAND = re.compile(r"partials\.(\d+)(?:-(\d+))?")

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([^\d\s]*)", re.IGNORECASE)
_NOTE_NAME = re.compile(r"([A-Ga-g])([#♯b♭x]*)(-?\d+)")
_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}


class EditError(ValueError):
    """An edit or selection cannot be understood or done; the message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """What a word names.

    Attributes:
        attribute: in full.
        paper: the paper's name where the word means its 0…1 scale, else None.
        needs_unit: a bare number would be ambiguous.
    """

    attribute: str
    paper: str | None = None
    needs_unit: bool = False


def named(word: str) -> Name:
    """The attribute a word names.

    Raises:
        EditError: it names none.
    """
    plain = word.strip()
    if plain.startswith("paper."):
        paper = plain.removeprefix("paper.")
        paper = PAPER_COLUMNS.get(paper, paper)
        if paper not in PAPER:
            raise EditError(f"the paper has no attribute {paper!r}; it has {', '.join(PAPER)}")
        return Name(attribute=PAPER[paper].attribute, paper=paper)
    if plain in SHORT_NAMES or plain in NOTE_ATTRIBUTES:
        ambiguous = plain in PAPER
        return Name(attribute=SHORT_NAMES.get(plain, plain), needs_unit=ambiguous)
    paper = PAPER_COLUMNS.get(plain, plain)
    if paper in PAPER:
        return Name(attribute=PAPER[paper].attribute, paper=paper)
    raise EditError(f"{word!r} is no attribute; known are {', '.join(dict.fromkeys((*SHORT_NAMES, 'brightness')))}")


def number(text: str, name: Name, *, relative: bool = False) -> float:
    """A value in the attribute's own unit, or on the paper's scale where the name asks for it.

    Args:
        text: a number with or without unit, or a dynamic mark where the attribute is a level.
        name: what it is for.
        relative: it is a difference: a dynamic mark is then refused.

    Raises:
        EditError: it is no number, has a unit of something else, or lacks one where it must not.
    """
    plain = text.strip()
    if name.attribute == "level_db" and name.paper is None and plain in MARK_LEVELS_DB:
        if relative:
            raise EditError(f"{plain!r} is a level, not a difference; write dB, as 3dB")
        return MARK_LEVELS_DB[plain]
    found = _NUMBER.fullmatch(plain)
    if found is None:
        raise EditError(f"{text!r} is no number; write one with its unit{_example(name.attribute)}")
    value, unit = float(found[1]), found[2]
    if not unit:
        if name.needs_unit and value != 0.0:
            raise EditError(f"{text!r} has no unit: write {plain}{SHOWN_UNITS[name.attribute]}, or say "
                            f"paper.{_paper_of(name.attribute)}={plain} for the paper's scale from 0 to 1")
        return value
    if name.paper is not None:
        raise EditError(f"{text!r} has a unit, but the paper's {name.paper} has none; write a number")
    units = UNITS[name.attribute]
    if unit.lower() not in units:
        known = ", ".join(units) or "no unit"
        raise EditError(f"{text!r}: {unit!r} is no unit of {name.attribute}; use {known}")
    return value * units[unit.lower()]


def is_line(word: str) -> bool:
    """Whether a word names a line that can be drawn."""
    return word in CURVE_TARGETS or _BAND.fullmatch(word) is not None


def line_named(word: str) -> tuple[str, tuple[int, int] | None]:
    """(target of a curve, band of partials) that a word names: ``level``, ``noise``, ``partials.5-12``.

    ``partials`` alone has no band and stands for all of them, where that makes sense.

    Raises:
        EditError: it names none.
    """
    found = _BAND.fullmatch(word)
    if found is None:
        if word not in CURVE_TARGETS:
            raise EditError(f"there is no line {word!r}; known are {', '.join(CURVE_TARGETS)} (as partials.5-12)")
        return word, None
    band = int(found[1]), int(found[2] or found[1])
    if not 1 <= band[0] <= band[1]:
        raise EditError(f"{word!r} is no band of partials; write the first and the last, from 1, as partials.5-12")
    return "partials", band


def curve_value(text: str, target: str) -> float:
    """A point of a curve of ``target`` (a key of ``CURVE_TARGETS``) in dB or cents."""
    return number(text, Name(attribute={"level": "level_db"}.get(target, target)))


def seconds(text: str) -> float:
    """A time in seconds, ``0.2``, ``0.2s`` or ``200ms``."""
    return number(text, Name(attribute="onset"))


def pitch(text: str | float) -> float:
    """A MIDI number from a number or a note name (``C4`` is 60, ``F#3``, ``Bb5``).

    Raises:
        EditError: it is neither.
    """
    if not isinstance(text, str):
        return float(text)
    found = _NOTE_NAME.fullmatch(text.strip())
    if found is not None:
        shift = sum({"#": 1, "♯": 1, "x": 2, "b": -1, "♭": -1}[sign] for sign in found[2])
        return 12.0 * (int(found[3]) + 1) + _STEPS[found[1].lower()] + shift
    try:
        return float(text)
    except ValueError:
        raise EditError(f"{text!r} is no pitch; write a note name (F#4) or a MIDI number (66)") from None


def shown(attribute: str, value: float | None) -> str:
    """A value for a table, with its unit."""
    if value is None:
        return "none"
    return f"{value:.4g}{SHOWN_UNITS[attribute]}"


def _example(attribute: str) -> str:
    unit = SHOWN_UNITS.get(attribute) or next(iter(UNITS[attribute]), "")
    return f", as 1{unit}" if unit else ""


def _paper_of(attribute: str) -> str:
    return next(name for name, scale in PAPER.items() if SHORT_NAMES.get(name, name) == attribute)
