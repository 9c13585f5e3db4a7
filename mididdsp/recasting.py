"""A performance given to another instrument: the same notes, played as they were, by somebody else.

Timing, length, vibrato, tuning and dynamics are the player's and stay. Brightness and the noise of attacks belong to
the instrument as much as to the player: what is kept of them is the distance from what the instrument's players do with
these notes on the average, as the prior over expression knows it. Values that a hand or a lock holds stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mididdsp.evenness import Prior
from mididdsp.expression.types import ATTRIBUTE_RANGES, NoteExpression, Performance
from mididdsp.instruments import instrument
from mididdsp.notes.types import Part
from mididdsp.notes.voices import plan_part

INSTRUMENTAL = ("brightness", "attack_noise_db")
"""Attributes that are moved from one instrument's average to the other's."""


def recast(
    performance: Performance, instruments: Mapping[str, str], prior: Prior
) -> tuple[Performance, tuple[str, ...]]:
    """The performance with other instruments.

    Args:
        performance: as it is.
        instruments: part name, or ``*`` for all, to instrument.
        prior: over expression.

    Returns:
        The new performance, and sentences about notes that an instrument cannot play.

    Raises:
        ValueError: no part has a name that is given, or there is no such instrument.
    """
    names = [part.name for part in performance.score.parts]
    for name in instruments:
        if name != "*" and name not in names:
            raise ValueError(f"no part is called {name!r}; the parts are {', '.join(names)}")
    parts, expressions, messages = [], dict(performance.expressions), []
    for part in performance.score.parts:
        chosen = instruments.get(part.name, instruments.get("*"))
        if chosen is None or instrument(chosen).name == part.instrument:
            parts.append(part)
            continue
        other = replace(part, instrument=instrument(chosen).name, program=None)
        parts.append(other)
        messages += _beyond(other)
        expressions.update(_moved(performance, part, other, prior))
    score = replace(performance.score, parts=tuple(parts))
    return replace(performance, score=score, expressions=expressions), tuple(messages)


def _moved(performance: Performance, part: Part, other: Part, prior: Prior) -> dict[str, NoteExpression]:
    mean, wanted = (prior.express(plan_part(item), seed=performance.seed, temperature=0.0) for item in (part, other))
    result = {}
    for note in part.notes:
        old = performance.expressions[note.id]
        origins, locks = performance.origins.get(note.id, {}), performance.locks.get(note.id, frozenset())
        values = {}
        for name in INSTRUMENTAL:
            if origins.get(name) == "hand" or name in locks:
                continue
            moved = getattr(old, name) + getattr(wanted[note.id], name) - getattr(mean[note.id], name)
            low, high, _ = ATTRIBUTE_RANGES[name]
            values[name] = float(np.clip(moved, low, high))
        result[note.id] = replace(old, **values)
    return result


def _beyond(part: Part) -> list[str]:
    known = instrument(part.instrument)
    beyond = [note for note in part.notes if not known.holds(note.pitch)]
    if not beyond:
        return []
    return [f"{part.name}: {len(beyond)} of {len(part.notes)} notes lie outside the range of the "
            f"{known.label.lower()}; it plays them as well as it can"]
