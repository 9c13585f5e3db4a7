"""What the network of the expression level sees of a note: itself, its marks and joints, its neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mididdsp.notes.types import ARTICULATIONS

Array = NDArray[np.floating[Any]]

REACH = 2
"""Neighbours seen on either side, in the same voice."""

_PITCH_CENTRES = np.arange(22.0, 108.0, 4.0)
_BELL = 3.0  # semitones: the width of the bells around them
NEIGHBOUR = 6
"""Features of a neighbour."""

VELOCITY_MARKS = (20.0, 33.0, 49.0, 64.0, 80.0, 96.0, 112.0, 127.0)
"""Velocities of the dynamic marks: a hat function stands on each."""

PLAIN_FEATURES = 5
"""The first features of a context: pitch, length (twice), whether there is a velocity, and which."""

CONTEXT_FEATURES = (PLAIN_FEATURES + len(VELOCITY_MARKS) + len(_PITCH_CENTRES) + len(ARTICULATIONS) + 2
                    + 2 * REACH * NEIGHBOUR)

SURROUNDINGS = len(ARTICULATIONS) + 2 + 2 * REACH * NEIGHBOUR
"""The last features of a context: marks, joints and neighbours; all 0 for a plain note by itself."""

VIBRATO_PLAIN = 4

VIBRATO_FEATURES = VIBRATO_PLAIN + len(_PITCH_CENTRES) + 1
"""What the lines of the vibrato see: pitch, length (twice) and velocity (0 where there is none), then the bells over
pitch, and a one."""

LONGEST_TOLD_S = 2.5
"""Of plain notes that were recorded hardly any is longer; most long ones were asked to swell. What is learned of short
notes, drawn on, would give a whole note an attack of a second."""

PHRASED_VELOCITY = 80.0
"""Nine in ten phrases were played mezzo-forte. What neighbours do to the brightness of a softer or louder note is taken
to be what they do to such a one: asked for anything else, the network would say more than it was taught."""

RUN_SECONDS, RUN_ALIKE, RUN_GAP_S = 0.25, 1.5, 0.04
"""A note shorter than this, which its nearest neighbours touch to within the last and which are no longer than so many
times its length, is as loud as one of the first. Of such runs the phrases hold few: what is as short there and touches
its neighbours rings on between detached notes, 7 dB softer than those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """What is seen of a neighbouring note.

    Attributes:
        interval: its pitch against the note's, semitones.
        gap_s: seconds of silence between it and the next note on the way to this one; below 0 they overlap.
        seconds: its length.
        velocity: its velocity against the note's; 0 where one of them has none.
    """

    interval: float
    gap_s: float
    seconds: float
    velocity: float


def context_features(
    pitch: float, seconds: float, velocity: float | None, articulations: Sequence[str], joined: bool, leads: bool,
    neighbours: Sequence[Neighbour | None],
) -> Array:
    """What the network sees of a note; [CONTEXT_FEATURES].

    Args:
        pitch: MIDI number.
        seconds: written length; longer notes than ``LONGEST_TOLD_S`` are played as if they were as long as that.
        velocity: 1 to 127, or None.
        articulations: marks from ``ARTICULATIONS``.
        joined: it continues the note before it.
        leads: the next note continues it.
        neighbours: REACH before, nearest first, then REACH after, nearest first; None where there is none.
    """
    def folds(length: float) -> float:
        return math.log(min(max(length, 0.02), LONGEST_TOLD_S) / 0.5)

    around: list[float] = []
    for neighbour in neighbours:
        if neighbour is None:
            around += [0.0] * NEIGHBOUR
        else:
            around += [1.0, float(np.clip(neighbour.interval / 6.0, -3, 3)),
                       float(np.clip(neighbour.gap_s / 0.25, -1, 3)), math.exp(-max(neighbour.gap_s, 0.0) / 0.05),
                       folds(neighbour.seconds), float(np.clip(neighbour.velocity / 32.0, -2, 2))]
    marks = [float(name in articulations) for name in ARTICULATIONS]
    return np.array([
        (pitch - 60.0) / 20.0, folds(seconds), min(seconds, LONGEST_TOLD_S) / 2.0,
        0.0 if velocity is None else 1.0, 0.0 if velocity is None else (velocity - 80.0) / 32.0,
        *(np.zeros(len(VELOCITY_MARKS)) if velocity is None else velocity_hats(np.array([velocity]))[0]),
        *np.exp(-0.5 * ((pitch - _PITCH_CENTRES) / _BELL) ** 2), *marks, float(joined), float(leads), *around,
    ])


