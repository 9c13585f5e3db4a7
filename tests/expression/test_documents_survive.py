"""A thousand performances survive their documents, and a thousand damaged documents are refused with a sentence."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from mididdsp.expression.document import DocumentError, parse_performance, save_performance
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
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.types import ARTICULATIONS, KeyChange, Lane, MeterChange, Note, Part, Score, TempoChange

COUNT = 1000


def any_performance(rng: random.Random) -> Performance:
    """Any legal values anywhere; quicker to make than Hypothesis's, so that there can be a thousand."""
    parts = []
    for number in range(rng.randint(0, 3)):
        onsets = sorted(rng.uniform(0, 60) for _ in range(rng.randint(0, 6)))
        notes = [Note(id=f"{number}.{index}", onset=onset, duration=rng.uniform(1e-4, 9), pitch=rng.uniform(-12, 140),
                      velocity=rng.choice((None, rng.randint(1, 127))),
                      articulations=tuple(sorted(rng.sample(ARTICULATIONS, rng.randint(0, 3)))))
                 for index, onset in enumerate(onsets)]
        lanes = [Lane(name="cc11", times=(0.0, rng.uniform(0, 9)), values=(1.0, rng.uniform(0, 127)))]
        parts.append(Part(name=f"{rng.choice('äöΩ日 ')}{number}", instrument=rng.choice(list(INSTRUMENTS)),
                          notes=tuple(notes), lanes=tuple(lanes[:rng.randint(0, 1)]), players=rng.randint(1, 9)))
    score = Score(parts=tuple(parts), title=rng.choice(("", "Übung\n\"1\"", "日本")),
                  tempo=(TempoChange(time=0.0, beat=0.0, bpm=rng.uniform(5, 400)),),
                  meter=(MeterChange(beat=0.0, numerator=rng.randint(1, 12), denominator=rng.choice((2, 4, 8))),),
                  key=(KeyChange(beat=rng.uniform(0, 9), fifths=rng.randint(-7, 7), mode="minor"),))
    ids = [note.id for part in parts for note in part.notes]
    expressions = {}
    for name in ids:
        values: dict[str, Any] = {key: rng.choice((rng.uniform(low, high), low, high, None if nullable else low))
                                  for key, (low, high, nullable) in ATTRIBUTE_RANGES.items()}
        expressions[name] = NoteExpression(**values)
    owners = [(part, note) for part in parts for note in part.notes]
    targets = [(target, (2, rng.randint(2, 40)) if target == "partials" else None) for target in CURVE_TARGETS]
    lines = [rng.choice(targets) for _ in range(2)]
    curves = [Curve(target=target, band=band, mode=rng.choice(("add", "set")), times=(-0.1, 0.2),
                    values=(rng.uniform(-99, 99), 0.0), part=part.name, note_id=note.id, anchor="onset",
                    origin=rng.choice(ORIGINS))
              for (part, note), (target, band) in zip(rng.sample(owners, min(2, len(owners))), lines)]
    some = rng.sample(ids, min(3, len(ids)))
    return Performance(
        score=score, expressions=expressions, curves=tuple(curves),
        origins={name: {rng.choice(NOTE_ATTRIBUTES): rng.choice(ORIGINS)} for name in some},
        locks={name: frozenset(rng.sample(NOTE_ATTRIBUTES, rng.randint(1, 4))) for name in some},
        seed=rng.randint(-2**63, 2**63 - 1), temperature=rng.uniform(0, 4), a4_hz=rng.uniform(400, 460),
        mix=Mix(gain_db=rng.choice((None, rng.uniform(-60, 12))),
                parts={part.name: PartMix(pan=rng.uniform(-1, 1)) for part in parts}))


def test_a_thousand_performances_round_trip_equal(tmp_path: Path) -> None:
    rng = random.Random(1)
    path = tmp_path / "x.performance.json"
    for _ in range(COUNT):
        performance = any_performance(rng)
        save_performance(path, performance)
        assert parse_performance(path.read_bytes()) == performance


def damaged(rng: random.Random, data: bytes) -> bytes:
    """A document with one thing wrong that no reading could take for right."""
    document = json.loads(data)
    kind = rng.randrange(8)
    if kind == 0:  # the end is missing
        return data[:rng.randrange(1, len(data) - 2)]
    if kind == 1:  # a bracket too many or too few
        place = rng.choice([index for index, byte in enumerate(data) if byte in b"{}[]"])
        return data[:place] + data[place + 1:]
    if kind == 2:
        field = rng.choice([key for key in document if key not in ("title", "temperature")])
        document[field] = rng.choice(("x", {"y": 1}, 1.5, True))
    elif kind == 3:
        del document[rng.choice(list(document))]
    else:
        notes = [note for part in document["parts"] for note in part["notes"]]
        note = rng.choice(notes)
        if kind == 4:
            note[rng.choice(("onset", "duration", "pitch"))] = rng.choice((-1e9, "1", None, [], True))
        elif kind == 5:
            low, high, _ = ATTRIBUTE_RANGES[name := rng.choice(NOTE_ATTRIBUTES)]
            note["expression"][name] = rng.choice((high + 1, low - 1, "0", [0]))
        elif kind == 6:
            del note["expression"][rng.choice(NOTE_ATTRIBUTES)]
        else:
            note[rng.choice(("colour", "Onset", ""))] = 1
    return json.dumps(document).encode()


def test_a_thousand_damaged_documents_are_refused_with_a_sentence(tmp_path: Path) -> None:
    rng = random.Random(2)
    path = tmp_path / "x.performance.json"
    made = 0
    while made < COUNT:
        performance = any_performance(rng)
        if not performance.expressions:
            continue
        save_performance(path, performance)
        data = path.read_bytes()
        for _ in range(10):
            with pytest.raises(DocumentError) as caught:
                parse_performance(damaged(rng, data))
            assert len(str(caught.value)) > 20
            assert "\n" not in str(caught.value)
            made += 1
