"""ABC made ready for music21, which reads its notes, slurs, voltas and accents, and passes over all other decorations.

Voices are gathered, for music21 wants each in one piece; decorations with a sound are carried through its parser on
grace notes of a pitch that no music has, and put where they belong afterwards. What has no place there is listed.

Source: the ABC standard 2.1, sections 4.14 (decorations) and 7 (voices).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from mididdsp.notes.dynamics import DROPPING, ON_ONE_NOTE, VELOCITIES
from mididdsp.notes.library import music21

_REWRITTEN = {
    ">": "K", "accent": "K", "emphasis": "K", "^": "k", "marcato": "k", "tenuto": "~tenuto", "staccato": ".",
    "<(": "!crescendo(!", "<)": "!crescendo)!", ">(": "!diminuendo(!", ">)": "!diminuendo)!",
    "crescendo(": "!crescendo(!", "crescendo)": "!crescendo)!", "diminuendo(": "!diminuendo(!",
    "diminuendo)": "!diminuendo)!", "upbow": "", "downbow": "", "open": "", "0": "", "1": "", "2": "", "3": "",
    "4": "", "5": "", "thumb": "",
}
"""Decorations that music21 has a letter or a line for; fingerings have no sound."""

_SHORT = {"T": "trill", "H": "fermata", "P": "uppermordent", "M": "lowermordent", "S": "segno", "O": "coda",
          "~": "roll", "L": "accent"}
"""Letters that stand for decorations."""

_WORDS: Mapping[str, str] = MappingProxyType({
    "D.C.": "D.C.", "dacapo": "D.C.", "D.S.": "D.S.", "dacoda": "to coda", "fine": "fine", "shortphrase": "",
    "mediumphrase": "", "longphrase": "",
})
_SIGNS = ("trill", "fermata", "uppermordent", "pralltriller", "lowermordent", "mordent", "turn", "invertedturn",
          "roll", "breath", "segno", "coda", "tenuto", "wedge")
_DYNAMICS = (*VELOCITIES, *DROPPING, *ON_ONE_NOTE)
_CARRIED = (*_SIGNS, *_DYNAMICS, *_WORDS)
_LETTERS = "cdefgab"
_LOWEST_OCTAVE = 11
"""No instrument comes near: a C of 33 kHz."""

_DECORATION = re.compile(r"!([^!\s|\[\]]{1,24})!|\+([a-z.<>()]{1,24})\+")
_LETTER = re.compile(r"(?<![\w\"!+])([THPMSOL~])(?=[(\^_=.~uvTHPMSOL]*(?:\{[^}]*\})?[(\^_=.]*[A-Ga-gz\[])")


def prepared(text: str) -> tuple[str, list[str], list[str]]:
    """A tune for music21: its text, the names of its voices in order ('' for none), and decorations not understood."""
    lines = text.splitlines()
    start = next((index for index, line in enumerate(lines) if line.startswith("K:")), len(lines))
    header, body = lines[: start + 1], lines[start + 1 :]
    unknown: list[str] = []
    names = {found[1]: found[2] for line in header if (found := re.match(r"V:\s*(\S+)\s*(.*)", line))}
    voices: dict[str, list[str]] = {}
    current = next(iter(names), "1")
    switched = False
    for line in body:
        found = re.match(r"V:\s*(\S+)\s*(.*)", line) or re.match(r"\[V:\s*([^\]\s]+)\s*([^\]]*)\]\s*(.*)", line)
        if found:
            current, switched = found[1], True
            names[current] = names.get(current, "") or found[2]
            line = found[3] if found.re.groups == 3 else ""
        voices.setdefault(current, [])
        if line.strip():
            voices[current].append(line if re.match(r"[A-Za-z]:|%", line) else _music(line, unknown))
    if not switched:
        return "\n".join([*header, *voices.get(current, [])]) + "\n", [], unknown
    head = [line for line in header if not re.match(r"V:|%%", line)]
    told = []
    for name, music in voices.items():
        clef = re.search(r"clef\s*=\s*(\S+)", names.get(name, ""))
        told += [f"V:{name}" + (f" clef={clef[1]}" if clef else ""), *music]
    return "\n".join([*head, *told]) + "\n", [_voice_name(names.get(name, "")) for name in voices], unknown


def _voice_name(text: str) -> str:
    found = re.search(r"(?:name|nm)\s*=\s*(?:\"([^\"]*)\"|(\S+))", text)
    return (found[1] or found[2] or "") if found else ""


def _music(line: str, unknown: list[str]) -> str:
    """A line of music with its decorations rewritten; comments and chord symbols are left alone."""
    pieces = re.split(r"(\"[^\"]*\"|%.*$|\[[A-Z]:[^\]]*\])", line)
    for index in range(0, len(pieces), 2):
        words = re.split(r"(![^!\s|]+!)", pieces[index])
        words[::2] = [_LETTER.sub(lambda found: f"!{_SHORT[found[1]]}!", word) for word in words[::2]]
        piece = "".join(words)
        # a decoration inside an opening slur goes before it: what carries it is no note of the slur
        piece = re.sub(r"(\(+)((?:!(?!crescendo|diminuendo)[^!\s|]+!)+)", r"\2\1", piece)
        pieces[index] = _DECORATION.sub(lambda found: _rewritten(found[1] or found[2], unknown), piece)
    return "".join(pieces)


def _rewritten(name: str, unknown: list[str]) -> str:
    if name in _REWRITTEN and name != "tenuto":
        return _REWRITTEN[name]
    if name in _CARRIED:
        number = _CARRIED.index(name)
        # music21 writes a small letter an octave above the middle one, and one more for each apostrophe
        return "{" + _LETTERS[number % 7] + "'" * (_LOWEST_OCTAVE - 5 + number // 7) + "}"
    unknown.append(f"decoration {name!r}")
    return ""


def put_back(score: Any, voices: list[str]) -> None:
    """Take the carriers out of what music21 has parsed and give their notes what they carried; name the voices."""
    parts = [part for part in score.parts if part.recurse().notes]
    if len(parts) == len(voices):
        for part, name in zip(parts, voices):
            if name and not part.partName:
                part.partName = name
    for empty in [part for part in score.parts if not part.recurse().notes]:
        score.remove(empty)
    for part in parts:
        carried: list[tuple[str, Any, float]] = []
        last = None
        for item in list(part.recurse().notes):
            found = _carried(item)
            site = item.activeSite
            if found is not None:
                carried.append((found, site, float(item.getOffsetBySite(site))))
                for line in item.getSpannerSites():
                    line.spannerStorage.remove(item)
                site.remove(item)
                continue
            for sign, _, _ in carried:
                _apply(sign, item, site, float(item.getOffsetBySite(site)))
            carried, last = [], item
        for left, site, offset in carried:
            if last is not None:
                _apply(left, last, site, offset)


def _carried(item: Any) -> str | None:
    if not (item.isNote and item.duration.isGrace and item.pitch.octave is not None
            and item.pitch.octave >= _LOWEST_OCTAVE):
        return None
    number = 7 * (item.pitch.octave - _LOWEST_OCTAVE) + _LETTERS.index(item.pitch.step.lower())
    return _CARRIED[number] if number < len(_CARRIED) else None


def _apply(name: str, item: Any, site: Any, offset: float) -> None:
    music = music21()
    articulations, dynamics, expressions, repeat = (
        music.articulations, music.dynamics, music.expressions, music.repeat)
    signs: dict[str, Callable[[], Any]] = {
        "trill": expressions.Trill, "fermata": expressions.Fermata, "uppermordent": expressions.InvertedMordent,
        "pralltriller": expressions.InvertedMordent, "lowermordent": expressions.Mordent,
        "mordent": expressions.Mordent, "turn": expressions.Turn, "roll": expressions.Turn,
        "invertedturn": expressions.InvertedTurn}
    if name in signs:
        item.expressions.append(signs[name]())
    elif name == "breath":
        item.articulations.append(articulations.BreathMark())
    elif name == "tenuto":
        item.articulations.append(articulations.Tenuto())
    elif name == "wedge":
        item.articulations.append(articulations.Staccatissimo())
    elif name in ("segno", "coda"):
        site.insert(offset, repeat.Segno() if name == "segno" else repeat.Coda())
    elif name in _DYNAMICS:
        site.insert(offset, dynamics.Dynamic(name))
    elif _WORDS[name]:
        site.insert(offset, expressions.TextExpression(_WORDS[name]))
