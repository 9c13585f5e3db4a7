"""The recipe of the expression generator: batches from each source, losses by hand, and a run from end to end."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mididdsp.checkpoints import load_checkpoint
from mididdsp.data.expression_set import Examples
from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.expression.bends import bent
from mididdsp.expression.context import CONTEXT_FEATURES, LONGEST_TOLD_S, REACH, VELOCITY_MARKS, context_features
from mididdsp.expression.generator import ExpressionGenerator
from mididdsp.expression.network import NO_FLOOR, ExpressionConfig, ExpressionNetwork, masked_log_likelihood
from mididdsp.expression.scales import SCALES
from mididdsp.expression.types import ATTRIBUTES, NoteExpression
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.types import Note, Part
from mididdsp.notes.voices import plan_part
from mididdsp.training.expression import (
    TAILS,
    Batches,
    dullest,
    figures,
    heavy_tails,
    level_rungs,
    loss,
    monotone_penalty,
    phrased_pitches,
)
from mididdsp.training.loop import TrainingError
from mididdsp.training.recipes import train
from mididdsp.training.surfaces import RISE
from mididdsp.training.vibrato import calibrate_vibrato

COUNT, LEVEL = len(ATTRIBUTES), ATTRIBUTES.index("level_db")
PLAIN = NoteExpression(
    level_db=-26.0, fluctuation_db=1.0, peak_position=0.3, brightness=1.0, attack_noise_db=-25.0, attack_s=0.05,
    release_s=0.1, vibrato_cents=0.0, vibrato_rate_hz=None, vibrato_delay_s=None, tuning_cents=0.0, timing_s=0.0,
    length_ratio=None, glide_s=None)


def examples(count: int, instrument: int = 0, seed: int = 0) -> Examples:
    random = np.random.default_rng(seed)
    return Examples(
        context=random.normal(size=(count, CONTEXT_FEATURES)).astype(np.float32),
        instrument=np.full(count, instrument), values=random.normal(size=(count, COUNT)).astype(np.float32),
        known=(random.random((count, COUNT)) < 0.5).astype(np.float32),
        vibrates=np.where(random.random(count) < 0.5, np.nan, 1.0).astype(np.float32))


def network() -> ExpressionNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ExpressionNetwork(ExpressionConfig(width=16, layers=2, embedding=4)).eval()


class _Rising(nn.Module):
    """Mean level and brightness rise by so much over the whole of velocities 33 to 112."""

    def __init__(self, level: float, brightness: float) -> None:
        super().__init__()
        self.rise = nn.Parameter(torch.zeros(COUNT))
        with torch.no_grad():
            self.rise[ATTRIBUTES.index("level_db")] = level
            self.rise[ATTRIBUTES.index("brightness")] = brightness

    def forward(self, context: Tensor, instrument: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean = context[:, 4:5] * 32.0 / 79.0 * self.rise
        return mean, torch.eye(COUNT).expand(len(context), -1, -1), torch.zeros(len(context))

    def evened(
        self, instrument: Tensor, among: Tensor, mean: Tensor, factor: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What is drawn is played."""
        return values, torch.zeros_like(values)


def test_batches_are_functions_of_the_step_with_a_share_of_each_source() -> None:
    sources = [(examples(10, 0), 4), (examples(3, 5), 2)]
    one, again, other = (Batches(sources, seed=1)(step) for step in (3, 3, 4))
    assert all(torch.equal(a[~torch.isnan(a)], b[~torch.isnan(b)]) for a, b in zip(one, again))
    assert not torch.equal(one[0], other[0])
    assert one[1].tolist() == [0] * 4 + [5] * 2
    assert [tuple(tensor.shape) for tensor in one] == [(6, CONTEXT_FEATURES), (6,), (6, COUNT), (6, COUNT), (6,)]


def test_the_loss_by_hand() -> None:
    batch = Batches([(examples(20), 8)], seed=0)(0)
    terms = loss(_Rising(100.0, 100.0), batch)
    context, _, values, known, vibrates = batch
    mean, factor, logit = _Rising(100.0, 100.0)(context, torch.zeros(8))
    wanted = -masked_log_likelihood(mean, factor, values, known).sum() / known.sum()
    assert float(terms["attributes"].detach()) == pytest.approx(float(wanted.detach()), rel=1e-6)
    # A logit of 0 is an even chance, for those of whom it is known.
    assert torch.isfinite(vibrates).any()
    assert float(terms["vibrato"].detach()) == pytest.approx(np.log(2.0), rel=1e-6)
    assert float(terms["rise"].detach()) == 0.0
    assert float(terms["loss"].detach()) == pytest.approx(float(wanted.detach()) + 0.3 * np.log(2.0), rel=1e-5)


