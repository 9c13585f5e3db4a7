"""Attributes of single notes over pitch, velocity and length, smoothed by Gaussian processes and tabulated.

A few hundred single notes an instrument are too few for a network to tell a resonance from a take. A Gaussian process
can: its covariance is the sum of a broad trend, of what one semitone has of its own at every dynamic, and of what
length does; how much each counts is found by the likelihood. Leaving out a note's own cell (pitch and dynamic) tells
how well a cell is known from the others, which is what the model must know of notes it has not heard.

A softer note is no brighter than a louder one: where the dynamics of a pitch say otherwise, the better known decide.

Source: Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, sections 2.2 and 5.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.expression.context import VELOCITY_MARKS
from mididdsp.expression.network import SURFACE_ATTRIBUTES, SURFACE_LENGTHS, SURFACE_PITCHES
from mididdsp.expression.scales import SCALES
from mididdsp.instruments import INSTRUMENTS
from mididdsp.random import keyed_generator

Array = NDArray[np.float64]

RISE = {"brightness": 0.1}
"""Least rise from velocity 33 to 112 (model scale): players were recorded one dynamic at a time, and what was levelled
does not rise everywhere."""

_FREEDOM = 3.0
"""Degrees of freedom of the noise: some takes are odd ones, and a Gaussian would follow them."""

_REWEIGHTINGS = 4
_FIRST_GUESS = np.log([0.3, 8.0, 3.0, 0.08, 3.0, 0.05, 1.0, 0.05])
_FIRST_SPREAD = 1.2
_MOST_FOR_FIT = 220
_FEWEST = 12
_ROUNDS = 15


def covariance(a: Array, b: Array, parameters: Array) -> Array:
    """Of the attribute between notes (pitch, velocity, log length); [N, M] for [N, 3] and [M, 3].

    Args:
        parameters: variances and lengths: trend, its semitones and dynamics (16 of velocity); semitone, its dynamics;
            length, its octaves (e-folds).
    """
    trend, semitones, dynamics, own, own_dynamics, of_length, folds = parameters
    pitch = a[:, None, 0] - b[None, :, 0]
    velocity = (a[:, None, 1] - b[None, :, 1]) / 16.0
    length = a[:, None, 2] - b[None, :, 2]
    return np.asarray(
        trend * np.exp(-0.5 * (pitch / semitones) ** 2 - 0.5 * (velocity / dynamics) ** 2)
        + own * np.exp(-0.5 * (pitch / 0.6) ** 2 - 0.5 * (velocity / own_dynamics) ** 2)
        + of_length * np.exp(-0.5 * (pitch / 12.0) ** 2 - 0.5 * (length / folds) ** 2)
    )


def fit(places: Array, values: Array, random: np.random.Generator) -> Array:
    """The parameters of ``covariance`` and the noise's variance that make the values likeliest; [8]."""
    from scipy.linalg import LinAlgError, cho_solve, cholesky
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    chosen = random.permutation(len(places))[:_MOST_FOR_FIT]
    near, known = places[chosen], values[chosen] - values.mean()
    scale = max(float(known.var()), 1e-3)

    def surprise(logs: Array) -> float:
        parameters = np.exp(np.clip(logs, -7.0, 5.0))
        matrix = scale * (covariance(near, near, parameters[:-1]) + (parameters[-1] + 1e-4) * np.eye(len(near)))
        try:
            lower = cholesky(matrix, lower=True)
        except LinAlgError:
            return 1e9
        whitened = cho_solve((lower, True), known)
        prior = 0.5 * float((((logs - _FIRST_GUESS) / _FIRST_SPREAD) ** 2).sum())
        return float(0.5 * known @ whitened + np.log(np.diag(lower)).sum()) + prior

    with threadpool_limits(1):  # small matrices: a second thread of the matrix library waits more than it works
        found = minimize(surprise, _FIRST_GUESS, method="L-BFGS-B", options={"maxiter": _ROUNDS})
    parameters = np.exp(np.clip(found.x, -7.0, 5.0))
    parameters[[0, 3, 5, 7]] *= scale
    parameters[7] += 1e-4 * scale
    return np.asarray(parameters)


