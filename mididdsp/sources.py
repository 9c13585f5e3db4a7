"""What a path holds, told by its content: the kinds of input a command takes, and the folders of them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

PERFORMANCE_SUFFIX = ".performance.json"
SYNTH_SUFFIX = ".synth.npz"
MIDI_SUFFIXES = (".mid", ".midi", ".kar", ".smf", ".rmi")
NOTATION_SUFFIXES = (".musicxml", ".mxl", ".abc", ".krn", ".mei")
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus")
"""Forms audio is written in; the suffix chooses one."""

_HEAD = 512
"""Bytes read to tell a kind; every signature below lies within them."""


class Kind(Enum):
    """What a path holds; the value is how a sentence names it."""

    MIDI = "MIDI file"
    PERFORMANCE = "saved performance"
    SYNTH = "file of synthesis parameters"
    AUDIO = "audio file"
    NOTATION = "score"
    FOLDER = "folder"
    UNKNOWN = "file of an unknown kind"

    @property
    def looks(self) -> str:
        """How a sentence says that a path holds this kind where another was wanted."""
        return f"it looks like {'an' if self.value[0] in 'aeiou' else 'a'} {self.value}"


def kind_of(path: str | os.PathLike[str]) -> Kind:
    """Tell what a path holds by its content, and by its suffix only where the content says nothing.

    A damaged file with a suffix of ours still counts as that kind, so that its reader can say what is wrong.

    Raises:
        OSError: it does not exist or cannot be read.
    """
    target = Path(path)
    if target.is_dir():
        return Kind.FOLDER
    with target.open("rb") as stream:
        head = stream.read(_HEAD)
    name = target.name.lower()
    if head.startswith(b"MThd") or (head.startswith(b"RIFF") and head[8:12] == b"RMID"):
        return Kind.MIDI
    if (head.startswith((b"RIFF", b"RF64")) and head[8:12] == b"WAVE") or head.startswith((b"fLaC", b"OggS")):
        return Kind.AUDIO
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_archive(target, name)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"{") or name.endswith(PERFORMANCE_SUFFIX):
        return Kind.PERFORMANCE
    if text.startswith((b"<?xml", b"<!DOCTYPE score", b"<score-", b"<mei", b"X:", b"**kern", b"!!!")):
        return Kind.NOTATION
    if name.endswith(NOTATION_SUFFIXES) or head.startswith((b"\xff\xfe<", b"\xfe\xff\x00<")):
        return Kind.NOTATION
    if name.endswith(MIDI_SUFFIXES):
        return Kind.MIDI
    if name.endswith(SYNTH_SUFFIX):
        return Kind.SYNTH
    return Kind.UNKNOWN


def _kind_of_archive(target: Path, name: str) -> Kind:
    try:
        with zipfile.ZipFile(target) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        members = []
    if name.endswith(SYNTH_SUFFIX) or any(member.endswith(".npy") for member in members):
        return Kind.SYNTH
    if name.endswith(".mxl") or any(member.endswith((".xml", ".musicxml")) for member in members):
        return Kind.NOTATION
    return Kind.UNKNOWN


def stem_of(path: Path) -> str:
    """The name of a piece: the file's name without the suffixes this project gives."""
    name = path.name
    for suffix in (PERFORMANCE_SUFFIX, SYNTH_SUFFIX):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return path.stem


def performance_beside(synth_file: Path) -> Path | None:
    """The performance that was saved with a file of synthesis parameters, or None: the longest name that fits."""
    fitting = [
        item
        for item in synth_file.parent.iterdir()
        if item.name.lower().endswith(PERFORMANCE_SUFFIX) and synth_file.name.startswith(stem_of(item) + ".")
    ]
    return max(fitting, key=lambda item: len(item.name), default=None)


def walk(folder: Path) -> Iterator[Path]:
    """Every file below ``folder`` that can be rendered, sorted; hidden ones and links to folders are left out.

    Of saved levels only the performance is given where there is one: its synthesis parameters belong to it.
    """
    for directory, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            path = Path(directory) / name
            lower = name.lower()
            if name.startswith(".") or not path.is_file():
                continue
            if lower.endswith((*MIDI_SUFFIXES, *NOTATION_SUFFIXES, PERFORMANCE_SUFFIX)):
                yield path
            elif lower.endswith(SYNTH_SUFFIX):
                if performance_beside(path) is None:
                    yield path
            elif _holds_notes(path):
                yield path


def _holds_notes(path: Path) -> bool:
    try:
        kind = kind_of(path)
        return kind is Kind.MIDI or (kind is Kind.NOTATION and path.suffix.lower() in (".xml", ""))
    except OSError:
        return False
