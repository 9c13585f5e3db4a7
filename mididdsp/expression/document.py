"""Performances as files: ``*.performance.json``, a document that a person can read, compare and correct.

Conventions: UTF-8 JSON, one note a line, so that a line-by-line comparison shows which notes changed; numbers are
written in the shortest form that reads back to the same float64, so nothing is lost. ``performance.schema.json``
beside this module describes the form (JSON Schema, draft 2020-12). A note's expression, the origins of its values and
its locks stand on the note's own line; origins and locks are left out where the performance has none for the note.

Documents carry a version. One of an older version is brought up to date as it is read (``migration``); one of a newer
version is refused rather than half understood.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from mididdsp.expression.migration import migrated
from mididdsp.expression.types import (
    ATTRIBUTE_RANGES,
    NOTE_ATTRIBUTES,
    ORIGINS,
    Curve,
    Mix,
    NoteExpression,
    PartMix,
    Performance,
)
from mididdsp.files import atomic_path
from mididdsp.notes.types import KeyChange, Lane, MeterChange, Note, Part, Score, TempoChange

FORMAT = "mididdsp.performance"
VERSION = 2
"""The version written; older ones are read too."""


class DocumentError(ValueError):
    """A performance that cannot be read or written; the message is one sentence that names the place."""


class _Record(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A JSON object of the document; a field it does not know is an error, so that a misspelt one is not lost."""


class _TempoRecord(_Record):
    time: float
    beat: float
    bpm: float


class _MeterRecord(_Record):
    beat: float
    numerator: int
    denominator: int


class _KeyRecord(_Record):
    beat: float
    fifths: int
    mode: str


class _LaneRecord(_Record):
    name: str
    times: tuple[float, ...]
    values: tuple[float, ...]


_ExpressionRecord: Any = msgspec.defstruct(
    "_ExpressionRecord",
    [(name, float | None if ATTRIBUTE_RANGES[name][2] else float) for name in NOTE_ATTRIBUTES],
    kw_only=True,
    forbid_unknown_fields=True,
)


class _NoteRecord(_Record):
    id: str
    onset: float
    duration: float
    pitch: float
    velocity: int | None
    expression: _ExpressionRecord
    articulations: tuple[str, ...] = ()
    origins: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    locks: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class _PartRecord(_Record):
    name: str
    instrument: str
    players: int
    program: int | None
    channel: int | None
    lanes: tuple[_LaneRecord, ...]
    notes: tuple[_NoteRecord, ...]


class _PartMixRecord(_Record):
    gain_db: float
    pan: float
    room: str


class _MixRecord(_Record):
    gain_db: float | None
    parts: dict[str, _PartMixRecord]


class _CurveRecord(_Record):
    target: str
    mode: str
    part: str
    note_id: str | None
    anchor: str
    origin: str
    band: tuple[int, int] | None
    times: tuple[float, ...]
    values: tuple[float, ...]


class _DocumentRecord(_Record):
    format: str
    version: int
    title: str
    seed: int
    temperature: float
    a4_hz: float
    checkpoints: dict[str, str]
    mix: _MixRecord
    tempo: tuple[_TempoRecord, ...]
    meter: tuple[_MeterRecord, ...]
    key: tuple[_KeyRecord, ...]
    parts: tuple[_PartRecord, ...]
    curves: tuple[_CurveRecord, ...]


class _Heading(msgspec.Struct):
    format: str
    version: int


def save_performance(path: str | os.PathLike[str], performance: Performance) -> None:
    """Write a performance as JSON, whole or not at all.

    Args:
        path: of the file, by custom ``NAME.performance.json``.
        performance: any valid performance; reading the file back gives an equal one.

    Raises:
        DocumentError: the performance holds what a document cannot (a number that is not finite, a curve, lock or
            origin that belongs to nothing).
        OSError: the file cannot be written.
    """
    text = "".join(_lines(performance))
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise _not_unicode(error) from error
    with atomic_path(path) as partial:
        partial.write_bytes(data)


