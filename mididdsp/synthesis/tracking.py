"""The fundamental of one monophonic instrument without knowing its notes: harmonic matching, then the best path.

Conventions: audio is mono at the analysis rate; candidates stand 25 cents apart; decisions are made 125 times a second
and refined to 250 by ``mididdsp.synthesis.analysis.track_f0``. Source: sub-harmonic summation (Hermes 1988) with the
energy half-way between partials counted against a candidate, and a Viterbi path over time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.synthesis.analysis import ANALYSIS_RATE, HOP, frame_count, level_contour, track_f0, without_rumble
from mididdsp.units import midi_to_hz

Array = NDArray[np.floating[Any]]

STEP_SEMITONES = 0.25
PATH_HOP = 2
"""Frames between decisions."""

WINDOWS = ((0.0, 34.0, 0.17), (34.0, 45.0, 0.11), (45.0, 62.0, 0.06), (62.0, 200.0, 0.032))
"""From MIDI number, up to, seconds: about five periods of the lowest note. In shorter windows the partials of a bass
and the valleys between them are one."""

PARTIALS, PARTIALS_HZ = 20, 1_200.0
"""A comb has so many partials, or as many as lie below this: a low note's power is far up."""

_JUMP_COST = 0.10
_VOICING_COST = 0.35
_UNVOICED_SCORE = 0.22
_QUIET_DB = 48.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """f0_hz [T] (held through unvoiced frames), voiced [T], periodicity 0–1 [T], level_db [T] (without rumble); 250
    frames a second."""

    f0_hz: Array
    voiced: NDArray[np.bool_]
    periodicity: Array
    level_db: Array


