"""``mididdsp analyze``: what it writes, what it says, and that what it wrote renders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from players import tiny_checkpoints
from test_listening import PITCHES, RATE, phrase

from mididdsp import cli
from mididdsp.expression.document import load_performance
from mididdsp.notes.midi import write_midi
from mididdsp.notes.types import Note, Part, Score
from mididdsp.synthesis.document import open_synth

WEIGHTS = [word for path in tiny_checkpoints().values() for word in ("--checkpoint", str(path))]


def call(*words: object) -> int:
    return cli.run([str(word) for word in words])


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "violin.wav"
    soundfile.write(path, phrase(PITCHES[:3], vibrato=20.0), RATE, subtype="FLOAT")
    return path


@pytest.fixture(scope="module")
def analysed(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("analysed")
    assert call("analyze", recording, "-o", folder / "rec.performance.json", "--synth", folder / "rec.synth.npz") == 0
    return folder


def test_it_reports(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("analyze", recording, "-o", tmp_path / "a.performance.json", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["notes"] == 3
    assert report["instrument"] == "violin"
    assert report["synth"] is None
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.performance.json"]


def test_the_files_belong_together(analysed: Path) -> None:
    performance = load_performance(analysed / "rec.performance.json")
    synth = open_synth(analysed / "rec.synth.npz")
    ids = [note.id for note in performance.score.parts[0].notes]
    assert [name for names in synth.segment_note_ids for name in names] == ids
    assert synth.part == performance.score.parts[0].name == "rec"


def test_the_parameters_render_back_at_the_recordings_level(analysed: Path, recording: Path, tmp_path: Path) -> None:
    assert call("render", analysed / "rec.synth.npz", "-o", tmp_path / "back.wav", "--sample-rate", RATE,
                "--float32") == 0
    back, rate = soundfile.read(tmp_path / "back.wav")
    original, _ = soundfile.read(recording)
    assert rate == RATE
    assert abs(len(back) - len(original)) <= 2 * 64  # the last frame is held
    for channel in back.T:
        assert abs(20 * np.log10(np.std(channel) / np.std(original))) < 0.2


def test_the_performance_renders_on_another_instrument(
    analysed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (analysed / "rec.performance.json").read_bytes()
    for instrument in ("cello", "flute"):
        assert call("render", analysed / "rec.performance.json", "--instrument", instrument, "-o",
                    tmp_path / f"{instrument}.wav", *WEIGHTS) == 0
    words = capsys.readouterr().err
    assert "rec: 1 of 3 notes lie outside the range of the flute" in words  # A3
    assert (analysed / "rec.performance.json").read_bytes() == before
    sounds = [soundfile.read(tmp_path / f"{name}.wav")[0] for name in ("cello", "flute")]
    assert not np.array_equal(sounds[0][:48_000], sounds[1][:48_000])


def test_parameters_have_one_sound_only(analysed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("render", analysed / "rec.synth.npz", "--instrument", "cello", "-o", tmp_path / "a.wav") == 2
    assert "these choices are already made" in capsys.readouterr().err


def test_an_unknown_part_is_named(analysed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("render", analysed / "rec.performance.json", "--instrument", "Bass=cello", "-o", tmp_path / "a.wav",
                *WEIGHTS) == 1
    assert "no part is called 'Bass'; the parts are rec" in capsys.readouterr().err
    assert not (tmp_path / "a.wav").exists()


@pytest.mark.parametrize("form", ["mid", "csv"])
def test_notes_can_be_given(recording: Path, tmp_path: Path, form: str) -> None:
    notes = tuple(Note(id=f"n{index}", onset=0.6 * index, duration=0.5, pitch=pitch)
                  for index, pitch in enumerate(PITCHES[:3]))
    path = tmp_path / f"notes.{form}"
    if form == "mid":
        write_midi(Score(parts=(Part(name="Violin", instrument="violin", notes=notes, program=40),)), path)
    else:
        path.write_text("onset,offset,pitch\n" + "".join(f"{n.onset},{n.offset},{n.pitch:g}\n" for n in notes))
    out = tmp_path / "a.performance.json"
    assert call("analyze", recording, "-o", out, "--notes", path, "--quiet") == 0
    performance = load_performance(out)
    found = performance.score.parts[0].notes
    assert [note.pitch for note in found] == list(PITCHES[:3])
    onsets = [note.onset + performance.expressions[note.id].timing_s for note in found]
    np.testing.assert_allclose(onsets, [0.1, 0.9, 1.7], atol=0.03)


@pytest.mark.parametrize(("audio", "said"), [
    (np.zeros(3), "is 3 samples long"),
    (np.zeros(16_000), "is silent"),
    (0.1 * np.random.default_rng(0).standard_normal(16_000), "no notes were heard"),
    (np.full(16_000, np.nan), "not numbers"),
])
def test_odd_recordings_are_one_sentence(
    audio: np.ndarray, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "odd.wav"
    soundfile.write(path, audio, 16_000, subtype="FLOAT")
    assert call("analyze", path, "-o", tmp_path / "a.performance.json", "--synth", tmp_path / "a.synth.npz") == 1
    words = capsys.readouterr().err.strip()
    assert said in words
    assert len(words.splitlines()) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["odd.wav"]


def test_a_chord_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mixed = sum(phrase((pitch,) * 2) for pitch in (60.0, 63.7, 67.3))
    path = tmp_path / "violin chord.wav"
    soundfile.write(path, mixed, RATE, subtype="FLOAT")
    assert call("analyze", path, "-o", tmp_path / "a.performance.json") == 0
    assert "more than one note at a time" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "code", "said"), [
    (("{rec}", "-o", "{tmp}/a.wav"), 2, "no suffix this command writes"),
    (("{rec}", "-o", "{tmp}/a.performance.json", "--instrument", "kazoo"), 2, "kazoo"),
    (("{tmp}/none.wav", "-o", "{tmp}/a.performance.json"), 2, "does not exist"),
    (("{mid}", "-o", "{tmp}/a.performance.json"), 1, "this is no recording"),
    (("{rec}", "-o", "{tmp}/a.performance.json", "--tracker", "ear"), 2, "ear"),
])
def test_wrong_calls(
    words: tuple[str, ...], code: int, said: str, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    midi = tmp_path / "a.mid"
    write_midi(Score(parts=(Part(name="Violin", instrument="violin", program=40, notes=(
        Note(id="n", onset=0.0, duration=1.0, pitch=60.0),)),)), midi)
    assert call("analyze", *(word.format(rec=recording, tmp=tmp_path, mid=midi) for word in words)) == code
    err = capsys.readouterr().err.strip()
    assert said in err
    assert len(err.splitlines()) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["a.mid"]
