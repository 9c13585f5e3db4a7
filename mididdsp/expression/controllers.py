"""Controllers of a MIDI part as performance: what the player's hand did.

A table of rules (``controller_map``) says what each controller means: a curve of the part or, for what is sent with a
single note (polyphonic pressure, MPE), of that note; or an attribute of the notes, decided or moved. ``cc10`` is a
place in the mix (``controller_pan``). ``cc64``, ``cc66`` and ``cc68`` have already shaped the notes when a part is
read, and ``cc84`` names the key a note glides from.

A controller is a row of steps of 1/127. So that the steps are not heard, each becomes a short ramp that arrives where
the event stands: small steps may take 50 ms, which turns a moving fader into a straight line; a jump takes 10 ms, so
that a fader set back between two notes does not swell the end of the first. Bend takes 10 ms always.

Source: General MIDI's recommendation that volume follow 40 log10(v / 127) dB; General MIDI 2's sound controllers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mididdsp.expression.controller_map import DEFAULT, PRESETS, ControllerMap, Rule
from mididdsp.expression.types import ATTRIBUTE_RANGES, CURVE_TARGETS, Curve, NoteExpression
from mididdsp.notes.types import Lane, Note, Part

SMALL_STEP_DB = 3.0
SMALL_STEP_RAMP_S = 0.05
JUMP_RAMP_S = 0.01

SWITCH = 64.0
"""Pedals and switches are on from here."""

USUAL_GLIDE_S = 0.1
"""Of a glide from another key (``cc84``) where no portamento time is sent."""

NoteLanes = Mapping[str, Sequence[Lane]]
"""Note id to what was sent with that note alone, such as ``bend`` and ``pressure``; times in seconds of the piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handwork:
    """What the controllers of a part ask for.

    Attributes:
        curves: of gain, level and pitch, origin ``controller``.
        given: note id to attributes that are decided.
        moves: note id to attribute to (factor, summand) for what is drawn.
    """

    curves: tuple[Curve, ...] = ()
    given: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    moves: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)

    def moved(self, note_id: str, expression: NoteExpression) -> NoteExpression:
        """A note's drawn expression with the hand's moves on it, inside the legal ranges."""
        values = {}
        for name, (factor, summand) in self.moves.get(note_id, {}).items():
            value = getattr(expression, name)
            if value is not None:
                low, high, _ = ATTRIBUTE_RANGES[name]
                values[name] = min(max(factor * value + summand, low), high)
        if values.get("vibrato_cents", 0.0) > 0.0 and expression.vibrato_rate_hz is None:
            values |= {"vibrato_rate_hz": USUAL_VIBRATO_HZ, "vibrato_delay_s": 0.0}
        return replace(expression, **values)


USUAL_VIBRATO_HZ = 5.5
"""Of a vibrato that a wheel puts on a note which was drawn without one."""


def handwork(part: Part, rules: ControllerMap = PRESETS[DEFAULT], note_lanes: NoteLanes | None = None) -> Handwork:
    """What a part's controllers ask for, by a table.

    Args:
        part: with its lanes.
        rules: the table.
        note_lanes: what was sent with single notes; it stands beside the part's own lanes.
    """
    note_lanes = note_lanes or {}
    curves = list(_part_curves(part, rules))
    given: dict[str, dict[str, float]] = {}
    moves: dict[str, dict[str, tuple[float, float]]] = {}
    played = {lane.name: lane for lane in part.lanes}
    lanes = {name: lane for name in {rule.source for rule in rules} if (lane := _whole(played, name)) is not None}
    attribute_rules = [rule for rule in rules if rule.target not in CURVE_TARGETS and rule.unless not in played]
    for note in part.notes:
        own = {lane.name: lane for lane in note_lanes.get(note.id, ())}
        for rule in rules:
            if rule.target in CURVE_TARGETS and rule.source in own:
                lane = _whole(own, rule.source)
                curve = None if lane is None else _curve(part, rule, lane, note)
                curves.extend(() if curve is None else (curve,))
        for rule in attribute_rules:
            value = _reading(rule, note, _whole(own, rule.source) or lanes.get(rule.source))
            if value is None or (rule.gate and not _on(part, rule.gate, note.onset)):
                continue
            if rule.sets:
                if rule.blank and value < rule.value(0.5):
                    continue
                low, high, _ = ATTRIBUTE_RANGES[rule.target]
                given.setdefault(note.id, {})[rule.target] = min(max(value, low), high)
                continue
            factor, summand = moves.setdefault(note.id, {}).get(rule.target, (1.0, 0.0))
            moves[note.id][rule.target] = (
                (factor * value, summand) if rule.law == "factor" else (factor, summand + value))
    for note_given in given.values():
        if note_given.get("vibrato_cents") == 0.0:  # who closes the wheel asks for no rate
            note_given.pop("vibrato_rate_hz", None)
            note_given.pop("vibrato_delay_s", None)
    curves.extend(_glides(part))
    return Handwork(curves=tuple(curves), given=given, moves=moves)


