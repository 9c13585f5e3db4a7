"""Curves to and from the tools people draw and measure with, and the original's tables of attributes.

| suffix | form | holds |
|---|---|---|
| ``.csv`` | Sonic Visualiser: ``time,value`` | any line |
| ``.PitchTier`` | Praat | pitch in Hz |
| ``.TextGrid`` | Praat: a point tier of numbers, beside an interval tier of the notes | any line |
| ``.jams`` | JAMS: ``pitch_contour`` (pitch in Hz) or ``tag_open`` with numbers; beside it ``note_midi`` | any line |

Conventions: times are seconds from the start of the piece. ``pitch`` leaves as what sounds, in Hz, and comes back as
cents from the written pitch of the note it lies in; ``level`` and ``gain`` are dB.

Source: Praat's manual (text files, long and short), the JAMS 0.3 schema.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mididdsp.expression.curves import sample_curves
from mididdsp.expression.types import CURVE_TARGETS, Curve, NoteExpression, Performance
from mididdsp.expression.views import PAPER, PAPER_COLUMNS, from_paper
from mididdsp.files import atomic_path
from mididdsp.notes.types import Note, Part
from mididdsp.units import FRAME_RATE

LINE_SUFFIXES = (".csv", ".PitchTier", ".TextGrid", ".jams")
STEP_S = 0.01
"""Between the points of a line that is written."""

MATCH_S = 0.05
"""A row of a table belongs to the note of its pitch that begins at most this far away."""


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
    if target not in CURVE_TARGETS:
        raise InterchangeError(f"there is no line {target!r}; choose one of {', '.join(CURVE_TARGETS)}")
    if not part.notes:
        raise InterchangeError(f"part {part.name!r} has no notes, and so no line")
    start, end = part.notes[0].onset, max(note.offset for note in part.notes)
    times = start + STEP_S * np.arange(math.floor((end - start) / STEP_S) + 1, dtype=np.float64)
    values = sample_curves(performance.curves, target, part, times)
    if target != "pitch":
        return Line(times=tuple(times.tolist()), values=tuple(values.tolist()))
    onsets = [note.onset for note in part.notes]
    index = np.maximum(np.searchsorted(onsets, times, side="right") - 1, 0)
    pitch = np.array([note.pitch for note in part.notes])[index]
    tuning = np.array([performance.expressions[note.id].tuning_cents for note in part.notes])[index]
    hertz = 440.0 * 2.0 ** ((pitch - 69.0 + (tuning + values) / 100.0) / 12.0)
    return Line(times=tuple(times.tolist()), values=tuple(hertz.tolist()), hertz=True)


def with_line(performance: Performance, part: Part, target: str, line: Line, *, mode: str = "set") -> Performance:
    """A performance with a line drawn into it by hand, in place of the curves a hand drew there before.

    A line in Hz becomes a curve for each note it touches (cents from the written pitch), and belongs to the note from
    then on; any other is one curve of the piece.

    Args:
        performance: to draw into.
        part: of the performance.
        target: a key of ``CURVE_TARGETS``.
        line: to draw; Hz only for ``pitch``.
        mode: ``set`` or ``add``; a line in Hz is always set.
    """
    if target not in CURVE_TARGETS:
        raise InterchangeError(f"there is no line {target!r}; choose one of {', '.join(CURVE_TARGETS)}")
    if line.hertz and target != "pitch":
        raise InterchangeError(f"the file holds pitch in Hz, which is no {target}; choose pitch")
    if line.hertz and min(line.values) <= 0:
        raise InterchangeError("the file holds a pitch of 0 Hz or less; leave silence out")
    drawn = _note_curves(part, line) if line.hertz else [
        Curve(target=target, mode=mode, times=line.times, values=line.values, part=part.name)]
    if not drawn:
        raise InterchangeError(f"the line does not touch a note of part {part.name!r}; check its times")
    kept = tuple(curve for curve in performance.curves
                 if not (curve.part == part.name and curve.target == target and curve.origin == "hand"))
    return replace(performance, curves=(*kept, *drawn))


def _note_curves(part: Part, line: Line) -> list[Curve]:
    onsets = [note.onset for note in part.notes]
    by_note: dict[str, list[tuple[float, float]]] = {}
    notes = {note.id: note for note in part.notes}
    for time, hertz in zip(line.times, line.values):
        sounding = [note for note in part.notes[max(0, bisect_right(onsets, time) - 16) : bisect_right(onsets, time)]
                    if note.onset <= time <= note.offset]
        if sounding:
            pitch = 69.0 + 12.0 * math.log2(hertz / 440.0)
            note = min(reversed(sounding), key=lambda item: abs(item.pitch - pitch))
            by_note.setdefault(note.id, []).append((time - note.onset, 100.0 * (pitch - note.pitch)))
    return [Curve(target="pitch", mode="set", times=tuple(time for time, _ in points),
                  values=tuple(cents for _, cents in points), part=part.name, note_id=note_id, anchor="onset")
            for note_id, points in by_note.items() if notes[note_id]]


# --- files of lines --------------------------------------------------------------------------------------------------


def write_line(path: str | os.PathLike[str], line: Line, *, part: Part, target: str) -> None:
    """Write a line in the form that the suffix names; the file appears whole or not at all.

    Raises:
        InterchangeError: the suffix names no form, or one that does not hold such a line.
        OSError: it cannot be written.
    """
    target_path = Path(path)
    suffix = _suffix(target_path)
    if suffix == ".PitchTier" and not line.hertz:
        raise InterchangeError(f"a PitchTier holds pitch in Hz, and no {target}; choose .csv, .TextGrid or .jams")
    forms = {".csv": _csv, ".PitchTier": _pitch_tier, ".TextGrid": _text_grid, ".jams": _jams}
    text = forms[suffix](line, part, target)
    with atomic_path(target_path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_line(path: str | os.PathLike[str], target: str) -> Line:
    """Read a line; the suffix says the form. A CSV for ``pitch`` whose values are all above 15 is taken to be in Hz.

    Raises:
        InterchangeError: the file does not hold a line in that form.
        OSError: it cannot be read.
    """
    file = Path(path)
    suffix = _suffix(file)
    readers: Mapping[str, Callable[[str], Line]] = {
        ".csv": partial(_from_csv, target=target), ".PitchTier": _from_pitch_tier, ".TextGrid": _from_text_grid,
        ".jams": _from_jams}
    try:
        content = file.read_bytes()
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        return readers[suffix](text)
    except InterchangeError as error:
        raise InterchangeError(f"{file}: {error}") from None
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise InterchangeError(f"{file}: this is no {suffix[1:]} file that can be read "
                               f"({' '.join(str(error).split())[:120]}); export it again") from None


def _suffix(path: Path) -> str:
    for suffix in LINE_SUFFIXES:
        if path.name.casefold().endswith(suffix.casefold()):
            return suffix
    raise InterchangeError(f"{path.name!r} names no form of lines; choose {', '.join(LINE_SUFFIXES)}")


def _csv(line: Line, part: Part, target: str) -> str:
    return "".join(f"{time:.6f},{value!r}\n" for time, value in zip(line.times, line.values))


def _from_csv(text: str, *, target: str) -> Line:
    points = []
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        if len(row) < 2 or row[0].startswith("#"):
            continue
        try:
            points.append((float(row[0]), float(row[1])))
        except ValueError:
            if number > 1:  # the first row may be a heading
                raise InterchangeError(f"line {number} holds no time and value; write numbers") from None
    # Sonic Visualiser does not say what its values are; a line in cents comes near 0 somewhere
    hertz = target == "pitch" and bool(points) and min(value for _, value in points) > 15.0
    return Line(times=tuple(time for time, _ in points), values=tuple(value for _, value in points), hertz=hertz)


def _pitch_tier(line: Line, part: Part, target: str) -> str:
    rows = [f"    points [{index}]:\n        number = {time!r}\n        value = {value!r}\n"
            for index, (time, value) in enumerate(zip(line.times, line.values), start=1)]
    return ('File type = "ooTextFile"\nObject class = "PitchTier"\n\n'
            f"xmin = 0\nxmax = {line.times[-1]!r}\npoints: size = {len(rows)}\n{''.join(rows)}")


def _from_pitch_tier(text: str) -> Line:
    if "PitchTier" not in text[:200]:
        raise InterchangeError("it is no PitchTier; save the object as a text file in Praat")
    numbers = _numbers(text.partition("PitchTier")[2])
    count = int(numbers[2])
    points = numbers[3:]
    if len(points) < 2 * count or count < 1:
        raise InterchangeError(f"it says it has {count} points, and has {len(points) // 2}; save it again")
    return Line(times=tuple(points[0 : 2 * count : 2]), values=tuple(points[1 : 2 * count : 2]), hertz=True)


def _numbers(text: str) -> list[float]:
    """The numbers of a Praat text, long or short: not those in brackets, which count."""
    plain = re.sub(r"\[[^\]]*\]|\"[^\"]*\"", " ", text)
    return [float(found) for found in re.findall(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", plain)]


def _text_grid(line: Line, part: Part, target: str) -> str:
    end = max([line.times[-1], *(note.offset for note in part.notes)])
    intervals: list[tuple[float, float, str]] = []
    now = 0.0
    for note in part.notes:
        if note.onset >= now:
            if note.onset > now:
                intervals.append((now, note.onset, ""))
            following = next((other.onset for other in part.notes if other.onset > note.onset), end)
            now = min(note.offset, following)
            intervals.append((note.onset, now, f"{note.pitch:g} {note.id}"))
    if now < end:
        intervals.append((now, end, ""))
    unit = "Hz" if line.hertz else CURVE_TARGETS[target]
    rows = [
        'File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end!r}",
        "tiers? <exists>", "size = 2", "item []:", "    item [1]:", '        class = "TextTier"',
        f'        name = "{target} {unit}"', "        xmin = 0", f"        xmax = {end!r}",
        f"        points: size = {len(line.times)}",
    ]
    for index, (time, value) in enumerate(zip(line.times, line.values), start=1):
        rows += [f"        points [{index}]:", f"            number = {time!r}", f'            mark = "{value!r}"']
    rows += ["    item [2]:", '        class = "IntervalTier"', '        name = "notes"', "        xmin = 0",
             f"        xmax = {end!r}", f"        intervals: size = {len(intervals)}"]
    for index, (start, stop, label) in enumerate(intervals, start=1):
        rows += [f"        intervals [{index}]:", f"            xmin = {start!r}", f"            xmax = {stop!r}",
                 f'            text = "{label}"']
    return "\n".join(rows) + "\n"


def _from_text_grid(text: str) -> Line:
    head, _, tier = text.partition('"TextTier"')
    if "TextGrid" not in head or not tier:
        raise InterchangeError("it has no point tier of numbers; add one in Praat")
    tier = re.split(r'"(?:TextTier|IntervalTier)"', tier)[0]
    name = re.search(r'"([^"]*)"', tier)
    number = r"([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"
    points = re.findall(number + r"[ \t]*\r?\n\s*(?:mark\s*=\s*)?\"\s*" + number + r"\s*\"", tier)
    if not points:
        raise InterchangeError("the labels of its point tier are no numbers; write a number at each point")
    return Line(times=tuple(float(time) for time, _ in points), values=tuple(float(value) for _, value in points),
                hertz=name is not None and name.group(1).endswith("Hz"))


def _jams(line: Line, part: Part, target: str) -> str:
    def annotation(namespace: str, data: Any) -> dict[str, Any]:
        return {"namespace": namespace, "data": data, "annotation_metadata": {
            "data_source": "mididdsp", "corpus": "", "version": "", "validation": "", "annotation_tools": "mididdsp",
            "annotation_rules": f"{target} of {part.name}", "curator": {"name": "", "email": ""}, "annotator": {}},
            "sandbox": {"target": target, "part": part.name}}

    if line.hertz:
        drawn = annotation("pitch_contour", [
            {"time": time, "duration": 0.0, "confidence": None,
             "value": {"index": 0, "frequency": value, "voiced": True}}
            for time, value in zip(line.times, line.values)])
    else:
        drawn = annotation("tag_open", [
            {"time": time, "duration": 0.0, "value": repr(value), "confidence": None}
            for time, value in zip(line.times, line.values)])
    notes = annotation("note_midi", [
        {"time": note.onset, "duration": note.duration, "value": note.pitch, "confidence": None}
        for note in part.notes])
    return json.dumps({
        "annotations": [drawn, notes], "sandbox": {},
        "file_metadata": {"title": part.name, "artist": "", "release": "", "identifiers": {}, "jams_version": "0.3.4",
                          "duration": max([line.times[-1], *(note.offset for note in part.notes)])},
    }, indent=1, ensure_ascii=False) + "\n"


def _from_jams(text: str) -> Line:
    for annotation in json.loads(text)["annotations"]:
        if annotation["namespace"] not in ("pitch_contour", "tag_open"):
            continue
        data = annotation["data"]
        # JAMS allows a list of observations and a table of columns
        rows = data if isinstance(data, list) else [dict(zip(data, row)) for row in zip(*data.values())]
        if annotation["namespace"] == "pitch_contour":
            points = [(float(row["time"]), float(row["value"]["frequency"])) for row in rows
                      if row["value"].get("voiced", True) and row["value"]["frequency"] > 0]
        else:
            points = [(float(row["time"]), float(row["value"])) for row in rows]
        return Line(times=tuple(time for time, _ in points), values=tuple(value for _, value in points),
                    hertz=annotation["namespace"] == "pitch_contour")
    raise InterchangeError("it has no pitch_contour and no tag_open with numbers; annotate one")


# --- the original's tables -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TableImport:
    """A performance with a table's values, and what of the table found no note, one sentence each."""

    performance: Performance
    rows: int
    messages: tuple[str, ...]


