"""The table of instruments: names, General MIDI programs, families, ranges, partials, seats.

Conventions: programs are 0-based; pitches are sounding MIDI numbers, ends included; pan runs from -1 (left, as the
audience sees it) to 1 (right). Ranges are those of professional players; notes outside them sound, with a warning.
The names cover what notation programs write into tracks, in nine languages.

Every one of the 128 General MIDI programs plays: ``resolve`` picks an instrument and says why.
"""

from __future__ import annotations

import math
import re
import statistics
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

MAX_PARTIALS = 400
"""Above this many partials the highest carry nothing that can be heard, even on a contrabassoon."""

HIGHEST_PARTIAL_HZ = 20_000.0

ENSEMBLE_PLAYERS = 6
"""Players of a part that asks for a section, such as General MIDI's String Ensemble."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One instrument of the table.

    Attributes:
        name: key of the table.
        label: for people.
        family: ``strings``, ``woodwind`` or ``brass``.
        programs: the General MIDI programs (0-based) that ask for it exactly.
        low: lowest sounding pitch.
        high: highest sounding pitch.
        centre: pitch in the middle of what is usually written for it.
        written_offset: semitones from sounding to written pitch.
        pan: default seat, -1 (left) to 1 (right).
        abbreviations: names and abbreviations as tracks bear them, many languages.
    """

    name: str
    label: str
    family: str
    programs: tuple[int, ...]
    low: int
    high: int
    centre: int
    written_offset: int
    pan: float
    abbreviations: tuple[str, ...]

    @property
    def partials(self) -> int:
        """How many partials its sound needs: up to 20 kHz from its lowest note, at most ``MAX_PARTIALS``."""
        lowest_hz: float = 440.0 * 2.0 ** ((self.low - 69) / 12.0)
        return min(MAX_PARTIALS, math.ceil(HIGHEST_PARTIAL_HZ / lowest_hz))

    def holds(self, pitch: float) -> bool:
        """Whether the pitch lies in the range, a quarter tone of bend allowed."""
        return self.low - 0.5 <= pitch <= self.high + 0.5


def _table(*rows: Instrument) -> Mapping[str, Instrument]:
    return MappingProxyType({row.name: row for row in rows})


