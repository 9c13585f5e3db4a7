"""The recipe of the autoencoder: frames of recordings → partials and noise from fundamental and loudness alone.

It learns in two stages. First from analysed parameters: nothing has to be rendered, and frames of all instruments are
mixed in one step. Then, with ``sound``, through the synthesizer as well (``training.resynthesis``).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mididdsp.checkpoints import load_checkpoint, save_checkpoint
from mididdsp.data.recordings import philharmonia
from mididdsp.data.sounding_frames import SoundingFrames, frames_of_recording, sounding_frames
from mididdsp.instruments import INSTRUMENTS
from mididdsp.random import keyed_generator
from mididdsp.synthesis.analysis import NOISE_EDGES_HZ
from mididdsp.synthesis.autoencoder import OUTPUT_SCALE, Autoencoder, AutoencoderConfig, AutoencoderNetwork
from mididdsp.synthesis.conditions import condition_features, windowed
from mididdsp.synthesis.knots import KNOTS
from mididdsp.training.loop import CURVE_FILE, TrainingError, train
from mididdsp.training.recipes import device, fixed_part, loop_settings, save_config
from mididdsp.training.resynthesis import Excerpts, resynthesis_loss, sound_clip
from mididdsp.units import FRAME_RATE, hz_to_midi

ATTRIBUTION = "Trained on samples of the Philharmonia Orchestra's players (CC BY-SA 3.0, philharmonia.co.uk)."
SHARE_POWER = 0.7
"""An instrument's share of the frames grows with what is known of it to this power: small sets count for more."""

_RECORDINGS = "recordings"
_SOUNDING_DB = -55.0
_NOISE_SMOOTHING = 9  # frames: one frame's estimate of noise scatters, and its mean in dB lies below its power
_STEADY_DB = 3.0
_VALID_FRAMES = 16_384
_VALID_EXCERPTS = 24
_PARAMETER_TENSORS = 4  # of a batch; what follows is sound, and the seed of its noise
_NO_LINE = ("trill", "tremolo", "glissando", "pizz")  # styles that are no ordinary playing, or decay


class FrameSet:
    """Frames of many recordings in one place, with features, targets and weights; batches are functions of the step.

    Args:
        runs: at least one of them with a frame to be trusted.
        instruments: names, in the order of the network.
        lookahead: of the features.
    """

    def __init__(self, runs: Sequence[SoundingFrames], instruments: Sequence[str], *, lookahead: bool) -> None:
        self.instruments = tuple(instruments)
        rows = [_rows(run, lookahead) for run in runs]
        self.features = np.concatenate([row[0] for row in rows])
        self.targets = np.concatenate([row[1] for row in rows])
        self.weights = np.concatenate([row[2] for row in rows])
        member = np.concatenate(
            [np.full(len(row[0]), self.instruments.index(run.instrument)) for run, row in zip(runs, rows)]
        )
        self.groups = [np.flatnonzero(member == index) for index in range(len(self.instruments))]
        share = np.array([len(group) for group in self.groups], np.float64) ** SHARE_POWER
        self.share = share / share.sum()

    def batch(self, size: int, *key: str, seed: int) -> tuple[Tensor, ...]:
        """(features, instruments, targets, weights) of frames drawn by that key."""
        random = keyed_generator(seed, "autoencoder batch", *key)
        counts = random.multinomial(size, self.share)
        chosen = np.concatenate(
            [group[random.integers(0, len(group), count)] for group, count in zip(self.groups, counts) if count]
        )
        member = np.repeat(np.arange(len(counts)), counts)
        return (
            torch.from_numpy(self.features[chosen].astype(np.float32)),
            torch.from_numpy(member),
            torch.from_numpy(self.targets[chosen].astype(np.float32)),
            torch.from_numpy(self.weights[chosen].astype(np.float32)),
        )


