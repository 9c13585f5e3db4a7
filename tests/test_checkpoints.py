"""Checkpoints come back as they were written, or not at all, with a sentence that says why."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mididdsp.checkpoints import (
    CARD_FILE,
    CARD_KEYS,
    LEVELS,
    MODEL_FILE,
    VERSION,
    CheckpointError,
    load_checkpoint,
    read_card,
    resolve,
    save_checkpoint,
    shipped,
    shipped_names,
)

CARD: dict[str, Any] = {
    "level": "notes", "model": {"width": 3, "name": "Ünïcode"}, "recipe": "mididdsp train notes", "data": {"pieces": 2},
    "figures": {"nll": 0.5}, "licence": "CC BY-SA 4.0", "attribution": "nobody",
}


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "layer.weight": torch.randn(5, 7, generator=generator),
        "layer.bias": torch.randn(5, generator=generator).double(),
        "steps": torch.tensor(2**40 + 1),
        "empty": torch.zeros(0, 3),
    }


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    written = save_checkpoint(tmp_path / "a", tensors(), CARD)
    loaded = load_checkpoint(tmp_path / "a", level="notes")
    assert loaded.card == {**CARD, "version": VERSION}
    assert loaded.hash == written == hashlib.sha256((tmp_path / "a" / MODEL_FILE).read_bytes()).hexdigest()
    assert loaded.tensors.keys() == tensors().keys()
    for name, value in tensors().items():
        kept = value.float() if value.is_floating_point() else value
        assert loaded.tensors[name].dtype == kept.dtype
        assert torch.equal(loaded.tensors[name], kept)
    assert json.loads((tmp_path / "a" / CARD_FILE).read_text(encoding="utf-8")) == loaded.card
    assert read_card(tmp_path / "a", level="notes") == loaded.card


def test_the_file_alone_is_a_checkpoint(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a", tensors(), CARD)
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((tmp_path / "a" / MODEL_FILE).read_bytes())
    assert load_checkpoint(alone).hash == load_checkpoint(tmp_path / "a").hash


def test_half_stores_float16_and_loads_float32(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "full", tensors(), CARD)
    save_checkpoint(tmp_path / "half", tensors(), CARD, half=True)
    stored = safetensors.torch.load_file(tmp_path / "half" / MODEL_FILE)["layer.weight"]
    assert stored.dtype == torch.float16
    loaded = load_checkpoint(tmp_path / "half").tensors["layer.weight"]
    assert torch.equal(loaded, tensors()["layer.weight"].half().float())
    # Whole numbers are never rounded.
    assert load_checkpoint(tmp_path / "half").tensors["steps"] == 2**40 + 1


def test_same_content_same_bytes_other_content_other_hash(tmp_path: Path) -> None:
    hashes = [save_checkpoint(tmp_path / name, tensors(), CARD) for name in ("a", "b")]
    changed = tensors()
    changed["layer.weight"][0, 0] += 1e-6
    other = save_checkpoint(tmp_path / "c", changed, CARD)
    assert hashes[0] == hashes[1] != other


def test_saving_leaves_the_tensors_alone_and_takes_tied_ones(tmp_path: Path) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    save_checkpoint(tmp_path / "a", {"one": weight, "tied": weight, "turned": weight.T}, CARD, half=True)
    loaded = load_checkpoint(tmp_path / "a").tensors
    assert weight.dtype == torch.float32
    assert torch.equal(loaded["tied"], weight)
    assert torch.equal(loaded["turned"], weight.T)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(CheckpointError, match=r"tensor w .* not finite"):
        save_checkpoint(tmp_path / "a", {"w": torch.tensor([1.0, value])}, CARD)
    assert not (tmp_path / "a").exists()


def test_too_large_for_float16_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    before = save_checkpoint(tmp_path / "a", tensors(), CARD)
    with pytest.raises(CheckpointError, match="float16"):
        save_checkpoint(tmp_path / "a", {"w": torch.tensor([1e6])}, CARD, half=True)
    assert load_checkpoint(tmp_path / "a").hash == before


def test_an_interrupted_save_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = save_checkpoint(tmp_path / "a", tensors(), CARD)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            save_checkpoint(tmp_path / "a", {"w": torch.ones(2)}, CARD)
    assert load_checkpoint(tmp_path / "a").hash == before
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [CARD_FILE, MODEL_FILE]


@pytest.mark.parametrize("key", [key for key in CARD_KEYS if key != "version"])
def test_a_card_states_every_key(tmp_path: Path, key: str) -> None:
    with pytest.raises(CheckpointError, match=f"lacks {key}"):
        save_checkpoint(tmp_path / "a", tensors(), {name: value for name, value in CARD.items() if name != key})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"level": "mixing"}, "level 'mixing'"),
        ({"model": [1]}, "not a mapping"),
        ({"version": VERSION + 1}, "install a newer mididdsp"),
        ({"version": "1"}, "whole number"),
        ({"figures": {"nll": float("nan")}}, "not plain JSON"),
        ({"data": Path("x")}, "not plain JSON"),
    ],
)
def test_cards_that_cannot_be_are_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        save_checkpoint(tmp_path / "a", tensors(), {**CARD, **change})


def test_a_newer_version_is_refused_on_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("mididdsp.checkpoints.VERSION", VERSION + 1)
        save_checkpoint(tmp_path / "a", tensors(), CARD)
    for read in (load_checkpoint, read_card):
        with pytest.raises(CheckpointError, match="install a newer mididdsp"):
            read(tmp_path / "a")


def test_another_level_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a", tensors(), CARD)
    for read in (load_checkpoint, read_card):
        with pytest.raises(CheckpointError, match="of the notes level, not of synthesis"):
            read(tmp_path / "a", level="synthesis")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"has no {MODEL_FILE}"):
        load_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="there is no file .*nowhere"):
        load_checkpoint(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 100, b"PK\x03\x04" * 50, b"\x02\0\0\0\0\0\0\0{}"])
def test_other_files_are_not_checkpoints(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / MODEL_FILE
    file.write_bytes(content)
    for read in (load_checkpoint, read_card):
        with pytest.raises(CheckpointError, match="is not a checkpoint|no mididdsp card"):
            read(file)


def test_tensors_without_a_card_are_not_checkpoints(tmp_path: Path) -> None:
    safetensors.torch.save_file({"w": torch.ones(2)}, tmp_path / MODEL_FILE)
    with pytest.raises(CheckpointError, match="no mididdsp card"):
        load_checkpoint(tmp_path)


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0.0, 1.0, exclude_max=True), bit=st.integers(0, 7))
def test_no_flipped_bit_passes(tmp_path_factory: pytest.TempPathFactory, place: float, bit: int) -> None:
    folder = tmp_path_factory.mktemp("flip")
    save_checkpoint(folder, tensors(), CARD)
    good = load_checkpoint(folder)
    data = bytearray((folder / MODEL_FILE).read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    (folder / MODEL_FILE).write_bytes(data)
    try:
        loaded = load_checkpoint(folder)
    except CheckpointError:
        return
    # A flip within the card's own words is legal JSON; the weights are still the ones that were saved.
    assert loaded.hash != good.hash
    assert all(torch.equal(loaded.tensors[name], value) for name, value in good.tensors.items())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_cut_files_are_damaged(tmp_path: Path, share: float) -> None:
    save_checkpoint(tmp_path, tensors(), CARD)
    data = (tmp_path / MODEL_FILE).read_bytes()
    (tmp_path / MODEL_FILE).write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointError, match="is damaged"):
        load_checkpoint(tmp_path)


def test_names_and_paths_resolve(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "mine", tensors(), CARD)
    assert resolve(tmp_path / "mine") == tmp_path / "mine"
    assert resolve(str(tmp_path / "mine" / MODEL_FILE)) == tmp_path / "mine" / MODEL_FILE
    for name in shipped_names():
        assert (resolve(name) / MODEL_FILE).exists()
    with pytest.raises(CheckpointError, match="there is no checkpoint 'nothing'"):
        resolve("nothing")
    (tmp_path / "bare").mkdir()
    with pytest.raises(CheckpointError, match=f"has no {MODEL_FILE}"):
        resolve(tmp_path / "bare")


def test_shipped_folders_are_in_the_package() -> None:
    assert [shipped(level).parts[-3:] for level in LEVELS] == [("mididdsp", "weights", level) for level in LEVELS]
    with pytest.raises(ValueError, match="no level 'mixing'"):
        shipped("mixing")


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_weights_load_and_say_where_they_come_from(name: str) -> None:
    loaded = load_checkpoint(resolve(name), level=name.split("-")[0])
    assert loaded.card["recipe"].startswith("mididdsp train")
    assert loaded.card["attribution"]
    assert json.loads((resolve(name) / CARD_FILE).read_text(encoding="utf-8")) == loaded.card
