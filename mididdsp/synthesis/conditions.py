"""What the autoencoder listens to: fundamental and loudness, and their recent (and coming) past as fixed memories.

Conventions: 250 frames a second. Loudness here is the A-weighted mean square of what lies below 8 kHz, in dB re full
scale, under 32 ms Hann windows: ``features.loudness`` of 16 kHz audio less ``LOUDNESS_OFFSET_DB``, which is what that
function gives for a sound of A-weighted power 1. A sine of amplitude 1 at 1 kHz has -3.01 dB.

Memories are leaky integrators: they hold what a recurrent layer would have to learn, cost nothing to train, and run
frame by frame with a state of a few numbers. Before a sound there is silence, and for those that look ahead after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.synthesis.knots import KNOTS, knot_weights
from mididdsp.units import FRAME_RATE, hz_to_midi

Array = NDArray[np.floating[Any]]

CONDITION_RATE = 16_000
"""Hz; loudness is measured on audio at this rate."""

CONDITION_HOP = int(CONDITION_RATE / FRAME_RATE)

LOUDNESS_WINDOW = 512
LOUDNESS_OFFSET_DB = float(10.0 * np.log10(0.375 * LOUDNESS_WINDOW**2 / 2.0 / (LOUDNESS_WINDOW // 2 + 1)))
"""Sum of a Hann window's squares is 0.375 of its length; a one-sided spectrum holds half the power."""

QUIET_DB = -100.0
"""Loudness is floored here."""

PITCH_CENTRES: Array = np.arange(22.0, 108.0, 6.0)
LEVEL_TAUS_S = (0.006, 0.02, 0.06, 0.2, 0.6, 2.0)
PITCH_TAUS_S = (0.02, 0.1, 0.5)
COMING_LEVEL_TAUS_S = (0.006, 0.02, 0.06, 0.2, 0.6)
COMING_PITCH_TAUS_S = (0.02, 0.1)

_FEW = 16  # frames: below, a loop is faster than a call of the filter for each integrator
_PITCH_COLUMN = 1
_PITCH_MIDDLE, _PITCH_SPAN = 64.0, 20.0


def feature_count(lookahead: bool) -> int:
    """Columns of the features."""
    causal = 2 + len(PITCH_CENTRES) + len(LEVEL_TAUS_S) + len(PITCH_TAUS_S)
    return causal + (len(COMING_LEVEL_TAUS_S) + len(COMING_PITCH_TAUS_S) if lookahead else 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Memory:
    """State of the causal memories between two blocks; levels [6] in dB, pitches [3] as MIDI numbers."""

    levels: Array
    pitches: Array


def causal_features(
    pitch: Array, loudness_db: Array, memory: Memory | None = None
) -> tuple[NDArray[np.float32], Memory]:
    """Features of frames that follow those ``memory`` was made of; in pieces or at once, the numbers are the same.

    Args:
        pitch: MIDI numbers; [T], at least one.
        loudness_db: as the module says; [T].
        memory: what the block before returned; silence if not given.

    Returns:
        (float32 [T, feature_count(False)], the memory after the last frame).
    """
    level = np.maximum(np.asarray(loudness_db, np.float64), QUIET_DB)
    pitch = np.asarray(pitch, np.float64)
    if memory is None:
        memory = Memory(levels=np.full(len(LEVEL_TAUS_S), QUIET_DB), pitches=np.full(len(PITCH_TAUS_S), pitch[0]))
    slow_level, levels = _integrated(level, LEVEL_TAUS_S, memory.levels)
    slow_pitch, pitches = _integrated(pitch, PITCH_TAUS_S, memory.pitches)
    hats = np.maximum(0.0, 1.0 - np.abs(pitch[:, None] - PITCH_CENTRES) / (PITCH_CENTRES[1] - PITCH_CENTRES[0]))
    columns = [
        ((level + 40.0) / 20.0)[:, None],
        ((pitch - _PITCH_MIDDLE) / _PITCH_SPAN)[:, None],
        hats,
        (level[:, None] - slow_level) / 10.0,
        np.clip(2.0 * (pitch[:, None] - slow_pitch), -3.0, 3.0),
    ]
    return np.concatenate(columns, axis=1, dtype=np.float32), Memory(levels=levels, pitches=pitches)


def condition_features(f0_hz: Array, loudness_db: Array, *, lookahead: bool) -> NDArray[np.float32]:
    """Features of a whole sound; [T, feature_count(lookahead)].

    Args:
        f0_hz: > 0 on every frame; [T].
        loudness_db: as the module says; [T].
        lookahead: also what is coming.
    """
    pitch = hz_to_midi(np.asarray(f0_hz, np.float64))
    features, _ = causal_features(pitch, loudness_db)
    if not lookahead:
        return features
    level = np.maximum(np.asarray(loudness_db, np.float64), QUIET_DB)[::-1]
    back = pitch[::-1]
    coming_level, _ = _integrated(level, COMING_LEVEL_TAUS_S, np.full(len(COMING_LEVEL_TAUS_S), QUIET_DB))
    coming_pitch, _ = _integrated(back, COMING_PITCH_TAUS_S, np.full(len(COMING_PITCH_TAUS_S), back[0]))
    ahead = np.concatenate(
        [(level[:, None] - coming_level) / 10.0, np.clip(2.0 * (back[:, None] - coming_pitch), -3.0, 3.0)], axis=1
    )[::-1]
    return np.concatenate([features, ahead], axis=1, dtype=np.float32)


def pitch_of(features: Any) -> Any:
    """The MIDI number back out of features [..., F]."""
    return features[..., _PITCH_COLUMN] * _PITCH_SPAN + _PITCH_MIDDLE


def _integrated(values: Array, taus_s: tuple[float, ...], state: Array) -> tuple[Array, Array]:
    """Leaky integrators of a series [T]; ([T, taus], state after it). A value is in its own frame's mean."""
    result = np.empty((len(values), len(taus_s)))
    if len(values) <= _FEW:
        keeps = np.exp(-1.0 / (np.array(taus_s) * FRAME_RATE))
        for row, value in enumerate(values):
            state = (1.0 - keeps) * value + keeps * state
            result[row] = state
        return result, state
    from scipy.signal import lfilter

    after = np.empty(len(taus_s))
    for column, tau in enumerate(taus_s):
        keep = float(np.exp(-1.0 / (tau * FRAME_RATE)))
        result[:, column], _ = lfilter([1.0 - keep], [1.0, -keep], values, zi=[keep * state[column]])
        after[column] = result[-1, column]
    return result, after


@lru_cache(maxsize=1)
def weighting_table() -> tuple[Array, Array]:
    """A-weighting as a power gain over 0…8 kHz in steps of 5 Hz, 0 above; (Hz, gain)."""
    import torch

    from mididdsp.synthesis.features import a_weighting_db

    hz = np.arange(0.0, CONDITION_RATE / 2 + 5.0, 5.0)
    gain = 10.0 ** (a_weighting_db(torch.from_numpy(hz)).numpy() / 10.0)
    gain[hz >= CONDITION_RATE / 2] = 0.0
    return hz, gain


def loudness_of_parameters(f0_hz: Array, knots_db: Array, noise_db: Array, edges_hz: tuple[float, ...]) -> Array:
    """The loudness that partials and noise have, frame by frame, without a window.

    Args:
        f0_hz: [T].
        knots_db: mean square of the partials at ``KNOTS``, dB; [T, K].
        noise_db: mean square of the noise bands, dB; [T, B].
        edges_hz: of the bands; B + 1.

    Returns:
        dB, floored at ``QUIET_DB``; [T].
    """
    hz, gain = weighting_table()
    count = int(np.clip(np.ceil(CONDITION_RATE / 2 / float(np.min(f0_hz))), 1, KNOTS[-1]))
    weights = _weights(count)
    number = np.arange(1, count + 1)
    power = np.zeros(len(f0_hz))
    for first in range(0, len(f0_hz), 2048):
        piece = slice(first, first + 2048)
        partials = 10.0 ** ((knots_db[piece] @ weights) / 10.0)
        power[piece] = (partials * np.interp(np.asarray(f0_hz)[piece, None] * number, hz, gain, right=0.0)).sum(1)
    power += 10.0 ** (noise_db / 10.0) @ band_gains(edges_hz)
    return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (QUIET_DB / 10.0))))


