"""The resonances that a vibrato of strings slides over, read off recorded notes that vibrate.

Each partial of such a note tells a slope: dB of its level that go with the swing of its pitch, less what the network
says of it. Slopes at the same frequency are much alike in notes of other pitches, the more the lower they are; within
20 cents they are others. So the resonances are a Gaussian process over the frequency, of which the slopes are what a
swing finds of it. What is kept is one draw of it given all that the notes tell, not its mean: where no note tells
anything a body has resonances too. What a note has of its own is drawn in the same way, from nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.instruments import INSTRUMENTS
from mididdsp.note_lines import smoothed
from mididdsp.random import keyed_generator
from mididdsp.synthesis.body import BODY_CENTS, BODY_LOW_HZ, BODY_POINTS, BODY_STEP_CENTS
from mididdsp.synthesis.frame_network import INSTRUMENT_IDS
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS, SINGLE_KNOTS
from mididdsp.synthesis.life import MODULATION_EDGES_HZ, band_rms
from mididdsp.synthesis.types import Segment
from mididdsp.training.evenly import evenly
from mididdsp.training.life import VIBRATO_BAND, generated_alone, generated_movement, recorded_movement
from mididdsp.training.swings import inside, period_of, swing_of
from mididdsp.units import FRAME_RATE, midi_to_hz

Array = NDArray[np.floating[Any]]

WIDTH_OCTAVES, WIDTH_CENTS = (-2.0, 0.0, 1.5, 3.0), (40.0, 18.0, 14.0, 18.0)
"""How wide resonances are: cents at 250 Hz, 1, 3 and 8 kHz, octaves re 1 kHz. Chosen, as the next is, by the
likelihood of training notes of the violin, viola and cello."""

OWN_GROWTH = 0.7
"""The share of the variance that each note has of its own: a logistic curve of so much an octave, half at 1 kHz."""

HEIGHT_DB = 3.8
"""Standard deviation of the resonances; an instrument's own differs by as much as its slopes do."""

LEAST_LIFE = 0.35
"""Life at the rate of a vibrato and twice that, which was learned as noise, is not made smaller than by this."""

NOTES, ROUNDS = 24, 3
"""So many notes of an instrument, at most, are generated and sounded to see how much they move, so many times."""

FEWEST = 12
"""With fewer notes that vibrate nothing is told of an instrument."""

_HEARD_DB = 40.0
_LEAST_CENTS = 3.0  # rms; of less swing a slope is all noise
_MOST_SLOPE_DB = 6.0
_ALIKE_FRAMES = 12.0  # frames nearer to one another than this tell about the same
_LEAST_VARIANCE = 0.05
_MOST_OFF_CENTS = 100.0
_CYCLE = 12
_LONG_FRAMES = 150


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slopes:
    """What the partials of one note do with its vibrato.

    Attributes:
        partials: their numbers; [N].
        cents: of each above ``BODY_LOW_HZ``; [N].
        with_it: dB for 10 cents, in phase with the pitch; [N].
        variance: of those by chance; [N].
        extent: of the swing, cents from centre to peak.
    """

    partials: NDArray[np.int64]
    cents: Array
    with_it: Array
    variance: Array
    extent: float


def with_body(generator: SynthesisGenerator, notes: Sequence[TrainingNote]) -> SynthesisGenerator:
    """The generator with ``body_db`` of strings, and with as much less life of their notes with vibrato.

    Args:
        generator: with its life.
        notes: recorded ones. An instrument of which fewer than ``FEWEST`` vibrate is left as it is.
    """
    plain = generator.changed(body_db=None, life_rms=np.zeros_like(generator.life_rms))
    result = np.zeros((len(INSTRUMENTS), 2, BODY_POINTS), np.float32)
    life = np.array(generator.life_rms, np.float32)
    for name, instrument in INSTRUMENTS.items():
        if instrument.family != "strings":
            continue
        both = [(note, recorded_slopes(note)) for note in notes if note.facts["instrument"] == name]
        told = [(note, slopes) for note, slopes in both if slopes is not None]
        if len(told) < FEWEST:
            continue
        number = INSTRUMENT_IDS[name]
        result[number] = drawn_body(
            [_less(slopes, generated_slopes(generated_alone(plain, note), note)) for note, slopes in told], key=name)
        vibrating = [note for note, _ in told]
        share = unswung_share(vibrating)
        scale = _life_wanted(generator.changed(body_db=result), number, share, vibrating)
        life[1, number] = _scaled(generator.life_rms[1, number], share, scale)
    return generator.changed(body_db=result, life_rms=life)


