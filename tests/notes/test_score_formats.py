"""MEI, ABC and Humdrum: what music21 passes over in them is played, or listed."""

from __future__ import annotations

import pytest

from mididdsp.notes import abc, humdrum
from mididdsp.notes.score import ScoreError, ScoreReading, read_score
from mididdsp.notes.types import Note

MEI = b"""<?xml version="1.0" encoding="UTF-8"?>
<mei xmlns="http://www.music-encoding.org/ns/mei" meiversion="4.0.1"><meiHead><fileDesc><titleStmt><title>T</title>
</titleStmt><pubStmt/></fileDesc></meiHead><music><body><mdiv><score><scoreDef meter.count="4" meter.unit="4"><staffGrp>
<staffDef n="1" lines="5" clef.shape="G" clef.line="2" label="Clarinet in Bb" trans.semi="-2" trans.diat="-1"/>
<staffDef n="2" lines="5" clef.shape="F" clef.line="4" label="Cello"/></staffGrp></scoreDef><section>
<measure n="1"><staff n="1"><layer n="1"><note xml:id="a" pname="c" oct="5" dur="4" artic="stacc"/>
<note xml:id="b" pname="d" oct="5" dur="4"/><note xml:id="c" pname="e" oct="5" dur="2"/></layer></staff>
<staff n="2"><layer n="1"><note pname="c" oct="3" dur="1"/></layer></staff>
<dynam staff="1" tstamp="1">p</dynam><hairpin staff="1" tstamp="1" tstamp2="1m+1" form="cres"/>
<slur startid="#b" endid="#c"/><fermata startid="#c"/><harpPedal tstamp="1" staff="2"/>
<tempo staff="1" tstamp="1" midi.bpm="60">Adagio</tempo></measure>
<measure n="2"><staff n="1"><layer n="1"><note xml:id="d" pname="f" oct="5" dur="1"/></layer></staff>
<staff n="2"><layer n="1"><bTrem><note pname="c" oct="3" dur="1" stem.mod="1slash"/></bTrem></layer></staff>
<dynam staff="1" tstamp="1">f</dynam><trill startid="#d"/></measure></section></score></mdiv></body></music></mei>"""

ABC = """X:1
T:Two voices
M:4/4
L:1/8
Q:1/4=60
V:1 name="Violin"
V:2 name="Cello" clef=bass
K:G
[V:1] !p!G2 .A2 (B2 c2) | !crescendo(!d4 e4!crescendo)! | !f!f4 Tg4 | (!pp!B4 !fermata!G4) |]
[V:2] G,4 !>!D,4 | !nonsense!G,8 | [G,D]8 | D,4 G,4 |]
"""

KERN = """**kern\t**dynam\t**kern
*Icello\t*\t*Ivioln
*M4/4\t*\t*M4/4
*MM60\t*\t*MM60
=1\t=1\t=1
4G\tp\t4g
4D\t<\t4a
4G\t(\t8b
.\t.\t8cc
4B\t[\t4cc
=2\t=2\t=2
*^\t*\t*
2G\t2GG\tf\t2g
2D\t2DD\t>\t2d
=3\t=3\t=3\t=3
*v\t*v\t*\t*
1G\tp\t1d
==\t==\t==
*-\t*-\t*-
"""


def part(reading: ScoreReading, name: str) -> tuple[Note, ...]:
    return next(item.notes for item in reading.score.parts if item.name.startswith(name))


def test_mei_is_played_as_marked() -> None:
    reading = read_score(MEI)
    clarinet, cello = part(reading, "Clarinet"), part(reading, "Cello")
    assert [note.pitch for note in clarinet[:3]] == [70.0, 72.0, 74.0]  # written C5 D5 E5, sounding a tone lower
    assert clarinet[0].articulations == ("staccato",)
    assert clarinet[2].articulations == ("legato",)
    # from p to f over one bar; velocities p 49, f 96 by the table of dynamics
    velocities = [note.velocity for note in clarinet[:4]]
    assert velocities == [49, 61, 72, 96]
    assert clarinet[1].onset == pytest.approx(1.0)  # a quarter of 60 a minute
    assert clarinet[2].duration == pytest.approx(2.0 * 1.8)  # under its fermata
    assert len(clarinet) > 10
    assert {note.pitch for note in clarinet[3:]} == {75.0, 77.0}
    # one stroke is quavers: eight of them, and none of the notes is lost
    assert len(cello) == 1 + 8
    assert {note.pitch for note in cello} == {48.0}
    assert any("MEI harpPedal" in message and "bar 1" in message for message in reading.messages)


