"""Trades that the grid cannot carry: named after clearing, settled as undeliverable.

Which trades those are comes from a power flow, in floats and outside the ledger. Replicas take the
integers and check what can be checked exactly: the trades are there, nothing is curtailed twice,
nothing beyond what was traded, both sides lose the same.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from gridpact.contracts.bodies import Curtail, CurtailedTrade, CurtailmentPayload
from gridpact.contracts.call import Call
from gridpact.contracts.keys import position_group, slot_key
from gridpact.ledger import Draft
from gridpact.model import Contract, Phase, SlotContracts, SlotState, Verdict


class _Copy(NamedTuple):
    """Where one side's copy of a trade lies."""

    key: str
    place: int
    contract: Contract


def curtail(call: Call, body: Curtail, payload: CurtailmentPayload) -> Verdict:
    """Asks to curtail trades of a cleared slot. Refusals: as of `apply_curtail`."""
    verdict = _judge(call.draft, body, payload, _copies(call.draft, body))
    return call.wait(body.submitted_ms) if verdict == Verdict.ACCEPTED else verdict


def apply_curtail(
    draft: Draft, sender: str, body: Curtail, payload: CurtailmentPayload, salt: bytes
) -> Verdict:
    """Notes on both sides' contracts what is not delivered, and where the limit is.

    What the contracts hold in escrow stays until settlement.

    Refusals: UNKNOWN_SLOT, NOT_CLEARED, UNKNOWN_TRADE, CURTAILMENT_WRONG.
    """
    copies = _copies(draft, body)
    verdict = _judge(draft, body, payload, copies)
    if verdict != Verdict.ACCEPTED:
        return verdict
    for cut in payload.trades:
        for copy in copies[cut.trade]:
            held = draft.require(copy.key, SlotContracts)
            contracts = list(held.contracts)
            contracts[copy.place] = msgspec.structs.replace(
                copy.contract, curtailed_wh=cut.curtailed_wh, bound_by=cut.bound_by
            )
            draft.put(copy.key, SlotContracts(held.escrow_nano, contracts))
    key = slot_key(body.market, body.slot_start_s)
    slot = draft.require(key, SlotState)
    total = slot.curtailed_wh + sum(cut.curtailed_wh for cut in payload.trades)
    draft.put(key, msgspec.structs.replace(slot, curtailed_wh=total))
    return Verdict.ACCEPTED


def _copies(draft: Draft, body: Curtail) -> dict[int, list[_Copy]]:
    """Both sides' contracts of a slot, by trade."""
    copies: dict[int, list[_Copy]] = {}
    for key in draft.group(position_group("contracts", body.market, body.slot_start_s)):
        for place, contract in enumerate(draft.require(key, SlotContracts).contracts):
            copies.setdefault(contract.trade, []).append(_Copy(key, place, contract))
    return copies


def _judge(
    draft: Draft, body: Curtail, payload: CurtailmentPayload, copies: dict[int, list[_Copy]]
) -> Verdict:
    slot = draft.get(slot_key(body.market, body.slot_start_s), SlotState)
    if slot is None:
        return Verdict.UNKNOWN_SLOT
    if slot.phase != Phase.CLEARED:
        return Verdict.NOT_CLEARED
    if any(cut.trade not in copies for cut in payload.trades):
        return Verdict.UNKNOWN_TRADE
    once = len({cut.trade for cut in payload.trades}) == len(payload.trades)
    if not once or not all(_fits(cut, copies[cut.trade][0].contract) for cut in payload.trades):
        return Verdict.CURTAILMENT_WRONG
    return Verdict.ACCEPTED


def _fits(cut: CurtailedTrade, contract: Contract) -> bool:
    return contract.curtailed_wh == 0 and cut.curtailed_wh <= contract.energy_wh
