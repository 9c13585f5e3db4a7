"""The autoencoder of the first DDSP paper on the recordings that ours learns from: the comparison that players decide.

    python -m bench.ddsp --data DATA --out FOLDER --size tiny|full --minutes 40     # train; a stopped run goes on
    python -m bench.ddsp --data DATA --compare FOLDER [FOLDER] [--ours CHECKPOINT] [--split test] [--each 1]

Published systems were trained on players whom ours never heard, and ours on players whom they never heard. So their
network is trained here from the recordings that ours learns from, and both are measured on the same held-out phrases,
by the measure of ``bench.autoencoder``. Nothing of our own network is in it; only oscillator, noise and convolution
are the production ones, which agree with the papers'.

* full: a stack of three layers of 512 for the fundamental and one for the loudness, a GRU of 512, another stack.
* tiny: fundamental and loudness straight into a GRU of 256, no stacks.
* both: 60 partials, 65 noise bands of equal width; the instrument joins the GRU's input as an embedding of 16, as
  MIDI-DDSP has it. With ``--room`` a learned room as well (0.5 s for each instrument; theirs 3 s for one): on phrases
  that end in silence it cost more than it gave, and is off.

Excerpts are 2 s long (theirs 4 s) and eight seconds make a step (theirs 128 s): what two cores can do. The loss is
theirs. Recordings are given at -20 dB RMS in training and in the measure, so that levels always agree.

Source: Engel et al. 2020 (DDSP, ``solo_instrument`` and ``tiny`` of its library); Hayes et al. 2021 for the sizes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.autoencoder import analysed, losses, own_clips, parameters, resynthesis, shipped
from bench.roundtrip import RATE, Clip, to_minus_20
from mididdsp.audio_stream import recording_of
from mididdsp.data.recordings import philharmonia
from mididdsp.instruments import INSTRUMENTS
from mididdsp.random import keyed_generator
from mididdsp.synthesis.dsp.convolution import fft_convolve
from mididdsp.synthesis.dsp.noise import noise_blocks, random_spectra, shaped_noise
from mididdsp.synthesis.dsp.period_tables import harmonic_tone
from mididdsp.synthesis.dsp.scaling import exp_sigmoid
from mididdsp.synthesis.losses import MIDI_DDSP_WEIGHTS, spectral_loss
from mididdsp.training.loop import LoopSettings, train
from mididdsp.training.resynthesis import SoundClip, sound_clip
from mididdsp.transfer import Heard, TransferError, listen, load_autoencoder

Float32 = NDArray[np.float32]

SIZES = {"tiny": (0, 256), "full": (3, 512)}
"""Layers of a stack, and width."""

KEPT = "decoder.pt"
HOP = 64
PARTIALS, BANDS = 60, 65
EDGES_HZ = tuple(float(edge) for edge in np.linspace(0.0, RATE / 2, BANDS + 1))
NOISE_BIAS = -5.0
NOISE_RMS = float(np.sqrt(1.0 / 3.0 / BANDS))
"""RMS that the paper's noise, uniform from -1 to 1, has in one band."""

ROOM = 8_000
EMBEDDING = 16
EXCERPT_S, EXCERPTS = 2.0, 4
VALID_EXCERPTS = 16
_NO_LINE = ("trill", "tremolo", "glissando", "pizz")


def stack(inputs: int, width: int, layers: int) -> nn.Sequential:
    """The paper's fully connected stack: linear, layer norm, leaky ReLU."""
    parts: list[nn.Module] = []
    for layer in range(layers):
        parts += [nn.Linear(width if layer else inputs, width), nn.LayerNorm(width), nn.LeakyReLU()]
    return nn.Sequential(*parts)


