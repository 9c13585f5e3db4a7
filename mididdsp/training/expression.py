"""The recipe of the expression generator: likelihood of what each source knows, by instrument and surroundings."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit
from torch import Tensor, nn

from mididdsp.checkpoints import load_checkpoint, save_checkpoint, shipped
from mididdsp.data.expression_set import (
    Examples,
    figure_examples,
    lone_vibrato_examples,
    phrase_examples,
    single_note_examples,
    violin_examples,
)
from mididdsp.data.notes_dataset import TrainingNote, dynamic_level_db, load_notes, load_phrase_notes, read_about
from mididdsp.expression.bends import KNOTS
from mididdsp.expression.context import (
    CONTEXT_FEATURES,
    PLAIN_FEATURES,
    REACH,
    VELOCITY_MARKS,
    Neighbour,
    context_features,
    surrounded,
    velocity_hats,
)
from mididdsp.expression.generator import ExpressionGenerator
from mididdsp.expression.network import (
    NO_FLOOR,
    SURFACE_ATTRIBUTES,
    SURFACE_LENGTHS,
    ExpressionConfig,
    ExpressionNetwork,
    masked_log_likelihood,
)
from mididdsp.expression.scales import SCALES
from mididdsp.expression.types import ATTRIBUTES
from mididdsp.instruments import INSTRUMENTS
from mididdsp.random import keyed_generator
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.training.colours import filled_in, levelled, takes_of, taught_semitones
from mididdsp.training.company import company
from mididdsp.training.lone_vibrato import lone_shifts
from mididdsp.training.loop import CURVE_FILE, LoopResult, TrainingError, train
from mididdsp.training.recipes import device, fixed_part, loop_settings, save_config
from mididdsp.training.surfaces import RISE, smooth_surfaces
from mididdsp.training.vibrato import calibrate_vibrato
from mididdsp.training.vibrato_lines import lines_of

Batch = tuple[Tensor, ...]

ATTRIBUTION = ("Trained on samples of the Philharmonia Orchestra's players (CC BY-SA 3.0, philharmonia.co.uk) and on "
               "facts of the violin transcriptions of Tamer et al. 2023 (Music Technology Group, Universitat Pompeu "
               "Fabra).")

TAILS: Mapping[str, tuple[float, float]] = {"release_s": (5.0, 0.9)}
"""Degrees of freedom and spread of Student's t, as which attributes of notes among others depart from their means.

Training phrases are as likely by these as by a Gaussian; players of other recordings let go of their notes now and then
in quite another way (valid: .15 nats)."""

_FEWEST_PHRASED, _FEWEST_DULL = 20, 10


class Batches:
    """Examples of several sources, a fixed share of the batch from each; a pure function of the step."""

    def __init__(self, sources: list[tuple[Examples, int]], *, seed: int) -> None:
        self.sources = sources
        self.seed = seed

    def __call__(self, step: int) -> Batch:
        """(context, instrument, values, known, vibrates) of that step."""
        random = keyed_generator(self.seed, "expression batch", str(step))
        chosen = []
        for examples, size in self.sources:
            index = random.integers(0, len(examples), size)
            chosen.append([getattr(examples, name)[index]
                           for name in ("context", "instrument", "values", "known", "vibrates")])
        return tuple(torch.from_numpy(np.concatenate(column)) for column in zip(*chosen))


def loss(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Negative log likelihood per known attribute (nats) and of having a vibrato, plus what keeps dynamics monotone."""
    place = next(model.parameters()).device
    context, instrument, values, known, vibrates = (tensor.to(place) for tensor in batch)
    mean, factor, logit = model(context, instrument)
    values, gain = cast(ExpressionNetwork, model).evened(instrument, surrounded(context), mean, factor, values)
    likelihood = masked_log_likelihood(mean, factor, values, known) + (gain * known).sum(-1)
    attributes = -likelihood.sum() / known.sum()
    told = torch.isfinite(vibrates)
    vibrato = logit.sum() * 0.0
    if told.any():
        vibrato = nn.functional.binary_cross_entropy_with_logits(logit[told], vibrates[told])
    rise = monotone_penalty(model, context, instrument)
    return {"loss": attributes + 0.3 * vibrato + rise, "attributes": attributes, "vibrato": vibrato, "rise": rise}


