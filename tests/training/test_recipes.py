"""Every configuration composes, and the recipe of the notes level runs from end to end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from mididdsp.checkpoints import load_checkpoint
from mididdsp.notes.generator import NotePrior
from mididdsp.training.loop import LoopSettings, TrainingError
from mididdsp.training.recipes import (
    RecipeError,
    command,
    compose,
    config_folder,
    device,
    fixed_part,
    loop_settings,
    train,
)

PATHS = ("data=somewhere", "out=run")
LEVELS_WITH_FILES = sorted(path.parent.name for path in config_folder().glob("*/train.yaml"))
CHOICES = [
    (path.parent.parent.name, f"{path.parent.name}={path.stem}") for path in sorted(config_folder().glob("*/*/*.yaml"))
]


def test_the_notes_level_has_a_configuration() -> None:
    assert "notes" in LEVELS_WITH_FILES
    assert ("notes", "recipe=debug") in CHOICES


@pytest.mark.parametrize("level", LEVELS_WITH_FILES)
def test_paths_are_required(level: str) -> None:
    with pytest.raises(RecipeError, match=f"train {level} needs data, out"):
        compose(level)


@pytest.mark.parametrize(("level", "choice"), CHOICES)
def test_every_file_composes_into_settings(level: str, choice: str) -> None:
    config = compose(level, [*PATHS, choice])
    assert isinstance(loop_settings(config), LoopSettings)
    assert config["model"]


def test_overrides_and_variants_reach_the_values() -> None:
    config = compose("notes", [*PATHS, "recipe=debug", "model.channels=24", "loop.ema=null", "minutes=1.5"])
    assert config["steps"] == 4
    assert config["model"]["channels"] == 24
    assert loop_settings(config).ema is None
    assert loop_settings(config).minutes == 1.5


@pytest.mark.parametrize("override", ["stpes=3", "model=gigantic", "steps=[1", "loop.rate=1"])
def test_wrong_overrides_are_one_sentence(override: str) -> None:
    with pytest.raises(RecipeError, match="train notes cannot use these settings") as caught:
        compose("notes", [*PATHS, override])
    assert "\n" not in str(caught.value)


def test_unknown_level_and_device_are_refused() -> None:
    with pytest.raises(RecipeError, match="no level 'mixing'"):
        compose("mixing")
    with pytest.raises(RecipeError, match="device is 'tpu'"):
        device("tpu")
    assert device("cpu") == torch.device("cpu")


def test_the_command_keeps_no_folders() -> None:
    written = command("notes", ["data=/home/me/sets/chorales", "out='/tmp/a b'", "model=small"])
    assert written == "mididdsp train notes data=chorales 'out=a b' model=small"


def test_what_may_change_does_not_count_as_another_recipe() -> None:
    one = compose("notes", ["data=a/x", "out=run", "steps=10"])
    two = compose("notes", ["data=b/x", "out=other", "steps=20", "threads=2"])
    assert fixed_part(one) == fixed_part(two)
    assert fixed_part(one) != fixed_part(compose("notes", [*PATHS, "batch=3"]))


def test_the_notes_recipe_runs_end_to_end(tmp_path: Path) -> None:
    out = tmp_path / "my run"
    folder = train("notes", ["recipe=debug", "data=unused"], out=out, quiet=True)
    checkpoint = load_checkpoint(folder, level="notes")
    prior = NotePrior.from_checkpoint(checkpoint.tensors, checkpoint.card)
    assert list(prior.config.channels) == checkpoint.card["model"]["channels"] == [6, 8, 8]
    assert checkpoint.card["figures"]["steps"] == 4
    assert checkpoint.card["recipe"] == "mididdsp train notes recipe=debug data=unused 'out=my run'"
    assert str(tmp_path) not in (folder / "card.json").read_text(encoding="utf-8")
    assert sorted(os.listdir(out)) == ["checkpoint", "config.json", "curve.png", "log.jsonl", "state.safetensors"]
    # Again from the beginning: the same weights to the bit.
    again = load_checkpoint(train("notes", ["recipe=debug", "data=unused"], out=tmp_path / "again", quiet=True))
    assert all(torch.equal(value, again.tensors[name]) for name, value in checkpoint.tensors.items())
    # A further stage begins from these weights.
    train("notes", ["recipe=debug", "data=unused", f"start='{folder}'"], out=tmp_path / "next", quiet=True)
    with pytest.raises(TrainingError, match="another recipe"):
        train("notes", ["recipe=debug", "data=unused", "batch=3"], out=out, quiet=True)
