"""A real score is heard as it is marked: the level follows the hairpins, staccato notes are short."""

from __future__ import annotations

import players

from bench.scores import SAMPLE_RATE, corpus_score, excerpt, measure

START_S, END_S = 65.0, 95.0
"""A stretch with crescendi, diminuendi and staccato notes in all parts."""


def test_a_quartet_movement_plays_with_its_marks() -> None:
    performer = players.shipped()
    reading = corpus_score("haydn/opus74no1/movement2")
    quartet = excerpt(reading, (0, 1, 2, 3), START_S, END_S)
    rendering = performer.render(performer.perform(quartet, seed=1), room="none", sample_rate=SAMPLE_RATE,
                                 start_s=START_S)
    heard = measure(quartet, rendering.audio.sum(axis=0), SAMPLE_RATE, START_S)
    assert heard.moving >= 10
    assert heard.r_moving is not None
    assert heard.r_moving >= 0.8
    first = excerpt(reading, (0,), START_S, END_S)
    rendering = performer.render(performer.perform(first, seed=1), room="none", sample_rate=SAMPLE_RATE,
                                 start_s=START_S)
    alone = measure(first, rendering.audio.sum(axis=0), SAMPLE_RATE, START_S)
    assert alone.staccato is not None
    assert alone.plain is not None
    # half of the length, and the release until it is 12 dB down
    assert alone.staccato < 0.75
    assert alone.staccato < alone.plain - 0.2
