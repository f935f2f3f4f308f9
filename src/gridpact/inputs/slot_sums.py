"""Room for the energies of meters, cell by cell, into which readings are added as they come.

A cell is a slot, or the interval of the file where that is longer. Nothing is rounded before the
end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridpact.inputs.fixed_point import Amounts, whole_wh
from gridpact.model import Quality

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from numpy.typing import NDArray

    from gridpact.inputs.batches import ByteArray
    from gridpact.quantize import IntArray


class SlotSums:
    """Sums of M meters with V values each in C cells.

    Args:
        first_s: start of the first cell, seconds UTC.
        cell_s: length of a cell.
        interval_s: length of what is added; divides the cell.
        cells: C.
        meters: M.
        values: V.
    """

    def __init__(
        self, *, first_s: int, cell_s: int, interval_s: int, cells: int, meters: int, values: int
    ) -> None:
        self.first_s, self.cell_s, self.cells = first_s, cell_s, cells
        self._expected = cell_s // interval_s
        self._shape = (meters, cells, values)
        flat = (meters * cells, values)
        self._whole = np.zeros(flat, dtype=np.int64)
        self._first = np.zeros(flat, dtype=np.int64)
        self._second: IntArray | None = None
        self._count = np.zeros(flat, dtype=np.uint16)
        self._quality: ByteArray | None = None
        self._halves: list[tuple[int, int, int]] = []

    def add(
        self,
        starts: IntArray,
        meters: IntArray,
        rows: IntArray,
        amounts: Amounts,
        absent: NDArray[np.bool_],
        quality: ByteArray | None,
    ) -> None:
        """Add readings; those outside all cells are dropped.

        Args:
            starts: shape (N,), start of each interval; increasing within a meter.
            meters: shape (N,), which meter; not decreasing.
            rows: shape (N,), which row of `amounts` and `absent` each is.
            amounts: shape (rows, V).
            absent: shape (rows, V), values that do not count.
            quality: shape (N,), or None when all are measured.
        """
        cell = (starts - self.first_s) // self.cell_s
        inside = (cell >= 0) & (cell < self.cells)
        rows = rows[inside]
        if len(rows) == 0:
            return
        keys = meters[inside] * self.cells + cell[inside]
        bounds = np.flatnonzero(np.diff(keys, prepend=-1))
        keys = keys[bounds]

        def total(values: IntArray) -> IntArray:
            sums: IntArray = np.add.reduceat(values[rows], bounds, axis=0)
            return sums

        if absent.any():
            nothing = np.int64(0)
            amounts = Amounts(
                np.where(absent, nothing, amounts.whole),
                np.where(absent, nothing, amounts.first),
                np.where(absent, nothing, amounts.second),
            )
        self._whole[keys] += total(amounts.whole)
        self._first[keys] += total(amounts.first)
        if amounts.second.any():
            if self._second is None:
                self._second = np.zeros_like(self._whole)
            self._second[keys] += total(amounts.second)
        self._count[keys] += total((~absent).astype(np.int64)).astype(np.uint16)
        if quality is not None:
            worst = np.maximum.reduceat(quality[inside], bounds)[:, np.newaxis]
            self._qualities()[keys] = np.maximum(self._qualities()[keys], worst)

    def add_halves(
        self, starts: Sequence[int], meter: int, wh: IntArray, absent: NDArray[np.bool_]
    ) -> None:
        """Add one reading that stands for two intervals: halves, the earlier one not smaller.

        Args:
            starts: of the two intervals.
            meter: whose they are.
            wh: shape (V,), energy of both.
            absent: shape (V,), values that do not count.
        """
        for start, share in zip(starts, ((wh + 1) // 2, wh // 2), strict=True):
            cell = (start - self.first_s) // self.cell_s
            if 0 <= cell < self.cells:
                key = meter * self.cells + cell
                self._count[key] += (~absent).astype(np.uint16)
                self._qualities()[key] = np.maximum(
                    self._qualities()[key], np.uint8(Quality.ESTIMATED)
                )
                for value in np.flatnonzero(~absent).tolist():
                    self._halves.append((key, value, int(share[value])))

    def _qualities(self) -> ByteArray:
        if self._quality is None:
            self._quality = np.full(self._whole.shape, Quality.MEASURED, dtype=np.uint8)
        return self._quality

    def energies(self, factor: Fraction) -> IntArray:
        """The sums in Wh, each rounded once; shape (M, C, V).

        Args:
            factor: Wh in one unit of what was added.
        """
        wh = np.empty_like(self._whole)
        for meter in range(self._shape[0]):
            part = slice(meter * self.cells, (meter + 1) * self.cells)
            second = self._second
            amounts = Amounts(
                self._whole[part],
                self._first[part],
                np.zeros(1, dtype=np.int64) if second is None else second[part],
            )
            wh[part] = whole_wh(amounts, factor)
        for key, value, share in self._halves:
            wh[key, value] += share
        return wh.reshape(self._shape)

    def missing(self) -> NDArray[np.bool_]:
        """Cells that lack an interval, shape (M, C, V)."""
        missing: NDArray[np.bool_] = (self._count < self._expected).reshape(self._shape)
        return missing

    def quality(self) -> ByteArray:
        """`Quality` of each cell as the file tells it, shape (M, C, V)."""
        return self._qualities().reshape(self._shape)
