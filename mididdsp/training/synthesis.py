"""The recipe of the synthesis generator: frames of recorded notes → the mean network, then the life around it."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mididdsp.checkpoints import load_checkpoint, save_checkpoint
from mididdsp.data.notes_dataset import TrainingNote, load_notes, load_phrase_notes
from mididdsp.expression.analysis import smoothed
from mididdsp.expression.types import NoteExpression
from mididdsp.instruments import INSTRUMENTS
from mididdsp.random import keyed_generator
from mididdsp.synthesis.analysis import NOISE_EDGES_HZ
from mididdsp.synthesis.generator import (
    INSTRUMENT_IDS,
    OUTPUT_SCALE,
    FrameNetwork,
    Surroundings,
    SynthesisConfig,
    SynthesisGenerator,
    frame_features,
    note_features,
)
from mididdsp.synthesis.knots import KNOTS
from mididdsp.synthesis.life import MODULATION_BANDS, band_rms
from mididdsp.training.loop import CURVE_FILE, TrainingError, train
from mididdsp.training.recipes import device, fixed_part, loop_settings, save_config
from mididdsp.units import FRAME_RATE

FRAMES_PER_NOTE = 40
ATTACK_SHARE, END_SHARE = 0.3, 0.3

ATTRIBUTION = ("Trained on samples of the Philharmonia Orchestra's players (CC BY-SA 3.0, philharmonia.co.uk).")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedNote:
    """A note with its targets laid out as the network gives them; ``weight`` is 0 where nothing is known."""

    note: TrainingNote
    features: NDArray[np.float32]
    instrument: int
    swing: NDArray[np.float32]
    turned: NDArray[np.float32]
    target: NDArray[np.float32]
    weight: NDArray[np.float32]


def prepare_note(note: TrainingNote) -> PreparedNote:
    """Targets and weights of a note's frames.

    A part counts by how audible it is against the note's body: fully down to about 50 dB below, hardly below 65 dB.
    """
    facts, frames, expression = note.facts, note.frames, note.expression
    recorded_level = expression.level_db - note.gain_db
    onset, offset = facts["onset"], facts["offset"]
    around = Surroundings(**{name: facts.get(name) for name in Surroundings.__dataclass_fields__})
    joined, leads = facts.get("joined", False), facts.get("leads", False)
    count = len(frames["partial_db"])
    f0 = frames["f0_cents"].astype(np.float64)
    swing = np.zeros(count)
    turned = np.zeros(count)
    if expression.vibrato_rate_hz:
        period = int(round(FRAME_RATE / expression.vibrato_rate_hz))
        swing = f0 - smoothed(f0, period // 2 * 2 + 1)
        swing[:onset] = swing[offset:] = 0.0
        swing = np.clip(smoothed(swing, 5), -120, 120)
        turned = -np.gradient(swing) * FRAME_RATE / (2 * np.pi * expression.vibrato_rate_hz)
    level = np.maximum(frames["partial_db"].astype(np.float64) - recorded_level, -80.0)
    slow = np.clip(f0 - swing, -150, 150)
    slow = slow - np.median(slow[onset:offset])
    knots = np.maximum(frames["knots_db"].astype(np.float64) - frames["partial_db"][:, None], -90.0)
    power = 10 ** (frames["noise_db"].astype(np.float64) / 10)
    held = np.stack([smoothed(column, 9) for column in power.T], 1)
    steady = slice(min(onset + 15, count), max(offset - 5, onset + 15))
    power[steady] = held[steady]  # one frame's estimate of noise scatters; its mean in dB would lie below its power
    noise = np.maximum(10 * np.log10(np.maximum(power, 1e-13)) - recorded_level, -95.0)
    known = frames["known"].astype(np.float64)
    sure = 1.0 / (1.0 + np.exp(-(level + 48.0) / 4.0))
    audible = 1.0 / (1.0 + np.exp(-(knots + level[:, None] + 58.0) / 5.0))
    weight = np.concatenate([
        (0.1 + 0.9 * sure)[:, None],
        (sure**2 * (level > -30) * 0.3)[:, None],
        known * (0.02 + audible) * (0.05 + sure[:, None]),
        (0.05 + 1.0 / (1.0 + np.exp(-(noise + 70.0) / 5.0))) * 0.5,
    ], axis=1)
    beyond = known.any(0) & (known.mean(0) < 0.5)
    weight[:, 2:2 + len(KNOTS)][:, beyond] *= 0.5
    if facts["late_attack"]:
        weight[: onset + 15] = 0.0
    if facts["unfinished"] and not leads:
        weight[offset:] = 0.0
    if joined:
        weight[: onset - 2] *= 0.3  # the note before is still heard
    if leads:
        weight[offset + 2 :] *= 0.3
    target = np.concatenate([level[:, None], slow[:, None], knots, noise], axis=1) / OUTPUT_SCALE
    features = note_features(facts["pitch"], facts["seconds"], expression, joined, leads, around)
    return PreparedNote(
        note=note, features=features.astype(np.float32), instrument=INSTRUMENT_IDS[facts["instrument"]],
        swing=swing.astype(np.float32), turned=turned.astype(np.float32), target=target.astype(np.float32),
        weight=weight.astype(np.float32))


def choose_frames(note: PreparedNote, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Frame numbers to learn from: more from the attack and the end than their length would give them."""
    onset, offset = note.note.facts["onset"], note.note.facts["offset"]
    total = len(note.target)
    share = random.random(count)
    attack = random.integers(0, min(onset + 30, total), count)
    low = max(0, offset - 15)
    end = random.integers(low, max(low + 1, min(offset + 60, total)), count)
    anywhere = random.integers(0, total, count)
    return np.where(share < ATTACK_SHARE, attack, np.where(share < ATTACK_SHARE + END_SHARE, end, anywhere))


