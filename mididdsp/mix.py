"""From dry parts to stems and a mix: level, place, room, gain, true peak, loudness.

Conventions: dry parts are mono, stems and mix stereo, float32, full scale 1.0; everything streams in blocks, and what
has to be kept until the gain is known lies in an unnamed temporary file. Pan has constant power.

**Stems sum to the mix exactly.** A stem is its placed part times one gain in float32, and the mix is the sum of the
stems in float32 in the order of the parts. When the true peak asks for less, the gain is halved until it fits: a power
of two changes no mantissa, so the sum stays exact, and rendering again with the gain that the report names gives the
same bytes. In 24-bit files each stem and the mix are rounded once more, by at most half a step each.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from mididdsp.audio_files import AudioWriter, check_output
from mididdsp.expression.types import PartMix
from mididdsp.files import made_folder, safe_name, spool
from mididdsp.meters import LoudnessMeter, TruePeakMeter
from mididdsp.rooms import BLOCK, Float32, blocks_of, convolved, file_impulse_response, room_impulse_response
from mididdsp.units import amplitude_to_db, db_to_amplitude

TRUE_PEAK_LIMIT_DB = -1.0
TARGET_LUFS = -19.0
"""Where ``estimate_gain_db`` aims: near broadcast level, with room for the peaks of instruments."""

_GAIN_STEPS = 2**12  # of a gain's mantissa: at most 0.002 dB off, and a gain survives its way through decibels
_CREST_DB = 13.0  # peaks over the mean power of a loud note, placed and in a room
_END_FADE_S = 0.02
_SILENT_GAIN_DB = 0.0
_MOMENT_S = 0.05


def gain_factor(gain_db: float) -> float:
    """The factor of a gain, rounded to 12 bits: factor to dB (``factor_db``) and back is exact."""
    mantissa, exponent = math.frexp(db_to_amplitude(gain_db))
    return math.ldexp(round(mantissa * _GAIN_STEPS) / _GAIN_STEPS, exponent)


def factor_db(factor: float) -> float:
    """The gain in dB of a factor above 0."""
    return 20.0 * math.log10(factor)


def pan_factors(pan: float) -> tuple[float, float]:
    """Left and right factors of constant power: (1, 0) at -1, (0.707, 0.707) at 0, (0, 1) at 1.

    Raises:
        ValueError: pan is not from -1 to 1.
    """
    if not -1.0 <= pan <= 1.0:
        raise ValueError(f"pan is {pan}; give a number from -1 (left) to 1 (right)")
    angle = (pan + 1.0) * math.pi / 4.0
    return math.cos(angle), math.sin(angle)


def room_response(room: str, instrument: str, pan: float, sample_rate: int) -> Float32 | None:
    """The impulse response [2, N] that a ``PartMix.room`` names; None for ``none``.

    Raises:
        ValueError: the room is a file that cannot serve.
    """
    if room == "none":
        return None
    if room == "own":
        return room_impulse_response(instrument, sample_rate, pan)
    return file_impulse_response(room, sample_rate)


def placed(dry: Iterable[Float32], place: PartMix, instrument: str, sample_rate: int) -> Iterator[Float32]:
    """A dry part on its place: panned, at its gain, and with the room it stands in, rung out.

    Independent of every other part and of the sizes of the incoming blocks, to the bit; may run in a worker.

    Args:
        dry: mono float32 blocks [n] from time 0.
        place: gain, pan and room.
        instrument: a name from the table in ``mididdsp.instruments``; it chooses the seat in our own room.
        sample_rate: Hz.

    Yields:
        Stereo float32 blocks [2, n].

    Raises:
        ValueError: pan is out of range, or the room is a file that cannot serve.
    """
    gain = db_to_amplitude(place.gain_db)
    factors = np.array(pan_factors(place.pan)) * gain
    direct = factors.astype(np.float32)[:, np.newaxis]
    response = room_response(place.room, instrument, place.pan, sample_rate)
    if response is None:
        for block in dry:
            yield direct * block
        return
    for block, wet in convolved(dry, response * np.float32(gain)):
        yield direct * block + wet


def estimate_gain_db(notes: Iterable[tuple[float, float, float]]) -> float:
    """A gain for the mix, guessed before anything sounds: near ``TARGET_LUFS``, with room for the peaks.

    Notes that sound together add their powers. The loudness of the piece is taken as the mean power over the time in
    which anything sounds; the highest peak as the greatest power of any moment and ``_CREST_DB`` more, where moments
    are at least ``_MOMENT_S`` long: slurred notes overlap for less, and do not add up. The smaller of the gains that
    either allows is taken. It is a start: the true peak decides.

    Args:
        notes: of all parts, in any order: (level in dB re full scale with the part's gain, onset in s, seconds).

    Returns:
        Gain in dB, -60 to 60; 0 where nothing sounds.
    """
    level, onset, seconds = np.array([note for note in notes if note[2] > 0], np.float64).reshape(-1, 3).T
    if not level.size:
        return _SILENT_GAIN_DB
    power = 10.0 ** (level / 10.0)
    times, place = np.unique(np.concatenate([onset, onset + seconds]), return_inverse=True)
    # Whether anything sounds is counted: sums of powers leave rounding errors behind.
    change, count = np.zeros(len(times)), np.zeros(len(times), np.int64)
    np.add.at(change, place, np.concatenate([power, -power]))
    np.add.at(count, place, np.repeat([1, -1], len(level)))
    sounding = np.cumsum(count)[:-1] > 0
    at_once, lasting = np.cumsum(change)[:-1][sounding], np.diff(times)[sounding]
    loudness = 10.0 * math.log10(max(float((at_once * lasting).sum() / lasting.sum()), 1e-12))
    moments = at_once[lasting >= min(_MOMENT_S, float(lasting.max()))]
    loudest = 10.0 * math.log10(max(float(moments.max()), 1e-12))
    gain = min(TARGET_LUFS - loudness, TRUE_PEAK_LIMIT_DB - _CREST_DB - loudest)
    return min(max(gain, -60.0), 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """A part ready to be mixed: its name, and its placed sound (stereo float32 blocks [2, n], from time 0)."""

    name: str
    blocks: Iterable[Float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class StemReport:
    """One stem as written: ``name``, highest sample and mean power over the file, dB re full scale (not below -120)."""

    name: str
    peak_dbfs: float
    rms_dbfs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MixReport:
    """A mix as written.

    Attributes:
        sample_rate: Hz.
        frames: samples in each channel.
        gain_db: of the mix; rendering with it again gives the same bytes.
        true_peak_dbtp: dB re full scale, not below -120.
        loudness_lufs: by BS.1770; None where it is silent or shorter than 400 ms.
        stems: in the order of the parts.
        messages: what the user should know, one sentence each.
    """

    sample_rate: int
    frames: int
    gain_db: float
    true_peak_dbtp: float
    loudness_lufs: float | None
    stems: tuple[StemReport, ...]
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixdown:
    """A finished mix, on disk for as long as ``mixed`` is open.

    Attributes:
        report: of the mix.
        blocks: call it for the audio from the beginning: (mix [2, n], stems, each [2, n]); no stems where they were
            not asked for.
    """

    report: MixReport
    blocks: Callable[[], Iterator[tuple[Float32, tuple[Float32, ...]]]]

    def audio(self) -> Float32:
        """The whole mix, float32 [2, N]."""
        pieces = [mix for mix, _ in self.blocks()]
        return np.concatenate(pieces, axis=1) if pieces else np.zeros((2, 0), np.float32)


class _Spool:
    """Blocks [2, BLOCK] (the last may be shorter) in an unnamed temporary file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, block: Float32) -> None:
        self._file.write(np.ascontiguousarray(block).data)

    def read(self, index: int) -> Float32 | None:
        """Block ``index``; None beyond the end."""
        size = 2 * BLOCK * 4
        self._file.seek(index * size)
        data = np.frombuffer(self._file.read(size), np.float32)
        return data.reshape(2, -1) if data.size else None


