"""Lines drawn over the noise and over bands of partials move these by what they say, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from mididdsp.expression.curves import PartCurves
from mididdsp.expression.types import Curve
from mididdsp.notes.types import Note, Part
from mididdsp.synthesis.drawn import with_drawn
from mididdsp.synthesis.types import Segment
from mididdsp.units import FRAME_RATE

PART = Part(name="p", instrument="violin", notes=(
    Note(id="a", onset=1.0, duration=1.0, pitch=69.0), Note(id="b", onset=2.0, duration=1.0, pitch=71.0)))
ONSETS, OFFSET = (1.0, 2.0), 3.0


def segment() -> Segment:
    """Two joined notes: an attack of 20 ms, a body at -20 dB, a release of 40 dB a tenth of a second."""
    frames = 550
    time = 0.968 + np.arange(frames) / FRAME_RATE
    level = -20.0 - np.maximum(0.0, 1.02 - time) * 1000.0 - np.maximum(0.0, time - OFFSET) * 400.0
    shares = np.array([0.5, 0.25, 0.15, 0.1])
    noise = np.stack([level - 20.0, level - 30.0], axis=1)
    return Segment(id="a", note_ids=("a", "b"), start_s=0.968, f0_hz=np.full(frames, 440.0, np.float32),
                   amplitude_db=level.astype(np.float32), harmonics=np.tile(shares, (frames, 1)).astype(np.float32),
                   noise_db=noise.astype(np.float32))


def drawn(*curves: Curve) -> Segment:
    return with_drawn(segment(), ONSETS, OFFSET, PartCurves(curves, PART))


def curve(target: str, values: tuple[float, ...], note: str | None = "a", mode: str = "add",
          band: tuple[int, int] | None = None) -> Curve:
    times = tuple(np.linspace(0.0, 1.0, len(values)).tolist()) if len(values) > 1 else (0.0,)
    return Curve(target=target, times=times, values=values, part="p", note_id=note, mode=mode, band=band,
                 anchor="onset" if note else "piece")


def partials(value: Segment) -> np.ndarray:
    """Amplitude of each partial in dB; [T, H]."""
    return 20 * np.log10(10 ** (value.amplitude_db[:, None].astype(np.float64) / 20) * value.harmonics)


def at(time: float) -> int:
    return round((time - 0.968) * FRAME_RATE)


def test_where_nothing_is_drawn_the_segment_is_the_same_object() -> None:
    made = segment()
    assert with_drawn(made, ONSETS, OFFSET, PartCurves((curve("level", (3.0,)),), PART)) is made


def test_noise_moves_by_the_line_on_its_note_alone() -> None:
    before, after = segment(), drawn(curve("noise", (0.0, 10.0)))
    moved = after.noise_db - before.noise_db
    assert moved[at(1.5)] == pytest.approx([5.0, 5.0], abs=0.05)
    assert moved[at(1.95)] == pytest.approx([9.5, 9.5], abs=0.05)
    assert moved[at(2.05) :] == pytest.approx(0.0, abs=1e-6)
    assert np.array_equal(after.harmonics, before.harmonics)
    assert np.array_equal(after.amplitude_db, before.amplitude_db)


def test_a_band_of_partials_moves_and_the_others_stay() -> None:
    before, after = partials(segment()), partials(drawn(curve("partials", (6.0,), note="b", band=(2, 3))))
    moved = after - before
    assert moved[at(2.5)] == pytest.approx([0.0, 6.0, 6.0, 0.0], abs=1e-4)
    assert moved[at(1.5)] == pytest.approx([0.0, 0.0, 0.0, 0.0], abs=1e-4)


def test_bands_that_overlap_add() -> None:
    after = partials(drawn(curve("partials", (6.0,), band=(1, 2)), curve("partials", (-4.0,), band=(2, 4))))
    assert (after - partials(segment()))[at(1.5)] == pytest.approx([6.0, 2.0, -4.0, -4.0], abs=1e-4)


def test_a_band_beyond_the_instrument_changes_nothing() -> None:
    made = segment()
    found = with_drawn(made, ONSETS, OFFSET, PartCurves((curve("partials", (6.0,), band=(90, 99)),), PART))
    assert np.array_equal(found.harmonics, made.harmonics)


def test_a_set_line_is_the_level_of_the_body_and_attack_and_release_stay() -> None:
    after = drawn(curve("noise", (-30.0,), note="a", mode="set"), curve("noise", (-30.0,), note="b", mode="set"))
    total = 10 * np.log10((10 ** (after.noise_db.astype(np.float64) / 10)).sum(1))
    assert total[at(1.2) : at(2.9)] == pytest.approx(-30.0, abs=0.02)
    fall = total[at(3.1)] - total[at(3.0)]
    assert fall == pytest.approx(-40.0, abs=2.0)  # as the segment itself falls
    assert total[0] < -55.0


def test_a_line_of_the_piece_acts_on_all_notes() -> None:
    after = drawn(Curve(target="noise", times=(1.0, 3.0), values=(0.0, 8.0), part="p"))
    moved = (after.noise_db - segment().noise_db)[:, 0]
    assert (moved[at(1.5)], moved[at(2.5)]) == pytest.approx((2.0, 6.0), abs=0.05)
