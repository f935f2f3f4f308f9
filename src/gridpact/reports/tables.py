"""Tables of a run as text and as files: CSV with exact integers, Parquet with the same columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from itertools import islice
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridpact.errors import StoreError
from gridpact.files import write_atomically
from gridpact.model import RunResult
from gridpact.reports.columns import BILLS, SLOTS, TABLES
from gridpact.reports.table_shapes import Column, Kind, Table
from gridpact.reports.timeline import zone_of

if TYPE_CHECKING:
    import polars as pl

START = "start_utc"
LOCAL = "start_local"
"""In CSV files the start of a slot stands in local time too, with its offset."""
MICROSECONDS = 1_000_000
ROWS_AT_ONCE = 65_536


def write_bills_csv(result: RunResult, path: Path) -> None:
    """One row per day and participant.

    Raises:
        StoreError: the disk refused.
    """
    write_atomically(path, table_csv(result, BILLS).encode(errors="replace"))


def write_slots_csv(result: RunResult, path: Path) -> None:
    """One row per slot, in time order.

    Raises:
        StoreError: the disk refused.
    """
    write_atomically(path, table_csv(result, SLOTS).encode(errors="replace"))


def write_parquet(result: RunResult, folder: Path) -> None:
    """Every table as `<name>.parquet` in a folder, which is made when it is absent.

    Raises:
        StoreError: the disk refused.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made: {error.strerror}") from error
    for table in TABLES:
        content = io.BytesIO()
        frame_of(result, table).write_parquet(content)
        write_atomically(folder / f"{table.name}.parquet", content.getvalue())


def frame_of(result: RunResult, table: Table[Any]) -> pl.DataFrame:
    """A table as a data frame; the columns and their types are there without any row.

    Rows are taken some at a time, so that a year's bill lines never stand in memory as objects.
    """
    import polars as pl

    rows = iter(table.rows(result))
    parts = [_frame([], table)]
    while taken := list(islice(rows, ROWS_AT_ONCE)):
        parts.append(_frame(taken, table))
    return pl.concat(parts, rechunk=False)


def _frame(rows: list[Any], table: Table[Any]) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame([_series(rows, column) for column in table.columns])


def _series(rows: list[Any], column: Column[Any]) -> pl.Series:
    import polars as pl

    kinds = {Kind.WHOLE: pl.Int64, Kind.REAL: pl.Float64, Kind.TEXT: pl.String, Kind.TIME: pl.Int64}
    read = column.read
    values = [_known(read(row)) for row in rows]
    series = pl.Series(column.name, values, kinds[column.kind], strict=True)
    if column.kind is Kind.TIME:
        return (series * MICROSECONDS).cast(pl.Datetime("us", "UTC"))
    return series


def table_csv(result: RunResult, table: Table[Any], names: Iterable[str] = ()) -> str:
    """A table as CSV.

    Args:
        result: the run.
        table: which one.
        names: columns wanted besides the start of the slot; all when left out.
    """
    wanted = set(names) | {START}
    chosen = [each for each in table.columns if len(wanted) == 1 or each.name in wanted]
    zone = zone_of(result.scenario.time_zone)
    header = [
        name for each in chosen for name in ([START, LOCAL] if _starts(each) else [each.name])
    ]
    rows = (
        [cell for each in chosen for cell in _cells(each, row, zone)] for row in table.rows(result)
    )
    return csv_text(header, rows)


def _starts(column: Column[Any]) -> bool:
    return column.name == START


def _cells(column: Column[Any], row: object, zone: tzinfo) -> list[int | float | str]:
    """What a column puts into a row: one cell, or two for the start of a slot."""
    value = _known(column.read(row))
    if column.kind is Kind.TIME and isinstance(value, int):
        utc = f"{datetime.fromtimestamp(value, UTC):%Y-%m-%dT%H:%M:%SZ}"
        local = datetime.fromtimestamp(value, zone).isoformat()
        return [utc, local] if _starts(column) else [utc]
    return ["" if value is None else value]


def _known(value: float | str | None) -> int | float | str | None:
    """A value, or None where a computation came to nothing."""
    return None if isinstance(value, float) and isnan(value) else value


def csv_text(header: list[str], rows: Iterable[list[int | float | str]]) -> str:
    """Rows as CSV with one header line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()
