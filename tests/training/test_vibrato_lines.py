"""The lines of the vibrato: fitted to made-up notes of known lines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from mididdsp.data.expression_set import Examples
from mididdsp.expression.bends import KNOTS
from mididdsp.expression.context import (
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
from mididdsp.training.vibrato_lines import Penalties, fit_bends, fit_lines, fit_slopes, lines_of

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
    fit = fit_lines(seen, np.full(2000, OBOE), truth + random.normal(0, 0.3, 2000), Penalties())
    weights, widths = fit.weights, fit.widths
    # ridge of tens of notes against 2,000, noise of 0.3 / sqrt(2000 / 27 weights)
    assert np.abs(seen @ weights[OBOE] - truth).mean() < 0.06
    assert widths[OBOE] == pytest.approx(0.3, abs=0.02)


def test_few_notes_are_drawn_to_what_all_share() -> None:
    seen, random = features(1003), np.random.default_rng(1)
    instrument = np.array([OBOE] * 1000 + [TUBA] * 3)
    values = 1.0 * seen[:, 0] + random.normal(0, 0.2, 1003)
    values[-3:] += 2.0
    fit = fit_lines(seen, instrument, values, Penalties())
    weights, widths = fit.weights, fit.widths
    lifted = float(np.mean(seen[-3:] @ (weights[TUBA] - weights[OBOE])))
    assert 0.1 < lifted < 1.5  # moved, but not all the way
    assert widths[TUBA] > widths[OBOE]
    nobody = list(INSTRUMENTS).index("viola")
    assert np.abs(seen @ (weights[nobody] - weights[OBOE])).mean() < 0.5  # an instrument without notes plays as all do
    apart = fit_lines(seen, instrument, values, Penalties(common=1e9, own=30.0, offset=1e-3, bells=60.0)).weights
    assert float(np.mean(seen[-3:] @ (apart[TUBA] - apart[OBOE]))) > lifted


def test_a_width_is_that_of_notes_left_out() -> None:
    """With as many weights as notes a line passes near every note; the width must not believe it."""
    found = []
    for seed in range(20):
        seen = np.concatenate([features(40)[:, :-1], np.ones((40, 1))], axis=1)
        values = np.random.default_rng(seed).normal(0, 1.0, 40)
        weak = Penalties(own=0.1, bells=0.1, offset=0.1, common=0.1)
        found.append(fit_lines(seen, np.full(40, OBOE), values, weak).widths[OBOE])
    assert np.mean(found) > 1.0  # of ordinary residuals it would be 0.8 at most


def test_nothing_is_told_without_notes() -> None:
    fit = fit_lines(np.zeros((0, VIBRATO_FEATURES)), np.zeros(0, np.int64), np.zeros(0), Penalties())
    assert not fit.weights.any()
    assert not fit.widths.any()
    assert len(fit.left) == 0
    assert VIBRATO_PLAIN < VIBRATO_FEATURES < CONTEXT_FEATURES


def test_a_spread_that_hangs_on_length_is_found() -> None:
    random = np.random.default_rng(0)
    seen = features(4000)[:, :VIBRATO_PLAIN]
    left = random.standard_normal(4000) * 0.7 * np.exp(0.5 * seen[:, 1])
    slopes, width = fit_slopes(left, seen)
    # a standard error of .01 to .02 each, and the penalty of 50 notes' worth of 4,000 upon features that go together
    np.testing.assert_allclose(np.exp(seen @ slopes + width), 0.7 * np.exp(0.5 * seen[:, 1]), rtol=0.15)
    even, width = fit_slopes(random.standard_normal(4000), seen)
    assert np.abs(even).max() < 0.1
    assert width == pytest.approx(0.0, abs=0.1)


def test_a_mixture_is_found_by_its_quantiles() -> None:
    random = np.random.default_rng(0)
    small = random.random(20_000) < 0.25
    deviations = np.where(small, random.normal(-1.2, 0.3, 20_000), random.normal(0.4, 0.85, 20_000))
    bends = fit_bends(deviations)
    inside = np.abs(KNOTS) <= 2.0
    wanted = np.quantile(deviations, ndtr(np.array(KNOTS)))
    # 20,000 draws: a quantile at 2 sigma has a standard error of about .03
    np.testing.assert_allclose((KNOTS + bends)[inside], wanted[inside], atol=0.08)
    assert (np.diff(KNOTS + bends) > 0).all()
    assert np.abs(fit_bends(random.standard_normal(20_000))[inside]).max() < 0.08


def test_bends_and_slopes_are_told_by_players_alone() -> None:
    random = np.random.default_rng(0)
    count = 2000
    known = np.zeros((count, len(ATTRIBUTES)), np.float32)
    columns = [ATTRIBUTES.index(name) for name in LINED]
    known[:, columns] = 1.0
    values = np.zeros_like(known)
    small = random.random((count, 3)) < 0.25
    values[:, columns] = np.where(small, random.normal(-1.2, 0.3, (count, 3)), random.normal(0.4, 0.85, (count, 3)))
    alone, among = (Examples(context=contexts(count, among=side), instrument=np.full(count, OBOE), values=values,
                             known=known, vibrates=np.ones(count, np.float32)) for side in (False, True))
    nobody = Examples.chosen(among, np.zeros(count, bool))
    told, untold = lines_of(alone, among, among), lines_of(alone, among, nobody)
    extent, rate, delay = (LINED.index(name) for name in LINED)
    assert not untold["bends"][1].any()
    assert not untold["slopes"][1].any()
    assert told["bends"][1, OBOE, extent].abs().max() > 0.1
    assert not told["bends"][1, TUBA].any()
    assert not told["bends"][1, OBOE, rate].any()
    assert told["slopes"][1, OBOE, rate].any()
    assert torch.equal(told["bends"][0, OBOE], told["bends"][0, TUBA])  # single notes of all tell it together
    assert told["bends"][0].any()
    assert told["slopes"][0, :, [extent, delay]].all()
    assert not told["slopes"][0, :, rate].any()


def examples(*, among: bool, level: float) -> Examples:
    known = np.zeros((60, len(ATTRIBUTES)), np.float32)
    known[:, [ATTRIBUTES.index(name) for name in LINED]] = 1.0
    return Examples(context=contexts(60, among=among), instrument=np.full(60, OBOE),
                    values=level * known, known=known, vibrates=np.ones(60, np.float32))


def test_lines_of_notes_alone_and_among_others_are_apart() -> None:
    alone, among = examples(among=False, level=1.0), examples(among=True, level=-1.0)
    found = lines_of(alone, among, among)
    seen = vibrato_features(torch.from_numpy(alone.context))
    means = torch.einsum("nf,wkf->wkn", seen, found["weights"][:, OBOE])
    assert float(means[0].mean()) > 0.7
    assert float(means[1].mean()) == pytest.approx(-1.0, abs=0.05)
    with pytest.raises(ValueError, match="mixed"):
        lines_of(among, alone, alone)
