"""Scores in: what is on the page is what is played; what is not understood is said; nothing broken crashes."""

from __future__ import annotations

import io
import random
import warnings
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mididdsp.notes.dynamics import DB_PER_VELOCITY, Dynamics, Hairpin
from mididdsp.notes.score import ScoreError, ScoreReading, read_score
from mididdsp.notes.tempo import FERMATA_STRETCH, Gradual, TempoMap
from mididdsp.notes.types import Note
from mididdsp.notes.unfold import Bar, unfold
from mididdsp.notes.words import understood

NOTE = "<note>{before}<pitch><step>{step}</step>{alter}<octave>{octave}</octave></pitch><duration>{length}</duration>" \
       "{tie}<notations>{notations}</notations></note>"
HEAD = "<divisions>4</divisions><key><fifths>{fifths}</fifths></key>" \
       "<time><beats>4</beats><beat-type>4</beat-type></time>"


def note(name: str = "C5", length: int = 4, notations: str = "", tie: str = "", before: str = "") -> str:
    step, octave = name[0], name[-1]
    alter = f"<alter>{'1' if name[1] == '#' else '-1'}</alter>" if len(name) == 3 else ""
    ties = "".join(f'<tie type="{kind}"/>' for kind in tie.split())
    notations += "".join(f'<tied type="{kind}"/>' for kind in tie.split())
    return NOTE.format(step=step, octave=octave, alter=alter, length=length, notations=notations, tie=ties,
                       before=before)


def words(text: str) -> str:
    return f"<direction><direction-type><words>{text}</words></direction-type></direction>"


def dynamic(mark: str) -> str:
    return f"<direction><direction-type><dynamics><{mark}/></dynamics></direction-type></direction>"


def wedge(kind: str) -> str:
    return f'<direction><direction-type><wedge type="{kind}"/></direction-type></direction>'


def tempo(bpm: int) -> str:
    return (f"<direction><direction-type><metronome><beat-unit>quarter</beat-unit><per-minute>{bpm}</per-minute>"
            f'</metronome></direction-type><sound tempo="{bpm}"/></direction>')


def rest(length: int) -> str:
    return f"<note><rest/><duration>{length}</duration></note>"


def xml(*bars: str, name: str = "Violin", attributes: str = "", fifths: int = 0) -> bytes:
    """A MusicXML score of one part at 60 quarters a minute."""
    head = f"<attributes>{HEAD.format(fifths=fifths)}{attributes}</attributes>{tempo(60)}"
    written = "".join(f'<measure number="{number}">{head if number == 1 else ""}{bar}</measure>'
                      for number, bar in enumerate(bars, start=1))
    return ('<?xml version="1.0"?><score-partwise version="3.1"><part-list><score-part id="P1">'
            f"<part-name>{name}</part-name></score-part></part-list><part id=\"P1\">{written}</part></score-partwise>"
            ).encode()


def notes(content: bytes) -> tuple[Note, ...]:
    return read_score(content).score.parts[0].notes


def spans(content: bytes) -> list[tuple[float, float, float]]:
    return [(item.onset, item.duration, item.pitch) for item in notes(content)]


REST4 = rest(16)


# --- repeats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bars", "order"), [
    ([Bar(), Bar(closes=2), Bar()], [0, 1, 0, 1, 2]),
    ([Bar(), Bar(opens=True), Bar(closes=3), Bar()], [0, 1, 2, 1, 2, 1, 2, 3]),
    ([Bar(opens=True), Bar(closes=2, volta=frozenset({1})), Bar(volta=frozenset({2})), Bar()], [0, 1, 0, 2, 3]),
    ([Bar(), Bar(closes=2, volta=frozenset({1, 2})), Bar(volta=frozenset({3})), Bar(closes=2)],
     [0, 1, 0, 1, 0, 2, 3, 3]),
    # a last volta that is closed by mistake ends the repeat
    ([Bar(), Bar(closes=2, volta=frozenset({1})), Bar(closes=2, volta=frozenset({2})), Bar()], [0, 1, 0, 2, 3]),
    # da capo al fine, without the repeats and by the last volta
    ([Bar(), Bar(closes=2, volta=frozenset({1})), Bar(volta=frozenset({2}), signs=frozenset({"fine"})),
      Bar(signs=frozenset({"dc_fine"}))], [0, 1, 0, 2, 3, 0, 2]),
    ([Bar(), Bar(signs=frozenset({"segno"})), Bar(signs=frozenset({"to_coda"})), Bar(signs=frozenset({"ds_coda"})),
      Bar(signs=frozenset({"coda"}))], [0, 1, 2, 3, 1, 2, 4]),
    ([Bar(signs=frozenset({"dc"})), Bar()], [0, 0, 1]),
    ([], []),
])
def test_repeats_unfold_as_players_read_them(bars: list[Bar], order: list[int]) -> None:
    assert list(unfold(bars)) == order


