"""Pitch, voicing and level of a whole recording, found piece by piece.

Conventions: 250 frames a second, frame k at k / 250 s. The recording is read twice, once for its highest level and once
to be tracked, in overlapping pieces; only the contours themselves, a few bytes a frame, grow with its length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.audio_files import AudioFileError
from mididdsp.audio_stream import Recording, Window
from mididdsp.synthesis.analysis import ANALYSIS_RATE, HOP, level_contour
from mididdsp.synthesis.tracking import Track, track_pitch
from mididdsp.units import SILENCE_DB

Array = NDArray[np.floating[Any]]

TRACKERS = ("own", "crepe", "crepe-full")
"""Pitch trackers by name; the first is the default (figures in docs/listen.md)."""

PIECE_S, OVERLAP_S = 10.0, 1.5
"""Tracked at once, and added on either side: a path over pitches forgets where it came from within a second."""

QUIETEST_DB = -90.0
"""A recording whose loudest 10 ms lie below this holds no music."""

LOWEST, HIGHEST = 21.0, 109.0
"""MIDI numbers between which a pitch is looked for where no instrument is named: up to a piccolo's highest."""

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contours:
    """What was heard, frame by frame.

    Attributes:
        f0_hz: fundamental, > 0, held through unvoiced frames; float32 [T].
        voiced: whether there is one; bool [T].
        periodicity: the tracker's confidence, 0 to 1; float32 [T].
        level_db: power of the sound without rumble in Hann windows of 10 ms, dB re 1.0; float32 [T].
    """

    f0_hz: NDArray[np.float32]
    voiced: NDArray[np.bool_]
    periodicity: NDArray[np.float32]
    level_db: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.f0_hz)


def track_recording(
    recording: Recording,
    *,
    tracker: str = TRACKERS[0],
    low: float = LOWEST,
    high: float = HIGHEST,
    progress: Progress | None = None,
) -> Contours:
    """Contours of a recording of one monophonic instrument.

    Args:
        recording: to listen to.
        tracker: one of ``TRACKERS``.
        low, high: MIDI numbers between which its pitch lies.
        progress: told the share done.

    Raises:
        AudioFileError: the recording is damaged or silent.
        ValueError: there is no such tracker.
    """
    track = tracker_named(tracker)
    top_db = _top_level(recording)
    if top_db < QUIETEST_DB:
        raise AudioFileError(f"{recording.name} is silent (its loudest moment is "
                             f"{'digital silence' if top_db <= SILENCE_DB else f'at {top_db:.0f} dB'}); "
                             "give a recording with sound")
    window = Window(recording, ANALYSIS_RATE)
    piece, overlap = int(PIECE_S * ANALYSIS_RATE / HOP), int(OVERLAP_S * ANALYSIS_RATE / HOP)
    expected = recording.seconds * ANALYSIS_RATE / HOP
    found: list[Track] = []
    first = 0
    while window.end is None or first * HOP <= window.end:
        begin = max(0, first - overlap)
        audio = window.read(begin * HOP, (first + piece + overlap) * HOP)
        if window.end is not None:
            audio = audio[: max(0, window.end - begin * HOP)]
        heard = track(audio.astype(np.float64), low, high, top_db)
        found.append(_part(heard, first - begin, min(first - begin + piece, len(heard.f0_hz))))
        first += piece
        if progress is not None:
            progress(min(1.0, first / expected))
    return Contours(
        f0_hz=np.concatenate([part.f0_hz for part in found]).astype(np.float32),
        voiced=np.concatenate([part.voiced for part in found]),
        periodicity=np.concatenate([part.periodicity for part in found]).astype(np.float32),
        level_db=np.concatenate([part.level_db for part in found]).astype(np.float32),
    )


def tracker_named(name: str) -> Callable[[Array, float, float, float], Track]:
    """The tracker of that name: takes audio at ``ANALYSIS_RATE``, low and high pitch and the highest level."""
    if name == "own":
        return lambda audio, low, high, top_db: track_pitch(audio, low=low, high=high, chunk_s=5.0, top_db=top_db)
    if name in TRACKERS:
        from mididdsp.synthesis.crepe import track_with_crepe

        model = "full" if name == "crepe-full" else "tiny"
        return lambda audio, low, high, top_db: track_with_crepe(audio, model=model, low=low, high=high, top_db=top_db)
    raise ValueError(f"the tracker is {name!r}; choose {', '.join(TRACKERS)}")


def _part(track: Track, first: int, last: int) -> Track:
    return Track(f0_hz=track.f0_hz[first:last].astype(np.float32), voiced=track.voiced[first:last].copy(),
                 periodicity=track.periodicity[first:last].astype(np.float32),
                 level_db=track.level_db[first:last].astype(np.float32))


def _top_level(recording: Recording) -> float:
    """Highest level of 10 ms, dB re 1.0."""
    top = SILENCE_DB
    for block in recording.blocks(ANALYSIS_RATE):
        if len(block):
            top = max(top, float(level_contour(block.astype(np.float64)).max()))
    return top