@pytest.mark.parametrize(("attributes", "count"), [('unitdur="16"', 16), ('unitdur="32"', 32), ('beams="1"', 8)])
def test_a_tremolo_between_two_notes_of_mei_plays_them_in_turn(attributes: str, count: int) -> None:
    single = b'<bTrem><note pname="c" oct="3" dur="1" stem.mod="1slash"/></bTrem>'
    pair = f"""<fTrem {attributes}><note pname="c" oct="3" dur="1"/><chord dur="1"><note pname="e" oct="3"/>
<note pname="g" oct="3"/></chord></fTrem>""".encode()
    assert single in MEI
    reading = read_score(MEI.replace(single, pair))
    cello = part(reading, "Cello")
    first, held = cello[0], cello[1:]
    assert first.offset <= held[0].onset
    assert [note.pitch for note in held if note.pitch == 48.0] == [48.0] * (count // 2)
    assert len(held) == count // 2 + 2 * (count // 2)
    assert held[-1].offset == pytest.approx(reading.score.duration)  # as long as one whole note, not two


def test_a_tremolo_of_mei_that_is_none_loses_no_note() -> None:
    single = b'<bTrem><note pname="c" oct="3" dur="1" stem.mod="1slash"/></bTrem>'
    three = b"<fTrem>" + b'<note pname="c" oct="3" dur="4"/>' * 3 + b'<rest dur="4"/></fTrem>'
    reading = read_score(MEI.replace(single, three))
    assert len(part(reading, "Cello")) == 1 + 3
    assert any("MEI tremolo" in message for message in reading.messages)


def test_voices_and_decorations_of_abc_are_played() -> None:
    reading = read_score(ABC.encode())
    violin, cello = part(reading, "Violin"), part(reading, "Cello")
    assert reading.score.duration == pytest.approx(16.0 + 0.8 * 2.0)  # four bars at once, and a fermata
    assert [note.velocity for note in violin[:4]] == [49] * 4
    assert violin[1].articulations == ("staccato",)
    assert violin[3].articulations == ("legato",)
    assert violin[5].velocity == 72
    assert violin[6].velocity == 96
    assert violin[6].pitch == 78.0  # F sharp, by the key that all voices share
    trill = [note for note in violin if 10.0 <= note.onset < 12.0]
    assert len(trill) > 8
    assert {note.pitch for note in trill} == {79.0, 81.0}
    assert violin[-2].velocity == 33
    assert "legato" in violin[-1].articulations
    assert "accent" in cello[1].articulations
    assert min(note.pitch for note in (*violin, *cello)) >= 50.0
    assert any("decoration 'nonsense'" in message for message in reading.messages)


def test_letters_of_abc_are_decorations_and_words_are_left_alone() -> None:
    text, voices, unknown = abc.prepared("X:1\nT:TuneS\nK:D\n\"Tempo M\"TA2 HB2\nw:Them So\n")
    assert "T:TuneS" in text
    assert '"Tempo M"' in text
    assert "w:Them So" in text
    assert text.count("{") == 2
    assert voices == []
    assert unknown == []


def test_abc_without_a_key_is_refused_in_plain_words() -> None:
    with pytest.raises(ScoreError, match="no key; add a line such as K:C"):
        read_score(b"X:1\nT:x\nL:1/8\nCDEF GABc\n")


def test_da_capo_of_abc_is_taken() -> None:
    reading = read_score(b"X:1\nM:2/4\nL:1/4\nK:C\nC D | !fine!E F | G A !D.C.!|]\n")
    assert [note.pitch for note in reading.score.parts[0].notes][6:8] == [60.0, 62.0]


def test_dynamics_of_humdrum_are_played() -> None:
    reading = read_score(KERN.encode())
    violin, cello = part(reading, "Violin"), part(reading, "Violoncello")
    assert all(note.velocity is None for note in violin)  # the spine is the cello's
    velocities = [note.velocity or 0 for note in sorted(cello, key=lambda note: (note.onset, -note.pitch))]
    assert velocities[0] == 49
    assert velocities[1] < velocities[2] < velocities[3] < 96
    assert velocities[4] == 96
    assert velocities[-1] == 49
    assert not reading.messages


def test_places_beside_split_spines() -> None:
    found, unknown = humdrum.beside(KERN.replace("**dynam", "**fancy", 1))
    assert found == []
    assert unknown == ["**fancy"]
    found, _ = humdrum.beside(KERN)
    assert [(item.place, item.token) for item in found] == [
        (0.0, "p"), (1.0, "<"), (2.0, "("), (3.0, "["), (4.0, "f"), (6.0, ">"), (8.0, "p")]


@pytest.mark.parametrize("cut", range(40, len(MEI), 331))
def test_damaged_mei_is_refused_with_a_sentence(cut: int) -> None:
    with pytest.raises(ScoreError, match="damaged MEI|no score"):
        read_score(MEI[:cut])


MUSEDATA = """


01/01/00 nobody
WK#:1         MV#:1
Source
Piece
Movement
Violino I
1 0
Group memberships: score
score: part 1 of 1
$  K:0   Q:2   T:4/4   C:4
C5     2        q     d        (p
D5     2        q     d        )(
E5     2        q     d        )
F5     2        q     d        .
measure 2
*               B       dolce
G5     4        h     d        Z
A5     4        h     d        [
mheavy2
/END
"""


def test_slurs_of_musedata_are_played_and_the_rest_is_listed() -> None:
    reading = read_score(MUSEDATA.encode())
    (violin,) = reading.score.parts
    assert [note.pitch for note in violin.notes] == [72.0, 74.0, 76.0, 77.0, 79.0, 81.0]
    assert {note.velocity for note in violin.notes} == {49}
    # two slurs of two notes: the second begins anew on the note that ends the first
    assert [note.articulations for note in violin.notes[:4]] == [(), ("legato",), ("legato",), ("staccato",)]
    (message,) = reading.messages
    for what in ("direction 'B dolce' (the score, bar 2)", "sign 'Z' (the score, bar 2)", "slur '[' that does not end"):
        assert what in message


@pytest.mark.parametrize("content", [
    ABC.replace("G,8 |", "Jq |"), KERN.replace("4a", "4?")], ids=["abc", "humdrum"])
def test_what_the_library_passes_over_is_listed(content: str, capfd: pytest.CaptureFixture[str]) -> None:
    reading = read_score(content.encode())
    assert any("pars" in message or "pitch information" in message for message in reading.messages)
    assert capfd.readouterr().err == ""
