"""CREPE by our own decoding: steady, repeatable, and right about a plain tone."""

from __future__ import annotations

import numpy as np
import pytest

from mididdsp.synthesis.analysis import ANALYSIS_RATE
from mididdsp.synthesis.crepe import track_with_crepe

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def tone() -> np.ndarray:
    time = np.arange(int(0.6 * ANALYSIS_RATE)) / ANALYSIS_RATE
    cents = 30.0 * np.sin(2 * np.pi * 5.0 * time)
    cycles = np.cumsum(330.0 * 2 ** (cents / 1200)) / ANALYSIS_RATE
    return 0.1 * sum(np.sin(2 * np.pi * k * cycles) / k for k in range(1, 7))


def test_the_fundamental_is_within_cents(tone: np.ndarray) -> None:
    found = track_with_crepe(tone, model="tiny")
    inside = slice(15, -15)
    wanted = 330.0 * 2 ** (30.0 * np.sin(2 * np.pi * 5.0 * np.arange(len(found.f0_hz)) / 250) / 1200)
    assert found.voiced[inside].all()
    # CREPE's bins are 20 cents wide; the phases know better
    assert np.abs(1200 * np.log2(found.f0_hz[inside] / wanted[inside])).max() < 4.0


def test_the_same_audio_gives_the_same_contour(tone: np.ndarray) -> None:
    first, second = (track_with_crepe(tone[:12_000], model="tiny") for _ in range(2))
    np.testing.assert_array_equal(first.f0_hz, second.f0_hz)
