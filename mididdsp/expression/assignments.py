"""Assignments of an edit: text to what is done to the chosen notes (``mididdsp.expression.edit`` lists the forms)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mididdsp.expression.articulation import HELD_FLUCTUATION_DB
from mididdsp.expression.quantities import (
    EditError,
    Name,
    curve_value,
    is_line,
    line_named,
    named,
    number,
    seconds,
)
from mididdsp.expression.types import ATTRIBUTE_RANGES, UNDRAWN, VIBRATO_ATTRIBUTES, Curve
from mididdsp.expression.views import from_paper, to_paper
from mididdsp.expression.workpiece import Workpiece
from mididdsp.notes.types import ARTICULATIONS, MOST_PLAYERS, Note, Part

USUAL_SWELL_DB = 6.0
"""A crescendo without figures."""

SHORTEST_HELD_S = 0.25
"""In shorter notes the level is left to move of itself: nobody hears a line in them."""

_ASSIGNMENT = re.compile(r"\s*(partials\.\d+(?:-\d+)?|[A-Za-z_.]+)\s*(\+=|-=|\*=|/=|=)\s*(.*?)\s*", re.DOTALL)
_CALL = re.compile(r"([a-z]+)\s*\((.*)\)", re.DOTALL)
_WORD = re.compile(r"\s*([A-Za-z]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_SWELLS = {"crescendo": 1.0, "cresc": 1.0, "diminuendo": -1.0, "dim": -1.0, "decrescendo": -1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What to do, and the attribute it is about, which decides the order."""

    about: str
    apply: Callable[[Workpiece], None]


def in_order(assignments: Sequence[Assignment]) -> list[Assignment]:
    """A vibrato's extent goes before its rate and delay, which need one; the rest as written."""
    return sorted(assignments, key=lambda item: 0 if item.about == "vibrato_cents" else 1)


def parsed(text: str) -> Assignment:
    found = _ASSIGNMENT.fullmatch(text)
    if found is None:
        return _bare_word(text)
    word, sign, value = found[1], found[2], found[3]
    if not value:
        raise EditError(f"{text!r} has no value; write one after the sign")
    if word in ("articulation", "marks"):
        return _articulation(sign, value)
    if word == "players":
        return _players(sign, value)
    if word == "curves":
        if (sign, value) != ("=", "none"):
            raise EditError(f"{text!r}: write curves=none to take off what was drawn")
        return Assignment(about=word, apply=lambda work: work.drop_curves(None))
    call = _CALL.fullmatch(value)
    if is_line(word) and (word != "level" or call is not None):
        return _curve(word, sign, value, call)
    name = named(word)
    if call is not None:
        if call[1] != "ramp" or sign != "=":
            raise EditError(f"{text!r}: only {word}=ramp(from,to) is known")
        return _ramp(name, _pair(call[2], lambda item: _legal(name, number(item, name))))
    return _value(name, sign, value)


def _bare_word(text: str) -> Assignment:
    found = _WORD.fullmatch(text)
    word, inside = (found[1], found[2]) if found else ("", None)
    if word in ARTICULATIONS and inside is None:
        return _articulation("+=", word)
    if word in _SWELLS:
        if inside is not None and "," in inside:
            return _level_ramp(_pair(inside, lambda item: curve_value(item, "level")))
        size = USUAL_SWELL_DB if not inside else curve_value(inside, "level")
        return _swell(_SWELLS[word] * size)
    raise EditError(f"{text!r} is no edit; write a name, a sign and a value, as vibrato=60c, or one of "
                    f"{', '.join((*ARTICULATIONS, 'crescendo', 'diminuendo'))}")


def _value(name: Name, sign: str, text: str) -> Assignment:
    attribute = name.attribute
    if text == "none":
        if sign != "=":
            raise EditError(f"{attribute}{sign}none says nothing; write {attribute}=none")
        value: float | None = 0.0 if attribute == "vibrato_cents" else None
    elif sign in ("*=", "/="):
        value = number(text, Name(attribute="velocity"))  # a factor has no unit
        if sign == "/=" and value == 0.0:
            raise EditError(f"{attribute}/=0 divides by nothing; give another number")
    else:
        value = number(text, name, relative=sign != "=")
        if sign == "=":
            _legal(name, value)

    def apply(work: Workpiece) -> None:
        for note_id in work.ids:
            expression = work.expressions[note_id]
            current: float | None = getattr(expression, attribute)
            if name.paper is not None:
                current = to_paper(name.paper, expression, work.part_of[note_id].instrument)
            new = _moved(current, sign, value)
            if new is None and sign != "=":
                continue  # what is not defined cannot be moved
            if new is not None and name.paper is not None:
                new = from_paper(name.paper, new, expression.level_db, work.part_of[note_id].instrument)
            _assign(work, note_id, attribute, new)

    return Assignment(about=attribute, apply=apply)


