"""A render: parts to stems to a mix, block by block, into files, arrays or a stream.

Every part is a stream of its own (segments are synthesised, made sound and put in their room as their time comes), so
memory does not grow with the length of the piece, and parts are computed side by side by one worker per core.

Conventions: audio is float32 [2, samples]. Audio begins at ``start_s`` of the piece and, unless a tail is asked for,
ends when the rooms have died away. Saved levels hold what was synthesised, so that rendering them again with the same
choices gives the same bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

import numpy as np

from mididdsp.audio_files import check_output, write_audio
from mididdsp.expression.document import save_performance
from mididdsp.expression.types import Mix, PartMix, Performance
from mididdsp.files import safe_name
from mididdsp.instruments import instrument
from mididdsp.mix import (
    Mixdown,
    MixReport,
    Stem,
    estimate_gain_db,
    gain_factor,
    mix_parts,
    mixed,
    placed,
    room_response,
)
from mididdsp.parallel import computed_ahead, cpu_seconds, one_torch_thread
from mididdsp.report import PartReport, Report
from mididdsp.rooms import BLOCK, blocks_of
from mididdsp.sections import DESKS, by_desk, desk_of, desk_pans
from mididdsp.sources import PERFORMANCE_SUFFIX, SYNTH_SUFFIX
from mididdsp.synthesis.document import SynthFile, SynthWriter
from mididdsp.synthesis.render import render_stream
from mididdsp.synthesis.types import Float32, Segment, SynthParams
from mididdsp.units import FRAME_RATE, power_to_db

EXCERPT_FADE_S = 0.02
"""Fade of the dry sound where an excerpt ends inside it: too short to hear as a fade, too long to click."""

BLOCK_S = 1.5
"""Dry sound made at a time, s: about a block of the rooms, so that work comes evenly. No bit depends on it."""

Item = TypeVar("Item")

Progress = Callable[[float], None]
"""Takes the share of the work done, 0 to 1."""


class RenderError(ValueError):
    """A render cannot be done; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSource:
    """A part on its way to sound.

    Attributes:
        name: of the part.
        instrument: a name from the table in ``mididdsp.instruments``.
        notes: how many it has.
        voices: how many voices they need; None where only synthesis parameters are known.
        players: how many play it; more than one stand at several desks.
        end_s: where its last note ends, s.
        segments: called with the start and end (s, or None) of what is wanted, gives its segments by start time; more
            than is wanted does no harm.
        noise_edges_hz: of its segments.
        seed: of its noise.
        frame_rate: of its segments.
        a4_hz: what A4 is tuned to in its segments.
        skirts: as in ``SynthParams``.
        levels: called, gives (level in dB re full scale, onset, seconds) of each note: what the gain is estimated from.
    """

    name: str
    instrument: str
    notes: int
    voices: int | None
    end_s: float
    segments: Callable[[float, float | None], Iterable[Segment]]
    noise_edges_hz: tuple[float, ...]
    seed: int
    frame_rate: float = FRAME_RATE
    a4_hz: float = 440.0
    skirts: bool = False
    levels: Callable[[], Sequence[tuple[float, float, float]]]
    players: int = 1

    @classmethod
    def from_params(cls, params: SynthParams | SynthFile) -> PartSource:
        """A part of which only the synthesis parameters are known; its music ends with its last segment."""
        names: Iterable[str]
        if isinstance(params, SynthFile):
            names = params.segment_ids
            notes = {note for names in params.segment_note_ids for note in names}
            ends = [
                start + frames / params.frame_rate
                for start, frames in zip(params.segment_start_s, params.segment_frames)
            ]
        else:
            names = (segment.id for segment in params.segments)
            notes = {note for segment in params.segments for note in segment.note_ids}
            ends = [segment.start_s + segment.frames / params.frame_rate for segment in params.segments]
        return cls(
            name=params.part,
            instrument=params.instrument,
            notes=len(notes),
            voices=None,
            players=DESKS if any(desk_of(name) is not None for name in names) else 1,
            end_s=max(ends, default=0.0),
            segments=lambda start_s, end_s: params,
            noise_edges_hz=params.noise_edges_hz,
            seed=params.seed,
            frame_rate=params.frame_rate,
            a4_hz=params.a4_hz,
            skirts=params.skirts,
            levels=lambda: [_segment_level(segment, params.frame_rate) for segment in params],
        )

    def with_params(self, params: SynthParams | SynthFile) -> PartSource:
        """The same part, played from parameters that exist."""
        return replace(
            self,
            segments=lambda start_s, end_s: params,
            noise_edges_hz=params.noise_edges_hz,
            seed=params.seed,
            frame_rate=params.frame_rate,
            a4_hz=params.a4_hz,
            skirts=params.skirts,
            instrument=params.instrument,
        )

    def collect(self) -> SynthParams:
        """All segments of the part, in memory."""
        return SynthParams(
            part=self.name,
            instrument=self.instrument,
            segments=tuple(self.segments(0.0, None)),
            noise_edges_hz=self.noise_edges_hz,
            frame_rate=self.frame_rate,
            seed=self.seed,
            a4_hz=self.a4_hz,
            skirts=self.skirts,
        )


