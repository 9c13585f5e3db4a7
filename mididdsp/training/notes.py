"""The recipe of the prior over notes: chorales, or another corpus, in; a checkpoint with its held-out figures out.

Conventions: the loss of a batch is the mean over its pieces of the mean over their open cells of the negative log
probability of the true pitch, in nats, as Huang et al. 2017 weight it, plus the same of onsets where they are open and
not certain. ``valid`` figures are the same on fixed crops and masks of the chorales held out for validation.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mididdsp.checkpoints import load_checkpoint, save_checkpoint
from mididdsp.data.chorales import (
    SPLITS,
    SPLITTINGS,
    Chorale,
    DataError,
    build_chorales,
    load_chorales,
    published_split,
)
from mididdsp.data.corpora import CHORALES, CorpusError, VoiceCorpus, corpus_of
from mididdsp.notes.generator import (
    BEGINS,
    FERMATA,
    FERMATA_UNKNOWN,
    HELD,
    KEY_UNKNOWN,
    NO_FERMATA,
    ONSET_UNKNOWN,
    GridBatch,
    NoteNet,
    NotePrior,
    PriorConfig,
    key_class,
    pitch_classes,
    prior_config,
)
from mididdsp.notes.grid import REST, STEPS_PER_QUARTER, NoteGrid, begins, meter_steps
from mididdsp.notes.keys import Key, find_key, key_of_shift, wrapped
from mididdsp.random import keyed_generator
from mididdsp.training.loop import CURVE_FILE, TrainingError, train
from mididdsp.training.recipes import device, fixed_part, loop_settings, save_config

CHECKPOINT = "checkpoint"
"""Folder of the checkpoint in the folder of the run."""

_KEY_SHARE = 0.4
"""How often the key is shown."""
_FEW = 0.3
"""Largest share of a piece's steps that are open where few are."""
_VALID_BATCHES = 8

