"""Folders of made-up solo recordings for the tests of preparing and learning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from tracking_tones import melody

from mididdsp.synthesis.analysis import ANALYSIS_RATE

TUNE = [69.0, 71.0, 72.0, 74.0, 76.0, 74.0, 72.0, 71.0]


def write(path: Path, audio: NDArray[np.float64], rate: int = ANALYSIS_RATE, channels: int = 1) -> Path:
    """A WAV or FLAC file at ``rate`` from audio at the analysis rate; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = soxr.resample(audio, ANALYSIS_RATE, rate)
    soundfile.write(path, np.repeat(sound[:, None], channels, axis=1), rate)
    return path


def tune(transposed: float = 0.0, seconds: float = 0.3, seed: int = 0) -> NDArray[np.float64]:
    """Eight notes up and down, with a little noise that differs from seed to seed."""
    audio = melody([pitch + transposed for pitch in TUNE], seconds)
    return np.asarray(audio + 1e-4 * np.random.default_rng(seed).standard_normal(len(audio)))


def table(path: Path, seconds: float = 0.3, transposed: float = 0.0, shift: float = 0.0) -> Path:
    """The notes of :func:`tune` as a table."""
    rows = ["onset,offset,pitch,velocity"]
    for number, pitch in enumerate(TUNE):
        onset = number * (seconds + 0.05) + shift
        rows.append(f"{onset:.3f},{onset + seconds:.3f},{pitch + transposed:g},80")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path
