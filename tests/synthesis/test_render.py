"""Segments to sound: bits, borders, silence, order, levels; and the original's whole synthesiser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, hilbert, sosfilt

from mididdsp.synthesis.dsp import period_tables
from mididdsp.synthesis.dsp.filters import frequency_filter
from mididdsp.synthesis.dsp.noise import noise_controls
from mididdsp.synthesis.dsp.oscillators import harmonic_controls, harmonic_synthesis
from mididdsp.synthesis.effects import decayed_impulse_response, reverb
from mididdsp.synthesis.render import first_sample, render_segment, render_stream, start_phases, turning
from mididdsp.synthesis.types import Segment

EDGES = (0.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 7_000.0, 12_000.0, 20_000.0)


def segment(name: str = "a", start_s: float = 0.0, frames: int = 100, f0_hz: float = 300.0, partials: int = 30,
            level_db: float = -20.0, noise_db: float = -60.0, fade: int = 10) -> Segment:
    """A steady tone with noise that rises from silence and returns to it over ``fade`` frames (none if 0)."""
    shape = np.ones(frames)
    if fade:
        shape = np.interp(np.arange(frames), [0, fade, frames - 1 - fade, frames - 1], [0.0, 1.0, 1.0, 0.0])
    harmonics = np.exp(-np.arange(partials) / 5.0)
    harmonics = np.tile(harmonics / harmonics.sum(), (frames, 1))
    noise = np.tile(-120.0 + (noise_db + 120.0) * shape[:, None], (1, len(EDGES) - 1))
    return Segment(id=name, note_ids=(name,), start_s=start_s, f0_hz=np.full(frames, f0_hz, dtype=np.float32),
                   amplitude_db=(-120.0 + (level_db + 120.0) * shape).astype(np.float32),
                   harmonics=harmonics.astype(np.float32), noise_db=noise.astype(np.float32))


def stream(segments: list[Segment], rate: int = 48_000, seed: int = 0, block_s: float = 5.0, **options) -> np.ndarray:
    blocks = render_stream(segments, noise_edges_hz=EDGES, sample_rate=rate, seed=seed, block_s=block_s, **options)
    return np.concatenate([np.zeros(0, dtype=np.float32), *blocks])


PIECE = [segment("a", -0.1, 60), segment("b", 0.2003, 130, 220.0), segment("c", 0.41, 40, 500.0),
         segment("d", 0.41, 41, 700.0), segment("e", 2.0, 300, 150.0)]


@given(block_s=st.floats(0.001, 4.0), rate=st.sampled_from([16_000, 44_100]))
@settings(max_examples=20, deadline=None)
def test_the_block_size_changes_no_bit(block_s: float, rate: int) -> None:
    assert np.array_equal(stream(PIECE, rate, block_s=block_s), stream(PIECE, rate, block_s=100.0))


def test_a_stream_is_the_sum_of_its_segments_in_order() -> None:
    whole = stream(PIECE)
    wanted = np.zeros_like(whole)
    for one in PIECE:
        first, audio = render_segment(one, noise_edges_hz=EDGES, sample_rate=48_000, seed=0)
        start = max(0, first)
        wanted[start : first + len(audio)] += audio[start - first :]
    assert np.array_equal(whole, wanted)


def test_rests_are_digital_silence_and_the_end_is_the_last_segments() -> None:
    audio = stream(PIECE)
    gap = audio[round(0.75 * 48_000) : 2 * 48_000]
    assert np.count_nonzero(gap) == 0
    assert len(audio) == round((2.0 + 300 / 250) * 48_000)
    assert stream([]).size == 0


def test_an_edit_changes_nothing_outside_its_segment() -> None:
    edited = [replace(one, amplitude_db=one.amplitude_db - 3.0) if one.id == "b" else one for one in PIECE]
    before, after = stream(PIECE), stream(edited)
    changed = np.flatnonzero(before != after) / 48_000
    assert changed.min() >= 0.2003
    assert changed.max() < 0.2003 + 130 / 250


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_no_bit_and_is_given_back(threads: int) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        found = stream(PIECE)
        assert torch.get_num_threads() == threads
        torch.set_num_threads(3 - threads)
        assert np.array_equal(found, stream(PIECE))
    finally:
        torch.set_num_threads(before)


def test_noise_depends_on_seed_and_id_alone() -> None:
    options = {"noise_edges_hz": EDGES, "sample_rate": 48_000, "parts": ("noise",)}
    _, one = render_segment(segment("a"), seed=1, **options)
    _, same = render_segment(segment("a", start_s=7.0, f0_hz=900.0), seed=1, **options)
    _, other_seed = render_segment(segment("a"), seed=2, **options)
    _, other_id = render_segment(segment("b"), seed=1, **options)
    assert np.array_equal(one, same)
    assert abs(np.corrcoef(one, other_seed)[0, 1]) < 0.05  # 19,200 samples scatter by 0.007
    assert abs(np.corrcoef(one, other_id)[0, 1]) < 0.05


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_starts_are_exact_between_samples(rate: int) -> None:
    start_s = 0.1 + 0.37 / rate
    first, audio = render_segment(segment(start_s=start_s, f0_hz=200.0, partials=1, noise_db=-130.0, fade=0), seed=0,
                                  noise_edges_hz=EDGES, sample_rate=rate)
    time = (first + np.arange(len(audio))) / rate - start_s
    steady = slice(round(0.06 * rate), round(0.3 * rate))
    # -20 dB is 0.1; 1e-6 is the kernel's 5e-6 of that, and float32.
    np.testing.assert_allclose(audio[steady], 0.1 * np.sin(2 * np.pi * 200.0 * time)[steady], atol=1e-6)
    assert 0 <= first / rate - start_s < 1 / rate


def test_first_sample_forgives_rounding() -> None:
    assert first_sample(0.1 + 0.2, 48_000) == 14_400  # 0.30000000000000004 s
    assert first_sample(-0.5, 48_000) == -24_000


def test_levels_at_minus_120_are_exactly_zero() -> None:
    quiet = segment(level_db=-120.0, noise_db=-120.0, fade=0)
    _, audio = render_segment(quiet, noise_edges_hz=EDGES, sample_rate=48_000, seed=0)
    assert np.count_nonzero(audio) == 0
    assert len(audio) == 100 * 192


def test_parameters_that_do_not_start_silent_do_not_click() -> None:
    _, audio = render_segment(segment(fade=0, f0_hz=100.0, partials=1, noise_db=-130.0), noise_edges_hz=EDGES,
                              sample_rate=48_000, seed=0)
    assert abs(audio[0]) < 1e-4
    assert abs(audio[-1]) < 1e-4
    assert np.abs(np.diff(audio)).max() < 0.003  # the sine's own steps are 0.0013, the ramp's slope adds to them
    middle = audio[2_000:-2_000]
    assert np.abs(middle).max() == pytest.approx(0.1, rel=1e-3)


def test_parameters_that_start_silent_are_left_alone() -> None:
    one = segment(noise_db=-130.0)
    _, audio = render_segment(one, noise_edges_hz=EDGES, sample_rate=48_000, seed=0, skirts=True)
    level = np.where(one.amplitude_db > -120.0, 10.0 ** (one.amplitude_db / 20.0), 0.0).astype(np.float32)
    amplitudes = torch.from_numpy(one.harmonics * level[:, None])
    tone = period_tables.tone_tiles(torch.from_numpy(one.f0_hz), lambda first, last: amplitudes[first:last], 30,
                                    sample_rate=48_000,
                                    phases_of=lambda first, last: torch.from_numpy(
                                        start_phases("a", 30, 0) + turning(one, first, last, 0)))
    assert np.array_equal(audio, torch.cat(list(tone)).numpy())


def pulse_db(audio: np.ndarray, low: float, high: float, period: int) -> float:
    """How far the envelope of a band rises over its mean power inside a period (97th percentile), dB."""
    envelope = np.abs(hilbert(sosfilt(butter(4, (low, high), "bandpass", fs=48_000, output="sos"), audio))) ** 2
    steady = envelope[9_600 : 9_600 + 40 * period]
    return float(10 * np.log10(np.percentile(steady, 97) / steady.mean()))


def test_a_low_tone_is_no_train_of_pulses() -> None:
    frames, partials = 250, 80
    harmonics = np.full((frames, partials), 1.0 / partials, dtype=np.float32)
    low = replace(segment(frames=frames, f0_hz=100.0, noise_db=-130.0), harmonics=harmonics)
    found = [pulse_db(render_segment(replace(low, id=str(name)), noise_edges_hz=EDGES, sample_rate=48_000, seed=1)[1],
                      4_000.0, 7_900.0, 480) for name in range(8)]
    # Noise's envelope power is exponential: its 97th percentile is ln(1 / 0.03) times the mean, 5.4 dB. A tone repeats
    # one period, of some 40 independent values, which scatter by 0.65 dB. In phase it is 9.2.
    assert np.mean(found) == pytest.approx(5.4, abs=0.8)  # three standard errors of eight
    assert max(found) < 8.0


def test_phases_move_no_level() -> None:
    one = segment(frames=2_500, f0_hz=100.0, noise_db=-130.0, fade=10)
    levels = []
    for seed in (0, 1):
        _, audio = render_segment(one, noise_edges_hz=EDGES, sample_rate=48_000, seed=seed)
        steady = audio[4_800:-4_800].astype(np.float64)
        spectrum = np.abs(np.fft.rfft(steady * np.blackman(len(steady))))
        levels.append([20 * np.log10(spectrum[round(100 * number * len(steady) / 48_000)]) for number in range(1, 31)])
    np.testing.assert_allclose(levels[0], levels[1], atol=0.01)


def test_a_partial_keeps_its_phase_whatever_is_above_it() -> None:
    assert np.array_equal(start_phases("a", 100, 3)[:40], start_phases("a", 40, 3))
    assert start_phases("a", 100, 3)[0] == 0.0
    assert not np.array_equal(start_phases("a", 40, 3), start_phases("b", 40, 3))


def test_a_single_frame_sounds_for_a_frame() -> None:
    first, audio = render_segment(segment(start_s=1.0, frames=1, fade=0), noise_edges_hz=EDGES, sample_rate=48_000,
                                  seed=0)
    assert (first, len(audio)) == (48_000, 192)
    assert 0.01 < np.abs(audio).max() < 0.2


def test_the_split_of_harmonic_and_noise_agrees_between_rates() -> None:
    one = segment(frames=2_500, noise_db=-45.0)
    powers = {}
    for rate in (16_000, 48_000):
        for part in ("harmonic", "noise"):
            _, audio = render_segment(one, noise_edges_hz=EDGES, sample_rate=rate, seed=0, parts=(part,))
            spectrum = np.abs(np.fft.rfft(audio.astype(np.float64) * np.hanning(len(audio)))) ** 2
            hz = np.fft.rfftfreq(len(audio), 1 / rate)
            powers[rate, part] = [10 * np.log10(spectrum[(hz >= low) & (hz < low + 1_000)].sum() / len(audio) ** 2)
                                  for low in range(0, 7_000, 1_000)]
    # 10 s of noise in a 1 kHz band scatter by 0.06 dB a render; the promise is 0.5 dB.
    np.testing.assert_allclose(powers[16_000, "noise"], powers[48_000, "noise"], atol=0.4)
    np.testing.assert_allclose(powers[16_000, "harmonic"], powers[48_000, "harmonic"], atol=0.01)


def test_a_long_slur_is_rendered_as_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    tiles = []
    monkeypatch.setattr(period_tables, "period_tables", lambda x, phases, make=period_tables.period_tables:
                        (tiles.append(len(x)), make(x, phases))[1])
    blocks = render_stream([segment(frames=150_000, partials=4)], noise_edges_hz=EDGES, sample_rate=16_000, seed=0,
                           block_s=1.0)
    assert len(next(blocks)) == 16_000
    assert 250 <= sum(tiles) < 1_000  # of ten minutes, little more than the second asked for


def test_read_only_parameters_render() -> None:
    one = segment()
    for array in (one.f0_hz, one.amplitude_db, one.harmonics, one.noise_db):
        array.setflags(write=False)
    assert len(stream([one])) == 100 * 192  # warnings are errors here


def test_what_ends_before_time_zero_is_not_heard() -> None:
    assert stream([segment(start_s=-2.0)]).size == 0
    first, audio = render_segment(segment(start_s=-2.0), noise_edges_hz=EDGES, sample_rate=48_000, seed=0)
    assert (first, len(audio)) == (-96_000, 19_200)


def test_bad_calls_are_refused() -> None:
    with pytest.raises(ValueError, match="7 noise bands, which need 8 edges; 3 were given"):
        render_segment(segment(), noise_edges_hz=(0.0, 1.0, 2.0), sample_rate=48_000, seed=0)
    with pytest.raises(ValueError, match='"breath" is no part of a sound'):
        render_segment(segment(), noise_edges_hz=EDGES, sample_rate=48_000, seed=0, parts=("breath",))
    with pytest.raises(ValueError, match="give segments in order of time"):
        stream([segment("a", 1.0), segment("b", 0.5)])
    with pytest.raises(ValueError, match="give a longer block"):
        stream([segment()], block_s=0.0)


def test_the_originals_synthesiser_end_to_end(golden) -> None:
    """Parity: raw parameters to controls to audio to room, from the parity functions."""
    case = golden("synthesiser_end_to_end")
    f0 = case["f0_hz"][..., 0]
    amplitude, harmonics = harmonic_controls(case["raw_amplitudes"][..., 0], case["raw_harmonic_distribution"], f0,
                                             16_000.0)
    magnitudes = noise_controls(case["raw_noise_magnitudes"])
    for found, key in ((amplitude, "ctl_amplitudes"), (harmonics, "ctl_harmonic_distribution"),
                       (magnitudes, "ctl_noise_magnitudes")):
        torch.testing.assert_close(found.reshape(case[key].shape), case[key], rtol=0.0, atol=1e-6)
    tone = harmonic_synthesis(f0, amplitude, harmonics, samples=3_840, sample_rate=16_000.0)
    noise = frequency_filter(case["noise"], magnitudes)
    response = torch.nn.functional.pad(case["reverb_ir_first_3000"], (0, 45_000))
    wet = reverb(tone + noise, decayed_impulse_response(response))
    torch.testing.assert_close(tone, case["audio_harmonic"], rtol=0.0, atol=1e-3)  # the original's float32 phase
    torch.testing.assert_close(noise, case["audio_noise"], rtol=0.0, atol=1e-6)
    torch.testing.assert_close(tone + noise, case["audio_dry"], rtol=0.0, atol=1e-3)
    torch.testing.assert_close(wet, case["audio_out"], rtol=0.0, atol=1e-3)
