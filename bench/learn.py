"""Learning an instrument from about ten minutes: what it cost, and how near it comes on a movement it never heard.

    python -m bench.learn --data DATA --work DIR            # learn (resumes), then measure; minutes on two cores
    python -m bench.learn --data DATA --checkpoint NAME     # measure an instrument that was learned before

The recordings are the train movements of ``bach_violin`` (two violinists that the shipped weights never heard), the
judge is its test movement. Two ways are measured against the recording, in stretches of ten seconds, with the learned
and with the shipped weights:

* round trip: the movement's notes and how each was played, as heard, sounded again by the synthesis level;
* rendered MIDI: the movement's notes alone; expression and sound are drawn. The tuning is the recording's.

The recording has a room. Each is measured dry and in our own room, and the better of the two counts for the shipped
weights. Columns: warped and sustain distance (``bench.measures``), dB; smaller is nearer.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

import mididdsp as md
from bench import measures
from mididdsp.checkpoints import read_card, resolve
from mididdsp.data.folder_dataset import FolderReport, prepare_folder
from mididdsp.data.folder_notes import read_table
from mididdsp.data.notes_dataset import load_phrase_notes
from mididdsp.expression.types import Performance
from mididdsp.notes.types import Note, Part, Score

Array = NDArray[np.float64]

RATE = 48_000
STRETCH_S = 10.0
COLLECTION = "bach_violin"
INSTRUMENT = "violin"


def movements(data: Path, side: str) -> list[Path]:
    """The recordings of the collection on one side of the split."""
    with (data / "split.csv").open(encoding="utf-8", newline="") as file:
        return [data / row["item"] for row in csv.DictReader(file)
                if row["item"].startswith(f"{COLLECTION}/") and row["split"] == side]


def gathered(recordings: Sequence[Path], folder: Path) -> Path:
    """The recordings and their notes in a folder of their own."""
    place = folder / INSTRUMENT
    place.mkdir(parents=True, exist_ok=True)
    for path in recordings:
        for source in (path, path.parent.parent / "notes" / f"{path.stem}.csv"):
            if not (place / source.name).exists():
                shutil.copyfile(source, place / source.name)
    return folder


def mono(path: Path) -> Array:
    """The recording at 48 kHz."""
    audio, rate = soundfile.read(path, dtype="float64", always_2d=True)
    return np.asarray(soxr.resample(audio.mean(axis=1), rate, RATE))


def heard(folder: Path, dataset: Path) -> tuple[FolderReport, Score, dict[str, md.NoteExpression]]:
    """The movement's notes as they were heard, with the expression of each."""
    report = prepare_folder(folder, dataset)
    notes, expressions = [], {}
    found = sorted((note for side in ("train", "valid", "test") for note in load_phrase_notes(dataset, side)),
                   key=lambda note: note.facts["time"])
    for number, item in enumerate(found):
        pitch = float(round(item.facts["pitch"]))
        note = Note(id=f"n{number}", onset=item.facts["time"], duration=item.facts["seconds"], pitch=pitch,
                    articulations=("legato",) if item.facts["joined"] else ())
        notes.append(note)
        expressions[note.id] = replace(
            item.expression, tuning_cents=item.expression.tuning_cents + 100.0 * (item.facts["pitch"] - pitch))
    return report, Score(parts=(Part(name="violin", instrument=INSTRUMENT, notes=tuple(notes)),)), expressions


def sound(performer: md.Performer, performance: Performance, room: str, a4_hz: float) -> Array:
    """The performance as mono audio."""
    mixes = performer.render(performance, room=room, a4_hz=a4_hz).stream()
    return np.concatenate([np.asarray(block, dtype=np.float64).mean(axis=0 if len(block) == 2 else 1)
                           for block in mixes])


