"""How level, brightness and noise of notes move with their vibrato: what recorded notes do, less what the network does.

Recorded notes that vibrate tell it: the lines of each are fitted by the swing of its pitch and the same a quarter
period later. The network follows the swing by half of that, as all that it learns it learns in the mean. Few clips of
most winds vibrate, and of some none; what published measurements of players say of those counts as much as eight notes
would.

Strings are left alone: a partial of theirs swings as its own resonances have it, one louder and another softer
(``training.body``).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.instruments import INSTRUMENTS
from mididdsp.note_lines import smoothed
from mididdsp.synthesis.frame_network import INSTRUMENT_IDS
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.synthesis.types import Segment
from mididdsp.synthesis.vibrato import SWELL_CENTS
from mididdsp.training.evenly import evenly
from mididdsp.training.life import VIBRATO_BAND, generated_alone
from mididdsp.training.swings import inside, period_of, swing_of
from mididdsp.units import FRAME_RATE

Array = NDArray[np.floating[Any]]

PUBLISHED: Mapping[str, tuple[float, float, float, float]] = MappingProxyType({
    "flute": (1.44, -26.6, 0.82, 11.0),
    "oboe": (0.77, 9.9, 0.66, 11.0),
    "english_horn": (0.77, 9.9, 0.66, 11.0),
    "saxophone": (1.19, -4.9, 0.65, 24.0),
    "bassoon": (0.89, -169.0, 0.58, 9.9),
    "contrabassoon": (0.89, -169.0, 0.58, 9.9),
    "trumpet": (0.50, 100.0, 0.32, 8.6),
    "horn": (0.33, -16.9, 0.35, 7.1),
    "trombone": (0.57, 129.0, 0.10, 8.6),
    "tuba": (0.27, -174.0, 0.83, 7.2),
})
"""Swing of the level that goes with the pitch, dB from centre to peak; its phase after the pitch's, degrees, and how
much alike notes are in it, 0 to 1; extent of their vibrato, cents. Medians over notes of 0.8 s and more
(figures/playing.json); the English horn's are the oboe's, the contrabassoon's the bassoon's."""

PUBLISHED_NOTES = 8.0
"""As many notes would count as much."""

NOTES = 30
"""Notes of an instrument that are generated, at most."""

FEWEST = 8
"""With fewer notes that vibrate an instrument's other notes are generated with a vibrato."""

LEAST_LIFE = 0.5
"""Life at the rate of a vibrato, which was learned as noise, is not made smaller than by this."""

_HEARD_DB = 40.0
_MOST_PARTIALS = 16
_MADE_UP_RATE_HZ, _MADE_UP_DELAY_S = 5.5, 0.1


def with_swell(generator: SynthesisGenerator, notes: Sequence[TrainingNote]) -> SynthesisGenerator:
    """The generator with ``vibrato_swell_db``, and with as much less life of notes with vibrato.

    Args:
        generator: with its life.
        notes: recorded ones. An instrument without notes, and one of which nothing is published, is left as it is.
    """
    plain = generator.changed(vibrato_swell_db=None)
    result = np.zeros((len(INSTRUMENTS), 4, 2), np.float32)
    life = np.array(generator.life_rms, np.float32)
    for instrument, published in PUBLISHED.items():
        group = [note for note in notes if note.facts["instrument"] == instrument
                 and note.facts["offset"] - note.facts["onset"] >= 0.6 * FRAME_RATE]
        if not group:
            continue
        vibrating = [note for note in group if note.expression.vibrato_cents and note.expression.vibrato_rate_hz]
        recorded = _told([recorded_swell(note) for note in vibrating])
        many = vibrating if len(recorded) >= FEWEST else [_vibrating(note, published[3]) for note in group]
        ours = _told([generated_swell(generated_alone(plain, note), note) for note in evenly(many, NOTES)])
        number = INSTRUMENT_IDS[instrument]
        result[number] = swell_lacking(recorded, ours, published)
        added = result[number, [0, 3]] * published[3] / SWELL_CENTS
        power = 0.5 * float((added**2).sum())
        band = life[1, number, 0, VIBRATO_BAND]
        life[1, number, 0, VIBRATO_BAND] = np.sqrt(max(band**2 - power, (LEAST_LIFE * band) ** 2))
    return generator.changed(vibrato_swell_db=result, life_rms=life)


