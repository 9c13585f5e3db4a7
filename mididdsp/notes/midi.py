"""MIDI files in and out: a file becomes a ``Score``, a ``Score`` a file.

Conventions: times in seconds, by the tempo map of the whole file; a part is what one channel of one track plays with
one program. Inputs are never written to. What a file leaves out is guessed and said; so is what cannot be played.

What is read: types 0, 1 and 2 (patterns one after the other), running status, tempo maps and time code, key and time
signatures, names, programs, velocity, controllers, bend with its range, pressure. Notes, pedals and missing ends are
explained in ``channels``, the bytes in ``smf``. Channel 10 is drums whatever its program, and is left out.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mididdsp.instruments import INSTRUMENTS, Resolution, instrument, named, program_name, program_of, resolve
from mididdsp.notes import smf
from mididdsp.notes.channels import DEFAULT_BEND_SEMITONES, ChannelPlay, RawNote, play_channel
from mididdsp.notes.keyswitches import suspected_keyswitches
from mididdsp.notes.smf import Event, Smf, SmfError
from mididdsp.notes.timeline import LONGEST_QUARTER_US, SHORTEST_QUARTER_US, Timeline
from mididdsp.notes.types import KeyChange, Lane, MeterChange, Note, Part, Score

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi", ".smf")
"""What MIDI files are called, in any case; the content decides."""

SHORTEST_NOTE_S = 0.004
"""One frame of synthesis parameters. Shorter notes, zero-length ones too, are lengthened to it."""

LONGEST_PIECE_S = 12 * 3600.0
"""A piece that claims to be longer has a broken time in it."""

LARGEST_FILE_BYTES = 64 * 2**20
"""Some eight million notes."""

DRUM_CHANNEL = 9
"""0-based; channel 10 as people count."""

DEFAULT_VELOCITY = 64
"""Written where a note has no velocity."""

WRITTEN_TICKS_PER_QUARTER = 960

_LONGEST_NAME = 100


class MidiError(ValueError):
    """The file cannot be read or nothing in it can be played: one sentence that says what, where and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """A part played by another instrument than it asked for, or one guessed because it asked for none.

    Attributes:
        part: name of the part.
        program: General MIDI program in the file, 0-based, or None.
        instrument: what plays it.
        reason: one sentence.
    """

    part: str
    program: int | None
    instrument: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MidiReading:
    """What was read.

    Attributes:
        score: the parts that play, in the order of the file.
        messages: warnings for the user, one sentence each.
        substitutions: the parts that do not play what they asked for.
        resolutions: part name to the choice of its instrument, with the reason.
    """

    score: Score
    messages: tuple[str, ...]
    substitutions: tuple[Substitution, ...]
    resolutions: Mapping[str, Resolution]


@dataclass(frozen=True, slots=True)
class _RawPart:
    """What one channel of a track plays with one program, before an instrument is chosen."""

    name: str
    hint: str
    channel: int
    program: int | None
    play: ChannelPlay


def read_midi(
    source: str | os.PathLike[str] | bytes,
    *,
    unsupported: str = "nearest",
    instruments: Mapping[str, str] | None = None,
    keyswitches: str = "keep",
    pitch_offset: float = 0.0,
    speed: float = 1.0,
) -> MidiReading:
    """Read a MIDI file.

    Args:
        source: path of the file, or its bytes.
        unsupported: what to do with a part whose program has no instrument in the table: ``nearest`` plays it on the
            nearest, ``skip`` leaves it out, ``error`` refuses the file.
        instruments: part name, or ``*`` for all others, to the instrument that plays it. Naming a drum part plays it.
        keyswitches: ``drop`` leaves out notes suspected to be switches of a sample library; ``keep`` plays them.
        pitch_offset: semitones added to every part.
        speed: every part plays this many times as fast, > 0.

    Raises:
        MidiError: the file cannot be read, or nothing in it can be played.
        ValueError: an option is not one of the above.
    """
    if unsupported not in ("nearest", "skip", "error"):
        raise ValueError(f"unsupported is {unsupported!r}; it must be nearest, skip or error")
    if keyswitches not in ("keep", "drop"):
        raise ValueError(f"keyswitches is {keyswitches!r}; it must be keep or drop")
    if not (speed > 0 and math.isfinite(speed)):
        raise ValueError(f"speed is {speed}; it must be above 0")
    if not math.isfinite(pitch_offset):
        raise ValueError(f"pitch_offset is {pitch_offset}; it must be a number of semitones")
    chosen = {name: instrument(value).name for name, value in (instruments or {}).items()}
    name, content = _content(source)
    try:
        file = smf.parse_smf(content)
    except SmfError as error:
        raise MidiError(f"{name} cannot be read: {error}") from None
    reader = _Reader(name, file, speed=speed, pitch_offset=pitch_offset)
    return reader.read(unsupported=unsupported, chosen=chosen, drop_keyswitches=keyswitches == "drop")


