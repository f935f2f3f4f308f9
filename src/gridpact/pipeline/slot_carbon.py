"""One delivered slot from energies and a power flow to whole micrograms.

Energies are those that meters and homes report in whole Wh; what a source emits is factor times
energy, exact; tracing says in floats in which proportions it is used, and largest remainders make
whole micrograms of them. The same energies give the same micrograms, whoever traces them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from gridpact.carbon import Tracer
from gridpact.carbon.allocation import allot
from gridpact.codec import Wire, encode, tagged_hash
from gridpact.errors import invariant
from gridpact.inputs.solved_flow_homes import HomePower, flow_with_homes
from gridpact.model import MemberCarbon, SlotCarbon

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.inputs.solved_flow_homes import HomeFlow
    from gridpact.model import CarbonRules, Scenario
    from gridpact.model.carbon import FloatArray, Trace
    from gridpact.model.grid import Network, PowerFlow

ENERGIES = ("load_wh", "generated_wh", "charged_wh", "discharged_wh")
T_PER_MWH_PER_MG_PER_KWH = 1e-6
SECONDS_PER_HOUR = 3600
MW_PER_W = 1e-6


class _Connections(Wire, frozen=True):
    """What tracing needs besides the parts on the ledger."""

    network: str
    power_factor_permille: int
    members: list[str]
    buses: list[str]


def connections_hash(scenario: Scenario) -> bytes:
    """Of the network and of who is connected where, as allotments name it."""
    network = scenario.network
    invariant(network is not None, "carbon is traced on a network")
    connections = _Connections(
        network.reference if network is not None else "",
        network.power_factor_permille if network is not None else 0,
        [member.participant_id for member in scenario.members],
        [member.bus for member in scenario.members],
    )
    return tagged_hash(b"gridpact/connections/v1", encode(connections))


class Mix(NamedTuple):
    """Where what each member used was from, shape (members,)."""

    import_share: FloatArray
    storage_share: FloatArray
    t_per_mwh: FloatArray


@dataclass(frozen=True, slots=True)
class TracedSlot:
    """A slot's carbon, and the trace that it was made of."""

    slot: SlotCarbon
    members: list[MemberCarbon]
    trace: Trace
    homes: HomeFlow
    """The flow that was traced."""


class SlotTracer:
    """Members on a network, slot after slot.

    Args:
        scenario: members, their buses, and the length of a slot.
        network: that they are connected to.
        rules: what their plants emit.
    """

    def __init__(self, scenario: Scenario, network: Network, rules: CarbonRules) -> None:
        self._members = [member.participant_id for member in scenario.members]
        self._buses = [member.bus for member in scenario.members]
        self._network, self._rules = network, rules
        self._hours = scenario.slot_length_s / SECONDS_PER_HOUR
        self._tracer: Tracer | None = None

    def trace(
        self, flow: PowerFlow, mg_per_kwh: int, members: Sequence[MemberCarbon]
    ) -> TracedSlot:
        """One slot.

        Args:
            flow: of the members' net energies, converged.
            mg_per_kwh: what external grids emit.
            members: energies, and the carbon that storages give back; the rest is not read.
        Raises:
            TracingError: power goes in a ring that no source feeds, or carbon is missing.
        """
        homes = flow_with_homes(
            self._network, flow, self._members, self._buses, self._power(members)
        )
        tracer = self._tracer = self._tracer or Tracer(homes.flow.network)
        traced = tracer.trace(homes.flow, self._t_per_mwh(homes, mg_per_kwh, members))
        sums = self._energies(homes, traced, members)
        emitted_ug = (
            mg_per_kwh * sums["imported_wh"],
            self._rules.generation_mg_per_kwh * sums["generated_wh"],
            sum(part.discharged_ug for part in members),
        )
        carbon = traced.load_t_per_h[0]
        lost = float(traced.loss_t_per_h[0].sum() + carbon[homes.shunt].sum())
        parts = allot(
            sum(emitted_ug),
            [*carbon[: homes.charging.stop], float(carbon[homes.export].sum()), lost],
            [
                *(part.load_wh for part in members),
                *(part.charged_wh for part in members),
                sums["exported_wh"],
                sums["lost_wh"],
            ],
            self._hours,
            slack_ug=mg_per_kwh,
        )
        load_ug, charged_ug = parts[homes.load], parts[homes.charging]
        exported_ug, lost_ug = parts[homes.charging.stop :]
        slot = SlotCarbon(
            import_mg_per_kwh=mg_per_kwh,
            **sums,
            imported_ug=emitted_ug[0],
            generated_ug=emitted_ug[1],
            discharged_ug=emitted_ug[2],
            load_ug=sum(load_ug),
            charged_ug=sum(charged_ug),
            lost_ug=lost_ug,
            exported_ug=exported_ug,
        )
        found = [
            msgspec.structs.replace(part, load_ug=load, charged_ug=charged)
            for part, load, charged in zip(members, load_ug, charged_ug, strict=True)
        ]
        return TracedSlot(slot, found, traced, homes)

    def mix(self, found: TracedSlot) -> Mix:
        """Shares of each member's use, by sweeps with an intensity of 1 for one kind of source."""
        homes = found.homes
        tracer = self._tracer = self._tracer or Tracer(homes.flow.network)
        at_homes = homes.flow.network.load_bus[homes.load]
        shares = []
        for sources in (homes.grids, homes.discharging):
            ones = np.zeros((1, len(homes.flow.network.source_ids)))
            ones[0, sources] = 1.0
            shares.append(tracer.bus_intensity(homes.flow, ones)[0, at_homes])
        return Mix(shares[0], shares[1], found.trace.bus_t_per_mwh[0, at_homes])

    def _power(self, members: Sequence[MemberCarbon]) -> HomePower:
        mw_per_wh = MW_PER_W / self._hours
        return HomePower(
            *(
                np.array([getattr(part, name) for part in members], dtype=np.float64) * mw_per_wh
                for name in ENERGIES
            )
        )

    def _t_per_mwh(
        self, homes: HomeFlow, mg_per_kwh: int, members: Sequence[MemberCarbon]
    ) -> FloatArray:
        emitted = np.zeros(len(homes.flow.network.source_ids))
        emitted[homes.grids] = mg_per_kwh
        emitted[homes.generation] = self._rules.generation_mg_per_kwh
        emitted[homes.discharging] = [
            part.discharged_ug / part.discharged_wh if part.discharged_wh else 0.0
            for part in members
        ]
        return emitted * T_PER_MWH_PER_MG_PER_KWH

    def _energies(
        self, homes: HomeFlow, traced: Trace, members: Sequence[MemberCarbon]
    ) -> dict[str, int]:
        """Whole Wh that balance: losses and exports are rounded, imports are the rest."""
        sums = {name: sum(getattr(part, name) for part in members) for name in ENERGIES}
        wh_per_mw = self._hours / MW_PER_W
        flow = traced.flow
        lost_mw = flow.p_from_mw.sum() + flow.p_to_mw.sum() + flow.p_load_mw[0, homes.shunt].sum()
        lost_wh = round(float(lost_mw) * wh_per_mw)
        exported_wh = round(float(flow.p_load_mw[0, homes.export].sum()) * wh_per_mw)
        drawn_wh = sums["load_wh"] + sums["charged_wh"] + lost_wh
        missing_wh = drawn_wh - sums["generated_wh"] - sums["discharged_wh"]
        exported_wh = max(exported_wh, -missing_wh)
        return sums | {
            "lost_wh": lost_wh,
            "exported_wh": exported_wh,
            "imported_wh": missing_wh + exported_wh,
        }
