"""The expression generator: what is given is kept, what is drawn is local, and its density is a Gaussian's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from strategies import parts as any_parts
from torch import Tensor

from mididdsp.checkpoints import load_checkpoint, save_checkpoint
from mididdsp.expression.context import (
    CONTEXT_FEATURES,
    PHRASED_VELOCITY,
    REACH,
    RUN_SECONDS,
    Neighbour,
    as_phrased,
    context_features,
    out_of_runs,
)
from mididdsp.expression.generator import (
    LATEST_VIBRATO,
    MOOD_WEIGHTS,
    RELEASE_UNDER_S,
    SHORTEST_VIBRATO_S,
    SPREAD_ALONE,
    SPREAD_AT_REPEATS,
    SPREAD_IN_COMPANY,
    SPREAD_WITH_VELOCITY,
    TOUCHING_S,
    TUNED_BETTER,
    TUNED_BY_PITCH,
    TUNED_S,
    ExpressionGenerator,
    _shares,
)
from mididdsp.expression.network import (
    BELOW_FLOOR,
    COMPANY_REACH,
    NO_FLOOR,
    SURFACE_ATTRIBUTES,
    ExpressionConfig,
    ExpressionNetwork,
    masked_log_likelihood,
)
from mididdsp.expression.scales import SCALES
from mididdsp.expression.types import ATTRIBUTE_RANGES, ATTRIBUTES, NoteExpression
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.types import Note, Part, PartPlan
from mididdsp.notes.voices import plan_part

COUNT = len(ATTRIBUTES)


def generator(*, vibrato: float | None = None, seed: int = 0) -> ExpressionGenerator:
    """Random weights with correlated attributes; ``vibrato`` fixes the logit of having one."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ExpressionNetwork(ExpressionConfig(width=16, layers=2, embedding=4))
        with torch.no_grad():
            network.factor.weight.normal_(0.0, 0.1)
            network.factor.bias.normal_(0.0, 0.3)
            if vibrato is not None:
                network.vibrato.weight.zero_()
                network.vibrato.bias.fill_(vibrato)
    return ExpressionGenerator(network)


def melody(count: int = 12, **changes: Any) -> PartPlan:
    """Notes of 0.5 s; the fifth is joined to the fourth."""
    notes = [Note(id=f"n{index}", onset=0.5 * index, duration=0.55 if index == 3 else 0.5, pitch=60.0 + 2 * (index % 4),
                  velocity=80) for index in range(count)]
    notes = [replace(note, **changes.get(note.id, {})) for note in notes]
    made = plan_part(Part(name="p", instrument="flute", notes=tuple(notes)))
    assert [chain.notes[0].note.id for chain in made.chains if len(chain.notes) > 1] == (["n3"] if count > 4 else [])
    return made


def mean_of(made: ExpressionGenerator, plan: PartPlan, note_id: str) -> dict[str, float]:
    planned = {item.note.id: item for chain in plan.chains for item in chain.notes}
    mean = made._outlooks(plan.part.instrument, planned)[note_id].mean
    return {name: SCALES[name].backward(float(value)) for name, value in zip(ATTRIBUTES, mean)}


@pytest.mark.parametrize("known", [[0], [3, 7], [0, 1, 2, 12, 13], list(range(COUNT)), []])
def test_the_density_is_that_of_the_known_attributes(known: list[int]) -> None:
    random = np.random.default_rng(0)
    mean, values = random.normal(size=(2, 5, COUNT))
    factor = np.tril(random.normal(0.0, 0.3, (5, COUNT, COUNT))) + 0.5 * np.eye(COUNT)
    mask = np.zeros((5, COUNT))
    mask[:, known] = 1.0
    values[mask == 0] = 1e6  # what is not known does not matter
    found = masked_log_likelihood(*(torch.from_numpy(array) for array in (mean, factor, values, mask)))
    for row in range(5):
        covariance = factor[row] @ factor[row].T + 1e-6 * np.eye(COUNT)
        wanted = multivariate_normal.logpdf(
            values[row, known], mean[row, known], covariance[np.ix_(known, known)]) if known else 0.0
        # The unknown add log(1 + 1e-6) / 2 each, which keeps the matrix well conditioned.
        assert float(found[row]) == pytest.approx(float(wanted), abs=1e-4)