_MADE_UP_CARD = {"name": "Random walks in voices, made up by the recipe"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskShares:
    """How often the pieces of a batch are open in which way; shares from 0 to 1.

    A known cell that is held says what its neighbour is, so that a network which always sees onsets learns little about
    open cells between known ones. Sampling and likelihoods show it pitches without onsets.

    Attributes:
        frames: open whole steps, some of them partly, as in the test protocol.
        stretch: all from one step to another is open; what remains are masks of cells, any number of them as likely
            (Coconet's).
        few: of the masks of frames, those that open few steps; the others open any number.
        all_voices: cells of every voice may be open; else some voices are given throughout, as under a melody.
        pitches_only: known cells show pitches but no onsets.
        onsets_only: all pitches are known and the open cells' onsets are not, as when onsets are drawn.
    """

    frames: float = 0.6
    stretch: float = 0.15
    few: float = 0.5
    all_voices: float = 0.75
    pitches_only: float = 0.6
    onsets_only: float = 0.1

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0.0 <= getattr(self, field.name) <= 1.0:
                raise TrainingError(f"masks.{field.name} is {getattr(self, field.name)}; it must be from 0 to 1")
        for one, other in (("frames", "stretch"), ("pitches_only", "onsets_only")):
            if getattr(self, one) + getattr(self, other) > 1.0:
                raise TrainingError(f"masks.{one} and masks.{other} are more than 1 together")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedBatch:
    """What the network sees, and the truth.

    Attributes:
        seen: the input; its ``pitch`` holds the true classes, hidden where not ``known``.
        onset: float [N, V, T]; 1 where a note begins.
        rated: bool [N, V, T]; open cells of the piece.
        onset_rated: bool [N, V, T]; cells whose onset is open and does not follow from the pitches.
    """

    seen: GridBatch
    onset: Tensor
    rated: Tensor
    onset_rated: Tensor


def run(config: Mapping[str, Any]) -> Path:
    """Train by ``configs/notes`` and write the checkpoint; returns its folder.

    The run's folder gets state, log, curve and ``config.json``; the checkpoint is in its folder ``checkpoint``.
    """
    out, settings = Path(config["out"]), loop_settings(config)
    model_config, masks = prior_config(config["model"]), MaskShares(**config["masks"])
    corpus = _corpus(config, model_config)
    chorales = _dataset(config, corpus)
    of = {split: [one.grid for one in chorales if one.split == split] for split in ("train", "valid", "test")}
    save_config(config, out)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        net = NoteNet(model_config)
    if config["start"] is not None:
        net.load_state_dict(load_checkpoint(config["start"], level="notes").tensors)
    place = device(config["device"])
    net.to(place)
    ranges = voice_ranges(of["train"])

    keys = {split: [find_key(grid.pitch) for grid in grids] for split, grids in of.items()}

    def batch_at(step: int, split: str = "train") -> MaskedBatch:
        random = keyed_generator(settings.seed, "notes", "batch" if split == "train" else split, str(step))
        return masked_batch(of[split], model_config, random, size=config["batch"], crop=config["crop"], ranges=ranges,
                            keys=keys[split], masks=masks)

    def validate(model: nn.Module) -> dict[str, float]:
        batches = [batch_at(number, "valid") for number in range(_VALID_BATCHES)]
        terms = [loss(model, batch) for batch in batches]
        return {name: float(np.mean([float(one[name]) for one in terms])) for name in terms[0]}

    # How the result is tested may change when a run is continued.
    trained = {name: value for name, value in fixed_part(config).items() if not name.startswith("test_")}
    result = train(
        net, batch_at, partial(loss, half=config["bfloat16"]), settings, out, validate=validate, recipe=trained,
        quiet=config["quiet"],
    )
    prior = NotePrior(model_config, net.cpu())
    figures = evaluate(
        prior, of["train"], of["test"], orderings=config["test_orderings"], frames=config["test_frames"]
    )
    tensors, model = prior.to_checkpoint()
    card = {
        "level": "notes",
        "model": model,
        "recipe": config["command"],
        "data": {**(_MADE_UP_CARD if config["made_up"] else corpus.data), "split": config["split"],
                 **{split: len(grids) for split, grids in of.items()}},
        "figures": {
            **figures,
            "steps": result.step,
            "kept_step": result.valid_step,
            "minutes": round(result.seconds / 60.0, 1),
            "valid": {name: round(value, 4) for name, value in result.valid.items()},
        },
        "licence": "CC BY-SA 4.0",
        "attribution": corpus.attribution,
        "settings": json.loads(json.dumps(fixed_part(config))),
    }
    save_checkpoint(out / CHECKPOINT, tensors, card, half=config["half"])
    shutil.copyfile(out / CURVE_FILE, out / CHECKPOINT / CURVE_FILE)
    return out / CHECKPOINT


def masked_batch(
    grids: Sequence[NoteGrid],
    config: PriorConfig,
    random: np.random.Generator,
    *,
    size: int,
    crop: int,
    ranges: Sequence[tuple[int, int]],
    keys: Sequence[Key | None] | None = None,
    masks: MaskShares | None = None,
) -> MaskedBatch:
    """Random crops, transposed within the voices' ranges, with random cells, frames or voices open.

    Args:
        grids: to draw from, each as likely as it is long.
        config: of the model.
        random: of all draws.
        size: crops a batch.
        crop: sixteenths of a crop; shorter pieces are padded.
        ranges: lowest and highest MIDI number of each voice.
        keys: of the pieces; found where not given.
        masks: what is open; as the shipped recipe has it where not given.
    """
    masks = MaskShares() if masks is None else masks
    keys = [find_key(grid.pitch) for grid in grids] if keys is None else keys
    weights = np.array([grid.steps for grid in grids], np.float64)
    shape = (size, config.voices, crop)
    pitch, onset = np.zeros(shape, np.int64), np.zeros(shape, bool)
    certain, known, onset_known = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape, bool)
    position, bar = np.zeros((size, crop), np.int64), np.zeros((size, crop), np.int64)
    fermata, inside = np.zeros((size, crop), np.int64), np.zeros((size, crop), bool)
    key = np.full(size, KEY_UNKNOWN)
    for row, chosen in enumerate(random.choice(len(grids), size=size, p=weights / weights.sum())):
        grid = grids[chosen]
        start = int(random.integers(max(1, grid.steps - crop + 1)))
        # The network halves time from the beginning of a quarter note on.
        front = int(grid.position[start]) % STEPS_PER_QUARTER
        span = slice(start, min(grid.steps, start + crop - front))
        count = span.stop - span.start
        to = slice(front, front + count)
        up = _transposition(grid, ranges, random)
        notes = grid.pitch[:, span]
        notes = np.where(notes == REST, REST, notes + up).astype(np.int16)
        pitch[row, :, to] = pitch_classes(notes, config)
        onset[row, :, to] = grid.onset[:, span]
        certain[row, :, to] = begins(grid.pitch)[:, span] | (notes == REST)
        position[row, to], bar[row, to] = grid.position[span], grid.bar[span]
        if random.random() < 0.5:
            fermata[row, to] = np.where(grid.fermata[span], FERMATA, NO_FERMATA)
        if random.random() < _KEY_SHARE:
            key[row] = key_class(_transposed(keys[chosen], up))
        inside[row, to] = True
        given = _mask(config.voices, count, random, masks)
        kind = random.random()
        shown = given if kind >= masks.pitches_only else np.zeros_like(given)
        known[row, :, to] = given if kind <= 1.0 - masks.onsets_only else True
        onset_known[row, :, to] = shown
    there = inside[:, None, :]
    return MaskedBatch(
        seen=GridBatch(
            pitch=torch.from_numpy(pitch),
            known=torch.from_numpy(known),
            onset=torch.from_numpy(np.where(onset_known, np.where(onset, BEGINS, HELD), ONSET_UNKNOWN)),
            position=torch.from_numpy(position),
            bar=torch.from_numpy(bar),
            fermata=torch.from_numpy(np.where(inside, fermata, FERMATA_UNKNOWN)),
            inside=torch.from_numpy(inside),
            key=torch.from_numpy(key),
        ),
        onset=torch.from_numpy(onset.astype(np.float32)),
        rated=torch.from_numpy(~known & there),
        onset_rated=torch.from_numpy(~onset_known & ~certain & there),
    )


