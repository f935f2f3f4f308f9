"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from gridpact.errors import StoreError


def write_atomically(path: Path, data: bytes) -> None:
    """Write bytes beside their place, make them durable, then rename them there.

    Raises:
        StoreError: the disk refused; what was at `path` before is still there.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            write_durably(aside, data)
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written: {error.strerror}; choose a folder that exists, "
            "with room and permission"
        ) from error


def write_durably(path: Path, data: bytes) -> None:
    """Write a new file and wait until it is on the disk; OSError when the disk refuses."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where folders can be opened (not on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
