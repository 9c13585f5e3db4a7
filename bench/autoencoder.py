"""The autoencoder: recordings told by fundamental and loudness alone, and how near their sound comes.

    python -m bench.autoencoder --data DATA [--split test] [--each 2] [--violin CHECKPOINT] [--own-only | --peers-only]
    python -m bench.autoencoder --data DATA --parts [--each 2]     # which part of the parameters costs how much; valid

The measure is the multi-scale spectral loss of ``bench.roundtrip`` at 16 kHz, dry, recordings scaled to -20 dB RMS.

* peers: three published clips with what published systems, trained on recordings of the same players, made of them
  (Hayes et al. 2021). Ours never heard those players.
* own: held-out phrases of the players who were learned.
* analysed: not the autoencoder but the partials at the knots and the noise bands measured in the recording itself:
  the most that its parameters can say.
* coloured: the autoencoder with the colour (``Colour``: one gain a third octave and one a noise band) measured in the
  first half of each recording; these tables are of the second halves.
* violin: a model of at most 13 minutes of violin beside the one of all instruments.
* stream: the tiny model in blocks of 20 ms, against the same frames rendered at once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from bench.roundtrip import PUBLISHED, RATE, Clip, clips_of, rendered, spectral_loss, to_minus_20
from mididdsp.audio_stream import recording_of
from mididdsp.checkpoints import CheckpointError, resolve
from mididdsp.synthesis.analysis import ANALYSIS_RATE, NOISE_EDGES_HZ, analyse_with_f0
from mididdsp.synthesis.autoencoder import Autoencoder, Colour, Timbre, segment_of
from mididdsp.synthesis.knots import partials_to_knots
from mididdsp.synthesis.render import render_segment
from mididdsp.synthesis.streaming import AutoencoderStream
from mididdsp.synthesis.types import SynthParams
from mididdsp.transfer import Heard, TransferError, colour_of, fit, listen, load_autoencoder

Float32 = NDArray[np.float32]
Row = tuple[Clip, list[float], list[float]]

SHIPPED = ("autoencoder-tiny", "autoencoder")
LONGEST_S = 6.0
SHORTEST_S = 2.0
BLOCK_FRAMES = 5
STREAMED_S = 20.0


def shipped() -> dict[str, Autoencoder]:
    """The autoencoders of the package by name."""
    found = {}
    for name in SHIPPED:
        try:
            found[name] = load_autoencoder(resolve(name))
        except CheckpointError:
            continue
    return found


def parameters(autoencoder: Autoencoder) -> int:
    """Of the network that one instrument needs."""
    network = autoencoder.network
    count = sum(value.numel() for value in network.parameters())
    return count // len(network.timbre)


def resynthesis(
    autoencoder: Autoencoder, clip: Clip, heard: Heard, colour: Colour | None = None, fitted: Heard | None = None
) -> Float32:
    """What the autoencoder makes of a recording's fundamental and loudness, at the recording's level.

    It plays at the level that it was trained at, and is then moved back; how far, is fitted to what was heard of the
    recording, or of the stretch of it that the colour is from.
    """
    moved = fit(fitted or heard, autoencoder, clip.instrument, octaves=0).gain_db
    timbre = autoencoder.timbre(clip.instrument, heard.f0_hz, heard.loudness_db + moved, colour)
    return sound(
        Timbre(knots_db=timbre.knots_db - moved, noise_db=timbre.noise_db - moved),
        clip,
        heard,
        autoencoder.noise_edges_hz,
    )


def analysed(clip: Clip, heard: Heard) -> Float32:
    """The recording's own partials and noise, as the autoencoder could at best tell them."""
    return sound(timbre_of(clip, heard), clip, heard, NOISE_EDGES_HZ)


def timbre_of(clip: Clip, heard: Heard) -> Timbre:
    """Partials and noise bands measured in the recording."""
    import soxr

    audio = soxr.resample(clip.audio, RATE, ANALYSIS_RATE).astype(np.float64)
    found = analyse_with_f0(audio, heard.f0_hz.astype(np.float64), heard.voiced)
    knots, _ = partials_to_knots(found.partials**2 / 2.0)
    count = len(heard.f0_hz)
    return Timbre(knots_db=knots[:count], noise_db=found.noise_db[:count])


