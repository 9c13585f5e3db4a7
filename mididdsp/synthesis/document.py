"""Synthesis parameters of a part as a file: ``*.synth.npz``, which NumPy opens.

Conventions: the frames of all segments stand one after the other in ``f0_hz`` and ``amplitude_db`` [N],
``harmonics`` [N, H] and ``noise_db`` [N, B], float32 without loss. ``segment_frames`` and ``segment_start_s`` (float64)
[S] cut them into segments, ``segment_ids`` [S] names these, ``segment_notes`` [S] counts the notes of each and
``note_ids`` lists them. ``header`` is a JSON text: format, version, part, instrument, frame_rate, noise_edges_hz, seed,
a4_hz, skirts. Nothing is pickled. The same parameters give the same bytes.

Writing and reading go segment by segment, so that memory does not grow with the length of the part.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.files import atomic_path, spool
from mididdsp.synthesis.types import Float32, Segment, SynthParams
from mididdsp.units import FRAME_RATE

FORMAT = "mididdsp.synth"
VERSION = 1

_FRAME_ARRAYS = ("f0_hz", "amplitude_db", "harmonics", "noise_db")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold: files written at different times are equal


class SynthFileError(ValueError):
    """Synthesis parameters that cannot be read or written; the message is one sentence that names the place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthFile:
    """The parameters of a part in a file: a ``SynthParams`` whose segments are read when they are asked for.

    Every iteration reads the file anew and holds one segment at a time.

    Attributes:
        path: of the file.
        part: name of the part.
        instrument: a name from the table in ``mididdsp.instruments``.
        noise_edges_hz: edges of the noise bands, increasing; B + 1 values.
        frame_rate: frames per second.
        seed: of the noise.
        a4_hz: what A4 was tuned to when they were made.
        skirts: as in ``SynthParams``.
        segment_ids: one for each segment, in the order of the file.
        segment_start_s: time of each segment's first frame, s.
        segment_frames: frames in each.
        segment_note_ids: the notes in each.
    """

    path: Path
    part: str
    instrument: str
    noise_edges_hz: tuple[float, ...]
    frame_rate: float
    seed: int
    a4_hz: float
    skirts: bool
    segment_ids: tuple[str, ...]
    segment_start_s: tuple[float, ...]
    segment_frames: tuple[int, ...]
    segment_note_ids: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.segment_ids)

    def __iter__(self) -> Iterator[Segment]:
        """The segments in order.

        Raises:
            SynthFileError: the frames of a segment are damaged.
        """
        with ExitStack() as stack:
            try:
                archive = stack.enter_context(zipfile.ZipFile(self.path))
                streams = {name: stack.enter_context(archive.open(f"{name}.npy")) for name in _FRAME_ARRAYS}
                shapes = {name: _read_array_header(stream, np.dtype("<f4")) for name, stream in streams.items()}
            except _DAMAGE as error:
                raise SynthFileError(f"{self.path}: {_said(error)}; render the performance again") from error
            for index, segment_id in enumerate(self.segment_ids):
                try:
                    arrays = {name: _read_frames(streams[name], self.segment_frames[index], shapes[name][1:])
                              for name in _FRAME_ARRAYS}
                    segment = Segment(id=segment_id, note_ids=self.segment_note_ids[index],
                                      start_s=self.segment_start_s[index], **arrays)
                    _check_segment(segment)
                except _DAMAGE as error:
                    raise SynthFileError(f"{self.path}: segment {index + 1} of {len(self.segment_ids)} is damaged "
                                         f"({_said(error)}); render the performance again") from error
                yield segment