class Rendering:
    """A render of some parts, as ``Performer.render`` prepares it; the work is done when audio is asked for.

    Args:
        parts: at least one, with something to play.
        performance: what they come from, where it is known.
        mix: gain, and place of each part by name.
        name: of the piece, for the files of saved levels.
        room: for all parts instead of the mix's: ``none``, ``own`` or an audio file with an impulse response.
        sample_rate: Hz.
        start_s: where the audio begins, s of the piece.
        end_s: where the music stops; None is its end.
        tail_s: sound after the music; None lasts until the rooms have died away.
        a4_hz: pitch of A4; None is what each part's segments are tuned to.
        lufs: loudness of the mix, as far as the true peak allows; None keeps the gain of the mix, or estimates one.
        workers: processes or threads; no bit of the result depends on it.

    Raises:
        RenderError: there is nothing to play, or nothing between ``start_s`` and ``end_s``.
        ValueError: an argument is out of range, or a room is a file that cannot serve.
    """

    def __init__(
        self,
        *,
        parts: Sequence[PartSource],
        performance: Performance | None,
        mix: Mix,
        name: str,
        room: str | None = None,
        sample_rate: int = 48_000,
        start_s: float = 0.0,
        end_s: float | None = None,
        tail_s: float | None = None,
        a4_hz: float | None = None,
        lufs: float | None = None,
        workers: int = 1,
    ) -> None:
        if not parts:
            raise RenderError(f"{name} has nothing to play; give notes or synthesis parameters")
        piece_end = max(part.end_s for part in parts)
        stop = piece_end if end_s is None else min(end_s, piece_end)
        if not 0.0 <= start_s < stop:
            where = f"from {start_s:g} s on" if start_s >= piece_end else f"between {start_s:g} s and {stop:g} s"
            raise RenderError(f"{name} has nothing to play {where}; the piece is {piece_end:.1f} s long")
        if not 1_000 <= sample_rate <= 384_000:
            raise ValueError(f"the sample rate is {sample_rate} Hz; it must be from 1000 to 384000")
        if tail_s is not None and not tail_s >= 0:
            raise ValueError(f"the tail is {tail_s} s; it must be 0 or more")
        if a4_hz is not None and not 100.0 <= a4_hz <= 1_000.0:
            raise ValueError(f"A4 is {a4_hz} Hz; it must be from 100 to 1000")
        self.parts = tuple(parts)
        self.name = name
        self.sample_rate = sample_rate
        self._places = {part.name: _place(mix, part, room) for part in parts}
        self._performance = performance
        self._gain_db = mix.gain_db
        self._start = round(start_s * sample_rate)
        self._end_s = end_s
        self._music_s = stop - start_s
        self._length_s = None if tail_s is None else self._music_s + tail_s
        self._a4_hz = a4_hz
        self._lufs = lufs
        self._workers = workers
        self._audio: Float32 | None = None
        self._report: Report | None = None
        self._first = self._first_sample()

    @property
    def audio(self) -> Float32:
        """The mix, float32 [2, samples]; computed when first asked for, and kept."""
        if self._audio is None:
            self._audio = self._measure(Mixdown.audio)
        return self._audio

    @property
    def report(self) -> Report:
        """What the last render did; renders to find out where there was none yet."""
        if self._report is None:
            self._measure(lambda mixdown: None)
        assert self._report is not None
        return self._report

    @property
    def performance(self) -> Performance | None:
        """What is rendered, with the places and, after a render, the gain of its mix; None where it is not known."""
        if self._performance is None:
            return None
        gain_db = self._gain_db if self._report is None else self._report.gain_db
        places = {**self._performance.mix.parts, **self._places}
        a4_hz = self._performance.a4_hz if self._a4_hz is None else self._a4_hz
        return replace(self._performance, mix=Mix(gain_db=gain_db, parts=places), a4_hz=a4_hz)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        stems: str | os.PathLike[str] | None = None,
        levels: str | os.PathLike[str] | None = None,
        float32: bool = False,
        progress: Progress | None = None,
    ) -> Report:
        """Render into files.

        Args:
            path: of the mix; ``.wav`` (24 bit), ``.flac``, ``.ogg`` or ``.opus``. Folders are made.
            stems: folder for each part's stem (stereo, in its room, the gain of the mix applied).
            levels: folder for ``NAME.performance.json`` and a ``NAME.PART.synth.npz`` for each part.
            float32: 32-bit float WAV instead of 24 bit.
            progress: told the share done.

        Raises:
            AudioFileError: the path names no form that can be written.
            OSError: a file cannot be written.
        """
        started, cpu = time.perf_counter(), cpu_seconds()
        target = Path(path)
        check_output(target, self.sample_rate, float32=float32)
        target.parent.mkdir(parents=True, exist_ok=True)
        tally = _Tally(progress=progress, samples=self._expected_samples())
        files: list[Path] = []
        with ExitStack() as stack:
            if levels is not None:
                Path(levels).mkdir(parents=True, exist_ok=True)
                for part, file in zip(self.parts, self._synth_files(Path(levels))):
                    tally.writers[part.name] = stack.enter_context(
                        SynthWriter(
                            file,
                            part=part.name,
                            instrument=part.instrument,
                            noise_edges_hz=part.noise_edges_hz,
                            frame_rate=part.frame_rate,
                            seed=part.seed,
                            a4_hz=self._a4_hz or part.a4_hz,
                            skirts=part.skirts,
                        )
                    )
                    files.append(file)
            with self._stems(tally) as streams:
                report, audio_files = mix_parts(
                    streams,
                    target,
                    sample_rate=self.sample_rate,
                    gain_db=self.gain_db,
                    lufs=self._lufs,
                    end_s=self._length_s,
                    stems_folder=stems,
                    float32=float32,
                )
            self._note(report, tally, (*audio_files, *files), started, cpu)
            if levels is not None and self.performance is not None:
                document = Path(levels) / f"{safe_name(self.name)}{PERFORMANCE_SUFFIX}"
                save_performance(document, self.performance)
                files.append(document)
        return self._note(report, tally, (*audio_files, *files), started, cpu)

    def stream(self) -> Iterator[Float32]:
        """The mix in blocks, float32 [2, n], each as soon as it is made.

        The gain is that of the mix or, where it has none, the estimate; the true peak, known only at the end, cannot
        lower it. With the gain of an earlier render the stream is that render to the bit, as long as it is.
        """
        factor = np.float32(gain_factor(self.gain_db))
        with self._stems(_Tally()) as stems:
            # the stems are scaled before they are added, as in a mix: the last bit hangs on it
            yield from _summed([(block * factor for block in blocks_of(stem.blocks, BLOCK)) for stem in stems])

    def _measure(self, use: Callable[[Mixdown], Item]) -> Item:
        """Render without writing a file, and keep the report."""
        started, cpu = time.perf_counter(), cpu_seconds()
        tally = _Tally()
        with (
            self._stems(tally) as stems,
            mixed(
                stems,
                sample_rate=self.sample_rate,
                gain_db=self.gain_db,
                lufs=self._lufs,
                end_s=self._length_s,
            ) as mixdown,
        ):
            result = use(mixdown)
        self._note(mixdown.report, tally, (), started, cpu)
        return result

    def _repr_html_(self) -> str:
        """A player for a notebook; asking for it renders."""
        import base64
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "audio.flac"
            write_audio(path, self.audio, self.sample_rate)
            data = base64.b64encode(path.read_bytes()).decode()
        return f'<audio controls src="data:audio/flac;base64,{data}"></audio>'

    @property
    def gain_db(self) -> float:
        """The gain of the mix that a render starts with: the mix's own, or the estimate."""
        if self._gain_db is None:
            self._gain_db = estimate_gain_db(
                (level + self._places[part.name].gain_db, onset, seconds)
                for part in self.parts for level, onset, seconds in part.levels())
        return self._gain_db

    def stem(self, name: str) -> Iterator[Float32]:
        """A part in its place and room, before the gain of the mix: blocks float32 [2, n]; KeyError for other names."""
        part = {part.name: part for part in self.parts}[name]
        blocks = self._placed(part, _Tally())
        while True:
            with one_torch_thread():  # as the workers of a mix have it, so that the stem is the mix's to the bit
                block = next(blocks, None)
            if block is None:
                return
            yield block[0]

    @contextmanager
    def _stems(self, tally: _Tally) -> Iterator[list[Stem]]:
        """The parts as stems, computed ahead of the mix by the workers."""
        streams = [self._placed(part, tally) for part in self.parts]
        costs = [part.notes * instrument(part.instrument).partials ** 0.5 for part in self.parts]
        # A copy of the process cannot write into the files that are open here.
        with computed_ahead(streams, self._workers, costs=costs, fork=not tally.writers) as ahead:
            yield [Stem(name=part.name, blocks=tally.counted(part.name, run)) for part, run in zip(self.parts, ahead)]

    def _placed(self, part: PartSource, tally: _Tally) -> Iterator[tuple[Float32, int]]:
        """A part in its place and room, from the first sample of the audio on, and how many segments it took so far."""
        made = _Counter()
        segments = made.counted(self._segments(part, tally))
        place = self._places[part.name]
        if part.players == 1:
            blocks = self._at(part, segments, place)
        else:
            desks = [
                blocks_of(self._at(part, own, replace(place, pan=pan)), BLOCK)
                for own, pan in zip(by_desk(segments), desk_pans(place.pan))
            ]
            blocks = _summed(desks)
        skipped = self._start - self._first
        for block in blocks:
            kept = block[:, skipped:]
            skipped = max(0, skipped - block.shape[1])
            if kept.shape[1]:
                yield kept, made.count

    def _at(self, part: PartSource, segments: Iterable[Segment], place: PartMix) -> Iterator[Float32]:
        """Segments of a part as they sound at a place, from the first sample of the streams on."""
        dry = render_stream(
            segments,
            noise_edges_hz=part.noise_edges_hz,
            sample_rate=self.sample_rate,
            seed=part.seed,
            block_s=BLOCK_S,
            frame_rate=part.frame_rate,
            skirts=part.skirts,
        )
        end = None if self._end_s is None else round(self._end_s * self.sample_rate)
        window = _window(dry, self._first, end, round(EXCERPT_FADE_S * self.sample_rate))
        return placed(window, place, part.instrument, self.sample_rate)

    def _segments(self, part: PartSource, tally: _Tally) -> Iterator[Segment]:
        """The segments that sound in what is rendered, in the form in which they sound."""
        first_s = self._first / self.sample_rate
        writer = tally.writers.get(part.name)
        partials = instrument(part.instrument).partials
        ratio = np.float32((self._a4_hz or part.a4_hz) / part.a4_hz)
        for segment in part.segments(first_s, self._end_s):
            if segment.start_s + segment.frames / part.frame_rate < first_s:
                continue
            if self._end_s is not None and segment.start_s >= self._end_s:
                break
            segment = trimmed(segment if ratio == 1.0 else replace(segment, f0_hz=segment.f0_hz * ratio))
            if writer is not None:
                writer.write(_widened(segment, partials))
            yield segment

    def _first_sample(self) -> int:
        """Where the streams begin: early enough that all which still rings at the start is in them.

        A whole number of the rooms' blocks, so that an excerpt is a cut from the whole to the bit.
        """
        longest = 0
        for part in self.parts:
            place = self._places[part.name]
            response = room_response(place.room, part.instrument, place.pan, self.sample_rate)
            longest = max(longest, 0 if response is None else response.shape[1])
        return max(0, (self._start - longest) // BLOCK - 1) * BLOCK

    def _expected_samples(self) -> float:
        """About how many samples all stems have, for the progress bar."""
        return sum(max(0.0, part.end_s * self.sample_rate - self._start) for part in self.parts)

    def _synth_files(self, folder: Path) -> list[Path]:
        """A file for each part, no two alike even where names differ only in what file systems refuse."""
        taken: set[str] = set()
        files = []
        for part in self.parts:
            plain = name = safe_name(part.name)
            number = 1
            while name.casefold() in taken:
                number += 1
                name = f"{plain}.{number}"
            taken.add(name.casefold())
            files.append(folder / f"{safe_name(self.name)}.{name}{SYNTH_SUFFIX}")
        return files

    def _note(self, mix: MixReport, tally: _Tally, files: Sequence[Path], started: float, cpu: float) -> Report:
        """Keep what was done as the report."""
        performance = self._performance
        parts = tuple(
            PartReport(
                name=part.name,
                instrument=part.instrument,
                notes=part.notes,
                voices=part.voices,
                segments=tally.segments.get(part.name, 0),
                gain_db=self._places[part.name].gain_db,
                pan=self._places[part.name].pan,
                room=self._places[part.name].room,
                peak_dbfs=stem.peak_dbfs,
                rms_dbfs=stem.rms_dbfs,
            )
            for part, stem in zip(self.parts, mix.stems)
        )
        self._report = Report(
            source=self.name,
            files=tuple(map(str, files)),
            duration_s=mix.frames / self.sample_rate,
            music_s=self._music_s,
            sample_rate=self.sample_rate,
            seed=self.parts[0].seed if performance is None else performance.seed,
            temperature=None if performance is None else performance.temperature,
            gain_db=mix.gain_db,
            true_peak_dbtp=mix.true_peak_dbtp,
            loudness_lufs=mix.loudness_lufs,
            parts=parts,
            warnings=mix.messages,
            checkpoints={} if performance is None else dict(performance.checkpoints),
            seconds={"render": time.perf_counter() - started, "cpu": cpu_seconds() - cpu},
        )
        return self._report


@dataclass
class _Tally:
    """What one run gathers on its way: segments made, samples mixed, and where segments are written."""

    progress: Progress | None = None
    samples: float = 0.0
    writers: dict[str, SynthWriter] = field(default_factory=dict)
    segments: dict[str, int] = field(default_factory=dict)
    mixed: int = 0

    def counted(self, name: str, run: Iterable[tuple[Float32, int]]) -> Iterator[Float32]:
        """The blocks of a part; each tells the progress."""
        for block, segments in run:
            yield block
            self.segments[name] = segments
            self.mixed += block.shape[1]
            if self.progress is not None and self.samples > 0:
                self.progress(min(1.0, self.mixed / self.samples))


class _Counter:
    """Counts what passes."""

    def __init__(self) -> None:
        self.count = 0

    def counted(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items."""
        for item in items:
            self.count += 1
            yield item


def _place(mix: Mix, part: PartSource, room: str | None) -> PartMix:
    place = mix.parts.get(part.name) or PartMix(pan=instrument(part.instrument).pan)
    return place if room is None else replace(place, room=room)


def _summed(streams: Sequence[Iterable[Float32]]) -> Iterator[Float32]:
    """Streams of equal blocks as one; it lasts as long as the longest."""
    for arrived in zip_longest(*streams):
        blocks = [block for block in arrived if block is not None]
        total = np.zeros((2, max(block.shape[1] for block in blocks)), np.float32)
        for block in blocks:
            total[:, : block.shape[1]] += block
        yield total


def _window(blocks: Iterable[Float32], first: int, end: int | None, fade: int) -> Iterator[Float32]:
    """The samples from ``first`` on; before ``end``, if there is one, they fade out."""
    position = 0
    for block in blocks:
        start, position = position, position + len(block)
        if position <= first:
            continue
        if end is not None and position > end - fade:
            left = (end - start - np.arange(len(block))) / fade  # 1 and more before the fade, 0 and less after the end
            block = (block * np.clip(left, 0.0, 1.0).astype(np.float32))[: max(0, end - start)]
        block = block[max(0, first - start) :]
        if len(block):
            yield block
        if end is not None and position >= end:
            return


def trimmed(segment: Segment) -> Segment:
    """Without the highest partials that never sound: the form in which segments are rendered.

    Files hold the same number of partials for every segment; a segment sounds the same before and after one.
    """
    sounding = np.flatnonzero(segment.harmonics.any(axis=0))
    count = int(sounding[-1]) + 1 if len(sounding) else 1
    if count == segment.harmonics.shape[1]:
        return segment
    return replace(segment, harmonics=np.ascontiguousarray(segment.harmonics[:, :count]))


def _widened(segment: Segment, partials: int) -> Segment:
    """With silent partials up to the number that all segments of the part have in its file."""
    missing = partials - segment.harmonics.shape[1]
    if missing < 0:
        raise RenderError(
            f"segment {segment.id} has {segment.harmonics.shape[1]} partials, its instrument at most {partials}; "
            "it cannot be saved"
        )
    return segment if missing == 0 else replace(segment, harmonics=np.pad(segment.harmonics, ((0, 0), (0, missing))))


def _segment_level(segment: Segment, frame_rate: float) -> tuple[float, float, float]:
    """Mean power while it sounds (within 20 dB of its top), dB re full scale; its start; for how many seconds."""
    amplitudes = 10.0 ** (segment.amplitude_db[:, None].astype(np.float64) / 20.0) * segment.harmonics
    power = (amplitudes**2).sum(axis=1) / 2.0 + (10.0 ** (segment.noise_db.astype(np.float64) / 10.0)).sum(axis=1)
    sounding = power[power >= 0.01 * power.max()]
    return float(power_to_db(float(sounding.mean()))), segment.start_s, len(sounding) / frame_rate