def test_any_signs_end() -> None:
    draw = random.Random(1)
    for _ in range(300):
        bars = [Bar(opens=draw.random() < 0.2, closes=draw.choice([0, 0, 0, 2, 3]),
                    volta=frozenset(draw.choice([(), (), (1,), (2,), (1, 3)])),
                    signs=frozenset(draw.choice([(), (), ("dc",), ("ds_coda",), ("segno",), ("coda",), ("fine",)])))
                for _ in range(draw.randint(1, 12))]
        assert len(unfold(bars)) < 2000


def test_a_volta_of_several_bars_is_left_out_whole() -> None:
    def ending(number: int, kind: str, side: str, more: str = "") -> str:
        return f'<barline location="{side}"><ending number="{number}" type="{kind}"/>{more}</barline>'

    back = '<repeat direction="backward"/>'
    names = ("C5", "D5", "E5", "F5", "G5")
    before = ("", ending(1, "start", "left"), "", "", ending(2, "start", "left"))
    after = ("", "", "", ending(1, "stop", "right", back), ending(2, "stop", "right"))
    played = notes(xml(*(first + note(name, 16) + last for first, name, last in zip(before, names, after))))
    assert [item.pitch for item in played] == [72, 74, 76, 77, 72, 79]


def test_a_repeat_in_a_score_is_played_twice() -> None:
    repeat = '<barline location="right"><repeat direction="backward"/></barline>'
    played = notes(xml(note(length=16) + repeat, note("D5", 16)))
    assert [(item.onset, item.pitch) for item in played] == [(0.0, 72.0), (4.0, 72.0), (8.0, 74.0)]
    assert len({item.id for item in played}) == 3


# --- pitch and time --------------------------------------------------------------------------------------------------


def test_transposing_instruments_sound_where_they_sound() -> None:
    transpose = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>"
    reading = read_score(xml(note("D5", 16), name="Clarinet in Bb", attributes=transpose, fifths=2))
    assert reading.score.parts[0].instrument == "clarinet"
    assert [item.pitch for item in reading.score.parts[0].notes] == [72.0]
    assert reading.score.key[0].fifths == 0
    bass = "<transpose><diatonic>0</diatonic><chromatic>0</chromatic><octave-change>-1</octave-change></transpose>"
    assert notes(xml(note("E3", 16), name="Contrabass", attributes=bass))[0].pitch == 40.0


def test_ties_are_one_note_and_keep_its_length() -> None:
    assert spans(xml(note(length=8) + note("E5", 8, tie="start"), note("E5", 16, tie="stop start"),
                     note("E5", 4, tie="stop") + rest(12))) == [(0.0, 2.0, 72.0), (2.0, 7.0, 76.0)]


def test_grace_notes_begin_on_the_beat() -> None:
    quick = xml(note("D5", 0, before='<grace slash="yes"/>') + note("C5", 16))
    (grace, main) = notes(quick)
    assert (grace.onset, grace.pitch, main.pitch) == (0.0, 74.0, 72.0)
    assert main.onset == pytest.approx(grace.duration)
    assert main.offset == pytest.approx(4.0)
    assert "legato" in main.articulations
    (long, main) = notes(xml(note("D5", 0, before='<grace slash="no"/>') + note("C5", 16)))
    assert long.duration == pytest.approx(2.0)  # an appoggiatura takes half of the main note


def test_a_fermata_stretches_time() -> None:
    played = notes(xml(note(length=12) + note("D5", 4, "<fermata/>"), note("E5", 16)))
    assert played[1].duration == pytest.approx(FERMATA_STRETCH)
    assert played[2].onset == pytest.approx(3.0 + FERMATA_STRETCH)


