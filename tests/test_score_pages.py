"""docs/scores.md, docs/controllers.md and docs/render.md: their commands run as written, in their order."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from players import tiny_checkpoints

from mididdsp import cli
from mididdsp.expression.document import load_performance

ROOT = Path(__file__).parent.parent


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text("utf-8"), re.DOTALL)


def run(line: str) -> int:
    words = shlex.split(line)
    assert words[0] == "mididdsp"
    if words[1] == "perform":  # what is promised here holds for any weights; small ones are quick
        words += ["--checkpoint", str(tiny_checkpoints()["expression"])]
    if words[1] == "render":
        words += ["--checkpoint", str(tiny_checkpoints()["synthesis"]), "--sample-rate", "16000"]
    return cli.run([*words[1:], "--quiet"])


@pytest.mark.parametrize("page", ["scores.md", "controllers.md", "render.md"])
def test_the_commands_of_the_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("marked.musicxml", "ode_to_joy.mid"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    if page == "controllers.md":
        (tmp_path / "mine.toml").write_text(blocks(page, "toml")[0])
    monkeypatch.chdir(tmp_path)
    lines = [line for block in blocks(page, "bash") for line in block.strip().splitlines()]
    assert len(lines) >= 2
    for line in lines:
        assert run(line) == 0, f"{line}: {capsys.readouterr().err}"


def test_the_example_is_played_as_marked(tmp_path: Path) -> None:
    out = tmp_path / "marked.performance.json"
    assert run(f"mididdsp perform {ROOT / 'examples' / 'marked.musicxml'} -o {out}") == 0
    performance = load_performance(out)
    (part,) = performance.score.parts
    trill = [note for note in part.notes if note.pitch == 78.0 and note.duration < 0.2]
    assert len(trill) >= 5
    straight = [note for note in part.notes if performance.origins.get(note.id, {}).get("vibrato_cents") == "score"]
    assert straight
    assert all(performance.expressions[note.id].vibrato_cents == 0.0 for note in straight)
    assert sum("staccato" in note.articulations for note in part.notes) == 4
    assert any(curve.origin == "score" and curve.target == "level" for curve in performance.curves)


@pytest.mark.parametrize(("words", "code", "says"), [
    ("perform song.musicxml -o x.performance.json --controllers nobody", 2, "neither a preset"),
    ("export song.performance.json -o x.csv --mpe", 2, "cannot be given with .csv"),
    ("export song.performance.json -o x.mid --line level", 2, "cannot be given with .mid"),
    ("export song.musicxml -o x.mid", 1, "no saved performance"),
    ("export song.performance.json -o x.csv --part Oboe", 1, "no part 'Oboe'"),
    ("export song.performance.json -o x.wav", 2, "no suffix"),
    ("import song.performance.json broken.csv -o x.performance.json --as pitch", 1, "broken.csv"),
    ("import song.performance.json broken.csv -o x.performance.json --as attributes", 1, "no table of the original"),
    ("render broken.musicxml -o x.wav", 1, "damaged MusicXML"),
    ("render broken.krn -o x.wav", 1, "broken.krn"),
])
def test_what_goes_wrong_is_one_sentence(
    words: str, code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(ROOT / "examples" / "marked.musicxml", tmp_path / "song.musicxml")
    monkeypatch.chdir(tmp_path)
    assert run("mididdsp perform song.musicxml -o song.performance.json") == 0
    Path("broken.csv").write_text("no,numbers\nhere,either\n")
    Path("broken.musicxml").write_text("<?xml version='1.0'?><score-partwise><part-list>")
    Path("broken.krn").write_text("**kern\n*-\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    capsys.readouterr()
    assert cli.run(shlex.split(words)) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    assert says in err
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_the_report_lists_what_was_not_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "examples" / "marked.musicxml").read_text("utf-8")
    path = tmp_path / "odd.musicxml"
    path.write_text(text.replace("non vibrato", "wie ein Hauch"), encoding="utf-8")
    out = tmp_path / "odd.performance.json"
    capsys.readouterr()
    assert cli.run(["perform", str(path), "-o", str(out), "--json", "--quiet", "--checkpoint",
                    str(tiny_checkpoints()["expression"])]) == 0
    report = json.loads(capsys.readouterr().out)
    assert any("wie ein Hauch" in warning for warning in report["warnings"])
