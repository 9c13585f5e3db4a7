"""A part of a score as played: unfolded in time, ties joined, ornaments and grace notes as the notes they stand for.

Conventions: *places* are quarter notes as written, *beats* quarter notes as played; notes and curves are in seconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mididdsp.expression.types import Curve
from mididdsp.instruments import Resolution
from mididdsp.notes import ornaments
from mididdsp.notes.channels import RawNote
from mididdsp.notes.dynamics import DB_PER_VELOCITY, DROP_QUARTERS, DROPPING, VELOCITIES, Dynamics
from mididdsp.notes.midi import SHORTEST_NOTE_S, note_id
from mididdsp.notes.ornaments import Stroke
from mididdsp.notes.page import FALLS, Event, Page, Place, latest
from mididdsp.notes.tempo import TempoMap
from mididdsp.notes.types import Note, Part

SHORTEST_CURVE_S = 0.25
"""In shorter notes a change of level is left to the next note."""

LEAST_CURVE_VELOCITY = 2.0
"""Less is no change a listener would hear inside a note."""

CRESCENDO_BARS = 4
"""How long a written *cresc.* lasts where no mark ends it."""

BREATH_SHARE, LONGEST_BREATH_S = 0.25, 0.25
"""What a breath mark takes from the end of a note."""

LONGEST_GLIDE_S = 0.6

_TICKS = 10_080
"""Per quarter note in the keys of note ids: every common division is whole."""


@dataclass(frozen=True, slots=True)
class Span:
    """Written bars [start, end) that begin to be played at ``beat``."""

    start: Place
    end: Place
    beat: float


@dataclass(slots=True)
class _Sounding:
    """One pitch of an event as played: beats, the event, the grace notes before it and after it, its end as written."""

    start: float
    end: float
    pitch: float
    event: Event
    before: tuple[Event, ...] = ()
    after: tuple[Event, ...] = ()
    place_end: Place = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A part as played, with what its marks ask for."""

    part: Part
    curves: tuple[Curve, ...]
    hints: dict[str, dict[str, float | None]]


