"""CPU-seconds and errors of the production oscillator, beside the plain phase-tensor form and a float64 sum.

    python bench/oscillators.py [--json]

One thread, process time, the least of several runs. The plain form holds a [samples, partials] tensor several times
over, so it is measured on a shorter stretch and scaled; its cost is proportional to the length.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mididdsp.random import keyed_generator
from mididdsp.synthesis.dsp.noise import noise_blocks, random_spectra, shaped_noise
from mididdsp.synthesis.dsp.oscillators import oscillator_bank
from mididdsp.synthesis.dsp.period_tables import harmonic_tone
from mididdsp.synthesis.dsp.resampling import resample
from mididdsp.synthesis.render import render_stream
from mididdsp.synthesis.types import Segment

RATE = 48_000
FRAME_RATE = 250
PARTIALS = 100
PLAIN_SECONDS = 4
NOISE_EDGES_HZ = tuple(np.linspace(0.0, 24_000.0, 97).tolist())


def cpu_seconds(work: Callable[[], object], runs: int) -> float:
    """Least process time of several runs, after one to warm up."""
    work()
    times = []
    for _ in range(runs):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def tone(seconds: float, f0_hz: float = 196.0) -> tuple[Tensor, Tensor]:
    """A vibrato tone: f0 [T] and amplitudes [T, PARTIALS] that sum to 1 in each frame."""
    frames = round(seconds * FRAME_RATE)
    time_s = np.arange(frames) / FRAME_RATE
    f0 = f0_hz * 2 ** (0.3 / 12 * np.sin(2 * np.pi * 5.5 * time_s))
    shape = np.random.default_rng(0).random((frames, PARTIALS)) * np.exp(-np.arange(PARTIALS) / 30.0)
    return torch.from_numpy(f0).float(), torch.from_numpy(shape / shape.sum(-1, keepdims=True)).float()


def plain(f0_hz: Tensor, amplitudes: Tensor) -> Tensor:
    """The phase-tensor form: a frequency, a phase and an amplitude for each partial and sample."""
    samples = f0_hz.shape[-1] * RATE // FRAME_RATE
    number = torch.arange(1, amplitudes.shape[-1] + 1)
    return oscillator_bank(resample(f0_hz.unsqueeze(-1), samples, "linear") * number,
                           resample(amplitudes, samples, "linear"), RATE)


def exact(f0_hz: Tensor, amplitudes: Tensor, first: int, count: int) -> np.ndarray:
    """Samples [first, first + count) summed partial by partial in float64."""
    f0, level = f0_hz.double().numpy(), amplitudes.double().numpy()
    place = np.arange(first, first + count) / RATE * FRAME_RATE
    frame = np.minimum((place + 1e-9).astype(int), len(f0) - 1)
    part = place - frame
    ahead = np.append(f0[1:], f0[-1])
    bend = np.log(ahead / f0)
    bend = np.where(np.abs(bend) < 1e-13, 1e-13, bend)
    start = np.concatenate([[0.0], np.cumsum(f0 / FRAME_RATE * np.expm1(bend) / bend)[:-1]])
    cycles = start[frame] + f0[frame] / FRAME_RATE * np.expm1(bend[frame] * part) / bend[frame]
    highest = np.maximum(np.maximum(f0, ahead), np.append(f0[0], f0[:-1]))
    level = level * (highest[:, None] * np.arange(1, level.shape[1] + 1) < RATE / 2)
    level = np.vstack([level, level[-1:]])
    audio = np.zeros(count)
    for k in range(level.shape[1]):
        weight = (1 - part) * level[frame, k] + part * level[frame + 1, k]
        audio += weight * np.sin(2 * np.pi * ((k + 1) * cycles % 1.0))
    return audio


def worst_error() -> float:
    """Largest error in seconds 0 and 599 of ten minutes, for f0 from 30 Hz to 4 kHz; amplitudes sum to 1."""
    worst = 0.0
    for f0_hz in (30.0, 110.0, 440.0, 1_500.0, 3_950.0):
        f0, amplitudes = tone(600.0, f0_hz)
        for first in (0, 599 * RATE):
            found = harmonic_tone(f0, amplitudes, sample_rate=RATE, first_sample=first, samples=RATE).numpy()
            worst = max(worst, float(np.abs(found - exact(f0, amplitudes, first, RATE)).max()))
    return worst


def violin_part(seconds: float = 60.0, notes: int = 150) -> list[Segment]:
    """Segments like those of a violin part: a note each, a release that rings under the next attack."""
    rng = np.random.default_rng(1)
    found = []
    for number in range(notes):
        frames = round((seconds / notes + 0.12) * FRAME_RATE)
        at = np.arange(frames)
        rise = np.interp(at, [0, 10, frames - 40, frames - 1], [0.0, 1.0, 0.95, 0.0])
        harmonics = np.exp(-np.arange(PARTIALS) / rng.uniform(5.0, 15.0))
        f0 = rng.uniform(196.0, 1_200.0) * 2 ** (0.2 / 12 * np.sin(at / 7.0))
        found.append(Segment(
            id=f"n{number}", note_ids=(f"n{number}",), start_s=number * seconds / notes + rng.uniform(0.0, 0.01),
            f0_hz=f0.astype(np.float32), amplitude_db=(-120.0 + 100.0 * rise).astype(np.float32),
            harmonics=np.tile(harmonics / harmonics.sum(), (frames, 1)).astype(np.float32),
            noise_db=np.tile(-120.0 + 55.0 * rise[:, None], (1, len(NOISE_EDGES_HZ) - 1)).astype(np.float32)))
    return found


def measure(runs: int) -> dict[str, float]:
    """All figures; times in CPU-seconds."""
    f0, amplitudes = tone(60.0)
    short_f0, short_amplitudes = tone(PLAIN_SECONDS)
    batch = [x[: 8 * 1000].reshape(8, 1000, *x.shape[1:]).clone().requires_grad_() for x in (f0, amplitudes)]

    def forward_backward() -> None:
        harmonic_tone(*batch, sample_rate=RATE).square().sum().backward()  # type: ignore[no-untyped-call]

    samples = 60 * RATE
    levels = torch.full((60 * FRAME_RATE, len(NOISE_EDGES_HZ) - 1), 1e-3)

    def noise() -> Tensor:
        spectra = random_spectra(keyed_generator(0, "bench"), noise_blocks(samples, RATE), RATE)
        return shaped_noise(levels, spectra, samples=samples, edges_hz=NOISE_EDGES_HZ, sample_rate=RATE)

    part = violin_part()

    def stream() -> float:
        return sum(float(np.abs(block).max()) for block in render_stream(
            part, noise_edges_hz=NOISE_EDGES_HZ, sample_rate=RATE, seed=0))

    with torch.no_grad():
        forward = cpu_seconds(lambda: harmonic_tone(f0, amplitudes, sample_rate=RATE), runs)
        plain_forward = cpu_seconds(lambda: plain(short_f0, short_amplitudes), 1) * 60.0 / PLAIN_SECONDS
        noise_s = cpu_seconds(noise, runs)
    return {
        "forward_60s_100_partials": forward,
        "plain_forward_60s_100_partials": plain_forward,
        "plain_over_production": plain_forward / forward,
        "forward_backward_8x4s": cpu_seconds(forward_backward, runs),
        "worst_error_of_full_scale": worst_error(),
        "noise_60s": noise_s,
        "render_stream_60s_150_notes": cpu_seconds(stream, runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=3, help="runs of each timing, of which the least counts")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    figures = measure(arguments.runs)
    if arguments.json:
        print(json.dumps(figures))
        return
    targets = {"forward_60s_100_partials": "<= 0.4 CPU-s", "forward_backward_8x4s": "<= 0.7 CPU-s",
               "plain_over_production": ">= 20", "worst_error_of_full_scale": "<= 1e-4"}
    for name, value in figures.items():
        print(f"{name:32s} {value:12.3g}   {targets.get(name, '')}")


if __name__ == "__main__":
    main()
