"""Undo and redo for a performance that is edited as a file.

Beside ``song.performance.json`` lies ``song.history.json``: for every edit what was asked, and the lines of the
document that it changed, before and after. One note is one line, so an edit of one note costs two lines. The document
itself never needs its history; without the file there is nothing to undo.

A document that was changed by other means since the last edit cannot be stepped back to what it was, for nobody knows
what that changed: its history begins anew with the next edit, and undo says so.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mididdsp.expression.document import load_performance, save_performance
from mididdsp.expression.quantities import EditError
from mididdsp.expression.types import Performance
from mididdsp.files import atomic_path

FORMAT = "mididdsp.history"
VERSION = 1

LONGEST = 200
"""Edits that are remembered; older ones are forgotten."""

_DOCUMENT_SUFFIX = ".performance.json"
_SUFFIX = ".history.json"


class _Patch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Lines ``first`` … of the document before, and what stands in their place after."""

    first: int
    before: list[str]
    after: list[str]


class _Entry(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One edit: the words, the hashes of the document before and after, and the lines that changed."""

    words: str
    before: str
    after: str
    patches: list[_Patch]


class _History(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """All edits; the first ``done`` of them are in the document, the others were taken back."""

    format: str = FORMAT
    version: int = VERSION
    done: int = 0
    entries: list[_Entry] = []


def history_path(document: str | os.PathLike[str]) -> Path:
    """Where the history of a document lies."""
    path = Path(document)
    name = path.name
    stem = name[: -len(_DOCUMENT_SUFFIX)] if name.lower().endswith(_DOCUMENT_SUFFIX) else path.stem
    return path.with_name(stem + _SUFFIX)


def save_edit(path: str | os.PathLike[str], performance: Performance, words: str) -> None:
    """Write an edited performance over its document, so that the edit can be undone.

    Args:
        path: of the document; it holds the performance before the edit, or does not exist yet.
        performance: after the edit.
        words: what was asked for.

    Raises:
        DocumentError: the performance cannot be written.
        OSError: a file cannot be written.
    """
    target = Path(path)
    before = target.read_bytes() if target.exists() else None
    history = _load(target)
    save_performance(target, performance)
    after = target.read_bytes()
    if before is None or before == after:
        return
    entries = history.entries[: history.done]
    if entries and entries[-1].after != _hash(before):
        entries = []  # the document was changed by other means in between
    entries.append(_Entry(words=words, before=_hash(before), after=_hash(after), patches=_difference(before, after)))
    entries = entries[-LONGEST:]
    _save(target, _History(done=len(entries), entries=entries))


def undo(path: str | os.PathLike[str]) -> str:
    """Take the last edit of a document back.

    Returns:
        The words of the edit.

    Raises:
        EditError: there is nothing to undo, or the document was changed by other means since.
        DocumentError, OSError: a file cannot be read or written.
    """
    return _step(Path(path), back=True)


def redo(path: str | os.PathLike[str]) -> str:
    """Do the edit again that was undone last; see ``undo``."""
    return _step(Path(path), back=False)


def edits(path: str | os.PathLike[str]) -> tuple[tuple[str, bool], ...]:
    """(words, whether it is in the document) of each remembered edit, the oldest first."""
    history = _load(Path(path))
    return tuple((entry.words, index < history.done) for index, entry in enumerate(history.entries))


def _step(path: Path, *, back: bool) -> str:
    history = _load(path)
    what = "undo" if back else "redo"
    index = history.done - 1 if back else history.done
    if not 0 <= index < len(history.entries):
        raise EditError(f"{path}: there is nothing to {what}")
    entry = history.entries[index]
    data = path.read_bytes()
    if _hash(data) != (entry.after if back else entry.before):
        raise EditError(f"{path}: it was changed by other means since the last edit, so there is nothing safe to "
                        f"{what}; keep it as it is, or restore a copy")
    result = _patched(data, entry.patches, back=back)
    with atomic_path(path) as partial:
        partial.write_bytes(result)
        load_performance(partial)  # a damaged history must not damage the document
    history.done += -1 if back else 1
    _save(path, history)
    return entry.words


def _difference(before: bytes, after: bytes) -> list[_Patch]:
    """The lines that differ: one by one where there are as many, else one block between what begins and ends alike."""
    old, new = before.decode().split("\n"), after.decode().split("\n")
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    middle_old, middle_new = old[start:len(old) - end], new[start:len(new) - end]
    if len(middle_old) != len(middle_new):
        return [_Patch(first=start, before=middle_old, after=middle_new)]
    return [_Patch(first=start + index, before=[a], after=[b])
            for index, (a, b) in enumerate(zip(middle_old, middle_new)) if a != b]


def _patched(data: bytes, patches: Sequence[_Patch], *, back: bool) -> bytes:
    lines = data.decode().split("\n")
    for patch in patches:
        gone, come = (patch.after, patch.before) if back else (patch.before, patch.after)
        lines[patch.first:patch.first + len(gone)] = come
    return "\n".join(lines).encode()


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _load(document: Path) -> _History:
    path = history_path(document)
    if not path.exists():
        return _History()
    try:
        history = msgspec.json.decode(path.read_bytes(), type=_History)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EditError(f"{path}: this is no history of edits ({error}); move it away to go on") from error
    if history.format != FORMAT or history.version != VERSION or not 0 <= history.done <= len(history.entries):
        raise EditError(f"{path}: this history was not written by this version; move it away to go on")
    return history


def _save(document: Path, history: _History) -> None:
    with atomic_path(history_path(document)) as partial:
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(history), indent=1))