def _legal(name: Name, value: float) -> float:
    """A value that is set, as it is; EditError where no note can have it. What is moved stops at the edge instead."""
    low, high = ATTRIBUTE_RANGES[name.attribute][:2] if name.paper is None else (0.0, 1.0)
    if not low <= value <= high:
        called = name.attribute if name.paper is None else f"paper.{name.paper}"
        raise EditError(f"{called} cannot be {value:g}; give a number from {low:g} to {high:g}")
    return value


def _moved(current: float | None, sign: str, value: float | None) -> float | None:
    if sign == "=" or value is None or current is None:
        return value if sign == "=" else None
    return {"+=": current + value, "-=": current - value, "*=": current * value,
            "/=": current / value if value else current}[sign]


def _assign(work: Workpiece, note_id: str, attribute: str, value: float | None) -> None:
    """Set an attribute, and what must go with it: a vibrato has a rate and a delay, and without one there is none."""
    expression = work.expressions[note_id]
    if attribute == "vibrato_cents":
        if value is None or value <= 0.0:
            work.set(note_id, vibrato_cents=0.0, vibrato_rate_hz=None, vibrato_delay_s=None,
                     **{name: None for name in UNDRAWN if getattr(expression, name) is not None})
            return
        _, rate, delay = work.vibrato(note_id)
        missing: dict[str, float | None] = {}
        if expression.vibrato_rate_hz is None:
            missing["vibrato_rate_hz"] = rate
        if expression.vibrato_delay_s is None:
            missing["vibrato_delay_s"] = delay
        work.set(note_id, vibrato_cents=value, **missing)
        return
    if attribute in (*VIBRATO_ATTRIBUTES, *UNDRAWN) and not expression.vibrato_cents:
        return  # a note without vibrato has no rate and no phase
    if attribute in VIBRATO_ATTRIBUTES and value is None:
        return  # and one with it cannot lose its rate alone
    work.set(note_id, **{attribute: value})


def _articulation(sign: str, text: str) -> Assignment:
    marks = [] if text == "none" else [mark.strip() for mark in text.split(",")]
    unknown = [mark for mark in marks if mark not in ARTICULATIONS]
    if unknown or sign not in ("=", "+=", "-="):
        raise EditError(f"articulation{sign}{text}: write =, += or -= and any of {', '.join(ARTICULATIONS)} or none")

    def apply(work: Workpiece) -> None:
        slurred = _slurred(work) if "legato" in marks and sign != "-=" else frozenset(work.ids)
        for note_id in work.ids:
            here = [mark for mark in marks if mark != "legato" or note_id in slurred]
            old = set(work.marks[note_id])
            work.mark(note_id, {"=": set(here), "+=": old | set(here), "-=": old - set(here)}[sign])

    return Assignment(about="articulation", apply=apply)


def _players(sign: str, text: str) -> Assignment:
    if sign != "=" or not text.strip().isdigit() or not 1 <= int(text) <= MOST_PLAYERS:
        raise EditError(f"players{sign}{text}: write how many play the part, as players=8, from 1 to {MOST_PLAYERS}")

    def apply(work: Workpiece) -> None:
        work.players.update({part.name: int(text) for part, _ in work.parts})

    return Assignment(about="players", apply=apply)


def _slurred(work: Workpiece) -> frozenset[str]:
    """The notes that a slur over the chosen ones joins: all but the first of each run; a note chosen alone is joined
    to the one before it."""
    joined = set()
    for part, notes in work.parts:
        order = [note.id for note in part.notes]
        place = {note_id: index for index, note_id in enumerate(order)}
        runs = {note.id for note in notes}
        for note in notes:
            index = place[note.id]
            before = order[index - 1] if index else None
            after = order[index + 1] if index + 1 < len(order) else None
            if before in runs or (after not in runs and before is not None):
                joined.add(note.id)
    return frozenset(joined)


def _ramp(name: Name, ends: tuple[float, float]) -> Assignment:
    """A value that moves from note to note, by where the middle of each lies between the first and the last."""
    if name.attribute == "level_db" and name.paper is None:
        return _level_ramp(ends)

    def apply(work: Workpiece) -> None:
        if not work.ids:
            return
        for note_id, note in work.notes.items():
            value = _between(work.span, ends, note.onset + 0.5 * note.duration)
            if name.paper is not None:
                value = from_paper(
                    name.paper, value, work.expressions[note_id].level_db, work.part_of[note_id].instrument)
            _assign(work, note_id, name.attribute, value)

    return Assignment(about=name.attribute, apply=apply)


