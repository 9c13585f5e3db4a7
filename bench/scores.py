"""Does a score sound as it is marked? Two quartet movements of music21's corpus, measured in the dry sound.

    python -m bench.scores [--seconds 60]

Prints, for each movement: how many notes, marks and level curves were read and how long that took; for each player and
for the quartet, how well the level that is heard follows the level that is marked (Pearson r over moments inside
hairpins, and over all); and how long staccato notes sound against plain ones, as shares of the written length.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import mididdsp as md
from mididdsp.notes.dynamics import DB_PER_VELOCITY, VELOCITIES
from mididdsp.notes.score import ScoreReading, read_score

MOVEMENTS = ("haydn/opus74no1/movement2", "beethoven/opus59no2/movement3")
SAMPLE_RATE = 16_000
WINDOW_S = 0.03
"""Of a measured level: some periods of a violin, and shorter than a short note."""

CONTOUR_S = 0.4
"""Momentary level, as loudness meters show it."""

STEP_S = 0.02
SHORTEST_S = 0.18
ENDED_DB = 12.0
"""A note has ended when it is this far below its top."""


def corpus_score(name: str) -> ScoreReading:
    """A score of music21's corpus, read."""
    from music21 import corpus

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_score(str(corpus.getWork(name)))


def excerpt(reading: ScoreReading, parts: Sequence[int], start_s: float, end_s: float) -> ScoreReading:
    """The notes of some parts that lie in a stretch of time, with their curves and hints."""
    chosen = [reading.score.parts[index] for index in parts]
    cut = tuple(
        replace(part, notes=tuple(note for note in part.notes if start_s <= note.onset and note.offset <= end_s))
        for part in chosen)
    ids = {note.id for part in cut for note in part.notes}
    return replace(
        reading, score=replace(reading.score, parts=cut),
        curves=tuple(curve for curve in reading.curves if curve.note_id in ids),
        hints={key: value for key, value in reading.hints.items() if key in ids})


@dataclass(frozen=True)
class Heard:
    """What was measured: correlations (None without points), and shares of the written length."""

    moving: int
    r_moving: float | None
    points: int
    r_all: float | None
    staccato: float | None
    plain: float | None


