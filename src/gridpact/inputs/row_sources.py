"""Tables of text, row by row with their line numbers: what CSV and Parquet files have in common.

A source reads a file in chunks, so that memory does not grow with it, and hashes what it reads.
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from itertools import chain, compress, islice
from typing import TYPE_CHECKING, Protocol

from gridpact.errors import InputError, Problem
from gridpact.inputs.tables import closest, shown
from gridpact.model import ProfileLayout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from _typeshed import WriteableBuffer
    from numpy.typing import NDArray

    from gridpact.inputs.complaints import Complaints
    from gridpact.model import ProfileSource
    from gridpact.quantize import IntArray

CHUNK_CHARACTERS = 1 << 21
"""Text without quotes that is split at a time."""
CHUNK_CELLS = 100_000
"""Fields of anything else that are read at a time."""
CHUNK_ROWS_MIN = 64
AUSGRID_NOTICES = 1
"""Lines before the header of Ausgrid's files."""
_NO_ROWS = "has no rows after the header; add the intervals"
_HEADER_MAX = 1 << 20
"""Bytes of a header line that are looked at."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows, with the columns that were asked for."""

    lines: IntArray
    """Where each row stands in the file."""
    skipped: IntArray
    """For each row, how many rows up to it could not be read and have been complained about."""
    columns: list[list[str]]
    """What the rows have in the columns asked for, column by column."""


class RowSource(Protocol):
    """A file with a header."""

    header: list[str]
    sha256: str
    """Of the file's bytes, 64 hexadecimal digits; known once all chunks have been read."""

    def chunks(self, columns: Sequence[str], complaints: Complaints) -> Iterator[Chunk]:
        """All rows, the columns in the order asked for."""


def open_source(source: ProfileSource, path: Path) -> RowSource:
    """The file of a scenario, with its header read.

    Raises:
        InputError: the file cannot be opened, or has no header.
    """
    if source.parquet:
        from gridpact.inputs.parquet_source import ParquetSource

        return ParquetSource(path)
    notices = AUSGRID_NOTICES if source.layout is ProfileLayout.AUSGRID else 0
    return CsvSource(path, source.delimiter, notices)


def missing_columns(header: Sequence[str], file: str, columns: Sequence[str]) -> dict[str, str]:
    """For each column that the header lacks or has twice, a message that says what to do."""
    messages = {}
    for column in columns:
        if column not in header:
            semicolons = len(header) == 1 and ";" in header[0]
            hint = (
                "; one column only, as semicolons separate the fields of this file: set "
                "profiles.delimiter = ';'"
                if semicolons
                else closest(column, header)
            )
            messages[column] = (
                f"{shown(column)} is not a column of {file}{hint}; "
                f"its columns: {shown(', '.join(header))}"
            )
        elif header.count(column) > 1:
            messages[column] = (
                f"{shown(column)} is the name of {header.count(column)} columns of {file}; "
                "rename all but one"
            )
    return messages


