"""Scores in: MusicXML, MXL, ABC, Humdrum (kern), MEI and MuseData become a ``Score`` and what its marks ask for.

music21 parses; what a player makes of the page is done in ``page`` (what is written) and ``playing`` (what is played).
Repeats, voltas and jumps are unfolded, transposing instruments sound where they sound, ties are one note, ornaments are
the notes they stand for, tempo words and fermatas are in the tempo map, dynamics are velocities and, inside held notes,
``level`` curves. What a score asks of a player beyond that comes as hints: note id to attributes that are decided.
Everything that was not understood, and everything that was understood but cannot be played, is in the messages.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO, StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree

from mididdsp.expression.types import Curve
from mididdsp.instruments import INSTRUMENTS, Resolution, instrument
from mididdsp.notes import abc, humdrum, mei, musedata
from mididdsp.notes.midi import LONGEST_PIECE_S, Substitution
from mididdsp.notes.page import Lists, Page
from mididdsp.notes.playing import Player, Span
from mididdsp.notes.tempo import DEFAULT_BPM, FASTER, SLOWER, Gradual, TempoMap
from mididdsp.notes.tracks import UniqueNames
from mididdsp.notes.types import KeyChange, MeterChange, Part, Score
from mididdsp.notes.unfinished import unfinished
from mididdsp.notes.unfold import Bar, unfold
from mididdsp.notes.wedges import move_ends_back
from mididdsp.notes.words import tempo_word
from mididdsp.units import pitch_name

LARGEST_FILE_BYTES = 64 * 2**20
"""Unpacked; some thousand pages."""

RIT_BARS = 2
"""How long a written *rit.* lasts where no tempo ends it."""


class ScoreError(ValueError):
    """The file cannot be read or nothing in it can be played: one sentence that says what, where and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreReading:
    """What was read.

    Attributes:
        score: the parts that play; articulations are with the notes.
        curves: level inside held notes, falls and scoops; anchored to notes, origin ``score``.
        hints: note id to {attribute: value} that the score decides, such as ``vibrato_cents`` 0 for *non vibrato*.
        messages: warnings for the user, one sentence each.
        substitutions: the parts that do not play what they asked for.
        resolutions: part name to the choice of its instrument.
    """

    score: Score
    curves: tuple[Curve, ...] = ()
    hints: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    messages: tuple[str, ...] = ()
    substitutions: tuple[Substitution, ...] = ()
    resolutions: Mapping[str, Resolution] = field(default_factory=dict)


def read_score(
    source: str | os.PathLike[str] | bytes,
    *,
    unsupported: str = "nearest",
    instruments: Mapping[str, str] | None = None,
) -> ScoreReading:
    """Read a score; the content decides what it is.

    Args:
        source: path of the file, or its bytes.
        unsupported: what to do with a part whose instrument is not in the table: ``nearest`` plays it on the nearest,
            ``skip`` leaves it out, ``error`` refuses the file.
        instruments: part name, or ``*`` for all others, to the instrument that plays it.

    Raises:
        ScoreError: the file cannot be read, or nothing in it can be played.
        ValueError: an option is not one of the above.
    """
    if unsupported not in ("nearest", "skip", "error"):
        raise ValueError(f"unsupported is {unsupported!r}; it must be nearest, skip or error")
    chosen = {name: instrument(value).name for name, value in (instruments or {}).items()}
    if isinstance(source, bytes):
        name, content = "the score", source
    else:
        name = os.fspath(source)
        try:
            if Path(source).stat().st_size > LARGEST_FILE_BYTES:
                raise ScoreError(f"{name} is larger than {LARGEST_FILE_BYTES // 2**20} MiB, which no score is; "
                                 "give a score")
            content = Path(source).read_bytes()
        except OSError as error:
            raise ScoreError(f"{name} cannot be opened: {error.strerror or error}") from None
    text, kind = _text_and_kind(content, name)
    messages: list[str] = []
    lists = Lists()
    stream = _parsed(text, kind, name, messages, lists)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _ScoreReader(name, stream, messages, lists).read(unsupported=unsupported, chosen=chosen)
    except ScoreError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ScoreError(f"{name} cannot be played: {_short(error)}; open it in a notation program and export it "
                         "again as MusicXML") from error


KINDS: Mapping[str, str] = MappingProxyType({
    "musicxml": "MusicXML", "mei": "MEI", "abc": "ABC", "humdrum": "Humdrum", "musedata": "MuseData"})
"""What music21 calls each form of score, and what people do."""


