"""The electrical grid: its parts, what a power flow came to, and what limits did to trades.

Nouns only: `grid` reads, solves and curtails. All power is of three phases together, balanced.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]
    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]


class BranchEnd(IntEnum):
    """One of the two ends of a branch."""

    FROM = 1
    TO = 2


class EquivalentCircuit(IntEnum):
    """How a transformer's no-load admittance is placed."""

    T = 1
    """in the middle, between two halves of the series impedance."""
    PI = 2
    """one half at either end."""


class SwitchKind(IntEnum):
    """What a switch joins its bus with."""

    BUS = 1
    """another bus, without impedance."""
    LINE = 2
    """the end of a line."""
    TRANSFORMER = 3
    """the end of a transformer."""


@dataclass(frozen=True, slots=True)
class Bus:
    """A connection point."""

    bus_id: str
    name: str
    """In the source; may be empty or repeated."""
    nominal_kv: float
    """Line-to-line, > 0; what one per unit means."""
    in_service: bool
    """False: dead, and every branch end and switch at it is open."""


@dataclass(frozen=True, slots=True)
class Line:
    """A cable or overhead line, or several equal ones in parallel."""

    line_id: str
    from_bus: str
    to_bus: str
    length_km: float
    """> 0."""
    r_ohm_per_km: float
    """Series resistance of one, >= 0."""
    x_ohm_per_km: float
    """Series reactance of one."""
    c_nf_per_km: float
    """Capacitance of one, >= 0."""
    g_us_per_km: float
    """Conductance of the insulation of one, >= 0."""
    max_i_a: float
    """Current that one may carry for long, derating included; infinite when it is not known."""
    parallel: int
    """How many, >= 1."""
    in_service: bool


@dataclass(frozen=True, slots=True)
class Transformer:
    """A transformer with two windings, or several equal ones in parallel: the nameplate."""

    transformer_id: str
    from_bus: str
    """Usually the high-voltage side."""
    to_bus: str
    sn_mva: float
    """Rated power of one, > 0."""
    from_kv: float
    """Rated voltage at the from-side, tap in neutral position."""
    to_kv: float
    """Rated voltage at the to-side, tap in neutral position."""
    vk_percent: float
    """Short-circuit voltage, > 0."""
    vkr_percent: float
    """Its real part, 0 .. vk_percent."""
    pfe_kw: float
    """No-load losses of one, >= 0."""
    i0_percent: float
    """No-load current, >= 0."""
    shift_degree: float
    """How far the to-side lags behind the from-side: 30 x the clock number of the vector group."""
    tap_end: BranchEnd
    """The winding with the tap changer."""
    tap_position: float
    tap_neutral: float
    """Position at which the rated voltages hold."""
    tap_step_percent: float
    """Voltage that one position adds, in percent of the rated voltage of the winding; 0 without a
    tap changer."""
    parallel: int
    """How many, >= 1."""
    derating: float
    """Share of the rated power that may be used for long, > 0."""
    circuit: EquivalentCircuit
    in_service: bool


@dataclass(frozen=True, slots=True)
class ExternalGrid:
    """A grid beyond this one, which holds the voltage."""

    external_grid_id: str
    bus: str
    vm_pu: float
    """Voltage that it holds behind its own impedance, > 0."""
    va_degree: float
    short_circuit_mva: float
    """What its own impedance lets through at nominal voltage, > 0; infinite when the voltage is
    held at the bus itself."""
    rx_ratio: float
    """Resistance over reactance of its own impedance."""
    in_service: bool


@dataclass(frozen=True, slots=True)
class Switch:
    """Opens or closes a connection without impedance."""

    switch_id: str
    bus: str
    kind: SwitchKind
    element: str
    """Id of the other bus, or of the line or transformer that has one end at `bus`."""
    closed: bool


@dataclass(frozen=True, slots=True)
class Shunt:
    """A constant admittance between a bus and earth."""

    shunt_id: str
    bus: str
    conductance_s: float
    """+ = consumption of active power."""
    susceptance_s: float
    """+ = capacitive, which feeds in reactive power."""
    in_service: bool


@dataclass(frozen=True, slots=True)
class NominalLoad:
    """A load or plant of the source with the power that it states there."""

    load_id: str
    bus: str
    p_w: float
    """+ = consumption, - = generation."""
    q_var: float
    """+ = inductive consumption."""


@dataclass(frozen=True, slots=True)
class Network:
    """A checked network: ids are unique, references lead somewhere, every value is in its range.

    Buses may still be without a path to an external grid; `grid.unsupplied` names them.
    """

    reference: str
    """How scenarios name it."""
    frequency_hz: float
    buses: tuple[Bus, ...]
    lines: tuple[Line, ...]
    transformers: tuple[Transformer, ...]
    external_grids: tuple[ExternalGrid, ...]
    switches: tuple[Switch, ...]
    shunts: tuple[Shunt, ...]
    loads: tuple[NominalLoad, ...]
    """Information only: a power flow takes its load as an argument."""
    unsupported: tuple[str, ...]
    """What the source also holds and this network leaves out, none of which changes the flow."""


