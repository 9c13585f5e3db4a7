"""Performances as documents: nothing is lost, and what is wrong is said in one sentence."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import strategies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mididdsp.expression.document import VERSION, DocumentError, load_performance, parse_performance, save_performance
from mididdsp.expression.types import (
    ATTRIBUTE_RANGES,
    CURVE_TARGETS,
    NOTE_ATTRIBUTES,
    ORIGINS,
    Curve,
    Mix,
    NoteExpression,
    PartMix,
    Performance,
)
from mididdsp.notes.types import ARTICULATIONS, KeyChange, Lane, MeterChange, Note, Part, Score, TempoChange

ANY_SIZE = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]

EXPRESSION = NoteExpression(
    level_db=-26.1, fluctuation_db=1.0, peak_position=0.3, brightness=1.5, attack_noise_db=-30.0, attack_s=0.05,
    release_s=0.1, vibrato_cents=0.0, vibrato_rate_hz=None, vibrato_delay_s=None, tuning_cents=0.0, timing_s=0.0,
    length_ratio=1.0, glide_s=None)


@pytest.fixture
def performance() -> Performance:
    notes = (Note(id="a1", onset=0.0, duration=1 / 3, pitch=69.0, velocity=80, articulations=("accent", "staccato")),
             Note(id="b2", onset=0.1 + 0.2, duration=0.5, pitch=60.25))
    return Performance(
        score=Score(
            parts=(Part(name="Geige «1»", instrument="violin", notes=notes, program=40, channel=0,
                        lanes=(Lane(name="cc11", times=(0.0, 0.1), values=(100.0, 127.0)),)),
                   Part(name="Leer", instrument="tuba", notes=())),
            tempo=(TempoChange(time=0.0, beat=0.0, bpm=119.99),),
            meter=(MeterChange(beat=0.0, numerator=6, denominator=8),),
            key=(KeyChange(beat=0.0, fifths=-3, mode="minor"),), title="Zwei \"Töne\"\n"),
        expressions={note.id: EXPRESSION for note in notes},
        curves=(Curve(target="level", times=(0.0, 0.25), values=(0.0, -6.02), part="Geige «1»", note_id="b2",
                      anchor="onset"),),
        origins={"a1": {"level_db": "hand"}, "b2": {}}, locks={"b2": frozenset({"level_db", "timing_s"})},
        seed=-7, temperature=0.7, mix=Mix(gain_db=None, parts={"Leer": PartMix(gain_db=-3.0, pan=0.5, room="none")}),
        checkpoints={"expression": "00ff"})


@pytest.fixture
def document(performance: Performance, tmp_path: Path) -> bytes:
    save_performance(tmp_path / "x.performance.json", performance)
    return (tmp_path / "x.performance.json").read_bytes()


def saved(performance: Performance, folder: Path) -> bytes:
    save_performance(folder / "p.performance.json", performance)
    return (folder / "p.performance.json").read_bytes()


def test_a_performance_round_trips(performance: Performance, document: bytes, tmp_path: Path) -> None:
    assert load_performance(tmp_path / "x.performance.json") == performance


@settings(max_examples=100, deadline=None, suppress_health_check=ANY_SIZE)
@given(performance=strategies.performances())
def test_any_performance_round_trips(performance: Performance, tmp_path: Path) -> None:
    data = saved(performance, tmp_path)
    assert parse_performance(data) == performance
    assert saved(parse_performance(data), tmp_path) == data


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.floats(0.0, 1e300, exclude_min=True))
def test_every_float_survives(value: float, tmp_path: Path) -> None:
    score = Score(parts=(), tempo=(TempoChange(time=value, beat=-value, bpm=value),))
    change = parse_performance(saved(Performance(score=score, expressions={}), tmp_path)).score.tempo[0]
    assert (change.time, change.beat, change.bpm) == (value, -value, value)


def test_one_note_stands_on_one_line(performance: Performance, document: bytes, tmp_path: Path) -> None:
    louder = dict(performance.expressions) | {"b2": replace(EXPRESSION, level_db=-20.0)}
    changed = replace(performance, expressions=louder)
    before, after = document.decode().splitlines(), saved(changed, tmp_path).decode().splitlines()
    assert len(before) == len(after)
    different = [line for line, other in zip(before, after) if line != other]
    assert different == [line for line in before if '"b2", "onset"' in line]


def test_numpy_numbers_are_written_as_numbers(tmp_path: Path) -> None:
    note = Note(id="a", onset=np.float64(0.5), duration=np.float32(0.1), pitch=60)
    expression = replace(EXPRESSION, level_db=np.float32(-26.3))
    performance = Performance(score=Score(parts=(Part(name="p", instrument="violin", notes=(note,)),)),
                              expressions={"a": expression})
    loaded = parse_performance(saved(performance, tmp_path))
    assert loaded == performance
    assert type(loaded.score.note("a").duration) is float


# --- schema


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json.loads(files("mididdsp.expression").joinpath("performance.schema.json").read_text("utf-8"))


def test_the_schema_is_legal_and_agrees_with_the_types(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    definitions = schema["$defs"]
    attributes = definitions["expression"]["properties"]
    assert tuple(attributes) == NOTE_ATTRIBUTES == tuple(definitions["expression"]["required"])
    for name, (low, high, nullable) in ATTRIBUTE_RANGES.items():
        described = attributes[name]
        assert (described["minimum"], described["maximum"]) == (low, high)
        assert described["type"] == (["number", "null"] if nullable else "number")
    assert definitions["attribute"]["enum"] == list(NOTE_ATTRIBUTES)
    assert definitions["origin"]["enum"] == list(ORIGINS)
    assert definitions["note"]["properties"]["articulations"]["items"]["enum"] == list(ARTICULATIONS)
    assert definitions["curve"]["properties"]["target"]["enum"] == list(CURVE_TARGETS)
    assert schema["properties"]["version"]["const"] == VERSION


@settings(max_examples=30, deadline=None, suppress_health_check=ANY_SIZE)
@given(performance=strategies.performances())
def test_documents_obey_the_schema(performance: Performance, tmp_path: Path, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema).validate(json.loads(saved(performance, tmp_path)))


@pytest.mark.parametrize(("old", "new"), [
    ('"pitch": 69.0', '"pitch": 190.0'), ('"level_db": -26.1', '"leveldb": -26.1'), ('"velocity": 80', '"velocity": 0'),
    ('"accent"', '"shout"'), ('"level_db": "hand"', '"level_db": "mine"'), ('"bpm": 119.99', '"bpm": 0'),
    ('"pan": 0.5', '"pan": 1.5'), ('"target": "level"', '"target": "colour"'), ('"seed": -7', '"seed": 0.5'),
])
def test_the_schema_refuses_what_loading_refuses(document: bytes, schema: dict[str, Any], old: str, new: str) -> None:
    text = document.decode()
    assert old in text
    damaged = text.replace(old, new, 1)
    assert not jsonschema.Draft202012Validator(schema).is_valid(json.loads(damaged))
    with pytest.raises(DocumentError):
        parse_performance(damaged.encode())


# --- errors


@pytest.mark.parametrize(("old", "new", "sentence"), [
    ('"pitch": 69.0', '"pitch": "A4"', "part 1 (Geige «1»), note 1 (a1), pitch: expected a number, got a text; write"),
    ('"onset": 0.0, ', "", "part 1 (Geige «1»), note 1 (a1): object missing required field `onset`; add the field"),
    ('"level_db": -26.1', '"leveldb": -26.1', "note 1 (a1), expression: object contains unknown field `leveldb`"),
    ('"pitch": 69.0', '"pitch": 690.0', "part 'Geige «1»', note a1: pitch is 690.0, it must be"),
    ('"level_db": -26.1', '"level_db": 99.0', "note a1, expression: level_db is 99.0, it must be from -120.0 to 12.0"),
    ('"id": "b2"', '"id": "a1"', "two notes have the same id; make note ids unique"),
    ('"onset": 0.0', '"onset": 9.0', "notes are not sorted by onset and pitch; sort them"),
    ('"level_db": "hand"', '"lvl": "hand"', "note a1, origins: 'lvl' is not an attribute; the attributes are"),
    ('["level_db", "timing_s"]', '["lvl"]', "note b2, locks: 'lvl' is not an attribute"),
    ('"note_id": "b2"', '"note_id": "c3"', "curve 1: part 'Geige «1»' has no note c3; name a note"),
    ('"part": "Geige «1»"', '"part": "Flöte"', "curve 1: there is no part 'Flöte'; name a part"),
    ('"Leer": {', '"Voll": {', "mix: there is no part 'Voll'; name a part"),
    ('"numerator": 6', '"numerator": 0', "meter 1, numerator: 0 is not legal; give a whole number from 1"),
    ('"times": [0.0, 0.1]', '"times": [0.0]', "part 'Geige «1»', lane cc11: 1 times for 2 values; give one"),
    ('"temperature": 0.7', '"temperature": -1.0', "temperature: -1.0 is not legal; give a number from 0"),
    ('"pitch": 69.0', '"pitch": 1e999', "note 1 (a1), pitch: number out of range; write a smaller number"),
    ('"pitch": 69.0', '"pitch": NaN', "it is not legal JSON (invalid character in line"),
    ('"version": 2', '"version": 3', "it is of version 3 and this mididdsp reads up to version 2; update mididdsp"),
    ('"a4_hz": 440.0', '"a4_hz": 44.0', "a4_hz is 44.0; A4 is tuned to 100 to 1000 Hz"),
    ('"band": null', '"band": [1, 4]', "curve 1: a curve of partials needs its band (first and last), one of anything"),
    ('"target": "level"', '"target": "partials"', "curve 1: a curve of partials needs its band"),
    ('"version": 2', '"version": 0', "its version is 0, but versions begin at 1"),
    ('"mididdsp.performance"', '"x"', "its format is 'x', not 'mididdsp.performance'; give a file"),
    ('"format": "mididdsp.performance",', "", "not a mididdsp performance, for it has no legal format"),
])
def test_an_error_says_where_and_what_to_do(document: bytes, tmp_path: Path, old: str, new: str, sentence: str) -> None:
    text = document.decode()
    assert old in text
    path = tmp_path / "damaged.performance.json"
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(DocumentError, match=re.escape(sentence)) as caught:
        load_performance(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_syntax_error_names_its_line(document: bytes) -> None:
    lines = document.decode().splitlines()
    number = next(index for index, line in enumerate(lines, start=1) if '"b2", "onset"' in line)
    lines[number - 1] = lines[number - 1].replace('"pitch": 60.25', '"pitch": 60,25')
    with pytest.raises(DocumentError, match=f"in line {number}\\b"):
        parse_performance("\n".join(lines).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 200_000, b'{"a":' * 200_000,
                                  b"MThd\0\0\0\6",
                                  b'{"format": "mididdsp.performance", "version": 2, "seed": ' + b"[" * 200_000])
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(DocumentError):
        parse_performance(data)


def test_a_byte_order_mark_and_other_spacing_do_no_harm(performance: Performance, document: bytes) -> None:
    assert parse_performance(b"\xef\xbb\xbf" + json.dumps(json.loads(document), indent=4).encode()) == performance


def _changed(value: Any, draw: st.DataObject) -> Any:
    """The document with one field removed or turned into something else, anywhere in it."""
    if isinstance(value, dict) and value and draw.draw(st.integers(0, 3)):
        key = draw.draw(st.sampled_from(sorted(value)))
        if draw.draw(st.integers(0, 4)) == 0:
            return {name: item for name, item in value.items() if name != key}
        return value | {key: _changed(value[key], draw)}
    if isinstance(value, list) and value and draw.draw(st.integers(0, 3)):
        index = draw.draw(st.integers(0, len(value) - 1))
        return [*value[:index], _changed(value[index], draw), *value[index + 1:]]
    return draw.draw(st.sampled_from((None, -1, 0, 10**30, 1.5, 1e308, "", "x\0y", [], {}, [1], {"a": 1}, True)))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_changed_fields_load_or_are_refused(performance: Performance, document: bytes, draw: st.DataObject) -> None:
    damaged = json.dumps(_changed(json.loads(document), draw)).encode()
    with suppress(DocumentError):  # and no other error
        parse_performance(damaged)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_flipped_and_missing_bytes_load_or_are_refused(document: bytes, draw: st.DataObject) -> None:
    data = bytearray(document)
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    data = data[:draw.draw(st.sampled_from((len(data), draw.draw(st.integers(0, len(data))))))]
    with suppress(DocumentError):  # and no other error
        parse_performance(bytes(data))


# --- what cannot be written


@pytest.mark.parametrize(("change", "sentence"), [
    ({"temperature": math.nan}, "temperature: nan is not legal"),
    ({"seed": 2**63}, "seed: 9223372036854775808 is not legal"),
    ({"mix": Mix(gain_db=math.inf)}, "mix, gain_db: inf is not a number a document can hold; give a finite one"),
    ({"mix": Mix(parts={"?": PartMix()})}, "there is no part"),
    ({"origins": {"zz": {}}}, "origins are given for note zz, which the score does not have"),
    ({"checkpoints": {"notes": "\ud800"}}, "not Unicode"),
])
def test_what_a_document_cannot_hold_is_refused(performance: Performance, tmp_path: Path, change: dict[str, Any],
                                                sentence: str) -> None:
    path = tmp_path / "p.performance.json"
    path.write_text("before")
    with pytest.raises(DocumentError, match=re.escape(sentence)):
        save_performance(path, replace(performance, **change))
    assert path.read_text() == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_lane_that_is_not_finite_is_refused(performance: Performance, tmp_path: Path) -> None:
    lane = Lane(name="bend", times=(0.0,), values=(math.nan,))
    score = Score(parts=(Part(name="p", instrument="violin", notes=(), lanes=(lane,)),))
    with pytest.raises(DocumentError, match="part 'p', lane bend: nan is not a number"):
        save_performance(tmp_path / "p.json", Performance(score=score, expressions={}))


def test_the_documents_import_no_torch() -> None:
    import subprocess
    import sys

    code = ("import sys, mididdsp.expression.document, mididdsp.expression.controllers, mididdsp.expression.curves; "
            "sys.exit('torch' in sys.modules or 'scipy' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
