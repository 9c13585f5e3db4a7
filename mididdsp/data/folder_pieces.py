"""A recording of any length → its notes with their frames, in pieces of 24 s that are cached one file each.

A piece is analysed with what lies around it, so that notes across its borders are whole; a note belongs to the piece
that its onset lies in. What is stopped goes on at the first piece that is not there yet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.folder_quality import CELL_S, Survey, mono_at_analysis_rate, purity
from mididdsp.data.phrases import measured_notes
from mididdsp.files import atomic_path
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.analysis import find_notes
from mididdsp.synthesis.analysis import ANALYSIS_RATE, CONTENT_HZ, NOISE_EDGES_HZ, Analysis, analyse_with_f0
from mididdsp.synthesis.tracking import track_pitch
from mididdsp.units import FRAME_RATE, hz_to_midi

Array = NDArray[np.floating[Any]]

PIECE_VERSION = 3
"""Raised when what is cached changes meaning; old pieces are then made anew."""

PIECE_S = 24.0
BEFORE_S, AFTER_S = 1.0, 4.0
"""What is analysed around a piece, s."""

QUIET_DB = 55.0
"""Frames this far below the recording's loud playing hold no notes."""

STRIP_EVERY = 10
"""Frames between the values kept for pictures."""

_MELODY_RANGE = (24.0, 106.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceTask:
    """One piece of a recording to analyse.

    Attributes:
        path: of the recording.
        target: file of the result.
        index: number of the piece, from 0.
        low, high: MIDI numbers between which its fundamental lies.
        loud_db: level of the recording's loud playing.
        ceiling_hz: above this the recording carries nothing.
    """

    path: str
    target: str
    index: int
    low: float
    high: float
    loud_db: float
    ceiling_hz: float


def piece_count(seconds: float) -> int:
    """How many pieces a recording of that length has."""
    return max(1, int(np.ceil(seconds / PIECE_S)))


def piece_file(dataset: Path, seen: Survey, instrument: str | None, index: int) -> Path:
    """Where a piece is cached: the name changes with the recording's bytes, the instrument and the analysis."""
    known = (PIECE_VERSION, seen.digest, instrument, PIECE_S, BEFORE_S, AFTER_S)
    return dataset / "pieces" / f"{hashlib.sha256(repr(known).encode()).hexdigest()[:16]}-{index:05d}.npz"


def reach_of(instrument: str | None) -> tuple[float, float]:
    """MIDI numbers between which an instrument's fundamental lies; the whole range where it is not known."""
    if instrument is None:
        return _MELODY_RANGE
    row = INSTRUMENTS[instrument]
    return row.low - 2.0, row.high + 2.0


def tasks(path: Path, dataset: Path, seen: Survey, instrument: str | None) -> list[PieceTask]:
    """The pieces of a recording that are not cached yet."""
    low, high = reach_of(instrument)
    found = []
    for index in range(piece_count(seen.seconds)):
        target = piece_file(dataset, seen, instrument, index)
        if not target.exists():
            found.append(PieceTask(path=str(path), target=str(target), index=index, low=low, high=high,
                                   loud_db=seen.loud_db, ceiling_hz=seen.ceiling_hz))
    return found


def piece_audio(path: Path, seen: Survey, wanted: set[int]) -> Iterator[tuple[int, Array]]:
    """(index, audio with what lies around it) of the wanted pieces, while the file is read once.

    The audio begins ``BEFORE_S`` before the piece (the first at 0) and is mono at ``ANALYSIS_RATE``.
    """
    held = np.zeros(0, np.float32)
    held_from = 0  # sample number of the first sample held
    index, last = 0, max(wanted, default=-1)

    def span(number: int) -> tuple[int, int]:
        start = max(0.0, number * PIECE_S - BEFORE_S)
        return round(start * ANALYSIS_RATE), round(((number + 1) * PIECE_S + AFTER_S) * ANALYSIS_RATE)

    for block in mono_at_analysis_rate(path, seen.downmix):
        held = np.concatenate([held, block])
        while index <= last and held_from + len(held) >= span(index)[1]:
            if index in wanted:
                yield index, held[span(index)[0] - held_from : span(index)[1] - held_from].astype(np.float64)
            index += 1
            drop = max(0, span(index)[0] - held_from)
            held, held_from = held[drop:], held_from + min(drop, len(held))
        if index > last:
            return
    while index <= last:
        if index in wanted:
            yield index, held[max(0, span(index)[0] - held_from) : span(index)[1] - held_from].astype(np.float64)
        index += 1


def analyse_piece(audio: Array, task: PieceTask) -> None:
    """Analyse a piece into its cache file."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # a second thread of the matrix library waits more than it works beside other workers
        _analyse_piece(audio, task)


def _analyse_piece(audio: Array, task: PieceTask) -> None:
    facts: dict[str, Any] = {"notes": []}
    arrays: dict[str, NDArray[Any]] = {}
    if len(audio) >= int(0.03 * ANALYSIS_RATE) and float(np.abs(audio).max()) > 0.0:
        facts["notes"], arrays = _heard(audio, task)
    with atomic_path(Path(task.target)) as partial, partial.open("wb") as stream:
        np.savez(stream, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)  # type: ignore[arg-type]


def _heard(audio: Array, task: PieceTask) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
    track = track_pitch(audio, low=task.low, high=task.high)
    voiced = track.voiced & (track.level_db > task.loud_db - QUIET_DB)
    begin = task.index * PIECE_S - max(0.0, task.index * PIECE_S - BEFORE_S)
    beside, peaked = purity(audio, track.f0_hz, every=STRIP_EVERY)
    inside = slice(round(begin * FRAME_RATE / STRIP_EVERY), round((begin + PIECE_S) * FRAME_RATE / STRIP_EVERY))
    arrays: dict[str, NDArray[Any]] = {
        "strip_pitch": hz_to_midi(track.f0_hz)[::STRIP_EVERY][inside].astype(np.float32),
        "strip_voiced": voiced[::STRIP_EVERY][inside],
        "strip_level": track.level_db[::STRIP_EVERY][inside].astype(np.float32),
    }
    found = find_notes(track.f0_hz, voiced, track.level_db, periodicity=track.periodicity)
    if not found:
        return [], arrays
    heard = _within_band(analyse_with_f0(audio, track.f0_hz, track.voiced), task.ceiling_hz)
    notes, kept = [], []
    for facts, frames in measured_notes(heard, found, {}):
        onset_s = facts["time"]
        if not begin <= onset_s < begin + PIECE_S:
            continue
        first = round(onset_s * FRAME_RATE)
        looks = _looks(first, first + facts["offset"] - facts["onset"], len(beside))
        onset, offset = facts["onset"], facts["offset"]
        partial_power = 10 ** (frames["partial_db"][onset:offset].astype(np.float64) / 10)
        noise_power = (10 ** (frames["noise_db"][onset:offset].astype(np.float64) / 10)).sum(1)
        notes.append({
            **facts, "time": onset_s + max(0.0, task.index * PIECE_S - BEFORE_S),
            "beside": float(np.median(beside[looks])), "peaked": float(np.median(peaked[looks])),
            "noise_share": float(np.median(noise_power / (partial_power + noise_power + 1e-20))),
            "frames": len(frames["level_db"]),
        })
        kept.append(frames)
    if kept:
        arrays |= {name: np.concatenate([frames[name] for frames in kept]) for name in kept[0]}
    return notes, arrays


def _looks(first: int, stop: int, count: int) -> slice:
    """The looks of :func:`purity` that lie in the body of a note, at least one."""
    begin = -(-(first + 6) // STRIP_EVERY)
    end = (stop - 4) // STRIP_EVERY + 1
    if begin >= end:
        begin = round((first + stop) / 2 / STRIP_EVERY)
        end = begin + 1
    begin = min(begin, count - 1)
    return slice(begin, max(min(end, count), begin + 1))


def _within_band(heard: Analysis, ceiling_hz: float) -> Analysis:
    """What lies above the recording's band is unknown: partials are NaN there, noise falls on, 12 dB an octave."""
    if ceiling_hz >= CONTENT_HZ:
        return heard
    number = np.arange(1, heard.partials.shape[1] + 1)
    partials = np.where(heard.f0_hz[:, None] * number < ceiling_hz, heard.partials, np.nan)
    edges = np.array(NOISE_EDGES_HZ)
    centres, widths = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    top = max(1, int(np.searchsorted(edges, ceiling_hz, side="right")) - 1)
    noise = heard.noise_db.copy()
    fall = -40.0 * np.log10(centres[top:] / centres[top - 1]) + 10.0 * np.log10(widths[top:] / widths[top - 1])
    noise[:, top:] = noise[:, top - 1 : top] + fall
    return replace(heard, partials=partials, noise_db=noise)


def load_piece(path: Path) -> tuple[list[tuple[dict[str, Any], dict[str, NDArray[Any]]]], dict[str, NDArray[Any]]]:
    """(notes with their frames, the strip: pitch, voiced and level every ``STRIP_EVERY`` frames) of a cached piece."""
    with np.load(path, allow_pickle=False) as file:
        facts = json.loads(file["facts"].tobytes().decode())
        arrays = {name: file[name] for name in file.files if name != "facts"}
    strip = {name.removeprefix("strip_"): arrays.pop(name) for name in list(arrays) if name.startswith("strip_")}
    if not strip:
        count = round(PIECE_S * FRAME_RATE / STRIP_EVERY)
        strip = {"pitch": np.full(count, 60.0, np.float32), "voiced": np.zeros(count, bool),
                 "level": np.full(count, -120.0, np.float32)}
    notes, start = [], 0
    for about in facts["notes"]:
        stop = start + about["frames"]
        notes.append((about, {name: values[start:stop] for name, values in arrays.items()}))
        start = stop
    return notes, strip


def clipped_share(seen: Survey, start_s: float, end_s: float) -> float:
    """The largest share of clipped samples in the cells of a stretch of the recording."""
    first = int(start_s / CELL_S)
    cells = seen.clipped[first : max(first + 1, int(np.ceil(end_s / CELL_S)))]
    return float(cells.max()) if len(cells) else 0.0