def _life_wanted(
    generator: SynthesisGenerator, number: int, share: Array, notes: Sequence[TrainingNote]
) -> Array:
    """Factors on the power of life in two bands, beside its share, with which partials move as much as recorded; [2].

    What goes with the vibrato and life add up to what is heard; the share says how life is spread over partials.
    """
    pairs = [(note, recorded_movement(note)) for note in notes if "gap_after" not in note.facts]
    known = [(note, moved) for note, moved in pairs if moved is not None]
    some = evenly(known, NOTES)
    scale = np.ones(2)
    bands = slice(VIBRATO_BAND, VIBRATO_BAND + 2)
    if len(some) < FEWEST or not generator.life_rms[1, number, :, bands].any():
        return scale
    real = np.nanmedian([moved[1, bands] for _, moved in some], axis=0)
    for _ in range(ROUNDS):
        life = np.array(generator.life_rms)
        life[1, number] = _scaled(life[1, number], share, scale)
        made = generator.changed(life_rms=life)
        ours = np.nanmedian([generated_movement(made, note)[1, bands] for note, _ in some], axis=0)
        given = life[1, number, 0, bands] ** 2 + np.median(life[1, number, 2 : 2 + len(KNOTS), bands] ** 2, axis=0)
        scale = scale * np.clip(1.0 + (real - ours) / np.maximum(given, 1e-6), 0.25, 4.0)
        scale = np.clip(scale, LEAST_LIFE**2 / share[1:].mean(0), 1.0 / share[1:].mean(0))
    return scale


def _scaled(life: Array, share: Array, scale: Array) -> Array:
    """Life of an instrument [LIFE_CHANNELS, MODULATION_BANDS] with a share of its power at the vibrato's rate and at
    twice that: never less than ``LEAST_LIFE`` of it, never more than there was."""
    result = np.array(life)
    for channels, own in ((slice(0, 1), share[:1]), (slice(2, 2 + len(KNOTS)), share[1:])):
        result[channels, VIBRATO_BAND : VIBRATO_BAND + 2] *= np.sqrt(np.clip(own * scale, LEAST_LIFE**2, 1.0))
    return result


def drawn_body(slopes: Sequence[Slopes], *, key: str) -> Array:
    """Resonances that notes have in common, and some like those that each has of its own; [2, BODY_POINTS].

    Args:
        slopes: of the notes of one instrument.
        key: of the draw.
    """
    octaves = np.log2(BODY_LOW_HZ / 1000.0) + BODY_CENTS / 1200.0
    own = 1.0 / (1.0 + np.exp(-OWN_GROWTH * octaves))
    width = np.interp(octaves, WIDTH_OCTAVES, WIDTH_CENTS)
    place = np.concatenate([[0.0], np.cumsum(2.0 * BODY_STEP_CENTS / (width[1:] + width[:-1]))])
    alike = HEIGHT_DB**2 * np.exp(-0.5 * (place[:, None] - place) ** 2)
    common = alike * np.sqrt(np.outer(1.0 - own, 1.0 - own))
    apart = alike * np.sqrt(np.outer(own, own))
    found, value, variance = _observed(slopes)
    by_common = found @ common
    by_own = ((found @ apart) * found).sum(1)
    scale = max(float((value**2 - variance).mean()), 0.0) / float(((by_common * found).sum(1) + by_own).mean())
    noise = scale * by_own + variance
    random = keyed_generator(0, key, "body")
    first, second = (_square_root(matrix) @ random.standard_normal(BODY_POINTS) * np.sqrt(scale)
                     for matrix in (common, apart))
    believed = scale * by_common @ found.T + np.diag(noise)
    off = value - found @ first - np.sqrt(noise) * random.standard_normal(len(value))
    return np.stack([first + scale * by_common.T @ np.linalg.solve(believed, off), second])


