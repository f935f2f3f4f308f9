"""Tables of traced snapshots, a part at a time: data frames, and CSV files that grow with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from gridpact.carbon.series import TracedPart, gains_power
from gridpact.errors import StoreError
from gridpact.model.carbon import LoadKind, SourceKind

if TYPE_CHECKING:
    import polars as pl

    from gridpact.carbon.series import BoolArray
    from gridpact.model.carbon import FloatArray, IntArray

NAMES = ("snapshots", "buses", "sources", "loads", "branches", "stores")
"""All tables; `stores` is empty without any."""
MICROSECONDS = 1_000_000
PLACES = {"generated": SourceKind.GENERATION, "imported": SourceKind.IMPORT}
"""What comes in, by kind of source; stores count by what they take less what they give."""
GOES = {"consumed": LoadKind.CONSUMPTION, "exported": LoadKind.EXPORT}


def frames_of(part: TracedPart) -> dict[str, pl.DataFrame]:
    """All tables of some snapshots, by name.

    Values of bounds are in two columns, which are the same unless intensities are intervals. An
    intensity is null where nothing flows.
    """
    network = part.low.flow.network
    flow, low, high = part.low.flow, part.low, part.high
    kinds = [SourceKind(kind).name.lower() for kind in network.source_kind.tolist()]
    load_kinds = [LoadKind(kind).name.lower() for kind in network.load_kind.tolist()]
    source_bus = [network.bus_ids[i] for i in network.source_bus.tolist()]
    load_bus = [network.bus_ids[i] for i in network.load_bus.tolist()]
    tables = {
        "snapshots": _snapshots(part),
        "buses": _frame(
            part,
            {"bus": list(network.bus_ids)},
            {"t_per_mwh": low.bus_t_per_mwh, "t_per_mwh_max": high.bus_t_per_mwh},
        ),
        "sources": _frame(
            part,
            {"source": list(network.source_ids), "kind": kinds, "bus": source_bus},
            {
                "p_mw": flow.p_source_mw,
                "t_per_h": low.source_t_per_h,
                "t_per_h_max": high.source_t_per_h,
            },
        ),
        "loads": _frame(
            part,
            {"load": list(network.load_ids), "kind": load_kinds, "bus": load_bus},
            {"p_mw": flow.p_load_mw, "t_per_h": low.load_t_per_h, "t_per_h_max": high.load_t_per_h},
        ),
        "branches": _frame(
            part,
            {"branch": list(network.branch_ids)},
            {
                "p_from_mw": flow.p_from_mw,
                "p_to_mw": flow.p_to_mw,
                "loss_mw": flow.p_from_mw + flow.p_to_mw,
                "gains_power": gains_power(low),
                "t_per_mwh": low.branch_t_per_mwh,
                "t_per_mwh_max": high.branch_t_per_mwh,
                "loss_t_per_h": low.loss_t_per_h,
                "loss_t_per_h_max": high.loss_t_per_h,
            },
        ),
    }
    return tables | {"stores": _stores(part)}


def _stores(part: TracedPart) -> pl.DataFrame:
    states = part.stores
    nothing = np.empty((len(part.low.flow.p_source_mw), 0))
    return _frame(
        part,
        {"store": [] if states is None else list(states.store_ids)},
        {
            "energy_mwh": nothing if states is None else states.energy_mwh,
            "carbon_t": nothing if states is None else states.low_carbon_t,
            "carbon_t_max": nothing if states is None else states.high_carbon_t,
            "t_per_mwh": nothing if states is None else states.low_t_per_mwh,
            "t_per_mwh_max": nothing if states is None else states.high_t_per_mwh,
        },
    )


def snapshot_sums(part: TracedPart) -> dict[str, FloatArray]:
    """Sums of each snapshot, shape (T,): MW of each kind, and t/h with lower and upper bound.

    `lost` is of branches and shunts, `stored` is charged less discharged.
    """
    flow, network = part.low.flow, part.low.flow.network
    source = {kind: network.source_kind == kind for kind in SourceKind}
    load = {kind: network.load_kind == kind for kind in LoadKind}
    loss_mw = (flow.p_from_mw + flow.p_to_mw).sum(axis=1)
    sums: dict[str, FloatArray] = {}
    for unit, side in (("mw", None), ("t_per_h", part.low), ("t_per_h_max", part.high)):
        given = flow.p_source_mw if side is None else side.source_t_per_h
        taken = flow.p_load_mw if side is None else side.load_t_per_h
        lost = loss_mw if side is None else side.loss_t_per_h.sum(axis=1)
        for name, kind in PLACES.items():
            sums[f"{name}_{unit}"] = given[:, source[kind]].sum(axis=1)
        for name, goes in GOES.items():
            sums[f"{name}_{unit}"] = taken[:, load[goes]].sum(axis=1)
        sums[f"lost_{unit}"] = lost + taken[:, load[LoadKind.SHUNT]].sum(axis=1)
        charged = taken[:, load[LoadKind.CHARGING]].sum(axis=1)
        sums[f"stored_{unit}"] = charged - given[:, source[SourceKind.STORE]].sum(axis=1)
    sums["residual_t_per_h"] = part.low.residual_t_per_h
    sums["gaining_branches"] = gains_power(part.low).sum(axis=1)
    return sums


def _snapshots(part: TracedPart) -> pl.DataFrame:
    import polars as pl

    count = len(part.low.flow.p_source_mw)
    columns = _places(part.first + np.arange(count), part.start_s, 1)
    columns += [pl.Series(name, values) for name, values in snapshot_sums(part).items()]
    return pl.DataFrame(columns)


def _frame(
    part: TracedPart, words: dict[str, list[str]], values: Mapping[str, FloatArray | BoolArray]
) -> pl.DataFrame:
    """One row for each snapshot and element, snapshot by snapshot."""
    import polars as pl

    count = len(part.low.flow.p_source_mw)
    width = len(next(iter(words.values())))
    columns = _places(part.first + np.arange(count), part.start_s, width)
    for name, each in words.items():
        taken = pl.Series(name, each, pl.String)
        columns.append(taken.gather(np.tile(np.arange(width), count)))
    for name, table in values.items():
        column = pl.Series(name, np.ascontiguousarray(table).ravel())
        columns.append(column.fill_nan(None) if column.dtype == pl.Float64 else column)
    return pl.DataFrame(columns)


def _places(numbers: IntArray, start_s: IntArray | None, width: int) -> list[pl.Series]:
    """Number and start of each row's snapshot; the start is null when it is not known."""
    import polars as pl

    number = pl.Series("snapshot", np.repeat(numbers, width))
    kind = pl.Datetime("us", "UTC")
    if start_s is None:
        return [number, pl.Series("start_utc", [None] * len(number), kind)]
    return [number, pl.Series("start_utc", np.repeat(start_s, width) * MICROSECONDS).cast(kind)]


