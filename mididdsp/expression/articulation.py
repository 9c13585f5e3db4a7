"""Articulation marks: what each does to a note, in one table that a user may change.

A mark moves a note's expression away from how it would be played without one; what the prior or a hand chose stays
underneath. Marks stack in any order with the same result: lengths and times multiply, levels add, and of several swells
the strongest counts. So a staccato shortens an accented note exactly as it shortens any other, ``staccato`` and
``tenuto`` together make a ``portato``, and taking a mark off again undoes what it did.

``legato`` joins the note to the one before it (``mididdsp.notes.voices``); the others leave joints as they are, except
that a shortened note is followed by silence. None of the rules is learned: recordings teach how notes speak and end,
these say how long and how strong a mark means them to be.

Conventions: levels in dB, times in seconds, lengths as factors of the sounding length. A table is a TOML file with one
section a mark, naming only what differs from ``RULES``::

    [staccato]
    length = 0.4

Source: lengths after the defaults of notation programs (staccato 50 %, staccatissimo 33 %, portato 67 %, marcato 67 %).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType

from mididdsp.expression.types import ATTRIBUTE_RANGES, Curve, NoteExpression
from mididdsp.notes.types import ARTICULATIONS, Note

PLAIN_LENGTH = 0.96
"""Sounding share of a note without marks that another follows at once."""

PLAIN_PEAK = 0.4
"""Where a note without marks is loudest."""

USUAL_GLIDE_S = 0.03
"""Way from pitch to pitch in a slur, where nothing else says how long it takes."""

LONGEST_SWELL_S = 0.6
"""However long the note, an accent has fallen back to the level by then."""


HELD_FLUCTUATION_DB = 0.8
"""How much the level of a held note moves of itself where a hairpin says how it is to move. A note by itself dies away
by some dB before it ends; under a crescendo of as much it would only stay as it is."""


class ArticulationError(ValueError):
    """A table of articulations cannot be used; the message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one mark does.

    Attributes:
        length: factor of the sounding length; together with other marks never beyond the full length.
        level_db: added to the level of the whole note.
        swell_db: added at the onset, falling back to nothing over ``swell_share`` of the note.
        swell_share: share of the written length, above 0, to 1.
        attack: factor of the attack's time.
        noise_db: added to the noise of the attack.
        release: factor of the release's time.
        peak: where in the note the level is highest, 0 to 1; None leaves it.
    """

    length: float = 1.0
    level_db: float = 0.0
    swell_db: float = 0.0
    swell_share: float = 0.4
    attack: float = 1.0
    noise_db: float = 0.0
    release: float = 1.0
    peak: float | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in _RULE_RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ArticulationError(f"{name} is {value}; it must be from {low} to {high}")


_RULE_RANGES: Mapping[str, tuple[float, float]] = {
    "length": (0.02, 4.0), "level_db": (-40.0, 40.0), "swell_db": (-40.0, 40.0), "swell_share": (0.01, 1.0),
    "attack": (0.05, 20.0), "noise_db": (-40.0, 40.0), "release": (0.05, 20.0), "peak": (0.0, 1.0),
}

Rules = Mapping[str, Rule]

RULES: Rules = MappingProxyType({
    "legato": Rule(),
    "tenuto": Rule(length=4.0 / 3.0, attack=1.15, release=1.15),
    "detache": Rule(length=0.88, attack=0.9, release=0.85),
    "portato": Rule(length=2.0 / 3.0, attack=1.15, release=1.15),
    "staccato": Rule(length=0.5, attack=0.85, release=0.45),
    "staccatissimo": Rule(length=1.0 / 3.0, level_db=1.0, attack=0.7, noise_db=2.0, release=0.4),
    "accent": Rule(swell_db=5.0, swell_share=0.4, attack=0.7, noise_db=3.0, peak=0.08),
    "marcato": Rule(length=2.0 / 3.0, level_db=1.0, swell_db=6.0, swell_share=0.5, attack=0.6, noise_db=4.0, peak=0.08),
    "sforzato": Rule(swell_db=9.0, swell_share=0.35, attack=0.5, noise_db=5.0, peak=0.05),
})
"""What every mark does, unless a user's table says otherwise."""


