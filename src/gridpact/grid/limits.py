"""Voltage band and branch loading: what a power flow breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import InputError, Problem
from gridpact.model.grid import GridLimits, LimitKind, Violation

if TYPE_CHECKING:
    from gridpact.model.grid import BoolArray, FloatArray, PowerFlow

BAND_MIN_PU = 0.01
"""Smallest distance of a voltage limit from 1 pu that severities are measured by."""
COLLAPSED = float("inf")
"""Severity of a snapshot without a solution."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits by place: for each of B buses and L branches what it must keep to."""

    vm_min_pu: FloatArray
    """Shape (B,)."""
    vm_max_pu: FloatArray
    """Shape (B,)."""
    loading_max_percent: FloatArray
    """Shape (L,)."""


def check_limits(limits: GridLimits) -> None:
    """Whether limits can be kept to.

    Raises:
        InputError: a band without width, or a limit that is no positive number.
    """
    problems = []
    if not 0 < limits.vm_min_pu < limits.vm_max_pu < np.inf:
        problems.append(
            Problem(
                "limits",
                f"vm_min_pu = {limits.vm_min_pu:g} and vm_max_pu = {limits.vm_max_pu:g}; allowed: "
                "above 0, the first below the second; correct them",
            )
        )
    if not 0 < limits.loading_max_percent < np.inf:
        problems.append(
            Problem(
                "limits",
                f"loading_max_percent = {limits.loading_max_percent:g}; allowed: above 0; "
                "correct it",
            )
        )
    if problems:
        raise InputError(problems)


def violations(flow: PowerFlow, limits: GridLimits) -> tuple[Violation, ...]:
    """Everything that breaks a limit, the most severe first.

    Equally severe ones come by snapshot, then loading before voltage, then in the order of the
    network. Branches whose rating is not known, and buses without supply, break nothing.

    Args:
        flow: S solved snapshots; one that did not converge is a collapse.
        limits: the same for all places.
    Raises:
        InputError: limits that cannot be kept to.
    """
    check_limits(limits)
    return exceeded(flow, uniform_bounds(flow, limits))


def uniform_bounds(flow: PowerFlow, limits: GridLimits) -> Bounds:
    """The same limits everywhere."""
    buses, branches = len(flow.bus_ids), len(flow.branch_ids)
    return Bounds(
        np.full(buses, limits.vm_min_pu),
        np.full(buses, limits.vm_max_pu),
        np.full(branches, limits.loading_max_percent),
    )


def exceeded(flow: PowerFlow, bounds: Bounds) -> tuple[Violation, ...]:
    """What is beyond `bounds`, ordered as `violations` says."""
    low_band = np.maximum(np.abs(1 - bounds.vm_min_pu), BAND_MIN_PU)
    high_band = np.maximum(np.abs(bounds.vm_max_pu - 1), BAND_MIN_PU)
    loading = flow.loading_percent / bounds.loading_max_percent - 1
    too_low = (bounds.vm_min_pu - flow.vm_pu) / low_band
    too_high = (flow.vm_pu - bounds.vm_max_pu) / high_band
    loadings, voltages = flow.loading_percent, flow.vm_pu
    loading_max = bounds.loading_max_percent
    found = [
        *_found(LimitKind.LOADING, loading, flow.branch_ids, loadings, loading_max),
        *_found(LimitKind.UNDERVOLTAGE, too_low, flow.bus_ids, voltages, bounds.vm_min_pu),
        *_found(LimitKind.OVERVOLTAGE, too_high, flow.bus_ids, voltages, bounds.vm_max_pu),
    ]
    found += [
        Violation(LimitKind.COLLAPSE, int(row), "", np.nan, np.nan, COLLAPSED)
        for row in np.flatnonzero(~flow.converged)
    ]
    # Sorting is stable, so what is equal here keeps the order of the network.
    return tuple(sorted(found, key=lambda item: (-item.severity, item.snapshot, item.kind)))


def _found(
    kind: LimitKind,
    severity: FloatArray,
    ids: tuple[str, ...],
    values: FloatArray,
    limits: FloatArray,
) -> list[Violation]:
    with np.errstate(invalid="ignore"):  # NaN is beyond nothing
        places: BoolArray = severity > 0
    return [
        Violation(
            kind,
            int(snapshot),
            ids[place],
            float(values[snapshot, place]),
            float(limits[place]),
            float(severity[snapshot, place]),
        )
        for snapshot, place in np.argwhere(places)
    ]


def excess(flow: PowerFlow, violation: Violation) -> FloatArray:
    """How far each snapshot is beyond the limit of one violation, in its unit; + = beyond.

    Returns:
        shape (S,); infinite where there is no solution.
    """
    if violation.kind == LimitKind.COLLAPSE:
        beyond = np.where(flow.converged, -1.0, np.inf)
    elif violation.kind == LimitKind.LOADING:
        branch = flow.branch_ids.index(violation.element)
        beyond = flow.loading_percent[:, branch] - violation.limit
    else:
        sign = 1 if violation.kind == LimitKind.OVERVOLTAGE else -1
        bus = flow.bus_ids.index(violation.element)
        beyond = sign * (flow.vm_pu[:, bus] - violation.limit)
    return np.where(flow.converged, beyond, np.inf)
