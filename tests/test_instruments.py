"""The table of instruments, and how a part finds its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mididdsp.instruments import (
    INSTRUMENTS,
    MAX_PARTIALS,
    PROGRAM_NAMES,
    by_register,
    instrument,
    named,
    program_of,
    resolve,
    seats,
)

ORDER = ["violin", "viola", "cello", "double_bass", "flute", "oboe", "english_horn", "clarinet", "bass_clarinet",
         "saxophone", "bassoon", "contrabassoon", "trumpet", "horn", "trombone", "tuba"]


def test_the_order_is_fixed_because_models_number_instruments_by_it() -> None:
    assert list(INSTRUMENTS) == ORDER


@pytest.mark.parametrize("name", ORDER)
def test_a_row_is_sound(name: str) -> None:
    row = INSTRUMENTS[name]
    assert row.name == name
    assert row.low < row.centre < row.high
    assert -1.0 <= row.pan <= 1.0
    lowest_hz = 440.0 * 2.0 ** ((row.low - 69) / 12.0)
    # Up to 20 kHz from the lowest note, unless that takes more partials than are heard.
    assert row.partials == MAX_PARTIALS or 20_000.0 <= row.partials * lowest_hz < 20_000.0 + lowest_hz


def test_programs_belong_to_one_instrument_each() -> None:
    programs = [program for row in INSTRUMENTS.values() for program in row.programs]
    assert len(set(programs)) == len(programs)
    assert {"violin": 40, "saxophone": 64, "flute": 73, "bass_clarinet": 71, "contrabassoon": 70}.items() <= {
        name: program_of(name) for name in INSTRUMENTS}.items()
    assert len(PROGRAM_NAMES) == 128


@pytest.mark.parametrize(("text", "expected"), [
    ("Vln. I", "violin"), ("VlnII", "violin"), ("Violin2", "violin"), ("Violon", "violin"), ("1. Geige", "violin"),
    ("Violino Principale", "violin"), ("Скрипка 1", "violin"), ("第一小提琴", "violin"), ("바이올린", "violin"),
    ("Bratsche", "viola"), ("Vla.", "viola"), ("中提琴", "viola"), ("Vc.", "cello"), ("Violoncelle", "cello"),
    ("Violoncello & Basso", "cello"), ("大提琴", "cello"), ("Kb.", "double_bass"), ("Contrebasse", "double_bass"),
    ("String Bass", "double_bass"), ("Fl. 1", "flute"), ("Flöte", "flute"), ("Querflöte", "flute"),
    ("Hautbois", "oboe"),
    ("Cor anglais", "english_horn"), ("E.H.", "english_horn"), ("Englischhorn", "english_horn"),
    ("Clarinet in Bb", "clarinet"), ("Klarinette", "clarinet"), ("Bass Clarinet in Bb", "bass_clarinet"),
    ("Clarinette basse", "bass_clarinet"), ("B. Cl.", "bass_clarinet"), ("Alto Sax", "saxophone"),
    ("Tenorsaxophon", "saxophone"), ("Fagott", "bassoon"), ("Bsn", "bassoon"), ("Kontrafagott", "contrabassoon"),
    ("C. Bn.", "contrabassoon"), ("Tpt 2", "trumpet"), ("Trompette en Ut", "trumpet"), ("Tromba", "trumpet"),
    ("Horn in F", "horn"), ("Hörner", "horn"), ("Corno III", "horn"), ("Cor", "horn"), ("Bass Trombone", "trombone"),
    ("Posaune", "trombone"), ("Tba.", "tuba"), ("Basstuba", "tuba"), ("Flute solo (melody)", "flute"),
])
def test_names_of_many_languages_are_known(text: str, expected: str) -> None:
    assert named(text) == (expected, True)


@pytest.mark.parametrize("text", ["", "Piano", "Soprano", "Alto", "Bass", "Track 1", "Staff-2", "melody", "III", "!?"])
def test_names_that_say_no_instrument_are_none(text: str) -> None:
    assert named(text) is None


@pytest.mark.parametrize(("text", "expected"), [
    ("Piccolo", "flute"), ("Flügelhorn", "trumpet"), ("Viola da gamba", "cello"), ("Euphonium", "trombone")])
def test_instruments_the_table_lacks_have_a_nearest(text: str, expected: str) -> None:
    assert named(text) == (expected, False)
    resolution = resolve(None, text, [60])
    assert (resolution.instrument, resolution.exact) == (expected, False)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    found = named(text)
    assert found is None or found[0] in INSTRUMENTS


@pytest.mark.parametrize("name", ["violin", "Violin", "Double Bass", "english-horn", "Vla.", "Cor anglais"])
def test_people_name_instruments_as_they_like(name: str) -> None:
    assert instrument(name).name in INSTRUMENTS


@pytest.mark.parametrize("name", ["", "kazoo", "piccolo"])
def test_an_unknown_instrument_is_said_with_the_known(name: str) -> None:
    with pytest.raises(ValueError, match="choose one of violin, viola"):
        instrument(name)


@pytest.mark.parametrize(("program", "name", "pitches", "expected", "how"), [
    (40, "Viola", [60], "violin", "program"),
    (64, "", [60], "saxophone", "program"),
    (67, "", [40], "saxophone", "program"),
    (69, "Oboe", [60], "english_horn", "program"),
    (71, "Bass Clarinet", [50], "bass_clarinet", "name"),
    (70, "Contrabassoon", [30], "contrabassoon", "name"),
    (71, "Contrabassoon", [30], "clarinet", "program"),
    (0, "Violin", [60], "violin", "name"),
    (48, "Celli", [60], "cello", "name"),
    (48, "", [76, 79, 81], "violin", "family"),
    (48, "", [60, 62, 64], "viola", "family"),
    (49, "", [48, 50, 52], "cello", "family"),
    (51, "", [30, 33, 35], "double_bass", "family"),
    (61, "", [72, 74], "trumpet", "family"),
    (61, "", [57, 59], "horn", "family"),
    (61, "", [32, 36], "tuba", "family"),
    (32, "", [40], "double_bass", "family"),
    (72, "", [90], "flute", "family"),
    (74, "", [76], "flute", "family"),
    (74, "", [40, 42], "bassoon", "family"),
    (110, "", [70], "violin", "family"),
    (59, "", [70], "trumpet", "family"),
    (None, "Horn", [60], "horn", "name"),
    (None, "", [80], "violin", "range"),
    (None, "Basso continuo", [30], "double_bass", "range"),
    (None, "Brass 2", [57], "horn", "range"),
    (None, "Holzbläser", [80], "flute", "range"),
    (None, "", [], "violin", "range"),
])
def test_a_part_finds_its_instrument(
    program: int | None, name: str, pitches: list[float], expected: str, how: str,
) -> None:
    resolution = resolve(program, name, pitches)
    assert (resolution.instrument, resolution.how) == (expected, how)
    assert resolution.exact == (how in ("program", "name"))
    assert resolution.reason


@pytest.mark.parametrize("program", range(128))
def test_every_program_plays_in_every_register(program: int) -> None:
    for pitch in (0, 30, 50, 60, 80, 127):
        resolution = resolve(program, "", [pitch])
        assert PROGRAM_NAMES[program] in resolution.reason
        assert resolution.exact == any(program in row.programs for row in INSTRUMENTS.values())


@pytest.mark.parametrize(("program", "name", "pitches", "said"), [
    (0, "Keys", [60], "Keys (Acoustic Grand Piano) is played on the viola, the nearest strings in its register."),
    (0, "Acoustic Grand Piano", [60],
     "Acoustic Grand Piano is played on the viola, the nearest strings in its register."),
    (75, "Pan Flute", [76], "Pan Flute is played on the flute, the nearest to 'Pan Flute'."),
    (79, "Melody", [76], "Melody (Ocarina) is played on the flute, the nearest to it."),
    (None, "Staff 2", [60],
     "Staff 2 is played on the viola, the strings in its register (the file names no instrument for it)."),
])
def test_a_stand_in_is_said_in_one_sentence(
    program: int | None, name: str, pitches: list[float], said: str,
) -> None:
    assert resolve(program, name, pitches).sentence(name, program) == said


def test_ensembles_ask_for_several_players() -> None:
    assert resolve(48, "", [60]).players > 1
    assert resolve(61, "", [60]).players > 1
    assert resolve(40, "", [60]).players == 1


@pytest.mark.parametrize("program", [-1, 128])
def test_a_program_that_does_not_exist_is_refused(program: int) -> None:
    with pytest.raises(ValueError, match=f"program is {program}"):
        resolve(program, "", [60])


def test_the_register_is_where_most_notes_can_be_played() -> None:
    strings = ("violin", "viola", "cello", "double_bass")
    assert by_register(strings, [60, 62, 64, 50, 52]) == "viola"
    assert by_register(strings, [74] * 30 + [30]) == "violin"  # one odd note moves nothing
    # The viola's centre is nearer to the middle note, but two in five lie below its strings.
    assert by_register(strings, [40, 40, 62, 64, 66]) == "cello"


def test_seats_spread_players_of_one_instrument_and_keep_their_side() -> None:
    quartet = seats(["violin", "violin", "viola", "cello"])
    assert quartet[0] < quartet[1] < quartet[2] < quartet[3]
    assert seats(["violin"]) == (INSTRUMENTS["violin"].pan,)
    assert all(-1.0 <= pan <= 1.0 for pan in seats(ORDER * 3))
