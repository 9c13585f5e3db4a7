"""Players who sound together listen to each other: their notes lie nearer to one another than a soloist's to any scale.

Around equal temperament the notes of soloists spread by some ten cents. Drawn so for each part by itself, two notes in
four of a chord would be further apart than a listener takes for in tune. So what is drawn of the tuning is made smaller
for a note in the measure in which other notes sound with it, in another part or in its own.
"""

from __future__ import annotations

import numpy as np

from mididdsp.notes.types import Score

TOGETHER = 0.4
"""Share of the tuning that is drawn of a note with which others sound all the time. Of a spread of 11 cents it leaves
4.4, so that two notes are some 4 cents apart in the median: at most what a listener hears of an interval."""


def tuning_shares(score: Score) -> dict[str, float]:
    """The share of its drawn tuning that each note keeps, ``TOGETHER`` to 1, by note id."""
    notes = [note for part in score.parts for note in part.notes]
    if not notes:
        return {}
    onsets = np.array([note.onset for note in notes])
    offsets = np.array([note.offset for note in notes])
    times = np.concatenate([onsets, offsets])
    order = np.argsort(times, kind="stable")
    times, change = times[order], np.repeat((1, -1), len(notes))[order]
    sounding = np.cumsum(change)
    # seconds up to each moment in which two notes or more sound
    together = np.concatenate([[0.0], np.cumsum(np.diff(times) * (sounding[:-1] > 1))])
    inside = np.interp(offsets, times, together) - np.interp(onsets, times, together)
    share = np.clip(inside / np.maximum(offsets - onsets, 1e-9), 0.0, 1.0)
    return {note.id: float(1.0 - (1.0 - TOGETHER) * value) for note, value in zip(notes, share)}
