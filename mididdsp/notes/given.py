"""Notes that are known, laid over a recording of them: when each sounds.

What was heard (``find_notes``) and what is written are two lists of notes. A dynamic program pairs them in order: a
pair costs what the two pitches differ and what the time since the pair before differs from the tempo, and leaving a
note of either list alone costs too. The pairs give a map from written to sounding time, and with that map as a guide
they are found once more. Written notes without a pair are put where the map says, at a step of the pitch or a dip of
the level nearby. So the two need not be played at one tempo, nor in tune with each other, nor in one octave; notes may
be missing or added.

Conventions: times are seconds; contours have 250 frames a second. Notes written together (within ``TOGETHER_S``) are
one event and sound at one time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.notes.analysis import HeardNote
from mididdsp.notes.borders import dip_depths, smooth
from mididdsp.notes.types import Note
from mididdsp.units import FRAME_RATE, hz_to_midi

Array = NDArray[np.floating[Any]]

TOGETHER_S = 0.03
"""Notes that begin so near to each other are a chord."""

TRANSPOSITIONS = (0, -12, 12, -24, 24)
"""Semitones by which the recording may lie off the written octave."""

SKIP = 4
"""Notes in a row that may be left alone on either side at one step; longer runs take several steps."""

LONELY = 1.0
"""What a note without a pair costs, on either side."""

END = 0.5
"""… where it is before the first pair or after the last: one of the two may begin or end elsewhere."""

WRONG_PITCH = 1.7
"""What a pair costs whose pitches have nothing in common; less than two lonely notes, so that a wrong note is one."""

OCTAVE_PITCH = 0.6
"""… whose pitches are an octave or a twelfth apart: trackers err so."""

TEMPO_COST = 0.8
"""For each factor e by which a time between two pairs is off the tempo, up to ``OFF_TEMPO``."""

OFF_TEMPO = 1.6
OFF_MAP_S = 0.25
"""Once a map is known, seconds off it that cost as much as a lonely note."""

BAND, GUIDED_BAND = 400, 60
"""Notes to either side of the expected one that are looked at without a map and with one; keeps the work in proportion
to the length."""

SEARCH_S = 0.15
"""How far from the map an unpaired note's onset is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedNotes:
    """Where written notes sound.

    Attributes:
        notes: one for each written note, in order; the pitch is what was heard, or the written one in the recording's
            octave and tuning.
        heard: whether each was found in the recording; the others stand where the tempo puts them.
        extra: notes heard that none of the written ones explains, by number.
        transposition: semitones from the written octave to the sounding one.
    """

    notes: tuple[HeardNote, ...]
    heard: tuple[bool, ...]
    extra: tuple[int, ...]
    transposition: int


def align_notes(
    given: Sequence[Note], found: Sequence[HeardNote], f0_hz: Array, voiced: NDArray[np.bool_], level_db: Array
) -> AlignedNotes:
    """When written notes sound in a recording.

    Args:
        given: by onset, at least one; times in any tempo.
        found: what was heard without knowing them, at least one.
        f0_hz: fundamental, > 0; [T].
        voiced: whether there is one; [T].
        level_db: level of the sound; [T].

    Raises:
        ValueError: there are no notes on one of the sides, or hardly any of them agree.
    """
    if not given:
        raise ValueError("there are no notes to align; give at least one")
    if not found:
        raise ValueError("no notes were heard that the given ones could be aligned to; check the recording")
    events = _events(given)
    written = np.array([given[event[0]].onset for event in events])
    heard_at = np.array([note.onset for note in found]) / FRAME_RATE
    tuning = _tuning(found)
    shift = _octave(given, found, tuning)
    costs = _pitch_costs(given, events, found, tuning, shift)
    pairs = _pairs(costs, written, heard_at, None)
    if len(pairs) >= 2:
        pairs = _pairs(costs, written, heard_at, _time_map(pairs, written, heard_at))
    good = [(i, j) for i, j in pairs if costs[i, j] < WRONG_PITCH]
    agreeing = sum(bool(costs[i, j] < OCTAVE_PITCH) for i, j in good)
    if 10 * agreeing < 3 * min(len(events), len(found)):
        raise ValueError(f"only {agreeing} of {len(events)} given notes agree with what is played "
                         f"({len(found)} notes heard); check that they are the notes of this recording")
    return _placed(given, events, found, good, shift + tuning, shift, f0_hz, voiced, level_db)


def _events(given: Sequence[Note]) -> list[list[int]]:
    """Numbers of the notes that are written together."""
    events: list[list[int]] = []
    for number, note in enumerate(given):
        if events and note.onset - given[events[-1][0]].onset <= TOGETHER_S:
            events[-1].append(number)
        else:
            events.append([number])
    return events


