"""Vibrato and intonation in lines of notes, against what real players do.

    python -m bench.vibrato [--instruments violin,flute] [--lines 4] [--json FILE]

Lines of twelve notes of 0.5 to 1.6 s are made up for each instrument, in the middle of its range, half of the notes
slurred, and rendered from the notes. f0 is tracked on the audio (``bench.pitch``), a note at a time.

* **vibrato** against ``figures/targets.csv``: share of notes within 0.15, medians of rate within 0.5 Hz, extent within
  4 cents, delay within 0.1 s. Instruments without a target rate (clarinets, horn) must have as good as none: a share
  of 0.15 at most.
* **the violin's spread**: 10 to 90 % of extent, rate and delay over notes, ours over that of the players in
  ``violinists/`` (pieces of the split, same detector), within 30 %.
* **intonation**: spread (sd) of note means re their written pitch, ours over that of real phrases (``figures``:
  spread around equal temperament), within 30 %; with ``tuning_cents`` 0 the notes' centres, 95 % within 3 cents;
  octave errors.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import clips, pitch
from bench.workbench import (
    RATE,
    Array,
    NoteTuple,
    Setup,
    command,
    instruments_of,
    over,
    parser_of,
    shown,
    table,
    verdict,
)
from mididdsp.instruments import instrument

LINE_NOTES = 12
LENGTHS_S = (0.5, 0.6, 0.75, 0.9, 1.2, 1.6)
STEPS = (2, 2, -1, 3, -4, 2, 1, -3, 5, -2, -1, 2, -5, 4)
"""Semitones from note to note; a walk that comes back."""

SHARE_BAR, RATE_BAR, EXTENT_BAR, DELAY_BAR = 0.15, 0.5, 4.0, 0.1
NONE_SHARE = 0.15
SPREAD_BAR = 0.3
CENTRE_BAR, CENTRE_SHARE = 3.0, 0.95
VIOLIN_FACTOR = 3
"""A spread needs more notes than a median."""
VIOLINIST_NOTES = 600

TEMPERAMENT_SD: Mapping[str, float] = {
    "violin": 12.0, "viola": 12.0, "cello": 11.0, "double_bass": 12.0, "flute": 11.0, "oboe": 9.5, "clarinet": 5.9,
    "saxophone": 11.0, "bassoon": 8.8, "trumpet": 11.0, "horn": 9.8, "trombone": 11.0,
    "english_horn": 9.5, "bass_clarinet": 5.9, "contrabassoon": 8.8, "tuba": 11.0,
}
"""sd of note means around equal temperament in real phrases, cents (figures/playing.md); the last four, of whom there
are no phrases, by their nearest relative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One rendered note: its centre in cents re the written pitch, its vibrato, and whether it is an octave off."""

    centre: float
    vibrato: pitch.Vibrato
    octave_off: bool = False


def line(name: str, number: int) -> tuple[list[NoteTuple], list[tuple[str, ...]]]:
    """Notes and marks of made-up line ``number``: the same for the same instrument and number."""
    known = instrument(name)
    random = np.random.default_rng([number, sorted(clips.FAMILIES).index(name)])
    low, high = known.low + 0.2 * (known.high - known.low), known.low + 0.75 * (known.high - known.low)
    at = float(round(low + (high - low) * random.random()))
    notes: list[NoteTuple] = []
    marks: list[tuple[str, ...]] = []
    clock = 0.2
    for index in range(LINE_NOTES):
        length = float(random.choice(LENGTHS_S))
        slurred = bool(index % 4 in (1, 3))
        notes.append((clock, length, at, int(random.integers(56, 97))))
        marks.append(("legato",) if slurred else ())
        clock += length
        step = STEPS[(index + 3 * number) % len(STEPS)]
        at = at + step if low <= at + step <= high else at - step
    return notes, marks


def heard(audio: Array, note: NoteTuple, *, octaves: bool = False) -> Heard | None:
    """What one note of a render sounds like; None where no f0 is found near its pitch.

    Its f0 is taken from 20 ms after the onset to 30 ms before the end, or as long as it sounds: what is left of a note
    of half a second just fills the detector's window. The centre is the mean of its middle two thirds.
    """
    onset, duration, midi, _ = note
    begin = max(0.0, onset - 0.05)
    part = audio[int(begin * RATE):int((onset + duration + 0.05) * RATE)]
    try:
        contour = pitch.track_known(part, RATE, midi)
    except ValueError:
        return None
    first, last = (round((time - begin) * pitch.FRAME_RATE) for time in (onset + 0.02, onset + duration - 0.03))
    sounding = np.flatnonzero(contour.sounding[first:last])
    if len(sounding) < 20:
        return None
    last = first + int(sounding[-1]) + 1
    cents = 1200.0 * np.log2(contour.f0_hz[first:last] / pitch.hz_of(midi))
    sixth = len(cents) // 6
    found = pitch.vibrato(cents, turning=True)  # the scoop of an attack is no vibrato
    off = False
    if octaves:
        try:
            off = abs(pitch.sounding_pitch(part, RATE, midi) - midi) > 6.0
        except ValueError:
            off = True
    return Heard(centre=float(np.mean(cents[sixth:len(cents) - sixth])), vibrato=found, octave_off=off)


def _rendered(setup: Setup, job: tuple[str, int, bool]) -> list[Heard]:
    name, number, tuned = job
    notes, marks = line(name, number)
    audio = setup.chain.play(name, notes, RATE, marks=marks, held={"tuning_cents": 0.0} if tuned else None)
    # f0 of a note that ends in a slur moves on before its end; a glide of 30 ms is left out with it
    return [item for item in (heard(audio, note, octaves=tuned) for note in notes) if item is not None]


def vibrato_figures(found: Sequence[pitch.Vibrato]) -> dict[str, float]:
    """Share of notes with vibrato, and medians and 10 to 90 % spreads of those."""
    there = [item for item in found if item.present]
    figures = {"notes": float(len(found)), "share": len(there) / len(found) if found else float("nan")}
    for name, attribute in (("rate", "rate_hz"), ("extent", "extent_cents"), ("delay", "delay_s")):
        values = np.array([getattr(item, attribute) for item in there])
        values = values[np.isfinite(values)]
        low, middle, high = np.percentile(values, (10, 50, 90)) if len(values) > 2 else (float("nan"),) * 3
        figures[name], figures[f"{name} spread"] = float(middle), float(high - low)
    return figures


def targets(data: Path) -> dict[str, dict[str, float | None]]:
    """``figures/targets.csv`` by instrument: share, rate, extent, delay; None where it says nothing."""
    with open(data / "figures" / "targets.csv", newline="", encoding="utf-8") as lines:
        return {row["instrument"]: {name: float(row[column]) if row[column] else None for name, column in (
            ("share", "vibrato_share"), ("rate", "vibrato_rate_hz"), ("extent", "vibrato_extent_cents"),
            ("delay", "vibrato_delay_s"))} for row in csv.DictReader(lines)}


def violinists(data: Path, split: str, most: int = VIOLINIST_NOTES) -> list[pitch.Vibrato]:
    """Vibrato of notes of 0.5 s and more in the split's pieces, evenly over them, by the detector used on ours."""
    with open(data / "split.csv", newline="", encoding="utf-8") as lines:
        pieces = {row["item"].removeprefix("violinists/") for row in csv.DictReader(lines)
                  if row["item"].startswith("violinists/") and row["split"] == split}
    with np.load(data / "violinists" / "violinists.npz") as file:
        inside = np.isin(file["piece_title"], sorted(pieces))[file["piece"]]
        places = np.flatnonzero(inside & (file["duration_s"] >= 0.5) & (file["contour_length"] > 0))
        places = places[np.linspace(0, len(places) - 1, min(most, len(places))).astype(int)] if len(places) else places
        starts, counts = file["contour_start"][places], file["contour_length"][places]
        contours, rate = file["contour_cents"], float(file["frame_rate"])
    return [pitch.vibrato(contours[start:start + count].astype(np.float64), rate, turning=True)
            for start, count in zip(starts, counts)]


