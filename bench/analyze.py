"""How fast ``mididdsp analyze`` is, and how much memory it takes, by the length of the recording.

    python -m bench.analyze --data DATA [--minutes 1 10 60] [--tracker own]

The training movement of ``bach_violin`` is repeated to the length asked for and written as 48 kHz WAV; the command runs
as a process of its own. Real time is per second of wall time and of processor time; memory is the peak of the process.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import soundfile
import soxr

from bench.process import measure

RATE = 48_000
SOURCE = "bach_violin/audio/john-garner_bwv1002_mov7.mp3"


def long_recording(data: Path, minutes: float, target: Path) -> None:
    """Write a recording of that many minutes."""
    audio, rate = soundfile.read(data / SOURCE, dtype="float32", always_2d=True)
    mono = soxr.resample(audio.mean(axis=1), rate, RATE)
    left = int(minutes * 60 * RATE)
    with soundfile.SoundFile(target, "w", RATE, 1, subtype="PCM_24") as file:
        while left > 0:
            file.write(mono[: min(left, len(mono))])
            left -= len(mono)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 10.0, 60.0])
    parser.add_argument("--tracker", default="own")
    arguments = parser.parse_args()
    print(f"{'minutes':>8} {'x wall':>7} {'x cpu':>7} {'MiB':>7}")
    for minutes in arguments.minutes:
        with tempfile.TemporaryDirectory() as folder:
            recording = Path(folder) / "violin.wav"
            long_recording(arguments.data, minutes, recording)
            usage = measure([sys.executable, "-m", "mididdsp.cli", "analyze", str(recording), "-o",
                             f"{folder}/a.performance.json", "--synth", f"{folder}/a.synth.npz", "--tracker",
                             arguments.tracker, "--quiet"])
            if usage.code != 0:
                raise SystemExit(f"analyze ended with {usage.code}")
            seconds = 60.0 * minutes
            print(f"{minutes:8.1f} {seconds / usage.wall_s:7.1f} {seconds / usage.cpu_s:7.1f} {usage.peak_mib:7.0f}",
                  flush=True)


if __name__ == "__main__":
    main()
