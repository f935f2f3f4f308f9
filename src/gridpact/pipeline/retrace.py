"""An auditor's physics: carbon on a ledger traced again from the energies that are anchored there.

The ledger proves that books balance, not that power flowed as the grid company says. With the
network and who is connected where, whose hash each allotment names, anybody who may read the
members' parts can solve the power flow and trace it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gridpact.carbon import TracingError
from gridpact.codec import decode
from gridpact.contracts.bodies import (
    AllotMemberCarbon,
    AllotSlotCarbon,
    Kind,
    MemberCarbonPayload,
)
from gridpact.contracts.keys import slot_carbon_key
from gridpact.errors import InputError, Problem
from gridpact.ledger.envelope import Envelope, open_payload
from gridpact.model import MemberCarbon, SlotCarbon, Verdict
from gridpact.node import LedgerStore
from gridpact.pipeline.lines import Lines
from gridpact.pipeline.slot_carbon import SlotTracer, connections_hash

if TYPE_CHECKING:
    from gridpact.model import Scenario

DIFFERENCE_MAX_PPB = 1
"""Of a slot's carbon: what another processor's last digits may change."""
UG_ALWAYS = 1000
"""A milligram, which rounding may move where almost nothing flows."""
PPB = 10**9


@dataclass(slots=True)
class Retraced:
    """What tracing again found."""

    slots: int = 0
    """Compared."""
    largest_ug: int = 0
    """Largest difference of one number of a slot or a member."""
    pruned: int = 0
    """Allotments whose members' parts are no longer here."""
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Allotment:
    body: AllotSlotCarbon
    parts: dict[str, list[MemberCarbon]]


def retrace(folder: Path, scenario: Scenario) -> Retraced:
    """Trace all carbon of a ledger again and compare.

    Args:
        folder: the ledger, with the payloads; it is only read.
        scenario: network, members and power factor.
    Raises:
        InputError: no ledger there, or a scenario without network or without carbon.
    """
    if scenario.network is None or scenario.carbon is None:
        message = f"{scenario.name} has no [network] or no [carbon]; give that of the ledger"
        raise InputError([Problem("--scenario", message)])
    found = Retraced()
    lines = Lines(scenario.network, scenario.members, scenario.slot_length_s)
    tracer = SlotTracer(scenario, lines.network, scenario.carbon.rules)
    store = LedgerStore.open(folder, writable=False)
    try:
        for allotment in _allotments(store, scenario, found):
            _compare(allotment, scenario, lines, tracer, found)
    finally:
        store.close()
    return found


def _allotments(store: LedgerStore, scenario: Scenario, found: Retraced) -> Iterator[_Allotment]:
    """Those in force, each with the parts that it made count."""
    state = {
        key: entry.value for key, entry in store.entries() if isinstance(entry.value, SlotCarbon)
    }
    waiting: dict[tuple[str, int], dict[str, list[MemberCarbon]]] = {}
    lost: set[tuple[str, int]] = set()
    for row in store.all_transactions():
        if row.verdict != Verdict.ACCEPTED:
            continue
        envelope = decode(Envelope, row.envelope)
        if envelope.kind == Kind.MEMBER_CARBON:
            part = decode(AllotMemberCarbon, envelope.public)
            where = part.market, part.first_start_s
            if row.sealed is None:
                lost.add(where)
                continue
            payload = open_payload(MemberCarbonPayload, row.sealed)
            waiting.setdefault(where, {})[part.participant] = payload.slots
        elif envelope.kind == Kind.SLOT_CARBON:
            body = decode(AllotSlotCarbon, envelope.public)
            where = body.market, body.first_start_s
            if body.market != scenario.market_id or not _in_force(body, scenario, state):
                continue
            if where in lost:
                found.pruned += 1
                continue
            yield _Allotment(body, waiting.pop(where, {}))


def _in_force(body: AllotSlotCarbon, scenario: Scenario, state: dict[str, SlotCarbon]) -> bool:
    return all(
        state.get(slot_carbon_key(body.market, body.first_start_s + place * scenario.slot_length_s))
        == slot
        for place, slot in enumerate(body.slots)
    )


def _compare(
    allotment: _Allotment, scenario: Scenario, lines: Lines, tracer: SlotTracer, found: Retraced
) -> None:
    body = allotment.body
    names = [member.participant_id for member in scenario.members]
    if body.connections != connections_hash(scenario) or set(names) != set(allotment.parts):
        found.violations.append(
            f"carbon from {body.first_start_s} on was traced with another network, power factor, "
            "or members connected elsewhere"
        )
        return
    for place, stated in enumerate(body.slots):
        members = [allotment.parts[name][place] for name in names]
        where = f"carbon of {body.first_start_s + place * scenario.slot_length_s}"
        flow = lines.solve([part.net_wh for part in members], [part.load_wh for part in members])
        if not flow.converged[0]:
            found.violations.append(f"{where}: the network cannot carry these energies")
            continue
        try:
            again = tracer.trace(flow, stated.import_mg_per_kwh, members)
        except TracingError as error:
            found.violations.append(f"{where}: {error}")
            continue
        found.slots += 1
        _compare_slot(where, stated, again.slot, members, again.members, names, found)


def _compare_slot(
    where: str,
    stated: SlotCarbon,
    again: SlotCarbon,
    parts: list[MemberCarbon],
    parts_again: list[MemberCarbon],
    names: list[str],
    found: Retraced,
) -> None:
    total = stated.imported_ug + stated.generated_ug + stated.discharged_ug
    allowed = UG_ALWAYS + total * DIFFERENCE_MAX_PPB // PPB
    rows = [("all members", stated, again), *zip(names, parts, parts_again, strict=True)]
    for who, one, other in rows:
        for name in type(one).__struct_fields__:
            difference = abs(getattr(one, name) - getattr(other, name))
            if name.endswith("_ug"):
                found.largest_ug = max(found.largest_ug, difference)
            if difference > (allowed if name.endswith("_ug") else 0):
                found.violations.append(
                    f"{where}: {who}: {name} is {getattr(one, name)}, traced again "
                    f"{getattr(other, name)}"
                )