def loss(model: nn.Module, batch: MaskedBatch, *, half: bool = False) -> dict[str, Tensor]:
    """``loss`` = ``pitch`` + ``onset``, nats per open cell; each piece counts the same however many cells are open."""
    place = next(model.parameters()).device
    seen = GridBatch(**{field.name: getattr(batch.seen, field.name).to(place) for field in fields(GridBatch)})
    # Half precision doubles the steps in the same time on processors that have it; sums stay in full precision.
    with torch.autocast(place.type, torch.bfloat16, enabled=half and model.training):
        pitch_logits, onset_logits = (value.float() for value in model(seen))
    pitch = functional.cross_entropy(pitch_logits.flatten(0, 2), seen.pitch.flatten(), reduction="none")
    onset = functional.binary_cross_entropy_with_logits(onset_logits, batch.onset.to(place), reduction="none")
    pitch_loss = _mean_over_pieces(pitch.reshape(seen.pitch.shape), batch.rated.to(place))
    onset_loss = _mean_over_pieces(onset, batch.onset_rated.to(place))
    return {"loss": pitch_loss + onset_loss, "pitch": pitch_loss, "onset": onset_loss}


def evaluate(
    prior: NotePrior, train_grids: Sequence[NoteGrid], test_grids: Sequence[NoteGrid], *, orderings: int, frames: int
) -> dict[str, Any]:
    """Held-out figures for the card, in nats per frame of all voices; lower is better.

    ``framewise_nll`` is Coconet's protocol (see ``NotePrior.framewise_nll``); the standard error is over chorales.
    ``unigram_nll`` knows how often each voice sings each pitch, ``bigram_nll`` also the voice's pitch a step before.
    Both are counted on the training chorales in all the keys a training crop may come in, one added to each count.
    """
    rated = [
        float(prior.framewise_nll(grid, seed=seed, orderings=orderings, frames=frames).mean())
        for seed, grid in enumerate(test_grids)
    ]
    unigram, bigram = _count_baselines(prior.config, train_grids, test_grids)
    return {
        "framewise_nll": round(float(np.mean(rated)), 4),
        "framewise_nll_standard_error": round(float(np.std(rated) / np.sqrt(len(rated))), 4),
        "unigram_nll": round(unigram, 4),
        "bigram_nll": round(bigram, 4),
        "uniform_nll": round(prior.config.voices * float(np.log(prior.config.classes)), 4),
        "test_chorales": len(test_grids),
        "test_frames_each": frames,
        "orderings": orderings,
        "parameters": sum(value.numel() for value in prior.net.parameters()),
    }


