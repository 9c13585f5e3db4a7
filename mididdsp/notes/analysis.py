"""From pitch and level contours up to notes: where each begins, ends, what it plays, and how it is joined.

Conventions: contours have 250 frames a second; a note sounds on the frames [onset, offset). An attack begins where the
level starts its rise; a slurred note begins half-way between the two pitches, a slide belongs to both by halves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.notes.borders import CLEAR_DB, Border, centre, find_borders, smooth
from mididdsp.units import FRAME_RATE, hz_to_midi

Array = NDArray[np.floating[Any]]

SHORTEST_S = 0.045
SLUR_DIP_DB = 6.0
"""Where the pitch changes, a shallower dip than this is a slur (figures/playing.md measures joints so)."""

GAP_S = 0.06
"""Shorter unvoiced stretches do not end a note by themselves."""

EARLY_S = 0.15
"""The voicing decision may come this much later than the attack."""

ATTACK_DB = 25.0
"""An attack begins where the level is this far below its top, at the latest."""

FAINT_DB = 32.0
"""A note's top lies no further below the loudest of the two seconds around it; what does is a tail or the room."""

TAIL_DB = 15.0
"""What follows a note at its pitch this much softer, without a rise to speak of, is its tail."""

JOINED_GAP_S = 0.2
"""Over unvoiced stretches up to this long notes may be slurred."""

DIP_REACH_S = 0.12
"""How far to both sides of a gap its dip is measured."""

RISE_S = 0.35
"""The first loud moment of a note, to which its level rises, is looked for within this."""


FAR_DB = 22.0
"""So much softer than the note of its pitch before, it is its tail or the room."""

SCOOP_S, SCOOP_DB, SCOOP_TONE = 0.08, 3.0, 0.55
"""A beginning shorter than this, softer by this and with less than this share of the confidence is no note."""

SLIDE_SEMITONES = 0.4
"""A note of a slide moves by more than this between its ends, the way its neighbours lie."""

