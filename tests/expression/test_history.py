"""Undo and redo: byte for byte, as far back as remembered, and never onto a document changed by other means."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import performances

from mididdsp.expression.document import load_performance, save_performance
from mididdsp.expression.history import LONGEST, edits, history_path, redo, save_edit, undo
from mididdsp.expression.quantities import EditError
from mididdsp.expression.types import Performance

WORDS = ("level+=1dB", "vibrato=30c", "crescendo", "articulation=staccato", "articulation=accent", "curves=none")


@settings(max_examples=25, deadline=None,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large])
@given(performance=performances(), words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=5))
def test_every_step_goes_back_and_forth_byte_for_byte(
    performance: Performance, words: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "song.performance.json"
    history_path(path).unlink(missing_ok=True)
    save_performance(path, performance)
    states = [path.read_bytes()]
    for word in words:
        save_edit(path, load_performance(path).select().edit(word), word)
        if path.read_bytes() != states[-1]:
            states.append(path.read_bytes())
    for state in states[-2::-1]:
        undo(path)
        assert path.read_bytes() == state
    with pytest.raises(EditError, match="nothing to undo"):
        undo(path)
    for state in states[1:]:
        redo(path)
        assert path.read_bytes() == state
    with pytest.raises(EditError, match="nothing to redo"):
        redo(path)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    from expression.test_edit import piece

    path = tmp_path / "song.performance.json"
    save_performance(path, piece())
    return path


def louder(path: Path, words: str = "level+=1dB") -> None:
    save_edit(path, load_performance(path).select(notes="a").edit(words), words)


def test_the_history_lies_beside_the_document_and_is_small(document: Path) -> None:
    louder(document)
    path = history_path(document)
    assert path.name == "song.history.json"
    entry, = json.loads(path.read_text())["entries"]
    assert len(entry["patches"]) == 1
    assert edits(document) == (("level+=1dB", True),)


def test_a_new_edit_takes_the_place_of_what_was_undone(document: Path) -> None:
    for words in ("level+=1dB", "level+=2dB", "level+=4dB"):
        louder(document, words)
    assert undo(document) == "level+=4dB"
    assert undo(document) == "level+=2dB"
    louder(document, "level+=8dB")
    assert edits(document) == (("level+=1dB", True), ("level+=8dB", True))
    assert load_performance(document).expressions["a"].level_db == pytest.approx(-17.0)
    with pytest.raises(EditError, match="nothing to redo"):
        redo(document)


def test_a_document_changed_by_other_means_is_left_alone(document: Path) -> None:
    louder(document)
    save_performance(document, load_performance(document).select(notes="b").edit("level=-10dB"))
    before = document.read_bytes()
    with pytest.raises(EditError, match=re.escape("it was changed by other means since the last edit")):
        undo(document)
    assert document.read_bytes() == before
    louder(document, "level+=3dB")
    assert edits(document) == (("level+=3dB", True),)


def test_a_damaged_history_is_told(document: Path) -> None:
    history_path(document).write_text("{")
    with pytest.raises(EditError, match="this is no history of edits"):
        undo(document)


def test_old_edits_are_forgotten(document: Path) -> None:
    performance = load_performance(document)
    for step in range(3):
        performance = performance.select(notes="a").edit("level+=0.001dB")
        save_edit(document, performance, f"{step}")
    assert len(edits(document)) == 3 <= LONGEST
