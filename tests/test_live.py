"""Edit to sound: what is updated equals a render of the whole, to the bit, and little of it is made again."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from players import duo, tiny, write_midi

import mididdsp as md
from mididdsp.live import Live

RATE = 16_000


@pytest.fixture
def live(tmp_path: Path) -> tuple[md.Performer, Live]:
    performer = tiny(workers=1)
    return performer, performer.live(performer.perform(duo(tmp_path), seed=1), sample_rate=RATE)


def whole(performer: md.Performer, performance: md.Performance) -> np.ndarray:
    return performer.render(performance, sample_rate=RATE).audio


def test_the_first_render_is_a_render(live: tuple[md.Performer, Live]) -> None:
    performer, sound = live
    assert np.array_equal(whole(performer, sound.performance), sound.audio)
    assert sound.performance.mix.gain_db is not None
    with pytest.raises(ValueError, match="read-only"):
        sound.audio[0, 0] = 1.0


@pytest.mark.parametrize(("words", "note"), [
    ("level+=3dB", 0), ("vibrato=60c", 1), ("articulation=staccato", 1), ("level=curve(0:-30dB,1:-20dB)", 3),
    ("legato", 1), ("timing-=30ms", 0), ("release*=4", 3),
    ("noise+=6dB", 1), ("partials.2-4-=6dB", 1)])
def test_an_edit_of_one_note_equals_a_full_render(live: tuple[md.Performer, Live], words: str, note: int) -> None:
    performer, sound = live
    before = sound.audio.copy()
    ids = sound.performance.score.parts[0].notes[note].id
    update = sound.update(sound.performance.select(notes=ids).edit(words).performance)
    assert np.array_equal(whole(performer, sound.performance), sound.audio)
    assert update.segments <= 3
    # Nothing outside the spans has moved.
    shared = min(before.shape[1], sound.audio.shape[1])
    moved = np.flatnonzero((before[:, :shared] != sound.audio[:, :shared]).any(axis=0)) / RATE
    assert all(any(start <= time < end for start, end in update.spans) for time in moved)


def test_another_tuning_equals_a_full_render(live: tuple[md.Performer, Live]) -> None:
    performer, sound = live
    sound.update(replace(sound.performance, a4_hz=442.0))
    assert np.array_equal(whole(performer, sound.performance), sound.audio)


def test_edits_in_a_row_and_back_again(live: tuple[md.Performer, Live]) -> None:
    performer, sound = live
    first, start = sound.performance, sound.audio.copy()
    for words in ("level-=6dB", "articulation=accent", "gain+=ramp(0dB,-6dB)"):
        sound.update(sound.performance.select(part="Cello").edit(words).performance)
        assert np.array_equal(whole(performer, sound.performance), sound.audio)
    sound.update(first)
    assert np.array_equal(sound.audio, start)
    assert sound.update(first).segments == 0
    assert sound.update(first).spans == ()


def test_places_rooms_and_curves_of_the_piece_are_updated_too(live: tuple[md.Performer, Live]) -> None:
    performer, sound = live
    edited = sound.performance.select(part="Violin").draw("level", (0.2, 2.9), (0.0, -9.0), anchor="piece").performance
    sound.update(edited)
    assert np.array_equal(whole(performer, sound.performance), sound.audio)
    place = replace(sound.performance.mix.parts["Cello"], room="none", gain_db=-3.0)
    mix = replace(sound.performance.mix, parts={**sound.performance.mix.parts, "Cello": place})
    sound.update(replace(sound.performance, mix=mix))
    assert np.array_equal(whole(performer, sound.performance), sound.audio)


def test_another_seed_is_another_render(live: tuple[md.Performer, Live]) -> None:
    performer, sound = live
    sound.update(replace(sound.performance, seed=9))
    assert np.array_equal(whole(performer, sound.performance), sound.audio)


def test_a_peak_too_high_lowers_the_gain_as_a_render_would(live: tuple[md.Performer, Live]) -> None:
    performer, sound = live
    before = sound.gain_db
    loud = sound.performance.select().edit("gain+=20dB").performance
    sound.update(loud)
    assert sound.gain_db < before - 6.0
    assert np.array_equal(whole(performer, loud), sound.audio)
    sound.update(replace(loud, curves=()))
    assert sound.gain_db == before


def test_a_section_is_made_again_as_a_whole(tmp_path: Path) -> None:
    performer = tiny(workers=1)
    score = performer.read(write_midi(tmp_path / "a.mid", [
        {"name": "Violins", "program": 40, "notes": [(0.0, 0.4, 69, 80), (0.5, 0.4, 71, 80)]}])).score
    parts = tuple(replace(part, players=3) for part in score.parts)
    sound = performer.live(performer.perform(replace(score, parts=parts), seed=1), sample_rate=RATE)
    assert np.array_equal(whole(performer, sound.performance), sound.audio)
    ids = sound.performance.score.parts[0].notes[1].id
    sound.update(sound.performance.select(notes=ids).edit("level-=6dB").performance)
    assert np.array_equal(whole(performer, sound.performance), sound.audio)


def test_a_notebook_shows_performances_and_plays_renders(tmp_path: Path) -> None:
    performer = tiny(workers=1)
    performance = performer.perform(duo(tmp_path), seed=1)
    picture = performance.select(part="Violin")._repr_png_()
    assert picture is not None
    assert picture.startswith(b"\x89PNG")
    width, height = (int.from_bytes(picture[place : place + 4], "big") for place in (16, 20))
    assert 300 <= width <= 4000
    assert 100 <= height <= 4000
    rendering = performer.render(performance, sample_rate=RATE)
    page = rendering._repr_html_()
    # well-formed and self-contained: one player, and its sound inside it
    root = ElementTree.fromstring(page.replace(" controls ", ' controls="" '))
    assert root.tag == "audio"
    kind, data = root.attrib["src"].split(",", 1)
    assert kind == "data:audio/flac;base64"
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(data, validate=True)), always_2d=True)
    assert rate == RATE
    # FLAC holds 24 bits at least of what a mix is
    np.testing.assert_allclose(heard.T, rendering.audio, atol=2.0**-22)