def measure(reading: ScoreReading, audio: NDArray[np.float32], sample_rate: int, start_s: float) -> Heard:
    """Measure the dry sound of a reading's parts; ``audio`` begins at ``start_s`` of the piece.

    The contour is what a listener follows: the momentary level, power over ``CONTOUR_S``, of what is asked (the powers
    of the notes that sound, each at the level of its mark) and of what is heard.
    """
    times, asked, moving = _asked(reading, start_s, start_s + len(audio) / sample_rate)
    step = int(STEP_S * sample_rate)
    power = (audio[: len(times) * step].astype(np.float64).reshape(-1, step) ** 2).mean(axis=1)
    count = round(CONTOUR_S / STEP_S)
    rows = []
    for first in range(0, len(power) - count, count // 2):
        window = slice(first, first + count)
        sounding = asked[window] > 0
        if sounding.mean() >= 0.5:
            rows.append((asked[window].mean(), power[window].mean() + 1e-12, moving[window][sounding].mean()))
    table = np.array(rows).reshape(-1, 3)
    levels = 10.0 * np.log10(table[:, :2])
    moves = table[:, 2] >= 0.5

    def r(chosen: NDArray[np.bool_]) -> float | None:
        return float(np.asarray(np.corrcoef(levels[chosen].T))[0, 1]) if chosen.sum() >= 8 else None

    staccato, plain = _lengths(reading, audio, sample_rate, start_s) if len(reading.score.parts) == 1 else (None, None)
    return Heard(moving=int(moves.sum()), r_moving=r(moves), points=len(table), r_all=r(np.ones(len(table), bool)),
                 staccato=staccato, plain=plain)


def _asked(
    reading: ScoreReading, start_s: float, end_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Times every ``STEP_S``; the power that the marks ask for; its share that is under a hairpin."""
    times = np.asarray(start_s + STEP_S * np.arange(int((end_s - start_s) / STEP_S)), np.float64)
    power, under = np.zeros(len(times)), np.zeros(len(times))
    curves = {curve.note_id: curve for curve in reading.curves if curve.target == "level"}
    marks = set(VELOCITIES.values())
    for part in reading.score.parts:
        for note in part.notes:
            if note.velocity is None:
                continue
            share = 0.5 if {"staccato", "staccatissimo"} & set(note.articulations) else 1.0
            first, last = np.searchsorted(times, (note.onset, note.onset + share * note.duration))
            curve = curves.get(note.id)
            drawn = 0.0 if curve is None else np.interp(times[first:last] - note.onset, curve.times, curve.values)
            own = 10.0 ** ((DB_PER_VELOCITY * note.velocity + drawn) / 10.0) * np.ones(last - first)
            power[first:last] += own
            if curve is not None or note.velocity not in marks:
                under[first:last] += own
    return times, power, np.asarray(under / np.maximum(power, 1e-9))


def _level_db(audio: NDArray[np.float32], sample_rate: int, time_s: float) -> float:
    first = int((time_s - WINDOW_S / 2) * sample_rate)
    window = audio[max(first, 0) : first + int(WINDOW_S * sample_rate)].astype(np.float64)
    return float(10.0 * np.log10(np.mean(window**2) + 1e-12)) if len(window) else -120.0


def _lengths(
    reading: ScoreReading, audio: NDArray[np.float32], sample_rate: int, start_s: float
) -> tuple[float | None, float | None]:
    """Median sounding share of the written length: of staccato notes, and of unmarked ones that a note follows."""
    notes = reading.score.parts[0].notes
    shares: dict[bool, list[float]] = {True: [], False: []}
    for note, following in zip(notes, notes[1:]):
        if note.duration < SHORTEST_S:
            continue
        dotted = note.articulations == ("staccato",)
        alone = following.onset >= note.onset + SHORTEST_S
        if not alone or (note.articulations and not dotted) or "legato" in following.articulations:
            continue
        steps = np.arange(note.onset, min(note.offset, following.onset), 0.004)
        levels = np.array([_level_db(audio, sample_rate, step - start_s) for step in steps])
        loudest = int(np.argmax(levels[: max(1, 3 * len(levels) // 4)]))
        gone = np.flatnonzero(levels[loudest:] <= levels[loudest] - ENDED_DB)  # the first: then the next note speaks
        ended = loudest + int(gone[0]) if len(gone) else len(levels)
        shares[dotted].append(ended * 0.004 / note.duration)
    medians = [float(np.median(shares[dotted])) if shares[dotted] else None for dotted in (True, False)]
    return medians[0], medians[1]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    performer = md.Performer(device="cpu")
    for name in MOVEMENTS:
        started = time.perf_counter()
        reading = corpus_score(name)
        took = time.perf_counter() - started
        notes = sum(len(part.notes) for part in reading.score.parts)
        marks = sum(bool(note.articulations) for part in reading.score.parts for note in part.notes)
        print(f"{name}: {notes} notes, {marks} marked, {len(reading.curves)} curves in held notes, "
              f"{reading.score.duration:.0f} s of music, read in {took:.1f} s")
        for message in reading.messages:
            print(f"  {message}")
        for parts in ((0,), (1,), (2,), (3,), (0, 1, 2, 3)):
            own = excerpt(reading, parts, 0.0, options.seconds)
            performance = performer.perform(own)
            rendering = performer.render(performance, room="none", sample_rate=SAMPLE_RATE)
            heard = measure(own, rendering.audio.sum(axis=0), SAMPLE_RATE, 0.0)
            said = {key: "-" if value is None else f"{value:.2f}" for key, value in vars(heard).items()}
            line = (f"  {' + '.join(part.name for part in own.score.parts)}, {options.seconds:.0f} s: level follows "
                    f"hairpins r = {said['r_moving']} ({heard.moving} moments), all marks r = {said['r_all']} "
                    f"({heard.points})")
            if heard.staccato is not None:
                line += f"; staccato sounds {said['staccato']} of its length, plain notes {said['plain']}"
            print(line)


if __name__ == "__main__":
    main()
