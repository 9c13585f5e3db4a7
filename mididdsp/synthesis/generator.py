"""p(synthesis parameters | notes, expression, instrument), note-parallel.

A note's frames are generated in the note's own window from its expression and its neighbours' intervals, in three
steps:

1. **Mean**: a network of dense layers tells level contour, partials, noise and slow pitch of every frame from where the
   frame lies in its note. Frames see no other frame, so any window of any note can be generated alone.
2. **Life**: coloured noise, keyed by the note's id, gives partials, level and pitch the micro-variation that players
   have; its spectra are learned from what the mean leaves over. Above the twelfth, where a knot of the model stands for
   several partials, each of them moves by itself, keyed by the segment's id, and lies as far off the line between
   the knots as it does in one take and not in the next. ``temperature`` scales it; 0 is the mean.
   A vibrato moves level, partials and noise with the pitch, by as much as is learned; those of strings slide over the
   resonances of the body.
3. **Conformance**: level, fluctuation, brightness, attack noise, vibrato, tuning, onset and release are made what the
   expression asks for, by the definitions of ``mididdsp.expression.analysis``.

Joined notes share a segment: their windows are cross-faded in log f0 and dB over the transition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mididdsp.expression.types import NoteExpression
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.types import Chain, Note, PartPlan
from mididdsp.random import keyed_generator
from mididdsp.synthesis import conformance, vibrato
from mididdsp.synthesis.body import BODY_POINTS, OWN_SHIFT_CENTS, common_sway, sway
from mididdsp.synthesis.frame_network import (
    FRAME_FEATURES,
    INSTRUMENT_IDS,
    NOISE_CENTRES,
    OUTPUT_SCALE,
    FrameNetwork,
    SynthesisConfig,
    frame_features,
    note_features,
)
from mididdsp.synthesis.joints import (
    Place,
    Window,
    bridged,
    joined_constants,
    joined_sway,
    joined_windows,
    places_of,
)
from mididdsp.synthesis.knots import KNOTS, SINGLE_KNOTS, knot_weights, partials_of_knots
from mididdsp.synthesis.life import NOISE_FRAMES, draw, read
from mididdsp.synthesis.timbre_tables import NOISE_TURN_S, TIMBRE_PITCHES, timbre_at
from mididdsp.synthesis.types import Segment
from mididdsp.tiles import FRAME_TILE, padded_length
from mididdsp.units import FRAME_RATE, midi_to_hz

Array = NDArray[np.floating[Any]]
NoteCurves = Callable[[str, str, Array], tuple[Array, Array] | None]
"""(target, note id, times in s [N]) → (factor [N], summand [N]): what is drawn makes of a generated line, in dB or
cents, factor * line + summand. Targets are ``level`` (timbre follows), ``gain`` (it does not) and ``pitch`` (the line
is the deviation from the written pitch). None where nothing is drawn."""

NOISE_LIFE_BANDS = np.array([1, 5, 9, 13, 18, 23, 28, 33, 37])
"""Noise bands whose level moves by itself; those between them move with both neighbours."""

LIFE_CHANNELS = 2 + len(KNOTS) + len(NOISE_LIFE_BANDS)
"""Common level, pitch, knots of the partials, noise."""

DYING_OVER_DB = 8.0
"""Over so much of a fall partials that die away come apart from one another."""

DULLING = {"strings": 0.5, "woodwind": 0.4, "brass": 0.25}
"""Upper partials die away first: by so many dB an octave for each dB of a fall, beyond what the network says, which
knows how long ago a note ended and not how far it has fallen."""

DULLED_FROM_DB, DULLED_OVER_DB = 2.0, 20.0
"""What a note has fallen since its end when it begins to, and over how much of the fall it goes on."""

SLOW_LIFE = 4
"""Bands of modulation below this one (8 Hz) have no room in a short note: its pitch would wander and not come back."""

GROWN_S = 0.06
"""So long it takes from an onset until life is there in full."""

OWN_LIFE = 2
"""From this band of modulation on (2 Hz) partials above the single knots move each by itself."""

OWN_QUICKEST = 1.6
"""So much larger than they are known by is what they do above 40 Hz: windows of four periods, through which life is
learned, show it 4 dB too weak (partials 15 to 24 of training notes, read through two periods)."""

UNEVEN_DB, UNEVEN_NOISE_DB = 3.0, 1.7
"""How far partials above the single knots lie off the line between the knots, and bands of noise off their mean, in one
note and not in the next, sd. Partials of recorded notes do by 3.1 dB; of the variance a sixth is the semitone's own."""

