"""Notes from audio: how well they are found, and how well given notes are laid over a recording.

    python -m bench.transcription [--data DATA] [--only phrases bach rendered alignment] [--json OUT.json]

* phrases: twenty phrases of the collection, transcribed by hand (``bench/phrases``); also the label error of what the
  shipped models learned from.
* bach: four movements of solo violin with score labels, at 100 ms (they err by 15 to 35 ms). All labelled notes count,
  and once more the top voice alone: the transcription is monophonic.
* rendered: made-up tunes (slurs, detached and short notes, repeated notes; the second of each from the lowest note on)
  played by the shipped models on all sixteen instruments, two seeds each, in their own rooms. What sounds is known:
  written onset and the drawn timing.
* alignment: the labels of the rendered tunes and of the violin movements, their times warped (slower, rubato, notes
  missing and added, an octave off), laid over the sound again.

Measure: onset and pitch F-measure of mir_eval (Raffel et al. 2014), 50 ms and 50 cents, offsets ignored. Labels of the
violin are written pitches, so the tuning of what was heard is taken off there.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.clips import load_mono
from mididdsp.instruments import INSTRUMENTS
from mididdsp.listening import reach
from mididdsp.notes.analysis import HeardNote, find_notes
from mididdsp.notes.given import align_notes
from mididdsp.notes.types import Note, Part, Score, TempoChange
from mididdsp.synthesis.tracking import Track, track_pitch
from mididdsp.units import FRAME_RATE, midi_to_hz

Array = NDArray[np.float64]

ROOT = Path(__file__).resolve().parent.parent
PHRASES = Path(__file__).resolve().parent / "phrases"
HARD = ("trill", "tremolo", "glissando")
"""Phrases of these styles are shown, and counted apart as well."""

SEEDS = (1, 2)
RENDERED_S = 20.0
OCTAVES = (12.0, 19.02, 24.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one recording was transcribed.

    Attributes:
        name, split, instrument: of the recording.
        written, found, matched: counts of notes.
        onset_errors_s: of the matched ones.
        octave_errors: notes missed at whose onset one was found an octave or a twelfth off.
    """

    name: str
    split: str
    instrument: str
    written: int
    found: int
    matched: int
    onset_errors_s: tuple[float, ...]
    octave_errors: int

    @property
    def f_measure(self) -> float:
        """2 matched / (written + found)."""
        return 2.0 * self.matched / max(self.written + self.found, 1)


def hear(audio: Array, instrument: str) -> tuple[Track, list[HeardNote]]:
    """The default tracker and the notes, as ``mididdsp analyze`` finds them."""
    low, high = reach(INSTRUMENTS[instrument])
    track = track_pitch(audio, low=low, high=high, chunk_s=5.0)
    return track, find_notes(track.f0_hz, track.voiced, track.level_db, periodicity=track.periodicity)


def table(notes: Sequence[HeardNote]) -> Array:
    """onset s, offset s, pitch; [notes, 3]."""
    return np.array([(note.onset / FRAME_RATE, max(note.offset, note.onset + 2) / FRAME_RATE, note.pitch)
                     for note in notes]).reshape(-1, 3)


def compare(
    truth: Array, found: Array, *, tolerance_s: float = 0.05, name: str = "", split: str = "", instrument: str = ""
) -> Result:
    """Match found notes to true ones; both [notes, 3]: onset s, offset s, pitch."""
    import mir_eval

    matched: list[tuple[int, int]] = []
    if len(truth) and len(found):
        matched = mir_eval.transcription.match_notes(
            truth[:, :2], midi_to_hz(truth[:, 2]), found[:, :2], midi_to_hz(found[:, 2]), onset_tolerance=tolerance_s,
            pitch_tolerance=50.0, offset_ratio=None)
    missed = set(range(len(truth))) - {index for index, _ in matched}
    near = [found[np.abs(found[:, 0] - truth[index, 0]) < tolerance_s, 2] - truth[index, 2] for index in missed]
    octaves = sum(any(abs(abs(away) - slip) < 0.5 for away in some for slip in OCTAVES) for some in near)
    return Result(name=name, split=split, instrument=instrument, written=len(truth), found=len(found),
                  matched=len(matched), octave_errors=octaves,
                  onset_errors_s=tuple(float(found[b, 0] - truth[a, 0]) for a, b in matched))


