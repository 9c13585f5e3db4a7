"""A folder becomes an instrument, in one call that goes on where it was stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from recordings_of_ones_own import tune, write

from mididdsp.checkpoints import load_checkpoint, read_card, shipped
from mididdsp.cli import cli
from mididdsp.data.recordings import DataError
from mididdsp.training import learn as module
from mididdsp.training.learn import LearnSettings, learn
from mididdsp.user_data import HOME_VARIABLE

SMALL = {"width": 16, "blocks": 1, "note_width": 16, "embedding": 4, "colour": 4, "dropout": 0.0}


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short takes of an oboe, 22 s of notes."""
    folder = tmp_path_factory.mktemp("oboe")
    for number, shift in enumerate((0.0, 2.0, -3.0)):
        write(folder / f"take {number}.wav", np.concatenate([tune(shift, seconds=0.45, seed=number)] * 2))
    return folder


def test_learning_from_nothing_is_resumable_and_leaves_a_full_card(takes: Path, tmp_path: Path) -> None:
    said: list[str] = []
    settings = LearnSettings(minutes=5.0, steps=3, model=SMALL, workers=1, licence="CC0", attribution="nobody")
    first = learn(takes, "mine", tmp_path / "work", tmp_path / "out", settings, lambda *words: said.append(words[0]))
    assert first.instrument == "oboe"
    assert first.steps == 3
    assert any(text.startswith("1 of 3") and "then 5 min of training" in text for text in said)
    assert any(text.startswith("2 of 3") for text in said)
    card = read_card(tmp_path / "out", level="synthesis")
    assert (card["instrument"], card["name"], card["licence"]) == ("oboe", "mine", "CC0")
    assert card["data"]["recordings"] == 3
    assert set(card["figures"]["valid"]) >= {"loss", "partials", "noise"}
    before = load_checkpoint(tmp_path / "out").hash
    again = learn(takes, "mine", tmp_path / "work", tmp_path / "out", settings)
    assert again.steps == 3
    assert load_checkpoint(tmp_path / "out").hash == before  # nothing was left to do


def test_the_others_keep_their_micro_variation(takes: Path, tmp_path: Path) -> None:
    settings = LearnSettings(minutes=5.0, steps=1, start=shipped("synthesis"), workers=1)
    learn(takes, "mine", tmp_path / "work", tmp_path / "out", settings)
    learned, started = (load_checkpoint(path).tensors for path in (tmp_path / "out", shipped("synthesis")))
    own, base = learned["life_rms"].numpy(), started["life_rms"].numpy()
    assert torch.equal(learned["swell_brightness"], started["swell_brightness"])  # a crescendo brightens as before
    differing = {int(index) for index in np.unique(np.nonzero(own != base)[1])}
    assert differing <= {list(module.INSTRUMENT_IDS).index("oboe")}


def test_too_little_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "rec" / "oboe.wav", tune())
    with pytest.raises(DataError, match=r"2\.\d s of clean oboe notes, and 10 s is the least"):
        learn(tmp_path / "rec", "mine", tmp_path / "work", tmp_path / "out", LearnSettings(workers=1))
    assert not (tmp_path / "out").exists()


def test_a_folder_without_recordings_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "recordings").mkdir()
    with pytest.raises(DataError, match="holds no audio file"):
        learn(tmp_path / "recordings", "mine", tmp_path / "work", tmp_path / "out", LearnSettings())
    assert [path.name for path in tmp_path.iterdir()] == ["recordings"]


@pytest.mark.parametrize(("arguments", "what"), [
    (["--name", "a/b"], "cannot be the name of a folder"),
    (["--name", "synthesis"], "is the name of shipped weights"),
    (["--name", "x", "--start", "nobody"], "there is no checkpoint"),
    (["--name", "x", "--instrument", "kazoo"], "kazoo"),
    (["--name", "x", "--minutes", "0"], "minutes"),
])
def test_a_wrong_call_is_refused_before_any_work(
    takes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], what: str
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    result = CliRunner().invoke(cli, ["learn", str(takes), *arguments])
    assert result.exit_code == 2
    assert what in result.output
    assert not (tmp_path / "home").exists()


def test_other_instruments_in_the_folder_are_named(takes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(takes, folder / "oboe")
    write(folder / "flute.wav", tune(5.0, seconds=0.45, seed=9))
    result = CliRunner().invoke(cli, ["learn", str(folder), "--name", "mine", "-o", str(tmp_path / "out"), "--workers",
                                      "1", "--minutes", "0.001", "--start", "nothing"])
    assert result.exit_code == 0, result.output
    assert "mine plays the oboe" in result.output
    assert "flute in the same folder was left aside" in result.output
