"""A page of traced snapshots: carbon over time, the network by intensity, where power goes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon.series import TracedPart, start_text
from gridpact.errors import StoreError
from gridpact.files import write_atomically
from gridpact.model.carbon import LoadKind, SolvedFlow, SourceKind, Trace
from gridpact.reports.carbon_figures import map_figure, sankey_figure
from gridpact.reports.carbon_timeline import COLOURS, intensity_figure, mix_figure, store_figure
from gridpact.reports.document import document
from gridpact.reports.elements import plot
from gridpact.reports.markup import Html, joined, tag
from gridpact.reports.timeline import SLOTS_DRAWN_MAX

if TYPE_CHECKING:
    from gridpact.model.carbon import FloatArray, FlowNetwork
    from gridpact.reports.plots import Figure

PAGE = "carbon.html"
APART_MAX = 40
"""Sources and buses up to which each is drawn by itself; more are drawn by kind, or as lowest,
mean and highest, so that memory does not grow with the network."""
KIND_NAMES = {
    SourceKind.GENERATION: "Generation",
    SourceKind.IMPORT: "Import",
    SourceKind.STORE: "Stores",
}
G_PER_T = 1000.0
"""g/kWh of a t/MWh."""
DAY_S = 86_400


class CarbonRecord:
    """What the page needs of a series, kept while its parts go by."""

    def __init__(self, network: FlowNetwork, hours: float) -> None:
        """Nothing yet.

        Args:
            network: of all parts.
            hours: length of a snapshot.
        """
        self.network = network
        self.hours = hours
        self.snapshots = 0
        self.one: TracedPart | None = None
        """The snapshot in which the intensities of buses differ most, alone."""
        self._spread = -1.0
        self._starts: list[np.ndarray] = []
        self._mix_mw: list[FloatArray] = []
        self._g_per_kwh: list[FloatArray] = []
        self._store_g: list[FloatArray] = []
        self._store_wh: list[FloatArray] = []
        self.store_ids: tuple[str, ...] = ()

    def add(self, part: TracedPart) -> None:
        """Take some snapshots; of intervals the upper bounds are drawn."""
        self.snapshots += len(part.high.flow.p_source_mw)
        lowest, highest = _ends(part.high.bus_t_per_mwh)
        spread = np.where(np.isfinite(lowest), highest - lowest, 0.0)
        place = int(spread.argmax())
        if spread[place] > self._spread:
            self._spread = float(spread[place])
            self.one = _alone(part, place)
        if part.start_s is None:
            return
        self._starts.append(part.start_s)
        self._mix_mw.append(self._mix(part))
        self._g_per_kwh.append(G_PER_T * self._intensity(part))
        if part.stores is not None:
            self.store_ids = part.stores.store_ids
            self._store_g.append(G_PER_T * part.stores.high_t_per_mwh)
            self._store_wh.append(1e6 * part.stores.energy_mwh)

    def _mix(self, part: TracedPart) -> FloatArray:
        power = part.high.flow.p_source_mw
        if power.shape[1] <= APART_MAX:
            return power
        kinds = [power[:, self.network.source_kind == kind].sum(axis=1) for kind in KIND_NAMES]
        return np.column_stack(kinds)

    @property
    def mix_names(self) -> list[str]:
        """Of the columns of the mix."""
        ids = self.network.source_ids
        return list(ids) if len(ids) <= APART_MAX else list(KIND_NAMES.values())

    def _intensity(self, part: TracedPart) -> FloatArray:
        rho = part.high.bus_t_per_mwh
        if rho.shape[1] <= APART_MAX:
            return rho
        consumed = self.network.load_kind == LoadKind.CONSUMPTION
        carbon = part.high.load_t_per_h[:, consumed].sum(axis=1)
        power = part.high.flow.p_load_mw[:, consumed].sum(axis=1)
        mean = np.divide(carbon, power, out=np.full_like(carbon, np.nan), where=power > 0.0)
        lowest, highest = _ends(rho)
        found = np.column_stack([lowest, mean, highest])
        found[~np.isfinite(found)] = np.nan
        return found

    @property
    def intensity_names(self) -> list[str]:
        """Of the columns of the intensities."""
        ids = self.network.bus_ids
        statistics = ["Lowest bus", "Mean of all consumption", "Highest bus"]
        return list(ids) if len(ids) <= APART_MAX else statistics

    def figures(self) -> list[Figure]:
        """Plots over time; none of a single snapshot, or without starts."""
        if not self._starts or self.snapshots < 2:
            return []
        starts = np.concatenate(self._starts)
        tables = [np.concatenate(self._mix_mw), np.concatenate(self._g_per_kwh)]
        if self.store_ids:
            tables += [np.concatenate(self._store_g), np.concatenate(self._store_wh)]
        if self.by_day:
            days = starts // DAY_S
            tables = [_means(table, days) for table in tables]
            starts = np.unique(days) * DAY_S
        times = [
            f"{datetime.fromtimestamp(each, UTC):%Y-%m-%d %H:%M:%S}" for each in starts.tolist()
        ]
        few = len(self.network.bus_ids) <= APART_MAX
        colours = COLOURS if few else ("trade", "load", "offer")
        figures = [
            mix_figure(times, self.mix_names, tables[0]),
            intensity_figure(times, self.intensity_names, tables[1], colours=colours),
        ]
        if self.store_ids:
            figures.append(store_figure(times, self.store_ids, tables[2], tables[3]))
        return figures

    @property
    def by_day(self) -> bool:
        """Whether a step of the plots is a day."""
        return self.snapshots > SLOTS_DRAWN_MAX


def _means(table: FloatArray, days: FloatArray) -> FloatArray:
    """Means of each day's rows, without those that are no number."""
    first = np.flatnonzero(np.concatenate([[True], days[1:] != days[:-1]]))
    known = ~np.isnan(table)
    total = np.add.reduceat(np.where(known, table, 0.0), first, axis=0)
    count = np.add.reduceat(known.astype(np.float64), first, axis=0)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0.0)


