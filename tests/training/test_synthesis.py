"""The recipe of the synthesis generator: targets as the network gives them, batches by step, a run from end to end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mididdsp.checkpoints import load_checkpoint
from mididdsp.data.notes_dataset import load_notes
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.types import Note, Part
from mididdsp.notes.voices import plan_part
from mididdsp.random import keyed_generator
from mididdsp.synthesis.analysis import NOISE_EDGES_HZ
from mididdsp.synthesis.frame_network import (
    FRAME_FEATURES,
    NOISE_CENTRES,
    NOTE_FEATURES,
    OUTPUT_SCALE,
    FrameNetwork,
    SynthesisConfig,
)
from mididdsp.synthesis.generator import LIFE_CHANNELS, SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.synthesis.life import MODULATION_BANDS
from mididdsp.training.life import estimate_life
from mididdsp.training.loop import TrainingError
from mididdsp.training.prepared_notes import FRAMES_PER_NOTE, Batches, choose_frames, prepare_note, rows
from mididdsp.training.recipes import train
from mididdsp.training.synthesis import loss, made_up_notes

OUTPUTS = 2 + len(KNOTS) + NOISE_CENTRES
NOTES = made_up_notes(6, 0)
PREPARED = [prepare_note(note) for note in NOTES]
CONFIG = SynthesisConfig(width=16, blocks=1, note_width=16, embedding=4, dropout=0.0)


def network() -> FrameNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FrameNetwork(CONFIG).eval()


def test_targets_are_levels_against_the_note() -> None:
    note, prepared = NOTES[0], PREPARED[0]
    frames = len(note.frames["level_db"])
    assert prepared.target.shape == prepared.weight.shape == (frames, OUTPUTS)
    assert prepared.features.shape == (NOTE_FEATURES,)
    target = prepared.target * OUTPUT_SCALE
    held = 60  # a frame of the plateau
    assert target[held, 0] == pytest.approx(note.frames["partial_db"][held] + 26.0, abs=1e-3)
    wanted = np.maximum(note.frames["knots_db"][held] - note.frames["partial_db"][held], -90.0)  # fainter is as good
    np.testing.assert_allclose(target[held, 2 : 2 + len(KNOTS)], wanted, atol=1e-3)
    assert target[held, -1] == pytest.approx(-40.0, abs=3.0)
    assert (prepared.weight >= 0).all()
    assert np.isfinite(target).all()
    # The swing of the vibrato is an input and no target.
    assert np.abs(prepared.swing[30:130]).max() == pytest.approx(10.0, abs=3.0)
    assert np.abs(target[30:130, 1]).max() < 5.0


def test_the_calibrating_gain_moves_no_target() -> None:
    note = NOTES[1]
    louder = replace(note, gain_db=6.0, expression=replace(note.expression, level_db=note.expression.level_db + 6.0))
    np.testing.assert_allclose(prepare_note(louder).target, PREPARED[1].target, atol=1e-5)
    assert prepare_note(louder).features[2] == pytest.approx(PREPARED[1].features[2] + 0.6)


def test_what_is_not_known_has_no_weight() -> None:
    late = replace(NOTES[0], facts={**NOTES[0].facts, "late_attack": True, "unfinished": True})
    weight = prepare_note(late).weight
    assert not weight[: late.facts["onset"]].any()
    assert not weight[late.facts["offset"] :].any()
    assert weight[60].any()
    known = NOTES[0].frames["known"].copy()
    known[:, 5] = False
    unknown = prepare_note(replace(NOTES[0], frames={**NOTES[0].frames, "known": known}))
    assert not unknown.weight[:, 2 + 5].any()


def test_frames_are_chosen_from_everywhere_and_more_from_the_ends() -> None:
    chosen = choose_frames(PREPARED[0], 4000, np.random.default_rng(0))
    total = len(PREPARED[0].target)
    assert chosen.min() >= 0
    assert chosen.max() < total
    onset, offset = NOTES[0].facts["onset"], NOTES[0].facts["offset"]
    # A third and more from 38 frames of 220, and from 75 around the end.
    assert np.mean(chosen < onset + 30) > 0.3
    assert np.mean((chosen >= offset - 15) & (chosen < offset + 60)) > 0.3
    assert np.mean((chosen >= onset + 30) & (chosen < offset - 15)) > 0.1


def test_batches_are_functions_of_the_step() -> None:
    batches = Batches(PREPARED, seed=3, size=5)
    one, again, other = batches(7), Batches(PREPARED, seed=3, size=5)(7), batches(8)
    assert all(torch.equal(a, b) for a, b in zip(one, again))
    assert not torch.equal(one[2], other[2])
    shapes = [tuple(tensor.shape) for tensor in one]
    assert shapes == [(5, NOTE_FEATURES), (5,), (5, FRAMES_PER_NOTE, FRAME_FEATURES), (5, FRAMES_PER_NOTE, OUTPUTS),
                      (5, FRAMES_PER_NOTE, OUTPUTS)]
    assert {tensor.dtype for tensor in one} == {torch.float32, torch.int64}
    assert rows(PREPARED[0], np.arange(4)).shape == (4, FRAME_FEATURES)


class _Fixed(nn.Module):
    """Gives the targets, moved by a constant."""

    def __init__(self, target: Tensor, error: float) -> None:
        super().__init__()
        self.error = nn.Parameter(torch.tensor(error))
        self.target = target

    def forward(self, *_: Tensor) -> Tensor:
        return self.target + self.error


@pytest.mark.parametrize("error_db", [0.0, 3.0, -3.0])
def test_the_loss_is_in_decibels(error_db: float) -> None:
    batch = Batches(PREPARED, seed=0, size=4)(0)
    terms = loss(_Fixed(batch[3], error_db / OUTPUT_SCALE), batch)
    # The smooth absolute error lies half of beta (0.1, times 10) below the absolute one.
    wanted = max(abs(error_db) - 0.5, 0.0)
    for name in ("level", "pitch", "partials", "noise"):
        assert float(terms[name].detach()) == pytest.approx(wanted, abs=1e-4), name
    assert float(terms["loss"].detach()) == pytest.approx(4.3 * wanted, rel=1e-4)


def test_the_network_learns_its_notes() -> None:
    model = network().train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    batches = Batches(PREPARED, seed=0, size=3)
    losses = []
    for step in range(30):
        optimizer.zero_grad()
        value = loss(model, batches(step))["loss"]
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(value.detach()))
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_life_is_what_the_mean_leaves_over() -> None:
    """Notes around the network's own mean, with 2 dB of common noise in one modulation band."""
    model, prepared = network(), []
    time = np.arange(220) / 250.0
    for index in range(12):
        note = PREPARED[index % 6]
        with torch.inference_mode():
            mean = model(torch.from_numpy(note.features[None]), torch.tensor([0]),
                         torch.from_numpy(rows(note, np.arange(220))[None]))[0].numpy()
        random = keyed_generator(index, "life test")
        mean = mean.copy()
        mean[:, 0] += 2.0 * np.sqrt(2.0) * np.sin(2 * np.pi * 11.0 * time + 6.0 * random.random()) / OUTPUT_SCALE
        frames = {**note.note.frames, "known": np.ones((220, len(KNOTS)), bool)}
        prepared.append(replace(note, target=mean, instrument=0, note=replace(note.note, frames=frames)))
    life = estimate_life(model, prepared)
    assert life.shape == (2, len(INSTRUMENTS), LIFE_CHANNELS, MODULATION_BANDS)
    assert np.isfinite(life).all()
    # 11 Hz lies in the band from 8 to 16 Hz.
    assert life[1, 0, 0, 4] == pytest.approx(2.0, rel=0.1)
    assert np.delete(life[1, 0, 0], 4).max() < 0.3
    assert life[1, 0, 2:].max() < 1e-3
    # All of these vibrate: what is known of them serves notes without, and instruments without notes.
    np.testing.assert_allclose(life[0, 0], life[1, 0], atol=1e-6)
    np.testing.assert_allclose(life[:, 5], life[:, 0], atol=1e-6)