def _content(source: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    """A name for messages, and the bytes."""
    if isinstance(source, bytes):
        return "the MIDI data", source
    path = Path(source)
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise MidiError(f"{path} is larger than {LARGEST_FILE_BYTES // 2**20} MiB, which no MIDI file is; "
                            "give a MIDI file")
        return str(path), path.read_bytes()
    except OSError as error:
        raise MidiError(f"{path} cannot be opened: {error.strerror or error}") from None


class _Reader:
    """Reads one file; holds its tempo map and what there is to say about it."""

    def __init__(self, name: str, file: Smf, *, speed: float, pitch_offset: float) -> None:
        self.name = name
        self.speed = speed
        self.pitch_offset = pitch_offset
        self.messages = list(file.remarks)
        self.tracks = _in_one_time(file, self.messages)
        conductor = sorted((event for track in self.tracks for event in track if event.status == smf.META),
                           key=lambda event: event.tick)
        ticks_per_quarter = file.ticks_per_quarter or 1
        tempi = list(_tempi(conductor, self.messages))
        self.timeline = Timeline(ticks_per_quarter, tempi, file.tick_s)
        self.meter = tuple(_meters(conductor, self.timeline))
        self.key = tuple(_keys(conductor, self.timeline, pitch_offset))
        self.single_track = file.kind != 1

    def read(self, *, unsupported: str, chosen: Mapping[str, str], drop_keyswitches: bool) -> MidiReading:
        raw_parts, title = self._raw_parts()
        known = {part.name.casefold() for part in raw_parts}
        strangers = [name for name in chosen if name != "*" and name.casefold() not in known]
        if strangers:
            raise MidiError(f"{self.name} has no part called {strangers[0]!r}; its parts are "
                            f"{', '.join(repr(part.name) for part in raw_parts) or 'none'}")
        by_name = {name.casefold(): value for name, value in chosen.items()}
        parts: list[Part] = []
        substitutions: list[Substitution] = []
        resolutions: dict[str, Resolution] = {}
        drums = 0
        for raw in raw_parts:
            own = by_name.get(raw.name.casefold())
            if raw.channel == DRUM_CHANNEL and own is None:
                drums += len(raw.play.notes)
                self.messages.append(f"Part {raw.name!r} ({_count(len(raw.play.notes), 'note')}) is on channel 10, "
                                     "which is drums; it is left out.")
                continue
            resolution = self._resolution(raw, own or by_name.get("*"))
            if not resolution.exact:
                asked_for_another = resolution.how != "range"
                if asked_for_another and unsupported == "error":
                    raise MidiError(f"{self.name}: part {raw.name!r} asks for an instrument that is not here "
                                    f"({resolution.reason}); choose one for it, or allow the nearest")
                if asked_for_another and unsupported == "skip":
                    self.messages.append(f"Part {raw.name!r} is left out: {resolution.reason}.")
                    continue
                substitutions.append(Substitution(part=raw.name, program=raw.program,
                                                  instrument=resolution.instrument, reason=resolution.reason))
            part = self._part(raw, resolution, drop_keyswitches=drop_keyswitches)
            if part.notes:
                parts.append(part)
                resolutions[part.name] = resolution
        if not parts:
            raise MidiError(f"{self.name} has nothing to play: {self._why_nothing(raw_parts, drums)}")
        score = Score(parts=tuple(parts), tempo=self.timeline.changes(self.speed), meter=self.meter, key=self.key,
                      title=title)
        return MidiReading(score=score, messages=tuple(self.messages), substitutions=tuple(substitutions),
                           resolutions=resolutions)

    @staticmethod
    def _why_nothing(raw_parts: Sequence[_RawPart], drums: int) -> str:
        if not raw_parts:
            return "it holds no notes"
        if drums == sum(len(part.play.notes) for part in raw_parts):
            return "all its notes are drums (channel 10); give a part an instrument by its name to play it"
        return "every part was left out; choose instruments for them, or allow the nearest"

    def _raw_parts(self) -> tuple[list[_RawPart], str]:
        """The parts of the file with unique names, and its title."""
        playing: dict[tuple[int, int], list[Event]] = {}
        setup: defaultdict[int, list[Event]] = defaultdict(list)
        for index, track in enumerate(self.tracks):
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
        for (index, channel), events in playing.items():
            if setup[channel]:
                events = sorted((*setup[channel], *events), key=lambda event: event.tick)
            play = play_channel(events, self.timeline.ticks_per_quarter)
            programs = dict.fromkeys(note.program for note in play.notes)
            found.extend((index, channel, program, play if len(programs) == 1 else _with_program(play, program))
                         for program in programs)
        tracks_with_notes = {index for index, *_ in found}
        several = self.single_track and len(found) > 1
        title = _name(self.tracks[0], smf.TRACK_NAME) if self.tracks and (several or 0 not in tracks_with_notes) else ""
        shared = [index for index, *_ in found]
        names = _Names()
        parts: list[_RawPart] = []
        for index, channel, program, play in found:
            track_name = "" if several else _name(self.tracks[index], smf.TRACK_NAME)
            instrument_name = "" if several else _name(self.tracks[index], smf.INSTRUMENT_NAME)
            kind = "Drums" if channel == DRUM_CHANNEL else _kind(program)
            name = track_name or instrument_name or kind or f"Part {len(parts) + 1}"
            if shared.count(index) > 1 and track_name:
                name = f"{track_name} ({kind or f'channel {channel + 1}'})"
            hint = instrument_name if named(instrument_name) else track_name or instrument_name
            parts.append(_RawPart(names.unique(name), hint, channel, program, play))
        return parts, title

    def _resolution(self, raw: _RawPart, chosen: str | None) -> Resolution:
        if chosen is not None:
            return Resolution(instrument=chosen, exact=True, how="option", reason="chosen by option")
        return resolve(raw.program, raw.hint, [note.pitch + self.pitch_offset for note in raw.play.notes])

    def _part(self, raw: _RawPart, resolution: Resolution, *, drop_keyswitches: bool) -> Part:
        raw_notes = raw.play.notes
        onsets = self.timeline.seconds([note.onset for note in raw_notes]) / self.speed
        offsets = self.timeline.seconds([note.offset for note in raw_notes]) / self.speed
        if len(raw_notes) and float(offsets.max()) > LONGEST_PIECE_S:
            raise MidiError(f"{self.name}: part {raw.name!r} ends after {float(offsets.max()) / 3600:.0f} hours, and a "
                            f"piece may last {LONGEST_PIECE_S / 3600:.0f}; correct its times or its tempo")
        pitches = [note.pitch + self.pitch_offset for note in raw_notes]
        if pitches and not (min(pitches) >= 0 and max(pitches) <= 127):
            raise MidiError(f"{self.name}: pitch_offset {self.pitch_offset:g} takes part {raw.name!r} to notes from "
                            f"{min(pitches):g} to {max(pitches):g}; keep them from 0 to 127")
        durations = [max(SHORTEST_NOTE_S, float(end - start)) for start, end in zip(onsets, offsets)]
        notes = [
            Note(id=note_id, onset=float(onset), duration=duration, pitch=pitch, velocity=note.velocity,
                 articulations=("legato",) if note.legato else ())
            for note_id, onset, duration, pitch, note in zip(_ids(raw), onsets, durations, pitches, raw_notes)]
        notes.sort(key=lambda note: (note.onset, note.pitch))
        row = INSTRUMENTS[resolution.instrument]
        suspects = suspected_keyswitches(notes, row)
        if suspects:
            lowest, highest = min(note.pitch for note in suspects), max(note.pitch for note in suspects)
            done = "they are left out" if drop_keyswitches else "they are played; drop key switches to leave them out"
            self.messages.append(
                f"Part {raw.name!r}: {_count(len(suspects), 'note')} from {pitch_name(lowest)} to "
                f"{pitch_name(highest)} look like key switches of a sample library (first at "
                f"{suspects[0].onset:.2f} s); {done}.")
            if drop_keyswitches:
                dropped = {note.id for note in suspects}
                notes = [note for note in notes if note.id not in dropped]
        self._warn_of_range(raw.name, resolution.instrument, notes)
        if raw.play.endless:
            own = {note.onset for note in raw_notes}
            endless = [tick for tick in raw.play.endless if tick in own]
            if endless:
                first = float(self.timeline.seconds(endless[:1])[0]) / self.speed
                self.messages.append(f"Part {raw.name!r}: {_count(len(endless), 'note')} without an end in the file "
                                     f"(first at {first:.2f} s); each ends at the next note.")
        return Part(name=raw.name, instrument=resolution.instrument, notes=tuple(notes), players=resolution.players,
                    lanes=self._lanes(raw.play), program=raw.program, channel=raw.channel)

    def _warn_of_range(self, part: str, name: str, notes: Sequence[Note]) -> None:
        row = INSTRUMENTS[name]
        outside = [note for note in notes if not row.low <= note.pitch <= row.high]
        if outside:
            furthest = max(outside, key=lambda note: max(row.low - note.pitch, note.pitch - row.high))
            self.messages.append(
                f"Part {part!r}: {_count(len(outside), 'note')} outside the range of the {row.label.lower()} "
                f"({pitch_name(row.low)} to {pitch_name(row.high)}), such as {pitch_name(furthest.pitch)} at "
                f"{furthest.onset:.2f} s; they sound, but no player could play them.")

    def _lanes(self, play: ChannelPlay) -> tuple[Lane, ...]:
        lanes = []
        for name, points in sorted(play.lanes.items(), key=lambda item: _lane_order(item[0])):
            times = self.timeline.seconds([tick for tick, _ in points]) / self.speed
            lanes.append(Lane(name=name, times=tuple(times.tolist()), values=tuple(value for _, value in points)))
        return tuple(lanes)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def pitch_name(pitch: float) -> str:
    """Name of the nearest key with its octave, middle C (60) being C4."""
    key = math.floor(pitch + 0.5)
    return f"{('C', 'C#', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'Ab', 'A', 'Bb', 'B')[key % 12]}{key // 12 - 1}"


def _lane_order(name: str) -> tuple[int, str]:
    return (int(name[2:]), "") if name.startswith("cc") else (128, name)


def _in_one_time(file: Smf, messages: list[str]) -> list[list[Event]]:
    """The tracks on one time axis; the patterns of a type 2 file are put one after the other."""
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
        joined.append(Event(start, smf.META, bytes((smf.SET_TEMPO,)) + (500_000).to_bytes(3, "big")))
        joined.extend(event._replace(tick=start + event.tick) for event in events)
        start += length
        joined.extend(Event(start, 0xB0 | channel, b"\x7b\x00") for channel in sorted(_channels(events)))
    return [joined]


def _channels(events: Iterable[Event]) -> set[int]:
    return {event.status & 0x0F for event in events if event.status < 0xF0}


def _tempi(conductor: Iterable[Event], messages: list[str]) -> Iterable[tuple[int, int]]:
    for event in conductor:
        if event.data[0] == smf.SET_TEMPO and len(event.data) == 4:
            quarter_us = int.from_bytes(event.data[1:], "big")
            if quarter_us >= SHORTEST_QUARTER_US:
                yield event.tick, quarter_us
            else:
                messages.append(f"A tempo of {quarter_us} microseconds to a quarter note is ignored.")


def _meters(conductor: Iterable[Event], timeline: Timeline) -> Iterable[MeterChange]:
    for event in conductor:
        if event.data[0] == smf.TIME_SIGNATURE and len(event.data) >= 3 and event.data[1] > 0 and event.data[2] <= 7:
            yield MeterChange(beat=timeline.beat(event.tick), numerator=event.data[1], denominator=2 ** event.data[2])


def _keys(conductor: Iterable[Event], timeline: Timeline, pitch_offset: float) -> Iterable[KeyChange]:
    for event in conductor:
        if event.data[0] == smf.KEY_SIGNATURE and len(event.data) >= 3 and event.data[2] <= 1:
            fifths = event.data[1] - 256 if event.data[1] > 127 else event.data[1]
            if abs(fifths) <= 7:
                if pitch_offset:
                    # A semitone is seven fifths; of the enharmonic keys the one with fewer signs.
                    fifths = (fifths + 7 * round(pitch_offset) + 5) % 12 - 5
                mode = "minor" if event.data[2] else "major"
                yield KeyChange(beat=timeline.beat(event.tick), fifths=fifths, mode=mode)


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


class _Names:
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


def _ids(raw: _RawPart) -> list[str]:
    """An id for each note: a short hash of part, onset tick, pitch and, among equal ones, its number."""
    ids: list[str] = []
    ordinals: defaultdict[tuple[int, int], int] = defaultdict(int)
    for note in raw.play.notes:
        key = (note.onset, note.pitch)
        ids.append(note_id(raw.name, note, ordinals[key]))
        ordinals[key] += 1
    return ids


def note_id(part: str, note: RawNote, ordinal: int) -> str:
    """The id of a note: the same file gives the same ids, whatever speed or transposition it is read with.

    Fourteen characters leave one chance in a million that two of 100,000 notes share one.
    """
    key = f"{part}\x1f{note.onset}\x1f{note.pitch}\x1f{ordinal}"
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=7).hexdigest()