def test_tempo_maps_hold_marks_and_gradual_changes() -> None:
    plain = TempoMap([(0.0, 60.0), (4.0, 120.0)])
    assert [plain.seconds(beat) for beat in (0.0, 4.0, 6.0)] == [0.0, 4.0, 5.0]
    slowing = TempoMap([(0.0, 60.0)], [Gradual(start=4.0, end=8.0, factor=0.5)])
    assert slowing.seconds(4.0) == 4.0
    # the mean of 1 / (1 - x / 2) over 0 to 1 is 2 ln 2; eighth-note steps are within a hundredth of it
    assert slowing.seconds(8.0) - 4.0 == pytest.approx(4.0 * 2.0 * np.log(2.0), rel=0.01)
    assert slowing.seconds(9.0) - slowing.seconds(8.0) == pytest.approx(1.0)


def test_a_ritardando_is_in_the_tempo_map() -> None:
    reading = read_score(xml(note(length=16), words("rit.") + note(length=16), words("a tempo") + note(length=16)))
    first, second, third = (item.duration for item in reading.score.parts[0].notes)
    assert first == pytest.approx(4.0)
    assert 4.3 < second < 5.3
    assert third == pytest.approx(4.0)


def test_an_upbeat_is_a_bar_of_its_own() -> None:
    score = read_score(xml(note(length=4), note(length=16), note(length=16))).score
    assert [(change.beat, change.numerator) for change in score.meter] == [(0.0, 1), (1.0, 4)]


# --- articulation and ornaments --------------------------------------------------------------------------------------


def test_slurs_join_and_different_bowings_do_not() -> None:
    start, stop = '<slur type="start" number="1"/>', '<slur type="stop" number="1"/>'
    played = notes(xml(note("C5", 4, start) + note("D5", 4) + note("E5", 4, stop) + note("F5", 4, start),
                       note("G5", 4, stop) + note("A5", 12)))
    assert ["legato" in item.articulations for item in played] == [False, True, True, False, True, False]


def test_marks_reach_the_notes() -> None:
    mark = "<articulations><{}/></articulations>"
    played = notes(xml("".join(note("C5", 4, mark.format(kind))
                               for kind in ("staccato", "tenuto", "accent", "strong-accent")),
                       note("C5", 4, mark.format("staccatissimo")) + note("C5", 4, mark.format("detached-legato"))
                       + dynamic("sfz") + note("C5", 8)))
    assert [item.articulations for item in played] == [
        ("staccato",), ("tenuto",), ("accent",), ("marcato",), ("staccatissimo",), ("portato",), ("sforzato",)]


def test_dots_under_a_slur_are_portato() -> None:
    dot = "<articulations><staccato/></articulations>"
    played = notes(xml(note("C5", 8, '<slur type="start" number="1"/>' + dot)
                       + note("D5", 8, '<slur type="stop" number="1"/>' + dot)))
    assert [item.articulations for item in played] == [("portato",), ("portato",)]


def test_a_trill_is_six_to_eight_notes_a_second_by_the_key() -> None:
    played = notes(xml(note("E5", 16, "<ornaments><trill-mark/></ornaments>"), fifths=1))
    assert {item.pitch for item in played} == {76.0, 78.0}  # F sharp by the key
    assert 6.0 <= len(played) / 4.0 <= 8.0
    assert played[0].pitch == played[-1].pitch == 76.0
    assert all("legato" in item.articulations for item in played[1:])
    assert sum(item.duration for item in played) == pytest.approx(4.0)


def test_mordents_and_turns_are_the_notes_they_stand_for() -> None:
    def pitches(sign: str) -> list[float]:
        return [item.pitch for item in notes(xml(note("C5", 16, f"<ornaments><{sign}/></ornaments>")))]

    assert pitches("mordent") == [72.0, 71.0, 72.0]
    assert pitches("inverted-mordent") == [72.0, 74.0, 72.0]
    assert pitches("turn") == [74.0, 72.0, 71.0, 72.0]


def test_tremolo_repeats_the_note() -> None:
    played = notes(xml(note("C5", 16, '<ornaments><tremolo type="single">1</tremolo></ornaments>')))
    assert len(played) == 8
    assert not any(item.articulations for item in played)
    # three strokes ask for more than a bow can measure
    many = notes(xml(note("C5", 16, '<ornaments><tremolo type="single">3</tremolo></ornaments>')))
    assert len(many) <= 48


def test_an_unmeasured_tremolo_is_as_quick_as_any() -> None:
    played = notes(xml(note("C5", 16, '<ornaments><tremolo type="unmeasured">0</tremolo></ornaments>')))
    assert len(played) == 48  # 12 strokes a second for four seconds