def monotone_penalty(model: nn.Module, context: Tensor, instrument: Tensor) -> Tensor:
    """Level and brightness must rise with velocity on every instrument, wherever the note lies."""
    velocity = np.random.default_rng(int(torch.randint(2**31, (1,)).item())).uniform(33.0, 92.0, len(context))
    low, high = (_with_velocity(context, velocity + rise) for rise in (0.0, 20.0))
    below, above = model(low, instrument)[0], model(high, instrument)[0]
    level, brightness = ATTRIBUTES.index("level_db"), ATTRIBUTES.index("brightness")
    rise = above - below
    too_flat = nn.functional.relu(0.3 - rise[:, level])
    too_dull = nn.functional.relu(RISE["brightness"] * 20 / 79 - rise[:, brightness])
    return (too_flat + too_dull).mean()


def _with_velocity(context: Tensor, velocity: NDArray[np.float64]) -> Tensor:
    """The same notes at other velocities."""
    changed = context.clone()
    changed[:, 3] = 1.0
    changed[:, 4] = torch.from_numpy((velocity - 80.0) / 32.0)
    changed[:, PLAIN_FEATURES : PLAIN_FEATURES + len(VELOCITY_MARKS)] = torch.from_numpy(velocity_hats(velocity))
    return changed


def figures(model: ExpressionNetwork, examples: Examples) -> dict[str, float]:
    """Held-out negative log likelihood in nats of each attribute alone, and of the vibrato's presence."""
    with torch.inference_mode():
        context, instrument = torch.from_numpy(examples.context), torch.from_numpy(examples.instrument)
        mean, factor, logit = model(context, instrument)
        values, gain = model.evened(instrument, surrounded(context), mean, factor, torch.from_numpy(examples.values))
        variance = (factor**2).sum(-1)
        known = torch.from_numpy(examples.known)
        density = 0.5 * ((values - mean) ** 2 / variance + torch.log(2 * np.pi * variance)) - gain
        result: dict[str, Any] = {}
        for index, name in enumerate(ATTRIBUTES):
            if known[:, index].sum() > 0:
                result[name] = float((density[:, index] * known[:, index]).sum() / known[:, index].sum())
        told = torch.from_numpy(np.isfinite(examples.vibrates))
        if told.any():
            result["vibrates"] = float(nn.functional.binary_cross_entropy_with_logits(
                logit[told], torch.from_numpy(examples.vibrates)[told]))
        likelihood = masked_log_likelihood(mean, factor, values, known) + (gain * known).sum(-1)
        result["loss"] = float(-likelihood.sum() / known.sum()) + 0.3 * result.get("vibrates", 0.0)
    return result


