"""Learned inference against direct: a network that reads the parameters off a log-mel spectrogram.

    python -m bench.inference --data DATA --out MODEL.pt [--minutes 25] [--set test] [--limit 20] [--blind]

The network of the DDSP papers, small: log-mel frames and the tracked fundamental go through a convolution over time and
frequency and a recurrent layer to amplitude, 60 partials and 65 noise bands; it is trained through the synthesizer with
the multi-scale spectral loss, and a room of 0.25 s for each source (instrument) is learned with it. It trains on the
train phrases for ``--minutes`` of processor time; then both kinds of inference are measured on phrases that neither has
seen, by the loss of ``bench.roundtrip``. Fundamentals are the same for both.

With ``--blind`` no fundamental is given: a second network, convolutional and recurrent, finds it in a finer log-mel
spectrogram as the mean over 128 pitches (Engel et al. 2020, the unsupervised model) and learns from the same loss
alone. What it finds is compared with the tracker, beside the best single pitch for each phrase.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bench import roundtrip
from mididdsp.random import keyed_generator
from mididdsp.synthesis.dsp.convolution import fft_convolve
from mididdsp.synthesis.dsp.noise import noise_blocks, random_spectra, shaped_noise
from mididdsp.synthesis.dsp.period_tables import harmonic_tone
from mididdsp.synthesis.features import log_mel
from mididdsp.synthesis.losses import MIDI_DDSP_WEIGHTS, spectral_loss

RATE, HOP = 16_000, 64
PARTIALS, BANDS, MELS, ROOM = 60, 65, 64, 4_000
EDGES_HZ = tuple(float(edge) for edge in np.linspace(0.0, RATE / 2, BANDS + 1))
FINE_MELS, PITCHES = 192, 128
LOWEST, HIGHEST = 24.0, 100.0
"""MIDI numbers between which a fundamental is looked for without a tracker."""

Prepared = tuple[roundtrip.Clip, Tensor, np.ndarray]
"""A clip, its log-mel frames [T, 64] and its fundamental in Hz [T]."""

EXCERPT = 250
LONGEST_S = 8.0


class Inference(nn.Module):
    """Log-mel [B, T, 64] and f0 [B, T] to amplitude [B, T], partials [B, T, 60] and noise RMS [B, T, 65]."""

    def __init__(self, sources: int, width: int = 128) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.GELU(), nn.Conv2d(8, 8, 5, padding=2),
                                          nn.GELU())
        self.narrow = nn.Linear(8 * MELS + 2, width)
        self.recurrent = nn.GRU(width, width, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * width, 1 + PARTIALS + BANDS)
        self.room = nn.Parameter(torch.zeros(sources, ROOM))

    def forward(self, mel: Tensor, f0_hz: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Legal parameters: amplitudes and levels by exp of dB, partials by softmax."""
        features = self.convolutions(mel.unsqueeze(1) / 6.0).permute(0, 2, 1, 3).flatten(2)
        pitch = torch.log2(f0_hz / 440.0)
        hidden = self.narrow(torch.cat([features, pitch.unsqueeze(-1), mel.mean(-1, keepdim=True) / 6.0], -1))
        raw = self.out(self.recurrent(torch.nn.functional.gelu(hidden))[0])
        amplitude = torch.exp(1.5 * raw[..., 0] - 4.0)
        noise = torch.exp(1.5 * raw[..., 1 + PARTIALS :] - 9.0)
        return amplitude, torch.softmax(2.0 * raw[..., 1 : 1 + PARTIALS], -1), noise

    def sound(self, mel: Tensor, f0_hz: Tensor, source: Tensor, seed: int, samples: int) -> Tensor:
        """Audio [B, samples]."""
        amplitude, partials, noise = self(mel, f0_hz)
        generator = keyed_generator(seed, "inference", "noise")
        spectra = torch.stack([random_spectra(generator, noise_blocks(samples, RATE), RATE) for _ in mel])
        dry = harmonic_tone(f0_hz, partials * amplitude.unsqueeze(-1), sample_rate=RATE)[..., :samples]
        dry = dry + shaped_noise(noise, spectra, samples=samples, edges_hz=EDGES_HZ, sample_rate=RATE)
        fade = torch.exp(-torch.arange(ROOM) / (ROOM / 5.0))
        direct = torch.cat([torch.ones(len(mel), 1), (self.room * fade)[source][:, 1:]], dim=1)
        return fft_convolve(dry, direct, delay_compensation=0)[..., :samples]


