"""What the network, the homes and the forecasts came to over a run, in numbers and sentences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import isnan

from gridpact.model import BranchPeak, BusBand, Forecasting, RunResult, SlotGrid
from gridpact.model.grid import LimitKind, Violation
from gridpact.reports.amounts import NO_BREAK, counted, energy_text, real_text
from gridpact.reports.columns import slot_cuts
from gridpact.reports.timeline import known

NOMINAL_PU = 1.0


@dataclass(frozen=True, slots=True)
class GridTotals:
    """The network over all slots; numbers are None when nothing is known about them."""

    slots: int
    converged_slots: int
    vm_min_pu: float | None
    vm_max_pu: float | None
    loading_max_percent: float | None
    loading_max_branch: str
    losses_wh: float | None
    from_outside_wh: float | None
    """+ = into the network."""
    curtailed_wh: int
    cuts: int
    most_cut_at: str
    """Branch or bus that took most; empty without a cut."""
    violations: int
    violated_slots: int
    """Slots with one of them, those without a solution left out."""


def grid_totals(result: RunResult) -> GridTotals | None:
    """Sums and extremes over all slots; None without a network."""
    if result.grid is None:
        return None
    grids = [slot.grid for slot in result.slots if slot.grid is not None]
    loaded = [grid for grid in grids if known([grid.loading_max_percent])]
    fullest = max(loaded, key=lambda grid: grid.loading_max_percent or 0.0, default=None)
    taken_wh: Counter[str] = Counter()
    for each in slot_cuts(result):
        taken_wh[each.cut.bound_by] += each.cut.curtailed_wh
    return GridTotals(
        slots=len(grids),
        converged_slots=sum(1 for grid in grids if converged(grid)),
        vm_min_pu=min(known(grid.vm_min_pu for grid in grids), default=None),
        vm_max_pu=max(known(grid.vm_max_pu for grid in grids), default=None),
        loading_max_percent=fullest.loading_max_percent if fullest else None,
        loading_max_branch=fullest.loading_max_branch if fullest else "",
        losses_wh=_sum(known(grid.losses_wh for grid in grids)),
        from_outside_wh=_sum(known(grid.from_outside_wh for grid in grids)),
        curtailed_wh=sum(slot.state.curtailed_wh for slot in result.slots),
        cuts=sum(len(grid.cuts) for grid in grids),
        most_cut_at=min(taken_wh, key=lambda name: (-taken_wh[name], name), default=""),
        violations=sum(len(grid.violations) for grid in grids),
        violated_slots=sum(1 for grid in grids if any(map(_has_value, grid.violations))),
    )


def converged(grid: SlotGrid) -> bool:
    """Whether the power flow of a slot found a solution."""
    return bool(known([grid.vm_min_pu]))


def _has_value(violation: Violation) -> bool:
    return violation.kind != LimitKind.COLLAPSE


def _sum(values: list[float]) -> float | None:
    return sum(values) if values else None


def grid_sentence(result: RunResult) -> str:
    """The network for somebody who asks one question: did it carry the trades? Empty without."""
    totals = grid_totals(result)
    if totals is None:
        return ""
    if not totals.converged_slots:
        return "The power flow found no solution in any slot, so nothing is known about the lines."
    words = [_carried(result, totals), _unsolved(totals), _broken(totals)]
    return " ".join(word for word in words if word)


def _carried(result: RunResult, totals: GridTotals) -> str:
    loading = (
        f"the highest loading was {real_text(totals.loading_max_percent, 1)}{NO_BREAK}%, "
        f"at {totals.loading_max_branch}"
        if totals.loading_max_percent is not None
        else "no rating of a line is known"
    )
    if totals.cuts or totals.curtailed_wh:
        at = f", most at {totals.most_cut_at}" if totals.most_cut_at else ""
        return (
            f"The grid could not carry {counted(totals.cuts, 'trade')} in full: "
            f"{energy_text(totals.curtailed_wh)} were curtailed{at}."
        )
    if any(slot.state.trades for slot in result.slots):
        return f"The lines carried every trade; {loading}."
    return f"{loading[0].upper()}{loading[1:]}."


def _unsolved(totals: GridTotals) -> str:
    missing = totals.slots - totals.converged_slots
    if not missing:
        return ""
    return f"In {counted(missing, 'slot')} the power flow found no solution."


def _broken(totals: GridTotals) -> str:
    if not totals.violated_slots:
        return ""
    slots = counted(totals.violated_slots, "slot")
    return f"In {slots} a limit was broken that curtailing trades could not mend."


def violation_text(violation: Violation) -> str:
    """A broken limit in words, without its slot."""
    if violation.kind == LimitKind.COLLAPSE:
        at = f" near {violation.element}" if violation.element else ""
        return f"no solution: the grid cannot carry the load{at}"
    if violation.kind == LimitKind.LOADING:
        return (
            f"{violation.element} carries {real_text(violation.value, 1)}{NO_BREAK}%, "
            f"above {real_text(violation.limit, 1)}{NO_BREAK}%"
        )
    side = "below" if violation.kind == LimitKind.UNDERVOLTAGE else "above"
    return (
        f"{violation.element} has {real_text(violation.value, 4)}{NO_BREAK}pu, "
        f"{side} {real_text(violation.limit, 4)}{NO_BREAK}pu"
    )


def fullest_branches(result: RunResult, count: int) -> list[BranchPeak]:
    """Those loaded most, of those whose rating is known."""
    branches = result.grid.branches if result.grid else ()
    rated = [each for each in branches if known([each.loading_max_percent])]
    rated.sort(key=lambda each: (-(each.loading_max_percent or 0.0), each.branch))
    return rated[:count]


def farthest_buses(result: RunResult, count: int) -> list[BusBand]:
    """Those whose voltage went furthest from nominal, of those with a voltage."""
    buses = result.grid.buses if result.grid else ()
    live = [each for each in buses if known([each.vm_min_pu, each.vm_max_pu])]
    live.sort(key=lambda each: (-_distance(each), each.bus))
    return live[:count]


def _distance(band: BusBand) -> float:
    return max(abs(value - NOMINAL_PU) for value in known([band.vm_min_pu, band.vm_max_pu]))


def forecast_sentence(result: RunResult) -> str:
    """How good the forecasts were, for laymen; empty when nothing was compared."""
    errors = result.forecast
    if not errors.values:
        return ""
    words = (
        "On average a member's forecast missed the energy of a slot by "
        f"{real_text(errors.mae_wh, 0)}{NO_BREAK}Wh"
    )
    yardstick = "by taking the same slot of an earlier day"
    if isnan(errors.skill):
        return f"{words}; {yardstick} there would have been no miss."
    percent = f"{real_text(abs(100 * errors.skill), 1)}{NO_BREAK}%"
    if percent == f"0.0{NO_BREAK}%":
        same = (
            ", which is how it was made"
            if result.scenario.forecasting == Forecasting.SEASONAL_NAIVE
            else ""
        )
        return f"{words}, as much as {yardstick}{same}."
    return f"{words}, {percent} {'less' if errors.skill > 0 else 'more'} than {yardstick}."


def credits_sentence(result: RunResult) -> str:
    """How many bills were corrected after they were issued; empty when none was."""
    if not result.credits:
        return ""
    members = {each.participant_id for each in result.credits}
    return (
        f"{counted(len(result.credits), 'bill')} of {counted(len(members), 'member')} "
        f"{'was' if len(result.credits) == 1 else 'were'} corrected after "
        f"{'it was' if len(result.credits) == 1 else 'they were'} issued"
    )


def shortfalls_text(result: RunResult) -> str:
    """How often energy that was due in a home was not there."""
    count = sum(len(home.shortfalls) for home in result.homes)
    return counted(count, "shortfall") if count else "nothing was short"
