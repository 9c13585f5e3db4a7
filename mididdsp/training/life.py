"""How much life a sound has: spectra of what the mean leaves over, then corrected until renders move as recordings do.

The first estimate takes what a note's frames have beside the network's mean. It is not what is heard: the mean moves
too, a note is scaled to the fluctuation it is asked for, and analysis shows quick movement smaller than it is. So notes
are generated with their measured expression, sounded, and analysed as the recordings were; and the spectra are scaled
until pitch, partials and noise of generated notes move as much as those of the recorded ones.
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
from mididdsp.synthesis.analysis import ANALYSIS_RATE, analyse_note
from mididdsp.synthesis.frame_network import INSTRUMENT_IDS, OUTPUT_SCALE, FrameNetwork
from mididdsp.synthesis.generator import DYING_OVER_DB, LIFE_CHANNELS, NOISE_LIFE_BANDS, SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.synthesis.life import MODULATION_BANDS, MODULATION_EDGES_HZ, band_rms
from mididdsp.synthesis.render import render_segment
from mididdsp.synthesis.types import Segment
from mididdsp.training.evenly import evenly
from mididdsp.training.prepared_notes import PreparedNote, rows
from mididdsp.units import FRAME_RATE

Array = NDArray[np.floating[Any]]

VIBRATO_BAND = 3
"""The band of modulation from 4 to 8 Hz; under a vibrato it is the vibrato's own."""

STILL_CENTS = 3.0
"""A note without vibrato that moves more than this (rms, 4 to 8 Hz) has one that was not recognised."""

SLOW = 2
"""Bands of modulation below this one (2 Hz) are left as they were estimated, but for what ``slowed`` does: few notes
are long enough to tell them. Noise has as much power a Hz there as in that band."""

NOISE_LIFE_DB = 0.5
"""First estimate of the noise's life in every band of modulation from 2 Hz: what is analysed of noise scatters by more
than it moves, so that nothing is learned from it but by comparison with what is analysed of ours."""

ENOUGH_VIBRATING = 20
"""With fewer notes that vibrate an instrument's pitch wanders under a vibrato as it does without one: the few are odd
ones, whose uneven vibrato would be taken for a wandering pitch."""

TREND_RECORDINGS = 4
"""What a family's instruments have in common tells as much of a pitch that rises or falls as so many recordings."""

_PARTIALS = 8
_KINDS = 2 + len(NOISE_LIFE_BANDS)
_FEWEST = 8
_MOST_S = 3.0
_SKIPPED_START, _SKIPPED_END, _SHORTEST = 30, 20, 60
_SPEAKING, _SETTLED = (3, 8), (20, 36)  # frames after the onset
_DYING_DB, _DYING_HEARD_DB, _MOST_DYING_DB = (14.0, 26.0), -52.0, 6.0
_SLOW_FRAMES, _LEAST_SLOW = 375, 0.3
_TREND_FRAMES, _TREND_SKIPPED, _TREND_NOTES, _MOST_TREND_CENTS = 75, 18, 40, 16.0
_STEP = (0.25, 4.0)
_TOTAL = (0.2, 5.0)
_NOISE_TOTAL = (0.1, 12.0)


def predict(model: FrameNetwork, note: PreparedNote) -> NDArray[np.float32]:
    """The mean for every frame of a note, in dB and cents; [T, D]."""
    with torch.inference_mode():
        frames = torch.from_numpy(rows(note, np.arange(len(note.target)))[None])
        output = model(torch.from_numpy(note.features[None]), torch.tensor([note.instrument]), frames)
    return np.asarray(output[0].numpy() * OUTPUT_SCALE)


