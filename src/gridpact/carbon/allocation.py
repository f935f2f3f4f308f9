"""From floats to whole micrograms that add up: who takes how much of what was emitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon.checks import TracingError
from gridpact.errors import InputError, Problem, invariant
from gridpact.model.carbon import Allocation, LoadKind, SourceKind
from gridpact.quantize import FLOAT_EXACT_MAX, round_half_even
from gridpact.units import split_by_largest_remainder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.model.carbon import FloatArray, Trace

UG_PER_T = 1e12
UNTRACED_MAX = 1e-4
"""Of all carbon: more than this between what goes in and what comes out is no rounding of a power
flow, and is not to be spread over loads in silence."""


def allocate(trace: Trace, hours: float, snapshot: int = 0) -> Allocation:
    """One snapshot in whole micrograms: what goes in comes out, to the unit.

    What each source emits is rounded half to even; the sum is split among loads and losses in
    proportion to their traced carbon, by largest remainder. A branch that gains power brings
    carbon in by its negative loss, and is rounded as sources are. The power flow's own residual
    is spread with the split, so a residual of 0 proves the book-keeping and not the physics.

    Args:
        trace: T snapshots.
        hours: length of the snapshot, > 0.
        snapshot: which.

    Raises:
        InputError: hours out of range, or a snapshot that is not there.
        QuantizeError: an emission of 2^53 micrograms or more.
        TracingError: more than `UNTRACED_MAX` is missing.
    """
    if not 0.0 < hours < np.inf:
        raise InputError([Problem("hours", f"{hours:g} is not allowed; allowed: above 0")])
    count = len(trace.source_t_per_mwh)
    if not 0 <= snapshot < count:
        message = f"{snapshot} is not there; allowed: 0 to {count - 1}"
        raise InputError([Problem("snapshot", message)])
    scale = hours * UG_PER_T
    emitted = _whole(trace.source_t_per_h[snapshot] * scale, "emitted_ug")
    taken = _whole(trace.load_t_per_h[snapshot] * scale, "load_ug")
    lost = _whole(trace.loss_t_per_h[snapshot] * scale, "loss_ug")
    total = sum(emitted) + sum(-loss for loss in lost if loss < 0)
    weights = [*taken, *(max(loss, 0) for loss in lost)]
    missing = total - sum(weights)
    if abs(missing) > UNTRACED_MAX * max(total, 1) + len(weights):
        raise TracingError(
            f"snapshot {snapshot}: {missing} of {total} ug did not reach a load or loss; "
            f"allowed: {UNTRACED_MAX:g} of all; solve the power flow more exactly"
        )
    if not any(weights) and total:  # a microgram or two, rounded away on the other side
        weights = [1] * len(weights)
    parts = split_by_largest_remainder(total, weights)
    loads = parts[: len(taken)]
    losses = [min(loss, 0) + part for loss, part in zip(lost, parts[len(taken) :], strict=True)]
    return _booked(trace, emitted, loads, losses)


def allot(
    total_ug: int,
    t_per_h: Sequence[float],
    energies_wh: Sequence[int],
    hours: float,
    *,
    slack_ug: int,
) -> list[int]:
    """Carbon that is known to the microgram, in the proportions of what was traced.

    Who takes no whole Wh takes no carbon. Largest remainders make the parts whole.

    Args:
        total_ug: what is to be allotted, >= 0.
        t_per_h: traced carbon of each who takes, >= 0.
        energies_wh: of each who takes.
        hours: length of the snapshot, > 0.
        slack_ug: what rounding sources to whole Wh may have changed.
    Raises:
        TracingError: more than `UNTRACED_MAX` is missing, or nobody takes a Wh.
    """
    traced = _whole(np.array(t_per_h) * (hours * UG_PER_T), "traced_ug")
    missing = total_ug - sum(traced)
    if abs(missing) > UNTRACED_MAX * max(total_ug, 1) + slack_ug + len(traced):
        raise TracingError(
            f"{missing} of {total_ug} ug did not reach a load or loss; "
            f"allowed: {UNTRACED_MAX:g} of all; solve the power flow more exactly"
        )
    weights = [max(ug, 0) if wh > 0 else 0 for ug, wh in zip(traced, energies_wh, strict=True)]
    if total_ug and not any(weights):
        weights = [max(wh, 0) for wh in energies_wh]
    if not any(weights):
        if total_ug:
            raise TracingError(f"{total_ug} ug and nobody who takes a whole Wh")
        return weights
    return split_by_largest_remainder(total_ug, weights)


def _booked(trace: Trace, emitted: list[int], loads: list[int], losses: list[int]) -> Allocation:
    """The sums by kind."""
    network = trace.flow.network

    def of_sources(kind: SourceKind) -> int:
        kinds = network.source_kind.tolist()
        return sum(ug for ug, known in zip(emitted, kinds, strict=True) if known == kind)

    def of_loads(kind: LoadKind) -> int:
        kinds = network.load_kind.tolist()
        return sum(ug for ug, known in zip(loads, kinds, strict=True) if known == kind)

    allocation = Allocation(
        emitted_ug=tuple(emitted),
        load_ug=tuple(loads),
        loss_ug=tuple(losses),
        generated_ug=of_sources(SourceKind.GENERATION),
        imported_ug=of_sources(SourceKind.IMPORT),
        consumed_ug=of_loads(LoadKind.CONSUMPTION),
        lost_ug=sum(losses) + of_loads(LoadKind.SHUNT),
        stored_ug=of_loads(LoadKind.CHARGING) - of_sources(SourceKind.STORE),
        exported_ug=of_loads(LoadKind.EXPORT),
    )
    invariant(allocation.residual_ug == 0, f"{allocation.residual_ug} ug are nowhere")
    return allocation


def _whole(values: FloatArray, name: str) -> list[int]:
    limit = FLOAT_EXACT_MAX
    whole: list[int] = round_half_even(values, name=name, low=-limit, high=limit).tolist()
    return whole
