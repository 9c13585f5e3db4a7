"""An instrument of one's own: a folder of recordings → a checkpoint that plays it, in one call that can be resumed.

Three stages: the recordings are prepared (``mididdsp.data.folder_dataset``), the synthesis level is trained on their
notes from the weights it starts from, and the result is measured on the notes held out. The expression level stays the
shipped one; how its draws differ from what was measured of the player goes along as an adjustment.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mididdsp.checkpoints import load_checkpoint, save_checkpoint, shipped
from mididdsp.data.folder_dataset import FolderReport, prepare_folder
from mididdsp.data.notes_dataset import TrainingNote, load_phrase_notes
from mididdsp.data.recordings import DataError
from mididdsp.expression.adjustment import Adjustment, fit
from mididdsp.expression.generator import ExpressionGenerator
from mididdsp.expression.types import NoteExpression
from mididdsp.files import made_folder
from mididdsp.notes.types import Note, Part
from mididdsp.notes.voices import plan_part
from mididdsp.synthesis.analysis import NOISE_EDGES_HZ
from mididdsp.synthesis.frame_network import INSTRUMENT_IDS, FrameNetwork, SynthesisConfig
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.training.balance import brightness_line, swell_brightness
from mididdsp.training.life import estimate_life, estimate_scoop
from mididdsp.training.loop import LOG_FILE, LoopSettings, train
from mididdsp.training.prepared_notes import Batches, PreparedNote, prepare_note
from mididdsp.training.synthesis import loss

LEAST_S = 10.0
"""Seconds of notes without which nothing is learned."""

BATCH = 48
RATE_SHIPPED, RATE_NOTHING = 5.0e-4, 2.0e-3
"""Learning rates from trained weights and from none."""

_MOST_ADJUSTED = 600
_VALIDATION_BATCHES = 8

Tell = Callable[[str, float, float], None]
"""Takes what is being done, the share of all that is done (0 to 1), and the seconds that are likely left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What was learned.

    Attributes:
        checkpoint: its folder.
        instrument: what it plays.
        report: of the recordings.
        steps: of training.
        before, after: figures on the held-out notes of the weights it began from and of its own (dB, cents).
    """

    checkpoint: Path
    instrument: str
    report: FolderReport
    steps: int
    before: Mapping[str, float]
    after: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnSettings:
    """How to learn.

    Attributes:
        minutes: of training, over all resumptions.
        start: the checkpoint to begin from; None begins from nothing.
        instrument: of all recordings; None as their names say, and of several the one with the most sound.
        licence, attribution: of the recordings, for the card.
        workers: processes that analyse side by side.
        seed: of the training.
        steps: an end to the training before its minutes are over; None for none.
        model: sizes of the network when it begins from nothing.
    """

    minutes: float = 20.0
    start: Path | None = None
    instrument: str | None = None
    licence: str = "not stated"
    attribution: str = "not stated"
    workers: int = 2
    seed: int = 0
    steps: int | None = None
    model: Mapping[str, Any] | None = None


def learn(folder: Path, name: str, work: Path, out: Path, settings: LearnSettings, tell: Tell | None = None) -> Learned:
    """Learn an instrument from a folder of solo recordings.

    Args:
        folder: of recordings; never written to.
        name: of the instrument, for its card.
        work: a folder for the data set and the run; a call that was stopped goes on from what it holds.
        out: folder of the checkpoint.
        settings: see ``LearnSettings``.
        tell: called now and then.

    Raises:
        DataError: there is too little to learn from.
        TrainingError: the training failed (see ``mididdsp.training.loop``).
        CheckpointError: the checkpoint to begin from cannot be used.
    """
    say = tell or (lambda what, share, left: None)
    training_s = 60.0 * settings.minutes
    clock = _Clock(training_s, say)
    dataset = work / "dataset"
    with made_folder(work), made_folder(dataset):
        report = prepare_folder(folder, dataset, instrument=settings.instrument, workers=settings.workers,
                                progress=clock.preparing)
    instrument = settings.instrument or max(report.instruments, key=report.minutes)
    notes = {side: [note for note in load_phrase_notes(dataset, side) if note.facts["instrument"] == instrument]
             for side in ("train", "valid")}
    seconds = {side: sum(note.facts["seconds"] for note in members) for side, members in notes.items()}
    if seconds["train"] < LEAST_S:
        raise DataError(f"{folder} holds {seconds['train']:.1f} s of clean {instrument} notes, and {LEAST_S:.0f} s is "
                        f"the least; {dataset / 'report.html'} says what was refused")
    prepared = {side: [prepare_note(note) for note in members] for side, members in notes.items()}
    held_out = prepared["valid"] or prepared["train"]
    started, network, start_hash = _begin(settings)
    recipe = {
        "instrument": instrument, "start": start_hash, "seed": settings.seed, "batch": BATCH, "steps": settings.steps,
        "data": hashlib.sha256((dataset / "notes.json").read_bytes()).hexdigest()[:16],
    }
    run = work / f"run-{hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:8]}"
    fixed = [Batches(held_out, seed=1, size=BATCH)(number) for number in range(_VALIDATION_BATCHES)]

    def validate(model: nn.Module) -> dict[str, float]:
        terms = [loss(model, batch) for batch in fixed]
        return {term: float(np.mean([float(one[term]) for one in terms])) for term in terms[0]}

    with torch.no_grad():
        before = validate(started.network if started is not None else network.eval())
    batches = Batches(prepared["train"], seed=settings.seed, size=BATCH)

    def batch_at(step: int) -> tuple[Tensor, ...]:
        clock.training(step, _elapsed(run))
        return batches(step)

    result = train(
        network, batch_at, loss,
        LoopSettings(
            steps=settings.steps, minutes=settings.minutes, seed=settings.seed, weight_decay=0.1, ema=0.999,
            learning_rate=RATE_NOTHING if settings.start is None else RATE_SHIPPED, final_rate=0.02, keep="best",
            validate_every=100, save_every_s=60.0, warmup_steps=50),
        run, validate=validate, recipe=recipe, quiet=True)
    clock.finishing("micro-variation and manner of playing")
    life = _life(started, network, prepared["train"], instrument)
    generator = SynthesisGenerator(network, life, NOISE_EDGES_HZ)
    swells = swell_brightness(prepared["train"]) if started is None else started.swell_brightness
    generator = generator.changed(scoop_cents=estimate_scoop(network, prepared["train"]), swell_brightness=swells,
                                  brightness_line=brightness_line(generator, prepared["train"]),
                                  body_db=_body(started, life, instrument))
    manner = _manner(notes["train"], instrument)
    tensors, model = generator.to_checkpoint()
    save_checkpoint(out, tensors, {
        "level": "synthesis", "name": name, "instrument": instrument, "model": model,
        "expression": manner.to_json() if manner is not None else None,
        "recipe": f"mididdsp learn {folder.resolve().name} --name {name} --minutes {settings.minutes:g}",
        "data": {"name": folder.resolve().name, "recordings": sum(1 for one in report.recordings if one.notes),
                 "train_notes": len(notes["train"]), "valid_notes": len(notes["valid"]),
                 "train_minutes": {instrument: round(seconds["train"] / 60.0, 2)},
                 "valid_minutes": round(seconds["valid"] / 60.0, 2)},
        "figures": {"steps": result.step, "kept_step": result.valid_step, "minutes": round(result.seconds / 60.0, 1),
                    "valid": _rounded(result.valid), "valid_before": _rounded(before)},
        "licence": settings.licence, "attribution": settings.attribution, "settings": recipe,
    }, half=True)
    say("done", 1.0, 0.0)
    return Learned(checkpoint=out, instrument=instrument, report=report, steps=result.step, before=before,
                   after=result.valid)


class _Clock:
    """What is done and what is left, in words and in seconds."""

    def __init__(self, training_s: float, say: Tell) -> None:
        self.training_s = training_s
        self.say = say
        self.began = time.monotonic()
        self.trained_from: tuple[float, float] | None = None
        self.prepare_s = 0.0

    def preparing(self, share: float, what: str) -> None:
        passed = time.monotonic() - self.began
        left = passed / share - passed if share > 0.02 else 60.0
        self.prepare_s = passed
        self.say(f"1 of 3, listening to the recordings ({what}); then {self.training_s / 60.0:.0f} min of training",
                 share * passed / max(passed + left + self.training_s, 1e-9), left + self.training_s)

    def training(self, step: int, before_s: float) -> None:
        now = time.monotonic()
        if self.trained_from is None:
            self.trained_from = (now, before_s)
        done = self.trained_from[1] + now - self.trained_from[0]
        left = max(0.0, self.training_s - done)
        whole = self.prepare_s + self.training_s
        self.say(f"2 of 3, training (step {step}); then the last measurements",
                 min(0.99, (self.prepare_s + done) / max(whole, 1e-9)), left)

    def finishing(self, what: str) -> None:
        self.say(f"3 of 3, {what}", 0.99, 10.0)


def _elapsed(run: Path) -> float:
    """Seconds of training that a run has had before this call."""
    file = run / LOG_FILE
    if not file.exists():
        return 0.0
    lines = file.read_text(encoding="utf-8").splitlines()
    try:
        return float(json.loads(lines[-1])["seconds"]) if lines else 0.0
    except (ValueError, KeyError):
        return 0.0


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items()}


def _begin(settings: LearnSettings) -> tuple[SynthesisGenerator | None, FrameNetwork, str | None]:
    """(the generator to begin from, a network with its weights, its hash); without one, a network of random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        if settings.start is None:
            return None, FrameNetwork(SynthesisConfig(**(settings.model or {}))), None
        checkpoint = load_checkpoint(settings.start, level="synthesis")
        started = SynthesisGenerator.from_checkpoint(checkpoint.tensors, checkpoint.card)
        network = FrameNetwork(started.network.config)
        network.load_state_dict(started.network.state_dict())
        return started, network, checkpoint.hash