class Pitch(nn.Module):
    """Fine log-mel [B, T, 192] to f0 in Hz [B, T]."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 8, (3, 7), padding=(1, 3)), nn.GELU(), nn.MaxPool2d((1, 2)),
            nn.Conv2d(8, 16, (3, 7), padding=(1, 3)), nn.GELU(), nn.MaxPool2d((1, 2)))
        self.recurrent = nn.GRU(16 * FINE_MELS // 4, width, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * width, PITCHES)
        self.register_buffer("octaves", torch.linspace((LOWEST - 69.0) / 12.0, (HIGHEST - 69.0) / 12.0, PITCHES))
        self.octaves: Tensor

    def forward(self, mel: Tensor) -> Tensor:
        """The mean pitch under a softmax."""
        features = self.convolutions(mel.unsqueeze(1) / 6.0).permute(0, 2, 1, 3).flatten(2)
        octaves: Tensor = torch.softmax(self.out(self.recurrent(features)[0]), -1) @ self.octaves
        return 440.0 * 2.0**octaves


def prepared(data: Path, name: str, limit: int | None) -> list[Prepared]:
    """Clips of a set with their log-mel frames and fundamentals."""
    result: list[Prepared] = []
    for clip in roundtrip.clips_of(name, data):
        if limit is not None and len(result) >= limit:
            break
        audio = clip.audio[: int(LONGEST_S * RATE)]
        clip = roundtrip.Clip(name=clip.name, instrument=clip.instrument, audio=audio)
        try:
            f0 = roundtrip.heard(clip, "own").contours.f0_hz
        except ValueError:
            continue
        result.append((clip, mel_of(audio), f0))
    return result


def mel_of(audio: np.ndarray) -> Tensor:
    """Log-mel frames centred on the frame times; [T, 64]."""
    padded = torch.nn.functional.pad(torch.from_numpy(audio), (512, 512))
    return log_mel(padded, RATE, 40.0, 8_000.0, MELS, 1024, window=1024, hop=HOP)


def fine_mel_of(audio: Tensor) -> Tensor:
    """Log-mel frames [B, T, 192] of audio [B, samples], for the pitch."""
    padded = torch.nn.functional.pad(audio, (1024, 1024))
    return torch.stack([log_mel(one, RATE, 30.0, 5_000.0, FINE_MELS, 2048, window=2048, hop=HOP) for one in padded])


def train(
    network: Inference, blind: Pitch | None, clips: Sequence[Prepared], sources: list[str], minutes: float, out: Path,
    seed: int = 0,
) -> int:
    """Train for so many minutes of processor time, saved every 50 steps; the steps taken."""
    random = np.random.default_rng(seed)
    everything = nn.ModuleList([network] if blind is None else [network, blind])
    optimiser = torch.optim.Adam(everything.parameters(), 1e-3)
    started, step = time.process_time(), 0
    samples = EXCERPT * HOP
    while time.process_time() - started < 60.0 * minutes:
        audio: list[Tensor] = []
        mel: list[Tensor] = []
        f0: list[Tensor] = []
        source: list[int] = []
        while len(audio) < 6:
            clip, frames, pitch = clips[int(random.integers(len(clips)))]
            if len(clip.audio) < samples + HOP:
                continue
            first = int(random.integers((len(clip.audio) - samples) // HOP))
            audio.append(torch.from_numpy(clip.audio[first * HOP : first * HOP + samples])
                         * roundtrip.to_minus_20(clip.audio))
            mel.append(frames[first : first + EXCERPT] + float(np.log(roundtrip.to_minus_20(clip.audio))))
            f0.append(torch.from_numpy(pitch[first : first + EXCERPT].copy()))
            source.append(sources.index(clip.instrument))
        sound = torch.stack(audio)
        hz = torch.stack(f0) if blind is None else blind(fine_mel_of(sound)[:, :EXCERPT])
        made = network.sound(torch.stack(mel), hz, torch.tensor(source), step, samples)
        loss = spectral_loss(sound, made, MIDI_DDSP_WEIGHTS)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(everything.parameters(), 3.0)
        optimiser.step()
        step += 1
        if step % 50 == 0:
            print(f"step {step}, {(time.process_time() - started) / 60:.1f} min, loss {float(loss.detach()):.2f}",
                  flush=True)
            torch.save({"weights": network.state_dict(), "sources": sources,
                        "pitch": None if blind is None else blind.state_dict()}, out)
    return step


def pitch_errors(tracked: np.ndarray, found: np.ndarray) -> tuple[float, float, float]:
    """Shares of frames within 50 cents: found, found in any octave, and by the best single pitch; log2 Hz [T]."""
    near, away = 50.0 / 1200.0, found - tracked
    folded = np.abs(away - np.rint(away))
    single = max(float(np.mean(np.abs(tracked - pitch) <= near)) for pitch in np.unique(tracked.round(2)))
    return float(np.mean(np.abs(away) <= near)), float(np.mean(folded <= near)), single


def main() -> None:
    """Train, or load what was trained, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="where the network is kept; trained when it is absent")
    parser.add_argument("--minutes", type=float, default=25.0, help="of processor time")
    parser.add_argument("--set", dest="name", default="test", choices=["valid", "test"])
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--train-clips", type=int, default=None)
    parser.add_argument("--blind", action="store_true", help="the fundamental is learned too, without a tracker")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    blind = Pitch() if arguments.blind else None
    if arguments.out.exists():
        state = torch.load(arguments.out, weights_only=True)
        sources = list(state["sources"])
        network = Inference(len(sources))
        network.load_state_dict(state["weights"])
        if (blind is None) != (state["pitch"] is None):
            raise SystemExit(f"{arguments.out} was trained {'without' if blind else 'with'} --blind")
        if blind is not None:
            blind.load_state_dict(state["pitch"])
    else:
        clips = prepared(arguments.data, "train", arguments.train_clips)
        sources = sorted({clip.instrument for clip, _, _ in clips})
        network = Inference(len(sources))
        steps = train(network, blind, clips, sources, arguments.minutes, arguments.out)
        print(f"trained {steps} steps on {len(clips)} phrases")
    rows, pitches = [], []
    for clip, mel, f0 in prepared(arguments.data, arguments.name, arguments.limit):
        if clip.instrument not in sources:
            continue
        gain = roundtrip.to_minus_20(clip.audio)
        count = min(len(f0), len(mel))
        with torch.no_grad():
            hz = torch.from_numpy(f0[None, :count])
            if blind is not None:
                tracked = np.log2(f0[:count])
                hz = blind(fine_mel_of(torch.from_numpy(clip.audio * np.float32(gain))[None])[:, :count])
                pitches.append(pitch_errors(tracked, np.log2(hz[0].numpy())))
            made = network.sound(mel[None, :count] + float(np.log(gain)), hz,
                                 torch.tensor([sources.index(clip.instrument)]), 1, len(clip.audio))[0].numpy()
        direct = roundtrip.rendered(roundtrip.heard(clip, "own").params(), len(clip.audio), 1) * np.float32(gain)
        scaled = clip.audio * np.float32(gain)
        made = np.pad(made, (0, max(0, len(scaled) - len(made))))
        rows.append((roundtrip.spectral_loss(scaled, made), roundtrip.spectral_loss(scaled, direct)))
        print(f"{clip.name[:44]:44} learned {rows[-1][0]:6.3f}  direct {rows[-1][1]:6.3f}", flush=True)
    if pitches:
        found, folded, still = np.mean(pitches, axis=0)
        print(f"fundamental within 50 cents of the tracker's in {100 * found:.1f} % of the frames, "
              f"whatever the octave in {100 * folded:.1f} %; the best single pitch of each phrase: {100 * still:.1f} %")
    learned, direct = np.mean(rows, axis=0)
    print(f"mean of {len(rows)} {arguments.name} phrases: learned {learned:.3f}, direct {direct:.3f}")


if __name__ == "__main__":
    main()
