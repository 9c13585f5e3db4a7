"""Harmonic and free sinusoids: the original's numbers, and that nothing is lost on the way."""

from __future__ import annotations

import torch

from mididdsp.synthesis.dsp.sinusoids import harmonic_to_sinusoidal, sinusoidal_to_harmonic


def close(found: torch.Tensor, wanted: torch.Tensor, relative: float = 1e-4) -> None:
    # 1e-4 of the largest: exponentials of squares in float32
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=relative * float(wanted.abs().max()))


def test_both_ways_match_the_original(golden) -> None:
    case = golden("harmonic_sinusoidal")
    f0 = case["f0_hz"][..., 0]
    amplitudes, frequencies = harmonic_to_sinusoidal(case["harm_amp"][..., 0], case["harm_dist"], f0)
    close(amplitudes, case["to_sin_amps"])
    close(frequencies, case["to_sin_freqs"])
    amplitude, harmonics = sinusoidal_to_harmonic(case["sin_amps"], case["sin_freqs"], f0)
    close(amplitude, case["to_harm_amp"][..., 0])
    close(harmonics, case["to_harm_dist"])
    amplitude, harmonics = sinusoidal_to_harmonic(
        case["sin_amps"], case["sin_freqs"], f0, width=0.3, partials=40, normalize=True
    )
    close(amplitude, case["to_harm_amp_w03_n40_norm"][..., 0])
    close(harmonics, case["to_harm_dist_w03_n40_norm"])
    amplitude, harmonics = sinusoidal_to_harmonic(case["to_sin_amps"], case["to_sin_freqs"], f0, partials=60)
    close(amplitude, case["roundtrip_amp"][..., 0])
    close(harmonics, case["roundtrip_dist"])


def test_a_harmonic_sound_comes_back() -> None:
    f0 = torch.tensor([200.0, 330.0])
    harmonics = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    amplitudes, frequencies = harmonic_to_sinusoidal(torch.tensor([0.7, 0.1]), harmonics, f0)
    amplitude, found = sinusoidal_to_harmonic(amplitudes, frequencies, f0, partials=3)
    # neighbours are ten widths away: exp(-100) is nothing
    close(amplitude, torch.tensor([0.7, 0.1]), 1e-6)
    close(found, harmonics, 1e-6)


def test_gradients() -> None:
    f0 = torch.tensor([200.0, 330.0], dtype=torch.float64, requires_grad=True)
    amplitudes = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    # near the partials, where there is a slope
    places = f0.detach().unsqueeze(-1) * torch.tensor([1.02, 2.01, 2.95], dtype=torch.float64)

    def there_and_back(f0: torch.Tensor, amplitudes: torch.Tensor) -> torch.Tensor:
        total, shares = sinusoidal_to_harmonic(amplitudes, places, f0, width=0.3, partials=4, normalize=True)
        back, _ = harmonic_to_sinusoidal(total, shares, f0)
        return back

    assert torch.autograd.gradcheck(there_and_back, (f0, amplitudes))