LIVELIER = {"brass": 1.3}
"""So much more than is known of them partials move at 2 to 8 Hz, by family. With no more those of generated notes, told
as the recorded ones are, move by 2.0 and 2.9 dB less (96 training notes of brass; the other families lie within .8)."""

LIVELIER_BANDS = slice(2, 4)

DRIFT_S = 2.0
"""A timbre drifts slower than 1 Hz, the slowest band: in full in notes as long as this, in shorter ones by less."""

MOST_TREND = 2.0
"""No pitch moves over a note by more than so many spreads."""

_TARGETS = ("level", "gain", "pitch")
_BALANCE = ("brightness_line", "noise_shift_db", "scoop_cents", "timbre_db", "dying_db", "swell_brightness",
            "vibrato_swell_db", "trend_cents", "body_db")
_LEVEL_STEP_DB = 6.0
_TAUGHT_LEVELS_DB = -50.0, -8.0
"""Levels of the recorded notes, nearly all: asked for others under a level curve, the network says anything."""
_SPARSE = 4
_SCOOP_HELD_S, _SCOOP_TAU_S = 0.02, 0.025
"""How recorded notes come to their pitch: off by as much for so long, then nearer (their autocovariance)."""
_MAX_FRAMES = 32 * FRAME_TILE


def _asked_frames(since: Array, until: Array) -> NDArray[np.int64]:
    """Frames the network is asked about: all around the onset and the offset, every fourth where the mean is smooth."""
    count = len(since)
    dense = (since < 0.12) | (np.abs(until) < 0.06)
    dense[::_SPARSE] = True
    dense[-1] = True
    return np.flatnonzero(dense) if count > _SPARSE else np.arange(count)


def _between(values: Array, asked: NDArray[np.int64]) -> Array:
    """Straight lines between the frames asked for; [T, D] from [len(asked), D]."""
    every = np.arange(asked[-1] + 1)
    upper = np.clip(np.searchsorted(asked, every), 1, max(len(asked) - 1, 1))
    if len(asked) == 1:
        return values
    low, high = asked[upper - 1], asked[upper]
    part = ((every - low) / (high - low))[:, None]
    return np.asarray(values[upper - 1] * (1.0 - part) + values[upper] * part)