def load_rules(path: str | os.PathLike[str]) -> Rules:
    """``RULES`` with what a user's table changes.

    Raises:
        ArticulationError: the file is no TOML, or names a mark, field or value there is not.
        OSError: it cannot be read.
    """
    try:
        table = tomllib.loads(Path(path).read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ArticulationError(f"{os.fspath(path)}: it is not legal TOML ({error}); correct it") from error
    known = {item.name for item in fields(Rule)}
    rules = dict(RULES)
    for mark, changes in table.items():
        if mark not in RULES or not isinstance(changes, dict):
            raise ArticulationError(f"{os.fspath(path)}: [{mark}] is no articulation; known are {', '.join(RULES)}")
        unknown = sorted(set(changes) - known)
        if unknown:
            raise ArticulationError(f"{os.fspath(path)}, [{mark}]: there is no {unknown[0]!r}; "
                                    f"a mark has {', '.join(sorted(known))}")
        if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in changes.values()):
            raise ArticulationError(f"{os.fspath(path)}, [{mark}]: a value is no number; write numbers")
        try:
            rules[mark] = replace(rules[mark], **changes)
        except ArticulationError as error:
            raise ArticulationError(f"{os.fspath(path)}, [{mark}]: {error}") from error
    return MappingProxyType(rules)


def combined(marks: Collection[str], rules: Rules = RULES) -> Rule:
    """What several marks do together; their order does not matter.

    Raises:
        ArticulationError: a mark is unknown.
    """
    result = Rule()
    for mark in ARTICULATIONS:  # one order, so that products round alike
        if mark not in marks:
            continue
        rule = rules[mark]
        stronger = max(result, rule, key=lambda item: abs(item.swell_db))
        peaks = [item.peak for item in (result, rule) if item.peak is not None]
        result = Rule(
            length=max(result.length * rule.length, _RULE_RANGES["length"][0]),
            level_db=result.level_db + rule.level_db, swell_db=stronger.swell_db, swell_share=stronger.swell_share,
            attack=result.attack * rule.attack, noise_db=result.noise_db + rule.noise_db,
            release=result.release * rule.release, peak=min(peaks, default=None))
    unknown = sorted(set(marks) - set(ARTICULATIONS))
    if unknown:
        raise ArticulationError(f"{unknown[0]!r} is no articulation; known are {', '.join(ARTICULATIONS)}")
    return result


def articulated(
    expression: NoteExpression, before: Collection[str], after: Collection[str], rules: Rules = RULES,
    only: Collection[str] | None = None,
) -> tuple[NoteExpression, frozenset[str]]:
    """A note's expression when its marks change.

    Args:
        expression: as it is under the marks ``before``.
        before: marks it was played with; none for a fresh draw, which is made without marks.
        after: marks it is to be played with.
        rules: the table.
        only: attributes that may move; None is all.

    Returns:
        The expression, and the attributes that moved.
    """
    old, new = combined(before, rules), combined(after, rules)
    values: dict[str, float] = {
        "level_db": expression.level_db + new.level_db - old.level_db,
        "attack_s": expression.attack_s * (new.attack / old.attack),
        "attack_noise_db": expression.attack_noise_db + new.noise_db - old.noise_db,
        "release_s": expression.release_s * (new.release / old.release),
    }
    if new.peak != old.peak:
        values["peak_position"] = PLAIN_PEAK if new.peak is None else new.peak
    if expression.length_ratio is not None and new.length != old.length:
        # what a lengthening cut off at the full length is not known any more: the plain length stands for it
        plain = PLAIN_LENGTH if old.length > 1.0 else expression.length_ratio / old.length
        values["length_ratio"] = min(plain * new.length, max(1.0, plain))
    moved = {}
    for name, value in values.items():
        low, high, _ = ATTRIBUTE_RANGES[name]
        value = min(max(value, low), high)
        if value != getattr(expression, name) and (only is None or name in only):
            moved[name] = value
    return replace(expression, **moved), frozenset(moved)


def swell(part: str, note: Note, marks: Collection[str], rules: Rules = RULES, *, origin: str) -> Curve | None:
    """The level curve that accents draw on a note: up at the onset, then back to the note's level; or None."""
    rule = combined(marks, rules)
    if rule.swell_db == 0.0:
        return None
    fall = min(rule.swell_share * note.duration, LONGEST_SWELL_S)
    return Curve(target="level", times=(0.0, 0.3 * fall, fall), values=(rule.swell_db, 0.8 * rule.swell_db, 0.0),
                 part=part, note_id=note.id, anchor="onset", origin=origin)
