"""What a folder of recordings holds: its solo recordings, the instrument of each, and the notes that lie beside them.

Known layouts: any tree of audio files with MIDI or tables of the same name beside them (or in a neighbouring folder, as
``audio/`` and ``notes/``); stems of a session with one MIDI file for all of them, or with a MIDI file that holds the
tempo alone; and URMP (Li et al. 2018): a folder a piece ``NN_Title_vn_vc``, stems ``AuSep_<k>_<instrument>_<NN>_…``,
notes ``Notes_<k>_<instrument>_<NN>_….txt``, and mixes ``AuMix_…``, which are left out.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mididdsp.data.folder_notes import (
    MIDI_SUFFIXES,
    TABLE_SUFFIXES,
    midi_parts,
    part_for,
    read_midi_notes,
    read_table,
    read_urmp_notes,
    tempo_of,
)
from mididdsp.data.recordings import DataError
from mididdsp.instruments import named
from mididdsp.notes.types import Note

AUDIO_SUFFIXES = (".wav", ".wave", ".flac", ".mp3", ".opus", ".ogg", ".oga", ".aif", ".aiff", ".aifc", ".w64", ".rf64",
                  ".caf", ".au")

URMP_INSTRUMENTS = {
    "vn": "violin", "va": "viola", "vc": "cello", "db": "double_bass", "fl": "flute", "ob": "oboe", "cl": "clarinet",
    "sax": "saxophone", "bn": "bassoon", "tpt": "trumpet", "hn": "horn", "tbn": "trombone", "tba": "tuba",
}
"""Abbreviations in URMP's names."""

_URMP_STEM = re.compile(r"AuSep_(\d+)_([a-z]+)_(\d+)_(.+)$", re.IGNORECASE)
_URMP_MIX = re.compile(r"AuMix_\d+_", re.IGNORECASE)
_NO_SOLO = frozenset(("click", "metronome", "tempo", "countin", "mix", "mixdown", "master", "premaster", "bounce"))
"""Words for files that are no instrument, unless the name also says one."""

_OTHERS = frozenset((
    "piano", "keys", "keyboard", "organ", "harpsichord", "guitar", "gtr", "drums", "drum", "kick", "snare",
    "percussion", "perc", "vocal", "vocals", "vox", "voice", "choir", "synth", "pad", "harp", "marimba", "vibraphone",
    "accordion", "ukulele", "mandolin", "banjo"))
"""Words for instruments that are not among the sixteen and near none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solo:
    """One recording of one instrument.

    Attributes:
        item: its path relative to the folder, with ``/`` between.
        path: where it is.
        instrument: a name of the table of instruments, or None where nothing tells.
        told_by: what told the instrument, for the report.
        group: what must stay on one side of the split together with it: a piece, or the item alone.
        notes_path: where its notes lie, or None.
        part: the part of that file, where it holds several.
        tempo_path: a MIDI file whose tempo those notes follow, or None.
    """

    item: str
    path: Path
    instrument: str | None
    told_by: str
    group: str
    notes_path: Path | None = None
    part: str | None = None
    tempo_path: Path | None = None

    def notes(self) -> tuple[Note, ...]:
        """The notes beside it; empty without any.

        Raises:
            DataError: they cannot be read.
        """
        path = self.notes_path
        if path is None:
            return ()
        suffix = path.suffix.lower()
        if suffix in MIDI_SUFFIXES:
            tempo = None if self.tempo_path is None else tempo_of(self.tempo_path)
            return read_midi_notes(path, part=self.part, tempo=tempo)
        return read_urmp_notes(path) if suffix == ".txt" else read_table(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A folder's recordings, sorted by item, and (item, why) of the audio files that are none."""

    solos: tuple[Solo, ...]
    left_out: tuple[tuple[str, str], ...]