SLIDE_GAP = 10
"""Frames: between the notes of a slide there is no longer gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardNote:
    """A note found in a recording.

    Attributes:
        onset: first frame.
        offset: frame after the last.
        pitch: MIDI number as played: the median of its frames, fractions kept.
        joined: it follows the note before it without a new attack.
    """

    onset: int
    offset: int
    pitch: float
    joined: bool


def find_notes(
    f0_hz: Array, voiced: NDArray[np.bool_], level_db: Array, *,
    periodicity: Array | None = None, shortest_s: float = SHORTEST_S,
) -> list[HeardNote]:
    """Notes of a monophonic recording.

    Args:
        f0_hz: fundamental, > 0; [T].
        voiced: whether there is one; [T].
        level_db: level of the sound; [T].
        periodicity: the tracker's confidence, 0 to 1; [T]. A level that trembles leaves it as it is, a new attack
            does not.
        shortest_s: shorter stretches are no notes.
    """
    pitch = hz_to_midi(np.asarray(f0_hz, dtype=np.float64))
    raw = np.asarray(level_db, dtype=np.float64)
    shortest = max(3, round(shortest_s * FRAME_RATE))
    notes: list[HeardNote] = []
    ended = 0
    for start, stop in _runs(_close_gaps(voiced, int(GAP_S * FRAME_RATE))):
        if stop - start < shortest:
            continue
        inside = slice(start, stop)
        level = _without_ripple(raw, float(np.percentile(np.asarray(f0_hz)[inside], 10)))
        sure = None if periodicity is None else np.asarray(periodicity, dtype=np.float64)[inside]
        borders = find_borders(pitch[inside], voiced[inside], level[inside], sure, shortest)
        notes += _notes(borders, start, stop, pitch, voiced, level, ended)
        ended = stop
    notes = _without_scraps(notes, shortest)
    if periodicity is not None:
        notes = _without_scoops(notes, raw, np.asarray(periodicity, dtype=np.float64))
    return _without_slides(_without_tails(notes, raw), pitch)


def _notes(
    borders: list[Border], start: int, stop: int, pitch: Array, voiced: NDArray[np.bool_], level: Array, free: int
) -> list[HeardNote]:
    """The notes of a stretch [start, stop); ``free`` is where the stretch before ended."""
    joined = [False, *(border.dip_db < SLUR_DIP_DB and _moves(pitch, start + border.frame) for border in borders)]
    begins = [start]
    for border, slurred in zip(borders, joined[1:]):
        begins.append(min(max(start + (border.frame if slurred else border.attack), begins[-1] + 2), stop - 1))
    ends = [*begins[1:], stop]
    notes = []
    for index, (first, last) in enumerate(zip(begins, ends)):
        inside = level[first:last]
        onset, offset = first, last
        if index == 0:
            onset, joined[0] = _start(level, pitch, first, last, free)
        elif not joined[index]:
            onset = _rise(level, first, last)
        if index + 1 == len(begins) or not joined[index + 1]:
            above = np.flatnonzero(level[onset:last] >= float(np.percentile(inside, 70)) - 6.0)
            offset = onset + (int(above[-1]) + 1 if len(above) else 1)
        notes.append(HeardNote(onset=onset, offset=offset, pitch=_played(pitch, voiced, max(first, onset), last),
                               joined=joined[index]))
    return notes


def _moves(pitch: Array, frame: int) -> bool:
    """Whether the pitch is another before and after a frame."""
    before, after = pitch[max(0, frame - 12) : max(frame - 2, 1)], pitch[frame + 3 : frame + 13]
    return bool(len(after) and abs(float(np.median(before) - np.median(after))) > SLIDE_SEMITONES)


def _start(level: Array, pitch: Array, first: int, last: int, free: int) -> tuple[int, bool]:
    """Where the first note of a stretch begins, and whether it is slurred to the stretch before."""
    if free > 0 and first - free <= JOINED_GAP_S * FRAME_RATE:
        low = free + int(np.argmin(level[free : first + 1]))
        reach = int(DIP_REACH_S * FRAME_RATE)
        tops = float(level[max(0, free - reach) : free + 1].max()), float(level[first : min(last, first + reach)].max())
        if tops[0] > tops[1] - TAIL_DB and min(tops) - float(level[low]) < CLEAR_DB:
            moves = abs(float(np.median(pitch[max(0, free - 12) : free]) - np.median(pitch[first : first + 12])))
            return ((free + first) // 2, True) if moves > SLIDE_SEMITONES else (low, False)
    return _attack(level, first, last, free), False


def _attack(level: Array, first: int, last: int, earliest: int) -> int:
    """Where the rise to a note begins: at most ``EARLY_S`` before its first voiced frame."""
    return _rise(level, max(earliest, first - int(EARLY_S * FRAME_RATE), 0), last)


def _rise(level: Array, first: int, last: int) -> int:
    """Where the rise to the first loud moment in [first, last) begins: before it there may be the room, or breath."""
    early = level[first : min(last, first + int(RISE_S * FRAME_RATE))]
    top = float(early.max())
    loud = int(np.argmax(early >= top - 6.0))
    lowest = int(np.argmin(early[: loud + 1]))
    floor = float(early[lowest])
    below = np.flatnonzero(early[:loud] < max(top - ATTACK_DB, floor + 0.2 * (top - floor)))
    return first + (int(below[-1]) + 1 if len(below) and top - floor >= CLEAR_DB else lowest)


def _played(pitch: Array, voiced: NDArray[np.bool_], first: int, last: int) -> float:
    """Median of the middle half of a note's voiced frames, those left out where the tracker slipped."""
    frames = np.flatnonzero(voiced[first:last]) + first
    if not len(frames):
        frames = np.arange(first, last)
    quarter = len(frames) // 4
    inside = pitch[frames[quarter : len(frames) - quarter]]
    return float(np.median(inside[np.abs(inside - centre(inside)[0]) < 1.0]))


def _without_scraps(notes: list[HeardNote], shortest: int) -> list[HeardNote]:
    """What lies between two borders and is too short for a note is the beginning of the note after it."""
    kept: list[HeardNote] = []
    for note in notes:
        if kept and kept[-1].offset - kept[-1].onset < shortest and note.onset - kept[-1].offset <= 3:
            scrap = kept.pop()
            note = replace(note, onset=scrap.onset, joined=scrap.joined)
        kept.append(note)
    return kept


