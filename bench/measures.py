"""Measures that stand for an ear: distances, levels, times, clicks and the two-sample test, on audio alone.

Conventions: audio is mono float [N] at ``sample_rate`` Hz; levels are dB; times are seconds. Nothing here uses
mididdsp's own analysis, so that what was trained with that analysis is judged by another. What needs the
fundamental (partials, vibrato, life, noise) is in ``bench.pitch``.

A distance of something from itself is 0; every distance is unmoved by a change of gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

Array = NDArray[np.float64]

STEP_S = 0.01
"""Spacing of level contours and mel frames, s."""
FFT_SIZE = 2048
MEL_BANDS = 64
MEL_LOW_HZ = 40.0
MEL_HIGH_HZ = 15_000.0
TRIM_DB = -40.0
"""Sound starts and ends where the 10 ms level is this far below its top."""
WARPED_CLAMP_DB = -45.0
SUSTAIN_CLAMP_DB = -40.0
CONTOUR_DEPTH_DB = 35.0
"""Level contours are compared where the player sounds within this of the top."""
ONSET_DB = -25.0
"""A note has begun where its level first comes this near to its top."""
CLICK_HZ = 8000.0
"""A click at a joint shows above this, where tones have little."""
RUMBLE_HZ = 62.0
"""What recordings hold below this is their rooms' and stands', no instrument's; of lower notes, below two thirds."""
_FLOOR_DB = -120.0


def _db(power: Array) -> Array:
    return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (_FLOOR_DB / 10.0))))


def level_contour(audio: Array, sample_rate: float, step_s: float = STEP_S, window_s: float = STEP_S) -> Array:
    """RMS level in dB of windows centred at (k + 1/2) steps; shape [ceil(duration / step_s)], at least one value.

    With the default window the windows tile the audio. Outside the audio is silence, -120 dB is the floor.
    """
    audio = np.asarray(audio, dtype=np.float64)
    frames = max(1, int(np.ceil(len(audio) / (step_s * sample_rate))))
    energy = np.concatenate([[0.0], np.cumsum(audio**2)])
    centres = (np.arange(frames) + 0.5) * step_s * sample_rate
    half = window_s * sample_rate / 2
    ends = [np.clip(np.round(centres + side).astype(int), 0, len(audio)) for side in (-half, half)]
    return _db((energy[ends[1]] - energy[ends[0]]) / max(1.0, 2 * half))


def sounding_span(audio: Array, sample_rate: float, depth_db: float = TRIM_DB) -> tuple[float, float]:
    """First and last time (s) at which the 10 ms level is within ``depth_db`` (< 0) of its top."""
    contour = level_contour(audio, sample_rate)
    loud = np.flatnonzero(contour >= contour.max() + depth_db)
    return float(loud[0] * STEP_S), float(min((loud[-1] + 1) * STEP_S, len(audio) / sample_rate))


def trim(audio: Array, sample_rate: float, depth_db: float = TRIM_DB) -> Array:
    """The audio between the first and last 10 ms within ``depth_db`` of its loudest 10 ms."""
    start, stop = sounding_span(audio, sample_rate, depth_db)
    return np.asarray(audio[round(start * sample_rate):round(stop * sample_rate)], dtype=np.float64)


def _mel(hz: Array) -> Array:
    """Slaney's mel scale: even to 1 kHz, logarithmic above."""
    return np.where(hz < 1000.0, hz * 3.0 / 200.0, 15.0 + 27.0 * np.log(np.maximum(hz, 1e-9) / 1000.0) / np.log(6.4))