def track_pitch(
    audio: Array, *, low: float = 24.0, high: float = 106.0, chunk_s: float = 30.0, top_db: float | None = None
) -> Track:
    """Fundamental of the whole recording.

    Args:
        audio: mono at ``ANALYSIS_RATE``; [N].
        low, high: MIDI numbers between which it lies.
        chunk_s: spectra are made for this long at a time: memory does not grow with the square of anything.
        top_db: highest level of the recording, against which silence is told; None is that of ``audio``.
    """
    count = frame_count(len(audio))
    candidates = np.arange(low - 0.5, high + 0.51, STEP_SEMITONES)
    scores = []
    per_chunk = max(1, int(chunk_s * ANALYSIS_RATE / HOP / PATH_HOP))
    decisions = -(-count // PATH_HOP)
    for first in range(0, decisions, per_chunk):
        scores.append(_scores(audio, candidates, first, min(first + per_chunk, decisions)))
    score = np.concatenate(scores)
    level = level_contour(without_rumble(audio, float(midi_to_hz(low))))
    loudness = level_contour(audio, 0.03)[::PATH_HOP]
    quiet = loudness < (loudness.max() if top_db is None else top_db) - _QUIET_DB
    path, voiced = _path(score, quiet)
    guide = midi_to_hz(np.repeat(candidates[path], PATH_HOP)[:count])
    said = np.repeat(voiced, PATH_HOP)[:count]
    f0, heard = track_f0(audio, guide, reach_cents=60.0, top_db=top_db)
    periodicity = np.repeat(score[np.arange(len(path)), path], PATH_HOP)[:count]
    return Track(f0_hz=f0, voiced=said & heard, periodicity=np.clip(periodicity, 0.0, 1.0), level_db=level)


def _scores(audio: Array, candidates: Array, first: int, last: int) -> Array:
    """How well each candidate explains each decision frame, about 0–1; [last - first, candidates].

    Low candidates need long windows, high ones short ones: ``WINDOWS``.
    """
    result = np.zeros((last - first, len(candidates)))
    for low, high, window_s in WINDOWS:
        mine = np.flatnonzero((candidates >= low) & (candidates < high))
        if len(mine) == 0:
            continue
        window = int(window_s * ANALYSIS_RATE) // 2 * 2
        size = 1 << int(np.ceil(np.log2(window * 2)))
        half = window // 2
        begin = first * PATH_HOP * HOP - half
        end = (last - 1) * PATH_HOP * HOP + half
        piece = np.zeros(end - begin)
        inside = slice(max(begin, 0), min(end, len(audio)))
        piece[inside.start - begin : inside.stop - begin] = audio[inside]
        frames = np.lib.stride_tricks.sliding_window_view(piece, window)[:: PATH_HOP * HOP]
        from scipy import fft

        spectrum = np.abs(fft.rfft((frames * np.hanning(window)).astype(np.float32), size, axis=1))
        frequency = np.arange(spectrum.shape[1]) * ANALYSIS_RATE / size
        use = frequency < 6_000.0
        root = np.sqrt(spectrum[:, use])
        root /= np.sqrt((root**2).sum(1, keepdims=True)) + 1e-9
        result[:, mine] = root @ _matching(candidates[mine], frequency[use], ANALYSIS_RATE / window)
    return result


def _matching(candidates: Array, frequency: Array, resolution_hz: float) -> NDArray[np.float32]:
    """Matrix [bins, candidates] of harmonic combs with valleys half-way; unit positive weight a candidate."""
    hz = midi_to_hz(candidates)
    ratio = frequency[:, None] / hz[None, :]
    number = np.rint(ratio)
    last = np.maximum(PARTIALS, PARTIALS_HZ / hz)
    off = (ratio - number) * hz[None, :] / resolution_hz  # in bins of the window
    peak = np.exp(-((off / 0.9) ** 2)) * (number >= 1) * np.maximum(number, 1.0) ** -0.5 * (number <= last)
    valley_number = np.floor(ratio) + 0.5
    off = (ratio - valley_number) * hz[None, :] / resolution_hz
    valley = np.exp(-((off / 0.9) ** 2)) * np.maximum(valley_number, 1.0) ** -0.5 * (valley_number <= last)
    scale = np.sqrt((peak**2).sum(0)) + 1e-9
    return np.asarray((peak - valley) / scale, dtype=np.float32)


def _path(score: Array, quiet: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Viterbi over candidates plus silence; (candidate, voiced) of each decision."""
    count, size = score.shape
    reach = int(1.0 / STEP_SEMITONES)
    total = score[0].copy()
    silence = _UNVOICED_SCORE
    back = np.zeros((count, size), np.int32)  # -1: from silence
    back_silence = np.zeros(count, np.int32)  # -1: stayed silent
    for index in range(1, count):
        local = score[index] - (1.0 if quiet[index] else 0.0)
        best = int(np.argmax(total))
        arrive = np.full(size, total[best] - 3 * _JUMP_COST)
        source = np.full(size, best)
        for shift in range(-reach, reach + 1):  # near moves are cheap: vibrato and glides
            moved = np.full(size, -np.inf)
            if shift >= 0:
                moved[shift:] = total[: size - shift]
            else:
                moved[:shift] = total[-shift:]
            moved = moved - _JUMP_COST * abs(shift) / reach
            better = moved > arrive
            arrive = np.where(better, moved, arrive)
            source = np.where(better, np.arange(size) - shift, source)
        from_silence = silence - _VOICING_COST
        better = from_silence > arrive
        arrive = np.where(better, from_silence, arrive)
        source = np.where(better, -1, source)
        leave = total[best] - _VOICING_COST
        back_silence[index] = best if leave > silence else -1
        silence = max(silence, leave) + _UNVOICED_SCORE
        total = arrive + local
        back[index] = source
    path = np.zeros(count, np.int64)
    voiced = np.zeros(count, bool)
    state = -1 if silence > total.max() else int(np.argmax(total))
    for index in range(count - 1, -1, -1):
        voiced[index] = state >= 0
        path[index] = state
        if index:
            state = int(back_silence[index]) if state < 0 else int(back[index][state])
    if voiced.any():
        known = np.flatnonzero(voiced)
        path[~voiced] = path[known[np.clip(np.searchsorted(known, np.flatnonzero(~voiced)), 0, len(known) - 1)]]
    else:
        path[:] = np.argmax(score.sum(0))
    return path, voiced
