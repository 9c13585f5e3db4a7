"""The figures of the prior over notes.

    python -m bench.compose CHORALES [--coconet FILE]... [--checkpoint FOLDER] [--split tune|published]
                            [--only nll,harmony,sampling,time] [--json FILE]

``CHORALES`` is the folder that ``mididdsp train notes`` made (``chorales.npz``); all figures are of its held-out part,
what is chosen is chosen on its validation part. A *frame* is a sixteenth of four voices.

* ``nll``: negative log-likelihood in nats a frame by the protocol of Huang et al. 2017 (Coconet) as it is quoted since:
  frames in random order, each from the true notes of those before it, its voices in random order from the model's own
  likeliest notes of the voices before, five orders averaged in probability. The sum over the four voices, not divided
  by them; nothing but pitches (and rests) is rated: the unit of the published .57 and .614. The counted models read
  from left to right, each voice alone. Means and errors over chorales, and over frames, as published.
* ``harmony``: held-out sopranos harmonised: share of the lower voices' sixteenths equal to Bach's, notes in the key,
  parallels per 1000 pairs of voices that move together, crossing and wide spacing, beside Bach and the baselines.
* ``sampling``: the same for Gibbs sampling and for unmasking with few and many passes, and what the other model thinks
  of it; of the validation part, because it decides what is the default.
* ``time``: seconds for 16 bars of 4/4, in Python and by the command as a user runs it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.markov import chains, framewise, transposed
from mididdsp.data.chorales import SPLITTINGS, load_chorales, published_split
from mididdsp.notes.compose import harmonize
from mididdsp.notes.generator import NotePrior, PriorConfig, pitch_classes
from mididdsp.notes.grid import REST, NoteGrid, begins, grid_to_score, meter_steps
from mididdsp.notes.keys import find_key
from mididdsp.notes.midi import write_midi
from mididdsp.notes.types import MeterChange, Score
from mididdsp.notes.voice_leading import in_key_share, marks
from mididdsp.notes.wishes import PASSES, Wishes
from mididdsp.random import keyed_generator

HIGHEST_ORDER = 8
ORDERINGS = 5
SHARPENED = 8
"""Power of the counts below a soprano's note: nearly always the commonest one."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The three parts of the data."""

    train: list[NoteGrid]
    valid: list[NoteGrid]
    test: list[NoteGrid]


def likelihoods(
    prior: NotePrior, parts: Parts, coconets: Sequence[Path], frames: int
) -> dict[str, dict[str, float]]:
    """Rows of the table: mean and standard error over the held-out chorales, and over their frames."""
    rated: dict[str, list[NDArray[np.float64]]] = {}
    models = chains(parts.train, HIGHEST_ORDER, prior.config)
    by_order = [
        float(np.mean([framewise(models, grid, order, prior.config).mean() for grid in parts.valid]))
        for order in range(HIGHEST_ORDER + 1)
    ]
    best = int(np.argmin(by_order))
    for order, name in ((0, "unigram"), (1, "Markov, order 1"), (best, f"Markov, order {best} (best on valid)")):
        rated[name] = [framewise(models, grid, order, prior.config) for grid in parts.test]
    beside = []
    for file in coconets:
        from bench import coconet as baseline

        net = baseline.load(file)
        name = f"Coconet of {file.parent.name}, {sum(value.numel() for value in net.parameters()):,} parameters"
        beside.append(name)
        rated[name] = [
            baseline.nll(net, grid, orderings=ORDERINGS, frames=frames, seed=n) for n, grid in enumerate(parts.test)
        ]
    name = f"ours, {sum(value.numel() for value in prior.net.parameters()):,} parameters"
    # A seed for each chorale: with one for all, the rated frames come at like places of the orders everywhere.
    rated[name] = [
        prior.framewise_nll(grid, seed=n, orderings=ORDERINGS, frames=frames) for n, grid in enumerate(parts.test)
    ]
    rows = {name: _summary(each) for name, each in rated.items()}
    # All rate the same frames in the same orders, so that their differences are known better than each.
    ours = rated[name]
    for other in beside:
        rows[f"ours less {other.partition(',')[0]}"] = _summary([a - b for a, b in zip(ours, rated[other])])
    return rows


