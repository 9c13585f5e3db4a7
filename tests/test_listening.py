"""The way up on sounds whose notes, pitch, vibrato and level are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mididdsp.audio_files import AudioFileError
from mididdsp.audio_stream import Recording, recording_of
from mididdsp.contours import PIECE_S, Contours, track_recording
from mididdsp.expression.document import load_performance, save_performance
from mididdsp.expression.types import ATTRIBUTES
from mididdsp.listening import Listening, listen, only_part, several_notes, tuning_of
from mididdsp.notes.analysis import HeardNote
from mididdsp.notes.types import Note, Part, Score, TempoChange
from mididdsp.synthesis.render import render_stream

RATE = 16_000
PITCHES = (57.0, 60.0, 64.0, 69.0, 67.0, 62.0)
NOTE_S, REST_S = 0.7, 0.1


def phrase(
    pitches: tuple[float, ...] = PITCHES, *, cents: float = 0.0, vibrato: float = 0.0, rate: int = RATE,
    level: float = 0.1, noise: float = 1e-3, seed: int = 0,
) -> np.ndarray:
    """Notes of 0.7 s with eight partials, 0.1 s of faint noise between."""
    sound = [np.zeros(int(REST_S * rate))]
    for pitch in pitches:
        time = np.arange(int(NOTE_S * rate)) / rate
        bend = cents + vibrato * np.sin(2 * np.pi * 6.0 * time)
        cycles = np.cumsum(440.0 * 2 ** ((pitch - 69 + bend / 100) / 12)) / rate
        shape = np.minimum(1.0, np.minimum(time / 0.02, (NOTE_S - time) / 0.04))
        sound.append(level * shape * sum(np.sin(2 * np.pi * k * cycles) / k for k in range(1, 9)))
        sound.append(np.zeros(int(REST_S * rate)))
    whole = np.concatenate(sound)
    return (whole + noise * np.random.default_rng(seed).standard_normal(len(whole))).astype(np.float32)


def heard(audio: np.ndarray, rate: int = RATE, **how: object) -> Listening:
    return listen(recording_of(audio, rate, name="phrase"), part="phrase", instrument="violin", **how)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plain() -> Listening:
    found = heard(phrase(vibrato=30.0))
    found.params()
    return found


def test_notes_are_found_where_they_are(plain: Listening) -> None:
    assert [note.pitch for note in plain.notes] == list(PITCHES)
    onsets = REST_S + (NOTE_S + REST_S) * np.arange(len(PITCHES))
    # attacks take 20 ms, frames 4
    np.testing.assert_allclose([note.onset for note in plain.notes], onsets, atol=0.03)
    np.testing.assert_allclose([note.duration for note in plain.notes], NOTE_S, atol=0.06)


def test_how_they_are_played_is_measured(plain: Listening) -> None:
    for note in plain.notes:
        found = plain.measured[note.id]
        assert found.vibrato_cents == pytest.approx(30.0, abs=2.0)
        assert found.vibrato_rate_hz == pytest.approx(6.0, abs=0.2)
        assert abs(found.tuning_cents + 1200 * np.log2(plain.a4_hz / 440.0)) < 3.0
        # eight partials of 0.1 / k: half the sum of their squares
        assert found.level_db == pytest.approx(10 * np.log10(0.01 * sum(k**-2.0 for k in range(1, 9)) / 2), abs=0.4)
        assert found.brightness == pytest.approx(
            np.log2(sum(k**-1.0 for k in range(1, 9)) / sum(k**-2.0 for k in range(1, 9))), abs=0.05)
        assert found.timing_s == pytest.approx(0.0, abs=1e-6)


def test_the_sound_comes_back() -> None:
    audio = phrase(vibrato=20.0)
    found = heard(audio)
    params = found.params()
    assert not params.skirts, "what is read off a recording is made again as it was read"
    made = np.concatenate(list(render_stream(params, noise_edges_hz=params.noise_edges_hz, sample_rate=RATE, seed=3)))
    made = np.pad(made, (0, max(0, len(audio) - len(made))))[: len(audio)]
    hop = 800
    levels = [10 * np.log10(np.add.reduceat(sound.astype(float) ** 2, np.arange(0, len(audio), hop)) / hop + 1e-9)
              for sound in (audio, made)]
    loud = levels[0] > levels[0].max() - 20.0
    assert np.abs(levels[0] - levels[1])[loud].mean() < 0.3
    spectra = [np.abs(np.fft.rfft(sound[2_000:12_000] * np.hanning(10_000))) for sound in (audio, made)]
    assert np.corrcoef(*spectra)[0, 1] > 0.98


def test_segments_tile_the_recording_and_carry_the_notes(plain: Listening) -> None:
    segments = list(plain.segments())
    assert [note for segment in segments for note in segment.note_ids] == [note.id for note in plain.notes]
    for before, after in zip(segments, segments[1:]):
        # two segments that touch share two frames, in which one falls silent and the other begins
        assert before.start_s + before.frames / 250 == pytest.approx(after.start_s + 2 / 250)
        assert before.amplitude_db[-1] == after.amplitude_db[0] == -120.0
    assert segments[0].start_s == 0.0


def test_memory_does_not_depend_on_cuts_and_pieces_agree_with_the_whole() -> None:
    audio = phrase(PITCHES * 3, vibrato=20.0)
    assert len(audio) / RATE > PIECE_S  # or there is but one piece
    whole = track_recording(recording_of(audio, RATE))
    # the first note of the second pass, tracked by itself
    start = round(len(PITCHES) * (NOTE_S + REST_S) * 250)
    alone = track_recording(recording_of(audio[start * 64 :], RATE))
    both = whole.voiced[start:] & alone.voiced
    assert np.mean(whole.voiced[start:] == alone.voiced) > 0.99
    cents = 1200 * np.log2(whole.f0_hz[start:][both] / alone.f0_hz[both])
    assert np.percentile(np.abs(cents), 99) < 1.0


def test_silence_is_no_segment() -> None:
    rest = np.zeros(RATE, np.float32)
    audio = np.concatenate([rest, phrase(PITCHES[:2], noise=0.0), rest, phrase(PITCHES[2:4], noise=0.0), rest])
    found = heard(audio)
    segments = list(found.segments())
    covered = sum(segment.frames for segment in segments) / 250
    assert covered < 2 * 2 * (NOTE_S + 0.1)
    assert len(found.notes) == 4


def test_a_recording_60_db_down_is_measured_to_its_last_note() -> None:
    """Its notes rise out of what counts as silence elsewhere; the 24 bits of a file hold them well."""
    time_s = np.arange(int(1.5 * RATE)) / RATE
    swell = 1e-3 * (time_s / 1.5) ** 2 * sum(np.sin(2 * np.pi * 440.0 * k * time_s) / k for k in range(1, 9))
    audio = np.concatenate([swell, 1e-3 * phrase(PITCHES[:3], level=1.0, noise=0.0)]).astype(np.float32)
    found = heard(audio)
    list(found.segments())
    assert {note.id for note in found.notes} == set(found.performance().expressions)
    assert [note.pitch for note in found.notes] == [69.0, *PITCHES[:3]]


def test_the_performance_says_where_it_came_from_and_survives_its_file(plain: Listening, tmp_path) -> None:  # type: ignore[no-untyped-def]
    performance = plain.performance()
    assert all(set(performance.origins[note.id].values()) == {"recording"} for note in plain.notes)
    assert set(performance.origins[plain.notes[0].id]) == set(ATTRIBUTES)
    save_performance(tmp_path / "a.performance.json", performance)
    assert load_performance(tmp_path / "a.performance.json") == performance


def test_a_performance_asks_for_all_segments() -> None:
    with pytest.raises(ValueError, match="take all segments first"):
        heard(phrase()).performance()


def test_the_tuning_is_the_recordings() -> None:
    found = heard(phrase(cents=-30.0))
    assert found.a4_hz == pytest.approx(440.0 * 2 ** (-30 / 1200), abs=0.3)
    assert [note.pitch for note in found.notes] == list(PITCHES)
    found.params()
    assert all(abs(item.tuning_cents) < 3.0 for item in found.measured.values())


def test_few_notes_say_nothing_of_the_tuning() -> None:
    assert tuning_of([HeardNote(onset=0, offset=100, pitch=69.4, joined=False)]) == 440.0


def given(stretch: float = 1.0, late: float = 0.0) -> Score:
    """The phrase as a score at 75 beats a minute: a note of 0.7 s and a rest of 0.1 s make a beat."""
    notes = tuple(Note(id=f"n{index}", onset=stretch * 0.8 * index + late, duration=0.7 * stretch, pitch=pitch)
                  for index, pitch in enumerate(PITCHES))
    return Score(parts=(Part(name="Violino", instrument="violin", notes=notes),),
                 tempo=(TempoChange(time=0.0, beat=0.0, bpm=75.0 / stretch),), title="given")


@pytest.mark.parametrize("stretch", [0.6, 1.0, 1.7])
def test_given_notes_keep_their_ids_and_get_the_recordings_time(stretch: float) -> None:
    found = heard(phrase(), given=given(stretch))
    params = found.params()
    performance = found.performance()
    notes = performance.score.parts[0].notes
    assert [note.id for note in notes] == [f"n{index}" for index in range(len(PITCHES))]
    assert performance.score.title == "given"
    onsets = [note.onset + performance.expressions[note.id].timing_s for note in notes]
    np.testing.assert_allclose(onsets, 0.1 + 0.8 * np.arange(len(PITCHES)), atol=0.03)
    # the notes stand on the beats of the tempo that was played
    assert np.mean([change.bpm for change in performance.score.tempo]) == pytest.approx(75.0, rel=0.03)
    assert params.part == "Violino"


def test_notes_of_two_parts_are_refused() -> None:
    score = given()
    other = Score(parts=(score.parts[0], replace(score.parts[0], name="Viola", notes=tuple(
        replace(note, id=f"v{note.id}") for note in score.parts[0].notes))))
    with pytest.raises(ValueError, match=r"2 parts with notes \(Violino, Viola\)"):
        only_part(other)


@pytest.mark.parametrize(("audio", "reason"), [
    (np.zeros(RATE, np.float32), "is silent .* digital silence"),
    (1e-6 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32), "is silent .* at -1"),
    (0.1 * np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32), "no notes were heard"),
    (np.full(RATE, np.nan, np.float32), "not numbers"),
])
def test_what_holds_no_notes_is_one_sentence(audio: np.ndarray, reason: str) -> None:
    with pytest.raises(AudioFileError, match=reason):
        heard(audio)


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_other_rates_hear_the_same_notes(rate: int) -> None:
    mono = phrase(PITCHES[:3], rate=rate)
    found = heard(np.stack([mono, mono]) if rate == 96_000 else mono, rate)
    assert [note.pitch for note in found.notes] == list(PITCHES[:3])


def test_the_instrument_is_named_by_the_recording_or_guessed() -> None:
    audio = phrase(PITCHES[:2])
    named = Recording(name="/recordings/My Flute take 2.wav", sample_rate=RATE, samples=len(audio), channels=1,
                      audio=audio[None])
    assert listen(named, part="a").instrument == "flute"
    guessed = listen(recording_of(audio, RATE, name="x"), part="a")
    assert "guess" in guessed.messages[0]


@pytest.mark.parametrize(("name", "pitches"), [("tuba", (22.0, 24.0, 29.0)), ("piccolo", (96.0, 103.0, 108.0)),
                                               ("", (21.0, 108.0))])
def test_pedal_notes_and_the_highest_are_heard(name: str, pitches: tuple[float, ...]) -> None:
    audio = phrase(pitches, rate=48_000)
    found = listen(recording_of(audio, 48_000, name=name or "x"), part="a")
    assert [note.pitch for note in found.notes] == list(pitches)


def test_an_unknown_tracker_is_refused() -> None:
    with pytest.raises(ValueError, match="choose own, crepe, crepe-full"):
        track_recording(recording_of(phrase(PITCHES[:1]), RATE), tracker="ear")


def test_contours_have_a_frame_every_4_ms() -> None:
    contours: Contours = track_recording(recording_of(phrase(PITCHES[:2]), RATE))
    assert len(contours) == pytest.approx(250 * (0.1 + 2 * 0.8), abs=1)
    assert contours.periodicity.min() >= 0.0
    assert contours.periodicity.max() <= 1.0


def test_two_strings_heard_as_one_low_note_are_told_from_one_note() -> None:
    number = np.arange(1, 31)
    single = 1.0 / number
    oboe = np.where(number == 1, 0.15, np.where(number < 6, 1.0, 0.1))  # a weak fundamental is no second note
    fifth = np.where(number % 2 == 0, 2.0 / number, 0.0) + np.where(number % 3 == 0, 3.0 / number, 0.0)
    third = np.where(number % 4 == 0, 4.0 / number, 0.0) + np.where(number % 5 == 0, 5.0 / number, 0.0)
    triad = third + np.where(number % 6 == 0, 6.0 / number, 0.0)
    octave = np.where(number % 2 == 0, 2.0 / number, 0.0)
    found = several_notes(np.stack([single, oboe, fifth, third, triad, octave]))
    assert found.tolist() == [False, False, True, True, True, False]
