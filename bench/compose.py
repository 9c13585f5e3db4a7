"""The figures of the prior over notes.

    python -m bench.compose CHORALES [--coconet FILE] [--violinists DATA] [--only nll,harmony,time,takes] [--json FILE]

``CHORALES`` is the folder that ``mididdsp train notes`` made (``chorales.npz``); all figures are of its held-out part.

* ``nll``: negative log-likelihood per sixteenth of four voices, nats, frames in random order (five orderings). The
  counted models are chronological: unigram, and Markov chains of order 1 to 3 of each voice.
* ``harmony``: held-out sopranos harmonised: share of sixteenths equal to Bach's, notes in the key, parallels per 1000
  pairs of voices that move together, crossing and wide spacing, beside Bach and beside the baselines.
* ``time``: seconds for 16 bars of 4/4.
* ``takes``: how far takes of the expression differ, beside how far violinists differ who play the same piece.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.chorales import load_chorales
from mididdsp.notes.compose import harmonize
from mididdsp.notes.generator import NotePrior, PriorConfig, pitch_classes
from mididdsp.notes.grid import REST, NoteGrid, begins, grid_to_score, meter_steps
from mididdsp.notes.keys import find_key
from mididdsp.notes.types import Note, Part, Score
from mididdsp.notes.voice_leading import in_key_share, marks
from mididdsp.notes.wishes import Wishes
from mididdsp.random import keyed_generator

ORDERS = (0, 1, 2, 3)
ORDERINGS = 5


class Markov:
    """A chain of one voice, of any order: counts backed off to shorter contexts (Witten and Bell)."""

    def __init__(self, sequences: Sequence[NDArray[np.int64]], order: int, classes: int) -> None:
        self.order, self.classes = order, classes
        self.counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for sequence in sequences:
            for step in range(len(sequence)):
                for length in range(min(order, step) + 1):
                    self.counts[tuple(sequence[step - length : step].tolist())][int(sequence[step])] += 1

    def distribution(self, past: Sequence[int]) -> NDArray[np.float64]:
        """Probabilities of the next class after ``past``."""
        probability = np.full(self.classes, 1.0 / self.classes)
        for length in range(min(self.order, len(past)) + 1):
            counts = self.counts.get(tuple(past[len(past) - length :]))
            if counts:
                seen = np.zeros(self.classes)
                seen[list(counts)] = list(counts.values())
                total, kinds = seen.sum(), len(counts)
                probability = (seen + kinds * probability) / (total + kinds)
        return probability


def transposed(pitch: NDArray[np.int16], semitones: int) -> NDArray[np.int16]:
    """Pitches so many semitones higher."""
    return np.where(pitch == REST, REST, pitch + semitones).astype(np.int16)


def chains(grids: Sequence[NoteGrid], order: int, config: PriorConfig) -> list[Markov]:
    """A chain for each voice, counted on pieces in all keys from five semitones down to six up."""
    return [
        Markov(
            [pitch_classes(transposed(grid.pitch[voice], shift), config) for grid in grids for shift in range(-5, 7)],
            order, config.classes,
        )
        for voice in range(config.voices)
    ]


def markov_nll(models: Sequence[Markov], grid: NoteGrid, config: PriorConfig) -> float:
    """Nats per sixteenth, from left to right."""
    total = 0.0
    for voice, model in enumerate(models):
        sequence = pitch_classes(grid.pitch[voice], config).tolist()
        for step, here in enumerate(sequence):
            total -= float(np.log(model.distribution(sequence[max(0, step - model.order) : step])[here]))
    return total / grid.steps


def likelihoods(prior: NotePrior, train: Sequence[NoteGrid], test: Sequence[NoteGrid], coconet: Path | None,
                frames: int) -> dict[str, tuple[float, float]]:
    """Mean and standard error over the held-out chorales."""
    rated: dict[str, list[float]] = {}
    for order in ORDERS:
        models = chains(train, order, prior.config)
        name = "unigram" if order == 0 else f"Markov, order {order}"
        rated[name] = [markov_nll(models, grid, prior.config) for grid in test]
    if coconet is not None:
        from bench import coconet as baseline

        net = baseline.load(coconet)
        rated["Coconet, 170,000 parameters"] = [
            float(baseline.nll(net, grid, orderings=ORDERINGS, frames=frames).mean()) for grid in test
        ]
    rated["ours"] = [float(prior.framewise_nll(grid, orderings=ORDERINGS, frames=frames).mean()) for grid in test]
    return {name: (float(np.mean(each)), float(np.std(each) / np.sqrt(len(each)))) for name, each in rated.items()}


def melody(grid: NoteGrid) -> Score:
    """The soprano as a score."""
    alone = NoteGrid(pitch=grid.pitch[:1], onset=grid.onset[:1], position=grid.position, bar=grid.bar,
                     fermata=grid.fermata)
    return grid_to_score(alone, names=["Soprano"], instruments=["violin"])


def harmonies(prior: NotePrior, train: Sequence[NoteGrid], test: Sequence[NoteGrid]) -> dict[str, list[NoteGrid]]:
    """Each held-out chorale as Bach has it, and its soprano harmonised by us and by the baselines."""
    config, found = prior.config, {"Bach": list(test)}
    for name, wishes in (
        ("ours", Wishes()), ("ours, parallels left", Wishes(parallels="report")),
        ("ours, parallels left, each cell once", Wishes(parallels="report", method="unmask")),
    ):
        found[name] = []
        for number, grid in enumerate(test):
            pickup = int(grid.bar[0] - grid.position[0]) / 4 if grid.position[0] else None
            meter = bar_meter(grid)
            take = harmonize(
                prior, replace(melody(grid), meter=meter), wishes=replace(wishes, pickup=pickup), seed=number
            )[0]
            found[name].append(take.grid)
    chain = chains(train, 2, config)
    pairs = [Counter() for _ in range(config.voices)]
    for grid in train:
        for shift in range(-5, 7):
            classes = pitch_classes(transposed(grid.pitch, shift), config)
            for voice in range(1, config.voices):
                pairs[voice].update(zip(classes[0].tolist(), classes[voice].tolist()))
    for name, step_of in (
        ("Markov, order 2, by voice", lambda random, voice, past, above: chain[voice].distribution(past[-2:])),
        ("likeliest below the soprano's note", lambda random, voice, past, above: np.array(
            [float(pairs[voice][above, here]) for here in range(config.classes)]) ** 8),
    ):
        found[name] = [drawn_by_voice(grid, config, step_of, number) for number, grid in enumerate(test)]
    return found


def bar_meter(grid: NoteGrid) -> tuple[Any, ...]:
    """The meter of the first bar."""
    from mididdsp.notes.types import MeterChange

    length = int(grid.bar[0])
    return (MeterChange(beat=0.0, numerator=length // 4, denominator=4) if length % 4 == 0
            else MeterChange(beat=0.0, numerator=length, denominator=16),)


def drawn_by_voice(grid: NoteGrid, config: PriorConfig, step_of: Callable[..., NDArray[np.float64]],
                   seed: int) -> NoteGrid:
    """The lower voices from a model that sees one voice at a time."""
    random = keyed_generator(seed, "baseline")
    classes = pitch_classes(grid.pitch, config)
    for voice in range(1, config.voices):
        past: list[int] = []
        for step in range(grid.steps):
            weights = step_of(random, voice, past, int(classes[0, step]))
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
    return {
        "equal": float(np.mean(equal)), "in key": float(np.mean(key)), "fifths": 1000.0 * fifths / max(1, moving),
        "octaves": 1000.0 * octaves / max(1, moving), "moving pairs": float(moving), "crossed": float(np.mean(crossed)),
        "wide": float(np.mean(wide)), "onsets": float(np.mean(onsets)),
    }


def sixteen_bars(prior: NotePrior, grid: NoteGrid) -> tuple[float, float]:
    """Wall and processor seconds of one harmonisation of 16 bars of 4/4."""
    steps = 256
    pitch = np.resize(grid.pitch[:1], (1, steps))
    position, bar = meter_steps([], steps)
    line = NoteGrid(pitch=pitch, onset=begins(pitch), position=position, bar=bar, fermata=np.zeros(steps, bool))
    wall, cpu = time.perf_counter(), time.process_time()
    harmonize(prior, melody(line))
    return time.perf_counter() - wall, time.process_time() - cpu


def spread_of_takes(data: Path, takes: int = 6, pieces: int = 4, seconds: float = 60.0) -> dict[str, dict[str, float]]:
    """Standard deviation between players, and between takes, of what they do in the same place.

    A place is a pitch and a band of durations in one étude of the validation part; of each player (take) counts the
    median there. Places with three players or more are kept, and their deviations pooled.
    """
    from mididdsp.data.violinists import COLUMNS, violin_notes
    from mididdsp.performer import Performer

    table, notes = violin_notes(data, "valid")
    with np.load(data / "violinists" / "violinists.npz", allow_pickle=False) as file:
        title = file["piece_title"]
    column = {name: number for number, name in enumerate(COLUMNS)}
    row = table[:, column["row"]].astype(int)
    names = ("tuning_cents", "vibrato_cents", "vibrato_rate_hz", "vibrato_delay_s")

    def band(duration: float) -> int:
        return int(np.digitize(duration, [0.25, 0.5, 1.0, 2.0]))

    def places() -> dict[str, dict[Any, dict[int, list[float]]]]:
        return {name: defaultdict(lambda: defaultdict(list)) for name in names}

    players = places()
    for line, at in zip(table, row):
        piece = int(notes["piece"][at])
        place = (str(title[piece]), int(line[column["pitch"]]), band(float(line[column["seconds"]])))
        for name in names:
            if np.isfinite(line[column[name]]):
                players[name][place][piece].append(float(line[column[name]]))
    performer = Performer()
    drawn = places()
    of_title: dict[str, list[int]] = defaultdict(list)
    for piece in sorted(set(notes["piece"][row].tolist())):
        of_title[str(title[piece])].append(piece)
    shared = sorted(name for name, several in of_title.items() if len(several) > 2)[:pieces]
    for name_of_piece in shared:
        mine = np.flatnonzero(notes["piece"] == of_title[name_of_piece][0])
        start = float(notes["onset_s"][mine[0]])
        mine = mine[notes["onset_s"][mine] < start + seconds]
        written = [
            Note(id=str(at), onset=float(notes["onset_s"][at]) - start, duration=float(notes["duration_s"][at]),
                 pitch=float(notes["pitch"][at]), velocity=80) for at in mine
        ]
        written.sort(key=lambda note: (note.onset, note.pitch))
        part = Part(name="Violin", instrument="violin", notes=tuple(written))
        for take in range(takes):
            performance = performer.perform(Score(parts=(part,)), seed=take)
            for note in part.notes:
                place = (name_of_piece, int(note.pitch), band(note.duration))
                for name in names:
                    value = getattr(performance.expressions[note.id], name)
                    if value is not None and not (name.startswith("vibrato") and not value):
                        drawn[name][place][take].append(float(value))

    def pooled(groups: Mapping[Any, Mapping[int, list[float]]]) -> float:
        spreads = [np.var([np.median(each) for each in group.values()], ddof=1)
                   for place, group in groups.items() if place[0] in shared and len(group) > 2]
        return float(np.sqrt(np.mean(spreads))) if spreads else float("nan")

    return {name: {"players": pooled(players[name]), "takes": pooled(drawn[name])} for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chorales", type=Path)
    parser.add_argument("--checkpoint", type=Path, help="of the prior; the shipped one by default")
    parser.add_argument("--coconet", type=Path, help="weights that bench.coconet made")
    parser.add_argument("--violinists", type=Path, help="the folder with violinists/ and split.csv")
    parser.add_argument("--only", default="nll,harmony,time,takes")
    parser.add_argument("--frames", type=int, default=24, help="of each chorale that are rated")
    parser.add_argument("--pieces", type=int, default=None, help="held-out chorales; all by default")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    import torch

    from mididdsp.checkpoints import load_checkpoint, shipped

    torch.set_num_threads(1)
    checkpoint = load_checkpoint(arguments.checkpoint or shipped("notes"), level="notes")
    prior = NotePrior.from_checkpoint(checkpoint.tensors, checkpoint.card)
    chorales = load_chorales(arguments.chorales)
    train = [one.grid for one in chorales if one.split == "train"]
    test = [one.grid for one in chorales if one.split == "test"][: arguments.pieces]
    chosen, figures = arguments.only.split(","), dict[str, Any]()
    if "nll" in chosen:
        figures["nll"] = likelihoods(prior, train, test, arguments.coconet, arguments.frames)
        for name, (mean, error) in figures["nll"].items():
            print(f"{name:40} {mean:7.3f} +- {error:.3f} nats a sixteenth", flush=True)
    if "harmony" in chosen:
        made = harmonies(prior, train, test)
        figures["harmony"] = {name: judged(grids, test) for name, grids in made.items()}
        for name, one in figures["harmony"].items():
            print(f"{name:40} " + "  ".join(f"{key} {value:.3g}" for key, value in one.items()), flush=True)
    if "time" in chosen:
        wall, cpu = sixteen_bars(prior, test[0])
        figures["time"] = {"wall_s": wall, "processor_s": cpu}
        print(f"16 bars harmonised in {wall:.2f} s ({cpu:.2f} s of processor)", flush=True)
    if "takes" in chosen and arguments.violinists is not None:
        figures["takes"] = spread_of_takes(arguments.violinists)
        for name, one in figures["takes"].items():
            print(f"{name:20} between players {one['players']:8.3f}   between takes {one['takes']:8.3f}", flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
