"""The bench of ``perform --keep``: its revisions, and that it tells what is kept from what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

import mididdsp as md
from bench import keep
from mididdsp.notes.types import Note, Part, Score

BARS = 30
TUNE = (0, 2, 4, 5, 7, 5, 4, 2, 9, 7, 11, 12)


def duet() -> Score:
    """Two parts of thirty bars in quarters and halves; no two bars are alike."""
    upper = tuple(Note(id=f"u{k}", onset=0.5 * k, duration=0.5, pitch=67.0 + TUNE[k * (1 + k // 37) % 12], velocity=70)
                  for k in range(4 * BARS))
    lower = tuple(Note(id=f"l{k}", onset=1.0 * k, duration=1.0, pitch=48.0 + TUNE[k * (2 + k // 23) % 12], velocity=70)
                  for k in range(2 * BARS))
    return Score(parts=(Part(name="Violin", instrument="violin", notes=upper),
                        Part(name="Cello", instrument="cello", notes=lower)))


@pytest.fixture(scope="module")
def performer() -> md.Performer:
    return md.Performer(device="cpu", workers=1)


@pytest.fixture(scope="module")
def work(performer: md.Performer) -> md.Performance:
    return keep.worked_on(performer, duet())


def test_a_hand_has_touched_every_note(work: md.Performance) -> None:
    ids = {note.id for part in work.score.parts for note in part.notes}
    assert set(work.locks) == ids
    assert len(work.curves) == len(ids) / 5


@pytest.mark.parametrize("name", sorted(keep.revisions(duet())))
def test_what_a_revision_leaves_alone_keeps_everything(
    name: str, performer: md.Performer, work: md.Performance
) -> None:
    score = duet()
    after, truth = keep.revised(score, keep.revisions(score)[name], faster=name == "a faster tempo")
    old_ids = {note.id for part in score.parts for note in part.notes}
    assert set(truth.values()) <= old_ids
    assert not old_ids & {note.id for part in after.parts for note in part.notes}  # nothing but the music tells
    performance, _ = performer.revise(after, work)
    found = keep.kept(work, performance, after, truth)
    assert found["unchanged"] + found["changed"] == len(truth)
    assert found["unchanged"] >= len(score.parts[-1].notes)
    assert found["kept"] >= keep.BAR


def test_a_performance_that_keeps_nothing_is_told(performer: md.Performer, work: md.Performance) -> None:
    score = duet()
    after, truth = keep.revised(score, keep.revisions(score)["other dynamics"], faster=False)
    assert keep.kept(work, performer.perform(after, seed=1), after, truth)["kept"] == 0.0
    performance, _ = performer.revise(after, work)
    lower = {name: lock for name, lock in performance.locks.items() if not name.startswith("u")}
    less = replace(performance, locks=lower)
    assert keep.kept(work, less, after, truth)["kept"] == pytest.approx(1 / 3)  # the upper part has two thirds