INSTRUMENTS: Mapping[str, Instrument] = _table(
    Instrument(
        name="violin", label="Violin", family="strings", programs=(40,), low=55, high=103, centre=74,
        written_offset=0, pan=-0.45,
        abbreviations=(
            "violin", "violins", "violino", "violini", "violon", "violons", "violine", "violinen", "geige", "geigen",
            "violin solo", "vln", "vlns", "vl", "vni", "vno", "vn", "viol", "vlon", "skripka", "viool", "fiol",
            "скрипка", "скрипки", "скр", "小提琴", "ヴァイオリン", "バイオリン", "바이올린")),
    Instrument(
        name="viola", label="Viola", family="strings", programs=(41,), low=48, high=91, centre=63,
        written_offset=0, pan=0.2,
        abbreviations=(
            "viola", "violas", "viole", "bratsche", "bratschen", "vla", "vlas", "va", "vle", "br", "altviool",
            "violon alto", "altviolin", "альт", "альты", "中提琴", "ヴィオラ", "ビオラ", "비올라")),
    Instrument(
        name="cello", label="Cello", family="strings", programs=(42,), low=36, high=84, centre=52,
        written_offset=0, pan=0.4,
        abbreviations=(
            "cello", "cellos", "celli", "violoncello", "violoncelli", "violoncellos", "violoncelle", "violoncelles",
            "violoncelo", "violonchelo", "violoncell", "violoncelle solo", "vc", "vcl", "vlc", "vcello", "vlcl",
            "виолончель", "виолончели", "大提琴", "チェロ", "첼로")),
    Instrument(
        name="double_bass", label="Double bass", family="strings", programs=(43,), low=24, high=67, centre=38,
        written_offset=12, pan=0.55,
        abbreviations=(
            "double bass", "double basses", "doublebass", "contrabass", "contrabasses", "contrabasso", "contrabassi",
            "contrebasse", "contrebasses", "kontrabass", "kontrabasse", "kontrabaesse", "contrabajo", "contrabaixo",
            "string bass", "upright bass", "acoustic bass", "basses", "cb", "kb", "db", "d b", "c b", "contrab",
            "контрабас", "контрабасы", "低音提琴", "倍大提琴", "コントラバス", "콘트라베이스")),
    Instrument(
        name="flute", label="Flute", family="woodwind", programs=(73,), low=59, high=98, centre=79,
        written_offset=0, pan=-0.15,
        abbreviations=(
            "flute", "flutes", "floete", "floeten", "flote", "floten", "querflote", "querfloete", "flauto", "flauti",
            "flauta", "flautas", "traverso", "fl", "flt", "fluit", "флейта", "флейты", "长笛", "長笛", "フルート",
            "플루트")),
    Instrument(
        name="oboe", label="Oboe", family="woodwind", programs=(68,), low=58, high=93, centre=75,
        written_offset=0, pan=0.1,
        abbreviations=(
            "oboe", "oboes", "oboen", "oboi", "hautbois", "hobo", "ob", "гобой", "гобои", "双簧管", "雙簧管",
            "オーボエ", "오보에")),
    Instrument(
        name="english_horn", label="English horn", family="woodwind", programs=(69,), low=52, high=81, centre=66,
        written_offset=7, pan=0.18,
        abbreviations=(
            "english horn", "engl horn", "eng horn", "cor anglais", "cors anglais", "corno inglese", "corni inglesi",
            "corno ingles", "corne ingles", "englischhorn", "englisch horn", "althobo", "oboe da caccia", "eh", "e h",
            "e hn", "eng hn", "e hrn", "c a", "c angl", "c ing", "английский рожок", "英国管", "英國管",
            "イングリッシュホルン", "コーラングレ", "잉글리시 호른")),
    Instrument(
        name="clarinet", label="Clarinet", family="woodwind", programs=(71,), low=50, high=94, centre=69,
        written_offset=2, pan=-0.2,
        abbreviations=(
            "clarinet", "clarinets", "klarinette", "klarinetten", "clarinette", "clarinettes", "clarinetto",
            "clarinetti", "clarinete", "clarinetes", "klarinet", "clarinetist", "cl", "clar", "klar", "kl", "clt",
            "кларнет", "кларнеты", "单簧管", "單簧管", "黑管", "クラリネット", "클라리넷")),
    Instrument(
        name="bass_clarinet", label="Bass clarinet", family="woodwind", programs=(), low=34, high=82, centre=54,
        written_offset=14, pan=-0.3,
        abbreviations=(
            "bass clarinet", "bassclarinet", "bassklarinette", "bass klarinette", "clarinette basse",
            "clarinetto basso", "clarone", "clarinete bajo", "clarinete baixo", "basklarinet", "contrabass clarinet",
            "contra bass clarinet", "b cl", "bcl", "bs cl", "bass cl", "bkl", "b kl", "cl b", "cl basso",
            "бас кларнет", "басовый кларнет", "低音单簧管", "低音單簧管", "バスクラリネット", "베이스 클라리넷")),
    Instrument(
        name="saxophone", label="Saxophone", family="woodwind", programs=(64, 65, 66, 67), low=50, high=89, centre=63,
        written_offset=9, pan=0.0,
        abbreviations=(
            "saxophone", "saxophones", "saxophon", "saxofon", "saxofone", "saxo", "sassofono", "sassofoni", "sax",
            "saxes", "alto sax", "tenor sax", "soprano sax", "baritone sax", "bari sax", "altsaxophon",
            "tenorsaxophon", "sopransaxophon", "baritonsaxophon", "a sax", "t sax", "s sax", "b sax", "asax", "tsax",
            "ssx", "asx", "tsx", "bsx", "саксофон", "萨克斯", "薩克斯", "サックス", "サクソフォン", "색소폰")),
    Instrument(
        name="bassoon", label="Bassoon", family="woodwind", programs=(70,), low=34, high=75, centre=52,
        written_offset=0, pan=0.15,
        abbreviations=(
            "bassoon", "bassoons", "fagott", "fagotte", "fagotto", "fagotti", "basson", "bassons", "fagot", "fagote",
            "bsn", "bssn", "bn", "fg", "fag", "фагот", "фаготы", "巴松", "大管", "ファゴット", "バスーン", "바순")),
    Instrument(
        name="contrabassoon", label="Contrabassoon", family="woodwind", programs=(), low=22, high=58, centre=36,
        written_offset=12, pan=0.25,
        abbreviations=(
            "contrabassoon", "contra bassoon", "double bassoon", "kontrafagott", "kontra fagott", "contrafagotto",
            "contrafagotti", "contrebasson", "contre basson", "contrafagot", "contrafagote", "cbsn", "c bsn", "cbn",
            "cbssn", "c bn", "kfg", "k fg", "cfg", "c fg", "c fag", "dbl bsn", "контрафагот", "低音大管", "低音巴松",
            "倍低音管", "コントラファゴット", "콘트라바순")),
    Instrument(
        name="trumpet", label="Trumpet", family="brass", programs=(56,), low=52, high=84, centre=69,
        written_offset=2, pan=0.3,
        abbreviations=(
            "trumpet", "trumpets", "trompete", "trompeten", "trompette", "trompettes", "tromba", "trombe", "trompeta",
            "trompetas", "trompet", "tpt", "tpts", "trp", "trpt", "tp", "tr", "tbe", "tba in b", "труба", "трубы",
            "小号", "小號", "トランペット", "트럼펫")),
    Instrument(
        name="horn", label="Horn", family="brass", programs=(60,), low=34, high=77, centre=57,
        written_offset=7, pan=-0.35,
        abbreviations=(
            "horn", "horns", "french horn", "french horns", "waldhorn", "hoerner", "horner", "corno", "corni", "cor",
            "cors", "trompa", "trompas", "hoorn", "corno francese", "cor d harmonie", "hn", "hns", "hrn", "hr", "cor f",
            "f hn", "fhn", "f hrn", "валторна", "валторны", "圆号", "圓號", "法国号", "法國號", "ホルン", "호른")),
    Instrument(
        name="trombone", label="Trombone", family="brass", programs=(57,), low=28, high=77, centre=54,
        written_offset=0, pan=0.4,
        abbreviations=(
            "trombone", "trombones", "tromboni", "posaune", "posaunen", "bass trombone", "tenor trombone",
            "alto trombone", "bassposaune", "trombone basso", "trombon", "trb", "tbn", "tbns", "trbn", "trne", "pos",
            "тромбон", "тромбоны", "长号", "長號", "トロンボーン", "트롬본")),
    Instrument(
        name="tuba", label="Tuba", family="brass", programs=(58,), low=26, high=65, centre=41,
        written_offset=0, pan=0.5,
        abbreviations=(
            "tuba", "tubas", "tuben", "basstuba", "bass tuba", "kontrabasstuba", "contrabass tuba", "tub", "tb", "tba",
            "bombardon", "sousaphone", "туба", "大号", "大號", "チューバ", "テューバ", "튜바")),
)
"""The instruments by name; their order is the instrument number of the models, 0 to 15."""

