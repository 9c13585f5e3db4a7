"""What one MIDI channel of one track plays: notes paired, pedals applied, controllers as lanes. All times are ticks.

Conventions and rules:

* A note-off ends the note of its pitch that began first. Where a pitch lacks note-offs, each ends the latest note, and
  a note without an end lasts to the channel's next note.
* The sustain pedal (CC64 >= 64) lengthens a note to the pedal's release, but at most to the next onset of the part:
  these instruments play one note at a time, so the pedal joins what was detached and never piles up notes.
* The legato pedal (CC68 >= 64) slurs: a note is marked ``legato`` when the pedal was down at the onset before it too.
* The sostenuto pedal (CC66 >= 64) lengthens in the same way the notes that sound when it comes down.
* Polyphonic pressure belongs to the note of its key that sounds.
* Bend is kept in semitones: the 14-bit value times the range set by RPN 0 (CC101, 100, then 6 for semitones and 38 for
  cents; 2 semitones unless set).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mididdsp.notes.smf import Event

PEDAL_DOWN = 64
"""Pedals are down from this controller value on."""

BEND_CENTRE = 8192
DEFAULT_BEND_SEMITONES = 2.0

MPE_BEND_SEMITONES = 48.0
"""Range of the bend of an MPE member channel, unless set."""

SUSTAIN, SOSTENUTO, LEGATO = 64, 66, 68
_DATA_COARSE, _DATA_FINE, _RPN_FINE, _RPN_COARSE = 6, 38, 100, 101
_NRPN = (98, 99)
_SETTINGS = frozenset((_DATA_COARSE, _DATA_FINE, 96, 97, *_NRPN, _RPN_FINE, _RPN_COARSE))
"""Controllers that set parameters; what they set is kept, they are not."""

_ENDS_NOTES = frozenset((120, *range(123, 128)))
"""Channel mode messages that end every note: sound off, notes off, and the changes of mode that imply it."""

_RESET_CONTROLLERS = 121
_ALL = -1


@dataclass(frozen=True, slots=True)
class RawNote:
    """A note in ticks: [onset, offset), pitch 0 to 127, velocity 1 to 127, the program it is played with."""

    onset: int
    offset: int
    pitch: int
    velocity: int
    program: int | None
    legato: bool = False
    lanes: tuple[tuple[str, tuple[tuple[int, float], ...]], ...] = ()
    """What was sent with this note alone: lane name and (tick, value)."""


@dataclass(slots=True)
class ChannelPlay:
    """All a channel of a track plays.

    Attributes:
        notes: by (onset, pitch).
        lanes: name to (tick, value), by tick, one value a tick.
        endless: onsets of the notes that had no end.
    """

    notes: list[RawNote] = field(default_factory=list)
    lanes: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    endless: list[int] = field(default_factory=list)


def play_channel(
    events: Sequence[Event], ticks_per_quarter: int, bend_semitones: float = DEFAULT_BEND_SEMITONES
) -> ChannelPlay:
    """Interpret the channel messages of one channel, in order.

    Args:
        events: of one channel, by tick.
        ticks_per_quarter: the length given to a last note without an end.
        bend_semitones: range of the bend until the channel sets it.
    """
    pressures: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
    strikes: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    programs: list[tuple[int, int]] = []
    lanes: defaultdict[str, dict[int, float]] = defaultdict(dict)
    bend = _Bend(bend_semitones)
    for tick, status, data in events:
        kind = status & 0xF0
        if kind == 0x90 or kind == 0x80:
            strikes[data[0]].append((tick, data[1] if kind == 0x90 else 0))
        elif kind == 0xB0:
            number, value = data
            if number in _ENDS_NOTES:
                for struck in strikes.values():
                    struck.append((tick, _ALL))
            elif number in _SETTINGS:
                bend.set(number, value)
                if bend.value and number in (_DATA_COARSE, _DATA_FINE):
                    lanes["bend"][tick] = bend.semitones
            elif number == _RESET_CONTROLLERS:
                _reset(lanes, tick)
                bend.value = 0
            else:
                lanes[f"cc{number}"][tick] = float(value)
        elif kind == 0xE0:
            bend.value = (data[0] | data[1] << 7) - BEND_CENTRE
            lanes["bend"][tick] = bend.semitones
        elif kind == 0xA0:
            pressures[data[0]].append((tick, float(data[1])))
        elif kind == 0xC0:
            programs.append((tick, data[0]))
        elif kind == 0xD0:
            lanes["pressure"][tick] = float(data[0])
    play = ChannelPlay(lanes={name: list(lane.items()) for name, lane in lanes.items()})
    _pair(play, strikes, programs, ticks_per_quarter)
    play.notes = _pressed(play.notes, pressures)
    play.notes = _sustained(play.notes, play.lanes.get(f"cc{SUSTAIN}", []))
    play.notes = _sustained(play.notes, play.lanes.get(f"cc{SOSTENUTO}", []), sounding=True)
    play.notes = _slurred(play.notes, play.lanes.get(f"cc{LEGATO}", []))
    return play


class _Bend:
    """The bend of a channel: its 14-bit value about 0, and the range RPN 0 has set."""

    def __init__(self, semitones: float) -> None:
        self.value = 0
        self._range = [int(semitones), 0]
        self._parameter: list[int | None] = [None, None]

    def set(self, number: int, value: int) -> None:
        if number in (_RPN_COARSE, _RPN_FINE):
            self._parameter[number == _RPN_FINE] = value
        elif number in _NRPN:
            self._parameter = [None, None]
        elif self._parameter == [0, 0]:
            if number == _DATA_COARSE:
                self._range[0] = value
            elif number == _DATA_FINE:
                self._range[1] = value

    @property
    def semitones(self) -> float:
        return self.value / BEND_CENTRE * (self._range[0] + self._range[1] / 100.0)


def _reset(lanes: defaultdict[str, dict[int, float]], tick: int) -> None:
    """CC121: what bends and swells goes back to rest; volume, pan and the like stay (RP-015)."""
    rest = {"bend": 0.0, "pressure": 0.0, "cc1": 0.0, "cc2": 0.0, "cc11": 127.0, "cc64": 0.0, "cc66": 0.0, "cc67": 0.0,
            "cc68": 0.0}
    for name in rest.keys() & lanes.keys():
        lanes[name][tick] = rest[name]


def _pair(play: ChannelPlay, strikes: dict[int, list[tuple[int, int]]], programs: list[tuple[int, int]],
          ticks_per_quarter: int) -> None:
    """Fill in the notes: each note-on with its note-off."""
    found: list[tuple[int, int, int, int]] = []
    unended: list[tuple[int, int, int]] = []
    for pitch, struck in strikes.items():
        pairs, left = _first_in_first_out(struck)
        if left:
            pairs = _last_on_first_off(struck)
            play.endless.extend(onset for onset, offset, _ in pairs if offset is None)
            unended.extend((onset, pitch, velocity) for onset, offset, velocity in pairs if offset is None)
        found.extend((onset, offset, pitch, velocity) for onset, offset, velocity in pairs if offset is not None)
    if unended:
        onsets = sorted({*(onset for onset, *_ in found), *(onset for onset, *_ in unended)})
        for onset, pitch, velocity in unended:
            later = bisect_right(onsets, onset)
            offset = onsets[later] if later < len(onsets) else onset + ticks_per_quarter
            found.append((onset, offset, pitch, velocity))
    play.endless.sort()
    found.sort(key=lambda note: (note[0], note[2], note[1], note[3]))
    ticks = [tick for tick, _ in programs]
    for onset, offset, pitch, velocity in found:
        # A note before the first program change is taken to be of that program: nothing else is known of it.
        program = programs[max(0, bisect_right(ticks, onset) - 1)][1] if programs else None
        play.notes.append(RawNote(onset, offset, pitch, velocity, program))


_Pairs = list[tuple[int, int | None, int]]


def _first_in_first_out(struck: Iterable[tuple[int, int]]) -> tuple[_Pairs, int]:
    """(onset, offset, velocity) of each note of one pitch, and how many were left without an end."""
    pairs: _Pairs = []
    sounding: deque[tuple[int, int]] = deque()
    for tick, velocity in struck:
        if velocity > 0:
            sounding.append((tick, velocity))
        else:
            for _ in range(len(sounding) if velocity == _ALL else min(1, len(sounding))):
                onset, loud = sounding.popleft()
                pairs.append((onset, tick, loud))
    return pairs, len(sounding)


def _last_on_first_off(struck: Iterable[tuple[int, int]]) -> _Pairs:
    """As ``_first_in_first_out`` for a pitch that lacks note-offs: an end is the latest note's, others have None."""
    pairs: _Pairs = []
    sounding: tuple[int, int] | None = None
    idle_off: int | None = None
    for tick, velocity in struck:
        if velocity > 0:
            if sounding is not None:
                pairs.append((sounding[0], None, sounding[1]))
            # The end of a note of no length is often written before its beginning.
            sounding = (tick, velocity) if idle_off != tick else None
            if sounding is None:
                pairs.append((tick, tick, velocity))
            idle_off = None
        elif sounding is not None:
            pairs.append((sounding[0], tick, sounding[1]))
            sounding = None
        else:
            idle_off = tick
    if sounding is not None:
        pairs.append((sounding[0], None, sounding[1]))
    return pairs