def smooth_surfaces(notes: Sequence[TrainingNote], *, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Tables of the attributes, and how far each note's own prediction lies from them.

    Args:
        notes: single notes; those without a dynamic are left out of the fit.
        seed: of the choice of notes the parameters are fitted on.

    Returns:
        Surfaces [instruments, attributes, pitches, velocities, lengths] on the model's scale, 0 where an instrument
        has too few notes; shifts [N, attributes]: the table's value at a note less the prediction from all notes
        but those of its cell. An attribute plus its shift stands to the table as an unheard note does.
    """
    surfaces = np.zeros((len(INSTRUMENTS), len(SURFACE_ATTRIBUTES), len(SURFACE_PITCHES), len(VELOCITY_MARKS),
                         len(SURFACE_LENGTHS)), np.float32)
    shifts = np.zeros((len(notes), len(SURFACE_ATTRIBUTES)), np.float32)
    grid = np.stack(np.meshgrid(SURFACE_PITCHES, VELOCITY_MARKS, np.log(SURFACE_LENGTHS), indexing="ij"), -1)
    for instrument, name in enumerate(INSTRUMENTS):
        members = [index for index, note in enumerate(notes)
                   if note.facts["instrument"] == name and note.facts["velocity"] is not None]
        for attribute, key in enumerate(SURFACE_ATTRIBUTES):
            told = [index for index in members if _tells(notes[index], key)]
            if len(told) < _FEWEST:
                continue
            places = np.array([_place(notes[index]) for index in told])
            values = np.clip([SCALES[key].forward(getattr(notes[index].expression, key)) for index in told], -4.0, 4.0)
            table, inverse, weights = _robust(
                places, values, grid, RISE.get(key), partial(keyed_generator, seed, "surface", name, key))
            surfaces[instrument, attribute] = table
            at_notes = read_surface(table, places)
            cells: dict[tuple[int, float], list[int]] = {}
            for row, place in enumerate(places):
                cells.setdefault((round(place[0]), place[1]), []).append(row)
            for rows in cells.values():
                block = np.ix_(rows, rows)
                unheard = values[rows] - np.linalg.solve(inverse[block], weights[rows])
                for row, prediction in zip(rows, unheard):
                    shifts[told[row], attribute] = at_notes[row] - prediction
    return surfaces, shifts


def _robust(
    places: Array, values: Array, grid: Array, rise: float | None, random: Callable[[], np.random.Generator]
) -> tuple[Array, Array, Array]:
    """A table over the grid from noisy values, odd ones counted less (Student's t by reweighting).

    Source: Lange, Little and Taylor 1989, Robust statistical modeling using the t distribution.

    Returns:
        The table, the inverse of the values' covariance, and that inverse times the values less their mean.
    """
    parameters = fit(places, values, random())
    noise = np.full(len(places), parameters[-1])
    points = grid.reshape(-1, 3)
    for turn in range(_REWEIGHTINGS + 1):
        inverse = np.linalg.inv(covariance(places, places, parameters[:-1]) + np.diag(noise))
        mean = float(np.average(values, weights=1.0 / noise))
        weights = inverse @ (values - mean)
        to_grid = covariance(points, places, parameters[:-1])
        table: Array = (mean + to_grid @ weights).reshape(grid.shape[:-1])
        if rise is not None:
            before = parameters[0] + parameters[3] + parameters[5]
            doubt = np.maximum(before - np.einsum("ij,jk,ik->i", to_grid, inverse, to_grid), 1e-4 * before)
            table = _rising(table, rise, doubt.reshape(table.shape))
        if turn == _REWEIGHTINGS:
            break
        odd = (values - read_surface(table, places)) ** 2 / parameters[-1]
        noise = (_FREEDOM + odd) / (_FREEDOM + 1.0)
        if turn == _REWEIGHTINGS // 2:  # the odd ones had widened every length and variance of the first fit
            plain = noise < 3.0
            parameters = fit(places[plain], values[plain], random())
        noise = noise * parameters[-1]
    return table, np.asarray(inverse, np.float64), weights


def read_surface(table: Array, places: Array) -> Array:
    """A table [pitches, velocities, lengths] between its points; [N] for places [N, 3]: pitch, velocity, log length."""
    from scipy.interpolate import interpn

    points = (np.array(SURFACE_PITCHES, float), np.array(VELOCITY_MARKS), np.log(SURFACE_LENGTHS))
    inside = np.stack([np.clip(places[:, axis], point[0], point[-1]) for axis, point in enumerate(points)], -1)
    return np.asarray(interpn(points, table, inside))


def _place(note: TrainingNote) -> tuple[float, float, float]:
    return float(note.facts["pitch"]), float(note.facts["velocity"]), float(np.log(max(note.facts["seconds"], 0.02)))


def _tells(note: TrainingNote, attribute: str) -> bool:
    """Whether a note's recording tells the attribute."""
    if attribute.startswith("attack") and note.facts["late_attack"]:
        return False
    if attribute == "release_s" and note.facts["unfinished"]:
        return False
    return getattr(note.expression, attribute) is not None


def _rising(table: Array, rise: float, doubt: Array) -> Array:
    """The nearest table that rises with velocity by the given share of ``rise`` at least.

    Args:
        table: [pitches, velocities, lengths].
        rise: from velocity 33 to 112.
        doubt: variance of what the table says; what is well known is moved least; as the table.
    """
    from scipy.optimize import isotonic_regression

    slope = rise / (112.0 - 33.0) * np.array(VELOCITY_MARKS)
    flat = np.moveaxis(table, 1, -1).reshape(-1, len(VELOCITY_MARKS)) - slope
    certain = 1.0 / np.moveaxis(doubt, 1, -1).reshape(flat.shape)
    risen = np.stack([isotonic_regression(row, weights=sure).x for row, sure in zip(flat, certain)]) + slope
    shape = (table.shape[0], table.shape[2], table.shape[1])
    return np.asarray(np.moveaxis(risen.reshape(shape), -1, 1))
