"""Attack and release times of single notes by family and dynamic, ours against the real clips.

    python -m bench.attacks --split valid [--most 25] [--json FILE]

The renders are those of ``bench.single_notes``. Attack: 10 to 90 % of the body's amplitude; release: 3 to 20 dB below
the end level (``bench.measures.note_times``, levels over whole periods). Clips that start late in their attack (within
10 dB of the top after 15 ms) tell no attack, and those cut off or faded out before they have died away no release; such
clips count on neither side. Medians over the clips of a family and dynamic must lie within 30 % of the real one's or
8 ms, whichever is more. Beside them stand another take's, against the clips of which one tells too, and FluidSynth's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench import clips, fluid, measures, pitch
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
    sampled,
    shown,
    single_notes,
    table,
    verdict,
)

SHARE_BAR, TIME_BAR_S = 0.3, 0.008
LATE_DB, LATE_S = 10.0, 0.015
FADE_S = 0.05
"""Of the end of a recording: what still rings there was faded out by who edited it."""
FEWEST = 3
"""A median of fewer clips says nothing."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "pp": ("molto-pianissimo", "pianissimo"), "p": ("piano", "mezzo-piano"), "mf": ("mezzo-forte",),
    "f": ("forte",), "ff": ("fortissimo",)}
PLAYERS = ("real", "ours", "fluidsynth")

Times = tuple[float, float]
"""Attack and release, s; NaN where the sound does not tell."""


def times_of(audio: Array, midi: float, *, recorded: bool = False) -> Times:
    """Attack and release of a single note; a recording may have lost its beginning or its end."""
    hz = pitch.hz_of(midi)
    if not recorded:  # a render ends when it is silent; what is padded is that silence
        audio = np.concatenate([np.zeros(round(0.05 * RATE)), audio, np.zeros(round(0.1 * RATE))])
    times = measures.note_times(audio, RATE, hz)
    attack, release = times.attack_s, times.release_s
    if recorded:
        level = measures.level_contour(measures.without_rumble(audio, RATE, hz), RATE, 0.001,
                                       max(2, int(np.ceil(0.005 * hz))) / hz)
        if level[:round(LATE_S / 0.001)].max() >= level.max() - LATE_DB:
            attack = float("nan")
        sounding = np.flatnonzero(level >= times.body_db - 60.0)
        faded = max(0, int(sounding[-1]) - round(FADE_S / 0.001))
        if level[max(0, faded - 10):faded].min(initial=np.inf) > times.body_db - 23.0:
            release = float("nan")
    return attack, release


def within(ours: float, real: float) -> bool:
    """Whether a median reaches the bar."""
    return abs(ours - real) <= max(SHARE_BAR * real, TIME_BAR_S)


def _measured(setup: Setup, job: tuple[SingleNote, Array | None]) -> dict[str, Times]:
    case, sampler = job
    midi = case.note[2]
    found = {"real": times_of(setup.library.audio(case.clip), midi, recorded=True),
             "ours": times_of(setup.chain.render_notes(case.clip.instrument, [case.note], RATE), midi)}
    if sampler is not None:
        found["fluidsynth"] = times_of(sampler, midi)
    other = setup.library.another_take(case.clip)
    if other is not None:
        sounding = setup.library.pitch(other)
        assert sounding is not None
        found["take"] = times_of(setup.library.audio(other), sounding, recorded=True)
    return found


def summarise(cases: Sequence[tuple[str, str]], results: Sequence[Mapping[str, Times]]) -> dict[str, Any]:
    """Medians in s by family, dynamic and ``attack`` or ``release``; each with the ``clips`` it is over.

    ``take`` is over the clips of which another take tells it too, and ``taken`` their own median.

    Args:
        cases: family and dynamic label of each clip.
        results: times by player of each clip.
    """
    nothing = (float("nan"), float("nan"))
    figures: dict[str, Any] = {}
    for family in FAMILIES:
        for group, labels in (*GROUPS.items(), ("all", clips.DYNAMICS)):
            inside = [item for (own, label), item in zip(cases, results) if own == family and label in labels]
            for index, what in enumerate(("attack", "release")):
                told = [item for item in inside if np.isfinite(item["real"][index])
                        and np.isfinite(item["ours"][index])]
                if len(told) >= FEWEST:
                    figures.setdefault(family, {}).setdefault(group, {})[what] = {"clips": len(told)} | {
                        player: median([item.get(player, nothing)[index] for item in told]) for player in PLAYERS}
                    both = [item for item in told if np.isfinite(item.get("take", nothing)[index])]
                    figures[family][group][what] |= {"take": median([item["take"][index] for item in both]),
                                                     "taken": median([item["real"][index] for item in both])}
    return figures


def report(figures: Mapping[str, Any]) -> str:
    """A line a family and dynamic."""
    rows, reached, takes = [], [], []
    for family, groups in figures.items():
        for group, item in groups.items():
            cells = [f"{family}, {group}"]
            for what in ("attack", "release"):
                if what not in item:
                    cells += ["", "n/a", "", "", "", ""]
                    continue
                real, ours, sampler = (item[what][player] for player in PLAYERS)
                bar = max(SHARE_BAR * real, TIME_BAR_S)
                good = within(ours, real)
                if group != "all":
                    reached.append(good)
                    if np.isfinite(item[what]["take"]):
                        takes.append(within(item[what]["take"], item[what]["taken"]))
                cells += [str(item[what]["clips"]), f"{shown(1000 * real, 0)} +-{1000 * bar:.0f}",
                          shown(1000 * ours, 0), shown(1000 * item[what]["take"], 0), shown(1000 * sampler, 0),
                          verdict(good)]
            rows.append(cells)
    text = table(("medians, ms", "clips", "attack real", "ours", "take", "FluidSynth", "", "clips", "release real",
                  "ours", "take", "FluidSynth", ""), rows)
    return (f"{text}\n{sum(reached)} of {len(reached)} medians by family and dynamic within the bar "
            f"(another take {sum(takes)} of {len(takes)})")


def work(setup: Setup, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Tables and figures."""
    cases = single_notes(setup, instruments_of(options), options.most, options.workers)
    played = sampled([fluid.Request(instrument=case.clip.instrument, notes=(case.note,)) for case in cases])
    results = over(_measured, setup, list(zip(cases, played)), options.workers)
    figures = summarise([(case.clip.family, case.clip.dynamic) for case in cases], results)
    return report(figures), figures


if __name__ == "__main__":
    sys.exit(command(__doc__, work))
