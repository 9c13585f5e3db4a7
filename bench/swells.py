"""Swells: does a note whose level is drawn get brighter as it gets louder, as a player's does?

    python -m bench.swells [--split valid] [--instruments NAMES] [--json FILE]

Every recorded crescendo and diminuendo of a held note is rendered with a controller 11 that follows the player's own
level. Every split counts unless one is asked for: there are few, and what a drawn level does to the timbre is not
learned from them. Over the frames of both within 25 dB of their top a line is drawn through the centroid (power, 40 Hz
to 15 kHz, octaves) over the level: its slope, in octaves for 10 dB, is printed by instrument and family, median over
notes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench import clips, measures
from bench.dynamics import power_and_centroid
from bench.workbench import (
    FAMILIES,
    RATE,
    Array,
    Setup,
    command,
    instruments_of,
    median,
    over,
    parser_of,
    shown,
    table,
)

EVERY = "every"
WINDOW, HOP = 4096, 960
SPAN_DB = 25.0
LEAST_SPAN_DB = 8.0
"""A swell over less tells no slope."""
SHORTEST_S = 1.5
LANE_STEP_S = 0.05
VELOCITY = 112
"""The loudest dynamic: the controller takes from it."""
CONTROLLER_DB = 40.0
"""Controller 11: so many dB for a tenth of its value, as General MIDI has it."""


def centroids(audio: Array) -> tuple[Array, Array]:
    """(level in dB, centroid in octaves) of windows of 85 ms every 20 ms; [T] each."""
    frames = np.lib.stride_tricks.sliding_window_view(audio, WINDOW)[::HOP] * np.hanning(WINDOW)
    total, hz = power_and_centroid(np.abs(np.fft.rfft(frames, axis=1)) ** 2)
    return 10.0 * np.log10(np.maximum(total, 1e-12)), np.log2(np.maximum(hz, 1e-12))


def slope(audio: Array) -> float:
    """Octaves that the centroid rises for 10 dB; NaN where the level moves by too little to tell."""
    if len(audio) < WINDOW:
        return float("nan")
    level, centroid = centroids(audio)
    loud = level > level.max() - SPAN_DB
    if np.ptp(level[loud]) < LEAST_SPAN_DB:
        return float("nan")
    return float(10.0 * np.polyfit(level[loud], centroid[loud], 1)[0])


def controller(audio: Array, onset: float, duration: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(times, values) of a controller 11 that follows the level of a recorded note, smoothed over 350 ms."""
    level = measures.level_contour(audio, RATE)
    times = np.arange(onset, onset + duration, LANE_STEP_S)
    line = np.interp(times, (np.arange(len(level)) + 0.5) * measures.STEP_S, level)
    line = np.convolve(np.pad(line, 3, mode="edge"), np.ones(7) / 7.0, "valid")
    values = np.clip(127.0 * 10.0 ** ((line - line.max()) / CONTROLLER_DB), 1.0, 127.0)
    return tuple(times.tolist()), tuple(values.tolist())


def measured(setup: Setup, clip: clips.Clip) -> dict[str, Any] | None:
    """Slopes of one recorded swell; None where its pitch is unknown or it is too short."""
    sounding = setup.library.pitch(clip)
    if sounding is None:
        return None
    audio = setup.library.audio(clip)
    onset, duration = clips.note_of(audio, sounding)
    if duration < SHORTEST_S:
        return None
    lane = controller(audio, onset, duration)
    rendered = setup.chain.play(clip.instrument, [(onset, duration, sounding, VELOCITY)], RATE, lanes={"cc11": lane})
    return {"instrument": clip.instrument, "family": clip.family, "real": slope(audio), "ours": slope(rendered)}


def summarise(results: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Median slopes of instruments, families and all."""
    figures = {}
    for group in (*dict.fromkeys(item["instrument"] for item in results), *FAMILIES, "all"):
        inside = [item for item in results if group in (item["instrument"], item["family"], "all")
                  and np.isfinite(item["real"]) and np.isfinite(item["ours"])]
        if inside:
            figures[group] = {"notes": len(inside), **{
                player: median([item[player] for item in inside]) for player in ("real", "ours")}}
    return figures


def work(setup: Setup, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Table and figures."""
    split = None if setup.split == EVERY else setup.split
    wanted = [clip for name in instruments_of(options)
              for clip in setup.library.select(split=split, instrument=name) if "cresc" in clip.dynamic]
    found = [item for item in over(measured, setup, wanted, options.workers) if item is not None]
    figures = summarise(found)
    rows = [[group, str(line["notes"]), shown(line["real"]), shown(line["ours"])] for group, line in figures.items()]
    return table(["centroid, octaves for 10 dB", "notes", "real", "ours"], rows), figures


if __name__ == "__main__":
    PARSER = parser_of(__doc__)
    PARSER.set_defaults(split=EVERY)
    sys.exit(command(__doc__, work, parser=PARSER))
