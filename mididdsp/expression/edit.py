"""Expression in the hand: selections of notes, edits in a musician's words, locks, drawn curves.

Nothing is changed in place: an edit returns a new performance. A ``Selection`` is a performance that remembers which of
its notes are chosen, so that steps chain and the result can be rendered or saved as it is::

    edited = performance.select(part="Violin I", bars=(3, 4)).edit(vibrato="60c").lock()

An assignment is a name, a sign and a value, in text or as keyword:

| text | does |
|---|---|
| ``vibrato=60c``, ``level=mf``, ``length=80%`` | sets |
| ``level+=3dB``, ``tuning-=5c``, ``vibrato*=1.5``, ``attack/=2`` | moves |
| ``volume=0.8``, ``paper.vibrato=0.5`` | the paper's 0…1 scales (``mididdsp.expression.views``) |
| ``level=ramp(p,f)``, ``vibrato=ramp(10c,60c)`` | from first to last chosen note; the level also inside notes |
| ``level+=ramp(0dB,6dB)``, ``crescendo``, ``diminuendo(9dB)`` | a swell drawn over what is there |
| ``articulation=staccato``, ``articulation+=accent``, ``accent``, ``articulation=none`` | marks (``articulation``) |
| ``pitch+=curve(0s:0c,0.3s:-40c)``, ``level=curve(0:-30dB,1:-20dB)``, ``gain-=2dB`` | curves, times from the onset |
| ``pitch=none``, ``curves=none`` | takes off what a hand has drawn |

Conventions: what a hand changes has the origin ``hand``. Locks hold against priors, never against a hand. Values that
leave an attribute's legal range stop at its edge.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from mididdsp.bars import Bars
from mididdsp.expression.articulation import RULES, USUAL_GLIDE_S, Rules, articulated, swell
from mididdsp.expression.quantities import SHORT_NAMES, EditError, Name, curve_value, named, number, seconds
from mididdsp.expression.select import chosen
from mididdsp.expression.types import (
    ATTRIBUTE_RANGES,
    ATTRIBUTES,
    CURVE_TARGETS,
    Curve,
    Performance,
)
from mididdsp.expression.views import from_paper, to_paper
from mididdsp.notes.types import ARTICULATIONS, Note, Part

USUAL_VIBRATO: Mapping[str, tuple[float, float, float]] = MappingProxyType({
    "violin": (20.0, 5.9, 0.10), "viola": (20.0, 6.0, 0.12), "cello": (20.0, 6.0, 0.12),
    "double_bass": (15.0, 5.8, 0.15), "flute": (15.0, 5.6, 0.18), "oboe": (15.0, 5.7, 0.15),
    "english_horn": (15.0, 5.7, 0.15), "clarinet": (10.0, 5.3, 0.25), "bass_clarinet": (10.0, 5.3, 0.25),
    "saxophone": (20.0, 5.1, 0.30), "bassoon": (15.0, 5.8, 0.30), "contrabassoon": (12.0, 5.8, 0.30),
    "trumpet": (15.0, 5.3, 0.25), "horn": (10.0, 5.4, 0.25), "trombone": (15.0, 5.1, 0.25), "tuba": (12.0, 5.4, 0.20),
})
"""Extent (cents), rate (Hz) and delay (s) where neither the edit nor the part says any: what players of each do."""

USUAL_SWELL_DB = 6.0
"""A crescendo without figures."""

_ASSIGNMENT = re.compile(r"\s*([A-Za-z_.]+)\s*(\+=|-=|\*=|/=|=)\s*(.*?)\s*", re.DOTALL)
_CALL = re.compile(r"([a-z]+)\s*\((.*)\)", re.DOTALL)
_WORD = re.compile(r"\s*([A-Za-z]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_SWELLS = {"crescendo": 1.0, "cresc": 1.0, "diminuendo": -1.0, "dim": -1.0, "decrescendo": -1.0}
_VIBRATO = ("vibrato_cents", "vibrato_rate_hz", "vibrato_delay_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection(Performance):
    """A performance with notes chosen; it plays, saves and compares by its notes as any performance.

    Attributes:
        chosen: ids of the chosen notes, in the order of the score.
        touched: attributes the steps since ``select`` have changed: what ``lock`` locks.
    """

    chosen: tuple[str, ...] = ()
    touched: frozenset[str] = frozenset()

    @property
    def performance(self) -> Performance:
        """The performance without the choice."""
        return Performance(score=self.score, expressions=self.expressions, curves=self.curves, origins=self.origins,
                           locks=self.locks, seed=self.seed, temperature=self.temperature, mix=self.mix,
                           checkpoints=self.checkpoints)

    def edit(self, *assignments: str, rules: Rules = RULES, **values: object) -> Selection:
        """Change the chosen notes.

        Args:
            assignments: in text, see the module.
            rules: what articulation marks do.
            values: keyword assignments, ``vibrato="60c"``; numbers count in the attribute's unit where that is clear.

        Raises:
            EditError: an assignment cannot be understood.
        """
        texts = [*assignments, *(f"{name}={_text(value)}" for name, value in values.items())]
        work = _Work(self, rules)
        for assignment in _in_order([_parsed(text) for text in texts]):
            assignment.apply(work)
        return work.result(self)

    def draw(
        self, target: str, times: Sequence[float], values: Sequence[float], *, mode: str = "add", anchor: str = "onset",
    ) -> Selection:
        """Draw a curve on every chosen note or, anchored to the piece, one on every part that has a chosen note.

        Args:
            target: ``level``, ``gain`` or ``pitch``.
            times: seconds from the anchor, increasing.
            values: dB, or cents (for ``set``: from the written pitch).
            mode: ``add`` to what is there, or ``set`` it from the first to the last time.
            anchor: ``onset`` or ``offset`` of each note, or ``piece``.

        Raises:
            EditError: the curve is not legal.
        """
        curves = []
        try:
            for part, notes in _by_part(self, self.chosen):
                anchors = [None] if anchor == "piece" else [note.id for note in notes]
                curves += [Curve(target=target, mode=mode, times=tuple(map(float, times)),
                                 values=tuple(map(float, values)), part=part.name, note_id=note_id, anchor=anchor)
                           for note_id in anchors]
        except ValueError as error:
            raise EditError(str(error)) from None
        return replace(self, curves=(*self.curves, *curves))

    def lock(self, *names: str) -> Selection:
        """Keep attributes of the chosen notes from every prior.

        Args:
            names: attributes; none are those changed since ``select``, or all where nothing was.
        """
        kept = self._attributes(names)
        locks = dict(self.locks)
        for note_id in self.chosen:
            locks[note_id] = locks.get(note_id, frozenset()) | kept
        return replace(self, locks=locks)

    def unlock(self, *names: str) -> Selection:
        """Give attributes of the chosen notes back to the priors; no names are all."""
        freed = frozenset(named(name).attribute for name in names) or frozenset(ATTRIBUTES)
        locks = {note_id: held - freed if note_id in set(self.chosen) else held
                 for note_id, held in self.locks.items()}
        return replace(self, locks={note_id: held for note_id, held in locks.items() if held})

    def _attributes(self, names: Sequence[str]) -> frozenset[str]:
        return frozenset(named(name).attribute for name in names) or self.touched or frozenset(ATTRIBUTES)


def select(performance: Performance, **conditions: Any) -> Selection:
    """A performance with the notes chosen that fit all conditions (``select.chosen``); without any, all notes.

    Raises:
        EditError: a condition cannot be understood, or names what is not there.
    """
    ids = chosen(performance, **conditions)
    return Selection(score=performance.score, expressions=performance.expressions, curves=performance.curves,
                     origins=performance.origins, locks=performance.locks, seed=performance.seed,
                     temperature=performance.temperature, mix=performance.mix, checkpoints=performance.checkpoints,
                     chosen=ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference between two states of a note, for a table.

    Attributes:
        part, note_id: where.
        bar: in which the note begins.
        pitch: as written, MIDI number.
        what: an attribute, ``articulation``, or ``curves``.
        before, after: values; marks or the number of curves as text.
    """

    part: str
    note_id: str
    bar: int
    pitch: float
    what: str
    before: float | str | None
    after: float | str | None


