"""The production oscillator against a direct sum in float64, and its promises: silence, chunks, drift, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mididdsp.synthesis.dsp.period_tables import harmonic_tone, phase_track, table_size, tone_samples, tone_tiles

FULL_SCALE_ERROR = 1e-4
"""What the oscillator may be off, where the partials' amplitudes sum to 1."""


def direct_sum(f0_hz, amplitudes, sample_rate, *, offset_s=0.0, first=0, count=None, frame_rate=250.0, phases=None):
    """Each partial by itself in float64: log-linear f0, linear amplitudes, silent where it nears Nyquist."""
    f0, level = np.asarray(f0_hz, dtype=np.float64), np.asarray(amplitudes, dtype=np.float64)
    frames, partials = level.shape
    total = int(np.ceil((frames / frame_rate - offset_s) * sample_rate - 1e-6))
    place = (np.arange(first, total if count is None else first + count) / sample_rate + offset_s) * frame_rate
    frame = np.clip(np.floor(place + 1e-9).astype(int), 0, frames - 1)
    part = place - frame
    ahead = np.append(f0[1:], f0[-1])
    bend = np.log(ahead / f0)

    def reach(slope, x):
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(np.abs(slope) < 1e-13, x, np.expm1(slope * x) / slope)

    start = np.concatenate([[0.0], np.cumsum(f0 / frame_rate * reach(bend, 1.0))[:-1]])
    cycles = start[frame] + f0[frame] / frame_rate * reach(bend[frame], part)
    highest = np.maximum(np.maximum(f0, ahead), np.append(f0[0], f0[:-1]))
    level = level * (highest[:, None] * np.arange(1, partials + 1) < sample_rate / 2)
    level = np.vstack([level, level[-1:]])
    audio = np.zeros(len(place))
    for k in range(partials):
        weight = (1 - part) * level[frame, k] + part * level[frame + 1, k]
        audio += weight * np.sin(2 * np.pi * ((k + 1) * cycles % 1.0) + (0.0 if phases is None else phases[k]))
    return audio