def _tuning(found: Sequence[HeardNote]) -> float:
    """Semitones that the recording lies off A4 = 440 Hz, -0.5 to 0.5."""
    pitches = np.array([note.pitch for note in found])
    return float(np.angle(np.exp(2j * np.pi * pitches).sum()) / (2 * np.pi))


def _octave(given: Sequence[Note], found: Sequence[HeardNote], tuning: float) -> int:
    """The one of ``TRANSPOSITIONS`` with which the two have most in common: how long each pitch is held, in shares."""
    def held(pitches: Array, seconds: Array) -> Array:
        shares = np.bincount(np.clip(np.rint(pitches), 0, 127).astype(np.int64), seconds, minlength=128)
        return np.asarray(shares / max(float(shares.sum()), 1e-9))

    sounding = held(np.array([note.pitch - tuning for note in found]),
                    np.array([float(note.offset - note.onset) for note in found]))
    pitches, seconds = np.array([note.pitch for note in given]), np.array([note.duration for note in given])
    shared = [float(np.minimum(held(pitches + shift, seconds), sounding).sum()) for shift in TRANSPOSITIONS]
    return TRANSPOSITIONS[int(np.argmax(shared))]


def _pitch_costs(
    given: Sequence[Note], events: list[list[int]], found: Sequence[HeardNote], tuning: float, shift: int
) -> Array:
    """Cost of each pair for its pitches; [events, found]. Of a chord any note may be the one that was heard."""
    heard = np.array([note.pitch for note in found]) - tuning
    costs = np.empty((len(events), len(found)), dtype=np.float32)
    for row, event in enumerate(events):
        away = np.min([np.abs(heard - given[number].pitch - shift) for number in event], axis=0)
        cost = np.clip((away - 0.4) / 1.2, 0.0, 1.0) * WRONG_PITCH
        for slip in (12.0, 19.02, 24.0):
            cost = np.where(np.abs(away - slip) < 0.6, np.minimum(cost, OCTAVE_PITCH), cost)
        costs[row] = cost
    return costs


def _pairs(costs: Array, written: Array, heard: Array, guide: Array | None) -> list[tuple[int, int]]:
    """(event, heard note) of each pair, in order.

    Args:
        costs: of each pair, for its pitches; [events, found].
        written: time of each event, s.
        heard: time of each note heard, s.
        guide: when each event should sound, s; None takes one tempo throughout.
    """
    rows, columns = costs.shape
    span = max(float(written[-1] - written[0]), 1e-3), max(float(heard[-1] - heard[0]), 1e-3)
    tempo = span[1] / span[0]
    expected = heard[0] + (written - written[0]) * tempo if guide is None else guide
    band = BAND if guide is None else GUIDED_BAND
    low = np.clip(np.searchsorted(heard, expected) - band, 0, max(0, columns - 2 * band))
    width = min(columns, 2 * band)
    best = np.full((rows, width), np.inf)
    came = np.full((rows, width, 2), -1, dtype=np.int16)  # steps back on either side; -1: the first pair
    for row in range(rows):
        places = low[row] + np.arange(width)
        here = costs[row, places].astype(np.float64)
        if guide is not None:
            here = here + np.minimum(np.abs(heard[places] - guide[row]) / OFF_MAP_S, 2.0) * LONELY
        total = END * (row + places)  # all before is alone
        steps = np.full((width, 2), -1, dtype=np.int16)
        for back in range(1, min(SKIP, row) + 1):
            above = row - back
            offset = int(low[row] - low[above])
            for left in range(1, SKIP + 1):
                source = np.arange(width) + offset - left  # place in the row above
                valid = (source >= 0) & (source < width)
                if not valid.any():
                    continue
                before = np.where(valid, best[above, np.clip(source, 0, width - 1)], np.inf)
                gap = heard[places] - heard[np.maximum(places - left, 0)]
                ratio = np.abs(np.log(np.maximum(gap, 0.02) / max((written[row] - written[above]) * tempo, 0.02)))
                timing = TEMPO_COST * np.minimum(ratio, OFF_TEMPO) * (1.0 if guide is None else 0.5)
                candidate = before + timing + LONELY * (back + left - 2)
                better = candidate < total
                total = np.where(better, candidate, total)
                steps[better] = (back, left)
        best[row] = total + here
        came[row] = steps
    # after the last pair all is alone again
    left_over = END * ((rows - 1 - np.arange(rows))[:, None] + (columns - 1 - (low[:, None] + np.arange(width))))
    row, place = divmod(int(np.argmin(best + left_over)), width)
    pairs: list[tuple[int, int]] = []
    column = int(low[row] + place)
    while True:
        pairs.append((row, column))
        back, left = came[row, column - low[row]]
        if back < 0:
            break
        row, column = row - int(back), column - int(left)
    return pairs[::-1]


