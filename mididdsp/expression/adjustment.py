"""A player's own manner over the shipped expression model: what is drawn is moved to what was measured of the player.

The model draws as it learned; then, for the instruments there is an adjustment of, each attribute moves by a straight
line in the note's pitch, length and level and in whether it is joined (attack and release by factors), and the vibrato
is scaled, its faintest swings being left out where the player uses it less. Level, timing, tuning and joints stay.

A least-squares line with a ridge (Hoerl and Kennard 1970), fitted to what the model would have drawn of the notes that
were measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.expression.types import ATTRIBUTE_RANGES, NoteExpression
from mididdsp.notes.types import PartPlan, PlannedNote

Array = NDArray[np.floating[Any]]
Given = Mapping[str, Mapping[str, float | None]]

MOVED = ("brightness", "fluctuation_db", "attack_s", "release_s")
"""Attributes that are moved; the last two by factors. The noise of attacks is not: in a room most of what is measured
between a note's partials at its beginning is the ring of the note before it."""

FACTORS = frozenset(("attack_s", "release_s"))
_SMALLEST_S = 0.003
_REFERENCE_LEVEL_DB = -26.0
_RIDGE = 8.0
"""Notes of weight that say there is nothing to move."""

_LONG_S = 0.3
"""Shorter notes say nothing of a vibrato."""

