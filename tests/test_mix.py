"""The mix: stems that sum exactly, gains that come back to the byte, peaks and loudness as promised, flat memory."""

from __future__ import annotations

import math
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mididdsp.audio_files import AudioFileError, read_audio
from mididdsp.expression.types import PartMix
from mididdsp.meters import LoudnessMeter, TruePeakMeter
from mididdsp.mix import (
    TARGET_LUFS,
    TRUE_PEAK_LIMIT_DB,
    MixReport,
    Stem,
    estimate_gain_db,
    factor_db,
    gain_factor,
    mix_parts,
    mixed,
    pan_factors,
    placed,
    stem_name,
)
from mididdsp.rooms import BLOCK, room_impulse_response

RATE = 48_000
STEP = 2.0**-23


def noise(length: int, level: float = 0.1, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(length) * level).astype(np.float32)


def cut(audio: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (audio[..., start:start + size] for start in range(0, audio.shape[-1], size))


def stems(level: float = 0.1, size: int = 30_000) -> list[Stem]:
    """Three parts of different lengths, two of them in the hall."""
    return [Stem(name=name, blocks=placed(cut(noise(length, level, seed), size), place, instrument, RATE))
            for seed, (name, instrument, length, place) in enumerate((
                ("Violin I", "violin", 70_000, PartMix(pan=-0.5)),
                ("Horn/F", "horn", 40_001, PartMix(gain_db=-3.0, pan=0.3)),
                ("Cello", "cello", 200_000, PartMix(pan=1.0, room="none"))))]


def summed(parts: list[np.ndarray]) -> np.ndarray:
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


# --- place


@given(pan=st.floats(-1.0, 1.0))
def test_pan_keeps_the_power(pan: float) -> None:
    left, right = pan_factors(pan)
    assert left**2 + right**2 == pytest.approx(1.0, abs=1e-12)
    assert (left >= right) == (pan <= 1e-12) or abs(pan) < 1e-12


def test_pan_at_the_ends_and_beyond() -> None:
    assert pan_factors(-1.0) == pytest.approx((1.0, 0.0))
    assert pan_factors(0.0) == pytest.approx((math.sqrt(0.5), math.sqrt(0.5)))
    assert pan_factors(1.0) == pytest.approx((0.0, 1.0), abs=1e-12)
    for pan in (1.01, math.nan):
        with pytest.raises(ValueError, match="give a number from -1"):
            pan_factors(pan)


def test_a_part_without_room_is_panned_and_no_longer() -> None:
    dry = noise(1_000)
    found = np.concatenate(list(placed([dry], PartMix(gain_db=20.0, pan=-1.0, room="none"), "flute", RATE)), axis=1)
    np.testing.assert_allclose(found, [10 * dry, 0 * dry], rtol=1e-6, atol=1e-7)


def test_a_part_in_a_room_rings_out() -> None:
    impulse = np.array([1.0], np.float32)
    found = np.concatenate(list(placed([impulse], PartMix(gain_db=-6.0, pan=0.5), "flute", RATE)), axis=1)
    response = room_impulse_response("flute", RATE, 0.5)
    expected = response.copy()
    expected[:, 0] += pan_factors(0.5)
    # Float32 transforms: a few ulp of the largest value.
    np.testing.assert_allclose(found, expected * 10 ** (-6 / 20), rtol=0, atol=1e-6)


@pytest.mark.parametrize("room", ["own", "none"])
def test_a_placed_part_does_not_depend_on_its_blocks(room: str) -> None:
    dry = noise(2 * BLOCK + 99)
    one, other = (np.concatenate(list(placed(cut(dry, size), PartMix(pan=0.1, room=room), "oboe", RATE)), axis=1)
                  for size in (len(dry), 1_237))
    np.testing.assert_array_equal(one, other)


# --- gain


@given(gain_db=st.floats(-100.0, 60.0))
def test_a_gain_survives_its_way_through_decibels(gain_db: float) -> None:
    factor = gain_factor(gain_db)
    assert factor_db(factor) == pytest.approx(gain_db, abs=0.0022)  # half a step of 2**-12 at a mantissa of 0.5
    assert gain_factor(factor_db(factor)) == factor == float(np.float32(factor))
    assert gain_factor(factor_db(factor / 2)) == factor / 2


def test_the_estimate_brings_one_part_near_the_target() -> None:
    # Noise of the band the loudness weighting leaves alone, at the level of mf notes, for ten seconds.
    level = -26.0
    spectrum = np.fft.rfft(noise(10 * RATE, 1.0))
    frequency = np.fft.rfftfreq(10 * RATE, 1 / RATE)
    band = np.fft.irfft(spectrum * ((frequency > 200) & (frequency < 1000)))
    dry = (band * 10 ** (level / 20) / np.sqrt(np.mean(band**2))).astype(np.float32)
    gain = estimate_gain_db([(level, 0.0, 5.0), (level, 5.0, 5.0)])
    stem = Stem(name="p", blocks=placed([dry], PartMix(), "violin", RATE))
    with mixed([stem], sample_rate=RATE, gain_db=gain) as mix:
        assert mix.report.loudness_lufs == pytest.approx(TARGET_LUFS, abs=1.0)
        assert mix.report.messages == ()


def test_more_and_louder_parts_get_less_gain() -> None:
    one = estimate_gain_db([(-26.0, 0.0, 1.0)])
    assert estimate_gain_db([(-26.0, 0.0, 1.0)] * 4) == pytest.approx(one - 6.02, abs=0.01)
    assert estimate_gain_db([(-20.0, 0.0, 1.0)]) == pytest.approx(one - 6.0)
    assert estimate_gain_db([(-26.0, 0.0, 100.0), (-6.0, 100.0, 0.1)]) == pytest.approx(TRUE_PEAK_LIMIT_DB - 13.0 + 6.0)


def test_only_what_sounds_together_adds_up() -> None:
    one = estimate_gain_db([(-26.0, 0.0, 1.0)])
    assert estimate_gain_db([(-26.0, 3.0 * index, 1.0) for index in range(40)]) == pytest.approx(one)
    chords = [(-26.0, 2.0 * chord, 1.0) for chord in range(3) for _ in range(4)]
    assert estimate_gain_db(chords) == pytest.approx(one - 6.02, abs=0.01)
    # Slurred notes overlap by 20 ms: of 2 s the two of them sound together for a hundredth.
    assert estimate_gain_db([(-26.0, 0.0, 1.02), (-26.0, 1.0, 1.0)]) == pytest.approx(one, abs=0.05)


def test_without_notes_the_gain_is_0() -> None:
    assert estimate_gain_db([]) == estimate_gain_db([(-20.0, 0.0, 0.0)]) == 0.0
    assert estimate_gain_db([(-120.0, 0.0, 1.0)]) == 60.0


# --- the mix


@pytest.mark.parametrize("options", [{"gain_db": -6.0}, {"gain_db": 30.0}, {"gain_db": 0.0, "lufs": -23.0},
                                     {"gain_db": 0.0, "lufs": -3.0}, {"gain_db": -6.0, "end_s": 2.0}])
def test_float_stems_sum_to_the_mix_exactly(tmp_path: Path, options: dict[str, float]) -> None:
    _, files = mix_parts(stems(), tmp_path / "mix.wav", sample_rate=RATE, stems_folder=tmp_path / "stems", float32=True,
                         **options)
    mix, *parts = (read_audio(file)[0] for file in files)
    assert [file.name for file in files[1:]] == ["01_Violin I.wav", "02_Horn_F.wav", "03_Cello.wav"]
    np.testing.assert_array_equal(summed(parts), mix)
    assert mix.any()


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_24_bit_stems_sum_to_the_mix_within_a_step_each(tmp_path: Path, suffix: str) -> None:
    _, files = mix_parts(stems(), tmp_path / f"mix{suffix}", sample_rate=RATE, gain_db=-6.0,
                         stems_folder=tmp_path / "s")
    assert {file.suffix for file in files} == {suffix}
    mix, *parts = (read_audio(file)[0].astype(np.float64) for file in files)
    # Half a step for each of three stems and for the mix, and the rounding of the float32 sum.
    assert np.abs(summed(parts) - mix).max() <= (0.5 * 3 + 0.5 + 0.5) * STEP


@pytest.mark.parametrize("options", [{"gain_db": -6.0}, {"gain_db": 30.0}, {"gain_db": 0.0, "lufs": -23.0},
                                     {"gain_db": 0.0, "lufs": -3.0}])
def test_the_gain_in_the_report_gives_the_same_bytes(tmp_path: Path, options: dict[str, float]) -> None:
    report, _ = mix_parts(stems(size=30_000), tmp_path / "a.wav", sample_rate=RATE, stems_folder=tmp_path / "s",
                          **options)
    again, _ = mix_parts(stems(size=7_001), tmp_path / "b.wav", sample_rate=RATE, gain_db=report.gain_db)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert again.gain_db == report.gain_db
    assert again.messages == ()
    assert again.true_peak_dbtp == pytest.approx(report.true_peak_dbtp, abs=1e-5)


def test_a_gain_that_fits_is_kept_as_given(tmp_path: Path) -> None:
    report, _ = mix_parts(stems(), tmp_path / "a.wav", sample_rate=RATE, gain_db=-6.1)
    assert report.gain_db == -6.1
    assert report.messages == ()


def test_the_true_peak_stays_below_its_limit_and_is_told(tmp_path: Path) -> None:
    report, (path,) = mix_parts(stems(), tmp_path / "a.wav", sample_rate=RATE, gain_db=25.0)
    assert TRUE_PEAK_LIMIT_DB - 6.03 < report.true_peak_dbtp <= TRUE_PEAK_LIMIT_DB
    lowered = 25.0 - report.gain_db
    assert lowered == pytest.approx(round(lowered / 6.0206) * 6.0206, abs=2e-3)
    assert report.messages == (f"the gain of the mix was lowered by {lowered:.1f} dB to {report.gain_db:.1f} dB, "
                               "for its true peak may not exceed -1 dBTP",)
    meter = TruePeakMeter()
    meter.add(read_audio(path)[0])
    assert factor_db(meter.finish()) == pytest.approx(report.true_peak_dbtp, abs=1e-4)  # 24 bits move little


def test_a_stem_louder_than_the_mix_is_not_cut() -> None:
    loud = noise(5_000, 3.0)[np.newaxis].repeat(2, axis=0)
    with mixed([Stem(name="a", blocks=[loud]), Stem(name="b", blocks=[-loud])], sample_rate=RATE, gain_db=0.0,
               keep_stems=True) as mix:
        assert all(np.abs(stem).max() <= 1.0 for _, kept in mix.blocks() for stem in kept)
        assert mix.report.true_peak_dbtp == -120.0


def test_a_loudness_is_reached_or_the_reason_told(tmp_path: Path) -> None:
    report, (path,) = mix_parts(stems(), tmp_path / "a.wav", sample_rate=RATE, gain_db=0.0, lufs=-23.0)
    meter = LoudnessMeter(RATE)
    meter.add(read_audio(path)[0])
    assert meter.integrated_lufs() == pytest.approx(-23.0, abs=0.01)  # steps of gain are 0.002 dB
    assert report.loudness_lufs == pytest.approx(-23.0, abs=0.01)
    assert report.messages == ()
    report, _ = mix_parts(stems(), tmp_path / "b.wav", sample_rate=RATE, gain_db=0.0, lufs=-3.0)
    assert report.true_peak_dbtp == pytest.approx(TRUE_PEAK_LIMIT_DB, abs=0.01)
    assert report.true_peak_dbtp <= TRUE_PEAK_LIMIT_DB
    assert re.fullmatch(r"the mix stays at -\d+\.\d LUFS instead of -3\.0, for its true peak may not exceed -1 dBTP",
                        *report.messages)


def test_silence_has_no_loudness_to_set(tmp_path: Path) -> None:
    silence = Stem(name="p", blocks=[np.zeros((2, RATE), np.float32)])
    report, (path,) = mix_parts([silence], tmp_path / "a.wav", sample_rate=RATE, gain_db=3.0, lufs=-14.0)
    assert not read_audio(path)[0].any()
    assert (report.loudness_lufs, report.true_peak_dbtp, report.gain_db) == (None, -120.0, 3.0)
    assert report.messages == ("the mix is silent or shorter than 0.4 s, so its loudness cannot be set to -14.0 LUFS",)


def test_the_report_describes_the_stems(tmp_path: Path) -> None:
    report, files = mix_parts(stems(), tmp_path / "a.wav", sample_rate=RATE, gain_db=-6.0, stems_folder=tmp_path / "s")
    assert [stem.name for stem in report.stems] == ["Violin I", "Horn/F", "Cello"]
    for stem, file in zip(report.stems, files[1:]):
        audio = read_audio(file)[0].astype(np.float64)
        assert audio.shape == (2, report.frames)
        assert stem.peak_dbfs == pytest.approx(20 * np.log10(np.abs(audio).max()), abs=1e-3)
        assert stem.rms_dbfs == pytest.approx(10 * np.log10(np.mean(audio**2)), abs=1e-3)


@pytest.mark.parametrize("end_s", [0.5, 3.0, 20.0])
def test_a_length_asked_for_is_kept(end_s: float) -> None:
    with mixed(stems(), sample_rate=RATE, gain_db=-6.0) as whole, \
            mixed(stems(), sample_rate=RATE, gain_db=-6.0, end_s=end_s) as part:
        all_of_it, found = whole.audio(), part.audio()
    assert found.shape == (2, round(end_s * RATE)) == (2, part.report.frames)
    kept = min(round((end_s - 0.02) * RATE), all_of_it.shape[1])
    np.testing.assert_array_equal(found[:, :kept], all_of_it[:, :kept])
    assert np.abs(found[:, -1]).max() < 1e-3  # faded, or silent
    if found.shape[1] > all_of_it.shape[1]:
        assert not found[:, all_of_it.shape[1]:].any()


def test_a_length_asked_for_stops_the_work() -> None:
    taken = []

    def endless() -> Iterator[np.ndarray]:
        while True:
            taken.append(1)
            yield np.full((2, BLOCK), 0.1, np.float32)

    with mixed([Stem(name="p", blocks=endless())], sample_rate=RATE, gain_db=0.0, end_s=2.5 * BLOCK / RATE) as mix:
        assert mix.report.frames == 2.5 * BLOCK
    assert len(taken) <= 4


def test_no_stems_are_an_empty_mix() -> None:
    with mixed([], sample_rate=RATE, gain_db=0.0) as mix:
        assert mix.audio().shape == (2, 0)
        assert mix.report == MixReport(sample_rate=RATE, frames=0, gain_db=0.0, true_peak_dbtp=-120.0,
                                       loudness_lufs=None, stems=(), messages=())


def test_a_lossy_mix_has_wav_stems(tmp_path: Path) -> None:
    _, files = mix_parts(stems(), tmp_path / "a.ogg", sample_rate=RATE, gain_db=-6.0, stems_folder=tmp_path / "s")
    assert [file.suffix for file in files] == [".ogg", ".wav", ".wav", ".wav"]


def test_blocks_that_are_not_stereo_are_refused() -> None:
    with pytest.raises(ValueError, match=r"stem p: a block has shape \(5,\); give stereo blocks"), \
            mixed([Stem(name="p", blocks=[np.zeros(5, np.float32)])], sample_rate=RATE, gain_db=0.0):
        pass


def test_nothing_is_left_when_a_part_fails(tmp_path: Path) -> None:
    def failing() -> Iterator[np.ndarray]:
        yield np.zeros((2, BLOCK), np.float32)
        raise RuntimeError("the generator failed")

    with pytest.raises(RuntimeError, match="the generator failed"):
        mix_parts([*stems(), Stem(name="p", blocks=failing())], tmp_path / "a.wav", sample_rate=RATE, gain_db=0.0,
                  stems_folder=tmp_path / "s")
    assert not list(tmp_path.iterdir())


def test_an_impossible_file_is_refused_before_any_work(tmp_path: Path) -> None:
    def untouched() -> Iterator[np.ndarray]:
        pytest.fail("a part was played")
        yield

    with pytest.raises(AudioFileError, match=".mp3 is no form"):
        mix_parts([Stem(name="p", blocks=untouched())], tmp_path / "a.mp3", sample_rate=RATE, gain_db=0.0)


def test_stem_names() -> None:
    assert stem_name(1, "Violin", ".wav") == "01_Violin.wav"
    assert stem_name(12, "Vl. I/II", ".flac") == "12_Vl. I_II.flac"


@pytest.mark.parametrize("separate", [False, True])
def test_memory_does_not_grow_with_length(tmp_path: Path, separate: bool) -> None:
    def peak(blocks: int) -> int:
        sources = [Stem(name=str(part), blocks=(np.full((2, BLOCK), 0.01, np.float32) for _ in range(blocks)))
                   for part in range(3)]
        tracemalloc.start()
        mix_parts(sources, tmp_path / "a.wav", sample_rate=RATE, gain_db=0.0,
                  stems_folder=tmp_path / "s" if separate else None)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(3)  # imports and tables
    assert peak(60) < 1.05 * peak(15) + 100_000  # the meter keeps ten numbers a second
