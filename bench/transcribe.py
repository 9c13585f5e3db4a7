"""Notes of a monophonic phrase: simple and reliable rather than fine, to ask synthesizers for what a player played."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.signal import find_peaks

from bench import measures, pitch

Array = NDArray[np.float64]

STEP_SEMITONES = 0.65
"""A pitch that stays this far from the note's for 40 ms is another note; vibrato is narrower or faster."""
DIP_DB = 6.0
"""A level dip this deep against both sides is a new attack."""
FLOOR_DB = 28.0
"""Deeper below the phrase's top it is the room that sounds."""
SHORTEST_S = 0.06
PASSING_S = 0.1
"""A pitch shorter than this without an attack of its own is on the way: its time goes to the note before."""


def transcribe(audio: Array, sample_rate: float, low: float, high: float) -> list[tuple[float, float, float]]:
    """(onset s, duration s, MIDI pitch with fractions) of each note, by onset.

    Args:
        audio: one monophonic instrument.
        sample_rate: Hz.
        low, high: MIDI pitches between which it plays.

    Raises:
        ValueError: nothing periodic was found.
    """
    contour = pitch.track(audio, sample_rate, low, high)
    frames = len(contour.f0_hz)
    rate = pitch.FRAME_RATE
    midi = median_filter(69.0 + 12.0 * np.log2(contour.f0_hz / 440.0), 15)
    # Two periods of the lowest sound at least: a shorter window would see dips in its wave.
    window_s = max(0.02, 2.0 / float(np.percentile(contour.f0_hz[contour.sounding], 5)))
    level = measures.level_contour(audio, sample_rate, 1 / rate, window_s)
    level = np.pad(level[:frames], (0, max(0, frames - len(level))), constant_values=-120.0)
    sounding = contour.sounding & (level > level.max() - FLOOR_DB)
    dips, _ = find_peaks(-level, prominence=DIP_DB, distance=int(SHORTEST_S * rate))
    cuts = set(dips.tolist())
    spans: list[tuple[int, int]] = []
    start: int | None = None
    silent = 0
    for frame in range(frames):
        if not sounding[frame]:
            silent += 1
            if start is not None and silent > 8:
                spans.append((start, frame - silent + 1))
                start = None
            continue
        silent = 0
        if start is None:
            start = frame
            continue
        ahead = midi[frame:frame + 10][sounding[frame:frame + 10]]
        centre = np.median(midi[max(start, frame - 40):frame])
        moved = len(ahead) >= 5 and np.all(np.abs(ahead - centre) > STEP_SEMITONES)
        if moved or frame in cuts:
            spans.append((start, frame))
            start = frame
    if start is not None:
        spans.append((start, frames))
    shortest = int(SHORTEST_S * rate)
    joined: list[tuple[int, int]] = []
    for first, last in spans:
        passing = last - first < PASSING_S * rate and first not in cuts
        if passing and joined and first - joined[-1][1] <= 3:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    notes = []
    for first, last in joined:
        if last - first < shortest:
            continue
        fifth = (last - first) // 5
        inside = midi[first + fifth:last - fifth]
        notes.append((first / rate, (last - first) / rate, round(float(np.median(inside)), 3)))
    return notes