def rows(note: PreparedNote, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """Frame features of the chosen frames; [F, FRAME_FEATURES]."""
    facts = note.note.facts
    since = (chosen - facts["onset"]) / FRAME_RATE
    until = (facts["offset"] - chosen) / FRAME_RATE
    features = frame_features(since, until, facts["seconds"], note.note.expression, note.swing[chosen],
                              note.turned[chosen])
    return features.astype(np.float32)


class Batches:
    """Batches as a pure function of the step: notes at random, frames by ``choose_frames``.

    An instrument's share grows with its number of notes to the power of 0.7: small sets count more than their size.
    """

    def __init__(self, notes: list[PreparedNote], *, seed: int, size: int) -> None:
        self.notes = notes
        self.seed = seed
        self.size = size
        by_instrument: dict[int, list[int]] = {}
        for index, note in enumerate(notes):
            by_instrument.setdefault(note.instrument, []).append(index)
        self.groups = list(by_instrument.values())
        share = np.array([len(group) for group in self.groups], dtype=np.float64) ** 0.7
        self.share = share / share.sum()

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """(note features, instruments, frame features, targets, weights) of that step."""
        random = keyed_generator(self.seed, "synthesis batch", str(step))
        parts: list[tuple[Any, ...]] = []
        for group in random.choice(len(self.groups), self.size, p=self.share):
            note = self.notes[self.groups[group][random.integers(len(self.groups[group]))]]
            chosen = choose_frames(note, FRAMES_PER_NOTE, random)
            seen = note.features.copy()
            seen[2:10] += random.normal(0.0, 0.1, 8).astype(np.float32)  # measured values are not exact
            parts.append((seen, note.instrument, rows(note, chosen), note.target[chosen], note.weight[chosen]))
        features, instruments, frames, targets, weights = zip(*parts)
        return (torch.from_numpy(np.stack(features)), torch.tensor(instruments), torch.from_numpy(np.stack(frames)),
                torch.from_numpy(np.stack(targets)), torch.from_numpy(np.stack(weights)))


def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Weighted smooth absolute error in dB (cents for pitch): its minimum is a median, not a blur of extremes."""
    place = next(model.parameters()).device
    features, instruments, frames, targets, weights = (tensor.to(place) for tensor in batch)
    predicted = model(features, instruments, frames)
    error = nn.functional.smooth_l1_loss(predicted, targets, beta=0.1, reduction="none") * weights * OUTPUT_SCALE
    knots = 2 + len(KNOTS)

    def mean(columns: slice) -> Tensor:
        return error[..., columns].sum() / weights[..., columns].sum().clamp_min(1e-6)

    terms = {"level": mean(slice(0, 1)), "pitch": mean(slice(1, 2)), "partials": mean(slice(2, knots)),
             "noise": mean(slice(knots, None))}
    return {"loss": terms["level"] + 0.3 * terms["pitch"] + 2.0 * terms["partials"] + terms["noise"], **terms}


def predict(model: FrameNetwork, note: PreparedNote) -> NDArray[np.float32]:
    """The mean for every frame of a note, in dB and cents; [T, D]."""
    with torch.inference_mode():
        frames = torch.from_numpy(rows(note, np.arange(len(note.target)))[None])
        output = model(torch.from_numpy(note.features[None]), torch.tensor([note.instrument]), frames)
    return np.asarray(output[0].numpy() * OUTPUT_SCALE)


def estimate_life(model: FrameNetwork, notes: list[PreparedNote]) -> NDArray[np.float32]:
    """Spectra of what the mean leaves over in the steady part of notes; [2, instruments, 2 + K, MODULATION_BANDS].

    The first index tells notes without vibrato from notes with: under a vibrato the partials swing by more than the
    mean knows. The median over notes of each band's power, so that a few mislabelled or noisy clips do not count. Pitch
    is taken from notes without vibrato. Where fewer than eight notes tell, all notes of the instrument do, then those
    of all instruments; notes shorter than 0.44 s do not count, and without longer ones there is no life.
    """
    channels = 2 + len(KNOTS)
    collected: list[list[tuple[bool, NDArray[np.floating[Any]]]]] = [[] for _ in INSTRUMENTS]
    for note in notes:
        facts = note.note.facts
        first, last = facts["onset"] + 30, facts["offset"] - 20
        if last - first < 60:
            continue
        residual = (note.target * OUTPUT_SCALE - predict(model, note))[first:last, :channels]
        powers = band_rms(residual) ** 2
        level = note.target[first:last, :1] * OUTPUT_SCALE + note.target[first:last, 2:channels] * OUTPUT_SCALE
        heard = (np.median(level, 0) > -45.0) & note.note.frames["known"][first:last].all(0)
        powers[2:][~heard] = np.nan
        vibrates = note.note.expression.vibrato_cents > 0
        if vibrates:
            powers[1] = np.nan
        collected[note.instrument].append((vibrates, powers))
    result = np.zeros((2, len(INSTRUMENTS), channels, MODULATION_BANDS), np.float32)
    everyone = [powers for group in collected for _, powers in group]
    if not everyone:
        return result
    common = _typical(everyone, np.zeros((channels, MODULATION_BANDS)))
    for index, group in enumerate(collected):
        own = _typical([powers for _, powers in group], common)
        for state in (False, True):
            result[int(state), index] = np.sqrt(_typical([powers for has, powers in group if has == state], own))
    return result


def _typical(powers: list[NDArray[np.floating[Any]]], fallback: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Median over notes; the fallback where fewer than eight of them tell."""
    if len(powers) < 8:
        return fallback
    stack = np.stack(powers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a band that no note reaches is NaN
        median = np.nanmedian(stack, axis=0)
    return np.where(np.isfinite(stack).sum(0) >= 8, np.nan_to_num(median), fallback)


def run(config: Mapping[str, Any]) -> Path:
    """Train by ``configs/synthesis`` and write the checkpoint; returns its folder."""
    out, settings = Path(config["out"]), loop_settings(config)
    if config["made_up"]:
        notes = {split: made_up_notes(12, seed) for seed, split in enumerate(("train", "valid"))}
    else:
        notes = {split: [*load_notes(Path(config["data"]), split), *load_phrase_notes(Path(config["data"]), split)]
                 for split in ("train", "valid")}
    for split, members in notes.items():
        if not members:
            raise TrainingError(f"{config['data']} holds no note of the {split} split; prepare it from more recordings")
    prepared = {split: [prepare_note(note) for note in members] for split, members in notes.items()}
    save_config(config, out)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = FrameNetwork(SynthesisConfig(**config["model"]))
    if config["start"] is not None:
        started = SynthesisGenerator.from_checkpoint(*_opened(config["start"]))
        network.load_state_dict(started.network.state_dict())
    place = device(config["device"])
    network.to(place)
    held_out = Batches(prepared["valid"], seed=1, size=config["batch"])
    fixed = [held_out(number) for number in range(8)]

    def validate(model: nn.Module) -> dict[str, float]:
        terms = [loss(model, batch) for batch in fixed]
        return {name: float(np.mean([float(one[name]) for one in terms])) for name in terms[0]}

    result = train(network, Batches(prepared["train"], seed=settings.seed, size=config["batch"]), loss, settings, out,
                   validate=validate, recipe=fixed_part(config), quiet=config["quiet"])
    network.cpu()
    generator = SynthesisGenerator(network, estimate_life(network, prepared["train"]), NOISE_EDGES_HZ)
    tensors, model = generator.to_checkpoint()
    minutes = {
        instrument: round(sum(note.facts["seconds"] for note in notes["train"]
                              if note.facts["instrument"] == instrument) / 60.0, 1) for instrument in INSTRUMENTS}
    save_checkpoint(out / "checkpoint", tensors, {
        "level": "synthesis", "model": model, "recipe": config["command"],
        "data": {"name": "made-up sounds" if config["made_up"] else
                 "single notes and phrases of the Philharmonia Orchestra's players",
                 "train_notes": len(notes["train"]), "valid_notes": len(notes["valid"]), "train_minutes": minutes},
        "figures": {"steps": result.step, "kept_step": result.valid_step, "minutes": round(result.seconds / 60.0, 1),
                    "valid": {name: round(value, 4) for name, value in result.valid.items()}},
        "licence": "CC BY-SA 4.0", "attribution": ATTRIBUTION, "settings": fixed_part(config),
    }, half=config["half"])
    shutil.copyfile(out / CURVE_FILE, out / "checkpoint" / CURVE_FILE)
    return out / "checkpoint"


def _opened(name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    checkpoint = load_checkpoint(Path(name), level="synthesis")
    return checkpoint.tensors, checkpoint.card


def made_up_notes(count: int, seed: int) -> list[TrainingNote]:
    """Decaying harmonic tones of random pitch and level: enough to run the recipe, nothing to learn."""
    result = []
    for number in range(count):
        random = keyed_generator(seed, "made-up note", str(number))
        frames, onset, offset = 220, 8, 160
        time = np.arange(frames)
        level = np.minimum(0.0, (time - 20.0)) * 0.8 - np.maximum(0.0, time - offset) * 0.6 - 26.0
        knots = -3.0 * np.arange(len(KNOTS))[None, :] + random.normal(0, 1, (frames, len(KNOTS)))
        instrument = list(INSTRUMENTS)[number % len(INSTRUMENTS)]
        expression = NoteExpression(
            level_db=-26.0, fluctuation_db=1.0, peak_position=0.3, brightness=1.0, attack_noise_db=-25.0, attack_s=0.05,
            release_s=0.1, vibrato_cents=10.0, vibrato_rate_hz=6.0, vibrato_delay_s=0.1, tuning_cents=0.0, timing_s=0.0,
            length_ratio=None, glide_s=None)
        facts = {"pitch": float(random.integers(40, 80)), "seconds": (offset - onset) / FRAME_RATE, "onset": onset,
                 "offset": offset, "instrument": instrument, "late_attack": False, "unfinished": False}
        result.append(TrainingNote(facts=facts, expression=expression, gain_db=0.0, frames={
            "f0_cents": 10.0 * np.sin(2 * np.pi * 6.0 * time / FRAME_RATE), "partial_db": level,
            "level_db": level, "knots_db": knots + level[:, None], "known": np.ones(knots.shape, bool),
            "noise_db": level[:, None] - 40.0 + random.normal(0, 1, (frames, len(NOISE_EDGES_HZ) - 1))}))
    return result
