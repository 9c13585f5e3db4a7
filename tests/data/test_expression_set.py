"""Examples for the expression level: each source tells what it can, on the model's scale, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mididdsp.data import expression_set
from mididdsp.data.expression_set import (
    ATTACK_ATTRIBUTES,
    HEARD_OF_EXTENT,
    HEARD_OF_SHARE,
    SCRAP_S,
    SHAPE_ATTRIBUTES,
    SHAPE_SHARE,
    SINGLE_NOTE_ATTRIBUTES,
    Examples,
    faded,
    figure_examples,
    lone_vibrato_examples,
    phrase_examples,
    single_note_examples,
    violin_examples,
)
from mididdsp.data.notes_dataset import TrainingNote, load_notes
from mididdsp.data.violinists import COLUMNS
from mididdsp.expression.context import CONTEXT_FEATURES, REACH, SURROUNDINGS, marked, marks_of, surrounded
from mididdsp.expression.generator import SHORTEST_VIBRATO_S
from mididdsp.expression.scales import SCALES
from mididdsp.expression.types import ATTRIBUTE_RANGES, ATTRIBUTES, VIBRATO_ATTRIBUTES
from mididdsp.instruments import INSTRUMENTS

VELOCITY_KNOWN, VELOCITY = 3, 4
SECONDS = 1


def told(examples: Examples) -> set[str]:
    return {name for name, known in zip(ATTRIBUTES, examples.known.T) if known.any()}


def physical(examples: Examples, name: str) -> np.ndarray:  # type: ignore[type-arg]
    index = ATTRIBUTES.index(name)
    return np.array([SCALES[name].backward(float(value))
                     for value in examples.values[examples.known[:, index] > 0, index]])


def check(examples: Examples) -> None:
    count = len(examples)
    assert examples.context.shape == (count, CONTEXT_FEATURES)
    assert examples.values.shape == examples.known.shape == (count, len(ATTRIBUTES))
    assert examples.instrument.shape == examples.vibrates.shape == (count,)
    assert np.isfinite(examples.context).all()
    assert np.isfinite(examples.values).all()
    assert (np.abs(examples.values) <= 4.0).all()
    assert set(np.unique(examples.known)) <= {0.0, 1.0}
    assert set(np.unique(examples.vibrates[~np.isnan(examples.vibrates)])) <= {0.0, 1.0}
    assert ((examples.instrument >= 0) & (examples.instrument < len(INSTRUMENTS))).all()


def test_what_an_editor_faded_tells_no_release(dataset: Path) -> None:
    note = load_notes(dataset, "train")[0]
    body = float(note.facts["expression"]["level_db"])

    def ending(decay_db_a_frame: float, cut: int) -> TrainingNote:
        """100 frames of held sound, then a decay, the last twelve frames of it faded to silence."""
        level = body - decay_db_a_frame * np.clip(np.arange(cut) - 100, 0, None)
        level[-12:] = np.linspace(level[-12], body - 90.0, 12)
        return replace(note, frames={**note.frames, "level_db": np.concatenate([level, np.full(20, body - 120.0)])},
                       facts={**note.facts, "unfinished": False})

    assert faded(ending(0.25, 150))  # 12 dB down when the fade begins
    assert not faded(ending(0.5, 180))  # 40 dB down
    told = [single_note_examples([one], copies=1, seed=0).known[0, ATTRIBUTES.index("release_s")]
            for one in (ending(0.25, 150), ending(0.5, 180))]
    assert told == [0.0, 1.0]


def test_notes_that_were_asked_to_swell_teach_vibrato_alone(dataset: Path) -> None:
    notes = load_notes(dataset, "train")
    swells = [replace(note, facts={**note.facts, "velocity": None, "dynamic": "cresc-decresc"}) for note in notes]
    examples = single_note_examples(swells, copies=6, seed=0)
    assert np.isfinite(examples.vibrates).any()
    assert not examples.known[:, [ATTRIBUTES.index(name) for name in SINGLE_NOTE_ATTRIBUTES]].any()


def test_single_notes(dataset: Path) -> None:
    examples = single_note_examples(load_notes(dataset, "train"), copies=6, seed=0)
    check(examples)
    assert len(examples) == 6 * 10
    assert told(examples) <= {*SINGLE_NOTE_ATTRIBUTES, *VIBRATO_ATTRIBUTES}
    accompanied = (examples.context[:, -2 * REACH * 6 :] != 0).any(1)
    assert np.isnan(examples.vibrates[accompanied]).all(), "vibrato is learned from notes that stand alone"
    assert not examples.known[accompanied][:, [ATTRIBUTES.index(name) for name in VIBRATO_ATTRIBUTES]].any()
    assert accompanied.any()
    assert not accompanied.all()
    without = examples.context[:, VELOCITY_KNOWN] == 0
    assert 0.1 < without.mean() < 0.6
    assert (examples.context[without, VELOCITY] == 0).all()
    # The first note's attributes come back as they were measured.
    note = load_notes(dataset, "train")[0]
    assert not note.facts["late_attack"]
    for name in ATTACK_ATTRIBUTES:  # not every copy tells them: among others they are the phrases' matter
        telling = np.flatnonzero(examples.known[:6, ATTRIBUTES.index(name)])
        assert len(telling)
        for row in telling:
            assert SCALES[name].backward(float(examples.values[row, ATTRIBUTES.index(name)])) == pytest.approx(
                getattr(note.expression, name), rel=1e-4)
    again = single_note_examples(load_notes(dataset, "train"), copies=6, seed=0)
    assert np.array_equal(examples.context, again.context)
    other = single_note_examples(load_notes(dataset, "train"), copies=6, seed=1)
    assert not np.array_equal(examples.context, other.context)


def test_how_the_level_moves_among_others_is_left_to_phrases(dataset: Path) -> None:
    examples = single_note_examples(load_notes(dataset, "train"), copies=60, seed=0)
    accompanied = (examples.context[:, -2 * REACH * 6 :] != 0).any(1)
    for name in SHAPE_ATTRIBUTES:
        told_of = examples.known[:, ATTRIBUTES.index(name)]
        most = told_of[~accompanied].mean()  # some clips tell no attack
        # about 500 copies: a standard error of .02
        assert told_of[accompanied].mean() == pytest.approx(SHAPE_SHARE * most, abs=0.07), name


def test_shifts_move_what_has_a_velocity_alone(dataset: Path) -> None:
    notes = load_notes(dataset, "train")
    plain = single_note_examples(notes, copies=6, seed=0)
    shift = {"brightness": np.full(len(notes), 0.5, np.float32)}
    moved = single_note_examples(notes, copies=6, seed=0, shifts=shift)
    difference = (moved.values - plain.values)[:, ATTRIBUTES.index("brightness")]
    assert np.allclose(difference, 0.5 * plain.context[:, VELOCITY_KNOWN])


def test_lone_vibrato(dataset: Path) -> None:
    notes = load_notes(dataset, "train")
    examples = lone_vibrato_examples(notes)
    wanted = [note for note in notes if note.expression.vibrato_cents and note.facts["seconds"] >= 0.2
              and "vibrato" not in (note.facts.get("style") or "")]
    assert len(examples) == len(wanted)
    assert not surrounded(torch.from_numpy(examples.context)).any()
    if wanted:
        assert told(examples) == set(VIBRATO_ATTRIBUTES)
    swinging = [replace(notes[0], expression=replace(
        notes[0].expression, vibrato_cents=20.0, vibrato_rate_hz=6.5, vibrato_delay_s=0.2))]
    one = lone_vibrato_examples(swinging)
    assert told(one) == set(VIBRATO_ATTRIBUTES)
    assert physical(one, "vibrato_cents") == pytest.approx(20.0, rel=1e-4)
    asked = [replace(swinging[0], facts={**swinging[0].facts, "style": "molto-vibrato"})]
    assert len(lone_vibrato_examples(asked)) == 0


def test_phrases(dataset: Path) -> None:
    examples = phrase_examples(dataset, "train", copies=2, seed=0)
    check(examples)
    assert len(examples) == 2 * 6
    assert told(examples) <= {*SINGLE_NOTE_ATTRIBUTES, "length_ratio"}


def test_scraps_between_notes_teach_nothing(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = expression_set.load_phrase_notes(dataset, "train")
    changed = {0: {"joined": True, "seconds": 0.9 * SCRAP_S}, 1: {"leads": True, "seconds": 0.9 * SCRAP_S},
               2: {"joined": True, "seconds": 1.1 * SCRAP_S},
               3: {"joined": False, "leads": False, "seconds": 0.9 * SCRAP_S}}
    notes = [replace(note, facts={**note.facts, "mark": "", **changed.get(index, {})})
             for index, note in enumerate(notes)]
    monkeypatch.setattr(expression_set, "load_phrase_notes", lambda *_: notes)
    known = phrase_examples(dataset, "train", copies=1, seed=0).known
    assert known[:4].any(1).tolist() == [False, False, True, True]


def test_phrases_leave_marks_out(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = [replace(note, facts={**note.facts, "mark": "staccato"})
             for note in expression_set.load_phrase_notes(dataset, "train")]
    monkeypatch.setattr(expression_set, "load_phrase_notes", lambda *_: notes)
    four = phrase_examples(dataset, "train", copies=4, seed=0)
    copy = np.arange(len(four)) % 4
    context = torch.from_numpy(four.context)
    assert (marked(context).numpy() == (copy < 2)).all()
    assert not four.known[copy >= 2, ATTRIBUTES.index("length_ratio")].any(), "lengths are those of marks"
    unmarked = context[copy == 0].clone()
    marks_of(unmarked).zero_()
    but_velocity = np.r_[:VELOCITY_KNOWN, CONTEXT_FEATURES - SURROUNDINGS : CONTEXT_FEATURES]
    assert np.array_equal(unmarked[:, but_velocity], context[copy == 2][:, but_velocity]), "all else stays"


def test_violinists(collection: Path) -> None:
    examples = violin_examples(collection, "train")
    check(examples)
    assert (examples.instrument == list(INSTRUMENTS).index("violin")).all()
    assert told(examples) == {"tuning_cents", "vibrato_cents", "vibrato_rate_hz"}
    # The made-up table asks for less vibrato than the contours show: then all that are without it are believed.
    np.testing.assert_array_equal(examples.vibrates, [1, np.nan, 0, np.nan] * 2)
    np.testing.assert_allclose(physical(examples, "vibrato_cents"), 20.0 / HEARD_OF_EXTENT, atol=0.6)


def test_violinists_vibrate_as_often_as_published(collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three in ten notes show a vibrato, seven in ten are played with one: of the others most are passed over."""
    random = np.random.default_rng(0)
    lines, notes = expression_set.violin_notes(collection, "train", kept=None)
    many = np.repeat(lines[:1], 4000, axis=0)
    many[:, COLUMNS.index("seconds")] = 0.8
    many[:, COLUMNS.index("vibrates")] = random.random(len(many)) < 0.3
    many[:, COLUMNS.index("row")] = np.arange(len(many))
    long_notes = {name: np.resize(values, len(many)) for name, values in notes.items()}
    monkeypatch.setattr(expression_set, "violin_notes", lambda *_, **__: (many, long_notes))
    monkeypatch.setattr(expression_set, "playing_targets", lambda _: {"violin": {"vibrato_share": 0.63}})
    told_of = violin_examples(collection, "train").vibrates
    assert np.nanmean(told_of) == pytest.approx(0.63 / HEARD_OF_SHARE, abs=0.03)
    assert np.isnan(told_of).mean() == pytest.approx(0.7 - 0.3 * 0.3 / 0.7, abs=0.03)


