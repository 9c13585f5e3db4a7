"""The bench of the autoencoder: what each part of its parameters costs."""

from __future__ import annotations

import numpy as np
import untrained

from bench.autoencoder import parts
from bench.roundtrip import RATE, Clip


def test_what_is_measured_in_the_recording_is_nearer_than_what_an_untrained_network_says() -> None:
    time_s = np.arange(int(1.5 * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * 330.0 * k * time_s) / k for k in range(1, 12))
    audio = (0.1 * tone * np.minimum(1.0, 10.0 * np.minimum(time_s, 1.5 - time_s))).astype(np.float32)
    audio += 1e-3 * np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32)
    noise = 0.1 * np.random.default_rng(1).standard_normal(len(audio)).astype(np.float32)  # no pitch: left out
    found = parts(iter([Clip(name="tone", instrument="violin", audio=audio),
                        Clip(name="noise", instrument="violin", audio=noise)]),
                  untrained.autoencoder(lookahead=True, embedding=4))
    both, said = found["both as measured"], found["as the autoencoder says"]
    assert both < min(found["partials as measured"], found["noise as measured"]) < said
    # a tone that stands still has no error that moves
    assert found["constant error of the partials put right"] < said
    assert abs(found["error slower than 0.1 s put right"] - found["partials as measured"]) < 0.5
