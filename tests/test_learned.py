"""Learned instruments: found by name, play their own parts alone, in their player's manner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import mididdsp as md
from mididdsp.checkpoints import CheckpointError, load_checkpoint, resolve, save_checkpoint, shipped
from mididdsp.cli import cli
from mididdsp.expression.adjustment import AdjustedExpression, Adjustment, fit
from mididdsp.learned import adjustments, open_synthesis
from mididdsp.notes.types import Note, Part, Score
from mididdsp.notes.voices import plan_part
from mididdsp.synthesis.ensemble import EnsembleGenerator
from mididdsp.user_data import HOME_VARIABLE, instrument_path, learned_names


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return tmp_path / "home"


def _learned(name: str, instrument: str, adjustment: Adjustment | None = None) -> Path:
    """The shipped weights with the exit moved, as an instrument learned under a name."""
    checkpoint = load_checkpoint(shipped("synthesis"), level="synthesis")
    tensors = dict(checkpoint.tensors)
    bias = tensors["network.exit.bias"]
    tensors["network.exit.bias"] = bias + torch.linspace(-0.5, 0.5, len(bias))
    card = {**checkpoint.card, "name": name, "instrument": instrument,
            "expression": None if adjustment is None else adjustment.to_json()}
    save_checkpoint(instrument_path(name), tensors, card)
    return instrument_path(name)


def _score() -> Score:
    return Score(parts=tuple(
        Part(name=name, instrument=name, notes=tuple(
            Note(id=f"{name} {k}", onset=0.6 * k, duration=0.5, pitch=pitch + k, velocity=80) for k in range(3)))
        for name, pitch in (("violin", 70.0), ("cello", 50.0))))


def test_a_learned_instrument_is_found_by_its_name(home: Path) -> None:
    assert learned_names() == ()
    with pytest.raises(CheckpointError, match="there is no checkpoint 'fiddle'"):
        resolve("fiddle")
    path = _learned("fiddle", "violin")
    assert resolve("fiddle") == path
    assert learned_names() == ("fiddle",)
    listed = CliRunner().invoke(cli, ["instruments"]).output
    assert "fiddle" in listed
    assert "violin, learned from" in listed


def test_it_plays_its_own_parts_and_no_others(home: Path) -> None:
    _learned("fiddle", "violin")
    score = _score()
    performance = md.Performer(device="cpu", workers=1).perform(score, seed=1, temperature=0.0)
    plain = list(md.Performer(device="cpu", workers=1).synthesize(performance))
    own = list(md.Performer(device="cpu", workers=1, synthesis="fiddle").synthesize(performance))
    violin, cello = (max(float(np.abs(a.harmonics - b.harmonics[:, : a.harmonics.shape[1]]).max())
                         for a, b in zip(one.segments, other.segments)) for one, other in zip(plain, own))
    assert violin > 1e-3
    assert cello == 0.0  # to the bit


def test_two_players_of_one_instrument_are_refused(home: Path) -> None:
    _learned("fiddle", "violin")
    _learned("other", "violin")
    _learned("celeste", "cello")
    with pytest.raises(CheckpointError, match="two checkpoints play violin"):
        open_synthesis(["fiddle", "other"], "cpu")
    generator, _ = open_synthesis(["fiddle", "celeste"], "cpu")
    assert isinstance(generator, EnsembleGenerator)
    assert set(generator.own) == {"violin", "cello"}


def _expression(**values: float | None) -> md.NoteExpression:
    base: dict[str, float | None] = {
        "level_db": -26.0, "fluctuation_db": 1.0, "peak_position": 0.4, "brightness": 1.0, "attack_noise_db": -25.0,
        "attack_s": 0.05, "release_s": 0.1, "vibrato_cents": 20.0, "vibrato_rate_hz": 6.0, "vibrato_delay_s": 0.1,
        "tuning_cents": 0.0, "timing_s": 0.0, "length_ratio": None, "glide_s": None}
    return md.NoteExpression(**{**base, **values})


def test_an_adjustment_recovers_a_known_manner() -> None:
    random = np.random.default_rng(0)
    notes, measured, drawn = [], [], []
    for _ in range(400):
        pitch, seconds = float(random.uniform(55, 90)), float(random.uniform(0.1, 1.5))
        model = _expression(brightness=float(random.uniform(0.5, 1.5)), vibrato_cents=float(random.uniform(10, 30)))
        notes.append((pitch, seconds, False))
        drawn.append(model)
        measured.append(_expression(
            brightness=model.brightness + 0.3 - 0.2 * (pitch - 60.0) / 20.0 + float(random.normal(0, 0.05)),
            release_s=0.1 * 1.5, vibrato_cents=0.5 * model.vibrato_cents if model.vibrato_cents > 20.0 else 0.0,
            vibrato_rate_hz=6.0 if model.vibrato_cents > 20.0 else None,
            vibrato_delay_s=0.1 if model.vibrato_cents > 20.0 else None))
    how = fit(notes, measured, drawn)
    # the ridge of eight notes holds the two, which hang together, back by up to a seventh
    np.testing.assert_allclose(how.lines["brightness"][:2], [0.3, -0.2], rtol=0.2)
    assert np.exp(how.lines["release_s"][0]) == pytest.approx(1.5, rel=0.03)
    assert how.vibrato_scale == pytest.approx(0.5, rel=0.05)
    assert how.vibrato_from_cents == pytest.approx(20.0, abs=0.5)
    assert Adjustment.from_json(how.to_json()) == how


def test_too_few_notes_say_nothing() -> None:
    with pytest.raises(ValueError, match="at least 8"):
        fit([(60.0, 1.0, False)], [_expression()], [_expression()])


def test_the_manner_moves_what_is_drawn_and_keeps_what_is_given(home: Path) -> None:
    how = Adjustment(lines={"brightness": (0.5, 0.0, 0.0, 0.0, 0.0), "attack_s": (np.log(2.0), 0.0, 0.0, 0.0, 0.0)})
    _learned("fiddle", "violin", how)
    assert adjustments(["fiddle"]) == {"violin": how}
    base = md.Performer(device="cpu").expression_generator
    moved = AdjustedExpression(base, {"violin": how})
    plan = plan_part(_score().parts[0])
    before, after = (prior.express(plan, seed=1, temperature=0.0) for prior in (base, moved))
    for key, one in before.items():
        assert after[key].brightness == pytest.approx(one.brightness + 0.5)
        assert after[key].attack_s == pytest.approx(2.0 * one.attack_s)
        assert after[key].level_db == one.level_db
    kept = moved.express(plan, seed=1, temperature=0.0, given={"violin 1": {"brightness": 2.25}})
    assert kept["violin 1"].brightness == 2.25
    other = plan_part(_score().parts[1])
    assert moved.express(other, seed=1) == base.express(other, seed=1)


def test_a_card_that_does_not_fit_gets_a_sentence(home: Path) -> None:
    path = _learned("fiddle", "violin")
    checkpoint = load_checkpoint(path)
    save_checkpoint(path, checkpoint.tensors, {**checkpoint.card, "expression": {"lines": {"charm": [1.0]}}})
    with pytest.raises(CheckpointError, match="learn it again"):
        adjustments(["fiddle"])
    assert torch.equal(load_checkpoint(path).tensors["network.exit.bias"], checkpoint.tensors["network.exit.bias"])