def write_midi(score: Score, path: str | os.PathLike[str]) -> None:
    """Write a score as a MIDI file of type 1: tempo, meter and key in the first track, a track for each part.

    The file is written whole or not at all. Read back it gives the score within a tick (1/960 of a quarter note), but
    for what MIDI cannot say: pitches are rounded to keys, of the articulations only ``legato`` is kept (as CC68), a
    note without velocity gets ``DEFAULT_VELOCITY``, a part without a program that of its instrument. Parts on channel
    10, or on a channel another part has, get a free one.

    Raises:
        OSError: the file cannot be written.
    """
    import mido

    timeline = Timeline(WRITTEN_TICKS_PER_QUARTER, [
        (round(change.beat * WRITTEN_TICKS_PER_QUARTER), _quarter_us(change.bpm)) for change in score.tempo])
    file = mido.MidiFile(type=1, ticks_per_beat=WRITTEN_TICKS_PER_QUARTER, charset="utf-8")
    file.tracks.append(_track(_conductor(score, timeline)))
    for part, channel in zip(score.parts, _written_channels(score.parts)):
        file.tracks.append(_track(_messages(part, channel, timeline)))
    path = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            file.save(file=out)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


_OFF, _CONTROL, _ON = range(3)
"""Order of messages at one tick: a note that ends makes way, settings come before the notes they are for."""

