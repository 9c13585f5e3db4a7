"""The benches of the sound on signals and numbers whose answer is known."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import pytest

from bench import (
    attacks,
    chain,
    clips,
    contours,
    control,
    dynamics,
    joints,
    life,
    likelihood,
    measures,
    phrase_set,
    pitch,
    rivals,
    skirts,
    swells,
    two_sample,
    workbench,
)
from bench import vibrato as vibrato_bench
from bench.measures import mel_patches
from mididdsp.expression import views
from mididdsp.expression.context import REACH, Neighbour, context_features
from mididdsp.expression.scales import SCALES
from mididdsp.expression.types import ATTRIBUTES
from mididdsp.instruments import INSTRUMENTS, instrument
from mididdsp.notes.types import Note

RATE = workbench.RATE


def tone(hz: float | np.ndarray, seconds: float, *, attack_s: float = 0.02, release_s: float = 0.05,
         tilt: float = 1.0) -> np.ndarray:
    """Eight partials 1/k^tilt under a linear attack and release; nothing before or after."""
    count = round(seconds * RATE)
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(np.asarray(hz, dtype=float), (count,))) / RATE
    time = np.arange(count) / RATE
    envelope = np.minimum(1, time / attack_s) * np.minimum(1, (seconds - time) / release_s)
    return 0.1 * envelope * sum(np.sin(k * phase) / k**tilt for k in range(1, 9))


def placed(parts: list[tuple[float, np.ndarray]], seconds: float) -> np.ndarray:
    """Sounds from the given times on."""
    out = np.zeros(round(seconds * RATE))
    for start, audio in parts:
        out[round(start * RATE):round(start * RATE) + len(audio)] += audio
    return out


class TestSkirts:
    def test_noise_moves_amplitude_and_phase_alike_and_a_swell_amplitude_alone(self) -> None:
        sound = tone(440.0, 2.0)
        noisy = sound + 3e-4 * np.random.default_rng(0).standard_normal(len(sound))
        for amplitude, phase in skirts.movement(np.pad(noisy, 4800), 69.0, 0.1, 2.0):
            if np.isfinite(amplitude):
                assert phase == pytest.approx(amplitude, abs=2.0)  # 70 values of each: chi squared scatters by .7 dB
        swelling = sound * np.exp(0.02 * np.sin(2 * np.pi * 50.0 * np.arange(len(sound)) / RATE))
        amplitude, phase = skirts.movement(np.pad(swelling, 4800), 69.0, 0.1, 2.0)[0]
        assert amplitude == pytest.approx(10 * np.log10(0.02**2 / 2), abs=1.5)  # two periods damp it a little
        assert phase < amplitude - 20.0

    def test_low_and_short_notes_tell_nothing(self) -> None:
        assert np.isnan(skirts.movement(np.pad(tone(110.0, 2.0), 4800), 45.0, 0.1, 2.0)).all()
        assert np.isnan(skirts.movement(np.pad(tone(440.0, 0.4), 4800), 69.0, 0.1, 0.4)).all()

    def test_a_family_is_told_by_the_clips_that_all_players_tell(self) -> None:
        one = np.full((len(skirts.GROUPS), 2), -20.0)
        deaf = np.full((len(skirts.GROUPS), 2), np.nan)
        figures = skirts.summarise(["strings", "strings"], [dict.fromkeys(skirts.PLAYERS, one),
                                                            {"real": one, "resynthesis": deaf, "ours": one}])
        assert figures["strings"]["1-2"]["clips"] == 1
        assert figures["strings"]["1-2"]["ours"] == {"amplitude": -20.0, "phase": -20.0}
        assert "brass" not in figures


class TestContours:
    NOTES = ((0.1, 0.6, 69.0, 80), (0.8, 0.6, 71.0, 80))

    def swelling(self, first_db: float, second_db: float, sign: float) -> np.ndarray:
        time = np.arange(round(0.6 * RATE)) / RATE
        swell = 10 ** (sign * 6 * np.sin(2 * np.pi * time / 0.6) / 20)
        parts = [(onset, 10 ** (gain / 20) * swell * np.sin(2 * np.pi * 1000 * time))
                 for (onset, *_), gain in zip(self.NOTES, (first_db, second_db))]
        return placed(parts, 1.6)

    def test_levels_between_notes_do_not_count_inside_them(self) -> None:
        real = self.swelling(0, -12, 1)
        # Whole periods in each 10 ms: only rounding is left.
        assert contours.inside_r(real, self.swelling(-20, 0, 1), self.NOTES) == pytest.approx(1.0, abs=1e-3)
        assert contours.inside_r(real, self.swelling(0, -12, -1), self.NOTES) == pytest.approx(-1.0, abs=1e-3)

    def test_too_few_frames_are_no_contour(self) -> None:
        assert math.isnan(contours.inside_r(self.swelling(0, 0, 1), self.swelling(0, 0, 1), ((0.1, 0.03, 69.0, 80),)))

    def test_f0_moves_in_the_middle_and_starts_beside(self) -> None:
        time = np.arange(round(0.8 * RATE)) / RATE
        cents = 20 * np.sin(2 * np.pi * 6 * time)
        moves, _ = contours.f0_inside(placed([(0.1, tone(440 * 2 ** (cents / 1200), 0.8))], 1.1),
                                      [(0.1, 0.8, 69.0, 80)], [False])
        # rms of a sine is 1/sqrt(2) of its extent; the window of the refinement damps it by some per cent.
        assert moves[0] == pytest.approx(20 / math.sqrt(2), rel=0.08)
        low = np.where(time < 0.06, -30.0, 0.0)
        moves, starts = contours.f0_inside(placed([(0.1, tone(440 * 2 ** (low / 1200), 0.8, attack_s=0.005))], 1.1),
                                           [(0.1, 0.8, 69.0, 80)], [False])
        assert moves[0] < 1.0
        assert starts[0] == pytest.approx(30.0, abs=6.0)  # frames of 16 ms see a part of the step
        assert contours.f0_inside(np.zeros(RATE), [(0.1, 0.1, 69.0, 80)], [False]) == ([], [])

    def test_the_summary_counts_phrases_below_the_sampler(self) -> None:
        def item(family: str, r: float, ours: float, sampler: float) -> dict[str, object]:
            return {"file": f"{family} {r}", "family": family, "held ours": r, "sustain ours": ours,
                    "sustain fluidsynth": sampler,
                    **{f"{what} {who}": [1.0] for what in ("f0", "onset f0") for who in ("real", "ours")}}

        found = contours.summarise([item("strings", 0.5, 1.0, 2.0), item("strings", 0.7, 3.0, 2.0),
                                    item("brass", 0.9, 1.0, 2.0)])
        assert found["all"]["held ours"] == 0.7
        assert found["all"]["phrases"] == 3
        assert found["all"]["sustain below"] == pytest.approx(2 / 3)
        assert found["strings"]["sustain below"] == 0.5
        assert "woodwind" not in found
        assert "pass" in contours.report(found)


class TestPhrases:
    def test_notes_of_a_phrase_know_their_ends_and_joints(self) -> None:
        step = np.where(np.arange(round(0.8 * RATE)) < 0.4 * RATE, 440.0, 523.25)
        slurred = tone(step, 0.8)
        audio = placed([(0.1, slurred), (1.1, tone(587.33, 0.4, release_s=0.2))], 1.8)
        notes = phrase_set.notes_of(audio, 60, 84)
        assert [round(note.pitch) for note in notes] == [69, 72, 74]
        assert [note.joined for note in notes] == [False, True, False]
        np.testing.assert_allclose([note.onset for note in notes], (0.1, 0.5, 1.1), atol=0.04)
        # A linear release of 0.2 s is 6 dB down after half of it, 28 dB down near its end.
        assert notes[2].held_s == pytest.approx(0.3, abs=0.04)
        assert notes[2].ringing_s > notes[2].held_s + 0.05

    def test_asked_notes_overlap_where_the_player_slurred(self) -> None:
        clip = clips.Clip(file="a", instrument="flute", kind="phrase", label=69, length="phrase", dynamic="forte",
                          style="normal", split="valid")
        notes = (phrase_set.PhraseNote(onset=0.0, held_s=0.3, ringing_s=0.5, pitch=69.0),
                 phrase_set.PhraseNote(onset=0.5, held_s=0.4, ringing_s=0.6, pitch=71.0, joined=True))
        phrase = phrase_set.Phrase(clip=clip, audio=np.zeros(10), notes=notes)
        assert phrase.held() == [(0.0, 0.5 + phrase_set.OVERLAP_S, 69.0, 96), (0.5, 0.4, 71.0, 96)]
        assert phrase.ringing() == [(0.0, 0.5, 69.0, 96), (0.5, 0.6, 71.0, 96)]

    def test_unsteady_styles_are_left_out(self) -> None:
        kinds = [clips.Clip(file=style, instrument="flute", kind="phrase", label=69, length="phrase", dynamic="forte",
                            style=style, split="valid") for style in ("legato", "major-trill", "arco-tremolo")]
        assert [clip.style for clip in phrase_set.steady(kinds)] == ["legato"]


class TestJoints:
    @staticmethod
    def level(dip: float, quiet_s: float) -> np.ndarray:
        """Two notes of 0.4 s at -20 and -22 dB; a quiet stretch around the joint."""
        values = np.r_[np.full(100, -20.0), np.full(100, -22.0)]
        half = round(quiet_s / joints.STEP_S / 2)
        values[100 - half:100 + half] = -22.0 - dip
        return values

    def test_gap_dip_and_rise_are_those_drawn(self) -> None:
        found = joints.joint(self.level(18.0, 0.048), 0.0, 0.4, 0.8)
        assert found == {"gap": pytest.approx(48.0), "dip": pytest.approx(18.0), "re-attack": pytest.approx(18.0)}
        shallow = joints.joint(self.level(4.0, 0.048), 0.0, 0.4, 0.8)
        assert shallow == {"gap": 0.0, "dip": pytest.approx(4.0), "re-attack": pytest.approx(4.0)}
        silent = joints.joint(self.level(80.0, 0.048), 0.0, 0.4, 0.8)
        assert silent is not None
        assert silent["dip"] == silent["re-attack"] == joints.DEEPEST_DB
        assert joints.joint(self.level(4.0, 0.048), 0.38, 0.4, 0.8) is None

    def test_a_quiet_stretch_elsewhere_is_no_gap(self) -> None:
        values = self.level(0.0, 0.0)
        values[150:156] = -60.0
        found = joints.joint(values, 0.0, 0.4, 0.8)
        assert found is not None
        assert found["gap"] == 0.0

    def test_a_score_writes_notes_until_the_next(self) -> None:
        notes = [phrase_set.PhraseNote(onset=onset, held_s=0.1, ringing_s=0.2, pitch=60.0 + onset)
                 for onset in (0.0, 0.3, 1.3)]
        asked, marks = joints.written(notes, 80, "legato")
        assert [duration for _, duration, _, _ in asked] == pytest.approx([0.3, 0.2, 0.2])  # a rest stays a rest
        assert marks == [(), ("legato",), ("legato",)]
        assert joints.written(notes, 80, "staccato")[1] == [("staccato",)] * 3

    def test_the_report_tells_the_order(self) -> None:
        def side(value: float) -> dict[str, float]:
            return dict.fromkeys(joints.MEASURES, value)

        figures = {"all": {manner: {"phrases": 1, "real": side(value), "ours": side(9.0 - value)}
                           for manner, value in zip(joints.MANNERS, (1.0, 4.0, 9.0))}}
        text = joints.report(figures)
        assert text.count("< ") == 6 * 2
        assert text.count("fail") >= 3  # ours runs the other way on each of the three measures


class TestVibrato:
    def test_lines_are_the_same_and_within_the_instrument(self) -> None:
        for name in clips.FAMILIES:
            notes, marks = vibrato_bench.line(name, 3)
            assert (notes, marks) == vibrato_bench.line(name, 3)
            assert len(notes) == vibrato_bench.LINE_NOTES
            assert all(instrument(name).low <= note[2] <= instrument(name).high for note in notes)
            assert min(note[1] for note in notes) >= 0.5
            assert 0 < sum(bool(mark) for mark in marks) < len(marks)

    def test_a_note_is_heard_with_its_tuning_and_vibrato(self) -> None:
        time = np.arange(round(1.2 * RATE)) / RATE
        cents = 8.0 + 18 * np.sin(2 * np.pi * 6 * time)
        audio = placed([(0.2, tone(440 * 2 ** (cents / 1200), 1.2))], 1.6)
        found = vibrato_bench.heard(audio, (0.2, 1.2, 69.0, 80), octaves=True)
        assert found is not None
        assert found.centre == pytest.approx(8.0, abs=1.0)  # whole cycles do not quite fill the middle two thirds
        assert found.vibrato.rate_hz == pytest.approx(6.0, abs=0.15)
        assert found.vibrato.extent_cents == pytest.approx(18.0, rel=0.08)
        assert not found.octave_off
        high = vibrato_bench.heard(placed([(0.2, tone(880.0, 0.6))], 1.0), (0.2, 0.6, 69.0, 80), octaves=True)
        assert high is not None  # it repeats at 440 Hz too
        assert high.octave_off
        assert vibrato_bench.heard(np.zeros(RATE), (0.2, 0.5, 69.0, 80)) is None

    def test_shares_medians_and_spreads(self) -> None:
        def one(rate: float, extent: float) -> pitch.Vibrato:
            return pitch.Vibrato(present=True, rate_hz=rate, extent_cents=extent, delay_s=0.1)

        figures = vibrato_bench.vibrato_figures([one(5.0 + k / 10, 10.0 + k) for k in range(11)] + [pitch.NO_VIBRATO])
        assert figures["share"] == pytest.approx(11 / 12)
        assert figures["extent"] == 15.0
        assert figures["extent spread"] == pytest.approx(8.0)
        assert figures["rate spread"] == pytest.approx(0.8)

    def test_rows_pass_within_all_bars_alone(self) -> None:
        target = {"share": 0.7, "rate": 6.2, "extent": 16.0, "delay": 0.11}
        ours = {"notes": 48.0, "share": 0.6, "rate": 6.0, "extent": 13.0, "delay": 0.2}
        assert vibrato_bench.vibrato_row("violin", ours, target)[1]
        for what, off in (("share", 0.5), ("rate", 5.6), ("extent", 11.0), ("delay", 0.25)):
            cells, reached = vibrato_bench.vibrato_row("violin", ours | {what: off}, target)
            assert not reached
            assert sum("!" in cell for cell in cells) == 1
        nobody = {"share": 0.06, "rate": None, "extent": None, "delay": None}
        assert vibrato_bench.vibrato_row("clarinet", ours | {"share": 0.1}, nobody)[1]
        assert not vibrato_bench.vibrato_row("clarinet", ours | {"share": 0.3}, nobody)[1]

    def test_centres_are_counted(self) -> None:
        def note(centre: float, off: bool = False) -> vibrato_bench.Heard:
            return vibrato_bench.Heard(centre=centre, vibrato=pitch.NO_VIBRATO, octave_off=off)

        figures = vibrato_bench.centre_figures([note(-10.0), note(10.0)], [note(1.0), note(-4.0, True)])
        assert figures["spread"] == 10.0
        assert figures["within"] == 0.5
        assert figures["octaves"] == 1

    def test_violinists_are_read_by_split(self, tmp_path: Path) -> None:
        (tmp_path / "split.csv").write_text("item,split\nviolinists/A,valid\nviolinists/B,train\n", encoding="utf-8")
        (tmp_path / "violinists").mkdir()
        rate = 172.0
        waves = [np.round(30 * np.sin(2 * np.pi * hz * np.arange(172) / rate)).astype(np.int8) for hz in (6.0, 4.5)]
        np.savez(tmp_path / "violinists" / "violinists.npz", piece_title=np.array(["A", "B"]), piece=np.array([0, 1]),
                 duration_s=np.array([1.0, 1.0], np.float32), contour_start=np.array([0, 172]),
                 contour_length=np.array([172, 172]), contour_cents=np.concatenate(waves), frame_rate=np.float32(rate))
        found = vibrato_bench.violinists(tmp_path, "valid")
        assert [round(item.rate_hz) for item in found] == [6]
        assert len(vibrato_bench.violinists(tmp_path, "test")) == 0


class TestAttacks:
    def test_times_of_a_render_and_of_a_recording(self) -> None:
        attack, release = attacks.times_of(tone(440.0, 1.0, attack_s=0.1, release_s=0.2), 69.0)
        assert attack == pytest.approx(0.08, abs=0.006)  # 10 to 90 % of a line; 5 ms windows
        assert release == pytest.approx(0.608 * 0.2, abs=0.01)  # -3 and -20 dB lie at 0.708 and 0.1 of it
        late, _ = attacks.times_of(tone(440.0, 1.0, attack_s=0.1)[round(0.09 * RATE):], 69.0, recorded=True)
        assert math.isnan(late)
        _, cut = attacks.times_of(tone(440.0, 1.0)[:round(0.9 * RATE)], 69.0, recorded=True)
        assert math.isnan(cut)

    def test_what_an_editor_faded_out_tells_no_release(self) -> None:
        ringing = tone(440.0, 1.0)[:round(0.9 * RATE)]
        ringing[-round(0.04 * RATE):] *= np.linspace(1.0, 0.0, round(0.04 * RATE)) ** 2
        ended = np.concatenate([ringing, np.zeros(round(0.1 * RATE))])
        assert math.isnan(attacks.times_of(ended, 69.0, recorded=True)[1])
        room = tone(440.0, 1.0, release_s=0.2)
        tail = np.concatenate([room, 0.003 * room[:round(0.15 * RATE)]])  # 50 dB down it goes on for a while
        assert attacks.times_of(tail, 69.0, recorded=True)[1] == pytest.approx(0.608 * 0.2, abs=0.01)

    def test_the_bar_is_the_wider_of_two(self) -> None:
        assert attacks.within(0.127, 0.1)
        assert not attacks.within(0.132, 0.1)
        assert attacks.within(0.017, 0.010)

    def test_medians_need_three_clips_that_tell(self) -> None:
        nan = float("nan")
        results = [{"real": (a, 0.1), "ours": (0.03, 0.2)} for a in (0.01, 0.02, 0.03, nan)]
        figures = attacks.summarise([("brass", "forte")] * 4, results)
        assert figures["brass"]["f"]["attack"]["clips"] == 3
        assert figures["brass"]["f"]["attack"]["real"] == 0.02
        assert figures["brass"]["f"]["release"]["clips"] == 4
        assert math.isnan(figures["brass"]["f"]["attack"]["take"])
        beside = [item | {"take": (nan, 0.1 * index)} for index, item in enumerate(results)]
        release = attacks.summarise([("brass", "forte")] * 4, beside)["brass"]["f"]["release"]
        assert release["take"] == pytest.approx(0.15)
        assert release["taken"] == 0.1
        assert attacks.summarise([("brass", "forte")] * 2, results[2:]) == {}


class TestSwells:
    @staticmethod
    def swell(octaves_for_10_db: float) -> np.ndarray:
        """A tone of two partials that rises by 20 dB in two seconds, its upper one by more."""
        time = np.arange(2 * RATE) / RATE
        level = 10.0 * time - 20.0
        hz = 1000.0 * 2.0 ** (octaves_for_10_db * (level + 20.0) / 10.0)
        share = (hz - 1000.0) / 7000.0  # of the power at 8 kHz: the centroid lies between
        gain = 0.1 * 10 ** (level / 20)
        return gain * (np.sqrt(1 - share) * np.sin(2 * np.pi * 1000 * time)
                       + np.sqrt(share) * np.sin(2 * np.pi * 8000 * time))

    @pytest.mark.parametrize("octaves", [0.0, 0.3, 1.0])
    def test_the_slope_of_a_known_swell(self, octaves: float) -> None:
        assert swells.slope(self.swell(octaves)) == pytest.approx(octaves, abs=0.02)  # windows are .85 dB long

    def test_a_level_that_hardly_moves_tells_no_slope(self) -> None:
        assert math.isnan(swells.slope(tone(440.0, 1.0, attack_s=1e-4, release_s=1e-4)))

    def test_the_controller_follows_the_level(self) -> None:
        _, values = swells.controller(self.swell(0.0), 0.2, 1.6)
        decibels = 40.0 * np.log10(np.array(values) / 127.0)
        np.testing.assert_allclose(np.diff(decibels)[4:-4], 0.5, atol=0.1)  # 10 dB a second, every 50 ms


class TestDynamics:
    def test_the_centroid_of_two_sines_is_their_mean(self) -> None:
        time = np.arange(RATE) / RATE
        sound = np.sin(2 * np.pi * 1000 * time) + np.sin(2 * np.pi * 3000 * time)
        assert dynamics.centroid_hz(sound) == pytest.approx(2000.0, rel=0.005)  # bins are 12 Hz wide
        assert dynamics.centroid_hz(0.01 * sound) == pytest.approx(dynamics.centroid_hz(sound))

    def test_the_level_of_a_sine(self) -> None:
        sine = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
        assert dynamics.level_db(sine) == pytest.approx(-23.01, abs=0.01)

    def test_medians_by_instrument_and_dynamic_and_what_another_take_reaches(self) -> None:
        cases = [("flute", "piano")] * 3 + [("flute", "forte"), ("oboe", "piano"), ("oboe", "molto-pianissimo")]
        results = [{"ours": ours, "fluidsynth": 1.5, "take": take} for ours, take in (
            (0.9, 1.3), (1.0, 1.3), (1.3, float("nan")), (0.7, 1.1), (1.1, float("nan")), (5.0, 5.0))]
        figures = dynamics.summarise(cases, results)
        assert figures["flute"]["p"] == pytest.approx({"clips": 3.0, "ours": 1.0, "fluidsynth": 1.5, "take": 1.3})
        assert set(figures["oboe"]) == {"p"}, "no column for other dynamics"
        text = dynamics.report(figures, {})
        assert "2 of 3 within 20 % (another take 1 of 2)" in text

    def test_levels_must_rise_and_span(self) -> None:
        even = [[-40.0 + 4 * k for k in range(6)]] * 3
        good = dynamics.level_figures(even, 20.0)
        assert good["reached"]
        assert good["uneven"] == pytest.approx(0.0)
        assert not dynamics.level_figures(even, 24.0)["reached"]
        bent = [even[0], [-40.0, -36.0, -37.0, -28.0, -24.0, -20.0], even[0]]
        assert not dynamics.level_figures(bent, 20.0)["monotone"]


class TestTwoSamples:
    @staticmethod
    def recordings(tilt: float, seed: int, count: int = 16) -> list[np.ndarray]:
        random = np.random.default_rng(seed)
        return [mel_patches(tone(220 * 2 ** random.uniform(0, 1), 0.3, tilt=tilt)
                            + 1e-4 * random.standard_normal(round(0.3 * RATE)), RATE) for _ in range(count)]

    def test_the_network_tells_two_kinds_apart_and_one_not(self) -> None:
        base = self.recordings(1.0, 0)
        assert two_sample.cnn_auc(base, self.recordings(2.5, 1), seed=0) > 0.95
        # Eight recordings a side: the AUC of chance has sd 0.15.
        assert abs(two_sample.cnn_auc(base, self.recordings(1.0, 2), seed=0) - 0.5) < 0.4

    def test_trees_tell_two_kinds_apart_and_one_not(self) -> None:
        base = self.recordings(1.0, 0, count=60)  # leaves of trees hold twenty
        assert two_sample.trees_auc(base, self.recordings(2.5, 1, count=60), seed=0) > 0.95
        # Thirty recordings a side: the AUC of chance has sd 0.08.
        assert abs(two_sample.trees_auc(base, self.recordings(1.0, 2, count=60), seed=0) - 0.5) < 0.25

    def test_rumble_alone_is_not_heard_without_the_lowest_band(self) -> None:
        patches = self.recordings(1.0, 0)[0]
        rumbling = patches.reshape(-1, two_sample.FRAMES, 64).copy()
        rumbling[:, :, 0] += 20.0
        rumbling = rumbling.reshape(patches.shape)
        assert not np.array_equal(rumbling, patches)
        assert np.array_equal(two_sample.without_lowest(rumbling), two_sample.without_lowest(patches))
        assert np.array_equal(two_sample.without_lowest(patches)[:, 1:64], patches[:, 1:64])

    def test_long_recordings_do_not_rule(self) -> None:
        assert len(two_sample.patches_of(tone(440.0, 6.0))) == two_sample.MOST_PATCHES


class TestLife:
    def test_differences_are_of_medians_over_common_clips(self) -> None:
        nan = float("nan")
        real = [(1.0,) * 8 + (-30.0,), (1.0,) * 8 + (-30.0,), (nan,) * 9]
        other = [(2.0,) * 8 + (-27.0,), (2.0,) * 8 + (-27.0,), (50.0,) * 9]
        found = life.difference(real, other)
        assert found["partials 2-4 Hz"][0] == pytest.approx(20 * math.log10(2))
        assert found["noise to harmonics"] == (pytest.approx(3.0), -30.0, -27.0)
        assert math.isnan(life.difference([], [])["f0 2-4 Hz"][0])
        assert len(life.values_of(None)) == len(life.QUANTITIES)


class TestLikelihood:
    def test_a_gaussian_has_its_own_entropy(self) -> None:
        random = np.random.default_rng(0)
        features = random.normal(size=(20_000, 1))
        index = random.integers(0, 2, 20_000)
        values = np.where(index == 0, 3.0, -1.0) * features[:, 0] + 2.0 + 0.5 * random.normal(size=20_000)
        half = slice(0, 10_000)
        fitted = rivals.fit(features[half], index[half], values[half])
        density = fitted.density(features[10_000:], index[10_000:], values[10_000:]).mean()
        # -1/2 ln(2 pi e sigma^2); ten thousand notes leave an sd of 0.007.
        assert density == pytest.approx(-0.5 * math.log(2 * math.pi * math.e * 0.25), abs=0.03)
        mean = rivals.fit(np.zeros((10_000, 0)), index[half], values[half])
        assert mean.density(np.zeros((10_000, 0)), index[10_000:], values[10_000:]).mean() < density - 1.0
        # An instrument without notes gets what all have.
        np.testing.assert_array_equal(mean.weights[5], mean.weights[-1])

    @pytest.mark.parametrize("name", ["level_db", "attack_s", "peak_position"])
    def test_units_are_physical(self, name: str) -> None:
        scale, place, step = SCALES[name], 0.3, 1e-5
        slope = 2 * step / (scale.backward(place + step) - scale.backward(place - step))
        assert likelihood.jacobian(name, np.array([place]))[0] == pytest.approx(math.log(slope), abs=1e-5)

    def test_columns_are_read_back_from_what_the_network_sees(self) -> None:
        near = Neighbour(interval=3.0, gap_s=0.1, seconds=0.4, velocity=0.0)
        context = np.stack([
            context_features(67.0, 0.8, 96.0, (), False, False, [near, None, None, None][:2 * REACH]),
            context_features(50.0, 0.3, None, (), False, False, [None] * (2 * REACH))])
        count = len(context)
        examples = argparse.Namespace(
            context=context, instrument=np.array([0, 1]), values=np.zeros((count, len(ATTRIBUTES))),
            known=np.zeros((count, len(ATTRIBUTES))), vibrates=np.full(count, np.nan))
        notes = likelihood.notes_of(examples)
        np.testing.assert_allclose(notes.pitch, [67.0, 50.0])
        np.testing.assert_allclose(notes.seconds, [0.8, 0.3])
        assert notes.velocity[0] == pytest.approx(96.0)
        assert math.isnan(notes.velocity[1])
        np.testing.assert_allclose(notes.around[0, :3], [3.0, 0.1, 0.4])
        assert np.isnan(notes.around[0, 3:]).all()
        assert np.isnan(notes.around[1]).all()

    def test_the_teacher_is_read_in_physical_units(self, tmp_path: Path) -> None:
        # Thirteen notes that all say the same: so will the reading, whatever it is asked.
        rows, said = 13, {"volume": 0.9, "vol_fluc": 0.3, "vibrato": 0.2, "brightness": 0.25, "attack": 0.6,
                          "vol_peak_pos": 0.4}
        np.savez(tmp_path / "teacher.npz", melody=np.zeros(rows, np.int16), instrument=np.zeros(rows, np.int8),
                 pitch=np.full(rows, 69, np.uint8), onset_s=np.arange(rows, dtype=np.float32),
                 duration_s=np.full(rows, 0.8, np.float32), attributes=np.tile(np.float32(list(said.values())),
                                                                               (rows, 1)),
                 attribute_names=np.array(list(said)), instrument_names=np.array(["violin"]))
        teacher = rivals.Teacher(tmp_path / "teacher.npz")
        notes = rivals.Notes(
            instrument=np.array([0]), pitch=np.array([72.0]), seconds=np.array([0.5]), velocity=np.array([80.0]),
            around=np.full((1, 6), np.nan), values=np.zeros((1, len(ATTRIBUTES))),
            known=np.ones((1, len(ATTRIBUTES)), bool), vibrates=np.array([np.nan]))
        says = teacher.says(notes)
        level = views.from_paper("volume", 0.9, 0.0)
        # The ridge pulls at the constant too, by a ten-millionth; a step of the paper's scale is 60 dB.
        assert says["level_db"][0] == pytest.approx(level, abs=0.02)
        assert says["attack_noise_db"][0] == pytest.approx(views.from_paper("attack", 0.6, level), abs=0.02)
        assert set(says) == {scale.attribute for scale in views.PAPER.values()}
        with pytest.raises(FileNotFoundError, match="--teacher"):
            rivals.Teacher(tmp_path / "nothing.npz")

    def test_sources_weigh_by_their_notes(self) -> None:
        figures = {"a": {"level_db": {"notes": 1.0, "ours": 0.0, "linear": 1.0}},
                   "b": {"level_db": {"notes": 3.0, "ours": 4.0}}}
        assert likelihood.together(figures) == {"level_db": {"notes": 4.0, "ours": 3.0}}


def test_every_clip_has_draws_of_its_own_and_the_same_ones_each_time() -> None:
    notes = [(0.1, 0.5, 60.0, 80)]
    ids = [chain._plan(name, asked).part.notes[0].id for name, asked in (
        ("flute", notes), ("flute", notes), ("oboe", notes), ("flute", [(0.1, 0.5, 60.0, 81)]))]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


class TestWorkbench:
    def test_tables_line_up_and_missing_figures_are_named(self) -> None:
        text = workbench.table(("", "a"), [("one", workbench.shown(1.0)), ("two", workbench.shown(float("nan")))])
        assert text.splitlines() == ["        a", "one  1.00", "two   n/a"]
        assert workbench.shown(2.0, 1, True) == "+2.0"
        assert [workbench.verdict(value) for value in (True, False, None)] == ["pass", "fail", "n/a"]

    def test_what_is_not_a_number_is_null_in_the_file(self, tmp_path: Path) -> None:
        workbench.save(tmp_path / "a.json", {"x": float("nan"), "y": [np.float64(1.23456789)], "z": np.int64(3)})
        assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"x": None, "y": [1.2346], "z": 3}
        assert [path.name for path in tmp_path.iterdir()] == ["a.json"]

    def test_names_are_checked(self) -> None:
        assert workbench.instruments_of(argparse.Namespace(instruments="tuba,violin")) == ["violin", "tuba"]
        with pytest.raises(SystemExit, match="kazoo"):
            workbench.instruments_of(argparse.Namespace(instruments="violin,kazoo"))

    def test_missing_data_is_one_sentence(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert workbench.command(attacks.__doc__, attacks.work, ["--data", str(tmp_path), "--workers", "1"]) == 1
        assert "--data" in capsys.readouterr().err

    def test_all_instruments_have_a_spread_of_tuning(self) -> None:
        assert set(vibrato_bench.TEMPERAMENT_SD) == set(INSTRUMENTS)


class TestControl:
    def note(self, hz: float, attack_s: float, release_s: float, *, swell_db: float = 0.0, taper_db: float = 0.0
             ) -> np.ndarray:
        """1.6 s from 0.3 s on: a straight rise whose 10 to 90 % take ``attack_s``, a swell about the middle, a taper
        in the last seventh, a fall of 17 dB in ``release_s`` from there."""
        since = np.arange(round(3.6 * RATE)) / RATE - 0.3
        place = np.clip(since / 1.6, 0.0, 1.0)
        level = swell_db * (1.0 - 4.0 * np.abs(place - 0.5)) - taper_db * np.clip((place - 0.85) / 0.15, 0.0, 1.0)
        level -= 17.0 / release_s * np.maximum(since - 1.6, 0.0)
        rise = np.clip(since * 0.8 / attack_s, 0.0, 1.0)
        return 0.1 * rise * 10 ** (level / 20) * sum(
            np.sin(2 * np.pi * hz * k * since) / k for k in range(1, 13))

    @pytest.mark.parametrize("hz", [78.0, 220.0, 880.0])
    @pytest.mark.parametrize("attack_s", [0.03, 0.15])
    def test_an_attack_and_a_release_are_those_of_the_note(self, hz: float, attack_s: float) -> None:
        attack, release = control.attack_and_release(self.note(hz, attack_s, 0.1), hz, 1.9)
        assert attack == pytest.approx(attack_s, abs=0.01)  # most of a period of the lowest
        assert release == pytest.approx(0.1, abs=0.005)

    def test_a_note_that_tapers_is_released_at_its_offset(self) -> None:
        audio = self.note(220.0, 0.05, 0.1, taper_db=8.0)
        assert control.attack_and_release(audio, 220.0, 1.9)[1] == pytest.approx(0.1, abs=0.005)
        assert measures.note_times(audio, RATE, 220.0).release_s > 0.15, "what it begins with is its taper"

    def test_a_swell_does_not_put_off_the_attack(self) -> None:
        audio = self.note(220.0, 0.05, 0.1, swell_db=1.0)  # its beginning is 0.4 dB below the mean power
        assert control.attack_and_release(audio, 220.0, 1.9)[0] == pytest.approx(0.05, abs=0.03)
        assert measures.note_times(audio, RATE, 220.0).attack_s > 0.2

    @pytest.mark.parametrize("hz", [55.0, 78.0, 110.0, 440.0])
    @pytest.mark.parametrize("peak", [0.2, 0.6])
    def test_a_low_note_is_loudest_where_its_level_is_and_not_where_its_wave_is(self, hz: float, peak: float) -> None:
        since = np.arange(round(3.7 * RATE)) / RATE - 0.3
        place = np.clip(since / 1.6, 0.0, 1.0)
        level = -2.0 * np.abs(place - peak) - 200.0 * np.maximum(since - 1.6, 0.0) - 1000.0 * np.maximum(-since, 0.0)
        audio = 0.1 * 10 ** (level / 20) * sum(np.sin(2 * np.pi * hz * k * since + k * k) / k for k in range(1, 13))
        note = Note(id="n", onset=0.3, duration=1.6, pitch=pitch.midi_of(hz), velocity=80)
        # the level falls by 0.06 dB in the bar; in windows of 30 ms that of 78 Hz rises and falls by 0.4
        assert control.measured(audio, note)["peak_position"] == pytest.approx(peak, abs=0.03)

    def test_attributes_are_checked(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            control.main(["--attributes", "attack_s,loudness"])
        assert "loudness is unknown; there are level_db," in capsys.readouterr().err

    @pytest.mark.parametrize("count", [30, 60])
    def test_orders_are_uncorrelated_and_take_every_value(self, count: int) -> None:
        orders = control.orders(count, len(control.SWEPT), np.random.default_rng(7))
        assert (np.sort(orders, axis=0) == np.arange(count)[:, None]).all()
        others = np.corrcoef(orders.T) - np.eye(len(control.SWEPT))
        assert np.abs(others).max() < 0.06  # orders drawn at random have .33 for 60