def _observed(slopes: Sequence[Slopes]) -> tuple[Array, Array, Array]:
    """(what each slope is of the resonances [N, BODY_POINTS], slopes [N], their variance [N])."""
    cents = np.concatenate([note.cents for note in slopes])
    extent = np.concatenate([np.full(len(note.cents), note.extent) for note in slopes])
    value = np.concatenate([note.with_it for note in slopes])
    variance = np.concatenate([note.variance for note in slopes])
    kept = (cents > extent) & (cents + extent < BODY_CENTS[-1] - BODY_STEP_CENTS)
    cents, extent = cents[kept], extent[kept]
    found = np.zeros((len(cents), BODY_POINTS))
    for turn in np.cos(np.pi * (np.arange(_CYCLE) + 0.5) / _CYCLE):
        weight = 10.0 * turn / (0.5 * extent * _CYCLE)  # regression on the swing
        at = (cents + extent * turn) / BODY_STEP_CENTS
        left = np.floor(at).astype(int)
        found[np.arange(len(cents)), left] += weight * (1.0 - (at - left))
        found[np.arange(len(cents)), left + 1] += weight * (at - left)
    return found, np.clip(value[kept], -_MOST_SLOPE_DB, _MOST_SLOPE_DB), variance[kept]


def _square_root(matrix: Array) -> Array:
    """Of a covariance of lines so smooth that it is all but singular."""
    return np.linalg.cholesky(matrix + 1e-6 * HEIGHT_DB**2 * np.eye(len(matrix)))


def recorded_slopes(note: TrainingNote) -> Slopes | None:
    """What the partials of a recorded note do; None without a vibrato of three periods."""
    facts, frames = note.facts, note.frames
    span = inside(note, facts["onset"], facts["offset"])
    if not note.expression.vibrato_cents or not note.expression.vibrato_rate_hz or span.stop <= span.start:
        return None
    knots = frames["knots_db"][span, :SINGLE_KNOTS].astype(np.float64)
    known = frames["known"][span, :SINGLE_KNOTS].mean(0) > 0.95
    return _slopes(frames["f0_cents"][span].astype(np.float64), knots, known, note)


def generated_slopes(segment: Segment, note: TrainingNote) -> Slopes | None:
    """The same of a note generated alone, its onset at 1 s."""
    onset = round((1.0 - segment.start_s) * FRAME_RATE)
    span = inside(note, onset, onset + note.facts["offset"] - note.facts["onset"])
    share = segment.harmonics[span, :SINGLE_KNOTS].astype(np.float64)
    partials = segment.amplitude_db[span, None].astype(np.float64) + 20.0 * np.log10(share + 1e-9)
    cents = 1200.0 * np.log2(segment.f0_hz[span].astype(np.float64) / midi_to_hz(note.facts["pitch"]))
    return _slopes(cents, partials, np.ones(partials.shape[1], bool), note)


