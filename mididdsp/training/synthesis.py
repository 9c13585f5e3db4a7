"""The recipe of the synthesis generator: frames of recorded notes → the mean network, then the life around it
and what balances it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mididdsp.checkpoints import load_checkpoint, save_checkpoint
from mididdsp.data.notes_dataset import TrainingNote, load_notes, load_phrase_notes
from mididdsp.expression.types import NoteExpression
from mididdsp.instruments import INSTRUMENTS
from mididdsp.random import keyed_generator
from mididdsp.synthesis.analysis import NOISE_EDGES_HZ
from mididdsp.synthesis.frame_network import INSTRUMENT_IDS, OUTPUT_SCALE, FrameNetwork, SynthesisConfig
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.training.balance import noise_shift, swell_brightness
from mididdsp.training.body import with_body
from mididdsp.training.colours import filled_in, taught_semitones
from mididdsp.training.life import (
    calibrate_life,
    estimate_dying,
    estimate_life,
    estimate_scoop,
    estimate_trend,
    slowed,
)
from mididdsp.training.loop import CURVE_FILE, TrainingError, train
from mididdsp.training.prepared_notes import Batches, prepare_note
from mididdsp.training.recipes import device, fixed_part, loop_settings, save_config
from mididdsp.training.timbre import with_timbre
from mididdsp.training.vibrato_swell import with_swell
from mididdsp.units import FRAME_RATE

ATTRIBUTION = ("Trained on samples of the Philharmonia Orchestra's players (CC BY-SA 3.0, philharmonia.co.uk).")


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
    network.colour.weight.data.copy_(filled_in(network.colour.weight, taught_semitones(
        [INSTRUMENT_IDS[note.facts["instrument"]] for note in notes["train"]],
        [note.facts["pitch"] for note in notes["train"]],
        count=len(INSTRUMENTS), semitones=len(network.colour.weight) // len(INSTRUMENTS))))
    if config["keep_life"]:
        if config["start"] is None:
            raise TrainingError("keep_life=true keeps the life of the checkpoint to start from; give start=CHECKPOINT")
        life = started.life_rms
    else:
        life = estimate_life(network, prepared["train"])
    generator = SynthesisGenerator(network, life, NOISE_EDGES_HZ)
    if not config["made_up"]:
        generator = with_timbre(generator.changed(scoop_cents=estimate_scoop(network, prepared["train"])),
                                prepared["train"])
        if config["keep_life"] and started.vibrato_swell_db.any():
            generator = generator.changed(vibrato_swell_db=started.vibrato_swell_db)  # its life is less by that
        else:
            generator = with_swell(generator, notes["train"])
        if config["keep_life"] and started.body_db.any():
            generator = generator.changed(body_db=started.body_db)
        else:
            generator = with_body(generator, notes["train"])
        generator = calibrate_life(generator, [note for note in notes["train"] if _alone(note)],
                                   with_partials=not config["keep_life"])
        single = [note for note in prepared["train"] if _alone(note.note)]
        generator = slowed(generator, [note.note for note in single])
        generator = generator.changed(dying_db=estimate_dying(network, single, generator.life_rms),
                                      trend_cents=estimate_trend(generator, notes["train"]))
        generator = generator.changed(noise_shift_db=noise_shift(generator, single),
                                      swell_brightness=swell_brightness(single))
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


def _alone(note: TrainingNote) -> bool:
    return "gap_after" not in note.facts


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