def test_the_density_has_gradients() -> None:
    random = torch.Generator().manual_seed(0)
    mean = torch.randn(2, COUNT, generator=random, dtype=torch.float64, requires_grad=True)
    factor = (torch.randn(2, COUNT, COUNT, generator=random, dtype=torch.float64).tril() * 0.2
              + torch.eye(COUNT, dtype=torch.float64)).requires_grad_()
    values = torch.randn(2, COUNT, generator=random, dtype=torch.float64)
    known = (torch.rand(2, COUNT, generator=random, dtype=torch.float64) < 0.6).double()

    def density(mean: Tensor, factor: Tensor) -> Tensor:
        return masked_log_likelihood(mean, factor, values, known)

    assert torch.autograd.gradcheck(density, (mean, factor))


@given(value=st.floats(-5.0, 5.0), name=st.sampled_from(ATTRIBUTES))
def test_scales_are_inverses(value: float, name: str) -> None:
    scale = SCALES[name]
    physical = scale.backward(value)
    if scale.kind == "log" and physical < 1e-3 or scale.kind == "share" and not 0.01 < physical < 0.99:
        return  # where the scale is cut
    assert scale.forward(physical) == pytest.approx(value, abs=1e-6)


def test_every_attribute_has_a_scale_within_its_range() -> None:
    assert tuple(SCALES) == ATTRIBUTES
    for name, scale in SCALES.items():
        low, high, _ = ATTRIBUTE_RANGES[name]
        assert low <= scale.backward(0.0) <= high


def test_at_temperature_0_attributes_are_the_mean() -> None:
    made, plan = generator(vibrato=5.0), melody()
    got = made.express(plan, seed=1, temperature=0.0)
    for note_id in ("n0", "n4", "n11"):
        wanted = mean_of(made, plan, note_id)
        for name in set(ATTRIBUTES) - {"length_ratio", "glide_s"}:
            high = 0.25 if name == "vibrato_delay_s" else ATTRIBUTE_RANGES[name][1]  # at most half of the note
            if name == "release_s" and note_id != "n11":  # another note follows at once
                high = TOUCHING_S + RELEASE_UNDER_S
            assert getattr(got[note_id], name) == pytest.approx(min(wanted[name], high), rel=1e-9), name
    assert got["n4"].glide_s == pytest.approx(mean_of(made, plan, "n4")["glide_s"])
    assert got == made.express(plan, seed=2, temperature=0.0)