def parts(clips: Iterator[Clip], autoencoder: Autoencoder) -> dict[str, float]:
    """Mean loss where parts of what the autoencoder says are replaced by what was measured in the recording."""
    found: dict[str, list[float]] = {}
    for clip in clips:
        try:
            heard = listen(recording_of(clip.audio, RATE, name=clip.name))
        except TransferError:
            continue
        true = timbre_of(clip, heard)
        count = len(true.knots_db)
        heard = Heard(f0_hz=heard.f0_hz[:count], voiced=heard.voiced[:count], loudness_db=heard.loudness_db[:count])
        moved = fit(heard, autoencoder, clip.instrument, octaves=0).gain_db
        said = autoencoder.timbre(clip.instrument, heard.f0_hz, heard.loudness_db + moved)
        knots, noise = said.knots_db - moved, said.noise_db - moved
        away = np.clip(true.knots_db - knots, -40.0, 40.0)
        pitch = np.rint(12.0 * np.log2(heard.f0_hz / 440.0))
        each = np.empty_like(away)
        for one in np.unique(pitch):
            each[pitch == one] = np.median(away[pitch == one], axis=0)
        variants = {
            "as the autoencoder says": (knots, noise),
            "constant error of the partials put right": (knots + np.median(away[heard.sounding], axis=0), noise),
            "constant error at each pitch put right": (knots + each, noise),
            "error slower than 0.3 s put right": (knots + uniform_filter1d(away, 75, axis=0), noise),
            "error slower than 0.1 s put right": (knots + uniform_filter1d(away, 25, axis=0), noise),
            "partials as measured": (true.knots_db, noise),
            "noise as measured": (knots, true.noise_db),
            "between notes as measured": (np.where(heard.sounding[:, None], knots, true.knots_db),
                                          np.where(heard.sounding[:, None], noise, true.noise_db)),
            "both as measured": (true.knots_db, true.noise_db)}
        for name, (partials, bands) in variants.items():
            made = sound(Timbre(knots_db=partials, noise_db=bands), clip, heard, autoencoder.noise_edges_hz)
            found.setdefault(name, []).extend(losses(clip, [made]))
    return {name: float(np.mean(values)) for name, values in found.items()}


def sound(timbre: Timbre, clip: Clip, heard: Heard, edges_hz: tuple[float, ...]) -> Float32:
    """Parameters of a whole clip as dry sound at 16 kHz."""
    segment = segment_of(timbre, heard.f0_hz, start_s=0.0, name="0")
    params = SynthParams(part=clip.name, instrument=clip.instrument, segments=(segment,), noise_edges_hz=edges_hz)
    return rendered(params, len(clip.audio), seed=1)


def losses(clip: Clip, made: Sequence[Float32], first: int = 0) -> list[float]:
    """The measure of each from a sample on; the gain is that of the whole recording."""
    gain = np.float32(to_minus_20(clip.audio))
    return [
        spectral_loss(clip.audio[first:] * gain, np.pad(one, (0, len(clip.audio)))[first : len(clip.audio)] * gain)
        for one in made
    ]


def rows(clips: Iterator[Clip], models: dict[str, Autoencoder]) -> Iterator[Row]:
    """(clip, whole: published, analysed, models; second half: published, analysed, models, coloured models)."""
    for clip in clips:
        try:
            heard = listen(recording_of(clip.audio, RATE, name=clip.name))
            half = len(clip.audio) // 2
            start = recording_of(clip.audio[:half], RATE, name=clip.name)
            began = listen(start)
            best = analysed(clip, heard)
            plain = [resynthesis(model, clip, heard) for model in models.values()]
            coloured = [
                resynthesis(model, clip, heard, colour_of(start, model, clip.instrument, heard=began), began)
                for model in models.values()
            ]
        except TransferError:
            continue
        yield (
            clip,
            losses(clip, [*clip.published, best, *plain]),
            losses(clip, [*clip.published, best, *plain, *coloured], first=half),
        )


def own_clips(data: Path, split: str, each: int, only: str | None = None) -> Iterator[Clip]:
    """The first phrases of each instrument that are long enough, cut to ``LONGEST_S``."""
    taken: dict[str, int] = {}
    for clip in clips_of(split, data):
        if len(clip.audio) < SHORTEST_S * RATE or only not in (None, clip.instrument):
            continue
        taken[clip.instrument] = taken.get(clip.instrument, 0) + 1
        if taken[clip.instrument] <= each:
            yield replace(clip, audio=clip.audio[: int(LONGEST_S * RATE)])


