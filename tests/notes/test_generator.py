"""The prior over notes: what is given stays, what is drawn is legal and repeatable, likelihoods are likelihoods."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mididdsp.notes.generator import GridBatch, NoteNet, NotePrior, PriorConfig
from mididdsp.notes.grid import REST, NoteGrid, begins, meter_steps
from mididdsp.notes.keys import key_of_shift

CONFIG = PriorConfig(channels=(5, 6), blocks=(1, 1))


def made_prior(config: PriorConfig = CONFIG) -> NotePrior:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = NoteNet(config)
        for value in net.parameters():  # sharper than untrained ones, so that every input shows in the output
            torch.nn.init.normal_(value, std=0.3)
    return NotePrior(config, net)


PRIOR = made_prior()


class Fixed(torch.nn.Module):
    """A network that says the same of every cell."""

    grain, reach = 1, 1

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    def tonics(self, batch: GridBatch) -> torch.Tensor:
        return torch.zeros(len(batch.pitch))

    def forward(self, batch: GridBatch, tonic: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        return self.logits.expand(*batch.pitch.shape, -1).clone(), torch.zeros(batch.pitch.shape)


def random_grid(seed: int, steps: int, voices: int = 4) -> NoteGrid:
    random = np.random.default_rng(seed)
    pitch = np.repeat(random.choice([REST, 36, 60, 64, 67, 84], size=(voices, (steps + 1) // 2)), 2, axis=1)[:, :steps]
    pitch = pitch.astype(np.int16)
    onset = begins(pitch) | ((random.random(pitch.shape) < 0.3) & (pitch != REST))
    position, bar = meter_steps([], steps)
    return NoteGrid(pitch=pitch, onset=onset, position=position, bar=bar, fermata=random.random(steps) < 0.1)


def lock_pattern(kind: str, shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    if kind == "cells":
        return random.random(shape) < random.random()
    if kind == "steps":
        return np.broadcast_to(random.random(shape[1]) < random.random(), shape).copy()
    return np.broadcast_to((random.random(shape[0]) < 0.5)[:, None], shape).copy()


@settings(max_examples=500, deadline=None)
@given(
    seed=st.integers(0, 10_000), steps=st.integers(1, 40), kind=st.sampled_from(["cells", "steps", "voices"]),
    temperature=st.floats(0.1, 2.0), method=st.sampled_from(["gibbs", "unmask"]),
)
def test_given_notes_are_never_changed(seed: int, steps: int, kind: str, temperature: float, method: str) -> None:
    grid = random_grid(seed, steps)
    known = lock_pattern(kind, grid.pitch.shape, np.random.default_rng(seed + 1))
    before = {name: getattr(grid, name).copy() for name in NoteGrid.__dataclass_fields__}
    drawn = PRIOR.sample(grid, known, seed=seed, temperature=temperature, passes=4, method=method)
    # A legal grid (its own checks passed) with the given cells as they were, onsets included.
    assert np.array_equal(drawn.pitch[known], grid.pitch[known])
    assert np.array_equal(drawn.onset[known], grid.onset[known])
    sounding = drawn.pitch[drawn.pitch != REST]
    assert not sounding.size or (sounding.min() >= CONFIG.low and sounding.max() <= CONFIG.high)
    for name, value in before.items():
        assert np.array_equal(getattr(grid, name), value)
        if name in ("position", "bar", "fermata"):
            assert np.array_equal(getattr(drawn, name), value)


def test_open_cells_are_not_looked_at() -> None:
    grid, other = random_grid(1, 24), random_grid(2, 24)
    known = np.zeros(grid.pitch.shape, bool)
    known[0] = True
    mixed = replace(
        other, pitch=np.where(known, grid.pitch, other.pitch), onset=np.where(known, grid.onset, other.onset),
        fermata=grid.fermata,
    )
    one, two = (PRIOR.sample(value, known, seed=4, passes=5) for value in (grid, mixed))
    assert np.array_equal(one.pitch, two.pitch)
    assert np.array_equal(one.onset, two.onset)


def test_same_seed_same_notes_other_seed_other_notes() -> None:
    grid, known = random_grid(1, 32), np.zeros((4, 32), bool)
    one, two, other = (PRIOR.sample(grid, known, seed=seed, passes=6) for seed in (7, 7, 8))
    assert np.array_equal(one.pitch, two.pitch)
    assert np.array_equal(one.onset, two.onset)
    assert not np.array_equal(one.pitch, other.pitch)


def test_nothing_open_is_the_grid_itself() -> None:
    grid = random_grid(1, 16)
    drawn = PRIOR.sample(grid, np.ones((4, 16), bool), seed=0)
    assert np.array_equal(drawn.pitch, grid.pitch)
    assert np.array_equal(drawn.onset, grid.onset)


def test_ranges_hold_for_what_is_drawn() -> None:
    grid, known = random_grid(1, 32), np.zeros((4, 32), bool)
    ranges = [(60, 80), (55, 57), (48, 48), (0, 40)]
    drawn = PRIOR.sample(grid, known, seed=0, passes=6, temperature=2.0, ranges=ranges)
    for voice, (low, high) in enumerate(ranges):
        sounding = drawn.pitch[voice][drawn.pitch[voice] != REST]
        assert sounding.size
        assert sounding.min() >= low
        assert sounding.max() <= high


def test_a_note_held_into_a_given_cell_begins_before_it() -> None:
    grid = random_grid(1, 8)
    pitch = np.full((4, 8), 60, np.int16)
    grid = replace(grid, pitch=pitch, onset=begins(pitch))
    known = np.zeros((4, 8), bool)
    known[:, 4] = True
    for seed in range(5):
        drawn = PRIOR.sample(grid, known, seed=seed, passes=3, temperature=2.0)
        assert (drawn.pitch[:, 3] == 60).all()
        assert not drawn.onset[:, 4].any()


def test_temperature_zero_takes_no_draw_and_a_low_one_is_close_to_it() -> None:
    grid, known = random_grid(1, 16), np.ones((4, 16), bool)
    known[2, 5] = False
    coldest = PRIOR.sample(grid, known, seed=0, temperature=0.0, passes=8)
    for seed in range(3):
        assert np.array_equal(PRIOR.sample(grid, known, seed=seed, temperature=0.0, passes=8).pitch, coldest.pitch)
    counts = {}
    for temperature in (0.1, 2.0):
        draws = [PRIOR.sample(grid, known, seed=seed, passes=1, temperature=temperature) for seed in range(30)]
        counts[temperature] = len({int(drawn.pitch[2, 5]) for drawn in draws})
    assert counts[0.1] < counts[2.0]


def test_draws_follow_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """One open cell of known probabilities, drawn many times."""
    grid, known = random_grid(1, 4), np.ones((4, 4), bool)
    known[1, :] = False
    wanted = torch.full((CONFIG.classes,), -30.0)
    wanted[[0, 10, 20]] = torch.log(torch.tensor([0.2, 0.5, 0.3]))

    monkeypatch.setattr(PRIOR, "net", Fixed(wanted))
    drawn = np.concatenate([
        PRIOR.sample(grid, known, seed=seed, passes=1).pitch[1, :2] for seed in range(600)
    ])  # the last cells may be bound by a held note that follows
    shares = [float((drawn == pitch).mean()) for pitch in (REST, CONFIG.low + 9, CONFIG.low + 19)]
    # 1200 draws: a share is within 0.06 of its probability in all but one of 10,000 cases.
    np.testing.assert_allclose(shares, [0.2, 0.5, 0.3], atol=0.06)


def test_an_untrained_prior_is_as_good_as_its_average(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = random_grid(1, 12)
    monkeypatch.setattr(PRIOR, "net", Fixed(torch.zeros(CONFIG.classes)))
    # Uniform over the classes in each of four voices, whatever the ordering.
    np.testing.assert_allclose(PRIOR.framewise_nll(grid), 4 * np.log(CONFIG.classes), rtol=1e-6)


def test_framewise_likelihood_matches_a_slow_plain_version() -> None:
    config = replace(CONFIG, voices=2)
    prior, grid = made_prior(config), random_grid(5, 5, voices=2)
    rated = prior.framewise_nll(grid, seed=2, orderings=1)
    assert rated.shape == (5,)
    # Every set of frames before a frame and every order of its voices, by hand; the rated one must be among them.
    classes = torch.from_numpy(np.where(grid.pitch == REST, 0, grid.pitch - config.low + 1).astype(np.int64))
    base = prior._batch(grid, np.ones((2, 5), bool), False)
    base = replace(base, onset=torch.zeros(1, 2, 5).long(), fermata=torch.zeros(1, 5).long())
    for frame in range(5):
        possible = []
        others = [step for step in range(5) if step != frame]
        for before in itertools.chain.from_iterable(itertools.combinations(others, count) for count in range(5)):
            for order in itertools.permutations(range(2)):
                pitch, known, total = classes.clone(), torch.zeros(2, 5, dtype=torch.bool), 0.0
                known[:, list(before)] = True
                for voice in order:
                    with torch.inference_mode():
                        logits, _ = prior._logits(replace(base, pitch=pitch[None], known=known[None]))
                    log_p = torch.log_softmax(logits[0, voice, frame].double(), -1)
                    total -= float(log_p[classes[voice, frame]])
                    pitch[voice, frame], known[voice, frame] = log_p.argmax(), True
                possible.append(total)
        # Float32 sums in another order.
        assert np.abs(np.array(possible) - rated[frame]).min() < 1e-4


def test_frames_are_rated_from_all_that_the_network_can_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rating from a window gives what rating from the whole piece gives, also with a pickup."""
    config = PriorConfig(channels=(5, 6, 7), blocks=(1, 2, 1))
    prior, grid = made_prior(config), random_grid(4, 70)
    grid = replace(grid, position=(grid.position + 7) % 16)
    assert 2 * prior.net.reach + prior.net.grain < grid.steps
    rated = prior.framewise_nll(grid, seed=1, orderings=2)
    monkeypatch.setattr(type(prior.net), "reach", 100)
    # Float32 sums in another order; a likeliest note could tip over, but no two are so close here.
    np.testing.assert_allclose(prior.framewise_nll(grid, seed=1, orderings=2), rated, atol=1e-4)
    monkeypatch.setattr(type(prior.net), "reach", 4)
    assert np.abs(prior.framewise_nll(grid, seed=1, orderings=2) - rated).max() > 1e-2


