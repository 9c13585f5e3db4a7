"""What is sent with single notes: MPE zones, polyphonic pressure; and the sostenuto pedal."""

from __future__ import annotations

import io
from collections.abc import Sequence

import mido

from mididdsp.notes.midi import MidiReading, read_midi


def read(*messages: tuple[int, mido.Message]) -> MidiReading:
    """Messages at their ticks (480 a quarter, 120 quarters a minute) as a file of one track."""
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack([mido.MetaMessage("track_name", name="Violin")])
    last = 0
    for tick, message in sorted(messages, key=lambda item: item[0]):
        track.append(message.copy(time=tick - last))
        last = tick
    file.tracks.append(track)
    out = io.BytesIO()
    file.save(file=out)
    return read_midi(out.getvalue())


def note(channel: int, pitch: int, start: int, end: int) -> list[tuple[int, mido.Message]]:
    return [(start, mido.Message("note_on", channel=channel, note=pitch, velocity=80)),
            (end, mido.Message("note_off", channel=channel, note=pitch))]


def controls(channel: int, *pairs: tuple[int, int], at: int = 0) -> list[tuple[int, mido.Message]]:
    return [(at, mido.Message("control_change", channel=channel, control=control, value=value))
            for control, value in pairs]


def zone(members: int = 3) -> list[tuple[int, mido.Message]]:
    return controls(0, (101, 0), (100, 6), (6, members))


def lanes(reading: MidiReading, index: int) -> dict[str, Sequence[float]]:
    part = reading.score.parts[0]
    return {lane.name: lane.values for lane in reading.note_lanes.get(part.notes[index].id, ())}


def test_a_zone_is_one_player_with_bends_of_its_own() -> None:
    reading = read(*zone(), *note(1, 60, 480, 960), *note(2, 64, 480, 960),
                   (480, mido.Message("pitchwheel", channel=1, pitch=4096)),
                   (480, mido.Message("aftertouch", channel=2, value=90)))
    (part,) = reading.score.parts
    assert [item.pitch for item in part.notes] == [60, 64]
    assert lanes(reading, 0) == {"bend": (24.0,)}  # half of 48 semitones, the range MPE members have unless set
    assert lanes(reading, 1) == {"pressure": (90.0,)}


def test_a_channel_used_again_begins_where_it_stands() -> None:
    reading = read(*zone(), (480, mido.Message("pitchwheel", channel=1, pitch=4096)), *note(1, 60, 480, 960),
                   *note(1, 62, 1440, 1920), (1500, mido.Message("pitchwheel", channel=1, pitch=0)))
    assert lanes(reading, 0)["bend"] == (24.0,)
    assert lanes(reading, 1)["bend"] == (24.0, 0.0)


def test_the_master_is_for_all() -> None:
    reading = read(*zone(), *controls(0, (7, 50)), *note(1, 60, 480, 960))
    lane = reading.score.parts[0].lane("cc7")
    assert lane is not None
    assert lane.values == (50.0,)


def test_without_a_zone_channels_are_parts() -> None:
    assert len(read(*note(1, 60, 480, 960), *note(2, 64, 480, 960)).score.parts) == 2


def test_pressure_of_a_key_belongs_to_its_note() -> None:
    reading = read(*note(0, 60, 480, 960), *note(0, 64, 480, 960),
                   (600, mido.Message("polytouch", channel=0, note=64, value=70)))
    assert lanes(reading, 0) == {}
    assert lanes(reading, 1) == {"pressure": (70.0,)}


def test_the_sostenuto_pedal_holds_what_sounds_when_it_comes_down() -> None:
    reading = read(*note(0, 60, 0, 480), *controls(0, (66, 127), at=240), *controls(0, (66, 0), at=1920),
                   *note(0, 64, 960, 1200))
    first, second = reading.score.parts[0].notes
    assert first.offset == 1.0  # to the next onset: one note at a time
    assert second.offset == 1.25  # struck while the pedal was down