def estimate_life(model: FrameNetwork, notes: list[PreparedNote]) -> NDArray[np.float32]:
    """Spectra of what the mean leaves over in the steady part of notes; [2, instruments, LIFE_CHANNELS,
    MODULATION_BANDS], of the noise 0.

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
    result = np.zeros((2, len(INSTRUMENTS), LIFE_CHANNELS, MODULATION_BANDS), np.float32)
    everyone = [powers for group in collected for _, powers in group]
    if not everyone:
        return result
    common = _typical(everyone, np.zeros((channels, MODULATION_BANDS)))
    for index, group in enumerate(collected):
        own = _typical([powers for _, powers in group], common)
        for state in (False, True):
            typical = _typical([powers for has, powers in group if has == state], own)
            result[int(state), index, :channels] = np.sqrt(typical)
    return result


def estimate_scoop(model: FrameNetwork, notes: Sequence[PreparedNote]) -> NDArray[np.float32]:
    """How far notes speak off what the network says of their pitch, before they settle; sd in cents, [instruments].

    Of notes that begin anew: the mean from 12 to 32 ms less that from 80 to 140 ms, its spread by the median absolute
    deviation, for trackers are at times lost in an attack. With fewer than eight notes nothing is told.
    """
    found: list[list[float]] = [[] for _ in INSTRUMENTS]
    for note in notes:
        facts = note.note.facts
        onset = facts["onset"]
        if facts.get("joined", False) or facts["late_attack"] or facts["offset"] - onset < _SETTLED[1]:
            continue
        off = (note.target * OUTPUT_SCALE - predict(model, note))[onset : onset + _SETTLED[1], 1]
        found[note.instrument].append(float(off[slice(*_SPEAKING)].mean() - off[slice(*_SETTLED)].mean()))
    return np.array([_spread_of(off) if len(off) >= _FEWEST else 0.0 for off in found], np.float32)


def estimate_trend(generator: SynthesisGenerator, notes: Sequence[TrainingNote]) -> NDArray[np.float32]:
    """How far pitch rises or falls from the beginning of notes to their end beyond what generated ones do; sd in cents,
    of notes that stand alone and of those among others; [2, instruments].

    Straight lines through notes of 0.3 s and more without a vibrato, the ways into them and out of them left out; the
    spread by the median absolute deviation. Notes of one recording are alike in what its player does: where few
    recordings tell, the family's figure counts as ``TREND_RECORDINGS`` would. With fewer than eight notes an instrument
    has the family's; a family with none has no trend.
    """
    plain = generator.changed(trend_cents=None)
    groups: dict[tuple[int, str], list[TrainingNote]] = {}
    for note in notes:
        facts = note.facts
        if facts["offset"] - facts["onset"] < _TREND_FRAMES or facts["late_attack"] or note.expression.vibrato_cents:
            continue
        groups.setdefault((int("gap_after" in facts), facts["instrument"]), []).append(note)
    told: dict[tuple[int, str], tuple[float, int]] = {}
    for key, group in groups.items():
        if len(group) < _FEWEST:
            continue
        real = [_trend(note.frames["f0_cents"].astype(np.float64), note.facts["onset"], note.facts["offset"])
                for note in group]
        ours = []
        for note in evenly(group, _TREND_NOTES):
            facts, segment = note.facts, generated_alone(plain, note)
            onset = round((1.0 - segment.start_s) * FRAME_RATE)
            cents = 1200.0 * np.log2(segment.f0_hz.astype(np.float64) / 440.0)
            ours.append(_trend(cents, onset, onset + facts["offset"] - facts["onset"]))
        lacking = max(_spread_of(real) ** 2 - _spread_of(ours) ** 2, 0.0)
        told[key] = lacking, len({note.facts["item"] for note in group})
    result = np.zeros((2, len(INSTRUMENTS)), np.float32)
    for company in (0, 1):
        for index, (name, instrument) in enumerate(INSTRUMENTS.items()):
            family = [told[company, other] for other, its in INSTRUMENTS.items()
                      if its.family == instrument.family and (company, other) in told]
            if not family:
                continue
            common = float(np.median([power for power, _ in family]))
            own, recordings = told.get((company, name), (0.0, 0))
            power = (recordings * own + TREND_RECORDINGS * common) / (recordings + TREND_RECORDINGS)
            result[company, index] = min(np.sqrt(power), _MOST_TREND_CENTS)
    return result


def _trend(cents: Array, onset: int, offset: int) -> float:
    """Cents by which a straight line through the middle of a note rises or falls over the whole of it."""
    inside = cents[onset + _TREND_SKIPPED : offset - _TREND_SKIPPED]
    return float(np.polyfit(np.arange(len(inside)) / (offset - onset), inside, 1)[0])


def _spread_of(values: Sequence[float]) -> float:
    """By the median absolute deviation."""
    return float(1.4826 * np.median(np.abs(np.array(values) - np.median(values))))


def estimate_dying(
    model: FrameNetwork, notes: Sequence[PreparedNote], life_rms: Array
) -> NDArray[np.float32]:
    """How far partials come apart as notes die away; sd in dB, [instruments].

    Rooms and resonances let each partial go at its own pace. Of notes that end of themselves: how much further off the
    mean than in the held note low partials are where the level is 14 to 26 dB down; sd over partials, median over
    notes. What life does anyway is taken off. With fewer than eight notes nothing is told.
    """
    found: list[list[float]] = [[] for _ in INSTRUMENTS]
    for note in notes:
        facts = note.note.facts
        onset, offset = facts["onset"], facts["offset"]
        if facts["unfinished"] or facts.get("leads", False) or offset - onset < _SHORTEST:
            continue
        held = slice((onset + offset) // 2, offset - 3)
        lines = note.target[:, 2 : 2 + _PARTIALS] * OUTPUT_SCALE
        level = note.target[:, 0] * OUTPUT_SCALE
        fall = float(level[held].mean()) - level
        dying = np.flatnonzero((np.arange(len(level)) > offset) & (fall >= _DYING_DB[0]) & (fall < _DYING_DB[1]))
        if len(dying) < 2:
            continue
        heard = lines[held].mean(0) > lines[held].mean(0).max() - 35.0
        heard &= note.note.frames["known"][dying, :_PARTIALS].all(0)
        heard &= (lines[dying] + level[dying, None]).mean(0) > _DYING_HEARD_DB
        if heard.sum() < 3:
            continue
        left = lines - predict(model, note)[:, 2 : 2 + _PARTIALS]
        found[note.instrument].append(float(np.std((left[dying].mean(0) - left[held].mean(0))[heard])))
    result = np.zeros(len(INSTRUMENTS), np.float32)
    there = 1.0 - np.exp(-0.5 * sum(_DYING_DB) / DYING_OVER_DB)
    for index, told in enumerate(found):
        if len(told) >= _FEWEST:
            own = (np.asarray(life_rms, np.float64)[0, index, 2 : 2 + _PARTIALS] ** 2).sum(-1).mean()
            result[index] = min(np.sqrt(max(np.median(told) ** 2 - own, 0.0)) / there, _MOST_DYING_DB)
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


def calibrate_life(
    generator: SynthesisGenerator, notes: Sequence[TrainingNote], *, most: int = 24, rounds: int = 4,
    with_partials: bool = True,
) -> SynthesisGenerator:
    """The generator with its life scaled, by instrument, vibrato and band, to what recorded single notes show.

    Args:
        generator: with the first estimate; of its noise the life is estimated anew.
        notes: recorded single notes. Where fewer than eight tell, those of the family do.
        most: of them that are generated and sounded, of each instrument with and without vibrato.
        rounds: of comparing and scaling.
        with_partials: scale the life of level and partials too; else it is taken as it is.
    """
    chosen: dict[tuple[int, bool], list[tuple[TrainingNote, Array]]] = {}
    for note in notes:
        facts, vibrates = note.facts, note.expression.vibrato_cents > 0
        moved = recorded_movement(note)
        if moved is None:
            continue
        if not vibrates and moved[0, VIBRATO_BAND] > STILL_CENTS**2:
            continue
        chosen.setdefault((INSTRUMENT_IDS[facts["instrument"]], vibrates), []).append((note, moved))
    few = [index for index in range(len(INSTRUMENTS)) if len(chosen.get((index, True), [])) < ENOUGH_VIBRATING]
    chosen = {key: evenly(group, most) for key, group in chosen.items()}
    life = np.array(generator.life_rms, np.float64)
    for (instrument, vibrates) in chosen:
        life[int(vibrates), instrument, 2 + len(KNOTS) :] = NOISE_LIFE_DB
    scale = np.ones((2, len(INSTRUMENTS), _KINDS, MODULATION_BANDS))
    for _ in range(rounds):
        current = generator.changed(life_rms=_scaled(life, scale))
        made = {key: [generated_movement(current, note) for note, _ in group] for key, group in chosen.items()}
        for (instrument, vibrates), group in chosen.items():
            family = list(INSTRUMENTS.values())[instrument].family
            near = [key for key in chosen if key[1] == vibrates
                    and (key[0] == instrument if len(group) >= _FEWEST
                         else list(INSTRUMENTS.values())[key[0]].family == family)]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # a band that no note is long enough for is NaN
                real = np.nanmedian([moved for key in near for _, moved in chosen[key]], axis=0)
                ours = np.nanmedian([moved for key in near for moved in made[key]], axis=0)
            given = _given(current.life_rms[int(vibrates), instrument].astype(np.float64))
            step = np.clip(np.nan_to_num(_step(real, ours, given), nan=1.0), *_STEP)
            step[:2, :SLOW] = 1.0
            step[2:, :SLOW] = step[2:, SLOW : SLOW + 1]
            if vibrates:
                step[0, VIBRATO_BAND] = 1.0
            if not with_partials:
                step[1] = 1.0
            moved_by = scale[int(vibrates), instrument] * step
            moved_by[:2] = np.clip(moved_by[:2], *_TOTAL)
            moved_by[1, SLOW] = min(moved_by[1, SLOW], 1.0)  # notes swell as slowly: their fluctuation is drawn apart
            moved_by[2:] = np.clip(moved_by[2:], *_NOISE_TOTAL)
            scale[int(vibrates), instrument] = moved_by
    scaled = _scaled(life, scale)
    scaled[1, few, 1] = scaled[0, few, 1]
    return generator.changed(life_rms=scaled)


def slowed(generator: SynthesisGenerator, notes: Sequence[TrainingNote], *, most: int = 60) -> SynthesisGenerator:
    """The generator with the slow life of its partials, from 1 to 2 Hz, made as weak as recorded notes show it.

    What the mean leaves over moves slowly also where the mean itself is wrong. So the partials of generated notes are
    compared with those of recorded ones, each re the sum of all; notes of 1.7 s and more tell. What is slower still too
    few notes are long enough to tell.

    Args:
        generator: calibrated in the faster bands.
        notes: recorded single notes. A family with fewer than eight long ones is left as it is.
        most: of them that are generated, of each family.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    groups: dict[str, list[TrainingNote]] = {}
    for note in notes:
        length = note.facts["offset"] - note.facts["onset"] - _SKIPPED_START - _SKIPPED_END
        if length >= _SLOW_FRAMES and not note.facts["late_attack"]:
            groups.setdefault(INSTRUMENTS[note.facts["instrument"]].family, []).append(note)
    for family, group in groups.items():
        for note in evenly(group, most):
            facts, frames = note.facts, note.frames
            span = slice(facts["onset"] + _SKIPPED_START, facts["offset"] - _SKIPPED_END)
            real = (frames["knots_db"][span, :_PARTIALS] - frames["partial_db"][span, None]).astype(np.float64)
            segment = generated_alone(generator, note)
            first = round((1.0 - segment.start_s) * FRAME_RATE) + _SKIPPED_START
            power = segment.harmonics[first : first + len(real)].astype(np.float64) ** 2
            ours = 10.0 * np.log10(np.maximum(power[:, :_PARTIALS] / power.sum(1, keepdims=True), 1e-12))
            heard = frames["known"][span, : ours.shape[1]].all(0) & (real[:, : ours.shape[1]].mean(0) > -35.0)
            if heard.any() and len(ours) == len(real):
                heard = np.flatnonzero(heard)
                found.setdefault(family, []).append((_slow_power(real[:, heard]), _slow_power(ours[:, heard])))
    life = np.array(generator.life_rms, np.float64)
    for index, instrument in enumerate(INSTRUMENTS.values()):
        told = found.get(instrument.family, [])
        if len(told) >= _FEWEST:
            real, ours = np.median(np.array(told), axis=0)
            life[:, index, 2 : 2 + len(KNOTS), SLOW - 1] *= np.clip(np.sqrt(real / ours), _LEAST_SLOW, 1.0)
    return generator.changed(life_rms=life)