class SynthWriter:
    """Writes segments to a file as they come: ``with SynthWriter(path, ...) as writer: writer.write(segment)``.

    The file appears when the block ends well, and not at all when it raises. The arrays are gathered in unnamed
    temporary files beside it, so memory stays flat; for a moment the folder holds the data twice.

    Args:
        path: of the file, by custom ``NAME.synth.npz``.
        part, instrument, noise_edges_hz, frame_rate, seed, a4_hz, skirts: as in ``SynthParams``.

    Raises:
        SynthFileError: a segment does not fit the ones before it or holds what no renderer can play.
        OSError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, part: str, instrument: str,
                 noise_edges_hz: tuple[float, ...], frame_rate: float = FRAME_RATE, seed: int = 0,
                 a4_hz: float = 440.0, skirts: bool = False) -> None:
        self._path = Path(path)
        self._header = {"format": FORMAT, "version": VERSION, "part": part, "instrument": instrument,
                        "frame_rate": float(frame_rate), "noise_edges_hz": [float(edge) for edge in noise_edges_hz],
                        "seed": int(seed), "a4_hz": float(a4_hz), "skirts": bool(skirts)}
        self._bands = max(len(noise_edges_hz) - 1, 0)
        self._partials: int | None = None
        self._ids: list[str] = []
        self._notes: list[tuple[str, ...]] = []
        self._starts: list[float] = []
        self._frames: list[int] = []
        self._stack = ExitStack()
        self._spools: dict[str, IO[bytes]] = {}

    def __enter__(self) -> SynthWriter:
        _parse_header(json.dumps(self._header))
        self._stack.__enter__()
        self._target = self._stack.enter_context(atomic_path(self._path))
        self._spools = {name: self._stack.enter_context(spool(self._path.parent))
                        for name in _FRAME_ARRAYS}
        return self

    def write(self, segment: Segment) -> None:
        """Append a segment."""
        _check_segment(segment)
        if self._partials is None:
            self._partials = segment.harmonics.shape[1]
        if segment.harmonics.shape[1] != self._partials:
            raise SynthFileError(f"segment {segment.id} has {segment.harmonics.shape[1]} partials, the ones before it "
                                 f"{self._partials}; give every segment of a part the same number")
        if segment.noise_db.shape[1] != self._bands:
            raise SynthFileError(f"segment {segment.id} has {segment.noise_db.shape[1]} noise bands, the edges give "
                                 f"{self._bands}; give one band between every two edges")
        for name in _FRAME_ARRAYS:
            array = getattr(segment, name)
            if array.dtype != np.float32:
                raise SynthFileError(f"segment {segment.id}: {name} is {array.dtype}; give float32")
            self._spools[name].write(np.ascontiguousarray(array, dtype="<f4").data)
        self._ids.append(segment.id)
        self._notes.append(tuple(segment.note_ids))
        self._starts.append(float(segment.start_s))
        self._frames.append(segment.frames)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if kind is not None:
            self._stack.__exit__(kind, error, trace)
            return
        with self._stack:
            self._finish()

    def _finish(self) -> None:
        frames, partials = sum(self._frames), self._partials or 0
        shapes = {"f0_hz": (frames,), "amplitude_db": (frames,), "harmonics": (frames, partials),
                  "noise_db": (frames, self._bands)}
        with zipfile.ZipFile(self._target, "w", zipfile.ZIP_STORED) as archive:
            small = {
                "header": np.array(json.dumps(self._header, ensure_ascii=False)),
                "segment_ids": _texts(self._ids),
                "segment_start_s": np.array(self._starts, "<f8"),
                "segment_frames": np.array(self._frames, "<i8"),
                "segment_notes": np.array([len(notes) for notes in self._notes], "<i8"),
                "note_ids": _texts([note for notes in self._notes for note in notes]),
            }
            for name, array in small.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w") as entry:
                    np.lib.format.write_array(entry, array, allow_pickle=False)
            for name, shape in shapes.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=True) as entry:
                    np.lib.format.write_array_header_1_0(
                        entry, {"descr": "<f4", "fortran_order": False, "shape": shape})
                    self._spools[name].seek(0)
                    shutil.copyfileobj(self._spools[name], entry, 1 << 20)


def save_synth(path: str | os.PathLike[str], params: SynthParams | SynthFile) -> None:
    """Write the parameters of a part, whole or not at all.

    Args:
        path: of the file, by custom ``NAME.synth.npz``.
        params: of the part; every segment with the same number of partials.

    Raises:
        SynthFileError: the parameters hold what the file cannot, or no renderer can play.
        OSError: the file cannot be written.
    """
    with SynthWriter(path, part=params.part, instrument=params.instrument, noise_edges_hz=params.noise_edges_hz,
                     frame_rate=params.frame_rate, seed=params.seed, a4_hz=params.a4_hz,
                     skirts=params.skirts) as writer:
        for segment in params:
            writer.write(segment)


def open_synth(path: str | os.PathLike[str]) -> SynthFile:
    """Open the parameters of a part without reading their frames.

    Args:
        path: of a file that ``save_synth`` wrote.

    Raises:
        SynthFileError: the file is not such a file, is damaged or is of a newer version.
        OSError: the file cannot be opened.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            header = _parse_header(str(_read_small(archive, "header", "U", 0)))
            ids = _read_small(archive, "segment_ids", "U", 1)
            note_ids = _read_small(archive, "note_ids", "U", 1)
            starts = _read_small(archive, "segment_start_s", "<f8", 1)
            frames = _read_small(archive, "segment_frames", "<i8", 1)
            counts = _read_small(archive, "segment_notes", "<i8", 1)
            if not len(ids) == len(starts) == len(frames) == len(counts):
                raise SynthFileError("the tables of its segments differ in length")
            if (counts < 0).any() or int(counts.sum()) != len(note_ids):
                raise SynthFileError("its table of notes does not fit its segments")
            if not np.isfinite(starts).all():
                raise SynthFileError("a segment starts at a time that is not a number")
            _check_shapes(archive, frames, len(header["noise_edges_hz"]) - 1)
    except OSError:
        raise
    except _DAMAGE as error:
        text = _said(error)
        raise SynthFileError(f"{path}: {text}" + ("" if ";" in text else "; render the performance again")) from error
    ends = np.cumsum(counts)
    return SynthFile(
        path=path, part=header["part"], instrument=header["instrument"], frame_rate=header["frame_rate"],
        noise_edges_hz=tuple(header["noise_edges_hz"]), seed=header["seed"], a4_hz=header["a4_hz"],
        skirts=header["skirts"],
        segment_ids=tuple(ids.tolist()), segment_start_s=tuple(starts.tolist()), segment_frames=tuple(frames.tolist()),
        segment_note_ids=tuple(tuple(note_ids[end - count:end].tolist()) for count, end in zip(counts, ends)),
    )