_Timed = tuple[int, int, Any]
"""Tick, order, mido message."""


def _quarter_us(bpm: float) -> int:
    return min(LONGEST_QUARTER_US, max(SHORTEST_QUARTER_US, round(60e6 / bpm)))


def _track(timed: Iterable[_Timed]) -> Any:
    """A mido track with delta times, of messages at their ticks."""
    import mido

    track = mido.MidiTrack()
    last = 0
    for tick, _, message in sorted(timed, key=lambda item: item[:2]):
        track.append(message.copy(time=tick - last))
        last = tick
    return track


def _conductor(score: Score, timeline: Timeline) -> Iterable[_Timed]:
    import mido

    if score.title:
        yield 0, _OFF, mido.MetaMessage("track_name", name=score.title)
    if timeline.given:
        for tick, quarter_us in timeline.quarter_us.items():
            yield tick, _CONTROL, mido.MetaMessage("set_tempo", tempo=quarter_us)
    for meter in score.meter:
        yield (round(meter.beat * WRITTEN_TICKS_PER_QUARTER), _CONTROL, mido.MetaMessage(
            "time_signature", numerator=meter.numerator, denominator=meter.denominator))
    for key in score.key:
        yield (round(key.beat * WRITTEN_TICKS_PER_QUARTER), _CONTROL, mido.UnknownMetaMessage(
            smf.KEY_SIGNATURE, (key.fifths & 0xFF, int(key.mode == "minor"))))


