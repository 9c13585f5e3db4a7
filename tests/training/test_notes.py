"""The recipe of the notes level: batches hide what they should, and its losses are what they say."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mididdsp.checkpoints import load_checkpoint, read_card, resolve, shipped_names
from mididdsp.notes.generator import FERMATA_UNKNOWN, ONSET_UNKNOWN, GridBatch, NoteNet, NotePrior, PriorConfig
from mididdsp.notes.grid import REST
from mididdsp.random import keyed_generator
from mididdsp.training.loop import TrainingError
from mididdsp.training.notes import (
    MaskedBatch,
    MaskShares,
    evaluate,
    loss,
    made_up_chorales,
    masked_batch,
    voice_ranges,
)
from mididdsp.training.recipes import compose, fixed_part, train

CONFIG = PriorConfig(channels=(4, 6), blocks=(1, 1))
GRIDS = [one.grid for one in made_up_chorales(8, 48)]
RANGES = voice_ranges(GRIDS)


def batch(step: int, crop: int = 40) -> MaskedBatch:
    return masked_batch(GRIDS, CONFIG, keyed_generator(0, str(step)), size=6, crop=crop, ranges=RANGES)


def test_a_batch_is_a_function_of_its_key() -> None:
    one, two, other = batch(3), batch(3), batch(4)
    assert torch.equal(one.seen.pitch, two.seen.pitch)
    assert torch.equal(one.rated, two.rated)
    assert not torch.equal(one.rated, other.rated)


@pytest.mark.parametrize("crop", [40, 64])  # shorter and longer than the pieces
def test_batches_are_legal(crop: int) -> None:
    for step in range(30):
        made = batch(step, crop)
        there = made.seen.inside[:, None].expand_as(made.rated)
        pitches = made.seen.pitch + CONFIG.low - 1
        for voice, (low, high) in enumerate(RANGES):
            sung = pitches[:, voice][there[:, voice] & (made.seen.pitch[:, voice] > 0)]
            assert sung.min() >= low
            assert sung.max() <= high
        assert not (made.rated & (made.seen.known | ~there)).any()
        assert not (made.onset_rated & ((made.seen.onset != ONSET_UNKNOWN) | ~there)).any()
        # Every piece has something to say about pitch or about onsets.
        assert (made.rated | (made.seen.onset == ONSET_UNKNOWN)).flatten(1).any(1).all()
        assert (made.seen.fermata[~made.seen.inside] == FERMATA_UNKNOWN).all()


def masked(shares: MaskShares, step: int) -> MaskedBatch:
    return masked_batch(GRIDS, CONFIG, keyed_generator(0, str(step)), size=6, crop=40, ranges=RANGES, masks=shares)


def test_masks_are_those_that_are_asked_for() -> None:
    """One kind at a time, every piece of many batches."""
    plain = {"all_voices": 1.0, "pitches_only": 0.0, "onsets_only": 0.0}
    for step in range(20):
        made = masked(MaskShares(frames=0.0, stretch=1.0, **plain), step)
        open_steps = made.rated.any(1)
        assert (made.rated.sum(1)[open_steps] == 4).all()  # whole steps
        for row in open_steps.int():
            assert int(row.diff().abs().sum()) <= 2  # in one stretch
        assert (made.seen.onset[made.seen.known] != ONSET_UNKNOWN).all()
        few = masked(MaskShares(frames=1.0, stretch=0.0, few=1.0, **plain), step)
        assert (few.rated.any(1).sum(1) <= 12).all()  # three in ten of 40 steps
        bare = masked(MaskShares(pitches_only=1.0, onsets_only=0.0), step)
        assert (bare.seen.onset == ONSET_UNKNOWN).all()
        onsets = masked(MaskShares(pitches_only=0.0, onsets_only=1.0), step)
        assert not onsets.rated.any()
        assert onsets.onset_rated.any()


@pytest.mark.parametrize(("shares", "says"), [
    ({"frames": 1.2}, r"masks\.frames is 1\.2; it must be from 0 to 1"),
    ({"frames": 0.8, "stretch": 0.3}, "masks.frames and masks.stretch are more than 1 together"),
    ({"pitches_only": 0.95}, "masks.pitches_only and masks.onsets_only are more than 1 together"),
])
def test_shares_of_masks_must_add_up(shares: dict[str, float], says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        MaskShares(**shares)


def test_transposition_moves_all_voices_alike() -> None:
    seen = set()
    for step in range(40):
        made = batch(step, crop=48)
        for row in range(6):
            shifts = {
                int(made.seen.pitch[row, 0, 0]) + CONFIG.low - 1 - int(grid.pitch[0, 0])
                for grid in GRIDS
                if len(np.unique(made.seen.pitch[row].numpy() + CONFIG.low - 1 - grid.pitch)) == 1
            }
            assert len(shifts) >= 1
            seen |= shifts
    assert len(seen) > 3


class _Fixed(nn.Module):
    """The same logits everywhere."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, seen: GridBatch) -> tuple[Tensor, Tensor]:
        return self.logits.expand(*seen.pitch.shape, -1), torch.zeros(seen.pitch.shape)