def load_synth(path: str | os.PathLike[str]) -> SynthParams:
    """Read the parameters of a part into memory; ``open_synth`` reads them segment by segment.

    Raises:
        SynthFileError, OSError: as ``open_synth``.
    """
    file = open_synth(path)
    return SynthParams(part=file.part, instrument=file.instrument, segments=tuple(file),
                       noise_edges_hz=file.noise_edges_hz, frame_rate=file.frame_rate, seed=file.seed,
                       a4_hz=file.a4_hz, skirts=file.skirts)


_DAMAGE = (ValueError, KeyError, TypeError, SyntaxError, EOFError, OSError, struct.error, zlib.error, RuntimeError,
           MemoryError, OverflowError, zipfile.BadZipFile, UserWarning)
"""What zipfile and NumPy raise on damaged files."""


def _said(error: BaseException) -> str:
    """The first line of an error's message, without a final stop."""
    if isinstance(error, zipfile.BadZipFile):
        return "it is not a whole .npz file"
    if isinstance(error, MemoryError):
        return "it claims more data than fits in memory"
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    return (text.splitlines() or [type(error).__name__])[0].rstrip(".")


def _texts(texts: list[str]) -> NDArray[np.str_]:
    for text in texts:
        if "\0" in text:  # NumPy cuts zeros off the end of a text
            raise SynthFileError(f"the id {text!r} holds a zero character; give ids without it")
    return np.array(texts, dtype=str)


def _check_segment(segment: Segment) -> None:
    if not math.isfinite(segment.start_s):
        raise SynthFileError(f"segment {segment.id} starts at {segment.start_s} s; give a finite time")
    for name in ("amplitude_db", "noise_db"):  # minus infinity is silence
        if not (getattr(segment, name) < np.inf).all():
            raise SynthFileError(f"segment {segment.id}: {name} holds a value that is no level; give levels in dB")
    if not (np.isfinite(segment.harmonics).all() and (segment.harmonics >= 0).all()):
        raise SynthFileError(f"segment {segment.id}: harmonics holds a value below 0 or not finite; give shares from 0")