def test_figures(collection: Path) -> None:
    examples = figure_examples(collection, count=1600, seed=0)
    check(examples)
    assert (np.bincount(examples.instrument) == 100).all()
    assert told(examples) == {"timing_s", "tuning_cents", "vibrato_cents", "vibrato_rate_hz", "vibrato_delay_s",
                              "length_ratio", "glide_s"}
    horn = examples.instrument == list(INSTRUMENTS).index("horn")
    # Shares of the made-up table: a tenth for the horn, a half for the others; 60 to 900 notes of 0.2 s and more.
    assert np.nanmean(examples.vibrates[horn]) < 0.3
    assert 0.3 < np.nanmean(examples.vibrates[~horn]) < 0.6
    assert np.median(physical(examples, "vibrato_rate_hz")) == pytest.approx(5.8, abs=0.1)


def test_violinists_begin_later_on_longer_notes(collection: Path) -> None:
    examples = figure_examples(collection, count=32_000, seed=0)
    column = ATTRIBUTES.index("vibrato_delay_s")
    slopes = {}
    for name in ("violin", "oboe"):
        rows = (examples.instrument == list(INSTRUMENTS).index(name)) & (examples.known[:, column] > 0)
        # log seconds against log delay, of 200 notes and more with a spread of 1.1: within .3 (two standard errors)
        slopes[name] = np.polyfit(examples.context[rows, SECONDS], examples.values[rows, column], 1)[0] * SCALES[
            "vibrato_delay_s"].spread
    assert slopes["violin"] == pytest.approx(1.0, abs=0.3)
    assert slopes["oboe"] == pytest.approx(0.0, abs=0.3)
    seconds = 0.5 * np.exp(examples.context[:, SECONDS])
    assert np.isnan(examples.vibrates[seconds < SHORTEST_VIBRATO_S - 1e-3]).all()
    for name in told(examples):
        low, high, _ = ATTRIBUTE_RANGES[name]
        values = physical(examples, name)
        assert (values >= low).all()
        assert (values <= high).all()


def test_examples_are_joined_in_order(collection: Path) -> None:
    one, other = violin_examples(collection, "train"), figure_examples(collection, count=5, seed=0)
    both = Examples.join([one, other])
    assert len(both) == len(one) + 5
    assert np.array_equal(both.values[-5:], other.values)
