"""Level two, expression: how each note is played, in physical units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mididdsp.notes.types import Score

if TYPE_CHECKING:
    from mididdsp.expression.edit import Selection

ORIGINS = ("prior", "recording", "score", "controller", "hand")
"""Where a value came from, weakest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteExpression:
    """How one note is played. ``None`` means not defined, as a rate without vibrato.

    Attributes:
        level_db: power of partials and noise over the note's body, dB re full scale.
        fluctuation_db: standard deviation of the level within the body, dB.
        peak_position: where in the note the level is highest, 0 (onset) to 1 (offset).
        brightness: power centroid of the partials over f0, in octaves; 0 is a sine.
        attack_noise_db: noise power over the first 40 ms, dB re ``level_db``.
        attack_s: time from 10 to 90 % of the body's amplitude, s.
        release_s: time from -3 to -20 dB after the offset, s.
        vibrato_cents: extent, centre to peak; 0 is none.
        vibrato_rate_hz: None without vibrato.
        vibrato_delay_s: seconds after the onset; None without vibrato.
        tuning_cents: of the note's centre against its written pitch.
        timing_s: shift of the onset; later is positive.
        length_ratio: sounding over written length; None when the next note is joined to it.
        glide_s: 10–90 % time of the way from the note before; None when not joined.
        vibrato_fade_s: from the delay on, time in which the swing grows from nothing to its full extent; None grows as
            players of the family let it.
        vibrato_phase: where in its cycle the swing begins, in cycles: 0 at the centre going up, 0.25 at the top, to 1;
            None is any.
        vibrato_irregularity: standard deviation of the rate, and of the extent, over the note, as shares of them; 0 is
            a machine's; None is the player's own.
    """

    level_db: float
    fluctuation_db: float
    peak_position: float
    brightness: float
    attack_noise_db: float
    attack_s: float
    release_s: float
    vibrato_cents: float
    vibrato_rate_hz: float | None
    vibrato_delay_s: float | None
    tuning_cents: float
    timing_s: float
    length_ratio: float | None
    glide_s: float | None
    vibrato_fade_s: float | None = None
    vibrato_phase: float | None = None
    vibrato_irregularity: float | None = None

    def __post_init__(self) -> None:
        for name, (low, high, nullable) in ATTRIBUTE_RANGES.items():
            value = getattr(self, name)
            if value is None:
                if not nullable:
                    raise ValueError(f"{name} is missing; it must be a number from {low} to {high}")
            elif not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"{name} is {value}, it must be from {low} to {high}")


ATTRIBUTE_RANGES: Mapping[str, tuple[float, float, bool]] = MappingProxyType({
    "level_db": (-120.0, 12.0, False),
    "fluctuation_db": (0.0, 40.0, False),
    "peak_position": (0.0, 1.0, False),
    "brightness": (0.0, 10.0, False),
    "attack_noise_db": (-120.0, 40.0, False),
    "attack_s": (0.0, 10.0, False),
    "release_s": (0.0, 20.0, False),
    "vibrato_cents": (0.0, 400.0, False),
    "vibrato_rate_hz": (0.5, 20.0, True),
    "vibrato_delay_s": (0.0, 60.0, True),
    "tuning_cents": (-1200.0, 1200.0, False),
    "timing_s": (-2.0, 2.0, False),
    "length_ratio": (0.01, 4.0, True),
    "glide_s": (0.0, 10.0, True),
    "vibrato_fade_s": (0.0, 60.0, True),
    "vibrato_phase": (0.0, 1.0, True),
    "vibrato_irregularity": (0.0, 0.5, True),
})
"""Lowest and highest legal value of each attribute, and whether it may be None."""

UNDRAWN = ("vibrato_fade_s", "vibrato_phase", "vibrato_irregularity")
"""Attributes that no prior draws: None until a hand, a score or a controller says otherwise."""

NOTE_ATTRIBUTES: tuple[str, ...] = tuple(item.name for item in fields(NoteExpression))
"""All attributes, in their order everywhere."""

ATTRIBUTES: tuple[str, ...] = tuple(name for name in NOTE_ATTRIBUTES if name not in UNDRAWN)
"""The attributes that priors draw, in the order their weights know."""

VIBRATO_ATTRIBUTES = ("vibrato_cents", "vibrato_rate_hz", "vibrato_delay_s")
"""Extent, rate and delay are drawn, set and dropped together: a note has all three or no vibrato."""

CURVE_TARGETS: Mapping[str, str] = MappingProxyType({
    "level": "db", "gain": "db", "pitch": "cents", "noise": "db", "partials": "db"})
