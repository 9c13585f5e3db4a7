"""What rooms and the mix cost: processor seconds for a minute of sound, on one core.

    python -m bench.room

Prints the convolution of one part with our own hall by partition size, then the whole way from a dry part to a 24-bit
stereo file, and from four dry parts to the file with their stems beside it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from mididdsp import rooms
from mididdsp.expression.types import PartMix
from mididdsp.mix import Stem, mix_parts, placed
from mididdsp.rooms import Float32, convolved, room_impulse_response

SAMPLE_RATE = 48_000
SECONDS = 60
PARTS = ("violin", "viola", "cello", "oboe")
PARTITIONS = ((4_096, 4), (8_192, 1), (8_192, 4), (16_384, 1), (16_384, 4), (32_768, 4), (65_536, 4))


def dry(seed: int) -> Iterator[Float32]:
    """A minute of sound that is made before the clock starts, in blocks of five seconds."""
    minute = np.random.default_rng(seed).standard_normal(SECONDS * SAMPLE_RATE).astype(np.float32) * np.float32(0.05)
    return iter(np.split(minute, SECONDS // 5))


def cpu_seconds(work: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def convolution(partition: int, group: int) -> float:
    """Processor seconds for a minute through our own hall on a grid of that size."""
    before = rooms._PARTITION, rooms._GROUP, rooms.BLOCK
    rooms._PARTITION, rooms._GROUP, rooms.BLOCK = partition, group, partition * group
    try:
        response, sound = room_impulse_response("violin", SAMPLE_RATE), dry(0)
        return cpu_seconds(lambda: [None for _ in convolved(sound, response)])
    finally:
        rooms._PARTITION, rooms._GROUP, rooms.BLOCK = before


def mix(parts: int, stems: bool) -> float:
    """Processor seconds from dry parts to files of a minute."""
    stream = [Stem(name=name, blocks=placed(dry(seed), PartMix(gain_db=-12.0), name, SAMPLE_RATE))
              for seed, name in enumerate(PARTS[:parts])]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "mix.wav"
        return cpu_seconds(lambda: mix_parts(
            stream, out, sample_rate=SAMPLE_RATE, gain_db=0.0, stems_folder=Path(folder) / "stems" if stems else None))


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    made = cpu_seconds(lambda: room_impulse_response("violin", SAMPLE_RATE))
    mix(1, stems=False)  # imports
    print(f"making one seat's response: {made:.3f} CPU-s")
    print("a minute of one part through our own hall, 48 kHz, mono to stereo:")
    for partition, group in PARTITIONS:
        chosen = "  <- in use" if (partition, group) == (rooms._PARTITION, rooms._GROUP) else ""
        print(f"  partitions of {partition:6d}, {group} at once: {convolution(partition, group):.3f} CPU-s{chosen}")
    print(f"one dry part to a 24-bit mix: {mix(1, stems=False):.3f} CPU-s a minute")
    print(f"four dry parts to a mix and stems: {mix(4, stems=True):.3f} CPU-s a minute")


if __name__ == "__main__":
    main()
