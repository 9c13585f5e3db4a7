"""What each MIDI controller means: a table of rules, as presets or from a user's file.

A rule leads a *source* (``cc1`` … ``cc127``, ``bend``, ``pressure``, ``velocity``) to a *target*: a curve (``level``,
``gain``, ``pitch``) or an attribute of the notes. Its *law* says how:

| law | value v, 0 to 127, becomes | mode |
|---|---|---|
| ``fader`` | 40 log10(v / reference) dB | adds to a curve |
| ``line`` | ``low`` at 0, straight to ``high`` at 127 | sets an attribute, adds to a curve |
| ``ratio`` | ``low`` at 0, by equal factors to ``high`` at 127 | sets an attribute |
| ``around`` | 0 at 64, -``span`` at 0, nearly ``span`` at 127 | adds to either |
| ``factor`` | 1 at 64, 1 / ``span`` at 0, nearly ``span`` at 127 | multiplies an attribute |
| ``more`` | 0 at 0, ``span`` at 127 | adds to either |
| ``switch`` | ``high`` from 64 on, else 0 | adds to either |
| ``semitones`` | 100 cents a semitone; for ``bend``, whose values are semitones | adds to ``pitch`` |

Attributes take the value that stands when the note begins, or, ``when = "mean"``, the mean over the note. ``gate``
names a controller that must be 64 or more (``cc65``, portamento on). ``unless`` names one whose presence takes the
rule's place. With ``blank = true`` a controller at 0 says nothing. A source without events changes nothing.

A file is TOML: ``base`` names the preset it changes (``gm`` unless said), and each section is a rule::

    base = "gm"

    [cc1]            # a section may be named otherwise and say source = "cc1"
    target = "vibrato_cents"
    law = "line"
    high = 80
    when = "mean"

    [cc11]
    off = true       # takes the base's rules for this source away

Conventions: controllers below 32 take their fine half from the controller 32 above, where the file has it.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType

from mididdsp.expression.types import ATTRIBUTE_RANGES, CURVE_TARGETS

_TARGETS = (*(target for target in CURVE_TARGETS if target != "partials"), *ATTRIBUTE_RANGES)
"""What a controller can lead to; a band of partials is for the hand."""

LAWS = ("fader", "line", "ratio", "around", "factor", "more", "switch", "semitones")

CLOSED_DB = -120.0
"""Level of a fader at 0."""


class ControllerError(ValueError):
    """A table of controllers cannot be used; the message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the table; see the head of this module."""

    source: str
    target: str
    law: str
    low: float = 0.0
    high: float = 0.0
    span: float = 0.0
    reference: float = 127.0
    when: str = "onset"
    gate: str = ""
    unless: str = ""
    blank: bool = False

    def __post_init__(self) -> None:
        if not _is_source(self.source):
            raise ControllerError(f"{self.source!r} is no controller; write cc0 to cc127, bend, pressure or velocity")
        if self.target not in _TARGETS:
            raise ControllerError(f"{self.source}: there is no target {self.target!r}; known are {', '.join(_TARGETS)}")
        if self.law not in LAWS:
            raise ControllerError(f"{self.source}: there is no law {self.law!r}; known are {', '.join(LAWS)}")
        if self.when not in ("onset", "mean"):
            raise ControllerError(f"{self.source}: when is {self.when!r}; it must be onset or mean")
        numbers = (self.low, self.high, self.span, self.reference)
        if not all(math.isfinite(number) for number in numbers):
            raise ControllerError(f"{self.source}: a value is no finite number; write numbers")
        curve = self.target in CURVE_TARGETS
        if (self.law in ("ratio", "factor") and curve) or (self.law in ("fader", "semitones") and not curve):
            raise ControllerError(f"{self.source}: the law {self.law} does not lead to {self.target}; choose another")
        if self.source == "velocity" and curve:
            raise ControllerError(f"velocity: it is one number a note and leads to no curve ({self.target}); choose an "
                                  "attribute")
        if self.law == "ratio" and not (self.low > 0 and self.high > 0):
            raise ControllerError(f"{self.source}: the law ratio needs low and high above 0")
        if self.law == "factor" and not self.span > 0:
            raise ControllerError(f"{self.source}: the law factor needs a span above 0")
        if self.law == "fader" and not self.reference > 0:
            raise ControllerError(f"{self.source}: the law fader needs a reference above 0")

    @property
    def sets(self) -> bool:
        """It decides an attribute; other rules move what is drawn."""
        return self.law in ("line", "ratio") and self.target not in CURVE_TARGETS

    def value(self, v: float) -> float:
        """What a controller value (0 to 127; semitones for bend) becomes: a value, a summand or a factor."""
        if self.law == "fader":
            return max(40.0 * math.log10(v / self.reference), CLOSED_DB) if v > 0 else CLOSED_DB
        if self.law == "line":
            return self.low + (self.high - self.low) * v / 127.0
        if self.law == "ratio":
            return float(self.low * (self.high / self.low) ** (v / 127.0))
        if self.law == "around":
            return self.span * (v - 64.0) / 64.0
        if self.law == "factor":
            return float(self.span ** ((v - 64.0) / 64.0))
        if self.law == "more":
            return self.span * v / 127.0
        if self.law == "switch":
            return self.high if v >= 64.0 else 0.0
        return 100.0 * v

    def controller(self, value: float) -> float:
        """The value, 0 to 127 and not rounded, that ``line``, ``ratio`` or ``fader`` turns into ``value``."""
        if self.law == "fader":
            result = float(self.reference * 10.0 ** (value / 40.0))
        elif self.law == "ratio":
            result = 127.0 * math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        elif self.law == "line":
            result = 127.0 * (value - self.low) / (self.high - self.low)
        else:
            raise ControllerError(f"{self.source}: the law {self.law} cannot be turned round")
        return min(max(result, 0.0), 127.0 + 127.0 / 128.0)


ControllerMap = tuple[Rule, ...]
"""Rules in the order they apply."""


def _is_source(name: str) -> bool:
    return name in ("bend", "pressure", "velocity") or (
        name.startswith("cc") and name[2:].isdigit() and int(name[2:]) <= 127)


_BEND = Rule(source="bend", target="pitch", law="semitones")
_VOLUME = Rule(source="cc7", target="gain", law="fader", reference=100.0)
_SOFT = Rule(source="cc67", target="level", law="switch", high=-4.0)
_GLIDE = Rule(source="cc5", target="glide_s", law="ratio", low=0.01, high=1.0, gate="cc65")
_SOUND: ControllerMap = (
    Rule(source="cc71", target="attack_noise_db", law="around", span=12.0),
    Rule(source="cc72", target="release_s", law="factor", span=4.0),
    Rule(source="cc73", target="attack_s", law="factor", span=4.0),
    Rule(source="cc74", target="brightness", law="around", span=1.0),
    Rule(source="cc75", target="fluctuation_db", law="factor", span=2.0),
    Rule(source="cc76", target="vibrato_rate_hz", law="factor", span=1.5),
    Rule(source="cc77", target="vibrato_cents", law="factor", span=4.0),
    Rule(source="cc78", target="vibrato_delay_s", law="factor", span=4.0),
)
"""General MIDI 2's sound controllers: 64 leaves a note as it is."""