STAND_IN_NAMES: Mapping[str, str] = MappingProxyType({
    "piccolo": "flute", "flauto piccolo": "flute", "picc": "flute", "recorder": "flute", "blockflote": "flute",
    "blockfloete": "flute", "pan flute": "flute", "fife": "flute", "whistle": "flute", "ocarina": "flute",
    "alto flute": "flute", "bass flute": "flute", "fiddle": "violin", "fidel": "violin", "erhu": "violin",
    "shawm": "oboe", "oboe d amore": "english_horn", "bagpipe": "oboe", "duduk": "english_horn",
    "basset horn": "clarinet", "bassetthorn": "clarinet", "cornet": "trumpet", "cornetto": "trumpet",
    "kornett": "trumpet", "flugelhorn": "trumpet", "fluegelhorn": "trumpet", "bugle": "trumpet",
    "euphonium": "trombone", "baritone horn": "trombone", "tenor horn": "horn", "mellophone": "horn",
    "wagner tuba": "horn", "wagnertuba": "horn", "serpent": "tuba", "ophicleide": "tuba", "viola da gamba": "cello",
    "gamba": "cello", "bass guitar": "double_bass", "electric bass": "double_bass", "violone": "double_bass",
})
"""Names of instruments the table does not have, and the nearest it has."""

