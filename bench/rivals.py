"""Simpler models of how notes are played, that the expression generator must beat: lines by instrument, the teacher.

Conventions: a Gaussian around a line in the features, apart for each instrument, on the scale on which the generator
has its own; its width is drawn to the pooled one where an instrument has few notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mididdsp.expression import views
from mididdsp.instruments import INSTRUMENTS

Array = NDArray[np.float64]

SHRINK = 5.0
"""Notes' worth of pooled variance that an instrument's own starts from."""
RIDGE = 1.0
"""Penalty on a line's weights, its features standardised."""
RELATIVES = {"english_horn": "oboe", "bass_clarinet": "clarinet", "contrabassoon": "bassoon"}
"""Whom the teacher, who does not know them, is asked for."""
SHARED = {scale.attribute: name for name, scale in views.PAPER.items()}
"""Attribute here to the paper's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """Notes of one source and split, in columns.

    Attributes:
        instrument: index in the table; [N].
        pitch, seconds: [N].
        velocity: NaN where there is none; [N].
        around: interval (semitones), gap (s), seconds of the note before and the one after; NaN where there is none;
            [N, 6].
        values: attributes on the generator's scale; [N, A].
        known: where there is a value; [N, A].
        vibrates: 1, 0, or NaN where it is not told; [N].
    """

    instrument: NDArray[np.int64]
    pitch: Array
    seconds: Array
    velocity: Array
    around: Array
    values: Array
    known: NDArray[np.bool_]
    vibrates: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A Gaussian around a line for each instrument, on the generator's scale; row -1 is for those without notes.

    Attributes:
        weights: of the features and a one; [instruments + 1, F + 1].
        variance: [instruments + 1].
        centre, width: of the features over the notes it was fitted to; [F].
    """

    weights: Array
    variance: Array
    centre: Array
    width: Array

    def density(self, features: Array, instrument: NDArray[np.int64], values: Array) -> Array:
        """Log density of values [N] in nats per unit of the scale; [N]."""
        matrix = design((features - self.centre) / self.width)
        mean = (matrix * self.weights[instrument]).sum(axis=1)
        variance = self.variance[instrument]
        return np.asarray(-0.5 * ((values - mean) ** 2 / variance + np.log(2 * np.pi * variance)))


def design(features: Array) -> Array:
    """Features [N, F] and a one; [N, F + 1]."""
    return np.column_stack([features, np.ones(len(features))])


def fit(features: Array, instrument: NDArray[np.int64], values: Array) -> Fitted:
    """Ridge lines and widths by instrument; the width is drawn to the pooled one where notes are few.

    Args:
        features: [N, F]; F may be 0, then the line is a mean.
        instrument: [N].
        values: [N].
    """
    centre, width = features.mean(axis=0), features.std(axis=0) + 1e-9
    matrix = design((features - centre) / width)
    penalty = np.diag([*np.full(features.shape[1], RIDGE), 1e-6])
    count = len(INSTRUMENTS)
    weights, variance = np.zeros((count + 1, matrix.shape[1])), np.zeros(count + 1)

    def line(rows: NDArray[np.bool_]) -> tuple[Array, float, int]:
        x, y = matrix[rows], values[rows]
        found = np.asarray(np.linalg.solve(x.T @ x + penalty, x.T @ y), np.float64)
        return found, float(((y - x @ found) ** 2).sum()), int(rows.sum())

    weights[-1], squares, total = line(np.ones(len(values), bool))
    variance[-1] = max(squares / total, 1e-6)
    for index in range(count):
        rows = instrument == index
        if rows.sum() < 2:
            weights[index], variance[index] = weights[-1], variance[-1]
            continue
        weights[index], squares, total = line(rows)
        variance[index] = (squares + SHRINK * variance[-1]) / (total + SHRINK)
    return Fitted(weights=weights, variance=variance, centre=centre, width=width)


