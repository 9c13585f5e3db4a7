"""The command: what it writes, what it says, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from players import CELLO, VIOLIN, duo, tiny_checkpoints, write_midi

import mididdsp as md
from mididdsp import checkpoints, cli
from mididdsp.expression.document import load_performance

ROOT = Path(md.__file__).parent.parent


def weights() -> list[str]:
    return [word for path in tiny_checkpoints().values() for word in ("--checkpoint", str(path))]


def call(*words: object) -> int:
    return cli.run([str(word) for word in words])


def sentence(captured: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr; stdout is empty."""
    out, err = captured.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1, err
    return err.strip()


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    text = capsys.readouterr().out
    for command in ("render", "perform", "plot", "instruments", "prepare", "train", "version"):
        assert f"\n  {command} " in text
        assert call(command, "--help") == 0
        assert "Usage: mididdsp" in capsys.readouterr().out


def test_help_loads_nothing_heavy() -> None:
    code = ("import sys; from mididdsp import cli; cli.run(['render', '--help']); "
            "print(*({'numpy', 'torch', 'scipy', 'mido', 'soundfile'} & set(sys.modules)), file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert "Usage: mididdsp" in done.stdout
    assert done.stderr.strip() == ""


def test_render_writes_the_mix_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    midi, out = duo(tmp_path), tmp_path / "new" / "out.wav"
    assert (
        call(
            "render",
            midi,
            "-o",
            out,
            "--json",
            "--seed",
            7,
            "--stems",
            tmp_path / "stems",
            "--save-levels",
            tmp_path / "levels",
            *weights(),
        )
        == 0
    )
    stdout, stderr = capsys.readouterr()
    report = json.loads(stdout)
    assert report["seed"] == 7
    assert [part["instrument"] for part in report["parts"]] == ["violin", "cello"]
    assert set(report) >= {
        "source",
        "files",
        "parts",
        "substitutions",
        "warnings",
        "seed",
        "gain_db",
        "true_peak_dbtp",
        "seconds",
    }
    assert all(Path(file).exists() for file in report["files"])
    assert stderr.splitlines()[-1].startswith(f"{out}: 2 parts, ")
    info = soundfile.info(out)
    assert (info.samplerate, info.channels, info.subtype) == (48_000, 2, "PCM_24")
    assert sorted(path.name for path in (tmp_path / "stems").iterdir()) == ["01_Violin.wav", "02_Cello.wav"]
    assert len(list((tmp_path / "levels").iterdir())) == 3


def test_quiet_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("render", duo(tmp_path), "-o", tmp_path / "out.flac", "--quiet", *weights()) == 0
    assert capsys.readouterr() == ("", "")


def test_every_saved_level_renders_to_the_same_bytes(tmp_path: Path) -> None:
    how = ["--room", "none", "--tail", "0.5", "--sample-rate", "44100", *weights()]
    levels = tmp_path / "levels"
    assert call("render", duo(tmp_path), "-o", tmp_path / "a.wav", "--seed", 5, "--save-levels", levels, *how) == 0
    for name, source in (("b", levels / "duo.performance.json"), ("c", levels)):
        assert call("render", source, "-o", tmp_path / f"{name}.wav", *how) == 0
        assert (tmp_path / f"{name}.wav").read_bytes() == (tmp_path / "a.wav").read_bytes()
    solo = write_midi(tmp_path / "solo.mid", [VIOLIN])
    assert call("render", solo, "-o", tmp_path / "d.wav", "--save-levels", tmp_path / "solo", *weights()) == 0
    assert call("render", tmp_path / "solo" / "solo.Violin.synth.npz", "-o", tmp_path / "e.wav") == 0
    assert (tmp_path / "d.wav").read_bytes() == (tmp_path / "e.wav").read_bytes()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["render"], "Missing argument 'SOURCE'"),
        (["render", "{midi}"], "Missing option '-o'"),
        (["render", "{midi}", "-o", "out.wav", "--frob"], "No such option"),
        (["render", "nowhere.mid", "-o", "out.wav"], "does not exist"),
        (["plot", ".", "-o", "out.png"], "'.' is a directory"),
        (["room", ".", "--dry", "-o", "out.wav"], "'.' is a directory"),
        (["render", "{midi}", "-o", "out.mp3"], "'out.mp3' has no suffix"),
        (["render", "{midi}", "-o", "out"], "names no audio file"),
        (["render", "{midi}", "-o", "out.wav", "--from", "2", "--to", "1"], "must be after --from"),
        (["render", "{midi}", "-o", "out.wav", "--from", "later"], "'later' is not a time"),
        (["render", "{midi}", "-o", "out.wav", "--tail", "-1"], "'-1' is not a time"),
        (["render", "{midi}", "-o", "out.wav", "--room", "hall.wav"], "there is no file 'hall.wav'"),
        (["render", "{midi}", "-o", "out.wav", "--instrument", "kazoo"], "kazoo"),
        (["render", "{midi}", "-o", "out.wav", "--instrument", "Violin=kazoo"], "kazoo"),
        (["render", "{midi}", "-o", "out.wav", "--checkpoint", "nowhere"], "there is no checkpoint 'nowhere'"),
        (["render", "{midi}", "-o", "out.wav", "--checkpoint", "notes"], "of the notes level, which is not used here"),
        (["render", "{midi}", "-o", "out.wav", "--a4", "44"], "--a4"),
        (["render", "{midi}", "-o", "out.wav", "--lufs", "3"], "--lufs"),
        (["render", "{midi}", "-o", "out.wav", "--lufs", "nan"], "nan is no number"),
        (["render", "{midi}", "-o", "out.wav", "--a4", "nan"], "nan is no number"),
        (["render", "{midi}", "-o", "out.wav", "--temperature", "nan"], "nan is no number"),
        (["render", "{midi}", "-o", "out.wav", "--sample-rate", "5"], "--sample-rate"),
        (["render", "{midi}", "-o", "out.opus", "--sample-rate", "44100"], "Opus has no sample rate of 44100 Hz"),
        (["transfer", "{midi}", "--to", "violin", "-o", "out.opus", "--sample-rate", "44100"], "Opus has no"),
        (["render", "{midi}", "-o", "out.wav", "--unsupported", "maybe"], "--unsupported"),
        (["render", "{midi}", "-o", "out.wav", "--temperature", "-1"], "--temperature"),
        (["render", "{midi}", "-o", "out.flac", "--float32"], "--float32 is a form of WAV"),
        (["perform", "{midi}", "-o", "out.json"], ".performance.json"),
        (["perform", "{midi}", "-o", "a.performance.json", "--takes", "0"], "--takes"),
        (["plot", "{midi}", "-o", "out.txt"], "'out.txt' has no suffix"),
        (["prepare", ".", "-o", "out", "--instrument", "Lead=flute"], "no instrument is called 'Lead=flute'"),
        (["learn", ".", "--name", "mine", "--instrument", "Lead=flute"], "no instrument is called 'Lead=flute'"),
        (["analyze", "{midi}", "-o", "a.performance.json", "--instrument", "kazoo"], "no instrument is called 'kazoo'"),
        (["transfer", "{midi}", "--to", "kazoo", "-o", "out.wav"], "Invalid value for --to: no instrument is called"),
        (["frobnicate"], "No such command"),
        (["train", "sound"], "'sound' is not one of"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_exit_2(
    words: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("options are checked before weights are loaded")

    monkeypatch.setattr(checkpoints, "load_checkpoint", refuse)
    monkeypatch.chdir(tmp_path)
    midi = duo(tmp_path)
    assert call(*(word.format(midi=midi) for word in words)) == 2
    assert expected in sentence(capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["duo.mid"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("broken.mid", b"MThd\0\0\0\6\0", "broken.mid"),
        ("empty.mid", b"", "empty.mid"),
        ("notes.txt", b"do re mi", "a file of an unknown kind"),
        ("song.musicxml", b"<?xml version='1.0'?><score-partwise/>", "MusicXML"),
        ("broken.performance.json", b'{"format": ', "broken.performance.json"),
        ("broken.synth.npz", b"PK\3\4", "broken.synth.npz"),
    ],
)
def test_work_that_fails_is_one_sentence_and_exit_1(
    name: str, content: bytes, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    assert call("render", tmp_path / name, "-o", tmp_path / "out.wav", *weights()) == 1
    assert expected in sentence(capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize("words", [
    ("edit", "{file}", "level=mf"), ("edit", "{file}", "--undo"),
    ("resample", "{file}", "--unlocked", "level", "--seed", "1"), ("export", "{file}", "-o", "out.mid"),
    ("perform", "duo.mid", "--keep", "{file}", "-o", "out.performance.json"),
])
def test_what_is_no_performance_is_named(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    midi = duo(tmp_path)
    assert call(*(word.format(file=midi) for word in words)) == 1
    assert "this is no saved performance (it looks like a MIDI file)" in sentence(capsys)
    sound = tmp_path / "sound.wav"
    soundfile.write(sound, np.zeros((100, 1), np.float32), 16000)
    assert call(*(word.format(file=sound) for word in words)) == 1
    assert "(it looks like an audio file)" in sentence(capsys)


@pytest.mark.parametrize("words", [
    ("edit", "{file}", "level=mf", "-o", "new/a.performance.json"), ("export", "{file}", "-o", "new/a.csv"),
    ("resample", "{file}", "--seed", "1", "-o", "new/a.performance.json"), ("plot", "{file}", "-o", "new/a.png"),
])
def test_the_folder_of_an_output_is_made(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    solo = write_midi(tmp_path / "solo.mid", [VIOLIN])
    assert call("perform", solo, "-o", "solo.performance.json", *weights()) == 0
    assert call(*(word.format(file="solo.performance.json") for word in words)) == 0
    assert [path.name.split(".")[0] for path in (tmp_path / "new").iterdir() if "history" not in path.name] == ["a"]


def test_a_seed_for_what_is_not_drawn_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = tmp_path / "sound.wav"
    soundfile.write(sound, np.zeros((100, 1), np.float32), 16000)
    assert call("plot", sound, "-o", tmp_path / "a.png", "--seed", 3) == 2
    assert "--seed: only notes are performed first, and it looks like an audio file" in sentence(capsys)


def test_preparing_an_empty_folder_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recordings").mkdir()
    assert call("prepare", tmp_path / "recordings", "-o", tmp_path / "dataset") == 1
    assert "holds no audio file" in sentence(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["recordings"]


def test_a_folder_that_cannot_be_written_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(**_: Any) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "tmpx7f3"))

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    assert call("render", duo(tmp_path), "-o", tmp_path / "out.wav", *weights()) == 1
    assert sentence(capsys) == f"mididdsp render: {tmp_path}: Permission denied"
    assert [path.name for path in tmp_path.iterdir()] == ["duo.mid"]


def test_takes_of_a_performance_under_any_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("perform", duo(tmp_path), "-o", tmp_path / "x.performance.json", "--quiet", *weights()) == 0
    renamed = (tmp_path / "x.performance.json").rename(tmp_path / "x.json")
    assert call("resample", renamed, "--unlocked", "level", "--seed", 1, "--takes", 2, "--quiet", *weights()) == 0
    assert sorted(path.name for path in tmp_path.glob("x*")) == [
        "x.json", "x.take1.performance.json", "x.take2.performance.json"]


def test_choices_already_made_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    performance = tmp_path / "duo.performance.json"
    assert call("perform", duo(tmp_path), "-o", performance, "--quiet", *weights()) == 0
    assert call("render", performance, "-o", tmp_path / "out.wav", "--seed", 3, "--keyswitches", "drop") == 2
    assert "--keyswitches and --seed: these choices are already made" in sentence(capsys)


def test_a4_goes_as_far_as_the_library_takes_it(tmp_path: Path) -> None:
    for a4 in (100, 1000):
        assert call("perform", duo(tmp_path), "-o", tmp_path / "x.performance.json", "--a4", a4, *weights()) == 0
        assert load_performance(tmp_path / "x.performance.json").a4_hz == a4
    assert call("render", duo(tmp_path), "-o", tmp_path / "x.wav", "--a4", 100, "--tail", "0", *weights()) == 0


def test_a_stretch_behind_the_end_is_told_with_the_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("render", duo(tmp_path), "-o", tmp_path / "x.wav", "--from", "1:20", *weights()) == 1
    assert re.search(r"has nothing to play from 80 s on; the piece is \d\.\d s long$", sentence(capsys))
    assert call("perform", duo(tmp_path), "-o", tmp_path / "x.performance.json", "--quiet", *weights()) == 0
    assert call("plot", tmp_path / "x.performance.json", "-o", tmp_path / "x.png", "--from", "1:20") == 1
    assert re.search(r"there is nothing from 80 s on; the piece is \d\.\d s long$", sentence(capsys))


def test_a_performance_without_edits_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "x.performance.json"
    assert call("perform", duo(tmp_path), "-o", saved, "--quiet", *weights()) == 0
    assert call("edit", saved, "--history") == 0
    assert sentence(capsys) == f"{saved} has no edits yet"
    assert call("edit", saved, "level+=1dB", "--quiet") == 0
    assert call("edit", saved, "--history") == 0
    assert capsys.readouterr().out.strip() == "level+=1dB"


def test_the_input_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = tmp_path / "piece.wav"
    odd.write_bytes(duo(tmp_path).read_bytes())
    before = odd.read_bytes()
    assert call("render", odd, "-o", odd, *weights()) == 2
    assert "inputs are never written to" in sentence(capsys)
    assert odd.read_bytes() == before
    saved = tmp_path / "a.performance.json"
    assert call("perform", duo(tmp_path), "-o", saved, "--quiet", *weights()) == 0
    before = saved.read_bytes()
    assert call("render", saved, "-o", tmp_path / "b.wav", "--save-levels", tmp_path, "--quiet", *weights()) == 2
    assert "holds the input" in sentence(capsys)
    assert saved.read_bytes() == before


def test_a_folder_becomes_a_folder_and_one_bad_file_does_not_end_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    write_midi(source / "one.mid", [VIOLIN])
    write_midi(source / "deep" / "two.MIDI", [CELLO])
    write_midi(source / "deep" / "no_suffix", [CELLO])
    write_midi(source / "one.midi", [CELLO])
    (source / "bad.mid").write_bytes(b"MThd")
    (source / "readme.txt").write_text("not music")
    out = tmp_path / "out"
    assert call("render", source, "-o", out, "--json", "--stems", tmp_path / "stems", "--tail", "0", *weights()) == 1
    stdout, stderr = capsys.readouterr()
    report = json.loads(stdout)
    assert len(report["rendered"]) == 4
    assert [Path(item["source"]).name for item in report["failed"]] == ["bad.mid"]
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.wav")) == [
        "deep/no_suffix.wav",
        "deep/two.wav",
        "one.midi.wav",
        "one.wav",
    ]
    assert sorted(path.name for path in (tmp_path / "stems").rglob("*.wav")) == ["01_Cello.wav"] * 3 + ["01_Violin.wav"]
    assert "1 of 5 files could not be rendered" in stderr
    (source / "bad.mid").unlink()
    assert call("render", source, "-o", out, "--quiet", "--tail", "0", *weights()) == 0
    assert call("render", tmp_path / "stems", "-o", tmp_path / "nothing", *weights()) == 1
    assert call("render", source, "-o", source, *weights()) == 2


def test_what_is_read_as_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracks = [{"name": "Keys", "program": 0, "notes": [(0.0, 0.3, 60, 80)]}, {**VIOLIN, "channel": 2}]
    midi = write_midi(tmp_path / "a.mid", tracks)
    how = ["--json", "--tail", "0", *weights()]
    assert (
        call("render", midi, "-o", tmp_path / "a.wav", "--instrument", "Keys=flute", "--instrument", "viola", *how) == 0
    )
    assert [part["instrument"] for part in json.loads(capsys.readouterr().out)["parts"]] == ["flute", "viola"]
    assert call("render", midi, "-o", tmp_path / "a.wav", "--unsupported", "skip", *how) == 0
    assert [part["name"] for part in json.loads(capsys.readouterr().out)["parts"]] == ["Violin"]
    assert call("render", midi, "-o", tmp_path / "b.wav", "--unsupported", "error", *weights()) == 1
    assert not (tmp_path / "b.wav").exists()


def test_perform_and_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    midi = duo(tmp_path)
    assert (
        call("perform", midi, "-o", tmp_path / "x.performance.json", "--takes", 2, "--seed", 4, "--json", *weights())
        == 0
    )
    report = json.loads(capsys.readouterr().out)
    takes = [md.load_performance(file) for file in report["files"]]
    assert [Path(file).name for file in report["files"]] == ["x.take1.performance.json", "x.take2.performance.json"]
    assert [take.seed for take in takes] == [4, 5]
    assert takes[0].expressions != takes[1].expressions


def test_plot_draws_files_of_every_level(tmp_path: Path) -> None:
    assert (
        call("render", duo(tmp_path), "-o", tmp_path / "a.wav", "--save-levels", tmp_path / "l", "--quiet", *weights())
        == 0
    )
    for source in (
        tmp_path / "a.wav",
        tmp_path / "l" / "duo.performance.json",
        tmp_path / "l" / "duo.Violin.synth.npz",
    ):
        picture = tmp_path / f"{source.name}.png"
        assert call("plot", source, "-o", picture, "--quiet", "--from", "0.2", "--to", "1") == 0
        assert picture.stat().st_size > 10_000
    assert call("plot", tmp_path / "l", "-o", tmp_path / "b.png") == 2


def test_instruments_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    from mididdsp.checkpoints import LEVELS

    assert call("instruments", "--json") == 0
    assert [item["name"] for item in json.loads(capsys.readouterr().out)] == list(md.INSTRUMENTS)
    assert call("instruments") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 16
    assert len({line.index("MIDI") for line in lines}) == 1, "the columns stand below each other"
    assert call("version", "--json") == 0
    assert json.loads(capsys.readouterr().out)["mididdsp"] == md.__version__
    assert call("version") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" weights: ")[0] for line in lines[1:-1]] == list(LEVELS)
    assert not any("mididdsp train" in line for line in lines), "recipes are the card's"


def test_progress_is_drawn_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tqdm

    class Immediate(tqdm.tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "delay": 0.0, "mininterval": 0.0})

    monkeypatch.setattr(tqdm, "tqdm", Immediate)
    assert call("render", duo(tmp_path), "-o", tmp_path / "a.wav", "--progress", *weights()) == 0
    shares = [int(text) for text in re.findall(r"(\d+)%", capsys.readouterr().err)]
    assert len(shares) > 2
    assert shares == sorted(shares)


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX knows them")
@pytest.mark.parametrize(
    ("by", "levels"), [(signal.SIGINT, True), (signal.SIGTERM, False)], ids=["threads", "processes"]
)
def test_stopped_by_hand_it_leaves_nothing_half_written(by: signal.Signals, levels: bool, tmp_path: Path) -> None:
    notes = [(0.5 * at, 0.45, 60 + at % 12, 80) for at in range(4000)]
    midi = write_midi(tmp_path / "long.mid", [{**VIOLIN, "notes": notes}, {**CELLO, "notes": notes}])
    out = tmp_path / "o"
    words = ["render", midi, "-o", out / "a.wav", "--stems", out / "s", *weights()]
    words += ["--save-levels", out / "l"] if levels else []
    process = subprocess.Popen(
        [sys.executable, "-m", "mididdsp.cli", *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Where the tests themselves were put into the background, being interrupted is ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (out / "s").exists():
        time.sleep(0.05)  # until the work has begun
    time.sleep(1.0)
    os.killpg(process.pid, by)  # as a terminal does: to the copies of the process too
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.strip() == "mididdsp render: stopped; nothing was left half-written"
    assert [path for path in out.rglob("*") if path.is_file()] == []
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mididdsp import audio_files

    def full(self: Any, block: Any) -> None:
        raise OSError(28, "No space left on device", "out.wav")

    monkeypatch.setattr(audio_files.AudioWriter, "write", full)
    assert call("render", duo(tmp_path), "-o", tmp_path / "out.wav", "--stems", tmp_path / "stems", *weights()) == 1
    assert "No space left on device" in sentence(capsys)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["duo.mid"]


def test_rooms(tmp_path: Path) -> None:
    room = tmp_path / "room.wav"
    soundfile.write(room, np.r_[np.zeros(100), 0.5, np.zeros(4799)], 48_000)
    lengths = {}
    for name in ("none", "own", str(room)):
        assert call("render", duo(tmp_path), "-o", tmp_path / "a.wav", "--room", name, "--quiet", *weights()) == 0
        lengths[name] = soundfile.info(tmp_path / "a.wav").frames
    assert lengths["none"] < lengths[str(room)] < lengths["own"]
