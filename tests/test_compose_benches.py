"""The benches of the prior over notes, on made-up music whose figures are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bench import coconet, compose, markov, takes
from mididdsp.notes.generator import NoteNet, NotePrior, PriorConfig, pitch_classes
from mididdsp.notes.grid import NoteGrid, begins
from mididdsp.notes.types import Score
from mididdsp.training.notes import made_up_chorales

GRIDS = [one.grid for one in made_up_chorales(4, 32)]


class TestTakes:
    def test_a_steady_tempo_of_ones_own_is_no_timing(self) -> None:
        """Three players of one piece, a tenth faster and slower: nothing is left but what one of them does once."""
        between = np.tile([0.4, 0.25, 0.3, 0.3], 6)
        onsets = np.concatenate([[0.0], np.cumsum(between)])
        late = onsets.copy()
        late[10] += 0.03
        rows = np.stack([takes.timing(each) for each in (onsets * 0.9, onsets * 1.1, late)])
        left = takes.without_tempo(rows)
        assert np.isfinite(left).all()
        np.testing.assert_allclose(left[:, :9], 0.0, atol=1e-9)
        np.testing.assert_allclose(left[:, 11:], 0.0, atol=1e-9)
        # 30 ms more of 250 ms, and less of 300 ms, against the mean of three, of which it is one.
        wanted = 100 * np.log([0.28 / 0.25, 0.27 / 0.3]) * 2 / 3
        np.testing.assert_allclose(left[2, 9:11], wanted, rtol=1e-9)

    def test_short_times_and_notes_together_are_left_out(self) -> None:
        found = takes.timing(np.array([0.0, 0.15, 0.15, 0.45]))
        assert np.isnan(found[:2]).all()
        assert found[2] == pytest.approx(100 * np.log(0.3))

    def test_a_spread_is_a_standard_deviation(self) -> None:
        """40 players of 60 notes with a deviation of 7: within 3 % of it, four of its errors."""
        random = np.random.default_rng(0)
        values = {note: dict(enumerate(random.normal(note, 7.0, 40))) for note in range(60)} | {99: {0: 1.0}}
        found, count = takes.spread(values, {*range(60), 99})
        assert found == pytest.approx(7.0, rel=0.03)
        assert count == 60

    def test_players_and_takes_are_compared_note_by_note(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two players whose notes lie 6 cents apart, and takes that differ by as much as the temperature says."""
        _write_players(tmp_path, apart_cents=6.0)

        class Performing:
            def perform(self, score: Score, *, seed: int, temperature: float) -> SimpleNamespace:
                def of(number: int) -> SimpleNamespace:
                    swing = temperature * (1 if (number + seed) % 2 else -1)
                    return SimpleNamespace(tuning_cents=swing, timing_s=0.0, vibrato_cents=0.0, vibrato_rate_hz=None,
                                           vibrato_delay_s=None)

                notes = score.parts[0].notes
                return SimpleNamespace(expressions={note.id: of(number) for number, note in enumerate(notes)})

        monkeypatch.setattr(takes, "Performer", Performing)
        found = takes.compared(tmp_path, [1.0, 2.0], takes=2, pieces=1, seconds=100.0)
        assert (found["etudes"], found["players"]) == (1, 2)
        row = found["rows"]["tuning_cents"]
        assert row["notes"] == 16
        # By turns above and below each other, so that what is left of 6 cents after each player's median is 6.
        assert row["players"] == pytest.approx(6.0 / np.sqrt(2), rel=0.02)
        assert row["takes at 1"] == pytest.approx(np.sqrt(2))
        assert row["takes at 2"] == pytest.approx(2 * np.sqrt(2))
        assert found["rows"]["timing"]["takes at 1"] == pytest.approx(0.0, abs=1e-9)
        assert np.isnan(found["rows"]["vibrato_cents"]["takes at 1"])


def _write_players(folder: Path, *, apart_cents: float) -> None:
    """One étude of 16 long notes, played twice; the second player is sharper by turns."""
    rate, notes = 172.0, 16
    length = round(0.9 * rate)
    offset = [np.zeros(notes), np.where(np.arange(notes) % 2, apart_cents / 2, -apart_cents / 2)]
    offset[0] = -offset[1]
    cents = np.concatenate([np.full(length, value) for each in offset for value in each])
    arrays: Mapping[str, Any] = {
        "contour_cents": cents.astype(np.float16) / 1.0, "contour_length": np.full(2 * notes, length),
        "contour_start": np.arange(2 * notes) * length, "piece": np.repeat([0, 1], notes),
        "onset_s": np.tile(np.arange(notes) * 1.0, 2), "duration_s": np.full(2 * notes, 0.9),
        "pitch": np.tile(60 + np.arange(notes) * 5 % 12, 2), "frame_rate": np.array(rate),
        "piece_title": np.array(["one", "one"]),
    }
    (folder / "violinists").mkdir()
    np.savez(folder / "violinists" / "violinists.npz", **arrays)
    (folder / "split.csv").write_text("item,split\nviolinists/one,valid\n", encoding="utf-8")


def small_prior() -> NotePrior:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = PriorConfig(channels=(4, 6), blocks=(1, 1))
        return NotePrior(config, NoteNet(config))


def small_coconet() -> coconet.Coconet:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return coconet.Coconet(channels=4, layers=4).eval()


