"""Where one note ends and the next begins inside a sounding stretch: the cheapest way to explain it by steady notes.

Every dip of the level and every step of the pitch is a place where a border may be. A dynamic program chooses among
them: a note costs something, frames away from their note's pitch cost something, and a border where the level falls and
rises again, or the tracker is in doubt, is paid for. So a harmonic mistaken for the fundamental for a moment, vibrato
or a slide does not make a note, while a repeated note does, and so does a trill.

Conventions: contours have 250 frames a second. Costs are in frames that lie clearly off their note's pitch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.units import FRAME_RATE

Array = NDArray[np.floating[Any]]

NOTE_COST = 8.0
"""Frames that a further note must explain."""

STEADY_SEMITONES = 0.32
"""Vibrato and intonation stay within this of a note's pitch, mostly."""

OFF_SEMITONES = 0.45
"""Further than ``STEADY_SEMITONES`` by this much a frame is wholly off its note."""

HOPELESS = 5 * NOTE_COST
"""Frames."""

HOPELESS_SHARE = 0.25
"""What is this much off one pitch, and by this share of its frames, is several notes."""

STEP_SEMITONES, STEP_WIDTH = 0.5, 9
SLIDE_STEP, SLIDE_WIDTH = 0.8, 50
"""A step of the pitch is looked at as a border from so many semitones on, between means of so many frames; vibrato is
even over the wider ones."""

SLIPS_SEMITONES = (12.0, 19.02, 24.0)
"""Where a tracker lands that takes another partial for the first; ``SLIP_COST`` a frame instead of 1."""

SLIP_COST = 0.23
SLIP_WIDTH = 0.6

ENOUGH_DB = 6.0
"""Evidence that alone makes a border between two notes of one pitch."""

NOISE_DB = 2.0
"""Evidence up to this says nothing."""

LARGEST_DB = 14.0
"""More evidence than this says no more."""

REACH, FALL = int(0.12 * FRAME_RATE), int(1.0 * FRAME_RATE)
"""Frames after a dip, and before it, in which its depth is measured."""

NEAR = int(0.06 * FRAME_RATE)
"""Frames by which a dip and a step of pitch may lie apart and be one event."""

TREMOR = int(0.26 * FRAME_RATE)
"""Frames to either side in which other dips tell whether the level trembles as in vibrato."""

STILL_DB = 3.0
"""Where the level trembles by less, every dip counts; where by more, a dip must be deeper than its neighbours by half
and more to count in full."""

CROWD = int(1.0 * FRAME_RATE)
FEW_ALIKE, MANY_ALIKE = 3, 7
"""Of so many other dips at a steady pitch, half as deep at least, within ``CROWD`` frames to either side, a dip counts
in full, or not at all: a soft bow trembles like this, and nobody strikes a note so often."""

CLEAR_DB = 12.0
"""A dip of the level this deep is an attack however much the level trembles."""

SHAKEN = 0.25
"""Share of its confidence that the tracker loses at an attack. Where it loses none, the level trembles and no more: a
dip counts by ``CALM`` then; what is lost speaks for itself too, by ``DOUBT_DB`` for all of it."""

CALM = 0.15
DOUBT_DB = 18.0

SURE_STEP = 0.65
"""Semitones: a pitch that steps this far is no vibrato, so the trembling that goes with it is no argument."""

LONGEST = int(20.0 * FRAME_RATE)
"""No note is longer; keeps the work in proportion to the length of the recording."""