def _level_ramp(ends: tuple[float, float]) -> Assignment:
    """A level that moves from note to note and inside notes: the note's level at its middle, and a line around it."""
    def apply(work: Workpiece) -> None:
        if not work.ids:
            return
        work.drop_curves("level", keep_swells=True)
        for note_id, note in work.notes.items():
            middle = _between(work.span, ends, note.onset + 0.5 * note.duration)
            work.set(note_id, level_db=middle)
            _hold(work, note_id)
            sides = [_between(work.span, ends, time) - middle for time in (note.onset, note.offset)]
            if any(sides):
                work.curves.append(_line(work.part_of[note_id], note, "level", sides))

    return Assignment(about="level_db", apply=apply)


def _swell(size_db: float) -> Assignment:
    """A crescendo or diminuendo over the chosen notes, on top of how loud they are, and heard inside held ones."""
    ramp = _added_ramp("level", (0.0, size_db))

    def apply(work: Workpiece) -> None:
        for note_id in work.ids:
            _hold(work, note_id)
        ramp.apply(work)

    return Assignment(about=ramp.about, apply=apply)


def _hold(work: Workpiece, note_id: str) -> None:
    """The level of a note moves by its line, and hardly of itself: else it would die away under its crescendo."""
    if work.notes[note_id].duration >= SHORTEST_HELD_S and work.expressions[
            note_id].fluctuation_db > HELD_FLUCTUATION_DB:
        work.set(note_id, fluctuation_db=HELD_FLUCTUATION_DB)


def _added_ramp(target: str, ends: tuple[float, float], band: tuple[int, int] | None = None) -> Assignment:
    """A line over the chosen notes, added to what is there; on each note, so that it moves with it."""
    def apply(work: Workpiece) -> None:
        for note_id, note in work.notes.items():
            sides = [_between(work.span, ends, time) for time in (note.onset, note.offset)]
            if any(sides):
                work.curves.append(_line(work.part_of[note_id], note, target, sides, band))

    return Assignment(about=target, apply=apply)


def _line(
    part: Part, note: Note, target: str, sides: Sequence[float], band: tuple[int, int] | None = None
) -> Curve:
    return Curve(target=target, times=(0.0, note.duration), values=(sides[0], sides[1]), part=part.name,
                 note_id=note.id, anchor="onset", band=band)


def _curve(word: str, sign: str, text: str, call: re.Match[str] | None) -> Assignment:
    """Assignments to what has no attribute: curves of pitch, gain, noise and partials, and of the level."""
    target, band = line_named(word)
    if sign not in ("=", "+=", "-="):
        raise EditError(f"{word}{sign}{text}: a curve is set (=) or added (+=, -=)")
    sense = -1.0 if sign == "-=" else 1.0
    if text == "none" and sign == "=":
        return Assignment(about=word, apply=lambda work: work.drop_curves(target, band))
    if target == "partials" and band is None:
        raise EditError(f"{word}{sign}{text}: say which partials, as partials.5-12{sign}{text}")
    if call is None:
        if sign == "=":
            raise EditError(f"{word}={text}: write {word}+={text} to move the {target}, or draw with "
                            f"{word}=curve(time:value,...)")
        shift = sense * curve_value(text, target)
        times, values = [0.0], [shift]
    elif call[1] == "ramp":
        ends = _pair(call[2], lambda item: curve_value(item, target))
        if sign == "=" and target == "level":
            return _level_ramp(ends)
        if sign == "=":
            raise EditError(f"{word}={text}: write {word}+={text}; what is set is drawn with {word}=curve(...)")
        return _added_ramp(target, (sense * ends[0], sense * ends[1]), band)
    elif call[1] == "curve":
        times, values = _points(call[2], target)
        values = [sense * value for value in values]
    else:
        raise EditError(f"{word}{sign}{text}: {call[1]!r} is not known; write ramp(from,to) or curve(time:value,...)")
    mode = "set" if sign == "=" else "add"

    def apply(work: Workpiece) -> None:
        if mode == "set":
            work.drop_curves(target, band, keep_swells=True)
        for note_id, part in work.part_of.items():
            work.curves.append(Curve(target=target, mode=mode, times=tuple(times), values=tuple(values), part=part.name,
                                     note_id=note_id, anchor="onset", band=band))

    return Assignment(about=word, apply=apply)


def _points(text: str, target: str) -> tuple[list[float], list[float]]:
    pairs = [item.split(":") for item in text.split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise EditError(f"curve({text}): write points as time:value with commas between, as 0s:0c,0.3s:-40c")
    times = [seconds(pair[0]) for pair in pairs]
    if any(later < earlier for earlier, later in zip(times, times[1:])):
        raise EditError(f"curve({text}): its times go back; sort them")
    return times, [curve_value(pair[1], target) for pair in pairs]


def _pair(text: str, read: Callable[[str], float]) -> tuple[float, float]:
    items = text.split(",")
    if len(items) != 2:
        raise EditError(f"ramp({text}) has {len(items)} values; write where it begins and ends, as ramp(p,f)")
    return read(items[0]), read(items[1])


def _between(span: tuple[float, float], ends: tuple[float, float], time: float) -> float:
    return float(np.interp(time, span, ends))