def scan(folder: Path, *, instrument: str | None = None) -> Scan:
    """Find the recordings under a folder.

    Args:
        folder: looked through with all its folders; hidden ones are passed by.
        instrument: of all recordings, whatever their names say; a name of the table.

    Raises:
        DataError: there is no audio file in it.
    """
    files = sorted(_files(folder))
    audio = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    if not audio:
        raise DataError(f"{folder} holds no audio file (.wav, .flac, .mp3, .opus …); give a folder of recordings")
    notes = [path for path in files if path.suffix.lower() in (*MIDI_SUFFIXES, *TABLE_SUFFIXES)
             or (path.suffix.lower() == ".txt" and path.name.lower().startswith("notes_"))]
    solos: list[Solo] = []
    left_out: list[tuple[str, str]] = []
    for path in audio:
        item = path.relative_to(folder).as_posix()
        if _URMP_MIX.match(path.stem):
            left_out.append((item, "a mix of several players"))
            continue
        solo = _urmp(path, item, notes) or _plain(path, item, folder)
        if instrument is not None:
            solo = replace(solo, instrument=instrument, told_by="the option")
        elif solo.instrument is None and _words(path.stem) & _NO_SOLO:
            left_out.append((item, "its name says a mix or a click, not an instrument"))
            continue
        elif solo.told_by.startswith("!"):
            left_out.append((item, solo.told_by[1:]))
            continue
        solos.append(_with_notes(solo, folder, notes) if solo.notes_path is None else solo)
    return Scan(solos=tuple(solos), left_out=tuple(left_out))


def _files(folder: Path) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        found += [Path(place) / name for name in names if not name.startswith(".")]
    return found


def _urmp(path: Path, item: str, notes: Sequence[Path]) -> Solo | None:
    """A stem of URMP; all stems of a piece stay together in the split."""
    match = _URMP_STEM.match(path.stem)
    if match is None or match.group(2).lower() not in URMP_INSTRUMENTS:
        return None
    number, abbreviation, piece, title = match.groups()
    wanted = f"notes_{number}_{abbreviation}_{piece}_{title}".casefold()
    beside = next((note for note in notes if note.stem.casefold() == wanted and note.parent == path.parent), None)
    return Solo(item=item, path=path, instrument=URMP_INSTRUMENTS[abbreviation.lower()], told_by="URMP's name",
                group=f"URMP {piece}", notes_path=beside)


def _plain(path: Path, item: str, folder: Path) -> Solo:
    """The instrument that the file's name says, else that of the nearest folder which says one."""
    other = _words(path.stem) & _OTHERS
    if other:
        return Solo(item=item, path=path, instrument=None, group=item, told_by=(
            f"!its name says {min(other)}, which is not among the sixteen instruments; choose one with --instrument"))
    places = [path.stem, *(part.name for part in path.relative_to(folder).parents if part.name),
              folder.resolve().name]
    for place, text in enumerate(places):
        found = named(unicodedata.normalize("NFC", text))
        if found is None:
            continue
        name, exact = found
        what = f"{'its name' if place == 0 else 'its folder'} {text!r}"
        if exact:
            return Solo(item=item, path=path, instrument=name, told_by=what, group=item)
        if place == 0:
            return Solo(item=item, path=path, instrument=None, group=item, told_by=(
                f"!{what} says an instrument that is not among the sixteen; choose the nearest with --instrument"))
    return Solo(item=item, path=path, instrument=None, told_by="nothing", group=item)


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z]+", re.sub(r"count[-_ ]in", "countin", text.casefold())))


def _with_notes(solo: Solo, folder: Path, notes: Sequence[Path]) -> Solo:
    """The recording with the notes that belong to it: of its own name, or a part of the session's MIDI file."""
    stem = unicodedata.normalize("NFC", solo.path.stem).casefold()
    same = [note for note in notes if unicodedata.normalize("NFC", note.stem).casefold() == stem]
    here = [note for note in same if note.parent == solo.path.parent]
    around = [note for note in same if note.parent.parent == solo.path.parent.parent] if solo.path.parent != folder \
        else [note for note in same if note.parent.parent == folder]
    own = next((group[0] for group in (here, around) if group), None)
    session = [note for note in notes if note.parent == solo.path.parent and note.suffix.lower() in MIDI_SUFFIXES]
    if own is not None:
        tempo = next((other for other in session if other != own and not midi_parts(other)
                      and tempo_of(other) is not None), None) if own.suffix.lower() in MIDI_SUFFIXES else None
        return replace(solo, notes_path=own, tempo_path=tempo)
    for file in session:
        parts = midi_parts(file)
        part = part_for(solo.path.stem, parts, solo.instrument)
        if part is not None:
            told = solo if solo.instrument is not None else replace(
                solo, instrument=next(one for name, one, _ in parts if name == part), told_by=f"the part {part!r}")
            return replace(told, notes_path=file, part=part)
    return solo


def given_notes(solo: Solo) -> tuple[tuple[Note, ...], str | None]:
    """(notes beside a recording, None) or (nothing, the sentence that says why they cannot be used)."""
    try:
        return solo.notes(), None
    except DataError as error:
        return (), str(error)
