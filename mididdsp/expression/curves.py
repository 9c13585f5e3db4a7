"""Drawn lines, sampled where the sound needs them.

Conventions: between its points a curve is linear, before the first and after the last it holds. A curve of the piece
acts on all notes of its part. A curve anchored to a note acts on that note alone, from its attack to the end of its
release, whatever sounds beside it; its times count from where the note begins to sound, or from its written end.

Curves apply in layers: what the score asks for, controllers, the hand. In each layer curves that ``set`` come first and
curves that ``add`` after them, in order. A curve that sets takes the place of what lies below it, from its first point
to its last, with a blend of ``BLEND_S`` outside; on a note it reaches to the note's end where its points do.

A set ``pitch`` is the deviation from the written pitch in cents (0: exactly in tune, without vibrato), a set ``level``
the level of partials and noise in dB re full scale over the body of the note, a set ``gain`` dB in place of all gains,
a set ``noise`` or ``partials`` the level of the noise, or of that band, in dB re full scale. Bands of partials are
lines of their own, each with its layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.expression.types import ORIGINS, Curve, NoteExpression
from mididdsp.notes.types import Note, Part

Float64 = NDArray[np.float64]
Floating = NDArray[np.floating[Any]]

BLEND_S = 0.02
"""Way from what is generated to what is set, and back: too short to hear as a fade, too long to click."""

_AT_THE_EDGE_S = 0.02
"""Points this near to a note's ends are meant to reach them."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A curve in absolute time; it acts fully from ``start`` to ``end``."""

    sets: bool
    layer: int
    times: Float64
    values: Float64
    start: float
    end: float

    def value(self, times: Float64) -> Float64:
        return np.asarray(np.interp(times, self.times, self.values))

    def weight(self, times: Float64) -> Float64:
        """1 where the line acts, 0 where it does not, blended outside its ends."""
        outside = np.maximum(np.maximum(self.start - times, times - self.end), 0.0)
        return np.asarray(np.clip(1.0 - outside / BLEND_S, 0.0, 1.0))


_Target = tuple[str, tuple[int, ...]]
"""A curve's target and its band, () where it has none."""


class PartCurves:
    """The curves of one part, note by note.

    Args:
        curves: of a performance; those of other parts are passed over.
        part: the part that plays.
        expressions: of its notes, which shift their onsets; None where they are not known.

    Raises:
        ValueError: a curve is anchored to a note the part does not have.
    """

    def __init__(
        self, curves: Sequence[Curve], part: Part, expressions: Mapping[str, NoteExpression] | None = None
    ) -> None:
        notes = {note.id: note for note in part.notes}
        self._whole: dict[_Target, list[_Line]] = {}
        self._own: dict[str, dict[_Target, list[_Line]]] = {}
        for curve in curves:
            if curve.part != part.name:
                continue
            if curve.note_id is None:
                self._whole.setdefault((curve.target, curve.band or ()), []).append(_piece_line(curve))
                continue
            if curve.note_id not in notes:
                raise ValueError(f"part {part.name}: a curve is anchored to note {curve.note_id}, which the part does "
                                 "not have; remove the curve or name another note")
            note = notes[curve.note_id]
            shift = 0.0 if expressions is None else expressions[note.id].timing_s
            line = _note_line(curve, note, max(0.0, note.onset + shift))
            self._own.setdefault(note.id, {}).setdefault((curve.target, curve.band or ()), []).append(line)

    def bands(self, note_id: str) -> tuple[tuple[int, int], ...]:
        """The bands of partials in which something is drawn on a note, first and last partial each."""
        found = {band for target, band in (*self._whole, *self._own.get(note_id, ())) if target == "partials"}
        return tuple((band[0], band[1]) for band in sorted(found))

    def __call__(
        self, target: str, note_id: str, times: Floating, band: tuple[int, int] | None = None
    ) -> tuple[Floating, Floating] | None:
        """What becomes of a note's generated line: (factor, summand), out = factor * generated + summand.

        Args:
            target: a key of ``CURVE_TARGETS``.
            note_id: of the note.
            times: s from the start of the piece, anywhere in the note's sound; [N].
            band: of the partials, for ``partials``.

        Returns:
            Factor (0 where the line is set, 1 where it is not) and summand in the target's unit, both [N]; None where
            no curve acts.
        """
        key = (target, band or ())
        lines = [*self._whole.get(key, ()), *self._own.get(note_id, {}).get(key, ())]
        if not lines:
            return None
        times = np.asarray(times, np.float64)
        factor, summand = np.ones(times.shape), np.zeros(times.shape)
        for line in sorted(lines, key=lambda item: (item.layer, not item.sets)):
            if line.sets:
                weight = line.weight(times)
                factor = factor * (1.0 - weight)
                summand = summand * (1.0 - weight) + weight * line.value(times)
            else:
                summand = summand + line.value(times)
        return factor, summand

    def key(self, note_id: str, start_s: float, end_s: float) -> tuple[object, ...]:
        """All that can reach a note that sounds from ``start_s`` to ``end_s``: two equal keys, two equal lines."""
        parts: list[object] = []
        for target, lines in sorted(self._whole.items()):
            for line in lines:
                first = max(0, int(np.searchsorted(line.times, start_s - 1.0)) - 1)
                last = int(np.searchsorted(line.times, end_s + 1.0, side="right")) + 1
                # a set line says where it ends; an adding one only by its points
                ends = (line.start, line.end) if line.sets else ()
                parts.append((target, line.layer, line.sets, *ends, line.times[first:last].tobytes(),
                              line.values[first:last].tobytes()))
        for target, lines in sorted(self._own.get(note_id, {}).items()):
            parts.extend((target, line.layer, line.sets, line.start, line.end, line.times.tobytes(),
                          line.values.tobytes()) for line in lines)
        return tuple(parts)