def with_attribute_table(performance: Performance, part: Part, path: str | os.PathLike[str]) -> TableImport:
    """A performance with the values of one of MIDI-DDSP's tables (``conditioning_df`` as CSV) as a hand's.

    Rows find their note by pitch and onset; rests (pitch 0) are passed over. Columns are the original's: ``volume``,
    ``vol_fluc``, ``vibrato``, ``brightness``, ``attack``, ``vol_peak_pos`` on its scales, of which any may be missing,
    and ``pitch``, ``onset``, ``offset`` in frames of 4 ms.

    Raises:
        InterchangeError: it is no such table, or fits no note.
        OSError: it cannot be read.
    """
    rows = _table_rows(Path(path))
    free = list(part.notes)
    expressions = dict(performance.expressions)
    origins = {key: dict(value) for key, value in performance.origins.items()}
    messages: list[str] = []
    found = 0
    for number, row in rows:
        note = _note_of(free, row["pitch"], row["onset"] / FRAME_RATE)
        if note is None:
            messages.append(f"Row {number} (pitch {row['pitch']:g} at {row['onset'] / FRAME_RATE:.2f} s) fits no note "
                            f"of part {part.name!r}; it is left out.")
            continue
        free.remove(note)
        found += 1
        expressions[note.id], changed = _from_row(expressions[note.id], row)
        origins.setdefault(note.id, {}).update(dict.fromkeys(changed, "hand"))
    if not found:
        raise InterchangeError(f"{os.fspath(path)}: none of its {len(rows)} notes is in part {part.name!r}; "
                               "choose another part")
    return TableImport(performance=replace(performance, expressions=expressions, origins=origins), rows=found,
                       messages=tuple(messages))


