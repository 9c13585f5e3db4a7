"""What is measured on audio: magnitudes, mel, loudness; parity with DDSP.

Conventions: windows are periodic Hann; frames start at multiples of the hop and the end is filled with zeros
("same"), or frames are centred there ("center"). Mel is HTK's, triangles without area norm, DC left out. Loudness is
A-weighted power averaged over bins, in dB, floored; full-scale sounds exceed 0 dB.

All functions carry gradients and take audio [..., N].

Source: DDSP library 3.7.0; A-weighting IEC 61672 as in librosa.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from mididdsp.synthesis.dsp.conversions import DB_RANGE, power_to_db
from mididdsp.synthesis.dsp.scaling import safe_log
from mididdsp.units import FRAME_RATE

A_WEIGHTING_FLOOR_DB = -80.0

FramePadding = Literal["valid", "same", "center"]


def frame_count(samples: int, frame: int, hop: float, padding: FramePadding) -> int:
    """How many frames ``framed`` makes."""
    if padding == "valid":
        return max(0, int((samples - frame) // hop) + 1)
    if padding == "same":
        return int(np.ceil(samples / hop))
    if padding == "center":
        return int(samples // hop) + 1
    raise ValueError(f'padding is "{padding}"; use "valid", "same" or "center"')


def framed(audio: Tensor, frame: int, hop: float, padding: FramePadding = "same") -> Tensor:
    """Cut audio [..., N] into frames [..., T, frame].

    Args:
        frame: samples per frame.
        hop: samples between frames; a fraction is allowed and each start is rounded by itself, so nothing drifts.
        padding: "valid" adds nothing; "same" zeros at the end, T = ceil(N / hop); "center" half a frame of zeros at
            both ends, T = N // hop + 1.
    """
    count = frame_count(audio.shape[-1], frame, hop, padding)
    starts = np.floor(np.arange(count) * hop + 0.5).astype(np.int64)
    front = frame // 2 if padding == "center" else 0
    end = int(starts[-1]) + frame if count else 0
    padded = pad(audio, (front, max(0, end - audio.shape[-1] - front)))
    if hop == int(hop):
        return padded.unfold(-1, frame, int(hop))[..., :count, :]
    places = torch.from_numpy(starts[:, None] + np.arange(frame)).to(audio.device)
    return padded[..., places]


def stft(audio: Tensor, size: int = 2048, overlap: float = 0.75, pad_end: bool = True, *, window: int | None = None,
         hop: int | None = None) -> Tensor:
    """Complex spectra [..., T, size // 2 + 1] of frames.

    Args:
        size: of the FFT, and of the window if that is not given.
        overlap: share of the window that two frames have in common.
        pad_end: zeros at the end, so that every sample is in a frame.
        window: samples under the Hann window, at most ``size``; the rest of the FFT is zeros.
        hop: samples between frames, in place of ``overlap``.
    """
    window = window or size
    hop = hop or int(size * (1.0 - overlap))
    frames = framed(audio, window, hop, "same" if pad_end else "valid")
    hann = torch.hann_window(window, dtype=audio.dtype, device=audio.device)
    spectra: Tensor = torch.fft.rfft(frames * hann, size)
    return spectra


def magnitudes(audio: Tensor, size: int = 2048, overlap: float = 0.75, pad_end: bool = True) -> Tensor:
    """Absolute value of ``stft``."""
    return stft(audio, size, overlap, pad_end).abs()


def log_magnitudes(audio: Tensor, size: int = 2048, overlap: float = 0.75, pad_end: bool = True) -> Tensor:
    """Natural logarithm of ``magnitudes``, by ``safe_log``."""
    return safe_log(magnitudes(audio, size, overlap, pad_end))


@lru_cache(maxsize=16)
def _mel_matrix(bands: int, bins: int, sample_rate: float, low_hz: float, high_hz: float) -> Tensor:
    def to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(1127.0 * np.log1p(hz / 700.0))

    bin_mel = to_mel(np.linspace(0.0, sample_rate / 2, bins)[1:])[:, None]
    ends = to_mel(np.array([low_hz, high_hz]))
    edges = np.linspace(ends[0], ends[1], bands + 2)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.maximum(0.0, np.minimum((bin_mel - low) / (middle - low), (high - bin_mel) / (high - middle)))
    return torch.from_numpy(np.pad(triangles, ((1, 0), (0, 0))))


def mel_matrix(bands: int, bins: int, sample_rate: float, low_hz: float, high_hz: float) -> Tensor:
    """Weights from FFT bins to mel bands, float64 [bins, bands]; triangles straight in mel, none on DC."""
    return _mel_matrix(bands, bins, sample_rate, low_hz, high_hz).clone()


def mel(audio: Tensor, sample_rate: float = 16_000.0, low_hz: float = 0.0, high_hz: float = 8_000.0, bands: int = 64,
        size: int = 2048, overlap: float = 0.75, *, window: int | None = None, hop: int | None = None) -> Tensor:
    """Mel magnitudes [..., T, bands]; the FFT as in ``stft``."""
    spectrum = stft(audio, size, overlap, window=window, hop=hop).abs()
    matrix = _mel_matrix(bands, spectrum.shape[-1], sample_rate, low_hz, high_hz)
    return torch.matmul(spectrum, matrix.to(spectrum))


def log_mel(audio: Tensor, sample_rate: float = 16_000.0, low_hz: float = 80.0, high_hz: float = 7_600.0,
            bands: int = 64, size: int = 2048, overlap: float = 0.75, *, window: int | None = None,
            hop: int | None = None) -> Tensor:
    """Natural logarithm of ``mel``, by ``safe_log``.

    MIDI-DDSP's input is window 128, hop 64, size 1024, 64 bands, 40 to 8000 Hz.
    """
    return safe_log(mel(audio, sample_rate, low_hz, high_hz, bands, size, overlap, window=window, hop=hop))


def mfcc(audio: Tensor, sample_rate: float = 16_000.0, low_hz: float = 20.0, high_hz: float = 8_000.0,
         bands: int = 128, coefficients: int = 13, size: int = 1024, overlap: float = 0.75) -> Tensor:
    """Mel cepstrum [..., T, coefficients]: DCT-II of ``log_mel``."""
    logs = log_mel(audio, sample_rate, low_hz, high_hz, bands, size, overlap)
    number, place = torch.arange(coefficients, dtype=torch.float64), torch.arange(bands, dtype=torch.float64) + 0.5
    transform = torch.cos(torch.pi * place[:, None] * number / bands) * np.sqrt(2.0 / bands)
    return torch.matmul(logs, transform.to(logs))


def a_weighting_db(frequencies_hz: Tensor, floor_db: float = A_WEIGHTING_FLOOR_DB) -> Tensor:
    """A-weighting in dB, 0 near 1 kHz, floored (0 Hz has the floor)."""
    square = frequencies_hz.double() ** 2
    poles = [frequency**2 for frequency in (12_194.217, 20.598997, 107.65265, 737.86223)]
    weight: Tensor = 2.0 + 20.0 * (
        math.log10(poles[0]) + 2.0 * torch.log10(square) - torch.log10(square + poles[0])
        - torch.log10(square + poles[1]) - 0.5 * torch.log10(square + poles[2]) - 0.5 * torch.log10(square + poles[3]))
    return weight.clamp_min(floor_db).to(frequencies_hz.dtype)


def loudness(audio: Tensor, sample_rate: float = 16_000.0, frame_rate: float = FRAME_RATE, n_fft: int = 512,
             range_db: float = DB_RANGE, ref_db: float = 0.0, padding: FramePadding = "center") -> Tensor:
    """A-weighted level per frame in dB; [..., N] to [..., T].

    Args:
        n_fft: samples per frame, Hann-windowed; 512 is 32 ms at 16 kHz.
        range_db: the result is floored this far below 0.
        ref_db: taken off the result.
    """
    frames = framed(audio, n_fft, sample_rate / frame_rate, padding)
    window = torch.hann_window(n_fft, dtype=audio.dtype, device=audio.device)
    power = torch.fft.rfft(frames * window).abs() ** 2
    frequencies = torch.fft.rfftfreq(n_fft, 1.0 / sample_rate, dtype=torch.float64, device=audio.device)
    weighting = 10.0 ** (a_weighting_db(frequencies) / 10.0)
    return power_to_db((power * weighting.to(power)).mean(-1), ref_db, range_db)


def rms(audio: Tensor, sample_rate: float = 16_000.0, frame_rate: float = FRAME_RATE, frame: int = 512,
        padding: FramePadding = "center") -> Tensor:
    """Root mean square per frame; [..., N] to [..., T]."""
    frames = framed(audio, frame, sample_rate / frame_rate, padding)
    return torch.sqrt((frames * frames).mean(-1))


def power_db(audio: Tensor, sample_rate: float = 16_000.0, frame_rate: float = FRAME_RATE, frame: int = 512,
             range_db: float = DB_RANGE, ref_db: float = 0.0, padding: FramePadding = "center") -> Tensor:
    """Unweighted level per frame in dB; [..., N] to [..., T]."""
    mean_square = (framed(audio, frame, sample_rate / frame_rate, padding) ** 2).mean(-1)
    return power_to_db(mean_square, ref_db, range_db)
