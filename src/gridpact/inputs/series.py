"""Profile files of every kind to energies per series and slot, or all that is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridpact.errors import InputError, Problem
from gridpact.inputs.assembly import INTERVAL_MAX_S, Assembler, Readings
from gridpact.inputs.complaints import Complaints
from gridpact.inputs.labels import Clock
from gridpact.inputs.layouts import LongLayout, WideLayout
from gridpact.inputs.public_sets import AusgridLayout, UciLayout
from gridpact.inputs.row_sources import RowSource, missing_columns, open_source
from gridpact.model import ProfileLayout
from gridpact.units import QUANTITY_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo
    from pathlib import Path

    from gridpact.inputs.batches import ByteArray, Layout
    from gridpact.inputs.calendar import Window
    from gridpact.model import ProfileSource
    from gridpact.quantize import IntArray

BY_NAME = (ProfileLayout.LONG, ProfileLayout.AUSGRID)
"""Layouts in which rows and not columns say whose a value is."""


@dataclass(frozen=True, slots=True)
class Series:
    """Energies of the series that were asked for, in the slots of the window."""

    start_s: int
    """Start of the file's first interval, seconds UTC."""
    end_s: int
    """End of its last one."""
    interval_s: int
    """Of the file."""
    wh: dict[str, IntArray]
    """Per series the energy of each slot, Wh; they mean nothing when the file has problems."""
    quality: dict[str, ByteArray]
    """Per series the `Quality` of each slot."""
    sha256: str
    """Of the file's bytes, 64 hexadecimal digits."""
    remarks: tuple[str, ...]
    """What was mended, in words."""


def read_series(
    path: Path, source: ProfileSource, zone: tzinfo, series: Sequence[str], window: Window
) -> tuple[Series | None, list[Problem]]:
    """The energies of `series` in the slots of `window`, if the whole file is in order.

    Args:
        path: the file.
        source: how to read it.
        zone: of times without an offset.
        series: which ones to read; others are not looked at.
        window: the slots.
    Returns:
        the energies, and all problems with their lines, the first 50 in words. With problems the
        series only tells which time the file spans; it is None when not even that is known.
    Raises:
        InputError: the file cannot be opened or decoded, lacks a column, or has an interval that
            does not fit the slots.
    """
    rows = open_source(source, path)
    unit = "row" if source.parquet else "line"
    complaints = Complaints(path.name, unit)
    absent = missing_columns(rows.header, path.name, _columns(source, series))
    if absent:
        place = path.name if source.parquet else complaints.place(1)
        raise InputError([Problem(place, message) for message in absent.values()])
    clock = Clock(zone, source.label, max(INTERVAL_MAX_S, window.slot_s))
    layout = _layout(rows, source, zone, clock, series, path.name)
    unknown = [name for name in series if name not in layout.places]
    if unknown:
        raise InputError([Problem(path.name, layout.absent(name)) for name in unknown])
    assembler = Assembler(layout, source, zone, clock, window, complaints)
    readings = assembler.run()
    for name in series:
        if not all(assembler.seen(meter) for meter, _ in layout.places[name]) and (
            complaints.count == 0 or source.layout in BY_NAME
        ):
            complaints.note_file(layout.absent(name))
    return _series(readings, layout, series, complaints), complaints.problems()


def _columns(source: ProfileSource, series: Sequence[str]) -> list[str]:
    """Columns that the file has to have."""
    if source.layout is ProfileLayout.AUSGRID:
        return []
    if source.long is None:
        return [source.time_column, *series]
    quality = [source.long.quality] if source.long.quality else []
    values = [column for _, column in source.long.values]
    return [source.long.meter, source.time_column, *values, *quality]


def _layout(
    rows: RowSource,
    source: ProfileSource,
    zone: tzinfo,
    clock: Clock,
    series: Sequence[str],
    file: str,
) -> Layout:
    if source.layout is ProfileLayout.UCI:
        return UciLayout(rows, zone, series)
    if source.layout is ProfileLayout.AUSGRID:
        return AusgridLayout(rows, zone, series, file)
    if source.long is not None:
        return LongLayout(rows, source.time_column, source.long, clock, series)
    return WideLayout(rows, source.time_column, clock, series)


def _series(
    readings: Readings | None, layout: Layout, series: Sequence[str], complaints: Complaints
) -> Series | None:
    """Readings by the names of scenarios; those of several meters are added up."""
    if readings is None:
        return None
    wh, quality = {}, {}
    for name in series:
        (meter, value), *more = layout.places[name]
        wh[name], quality[name] = readings.wh[meter, :, value], readings.quality[meter, :, value]
        for meter, value in more:
            wh[name] = wh[name] + readings.wh[meter, :, value]
            quality[name] = quality[name].clip(min=readings.quality[meter, :, value])
        if more and (wh[name] > QUANTITY_MAX).any():
            complaints.note_file(f"{name}: its sum is above {QUANTITY_MAX} Wh in a slot")
    return Series(
        start_s=readings.start_s,
        end_s=readings.end_s,
        interval_s=readings.interval_s,
        wh=wh,
        quality=quality,
        sha256=layout.sha256,
        remarks=readings.remarks,
    )