def swell_lacking(recorded: Array, ours: Array, published: tuple[float, float, float, float]) -> Array:
    """``amounts`` of ``vibrato.swell``; [4, 2].

    Args:
        recorded: of recorded notes, NaN where a note does not tell; [notes, level tilt noise, 2].
        ours: the same of generated ones.
        published: see ``PUBLISHED``.
    """
    level_db, degrees, alike, cents = published
    played = level_db * SWELL_CENTS / cents
    angle = np.radians(degrees)
    # a line that follows the pitch by an angle has its top that much later; ``turned`` is a quarter period later too
    common = played * alike * np.array([np.cos(angle), np.sin(-angle)])
    result = np.zeros((4, 2))
    if not len(ours):
        return result
    share = len(recorded) / (len(recorded) + PUBLISHED_NOTES)
    lacking = np.zeros((3, 2))
    if len(recorded):
        lacking = np.nan_to_num(_medians(recorded) - _medians(ours))
    result[:3] = share * lacking
    result[0] += (1.0 - share) * (common - _medians(ours)[0])
    result[2] += (1.0 - share) * result[0]  # noise that nobody tells of moves with the partials
    spread = (1.0 - share) * played * np.sqrt((1.0 - alike**2) / 2.0)
    if len(recorded):
        spread += share * _deviation(recorded[:, 0])
    result[3] = np.sqrt(max(spread**2 - _deviation(ours[:, 0]) ** 2, 0.0))
    return result


def recorded_swell(note: TrainingNote) -> Array:
    """dB for ``SWELL_CENTS`` of level, tilt and noise, with the swing and a quarter period later; [3, 2]."""
    facts, frames, rate = note.facts, note.frames, note.expression.vibrato_rate_hz
    span = inside(note, facts["onset"], facts["offset"])
    knots = frames["knots_db"][span].astype(np.float64)
    knots[:, frames["known"][span].mean(0) < 0.9] = np.nan
    noise = (10.0 ** (frames["noise_db"][span].astype(np.float64) / 10.0)).sum(1)
    return _swell_of(frames["f0_cents"][span].astype(np.float64), frames["partial_db"][span].astype(np.float64), knots,
                     10.0 * np.log10(noise + 1e-14), rate or _MADE_UP_RATE_HZ)


def generated_swell(segment: Segment, note: TrainingNote) -> Array:
    """The same of a note generated alone, its onset at 1 s."""
    facts = note.facts
    onset = round((1.0 - segment.start_s) * FRAME_RATE)
    span = inside(note, onset, onset + facts["offset"] - facts["onset"])
    amplitude = segment.harmonics[span].astype(np.float64)
    sum_db = segment.amplitude_db[span].astype(np.float64)
    numbers = KNOTS[amplitude.shape[1] >= KNOTS].astype(int)
    knots = np.full((len(amplitude), len(KNOTS)), np.nan)
    knots[:, : len(numbers)] = sum_db[:, None] + 20.0 * np.log10(amplitude[:, numbers - 1] + 1e-9)
    level = sum_db + 10.0 * np.log10((amplitude**2).sum(1) / 2.0)
    noise = (10.0 ** (segment.noise_db[span].astype(np.float64) / 10.0)).sum(1)
    return _swell_of(1200.0 * np.log2(segment.f0_hz[span] / 440.0), level, knots, 10.0 * np.log10(noise + 1e-14),
                     note.expression.vibrato_rate_hz or _MADE_UP_RATE_HZ)


def _swell_of(cents: Array, level: Array, knots: Array, noise: Array, rate_hz: float) -> Array:
    """dB for ``SWELL_CENTS``; NaN where there are not two whole periods; [3, 2]."""
    period = period_of(rate_hz)
    result = np.full((3, 2), np.nan)
    if len(cents) < 3 * period:
        return result
    swing, turned = swing_of(cents, rate_hz)
    whole = slice(period // 2, -(period // 2))
    basis = np.stack([swing[whole], turned[whole]], axis=1)
    fit = SWELL_CENTS * np.linalg.pinv(basis)

    def amounts(line: Array) -> Array:
        return np.asarray(fit @ (line - smoothed(line, period))[whole])

    result[0], result[2] = amounts(level), amounts(noise)
    mean = knots.mean(0)
    if not np.isfinite(mean).any():
        return result
    heard = np.flatnonzero(mean[:_MOST_PARTIALS] > np.nanmax(mean) - _HEARD_DB)
    if len(heard) >= 4:
        each = np.stack([amounts(knots[:, knot]) for knot in heard])
        octave = np.log2(KNOTS[heard])
        result[1] = np.polyfit(octave, each, 1)[0]
    return result


def _vibrating(note: TrainingNote, cents: float) -> TrainingNote:
    if note.expression.vibrato_cents and note.expression.vibrato_rate_hz:
        return note
    return replace(note, expression=replace(note.expression, vibrato_cents=cents, vibrato_rate_hz=_MADE_UP_RATE_HZ,
                                            vibrato_delay_s=_MADE_UP_DELAY_S))


def _told(swells: Sequence[Array]) -> Array:
    """Those that tell of the level; [notes, 3, 2]."""
    told = [swell for swell in swells if np.isfinite(swell[0, 0])]
    return np.stack(told) if told else np.zeros((0, 3, 2))


def _medians(swells: Array) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # too few partials are heard for a tilt: NaN
        return np.asarray(np.nanmedian(swells, axis=0))


def _deviation(values: Array) -> float:
    """Spread of both columns about their medians, robust."""
    return float(1.4826 * np.median(np.abs(values - np.median(values, axis=0))))