def test_a_piece_alone_equals_it_in_a_batch() -> None:
    rows = [PRIOR._batch(random_grid(seed, 20), np.random.default_rng(seed).random((4, 20)) < 0.5, True)
            for seed in range(3)]
    together = GridBatch(**{one.name: torch.cat([getattr(row, one.name) for row in rows]) for one in fields(GridBatch)})
    with torch.inference_mode():
        got, got_onsets = PRIOR._logits(together)
        for number, row in enumerate(rows):
            expected, onsets = PRIOR._logits(row)
            # Float32 in another blocking; the logits are of the order of ten.
            torch.testing.assert_close(got[number : number + 1], expected, rtol=0, atol=1e-4)
            torch.testing.assert_close(got_onsets[number : number + 1], onsets, rtol=0, atol=1e-4)


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_a_pickup_of_any_length_is_aligned_with_the_beats(shift: int) -> None:
    """The network halves time from a beat on; what stands before the first step must not change the others' places."""
    grid = random_grid(5, 24)
    later = replace(grid, position=((grid.position + shift) % grid.bar).astype(np.int16))
    drawn = PRIOR.sample(later, np.zeros((4, 24), bool), seed=0, passes=2)
    assert drawn.pitch.shape == (4, 24)
    known = np.ones((4, 24), bool)
    known[1] = False
    assert PRIOR.predict(later, known).shape == (4, 24, CONFIG.classes)


