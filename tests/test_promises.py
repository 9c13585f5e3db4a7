"""What the project promises of a render: locality, determinism, time, level, silence, and the sum of the stems.

Tests named after a defect (U of the field, D of the original) hold what a user of the predecessors met.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from players import CELLO, VIOLIN, duo, shipped, tiny, tiny_checkpoints, write_midi

import mididdsp as md
from mididdsp import checkpoints, cli, rendering
from mididdsp.instruments import INSTRUMENTS
from mididdsp.notes.types import Note, Part, Score
from mididdsp.rooms import BLOCK
from mididdsp.synthesis.types import Segment, SynthParams

RATE = 48_000


def same(one: Segment, other: Segment) -> bool:
    """Two segments are equal to the bit."""
    return (one.id, one.note_ids, one.start_s) == (other.id, other.note_ids, other.start_s) and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("f0_hz", "amplitude_db", "harmonics", "noise_db")
    )


def by_id(params: SynthParams) -> dict[str, Segment]:
    return {segment.id: segment for segment in params.segments}


def span(segment: Segment, *, spare_s: float = 0.02) -> slice:
    """The samples a segment can reach."""
    end = segment.start_s + segment.frames / 250.0
    return slice(max(0, int((segment.start_s - spare_s) * RATE)), int((end + spare_s) * RATE))


def fixed_mix(performance: md.Performance, gain_db: float = 0.0) -> md.Performance:
    return replace(performance, mix=replace(performance.mix, gain_db=gain_db))


def line(folder: Path, count: int = 24, *, legato: bool = False, name: str = "line.mid") -> Path:
    """A violin line of half seconds, detached or overlapping."""
    length = 0.53 if legato else 0.4
    return write_midi(
        folder / name, [{**VIOLIN, "notes": [(0.5 * at, length, 64 + (5 * at) % 12, 70 + at) for at in range(count)]}]
    )


# --- locality ------------------------------------------------------------------------------------------------------


def test_an_edit_of_one_note_leaves_the_other_segments_and_their_sound_bit_equal(tmp_path: Path) -> None:
    performer = tiny()
    performance = fixed_mix(performer.perform(line(tmp_path)))
    note = performance.score.parts[0].notes[10]
    old = performance.expressions[note.id]
    new = replace(old, brightness=old.brightness + 0.5, level_db=old.level_db + 3.0, attack_s=old.attack_s * 2.0)
    edited = replace(performance, expressions={**performance.expressions, note.id: new})
    before, after = (by_id(next(performer.synthesize(item))) for item in (performance, edited))
    changed = [key for key in before if not same(before[key], after[key])]
    assert changed == [note.id]
    dry, wet = (performer.render(item, room="none").audio for item in (performance, edited))
    outside = np.ones(dry.shape[1], bool)
    for segment in (before[note.id], after[note.id]):
        outside[span(segment)] = False
    assert outside.sum() > 0.8 * len(outside)
    np.testing.assert_array_equal(dry[:, outside], wet[:, outside])
    assert not np.array_equal(dry, wet)


def test_an_edit_inside_a_slur_changes_its_segment_alone(tmp_path: Path) -> None:
    performer = tiny()
    notes = [(0.0, 0.55, 64, 80), (0.5, 0.55, 66, 80), (1.0, 0.4, 67, 80), (2.0, 0.55, 69, 80), (2.5, 0.4, 71, 80)]
    performance = performer.perform(write_midi(tmp_path / "s.mid", [{**VIOLIN, "notes": notes}]))
    first = performance.score.parts[0].notes[0]
    new = replace(performance.expressions[first.id], brightness=2.0)
    edited = replace(performance, expressions={**performance.expressions, first.id: new})
    before, after = (by_id(next(performer.synthesize(item))) for item in (performance, edited))
    assert sorted(len(segment.note_ids) for segment in before.values()) == [2, 3]
    assert [key for key in before if not same(before[key], after[key])] == [first.id]


def test_a_new_note_draws_only_for_itself(tmp_path: Path) -> None:
    performer = tiny()
    performance = performer.perform(line(tmp_path))
    part = performance.score.parts[0]
    added = md.Note(id="mine", onset=30.0, duration=0.5, pitch=70.0, velocity=80)
    score = replace(performance.score, parts=(replace(part, notes=(*part.notes, added)),))
    longer = replace(
        performance,
        score=score,
        expressions={**performance.expressions, "mine": performance.expressions[part.notes[0].id]},
    )
    before, after = (by_id(next(performer.synthesize(item))) for item in (performance, longer))
    assert all(same(segment, after[key]) for key, segment in before.items())
    assert set(after) - set(before) == {"mine"}


def test_d10_a_part_does_not_depend_on_the_length_of_the_piece_or_its_company(tmp_path: Path) -> None:
    performer = tiny()
    long = {**CELLO, "notes": [(0.5 * at, 0.4, 40 + at % 9, 80) for at in range(40)]}
    together = performer.perform(write_midi(tmp_path / "both.mid", [VIOLIN, long]))
    alone = performer.perform(write_midi(tmp_path / "one.mid", [VIOLIN]))
    beside, solo = (next(performer.synthesize(item)) for item in (together, alone))
    assert all(same(one, other) for one, other in zip(beside.segments, solo.segments, strict=True))


def test_u7_d8_a_note_late_in_a_long_piece_keeps_its_clock(tmp_path: Path) -> None:
    performer = tiny()
    notes = [(0.25 * at, 0.2, 64 + at % 12, 80) for at in range(300)]
    performance = performer.perform(write_midi(tmp_path / "many.mid", [{**VIOLIN, "notes": notes}]), temperature=0.0)
    still = replace(
        next(iter(performance.expressions.values())),
        timing_s=0.0,
        vibrato_cents=0.0,
        vibrato_rate_hz=None,
        vibrato_delay_s=None,
    )  # the phase of a vibrato is each note's own
    performance = replace(performance, expressions=dict.fromkeys(performance.expressions, still))
    segments = next(performer.synthesize(performance)).segments
    early, late = segments[24], segments[276]  # the same pitch, 252 notes apart
    np.testing.assert_array_equal(early.f0_hz, late.f0_hz)
    np.testing.assert_array_equal(early.amplitude_db, late.amplitude_db)


# --- determinism ---------------------------------------------------------------------------------------------------


def test_the_number_of_workers_changes_no_bit(tmp_path: Path) -> None:
    midi = duo(tmp_path)
    audio = [tiny(workers).render(midi, seed=2).audio for workers in (1, 2, 7)]
    np.testing.assert_array_equal(audio[0], audio[1])
    np.testing.assert_array_equal(audio[0], audio[2])


def test_the_size_of_blocks_changes_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    midi = line(tmp_path, 12)
    whole = tiny().render(midi).audio
    for seconds in (0.37, 60.0):
        monkeypatch.setattr(rendering, "BLOCK_S", seconds)
        np.testing.assert_array_equal(tiny().render(midi).audio, whole)


def test_the_number_of_torch_threads_changes_no_bit(tmp_path: Path) -> None:
    import torch

    midi, before, audio = duo(tmp_path), torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            audio.append(tiny().render(midi).audio)
            assert torch.get_num_threads() == threads, "a render leaves the caller's setting as it was"
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(audio[0], audio[1])


def test_the_order_of_parts_changes_no_part(tmp_path: Path) -> None:
    performer = tiny()
    performance = performer.perform(duo(tmp_path))
    turned = replace(performance, score=replace(performance.score, parts=performance.score.parts[::-1]))
    one = {params.part: params for params in performer.synthesize(performance)}
    for params in performer.synthesize(turned):
        assert all(same(a, b) for a, b in zip(params.segments, one[params.part].segments, strict=True))


def test_a_saved_and_reloaded_performance_renders_the_same_bytes(tmp_path: Path) -> None:
    performer = tiny()
    performance = performer.perform(duo(tmp_path), seed=11)
    md.save_performance(tmp_path / "a.performance.json", performance)
    performer.render(performance).save(tmp_path / "a.wav")
    performer.render(tmp_path / "a.performance.json").save(tmp_path / "b.wav")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_d15_two_renders_of_a_file_are_the_same_bytes_and_a_seed_is_another_take(tmp_path: Path) -> None:
    digests = []
    for seed in (1, 1, 2):
        tiny().render(duo(tmp_path), seed=seed).save(tmp_path / "a.wav")
        digests.append(hashlib.sha256((tmp_path / "a.wav").read_bytes()).hexdigest())
    assert digests[0] == digests[1] != digests[2]


def test_an_excerpt_is_a_cut_from_the_whole(tmp_path: Path) -> None:
    performer = tiny()
    performance = fixed_mix(performer.perform(line(tmp_path, 40)), -12.0)
    for room in ("none", "own"):
        whole = performer.render(performance, room=room).audio
        excerpt = performer.render(performance, room=room, start_s=12.3, end_s=16.0).audio
        first, faded = round(12.3 * RATE), round((16.0 - 12.3 - rendering.EXCERPT_FADE_S) * RATE)
        # To the bit, but for the last block of a room: the Fourier transform of the fade rounds otherwise.
        exact = faded if room == "none" else faded - BLOCK
        np.testing.assert_array_equal(excerpt[:, :exact], whole[:, first : first + exact])
        np.testing.assert_allclose(excerpt[:, :faded], whole[:, first : first + faded], atol=1e-7)


def test_cuda_and_cpu_agree(tmp_path: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here")
    midi = duo(tmp_path)
    performance = tiny().perform(midi, temperature=0.0)
    there = md.Performer(device="cuda", **tiny_checkpoints()).synthesize(performance)
    for one, other in zip(tiny().synthesize(performance), there, strict=True):
        for a, b in zip(one.segments, other.segments, strict=True):
            np.testing.assert_allclose(1200 * np.log2(a.f0_hz / b.f0_hz), 0.0, atol=0.01)
            np.testing.assert_allclose(a.amplitude_db, b.amplitude_db, atol=0.01)


# --- the mix -------------------------------------------------------------------------------------------------------


def read(path: Path, kind: str) -> np.ndarray[Any, Any]:
    samples, _ = soundfile.read(path, dtype=kind, always_2d=True)
    return samples


def test_stems_sum_to_the_mix(tmp_path: Path) -> None:
    rendering_ = tiny().render(duo(tmp_path))
    rendering_.save(tmp_path / "float.wav", stems=tmp_path / "float", float32=True)
    total = np.zeros_like(read(tmp_path / "float.wav", "float32"))
    for path in sorted((tmp_path / "float").iterdir()):
        total += read(path, "float32")
    np.testing.assert_array_equal(total, read(tmp_path / "float.wav", "float32"))
    rendering_.save(tmp_path / "int.wav", stems=tmp_path / "int")
    steps = [read(path, "int32") >> 8 for path in sorted((tmp_path / "int").iterdir())]
    assert np.abs(sum(steps) - (read(tmp_path / "int.wav", "int32") >> 8)).max() <= len(steps)


def test_u11_d18_a_loud_mix_keeps_its_true_peak_under_the_limit_and_says_so(tmp_path: Path) -> None:
    performance = fixed_mix(tiny().perform(duo(tmp_path)), 40.0)
    rendering_ = tiny().render(performance)
    report = rendering_.save(tmp_path / "loud.wav", stems=tmp_path / "stems", float32=True)
    # An independent witness: 8-fold oversampling by soxr; -1 dBTP is 0.891, and 0.05 dB is the meters' own tolerance.
    high = soxr.resample(read(tmp_path / "loud.wav", "float32"), RATE, 8 * RATE, quality="VHQ")
    assert 20 * np.log10(np.abs(high).max()) <= -0.95
    assert report.true_peak_dbtp <= -1.0
    assert any("lowered" in warning for warning in report.warnings)
    assert report.gain_db < 40.0
    assert rendering_.performance is not None
    assert rendering_.performance.mix.gain_db == report.gain_db


def test_the_gain_of_a_first_render_stays_through_edits(tmp_path: Path) -> None:
    performer = tiny()
    first = performer.render(performer.perform(duo(tmp_path)))
    gain_db = first.report.gain_db
    performance = first.performance
    assert performance is not None
    quieter = {key: replace(value, level_db=value.level_db - 20.0) for key, value in performance.expressions.items()}
    assert performer.render(replace(performance, expressions=quieter)).report.gain_db == gain_db


# --- time and silence ----------------------------------------------------------------------------------------------


def level_db(audio: np.ndarray[Any, Any], size: int = 240) -> np.ndarray[Any, Any]:
    """RMS of 5 ms windows of mono audio, one a sample step of 1 ms."""
    power = np.convolve(audio.astype(np.float64) ** 2, np.ones(size) / size, mode="same")[:: RATE // 1000]
    return 10 * np.log10(np.maximum(power, 1e-12))


def onset_s(level: np.ndarray[Any, Any], after_s: float, before_s: float) -> float:
    """First rise to 25 dB below the top between two times, s; ``level`` has 1 ms steps."""
    window = level[int(after_s * 1000) : int(before_s * 1000)]
    return after_s + float(np.argmax(window >= window.max() - 25.0)) / 1000.0


def test_onsets_are_where_the_notes_are(tmp_path: Path) -> None:
    performer = shipped()
    for program, low in ((40, 60), (42, 45), (73, 72), (60, 50)):
        notes = [(0.25 + 0.75 * at, 0.35, low + at, 80) for at in range(8)]
        performance = performer.perform(
            write_midi(tmp_path / "a.mid", [{"name": "A", "program": program, "notes": notes}])
        )
        level = level_db(performer.render(performance, room="none").audio.mean(axis=0))
        for note in performance.score.parts[0].notes:
            expected = note.onset + performance.expressions[note.id].timing_s
            found = onset_s(level, expected - 0.1, expected + 0.35)
            assert found == pytest.approx(expected, abs=0.015), f"program {program}, note at {note.onset} s"


def test_d11_rests_are_digital_silence_in_dry_stems(tmp_path: Path) -> None:
    performer = tiny()
    performance = performer.perform(
        write_midi(tmp_path / "a.mid", [{**VIOLIN, "notes": [(0.5, 0.5, 69, 80), (6.0, 0.5, 69, 80)]}])
    )
    (params,) = performer.synthesize(performance)
    audio = performer.render(performance, room="none").audio
    sounding = np.zeros(audio.shape[1], bool)
    for segment in params.segments:
        sounding[span(segment)] = True
    assert (~sounding).sum() > 3 * RATE
    assert not audio[:, ~sounding].any()


def held_note(performer: md.Performer, folder: Path) -> md.Performance:
    """Two seconds of A4, ending at 2 s to the millisecond, with a short release."""
    midi = write_midi(folder / "a.mid", [{**VIOLIN, "notes": [(0.0, 2.0, 69, 90)]}])
    performance = fixed_mix(performer.perform(midi, temperature=0.0))
    plain = {
        key: replace(value, timing_s=0.0, length_ratio=1.0, release_s=0.05)
        for key, value in performance.expressions.items()
    }
    return replace(performance, expressions=plain)


def test_the_last_note_ends_where_the_midi_says(tmp_path: Path) -> None:
    performer = shipped()
    performance = held_note(performer, tmp_path)
    (expression,) = performance.expressions.values()
    level = level_db(performer.render(performance, room="none").audio.mean(axis=0))
    # By the measure of onsets, 25 dB below the top: not before its end, and not later than two releases after it.
    end_s = float(np.flatnonzero(level >= level.max() - 25.0)[-1]) / 1000.0
    assert 1.985 <= end_s <= 2.0 + 2.0 * expression.release_s
    assert expression.release_s < 0.3


def test_u9_d20_the_tail_rings_out_and_ends(tmp_path: Path) -> None:
    performer = tiny()
    performance = held_note(performer, tmp_path)
    dry = performer.render(performance, room="none").audio
    wet = performer.render(performance).audio
    ring = level_db(wet.mean(axis=0))
    heard = level_db(dry.mean(axis=0))
    end_ms = int(np.flatnonzero(heard >= heard.max() - 60.0)[-1])
    assert ring[end_ms + 200] > ring.max() - 50.0, "the room rings after the last sound"
    # The file ends when the room is 60 dB down, not before and not with a cut.
    assert ring[-20] < ring.max() - 55.0
    assert end_ms / 1000 + 0.8 < wet.shape[1] / RATE < end_ms / 1000 + 4.0
    assert performer.render(performance, tail_s=0.0).audio.shape[1] == 2 * RATE


def test_velocity_is_heard(tmp_path: Path) -> None:
    performer = shipped()
    for name, instrument in INSTRUMENTS.items():
        middle = (instrument.low + instrument.high) // 2
        notes = [(1.5 * at, 1.0, middle, velocity) for at, velocity in enumerate((33, 64, 96, 112))]
        reading = performer.read(
            write_midi(tmp_path / "a.mid", [{"name": "A", "notes": notes}]), instruments={"*": name}
        )
        performance = fixed_mix(performer.perform(reading, temperature=0.0))
        audio = performer.render(performance, room="none").audio.mean(axis=0)
        bodies = [audio[int((1.5 * at + 0.2) * RATE) : int((1.5 * at + 0.9) * RATE)] for at in range(4)]
        levels = [10 * np.log10((body.astype(np.float64) ** 2).mean()) for body in bodies]
        centroids = [centroid_hz(body) for body in bodies]
        assert sorted(levels) == levels, f"{name}: levels {levels}"
        assert levels[-1] - levels[0] >= 10.0, f"{name}: levels {levels}"
        # where the recordings tell no dynamics by their timbre it rises by less than the noise moves the centroid
        assert (np.diff(centroids) > -0.005 * np.array(centroids[1:])).all(), f"{name}: centroids {centroids}"
        assert centroids[-1] > centroids[0], f"{name}: centroids {centroids}"


@pytest.mark.parametrize("name", ["violin", "cello", "clarinet", "bassoon", "trumpet"])
def test_company_changes_a_timbre_alike_at_every_dynamic(name: str) -> None:
    """Phrases were recorded at mezzo-forte: what a network guesses of others had made pure tones of soft lines."""
    performer, entry = shipped(), INSTRUMENTS[name]
    pitches = range(entry.low + 5, entry.low + 29)

    def asked(velocity: int, step_s: float) -> np.ndarray:
        notes = tuple(Note(id=str(pitch), onset=step_s * at, duration=0.5, pitch=float(pitch), velocity=velocity)
                      for at, pitch in enumerate(pitches))
        played = performer.perform(Score(parts=(Part(name="A", instrument=name, notes=notes),)), temperature=0.0)
        return np.array([expression.brightness for expression in played.expressions.values()])

    added = {velocity: asked(velocity, 0.5) - asked(velocity, 20.0) for velocity in (33, 80, 112)}
    for velocity in (33, 112):  # .25 to .4 octaves less at 33, .2 more at 112, before; the floor may give a little
        assert abs(added[velocity].mean() - added[80].mean()) < 0.1, (velocity, added)


@pytest.mark.parametrize("velocity", [33, 80, 112])
def test_low_notes_do_not_whine(velocity: int) -> None:
    """What the recordings of low notes do not hold must not be made up: it would be a whine of a hundred partials."""
    performer = shipped()
    for name, instrument in INSTRUMENTS.items():
        pitches = range(instrument.low, min(instrument.low + 14, 45), 2)
        notes = tuple(Note(id=f"{name}{pitch}", onset=1.5 * at, duration=1.0, pitch=float(pitch), velocity=velocity)
                      for at, pitch in enumerate(pitches))
        if not notes:
            continue
        performance = performer.perform(Score(parts=(Part(name="A", instrument=name, notes=notes),)), seed=3)
        for segment in next(iter(performer.synthesize(performance))).segments:
            power = (10 ** (segment.amplitude_db[:, None] / 10) * segment.harmonics.astype(np.float64) ** 2)
            number = np.arange(1, power.shape[1] + 1)
            high = power[(number * segment.f0_hz[:, None] > 8000.0)].sum() / power.sum()
            # most recordings hold 0.0001 of it there, a trombone at its loudest about 0.01; a whine was 0.5 and more
            assert high < 0.03, f"{name} {segment.note_ids[0]}: {high:.3f} of the power lies above 8 kHz"


def centroid_hz(body: np.ndarray[Any, Any]) -> float:
    """Mean frequency of the power spectrum."""
    power = np.abs(np.fft.rfft(body * np.hanning(len(body)))) ** 2
    return float((power * np.fft.rfftfreq(len(body), 1.0 / RATE)).sum() / power.sum())


# --- defects a user of the predecessors met -----------------------------------------------------------------------


def test_u5_d5_any_program_renders_and_is_said(tmp_path: Path) -> None:
    programs: Sequence[int] = (0, 24, 48, 52, 65, 80, 105, 127)
    tracks = [
        {"name": f"T{p}", "program": p, "channel": i, "notes": [(0.0, 0.3, 60, 80)]} for i, p in enumerate(programs)
    ]
    reading = tiny().read(write_midi(tmp_path / "a.mid", tracks))
    report = tiny().render(reading.score, tail_s=0.0).save(tmp_path / "a.wav")
    assert len(report.parts) == len(programs)
    assert all(part.rms_dbfs > -80.0 for part in report.parts), "every part sounds"
    assert {item.part for item in reading.substitutions} >= {"T0", "T24", "T80", "T127"}


def test_u6_d7_a_file_without_programs_sounds_and_one_without_notes_fails_aloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = write_midi(tmp_path / "plain.mid", [{"notes": [(0.0, 0.5, 60, 80)]}])
    assert tiny().render(plain, tail_s=0.0).audio.any()
    drums = write_midi(tmp_path / "drums.mid", [{"channel": 9, "program": 40, "notes": [(0.0, 0.5, 38, 80)]}])
    for silent in (drums, write_midi(tmp_path / "none.mid", [{"notes": []}])):
        assert cli.run(["render", str(silent), "-o", str(tmp_path / "out.wav")]) == 1
        assert silent.name in capsys.readouterr().err
        assert not (tmp_path / "out.wav").exists()


def test_u8_d9_a_long_part_is_made_segment_by_segment(tmp_path: Path) -> None:
    notes = [(0.5 * at, 0.4, 60 + at % 12, 80) for at in range(2000)]
    performance = tiny().perform(write_midi(tmp_path / "long.mid", [{**VIOLIN, "notes": notes}]), temperature=0.0)
    rendering_ = tiny(workers=1).render(performance, room="none")
    made: list[str] = []
    part = rendering_.parts[0]

    def counted(start_s: float, end_s: float | None):
        for segment in part.segments(start_s, end_s):
            made.append(segment.id)
            yield segment

    rendering_.parts = (replace(part, segments=counted),)
    stream = rendering_.stream()
    heard = sum(next(stream).shape[1] for _ in range(10)) / RATE
    # The notes heard so far, and those of the blocks that are ahead.
    assert len(made) <= (heard + 3 * rendering.BLOCK_S) / 0.5
    stream.close()


def test_u12_speed_and_pitch_reach_every_part(tmp_path: Path) -> None:
    midi = duo(tmp_path)
    plain, changed = md.read_midi(midi), md.read_midi(midi, speed=2.0, pitch_offset=-3.0)
    for part, other in zip(plain.score.parts, changed.score.parts, strict=True):
        assert [note.onset / 2 for note in part.notes] == pytest.approx([note.onset for note in other.notes])
        assert [note.pitch - 3 for note in part.notes] == [note.pitch for note in other.notes]


def test_u12_d16_any_suffix_is_read_and_one_bad_file_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.mid", "b.midi", "c.MID", "d.kar"):
        duo(tmp_path / "in", name)
    (tmp_path / "in" / "e.mid").write_bytes(b"not a MIDI file")
    words = ["render", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--quiet", "--tail", "0"]
    for path in tiny_checkpoints().values():
        words += ["--checkpoint", str(path)]
    assert cli.run(words) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "b.wav", "c.wav", "d.wav"]


def test_u12_d17_own_weights_need_no_shipped_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_WEIGHTS", tmp_path / "no weights here")
    assert tiny().render(duo(tmp_path), tail_s=0.0).audio.any()
    with pytest.raises(checkpoints.CheckpointError):
        md.Performer(device="cpu").perform(duo(tmp_path))


def test_u13_d19_the_input_is_left_as_it_was(tmp_path: Path) -> None:
    midi = duo(tmp_path)
    before = midi.read_bytes(), midi.stat().st_mtime_ns
    words = [
        "render",
        str(midi),
        "-o",
        str(tmp_path / "a.wav"),
        "--stems",
        str(tmp_path),
        "--save-levels",
        str(tmp_path),
        "--quiet",
    ]
    for path in tiny_checkpoints().values():
        words += ["--checkpoint", str(path)]
    assert cli.run(words) == 0
    assert (midi.read_bytes(), midi.stat().st_mtime_ns) == before


@pytest.mark.parametrize("seconds", [0.004, 0.012, 0.03, 0.08])
def test_the_shortest_notes_are_no_louder_than_asked(seconds: float) -> None:
    """A note shorter than its attack has no body to speak of: nothing is to be made louder for that."""
    performer = shipped()
    for name, instrument in INSTRUMENTS.items():
        middle = float((instrument.low + instrument.high) // 2)
        notes = tuple(
            Note(id=f"{name}{at}", onset=0.5 + 0.2 * at, duration=seconds, pitch=middle + at, velocity=velocity)
            for at, velocity in enumerate((40, 80, 126)))
        performance = performer.perform(Score(parts=(Part(name="A", instrument=name, notes=notes),)), seed=1)
        for segment in next(iter(performer.synthesize(performance))).segments:
            partials = 10 ** (segment.amplitude_db[:, None] / 10) * segment.harmonics.astype(np.float64) ** 2 / 2.0
            power = partials.sum(1) + (10 ** (segment.noise_db.astype(np.float64) / 10)).sum(1)
            # the body's mean is what is asked; its loudest frame, or the ring after it, may lie some dB above
            loudest = 10.0 * np.log10(power.max()) - performance.expressions[segment.note_ids[0]].level_db
            assert loudest < 15.0, f"{name}, {segment.note_ids[0]}: {loudest:.0f} dB above its level"


def test_a_swell_from_nothing_begins_as_nothing(tmp_path: Path) -> None:
    """An expression controller that rises from 0 asks for levels no recording has: noise came out at +200 dB there."""
    performer = shipped()
    for name, instrument in INSTRUMENTS.items():
        middle = (instrument.low + instrument.high) // 2
        swell = [(0.0, 11, 0), *((0.5 + 3.0 * value / 127, 11, value) for value in range(1, 128))]
        track = {"name": "A", "notes": [(0.5, 3.0, middle, 90)], "controls": swell}
        reading = performer.read(write_midi(tmp_path / "a.mid", [track]), instruments={"*": name})
        segment, = next(iter(performer.synthesize(performer.perform(reading, seed=1)))).segments
        noise = 10.0 * np.log10((10 ** (segment.noise_db.astype(np.float64) / 10)).sum(1))
        level = np.maximum(noise, segment.amplitude_db)
        times = segment.start_s + np.arange(segment.frames) / 250
        # CC11 = 1 is 84 dB softer than 127 by the General MIDI recommendation, and CC11 = 3 is 65 dB
        assert level[times < 0.56].max() < level.max() - 50.0, name