def as_phrased(context: Tensor, pitches: Tensor) -> Tensor:
    """The same notes as phrases were played: all at ``PHRASED_VELOCITY`` if they have one, at the nearest pitch.

    Args:
        context: [N, CONTEXT_FEATURES].
        pitches: lowest and highest that phrases were played at, MIDI numbers, twice the same where there are none;
            [N, 2].
    """
    pitch = context[:, 0] * 20.0 + 60.0
    pitch = torch.where(pitches[:, 1] > pitches[:, 0], pitch.clamp(pitches[:, 0], pitches[:, 1]), pitch)
    hats = torch.from_numpy(velocity_hats(np.array([PHRASED_VELOCITY]))).to(context)
    bells = torch.exp(-0.5 * ((pitch.unsqueeze(-1) - torch.from_numpy(_PITCH_CENTRES).to(context)) / _BELL) ** 2)
    told, rest = context[:, 3:4], context[:, -SURROUNDINGS:].clone()
    rest[:, NEIGHBOUR - 1 - 2 * REACH * NEIGHBOUR :: NEIGHBOUR] = 0.0  # neighbours are as loud as the note
    return torch.cat([((pitch - 60.0) / 20.0).unsqueeze(-1), context[:, 1:3], told,
                      told * (PHRASED_VELOCITY - 80.0) / 32.0, told * hats, bells, rest], -1)


def out_of_runs(context: Tensor) -> Tensor:
    """The same notes, those in runs as long as ``RUN_SECONDS``; [N, CONTEXT_FEATURES]."""
    nearest = [context[:, place - 2 * REACH * NEIGHBOUR :] for place in (0, REACH * NEIGHBOUR)]
    other = [(near[:, 0] > 0) & ((near[:, 2] > RUN_GAP_S / 0.25) | (near[:, 4] > context[:, 1] + math.log(RUN_ALIKE)))
             for near in nearest]
    least = torch.where(other[0] | other[1] | ~surrounded(context), -math.inf, math.log(RUN_SECONDS / 0.5))
    seconds = torch.maximum(context[:, 1], least)
    return torch.cat([context[:, :1], seconds.unsqueeze(-1),
                      torch.maximum(context[:, 2], least.exp() * 0.25).unsqueeze(-1), context[:, 3:]], -1)


def vibrato_features(context: Tensor) -> Tensor:
    """What the lines of the vibrato see of contexts [N, CONTEXT_FEATURES]; [N, VIBRATO_FEATURES]."""
    bells = PLAIN_FEATURES + len(VELOCITY_MARKS)
    return torch.cat([context[:, :3], context[:, 4:PLAIN_FEATURES], context[:, bells : bells + len(_PITCH_CENTRES)],
                      torch.ones_like(context[:, :1])], -1)


def surrounded(context: Tensor) -> Tensor:
    """Whether notes have marks, joints or neighbours; bool [N] for contexts [N, CONTEXT_FEATURES]."""
    return (context[:, -SURROUNDINGS:] != 0).any(-1)


def marked(context: Tensor) -> Tensor:
    """Whether notes have marks; bool [N] for contexts [N, CONTEXT_FEATURES]."""
    return (marks_of(context) != 0).any(-1)


def marks_of(context: Tensor) -> Tensor:
    """The columns of contexts [N, CONTEXT_FEATURES] that hold marks, a view; [N, marks]."""
    return context[:, -SURROUNDINGS : len(ARTICULATIONS) - SURROUNDINGS]


def velocity_hats(velocity: Array) -> Array:
    """Hat functions on ``VELOCITY_MARKS``, summing to 1; [N, marks] for velocities [N]."""
    eye = np.eye(len(VELOCITY_MARKS))
    return np.stack([np.interp(velocity, VELOCITY_MARKS, row) for row in eye], axis=-1)
