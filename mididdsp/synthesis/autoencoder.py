"""The autoencoder: what an instrument does, from fundamental and loudness alone.

A network of dense layers tells partials and noise of every frame from the features of ``synthesis.conditions``, in dB
re the loudness asked for. An instrument's body is a curve over frequency that all its notes share, added to the
partials where they lie: pitches outside the recorded range meet the same body. Then the level is put right: the
parameters have the loudness that was asked for, and the fundamental is the one that was asked for. Pitch and loudness
are therefore independent by construction.

Differences from the original (DDSP): fixed memories in place of a recurrent layer, so that frames can be learned in
any order; knots over the partial number in place of 60 or 100 partials; the loudness is met exactly; no z.

Source: Engel et al. 2020 (DDSP).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mididdsp.instruments import HIGHEST_PARTIAL_HZ, INSTRUMENTS
from mididdsp.synthesis.conditions import (
    CONDITION_RATE,
    LOUDNESS_WINDOW,
    QUIET_DB,
    condition_features,
    feature_count,
    loudness_of_parameters,
    pitch_of,
    windowed,
)
from mididdsp.synthesis.knots import KNOTS, knot_weights
from mididdsp.synthesis.types import Segment, SynthParams
from mididdsp.units import FRAME_RATE, SILENCE_DB

Array = NDArray[np.floating[Any]]

OUTPUT_SCALE = 10.0
"""Outputs of the network are dB over this."""

BODY_LOW_HZ, BODY_HIGH_HZ = 40.0, 20_000.0

COLOUR_HZ: Array = BODY_LOW_HZ * 2.0 ** (np.arange(28) / 3.0)
"""Third octaves at which a colour is measured."""

_CHUNK = 4096
_LARGEST_CORRECTION_DB = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderConfig:
    """Sizes of the network.

    Attributes:
        instruments: names of the table, in the order of the embedding.
        width: channels of the layers.
        blocks: residual layers after the first.
        embedding: channels of the instrument embedding; 0 where every instrument has a network of its own.
        body_points: of each instrument's curve over frequency, equally spaced in log frequency; 0 for none.
        lookahead: features see what is coming; without, the model can stream.
        dropout: after each layer while training: the recorded notes are few enough to be learned by heart.
        noise_bands: B.
    """

    instruments: tuple[str, ...]
    width: int
    blocks: int
    embedding: int
    body_points: int
    lookahead: bool
    dropout: float
    noise_bands: int

    def __post_init__(self) -> None:
        unknown = sorted(set(self.instruments) - set(INSTRUMENTS))
        if unknown or not self.instruments:
            raise ValueError(f"instruments holds {unknown or 'nothing'}; give names of the table of instruments")
        if min(self.width, self.noise_bands) < 1 or min(self.blocks, self.embedding, self.body_points) < 0:
            raise ValueError("a size of the autoencoder is below what it can be; give width and bands of at least 1")


class _Timbre(nn.Module):
    """Features [N, F], instruments [N] → outputs [N, K + B]; instruments share it, told apart by an embedding."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        outputs = len(KNOTS) + config.noise_bands
        count = len(config.instruments)
        self.entry = nn.Linear(feature_count(config.lookahead), config.width)
        self.layers = nn.ModuleList([nn.Linear(config.width, config.width) for _ in range(config.blocks)])
        self.exit = nn.Linear(config.width, outputs)
        self.dropout = nn.Dropout(config.dropout)
        self.instrument = nn.Embedding(count, config.embedding) if config.embedding else None
        if config.embedding:
            self.modulation = nn.Linear(config.embedding, 2 * config.width * (config.blocks + 1))
            self.base = nn.Linear(config.embedding, outputs, bias=False)
            nn.init.normal_(self.modulation.weight, std=0.1)

    def forward(self, features: Tensor, instrument: Tensor) -> Tensor:
        if self.instrument is None:
            hidden = self.dropout(nn.functional.silu(self.entry(features)))
            for layer in self.layers:
                hidden = hidden + self.dropout(nn.functional.silu(layer(hidden)))
            plain: Tensor = self.exit(hidden)
            return plain
        # the few instruments are encoded, not the many frames
        codes = self.instrument.weight
        modulation = self.modulation(codes).view(len(codes), len(self.layers) + 1, 2, -1)[instrument]
        hidden = self.entry(features) * (1.0 + modulation[:, 0, 0]) + modulation[:, 0, 1]
        hidden = self.dropout(nn.functional.silu(hidden))
        for index, layer in enumerate(self.layers, start=1):
            turned = layer(hidden) * (1.0 + modulation[:, index, 0]) + modulation[:, index, 1]
            hidden = hidden + self.dropout(nn.functional.silu(turned))
        result: Tensor = self.exit(hidden) + self.base(codes)[instrument]
        return result


