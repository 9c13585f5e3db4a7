"""Learning through the synthesizer: fundamental and loudness of recordings → sound, compared by the spectral loss.

The second stage of the autoencoder. Analysed parameters teach it partials and noise separately, frame by frame; here
what counts is the sound they make, noise between the partials, tails and rooms included. Excerpts are rendered by the
production synthesizer at 16 kHz, with gradients, at the level of the recording, and the loudness is put right on the
way as it is when the model plays.

Source: Engel et al. 2020 (DDSP).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mididdsp.audio_files import AudioFileError
from mididdsp.audio_stream import Window, open_recording
from mididdsp.random import keyed_generator
from mididdsp.synthesis.autoencoder import OUTPUT_SCALE, AutoencoderNetwork
from mididdsp.synthesis.conditions import (
    CONDITION_HOP,
    CONDITION_RATE,
    LOUDNESS_WINDOW,
    QUIET_DB,
    band_gains,
    condition_features,
    weighting_table,
)
from mididdsp.synthesis.dsp.noise import noise_blocks, random_spectra, shaped_noise
from mididdsp.synthesis.dsp.period_tables import harmonic_tone
from mididdsp.synthesis.knots import KNOTS, knot_weights
from mididdsp.synthesis.losses import MIDI_DDSP_WEIGHTS, spectral_loss
from mididdsp.transfer import TransferError, listen

Array = NDArray[np.floating[Any]]

EXCERPT_FRAMES = 250
LOUD_RMS = 0.1
"""Recordings are compared at -20 dB RMS, as the loss's small constant asks for a fixed level."""

