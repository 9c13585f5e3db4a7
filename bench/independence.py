"""Pitch and loudness apart: what moving one of them does to the other, and what sounds below the range of training.

    python -m bench.independence [--checkpoint autoencoder] [--instruments violin flute ...]

A made-up line (three notes with vibrato and a swell) in the middle of each instrument's range is rendered dry at 48 kHz
by the autoencoder, and the sound is measured anew: fundamental by ``bench.pitch``, loudness by the golden definition.

* f0: worst tenth of the fundamental's movement, in cents, when loudness is raised by 6 dB (limit 5).
* loudness: mean movement, in dB, when the line goes up an octave (limit 1.5).
* below: an octave under the lowest pitch of training, share of the sound's power within 3 % of the multiples of the
  fundamental that was asked for, and how far that fundamental is off, in cents.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench import pitch
from mididdsp.checkpoints import resolve
from mididdsp.synthesis.autoencoder import Autoencoder
from mididdsp.synthesis.conditions import measured_loudness
from mididdsp.synthesis.render import render_stream
from mididdsp.transfer import load_autoencoder

Array = NDArray[np.floating[Any]]

RATE = 48_000
SECONDS = 3.0
F0_LIMIT_CENTS, LOUDNESS_LIMIT_DB = 5.0, 1.5
SETTLED_S = 0.1
"""Left out at both ends: windows reach beyond the sound."""

NEAR = 0.03


def line(centre: float) -> tuple[Array, Array]:
    """(f0 in Hz, loudness in dB) of three notes around a pitch."""
    time = np.arange(int(SECONDS * 250)) / 250.0
    step = np.array([0.0, 4.0, 2.0])[np.minimum((time / SECONDS * 3).astype(int), 2)]
    midi = centre + step + 0.25 * np.sin(2 * np.pi * 5.5 * time)
    return 440.0 * 2.0 ** ((midi - 69.0) / 12.0), -30.0 + 8.0 * np.sin(np.pi * time / SECONDS)


def rendered(autoencoder: Autoencoder, instrument: str, f0_hz: Array, loudness_db: Array) -> NDArray[np.float32]:
    """The dry sound."""
    params = autoencoder.params(instrument, f0_hz, loudness_db)
    return np.concatenate(list(render_stream(params, noise_edges_hz=params.noise_edges_hz, sample_rate=RATE, seed=0)))


def heard_cents(audio: NDArray[np.float32], low: float, high: float) -> Array:
    """The fundamental as an independent tracker hears it, cents re A4; NaN where it hears none."""
    contour = pitch.track(audio.astype(np.float64), RATE, low, high)
    cents = 1200.0 * np.log2(np.maximum(contour.f0_hz, 1.0) / 440.0)
    edge = int(SETTLED_S * pitch.FRAME_RATE)
    return np.where(contour.sounding, cents, np.nan)[edge:-edge]


def harmonic_share(audio: NDArray[np.float32], f0_hz: float) -> float:
    """Share of the power within ``NEAR`` of f0 of the fundamental's multiples."""
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2
    place = np.fft.rfftfreq(len(audio), 1.0 / RATE) / f0_hz
    near = (np.abs(place - np.rint(place)) < NEAR) & (place > 0.5)
    return float(power[near].sum() / power.sum())


def measured(autoencoder: Autoencoder, instrument: str) -> tuple[float, float, float, float]:
    """The four figures of an instrument."""
    low, high, middle = (float(value) for value in autoencoder.pitch[autoencoder.index(instrument)])
    centre = min(middle, high - 16.0)
    f0, loudness = line(centre)
    plain = rendered(autoencoder, instrument, f0, loudness)
    louder = rendered(autoencoder, instrument, f0, loudness + 6.0)
    before, after = (heard_cents(audio, centre - 5.0, centre + 9.0) for audio in (plain, louder))
    moved = np.abs(after - before)
    f0_cents = float(np.nanquantile(moved, 0.9))
    higher = rendered(autoencoder, instrument, 2.0 * f0, loudness)
    edge = int(SETTLED_S * 250)
    levels = [measured_loudness(audio, RATE)[edge:-edge] for audio in (plain, higher)]
    loudness_db = float(np.abs(levels[1] - levels[0]).mean())
    asked = 440.0 * 2.0 ** ((low - 12.0 - 69.0) / 12.0)
    steady = np.full(int(SECONDS * 250), asked)
    deep = rendered(autoencoder, instrument, steady, np.full(len(steady), -26.0))
    middle_part = deep[RATE // 2 : -RATE // 2]
    off = found_off(middle_part, asked)
    return f0_cents, loudness_db, harmonic_share(middle_part, asked), off


def found_off(audio: NDArray[np.float32], asked_hz: float) -> float:
    """How far the comb of partials that fits best lies from the one asked for, cents; within a semitone of it."""
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio))))
    hz = np.fft.rfftfreq(len(audio), 1.0 / RATE)
    cents = np.arange(-100.0, 100.5, 0.5)
    number = np.arange(1, 21)
    scores = [np.interp(asked_hz * 2.0 ** (cent / 1200.0) * number, hz, spectrum).sum() for cent in cents]
    return float(cents[int(np.argmax(scores))])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="autoencoder")
    parser.add_argument("--instruments", nargs="*")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    autoencoder = load_autoencoder(resolve(chosen.checkpoint))
    print("| instrument | f0 at +6 dB, cents | loudness an octave up, dB | harmonic share below | off below, cents |")
    print("|---|---|---|---|---|")
    kept = True
    for instrument in chosen.instruments or autoencoder.instruments:
        f0_cents, loudness_db, share, off = measured(autoencoder, instrument)
        kept &= f0_cents <= F0_LIMIT_CENTS and loudness_db <= LOUDNESS_LIMIT_DB
        print(f"| {instrument} | {f0_cents:.2f} | {loudness_db:.2f} | {share:.3f} | {off:+.1f} |", flush=True)
    print("all within the limits" if kept else "NOT all within the limits")
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
