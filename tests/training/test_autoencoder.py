"""The recipe of the autoencoder: frames of notes and phrases, a run from end to end, recordings beside the data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from made_up import RATE, tone

from mididdsp.checkpoints import load_checkpoint
from mididdsp.data.sounding_frames import frames_of_recording, louder, sounding_frames
from mididdsp.synthesis.autoencoder import Autoencoder
from mididdsp.synthesis.conditions import measured_loudness
from mididdsp.training.autoencoder import FrameSet, made_up_runs, statistics
from mididdsp.training.loop import TrainingError
from mididdsp.training.recipes import train


def test_notes_and_phrases_become_runs_with_their_loudness(dataset: Path, collection: Path) -> None:
    runs = sounding_frames(dataset, "train")
    assert {run.instrument for run in runs} == {"violin", "horn"}
    phrase = next(run for run in runs if "phrase" in run.item and run.instrument == "violin")
    notes = np.unique(np.rint(69 + 12 * np.log2(phrase.f0_hz[phrase.weight > 0] / 440.0)))
    assert {62.0, 64.0, 66.0} <= set(notes)  # all three notes of the phrase on one clock
    audio, rate = soundfile.read(collection / phrase.item)
    heard, told = measured_loudness(audio, rate), phrase.loudness_db
    # told from the parameters, with the gain of its dynamic, on a clock that begins a little before its first note
    inner = told[40:-60]
    shifts = [inner - heard[first : first + len(inner)] for first in range(30, len(heard) - len(inner))]
    assert min(float(np.std(shift[inner > told.max() - 20])) for shift in shifts) < 1.0


def test_a_whole_recording_comes_to_a_common_level(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.concatenate([tone(69.0, 0.8), tone(72.0, 0.8)]), RATE)
    (run,) = frames_of_recording(tmp_path / "a.wav", "violin")
    assert run.item == "a.wav"
    loud = run.loudness_db[run.loudness_db >= np.median(run.loudness_db)]
    assert np.median(loud) == pytest.approx(-26.0, abs=0.01)
    assert np.median(run.f0_hz[run.weight > 0][:150]) == pytest.approx(440.0, rel=0.003)
    raised = louder(run, 3.0)
    np.testing.assert_allclose(raised.noise_db - run.noise_db, 3.0, atol=1e-4)


def test_batches_are_functions_of_the_step() -> None:
    runs = made_up_runs(8, 0)
    names = sorted({run.instrument for run in runs})
    frames = FrameSet(runs, names, lookahead=True)
    one, again, other = frames.batch(50, "3", seed=0), frames.batch(50, "3", seed=0), frames.batch(50, "4", seed=0)
    assert all(torch.equal(a, b) for a, b in zip(one, again))
    assert not torch.equal(one[0], other[0])
    assert len(one[0]) == 50
    loudness, pitch = statistics(runs, names)
    assert (np.diff(loudness, axis=1) >= 0).all()
    assert (pitch[:, 0] <= pitch[:, 2]).all()
    assert (pitch[:, 2] <= pitch[:, 1]).all()


def test_the_recipe_runs_end_to_end(tmp_path: Path) -> None:
    folder = train("autoencoder", ["recipe=debug", "data=unused"], out=tmp_path / "run", quiet=True)
    checkpoint = load_checkpoint(folder, level="autoencoder")
    model = Autoencoder.from_checkpoint(checkpoint.tensors, checkpoint.card)
    assert model.instruments == ("violin", "viola", "cello", "double_bass")
    assert checkpoint.card["figures"]["steps"] == 4
    again = load_checkpoint(train("autoencoder", ["recipe=debug", "data=unused"], out=tmp_path / "again", quiet=True))
    assert all(torch.equal(value, again.tensors[name]) for name, value in checkpoint.tensors.items())
    train("autoencoder", ["recipe=debug", "data=unused", f"start='{folder}'"], out=tmp_path / "next", quiet=True)


def test_one_instrument_and_recordings_beside_the_data_set(dataset: Path, tmp_path: Path) -> None:
    place = tmp_path / "recordings" / "violin"
    place.mkdir(parents=True)
    soundfile.write(place / "solo.wav", tone(70.0, 0.6), RATE)
    settings = [
        "model=debug",
        "steps=2",
        "batch=32",
        f"data='{dataset}'",
        "instruments=[violin]",
        f"recordings='{place.parent}'",
        "loop.validate_every=2",
    ]
    card = load_checkpoint(train("autoencoder", settings, out=tmp_path / "run", quiet=True)).card
    assert card["model"]["network"]["instruments"] == ["violin"]
    assert card["data"]["recordings"] == ["recordings/solo.wav"]
    assert str(tmp_path) not in str(card)


def test_what_cannot_be_learned_is_one_sentence(dataset: Path, tmp_path: Path) -> None:
    common = ["model=debug", "steps=2", f"data='{dataset}'"]
    with pytest.raises(TrainingError, match="no training frames of tuba"):
        train("autoencoder", [*common, "instruments=[violin,tuba]"], out=tmp_path / "a", quiet=True)
    (tmp_path / "kazoo").mkdir()
    (tmp_path / "kazoo" / "solo.wav").write_bytes(b"")
    with pytest.raises(TrainingError, match="has a folder 'kazoo'"):
        train("autoencoder", [*common, f"recordings='{tmp_path}'"], out=tmp_path / "run", quiet=True)