PRESETS: Mapping[str, ControllerMap] = MappingProxyType({
    "gm": (
        _VOLUME,
        Rule(source="cc11", target="level", law="fader"),
        Rule(source="cc2", target="level", law="fader", unless="cc11"),
        Rule(source="cc1", target="vibrato_cents", law="more", span=50.0, when="mean"),
        Rule(source="pressure", target="level", law="more", span=6.0),
        _GLIDE, _SOFT, *_SOUND, _BEND,
    ),
    "library": (  # string and brass libraries: the wheel is the dynamics, expression a fader behind it
        _VOLUME,
        Rule(source="cc11", target="gain", law="fader"),
        Rule(source="cc1", target="level", law="fader"),
        Rule(source="cc2", target="level", law="fader", unless="cc1"),
        Rule(source="pressure", target="level", law="more", span=6.0),
        _GLIDE, _SOFT, *_SOUND, _BEND,
    ),
    "modelled": (  # wind controllers and modelled instruments: everything is in the hand
        _VOLUME,
        Rule(source="cc11", target="level", law="fader"),
        Rule(source="cc2", target="level", law="fader", unless="cc11"),
        Rule(source="cc1", target="vibrato_cents", law="line", high=80.0, when="mean"),
        Rule(source="cc19", target="vibrato_rate_hz", law="line", low=3.0, high=9.0, when="mean"),
        Rule(source="velocity", target="attack_s", law="ratio", low=0.25, high=0.01),
        Rule(source="velocity", target="glide_s", law="ratio", low=0.3, high=0.012),
        Rule(source="pressure", target="level", law="more", span=6.0),
        *_SOUND, _BEND,
    ),
    "mpe": (
        _VOLUME,
        Rule(source="cc11", target="level", law="fader"),
        Rule(source="pressure", target="level", law="fader", reference=64.0),
        Rule(source="cc74", target="brightness", law="around", span=1.5, when="mean"),
        _BEND,
    ),
    "own": (  # what ``mididdsp export`` writes: nothing is drawn anew
        Rule(source="cc7", target="gain", law="fader", reference=64.0),
        Rule(source="cc11", target="level", law="fader", reference=64.0),
        Rule(source="cc20", target="level_db", law="line", low=-90.0, high=0.0),
        Rule(source="cc21", target="fluctuation_db", law="line", high=20.0),
        Rule(source="cc22", target="peak_position", law="line", high=1.0),
        Rule(source="cc23", target="attack_noise_db", law="line", low=-80.0, high=20.0),
        Rule(source="cc24", target="tuning_cents", law="line", low=-100.0, high=100.0),
        Rule(source="cc74", target="brightness", law="line", high=5.0),
        Rule(source="cc73", target="attack_s", law="ratio", low=0.002, high=2.0),
        Rule(source="cc72", target="release_s", law="ratio", low=0.005, high=5.0),
        Rule(source="cc77", target="vibrato_cents", law="line", high=127.0),
        Rule(source="cc76", target="vibrato_rate_hz", law="line", low=2.0, high=10.0),
        Rule(source="cc78", target="vibrato_delay_s", law="line", high=2.54),
        Rule(source="cc5", target="glide_s", law="ratio", low=0.002, high=2.0),
        Rule(source="cc25", target="vibrato_fade_s", law="line", low=-0.04, high=5.04, blank=True),  # 0 at 1
        Rule(source="cc26", target="vibrato_phase", law="line", low=-1.0 / 126.0, high=1.0, blank=True),
        Rule(source="cc27", target="vibrato_irregularity", law="line", low=-0.5 / 126.0, high=0.5, blank=True),
        Rule(source="velocity", target="timing_s", law="line"),  # notes stand where they sound
        Rule(source="velocity", target="length_ratio", law="line", low=1.0, high=1.0),
        _BEND,
    ),
})
"""The tables by name."""

