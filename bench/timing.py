"""Right in time and pitch: renders of many files, measured note by note on dry sound.

    python -m bench.timing [FILES …] [--json] [--limit-s 20]

Per file: onsets of re-attacked notes (first rise to 25 dB below the note's top, in the stem; where the note before
still rings there, in the sound of the note's own segment) against MIDI + ``timing_s``; with
``tuning_cents`` and vibrato 0, note centres (measured in the same sounds) against note + bend; octave errors; rests
that are not digital silence. At joints of slurs, the energy above 8 kHz in 60 ms around the joint against the same
stretch with the slurs off (bar +6 dB): a click would show there. Without FILES, the files of ``bench.files`` are made
and measured. Notes that sound together with others of their part, or are shorter than 0.12 s, cannot be told apart in
its stem and are left out, and counted.

Conventions: level in 5 ms windows, 1 ms apart. The tops and thresholds are each note's own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mididdsp as md
from bench import pitch
from bench.measures import energy_above
from mididdsp.expression.curves import PartCurves
from mididdsp.notes.types import PlannedNote
from mididdsp.notes.voices import plan_part
from mididdsp.synthesis.render import render_segment, render_stream

RATE = 48_000
ONSET_BAR_S = 0.015
PITCH_BAR_CENTS = 3.0
RISE_DB = 25.0
SHORTEST_S = 0.12
"""Of notes whose pitch is measured: two windows of the tracker at the lowest pitches."""

RINGS = 1.6
"""A release takes ``release_s`` from -3 to -20 dB; after this many of them it is under the threshold of an onset."""

PITCHES = 24
"""Notes of a part whose pitch is measured at most, evenly spread: the tracker takes most of the time."""

CLICK_BAR_DB = 6.0
SILENT_DB = -90.0
"""Energy (dB) below which high frequencies are not heard beside anything: what rises out of less is no click."""

STILL_CENTS = 5.0
"""A bend that moves more than this in the middle of a note leaves it no one pitch to measure."""

NEIGHBOURS = 12
"""Notes before and after that can sound together with one."""

Array = NDArray[np.float64]


def level_db(audio: Array) -> Array:
    """Level in windows of 5 ms, 1 ms apart, dB; window k is centred at k ms."""
    size = RATE // 200
    power = np.convolve(audio**2, np.ones(size) / size, mode="same")[:: RATE // 1000]
    return np.asarray(10.0 * np.log10(np.maximum(power, 1e-14)))


def onset_error_s(level: Array, expected_s: float, until_s: float) -> float | None:
    """First rise to ``RISE_DB`` below the note's top, less where it was expected, s; None where it never was below."""
    start = max(0, round((expected_s - 0.05) * 1000))
    window = level[start : max(start + 2, round(until_s * 1000))]
    threshold = window.max() - RISE_DB
    if expected_s >= 0.05 and window[0] >= threshold:  # what came before still rings
        return None
    return (start + int(np.argmax(window >= threshold))) / 1000.0 - expected_s


