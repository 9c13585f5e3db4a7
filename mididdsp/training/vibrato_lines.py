"""The lines of the vibrato, fitted: what all instruments share, and what each has of its own as far as its notes tell.

Ridge regression with two levels: an instrument's line is the common one plus its own, which is drawn to 0, and so are
the bells over its pitches; so is its spread to that of all. Residuals are those that a note has when it is left out.
How their spread hangs on pitch, length and velocity, and how it is bent, is told by players alone: published figures
have no more than a median and a spread. Single notes of all instruments tell it together.

Source: Gelman and Hill 2007, Data Analysis Using Regression and Multilevel Models, chapter 12; mixtures by Dempster,
Laird and Rubin 1977, Maximum likelihood from incomplete data via the EM algorithm; a spread that hangs on features by
Harvey 1976, Estimating regression models with multiplicative heteroscedasticity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr

from mididdsp.data.expression_set import Examples
from mididdsp.expression.bends import KNOTS
from mididdsp.expression.context import VIBRATO_FEATURES, VIBRATO_PLAIN, surrounded, vibrato_features
from mididdsp.expression.types import ATTRIBUTES
from mididdsp.expression.vibrato_lines import LINED, SLOPE_REACH
from mididdsp.instruments import INSTRUMENTS

Array = NDArray[np.floating[Any]]

_LEAST_LEFT = 0.2
"""Share of a note's residual that its own weight leaves of it, at least."""

_FEWEST = 100
_SLOPE_PENALTY = 50.0
_ROUNDS = 500
_PRIOR = 5.0  # notes' worth of the common variance that each part of a mixture starts from

SLOPED: Mapping[bool, tuple[str, ...]] = {
    False: ("vibrato_cents", "vibrato_delay_s"), True: ("vibrato_rate_hz",)}
"""Attributes whose widths have slopes, by whether there are other notes: in études rates of long notes differ less.
What études tell of extents, and single notes of rates, makes notes left out no likelier."""

BENT: Mapping[bool, tuple[str, ...]] = {False: LINED, True: ("vibrato_cents",)}
"""Attributes whose spread is bent, likewise. Rates in the études are bent by who played which, and études left out
become less likely by it (valid: .05 nats)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalties:
    """How strongly weights are drawn to 0, in notes' worth at features of about 1 and a spread of 1.

    Those of single notes make pitches left out likeliest (six to eight parts, training split).

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


ALONE: Mapping[str, Penalties] = {
    "vibrato_cents": Penalties(offset=5.0, bells=3.0), "vibrato_rate_hz": Penalties(offset=5.0),
    "vibrato_delay_s": Penalties()}
"""Of single notes: how wide an instrument's vibrato is hangs most on where in its range a note lies."""