def distances(recording: Array, other: Array, stretches: Sequence[float]) -> tuple[float, float]:
    """Mean (warped, sustain) distance over stretches of ten seconds."""
    found = []
    for start in stretches:
        part = slice(round(start * RATE), round((start + STRETCH_S) * RATE))
        found.append((measures.warped_distance(recording[part], other[part], RATE),
                      measures.sustain_distance(recording[part], other[part], RATE)))
    warped, sustain = np.mean(found, axis=0)
    return float(warped), float(sustain)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with split.csv and bach_violin/")
    parser.add_argument("--work", type=Path, default=Path("~/.cache/mididdsp/bench_learn").expanduser())
    parser.add_argument("--minutes", type=float, default=8.0, help="of training")
    parser.add_argument("--checkpoint", default=None, help="an instrument learned before")
    parser.add_argument("--side", default="test", choices=("valid", "test"), help="of the split to measure on")
    chosen = parser.parse_args(arguments)
    began = time.monotonic()
    if chosen.checkpoint is None:
        from mididdsp.checkpoints import shipped
        from mididdsp.training.learn import LearnSettings, learn

        folder = gathered(movements(chosen.data, "train"), chosen.work / "train")
        settings = LearnSettings(minutes=chosen.minutes, start=shipped("synthesis"), licence="CC BY 3.0",
                                 attribution="John Garner and MinJi Kim")
        path = learn(folder, "bench", chosen.work / "learn", chosen.work / "learn" / "checkpoint", settings).checkpoint
    else:
        path = resolve(chosen.checkpoint)
    card = read_card(path, level="synthesis")
    print(f"learned from {card['data']['train_minutes'][INSTRUMENT]:.1f} minutes of notes in "
          f"{card['data']['recordings']} recordings; {card['figures']['minutes']:.1f} min of training, "
          f"{time.monotonic() - began:.0f} s in this call")
    print("held-out notes of the same recordings, dB: " + ", ".join(
        f"{name} {card['figures']['valid'][name]:.2f} (before {card['figures']['valid_before'][name]:.2f})"
        for name in ("level", "partials", "noise")))
    held_out = movements(chosen.data, chosen.side)
    rows: dict[str, list[tuple[float, float]]] = {}
    for movement in held_out:
        report, score, expressions = heard(gathered([movement], chosen.work / f"held-out-{movement.stem}"),
                                           chosen.work / f"data-{movement.stem}")
        a4_hz = 440.0 * 2.0 ** ((report.recordings[0].tuning_cents or 0.0) / 1200.0)
        recording = mono(movement)
        table = gathered([movement], chosen.work / f"held-out-{movement.stem}") / INSTRUMENT / f"{movement.stem}.csv"
        written = Score(parts=(Part(name="violin", instrument=INSTRUMENT, notes=tuple(
            replace(note, id=f"w{number}", velocity=80) for number, note in enumerate(read_table(table)))),))
        stretches = np.arange(written.parts[0].notes[0].onset, len(recording) / RATE - STRETCH_S - 1.0, STRETCH_S)
        for name, weights in (("learned", path), ("shipped", None)):
            performer = md.Performer(synthesis=weights, device="cpu", workers=1)
            again = replace(performer.perform(score, seed=1), expressions=expressions)
            drawn = performer.perform(written, seed=1)
            for what, performance, tuned in (("round trip", again, 440.0), ("rendered MIDI", drawn, a4_hz)):
                for room in ("none", "own"):
                    other = sound(performer, performance, room, tuned)
                    other = np.pad(other, (0, max(0, len(recording) - len(other))))
                    rows.setdefault(f"{what}, {name}, room {room}", []).append(
                        distances(recording, other, list(stretches)))
    print(f"{'':38}  warped  sustain   ({len(held_out)} movement{'s' if len(held_out) > 1 else ''}, {chosen.side})")
    mean = {name: np.mean(values, axis=0) for name, values in rows.items()}
    for name, values in mean.items():
        print(f"{name:38}  {values[0]:6.2f}  {values[1]:7.2f}")
    worse = []
    for what in ("round trip", "rendered MIDI"):
        best = {name: np.min([mean[f"{what}, {name}, room {room}"] for room in ("none", "own")], axis=0)
                for name in ("learned", "shipped")}
        if not (best["learned"] < best["shipped"]).all():
            worse.append(what)
    print("learned is nearer in every row" if not worse else f"learned is not nearer: {', '.join(worse)}")
    figures = {name: [float(value) for value in values] for name, values in mean.items()}
    (chosen.work / "learn.json").write_text(json.dumps(figures), encoding="utf-8")
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())
