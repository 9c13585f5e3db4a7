"""Files are written whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new empty file beside ``path`` that takes its place when the block ends well.

    When the block raises, the new file is removed and what stood at ``path`` is untouched. The new file has the
    permissions of any new file (``tempfile`` would hide it from other users).

    Args:
        path: of the file to write; its folder is made where there is none.

    Yields:
        The path to write to, in the same folder, so that the final renaming is one step.

    Raises:
        OSError: the folder cannot be made or written to, or ``path`` is a folder.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; give the name of a file to write")
    with made_folder(target.parent) as folder:
        partial = folder / f".{target.name[:40]}.{secrets.token_hex(6)}.part"
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            yield partial
            os.replace(partial, target)
        except BaseException:
            with suppress(FileNotFoundError):
                partial.unlink()
            raise


def spool(folder: str | os.PathLike[str] | None = None) -> IO[bytes]:
    """A nameless file that is gone when it is closed, in a folder or the system's own place for such files.

    Raises:
        OSError: the folder cannot be written to; it is named, not the file that nobody asked for.
    """
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(folder or tempfile.gettempdir())) from None


@contextmanager
def made_folder(path: Path) -> Iterator[Path]:
    """A folder that is there; one made for the occasion goes again when the block raises and it is empty."""
    made = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield path
    except BaseException:
        if made:
            with suppress(OSError):
                path.rmdir()
        raise


def safe_name(text: str) -> str:
    """A name for a file: what file systems refuse becomes ``_``; at most 100 bytes, never empty."""
    plain = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]', "_", text).strip(" .")
    return plain.encode("utf-8", "replace")[:100].decode("utf-8", "ignore") or "Part"
