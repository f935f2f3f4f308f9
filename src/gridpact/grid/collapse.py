"""How much of a load the network still carries, and where it gives way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import invariant
from gridpact.grid.solve_error import SolveError

if TYPE_CHECKING:
    from gridpact.grid.grid_model import GridModel
    from gridpact.model.grid import PowerFlow

WHOLE_PERMILLE = 1000


def explain_collapse(model: GridModel, flow: PowerFlow, snapshot: int) -> SolveError:
    """The largest share of a snapshot without a solution that has one, and its lowest voltage.

    Load and generation are scaled together, by bisection on whole per mille: ten power flows.

    Args:
        model: that `flow` was solved with.
        flow: solved snapshots.
        snapshot: position of one that did not converge.
    """
    invariant(not flow.converged[snapshot], f"snapshot {snapshot} has a solution")
    p_w, q_var = flow.p_load_w[[snapshot]], flow.q_load_var[[snapshot]]
    carried, beyond = 0, WHOLE_PERMILLE
    at_carried = model.flow(p_w * 0, q_var * 0)
    if not at_carried.converged[0]:
        return SolveError(snapshot, 0, "", float("nan"))
    while beyond - carried > 1:
        share = (carried + beyond) // 2
        tried = model.flow(p_w * share / WHOLE_PERMILLE, q_var * share / WHOLE_PERMILLE)
        if tried.converged[0]:
            carried, at_carried = share, tried
        else:
            beyond = share
    lowest = int(np.nanargmin(at_carried.vm_pu[0]))
    vm_pu = float(at_carried.vm_pu[0, lowest])
    return SolveError(snapshot, carried, flow.bus_ids[lowest], vm_pu)


def require_converged(model: GridModel, flow: PowerFlow) -> None:
    """Stop at the first snapshot without a solution, saying where the network gives way.

    Raises:
        SolveError: there is one.
    """
    failed = np.flatnonzero(~flow.converged)
    if len(failed):
        raise explain_collapse(model, flow, int(failed[0]))