_FEWEST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """How a player differs from the model.

    Attributes:
        lines: attribute to the weights of the features (see :func:`features`); in log seconds for ``FACTORS``.
        vibrato_scale: factor of the extent.
        vibrato_from_cents: smaller drawn extents, before scaling, are played without vibrato.
    """

    lines: Mapping[str, tuple[float, ...]]
    vibrato_scale: float = 1.0
    vibrato_from_cents: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values for a card."""
        return {"lines": {name: list(weights) for name, weights in self.lines.items()},
                "vibrato_scale": self.vibrato_scale, "vibrato_from_cents": self.vibrato_from_cents}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Adjustment:
        """What :meth:`to_json` gave; KeyError, TypeError or ValueError for anything else."""
        lines = {str(name): tuple(float(weight) for weight in weights) for name, weights in value["lines"].items()}
        wrong = [name for name, weights in lines.items() if name not in MOVED or len(weights) != 5]
        if wrong:
            raise ValueError(f"{wrong[0]} cannot be moved by this version")
        return cls(lines=lines, vibrato_scale=float(value["vibrato_scale"]),
                   vibrato_from_cents=float(value["vibrato_from_cents"]))


def features(pitch: float, seconds: float, level_db: float, joined: bool) -> Array:
    """What a line is drawn over: 1, pitch, length, level and whether the note is joined; values near ±1; [5]."""
    return np.array([1.0, (pitch - 60.0) / 20.0, np.log(max(seconds, 0.01) / 0.5),
                     np.clip((level_db - _REFERENCE_LEVEL_DB) / 10.0, -3.0, 3.0), float(joined)])


def fit(
    notes: Sequence[tuple[float, float, bool]], measured: Sequence[NoteExpression], drawn: Sequence[NoteExpression]
) -> Adjustment:
    """The adjustment that moves drawn expressions to measured ones.

    Args:
        notes: (pitch, seconds, joined) of each.
        measured: of the player.
        drawn: by the model at temperature 0, given the measured level.

    Raises:
        ValueError: there are fewer than eight notes, or not as many of each.
    """
    if not len(notes) == len(measured) == len(drawn) >= _FEWEST:
        raise ValueError(f"{len(notes)} notes, {len(measured)} measured and {len(drawn)} drawn expressions were given; "
                         f"give as many of each, at least {_FEWEST}")
    design = np.stack([features(pitch, seconds, one.level_db, joined)
                       for (pitch, seconds, joined), one in zip(notes, measured)])
    lines = {}
    for name in MOVED:
        scale = _scale(name)
        error = np.array([scale(getattr(own, name)) - scale(getattr(model, name))
                          for own, model in zip(measured, drawn)])
        use = np.ones(len(error), bool) if name != "attack_s" else design[:, 4] == 0.0
        if use.sum() < _FEWEST:
            continue
        lines[name] = tuple(float(weight) for weight in _line(design[use], error[use]))
    long = [index for index, (_, seconds, _) in enumerate(notes) if seconds >= _LONG_S]
    scale_by, least = _vibrato([measured[index].vibrato_cents for index in long],
                               [drawn[index].vibrato_cents for index in long])
    return Adjustment(lines=lines, vibrato_scale=scale_by, vibrato_from_cents=least)


def _line(design: Array, error: Array) -> Array:
    """Ridge weights, fitted again without the farthest tenth: a few notes are badly measured."""
    keep = np.ones(len(error), bool)
    weights: Array = np.zeros(design.shape[1])
    for _ in range(2):
        rows, values = design[keep], error[keep]
        weights = np.linalg.solve(rows.T @ rows + _RIDGE * np.eye(design.shape[1]), rows.T @ values)
        residual = np.abs(error - design @ weights)
        keep = residual <= np.quantile(residual, 0.9)
    return np.asarray(weights)


def _vibrato(measured: Sequence[float], drawn: Sequence[float]) -> tuple[float, float]:
    """(factor of the extent, extent below which none is played) from notes long enough to tell."""
    swings = [cents for cents in measured if cents > 0]
    models = sorted(cents for cents in drawn if cents > 0)
    if len(measured) < _FEWEST or not models:
        return 1.0, 0.0
    wanted = len(swings) / len(measured) * len(drawn)
    dropped = max(0, len(models) - round(wanted))
    least = 0.5 * (models[dropped - 1] + models[dropped]) if 0 < dropped < len(models) else \
        (models[-1] + 1.0 if dropped else 0.0)
    left = models[dropped:]
    if len(swings) < _FEWEST or not left:
        return 1.0, float(least)
    return float(np.clip(np.median(swings) / np.median(left), 0.3, 3.0)), float(least)


def _scale(name: str) -> Callable[[float], float]:
    if name in FACTORS:
        return lambda value: float(np.log(max(value, _SMALLEST_S)))
    return float


def adjusted(expression: NoteExpression, item: PlannedNote, how: Adjustment) -> NoteExpression:
    """A drawn expression as the player would have it."""
    place = features(item.note.pitch, item.note.duration, expression.level_db, item.joined)
    changes: dict[str, float | None] = {}
    for name, weights in how.lines.items():
        by = float(place @ np.array(weights))
        value = float(getattr(expression, name))
        low, high, _ = ATTRIBUTE_RANGES[name]
        moved = max(value, _SMALLEST_S) * float(np.exp(np.clip(by, -3.0, 3.0))) if name in FACTORS else value + by
        changes[name] = float(np.clip(moved, low, high))
    if expression.vibrato_cents > 0:
        if expression.vibrato_cents < how.vibrato_from_cents:
            changes |= {"vibrato_cents": 0.0, "vibrato_rate_hz": None, "vibrato_delay_s": None}
        else:
            high = ATTRIBUTE_RANGES["vibrato_cents"][1]
            changes["vibrato_cents"] = float(min(expression.vibrato_cents * how.vibrato_scale, high))
    return replace(expression, **changes)  # type: ignore[arg-type]


class AdjustedExpression:
    """An expression generator with adjustments for some instruments; draws as ``ExpressionGenerator`` does.

    Args:
        base: the generator.
        adjustments: by instrument.
    """

    local = True

    def __init__(self, base: Any, adjustments: Mapping[str, Adjustment]) -> None:
        self.base = base
        self.adjustments = dict(adjustments)

    @property
    def network(self) -> Any:
        """The network of ``base``."""
        return self.base.network

    def express(
        self, plan: PartPlan, *, seed: int, temperature: float = 1.0, given: Given | None = None
    ) -> dict[str, NoteExpression]:
        """An expression for every note of a part; what is given is kept as it is."""
        how = self.adjustments.get(plan.part.instrument)
        if how is None:
            result: dict[str, NoteExpression] = self.base.express(plan, seed=seed, temperature=temperature, given=given)
            return result
        planned = {item.note.id: item for chain in plan.chains for item in chain.notes}
        asked = {note_id: _as_model(values, planned[note_id], how) for note_id, values in (given or {}).items()
                 if note_id in planned}
        drawn: dict[str, NoteExpression] = self.base.express(plan, seed=seed, temperature=temperature, given=asked)
        result = {}
        for note_id, expression in drawn.items():
            kept = (given or {}).get(note_id, {})
            moved = adjusted(expression, planned[note_id], how)
            result[note_id] = replace(moved, **dict(kept)) if kept else moved  # type: ignore[arg-type]
        return result


def _as_model(values: Mapping[str, float | None], item: PlannedNote, how: Adjustment) -> dict[str, float | None]:
    """Given attributes on the model's own scale, so that what is drawn beside them fits."""
    level = values.get("level_db")
    place = features(item.note.pitch, item.note.duration, _REFERENCE_LEVEL_DB if level is None else level, item.joined)
    result = dict(values)
    for name, weights in how.lines.items():
        value = values.get(name)
        if value is None:
            continue
        by = float(place @ np.array(weights))
        low, high, _ = ATTRIBUTE_RANGES[name]
        moved = max(value, _SMALLEST_S) * float(np.exp(-np.clip(by, -3.0, 3.0))) if name in FACTORS else value - by
        result[name] = float(np.clip(moved, low, high))
    return result
