"""Goal: every kind is open to the roles of the table in the documentation, and to nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bargain_bench import bids_of
from carbon_bench import ANN, SLOTS
from gridpact.codec import decode
from gridpact.contracts.bodies import CloseAccount, Kind, OrderPayload, PlaceOrder
from gridpact.contracts.kinds import KINDS
from gridpact.ledger.envelope import Envelope
from gridpact.model import Certificate, Phase, Role, Side, Verdict
from gridpact.node import SimulatedKeys
from ledger_bench import MARKET, METERING, SLOT, Bench, Signed, genesis_with
from trace_rows import TRACE_BODIES

OPEN_TO: dict[Kind, set[Role]] = {
    Kind.REGISTER_PARTICIPANT: {Role.OPERATOR},
    Kind.REGISTER_METER: {Role.OPERATOR, Role.METERING_OPERATOR},
    Kind.GRANT_ROLE: {Role.OPERATOR},
    Kind.ROTATE_KEY: set(Role),
    Kind.DEPOSIT: {Role.OPERATOR},
    Kind.WITHDRAW: {Role.MEMBER},
    Kind.TARIFF: {Role.PRICE_AUTHORITY},
    Kind.ORDER: {Role.MEMBER},
    Kind.CANCEL: {Role.MEMBER},
    Kind.PHASE: {Role.OPERATOR, Role.VALIDATOR},
    Kind.CLOSE_ACCOUNT: {Role.OPERATOR},
    Kind.SEALED_ORDER: {Role.MEMBER},
    Kind.REVEAL: {Role.MEMBER},
    Kind.CURTAILMENT: {Role.OPERATOR, Role.GRID_COMPANY},
    Kind.BID: {Role.MEMBER},
    Kind.CLEARING: {Role.OPERATOR, Role.VALIDATOR},
    Kind.READING: {Role.METER, Role.METERING_OPERATOR},
    Kind.READING_BATCH: {Role.METER, Role.METERING_OPERATOR},
    Kind.MEMBER_CARBON: {Role.OPERATOR, Role.GRID_COMPANY},
    Kind.SLOT_CARBON: {Role.OPERATOR, Role.GRID_COMPANY},
    Kind.TRACE_REQUEST: {Role.GRID_COMPANY},
    Kind.TRACE_PACKAGE: {Role.SUBSTATION},
    Kind.TRACE_RESULT: {Role.CLOUD_PROVIDER, Role.GRID_COMPANY},
    Kind.TRACE_JUDGEMENT: {Role.GRID_COMPANY},
    Kind.TRACE_RATES: {Role.GRID_COMPANY},
}
"""As in docs/transactions.md."""
ORDER = OrderPayload(Side.BID, 200_000, 1, 200_000, 0)
MICROGRID = bids_of()["ann"]
CERTIFICATE = Certificate(b"", b"", b"", b"", b"", [], [], [], [])
WRITERS: dict[Kind, Callable[[Bench, str], Signed]] = {
    Kind.REGISTER_PARTICIPANT: lambda bench, sender: bench.register(f"of-{sender}", sender=sender),
    Kind.REGISTER_METER: lambda bench, sender: bench.meter("ann", f"m-{sender}", sender=sender),
    Kind.GRANT_ROLE: lambda bench, sender: bench.grant("ann", Role.ISSUER, sender=sender),
    Kind.ROTATE_KEY: lambda bench, sender: bench.rotate(sender, "another"),
    Kind.DEPOSIT: lambda bench, sender: bench.deposit("ann", 1, sender=sender),
    Kind.WITHDRAW: lambda bench, sender: bench.withdraw(sender, 1),
    Kind.TARIFF: lambda bench, sender: bench.tariff(first_s=SLOT + 9_000, sender=sender),
    Kind.ORDER: lambda bench, sender: bench.bid(sender, 200_000, 1),
    Kind.CANCEL: lambda bench, sender: bench.cancel(sender, 1),
    Kind.PHASE: lambda bench, sender: bench.phase(Phase.CLEARED, sender=sender),
    Kind.CLOSE_ACCOUNT: lambda bench, sender: bench.write(
        sender, Kind.CLOSE_ACCOUNT, CloseAccount("ann", 0)
    ),
    Kind.SEALED_ORDER: lambda bench, sender: bench.seal(sender, ORDER),
    Kind.REVEAL: lambda bench, sender: bench.reveal(sender, 1, ORDER),
    Kind.CURTAILMENT: lambda bench, sender: bench.curtailment((0, 1, "line-7"), sender=sender),
    Kind.BID: lambda bench, sender: bench.microgrid(sender, MICROGRID),
    Kind.CLEARING: lambda bench, sender: bench.clearing(CERTIFICATE, sender=sender),
    Kind.READING: lambda bench, sender: bench.reading("ann", sender=sender),
    Kind.READING_BATCH: lambda bench, sender: bench.batch("ann", [1], sender=sender),
    Kind.MEMBER_CARBON: lambda bench, sender: bench.member_carbon("ann", *ANN, sender=sender),
    Kind.SLOT_CARBON: lambda bench, sender: bench.slot_carbon(*SLOTS, sender=sender),
    **{
        kind: lambda bench, sender, kind=kind, body=body: bench.write(sender, kind, body)
        for kind, body in TRACE_BODIES.items()
    },
}


def one_party_per_role() -> Bench:
    """`has-<role>` holds that role alone; the member is a participant with account and meter."""
    keys = SimulatedKeys(7)
    parties = [(name_of(role), role) for role in Role if role != Role.MEMBER]
    bench = Bench(genesis_with(keys, parties=parties), keys)
    bench.join("ann", name_of(Role.MEMBER))
    bench.open()
    return bench


def name_of(role: Role) -> str:
    return "has-" + str(role.name).lower().replace("_", "-")


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_is_open_to_its_roles_and_to_no_other(kind: Kind) -> None:
    bench = one_party_per_role()
    for role in Role:
        transaction = WRITERS[kind](bench, name_of(role))
        if role in OPEN_TO[kind]:
            assert bench.told(transaction) != [Verdict.ROLE_MISSING]
        else:
            bench.refuse(transaction, Verdict.ROLE_MISSING)


@pytest.mark.parametrize("kind", Kind)
def test_one_of_several_roles_is_enough(kind: Kind) -> None:
    bench = one_party_per_role()
    sender = name_of(Role.MEMBER)
    for role in Role:
        bench.accept(bench.grant(sender, role))
    bench.open(first_s=SLOT + 900)
    assert bench.told(WRITERS[kind](bench, sender)) != [Verdict.ROLE_MISSING]


@pytest.mark.parametrize("kind", Kind)
def test_whatever_has_expired_uses_its_nonce_and_nothing_else(kind: Kind) -> None:
    """Sent by somebody who may, and judged before anything else that the rules ask."""
    bench = one_party_per_role()
    bench.move(Phase.CLOSED)
    sender = name_of(min(OPEN_TO[kind]))
    raw, sealed = WRITERS[kind](bench, sender)
    envelope = decode(Envelope, raw)
    rule = KINDS[kind]
    late = bench.sign(
        sender,
        kind,
        decode(rule.body, envelope.public),
        None if rule.payload is None else decode(rule.payload, sealed[32:]),
        nonce=envelope.nonce,
        expiry_s=SLOT - 1,
    )
    bench.refuse(late, Verdict.EXPIRED)


def test_a_party_without_any_role_may_do_nothing_at_all() -> None:
    bench = one_party_per_role()
    bench.accept(bench.grant(METERING, Role.METERING_OPERATOR, granted=0))
    bench.open(first_s=SLOT + 900)
    assert bench.party(METERING).roles == 0
    for kind in Kind:
        bench.refuse(WRITERS[kind](bench, METERING), Verdict.ROLE_MISSING)


def test_a_malformed_payload_is_told_before_a_missing_role() -> None:
    """A refusal by bytes says nothing about roles, and its number is smaller."""
    bench = one_party_per_role()
    body = PlaceOrder(MARKET, SLOT)
    transaction = bench.write("auditor", Kind.ORDER, body, PlaceOrder(MARKET, SLOT))
    bench.refuse(transaction, Verdict.MALFORMED_PAYLOAD)


def test_the_table_of_kinds_asks_for_no_other_roles() -> None:
    assert set(KINDS) == set(Kind) == set(OPEN_TO)
    for kind, rule in KINDS.items():
        asked = {role for role in Role if role & rule.roles} or set(Role)
        assert asked == OPEN_TO[Kind(kind)]
