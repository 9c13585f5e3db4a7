"""What the network leaves over of the recorded timbre, smoothed over pitch and level.

The network is held back from learning its few notes by heart, and so does not follow each pitch as far as it could be
followed. What is left over, in every knot and band of noise, is much the same in notes a semitone or a dynamic apart: a
Gaussian process over pitch and level tells it from what one take has of its own, and a table keeps it
(``SynthesisGenerator.timbre_db``).

Source: Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mididdsp.instruments import INSTRUMENTS
from mididdsp.synthesis import conformance
from mididdsp.synthesis.frame_network import NOISE_CENTRES, OUTPUT_SCALE
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.synthesis.timbre_tables import TIMBRE_LEVELS_DB, TIMBRE_PITCHES, TIMBRE_STATES
from mididdsp.training.balance import brightness_line
from mididdsp.training.prepared_notes import PreparedNote, rows

Array = NDArray[np.floating[Any]]

HELD_ALONE, HELD_AMONG, SPEAKING = range(TIMBRE_STATES)

TREND, OWN = 0.3, 0.5
"""Variances of the trend and of what a semitone has of its own, over that of one take."""
TREND_SEMITONES, OWN_SEMITONES, DYNAMIC_DB = 3.0, 0.6, 10.0
"""How far they reach (sd of a Gaussian)."""
ALIKE = 0.2
"""Correlation between notes that stand alone and those among others: they were recorded apart, and played otherwise."""

_LONG_ENOUGH = 38  # frames
_SPEAKING_FRAMES = 20
_HELD = 0.2, 0.7
_FEWEST = 8
_ODD_DB = 12.0, 15.0  # of partials, of noise


def with_timbre(generator: SynthesisGenerator, notes: Sequence[PreparedNote]) -> SynthesisGenerator:
    """The generator with its table, and with the brightness line before and after: one hangs on the other."""
    plain = generator.changed(timbre_db=None)
    lined = plain.changed(brightness_line=brightness_line(plain, notes))
    told = lined.changed(timbre_db=timbre(lined, notes))
    return told.changed(brightness_line=brightness_line(told, notes))


def timbre(generator: SynthesisGenerator, notes: Sequence[PreparedNote]) -> NDArray[np.float32]:
    """Tables of what is to be added to the network's partials and noise, dB.

    Args:
        generator: its network and its brightness line; of a table that it has already nothing is kept.
        notes: recorded notes, single or of phrases. Of an instrument with fewer than eight of a kind nothing is told.

    Returns:
        [instruments, TIMBRE_STATES, TIMBRE_PITCHES, TIMBRE_LEVELS_DB, knots and noise bands].
    """
    plain = generator.changed(timbre_db=None)
    result = np.zeros((len(INSTRUMENTS), TIMBRE_STATES, len(TIMBRE_PITCHES), len(TIMBRE_LEVELS_DB),
                       len(KNOTS) + NOISE_CENTRES), np.float32)
    found: list[list[list[tuple[Array, bool, Array]]]] = [[[], []] for _ in INSTRUMENTS]
    for note in notes:
        facts = note.note.facts
        if facts["offset"] - facts["onset"] < _LONG_ENOUGH:
            continue
        held, speaking = _left_over(plain, note)
        among = any(facts.get(name) is not None for name in ("interval_before", "interval_after"))
        place = np.array([facts["pitch"], note.note.expression.level_db])
        found[note.instrument][0].append((place, among, held))
        if not facts["late_attack"] and not facts.get("joined", False):
            found[note.instrument][1].append((place, among, speaking))
    pitches, levels = np.meshgrid(TIMBRE_PITCHES, TIMBRE_LEVELS_DB, indexing="ij")
    grid = np.stack([pitches.ravel(), levels.ravel()], -1)
    for instrument, (held_notes, speaking_notes) in enumerate(found):
        for state, group in ((HELD_ALONE, held_notes), (HELD_AMONG, held_notes), (SPEAKING, speaking_notes)):
            if len(group) < _FEWEST:
                continue
            places = np.stack([place for place, _, _ in group])
            among_others = np.array([among for _, among, _ in group])
            values = np.stack([value for _, _, value in group])
            of_grid = np.full(len(grid), state == HELD_AMONG)
            matrix = _covariance(places, places, among_others, among_others) + np.eye(len(places))
            weights = np.linalg.solve(matrix, values)
            table = _covariance(grid, places, of_grid, among_others) @ weights
            result[instrument, state] = table.reshape(*pitches.shape, -1)
    return result


def _covariance(a: Array, b: Array, a_among: NDArray[np.bool_], b_among: NDArray[np.bool_]) -> Array:
    pitch = a[:, None, 0] - b[None, :, 0]
    dynamic = np.exp(-0.5 * ((a[:, None, 1] - b[None, :, 1]) / DYNAMIC_DB) ** 2)
    near = (TREND * np.exp(-0.5 * (pitch / TREND_SEMITONES) ** 2) + OWN * np.exp(-0.5 * (pitch / OWN_SEMITONES) ** 2))
    return np.asarray(near * dynamic * np.where(a_among[:, None] == b_among[None, :], 1.0, ALIKE))


def _left_over(generator: SynthesisGenerator, note: PreparedNote) -> tuple[Array, Array]:
    """Recorded less generated while a note is held and while it speaks; two of [knots and noise bands].

    The generated partials have the brightness that a generated note is given; only their shape counts. A knot counts
    as far as it is audible.
    """
    facts = note.note.facts
    onset, offset = facts["onset"], facts["offset"]
    output = generator.outputs(note.instrument, note.features, rows(note, np.arange(len(note.target))))
    knots = slice(2, 2 + len(KNOTS))
    line, slope = generator.brightness_line[note.instrument].tolist()
    asked = line + slope * note.note.expression.brightness
    output[:, knots] = conformance.brightness(
        conformance.unheard(output[:, knots], facts["pitch"]), output[:, 0], onset, offset, asked, facts["pitch"])
    length = offset - onset
    parts = []
    for first, last in ((onset + int(_HELD[0] * length), onset + int(_HELD[1] * length)),
                        (onset, onset + min(_SPEAKING_FRAMES, length // 3))):
        weight = note.weight[first:last].astype(np.float64)
        off = note.target[first:last] * OUTPUT_SCALE - output[first:last]
        mean = (off * weight).sum(0) / np.maximum(weight.sum(0), 1e-6)
        audible = np.clip(weight.mean(0), 0.0, 1.0)[knots]
        shape = mean[knots] - np.average(mean[knots], weights=audible + 1e-6)
        parts.append(np.concatenate([
            np.clip(shape, -_ODD_DB[0], _ODD_DB[0]) * np.minimum(2.0 * audible, 1.0),
            np.clip(mean[2 + len(KNOTS) :], -_ODD_DB[1], _ODD_DB[1])]))
    return parts[0], parts[1]