@dataclass(frozen=True, slots=True)
class PowerFlow:
    """S solved snapshots of a network with B buses, L branches and E external grids.

    Branches are the lines, then the transformers, in the order of the network. Power into a branch
    is positive at each end, so both ends sum to its losses. Values of a snapshot that did not
    converge, and of buses without supply, are NaN; open branches carry 0.
    """

    bus_ids: tuple[str, ...]
    branch_ids: tuple[str, ...]
    external_grid_ids: tuple[str, ...]
    from_bus: IntArray
    """Shape (L,), positions in `bus_ids`."""
    to_bus: IntArray
    """Shape (L,), positions in `bus_ids`."""
    busbar: IntArray
    """Shape (B,): position of the first bus with which closed switches join this one; its own
    position when they join it with none before."""
    supplied: BoolArray
    """Shape (B,): whether the bus has a path to an external grid."""
    p_load_w: FloatArray
    """Shape (S, B), net load as it was solved, + = consumption; 0 where there is no supply."""
    q_load_var: FloatArray
    """Shape (S, B), + = inductive consumption; 0 where there is no supply."""
    vm_pu: FloatArray
    """Shape (S, B)."""
    va_degree: FloatArray
    """Shape (S, B)."""
    p_from_mw: FloatArray
    """Shape (S, L)."""
    p_to_mw: FloatArray
    """Shape (S, L)."""
    q_from_mvar: FloatArray
    """Shape (S, L)."""
    q_to_mvar: FloatArray
    """Shape (S, L)."""
    current_a: FloatArray
    """Shape (S, L), at the end that is loaded more."""
    loading_percent: FloatArray
    """Shape (S, L), current over what the branch may carry; NaN when that is not known."""
    p_external_mw: FloatArray
    """Shape (S, E), + = into the network."""
    losses_w: FloatArray
    """Shape (S,), of all branches and shunts."""
    converged: BoolArray
    """Shape (S,)."""


@dataclass(frozen=True, slots=True)
class GridLimits:
    """What voltages and loadings must keep to."""

    vm_min_pu: float = 0.9
    vm_max_pu: float = 1.1
    """Source: EN 50160:2010, section 4.2.2: 10 % around the nominal voltage in low voltage."""
    loading_max_percent: float = 100.0
    """Of the current that a branch may carry for long."""


class LimitKind(IntEnum):
    """Which limit is meant."""

    LOADING = 1
    """a branch carries more than it may."""
    UNDERVOLTAGE = 2
    OVERVOLTAGE = 3
    COLLAPSE = 4
    """the power flow has no solution: the grid cannot carry the load."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A limit that does not hold."""

    kind: LimitKind
    snapshot: int
    """Position in the power flow."""
    element: str
    """Id of the branch or bus; empty when a collapse has no known place."""
    value: float
    """Percent for loading, per unit for voltages; NaN for a collapse."""
    limit: float
    """In the unit of `value`."""
    severity: float
    """How far beyond: 0.2 is a loading 20 % above its limit, or a voltage that is away from 1 pu
    20 % further than its limit is; infinite for a collapse."""

    def __str__(self) -> str:
        if self.kind == LimitKind.COLLAPSE:
            at = f" near bus {self.element}" if self.element else ""
            return f"snapshot {self.snapshot}: the voltage collapses{at}"
        if self.kind == LimitKind.LOADING:
            return (
                f"snapshot {self.snapshot}: branch {self.element} is loaded {self.value:.1f} %, "
                f"above {self.limit:.1f} %"
            )
        side = "below" if self.kind == LimitKind.UNDERVOLTAGE else "above"
        return (
            f"snapshot {self.snapshot}: bus {self.element} has {self.value:.4f} pu, "
            f"{side} {self.limit:.4f} pu"
        )


class CurtailmentRule(IntEnum):
    """Whose trades give way when the grid cannot carry all."""

    PRO_RATA = 1
    """all that load the binding place, each by the same share."""
    LAST_IN_FIRST_OUT = 2
    """of those that load the binding place, the one made last, then the one before."""


@dataclass(frozen=True, slots=True)
class BusTrade:
    """A trade as the grid sees it: energy of one slot from one bus to another."""

    trade_id: str
    seller_bus: str
    buyer_bus: str
    energy_wh: int
    """>= 0."""
    made: int
    """Place in the order in which trades were made; equal ones by trade id."""


@dataclass(frozen=True, slots=True)
class DeliverableTrade:
    """How much of a trade the grid can carry."""

    trade_id: str
    delivered_wh: int
    curtailed_wh: int
    """>= 0; together with `delivered_wh` the energy traded."""
    bound_by: tuple[str, ...]
    """Ids of the branches and buses that took from it, first one first; of the seller's or buyer's
    bus when that has no supply."""


@dataclass(frozen=True, slots=True)
class Curtailment:
    """What the limits of the grid left of one slot's trades."""

    trades: tuple[DeliverableTrade, ...]
    """In the order given."""
    binding: tuple[Violation, ...]
    """What would have been violated, in the order in which it was cleared; the values are those
    before each cut."""
    pre_existing: tuple[Violation, ...]
    """What is violated without any trade, worst first; curtailment cannot mend it."""

    @property
    def curtailed_wh(self) -> int:
        """Energy of all trades together that is not delivered."""
        return sum(trade.curtailed_wh for trade in self.trades)
