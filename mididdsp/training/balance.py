"""Where a network's mean lies beside the recordings on average, instrument by instrument: brightness and noise.

A mean that has the median of every partial is not as bright as a note: recorded partials scatter around it, and the
sum of their powers, which the centroid weighs, hangs on those that happen to be strong. A note that is tilted until it
is as bright as its recording has all upper partials too strong. So what is asked for is put on the line that the
network itself draws through the recorded notes. Noise likewise: its median in dB lies below its mean power, most of all
where it dies away. And how much brighter an instrument is where it plays louder, is told by its dynamics and
by crescendi.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.instruments import INSTRUMENTS
from mididdsp.note_lines import smoothed
from mididdsp.synthesis import conformance
from mididdsp.synthesis.frame_network import NOISE_CENTRES
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS, knot_weights
from mididdsp.synthesis.timbre_tables import TIMBRE_PITCHES
from mididdsp.training.evenly import evenly
from mididdsp.training.life import generated_alone
from mididdsp.training.prepared_notes import PreparedNote, rows
from mididdsp.training.quantiles import weighted_quantiles
from mididdsp.units import FRAME_RATE, midi_to_hz

Array = NDArray[np.floating[Any]]

SLOPES = (0.85, 1.0)
"""Of the line: a network that follows by less than the first is made to follow by that."""

_LIKE_PITCH, _NEAR_PITCH, _APART_DB = 1.0, 5.0, 6.0
_FEWEST_PAIRS = 30
_LEAST_SLOPE, _TIMES = 0.005, (0.3, 4.0)
_LONG_SWELL, _SWELL_WINDOW = 375, 21  # frames
_SWELL_SPAN_DB, _LEAST_SWELL_DB = 25.0, 8.0
_FEWEST = 8
_LONG_ENOUGH = 50  # frames
_MOST_LINE, _MOST_NOISE = 120, 48
_RELEASE_FRAMES = 25
_HEARD_DB = -75.0
_MOST_SHIFT_DB = 5.0


def brightness_line(generator: SynthesisGenerator, notes: Sequence[PreparedNote]) -> NDArray[np.float32]:
    """(offset, slope) of the brightness that the network gives over the one it is asked for; [instruments, 2].

    Args:
        generator: its network is asked, without life and conformance.
        notes: recorded ones. With fewer than eight long ones an instrument is given what it is asked for.
    """
    result = np.tile(np.array([0.0, 1.0], np.float32), (len(INSTRUMENTS), 1))
    for instrument, group in _grouped(notes).items():
        asked, given = [], []
        for note in evenly(group, _MOST_LINE):
            facts = note.note.facts
            output = generator.outputs(note.instrument, note.features, rows(note, np.arange(len(note.target))))
            knots = conformance.unheard(output[:, 2 : 2 + len(KNOTS)], facts["pitch"])
            asked.append(note.note.expression.brightness)
            given.append(conformance.centroid(knots, output[:, 0], facts["onset"], facts["offset"], facts["pitch"]))
        if len(asked) >= _FEWEST:
            slope = float(np.clip(np.polyfit(asked, given, 1)[0], *SLOPES))
            result[instrument] = float(np.median(np.array(given) - slope * np.array(asked))), slope
    return result


def swell_brightness(notes: Sequence[PreparedNote]) -> NDArray[np.float32]:
    """How brightness goes with the level at each pitch: octaves a dB, and the range of brightness in which it does.

    The slope is the median over pairs of notes at most a semitone apart in pitch and 6 dB or more in the level of
    their dynamics, never below 0; the range holds 5 to 95 % of the notes. What is nearer in pitch weighs more. With
    fewer than thirty pairs an instrument's brightness stays. Crescendi and diminuendi of held notes, where there are
    eight or more, say how many times as much it moves inside a note, the same for all instruments: so few are of one
    that what it has of its own there does not foretell others of it.

    Args:
        notes: recorded single notes in all dynamics.

    Returns:
        [instruments, TIMBRE_PITCHES, 3]: slope, least, most.
    """
    result = np.zeros((len(INSTRUMENTS), len(TIMBRE_PITCHES), 3), np.float32)
    for instrument in {note.instrument for note in notes}:
        group = [note.note for note in notes if note.instrument == instrument]
        pitch, level, bright = np.array([
            (note.facts["pitch"], note.expression.level_db, note.expression.brightness) for note in group]).T
        slopes, pairs = _slopes(pitch, _levels_of_dynamics(group), bright)
        if len(slopes) < _FEWEST_PAIRS:  # all of one dynamic, or of none that is known
            slopes, pairs = _slopes(pitch, level, bright)
        if len(slopes) < _FEWEST_PAIRS:
            continue
        for index, middle in enumerate(TIMBRE_PITCHES):
            middle = np.clip(middle, pitch.min(), pitch.max())
            near = np.exp(-0.5 * ((pitch - middle) / _NEAR_PITCH) ** 2)
            slope = weighted_quantiles(slopes, near[pairs], (0.5,))
            span = weighted_quantiles(bright, near, (0.05, 0.95))
            result[instrument, index] = np.append(np.maximum(slope, 0.0), span)
    result[..., 0] *= _more_inside(result[..., 0], notes)
    return result


def _levels_of_dynamics(notes: Sequence[TrainingNote]) -> Array:
    """The median level of each note's dynamic, NaN where it has none; [N].

    Takes of one dynamic differ in level by 4 dB by chance, and are no brighter for it: by the levels of the takes a
    string's slope came out half as large.
    """
    told = np.array([note.facts.get("velocity") or np.nan for note in notes], dtype=np.float64)
    level = np.array([note.expression.level_db for note in notes])
    return np.array([np.median(level[told == own]) if np.isfinite(own) else np.nan for own in told])


def _slopes(pitch: Array, level: Array, bright: Array) -> tuple[Array, NDArray[np.int64]]:
    """(octaves a dB of each pair of notes of like pitch and unlike level, the louder of each)."""
    louder = level[:, None] - level
    pairs = np.nonzero((np.abs(pitch[:, None] - pitch) <= _LIKE_PITCH) & (louder >= _APART_DB))
    return (bright[:, None] - bright)[pairs] / louder[pairs], pairs[0]


def _more_inside(slopes: Array, notes: Sequence[PreparedNote]) -> float:
    """How many times as much brightness moves with the level inside notes as from one dynamic to another.

    Args:
        slopes: between dynamics; [instruments, TIMBRE_PITCHES].
        notes: crescendi and diminuendi among them.
    """
    times: dict[int, list[float]] = {}
    for note in notes:
        inside = _slope_inside(note.note)
        if inside is None:
            continue
        nearest = int(np.argmin(np.abs(TIMBRE_PITCHES - note.note.facts["pitch"])))
        between = max(float(slopes[note.instrument, nearest]), _LEAST_SLOPE)
        times.setdefault(note.instrument, []).append(float(np.clip(inside / between, *_TIMES)))
    if sum(len(found) for found in times.values()) < _FEWEST:
        return 1.0
    return float(np.exp(np.mean([np.mean(np.log(found)) for found in times.values()])))


def _slope_inside(note: TrainingNote) -> float | None:
    """Octaves a dB inside a crescendo or diminuendo; None where a note is none, or moves by too little."""
    begin, end = note.facts["onset"], note.facts["offset"]
    if "cresc" not in note.facts.get("dynamic", "") or end - begin < _LONG_SWELL:
        return None
    count = int(np.clip(15_500.0 / midi_to_hz(note.facts["pitch"]), 1, 300))
    power = 10 ** (note.frames["knots_db"][begin:end].astype(np.float64) @ knot_weights(count).T / 10)
    octaves = np.log2((power * np.arange(1, count + 1)).sum(1) / power.sum(1))
    level = smoothed(note.frames["partial_db"][begin:end].astype(np.float64), _SWELL_WINDOW)
    loud = level > level.max() - _SWELL_SPAN_DB
    if np.ptp(level[loud]) < _LEAST_SWELL_DB:
        return None
    return float(np.polyfit(level[loud], smoothed(octaves, _SWELL_WINDOW)[loud], 1)[0])


def noise_shift(generator: SynthesisGenerator, notes: Sequence[PreparedNote]) -> NDArray[np.float32]:
    """What the noise of generated notes lacks, dB, in every band, while they are held and as they die away.

    Args:
        generator: generates each note with its measured expression; of what it adds to the noise nothing is kept.
        notes: recorded single notes, their ends among them.

    Returns:
        [instruments, 2, bands]: medians over notes of recorded over generated power.
    """
    plain = generator.changed(noise_shift_db=np.zeros_like(generator.noise_shift_db))
    result = np.zeros((len(INSTRUMENTS), 2, NOISE_CENTRES), np.float32)
    for instrument, group in _grouped(notes).items():
        found: list[list[Array]] = [[], []]
        for prepared in evenly(group, _MOST_NOISE):
            note = prepared.note
            facts, segment = note.facts, generated_alone(plain, note)
            onset, offset = facts["onset"], facts["offset"]
            start = round((1.0 - segment.start_s) * FRAME_RATE) - onset
            real = note.frames["noise_db"].astype(np.float64) + note.gain_db
            last = min(offset + _RELEASE_FRAMES, len(real), len(segment.noise_db) - start)
            spans = [_held(note)]
            if not facts["unfinished"] and last - offset > _RELEASE_FRAMES // 2:
                spans.append(slice(offset, last))
            for which, span in enumerate(spans):
                theirs = _power_mean(real[span])
                ours = _power_mean(segment.noise_db[start + span.start : start + span.stop].astype(np.float64))
                heard = np.maximum(theirs, ours) > note.expression.level_db + _HEARD_DB
                found[which].append(np.where(heard, theirs - ours, 0.0))
        for which, told in enumerate(found):
            if len(told) >= _FEWEST:
                shift = np.convolve(np.pad(np.median(told, axis=0), 2, mode="edge"), np.ones(5) / 5, mode="valid")
                result[instrument, which] = np.clip(shift, -_MOST_SHIFT_DB, _MOST_SHIFT_DB)
    return result


def _grouped(notes: Sequence[PreparedNote]) -> dict[int, list[PreparedNote]]:
    groups: dict[int, list[PreparedNote]] = {}
    for note in notes:
        facts = note.note.facts
        if facts["offset"] - facts["onset"] >= _LONG_ENOUGH and not facts["late_attack"]:
            groups.setdefault(note.instrument, []).append(note)
    return groups


def _held(note: TrainingNote) -> slice:
    """Frames from 20 to 70 % of a note."""
    onset, length = note.facts["onset"], note.facts["offset"] - note.facts["onset"]
    return slice(onset + length // 5, onset + 7 * length // 10)


def _power_mean(decibels: Array) -> Array:
    return np.asarray(10.0 * np.log10((10.0 ** (decibels / 10.0)).mean(0) + 1e-15))