def _piece_line(curve: Curve) -> _Line:
    times, values = np.array(curve.times, np.float64), np.array(curve.values, np.float64)
    return _Line(sets=curve.mode == "set", layer=ORIGINS.index(curve.origin), times=times, values=values,
                 start=float(times[0]), end=float(times[-1]))


def _note_line(curve: Curve, note: Note, onset: float) -> _Line:
    anchor = onset if curve.anchor == "onset" else note.offset
    times, values = np.array(curve.times, np.float64) + anchor, np.array(curve.values, np.float64)
    first, last = float(times[0]), float(times[-1])
    alone = len(times) == 1
    return _Line(sets=curve.mode == "set", layer=ORIGINS.index(curve.origin), times=times, values=values,
                 start=-np.inf if alone or first <= onset + _AT_THE_EDGE_S else first,
                 end=np.inf if alone or last >= note.offset - _AT_THE_EDGE_S else last)


def sample_curves(
    curves: Sequence[Curve], target: str, part: Part, times: Float64, band: tuple[int, int] | None = None
) -> Float64:
    """The sum of a part's adding curves over time, for lanes and pictures; 0 where none applies.

    A note's own curve counts from its onset until the next onset at or after its offset. Curves that set are no sum and
    are left out: what they do hangs on the note (``PartCurves``).

    Args:
        curves: of a performance; those of other parts and targets are passed over.
        target: a key of ``CURVE_TARGETS``.
        part: the part that plays.
        times: s from the start of the piece; [N].
        band: of the partials, for ``partials``.

    Returns:
        In the target's unit; [N].

    Raises:
        ValueError: a curve is anchored to a note the part does not have.
    """
    times = np.asarray(times, np.float64)
    total = np.zeros(times.shape)
    notes = {note.id: note for note in part.notes}
    onsets = np.array([note.onset for note in part.notes])
    for curve in curves:
        if (curve.target, curve.band) != (target, band) or curve.part != part.name or curve.mode != "add":
            continue
        if curve.note_id is None:
            total += _piece_line(curve).value(times)
            continue
        if curve.note_id not in notes:
            raise ValueError(f"part {part.name}: a curve is anchored to note {curve.note_id}, which the part does not "
                             "have; remove the curve or name another note")
        note = notes[curve.note_id]
        following = int(np.searchsorted(onsets, note.offset))
        end = float(onsets[following]) if following < len(onsets) else np.inf
        acts = (times >= note.onset) & (times < end)
        if acts.any():
            total += np.where(acts, _note_line(curve, note, note.onset).value(times), 0.0)
    return total