def measure_part(performer: md.Performer, performance: md.Performance, params: md.SynthParams) -> dict[str, Any]:
    """Errors of one part: lists of onset errors (s) and pitch errors (cents), and counts."""
    part = next(item for item in performance.score.parts if item.name == params.part)
    blocks = list(render_stream(params, noise_edges_hz=params.noise_edges_hz, sample_rate=RATE, seed=params.seed,
                                skirts=params.skirts))
    audio = np.concatenate([*blocks, np.zeros(RATE, np.float32)]).astype(np.float64)
    level = level_db(audio)
    curves = PartCurves(performance.curves, part, performance.expressions)
    planned = sorted((item for chain in plan_part(part).chains for item in chain.notes), key=lambda item: item.onset)
    begins = {segment.note_ids[0]: segment for segment in params.segments}
    onsets: list[float] = []
    cents: list[float] = []
    octaves = left_out = 0
    every = -(-len(planned) // PITCHES)
    for index, item in enumerate(planned):
        if _overlapped(planned, index):
            left_out += 1
            continue
        expression = performance.expressions[item.note.id]
        expected = max(0.0, item.onset + expression.timing_s)
        if not item.joined:
            until = max(expected + 0.05, item.offset)
            error = None if _ringing(planned, index, performance) else onset_error_s(level, expected, until)
            own = begins.get(item.note.id)
            if own is not None and (error is None or error < -ONSET_BAR_S):  # it was the note before that was heard
                first, alone = render_segment(own, noise_edges_hz=params.noise_edges_hz, sample_rate=RATE,
                                              seed=params.seed, skirts=params.skirts)
                sound = np.concatenate([np.zeros(max(0, first)), alone[max(0, -first):].astype(np.float64)])
                error = onset_error_s(level_db(sound[max(0, first - RATE):]), expected - max(0, first - RATE) / RATE,
                                      until - max(0, first - RATE) / RATE)
            if error is not None:
                onsets.append(error)
        ratio = 1.0 if item.leads or expression.length_ratio is None else expression.length_ratio
        end = expected + (item.offset - item.onset) * ratio
        if end - expected < SHORTEST_S or index % every:
            continue
        middle = slice(round((0.75 * expected + 0.25 * end) * RATE), round((0.25 * expected + 0.75 * end) * RATE))
        # the pitch too is that of the note, not of what still rings of the one before
        own = begins.get(item.note.id) if _ringing(planned, index, performance) else None
        body = audio[middle]
        if own is not None:
            first, alone = render_segment(own, noise_edges_hz=params.noise_edges_hz, sample_rate=RATE, seed=params.seed,
                                          skirts=params.skirts)
            body = alone[max(0, middle.start - first) : max(0, middle.stop - first)].astype(np.float64)
        times = np.arange(middle.start, middle.stop, RATE // 250) / RATE
        drawn = curves("pitch", item.note.id, times)
        bend = np.zeros(len(times)) if drawn is None else drawn[1]
        if np.ptp(bend) > STILL_CENTS:
            left_out += 1
            continue
        written = item.note.pitch + float(np.mean(bend)) / 100.0
        try:
            found = pitch.sounding_pitch(body, RATE, written)
        except ValueError:
            octaves += 1
            continue
        if abs(found - written) > 6.0:
            octaves += 1
        else:
            cents.append(100.0 * (found - written))
    loud_rests = _sound_in_rests(audio, params)
    return {
        "clicks_db": joint_clicks(performer, performance, params),
        "onsets_s": onsets,
        "cents": cents,
        "octave_errors": octaves,
        "left_out": left_out,
        "loud_rests": loud_rests,
    }


def joint_clicks(performer: md.Performer, performance: md.Performance, params: md.SynthParams) -> list[float]:
    """Energy above 8 kHz at every joint of a part, dB over the same stretch with all slurs taken off."""
    part = next(item for item in performance.score.parts if item.name == params.part)
    joints = [item.onset for chain in plan_part(part).chains for item in chain.notes if item.joined]
    if not joints:
        return []
    onsets = sorted(note.onset for note in part.notes)
    apart = []
    for note in part.notes:
        later = [onset for onset in onsets if onset > note.onset + 0.001]
        length = min(note.duration, later[0] - note.onset) if later else note.duration
        apart.append(replace(note, duration=length, articulations=tuple(set(note.articulations) - {"legato"})))
    loose = replace(performance, score=replace(performance.score, parts=(replace(part, notes=tuple(apart)),)),
                    expressions={note.id: replace(performance.expressions[note.id], glide_s=None, length_ratio=1.0)
                                 for note in part.notes})
    sounds = [np.concatenate([*render_stream(one, noise_edges_hz=one.noise_edges_hz, sample_rate=RATE, seed=one.seed,
                                             skirts=one.skirts),
                              np.zeros(RATE, np.float32)]).astype(np.float64)
              for one in (params, next(iter(performer.synthesize(loose))))]
    found = []
    for joint in joints[:PITCHES]:
        joined, parted = (energy_above(sound, RATE, joint - 0.03, joint + 0.03) for sound in sounds)
        found.append(joined - max(parted, SILENT_DB))
    return found


def _overlapped(planned: Sequence[PlannedNote], index: int) -> bool:
    """Whether another note of the part is held together with this one, as in a chord."""
    item = planned[index]
    return any(
        other is not item and other.onset < item.offset - 0.005 and other.offset > item.onset + 0.005
        for other in planned[max(0, index - NEIGHBOURS) : index + NEIGHBOURS]
    )


def _ringing(planned: Sequence[PlannedNote], index: int, performance: md.Performance) -> bool:
    """Whether a release before this note can still be above the threshold of its onset."""
    item = planned[index]
    return any(
        other.offset + RINGS * performance.expressions[other.note.id].release_s > item.onset - 0.01
        for other in planned[max(0, index - NEIGHBOURS) : index]
    )


def _sound_in_rests(audio: Array, params: md.SynthParams) -> int:
    """Samples that are not zero where no segment sounds."""
    quiet = np.ones(len(audio), bool)
    for segment in params.segments:
        end = segment.start_s + segment.frames / params.frame_rate
        quiet[max(0, int(segment.start_s * RATE) - 1) : int(end * RATE) + 2] = False
    return int(np.count_nonzero(audio[quiet]))


def measure_file(performer: md.Performer, path: Path, limit_s: float) -> dict[str, Any]:
    """Measure the first ``limit_s`` seconds of a file."""
    reading = performer.read(path)
    parts = tuple(
        replace(part, notes=tuple(note for note in part.notes if note.offset <= limit_s))
        for part in reading.score.parts
    )
    score = replace(reading.score, parts=tuple(part for part in parts if part.notes))
    performance = performer.perform(score)
    straight = {
        key: replace(value, tuning_cents=0.0, vibrato_cents=0.0, vibrato_rate_hz=None, vibrato_delay_s=None)
        for key, value in performance.expressions.items()
    }
    performance = replace(performance, expressions=straight)
    found = [measure_part(performer, performance, params) for params in performer.synthesize(performance)]
    onsets = np.abs([value for item in found for value in item["onsets_s"]])
    cents = np.abs([value for item in found for value in item["cents"]])
    return {
        "file": path.name,
        "notes": sum(len(part.notes) for part in score.parts),
        "onsets": len(onsets),
        "onset_late": int((onsets > ONSET_BAR_S).sum()),
        "onset_worst_s": _worst(onsets),
        "pitches": len(cents),
        "pitch_off": int((cents > PITCH_BAR_CENTS).sum()),
        "pitch_worst_cents": _worst(cents),
        "octave_errors": sum(item["octave_errors"] for item in found),
        "joints": sum(len(item["clicks_db"]) for item in found),
        "clicks": sum(value > CLICK_BAR_DB for item in found for value in item["clicks_db"]),
        "click_worst_db": max((value for item in found for value in item["clicks_db"]), default=float("-inf")),
        "left_out": sum(item["left_out"] for item in found),
        "loud_rests": sum(item["loud_rests"] for item in found),
    }


def _worst(values: Array) -> float:
    return float(values.max()) if len(values) else 0.0


def main() -> None:
    """Print a line a file, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="MIDI files")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--limit-s", type=float, default=20.0, help="seconds measured of each file")
    parser.add_argument("--expression", type=Path, help="weights other than the shipped ones")
    parser.add_argument("--synthesis", type=Path, help="weights other than the shipped ones")
    options = parser.parse_args()
    performer = md.Performer(device="cpu", expression=options.expression, synthesis=options.synthesis)
    with tempfile.TemporaryDirectory() as folder:
        files = options.files or _made(Path(folder))
        rows = []
        for path in files:
            try:
                rows.append(measure_file(performer, path, options.limit_s))
                if not options.json:
                    print(_line(rows[-1]), flush=True)
            except md.MidiError as error:  # some files are broken on purpose: a sentence is the right answer
                print(f"left out: {error}", file=sys.stderr)
    keys = ("notes", "onsets", "onset_late", "pitches", "pitch_off", "octave_errors", "joints", "clicks", "left_out",
            "loud_rests")
    total = {key: sum(row[key] for row in rows) for key in keys}
    if options.json:
        print(
            json.dumps(
                {"files": rows, "total": total, "onset_bar_s": ONSET_BAR_S, "pitch_bar_cents": PITCH_BAR_CENTS},
                indent=2,
            )
        )
        return
    print(total)


def _line(row: dict[str, Any]) -> str:
    late, off = f"{row['onset_late']:3} late", f"{row['pitch_off']:3} off"
    return (
        f"{row['file'][:36]:36} {row['onsets']:5} onsets, {late} (worst {1000 * row['onset_worst_s']:5.1f} ms); "
        f"{row['pitches']:5} pitches, {off} (worst {row['pitch_worst_cents']:5.1f} cents); "
        f"octave errors {row['octave_errors']}; {row['joints']} joints, {row['clicks']} clicks; "
        f"loud rests {row['loud_rests']}"
    )


def _made(folder: Path) -> list[Path]:
    from bench.files import write_files

    return list(write_files(folder))


if __name__ == "__main__":
    main()
