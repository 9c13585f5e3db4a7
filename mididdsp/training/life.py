"""How much life a sound has: spectra of what the mean leaves over, then corrected until renders move as recordings do.

The first estimate takes what a note's frames have beside the network's mean. It is not what is heard: the mean moves
too, and a note is scaled to the fluctuation it is asked for. So notes are generated with their measured expression, and
the spectra are scaled until pitch and partials of generated notes move as much as those of the recorded ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.types import Chain, Note, PlannedNote
from mididdsp.synthesis.generator import INSTRUMENT_IDS, OUTPUT_SCALE, FrameNetwork, SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.synthesis.life import MODULATION_BANDS, band_rms
from mididdsp.training.prepared_notes import PreparedNote, rows
from mididdsp.units import FRAME_RATE

Array = NDArray[np.floating[Any]]

LED_BY_VIBRATO = 5
"""Under a vibrato the bands of pitch below this one (8 Hz) are the vibrato's own."""

VIBRATO_BAND = 3
"""The band of modulation from 4 to 8 Hz."""

STILL_CENTS = 3.0
"""A note without vibrato that moves more than this (rms, 4 to 8 Hz) has one that was not recognised."""

SLOW = 2
"""Bands of modulation below this one (2 Hz) are left as they were estimated: few notes are long enough to tell them."""

_PARTIALS = 8
_FEWEST = 8
_MOST = 60
_ROUNDS = 4
_SKIPPED_START, _SKIPPED_END, _SHORTEST = 30, 20, 60
_STEP = (0.25, 4.0)
_TOTAL = (0.25, 4.0)


def predict(model: FrameNetwork, note: PreparedNote) -> NDArray[np.float32]:
    """The mean for every frame of a note, in dB and cents; [T, D]."""
    with torch.inference_mode():
        frames = torch.from_numpy(rows(note, np.arange(len(note.target)))[None])
        output = model(torch.from_numpy(note.features[None]), torch.tensor([note.instrument]), frames)
    return np.asarray(output[0].numpy() * OUTPUT_SCALE)


def estimate_life(model: FrameNetwork, notes: list[PreparedNote]) -> NDArray[np.float32]:
    """Spectra of what the mean leaves over in the steady part of notes; [2, instruments, 2 + K, MODULATION_BANDS].

    The first index tells notes without vibrato from notes with: under a vibrato the partials swing by more than the
    mean knows. The median over notes of each band's power, so that a few mislabelled or noisy clips do not count. Pitch
    is taken from notes without vibrato. Where fewer than eight notes tell, all notes of the instrument do, then those
    of all instruments; notes shorter than 0.44 s do not count, and without longer ones there is no life.
    """
    channels = 2 + len(KNOTS)
    collected: list[list[tuple[bool, NDArray[np.floating[Any]]]]] = [[] for _ in INSTRUMENTS]
    for note in notes:
        facts = note.note.facts
        first, last = facts["onset"] + 30, facts["offset"] - 20
        if last - first < 60:
            continue
        residual = (note.target * OUTPUT_SCALE - predict(model, note))[first:last, :channels]
        powers = band_rms(residual) ** 2
        level = note.target[first:last, :1] * OUTPUT_SCALE + note.target[first:last, 2:channels] * OUTPUT_SCALE
        heard = (np.median(level, 0) > -45.0) & note.note.frames["known"][first:last].all(0)
        powers[2:][~heard] = np.nan
        vibrates = note.note.expression.vibrato_cents > 0
        if vibrates:
            powers[1] = np.nan
        collected[note.instrument].append((vibrates, powers))
    result = np.zeros((2, len(INSTRUMENTS), channels, MODULATION_BANDS), np.float32)
    everyone = [powers for group in collected for _, powers in group]
    if not everyone:
        return result
    common = _typical(everyone, np.zeros((channels, MODULATION_BANDS)))
    for index, group in enumerate(collected):
        own = _typical([powers for _, powers in group], common)
        for state in (False, True):
            result[int(state), index] = np.sqrt(_typical([powers for has, powers in group if has == state], own))
    return result


