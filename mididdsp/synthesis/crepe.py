"""The CREPE pitch tracker, fifty decisions a second, refined to 250 frames by the partials' phases.

Conventions: probabilities come from torchcrepe's network alone; their decoding is ours, because its own adds random
numbers to every frame: a Viterbi path over the bins, then the mean of the cents around its bin, weighted by the
probabilities. Audio is resampled to 16 kHz first.

torchcrepe imports torchaudio only to load files, and torchaudio's libraries fail beside a CPU build of torch: where the
real one does not import, an empty module stands in for it. This is the one place that does so.

Source: Kim, Salamon, Li and Bello 2018, "CREPE: a convolutional representation for pitch estimation".
"""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.synthesis.analysis import ANALYSIS_RATE, frame_count, level_contour, track_f0, without_rumble
from mididdsp.synthesis.tracking import Track
from mididdsp.units import FRAME_RATE, hz_to_midi, midi_to_hz

Array = NDArray[np.floating[Any]]

CREPE_RATE = 16_000
DECISIONS_PER_S = 50
_HOP = CREPE_RATE // DECISIONS_PER_S
_WINDOW = 1024
_BINS = 360
_CENTS_A_BIN = 20.0
_LOWEST_CENTS = 1997.3794084376191
"""Of bin 0, re 10 Hz (Kim et al. 2018)."""

_REACH_BINS = 12
_VOICED_FROM = 0.35
_BATCH = 256


def load_torchcrepe() -> Any:
    """The library, with a stand-in for torchaudio where that does not import."""
    try:
        import torchaudio  # noqa: F401
    except (ImportError, OSError):
        sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    import torchcrepe

    return torchcrepe


def track_with_crepe(
    audio: Array, *, model: str = "tiny", low: float = 24.0, high: float = 106.0, top_db: float | None = None,
    device: str = "cpu",
) -> Track:
    """Fundamental of a recording.

    Args:
        audio: mono at ``ANALYSIS_RATE``; [N].
        model: ``tiny`` or ``full``.
        low, high: MIDI numbers between which it lies; CREPE itself hears from 24 (32.7 Hz) to 107 (1976 Hz).
        top_db: highest level of the recording, against which silence is told; None is that of ``audio``.
        device: of the network.
    """
    probabilities = pitch_probabilities(audio, model=model, device=device)
    cents = _LOWEST_CENTS + _CENTS_A_BIN * np.arange(_BINS)
    pitches = np.asarray(hz_to_midi(10.0 * 2.0 ** (cents / 1200.0)))
    allowed = (pitches >= low - 0.5) & (pitches <= high + 0.5)
    path = _path(np.where(allowed, probabilities, 0.0))
    rows = np.arange(len(path))
    near = np.clip(path[:, None] + np.arange(-4, 5), 0, _BINS - 1)
    weights = np.take_along_axis(probabilities, near, axis=1)
    heard = (weights * cents[near]).sum(1) / np.maximum(weights.sum(1), 1e-9)
    count = frame_count(len(audio))
    time = np.arange(count) * (DECISIONS_PER_S / FRAME_RATE)
    # a straight line through a leap would lie far from both pitches: the nearer decision is taken there
    line = np.interp(time, rows, heard)
    nearest = heard[np.minimum(np.rint(time).astype(np.int64), len(heard) - 1)]
    guide = 10.0 * 2.0 ** (np.where(np.abs(line - nearest) < 60.0, line, nearest) / 1200.0)
    periodicity = np.interp(time, rows, probabilities[rows, path])
    f0, voiced = track_f0(audio, guide, reach_cents=60.0, top_db=top_db)
    return Track(f0_hz=f0, voiced=voiced & (periodicity >= _VOICED_FROM), periodicity=np.clip(periodicity, 0.0, 1.0),
                 level_db=level_contour(without_rumble(audio, float(midi_to_hz(low)))))


def pitch_probabilities(audio: Array, *, model: str, device: str = "cpu") -> Array:
    """How likely each of 360 pitches is, 50 times a second; float64 [decisions, 360]."""
    import soxr
    import torch

    torchcrepe = load_torchcrepe()
    low_rate = soxr.resample(np.asarray(audio, dtype=np.float32), ANALYSIS_RATE, CREPE_RATE)
    padded = np.pad(low_rate, (_WINDOW // 2, _WINDOW))
    count = len(low_rate) // _HOP + 1
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[: count * _HOP : _HOP]
    parts = []
    for first in range(0, len(frames), _BATCH):
        batch = torch.from_numpy(np.array(frames[first : first + _BATCH])).to(device)
        batch = batch - batch.mean(dim=1, keepdim=True)
        batch = batch / batch.std(dim=1, keepdim=True).clamp_min(1e-10)
        with torch.no_grad():
            parts.append(torchcrepe.infer(batch, model=model).cpu().numpy())
    return np.concatenate(parts).astype(np.float64)


def _path(probabilities: Array) -> NDArray[np.int64]:
    """Viterbi: bins within 240 cents may follow each other, the nearer the likelier; leaps cost as much as the last."""
    logs = np.log(probabilities / np.maximum(probabilities.sum(1, keepdims=True), 1e-9) + 1e-6)
    total = logs[0].copy()
    back = np.zeros(probabilities.shape, np.int64)
    costs = np.log(np.maximum(_REACH_BINS + 1 - np.arange(_REACH_BINS + 1), 1) / (_REACH_BINS + 1.0))
    for index in range(1, len(logs)):
        best = int(np.argmax(total))
        arrive = np.full(_BINS, total[best] + 2.0 * costs[-1])
        source = np.full(_BINS, best)
        for shift in range(-_REACH_BINS, _REACH_BINS + 1):
            moved = np.full(_BINS, -np.inf)
            if shift >= 0:
                moved[shift:] = total[: _BINS - shift]
            else:
                moved[:shift] = total[-shift:]
            moved = moved + costs[abs(shift)]
            better = moved > arrive
            arrive = np.where(better, moved, arrive)
            source = np.where(better, np.arange(_BINS) - shift, source)
        total = arrive + logs[index]
        back[index] = source
    path = np.zeros(len(logs), np.int64)
    path[-1] = int(np.argmax(total))
    for index in range(len(logs) - 1, 0, -1):
        path[index - 1] = back[index][path[index]]
    return path
