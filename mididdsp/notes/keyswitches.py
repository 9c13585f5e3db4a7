"""Key switches: notes that tell a sample library how to play, and are no music.

They lie outside the instrument's range and well away from its notes, are short, and come before or between notes.
"""

from __future__ import annotations

from collections.abc import Sequence

from mididdsp.instruments import Instrument
from mididdsp.notes.types import Note

LONGEST_SWITCH_S = 0.3
"""A key switch is a tap; what is held longer is meant to be heard."""

APART = 5.0
"""Semitones that separate key switches from the music, so that a fingering does not touch both."""

BEYOND = 3.0
"""Semitones outside the range; nearer notes are rather a wrong note or a scordatura."""


def suspected_keyswitches(notes: Sequence[Note], instrument: Instrument) -> tuple[Note, ...]:
    """The notes that look like key switches; empty when the music itself lies outside the range.

    Args:
        notes: of one part, by onset.
        instrument: that plays it.
    """
    music = [note.pitch for note in notes if instrument.holds(note.pitch)]
    if not music:
        return ()
    low = min(min(music) - APART, instrument.low - BEYOND)
    high = max(max(music) + APART, instrument.high + BEYOND)
    suspects = {note.id for note in notes if not low < note.pitch < high and note.duration <= LONGEST_SWITCH_S}
    if not suspects or len(suspects) > len(music):
        return ()
    # Each prepares notes: with another switch after it, or none, it would have told the library nothing.
    useful = sum(after.id not in suspects for before, after in zip(notes, notes[1:]) if before.id in suspects)
    if 2 * useful < len(suspects):
        return ()
    return tuple(note for note in notes if note.id in suspects)
