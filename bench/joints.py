"""How notes join: legato, detache and staccato, ours beside real phrases of these styles.

    python -m bench.joints --split valid [--most 4] [--json FILE]

The phrases of the split whose style says how they are played are transcribed, and asked for again as a score writes
them: each note lasts until the next begins (rests of 0.25 s and more stay), with the style's mark. At every joint to a
new pitch, on the audio of both (levels over two periods of the lowest note, 20 ms at least):

* **gap**: how long the level stays 10 dB below the softer of the two notes, ms;
* **dip**: how far it falls below the softer note, dB (a rest under the joint ends at 30 dB);
* **re-attack**: the steepest rise within 20 ms around the joint, dB.

Medians by style and family. The three must differ in the order legato, detache, staccato on each measure, and ours
must lie as the real ones do: the medians of gap within 30 ms, of dip and re-attack within 4 dB.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench import clips
from bench.phrase_set import Phrase, PhraseNote, chosen, dip_db, level_of, read_phrase
from bench.workbench import (
    FAMILIES,
    RATE,
    Array,
    NoteTuple,
    Setup,
    command,
    instruments_of,
    median,
    over,
    shown,
    table,
    verdict,
)

STYLES: Mapping[str, str] = {
    "legato": "legato", "arco-legato": "legato", "slur": "legato", "arco-slur": "legato",
    "arco-detache": "detache", "nonlegato": "detache", "detache": "detache",
    "staccato": "staccato", "arco-staccato": "staccato", "staccatissimo": "staccato", "arco-spiccato": "staccato",
}
"""What a phrase's style is filed under."""

MANNERS = ("legato", "detache", "staccato")
MEASURES = ("gap", "dip", "re-attack")
UNITS = {"gap": "ms", "dip": "dB", "re-attack": "dB"}
BARS = {"gap": 30.0, "dip": 4.0, "re-attack": 4.0}
STEP_S = 0.004
GAP_DB = 10.0
DEEPEST_DB = 30.0
REST_S = 0.25
RISE_S = 0.02

Joint = dict[str, float]


