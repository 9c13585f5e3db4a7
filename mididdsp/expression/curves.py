"""Drawn lines, sampled where the sound needs them.

Conventions: curves that ``add`` are summed, in dB or cents; between its points a curve is linear, before the first and
after the last it holds. A curve of the piece acts everywhere. A curve anchored to a note acts from the note's onset
until the next onset at or after the note's offset, so that it carries the release and leaves the next note alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mididdsp.expression.types import Curve
from mididdsp.notes.types import Part

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Line:
    start: float
    end: float
    times: Float64
    values: Float64


def curve_function(curves: Sequence[Curve], target: str, part: Part) -> Callable[[Float64], Float64] | None:
    """The sum of a part's curves as a function of time.

    Args:
        curves: of a performance; those of other parts and targets are passed over.
        target: a key of ``CURVE_TARGETS``.
        part: the part that plays.

    Returns:
        A function from times in seconds [N] to values in the target's unit [N], or None where no curve applies.

    Raises:
        ValueError: a curve is anchored to a note the part does not have, or ``set`` instead of adding.
    """
    chosen = [curve for curve in curves if curve.target == target and curve.part == part.name]
    if not chosen:
        return None
    notes = {note.id: note for note in part.notes}
    onsets = np.array([note.onset for note in part.notes])
    whole: list[_Line] = []
    local: list[_Line] = []
    for curve in chosen:
        if curve.mode != "add":
            raise ValueError(f"part {part.name}: a curve sets the {target}, and only curves that add are played; "
                             "change its mode to add")
        times, values = np.array(curve.times, np.float64), np.array(curve.values, np.float64)
        if curve.note_id is None:
            whole.append(_Line(-np.inf, np.inf, times, values))
            continue
        if curve.note_id not in notes:
            raise ValueError(f"part {part.name}: a curve is anchored to note {curve.note_id}, which the part does not "
                             "have; remove the curve or name another note")
        note = notes[curve.note_id]
        following = np.searchsorted(onsets, note.offset)
        end = float(onsets[following]) if following < len(onsets) else np.inf
        local.append(_Line(note.onset, end, times + (note.onset if curve.anchor == "onset" else note.offset), values))
    starts = np.array([line.start for line in local])
    ends = np.array([line.end for line in local])

    def value(times: Float64) -> Float64:
        times = np.asarray(times, np.float64)
        total = np.zeros(times.shape)
        for line in whole:
            total += np.interp(times, line.times, line.values)
        if local and times.size:
            for index in np.flatnonzero((starts <= times.max()) & (ends > times.min())):
                line = local[index]
                acts = (times >= line.start) & (times < line.end)
                total += np.where(acts, np.interp(times, line.times, line.values), 0.0)
        return total

    return value


def sample_curves(curves: Sequence[Curve], target: str, part: Part, times: Float64) -> Float64:
    """The sum of a part's curves at ``times`` (s) [N], in the target's unit [N]; 0 where none applies.

    Raises:
        ValueError: as ``curve_function``, which serves better where one part is sampled many times.
    """
    function = curve_function(curves, target, part)
    return np.zeros(np.shape(times)) if function is None else function(times)