def changes(before: Performance, after: Performance) -> tuple[Change, ...]:
    """What differs between two performances in the notes they share, in the order of the score."""
    bars = Bars(after.score)
    old_notes = {note.id: note for part in before.score.parts for note in part.notes}
    old_curves, new_curves = _curves_by_note(before), _curves_by_note(after)
    found = []
    for part in after.score.parts:
        for note in part.notes:
            if note.id not in old_notes:
                continue
            old, new = before.expressions[note.id], after.expressions[note.id]
            rows: list[tuple[str, float | str | None, float | str | None]] = [
                (name, getattr(old, name), getattr(new, name)) for name in ATTRIBUTES] if old != new else []
            rows.append(("articulation", ", ".join(old_notes[note.id].articulations) or "none",
                         ", ".join(note.articulations) or "none"))
            if old_curves.get(note.id) != new_curves.get(note.id):
                counts = [len(table.get(note.id, ())) for table in (old_curves, new_curves)]
                rows.append(("curves", f"{counts[0]}", f"{counts[1]} (redrawn)" if counts[0] == counts[1]
                             else f"{counts[1]}"))
            for what, was, now in rows:
                if was != now:
                    found.append(Change(part=part.name, note_id=note.id, bar=bars.bar_at(note.onset)[0],
                                        pitch=note.pitch, what=what, before=was, after=now))
    return tuple(found)


