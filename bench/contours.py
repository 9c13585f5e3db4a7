"""Phrases rendered from their notes: do level and pitch move inside the notes as the player's do?

    python -m bench.contours --split valid [--most 4] [--draws 3] [--json FILE]

Every steady phrase of the split is transcribed and rendered from its notes: by us, by FluidSynth, and as plain tones
with a hump a note (the control). Each is played ``--draws`` times, from seeds one after another, and all count: the
median of one draw strays by .02. Printed by family and for all:

* **level r**: Pearson r of 10 ms RMS levels in dB over the frames inside notes, where the player sounds within 35 dB of
  the top; median over phrases, bar 0.62. *held*: notes as long as the player held them, slurs as overlaps. *ringing*:
  until the sound is gone, none joined. Where notes end is a convention, and a good player fits both.
* **inside**: the same r with the mean of every note taken off both sides, held notes.
* **sustain**: share of phrases whose sustain distance is below FluidSynth's, bar 75 %; and its medians.
* **f0**: rms of f0 in cents around each note's centre between 20 and 80 % of it; f0 10 to 30 ms after the onset of
  notes attacked anew, re their centre (median of absolute values); both ours beside the player's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from bench import clips, fluid, ladder, measures, pitch
from bench.phrase_set import Phrase, chosen, read_phrase
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
    parser_of,
    sampled,
    shown,
    table,
    verdict,
)

LEVEL_BAR, SUSTAIN_BAR = 0.62, 0.75
SHORTEST_S = 0.15
"""Shorter notes have no middle whose pitch could be told from their ends."""
PLAYERS = ("ours", "fluidsynth", "hump")
DRAWS = 3


def inside_r(clip: Array, other: Array, notes: Sequence[NoteTuple]) -> float:
    """r of the 10 ms levels inside notes with every note's own mean taken off; NaN with fewer than 5 frames.

    Frames count where the clip sounds within 35 dB of its top; the other is floored 60 dB below its own.
    """
    here, there = (measures.level_contour(audio, RATE) for audio in (clip, other))
    there = np.maximum(there, there.max() - 60.0)
    there = np.pad(there[:len(here)], (0, max(0, len(here) - len(there))), constant_values=there.max() - 60.0)
    times = (np.arange(len(here)) + 0.5) * measures.STEP_S
    sounding = here >= here.max() - measures.CONTOUR_DEPTH_DB
    x, y = [], []
    for onset, duration, _, _ in notes:
        frames = sounding & (times >= onset) & (times < onset + duration)
        if frames.any():
            x.append(here[frames] - here[frames].mean())
            y.append(there[frames] - there[frames].mean())
    a, b = (np.concatenate(side) if side else np.zeros(0) for side in (x, y))
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float("nan") if len(a) < 5 else float((a * b).sum() / scale) if scale > 1e-9 else 0.0


def f0_inside(audio: Array, notes: Sequence[NoteTuple], joined: Sequence[bool]) -> tuple[list[float], list[float]]:
    """(rms cents in the middle of each note, |cents| 10 to 30 ms after attacked onsets); short notes left out."""
    moves, starts = [], []
    for (onset, duration, midi, _), slurred in zip(notes, joined):
        if duration < SHORTEST_S:
            continue
        begin = max(0.0, onset - 0.05)
        part = audio[int(begin * RATE):int((onset + duration + 0.05) * RATE)]
        try:
            contour = pitch.track_known(part, RATE, midi, reach=1.0)
        except ValueError:
            continue
        first = round((onset - begin) * pitch.FRAME_RATE)
        frames = round(duration * pitch.FRAME_RATE)
        cents = 1200.0 * np.log2(contour.f0_hz / pitch.hz_of(midi))
        middle = cents[first + frames // 5:first + 4 * frames // 5]
        sounding = contour.sounding[first:first + frames]
        if len(middle) < 10 or sounding.mean() < 0.5:
            continue
        centre = float(np.median(middle))
        moves.append(float(np.sqrt(((middle - centre) ** 2).mean())))
        if not slurred:
            # from where something periodic sounds: before, the tracker carries a value over
            begun = first + int(np.argmax(sounding))
            starts.append(abs(float(np.mean(cents[begun + 3:begun + 8])) - centre))
    return moves, starts


def measured(setup: Setup, clip: clips.Clip, *, draws: int) -> list[dict[str, Any]]:
    """All figures of one phrase, a dictionary a draw; none where no notes are heard in it."""
    phrase: Phrase | None = read_phrase(setup, clip)
    if phrase is None:
        return []
    players = [replace(setup, seed=setup.seed + number).chain for number in range(draws)]
    lists = {"held": phrase.held(), "ringing": phrase.ringing()}
    joined = [note.joined for note in phrase.notes]
    shared: dict[str, Any] = {"file": clip.file, "family": clip.family, "instrument": clip.instrument}
    found: list[dict[str, Any]] = [{"seed": setup.seed + number} for number in range(draws)]

    def tell(item: dict[str, Any], kind: str, player: str, audio: Array | None) -> None:
        if audio is None:
            return
        notes = lists[kind]
        spans = [(onset, onset + duration) for onset, duration, _, _ in notes]
        item[f"{kind} {player}"] = measures.contour_correlation(phrase.audio, audio, RATE, spans)
        if kind == "held":
            item[f"inside {player}"] = inside_r(phrase.audio, audio, notes)
            item[f"sustain {player}"] = measures.sustain_distance(phrase.audio, audio, RATE)

    for kind, notes in lists.items():
        tell(shared, kind, "fluidsynth", sampled([fluid.Request(instrument=clip.instrument, notes=tuple(notes))])[0])
        tell(shared, kind, "hump", ladder.humps(notes))
        for item, chain in zip(found, players):
            ours = chain.play(clip.instrument, notes, RATE)
            tell(item, kind, "ours", ours)
            if kind == "held":
                item["f0 ours"], item["onset f0 ours"] = f0_inside(ours, notes, joined)
    shared["f0 real"], shared["onset f0 real"] = f0_inside(phrase.audio, lists["held"], joined)
    return [shared | item for item in found]


def summarise(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures by group: families and ``all``."""
    figures: dict[str, Any] = {}
    for group in (*FAMILIES, "all"):
        inside = [item for item in results if group in (item["family"], "all")]
        if not inside:
            continue
        line: dict[str, Any] = {"phrases": len({item["file"] for item in inside})}
        for kind in ("held", "ringing", "inside", "sustain"):
            for player in PLAYERS:
                line[f"{kind} {player}"] = median([item.get(f"{kind} {player}", float("nan")) for item in inside])
        both = [item for item in inside if "sustain fluidsynth" in item]
        line["sustain below"] = float(np.mean([item["sustain ours"] < item["sustain fluidsynth"] for item in both])) \
            if both else float("nan")
        for what in ("f0", "onset f0"):
            for player in ("real", "ours"):
                line[f"{what} {player}"] = median([value for item in inside for value in item[f"{what} {player}"]])
        figures[group] = line
    return figures


