"""Recorded notes as the synthesis network sees them: targets, what each frame counts, and batches of frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.note_lines import smoothed
from mididdsp.random import keyed_generator
from mididdsp.synthesis.frame_network import INSTRUMENT_IDS, OUTPUT_SCALE, Surroundings, frame_features, note_features
from mididdsp.synthesis.knots import KNOTS
from mididdsp.units import FRAME_RATE

FRAMES_PER_NOTE = 40
ATTACK_SHARE, END_SHARE = 0.3, 0.3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedNote:
    """A note with its targets laid out as the network gives them; ``weight`` is 0 where nothing is known."""

    note: TrainingNote
    features: NDArray[np.float32]
    instrument: int
    swing: NDArray[np.float32]
    turned: NDArray[np.float32]
    target: NDArray[np.float32]
    weight: NDArray[np.float32]


def prepare_note(note: TrainingNote) -> PreparedNote:
    """Targets and weights of a note's frames.

    A part counts by how audible it is against the note's body: fully down to about 50 dB below, hardly below 65 dB.
    """
    facts, frames, expression = note.facts, note.frames, note.expression
    recorded_level = expression.level_db - note.gain_db
    onset, offset = facts["onset"], facts["offset"]
    around = Surroundings(**{name: facts.get(name) for name in Surroundings.__dataclass_fields__})
    joined, leads = facts.get("joined", False), facts.get("leads", False)
    count = len(frames["partial_db"])
    f0 = frames["f0_cents"].astype(np.float64)
    swing = np.zeros(count)
    turned = np.zeros(count)
    if expression.vibrato_rate_hz:
        period = int(round(FRAME_RATE / expression.vibrato_rate_hz))
        swing = f0 - smoothed(f0, period // 2 * 2 + 1)
        swing[:onset] = swing[offset:] = 0.0
        swing = np.clip(smoothed(swing, 5), -120, 120)
        turned = -np.gradient(swing) * FRAME_RATE / (2 * np.pi * expression.vibrato_rate_hz)
    level = np.maximum(frames["partial_db"].astype(np.float64) - recorded_level, -80.0)
    slow = np.clip(f0 - swing, -150, 150)
    slow = slow - np.median(slow[onset:offset])
    knots = np.maximum(frames["knots_db"].astype(np.float64) - frames["partial_db"][:, None], -90.0)
    power = 10 ** (frames["noise_db"].astype(np.float64) / 10)
    held = np.stack([smoothed(column, 9) for column in power.T], 1)
    steady = slice(min(onset + 15, count), max(offset - 5, onset + 15))
    power[steady] = held[steady]  # one frame's estimate of noise scatters; its mean in dB would lie below its power
    noise = np.maximum(10 * np.log10(np.maximum(power, 1e-13)) - recorded_level, -95.0)
    known = frames["known"].astype(np.float64)
    sure = 1.0 / (1.0 + np.exp(-(level + 48.0) / 4.0))
    audible = 1.0 / (1.0 + np.exp(-(knots + level[:, None] + 58.0) / 5.0))
    weight = np.concatenate([
        (0.1 + 0.9 * sure)[:, None],
        (sure**2 * (level > -30) * 0.3)[:, None],
        known * (0.02 + audible) * (0.05 + sure[:, None]),
        (0.05 + 1.0 / (1.0 + np.exp(-(noise + 70.0) / 5.0))) * 0.5,
    ], axis=1)
    beyond = known.any(0) & (known.mean(0) < 0.5)
    weight[:, 2:2 + len(KNOTS)][:, beyond] *= 0.5
    if facts["late_attack"]:
        weight[: onset + 15] = 0.0
    if facts["unfinished"] and not leads:
        weight[offset:] = 0.0
    if joined:
        weight[: onset - 2] *= 0.3  # the note before is still heard
    if leads:
        weight[offset + 2 :] *= 0.3
    target = np.concatenate([level[:, None], slow[:, None], knots, noise], axis=1) / OUTPUT_SCALE
    features = note_features(facts["pitch"], facts["seconds"], expression, joined, leads, around)
    return PreparedNote(
        note=note, features=features.astype(np.float32), instrument=INSTRUMENT_IDS[facts["instrument"]],
        swing=swing.astype(np.float32), turned=turned.astype(np.float32), target=target.astype(np.float32),
        weight=weight.astype(np.float32))


def choose_frames(note: PreparedNote, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Frame numbers to learn from: more from the attack and the end than their length would give them."""
    onset, offset = note.note.facts["onset"], note.note.facts["offset"]
    total = len(note.target)
    share = random.random(count)
    attack = random.integers(0, min(onset + 30, total), count)
    low = max(0, offset - 15)
    end = random.integers(low, max(low + 1, min(offset + 60, total)), count)
    anywhere = random.integers(0, total, count)
    return np.where(share < ATTACK_SHARE, attack, np.where(share < ATTACK_SHARE + END_SHARE, end, anywhere))


def rows(note: PreparedNote, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """Frame features of the chosen frames; [F, FRAME_FEATURES]."""
    facts = note.note.facts
    since = (chosen - facts["onset"]) / FRAME_RATE
    until = (facts["offset"] - chosen) / FRAME_RATE
    features = frame_features(since, until, facts["seconds"], note.note.expression, note.swing[chosen],
                              note.turned[chosen])
    return features.astype(np.float32)


class Batches:
    """Batches as a pure function of the step: notes at random, frames by ``choose_frames``.

    An instrument's share grows with its number of notes to the power of 0.7: small sets count more than their size.
    """

    def __init__(self, notes: list[PreparedNote], *, seed: int, size: int) -> None:
        self.notes = notes
        self.seed = seed
        self.size = size
        by_instrument: dict[int, list[int]] = {}
        for index, note in enumerate(notes):
            by_instrument.setdefault(note.instrument, []).append(index)
        self.groups = list(by_instrument.values())
        share = np.array([len(group) for group in self.groups], dtype=np.float64) ** 0.7
        self.share = share / share.sum()

    def __call__(self, step: int) -> tuple[Tensor, ...]:
        """(note features, instruments, frame features, targets, weights) of that step."""
        random = keyed_generator(self.seed, "synthesis batch", str(step))
        parts: list[tuple[Any, ...]] = []
        for group in random.choice(len(self.groups), self.size, p=self.share):
            note = self.notes[self.groups[group][random.integers(len(self.groups[group]))]]
            chosen = choose_frames(note, FRAMES_PER_NOTE, random)
            seen = note.features.copy()
            seen[2:10] += random.normal(0.0, 0.15, 8).astype(np.float32)  # measured values are not exact
            parts.append((seen, note.instrument, rows(note, chosen), note.target[chosen], note.weight[chosen]))
        features, instruments, frames, targets, weights = zip(*parts)
        return (torch.from_numpy(np.stack(features)), torch.tensor(instruments), torch.from_numpy(np.stack(frames)),
                torch.from_numpy(np.stack(targets)), torch.from_numpy(np.stack(weights)))