def _without_scoops(notes: list[HeardNote], level: Array, periodicity: Array) -> list[HeardNote]:
    """What is short, softer and less of a tone than the note of another pitch that it grows into is that note's
    beginning."""
    def typical(values: Array, note: HeardNote, percent: float) -> float:
        end = min(note.offset, note.onset + int(RISE_S * FRAME_RATE))
        return float(np.percentile(values[note.onset : end], percent))

    kept: list[HeardNote] = []
    for note in notes:
        if kept and note.joined and not kept[-1].joined and note.onset - kept[-1].offset <= 3:
            before = kept[-1]
            if (before.offset - before.onset < SCOOP_S * FRAME_RATE
                    and typical(level, before, 80) < typical(level, note, 80) - SCOOP_DB
                    and typical(periodicity, before, 50) < SCOOP_TONE * typical(periodicity, note, 50)):
                note = replace(note, onset=kept.pop().onset, joined=False)
        kept.append(note)
    return kept


def _without_tails(notes: list[HeardNote], level: Array) -> list[HeardNote]:
    """Leave out what only rings after a note, and what is far below all around it."""
    tops = [float(np.percentile(level[note.onset : note.offset], 80)) for note in notes]
    around = int(2.0 * FRAME_RATE)
    kept: list[HeardNote] = []
    kept_top = 0.0
    for note, top in zip(notes, tops):
        loudest = max(other_top for other, other_top in zip(notes, tops) if abs(other.onset - note.onset) <= around)
        if top < loudest - FAINT_DB:
            continue
        if kept and abs(kept[-1].pitch - note.pitch) < 0.7 and top < kept_top - TAIL_DB:
            rise = top - float(level[kept[-1].offset - 1 : note.onset + 1].min(initial=top))
            if rise < TAIL_DB or top < kept_top - FAR_DB:
                continue
        kept.append(note)
        kept_top = top
    return kept


def _without_slides(notes: list[HeardNote], pitch: Array) -> list[HeardNote]:
    """Two notes and more that only pass from one pitch to another are a slide between their neighbours."""
    def follows(index: int, way: float) -> bool:
        """Whether a note goes on the same way from the one before, without a gap."""
        before, note = notes[index - 1], notes[index]
        return note.onset - before.offset <= SLIDE_GAP and (note.pitch - before.pitch) * way > 0

    def passes(index: int, way: float) -> bool:
        note = notes[index]
        fifth = (note.offset - note.onset) // 5
        return float(pitch[note.offset - 1 - fifth] - pitch[note.onset + fifth]) * way > SLIDE_SEMITONES

    result: list[HeardNote] = []
    index = 0
    while index < len(notes):
        note = notes[index]
        result.append(note)
        index += 1
        if index >= len(notes):
            break
        way = float(np.sign(notes[index].pitch - note.pitch))
        last = index
        while last < len(notes) and follows(last, way) and passes(last, way):
            last += 1
        if last - index >= 2 and last < len(notes) and follows(last, way):
            target = notes[last]
            between = pitch[notes[index].onset : target.onset] - 0.5 * (note.pitch + target.pitch)
            border = notes[index].onset + int(np.argmax(between * way >= 0))
            result[-1] = replace(note, offset=border)
            notes[last] = replace(target, onset=border, joined=True)
            index = last
    return result


def _without_ripple(level: Array, lowest_hz: float) -> Array:
    """The level averaged over a period and a half of the lowest sound: shorter means show the wave itself."""
    width = 1 + 2 * round(0.75 * FRAME_RATE / lowest_hz)
    return smooth(level, max(3, width))


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2])]


def _close_gaps(mask: NDArray[np.bool_], longest: int) -> NDArray[np.bool_]:
    closed = mask.copy()
    for (_, end), (start, _) in zip(_runs(mask), _runs(mask)[1:]):
        if start - end <= longest:
            closed[end:start] = True
    return closed
