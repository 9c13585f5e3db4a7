"""The notes an edit works on: values, marks and curves of the chosen notes, changed step by step.

What a hand sets stops at the edge of its range, and carries the origin ``hand``. The performance itself is not changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from mididdsp.expression.articulation import USUAL_GLIDE_S, Rules, articulated, swell
from mididdsp.expression.quantities import EditError
from mididdsp.expression.types import ATTRIBUTE_RANGES, VIBRATO_ATTRIBUTES, Curve, Performance
from mididdsp.notes.types import Note, Part, Score

USUAL_VIBRATO: Mapping[str, tuple[float, float, float]] = MappingProxyType({
    "violin": (20.0, 5.9, 0.10), "viola": (20.0, 6.0, 0.12), "cello": (20.0, 6.0, 0.12),
    "double_bass": (15.0, 5.8, 0.15), "flute": (15.0, 5.6, 0.18), "oboe": (15.0, 5.7, 0.15),
    "english_horn": (15.0, 5.7, 0.15), "clarinet": (10.0, 5.3, 0.25), "bass_clarinet": (10.0, 5.3, 0.25),
    "saxophone": (20.0, 5.1, 0.30), "bassoon": (15.0, 5.8, 0.30), "contrabassoon": (12.0, 5.8, 0.30),
    "trumpet": (15.0, 5.3, 0.25), "horn": (10.0, 5.4, 0.25), "trombone": (15.0, 5.1, 0.25), "tuba": (12.0, 5.4, 0.20),
})
"""Extent (cents), rate (Hz) and delay (s) where neither the edit nor the part says any: what players of each do."""


class Workpiece:
    """The chosen notes of a performance while assignments are carried out, one after the other.

    Attributes:
        rules: what articulation marks do.
        ids: of the chosen notes, in the order of the score.
        expressions, origins, curves: of the performance, as they are by now.
        marks: note id to articulations, of the chosen notes.
        players: part name to how many are to play it, where that was asked for.
        touched: attributes that were set.
    """

    def __init__(self, performance: Performance, chosen: Sequence[str], rules: Rules) -> None:
        self.rules = rules
        self.ids = tuple(chosen)
        self.parts = list(notes_by_part(performance, chosen))
        self.part_of = {note.id: part for part, notes in self.parts for note in notes}
        self.notes = {note.id: note for _, notes in self.parts for note in notes}
        self.expressions = dict(performance.expressions)
        self.origins: dict[str, dict[str, str]] = {key: dict(value) for key, value in performance.origins.items()}
        self.curves = list(performance.curves)
        self.touched: set[str] = set()
        self.marks = {note_id: note.articulations for note_id, note in self.notes.items()}
        self.players: dict[str, int] = {}

    @property
    def span(self) -> tuple[float, float]:
        """From the first chosen onset to the last chosen offset, s."""
        return (min(note.onset for note in self.notes.values()), max(note.offset for note in self.notes.values()))

    def set(self, note_id: str, **values: float | None) -> None:
        """Give a note values from the hand, at the edge of the range where they are beyond it."""
        legal: dict[str, float | None] = {}
        for name, value in values.items():
            low, high, nullable = ATTRIBUTE_RANGES[name]
            if value is None and not nullable:
                raise EditError(f"{name} cannot be none; give a number from {low:g} to {high:g}")
            if value is not None and not math.isfinite(value):
                raise EditError(f"{name} would be {value}; give a number from {low:g} to {high:g}")
            legal[name] = None if value is None else min(max(value, low), high)
        old = self.expressions[note_id]
        changed = {name: value for name, value in legal.items() if getattr(old, name) != value}
        self.expressions[note_id] = replace(old, **changed)  # type: ignore[arg-type]
        if legal:
            self.origins.setdefault(note_id, {}).update(dict.fromkeys(legal, "hand"))
        self.touched |= set(legal)

    def vibrato(self, note_id: str) -> tuple[float, float, float]:
        """Extent, rate and delay that would be usual for a note: those of its part, else of its instrument."""
        part = self.part_of[note_id]
        table = USUAL_VIBRATO[part.instrument]
        heard = [self.expressions[note.id] for note in part.notes if self.expressions[note.id].vibrato_cents > 0]
        usual = []
        for name, default in zip(VIBRATO_ATTRIBUTES, table):
            known = [getattr(item, name) for item in heard if getattr(item, name) is not None]
            usual.append(float(np.median(known)) if len(known) >= 3 else default)
        return usual[0], usual[1], min(usual[2], 0.25 * self.notes[note_id].duration)

    def drop_curves(
        self, target: str | None, band: tuple[int, int] | None = None, *, keep_swells: bool = False
    ) -> None:
        """Take off what a hand has drawn on the chosen notes; None is every target, and every band."""
        def goes(curve: Curve) -> bool:
            if curve.origin != "hand" or curve.note_id not in self.notes or target not in (None, curve.target):
                return False
            if band not in (None, curve.band):
                return False
            return not (keep_swells and curve == self.swell(curve.note_id))

        self.curves = [curve for curve in self.curves if not goes(curve)]

    def swell(self, note_id: str, origin: str = "hand") -> Curve | None:
        """The curve that a note's marks draw."""
        return swell(self.part_of[note_id].name, self.notes[note_id], self.marks[note_id], self.rules, origin=origin)

    def mark(self, note_id: str, marks: Iterable[str]) -> None:
        """Change a note's articulation, and what that does to it."""
        after = tuple(sorted(set(marks)))
        before = self.marks[note_id]
        if after == before:
            return
        old_swells = [self.swell(note_id, origin) for origin in ("score", "hand")]
        self.curves = [curve for curve in self.curves if curve not in old_swells]
        moved, names = articulated(self.expressions[note_id], before, after, self.rules)
        self.set(note_id, **{name: getattr(moved, name) for name in names})
        self.marks[note_id] = after
        drawn = self.swell(note_id)
        if drawn is not None:
            self.curves.append(drawn)
        if "legato" in after and moved.glide_s is None:
            self.set(note_id, glide_s=USUAL_GLIDE_S)

    def changed(self, score: Score) -> dict[str, Any]:
        """What was changed, as fields of the performance whose score this is."""
        if any(self.marks[note_id] != note.articulations for note_id, note in self.notes.items()):
            def remarked(note: Note) -> Note:
                marks = self.marks.get(note.id, note.articulations)
                return note if marks == note.articulations else replace(note, articulations=marks)

            score = replace(score, parts=tuple(
                replace(part, notes=tuple(map(remarked, part.notes)))
                if any(note.id in self.notes for note in part.notes) else part for part in score.parts))
        if self.players:
            score = replace(score, parts=tuple(
                replace(part, players=self.players.get(part.name, part.players)) for part in score.parts))
        return {"score": score, "expressions": self.expressions, "origins": self.origins, "curves": tuple(self.curves)}


def notes_by_part(performance: Performance, ids: Sequence[str]) -> Iterable[tuple[Part, list[Note]]]:
    """The parts that have one of these notes, with theirs, in the order of the score."""
    wanted = set(ids)
    for part in performance.score.parts:
        notes = [note for note in part.notes if note.id in wanted]
        if notes:
            yield part, notes