def _within(ours: float, target: float | None, bar: float) -> bool | None:
    return None if target is None or not np.isfinite(ours) else abs(ours - target) <= bar


def vibrato_row(name: str, ours: Mapping[str, float], target: Mapping[str, float | None]) -> tuple[list[str], bool]:
    """A line of the table: each figure with its target, and whether all that is asked holds."""
    if target["rate"] is None:
        reached = ours["share"] <= NONE_SHARE
        return [name, f"{ours['notes']:.0f}", f"{shown(ours['share'])} (<= {NONE_SHARE})", "-", "-", "-",
                verdict(reached)], reached
    cells, all_of = [name, f"{ours['notes']:.0f}"], True
    for what, bar in (("share", SHARE_BAR), ("rate", RATE_BAR), ("extent", EXTENT_BAR), ("delay", DELAY_BAR)):
        near = _within(ours[what], target[what], bar) is True
        all_of = all_of and near
        cells.append(f"{shown(ours[what])} ({target[what]:g}+-{bar:g}){'' if near else '!'}")
    return [*cells, verdict(all_of)], all_of


def centre_figures(free: Sequence[Heard], tuned: Sequence[Heard]) -> dict[str, float]:
    """Spread of the drawn note means, centres with no tuning asked for, octave errors."""
    means = np.array([item.centre for item in free])
    centres: NDArray[np.float64] = np.abs([item.centre for item in tuned])
    return {"spread": float(means.std()) if len(means) else float("nan"),
            "mean": float(means.mean()) if len(means) else float("nan"),
            "centre_p95": float(np.percentile(centres, 95)) if len(centres) else float("nan"),
            "within": float((centres <= CENTRE_BAR).mean()) if len(centres) else float("nan"),
            "octaves": float(sum(item.octave_off for item in tuned))}