def _life(
    started: SynthesisGenerator | None, network: FrameNetwork, notes: list[PreparedNote], instrument: str
) -> np.ndarray:
    """Micro-variation as measured, where there are notes enough to tell; else as the weights had it before."""
    measured = estimate_life(network, notes)
    if started is None:
        return measured
    life = started.life_rms.copy()
    own = measured[:, INSTRUMENT_IDS[instrument]]
    if own.any():
        estimated = slice(0, 2 + len(KNOTS))  # of the noise no estimate is made: it keeps what it had
        life[:, INSTRUMENT_IDS[instrument], estimated] = own[:, estimated]
    return life


def _body(started: SynthesisGenerator | None, life: np.ndarray, instrument: str) -> np.ndarray | None:
    """Resonances as before; an instrument whose life was measured anew has what a vibrato does to partials in that."""
    if started is None:
        return None
    body, number = started.body_db.copy(), INSTRUMENT_IDS[instrument]
    if not np.array_equal(life[:, number], started.life_rms[:, number]):
        body[number] = 0.0
    return body


def _manner(notes: Sequence[TrainingNote], instrument: str) -> Adjustment | None:
    """How the player differs from what the shipped model would have drawn; None with too few notes to tell."""
    checkpoint = load_checkpoint(shipped("expression"), level="expression")
    prior = ExpressionGenerator.from_checkpoint(checkpoint.tensors, checkpoint.card)
    places: list[tuple[float, float, bool]] = []
    measured: list[NoteExpression] = []
    drawn: list[NoteExpression] = []
    for item in sorted({note.facts["item"] for note in notes}):
        mine = sorted((note for note in notes if note.facts["item"] == item), key=lambda note: note.facts["time"])
        mine = mine[: _MOST_ADJUSTED // max(1, len({note.facts["item"] for note in notes})) + 1]
        tuning = _tuning([note.facts["pitch"] for note in mine])
        written = {
            f"{item} {number}": Note(
                id=f"{item} {number}", onset=note.facts["time"], duration=note.facts["seconds"],
                pitch=float(round(note.facts["pitch"] - tuning)), velocity=note.facts.get("velocity"),
                articulations=("legato",) if note.facts["joined"] else ())
            for number, note in enumerate(mine)}
        given = {key: {"level_db": note.expression.level_db} for key, note in zip(written, mine)}
        part = Part(name=item, instrument=instrument, notes=tuple(written.values()))
        plan = plan_part(part)
        joined = {one.note.id: one.joined for chain in plan.chains for one in chain.notes}
        said = prior.express(plan, seed=0, temperature=0.0, given=given)
        for key, note in zip(written, mine):
            if note.facts["late_attack"] or note.facts["unfinished"] or key not in said:
                continue
            places.append((written[key].pitch, written[key].duration, joined[key]))
            measured.append(note.expression)
            drawn.append(said[key])
    try:
        return fit(places, measured, drawn)
    except ValueError:
        return None


def _tuning(pitches: Sequence[float]) -> float:
    """How far, in semitones, a recording lies above A4 = 440 Hz."""
    return float(np.angle(np.exp(2j * np.pi * np.array(pitches)).sum()) / (2 * np.pi))

