"""The bench of the first paper's autoencoder: its sizes, what it is given, and that it learns from sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench import ddsp
from bench.roundtrip import Clip
from mididdsp.synthesis.conditions import measured_loudness
from mididdsp.training.resynthesis import SoundClip
from mididdsp.transfer import Heard

FRAMES = 400


def clip(item: str = "a", frames: int = FRAMES, f0_hz: float = 440.0) -> SoundClip:
    time_s = np.arange(frames * ddsp.HOP) / ddsp.RATE
    audio = (0.1 * np.sqrt(2.0) * np.sin(2 * np.pi * f0_hz * time_s)).astype(np.float32)
    level = measured_loudness(audio, ddsp.RATE)[:frames].astype(np.float32)
    return SoundClip(item=item, instrument="violin", audio=audio, f0_hz=np.full(frames, f0_hz, np.float32),
                     level_db=level, features=np.zeros((frames, 1), np.float32))


@pytest.mark.parametrize(("size", "least", "most"), [("tiny", 230_000, 290_000), ("full", 4_500_000, 7_000_000)])
def test_the_networks_have_the_papers_sizes(size: str, least: int, most: int) -> None:
    network = ddsp.Decoder(size, ["violin", "flute"])
    assert least < sum(value.numel() for name, value in network.named_parameters() if name != "room") < most


def test_controls_are_legal_and_nothing_sounds_above_half_the_rate() -> None:
    torch.manual_seed(0)
    f0 = torch.tensor([[400.0] * 20, [3000.0] * 20])
    peaks, noise = ddsp.Decoder("tiny", ["violin"]).controls(f0, torch.full((2, 20), -20.0), torch.tensor([0, 0]))
    assert peaks.shape == (2, 20, ddsp.PARTIALS)
    assert noise.shape == (2, 20, ddsp.BANDS)
    assert float(peaks.detach().min()) >= 0.0
    assert float(noise.detach().min()) > 0.0
    assert not peaks[0, :, 19:].detach().any()  # partial 20 of 400 Hz is at 8 kHz
    assert not peaks[1, :, 2:].detach().any()


def test_short_recordings_are_followed_by_silence_and_excerpts_are_functions_of_the_key() -> None:
    excerpts = ddsp.Excerpts([clip()], ["violin"])
    one, again, other = (excerpts.batch(2, key) for key in ("1", "1", "2"))
    assert all(torch.equal(a, b) for a, b in zip(one, again))
    audio, f0_hz, level_db, member = one
    frames = int(ddsp.EXCERPT_S * ddsp.RATE) // ddsp.HOP
    assert (audio.shape, f0_hz.shape, member.tolist()) == ((2, frames * ddsp.HOP), (2, frames + 1), [0, 0])
    assert not audio[:, FRAMES * ddsp.HOP :].any()
    assert bool((level_db[:, FRAMES:] == -100.0).all())
    assert audio[:, : FRAMES * ddsp.HOP].square().mean() == pytest.approx(0.01, rel=1e-3)  # -20 dB RMS
    longer = ddsp.Excerpts([clip(frames=900)], ["violin"])
    assert not torch.equal(longer.batch(2, "1")[0], longer.batch(2, "2")[0])
    assert other[0].shape == audio.shape


def test_a_room_rings_on_after_the_sound() -> None:
    torch.manual_seed(0)
    network = ddsp.Decoder("tiny", ["violin"], room=True)
    assert network.room is not None
    with torch.no_grad():
        network.room[:, 4_000] = 1.0
        network.out.weight.zero_()
        network.out.bias.zero_()
        network.room.requires_grad_(False)
        f0, level = torch.full((1, 201), 300.0), torch.full((1, 201), -30.0)
        wet = network(f0, level, torch.tensor([0]), samples=12_800, seed=0)
        network.room.zero_()
        dry = network(f0, level, torch.tensor([0]), samples=12_800, seed=0)
    # sample 0 is the sound itself, so tap n stands n + 1 samples later
    torch.testing.assert_close(wet[:, 4_001:] - dry[:, 4_001:], dry[:, :-4_001], rtol=0, atol=1e-3)


def test_it_learns_is_kept_and_plays_a_recording_at_its_level(tmp_path: Path) -> None:
    clips = {"train": [clip()], "valid": [clip("b")]}
    folder = ddsp.learn(clips, "tiny", tmp_path / "run", steps=20)
    network = ddsp.load(folder)
    assert network.instruments == ("violin",)
    batch = ddsp.Batch(excerpts=ddsp.Excerpts(clips["valid"], ["violin"]).batch(2, "v"), seed=0)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        assert ddsp.loss(network, batch)["loss"] < ddsp.loss(ddsp.Decoder("tiny", ["violin"]), batch)["loss"]
    one = clip()
    heard = Heard(f0_hz=one.f0_hz, voiced=np.ones(FRAMES, bool), loudness_db=one.level_db.astype(np.float64))
    loud = ddsp.made_again(network, Clip(name="a", instrument="violin", audio=one.audio), heard)
    softer = Heard(f0_hz=one.f0_hz, voiced=heard.voiced, loudness_db=heard.loudness_db - 12.0)
    quiet = ddsp.made_again(
        network, Clip(name="a", instrument="violin", audio=(one.audio * 10 ** (-12 / 20)).astype(np.float32)), softer)
    # a recording made softer is the same recording made again, softer
    np.testing.assert_allclose(quiet, loud * 10 ** (-12 / 20), atol=1e-5 * np.abs(loud).max())
