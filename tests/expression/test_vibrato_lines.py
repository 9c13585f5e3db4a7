"""Lines of the vibrato inside the network: nothing changes without them, and only what they tell with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mididdsp.expression.bends import KNOTS, bent
from mididdsp.expression.context import CONTEXT_FEATURES, REACH, Neighbour, context_features
from mididdsp.expression.generator import TUNED_BY_PITCH, ExpressionGenerator, _residual
from mididdsp.expression.network import ExpressionConfig, ExpressionNetwork
from mididdsp.expression.scales import SCALES
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
def test_widths_hang_on_length_within_reach() -> None:
    made, (context, instrument) = network(), notes()
    made.lines.widths[:, 5] = 0.5
    made.lines.slopes[1, 5, 1, 1] = -0.4  # of rates over the logarithm of the length, among others
    length = float(context[1, 1])
    _, factor, _ = made(context, instrument)
    widths = factor.norm(dim=-1)[:, COLUMNS]
    assert widths[0].tolist() == pytest.approx([0.5] * 3)
    assert widths[1].tolist() == pytest.approx([0.5, 0.5 * np.exp(-0.4 * length), 0.5])
    made.lines.slopes[1, 5, 1, 1] = -40.0
    _, factor, _ = made(context, instrument)
    assert float(factor.norm(dim=-1)[1, COLUMNS[1]]) == pytest.approx(0.5 * np.exp(-1.0))


@torch.inference_mode()
def test_bends_change_what_is_played_and_nothing_that_varies_with_it() -> None:
    made, (context, instrument) = network(), notes()
    made.lines.widths[:, 5] = torch.tensor([0.3, 0.6, 1.2])
    made.lines.bends[1, 5, 0] = 0.3 * torch.tensor(KNOTS).tanh()  # wider in the middle
    among = torch.tensor([False, True])
    mean, factor, _ = made(context, instrument)
    drawn = mean + torch.randn(2, len(ATTRIBUTES), generator=torch.Generator().manual_seed(0))
    played = made.lines.played(instrument, among, mean, factor, drawn)
    assert torch.equal(played[:, OTHERS], drawn[:, OTHERS])
    assert torch.allclose(played[0], drawn[0], atol=1e-6)  # the bend is of notes among others
    extent = COLUMNS[0]
    away = (drawn - mean)[1, extent] / 0.3
    assert float((played - mean)[1, extent]) == pytest.approx(
        0.3 * float(bent(away, 0.3 * torch.tensor(KNOTS).tanh())), rel=1e-4)
    again, gain = made.lines.evened(instrument, among, mean, factor, played)
    assert torch.allclose(again, drawn, atol=1e-5)
    assert gain[1, extent] != 0
    assert not gain[:, OTHERS].any()


@torch.inference_mode()
def test_tails_bend_an_attribute_of_all_instruments_among_others() -> None:
    made, (context, instrument) = network(), notes()
    release, level = (ATTRIBUTES.index(name) for name in ("release_s", "level_db"))
    made.tails[1, release] = 0.3 * torch.tensor(KNOTS).tanh()
    among = torch.tensor([False, True])
    mean, factor, _ = made(context, instrument)
    drawn = mean + torch.randn(2, len(ATTRIBUTES), generator=torch.Generator().manual_seed(0))
    played = made.played(instrument, among, mean, factor, drawn)
    assert torch.allclose(played[0], drawn[0], atol=1e-6)
    assert torch.allclose(played[1, :level + 1], drawn[1, :level + 1], atol=1e-6)
    width = factor[1, release].norm()
    away = (drawn - mean)[1, release] / width
    assert float((played - mean)[1, release]) == pytest.approx(
        float(width * bent(away, 0.3 * torch.tensor(KNOTS).tanh())), rel=1e-4)
    again, gain = made.evened(instrument, among, mean, factor, played)
    assert torch.allclose(again, drawn, atol=1e-5)
    assert gain[1, release] < 0.0  # wider there: less dense
    assert not gain[0].any()


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


def test_what_is_given_moves_the_rest_by_its_quantile() -> None:
    """An extent at the quantile of one standard deviation moves the level as a Gaussian one would, wherever it lies."""
    plan = plan_part(Part(name="p", instrument="oboe", notes=tuple(
        Note(id=str(index), onset=0.6 * index, duration=0.6, pitch=64.0) for index in range(3))))
    made = ExpressionGenerator(network())
    made.network.lines.widths[1] = 0.5
    extent = SCALES["vibrato_cents"]

    def level(given: float) -> float:
        found = made.express(plan, seed=1, temperature=0.0, given={"1": {"vibrato_cents": given}})["1"].level_db
        assert found is not None
        return found

    middle = extent.backward(0.0)
    straight = level(extent.backward(0.5)) - level(middle)
    assert abs(straight) > 0.1
    made.network.lines.bends[1, :, 0] = 0.4 * torch.tensor(KNOTS)  # as if players differed by 1.4 times as much
    assert level(extent.backward(0.7)) - level(middle) == pytest.approx(straight, rel=1e-4)
    plain = level(extent.backward(0.5)) - level(middle)
    assert abs(plain) < 0.8 * abs(straight)


def test_the_draws_behind_an_expression_are_told_back() -> None:
    """What neighbours are conditioned on: the draws that would have given a note its expression, bends and all."""
    plan = plan_part(Part(name="p", instrument="oboe", notes=tuple(
        Note(id=str(index), onset=0.6 * index, duration=0.6, pitch=64.0) for index in range(3))))
    planned = {item.note.id: item for chain in plan.chains for item in chain.notes}
    made = ExpressionGenerator(network())
    made.network.lines.widths[1] = 0.3
    made.network.lines.bends[1] = 0.5 * torch.tensor(KNOTS).tanh()
    made.network.tails[1, ATTRIBUTES.index("release_s")] = 0.2 * torch.tensor(KNOTS)
    outlook = made._outlooks("oboe", planned)["1"]
    mood = 0.5 * np.random.default_rng(0).standard_normal(len(ATTRIBUTES))
    drawn = outlook.mean + outlook.factor @ mood
    drawn[ATTRIBUTES.index("length_ratio")] = outlook.mean[ATTRIBUTES.index("length_ratio")]  # not of the joint
    wanted = np.linalg.solve(outlook.factor, drawn - outlook.mean)
    assert np.abs(wanted).max() < 2.5  # beyond it draws are cut
    tuning, of_pitch = ATTRIBUTES.index("tuning_cents"), 0.8
    drawn[tuning] = outlook.mean[tuning] + (
        np.sqrt(1.0 - TUNED_BY_PITCH) * (drawn[tuning] - outlook.mean[tuning])
        + np.sqrt(TUNED_BY_PITCH) * np.linalg.norm(outlook.factor[tuning]) * of_pitch)
    given = {name: SCALES[name].backward(float(value)) for name, value in zip(ATTRIBUTES, outlook.played(drawn))}
    np.testing.assert_allclose(_residual(given, outlook, of_pitch), wanted, atol=1e-5)


def test_a_checkpoint_without_lines_and_tails_plays_as_it_did() -> None:
    made = network()
    tensors, card = ExpressionGenerator(made).to_checkpoint()
    old = {name: value for name, value in tensors.items() if not name.startswith("lines.") and name != "tails"}
    assert len(old) < len(tensors)
    again = ExpressionGenerator.from_checkpoint(old, {"model": card})
    context, instrument = torch.randn(4, CONTEXT_FEATURES), torch.tensor([0, 3, 5, 15])
    with torch.inference_mode():
        assert all(torch.equal(a, b) for a, b in zip(made(context, instrument), again.network(context, instrument)))
