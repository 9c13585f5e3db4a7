"""Controllers of a MIDI part as curves: what the player's hand did.

| lane | becomes | at value v | unset |
|---|---|---|---|
| ``cc7`` volume | ``gain`` | 40 log10(v / 100) dB | 0 dB: 100 is General MIDI's default |
| ``cc11`` expression | ``level`` | 40 log10(v / 127) dB | 0 dB: 127 is General MIDI's default |
| ``cc2`` breath | as ``cc11``, in a part without ``cc11`` | | 0 dB |
| ``bend`` | ``pitch`` | 100 cents a semitone | 0 cents |
| ``cc10`` pan | a place in the mix (``controller_pan``) | (v - 64) / 63 | the instrument's own seat |

Other lanes (``cc1`` modulation, ``pressure`` and the rest) are kept with the part and move nothing here. ``cc64`` and
``cc68`` have already shaped the notes when a part is read.

A controller is a row of steps of 1/127. So that the steps are not heard, each becomes a short ramp that arrives where
the event stands: small steps may take 50 ms, which turns a moving fader into a straight line; a jump takes 10 ms, so
that a fader set back between two notes does not swell the end of the first. Bend takes 10 ms always.

Source: General MIDI's recommendation that volume follow 40 log10(v / 127) dB.
"""

from __future__ import annotations

import math

from mididdsp.expression.types import Curve
from mididdsp.notes.types import Lane, Part

DEFAULT_VOLUME = 100
DEFAULT_EXPRESSION = 127
CLOSED_DB = -120.0
"""Level of a controller at 0."""

SMALL_STEP_DB = 3.0
SMALL_STEP_RAMP_S = 0.05
JUMP_RAMP_S = 0.01


def controller_curves(part: Part) -> tuple[Curve, ...]:
    """The curves that a part's controllers ask for, by the table above.

    A controller whose first event comes after the part's first onset is at its default until then.

    Returns:
        At most one curve each of gain, level and pitch, origin ``controller``; none for a lane that changes nothing.
    """
    curves = []
    volume = part.lane("cc7")
    dynamics = part.lane("cc11") or part.lane("cc2")
    bend = part.lane("bend")
    if volume is not None:
        curves.append(_curve(part, "gain", volume, [fader_db(v, DEFAULT_VOLUME) for v in volume.values]))
    if dynamics is not None:
        curves.append(_curve(part, "level", dynamics, [fader_db(v, DEFAULT_EXPRESSION) for v in dynamics.values]))
    if bend is not None:
        curves.append(_curve(part, "pitch", bend, [100.0 * semitones for semitones in bend.values]))
    return tuple(curve for curve in curves if curve is not None)


def controller_pan(part: Part) -> float | None:
    """Where ``cc10`` places the part when its first note sounds: -1 (left) to 1 (right); None where it says nothing."""
    lane = part.lane("cc10")
    if lane is None or not lane.values:
        return None
    first = part.notes[0].onset if part.notes else 0.0
    before = [value for time, value in zip(lane.times, lane.values) if time <= first]
    return min(max((before[-1] if before else lane.values[0]) - 64.0, -63.0), 63.0) / 63.0


def fader_db(value: float, reference: float) -> float:
    """Level of a controller value 0–127 in dB re ``reference``; never below ``CLOSED_DB``."""
    return max(40.0 * math.log10(value / reference), CLOSED_DB) if value > 0 else CLOSED_DB


def _curve(part: Part, target: str, lane: Lane, values: list[float]) -> Curve | None:
    """The lane's steps as a line of short ramps; None when it stays at 0 throughout."""
    steps = _steps(lane, values, part.notes[0].onset if part.notes else 0.0)
    if all(value == 0.0 for _, value in steps):
        return None
    times, line = [steps[0][0]], [steps[0][1]]
    for (before, _), (time, value) in zip(steps, steps[1:]):
        small = target != "pitch" and abs(value - line[-1]) <= SMALL_STEP_DB
        ramp_s = SMALL_STEP_RAMP_S if small else JUMP_RAMP_S
        if time - before > ramp_s:
            times.append(time - ramp_s)
            line.append(line[-1])
        times.append(time)
        line.append(value)
    return Curve(target=target, times=tuple(times), values=tuple(line), part=part.name, origin="controller")


def _steps(lane: Lane, values: list[float], first_onset: float) -> list[tuple[float, float]]:
    """The events that change something, one a time; with the default, 0, before them where they begin late."""
    steps: list[tuple[float, float]] = []
    if not lane.times or lane.times[0] > first_onset:
        steps.append((min(0.0, first_onset), 0.0))
    for time, value in zip(lane.times, values):
        if steps and steps[-1][0] == time:
            steps[-1] = (time, value)  # of events at one time the last counts
        elif not steps or steps[-1][1] != value:
            steps.append((time, value))
    return steps