def work(setup: Setup, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Tables and figures."""
    names = instruments_of(options)
    lines = {name: options.lines * (VIOLIN_FACTOR if name == "violin" else 1) for name in names}
    jobs = [(name, number, tuned) for name in names
            for number, tuned in [(number, False) for number in range(lines[name])] + [(0, True)]]
    results = over(_rendered, setup, jobs, options.workers)
    wanted = targets(setup.data)
    vibratos: dict[str, dict[str, float]] = {}
    centres: dict[str, dict[str, float]] = {}
    for name in names:
        free = [item for job, found in zip(jobs, results) if job[0] == name and not job[2] for item in found]
        tuned = [item for job, found in zip(jobs, results) if job[0] == name and job[2] for item in found]
        vibratos[name] = vibrato_figures([item.vibrato for item in free])
        centres[name] = centre_figures(free, tuned)
    rows = [vibrato_row(name, vibratos[name], wanted[name]) for name in names]
    text = table(("vibrato (target)", "notes", "share", "rate Hz", "extent cents", "delay s", ""),
                 [row for row, _ in rows])
    text += f"\n{sum(reached for _, reached in rows)} of {len(rows)} instruments within all bars"
    figures: dict[str, Any] = {"vibrato": vibratos, "intonation": centres}
    if "violin" in names and (setup.data / "violinists" / "violinists.npz").exists():
        real = vibrato_figures(violinists(setup.data, setup.split))
        figures["violinists"] = real
        spreads = []
        for what in ("extent", "rate", "delay"):
            ratio = vibratos["violin"][f"{what} spread"] / real[f"{what} spread"]
            spreads.append((what, shown(real[f"{what} spread"]), shown(vibratos["violin"][f"{what} spread"]),
                            shown(ratio), f"{1 - SPREAD_BAR:.1f}-{1 + SPREAD_BAR:.1f}",
                            verdict(abs(ratio - 1) <= SPREAD_BAR if np.isfinite(ratio) else None)))
        text += "\n\n" + table((f"violin, 10-90 % ({real['notes']:.0f} real notes)", "players", "ours", "ratio", "bar",
                                ""), spreads)
    lines_of = []
    for name in names:
        item, sd = centres[name], TEMPERAMENT_SD[name]
        lines_of.append((name, f"{sd:g}", shown(item["spread"], 1), shown(item["spread"] / sd),
                         verdict(abs(item["spread"] / sd - 1) <= SPREAD_BAR), shown(item["centre_p95"], 1),
                         shown(item["within"]), f"{item['octaves']:.0f}",
                         verdict(item["within"] >= CENTRE_SHARE and item["octaves"] == 0)))
    text += "\n\n" + table(("intonation, cents", "real sd", "ours", "ratio", "0.7-1.3", "tuning 0: 95 % within",
                            f"share <= {CENTRE_BAR:g}", "octaves off", f">= {CENTRE_SHARE}, 0"), lines_of)
    return text, figures


if __name__ == "__main__":
    wanted_options = parser_of(__doc__)
    wanted_options.add_argument("--lines", type=int, default=4, help="of twelve notes, an instrument (default: 4)")
    sys.exit(command(__doc__, work, parser=wanted_options))