def test_without_long_notes_there_is_no_life() -> None:
    assert not estimate_life(network(), []).any()


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_recipe_runs_end_to_end_resumes_and_continues(tmp_path: Path) -> None:
    folder = train("synthesis", ["recipe=debug"], out=tmp_path / "run", quiet=True)
    checkpoint = load_checkpoint(folder, level="synthesis")
    generator = SynthesisGenerator.from_checkpoint(checkpoint.tensors, checkpoint.card)
    assert generator.noise_edges_hz == NOISE_EDGES_HZ
    plan = plan_part(Part(name="p", instrument="oboe", notes=(Note(id="a", onset=0.0, duration=0.5, pitch=70.0),)))
    segment, = generator.segments(plan, {"a": replace(NOTES[0].expression, length_ratio=1.0)}, seed=0)
    assert segment.harmonics.shape[1] > 10
    assert checkpoint.card["figures"]["steps"] == 4
    assert checkpoint.card["licence"] == "CC BY-SA 4.0"
    assert str(tmp_path) not in (folder / "card.json").read_text(encoding="utf-8")
    again = load_checkpoint(train("synthesis", ["recipe=debug"], out=tmp_path / "again", quiet=True))
    assert same(checkpoint.tensors, again.tensors)
    # Stopped after two steps and called again: the same weights; a further stage begins from them.
    train("synthesis", ["recipe=debug", "steps=2"], out=tmp_path / "parts", quiet=True)
    parts = load_checkpoint(train("synthesis", ["recipe=debug", "steps=4"], out=tmp_path / "parts", quiet=True))
    assert parts.card["figures"]["steps"] == 4
    train("synthesis", ["recipe=debug", f"start='{folder}'"], out=tmp_path / "next", quiet=True)


def test_the_recipe_learns_from_prepared_recordings(dataset: Path, tmp_path: Path) -> None:
    options = ["recipe=debug", "made_up=false", f"data='{dataset}'", "steps=3"]
    folder = train("synthesis", options, out=tmp_path / "run", quiet=True)
    data: dict[str, Any] = load_checkpoint(folder).card["data"]
    assert data["train_notes"] >= len(load_notes(dataset, "train"))
    assert data["valid_notes"] >= len(load_notes(dataset, "valid"))


def test_a_data_set_without_notes_is_refused(dataset: Path, tmp_path: Path) -> None:
    text = (dataset / "notes.json").read_text(encoding="utf-8")
    about = json.loads(text)
    (tmp_path / "notes.json").write_text(json.dumps({**about, "clips": [], "phrases": []}), encoding="utf-8")
    with pytest.raises(TrainingError, match="no note of the train split"):
        train("synthesis", ["recipe=debug", "made_up=false", f"data='{tmp_path}'"], out=tmp_path / "run", quiet=True)