def unreadable(path: Path, error: Exception) -> Problem:
    """A file that cannot be opened."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Problem(str(path), f"cannot be read: {reason}; check the path")


class _Hashing(io.FileIO):
    """A file that hashes what is read from it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.digest = hashlib.sha256()

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Fill a buffer from the file."""
        count = super().readinto(buffer)
        self.digest.update(memoryview(buffer)[:count])
        return count


class CsvSource:
    """A text file with separated fields: UTF-8 with or without byte order mark, one header line.

    Args:
        path: of the file.
        delimiter: between fields.
        notices: lines before the header that say something else.
    Raises:
        InputError: the file cannot be opened, is not UTF-8, or has no header.
    """

    def __init__(self, path: Path, delimiter: str = ",", notices: int = 0) -> None:
        self._path, self._delimiter, self._notices = path, delimiter, notices
        self.sha256 = ""
        try:
            with path.open("rb") as stream:
                first = b"".join(stream.readline(_HEADER_MAX) for _ in range(notices + 1))
        except (OSError, ValueError) as error:
            raise InputError([unreadable(path, error)]) from error
        try:
            text = first.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError([self._not_utf8(first, error, 0)]) from error
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            found = list(islice(rows, notices, notices + 1))
        except csv.Error as error:
            raise InputError([self._not_csv(rows.line_num, error)]) from error
        if not found or not found[0]:
            message = "has no header; the first line names the columns, separated by "
            message += {",": "commas", ";": "semicolons"}.get(delimiter, repr(delimiter))
            raise InputError([Problem(f"{path.name}:{notices + 1}", message)])
        self.header = [column.strip() for column in found[0]]

    def chunks(self, columns: Sequence[str], complaints: Complaints) -> Iterator[Chunk]:
        """All rows, the columns in the order asked for; rows of another width are complained of.

        Raises:
            InputError: the text is not UTF-8 or not CSV, or the file went away.
        """
        picked = [self.header.index(column) for column in columns]
        try:
            with _Hashing(self._path) as hashing:
                buffered = io.BufferedReader(hashing, buffer_size=1 << 18)
                text = io.TextIOWrapper(buffered, encoding="utf-8-sig", newline="")
                for _ in range(self._notices + 1):
                    text.readline()
                yield from self._chunks(text, picked, complaints)
                self.sha256 = hashing.digest.hexdigest()
        except UnicodeDecodeError as error:
            raise InputError([self._undecodable(error)]) from error
        except OSError as error:
            raise InputError([unreadable(self._path, error)]) from error

    def _chunks(
        self, text: io.TextIOWrapper, picked: list[int], complaints: Complaints
    ) -> Iterator[Chunk]:
        """What follows the header: split at delimiters as long as nothing is quoted or amiss."""
        import numpy as np

        width = len(self.header)
        line = self._notices + 1
        while block := text.read(CHUNK_CHARACTERS) + text.readline():
            fields = _split(block, self._delimiter, width)
            if fields is None:
                yield from self._careful_chunks(block, text, line, picked, complaints)
                return
            count = len(fields) // width
            lines = np.arange(line + 1, line + count + 1, dtype=np.int64)
            line += count
            columns = [fields[index::width] for index in picked]
            yield Chunk(lines, np.zeros(count, dtype=np.int64), columns)
        if line == self._notices + 1:
            complaints.note(line, _NO_ROWS)

    def _careful_chunks(
        self,
        block: str,
        text: io.TextIOWrapper,
        line: int,
        picked: list[int],
        complaints: Complaints,
    ) -> Iterator[Chunk]:
        """The rest of a file, `block` first, where fields are quoted or rows amiss."""
        import numpy as np

        found = line > self._notices + 1
        reader = csv.reader(chain(io.StringIO(block, newline=""), text), delimiter=self._delimiter)
        size = max(CHUNK_ROWS_MIN, CHUNK_CELLS // max(8, len(self.header)))
        blank: list[int] = []
        skipped = before = 0
        try:
            while rows := list(islice(reader, size)):
                steps = np.ones(len(rows), dtype=np.int64)
                if reader.line_num - before != len(rows):
                    steps = np.array([_lines_of(row) for row in rows], dtype=np.int64)
                lines = line + before + np.cumsum(steps)
                before = reader.line_num
                good = self._sound(lines, rows, complaints, blank)
                passed_by = np.array([bool(row) for row in rows]) & ~good
                counts = (skipped + np.cumsum(passed_by))[good]
                skipped += int(passed_by.sum())
                kept = list(compress(rows, good.tolist()))
                found = found or bool(kept) or skipped > 0
                yield Chunk(lines[good], counts, [[row[i] for row in kept] for i in picked])
        except csv.Error as error:
            raise InputError([self._not_csv(line + reader.line_num, error)]) from error
        if not found:
            complaints.note(self._notices + 1, _NO_ROWS)

    def _sound(
        self,
        lines: IntArray,
        rows: list[list[str]],
        complaints: Complaints,
        blank: list[int],
    ) -> NDArray[np.bool_]:
        """Which rows are as wide as the header; the others are complained of."""
        import numpy as np

        sound = np.ones(len(rows), dtype=np.bool_)
        width = len(self.header)
        for index, row in enumerate(rows):
            if not row:
                blank.append(int(lines[index]))
                sound[index] = False
                continue
            _complain_of_blank(blank, complaints)
            if len(row) != width:
                sound[index] = False
                message = f"has {len(row)} fields, the header has {width}; correct the row"
                complaints.note(int(lines[index]), message)
        return sound

    def _not_utf8(self, data: bytes, error: UnicodeDecodeError, line: int) -> Problem:
        line += data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        return Problem(f"{self._path.name}:{line}", message)

    def _undecodable(self, error: UnicodeDecodeError) -> Problem:
        """The line of a byte that is not UTF-8, found by decoding line by line."""
        with self._path.open("rb") as stream:
            for number, data in enumerate(stream):
                try:
                    data.decode()
                except UnicodeDecodeError as found:
                    return self._not_utf8(data, found, number)
        return Problem(self._path.name, f"is not UTF-8: {error}; save the file as UTF-8")

    def _not_csv(self, line: int, error: csv.Error) -> Problem:
        message = f"is not readable as CSV: {error}; look for a quote that is not closed"
        return Problem(f"{self._path.name}:{line}", message)


def _complain_of_blank(blank: list[int], complaints: Complaints) -> None:
    """Empty lines matter only when rows follow them."""
    for line in blank:
        complaints.note(line, "is an empty line; remove it")
    blank.clear()


def _split(block: str, delimiter: str, width: int) -> list[str] | None:
    """All fields of whole lines of text; None when splitting alone would not do.

    It does when nothing is quoted and every line has `width` fields.
    """
    import numpy as np

    block = block.replace("\r\n", "\n")
    if '"' in block or "\r" in block:
        return None
    if not block.endswith("\n"):
        block += "\n"
    data = np.frombuffer(block.encode(), dtype=np.uint8)
    breaks = data == ord("\n")
    ends = breaks[breaks | (data == ord(delimiter))]
    rows = int(np.count_nonzero(ends))
    if len(ends) != rows * width or not ends[width - 1 :: width].all():
        return None
    fields = block.replace("\n", delimiter).split(delimiter)
    fields.pop()  # behind the last line
    return fields


def _lines_of(row: list[str]) -> int:
    """Lines that a row takes in the file: one more than the line breaks in its quoted fields."""
    return 1 + sum(field.count("\n") + field.count("\r") - field.count("\r\n") for field in row)