def run(config: Mapping[str, Any]) -> Path:
    """Train by ``configs/expression`` and write the checkpoint; returns its folder."""
    out, settings = Path(config["out"]), loop_settings(config)
    surfaces, sources, held_out = _made_up() if config["made_up"] else _sources(Path(config["data"]))
    save_config(config, out)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = ExpressionNetwork(ExpressionConfig(**config["model"]))
    recipe, before = config["command"], None
    if config["start"] is not None:
        start = load_checkpoint(Path(config["start"]), level="expression")
        network.restore(start.tensors)
        if config["keep_network"]:  # what taught it belongs to what the card tells
            recipe, before = f"{start.card['recipe']} && {recipe}", start.card["figures"]
    elif config["keep_network"]:
        raise TrainingError("keep_network=true keeps the network of a checkpoint; give start=CHECKPOINT as well")
    network.surface.copy_(torch.from_numpy(surfaces))
    network.rungs.zero_()
    if not config["keep_network"]:
        network.company.zero_()  # made last, of what the network leaves over
        network.levelled.zero_()
    network.lines.shifts.zero_()
    network.lines.stretches.zero_()
    network.lines.lone.zero_()
    network.tails.copy_(heavy_tails())
    if not config["made_up"]:
        dataset = Path(config["data"])
        single, playing = load_notes(dataset, "train"), load_phrase_notes(dataset, "train")
        network.phrased.copy_(phrased_pitches(playing))
        network.dullest.copy_(dullest(single))
        lone = lone_vibrato_examples(single)
        among, played = (examples.chosen(surrounded(torch.from_numpy(examples.context)).numpy()) for examples in (
            Examples.join([sources["violinists"], sources["figures"]]), sources["violinists"]))
        for name, values in lines_of(lone, among, played).items():
            getattr(network.lines, name).copy_(values)
    network.to(device(config["device"]))

    def validate(model: nn.Module) -> dict[str, float]:
        of = {name: figures(cast(ExpressionNetwork, model), examples) for name, examples in held_out.items()}
        flat = {f"{name}_{key}": value for name, values in of.items() for key, value in values.items() if key != "loss"}
        return {"loss": sum(values["loss"] for values in of.values()), **flat}

    if before is not None:
        result = LoopResult(step=before["steps"], seconds=60.0 * before["minutes"], valid=validate(network.eval()),
                            valid_step=before["kept_step"], stopped="steps")
    else:
        batches = Batches(list(zip(sources.values(), config["batch"])), seed=settings.seed)
        result = train(network, batches, loss, settings, out, validate=validate, recipe=fixed_part(config),
                       quiet=config["quiet"])
    if not config["made_up"]:
        heard = [sources[name] for name in ("notes", "phrases")]  # the others tell nothing that hangs on a semitone
        network.colour.weight.data.copy_(filled_in(network.colour.weight, taught_semitones(
            np.concatenate([examples.instrument for examples in heard]),
            np.concatenate([examples.context[:, 0] * 20.0 + 60.0 for examples in heard]),
            count=len(INSTRUMENTS), semitones=len(network.colour.weight) // len(INSTRUMENTS))))
        network.cpu()
        both = [*single, *playing]
        network.levelled.copy_(torch.from_numpy(levelled(network.own_levels(), takes_of(
            [list(INSTRUMENTS).index(note.facts["instrument"]) for note in both],
            [note.facts["pitch"] for note in both],
            [*(f"note {index}" for index in range(len(single))), *(str(note.facts["item"]) for note in playing)],
            count=len(INSTRUMENTS), semitones=network.levelled.shape[1]))))
        copies = 2  # with and without velocity
        network.company.copy_(torch.from_numpy(company(
            network, phrase_examples(dataset, "train", copies=copies, seed=0),
            np.repeat(np.unique([note.facts["item"] for note in playing], return_inverse=True)[1], copies))))
        targets = read_about(dataset)["targets"]
        spans = {name: row["level_span_pp_ff_db"] for name, row in targets.items()}
        network.rungs.copy_(level_rungs(network, single, spans))
        if config["calibration_lines"]:
            sound = load_checkpoint(Path(config["sound"] or shipped("synthesis")), level="synthesis")
            synthesis = SynthesisGenerator.from_checkpoint(sound.tensors, sound.card)
            taught = ExpressionGenerator(network)
            asked = calibrate_vibrato(taught, synthesis, targets, lines=config["calibration_lines"])
            network.lines.lone.copy_(lone_shifts(taught, synthesis, single))
            network.lines.shifts.copy_(asked["shifts"])
            network.lines.stretches.copy_(asked["stretches"])
    tensors, model = ExpressionGenerator(network.cpu()).to_checkpoint()
    save_checkpoint(out / "checkpoint", tensors, {
        "level": "expression", "model": model, "recipe": recipe,
        "data": {"name": "made-up notes" if config["made_up"] else
                 "single notes and phrases of the Philharmonia Orchestra's players, études by 22 violinists, "
                 "published figures",
                 **{f"{name}_examples": len(examples) for name, examples in sources.items()}},
        "figures": {"steps": result.step, "kept_step": result.valid_step, "minutes": round(result.seconds / 60.0, 1),
                    "valid": {name: round(value, 4) for name, value in result.valid.items()}},
        "licence": "CC BY-SA 4.0", "attribution": ATTRIBUTION, "settings": fixed_part(config),
    }, half=config["half"])
    curve = (Path(config["start"]) if config["keep_network"] else out) / CURVE_FILE
    if curve.exists():
        shutil.copyfile(curve, out / "checkpoint" / CURVE_FILE)
    return out / "checkpoint"


def heavy_tails() -> Tensor:
    """``ExpressionNetwork.tails``: those of ``TAILS`` among others, 0 of the rest; [2, ATTRIBUTES, KNOTS]."""
    result = torch.zeros(2, len(ATTRIBUTES), len(KNOTS))
    knots = np.array(KNOTS)
    for name, (freedom, spread) in TAILS.items():
        result[1, ATTRIBUTES.index(name)] = torch.from_numpy(spread * stdtrit(freedom, ndtr(knots)) - knots)
    return result


def phrased_pitches(notes: Sequence[TrainingNote]) -> Tensor:
    """Lowest and highest pitch of the notes of phrases by instrument, but for 2 % on either side; [instruments, 2].

    0 twice where there are fewer than 20 notes.
    """
    result = torch.zeros(len(INSTRUMENTS), 2)
    for number, name in enumerate(INSTRUMENTS):
        pitches = [note.facts["pitch"] for note in notes if note.facts["instrument"] == name]
        if len(pitches) >= _FEWEST_PHRASED:
            result[number] = torch.from_numpy(np.percentile(pitches, (2, 98)))
    return result


def dullest(notes: Sequence[TrainingNote]) -> Tensor:
    """Brightness that 95 % of an instrument's single notes reach, at each velocity mark on the model's scale;
    [instruments, velocity marks].

    No higher than at any louder one; straight between dynamics of ten notes or more, even beyond them; ``NO_FLOOR``
    where there is no such dynamic.
    """
    result = torch.full((len(INSTRUMENTS), len(VELOCITY_MARKS)), NO_FLOOR)
    for number, name in enumerate(INSTRUMENTS):
        told: dict[float, list[float]] = {}
        for note in notes:
            if note.facts["instrument"] == name and note.facts["velocity"] is not None:
                told.setdefault(float(note.facts["velocity"]), []).append(
                    SCALES["brightness"].forward(note.expression.brightness))
        least = {velocity: np.percentile(values, 5) for velocity, values in sorted(told.items())
                 if len(values) >= _FEWEST_DULL}
        if least:
            rising = np.minimum.accumulate(list(least.values())[::-1])[::-1]
            result[number] = torch.from_numpy(np.interp(VELOCITY_MARKS, list(least), rising))
    return result


@torch.inference_mode()
def level_rungs(network: ExpressionNetwork, notes: Sequence[TrainingNote], spans: Mapping[str, float]) -> Tensor:
    """What to add to the mean level at each dynamic for it to lie where the dynamic belongs, on average over the notes.

    The network has learned from levels that were put there (``data.notes_dataset``), but evens them out: takes of one
    dynamic differ by more than neighbouring dynamics do.

    Args:
        network: trained, its rungs 0.
        notes: single notes, whose pitches are averaged over.
        spans: level from pianissimo to fortissimo by instrument, dB; an instrument that is not there gets 0.

    Returns:
        [instruments, velocity marks, lengths], on the model's scale.
    """
    rungs = torch.zeros_like(network.rungs)
    level, scale = ATTRIBUTES.index("level_db"), SCALES["level_db"]
    nobody: list[Neighbour | None] = [None] * (2 * REACH)
    network.eval()
    for number, name in enumerate(INSTRUMENTS):
        pitches = [note.facts["pitch"] for note in notes if note.facts["instrument"] == name]
        if name not in spans or not pitches:
            continue
        instrument = torch.full((len(pitches),), number)
        for (mark, velocity), (place, seconds) in product(enumerate(VELOCITY_MARKS), enumerate(SURFACE_LENGTHS)):
            context = np.stack([context_features(pitch, seconds, velocity, (), False, False, nobody)
                                for pitch in pitches]).astype(np.float32)
            mean = float(network(torch.from_numpy(context), instrument)[0][:, level].mean())
            rungs[number, mark, place] = scale.forward(dynamic_level_db(velocity, spans[name])) - mean
    return rungs


def _sources(dataset: Path) -> tuple[NDArray[np.float32], dict[str, Examples], dict[str, Examples]]:
    """The table fitted to single notes, and examples to learn from and to validate on."""
    folder = Path(read_about(dataset)["folder"])
    single = load_notes(dataset, "train")
    surfaces, shifts = smooth_surfaces(single, seed=0)
    sources = {
        "notes": single_note_examples(single, copies=4, seed=0, shifts=dict(zip(SURFACE_ATTRIBUTES, shifts.T))),
        "phrases": phrase_examples(dataset, "train", copies=4, seed=0),
        "violinists": violin_examples(folder, "train", dataset=dataset),
        "figures": figure_examples(folder, count=40_000, seed=0),
    }
    held_out = {"notes": single_note_examples(load_notes(dataset, "valid"), copies=1, seed=1),
                "phrases": phrase_examples(dataset, "valid", copies=4, seed=1),
                "violinists": violin_examples(folder, "valid", dataset=dataset)}
    return surfaces, sources, held_out


def _made_up() -> tuple[NDArray[np.float32], dict[str, Examples], dict[str, Examples]]:
    """Random contexts and attributes: enough to run the recipe, nothing to learn."""
    def examples(count: int, seed: int) -> Examples:
        random = keyed_generator(seed, "made-up expression")
        return Examples(
            context=random.normal(0, 1, (count, CONTEXT_FEATURES)).astype(np.float32),
            instrument=random.integers(0, len(INSTRUMENTS), count),
            values=random.normal(0, 1, (count, len(ATTRIBUTES))).astype(np.float32),
            known=(random.random((count, len(ATTRIBUTES))) < 0.7).astype(np.float32),
            vibrates=random.integers(0, 2, count).astype(np.float32))
    sources = {name: examples(64, seed) for seed, name in enumerate(("notes", "phrases", "violinists", "figures"))}
    surfaces = np.zeros(ExpressionNetwork(ExpressionConfig(width=1)).surface.shape, np.float32)
    return surfaces, sources, {"notes": examples(32, len(sources))}
