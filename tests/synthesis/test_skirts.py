"""Noise around partials: phases move as amplitudes do, each partial by itself, and stay where these are still."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from mididdsp.synthesis.render import render_segment, turning
from mididdsp.synthesis.skirts import STRONGEST, turned
from mididdsp.synthesis.types import Segment

FRAMES, PARTIALS = 2_000, 12


def between(series: np.ndarray, low: float, high: float, rate: float = 250.0) -> np.ndarray:
    """Rms of each column in a band of modulation."""
    sections = butter(4, (low, high), "bandpass", fs=rate, output="sos")
    return sosfiltfilt(sections, series, axis=0)[50:-50].std(0)


def white(seed: int, frames: int = FRAMES) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((frames, PARTIALS)).astype(np.float32)


def lively(strength: float) -> np.ndarray:
    """Movement of log amplitudes of that rms, the weaker the quicker; [FRAMES, PARTIALS]."""
    moved = sosfiltfilt(butter(2, 50.0, fs=250.0, output="sos"), white(0), axis=0)
    return moved * strength / moved.std()


def phases_of(log_amplitude: np.ndarray) -> np.ndarray:
    """[T, H] for [T, H], each partial from a place of its own."""
    return turned(log_amplitude.T, np.arange(PARTIALS) * 4_001).T


def segment(log_amplitude: np.ndarray, f0_hz: float = 400.0) -> Segment:
    amplitude = np.exp(log_amplitude - 5.0)
    total = amplitude.sum(1)
    return Segment(id="a", note_ids=("a",), start_s=0.0, f0_hz=np.full(len(total), f0_hz, np.float32),
                   amplitude_db=(20 * np.log10(total)).astype(np.float32),
                   harmonics=(amplitude / total[:, None]).astype(np.float32),
                   noise_db=np.full((len(total), 1), -150.0, np.float32))


@pytest.mark.parametrize("strength", [0.003, 0.03])
def test_phases_move_as_much_as_amplitudes(strength: float) -> None:
    moved = lively(strength)
    phases = phases_of(moved)
    # of 8 s each partial tells its strength to 3 %; that the weaker of two estimates counts costs 15
    assert between(phases, 30, 90).mean() == pytest.approx(between(moved, 30, 90).mean(), rel=0.25)


def test_partials_turn_each_by_itself() -> None:
    phases = phases_of(0.03 * white(0))
    alike = np.corrcoef(phases.T)[np.triu_indices(PARTIALS, 1)]
    assert np.abs(alike).max() < 0.2  # some 700 independent values: four standard errors


def test_what_is_still_or_slow_is_not_turned() -> None:
    time = np.arange(FRAMES)[:, None] / 250.0
    assert np.count_nonzero(phases_of(np.full((FRAMES, PARTIALS), -3.0, np.float32))) == 0
    vibrato = 0.35 * np.sin(2 * np.pi * 5.5 * time) * np.ones(PARTIALS)  # 3 dB to either side
    assert np.abs(phases_of(vibrato)).max() < 0.02
    dying = -time * np.ones(PARTIALS) * 10.0
    assert np.abs(phases_of(dying)[100:-100]).max() < 1e-6


def test_a_note_that_speaks_is_turned_while_it_speaks_alone() -> None:
    speaking = np.interp(np.arange(FRAMES), [1_000, 1_005], [-8.0, 0.0])[:, None] * np.ones(PARTIALS)
    phases = np.abs(phases_of(speaking))
    assert phases[:985].max() < 1e-6
    assert phases[1_020:].max() < 1e-6
    assert phases.max() < 4 * 2.0 * STRONGEST


def test_any_stretch_is_that_stretch_of_the_whole() -> None:
    one = segment(0.05 * white(0, 600))
    whole = turning(one, 0, 600, 3)
    for first, last in ((0, 1), (0, 129), (127, 300), (599, 600)):
        np.testing.assert_allclose(turning(one, first, last, 3), whole[first:last], atol=1e-6)  # sums begin elsewhere
    few = replace(one, harmonics=one.harmonics[:, :5])
    np.testing.assert_allclose(turning(few, 0, 600, 3), whole[:, :5], atol=1e-6)
    assert np.abs(turning(one, 0, 600, 4) - whole).max() > 0.01


def test_sounding_partials_have_as_much_of_phase_as_of_amplitude() -> None:
    one = segment(lively(0.03))
    _, audio = render_segment(one, noise_edges_hz=(0.0, 20_000.0), sample_rate=16_000, seed=0, parts=("harmonic",),
                              skirts=True)
    time = np.arange(len(audio)) / 16_000
    low = butter(4, 150.0, fs=16_000, output="sos")
    for number in (1, 4, 9):
        analytic = 2 * sosfiltfilt(low, audio * np.exp(-2j * np.pi * 400.0 * number * time))[1_600:-1_600]
        swell, turn = np.log(np.abs(analytic))[::64, None], np.unwrap(np.angle(analytic))[::64, None]
        assert between(turn, 30, 90)[0] == pytest.approx(between(swell, 30, 90)[0], rel=0.4)  # one partial of 8 s
