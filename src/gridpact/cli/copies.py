"""Copies of personal data that a run wrote beside its ledger."""

from __future__ import annotations

import re
from pathlib import Path

from gridpact.errors import StoreError
from gridpact.files import sync_folder


def copies_of(folder: Path, participant: str) -> list[Path]:
    """Files beside a ledger, in the folder of its run, that still name a participant.

    Only a folder with a run's manifest is looked through: in any other the files are not ours.
    A Parquet file is read where polars is installed and counts as naming it where not. An id that
    is part of another one, as `ann` of `ann-2`, counts too: better one file too many.

    Args:
        folder: the ledger.
        participant: its id.
    Raises:
        StoreError: a file cannot be read.
    """
    from gridpact.api.folder import MANIFEST

    home = folder.resolve().parent
    if not (home / MANIFEST).is_file():
        return []
    found = []
    for path in sorted(home.rglob("*")):
        if path.is_file() and not path.is_relative_to(folder.resolve()):
            try:
                if _names(path, participant):
                    found.append(path)
            except OSError as error:
                raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    return found


def delete_copies(paths: list[Path]) -> None:
    """Delete files.

    Raises:
        StoreError: one cannot be deleted; those before it are gone.
    """
    for path in paths:
        try:
            path.unlink()
            sync_folder(path.parent)
        except OSError as error:
            raise StoreError(f"{path}: cannot be deleted: {error.strerror}") from error


def _names(path: Path, participant: str) -> bool:
    """Whether a file names the participant."""
    word = rf"(?<![A-Za-z0-9]){re.escape(participant)}(?![A-Za-z0-9])"
    if path.suffix != ".parquet":
        return re.search(word.encode(), path.read_bytes()) is not None
    try:
        import polars as pl
    except ModuleNotFoundError:
        return True
    table = pl.read_parquet(path)
    return any(
        re.search(word, text) is not None
        for column in table.get_columns()
        if column.dtype in (pl.String, pl.Categorical, pl.Enum)
        for text in column.cast(pl.String).unique().drop_nulls()
    )