def _written_channels(parts: Sequence[Part]) -> list[int]:
    """A channel for each part: its own where that is free, else a free one, else any but the drums'."""
    usable = [channel for channel in range(16) if channel != DRUM_CHANNEL]
    wanted = {part.channel for part in parts}
    free = [channel for channel in usable if channel not in wanted]
    taken: set[int] = set()
    result = []
    for index, part in enumerate(parts):
        channel = part.channel
        if channel is None or channel == DRUM_CHANNEL or channel in taken:
            channel = free.pop(0) if free else usable[index % len(usable)]
        taken.add(channel)
        result.append(channel)
    return result


def _written_program(part: Part) -> int:
    """The program that makes a reader choose the part's instrument: its own, unless that plays on another."""
    if part.program is not None:
        resolution = resolve(part.program, _written_hint(part), [note.pitch for note in part.notes])
        if resolution.instrument == part.instrument:
            return part.program
    return program_of(part.instrument)


def _written_hint(part: Part) -> str:
    return INSTRUMENTS[part.instrument].label


def _messages(part: Part, channel: int, timeline: Timeline) -> Iterable[_Timed]:
    import mido

    yield 0, _OFF, mido.MetaMessage("track_name", name=part.name)
    yield 0, _OFF, mido.MetaMessage("instrument_name", name=_written_hint(part))
    yield 0, _CONTROL, mido.Message("program_change", channel=channel, program=_written_program(part))
    for lane in part.lanes:
        yield from _lane_messages(lane, channel, timeline)
    onsets = timeline.ticks([note.onset for note in part.notes]).tolist()
    offsets = timeline.ticks([note.offset for note in part.notes]).tolist()
    if part.lane("cc68") is None:
        for tick, value in _legato_pedal(part.notes, onsets):
            yield tick, _CONTROL, mido.Message("control_change", channel=channel, control=68, value=value)
    for note, onset, offset in zip(part.notes, onsets, offsets):
        key = min(127, max(0, math.floor(note.pitch + 0.5)))
        yield (onset, _ON, mido.Message("note_on", channel=channel, note=key, velocity=note.velocity or DEFAULT_VELOCITY))
        yield (max(offset, onset + 1), _OFF, mido.Message("note_off", channel=channel, note=key, velocity=64))


