"""The swing of a note's pitch, and where in the note it is looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.note_lines import smoothed
from mididdsp.units import FRAME_RATE

Array = NDArray[np.floating[Any]]

_AFTER, _BEFORE = 20, 15  # frames from the onset, before the offset


def inside(note: TrainingNote, onset: int, offset: int) -> slice:
    """Frames of a note in which it has begun and not begun to end."""
    return slice(onset + max(_AFTER, round(note.expression.attack_s * FRAME_RATE)), offset - _BEFORE)


def swing_of(cents: Array, rate_hz: float) -> tuple[Array, Array]:
    """What of a pitch [T] is its vibrato, and the same a quarter period later, cents; [T], [T]."""
    swing = smoothed(cents - smoothed(cents, period_of(rate_hz)), 5)
    return swing, np.asarray(-np.gradient(swing) * FRAME_RATE / (2 * np.pi * rate_hz))


def period_of(rate_hz: float) -> int:
    """Frames of a period, an odd number."""
    return round(FRAME_RATE / rate_hz) | 1