def _spans(lane: Sequence[tuple[int, float]]) -> list[tuple[int, int | None]]:
    """When a pedal is down: (from, to), to None when it is never released."""
    spans: list[tuple[int, int | None]] = []
    down: int | None = None
    for tick, value in lane:
        if value >= PEDAL_DOWN and down is None:
            down = tick
        elif value < PEDAL_DOWN and down is not None:
            spans.append((down, tick))
            down = None
    return [*spans, (down, None)] if down is not None else spans


def _pressed(notes: list[RawNote], pressures: dict[int, list[tuple[int, float]]]) -> list[RawNote]:
    """The notes with the pressure of their keys."""
    if not pressures:
        return notes
    result = []
    for note in notes:
        own = tuple(point for point in pressures.get(note.pitch, ()) if note.onset <= point[0] < note.offset)
        result.append(replace(note, lanes=(*note.lanes, ("pressure", own))) if own else note)
    return result


def play_zone(
    master: Sequence[Event], members: Mapping[int, Sequence[Event]], ticks_per_quarter: int
) -> ChannelPlay:
    """An MPE zone as one player: the notes of all member channels, each with its own bend, pressure
    and controllers.

    Args:
        master: events of the master channel, which are for all notes.
        members: channel to its events.
        ticks_per_quarter: as in ``play_channel``.
    """
    result = play_channel(master, ticks_per_quarter)
    programs = [event.data[0] for event in master if event.status & 0xF0 == 0xC0]
    notes = list(result.notes)
    for events in members.values():
        play = play_channel(events, ticks_per_quarter, MPE_BEND_SEMITONES)
        onsets = [note.onset for note in play.notes]
        for note in play.notes:
            later = bisect_right(onsets, note.onset)
            until = onsets[later] if later < len(onsets) else note.offset + ticks_per_quarter
            own = []
            for name, points in play.lanes.items():
                ticks = [tick for tick, _ in points]
                first, last = bisect_right(ticks, note.onset), bisect_left(ticks, until)
                start = [(note.onset, points[first - 1][1])] if first else []
                if start or last > first:
                    own.append((name, (*start, *points[first:last])))
            program = note.program if note.program is not None else programs[0] if programs else None
            notes.append(replace(note, program=program, lanes=(*note.lanes, *own)))
        result.endless.extend(play.endless)
    result.notes = sorted(notes, key=lambda note: (note.onset, note.pitch, note.offset, note.velocity))
    result.endless.sort()
    return result