def voice_ranges(grids: Sequence[NoteGrid]) -> list[tuple[int, int]]:
    """Lowest and highest MIDI number that each voice sings."""
    ranges = []
    for voice in range(grids[0].voices):
        sung = np.concatenate([grid.pitch[voice][grid.pitch[voice] != REST] for grid in grids])
        ranges.append((int(sung.min()), int(sung.max())))
    return ranges


def made_up_chorales(count: int = 8, steps: int = 48, voices: int = 4) -> tuple[Chorale, ...]:
    """Random walks in voices, for tests of the recipe: no music, but the form of it."""
    chorales = []
    for number in range(count):
        random = keyed_generator(number, "made up")
        walk = np.linspace(72, 48, voices).round().astype(int)[:, None]
        walk = walk + random.integers(-2, 3, (voices, steps // 4)).cumsum(1).clip(-5, 5)
        pitch = np.repeat(walk, 4, axis=1).astype(np.int16)
        position, bar = meter_steps((), steps)
        grid = NoteGrid(
            pitch=pitch, onset=begins(pitch), position=position, bar=bar, fermata=np.arange(steps) >= steps - 4
        )
        split = ("train", "train", "valid", "test")[number % 4]
        chorales.append(Chorale(name=f"made-up-{number}", split=split, grid=grid))
    return tuple(chorales)


def _corpus(config: Mapping[str, Any], model: PriorConfig) -> VoiceCorpus:
    try:
        corpus = corpus_of(config["corpus"], model.voices)
    except CorpusError as error:
        raise TrainingError(str(error)) from None
    if model.voices != corpus.voices:
        raise TrainingError(
            f"model.voices is {model.voices}; the {corpus.name} have {corpus.voices}, "
            f"write model.voices={corpus.voices}"
        )
    if config["split"] not in SPLITTINGS:
        raise TrainingError(f"split is {config['split']!r}; choose {' or '.join(SPLITTINGS)}")
    if config["split"] == "published" and corpus != CHORALES:
        raise TrainingError("the published split is one of Bach's chorales; write split=tune for other corpora")
    return corpus


def _dataset(config: Mapping[str, Any], corpus: VoiceCorpus) -> tuple[Chorale, ...]:
    if config["made_up"]:
        return made_up_chorales(voices=corpus.voices)
    folder = Path(config["data"])
    try:
        build_chorales(folder, corpus)
        pieces = load_chorales(folder, corpus)
    except (CorpusError, DataError) as error:
        raise TrainingError(str(error)) from None
    if config["split"] == "published":
        pieces = published_split(pieces)
    missing = [split for split in SPLITS if not any(one.split == split for one in pieces)]
    if missing:
        raise TrainingError(f"{corpus.title} give no pieces to {' and '.join(missing)}; at least ten are needed")
    return pieces


def _transposition(grid: NoteGrid, ranges: Sequence[tuple[int, int]], random: np.random.Generator) -> int:
    """Semitones that keep every voice in its range, all as likely; 0 where the piece leaves the ranges itself."""
    down, up = -11, 11
    for voice, (low, high) in enumerate(ranges):
        sung = grid.pitch[voice][grid.pitch[voice] != REST]
        if sung.size:
            down, up = max(down, low - int(sung.min())), min(up, high - int(sung.max()))
    return int(random.integers(down, up + 1)) if down <= up else 0


def _transposed(key: Key | None, semitones: int) -> Key | None:
    return None if key is None else key_of_shift(wrapped(key.shift + semitones), key.mode)


def _mask(voices: int, steps: int, random: np.random.Generator, masks: MaskShares) -> NDArray[np.bool_]:
    """Known cells, bool [V, T]; at least one is open."""
    kind = random.random()
    count = voices if random.random() < masks.all_voices else int(random.integers(1, voices + 1))
    known = np.ones((count, steps), bool)
    if kind >= masks.frames + masks.stretch:
        opened = random.permutation(count * steps)[: random.integers(1, count * steps + 1)]
        known.reshape(-1)[opened] = False
    elif kind < masks.frames:
        most = max(1, round(_FEW * steps)) if random.random() < masks.few else steps
        opened = random.permutation(steps)[: random.integers(1, most + 1)]
        known[:, opened] = False
        # A quarter of the open steps show some of their voices.
        partly = opened[random.random(len(opened)) < 0.25]
        known[:, partly] = random.random((count, len(partly))) < random.random(len(partly))
        known[random.integers(count), opened[0]] = False
    else:
        begin = int(random.integers(steps))
        known[:, begin : int(random.integers(begin, steps)) + 1] = False
    everywhere = np.ones((voices, steps), bool)
    everywhere[random.permutation(voices)[:count]] = known
    return everywhere


def _mean_over_pieces(values: Tensor, rated: Tensor) -> Tensor:
    """Mean over the rated cells of a piece, then over the pieces that have any; 0 where none has."""
    counts = rated.flatten(1).sum(1)
    sums = torch.where(rated, values, 0.0).flatten(1).sum(1)
    return (sums / counts.clamp(min=1)).sum() / (counts > 0).sum().clamp(min=1)


def _count_baselines(
    config: PriorConfig, train_grids: Sequence[NoteGrid], test_grids: Sequence[NoteGrid]
) -> tuple[float, float]:
    ranges = voice_ranges(train_grids)
    size = config.classes
    singles = np.ones((config.voices, size))
    pairs = np.ones((config.voices, size, size))
    for grid in train_grids:
        for shift in range(-11, 12):
            moved = np.where(grid.pitch == REST, REST, grid.pitch + shift)
            inside = all(
                low <= moved[voice][grid.pitch[voice] != REST].min()
                and moved[voice][grid.pitch[voice] != REST].max() <= high
                for voice, (low, high) in enumerate(ranges)
            )
            if not inside:
                continue
            counted = pitch_classes(moved.astype(np.int16), config)
            for voice in range(config.voices):
                np.add.at(singles[voice], counted[voice], 1)
                np.add.at(pairs[voice], (counted[voice, :-1], counted[voice, 1:]), 1)
    log_single = np.log(singles / singles.sum(1, keepdims=True))
    log_pair = np.log(pairs / pairs.sum(2, keepdims=True))
    unigram, bigram = [], []
    for grid in test_grids:
        classes = pitch_classes(grid.pitch, config)
        every = np.arange(config.voices)[:, None]
        single = log_single[every, classes]
        unigram.append(-single.sum(0).mean())
        pair = np.concatenate([single[:, :1], log_pair[every, classes[:, :-1], classes[:, 1:]]], axis=1)
        bigram.append(-pair.sum(0).mean())
    return float(np.mean(unigram)), float(np.mean(bigram))