class CarbonFiles:
    """CSV files of a series, one a table, that grow part by part."""

    def __init__(self, files: dict[str, BinaryIO]) -> None:
        """Take open files by the name of their table."""
        self._files = files
        self._started = False

    def add(self, part: TracedPart) -> None:
        """Append some snapshots."""
        for name, frame in frames_of(part).items():
            if name in self._files:
                shown = frame.with_columns(
                    frame["start_utc"].dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("start_utc")
                )
                shown.write_csv(self._files[name], include_header=not self._started)
        self._started = True


@contextmanager
def carbon_files(folder: Path, *, stores: bool) -> Iterator[CarbonFiles]:
    """The files of a series in a folder, which is made when it is not there.

    Files that are there already are replaced when all is written; a series that fails half way
    leaves them as they were.

    Args:
        folder: where to.
        stores: whether there are any; without them there is no file of them.

    Raises:
        StoreError: the disk refused.
    """
    names = [name for name in NAMES if name != "stores" or stores]
    aside = {name: folder / f".{name}.csv.partial" for name in names}
    files: dict[str, BinaryIO] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in aside.items():
            files[name] = path.open("wb")
        yield CarbonFiles(files)
        for name, path in aside.items():
            files[name].close()
            path.replace(folder / f"{name}.csv")
    except OSError as error:
        message = f"cannot be written: {error.strerror}; choose a folder with room and permission"
        raise StoreError(f"{folder}: {message}") from error
    finally:
        for name, file in files.items():
            file.close()
            aside[name].unlink(missing_ok=True)
