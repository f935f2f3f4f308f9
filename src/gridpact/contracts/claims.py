"""What waits for a barrier, and the order in which it takes effect there.

Claims apply by kind, then by signed submission time, then by id. Whoever's block position was
earlier gains nothing, so transactions of different senders commute inside a phase.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gridpact.codec import CodecError, decode
from gridpact.contracts import allotting, closing, curtailing, money, registry, tariffs
from gridpact.contracts.bodies import (
    AllotMemberCarbon,
    AllotSlotCarbon,
    Claim,
    CloseAccount,
    Curtail,
    CurtailmentPayload,
    Deposit,
    GrantRole,
    Kind,
    MemberCarbonPayload,
    MoneyPayload,
    ParticipantPayload,
    RegisterMeter,
    RegisterParticipant,
    RotateKey,
    SetTariff,
    Withdraw,
)
from gridpact.contracts.call import Rules
from gridpact.contracts.genesis import Market
from gridpact.errors import InvariantError
from gridpact.ledger import AmountOverflowError, Draft, Event
from gridpact.model import Verdict

Apply = Callable[..., Verdict]

APPLIED_IN_ORDER: dict[Kind, tuple[type[Any], type[Any] | None, Apply]] = {
    Kind.CURTAILMENT: (Curtail, CurtailmentPayload, curtailing.apply_curtail),
    Kind.MEMBER_CARBON: (
        AllotMemberCarbon,
        MemberCarbonPayload,
        allotting.apply_member_carbon,
    ),
    Kind.SLOT_CARBON: (AllotSlotCarbon, None, allotting.apply_slot_carbon),
    Kind.TARIFF: (SetTariff, None, tariffs.apply_set_tariff),
    Kind.REGISTER_PARTICIPANT: (
        RegisterParticipant,
        ParticipantPayload,
        registry.apply_register_participant,
    ),
    Kind.REGISTER_METER: (RegisterMeter, None, registry.apply_register_meter),
    Kind.GRANT_ROLE: (GrantRole, None, registry.apply_grant_role),
    Kind.ROTATE_KEY: (RotateKey, None, registry.apply_rotate_key),
    Kind.WITHDRAW: (Withdraw, MoneyPayload, money.apply_withdraw),
    Kind.DEPOSIT: (Deposit, MoneyPayload, money.apply_deposit),
    Kind.CLOSE_ACCOUNT: (CloseAccount, None, closing.apply_close_account),
}


OF_A_MARKET = frozenset({Kind.TARIFF, Kind.MEMBER_CARBON, Kind.SLOT_CARBON})
"""Kinds whose effect needs the rules of their market."""


def apply_claims(draft: Draft, rules: Rules) -> None:
    """Let everything that waits take effect, each whole or not at all; events say which."""
    order = list(APPLIED_IN_ORDER)
    waiting = []
    for key in draft.group("claim"):
        claim = draft.require(key, Claim)
        _, sender, number = key.split("/")
        entry = draft.entry(key)
        salt = entry.salt if entry is not None else b""
        rank = (order.index(claim.kind), claim.submitted_ms, sender, int(number))
        waiting.append((rank, key, claim, salt))
    for (_, _, sender, nonce), key, claim, salt in sorted(waiting, key=lambda row: row[0]):
        body_type, payload_type, apply = APPLIED_IN_ORDER[claim.kind]
        try:
            body = decode(body_type, claim.body)
            payload = None if payload_type is None else decode(payload_type, claim.payload)
        except CodecError as error:
            raise InvariantError(f"claim {key} was accepted with a bad body: {error}") from error
        arguments: dict[str, Market] = {}
        if claim.kind in OF_A_MARKET:
            arguments["market"] = rules.markets[body.market]
        try:
            verdict = apply(draft, sender, body, payload, salt, **arguments)
        except AmountOverflowError:
            verdict = Verdict.OVERFLOW
        draft.delete(key)
        draft.events.append(Event(f"claim/{sender}/{nonce}", int(verdict)))