def _table_rows(path: Path) -> list[tuple[int, Mapping[str, float]]]:
    try:
        table = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InterchangeError(f"{path}: it is no CSV that can be read ({error}); export the table again") from None
    columns = set(table[0]) if table else set()
    if not {"pitch", "onset"} <= columns or not columns & set(PAPER_COLUMNS):
        raise InterchangeError(f"{path}: it is no table of the original, which has the columns "
                               f"{', '.join((*PAPER_COLUMNS, 'pitch', 'onset', 'offset'))}")
    rows: list[tuple[int, Mapping[str, float]]] = []
    for number, given in enumerate(table, start=2):
        row: dict[str, float] = {}
        for name in (*PAPER_COLUMNS, "pitch", "onset"):
            if name in columns:
                try:
                    row[name] = float(given[name] or "nan")
                except (TypeError, ValueError):
                    row[name] = math.nan
                if not math.isfinite(row[name]):
                    raise InterchangeError(f"{path}, line {number}: {name} is {given[name]!r}; write a number")
        if row["pitch"] > 0:
            rows.append((number, row))
    return rows


def _note_of(notes: Sequence[Note], pitch: float, onset: float) -> Note | None:
    near = [note for note in notes if abs(note.pitch - pitch) < 0.5 and abs(note.onset - onset) <= MATCH_S]
    return min(near, key=lambda note: abs(note.onset - onset), default=None)


def _from_row(expression: NoteExpression, row: Mapping[str, float]) -> tuple[NoteExpression, list[str]]:
    """The expression with a row's values, and the attributes that it decides; the level comes first."""
    changed: list[str] = []
    for column, name in PAPER_COLUMNS.items():
        if column not in row:
            continue
        attribute = PAPER[name].attribute
        values: dict[str, float | None] = {attribute: from_paper(name, row[column], expression.level_db)}
        if attribute == "vibrato_cents" and not values[attribute]:
            values |= {"vibrato_rate_hz": None, "vibrato_delay_s": None}
        elif attribute == "vibrato_cents" and expression.vibrato_rate_hz is None:
            values |= {"vibrato_rate_hz": USUAL_RATE_HZ, "vibrato_delay_s": 0.0}
        expression = replace(expression, **values)  # type: ignore[arg-type]
        changed += values
    return expression, changed


USUAL_RATE_HZ = 5.5
"""Of a vibrato that a table asks for on a note drawn without one: the original has no rate."""
