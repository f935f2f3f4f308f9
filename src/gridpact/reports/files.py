"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from gridpact.errors import StoreError


def write_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text beside its place, make it durable, then rename it there.

    What UTF-8 cannot say, such as half a character in the name of a folder, becomes a `?`.

    Raises:
        StoreError: the disk refused; what was at `path` before is still there.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            with aside.open("wb") as file:
                file.write(text.encode(errors="replace"))
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written: {error.strerror}; choose a folder that exists, "
            "with room and permission"
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where folders can be opened (not on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