@lru_cache(maxsize=1)
def _noise_life_weights() -> Array:
    """What each noise band takes from each channel of life: straight lines, of the same spread everywhere; [N, B]."""
    number = np.arange(NOISE_CENTRES)
    lines = np.stack([np.interp(number, NOISE_LIFE_BANDS, unit) for unit in np.eye(len(NOISE_LIFE_BANDS))])
    return np.asarray(lines / np.sqrt((lines**2).sum(0)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Span:
    """The frames of a note's window.

    Attributes:
        first: the first of them on the segment's clock.
        clock: their times, s; [T].
        since, until: s since the note's onset, until its offset; [T].
        begin, end: the frame of the onset, the one after the last before the offset.
        asked: the frames that the network is asked about.
    """

    first: int
    clock: Array
    since: Array
    until: Array
    begin: int
    end: int
    asked: NDArray[np.int64]

    @classmethod
    def of(cls, place: Place, start: float) -> _Span:
        """The window of a note in a segment that starts at a time, s."""
        tail = place.lead_out if place.planned.leads else min(0.15 + 5.0 * place.expression.release_s, 4.0)
        first = max(0, int(np.floor(round((place.onset - start - place.lead_in) * FRAME_RATE, 6))))
        last = int(np.ceil(round((place.offset - start + tail) * FRAME_RATE, 6))) + 1
        clock = np.arange(first, last) / FRAME_RATE + start
        # to a nanosecond: the frame of the onset is at 0, not before it by a rounding that hangs on where the piece is
        since, until = np.round(clock - place.onset, 9), np.round(place.offset - clock, 9)
        inside = np.flatnonzero((since >= 0) & (until > 0))
        if len(inside) == 0:
            inside = np.array([int(np.argmin(np.abs(since)))])
        return cls(first=first, clock=clock, since=since, until=until, begin=int(inside[0]), end=int(inside[-1]) + 1,
                   asked=_asked_frames(since, until))


class SynthesisGenerator:
    """Notes and their expression → segments of synthesis parameters.

    Attributes:
        network: the mean.
        life_rms: rms of the micro-variation, without and with vibrato; [2, instruments, LIFE_CHANNELS,
            MODULATION_BANDS]. Given with fewer channels, as earlier weights hold it, the last ones are still.
        noise_edges_hz: edges of the noise bands it was trained on.
        brightness_line: offset and slope of the brightness a note is made to have over the one asked for, so that it
            lies where the network's own do; [instruments, 2]. None: what is asked for.
        noise_shift_db: added to the noise while a note is held and as it dies away; [instruments, 2, NOISE_CENTRES].
        scoop_cents: sd of how far off a note speaks, before it settles on its pitch; [instruments].
        timbre_db: added to what the network says of partials and noise: what it leaves over of the recorded notes,
            smoothed over pitch and level; [instruments, TIMBRE_STATES, TIMBRE_PITCHES, TIMBRE_LEVELS_DB, knots and
            noise bands]. None: nothing.
        dying_db: partials die away each at its own pace: sd of where they come to re each other; [instruments].
        swell_brightness: how brightness goes with a drawn level: octaves a dB, and the least and the most that was
            taught; [instruments, TIMBRE_PITCHES, 3]. None, or zeros: as the network takes a louder note to be.
        vibrato_swell_db: what moves with a vibrato beyond what the network says: ``amounts`` of ``vibrato.swell``;
            [instruments, 4, 2]. None: nothing.
        trend_cents: pitch rises or falls over a note: sd from its beginning to its end, of notes that stand alone and
            of those among others; [2, instruments]. None: it does not.
        body_db: resonances that partials slide over with a vibrato, common ones and each note's own: ``body`` of
            ``body.sway``; [instruments, 2, BODY_POINTS]. None: there are none.
        local: True: an edit changes the segments of the notes whose neighbourhood shows it, and nothing else.
    """

    local = True

    def __init__(
        self, network: FrameNetwork, life_rms: Array, noise_edges_hz: tuple[float, ...], *,
        brightness_line: Array | None = None, noise_shift_db: Array | None = None, scoop_cents: Array | None = None,
        timbre_db: Array | None = None, dying_db: Array | None = None, swell_brightness: Array | None = None,
        vibrato_swell_db: Array | None = None, trend_cents: Array | None = None, body_db: Array | None = None,
    ) -> None:
        self.network = network.eval()
        missing = LIFE_CHANNELS - np.shape(life_rms)[2]
        self.life_rms = np.pad(np.asarray(life_rms, dtype=np.float32), ((0, 0), (0, 0), (0, missing), (0, 0)))
        self.noise_edges_hz = noise_edges_hz
        widths = np.diff(np.array(noise_edges_hz[:3]))
        self._lowest_band_db = float(10.0 * np.log10(widths[0] / widths[1]))
        plain = np.tile(np.array([0.0, 1.0], np.float32), (len(INSTRUMENTS), 1))
        self.brightness_line = plain if brightness_line is None else np.asarray(brightness_line, np.float32)
        still = np.zeros((len(INSTRUMENTS), 2, NOISE_CENTRES), np.float32)
        self.noise_shift_db = still if noise_shift_db is None else np.asarray(noise_shift_db, np.float32)
        steady = np.zeros(len(INSTRUMENTS), np.float32)
        self.scoop_cents = steady if scoop_cents is None else np.asarray(scoop_cents, np.float32)
        self.dying_db = steady if dying_db is None else np.asarray(dying_db, np.float32)
        self.timbre_db = None if timbre_db is None else np.asarray(timbre_db, np.float32)
        unmoved = np.zeros((len(INSTRUMENTS), len(TIMBRE_PITCHES), 3), np.float32)
        self.swell_brightness = unmoved if swell_brightness is None else np.asarray(swell_brightness, np.float32)
        unswung = np.zeros((len(INSTRUMENTS), 4, 2), np.float32)
        self.vibrato_swell_db = unswung if vibrato_swell_db is None else np.asarray(vibrato_swell_db, np.float32)
        flat = np.zeros((2, len(INSTRUMENTS)), np.float32)
        self.trend_cents = flat if trend_cents is None else np.asarray(trend_cents, np.float32)
        even = np.zeros((len(INSTRUMENTS), 2, BODY_POINTS), np.float32)
        self.body_db = even if body_db is None else np.asarray(body_db, np.float32)

    def changed(self, **arrays: Array | None) -> SynthesisGenerator:
        """The same network with other ``life_rms`` or others of what balances it."""
        given = {name: getattr(self, name) for name in ("life_rms", *_BALANCE)} | arrays
        return SynthesisGenerator(self.network, noise_edges_hz=self.noise_edges_hz, **given)

    @classmethod
    def from_checkpoint(cls, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> SynthesisGenerator:
        """The generator that :meth:`to_checkpoint` wrote; KeyError or RuntimeError when the tensors do not fit."""
        model = card["model"]
        network = FrameNetwork(SynthesisConfig(**model["network"]))
        network.load_state_dict({name.removeprefix("network."): value for name, value in tensors.items()
                                 if name.startswith("network.")})
        balance = {name: tensors[name].numpy() for name in _BALANCE if name in tensors}
        return cls(network, tensors["life_rms"].numpy(), tuple(float(edge) for edge in model["noise_edges_hz"]),
                   **balance)

    def to_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors, the card's ``model`` entry)."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for name in ("life_rms", *_BALANCE):
            if getattr(self, name) is not None:
                tensors[name] = torch.from_numpy(getattr(self, name))
        return tensors, {"network": asdict(self.network.config), "noise_edges_hz": list(self.noise_edges_hz)}

    def segments(
        self,
        plan: PartPlan,
        expressions: Mapping[str, NoteExpression],
        *,
        seed: int,
        temperature: float = 1.0,
        curves: NoteCurves | None = None,
        a4_hz: float = 440.0,
    ) -> Iterator[Segment]:
        """Segments of a part, one a chain, in the order of the plan.

        Args:
            plan: the part's notes in chains; any of its chains may be left out, the others sound the same.
            expressions: note id to expression, for every note of the plan.
            seed: of the document.
            temperature: 0 is the mean, 1 as much life as players have; from 0.
            curves: what is drawn over the notes; see ``NoteCurves``.
            a4_hz: tuning.
        """
        notes = {note.id: note for note in plan.part.notes}  # of the whole part, whichever chains are asked for
        for chain in plan.chains:
            yield self.segment(plan.part.instrument, chain, expressions, notes, seed=seed, temperature=temperature,
                               curves=curves, a4_hz=a4_hz)

    def segment(
        self,
        instrument: str,
        chain: Chain,
        expressions: Mapping[str, NoteExpression],
        notes: Mapping[str, Note] | None = None,
        *,
        seed: int,
        temperature: float = 1.0,
        curves: NoteCurves | None = None,
        a4_hz: float = 440.0,
    ) -> Segment:
        """The segment of one chain; ``notes`` holds its neighbours in the voice, by id. See :meth:`segments`."""
        start, places = places_of(chain, expressions, notes or {})
        windows = [self._window(instrument, place, start, seed, temperature, curves, a4_hz) for place in places]
        total = max(window.first + len(window.level) for window in windows)
        cents, level, knots, noise = joined_windows(places, windows, total)
        level, noise = bridged(level, noise, places, start, INSTRUMENTS[instrument].family)
        f0 = midi_to_hz(cents / 100.0, a4_hz)
        count = int(np.clip(22_000.0 / f0.min(), 1, INSTRUMENTS[instrument].partials))
        partial_db = knots.astype(np.float32) @ knot_weights(count).T.astype(np.float32)
        if temperature and count > SINGLE_KNOTS:
            own, softer = self._own_life(instrument, places, count, temperature)
            at = keyed_generator(seed, chain.id, "own life").integers(NOISE_FRAMES, size=len(own))
            grown = np.clip((np.arange(total) / FRAME_RATE + start - places[0].onset) / GROWN_S, 0.0, 1.0)
            lines = (read(own, total, at) - softer[:, None]) * grown.astype(np.float32)
            partial_db[:, SINGLE_KNOTS:] += lines.T
            partial_db[:, SINGLE_KNOTS:] += joined_constants(
                places, windows, total, [_uneven(seed, place, count, temperature) for place in places])
        swayed = joined_sway(places, windows, total, count)
        if swayed is not None:
            partial_db += swayed
        amplitude = np.exp((math.log(10.0) / 20.0) * (partial_db - partial_db.max(1, keepdims=True)))
        # level is the power of all partials: the amplitudes' sum of squares over 2
        rms = np.sqrt((amplitude**2).sum(1) / 2.0)
        total_amplitude = amplitude.sum(1)
        amplitude_db = level + 20.0 * np.log10(total_amplitude / rms)
        return Segment(
            id=chain.id, note_ids=tuple(planned.note.id for planned in chain.notes), start_s=start,
            f0_hz=f0.astype(np.float32), amplitude_db=np.maximum(amplitude_db, -150.0).astype(np.float32),
            harmonics=(amplitude / total_amplitude[:, None]).astype(np.float32),
            noise_db=np.maximum(noise, -150.0).astype(np.float32))

    def _window(
        self, instrument: str, place: Place, start: float, seed: int, temperature: float, curves: NoteCurves | None,
        a4_hz: float,
    ) -> Window:
        expression, note = place.expression, place.planned.note
        span = _Span.of(place, start)
        random = keyed_generator(seed, note.id, "life")
        swing, turned = vibrato.swing(
            expression, span.since, place.seconds, INSTRUMENTS[instrument].family, random, temperature)
        drawn = {target: curves(target, note.id, span.clock) if curves is not None else None for target in _TARGETS}
        frames, mean, output = self._told(instrument, place, span, swing, turned)
        life = temperature * draw(self._life_of(instrument, place), len(span.clock), random)
        level, knots, noise = self._alive(instrument, place, span, output, life)
        noise = noise + _departures(seed, note.id, "noise", NOISE_CENTRES, temperature * UNEVEN_NOISE_DB)
        moving = vibrato.swell(
            self.vibrato_swell_db[INSTRUMENT_IDS[instrument]], expression, span.since, swing, turned,
            temperature * keyed_generator(seed, note.id, "vibrato swell").standard_normal(2))
        scaled = 1.0 if drawn["pitch"] is None else drawn["pitch"][0]
        swayed = self._swayed(instrument, place, span, scaled * swing, scaled * turned, seed, temperature, a4_hz)
        if swayed is not None:
            still = np.zeros(len(span.clock))
            rising = common_sway(swayed, knots[span.begin : span.end].mean(0))
            moving = vibrato.Swell(level=rising, tilt=still, noise=still) if moving is None else replace(
                moving, level=moving.level + rising)
        level, knots, noise = self._conformed(instrument, place, span, level, knots, noise, moving)
        begin, end = span.begin, span.end
        if not place.planned.leads:
            knots[end:] += self._dying(instrument, place, level[end - 1 :], seed, temperature)
        if drawn["level"] is not None:
            shift = conformance.level_shift(level, noise, begin, end, *drawn["level"], attacks=not place.planned.joined)
            # the level moves as drawn; partials and noise move against it as the network knows
            timbre, breath = self._moved(instrument, place, span, frames, mean, level, knots, shift)
            level = level + shift
            knots = conformance.unheard(knots + timbre, note.pitch)
            noise = noise + shift[:, None] + breath
        if drawn["gain"] is not None:
            level, noise = level + drawn["gain"][1], noise + drawn["gain"][1][:, None]
        slow = np.clip(output[:, 1], -80.0, 80.0)
        if expression.vibrato_cents and expression.vibrato_rate_hz:
            slow = vibrato.unswung(slow, swing, turned, begin, end, expression.vibrato_rate_hz)
        slow[end:] = slow[end - 1]
        wander = place.room_to_wander * slow + life[:, 1] * np.clip(span.since / 0.03, 0.0, 1.0)
        if not place.planned.joined:
            off = place.room_to_wander * temperature * float(self.scoop_cents[INSTRUMENT_IDS[instrument]])
            wander += off * keyed_generator(seed, note.id, "scoop").standard_normal() * scoop(span.since)
        trend = temperature * float(self.trend_cents[int(not place.alone), INSTRUMENT_IDS[instrument]])
        if trend:
            bent = np.clip(keyed_generator(seed, note.id, "trend").standard_normal(), -MOST_TREND, MOST_TREND)
            wander += trend * bent * place.room_to_bend * (np.clip(span.since / place.seconds, 0.0, 1.0) - 0.5)
        deviation = expression.tuning_cents + swing + _centred(wander, swing, begin, end, expression.vibrato_cents > 0)
        if drawn["pitch"] is not None:
            deviation = drawn["pitch"][0] * deviation + drawn["pitch"][1]
        return Window(first=span.first, cents=100.0 * note.pitch + deviation, level=level, knots=knots, noise=noise,
                      swayed=swayed)

    def _dying(self, instrument: str, place: Place, level: Array, seed: int, temperature: float) -> Array:
        """What is added to the knots as a note dies away, upper ones first and each at its own pace, dB; [T, KNOTS].

        Args:
            level: from the last frame before the offset on, dB; [1 + T].
        """
        fallen = np.clip(level[0] - level[1:] - DULLED_FROM_DB, 0.0, DULLED_OVER_DB)[:, None]
        added = -DULLING[INSTRUMENTS[instrument].family] * fallen * np.log2(KNOTS)
        apart = temperature * float(self.dying_db[INSTRUMENT_IDS[instrument]])
        if apart:
            fall = np.maximum(place.expression.level_db - level[1:], 0.0)
            random = keyed_generator(seed, place.planned.note.id, "dying")
            pace = np.clip(random.standard_normal(len(KNOTS)), -2.0, 2.0)
            added = added + apart * pace * (1.0 - np.exp(-fall / DYING_OVER_DB))[:, None]
        return np.asarray(added)

    def _swayed(
        self, instrument: str, place: Place, span: _Span, swing: Array, turned: Array, seed: int, temperature: float,
        a4_hz: float,
    ) -> Array | None:
        """How far each partial is moved by the swing of the pitch, dB; [T, H]. None where none is."""
        body = self.body_db[INSTRUMENT_IDS[instrument]]
        if not body.any() or not swing.any():
            return None
        note, expression = place.planned.note, place.expression
        f0 = midi_to_hz(note.pitch + expression.tuning_cents / 100.0, a4_hz)
        partials = int(np.clip(22_000.0 / f0, 1, INSTRUMENTS[instrument].partials))
        shift = OWN_SHIFT_CENTS * keyed_generator(seed, note.id, "body").uniform(-1.0, 1.0)
        grown = np.clip((span.since - expression.attack_s) / vibrato.SWELL_AFTER_S, 0.0, 1.0)
        return np.asarray(grown[:, None] * sway(body, float(f0), partials, swing, turned, shift_cents=shift,
                                               own=temperature))

    def _told(
        self, instrument: str, place: Place, span: _Span, swing: Array, turned: Array
    ) -> tuple[Array, Array, Array]:
        """Features of the frames that are asked about, the mean there, and between them; a note that spoke or ended at
        another time than was asked is asked again by its own clock."""
        expression, asked = place.expression, span.asked
        since, until = span.since[asked], span.until[asked]
        frames = frame_features(since, until, place.seconds, expression, swing[asked], turned[asked])
        told = self._mean(instrument, place)
        mean = told(frames)
        output = _between(mean, asked)
        clock = conformance.NoteClock.of(
            output[:, 0], output[:, 2 + len(KNOTS) :], span.begin, span.end,
            None if place.planned.joined else expression.attack_s)
        if clock is None:
            return frames, mean, output
        own = clock(since)
        frames = frame_features(own, place.seconds - own, place.seconds, expression, swing[asked], turned[asked])
        mean = told(frames)
        return frames, mean, _between(mean, asked)

    def _life_known(self, instrument: str) -> Array:
        """A copy of ``life_rms`` of an instrument, livelier where its family is; [2, LIFE_CHANNELS, bands]."""
        rms = self.life_rms[:, INSTRUMENT_IDS[instrument]].copy()
        rms[:, 2 : 2 + len(KNOTS), LIVELIER_BANDS] *= LIVELIER.get(INSTRUMENTS[instrument].family, 1.0)
        return rms

    def _life_of(self, instrument: str, place: Place) -> Array:
        """Spectra of a note's life; a short note has no time to wander from its pitch, nor its timbre to drift. What
        partials above the single knots do by themselves is left out: see :meth:`_own_life`."""
        rms = self._life_known(instrument)[int(place.expression.vibrato_cents > 0)]
        rms[1, :SLOW_LIFE] *= place.room_to_wander
        rms[2 : 2 + len(KNOTS), 0] *= min(place.seconds / DRIFT_S, 1.0)
        rms[2 + SINGLE_KNOTS : 2 + len(KNOTS), OWN_LIFE:] = 0.0
        return np.asarray(rms)

    def _own_life(
        self, instrument: str, places: Sequence[Place], count: int, temperature: float
    ) -> tuple[Array, Array]:
        """How partials above the single knots move by themselves in a segment: rms in each band of modulation, and by
        how much they are softer, dB; [H, MODULATION_BANDS], [H].

        What moves at a knot is the mean of some partials; each of these by itself moves by so much more. That a level
        moves in dB makes its power larger: the partials are softer by what theirs would be larger than the knot's.
        """
        vibrates = np.average([place.expression.vibrato_cents > 0 for place in places],
                              weights=[max(place.seconds, 1.0 / FRAME_RATE) for place in places])
        states = self._life_known(instrument)[:, 2 : 2 + len(KNOTS)].astype(np.float64) ** 2
        knots = temperature**2 * ((1.0 - vibrates) * states[0] + vibrates * states[1])
        knots[:, :OWN_LIFE] = 0.0
        knots[:, -1] *= OWN_QUICKEST**2
        weights = knot_weights(count)[SINGLE_KNOTS:]
        power = weights @ (knots * partials_of_knots()[:, None])
        softer = _risen_db((power - weights @ knots).sum(1))
        return np.sqrt(power), np.asarray(softer, np.float32)

    def _alive(
        self, instrument: str, place: Place, span: _Span, output: Array, life: Array
    ) -> tuple[Array, Array, Array]:
        """Level, knots and noise of the mean, balanced, with their life: it grows out of the attack and dies with the
        sound."""
        held, dying = self.noise_shift_db[INSTRUMENT_IDS[instrument]].astype(np.float64)
        ending = np.clip(-span.until / NOISE_TURN_S, 0.0, 1.0)[:, None]
        noise = output[:, 2 + len(KNOTS) :] + (1.0 - ending) * held + ending * dying
        alive = np.clip(span.since / GROWN_S, 0.0, 1.0) if not place.planned.joined else np.ones(len(span.since))
        noise = noise + (life[:, 2 + len(KNOTS) :] * alive[:, None]) @ _noise_life_weights()
        knots = conformance.unheard(output[:, 2 : 2 + len(KNOTS)], place.planned.note.pitch)
        return output[:, 0] + life[:, 0] * alive, knots + life[:, 2 : 2 + len(KNOTS)] * alive[:, None], noise

    def _conformed(
        self, instrument: str, place: Place, span: _Span, level: Array, knots: Array, noise: Array,
        moving: vibrato.Swell | None,
    ) -> tuple[Array, Array, Array]:
        """Level, knots and noise brought to what the expression asks for, moving with the vibrato."""
        expression, begin, end, anew = place.expression, span.begin, span.end, not place.planned.joined
        swell = expression.fluctuation_db, expression.peak_position
        attack = expression.attack_s, expression.attack_noise_db
        level, noise = conformance.held(level, noise, begin, end)
        if anew:
            level, noise = conformance.spoken(level, noise, begin, end, expression.attack_s)
        if moving is None:
            level, noise = conformance.fluctuation(level, noise, begin, end, *swell)
        else:
            share = conformance.swung_share(moving.level, begin, end, expression.fluctuation_db)
            level, noise = conformance.fluctuation(level, noise, begin, end, *swell, share * moving.level)
            level, noise = level + share * moving.level, noise + share * moving.noise[:, None]
            knots = knots + share * moving.tilt[:, None] * np.log2(KNOTS)
        if anew:
            level, noise = conformance.spoken(level, noise, begin, end, expression.attack_s)
            level, noise = conformance.begun(level, noise, begin, end, *attack)
            level, noise = conformance.spread_again(level, noise, begin, end, *swell, expression.attack_s)
        if not place.planned.leads:
            level, noise = conformance.release(level, noise, begin, end, expression.release_s)
        offset, slope = self.brightness_line[INSTRUMENT_IDS[instrument]].tolist()
        bright = offset + slope * expression.brightness
        knots = conformance.brightness(knots, level, begin, end, bright, place.planned.note.pitch)
        if anew:
            level, noise = conformance.begun(level, noise, begin, end, *attack)  # of the sum of all that is heard
        gain = expression.level_db - conformance.body_level(level, noise, begin, end)
        return level + gain, knots, noise + gain

    def _mean(self, instrument: str, place: Place, louder_db: float = 0.0) -> Callable[[Array], Array]:
        """What the network says of a note's frames, in dB and cents, or of the same note so much louder; [T, D] for
        frames [T, FRAME_FEATURES].

        Most of what the network knows of a timbre hangs on the brightness asked for, which goes with the level.
        """
        planned = place.planned
        number = INSTRUMENT_IDS[instrument]
        features = note_features(planned.note.pitch, place.seconds, place.expression, planned.joined, planned.leads,
                                 place.around)
        if louder_db:
            features[2] += louder_db / 10.0
            features[3] += self._brightening(number, place, louder_db)
        return self.note(number, features)

    def _moved(
        self, instrument: str, place: Place, span: _Span, frames: Array, mean: Array, level: Array, knots: Array,
        shift: Array,
    ) -> tuple[Array, Array]:
        """What a drawn level adds to partials and noise, dB; [T, KNOTS], [T, NOISE_CENTRES].

        The network is asked at steps of 6 dB and read between them. It follows a brightness by a part only, so at
        each step the partials are tilted until the note would be as much brighter as its level tells, if anything
        tells that.

        Args:
            mean: of the frames ``frames`` that the network was asked about, without the shift.
            level, knots: of the note as it is without one; [T], [T, KNOTS].
            shift: of the level, dB; [T].
        """
        pitch, number = place.planned.note.pitch, INSTRUMENT_IDS[instrument]
        low, high = _TAUGHT_LEVELS_DB
        own = float(np.clip(place.expression.level_db, low, high))
        steps = np.clip(shift, low - own, high - own) / _LEVEL_STEP_DB
        told = bool(self._swell(number, place).any())
        bright = conformance.centroid(knots, level, span.begin, span.end, pitch)
        timbre, breath = np.zeros(knots.shape), np.zeros((len(knots), NOISE_CENTRES))
        for step in range(int(np.floor(steps.min())), int(np.ceil(steps.max())) + 1):
            weight = np.maximum(0.0, 1.0 - np.abs(steps - step))[:, None]
            if step == 0 or not weight.any():
                continue
            louder_db = step * _LEVEL_STEP_DB
            moved = _between(self._mean(instrument, place, louder_db)(frames) - mean, span.asked)
            partials = moved[:, 2 : 2 + len(KNOTS)]
            if told:
                asked = bright + self.brightness_line[number, 1] * self._brightening(number, place, louder_db)
                tilt = conformance.tilt(knots + partials, level, span.begin, span.end, asked, pitch)
                partials = partials + tilt * np.log2(KNOTS)
            timbre += weight * partials
            breath += weight * moved[:, 2 + len(KNOTS) :]
        return timbre, breath

    def _brightening(self, instrument: int, place: Place, louder_db: float) -> float:
        """Octaves by which a note is brighter where it is so much louder."""
        slope, least, most = self._swell(instrument, place).tolist()
        own = place.expression.brightness
        return float(np.clip(own + slope * louder_db, min(least, own), max(most, own))) - own

    def _swell(self, instrument: int, place: Place) -> Array:
        """``swell_brightness`` at the pitch of a note; [3], zeros where nothing is known."""
        nearest = int(np.argmin(np.abs(TIMBRE_PITCHES - place.planned.note.pitch)))
        return np.asarray(self.swell_brightness[instrument, nearest])

    def outputs(self, instrument: int, features: Array, frames: Array) -> Array:
        """The mean of a note's frames, in dB and cents: the network's and ``timbre_db``; [T, D].

        Args:
            instrument: its number in ``INSTRUMENT_IDS``.
            features: of ``note_features``; [NOTE_FEATURES].
            frames: of ``frame_features``; [T, FRAME_FEATURES].
        """
        return self.note(instrument, features)(frames)

    def note(self, instrument: int, features: Array) -> Callable[[Array], Array]:
        """:meth:`outputs` of a note, whichever frames it is asked about: what hangs on the note alone is found once."""
        device = self.network.exit.weight.device
        notes = torch.from_numpy(features.astype(np.float32)[None]).to(device)
        with torch.inference_mode():
            modulation, base = self.network.encode(notes, torch.tensor([instrument], device=device))

        @torch.inference_mode()
        def outputs(frames: Array) -> Array:
            padded = np.zeros((padded_length(len(frames)), FRAME_FEATURES), np.float32)
            padded[: len(frames)] = frames
            tiles = torch.split(torch.from_numpy(padded).to(device)[None], _MAX_FRAMES, dim=1)
            chunks = [self.network.decode(tile, modulation, base)[0] for tile in tiles]
            output = torch.cat(chunks) if len(chunks) > 1 else chunks[0]
            mean = np.asarray(output[: len(frames)].cpu().numpy(), dtype=np.float64) * OUTPUT_SCALE
            if self.timbre_db is not None:
                mean[:, 2:] += timbre_at(self.timbre_db[instrument], features, frames)
            # as in the analysis: what is below 60 Hz is the room's, which earlier weights took for a low note's own
            mean[:, 2 + len(KNOTS)] = mean[:, 3 + len(KNOTS)] + self._lowest_band_db
            return mean

        return outputs


def _uneven(seed: int, place: Place, partials: int, temperature: float) -> Array:
    """By how much each partial above the single knots lies off the line between the knots in a note, dB; [H]."""
    return _departures(seed, place.planned.note.id, "partials", partials - SINGLE_KNOTS, temperature * UNEVEN_DB)


def _departures(seed: int, note_id: str, what: str, count: int, spread_db: float) -> Array:
    """Levels that are a note's own, dB, of no power on average; [count]. The first are the same however many there
    are."""
    drawn = keyed_generator(seed, note_id, f"uneven {what}").standard_normal(count)
    return np.asarray(spread_db * np.clip(drawn, -2.5, 2.5) - _risen_db(spread_db**2))


def _risen_db(variance: Any) -> Any:
    """By how much a level's mean power is larger for a scatter of the level with this variance, dB^2; dB."""
    return math.log(10.0) / 20.0 * variance


def _centred(wander: Array, swing: Array, begin: int, end: int, vibrates: bool) -> Array:
    """A wandering pitch with what is heard as the pitch of the note at 0: its middle, under a vibrato as much of it as
    there is."""
    centre = np.hanning(end - begin + 2)[1:-1] ** (0 if vibrates else 2)
    edge = (end - begin) // 6
    centre[:edge] = centre[len(centre) - edge :] = 0.0
    return np.asarray(wander - np.average((wander + swing)[begin:end], weights=centre))


def scoop(since: Array) -> Array:
    """The way of a note to its pitch, from 1 to 0; [T] for s since the onset."""
    return np.asarray(np.exp(-np.maximum(since - _SCOOP_HELD_S, 0.0) / _SCOOP_TAU_S))
