"""Lone notes of strings are asked to vibrate as often as recorded ones are heard to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.expression.generator import ExpressionGenerator
from mididdsp.expression.network import ExpressionConfig, ExpressionNetwork
from mididdsp.expression.types import NoteExpression
from mididdsp.instruments import INSTRUMENTS
from mididdsp.training import lone_vibrato
from mididdsp.training.lone_vibrato import alone, lone_shifts, recorded_swing
from mididdsp.units import FRAME_RATE

CELLO, FLUTE = list(INSTRUMENTS).index("cello"), list(INSTRUMENTS).index("flute")
PRE = 50


def recorded(instrument: str, cents: float, *, velocity: int | None = 80, style: str = "normal",
             seconds: float = 1.2) -> TrainingNote:
    """A note whose pitch swings by so much at 6 Hz."""
    frames = round(seconds * FRAME_RATE) + 2 * PRE
    swing = cents * np.sin(2 * np.pi * 6.0 * np.arange(frames) / FRAME_RATE)
    expression = NoteExpression(
        level_db=-26.0, fluctuation_db=1.0, peak_position=0.4, brightness=1.0, attack_noise_db=-30.0, attack_s=0.05,
        release_s=0.1, vibrato_cents=0.0, vibrato_rate_hz=None, vibrato_delay_s=None, tuning_cents=0.0, timing_s=0.0,
        length_ratio=1.0, glide_s=None)
    return TrainingNote(
        facts={"instrument": instrument, "item": "x", "pitch": 55.0, "velocity": velocity, "seconds": seconds,
               "style": style, "late_attack": False, "onset": PRE, "offset": frames - PRE},
        frames={"f0_cents": swing.astype(np.float32), "knots_db": np.zeros((frames, 42), np.float32),
                "known": np.ones((frames, 42), bool), "noise_db": np.zeros((frames, 40), np.float32)},
        expression=expression, gain_db=0.0)


def generator() -> ExpressionGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ExpressionNetwork(ExpressionConfig(width=8, layers=1, embedding=2, colour=2, dropout=0.0))
    return ExpressionGenerator(network)


def heard(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Of the vibratos that are asked for, this share swings."""
    def contours(synthesis: Any, plan: Any, expressions: Any) -> list[np.ndarray]:
        (name, expression), = expressions.items()
        swings = expression.vibrato_cents > 0 and int(name.split()[1]) % 10 < 10 * share
        time = np.arange(290) / FRAME_RATE
        return [(10.0 if swings else 0.0) * np.sin(2 * np.pi * 6.0 * time)]

    monkeypatch.setattr(lone_vibrato, "contours", contours)


def test_how_a_recorded_note_swings() -> None:
    swing = recorded_swing(recorded("cello", 10.0))
    assert swing == pytest.approx(10.0 / np.sqrt(2.0), rel=0.05)
    assert recorded_swing(recorded("cello", 10.0, velocity=None)) is None
    assert recorded_swing(recorded("cello", 10.0, style="molto-vibrato")) is None
    assert recorded_swing(recorded("cello", 10.0, seconds=0.3)) is None


@pytest.mark.parametrize(("swinging", "share"), [(0.3, 1.0), (0.6, 1.0), (0.6, 0.8)])
def test_as_many_swing_as_were_recorded(monkeypatch: pytest.MonkeyPatch, swinging: float, share: float) -> None:
    heard(monkeypatch, share)
    notes = [recorded("cello", 10.0 if number < 40 * swinging else 0.5) for number in range(40)]
    made = generator()
    shifts = lone_shifts(made, object(), notes)  # type: ignore[arg-type]
    made.network.lines.lone.copy_(shifts)
    plans = [alone(note, str(number)) for number, note in enumerate(notes)]
    chances = [chance for plan in plans for chance in made.chances(plan).values()]
    assert np.mean(chances) * share == pytest.approx(swinging, abs=0.02)
    assert not shifts[np.arange(len(shifts)) != CELLO].any()


def test_winds_and_instruments_with_few_notes_are_left_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    heard(monkeypatch, 1.0)
    notes = [recorded("flute", 10.0)] * 30 + [recorded("cello", 10.0)] * 10
    assert not lone_shifts(generator(), object(), notes).any()  # type: ignore[arg-type]


def test_only_notes_that_stand_alone_are_shifted() -> None:
    lines = generator().network.lines
    lines.lone[CELLO] = 2.0
    mean, factor = torch.zeros(2, 14), torch.eye(14).expand(2, 14, 14)
    _, _, logit = lines.asked(torch.tensor([CELLO, CELLO]), torch.tensor([False, True]), mean, factor, torch.zeros(2))
    assert logit.tolist() == [2.0, 0.0]


def test_a_shift_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    heard(monkeypatch, 0.1)  # hardly any vibrato is ever heard
    notes = [recorded("cello", 10.0)] * 30
    assert lone_shifts(generator(), object(), notes)[CELLO] == lone_vibrato.MOST_SHIFT  # type: ignore[arg-type]