def _summary(each: Sequence[NDArray[np.float64]]) -> dict[str, float]:
    means = np.array([one.mean() for one in each])
    every = np.concatenate(list(each))
    return {
        "mean": float(means.mean()), "error": float(means.std(ddof=1) / np.sqrt(len(means))),
        "frames_mean": float(every.mean()), "frames_error": float(every.std(ddof=1) / np.sqrt(len(every))),
    }


def melody(grid: NoteGrid) -> Score:
    """The soprano as a score with its meter."""
    alone = NoteGrid(pitch=grid.pitch[:1], onset=grid.onset[:1], position=grid.position, bar=grid.bar,
                     fermata=grid.fermata)
    length = int(grid.bar[0])
    meter = (MeterChange(beat=0.0, numerator=length // 4, denominator=4) if length % 4 == 0
             else MeterChange(beat=0.0, numerator=length, denominator=16))
    return grid_to_score(alone, names=["Soprano"], instruments=["violin"], meter=(meter,))


def harmonised(prior: NotePrior, grids: Sequence[NoteGrid], wishes: Wishes) -> list[NoteGrid]:
    """The sopranos of pieces, each harmonised once."""
    made = []
    for number, grid in enumerate(grids):
        pickup = int(grid.bar[0] - grid.position[0]) / 4 if grid.position[0] else None
        made.append(harmonize(prior, melody(grid), wishes=replace(wishes, pickup=pickup), seed=number)[0].grid)
    return made


def harmonies(prior: NotePrior, parts: Parts, coconet: Path | None) -> dict[str, list[NoteGrid]]:
    """Each held-out chorale as Bach has it, and its soprano harmonised by us and by the baselines."""
    config, test = prior.config, parts.test
    found = {
        "Bach": list(test),
        "ours": harmonised(prior, test, Wishes()),
        "ours, parallels left": harmonised(prior, test, Wishes(parallels="report")),
    }
    if coconet is not None:
        from bench import coconet as baseline

        net = baseline.load(coconet)
        found["Coconet"] = [baseline.harmonised(net, grid, passes=PASSES, seed=n) for n, grid in enumerate(test)]
    chain = chains(parts.train, 2, config)
    pairs = np.zeros((config.voices, config.classes, config.classes))
    for grid in parts.train:
        for shift in range(-5, 7):
            classes = pitch_classes(transposed(grid.pitch, shift), config)
            for voice in range(1, config.voices):
                np.add.at(pairs[voice], (classes[0], classes[voice]), 1)

    def after_two(voice: int, past: list[int], above: int) -> NDArray[np.float64]:
        return chain[voice].distribution(past, 2)

    def below(voice: int, past: list[int], above: int) -> NDArray[np.float64]:
        return np.asarray((pairs[voice, above] / max(1.0, pairs[voice, above].max())) ** SHARPENED)

    found["Markov, order 2, each voice alone"] = [by_voice(grid, config, after_two, n) for n, grid in enumerate(test)]
    found["commonest below the soprano's note"] = [by_voice(grid, config, below, n) for n, grid in enumerate(test)]
    return found


def by_voice(grid: NoteGrid, config: PriorConfig, step_of: Callable[[int, list[int], int], NDArray[np.float64]],
             seed: int) -> NoteGrid:
    """The lower voices from a model that sees one voice at a time: weights of the classes from the voice, its past and
    the soprano's class.
    """
    random = keyed_generator(seed, "baseline")
    classes = pitch_classes(grid.pitch, config)
    for voice in range(1, config.voices):
        past: list[int] = []
        for step in range(grid.steps):
            weights = step_of(voice, past, int(classes[0, step]))
            weights = weights / weights.sum() if weights.sum() > 0 else np.full(config.classes, 1.0 / config.classes)
            past.append(int(random.choice(config.classes, p=weights)))
        classes[voice] = past
    pitch = np.where(classes == 0, REST, classes + config.low - 1).astype(np.int16)
    return replace(grid, pitch=pitch, onset=begins(pitch))


def judged(made: Sequence[NoteGrid], bach: Sequence[NoteGrid]) -> dict[str, float]:
    """The measures over all pieces; parallels per 1000 moving pairs of all together."""
    equal, key, crossed, wide, onsets = [], [], [], [], []
    fifths = octaves = moving = 0
    for one, true in zip(made, bach):
        steps = min(one.steps, true.steps)
        equal.append(float((one.pitch[1:, :steps] == true.pitch[1:, :steps]).mean()))
        found = find_key(true.pitch)
        key.append(in_key_share(one.pitch, found.scale) if found is not None else 1.0)
        counted = marks(one.pitch)
        fifths, octaves, moving = fifths + counted.fifths, octaves + counted.octaves, moving + counted.moving_pairs
        crossed.append(counted.crossed)
        wide.append(counted.wide)
        onsets.append(float(one.onset[1:].mean()))
    count = np.sqrt(len(equal))
    error = float(np.std(equal, ddof=1) / count) if len(equal) > 1 else float("nan")
    return {
        "equal": float(np.mean(equal)), "equal_error": error,
        "in_key": float(np.mean(key)), "fifths": 1000.0 * fifths / max(1, moving),
        "octaves": 1000.0 * octaves / max(1, moving), "moving_pairs": float(moving),
        "crossed": float(np.mean(crossed)), "wide": float(np.mean(wide)), "onsets": float(np.mean(onsets)),
    }


def samplings(prior: NotePrior, pieces: Sequence[NoteGrid], coconet: Path | None) -> dict[str, dict[str, float]]:
    """Both ways of sampling, with parallels left in.

    ``surprise`` is the model's own measure of what it drew, ``to_coconet`` that of the other model, which had no part
    in it; Bach's own voices are the mark for both.
    """
    from bench import coconet as baseline

    net = None if coconet is None else baseline.load(coconet)

    def measured(made: Sequence[NoteGrid], seconds: float) -> dict[str, float]:
        other = [baseline.surprise(net, grid) for grid in made] if net is not None else [float("nan")]
        return {
            **judged(made, pieces), "surprise": float(np.mean([prior.surprise(grid) for grid in made])),
            "to_coconet": float(np.mean(other)), "seconds": seconds / len(made),
        }

    rows = {"Bach": measured(pieces, 0.0)}
    for method in ("gibbs", "unmask"):
        for passes in (16, 32, 64):
            began = time.process_time()
            made = harmonised(prior, pieces, Wishes(parallels="report", method=method, passes=passes))
            rows[f"{method}, {passes} passes"] = measured(made, time.process_time() - began)
    return rows


def sixteen_bars(prior: NotePrior, grid: NoteGrid) -> dict[str, float]:
    """Wall and processor seconds of 16 bars of 4/4: harmonised in Python, and by the command with its start and all."""
    steps = 256
    pitch = np.resize(grid.pitch[:1], (1, steps))
    position, bar = meter_steps([], steps)
    line = NoteGrid(pitch=pitch, onset=begins(pitch), position=position, bar=bar, fermata=np.zeros(steps, bool))
    tune = melody(line)
    wall, cpu = time.perf_counter(), time.process_time()
    harmonize(prior, tune)
    found = {"wall_s": time.perf_counter() - wall, "processor_s": time.process_time() - cpu}
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "tune.mid", Path(folder) / "quartet.mid"
        write_midi(tune, source)
        wall, before = time.perf_counter(), os.times()
        command = [sys.executable, "-m", "mididdsp.cli", "compose", "harmonize", str(source), "-o", str(out)]
        subprocess.run(command, check=True, capture_output=True)
        after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return {**found, "command_wall_s": time.perf_counter() - wall, "command_processor_s": spent}


def show(table: dict[str, dict[str, float]], columns: Sequence[tuple[str, str, str]]) -> None:
    """Print a table: heading, key and format of each column."""
    width = max(len(name) for name in table)
    print(f"{'':{width}}  " + "  ".join(f"{heading:>14}" for heading, _, _ in columns))
    for name, row in table.items():
        cells = (form.format(**row) for _, _, form in columns)
        print(f"{name:{width}}  " + "  ".join(f"{cell:>14}" for cell in cells), flush=True)


NLL_COLUMNS = (
    ("over chorales", "mean", "{mean:.3f} +- {error:.3f}"), ("over frames", "frames_mean",
                                                            "{frames_mean:.3f} +- {frames_error:.3f}"),
)
HARMONY_COLUMNS = (
    ("equal to Bach", "equal", "{equal:.3f} +- {equal_error:.3f}"), ("in key", "in_key", "{in_key:.3f}"),
    ("fifths", "fifths", "{fifths:.2f}"), ("octaves", "octaves", "{octaves:.2f}"),
    ("moving pairs", "moving_pairs", "{moving_pairs:.0f}"), ("crossed", "crossed", "{crossed:.4f}"),
    ("too wide", "wide", "{wide:.4f}"), ("onsets a cell", "onsets", "{onsets:.3f}"),
)
SAMPLING_COLUMNS = (
    *HARMONY_COLUMNS[:4], ("surprise", "surprise", "{surprise:.2f}"), ("to Coconet", "to_coconet", "{to_coconet:.2f}"),
    ("s a chorale", "seconds", "{seconds:.2f}"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chorales", type=Path)
    parser.add_argument("--checkpoint", type=Path, help="of the prior; the shipped one by default")
    parser.add_argument("--coconet", type=Path, action="append", default=[], dest="coconets",
                        help="weights that bench.coconet made; repeatable, the last one harmonises")
    parser.add_argument("--split", choices=SPLITTINGS, default="tune", help="that the weights were trained with")
    parser.add_argument("--only", default="nll,harmony,sampling,time")
    parser.add_argument("--frames", type=int, default=8, help="of each chorale that are rated")
    parser.add_argument("--pieces", type=int, default=None, help="chorales of the part rated; all by default")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    import torch

    from mididdsp.checkpoints import load_checkpoint, shipped

    torch.set_num_threads(1)
    checkpoint = load_checkpoint(arguments.checkpoint or shipped("notes"), level="notes")
    prior = NotePrior.from_checkpoint(checkpoint.tensors, checkpoint.card)
    chorales = load_chorales(arguments.chorales)
    if arguments.split == "published":
        chorales = published_split(chorales)
    trained = checkpoint.card["data"].get("split", "tune")
    if trained != arguments.split:
        parser.error(f"the weights were trained with the split {trained}; add --split {trained}")
    of = {split: [one.grid for one in chorales if one.split == split] for split in ("train", "valid", "test")}
    parts = Parts(train=of["train"], valid=of["valid"], test=of["test"][: arguments.pieces])
    print(f"{len(parts.train)} chorales in train, {len(parts.valid)} in valid, {len(parts.test)} rated")
    coconet = arguments.coconets[-1] if arguments.coconets else None
    chosen, figures = arguments.only.split(","), dict[str, Any]()
    if "nll" in chosen:
        print(f"\nnats a frame, {arguments.frames} frames of each chorale, {ORDERINGS} orders")
        figures["nll"] = likelihoods(prior, parts, arguments.coconets, arguments.frames)
        show(figures["nll"], NLL_COLUMNS)
    if "harmony" in chosen:
        print("\nsopranos harmonised; parallels per 1000 moving pairs")
        made = harmonies(prior, parts, coconet)
        figures["harmony"] = {name: judged(grids, parts.test) for name, grids in made.items()}
        show(figures["harmony"], HARMONY_COLUMNS)
    if "sampling" in chosen:
        print("\nways of sampling, parallels left in")
        figures["sampling"] = samplings(prior, parts.valid[: arguments.pieces], coconet)
        show(figures["sampling"], SAMPLING_COLUMNS)
    if "time" in chosen:
        took = figures["time"] = sixteen_bars(prior, parts.test[0])
        print("\n16 bars of 4/4 harmonised in {wall_s:.2f} s ({processor_s:.2f} s of processor),\n"
              "by the command with the shipped weights in {command_wall_s:.2f} s ({command_processor_s:.2f})"
              .format(**took), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