def test_batches_that_know_of_no_vibrato_have_a_gradient() -> None:
    context, instrument, values, known, vibrates = Batches([(examples(20), 8)], seed=0)(0)
    model = network()
    terms = loss(model, (context, instrument, values, known, torch.full_like(vibrates, torch.nan)))
    assert float(terms["vibrato"].detach()) == 0.0
    terms["loss"].backward()  # type: ignore[no-untyped-call]
    assert all(value.grad is None or bool(torch.isfinite(value.grad).all()) for value in model.parameters())


def test_loudness_and_brightness_must_rise() -> None:
    context = torch.zeros(50, CONTEXT_FEATURES)
    instrument = torch.zeros(50, dtype=torch.long)
    # Steps of 20 velocities: a quarter of what the whole range rises.
    enough = monotone_penalty(_Rising(0.31 * 79 / 20, 1.01 * RISE["brightness"]), context, instrument)
    assert float(enough.detach()) == 0.0
    flat = monotone_penalty(_Rising(0.0, 0.0), context, instrument)
    assert float(flat.detach()) == pytest.approx(0.3 + RISE["brightness"] * 20 / 79, rel=1e-5)
    falling = monotone_penalty(_Rising(-79 / 20, 100.0), context, instrument)
    assert float(falling.detach()) == pytest.approx(1.3, rel=1e-5)
    assert not context.any()  # inputs are not written to


def test_figures_are_each_attribute_alone() -> None:
    model, held_out = network(), examples(30)
    got = figures(model, held_out)
    with torch.inference_mode():
        mean, factor, _ = model(torch.from_numpy(held_out.context), torch.from_numpy(held_out.instrument))
        only = torch.zeros(30, COUNT)
        only[:, 0] = torch.from_numpy(held_out.known[:, 0])
        wanted = -masked_log_likelihood(mean, factor, torch.from_numpy(held_out.values), only).sum() / only.sum()
    # 1e-6 on the diagonal keeps the matrix well conditioned.
    assert got[ATTRIBUTES[0]] == pytest.approx(float(wanted), rel=1e-4)
    assert set(got) == {*ATTRIBUTES, "vibrates", "loss"}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_recipe_runs_end_to_end_resumes_and_continues(tmp_path: Path) -> None:
    folder = train("expression", ["recipe=debug"], out=tmp_path / "run", quiet=True)
    checkpoint = load_checkpoint(folder, level="expression")
    generator = ExpressionGenerator.from_checkpoint(checkpoint.tensors, checkpoint.card)
    plan = plan_part(Part(name="p", instrument="oboe", notes=(Note(id="a", onset=0.0, duration=0.5, pitch=70.0),)))
    assert set(generator.express(plan, seed=0)) == {"a"}
    assert checkpoint.card["figures"]["steps"] == 4
    assert str(tmp_path) not in (folder / "card.json").read_text(encoding="utf-8")
    again = load_checkpoint(train("expression", ["recipe=debug"], out=tmp_path / "again", quiet=True))
    assert same(checkpoint.tensors, again.tensors)
    train("expression", ["recipe=debug", "steps=2"], out=tmp_path / "parts", quiet=True)
    parts = load_checkpoint(train("expression", ["recipe=debug", "steps=4"], out=tmp_path / "parts", quiet=True))
    assert parts.card["figures"]["steps"] == 4
    train("expression", ["recipe=debug", f"start='{folder}'"], out=tmp_path / "next", quiet=True)
    kept = train("expression", ["recipe=debug", f"start='{folder}'", "keep_network=true"], out=tmp_path / "kept",
                 quiet=True)
    again = load_checkpoint(kept)
    assert same(checkpoint.tensors, again.tensors)
    assert again.card["recipe"].startswith(f"{checkpoint.card['recipe']} && mididdsp train expression")
    assert again.card["figures"]["steps"] == checkpoint.card["figures"]["steps"] > 0
    assert (kept / "curve.png").exists()
    with pytest.raises(TrainingError, match="give start=CHECKPOINT"):
        train("expression", ["recipe=debug", "keep_network=true"], out=tmp_path / "none", quiet=True)