class Decoder(nn.Module):
    """The paper's decoder with a room: fundamental, loudness and instrument → sound.

    Args:
        size: of ``SIZES``.
        instruments: names, in the order of the embedding.
        room: a room is learned too.
    """

    def __init__(self, size: str, instruments: Sequence[str], *, room: bool = False) -> None:
        super().__init__()
        layers, width = SIZES[size]
        self.size, self.instruments = size, tuple(instruments)
        self.pitch, self.level = stack(1, width, layers), stack(1, width, layers)
        told = 2 * (width if layers else 1)
        self.instrument = nn.Embedding(len(instruments), EMBEDDING)
        self.recurrent = nn.GRU(told + EMBEDDING, width, batch_first=True)
        self.after = stack(width + told, width, layers)
        self.out = nn.Linear(width if layers else width + told, 1 + PARTIALS + BANDS)
        self.room = nn.Parameter(1e-6 * torch.randn(len(instruments), ROOM)) if room else None

    def controls(self, f0_hz: Tensor, level_db: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """Peaks of the partials [B, T, 60] and RMS of the noise bands [B, T, 65] from [B, T], [B, T], [B]."""
        pitch = (69.0 + 12.0 * torch.log2(f0_hz / 440.0)) / 127.0
        told = torch.cat([self.pitch(pitch[..., None]), self.level(level_db[..., None] / 80.0 + 1.0)], -1)
        which = self.instrument(member)[:, None].expand(-1, told.shape[1], -1)
        raw = self.out(self.after(torch.cat([self.recurrent(torch.cat([told, which], -1))[0], told], -1)))
        number = torch.arange(1, PARTIALS + 1)
        share = exp_sigmoid(raw[..., 1 : 1 + PARTIALS]) * (f0_hz[..., None] * number < RATE / 2)
        share = share / share.sum(-1, keepdim=True).clamp_min(1e-7)
        noise = exp_sigmoid(raw[..., 1 + PARTIALS :] + NOISE_BIAS) * NOISE_RMS
        return share * exp_sigmoid(raw[..., :1]), noise

    def forward(self, f0_hz: Tensor, level_db: Tensor, member: Tensor, *, samples: int, seed: int) -> Tensor:
        """Sound at 16 kHz; [B, samples]."""
        peaks, noise = self.controls(f0_hz, level_db, member)
        spectra = torch.stack([random_spectra(keyed_generator(seed, "ddsp noise", str(row)),
                                              noise_blocks(samples, RATE), RATE) for row in range(len(f0_hz))])
        dry = harmonic_tone(f0_hz, peaks, sample_rate=RATE)[..., :samples]
        dry = dry + shaped_noise(noise, spectra, samples=samples, edges_hz=EDGES_HZ, sample_rate=RATE)
        if self.room is None:
            return dry
        wet = fft_convolve(dry, nn.functional.pad(self.room[member], (1, 0)), delay_compensation=0)
        return dry + wet[..., :samples]


class Excerpts:
    """Two seconds of recordings at a time, shorter ones with silence after them; batches are functions of the key.

    Single notes are left out: of a loss in logarithms their silences take most.
    """

    def __init__(self, clips: Sequence[SoundClip], instruments: Sequence[str]) -> None:
        self.clips, self.instruments = tuple(clips), tuple(instruments)
        length = np.array([len(clip.f0_hz) for clip in clips], np.float64)
        self.share = length / length.sum()

    def batch(self, size: int, *key: str) -> tuple[Tensor, ...]:
        """(audio [B, N], f0 [B, T + 1], level [B, T + 1], instruments [B])."""
        random = keyed_generator(0, "ddsp excerpts", *key)
        frames = int(EXCERPT_S * RATE) // HOP
        rows, members = [], []
        for index in random.choice(len(self.clips), size, p=self.share):
            clip = self.clips[index]
            first = int(random.integers(0, max(1, len(clip.f0_hz) - frames)))
            short = max(0, first + frames + 1 - len(clip.f0_hz))
            audio = clip.audio[first * HOP : (first + frames) * HOP]
            rows.append((np.pad(audio, (0, frames * HOP - len(audio))),
                         np.pad(clip.f0_hz[first : first + frames + 1], (0, short), mode="edge"),
                         np.pad(clip.level_db[first : first + frames + 1], (0, short), constant_values=-100.0)))
            members.append(self.instruments.index(clip.instrument))
        return (*(torch.from_numpy(np.stack(column)) for column in zip(*rows)), torch.tensor(members))


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Excerpts and the seed of the noise."""

    excerpts: tuple[Tensor, ...]
    seed: int


def loss(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """The papers' multi-scale spectral loss."""
    audio, f0_hz, level_db, member = batch.excerpts
    made = model(f0_hz, level_db, member, samples=audio.shape[1], seed=batch.seed)
    return {"loss": spectral_loss(audio, made, MIDI_DDSP_WEIGHTS)}


def clips_to_learn(data: Path, split: str) -> list[SoundClip]:
    """The phrases that our autoencoder learns from by ear.

    The movements of Bach, which it has beside them, are left out: in another room than the notes of the same
    instrument, they give the violin a room that rings on where a phrase is silent.
    """
    chosen = [one for one in philharmonia(data)
              if one.kind == "phrase" and one.split == split and not any(word in one.style for word in _NO_LINE)]
    return [clip for one in chosen
            for clip in sound_clip(one.path, one.instrument, median_db=0.0, lookahead=False, item=one.item)]


def learn(clips: dict[str, list[SoundClip]], size: str, out: Path, *, minutes: float | None = None,
          steps: int | None = None, room: bool = False, seed: int = 0) -> Path:
    """Train a decoder for so many minutes or steps and keep the best in validation; its file."""
    names = [name for name in INSTRUMENTS if any(clip.instrument == name for clip in clips["train"])]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Decoder(size, names, room=room)
    learned, held_out = Excerpts(clips["train"], names), Excerpts(clips["valid"], names)
    fixed = Batch(excerpts=held_out.batch(VALID_EXCERPTS, "valid"), seed=0)
    settings = LoopSettings(minutes=minutes, steps=steps, seed=seed, learning_rate=1e-3, clip_norm=3.0,
                            weight_decay=0.0, ema=0.999, final_rate=0.02, validate_every=200, keep="best")
    result = train(network, lambda step: Batch(excerpts=learned.batch(EXCERPTS, str(step)), seed=step + 1), loss,
                   settings, out, recipe={"size": size, "room": room, "seed": seed},
                   validate=lambda model: {name: float(value) for name, value in loss(model, fixed).items()})
    torch.save({"size": size, "instruments": names, "room": room, "steps": result.step, "kept_step": result.valid_step,
                "minutes": result.seconds / 60.0, "weights": network.state_dict()}, out / KEPT)
    return out / KEPT


def load(path: Path) -> Decoder:
    """A decoder that ``learn`` wrote."""
    found = torch.load(path, weights_only=True)
    network = Decoder(found["size"], found["instruments"], room=found["room"])
    network.load_state_dict(found["weights"])
    print(f"{path.parent.name}: the best in validation, step {found['kept_step']} of {found['steps']} in "
          f"{found['minutes']:.0f} minutes")
    return network.eval()


def made_again(network: Decoder, clip: Clip, heard: Heard) -> Float32:
    """What the decoder makes of a recording's fundamental and loudness, at the recording's level."""
    gain = to_minus_20(clip.audio)
    level = np.maximum(heard.loudness_db + 20.0 * np.log10(gain), -100.0).astype(np.float32)
    count = len(clip.audio) // HOP + 1
    f0_hz, level = (np.pad(values[:count], (0, max(0, count - len(values))), mode="edge").astype(np.float32)
                    for values in (heard.f0_hz, level))
    with torch.inference_mode():
        sound: Tensor = network(torch.from_numpy(f0_hz[None]), torch.from_numpy(level[None]),
                                torch.tensor([network.instruments.index(clip.instrument)]),
                                samples=len(clip.audio), seed=1)
    return np.asarray(sound[0].numpy() / np.float32(gain), np.float32)


def main() -> None:
    """Train one, or compare those trained with ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with split.csv and philharmonia/")
    parser.add_argument("--out", type=Path, help="folder of a run to train")
    parser.add_argument("--size", choices=sorted(SIZES), default="tiny")
    parser.add_argument("--room", action="store_true", help="learn a room too")
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--compare", type=Path, nargs="+", help="folders of trained runs")
    parser.add_argument("--ours", type=Path, nargs="+", default=(), help="checkpoints of ours beside the shipped ones")
    parser.add_argument("--split", choices=("valid", "test"), default="test")
    parser.add_argument("--each", type=int, default=1, help="held-out phrases of each instrument")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.out is not None:
        clips = {split: clips_to_learn(arguments.data, split) for split in ("train", "valid")}
        learn(clips, arguments.size, arguments.out, minutes=arguments.minutes, room=arguments.room)
    if arguments.compare is None:
        return
    rivals = [load(folder / KEPT) for folder in arguments.compare]
    ours = shipped() | {str(folder): load_autoencoder(folder) for folder in arguments.ours}
    heads = ["analysed", *(f"DDSP-{one.size}" for one in rivals), *ours]
    for one in rivals:
        network = sum(value.numel() for name, value in one.named_parameters() if name != "room")
        print(f"DDSP-{one.size}{' and a room' if one.room is not None else ''}: {network:,} parameters")
    for name, autoencoder in ours.items():
        print(f"{name}: {parameters(autoencoder):,} parameters")
    print(f"\n| {arguments.split} | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    table = []
    for clip in own_clips(arguments.data, arguments.split, arguments.each):
        clip = replace(clip, audio=clip.audio.astype(np.float32))
        try:
            heard = listen(recording_of(clip.audio, RATE, name=clip.name))
        except TransferError:
            continue
        made = [analysed(clip, heard), *(made_again(one, clip, heard) for one in rivals),
                *(resynthesis(one, clip, heard) for one in ours.values())]
        table.append(losses(clip, made))
        print(f"| {clip.name[:44]} | {' | '.join(f'{value:.2f}' for value in table[-1])} |", flush=True)
    means = np.mean(table, axis=0)
    print(f"| mean of {len(table)} | {' | '.join(f'{value:.2f}' for value in means)} |")
    print(f"| mean over analysed | {' | '.join(f'{value / means[0]:.2f}' for value in means)} |")


if __name__ == "__main__":
    main()
