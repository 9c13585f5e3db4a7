"""The levels in a chain: each can be left out, given, or edited between two calls."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from players import CELLO, VIOLIN, duo, shipped, tiny, tiny_checkpoints, write_midi

import mididdsp as md
from mididdsp.checkpoints import CheckpointError
from mididdsp.parallel import computed_ahead, may_fork

ROOT = Path(md.__file__).parent.parent


def test_one_call_a_level_gives_what_one_call_for_all_gives(tmp_path: Path) -> None:
    performer, midi = tiny(), duo(tmp_path)
    reading = performer.read(midi)
    performance = performer.perform(reading, seed=3)
    params = list(performer.synthesize(performance))
    assert [(item.part, item.skirts) for item in params] == [("Violin", True), ("Cello", True)]
    whole = performer.render(midi, seed=3).audio
    np.testing.assert_array_equal(performer.render(performance).audio, whole)
    mix = replace(performance.mix, gain_db=performer.render(performance).report.gain_db)
    np.testing.assert_array_equal(performer.render(params, mix=mix).audio, whole)
    np.testing.assert_array_equal(performer.render(reading.score, seed=3).audio, whole)


def test_an_edit_between_two_calls_is_heard(tmp_path: Path) -> None:
    performer = tiny()
    performance = performer.perform(duo(tmp_path))
    softer = {key: replace(value, level_db=value.level_db - 12.0) for key, value in performance.expressions.items()}
    mix = replace(performance.mix, gain_db=0.0)
    loud, soft = (
        performer.render(replace(performance, expressions=e, mix=mix)).audio for e in (performance.expressions, softer)
    )
    # Timbre and the noise of the attack may move with the level, so 12 dB within 1.
    assert 20 * np.log10(np.sqrt((loud**2).mean() / (soft**2).mean())) == pytest.approx(12.0, abs=1.0)
    (violin, *_) = performer.synthesize(performance)
    sharp = replace(violin, segments=tuple(replace(s, f0_hz=s.f0_hz * np.float32(2.0)) for s in violin.segments))
    assert not np.array_equal(performer.render(sharp).audio, performer.render(violin).audio)


def test_levels_are_what_they_say(tmp_path: Path) -> None:
    performance = tiny().perform(duo(tmp_path))
    assert set(performance.expressions) == {note.id for part in performance.score.parts for note in part.notes}
    assert set(performance.mix.parts) == {"Violin", "Cello"}
    assert performance.mix.parts["Violin"].pan < 0 < performance.mix.parts["Cello"].pan
    assert performance.mix.gain_db is None
    rendering = tiny().render(performance)
    assert rendering.performance is not None
    assert rendering.performance.mix.gain_db is None
    gain_db = rendering.report.gain_db
    assert rendering.performance.mix.gain_db == gain_db


def test_controllers_become_curves_and_seats(tmp_path: Path) -> None:
    track = {**VIOLIN, "controls": [(0.0, 10, 127), (0.0, 11, 127), (1.0, 11, 40)]}
    performance = tiny().perform(write_midi(tmp_path / "a.mid", [track]))
    assert performance.mix.parts["Violin"].pan == 1.0
    assert {(curve.target, curve.origin) for curve in performance.curves} == {("level", "controller")}


def test_expression_is_drawn_once_and_kept(tmp_path: Path) -> None:
    performer, midi = tiny(), duo(tmp_path)
    one, same, other = (performer.perform(midi, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one.expressions != other.expressions
    mean, again = (performer.perform(midi, seed=seed, temperature=0.0) for seed in (1, 2))
    assert mean.expressions == again.expressions
    assert [take.seed for take in performer.takes(midi, 3, seed=5)] == [5, 6, 7]
    assert performer.takes(midi, 2, seed=1)[0] == one


def test_a_report_says_what_was_done(tmp_path: Path) -> None:
    report = tiny().render(duo(tmp_path), seed=9, tail_s=0.5).save(tmp_path / "out.wav")
    assert [(part.name, part.instrument, part.notes) for part in report.parts] == [
        ("Violin", "violin", 4),
        ("Cello", "cello", 3),
    ]
    assert report.seed == 9
    assert report.music_s == pytest.approx(3.1)
    assert report.duration_s == pytest.approx(3.6, abs=1 / 48_000)
    assert report.files == (str(tmp_path / "out.wav"),)
    assert report.true_peak_dbtp <= -1.0
    assert all(part.voices == 1 and part.segments >= 1 for part in report.parts)


def test_the_stream_is_the_render(tmp_path: Path) -> None:
    performer = tiny()
    rendering = performer.render(duo(tmp_path))
    whole = rendering.audio
    blocks = list(performer.stream(rendering.performance))
    assert len(blocks) > 1
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)


def test_a_stream_begins_before_the_piece_is_synthesised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    performer = tiny(workers=1)
    notes = [(float(at), 0.8, 60 + at % 7, 80) for at in range(120)]
    performance = performer.perform(write_midi(tmp_path / "long.mid", [{**VIOLIN, "notes": notes}]))
    made = []
    generator = performer.synthesis_generator
    original = generator.segment
    monkeypatch.setattr(generator, "segment", lambda *a, **k: made.append(1) or original(*a, **k))
    stream = performer.stream(performance, room="none")
    next(stream)
    assert 0 < len(made) < 20, "memory stays flat only while segments are made when their time comes"
    stream.close()


def test_files_of_every_form_are_written(tmp_path: Path) -> None:
    rendering = tiny().render(duo(tmp_path), tail_s=0.2)
    for suffix, subtype in ((".wav", "PCM_24"), (".flac", "PCM_24"), (".ogg", "VORBIS"), (".opus", "OPUS")):
        path = tmp_path / f"out{suffix}"
        rendering.save(path)
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (48_000, 2, subtype)
    rendering.save(tmp_path / "float.wav", float32=True)
    audio, _ = soundfile.read(tmp_path / "float.wav", dtype="float32")
    np.testing.assert_array_equal(audio.T, rendering.audio)
    with pytest.raises(ValueError, match="out.mp3"):
        rendering.save(tmp_path / "out.mp3")


def test_a_loudness_is_reached(tmp_path: Path) -> None:
    performer = tiny()
    rendering = performer.render(duo(tmp_path), lufs=-30.0, room="none")
    # A gain has steps of 0.002 dB.
    assert rendering.report.loudness_lufs == pytest.approx(-30.0, abs=0.01)
    np.testing.assert_array_equal(performer.render(rendering.performance).audio, rendering.audio)


def test_a4_moves_every_pitch(tmp_path: Path) -> None:
    midi = write_midi(tmp_path / "a.mid", [{**VIOLIN, "notes": [(0.0, 2.0, 69, 80)]}])
    performance = tiny().perform(midi, temperature=0.0)
    still = {
        key: replace(
            value, tuning_cents=0.0, vibrato_cents=0.0, vibrato_rate_hz=None, vibrato_delay_s=None, timing_s=0.0
        )
        for key, value in performance.expressions.items()
    }
    performance = replace(performance, expressions=still)
    for a4_hz in (415.0, 440.0, 466.0):
        audio = tiny().render(performance, a4_hz=a4_hz, room="none").audio.mean(axis=0)[24_000:72_000]
        spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 20))
        peak_hz = np.argmax(spectrum[: 1 << 14]) * 48_000 / (1 << 20)
        # The bins are 0.05 Hz apart; drawn life moves the pitch by a few cents, 1 Hz here.
        assert peak_hz == pytest.approx(a4_hz, abs=1.0)


def test_saved_levels_come_back_from_files_and_folders(tmp_path: Path) -> None:
    performer = tiny()
    straight = tmp_path / "straight.wav"
    performer.render(duo(tmp_path), seed=4).save(straight, levels=tmp_path / "levels")
    names = sorted(path.name for path in (tmp_path / "levels").iterdir())
    assert names == ["duo.Cello.synth.npz", "duo.Violin.synth.npz", "duo.performance.json"]
    for source in (tmp_path / "levels" / "duo.performance.json", tmp_path / "levels"):
        again = tmp_path / "again.wav"
        performer.render(source).save(again)
        assert again.read_bytes() == straight.read_bytes(), f"{source.name} renders differently"
    # A part alone is the stem it was in the mix.
    performer.render(duo(tmp_path), seed=4).save(tmp_path / "b.wav", stems=tmp_path / "stems")
    performer.render(tmp_path / "levels" / "duo.Cello.synth.npz").save(tmp_path / "cello.wav")
    whole, _ = soundfile.read(tmp_path / "stems" / "02_Cello.wav", dtype="int32")
    alone, _ = soundfile.read(tmp_path / "cello.wav", dtype="int32")
    length = min(len(whole), len(alone))
    np.testing.assert_array_equal(alone[:length], whole[:length])


def test_a_tuning_is_kept_in_what_is_saved(tmp_path: Path) -> None:
    """Asked for in the performance, in the render, or found in saved levels: the same bytes."""
    performer, midi = tiny(), duo(tmp_path)
    performer.render(performer.perform(midi, a4_hz=442.0)).save(tmp_path / "a.wav", levels=tmp_path / "levels")
    performer.render(midi, a4_hz=442.0).save(tmp_path / "b.wav")
    document, = (tmp_path / "levels").glob("*.performance.json")
    violin, = (tmp_path / "levels").glob("*.Violin.synth.npz")
    assert md.load_performance(document).a4_hz == 442.0
    plain = next(iter(performer.synthesize(performer.perform(midi)))).segments[0]
    saved = md.load_synth(violin)
    assert saved.a4_hz == 442.0
    np.testing.assert_allclose(saved.segments[0].f0_hz, plain.f0_hz * (442.0 / 440.0), rtol=1e-6)  # float32
    wanted = (tmp_path / "a.wav").read_bytes()
    assert (tmp_path / "b.wav").read_bytes() == wanted
    for source in (tmp_path / "levels", document):
        performer.render(source).save(tmp_path / "c.wav")
        assert (tmp_path / "c.wav").read_bytes() == wanted
    # Parameters are brought to another tuning by one ratio.
    down = performer.render(violin, a4_hz=440.0, room="none").audio
    up = performer.render(violin, room="none").audio
    assert not np.array_equal(down, up)


def test_a_part_of_the_levels_may_be_missing(tmp_path: Path) -> None:
    performer = tiny()
    performer.render(duo(tmp_path)).save(tmp_path / "a.wav", levels=tmp_path / "levels")
    (tmp_path / "levels" / "duo.Cello.synth.npz").unlink()
    performer.render(tmp_path / "levels").save(tmp_path / "b.wav")
    assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "a.wav").read_bytes()


def test_two_parts_whose_names_differ_only_for_people_have_two_files(tmp_path: Path) -> None:
    tracks = [{**VIOLIN, "name": "A/B"}, {**CELLO, "name": "A:B"}]
    tiny().render(write_midi(tmp_path / "x.mid", tracks)).save(tmp_path / "a.wav", levels=tmp_path / "levels")
    assert len(list((tmp_path / "levels").glob("*.synth.npz"))) == 2


def test_what_cannot_be_played_is_said_in_a_sentence(tmp_path: Path) -> None:
    performer = tiny()
    with pytest.raises(md.MidiError):
        performer.read(write_midi(tmp_path / "empty.mid", [{"notes": []}]))
    with pytest.raises(md.RenderError, match="nothing to play from 9 s on; the piece is 3.1 s long"):
        performer.render(duo(tmp_path), start_s=9.0)
    with pytest.raises(md.RenderError, match="at least one part"):
        performer.render([])
    with pytest.raises(ValueError, match="temperature"):
        performer.perform(duo(tmp_path), temperature=-1.0)
    with pytest.raises(ValueError, match="device"):
        md.Performer(device="tpu")
    with pytest.raises(ValueError, match="workers"):
        md.Performer(workers=0)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        md.Performer(expression=tmp_path / "nowhere").perform(duo(tmp_path))
    (tmp_path / "two").mkdir()
    for name in ("a", "b"):
        md.save_performance(tmp_path / "two" / f"{name}.performance.json", performer.perform(duo(tmp_path)))
    with pytest.raises(md.RenderError, match="holds 2 performances"):
        performer.render(tmp_path / "two")


def test_a_checkpoint_of_another_version_is_refused_in_a_sentence(tmp_path: Path) -> None:
    from mididdsp.checkpoints import load_checkpoint, save_checkpoint

    given = load_checkpoint(tiny_checkpoints()["expression"])
    tensors = {name: value for name, value in given.tensors.items() if name != "mean.weight"}
    assert len(tensors) == len(given.tensors) - 1
    save_checkpoint(tmp_path / "old", tensors, given.card)
    with pytest.raises(CheckpointError, match="does not fit the expression model"):
        md.Performer(device="cpu", expression=tmp_path / "old").perform(duo(tmp_path))


def failing(count: int):
    """Numbers, then an error."""
    yield from range(count)
    raise ArithmeticError("at the end")


@pytest.mark.parametrize("fork", [False, True])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_streams_computed_ahead_keep_their_order_and_their_errors(workers: int, fork: bool) -> None:
    streams = [iter(range(50)), failing(7), iter(()), iter("abc")]
    with computed_ahead(streams, workers, fork=fork, costs=[3.0, 1.0, 1.0, 2.0]) as (whole, broken, empty, letters):
        assert list(empty) == []
        assert list(whole) == list(range(50))
        assert [next(broken) for _ in range(7)] == list(range(7))
        with pytest.raises(ArithmeticError, match="at the end"):
            next(broken)
        assert list(letters) == ["a", "b", "c"]


@pytest.mark.parametrize("fork", [False, True])
def test_streams_that_nobody_reads_hold_nothing_open(fork: bool) -> None:
    before = threading.active_count()
    with computed_ahead([iter(int, 1), iter(int, 1), iter(int, 1)], 2, fork=fork) as streams:
        assert [next(stream) for stream in streams] == [0, 0, 0]
    assert multiprocessing.active_children() == []
    assert threading.active_count() == before


def test_a_worker_that_dies_is_said() -> None:
    def dying():
        yield 1
        os.kill(os.getpid(), signal.SIGKILL)

    if not may_fork():
        pytest.skip("this process cannot be forked here")
    two = [iter(range(3)), dying()]
    with (
        computed_ahead(two, 2, fork=True, costs=[1.0, 9.0]) as (_, dear),  # the dear one goes to the copy
        pytest.raises(RuntimeError, match="a worker process ended"),
    ):
        list(dear)


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped()
    for name in ("render_in_python.py", "ode_to_joy.mid"):
        shutil.copy(ROOT / "examples" / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(tmp_path / "render_in_python.py"), run_name="__main__")
    assert soundfile.info(tmp_path / "ode_to_joy.wav").duration > 10.0


def test_a_picture_of_every_level(tmp_path: Path) -> None:
    performer = tiny()
    performance = performer.perform(duo(tmp_path))
    (violin, _) = performer.synthesize(performance)
    for value in (performance, violin, (performer.render(performance, tail_s=0.1).audio, 48_000.0)):
        figure = md.plot(value, tmp_path / "picture.png", title="a level")
        assert len(figure.axes) >= 2
        assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    rows = [axis for axis in md.plot(performance).axes if axis.get_ylabel() == "pitch"]
    assert len(rows) == len(performance.score.parts)
    with pytest.raises(ValueError, match="there is nothing from 100 s on; the piece is 3.1 s long"):
        md.plot(performance, start_s=100.0)
    with pytest.raises(ValueError, match="picture.xyz"):
        md.plot(performance, tmp_path / "picture.xyz")


def test_rendering_imports_no_library_it_does_not_use(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT / 'tests')!r}]; "
        "from pathlib import Path; from players import duo, tiny; "
        f"tiny().render(duo(Path({str(tmp_path)!r}))).save({str(tmp_path / 'a.wav')!r}); "
        "print({'matplotlib', 'music21', 'hydra', 'torchcrepe', 'torchaudio', 'librosa'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "set()"