def test_the_recipe_learns_from_prepared_recordings(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mididdsp.training.expression as recipe

    whole = recipe.figure_examples
    monkeypatch.setattr(recipe, "figure_examples", lambda folder, *, count, seed: whole(folder, count=160, seed=seed))
    monkeypatch.setattr(recipe, "calibrate_vibrato", partial(calibrate_vibrato, rounds=1, instruments=("oboe", "tuba")))
    options = ["recipe=debug", "made_up=false", f"data='{dataset}'", "steps=3", "calibration_lines=1"]
    folder = train("expression", options, out=tmp_path / "run", quiet=True)
    shifts = load_checkpoint(folder).tensors["lines.shifts"]
    moved = {name for name, row in zip(INSTRUMENTS, shifts) if row.any()}
    assert moved == {"oboe", "tuba"}
    data = load_checkpoint(folder).card["data"]
    assert data["notes_examples"] == 4 * 10
    assert data["violinists_examples"] == 8
    assert data["figures_examples"] == 160


def test_rungs_put_the_dynamics_as_far_apart_as_asked() -> None:
    """An untrained network has no dynamics to speak of; with its rungs the mean level of every mark is right."""
    notes = [TrainingNote(facts={"instrument": "oboe", "pitch": float(pitch)}, expression=PLAIN, gain_db=0.0,
                          frames={}) for pitch in range(60, 80)]
    torch.manual_seed(0)
    network = ExpressionNetwork(ExpressionConfig(width=16))
    network.rungs.copy_(level_rungs(network, notes, {"oboe": 18.0}))
    oboe = list(INSTRUMENTS).index("oboe")
    assert not network.rungs[[index for index in range(len(INSTRUMENTS)) if index != oboe]].any()
    for seconds, velocity, expected in (
            (0.12, 33.0, -36.8), (1.0, 80.0, -26.0), (0.6, 88.0, -24.2), (3.0, 112.0, -18.8)):
        context = np.stack([context_features(note.facts["pitch"], seconds, velocity, (), False, False,
                                             [None] * 2 * REACH) for note in notes]).astype(np.float32)
        with torch.inference_mode():
            mean = network(torch.from_numpy(context), torch.full((len(notes),), oboe))[0][:, LEVEL]
        # between marks the network bends; at them only rounding is left, for notes as long as a length of the table
        tolerance = 0.3 if velocity == 88.0 else 0.01 if seconds > LONGEST_TOLD_S else 1e-3
        assert SCALES["level_db"].backward(float(mean.mean())) == pytest.approx(expected, abs=tolerance)


def test_tails_are_those_of_students_t() -> None:
    tails = heavy_tails()
    assert not tails[0].any()
    named = [ATTRIBUTES.index(name) for name in TAILS]
    assert not np.delete(tails[1].numpy(), named, axis=0).any()
    freedom, spread = TAILS["release_s"]
    random = np.random.default_rng(0)
    drawn = bent(torch.from_numpy(random.standard_normal(200_000)),
                 tails[1, ATTRIBUTES.index("release_s")].double().expand(200_000, -1)).numpy()
    wanted = spread * random.standard_t(freedom, 200_000)
    shares = (0.5, 5, 25, 50, 75, 95, 99.5)
    np.testing.assert_allclose(np.percentile(drawn, shares), np.percentile(wanted, shares), atol=0.12)


def test_pitches_of_phrases() -> None:
    notes = [TrainingNote(facts={"instrument": name, "pitch": pitch}, expression=PLAIN, gain_db=0.0, frames={})
             for name, pitches in (("oboe", np.linspace(60.0, 80.0, 101)), ("tuba", np.linspace(40.0, 50.0, 19)))
             for pitch in pitches]
    found = phrased_pitches(notes)
    assert found[list(INSTRUMENTS).index("oboe")].tolist() == pytest.approx([60.4, 79.6], abs=1e-4)
    assert not found[list(INSTRUMENTS).index("tuba")].any(), "19 notes are too few"


def test_the_dullest_single_notes_by_dynamic() -> None:
    notes = [TrainingNote(facts={"instrument": "oboe", "velocity": velocity}, gain_db=0.0, frames={},
                          expression=replace(PLAIN, brightness=float(brightness)))
             for velocity, most, count in ((33.0, 1.0, 21), (49.0, 4.0, 21), (64.0, 2.0, 21), (112.0, 9.0, 9),
                                           (None, 9.0, 21))
             for brightness in np.linspace(0.0, most, count)]
    found = dullest(notes)
    scale = SCALES["brightness"]
    # no higher than at a louder mark; nine notes are few
    expected = np.interp(VELOCITY_MARKS, (33.0, 49.0, 64.0), [scale.forward(least) for least in (0.05, 0.1, 0.1)])
    assert found[list(INSTRUMENTS).index("oboe")].tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert (found[list(INSTRUMENTS).index("tuba")] == NO_FLOOR).all()
