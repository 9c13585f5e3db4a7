"""Loudness and true peak of a stream, by ITU-R BS.1770-4.

Conventions: audio is float32 [channels, n], one or two channels of weight 1, full scale 1.0. Meters take blocks as they
come and keep a few hundred numbers a minute.

Differences from the standard: its recursive weighting filters are applied as their impulse response, of which less than
-100 dB is cut off, by FFT; the true peak is read through an ideal interpolator in place of the 48 taps of its Annex 2,
at four times the sample rate as there.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
HOPS_A_SECOND = 10
HOPS_A_BLOCK = 4
"""Loudness is gated by blocks of 400 ms, one every 100 ms."""

_WEIGHTING_S = 0.15
_OFFSET_LU = -0.691  # makes a 997 Hz sine of full scale in one channel read -3.01


def k_weighting(sample_rate: float) -> Float64:
    """The standard's two filters as second-order sections [2, 6] for any sample rate.

    Source: BS.1770-4 tables 1 and 2 give the numbers at 48 kHz; the analogue forms behind them are those of Brecht De
    Man, "Evaluation of implementations of the EBU R128 loudness measurement" (2018).
    """
    slope = math.tan(math.pi * 1681.974450955533 / sample_rate)
    quality, high = 0.7071752369554196, 10.0 ** (3.999843853973347 / 20.0)
    middle = high**0.4996667741545416
    scale = 1.0 + slope / quality + slope * slope
    shelf = [(high + middle * slope / quality + slope * slope) / scale, 2.0 * (slope * slope - high) / scale,
             (high - middle * slope / quality + slope * slope) / scale,
             1.0, 2.0 * (slope * slope - 1.0) / scale, (1.0 - slope / quality + slope * slope) / scale]
    slope = math.tan(math.pi * 38.13547087602444 / sample_rate)
    quality = 0.5003270373238773
    scale = 1.0 + slope / quality + slope * slope
    cut = [1.0, -2.0, 1.0, 1.0, 2.0 * (slope * slope - 1.0) / scale, (1.0 - slope / quality + slope * slope) / scale]
    return np.array([shelf, cut])


def _weighting_response(sample_rate: float) -> Float32:
    """Impulse response of the K-weighting, as long as ``_WEIGHTING_S``."""
    length = round(_WEIGHTING_S * sample_rate)
    turn = np.exp(-1j * np.pi * np.arange(length + 1) / length)  # z ** -1 around the circle
    powers = np.stack([np.ones_like(turn), turn, turn * turn])
    shelf, cut = k_weighting(sample_rate)
    transfer = (shelf[:3] @ powers) / (shelf[3:] @ powers) * (cut[:3] @ powers) / (cut[3:] @ powers)
    response = np.fft.irfft(transfer)[:length]
    result: Float32 = response.astype(np.float32)
    return result


class LoudnessMeter:
    """Integrated loudness: ``add`` blocks, then ask for ``integrated_lufs``.

    Args:
        sample_rate: Hz.
        channels: 1 or 2.
    """

    def __init__(self, sample_rate: int, channels: int = 2) -> None:
        self._rate = sample_rate
        self._response = _weighting_response(sample_rate)
        self._spectra: dict[int, NDArray[np.complex64]] = {}  # of the response, by FFT length
        self._held = np.zeros((channels, len(self._response) - 1), np.float32)
        self._position = 0
        self._open = 0.0  # energy of the hop that is not yet full
        self._hops: list[float] = []

    def _edge(self, hop: int) -> int:
        return round(hop * self._rate / HOPS_A_SECOND)

    def _weighted(self, block: Float32) -> Float32:
        from scipy import fft

        sound = np.concatenate([self._held, block], axis=1)
        self._held = sound[:, block.shape[1]:]
        length = fft.next_fast_len(sound.shape[1], real=True)
        if length not in self._spectra:
            self._spectra = {length: fft.rfft(self._response, length)}
        weighted: Float32 = fft.irfft(fft.rfft(sound, length) * self._spectra[length], length)
        # What wraps around falls on the samples of the block before.
        return weighted[:, len(self._response) - 1:sound.shape[1]]

    def add(self, block: Float32) -> None:
        """Take the next audio, [channels, n]."""
        if not block.shape[1]:
            return
        weighted = self._weighted(block)
        energy = np.einsum("cn,cn->n", weighted, weighted)
        start, end = self._position, self._position + len(energy)
        inner: list[int] = []
        while (edge := self._edge(len(self._hops) + len(inner) + 1)) <= end:
            inner.append(edge - start)
        pieces = np.split(energy, inner)
        for piece in pieces[:-1]:
            self._hops.append(self._open + float(piece.sum(dtype=np.float64)))
            self._open = 0.0
        self._open += float(pieces[-1].sum(dtype=np.float64))
        self._position = end

    def integrated_lufs(self) -> float | None:
        """Loudness of everything so far in LUFS; None where it is shorter than 400 ms or nothing passes the gate."""
        hops = np.array(self._hops)
        if len(hops) < HOPS_A_BLOCK:
            return None
        lengths = np.diff([self._edge(hop) for hop in range(len(hops) + 1)])
        power = (np.convolve(hops, np.ones(HOPS_A_BLOCK), "valid")
                 / np.convolve(lengths, np.ones(HOPS_A_BLOCK), "valid"))
        heard = power[power > _power_of(ABSOLUTE_GATE_LUFS)]
        if not len(heard):
            return None
        heard = heard[heard > heard.mean() * 10.0 ** (RELATIVE_GATE_LU / 10.0)]
        return _OFFSET_LU + 10.0 * math.log10(float(heard.mean()))


def _power_of(lufs: float) -> float:
    return float(10.0 ** ((lufs - _OFFSET_LU) / 10.0))


_OVERSAMPLING = 4
_MARGIN = 128  # samples at both ends of a piece that serve its middle and are not looked at
_TRANSFORM = 2048  # samples of a piece with its margins
_PIECE = _TRANSFORM - 2 * _MARGIN
_MOST_BETWEEN = 2.5  # sounds that rise higher than this between samples, over the highest sample near, are not music


class TruePeakMeter:
    """The highest value of the sound that the samples stand for: ``add`` blocks, then ``finish``.

    A piece of sound is looked at between its samples only where these are high enough to matter.

    Args:
        channels: 1 or more.
    """

    def __init__(self, channels: int = 2) -> None:
        self._held = np.zeros((channels, _MARGIN), np.float32)  # what no piece has had in its middle, and before it
        self._peak = 0.0
        fade = 0.5 - 0.5 * np.cos(np.pi * (np.arange(_MARGIN // 2) + 0.5) / (_MARGIN // 2))
        self._window = np.ones(_TRANSFORM, np.float32)  # a piece taken as periodic must not jump at its ends
        self._window[:len(fade)], self._window[-len(fade):] = fade, fade[::-1]

    def add(self, block: Float32) -> None:
        """Take the next audio, [channels, n]."""
        sound = np.concatenate([self._held, block], axis=1)
        count = max(sound.shape[1] - 2 * _MARGIN, 0) // _PIECE
        if count:
            self._look(sound[:, :count * _PIECE + 2 * _MARGIN])
        self._held = sound[:, count * _PIECE:]

    def finish(self) -> float:
        """The true peak of everything taken, as an amplitude."""
        self.add(np.zeros((len(self._held), _TRANSFORM), np.float32))
        return self._peak

    def _look(self, sound: Float32) -> None:
        """Find the peak between the margins of ``sound``, which are whole pieces."""
        from scipy import fft

        pieces = np.lib.stride_tricks.sliding_window_view(sound, _TRANSFORM, axis=1)[:, ::_PIECE]
        pieces = pieces.reshape(-1, _TRANSFORM)
        highest = np.maximum(pieces.max(axis=1), -pieces.min(axis=1))
        self._peak = max(self._peak, float(highest.max()))
        chosen = pieces[highest * _MOST_BETWEEN > self._peak]
        if not chosen.any():
            return
        spectrum = fft.rfft(chosen * self._window)
        spectrum[:, -1] *= 0.5  # half of the middle partial moves to its new mirror image
        dense = fft.irfft(spectrum, _OVERSAMPLING * _TRANSFORM)[:, _OVERSAMPLING * _MARGIN:-_OVERSAMPLING * _MARGIN]
        self._peak = max(self._peak, _OVERSAMPLING * max(float(dense.max()), -float(dense.min())))
