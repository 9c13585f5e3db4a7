"""Single notes of all sixteen instruments against the real clips: ours, FluidSynth's and another real take's.

    python bench/single_notes.py --data DATA [--split valid] [--most 25] [--json OUT.json]

Every plain note of the split (or ``--most`` an instrument, evenly over pitch) is asked for at the pitch the clip
really sounds. An instrument passes where ours is, on both measures, at most 0.6 of FluidSynth's or 1.15 of another real
take's, and never above FluidSynth's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: more threads cost more than they gain
ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from bench import clips, fluid, measures  # noqa: E402
from bench.chain import Chain, ChainUnavailable  # noqa: E402

RATE = clips.SAMPLE_RATE
OF_FLUIDSYNTH, OF_TAKE = 0.6, 1.15
REACHED = 14
"""How many of the sixteen must pass."""

CALIBRATION: dict[str, tuple[float, float, float, float]] = {
    "violin": (2.5, 3.0, 1.3, 1.0), "viola": (3.2, 4.2, 1.7, 1.5), "cello": (2.7, 3.7, 1.4, 1.1),
    "double_bass": (2.9, 4.1, 0.9, 1.0), "flute": (1.1, 1.2, 0.9, 0.5), "oboe": (1.6, 1.7, 0.7, 0.5),
    "clarinet": (2.5, 2.8, 0.6, 0.5), "saxophone": (3.9, 4.6, 1.2, 0.7), "bassoon": (2.5, 2.2, 0.8, 0.4),
    "trumpet": (2.8, 3.8, 1.0, 0.5), "horn": (2.4, 2.3, 0.8, 0.8), "trombone": (2.6, 3.5, 0.6, 0.6),
    "tuba": (1.1, 1.4, 0.5, 0.3), "english_horn": (2.1, 2.2, 0.8, 0.4), "bass_clarinet": (4.2, 5.4, 0.9, 0.6),
    "contrabassoon": (3.4, 4.0, 0.6, 0.3),
}
"""Medians measured on other clips of the same sets: FluidSynth warped, sustain, another take warped, sustain."""

Pair = tuple[float, float]


def distances(clip: NDArray[np.float64], other: NDArray[np.float64]) -> Pair:
    """(warped, sustain) in dB."""
    return measures.warped_distance(clip, other, RATE), measures.sustain_distance(clip, other, RATE)


def medians(pairs: Sequence[Pair]) -> Pair | None:
    """Median of each of the two; None without pairs."""
    if not pairs:
        return None
    warped, sustain = np.median(np.array(pairs), axis=0)
    return round(float(warped), 2), round(float(sustain), 2)


def passes(ours: Pair | None, sampler: Pair | None, take: Pair | None) -> bool | None:
    """Whether an instrument reaches the bar; None where something is missing to say so."""
    if ours is None or sampler is None or take is None:
        return None
    near = all(a <= max(OF_FLUIDSYNTH * b, OF_TAKE * c) for a, b, c in zip(ours, sampler, take))
    return near and all(a <= b for a, b in zip(ours, sampler))


def measure(
    library: clips.Library, chain: Chain, most: int | None, split: str = "test"
) -> dict[str, dict[str, Pair | int | None]]:
    """Medians per instrument: ``ours``, ``fluidsynth``, ``take`` as (warped, sustain), and how many ``clips``."""
    wanted = []
    for name in clips.FAMILIES:
        found = sorted(library.select(split=split, instrument=name, styles=clips.PLAIN_STYLES),
                       key=lambda clip: (clip.label, clip.file))
        wanted += clips.spread_evenly(found, most or len(found))
    cases = []
    for clip in wanted:
        sounding = library.pitch(clip)
        if sounding is not None:
            audio = library.audio(clip)
            onset, duration = clips.note_of(audio, sounding)
            cases.append((clip, audio, (onset, duration, sounding, clip.velocity)))
    problem = fluid.missing()
    if problem:
        print(f"FluidSynth skipped: {problem}", file=sys.stderr)
    played = [None] * len(cases) if problem else fluid.render(
        [fluid.Request(instrument=clip.instrument, notes=(note,)) for clip, _, note in cases])
    found_pairs: dict[str, dict[str, list[Pair]]] = {
        name: {"ours": [], "fluidsynth": [], "take": []} for name in clips.FAMILIES}
    available = True
    for (clip, audio, note), sampler in zip(cases, played):
        pairs = found_pairs[clip.instrument]
        if sampler is not None and np.abs(sampler).max() > 1e-5:  # silent beyond the samples' range
            pairs["fluidsynth"].append(distances(audio, sampler))
        other = library.another_take(clip)
        if other is not None:
            pairs["take"].append(distances(audio, library.audio(other)))
        if available:
            try:
                pairs["ours"].append(distances(audio, chain.render_notes(clip.instrument, [note], RATE)))
            except (ChainUnavailable, ImportError) as reason:
                available = False
                print(f"ours is n/a: {reason}", file=sys.stderr)
    return {name: {"clips": sum(case[0].instrument == name for case in cases),
                   **{what: medians(values) for what, values in pairs.items()}}
            for name, pairs in found_pairs.items()}


def _shown(pair: Pair | None) -> str:
    return "n/a" if pair is None else f"{pair[0]:.2f}/{pair[1]:.2f}"


def print_table(figures: Mapping[str, Mapping[str, Pair | int | None]]) -> int:
    """The table; returns how many instruments pass."""
    print(f"{'':15s}{'clips':>6s}{'ours':>12s}{'FluidSynth':>12s}{'(calibr.)':>11s}{'take':>12s}{'(calibr.)':>11s}")
    passed = 0
    for name, row in figures.items():
        pairs = {what: value if isinstance(value, tuple) else None for what, value in row.items()}
        verdict = passes(pairs["ours"], pairs["fluidsynth"], pairs["take"])
        passed += verdict is True
        known = CALIBRATION[name]
        print(f"{name:15s}{row['clips']:>6}{_shown(pairs['ours']):>12s}{_shown(pairs['fluidsynth']):>12s}"
              f"{f'{known[0]}/{known[1]}':>11s}{_shown(pairs['take']):>12s}{f'{known[2]}/{known[3]}':>11s}"
              f"   {'n/a' if verdict is None else 'pass' if verdict else 'fail'}")
    return passed


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 always: a bench reports."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data",
                        help="folder with split.csv and philharmonia/ (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=clips.DEFAULT_CACHE,
                        help="folder for measured pitches (default: %(default)s)")
    parser.add_argument("--expression", type=Path, help="checkpoint to use in place of the shipped one")
    parser.add_argument("--synthesis", type=Path, help="checkpoint to use in place of the shipped one")
    parser.add_argument("--split", choices=("test", "valid"), default="test",
                        help="decisions are made on valid notes, figures given on test notes (default: %(default)s)")
    parser.add_argument("--most", type=int, help="notes an instrument at most (default: all)")
    parser.add_argument("--json", type=Path, metavar="OUT.json", help="write the figures here")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    library = clips.Library(options.data, options.cache)
    figures = measure(library, Chain(options.expression, options.synthesis), options.most,
                      options.split)
    library.save()
    passed = print_table(figures)
    print(f"{passed} of {len(figures)} pass; {REACHED} must. {time.perf_counter() - started:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
