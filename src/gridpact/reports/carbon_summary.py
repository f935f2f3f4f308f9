"""What a series of traced snapshots came to, as one JSON object and for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gridpact.carbon.series import StoreStates, TracedPart, gains_power, start_text
from gridpact.reports.carbon_tables import snapshot_sums

if TYPE_CHECKING:
    from gridpact.model.carbon import FloatArray, FlowNetwork, IntArray

Json: TypeAlias = dict[str, Any]
"""An object as it is printed."""
FLOWS = ("generated", "imported", "consumed", "exported", "lost", "stored")
SHOWN_MAX = 40
"""Lines of a table in the terminal."""


class CarbonSummary:
    """Sums of a series, kept while its parts go by: a few numbers for each snapshot."""

    def __init__(self, network: FlowNetwork, hours: float) -> None:
        """Nothing yet.

        Args:
            network: of all parts.
            hours: length of a snapshot.
        """
        self._network = network
        self._hours = hours
        self._sums: list[dict[str, FloatArray]] = []
        self._starts: list[IntArray] = []
        self._stores: StoreStates | None = None
        self._gaining = np.zeros(len(network.branch_ids), dtype=np.int64)
        self._most_mw = np.zeros(len(network.branch_ids))

    def add(self, part: TracedPart) -> None:
        """Take some snapshots."""
        self._sums.append(snapshot_sums(part))
        if part.start_s is not None:
            self._starts.append(part.start_s)
        self._stores = part.stores
        gains = gains_power(part.low)
        self._gaining += gains.sum(axis=0)
        gained_mw = -(part.low.flow.p_from_mw + part.low.flow.p_to_mw)
        most = np.where(gains, gained_mw, 0.0).max(axis=0, initial=0.0)
        self._most_mw = np.maximum(self._most_mw, most)

    def json(self, file: str) -> Json:
        """Everything; upper bounds are there where they differ, None where nothing is known."""
        sums = {name: np.concatenate([each[name] for each in self._sums]) for name in self._sums[0]}
        exact = all(
            (sums[f"{name}_t_per_h"] == sums[f"{name}_t_per_h_max"]).all() for name in FLOWS
        )
        columns = {
            name: values.tolist()
            for name, values in sums.items()
            if not (exact and name.endswith("_max"))
        }
        starts = [start_text(each) for part in self._starts for each in part.tolist()]
        totals: dict[str, float] = {}
        for name in FLOWS:
            totals[f"{name}_mwh"] = float(sums[f"{name}_mw"].sum()) * self._hours
            totals[f"{name}_t"] = float(sums[f"{name}_t_per_h"].sum()) * self._hours
            if not exact:
                totals[f"{name}_t_max"] = float(sums[f"{name}_t_per_h_max"].sum()) * self._hours
        residual = sums["residual_t_per_h"]
        return {
            "file": file,
            "snapshots": len(residual),
            "slot_s": round(3600 * self._hours),
            "start": starts[0] if starts else None,
            "end": self._end(),
            "totals": totals,
            "residual_t_per_h": float(residual[np.abs(residual).argmax()]),
            "stores": self._held(),
            "gaining_branches": self.gaining(),
            "by_snapshot": {"start": starts} | columns,
        }

    def _end(self) -> str | None:
        if not self._starts:
            return None
        return start_text(int(self._starts[-1][-1]) + round(3600 * self._hours))

    def _held(self) -> list[Json]:
        """What stores hold after the last snapshot."""
        states = self._stores
        if states is None:
            return []
        return [
            {
                "store": name,
                "energy_mwh": float(states.energy_mwh[-1, i]),
                **pair("carbon_t", states.low_carbon_t[-1, i], states.high_carbon_t[-1, i]),
                **pair("t_per_mwh", states.low_t_per_mwh[-1, i], states.high_t_per_mwh[-1, i]),
            }
            for i, name in enumerate(states.store_ids)
        ]

    def gaining(self) -> list[Json]:
        """Branches that give more than they take, and in how many snapshots."""
        return [
            {
                "branch": self._network.branch_ids[i],
                "snapshots": int(self._gaining[i]),
                "most_mw": float(self._most_mw[i]),
            }
            for i in np.flatnonzero(self._gaining).tolist()
        ]


def pair(name: str, low: float, high: float) -> Json:
    """One value, or two where it is known by an interval alone; None where nothing flows."""
    first, second = float(low), float(high)
    if math.isnan(first):
        return {name: None}
    return {name: first} if first == second else {name: first, f"{name}_max": second}


def summary_lines(found: Json) -> list[str]:
    """The summary for the terminal: totals, then snapshots where they are few."""
    totals, columns = found["totals"], found["by_snapshot"]
    lines = [f"{found['snapshots']} snapshots of {found['slot_s']} s"]
    if found["start"] is not None:
        lines[0] += f", {found['start']} to {found['end']}"
    rows = [["", "MWh", "t", "t/MWh"]]
    for name in FLOWS:
        energy, low = totals[f"{name}_mwh"], totals[f"{name}_t"]
        high = totals.get(f"{name}_t_max", low)
        rho = "" if name == "stored" else _intensity(energy, low, high)
        rows.append([name, f"{energy:,.6f}", _span(low, high), rho])
    lines += _aligned(rows)
    if found["snapshots"] <= SHOWN_MAX:
        lines += _aligned(_snapshot_rows(columns))
    else:
        lines.append(f"--out and --json have all {found['snapshots']} snapshots")
    stores = found["stores"]
    if stores:
        rows = [["store", "MWh held", "t held", "t/MWh"]]
        for each in stores:
            high = each.get("carbon_t_max", each["carbon_t"])
            rho = each["t_per_mwh"]
            top = each.get("t_per_mwh_max", rho)
            shown = "-" if rho is None else _span(rho, top)
            held = f"{each['energy_mwh']:,.6f}"
            rows.append([each["store"], held, _span(each["carbon_t"], high), shown])
        lines += _aligned(rows)
    lines += gaining_lines(found["gaining_branches"])
    lines.append(f"largest residual of a snapshot: {found['residual_t_per_h']:.3g} t/h")
    return lines


def gaining_lines(gaining: list[Json]) -> list[str]:
    """A line that names branches of negative loss; none without them."""
    if not gaining:
        return []
    shown = [f"{each['branch']} ({each['most_mw']:.6g} MW)" for each in gaining[:SHOWN_MAX]]
    rest = f" and {len(gaining) - SHOWN_MAX} more" if len(gaining) > SHOWN_MAX else ""
    count = "1 branch gains" if len(gaining) == 1 else f"{len(gaining)} branches gain"
    return [f"{count} power, kept as a negative loss: {', '.join(shown)}{rest}"]


def _snapshot_rows(columns: dict[str, list[Any]]) -> list[list[str]]:
    starts = columns["start"] or [""] * len(columns["residual_t_per_h"])
    rows = [["start", "generated_mw", "imported_mw", "consumed_mw", "consumed t/MWh"]]
    low = columns["consumed_t_per_h"]
    high = columns.get("consumed_t_per_h_max", low)
    for i, start in enumerate(starts):
        power = [columns[f"{name}_mw"][i] for name in ("generated", "imported", "consumed")]
        rho = _intensity(power[2], low[i], high[i])
        rows.append([str(start), *(f"{each:,.6f}" for each in power), rho])
    return rows


def _span(low: float, high: float) -> str:
    return f"{low:,.6f}" if low == high else f"{low:,.6f}..{high:,.6f}"


def _intensity(energy: float, low: float, high: float) -> str:
    return "-" if energy <= 0.0 else _span(low / energy, high / energy)


def _aligned(rows: list[list[str]]) -> list[str]:
    """Words to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        f"  {row[0]:<{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