def score_kind(content: bytes) -> str | None:
    """Which of ``KINDS`` a file's unpacked content is, or None when it is no score that is known here."""
    head = content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        head = content[:8192].decode("utf-16", "ignore").lstrip("\ufeff \t\r\n").encode()
    if head.startswith(b"<"):
        if re.search(rb"<(score-partwise|score-timewise)\b", head):
            return "musicxml"
        return "mei" if re.search(rb"<(\w+:)?mei\b", head) else None
    if re.match(rb"(%[^\n]*\n|\s)*X:\s*\d", head):
        return "abc"
    if re.match(rb"(!!+[^\n]*\n|\s)*\*\*\w+", head):
        return "humdrum"
    if re.search(rb"^Group memberships:", head, re.MULTILINE):
        return "musedata"
    return None


def _text_and_kind(content: bytes, name: str) -> tuple[bytes, str]:
    """The bytes of the score itself, unpacked, and what they are."""
    if content.startswith(b"PK\x03\x04"):
        content = _unpacked(content, name)
    if not content.strip():
        raise ScoreError(f"{name} is empty; export it again")
    kind = score_kind(content)
    if kind is None:
        raise ScoreError(f"{name} holds no score that can be read; give MusicXML, MXL, ABC, Humdrum, MEI or MuseData")
    return content, kind


def _unpacked(content: bytes, name: str) -> bytes:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            members = [item for item in archive.infolist() if not item.is_dir()]
            scores = [item for item in members if item.filename.lower().endswith((".xml", ".musicxml"))
                      and not item.filename.startswith(("META-INF/", "__MACOSX/"))]
            root = None
            container = next((item for item in members if item.filename == "META-INF/container.xml"), None)
            if container is not None and container.file_size < 2**20:
                found = re.search(rb"full-path\s*=\s*[\"']([^\"']+)", archive.read(container))
                root = found.group(1).decode("utf-8", "replace") if found else None
            chosen = next((item for item in members if item.filename == root), scores[0] if scores else None)
            if chosen is None:
                raise ScoreError(f"{name} is an archive without a score in it; export it again as MXL")
            if chosen.file_size > LARGEST_FILE_BYTES:
                raise ScoreError(f"{name} unpacks to more than {LARGEST_FILE_BYTES // 2**20} MiB, which no score does; "
                                 "give a score")
            return archive.read(chosen)
    except ScoreError:
        raise
    except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, EOFError, ValueError) as error:
        raise ScoreError(f"{name} is a damaged archive ({_short(error)}); export it again") from None


def _parsed(content: bytes, kind: str, name: str, messages: list[str], lists: Lists) -> Any:
    """music21's score; of a collection the first."""
    from music21 import converter, stream

    root = None
    if kind in ("musicxml", "mei"):
        try:
            root = ElementTree.fromstring(content)  # what music21 makes of broken XML is a guess; this names the place
        except ElementTree.ParseError as error:
            raise ScoreError(f"{name} is damaged {KINDS[kind]} ({error}); export it again") from None
        for what, part, bar in unfinished(root):
            lists.unknown.add(what, part, bar)
    try:
        data = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # XML says what it is written in; music21 reads UTF-8 alone
        data = ElementTree.tostring(root, encoding="unicode") if root is not None else content.decode("latin-1")
    if kind == "musicxml" and root is not None and move_ends_back(root):
        data = ElementTree.tostring(root, encoding="unicode")
    if kind == "abc":
        if not re.search(r"(?m)^K:", data):
            raise ScoreError(f"{name} cannot be read as ABC: the tune has no key; add a line such as K:C before it")
        tunes = re.split(r"(?m)^(?=X:)", data)
        if len(tunes) > 2:
            messages.append(f"The file holds {len(tunes) - 1} tunes; the first is played.")
            data = tunes[0] + tunes[1]
        data, voices, passed = abc.prepared(data)
        for what in passed:
            lists.unknown.add(what, "the tune", "")
    tremolos: list[mei.Tremolo] = []
    if kind == "mei" and root is not None:
        tremolos = mei.unwrapped(root)
        if tremolos:
            data = ElementTree.tostring(root, encoding="unicode")
    said = StringIO()  # what its readers pass over they say there, and nowhere else
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(said):
            warnings.simplefilter("ignore")
            parsed = converter.parseData(data, format=kind, forceSource=True)
    except Exception as error:  # music21 raises whatever its parsers meet
        raise ScoreError(f"{name} cannot be read as {KINDS[kind]}: {_short(error)}; export it again") from error
    for line in said.getvalue().splitlines():
        if "WARNING:" in line:
            lists.unknown.add(_short(line.partition("WARNING:")[2]), "the score", "")
    if isinstance(parsed, stream.Opus):
        scores = list(parsed.scores)
        if not scores:
            raise ScoreError(f"{name} holds no music; give a score with notes")
        if len(scores) > 1:
            messages.append(f"The file holds {len(scores)} scores; the first is played.")
        parsed = scores[0]
    try:
        if kind == "abc":
            abc.put_back(parsed, voices)
        elif kind == "mei" and root is not None:
            for what, bar in mei.put_in(parsed, root, tremolos):
                lists.unknown.add(f"MEI {what}", "the score", bar)
        elif kind == "musedata":
            for what, bar in musedata.put_in(parsed, data):
                lists.unknown.add(f"MuseData {what}", "the score", bar)
        elif kind == "humdrum":
            marks, spines = humdrum.beside(data)
            for what in spines:
                lists.unknown.add(f"spine {what!r}", "the score", "")
            for what in humdrum.put_in(parsed, marks):
                lists.unknown.add(f"dynamic {what!r}", "the score", "")
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ScoreError(f"{name} cannot be read as {KINDS[kind]}: {_short(error)}; export it again") from error
    return parsed


