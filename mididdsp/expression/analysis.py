"""From synthesis parameters up to how each note was played.

Every attribute has one definition, stated here and in ``mididdsp.note_lines``, that holds for notes of one frame and of
a thousand.

Conventions: 250 frames a second; deviations in cents from the written pitch; nothing here knows a file or a model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.expression.types import NoteExpression
from mididdsp.note_lines import (
    ATTACK_FRAMES,
    BODY_DB,
    attack_time,
    find_vibrato,
    frame_level_db,
    release_time,
    smoothed,
)
from mididdsp.units import FRAME_RATE, midi_to_hz

Array = NDArray[np.floating[Any]]


def measure_note(
    *,
    f0_hz: Array,
    partial_power: Array,
    noise_power: Array,
    pitch: float,
    onset: int,
    offset: int,
    written_onset_s: float | None = None,
    written_duration_s: float | None = None,
    glide_s: float | None = None,
    joined: bool = False,
    leads: bool = False,
) -> NoteExpression:
    """The expression of one note from its frames.

    Args:
        f0_hz: fundamental; [T].
        partial_power: mean square of each partial, 0 where unknown; [T, H].
        noise_power: mean square of the noise, all bands; [T].
        pitch: as written, MIDI number.
        onset: first frame of the note, where the sound begins.
        offset: frame after the last; release frames follow it.
        written_onset_s, written_duration_s: of the score, in seconds on the frames' clock; without them timing is 0.
        glide_s: 10–90 % time of the transition into the note, when joined.
        joined: continues the note before it.
        leads: the next note continues this one.
    """
    body, level, body_db = _body(partial_power, noise_power, onset, offset)
    spectrum = partial_power[onset:offset][body].sum(0)
    number = np.arange(1, len(spectrum) + 1)
    brightness = float(np.log2((spectrum * number).sum() / max(spectrum.sum(), 1e-20))) if spectrum.sum() > 0 else 0.0
    inner = level[body]
    trim = len(inner) // 10
    inner = smoothed(inner, 5)[trim : len(inner) - trim or None]
    early = noise_power[onset : min(onset + ATTACK_FRAMES, offset)]
    early_db = 10 * np.log10(max(float(early.mean()), 1e-12))
    cents = 1200.0 * np.log2(f0_hz[onset:offset] / midi_to_hz(pitch))
    centre = cents[body]
    keep = len(centre) // 6
    tuning = float(np.mean(centre[keep : len(centre) - keep or None]))
    vibrato = find_vibrato(cents)
    after = 10 * np.log10(np.maximum(partial_power[offset:].sum(1) + noise_power[offset:], 1e-12))
    seconds = (offset - onset) / FRAME_RATE
    return NoteExpression(
        level_db=float(np.clip(body_db, -120.0, 12.0)),
        fluctuation_db=min(float(np.std(inner)), 40.0),
        peak_position=float(np.argmax(smoothed(level, 5)) / len(level)),
        brightness=float(np.clip(brightness, 0.0, 10.0)),
        attack_noise_db=float(np.clip(early_db - body_db, -120.0, 40.0)),
        attack_s=float(min(attack_time(level, body_db), 10.0)),
        release_s=float(np.clip(release_time(after, body_db), 0.0, 20.0)) if len(after) else 0.05,
        vibrato_cents=min(vibrato.cents, 400.0) if vibrato else 0.0,  # a trill swings further
        vibrato_rate_hz=vibrato.rate_hz if vibrato else None,
        vibrato_delay_s=vibrato.delay_s if vibrato else None,
        tuning_cents=float(np.clip(tuning, -1200.0, 1200.0)),
        timing_s=0.0 if written_onset_s is None else float(np.clip(onset / FRAME_RATE - written_onset_s, -2.0, 2.0)),
        length_ratio=None if leads or written_duration_s is None else float(
            np.clip(seconds / written_duration_s, 0.01, 4.0)),
        glide_s=glide_s if joined else None,
    )


def _body(partial_power: Array, noise_power: Array, onset: int, offset: int) -> tuple[NDArray[np.bool_], Array, float]:
    """(which frames of the note are its body, level of all its frames, power mean of the body in dB)."""
    if not 0 <= onset < offset <= len(noise_power):
        raise ValueError(f"a note spans frames {onset} to {offset} of {len(noise_power)}; give it at least one of them")
    power = partial_power[onset:offset].sum(1) + noise_power[onset:offset]
    level = frame_level_db(partial_power[onset:offset].sum(1), noise_power[onset:offset])
    body = level >= level.max() - BODY_DB
    return body, level, float(10 * np.log10(max(float(power[body].mean()), 1e-12)))


def sounding_span(level_db: Array) -> tuple[int, int, int]:
    """Where a single note begins, where the player stops, and where the sound is gone; frames.

    It begins with the first rise to 25 dB below its top. The player stops where the final fall leaves the last plateau
    by 3 dB; the sound is gone 45 dB below the top.

    Args:
        level_db: level of the clip, one value a frame; [T].
    """
    top = float(np.max(level_db))
    loud = np.flatnonzero(level_db >= top - 25.0)
    onset = int(loud[0])
    flat = smoothed(level_db, 9)
    audible = np.flatnonzero(level_db >= top - 45.0)
    end = int(audible[-1]) + 1
    plateau = float(np.percentile(level_db[loud[0] : loud[-1] + 1], 60))
    held = np.flatnonzero(flat >= min(plateau, top) - 20.0)
    window = int(0.2 * FRAME_RATE)
    offset = int(held[-1]) if len(held) else onset  # a click has no plateau
    # walk back while the sound is still rising towards the plateau it fell from
    while offset > onset + 2:
        before = flat[max(onset, offset - window) : offset]
        if flat[offset] >= np.max(before) - 3.0:
            break
        offset -= 1
    return onset, max(offset, onset + 1), max(end, offset + 1)
