"""Streamed is offline, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
import untrained

from mididdsp.synthesis.autoencoder import segment_of
from mididdsp.synthesis.render import render_segment
from mididdsp.synthesis.streaming import LATENCY_FRAMES, AutoencoderStream
from mididdsp.synthesis.types import Segment


def rounding(segment: Segment) -> float:
    """Tables of another size are off by another 5e-6 of the sum of the amplitudes (see ``dsp.period_tables``)."""
    return 1e-5 * float(10.0 ** (segment.amplitude_db.max() / 20.0))


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize("blocks", [(5,), (1,), (2, 7, 1, 30)])
def test_streamed_is_offline(rate: int, blocks: tuple[int, ...]) -> None:
    model = untrained.autoencoder()
    f0, loudness = untrained.line(203, pitch=92.0)  # high: at 16 kHz partials come and go at Nyquist
    f0[100:] *= 1.06
    segment = segment_of(model.timbre("violin", f0, loudness), f0, start_s=0.0, name="live")
    _, offline = render_segment(segment, noise_edges_hz=model.noise_edges_hz, sample_rate=rate, seed=3)
    stream = AutoencoderStream(model, "violin", sample_rate=rate, seed=3, name="live")
    pieces, first, turn = [], 0, 0
    while first < len(f0):
        last = first + blocks[turn % len(blocks)]
        pieces.append(stream.play(f0[first:last], loudness[first:last]))
        # all that could sound has sounded
        assert sum(map(len, pieces)) == max(0, min(last, len(f0)) - LATENCY_FRAMES) * rate // 250
        first, turn = last, turn + 1
    streamed = np.concatenate([*pieces, stream.end()])
    np.testing.assert_allclose(streamed, offline, rtol=0, atol=rounding(segment))


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_shortest_sounds_stream_too(frames: int) -> None:
    model = untrained.autoencoder()
    f0, loudness = untrained.line(frames)
    segment = segment_of(model.timbre("tuba", f0, loudness), f0, start_s=0.0, name="0")
    _, offline = render_segment(segment, noise_edges_hz=model.noise_edges_hz, sample_rate=48_000, seed=0)
    stream = AutoencoderStream(model, "tuba")
    streamed = np.concatenate([stream.play(f0, loudness), stream.end()])
    np.testing.assert_allclose(streamed, offline, rtol=0, atol=rounding(segment))


def test_nothing_in_is_nothing_out() -> None:
    assert len(AutoencoderStream(untrained.autoencoder(), "violin").end()) == 0


def test_what_cannot_stream_says_so() -> None:
    for model in (untrained.autoencoder(lookahead=True), untrained.autoencoder(embedding=4)):
        with pytest.raises(ValueError, match="use the tiny one"):
            AutoencoderStream(model, "violin")
    with pytest.raises(ValueError, match="44100 Hz has no whole number"):
        AutoencoderStream(untrained.autoencoder(), "violin", sample_rate=44_100)
    stream = AutoencoderStream(untrained.autoencoder(), "violin")
    for f0 in ([], [440.0, 0.0], [440.0]):
        with pytest.raises(ValueError, match="with f0 above 0"):
            stream.play(np.array(f0), np.array([-30.0, -30.0]))