def _short(error: BaseException | str) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."


class _ScoreReader:
    """Reads one parsed score."""

    def __init__(self, name: str, stream: Any, messages: list[str], lists: Lists) -> None:
        self.name = name
        self.messages = messages
        self.stream = stream
        self.parts: list[Any] = list(getattr(stream, "parts", ())) or [stream]
        self.lists = lists

    def read(self, *, unsupported: str, chosen: Mapping[str, str]) -> ScoreReading:
        names = UniqueNames()
        loose = [] if self.stream in self.parts else list(self.stream.getElementsByClass("Spanner"))
        pages = [Page(part, self.lists, names, loose) for part in self.parts]
        if not any(page.events for page in pages):
            raise ScoreError(f"{self.name} holds no notes to play; give a score with notes")
        reference = max(pages, key=lambda page: len(page.bars))
        spans = self._spans(reference, pages)
        tempo = self._tempo(pages, spans)
        end = tempo.seconds(spans[-1].beat + spans[-1].end - spans[-1].start)
        if end > LONGEST_PIECE_S:
            raise ScoreError(f"{self.name} lasts {end / 3600:.0f} hours, and a piece may last "
                             f"{LONGEST_PIECE_S / 3600:.0f}; correct its tempo or its repeats")
        known = {page.name.casefold() for page in pages}
        strangers = [name for name in chosen if name != "*" and name.casefold() not in known]
        if strangers:
            raise ScoreError(f"{self.name} has no part called {strangers[0]!r}; its parts are "
                             f"{', '.join(repr(page.name) for page in pages)}")
        by_name = {name.casefold(): value for name, value in chosen.items()}
        parts: list[Part] = []
        curves: list[Curve] = []
        hints: dict[str, dict[str, float | None]] = {}
        substitutions: list[Substitution] = []
        resolutions: dict[str, Resolution] = {}
        for page in pages:
            if not page.events:
                continue
            resolution = page.resolution(by_name.get(page.name.casefold()) or by_name.get("*"))
            if not resolution.exact:
                if resolution.how != "range" and unsupported == "error":
                    raise ScoreError(f"{self.name}: part {page.name!r} asks for an instrument that is not here "
                                     f"({resolution.reason}); choose one for it, or allow the nearest")
                if resolution.how != "range" and unsupported == "skip":
                    self.messages.append(f"Part {page.name!r} is left out: {resolution.reason}.")
                    continue
                substitutions.append(Substitution(part=page.name, program=page.program,
                                                  instrument=resolution.instrument,
                                                  reason=resolution.sentence(page.name, page.program)))
            for played in Player(page, resolution, spans, tempo).parts():
                parts.append(played.part)
                curves.extend(played.curves)
                hints.update(played.hints)
                resolutions[played.part.name] = resolution
            self._warn_of_range(parts[-1])
        if not parts:
            raise ScoreError(f"{self.name} has nothing to play: every part was left out; choose instruments for them, "
                             "or allow the nearest")
        self.messages += self.lists.sentences()
        score = Score(parts=tuple(parts), tempo=tempo.changes(), meter=tuple(_meters(reference, spans)),
                      key=tuple(_keys(reference, spans)), title=self._title())
        return ScoreReading(score=score, curves=tuple(curves), hints=hints, messages=tuple(self.messages),
                            substitutions=tuple(substitutions), resolutions=resolutions)

    def _title(self) -> str:
        metadata = self.stream.metadata
        for text in (getattr(metadata, "title", None), getattr(metadata, "movementName", None)):
            if text and str(text).strip():
                return " ".join(str(text).split())[:200]
        return ""

    def _spans(self, reference: Page, pages: Sequence[Page]) -> list[Span]:
        """The written bars in the order they are played."""
        bars = []
        for start, _, _ in reference.bars:
            signs: set[str] = set()
            opens, closes, volta = False, 0, frozenset[int]()
            for page in pages:
                found = page.signs.get(start)
                if found is not None:
                    opens, closes = opens or found.opens, max(closes, found.closes)
                    volta, signs = volta or found.volta, signs | found.signs
            bars.append(Bar(opens=opens, closes=closes, volta=volta, signs=frozenset(signs)))
        try:
            order = unfold(bars)
        except ValueError as error:
            raise ScoreError(f"{self.name}: {error}") from None
        spans: list[Span] = []
        beat = 0.0
        for index in order:
            start, end, _ = reference.bars[index]
            spans.append(Span(start, end, beat))
            beat += end - start
        return spans

    def _tempo(self, pages: Sequence[Page], spans: Sequence[Span]) -> TempoMap:
        written = dict(sorted(pair for page in reversed(pages) for pair in page.tempi.items()))
        if not any(place <= spans[0].start + 1e-9 for place in written):
            bpm = self._tempo_of_title()
            if bpm is not None:
                written[spans[0].start] = bpm
        places = sorted(written)
        ways: dict[float, str] = {}
        for page in pages:
            ways.update(page.tempo_words)
        marks: list[tuple[float, float]] = []
        gradual: list[Gradual] = []
        before: float | None = None
        first = written[places[0]] if places else DEFAULT_BPM
        for span in spans:
            index = bisect_right(places, span.start + 1e-9) - 1
            bpm = written[places[index]] if index >= 0 else DEFAULT_BPM
            if before is None or bpm != before or ways.get(span.start) == "back":
                marks.append((span.beat, bpm))
            for place in places[index + 1 :]:
                if place >= span.end:
                    break
                bpm = written[place]
                marks.append((span.beat + place - span.start, bpm))
            for place, way in ways.items():
                if not span.start <= place < span.end:
                    continue
                beat = span.beat + place - span.start
                if way == "back":
                    marks.append((beat, bpm))
                elif way == "first":
                    bpm = first
                    marks.append((beat, bpm))
                else:
                    longest = RIT_BARS * (span.end - span.start)
                    stops = [other for other in (*places, *(p for p, w in ways.items())) if other > place]
                    stop = min([place + longest, *stops])
                    gradual.append(Gradual(start=beat, end=beat + stop - place,
                                           factor=SLOWER if way == "slower" else FASTER))
            before = bpm
        holds = [(span.beat + max(start, span.start) - span.start, span.beat + end - span.start)
                 for page in pages for start, end in page.fermatas for span in spans if span.start <= start < span.end]
        return TempoMap(marks, gradual, [(start, end) for start, end in holds if end > start])

    def _tempo_of_title(self) -> float | None:
        from music21 import tempo

        metadata = self.stream.metadata
        texts = [getattr(metadata, name, None) for name in ("movementName", "title")]
        found = (tempo_word(str(text), tempo.defaultTempoValues.items()) for text in texts if text)
        return next((bpm for bpm in found if bpm is not None), None)

    def _warn_of_range(self, part: Part) -> None:
        row = INSTRUMENTS[part.instrument]
        outside = [note for note in part.notes if not row.low <= note.pitch <= row.high]
        if outside:
            worst = max(outside, key=lambda note: max(row.low - note.pitch, note.pitch - row.high))
            self.messages.append(
                f"Part {part.name!r}: {len(outside)} notes outside the range of the {row.label.lower()} "
                f"({pitch_name(row.low)} to {pitch_name(row.high)}), such as {pitch_name(worst.pitch)} at "
                f"{worst.onset:.2f} s; they sound, but no player could play them.")