APART = Penalties(common=1e9, own=30.0, offset=1e-3, bells=60.0)
"""Of notes among others: what other instruments do says nothing, the figures of each are its own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """Lines of one attribute.

    Attributes:
        weights: [instruments, VIBRATO_FEATURES].
        widths: 0 where nothing is told; [instruments].
        left: what each note has left over of a line that it did not teach; [N].
    """

    weights: Array
    widths: Array
    left: Array


def fit_lines(features: Array, instrument: NDArray[np.integer[Any]], values: Array, penalties: Penalties) -> Fit:
    """The lines of one attribute.

    Args:
        features: [N, VIBRATO_FEATURES]; the first VIBRATO_PLAIN are shared, the last is 1.
        instrument: [N].
        values: [N]. Without any, the widths are 0: nothing is told.
    """
    count = len(INSTRUMENTS)
    weights, widths = np.zeros((count, VIBRATO_FEATURES)), np.zeros(count)
    if len(values) == 0:
        return Fit(weights=weights, widths=widths, left=np.zeros(0))
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
    left = (values - matrix @ found) / np.maximum(1.0 - leverage, _LEAST_LEFT)
    squares = left**2
    common = float(squares.mean())
    for index in range(count):
        mine = instrument == index
        widths[index] = np.sqrt((squares[mine].sum() + penalties.spread * common) / (mine.sum() + penalties.spread))
    return Fit(weights=weights, widths=widths, left=left)


def fit_slopes(left: Array, features: Array) -> tuple[Array, float]:
    """How the logarithm of a spread goes with features, and what it is at features of 0: the likeliest, drawn to 0.

    Args:
        left: deviations; [N].
        features: [N, F].

    Returns:
        [F], and the logarithm.
    """
    matrix = np.concatenate([features, np.ones((len(left), 1))], axis=1)
    penalty = np.diag([_SLOPE_PENALTY] * features.shape[1] + [1e-6])
    found = np.zeros(matrix.shape[1])
    found[-1] = np.log(left.std())
    for _ in range(50):  # scoring: twice the notes is what a squared deviation is expected to tell
        told = left**2 * np.exp(-2.0 * (matrix @ found))
        step = np.linalg.solve(2.0 * matrix.T @ matrix + penalty, matrix.T @ (told - 1.0) - penalty @ found)
        found = found + np.clip(step, -0.5, 0.5)
    return found[:-1], float(found[-1])


def fit_bends(deviations: Array) -> Array:
    """Bends with which a standard Gaussian is what deviations show: those of the likeliest mixture of two Gaussians.

    Args:
        deviations: about 0, their spread about 1; [N].

    Returns:
        [KNOTS].
    """
    spread = float(deviations.std())
    share, centre = np.array([0.5, 0.5]), spread * np.array([-0.5, 0.5])
    width = spread * np.array([0.6, 1.4])
    for _ in range(_ROUNDS):
        density = share * np.exp(-0.5 * ((deviations[:, None] - centre) / width) ** 2) / width
        belongs = density / density.sum(1, keepdims=True)
        notes = belongs.sum(0)
        share, centre = notes / notes.sum(), (belongs * deviations[:, None]).sum(0) / notes
        around = (belongs * (deviations[:, None] - centre) ** 2).sum(0)
        width = np.sqrt((around + _PRIOR * spread**2) / (notes + _PRIOR))
    grid = np.linspace(-10.0, 10.0, 4001)
    below = (share * ndtr((grid[:, None] - centre) / width)).sum(1)
    knots = np.array(KNOTS)
    return np.asarray(np.interp(ndtr(knots), below, grid) - knots)


def lines_of(alone: Examples, among: Examples, played: Examples) -> dict[str, torch.Tensor]:
    """``weights``, ``widths``, ``slopes`` and ``bends`` of ``VibratoLines``.

    Args:
        alone: notes that stand alone.
        among: notes among others.
        played: those of them that players played, which tell more than a median and a spread.

    Raises:
        ValueError: notes that stand alone and notes among others are mixed.
    """
    count = len(INSTRUMENTS)
    found = {"weights": np.zeros((2, count, len(LINED), VIBRATO_FEATURES)), "widths": np.zeros((2, count, len(LINED))),
             "slopes": np.zeros((2, count, len(LINED), VIBRATO_PLAIN)),
             "bends": np.zeros((2, count, len(LINED), len(KNOTS)))}
    for place, (examples, penalties) in enumerate(((alone, ALONE), (among, dict.fromkeys(LINED, APART)))):
        for index, name in enumerate(LINED):
            features, instrument, values = _told(examples, name, bool(place))
            fit = fit_lines(features, instrument, values, penalties[name])
            found["weights"][place, :, index], found["widths"][place, :, index] = fit.weights, fit.widths
            if place:  # of each instrument by itself
                features, instrument, values = _told(played, name, True)
                left = values - (features * fit.weights[instrument]).sum(1)
                groups = [np.array([row]) for row in np.unique(instrument)]
            else:
                left, groups = fit.left, [np.arange(count)]
            for group in groups:
                mine = np.isin(instrument, group)
                if mine.sum() < _FEWEST:
                    continue
                slopes, width, bends = _spread_of(
                    left[mine] / fit.widths[instrument[mine]], features[mine, :VIBRATO_PLAIN],
                    sloped=name in SLOPED[bool(place)], bent=name in BENT[bool(place)])
                found["slopes"][place, group, index], found["bends"][place, group, index] = slopes, bends
                found["widths"][place, group, index] *= np.exp(width)
    return {name: torch.from_numpy(values).float() for name, values in found.items()}


def _spread_of(deviations: Array, plain: Array, *, sloped: bool, bent: bool) -> tuple[Array, float, Array]:
    """Slopes [F] of the logarithm of a spread, that logarithm, and bends [KNOTS]; 0 of what is not to be told."""
    slopes: Array = np.zeros(plain.shape[1])
    bends: Array = np.zeros(len(KNOTS))
    width = 0.0
    if sloped:
        slopes, width = fit_slopes(deviations, plain)
        deviations = deviations / np.exp(np.clip(plain @ slopes, -SLOPE_REACH, SLOPE_REACH) + width)
    if bent:
        bends = fit_bends(deviations)
    return slopes, width, bends


def _told(examples: Examples, name: str, among: bool) -> tuple[Array, NDArray[np.int64], Array]:
    """Features, instruments and values of the notes that tell an attribute."""
    context = torch.from_numpy(examples.context)
    if bool((surrounded(context) != among).any()):
        raise ValueError("notes that stand alone and notes among others are mixed; give each their own")
    column = ATTRIBUTES.index(name)
    known = examples.known[:, column] > 0
    features = vibrato_features(context).double().numpy()[known]
    return features, examples.instrument[known], examples.values[known, column].astype(np.float64)
