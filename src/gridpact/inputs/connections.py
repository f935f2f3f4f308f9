"""The [network] table of a scenario file, and the buses at which members can be connected."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridpact.errors import InputError
from gridpact.inputs import simbench
from gridpact.inputs.tables import closest, shown
from gridpact.model import NetworkPolicy
from gridpact.model.grid import CurtailmentRule, GridLimits

if TYPE_CHECKING:
    from pathlib import Path

    from gridpact.inputs.tables import TableReader

FORMS = "simbench:CODE | pandapower:FILE | pgm:FILE | csv:FOLDER"
RULES = {
    "pro_rata": CurtailmentRule.PRO_RATA,
    "last_in_first_out": CurtailmentRule.LAST_IN_FIRST_OUT,
}
POLICY_KEYS = (
    "curtailment",
    "vm_min_pu",
    "vm_max_pu",
    "loading_max_percent",
    "power_factor_permille",
)
"""Keys that say nothing without a network."""
VM_MIN_PU = (0.5, 0.99)
VM_MAX_PU = (1.01, 1.5)
"""The band has a hundredth on either side, by which severities are measured."""
LOADING_MAX_PERCENT = (1.0, 1000.0)
POWER_FACTOR_PERMILLE = (500, 1000)
LEDGER_ID = re.compile(r"[ -~]{1,100}")
"""What the ledger can name as the place that curtailed a trade: half of a `codec.Text`."""


@dataclass(frozen=True, slots=True)
class Connections:
    """The buses of a network."""

    reference: str
    buses: frozenset[str]
    supplied: frozenset[str]
    """Those with a path to an external grid."""


def read_network(
    table: TableReader, folder: Path, *, of_grid: bool | None
) -> tuple[NetworkPolicy | None, Connections | None]:
    """The network with its rules, and its buses.

    Args:
        table: the table; problems are noted in it. Its `region` belongs to the tariff.
        folder: paths are relative to it.
        of_grid: whether the profiles are those of the built-in grid, which then is the default;
            None when that is not known.
    Returns:
        no policy without a network, no buses when it cannot be read.
    """
    reference = table.text("reference", FORMS, default=simbench.REFERENCE if of_grid else "")
    usual = GridLimits()
    policy = NetworkPolicy(
        reference=reference,
        folder=folder,
        rule=table.choice("curtailment", RULES, default="pro_rata"),
        limits=GridLimits(
            vm_min_pu=table.real("vm_min_pu", *VM_MIN_PU, default=usual.vm_min_pu),
            vm_max_pu=table.real("vm_max_pu", *VM_MAX_PU, default=usual.vm_max_pu),
            loading_max_percent=table.real(
                "loading_max_percent", *LOADING_MAX_PERCENT, default=usual.loading_max_percent
            ),
        ),
        power_factor_permille=table.integer(
            "power_factor_permille", *POWER_FACTOR_PERMILLE, default=930
        ),
    )
    if table.faulty("reference"):
        return policy, None
    if not reference:
        if of_grid is not None:
            table.refuse(POLICY_KEYS, "the scenario has no network.reference")
        return None, None
    return policy, _connections(table, policy)


def _connections(table: TableReader, policy: NetworkPolicy) -> Connections | None:
    from gridpact.grid import load_network, supplied_buses

    try:
        network = load_network(policy.reference, policy.folder)
    except InputError as error:
        for problem in error.problems:
            is_key = problem.where == table.where("reference")
            table.problem("reference", problem.message if is_key else str(problem))
        return None
    buses = frozenset(bus.bus_id for bus in network.buses)
    branches = [line.line_id for line in network.lines]
    branches += [transformer.transformer_id for transformer in network.transformers]
    strange = [name for name in (*sorted(buses), *branches) if not LEDGER_ID.fullmatch(name)]
    if strange:
        table.problem(
            "reference",
            f"{policy.reference}: {shown(strange[0])} and {len(strange) - 1} more ids cannot be "
            "named in the ledger; allowed: 1 to 100 printable ASCII characters; rename them",
        )
    return Connections(policy.reference, buses, supplied_buses(network))


def read_bus(row: TableReader, places: Connections, usual: str = "") -> str:
    """Where a member is connected: what its row says, else the `usual` bus if there is one."""
    allowed = f"a bus of {places.reference}, such as {min(places.buses)!r}"
    bus = row.text("bus", allowed, default=usual or None)
    if not bus or row.faulty("bus"):
        return ""
    if bus not in places.buses:
        hint = closest(bus, places.buses) or "; correct it"
        whose = "" if row.given("bus") else ", where the load is in SimBench's grid,"
        row.problem("bus", f"{shown(bus)}{whose} is not known; allowed: {allowed}{hint}")
    elif bus not in places.supplied:
        row.problem("bus", no_supply(bus, places))
    return bus


def no_supply(bus: str, places: Connections) -> str:
    """Why nobody can trade at a bus, and what to do."""
    some = f", such as {min(places.supplied)!r}" if places.supplied else ""
    return (
        f"{bus} has no path to an external grid of {places.reference}; allowed: the "
        f"{len(places.supplied)} buses with supply{some}; connect the member to one of them, or "
        "close a switch, add a line or an external grid"
    )
