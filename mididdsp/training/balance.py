"""Where a network's mean lies beside the recordings on average, instrument by instrument: brightness and noise.

A mean that has the median of every partial is not as bright as a note: recorded partials scatter around it, and the
sum of their powers, which the centroid weighs, hangs on those that happen to be strong. A note that is tilted until it
is as bright as its recording has all upper partials too strong. So what is asked for is put on the line that the
network itself draws through the recorded notes. Noise likewise: its median in dB lies below its mean power, most of all
where it dies away. And how much brighter an instrument is where it plays louder, is told by its dynamics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.instruments import INSTRUMENTS
from mididdsp.synthesis import conformance
from mididdsp.synthesis.frame_network import NOISE_CENTRES
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.synthesis.timbre_tables import TIMBRE_PITCHES
from mididdsp.training.life import generated_alone
from mididdsp.training.prepared_notes import PreparedNote, rows
from mididdsp.training.quantiles import weighted_quantiles
from mididdsp.units import FRAME_RATE

Array = NDArray[np.floating[Any]]

SLOPES = (0.85, 1.0)
"""Of the line: a network that follows by less than the first is made to follow by that."""

_LIKE_PITCH, _NEAR_PITCH, _APART_DB = 1.0, 5.0, 6.0
_FEWEST_PAIRS = 30
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
        for note in _spread(group, _MOST_LINE):
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

    The slope is the median over pairs of notes at most a semitone apart in pitch and 6 dB or more in level, never
    below 0; the range holds 5 to 95 % of the notes. What is nearer in pitch weighs more. With fewer than thirty pairs
    an instrument's brightness stays.

    Args:
        notes: recorded single notes in all dynamics.

    Returns:
        [instruments, TIMBRE_PITCHES, 3]: slope, least, most.
    """
    result = np.zeros((len(INSTRUMENTS), len(TIMBRE_PITCHES), 3), np.float32)
    for instrument in {note.instrument for note in notes}:
        pitch, level, bright = np.array([
            (note.note.facts["pitch"], note.note.expression.level_db, note.note.expression.brightness)
            for note in notes if note.instrument == instrument]).T
        louder = level[:, None] - level
        pairs = np.nonzero((np.abs(pitch[:, None] - pitch) <= _LIKE_PITCH) & (louder >= _APART_DB))
        if len(pairs[0]) < _FEWEST_PAIRS:
            continue
        slopes = (bright[:, None] - bright)[pairs] / louder[pairs]
        for index, middle in enumerate(TIMBRE_PITCHES):
            middle = np.clip(middle, pitch.min(), pitch.max())
            near = np.exp(-0.5 * ((pitch - middle) / _NEAR_PITCH) ** 2)
            slope = weighted_quantiles(slopes, near[pairs[0]], (0.5,))
            span = weighted_quantiles(bright, near, (0.05, 0.95))
            result[instrument, index] = np.append(np.maximum(slope, 0.0), span)
    return result


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
        for prepared in _spread(group, _MOST_NOISE):
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


def _spread(group: list[PreparedNote], most: int) -> list[PreparedNote]:
    """At most so many, evenly over all of them."""
    return [group[index] for index in np.unique(np.linspace(0, len(group) - 1, most).astype(int))]


def _power_mean(decibels: Array) -> Array:
    return np.asarray(10.0 * np.log10((10.0 ** (decibels / 10.0)).mean(0) + 1e-15))