@contextmanager
def mixed(
    stems: Sequence[Stem], *, sample_rate: int, gain_db: float, lufs: float | None = None, keep_stems: bool = False,
    end_s: float | None = None, folder: str | os.PathLike[str] | None = None,
) -> Iterator[Mixdown]:
    """Mix stems, block by block, in their order.

    With a loudness to reach, or stems to keep, all stems lie on disk until the end (23 MB a minute each at 48 kHz);
    otherwise the mix alone does.

    Args:
        stems: in the order of the parts; each is read once.
        sample_rate: Hz.
        gain_db: of the mix; lowered in steps of 6.02 dB when the true peak would exceed ``TRUE_PEAK_LIMIT_DB``.
        lufs: integrated loudness to reach in place of ``gain_db``; less where the true peak forbids it.
        keep_stems: whether the blocks of the result hold the stems.
        end_s: length of the result in s; later sound is faded out, silence is added. By default all of it.
        folder: for the temporary files; the system's by default.

    Yields:
        The mix; its audio is there until the block ends.

    Raises:
        ValueError: a stem is not stereo.
    """
    with ExitStack() as stack:
        spools = [_Spool(stack.enter_context(spool(folder)))
                  for _ in (stems if keep_stems or lufs is not None else range(1))]
        # A loudness needs an arbitrary gain at the end; rounding happens once only if there was none before.
        first = 1.0 if lufs is not None else gain_factor(gain_db)
        measured = _first_pass(stems, spools, np.float32(first), sample_rate, keep_stems or lufs is not None, end_s)
        last, messages = _last_factor(measured, first, gain_db, lufs)
        total = first * last
        report = MixReport(
            sample_rate=sample_rate, frames=measured.frames,
            gain_db=gain_db if total == gain_factor(gain_db) else factor_db(total),
            true_peak_dbtp=amplitude_to_db(measured.true_peak * last),
            loudness_lufs=None if measured.lufs is None else measured.lufs + factor_db(last),
            stems=tuple(
                StemReport(name=stem.name, peak_dbfs=amplitude_to_db(peak * last), rms_dbfs=amplitude_to_db(rms * last))
                for stem, peak, rms in zip(stems, measured.peaks, measured.rms)),
            messages=messages)

        def blocks() -> Iterator[tuple[Float32, tuple[Float32, ...]]]:
            factor = np.float32(last)
            for index, start in enumerate(range(0, measured.frames, BLOCK)):
                shape = (2, min(BLOCK, measured.frames - start))
                kept = []
                for spool in spools:
                    block = spool.read(index)
                    kept.append(np.zeros(shape, np.float32) if block is None else _padded(block * factor, shape[1]))
                yield _sum(kept, shape[1]), tuple(kept) if keep_stems else ()

        yield Mixdown(report=report, blocks=blocks)


def mix_parts(
    stems: Sequence[Stem], path: str | os.PathLike[str], *, sample_rate: int, gain_db: float,
    lufs: float | None = None, stems_folder: str | os.PathLike[str] | None = None, end_s: float | None = None,
    float32: bool = False,
) -> tuple[MixReport, tuple[Path, ...]]:
    """Mix stems into a file, and write the stems beside it where a folder for them is given.

    All files appear, or none. Stems are called ``01_Violin.wav`` and so on, in the form of the mix; beside a lossy mix
    they are WAV.

    Args:
        stems, sample_rate, gain_db, lufs, end_s: as in ``mixed``.
        path: of the mix; its suffix chooses the form.
        stems_folder: made when it is not there.
        float32: 32-bit float WAV instead of 24 bit.

    Returns:
        The report, and the files written, the mix first.

    Raises:
        AudioFileError: the file cannot be written in that form.
        ValueError: a stem is not stereo.
        OSError: a file cannot be written.
    """
    target = Path(path)
    check_output(target, sample_rate, float32=float32)
    suffix = target.suffix.lower() if target.suffix.lower() in (".wav", ".flac") else ".wav"
    with ExitStack() as stack:
        names: list[Path] = []
        if stems_folder is not None:
            folder = stack.enter_context(made_folder(Path(stems_folder)))
            names = [folder / stem_name(number, stem.name, suffix) for number, stem in enumerate(stems, start=1)]
        mixdown = stack.enter_context(mixed(
            stems, sample_rate=sample_rate, gain_db=gain_db, lufs=lufs, keep_stems=bool(names), end_s=end_s,
            folder=target.parent if target.parent.is_dir() else None))
        writers = [stack.enter_context(AudioWriter(name, sample_rate, float32=float32)) for name in (target, *names)]
        for mix, kept in mixdown.blocks():
            for writer, block in zip(writers, (mix, *kept)):
                writer.write(block)
    return mixdown.report, (target, *names)


def stem_name(number: int, part: str, suffix: str) -> str:
    """File name of a stem: number and part name, ``01_Violin.wav``; what file systems refuse becomes ``_``."""
    return f"{number:02d}_{safe_name(part)}{suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """What the first pass found, at its gain: samples, amplitudes, LUFS."""

    frames: int
    true_peak: float
    lufs: float | None
    peaks: tuple[float, ...]
    rms: tuple[float, ...]


def _first_pass(stems: Sequence[Stem], spools: Sequence[_Spool], factor: np.float32, sample_rate: int, separate: bool,
                end_s: float | None) -> _Measured:
    """Play everything once: into one spool a stem, or the mix into one, and through the meters."""
    end = None if end_s is None else round(max(end_s, 0.0) * sample_rate)
    fade = round(_END_FADE_S * sample_rate)
    loudness, true_peak = LoudnessMeter(sample_rate), TruePeakMeter()
    peaks, energies = [0.0] * len(stems), [0.0] * len(stems)
    streams = [blocks_of(_stereo(stem), BLOCK) for stem in stems]
    frames = 0
    while end is None or frames < end:
        arrived = [next(stream, None) for stream in streams]
        if end is None:
            count = max((block.shape[1] for block in arrived if block is not None), default=0)
        else:
            count = min(BLOCK, end - frames)
        if not count:
            break
        kept: list[Float32 | None] = []
        for index, block in enumerate(arrived):
            if block is None:
                kept.append(None)
                continue
            block = block[:, :count] * factor
            if end is not None and frames + block.shape[1] > end - fade:
                left = (end - frames - np.arange(block.shape[1])) / max(fade, 1)  # 1 and more before the fade
                block *= np.clip(left, 0.0, 1.0).astype(np.float32)
            kept.append(block)
            peaks[index] = max(peaks[index], float(block.max(initial=0.0)), -float(block.min(initial=0.0)))
            energies[index] += float(np.vdot(block, block))
        mix = _sum([block for block in kept if block is not None], count)
        if separate:
            for spool, block in zip(spools, kept):
                if block is not None:
                    spool.write(_padded(block, count))
        else:
            spools[0].write(mix)
        loudness.add(mix)
        true_peak.add(mix)
        frames += count
    return _Measured(frames=frames, true_peak=true_peak.finish(), lufs=loudness.integrated_lufs(), peaks=tuple(peaks),
                     rms=tuple(math.sqrt(energy / (2 * frames)) if frames else 0.0 for energy in energies))


def _stereo(stem: Stem) -> Iterator[Float32]:
    for block in stem.blocks:
        if block.ndim != 2 or len(block) != 2:
            raise ValueError(f"stem {stem.name}: a block has shape {block.shape}; give stereo blocks [2, samples]")
        yield block


def _padded(block: Float32, count: int) -> Float32:
    """The block with silence after it, ``count`` samples in all."""
    return block if block.shape[1] == count else np.pad(block, ((0, 0), (0, count - block.shape[1])))


def _sum(blocks: Sequence[Float32], count: int) -> Float32:
    """The sum in float32, in order; shorter blocks end in silence."""
    total = np.zeros((2, count), np.float32)
    for block in blocks:
        total[:, :block.shape[1]] += block
    return total


def _last_factor(
    measured: _Measured, first: float, gain_db: float, lufs: float | None,
) -> tuple[float, tuple[str, ...]]:
    """The factor that the first pass still lacks, and what to tell about it."""
    limit = db_to_amplitude(TRUE_PEAK_LIMIT_DB)
    # A stem alone may be higher than the mix; above full scale a 24-bit file would cut it.
    most = max(measured.true_peak / limit, *measured.peaks, 0.0)
    if lufs is None:
        wanted = 1.0
    elif measured.lufs is None:
        wanted = gain_factor(gain_db) / first
    else:
        wanted = gain_factor(lufs - measured.lufs) / first
        if most * wanted > 1.0:
            highest = gain_factor(-factor_db(most)) / first
            while most * highest > 1.0:
                highest = gain_factor(factor_db(highest) - 0.002)
            reached = measured.lufs + factor_db(highest)
            return highest, (f"the mix stays at {reached:.1f} LUFS instead of {lufs:.1f}, for its true peak may not "
                             f"exceed {TRUE_PEAK_LIMIT_DB:.0f} dBTP",)
        return wanted, ()
    halvings = max(0, math.ceil(math.log2(most * wanted))) if most > 0 else 0
    messages = []
    if lufs is not None:
        messages.append(f"the mix is silent or shorter than 0.4 s, so its loudness cannot be set to {lufs:.1f} LUFS")
    if halvings:
        messages.append(f"the gain of the mix was lowered by {factor_db(2.0**halvings):.1f} dB to "
                        f"{factor_db(first * wanted * 2.0**-halvings):.1f} dB, for its true peak may not exceed "
                        f"{TRUE_PEAK_LIMIT_DB:.0f} dBTP")
    return wanted * 2.0**-halvings, tuple(messages)
