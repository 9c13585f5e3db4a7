"""The network of the synthesis level: what it sees of a note and of its frames, and what it says of them.

Frames see no other frame, so any window of any note can be asked for alone. A small vector for each semitone of each
instrument holds what body or bore do to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mididdsp.expression.types import NoteExpression
from mididdsp.instruments import INSTRUMENTS
from mididdsp.synthesis.knots import KNOTS

Array = NDArray[np.floating[Any]]

NOISE_CENTRES = 40
REFERENCE_LEVEL_DB = -26.0

_ATTACK_TAUS = np.array([0.004, 0.012, 0.03, 0.08, 0.2, 0.5])
_END_TAUS = np.array([0.02, 0.06, 0.2, 0.5])
_RELEASE_TAUS = np.array([0.015, 0.05, 0.15, 0.4])
_PITCH_CENTRES = np.arange(22.0, 108.0, 4.0)

SURROUNDING_FEATURES = 6
NOTE_FEATURES = 12 + len(_PITCH_CENTRES) + SURROUNDING_FEATURES
FRAME_FEATURES = 3 + len(_ATTACK_TAUS) + 2 + len(_END_TAUS) + 2 + len(_RELEASE_TAUS) + 2 + 5 + 2
SINCE_COLUMN, AFTER_COLUMN = 1, 3 + len(_ATTACK_TAUS) + 2 + len(_END_TAUS) + 1
"""Of the frame features: 10 times the s since the onset, up to 0.1 s; s after the offset."""

INSTRUMENT_IDS = {name: index for index, name in enumerate(INSTRUMENTS)}

OUTPUT_SCALE = 10.0

_SEMITONES = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The neighbours of a note in its voice; None where there is none.

    Attributes:
        interval_before, interval_after: semitones from the note to them.
        gap_before, gap_after: silence between, s; 0 when joined.
    """

    interval_before: float | None = None
    gap_before: float | None = None
    interval_after: float | None = None
    gap_after: float | None = None


ALONE = Surroundings()


def note_features(
    pitch: float, seconds: float, expression: NoteExpression, joined: bool, leads: bool, around: Surroundings = ALONE
) -> Array:
    """What the network sees of a note; values near ±1; [NOTE_FEATURES]."""
    near: list[float] = []
    for interval, gap in ((around.interval_before, around.gap_before), (around.interval_after, around.gap_after)):
        near += [0.0, 0.0, 0.0] if interval is None or gap is None else [
            1.0, float(np.clip(interval / 12.0, -2.0, 2.0)), float(np.exp(-max(gap, 0.0) / 0.08))]
    return np.concatenate([
        [(pitch - 60.0) / 20.0, np.log(max(seconds, 0.01) / 0.5),
         (expression.level_db - REFERENCE_LEVEL_DB) / 10.0, expression.brightness - 1.0,
         expression.fluctuation_db / 3.0, expression.peak_position * 2.0 - 1.0,
         (expression.attack_noise_db + 25.0) / 10.0, np.log(np.clip(expression.attack_s, 0.003, 2.0) / 0.05),
         np.log(np.clip(expression.release_s, 0.01, 2.0) / 0.1), expression.vibrato_cents / 20.0,
         float(joined), float(leads)],
        np.exp(-0.5 * ((pitch - _PITCH_CENTRES) / 3.0) ** 2),
        near,
    ])


