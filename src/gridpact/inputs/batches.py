"""What every layout of a meter file comes down to: readings of meters, some rows at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from gridpact.inputs.complaints import Complaints
    from gridpact.quantize import IntArray

    ByteArray = NDArray[np.uint8]


@dataclass(slots=True)
class Batch:
    """N consecutive readings of a file, each with V values."""

    lines: IntArray
    """Shape (N,): where each stands."""
    skipped: IntArray
    """Shape (N,): rows so far that stand for an interval but are not here."""
    times: IntArray
    """Shape (N,): instant of the label, or a mark of `labels.Clock`. In layouts with local days,
    seconds since 1970 as the wall clock counts them."""
    labels: Sequence[str]
    """The same as the file writes it."""
    meters: IntArray
    """Shape (N,): index of the meter."""
    values: Sequence[Sequence[str]]
    """V times N texts, value by value."""
    quality: ByteArray | None
    """Shape (N,): `Quality` as the file tells it."""

    def part(self, mask: NDArray[np.bool_]) -> Batch:
        """The readings that the mask is true for."""
        kept = mask.tolist()
        return Batch(
            self.lines[mask],
            self.skipped[mask],
            self.times[mask],
            list(compress(self.labels, kept)),
            self.meters[mask],
            [list(compress(texts, kept)) for texts in self.values],
            None if self.quality is None else self.quality[mask],
        )

    def followed_by(self, other: Batch) -> Batch:
        """Both, one after the other."""
        return Batch(
            np.concatenate([self.lines, other.lines]),
            np.concatenate([self.skipped, other.skipped]),
            np.concatenate([self.times, other.times]),
            [*self.labels, *other.labels],
            np.concatenate([self.meters, other.meters]),
            [[*mine, *more] for mine, more in zip(self.values, other.values, strict=True)],
            None
            if self.quality is None or other.quality is None
            else np.concatenate([self.quality, other.quality]),
        )


class Layout(Protocol):
    """A file as readings of the wanted meters.

    What scenarios name, a series, is one value of one meter, or the sum of several meters.
    """

    meters: Sequence[str]
    """Names of the wanted meters."""
    values: Sequence[str]
    """Names of the V values of a reading."""
    places: dict[str, tuple[tuple[int, int], ...]]
    """For each series, which meters and values make it up."""

    @property
    def sha256(self) -> str:
        """Of the file, once it has been read."""

    def batches(self, complaints: Complaints) -> Iterator[Batch]:
        """All readings of the wanted meters, in the order of the file."""

    def name(self, meter: int, value: int) -> str:
        """What messages call a value of a meter."""

    def absent(self, series: str) -> str:
        """Why the file has no such series."""
