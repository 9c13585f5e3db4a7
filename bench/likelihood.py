"""Held-out likelihood of the expression generator, attribute by attribute, against simpler models.

    python -m bench.likelihood --dataset DATASET --split valid [--json FILE]

DATASET is what ``mididdsp prepare`` wrote. Of single notes, notes of phrases and violinists' notes that nothing was
fitted to: mean log density in nats of each attribute by itself, in its physical unit. Beside the generator:

* **instrument**: a Gaussian for each instrument;
* **linear**: mean linear in pitch, log duration, velocity (and whether there is one), fitted for each instrument;
* **teacher**: a Gaussian around what the published generator of MIDI-DDSP says, on the six attributes both have,
  through the view table (``mididdsp.expression.views``). What it says of a note is read from its melodies
  (``teacher_expression.npz``) by a regression on pitch, length and both neighbours, quadratic, for each instrument;
  offset, slope and width are fitted for each instrument to the training notes, so that only what it knows counts.

The generator's is that of its Gaussian, and of how its draws are bent where they are (``mididdsp.expression.bends``).
All three are fitted to the training split of the same source, on the scale on which the generator has its Gaussian, and
their width is drawn to the pooled one where an instrument has few notes. The generator must be better than each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import measures
from bench.rivals import RIDGE, SHARED, SHRINK, Array, Notes, Teacher, design, fit
from bench.workbench import ROOT, Setup, command, parser_of, shown, table, verdict
from mididdsp.expression.types import ATTRIBUTES
from mididdsp.instruments import INSTRUMENTS

MODELS = ("ours", "instrument", "linear", "teacher")
COPIES = 12
"""Of every single note, of which one without neighbours is taken: one in six is."""
FEWEST = 10
"""Held-out notes below which an attribute is left out."""


def notes_of(examples: Any) -> Notes:
    """Columns of the training set's examples, read back from what the network sees."""
    from mididdsp.expression.context import NEIGHBOUR, REACH

    context = examples.context.astype(np.float64)
    neighbours = context[:, -2 * REACH * NEIGHBOUR:].reshape(len(context), 2, REACH, NEIGHBOUR)[:, :, 0]
    present = neighbours[:, :, 0] > 0
    around = np.stack([neighbours[:, :, 1] * 6.0, neighbours[:, :, 2] * 0.25, 0.5 * np.exp(neighbours[:, :, 4])], 2)
    around[~present] = np.nan
    return Notes(instrument=examples.instrument, pitch=context[:, 0] * 20.0 + 60.0,
                 seconds=0.5 * np.exp(context[:, 1]),
                 velocity=np.where(context[:, 3] > 0, context[:, 4] * 32.0 + 80.0, np.nan),
                 around=around.reshape(len(context), 6), values=examples.values.astype(np.float64),
                 known=examples.known > 0, vibrates=examples.vibrates.astype(np.float64))


def linear_features(notes: Notes) -> Array:
    """Pitch, log duration, velocity and whether there is one; [N, 4]."""
    told = np.isfinite(notes.velocity)
    return np.column_stack([notes.pitch, np.log(notes.seconds), np.where(told, notes.velocity, 80.0), told])


def jacobian(name: str, values: Array) -> Array:
    """Log of how many units of the generator's scale a physical unit is, at values on that scale; [N]."""
    from mididdsp.expression.scales import SCALES

    scale = SCALES[name]
    spread = np.full(len(values), -np.log(scale.spread))
    if scale.kind == "linear":
        return spread
    physical = np.array([scale.backward(float(value)) for value in values])
    if scale.kind == "log":
        return np.asarray(spread - np.log(physical))
    return np.asarray(spread - np.log(physical * (1.0 - physical)))


def densities(network: Any, held: Any, train: Notes, notes: Notes, teacher: Teacher | None) -> dict[str, Any]:
    """By attribute: ``notes`` and the mean log density of each model, nats per physical unit; and of ``vibrates``.

    Args:
        network: of the generator.
        held: the held-out examples, as the network takes them.
        train, notes: columns of the training and the held-out notes.
        teacher: None leaves it out.
    """
    import torch

    from mididdsp.expression.context import surrounded

    context, instrument = torch.from_numpy(held.context), torch.from_numpy(held.instrument)
    with torch.inference_mode():
        mean, factor, logit = network(context, instrument)
        evened, gain = network.evened(instrument, surrounded(context), mean.double(), factor.double(),
                                      torch.from_numpy(notes.values))
    mean, variance = mean.double().numpy(), (factor.double() ** 2).sum(-1).numpy()
    says = {side: {} if teacher is None else teacher.says(side_notes)
            for side, side_notes in (("train", train), ("held", notes))}
    figures: dict[str, Any] = {}
    for index, name in enumerate(ATTRIBUTES):
        rows, learned = notes.known[:, index], train.known[:, index]
        if rows.sum() < FEWEST or learned.sum() < FEWEST:
            continue
        values = notes.values[rows, index]
        shift = float(jacobian(name, values).mean())
        spread = variance[rows, index]
        ours = gain.numpy()[rows, index] - 0.5 * (
            (evened.numpy()[rows, index] - mean[rows, index]) ** 2 / spread + np.log(2 * np.pi * spread))
        item: dict[str, float] = {"notes": float(rows.sum()), "ours": float(ours.mean()) + shift}
        sides: dict[str, tuple[Array, Array]] = {
            "instrument": (np.zeros((len(train.pitch), 0)), np.zeros((len(notes.pitch), 0))),
            "linear": (linear_features(train), linear_features(notes))}
        if teacher is not None and name in SHARED:
            sides["teacher"] = (_on_scale(name, says["train"][name]), _on_scale(name, says["held"][name]))
        for model, (there, here) in sides.items():
            fitted = fit(there[learned], train.instrument[learned], train.values[learned, index])
            item[model] = float(fitted.density(here[rows], notes.instrument[rows], values).mean()) + shift
        figures[name] = item
    told, learned = np.isfinite(notes.vibrates), np.isfinite(train.vibrates)
    if told.sum() >= FEWEST and learned.sum() >= FEWEST:
        figures["vibrates"] = _presence(logit.double().numpy()[told], notes, told, train, learned)
    return figures


