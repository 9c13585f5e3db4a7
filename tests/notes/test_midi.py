"""MIDI files in and out. Files are built from bytes here; 480 ticks are half a second unless a tempo says otherwise.

Tests named after a defect (U of the field, D of the original) hold what a user of the predecessors met on reading.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
import time
from pathlib import Path
from typing import Any

import midi_bytes as mb
import mido
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import parts as any_part
from strategies import scores

from bench.files import ODD
from mididdsp.instruments import INSTRUMENTS, PROGRAM_NAMES
from mididdsp.notes.midi import MIDI_SUFFIXES, SHORTEST_NOTE_S, MidiError, MidiReading, read_midi, write_midi
from mididdsp.notes.types import Note, Part, Score
from mididdsp.notes.voices import plan_part

ROOT = Path(__file__).parents[2]
VIOLIN = mb.program(40)
LINE = mb.notes([(0, 480, 60), (480, 960, 62), (960, 1440, 64)])


def one_part(*events: tuple[int, bytes], **options: Any) -> Part:
    """The only part of a file of one violin track with these events."""
    (part,) = read(mb.track(VIOLIN, *events), **options).score.parts
    return part


def read(*tracks: bytes, kind: int = 1, **options: Any) -> MidiReading:
    return read_midi(mb.file(*tracks, kind=kind), **options)


def spans(part: Part) -> list[tuple[float, float, float]]:
    return [(note.onset, round(note.offset, 9), note.pitch) for note in part.notes]


# --- defects of the predecessors -----------------------------------------------------------------------------------


def test_u1_d1_a_chord_keeps_its_time_and_the_part_its_length() -> None:
    part = one_part(*mb.notes([(0, 960, 60), (0, 960, 64), (0, 960, 67), (960, 1440, 65)]))
    assert spans(part) == [(0.0, 1.0, 60), (0.0, 1.0, 64), (0.0, 1.0, 67), (1.0, 1.5, 65)]
    plan = plan_part(part)
    assert plan.voices == 3
    assert max(note.offset for chain in plan.chains for note in chain.notes) == 1.5


def test_u1_d2_overlaps_are_joined_and_delay_nothing() -> None:
    # Five legato notes of half a second with 20 ms of overlap: the original ended 80 ms late.
    overlap = 19
    part = one_part(*mb.notes([(480 * at, 480 * at + 480 + overlap, 60 + at) for at in range(5)]))
    (chain,) = plan_part(part).chains
    assert [note.onset for note in chain.notes] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert [note.joined for note in chain.notes] == [False, True, True, True, True]
    assert chain.notes[-1].offset == pytest.approx(2.5 + overlap / 960)


def test_u2_d3_notes_are_in_order_of_onset_not_of_end() -> None:
    part = one_part(*mb.notes([(0, 1920, 48), (480, 960, 60), (960, 1440, 62)]))
    assert spans(part) == [(0.0, 2.0, 48), (0.5, 1.0, 60), (1.0, 1.5, 62)]
    plan = plan_part(part)
    assert [chain.notes[0].onset for chain in plan.chains] == [0.0, 0.5, 1.0]


def test_u3_d4_velocity_controllers_pedal_and_bend_are_read() -> None:
    part = one_part(
        *mb.note(0, 480, 60, velocity=17), *mb.note(480, 700, 62, velocity=113), *mb.note(1440, 1500, 64),
        *mb.rpn_range(12), mb.bend(480, 4096), mb.bend(960, -8192), mb.control(600, 127, 64), mb.control(1200, 0, 64),
        *(mb.control(10 * cc, cc, cc) for cc in (1, 2, 7, 10, 11, 5, 65, 74)), (99, b"\xd0\x31"))
    assert [note.velocity for note in part.notes] == [17, 113, 80]
    assert spans(part)[1] == (0.5, 1.25, 62)  # sounds until the pedal is up
    bend = part.lane("bend")
    assert bend is not None
    assert (bend.times, bend.values) == ((0.5, 1.0), (6.0, -12.0))
    for cc in (1, 2, 7, 10, 11, 5, 65, 74):
        lane = part.lane(f"cc{cc}")
        assert lane is not None
        assert (lane.times, lane.values) == ((10 * cc / 960,), (float(cc),))
    pressure = part.lane("pressure")
    assert pressure is not None
    assert pressure.values == (49.0,)
    assert part.lane("cc101") is None  # set the range, and are kept as bend


@pytest.mark.parametrize("kit", [0, 40, 56])
def test_u4_d6_drums_are_left_out_with_a_message_whatever_their_program(kit: int) -> None:
    drums = mb.track(mb.name("Kit"), mb.program(kit, channel=9), *mb.notes([(0, 10, 36), (480, 490, 38)], channel=9))
    reading = read(mb.track(VIOLIN, *LINE), drums)
    assert [part.instrument for part in reading.score.parts] == ["violin"]
    assert any("'Kit'" in message and "2 notes" in message and "drums" in message for message in reading.messages)


def test_drums_play_when_their_part_is_given_an_instrument() -> None:
    drums = mb.track(mb.name("Kit"), *mb.notes([(0, 10, 36)], channel=9))
    (part,) = read(drums, instruments={"kit": "tuba"}).score.parts
    assert part.instrument == "tuba"
    with pytest.raises(MidiError, match="all its notes are drums"):
        read(drums, instruments={"*": "tuba"})


@pytest.mark.parametrize("program", range(128))
def test_u5_d5_every_program_plays_and_a_stand_in_is_said(program: int) -> None:
    reading = read(mb.track(mb.program(program), *LINE))
    (part,) = reading.score.parts
    assert part.instrument in INSTRUMENTS
    own = any(program in row.programs for row in INSTRUMENTS.values())
    assert [item.part for item in reading.substitutions] == ([] if own else [part.name])
    if not own:
        assert PROGRAM_NAMES[program] in reading.substitutions[0].reason


def test_u5_unsupported_parts_are_skipped_or_refused_on_request() -> None:
    tracks = mb.track(VIOLIN, *LINE), mb.track(mb.name("Keys"), mb.program(0, 1), *mb.notes([(0, 9, 60)], channel=1))
    assert [part.name for part in read(*tracks, unsupported="skip").score.parts] == ["Violin"]
    assert any("'Keys' is left out" in message for message in read(*tracks, unsupported="skip").messages)
    with pytest.raises(MidiError, match="'Keys' asks for an instrument that is not here"):
        read(*tracks, unsupported="error")
    with pytest.raises(MidiError, match="every part was left out"):
        read(tracks[1], unsupported="skip")


def test_u6_a_missing_program_is_guessed_from_the_name_then_the_range() -> None:
    def without_program(label: str, key: int, channel: int) -> bytes:
        return mb.track(mb.name(label), *mb.notes([(0, 480, key)], channel=channel))

    reading = read(without_program("Bratsche", 60, 0), without_program("Staff 2", 41, 1),
                   without_program("Staff 3", 79, 2))
    assert [part.instrument for part in reading.score.parts] == ["viola", "double_bass", "violin"]
    assert [item.part for item in reading.substitutions] == ["Staff 2", "Staff 3"]
    assert all("names no instrument" in item.reason for item in reading.substitutions)
    # Nothing here is unsupported: it asked for nothing.
    assert len(read(without_program("Staff 2", 41, 1), unsupported="error").score.parts) == 1


@pytest.mark.parametrize("content", [
    mb.file(mb.track()), mb.file(mb.track(VIOLIN, (0, b"\x90\x3c\x00"))), mb.file(mb.track(VIOLIN), mb.track())])
def test_u6_d7_a_file_without_notes_fails_aloud(content: bytes) -> None:
    with pytest.raises(MidiError, match="nothing to play: it holds no notes"):
        read_midi(content)


def test_u10_d12_wide_bends_are_kept_in_full() -> None:
    bend = one_part(*LINE, *mb.rpn_range(24, 50), mb.bend(0, -8192), mb.bend(100, 8191)).lane("bend")
    assert bend is not None
    assert bend.values == pytest.approx((-24.5, 24.5 * 8191 / 8192))


def test_u12_d18_speed_and_pitch_offset_reach_every_part_and_map() -> None:
    tracks = (mb.track(mb.tempo(0, 600_000), mb.tempo(960, 300_000), mb.meta(0, 0x59, b"\x02\x00")),
              mb.track(VIOLIN, *LINE, mb.control(960, 9, 11)),
              mb.track(mb.program(42, 1), *mb.notes([(0, 1440, 48)], channel=1)))
    plain, fast = read(*tracks), read(*tracks, speed=1.5, pitch_offset=-2.0)
    for before, after in zip(plain.score.parts, fast.score.parts):
        for old, new in zip(before.notes, after.notes):
            assert new.id == old.id
            assert (new.onset, new.duration) == pytest.approx((old.onset / 1.5, old.duration / 1.5))
            assert new.pitch == old.pitch - 2.0
    assert [change.bpm for change in fast.score.tempo] == pytest.approx([150.0, 300.0])
    assert [change.time for change in fast.score.tempo] == pytest.approx([0.0, 1.2 / 1.5])
    assert [change.fifths for change in fast.score.key] == [0]
    assert fast.score.parts[0].lanes[0].times == pytest.approx((1.2 / 1.5,))


@pytest.mark.parametrize("name", ["a.mid", "a.MIDI", "a.Kar", "a.RMI", "no suffix", "ひ♫ é.MID"])
def test_u12_d16_any_suffix_is_read_and_the_content_decides(tmp_path: Path, name: str) -> None:
    content = mb.file(mb.track(VIOLIN, *LINE))
    if name.endswith("RMI"):
        data = b"RMID" + b"data" + len(content).to_bytes(4, "little") + content
        content = b"RIFF" + len(data).to_bytes(4, "little") + data
    (tmp_path / name).write_bytes(content)
    assert len(read_midi(tmp_path / name).score.parts[0].notes) == 3
    assert (tmp_path / name).suffix.casefold() in (*MIDI_SUFFIXES, "")


def test_u13_d19_the_input_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "song.mid"
    path.write_bytes(mb.file(mb.track(mb.name("Sopran"), VIOLIN, *LINE)))
    path.chmod(0o400)
    before = path.read_bytes(), path.stat().st_mtime_ns
    read_midi(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [item.name for item in tmp_path.iterdir()] == ["song.mid"]


def test_u14_d21_the_shortest_notes_last_a_frame_and_there_are_no_rests_of_no_length() -> None:
    part = one_part(*mb.notes([(0, 1, 60), (480, 482, 62), (960, 1440, 64)]), *mb.note(1440, 1440, 65))
    assert [round(note.duration, 9) for note in part.notes] == [SHORTEST_NOTE_S, SHORTEST_NOTE_S, 0.5, SHORTEST_NOTE_S]
    assert [note.onset for note in part.notes] == [0.0, 0.5, 1.0, 1.5]
    assert [chain.notes[0].onset for chain in plan_part(part).chains] == [0.0, 0.5, 1.0, 1.5]


def test_u14_a_note_whose_end_is_written_before_its_beginning_has_no_length() -> None:
    # So music21 writes grace notes. Paired blindly, the grace note lasts until its key is next struck.
    events = [(480, b"\x80\x43\x40"), (480, b"\x90\x43\x50"), *mb.notes([(480, 960, 65), (4800, 5280, 67)])]
    part = one_part(*events)
    assert spans(part) == [(0.5, 1.0, 65), (0.5, 0.504, 67), (5.0, 5.5, 67)]


def test_u15_d12_notes_outside_the_range_sound_with_a_warning() -> None:
    reading = read(mb.track(VIOLIN, *mb.notes([(0, 480, 24), (480, 960, 60), (960, 1440, 120)])))
    assert [note.pitch for note in reading.score.parts[0].notes] == [24, 60, 120]
    (message,) = reading.messages
    assert "2 notes outside the range of the violin (G3 to G7)" in message
    assert "C1 at 0.00 s" in message


def test_d12_key_0_is_a_note_and_a_pitch_offset_too_far_is_said() -> None:
    assert one_part(*mb.notes([(0, 480, 0)])).notes[0].pitch == 0
    with pytest.raises(MidiError, match="pitch_offset 64 takes part 'Violin' to notes from 124 to 128"):
        one_part(*LINE, pitch_offset=64.0)


def test_d23_a_note_ends_where_its_end_is_written() -> None:
    part = one_part(*mb.notes([(7, 1013, 60), (1013, 1020, 61), (1021, 1511, 62)]))
    assert spans(part) == [(on / 960, round(off / 960, 9), key) for on, off, key in (
        (7, 1013, 60), (1013, 1020, 61), (1021, 1511, 62))]


# --- types, tracks and channels ------------------------------------------------------------------------------------


def test_type_0_gives_a_part_a_channel_and_its_name_is_the_title() -> None:
    track = mb.track(mb.name("Trio"), mb.program(73), mb.program(68, 1), mb.program(70, 2), *LINE,
                     *mb.notes([(0, 480, 72)], channel=1), *mb.notes([(0, 480, 50)], channel=2))
    score = read(track, kind=0).score
    assert [(part.name, part.instrument, part.channel) for part in score.parts] == [
        ("Flute", "flute", 0), ("Oboe", "oboe", 1), ("Bassoon", "bassoon", 2)]
    assert score.title == "Trio"


def test_type_2_patterns_follow_one_another_each_with_its_own_tempo() -> None:
    first = mb.track(mb.name("A"), VIOLIN, mb.tempo(0, 1_000_000), *mb.notes([(0, 480, 60)]), mb.control(960, 1, 1))
    second = mb.track(VIOLIN, *mb.notes([(240, 480, 62)]))
    reading = read(first, second, kind=2)
    (part,) = reading.score.parts
    assert spans(part) == [(0.0, 1.0, 60), (2.25, 2.5, 62)]
    assert "one after the other" in reading.messages[0]


def test_several_channels_of_a_track_are_several_parts_with_names_of_their_own() -> None:
    track = mb.track(mb.name("Winds"), mb.program(73), mb.program(68, 1), *LINE, *mb.notes([(0, 480, 72)], channel=1))
    assert [part.name for part in read(track).score.parts] == ["Winds (Flute)", "Winds (Oboe)"]


def test_a_program_change_in_the_track_begins_a_part() -> None:
    track = mb.track(mb.name("Reeds"), mb.program(71), *LINE, mb.program(64, tick=480))
    assert [(part.name, part.instrument, len(part.notes)) for part in read(track).score.parts] == [
        ("Reeds (Clarinet)", "clarinet", 1), ("Reeds (Saxophone)", "saxophone", 2)]


def test_programs_and_controllers_may_come_from_a_track_without_notes() -> None:
    setup = mb.track(mb.name("Conductor"), mb.program(60, 3), mb.control(0, 90, 7, 3))
    reading = read(setup, mb.track(*mb.notes([(0, 480, 60)], channel=3)))
    (part,) = reading.score.parts
    assert (part.instrument, part.program, part.lanes[0].values) == ("horn", 60, (90.0,))
    assert reading.score.title == "Conductor"


def test_tracks_that_share_a_channel_keep_their_own_programs() -> None:
    reading = read(mb.track(mb.program(40), *LINE), mb.track(mb.program(73), *LINE))
    assert [part.instrument for part in reading.score.parts] == ["violin", "flute"]


def test_names_are_unique_and_read_in_the_encodings_people_use() -> None:
    texts = ["Flöte".encode(), "Flöte".encode("latin-1"), b"Fl\x00ute  \n", b"fl ute", "第一小提琴".encode(), b""]
    reading = read(*(mb.track(mb.name(text), *LINE) for text in texts))
    assert [part.name for part in reading.score.parts] == [
        "Flöte", "Flöte 2", "Fl ute", "fl ute 2", "第一小提琴", "Part 6"]
    assert [part.instrument for part in reading.score.parts][:2] == ["flute", "flute"]
    assert reading.score.parts[4].instrument == "violin"


def test_bass_clarinet_and_contrabassoon_are_known_by_name_or_option() -> None:
    reading = read(mb.track(mb.name("Bass Clarinet in Bb"), mb.program(71), *LINE),
                   mb.track(mb.name("Kontrafagott"), mb.program(70), *LINE), mb.track(mb.program(71), *LINE),
                   instruments={"Clarinet": "bass_clarinet"})
    assert [part.instrument for part in reading.score.parts] == ["bass_clarinet", "contrabassoon", "bass_clarinet"]
    assert not reading.substitutions


def test_instruments_are_chosen_by_part_name_or_for_all() -> None:
    tracks = mb.track(mb.name("Lead"), *LINE), mb.track(mb.name("Pad"), mb.program(90), *LINE)
    chosen = read(*tracks, instruments={"lead": "Oboe", "*": "Vla."})
    assert [part.instrument for part in chosen.score.parts] == ["oboe", "viola"]
    assert chosen.resolutions["Lead"].reason == "chosen by option"
    with pytest.raises(MidiError, match="no part called 'Bass'; its parts are 'Lead', 'Pad'"):
        read(*tracks, instruments={"Bass": "tuba"})
    with pytest.raises(ValueError, match="no instrument is called 'kazoo'"):
        read(*tracks, instruments={"Lead": "kazoo"})


@pytest.mark.parametrize("options", [
    {"unsupported": "guess"}, {"keyswitches": "maybe"}, {"speed": 0.0}, {"speed": float("nan")},
    {"pitch_offset": float("inf")}])
def test_a_wrong_option_is_said(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} is"):
        read(mb.track(*LINE), **options)


# --- notes and pedals ----------------------------------------------------------------------------------------------


def test_notes_of_one_pitch_are_paired_first_in_first_out() -> None:
    part = one_part((0, b"\x90\x3c\x40"), (240, b"\x90\x3c\x50"), (480, b"\x80\x3c\x00"), (960, b"\x80\x3c\x00"))
    assert spans(part) == [(0.0, 0.5, 60), (0.25, 1.0, 60)]


def test_running_status_and_velocity_0_end_notes() -> None:
    part = one_part((0, b"\x90\x3c\x40"), (480, b"\x3c\x00"), (480, b"\x3e\x40"), (960, b"\x3e\x00"))
    assert spans(part) == [(0.0, 0.5, 60), (0.5, 1.0, 62)]


def test_a_note_without_an_end_lasts_to_the_next_note_and_is_said() -> None:
    reading = read(mb.track(VIOLIN, (0, b"\x90\x3c\x40"), *mb.notes([(960, 1440, 62), (1920, 2400, 60)]),
                            (2880, b"\x90\x40\x40")))
    assert spans(reading.score.parts[0]) == [(0.0, 1.0, 60), (1.0, 1.5, 62), (2.0, 2.5, 60), (3.0, 3.5, 64)]
    assert "2 notes without an end" in reading.messages[0]


def test_all_notes_off_ends_every_note() -> None:
    part = one_part((0, b"\x90\x3c\x40"), (0, b"\x90\x40\x40"), mb.control(480, 0, 123), (960, b"\x90\x3c\x40"),
                    mb.control(1440, 0, 120))
    assert spans(part) == [(0.0, 0.5, 60), (0.0, 0.5, 64), (1.0, 1.5, 60)]


def test_the_pedal_joins_to_the_next_onset_and_never_piles_up() -> None:
    part = one_part(*mb.notes([(0, 100, 60), (480, 580, 62), (960, 1060, 64)]), mb.control(0, 64, 64),
                    mb.control(1920, 63, 64))
    assert spans(part) == [(0.0, 0.5, 60), (0.5, 1.0, 62), (1.0, 2.0, 64)]
    assert plan_part(part).voices == 1


def test_the_pedal_leaves_alone_what_ends_outside_it() -> None:
    part = one_part(*mb.notes([(0, 480, 60), (600, 700, 62)]), mb.control(480, 127, 64), mb.control(590, 0, 64))
    assert spans(part) == [(0.0, 0.5, 60), (0.625, round(700 / 960, 9), 62)]


def test_a_pedal_never_released_ends_with_the_last_note() -> None:
    part = one_part(*mb.notes([(0, 100, 60), (480, 960, 62)]), mb.control(0, 127, 64))
    assert spans(part) == [(0.0, 0.5, 60), (0.5, 1.0, 62)]


def test_the_legato_pedal_marks_the_notes_slurred_to_the_one_before() -> None:
    part = one_part(*mb.notes([(480 * at, 480 * at + 470, 60 + at) for at in range(5)]), mb.control(480, 127, 68),
                    mb.control(1500, 0, 68))
    assert [note.articulations for note in part.notes] == [(), (), ("legato",), ("legato",), ()]
    assert [len(chain.notes) for chain in plan_part(part).chains] == [1, 3, 1]


def test_bend_without_rpn_is_two_semitones_and_nrpn_does_not_change_it() -> None:
    part = one_part(*LINE, mb.control(0, 1, 99), mb.control(0, 8, 98), mb.control(0, 48, 6), mb.bend(10, 4096))
    assert part.lanes[0].values == (1.0,)


def test_a_new_bend_range_moves_a_bend_that_is_held() -> None:
    part = one_part(*LINE, mb.bend(10, 4096), *((tick + 20, data) for tick, data in mb.rpn_range(12)))
    assert part.lanes[0].values == (1.0, 6.0)


def test_reset_controllers_puts_bend_and_expression_back_but_not_volume() -> None:
    part = one_part(*LINE, mb.bend(0, 4096), mb.control(0, 9, 11), mb.control(0, 9, 7), mb.control(480, 0, 121))
    assert {lane.name: lane.values for lane in part.lanes} == {
        "cc7": (9.0,), "cc11": (9.0, 127.0), "bend": (1.0, 0.0)}


def test_key_switches_are_said_and_dropped_on_request() -> None:
    switches = mb.notes([(0, 60, 24), (1440, 1500, 26), (2880, 2940, 24)])
    music = mb.notes([(70 + 480 * at, 480 + 480 * at, 60 + at) for at in range(8)])
    track = mb.track(mb.name("Violin KS"), VIOLIN, *switches, *music)
    kept, dropped = read(track), read(track, keyswitches="drop")
    assert len(kept.score.parts[0].notes) == 11
    assert [note.pitch for note in dropped.score.parts[0].notes] == [60 + at for at in range(8)]
    assert "3 notes from C1 to D1 look like key switches" in kept.messages[0]
    assert "left out" in dropped.messages[0]
    assert {note.id for note in dropped.score.parts[0].notes} < {note.id for note in kept.score.parts[0].notes}


@pytest.mark.parametrize("found", [
    [(0, 960, 24), (960, 1440, 60), (1440, 1920, 62)],  # held: meant to be heard
    [(0, 60, 53), (70, 480, 60), (480, 960, 62)],  # just below the range
    [(0, 60, 24), (70, 130, 25), (140, 200, 26), (210, 300, 60)],  # more of them than of music
    [(0, 480, 60), (480, 960, 62), (960, 1000, 24), (1000, 1040, 25)],  # nothing after them to switch
    [(0, 60, 24), (70, 480, 30)],  # no music in the range at all
])
def test_low_notes_that_are_no_key_switches_stay(found: list[tuple[int, int, int]]) -> None:
    reading = read(mb.track(VIOLIN, *mb.notes(found)), keyswitches="drop")
    assert len(reading.score.parts[0].notes) == len(found)


# --- time ----------------------------------------------------------------------------------------------------------


def test_tempo_maps_of_any_track_hold_for_all() -> None:
    score = read(mb.track(VIOLIN, *mb.notes([(0, 480, 60), (960, 1440, 62)])),
                 mb.track(mb.tempo(0, 1_000_000), mb.tempo(480, 250_000), mb.tempo(1200, 2_000_000))).score
    assert spans(score.parts[0]) == [(0.0, 1.0, 60), (1.25, 2.375, 62)]
    assert [(change.time, change.beat, change.bpm) for change in score.tempo] == [
        (0.0, 0.0, 60.0), (1.0, 1.0, 240.0), (1.375, 2.5, 30.0)]


@pytest.mark.parametrize(("division", "tick_s"), [
    (0xE728, 1 / 1000), (0xE808, 1 / 192), (0xE201, 1 / 30), (0xE302, 1001 / 60_000)])
def test_time_code_has_its_own_ticks_and_ignores_tempo(division: int, tick_s: float) -> None:
    content = mb.file(mb.track(VIOLIN, mb.tempo(0, 100_000), *mb.notes([(100, 500, 60)])), division=division)
    (note,) = read_midi(content).score.parts[0].notes
    assert (note.onset, note.offset) == pytest.approx((100 * tick_s, 500 * tick_s))


def test_signatures_are_read_and_broken_ones_passed_over() -> None:
    score = read(mb.track(
        mb.meta(0, 0x58, b"\x03\x02\x18\x08"), mb.meta(1440, 0x58, b"\x06\x03\x18\x08"), mb.meta(0, 0x59, b"\xfd\x01"),
        mb.meta(480, 0x59, b"\x02\x00"), mb.meta(0, 0x59, b"\x7f\xff"), mb.meta(0, 0x58, b"\x00\xff"),
        mb.meta(0, 0x51, b"\x01"), VIOLIN, *LINE)).score
    assert [(item.beat, item.numerator, item.denominator) for item in score.meter] == [(0.0, 3, 4), (3.0, 6, 8)]
    assert [(item.beat, item.fifths, item.mode) for item in score.key] == [(0.0, -3, "minor"), (1.0, 2, "major")]


# --- broken files --------------------------------------------------------------------------------------------------

GOOD = mb.file(mb.track(VIOLIN, *LINE))


@pytest.mark.parametrize(("content", "sentence"), [
    (b"", "does not begin as a MIDI file"),
    (b"RIFF\x04\x00\x00\x00WAVE", "RIFF file without MIDI"),
    (b"RIFF\x04\x00\x00\x00RMID", "MIDI data is missing"),
    (b"%PDF-1.7 and more", "does not begin as a MIDI file"),
    (GOOD[:12], "cut off inside its header"),
    (GOOD[:14], "it has no tracks"),
    (GOOD[:40], "track 1 is cut off"),
    (GOOD[:-3], "track 1 is cut off"),
    (mb.file(mb.track(VIOLIN, *LINE), division=0), "0 ticks to a quarter note"),
    (mb.file(mb.track(VIOLIN, *LINE), division=0x9C10), "100 frames a second of 16 ticks"),
    (mb.file(mb.track(VIOLIN, *LINE), kind=7), "says type 7"),
    (GOOD[:4] + b"\x00\x00\x00\x02" + GOOD[8:], "header says it is 2 bytes long"),
    (mb.file(mb.chunk(b"MTrk", b"\x00\x3c\x40")), "begins in the middle of a message"),
    (mb.file(mb.chunk(b"MTrk", b"\x00\xf4\x40")), "no message (0xF4"),
    (mb.file(mb.chunk(b"MTrk", b"\xff\xff\xff\xff\x00\x90\x3c\x40")), "a time that is too long"),
    (mb.file(mb.chunk(b"MTrk", b"\x00\xff\x01\xff\xff\xff\xff\xff")), "a length that is too long"),
    (mb.file(mb.chunk(b"MTrk", b"\x00\xff\x01\x7fabc")), "track 1 is cut off"),
    (mb.file(mb.track(VIOLIN, (0, b"\x90\x3c\x40"), (0x0FFFFFFF, b"\x80\x3c\x40"))), "ends after 78 hours"),
])
def test_a_broken_file_gives_one_clear_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "broken.mid").write_bytes(content)
    with pytest.raises(MidiError) as caught:
        read_midi(tmp_path / "broken.mid")
    assert sentence in str(caught.value)
    assert "broken.mid" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [
    mb.file(mb.track(VIOLIN, *LINE), declared=9),
    mb.file(mb.track(VIOLIN, *LINE)) + b"\x00\x00TAG of some program",
    mb.file(mb.chunk(b"XFIH", b"abc"), mb.track(VIOLIN, *LINE), declared=1),
    mb.file(mb.track(VIOLIN, *LINE, end=False)),
    mb.file(mb.track(VIOLIN, (0, b"\xf0\x05\x7e\x7f\x09\x01\xf7"), (0, b"\xf8"), (0, b"\xf2\x01\x01"), *LINE)),
    mb.file(mb.track(VIOLIN, mb.meta(0, 0x59, b""), mb.meta(0, 0x7F, b"\x00" * 300), *LINE)),
    mb.file(mb.track(VIOLIN, mb.tempo(0, 0), *LINE)),
    mb.chunk(b"MThd", b"\x00\x01\x00\x01\x01\xe0later") + mb.track(VIOLIN, *LINE),
])
def test_what_loses_no_note_is_forgiven(content: bytes) -> None:
    assert spans(read_midi(content).score.parts[0]) == [(0.0, 0.5, 60), (0.5, 1.0, 62), (1.0, 1.5, 64)]


def test_a_missing_file_and_a_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(MidiError, match=r"none\.mid cannot be opened: No such file"):
        read_midi(tmp_path / "none.mid")
    with pytest.raises(MidiError, match="cannot be opened"):
        read_midi(tmp_path)


@pytest.fixture(scope="module")
def real_files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("odd")
    for name, build in ODD.items():
        build(folder / f"{name}.mid")
    return [path.read_bytes() for path in sorted((*folder.iterdir(), *(ROOT / "examples").glob("*.mid")))]


def read_or_refuse(content: bytes) -> MidiReading | None:
    """What was read, or None where one sentence refused it; anything else is a failure."""
    try:
        return read_midi(content)
    except MidiError as error:
        refusal = str(error)
    assert "\n" not in refusal
    return None


@settings(max_examples=300, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), which=st.integers(0, 99), flips=st.integers(1, 12), cut=st.booleans())
def test_flipped_bytes_and_cuts_give_a_score_or_a_sentence(
    real_files: list[bytes], seed: int, which: int, flips: int, cut: bool,
) -> None:
    rng = random.Random(seed)
    content = bytearray(real_files[which % len(real_files)])
    for _ in range(flips):
        content[rng.randrange(len(content))] = rng.randrange(256)
    if cut:
        content = content[:rng.randrange(len(content))]
    reading = read_or_refuse(bytes(content))
    for part in reading.score.parts if reading is not None else ():
        plan = plan_part(part)
        assert sum(len(chain.notes) for chain in plan.chains) == len(part.notes)


@settings(max_examples=200, deadline=5000)
@given(body=st.binary(max_size=200), division=st.integers(0, 0xFFFF), kind=st.integers(0, 2))
def test_random_bytes_in_a_track_give_a_score_or_a_sentence(body: bytes, division: int, kind: int) -> None:
    read_or_refuse(mb.file(mb.chunk(b"MTrk", body + b"\x00" + mb.END), division=division, kind=kind))


# --- identity, size, witnesses -------------------------------------------------------------------------------------


def test_the_same_file_gives_the_same_ids_and_each_is_unique(tmp_path: Path) -> None:
    content = mb.file(mb.track(VIOLIN, *LINE, *LINE, *mb.notes([(0, 480, 67)])), mb.track(mb.program(41), *LINE))
    (tmp_path / "other name.mid").write_bytes(content)
    first, second = read_midi(content).score, read_midi(tmp_path / "other name.mid").score
    ids = [note.id for part in first.parts for note in part.notes]
    assert ids == [note.id for part in second.parts for note in part.notes]
    assert len(set(ids)) == len(ids) == 10


def test_an_edit_elsewhere_leaves_ids_alone() -> None:
    before = one_part(*LINE)
    after = one_part(*LINE, *mb.notes([(240, 400, 80)]))
    assert {note.id for note in before.notes} < {note.id for note in after.notes}


def test_100_000_notes_are_read_and_planned_in_seconds() -> None:
    rng = random.Random(1)
    body = bytearray(b"\x00\xc0\x28")
    for _ in range(100_000):
        key = rng.randrange(55, 100)
        body += bytes((rng.randrange(100), 0x90, key, 80, rng.randrange(1, 100), 0x80, key, 0))
    started = time.process_time()
    (part,) = read_midi(mb.file(mb.chunk(b"MTrk", bytes(body) + b"\x00" + mb.END))).score.parts
    plan = plan_part(part)
    # Three seconds on an idle core; the bound says linear time: quadratic would take hours.
    assert time.process_time() - started < 20.0
    assert sum(len(chain.notes) for chain in plan.chains) == len(part.notes) == 100_000


# mido plays no type 2 and refuses chunks it does not know.
@pytest.mark.parametrize("name", sorted(ODD.keys() - {"type2_patterns", "running_status_horn"}))
def test_mido_reads_the_same_notes(tmp_path: Path, name: str) -> None:
    ODD[name](tmp_path / "a.mid")
    now, onsets = 0.0, []
    for message in mido.MidiFile(tmp_path / "a.mid"):
        now += message.time
        if message.type == "note_on" and message.velocity and message.channel != 9:
            onsets.append((now, float(message.note)))
    own = [(note.onset, note.pitch) for part in read_midi(tmp_path / "a.mid").score.parts for note in part.notes]
    np.testing.assert_allclose(sorted(own), sorted(onsets), atol=1e-9)  # sums of float64 seconds


# --- writing -------------------------------------------------------------------------------------------------------


def assert_same_within_a_tick(before: Score, after: Score) -> None:
    """All that MIDI can say is the same; times within a tick at the slowest tempo of the piece."""
    slowest = min((change.bpm for change in before.tempo), default=120.0)
    tick_s = 60.0 / min(slowest, 120.0) / 960
    assert [(part.name, part.instrument) for part in after.parts] == [
        (part.name, part.instrument) for part in before.parts]
    for old, new in zip(before.parts, after.parts):
        key = lambda note: (round(note.onset / tick_s / 4), note.pitch, note.onset)  # noqa: E731
        assert len(old.notes) == len(new.notes)
        for a, b in zip(sorted(old.notes, key=key), sorted(new.notes, key=key)):
            assert b.onset == pytest.approx(a.onset, abs=tick_s)
            assert b.offset == pytest.approx(a.offset, abs=2 * tick_s)
            assert (b.pitch, b.velocity) == (a.pitch, a.velocity)
        for lane in filter(lambda lane: lane.times, old.lanes):
            written = new.lane(lane.name)
            assert written is not None
            assert written.times == pytest.approx(lane.times, abs=tick_s)
            # 14 bits over the range of the bend, at most 24 semitones here
            assert written.values == pytest.approx(lane.values, abs=0.002 if lane.name == "bend" else 0.5)
    assert [(item.beat, item.numerator, item.denominator) for item in after.meter] == [
        (item.beat, item.numerator, item.denominator) for item in before.meter]
    assert after.key == before.key
    assert [change.beat for change in after.tempo] == pytest.approx([change.beat for change in before.tempo])
    assert [change.bpm for change in after.tempo] == pytest.approx([change.bpm for change in before.tempo], rel=1e-4)
    assert after.title == before.title


@pytest.mark.parametrize("name", [*sorted(ODD), "ode_to_joy", "ode_to_joy_quartet"])
def test_a_written_file_reads_back_to_the_same_score(tmp_path: Path, name: str) -> None:
    source = ROOT / "examples" / f"{name}.mid"
    if name in ODD:
        source = tmp_path / "source.mid"
        ODD[name](source)
    before = read_midi(source).score
    write_midi(before, tmp_path / "written.mid")
    after = read_midi(tmp_path / "written.mid").score
    assert_same_within_a_tick(before, after)
    # Written again it is the same file: nothing drifts from one round to the next.
    write_midi(after, tmp_path / "again.mid")
    assert (tmp_path / "again.mid").read_bytes() == (tmp_path / "written.mid").read_bytes()


def _writable(score: Score) -> Score:
    """A score that MIDI can say: no overlaps of one pitch, velocities given, a part without a program guessed alike."""
    parts = []
    for part in score.parts:
        ends: dict[float, float] = {}
        kept: list[Note] = []
        for note in part.notes:
            if note.onset >= ends.get(note.pitch, -1.0) + 0.05 and note.duration > 0.05:
                kept.append(dataclasses.replace(note, velocity=note.velocity or 64, articulations=()))
                ends[note.pitch] = note.offset
        if kept:
            parts.append(dataclasses.replace(part, notes=tuple(kept), players=1, program=None))
    return dataclasses.replace(score, parts=tuple(parts))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(score=scores(min_notes=1))
def test_any_score_reads_back_within_a_tick(tmp_path: Path, score: Score) -> None:
    score = _writable(score)
    if not score.parts:
        return
    write_midi(score, tmp_path / "any.mid")
    assert_same_within_a_tick(score, read_midi(tmp_path / "any.mid").score)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=any_part(name="Solo", min_notes=1, monophonic=True, with_lanes=False))
def test_legato_marks_survive_writing(tmp_path: Path, part: Part) -> None:
    first, *others = (dataclasses.replace(note, duration=max(0.05, note.duration)) for note in part.notes)
    marked = [dataclasses.replace(first, articulations=())]
    for note in others:
        # Far enough apart that every onset has a tick of its own.
        marked.append(dataclasses.replace(note, onset=marked[-1].offset + 0.1))
    before = Score(parts=(dataclasses.replace(part, notes=tuple(marked)),))
    write_midi(before, tmp_path / "slurs.mid")
    (after,) = read_midi(tmp_path / "slurs.mid").score.parts
    assert ["legato" in note.articulations for note in after.notes] == [
        "legato" in note.articulations for note in marked]


def test_sixteen_parts_and_more_are_written_and_none_becomes_drums(tmp_path: Path) -> None:
    names = [*INSTRUMENTS, "violin", "viola"]
    before = Score(parts=tuple(
        Part(name=f"{index} {name}", instrument=name, channel=9 if index == 3 else None,
             notes=(Note(id=f"n{index}", onset=0.0, duration=1.0, pitch=60.0, velocity=64),))
        for index, name in enumerate(names)))
    write_midi(before, tmp_path / "many.mid")
    after = read_midi(tmp_path / "many.mid")
    assert [part.instrument for part in after.score.parts] == names
    assert not after.substitutions


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "song.mid"
    path.write_bytes(b"precious")

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(mido.MidiFile, "save", fail)
    score = read_midi(GOOD).score
    with pytest.raises(OSError, match="no space"):
        write_midi(score, path)
    assert path.read_bytes() == b"precious"
    assert [item.name for item in tmp_path.iterdir()] == ["song.mid"]


def test_the_examples_are_what_their_scripts_write(tmp_path: Path) -> None:
    import runpy

    runpy.run_path(str(ROOT / "examples" / "make_examples.py"))["main"](tmp_path)
    folk_tune = runpy.run_path(str(ROOT / "examples" / "make_folk_tune.py"))
    folk_tune["write_midi"](folk_tune["tune"](), tmp_path / "scarborough_fair.mid")
    for path in sorted((ROOT / "examples").glob("*.mid")):
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(
            (tmp_path / path.name).read_bytes()).digest(), path.name
