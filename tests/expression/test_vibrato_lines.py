"""Lines of the vibrato inside the network: nothing changes without them, and only what they tell with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mididdsp.expression.generator import (
    CONTEXT_FEATURES,
    REACH,
    ExpressionConfig,
    ExpressionGenerator,
    ExpressionNetwork,
    Neighbour,
    context_features,
)
from mididdsp.expression.types import ATTRIBUTES
from mididdsp.expression.vibrato_lines import LINED
from mididdsp.notes.types import Note, Part
from mididdsp.notes.voices import plan_part

COLUMNS = [ATTRIBUTES.index(name) for name in LINED]
OTHERS = [index for index in range(len(ATTRIBUTES)) if index not in COLUMNS]


def network() -> ExpressionNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = ExpressionNetwork(ExpressionConfig(width=16, layers=2, embedding=4)).eval()
        with torch.no_grad():
            made.factor.weight.normal_(0.0, 0.2)
    return made


def notes() -> tuple[Tensor, Tensor]:
    """A note by itself and one among others, both of instrument 5."""
    nobody: list[Neighbour | None] = [None] * (2 * REACH)
    other = [Neighbour(interval=2.0, gap_s=0.0, seconds=0.5, velocity=0.0), *nobody[1:]]
    rows = [context_features(64.0, 0.8, 80.0, (), False, False, around) for around in (nobody, other)]
    return torch.from_numpy(np.stack(rows).astype(np.float32)), torch.tensor([5, 5])


def correlations(factor: Tensor) -> Tensor:
    covariance = factor @ factor.transpose(-1, -2)
    spread = torch.diagonal(covariance, dim1=-2, dim2=-1).sqrt()
    return covariance / spread.unsqueeze(-1) / spread.unsqueeze(-2)


@torch.inference_mode()
def test_lines_tell_mean_and_spread_and_leave_the_rest() -> None:
    made, (context, instrument) = network(), notes()
    before = made(context, instrument)
    made.lines.weights[0, 5, :, -1] = 0.5
    made.lines.weights[1, 5, :, -1] = -0.7
    made.lines.widths[:, 5] = torch.tensor([0.3, 0.6, 1.2])
    mean, factor, logit = made(context, instrument)
    assert mean[0, COLUMNS].tolist() == pytest.approx([0.5] * 3)
    assert mean[1, COLUMNS].tolist() == pytest.approx([-0.7] * 3)
    assert torch.equal(mean[:, OTHERS], before[0][:, OTHERS])
    assert torch.allclose(factor.norm(dim=-1)[:, COLUMNS], torch.tensor([0.3, 0.6, 1.2]), rtol=1e-5)
    assert torch.allclose(factor.norm(dim=-1)[:, OTHERS], before[1].norm(dim=-1)[:, OTHERS])
    assert torch.allclose(correlations(factor), correlations(before[1]), atol=1e-5)
    assert torch.equal(logit, before[2])
    other = made(context, instrument + 1)  # of another instrument nothing is told
    made.lines.widths.zero_()
    assert all(torch.equal(a, b) for a, b in zip(other, made(context, instrument + 1)))


@torch.inference_mode()
def test_shifts_are_of_what_is_asked_for_among_others() -> None:
    made, (context, instrument) = network(), notes()
    mean, factor, logit = made(context, instrument)
    made.lines.shifts[5] = torch.tensor([1.0, 0.1, 0.2, 0.3])
    made.lines.stretches[5] = torch.tensor([0.5, 0.0, -0.2])
    assert torch.equal(made(context, instrument)[0], mean)  # how players play is not touched
    asked, wider, chance = made.lines.asked(instrument, torch.tensor([False, True]), mean, factor, logit)
    assert torch.equal(wider[0], factor[0])
    assert (wider.norm(dim=-1) / factor.norm(dim=-1))[1, COLUMNS].tolist() == pytest.approx([1.5, 1.0, 0.8])
    assert torch.equal(wider[:, OTHERS], factor[:, OTHERS])
    assert torch.equal(asked[0], mean[0])
    assert chance[0] == logit[0]
    assert (asked - mean)[1, COLUMNS].tolist() == pytest.approx([0.1, 0.2, 0.3], abs=1e-5)
    assert torch.equal(asked[:, OTHERS], mean[:, OTHERS])
    assert float(chance[1] - logit[1]) == pytest.approx(1.0, abs=1e-5)


def test_shifts_are_heard_in_what_is_expressed() -> None:
    plan = plan_part(Part(name="p", instrument="oboe", notes=tuple(
        Note(id=str(index), onset=0.6 * index, duration=0.6, pitch=64.0) for index in range(8))))
    made = ExpressionGenerator(network())
    with torch.no_grad():
        made.network.vibrato.bias.fill_(8.0)
    before = made.express(plan, seed=1)
    made.network.lines.shifts[:, 1] = 0.2
    after = made.express(plan, seed=1)
    for name, expression in before.items():
        assert expression.vibrato_cents is not None
        # the scale of extents is a logarithm of spread 0.5
        assert after[name].vibrato_cents == pytest.approx(expression.vibrato_cents * np.exp(0.1), rel=1e-5)
        assert after[name].level_db == pytest.approx(expression.level_db)
    made.network.lines.shifts[:, 0] = -30.0
    assert all(expression.vibrato_cents == 0.0 for expression in made.express(plan, seed=1).values())


def test_a_checkpoint_without_lines_plays_as_it_did() -> None:
    made = network()
    tensors, card = ExpressionGenerator(made).to_checkpoint()
    old = {name: value for name, value in tensors.items() if not name.startswith("lines.")}
    assert len(old) < len(tensors)
    again = ExpressionGenerator.from_checkpoint(old, {"model": card})
    context, instrument = torch.randn(4, CONTEXT_FEATURES), torch.tensor([0, 3, 5, 15])
    with torch.inference_mode():
        assert all(torch.equal(a, b) for a, b in zip(made(context, instrument), again.network(context, instrument)))