def _slow_power(lines: Array) -> float:
    """Power of movement from 1 to 2 Hz, median over lines [T, C]."""
    return float(np.median(band_rms(_without_swell(lines))[:, SLOW - 1] ** 2))


def _step(real: Array, ours: Array, given: Array) -> Array:
    """Factor on the rms of life that brings our power of movement to the real one's.

    Ours is a floor, which life does not change, and a share of what life was given. The ratio goes too short a way
    where there is a floor, the difference where the share is below 1; the longer of the two is taken.
    """
    ratio = real / ours
    difference = np.maximum(1.0 + (real - ours) / np.maximum(given, 1e-6), 1e-3)
    return np.asarray(np.sqrt(np.where(ratio > 1.0, np.maximum(ratio, difference), np.minimum(ratio, difference))))


def _given(rms: Array) -> Array:
    """Power of life that a generator gives to pitch, a partial and each part of the noise; [_KINDS, B]."""
    power = rms**2
    return np.concatenate([power[1:2], power[:1] + np.median(power[2 : 2 + len(KNOTS)], axis=0)[None],
                           power[2 + len(KNOTS) :]])


def _scaled(life: Array, scale: Array) -> Array:
    """Life [2, I, LIFE_CHANNELS, B] times a scale of pitch, of level and partials, of noise [2, I, _KINDS, B].

    Slow noise, which is not estimated, gets the density of the band above it.
    """
    scaled = np.array(life, np.float64)
    scaled[:, :, 1] *= scale[:, :, 0]
    scaled[:, :, 0] *= scale[:, :, 1]
    scaled[:, :, 2 : 2 + len(KNOTS)] *= scale[:, :, 1, None]
    scaled[:, :, 2 + len(KNOTS) :] *= scale[:, :, 2:]
    width = np.diff(MODULATION_EDGES_HZ)
    for band in range(SLOW):
        scaled[:, :, 2 + len(KNOTS) :, band] = scaled[:, :, 2 + len(KNOTS) :, SLOW] * np.sqrt(width[band] / width[SLOW])
    return scaled.astype(np.float32)


