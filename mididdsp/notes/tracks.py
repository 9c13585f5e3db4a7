"""From the tracks of a MIDI file to its parts: one time axis, the maps of tempo, meter and key, names, channels.

Conventions: times are ticks. A part is what one channel of one track plays with one program; programs and controllers
sent on that channel by a track without notes on it count as well. The channels of an MPE zone (RPN 6 on channel 1 or 16
says how many) are one player.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from mididdsp.instruments import INSTRUMENTS, named, program_name
from mididdsp.notes import smf
from mididdsp.notes.channels import ChannelPlay, play_channel, play_zone
from mididdsp.notes.smf import Event, Smf
from mididdsp.notes.timeline import DEFAULT_QUARTER_US, SHORTEST_QUARTER_US, Timeline
from mididdsp.notes.types import KeyChange, MeterChange

DRUM_CHANNEL = 9
"""0-based; channel 10 as people count."""

_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class RawPart:
    """What one channel of a track plays with one program, before an instrument is chosen.

    Attributes:
        name: unique in the file.
        hint: what in the file tells the instrument by name; may be empty.
        channel: 0 to 15.
        program: General MIDI program, or None.
        play: its notes and controllers, in ticks.
    """

    name: str
    hint: str
    channel: int
    program: int | None
    play: ChannelPlay


def in_one_time(file: Smf, messages: list[str]) -> list[list[Event]]:
    """The tracks on one time axis; the patterns of a type 2 file are put one after the other, and that is said."""
    if file.kind == 1:
        return [list(track) for track in file.tracks]
    if len(file.tracks) > 1 and file.kind == 2:
        messages.append(f"The file holds {len(file.tracks)} patterns (type 2); they are played one after the other.")
    if file.kind == 0:
        return [sorted((event for track in file.tracks for event in track), key=lambda event: event.tick)]
    joined: list[Event] = []
    start = 0
    for events, length in zip(file.tracks, file.lengths):
        # Each pattern has its own tempo map, 120 bpm unless it says otherwise, and begins with no note sounding.
        joined.append(Event(start, smf.META, bytes((smf.SET_TEMPO,)) + DEFAULT_QUARTER_US.to_bytes(3, "big")))
        joined.extend(event._replace(tick=start + event.tick) for event in events)
        start += length
        joined.extend(Event(start, 0xB0 | channel, b"\x7b\x00") for channel in sorted(_channels(events)))
    return [joined]


def _channels(events: Iterable[Event]) -> set[int]:
    return {event.status & 0x0F for event in events if event.status < 0xF0}


def tempi(conductor: Iterable[Event], messages: list[str]) -> Iterator[tuple[int, int]]:
    """Tick and microseconds per quarter note of each tempo; absurd ones are left out, and said."""
    for event in conductor:
        if event.data[0] == smf.SET_TEMPO and len(event.data) == 4:
            quarter_us = int.from_bytes(event.data[1:], "big")
            if quarter_us >= SHORTEST_QUARTER_US:
                yield event.tick, quarter_us
            else:
                messages.append(f"A tempo of {quarter_us} microseconds to a quarter note is ignored.")


def meters(conductor: Iterable[Event], timeline: Timeline) -> Iterator[MeterChange]:
    """The time signatures; broken ones are left out."""
    for event in conductor:
        if event.data[0] == smf.TIME_SIGNATURE and len(event.data) >= 3 and event.data[1] > 0 and event.data[2] <= 7:
            yield MeterChange(beat=timeline.beat(event.tick), numerator=event.data[1], denominator=2 ** event.data[2])


def keys(conductor: Iterable[Event], timeline: Timeline, pitch_offset: float) -> Iterator[KeyChange]:
    """The key signatures, moved with the pitches; broken ones are left out."""
    for event in conductor:
        if event.data[0] == smf.KEY_SIGNATURE and len(event.data) >= 3 and event.data[2] <= 1:
            fifths = event.data[1] - 256 if event.data[1] > 127 else event.data[1]
            if abs(fifths) <= 7:
                if pitch_offset:
                    # A semitone is seven fifths; of the enharmonic keys the one with fewer signs.
                    fifths = (fifths + 7 * round(pitch_offset) + 5) % 12 - 5
                mode = "minor" if event.data[2] else "major"
                yield KeyChange(beat=timeline.beat(event.tick), fifths=fifths, mode=mode)


def raw_parts(
    tracks: Sequence[Sequence[Event]], ticks_per_quarter: int, *, single_track: bool
) -> tuple[list[RawPart], str]:
    """The parts of a file, in its order and with unique names, and its title.

    Args:
        tracks: on one time axis.
        ticks_per_quarter: of that axis.
        single_track: of a type 0 or 2 file; a name of the track is then the title when there are several parts.
    """
    playing: dict[tuple[int, int], list[Event]] = {}
    setup: defaultdict[int, list[Event]] = defaultdict(list)
    for index, track in enumerate(tracks):
        by_channel: defaultdict[int, list[Event]] = defaultdict(list)
        for event in track:
            if event.status < 0xF0:
                by_channel[event.status & 0x0F].append(event)
        for channel, events in sorted(by_channel.items()):
            if any(event.status & 0xF0 == 0x90 and event.data[1] for event in events):
                playing[index, channel] = events
            else:
                # Programs and controllers are often sent from a track of their own.
                setup[channel].extend(events)
    found: list[tuple[int, int, int | None, ChannelPlay]] = []
    zones = mpe_zones(tracks)
    for master, members in zones.items():
        for index in sorted({index for index, channel in playing if channel in members}):
            own = {channel: playing.pop((index, channel)) for channel in members if (index, channel) in playing}
            leading = [event for event in tracks[index] if event.status < 0xF0 and event.status & 0x0F == master]
            leading = sorted(leading or setup[master], key=lambda event: event.tick)
            playing.pop((index, master), None)
            play = play_zone(leading, own, ticks_per_quarter)
            found.append((index, master, play.notes[0].program if play.notes else None, play))
    for (index, channel), events in playing.items():
        if setup[channel]:
            events = sorted((*setup[channel], *events), key=lambda event: event.tick)
        play = play_channel(events, ticks_per_quarter)
        programs = dict.fromkeys(note.program for note in play.notes)
        found.extend((index, channel, program, play if len(programs) == 1 else _with_program(play, program))
                     for program in programs)
    tracks_with_notes = {index for index, *_ in found}
    several = single_track and len(found) > 1
    title = _name(tracks[0], smf.TRACK_NAME) if tracks and (several or 0 not in tracks_with_notes) else ""
    shared = [index for index, *_ in found]
    names = UniqueNames()
    parts: list[RawPart] = []
    for index, channel, program, play in found:
        track_name = "" if several else _name(tracks[index], smf.TRACK_NAME)
        instrument_name = "" if several else _name(tracks[index], smf.INSTRUMENT_NAME)
        kind = "Drums" if channel == DRUM_CHANNEL else _kind(program)
        name = track_name or instrument_name or kind or f"Part {len(parts) + 1}"
        if shared.count(index) > 1 and track_name:
            name = f"{track_name} ({kind or f'channel {channel + 1}'})"
        hint = instrument_name if named(instrument_name) else track_name or instrument_name
        parts.append(RawPart(names.unique(name), hint, channel, program, play))
    return parts, title


def mpe_zones(tracks: Iterable[Iterable[Event]]) -> dict[int, range]:
    """Master channel (0 or 15) to its member channels, as RPN 6 sets them."""
    zones: dict[int, range] = {}
    for track in tracks:
        parameter: dict[int, list[int]] = {}
        for _, status, data in track:
            if status & 0xF0 != 0xB0 or status >= 0xF0 or status & 0x0F not in (0, 15):
                continue
            channel = status & 0x0F
            chosen = parameter.setdefault(channel, [127, 127])
            if data[0] in (100, 101):
                chosen[data[0] == 100] = data[1]
            elif data[0] == 6 and chosen == [0, 6]:
                count = min(data[1], 15)
                zones[channel] = range(1, 1 + count) if channel == 0 else range(15 - count, 15)
    return {master: members for master, members in zones.items() if members}


def _with_program(play: ChannelPlay, program: int | None) -> ChannelPlay:
    """What a channel plays with one of its programs; its controllers go to all."""
    return replace(play, notes=[note for note in play.notes if note.program == program])


def _kind(program: int | None) -> str:
    """What to call a part of that program that has no name; empty without a program."""
    if program is None:
        return ""
    return next((row.label for row in INSTRUMENTS.values() if program in row.programs), program_name(program))


def _name(track: Iterable[Event], kind: int) -> str:
    """The first name of that kind in a track, in whatever it was written; empty without one."""
    for event in track:
        if event.status == smf.META and event.data[0] == kind:
            try:
                text = event.data[1:].decode("utf-8")
            except UnicodeDecodeError:
                text = event.data[1:].decode("latin-1")
            text = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).split())[:_LONGEST_NAME]
            if text:
                return text
    return ""


class UniqueNames:
    """Makes names unique: the second 'Violin' is 'Violin 2'. Case is not enough, as in some file systems."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: defaultdict[str, int] = defaultdict(lambda: 2)

    def unique(self, name: str) -> str:
        result = name
        while result.casefold() in self._taken:
            result = f"{name} {self._next[name]}"
            self._next[name] += 1
        self._taken.add(result.casefold())
        return result
