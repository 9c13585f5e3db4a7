"""MIDI files in and out: a file becomes a ``Score``, a ``Score`` a file.

Conventions: times in seconds, by the tempo map of the whole file; a part is what one channel of one track plays with
one program. Inputs are never written to. What a file leaves out is guessed and said; so is what cannot be played.

What is read: types 0, 1 and 2 (patterns one after the other), running status, tempo maps and time code, key and time
signatures, names, programs, velocity, controllers, bend with its range, pressure. Notes, pedals and missing ends are
explained in ``channels``, names and programs in ``tracks``, the bytes in ``smf``. Channel 10 is drums whatever its
program, and is left out.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mididdsp.files import atomic_path
from mididdsp.instruments import INSTRUMENTS, Resolution, instrument, resolve
from mididdsp.notes import smf
from mididdsp.notes.channels import ChannelPlay, RawNote
from mididdsp.notes.keyswitches import suspected_keyswitches
from mididdsp.notes.smf import Smf, SmfError, counted
from mididdsp.notes.timeline import Timeline
from mididdsp.notes.tracks import DRUM_CHANNEL, RawPart, in_one_time, keys, meters, raw_parts, tempi
from mididdsp.notes.types import Lane, Note, Part, Score
from mididdsp.notes.writing import midi_file
from mididdsp.units import pitch_name

MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".rmi", ".smf")
"""What MIDI files are called, in any case; the content decides."""

SHORTEST_NOTE_S = 0.004
"""One frame of synthesis parameters. Shorter notes, zero-length ones too, are lengthened to it."""

LONGEST_PIECE_S = 6 * 3600.0
"""A piece that claims to be longer has a broken time in it."""

LARGEST_FILE_BYTES = 64 * 2**20
"""Some eight million notes."""


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
        note_lanes: note id to what was sent with that note alone (polyphonic pressure, MPE).
    """

    score: Score
    messages: tuple[str, ...]
    substitutions: tuple[Substitution, ...]
    resolutions: Mapping[str, Resolution]
    note_lanes: Mapping[str, tuple[Lane, ...]] = field(default_factory=dict)


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
        self.tracks = in_one_time(file, self.messages)
        conductor = sorted((event for track in self.tracks for event in track if event.status == smf.META),
                           key=lambda event: event.tick)
        ticks_per_quarter = file.ticks_per_quarter or 1
        found = list(tempi(conductor, self.messages))
        self.timeline = Timeline(ticks_per_quarter, found, file.tick_s)
        self.meter = tuple(meters(conductor, self.timeline))
        self.key = tuple(keys(conductor, self.timeline, pitch_offset))
        self.single_track = file.kind != 1
        self.note_lanes: dict[str, tuple[Lane, ...]] = {}

    def read(self, *, unsupported: str, chosen: Mapping[str, str], drop_keyswitches: bool) -> MidiReading:
        raws, title = raw_parts(self.tracks, self.timeline.ticks_per_quarter, single_track=self.single_track)
        known = {part.name.casefold() for part in raws}
        strangers = [name for name in chosen if name != "*" and name.casefold() not in known]
        if strangers:
            raise MidiError(f"{self.name} has no part called {strangers[0]!r}; its parts are "
                            f"{', '.join(repr(part.name) for part in raws) or 'none'}")
        by_name = {name.casefold(): value for name, value in chosen.items()}
        parts: list[Part] = []
        substitutions: list[Substitution] = []
        resolutions: dict[str, Resolution] = {}
        drums = 0
        for raw in raws:
            own = by_name.get(raw.name.casefold())
            if raw.channel == DRUM_CHANNEL and own is None:
                drums += len(raw.play.notes)
                self.messages.append(f"Part {raw.name!r} ({counted(len(raw.play.notes), 'note')}) is on channel 10, "
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
                                                  instrument=resolution.instrument,
                                                  reason=resolution.sentence(raw.name, raw.program)))
            part = self._part(raw, resolution, drop_keyswitches=drop_keyswitches)
            if part.notes:
                parts.append(part)
                resolutions[part.name] = resolution
        if not parts:
            raise MidiError(f"{self.name} has nothing to play: {self._why_nothing(raws, drums)}")
        score = Score(parts=tuple(parts), tempo=self.timeline.changes(self.speed), meter=self.meter, key=self.key,
                      title=title)
        return MidiReading(score=score, messages=tuple(self.messages), substitutions=tuple(substitutions),
                           resolutions=resolutions, note_lanes=self.note_lanes)

    @staticmethod
    def _why_nothing(raws: Sequence[RawPart], drums: int) -> str:
        if not raws:
            return "it holds no notes"
        if drums == sum(len(part.play.notes) for part in raws):
            return "all its notes are drums (channel 10); give a part an instrument by its name to play it"
        return "every part was left out; choose instruments for them, or allow the nearest"

    def _resolution(self, raw: RawPart, chosen: str | None) -> Resolution:
        if chosen is not None:
            return Resolution(instrument=chosen, exact=True, how="option", reason="chosen by option")
        return resolve(raw.program, raw.hint, [note.pitch + self.pitch_offset for note in raw.play.notes])

    def _part(self, raw: RawPart, resolution: Resolution, *, drop_keyswitches: bool) -> Part:
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
        for note, raw_note in zip(notes, raw_notes):
            if raw_note.lanes:
                self.note_lanes[note.id] = tuple(self._lane(name, points) for name, points in raw_note.lanes)
        notes.sort(key=lambda note: (note.onset, note.pitch))
        row = INSTRUMENTS[resolution.instrument]
        suspects = suspected_keyswitches(notes, row)
        if suspects:
            lowest, highest = min(note.pitch for note in suspects), max(note.pitch for note in suspects)
            done = "they are left out" if drop_keyswitches else "they are played; drop key switches to leave them out"
            self.messages.append(
                f"Part {raw.name!r}: {counted(len(suspects), 'note')} from {pitch_name(lowest)} to "
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
                self.messages.append(f"Part {raw.name!r}: {counted(len(endless), 'note')} without an end in the file "
                                     f"(first at {first:.2f} s); each ends at the next note.")
        return Part(name=raw.name, instrument=resolution.instrument, notes=tuple(notes), players=resolution.players,
                    lanes=self._lanes(raw.play), program=raw.program, channel=raw.channel)

    def _warn_of_range(self, part: str, name: str, notes: Sequence[Note]) -> None:
        row = INSTRUMENTS[name]
        outside = [note for note in notes if not row.low <= note.pitch <= row.high]
        if outside:
            furthest = max(outside, key=lambda note: max(row.low - note.pitch, note.pitch - row.high))
            self.messages.append(
                f"Part {part!r}: {counted(len(outside), 'note')} outside the range of the {row.label.lower()} "
                f"({pitch_name(row.low)} to {pitch_name(row.high)}), such as {pitch_name(furthest.pitch)} at "
                f"{furthest.onset:.2f} s; they sound, but less like the instrument.")

    def _lanes(self, play: ChannelPlay) -> tuple[Lane, ...]:
        return tuple(self._lane(name, points)
                     for name, points in sorted(play.lanes.items(), key=lambda item: _lane_order(item[0])))

    def _lane(self, name: str, points: Sequence[tuple[int, float]]) -> Lane:
        times = self.timeline.seconds([tick for tick, _ in points]) / self.speed
        return Lane(name=name, times=tuple(times.tolist()), values=tuple(value for _, value in points))


def _lane_order(name: str) -> tuple[int, str]:
    return (int(name[2:]), "") if name.startswith("cc") else (128, name)


def _ids(raw: RawPart) -> list[str]:
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

    Fourteen characters leave one chance in ten million that two of 100,000 notes share one.
    """
    key = f"{part}\x1f{note.onset}\x1f{note.pitch}\x1f{ordinal}"
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=7).hexdigest()


def write_midi(score: Score, path: str | os.PathLike[str]) -> None:
    """Write a score as a MIDI file of type 1: tempo, meter and key in the first track, a track for each part.

    The file is written whole or not at all. Read back it gives the score within a tick (1/960 of a quarter note), but
    for what MIDI cannot say: pitches are rounded to keys, of the articulations only ``legato`` is kept (as CC68), a
    note without velocity gets 64, a part without a program that of its instrument. Parts on channel
    10, or on a channel another part has, get a free one.

    Raises:
        OSError: the file cannot be written.
    """
    file = midi_file(score)
    with atomic_path(path) as partial, partial.open("wb") as out:
        file.save(file=out)
