"""What every autoencoder keeps, trained or not: the loudness and the fundamental that were asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import untrained

from mididdsp.checkpoints import MODEL_FILE, load_checkpoint, resolve, shipped
from mididdsp.synthesis.autoencoder import (
    COLOUR_HZ,
    Autoencoder,
    AutoencoderConfig,
    AutoencoderNetwork,
    Colour,
    stretches,
)
from mididdsp.synthesis.conditions import QUIET_DB, condition_features, measured_loudness
from mididdsp.synthesis.knots import KNOTS
from mididdsp.synthesis.render import render_stream


def dry(params, rate: int = 48_000) -> np.ndarray:
    return np.concatenate(list(render_stream(params, noise_edges_hz=params.noise_edges_hz, sample_rate=rate, seed=0)))


@pytest.mark.parametrize("lookahead", [False, True])
@pytest.mark.parametrize("octaves", [-1, 0, 1])
def test_the_sound_has_the_loudness_that_was_asked(lookahead: bool, octaves: int) -> None:
    model = untrained.autoencoder(lookahead=lookahead, embedding=4 if lookahead else 0)
    f0, loudness = untrained.line(500)
    params = model.params("violin", f0 * 2.0**octaves, loudness)
    heard = measured_loudness(dry(params), 48_000)[: len(loudness)]
    # beats of partials and noise move single frames; the mean over a quarter of a second does not
    error = np.convolve(heard - loudness, np.ones(62) / 62, mode="valid")
    assert np.abs(error).max() < 0.4


def test_louder_is_the_same_fundamental_to_the_bit() -> None:
    model = untrained.autoencoder()
    f0, loudness = untrained.line(100)
    one, other = (model.params("tuba", f0, loudness + gain).segments[0] for gain in (0.0, 6.0))
    assert np.array_equal(one.f0_hz, other.f0_hz)
    assert np.array_equal(one.f0_hz, f0)


def test_instruments_share_a_network_or_have_their_own() -> None:
    f0, loudness = untrained.line(40)
    for embedding in (0, 4):
        model = untrained.autoencoder(embedding=embedding)
        features = torch.from_numpy(condition_features(f0, loudness, lookahead=False))
        mixed = model.network(features.repeat(2, 1), torch.arange(2).repeat_interleave(40))
        for member in range(2):
            alone = model.network.of_one(features, member)
            torch.testing.assert_close(mixed[40 * member : 40 * member + 40], alone, rtol=0, atol=1e-5)
        assert not torch.allclose(mixed[:40], mixed[40:])


def test_a_body_belongs_to_frequencies_not_to_partials() -> None:
    model = untrained.autoencoder()
    body = model.network.body
    assert body is not None
    low = condition_features(np.full(1, 200.0), np.full(1, -30.0), lookahead=False)
    high = condition_features(np.full(1, 400.0), np.full(1, -30.0), lookahead=False)
    one, other = (model.network._body(body, torch.from_numpy(x), torch.tensor([0])) for x in (low, high))
    # partial 2 of 200 Hz and partial 1 of 400 Hz are the same frequency
    torch.testing.assert_close(one[0, 1], other[0, 0], rtol=0, atol=1e-3)
    assert not one[0, len(KNOTS) :].any()


def test_a_colour_changes_the_timbre_and_not_the_loudness() -> None:
    model = untrained.autoencoder(lookahead=True)
    f0, loudness = untrained.line(300)
    dark = Colour(partials_db=-6.0 * np.log2(COLOUR_HZ / 40.0), noise_db=np.zeros(40))
    plain, dull = (model.params("violin", f0, loudness, colour=colour) for colour in (None, dark))
    number = np.arange(1, plain.segments[0].harmonics.shape[1] + 1)
    centre = [float((params.segments[0].harmonics * number).sum(1).mean()) for params in (plain, dull)]
    assert centre[1] < 0.8 * centre[0]
    levels = [measured_loudness(dry(params), 48_000)[50:250].mean() for params in (plain, dull)]
    assert abs(levels[0] - levels[1]) < 0.3


def test_silences_part_segments_and_cost_nothing() -> None:
    loudness = np.full(600, QUIET_DB)
    loudness[100:200] = loudness[400:500] = -30.0
    assert list(stretches(loudness)) == [(92, 208), (392, 508)]
    params = untrained.autoencoder().params("violin", np.full(600, 300.0), loudness)
    assert [segment.start_s for segment in params.segments] == [92 / 250, 392 / 250]
    assert list(stretches(np.full(10, QUIET_DB))) == []


def test_an_unknown_instrument_and_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="knows no 'flute'; it knows violin, tuba"):
        untrained.autoencoder().params("flute", *untrained.line(10))
    with pytest.raises(ValueError, match="instruments holds"):
        AutoencoderConfig(
            instruments=("kazoo",),
            width=4,
            blocks=1,
            embedding=0,
            body_points=0,
            lookahead=False,
            dropout=0.0,
            noise_bands=40,
        )


@pytest.mark.parametrize(("name", "most"), [("autoencoder-tiny", 5_000), ("autoencoder", 250_000)])
def test_shipped_sizes_are_what_they_promise(name: str, most: int) -> None:
    if not (shipped("autoencoder").parent / name / MODEL_FILE).exists():
        pytest.skip(f"the package has no {name}")
    checkpoint = load_checkpoint(resolve(name), level="autoencoder")
    network: AutoencoderNetwork = Autoencoder.from_checkpoint(checkpoint.tensors, checkpoint.card).network
    each = 1 if network.config.embedding else len(network.config.instruments)
    assert sum(value.numel() for value in network.parameters()) / each <= most


def test_a_checkpoint_brings_the_same_sound_back() -> None:
    model = untrained.autoencoder(embedding=4, lookahead=True)
    tensors, card = model.to_checkpoint()
    again = Autoencoder.from_checkpoint(tensors, {"model": card})
    f0, loudness = untrained.line(60)
    one, other = (which.params("tuba", f0, loudness).segments[0] for which in (model, again))
    assert np.array_equal(one.harmonics, other.harmonics)
    assert again.instruments == ("violin", "tuba")
