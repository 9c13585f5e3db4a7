"""Dynamics that move are heard: where velocities rise or fall, a player evens out what the instrument does unasked.

No instrument is equally loud on all its notes: from one semitone to the next recordings of one dynamic differ by some
dB, and a long note dies away before it is over. A prior that has learned from recordings plays so, and in a passage of
one dynamic that is how players sound. A crescendo of a few dB over such a line would be lost in it: a player who is
asked for one listens and leans against it. So where the velocities around a note move, what the prior's own scale,
played on every semitone, departs from a smooth line is taken off its level, and what the draw departs from it is
halved.

The line: local straight lines with robust weights (Cleveland 1979, LOWESS).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from mididdsp.expression.types import NoteExpression
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.types import Note, Part, PartPlan, PlannedNote
from mididdsp.notes.voices import plan_part

Float64 = NDArray[np.float64]

REACH = 3
"""Notes on either side, in the same voice, whose velocities tell that the dynamics move."""

FULL_CHANGE = 3.0
"""Difference of velocity, not quite 1 dB, from which on a note is evened out in full; below it in proportion."""

KEPT_SHARE = 0.5
"""Of what a draw departs from the level that is usual for pitch and velocity, where the note is evened out in full."""

SCALE_VELOCITY = 80
VELOCITIES = (20, 33, 49, 64, 80, 96, 112, 127)
SCALE_LENGTHS = (0.15, 0.6, 2.0, 6.0)
"""Of the notes of the scale, s; the second is what the others are compared with."""

SCALE_GAP_S = 2.0
"""Between the notes of the scale: each is played by itself."""

SMOOTH_SEMITONES = 5.0
"""Standard deviation of the window of the line: wider than what differs from note to note, narrower than a register."""


class Prior(Protocol):
    """What is asked to draw: the expression generator."""

    def express(
        self, plan: PartPlan, *, seed: int, temperature: float = 1.0,
        given: Mapping[str, Mapping[str, float | None]] | None = None,
    ) -> dict[str, NoteExpression]:
        """An expression for every note of the plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evening:
    """What becomes of a note's level: ``usual + keep * (level - uneven - usual)``.

    Attributes:
        uneven: by how much the prior plays such a note louder than the notes around it in pitch, dB.
        usual: level of pitch and velocity on the smooth line, dB.
        keep: share of the draw's own departure, above 0, to 1.
    """

    uneven: float
    usual: float
    keep: float

    def evened(self, level: float) -> float:
        """A level of the prior as it is played."""
        return self.usual + self.keep * (level - self.uneven - self.usual)

    def drawn(self, level: float) -> float:
        """The level that the prior would have drawn for one that is played."""
        return self.usual + (level - self.usual) / self.keep + self.uneven


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """A prior's levels: pitches [P]; the smooth line over them [P]; how far it lies above, by length [lengths, P];
    what each of ``VELOCITIES`` adds to it [velocities]; dB."""

    pitches: Float64
    smooth: Float64
    uneven: Float64
    steps: Float64


_SCALES: WeakKeyDictionary[Prior, dict[str, _Scale]] = WeakKeyDictionary()
"""What was found of a prior, by instrument."""


def evening(prior: Prior, plan: PartPlan) -> dict[str, Evening]:
    """What becomes of the levels that a prior draws, by note id; notes around which nothing moves are left out.

    Args:
        prior: whose levels they are.
        plan: the part's notes in chains.
    """
    planned = {item.note.id: item for chain in plan.chains for item in chain.notes}
    shares = {note_id: _moving(item, planned) for note_id, item in planned.items()}
    if not any(shares.values()):
        return {}
    scale = _scale(prior, plan.part.instrument)
    lengths = np.log(np.array(SCALE_LENGTHS))
    found = {}
    for note_id, share in shares.items():
        note = planned[note_id].note
        if share and note.velocity is not None:
            by_length = [float(np.interp(note.pitch, scale.pitches, row)) for row in scale.uneven]
            found[note_id] = Evening(
                uneven=share * float(np.interp(math.log(note.duration), lengths, by_length)),
                usual=float(np.interp(note.pitch, scale.pitches, scale.smooth)
                            + np.interp(note.velocity, VELOCITIES, scale.steps)),
                keep=1.0 - share * (1.0 - KEPT_SHARE))
    return found


