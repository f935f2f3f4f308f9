"""Parquet files as rows of text, so that one set of rules reads them and CSV files alike.

A binary number becomes the shortest decimal text that means it, which is the number its writer
had in mind: 0.5015 kWh is 501.5 Wh here as it is in a CSV file.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from gridpact.errors import InputError, Problem
from gridpact.inputs.row_sources import CHUNK_CELLS, CHUNK_ROWS_MIN, Chunk, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gridpact.inputs.complaints import Complaints


class ParquetSource:
    """A Parquet file; rows are counted from 1.

    Raises:
        InputError: the file cannot be opened or is damaged, or pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as stream:
                self.sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        except (OSError, ValueError) as error:
            raise InputError([unreadable(path, error)]) from error
        try:
            pa: Any = import_module("pyarrow")
            pq: Any = import_module("pyarrow.parquet")
        except ModuleNotFoundError as error:
            message = "reading Parquet needs pyarrow: pip install 'gridpact[parquet]'"
            raise InputError([Problem(path.name, message)]) from error
        self._arrow = pa
        self._damage = (
            pa.ArrowException, ArithmeticError, EOFError, LookupError, MemoryError, OSError,
            TypeError, ValueError,
        )  # fmt: skip
        try:
            self._file = pq.ParquetFile(path)
            self.header = [str(name) for name in self._file.schema_arrow.names]
        except self._damage as error:
            raise InputError([self._damaged(error)]) from error

    def chunks(self, columns: Sequence[str], complaints: Complaints) -> Iterator[Chunk]:
        """All rows, the columns in the order asked for.

        Raises:
            InputError: the file is damaged, or a column holds neither text, numbers nor times.
        """
        size = max(CHUNK_ROWS_MIN, CHUNK_CELLS // len(columns))
        row = 1
        batches = self._file.iter_batches(batch_size=size, columns=sorted(set(columns)))
        while True:
            try:
                batch = next(batches, None)
                if batch is None:
                    break
                texts = [self._texts(column, batch.column(column)) for column in columns]
            except self._damage as error:
                raise InputError([self._damaged(error)]) from error
            count = len(texts[0])
            if count:
                lines = np.arange(row, row + count, dtype=np.int64)
                yield Chunk(lines, np.zeros(count, dtype=np.int64), texts)
            row += count
        if row == 1:
            complaints.note_file("has no rows; add the intervals")

    def _texts(self, name: str, values: Any) -> list[str]:
        """The values of one column as text, nothing as empty text."""
        pa = self._arrow
        zoned = False
        if pa.types.is_timestamp(values.type) and values.type.tz is not None:
            values = values.cast(pa.timestamp(values.type.unit, "UTC"))
            values = values.cast(pa.timestamp(values.type.unit))
            zoned = True
        try:
            texts = values.cast(pa.string()).to_pylist()
        except (pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            message = (
                f"column {name} holds {values.type}; allowed: numbers, text, and for times "
                "timestamps; convert it"
            )
            raise InputError([Problem(self._path.name, message)]) from error
        end = "Z" if zoned else ""
        return ["" if text is None else text + end for text in texts]

    def _damaged(self, error: BaseException) -> Problem:
        reason = " ".join(str(error).split())[:200]
        message = f"is not readable as Parquet: {reason}; write the file anew"
        return Problem(self._path.name, message)
