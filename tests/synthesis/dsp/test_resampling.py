"""Frames to samples: the original's grid, constants, straight lines, errors."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mididdsp.synthesis.dsp.resampling import resample

TOLERANCES = {
    "nearest": 0.0,
    "linear": 1e-5,  # the original computes positions in float32
    "window": 1e-5,
    "cubic": 2e-3,  # the original takes its weights from a table of 1024
}


def test_resampling_matches_the_original(golden) -> None:
    case = golden("resample")
    keys = [key for key in case if key.split("_")[0] in TOLERANCES]
    assert len(keys) > 20
    for key in keys:
        method, kind = key.split("_")[:2]
        n = int(re.search(r"_n(\d+)", key)[1])
        if kind == "4d":
            found = resample(case["x4d"], n, method, dim=1)
        elif kind == "1d":
            found = resample(case["x1d"], n, method, dim=0)
        elif kind == "2d":
            found = resample(case["x"][..., 0], n, method, dim=-1)
        else:
            found = resample(case["x"], n, method, endpoint=kind == "endpoint")
        assert float((found - case[key]).abs().max()) <= TOLERANCES[method], key


@given(frames=st.integers(2, 20), times=st.integers(2, 9), method=st.sampled_from(sorted(TOLERANCES)),
       endpoint=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_constant_stays_constant(frames: int, times: int, method: str, endpoint: bool) -> None:
    n = (frames if endpoint else frames - 1) * times
    x = torch.full((2, frames, 3), 0.7, dtype=torch.float64)
    # 1e-14: at most four weights that sum to 1 in float64.
    torch.testing.assert_close(resample(x, n, method, endpoint), x[:, :1].expand(2, n, 3), rtol=1e-14, atol=0.0)


@pytest.mark.parametrize("method", ["linear", "cubic", "window", "nearest"])
def test_frame_values_are_met_at_their_times(method: str) -> None:
    x = torch.randn(9, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(resample(x, 9 * 16, method)[::16], x, rtol=1e-12, atol=1e-12)


def test_a_straight_line_stays_straight() -> None:
    line = torch.linspace(0.0, 1.0, 11, dtype=torch.float64)
    found = resample(line, 101, "linear", endpoint=False, dim=0)
    torch.testing.assert_close(found, torch.linspace(0.0, 1.0, 101, dtype=torch.float64), rtol=0.0, atol=1e-15)


def test_window_refuses_what_does_not_divide() -> None:
    with pytest.raises(ValueError, match="larger multiple"):
        resample(torch.zeros(10, 1), 25, "window")
    with pytest.raises(ValueError, match="larger multiple"):
        resample(torch.zeros(10, 1), 10, "window")


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match='method is "spline"'):
        resample(torch.zeros(10, 1), 20, "spline")


@pytest.mark.parametrize("method", ["linear", "cubic", "window", "nearest"])
def test_gradients(method: str) -> None:
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda value: resample(value, 12, method), (x,))
