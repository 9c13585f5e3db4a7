"""The autoencoder as a stream: blocks of frames in, blocks of sound out, as a live instrument needs it.

The sound is that of the same frames made at once and rendered (``Autoencoder.timbre``, ``render_segment``), to float32
rounding. It comes ``LATENCY_FRAMES`` later: a block of noise reaches two frames ahead, and so does the rule that a
partial on its way to Nyquist is silent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.random import keyed_generator
from mididdsp.synthesis.autoencoder import (
    OUTPUT_SCALE,
    Autoencoder,
    AutoencoderNetwork,
    body_grid,
    partial_count,
    partial_peaks,
)
from mididdsp.synthesis.conditions import Memory, causal_features, pitch_of
from mididdsp.synthesis.dsp.noise import HOPS_PER_BLOCK, band_shares, block_window, noise_hop, random_spectra
from mididdsp.synthesis.dsp.period_tables import MINIMUM_BEND, read_frames
from mididdsp.synthesis.knots import KNOTS
from mididdsp.synthesis.render import RAMP_S, start_phases
from mididdsp.units import FRAME_RATE, SILENCE_DB, hz_to_midi, midi_to_hz

Array = NDArray[np.floating[Any]]
Float32 = NDArray[np.float32]

LATENCY_FRAMES = 2
"""Frames that must be known beyond the end of what sounds: 8 ms."""

_SILENT = 10.0 ** (SILENCE_DB / 20.0)


class _PlainNetwork:
    """The network of one instrument in NumPy: for five frames a call of torch costs more than the work it does."""

    def __init__(self, network: AutoencoderNetwork, member: int) -> None:
        config = network.config
        if config.embedding or config.lookahead:
            raise ValueError(
                "this autoencoder cannot stream: its features look ahead, or its instruments share a "
                "network; use the tiny one (autoencoder-tiny)"
            )
        state = {name.removeprefix(f"timbre.{member}."): value.numpy() for name, value in network.state_dict().items()}
        self._layers = [
            (state[f"{name}.weight"].T.copy(), state[f"{name}.bias"])
            for name in ("entry", *(f"layers.{index}" for index in range(config.blocks)), "exit")
        ]
        self._body = state["body"][member] if config.body_points else np.zeros(1, np.float32)
        self._low, self._step = body_grid(max(config.body_points, 2))
        self._knots = np.log2(KNOTS)

    def __call__(self, features: Float32) -> Array:
        """What ``AutoencoderNetwork.of_one`` gives; [T, F] → [T, K + B]."""
        (weight, bias), *inner, (last_weight, last_bias) = self._layers
        hidden = _silu(features @ weight + bias)
        for layer_weight, layer_bias in inner:
            hidden = hidden + _silu(hidden @ layer_weight + layer_bias)
        output = hidden @ last_weight + last_bias
        place = ((pitch_of(features) - 69.0)[:, None] / 12.0 + self._knots - self._low) / self._step
        output[:, : len(KNOTS)] += np.interp(place, np.arange(len(self._body)), self._body)
        return np.asarray(output)


def _silu(x: Array) -> Array:
    return np.asarray(x / (1.0 + np.exp(-x)))


class AutoencoderStream:
    """One instrument played live.

    Args:
        autoencoder: one whose features do not look ahead, such as the tiny one.
        instrument: one that it knows.
        sample_rate: Hz, with a whole number of samples a frame: 16 or 48 kHz, not 44.1.
        seed: of the noise and of the partials' phases.
        name: keys both, as a segment's id does.

    Raises:
        ValueError: the model is not made to stream, or a frame is no whole number of samples.
    """

    def __init__(
        self, autoencoder: Autoencoder, instrument: str, *, sample_rate: int = 48_000, seed: int = 0, name: str = "0"
    ) -> None:
        if sample_rate % FRAME_RATE or noise_hop(sample_rate) * FRAME_RATE != sample_rate:
            raise ValueError(f"{sample_rate} Hz has no whole number of samples in a frame; stream at 16000 or 48000 Hz")
        self._autoencoder = autoencoder
        self._member = autoencoder.index(instrument)
        lowest = float(autoencoder.pitch[self._member, 0]) - 12.0
        self._network = _PlainNetwork(autoencoder.network, self._member)
        self._partials = partial_count(float(midi_to_hz(lowest)))
        self._rate = sample_rate
        self._hop = noise_hop(sample_rate)
        self._random = keyed_generator(seed, name, "noise")
        self._phases = start_phases(name, self._partials, seed)
        self._shares = band_shares(autoencoder.noise_edges_hz, sample_rate).numpy()
        self._window = block_window(sample_rate).numpy()
        self._memory: Memory | None = None
        self._f0: NDArray[np.float64] = np.zeros(0)
        self._peaks: Float32 = np.zeros((0, self._partials), np.float32)
        self._noise: Float32 = np.zeros((0, len(autoencoder.noise_edges_hz) - 1), np.float32)
        self._known = 0  # frames heard
        self._played = 0  # frames that have sounded
        self._phase = 0.0
        self._blocks: Float32 = np.zeros((0, HOPS_PER_BLOCK, self._hop), np.float32)
        self._made = 0  # blocks of noise made

    def play(self, f0_hz: Array, loudness_db: Array) -> Float32:
        """Frames in, the sound that they complete out; [samples], empty for the first frames.

        Args:
            f0_hz: > 0; [n], at least one.
            loudness_db: A-weighted, as ``synthesis.conditions`` measures it; [n].
        """
        f0 = np.asarray(f0_hz, np.float32).astype(np.float64)  # as a segment holds it
        if len(f0) < 1 or len(f0) != len(loudness_db) or not (np.isfinite(f0).all() and (f0 > 0).all()):
            raise ValueError(
                f"a block has {len(f0)} frames of f0 and {len(loudness_db)} of loudness; give the same, with f0 above 0"
            )
        features, self._memory = causal_features(hz_to_midi(f0), loudness_db, self._memory)
        timbre = self._autoencoder.conformed(self._network(features) * OUTPUT_SCALE, f0, loudness_db)
        noise = 10.0 ** (timbre.noise_db / 20.0)
        self._f0 = np.concatenate([self._f0, f0])
        self._peaks = np.concatenate([self._peaks, partial_peaks(timbre.knots_db, f0, self._partials)])
        self._noise = np.concatenate([self._noise, np.where(noise > _SILENT, noise, 0.0).astype(np.float32)])
        self._known += len(f0)
        return self._sound(self._known - LATENCY_FRAMES)

    def end(self) -> Float32:
        """The sound of the last frames; the last is held for one frame. Nothing can be played after it."""
        if not self._known:
            return np.zeros(0, np.float32)
        audio = self._sound(self._known)
        ramp = self._ramp()[::-1]
        audio[len(audio) - len(ramp) :] *= ramp
        return audio

    def _ramp(self) -> Float32:
        length = min(max(1, round(RAMP_S * self._rate)), self._known * self._hop // 2)
        return (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)).astype(np.float32)

    def _sound(self, until: int) -> Float32:
        """Frames from the first that has not sounded up to ``until``; frames that are done with are let go."""
        count = until - self._played
        if count < 1:
            return np.zeros(0, np.float32)
        audio = self._tone(count) + self._noise_of(count)
        if self._played == 0:
            ramp = self._ramp()
            audio[: len(ramp)] *= ramp
        self._played = until
        done = max(0, until - 1 - (self._known - len(self._f0)))  # one frame back is a neighbour still
        self._f0, self._peaks, self._noise = self._f0[done:], self._peaks[done:], self._noise[done:]
        return audio

    def _tone(self, count: int) -> Float32:
        first = self._played - (self._known - len(self._f0))
        f0 = self._f0[first : first + count + 1]
        peaks = self._peaks[first : first + count + 1]
        if len(f0) == count:  # the last frame is held
            f0, peaks = np.append(f0, f0[-1]), np.concatenate([peaks, peaks[-1:]])
        around = np.pad(self._f0[max(0, first - 1) : first + count + LATENCY_FRAMES], (first == 0, 2), mode="edge")
        limit = np.maximum(np.maximum(around[: count + 1], around[1 : count + 2]), around[2 : count + 3])
        peaks = peaks * (limit[:, None] * np.arange(1, self._partials + 1) < self._rate / 2)
        used = max(1, int(np.count_nonzero(peaks.any(axis=0))))  # partials fall silent from the highest down
        bend = np.log(f0[1:] / f0[:-1])
        bend = np.where(np.abs(bend) < MINIMUM_BEND, MINIMUM_BEND, bend)
        step = f0[:-1] / FRAME_RATE
        ends = self._phase + np.cumsum(step * np.expm1(bend) / bend)
        start = np.concatenate([[self._phase], ends[:-1]]) % 1.0
        self._phase = float(ends[-1] % 1.0)
        return read_frames(peaks[:, :used], start, step, bend, self._hop, self._phases[:used])

    def _noise_of(self, count: int) -> Float32:
        """Noise under the next ``count`` hops: block b is centred on frame b - 1, and hop m lies under m … m + 3."""
        wanted = self._played + count + HOPS_PER_BLOCK - 1
        number = np.arange(self._made, wanted)
        place = np.clip(number - 1, 0, self._known - 1) - (self._known - len(self._noise))
        power = np.square(self._noise[place]) @ self._shares
        spectra = random_spectra(self._random, len(number), self._rate).numpy() * np.sqrt(np.maximum(power, 0.0))
        from scipy import fft

        padded = np.concatenate([np.zeros((len(number), 1), np.complex64), spectra], axis=1)
        sound = fft.irfft(padded, HOPS_PER_BLOCK * self._hop, axis=1, norm="forward") * self._window
        self._blocks = np.concatenate([self._blocks, sound.reshape(len(number), HOPS_PER_BLOCK, self._hop)])
        self._made = wanted
        total = self._blocks[:count, HOPS_PER_BLOCK - 1].copy()
        for step in range(1, HOPS_PER_BLOCK):
            total += self._blocks[step : step + count, HOPS_PER_BLOCK - 1 - step]
        self._blocks = self._blocks[count:]
        return np.asarray(total.reshape(-1), dtype=np.float32)
