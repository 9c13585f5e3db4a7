"""Recordings as unbroken runs of frames with the loudness they have: what the autoencoder learns from.

Made from the cached notes and phrases of a prepared data set, whose parameters say the loudness to a few hundredths of
a dB, and from whole recordings (``frames_of_recording``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.clips import load_mono
from mididdsp.data.notes_dataset import TrainingNote, load_notes, load_phrase_notes
from mididdsp.instruments import INSTRUMENTS
from mididdsp.synthesis.analysis import ANALYSIS_RATE, NOISE_EDGES_HZ, analyse_with_f0
from mididdsp.synthesis.conditions import QUIET_DB, loudness_of_parameters, measured_loudness, windowed
from mididdsp.synthesis.knots import KNOTS, partials_to_knots
from mididdsp.synthesis.tracking import track_pitch
from mididdsp.units import FRAME_RATE, midi_to_hz

_SILENT_DB = -140.0
LONGEST_PIECE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoundingFrames:
    """An unbroken run of frames of one instrument, 250 a second; levels with the calibrating gain.

    Attributes:
        item: the recording.
        instrument: a name of the table.
        f0_hz: [T].
        loudness_db: as ``synthesis.conditions`` defines it; [T].
        knots_db: mean square of the partials at the knots, dB; [T, K].
        known: which knots were heard; bool [T, K].
        noise_db: mean square of the noise bands, dB; [T, B].
        weight: how far the frame is to be trusted, 0 to 1; [T].
    """

    item: str
    instrument: str
    f0_hz: NDArray[np.float32]
    loudness_db: NDArray[np.float32]
    knots_db: NDArray[np.float32]
    known: NDArray[np.bool_]
    noise_db: NDArray[np.float32]
    weight: NDArray[np.float32]


def sounding_frames(dataset: Path, split: str) -> list[SoundingFrames]:
    """The notes and phrases of one split of a prepared data set; DataError when it was not prepared."""
    runs = [_joined([note]) for note in load_notes(dataset, split)]
    by_phrase: dict[str, list[TrainingNote]] = {}
    for note in load_phrase_notes(dataset, split):
        by_phrase.setdefault(note.facts["item"], []).append(note)
    return runs + [_joined(notes) for notes in by_phrase.values()]


def _joined(notes: list[TrainingNote]) -> SoundingFrames:
    """One note, or the notes of a phrase laid on one clock; where none was measured it is silent and has weight 0."""
    starts = [round(note.facts.get("time", 0.0) * FRAME_RATE) - note.facts["onset"] for note in notes]
    origin = min(starts)
    total = max(start - origin + len(note.frames["level_db"]) for start, note in zip(starts, notes))
    bands = len(NOISE_EDGES_HZ) - 1
    pitch = np.full(total, np.nan)
    knots = np.full((total, len(KNOTS)), _SILENT_DB, np.float32)
    known = np.zeros((total, len(KNOTS)), bool)
    noise = np.full((total, bands), _SILENT_DB, np.float32)
    weight = np.zeros(total, np.float32)
    for start, note in zip(starts, notes):
        facts, frames = note.facts, note.frames
        span = slice(start - origin, start - origin + len(frames["level_db"]))
        pitch[span] = facts["pitch"] + frames["f0_cents"] / 100.0
        knots[span] = np.where(frames["known"], frames["knots_db"].astype(np.float32) + note.gain_db, _SILENT_DB)
        known[span] = frames["known"]
        noise[span] = frames["noise_db"].astype(np.float32) + note.gain_db
        weight[span] = 1.0
        if facts["late_attack"]:
            weight[span.start : span.start + facts["onset"] + 15] = 0.0
    index = np.flatnonzero(np.isfinite(pitch))
    pitch = np.interp(np.arange(total), index, pitch[index])
    f0 = midi_to_hz(pitch)
    loudness = windowed(loudness_of_parameters(f0, knots, noise, NOISE_EDGES_HZ))
    return SoundingFrames(
        item=notes[0].facts["item"],
        instrument=notes[0].facts["instrument"],
        f0_hz=f0.astype(np.float32),
        loudness_db=loudness.astype(np.float32),
        knots_db=knots,
        known=known,
        noise_db=noise,
        weight=weight,
    )


def frames_of_recording(
    path: Path, instrument: str, *, item: str = "", gain_db: float | None = None, level_db: float = -26.0
) -> list[SoundingFrames]:
    """A whole recording as runs of at most ``LONGEST_PIECE_S``.

    Args:
        path: an audio file of one monophonic instrument.
        instrument: a name of the table; its range bounds the search for the fundamental.
        item: name of the recording; that of the file if not given.
        gain_db: added to all levels; if not given, the median of the louder half comes to ``level_db``.
        level_db: loudness.
    """
    audio = load_mono(path)
    table = INSTRUMENTS[instrument]
    runs = []
    step = int(LONGEST_PIECE_S * ANALYSIS_RATE)
    for first in range(0, len(audio), step):
        piece = audio[first : first + step]
        if len(piece) < ANALYSIS_RATE // 4 or not np.abs(piece).max() > 1e-3:
            continue
        track = track_pitch(piece, low=table.low - 2, high=table.high + 2)
        heard = analyse_with_f0(piece, track.f0_hz, track.voiced)
        knots, known = partials_to_knots(heard.partials**2 / 2.0)
        count = len(track.f0_hz)
        loudness = np.full(count, QUIET_DB)
        found = measured_loudness(piece, ANALYSIS_RATE)[:count]
        loudness[: len(found)] = found
        trusted = track.voiced & (track.periodicity > 0.3)
        runs.append(
            SoundingFrames(
                item=item or path.name,
                instrument=instrument,
                f0_hz=track.f0_hz.astype(np.float32),
                loudness_db=loudness.astype(np.float32),
                knots_db=knots.astype(np.float32),
                known=known,
                noise_db=heard.noise_db.astype(np.float32),
                weight=trusted.astype(np.float32),
            )
        )
    if gain_db is None:
        every = np.concatenate([run.loudness_db for run in runs]) if runs else np.zeros(1)
        gain_db = level_db - float(np.median(every[every >= np.median(every)]))
    return [louder(run, gain_db) for run in runs]


def louder(run: SoundingFrames, gain_db: float) -> SoundingFrames:
    """The same sound with all levels raised."""
    gain = np.float32(gain_db)
    return replace(run, loudness_db=run.loudness_db + gain, knots_db=run.knots_db + gain, noise_db=run.noise_db + gain)
