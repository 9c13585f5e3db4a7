"""Composing: what was given stays to the note, what was asked for is there, and every task gives legal music.

The prior is small and untrained: none of this may depend on how good it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.compose import continue_, generate, harmonize, infill, vary
from mididdsp.notes.generator import NoteNet, NotePrior, PriorConfig
from mididdsp.notes.grid import REST, NoteGrid, begins, meter_steps
from mididdsp.notes.keys import parse_key
from mididdsp.notes.mending import mend_parallels
from mididdsp.notes.midi import read_midi, write_midi
from mididdsp.notes.musicxml import spelled, write_musicxml
from mididdsp.notes.types import KeyChange, MeterChange, Note, Part, Score, TempoChange
from mididdsp.notes.voice_leading import marks, parallels
from mididdsp.notes.wishes import (
    ENSEMBLES,
    FROM_FILE,
    Cadence,
    ComposeError,
    Lock,
    Wishes,
    parse_bars,
    parse_cadence,
    parse_lock,
    parse_voices,
)


def made_prior() -> NotePrior:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        net = NoteNet(PriorConfig(channels=(5, 6), blocks=(1, 1)))
        for value in net.parameters():
            torch.nn.init.normal_(value, std=0.3)
    return NotePrior(net.config, net)


PRIOR = made_prior()
QUICK = Wishes(passes=3)
KEPT = replace(QUICK, ensemble=FROM_FILE)


def melody(pitches: list[int], quarters: float = 1.0, name: str = "Tune", bpm: float = 100.0) -> Part:
    beat = 60.0 / bpm
    return Part(
        name=name, instrument="flute",
        notes=tuple(
            Note(id=f"{name}{index}", onset=index * quarters * beat, duration=quarters * beat * 0.97,
                 pitch=float(pitch), velocity=70 + index % 20, articulations=("staccato",) if index % 3 == 0 else ())
            for index, pitch in enumerate(pitches)
        ),
    )


def song(*parts: Part, bpm: float = 100.0, meter: tuple[MeterChange, ...] = ()) -> Score:
    return Score(parts=parts, tempo=(TempoChange(time=0.0, beat=0.0, bpm=bpm),), meter=meter)


TUNE = song(melody([67, 69, 71, 72, 74, 72, 71, 69, 67, 66, 67, 71, 69, 67, 66, 67]))
FOUR = song(
    melody([72, 74, 76, 77, 76, 74, 72, 71] * 2, name="S"), melody([67, 67, 67, 69, 67, 67, 64, 62] * 2, name="A"),
    melody([60, 59, 60, 60, 60, 59, 60, 55] * 2, name="T"), melody([48, 55, 48, 53, 48, 55, 57, 55] * 2, name="B"),
)


def notes_of(score: Score) -> set[Note]:
    return {note for part in score.parts for note in part.notes}


def test_the_melody_comes_back_to_the_note_and_three_voices_are_added() -> None:
    take = harmonize(PRIOR, TUNE, wishes=QUICK, seed=3)[0]
    assert take.score.parts[0].notes == TUNE.parts[0].notes
    assert [part.instrument for part in take.score.parts] == list(ENSEMBLES["string-quartet"])
    assert len({part.name for part in take.score.parts}) == 4
    for part in take.score.parts[1:]:
        assert part.notes
        # The others sound while the melody does.
        assert part.notes[0].onset == 0.0
        assert part.notes[-1].offset == pytest.approx(16 * 0.6)


@settings(max_examples=500, deadline=None)
@given(
    seed=st.integers(0, 10_000), temperature=st.floats(0.1, 2.0), kind=st.sampled_from(["vary", "infill", "harmonize"]),
    voices=st.sets(st.integers(0, 3), max_size=3), bars=st.tuples(st.integers(1, 4), st.integers(0, 3)),
    everywhere=st.booleans(), keep_rhythm=st.booleans(),
)  # fmt: skip
def test_locked_notes_are_never_changed(
    seed: int, temperature: float, kind: str, voices: set[int], bars: tuple[int, int], everywhere: bool,
    keep_rhythm: bool,
) -> None:
    span = (bars[0], min(4, bars[0] + bars[1]))
    lock = Lock(voices=tuple(sorted(voices)) or None, bars=None if everywhere else span)
    wishes = Wishes(passes=1, temperature=temperature, locks=(lock,), keep_rhythm=keep_rhythm, ensemble=FROM_FILE,
                    parallels="report" if seed % 4 else "filter")
    if kind == "vary":
        take = vary(PRIOR, FOUR, amount=0.7, wishes=wishes, seed=seed)[0]
    elif kind == "infill":
        take = infill(PRIOR, FOUR, wishes=wishes, seed=seed)[0]
    else:
        take = harmonize(PRIOR, FOUR, wishes=wishes, seed=seed)[0]
    begin, end = (0, 16) if everywhere else (4 * (span[0] - 1), 4 * span[1])
    for voice, (before, after) in enumerate(zip(FOUR.parts, take.score.parts)):
        locked = before.notes[begin:end] if not voices or voice in voices else ()
        if kind == "harmonize" and voice == 0:
            locked = before.notes
        assert set(locked) <= set(after.notes)
        # Nothing else sounds where a note is locked.
        for note in set(after.notes) - set(locked):
            assert all(note.offset <= one.onset + 1e-9 or note.onset >= one.offset - 1e-9 for one in locked)
        low, high = INSTRUMENTS[after.instrument].low, INSTRUMENTS[after.instrument].high
        assert all(low <= note.pitch <= high for note in set(after.notes) - set(before.notes))
        if keep_rhythm and not (kind == "harmonize" and voice == 0):
            assert len(after.notes) == len(before.notes)
            assert [note.onset for note in after.notes] == pytest.approx([note.onset for note in before.notes])


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("ensemble", [*ENSEMBLES])
def test_any_temperature_and_ensemble_gives_music_in_range(temperature: float, ensemble: str) -> None:
    take = generate(
        PRIOR, bars=2, wishes=replace(QUICK, temperature=temperature, ensemble=ensemble, key=parse_key("D minor"))
    )[0]
    assert [part.instrument for part in take.score.parts] == list(ENSEMBLES[ensemble])
    for part in take.score.parts:
        row = INSTRUMENTS[part.instrument]
        assert part.notes
        assert all(row.low <= note.pitch <= row.high for note in part.notes)
    assert take.report.marks.outside == 0
    assert np.isfinite(take.report.surprise)


def test_infill_writes_the_named_bars_of_the_named_voices_alone() -> None:
    take = infill(PRIOR, FOUR, bars=(2, 3), open_voices=(1, 2), wishes=KEPT, seed=1)[0]
    for number, (before, after) in enumerate(zip(FOUR.parts, take.score.parts)):
        assert after.name == before.name
        assert after.instrument == before.instrument
        if number in (0, 3):
            assert after.notes == before.notes
        else:
            assert set(before.notes[:4]) | set(before.notes[12:]) <= set(after.notes)
            assert not set(before.notes[4:12]) & set(after.notes)


def test_infill_adds_a_voice_that_was_not_there() -> None:
    outer = song(FOUR.parts[0], FOUR.parts[3])
    take = infill(PRIOR, outer, open_voices=(1,), wishes=KEPT, seed=1)[0]
    assert len(take.score.parts) == 3
    assert notes_of(outer) <= notes_of(take.score)
    assert take.score.parts[1].notes


def test_continue_adds_whole_bars_after_the_end() -> None:
    take = continue_(PRIOR, FOUR, bars=2, wishes=KEPT, seed=1)[0]
    assert notes_of(FOUR) <= notes_of(take.score)
    fresh = notes_of(take.score) - notes_of(FOUR)
    assert min(note.onset for note in fresh) == pytest.approx(16 * 0.6)
    assert take.score.duration == pytest.approx(24 * 0.6)


def test_a_given_bass_stays_the_bass() -> None:
    bass = song(melody([48, 50, 52, 53, 55, 55, 48, 48], name="B"))
    take = harmonize(PRIOR, bass, given=(3,), wishes=QUICK)[0]
    assert take.score.parts[3].notes == bass.parts[0].notes
    assert len(take.score.parts) == 4


def test_fewer_voices() -> None:
    take = generate(PRIOR, bars=2, voices=(0, 3), wishes=QUICK)[0]
    assert [part.instrument for part in take.score.parts] == ["violin", "cello"]


def test_a_melody_in_another_octave_is_harmonised_where_it_is() -> None:
    high = song(melody([91, 93, 95, 96, 95, 93, 91, 90]))
    take = harmonize(PRIOR, high, wishes=replace(QUICK, ensemble="woodwind"))[0]
    assert take.score.parts[0].notes == high.parts[0].notes
    assert any("semitones lower" in message for message in take.report.messages)
    with pytest.raises(ComposeError, match="further than the prior"):
        harmonize(PRIOR, song(melody([24, 100, 24, 100])), wishes=QUICK)


def test_notes_off_the_grid_stay_where_they_were_and_it_is_said() -> None:
    triplets = song(melody([67, 69, 71] * 8, quarters=1 / 3))
    take = harmonize(PRIOR, triplets, wishes=QUICK)[0]
    assert take.score.parts[0].notes == triplets.parts[0].notes
    assert any("moved to the nearest sixteenth" in message for message in take.report.messages)


def test_a_pickup_is_read_from_a_short_first_bar() -> None:
    meter = (MeterChange(beat=0.0, numerator=1, denominator=4), MeterChange(beat=1.0, numerator=3, denominator=4))
    score = song(melody([67, 72, 71, 69, 67, 65, 64]), meter=meter)
    take = harmonize(PRIOR, score, wishes=QUICK)[0]
    assert take.grid.position[:5].tolist() == [8, 9, 10, 11, 0]
    assert set(take.grid.bar.tolist()) == {12}
    assert take.score.meter == meter
    asked = harmonize(PRIOR, song(score.parts[0], meter=meter[1:]), wishes=replace(QUICK, pickup=1.0))[0]
    assert asked.score.meter == tuple(
        replace(change, numerator=4, denominator=16) if change.beat == 0 else change for change in meter
    )


def test_chords_and_cadences_guide(monkeypatch: pytest.MonkeyPatch) -> None:
    wishes = replace(QUICK, chords="C | G | F | C", key=parse_key("C"), cadences=(Cadence(bar=4),), temperature=0.3)

    class Even(torch.nn.Module):
        """No wish of its own: what comes out is the guide."""

        grain = 1

        def forward(self, batch):  # type: ignore[no-untyped-def]
            return torch.zeros(*batch.pitch.shape, PRIOR.config.classes), torch.zeros(batch.pitch.shape)

    monkeypatch.setattr(PRIOR, "net", Even())
    take = generate(PRIOR, bars=4, wishes=replace(wishes, parallels="report"))[0]
    tones = {0: {0, 4, 7}, 1: {7, 11, 2}, 2: {5, 9, 0}}
    for bar, wanted in tones.items():
        beats = take.grid.pitch[:, 16 * bar : 16 * bar + 16 : 4].ravel() % 12
        # Three nats at a temperature of 0.3 leave less than one in a thousand beside the chord.
        assert set(beats.tolist()) <= wanted
    assert int(take.grid.pitch[3, 56]) % 12 == 0  # the tonic in the bass of the last harmony
    assert int(take.grid.pitch[3, 55]) % 12 == 7  # the dominant before it
    with pytest.raises(ComposeError, match="chords for bar 5"):
        generate(PRIOR, bars=4, wishes=replace(wishes, chords="C | C | C | C | C"))
    with pytest.raises(ComposeError, match="there is no bar 9"):
        generate(PRIOR, bars=4, wishes=replace(wishes, cadences=(Cadence(bar=9),)))


def test_mending_takes_parallels_out_and_touches_no_given_note() -> None:
    random = np.random.default_rng(0)
    top = np.repeat(random.integers(64, 78, 16), 4)
    pitch = np.stack([top, top - 7, top - 12, top - 19]).astype(np.int16)
    position, bar = meter_steps([], 64)
    grid = NoteGrid(pitch=pitch, onset=begins(pitch), position=position, bar=bar, fermata=np.zeros(64, bool))
    open_cells = np.ones(pitch.shape, bool)
    open_cells[0] = False
    ranges = [(55, 84), (48, 84), (40, 84), (36, 84)]
    mended = mend_parallels(PRIOR, grid, open_cells, ranges=ranges)
    assert len(parallels(grid.pitch)) > 40
    assert len(parallels(mended.pitch)) < 0.25 * len(parallels(grid.pitch))
    assert np.array_equal(mended.pitch[0], grid.pitch[0])
    assert (mended.onset | ~grid.onset).all()
    assert marks(mended.pitch, ranges).outside == 0
    closed = mend_parallels(PRIOR, grid, np.zeros(pitch.shape, bool), ranges=ranges)
    assert np.array_equal(closed.pitch, grid.pitch)


def test_the_same_seed_is_the_same_take_and_takes_differ() -> None:
    three = harmonize(PRIOR, TUNE, wishes=QUICK, takes=3, seed=5)
    again = harmonize(PRIOR, TUNE, wishes=QUICK, seed=6)[0]
    assert [take.seed for take in three] == [5, 6, 7]
    assert three[1].score == again.score
    assert len({take.grid.pitch.tobytes() for take in three}) == 3
    shares: list[float] = []
    harmonize(PRIOR, TUNE, wishes=QUICK, takes=2, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_midi_and_musicxml_keep_what_was_written(tmp_path: Path) -> None:
    take = generate(PRIOR, bars=3, meter=(3, 4), wishes=replace(QUICK, key=parse_key("Eb"), pickup=1.0), seed=2)[0]
    write_midi(take.score, tmp_path / "a.mid")
    read = read_midi(tmp_path / "a.mid").score
    assert [part.name for part in read.parts] == [part.name for part in take.score.parts]
    for one, two in zip(read.parts, take.score.parts):
        assert [note.pitch for note in one.notes] == [note.pitch for note in two.notes]
        # A tick is a thousandth of a beat.
        np.testing.assert_allclose([note.onset for note in one.notes], [note.onset for note in two.notes], atol=1e-3)
    assert (read.key[0].fifths, read.key[0].mode) == (-3, "major")
    assert [(change.numerator, change.denominator) for change in read.meter] == [(4, 16), (3, 4)]
    write_musicxml(take.score, take.grid, tmp_path / "a.musicxml")
    from music21 import converter

    notation = converter.parse(tmp_path / "a.musicxml")
    assert len(notation.parts) == 4
    for voice, part in enumerate(notation.parts):
        measures = list(part.getElementsByClass("Measure"))
        assert len(measures) == 4
        sounding = np.full(take.grid.steps, REST)
        starts = np.zeros(take.grid.steps, bool)
        for note in part.flatten().notes:
            first = round(float(note.offset) * 4)
            sounding[first : first + round(float(note.quarterLength) * 4)] = note.pitch.midi
            starts[first] |= note.tie is None or note.tie.type == "start"
        assert np.array_equal(sounding, take.grid.pitch[voice])
        assert np.array_equal(starts, take.grid.onset[voice])
    assert notation.parts[0].flatten().keySignature.sharps == -3


@pytest.mark.parametrize(
    ("pitch", "fifths", "name"),
    [(60, 0, ("C", 0, 4)), (61, 0, ("C", 1, 4)), (63, 0, ("E", -1, 4)), (70, -3, ("B", -1, 4)), (59, 7, ("B", 0, 3)),
     (60, 7, ("B", 1, 3)), (71, -7, ("C", -1, 5)), (66, 6, ("F", 1, 4)), (68, 0, ("G", 1, 4))],
)  # fmt: skip
def test_spelling(pitch: int, fifths: int, name: tuple[str, int, int]) -> None:
    assert spelled(pitch, fifths) == name
    letter, alteration, octave = name
    assert 12 * (octave + 1) + {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[letter] + alteration == pitch


def test_words_become_choices() -> None:
    assert parse_voices("alto,ten") == (1, 2)
    assert parse_bars("5-8") == (5, 8)
    assert parse_bars("5") == (5, 5)
    assert parse_lock("bass") == Lock(voices=(3,))
    assert parse_lock("5-8") == Lock(bars=(5, 8))
    assert parse_lock("alto,tenor:2") == Lock(voices=(1, 2), bars=(2, 2))
    assert parse_cadence("8:half") == Cadence(bar=8, kind="half")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: parse_voices("drums"), "'drums' is no voice"),
        (lambda: parse_bars("8-5"), "are no bars"),
        (lambda: parse_cadence("x"), "is no cadence"),
        (lambda: parse_cadence("8:deceptive"), "choose authentic, half, plagal"),
        (lambda: Wishes(temperature=0.0), "temperature is 0.0"),
        (lambda: Wishes(ensemble="kazoos"), "choose string-quartet"),
        (lambda: Wishes(parallels="yes"), "choose filter or report"),
        (lambda: generate(PRIOR, bars=0), "0 bars to write"),
        (lambda: generate(PRIOR, bars=2, meter=(0, 4)), "the meter is 0/4"),
        (lambda: generate(PRIOR, bars=2, wishes=Wishes(pickup=9.0)), "must be shorter than a bar"),
        (lambda: vary(PRIOR, FOUR, amount=1.5), "the amount is 1.5"),
        (lambda: infill(PRIOR, FOUR, bars=(9, 9)), "there is no bar 9"),
        (lambda: continue_(PRIOR, FOUR, bars=0), "0 bars to write"),
        (lambda: harmonize(PRIOR, song(Part(name="x", instrument="flute", notes=()))), "no notes to begin with"),
        (lambda: harmonize(PRIOR, FOUR, given=(0, 1)), "2 voices are named for 4 parts"),
        (lambda: harmonize(PRIOR, TUNE, wishes=replace(QUICK, locks=(Lock(voices=(3,)),))), "bass cannot be kept"),
        (lambda: harmonize(PRIOR, TUNE, takes=0), "takes is 0"),
        (lambda: harmonize(PRIOR, song(*(melody([60], name=str(n)) for n in range(5)))), "the file has 5 parts"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(wrong, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ComposeError, match=message):
        wrong()


def test_a_low_melody_becomes_a_voice_whose_player_has_it() -> None:
    """A violin cannot play it; what is named as given stays so."""
    for first, voice in ((40, 3), (50, 2)):
        tune = song(melody([first, first + 2, first + 4, first + 5, first + 4, first + 2, first, first]))
        take = harmonize(PRIOR, tune, wishes=QUICK, seed=1)[0]
        assert take.score.parts[voice].notes == tune.parts[0].notes
        assert take.report.marks.outside == 0
        assert any("the melody is low" in line for line in take.report.messages)
        named = harmonize(PRIOR, tune, given=(0,), wishes=QUICK, seed=1)[0]
        assert named.score.parts[0].notes == tune.parts[0].notes
        assert not any("the melody is low" in line for line in named.report.messages)


def test_a_file_that_says_minor_is_in_minor() -> None:
    """Of a signature of major the notes tell the mode, since many programs write that of any piece."""
    tune = [65, 67, 69, 70, 72, 70, 69, 67, 65, 67, 69, 65]  # it ends on F
    minor, major = (
        harmonize(PRIOR, replace(song(melody(tune)), key=(KeyChange(beat=0.0, fifths=-1, mode=mode),)), wishes=QUICK)[0]
        for mode in ("minor", "major")
    )
    assert minor.report.key == "D minor"
    assert major.report.key == "F major"


@pytest.mark.parametrize(("task", "said"), [
    (lambda: infill(PRIOR, FOUR, bars=(3, 2)), "the bars 3 to 2 are none"),
    (lambda: Lock(bars=(3, 1)), "the bars 3 to 1 are none"),
    (lambda: infill(PRIOR, FOUR, open_voices=(9,)), r"the voices \[0, 1, 2, 3, 9\] are asked for"),
    (lambda: generate(PRIOR, bars=2, voices=()), "name some of 0 to 3"),
    (lambda: vary(PRIOR, FOUR, amount=0.5, wishes=Wishes(locks=(Lock(voices=(7,)),))), "voice 7 cannot be kept"),
    (lambda: Wishes(passes=0), "passes is 0"),
    (lambda: Wishes(method="x"), "choose gibbs or unmask"),
    (lambda: Wishes(pickup=-1.0), "it must be a number from 0"),
    (lambda: parse_lock(":"), "':' is no lock"),
    (lambda: parse_lock("bass:"), "'bass:' is no lock"),
])  # fmt: skip
def test_what_cannot_be_asked_is_one_sentence(task: Callable[[], object], said: str) -> None:
    with pytest.raises(ComposeError, match=said):
        task()
