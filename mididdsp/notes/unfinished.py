"""Lines of a MusicXML file that begin and never end: music21 drops them without a word.

Source: MusicXML 4.0, the elements whose ``type`` is ``start`` or ``stop`` and that name themselves by ``number``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from xml.etree.ElementTree import Element

_BEGINNINGS = {"start": 1, "crescendo": 1, "diminuendo": 1, "stop": -1}
_LINES = {"slur": "slur", "tremolo": "tremolo between notes", "glissando": "glissando", "slide": "slide",
          "wedge": "hairpin", "wavy-line": "line of a trill"}


def unfinished(root: Element) -> Iterator[tuple[str, str, str]]:
    """(what, name of the part, bar) of each line that begins more often than it ends; the bar is its last beginning."""
    names = {item.get("id", ""): (item.findtext("part-name") or "").strip() for item in root.iter("score-part")}
    for part in root.iter("part"):
        balance: Counter[tuple[str, str]] = Counter()
        bars: dict[tuple[str, str], str] = {}
        for measure in part.iter("measure"):
            for element in measure.iter():
                step = _BEGINNINGS.get(element.get("type", ""), 0) if element.tag in _LINES else 0
                line = str(element.tag), element.get("number", "1")
                balance[line] += step
                if step > 0:
                    bars[line] = measure.get("number", "")
        for line, surplus in balance.items():
            if surplus > 0:
                part_name = names.get(part.get("id", "")) or "the score"
                yield f"{_LINES[line[0]]} that does not end", part_name, bars[line]
