"""Which note of a revised score is which note of the old one.

Parts are paired by name, then by what they play. Inside a pair of parts the notes, by onset, are aligned so that what
is alike lies together: pitch (as written before, or moved by one of the intervals by which much of the part has moved),
length and distance in beats, the interval from the note before, and where the note stands against its old place. A
passage may move as a whole (a bar put in or taken out before it), so a place counts as kept where many notes have moved
by as much. A note that is alike in nothing but its place counts as changed; one with no counterpart as new or gone.

Conventions: times are compared in quarter notes, so that a change of tempo changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.bars import beat_at
from mididdsp.notes.types import Note, Part, Score

Array = NDArray[np.floating[Any]]

_SAME_BEATS = 0.02
"""Quarter notes: onsets and lengths this near are the same; editors round to 1/480 and less."""

_GAP = -1.0
"""What a note without counterpart costs, on the scale of the scores below."""

_SHIFTS = 6
_INTERVALS = 3
_LARGEST = 6_000
"""Notes of a part that are aligned at once; longer parts are cut where both rest, at the same place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A note that both scores have.

    Attributes:
        old, new: ids.
        pitch: semitones it has moved.
        duration: quarter notes it has grown.
        place: quarter notes its onset has moved.
    """

    old: str
    new: str
    pitch: float
    duration: float
    place: float

    @property
    def unchanged(self) -> bool:
        """Pitch and length are as before; it may have moved with what is around it."""
        return abs(self.pitch) < 0.01 and abs(self.duration) <= 2 * _SAME_BEATS


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """What became of each note.

    Attributes:
        matches: notes of both scores, in the order of the new one.
        parts: name of a new part to the name of the old part it continues.
        new: ids that only the new score has.
        gone: ids that only the old score had.
    """

    matches: tuple[Match, ...]
    parts: dict[str, str]
    new: tuple[str, ...]
    gone: tuple[str, ...]


def align(old: Score, new: Score) -> Alignment:
    """Pair the notes of two versions of a score; every note is in at most one pair."""
    pairs = _paired_parts(old, new)
    matches: list[Match] = []
    for new_part in new.parts:
        if new_part.name in pairs:
            old_part = next(part for part in old.parts if part.name == pairs[new_part.name])
            matches += _aligned(old, old_part, new, new_part)
    kept_old, kept_new = {match.old for match in matches}, {match.new for match in matches}
    return Alignment(
        matches=tuple(matches), parts=pairs,
        new=tuple(note.id for part in new.parts for note in part.notes if note.id not in kept_new),
        gone=tuple(note.id for part in old.parts for note in part.notes if note.id not in kept_old))


def _paired_parts(old: Score, new: Score) -> dict[str, str]:
    """New part to old part: the same name first, then the likest of those left, where they are alike at all."""
    pairs = {part.name: part.name for part in new.parts if any(item.name == part.name for item in old.parts)}
    left_old = [part for part in old.parts if part.name not in pairs.values()]
    left_new = [part for part in new.parts if part.name not in pairs]
    likeness = sorted(((_likeness(a, b), b.name, a.name) for a in left_old for b in left_new), reverse=True)
    for value, new_name, old_name in likeness:
        if value >= 0.3 and new_name not in pairs and old_name not in pairs.values():
            pairs[new_name] = old_name
    return pairs


def _likeness(a: Part, b: Part) -> float:
    """Share of four-note melodic figures that two parts have in common, and a little for the same instrument."""
    def figures(part: Part) -> set[tuple[float, ...]]:
        steps = [round(y.pitch - x.pitch, 1) for x, y in zip(part.notes, part.notes[1:])]
        return set(zip(steps, steps[1:], steps[2:]))

    first, second = figures(a), figures(b)
    shared = len(first & second) / max(1, min(len(first), len(second)))
    return shared + (0.3 if a.instrument == b.instrument else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """The notes of a part as arrays: onset and length in beats, pitch, distance and interval from the note before."""

    notes: tuple[Note, ...]
    onset: Array
    length: Array
    pitch: Array
    distance: Array
    interval: Array


def _line(score: Score, notes: Sequence[Note]) -> _Line:
    onset = np.array([beat_at(score.tempo, note.onset) for note in notes])
    end = np.array([beat_at(score.tempo, note.offset) for note in notes])
    pitch = np.array([note.pitch for note in notes])
    before = np.concatenate([[np.nan], onset[:-1]]) if len(notes) else onset
    below = np.concatenate([[np.nan], pitch[:-1]]) if len(notes) else pitch
    return _Line(notes=tuple(notes), onset=onset, length=end - onset, pitch=pitch, distance=onset - before,
                 interval=pitch - below)


def _aligned(old: Score, old_part: Part, new: Score, new_part: Part) -> list[Match]:
    matches: list[Match] = []
    for old_notes, new_notes in _cut(old_part.notes, new_part.notes):
        a, b = _line(old, old_notes), _line(new, new_notes)
        for i, j in _path(_scores(a, b)):
            matches.append(Match(
                old=a.notes[i].id, new=b.notes[j].id, pitch=float(b.pitch[j] - a.pitch[i]),
                duration=float(b.length[j] - a.length[i]), place=float(b.onset[j] - a.onset[i])))
    return matches


def _cut(old: tuple[Note, ...], new: tuple[Note, ...]) -> list[tuple[tuple[Note, ...], tuple[Note, ...]]]:
    """The two lists in pieces of at most ``_LARGEST``, cut at the same share of both: the work goes with the square."""
    pieces = max(1, -(-max(len(old), len(new)) // _LARGEST))
    ends = [[round(len(notes) * k / pieces) for k in range(pieces + 1)] for notes in (old, new)]
    return [(old[ends[0][k]:ends[0][k + 1]], new[ends[1][k]:ends[1][k + 1]]) for k in range(pieces)]


def _scores(a: _Line, b: _Line) -> Array:
    """How alike each pair of notes is; [old, new]. Below twice the cost of a gap a pair is no pair."""
    moved = b.pitch[None, :] - a.pitch[:, None]
    same_length = np.abs(b.length[None, :] - a.length[:, None]) <= _SAME_BEATS + 0.02 * a.length[:, None]
    with np.errstate(invalid="ignore"):
        same_distance = np.abs(b.distance[None, :] - a.distance[:, None]) <= _SAME_BEATS
        same_interval = np.abs(b.interval[None, :] - a.interval[:, None]) < 0.01
    place = b.onset[None, :] - a.onset[:, None]
    alike = (same_length & same_distance).astype(np.float64)
    kept_pitch = np.abs(moved) < 0.01
    # by how much the part, or much of it, has moved in pitch and in time
    transposed = np.zeros_like(moved)
    for interval, share in _commonest(np.round(moved, 2), alike * same_interval, _INTERVALS):
        transposed = np.maximum(transposed, np.where(np.abs(moved - interval) < 0.01, share, 0.0))
    settled = np.zeros_like(moved)
    for shift, share in _commonest(np.round(place / _SAME_BEATS) * _SAME_BEATS, alike * (kept_pitch + transposed),
                                   _SHIFTS):
        settled = np.maximum(settled, np.where(np.abs(place - shift) <= 2 * _SAME_BEATS, 0.6 + 0.4 * share, 0.0))
    settled = np.maximum(settled, np.where(np.abs(place) <= 2 * _SAME_BEATS, 1.0, 0.0))
    by_pitch = np.where(kept_pitch, 3.0, np.where(transposed > 0.0, 1.5 + 1.5 * transposed, 0.0))
    by_pitch = np.where((by_pitch == 0.0) & (np.abs(moved) > 2.5), -1.5, by_pitch)
    by_pitch = np.where((by_pitch == 0.0), -0.5, by_pitch)
    return (by_pitch + 1.5 * settled + np.where(same_length, 1.0, -0.8) + np.where(same_distance, 0.5, -0.5)
            + np.where(same_interval, 0.7, 0.0))


def _commonest(values: Array, weights: Array, count: int) -> list[tuple[float, float]]:
    """The values of most weight, with their share of the greatest weight; those of a tenth of it and more."""
    found, where = np.unique(values, return_inverse=True)
    total = np.bincount(where.ravel(), weights=weights.ravel(), minlength=len(found))
    if not total.size or total.max() <= 0.0:
        return []
    order = np.argsort(-total, kind="stable")[:count]
    return [(float(found[index]), float(total[index] / total.max())) for index in order
            if total[index] >= 0.1 * total.max()]


def _path(scores: Array) -> list[tuple[int, int]]:
    """Pairs of the best alignment in order (Needleman and Wunsch 1970); each row in one step of arrays."""
    rows, columns = scores.shape
    if not rows or not columns:
        return []
    along = _GAP * np.arange(columns + 1)
    best = along.copy()
    came = np.empty((rows, columns + 1), np.int8)  # 0: a pair, 1: the old note is gone, 2: the new note is new
    for row in range(rows):
        gone = best + _GAP
        pair = np.concatenate([[-np.inf], best[:-1] + scores[row]])
        start = np.maximum(pair, gone)
        # a run of new notes: the best start to the left, less a gap a step
        best = np.maximum.accumulate(start - along) + along
        came[row] = np.where(best > start + 1e-9, 2, np.where(pair >= gone, 0, 1))
    found = []
    row, column = rows - 1, columns
    while row >= 0 and column > 0:
        step = came[row, column]
        if step == 0:
            found.append((row, column - 1))
        row -= step != 2
        column -= step != 1
    return [pair for pair in reversed(found) if scores[pair] >= 2 * _GAP + 0.5]
