"""Life of the whole chain: how much partials, pitch and noise move inside a held note, against the real clips.

    python -m bench.life --split valid [--most 16] [--draws 3] [--json FILE]

The renders are those of ``bench.single_notes``: plain notes of the split, asked for at the pitch the clip really
sounds. In 20 to 80 % of each note (``bench.pitch.life``): rms of the median partial's level and of f0 in four octave
bands from 2 to 40 Hz, and the noise-to-harmonic ratio. Printed: 20 log10 of the median over clips, ours over real (for
noise the difference of medians), a family a block, with FluidSynth's and another take's beside. The bar is 3 dB.

Each note is played ``--draws`` times, from seeds one after another, and all count: whether a lone note of strings
vibrates is drawn, and where half of them do, the median of one draw strays by several dB. ``--split held-out`` takes
the clips of valid and test together: medians of the 60 of a family stray so far that another take of the same notes
falls out in seven of 27 figures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bench import clips, fluid, pitch
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
    sampled,
    shown,
    single_notes,
    table,
    verdict,
)

BAR_DB = 3.0
DRAWS = 3
HELD_OUT = "held-out"
"""Name of the clips of valid and test together."""
SIDES = ("ours", "take", "fluidsynth")
QUANTITIES = (*(f"partials {low:.0f}-{high:.0f} Hz" for low, high in pitch.LIFE_BANDS_HZ),
              *(f"f0 {low:.0f}-{high:.0f} Hz" for low, high in pitch.LIFE_BANDS_HZ), "noise to harmonics")

Values = tuple[float, ...]
"""One number a quantity: rms dB of partials and rms cents of f0 in each band, noise to harmonics in dB."""


def values_of(life: pitch.Life | None) -> Values:
    """The quantities of one clip; NaN where it is too short or has no pitch."""
    if life is None:
        return (float("nan"),) * len(QUANTITIES)
    return (*life.partials_db.tolist(), *life.f0_cents.tolist(), life.noise_db)


def difference(real: Sequence[Values], other: Sequence[Values]) -> dict[str, tuple[float, float, float]]:
    """By quantity: (difference in dB of the medians over clips that both sides have, real median, other median)."""
    found = {}
    for index, name in enumerate(QUANTITIES):
        pairs = [(a[index], b[index]) for a, b in zip(real, other)
                 if np.isfinite(a[index]) and np.isfinite(b[index])]
        here, there = median([b for _, b in pairs]), median([a for a, _ in pairs])
        if name == QUANTITIES[-1]:
            gap = here - there
        else:  # what is below a thousandth of a dB or cent is no movement
            gap = 20 * np.log10(max(here, 1e-3) / max(there, 1e-3)) if pairs else float("nan")
        found[name] = (float(gap), there, here)
    return found


def _life(audio: Array, midi: float, onset: float, duration: float) -> Values:
    return values_of(pitch.life(audio, RATE, midi, onset, onset + duration))


def _measured(setup: Setup, job: tuple[SingleNote, Array | None], *, draws: int) -> dict[str, list[Values]]:
    case, sampler = job
    onset, duration, midi, _ = case.note
    library, instrument = setup.library, case.clip.instrument
    players = [replace(setup, seed=setup.seed + number).chain for number in range(draws)]
    found = {"real": [_life(library.audio(case.clip), midi, onset, duration)],
             "ours": [_life(player.render_notes(instrument, [case.note], RATE), midi, onset, duration)
                      for player in players],
             "fluidsynth": [] if sampler is None else [_life(sampler, midi, onset, duration)], "take": []}
    other = library.another_take(case.clip)
    if other is not None:
        audio, sounding = library.audio(other), library.pitch(other)
        assert sounding is not None
        found["take"] = [_life(audio, sounding, *clips.note_of(audio, sounding))]
    return found


def measure(
    setup: Setup, instruments: Sequence[str], most: int | None, workers: int, *, draws: int = DRAWS
) -> dict[str, Any]:
    """Figures by group (families, instruments): ``clips`` and, by side and quantity, (difference, real, other)."""
    cases = [case for split in (("valid", "test") if setup.split == HELD_OUT else (setup.split,))
             for case in single_notes(replace(setup, split=split), instruments, most, workers)]
    played = sampled([fluid.Request(instrument=case.clip.instrument, notes=(case.note,)) for case in cases])
    results = over(partial(_measured, draws=draws), setup, list(zip(cases, played)), workers)
    figures: dict[str, Any] = {}
    for group in (*FAMILIES, *instruments):
        inside = [index for index, case in enumerate(cases) if group in (case.clip.family, case.clip.instrument)]
        if inside:
            figures[group] = {"clips": len(inside)}
            for side in SIDES:
                pairs = [(results[index]["real"][0], other) for index in inside for other in results[index][side]]
                figures[group][side] = difference([real for real, _ in pairs], [other for _, other in pairs])
    return figures


def report(figures: Mapping[str, Any]) -> str:
    """A block a family; then what falls out of the bar, instrument by instrument."""
    blocks = []
    for family in FAMILIES:
        if family not in figures:
            continue
        rows = []
        for name in QUANTITIES:
            ours, take, sampler = (figures[family][side][name] for side in SIDES)
            reached = None if not np.isfinite(ours[0]) else abs(ours[0]) <= BAR_DB
            rows.append((name, shown(ours[1]), shown(ours[2]), shown(ours[0], 1, True), f"+-{BAR_DB:.0f}",
                         shown(take[0], 1, True), shown(sampler[0], 1, True), verdict(reached)))
        blocks.append(table((f"{family}, {figures[family]['clips']} clips", "real", "ours", "dB", "bar", "take dB",
                             "FluidSynth dB", ""), rows))
    lines = [(name, str(item["clips"]), *(shown(item["ours"][what][0], 1, True) for what in QUANTITIES))
             for name, item in figures.items() if name not in FAMILIES]
    short = [what.replace("partials", "p").replace(" Hz", "").replace("noise to harmonics", "noise")
             for what in QUANTITIES]
    blocks.append(table(("ours less real, dB", "clips", *short), lines))
    return "\n\n".join(blocks)


def work(setup: Setup, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Tables and figures."""
    figures = measure(setup, instruments_of(options), options.most, options.workers, draws=options.draws)
    counts = {side: _reached(figures, side) for side in SIDES}
    good, all_ = counts["ours"]
    beside = f"another take {counts['take'][0]} of {counts['take'][1]}, FluidSynth {counts['fluidsynth'][0]}"
    return f"{report(figures)}\n\n{good} of {all_} within {BAR_DB:.0f} dB ({beside})", figures


def _reached(figures: Mapping[str, Any], side: str) -> tuple[int, int]:
    """(figures of families within the bar, figures there are)."""
    gaps = [abs(figures[family][side][name][0]) for family in FAMILIES if family in figures for name in QUANTITIES]
    told = [gap for gap in gaps if np.isfinite(gap)]
    return sum(gap <= BAR_DB for gap in told), len(told)


if __name__ == "__main__":
    wanted = parser_of(__doc__, most=16, splits=("valid", "test", HELD_OUT))
    wanted.add_argument("--draws", type=int, default=DRAWS, help=f"of each note (default: {DRAWS})")
    sys.exit(command(__doc__, work, parser=wanted))