# --- what an edit works on -------------------------------------------------------------------------------------------


class _Work:
    """The chosen notes of a performance while assignments are carried out, one after the other."""

    def __init__(self, selection: Selection, rules: Rules) -> None:
        self.rules = rules
        self.ids = selection.chosen
        self.parts = list(_by_part(selection, selection.chosen))
        self.part_of = {note.id: part for part, notes in self.parts for note in notes}
        self.notes = {note.id: note for _, notes in self.parts for note in notes}
        self.expressions = dict(selection.expressions)
        self.origins: dict[str, dict[str, str]] = {key: dict(value) for key, value in selection.origins.items()}
        self.curves = list(selection.curves)
        self.touched: set[str] = set()
        self.marks = {note_id: note.articulations for note_id, note in self.notes.items()}

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
        for name, default in zip(_VIBRATO, table):
            known = [getattr(item, name) for item in heard if getattr(item, name) is not None]
            usual.append(float(np.median(known)) if len(known) >= 3 else default)
        return usual[0], usual[1], min(usual[2], 0.25 * self.notes[note_id].duration)

    def drop_curves(self, target: str | None, *, keep_swells: bool = False) -> None:
        """Take off what a hand has drawn on the chosen notes; None is every target."""
        def goes(curve: Curve) -> bool:
            if curve.origin != "hand" or curve.note_id not in self.notes or target not in (None, curve.target):
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

    def result(self, selection: Selection) -> Selection:
        """The performance with all that was changed."""
        score = selection.score
        if any(self.marks[note_id] != note.articulations for note_id, note in self.notes.items()):
            def remarked(note: Note) -> Note:
                marks = self.marks.get(note.id, note.articulations)
                return note if marks == note.articulations else replace(note, articulations=marks)

            score = replace(score, parts=tuple(
                replace(part, notes=tuple(map(remarked, part.notes)))
                if any(note.id in self.notes for note in part.notes) else part for part in score.parts))
        return replace(selection, score=score, expressions=self.expressions, origins=self.origins,
                       curves=tuple(self.curves), touched=selection.touched | self.touched)


# --- assignments -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Assignment:
    """What to do, and the attribute it is about, which decides the order."""

    about: str
    apply: Callable[[_Work], None]


def _in_order(assignments: Sequence[_Assignment]) -> list[_Assignment]:
    """A vibrato's extent goes before its rate and delay, which need one; the rest as written."""
    return sorted(assignments, key=lambda item: 0 if item.about == "vibrato_cents" else 1)


def _parsed(text: str) -> _Assignment:
    found = _ASSIGNMENT.fullmatch(text)
    if found is None:
        return _bare_word(text)
    word, sign, value = found[1], found[2], found[3]
    if not value:
        raise EditError(f"{text!r} has no value; write one after the sign")
    if word in ("articulation", "marks"):
        return _articulation(sign, value)
    if word == "curves":
        if (sign, value) != ("=", "none"):
            raise EditError(f"{text!r}: write curves=none to take off what was drawn")
        return _Assignment(about=word, apply=lambda work: work.drop_curves(None))
    call = _CALL.fullmatch(value)
    if word in ("pitch", "gain") or (word == "level" and call is not None):
        return _curve(word, sign, value, call)
    name = named(word)
    if call is not None:
        if call[1] != "ramp" or sign != "=":
            raise EditError(f"{text!r}: only {word}=ramp(from,to) is known")
        return _ramp(name, _pair(call[2], lambda item: number(item, name)))
    return _value(name, sign, value)


