"""The grid: networks from files, power flow, limits, and which trades the lines can carry.

Result types are in `model.grid`. Solving needs the extra `grid`; reading and checking do not.
"""

from gridpact.grid.collapse import explain_collapse, require_converged
from gridpact.grid.curtailment import curtail
from gridpact.grid.grid_model import (
    TOLERANCE_PU,
    GridModel,
    lagging_q_var,
    load_at_buses,
    nominal_load,
    power_flow,
    with_ideal_sources,
)
from gridpact.grid.limits import violations
from gridpact.grid.reference import load_network
from gridpact.grid.solve_error import SolveError
from gridpact.grid.topology import supplied_buses, unsupplied

__all__ = [
    "TOLERANCE_PU",
    "GridModel",
    "SolveError",
    "curtail",
    "explain_collapse",
    "lagging_q_var",
    "load_at_buses",
    "load_network",
    "nominal_load",
    "power_flow",
    "require_converged",
    "supplied_buses",
    "unsupplied",
    "violations",
    "with_ideal_sources",
]