def test_losses_by_hand() -> None:
    made = batch(0)
    terms = loss(_Fixed(torch.zeros(CONFIG.classes)), made)
    # Uniform over the classes; an even chance of an onset.
    assert float(terms["pitch"].detach()) == pytest.approx(np.log(CONFIG.classes), rel=1e-5)
    assert float(terms["onset"].detach()) == pytest.approx(np.log(2.0), rel=1e-5)
    assert float(terms["loss"].detach()) == pytest.approx(np.log(2.0 * CONFIG.classes), rel=1e-5)
    # Unequal logits: the mean over each piece's open cells, then over the pieces that have any.
    logits = torch.linspace(-2.0, 2.0, CONFIG.classes)
    costs = -torch.log_softmax(logits, 0)[made.seen.pitch]
    pieces = [float(costs[row][made.rated[row]].mean()) for row in range(6) if made.rated[row].any()]
    assert float(loss(_Fixed(logits), made)["pitch"].detach()) == pytest.approx(float(np.mean(pieces)), rel=1e-5)


def test_hidden_cells_reach_the_loss_only_as_truth() -> None:
    """The gradient flows, and the network cannot see what it is asked."""
    torch.manual_seed(0)
    net, made = NoteNet(CONFIG), batch(1)
    loss(net, made)["loss"].backward()
    assert all(value.grad is not None for value in net.parameters())


def test_baselines_are_ordered_on_music_that_moves_in_steps() -> None:
    figures = evaluate(NotePrior(CONFIG), GRIDS, GRIDS, orderings=1, frames=2)
    # Quarter notes on a grid of sixteenths: the note before says most.
    assert figures["bigram_nll"] < figures["unigram_nll"] < figures["uniform_nll"]
    assert figures["uniform_nll"] == pytest.approx(4 * np.log(CONFIG.classes), abs=1e-4)
    assert figures["parameters"] == sum(value.numel() for value in NoteNet(CONFIG).parameters())
    assert REST not in GRIDS[0].pitch


@pytest.mark.parametrize(("corpus", "voices"), [("madrigals", 5), ("chorales", 4)])
def test_the_corpus_and_the_number_of_voices_are_settings(corpus: str, voices: int, tmp_path: Path) -> None:
    words = ["recipe=debug", f"corpus={corpus}", f"model.voices={voices}", f"data={tmp_path / 'data'}"]
    made = load_checkpoint(train("notes", words, out=tmp_path / "run", quiet=True), level="notes")
    assert made.card["model"]["voices"] == voices
    assert NotePrior.from_checkpoint(made.tensors, made.card).config.voices == voices
    assert made.card["data"]["split"] == "tune"


@pytest.mark.parametrize(
    ("word", "said"),
    [("corpus=madrigals", "write model.voices=5"), ("corpus=operas", "choose chorales"),
     ("split=random", "choose tune or published"), ("corpus=quartets split=published", "write split=tune")],
)
def test_a_corpus_that_does_not_fit_is_one_sentence(word: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=said):
        train("notes", ["recipe=debug", *word.split(), f"data={tmp_path}"], out=tmp_path / "run", quiet=True)


@pytest.mark.parametrize("name", [name for name in shipped_names() if name.split("-")[0] == "notes"])
def test_the_recipe_on_a_shipped_card_gives_the_settings_on_it(name: str) -> None:
    """The last stage is the one that made the weights; those before it are commands that exist."""
    card = read_card(resolve(name), level="notes")
    for stage in card["recipe"].split(" && "):
        words = shlex.split(stage)
        assert words[:3] == ["mididdsp", "train", "notes"]
        settings = fixed_part(compose("notes", words[3:]))
        MaskShares(**settings["masks"])
    told = {key: value for key, value in card["settings"].items() if not key.startswith("test_")}
    assert {key: value for key, value in settings.items() if not key.startswith("test_")} == told
    assert card["model"] == settings["model"]