def _bare_word(text: str) -> _Assignment:
    found = _WORD.fullmatch(text)
    word, inside = (found[1], found[2]) if found else ("", None)
    if word in ARTICULATIONS and inside is None:
        return _articulation("+=", word)
    if word in _SWELLS:
        if inside is not None and "," in inside:
            return _level_ramp(_pair(inside, lambda item: curve_value(item, "level")))
        size = USUAL_SWELL_DB if not inside else curve_value(inside, "level")
        return _added_ramp("level", (0.0, _SWELLS[word] * size))
    raise EditError(f"{text!r} is no edit; write a name, a sign and a value, as vibrato=60c, or one of "
                    f"{', '.join((*ARTICULATIONS, 'crescendo', 'diminuendo'))}")


def _value(name: Name, sign: str, text: str) -> _Assignment:
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

    def apply(work: _Work) -> None:
        for note_id in work.ids:
            expression = work.expressions[note_id]
            current: float | None = getattr(expression, attribute)
            if name.paper is not None:
                current = to_paper(name.paper, expression)
            new = _moved(current, sign, value)
            if new is None and sign != "=":
                continue  # what is not defined cannot be moved
            if new is not None and name.paper is not None:
                new = from_paper(name.paper, new, expression.level_db)
            _assign(work, note_id, attribute, new)

    return _Assignment(about=attribute, apply=apply)


def _moved(current: float | None, sign: str, value: float | None) -> float | None:
    if sign == "=" or value is None or current is None:
        return value if sign == "=" else None
    return {"+=": current + value, "-=": current - value, "*=": current * value,
            "/=": current / value if value else current}[sign]


def _assign(work: _Work, note_id: str, attribute: str, value: float | None) -> None:
    """Set an attribute, and what must go with it: a vibrato has a rate and a delay, and without one there is none."""
    expression = work.expressions[note_id]
    if attribute == "vibrato_cents":
        if not value:
            work.set(note_id, vibrato_cents=0.0, vibrato_rate_hz=None, vibrato_delay_s=None)
            return
        _, rate, delay = work.vibrato(note_id)
        missing: dict[str, float | None] = {}
        if expression.vibrato_rate_hz is None:
            missing["vibrato_rate_hz"] = rate
        if expression.vibrato_delay_s is None:
            missing["vibrato_delay_s"] = delay
        work.set(note_id, vibrato_cents=value, **missing)
        return
    if attribute in _VIBRATO and (not expression.vibrato_cents or value is None):
        return  # a note without vibrato has no rate, and one with it cannot lose its rate alone
    work.set(note_id, **{attribute: value})


def _articulation(sign: str, text: str) -> _Assignment:
    marks = [] if text == "none" else [mark.strip() for mark in text.split(",")]
    unknown = [mark for mark in marks if mark not in ARTICULATIONS]
    if unknown or sign not in ("=", "+=", "-="):
        raise EditError(f"articulation{sign}{text}: write =, += or -= and any of {', '.join(ARTICULATIONS)} or none")

    def apply(work: _Work) -> None:
        slurred = _slurred(work) if "legato" in marks and sign != "-=" else frozenset(work.ids)
        for note_id in work.ids:
            here = [mark for mark in marks if mark != "legato" or note_id in slurred]
            old = set(work.marks[note_id])
            work.mark(note_id, {"=": set(here), "+=": old | set(here), "-=": old - set(here)}[sign])

    return _Assignment(about="articulation", apply=apply)


def _slurred(work: _Work) -> frozenset[str]:
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


def _ramp(name: Name, ends: tuple[float, float]) -> _Assignment:
    """A value that moves from note to note, by where the middle of each lies between the first and the last."""
    if name.attribute == "level_db" and name.paper is None:
        return _level_ramp(ends)

    def apply(work: _Work) -> None:
        if not work.ids:
            return
        for note_id, note in work.notes.items():
            value = _between(work.span, ends, note.onset + 0.5 * note.duration)
            if name.paper is not None:
                value = from_paper(name.paper, value, work.expressions[note_id].level_db)
            _assign(work, note_id, name.attribute, value)

    return _Assignment(about=name.attribute, apply=apply)


