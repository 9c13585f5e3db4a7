"""The grid keeps what it can hold, says what it cannot, and comes back as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mididdsp.notes.grid import REST, NoteGrid, begins, grid_to_score, meter_steps, score_to_grid
from mididdsp.notes.types import MeterChange, Note, Part, Score, TempoChange

TEMPO = (TempoChange(time=0.0, beat=0.0, bpm=90.0), TempoChange(time=4 * 60 / 90, beat=4.0, bpm=131.7))


@st.composite
def grids(draw: st.DrawFn) -> tuple[NoteGrid, tuple[MeterChange, ...]]:
    voices, bars = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    meter = (MeterChange(beat=0.0, numerator=draw(st.integers(2, 7)), denominator=draw(st.sampled_from([4, 8]))),)
    steps = bars * meter[0].numerator * 16 // meter[0].denominator
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pitch = random.choice([REST, 40, 60, 61, 100], size=(voices, steps)).astype(np.int16)
    onset = begins(pitch) | ((random.random(pitch.shape) < 0.3) & (pitch != REST))
    # Something sounds in the last bar, so that the length can be read back.
    pitch[0, -1], onset[0, -1] = 72, True
    position, bar = meter_steps(meter, steps)
    return NoteGrid(pitch=pitch, onset=onset, position=position, bar=bar, fermata=np.zeros(steps, bool)), meter


def equal(one: NoteGrid, other: NoteGrid) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in NoteGrid.__dataclass_fields__)


def part(*notes: tuple[float, float, float]) -> Part:
    """Notes of (onset, duration, pitch) in quarter notes at 120 bpm."""
    made = tuple(Note(id=f"n{k}", onset=a / 2, duration=b / 2, pitch=c) for k, (a, b, c) in enumerate(sorted(notes)))
    return Part(name="p", instrument="violin", notes=made)


@settings(max_examples=60, deadline=None)
@given(grids(), st.sampled_from([(), TEMPO]))
def test_a_grid_comes_back_from_its_score(
    made: tuple[NoteGrid, tuple[MeterChange, ...]], tempo: tuple[TempoChange, ...]
) -> None:
    grid, meter = made
    names = [f"voice {number}" for number in range(grid.voices)]
    score = grid_to_score(grid, names=names, instruments=["violin"] * grid.voices, tempo=tempo, meter=meter)
    reading = score_to_grid(score)
    assert reading.messages == ()
    assert equal(reading.grid, grid)


def test_held_and_repeated_notes_differ() -> None:
    held = score_to_grid(Score(parts=(part((0, 1, 60)),))).grid
    repeated = score_to_grid(Score(parts=(part((0, 0.5, 60), (0.5, 0.5, 60)),))).grid
    assert np.array_equal(held.pitch, repeated.pitch)
    assert held.onset[0].nonzero()[0].tolist() == [0]
    assert repeated.onset[0].nonzero()[0].tolist() == [0, 2]


def test_the_length_is_whole_bars() -> None:
    waltz = Score(parts=(part((0, 3.25, 60)),), meter=(MeterChange(beat=0.0, numerator=3, denominator=4),))
    grid = score_to_grid(waltz).grid
    assert grid.steps == 24
    assert grid.position.tolist() == [*range(12), *range(12)]
    assert score_to_grid(Score(parts=(part(),))).grid.steps == 0
    assert score_to_grid(waltz, steps=5).grid.pitch.tolist() == [[60] * 5]


def test_meter_changes_count_bars_anew() -> None:
    changes = [MeterChange(beat=0, numerator=3, denominator=4), MeterChange(beat=6, numerator=6, denominator=8)]
    position, bar = meter_steps(changes, 40)
    assert position.tolist() == [*range(12), *range(12), *range(12), *range(4)]
    assert set(bar[:24].tolist()) == {12}
    assert meter_steps([], 17)[0].tolist() == [*range(16), 0]


def test_triplets_chords_and_bends_are_said() -> None:
    triplets = part((0, 1 / 3, 60), (1 / 3, 1 / 3, 62), (2 / 3, 1 / 3, 64))
    reading = score_to_grid(Score(parts=(triplets,)))
    assert reading.messages == ("part p: 2 notes were moved to the nearest sixteenth",)
    chord = score_to_grid(Score(parts=(part((0, 1, 60), (0, 1, 67)),)))
    assert chord.grid.pitch[0, :4].tolist() == [67] * 4
    assert "1 note was left out" in chord.messages[0]
    assert "rounded to a semitone" in score_to_grid(Score(parts=(part((0, 1, 60.4)),))).messages[0]


def test_short_notes_keep_a_sixteenth() -> None:
    grid = score_to_grid(Score(parts=(part((1, 0.01, 60)),))).grid
    assert (grid.pitch[0] != REST).nonzero()[0].tolist() == [4]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pitch": np.full((2, 4), 128, np.int16)}, "outside 0 to 127"),
        ({"onset": np.zeros((2, 4), bool)}, "held from a cell of another pitch"),
        ({"pitch": np.full((2, 4), REST, np.int16)}, "lies on a rest"),
        ({"onset": np.zeros((2, 3), bool)}, "must be"),
        ({"position": np.full(4, 16, np.int16)}, "outside its bar"),
        ({"fermata": np.zeros(3, bool)}, "one value per step"),
    ],
)
def test_grids_that_cannot_be_are_refused(change: dict[str, np.ndarray], words: str) -> None:
    position, bar = meter_steps([], 4)
    pitch = np.array([[60, 60, 62, 62]] * 2, np.int16)
    values = {
        "pitch": pitch, "onset": begins(pitch), "position": position, "bar": bar, "fermata": np.zeros(4, bool), **change
    }
    with pytest.raises(ValueError, match=words):
        NoteGrid(**values)


def test_a_name_for_each_voice() -> None:
    grid = score_to_grid(Score(parts=(part((0, 1, 60)),))).grid
    with pytest.raises(ValueError, match="2 names and 1 instruments for 1 voices"):
        grid_to_score(grid, names=["a", "b"], instruments=["violin"])
