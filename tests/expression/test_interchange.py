"""Curves to Sonic Visualiser, Praat and JAMS and back, and the original's tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mididdsp.expression.attribute_tables import with_attribute_table
from mididdsp.expression.curves import PartCurves
from mididdsp.expression.line_files import read_line, write_line
from mididdsp.expression.lines import InterchangeError, Line, line_of, part_of, with_line
from mididdsp.expression.types import Curve, NoteExpression, Performance
from mididdsp.expression.views import PAPER, PAPER_COLUMNS, from_paper
from mididdsp.notes.types import Note, Part, Score

EXPRESSION = NoteExpression(
    level_db=-26.0, fluctuation_db=1.0, peak_position=0.3, brightness=1.0, attack_noise_db=-25.0, attack_s=0.05,
    release_s=0.1, vibrato_cents=20.0, vibrato_rate_hz=5.5, vibrato_delay_s=0.2, tuning_cents=0.0, timing_s=0.0,
    length_ratio=0.95, glide_s=None)
NOTES = (Note(id="a", onset=0.5, duration=1.0, pitch=69.0), Note(id="b", onset=2.0, duration=0.5, pitch=71.0))
PART = Part(name="Violin", instrument="violin", notes=NOTES)
PLAIN = Performance(score=Score(parts=(PART,)), expressions={"a": EXPRESSION, "b": EXPRESSION})
BENT = replace(PLAIN, curves=(
    Curve(target="pitch", times=(0.5, 1.5), values=(0.0, 100.0), part="Violin"),
    Curve(target="level", times=(0.5, 2.5), values=(-6.0, 6.0), part="Violin")))


@pytest.mark.parametrize("suffix", [".csv", ".PitchTier", ".TextGrid", ".jams"])
def test_pitch_comes_back_as_it_went(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"pitch{suffix}"
    line = line_of(BENT, PART, "pitch")
    assert line.values[0] == pytest.approx(440.0)
    assert max(line.values[:100]) == pytest.approx(440.0 * 2 ** (99 / 1200), rel=1e-6)
    write_line(path, line, part=PART, target="pitch")
    back = read_line(path, "pitch")
    assert back.hertz
    np.testing.assert_allclose(back.times, line.times, atol=1e-6)  # CSV has microseconds
    np.testing.assert_allclose(back.values, line.values, rtol=1e-9)
    drawn = with_line(PLAIN, PART, "pitch", back)
    played = PartCurves(drawn.curves, PART)("pitch", "a", np.array([1.0]))
    assert played is not None
    assert (played[0][0], played[1][0]) == pytest.approx((0.0, 50.0), abs=1e-3)  # set, half way to 100 cents


@pytest.mark.parametrize("suffix", [".csv", ".TextGrid", ".jams"])
def test_levels_come_back_as_they_went(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"level{suffix}"
    line = line_of(BENT, PART, "level")
    write_line(path, line, part=PART, target="level")
    back = read_line(path, "level")
    assert not back.hertz
    np.testing.assert_allclose(back.values, line.values, rtol=1e-9, atol=1e-12)
    drawn = with_line(PLAIN, PART, "level", back, mode="add")
    assert line_of(drawn, PART, "level").values == pytest.approx(line.values, abs=1e-6)


def test_a_praat_file_may_be_short(tmp_path: Path) -> None:
    tier = tmp_path / "short.PitchTier"
    tier.write_text('File type = "ooTextFile"\nObject class = "PitchTier"\n\n0\n2.5\n2\n0.6\n440\n1.2\n442.5\n')
    assert read_line(tier, "pitch") == Line(times=(0.6, 1.2), values=(440.0, 442.5), hertz=True)
    grid = tmp_path / "short.TextGrid"
    grid.write_text('File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n2.5\n<exists>\n1\n"TextTier"\n'
                    '"level dB"\n0\n2.5\n2\n0.6\n"-3"\n1.2\n"1.5"\n')
    assert read_line(grid, "level") == Line(times=(0.6, 1.2), values=(-3.0, 1.5))


def test_a_text_grid_shows_the_notes(tmp_path: Path) -> None:
    path = tmp_path / "x.TextGrid"
    write_line(path, line_of(BENT, PART, "level"), part=PART, target="level")
    text = path.read_text()
    assert '"IntervalTier"' in text
    assert 'text = "69 a"' in text


def test_a_jams_file_is_json_with_both_annotations(tmp_path: Path) -> None:
    path = tmp_path / "x.jams"
    write_line(path, line_of(BENT, PART, "pitch"), part=PART, target="pitch")
    document = json.loads(path.read_text())
    assert [item["namespace"] for item in document["annotations"]] == ["pitch_contour", "note_midi"]
    assert [row["value"] for row in document["annotations"][1]["data"]] == [69.0, 71.0]


def test_a_new_line_takes_the_place_of_the_hands_old_one() -> None:
    once = with_line(PLAIN, PART, "level", Line(times=(0.0, 1.0), values=(0.0, 3.0)))
    twice = with_line(once, PART, "level", Line(times=(0.0, 1.0), values=(0.0, 5.0)))
    assert [curve.values for curve in twice.curves] == [(0.0, 5.0)]


@pytest.mark.parametrize(("name", "text"), [
    ("a.csv", "time,value\nx,y\n"), ("a.csv", ""), ("a.csv", "0,1\n1,nan\n"), ("a.csv", "1,1\n0,1\n"),
    ("a.PitchTier", "nothing"), ("a.PitchTier", '"PitchTier"\n0\n1\n5\n0.1\n440\n'), ("a.TextGrid", "TextGrid"),
    ("a.TextGrid", 'TextGrid "TextTier" "x" 0 1 1\n0.5\n"word"'), ("a.jams", "{"), ("a.jams", '{"annotations": []}'),
    ("a.jams", '{"annotations": [{"namespace": "pitch_contour", "data": [3]}]}'), ("a.txt", "0,1"),
])
def test_a_broken_file_is_refused_with_a_sentence(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InterchangeError) as caught:
        read_line(path, "pitch")
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_lines_go_where_they_belong(tmp_path: Path) -> None:
    with pytest.raises(InterchangeError, match="pitch in Hz"):
        with_line(PLAIN, PART, "level", Line(times=(0.6,), values=(440.0,), hertz=True))
    with pytest.raises(InterchangeError, match="does not touch"):
        with_line(PLAIN, PART, "pitch", Line(times=(9.0,), values=(440.0,), hertz=True))
    with pytest.raises(InterchangeError, match="PitchTier holds pitch"):
        write_line(tmp_path / "x.PitchTier", line_of(BENT, PART, "level"), part=PART, target="level")
    with pytest.raises(InterchangeError, match="no part 'Oboe'"):
        part_of(PLAIN, "Oboe")


TABLE = """,volume,vol_fluc,vibrato,brightness,attack,vol_peak_pos,pitch,onset,offset,note_length
0,0.0,0.0,0.0,0.0,0.0,0.0,0,0,125,125
1,0.8,0.25,0.3,0.4,0.5,0.6,69,125,375,250
2,0.0,0.0,0.0,0.0,0.0,0.0,0,375,500,125
3,0.7,0.25,0.0,0.4,0.5,0.6,71,500,625,125
4,0.7,0.25,0.0,0.4,0.5,0.6,80,700,800,100
"""


def test_a_table_of_the_original_is_a_hands_work(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    result = with_attribute_table(PLAIN, PART, path)
    first, second = result.performance.expressions["a"], result.performance.expressions["b"]
    assert result.rows == 2
    assert first.level_db - second.level_db == pytest.approx(6.0)  # a tenth of the original's volume
    for column, value in (("volume", 0.8), ("vol_fluc", 0.25), ("vibrato", 0.3), ("brightness", 0.4), ("attack", 0.5),
                          ("vol_peak_pos", 0.6)):
        name = PAPER_COLUMNS[column]
        asked = from_paper(name, value, first.level_db, PART.instrument)
        assert getattr(first, PAPER[name].attribute) == pytest.approx(asked)
    assert (second.vibrato_cents, second.vibrato_rate_hz) == (0.0, None)
    assert result.performance.origins["a"]["level_db"] == "hand"
    assert len(result.messages) == 1
    assert "Row 6" in result.messages[0]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", TABLE.replace("0.8", "loud"), TABLE.replace(",69,", ",40,").replace(
    ",71,", ",41,")])
def test_a_table_that_does_not_fit_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(InterchangeError) as caught:
        with_attribute_table(PLAIN, PART, path)
    assert str(path) in str(caught.value)
