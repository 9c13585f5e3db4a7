"""Files are written whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new empty file beside ``path`` that takes its place when the block ends well.

    When the block raises, the new file is removed and what stood at ``path`` is untouched. The new file has the
    permissions of any new file (``tempfile`` would hide it from other users).

    Args:
        path: of the file to write; its folder must exist.

    Yields:
        The path to write to, in the same folder, so that the final renaming is one step.

    Raises:
        OSError: the folder is missing or may not be written to, or ``path`` is a folder.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; give the name of a file to write")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {target.parent} does not exist; create it or write elsewhere")
    partial = target.parent / f".{target.name[:40]}.{secrets.token_hex(6)}.part"
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield partial
        os.replace(partial, target)
    except BaseException:
        with suppress(FileNotFoundError):
            partial.unlink()
        raise


def safe_name(text: str) -> str:
    """A name for a file: what file systems refuse becomes ``_``; at most 100 bytes, never empty."""
    plain = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]', "_", text).strip(" .")
    return plain.encode("utf-8", "replace")[:100].decode("utf-8", "ignore") or "Part"