class Player:
    """Plays a page: unfolds it in time and realises what is written."""

    def __init__(self, page: Page, resolution: Resolution, spans: Sequence[Span], tempo: TempoMap) -> None:
        self.page, self.resolution, self.spans, self.tempo = page, resolution, spans, tempo
        bar = page.bars[0][1] - page.bars[0][0] if page.bars else 4.0
        lengths = [end - start for start, end, _ in page.bars]
        self.dynamics = Dynamics(page.marks, page.hairpins, longest=CRESCENDO_BARS * max([bar, *lengths[:4]]),
                                 end=page.end)
        self.curves: list[Curve] = []
        self.hints: dict[str, dict[str, float | None]] = {}
        self.ids: defaultdict[tuple[int, int], int] = defaultdict(int)

    def parts(self) -> list[Played]:
        """The part; where its score says *a2*, a second player beside it."""
        soundings = list(self._soundings())
        result = [self._played(self.page.name, soundings)]
        doubled = [item for item in soundings if latest(self.page.players, item.event.place) == "two"]
        if doubled and result[0].part.players == 1:
            result.append(self._played(f"{self.page.name} (second player)", doubled))
        return result

    def _played(self, name: str, soundings: Sequence[_Sounding]) -> Played:
        self.curves, self.hints, self.ids = [], {}, defaultdict(int)
        notes = [note for sounding in soundings for note in self._notes(name, sounding)]
        notes.sort(key=lambda note: (note.onset, note.pitch))
        part = Part(name=name, instrument=self.resolution.instrument, notes=tuple(notes),
                    players=self.resolution.players, program=self.page.program)
        return Played(part=part, curves=tuple(self.curves), hints=self.hints)

    def _soundings(self) -> Iterator[_Sounding]:
        """Every pitch as played, ties joined, repeats unfolded, grace notes with their main note."""
        places = [event.place for event in self.page.events]
        found: list[_Sounding] = []
        tied: dict[float, _Sounding] = {}
        for span in self.spans:
            graces: dict[str, list[Event]] = defaultdict(list)
            for event in self.page.events[bisect_left(places, span.start) : bisect_left(places, span.end)]:
                if event.grace:
                    graces[event.voice].append(event)
                    continue
                if event.swallowed:
                    continue
                start = span.beat + event.place - span.start
                before = tuple(graces.pop(event.voice, ()))
                for pitch, tie in zip(event.pitches, event.ties):
                    held = tied.pop(pitch, None) if tie in ("stop", "continue") else None
                    if held is not None and abs(held.end - start) < 1e-6:
                        held.end = start + event.length
                        held.place_end += event.length
                        current = held
                    else:
                        current = _Sounding(start, start + event.length, pitch, event, before, place_end=event.end)
                        found.append(current)
                    if tie in ("start", "continue"):
                        tied[pitch] = current
            for left in graces.values():
                self._after_graces(found, left)
        return iter(found)

    @staticmethod
    def _after_graces(found: Sequence[_Sounding], graces: Sequence[Event]) -> None:
        """Grace notes with nothing to lead to, as after a trill: they join the end of the note before."""
        before = [item for item in reversed(found[-32:]) if item.event.voice == graces[0].voice]
        if before:
            before[0].after = tuple(graces)

    def _id(self, name: str, beat: float, pitch: float) -> str:
        tick, key = round(beat * _TICKS), round(pitch * 100)
        ordinal = self.ids[tick, key]
        self.ids[tick, key] += 1
        return note_id(name, RawNote(tick, tick, key, 1, None), ordinal)

    def _notes(self, name: str, sounding: _Sounding) -> Iterator[Note]:
        event = sounding.event
        onset, end = self.tempo.seconds(sounding.start), self.tempo.seconds(sounding.end)
        leading, trailing = sounding.before, sounding.after
        marks = set(event.marks)
        velocity = self._velocity(event.place)
        highest = sounding.pitch == max(event.pitches)
        lengths: list[float] = []
        if leading:
            stroked = any(grace.stroked for grace in leading)
            lengths = ornaments.grace_lengths(end - onset, count=len(leading), stroked=stroked)
            if highest:
                slurred = "legato" in marks
                for grace, length in zip(leading, lengths):
                    for pitch in grace.pitches:
                        yield self._note(name, sounding.start, onset, length, pitch, velocity,
                                         {"legato"} if slurred else set())
                    onset += length
                    slurred = True
                marks.add("legato")
            else:
                onset += sum(lengths)
        if event.breath:
            end -= min(BREATH_SHARE * (end - onset), LONGEST_BREATH_S)
        after = ornaments.grace_lengths(end - onset, count=max(2, len(trailing)), stroked=True)[: len(trailing)]
        end -= sum(after)
        strokes = self._strokes(sounding, onset, end, highest)
        last = self.tempo.seconds(sounding.end)
        for index, stroke in enumerate(strokes):
            own = set(marks) if index == 0 else ({"legato"} if stroke.slurred else marks - {"legato"})
            share = (stroke.onset - onset) / max(end - onset, 1e-9)
            place = event.place + share * (sounding.place_end - event.place)
            for pitch in stroke.pitches:
                loud = velocity if index == 0 or velocity is None else self._velocity(place, starts=False)
                note = self._note(name, sounding.start + share * (sounding.end - sounding.start), stroke.onset,
                                  stroke.duration, pitch, loud, own)
                yield note
                if len(strokes) == 1:
                    self._inside(name, note, sounding)
        time = end
        if highest:
            for grace, length in zip(trailing, after):
                for pitch in grace.pitches:
                    yield self._note(name, sounding.end, time, min(length, last - time) or length, pitch, velocity,
                                     {"legato"})
                time += length

    def _strokes(self, sounding: _Sounding, onset: float, end: float, highest: bool) -> list[Stroke]:
        event = sounding.event
        duration = max(end - onset, SHORTEST_NOTE_S)
        plain = [Stroke(onset=onset, duration=duration, pitches=(sounding.pitch,), slurred=False)]
        if event.tremolo:
            written = event.tremolo * duration / max(sounding.end - sounding.start, 1e-9)
            chords: list[tuple[float, ...]] = [(sounding.pitch,)]
            if event.tremolo_with:
                if not highest:
                    return []
                chords = [event.pitches, event.tremolo_with]
            return ornaments.tremolo(onset, duration, chords, written)
        if event.ornament is not None and highest:
            kind, first, second = event.ornament
            if kind == "trill":
                return ornaments.trill(onset, duration, sounding.pitch, first)
            if kind == "mordent":
                return ornaments.mordent(onset, duration, sounding.pitch, first)
            return ornaments.turn(onset, duration, sounding.pitch, first, second, delayed=kind == "turn_delayed")
        return plain

    def _velocity(self, place: Place, *, starts: bool = True) -> int | None:
        if not self.dynamics.says_something:
            return None
        if starts and place in self.dynamics.drops:
            return VELOCITIES[DROPPING[self.dynamics.drops[place]][0]]
        return round(self.dynamics.velocity(place))

    def _note(
        self, name: str, beat: float, onset: float, duration: float, pitch: float, velocity: int | None,
        marks: Iterable[str],
    ) -> Note:
        return Note(id=self._id(name, beat, pitch), onset=onset, duration=max(duration, SHORTEST_NOTE_S), pitch=pitch,
                    velocity=velocity, articulations=tuple(sorted(marks)))

    def _inside(self, name: str, note: Note, sounding: _Sounding) -> None:
        """What the score asks for inside a note, or of how it is played."""
        event = sounding.event
        if latest(self.page.vibrato, event.place) == "none":
            self.hints[note.id] = {"vibrato_cents": 0.0}
        if event.glides:
            self.hints.setdefault(note.id, {})["glide_s"] = min(LONGEST_GLIDE_S, 0.5 * note.duration)
        if event.bend in FALLS:
            low, high, cents = FALLS[event.bend]
            values = (cents, 0.0) if low == 0.0 else (0.0, cents)
            self.curves.append(Curve(
                target="pitch", times=(low * note.duration, high * note.duration), values=values, part=name,
                note_id=note.id, anchor="onset", origin="score"))
        points = self._level_points(note, sounding)
        if points:
            self.curves.append(Curve(
                target="level", times=tuple(time for time, _ in points), values=tuple(value for _, value in points),
                part=name, note_id=note.id, anchor="onset", origin="score"))

    def _level_points(self, note: Note, sounding: _Sounding) -> list[tuple[float, float]]:
        if note.velocity is None or note.duration < SHORTEST_CURVE_S:
            return []
        start, end = sounding.event.place, sounding.place_end
        reference = float(note.velocity)
        line = [(0.0, reference)]

        def time(place: Place) -> float:
            return max(self.tempo.seconds(sounding.start + place - start) - note.onset, 0.0)

        if start in self.dynamics.drops:
            drop = min(DROP_QUARTERS, 0.5 * (end - start))
            line.append((0.6 * time(start + drop), reference))
            line.append((time(start + drop), self.dynamics.velocity(start + drop)))
        for place in self.dynamics.turns(start, end):
            if time(place) < line[-1][0]:
                continue
            line.append((time(place), self.dynamics.before(place)))
            if self.dynamics.velocity(place) != self.dynamics.before(place):
                line.append((time(place) + 0.02, self.dynamics.velocity(place)))
        if time(end) > line[-1][0]:
            line.append((time(end), self.dynamics.before(end)))
        values = [value for _, value in line]
        if max(values) - min(values) < LEAST_CURVE_VELOCITY:
            return []
        return [(moment, DB_PER_VELOCITY * (value - reference)) for moment, value in line]