def test_a_known_key_is_the_key_that_the_network_hears() -> None:
    """A piece plainly in a major key gives the tonic that naming the key gives, in every transposition."""
    scale = np.array([60, 62, 64, 65, 67, 69, 71, 72], np.int16)
    for semitones in range(-5, 7):
        pitch = np.broadcast_to(scale + semitones, (4, 8)).copy()
        position, bar = meter_steps([], 8)
        grid = NoteGrid(pitch=pitch, onset=begins(pitch), position=position, bar=bar, fermata=np.zeros(8, bool))
        known = np.ones((4, 8), bool)
        heard = PRIOR.net.tonics(PRIOR._batch(grid, known, False))
        named = PRIOR.net.tonics(PRIOR._batch(grid, ~known, False, key_of_shift(semitones, "major")))
        assert int(heard) == int(named) == semitones


def test_tied_cells_share_a_pitch_and_keep_their_rhythm() -> None:
    grid = random_grid(3, 32)
    known = np.zeros((4, 32), bool)
    tied = np.broadcast_to(np.arange(32) // 5, (4, 32)).copy()
    onset = np.broadcast_to(np.arange(32) % 5 == 0, (4, 32)).copy()
    pitch = np.full((4, 32), 60, np.int16)
    given = replace(grid, pitch=pitch, onset=onset)
    for method in ("gibbs", "unmask"):
        drawn = PRIOR.sample(given, known, seed=1, passes=5, tied=tied, method=method)
        assert np.array_equal(drawn.onset, onset)
        for number in range(7):
            assert all(len(set(row)) == 1 for row in drawn.pitch[:, tied[0] == number])
        assert len(np.unique(drawn.pitch)) > 3


def test_absent_voices_are_silent_and_say_nothing() -> None:
    grid, known = random_grid(3, 16), np.zeros((4, 16), bool)
    known[0] = True
    drawn = PRIOR.sample(grid, known, seed=1, passes=4, absent=(1, 2))
    assert (drawn.pitch[1:3] == REST).all()
    assert (drawn.pitch[3] != REST).any()


def test_bias_forbids_and_prefers() -> None:
    grid, known = random_grid(3, 16), np.zeros((4, 16), bool)
    bias = np.zeros((4, 16, CONFIG.classes))
    bias[..., :] = -np.inf
    bias[..., 20:23] = 0.0
    drawn = PRIOR.sample(grid, known, seed=1, passes=4, temperature=2.0, bias=bias)
    assert set(np.unique(drawn.pitch)) <= {CONFIG.low + 19, CONFIG.low + 20, CONFIG.low + 21}


def test_surprise_is_low_for_what_the_network_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = random_grid(3, 16)
    monkeypatch.setattr(PRIOR, "net", Fixed(torch.zeros(CONFIG.classes)))
    # Uniform: the logarithm of the classes for each of four voices; of three where one is absent.
    np.testing.assert_allclose(PRIOR.surprise(grid), 4 * np.log(CONFIG.classes), rtol=1e-6)
    np.testing.assert_allclose(PRIOR.surprise(grid, absent=(2,)), 3 * np.log(CONFIG.classes), rtol=1e-6)


def test_open_pitches_do_not_leak_into_the_network() -> None:
    grid = random_grid(5, 20)
    known = np.random.default_rng(0).random((4, 20)) < 0.5
    batch = PRIOR._batch(grid, known, True)
    changed = replace(batch, pitch=torch.where(batch.known, batch.pitch, 3))
    with torch.inference_mode():
        for one, two in zip(PRIOR._logits(batch), PRIOR._logits(changed)):
            assert torch.equal(one, two)


def test_a_checkpoint_is_the_same_prior() -> None:
    tensors, model = PRIOR.to_checkpoint()
    again = NotePrior.from_checkpoint(tensors, {"model": model})
    grid, known = random_grid(1, 16), np.zeros((4, 16), bool)
    assert again.config == PRIOR.config
    one, two = (prior.sample(grid, known, seed=1, passes=3) for prior in (PRIOR, again))
    assert np.array_equal(one.pitch, two.pitch)
    with pytest.raises(ValueError, match="do not fit the model on its card"):
        NotePrior.from_checkpoint({"pitch": torch.zeros(1)}, {"model": model})


def test_requests_that_cannot_be_are_refused() -> None:
    grid, known = random_grid(1, 8), np.zeros((4, 8), bool)
    with pytest.raises(ValueError, match="3 voices, this prior was made for 4"):
        PRIOR.sample(random_grid(1, 8, voices=3), known[:3], seed=0)
    with pytest.raises(ValueError, match="give a bool for each cell"):
        PRIOR.sample(grid, known[:, 1:], seed=0)
    with pytest.raises(ValueError, match="temperature is nan"):
        PRIOR.sample(grid, known, seed=0, temperature=float("nan"))
    with pytest.raises(ValueError, match="passes is 0"):
        PRIOR.sample(grid, known, seed=0, passes=0)
    with pytest.raises(ValueError, match="no pitch that this prior knows"):
        PRIOR.sample(grid, known, seed=0, ranges=[(60, 70), (60, 70), (60, 70), (90, 100)])
    high = replace(grid, pitch=np.full((4, 8), 100, np.int16), onset=np.ones((4, 8), bool))
    with pytest.raises(ValueError, match="transpose into them"):
        PRIOR.sample(high, ~known, seed=0)
    # Where such notes are open, they do not matter.
    assert PRIOR.sample(high, known, seed=0, passes=1).pitch.max() <= CONFIG.high