def _moving(item: PlannedNote, planned: Mapping[str, PlannedNote]) -> float:
    """How much the dynamics move around a note, 0 to 1."""
    if item.note.velocity is None:
        return 0.0
    changes = [abs(other.velocity - item.note.velocity) for other in _around(item, planned)
               if other.velocity is not None]
    return min(max(changes, default=0) / FULL_CHANGE, 1.0)


def _around(item: PlannedNote, planned: Mapping[str, PlannedNote]) -> Iterator[Note]:
    for direction in ("previous", "following"):
        name: str | None = getattr(item, direction)
        for _ in range(REACH):
            if name is None:
                break
            yield planned[name].note
            name = getattr(planned[name], direction)


def _scale(prior: Prior, instrument: str) -> _Scale:
    known = _SCALES.setdefault(prior, {})
    if instrument not in known:
        row = INSTRUMENTS[instrument]
        pitches = np.arange(math.floor(row.low), math.ceil(row.high) + 1, dtype=np.float64)
        levels = np.array([_played(prior, instrument, [(pitch, seconds, SCALE_VELOCITY) for pitch in pitches])
                           for seconds in SCALE_LENGTHS])
        smooth = _smooth(pitches, levels[1])
        some = pitches[len(pitches) // 4 : -len(pitches) // 4 or None : max(1, len(pitches) // 8)]
        steps = np.array([_played(prior, instrument, [(pitch, SCALE_LENGTHS[1], velocity) for pitch in some]).mean()
                          for velocity in VELOCITIES])
        known[instrument] = _Scale(pitches=pitches, smooth=smooth, uneven=levels - smooth,
                                   steps=steps - steps[VELOCITIES.index(SCALE_VELOCITY)])
    return known[instrument]


def _played(prior: Prior, instrument: str, wanted: Sequence[tuple[float, float, int]]) -> Float64:
    """The levels of single notes (pitch, seconds, velocity) as the prior plays them on average, dB; [N]."""
    notes, time = [], 0.0
    for index, (pitch, seconds, velocity) in enumerate(wanted):
        notes.append(Note(id=str(index), onset=time, duration=seconds, pitch=float(pitch), velocity=velocity))
        time += seconds + SCALE_GAP_S
    part = Part(name="scale", instrument=instrument, notes=tuple(notes))
    drawn = prior.express(plan_part(part), seed=0, temperature=0.0)
    return np.array([drawn[note.id].level_db for note in notes])


def _smooth(places: Float64, values: Float64) -> Float64:
    """Local straight lines through the values, what lies far off left aside; [P]."""
    trust = np.ones(len(places))
    line = values
    for _ in range(3):
        line = np.array([_local(places - place, values, trust) for place in places])
        off = np.abs(values - line)
        trust = np.clip(1.0 - (off / (6.0 * np.median(off) + 1e-9)) ** 2, 0.0, 1.0) ** 2
    return line


def _local(away: Float64, values: Float64, trust: Float64) -> float:
    """The weighted straight line through values, where ``away`` is 0."""
    weight = trust * np.exp(-0.5 * (away / SMOOTH_SEMITONES) ** 2) + 1e-9
    mean_x, mean_y = np.average(away, weights=weight), np.average(values, weights=weight)
    spread = np.average((away - mean_x) ** 2, weights=weight)
    slope = np.average((away - mean_x) * (values - mean_y), weights=weight) / max(spread, 1e-9)
    return float(mean_y - slope * mean_x)
