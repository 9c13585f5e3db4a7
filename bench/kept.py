"""What a round trip keeps of the playing: the fundamental and the vibrato, read by the same trackers on both sides.

Two trackers apart from mididdsp's listen to the recording: ``bench.pitch`` (autocorrelation) and CREPE's tiny network,
decoded frame by frame. Where they agree within 50 cents, CREPE is sure and the pitch does not leap, the recording has a
known fundamental. That one tracker is an octave off, or follows the room in a rest, then counts neither for nor against
what was made of the recording; that both are, still does.

Conventions: audio is mono at 16 kHz; contours have 250 frames a second, CREPE's 50.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from bench import pitch
from mididdsp.synthesis.crepe import pitch_probabilities

Array = NDArray[np.float64]

RATE = 16_000
FRAME_RATE = 250
EVERY = 5
"""Frames from one decision of CREPE to the next."""

SURE = 0.5
"""CREPE's confidence; it was made to be cut there (Kim et al. 2018)."""

NEAR_CENTS = 50.0
QUIETER_DB = 35.0

_LOWEST_CENTS, _CENTS_A_BIN = 1997.3794084376191, 20.0
_WINDOW = int(pitch.VIBRATO_WINDOW_S * FRAME_RATE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownPitch:
    """Where a recording's fundamental is known: frames (250 a second) [K], and there in Hz as CREPE hears it [K]."""

    frames: NDArray[np.int64]
    f0_hz: Array


def crepe(audio: Array) -> tuple[Array, Array]:
    """(Hz, confidence) of the likeliest pitch, decided for each 20 ms alone; [decisions]."""
    import soxr

    likely = pitch_probabilities(soxr.resample(audio, RATE, 48_000), model="tiny")
    best = likely.argmax(axis=1)
    near = np.clip(best[:, None] + np.arange(-4, 5), 0, likely.shape[1] - 1)
    weights = np.take_along_axis(likely, near, axis=1)
    cents = _LOWEST_CENTS + _CENTS_A_BIN * (weights * near).sum(1) / weights.sum(1)
    return 10.0 * 2.0 ** (cents / 1200.0), likely.max(axis=1)


def known_pitch(audio: Array, level_db: Array, low: float, high: float) -> KnownPitch:
    """Where two trackers agree on a recording.

    Args:
        audio: the recording; [N].
        level_db: its level; [T].
        low, high: MIDI numbers between which it lies.

    Raises:
        ValueError: nothing in it is periodic.
    """
    contour = pitch.track(audio, RATE, low, high)
    hz, sure = crepe(audio)
    frames = np.arange(0, min(len(contour.f0_hz), len(level_db), EVERY * len(hz)), EVERY)
    cents = 1200.0 * np.log2(contour.f0_hz)
    steady = (maximum_filter1d(cents, 11) - minimum_filter1d(cents, 11)) < 100.0
    decision = frames // EVERY
    good = ((sure[decision] >= SURE) & near(hz[decision], contour.f0_hz[frames]) & contour.sounding[frames]
            & steady[frames] & (level_db[frames] > level_db.max() - QUIETER_DB))
    return KnownPitch(frames=frames[good], f0_hz=hz[decision][good])


def near(hz: Array, other: Array) -> NDArray[np.bool_]:
    """Within 50 cents; NaN and 0 are not."""
    safe = np.where(np.isfinite(hz) & (hz > 0), hz, 1e-3)
    return np.asarray(np.abs(1200.0 * np.log2(safe / other)) <= NEAR_CENTS)


def pitch_kept(known: KnownPitch, render: Array) -> float:
    """Share of the known frames where CREPE hears the same in what was made; NaN where none is known."""
    if not len(known.frames):
        return float("nan")
    hz, _ = crepe(render)
    decision = np.minimum(known.frames // EVERY, len(hz) - 1)
    return float(np.mean(near(hz[decision], known.f0_hz)))


def pitch_told(known: KnownPitch, f0_hz: Array) -> float:
    """Share of the known frames where a contour (250 a second, NaN where it has no pitch) says the same."""
    if not len(known.frames):
        return float("nan")
    return float(np.mean(near(f0_hz[np.minimum(known.frames, len(f0_hz) - 1)], known.f0_hz)))


def vibrato_kept(recording: Array, render: Array, midi: float) -> tuple[float, float] | None:
    """Extent of one note's vibrato in what was made over that in the recording, and the latter in cents, centre to
    peak; None where the recording has none.

    Whether it vibrates, ``pitch.vibrato`` says. The extent is the amplitude of the sinusoid at the vibrato's rate in
    windows of 0.45 s, in the windows that vibrate in the recording; the ratio is the median over them. (The median
    height of the half cycles, by which vibrato is described elsewhere, jumps by a fifth for contours that differ by a
    cent, when another half cycle becomes the middle one.)
    """
    try:
        wanted, found = (1200.0 * np.log2(pitch.track_known(audio, RATE, midi).f0_hz / 440.0)
                         for audio in (recording, render))
    except ValueError:
        return None
    there = pitch.vibrato(wanted)
    if not there.present:
        return None
    ratios = []
    for start in range(0, min(len(wanted), len(found)) - _WINDOW + 1, _WINDOW // 10):
        power, other = (_spectrum(cents[start : start + _WINDOW]) for cents in (wanted, found))
        peak = int(np.argmax(power))
        lobe = np.abs(_HZ - _HZ[peak]) <= 2.0 / pitch.VIBRATO_WINDOW_S
        if (pitch.VIBRATO_HZ[0] <= _HZ[peak] <= pitch.VIBRATO_HZ[1] and power[lobe].sum() >= 0.55 * power.sum()
                and 2.0 * np.sqrt(power[peak]) / _TAPER.sum() >= pitch.VIBRATO_MIN_CENTS):
            ratios.append(float(np.sqrt(other[peak] / power[peak])))
    return (float(np.median(ratios)), there.extent_cents) if ratios else None


_TAPER = np.hanning(_WINDOW + 2)[1:-1]
_FFT = 8192
_ALL_HZ = np.fft.rfftfreq(_FFT, 1.0 / FRAME_RATE)
_WITHIN = (_ALL_HZ >= 1.5) & (_ALL_HZ <= 20.0)
_HZ = _ALL_HZ[_WITHIN]


def _spectrum(cents: Array) -> Array:
    """Power from 1.5 to 20 Hz of a window of a contour, its slope taken off."""
    time = np.linspace(-1.0, 1.0, _WINDOW)
    straight = cents - np.polyval(np.polyfit(time, cents, 1), time)
    return np.asarray(np.abs(np.fft.rfft(straight * _TAPER, _FFT)[_WITHIN]) ** 2)
