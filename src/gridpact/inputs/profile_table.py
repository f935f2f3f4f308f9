"""The [profiles] table of a scenario file: where load and generation come from, and how to read it.

What the keys mean is `docs/meter-files.md`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gridpact.errors import InputError
from gridpact.inputs.calendar import parse_zone
from gridpact.inputs.row_sources import missing_columns, open_source
from gridpact.model import (
    DataPolicy,
    IntervalLabel,
    LongColumns,
    ProfileLayout,
    ProfileSource,
    ProfileUnit,
    Repeats,
)
from gridpact.units import QUANTITY_MAX

if TYPE_CHECKING:
    from pathlib import Path

    from gridpact.inputs.tables import TableReader

SIMBENCH, CSV, PARQUET = "simbench", "csv", "parquet"
LAYOUTS = {
    "wide": ProfileLayout.WIDE,
    "long": ProfileLayout.LONG,
    "uci": ProfileLayout.UCI,
    "ausgrid": ProfileLayout.AUSGRID,
}
UNITS = {
    "wh": ProfileUnit.WH,
    "kwh": ProfileUnit.KWH,
    "w": ProfileUnit.W,
    "kw": ProfileUnit.KW,
}
PUBLISHED = {
    ProfileLayout.UCI: ProfileSource(
        file=None,
        time_column="",
        time_zone="Europe/Lisbon",
        unit=ProfileUnit.KW,
        layout=ProfileLayout.UCI,
        label=IntervalLabel.END,
        delimiter=";",
        decimal=",",
    ),
    ProfileLayout.AUSGRID: ProfileSource(
        file=None,
        time_column="date",
        time_zone="Australia/Sydney",
        unit=ProfileUnit.KWH,
        layout=ProfileLayout.AUSGRID,
        label=IntervalLabel.END,
    ),
}
"""Data sets whose publishers have decided everything."""
COLUMN_KEYS = (
    "meter_column",
    "value_column",
    "import_column",
    "export_column",
    "quality_column",
)
TEXT_KEYS = ("delimiter", "decimal")
FORM_KEYS = ("time_column", "unit", "label", *TEXT_KEYS, *COLUMN_KEYS)
"""How a file is written, where its format leaves that open."""
POLICY_KEYS = ("split", "gaps", "duplicates", "absurd", "highest_w")
FILE_KEYS = ("file", "format", "time_zone", *FORM_KEYS, *POLICY_KEYS)
DELIMITERS = {",": ",", ";": ";", "|": "|", "tab": "\t"}
DECIMALS = {".": ".", ",": ","}
LABELS = {"start": IntervalLabel.START, "end": IntervalLabel.END}
REPEATS = {"refuse": Repeats.REFUSE, "first": Repeats.FIRST, "last": Repeats.LAST}
REFUSE_OR_SUBSTITUTE = {"refuse": False, "substitute": True}
DEFAULT_VALUE, DEFAULT_IMPORT, DEFAULT_EXPORT = "energy_wh", "import_wh", "export_wh"
IMPORT, EXPORT = "/import", "/export"
"""What a long file with two values per meter adds to the meter's name."""


def read_zone(table: TableReader, default: str | None) -> str:
    """The name of a time zone; UTC when it is wrong."""
    key = "time_zone"
    text = table.text(key, "an IANA name or an offset such as '+01:00'", default=default)
    try:
        parse_zone(text)
    except ValueError as error:
        if not table.faulty(key):
            table.problem(key, str(error))
        return "+00:00"
    return text


def read_profile_source(
    table: TableReader, folder: Path, time_zone: str
) -> tuple[ProfileSource, list[str] | None]:
    """The source, and the columns that members can name where they are known.

    Args:
        table: the table; problems are noted in it.
        folder: paths are relative to it.
        time_zone: of the scenario.
    """
    kind = table.choice("source", {word: word for word in (SIMBENCH, CSV, PARQUET)})
    if table.faulty("source"):
        # Which of the other keys belong here is not known either.
        for key in FILE_KEYS:
            table.has(key)
        kind = SIMBENCH
    elif kind == SIMBENCH:
        table.refuse(FILE_KEYS, 'it belongs to source = "csv" or "parquet"')
    if kind == SIMBENCH:
        table.finish()
        return ProfileSource(None, "", "", ProfileUnit.RELATIVE), None
    file = folder / table.text("file", "a path relative to the scenario file")
    layouts = LAYOUTS if kind == CSV else {word: LAYOUTS[word] for word in ("wide", "long")}
    layout = table.choice("format", layouts, default="wide")
    if layout in PUBLISHED:
        word = next(word for word, choice in LAYOUTS.items() if choice is layout)
        table.refuse(FORM_KEYS, f'format = "{word}" says it')
        source = replace(
            PUBLISHED[layout],
            file=file,
            time_zone=read_zone(table, PUBLISHED[layout].time_zone),
            policy=_policy(table),
        )
    else:
        source = _own(table, file, time_zone, parquet=kind == PARQUET, layout=layout)
    if table.faulty("file"):
        table.finish()
        return source, None
    columns: list[str] | None = None
    try:
        header = open_source(source, file).header
    except InputError as error:
        for problem in error.problems:
            table.problem("file", str(problem))
    else:
        source = _with_values(table, source, header)
        columns = header if source.layout in {ProfileLayout.WIDE, ProfileLayout.UCI} else None
    table.finish()
    return source, columns