DEFAULT = "gm"

_FORMS: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "str": ("a word", (str,)), "float": ("a number", (int, float)), "bool": ("true or false", (bool,))}
"""Type of a rule's field to what a user's table writes for it."""


def load_controllers(name: str | os.PathLike[str]) -> ControllerMap:
    """A preset by its name, or a user's table from a file.

    Raises:
        ControllerError: there is no such preset or file, or the file is no legal table.
    """
    if isinstance(name, str) and name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError:
        raise ControllerError(f"{os.fspath(name)!r} is neither a preset ({', '.join(PRESETS)}) nor a file that can be "
                              "read; choose one") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ControllerError(f"{path}: it is not legal TOML ({error}); correct it") from None
    base = table.pop("base", DEFAULT)
    if base not in PRESETS:
        raise ControllerError(f"{path}: base is {base!r}; it must be one of {', '.join(PRESETS)}")
    known = {item.name: item.type for item in fields(Rule)}
    changed: set[str] = set()
    rules: list[Rule] = []
    for section, given in table.items():
        if not isinstance(given, dict):
            raise ControllerError(f"{path}: {section!r} is no section; write [{section}] and its values below it")
        source = str(given.get("source", section))
        changed.add(source)
        if not _is_source(source):
            raise ControllerError(f"{path}: {source!r} is no controller; write cc0 to cc127, bend, pressure or "
                                  "velocity")
        if given.get("off") is True:
            continue
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise ControllerError(f"{path}, [{section}]: there is no {unknown[0]!r}; a rule has {', '.join(known)}")
        for field, value in given.items():
            kind, legal = _FORMS[str(known[field])]
            if isinstance(value, bool) != (kind == "true or false") or not isinstance(value, legal):
                raise ControllerError(f"{path}, [{section}]: {field} is {value!r}; write {kind}")
        try:
            rules.append(Rule(**{"source": source, **given}))
        except (ControllerError, TypeError) as error:
            what = str(error) if isinstance(error, ControllerError) else "it needs a target and a law"
            raise ControllerError(f"{path}, [{section}]: {what}") from None
    return (*(rule for rule in PRESETS[base] if rule.source not in changed), *rules)
