"""Dynamics: does timbre follow the clips from pp to ff, and does velocity raise the level evenly?

    python -m bench.dynamics --split valid [--most 25] [--json FILE]

* **centroid**: the renders are those of ``bench.single_notes``; power centroid between 40 Hz and 15 kHz of the mean
  spectrum over 20 to 70 % of the sounding note, ours over the real clip's. Median by instrument and dynamic, bar within
  20 %. Beneath stands how often another take of the same pitch and dynamic would pass, in the cells that have one.
* **level**: three pitches of each instrument at the six dynamic velocities, 1.5 s, temperature 0; RMS level over 20 to
  70 %. It must rise with every step on every pitch, and its span from pp to ff match ``figures/targets.csv`` within a
  tenth. The largest departure from even steps is printed.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import fluid, measures
from bench.workbench import (
    RATE,
    Array,
    Setup,
    SingleNote,
    command,
    instruments_of,
    median,
    over,
    sampled,
    shown,
    single_notes,
    table,
    verdict,
)
from mididdsp.instruments import instrument

CENTROID_BAR = 0.2
SPAN_BAR = 0.1
LOW_HZ, HIGH_HZ = 40.0, 15_000.0
VELOCITIES = (33, 49, 64, 80, 96, 112)
"""pp, p, mp, mf, f, ff."""
PLACES = (0.2, 0.5, 0.75)
"""Where in an instrument's range levels are measured."""
LENGTH_S = 1.5
PLAYERS = ("ours", "fluidsynth", "take")
LABELS = {"pianissimo": "pp", "piano": "p", "mezzo-piano": "mp", "mezzo-forte": "mf", "forte": "f", "fortissimo": "ff"}


def held(audio: Array) -> Array:
    """What sounds between 20 and 70 % of the audio trimmed at -40 dB of its top."""
    sounding = measures.trim(audio, RATE)
    return sounding[int(0.2 * len(sounding)):max(int(0.2 * len(sounding)) + 1, int(0.7 * len(sounding)))]