def test_draws_repeat_by_seed_and_grow_with_temperature() -> None:
    made, plan = generator(), melody(40)
    one, again, other = (made.express(plan, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert all(one[note_id] != other[note_id] for note_id in one)
    mean = made.express(plan, seed=1, temperature=0.0)
    ways = []
    for temperature in (0.1, 0.2):
        drawn = made.express(plan, seed=1, temperature=temperature)
        ways.append(np.array([drawn[note_id].level_db - mean[note_id].level_db for note_id in mean]))
    # The level's scale is linear: deviations double. (What the choice of vibrato changes: it conditions nothing.)
    np.testing.assert_allclose(ways[1], 2.0 * ways[0], rtol=1e-6, atol=1e-9)


def test_draws_are_standard_and_neighbours_alike() -> None:
    made, plan = generator(), melody(600)
    planned = {item.note.id: item for chain in plan.chains for item in chain.notes}
    moods = np.stack([made._mood(f"n{index}", planned, 3) for index in range(600)])
    # 600 notes, correlated over five: a standard error of about 0.002 * 14 values.
    assert moods.std() == pytest.approx(1.0, abs=0.05)
    assert abs(moods.mean()) < 0.05
    assert REACH == 2
    weights = MOOD_WEIGHTS / np.sqrt((MOOD_WEIGHTS**2).sum())
    for lag in (1, 2, 5):
        wanted = float((weights[lag:] * weights[:-lag]).sum()) if lag < 5 else 0.0
        assert np.mean(moods[lag:] * moods[:-lag]) == pytest.approx(wanted, abs=0.05)


def test_what_is_narrowed_does_not_narrow_what_varies_with_it() -> None:
    """Tuning goes together with the level, whose spread is cut inside a phrase; its own is drawn in full."""
    made, plan = generator(), melody()
    with torch.no_grad():
        made.network.factor.weight.zero_()
        made.network.factor.bias.zero_()
        rows, columns = torch.tril_indices(COUNT, COUNT)
        level, tuning = ATTRIBUTES.index("level_db"), ATTRIBUTES.index("tuning_cents")
        made.network.factor.bias[(rows == tuning) & (columns == level)] = 2.0
    planned = {item.note.id: item for chain in plan.chains for item in chain.notes}
    factor = made._outlooks("flute", planned)["n8"].factor
    means = made.express(plan, seed=0, temperature=0.0)
    takes = [made.express(plan, seed=seed) for seed in range(80)]
    for name, share in (("tuning_cents", 1.0), ("level_db", SPREAD_IN_COMPANY["level_db"])):
        spread = np.std([getattr(drawn[key], name) - getattr(means[key], name) for drawn in takes for key in means])
        wanted = share * SCALES[name].spread * np.linalg.norm(factor[ATTRIBUTES.index(name)])
        # 80 takes of four pitches: a standard error of 5 %; draws beyond 2.5 sigma are clipped
        assert spread == pytest.approx(wanted, rel=0.2), name


def test_a_pitch_that_comes_again_is_tuned_about_as_before() -> None:
    made, plan = generator(), melody(9)  # four pitches in turn; n3 to n8 see none of the same neighbours' draws
    takes = np.array([[one.tuning_cents for one in made.express(plan, seed=seed).values()] for seed in range(300)])
    alike = np.corrcoef(takes.T)
    # 300 takes: a standard error of .06 and less
    assert alike[0, 8] == pytest.approx(TUNED_BY_PITCH, abs=0.15)
    assert alike[0, 7] == pytest.approx(0.0, abs=0.2)
    other = plan_part(replace(plan.part, name="another"))
    apart = [made.express(other, seed=seed)["n0"].tuning_cents for seed in range(300)]
    assert abs(np.corrcoef(takes[:, 8], apart)[0, 1]) < 0.2  # another player
    level = np.array([[made.express(plan, seed=seed)[name].level_db for name in ("n0", "n8")] for seed in range(100)])
    assert abs(np.corrcoef(level.T)[0, 1]) < 0.35  # nothing but the tuning


def test_long_notes_are_nearer_to_their_pitch() -> None:
    made, spreads = generator(), []
    with torch.no_grad():
        made.network.factor.weight.zero_()
    for seconds in (0.25, 0.5, 4.0):
        notes = tuple(Note(id=f"n{index}", onset=seconds * index, duration=seconds, pitch=60.0 + 2 * index, velocity=80)
                      for index in range(4))
        plan = plan_part(Part(name="p", instrument="flute", notes=notes))
        takes = [made.express(plan, seed=seed) for seed in range(150)]
        spreads.append(np.std([[one.tuning_cents for one in drawn.values()] for drawn in takes], axis=0).mean())
    assert spreads[0] == pytest.approx(spreads[1], rel=0.01)  # the same draws
    assert spreads[2] == pytest.approx(spreads[1] * (TUNED_S / 4.0) ** TUNED_BETTER, rel=0.01)


@pytest.mark.parametrize(("change", "repeats"), [
    ({}, True), ({"pitch": 61.0}, False), ({"velocity": 90}, False), ({"duration": 0.38}, False)])
def test_repeated_notes_differ_by_more_than_others(change: dict[str, Any], repeats: bool) -> None:
    """The last of three notes is another; the first and the middle one are what they are all the same."""
    notes = [Note(id=f"n{index}", onset=0.5 * index, duration=0.48, pitch=60.0 + 5.0 * (index == 0), velocity=80)
             for index in range(3)]
    notes[2] = replace(notes[2], **change)
    made, plan = generator(), plan_part(Part(name="p", instrument="flute", notes=tuple(notes)))
    mean = made.express(plan, seed=0, temperature=0.0)
    drawn = [made.express(plan, seed=seed) for seed in range(300)]
    planned = {item.note.id: item for chain in plan.chains for item in chain.notes}
    shares = SPREAD_AT_REPEATS if repeats else SPREAD_IN_COMPANY
    for note, share in (("n0", SPREAD_IN_COMPANY["level_db"]), ("n1", shares["level_db"])):
        spread = np.std([one[note].level_db - mean[note].level_db for one in drawn])
        factor = made._outlooks("flute", planned)[note].factor[ATTRIBUTES.index("level_db")]
        # 300 draws: a standard error of 4 %; draws beyond 2.5 sigma are clipped
        assert spread == pytest.approx(share * SCALES["level_db"].spread * np.linalg.norm(factor), rel=0.15), note


def test_a_note_that_is_joined_repeats_nothing() -> None:
    notes = tuple(Note(id=name, onset=onset, duration=0.48, pitch=60.0, velocity=80)
                  for name, onset in (("a", 0.0), ("b", 0.5)))
    plan = plan_part(Part(name="p", instrument="flute", notes=notes))
    planned = {item.note.id: item for chain in plan.chains for item in chain.notes}
    assert _shares(planned["b"], planned)["level_db"] == SPREAD_AT_REPEATS["level_db"]
    joined = planned | {"b": replace(planned["b"], joined=True)}
    assert _shares(joined["b"], joined)["level_db"] == SPREAD_IN_COMPANY["level_db"]
    assert _shares(joined["a"], joined)["level_db"] == SPREAD_IN_COMPANY["level_db"]


def test_a_note_by_itself_is_in_tune_and_as_bright_as_its_dynamic() -> None:
    made = generator()
    alone = plan_part(Part(name="p", instrument="flute", notes=(
        Note(id="n", onset=0.0, duration=0.5, pitch=60.0, velocity=80),)))
    outlook = made._outlooks("flute", {"n": alone.chains[0].notes[0]})["n"]
    drawn = [made.express(alone, seed=seed)["n"] for seed in range(400)]
    for name in ("tuning_cents", "level_db"):
        share = SPREAD_ALONE.get(name, SPREAD_WITH_VELOCITY.get(name, 1.0))
        wanted = share * SCALES[name].spread * np.linalg.norm(outlook.factor[ATTRIBUTES.index(name)])
        # 400 draws: a standard error of 4 %; draws beyond 2.5 sigma are clipped
        assert np.std([getattr(one, name) for one in drawn]) == pytest.approx(wanted, rel=0.15), name
    untold = plan_part(Part(name="p", instrument="flute", notes=(
        Note(id="n", onset=0.0, duration=0.5, pitch=60.0),)))
    free = [made.express(untold, seed=seed)["n"].tuning_cents for seed in range(400)]
    assert np.std(free) > 2.0 * np.std([one.tuning_cents for one in drawn])


@torch.inference_mode()
def test_semitones_are_levelled_straight_between() -> None:
    made = generator().network
    flute = torch.tensor([list(INSTRUMENTS).index("flute")] * 3)
    context = torch.from_numpy(np.stack([context_features(pitch, 0.5, 80.0, (), False, False, [None] * (2 * REACH))
                                         for pitch in (69.0, 69.5, 71.0)]).astype(np.float32))
    before = made(context, flute)[0]
    made.levelled[flute[0], 69] = -0.4
    moved = made(context, flute)[0] - before
    level = ATTRIBUTES.index("level_db")
    assert moved[:, level].tolist() == pytest.approx([-0.4, -0.2, 0.0], abs=1e-5)
    assert not moved[:, [index for index in range(COUNT) if index != level]].any()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_is_given_is_kept_exactly(temperature: float) -> None:
    made, plan = generator(vibrato=0.0), melody(14)
    wanted: dict[str, dict[str, float | None]] = {
        "n0": {"level_db": -31.25, "attack_s": 0.0},
        "n1": {"vibrato_cents": 33.0, "vibrato_rate_hz": 5.25, "vibrato_delay_s": 0.4},
        "n2": {"vibrato_cents": 0.0}, "n3": {"tuning_cents": -44.0, "timing_s": 0.1},
        "n4": {"glide_s": 0.3, "brightness": 3.0}, "n5": {"length_ratio": 0.25}, "n6": {"fluctuation_db": 40.0},
        "n7": {"vibrato_rate_hz": 5.0}, "n8": {"vibrato_delay_s": 0.1},
        "n9": {name: getattr(made.express(plan, seed=9)["n9"], name) for name in ATTRIBUTES}}
    got = made.express(plan, seed=1, temperature=temperature, given=wanted)
    for note_id, values in wanted.items():
        for name, value in values.items():
            assert getattr(got[note_id], name) == value, (note_id, name)
    assert got["n2"].vibrato_rate_hz is None
    assert got["n7"].vibrato_cents > 0  # who asks for a rate asks for a vibrato
    free = made.express(plan, seed=1, temperature=temperature)
    # a note of which all is given tells how its neighbours are played, up to REACH away
    assert all(got[note_id] == free[note_id] for note_id in ("n12", "n13"))


def test_what_is_given_moves_the_rest_as_a_gaussian_does() -> None:
    made, plan = generator(vibrato=5.0), melody()
    planned = {item.note.id: item for chain in plan.chains for item in chain.notes}
    outlook = made._outlooks("flute", planned)["n5"]
    mean, factor = outlook.mean, outlook.factor
    covariance = factor @ factor.T
    level, brightness = ATTRIBUTES.index("level_db"), ATTRIBUTES.index("brightness")
    given_level = SCALES["level_db"].backward(mean[level] + 1.0)
    got = made.express(plan, seed=1, temperature=0.0, given={"n5": {"level_db": given_level}})["n5"]
    wanted = mean[brightness] + covariance[brightness, level] / covariance[level, level]
    low, high, _ = ATTRIBUTE_RANGES["brightness"]
    assert got.brightness == pytest.approx(np.clip(SCALES["brightness"].backward(wanted), low, high), rel=1e-6)


def test_no_vibrato_says_nothing_of_the_rest() -> None:
    """A vibrato of 0 cents lies infinitely far down the scale of extents: it must not drag the rest along."""
    made, plan = generator(vibrato=-20.0), melody()
    free = made.express(plan, seed=1)
    told = made.express(plan, seed=1, given={"n5": {"vibrato_cents": 0.0}})
    assert free == told


def test_extreme_given_values_leave_the_rest_playable() -> None:
    made, plan = generator(vibrato=5.0), melody()
    for name in set(ATTRIBUTES) - {"glide_s"}:
        for value in ATTRIBUTE_RANGES[name][:2]:
            got = made.express(plan, seed=1, temperature=0.0, given={"n5": {name: value}})["n5"]
            rest = [SCALES[other].forward(getattr(got, other)) for other in ("level_db", "attack_s", "release_s")
                    if other != name]
            # Conditions count as four deviations at most; the network's correlations are below one.
            assert np.abs(rest).max() < 12.0, (name, value)


class TestLocality:
    def test_alone_and_in_a_part(self) -> None:
        """A voice's draws do not depend on other voices of the part, or on the order of chains."""
        made, plan = generator(), melody()
        with_bass = plan_part(Part(name="p", instrument="flute", notes=(
            Note(id="bass", onset=0.0, duration=6.0, pitch=36.0), *plan.part.notes)))
        one, other = made.express(plan, seed=1), made.express(with_bass, seed=1)
        assert {note_id: other[note_id] for note_id in one} == one
        assert made.express(replace(plan, chains=plan.chains[::-1]), seed=1) == one

    @pytest.mark.parametrize("at_once", [1, 3, 7])
    def test_however_many_go_through_the_network_at_once(self, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
        made, plan = generator(), melody()
        one = made.express(plan, seed=1)
        monkeypatch.setattr("mididdsp.expression.generator.AT_ONCE", at_once)
        assert made.express(plan, seed=1) == one

    @pytest.mark.parametrize("change", [{"pitch": 61.5}, {"velocity": 30}, {"duration": 0.3},
                                        {"articulations": ("accent",)}, {"velocity": None}])
    def test_an_edited_note_is_seen_by_its_neighbours_alone(self, change: dict[str, Any]) -> None:
        made = generator()
        one, other = made.express(melody(), seed=1), made.express(melody(n7=change), seed=1)
        changed = {int(note_id[1:]) for note_id in one if one[note_id] != other[note_id]}
        assert 7 in changed
        assert changed <= set(range(7 - REACH, 7 + REACH + 1))

    def test_a_new_note_draws_for_itself_and_touches_its_neighbours_alone(self) -> None:
        made, plan = generator(), melody()
        more = plan_part(Part(name="p", instrument="flute", notes=(
            *plan.part.notes, Note(id="new", onset=6.0, duration=0.5, pitch=62.0, velocity=80))))
        one, other = made.express(plan, seed=1), made.express(more, seed=1)
        assert {note_id for note_id in one if one[note_id] != other[note_id]} <= {"n10", "n11"}


def test_vibrato_follows_its_chance_and_never_comes_on_short_notes() -> None:
    short = {f"n{index}": {"duration": SHORTEST_VIBRATO_S - 0.01} for index in range(5, 8)}
    plan = melody(**short)
    for note_id, one in generator(vibrato=20.0).express(plan, seed=1).items():
        assert (one.vibrato_cents > 0) == (note_id not in short)
    for one in generator(vibrato=-20.0).express(plan, seed=1).values():
        assert (one.vibrato_cents, one.vibrato_rate_hz, one.vibrato_delay_s) == (0.0, None, None)
    chosen = [one.vibrato_cents > 0 for one in generator(vibrato=0.0).express(melody(400), seed=2).values()]
    assert np.mean(chosen) == pytest.approx(0.5, abs=0.1)  # four standard errors of 400 even chances
    # At temperature 0 the likelier of the two.
    likely = generator(vibrato=0.1).express(melody(), seed=2, temperature=0.0)
    assert all(one.vibrato_cents > 0 for one in likely.values())


def test_what_the_place_of_a_note_decides() -> None:
    got = generator().express(melody(), seed=1)
    assert got["n3"].length_ratio is None  # the next is joined to it
    assert got["n4"].glide_s is not None
    assert all(got[f"n{index}"].glide_s is None for index in range(12) if index != 4)
    assert got["n11"].length_ratio == 1.0  # nothing follows


@pytest.mark.parametrize("overlap", [0.05, 0.5, 1.5])
def test_a_pitch_struck_again_while_it_sounds_is_played_as_if_let_go_just_before(overlap: float) -> None:
    def played(longer: float) -> dict[str, NoteExpression]:
        notes = tuple(Note(id=f"n{index}", onset=0.5 * index, duration=0.5 + longer, pitch=60.0, velocity=80)
                      for index in range(6))
        return generator().express(plan_part(Part(name="p", instrument="flute", notes=notes)), seed=1)

    touching, overlapping = played(0.0), played(overlap)
    for name in ("n0", "n1", "n2"):  # those beyond see the last note, which nothing cuts short
        assert overlapping[name].length_ratio == pytest.approx(touching[name].length_ratio)
        assert overlapping[name].attack_s == pytest.approx(touching[name].attack_s)
        assert 0.9 < (overlapping[name].length_ratio or 0.0) < 1.0


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(part=any_parts(max_notes=6, with_lanes=False), seed=st.integers(0, 5), temperature=st.floats(0.0, 3.0))
def test_any_part_is_expressed_legally(part: Part, seed: int, temperature: float) -> None:
    got = generator().express(plan_part(part), seed=seed, temperature=temperature)
    assert set(got) == {note.id for note in part.notes}
    for note in part.notes:
        one = got[note.id]
        assert isinstance(one, NoteExpression)  # the type checks the ranges
        assert (one.vibrato_rate_hz is None) == (one.vibrato_delay_s is None) == (one.vibrato_cents == 0)
        if one.vibrato_delay_s is not None:
            assert one.vibrato_delay_s <= LATEST_VIBRATO * note.duration


@pytest.mark.parametrize("instrument", sorted(INSTRUMENTS))
def test_instruments_differ(instrument: str) -> None:
    made, plan = generator(), melody()
    one = made.express(replace(plan, part=replace(plan.part, instrument=instrument)), seed=1, temperature=0.0)
    assert (one == made.express(plan, seed=1, temperature=0.0)) == (instrument == "flute")


def test_features_are_of_fixed_size_and_finite() -> None:
    features = context_features(60.0, 0.004, None, ("legato",), True, False, [None] * (2 * REACH))
    assert features.shape == (CONTEXT_FEATURES,)
    assert np.isfinite(features).all()
    # No velocity is told apart from every velocity.
    told = [context_features(60.0, 0.5, velocity, (), False, False, [None] * 4) for velocity in (None, 80, 112)]
    assert not np.array_equal(told[0], told[1])
    assert not np.array_equal(told[1], told[2])


def among(pitch: float, velocity: float | None, louder: float = 0.0) -> Tensor:
    """The context of a note that follows another, which is louder by so much; [1, CONTEXT_FEATURES]."""
    before = Neighbour(interval=2.0, gap_s=0.1, seconds=0.5, velocity=louder)
    features = context_features(pitch, 0.7, velocity, ("staccato",), False, True, [before, None, None, None])
    return torch.from_numpy(features).float()[None]


def test_notes_in_runs_are_as_loud_as_longer_ones() -> None:
    def note(seconds: float, before: float, gap: float, *, last: bool = False) -> Tensor:
        near = Neighbour(interval=2.0, gap_s=gap, seconds=before, velocity=0.0)
        features = context_features(70.0, seconds, 80, (), False, False, [near, near, *([None, None] if last else
                                                                                        [near, near])])
        return torch.from_numpy(features).float()[None]

    for last in (False, True):
        torch.testing.assert_close(out_of_runs(note(0.1, 0.12, 0.02, last=last)),
                                   note(RUN_SECONDS, 0.12, 0.02, last=last))
        for other in (note(0.1, 0.3, 0.02, last=last), note(0.1, 0.12, 0.1, last=last), note(0.5, 0.5, 0.02)):
            torch.testing.assert_close(out_of_runs(other), other)
    alone = torch.from_numpy(context_features(70.0, 0.1, 80, (), False, False, [None] * 4)).float()[None]
    torch.testing.assert_close(out_of_runs(alone), alone)
    network, flute = generator().network, torch.tensor([list(INSTRUMENTS).index("flute")])
    with torch.no_grad():
        level, attack = (ATTRIBUTES.index(name) for name in ("level_db", "attack_s"))
        short, longer, shorter = (network(note(seconds, 0.1, 0.0), flute)[0][0].tolist()
                                  for seconds in (0.1, RUN_SECONDS, 0.08))
    assert short[level] == pytest.approx(longer[level], abs=1e-6)
    assert short[level] == pytest.approx(shorter[level], abs=1e-6)
    assert short[attack] != pytest.approx(longer[attack], abs=1e-3)


def test_notes_as_phrases_were_played() -> None:
    pitches = torch.tensor([[55.0, 80.0]])
    for velocity in (PHRASED_VELOCITY, None):
        inside = among(62.5, velocity)
        torch.testing.assert_close(as_phrased(inside, pitches), inside)
        torch.testing.assert_close(as_phrased(among(90.0, velocity), pitches), among(80.0, velocity))
        torch.testing.assert_close(as_phrased(among(90.0, velocity), torch.zeros(1, 2)), among(90.0, velocity))
    torch.testing.assert_close(as_phrased(among(40.0, 20.0, 30.0), pitches), among(55.0, PHRASED_VELOCITY))


def test_what_neighbours_add_to_the_tables_hangs_on_no_velocity_nor_on_pitches_without_phrases() -> None:
    network = generator().network
    flute = torch.tensor([list(INSTRUMENTS).index("flute")])
    network.phrased[flute] = torch.tensor([60.0, 90.0])
    columns = [ATTRIBUTES.index(name) for name in SURFACE_ATTRIBUTES]
    with torch.no_grad():
        said = {(pitch, velocity): network(among(pitch, velocity), flute)[0][0, columns]
                for pitch in (70.0, 90.0, 95.0) for velocity in (33.0, 80.0, 112.0)}
    for pitch in (70.0, 90.0, 95.0):  # the tables of this network are 0
        assert torch.equal(said[pitch, 33.0], said[pitch, 80.0])
        assert torch.equal(said[pitch, 112.0], said[pitch, 80.0])
    torch.testing.assert_close(said[95.0, 80.0], said[90.0, 80.0])
    assert not torch.allclose(said[70.0, 80.0], said[90.0, 80.0])


def test_company_leaves_notes_as_bright_as_the_dullest_recorded() -> None:
    network = generator().network
    flute = torch.tensor([list(INSTRUMENTS).index("flute")])
    bright, row = ATTRIBUTES.index("brightness"), SURFACE_ATTRIBUTES.index("brightness")

    def said(velocity: float | None, alone: float, dullest: float) -> float:
        network.surface[flute, row] = alone
        network.dullest[flute] = dullest
        with torch.no_grad():
            return float(network(among(70.0, velocity), flute)[0][0, bright])

    network.mean.bias.data[bright] = -0.5  # what neighbours add here
    added = said(80.0, 1.0, NO_FLOOR) - 1.0
    assert -COMPANY_REACH < added < -0.1
    assert said(80.0, 1.0, 1.0 + 2.0 * added) == pytest.approx(1.0 + added, abs=1e-5), "it is brighter anyway"
    assert said(80.0, 1.0, 1.0 + 0.5 * added) == pytest.approx(1.0 + (0.5 + 0.5 * BELOW_FLOOR) * added, abs=1e-5)
    assert said(80.0, 1.0, 3.0) == pytest.approx(1.0 + BELOW_FLOOR * added, abs=1e-5), "the table is no floor below it"
    assert said(None, -1.0, 3.0) == pytest.approx(said(None, -1.0, NO_FLOOR)), "without a velocity there is no table"


def test_checkpoints_round_trip(tmp_path: Path) -> None:
    made = generator()
    tensors, model = made.to_checkpoint()
    save_checkpoint(tmp_path, tensors, {"level": "expression", "model": model, "recipe": "none", "data": {},
                                        "figures": {}, "licence": "none", "attribution": "none"})
    loaded = load_checkpoint(tmp_path, level="expression")
    again = ExpressionGenerator.from_checkpoint(loaded.tensors, loaded.card)
    assert again.express(melody(), seed=4) == made.express(melody(), seed=4)


def test_no_notes_no_expressions() -> None:
    assert generator().express(plan_part(Part(name="p", instrument="tuba", notes=())), seed=0) == {}
