"""Lines in the files of the tools people draw and measure with.

| suffix | form | holds |
|---|---|---|
| ``.csv`` | Sonic Visualiser: ``time,value`` | any line |
| ``.PitchTier`` | Praat | pitch in Hz |
| ``.TextGrid`` | Praat: a point tier of numbers, beside an interval tier of the notes | any line |
| ``.jams`` | JAMS: ``pitch_contour`` (pitch in Hz) or ``tag_open`` with numbers; beside it ``note_midi`` | any line |

Source: Praat's manual (text files, long and short), the JAMS 0.3 schema.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mididdsp.expression.lines import InterchangeError, Line
from mididdsp.expression.quantities import line_named
from mididdsp.expression.types import CURVE_TARGETS
from mididdsp.files import atomic_path
from mididdsp.notes.types import Part

LINE_SUFFIXES = (".csv", ".PitchTier", ".TextGrid", ".jams")


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
    unit = "Hz" if line.hertz else CURVE_TARGETS[line_named(target)[0]]
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
