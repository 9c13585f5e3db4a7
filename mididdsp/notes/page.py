"""A part of a score as written: its notes in order, and every mark on its page.

music21's objects are read here and nowhere else: what leaves are plain values. Conventions: *places* are quarter notes
from the start as written; pitches sound (transposing instruments are transposed).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mididdsp.instruments import Resolution, named, resolve, section_players
from mididdsp.notes.dynamics import DROPPING, ON_ONE_NOTE, VELOCITIES, Hairpin
from mididdsp.notes.tracks import UniqueNames
from mididdsp.notes.unfold import Bar
from mididdsp.notes.words import Ask, tempo_word, understood

Place = float
"""Quarter notes from the start, as written."""

FALLS: Mapping[str, tuple[float, float, float]] = {
    "Falloff": (0.6, 1.0, -300.0), "Doit": (0.6, 1.0, 300.0), "Scoop": (0.0, 0.2, -150.0), "Plop": (0.0, 0.2, 300.0),
}
"""Articulations that bend a note: from and to (share of the note), cents at the bent end."""

_MARKS = {
    "Staccato": "staccato", "Spiccato": "staccato", "Staccatissimo": "staccatissimo", "Tenuto": "tenuto",
    "DetachedLegato": "portato", "Accent": "accent", "StrongAccent": "marcato", "Stress": "accent",
}
_NO_SOUND = frozenset((
    "UpBow", "DownBow", "Bowing", "Fingering", "StringIndication", "FretIndication", "FingerIndication", "OpenString",
    "StringFingering", "FrettedPluck", "NailPizzicato", "ThumbPosition",
))
"""How a note is fingered or bowed: nothing to hear that is modelled."""

_SILENT = frozenset((
    "Metadata", "StaffGroup", "Barline", "Repeat", "RehearsalMark", "Beam", "SlurStub", "SpannerAnchor", "Ottava",
    "RepeatBracket", "GlobalReference", "GlobalComment", "MiscTandem", "SpineComment", "LineComment", "VoiceLine",
))

_SIGNS = {
    "Segno": "segno", "Coda": "coda", "Fine": "fine", "DaCapo": "dc", "DaCapoAlFine": "dc_fine",
    "DaCapoAlCoda": "dc_coda", "DalSegno": "ds", "DalSegnoAlFine": "ds_fine", "DalSegnoAlCoda": "ds_coda",
    "AlSegno": "ds_fine",
}

_TECHNIQUES = {
    "pizz": "pizz., as very short bowed notes", "mute": "con sordino, without the mute",
    "bridge": "sul ponticello, in the ordinary place", "fingerboard": "sul tasto, in the ordinary place",
    "wood": "col legno, with the hair", "stopped": "stopped notes, open", "harmonic": "harmonics, as plain notes",
}
"""What the data never taught, and what is played in its place."""

_SPINE = re.compile(r"(spine_\d+|P?\d+|[0-9a-f]{16,}|)")
_PIANO = "Acoustic Grand Piano"
"""What music21 calls the instrument of a part that names none of MIDI."""


@dataclass(slots=True)
class Event:
    """A note or chord as written, and what the page says about it.

    Attributes:
        place, length: quarter notes.
        pitches: sounding MIDI numbers.
        voice: name of its voice in the bar.
        bar: its number, for messages.
        ties: a pitch each: '', start, continue or stop.
        marks: articulations.
        in_slur, slurred: under a slur; under one and not its first note.
        grace, stroked: a grace note; one with a stroke.
        breath: a breath mark follows.
        bend: a key of ``FALLS``, or ''.
        glides: into it, from the note before.
        ornament: kind and the two auxiliary pitches it may use.
        tremolo: length of a stroke in quarter notes; 0 is none.
        tremolo_with: pitches the strokes alternate with.
        swallowed: another event plays it.
    """

    place: Place
    length: float
    pitches: tuple[float, ...]
    voice: str
    bar: str
    ties: tuple[str, ...] = ()
    marks: set[str] = field(default_factory=set)
    slurred: bool = False
    in_slur: bool = False
    grace: bool = False
    stroked: bool = False
    breath: bool = False
    bend: str = ""
    glides: bool = False
    ornament: tuple[str, float, float] | None = None
    tremolo: float = 0.0
    tremolo_with: tuple[float, ...] = ()
    swallowed: bool = False

    @property
    def end(self) -> Place:
        return self.place + self.length


class Listing:
    """What was not understood or cannot be played: description to the places it was met."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}

    def add(self, what: str, part: str, bar: str) -> None:
        self._places.setdefault(what, []).append(f"{part}, bar {bar}" if bar else part)

    def sentence(self, begin: str) -> list[str]:
        if not self._places:
            return []
        said = []
        for what, places in self._places.items():
            more = f" and {len(places) - 1} more" if len(places) > 1 else ""
            said.append(f"{what} ({places[0]}{more})")
        return [f"{begin}: {'; '.join(said)}."]


