"""Synthesis parameters as files: lossless, lazily read, written whole, and safe to open."""

from __future__ import annotations

import json
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import strategies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mididdsp.synthesis.document import SynthFile, SynthFileError, SynthWriter, load_synth, open_synth, save_synth
from mididdsp.synthesis.types import Segment, SynthParams

ARRAYS = ("f0_hz", "amplitude_db", "harmonics", "noise_db")
EDGES = (50.0, 500.0, 5000.0, 20000.0)


def segment(name: str, frames: int = 10, partials: int = 4, **changes: Any) -> Segment:
    rng = np.random.default_rng(len(name) * 1000 + frames)
    values: dict[str, Any] = {
        "id": name, "note_ids": (name, f"{name}'"), "start_s": frames / 3.0,
        "f0_hz": np.full(frames, 440.0, np.float32), "amplitude_db": rng.uniform(-60, 0, frames).astype(np.float32),
        "harmonics": rng.uniform(0, 1, (frames, partials)).astype(np.float32),
        "noise_db": rng.uniform(-90, -30, (frames, 3)).astype(np.float32)}
    return Segment(**values | changes)


def params(*segments: Segment) -> SynthParams:
    return SynthParams(part="Vl. «1»\n", instrument="violin", segments=segments, noise_edges_hz=EDGES, seed=-3)


def assert_same(one: SynthParams | SynthFile, other: SynthParams | SynthFile) -> None:
    for name in ("part", "instrument", "noise_edges_hz", "frame_rate", "seed", "a4_hz", "skirts"):
        assert getattr(one, name) == getattr(other, name)
    ones, others = list(one), list(other)
    assert len(ones) == len(others)
    for a, b in zip(ones, others):
        assert (a.id, a.note_ids, a.start_s) == (b.id, b.note_ids, b.start_s)
        for name in ARRAYS:  # to the bit: minus zero and tiny numbers too
            assert getattr(a, name).dtype == np.float32
            assert getattr(a, name).tobytes() == getattr(b, name).tobytes()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_synth(tmp_path / "a.synth.npz", params(segment("ä", 3), segment("bb", 200), segment("ccc", 1)))
    return tmp_path / "a.synth.npz"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=strategies.synth_params())
def test_any_parameters_round_trip(value: SynthParams, tmp_path: Path) -> None:
    save_synth(tmp_path / "a.synth.npz", value)
    assert_same(load_synth(tmp_path / "a.synth.npz"), value)
    lazy = open_synth(tmp_path / "a.synth.npz")
    assert_same(lazy, value)
    assert len(lazy) == len(value.segments)


def test_silence_and_odd_floats_survive(tmp_path: Path) -> None:
    odd = segment("s", 2, amplitude_db=np.array([-np.inf, -0.0], np.float32), f0_hz=np.array([1e-38, 3e38], np.float32))
    save_synth(tmp_path / "a.synth.npz", params(odd))
    assert_same(load_synth(tmp_path / "a.synth.npz"), params(odd))


def test_the_same_parameters_give_the_same_bytes(tmp_path: Path, saved: Path) -> None:
    save_synth(tmp_path / "b.synth.npz", open_synth(saved))
    assert (tmp_path / "b.synth.npz").read_bytes() == saved.read_bytes()


def test_numpy_opens_it(saved: Path) -> None:
    with np.load(saved, allow_pickle=False) as arrays:
        assert json.loads(str(arrays["header"]))["part"] == "Vl. «1»\n"
        assert arrays["harmonics"].shape == (204, 4)
        assert arrays["segment_frames"].tolist() == [3, 200, 1]
        assert arrays["segment_start_s"].tolist() == [1.0, 200 / 3, 1 / 3]
        assert arrays["note_ids"].tolist() == ["ä", "ä'", "bb", "bb'", "ccc", "ccc'"]


def test_a_file_saved_again_by_numpy_reads(saved: Path, tmp_path: Path) -> None:
    with np.load(saved) as arrays:
        np.savez_compressed(tmp_path / "b.npz", **{name: arrays[name] for name in arrays.files})
    assert_same(open_synth(tmp_path / "b.npz"), open_synth(saved))


def test_read_arrays_can_be_written_to(saved: Path) -> None:
    assert all(getattr(found, name).flags.writeable for found in load_synth(saved).segments for name in ARRAYS)


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    one = segment("s", 500, partials=100)
    size = sum(getattr(one, name).nbytes for name in ARRAYS)
    tracemalloc.start()
    with SynthWriter(tmp_path / "a.synth.npz", part="p", instrument="violin", noise_edges_hz=EDGES) as writer:
        for _ in range(100):
            writer.write(one)
    for _ in open_synth(tmp_path / "a.synth.npz"):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "a.synth.npz").stat().st_size > 100 * size
    assert peak < 12 * size + 4e6  # a few copies of one segment, and copying through a 1 MB buffer


def test_nothing_is_left_when_writing_fails(tmp_path: Path, saved: Path) -> None:
    before = saved.read_bytes()

    def failing() -> None:
        with SynthWriter(saved, part="p", instrument="violin", noise_edges_hz=EDGES) as writer:
            writer.write(segment("s"))
            raise RuntimeError("the generator failed")

    with pytest.raises(RuntimeError, match="generator"):
        failing()
    assert saved.read_bytes() == before
    assert list(tmp_path.iterdir()) == [saved]