def _legato_pedal(notes: Sequence[Note], onsets: Sequence[int]) -> Iterable[tuple[int, int]]:
    """The legato pedal's (tick, value) that marks just the notes marked: down from the note before a slurred one."""
    slurred: dict[int, bool] = {}
    for note, onset in zip(notes, onsets):
        slurred[onset] = slurred.get(onset, False) or "legato" in note.articulations
    down = False
    before: int | None = None
    for onset, legato in slurred.items():
        if legato and not down and before is not None:
            yield before, 127
            down = True
        elif down and not legato and before is not None:
            yield before + 1, 0
            down = False
        before = onset
    if down and before is not None:
        yield before + 1, 0


def _lane_messages(lane: Lane, channel: int, timeline: Timeline) -> Iterable[_Timed]:
    import mido

    ticks = timeline.ticks(lane.times).tolist()
    if lane.name == "bend":
        bend_range = math.ceil(max((abs(value) for value in lane.values), default=0.0) - 1e-9)
        bend_range = min(127, max(int(DEFAULT_BEND_SEMITONES), bend_range))
        for control, value in ((101, 0), (100, 0), (6, bend_range), (38, 0), (101, 127), (100, 127)):
            yield 0, _OFF, mido.Message("control_change", channel=channel, control=control, value=value)
        for tick, semitones in zip(ticks, lane.values):
            pitch = min(8191, max(-8192, round(semitones / bend_range * 8192)))
            yield tick, _CONTROL, mido.Message("pitchwheel", channel=channel, pitch=pitch)
        return
    for tick, number in zip(ticks, lane.values):
        value = min(127, max(0, round(number)))
        if lane.name == "pressure":
            yield tick, _CONTROL, mido.Message("aftertouch", channel=channel, value=value)
        else:
            yield tick, _CONTROL, mido.Message("control_change", channel=channel, control=int(lane.name[2:]), value=value)