def _own(
    table: TableReader, file: Path, time_zone: str, *, parquet: bool, layout: ProfileLayout
) -> ProfileSource:
    """A file whose form the scenario describes."""
    long = layout is ProfileLayout.LONG
    if not long:
        table.refuse(COLUMN_KEYS, 'it belongs to format = "long"')
    if parquet:
        table.refuse(TEXT_KEYS, "Parquet has neither")
    a_column = "the name of a column of the file"
    source = ProfileSource(
        file=file,
        time_column=table.text("time_column", a_column, default="start" if long else None),
        time_zone=read_zone(table, time_zone),
        unit=table.choice("unit", UNITS, default="wh" if long else None),
        parquet=parquet,
        layout=layout,
        long=LongColumns(
            meter=table.text("meter_column", a_column, default="meter"),
            values=(),
            quality=table.text("quality_column", a_column, default=""),
        )
        if long
        else None,
        label=table.choice("label", LABELS, default="start"),
        delimiter="," if parquet else table.choice("delimiter", DELIMITERS, default=","),
        decimal="." if parquet else table.choice("decimal", DECIMALS, default="."),
        policy=_policy(table),
    )
    if source.delimiter == source.decimal and not table.faulty(*TEXT_KEYS):
        table.problem(
            "decimal",
            "'" + "," + "' separates fields too; allowed: two different signs; files with a "
            'decimal comma mostly have delimiter = ";"',
        )
        source = replace(source, decimal=".")
    return source


def _with_values(table: TableReader, source: ProfileSource, header: list[str]) -> ProfileSource:
    """The source with the value columns of a long file; columns that are not there are noted."""
    file = source.file.name if source.file else ""
    if not table.faulty("time_column"):
        for message in missing_columns(header, file, [source.time_column]).values():
            if source.layout is not ProfileLayout.AUSGRID:
                table.problem("time_column", message)
    if source.long is None:
        return source
    a_column = "the name of a column of the file"
    value = table.text("value_column", a_column, default="")
    imported = table.text("import_column", a_column, default="")
    exported = table.text("export_column", a_column, default="")
    if value and (imported or exported):
        table.problem(
            "value_column",
            "stands beside import_column or export_column; allowed: one value per meter, or "
            "import and export; remove one of them",
        )
    if not (value or imported or exported):
        if DEFAULT_VALUE in header:
            value = DEFAULT_VALUE
        else:
            imported, exported = DEFAULT_IMPORT, DEFAULT_EXPORT
            if DEFAULT_IMPORT not in header and DEFAULT_EXPORT not in header:
                table.problem(
                    "value_column",
                    f"is missing, and {file} has neither {DEFAULT_VALUE} nor {DEFAULT_IMPORT} and "
                    f"{DEFAULT_EXPORT}; name the column with the values",
                )
                return source
    pairs = (("", value), (IMPORT, imported), (EXPORT, exported))
    values = tuple((suffix, column) for suffix, column in pairs if column)
    wanted = {"meter_column": source.long.meter, "quality_column": source.long.quality}
    wanted |= {
        key: column
        for key, column in (
            ("value_column", value),
            ("import_column", imported),
            ("export_column", exported),
        )
        if column
    }
    for key, column in wanted.items():
        if column and not table.faulty(key):
            for message in missing_columns(header, file, [column]).values():
                table.problem(key, message)
    return replace(source, long=replace(source.long, values=values))


def _policy(table: TableReader) -> DataPolicy:
    """What is done about faults of the file."""
    highest = table.integer("highest_w", 0, QUANTITY_MAX, default=0)
    return DataPolicy(
        substitute_gaps=table.choice("gaps", REFUSE_OR_SUBSTITUTE, default="refuse"),
        substitute_absurd=table.choice("absurd", REFUSE_OR_SUBSTITUTE, default="refuse"),
        highest_w=highest or None,
        repeats=table.choice("duplicates", REPEATS, default="refuse"),
        split_evenly=table.choice("split", {"refuse": False, "even": True}, default="refuse"),
    )
