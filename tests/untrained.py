"""Small untrained networks: what holds of every network is tested on these."""

from __future__ import annotations

import numpy as np
import torch

from mididdsp.instruments import INSTRUMENTS
from mididdsp.synthesis.analysis import NOISE_EDGES_HZ
from mididdsp.synthesis.autoencoder import Autoencoder, AutoencoderConfig, AutoencoderNetwork
from mididdsp.synthesis.frame_network import FrameNetwork, SynthesisConfig
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.synthesis.life import MODULATION_BANDS


def autoencoder(*, lookahead: bool = False, embedding: int = 0, seed: int = 0) -> Autoencoder:
    """Of violin and tuba, with random weights: its sounds are harmonic with noise below them."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = AutoencoderNetwork(
            AutoencoderConfig(
                instruments=("violin", "tuba"),
                width=12,
                blocks=1,
                embedding=embedding,
                body_points=10,
                lookahead=lookahead,
                dropout=0.0,
                noise_bands=len(NOISE_EDGES_HZ) - 1,
            )
        )
        assert network.body is not None
        torch.nn.init.normal_(network.body, std=0.3)
    for timbre in network.timbre:
        with torch.no_grad():
            timbre.exit.bias[-(len(NOISE_EDGES_HZ) - 1) :] -= 4.0  # 40 dB: noise lies below the partials
    return Autoencoder(
        network,
        NOISE_EDGES_HZ,
        np.array([[-50.0, -40.0, -30.0, -25.0, -15.0]] * 2),
        np.array([[55.0, 96.0, 74.0], [28.0, 60.0, 40.0]]),
    )


def synthesis(*, fall: float, life: float = 0.0) -> SynthesisGenerator:
    """Of all instruments; its partials fall by ``fall`` from knot to knot, as the network counts, above its noise, and
    its life is everywhere the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = FrameNetwork(SynthesisConfig(width=8, blocks=1, note_width=8, embedding=2, colour=2, dropout=0.0))
    with torch.no_grad():
        network.exit.bias[2 : 2 + len(KNOTS)] -= fall * torch.arange(len(KNOTS))
        network.exit.bias[2 + len(KNOTS) :] -= 4.0
    rms = np.full((2, len(INSTRUMENTS), 2 + len(KNOTS), MODULATION_BANDS), life, np.float32)
    return SynthesisGenerator(network, rms, NOISE_EDGES_HZ)


def line(frames: int, pitch: float = 72.0, level: float = -30.0) -> tuple[np.ndarray, np.ndarray]:
    """f0 in Hz and loudness in dB of a swelling note with vibrato."""
    time = np.arange(frames) / 250.0
    f0 = 440.0 * 2.0 ** ((pitch + 0.3 * np.sin(2 * np.pi * 6.0 * time) - 69.0) / 12.0)
    return f0.astype(np.float32), level + 8.0 * np.sin(2 * np.pi * 0.7 * time)
