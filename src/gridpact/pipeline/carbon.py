"""Carbon in a trading day: the grid company traces what was delivered, then tells the ledger.

`slot_carbon` traces; this keeps what storages hold, and writes the transactions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon import TracingError
from gridpact.contracts.bodies import (
    AllotMemberCarbon,
    AllotSlotCarbon,
    Kind,
    MemberCarbonPayload,
)
from gridpact.contracts.keys import slot_carbon_key
from gridpact.errors import invariant
from gridpact.inputs import import_mg_per_kwh
from gridpact.model import MemberCarbon
from gridpact.pipeline.slot_carbon import SlotTracer, connections_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.model import CarbonPolicy, Profiles, Scenario
    from gridpact.model.carbon import FloatArray, Trace
    from gridpact.model.grid import Network, PowerFlow
    from gridpact.pipeline.desk import Desk, Signed
    from gridpact.pipeline.population import Delivered
    from gridpact.pipeline.slot_carbon import TracedSlot

SLOTS_PER_ALLOTMENT = 24
"""So many slots' sums fit an envelope, whatever they are."""
MG_PER_KWH_MAX = 3_000_000
"""Of what a storage gives. Self-discharge takes energy and no carbon, so a storage that rests for
long would give ever dearer energy; what is above stays in it."""
UWH_PER_WH = 10**6


@dataclass(slots=True)
class CarbonDesk:
    """Traces slots in the order of time and writes what the grid company sends of them."""

    scenario: Scenario
    profiles: Profiles
    network: Network
    desk: Desk
    policy: CarbonPolicy
    held_ug: list[int] = field(init=False)
    """Carbon in each member's storage."""
    untraced: list[str] = field(default_factory=list)
    """Slots without carbon, and why."""
    mixed: tuple[int, Trace] | None = None
    """The slot in which members differed most so far."""
    import_share: FloatArray = field(init=False)
    """Shape (members, slots), of what each used; NaN where nothing was traced."""
    storage_share: FloatArray = field(init=False)
    """Shape (members, slots)."""
    _tracer: SlotTracer = field(init=False)
    _imports: list[int] = field(init=False)
    _most: float = -1.0
    _traced: dict[int, TracedSlot] = field(default_factory=dict)
    _sent: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Look up what imports emit in each slot."""
        self.held_ug = [0] * len(self.scenario.members)
        starts = [slot.start_s for slot in self.profiles.slots]
        self._imports = import_mg_per_kwh(self.policy, starts)
        self._tracer = SlotTracer(self.scenario, self.network, self.policy.rules)
        shape = (len(self.scenario.members), len(starts))
        self.import_share = np.full(shape, np.nan, dtype=np.float32)
        self.storage_share = np.full(shape, np.nan, dtype=np.float32)

    def trace(self, index: int, flow: PowerFlow, delivered: Delivered) -> None:
        """One slot as it was delivered. Where no power flows, no carbon is traced."""
        if not flow.converged[0]:
            self._without(index, "the network cannot carry its load")
            return
        members = [self._energies(row, delivered) for row in range(len(self.scenario.members))]
        try:
            found = self._tracer.trace(flow, self._imports[index], members)
        except TracingError as error:
            self._without(index, str(error))
            return
        self._traced[index] = found
        self._keep_mix(index, found)
        for row, part in enumerate(found.members):
            self.held_ug[row] += part.charged_ug - part.discharged_ug

    def of_day(self, first: int, end: int) -> list[Signed]:
        """What the grid company sends when the readings of a day are complete."""
        sent = []
        for indices in _runs([i for i in range(first, end) if i in self._traced]):
            traced = [self._traced.pop(index) for index in indices]
            self._sent += [self.profiles.slots[index].start_s for index in indices]
            start_s = self._sent[-len(indices)]
            market = self.scenario.market_id
            for row, member in enumerate(self.scenario.members):
                body = AllotMemberCarbon(market, start_s, member.participant_id, 0)
                payload = MemberCarbonPayload([each.members[row] for each in traced])
                sent.append(self.desk.by_operator(Kind.MEMBER_CARBON, body, payload))
            slots = [each.slot for each in traced]
            sums = AllotSlotCarbon(market, start_s, slots, connections_hash(self.scenario), 0)
            sent.append(self.desk.by_operator(Kind.SLOT_CARBON, sums))
        return sent

    async def confirm(self) -> None:
        """Make sure that what was sent since the last time is on the ledger now."""
        keys = [slot_carbon_key(self.scenario.market_id, start_s) for start_s in self._sent]
        for key, value in zip(keys, await self.desk.engine.values(keys), strict=True):
            invariant(value is not None, f"{key} was refused")
        self._sent.clear()

    def _without(self, index: int, why: str) -> None:
        start_s = self.profiles.slots[index].start_s
        self.untraced.append(f"no carbon in the slot of {start_s}: {why}")

    def _energies(self, row: int, delivered: Delivered) -> MemberCarbon:
        """A member's energies, with the carbon that its storage gives back."""
        load_wh = delivered.load_wh[row]
        charged_wh, discharged_wh = delivered.charged_wh[row], delivered.discharged_wh[row]
        generated_wh = delivered.net_wh[row] + load_wh + charged_wh - discharged_wh
        invariant(min(load_wh, generated_wh) >= 0, f"row {row}: energy below 0")
        given_uwh = discharged_wh * UWH_PER_WH
        whole_uwh = given_uwh + delivered.left_uwh[row]
        share_ug = self.held_ug[row] * given_uwh // whole_uwh if whole_uwh else 0
        given_ug = min(share_ug, discharged_wh * MG_PER_KWH_MAX)
        return MemberCarbon(load_wh, generated_wh, charged_wh, discharged_wh, 0, 0, given_ug)

    def _keep_mix(self, index: int, found: TracedSlot) -> None:
        """Where what members used is from, and the trace of the slot in which they differ most."""
        mix = self._tracer.mix(found)
        self.import_share[:, index] = mix.import_share
        self.storage_share[:, index] = mix.storage_share
        used = [part.load_wh > 0 for part in found.members]
        spread = float(np.std(mix.t_per_mwh[used])) if any(used) else 0.0
        if spread > self._most:
            self.mixed, self._most = (index, found.trace), spread


def _runs(indices: Sequence[int]) -> list[list[int]]:
    """Consecutive slots, no more than fit one allotment."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and runs[-1][-1] == index - 1 and len(runs[-1]) < SLOTS_PER_ALLOTMENT:
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs
