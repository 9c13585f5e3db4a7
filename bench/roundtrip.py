"""Round trip: a recording is analysed into synthesis parameters and made to sound again; how much is lost.

    python -m bench.roundtrip --data DATA [--set valid|test|bach|peers ...] [--tracker own]

Everything at 16 kHz, dry, nothing copied: partials and noise bands at 250 frames a second are all that passes. Clips
are analysed as they are; for the loss, recording and estimate are then both scaled by what brings the recording to
-20 dB RMS.

* loss: the multi-scale spectral loss of the DDSP papers: FFT 2048, 1024, 512, 256, 128 and 64, 75 % overlap, periodic
  Hann windows, unscaled STFT, zero-padded ends, mean difference of magnitudes plus mean difference of their natural
  logarithms (1e-5 added), summed over the sizes.
* floor: the loss between two renders of the same parameters, the phase of every partial and the noise drawn anew.
* level: A-weighted loudness (32 ms windows) of the render against the recording's, mean of the absolute difference over
  frames within 40 dB of the top, both smoothed over 0.1 s, because noise drawn anew scatters.
* f0: of the frames where two independent trackers agree on the recording (``bench.kept``), the share where one of them
  hears the same in the render within 50 cents; ``told``: where the parameters' own fundamental is within 50 cents.
* vibrato: of the notes of 0.5 s or more that vibrate in the recording, the extent in the render over that in the
  recording (``bench.kept``), as the median and as the share within 10 %; and that share of those of 8 cents and more
  in the recording: a bow or a lip makes a low pitch waver by nearly as much, and two renders of the same parameters
  then differ by 10 % themselves.

Set valid is for tuning; test, bach (the test movement) and peers are measured, never tuned on. The peers' published
outputs are those of DDSP-full, DDSP-tiny and Neural Waveshaping (Hayes et al. 2021).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from bench import kept
from mididdsp.audio_stream import recording_of
from mididdsp.instruments import INSTRUMENTS
from mididdsp.listening import Listening, listen
from mididdsp.synthesis.features import loudness
from mididdsp.synthesis.render import ALL_PARTS, RenderPart, first_sample, render_segment, render_stream
from mididdsp.synthesis.types import Segment, SynthParams

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]

RATE = 16_000
FFT_SIZES = (2048, 1024, 512, 256, 128, 64)
PEERS = (("vn1", "violin"), ("fl1", "flute"), ("tpt2", "trumpet"))
PUBLISHED = ("ddsp_full", "ddsp_tiny", "nws")
LONGEST_S = 30.0
LONG_NOTE_FRAMES = 125
FLOOR_LIMIT, PEER_LIMIT = 1.18, 0.75
CLEAR_VIBRATO_CENTS = 8.0
LEFT_OUT = ("trill", "tremolo", "glissando", "pizz", "guitar")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A recording at 16 kHz, mono, its instrument and, for the peers, what others made of it."""

    name: str
    instrument: str
    audio: Float32
    published: tuple[Float32, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Figures of one clip; NaN where there is nothing to measure. ``vibrato``: (kept, cents) of each note."""

    name: str
    seconds: float
    loss: float
    floor: float
    noise_floor: float
    level_db: float
    f0_kept: float
    f0_told: float
    known_frames: int
    vibrato: tuple[tuple[float, float], ...]
    published: tuple[float, ...]


def spectral_loss(reference: Float32, estimate: Float32) -> float:
    """The loss of this page; both at 16 kHz, scaled alike."""
    total = 0.0
    for size in FFT_SIZES:
        wanted, found = _magnitudes(reference, size), _magnitudes(estimate, size)
        total += float((wanted - found).abs().mean())
        total += float((torch.log(wanted + 1e-5) - torch.log(found + 1e-5)).abs().mean())
    return total


def _magnitudes(audio: Float32, size: int) -> torch.Tensor:
    hop = size // 4
    frames = -(-len(audio) // hop)
    padded = torch.nn.functional.pad(torch.from_numpy(audio), (0, max(0, (frames - 1) * hop + size - len(audio))))
    found: torch.Tensor = torch.fft.rfft(padded.unfold(0, size, hop) * torch.hann_window(size)).abs()
    return found


def to_minus_20(audio: Float32) -> float:
    """Factor that brings audio to -20 dB RMS."""
    return float(0.1 / np.sqrt(np.mean(audio.astype(np.float64) ** 2)))


def load(path: Path) -> Float32:
    """A file as mono float32 at 16 kHz."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = audio.mean(axis=1)
    return np.asarray(mono if rate == RATE else soxr.resample(mono, rate, RATE), dtype=np.float32)


def clips_of(name: str, data: Path) -> Iterator[Clip]:
    """The clips of a set, in order."""
    if name == "peers":
        for clip, instrument in PEERS:
            folder = data / "peers" / clip
            yield Clip(name=clip, instrument=instrument, audio=load(folder / f"{clip}_ref.wav"),
                       published=tuple(load(folder / f"{clip}_{peer}.wav") for peer in PUBLISHED))
        return
    with (data / "split.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        bach = name == "bach" and row["kind"] == "piece" and row["split"] == "test"
        phrase = name == row["split"] and row["kind"] == "phrase" and not any(word in row["item"] for word in LEFT_OUT)
        if bach or phrase:
            audio = load(data / row["item"])
            for start in range(0, len(audio), int(LONGEST_S * RATE)):
                piece = audio[start : start + int(LONGEST_S * RATE)]
                if len(piece) >= RATE // 2:
                    yield Clip(name=f"{Path(row['item']).stem}{f' {start / RATE:.0f} s' if bach else ''}",
                               instrument=row["instrument"], audio=piece)


def rendered(params: SynthParams, samples: int, seed: int, parts: Sequence[RenderPart] = ALL_PARTS) -> Float32:
    """The production render of parameters, cut or filled to a length."""
    blocks = list(render_stream(params, noise_edges_hz=params.noise_edges_hz, sample_rate=RATE, seed=seed, parts=parts))
    return _fitted(np.concatenate(blocks) if blocks else np.zeros(0, np.float32), samples)


def redrawn(params: SynthParams, samples: int, seed: int) -> Float32:
    """The same parameters with every partial's phase, and the noise, drawn anew."""
    random = np.random.default_rng(seed)
    total = np.zeros(samples + RATE, np.float32)
    for segment in params:
        first, noise = render_segment(segment, noise_edges_hz=params.noise_edges_hz, sample_rate=RATE, seed=seed,
                                      parts=("noise",))
        _add(total, first, noise)
        _add(total, first_sample(segment.start_s, RATE), _tone(segment, random))
    return total[:samples]


def _tone(segment: Segment, random: np.random.Generator) -> Float32:
    """Partials by plain sines: slow, and apart from the code under test."""
    hop = RATE / 250.0
    samples = int(segment.frames * hop)
    place = np.arange(samples) / hop
    hz = np.exp(np.interp(place, np.arange(segment.frames), np.log(segment.f0_hz.astype(np.float64))))
    cycles = np.concatenate([[0.0], np.cumsum(0.5 * (hz[1:] + hz[:-1]) / RATE)])
    amplitude = np.where(segment.amplitude_db > -120.0, 10.0 ** (segment.amplitude_db / 20.0), 0.0)
    phases = np.asarray(random.uniform(0.0, 1.0, segment.harmonics.shape[1]))
    below = np.minimum(place.astype(np.int64), segment.frames - 1)
    above = np.minimum(below + 1, segment.frames - 1)
    blend = (place - below).astype(np.float32)
    total = np.zeros(samples, np.float32)
    for number in range(1, segment.harmonics.shape[1] + 1):
        line = (segment.harmonics[:, number - 1] * amplitude * (segment.f0_hz * number < RATE / 2)).astype(np.float32)
        if line.any():
            angle = ((number * cycles + phases[number - 1]) % 1.0).astype(np.float32)
            total += (line[below] + (line[above] - line[below]) * blend) * np.sin(np.float32(2 * np.pi) * angle)
    return total


def _add(total: Float32, first: int, sound: Float32) -> None:
    sound = sound[max(0, -first) : max(0, len(total) - first)]
    start = max(0, first)
    total[start : start + len(sound)] += sound


def _fitted(audio: Float32, samples: int) -> Float32:
    return np.pad(audio[:samples], (0, max(0, samples - len(audio))))


def heard(clip: Clip, tracker: str) -> Listening:
    """The clip as ``mididdsp analyze`` hears it."""
    return listen(recording_of(clip.audio, RATE, name=clip.name), part=clip.name, instrument=clip.instrument,
                  tracker=tracker)


def measured(clip: Clip, tracker: str) -> Row:
    """All figures of one clip."""
    listening = heard(clip, tracker)
    params = listening.params()
    samples, gain = len(clip.audio), to_minus_20(clip.audio)
    first, second = (redrawn(params, samples, seed) for seed in (1, 2))
    whole = rendered(params, samples, 1)
    other = rendered(params, samples, 1, ("harmonic",)) + rendered(params, samples, 2, ("noise",))
    scaled = clip.audio * np.float32(gain)
    f0_kept, f0_told, known_frames, vibrato = _playing_kept(clip, listening, params, whole)
    return Row(
        name=clip.name, seconds=samples / RATE, loss=spectral_loss(scaled, whole * np.float32(gain)),
        floor=spectral_loss(first * np.float32(gain), second * np.float32(gain)),
        noise_floor=spectral_loss(whole * np.float32(gain), other * np.float32(gain)),
        level_db=level_error(clip.audio, whole), f0_kept=f0_kept, f0_told=f0_told,
        known_frames=known_frames, vibrato=vibrato,
        published=tuple(spectral_loss(scaled, _fitted(peer, samples) * np.float32(gain)) for peer in clip.published),
    )


def level_error(reference: Float32, estimate: Float32) -> float:
    """Mean difference of loudness in dB where the recording sounds."""
    wanted, found = _loudness(reference), _loudness(estimate)
    loud = wanted > wanted.max() - 40.0
    return float(np.abs(wanted - found)[loud].mean())


def _loudness(audio: Float32) -> Array:
    contour = loudness(torch.from_numpy(audio), RATE, range_db=120.0).numpy()
    return np.asarray(uniform_filter1d(contour.astype(np.float64), 25))


def f0_of(params: SynthParams, frames: int) -> Array:
    """Fundamental on the frames of the recording, NaN where no segment is harmonic."""
    f0 = np.full(frames, np.nan)
    for segment in params:
        first = round(segment.start_s * params.frame_rate)
        level = segment.amplitude_db > -100.0
        for index in np.flatnonzero(level):
            if 0 <= first + index < frames:
                f0[first + index] = segment.f0_hz[index]
    return f0


def _playing_kept(
    clip: Clip, listening: Listening, params: SynthParams, render: Float32
) -> tuple[float, float, int, tuple[tuple[float, float], ...]]:
    """(f0 kept, f0 told, frames with a known f0, vibrato of each note)."""
    instrument = INSTRUMENTS[clip.instrument]
    audio, made = clip.audio.astype(np.float64), render.astype(np.float64)
    try:
        known = kept.known_pitch(audio, _loudness(clip.audio), instrument.low - 2, instrument.high + 2)
    except ValueError:
        return float("nan"), float("nan"), 0, ()
    vibrato = []
    for note in listening.heard:
        if note.offset - note.onset >= LONG_NOTE_FRAMES:
            stretch = slice(note.onset * 64, note.offset * 64)
            found = kept.vibrato_kept(audio[stretch], made[stretch], note.pitch)
            if found is not None:
                vibrato.append(found)
    told = kept.pitch_told(known, f0_of(params, len(audio) // 64 + 1))
    return kept.pitch_kept(known, made), told, len(known.frames), tuple(vibrato)


def picture(clip: Clip, tracker: str, target: Path) -> None:
    """Spectrograms of a clip and of its round trip, their fundamental and their loudness, as a PNG."""
    from matplotlib.figure import Figure

    listening = heard(clip, tracker)
    render = rendered(listening.params(), len(clip.audio), 1)
    figure = Figure(figsize=(10, 7.5), layout="constrained")
    axes = figure.subplots(4, 1, sharex=True, height_ratios=(3, 3, 2, 2))
    for axis, sound, name in zip(axes, (clip.audio, render), ("recording", "made again from its parameters")):
        axis.specgram(sound, NFFT=1024, noverlap=896, Fs=RATE, vmin=-140, vmax=-40, cmap="magma")
        axis.set(ylabel="Hz", title=name)
    again = heard(Clip(name=clip.name, instrument=clip.instrument, audio=render), tracker)
    for found, style in ((listening, "-"), (again, "--")):
        contour = found.contours
        line = np.where(contour.voiced, 69.0 + 12.0 * np.log2(contour.f0_hz / 440.0), np.nan)
        axes[2].plot(np.arange(len(contour)) / 250, line, style, linewidth=1)
    axes[2].set(ylabel="MIDI pitch", title="fundamental heard in each")
    for sound, style in ((clip.audio, "-"), (render, "--")):
        loudness = _loudness(sound)
        axes[3].plot(np.arange(len(loudness)) / 250, loudness, style, linewidth=1)
    axes[3].set(ylabel="dB(A)", xlabel="s", title="loudness")
    figure.savefig(target, dpi=80)


def report(name: str, rows: Sequence[Row], each: bool) -> None:
    """Print the table of a set."""
    print(f"\n{name}: {len(rows)} clips, {sum(row.seconds for row in rows):.0f} s")
    header = f"{'clip':44} {'loss':>6} {'floor':>6} {'ratio':>6} {'level':>6} {'f0':>6} {'told':>6} {'vib':>5}"
    print(header + "".join(f" {peer:>10}" for peer in PUBLISHED if rows[0].published))
    for row in rows if each else ():
        print(f"{row.name[:44]:44} {_cells(row.loss, row.floor, row.level_db, row.f0_kept, row.f0_told)} "
              f"{np.median([ratio for ratio, _ in row.vibrato]) if row.vibrato else np.nan:5.2f}"
              + "".join(f" {value:10.2f}" for value in row.published))
    loss, floor = (float(np.mean([getattr(row, part) for row in rows])) for part in ("loss", "floor"))
    ratios, cents = np.array([found for row in rows for found in row.vibrato]).reshape(-1, 2).T
    print(f"{'mean':44} {_cells(loss, floor, float(np.mean([r.level_db for r in rows])), *_shares(rows))} "
          f"{np.median(ratios) if len(ratios) else np.nan:5.2f}"
          + "".join(f" {np.mean(column):10.2f}" for column in zip(*(row.published for row in rows))))
    print(f"mean of loss / floor {np.mean([row.loss / row.floor for row in rows]):.3f} (asked: at most {FLOOR_LIMIT}); "
          f"against noise alone drawn anew {np.mean([row.loss / row.noise_floor for row in rows]):.3f}")
    if rows[0].published:
        full = float(np.mean([row.published[0] for row in rows]))
        print(f"mean loss / DDSP-full's {loss / full:.3f} (asked: at most {PEER_LIMIT})")
    if len(ratios):
        near, clear = np.abs(ratios - 1) <= 0.1, cents >= CLEAR_VIBRATO_CENTS
        print(f"vibrato of {len(ratios)} notes: median ratio {np.median(ratios):.3f}, within 10 % in "
              f"{100 * np.mean(near):.0f} %; of {clear.sum()} of {CLEAR_VIBRATO_CENTS:.0f} cents and more, in "
              f"{100 * near[clear].sum() / max(1, clear.sum()):.0f} %")


def _shares(rows: Sequence[Row]) -> tuple[float, float]:
    """(f0 kept, f0 told) of all known frames together."""
    known = [row for row in rows if row.known_frames]
    weights = [row.known_frames for row in known]
    kept_share, told_share = (float(np.average([getattr(row, part) for row in known], weights=weights))
                              for part in ("f0_kept", "f0_told"))
    return kept_share, told_share


def _cells(loss: float, floor: float, level: float, f0_kept: float, f0_told: float) -> str:
    return (f"{loss:6.3f} {floor:6.3f} {loss / floor:6.3f} {level:6.2f} {100 * f0_kept:6.2f} "
            f"{100 * f0_told:6.2f}")


def main() -> None:
    """Measure the sets asked for and print a table of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings")
    parser.add_argument("--set", dest="sets", nargs="+", default=["test", "bach", "peers"],
                        choices=["train", "valid", "test", "bach", "peers"])
    parser.add_argument("--tracker", default="own")
    parser.add_argument("--limit", type=int, default=None, help="at most so many clips of a set")
    parser.add_argument("--means", action="store_true", help="print no line a clip")
    parser.add_argument("--picture", type=Path, help="draw the first clip of the first set here, and measure nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.picture is not None:
        picture(next(clips_of(arguments.sets[0], arguments.data)), arguments.tracker, arguments.picture)
        return
    for name in arguments.sets:
        rows = []
        for number, clip in enumerate(clips_of(name, arguments.data)):
            if arguments.limit is not None and number >= arguments.limit:
                break
            try:
                rows.append(measured(clip, arguments.tracker))
            except ValueError as error:
                print(f"{clip.name}: {error}")
        report(name, rows, not arguments.means)


if __name__ == "__main__":
    main()
