"""What each semitone of an instrument has of its own among other notes, beyond what the network says.

A few phrases an instrument are too few for a network to tell a semitone's resonance, or the way it speaks, from a
phrase's manner. A Gaussian process can: what the network leaves over is a broad trend over the pitch, what one semitone
has of its own, what one phrase has, and what one note has; the first two are kept
(``ExpressionNetwork.company``). The level is kept about 0: how loud a dynamic is, the published spans say. An
instrument of which the network has heard but a few notes among others, it takes for others that play as low or as high:
of such what is left over is the instrument's own, whatever the pitch.

Phrases were played in styles, which stand beside their notes as marks. Most files have none: for notes without marks
the table is made from the same notes as if their marks were not known. Where there is no velocity the network says
all there is to say of brightness, and no table of single notes stands under it: what it leaves over is another thing,
and is told by the same notes as if their dynamics were not known.

Source: Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, section 2.2.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mididdsp.data.expression_set import Examples
from mididdsp.expression.context import marked, marks_of, surrounded
from mididdsp.expression.network import COMPANY_ATTRIBUTES, SURFACE_PITCHES, ExpressionNetwork
from mididdsp.expression.types import ATTRIBUTES
from mididdsp.instruments import INSTRUMENTS

TREND, OWN = 0.15, 0.1
"""Variances of the trend and of what a semitone has of its own, over that of all that is left over."""
OF_PHRASE, OF_NOTE = 0.5, 0.5
"""The same of what all notes of a phrase share, and of a single note."""
TREND_SEMITONES, OWN_SEMITONES = 12.0, 0.6
"""How far trend and semitone reach (sd of a Gaussian)."""

UNHEARD = 1.0
"""The same of what an instrument has of its own of which fewer than ``HEARD`` notes tell."""

FEWEST, HEARD = 5, 20
_ODD = 3.0

Array = NDArray[np.floating[Any]]


@torch.no_grad()
def company(network: ExpressionNetwork, examples: Examples, phrases: NDArray[np.int64]) -> NDArray[np.float32]:
    """The table of ``ExpressionNetwork.company``.

    Args:
        network: what it holds of the table already does not count.
        examples: notes of phrases, with and without velocity.
        phrases: number of the phrase of each; [N].

    Returns:
        [without and with velocity, without and with marks, instruments, COMPANY_ATTRIBUTES, pitches], on the model's
        scale; 0 where fewer than ``FEWEST`` notes of an instrument tell.
    """
    network = copy.deepcopy(network).cpu().eval()
    network.company.zero_()
    context = torch.from_numpy(examples.context)
    unmarked = context.clone()
    marks_of(unmarked).zero_()
    near = surrounded(unmarked).numpy()
    sides = ((unmarked, near), (context, near & marked(context).numpy()))
    told = (context[:, 3] > 0).numpy()
    return np.stack([np.stack([_tables(network, replace(examples, context=side.numpy()).chosen(rows & known),
                                       phrases[rows & known]) for side, rows in sides]) for known in (~told, told)])


def _tables(network: ExpressionNetwork, examples: Examples, phrases: NDArray[np.int64]) -> NDArray[np.float32]:
    """The table of notes with or without marks; [instruments, COMPANY_ATTRIBUTES, pitches]."""
    result = np.zeros((len(INSTRUMENTS), len(COMPANY_ATTRIBUTES), len(SURFACE_PITCHES)), np.float32)
    mean, _, _ = network(torch.from_numpy(examples.context), torch.from_numpy(examples.instrument))
    left = examples.values - mean.numpy()
    pitches = examples.context[:, 0].astype(np.float64) * 20.0 + 60.0
    for instrument in range(len(INSTRUMENTS)):
        for row, name in enumerate(COMPANY_ATTRIBUTES):
            column = ATTRIBUTES.index(name)
            told = (examples.instrument == instrument) & (examples.known[:, column] > 0)
            if told.sum() < FEWEST:
                continue
            near = _near if told.sum() >= HEARD else _anywhere
            at, value, phrase = pitches[told], left[told, column].astype(np.float64), phrases[told]
            reach = _ODD * float(value.std())
            value = np.clip(value, -reach, reach)
            matrix = (near(at, at) + OF_PHRASE * (phrase[:, None] == phrase[None, :]) + OF_NOTE * np.eye(len(at)))
            weights = np.linalg.solve(matrix, value)
            table = near(np.array(SURFACE_PITCHES, np.float64), at) @ weights
            if name == "level_db":
                table = table - float((near(at, at) @ weights).mean())
            result[instrument, row] = table
    return result


def _near(a: Array, b: Array) -> Array:
    apart = a[:, None] - b[None, :]
    return np.asarray(TREND * np.exp(-0.5 * (apart / TREND_SEMITONES) ** 2)
                      + OWN * np.exp(-0.5 * (apart / OWN_SEMITONES) ** 2))


def _anywhere(a: Array, b: Array) -> Array:
    return np.full((len(a), len(b)), UNHEARD)