def _rows(run: SoundingFrames, lookahead: bool) -> tuple[NDArray[np.float16], ...]:
    """(features, targets, weights) of the frames of a run that are to be trusted; targets are dB re loudness over 10.

    What lies 70 dB and more below the loudness counts little, and so does what is nearly silent.
    """
    chosen = np.flatnonzero(run.weight > 0)
    features = condition_features(run.f0_hz, run.loudness_db, lookahead=lookahead)[chosen]
    loudness = run.loudness_db.astype(np.float64)
    held = 10.0 * np.log10(_smoothed(10.0 ** (run.noise_db.astype(np.float64) / 10.0)))
    steady = np.abs(loudness - windowed(windowed(loudness))) < _STEADY_DB
    noise = np.where(steady[:, None], held, run.noise_db)
    target = np.concatenate([run.knots_db, noise], axis=1)[chosen] - loudness[chosen, None]
    audible = 0.1 + 0.9 / (1.0 + np.exp(-(target + 70.0) / 6.0))
    known = np.concatenate([run.known, np.ones(noise.shape, bool)], axis=1)[chosen]
    loud = 0.1 + 0.9 / (1.0 + np.exp(-(loudness[chosen] + 75.0) / 5.0))
    weight = known * audible * (loud * run.weight[chosen])[:, None]
    target = np.where(known, np.maximum(target, -110.0), 0.0) / OUTPUT_SCALE
    return features.astype(np.float16), target.astype(np.float16), weight.astype(np.float16)