class Teacher:
    """What the published generator says of a note, read from its melodies.

    Args:
        path: ``teacher_expression.npz``.

    Raises:
        FileNotFoundError: it is not there.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there; give teacher_expression.npz with --teacher")
        with np.load(path, allow_pickle=False) as file:
            names = [str(name) for name in file["instrument_names"]]
            columns = [views.PAPER_COLUMNS[str(name)] for name in file["attribute_names"]]
            table_ = {name: np.asarray(file[name]) for name in (
                "melody", "instrument", "pitch", "onset_s", "duration_s", "attributes")}
        rows = np.flatnonzero(table_["pitch"] > 0)
        around = np.full((len(rows), 2, 3), np.nan)
        for side, near in ((0, rows[:-1]), (1, rows[1:])):
            own = rows[1:] if side == 0 else rows[:-1]
            together = table_["melody"][own] == table_["melody"][near]
            first, second = (near, own) if side == 0 else (own, near)
            gap = table_["onset_s"][second] - table_["onset_s"][first] - table_["duration_s"][first]
            filled = np.stack([table_["pitch"][near].astype(float) - table_["pitch"][own], gap,
                               table_["duration_s"][near]], axis=1)
            filled[~together] = np.nan
            around[slice(1, None) if side == 0 else slice(None, -1), side] = filled
        self._features = (table_["pitch"][rows].astype(float), table_["duration_s"][rows].astype(float),
                          around.reshape(len(rows), 6))
        self._instrument = np.array([list(INSTRUMENTS).index(_known(names[index]))
                                     for index in table_["instrument"][rows]])
        self._fits = {name: fit(teacher_features(*self._features), self._instrument,
                                table_["attributes"][rows, columns.index(name)].astype(float))
                      for name in views.PAPER}

    def explained(self) -> dict[str, float]:
        """Share of the teacher's variance within an instrument that the reading explains, by the paper's names."""
        features = teacher_features(*self._features)
        counts = np.bincount(self._instrument, minlength=len(INSTRUMENTS)).astype(float)
        result = {}
        for name, fitted in self._fits.items():
            # the fit's own variance against that of a mean an instrument
            mean = (design((features - fitted.centre) / fitted.width) * fitted.weights[self._instrument]).sum(axis=1)
            sums = np.bincount(self._instrument, mean, len(INSTRUMENTS))
            between = sums[self._instrument] / counts[self._instrument]
            inside = float(((mean - between) ** 2).mean())
            rest = float((fitted.variance[:-1] * counts).sum() / counts.sum())
            result[name] = inside / (inside + rest)
        return result

    def says(self, notes: Notes) -> dict[str, Array]:
        """Its predictions in physical units, by attribute here; [N] each."""
        names = list(INSTRUMENTS)
        asked = np.array([names.index(RELATIVES.get(name, name)) for name in names])[notes.instrument]
        features = teacher_features(notes.pitch, notes.seconds, notes.around)
        paper = {}
        for name, fitted in self._fits.items():
            matrix = design((features - fitted.centre) / fitted.width)
            paper[name] = (matrix * fitted.weights[asked]).sum(axis=1)
        level = np.array([views.from_paper("volume", value, 0.0) for value in paper["volume"]])
        return {attribute: np.array([views.from_paper(name, value, loud)
                                     for value, loud in zip(paper[name], level)])
                for attribute, name in SHARED.items()}


def _known(name: str) -> str:
    plain = name.lower().replace(" ", "_")
    return {"bass": "double_bass", "contrabass": "double_bass", "sax": "saxophone"}.get(plain, plain)


def teacher_features(pitch: Array, seconds: Array, around: Array) -> Array:
    """Pitch, log length and the neighbours' interval, gap and log length with their squares; [N, 18]."""
    told = np.isfinite(around[:, [0, 3]])
    near = np.nan_to_num(around)
    plain = np.column_stack([
        (pitch - 66.0) / 12.0, np.log(np.maximum(seconds, 0.02) / 0.4),
        *(np.clip(near[:, side] / 6.0, -3, 3) for side in (0, 3)),
        *(np.clip(near[:, side + 1] / 0.25, -1, 3) for side in (0, 3)),
        *(np.where(told[:, index], np.log(np.maximum(near[:, 3 * index + 2], 0.02) / 0.4), 0.0)
          for index in (0, 1))])
    return np.column_stack([plain, plain**2, told])
