"""Timbre transfer: what one instrument or voice plays, in the sound of another, by fundamental and loudness.

``listen`` hears fundamental, voicing and loudness; ``fit`` chooses octave and level so that the other instrument plays
where it was trained; ``transferred`` gives the synthesis parameters, which render like any others.

What is heard as unpitched (breath, consonants, bow noise) is lowered, and what lies far below the music is silence:
the instrument has no sound for it.

Source: Engel et al. 2020 (DDSP).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.audio_stream import Recording, Window, recording_of
from mididdsp.contours import PIECE_S, Progress, track_recording
from mididdsp.synthesis.analysis import ANALYSIS_RATE, CONTENT_HZ, analyse_with_f0
from mididdsp.synthesis.autoencoder import COLOUR_HZ, Autoencoder, Colour
from mididdsp.synthesis.conditions import CONDITION_HOP, CONDITION_RATE, LOUDNESS_WINDOW, QUIET_DB, loudness_within
from mididdsp.synthesis.knots import KNOTS, partials_to_knots
from mididdsp.synthesis.types import SynthParams
from mididdsp.units import FRAME_RATE, hz_to_midi

Array = NDArray[np.floating[Any]]

OCTAVES = range(-4, 5)
"""Octaves that are tried."""

LEAST_PITCHED_S = 0.03

COLOUR_S = 60.0
"""A minute of an instrument tells its colour."""

UNPITCHED_DROP_DB = 24.0
GATE_DB = 60.0
"""What is this far below the loudest is on its way to silence, three times as fast as it falls."""

_GATE_SLOPE = 3.0
_BAND_SHARE = 0.95  # of Nyquist: above it resamplers and codecs cut
_LARGEST_COLOUR_DB = 12.0  # makes and microphones differ by no more; what does is how it was played
_AUDIBLE_DB = 60.0
_LEAST_FRAMES = 25
_VOICING_SMOOTHING_S = 0.04
_SOUNDING_DB = 35.0  # below the top: what counts for the choice of octave and level
_TOP_SHARE = 0.995
_EDGE_SEMITONES = 1.0
_STRAY_POWER, _STRAY_SEMITONES, _STRAY_SHARE = 1e-3, 12.0, 0.05
_KEPT_SHARE = 0.95  # an octave that holds this much of the music is good enough to be chosen for being near


class TransferError(ValueError):
    """A sound cannot be transferred; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """What was heard, 250 frames a second.

    Attributes:
        f0_hz: fundamental, held where there is none; [T].
        voiced: it was heard; bool [T].
        loudness_db: as ``synthesis.conditions`` measures it; [T].
    """

    f0_hz: Array
    voiced: NDArray[np.bool_]
    loudness_db: Array

    @property
    def sounding(self) -> NDArray[np.bool_]:
        """Pitched and not far below the top."""
        return self.voiced & (self.loudness_db > self.top_db - _SOUNDING_DB)

    @property
    def top_db(self) -> float:
        """Loudness that is hardly exceeded."""
        return float(np.quantile(self.loudness_db, _TOP_SHARE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a sound was moved to where an instrument plays.

    Attributes:
        octaves: up, or down if below 0.
        gain_db: added to the loudness.
        inside: share of the music that then lies in the pitch range of training, 0 to 1.
    """

    octaves: int
    gain_db: float
    inside: float


def listen(recording: Recording, *, progress: Progress | None = None) -> Heard:
    """Fundamental, voicing and loudness of a recording, read in pieces.

    Args:
        recording: of one voice or instrument; see ``audio_stream``.
        progress: told the share done.

    Raises:
        AudioFileError: it is damaged or silent.
        TransferError: it has no pitch.
    """
    contours = track_recording(recording, progress=progress)
    loudness = _loudness(recording)
    count = min(len(contours), len(loudness))
    heard = Heard(f0_hz=contours.f0_hz[:count], voiced=contours.voiced[:count], loudness_db=loudness[:count])
    if heard.sounding.sum() < LEAST_PITCHED_S * FRAME_RATE:
        raise TransferError(
            f"no pitch was heard in {recording.name}; transfer needs one voice or instrument that sings or plays"
        )
    return without_strays(heard)


def without_strays(heard: Heard) -> Heard:
    """The same with no pitch where it is no part of the music: mains hum between the notes, say.

    Such pitches lie more than an octave outside what holds nearly all of the power, and are rare.
    """
    sounding = np.flatnonzero(heard.sounding)
    pitch = hz_to_midi(np.asarray(heard.f0_hz, np.float64))
    order = sounding[np.argsort(pitch[sounding])]
    power = np.cumsum(10.0 ** (np.asarray(heard.loudness_db, np.float64)[order] / 10.0))
    low, high = pitch[order[np.searchsorted(power, np.array([_STRAY_POWER, 1.0 - _STRAY_POWER]) * power[-1])]]
    far = (pitch < low - _STRAY_SEMITONES) | (pitch > high + _STRAY_SEMITONES)
    if not far.any() or far[sounding].mean() > _STRAY_SHARE:
        return heard
    near = np.flatnonzero(~far)
    held = near[np.maximum(np.searchsorted(near, np.arange(len(far)), side="right") - 1, 0)]
    return Heard(f0_hz=heard.f0_hz[held], voiced=heard.voiced & ~far, loudness_db=heard.loudness_db)


def _loudness(recording: Recording) -> Array:
    """Loudness frame by frame to the end of the recording; [T]."""
    window = Window(recording, CONDITION_RATE)
    step, margin = int(PIECE_S * FRAME_RATE), LOUDNESS_WINDOW // 2
    pieces = []
    first = 0
    while window.end is None or first * CONDITION_HOP <= window.end:
        start = first * CONDITION_HOP - margin
        pieces.append(loudness_within(window.read(start, start + (step - 1) * CONDITION_HOP + LOUDNESS_WINDOW)))
        first += step
    return np.concatenate(pieces)[: window.end // CONDITION_HOP + 1]


def fit(
    heard: Heard, autoencoder: Autoencoder, instrument: str, *, octaves: int | None = None, gain_db: float | None = None
) -> Fit:
    """Octave and level that bring a sound to where an instrument was trained.

    Args:
        heard: what ``listen`` heard.
        autoencoder: that will play.
        instrument: one that it knows.
        octaves: instead of the choice: the nearest octave that holds nearly all of the music, or most of it.
        gain_db: instead of the choice: median to the median of training.

    Raises:
        ValueError: the instrument is not known.
    """
    member = autoencoder.index(instrument)
    low, high, _ = autoencoder.pitch[member]
    pitch = hz_to_midi(heard.f0_hz[heard.sounding])

    def inside(shift: int) -> float:
        moved = pitch + 12.0 * shift
        return float(((moved >= low - _EDGE_SEMITONES) & (moved <= high + _EDGE_SEMITONES)).mean())

    if octaves is None:
        nearest = sorted(OCTAVES, key=abs)
        octaves = next((shift for shift in nearest if inside(shift) >= _KEPT_SHARE), max(nearest, key=inside))
    if gain_db is None:
        middle = autoencoder.QUANTILES.index(0.5)
        gain_db = float(autoencoder.loudness_db[member, middle] - np.median(heard.loudness_db[heard.sounding]))
    return Fit(octaves=octaves, gain_db=gain_db, inside=inside(octaves))


def gated(heard: Heard) -> Array:
    """Loudness with what is unpitched lowered and what is far below the music silenced; [T]."""
    from scipy.ndimage import uniform_filter1d

    pitched = uniform_filter1d(heard.voiced.astype(np.float64), int(_VOICING_SMOOTHING_S * FRAME_RATE), mode="nearest")
    level = heard.loudness_db - UNPITCHED_DROP_DB * (1.0 - pitched)
    gate = heard.top_db - GATE_DB
    level = np.where(level < gate, gate + _GATE_SLOPE * (level - gate), level)
    return np.asarray(np.maximum(level, QUIET_DB))


def colour_of(recording: Recording, autoencoder: Autoencoder, instrument: str, *, heard: Heard | None = None) -> Colour:
    """How a recording of an instrument differs from what the autoencoder makes of its fundamental and loudness.

    Medians over all that sounds in its first ``COLOUR_S``: of partials by third octaves, of noise by bands. What the
    recording does not hold (above its band, below its lowest note) takes the gain of the nearest that it does.

    Args:
        recording: of the instrument alone.
        autoencoder: that will play.
        instrument: one that it knows.
        heard: what ``listen`` heard in it, where that is known; at most ``COLOUR_S`` of it count.

    Raises:
        AudioFileError, TransferError: as ``listen``.
    """
    audio = Window(recording, ANALYSIS_RATE).read(0, int(min(recording.seconds, COLOUR_S) * ANALYSIS_RATE))
    if heard is None or recording.seconds > COLOUR_S:
        heard = listen(recording_of(audio, ANALYSIS_RATE, name=recording.name))
    found = analyse_with_f0(audio.astype(np.float64), heard.f0_hz.astype(np.float64), heard.voiced)
    knots, known = partials_to_knots(found.partials**2 / 2.0)
    level = fit(heard, autoencoder, instrument, octaves=0).gain_db
    learned = autoencoder.timbre(instrument, heard.f0_hz, heard.loudness_db + level)
    top = min(CONTENT_HZ, _BAND_SHARE * recording.sample_rate / 2.0)
    place = heard.f0_hz[:, None] * KNOTS
    audible = learned.knots_db - level > heard.loudness_db[:, None] - _AUDIBLE_DB
    known &= audible & heard.sounding[:, None] & (place < top)
    gain = (knots - learned.knots_db + level)[known]
    third = np.rint(np.log2(place[known] / COLOUR_HZ[0]) * 3.0)
    partials = [_median_of(gain[third == index]) for index in range(len(COLOUR_HZ))]
    difference = (found.noise_db - learned.noise_db + level)[heard.sounding]
    noise = [
        _median_of(column) if high <= top else np.nan
        for column, high in zip(difference.T, autoencoder.noise_edges_hz[1:])
    ]
    return Colour(partials_db=_filled(np.array(partials)), noise_db=_filled(np.array(noise)))


def _median_of(gains: Array) -> float:
    return (
        float(np.clip(np.median(gains), -_LARGEST_COLOUR_DB, _LARGEST_COLOUR_DB))
        if len(gains) >= _LEAST_FRAMES
        else np.nan
    )


def _filled(gains: Array) -> Array:
    """Unknown gains between known ones are interpolated, beyond them held; 0 where none is known."""
    known = np.flatnonzero(np.isfinite(gains))
    return np.interp(np.arange(len(gains)), known, gains[known]) if len(known) else np.zeros(len(gains))


def transferred(
    heard: Heard, autoencoder: Autoencoder, instrument: str, fitted: Fit, *, colour: Colour | None = None, seed: int = 0
) -> SynthParams:
    """The parameters of the instrument playing what was heard, in the colour of a recording where one is given."""
    loudness = gated(heard)
    loudness = np.where(loudness > QUIET_DB, np.maximum(loudness + fitted.gain_db, QUIET_DB + 0.1), QUIET_DB)
    return autoencoder.params(instrument, heard.f0_hz * 2.0**fitted.octaves, loudness, colour=colour, seed=seed)


def load_autoencoder(path: Path) -> Autoencoder:
    """The autoencoder in a checkpoint.

    Raises:
        CheckpointError: it cannot be read or does not fit.
    """
    from mididdsp.checkpoints import CheckpointError, load_checkpoint

    checkpoint = load_checkpoint(path, level="autoencoder")
    try:
        return Autoencoder.from_checkpoint(checkpoint.tensors, checkpoint.card)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"the checkpoint {path} does not fit the autoencoder of this version; train it again"
        ) from error
