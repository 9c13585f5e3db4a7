"""What semitones have of their own among other notes: found in made-up phrases, and heard where it belongs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mididdsp.data.expression_set import Examples
from mididdsp.expression.context import REACH, Neighbour, context_features
from mididdsp.expression.network import COMPANY_ATTRIBUTES, SURFACE_PITCHES, ExpressionConfig, ExpressionNetwork
from mididdsp.expression.types import ATTRIBUTES
from mididdsp.instruments import INSTRUMENTS
from mididdsp.training.company import company

OBOE = list(INSTRUMENTS).index("oboe")
BRIGHT, LEVEL = ATTRIBUTES.index("brightness"), ATTRIBUTES.index("level_db")
ROW = {name: COMPANY_ATTRIBUTES.index(name) for name in ("brightness", "level_db")}
WITHOUT, WITH = (1, 0), (1, 1)
"""The tables of notes that have a velocity, without and with marks."""


def network() -> ExpressionNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ExpressionNetwork(ExpressionConfig(width=8, layers=1, embedding=2, colour=2, dropout=0.0)).eval()


def context(
    pitch: float, *, marks: tuple[str, ...] = (), among: bool = True, velocity: float | None = 80.0
) -> np.ndarray:
    around: list[Neighbour | None] = [None] * (2 * REACH)
    if among:
        around[0] = Neighbour(interval=2.0, gap_s=0.1, seconds=0.5, velocity=0.0)
    return np.asarray(context_features(pitch, 0.5, velocity, marks, False, False, around), np.float32)


def mean(model: ExpressionNetwork, *contexts: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        told, _, _ = model(torch.from_numpy(np.stack(contexts)), torch.full((len(contexts),), OBOE))
    return np.asarray(told.numpy())


def phrases(
    model: ExpressionNetwork, *, spread: float, mark: str | None = None, velocity: float | None = 80.0
) -> tuple[Examples, np.ndarray]:
    """Twelve phrases of a scale of ten notes that are played as the network says, but for an A that is always brighter
    by 1, everything louder by 1, and each phrase brighter by what it likes."""
    random = np.random.default_rng(0)
    pitches = np.tile(np.arange(64.0, 74.0), 12)
    number = np.repeat(np.arange(12), 10)
    contexts = np.stack([context(pitch, marks=(mark,) if mark else (), velocity=velocity) for pitch in pitches])
    values = mean(model, *contexts)
    values[:, BRIGHT] += (pitches == 69.0) + random.normal(0.0, spread, 12)[number] + random.normal(0.0, 0.1, 120)
    values[:, LEVEL] += 1.0
    known = np.zeros_like(values)
    known[:, [BRIGHT, LEVEL]] = 1.0
    return Examples(context=contexts, instrument=np.full(120, OBOE), values=values, known=known,
                    vibrates=np.full(120, np.nan, np.float32)), number


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_a_bright_semitone_is_told_from_bright_phrases(spread: float) -> None:
    model = network()
    table = company(model, *phrases(model, spread=spread))
    at = [SURFACE_PITCHES.index(pitch) for pitch in (67, 69, 71)]
    bright = table[*WITHOUT, OBOE, ROW["brightness"], at]
    # Twelve notes of variance 0.5 against 0.1 of a semitone's own, which is shrunk by a third at most.
    assert bright[1] - bright[[0, 2]].mean() > 0.6
    assert abs(bright[[0, 2]]).max() < 0.35
    assert abs(table[*WITHOUT, OBOE, ROW["level_db"], at]).max() < 0.1, "how loud all is, is not its to say"
    assert not np.delete(table, OBOE, axis=2).any()


def test_marks_have_a_table_of_their_own() -> None:
    model = network()
    examples, number = phrases(model, spread=0.0)
    assert not company(model, examples, number)[WITH].any()
    examples, number = phrases(model, spread=0.0, mark="staccato")
    both = company(model, examples, number)
    assert both[*WITH, OBOE, ROW["brightness"], SURFACE_PITCHES.index(69)] > 0.6
    model.company.copy_(torch.from_numpy(both))
    assert np.allclose(company(model, examples, number), both), "of the table before nothing is kept"


def test_velocities_have_a_table_of_their_own() -> None:
    model = network()
    unknown, number = phrases(model, spread=0.0, velocity=None)
    table = company(model, unknown, number)
    assert table[0, 0, OBOE, ROW["brightness"], SURFACE_PITCHES.index(69)] > 0.6
    assert not table[1].any()


def test_few_notes_tell_of_the_instrument_and_fewer_nothing() -> None:
    model = network()
    examples, number = phrases(model, spread=0.0)
    examples.values[:, BRIGHT] += 1.0
    for count, least, most in ((4, 0.0, 0.0), (10, 0.5, 1.0)):  # one phrase, whose manner it may be: shrunk by a third
        few = np.arange(120) < count
        table = company(model, examples.chosen(few), number[few])
        bright = table[*WITHOUT, OBOE, ROW["brightness"]]
        assert (bright == bright[0]).all()
        assert least <= bright[0] <= most
        assert abs(table[:, :, :, ROW["level_db"]]).max() < 1e-6


def test_it_is_added_among_others_between_semitones_and_by_marks() -> None:
    model, asked = network(), [context(69.0), context(69.5), context(69.0, marks=("staccato",)),
                               context(69.0, among=False)]
    before = mean(model, *asked)
    model.company[*WITHOUT, OBOE, ROW["brightness"], SURFACE_PITCHES.index(69)] = 0.8
    model.company[*WITH, OBOE, ROW["brightness"], SURFACE_PITCHES.index(69)] = -0.4
    added = mean(model, *asked) - before
    assert added[:, BRIGHT] == pytest.approx([0.8, 0.4, -0.4, 0.0], abs=1e-4)  # float32 pitches
    assert not np.delete(added, BRIGHT, axis=1).any()


def test_checkpoints_from_before_play_as_they_did() -> None:
    model = network()
    tensors = {name: value for name, value in model.state_dict().items()
               if name != "company" and not name.startswith("lines.")}
    again = network()
    again.company.fill_(1.0)
    again.restore(tensors)
    assert not again.company.any()
    random = torch.rand(again.company.shape[1:])
    again.restore({**tensors, "company": random})  # from when velocities had none of their own
    assert torch.equal(again.company, random.expand_as(again.company))
    again.restore({**tensors, "company": random[..., :-1, :]})  # of fewer attributes
    assert torch.equal(again.company[..., :-1, :], random[..., :-1, :].expand_as(again.company[..., :-1, :]))
    assert not again.company[..., -1, :].any()