def controller_pan(part: Part) -> float | None:
    """Where ``cc10`` places the part when its first note sounds: -1 (left) to 1 (right); None where it says nothing."""
    lane = part.lane("cc10")
    if lane is None or not lane.values:
        return None
    first = part.notes[0].onset if part.notes else 0.0
    before = [value for time, value in zip(lane.times, lane.values) if time <= first]
    return min(max((before[-1] if before else lane.values[0]) - 64.0, -63.0), 63.0) / 63.0


def _part_curves(part: Part, rules: ControllerMap) -> list[Curve]:
    """The curves of the part's own lanes.

    A controller whose first event comes after the part's first onset is at its default until then. Lanes that lead to
    one target are summed, each a curve of its own; a lane that changes nothing gives none.
    """
    played = {lane.name: lane for lane in part.lanes}
    found: list[Curve] = []
    for rule in rules:
        lane = _whole(played, rule.source)
        if rule.target in CURVE_TARGETS and lane is not None and rule.unless not in played:
            curve = _curve(part, rule, lane, None)
            found.extend(() if curve is None else (curve,))
    return found


def _whole(lanes: Mapping[str, Lane], name: str) -> Lane | None:
    """A lane, its fine half (controller + 32) added where the file has one."""
    lane = lanes.get(name)
    if lane is None or not lane.times or not name.startswith("cc") or int(name[2:]) >= 32:
        return lane
    fine = lanes.get(f"cc{int(name[2:]) + 32}")
    if fine is None or not fine.times:
        return lane
    times = sorted({*lane.times, *fine.times})
    times = [time for time in times if time >= lane.times[0]]
    values = tuple(_at(lane, time) + max(_at(fine, time), 0.0) / 128.0 for time in times)
    return Lane(name=name, times=tuple(times), values=values)


def _at(lane: Lane, time: float) -> float:
    """The value that stands at a time; the first one before it, but -1 where the lane has not begun."""
    index = bisect_right(lane.times, time + 1e-6) - 1
    return lane.values[index] if index >= 0 else -1.0


def _on(part: Part, name: str, time: float) -> bool:
    lane = part.lane(name)
    return lane is not None and _at(lane, time) >= SWITCH


def _reading(rule: Rule, note: Note, lane: Lane | None) -> float | None:
    """What a rule makes of a note; None where its source says nothing."""
    if rule.source == "velocity":
        return None if note.velocity is None else rule.value(float(note.velocity))
    if lane is None or not lane.times:
        return None
    onset = _at(lane, note.onset)
    if rule.when == "onset":
        return None if onset < 0.0 else rule.value(onset)
    edges = [note.onset, *(time for time in lane.times if note.onset < time < note.offset), note.offset]
    total = weight = 0.0
    for start, end in zip(edges, edges[1:]):
        value = _at(lane, start)
        if value >= 0.0:
            total, weight = total + value * (end - start), weight + end - start
    return rule.value(total / weight) if weight > 0.0 else None


def _glides(part: Part) -> list[Curve]:
    """``cc84``: the note after it glides from the key it names."""
    lane = part.lane("cc84")
    if lane is None:
        return []
    time_lane = part.lane("cc5")
    found = []
    onsets = [note.onset for note in part.notes]
    for time, key in zip(lane.times, lane.values):
        index = bisect_right(onsets, time - 1e-6)
        if index == len(onsets):
            break
        note = part.notes[index]
        rule = next(rule for rule in PRESETS[DEFAULT] if rule.target == "glide_s")
        glide = USUAL_GLIDE_S if time_lane is None else rule.value(max(_at(time_lane, note.onset), 0.0))
        glide = min(glide, 0.5 * note.duration)
        if key != note.pitch:
            found.append(Curve(target="pitch", times=(0.0, glide), values=(100.0 * (key - note.pitch), 0.0),
                               part=part.name, note_id=note.id, anchor="onset", origin="controller"))
    return found


def _curve(part: Part, rule: Rule, lane: Lane, note: Note | None) -> Curve | None:
    """The lane's steps as a line of short ramps; None when it stays at 0 throughout."""
    first = note.onset if note is not None else part.notes[0].onset if part.notes else 0.0
    steps = _steps(lane, [rule.value(value) for value in lane.values], first)
    if all(value == 0.0 for _, value in steps):
        return None
    times, line = [steps[0][0]], [steps[0][1]]
    for (before, _), (time, value) in zip(steps, steps[1:]):
        small = rule.target != "pitch" and abs(value - line[-1]) <= SMALL_STEP_DB
        ramp_s = SMALL_STEP_RAMP_S if small else JUMP_RAMP_S
        if time - before > ramp_s:
            times.append(time - ramp_s)
            line.append(line[-1])
        times.append(time)
        line.append(value)
    if note is None:
        return Curve(target=rule.target, times=tuple(times), values=tuple(line), part=part.name, origin="controller")
    return Curve(target=rule.target, times=tuple(time - note.onset for time in times), values=tuple(line),
                 part=part.name, note_id=note.id, anchor="onset", origin="controller")


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