def test_a_tremolo_between_two_notes_plays_them_in_turn() -> None:
    sign = '<ornaments><tremolo type="{}">2</tremolo></ornaments>'
    reading = read_score(xml(note("C5", 8, sign.format("start")), note("E5", 8, sign.format("stop")), note("G5", 16)))
    played = reading.score.parts[0].notes
    # semiquavers over the length of both: sixteen in a whole note of four seconds
    assert [item.pitch for item in played] == [72.0, 76.0] * 8 + [79.0]
    assert all("legato" in item.articulations for item in played[1:16])
    assert played[15].offset == pytest.approx(4.0)
    assert reading.messages == ()


@pytest.mark.parametrize(("sign", "what"), [
    ('<ornaments><tremolo type="start">2</tremolo></ornaments>', "tremolo between notes"),
    ('<slur type="start" number="1"/>', "slur"),
    ('<glissando type="start" number="1">gliss.</glissando>', "glissando"),
])
def test_a_line_that_does_not_end_is_listed(sign: str, what: str) -> None:
    reading = read_score(xml(note("C5", 8, sign), note("E5", 8)))
    assert [item.pitch for item in reading.score.parts[0].notes] == [72.0, 76.0]
    assert any(f"{what} that does not end" in message and "bar 1" in message for message in reading.messages)


def test_a_glissando_leads_into_the_note() -> None:
    line = '<glissando type="{}" number="1">gliss.</glissando>'
    reading = read_score(xml(note("C5", 16, line.format("start")), note("G5", 16, line.format("stop"))))
    first, second = reading.score.parts[0].notes
    assert "legato" in second.articulations
    assert reading.hints[second.id]["glide_s"] == pytest.approx(0.6)
    assert first.id not in reading.hints


def test_falls_bend_the_note() -> None:
    reading = read_score(xml(note("C5", 16, "<articulations><falloff/></articulations>")))
    (curve,) = reading.curves
    assert (curve.target, curve.origin, curve.values[-1]) == ("pitch", "score", -300.0)


def test_a_breath_takes_from_the_end() -> None:
    played = notes(xml(note("C5", 16, "<articulations><breath-mark/></articulations>"), note("C5", 16)))
    assert played[0].duration == pytest.approx(3.75)
    assert played[1].onset == 4.0


# --- words -----------------------------------------------------------------------------------------------------------


def test_words_ask_of_the_player() -> None:
    reading = read_score(xml(words("non vibrato") + note(length=16), words("vibr. molto vibrato") + note(length=16),
                             words("pizz.") + note(length=16), words("arco") + note(length=16)))
    played = reading.score.parts[0].notes
    assert dict(reading.hints) == {played[0].id: {"vibrato_cents": 0.0}}
    assert [item.articulations for item in played] == [(), (), ("staccatissimo",), ()]
    assert any("pizz." in message and "bar 3" in message for message in reading.messages)


def test_what_is_not_understood_is_listed_and_where() -> None:
    messages = read_score(xml(words("wie ein Hauch") + note(length=16), words("dolce") + note(length=16))).messages
    assert any("Not understood" in message and "'wie ein Hauch' (Violin, bar 1)" in message for message in messages)
    assert any("left to the player" in message and "dolce" in message for message in messages)


@pytest.mark.parametrize(("text", "kind", "value"), [
    ("sempre staccato", "mark", "staccato"), ("poco a poco cresc.", "hairpin", "1"), ("con sord.", "technique", "mute"),
    ("a2", "players", "two"), ("div. a 3", "players", "divided"), ("D.C. al Fine", "jump", "dc_fine"),
    ("N.V.", "vibrato", "none"), ("rall. molto", "tempo", "slower"), ("subito p", "dynamic", "p"),
])
def test_phrases_are_understood(text: str, kind: str, value: str) -> None:
    asks, left = understood(text)
    assert [(ask.kind, ask.value) for ask in asks] == [(kind, value)]
    assert left == ""


def test_a_heading_is_the_tempo() -> None:
    reading = read_score(xml(note(length=16), words("Andante espressivo") + note(length=16)))
    assert [change.bpm for change in reading.score.tempo] == [60.0, 72.0]
    assert not any("Not understood" in message for message in reading.messages)


def test_a2_adds_a_player() -> None:
    score = read_score(xml(words("a2") + note(length=16), words("1.") + note("D5", 16), name="Flauti")).score
    assert [(part.name, len(part.notes)) for part in score.parts] == [("Flauti", 2), ("Flauti (second player)", 1)]
    assert len({item.id for part in score.parts for item in part.notes}) == 3