@lru_cache(maxsize=64)
def _weights(partials: int) -> Array:
    return knot_weights(partials).T


@lru_cache(maxsize=4)
def band_gains(edges_hz: tuple[float, ...]) -> Array:
    """Mean A-weighting of each noise band, as a power gain; [B]."""
    hz, gain = weighting_table()
    total = np.concatenate([[0.0], np.cumsum(0.5 * (gain[1:] + gain[:-1]) * np.diff(hz))])
    edges = np.asarray(edges_hz)
    return np.asarray(np.diff(np.interp(edges, hz, total)) / np.diff(edges))


def windowed(loudness_db: Array) -> Array:
    """Loudness as it is measured: frames' powers averaged under the 32 ms window (its square, at the frames)."""
    reach = int(LOUDNESS_WINDOW / 2 / CONDITION_RATE * FRAME_RATE)
    offset = np.arange(-reach, reach + 1) / FRAME_RATE
    kernel = (0.5 + 0.5 * np.cos(2 * np.pi * offset * CONDITION_RATE / LOUDNESS_WINDOW)) ** 2
    kernel /= kernel.sum()
    power = np.convolve(
        np.pad(10.0 ** (np.asarray(loudness_db, np.float64) / 10.0), reach, mode="edge"), kernel, mode="valid"
    )
    return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (QUIET_DB / 10.0))))


def measured_loudness(audio: Array, sample_rate: int) -> Array:
    """Loudness of mono audio [N], one value a frame; [N / sample_rate * 250, rounded down, plus 1]."""
    if sample_rate != CONDITION_RATE:
        import soxr

        audio = soxr.resample(np.asarray(audio, np.float32), sample_rate, CONDITION_RATE)
    margin = LOUDNESS_WINDOW // 2
    padded = np.pad(np.asarray(audio, np.float32), margin)
    total = len(audio) // CONDITION_HOP + 1
    step = 60 * int(FRAME_RATE)
    pieces = [
        loudness_within(padded[first * CONDITION_HOP : (first + step - 1) * CONDITION_HOP + LOUDNESS_WINDOW])
        for first in range(0, total, step)
    ]
    return np.concatenate(pieces)[:total]


def loudness_within(audio: Array) -> Array:
    """Loudness of the frames whose whole window lies in mono audio at ``CONDITION_RATE``.

    Args:
        audio: from half a window before the first frame on; [N], N at least ``LOUDNESS_WINDOW``.

    Returns:
        [(N - LOUDNESS_WINDOW) / CONDITION_HOP, rounded down, plus 1].
    """
    import torch

    from mididdsp.synthesis.features import loudness

    samples = torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32))
    found = loudness(samples, float(CONDITION_RATE), range_db=140.0, padding="valid").numpy().astype(np.float64)
    return np.asarray(np.maximum(found - LOUDNESS_OFFSET_DB, QUIET_DB))