def _level_ramp(ends: tuple[float, float]) -> _Assignment:
    """A level that moves from note to note and inside notes: the note's level at its middle, and a line around it."""
    def apply(work: _Work) -> None:
        if not work.ids:
            return
        work.drop_curves("level", keep_swells=True)
        for note_id, note in work.notes.items():
            middle = _between(work.span, ends, note.onset + 0.5 * note.duration)
            work.set(note_id, level_db=middle)
            sides = [_between(work.span, ends, time) - middle for time in (note.onset, note.offset)]
            if any(sides):
                work.curves.append(_line(work.part_of[note_id], note, "level", sides))

    return _Assignment(about="level_db", apply=apply)


def _added_ramp(target: str, ends: tuple[float, float]) -> _Assignment:
    """A line over the chosen notes, added to what is there; on each note, so that it moves with it."""
    def apply(work: _Work) -> None:
        for note_id, note in work.notes.items():
            sides = [_between(work.span, ends, time) for time in (note.onset, note.offset)]
            if any(sides):
                work.curves.append(_line(work.part_of[note_id], note, target, sides))

    return _Assignment(about=target, apply=apply)


def _line(part: Part, note: Note, target: str, sides: Sequence[float]) -> Curve:
    return Curve(target=target, times=(0.0, note.duration), values=(sides[0], sides[1]), part=part.name,
                 note_id=note.id, anchor="onset")


def _curve(word: str, sign: str, text: str, call: re.Match[str] | None) -> _Assignment:
    """Assignments to what has no attribute: curves of pitch and gain, and of the level."""
    if sign not in ("=", "+=", "-="):
        raise EditError(f"{word}{sign}{text}: a curve is set (=) or added (+=, -=)")
    sense = -1.0 if sign == "-=" else 1.0
    if text == "none" and sign == "=":
        return _Assignment(about=word, apply=lambda work: work.drop_curves(word))
    if call is None:
        if sign == "=":
            raise EditError(f"{word}={text}: write {word}+={text} to move the {word}, or draw with "
                            f"{word}=curve(time:value,...)")
        shift = sense * curve_value(text, word)
        times, values = [0.0], [shift]
    elif call[1] == "ramp":
        ends = _pair(call[2], lambda item: curve_value(item, word))
        if sign == "=" and word == "level":
            return _level_ramp(ends)
        if sign == "=":
            raise EditError(f"{word}={text}: write {word}+={text}; what is set is drawn with {word}=curve(...)")
        return _added_ramp(word, (sense * ends[0], sense * ends[1]))
    elif call[1] == "curve":
        times, values = _points(call[2], word)
        values = [sense * value for value in values]
    else:
        raise EditError(f"{word}{sign}{text}: {call[1]!r} is not known; write ramp(from,to) or curve(time:value,...)")
    mode = "set" if sign == "=" else "add"

    def apply(work: _Work) -> None:
        if mode == "set":
            work.drop_curves(word, keep_swells=True)
        for note_id, part in work.part_of.items():
            work.curves.append(Curve(target=word, mode=mode, times=tuple(times), values=tuple(values), part=part.name,
                                     note_id=note_id, anchor="onset"))

    return _Assignment(about=word, apply=apply)


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


def _by_part(performance: Performance, ids: Sequence[str]) -> Iterable[tuple[Part, list[Note]]]:
    wanted = set(ids)
    for part in performance.score.parts:
        notes = [note for note in part.notes if note.id in wanted]
        if notes:
            yield part, notes


def _curves_by_note(performance: Performance) -> dict[str, list[Curve]]:
    table: dict[str, list[Curve]] = {}
    for curve in performance.curves:
        if curve.note_id is not None:
            table.setdefault(curve.note_id, []).append(curve)
    return table


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return repr(float(value))  # type: ignore[arg-type]


NAMES: tuple[str, ...] = (*SHORT_NAMES, "brightness", *CURVE_TARGETS, "articulation")
"""What can be assigned to."""