def _parse_header(text: str) -> dict[str, Any]:
    header = json.loads(text)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise SynthFileError("this is not a file of synthesis parameters; "
                             "give one that `mididdsp render --save-levels` wrote")
    version = header.get("version")
    if not isinstance(version, int) or version < 1:
        raise SynthFileError(f"its version is {version!r}, not a whole number from 1")
    if version > VERSION:
        raise SynthFileError(f"it is of version {version} and this mididdsp reads up to version {VERSION}; "
                             "update mididdsp")
    edges, rate = header.get("noise_edges_hz"), header.get("frame_rate")
    if not (isinstance(header.get("part"), str) and isinstance(header.get("instrument"), str)):
        raise SynthFileError("its header names no part or no instrument")
    if type(header.get("seed")) is not int:
        raise SynthFileError(f"its seed is {header.get('seed')!r}, not a whole number")
    tuning = header.setdefault("a4_hz", 440.0)  # the first files had no other
    if not (type(tuning) is float and 100.0 <= tuning <= 1_000.0):
        raise SynthFileError(f"its a4_hz is {tuning!r}, not a number from 100 to 1000")
    if type(header.setdefault("skirts", False)) is not bool:
        raise SynthFileError(f"its skirts is {header['skirts']!r}, not true or false")
    if not (type(rate) is float and 0 < rate < math.inf):
        raise SynthFileError(f"its frame rate is {rate!r}, not a number above 0")
    if not (isinstance(edges, list) and all(type(edge) is float and math.isfinite(edge) for edge in edges)
            and len(edges) >= 2 and all(low < high for low, high in zip(edges, edges[1:]))):
        raise SynthFileError("the edges of its noise bands are not at least two increasing numbers")
    return header


def _read_array_header(stream: IO[bytes], dtype: np.dtype[Any]) -> tuple[int, ...]:
    """The shape of the array at the head of ``stream``, which must be C-ordered and of ``dtype`` (of any width)."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, found = read(stream)
    if fortran or (found.kind != "U" if dtype.kind == "U" else found != dtype):
        raise SynthFileError(f"an array is {found}{' in Fortran order' if fortran else ''}, it must be {dtype}")
    return tuple(int(length) for length in shape)


def _read_small(archive: zipfile.ZipFile, name: str, kind: str, dimensions: int) -> NDArray[Any]:
    size = archive.getinfo(f"{name}.npy").file_size
    with archive.open(f"{name}.npy") as entry:
        shape = _read_array_header(entry, np.dtype(kind))
        body = entry.read()
    if len(shape) != dimensions or len(body) > size:
        raise SynthFileError(f"{name} has {len(shape)} dimensions, it must have {dimensions}")
    count = math.prod(shape)
    if kind != "U":
        return np.frombuffer(body, kind, count).reshape(shape)
    width = len(body) // (4 * count) if count else 0
    if width == 0:
        return np.full(shape, "")
    return np.frombuffer(body, f"<U{width}", count).reshape(shape)


def _check_shapes(archive: zipfile.ZipFile, frames: NDArray[np.int64], bands: int) -> None:
    if (frames < 1).any() or (frames > 2**40).any():
        raise SynthFileError("a segment has no frames")
    total = int(frames.sum())
    for name in _FRAME_ARRAYS:
        with archive.open(f"{name}.npy") as entry:
            shape = _read_array_header(entry, np.dtype("<f4"))
        legal = shape == (total,) if name in ("f0_hz", "amplitude_db") else len(shape) == 2 and shape[0] == total
        if not legal or (name == "noise_db" and shape[1] != bands):
            raise SynthFileError(f"{name} has shape {shape}, which does not fit {total} frames and {bands} noise bands")


def _read_frames(stream: IO[bytes], frames: int, row: tuple[int, ...]) -> Float32:
    size = 4 * frames * math.prod(row)
    data = stream.read(size)
    if len(data) != size:
        raise SynthFileError("its frames end too early")
    return np.frombuffer(data, "<f4").astype(np.float32).reshape(frames, *row)  # a copy, for it must be writable
