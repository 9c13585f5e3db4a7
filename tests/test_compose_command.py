"""``mididdsp compose``: from a file to notes, notation and sound; what goes wrong is one sentence."""

from __future__ import annotations

import json
import runpy
import shutil
from functools import cache
from pathlib import Path

import pytest
import soundfile
import torch
from players import shipped, tiny_checkpoints

import mididdsp as md
from mididdsp import cli
from mididdsp.checkpoints import save_checkpoint, shipped_names
from mididdsp.notes.generator import NoteNet, NotePrior, PriorConfig
from mididdsp.notes.wishes import Wishes
from mididdsp.performer import Performer

TUNE = Path(md.__file__).parent.parent / "examples" / "scarborough_fair.mid"


@cache
def folder(voices: int = 4) -> Path:
    """A small untrained prior beside the other tiny checkpoints."""
    place = tiny_checkpoints()["expression"].parent / f"notes{voices}"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        prior = NotePrior(PriorConfig(voices=voices, channels=(5, 6), blocks=(1, 1)), None)
    tensors, model = prior.to_checkpoint()
    card = {"level": "notes", "model": model, "recipe": "none: untrained", "data": "none", "figures": {},
            "licence": "CC0", "attribution": "none"}
    save_checkpoint(place, tensors, card)
    assert isinstance(prior.net, NoteNet)
    return place


def call(*words: object, prior: Path | None = None) -> int:
    paths = [*tiny_checkpoints().values(), prior or folder()]
    weights = [word for path in paths for word in ("--checkpoint", str(path))]
    return cli.run([*map(str, words), "--passes", "2", *weights])


def test_a_folk_tune_becomes_a_quartet_and_its_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quartet, sound = tmp_path / "quartet.mid", tmp_path / "quartet.wav"
    before = TUNE.read_bytes()
    assert call("compose", "harmonize", TUNE, "-o", quartet, "--render", sound, "--takes", 2, "--seed", 4,
                "--json") == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert [take["seed"] for take in report["takes"]] == [4, 5]
    assert all(0.0 <= take["in_key"] <= 1.0 and take["surprise"] > 0.0 for take in report["takes"])
    assert "parallels" in err
    melody = md.read_midi(TUNE).score.parts[0]
    for number in (1, 2):
        score = md.read_midi(tmp_path / f"quartet.take{number}.mid").score
        assert [part.instrument for part in score.parts] == ["violin", "violin", "viola", "cello"]
        kept = score.parts[0].notes
        assert [note.pitch for note in kept] == [note.pitch for note in melody.notes]
        # Both files count time in ticks of a thousandth of a beat.
        assert [note.onset for note in kept] == pytest.approx([note.onset for note in melody.notes], abs=1e-3)
        assert [note.velocity for note in kept] == [note.velocity for note in melody.notes]
        # 16 bars of 3/4 at 96 quarters a minute last 30 s; the room rings on.
        assert soundfile.info(tmp_path / f"quartet.take{number}.wav").duration > 29.0
    assert TUNE.read_bytes() == before


def test_every_task_writes_a_file(tmp_path: Path) -> None:
    piece = tmp_path / "piece.mid"
    assert call("compose", "generate", "--bars", 4, "--key", "D minor", "--meter", "3/4", "-o", piece, "--quiet") == 0
    assert call("compose", "infill", piece, "--bars", "2-3", "--voices", "alto,tenor", "-o", tmp_path / "a.mid") == 0
    assert call("compose", "continue", piece, "--bars", 2, "--ensemble", "brass", "-o", tmp_path / "b.musicxml") == 0
    assert call("compose", "vary", piece, "--amount", 0.3, "--lock", "bass", "--lock", "1", "--keep-rhythm",
                "-o", tmp_path / "c.mid") == 0
    assert call("compose", "harmonize", tmp_path / "b.musicxml", "--cadence", "4:half", "--chords", "Dm | Gm | A7 | A",
                "--parallels", "report", "-o", tmp_path / "d.mid") == 0
    first, varied = md.read_midi(piece).score, md.read_midi(tmp_path / "c.mid").score
    assert [note.pitch for note in varied.parts[3].notes] == [note.pitch for note in first.parts[3].notes]
    assert varied.parts != first.parts
    assert md.read_midi(tmp_path / "a.mid").score.key[0].fifths == -1