PROGRAM_NAMES: tuple[str, ...] = (
    "Acoustic Grand Piano", "Bright Acoustic Piano", "Electric Grand Piano", "Honky-tonk Piano", "Electric Piano 1",
    "Electric Piano 2", "Harpsichord", "Clavinet", "Celesta", "Glockenspiel", "Music Box", "Vibraphone", "Marimba",
    "Xylophone", "Tubular Bells", "Dulcimer", "Drawbar Organ", "Percussive Organ", "Rock Organ", "Church Organ",
    "Reed Organ", "Accordion", "Harmonica", "Tango Accordion", "Acoustic Guitar (nylon)", "Acoustic Guitar (steel)",
    "Electric Guitar (jazz)", "Electric Guitar (clean)", "Electric Guitar (muted)", "Overdriven Guitar",
    "Distortion Guitar", "Guitar Harmonics", "Acoustic Bass", "Electric Bass (finger)", "Electric Bass (pick)",
    "Fretless Bass", "Slap Bass 1", "Slap Bass 2", "Synth Bass 1", "Synth Bass 2", "Violin", "Viola", "Cello",
    "Contrabass", "Tremolo Strings", "Pizzicato Strings", "Orchestral Harp", "Timpani", "String Ensemble 1",
    "String Ensemble 2", "Synth Strings 1", "Synth Strings 2", "Choir Aahs", "Voice Oohs", "Synth Choir",
    "Orchestra Hit", "Trumpet", "Trombone", "Tuba", "Muted Trumpet", "French Horn", "Brass Section", "Synth Brass 1",
    "Synth Brass 2", "Soprano Sax", "Alto Sax", "Tenor Sax", "Baritone Sax", "Oboe", "English Horn", "Bassoon",
    "Clarinet", "Piccolo", "Flute", "Recorder", "Pan Flute", "Blown Bottle", "Shakuhachi", "Whistle", "Ocarina",
    "Lead 1 (square)", "Lead 2 (sawtooth)", "Lead 3 (calliope)", "Lead 4 (chiff)", "Lead 5 (charang)",
    "Lead 6 (voice)", "Lead 7 (fifths)", "Lead 8 (bass and lead)", "Pad 1 (new age)", "Pad 2 (warm)",
    "Pad 3 (polysynth)", "Pad 4 (choir)", "Pad 5 (bowed)", "Pad 6 (metallic)", "Pad 7 (halo)", "Pad 8 (sweep)",
    "FX 1 (rain)", "FX 2 (soundtrack)", "FX 3 (crystal)", "FX 4 (atmosphere)", "FX 5 (brightness)", "FX 6 (goblins)",
    "FX 7 (echoes)", "FX 8 (sci-fi)", "Sitar", "Banjo", "Shamisen", "Koto", "Kalimba", "Bagpipe", "Fiddle", "Shanai",
    "Tinkle Bell", "Agogo", "Steel Drums", "Woodblock", "Taiko Drum", "Melodic Tom", "Synth Drum", "Reverse Cymbal",
    "Guitar Fret Noise", "Breath Noise", "Seashore", "Bird Tweet", "Telephone Ring", "Helicopter", "Applause",
    "Gunshot",
)
"""Names of the General MIDI programs 0 to 127 (General MIDI System Level 1, 1991)."""