def report(figures: Mapping[str, Any]) -> str:
    """The table: a block a measure, a column a group."""
    groups = list(figures)
    rows = []
    for kind, title in (("held", "level r, held notes"), ("ringing", "level r, ringing notes"),
                        ("inside", "level r inside, means off")):
        for player in PLAYERS:
            name = f"{kind} {player}"
            bar = f">= {LEVEL_BAR}" if player == "ours" and kind != "inside" else ""
            reached = verdict(figures["all"][name] >= LEVEL_BAR if np.isfinite(figures["all"][name]) else None)
            rows.append((f"{title}: {player}", *(shown(figures[group][name]) for group in groups), bar,
                         reached if bar else ""))
    for player in ("ours", "fluidsynth"):
        rows.append((f"sustain distance, dB: {player}",
                     *(shown(figures[group][f"sustain {player}"]) for group in groups), "", ""))
    share = figures["all"]["sustain below"]
    rows.append(("sustain below FluidSynth's, share", *(shown(figures[group]["sustain below"]) for group in groups),
                 f">= {SUSTAIN_BAR}", verdict(share >= SUSTAIN_BAR if np.isfinite(share) else None)))
    for what, title in (("f0", "f0 in the middle, rms cents"), ("onset f0", "f0 at attacks re centre, |cents|")):
        for player in ("real", "ours"):
            rows.append((f"{title}: {player}", *(shown(figures[group][f"{what} {player}"], 1) for group in groups),
                         "", ""))
    counts = [f"{group} ({figures[group]['phrases']})" for group in groups]
    return table(("", *counts, "bar", ""), rows)


def work(setup: Setup, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Tables and figures."""
    clips_ = chosen(setup, instruments_of(options), options.most)
    results = [item for items in over(partial(measured, draws=options.draws), setup, clips_, options.workers)
               for item in items]
    figures = summarise(results)
    return report(figures) if figures else "no phrase was found", {"groups": figures, "phrases": results}


if __name__ == "__main__":
    wanted = parser_of(__doc__)
    wanted.add_argument("--draws", type=int, default=DRAWS, help=f"of each phrase (default: {DRAWS})")
    sys.exit(command(__doc__, work, parser=wanted))
