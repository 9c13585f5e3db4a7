"""The noise around partials: how much their amplitudes and their phases move between 30 and 90 Hz, against the clips.

    python -m bench.skirts --split valid [--most 8] [--instruments NAMES] [--json FILE]

The renders are those of ``bench.single_notes``, and each clip analysed and synthesised again. In 20 to 80 % of each
note every partial is brought to 0 Hz along the smoothed f0, two periods at a time, and the power of the logarithm of
its amplitude and of its phase in that band is taken; notes from 220 Hz on, whose partials lie far enough apart. Noise
around a partial moves both alike. Printed by family: medians over clips of the median over partials 1-2, 3-5, 6-9,
10-14 and 15-24 within 40 dB of the strongest, in dB re 1 (nepers and radians squared).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.signal import fftconvolve

from bench import pitch
from bench.workbench import (
    FAMILIES,
    RATE,
    Array,
    Setup,
    SingleNote,
    command,
    instruments_of,
    median,
    over,
    parser_of,
    shown,
    single_notes,
    table,
)

BAND_HZ = (30.0, 90.0)
LOWEST_HZ = 220.0
HEARD_DB = 40.0
SHORTEST_S = 0.25
GROUPS = ((1, 2), (3, 5), (6, 9), (10, 14), (15, 24))
PLAYERS = ("real", "resynthesis", "ours")

_STEP = 64
"""Samples; ``pitch.demodulate`` has 250 values a second, onto whose 30 to 90 Hz noise from beyond 125 Hz would fold."""
_MARGIN_S = 0.1
_SLOW_FRAMES = 13


def band_power(series: Array, rate: float) -> float:
    """Power of a series between the edges of ``BAND_HZ``."""
    taper = np.hanning(len(series))
    spectrum = np.abs(np.fft.rfft((series - series.mean()) * taper)) ** 2
    hz = np.fft.rfftfreq(len(series), 1.0 / rate)
    inside = (hz >= BAND_HZ[0]) & (hz < BAND_HZ[1])
    return float(2.0 * spectrum[inside].sum() / (taper**2).sum() / len(series))


def movement(audio: Array, midi: float, onset: float, duration: float) -> Array:
    """(power of log amplitude, power of phase), dB, by group of partials; NaN where nothing is told; [GROUPS, 2]."""
    found = np.full((len(GROUPS), 2), np.nan)
    start, stop = onset + 0.2 * duration, onset + 0.8 * duration
    part = np.asarray(audio[int((start - _MARGIN_S) * RATE) : int((stop + _MARGIN_S) * RATE)], np.float64)
    if stop - start < SHORTEST_S or start < _MARGIN_S or pitch.hz_of(midi) < LOWEST_HZ:
        return found
    try:
        f0 = pitch.track_known(part, RATE, midi).f0_hz
    except ValueError:
        return found
    slow = np.hanning(_SLOW_FRAMES + 2)[1:-1]
    f0 = np.convolve(np.pad(f0, _SLOW_FRAMES // 2, mode="edge"), slow / slow.sum(), "valid")
    time = np.arange(len(part)) / RATE
    phase = 2.0 * np.pi * np.cumsum(np.interp(time, np.arange(len(f0)) / pitch.FRAME_RATE, f0)) / RATE
    window = np.hanning(2 * int(RATE / np.median(f0)) + 1)
    inside = slice(int(0.75 * _MARGIN_S * RATE / _STEP), -int(0.75 * _MARGIN_S * RATE / _STEP))
    lines = np.array([fftconvolve(part * np.exp(-1j * number * phase), window / window.sum(), "same")[::_STEP][inside]
                      for number in range(1, GROUPS[-1][1] + 1)])
    level = 20.0 * np.log10(np.abs(lines).mean(1) + 1e-12)
    moved = np.array([(band_power(np.log(np.abs(line) + 1e-12), RATE / _STEP),
                       band_power(np.unwrap(np.angle(line)), RATE / _STEP)) for line in lines])
    for index, (first, last) in enumerate(GROUPS):
        heard = [number - 1 for number in range(first, last + 1)
                 if level[number - 1] > level.max() - HEARD_DB and number * f0.max() < RATE / 2]
        if heard:
            found[index] = 10.0 * np.log10(np.median(moved[heard], axis=0))
    return found


def _measured(setup: Setup, case: SingleNote) -> dict[str, Array]:
    onset, duration, midi, _ = case.note
    audio = setup.library.audio(case.clip)
    sounds = {"real": audio, "resynthesis": setup.chain.resynthesize(audio, RATE, np.array([pitch.hz_of(midi)])),
              "ours": setup.chain.render_notes(case.clip.instrument, [case.note], RATE)}
    return {player: movement(sound, midi, onset, duration) for player, sound in sounds.items()}


def summarise(families: Sequence[str], results: Sequence[Mapping[str, Array]]) -> dict[str, Any]:
    """By family and group of partials (``"3-5"``): medians of amplitude and phase of each player, and ``clips``."""
    figures: dict[str, Any] = {}
    for family in FAMILIES:
        inside = [item for own, item in zip(families, results) if own == family]
        for index, (first, last) in enumerate(GROUPS):
            told = [item for item in inside if all(np.isfinite(item[player][index]).all() for player in PLAYERS)]
            if told:
                figures.setdefault(family, {})[f"{first}-{last}"] = {"clips": len(told)} | {
                    player: {"amplitude": median([item[player][index, 0] for item in told]),
                             "phase": median([item[player][index, 1] for item in told])} for player in PLAYERS}
    return figures


def work(setup: Setup, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Table and figures."""
    cases = single_notes(setup, instruments_of(options), options.most, options.workers)
    figures = summarise([case.clip.family for case in cases], over(_measured, setup, cases, options.workers))
    rows = [[f"{family}, partials {group}", str(line["clips"]),
             *(shown(line[player][what], 1) for player in PLAYERS for what in ("amplitude", "phase"))]
            for family, groups in figures.items() for group, line in groups.items()]
    return table(["30-90 Hz, dB", "clips", *(f"{player} {what}" for player in PLAYERS for what in ("amp.", "phase"))],
                 rows), figures


if __name__ == "__main__":
    sys.exit(command(__doc__, work, parser=parser_of(__doc__, most=8)))