def frame_features(
    since: Array, until: Array, seconds: float, expression: NoteExpression, swing: Array, turned: Array
) -> Array:
    """What the network sees of the frames of one note; [T, FRAME_FEATURES].

    Args:
        since: seconds since the onset, negative before it; [T].
        until: seconds until the offset, negative after it; [T].
        seconds: length of the note.
        expression: of the note.
        swing: deviation by vibrato in cents; [T].
        turned: the same a quarter period later; [T].
    """
    after_onset = np.maximum(since, 0.0)[:, None]
    before_offset = np.maximum(until, 0.0)[:, None]
    after_offset = np.maximum(-until, 0.0)[:, None]
    attack = max(expression.attack_s, 0.003)
    release = max(expression.release_s, 0.01)
    position = np.clip(since / max(seconds, 0.004), 0.0, 1.0)
    return np.concatenate([
        np.stack([since < 0, np.clip(since, -0.032, 0.1) * 10, np.clip(since, 0, 2.0)], 1),
        np.exp(-after_onset / _ATTACK_TAUS),
        np.exp(-after_onset / attack), np.clip(after_onset / attack, 0, 3) / 3,
        np.exp(-before_offset / _END_TAUS),
        np.stack([until < 0, np.clip(-until, 0, 0.6)], 1),
        np.exp(-after_offset / _RELEASE_TAUS),
        np.exp(-after_offset / release), np.clip(after_offset / release, 0, 4) / 4,
        np.stack([position, np.sin(np.pi * position), np.sin(2 * np.pi * position), np.cos(2 * np.pi * position),
                  np.exp(-(((position - expression.peak_position) / 0.15) ** 2))], 1),
        np.stack([swing / 20.0, turned / 20.0], 1),
    ], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisConfig:
    """Sizes of the network.

    Attributes:
        width: channels of the frame layers; the cost of rendering goes with its square.
        blocks: residual frame layers.
        note_width: channels of the note encoder, paid once a note.
        embedding: channels of the instrument embedding.
        colour: channels of what is learned of each semitone of each instrument: bodies and bores have their own
            resonances, which other dynamics of the same pitch share.
        dropout: in the note encoder while training: the recorded notes are few enough to be learned by heart.
        frame_dropout: in the frame layers while training.
        colour_dropout: share of notes that are learned without their semitone's own colour, so that one which was
            never recorded is guessed well too.
    """

    width: int = 384
    blocks: int = 3
    note_width: int = 512
    embedding: int = 32
    colour: int = 24
    dropout: float = 0.15
    frame_dropout: float = 0.1
    colour_dropout: float = 0.12


class FrameNetwork(nn.Module):
    """Mean of level, slow pitch, partials and noise of every frame.

    Outputs, each divided by ``OUTPUT_SCALE``: level of the partials re the note's ``level_db`` (dB), slow pitch
    deviation (cents), knots of the partials re their sum (dB), noise bands re the note's ``level_db`` (dB).
    """

    def __init__(self, config: SynthesisConfig) -> None:
        super().__init__()
        self.config = config
        outputs = 2 + len(KNOTS) + NOISE_CENTRES
        self.instrument = nn.Embedding(len(INSTRUMENTS), config.embedding)
        self.encoder = nn.Sequential(
            nn.Linear(NOTE_FEATURES + config.embedding + config.colour, config.note_width), nn.SiLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.note_width, config.note_width), nn.SiLU(), nn.Dropout(config.dropout),
            nn.Linear(config.note_width, config.note_width), nn.SiLU(), nn.Dropout(config.dropout),
        )
        self.modulation = nn.Linear(config.note_width, 2 * config.width * (config.blocks + 1))
        self.entry = nn.Linear(FRAME_FEATURES, config.width)
        self.layers = nn.ModuleList([nn.Linear(config.width, config.width) for _ in range(config.blocks)])
        self.exit = nn.Linear(config.width, outputs)
        self.direct = nn.Linear(config.note_width, outputs)
        self.colour = nn.Embedding(len(INSTRUMENTS) * _SEMITONES, config.colour)
        self.tint = nn.Linear(config.colour, outputs, bias=False)
        nn.init.normal_(self.instrument.weight, std=0.3)
        nn.init.normal_(self.colour.weight, std=0.05)

    def encode(self, notes: Tensor, instrument: Tensor) -> tuple[Tensor, Tensor]:
        """Notes [N, NOTE_FEATURES], instruments [N] → (modulation [N, blocks + 1, 2, width], outputs' base [N, D])."""
        pitch = (notes[:, 0] * 20.0 + 60.0).clamp(0.0, _SEMITONES - 1.001)
        below = pitch.floor()
        part = (pitch - below).unsqueeze(-1)
        row = instrument * _SEMITONES + below.long()
        colour = (1.0 - part) * self.colour(row) + part * self.colour(row + 1)
        if self.training:
            kept = torch.rand(len(colour), 1, device=colour.device) >= self.config.colour_dropout
            colour = colour * kept.to(colour.dtype)
        hidden = self.encoder(torch.cat([notes, self.instrument(instrument), colour], -1))
        modulation = self.modulation(hidden).view(-1, self.config.blocks + 1, 2, self.config.width)
        return modulation, self.direct(hidden) + self.tint(colour)

    def decode(self, frames: Tensor, modulation: Tensor, base: Tensor) -> Tensor:
        """Frames [..., F, FRAME_FEATURES] of notes [...] → outputs [..., F, D]."""
        scale, shift = modulation[..., 0, 0, :].unsqueeze(-2), modulation[..., 0, 1, :].unsqueeze(-2)
        hidden = nn.functional.silu(self.entry(frames) * (1.0 + scale) + shift)
        for index, layer in enumerate(self.layers, start=1):
            scale = modulation[..., index, 0, :].unsqueeze(-2)
            shift = modulation[..., index, 1, :].unsqueeze(-2)
            added = nn.functional.silu(layer(hidden) * (1.0 + scale) + shift)
            hidden = hidden + nn.functional.dropout(added, self.config.frame_dropout, self.training)
        result: Tensor = self.exit(hidden) + base.unsqueeze(-2)
        return result

    def forward(self, notes: Tensor, instrument: Tensor, frames: Tensor) -> Tensor:
        """Notes [N, NOTE_FEATURES], instruments [N], frames [N, F, FRAME_FEATURES] → [N, F, D]."""
        modulation, base = self.encode(notes, instrument)
        return self.decode(frames, modulation, base)