_STRINGS = ("violin", "viola", "cello", "double_bass")
_WOODWIND = ("flute", "clarinet", "english_horn", "bassoon")
_BRASS = ("trumpet", "horn", "trombone", "tuba")

_FAMILY_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType({
    **dict.fromkeys(("strings", "string", "streicher", "archi", "cordes", "cuerdas", "str"), _STRINGS),
    **dict.fromkeys(("brass", "blech", "blechblaser", "ottoni", "cuivres", "metales"), _BRASS),
    **dict.fromkeys(("woodwind", "woodwinds", "winds", "holz", "holzblaser", "legni", "bois", "maderas"), _WOODWIND),
})
"""Words for a family in a track's name; with no program, the register chooses among its instruments."""

_STAND_INS: tuple[tuple[range, str | None, tuple[str, ...]], ...] = (
    (range(8), None, _STRINGS),  # keyboards of strings
    (range(8, 16), None, _WOODWIND),  # bells and bars
    (range(16, 24), None, _WOODWIND),  # pipes and reeds
    (range(24, 32), None, _STRINGS),
    (range(32, 40), "double_bass", _STRINGS),
    (range(44, 47), None, _STRINGS),
    (range(47, 48), "double_bass", _STRINGS),
    (range(48, 52), None, _STRINGS),
    (range(52, 55), None, _WOODWIND),  # voices: sustained by breath
    (range(55, 56), None, _BRASS),
    (range(59, 60), "trumpet", _BRASS),
    (range(61, 64), None, _BRASS),
    (range(72, 73), "flute", _WOODWIND),
    (range(74, 80), "flute", _WOODWIND),
    (range(80, 81), "clarinet", _WOODWIND),  # a square wave has a clarinet's odd partials
    (range(82, 84), "flute", _WOODWIND),
    (range(80, 104), None, _STRINGS),
    (range(104, 108), None, _STRINGS),
    (range(108, 109), None, _WOODWIND),
    (range(109, 110), "oboe", _WOODWIND),
    (range(110, 111), "violin", _STRINGS),
    (range(111, 112), "oboe", _WOODWIND),
    (range(112, 128), None, _WOODWIND),
)
"""Programs without their instrument here: the nearest one, if any, and the family by register. The first row counts."""