ENOUGH_FRAMES = 1000
"""Of a longer note every other frame, or fewer, tell how well it fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """Between two notes.

    Attributes:
        frame: where the next note begins if it is slurred: at the step of the pitch.
        attack: where it begins if it is struck: at the dip of the level.
        dip_db: how far the level falls and rises again there.
        evidence_db: what speaks for an attack in all, dB; 0 where nothing does.
    """

    frame: int
    attack: int
    dip_db: float
    evidence_db: float


def find_borders(
    pitch: Array, voiced: NDArray[np.bool_], level: Array, periodicity: Array | None, shortest: int
) -> list[Border]:
    """Borders inside one stretch, by frame.

    Args:
        pitch: MIDI numbers; [T].
        voiced: frames whose pitch counts; [T].
        level: dB, smoothed over the ripple of the periods; [T].
        periodicity: the tracker's confidence, 0 to 1, or None; [T].
        shortest: frames that a note must have at least.
    """
    steady = running_median(pitch, 5)
    dips = dip_depths(smooth(level, 7))
    steps = _steps(steady, voiced, STEP_WIDTH, STEP_SEMITONES)
    slow = _steps(steady, voiced, SLIDE_WIDTH, SLIDE_STEP)  # a slide is nowhere steep
    steps |= {frame: size for frame, size in slow.items() if all(abs(frame - at) > SLIDE_WIDTH // 2 for at in steps)}
    edge = shortest // 2
    dips, steps = ({frame: value for frame, value in found.items() if edge <= frame <= len(pitch) - edge}
                   for found in (dips, steps))
    doubts = None if periodicity is None else _doubts(periodicity)
    candidates = _candidates(dips, steps, doubts, shortest)
    return _cheapest(steady, voiced, candidates, shortest)


def dip_depths(level: Array) -> dict[int, float]:
    """Frames where the level is lowest, with how far it rises from there and had fallen to there, dB (>= 1), the lesser
    of the two; it counts until it goes lower still.

    An attack is quick, and is looked for within ``REACH`` frames; a fall may be the room's, within ``FALL``.
    """
    from scipy.signal import find_peaks, peak_prominences

    found, _ = find_peaks(-level)
    if not len(found):
        return {}
    before = peak_prominences(-level, found, wlen=2 * FALL + 1)[1]
    after = peak_prominences(-level, found, wlen=2 * REACH + 1)[2]
    depths = np.minimum(level[before], level[after]) - level[found]
    return {int(frame): float(depth) for frame, depth in zip(found, depths) if depth >= 1.0}


def _doubts(periodicity: Array) -> dict[int, float]:
    """Frames where the confidence is lowest, with the share of its usual value (of a third of a second around) that it
    has lost there, 0 to 1."""
    from scipy.signal import find_peaks

    usual = running_median(periodicity, 81)
    lost = np.clip(1.0 - running_median(periodicity, 5) / np.maximum(usual, 1e-6), 0.0, 1.0)
    found, _ = find_peaks(lost, prominence=0.05, distance=5)
    return {int(frame): float(lost[frame]) for frame in found}


def _steps(pitch: Array, voiced: NDArray[np.bool_], width: int, least: float) -> dict[int, float]:
    """Frames where the pitch leaves one place for another: half-way, and how many semitones they are apart.

    Args:
        pitch, voiced: as in ``find_borders``.
        width: frames before and after that are compared.
        least: smaller steps are none, semitones.
    """
    if len(pitch) < 2 * width:
        return {}
    known = np.where(voiced, pitch, np.nan)
    before = _window_median(known, width)[: len(pitch) - 2 * width + 1]
    after = _window_median(known, width)[width:][: len(before)]
    step = np.nan_to_num(np.abs(after - before))
    found: dict[int, float] = {}
    for index in np.flatnonzero(step >= least):
        if step[index] >= step[max(0, index - 5) : index + 6].max():
            centre = int(index) + width
            middle = 0.5 * (before[index] + after[index])
            inside = pitch[centre - width : centre + width]
            crossed = np.flatnonzero((inside[:-1] - middle) * (inside[1:] - middle) <= 0)
            if len(crossed):
                centre += 1 - width + int(crossed[np.argmin(np.abs(crossed - width))])
            found[centre] = float(step[index])
    return found


def _candidates(
    dips: dict[int, float], steps: dict[int, float], doubts: dict[int, float] | None, shortest: int
) -> list[Border]:
    """One candidate for what belongs together: each dip speaks for one border only, the nearest step's if there is
    one near."""
    places: list[int] = []
    for found, apart in ((steps, shortest), (dips, NEAR + 1)):
        for frame in sorted(found, key=lambda at: -found[at]):
            if all(abs(frame - place) >= apart for place in places):
                places.append(frame)
    places.sort()

    def nearest(found: dict[int, float]) -> dict[int, tuple[float, int]]:
        """The largest of those nearest to each place, with its frame."""
        best: dict[int, tuple[float, int]] = {}
        for frame, size in found.items() if places else ():
            place = min(places, key=lambda at: abs(at - frame))
            if abs(place - frame) <= NEAR and size > best.get(place, (0.0, 0))[0]:
                best[place] = (size, frame)
        return best

    dip_at, step_at, doubt_at = nearest(dips), nearest(steps), nearest(doubts or {})
    held = [(at, deep) for at, deep in dips.items() if all(abs(at - stepped) > NEAR for stepped in steps)]
    result = []
    for place in places:
        dip, deepest = dip_at.get(place, (0.0, place))
        step = step_at.get(place, (0.0, place))[0]
        evidence = dip
        lost = doubt_at.get(place, (0.0, place))[0]
        if doubts is not None:
            shaken = float(np.clip(max(lost / SHAKEN, dip / CLEAR_DB - 1.0), 0.0, 1.0))
            evidence = dip * (CALM + (1.0 - CALM) * shaken) + DOUBT_DB * max(lost - 0.1, 0.0)
        others = sorted((dips[at] for at in dips if NEAR < abs(at - place) <= TREMOR), reverse=True)
        trembles = others[1] if len(others) > 1 else 0.0
        if trembles > STILL_DB and dip < CLEAR_DB and step < SURE_STEP and lost < SHAKEN:
            evidence *= float(np.clip(2.0 * (dip / trembles - 1.2), 0.0, 1.0))
        if dip < CLEAR_DB and step < SURE_STEP:
            alike = sum(NEAR < abs(at - place) <= CROWD and deep > 0.5 * dip for at, deep in held)
            evidence *= float(np.clip(1.0 - (alike - FEW_ALIKE) / (MANY_ALIKE - FEW_ALIKE), 0.0, 1.0))
        result.append(Border(frame=place, attack=place if step and dip < CLEAR_DB else deepest, dip_db=dip,
                             evidence_db=min(evidence, LARGEST_DB)))
    return result


def _cheapest(pitch: Array, voiced: NDArray[np.bool_], candidates: list[Border], shortest: int) -> list[Border]:
    ends = np.array([0, *(border.frame for border in candidates), len(pitch)])
    best = np.full(len(ends), np.inf)
    best[0] = 0.0
    came = np.zeros(len(ends), dtype=np.int64)
    for last in range(1, len(ends)):
        gain = 0.0 if last == len(ends) - 1 else _gain(candidates[last - 1].evidence_db)
        for first in range(last - 1, -1, -1):
            frames = ends[last] - ends[first]
            if frames > LONGEST and first < last - 1:
                break
            if frames < shortest and not (first == 0 and last == len(ends) - 1):
                continue
            off = _off_pitch(pitch, voiced, ends[first], ends[last])
            cost = best[first] + NOTE_COST - gain + off
            if cost < best[last]:
                best[last], came[last] = cost, first
            if off > HOPELESS and off > HOPELESS_SHARE * frames:
                break  # longer still would be further off
    chosen = []
    at = int(came[-1])
    while at > 0:
        chosen.append(candidates[at - 1])
        at = int(came[at])
    return chosen[::-1]


def _gain(evidence_db: float) -> float:
    """Frames that a border's evidence is worth."""
    return NOTE_COST * max(evidence_db - NOISE_DB, 0.0) / (ENOUGH_DB - NOISE_DB)