def _smoothed(power: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.ndimage import uniform_filter1d

    return np.asarray(np.maximum(uniform_filter1d(power, _NOISE_SMOOTHING, axis=0, mode="nearest"), 1e-14))


def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Smooth absolute error in dB, partials and noise; its minimum is a median, not a blur of extremes."""
    place = next(model.parameters()).device
    features, member, targets, weights = (tensor.to(place) for tensor in batch)
    error = nn.functional.smooth_l1_loss(model(features, member), targets, beta=0.1, reduction="none")
    error = error * weights * OUTPUT_SCALE
    knots = len(KNOTS)

    def mean(columns: slice) -> Tensor:
        return error[:, columns].sum() / weights[:, columns].sum().clamp_min(1e-6)

    partials, noise = mean(slice(0, knots)), mean(slice(knots, None))
    return {"loss": partials + noise, "partials": partials, "noise": noise}


def statistics(runs: Sequence[SoundingFrames], instruments: Sequence[str]) -> tuple[NDArray[np.float32], ...]:
    """(loudness at ``Autoencoder.QUANTILES`` [I, Q], lowest, highest and median pitch [I, 3]) of what sounds."""
    levels, pitches = [], []
    for name in instruments:
        mine = [run for run in runs if run.instrument == name]
        loudness = np.concatenate([run.loudness_db[run.weight > 0] for run in mine])
        pitch = hz_to_midi(np.concatenate([run.f0_hz[run.weight > 0] for run in mine]))
        sounding = loudness > min(_SOUNDING_DB, float(np.median(loudness)))
        levels.append(np.quantile(loudness[sounding], Autoencoder.QUANTILES))
        pitches.append([*np.quantile(pitch[sounding], (0.005, 0.995)), np.median(pitch[sounding])])
    return np.array(levels, np.float32), np.array(pitches, np.float32)


def run(config: Mapping[str, Any]) -> Path:
    """Train by ``configs/autoencoder`` and write the checkpoint; returns its folder."""
    out, settings = Path(config["out"]), loop_settings(config)
    runs = _runs(config)
    asked = config["instruments"]
    present = {one.instrument for one in runs["train"]}
    names = [name for name in INSTRUMENTS if name in (asked or present)]
    missing = sorted({*(asked or ()), *names} - present)
    if missing or not names:
        raise TrainingError(
            f"{config['data']} holds no training frames of {', '.join(missing) or 'any instrument'}; "
            "prepare it from more recordings, or name other instruments"
        )
    runs = {split: [one for one in members if one.instrument in names] for split, members in runs.items()}
    if not runs["valid"]:
        raise TrainingError(f"{config['data']} holds no frames of the valid split; prepare it from more recordings")
    save_config(config, out)
    bands = runs["train"][0].noise_db.shape[1]
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        network = AutoencoderNetwork(AutoencoderConfig(instruments=tuple(names), noise_bands=bands, **config["model"]))
    if config["start"] is not None:
        started = load_checkpoint(Path(config["start"]), level="autoencoder")
        network.load_state_dict(Autoencoder.from_checkpoint(started.tensors, started.card).network.state_dict())
    network.to(device(config["device"]))
    lookahead = network.config.lookahead
    learned = FrameSet(runs["train"], names, lookahead=lookahead)
    there = [name for name in names if any(one.instrument == name for one in runs["valid"])]
    held_out = FrameSet(runs["valid"], there, lookahead=lookahead)
    edges_hz = NOISE_EDGES_HZ[: bands + 1]
    loudness, pitch = statistics(runs["train"], names)
    middle = dict(zip(names, loudness[:, Autoencoder.QUANTILES.index(0.5)].tolist()))
    excerpts = {split: _excerpts(config, split, names, middle, lookahead) for split in ("train", "valid")}
    place = torch.tensor([names.index(name) for name in there])
    features, member, targets, weights = held_out.batch(_VALID_FRAMES, "valid", seed=1)
    fixed: tuple[Tensor, ...] = (features, place[member], targets, weights)

    def both(model: nn.Module, batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Of parameters, and of sound where the batch holds excerpts."""
        parts = loss(model, batch[:_PARAMETER_TENSORS])
        if len(batch) == _PARAMETER_TENSORS:
            return parts
        assert isinstance(model, AutoencoderNetwork)
        place = next(model.parameters()).device
        excerpt = tuple(tensor.to(place) for tensor in batch[_PARAMETER_TENSORS:-1])
        sound = resynthesis_loss(model, excerpt, edges_hz=edges_hz, seed=int(batch[-1]))
        return {**parts, "sound": sound, "loss": sound + config["parameters_weight"] * parts["loss"]}

    def batch(step: int) -> tuple[Tensor, ...]:
        frames = learned.batch(config["batch"], str(step), seed=settings.seed)
        heard = excerpts["train"]
        if heard is None:
            return frames
        sound = heard.batch(config["excerpts"], str(step), seed=settings.seed)
        return (*frames, *sound, torch.tensor(step + 1))

    if excerpts["valid"] is not None:
        fixed = (*fixed, *excerpts["valid"].batch(_VALID_EXCERPTS, "valid", seed=1), torch.tensor(0))

    def validate(model: nn.Module) -> dict[str, float]:
        return {name: float(value) for name, value in both(model, fixed).items()}

    result = train(
        network,
        batch,
        both,
        settings,
        out,
        validate=validate,
        recipe=fixed_part(config),
        quiet=config["quiet"],
    )
    network.cpu()
    tensors, model = Autoencoder(network, edges_hz, loudness, pitch).to_checkpoint()
    frames = {name: sum(len(one.f0_hz) for one in runs["train"] if one.instrument == name) for name in names}
    minutes = {name: round(count / FRAME_RATE / 60.0, 1) for name, count in frames.items()}
    parameters = sum(value.numel() for value in network.parameters())
    save_checkpoint(
        out / "checkpoint",
        tensors,
        {
            "level": "autoencoder",
            "model": model,
            "recipe": config["command"],
            "data": {
                "name": "made-up sounds"
                if config["made_up"]
                else "single notes and phrases of the Philharmonia Orchestra's players",
                "recordings": sorted({one.item for one in runs["train"] if one.item.startswith(_RECORDINGS)}),
                "train_minutes": minutes,
            },
            "figures": {
                "steps": result.step,
                "kept_step": result.valid_step,
                "minutes": round(result.seconds / 60.0, 1),
                "parameters": parameters,
                "networks": len(network.timbre),
                "valid": {name: round(value, 4) for name, value in result.valid.items()},
            },
            "licence": "CC BY-SA 4.0",
            "attribution": ATTRIBUTION,
            "settings": fixed_part(config),
        },
        half=config["half"],
    )
    shutil.copyfile(out / CURVE_FILE, out / "checkpoint" / CURVE_FILE)
    return out / "checkpoint"


def _runs(config: Mapping[str, Any]) -> dict[str, list[SoundingFrames]]:
    if config["made_up"]:
        return {split: made_up_runs(8, seed) for seed, split in enumerate(("train", "valid"))}
    runs = {split: sounding_frames(Path(config["data"]), split) for split in ("train", "valid")}
    if config["recordings"] is not None:
        runs["train"] += _whole_recordings(Path(config["recordings"]))
    return runs


def _excerpts(
    config: Mapping[str, Any], split: str, names: Sequence[str], middle: Mapping[str, float], lookahead: bool
) -> Excerpts | None:
    """The phrases of a split as they sound, and the whole recordings to learn from; None where none are asked for.

    Without phrases held out, what is validated is the error in the parameters alone.
    """
    if config["sound"] is None:
        return None
    folder = Path(config["sound"])
    chosen = [(one.path, one.instrument, one.item) for one in philharmonia(folder)
              if one.kind == "phrase" and one.split == split and not any(word in one.style for word in _NO_LINE)]
    if config["recordings"] is not None and split == "train":
        chosen += [(path, path.parent.name, f"{_RECORDINGS}/{path.name}")
                   for path in sorted(Path(config["recordings"]).glob("*/*"))]
    clips = [clip for path, instrument, item in chosen if instrument in names
             for clip in sound_clip(path, instrument, median_db=middle[instrument], lookahead=lookahead, item=item)]
    if not clips and split == "train":
        raise TrainingError(f"{folder} holds no phrases to learn from in which {', '.join(names)} can be heard; "
                            "give the folder that the dataset was prepared from")
    return Excerpts(clips, names, SHARE_POWER) if clips else None


def _whole_recordings(folder: Path) -> list[SoundingFrames]:
    """What is in the folders of instruments; files that are no audio are an error, not a surprise later."""
    files = sorted(path for path in folder.glob("*/*") if path.is_file())
    unknown = sorted({path.parent.name for path in files} - set(INSTRUMENTS))
    if unknown or not files:
        raise TrainingError(
            f"{folder} has {'a folder ' + repr(unknown[0]) if unknown else 'no recordings'}; put "
            "recordings into folders named after instruments (see mididdsp instruments)"
        )
    return [
        run for path in files for run in frames_of_recording(path, path.parent.name, item=f"{_RECORDINGS}/{path.name}")
    ]


def made_up_runs(count: int, seed: int) -> list[SoundingFrames]:
    """Swelling harmonic tones of random pitch: enough to run the recipe, nothing to learn."""
    result = []
    bands = len(NOISE_EDGES_HZ) - 1
    for number in range(count):
        random = keyed_generator(seed, "made-up run", str(number))
        frames = 200
        level = -26.0 - 30.0 * np.cos(np.linspace(0.0, 2 * np.pi, frames)) ** 2
        knots = level[:, None] - 3.0 * np.arange(len(KNOTS)) + random.normal(0, 1, (frames, len(KNOTS)))
        result.append(
            SoundingFrames(
                item=str(number),
                instrument=list(INSTRUMENTS)[number % 4],
                f0_hz=np.full(frames, random.uniform(100.0, 800.0), np.float32),
                loudness_db=level.astype(np.float32),
                knots_db=knots.astype(np.float32),
                known=np.ones(knots.shape, bool),
                noise_db=(level[:, None] - 40.0 + random.normal(0, 1, (frames, bands))).astype(np.float32),
                weight=np.ones(frames, np.float32),
            )
        )
    return result