_LARGEST_CORRECTION_DB = 40.0
_DB = float(np.log(10.0) / 20.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoundClip:
    """A recording to be made again.

    Attributes:
        item: its name.
        instrument: a name of the table.
        audio: mono at 16 kHz, at -20 dB RMS; float32 [N], N at least ``EXCERPT_FRAMES`` frames and two.
        f0_hz: fundamental, held where there is none; float32 [T], T at most N / 64.
        level_db: loudness at that level; float32 [T].
        features: what the network sees, at the level it learns at; float32 [T, F].
    """

    item: str
    instrument: str
    audio: NDArray[np.float32]
    f0_hz: NDArray[np.float32]
    level_db: NDArray[np.float32]
    features: NDArray[np.float32]


def sound_clip(path: Path, instrument: str, *, median_db: float, lookahead: bool, item: str) -> list[SoundClip]:
    """A recording as a clip, or nothing where no music is heard in it or it is too short.

    Args:
        path: of an audio file of one monophonic instrument.
        instrument: a name of the table.
        median_db: loudness that the network learned as the instrument's median; the recording's is moved there.
        lookahead: of the features.
        item: its name.
    """
    try:
        recording = open_recording(path)
        heard = listen(recording)
    except (AudioFileError, TransferError):
        return []
    audio = Window(recording, CONDITION_RATE).read(0, int(recording.seconds * CONDITION_RATE))
    count = min(len(heard.f0_hz), len(audio) // CONDITION_HOP)
    if count < EXCERPT_FRAMES + 2:
        return []
    gain = LOUD_RMS / float(np.sqrt(np.mean(audio.astype(np.float64) ** 2)))
    moved = median_db - float(np.median(heard.loudness_db[heard.sounding]))
    loudness = heard.loudness_db[:count]
    return [
        SoundClip(
            item=item,
            instrument=instrument,
            audio=(audio * gain).astype(np.float32),
            f0_hz=heard.f0_hz[:count].astype(np.float32),
            level_db=np.maximum(loudness + 20.0 * np.log10(gain), QUIET_DB).astype(np.float32),
            features=condition_features(heard.f0_hz[:count], loudness + moved, lookahead=lookahead),
        )
    ]


class Excerpts:
    """One second of clips at a time; batches are functions of the key.

    Args:
        clips: at least one.
        instruments: names, in the order of the network.
        share_power: an instrument's share of the excerpts grows with its minutes to this power.
    """

    def __init__(self, clips: Sequence[SoundClip], instruments: Sequence[str], share_power: float) -> None:
        self.clips = tuple(clips)
        self.members = np.array([list(instruments).index(clip.instrument) for clip in clips])
        length = np.array([len(clip.f0_hz) for clip in clips], np.float64)
        share = np.zeros(len(clips))
        for member in np.unique(self.members):
            mine = self.members == member
            share[mine] = length[mine] / length[mine].sum() ** (1.0 - share_power)
        self.share = share / share.sum()

    def batch(self, size: int, *key: str, seed: int) -> tuple[Tensor, ...]:
        """(audio [B, N], f0 [B, T], level [B, T], features [B, T, F], instruments [B]) drawn by that key."""
        random = keyed_generator(seed, "autoencoder excerpts", *key)
        chosen = random.choice(len(self.clips), size, p=self.share)
        rows: list[tuple[Array, ...]] = []
        for index in chosen:
            clip = self.clips[index]
            first = int(random.integers(0, len(clip.f0_hz) - EXCERPT_FRAMES))
            last = first + EXCERPT_FRAMES
            rows.append((clip.audio[first * CONDITION_HOP : last * CONDITION_HOP], clip.f0_hz[first : last + 1],
                         clip.level_db[first : last + 1], clip.features[first : last + 1]))
        stacked = [torch.from_numpy(np.stack(column)) for column in zip(*rows)]
        return (*stacked, torch.from_numpy(self.members[chosen]))


def sound_of(
    network: AutoencoderNetwork, f0_hz: Tensor, level_db: Tensor, features: Tensor, member: Tensor, *,
    edges_hz: tuple[float, ...], seed: int,
) -> Tensor:
    """What the network makes of frames, as 16 kHz audio with gradients; [B, (T - 1) * 64].

    Args:
        network: of the autoencoder.
        f0_hz, level_db: [B, T].
        features: [B, T, F].
        member: the instruments, places in the network's configuration; [B].
        edges_hz: of the noise bands.
        seed: of the noise.
    """
    rows, frames = f0_hz.shape
    samples = (frames - 1) * CONDITION_HOP
    output = network(features.flatten(0, 1), member.repeat_interleave(frames)).unflatten(0, (rows, frames))
    output = output * OUTPUT_SCALE + level_db[..., None]
    sounds = []
    for row in range(rows):
        knots, noise = output[row, :, : len(KNOTS)], output[row, :, len(KNOTS) :]
        count = int(np.clip(np.ceil(CONDITION_RATE / 2 / float(f0_hz[row].min())), 1, KNOTS[-1]))
        weights = torch.from_numpy(knot_weights(count).T.astype(np.float32))
        hz = f0_hz[row, :, None] * torch.arange(1, count + 1)
        partials = torch.exp(2.0 * _DB * (knots @ weights)) * (hz < CONDITION_RATE / 2)
        rms = torch.exp(_DB * noise)
        gain = _correction(partials, rms, hz, level_db[row], edges_hz, network.config.lookahead)[:, None]
        peak, rms = torch.sqrt(2.0 * partials.clamp_min(1e-14)) * gain, rms * gain
        generator = keyed_generator(seed, "autoencoder noise", str(row))
        spectra = random_spectra(generator, noise_blocks(samples, CONDITION_RATE), CONDITION_RATE)
        tone = harmonic_tone(f0_hz[row], peak, sample_rate=CONDITION_RATE)[:samples]
        breath = shaped_noise(rms, spectra, samples=samples, edges_hz=edges_hz, sample_rate=CONDITION_RATE)
        sounds.append(tone + breath)
    return torch.stack(sounds)


def _correction(
    partials: Tensor, rms: Tensor, hz: Tensor, level_db: Tensor, edges_hz: tuple[float, ...], lookahead: bool
) -> Tensor:
    """Factor that brings each frame to the loudness asked for, as ``Autoencoder.conformed`` does; [T].

    Args:
        partials: mean squares [T, H] at ``hz`` [T, H].
        rms: of the noise bands; [T, B].
        level_db: the loudness; [T].
        edges_hz: of the bands.
        lookahead: through the window that loudness is measured with; else frame by frame.
    """
    grid, weighting = weighting_table()
    gain = torch.from_numpy(weighting.astype(np.float32))
    power = (partials * gain[(hz / float(grid[1])).round().long().clamp(max=len(grid) - 1)]).sum(-1)
    power = power + rms.square() @ torch.from_numpy(band_gains(edges_hz).astype(np.float32))
    if lookahead:
        reach = int(LOUDNESS_WINDOW / 2 / CONDITION_HOP)
        kernel = torch.hann_window(2 * reach + 1, periodic=False).square()
        padded = nn.functional.pad(power[None, None], (reach, reach), mode="replicate")
        power = nn.functional.conv1d(padded, (kernel / kernel.sum())[None, None])[0, 0]
    found = 10.0 * torch.log10(power.clamp_min(10.0 ** (QUIET_DB / 10.0)))
    return torch.exp(_DB * (level_db - found).clamp(-_LARGEST_CORRECTION_DB, _LARGEST_CORRECTION_DB))


def resynthesis_loss(
    network: AutoencoderNetwork, batch: tuple[Tensor, ...], *, edges_hz: tuple[float, ...], seed: int
) -> Tensor:
    """The multi-scale spectral loss of a batch of excerpts made again; a scalar."""
    audio, f0_hz, level_db, features, member = batch
    made = sound_of(network, f0_hz, level_db, features, member, edges_hz=edges_hz, seed=seed)
    return spectral_loss(audio, made, MIDI_DDSP_WEIGHTS)
