"""What is added to the network's timbre: tables over pitch and level."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.synthesis.frame_network import AFTER_COLUMN, REFERENCE_LEVEL_DB, SINCE_COLUMN, SURROUNDING_FEATURES
from mididdsp.synthesis.knots import KNOTS

Array = NDArray[np.floating[Any]]

TIMBRE_PITCHES = np.arange(21.0, 109.0)
TIMBRE_LEVELS_DB = np.arange(-44.0, -11.0, 8.0)
TIMBRE_STATES = 3
"""Of what is added to the network's timbre: held and alone, held among other notes, speaking."""

NOISE_TURN_S = 0.02
"""From the noise of a held note to that of one which dies away."""

_SPOKEN_S = 0.04, 0.1


def timbre_at(table: Array, features: Array, frames: Array) -> Array:
    """What is added to partials and noise of a note's frames, dB; [T, D] from [TIMBRE_STATES, P, L, D].

    While the note speaks it is that of speaking, then that of the held note. Partials keep it as they die away.
    """
    pitch = np.clip(features[0] * 20.0 + 60.0, TIMBRE_PITCHES[0], TIMBRE_PITCHES[-1]) - TIMBRE_PITCHES[0]
    level = np.clip(features[2] * 10.0 + REFERENCE_LEVEL_DB, TIMBRE_LEVELS_DB[0], TIMBRE_LEVELS_DB[-1])
    at = (level - TIMBRE_LEVELS_DB[0]) / (TIMBRE_LEVELS_DB[1] - TIMBRE_LEVELS_DB[0])
    low, soft = min(int(pitch), len(TIMBRE_PITCHES) - 2), min(int(at), len(TIMBRE_LEVELS_DB) - 2)
    up = np.array([low + 1 - pitch, pitch - low])
    louder = np.array([soft + 1 - at, at - soft])
    here = np.einsum("splk,p,l->sk", table[:, low : low + 2, soft : soft + 2].astype(np.float64), up, louder)
    neighbours = features[-SURROUNDING_FEATURES:]
    alone = neighbours[0] == 0 and neighbours[SURROUNDING_FEATURES // 2] == 0
    held = here[0] if alone else here[1]
    joined = features[10] > 0
    since = frames[:, SINCE_COLUMN] / 10.0
    speaking = np.zeros(len(frames)) if joined else np.clip(
        (_SPOKEN_S[1] - since) / (_SPOKEN_S[1] - _SPOKEN_S[0]), 0.0, 1.0)
    added = held + speaking[:, None] * (here[2] - held)
    added[:, len(KNOTS) :] *= np.clip(1.0 - frames[:, AFTER_COLUMN] / NOISE_TURN_S, 0.0, 1.0)[:, None]
    return np.asarray(added)