def centroid_hz(audio: Array) -> float:
    """Power centroid of the held part between 40 Hz and 15 kHz, Hz."""
    part = held(audio)
    size = 4096
    padded = np.pad(part, (0, max(0, size - len(part))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::size // 4]
    power = (np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2).mean(axis=0)
    return float(power_and_centroid(power)[1])


def power_and_centroid(power: Array) -> tuple[Array, Array]:
    """Power between 40 Hz and 15 kHz of spectra [..., bins], and its centroid, Hz; [...] each."""
    hz = np.arange(power.shape[-1]) * RATE / (2 * power.shape[-1] - 2)
    inside = (hz >= LOW_HZ) & (hz <= HIGH_HZ)
    total = power[..., inside].sum(-1)
    return total, (power * hz)[..., inside].sum(-1) / np.maximum(total, 1e-30)


def level_db(audio: Array) -> float:
    """RMS level of the held part, dB re 1.0."""
    return float(10.0 * np.log10(max(float((held(audio) ** 2).mean()), 1e-15)))


def spans(data: Path) -> dict[str, float]:
    """Level span in dB from pp to ff by instrument, from ``figures/targets.csv``."""
    with open(data / "figures" / "targets.csv", newline="", encoding="utf-8") as lines:
        return {row["instrument"]: float(row["level_span_pp_ff_db"]) for row in csv.DictReader(lines)}


def _centroids(setup: Setup, job: tuple[SingleNote, Array | None]) -> dict[str, float]:
    """Centroid by player over that of the real clip; NaN where a player has no such note."""
    case, sampler = job
    real = centroid_hz(setup.library.audio(case.clip))
    ours = centroid_hz(setup.chain.render_notes(case.clip.instrument, [case.note], RATE))
    other = setup.library.another_take(case.clip)
    same = other is not None and other.dynamic == case.clip.dynamic
    return {"ours": ours / real, "fluidsynth": float("nan") if sampler is None else centroid_hz(sampler) / real,
            "take": centroid_hz(setup.library.audio(other)) / real if other is not None and same else float("nan")}


def within(ratio: float) -> bool:
    """Whether a median of centroids over real ones reaches the bar."""
    return abs(ratio - 1.0) <= CENTROID_BAR


def summarise(cases: Sequence[tuple[str, str]],
              results: Sequence[Mapping[str, float]]) -> dict[str, dict[str, dict[str, float]]]:
    """Medians by instrument, dynamic and player, and the ``clips`` they are over.

    Args:
        cases: instrument and dynamic label of each clip.
        results: ratios by player of each clip.
    """
    ratios: dict[str, dict[str, dict[str, float]]] = {}
    for name in dict.fromkeys(case[0] for case in cases):
        for label, short in LABELS.items():
            inside = [item for case, item in zip(cases, results) if case == (name, label)]
            if inside:
                ratios.setdefault(name, {})[short] = {"clips": float(len(inside))} | {
                    player: median([item[player] for item in inside]) for player in PLAYERS}
    return ratios


def _levels(setup: Setup, name: str) -> list[list[float]]:
    """Levels in dB by place and velocity."""
    calm = replace(setup, temperature=0.0)
    known = instrument(name)
    pitches = [float(round(known.low + place * (known.high - known.low))) for place in PLACES]
    return [[level_db(calm.chain.render_notes(name, [(0.1, LENGTH_S, midi, velocity)], RATE))
             for velocity in VELOCITIES] for midi in pitches]


def level_figures(levels: Sequence[Sequence[float]], target: float) -> dict[str, Any]:
    """Of levels [places, velocities]: mean span, smallest step, largest departure from even steps, and the verdict."""
    array = np.array(levels)
    steps = np.diff(array, axis=1)
    # velocities are not evenly spaced; even means in steps of the dynamic
    line = array.mean(axis=0)
    even = np.linspace(line[0], line[-1], len(line))
    span = float(line[-1] - line[0])
    return {"span": span, "target": target, "smallest_step": float(steps.min()),
            "uneven": float(np.abs(line - even).max()), "monotone": bool((steps > 0).all()),
            "reached": bool((steps > 0).all() and abs(span - target) <= SPAN_BAR * target)}


def report(ratios: Mapping[str, Mapping[str, Mapping[str, float]]], levels: Mapping[str, Mapping[str, Any]]) -> str:
    """Two tables."""
    order = list(LABELS.values())
    rows, reached, takes = [], [], []
    for name, dynamics in ratios.items():
        cells = [name]
        for dynamic in order:
            item = dynamics.get(dynamic)
            if item is None:
                cells.append("")
                continue
            good = within(item["ours"])
            reached.append(good)
            if np.isfinite(item["take"]):
                takes.append(within(item["take"]))
            cells.append(f"{item['ours']:.2f}{'' if good else '!'} ({shown(item['fluidsynth'])}) n={item['clips']:.0f}")
        rows.append(cells)
    text = table(("centroid over real (FluidSynth)", *order), rows)
    text += (f"\n{sum(reached)} of {len(reached)} within {100 * CENTROID_BAR:.0f} % "
             f"(another take {sum(takes)} of {len(takes)})\n\n")
    text += table(("level, dB", "span", "target", "smallest step", "from even", "monotone, span +-10 %"),
                  [(name, shown(item["span"], 1), shown(item["target"], 0), shown(item["smallest_step"], 1),
                    shown(item["uneven"], 1), verdict(item["reached"])) for name, item in levels.items()])
    return text + f"\n{sum(item['reached'] for item in levels.values())} of {len(levels)} instruments"


def work(setup: Setup, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Tables and figures."""
    names = instruments_of(options)
    cases = single_notes(setup, names, options.most, options.workers)
    played = sampled([fluid.Request(instrument=case.clip.instrument, notes=(case.note,)) for case in cases])
    results = over(_centroids, setup, list(zip(cases, played)), options.workers)
    ratios = summarise([(case.clip.instrument, case.clip.dynamic) for case in cases], results)
    wanted = spans(setup.data)
    levels = {name: level_figures(item, wanted[name])
              for name, item in zip(names, over(_levels, setup, names, options.workers))}
    return report(ratios, levels), {"centroid": ratios, "level": levels}


if __name__ == "__main__":
    sys.exit(command(__doc__, work))
