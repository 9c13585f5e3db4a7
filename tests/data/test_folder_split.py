"""The split has no leaks, is stable, and finds copies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from recordings_of_ones_own import tune, write

from mididdsp.data.folder_quality import likeness, survey
from mididdsp.data.folder_split import CUT_GAP_S, Share, best_copies, kin, note_side, split


def _shares(count: int, seconds: float = 60.0) -> list[Share]:
    return [Share(item=f"take {index}.wav", instrument="violin", group=f"take {index}.wav", seconds=seconds)
            for index in range(count)]


def test_whole_groups_lie_on_one_side() -> None:
    shares = [replace(share, group=f"piece {number // 2}") for number, share in enumerate(_shares(24))]
    sides = split(shares).sides
    assert all(sides[shares[k].item] == sides[shares[k + 1].item] for k in range(0, 24, 2))
    held = sum(side == "valid" for side in sides.values())
    assert 2 <= held <= 6  # 12 % of 24, in pairs
    assert any(side == "test" for side in sides.values())


def test_the_split_stays_when_recordings_come_and_whatever_their_order() -> None:
    shares = _shares(12)
    first = split(shares).sides
    assert split(shares[::-1]).sides == first
    later = split([*_shares(20)], decided=first).sides
    assert all(later[item] == side for item, side in first.items())


def test_too_few_recordings_are_cut_with_a_gap() -> None:
    found = split(_shares(2), cut_at={"take 0.wav": 50.0, "take 1.wav": 52.0})
    assert set(found.sides.values()) == {"train"}
    assert found.cuts_s == {"take 0.wav": 50.0, "take 1.wav": 52.0}
    assert note_side("train", 50.0, 10.0, 11.0) == "train"
    assert note_side("train", 50.0, 50.0 - 0.1 * CUT_GAP_S, 50.1) is None
    assert note_side("train", 50.0, 53.0, 54.0) == "valid"
    assert note_side("test", None, 1.0, 2.0) == "test"


def test_copies_are_found_in_another_form_at_another_gain(tmp_path: Path) -> None:
    original = write(tmp_path / "a.wav", tune(seconds=0.25))
    other = write(tmp_path / "b.wav", tune(seconds=0.25, transposed=5.0, seed=1))
    audio, rate = soundfile.read(original)
    quiet = np.concatenate([np.zeros(7_000), 0.4 * audio])
    soundfile.write(tmp_path / "c.ogg", quiet, rate)  # lossy, softer, and 0.15 s later
    seen = [survey(path) for path in (original, other, tmp_path / "c.ogg")]
    copies, near = kin(seen)
    assert copies == [0, 1, 0]
    assert near == [0, 1, 0]
    assert likeness(seen[0], seen[1]) < 0.9
    assert best_copies(copies, seen) == [0, 1, 0]


def test_of_copies_the_widest_band_without_clipping_is_kept(tmp_path: Path) -> None:
    bright = tune(seconds=0.25) + 1e-3 * np.random.default_rng(0).standard_normal(len(tune(seconds=0.25)))
    narrow, clipped, good, other = (tmp_path / f"{name}.wav" for name in "abcd")
    soundfile.write(narrow, bright[::6], 8_000)
    soundfile.write(clipped, np.clip(40.0 * bright, -1.0, 1.0), 48_000)
    soundfile.write(good, bright, 48_000)
    soundfile.write(other, bright, 48_000)
    assert best_copies([0, 0, 0, 3], [survey(path) for path in (narrow, clipped, good, other)]) == [2, 2, 2, 3]
