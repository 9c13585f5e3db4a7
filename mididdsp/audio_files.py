"""Audio files in and out.

Conventions: audio is float32 [channels, N], full scale 1.0; the suffix of a name chooses the form: ``.wav`` (24-bit, or
32-bit float by option; RF64 beyond 4 GB), ``.flac`` (24-bit), ``.ogg`` (Vorbis) and ``.opus``. A 24-bit sample is the
nearest step of 2**-23, ties to even, without dither, and what is beyond full scale is held there; 24-bit files read
back exactly. Files are written whole or not at all, and the same audio gives the same bytes: libsndfile puts the time
of day into float WAV and a random number into Ogg, so WAV is written here and the number is replaced.
"""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mididdsp.files import atomic_path

Float32 = NDArray[np.float32]

SUFFIXES = (".wav", ".flac", ".ogg", ".opus")
"""Of the files that can be written; reading knows whatever libsndfile does."""

OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
"""The only sample rates Opus has, Hz."""

_RIFF_LIMIT = 2**32 - 1
_STEPS = 2**23  # of a 24-bit sample, from 0 to full scale
_BLOCK = 1 << 16  # samples encoded at once: these stay in cache; libsndfile's Vorbis overflows the stack on very many


class AudioFileError(ValueError):
    """An audio file that cannot be read or written; the message is one sentence."""


def read_audio(path: str | os.PathLike[str]) -> tuple[Float32, int]:
    """Read a whole audio file.

    Args:
        path: of a file that libsndfile knows: WAV, FLAC, OGG, OPUS, MP3, AIFF and more.

    Returns:
        The audio, float32 [channels, N], and its sample rate in Hz.

    Raises:
        AudioFileError: there is no such file, or it is not audio, damaged or empty.
    """
    import soundfile

    name = os.fspath(path)
    if not os.path.exists(name):
        raise AudioFileError(f"{name}: there is no such file; check the path")
    if os.path.isdir(name):
        raise AudioFileError(f"{name} is a folder; name an audio file")
    try:
        samples, sample_rate = soundfile.read(name, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, ValueError, MemoryError) as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise AudioFileError(f"{name} cannot be read as audio ({reason}); "
                             "give a WAV, FLAC, OGG or OPUS file") from error
    if not len(samples):
        raise AudioFileError(f"{name} holds no samples; give a file with sound")
    if not np.isfinite(samples).all():
        raise AudioFileError(f"{name} holds samples that are not numbers; export it again")
    return np.ascontiguousarray(samples.T), int(sample_rate)


def to_24_bit(audio: Float32) -> NDArray[np.int32]:
    """The nearest 24-bit steps: integers from -2**23 to 2**23 - 1, ties to even; scaling and rounding are exact."""
    steps: NDArray[np.float32] = np.rint(audio * np.float32(_STEPS))
    return np.clip(steps, -_STEPS, _STEPS - 1).astype(np.int32)


def check_output(path: str | os.PathLike[str], sample_rate: int, *, float32: bool = False) -> None:
    """Refuse, before any work, a name or form that audio cannot be written in.

    Raises:
        AudioFileError: the suffix is not one of ``SUFFIXES``, 32-bit float is asked of another form than WAV, or the
            form does not have the sample rate.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise AudioFileError(f"{os.fspath(path)}: {suffix or 'a name without suffix'} is no form audio is written in; "
                             f"end the name in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    if float32 and suffix != ".wav":
        raise AudioFileError(f"{os.fspath(path)}: only WAV holds 32-bit float; end the name in .wav")
    if suffix == ".opus" and sample_rate not in OPUS_RATES:
        raise AudioFileError(f"{os.fspath(path)}: Opus has no sample rate of {sample_rate} Hz; "
                             f"take one of {', '.join(str(rate) for rate in OPUS_RATES)} or another form")
    if not 1 <= sample_rate <= 384_000:
        raise AudioFileError(f"{os.fspath(path)}: a sample rate of {sample_rate} Hz cannot be written; take 48000")


class AudioWriter:
    """Writes audio block by block: ``with AudioWriter("out.wav", 48000) as writer: writer.write(block)``.

    The file appears, whole, when the block ends well; when it raises, nothing is left.

    Args:
        path: its suffix chooses the form, one of ``SUFFIXES``.
        sample_rate: Hz.
        channels: 1 or more.
        float32: 32-bit float instead of 24-bit steps; WAV only.

    Raises:
        AudioFileError: as ``check_output``; or the audio cannot be encoded.
        OSError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate: int, *, channels: int = 2,
                 float32: bool = False) -> None:
        check_output(path, sample_rate, float32=float32)
        self.path = Path(path)
        self.sample_rate = sample_rate
        self.channels = channels
        self._float32 = float32
        self._stack = ExitStack()
        self._sink: _Sink | None = None
        self._frames = 0

    def __enter__(self) -> AudioWriter:
        with ExitStack() as stack:
            partial = stack.enter_context(atomic_path(self.path))
            if self.path.suffix.lower() == ".wav":
                self._sink = _WavSink(partial, self.sample_rate, self.channels, self._float32)
            else:
                self._sink = _LibrarySink(partial, self.path, self.sample_rate, self.channels)
            stack.push(self._close_sink)
            self._stack = stack.pop_all()
        return self

    def write(self, block: Float32) -> None:
        """Append audio, float32 [channels, n] (or [n] in a file of one channel)."""
        block = np.atleast_2d(block)
        if block.ndim != 2 or len(block) != self.channels:
            raise ValueError(f"{self.path}: a block has shape {block.shape}, the file has {self.channels} channels; "
                             "give blocks of [channels, samples]")
        if self._sink is None:
            raise ValueError(f"{self.path} is not open; write within the with block")
        self._sink.write(block)
        self._frames += block.shape[1]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, trace)
        self._sink = None

    def _close_sink(self, kind: type[BaseException] | None, error: BaseException | None,
                    trace: TracebackType | None) -> None:
        if self._sink is not None:
            self._sink.close()
        if kind is None and not self._frames and self.path.suffix.lower() != ".wav":
            raise AudioFileError(f"{self.path}: there is no audio to write, and only WAV can be empty; "
                                 "end the name in .wav")