@pytest.mark.parametrize(
    ("voices", "instruments"),
    [(2, ["violin", "cello"]), (3, ["violin", "violin", "cello"]),
     (5, ["violin", "violin", "viola", "viola", "cello"])],
)
def test_a_prior_of_other_voices_composes_in_them(voices: int, instruments: list[str], tmp_path: Path) -> None:
    prior, made = folder(voices), tmp_path / "a.mid"
    assert call("compose", "harmonize", TUNE, "-o", made, "--parallels", "report", "--quiet", prior=prior) == 0
    score = md.read_midi(made).score
    assert [part.instrument for part in score.parts] == instruments
    assert len({part.name for part in score.parts}) == voices
    melody = md.read_midi(TUNE).score.parts[0]
    assert [note.pitch for note in score.parts[0].notes] == [note.pitch for note in melody.notes]
    # What was made is read again with a part for each voice; the bass is kept by its name, the others are not.
    again = tmp_path / "b.mid"
    assert call("compose", "vary", made, "--amount", 1, "--lock", "bass", "-o", again, "--parallels", "report",
                "--quiet", prior=prior) == 0
    varied = md.read_midi(again).score
    assert [note.pitch for note in varied.parts[-1].notes] == [note.pitch for note in score.parts[-1].notes]
    assert [note.pitch for note in varied.parts[0].notes] != [note.pitch for note in score.parts[0].notes]
    upper = ["--voices", "soprano,quinto"] if voices == 5 else ["--voices", "soprano"]
    assert call("compose", "generate", "--bars", 2, *upper, "-o", tmp_path / "c.mid", "--quiet", prior=prior) == 0
    assert len(md.read_midi(tmp_path / "c.mid").score.parts) == len(upper[1].split(","))


def test_the_package_holds_a_prior_of_five_voices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It knows harmony: nearly all it draws is in the key of the melody, which a random choice is in 7 of 12 cases."""
    if "notes-madrigals" not in shipped_names():
        pytest.skip("the package has no weights notes-madrigals")
    made = tmp_path / "quintet.mid"
    assert cli.run(["compose", "harmonize", str(TUNE), "-o", str(made), "--checkpoint", "notes-madrigals",
                    "--passes", "12", "--json", "--quiet"]) == 0
    [take] = json.loads(capsys.readouterr().out)["takes"]
    assert take["in_key"] > 0.85
    assert len(md.read_midi(made).score.parts) == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compose", "harmonize", TUNE, "--given", "drums"], "'drums' is no voice"),
        (["compose", "harmonize", TUNE, "--lock", "8-5"], "are no bars"),
        (["compose", "harmonize", TUNE, "--key", "H"], "is no key"),
        (["compose", "harmonize", TUNE, "--chords", "Cfoo"], "no chord known here"),
        (["compose", "generate", "--meter", "waltz"], "is no meter"),
        (["compose", "infill", TUNE, "--bars", "x"], "are no bars"),
        (["compose", "generate", "--cadence", "x"], "is no cadence"),
    ],
)
def test_a_wrong_call_is_one_sentence(
    words: list[object], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*words, "-o", tmp_path / "x.mid") == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_work_that_cannot_be_done_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("compose", "infill", TUNE, "--bars", "90-91", "-o", tmp_path / "x.mid") == 1
    assert "there is no bar 90; the piece has the bars 1 to 16" in capsys.readouterr().err
    (tmp_path / "words.txt").write_text("do re mi")
    assert call("compose", "harmonize", tmp_path / "words.txt", "-o", tmp_path / "x.mid") == 1
    assert "no notes that can be read" in capsys.readouterr().err


def test_all_levels_are_drawn_with_their_own_seeds() -> None:
    performer = Performer(device="cpu", workers=1, notes=folder(), **tiny_checkpoints())
    how = {"wishes": Wishes(passes=2)}
    one = performer.create("harmonize", TUNE, notes_seed=1, expression_seed=2, synthesis_seed=3, how=how)
    played = performer.create("harmonize", TUNE, notes_seed=1, expression_seed=7, synthesis_seed=3, how=how)
    sounded = performer.create("harmonize", TUNE, notes_seed=1, expression_seed=2, synthesis_seed=8, how=how)
    other = performer.create("harmonize", TUNE, notes_seed=5, expression_seed=2, synthesis_seed=3, how=how)
    assert one.take.score == played.take.score == sounded.take.score != other.take.score
    assert one.performance.expressions != played.performance.expressions
    assert one.performance.expressions == sounded.performance.expressions
    assert (one.performance.seed, sounded.performance.seed) == (3, 8)
    with pytest.raises(ValueError, match="the task is 'sing'"):
        performer.compose("sing", TUNE)
    with pytest.raises(ValueError, match="generate begins from nothing"):
        performer.compose("generate", TUNE)


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped()
    for name in ("compose_in_python.py", TUNE.name):
        shutil.copy(TUNE.parent / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(tmp_path / "compose_in_python.py"), run_name="__main__")
    harmonies = [md.read_midi(tmp_path / f"harmony{seed}.mid").score for seed in (1, 2, 3)]
    assert len({tuple(note.pitch for note in score.parts[3].notes) for score in harmonies}) == 3
    sounds = {name: (tmp_path / f"{name}.wav").read_bytes() for name in ("performance1", "performance2", "notes2")}
    assert len(set(sounds.values())) == 3
