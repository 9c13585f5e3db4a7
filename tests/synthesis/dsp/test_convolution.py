"""Convolution by FFT: the original's numbers, and NumPy's direct convolution as witness."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mididdsp.synthesis.dsp.convolution import fft_convolve, fft_size


def test_convolution_matches_the_original(golden) -> None:
    case = golden("fft_convolve")
    keys = [key for key in case if key.split("_")[-1].startswith("dc")]
    assert len(keys) >= 14
    for key in keys:
        kind, compensation = key.split("_")[0], key.split("_")[-1][2:]
        response = case[{"static": "ir_static", "frames": "ir_frames", "frames7": "ir_frames7"}[kind]]
        if "broadcast" in key:
            response = response[:1]
        found = fft_convolve(case["audio"], response, "valid" if "valid" in key else "same",
                             -1 if compensation == "auto" else int(compensation))
        # 1e-5 of the largest: float32 FFTs.
        torch.testing.assert_close(found, case[key], rtol=0.0, atol=1e-5 * float(case[key].abs().max()))


def test_fft_size_matches_the_original(golden) -> None:
    case = golden("fft_convolve")
    for frame, taps in ((143, 33), (1000, 101), (64, 65)):
        assert fft_size(frame, taps) == int(case[f"fft_size_{frame}_{taps}"])


@given(samples=st.integers(1, 90), taps=st.integers(1, 40), compensation=st.integers(-1, 60),
       padding=st.sampled_from(["same", "valid"]))
@settings(max_examples=80, deadline=None)
def test_one_response_is_plain_convolution(samples: int, taps: int, compensation: int, padding: str) -> None:
    rng = np.random.default_rng(samples * 100 + taps)
    audio, response = rng.standard_normal(samples), rng.standard_normal(taps)
    wanted_size = samples if padding == "same" else samples + taps - 1
    start = (taps - 1) // 2 - 1 if compensation < 0 else compensation
    full = np.pad(np.convolve(audio, response), (max(0, -start), 200))
    found = fft_convolve(torch.from_numpy(audio), torch.from_numpy(response), padding, compensation)
    np.testing.assert_allclose(found.numpy(), full[max(start, 0):][:wanted_size], atol=1e-12)  # float64 FFTs


def test_each_frame_filters_its_own_stretch() -> None:
    audio = torch.zeros(40, dtype=torch.float64)
    audio[5], audio[25] = 1.0, 1.0
    response = torch.tensor([[1.0, 0.0, 0.5], [0.0, 2.0, 0.0]], dtype=torch.float64)
    found = fft_convolve(audio, response, delay_compensation=0)
    wanted = torch.zeros(40, dtype=torch.float64)
    wanted[5], wanted[7], wanted[26] = 1.0, 0.5, 2.0
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=1e-12)


def test_frames_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="would leave some empty"):
        fft_convolve(torch.zeros(100), torch.zeros(30, 5))


def test_gradients() -> None:
    audio = torch.randn(2, 12, dtype=torch.float64, requires_grad=True)
    response = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(fft_convolve, (audio, response))
