"""Pitch trackers against each other on sounds whose fundamental is known.

    python -m bench.trackers --data DATA [--trackers own crepe crepe-full] [--limit 8] [--set valid]

Phrases are analysed (by ``mididdsp analyze``'s way) and made to sound again from the parameters, every phase and the
noise drawn anew: the fundamental of what sounds is then known on every frame, and it moves as players move it. Each
tracker hears that sound with the instrument's range. Columns: share of the frames that are harmonic where it is voiced
and within 50 cents, median and 95th percentile of the error there in cents, share of the frames without partials that
it calls voiced, and seconds of sound per second of processor time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from bench import roundtrip
from mididdsp.audio_stream import recording_of
from mididdsp.contours import TRACKERS, track_recording
from mididdsp.instruments import INSTRUMENTS


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--trackers", nargs="+", default=["own", "crepe"], choices=TRACKERS)
    parser.add_argument("--limit", type=int, default=8)
    parser.add_argument("--set", dest="name", default="valid", choices=["valid", "test"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = list(roundtrip.clips_of(arguments.name, arguments.data))
    chosen = chosen[:: max(1, len(chosen) // arguments.limit)][: arguments.limit]
    known = []
    for clip in chosen:
        listening = roundtrip.heard(clip, "own")
        params = listening.params()
        sound = roundtrip.redrawn(params, len(clip.audio), 7)
        f0 = roundtrip.f0_of(params, len(listening.contours))
        level = listening.contours.level_db
        known.append((clip, sound, f0, level > level.max() - 40.0))
    print(f"{len(known)} phrases, {sum(len(sound) for _, sound, _, _ in known) / roundtrip.RATE:.0f} s")
    print(f"{'tracker':12} {'within 50':>9} {'median':>7} {'95 %':>7} {'false':>6} {'x real':>7}")
    for name in arguments.trackers:
        right, errors, false, started, seconds = [], [], [], time.process_time(), 0.0
        for clip, sound, f0, loud in known:
            table = INSTRUMENTS[clip.instrument]
            found = track_recording(recording_of(sound, roundtrip.RATE), tracker=name, low=table.low - 2.0,
                                    high=table.high + 2.0)
            count = min(len(found), len(f0))
            there = np.isfinite(f0[:count]) & loud[:count]
            cents = 1200 * np.abs(np.log2(found.f0_hz[:count] / np.where(there, f0[:count], 440.0)))
            voiced = found.voiced[:count]
            right.append((voiced & (cents <= 50.0))[there])
            errors.append(cents[there & voiced & (cents <= 50.0)])
            false.append(voiced[~np.isfinite(f0[:count])])
            seconds += len(sound) / roundtrip.RATE
        error = np.concatenate(errors)
        print(f"{name:12} {100 * np.concatenate(right).mean():8.2f}% {np.median(error):7.2f} "
              f"{np.percentile(error, 95):7.2f} {100 * np.concatenate(false).mean():5.1f}% "
              f"{seconds / (time.process_time() - started):7.1f}", flush=True)


if __name__ == "__main__":
    main()
