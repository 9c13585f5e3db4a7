"""Recordings of any length, read in pieces: mono, at the rate that is asked for.

Conventions: channels are averaged; audio is float32 [N], full scale 1.0. A constant offset of a channel is taken away,
and a channel that holds the others upside down is turned round, both told from the first half minute. A piece may reach
beyond the recording, where it is silent. What is read does not depend on how it is cut: the resampler runs through.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mididdsp.audio_files import AudioFileError

Float32 = NDArray[np.float32]

SHORTEST_S = 0.05
"""Shorter recordings hold no note."""

_BLOCK_S = 2.0
_OPENING_S = 30.0
_OFFSET_SHARE = 0.1  # of the RMS: sound itself has no mean to speak of
_OPPOSED = -0.8  # correlation with the first channel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """A recording that can be read from its start any number of times.

    Attributes:
        name: for messages; the path of a file.
        sample_rate: its own, Hz.
        samples: how many it has, at its own rate.
        channels: how many it has.
        audio: float32 [channels, N] where it is in memory, None for a file.
    """

    name: str
    sample_rate: int
    samples: int
    channels: int
    audio: Float32 | None = None

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.samples / self.sample_rate

    def blocks(self, sample_rate: int) -> Iterator[Float32]:
        """Consecutive mono blocks at another rate, float32 [n].

        Raises:
            AudioFileError: it is damaged, or holds samples that are not numbers.
        """
        blocks = self._own_blocks()
        if sample_rate == self.sample_rate:
            yield from blocks
            return
        import soxr

        stream = soxr.ResampleStream(self.sample_rate, sample_rate, 1, dtype="float32", quality="HQ")
        for block in blocks:
            yield stream.resample_chunk(block)
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)

    def _own_blocks(self) -> Iterator[Float32]:
        size = int(_BLOCK_S * self.sample_rate)
        offset, sign = self._channels()
        plain = not offset.any() and (sign > 0).all()
        done = 0
        for block in self._raw_blocks(size):
            mono = (block if plain else (block - offset) * sign).mean(axis=1, dtype=np.float32)
            wrong = np.flatnonzero(~np.isfinite(mono))
            if len(wrong):
                raise AudioFileError(f"{self.name} holds samples that are not numbers, the first at "
                                     f"{(done + int(wrong[0])) / self.sample_rate:.2f} s; export it again")
            done += len(mono)
            yield mono

    def _channels(self) -> tuple[Float32, Float32]:
        """(offset to be taken away, sign to be given) of each channel; [channels]."""
        offset, covariance = opening(self._raw_blocks(int(_BLOCK_S * self.sample_rate)), self.sample_rate)
        rms = np.sqrt(covariance.diagonal())
        opposed = covariance[0] < _OPPOSED * rms[0] * rms
        return offset, np.where(opposed, -1.0, 1.0).astype(np.float32)

    def _raw_blocks(self, size: int) -> Iterator[Float32]:
        """Blocks [n, channels]."""
        if self.audio is not None:
            for start in range(0, self.samples, size):
                yield self.audio[:, start : start + size].T
            return
        import soundfile

        try:
            with soundfile.SoundFile(self.name) as file:
                while len(block := file.read(size, dtype="float32", always_2d=True)):
                    yield block
        except (soundfile.SoundFileError, OSError) as error:
            reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
            raise AudioFileError(f"{self.name} cannot be read to its end ({reason}); export it again") from error


def opening(blocks: Iterable[Float32], sample_rate: int) -> tuple[Float32, NDArray[np.float64]]:
    """What the first half minute of a recording tells of its channels.

    Args:
        blocks: from its beginning on, [n, channels]; no more are taken than are needed.
        sample_rate: Hz.

    Returns:
        (constant offset of each channel, 0 where it is no more than sound has by chance; [channels], and how the
        channels vary together around it; [channels, channels]).
    """
    count, total, products = 0, np.zeros(1), np.zeros((1, 1))
    for block in blocks:
        finite = np.nan_to_num(block.astype(np.float64), posinf=0.0, neginf=0.0)
        count, total, products = count + len(block), total + finite.sum(axis=0), products + finite.T @ finite
        if count >= _OPENING_S * sample_rate:
            break
    mean = total / max(count, 1)
    covariance = products / max(count, 1) - np.outer(mean, mean)
    np.fill_diagonal(covariance, np.maximum(covariance.diagonal(), 0.0))
    offset = np.where(np.abs(mean) > _OFFSET_SHARE * np.sqrt(covariance.diagonal()), mean, 0.0)
    return offset.astype(np.float32), covariance


def open_recording(path: str | os.PathLike[str]) -> Recording:
    """A recording in a file.

    Args:
        path: of a file that libsndfile knows: WAV, FLAC, OGG, OPUS, MP3, AIFF and more.

    Raises:
        AudioFileError: there is no such file, it is no audio, or it is too short to hold a note.
    """
    import soundfile

    name = os.fspath(path)
    if not os.path.exists(name):
        raise AudioFileError(f"{name}: there is no such file; check the path")
    if os.path.isdir(name):
        raise AudioFileError(f"{name} is a folder; name an audio file")
    try:
        info = soundfile.info(name)
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise AudioFileError(f"{name} cannot be read as audio ({reason}); give a WAV, FLAC, OGG, OPUS or MP3 "
                             "file") from error
    return _long_enough(Recording(name=name, sample_rate=int(info.samplerate), samples=int(info.frames),
                                  channels=int(info.channels)))


def recording_of(audio: Float32, sample_rate: int, *, name: str = "the recording") -> Recording:
    """A recording in memory.

    Args:
        audio: [N] or [channels, N].
        sample_rate: Hz.
        name: for messages.

    Raises:
        AudioFileError: it is too short to hold a note.
        ValueError: the shape is not one of audio.
    """
    audio = np.atleast_2d(np.asarray(audio, dtype=np.float32))
    if audio.ndim != 2:
        raise ValueError(f"{name} has shape {audio.shape}; give [samples] or [channels, samples]")
    return _long_enough(Recording(name=name, sample_rate=sample_rate, samples=audio.shape[1], channels=len(audio),
                                  audio=audio))


def _long_enough(recording: Recording) -> Recording:
    if recording.seconds < SHORTEST_S:
        raise AudioFileError(f"{recording.name} is {recording.samples} samples long "
                             f"({recording.seconds * 1e3:.2g} ms); give a recording of at least "
                             f"{SHORTEST_S * 1e3:.0f} ms")
    return recording


class Window:
    """Reads stretches of a recording that move forward, and holds no more than they need.

    Args:
        recording: what to read.
        sample_rate: at which, Hz.
    """

    def __init__(self, recording: Recording, sample_rate: int) -> None:
        self._blocks = recording.blocks(sample_rate)
        self._held = np.zeros(0, np.float32)
        self._first = 0
        self._ended = False

    def read(self, first: int, last: int) -> Float32:
        """Samples [first, last), zeros where the recording has none.

        Raises:
            ValueError: samples that were let go: stretches must not begin before the one read last.
        """
        if max(first, 0) < self._first:
            raise ValueError(f"sample {first} was let go; the window begins at {self._first} and only moves forward")
        while not self._ended and self._first + len(self._held) < last:
            block = next(self._blocks, None)
            if block is None:
                self._ended = True
            else:
                self._held = np.concatenate([self._held, block])
        drop = min(max(first - self._first, 0), len(self._held))
        if drop:
            self._held = self._held[drop:].copy()
            self._first += drop
        inside = self._held[: max(0, last - self._first)]
        front = min(max(self._first - first, 0), last - first)
        found = np.concatenate([np.zeros(front, np.float32), inside])
        return np.pad(found, (0, last - first - len(found)))

    @property
    def end(self) -> int | None:
        """Samples in all, once the last was read; None before."""
        return self._first + len(self._held) if self._ended else None
