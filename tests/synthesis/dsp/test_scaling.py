"""Raw output to legal parameters: the original's numbers, and what the scales promise."""

from __future__ import annotations

import pytest
import torch

from mididdsp.synthesis.dsp.conversions import hz_to_erb
from mididdsp.synthesis.dsp.noise import noise_controls
from mididdsp.synthesis.dsp.scaling import (
    exp_sigmoid,
    frequencies_critical_bands,
    frequencies_sigmoid,
    frequencies_softmax,
    log_scale,
    safe_divide,
    safe_log,
    soft_limit,
    sym_exp_sigmoid,
)

POINTWISE = 2e-6  # relative; the originals are float32, each value a handful of roundings


def close(found: torch.Tensor, wanted: torch.Tensor, relative: float) -> None:
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=relative * float(wanted.abs().max()))


def test_scales_match_the_original(golden) -> None:
    case = golden("exp_sigmoid")
    x = case["x"]
    close(exp_sigmoid(x), case["y_default"], POINTWISE)
    close(exp_sigmoid(x, exponent=4.0, max_value=1.0, threshold=1e-3), case["y_exp4_max1_thr1e3"], POINTWISE)
    close(sym_exp_sigmoid(x), case["y_sym"], POINTWISE)
    close(noise_controls(x), case["y_minus5bias"], POINTWISE)
    close(soft_limit(x), case["y_soft_limit_0_1"], POINTWISE)
    # The file's inputs run over -12..12; these two were given them on their own ranges.
    close(soft_limit(1000.0 * x, 20.0, 8_000.0), case["y_soft_limit_20_8000"], POINTWISE)
    close(log_scale((x / 12.0).clamp(-1.0, 1.0), 20.0, 8_000.0), case["y_log_scale_20_8000"], POINTWISE)


def test_frequency_scales_match_the_original(golden) -> None:
    case = golden("frequency_scaling")
    chain = 1e-4  # relative; an exponential of a float32 logarithm
    close(frequencies_softmax(case["net_out"], 3), case["softmax_depth3"], chain)
    close(frequencies_softmax(case["softmax_depth64_in"], 64), case["softmax_depth64"], chain)
    close(frequencies_sigmoid(case["net_out"], 1), case["sigmoid_depth1"], chain)
    close(frequencies_sigmoid(case["net_out"], 3), case["sigmoid_depth3"], chain)
    close(frequencies_critical_bands(case["net_out"]), case["critical_bands_bark_depth1"], chain)
    close(frequencies_critical_bands(case["net_out"], 3, scale="mel"), case["critical_bands_mel_depth3"], chain)


def test_critical_bands_keep_each_frequency_near_its_place() -> None:
    places = frequencies_critical_bands(torch.zeros(1, 12))
    far = frequencies_critical_bands(torch.full((1, 12), 50.0))
    bands = hz_to_erb(places - 20.0)  # the soft limit has raised them by its lower end
    inside = slice(2, 10)  # not bent by the limits
    close((far - places)[:, inside], bands[:, inside], 1e-3)
    with pytest.raises(ValueError, match="use"):
        frequencies_critical_bands(torch.zeros(1, 4), scale="erb")


def test_guards_match_the_original(golden) -> None:
    case = golden("unit_conversions")
    close(safe_log(case["safe_log_in"]), case["safe_log"], 1e-5)
    close(safe_divide(case["safe_divide_num"], case["safe_divide_den"]), case["safe_divide"], 1e-5)


def test_exp_sigmoid_at_zero_is_the_known_number() -> None:
    assert float(exp_sigmoid(torch.tensor(0.0))) == pytest.approx(2.0 * 0.5**2.302585 + 1e-7, rel=1e-6)


def test_safe_log_has_a_finite_gradient_where_it_guards() -> None:
    x = torch.tensor([0.0, -1.0, 1e-7], requires_grad=True)
    safe_log(x).sum().backward()
    assert x.grad is not None
    assert x.grad[:2].tolist() == [0.0, 0.0]
    assert float(x.grad[2]) == pytest.approx(1e7, rel=1e-6)


@pytest.mark.parametrize("function", [exp_sigmoid, sym_exp_sigmoid, soft_limit, frequencies_softmax])
def test_gradients(function) -> None:
    x = torch.linspace(-3.0, 3.1, 12, dtype=torch.float64, requires_grad=True)
    arguments = (3,) if function is frequencies_softmax else ()
    assert torch.autograd.gradcheck(lambda value: function(value, *arguments), (x,))