def _off_pitch(pitch: Array, voiced: NDArray[np.bool_], first: int, last: int) -> float:
    """Frames of a note that are off its pitch, those close to its ends left out."""
    edge = min(10, (last - first) // 4)
    every = 1 + (last - first) // ENOUGH_FRAMES
    inside = pitch[first + edge : last - edge : every][voiced[first + edge : last - edge : every]]
    return every * centre(inside)[1] if len(inside) else 0.0


def centre(pitch: Array) -> tuple[float, float]:
    """The pitch of a note that its frames agree on best, and how many of them are off it; [T], T >= 1.

    Where a tracker has slipped in part of a note, its median may be the slip, or a value on the way.
    """
    ordered = np.sort(pitch)
    best = (float(ordered[len(ordered) // 2]), np.inf)
    for share in (2, 3, 1):
        middle = float(ordered[share * len(ordered) // 4])
        away = np.abs(pitch - middle)
        off = np.minimum(np.maximum((away - STEADY_SEMITONES) / OFF_SEMITONES, 0.0), 1.0)
        if away.max() > SLIPS_SEMITONES[0] - SLIP_WIDTH:
            for slip in SLIPS_SEMITONES:
                off[np.abs(away - slip) < SLIP_WIDTH] = SLIP_COST
        total = float(off.sum())
        if total < best[1] - 0.5:
            best = (middle, total)
        if total < 1.0:
            break
    return best


def smooth(values: Array, width: int) -> Array:
    """Running mean under a Hann window of an odd width; as long as ``values``."""
    if len(values) < width:
        return values
    kernel = np.hanning(width + 2)[1:-1]
    return np.convolve(np.pad(values, width // 2, mode="edge"), kernel / kernel.sum(), mode="valid")


def running_median(values: Array, width: int) -> Array:
    """Median of ``width`` (odd) values around each."""
    padded = np.pad(values, width // 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1))


def _window_median(values: Array, width: int) -> Array:
    """Median of each ``width`` values that follow each other, NaN left out; NaN where all are."""
    windows = np.sort(np.lib.stride_tricks.sliding_window_view(values, width), axis=1)
    count = (~np.isnan(windows)).sum(axis=1)
    rows = np.arange(len(windows))
    middle = 0.5 * (windows[rows, np.maximum(count - 1, 0) // 2] + windows[rows, np.maximum(count, 1) // 2
                                                                           * (count > 0)])
    return np.where(count > 0, middle, np.nan)