def _on_scale(name: str, physical: Array) -> Array:
    from mididdsp.expression.scales import SCALES

    return np.array([[SCALES[name].forward(float(value))] for value in physical])


def _presence(logit: Array, notes: Notes, told: NDArray[np.bool_], train: Notes,
              learned: NDArray[np.bool_]) -> dict[str, float]:
    """Mean log probability of having a vibrato or not: ours, share by instrument, logistic in the linear features."""
    def log_chance(chance: Array) -> float:
        sure = np.clip(chance, 1e-4, 1 - 1e-4)
        there = notes.vibrates[told] > 0
        return float(np.log(np.where(there, sure, 1 - sure)).mean())

    count = len(INSTRUMENTS)
    overall = float(train.vibrates[learned].mean())
    sums = np.bincount(train.instrument[learned], train.vibrates[learned], count)
    totals = np.bincount(train.instrument[learned], minlength=count)
    share = (sums + SHRINK * overall) / (totals + SHRINK)

    def features(side: Notes, rows: NDArray[np.bool_]) -> Array:
        return np.column_stack([linear_features(side)[rows], np.eye(count)[side.instrument[rows]]])

    there, here = features(train, learned), features(notes, told)
    centre, width = there.mean(axis=0), there.std(axis=0) + 1e-9
    weights = measures._fit_logistic((there - centre) / width, train.vibrates[learned], RIDGE)
    guess = 1.0 / (1.0 + np.exp(-np.clip(design((here - centre) / width) @ weights, -30, 30)))
    return {"notes": float(told.sum()), "ours": log_chance(1.0 / (1.0 + np.exp(-logit))),
            "instrument": log_chance(share[notes.instrument[told]]), "linear": log_chance(guess)}


def report(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """A block a source; the last is that of all sources."""
    blocks, better, total = [], 0, 0
    for source, items in figures.items():
        rows, better, total = [], 0, 0
        for name, item in items.items():
            others = [item[model] for model in MODELS[1:] if model in item]
            reached = all(item["ours"] > other for other in others)
            better, total = better + reached, total + 1
            rows.append((name, f"{item['notes']:.0f}", *(shown(item.get(model), 3, True) for model in MODELS),
                         verdict(reached)))
        blocks.append(table((f"{source}: nats", "notes", *MODELS, "best"), rows))
    return "\n\n".join(blocks) + f"\n\nthe generator is best in {better} of {total} attributes"


def _alone(examples: Any) -> Any:
    """Of every single note the first copy without made-up neighbours, with its velocity where there is such a copy."""
    notes = notes_of(examples)
    count = len(notes.pitch) // COPIES
    by_itself = ~np.asarray(np.isfinite(notes.around).any(axis=1))
    rank = (by_itself * 2 + np.isfinite(notes.velocity)).reshape(count, COPIES)
    rows = np.arange(count) * COPIES + rank.argmax(axis=1)
    rows = rows[by_itself[rows]]
    return type(examples)(**{name: getattr(examples, name)[rows]
                             for name in ("context", "instrument", "values", "known", "vibrates")})


def together(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """By attribute over all sources: means weighted by notes; a model counts where it has all sources."""
    found: dict[str, Any] = {}
    for name in (*ATTRIBUTES, "vibrates"):
        items = [source[name] for source in figures.values() if name in source]
        if items:
            total = sum(item["notes"] for item in items)
            found[name] = {"notes": total} | {
                model: sum(item[model] * item["notes"] for item in items) / total
                for model in MODELS if all(model in item for item in items)}
    return found


def _examples(dataset: Path, split: str) -> dict[str, Any]:
    from mididdsp.data.expression_set import phrase_examples, single_note_examples, violin_examples
    from mididdsp.data.notes_dataset import load_notes, read_about

    return {"single notes": _alone(single_note_examples(load_notes(dataset, split), copies=COPIES, seed=7)),
            "phrases": phrase_examples(dataset, split, copies=1, seed=7),
            "violinists": violin_examples(Path(read_about(dataset)["folder"]), split, dataset=dataset)}


def work(setup: Setup, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Tables and figures."""
    teacher = Teacher(options.teacher)
    network = setup.chain.network("expression")
    held, train = (_examples(options.dataset, split) for split in (setup.split, "train"))
    figures: dict[str, Any] = {source: densities(network, held[source], notes_of(train[source]),
                                                 notes_of(held[source]), teacher) for source in held}
    figures["all sources"] = together(figures)
    explained = teacher.explained()
    text = "of the teacher's variance within an instrument its reading explains: " + ", ".join(
        f"{name} {share:.2f}" for name, share in explained.items())
    return f"{report(figures)}\n{text}", {**figures, "teacher explained": explained}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = parser_of(__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="what mididdsp prepare wrote")
    parser.add_argument("--teacher", type=Path, default=ROOT.parent / "shared" / "magenta" / "teacher_expression.npz",
                        help="the published generator's melodies (default: %(default)s)")
    return command(__doc__, work, arguments, parser)


if __name__ == "__main__":
    sys.exit(main())