def write_audio(path: str | os.PathLike[str], audio: Float32, sample_rate: int, *, float32: bool = False) -> None:
    """Write float32 [channels, N] (or [N]) as a file; see ``AudioWriter``."""
    audio = np.atleast_2d(audio)
    with AudioWriter(path, sample_rate, channels=len(audio), float32=float32) as writer:
        writer.write(audio)


class _Sink(Protocol):
    def write(self, block: Float32) -> None: ...
    def close(self) -> None: ...


class _WavSink:
    """RIFF WAVE with room in its head for the 64-bit sizes that make it RF64 when it grows beyond 4 GB.

    Source: EBU Tech 3306, the JUNK chunk that becomes ds64.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int, float32: bool) -> None:
        self._file: IO[bytes] = open(path, "wb")  # noqa: SIM115  # closed by close()
        self._rate, self._channels, self._float32 = sample_rate, channels, float32
        self._width = 4 if float32 else 3
        self._bytes = 0
        self._file.write(self._head())

    def _head(self) -> bytes:
        frame = self._channels * self._width
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3 if self._float32 else 1, self._channels, self._rate,
                           self._rate * frame, frame, 8 * self._width)
        frames = self._bytes // frame
        if self._float32:
            form += struct.pack("<4sII", b"fact", 4, min(frames, _RIFF_LIMIT))
        size = 4 + 36 + len(form) + 8 + self._bytes + self._bytes % 2
        if size <= _RIFF_LIMIT:
            return (struct.pack("<4sI4s4sI28x", b"RIFF", size, b"WAVE", b"JUNK", 28) + form
                    + struct.pack("<4sI", b"data", self._bytes))
        return (struct.pack("<4sI4s4sIQQQI", b"RF64", 2**32 - 1, b"WAVE", b"ds64", 28, size, self._bytes, frames, 0)
                + form + struct.pack("<4sI", b"data", 2**32 - 1))

    def write(self, block: Float32) -> None:
        for start in range(0, block.shape[1], _BLOCK):
            samples = np.ascontiguousarray(block[:, start:start + _BLOCK].T)
            data = samples.astype("<f4", copy=False) if self._float32 else _three_bytes(to_24_bit(samples))
            self._file.write(data.data)
            self._bytes += data.nbytes

    def close(self) -> None:
        with self._file:
            if self._bytes % 2:
                self._file.write(b"\0")
            self._file.seek(0)
            self._file.write(self._head())


def _three_bytes(steps: NDArray[np.int32]) -> NDArray[np.uint8]:
    """The lower three bytes of each integer, lowest first."""
    four = steps.astype("<i4", copy=False).reshape(-1).view(np.uint8).reshape(-1, 4)
    three = np.empty((len(four), 3), np.uint8)
    for byte in range(3):  # column by column: twice as fast as one slice
        three[:, byte] = four[:, byte]
    return three


class _LibrarySink:
    """FLAC, Vorbis and Opus by libsndfile."""

    def __init__(self, path: Path, target: Path, sample_rate: int, channels: int) -> None:
        import soundfile

        suffix = target.suffix.lower()
        form, subtype = {".flac": ("FLAC", "PCM_24"), ".ogg": ("OGG", "VORBIS"), ".opus": ("OGG", "OPUS")}[suffix]
        self._path, self._integers = path, subtype == "PCM_24"
        try:
            self._file: Any = soundfile.SoundFile(path, "w", sample_rate, channels, subtype=subtype, format=form)
        except (soundfile.SoundFileError, ValueError, TypeError) as error:
            raise AudioFileError(f"{target}: {form} cannot hold {channels} channels at {sample_rate} Hz; "
                                 "choose another rate or write WAV") from error

    def write(self, block: Float32) -> None:
        for start in range(0, block.shape[1], _BLOCK):
            samples = block[:, start:start + _BLOCK].T
            # libsndfile takes the upper 24 bits of an int32: shifted up, the steps pass untouched.
            self._file.write(to_24_bit(samples) << 8 if self._integers else np.clip(samples, -1.0, 1.0))

    def close(self) -> None:
        self._file.close()
        if not self._integers:
            _set_ogg_serial(self._path)


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _ogg_checksum(page: bytes) -> int:
    """The CRC of an Ogg page (polynomial 0x04C11DB7, most significant bit first, from 0): zlib's, mirrored."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _set_ogg_serial(path: Path) -> None:
    """Give the one stream of an Ogg file the serial number 1 in place of a random one.

    Source: RFC 3533, section 6: a page is 27 bytes, a table of segment lengths, and the segments.
    """
    with open(path, "r+b") as file:
        position = 0
        while len(head := file.read(27)) == 27:
            table = file.read(head[26])
            page = bytearray(head + table + file.read(sum(table)))
            page[14:18] = (1).to_bytes(4, "little")
            page[22:26] = bytes(4)
            page[22:26] = _ogg_checksum(bytes(page)).to_bytes(4, "little")
            file.seek(position)
            file.write(page)
            position += len(page)
            file.seek(position)