def test_plural_strings_are_sections() -> None:
    def players(name: str) -> int:
        return read_score(xml(note(length=16), name=name)).score.parts[0].players

    assert players("Violins I") == 6
    assert players("Violoncelli") == 6
    assert players("Violin I") == players("Solo Violas") == players("Violoncello") == 1


# --- dynamics --------------------------------------------------------------------------------------------------------


def test_marks_hold_and_hairpins_lead() -> None:
    line = Dynamics([(0.0, "p"), (8.0, "f")], [Hairpin(start=4.0, end=8.0, direction=1)], longest=16.0, end=16.0)
    assert [line.velocity(place) for place in (0.0, 3.9, 6.0, 8.0, 12.0)] == pytest.approx([49, 49, 72.5, 96, 96])
    assert line.before(8.0) == pytest.approx(96.0)
    sudden = Dynamics([(0.0, "f"), (8.0, "p")], [Hairpin(start=4.0, end=8.0, direction=1)], longest=16.0, end=16.0)
    assert sudden.before(8.0) == pytest.approx(112.0)  # one step up, for the mark at the end leads the other way
    assert sudden.velocity(8.0) == 49.0
    written = Dynamics([(0.0, "p")], [Hairpin(start=4.0, end=None, direction=1)], longest=4.0, end=16.0)
    assert [written.velocity(place) for place in (4.0, 6.0, 8.0, 12.0)] == pytest.approx([49, 57, 65, 65])


def test_a_hairpin_moves_the_level_inside_a_held_note() -> None:
    reading = read_score(xml(dynamic("p") + wedge("crescendo") + note(length=16) + wedge("stop"),
                             dynamic("f") + note(length=16)))
    first, second = reading.score.parts[0].notes
    assert (first.velocity, second.velocity) == (49, 96)
    (curve,) = reading.curves
    assert (curve.target, curve.note_id, curve.origin) == ("level", first.id, "score")
    assert (curve.times[0], curve.values[0]) == (0.0, 0.0)
    assert (curve.times[-1], curve.values[-1]) == pytest.approx((4.0, DB_PER_VELOCITY * (96 - 49)))


def test_a_hairpin_may_end_behind_the_bar_line() -> None:
    bar = dynamic("p") + wedge("crescendo") + note("C5") + note("D5") + note("E5") + note("F5")
    written = notes(xml(bar + wedge("stop"), dynamic("f") + note(length=16)))
    behind = notes(xml(bar, wedge("stop") + wedge("diminuendo") + dynamic("f") + note(length=16) + wedge("stop")))
    assert [item.velocity for item in written] == [49, 61, 72, 84, 96]  # from p to f in quarters of the way
    assert [item.velocity for item in behind] == [item.velocity for item in written]


def test_a_hairpin_that_ends_in_a_bar_without_notes_before_it_stays() -> None:
    (only,) = notes(xml("", dynamic("p") + wedge("crescendo") + wedge("stop") + note()))
    assert only.velocity == 49


def test_fp_begins_loud_and_goes_on_soft() -> None:
    reading = read_score(xml(dynamic("fp") + note(length=16), note(length=16)))
    first, second = reading.score.parts[0].notes
    assert (first.velocity, second.velocity) == (96, 49)
    assert reading.curves[0].values[-1] == pytest.approx(DB_PER_VELOCITY * (49 - 96))


def test_a_part_without_marks_says_nothing() -> None:
    assert notes(xml(note(length=16)))[0].velocity is None


# --- forms and files -------------------------------------------------------------------------------------------------

ABC = b"X:1\nT:Air\nM:4/4\nL:1/4\nQ:1/4=60\nK:G\nG A B c | d4 |]\n"
KERN = b"**kern\n*Ivioln\n*M4/4\n*MM60\n=1\n4g\n4a\n4b\n4cc\n=2\n1dd\n==\n*-\n"


def zipped(content: bytes, name: str = "score.xml") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", f'<container><rootfiles><rootfile full-path="{name}"/></rootfiles>'
                                                   "</container>")
        archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("content", [ABC, KERN], ids=["abc", "kern"])
def test_other_forms_are_read_by_content(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tune.txt"
    path.write_bytes(content)
    reading = read_score(path)
    played = reading.score.parts[0].notes
    assert [item.pitch for item in played] == [67.0, 69.0, 71.0, 72.0, 74.0]
    assert [item.onset for item in played] == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0])


def test_mxl_is_the_score_inside() -> None:
    plain = xml(note(length=16))
    assert read_score(zipped(plain)) == read_score(plain)


