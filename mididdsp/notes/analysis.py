"""From pitch and level contours up to notes: where each begins, ends, what it plays, and how it is joined.

Conventions: contours have 250 frames a second; a note sounds on the frames [onset, offset). An attack begins where the
level starts its rise; a slurred note begins half-way between the two pitches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.units import FRAME_RATE, hz_to_midi

Array = NDArray[np.floating[Any]]

SHORTEST_S = 0.045
PITCH_STEP = 0.7
"""Semitones: a pitch this far from the note's own for ``PITCH_HOLD_S`` is another note, not its vibrato."""

PITCH_HOLD_S = 0.036
DIP_DB = 4.0
"""A fall and rise of the level by this much inside one pitch is a new attack."""

SLUR_DIP_DB = 6.0
"""Where the pitch changes, a shallower dip than this is a slur (figures/playing.md measures joints so)."""

DIP_REACH_S = 0.12


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
    f0_hz: Array, voiced: NDArray[np.bool_], level_db: Array, *, shortest_s: float = SHORTEST_S
) -> list[HeardNote]:
    """Notes of a monophonic recording.

    Args:
        f0_hz: fundamental, > 0; [T].
        voiced: whether there is one; [T].
        level_db: level of the sound; [T].
        shortest_s: shorter stretches are no notes.
    """
    pitch = hz_to_midi(np.asarray(f0_hz, dtype=np.float64))
    level = _running_mean(np.asarray(level_db, dtype=np.float64), 3)
    notes: list[HeardNote] = []
    for start, stop in _runs(_close_gaps(voiced, int(0.02 * FRAME_RATE))):
        borders: list[tuple[int, int, bool]] = []
        begin = start
        for border, slurred in _borders(pitch[start:stop], level[start:stop]):
            borders.append((begin, start + border, slurred))
            begin = start + border
        borders.append((begin, stop, False))
        joined = False
        for first, last, slurred in borders:
            if last - first >= shortest_s * FRAME_RATE:
                notes.append(_note(first, last, pitch, level, joined, slurred))
                joined = slurred
            elif notes and joined:
                joined = slurred
    return notes


def _note(first: int, last: int, pitch: Array, level: Array, joined: bool, leads: bool) -> HeardNote:
    """A note between two borders, its ends moved to where its sound begins and stops."""
    inside = level[first:last]
    top = float(np.max(inside))
    plateau = float(np.percentile(inside, 70))
    onset, offset = first, last
    if not joined:
        loud = np.flatnonzero(inside >= top - 25.0)
        onset = first + int(loud[0])
        # the voicing decision may come late: go back along the rise
        while onset > 0 and first - onset < 0.06 * FRAME_RATE and level[onset - 1] < level[onset] \
                and level[onset - 1] > top - 25.0:
            onset -= 1
    if not leads:
        above = np.flatnonzero(level[onset:last] >= plateau - 6.0)
        offset = onset + int(above[-1]) + 1
    third = max(1, (offset - onset) // 4)
    return HeardNote(onset=onset, offset=max(offset, onset + 1),
                     pitch=float(np.median(pitch[onset + third : offset - third] if offset - onset > 3 * third
                                           else pitch[onset:offset])), joined=joined)


def _borders(pitch: Array, level: Array) -> list[tuple[int, bool]]:
    """(frame, slurred) of each border between notes inside one voiced stretch."""
    attacks = _attacks(level)
    changes = _pitch_changes(pitch)
    reach = int(0.08 * FRAME_RATE)
    result: list[tuple[int, bool]] = []
    used: set[int] = set()
    for change in changes:
        near = [attack for attack in attacks if abs(attack - change) <= reach]
        used.update(near)
        deepest = max(near, key=lambda attack: attacks[attack], default=None)
        if deepest is not None and attacks[deepest] >= SLUR_DIP_DB:
            result.append((deepest, False))
        else:
            result.append((change, True))
    result += [(attack, False) for attack in attacks if attack not in used]
    return sorted(set(result))


def _pitch_changes(pitch: Array) -> list[int]:
    """Frames half-way between one held pitch and the next."""
    hold = max(2, int(PITCH_HOLD_S * FRAME_RATE))
    smooth = _running_median(pitch, 7)
    changes = []
    index, anchor = 0, 0
    current = float(np.median(smooth[: max(hold, 1)]))
    while index < len(smooth):
        if abs(smooth[index] - current) > PITCH_STEP:
            ahead = smooth[index : index + hold]
            settled = smooth[index + hold // 2 : index + 3 * hold]
            target = float(np.median(settled)) if len(settled) else float(smooth[index])
            left = len(ahead) >= hold and np.all(np.abs(ahead - current) > 0.8 * PITCH_STEP)
            if left and abs(target - current) > PITCH_STEP:
                middle = 0.5 * (current + target)
                back = index
                while back > anchor and (smooth[back] - middle) * (target - current) > 0:
                    back -= 1
                forward = back
                while forward < len(smooth) - 1 and (smooth[forward] - middle) * (target - current) < 0:
                    forward += 1
                changes.append(forward)
                anchor = forward
                current = target
                index = max(index, forward) + hold // 2
                continue
        else:  # follow slow drift
            current += 0.02 * (float(smooth[index]) - current)
        index += 1
    return changes


def _attacks(level: Array) -> dict[int, float]:
    """Frames of dips, with their depth in dB: the level falls and rises again by DIP_DB or more within DIP_REACH_S."""
    reach = int(DIP_REACH_S * FRAME_RATE)
    found: dict[int, float] = {}
    index, latest = 2, -len(level)
    while index < len(level) - 2:
        low = level[index]
        if low <= level[max(0, index - reach // 2) : index + reach // 2 + 1].min():
            before = level[max(0, index - reach) : index].max()
            after = level[index + 1 : index + reach + 1].max()
            depth = float(min(before, after) - low)
            if depth >= DIP_DB and index - latest > SHORTEST_S * FRAME_RATE:
                found[index] = depth
                latest = index
                index += reach // 3
        index += 1
    return found


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2])]


def _close_gaps(mask: NDArray[np.bool_], longest: int) -> NDArray[np.bool_]:
    closed = mask.copy()
    for (_, end), (start, _) in zip(_runs(mask), _runs(mask)[1:]):
        if start - end <= longest:
            closed[end:start] = True
    return closed


def _running_mean(values: Array, width: int) -> Array:
    if len(values) < width:
        return values
    kernel = np.ones(width) / width
    return np.convolve(np.pad(values, width // 2, mode="edge"), kernel, mode="valid")


def _running_median(values: Array, width: int) -> Array:
    padded = np.pad(values, width // 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1))