def table(title: str, others: Sequence[str], names: Sequence[str], found: Sequence[Row]) -> None:
    """A line a clip and the mean, first of the whole clips, then of their second halves with colours.

    The last of ``others`` is what the parameters could say at best; the means are shown over its mean too.
    """
    print(f"\n{title}")
    coloured = [f"{name} coloured" for name in names]
    clips, wholes, halves = zip(*found)
    for figures, what, heads in (
        (wholes, "fundamental and loudness alone", [*others, *names]),
        (halves, "second half, coloured by the first", [*others, *names, *coloured]),
    ):
        print(f"\n| {what} | {' | '.join(heads)} |")
        print(f"|---|{'---|' * len(heads)}")
        for clip, values in zip(clips, figures):
            print(f"| {clip.name[:44]} | {' | '.join(f'{value:.2f}' for value in values)} |")
        means = np.mean(figures, axis=0)
        print(f"| mean | {' | '.join(f'{value:.2f}' for value in means)} |")
        best = means[len(others) - 1]
        print(f"| mean over analysed | {' | '.join(f'{value / best:.2f}' for value in means)} |", flush=True)


def streamed(autoencoder: Autoencoder, instrument: str) -> tuple[float, float]:
    """(worst difference from the offline sound re its peak, seconds of sound a second of work) at 48 kHz."""
    time_s = np.arange(int(STREAMED_S * 250)) / 250.0
    low, high, _ = autoencoder.pitch[autoencoder.index(instrument)]
    pitch = low + (high - low) * (0.5 - 0.4 * np.cos(2 * np.pi * time_s / 7.0)) + 0.2 * np.sin(2 * np.pi * 5.5 * time_s)
    f0 = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    level = -30.0 + 10.0 * np.sin(2 * np.pi * time_s / 3.0)
    whole = segment_of(autoencoder.timbre(instrument, f0.astype(np.float32), level), f0, start_s=0.0, name="0")
    _, offline = render_segment(whole, noise_edges_hz=autoencoder.noise_edges_hz, sample_rate=48_000, seed=0)
    best = np.inf
    for _ in range(3):
        stream = AutoencoderStream(autoencoder, instrument)
        blocks = []
        began = time.process_time()
        for first in range(0, len(f0), BLOCK_FRAMES):
            blocks.append(stream.play(f0[first : first + BLOCK_FRAMES], level[first : first + BLOCK_FRAMES]))
        blocks.append(stream.end())
        best = min(best, time.process_time() - began)
    difference = np.abs(np.concatenate(blocks) - offline).max() / np.abs(offline).max()
    return float(difference), STREAMED_S / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with split.csv, philharmonia/ and peers/")
    parser.add_argument("--split", default="test", choices=("valid", "test"))
    parser.add_argument("--each", type=int, default=1, help="held-out phrases of each instrument")
    parser.add_argument("--violin", type=Path, help="a checkpoint of at most 13 minutes of violin")
    parser.add_argument("--parts", action="store_true", help="what each part costs, on split valid, and nothing else")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--own-only", action="store_true")
    only.add_argument("--peers-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    models = shipped()
    if arguments.parts:
        for name, value in parts(own_clips(arguments.data, "valid", arguments.each), models["autoencoder"]).items():
            print(f"| {name} | {value:.2f} |")
        return
    short = [name.replace("autoencoder-", "").replace("autoencoder", "small") for name in models]
    print("| model | parameters of one instrument's network |\n|---|---|")
    for name, model in models.items():
        print(f"| {name} | {parameters(model):,} |")
    if not arguments.own_only:
        table("Peers", [*PUBLISHED, "analysed"], short, list(rows(clips_of("peers", arguments.data), models)))
    if not arguments.peers_only:
        clips = own_clips(arguments.data, arguments.split, arguments.each)
        table(f"Own, split {arguments.split}", ["analysed"], short, list(rows(clips, models)))
    if arguments.violin is not None:
        versus = {
            **{name: models[name] for name in models if name != "autoencoder-tiny"},
            "violin": load_autoencoder(arguments.violin),
        }
        clips = own_clips(arguments.data, arguments.split, 2 * arguments.each, "violin")
        bach = list(clips_of("bach", arguments.data))[:2] if arguments.split == "test" else []
        pieces = [
            *clips,
            *(replace(clip, audio=clip.audio[: int(LONGEST_S * RATE)]) for clip in bach),
            *(clip for clip in clips_of("peers", arguments.data) if clip.instrument == "violin"),
        ]
        pieces = [replace(clip, published=()) for clip in pieces]
        table("Violin", ["analysed"], [*short[1:], "violin"], list(rows(iter(pieces), versus)))
    if "autoencoder-tiny" in models:
        difference, speed = streamed(models["autoencoder-tiny"], "violin")
        print(
            f"\nstream of {1000 * BLOCK_FRAMES / 250:.0f} ms blocks at 48 kHz: {speed:.0f}x real time on one core, "
            f"within {difference:.1e} of the offline sound's peak"
        )


if __name__ == "__main__":
    main()
