"""The bench of learned inference: how pitches are compared, and what the blind network can say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench import inference


def test_pitches_are_compared_with_and_without_their_octave() -> None:
    tracked = np.log2(np.array([440.0] * 6 + [660.0] * 4))
    # cents off: near, near, far, an octave, an octave and far; the rest right
    off = np.array([0.0, 40.0, 70.0, 1200.0, 1270.0, 0.0, 0.0, 0.0, 0.0, 0.0]) / 1200.0
    found, folded, single = inference.pitch_errors(tracked, tracked + off)
    assert (found, folded, single) == (pytest.approx(0.7), pytest.approx(0.8), pytest.approx(0.6))


def test_the_blind_network_stays_in_its_range_and_learns_from_the_sound_alone() -> None:
    torch.manual_seed(0)
    network, blind = inference.Inference(1), inference.Pitch()
    time = torch.arange(20 * inference.HOP) / inference.RATE
    audio = 0.1 * torch.sin(2 * torch.pi * 330.0 * time)[None]
    hz = blind(inference.fine_mel_of(audio)[:, :20])
    lowest, highest = (440.0 * 2.0 ** ((midi - 69.0) / 12.0) for midi in (inference.LOWEST, inference.HIGHEST))
    assert hz.shape == (1, 20)
    assert lowest <= float(hz.detach().min()) <= float(hz.detach().max()) <= highest
    made = network.sound(inference.mel_of(audio[0].numpy())[None, :20], hz, torch.tensor([0]), 1, audio.shape[1])
    made.square().mean().backward()
    assert float(blind.out.weight.grad.abs().max()) > 0.0
