"""The lines of the vibrato, fitted: what all instruments share, and what each has of its own as far as its notes tell.

Ridge regression with two levels: an instrument's line is the common one plus its own, which is drawn to 0, and so are
the bells over its pitches; so is its spread to that of all. Residuals are those that a note has when it is left out.

Source: Gelman and Hill 2007, Data Analysis Using Regression and Multilevel Models, chapter 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mididdsp.data.expression_set import Examples
from mididdsp.expression.generator import VIBRATO_FEATURES, VIBRATO_PLAIN, surrounded, vibrato_features
from mididdsp.expression.types import ATTRIBUTES
from mididdsp.expression.vibrato_lines import LINED
from mididdsp.instruments import INSTRUMENTS

Array = NDArray[np.floating[Any]]

_LEAST_LEFT = 0.2
"""Share of a note's residual that its own weight leaves of it, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalties:
    """How strongly weights are drawn to 0, in notes' worth at features of about 1 and a spread of 1.

    The defaults make single notes of pitches left out likeliest (six parts, training split).

    Attributes:
        common: of what instruments share, per feature.
        own: of what an instrument adds to it.
        offset: of what it adds on average.
        bells: of what it has around single pitches.
        spread: notes' worth of the common variance that its own starts from.
    """

    common: float = 10.0
    own: float = 10.0
    offset: float = 20.0
    bells: float = 10.0
    spread: float = 5.0


APART = Penalties(common=1e9, own=30.0, offset=1e-3, bells=60.0)
"""Of notes among others: what other instruments do says nothing, the figures of each are its own."""


def fit_lines(features: Array, instrument: NDArray[np.integer[Any]], values: Array, penalties: Penalties) -> tuple[
        NDArray[np.float32], NDArray[np.float32]]:
    """Weights [instruments, VIBRATO_FEATURES] and widths [instruments] of one attribute.

    Args:
        features: [N, VIBRATO_FEATURES]; the first VIBRATO_PLAIN are shared, the last is 1.
        instrument: [N].
        values: [N]. Without any, the widths are 0: nothing is told.
    """
    count = len(INSTRUMENTS)
    weights, widths = np.zeros((count, VIBRATO_FEATURES)), np.zeros(count)
    if len(values) == 0:
        return weights.astype(np.float32), widths.astype(np.float32)
    plain = features[:, :VIBRATO_PLAIN]
    columns, penalty = [np.ones((len(values), 1)), plain], [1e-6, *[penalties.common] * VIBRATO_PLAIN]
    for index in range(count):
        mine = (instrument == index)[:, None]
        columns.append(features * mine)
        penalty += [*[penalties.own] * VIBRATO_PLAIN,
                    *[penalties.bells] * (VIBRATO_FEATURES - VIBRATO_PLAIN - 1), penalties.offset]
    matrix = np.concatenate(columns, axis=1)
    inverse = np.linalg.inv(matrix.T @ matrix + np.diag(penalty))
    found = inverse @ (matrix.T @ values)
    weights[:] = found[1 + VIBRATO_PLAIN :].reshape(count, VIBRATO_FEATURES)
    weights[:, :VIBRATO_PLAIN] += found[1 : 1 + VIBRATO_PLAIN]
    weights[:, -1] += found[0]
    leverage = ((matrix @ inverse) * matrix).sum(1)
    squares = ((values - matrix @ found) / np.maximum(1.0 - leverage, _LEAST_LEFT)) ** 2
    common = float(squares.mean())
    for index in range(count):
        mine = instrument == index
        widths[index] = np.sqrt((squares[mine].sum() + penalties.spread * common) / (mine.sum() + penalties.spread))
    return weights.astype(np.float32), widths.astype(np.float32)


def lines_of(alone: Examples, among: Examples) -> dict[str, torch.Tensor]:
    """``weights`` and ``widths`` of ``VibratoLines`` from notes that stand alone and notes among others."""
    weights, widths = [], []
    for examples, penalties in ((alone, Penalties()), (among, APART)):
        context = torch.from_numpy(examples.context)
        if bool((surrounded(context) != (examples is among)).any()):
            raise ValueError("notes that stand alone and notes among others are mixed; give each their own")
        features = vibrato_features(context).double().numpy()
        fits = []
        for name in LINED:
            column = ATTRIBUTES.index(name)
            known = examples.known[:, column] > 0
            fits.append(fit_lines(features[known], examples.instrument[known],
                                  examples.values[known, column].astype(np.float64), penalties))
        weights.append(np.stack([line for line, _ in fits], axis=1))
        widths.append(np.stack([width for _, width in fits], axis=1))
    return {"weights": torch.from_numpy(np.stack(weights)), "widths": torch.from_numpy(np.stack(widths))}