def _meters(page: Page, spans: Sequence[Span]) -> Iterator[MeterChange]:
    """The meter of every played bar; a bar of another length than its meter, as an upbeat, is a meter of its own."""
    before: tuple[int, int] | None = None
    for span in spans:
        index = bisect_right(page.meters, span.start + 1e-9, key=lambda item: item[0]) - 1
        numerator, denominator = page.meters[index][1:] if index >= 0 else (4, 4)
        length = span.end - span.start
        if abs(length - 4.0 * numerator / denominator) > 1e-6:
            for finer in (denominator, 4, 8, 16, 32, 64):
                count = length * finer / 4.0
                if count >= 1 and abs(count - round(count)) < 1e-6:
                    numerator, denominator = round(count), finer
                    break
        if (numerator, denominator) != before:
            yield MeterChange(beat=span.beat, numerator=numerator, denominator=denominator)
            before = numerator, denominator


def _keys(page: Page, spans: Sequence[Span]) -> Iterator[KeyChange]:
    before: tuple[int, str] | None = None
    shift = int(page.transpositions[0][1]) if page.transpositions else 0
    for span in spans:
        index = bisect_right(page.keys, span.start + 1e-9, key=lambda item: item[0]) - 1
        if index < 0:
            continue
        fifths, mode = page.keys[index][1:]
        fifths = (fifths + 7 * shift + 5) % 12 - 5 if shift else max(-7, min(7, fifths))
        if (fifths, mode) != before:
            yield KeyChange(beat=span.beat, fifths=fifths, mode=mode)
            before = fifths, mode
