"""Voice leading is counted as a teacher counts it: small examples by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mididdsp.notes.grid import REST
from mididdsp.notes.voice_leading import in_key_share, marks, parallels


def voices(*lines: list[int]) -> np.ndarray:
    return np.array(lines, np.int16)


@pytest.mark.parametrize(
    ("upper", "lower", "fifths", "octaves", "moving"),
    [
        ([67, 69], [60, 62], 1, 0, 1),  # C-G to D-A
        ([67, 65], [60, 58], 1, 0, 1),  # and down
        ([79, 81], [60, 62], 1, 0, 1),  # a twelfth is a fifth
        ([72, 74], [60, 62], 0, 1, 1),
        ([60, 62], [60, 62], 0, 1, 1),  # unisons
        ([67, 67], [60, 60], 0, 0, 0),  # repeated, not parallel
        ([67, 69], [60, 60], 0, 0, 0),  # one voice moves
        ([67, 57], [60, 62], 0, 0, 1),  # contrary motion
        ([64, 69], [60, 62], 0, 0, 1),  # a hidden fifth is none
        ([67, REST], [60, 62], 0, 0, 0),
        ([66, 68], [60, 62], 0, 0, 1),  # tritones
    ],
)  # fmt: skip
def test_parallels(upper: list[int], lower: list[int], fifths: int, octaves: int, moving: int) -> None:
    found = marks(voices(upper, lower))
    assert (found.fifths, found.octaves, found.moving_pairs) == (fifths, octaves, moving)
    if fifths + octaves:
        assert [(one.step, one.upper, one.lower, one.fifth) for one in parallels(voices(upper, lower))] == [
            (1, 0, 1, bool(fifths))
        ]
        assert found.parallels_per_1000 == 1000.0


def test_crossing_spacing_and_range() -> None:
    pitch = voices([72, 60, 72, REST], [67, 64, 58, 67], [60, 55, 50, 60], [40, 48, 45, 48])
    found = marks(pitch, [(60, 81), (60, 74), (48, 69), (41, 64)])
    # Eleven pairs of neighbours sound; one is crossed; soprano and alto are once, tenor and bass once too far apart.
    assert found.crossed == pytest.approx(1 / 11)
    assert found.wide == pytest.approx(2 / 11)
    assert found.outside == 2
    assert marks(voices([60, 60])).parallels_per_1000 == 0.0


def test_in_key_share() -> None:
    scale = frozenset({0, 2, 4, 5, 7, 9, 11})
    assert in_key_share(voices([60, 61, REST, 64]), scale) == pytest.approx(2 / 3)
    assert in_key_share(voices([REST]), scale) == 1.0