@pytest.mark.parametrize(("segments", "sentence"), [
    ((segment("a"), segment("b", partials=5)), "segment b has 5 partials, the ones before it 4; give every segment"),
    ((segment("a", noise_db=np.zeros((10, 2), np.float32)),), "segment a has 2 noise bands, the edges give 3"),
    ((segment("a", harmonics=np.zeros((10, 4))),), "segment a: harmonics is float64; give float32"),
    ((segment("a", harmonics=np.full((10, 4), np.nan, np.float32)),), "harmonics holds a value below 0 or not finite"),
    ((segment("a", amplitude_db=np.full(10, np.nan, np.float32)),), "amplitude_db holds a value that is no level"),
    ((segment("a", start_s=float("inf")),), "segment a starts at inf s; give a finite time"),
    ((segment("a\0"),), "holds a zero character"),
])
def test_what_cannot_be_played_is_not_written(tmp_path: Path, segments: tuple[Segment, ...], sentence: str) -> None:
    with pytest.raises(SynthFileError, match=re.escape(sentence)):
        save_synth(tmp_path / "a.synth.npz", params(*segments))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("edges", [(), (1.0,), (2.0, 1.0), (0.0, float("nan"))])
def test_noise_edges_must_increase(tmp_path: Path, edges: tuple[float, ...]) -> None:
    with pytest.raises(SynthFileError, match="edges of its noise bands"):
        save_synth(tmp_path / "a.synth.npz", replace(params(), noise_edges_hz=edges))


def resaved(source: Path, target: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    with np.load(source) as arrays:
        values = {name: arrays[name] for name in arrays.files}
    change(values)
    np.savez(target, **values)
    return target


def header(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        values["header"] = np.array(json.dumps(json.loads(str(values["header"])) | changes))
    return change


def test_older_files_sound_as_they_did(tmp_path: Path) -> None:
    """Files from before phases turned do not say whether they do."""
    save_synth(tmp_path / "a.synth.npz", replace(params(segment("ä", 3)), skirts=True))
    assert open_synth(tmp_path / "a.synth.npz").skirts

    def older(values: dict[str, Any]) -> None:
        told = json.loads(str(values["header"]))
        del told["skirts"]
        values["header"] = np.array(json.dumps(told))

    assert not open_synth(resaved(tmp_path / "a.synth.npz", tmp_path / "b.npz", older)).skirts


@pytest.mark.parametrize(("change", "sentence"), [
    (header(version=2), "it is of version 2 and this mididdsp reads up to version 1; update mididdsp"),
    (header(format="x"), "this is not a file of synthesis parameters; give one"),
    (header(seed="1"), "its seed is '1', not a whole number; render the performance again"),
    (header(frame_rate=0.0), "its frame rate is 0.0"),
    (header(skirts="yes"), "its skirts is 'yes', not true or false"),
    (header(part=None), "names no part"),
    (lambda values: values.pop("noise_db"), "There is no item named 'noise_db.npy'"),
    (lambda values: values.update(segment_frames=np.array([3, 201, 1])), "does not fit 205 frames"),
    (lambda values: values.update(segment_frames=np.array([3, 201, 0])), "a segment has no frames"),
    (lambda values: values.update(segment_notes=np.array([2, 2, 1])), "its table of notes does not fit"),
    (lambda values: values.update(segment_start_s=np.zeros(2)), "the tables of its segments differ in length"),
    (lambda values: values.update(segment_start_s=np.full(3, np.nan)), "a segment starts at a time that is not"),
    (lambda values: values.update(f0_hz=values["f0_hz"].astype(float)), "an array is float64, it must be float32"),
    (lambda values: values.update(harmonics=np.asfortranarray(values["harmonics"])), "in Fortran order"),
    (lambda values: values.update(segment_ids=np.array([1, 2, 3])), "an array is int64, it must be"),
])
def test_damage_is_told_when_opening(saved: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None],
                                     sentence: str) -> None:
    path = resaved(saved, tmp_path / "b.npz", change)
    with pytest.raises(SynthFileError, match=re.escape(sentence)) as caught:
        open_synth(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_damage_is_told_when_reading(saved: Path, tmp_path: Path) -> None:
    def change(values: dict[str, Any]) -> None:
        values["f0_hz"][50] = -1.0

    path = resaved(saved, tmp_path / "b.npz", change)
    segments = iter(open_synth(path))
    next(segments)
    with pytest.raises(SynthFileError, match=r"segment 2 of 3 is damaged .*; render the performance again"):
        next(segments)


def test_pickles_are_refused(saved: Path, tmp_path: Path) -> None:
    path = resaved(saved, tmp_path / "b.npz", lambda values: values.update(header=np.array({"a": 1}, dtype=object)))
    with pytest.raises(SynthFileError, match="an array is object"):
        open_synth(path)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_synth(tmp_path / "none.synth.npz")


def test_another_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(SynthFileError, match="header"):
        open_synth(tmp_path / "a.npz")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_flipped_and_missing_bytes_load_or_are_refused(saved: Path, tmp_path: Path, draw: st.DataObject) -> None:
    data = bytearray(saved.read_bytes())
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    data = data[:draw.draw(st.sampled_from((len(data), draw.draw(st.integers(0, len(data))))))]
    path = tmp_path / "damaged.npz"
    path.write_bytes(data)
    with suppress(SynthFileError):  # and no other error
        load_synth(path)