def _sustained(
    notes: list[RawNote], lane: Sequence[tuple[int, float]], *, sounding: bool = False
) -> list[RawNote]:
    """The notes with the sustain pedal applied; or, for ``sounding``, the sostenuto pedal."""
    spans = _spans(lane)
    if not spans or not notes:
        return notes
    starts = [start for start, _ in spans]
    onsets = [note.onset for note in notes]
    last = max(note.offset for note in notes)
    result = []
    for note in notes:
        # Strictly inside: a note that ends as the pedal comes down is over, whichever came first in the file.
        start, end = spans[max(0, bisect_left(starts, note.offset) - 1)]
        release = last if end is None else end
        if start < note.offset < release and not (sounding and note.onset > start):
            following = bisect_left(onsets, max(note.offset, note.onset + 1))
            next_onset = onsets[following] if following < len(onsets) else release
            note = replace(note, offset=max(note.offset, min(release, next_onset)))
        result.append(note)
    return result


def _slurred(notes: list[RawNote], lane: Sequence[tuple[int, float]]) -> list[RawNote]:
    """The notes with those marked that are played under the legato pedal."""
    spans = _spans(lane)
    if not spans:
        return notes
    starts = [start for start, _ in spans]
    result = []
    before: int | None = None
    onset: int | None = None
    for note in notes:
        if note.onset != onset:
            before, onset = onset, note.onset
        start, end = spans[max(0, bisect_right(starts, note.onset) - 1)]
        down = start <= note.onset and (end is None or note.onset < end)
        result.append(replace(note, legato=down and before is not None and before >= start))
    return result