@lru_cache(maxsize=8)
def _mel_matrix(sample_rate: float) -> Array:
    """Triangles of equal area, evenly spaced on Slaney's mel scale (the common default); shape [bands, bins].

    No scale and weighting is named by the definition. Of the three usual ones (HTK with equal peaks, HTK with equal
    areas, Slaney) this has the least spread over instruments against the medians published for FluidSynth.
    """
    grid = np.linspace(0.0, 16_000.0, 160_001)
    low, high = _mel(np.array([MEL_LOW_HZ, MEL_HIGH_HZ]))
    edges = np.interp(np.linspace(low, high, MEL_BANDS + 2), _mel(grid), grid)
    hz = np.arange(FFT_SIZE // 2 + 1) * sample_rate / FFT_SIZE
    rising = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
    matrix: Array = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return matrix


def mel_power(audio: Array, sample_rate: float) -> Array:
    """Power in 64 mel bands, 40 Hz to 15 kHz, every 10 ms; frames centred on their times; shape [frames, 64]."""
    audio = np.asarray(audio, dtype=np.float64)
    hop = STEP_S * sample_rate
    frames = max(1, int(len(audio) / hop) + 1)
    padded = np.pad(audio, FFT_SIZE)
    starts = np.round(np.arange(frames) * hop).astype(int) + FFT_SIZE // 2
    window = np.hanning(FFT_SIZE + 1)[:-1]
    spectra = np.fft.rfft(padded[starts[:, None] + np.arange(FFT_SIZE)] * window)
    power: Array = (np.abs(spectra) ** 2) @ _mel_matrix(float(sample_rate)).T
    return power


def _warp(cost: Array) -> float:
    """Mean cost along the cheapest path of unit steps from corner to corner of [n, m]."""
    rows, columns = cost.shape
    total = np.full((2, rows + 1), np.inf)  # the two diagonals before, by row; index 0 is outside
    length = np.zeros((2, rows + 1))
    for diagonal in range(rows + columns - 1):
        first, last = max(0, diagonal - columns + 1), min(rows - 1, diagonal)
        row = np.arange(first, last + 1)
        before = np.stack([total[1, row], total[1, row + 1], total[0, row]])  # step down, right, both
        steps = np.stack([length[1, row], length[1, row + 1], length[0, row]])
        if diagonal == 0:
            before[:] = 0.0
        best = np.argmin(before, axis=0)
        pick = np.arange(len(row))
        new_total, new_length = np.full(rows + 1, np.inf), np.zeros(rows + 1)
        new_total[row + 1] = before[best, pick] + cost[row, diagonal - row]
        new_length[row + 1] = steps[best, pick] + 1
        total, length = np.stack([total[1], new_total]), np.stack([length[1], new_length])
    return float(total[1, rows] / length[1, rows])


def warped_distance(clip: Array, other: Array, sample_rate: float) -> float:
    """How far ``other`` is from the real ``clip`` in dB, whatever their timing.

    Both are trimmed at -40 dB of their top and brought to equal energy; log mel power is clamped 45 dB below the
    clip's top; the absolute difference is averaged over bands and over the dynamic-time-warping path of unit steps.
    """
    reference, candidate = (mel_power(trim(audio, sample_rate), sample_rate) for audio in (clip, other))
    if not (reference.sum() > 0 and candidate.sum() > 0):
        raise ValueError("a clip is silent; give sound to both sides")
    candidate = candidate * (reference.sum() / candidate.sum())
    floor = 10.0 * np.log10(reference.max()) + WARPED_CLAMP_DB
    a, b = (np.maximum(10.0 * np.log10(np.maximum(power, 1e-300)), floor) for power in (reference, candidate))
    cost = np.stack([np.abs(b - frame).mean(axis=1) for frame in a])
    return _warp(cost)


def sustain_spectrum(audio: Array, sample_rate: float) -> Array:
    """Mean mel power over 20 to 70 % of the trimmed note, dB re its maximum, clamped at -40 dB; shape [64]."""
    power = mel_power(trim(audio, sample_rate), sample_rate)
    first = int(0.2 * len(power))
    mean = power[first:max(first + 1, int(np.ceil(0.7 * len(power))))].mean(axis=0)
    if not mean.max() > 0:
        raise ValueError("a clip is silent; give sound to both sides")
    return np.asarray(np.maximum(10.0 * np.log10(np.maximum(mean / mean.max(), 1e-30)), SUSTAIN_CLAMP_DB))


def sustain_distance(clip: Array, other: Array, sample_rate: float) -> float:
    """Mean absolute difference in dB of the two sustain spectra."""
    return float(np.abs(sustain_spectrum(clip, sample_rate) - sustain_spectrum(other, sample_rate)).mean())


def contour_correlation(clip: Array, other: Array, sample_rate: float, notes: Sequence[tuple[float, float]] = (),
                        stretch: bool = False) -> float:
    """Pearson r of the 10 ms level contours in dB, where the clip sounds within 35 dB of its top.

    Args:
        clip: what the player did; shape [N].
        other: the same moments of another rendering, times aligned; shape [M].
        sample_rate: of both, Hz.
        notes: (onset, offset) in s; only frames inside them count. Empty: all frames.
        stretch: the other cannot follow the clip's length (a take of another length): both are trimmed and the
            other's contour is stretched linearly onto the clip's.

    Returns:
        r; 0 where the other does not move at all; NaN with fewer than 5 frames.
    """
    if stretch:
        clip, other = trim(clip, sample_rate), trim(other, sample_rate)
    reference, candidate = level_contour(clip, sample_rate), level_contour(other, sample_rate)
    if stretch:
        places = np.linspace(0, len(candidate) - 1, len(reference))
        candidate = np.interp(places, np.arange(len(candidate)), candidate)
    # What is 60 dB below its top is silence: otherwise the depth of digital silence would rule r.
    candidate = np.maximum(candidate, candidate.max() - 60.0)
    frames = len(reference)
    candidate = np.pad(candidate[:frames], (0, max(0, frames - len(candidate))), constant_values=candidate.max() - 60.0)
    keep = reference >= reference.max() - CONTOUR_DEPTH_DB
    if notes:
        times = (np.arange(frames) + 0.5) * STEP_S
        keep &= np.any([(times >= onset) & (times < offset) for onset, offset in notes], axis=0)
    if keep.sum() < 5:
        return float("nan")
    x, y = reference[keep] - reference[keep].mean(), candidate[keep] - candidate[keep].mean()
    scale = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return float((x * y).sum() / scale) if scale > 1e-9 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteTimes:
    """Times of a single note in its audio.

    Attributes:
        onset_s: first rise to 25 dB below the note's top.
        offset_s: where the release begins: the level leaves 3 dB below its end level for good.
        attack_s: from 10 to 90 % of the body's amplitude.
        release_s: from 3 to 20 dB below the end level.
        body_db: median level between 20 and 70 % of the sounding span.
    """

    onset_s: float
    offset_s: float
    attack_s: float
    release_s: float
    body_db: float


def _crossing(level: Array, threshold: float, start: int, direction: int) -> float:
    """Place (fractional index) where ``level`` crosses ``threshold``, walking from ``start`` in ``direction``."""
    place = start
    while 0 <= place + direction < len(level):
        here, there = level[place], level[place + direction]
        if here >= threshold > there:
            return place + direction * float((here - threshold) / (here - there))
        place += direction
    return float(place)


def without_rumble(audio: Array, sample_rate: float, f0_hz: float) -> Array:
    """The sound above two thirds of its fundamental, above ``RUMBLE_HZ`` at most: below, it is the room's.

    Some recordings rumble 20 dB below the note, from the first sample to the last.
    """
    sections = butter(4, min(RUMBLE_HZ, 2.0 / 3.0 * f0_hz), "highpass", fs=sample_rate, output="sos")
    return np.asarray(sosfiltfilt(sections, audio, padlen=min(len(audio) - 1, round(0.05 * sample_rate))))


def note_times(audio: Array, sample_rate: float, f0_hz: float) -> NoteTimes:
    """Onset, offset, attack and release of the single note in ``audio``.

    The level window is a whole number of periods of ``f0_hz``, two and 5 ms at least: others would follow the
    waveform. The attack is walked back from the first arrival at 90 % of the body: what came before does not count, nor
    does what rumbles below the note.
    """
    step = 0.001
    audio = without_rumble(audio, sample_rate, f0_hz)
    level = level_contour(audio, sample_rate, step, max(2, int(np.ceil(0.005 * f0_hz))) / f0_hz)
    top = float(level.max())
    loud = np.flatnonzero(level >= top + ONSET_DB)
    first, last = int(loud[0]), int(loud[-1])
    span = level[first:last + 1]
    body = float(np.median(span[int(0.2 * len(span)):max(int(0.2 * len(span)) + 1, int(0.7 * len(span)))]))
    arrival = first + int(np.argmax(span >= body + 20 * np.log10(0.9)))
    risen = _crossing(level, body + 20 * np.log10(0.9), arrival, -1)
    begun = _crossing(level, body - 20.0, arrival, -1)
    # The end level is that of the last fifth before the fall; a long diminuendo is not a release.
    fallen = np.flatnonzero(level >= body - 10.0)
    end = int(fallen[-1]) if len(fallen) else last
    start_of_end = max(arrival, end - max(20, (end - first) // 5))
    end_level = float(np.percentile(level[start_of_end:end + 1], 75))
    above = np.flatnonzero(level >= end_level - 3.0)
    leaves = _crossing(level, end_level - 3.0, int(above[-1]), 1)
    gone = _crossing(level, end_level - 20.0, int(above[-1]), 1)
    return NoteTimes(onset_s=(first + 0.5) * step, offset_s=(leaves + 0.5) * step,
                     attack_s=max(0.0, (risen - begun) * step), release_s=(gone - leaves) * step, body_db=body)


def energy_above(audio: Array, sample_rate: float, start_s: float, stop_s: float, cutoff_hz: float = CLICK_HZ) -> float:
    """Energy above ``cutoff_hz`` between two times, dB: a broadband click at a joint shows here."""
    high = sosfiltfilt(butter(8, cutoff_hz, "highpass", fs=sample_rate, output="sos"), audio)
    part = high[max(0, round(start_s * sample_rate)):round(stop_s * sample_rate)]
    return float(_db(np.asarray((part**2).sum())))


def mel_patches(audio: Array, sample_rate: float, frames: int = 16) -> Array:
    """Log-mel patches of ``frames`` x 10 ms, half overlapping, each re its own level; shape [patches, frames * 64].

    Patches below -35 dB of the clip's top are left out, and values are clamped 60 dB under the patch's maximum, so
    that neither silence nor gain tells two sets apart.
    """
    power = mel_power(trim(audio, sample_rate), sample_rate)
    level = power.sum(axis=1)
    patches = []
    for start in range(0, len(power) - frames + 1, frames // 2):
        patch = power[start:start + frames]
        if 10 * np.log10(patch.sum(axis=1).max() / level.max()) < -35.0:
            continue
        value = 10 * np.log10(np.maximum(patch / patch.max(), 1e-6))
        patches.append((value - value.mean()).ravel())
    return np.array(patches).reshape(-1, frames * MEL_BANDS)


def _fit_logistic(features: Array, labels: Array, ridge: float) -> Array:
    """Weights (bias last) of ridge logistic regression by Newton steps; features are standardised."""
    design = np.column_stack([features, np.ones(len(features))])
    weights = np.zeros(design.shape[1])
    penalty = np.full(design.shape[1], ridge)
    penalty[-1] = 1e-6
    for _ in range(25):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (chance - labels) + penalty * weights
        hessian = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    return weights


def _principal_axes(centred: Array, count: int) -> Array:
    """The ``count`` directions of most variance, unit length; shape [features, count]."""
    rows, columns = centred.shape
    if rows >= columns:
        axes = np.linalg.eigh(centred.T @ centred)[1]
    else:  # the same space from the smaller matrix
        axes = centred.T @ np.linalg.eigh(centred @ centred.T)[1]
    axes = axes[:, ::-1][:, :count]
    return np.asarray(axes / np.maximum(np.linalg.norm(axes, axis=0), 1e-12))


def area_under_curve(scores: Array, labels: Array) -> float:
    """Chance that a random positive scores above a random negative; ties count half."""
    order = np.argsort(scores, kind="stable")
    _, group, count = np.unique(scores[order], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2.0)[group]
    positive = labels[order].astype(bool)
    n, m = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


Labelled = list[tuple[Array, int]]
"""Patches of recordings, each with the set it is of: 0 or 1."""


def split_by_recording(first: Sequence[Array], second: Sequence[Array], random: np.random.Generator) -> tuple[
        Labelled, Labelled]:
    """Half of the recordings to learn from, half to tell; item i of both sets goes to the same side, for a rendering
    and the clip it renders share the notes. Recordings without patches are left out."""
    order = random.permutation(max(len(first), len(second)))
    trained = set(order[: len(order) // 2].tolist())
    sides: dict[bool, Labelled] = {True: [], False: []}
    for label, items in enumerate((first, second)):
        for index, patches in enumerate(items):
            if len(patches):
                sides[index in trained].append((patches, label))
    return sides[True], sides[False]


def two_sample_auc(first: Sequence[Array], second: Sequence[Array], seeds: Sequence[int] = (0, 1, 2, 3, 4),
                   components: int = 60, ridge: float = 10.0) -> float:
    """How well a classifier tells two sets of recordings apart: 0.5 not at all, 1 always.

    Patches of one recording never stand on both sides of the split (``split_by_recording``). Patches are reduced to
    principal components of the training half, standardised, and told apart by ridge logistic regression; a held-out
    recording's score is the mean over its patches.

    Args:
        first, second: for each recording its patches [n, features]; recordings without patches are left out.
        seeds: one split each; the mean AUC is returned.
        components: of the reduction.
        ridge: weight of the penalty.
    """
    aucs = []
    for seed in seeds:
        learned, told = split_by_recording(first, second, np.random.default_rng(seed))
        features = np.concatenate([patches for patches, _ in learned])
        labels = np.concatenate([np.full(len(patches), label) for patches, label in learned])
        mean = features.mean(axis=0)
        count = min(components, *features.shape)
        axes = _principal_axes(features - mean, count)
        reduced = (features - mean) @ axes
        scale = reduced.std(axis=0) + 1e-9
        weights = _fit_logistic(reduced / scale, labels.astype(float), ridge)
        scores = np.array([(((patches - mean) @ axes / scale) @ weights[:-1]).mean() for patches, _ in told])
        aucs.append(area_under_curve(scores, np.array([label for _, label in told])))
    return float(np.mean(aucs))
