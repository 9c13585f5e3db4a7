"""Documents of older versions are read as the newest writes them, or refused with a sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mididdsp.expression.document import VERSION, DocumentError, parse_performance, save_performance

VERSION_1 = json.dumps({
    "format": "mididdsp.performance", "version": 1, "title": "Tune", "seed": 7, "temperature": 0.5,
    "checkpoints": {"expression": "00ff"},
    "mix": {"gain_db": -3.0, "parts": {"Violin": {"gain_db": 0.0, "pan": -0.2, "room": "own"}}},
    "tempo": [{"time": 0.0, "beat": 0.0, "bpm": 96.0}], "meter": [], "key": [],
    "parts": [{
        "name": "Violin", "instrument": "violin", "players": 1, "program": 40, "channel": 0, "lanes": [],
        "notes": [{
            "id": "a1", "onset": 0.0, "duration": 0.5, "pitch": 69.0, "velocity": 80, "articulations": ["accent"],
            "expression": {
                "level_db": -26.1, "fluctuation_db": 1.0, "peak_position": 0.3, "brightness": 1.5,
                "attack_noise_db": -30.0, "attack_s": 0.05, "release_s": 0.1, "vibrato_cents": 20.0,
                "vibrato_rate_hz": 5.5, "vibrato_delay_s": 0.1, "tuning_cents": 0.0, "timing_s": 0.0,
                "length_ratio": 1.0, "glide_s": None},
            "origins": {"level_db": "hand"}, "locks": ["level_db"]}]}],
    "curves": [{
        "target": "level", "mode": "add", "part": "Violin", "note_id": "a1", "anchor": "onset", "origin": "hand",
        "times": [0.0, 0.25], "values": [0.0, -6.0]}]})
"""What the first version wrote."""


def test_a_document_of_version_1_is_read(tmp_path: Path) -> None:
    performance = parse_performance(VERSION_1.encode())
    played = performance.expressions["a1"]
    assert (played.level_db, played.vibrato_cents, played.vibrato_delay_s) == (-26.1, 20.0, 0.1)
    assert (played.vibrato_fade_s, played.vibrato_phase, played.vibrato_irregularity) == (None, None, None)
    assert performance.a4_hz == 440.0
    assert performance.curves[0].band is None
    assert (performance.seed, performance.mix.gain_db, performance.origins["a1"]) == (7, -3.0, {"level_db": "hand"})
    path = tmp_path / "new.performance.json"
    save_performance(path, performance)
    assert f'"version": {VERSION}'.encode() in path.read_bytes()
    assert parse_performance(path.read_bytes()) == performance


@pytest.mark.parametrize(("old", "new", "sentence"), [
    ('"level_db": -26.1', '"level_db": 99.0', "note a1, expression: level_db is 99.0, it must be from -120.0 to 12.0"),
    ('"pitch": 69.0', '"pitch": "A4"', "part 1 (Violin), note 1 (a1), pitch: expected a number, got a text; write"),
    ('"onset": 0.0, ', "", "part 1 (Violin), note 1 (a1): object missing required field `onset`; add the field"),
    ('"notes": [', '"notes": 3, "x": [', "part 1 (Violin), notes: expected a list, got a whole number"),
    ('"curves": [', '"curves": [1, ', "curve 1: expected an object, got a whole number"),
])
def test_a_damaged_one_is_refused_with_a_sentence(old: str, new: str, sentence: str) -> None:
    text = VERSION_1
    assert old in text
    with pytest.raises(DocumentError, match=re.escape(sentence)):
        parse_performance(text.replace(old, new, 1).encode())