@dataclass(frozen=True, slots=True)
class Lists:
    """What there is to say about a score's marks: not understood, left to the player, and played as something else."""

    unknown: Listing = field(default_factory=Listing)
    character: Listing = field(default_factory=Listing)
    unplayable: Listing = field(default_factory=Listing)

    def sentences(self) -> list[str]:
        """One sentence for each list that is not empty."""
        return [
            *self.unknown.sentence("Not understood, and not played"),
            *self.unplayable.sentence("Not in the models, played otherwise"),
            *self.character.sentence("Understood, and left to the player"),
        ]


class Page:
    """One part as written: its events in order, and all the marks on its page, by place."""

    def __init__(self, part: Any, lists: Lists, names: UniqueNames, loose: Sequence[Any] = ()) -> None:
        from music21 import stream

        self.lists = lists
        self.part = part
        measures = list(part.getElementsByClass(stream.Measure)) or [part]
        self._instruments(part)
        self.name = names.unique(self._own_name())
        self.bars: list[tuple[Place, Place, str]] = []
        self.signs: dict[Place, Bar] = {}
        self.events: list[Event] = []
        self.marks: list[tuple[Place, str]] = []
        self.hairpins: list[Hairpin] = []
        self.asks: list[tuple[Place, Ask, str]] = []
        self.tempi: dict[Place, float] = {}
        self.tempo_words: dict[Place, str] = {}
        self.fermatas: list[tuple[Place, Place]] = []
        self.meters: list[tuple[Place, int, int]] = []
        self.keys: list[tuple[Place, int, str]] = []
        self._key: Any = None
        self._where: dict[int, tuple[Place, float, Event | None]] = {}
        volta = _voltas(part, measures)
        starts = [0.0 if measure is part else float(part.elementOffset(measure)) for measure in measures]
        for measure, start, following in zip(measures, starts, [*starts[1:], None]):
            length = float(measure.duration.quarterLength) if following is None else following - start
            if not length > 0:
                continue
            bar = str(measure.measureNumberWithSuffix()) if measure is not part else "1"
            self.bars.append((start, start + length, bar))
            self._measure(measure, start, bar, volta.get(id(measure), frozenset()))
        self.end = self.bars[-1][1] if self.bars else 0.0
        self.events.sort(key=lambda event: (event.place, not event.grace))
        self._spanners([*part.recurse().getElementsByClass("Spanner"), *loose])
        self._apply_words()

    # what plays

    def _instruments(self, part: Any) -> None:
        """Names, programs and transposition over the part."""
        from music21 import instrument as m21_instrument

        self.transpositions: list[tuple[Place, float]] = []
        self._named: list[str] = []
        self.program: int | None = None
        for item in part.recurse().getElementsByClass(m21_instrument.Instrument):
            place = float(item.getOffsetInHierarchy(part))
            semitones = 0.0 if item.transposition is None else float(item.transposition.semitones)
            self.transpositions.append((place, semitones))
            names = [item.partName, item.instrumentName]
            self._named += [str(text) for text in names if text and str(text) != _PIANO]
            if item.midiProgram is not None and item.instrumentName not in (None, _PIANO) and self.program is None:
                self.program = int(item.midiProgram)
        if part.atSoundingPitch is True:
            self.transpositions = []
        self.transpositions.sort(key=lambda pair: pair[0])

    def _own_name(self) -> str:
        texts = [str(self.part.partName or ""), *self._named, str(self.part.id or "")]
        name = next((" ".join(text.split()) for text in texts if not _SPINE.fullmatch(text.strip())), "Part")
        return name[:100]

    def resolution(self, chosen: str | None) -> Resolution:
        if chosen is not None:
            return Resolution(instrument=chosen, exact=True, how="option", reason="chosen by option")
        pitches = [pitch for event in self.events for pitch in event.pitches]
        hint = next((text for text in (self.name, *self._named) if named(text)), self.name)
        resolution = resolve(None if named(hint) else self.program, hint, pitches)
        players = section_players(self.name)
        return replace(resolution, players=max(players, resolution.players))

    def _sounding(self, place: Place) -> float:
        """Semitones from written to sounding at a place."""
        index = bisect_right(self.transpositions, place + 1e-9, key=lambda pair: pair[0]) - 1
        return self.transpositions[max(index, 0)][1] if self.transpositions else 0.0

    # what is on the page

    def _measure(self, measure: Any, start: Place, bar: str, volta: frozenset[int]) -> None:
        from music21 import bar as m21_bar
        from music21 import repeat, stream

        signs: set[str] = set()
        opens, closes = False, 0
        for side in (getattr(measure, "leftBarline", None), getattr(measure, "rightBarline", None)):
            if isinstance(side, m21_bar.Repeat):
                if side.direction == "start":
                    opens = True
                else:
                    closes = max(2, int(side.times or 2))
            if side is not None and getattr(side, "pause", None) is not None:
                end = start + float(measure.duration.quarterLength)
                self.fermatas.append((max(start, end - 1.0), end))
        for element, offset, voice in _elements(measure, stream.Voice):
            place = start + offset
            self._where[id(element)] = (place, float(element.duration.quarterLength), None)
            if isinstance(element, repeat.RepeatMark) and not isinstance(element, m21_bar.Barline):
                sign = _SIGNS.get(type(element).__name__)
                if sign is None:
                    self.lists.unknown.add(f"sign {type(element).__name__}", self.name, bar)
                else:
                    signs.add(sign)
                continue
            self._element(element, place, f"{voice}", bar, signs)
        self.signs[start] = Bar(opens=opens, closes=closes, volta=volta, signs=frozenset(signs))

    def _element(self, element: Any, place: Place, voice: str, bar: str, signs: set[str]) -> None:
        from music21 import chord, dynamics, expressions, harmony, key, meter, note, tempo

        if isinstance(element, (note.Note, chord.Chord)) and not isinstance(element, harmony.Harmony):
            self._note(element, place, voice, bar)
        elif isinstance(element, note.GeneralNote) and not isinstance(element, harmony.Harmony):
            if not isinstance(element, note.Rest):
                self.lists.unknown.add("notes without a pitch, as drums have", self.name, bar)
            if any(isinstance(item, expressions.Fermata) for item in element.expressions):
                self.fermatas.append((place, place + float(element.duration.quarterLength)))
        elif isinstance(element, dynamics.Dynamic):
            self._dynamic(str(element.value), place, bar)
        elif isinstance(element, tempo.TempoIndication):
            self._tempo_mark(element, place, bar)
        elif isinstance(element, expressions.TextExpression):
            self._words(str(element.content), place, bar, signs)
        elif isinstance(element, meter.TimeSignature):
            self.meters.append((place, int(element.numerator), int(element.denominator)))
        elif isinstance(element, key.KeySignature):
            self._key = element
            mode = str(getattr(element, "mode", None) or "major")
            self.keys.append((place, int(element.sharps or 0), "minor" if mode == "minor" else "major"))
        else:
            kind = type(element).__name__
            if not (kind in _SILENT or kind.endswith(("Clef", "Layout")) or "Instrument" in element.classes):
                self.lists.unknown.add(_said(element), self.name, bar)

    def _dynamic(self, mark: str, place: Place, bar: str) -> None:
        if mark in VELOCITIES or mark in DROPPING or mark in ON_ONE_NOTE:
            self.marks.append((place, mark))
        else:
            self.lists.unknown.add(f"dynamic {mark!r}", self.name, bar)

    def _tempo_mark(self, element: Any, place: Place, bar: str) -> None:
        from music21 import tempo

        if isinstance(element, tempo.MetricModulation):
            element = element.newMetronome
        bpm = None
        if isinstance(element, tempo.MetronomeMark):
            bpm = element.getQuarterBPM()
        text = getattr(element, "text", None)
        asks, _ = understood(str(text)) if text else ((), "")
        way = next((ask.value for ask in asks if ask.kind == "tempo"), None)
        explicit = bpm is not None and element.number is not None and not element.numberImplicit
        if way is not None and not explicit:
            self.tempo_words[place] = "first" if way == "back" and "prim" in str(text).casefold() else way
        elif bpm:
            self.tempi[place] = float(bpm)
        else:
            what = f"tempo {str(text)!r}" if text else "a tempo without a number"
            self.lists.unknown.add(what, self.name, bar)

    def _words(self, text: str, place: Place, bar: str, signs: set[str]) -> None:
        from music21 import tempo

        text = " ".join(text.split())
        if not text:
            return
        asks, left = understood(text)
        if not any(ask.kind in ("tempo", "hairpin") for ask in asks):
            bpm = tempo_word(text, tempo.defaultTempoValues.items())
            if bpm is not None:  # a heading: the rest of it is character
                self.tempi[place] = bpm
                left = ""
        for ask in asks:
            if ask.kind == "dynamic":
                self._dynamic(ask.value, place, bar)
            elif ask.kind == "hairpin":
                self.hairpins.append(Hairpin(start=place, end=None, direction=int(ask.value)))
            elif ask.kind == "tempo":
                first = ask.value == "back" and re.search(r"\bprimo\b|\bi\b|\b1\b", text.casefold())
                self.tempo_words[place] = "first" if first else ask.value
            elif ask.kind == "jump":
                signs.add(ask.value)
            elif ask.kind == "character":
                self.lists.character.add(text, self.name, bar)
            else:
                self.asks.append((place, ask, bar))
        if left:
            self.lists.unknown.add(f"text {left!r}", self.name, bar)

    def _note(self, element: Any, place: Place, voice: str, bar: str) -> None:
        from music21 import articulations, chord, expressions

        members = list(element.notes) if isinstance(element, chord.Chord) else [element]
        shift = self._sounding(place)
        if not members:
            return
        event = Event(
            place=place, length=float(element.duration.quarterLength), voice=voice, bar=bar,
            pitches=tuple(float(member.pitch.ps) + shift for member in members),
            ties=tuple("" if member.tie is None else str(member.tie.type) for member in members),
            grace=bool(element.duration.isGrace), stroked=bool(getattr(element.duration, "slash", False)))
        if isinstance(element, chord.Chord) and element.tie is not None and not any(event.ties):
            event.ties = (str(element.tie.type),) * len(members)
        if not event.grace and not event.length > 0:
            return
        self._where[id(element)] = (place, event.length, event)
        for member in members:
            self._where[id(member)] = self._where[id(element)]
        for mark in element.articulations:
            kind = type(mark).__name__
            if kind in _MARKS:
                event.marks.add(_MARKS[kind])
            elif isinstance(mark, (articulations.BreathMark, articulations.Caesura)):
                event.breath = True
            elif kind in FALLS:
                event.bend = kind
            elif kind == "Pizzicato" or kind == "SnapPizzicato":
                event.marks.add("staccatissimo")
                self.lists.unplayable.add("pizzicato, as very short bowed notes", self.name, bar)
            elif "Harmonic" in kind:
                self.lists.unplayable.add("harmonics, as plain notes of the written pitch", self.name, bar)
            elif kind not in _NO_SOUND:
                self.lists.unknown.add(f"articulation {kind}", self.name, bar)
        for mark in element.expressions:
            if isinstance(mark, expressions.Fermata):
                self.fermatas.append((place, event.end))
            elif isinstance(mark, expressions.TextExpression):
                self._words(str(mark.content), place, bar, set())
            else:
                self._ornament(event, mark, members[-1].pitch, shift, bar)
        self.events.append(event)

    def _ornament(self, event: Event, mark: Any, pitch: Any, shift: float, bar: str) -> None:
        from music21 import expressions

        upper, lower = self._step(pitch, 1) + shift, self._step(pitch, -1) + shift
        accidental = getattr(mark, "accidental", None)
        if accidental is not None:
            upper = self._plain_step(pitch, 1) + float(accidental.alter) + shift
        if isinstance(mark, expressions.Trill):
            event.ornament = ("trill", upper, lower)
        elif isinstance(mark, expressions.InvertedMordent):  # the one that goes up
            event.ornament = ("mordent", upper, lower)
        elif isinstance(mark, expressions.GeneralMordent):
            event.ornament = ("mordent", lower, upper)
        elif isinstance(mark, expressions.InvertedTurn):
            event.ornament = ("turn_delayed" if _delayed(mark) else "turn", lower, upper)
        elif isinstance(mark, expressions.Turn):
            event.ornament = ("turn_delayed" if _delayed(mark) else "turn", upper, lower)
        elif isinstance(mark, expressions.Tremolo):
            event.tremolo = _stroke(mark.numberOfMarks)
        elif isinstance(mark, expressions.ArpeggioMark):
            self.lists.unknown.add("arpeggios, the notes begin together", self.name, bar)
        else:
            self.lists.unknown.add(f"sign {type(mark).__name__}", self.name, bar)

    def _plain_step(self, pitch: Any, steps: int) -> float:
        letters = "CDEFGAB"
        at = letters.index(pitch.step) + steps
        octave = pitch.implicitOctave + at // 7
        return float((0, 2, 4, 5, 7, 9, 11)[at % 7] + 12 * (octave + 1))

    def _step(self, pitch: Any, steps: int) -> float:
        """The written pitch a step above or below, by the key."""
        letter = "CDEFGAB"[("CDEFGAB".index(pitch.step) + steps) % 7]
        altered = None if self._key is None else self._key.accidentalByStep(letter)
        return self._plain_step(pitch, steps) + (0.0 if altered is None else float(altered.alter))

    def _spanners(self, lines: Sequence[Any]) -> None:
        """Slurs, hairpins, glissandi, tremolos between notes and lines of trills."""
        from music21 import dynamics, expressions, spanner

        owner = {id(event): index for index, event in enumerate(self.events)}
        for line in lines:
            spanned = [self._where.get(id(item)) for item in line.getSpannedElements()]
            found = [item for item in spanned if item is not None]
            if not found:
                continue
            first, last = found[0], found[-1]
            heads = [item[2] for item in found if item[2] is not None]
            if isinstance(line, dynamics.DynamicWedge):
                direction = 1 if isinstance(line, dynamics.Crescendo) else -1
                end = max(item[0] + item[1] for item in found)
                if end > first[0]:
                    self.hairpins.append(Hairpin(start=min(item[0] for item in found), end=end, direction=direction))
            elif isinstance(line, spanner.Slur):
                if len(heads) >= 2:
                    self._slur(heads[0], heads[-1], owner)
            elif isinstance(line, spanner.Glissando):
                if len(heads) >= 2:
                    heads[-1].glides = True
            elif isinstance(line, expressions.TremoloSpanner):
                if len(heads) == 2 and not heads[1].swallowed:
                    heads[0].tremolo_with, heads[1].swallowed = heads[1].pitches, True
                    heads[0].length += heads[1].length
                    heads[0].tremolo = _stroke(line.numberOfMarks)
                else:
                    self.lists.unknown.add("tremolo between notes that are not two", self.name, "")
            elif isinstance(line, expressions.TrillExtension):
                for event in self.events:
                    if first[0] <= event.place <= last[0] and event.ornament is None and not event.grace:
                        pitch = event.pitches[-1]
                        event.ornament = ("trill", self._scale_step(pitch), pitch - 1.0)
            elif type(line).__name__ not in _SILENT:
                self.lists.unknown.add(_said(line), self.name, "")

    def _scale_step(self, pitch: float) -> float:
        """The pitch a step of the scale above a sounding one: a whole tone, or a semitone where the key has it."""
        sharps = 0 if self._key is None else int(self._key.sharps or 0)
        scale = {(7 * fifth) % 12 for fifth in range(sharps - 1, sharps + 6)}
        shift = self.transpositions[0][1] if self.transpositions else 0.0
        return pitch + (1.0 if int(pitch - shift + 1) % 12 in scale else 2.0)

    def _slur(self, first: Event, last: Event, owner: Mapping[int, int]) -> None:
        low, high = owner[id(first)], owner[id(last)]
        if low > high:
            low, high = high, low
        for event in self.events[low : high + 1]:
            if event.voice == first.voice:
                event.in_slur = True
                event.slurred = event.slurred or event is not self.events[low]

    def _apply_words(self) -> None:
        """Words that hold from their place on, applied to the notes; and marks joined to what they mean together."""
        last: dict[str, list[tuple[Place, str]]] = defaultdict(list)
        for place, ask, bar in sorted(self.asks, key=lambda item: item[0]):
            last[ask.kind].append((place, ask.value))
            if ask.kind == "technique" and ask.value not in ("arco", "open"):
                self.lists.unplayable.add(_TECHNIQUES[ask.value], self.name, bar)
        self.players = last["players"]
        self.vibrato = last["vibrato"]
        for place, _ in last["glide"]:
            following = next((event for event in self.events if event.place > place + 1e-6 and not event.grace), None)
            if following is not None:
                following.glides = True
        accents = {place for place, mark in self.marks if mark in ON_ONE_NOTE}
        for event in self.events:
            if event.place in accents and not event.grace:
                event.marks.add("sforzato")
            if not event.marks - {"accent", "sforzato", "marcato"}:
                word = latest(last["mark"], event.place)
                if word and not (word == "legato" and event.in_slur):
                    event.marks.add(word)
            if latest([item for item in last["technique"] if item[1] in ("pizz", "arco")], event.place) == "pizz":
                event.marks.add("staccatissimo")
            if event.in_slur and event.marks & {"staccato", "tenuto"}:
                event.marks -= {"staccato", "tenuto"}
                event.marks.add("portato")
            elif event.slurred or event.glides:
                event.marks.add("legato")


