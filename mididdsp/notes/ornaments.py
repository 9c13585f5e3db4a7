"""Ornaments as the notes that are played: trills, mordents, turns, tremolos and grace notes.

Conventions: times in seconds, pitches in MIDI numbers. A realised ornament lies in its note's own span, begins on the
beat and, but for tremolos, is slurred: one attack. Auxiliary notes are given by who knows the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TRILL_RATE = 7.0
"""Notes a second; players trill at 6 to 8 whole swings at most, most of them slower."""

SHORT_ORNAMENT_S = 0.08
"""Length of a note of a mordent or a quick turn."""

FASTEST_TREMOLO = 12.0
"""Strokes a second where the score asks for more: an unmeasured tremolo."""

GRACE_S = 0.09
"""Length of a grace note with a stroke, and of one among several."""

LONGEST_GRACE_SHARE = 0.5
"""Grace notes take no more of the main note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """One note of a realised ornament: [onset, onset + duration), and whether it is slurred to the one before."""

    onset: float
    duration: float
    pitches: tuple[float, ...]
    slurred: bool


def trill(onset: float, duration: float, main: float, auxiliary: float) -> list[Stroke]:
    """Main note and auxiliary in turn, the main note last; a note too short for three is a plain one."""
    count = max(3, round(duration * TRILL_RATE))
    count += 1 - count % 2  # odd: it ends where it began
    if duration < 3.0 / (2.0 * TRILL_RATE):
        return [Stroke(onset=onset, duration=duration, pitches=(main,), slurred=False)]
    return _row(onset, [duration / count] * count, [auxiliary if index % 2 else main for index in range(count)])


def mordent(onset: float, duration: float, main: float, auxiliary: float) -> list[Stroke]:
    """Main note, auxiliary, main note held."""
    short = min(SHORT_ORNAMENT_S, duration / 4.0)
    return _row(onset, [short, short, duration - 2.0 * short], [main, auxiliary, main])


def turn(onset: float, duration: float, main: float, first: float, second: float, *, delayed: bool) -> list[Stroke]:
    """Around the main note by ``first`` and ``second``: on the beat, or ``delayed`` to the end of the note."""
    short = min(SHORT_ORNAMENT_S * 1.25, duration / 6.0)
    if delayed:
        return _row(onset, [duration - 4.0 * short, short, short, short, short], [main, first, main, second, main])
    return _row(onset, [short, short, short, duration - 3.0 * short], [first, main, second, main])


def tremolo(onset: float, duration: float, chords: Sequence[tuple[float, ...]], stroke_s: float) -> list[Stroke]:
    """Repeated strokes of one chord, or of two in turn, each ``stroke_s`` long as near as it fits."""
    count = max(len(chords), round(duration / max(stroke_s, 1.0 / FASTEST_TREMOLO)))
    length = duration / count
    return [Stroke(onset=onset + index * length, duration=length, pitches=chords[index % len(chords)],
                   slurred=len(chords) > 1 and index > 0) for index in range(count)]


def grace_lengths(main_s: float, *, count: int, stroked: bool) -> list[float]:
    """How long each of some grace notes lasts; together they begin on the beat and take it from the main note.

    A single one without a stroke is an appoggiatura and takes half of the main note; the others are quick.
    """
    if count == 1 and not stroked:
        return [LONGEST_GRACE_SHARE * main_s]
    return [min(GRACE_S, LONGEST_GRACE_SHARE * main_s / count)] * count


def _row(onset: float, lengths: Sequence[float], pitches: Sequence[float]) -> list[Stroke]:
    strokes = []
    for index, (length, pitch) in enumerate(zip(lengths, pitches)):
        strokes.append(Stroke(onset=onset, duration=length, pitches=(pitch,), slurred=index > 0))
        onset += length
    return strokes
