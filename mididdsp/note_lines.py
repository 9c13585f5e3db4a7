"""What makes a note's lines into attributes: one definition each, for those who measure and those who generate.

``level`` below is the power of partials and noise in a frame, in dB re 1.0. The *body* of a note is its frames within
20 dB of its highest.

Conventions: 250 frames a second; deviations in cents from the written pitch; nothing here knows a file or a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.units import FRAME_RATE, SILENCE_DB

Array = NDArray[np.floating[Any]]

BODY_DB = 20.0
ATTACK_FRAMES = 10
VIBRATO_BAND_HZ = (3.25, 8.95)
VIBRATO_WINDOW_S = 0.45
VIBRATO_FLOOR_CENTS = 6.0
VIBRATO_SHARE = 0.55


@dataclass(frozen=True, slots=True, kw_only=True)
class Vibrato:
    """A vibrato as heard: extent (cents, centre to peak), rate (Hz), delay after the onset (s)."""

    cents: float
    rate_hz: float
    delay_s: float


def frame_level_db(partial_power: Array, noise_power: Array) -> Array:
    """Power of partials and noise together, dB re 1.0; both inputs are mean squares; [T]."""
    return np.asarray(10.0 * np.log10(np.maximum(partial_power + noise_power, 10 ** (SILENCE_DB / 10))))


def smoothed(values: Array, width: int) -> Array:
    """Running mean over ``width`` frames (odd), shorter at the ends."""
    if len(values) < 3:
        return np.asarray(values, dtype=np.float64)
    width = min(width, len(values) // 2 * 2 - 1)
    kernel = np.ones(width)
    return np.asarray(np.convolve(values, kernel, mode="same") / np.convolve(np.ones(len(values)), kernel, mode="same"))


def crossing_time(level_db: Array, threshold_db: float) -> float | None:
    """Seconds until the level first reaches a threshold, between frames by a straight line; None when it never does."""
    above = np.flatnonzero(level_db >= threshold_db)
    if len(above) == 0:
        return None
    index = int(above[0])
    if index == 0:
        return 0.0
    before, after = level_db[index - 1], level_db[index]
    return float((index - 1 + (threshold_db - before) / max(after - before, 1e-9)) / FRAME_RATE)


def attack_time(level_db: Array, body_db: float) -> float:
    """Seconds from 10 to 90 % of the body's amplitude (or of the note's highest, where that is lower)."""
    reference = min(body_db, float(np.max(level_db)))
    start = crossing_time(level_db, reference - 20.0)
    end = crossing_time(level_db, reference - 0.915)
    return max(0.0, (end or 0.0) - (start or 0.0))


def release_time(level_db: Array, body_db: float) -> float:
    """Seconds from -3 to -20 dB re the body after the offset, where ``level_db`` [T] begins.

    Where the level at the offset is already more than 3 dB below the body, the fall is counted from there. A fall that
    the frames do not hold to its end is extended by a straight line; one of less than 4 dB says nothing: 0.05 s.
    """
    reference = min(body_db, float(level_db[0]) + 3.0) if len(level_db) else body_db
    start = crossing_time(-level_db, -(reference - 3.0))
    end = crossing_time(-level_db, -(reference - 20.0))
    if end is not None:
        return max(0.0, end - (start or 0.0))
    fallen = reference - float(level_db[-1]) if len(level_db) else 0.0
    if fallen < 4.0:
        return 0.05
    return float(((len(level_db) - 1) / FRAME_RATE - (start or 0.0)) * 17.0 / (fallen - 3.0))


def glide_time(pitch: Array, border: int, before: float, after: float) -> float:
    """Seconds in which the pitch goes from 10 to 90 % of the way between two joined notes.

    Counted outwards from the border, where the pitch passes the middle: back to where it last was within 10 % of the
    note before, on to where it first is within 10 % of the note after; at most 0.15 s to either side.

    Args:
        pitch: MIDI number on each frame; [T].
        border: frame at which the second note begins.
        before, after: MIDI numbers of the two notes.
    """
    way = after - before
    if abs(way) < 0.2 or not 0 < border < len(pitch):
        return 1.0 / FRAME_RATE
    share = (np.asarray(pitch, dtype=np.float64) - before) / way
    reach = int(0.15 * FRAME_RATE)
    back = share[max(0, border - reach) : border][::-1]
    on = share[border : border + reach]
    start = crossing_time(-back, -0.1)
    end = crossing_time(on, 0.9)
    spent = (reach / FRAME_RATE if start is None else start) + (reach / FRAME_RATE if end is None else end)
    return float(max(spent, 1.0 / FRAME_RATE))


def find_vibrato(cents: Array) -> Vibrato | None:
    """The vibrato of one note, or None.

    Windows of 0.45 s; a peak between 3.25 and 8.95 Hz of at least 6 cents that holds 55 % of the power between 1.5 and
    20 Hz; half of the windows, or 0.6 s, must have one. The extent is the mean over windows above half of the largest,
    the delay the first time the swing reaches half of the extent on one side and then on the other.

    Args:
        cents: deviation from the note, one value a frame, whole note; [T].
    """
    window = int(VIBRATO_WINDOW_S * FRAME_RATE)
    if len(cents) < window:
        return None
    taper = np.hanning(window + 2)[1:-1]
    step = 6
    frames = np.lib.stride_tricks.sliding_window_view(cents, window)[::step]
    position = np.linspace(-1, 1, window)
    weights = taper / taper.sum()
    centred = frames - (frames @ weights)[:, None]
    slope = (centred * position) @ weights / ((position**2) @ weights)
    centred = centred - slope[:, None] * position
    grid = np.arange(1.5, 20.01, 0.1)
    basis = np.exp(-2j * np.pi * np.outer(np.arange(window) / FRAME_RATE, grid))
    swing = 2.0 * np.abs((centred * weights) @ basis)
    inside = (grid >= VIBRATO_BAND_HZ[0]) & (grid <= VIBRATO_BAND_HZ[1])
    best = np.argmax(np.where(inside, swing, 0.0), axis=1)
    rows = np.arange(len(swing))
    top = swing[rows, best]
    near = np.abs(grid[None, :] - grid[best][:, None]) <= 2.3  # the main lobe of the window
    share = (swing**2 * near).sum(1) / np.maximum((swing**2).sum(1), 1e-12)
    # the skirt of a drift or a tremor outside the band is no peak
    peak = (top >= swing[rows, best - 1]) & (top >= swing[rows, best + 1])
    has = (top >= VIBRATO_FLOOR_CENTS) & (share >= VIBRATO_SHARE) & peak
    if not has.any() or not (has.mean() >= 0.5 or has.sum() * step / FRAME_RATE >= 0.6):
        return None
    largest = float(top[has].max())
    strong = has & (top >= 0.5 * largest)
    extent = float(np.mean(top[strong]))
    rate = float(np.average(grid[best][strong], weights=top[strong]))
    half_cycle = max(3, int(0.5 * FRAME_RATE / rate))
    swings = cents - smoothed(cents, int(FRAME_RATE / rate) // 2 * 2 + 1)
    first = _first_swing(swings, 0.5 * extent, 3 * half_cycle // 2)
    return Vibrato(cents=extent, rate_hz=rate, delay_s=max(0, first - half_cycle) / FRAME_RATE)


def _first_swing(swings: Array, height: float, reach: int) -> int:
    """Frame of the first swing that reaches ``height`` and turns to the other side within ``reach`` frames.

    A scoop into the note's pitch does not turn, and is no vibrato.
    """
    for frame in np.flatnonzero(np.abs(swings) >= height):
        after = swings[frame : frame + reach] * -np.sign(swings[frame])
        if after.max() >= height:
            return int(frame)
    return 0
