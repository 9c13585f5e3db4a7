"""The benches' measures on synthetic sound whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench import clips, fluid, ladder, measures, pitch, single_notes, transcribe

RATE = 48_000


def tone(f0_hz: float | np.ndarray, seconds: float, *, attack_s: float = 0.03, release_s: float = 0.08,
         partials: int = 12, tilt: float = 1.0, noise_db: float = -80.0, seed: int = 0) -> np.ndarray:
    """Partials 1/k^tilt under a linear attack and release, with white noise re the tone; 0.1 s of silence each side."""
    count = round(seconds * RATE)
    hz = np.broadcast_to(np.asarray(f0_hz, dtype=float), (count,))
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    top = int(min(partials, 20_000 // hz.max()))
    sound = sum(np.sin(k * phase) / k**tilt for k in range(1, top + 1)) * 0.1
    level = np.sqrt((sound**2).mean())
    sound = sound + np.random.default_rng(seed).standard_normal(count) * level * 10 ** (noise_db / 20)
    time = np.arange(count) / RATE
    envelope = np.minimum(1, time / attack_s) * np.minimum(1, (seconds - time) / release_s)
    return np.pad(sound * envelope, round(0.1 * RATE))


def test_distances_from_itself_are_zero_at_any_gain() -> None:
    sound = tone(220.0, 0.8)
    # Rounding only.
    assert measures.warped_distance(sound, 0.2 * sound, RATE) < 1e-9
    assert measures.sustain_distance(sound, 0.2 * sound, RATE) < 1e-9


def test_the_warped_distance_forgives_timing_and_hears_timbre() -> None:
    sound = tone(220.0, 0.8)
    # A longer note of the same timbre differs at its edges alone; a steeper spectrum differs everywhere.
    longer = measures.warped_distance(sound, tone(220.0, 1.2), RATE)
    duller = measures.warped_distance(sound, tone(220.0, 0.8, tilt=2.5), RATE)
    assert longer < 1.0 < 3.0 < duller


def test_the_sustain_distance_is_the_mean_of_the_bands() -> None:
    # Two sines in one spectrum, the upper one 10 dB lower in the other: about two triangles of 64 hear it.
    time = np.arange(RATE) / RATE
    low, high = np.sin(2 * np.pi * 500 * time), np.sin(2 * np.pi * 5000 * time)
    base = measures.sustain_spectrum(low + high, RATE)
    lower = measures.sustain_spectrum(low + high * 10 ** -0.5, RATE)
    difference = base - lower
    assert difference.max() == pytest.approx(10.0, abs=0.5)
    assert measures.sustain_distance(low + high, low + high * 10**-0.5, RATE) == pytest.approx(
        float(np.abs(difference).mean()))


def test_warping_takes_the_cheapest_path_and_its_length() -> None:
    # By hand: the diagonal costs 1 + 0 + 2 over 3 cells.
    cost = np.array([[1.0, 9.0, 9.0], [9.0, 0.0, 9.0], [9.0, 9.0, 2.0]])
    assert measures._warp(cost) == pytest.approx(1.0)
    assert measures._warp(np.ones((4, 7))) == pytest.approx(1.0)


def test_silence_is_refused() -> None:
    with pytest.raises(ValueError, match="silent"):
        measures.warped_distance(tone(220.0, 0.5), np.zeros(RATE), RATE)


def test_level_contour_is_the_rms_level() -> None:
    sine = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    contour = measures.level_contour(sine, RATE)
    assert len(contour) == 100
    np.testing.assert_allclose(contour, -3.01, atol=0.01)  # a full-scale sine; ten whole periods a window


def test_contour_correlation_follows_the_same_swell_and_not_its_mirror() -> None:
    time = np.arange(2 * RATE) / RATE
    sine = np.sin(2 * np.pi * 440 * time)
    swell = sine * 10 ** ((-10 + 10 * np.sin(2 * np.pi * time)) / 20)
    mirror = sine * 10 ** ((-10 - 10 * np.sin(2 * np.pi * time)) / 20)
    assert measures.contour_correlation(swell, swell * 0.1, RATE) == pytest.approx(1.0)
    assert measures.contour_correlation(swell, mirror, RATE) == pytest.approx(-1.0, abs=0.01)
    assert measures.contour_correlation(swell, sine, RATE) == pytest.approx(0.0, abs=0.05)
    assert measures.contour_correlation(swell, swell[::2], RATE, stretch=True) > 0.99


@pytest.mark.parametrize("attack_s", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("f0_hz", [110.0, 440.0])
def test_attack_and_release_times(attack_s: float, f0_hz: float) -> None:
    sound = tone(f0_hz, 1.2, attack_s=attack_s, release_s=0.2)
    times = measures.note_times(sound, RATE, f0_hz)
    # 80 % of a linear attack; the level window of two periods (18 ms at 110 Hz) blurs a short one by about its half.
    assert times.attack_s == pytest.approx(0.8 * attack_s, abs=0.002 + 0.5 * max(0.005, 2 / f0_hz))
    # -3 and -20 dB of a linear release lie at 0.708 and 0.1 of it.
    assert times.release_s == pytest.approx(0.608 * 0.2, abs=0.01)
    # The first rise to -25 dB of a linear attack comes after 5.6 % of it.
    assert times.onset_s == pytest.approx(0.1 + 0.056 * attack_s, abs=0.011)


def test_what_rumbles_below_a_note_is_no_part_of_it() -> None:
    sound = np.pad(tone(440.0, 1.2, attack_s=0.02, release_s=0.2), RATE // 4)
    rumble = 0.1 * np.abs(sound).max() * np.sin(2 * np.pi * 25.0 * np.arange(len(sound)) / RATE)
    alone, with_it = (measures.note_times(audio, RATE, 440.0) for audio in (sound, sound + rumble))
    # The filter takes 60 dB of 25 Hz; steps are 1 ms.
    assert with_it.onset_s == pytest.approx(alone.onset_s, abs=0.002)
    assert with_it.offset_s == pytest.approx(alone.offset_s, abs=0.002)
    assert with_it.attack_s == pytest.approx(alone.attack_s, abs=0.002)
    assert with_it.release_s == pytest.approx(alone.release_s, abs=0.004)


def test_a_click_shows_above_eight_kilohertz() -> None:
    smooth = tone(440.0, 1.0, partials=10)
    clicked = smooth.copy()
    clicked[len(clicked) // 2:] *= -1  # a jump of the wave
    start, stop = 0.55, 0.65
    gain = measures.energy_above(clicked, RATE, start, stop) - measures.energy_above(smooth, RATE, start, stop)
    assert gain > 20.0


def test_two_sample_auc_is_half_for_one_kind_and_one_for_two() -> None:
    def set_of(tilt: float, first: int) -> list[np.ndarray]:
        generator = np.random.default_rng(first)
        return [measures.mel_patches(tone(220.0 * 2 ** generator.uniform(0, 1), 0.5, tilt=tilt, noise_db=-30,
                                          seed=first + k), RATE) for k in range(24)]

    base = set_of(1.0, 0)
    # 12 recordings a side and half: the AUC of chance has sd 0.12 a split; five splits share recordings.
    assert measures.two_sample_auc(base, set_of(1.0, 100)) == pytest.approx(0.5, abs=0.2)
    assert measures.two_sample_auc(base, set_of(2.0, 200)) > 0.97


def test_area_under_curve_by_hand() -> None:
    # Of the four pairs one is lost and one tied.
    assert measures.area_under_curve(np.array([1.0, 2.0, 2.0, 0.0]), np.array([0, 1, 0, 1])) == pytest.approx(1.5 / 4)


@pytest.mark.parametrize("midi", [33.3, 45.0, 60.27, 76.5, 98.1])
def test_sounding_pitch_is_exact_to_a_few_cents(midi: float) -> None:
    sound = tone(pitch.hz_of(midi), 0.6, noise_db=-30)
    for label in (round(midi), round(midi) + 12, round(midi) - 12):
        assert pitch.sounding_pitch(sound, RATE, label) == pytest.approx(midi, abs=0.02)


def test_weak_odd_partials_do_not_raise_the_octave() -> None:
    # As low strings sound: odd partials 17 dB under the even ones.
    even, odd = tone(2 * 82.0, 0.8, partials=10), tone(82.0, 0.8, partials=1) * 10 ** (-17 / 20)
    assert pitch.sounding_pitch(even + odd, RATE, 40) == pytest.approx(pitch.midi_of(82.0), abs=0.05)


@pytest.mark.parametrize(("f0_hz", "rate_hz", "extent"), [(98.0, 5.0, 15.0), (440.0, 6.2, 20.0), (880.0, 7.0, 40.0)])
def test_vibrato_rate_extent_and_delay(f0_hz: float, rate_hz: float, extent: float) -> None:
    time = np.arange(round(1.6 * RATE)) / RATE
    delay = 0.3
    cents = extent * np.sin(2 * np.pi * rate_hz * (time - delay)) * (time >= delay)
    sound = tone(f0_hz * 2 ** (cents / 1200), 1.6, noise_db=-35)
    contour = pitch.track_known(sound, RATE, pitch.midi_of(f0_hz))
    inside = contour.f0_hz[27:-27]  # the note without its silence and first frames
    found = pitch.vibrato(1200 * np.log2(inside / f0_hz))
    assert found.present
    # The published detector's own errors: rate +-2 %, extent -2 % (the low note's window damps 5 % more), delay 20 ms.
    assert found.rate_hz == pytest.approx(rate_hz, rel=0.02)
    assert found.extent_cents == pytest.approx(extent, rel=0.08)
    assert found.delay_s == pytest.approx(delay, abs=0.06)


def test_a_straight_or_drifting_tone_has_no_vibrato() -> None:
    frames = np.arange(400) / pitch.FRAME_RATE
    assert not pitch.vibrato(np.zeros(400)).present
    assert not pitch.vibrato(30.0 * frames).present
    assert not pitch.vibrato(4.0 * np.sin(2 * np.pi * 6 * frames)).present
    assert not pitch.vibrato(30.0 * np.sin(2 * np.pi * 1.0 * frames)).present


def test_band_rms_puts_a_swing_into_its_band() -> None:
    frames = np.arange(500) / pitch.FRAME_RATE
    bands = pitch.band_rms(2.0 * np.sin(2 * np.pi * 6 * frames) + 0.5 * np.sin(2 * np.pi * 20 * frames))
    np.testing.assert_allclose(bands[[1, 3]], [np.sqrt(2), 0.5 / np.sqrt(2)], rtol=0.05)  # window leaks a little
    assert bands[0] < 0.1
    assert bands[2] < 0.05
    assert np.isnan(pitch.band_rms(np.zeros(100))[0])  # 0.4 s holds no cycle and a half of 2 Hz


@pytest.mark.parametrize("midi", [36.0, 57.0, 74.0])
@pytest.mark.parametrize("noise_db", [-20.0, -35.0])
def test_noise_ratio(midi: float, noise_db: float) -> None:
    f0 = pitch.hz_of(midi)
    sound = tone(f0, 1.2, partials=int(7000 / f0), noise_db=noise_db)
    found = pitch.life(sound, RATE, midi, 0.1, 1.3)
    assert found is not None
    # White noise to 24 kHz: a third of its power lies below the 8 kHz of the measure.
    assert found.noise_db == pytest.approx(noise_db - 10 * np.log10(3), abs=1.5)


def test_brightness_of_known_partials() -> None:
    assert pitch.brightness(np.zeros((5, 1))) == pytest.approx(0.0)
    assert pitch.brightness(np.zeros((5, 3))) == pytest.approx(1.0)  # centroid of 1, 2, 3 is 2: an octave


def test_transcribing_a_small_tune() -> None:
    pitches, seconds = (60, 62, 64, 64, 67), 0.3
    sound = np.concatenate([tone(pitch.hz_of(midi), seconds)[round(0.09 * RATE):round(0.42 * RATE)]
                            for midi in pitches])
    notes = transcribe.transcribe(sound, RATE, 48, 80)
    assert [round(midi) for _, _, midi in notes] == list(pitches)
    onsets = 0.01 + 0.33 * np.arange(5)
    np.testing.assert_allclose([onset for onset, _, _ in notes], onsets, atol=0.04)  # 10 ms frames, 60 ms median


def test_the_fluidsynth_file_holds_pitch_and_time(tmp_path: Path) -> None:
    import mido

    spans = fluid.write_midi(tmp_path / "a.mid", [fluid.Request(instrument="flute", notes=((0.5, 1.0, 69.25, 80),))])
    clock, seen = 0.0, []
    for message in mido.MidiFile(tmp_path / "a.mid"):
        clock += message.time
        seen.append((message.type, round(clock - spans[0][0], 3), message.dict()))
    on = next(item for item in seen if item[0] == "note_on")
    assert on[1:] == (0.5, {**on[2], "note": 69, "velocity": 80})
    # A quarter semitone of the two that 8192 steps span.
    assert next(item for item in seen if item[0] == "pitchwheel")[2]["pitch"] == 1024
    assert next(item for item in seen if item[0] == "note_off")[1] == 1.5


def test_a_worse_row_needs_a_reason(tmp_path: Path) -> None:
    def table(warped: float) -> ladder.Table:
        return {"note": {"chain": {"overall": {"clips": 40, "warped": warped, "level_r": 0.6}}}}

    assert ladder.worse(table(2.0), table(1.9)) == []
    assert ladder.worse(table(2.0), table(2.02)) == []
    found = ladder.worse(table(2.0), table(2.5))
    assert found == ["note/chain/overall/warped: 2.0 -> 2.5"]
    reasons = tmp_path / "ladder.reasons"
    assert ladder.unexplained(found, reasons) == found
    reasons.write_text("note/chain louder attacks were wanted\n", encoding="utf-8")
    assert ladder.unexplained(found, reasons) == []
    reasons.write_text("note/chain\n", encoding="utf-8")  # a name without a reason is none
    assert ladder.unexplained(found, reasons) == found


def test_the_bar_for_single_notes() -> None:
    assert single_notes.passes((1.4, 1.7), (2.5, 3.0), (1.3, 1.0))  # 0.6 of FluidSynth
    assert single_notes.passes((0.9, 0.5), (1.1, 1.2), (0.9, 0.5))  # as another take
    assert single_notes.passes((1.2, 0.5), (1.1, 1.2), (1.2, 0.5)) is False  # above FluidSynth
    assert single_notes.passes(None, (1.1, 1.2), (1.2, 0.5)) is None


def test_repitching_by_an_octave_halves_the_length() -> None:
    sound = tone(220.0, 0.8)
    up = clips.repitch(sound, 12.0)
    assert len(up) == pytest.approx(len(sound) / 2, abs=2)
    assert pitch.sounding_pitch(up, RATE, 69) == pytest.approx(69.0, abs=0.02)


def test_the_committed_list_is_complete() -> None:
    lines = ladder.LIST.read_text(encoding="utf-8").splitlines()[1:]
    kinds = {line.split(",")[0]: line.split(",")[1] for line in lines}
    assert list(kinds.values()).count("note") == ladder.NOTE_COUNT
    assert list(kinds.values()).count("phrase") == ladder.PHRASE_COUNT
    assert {file.split("/")[0] for file in kinds} == set(clips.FAMILIES)
    if ladder.COMMITTED.exists():
        assert set(json.loads(ladder.COMMITTED.read_text(encoding="utf-8"))) == {"note", "phrase"}


@pytest.mark.parametrize("f0_hz", [196.0, 294.0, 587.0])
@pytest.mark.parametrize("attack_s", [0.02, 0.03, 0.06])
def test_noise_of_an_attack_is_told_from_a_tone_that_speaks_quickly(f0_hz: float, attack_s: float) -> None:
    tilt = 1.5
    still = tone(f0_hz, 1.0, attack_s=attack_s / 0.8, partials=40, tilt=tilt, noise_db=-200.0)
    body = 10 * np.log10((still[round(0.5 * RATE):round(0.7 * RATE)] ** 2).mean())

    def read(sound: np.ndarray, bends: int) -> float:
        return pitch.attack_noise(sound, RATE, pitch.midi_of(f0_hz), 0.1, body, bends=bends)

    # noise from the onset on at once, 25 dB below the body within the 8 kHz that the measure hears
    level = 10 ** ((body - 25.0 + 10 * np.log10(3.0)) / 20)
    noisy = still + np.pad(level * np.random.default_rng(1).standard_normal(RATE), round(0.1 * RATE))
    assert read(still, 12) < -33.0
    assert read(still, 12) < read(still, 3) - 2.0 or read(still, 3) < -45.0  # parabolas take the attack for noise
    # one window of 40 ms tells a noise to 2 dB or so
    assert read(noisy, 12) == pytest.approx(-25.0, abs=2.5)
