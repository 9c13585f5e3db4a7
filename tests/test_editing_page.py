"""docs/editing.md: its commands run as written, in their order, and do what it says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from players import tiny_checkpoints

from mididdsp import cli
from mididdsp.expression.document import load_performance
from mididdsp.expression.history import edits

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "editing.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("page")
    shutil.copy(ROOT / "examples" / "ode_to_joy_quartet.mid", place)
    (place / "mine.toml").write_text(blocks("toml")[0])
    return place


def run(line: str) -> int:
    words = shlex.split(line)
    assert words[0] == "mididdsp"
    if words[1] in ("perform", "resample"):  # what is promised here holds for any weights; small ones are quick
        words += ["--checkpoint", str(tiny_checkpoints()["expression"])]
    if words[1] == "render":
        words += ["--checkpoint", str(tiny_checkpoints()["synthesis"]), "--sample-rate", "16000"]
    return cli.run([*words[1:], "--quiet"])


def test_the_commands_run_and_do_what_the_page_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    lines = [line for block in blocks("bash") for line in block.strip().splitlines()]
    assert len(lines) > 12
    for line in lines:
        assert run(line) == 0, f"{line}: {capsys.readouterr().err}"
    shown = capsys.readouterr().out
    assert re.search(r"part +bar +note +id +what +before +after", shown)
    assert "vibrato=60c" in shown
    song = load_performance("song.performance.json")
    marked = song.select(part="Violin I", bars=(3, 4))
    for note_id in marked.chosen:
        assert song.score.note(note_id).articulations == ("staccato",)
        assert song.expressions[note_id].vibrato_cents == 60.0
        assert "vibrato_cents" in song.locks[note_id]
    assert len(list(folder.glob("song.take*.performance.json"))) == 4
    pictures = re.findall(r"\]\(pictures/(\w+\.png)\)", PAGE.read_text("utf-8"))
    assert len(pictures) >= 2
    for name in pictures:  # each was drawn by a command of the page
        assert (folder / name).exists()
        assert (ROOT / "docs" / "pictures" / name).exists()
    take = load_performance("song.take2.performance.json")
    assert all(take.expressions[key] == song.expressions[key] for key in marked.chosen)
    assert edits("song.performance.json")[-1][0] == "resample vibrato --seed 5"
    revised = load_performance("revised.performance.json")
    assert revised.expressions == song.expressions
    assert set(revised.curves) == set(song.curves)
    assert (folder / "song.wav").stat().st_size > 100_000


@pytest.mark.parametrize(("line", "code", "sentence"), [
    ("mididdsp edit song.performance.json", 2, "there is nothing to do; give an assignment"),
    ("mididdsp edit song.performance.json --undo level=p", 2, "--undo stands alone"),
    ("mididdsp edit song.performance.json level=loud", 2, "'loud' is no number; write one with its unit, as 1dB"),
    ("mididdsp edit song.performance.json --part Oboe level=p", 2, "there is no part 'Oboe'; the parts are"),
    ("mididdsp edit song.performance.json --bars 900 level=p", 1, "no note fits the choice; nothing was changed"),
    ("mididdsp edit song.performance.json --lock --unlock", 2, "contradict each other"),
    ("mididdsp resample song.performance.json --unlocked colour --seed 1", 2, "'colour' is no attribute"),
    ("mididdsp perform song.mid --keep song.performance.json --seed 2 -o x.performance.json", 2, "--seed: with --keep"),
])
def test_wrong_calls_are_told_and_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, code: int,
    sentence: str,
) -> None:
    from expression.test_edit import piece

    from mididdsp.expression.document import save_performance

    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "examples" / "ode_to_joy_quartet.mid", "song.mid")
    save_performance("song.performance.json", piece())
    before = Path("song.performance.json").read_bytes()
    assert cli.run(shlex.split(line)[1:]) == code
    assert sentence in capsys.readouterr().err
    assert Path("song.performance.json").read_bytes() == before
    assert not Path("song.history.json").exists()


def test_the_python_of_the_page_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mididdsp as md

    monkeypatch.chdir(folder)
    made = {name: path for name, path in tiny_checkpoints().items()}
    monkeypatch.setattr(md, "Performer", lambda: __import__("mididdsp.performer").performer.Performer(
        device="cpu", workers=1, **made))
    code, = blocks("python")
    exec(compile(code, str(PAGE), "exec"), {})