_ENSEMBLE_PROGRAMS = frozenset((*range(44, 46), *range(48, 56), *range(61, 64)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Which instrument plays a part, and why.

    Attributes:
        instrument: name in the table.
        exact: the part asked for this very instrument; otherwise it is a stand-in or a guess.
        how: ``program``, ``name``, ``family`` (a stand-in by family and register), ``range`` (a guess), ``option``.
        reason: what the part asks for, in words.
        fit: of a stand-in or a guess: what it is to the part, in words that follow its name.
        players: more than 1 where the part asks for a section.
    """

    instrument: str
    exact: bool
    how: str
    reason: str
    fit: str = ""
    players: int = 1

    def sentence(self, part: str, program: int | None) -> str:
        """What the report says of a part that a stand-in or a guess plays.

        Args:
            part: its name.
            program: that it asks for, 0-based, or None.
        """
        asked = program_name(program) if self.how == "family" and program is not None else ""
        told = "" if asked.casefold() in part.casefold() else f" ({asked})"
        return f"{part}{told} is played on the {_label(self.instrument)}, {self.fit}."


def _words(text: str) -> tuple[str, ...]:
    """Lower-case words without accents, digits, roman numerals and punctuation: 'Vln. II' is ('vln',)."""
    text = unicodedata.normalize("NFKD", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))
    text = "".join(c for c in text.casefold().replace("ß", "ss") if not 0x300 <= ord(c) <= 0x36F)
    return tuple(word for word in re.split(r"[\W\d_]+", text) if word and not re.fullmatch(r"i{1,3}|iv|vi{0,3}", word))


def _alias_table() -> dict[tuple[str, ...], tuple[str, bool]]:
    table = {_words(alias): (row.name, True) for row in INSTRUMENTS.values() for alias in row.abbreviations}
    table.update({_words(alias): (name, False) for alias, name in STAND_IN_NAMES.items()})
    return table


_ALIASES = _alias_table()
_LONGEST_ALIAS = max(map(len, _ALIASES))
_UNSPACED = {words[0]: found for words, found in _ALIASES.items() if len(words) == 1 and ord(words[0][0]) > 0x2E80}
"""Names in scripts without spaces between words (and Korean): they are looked for inside words."""


def named(text: str) -> tuple[str, bool] | None:
    """The instrument a name speaks of: 'Vln. II', 'Bratsche', 'Horn in F', 'Clarinette basse'.

    The longest known name in the text wins, then the first: 'Bass Clarinet in B' is no clarinet.

    Returns:
        Name in the table, and whether the table has it or only its nearest; None when nothing is recognised.
    """
    words = _words(text)
    for length in range(min(_LONGEST_ALIAS, len(words)), 0, -1):
        for start in range(len(words) - length + 1):
            found = _ALIASES.get(words[start:start + length])
            if found is not None:
                return found
    inside = [alias for alias in _UNSPACED if any(alias in word for word in words)]
    return _UNSPACED[max(inside, key=lambda alias: (len(alias), alias))] if inside else None


_SECTIONS = frozenset((
    "violins", "violini", "violinen", "violons", "violines", "violas", "violen", "viole", "bratschen", "altos",
    "cellos", "celli", "violoncelli", "violoncellos", "violoncelles", "violoncellen", "basses", "bassi", "contrabassi",
    "contrabasses", "contrebasses", "kontrabaesse", "kontrabasse", "strings", "streicher", "archi", "cordes"))
"""Words that name a section of strings: plurals, in the languages of scores."""


def section_players(text: str) -> int:
    """How many play a part of that name: ``ENSEMBLE_PLAYERS`` for a section of strings ('Violins I'), else 1."""
    words = _words(text)
    numbered = not words or words[0] not in ("two", "solo")
    return ENSEMBLE_PLAYERS if numbered and _SECTIONS & set(words) else 1


def instrument(name: str) -> Instrument:
    """The instrument of that name: a key of ``INSTRUMENTS``, a label, or an abbreviation such as 'Vla.'.

    Raises:
        ValueError: no instrument has that name.
    """
    if name in INSTRUMENTS:
        return INSTRUMENTS[name]
    key = name.strip().casefold().replace(" ", "_").replace("-", "_")
    if key in INSTRUMENTS:
        return INSTRUMENTS[key]
    found = _ALIASES.get(_words(name))
    if found is not None and found[1]:
        return INSTRUMENTS[found[0]]
    raise ValueError(f"no instrument is called {name!r}; choose one of {', '.join(INSTRUMENTS)}")


def program_name(program: int) -> str:
    """General MIDI name of a 0-based program, such as 'String Ensemble 1'."""
    return PROGRAM_NAMES[program]


def program_of(name: str) -> int:
    """The 0-based General MIDI program to write for an instrument; for those without one, that of the nearest."""
    near = {"bass_clarinet": 71, "contrabassoon": 70}
    row = instrument(name)
    return row.programs[0] if row.programs else near[row.name]


def by_register(candidates: Sequence[str], pitches: Sequence[float]) -> str:
    """Of some instruments, the one a part suits best: it can play most of the notes, then its centre is nearest.

    Args:
        candidates: names in the table, at least one.
        pitches: sounding MIDI numbers of the part; empty chooses the first candidate.
    """
    if not pitches:
        return candidates[0]
    middle = statistics.median(pitches)

    def misfit(name: str) -> tuple[int, float]:
        row = INSTRUMENTS[name]
        outside = sum(not row.holds(pitch) for pitch in pitches) / len(pitches)
        # In steps of a tenth, so that one odd note does not move a part to another instrument.
        return round(10 * outside), abs(row.centre - middle)

    return min(candidates, key=misfit)


def resolve(program: int | None, track_name: str, pitches: Sequence[float]) -> Resolution:
    """Choose the instrument of a part.

    In this order: a program whose instrument the table has (bass clarinet and contrabassoon, which have no program,
    are known by the track's name beside clarinet and bassoon); the track's name; another program's nearest instrument
    of the same family and register; without a program, the register alone.

    Args:
        program: General MIDI program, 0-based, or None where the file has none.
        track_name: as in the file; may be empty.
        pitches: sounding MIDI numbers of the part.

    Raises:
        ValueError: the program is not 0 to 127.
    """
    if program is not None and not 0 <= program <= 127:
        raise ValueError(f"program is {program}, it must be 0 to 127")
    by_name = named(track_name)
    players = ENSEMBLE_PLAYERS if program in _ENSEMBLE_PROGRAMS else 1
    for row in INSTRUMENTS.values():
        if program in row.programs:
            deeper = {"clarinet": "bass_clarinet", "bassoon": "contrabassoon"}.get(row.name)
            if deeper is not None and by_name == (deeper, True):
                return Resolution(instrument=deeper, exact=True, how="name", reason=(
                    f"the track's name {track_name!r} says {INSTRUMENTS[deeper].label.lower()}, "
                    f"which General MIDI has no program for"))
            return Resolution(instrument=row.name, exact=True, how="program", reason=_asks(program))
    if by_name is not None:
        name, exact = by_name
        says = _label(name) if exact else "an instrument that is not here"
        reason = f"the track's name {track_name!r} says {says}"
        if program is not None:
            reason += f"; {_asks(program)}, which has no instrument of its own here"
        return Resolution(instrument=name, exact=exact, how="name", reason=reason, players=players,
                          fit="" if exact else f"the nearest to {track_name!r}")
    if program is None:
        family = next((_FAMILY_NAMES[word] for word in _words(track_name) if word in _FAMILY_NAMES), _STRINGS)
        name = by_register(family, pitches)
        reason = "the file names no instrument for it"
        return Resolution(instrument=name, exact=False, how="range", reason=reason,
                          fit=f"the {INSTRUMENTS[name].family} in its register ({reason})")
    nearest, family = next((first, group) for programs, first, group in _STAND_INS if program in programs)
    name = by_register(family, pitches)
    if nearest is not None and sum(map(INSTRUMENTS[nearest].holds, pitches)) * 2 >= len(pitches):
        name = nearest
        fit = "the nearest to it"
    else:
        fit = f"the nearest {INSTRUMENTS[name].family} in its register"
    return Resolution(instrument=name, exact=False, how="family", players=players, fit=fit,
                      reason=f"{_asks(program)}, which has no instrument of its own here")


def _label(name: str) -> str:
    return INSTRUMENTS[name].label.lower()


def _asks(program: int | None) -> str:
    assert program is not None
    return f"program {program} ({PROGRAM_NAMES[program]}) asks for it" if any(
        program in row.programs for row in INSTRUMENTS.values()) else f"program {program} is {PROGRAM_NAMES[program]}"


def seats(names: Sequence[str]) -> tuple[float, ...]:
    """Pan of each part of a score, -1 to 1: the instrument's seat, and players of one instrument side by side.

    Args:
        names: instrument of each part, in the order of the score.
    """
    taken: dict[str, int] = {}
    count = {name: names.count(name) for name in names}
    result = []
    for name in names:
        place = taken.get(name, 0)
        taken[name] = place + 1
        # Desks of one instrument spread over a quarter of the stage, from outside in.
        spread = 0.25 * place / (count[name] - 1) if count[name] > 1 else 0.0
        centre = INSTRUMENTS[name].pan
        result.append(centre - math.copysign(spread, centre))
    return tuple(result)
