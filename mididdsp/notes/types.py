"""Level one, notes: what is played.

Times are float64 seconds from the start of the piece; pitch is a sounding MIDI number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

ARTICULATIONS = (
    "legato", "tenuto", "detache", "portato", "staccato", "staccatissimo", "accent", "marcato", "sforzato",
)
"""The marks a note may carry. ``legato`` means: joined to the note before it without a new attack."""

MOST_PLAYERS = 64
"""Of a part, where a person asks for a section: more are not heard as more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A note as written. It sounds on the half-open interval [onset, offset).

    Attributes:
        id: unique in its score and stable for life; random draws are keyed by it.
        onset: seconds from the start of the piece, >= 0.
        duration: seconds, > 0.
        pitch: MIDI number, fractions allowed (69.0 is A4, 440 Hz).
        velocity: 1 to 127, or None where the source says nothing.
        articulations: marks from ``ARTICULATIONS``, sorted, each once.
    """

    id: str
    onset: float
    duration: float
    pitch: float
    velocity: int | None = None
    articulations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("a note has an empty id; give every note a unique one")
        if not (self.onset >= 0 and math.isfinite(self.onset)):
            raise ValueError(f"note {self.id}: onset is {self.onset} s, it must be a number from 0")
        if not (self.duration > 0 and math.isfinite(self.duration)):  # written this way so that NaN fails too
            raise ValueError(f"note {self.id}: duration is {self.duration} s, it must be above 0")
        if not (-12.0 <= self.pitch <= 140.0):
            raise ValueError(f"note {self.id}: pitch is {self.pitch}, it must be a MIDI number from -12 to 140")
        if self.velocity is not None and not 1 <= self.velocity <= 127:
            raise ValueError(f"note {self.id}: velocity is {self.velocity}, it must be 1 to 127 or None")
        unknown = sorted(set(self.articulations) - set(ARTICULATIONS))
        if unknown:
            raise ValueError(
                f"note {self.id}: unknown articulation {unknown[0]!r}; known are {', '.join(ARTICULATIONS)}")

    @property
    def offset(self) -> float:
        """End of the note in seconds, onset + duration."""
        return self.onset + self.duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """What one controller of a part did over time: a step function.

    Attributes:
        name: ``cc1`` … ``cc127``, ``bend`` (semitones, the RPN range applied) or ``pressure``.
        times: seconds, not decreasing.
        values: one per time; controllers 0–127 as in MIDI, bend in semitones.
    """

    name: str
    times: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.times) != len(self.values):
            raise ValueError(
                f"lane {self.name}: {len(self.times)} times for {len(self.values)} values; give one value per time")
        if any(later < earlier for earlier, later in zip(self.times, self.times[1:])):
            raise ValueError(f"lane {self.name}: times go back; sort them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The notes of one instrument.

    Attributes:
        name: as in the source, or made from the instrument; unique in its score.
        instrument: a name from the table in ``mididdsp.instruments``.
        notes: sorted by (onset, pitch).
        players: how many play it together, >= 1.
        lanes: its controllers.
        program: General MIDI program in the source (0-based), or None.
        channel: MIDI channel 0–15 in the source, or None.
    """

    name: str
    instrument: str
    notes: tuple[Note, ...]
    players: int = 1
    lanes: tuple[Lane, ...] = ()
    program: int | None = None
    channel: int | None = None

    def __post_init__(self) -> None:
        if self.players < 1:
            raise ValueError(f"part {self.name}: players is {self.players}, it must be at least 1")
        if any((b.onset, b.pitch) < (a.onset, a.pitch) for a, b in zip(self.notes, self.notes[1:])):
            raise ValueError(f"part {self.name}: notes are not sorted by onset and pitch; sort them")

    def lane(self, name: str) -> Lane | None:
        """The lane of that name, or None."""
        return next((lane for lane in self.lanes if lane.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TempoChange:
    """From ``time`` (s) on, ``bpm`` quarter notes a minute; ``beat`` is the quarter-note position of the change."""

    time: float
    beat: float
    bpm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterChange:
    """From ``beat`` (quarter notes from the start) on, the meter numerator/denominator."""

    beat: float
    numerator: int
    denominator: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """From ``beat`` (quarter notes) on, the key: -7 (flats) to 7 (sharps), and mode ``major`` or ``minor``."""

    beat: float
    fifths: int
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What is played: parts, and the maps from seconds to beats and bars.

    Attributes:
        parts: in the order of the source; names are unique, note ids unique over all parts.
        tempo: sorted by time; empty means 120 bpm.
        meter: sorted by beat; empty means 4/4.
        key: sorted by beat.
        title: of the source, may be empty.
    """

    parts: tuple[Part, ...]
    tempo: tuple[TempoChange, ...] = ()
    meter: tuple[MeterChange, ...] = ()
    key: tuple[KeyChange, ...] = ()
    title: str = ""
    _by_id: dict[str, Note] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        if len(set(names)) != len(names):
            raise ValueError("two parts have the same name; make part names unique")
        by_id = {note.id: note for part in self.parts for note in part.notes}
        if len(by_id) != sum(len(part.notes) for part in self.parts):
            raise ValueError("two notes have the same id; make note ids unique in the score")
        object.__setattr__(self, "_by_id", by_id)

    def note(self, note_id: str) -> Note:
        """The note of that id; KeyError when there is none."""
        return self._by_id[note_id]

    @property
    def duration(self) -> float:
        """Seconds from 0 to the last note's offset; 0 without notes."""
        return max((note.offset for part in self.parts for note in part.notes), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedNote:
    """A note placed in a chain: what the generators see of notes.

    Attributes:
        note: as written.
        onset: where it begins to sound, s; the note's own onset.
        offset: where it stops, s: the note's own offset, or, when the next note of the chain is joined to it or its
            pitch is struck again, that onset.
        previous: id of the note before it in the same voice, if any.
        following: id of the note after it in the same voice, if any.
        joined: it continues the note before it without a new attack (slur, overlap).
        leads: the note after it is joined to it.
    """

    note: Note
    onset: float
    offset: float
    previous: str | None
    following: str | None
    joined: bool
    leads: bool

    @property
    def seconds(self) -> float:
        """How long it is played: as written, or until the next note cuts it short."""
        return self.note.duration if self.offset >= self.note.offset else self.offset - self.onset


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Notes of one voice joined without re-attack, or a single note: what becomes one segment of sound.

    Attributes:
        id: the id of its first note.
        voice: number of the voice in its part, from 0.
        notes: at least one, by onset; all but the first are ``joined``.
    """

    id: str
    voice: int
    notes: tuple[PlannedNote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPlan:
    """A part's notes in voices and chains.

    Attributes:
        part: the part planned.
        chains: sorted by the onset of their first note.
        voices: how many voices the part needs, >= 1.
    """

    part: Part
    chains: tuple[Chain, ...]
    voices: int