def _voltas(part: Any, measures: Sequence[Any]) -> dict[int, frozenset[int]]:
    """The passes that the voltas over each measure name, by the measure's ``id``."""
    from music21 import spanner

    index = {id(measure): number for number, measure in enumerate(measures)}
    found: dict[int, frozenset[int]] = {}
    for bracket in part.recurse().getElementsByClass(spanner.RepeatBracket):
        numbers = frozenset(int(number) for number in bracket.numberRange if number)
        spanned = [index[id(measure)] for measure in bracket.getSpannedElements() if id(measure) in index]
        if spanned:  # a bracket may name its ends alone
            for measure in measures[min(spanned) : max(spanned) + 1]:
                found[id(measure)] = found.get(id(measure), frozenset()) | numbers
    return found


def _elements(measure: Any, voice_class: Any) -> Iterator[tuple[Any, float, str]]:
    """Everything in a measure with its offset and the name of its voice."""
    for element in measure:
        offset = float(measure.elementOffset(element))
        if isinstance(element, voice_class):
            for inner in element:
                yield inner, offset + float(element.elementOffset(inner)), str(element.id)
        else:
            yield element, offset, "1"


def _said(element: Any) -> str:
    text = " ".join(str(getattr(element, "content", "") or getattr(element, "figure", "") or "").split())
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(element).__name__).lower()
    return f"{kind} {text[:60]!r}" if text else kind


def _stroke(marks: Any) -> float:
    """Length of a stroke of a tremolo in quarter notes; 0 marks are an unmeasured one, as quick as any."""
    return float(2.0 ** -(int(marks) or 8))


def _delayed(mark: Any) -> bool:
    return bool(getattr(mark, "isDelayed", False))


def latest(states: Sequence[tuple[Place, str]], place: Place) -> str:
    """The last state at or before a place; empty before the first."""
    index = bisect_right(states, place + 1e-6, key=lambda state: state[0]) - 1
    return states[index][1] if index >= 0 else ""


