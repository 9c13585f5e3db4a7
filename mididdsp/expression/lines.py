"""Lines over time, drawn or measured by other tools, out of a performance and into it.

Conventions: times are seconds from the start of the piece. ``pitch`` leaves as what sounds, in Hz, and comes back as
cents from the written pitch of the note it lies in; all other lines are dB.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace

import numpy as np

from mididdsp.expression.curves import sample_curves
from mididdsp.expression.quantities import EditError, line_named
from mididdsp.expression.types import Curve, Performance
from mididdsp.notes.types import Part
from mididdsp.units import hz_to_midi, midi_to_hz

STEP_S = 0.01
"""Between the points of a line that is written."""


class InterchangeError(ValueError):
    """A file cannot be read or written as asked; the message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line over time.

    Attributes:
        times: s from the start of the piece, increasing.
        values: Hz where ``hertz``, else cents or dB.
        hertz: what the file says its values are.
    """

    times: tuple[float, ...]
    values: tuple[float, ...]
    hertz: bool = False

    def __post_init__(self) -> None:
        if len(self.times) != len(self.values) or not self.times:
            raise InterchangeError(f"a line has {len(self.times)} times and {len(self.values)} values; give one value "
                                   "per time, at least one")
        if not all(math.isfinite(number) for number in (*self.times, *self.values)):
            raise InterchangeError("a line holds something that is no finite number; correct it")
        if any(later < earlier for earlier, later in zip(self.times, self.times[1:])):
            raise InterchangeError("the times of a line go back; sort them")


def part_of(performance: Performance, name: str | None) -> Part:
    """The part of that name, or the only one.

    Raises:
        InterchangeError: there is none, or several and no name.
    """
    parts = performance.score.parts
    names = ", ".join(repr(part.name) for part in parts)
    if name is None:
        if len(parts) != 1:
            raise InterchangeError(f"the performance has {len(parts)} parts; name one of {names}")
        return parts[0]
    for part in parts:
        if part.name.casefold() == name.casefold():
            return part
    raise InterchangeError(f"the performance has no part {name!r}; its parts are {names}")


def line_of(performance: Performance, part: Part, target: str) -> Line:
    """What the curves of a part draw, from its first onset to its last offset, every ``STEP_S``.

    ``pitch`` is what sounds, without vibrato: the written pitch of the note that began last, its tuning and the curves.
    """
    name, band = _named(target)
    if not part.notes:
        raise InterchangeError(f"part {part.name!r} has no notes, and so no line")
    start, end = part.notes[0].onset, max(note.offset for note in part.notes)
    times = start + STEP_S * np.arange(math.floor((end - start) / STEP_S) + 1, dtype=np.float64)
    values = sample_curves(performance.curves, name, part, times, band)
    if name != "pitch":
        return Line(times=tuple(times.tolist()), values=tuple(values.tolist()))
    onsets = [note.onset for note in part.notes]
    index = np.maximum(np.searchsorted(onsets, times, side="right") - 1, 0)
    pitch = np.array([note.pitch for note in part.notes])[index]
    tuning = np.array([performance.expressions[note.id].tuning_cents for note in part.notes])[index]
    hertz = midi_to_hz(pitch + (tuning + values) / 100.0)
    return Line(times=tuple(times.tolist()), values=tuple(hertz.tolist()), hertz=True)


def with_line(performance: Performance, part: Part, target: str, line: Line, *, mode: str = "set") -> Performance:
    """A performance with a line drawn into it by hand, in place of the curves a hand drew there before.

    A line in Hz becomes a curve for each note it touches (cents from the written pitch), and belongs to the note from
    then on; any other is one curve of the piece.

    Args:
        performance: to draw into.
        part: of the performance.
        target: ``pitch``, ``level``, ``gain``, ``noise``, or a band as ``partials.5-12``.
        line: to draw; Hz only for ``pitch``.
        mode: ``set`` or ``add``; a line in Hz is always set.
    """
    name, band = _named(target)
    if line.hertz and target != "pitch":
        raise InterchangeError(f"the file holds pitch in Hz, which is no {target}; choose pitch")
    if line.hertz and min(line.values) <= 0:
        raise InterchangeError("the file holds a pitch of 0 Hz or less; leave silence out")
    drawn = _note_curves(part, line) if line.hertz else [
        Curve(target=name, mode=mode, times=line.times, values=line.values, part=part.name, band=band)]
    if not drawn:
        raise InterchangeError(f"the line does not touch a note of part {part.name!r}; check its times")
    kept = tuple(curve for curve in performance.curves
                 if not (curve.part == part.name and (curve.target, curve.band) == (name, band)
                         and curve.origin == "hand"))
    return replace(performance, curves=(*kept, *drawn))


def _named(word: str) -> tuple[str, tuple[int, int] | None]:
    """Target and band of a line by its name."""
    try:
        target, band = line_named(word)
    except EditError as error:
        raise InterchangeError(str(error)) from None
    if target == "partials" and band is None:
        raise InterchangeError("the line 'partials' is of no band; say which, as partials.5-12")
    return target, band


def _note_curves(part: Part, line: Line) -> list[Curve]:
    onsets = [note.onset for note in part.notes]
    by_note: dict[str, list[tuple[float, float]]] = {}
    notes = {note.id: note for note in part.notes}
    for time, hertz in zip(line.times, line.values):
        sounding = [note for note in part.notes[max(0, bisect_right(onsets, time) - 16) : bisect_right(onsets, time)]
                    if note.onset <= time <= note.offset]
        if sounding:
            pitch = hz_to_midi(hertz)
            note = min(reversed(sounding), key=lambda item: abs(item.pitch - pitch))
            by_note.setdefault(note.id, []).append((time - note.onset, 100.0 * (pitch - note.pitch)))
    return [Curve(target="pitch", mode="set", times=tuple(time for time, _ in points),
                  values=tuple(cents for _, cents in points), part=part.name, note_id=note_id, anchor="onset")
            for note_id, points in by_note.items() if notes[note_id]]