class AutoencoderNetwork(nn.Module):
    """Timbre of every frame, in dB re its loudness over ``OUTPUT_SCALE``: knots of the partials, then noise bands."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        members = 1 if config.embedding else len(config.instruments)
        self.timbre = nn.ModuleList([_Timbre(config) for _ in range(members)])
        self.body = (
            nn.Parameter(torch.zeros(len(config.instruments), config.body_points)) if config.body_points else None
        )

    def forward(self, features: Tensor, instrument: Tensor) -> Tensor:
        """Features [N, F], instruments [N] (places in ``config.instruments``) → [N, K + B]."""
        if len(self.timbre) == 1:
            result: Tensor = self.timbre[0](features, instrument)
        else:
            result = features.new_zeros(len(features), len(KNOTS) + self.config.noise_bands)
            for index in torch.unique(instrument).tolist():
                rows = torch.nonzero(instrument == index).squeeze(-1)
                result = result.index_copy(0, rows, self.timbre[index](features[rows], instrument[rows]))
        return result if self.body is None else result + self._body(self.body, features, instrument)

    def of_one(self, features: Tensor, member: int) -> Tensor:
        """The same for frames of one instrument; features [T, F] → [T, K + B]."""
        rows = torch.full((len(features),), member)
        result: Tensor = self.timbre[member if len(self.timbre) > 1 else 0](features, rows)
        return result if self.body is None else result + self._body(self.body, features, rows)

    def _body(self, body: Tensor, features: Tensor, instrument: Tensor) -> Tensor:
        """Each instrument's curve read where the knots' partials lie; 0 for the noise bands; [N, K + B]."""
        low, step = body_grid(self.config.body_points)
        octaves = (pitch_of(features) - 69.0) / 12.0 - low
        number = torch.log2(torch.from_numpy(KNOTS)).to(features)
        place = ((octaves[:, None] + number) / step).clamp(0.0, self.config.body_points - 1.0)
        below = place.floor().long().clamp(max=self.config.body_points - 2)
        part = place - below
        row = instrument[:, None] * self.config.body_points + below
        flat = body.reshape(-1)
        read: Tensor = (1.0 - part) * flat[row] + part * flat[row + 1]
        return nn.functional.pad(read, (0, self.config.noise_bands))


def body_grid(points: int) -> tuple[float, float]:
    """(octaves of the body's first point above A4, octaves between its points)."""
    return float(np.log2(BODY_LOW_HZ / 440.0)), float(np.log2(BODY_HIGH_HZ / BODY_LOW_HZ)) / (points - 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Colour:
    """How one recording of an instrument differs from what was learned of it, whatever it plays.

    Make, microphone and place: what a z that stays the same for a whole recording would have to tell.

    Attributes:
        partials_db: gain of the partials at ``COLOUR_HZ``, linear in log frequency between them.
        noise_db: gain of each noise band; [B].
    """

    partials_db: Array
    noise_db: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timbre:
    """What the network says of a run of frames, in dB: knots [T, K] and noise bands [T, B], mean squares."""

    knots_db: Array
    noise_db: Array


class Autoencoder:
    """(f0, loudness) → parameters of an instrument.

    Args:
        network: trained.
        noise_edges_hz: edges of its noise bands.
        loudness_db: for each instrument of the network, loudness of its training frames at the quantiles
            ``QUANTILES``; [I, Q].
        pitch: for each instrument, the lowest and the highest pitch it was trained on and their median; [I, 3].
    """

    QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

    def __init__(
        self, network: AutoencoderNetwork, noise_edges_hz: tuple[float, ...], loudness_db: Array, pitch: Array
    ) -> None:
        self.network = network.eval()
        self.noise_edges_hz = noise_edges_hz
        self.loudness_db = np.asarray(loudness_db, np.float32)
        self.pitch = np.asarray(pitch, np.float32)

    @classmethod
    def from_checkpoint(cls, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> Autoencoder:
        """The autoencoder that :meth:`to_checkpoint` wrote; KeyError or RuntimeError when the tensors do not fit."""
        model = dict(card["model"])
        settings = dict(model["network"])
        settings["instruments"] = tuple(settings["instruments"])
        network = AutoencoderNetwork(AutoencoderConfig(**settings))
        network.load_state_dict(
            {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}
        )
        return cls(
            network,
            tuple(float(edge) for edge in model["noise_edges_hz"]),
            tensors["loudness_db"].numpy(),
            tensors["pitch"].numpy(),
        )

    def to_checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors, the card's ``model`` entry)."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {"loudness_db": torch.from_numpy(self.loudness_db), "pitch": torch.from_numpy(self.pitch)}
        return tensors, {"network": asdict(self.network.config), "noise_edges_hz": list(self.noise_edges_hz)}

    @property
    def instruments(self) -> tuple[str, ...]:
        """The instruments it knows."""
        return self.network.config.instruments

    def index(self, instrument: str) -> int:
        """Place of an instrument; ValueError where it is not known."""
        if instrument not in self.instruments:
            raise ValueError(f"this autoencoder knows no {instrument!r}; it knows {', '.join(self.instruments)}")
        return self.instruments.index(instrument)

    def timbre(self, instrument: str, f0_hz: Array, loudness_db: Array, colour: Colour | None = None) -> Timbre:
        """Partials and noise that have the loudness asked for.

        Args:
            instrument: one of ``instruments``.
            f0_hz: > 0; [T].
            loudness_db: A-weighted, as ``synthesis.conditions`` measures it; [T].
            colour: of a recording to sound like; the loudness stays what was asked.
        """
        member = self.index(instrument)
        lookahead = self.network.config.lookahead
        features = torch.from_numpy(condition_features(f0_hz, loudness_db, lookahead=lookahead))
        with torch.inference_mode():
            pieces = [self.network.of_one(piece, member).numpy() for piece in torch.split(features, _CHUNK)]
        output = np.concatenate(pieces) * OUTPUT_SCALE
        if colour is not None:
            place = np.log2(np.asarray(f0_hz)[:, None] * KNOTS)
            gain = np.interp(place, np.log2(COLOUR_HZ), colour.partials_db)
            bands = np.broadcast_to(colour.noise_db, (len(gain), len(colour.noise_db)))
            output = output + np.concatenate([gain, bands], axis=1)
        return self.conformed(output, f0_hz, loudness_db)

    def conformed(self, output: Array, f0_hz: Array, loudness_db: Array) -> Timbre:
        """The network's dB re loudness [T, K + B] as parameters whose loudness is what was asked.

        A model that looks ahead is put right through the window that loudness is measured with, so attacks keep the
        shape the network gives them; one that does not, frame by frame.
        """
        level = np.maximum(np.asarray(loudness_db, np.float64), QUIET_DB)[:, None]
        knots, noise = output[:, : len(KNOTS)] + level, output[:, len(KNOTS) :] + level
        found = loudness_of_parameters(f0_hz, knots, noise, self.noise_edges_hz)
        if self.network.config.lookahead:
            found = windowed(found)
        gain = np.clip(level[:, 0] - found, -_LARGEST_CORRECTION_DB, _LARGEST_CORRECTION_DB)[:, None]
        return Timbre(knots_db=knots + gain, noise_db=noise + gain)

    def params(
        self, instrument: str, f0_hz: Array, loudness_db: Array, *, colour: Colour | None = None, seed: int = 0
    ) -> SynthParams:
        """A whole sound, a segment for each stretch above ``QUIET_DB``; silence between them costs nothing.

        Arguments as :meth:`timbre`; ``seed`` is of the noise.
        """
        segments = tuple(
            segment_of(
                self.timbre(instrument, f0_hz[first:last], loudness_db[first:last], colour),
                f0_hz[first:last],
                start_s=first / FRAME_RATE,
                name=str(first),
            )
            for first, last in stretches(loudness_db)
        )
        return SynthParams(
            part=instrument,
            instrument=instrument,
            segments=segments,
            noise_edges_hz=self.noise_edges_hz,
            frame_rate=FRAME_RATE,
            seed=seed,
        )


def partial_peaks(knots_db: Array, f0_hz: Array, partials: int) -> NDArray[np.float32]:
    """Peak amplitudes of partials 1..H from the knots' mean squares; those from 20 kHz on are silent; [T, H]."""
    level = knots_db.astype(np.float32) @ _weights(partials)
    peak = np.float32(np.sqrt(2.0)) * np.power(np.float32(10.0), level / np.float32(20.0))
    number = np.arange(1, partials + 1)
    return np.asarray(peak * (np.asarray(f0_hz)[:, None] * number < HIGHEST_PARTIAL_HZ), dtype=np.float32)


def partial_count(lowest_hz: float) -> int:
    """Partials below 20 kHz of a fundamental, as far as the knots reach."""
    return int(np.clip(np.ceil(HIGHEST_PARTIAL_HZ / lowest_hz), 1, KNOTS[-1]))


@lru_cache(maxsize=64)
def _weights(partials: int) -> NDArray[np.float32]:
    return knot_weights(partials).T.astype(np.float32)


def segment_of(timbre: Timbre, f0_hz: Array, *, start_s: float, name: str) -> Segment:
    """Knots and noise as a segment, with the partials that its lowest pitch has below 20 kHz."""
    peak = partial_peaks(timbre.knots_db, f0_hz, partial_count(float(np.min(f0_hz))))
    total = peak.sum(1)
    return Segment(
        id=name,
        note_ids=(name,),
        start_s=start_s,
        f0_hz=np.asarray(f0_hz, np.float32),
        amplitude_db=(20.0 * np.log10(np.maximum(total, 10.0 ** (SILENCE_DB / 20.0)))).astype(np.float32),
        harmonics=(peak / np.maximum(total, 1e-30)[:, None]).astype(np.float32),
        noise_db=timbre.noise_db.astype(np.float32),
    )


def stretches(loudness_db: Array, gap_s: float = 0.25) -> Iterator[tuple[int, int]]:
    """Runs of frames (first, after the last) that sound; silences shorter than ``gap_s`` do not part them."""
    margin = int(LOUDNESS_WINDOW / CONDITION_RATE * FRAME_RATE)
    sounding = np.flatnonzero(np.asarray(loudness_db) > QUIET_DB)
    if not len(sounding):
        return
    cuts = np.flatnonzero(np.diff(sounding) > max(gap_s * FRAME_RATE, 2 * margin))
    firsts, lasts = [sounding[0], *sounding[cuts + 1]], [*sounding[cuts], sounding[-1]]
    for first, last in zip(firsts, lasts):
        yield max(0, int(first) - margin), min(len(loudness_db), int(last) + 1 + margin)