def joint(level: Array, start: float, at: float, stop: float) -> Joint | None:
    """Gap (ms), dip and re-attack (dB) between the notes [start, at) and [at, stop); None where one is too short.

    Args:
        level: dB, every 4 ms; [T].
        start, at, stop: s on the level's clock.
    """
    a, j, b = (int(round(time / STEP_S)) for time in (start, at, stop))
    if j - a < 10 or b - j < 10 or b > len(level):
        return None
    softer = min(float(np.percentile(level[a:j], 75)), float(np.percentile(level[j:b], 75)))
    # from the middle of one note to the middle of the next
    near = level[(a + j) // 2:(j + b) // 2]
    centre = j - (a + j) // 2
    low = near < softer - GAP_DB
    gap = 0.0
    # the quiet stretch nearest to the joint, no further than 100 ms from it
    edges = np.flatnonzero(np.diff(np.concatenate([[0], low.astype(int), [0]])))
    for first, last in zip(edges[::2], edges[1::2]):
        if first - 0.1 / STEP_S <= centre <= last + 0.1 / STEP_S:
            gap = max(gap, (last - first) * STEP_S)
    span = int(round(RISE_S / STEP_S))
    around = level[max(a, j - int(0.06 / STEP_S)):min(b, j + int(0.1 / STEP_S)) + span]
    rise = float((around[span:] - around[:-span]).max()) if len(around) > span else 0.0
    return {"gap": 1000.0 * gap, "dip": min(DEEPEST_DB, dip_db(level, STEP_S, start, at, stop)),
            "re-attack": min(DEEPEST_DB, max(0.0, rise))}


def written(notes: Sequence[PhraseNote], velocity: int, manner: str) -> tuple[list[NoteTuple], list[tuple[str, ...]]]:
    """Notes and marks as a score has them: each until the next, except over rests."""
    asked: list[NoteTuple] = []
    marks: list[tuple[str, ...]] = []
    for index, note in enumerate(notes):
        following = notes[index + 1].onset if index + 1 < len(notes) else note.onset + note.ringing_s
        rest = following - note.onset - note.ringing_s >= REST_S
        asked.append((note.onset, note.ringing_s if rest else following - note.onset, note.pitch, velocity))
        # a legato mark joins to the note before
        marks.append((manner,) if manner != "legato" or index else ())
    return asked, marks


def joints_of(audio: Array, notes: Sequence[PhraseNote], lowest_hz: float) -> list[Joint]:
    """Every joint to a new pitch without a rest."""
    level = level_of(audio, lowest_hz, STEP_S)
    found = []
    for index in range(1, len(notes)):
        before, note = notes[index - 1], notes[index]
        if abs(before.pitch - note.pitch) < 0.5 or note.onset - before.onset - before.ringing_s >= REST_S:
            continue
        item = joint(level, before.onset, note.onset, note.onset + note.ringing_s)
        if item is not None:
            found.append(item)
    return found


def measured(setup: Setup, clip: clips.Clip) -> dict[str, Any] | None:
    """Joints of one phrase and of ours; None where nothing is heard in it."""
    phrase: Phrase | None = read_phrase(setup, clip)
    if phrase is None:
        return None
    manner = STYLES[clip.style]
    notes, marks = written(phrase.notes, clip.velocity, manner)
    lowest = 440.0 * 2.0 ** ((min(note.pitch for note in phrase.notes) - 69.0) / 12.0)
    ours = setup.chain.play(clip.instrument, notes, RATE, marks=marks)
    return {"file": clip.file, "manner": manner, "family": clip.family,
            "real": joints_of(phrase.audio, phrase.notes, lowest), "ours": joints_of(ours, phrase.notes, lowest)}


def summarise(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians by group, manner, side and measure, with how many phrases."""
    figures: dict[str, Any] = {}
    for group in (*FAMILIES, "all"):
        for manner in MANNERS:
            inside = [item for item in results if item["manner"] == manner and group in (item["family"], "all")]
            if inside:
                figures.setdefault(group, {})[manner] = {"phrases": len(inside)} | {
                    side: {what: median([found[what] for item in inside for found in item[side]]) for what in MEASURES}
                    for side in ("real", "ours")}
    return figures


def report(figures: Mapping[str, Any]) -> str:
    """A line a group and manner; then whether the three manners are told apart."""
    rows = []
    for group, manners in figures.items():
        for manner, item in manners.items():
            cells = [f"{group}, {manner}", str(item["phrases"])]
            near = True
            for what in MEASURES:
                real, ours = item["real"][what], item["ours"][what]
                near = near and abs(ours - real) <= BARS[what]
                cells.append(f"{shown(real, 0 if what == 'gap' else 1)} / {shown(ours, 0 if what == 'gap' else 1)}")
            rows.append((*cells, verdict(near)))
    text = table(("real / ours", "phrases", *(f"{what} {UNITS[what]}" for what in MEASURES),
                  "+-30 ms, 4 dB"), rows)
    overall = figures.get("all", {})
    for what in MEASURES:
        for side in ("real", "ours"):
            values = [overall[manner][side][what] for manner in MANNERS if manner in overall]
            ordered = bool(np.all(np.diff(values) > 0)) if len(values) == len(MANNERS) else None
            text += f"\n{what}, {side}: " + " < ".join(shown(value, 1) for value in values) + f"  {verdict(ordered)}"
    return text


def work(setup: Setup, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Tables and figures."""
    found = [clip for clip in chosen(setup, instruments_of(options), None) if clip.style in STYLES]
    if options.most:
        found = [clip for name in clips.FAMILIES for clip in clips.spread_evenly(
            [clip for clip in found if clip.instrument == name], options.most)]
    results = [item for item in over(measured, setup, found, options.workers) if item is not None]
    figures = summarise(results)
    return report(figures), {"groups": figures, "phrases": results}


if __name__ == "__main__":
    sys.exit(command(__doc__, work))