"""What a curve may move, with its unit: ``level`` is dynamic and moves the timbre too, ``gain`` is loudness alone,
``noise`` the bow's or breath's noise, ``partials`` a band of them; the last two leave all else as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A line drawn over time.

    Attributes:
        target: a key of ``CURVE_TARGETS``.
        mode: ``add`` to the generated value or ``set`` it.
        times: seconds, increasing; from the start of the piece, or from the anchor.
        values: in the target's unit; linear between times, held before the first and after the last.
        part: name of the part it belongs to.
        note_id: anchor; None means the whole part.
        anchor: ``piece`` (absolute times), ``onset`` or ``offset`` (of the note).
        origin: one of ``ORIGINS``.
        band: first and last partial that ``partials`` moves, both in it, from 1; None for every other target.
    """

    target: str
    mode: str = "add"
    times: tuple[float, ...]
    values: tuple[float, ...]
    part: str
    note_id: str | None = None
    anchor: str = "piece"
    origin: str = "hand"
    band: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.target not in CURVE_TARGETS:
            raise ValueError(f"a curve's target is {self.target!r}; known are {', '.join(CURVE_TARGETS)}")
        if (self.target == "partials") != (self.band is not None):
            raise ValueError("a curve of partials needs its band (first and last), one of anything else has none")
        if self.band is not None and not 1 <= self.band[0] <= self.band[1]:
            raise ValueError(f"a curve's band is {self.band}; give the first and the last partial, from 1 upwards")
        if self.mode not in ("add", "set"):
            raise ValueError(f"a curve's mode is {self.mode!r}; it must be add or set")
        if self.anchor not in ("piece", "onset", "offset"):
            raise ValueError(f"a curve's anchor is {self.anchor!r}; it must be piece, onset or offset")
        if (self.anchor == "piece") != (self.note_id is None):
            raise ValueError("a curve anchored to a note needs its id, one anchored to the piece has none")
        if self.origin not in ORIGINS:
            raise ValueError(f"a curve's origin is {self.origin!r}; known are {', '.join(ORIGINS)}")
        if not self.times or len(self.times) != len(self.values):
            raise ValueError(f"a curve has {len(self.times)} times and {len(self.values)} values; "
                             "give one value per time, at least one")
        if not all(math.isfinite(x) for x in (*self.times, *self.values)):
            raise ValueError("a curve holds a value that is not a number; give finite times and values")
        if any(b < a for a, b in zip(self.times, self.times[1:])):
            raise ValueError("a curve's times go back; sort them")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartMix:
    """Where a part stands in the mix: gain in dB, pan -1 (left) to 1 (right), room ``own``, ``none`` or a file name."""

    gain_db: float = 0.0
    pan: float = 0.0
    room: str = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """The mix: a gain for all (None until the first render sets it) and a place for each part by name."""

    gain_db: float | None = None
    parts: Mapping[str, PartMix] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """A score with an expression for every note. It stores drawn values: nothing is redrawn unless asked.

    Attributes:
        score: what is played.
        expressions: note id to expression; exactly the notes of the score.
        curves: drawn lines, in the order they apply.
        origins: note id to {attribute: origin}; what is not named came from the prior.
        locks: note id to locked attributes: kept against priors, never against a hand.
        seed: of every draw.
        temperature: at which the prior was sampled.
        mix: levels, places and rooms.
        checkpoints: level name to hash of the weights used.
        a4_hz: what A4 is tuned to; deviations in cents are from it.
    """

    score: Score
    expressions: Mapping[str, NoteExpression]
    curves: tuple[Curve, ...] = ()
    origins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    locks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    seed: int = 0
    temperature: float = 1.0
    mix: Mix = field(default_factory=Mix)
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    a4_hz: float = 440.0

    def __post_init__(self) -> None:
        if not 100.0 <= self.a4_hz <= 1_000.0:  # written this way so that NaN fails too
            raise ValueError(f"a4_hz is {self.a4_hz}; A4 is tuned to 100 to 1000 Hz, 440 by custom")
        ids = {note.id for part in self.score.parts for note in part.notes}
        missing = ids - set(self.expressions)
        if missing:
            raise ValueError(f"note {min(missing)} has no expression; give one for every note")
        extra = set(self.expressions) - ids
        if extra:
            raise ValueError(f"an expression is given for note {min(extra)}, which the score does not have")

    def select(self, **conditions: Any) -> Selection:
        """Choose notes to edit: by ``part``, ``bars``, ``time``, ``notes``, ``pitches``, ``marks`` and ``where``.

        Returns:
            The same performance with the notes chosen; see ``mididdsp.expression.edit``.

        Raises:
            EditError: a condition cannot be understood, or names what is not there.
        """
        from mididdsp.expression.edit import select

        return select(self, **conditions)

    def _repr_png_(self) -> bytes | None:
        """The picture a notebook shows; nothing where there are no notes."""
        if not self.expressions:
            return None
        from io import BytesIO

        from mididdsp.plots import plot

        file = BytesIO()
        plot(self).savefig(file, format="png", dpi=80)
        return file.getvalue()