def load_performance(path: str | os.PathLike[str]) -> Performance:
    """Read a performance.

    Args:
        path: of a file that ``save_performance`` or a person wrote.

    Raises:
        DocumentError: the file is not such a document, is damaged, is of a newer version, or holds an illegal value;
            the message says where and what to do.
        OSError: the file cannot be opened.
    """
    try:
        return parse_performance(Path(path).read_bytes())
    except DocumentError as error:
        raise DocumentError(f"{os.fspath(path)}: {error}") from error


def parse_performance(data: bytes) -> Performance:
    """The performance that the bytes of a document hold; ``load_performance`` without the file."""
    data = data.removeprefix(b"\xef\xbb\xbf")  # some editors begin a file with a byte-order mark
    version = _version(data)
    try:
        if version == VERSION:
            record = msgspec.json.decode(data, type=_DocumentRecord)
        else:
            record = msgspec.convert(migrated(msgspec.json.decode(data), version), type=_DocumentRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _refuse(error, data)
    return _performance(record)


# --- writing ---------------------------------------------------------------------------------------------------------


def _lines(performance: Performance) -> Iterator[str]:
    score = performance.score
    _check(performance)
    heading = {"format": FORMAT, "version": VERSION, "title": score.title, "seed": int(performance.seed),
               "temperature": _number(performance.temperature, "temperature"),
               "a4_hz": _number(performance.a4_hz, "a4_hz"),
               "checkpoints": dict(performance.checkpoints), "mix": _mix_record(performance.mix)}
    yield "{\n"
    for name, value in heading.items():
        yield f'"{name}": {_json(value)},\n'
    yield from _list("tempo", (
        {"time": _number(t.time, "tempo"), "beat": _number(t.beat, "tempo"), "bpm": _number(t.bpm, "tempo")}
        for t in score.tempo))
    yield ",\n"
    yield from _list("meter", (
        {"beat": _number(m.beat, "meter"), "numerator": m.numerator, "denominator": m.denominator}
        for m in score.meter))
    yield ",\n"
    yield from _list("key", ({"beat": _number(k.beat, "key"), "fifths": k.fifths, "mode": k.mode} for k in score.key))
    yield ',\n"parts": ['
    for number, part in enumerate(score.parts):
        yield ",\n" if number else "\n"
        about = {"name": part.name, "instrument": part.instrument, "players": part.players, "program": part.program,
                 "channel": part.channel}
        yield _json(about)[:-1] + ",\n"
        yield from _list("lanes", (_lane_record(lane, part.name) for lane in part.lanes))
        yield ",\n"
        yield from _list("notes", (_note_record(note, performance) for note in part.notes))
        yield "}"
    yield '\n],\n' if score.parts else '],\n'
    yield from _list("curves", (_curve_record(curve) for curve in performance.curves))
    yield "\n}\n"


def _list(name: str, records: Iterable[object]) -> Iterator[str]:
    """A named list with one element a line."""
    yield f'"{name}": ['
    empty = True
    for record in records:
        yield "\n" if empty else ",\n"
        yield _json(record)
        empty = False
    yield "]" if empty else "\n]"


def _json(value: object) -> str:
    try:
        # indent=0: one line, with a space after each comma and colon
        return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
    except UnicodeEncodeError as error:
        raise _not_unicode(error) from error


def _not_unicode(error: UnicodeEncodeError) -> DocumentError:
    return DocumentError(f"the performance holds a text that is not Unicode ({error.object[error.start:error.end]!r}); "
                         "rename what bears it")


def _number(value: float, place: str) -> float:
    if not math.isfinite(value):
        raise DocumentError(f"{place}: {value} is not a number a document can hold; give a finite one")
    return float(value)


def _lane_record(lane: Lane, part: str) -> dict[str, object]:
    place = f"part {part!r}, lane {lane.name}"
    return {"name": lane.name, "times": [_number(t, place) for t in lane.times],
            "values": [_number(v, place) for v in lane.values]}


def _note_record(note: Note, performance: Performance) -> dict[str, object]:
    expression = performance.expressions[note.id]
    record: dict[str, object] = {"id": note.id, "onset": float(note.onset), "duration": float(note.duration),
                                 "pitch": float(note.pitch), "velocity": note.velocity}
    if note.articulations:
        record["articulations"] = note.articulations
    values = ((name, getattr(expression, name)) for name in NOTE_ATTRIBUTES)
    record["expression"] = {name: None if value is None else float(value) for name, value in values}
    if note.id in performance.origins:
        record["origins"] = dict(performance.origins[note.id])
    if note.id in performance.locks:
        record["locks"] = sorted(performance.locks[note.id])
    return record


def _curve_record(curve: Curve) -> dict[str, object]:
    return {"target": curve.target, "mode": curve.mode, "part": curve.part, "note_id": curve.note_id,
            "anchor": curve.anchor, "origin": curve.origin, "band": curve.band,
            "times": [float(t) for t in curve.times], "values": [float(v) for v in curve.values]}


def _mix_record(mix: Mix) -> dict[str, object]:
    gain = None if mix.gain_db is None else _number(mix.gain_db, "mix, gain_db")
    parts = {name: {"gain_db": _number(place.gain_db, f"mix, part {name!r}, gain_db"),
                    "pan": _number(place.pan, f"mix, part {name!r}, pan"), "room": place.room}
             for name, place in mix.parts.items()}
    return {"gain_db": gain, "parts": parts}


# --- checking --------------------------------------------------------------------------------------------------------


def _version(data: bytes) -> int:
    """The version a document says it is of, when it can be read."""
    try:
        heading = msgspec.json.decode(data, type=_Heading)
    except msgspec.ValidationError as error:
        raise DocumentError(f"this is JSON but not a mididdsp performance, for it has no legal format and version "
                            f"({_plain(str(error))[0]}); give a file that `mididdsp perform` wrote") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _refuse(error, data)
    if heading.format != FORMAT:
        raise DocumentError(f"its format is {heading.format!r}, not {FORMAT!r}; "
                            "give a file that `mididdsp perform` wrote")
    if heading.version > VERSION:
        raise DocumentError(f"it is of version {heading.version} and this mididdsp reads up to version {VERSION}; "
                            "update mididdsp")
    if heading.version < 1:
        raise DocumentError(f"its version is {heading.version}, but versions begin at 1; correct the version")
    return heading.version


def _check(performance: Performance) -> None:
    """Refuse what the types let through: numbers out of range, and what belongs to a note or part that is not there."""
    score = performance.score
    _check_integer(performance.seed, -(2**63), 2**63 - 1, "seed")
    if not performance.temperature >= 0:
        raise DocumentError(f"temperature: {performance.temperature} is not legal; give a number from 0")
    for number, tempo in enumerate(score.tempo, start=1):
        if not tempo.bpm > 0:
            raise DocumentError(f"tempo {number}: {tempo.bpm} beats a minute are not legal; give a number above 0")
    for number, meter in enumerate(score.meter, start=1):
        _check_integer(meter.numerator, 1, 1024, f"meter {number}, numerator")
        _check_integer(meter.denominator, 1, 1024, f"meter {number}, denominator")
    for number, key in enumerate(score.key, start=1):
        _check_integer(key.fifths, -7, 7, f"key {number}, fifths")
    for part in score.parts:
        _check_integer(part.players, 1, 1024, f"part {part.name!r}, players")
        if part.program is not None:
            _check_integer(part.program, 0, 127, f"part {part.name!r}, program")
        if part.channel is not None:
            _check_integer(part.channel, 0, 15, f"part {part.name!r}, channel")
    for name, place in performance.mix.parts.items():
        if not -1 <= place.pan <= 1:
            raise DocumentError(f"mix, part {name!r}: pan is {place.pan}; give a number from -1 (left) to 1 (right)")
    _check_references(performance)


def _check_integer(value: int, low: int, high: int, place: str) -> None:
    if not low <= value <= high:
        raise DocumentError(f"{place}: {value} is not legal; give a whole number from {low} to {high}")


def _check_references(performance: Performance) -> None:
    score = performance.score
    parts = {part.name: {note.id for note in part.notes} for part in score.parts}
    for kind, table in (("origins", performance.origins), ("locks", performance.locks)):
        for note_id, named in table.items():
            if note_id not in performance.expressions:
                raise DocumentError(f"{kind} are given for note {note_id}, which the score does not have; remove them")
            unknown = sorted(set(named) - set(NOTE_ATTRIBUTES))
            if unknown:
                raise DocumentError(f"note {note_id}, {kind}: {unknown[0]!r} is not an attribute; "
                                    f"the attributes are {', '.join(NOTE_ATTRIBUTES)}")
    for note_id, origins in performance.origins.items():
        for name, origin in origins.items():
            if origin not in ORIGINS:
                raise DocumentError(f"note {note_id}, origins, {name}: {origin!r} is not an origin; "
                                    f"the origins are {', '.join(ORIGINS)}")
    for number, curve in enumerate(performance.curves, start=1):
        if curve.part not in parts:
            raise DocumentError(f"curve {number}: there is no part {curve.part!r}; "
                                "name a part of the score or remove the curve")
        if curve.note_id is not None and curve.note_id not in parts[curve.part]:
            raise DocumentError(f"curve {number}: part {curve.part!r} has no note {curve.note_id}; "
                                "name a note of the part or remove the curve")
    for name in performance.mix.parts:
        if name not in parts:
            raise DocumentError(f"mix: there is no part {name!r}; name a part of the score or remove the entry")


# --- reading ---------------------------------------------------------------------------------------------------------


def _performance(record: _DocumentRecord) -> Performance:
    expressions: dict[str, NoteExpression] = {}
    origins: dict[str, dict[str, str]] = {}
    locks: dict[str, frozenset[str]] = {}
    parts = tuple(_part(part, expressions, origins, locks) for part in record.parts)
    curves = []
    for number, curve in enumerate(record.curves, start=1):
        try:
            curves.append(Curve(**msgspec.structs.asdict(curve)))
        except ValueError as error:
            raise DocumentError(f"curve {number}: {error}") from error
    try:
        score = Score(
            parts=parts,
            tempo=tuple(TempoChange(**msgspec.structs.asdict(tempo)) for tempo in record.tempo),
            meter=tuple(MeterChange(**msgspec.structs.asdict(meter)) for meter in record.meter),
            key=tuple(KeyChange(**msgspec.structs.asdict(key)) for key in record.key),
            title=record.title,
        )
        places = {name: PartMix(**msgspec.structs.asdict(place)) for name, place in record.mix.parts.items()}
        performance = Performance(
            score=score, expressions=expressions, curves=tuple(curves), origins=origins, locks=locks,
            seed=record.seed, temperature=record.temperature, a4_hz=record.a4_hz,
            mix=Mix(gain_db=record.mix.gain_db, parts=places), checkpoints=record.checkpoints,
        )
    except ValueError as error:
        raise DocumentError(str(error)) from error
    _check(performance)
    return performance


def _part(record: _PartRecord, expressions: dict[str, NoteExpression], origins: dict[str, dict[str, str]],
          locks: dict[str, frozenset[str]]) -> Part:
    """The part of a record; the expressions, origins and locks of its notes are added to the three tables."""
    place = f"part {record.name!r}"
    try:
        lanes = tuple(Lane(**msgspec.structs.asdict(lane)) for lane in record.lanes)
        notes = []
        for line in record.notes:
            notes.append(Note(id=line.id, onset=line.onset, duration=line.duration, pitch=line.pitch,
                              velocity=line.velocity, articulations=line.articulations))
            try:
                expressions[line.id] = NoteExpression(**msgspec.structs.asdict(line.expression))
            except ValueError as error:
                raise ValueError(f"note {line.id}, expression: {error}") from error
            if line.origins is not msgspec.UNSET:
                origins[line.id] = line.origins
            if line.locks is not msgspec.UNSET:
                locks[line.id] = frozenset(line.locks)
        return Part(name=record.name, instrument=record.instrument, notes=tuple(notes), players=record.players,
                    lanes=lanes, program=record.program, channel=record.channel)
    except ValueError as error:
        text = str(error)
        raise DocumentError(text if text.startswith("part ") else f"{place}, {text}") from error


# --- saying where a document is wrong --------------------------------------------------------------------------------


_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")
_KINDS = {"float": "a number", "int": "a whole number", "str": "a text", "array": "a list", "object": "an object",
          "bool": "true or false"}
_REMEDIES = (
    ("expected ", "write what is expected"),
    ("missing required field", "add the field"),
    ("unknown field", "correct its name or remove it"),
    ("out of range", "write a smaller number"),
)


def _refuse(error: Exception, data: bytes) -> NoReturn:
    """Raise the DocumentError for what the decoder said, with the place in the words of the document."""
    if not isinstance(error, msgspec.ValidationError):
        raise DocumentError(f"it is not legal JSON ({_syntax(error, data)}); "
                            "restore it from a copy or perform the score again") from error
    problem, path = _plain(str(error))
    remedy = next((remedy for mark, remedy in _REMEDIES if mark in problem), "correct it")
    raise DocumentError(f"{_place(path, data)}{problem}; {remedy}") from error


def _syntax(error: Exception, data: bytes) -> str:
    text = str(error)
    found = re.search(r"\(byte (\d+)\)", text)
    if found is None:
        return text if isinstance(error, msgspec.MsgspecError) else "it is nested too deep or not UTF-8"
    line = data.count(b"\n", 0, int(found[1])) + 1
    return f"{text[:found.start()].strip().removeprefix('JSON is malformed: ')} in line {line}"


def _plain(message: str) -> tuple[str, str]:
    """What is wrong, and the path to it (``$.parts[0].notes[2].onset``, empty for the whole)."""
    problem, _, path = message.partition(" - at `")
    for kind, words in _KINDS.items():
        problem = re.sub(rf"\b{kind}\b(?=[^`]*`(?:,|$))", words, problem) if problem.startswith("Expected") else problem
    if problem.startswith("Expected"):
        problem = problem.replace("`", "").replace(" | ", " or ")
    return problem[:1].lower() + problem[1:], path.removesuffix("`")


def _place(path: str, data: bytes) -> str:
    """The path in words: part by name, note by number and id, field by name."""
    try:
        value = json.loads(data)  # laxer than msgspec: takes numbers out of range
    except (ValueError, RecursionError):
        value = None  # damaged further on: the path alone has to do
    words: list[str] = []
    for step in _STEP.finditer(path):
        if step[1] is not None:
            value = value.get(step[1]) if isinstance(value, dict) else None
            words.append(step[1])
        elif step[2] is not None:
            index = int(step[2])
            value = value[index] if isinstance(value, list) and index < len(value) else None
            singular = words.pop().removesuffix("s") if words else "element"
            name = next((value[key] for key in ("name", "id") if isinstance(value.get(key), str)), None) \
                if isinstance(value, dict) else None
            words.append(f"{singular} {index + 1}" if name is None else f"{singular} {index + 1} ({name})")
        else:
            value = None  # the decoder does not say which entry of a table it was
    return ", ".join(words) + ": " if words else ""
