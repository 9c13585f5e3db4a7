"""A score becomes the tracks of a MIDI file: what ``write_midi`` saves. Times are ticks of ``TICKS_PER_QUARTER``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from mididdsp.instruments import INSTRUMENTS, program_of, resolve
from mididdsp.midi_tracks import TimedMessage, midi_track
from mididdsp.notes import smf
from mididdsp.notes.channels import DEFAULT_BEND_SEMITONES
from mididdsp.notes.timeline import LONGEST_QUARTER_US, SHORTEST_QUARTER_US, Timeline
from mididdsp.notes.tracks import DRUM_CHANNEL
from mididdsp.notes.types import Lane, Note, Part, Score

TICKS_PER_QUARTER = 960
"""Half a millisecond at 120 bpm."""

DEFAULT_VELOCITY = 64
"""Written where a note has no velocity."""


def midi_file(score: Score) -> Any:
    """The mido file of type 1: tempo, meter and key in the first track, a track for each part.

    What MIDI cannot say is lost: see ``mididdsp.notes.midi.write_midi``.
    """
    import mido

    timeline = Timeline(TICKS_PER_QUARTER, [
        (round(change.beat * TICKS_PER_QUARTER), _quarter_us(change.bpm)) for change in score.tempo])
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_QUARTER, charset="utf-8")
    file.tracks.append(midi_track(_conductor(score, timeline)))
    for part, channel in zip(score.parts, _channels(score.parts)):
        file.tracks.append(midi_track(_messages(part, channel, timeline)))
    return file


_OFF, _CONTROL, _ON = range(3)
"""Order of messages at one tick: a note that ends makes way, settings come before the notes they are for."""


def _quarter_us(bpm: float) -> int:
    return min(LONGEST_QUARTER_US, max(SHORTEST_QUARTER_US, round(60e6 / bpm)))


def _conductor(score: Score, timeline: Timeline) -> Iterator[TimedMessage]:
    import mido

    if score.title:
        yield 0, _OFF, mido.MetaMessage("track_name", name=score.title)
    if timeline.given:
        for tick, quarter_us in timeline.quarter_us.items():
            yield tick, _CONTROL, mido.MetaMessage("set_tempo", tempo=quarter_us)
    for meter in score.meter:
        yield (round(meter.beat * TICKS_PER_QUARTER), _CONTROL, mido.MetaMessage(
            "time_signature", numerator=meter.numerator, denominator=meter.denominator))
    for key in score.key:
        yield (round(key.beat * TICKS_PER_QUARTER), _CONTROL, mido.UnknownMetaMessage(
            smf.KEY_SIGNATURE, (key.fifths & 0xFF, int(key.mode == "minor"))))


def _channels(parts: Sequence[Part]) -> list[int]:
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


def _program(part: Part) -> int:
    """The program that makes a reader choose the part's instrument: its own, unless that plays on another."""
    if part.program is not None:
        resolution = resolve(part.program, _hint(part), [note.pitch for note in part.notes])
        if resolution.instrument == part.instrument:
            return part.program
    return program_of(part.instrument)


def _hint(part: Part) -> str:
    return INSTRUMENTS[part.instrument].label


def _messages(part: Part, channel: int, timeline: Timeline) -> Iterator[TimedMessage]:
    import mido

    yield 0, _OFF, mido.MetaMessage("track_name", name=part.name)
    yield 0, _OFF, mido.MetaMessage("instrument_name", name=_hint(part))
    yield 0, _CONTROL, mido.Message("program_change", channel=channel, program=_program(part))
    for lane in part.lanes:
        yield from _lane_messages(lane, channel, timeline)
    onsets = timeline.ticks([note.onset for note in part.notes]).tolist()
    offsets = timeline.ticks([note.offset for note in part.notes]).tolist()
    if part.lane("cc68") is None:
        for tick, value in _legato_pedal(part.notes, onsets):
            yield tick, _CONTROL, mido.Message("control_change", channel=channel, control=68, value=value)
    for note, onset, offset in zip(part.notes, onsets, offsets):
        key = min(127, max(0, math.floor(note.pitch + 0.5)))
        velocity = note.velocity or DEFAULT_VELOCITY
        yield (onset, _ON, mido.Message("note_on", channel=channel, note=key, velocity=velocity))
        yield (max(offset, onset + 1), _OFF, mido.Message("note_off", channel=channel, note=key, velocity=64))


def _legato_pedal(notes: Sequence[Note], onsets: Sequence[int]) -> Iterator[tuple[int, int]]:
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


def _lane_messages(lane: Lane, channel: int, timeline: Timeline) -> Iterator[TimedMessage]:
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
            control = int(lane.name[2:])
            yield tick, _CONTROL, mido.Message("control_change", channel=channel, control=control, value=value)