def test_xml_in_other_encodings_is_read() -> None:
    plain = xml(words("sanft \u00fcber") + note(length=16))
    other = plain.decode().replace('version="1.0"?', 'version="1.0" encoding="UTF-16"?').encode("utf-16")
    assert read_score(other).score.parts == read_score(plain).score.parts


def test_of_a_book_of_tunes_the_first_is_played() -> None:
    reading = read_score(ABC + b"\n" + ABC.replace(b"X:1", b"X:2"))
    assert len(reading.score.parts[0].notes) == 5
    assert any("2 tunes" in message for message in reading.messages)


def test_the_same_file_gives_the_same_ids() -> None:
    content = xml(note(length=8) + note("D5", 8))
    assert [item.id for item in notes(content)] == [item.id for item in notes(content)]


def test_parts_without_an_instrument_of_ours_are_replaced_or_refused() -> None:
    content = xml(note(length=16), name="Piano")
    reading = read_score(content)
    assert [item.part for item in reading.substitutions] == ["Piano"]
    assert read_score(content, instruments={"*": "flute"}).score.parts[0].instrument == "flute"
    assert reading.substitutions[0].reason.startswith("Piano is played on the ")
    with pytest.raises(ScoreError, match="no part called 'Oboe'"):
        read_score(content, instruments={"Oboe": "flute"})


@pytest.mark.parametrize(("content", "says"), [
    (b"", "empty"), (b"hello", "holds no score"), (b"<svg></svg>", "holds no score"), (b"PK\x03\x04broken", "damaged"),
    (xml(note(length=16))[:-40], "damaged MusicXML"), (zipped(b"text", "a.txt"), "holds no score"),
    (xml(REST4), "no notes"), (b"**kern\n*-\n", ""), (b"X:1\nK:C\n", ""),
], ids=str)
def test_a_malformed_score_gives_one_sentence(content: bytes, says: str) -> None:
    with pytest.raises(ScoreError) as caught:
        read_score(content)
    text = str(caught.value)
    assert says in text
    assert "\n" not in text
    assert len(text) < 400


def damaged() -> Iterator[bytes]:
    """Scores with bytes changed, cut and doubled."""
    draw = random.Random(5)
    whole = [xml(dynamic("p") + note(length=8) + note("D5", 8, "<ornaments><turn/></ornaments>"), note(length=16)),
             ABC, KERN, zipped(xml(note(length=16)))]
    for index in range(240):
        content = bytearray(whole[index % len(whole)])
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(content))
            kind = draw.randrange(3)
            if kind == 0:
                content[at] = draw.randrange(256)
            elif kind == 1:
                del content[at : at + draw.randint(1, 30)]
            else:
                content[at:at] = content[at : at + draw.randint(1, 30)]
            if not content:
                break
        yield bytes(content)


def test_damaged_scores_are_read_or_refused_and_never_crash() -> None:
    sentences = []
    for content in damaged():
        try:
            assert read_score(content).score.parts
        except ScoreError as error:
            sentences.append(str(error))
    assert len(sentences) > 20
    assert not any("\n" in sentence for sentence in sentences)


# --- a real score ----------------------------------------------------------------------------------------------------


@cache
def haydn() -> ScoreReading:
    """The slow movement of Haydn's quartet op. 74 no. 1, from music21's corpus."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from music21 import corpus

        return read_score(corpus.getWork("haydn/opus74no1/movement2"))


def test_a_quartet_movement_is_all_there() -> None:
    reading = haydn()
    assert [part.instrument for part in reading.score.parts] == ["violin", "violin", "viola", "cello"]
    ends = [max(item.offset for item in part.notes) for part in reading.score.parts]
    assert max(ends) - min(ends) < 2.0
    marks = {mark for part in reading.score.parts for item in part.notes for mark in item.articulations}
    assert marks == {"legato", "staccato", "portato", "sforzato"}
    assert len(reading.curves) > 100
    assert len({item.velocity for item in reading.score.parts[0].notes}) > 10


def test_a_minuet_with_trio_and_da_capo_unfolds() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from music21 import corpus

        path = corpus.getWork("beethoven/opus59no2/movement3")
    score = read_score(path).score
    melody = [item.pitch for item in score.parts[0].notes[:20]]
    # da capo: the opening, upbeat and all, comes back once, late
    pitches = [item.pitch for item in score.parts[0].notes]
    again = [at for at in range(1, len(pitches) - 20) if pitches[at : at + 20] == melody]
    assert len(again) == 1
    assert score.parts[0].notes[again[0]].onset > 0.4 * score.duration