class TestCoconet:
    def test_the_baseline_has_the_size_it_is_named_by(self) -> None:
        assert sum(value.numel() for value in coconet.Coconet().parameters()) == 171_172

    def test_what_is_hidden_is_not_seen(self) -> None:
        net, row = small_coconet(), torch.from_numpy(coconet.rows(GRIDS[0].pitch))[None]
        known = torch.rand(row.shape, generator=torch.Generator().manual_seed(0)) < 0.5
        other = torch.where(known, row, (row + 5) % coconet.ROWS)
        with torch.inference_mode():
            assert torch.equal(net(row, known), net(other, known))

    def test_a_net_that_knows_nothing_is_as_surprised_as_can_be(self, monkeypatch: pytest.MonkeyPatch) -> None:
        net = small_coconet()
        torch.nn.init.zeros_(net.convolutions[-1].weight)
        torch.nn.init.zeros_(net.convolutions[-1].bias)
        uniform = 4 * np.log(coconet.ROWS)
        assert coconet.surprise(net, GRIDS[0]) == pytest.approx(uniform)
        np.testing.assert_allclose(coconet.nll(net, GRIDS[0], orderings=2, frames=6), uniform, rtol=1e-6)

    def test_a_window_of_its_reach_is_all_it_needs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        net = small_coconet()
        rated = coconet.nll(net, GRIDS[0], orderings=2, frames=8)
        net.reach = 100
        np.testing.assert_allclose(coconet.nll(net, GRIDS[0], orderings=2, frames=8), rated, atol=1e-4)

    def test_the_melody_is_kept(self) -> None:
        made = coconet.harmonised(small_coconet(), GRIDS[0], passes=3, seed=0)
        assert np.array_equal(made.pitch[0], GRIDS[0].pitch[0])
        assert not np.array_equal(made.pitch[1:], GRIDS[0].pitch[1:])


class TestCompose:
    def test_bach_is_like_himself(self) -> None:
        found = compose.judged(GRIDS, GRIDS)
        assert found["equal"] == 1.0
        assert found["equal_error"] == 0.0
        assert found["moving_pairs"] > 0

    def test_parallels_are_counted_among_moving_pairs(self) -> None:
        """Soprano and bass in octaves throughout, the others hold: every moving pair is a parallel octave."""
        line = np.repeat([60, 62, 64, 65, 67, 65, 64, 62], 4)
        pitch = np.stack([line + 12, np.full(32, 64), np.full(32, 57), line - 12]).astype(np.int16)
        piece = replace(GRIDS[0], pitch=pitch, onset=begins(pitch))
        found = compose.judged([piece, piece], [piece, piece])
        assert found["octaves"] == pytest.approx(1000.0)
        assert found["fifths"] == 0.0

    def test_both_models_rate_the_same_frames(self, tmp_path: Path) -> None:
        """The row of the difference is the difference of the rows."""
        import safetensors.torch

        file = tmp_path / "early" / coconet.WEIGHTS_FILE
        file.parent.mkdir()
        file.write_bytes(safetensors.torch.save(coconet.Coconet().state_dict()))
        parts = compose.Parts(train=GRIDS, valid=GRIDS[:1], test=GRIDS[:2])
        rows = compose.likelihoods(small_prior(), parts, [file], 1)
        ours, theirs = (next(row for name, row in rows.items() if name.startswith(word)) for word in ("ours,", "Coco"))
        assert rows["ours less Coconet of early"]["mean"] == pytest.approx(ours["mean"] - theirs["mean"])
        assert rows["Markov, order 1"]["mean"] < rows["unigram"]["mean"]

    def test_voices_are_drawn_one_by_one(self) -> None:
        config = PriorConfig()

        def only(voice: int, past: list[int], above: int) -> np.ndarray:
            return np.eye(config.classes)[10 * voice]

        made = compose.by_voice(GRIDS[0], config, only, 0)
        assert np.array_equal(made.pitch[0], GRIDS[0].pitch[0])
        assert [set(made.pitch[voice]) for voice in (1, 2, 3)] == [{config.low + 10 * v - 1} for v in (1, 2, 3)]


class TestMarkov:
    def test_a_chain_learns_what_follows(self) -> None:
        """A voice that goes round four notes: certain at order 1, a matter of four at order 0."""
        config = PriorConfig()
        pitch = np.tile(np.array([60, 64, 67, 72], np.int16), (config.voices, 64))
        grid: NoteGrid = replace(made_up_chorales(1, 256)[0].grid, pitch=pitch, onset=begins(pitch))
        models = markov.chains([grid], 1, config)
        zero = markov.framewise(models, grid, 0, config)
        one = markov.framewise(models, grid, 1, config)
        assert zero.shape == (256,)
        # All twelve keys are counted: 48 note names of each key, so that order 0 knows little.
        assert zero.mean() > config.voices * np.log(4)
        assert one[1:].mean() < zero.mean() / 2

    def test_distributions_sum_to_one(self) -> None:
        config = PriorConfig()
        models = markov.chains(GRIDS, 2, config)
        past = pitch_classes(GRIDS[0].pitch, config)[0].tolist()
        for length in (0, 1, 5):
            assert models[0].distribution(past[:length], 2).sum() == pytest.approx(1.0)