def recorded_movement(note: TrainingNote) -> Array | None:
    """Power of modulation of a recorded note, see ``_movement``; None where it is short or its beginning is lost."""
    facts, frames = note.facts, note.frames
    first, last = facts["onset"] + _SKIPPED_START, facts["offset"] - _SKIPPED_END
    if last - first < _SHORTEST or facts["late_attack"]:
        return None
    span = slice(first, min(last, first + round(_MOST_S * FRAME_RATE)))
    partials = frames["knots_db"][span, :_PARTIALS].astype(np.float64)
    partials[:, ~frames["known"][span, :_PARTIALS].all(0)] = np.nan
    return _movement(frames["f0_cents"][span].astype(np.float64), partials, frames["noise_db"][span].astype(np.float64))


def generated_movement(generator: SynthesisGenerator, note: TrainingNote) -> Array:
    """The same of the note as generated with its measured expression, sounded and analysed as recordings are."""
    return _movement(*_generated(generator, note))


def _movement(cents: Array, partials_db: Array, noise_db: Array) -> Array:
    """Power of modulation of pitch, of the partials that are heard (median over them), and of the noise around each
    of ``NOISE_LIFE_BANDS``; [_KINDS, MODULATION_BANDS]. A parabola is taken away first: a swell is no movement."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        heard = np.nanmedian(partials_db, 0) > np.nanmax(np.nanmedian(partials_db, 0)) - 40.0
        powers = band_rms(_without_swell(partials_db[:, heard])) ** 2
        borders = np.concatenate([[0], (NOISE_LIFE_BANDS[1:] + NOISE_LIFE_BANDS[:-1] + 1) // 2])
        noise = 10.0 * np.log10(np.add.reduceat(10.0 ** (noise_db / 10.0), borders, axis=1))
        return np.concatenate([pitch_movement(cents)[None], np.nanmedian(powers, axis=0)[None],
                               band_rms(_without_swell(noise)) ** 2])


def pitch_movement(cents: Array) -> Array:
    """Power of modulation of a pitch [T] less the parabola that fits it best, cents squared; [MODULATION_BANDS]."""
    return np.asarray(band_rms(_without_swell(cents[:, None]))[0] ** 2)


def _without_swell(series: Array) -> Array:
    """Columns less the parabola that fits each best; [T, C]."""
    time = np.linspace(-1.0, 1.0, len(series))
    basis = np.stack([np.ones(len(series)), time, time**2], axis=1)
    return np.asarray(series - basis @ np.linalg.lstsq(basis, series, rcond=None)[0])


def generated_alone(generator: SynthesisGenerator, note: TrainingNote) -> Segment:
    """A recorded note with its measured expression, generated with nothing around it; its onset is at 1 s."""
    facts = note.facts
    made = Note(id=facts["item"], onset=1.0, duration=facts["seconds"], pitch=facts["pitch"])
    planned = PlannedNote(note=made, onset=1.0, offset=1.0 + facts["seconds"], previous=None, following=None,
                          joined=False, leads=False)
    expression = replace(note.expression, timing_s=0.0, length_ratio=1.0)
    return generator.segment(facts["instrument"], Chain(id=made.id, voice=0, notes=(planned,)),
                             {made.id: expression}, seed=0)


def _generated(generator: SynthesisGenerator, note: TrainingNote) -> tuple[Array, Array, Array]:
    """(f0 in cents, partials in dB, noise in dB) as analysed in a generated note, where the recording is measured."""
    facts, segment = note.facts, generated_alone(generator, note)
    _, audio = render_segment(segment, noise_edges_hz=generator.noise_edges_hz, sample_rate=ANALYSIS_RATE, seed=0,
                              skirts=True)
    start = round((1.0 - segment.start_s) * FRAME_RATE)
    length = min(facts["offset"] - facts["onset"] - _SKIPPED_END - _SKIPPED_START, round(_MOST_S * FRAME_RATE))
    first = start + _SKIPPED_START
    sounding = audio[: round((first + length + _SKIPPED_END) / FRAME_RATE * ANALYSIS_RATE)].astype(np.float64)
    heard = analyse_note(sounding, facts["pitch"], max_partials=_PARTIALS)
    span = slice(first, first + length)
    partials = 20.0 * np.log10(np.maximum(heard.partials[span], 1e-9))
    if partials.shape[1] < _PARTIALS:
        partials = np.pad(partials, ((0, 0), (0, _PARTIALS - partials.shape[1])), constant_values=np.nan)
    return 1200.0 * np.log2(heard.f0_hz[span] / 440.0), partials, heard.noise_db[span]