def smooth_f0(low: float, high: float, frames: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    knots = np.log(rng.uniform(low, high, frames // 40 + 2))
    return np.exp(np.interp(np.arange(frames) / 40, np.arange(len(knots)), knots)).astype(np.float32)


def shares(frames: int, partials: int, seed: int) -> np.ndarray:
    amplitudes = np.random.default_rng(seed).random((frames, partials))
    return (amplitudes / amplitudes.sum(-1, keepdims=True)).astype(np.float32)


def test_each_partial_starts_where_it_is_told() -> None:
    f0, amplitudes = smooth_f0(200.0, 900.0, 200, 1), shares(200, 100, 2)  # at 900 Hz 26 partials of the 100 are left
    phases = np.random.default_rng(3).uniform(-20.0, 20.0, 100)
    told = torch.from_numpy(phases)
    tiles = tone_tiles(torch.from_numpy(f0), lambda first, last: torch.from_numpy(amplitudes[first:last]), 100,
                       sample_rate=48_000, phases_of=lambda first, last: told.expand(last - first, -1))
    expected = direct_sum(f0, amplitudes, 48_000, phases=phases)
    np.testing.assert_allclose(torch.cat(list(tiles)).numpy(), expected, rtol=0, atol=FULL_SCALE_ERROR)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize(("low", "high"), [(30.0, 60.0), (200.0, 900.0), (30.0, 4_000.0), (3_900.0, 4_000.0)])
def test_matches_a_direct_sum(rate: int, low: float, high: float) -> None:
    f0, amplitudes = smooth_f0(low, high, 200, 1), shares(200, 100, 2)
    offset_s = 0.3 / rate
    found = harmonic_tone(torch.from_numpy(f0), torch.from_numpy(amplitudes), sample_rate=rate, offset_s=offset_s)
    wanted = direct_sum(f0, amplitudes, rate, offset_s=offset_s)
    assert float(np.abs(wanted).max()) > 0.02
    # Ten times better than promised: the kernel's 5e-6 and float32.
    np.testing.assert_allclose(found.numpy(), wanted, atol=FULL_SCALE_ERROR / 10)


@pytest.mark.parametrize("f0_hz", [30.0, 261.7, 4_000.0])
def test_ten_minutes_in_it_is_as_exact_as_at_the_start(f0_hz: float) -> None:
    frames, rate = 150_000, 48_000
    f0 = (f0_hz * np.exp(0.01 * np.sin(np.arange(frames) / 7.0))).astype(np.float32)
    amplitudes = np.full((frames, 100), 0.01, dtype=np.float32)
    first = 599 * rate
    found = harmonic_tone(torch.from_numpy(f0), torch.from_numpy(amplitudes), sample_rate=rate, first_sample=first,
                          samples=rate)
    wanted = direct_sum(f0, amplitudes, rate, first=first, count=rate)
    np.testing.assert_allclose(found.numpy(), wanted, atol=FULL_SCALE_ERROR / 10)


def test_a_leap_between_frames_is_exact_too() -> None:
    f0 = np.array([30.0, 4_000.0, 55.0, 55.0, 2_000.0, 35.0], dtype=np.float32)
    amplitudes = shares(6, 60, 4)
    found = harmonic_tone(torch.from_numpy(f0), torch.from_numpy(amplitudes), sample_rate=48_000)
    np.testing.assert_allclose(found.numpy(), direct_sum(f0, amplitudes, 48_000), atol=FULL_SCALE_ERROR)


@given(first=st.integers(0, 70_000), samples=st.integers(0, 40_000), rate=st.sampled_from([44_100, 48_000]))
@settings(max_examples=25, deadline=None)
def test_a_stretch_equals_that_stretch_of_the_whole_to_the_bit(first: int, samples: int, rate: int) -> None:
    f0, amplitudes = torch.from_numpy(smooth_f0(100.0, 900.0, 430, 5)), torch.from_numpy(shares(430, 60, 6))
    whole = harmonic_tone(f0, amplitudes, sample_rate=rate, offset_s=0.4 / rate)
    samples = min(samples, len(whole) - first)
    part = harmonic_tone(f0, amplitudes, sample_rate=rate, offset_s=0.4 / rate, first_sample=first, samples=samples)
    assert torch.equal(part, whole[first : first + samples])


def test_a_row_of_a_batch_equals_that_row_alone_to_the_bit() -> None:
    f0 = torch.from_numpy(np.stack([smooth_f0(100.0, 900.0, 150, seed) for seed in range(4)])).view(2, 2, 150)
    amplitudes = torch.from_numpy(np.stack([shares(150, 30, seed) for seed in range(4)])).view(2, 2, 150, 30)
    batch = harmonic_tone(f0, amplitudes, sample_rate=48_000)
    assert batch.shape == (2, 2, 150 * 192)
    assert torch.equal(batch[1, 0], harmonic_tone(f0[1, 0], amplitudes[1, 0], sample_rate=48_000))


def test_rows_worked_on_together_equal_rows_apart() -> None:
    f0 = torch.from_numpy(np.stack([smooth_f0(100.0, 900.0, 150, seed) for seed in range(3)]))
    amplitudes = torch.from_numpy(np.stack([shares(150, 30, seed) for seed in range(3)]))
    tiles = tone_tiles(f0, lambda first, last: amplitudes[:, first:last], 30, sample_rate=44_100)
    together = torch.cat(list(tiles), dim=-1)
    # Rows share the size of their tables, so bits may differ; the kernel's error does not grow.
    torch.testing.assert_close(together, harmonic_tone(f0, amplitudes, sample_rate=44_100), rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_silent_at_and_above_nyquist(rate: int) -> None:
    amplitudes = torch.ones(20, 3)
    for f0_hz in (rate / 2, 1.5 * rate):
        assert torch.count_nonzero(harmonic_tone(torch.full((20,), f0_hz), amplitudes, sample_rate=rate)) == 0
    below = harmonic_tone(torch.full((20,), rate / 2 - 100.0), amplitudes, sample_rate=rate)
    assert float(below.abs().max()) == pytest.approx(1.0, abs=0.01)  # the fundamental alone


def test_a_glide_over_nyquist_never_folds_back() -> None:
    frames, rate = 300, 48_000
    f0 = torch.from_numpy(np.geomspace(2_000.0, 20_000.0, frames).astype(np.float32))
    amplitudes = torch.zeros(frames, 8)
    amplitudes[:, 7] = 1.0  # from 16 kHz through Nyquist at frame 53
    audio = harmonic_tone(f0, amplitudes, sample_rate=rate).numpy()
    reaches = int(np.argmax(8 * f0.numpy() >= rate / 2))
    assert np.count_nonzero(audio[reaches * 192 :]) == 0
    spectrum = np.abs(np.fft.rfft(audio[: reaches * 192] * np.hanning(reaches * 192)))
    folded = spectrum[: len(spectrum) * 15 // 24].max()
    assert folded < 1e-4 * spectrum.max()


@given(f0_hz=st.floats(60.0, 3_000.0), partials=st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_a_lower_rate_only_removes_partials(f0_hz: float, partials: int) -> None:
    frames = 20
    f0, amplitudes = torch.full((frames,), f0_hz), torch.full((frames, partials), 1.0 / partials)
    audible = torch.arange(1, partials + 1) * float(f0[0]) < 8_000.0
    low = harmonic_tone(f0, amplitudes, sample_rate=16_000)
    high = harmonic_tone(f0, amplitudes * audible, sample_rate=48_000)[::3]
    # Tables of different sizes have different errors, each below 5e-6 of the sum of amplitudes.
    torch.testing.assert_close(low, high, rtol=0.0, atol=2e-5)


def test_is_linear_in_the_amplitudes() -> None:
    f0 = torch.from_numpy(smooth_f0(100.0, 900.0, 60, 7)).double()
    one, two = torch.from_numpy(shares(60, 20, 8)).double(), torch.from_numpy(shares(60, 20, 9)).double()
    both = harmonic_tone(f0, 2.0 * one - 3.0 * two, sample_rate=48_000)
    apart = 2.0 * harmonic_tone(f0, one, sample_rate=48_000) - 3.0 * harmonic_tone(f0, two, sample_rate=48_000)
    torch.testing.assert_close(both, apart, rtol=0.0, atol=1e-12)  # float64


def test_zero_amplitude_is_exact_silence() -> None:
    f0, amplitudes = torch.full((40,), 300.0), torch.zeros(40, 10)
    amplitudes[:10] = 0.1
    audio = harmonic_tone(f0, amplitudes, sample_rate=48_000)
    assert torch.count_nonzero(audio[10 * 192 :]) == 0  # frame 9 fades to frame 10, which is silent
    assert torch.count_nonzero(audio[: 10 * 192]) > 1_900


def test_phase_follows_known_integrals() -> None:
    steady = phase_track(torch.full((5,), 130.0, dtype=torch.float64))
    np.testing.assert_allclose(steady.start.numpy(), np.arange(5) * 0.52 % 1.0, atol=1e-8)
    octave = phase_track(torch.tensor([100.0, 200.0], dtype=torch.float64))
    assert float(octave.start[1]) == pytest.approx(100.0 / 250.0 / np.log(2.0), abs=1e-12)  # the logarithmic mean


@pytest.mark.parametrize(("partials", "size"), [(1, 32), (6, 32), (7, 64), (100, 512), (102, 512), (103, 1024)])
def test_table_size_is_a_power_of_two_with_room_to_spare(partials: int, size: int) -> None:
    assert table_size(partials) == size


def test_length_and_dtype() -> None:
    assert tone_samples(3, 44_100, offset_s=0.0) == 530  # 529.2 rounds up: the last sample begins before the end
    audio = harmonic_tone(torch.full((1,), 440.0), torch.ones(1, 1, dtype=torch.float64), sample_rate=16_000)
    assert audio.shape == (64,)
    assert audio.dtype == torch.float64


@pytest.mark.parametrize(("f0", "amplitudes", "options", "message"), [
    (torch.ones(4), torch.ones(5, 2), {}, "give one f0 per frame"),
    (torch.ones(0), torch.ones(0, 2), {}, "at least one frame"),
    (torch.ones(4), torch.ones(4, 0), {}, "one partial"),
    (torch.ones(4), torch.ones(4, 2), {"first_sample": 700, "samples": 100}, "stay inside it")])
def test_what_cannot_be_is_refused(f0, amplitudes, options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        harmonic_tone(f0, amplitudes, sample_rate=48_000, **options)


def test_gradients() -> None:
    f0 = torch.tensor([200.0, 210.0, 210.0, 205.0, 180.0], dtype=torch.float64, requires_grad=True)
    amplitudes = torch.rand(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda hz, level: harmonic_tone(hz, level, sample_rate=3_000, offset_s=1e-4), (f0, amplitudes))


def test_gradients_of_a_batch_are_those_of_its_rows() -> None:
    f0 = torch.from_numpy(np.stack([smooth_f0(100.0, 900.0, 150, seed) for seed in range(2)]))
    level = torch.from_numpy(np.stack([shares(150, 30, seed) for seed in range(2)]))
    batch = [f0.clone().requires_grad_(), level.clone().requires_grad_()]
    harmonic_tone(*batch, sample_rate=16_000).square().sum().backward()
    alone = [f0[1].clone().requires_grad_(), level[1].clone().requires_grad_()]
    harmonic_tone(*alone, sample_rate=16_000).square().sum().backward()
    assert torch.equal(batch[0].grad[1], alone[0].grad)
    assert torch.equal(batch[1].grad[1], alone[1].grad)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_agrees_with_the_cpu() -> None:
    f0, amplitudes = torch.from_numpy(smooth_f0(100.0, 900.0, 300, 5)), torch.from_numpy(shares(300, 60, 6))
    for batch in ((), (3,)):
        hz, level = f0.expand(*batch, -1), amplitudes.expand(*batch, -1, -1)
        inputs = [x.clone().requires_grad_() for x in (hz, level)]
        on_cuda = [x.detach().cuda().requires_grad_() for x in inputs]
        here, there = harmonic_tone(*inputs, sample_rate=44_100), harmonic_tone(*on_cuda, sample_rate=44_100)
        torch.testing.assert_close(there.cpu(), here, rtol=0.0, atol=1e-5)  # tables of different tilings, float32
        here.square().sum().backward()
        there.square().sum().backward()
        for a, b in zip(inputs, on_cuda):
            torch.testing.assert_close(b.grad.cpu(), a.grad, rtol=0.0, atol=1e-3 * float(a.grad.abs().max()))
