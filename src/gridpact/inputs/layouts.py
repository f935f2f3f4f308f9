"""Wide and long tables as readings of meters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridpact.inputs.batches import Batch
from gridpact.inputs.tables import closest, shown
from gridpact.model import Quality

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gridpact.inputs.batches import ByteArray
    from gridpact.inputs.complaints import Complaints
    from gridpact.inputs.labels import Clock
    from gridpact.inputs.row_sources import RowSource
    from gridpact.model import LongColumns
    from gridpact.quantize import IntArray

QUALITIES = {
    "measured": Quality.MEASURED,
    "estimated": Quality.ESTIMATED,
    "substituted": Quality.SUBSTITUTED,
}
_NAMES_KEPT = 10_000
"""Meters of a file that are remembered to name them in messages."""


class WideLayout:
    """One row per interval, one column per series: one reading with many values.

    Args:
        source: the file.
        time_column: with the label of the row.
        clock: reads labels.
        series: the columns wanted.
    """

    def __init__(
        self, source: RowSource, time_column: str, clock: Clock, series: Sequence[str]
    ) -> None:
        self._source, self._time_column, self._clock = source, time_column, clock
        self.meters: Sequence[str] = ("",)
        # Problems come in the order of the file.
        self.values: Sequence[str] = sorted(set(series), key=source.header.index)
        self.places: dict[str, tuple[tuple[int, int], ...]] = {
            column: ((0, value),) for value, column in enumerate(self.values)
        }

    @property
    def sha256(self) -> str:
        """Of the file, once it has been read."""
        return self._source.sha256

    def batches(self, complaints: Complaints) -> Iterator[Batch]:
        """All rows."""
        for chunk in self._source.chunks([self._time_column, *self.values], complaints):
            labels, *values = chunk.columns
            yield Batch(
                chunk.lines,
                chunk.skipped,
                self._clock.times(labels),
                labels,
                np.zeros(len(labels), dtype=np.int64),
                values,
                None,
            )

    def name(self, meter: int, value: int) -> str:
        """What messages call a value."""
        return f"column {self.values[value]}"

    def absent(self, series: str) -> str:
        """Why the file has no such series."""
        return f"{shown(series)} is not one of its columns"


class LongLayout:
    """One row per meter and interval, with one value or with import and export.

    Args:
        source: the file.
        time_column: with the label of the row.
        columns: the other columns.
        clock: reads labels.
        series: the series wanted: a meter, followed by `/import` or `/export` where there are
            both.
    """

    def __init__(
        self,
        source: RowSource,
        time_column: str,
        columns: LongColumns,
        clock: Clock,
        series: Sequence[str],
    ) -> None:
        self._source, self._time_column, self._clock = source, time_column, clock
        self._columns = columns
        self.values: Sequence[str] = [column for _, column in columns.values]
        self._suffixes = [suffix for suffix, _ in columns.values]
        meters: dict[str, int] = {}
        self.places: dict[str, tuple[tuple[int, int], ...]] = {}
        for name in series:
            for value, suffix in enumerate(self._suffixes):
                if name.endswith(suffix) and len(name) > len(suffix):
                    meter = meters.setdefault(name.removesuffix(suffix), len(meters))
                    self.places[name] = ((meter, value),)
        self.meters: Sequence[str] = list(meters)
        self._index: dict[str, int] = dict(meters)
        self._names: set[str] = set()

    @property
    def sha256(self) -> str:
        """Of the file, once it has been read."""
        return self._source.sha256

    def batches(self, complaints: Complaints) -> Iterator[Batch]:
        """The rows of the wanted meters."""
        extra = [self._columns.quality] if self._columns.quality else []
        names = [self._columns.meter, self._time_column, *self.values, *extra]
        for chunk in self._source.chunks(names, complaints):
            meters, labels, *rest = chunk.columns
            index = self._indices(meters)
            wanted = index >= 0
            quality = self._quality(rest.pop(), chunk.lines, wanted, complaints) if extra else None
            batch = Batch(chunk.lines, chunk.skipped, index, labels, index, rest, quality)
            if not wanted.all():
                batch = batch.part(wanted)
            batch.times = self._clock.times(batch.labels)
            yield batch

    def _indices(self, names: Sequence[str]) -> IntArray:
        """For each row the index of its meter; below zero for meters that nobody asked for."""
        known = self._index
        try:
            found = [known[name] for name in names]
        except KeyError:
            for name in set(names) - known.keys():
                known[name] = known.get(name.strip(), -1)
            found = [known[name] for name in names]
            if len(known) > 10 * _NAMES_KEPT:
                self._index = {name: index for name, index in known.items() if index >= 0}
        if len(self._names) < _NAMES_KEPT:
            self._names.update(names)
        return np.array(found, dtype=np.int64)

    def _quality(
        self,
        texts: Sequence[str],
        lines: IntArray,
        wanted: NDArray[np.bool_],
        complaints: Complaints,
    ) -> ByteArray:
        codes = {text: QUALITIES.get(text.strip().lower(), 0) for text in set(texts)}
        quality = np.array([codes[text] for text in texts], dtype=np.uint8)
        for row in np.flatnonzero((quality == 0) & wanted).tolist():
            complaints.note(
                int(lines[row]),
                f"column {self._columns.quality}: {shown(texts[row])} is no quality; allowed: "
                f"{', '.join(QUALITIES)}",
            )
        return quality

    def name(self, meter: int, value: int) -> str:
        """What messages call a value."""
        return f"{self.values[value]} of {self.meters[meter]}"

    def absent(self, series: str) -> str:
        """Why the file has no such series."""
        if series not in self.places:
            allowed = " or ".join(repr(f"NAME{suffix}") for suffix in self._suffixes)
            return f"{shown(series)} does not name a value of a meter; allowed: {allowed}"
        meter = self.meters[self.places[series][0][0]]
        names = sorted(name.strip() for name in self._names)
        return (
            f"{shown(meter)} is not one of its meters{closest(meter, names)}; it has: "
            f"{shown(', '.join(names))}"
        )
