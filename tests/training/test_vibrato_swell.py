"""What moves with a vibrato is read off notes, and what the network lacks of it is made up for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from untrained import synthesis

from mididdsp.data.notes_dataset import TrainingNote
from mididdsp.synthesis.frame_network import INSTRUMENT_IDS
from mididdsp.synthesis.generator import SynthesisGenerator
from mididdsp.synthesis.knots import KNOTS
from mididdsp.training.life import VIBRATO_BAND, generated_alone
from mididdsp.training.synthesis import made_up_notes
from mididdsp.training.vibrato_swell import (
    PUBLISHED,
    generated_swell,
    recorded_swell,
    swell_lacking,
    with_swell,
)
from mididdsp.units import FRAME_RATE

LEVEL, TILT, NOISE = (0.9, 0.4), (0.5, 0.0), (-0.6, 0.2)
"""dB for 10 cents, with the swing and a quarter period later."""


def vibrating(number: int, instrument: str = "flute", spread: float = 0.0) -> TrainingNote:
    """A note of a second and a half at 5.5 Hz, 12 cents, whose sound moves as is told above."""
    random = np.random.default_rng(number)
    base, frames, onset, offset = made_up_notes(1, 0)[0], 420, 8, 380
    angle = 2 * np.pi * 5.5 * np.arange(frames) / FRAME_RATE + random.uniform(0, 6)
    swing, turned = 1.2 * np.sin(angle), -1.2 * np.cos(angle)
    level_amounts = np.array(LEVEL) + spread * random.standard_normal(2)
    level, tilt, noise = (with_it * swing + after * turned for with_it, after in (level_amounts, TILT, NOISE))
    knots = -26.0 - 3.0 * np.arange(len(KNOTS))[None, :] + level[:, None] + tilt[:, None] * np.log2(KNOTS)
    return replace(
        base, expression=replace(base.expression, vibrato_cents=12.0, vibrato_rate_hz=5.5, vibrato_delay_s=0.0),
        facts={**base.facts, "item": f"{instrument} {number}", "instrument": instrument, "onset": onset,
               "offset": offset, "seconds": (offset - onset) / FRAME_RATE, "pitch": 62.0},
        frames={"f0_cents": 10.0 * swing, "partial_db": level - 26.0, "level_db": level - 26.0, "knots_db": knots,
                "known": np.ones(knots.shape, bool), "noise_db": -70.0 + noise[:, None] + np.zeros((frames, 40))})


def generator(life: float = 0.0) -> SynthesisGenerator:
    return synthesis(fall=0.15, life=life)


def test_what_moves_is_read_off_a_note() -> None:
    np.testing.assert_allclose(recorded_swell(vibrating(0)), [LEVEL, TILT, NOISE], atol=0.06)


def test_a_note_of_less_than_three_periods_tells_nothing() -> None:
    note = vibrating(0)
    short = replace(note, facts={**note.facts, "offset": note.facts["onset"] + 120})
    assert np.isnan(recorded_swell(short)).all()


def test_generated_notes_come_to_move_as_recorded_ones() -> None:
    notes = [vibrating(number) for number in range(40)]
    mended = with_swell(generator(), notes)
    swells = np.median([generated_swell(generated_alone(mended, note), note) for note in notes[:8]], axis=0)
    plain = np.median([generated_swell(generated_alone(generator(), note), note) for note in notes[:8]], axis=0)
    # the published figure of the flute counts as eight notes would: a sixth
    level, angle, alike, cents = PUBLISHED["flute"]
    common = 10.0 * level * alike / cents * np.array([np.cos(np.radians(angle)), -np.sin(np.radians(angle))])
    wanted = (40 * np.array(LEVEL) + 8 * common) / 48
    np.testing.assert_allclose(swells[0], wanted, atol=0.25)
    assert abs(swells[0] - LEVEL).max() < 0.4 * abs(plain[0] - LEVEL).max()
    assert abs(swells[2] - NOISE).max() < 0.6 * abs(plain[2] - NOISE).max()


def test_how_much_notes_differ_is_learned() -> None:
    """Forty notes with a spread of .5; the share of forty beside eight is drawn."""
    notes = [recorded_swell(vibrating(number, spread=0.5)) for number in range(40)]
    still = np.zeros((20, 3, 2))
    found = swell_lacking(np.stack(notes), still, (1.0, 0.0, 1.0, 10.0))
    np.testing.assert_allclose(found[3], 0.5 * 40 / 48, rtol=0.25)


def test_what_no_note_tells_is_as_published() -> None:
    found = swell_lacking(np.zeros((0, 3, 2)), np.zeros((20, 3, 2)), (0.8, 180.0, 0.6, 8.0))
    np.testing.assert_allclose(found[0], [-0.6, 0.0], atol=1e-6)
    np.testing.assert_allclose(found[2], found[0])  # noise with the partials
    np.testing.assert_allclose(found[1], 0.0)
    np.testing.assert_allclose(found[3], 0.8 * np.sqrt(0.5), rtol=1e-6)


def test_strings_and_instruments_without_notes_are_left() -> None:
    before = generator(life=1.0)
    mended = with_swell(before, [vibrating(number, instrument) for instrument in ("violin", "oboe")
                                 for number in range(9)])
    moving = [name for name, at in INSTRUMENT_IDS.items() if mended.vibrato_swell_db[at].any()]
    assert moving == ["oboe"]
    less = np.argwhere(mended.life_rms != before.life_rms)
    assert less.tolist() == [[1, INSTRUMENT_IDS["oboe"], 0, VIBRATO_BAND]]
    assert 0.5 <= mended.life_rms[tuple(less[0])] < 1.0
    assert pytest.approx(1.0) == before.life_rms.max()