def _ends(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest of each row; infinite in one without numbers."""
    unknown = np.isnan(values)
    lowest = np.where(unknown, np.inf, values).min(axis=1, initial=np.inf)
    return lowest, np.where(unknown, -np.inf, values).max(axis=1, initial=-np.inf)


def _alone(part: TracedPart, place: int) -> TracedPart:
    """One snapshot of a part, with arrays of its own."""
    rows = slice(place, place + 1)
    trace = part.high
    flow = SolvedFlow(
        trace.flow.network,
        trace.flow.p_source_mw[rows].copy(),
        trace.flow.p_load_mw[rows].copy(),
        trace.flow.p_from_mw[rows].copy(),
        trace.flow.p_to_mw[rows].copy(),
    )
    one = Trace(
        flow,
        trace.source_t_per_mwh[rows].copy(),
        trace.bus_t_per_mwh[rows].copy(),
        trace.branch_t_per_mwh[rows].copy(),
    )
    start = None if part.start_s is None else part.start_s[rows].copy()
    return TracedPart(part.first + place, start, one, one, None)


def write_carbon_page(folder: Path, record: CarbonRecord) -> Path:
    """Write the page into a folder, which is made when it is not there.

    Args:
        folder: where to.
        record: of at least one snapshot.

    Raises:
        StoreError: the disk refused.
    """
    over_time = record.figures()
    one = record.one
    single = [] if one is None else [map_figure(one.high), sankey_figure(one.high)]
    when = ""
    if one is not None and record.snapshots > 1:
        start = "" if one.start_s is None else f", {start_text(int(one.start_s[0]))}"
        when = f" Drawn is the snapshot in which buses differ most, number {one.first}{start}."
    step = " Each step is the mean of a day (UTC)." if record.by_day else ""
    texts = {
        "carbon-mix": ("Where power comes from", f"Power of each source.{step}"),
        "carbon-intensity": ("Intensity over time", f"Of what leaves each bus.{step}"),
        "carbon-stores": (
            "Stores",
            f"What each store would give next, and what it holds, after each snapshot.{step}",
        ),
        "carbon-map": (
            "Intensity by bus",
            f"All that leaves a bus has the mix of all that enters it.{when}",
        ),
        "carbon-flows": (
            "From sources to loads",
            f"Power in MW; the same shares of each source's carbon go along.{when}",
        ),
    }
    figures = [*over_time, *single]
    body = joined(
        tag("header", tag("h1", "Carbon in the network")),
        tag("main", *(_section(*texts[figure.name], figure) for figure in figures)),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot be made: {error.strerror}; choose a folder with permission"
        raise StoreError(f"{folder}: {message}") from error
    path = folder / PAGE
    write_atomically(path, document("Carbon in the network", body, figures).encode())
    return path


def _section(heading: str, text: str, figure: Figure) -> Html:
    return tag("section", tag("h2", heading), tag("p", text), plot(figure, "trace"))
