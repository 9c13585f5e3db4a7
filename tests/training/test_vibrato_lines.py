"""The lines of the vibrato: fitted to made-up notes of known lines."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mididdsp.data.expression_set import Examples
from mididdsp.expression.generator import (
    CONTEXT_FEATURES,
    REACH,
    VIBRATO_FEATURES,
    VIBRATO_PLAIN,
    Neighbour,
    context_features,
    vibrato_features,
)
from mididdsp.expression.types import ATTRIBUTES
from mididdsp.expression.vibrato_lines import LINED
from mididdsp.instruments import INSTRUMENTS
from mididdsp.training.vibrato_lines import Penalties, fit_lines, lines_of

OBOE, TUBA = (list(INSTRUMENTS).index(name) for name in ("oboe", "tuba"))


def contexts(count: int, *, among: bool, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    nobody: list[Neighbour | None] = [None] * (2 * REACH)
    if among:
        nobody[0] = Neighbour(interval=2.0, gap_s=0.0, seconds=0.5, velocity=0.0)
    return np.stack([context_features(float(random.uniform(58, 90)), float(random.uniform(0.3, 2.0)),
                                      float(random.integers(30, 120)), (), False, False, nobody)
                     for _ in range(count)]).astype(np.float32)


def features(count: int) -> np.ndarray:
    return np.asarray(vibrato_features(torch.from_numpy(contexts(count, among=False))).double().numpy())


def test_a_known_line_is_found_where_notes_are_many() -> None:
    seen, random = features(2000), np.random.default_rng(1)
    truth = 0.4 + 0.8 * seen[:, 0] - 0.5 * seen[:, 1]
    weights, widths = fit_lines(seen, np.full(2000, OBOE), truth + random.normal(0, 0.3, 2000), Penalties())
    # ridge of tens of notes against 2,000, noise of 0.3 / sqrt(2000 / 27 weights)
    assert np.abs(seen @ weights[OBOE] - truth).mean() < 0.06
    assert widths[OBOE] == pytest.approx(0.3, abs=0.02)


def test_few_notes_are_drawn_to_what_all_share() -> None:
    seen, random = features(1003), np.random.default_rng(1)
    instrument = np.array([OBOE] * 1000 + [TUBA] * 3)
    values = 1.0 * seen[:, 0] + random.normal(0, 0.2, 1003)
    values[-3:] += 2.0
    weights, widths = fit_lines(seen, instrument, values, Penalties())
    lifted = float(np.mean(seen[-3:] @ (weights[TUBA] - weights[OBOE])))
    assert 0.1 < lifted < 1.5  # moved, but not all the way
    assert widths[TUBA] > widths[OBOE]
    nobody = list(INSTRUMENTS).index("viola")
    assert np.abs(seen @ (weights[nobody] - weights[OBOE])).mean() < 0.5  # an instrument without notes plays as all do
    apart, _ = fit_lines(seen, instrument, values, Penalties(common=1e9, own=30.0, offset=1e-3, bells=60.0))
    assert float(np.mean(seen[-3:] @ (apart[TUBA] - apart[OBOE]))) > lifted


def test_a_width_is_that_of_notes_left_out() -> None:
    """With as many weights as notes a line passes near every note; the width must not believe it."""
    found = []
    for seed in range(20):
        seen = np.concatenate([features(40)[:, :-1], np.ones((40, 1))], axis=1)
        values = np.random.default_rng(seed).normal(0, 1.0, 40)
        weak = Penalties(own=0.1, bells=0.1, offset=0.1, common=0.1)
        found.append(fit_lines(seen, np.full(40, OBOE), values, weak)[1][OBOE])
    assert np.mean(found) > 1.0  # of ordinary residuals it would be 0.8 at most


def test_nothing_is_told_without_notes() -> None:
    weights, widths = fit_lines(np.zeros((0, VIBRATO_FEATURES)), np.zeros(0, np.int64), np.zeros(0), Penalties())
    assert not weights.any()
    assert not widths.any()
    assert VIBRATO_PLAIN < VIBRATO_FEATURES < CONTEXT_FEATURES


def examples(*, among: bool, level: float) -> Examples:
    known = np.zeros((60, len(ATTRIBUTES)), np.float32)
    known[:, [ATTRIBUTES.index(name) for name in LINED]] = 1.0
    return Examples(context=contexts(60, among=among), instrument=np.full(60, OBOE),
                    values=level * known, known=known, vibrates=np.ones(60, np.float32))


def test_lines_of_notes_alone_and_among_others_are_apart() -> None:
    alone, among = examples(among=False, level=1.0), examples(among=True, level=-1.0)
    found = lines_of(alone, among)
    seen = vibrato_features(torch.from_numpy(alone.context))
    means = torch.einsum("nf,wkf->wkn", seen, found["weights"][:, OBOE])
    assert float(means[0].mean()) > 0.7
    assert float(means[1].mean()) == pytest.approx(-1.0, abs=0.05)
    with pytest.raises(ValueError, match="mixed"):
        lines_of(among, alone)