def _time_map(pairs: list[tuple[int, int]], written: Array, heard: Array) -> Array:
    """When each event should sound by the pairs around it, s: a line through nine of them, the odd one left out."""
    own = np.array([written[i] for i, _ in pairs])
    other = np.array([heard[j] for _, j in pairs])
    guide = np.empty(len(written))
    for index, time in enumerate(written):
        middle = int(np.searchsorted(own, time))
        near = slice(max(0, middle - 5), min(len(own), middle + 5))
        x, y = own[near], other[near]
        if len(x) < 3 or np.ptp(x) < 1e-3:
            guide[index] = float(np.median(y - x)) + time
            continue
        slopes = (y[:, None] - y[None, :])[np.triu_indices(len(x), 1)[::-1]] / np.maximum(
            (x[:, None] - x[None, :])[np.triu_indices(len(x), 1)[::-1]], 1e-3)
        slope = float(np.median(slopes))  # Theil 1950, Sen 1968
        guide[index] = float(np.median(y - slope * x)) + slope * time
    return np.maximum.accumulate(guide)


def _placed(
    given: Sequence[Note], events: list[list[int]], found: Sequence[HeardNote], pairs: list[tuple[int, int]],
    moved: float, shift: int, f0_hz: Array, voiced: NDArray[np.bool_], level_db: Array,
) -> AlignedNotes:
    """Frames of every note from the pairs; those without one from the map and what is near it."""
    partner = dict(pairs)
    written = np.array([given[event[0]].onset for event in events])
    own = np.array([written[i] for i, _ in pairs])
    other = np.array([found[j].onset for _, j in pairs], dtype=np.float64)
    pitch = np.asarray(hz_to_midi(np.asarray(f0_hz, dtype=np.float64)))
    level = np.asarray(level_db, dtype=np.float64)
    dips = dip_depths(smooth(level, 7))
    tempo = float((other[-1] - other[0]) / max(own[-1] - own[0], 1e-3)) if len(own) > 1 else FRAME_RATE

    def expected(time: float) -> float:
        if time <= own[0]:
            return float(other[0] - (own[0] - time) * tempo)
        if time >= own[-1]:
            return float(other[-1] + (time - own[-1]) * tempo)
        return float(np.interp(time, own, other))

    onsets: list[int] = []
    for row, event in enumerate(events):
        if row in partner:
            onset = found[partner[row]].onset
        else:
            wanted = max(given[number].pitch for number in event) + moved
            before = max(given[number].pitch for number in events[row - 1]) + moved if row else None
            onset = _near(expected(written[row]), wanted, before, pitch, voiced, dips)
        onsets.append(int(np.clip(onset, onsets[-1] + 1 if onsets else 0, max(len(level) - 1, 0))))
    placed: dict[int, HeardNote] = {}
    for row, event in enumerate(events):
        onset = onsets[row]
        following = onsets[row + 1] if row + 1 < len(onsets) else len(level)
        last = expected(max(given[number].offset for number in event))
        heard = found[partner[row]] if row in partner else None
        offset = heard.offset if heard is not None else round(last)
        offset = int(np.clip(min(offset, following), onset + 1, max(len(level), onset + 1)))
        for number in event:
            of_its_own = heard is not None and abs(heard.pitch - given[number].pitch - moved) < 1.0
            placed[number] = HeardNote(
                onset=onset, offset=offset,
                pitch=heard.pitch if heard is not None and of_its_own else given[number].pitch + moved,
                joined=heard is not None and heard.joined)
    used = set(partner.values())
    return AlignedNotes(
        notes=tuple(placed[number] for number in range(len(given))),
        heard=tuple(row in partner for row, event in enumerate(events) for _ in event),
        extra=tuple(number for number in range(len(found)) if number not in used), transposition=shift)


def _near(
    frame: float, wanted: float, before: float | None, pitch: Array, voiced: NDArray[np.bool_], dips: dict[int, float]
) -> int:
    """The likeliest onset near a frame: where the written pitch begins, or the deepest dip for a repeated note."""
    reach = int(SEARCH_S * FRAME_RATE)
    first, last = max(0, round(frame) - reach), min(len(pitch), round(frame) + reach)
    if before is None or abs(before - wanted) > 0.5:
        there = voiced[first:last] & (np.abs(pitch[first:last] - wanted) < 0.6)
        begins = np.flatnonzero(there & ~np.concatenate([[True], there[:-1]]))
        if len(begins):
            return first + int(begins[np.argmin(np.abs(first + begins - frame))])
    near = {at: depth for at, depth in dips.items() if first <= at < last}
    if near:
        return max(near, key=lambda at: near[at] - 0.1 * abs(at - frame))
    return round(frame)
