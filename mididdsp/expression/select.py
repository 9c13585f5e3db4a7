"""Which notes an edit is for: by part, bars, time, id, pitch, marks and conditions on what they are and how they play.

Conventions: conditions of different kinds narrow each other, several of one kind widen it (two parts are both parts),
except ``where``, of which all must hold. A note is in a bar, or in a stretch of time, when it begins there.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mididdsp.bars import Bars
from mididdsp.expression.quantities import EditError, Name, named, number, pitch, seconds
from mididdsp.expression.types import ORIGINS, Performance
from mididdsp.expression.views import to_paper
from mididdsp.notes.types import ARTICULATIONS, Note, Part

Span = tuple[float, float]

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType({
    "<=": operator.le, ">=": operator.ge, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "==": operator.eq,
    "=": operator.eq,
})
_CONDITION = re.compile(r"\s*([A-Za-z_.]+)\s*(<=|>=|!=|==|<|>|=)\s*(\S.*?)\s*")
_SAME = 5e-4
"""Two values that print alike count as equal: a condition is typed from what was shown."""


def chosen(
    performance: Performance,
    *,
    part: str | Sequence[str] | None = None,
    bars: int | str | tuple[int, int] | None = None,
    time: str | Span | None = None,
    notes: str | Iterable[str] | None = None,
    pitches: str | float | tuple[float | str, float | str] | None = None,
    marks: str | Sequence[str] | None = None,
    where: str | Sequence[str] | None = None,
) -> tuple[str, ...]:
    """The ids of the notes that fit, in the order of the score.

    Args:
        performance: to choose from.
        part: name or names of parts, or of instruments; capitals do not matter.
        bars: a number, (first, last), or text such as ``3-4,7``; both ends are in.
        time: (from, to) in seconds or ``1.5-3``; notes that begin from the first up to the second.
        notes: id or ids; the beginning of an id is enough where it fits one note alone.
        pitches: a pitch, (lowest, highest) or ``C4-G5``; both ends are in.
        marks: articulation or articulations, any of which the note carries.
        where: condition or conditions, such as ``vibrato>20c``, ``duration<0.2s``, ``velocity>=80``, ``pitch<C4``,
            ``level=hand`` (where the value came from) and ``level=locked``.

    Raises:
        EditError: a part or note does not exist, or a condition cannot be understood; no note need fit.
    """
    parts = _parts(performance, part)
    spans = _bar_spans(performance, bars)
    window = None if time is None else _time(time)
    wanted = None if notes is None else _ids(performance, [notes] if isinstance(notes, str) else list(notes))
    keys = None if pitches is None else _pitches(pitches)
    names = None if marks is None else _marks([marks] if isinstance(marks, str) else marks)
    tests = [_condition(text) for text in ([where] if isinstance(where, str) else where or ())]
    found = []
    for item in parts:
        for note in item.notes:
            if wanted is not None and note.id not in wanted:
                continue
            if spans is not None and not any(start - 1e-6 <= note.onset < end - 1e-6 for start, end in spans):
                continue
            if window is not None and not window[0] <= note.onset < window[1]:
                continue
            if keys is not None and not keys[0] - 1e-6 <= note.pitch <= keys[1] + 1e-6:
                continue
            if names is not None and not names & set(note.articulations):
                continue
            if all(test(performance, note) for test in tests):
                found.append(note.id)
    return tuple(found)


def _parts(performance: Performance, part: str | Sequence[str] | None) -> list[Part]:
    if part is None:
        return list(performance.score.parts)
    words = [part] if isinstance(part, str) else list(part)
    kept: set[str] = set()
    for word in words:
        plain = word.casefold().strip()
        fits = [item for item in performance.score.parts if item.name == word]
        fits = fits or [item for item in performance.score.parts if item.name.casefold() == plain]
        fits = fits or [item for item in performance.score.parts if item.instrument == plain.replace(" ", "_")]
        if not fits:
            names = ", ".join(item.name for item in performance.score.parts)
            raise EditError(f"there is no part {word!r}; the parts are {names}")
        kept |= {item.name for item in fits}
    return [item for item in performance.score.parts if item.name in kept]


def _bar_spans(performance: Performance, bars: int | str | tuple[int, int] | None) -> list[Span] | None:
    if bars is None:
        return None
    table = Bars(performance.score)
    try:
        if isinstance(bars, int):
            return [table.span(bars, bars)]
        if not isinstance(bars, str):
            return [table.span(*bars)]
        spans = []
        for piece in bars.split(","):
            ends = piece.split("-")
            if len(ends) > 2 or not all(end.strip().isdigit() for end in ends):
                raise EditError(f"{bars!r} are no bars; write 3, 3-4 or 3-4,7")
            spans.append(table.span(int(ends[0]), int(ends[-1])))
        return spans
    except ValueError as error:
        raise EditError(str(error)) from None


def _time(time: str | Span) -> Span:
    if not isinstance(time, str):
        start, end = time
    else:
        ends = time.split("-")
        if len(ends) != 2:
            raise EditError(f"{time!r} is no stretch of time; write two times in seconds, as 1.5-3")
        start, end = seconds(ends[0]), seconds(ends[1])
    if not end > start:
        raise EditError(f"the time from {start:g} s to {end:g} s is empty; give a later end")
    return start, end


def _ids(performance: Performance, words: Sequence[str]) -> set[str]:
    found = set()
    for word in words:
        if word in performance.expressions:
            found.add(word)
            continue
        fits = [note_id for note_id in performance.expressions if word and note_id.startswith(word)]
        if len(fits) != 1:
            what = f"{len(fits)} notes begin with it" if fits else "no id begins with it"
            raise EditError(f"there is no note {word!r} ({what}); give the id that stands on the note's line")
        found.add(fits[0])
    return found


def _pitches(pitches: str | float | tuple[float | str, float | str]) -> Span:
    if isinstance(pitches, tuple):
        low, high = pitch(pitches[0]), pitch(pitches[1])
    elif isinstance(pitches, str):
        # the dash between two pitches follows a digit; one before a digit is the sign of an octave
        ends = re.split(r"(?<=\d)-", pitches, maxsplit=1)
        low, high = pitch(ends[0]), pitch(ends[-1])
    else:
        low = high = float(pitches)
    if high < low:
        raise EditError(f"the pitches {pitches} run downwards; give the lower first")
    return low, high


def _marks(marks: Sequence[str]) -> set[str]:
    unknown = sorted(set(marks) - set(ARTICULATIONS))
    if unknown:
        raise EditError(f"{unknown[0]!r} is no articulation; known are {', '.join(ARTICULATIONS)}")
    return set(marks)


def _condition(text: str) -> Callable[[Performance, Note], bool]:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise EditError(f"{text!r} is no condition; write a name, a comparison and a value, as vibrato>20c")
    word, sign, value = found[1], found[2], found[3]
    compare = _COMPARE[sign]
    if word in ("onset", "duration", "velocity", "pitch"):
        limit = pitch(value) if word == "pitch" else number(value, Name(attribute=word))
        return lambda performance, note: _holds(compare, getattr(note, word), limit)
    if word == "articulation":
        mark = next(iter(_marks([value])))
        return lambda performance, note: compare(mark in note.articulations, True)
    name = named(word)
    attribute = name.attribute
    if value in ORIGINS:
        return lambda performance, note: compare(
            performance.origins.get(note.id, {}).get(attribute, "prior"), value)
    if value == "locked":
        return lambda performance, note: compare(attribute in performance.locks.get(note.id, ()), True)
    if value == "none":
        return lambda performance, note: compare(getattr(performance.expressions[note.id], attribute) is None, True)
    limit = number(value, name)

    instruments: dict[str, str] = {}

    def test(performance: Performance, note: Note) -> bool:
        expression = performance.expressions[note.id]
        if name.paper is None:
            return _holds(compare, getattr(expression, attribute), limit)
        if not instruments:
            instruments.update({item.id: part.instrument for part in performance.score.parts for item in part.notes})
        return _holds(compare, to_paper(name.paper, expression, instruments[note.id]), limit)

    return test


def _holds(compare: Callable[[Any, Any], bool], actual: float | None, limit: float) -> bool:
    """A value that is not defined fulfils no comparison."""
    if actual is None:
        return False
    if abs(actual - limit) <= _SAME * max(abs(limit), 1e-3):
        actual = limit
    return compare(actual, limit)