def _typical(powers: list[NDArray[np.floating[Any]]], fallback: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Median over notes; the fallback where fewer than eight of them tell."""
    if len(powers) < 8:
        return fallback
    stack = np.stack(powers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a band that no note reaches is NaN
        median = np.nanmedian(stack, axis=0)
    return np.where(np.isfinite(stack).sum(0) >= 8, np.nan_to_num(median), fallback)


def calibrate_life(generator: SynthesisGenerator, notes: Sequence[TrainingNote]) -> SynthesisGenerator:
    """The generator with its life scaled, by instrument, vibrato and band, to what recorded single notes show.

    Args:
        generator: with the first estimate.
        notes: recorded single notes; of each instrument with and without vibrato some dozens are generated. Where
            fewer than eight tell, those of the family do.
    """
    chosen: dict[tuple[int, bool], list[tuple[TrainingNote, Array]]] = {}
    for note in notes:
        facts, vibrates = note.facts, note.expression.vibrato_cents > 0
        first, last = facts["onset"] + _SKIPPED_START, facts["offset"] - _SKIPPED_END
        if last - first < _SHORTEST or facts["late_attack"]:
            continue
        partials = note.frames["knots_db"][first:last, :_PARTIALS].astype(np.float64)
        partials[:, ~note.frames["known"][first:last, :_PARTIALS].all(0)] = np.nan
        moved = _movement(note.frames["f0_cents"][first:last].astype(np.float64), partials)
        if not vibrates and moved[0, VIBRATO_BAND] > STILL_CENTS**2:
            continue
        group = chosen.setdefault((INSTRUMENT_IDS[facts["instrument"]], vibrates), [])
        if len(group) < _MOST:
            group.append((note, moved))
    scale = np.ones((2, len(INSTRUMENTS), 2, MODULATION_BANDS))
    life = generator.life_rms
    for _ in range(_ROUNDS):
        current = SynthesisGenerator(generator.network, _scaled(life, scale), generator.noise_edges_hz)
        made = {key: [_movement(*_generated(current, note)) for note, _ in group] for key, group in chosen.items()}
        for (instrument, vibrates), group in chosen.items():
            family = list(INSTRUMENTS.values())[instrument].family
            near = [key for key in chosen if key[1] == vibrates
                    and (key[0] == instrument if len(group) >= _FEWEST
                         else list(INSTRUMENTS.values())[key[0]].family == family)]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # a band that no note is long enough for is NaN
                real = np.nanmedian([moved for key in near for _, moved in chosen[key]], axis=0)
                ours = np.nanmedian([moved for key in near for moved in made[key]], axis=0)
            step = np.clip(np.nan_to_num(np.sqrt(real / ours), nan=1.0), *_STEP)
            step[:, :SLOW] = 1.0
            if vibrates:
                step[0, :LED_BY_VIBRATO] = 1.0
            scale[int(vibrates), instrument] = np.clip(scale[int(vibrates), instrument] * step, *_TOTAL)
    return SynthesisGenerator(generator.network, _scaled(life, scale), generator.noise_edges_hz)


def _scaled(life: Array, scale: Array) -> Array:
    """Life [2, I, 2 + K, B] times a scale of pitch and of all else [2, I, 2, B]."""
    scaled = np.array(life, np.float64)
    scaled[:, :, 1] *= scale[:, :, 0]
    scaled[:, :, 0] *= scale[:, :, 1]
    scaled[:, :, 2:] *= scale[:, :, 1, None]
    return scaled.astype(np.float32)


def _movement(cents: Array, partials_db: Array) -> Array:
    """Power of modulation of pitch, and of the partials that are heard (median over them); [2, MODULATION_BANDS]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        heard = np.nanmedian(partials_db, 0) > np.nanmax(np.nanmedian(partials_db, 0)) - 40.0
        powers = band_rms(partials_db[:, heard]) ** 2
        return np.stack([band_rms(cents[:, None])[0] ** 2, np.nanmedian(powers, axis=0)])


def _generated(generator: SynthesisGenerator, note: TrainingNote) -> tuple[Array, Array]:
    """(f0 in cents, partials in dB) of a generated note in the part of it that the recording is measured in."""
    facts = note.facts
    made = Note(id=facts["item"], onset=1.0, duration=facts["seconds"], pitch=facts["pitch"])
    planned = PlannedNote(note=made, onset=1.0, offset=1.0 + facts["seconds"], previous=None, following=None,
                          joined=False, leads=False)
    expression = replace(note.expression, timing_s=0.0, length_ratio=1.0)
    segment = generator.segment(facts["instrument"], Chain(id=made.id, voice=0, notes=(planned,)),
                                {made.id: expression}, seed=0)
    start = round((made.onset - segment.start_s) * FRAME_RATE)
    span = slice(start + _SKIPPED_START, start + facts["offset"] - facts["onset"] - _SKIPPED_END)
    partials = segment.amplitude_db[span, None] + 20.0 * np.log10(
        np.maximum(segment.harmonics[span, :_PARTIALS].astype(np.float64), 1e-9))
    cents = 1200.0 * np.log2(segment.f0_hz[span].astype(np.float64) / 440.0)
    if partials.shape[1] < _PARTIALS:
        partials = np.pad(partials, ((0, 0), (0, _PARTIALS - partials.shape[1])), constant_values=np.nan)
    return cents, partials