def _slopes(cents: Array, knots: Array, known: NDArray[np.bool_], note: TrainingNote) -> Slopes | None:
    rate_hz = note.expression.vibrato_rate_hz or 1.0
    period = period_of(rate_hz)
    if len(cents) < 3 * period:
        return None
    mean = knots.mean(0)
    heard = np.flatnonzero(known & (mean > mean[known].max(initial=-200.0) - _HEARD_DB))
    swing, turned = swing_of(cents, rate_hz)
    whole = slice(period // 2, -(period // 2))
    basis = np.stack([swing[whole], turned[whole]], axis=1)
    power = float((basis[:, 0] ** 2).mean())
    off = float(np.median(cents))
    if power < _LEAST_CENTS**2 or abs(off) > _MOST_OFF_CENTS or len(heard) == 0:
        return None
    lines = np.stack([smoothed(line - smoothed(line, period), 5)[whole] for line in knots[:, heard].T], axis=1)
    fit = np.linalg.pinv(basis) @ lines
    left = ((lines - basis @ fit) ** 2).mean(0)
    number = KNOTS[heard]
    above = 1200.0 * np.log2(midi_to_hz(note.facts["pitch"]) * number / BODY_LOW_HZ) + off
    variance = np.maximum(_ALIKE_FRAMES * 100.0 * left / (len(basis) * power), _LEAST_VARIANCE)
    return Slopes(partials=number.astype(np.int64), cents=above, with_it=10.0 * fit[0], variance=variance,
                  extent=float(np.sqrt(2.0 * power)))


def _less(recorded: Slopes, ours: Slopes | None) -> Slopes:
    """What a recorded note does beyond what the network says."""
    if ours is None:
        return recorded
    said = dict(zip(ours.partials.tolist(), ours.with_it.tolist()))
    network = np.array([said.get(number, 0.0) for number in recorded.partials.tolist()])
    return replace(recorded, with_it=recorded.with_it - network)


def unswung_share(notes: Sequence[TrainingNote]) -> Array:
    """Share of the power of movement from 4 to 8 and from 8 to 16 Hz that does not go with the vibrato or at twice its
    rate, of level and knots; [1 + KNOTS, 2], medians over recorded notes.

    Knots of several partials are taken to be as the higher single ones are.
    """
    shares = [share for share in map(_unswung, notes) if share is not None]
    if not shares:
        return np.ones((1 + len(KNOTS), 2))
    every, rest = np.stack([share[0] for share in shares]), np.stack([share[1] for share in shares])
    single = np.full((1 + SINGLE_KNOTS, 2), np.nan)
    for channel in range(1 + SINGLE_KNOTS):
        told = np.isfinite(every[:, channel]).all(1)
        if told.sum() >= FEWEST:
            single[channel] = np.median(rest[told, channel], axis=0) / np.median(every[told, channel], axis=0)
    upper = single[1 + SINGLE_KNOTS // 2 :]
    usual = np.median(upper[np.isfinite(upper).all(1)], axis=0) if np.isfinite(upper).all(1).any() else np.ones(2)
    single = np.where(np.isfinite(single), single, usual)
    every_knot = np.concatenate([single, np.tile(usual, (len(KNOTS) - SINGLE_KNOTS, 1))])
    return np.asarray(np.clip(every_knot, LEAST_LIFE**2, 1.0))


def _unswung(note: TrainingNote) -> tuple[Array, Array] | None:
    """(power of movement, of that besides the vibrato) in two bands, dB^2 [1 + SINGLE_KNOTS, 2]; NaN: not heard."""
    facts, frames, rate_hz = note.facts, note.frames, note.expression.vibrato_rate_hz
    span = inside(note, facts["onset"], facts["offset"])
    count = span.stop - span.start
    if not rate_hz or count < _LONG_FRAMES:
        return None
    period = period_of(rate_hz)
    swing, turned = swing_of(frames["f0_cents"][span].astype(np.float64), rate_hz)
    knots = frames["knots_db"][span, :SINGLE_KNOTS].astype(np.float64)
    mean = knots.mean(0)
    known = frames["known"][span, :SINGLE_KNOTS].mean(0) > 0.95
    heard = known & (mean > mean[known].max(initial=-200.0) - _HEARD_DB)
    lines = np.concatenate([frames["partial_db"][span, None].astype(np.float64), knots], axis=1)
    lines = lines - np.stack([smoothed(line, period) for line in lines.T], axis=1)
    basis = np.stack([swing, turned, swing**2 - turned**2, swing * turned], axis=1)
    left = lines - basis @ (np.linalg.pinv(basis) @ lines)
    every, rest = (band_rms(these)[:, VIBRATO_BAND : VIBRATO_BAND + 2] ** 2 for these in (lines, left))
    # two numbers were fitted in each band, to as many as it has room for
    room = 2.0 * np.diff(MODULATION_EDGES_HZ)[VIBRATO_BAND : VIBRATO_BAND + 2] * count / FRAME_RATE
    rest = rest * room / (room - 2.0)
    every[1:][~heard] = np.nan
    return every, rest