def read_table(path: Path, names: tuple[str, str, str] = ("onset_s", "offset_s", "pitch")) -> Array:
    """onset s, offset s and pitch of a CSV file; [notes, 3]."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [tuple(float(row[name]) for name in names) for row in csv.DictReader(file)]
    notes = np.array(sorted(rows)).reshape(-1, 3)
    notes[:, 1] = np.maximum(notes[:, 1], notes[:, 0] + 0.02)  # some labels have no length
    return notes


def phrases(data: Path) -> Iterator[Result]:
    """The phrases that were transcribed by hand."""
    from mididdsp.data.recordings import philharmonia

    recordings = {recording.path.stem: recording for recording in philharmonia(data)}
    for path in sorted(PHRASES.glob("*.csv")):
        recording = recordings[path.stem]
        _, notes = hear(load_mono(recording.path), recording.instrument)
        yield compare(read_table(path), table(notes), name=path.stem, split=recording.split,
                      instrument=recording.instrument)


def untuned(found: Array) -> Array:
    """With the tuning of the recording taken off."""
    moved = found.copy()
    moved[:, 2] -= np.angle(np.exp(2j * np.pi * found[:, 2]).sum()) / (2 * np.pi)
    return moved


def top_voice(notes: Array) -> Array:
    """The notes above which none begins at the same time."""
    return np.array([note for note in notes
                     if not np.any((np.abs(notes[:, 0] - note[0]) < 0.03) & (notes[:, 2] > note[2] + 0.5))])


def bach(data: Path) -> Iterator[tuple[str, str, Track, list[HeardNote], Array]]:
    """(name, split, track, notes heard, labels) of the violin movements."""
    from mididdsp.data.recordings import read_split

    split = read_split(data)
    for item in sorted(item for item in split if item.startswith("bach_violin/")):
        labels = read_table(data / "bach_violin" / "notes" / f"{Path(item).stem}.csv", ("onset", "offset", "pitch"))
        track, notes = hear(load_mono(data / item), "violin")
        yield Path(item).stem, split[item], track, notes, labels


def tune(instrument: str, seed: int) -> Score:
    """A made-up tune: a walk on a scale with rests, slurs, detached and short notes; every fourth note is repeated.

    Those with an odd seed go about the middle of the range, the others over its lowest two octaves.
    """
    rng = random.Random(f"{instrument} {seed}")
    scale, at, velocity = (0, 2, 4, 5, 7, 9, 11), 0.3, 80
    tonic, step, lowest = (INSTRUMENTS[instrument].centre, 0, -6) if seed % 2 else (INSTRUMENTS[instrument].low, 4, 0)
    notes: list[list[float]] = []
    while at < RENDERED_S:
        length = rng.choice((0.15, 0.25, 0.25, 0.4, 0.4, 0.6, 0.9, 1.3))
        if rng.random() > 0.07:
            while tonic + 12 * (step // 7) + scale[step % 7] < INSTRUMENTS[instrument].low:
                step += 1
            share = rng.choice((1.04, 1.04, 0.92, 0.55))  # overlapping notes are slurred
            notes.append([at, length * share, tonic + 12 * (step // 7) + scale[step % 7], velocity])
            velocity = max(55, min(105, velocity + rng.randint(-10, 10)))
            if rng.random() > 0.25:
                step = max(lowest, min(lowest + 14, step + rng.choice((-4, -2, -1, -1, 1, 1, 2, 3))))
        at += length
    for note, after in zip(notes, notes[1:]):
        if note[2] == after[2]:
            note[1] = min(note[1], 0.95 * (after[0] - note[0]))  # a key must be let go before it is struck again
    made = tuple(Note(id=f"{instrument}{seed}-{index}", onset=onset, duration=duration, pitch=pitch,
                      velocity=int(force)) for index, (onset, duration, pitch, force) in enumerate(notes))
    return Score(parts=(Part(name=instrument, instrument=instrument, notes=made),),
                 tempo=(TempoChange(time=0.0, beat=0.0, bpm=120.0),))


def rendered() -> Iterator[tuple[str, str, Array, Array]]:
    """(name, instrument, audio, truth) of the tunes as the shipped models play them."""
    import torch

    from mididdsp.performer import Performer

    torch.set_num_threads(1)
    performer = Performer(device="cpu", workers=1)
    for instrument in INSTRUMENTS:
        for seed in SEEDS:
            performance = performer.perform(tune(instrument, seed), seed=seed)
            stereo = np.asarray(performer.render(performance).audio, dtype=np.float64)
            audio = stereo.mean(axis=int(np.argmin(stereo.shape))) if stereo.ndim > 1 else stereo
            played = [(note, performance.expressions[note.id]) for note in performance.score.parts[0].notes]
            yield f"{instrument} {seed}", instrument, audio, np.array(
                [(note.onset + how.timing_s, note.offset, note.pitch + how.tuning_cents / 100.0)
                 for note, how in played])


WARPS: dict[str, Callable[[Array], Array]] = {
    "a quarter slower": lambda time: 1.25 * time, "0.7 of the time, later": lambda time: 0.7 * time + 1.0,
    "rubato": lambda time: 0.9 * time + 0.8 * np.sin(time / 5.0) + 1.0,
}


def warped(truth: Array, seed: int = 0) -> Iterator[tuple[str, list[Note], list[int]]]:
    """(what was done, given notes, the true note behind each or -1)."""
    def notes(rows: list[tuple[float, float, float, int]]) -> tuple[list[Note], list[int]]:
        rows = sorted(rows)
        return [Note(id=f"n{index}", onset=max(onset, 0.0), duration=max(duration, 0.02), pitch=pitch)
                for index, (onset, duration, pitch, _) in enumerate(rows)], [row[3] for row in rows]

    written = np.rint(truth[:, 2])
    for name, warp in WARPS.items():
        onset, offset = warp(truth[:, 0]), warp(truth[:, 1])
        yield name, *notes([(float(a), float(b - a), float(p), i) for i, (a, b, p) in
                            enumerate(zip(onset, offset, written))])
    plain = [(float(a), float(b - a), float(p), i)
             for i, (a, b, p) in enumerate(zip(truth[:, 0], truth[:, 1], written))]
    rng = random.Random(seed)
    kept = [row for row in plain if rng.random() > 0.08]
    added = [(onset + 0.1, 0.1, pitch + 2.0, -1) for onset, _, pitch, _ in kept if rng.random() < 0.05]
    yield "8 % missing, 5 % added", *notes(kept + added)
    yield "an octave lower", *notes([(onset, duration, pitch - 12.0, i) for onset, duration, pitch, i in plain])


def aligned(track: Track, heard: Sequence[HeardNote], truth: Array) -> dict[str, tuple[float, float, float]]:
    """What was done to the labels: median and 90th percentile of the onset error, ms, and the share within 100 ms."""
    found = {}
    for name, given, behind in warped(truth):
        laid = align_notes(given, heard, track.f0_hz, track.voiced, track.level_db)
        errors = np.array([abs(item.onset / FRAME_RATE - truth[index, 0])
                           for item, index in zip(laid.notes, behind) if index >= 0])
        found[name] = (1000 * float(np.median(errors)), 1000 * float(np.percentile(errors, 90)),
                       float(np.mean(errors < 0.1)))
    return found


def summary(results: Sequence[Result]) -> dict[str, float]:
    """Of several recordings: F-measures, errors and counts."""
    errors = np.abs(np.concatenate([result.onset_errors_s for result in results]))
    written, found = sum(result.written for result in results), sum(result.found for result in results)
    matched = sum(result.matched for result in results)
    return {
        "recordings": len(results), "notes": written, "f_pooled": 2 * matched / max(written + found, 1),
        "f_mean": float(np.mean([result.f_measure for result in results])),
        "onset_median_ms": 1000 * float(np.median(errors)), "onset_p90_ms": 1000 * float(np.percentile(errors, 90)),
        "missed": written - matched, "extra": found - matched,
        "octave_errors": sum(result.octave_errors for result in results),
    }


def line(result: Result) -> str:
    """One row of a table."""
    return (f"{result.name:52s} {result.split:6s} F {result.f_measure:.3f}  notes {result.written:4d}  found "
            f"{result.found:4d}  matched {result.matched:4d}")


def say(title: str, results: Sequence[Result]) -> dict[str, float]:
    """Print the summary of several recordings."""
    found = summary(results)
    print(f"{title}: pooled F {found['f_pooled']:.3f}, mean F {found['f_mean']:.3f}; onset error median "
          f"{found['onset_median_ms']:.0f} ms, 90 % {found['onset_p90_ms']:.0f} ms; of {found['notes']} notes "
          f"{found['missed']} missed, {found['extra']} extra, {found['octave_errors']} an octave off")
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the recordings")
    parser.add_argument("--only", nargs="+", choices=("phrases", "bach", "rendered", "alignment"),
                        default=("phrases", "bach", "rendered", "alignment"))
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    report: dict[str, Any] = {}
    if "phrases" in arguments.only:
        print("Phrases transcribed by hand, 50 ms and 50 cents")
        results = list(phrases(arguments.data))
        for result in results:
            print(line(result))
        for title, some in (
            ("train and valid", [result for result in results if result.split != "test"]),
            ("test", [result for result in results if result.split == "test"]), ("all", results),
            ("all but trill and glissando", [result for result in results
                                             if not any(word in result.name for word in HARD)]),
        ):
            report[f"phrases, {title}"] = say(title, some)
    moving: dict[str, tuple[Track, list[HeardNote], Array]] = {}
    if {"bach", "alignment"} & set(arguments.only):
        for name, split, track, notes, labels in bach(arguments.data):
            moving[f"{name} ({split})"] = track, notes, labels
            if "bach" in arguments.only:
                found = untuned(table(notes))
                for which, truth in (("all notes", labels), ("top voice", top_voice(labels))):
                    result = compare(truth, found, tolerance_s=0.1, name=f"{name}, {which}, 100 ms", split=split)
                    print(line(result))
                    report[result.name] = {"split": split, **summary([result])}
    if {"rendered", "alignment"} & set(arguments.only):
        results = []
        for name, instrument, audio, truth in rendered():
            track, notes = hear(audio, instrument)
            results.append(compare(truth, table(notes), name=f"rendered {name}", instrument=instrument))
            if "rendered" in arguments.only:
                print(line(results[-1]), flush=True)
            if name in ("violin 1", "clarinet 1", "tuba 1"):
                moving[f"rendered {name}"] = track, notes, truth
        if "rendered" in arguments.only:
            report["rendered"] = say("rendered", results)
            for title, odd in (("middle of the range", 1), ("lowest two octaves", 0)):
                report[f"rendered, {title}"] = say(f"rendered, {title}", [
                    result for result in results if int(result.name.split()[-1]) % 2 == odd])
    if "alignment" in arguments.only:
        print("Given notes laid over the sound: onset error median and 90 %, share within 100 ms")
        for name, (track, notes, truth) in moving.items():
            report[f"alignment, {name}"] = aligned(track, notes, truth)
            for done, (median, most, share) in report[f"alignment, {name}"].items():
                print(f"{name:44s} {done:24s} {median:5.0f} ms {most:5.0f} ms  {share:.3f}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
