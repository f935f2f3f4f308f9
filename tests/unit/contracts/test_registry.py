"""Goal: parties, meters, roles and keys change at barriers only, and competing claims resolve by
what was signed, never by who came first."""

from __future__ import annotations

import msgspec
import pytest

from gridpact.codec import Wire, decode, encode
from gridpact.contracts.bodies import (
    Claim,
    GrantRole,
    Kind,
    RegisterParticipant,
    RotateKey,
    SetTariff,
)
from gridpact.contracts.keys import claim_key, metering_key, party_key
from gridpact.ledger import Account, Secret, account_key, secret_key
from gridpact.ledger.envelope import Envelope
from gridpact.model import AccountMode, Meter, Metering, Party, Phase, Role, Verdict
from gridpact.node import SimulatedKeys
from ledger_bench import (
    AUDITOR,
    MARKET,
    METERING,
    OPERATOR,
    PRICES,
    SLOT,
    TARIFF,
    UNIT,
    VALIDATORS,
    Bench,
    genesis_with,
)

SECOND = "operator-2"


@pytest.fixture
def bench() -> Bench:
    """With a second operator, who competes."""
    keys = SimulatedKeys(7)
    return Bench(genesis_with(keys, parties=[(SECOND, Role.OPERATOR)]), keys)


def barrier(bench: Bench) -> None:
    """Any phase will do."""
    start_s = SLOT + 900 * bench.application.phase
    bench.accept(bench.tariff(first_s=start_s))
    bench.move(Phase.OPEN, first_s=start_s)


# Participants


def test_a_registration_waits_as_a_claim(bench: Bench) -> None:
    transaction = bench.register("ann", AccountMode.CREDIT_LIMIT, 5 * UNIT, submitted_ms=77)
    bench.accept(transaction)
    assert bench.application.party("ann") is None
    claim = bench.value(claim_key(OPERATOR, 1), Claim)
    assert claim.kind == Kind.REGISTER_PARTICIPANT
    assert claim.submitted_ms == 77
    assert decode(RegisterParticipant, claim.body).participant == "ann"
    entry = bench.entry(claim_key(OPERATOR, 1))
    assert entry is not None
    assert entry.salt == transaction[1][:32]
    assert claim.payload == transaction[1][32:]


@pytest.mark.parametrize(
    ("mode", "limit_nano", "limit_in_force"),
    [
        (AccountMode.PREPAID, 0, 0),
        (AccountMode.PREPAID, 5, 0),
        (AccountMode.CREDIT_LIMIT, 5, 5),
        (AccountMode.CREDIT_LIMIT, 0, 0),
        (AccountMode.POSTPAID, 0, Account.NO_LIMIT),
        (AccountMode.POSTPAID, 5, Account.NO_LIMIT),
    ],
)
def test_at_the_barrier_a_member_has_account_secret_and_no_meters(
    bench: Bench, mode: AccountMode, limit_nano: int, limit_in_force: int
) -> None:
    bench.accept(bench.register("ann", mode, limit_nano))
    barrier(bench)
    assert bench.party("ann") == Party(bench.keys.pair("ann")[0], int(Role.MEMBER), 0, 1)
    assert bench.value(account_key("ann"), Account) == Account(int(mode), limit_in_force, 0, 0)
    assert bench.value(secret_key("ann"), Secret) == Secret(bench.keys.secret("ann"))
    assert bench.value(metering_key("ann"), Metering) == Metering([])
    assert bench.entry(claim_key(OPERATOR, 1)) is None
    assert bench.events[f"claim/{OPERATOR}/1"] == Verdict.ACCEPTED


@pytest.mark.parametrize("taken", ["ann", "ann.meter", OPERATOR, AUDITOR])
def test_an_id_is_registered_once(bench: Bench, taken: str) -> None:
    bench.join("ann")
    barrier(bench)
    bench.refuse(bench.register(taken), Verdict.ALREADY_REGISTERED)
    bench.refuse(bench.meter("ann", taken), Verdict.ALREADY_REGISTERED)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("first_ms", "second_ms", "winner"),
    [(5, 6, OPERATOR), (6, 5, SECOND), (5, 5, OPERATOR)],
)
def test_of_two_registrations_the_earlier_signed_one_counts(
    bench: Bench, first_ms: int, second_ms: int, winner: str, swapped: bool
) -> None:
    """Equal times: the smaller id; who was in the block first never counts."""
    transactions = [
        bench.register("ann", key_of="first", submitted_ms=first_ms),
        bench.register("ann", key_of="second", sender=SECOND, submitted_ms=second_ms),
    ]
    bench.accept(*(reversed(transactions) if swapped else transactions))
    barrier(bench)
    key_of, loser = ("first", SECOND) if winner == OPERATOR else ("second", OPERATOR)
    assert bench.party("ann").public_key == bench.keys.pair(key_of)[0]
    assert bench.events[f"claim/{winner}/1"] == Verdict.ACCEPTED
    assert bench.events[f"claim/{loser}/1"] == Verdict.ALREADY_REGISTERED


def test_of_one_senders_equal_claims_the_smaller_nonce_counts(bench: Bench) -> None:
    """By number: 9 before 10, which a comparison of texts would turn around."""
    for i in range(8):
        bench.accept(bench.register(f"m{i}"))
    bench.accept(bench.register("ann", key_of="ninth"), bench.register("ann", key_of="tenth"))
    barrier(bench)
    assert bench.party("ann").public_key == bench.keys.pair("ninth")[0]
    assert bench.events[f"claim/{OPERATOR}/10"] == Verdict.ALREADY_REGISTERED


class Odd(Wire, frozen=True):
    """A payload that no kind has."""

    secret: bytes
    mode: int
    limit_nano: int


@pytest.mark.parametrize(
    "payload",
    [
        Odd(bytes(31), 1, 0),
        Odd(bytes(32), 0, 0),
        Odd(bytes(32), 4, 0),
        Odd(bytes(32), 2, -1),
        Odd(bytes(32), 2, 2**62 + 1),
    ],
)
def test_a_registration_with_a_bad_payload_is_refused(bench: Bench, payload: Odd) -> None:
    body = RegisterParticipant("ann", bytes(32), 0)
    transaction = bench.write(OPERATOR, Kind.REGISTER_PARTICIPANT, body, payload)
    bench.refuse(transaction, Verdict.MALFORMED_PAYLOAD)


# Meters


def test_a_meter_becomes_a_party_and_is_listed_with_its_owner(bench: Bench) -> None:
    bench.join("ann")
    barrier(bench)
    bench.accept(bench.meter("ann", "ann.a-roof", reporter=METERING))
    assert bench.application.party("ann.a-roof") is None
    barrier(bench)
    meters = [Meter("ann.a-roof", METERING, 2), Meter("ann.meter", "ann.meter", 1)]
    assert bench.value(metering_key("ann"), Metering) == Metering(meters)
    roof = bench.keys.pair("ann.a-roof")[0]
    assert bench.party("ann.a-roof") == Party(roof, int(Role.METER), 0, 2)


def test_a_member_its_meter_and_its_deposit_may_come_in_any_order(bench: Bench) -> None:
    bench.accept(bench.deposit("ann", UNIT), bench.meter("ann"), bench.register("ann"))
    barrier(bench)
    assert bench.account("ann") == (UNIT, 0)
    assert [m.meter for m in bench.value(metering_key("ann"), Metering).meters] == ["ann.meter"]


def test_a_metering_operator_registers_meters_too(bench: Bench) -> None:
    bench.accept(bench.register("ann"), bench.meter("ann", sender=METERING, reporter=METERING))
    barrier(bench)
    meters = bench.value(metering_key("ann"), Metering).meters
    assert meters == [Meter("ann.meter", METERING, 1)]


@pytest.mark.parametrize(
    ("owner", "reporter", "verdict"),
    [
        ("ann", "ann.roof", Verdict.ACCEPTED),
        ("ann", METERING, Verdict.ACCEPTED),
        ("ann", "bob", Verdict.ACCEPTED),  # the role is asked for when it reports
        ("ann", "nobody", Verdict.UNKNOWN_PARTY),
        ("nobody", "ann.roof", Verdict.UNKNOWN_PARTY),
        (AUDITOR, "ann.roof", Verdict.UNKNOWN_PARTY),  # a party, but no participant
        ("ann.meter", "ann.roof", Verdict.UNKNOWN_PARTY),
    ],
)
def test_a_meter_needs_an_owner_and_a_known_reporter(
    bench: Bench, owner: str, reporter: str, verdict: Verdict
) -> None:
    bench.join("ann", "bob")
    barrier(bench)
    bench.accept(bench.meter(owner, "ann.roof", reporter=reporter))
    nonce = bench.party(OPERATOR).nonce
    barrier(bench)
    assert bench.events[f"claim/{OPERATOR}/{nonce}"] == verdict
    registered = bench.application.party("ann.roof") is not None
    assert registered == (verdict == Verdict.ACCEPTED)


@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_meters_of_one_id_the_earlier_signed_one_counts(bench: Bench, swapped: bool) -> None:
    bench.join("ann", "bob")
    transactions = [
        bench.meter("ann", "roof", submitted_ms=9),
        bench.meter("bob", "roof", sender=METERING, submitted_ms=8),
    ]
    bench.accept(*(reversed(transactions) if swapped else transactions))
    barrier(bench)
    assert bench.events[f"claim/{METERING}/1"] == Verdict.ACCEPTED
    assert bench.events[f"claim/{OPERATOR}/5"] == Verdict.ALREADY_REGISTERED
    assert [m.meter for m in bench.value(metering_key("bob"), Metering).meters] == [
        "bob.meter",
        "roof",
    ]
    assert [m.meter for m in bench.value(metering_key("ann"), Metering).meters] == ["ann.meter"]


def test_a_participant_comes_before_a_meter_of_the_same_id(bench: Bench) -> None:
    bench.accept(bench.register("bob"), bench.meter("bob", "ann", submitted_ms=1))
    bench.accept(bench.register("ann", submitted_ms=2))
    barrier(bench)
    assert bench.party("ann").roles == Role.MEMBER
    assert bench.events[f"claim/{OPERATOR}/2"] == Verdict.ALREADY_REGISTERED


# Roles


def test_a_role_is_in_force_from_the_barrier_on(bench: Bench) -> None:
    bench.accept(bench.grant(AUDITOR, Role.OPERATOR))
    bench.refuse(bench.register("ann", sender=AUDITOR), Verdict.ROLE_MISSING)
    barrier(bench)
    assert bench.party(AUDITOR).roles == Role.AUDITOR | Role.OPERATOR
    bench.accept(bench.register("ann", sender=AUDITOR))


def test_a_role_can_be_taken_and_is_lost_from_the_barrier_on(bench: Bench) -> None:
    bench.accept(bench.grant(SECOND, Role.OPERATOR, granted=0))
    bench.accept(bench.register("ann", sender=SECOND))
    barrier(bench)
    assert bench.party(SECOND).roles == 0
    bench.refuse(bench.register("bob", sender=SECOND), Verdict.ROLE_MISSING)
    assert bench.application.party("ann") is not None  # what it asked for before still counts


def test_taking_what_a_party_does_not_have_changes_nothing(bench: Bench) -> None:
    bench.accept(bench.grant(AUDITOR, Role.ISSUER, granted=0))
    barrier(bench)
    assert bench.party(AUDITOR).roles == Role.AUDITOR
    assert bench.events[f"claim/{OPERATOR}/1"] == Verdict.ACCEPTED


@pytest.mark.parametrize("swapped", [False, True])
def test_the_later_signed_word_about_a_role_counts(bench: Bench, swapped: bool) -> None:
    transactions = [
        bench.grant(AUDITOR, Role.ISSUER, submitted_ms=2),
        bench.grant(AUDITOR, Role.ISSUER, granted=0, sender=SECOND, submitted_ms=1),
    ]
    bench.accept(*(reversed(transactions) if swapped else transactions))
    barrier(bench)
    assert bench.party(AUDITOR).roles == Role.AUDITOR | Role.ISSUER


def test_a_role_for_nobody_is_refused_at_the_barrier(bench: Bench) -> None:
    bench.accept(bench.grant("nobody", Role.ISSUER))
    barrier(bench)
    assert bench.events[f"claim/{OPERATOR}/1"] == Verdict.UNKNOWN_PARTY
    assert bench.application.party("nobody") is None


def test_a_role_may_be_for_a_member_of_the_same_barrier(bench: Bench) -> None:
    bench.accept(bench.grant("ann", Role.ISSUER), bench.register("ann"))
    barrier(bench)
    assert bench.party("ann").roles == Role.MEMBER | Role.ISSUER


@pytest.mark.parametrize("role", [0, 3, 4095, 4096, 2**40, 2**63, 2**64 - 1])
def test_a_number_that_is_no_role_is_refused(bench: Bench, role: int) -> None:
    """One role of the table at a time; beyond 63 bits the party could not be read again."""
    body = GrantRole(AUDITOR, Role.ISSUER, 1, 0)
    raw, _ = bench.sign(OPERATOR, Kind.GRANT_ROLE, body, nonce=1)
    public = msgspec.msgpack.encode([AUDITOR, role, 1, 0])
    forged = msgspec.structs.replace(decode(Envelope, raw), public=public)
    assert bench.application.readable(encode(forged)) == Verdict.MALFORMED_BODY


@pytest.mark.parametrize("kind", [Kind.ORDER, Kind.WITHDRAW])
@pytest.mark.parametrize("party", [AUDITOR, "ann.meter"])
def test_a_trader_without_an_account_is_refused_and_stops_nobody(
    bench: Bench, kind: Kind, party: str
) -> None:
    """The role `member` given to a party that never was a participant."""
    bench.join("ann")
    bench.open()
    bench.accept(bench.grant(party, Role.MEMBER))
    barrier(bench)
    sent = bench.bid(party, 200_000, 1) if kind == Kind.ORDER else bench.withdraw(party, 1)
    (verdict,) = bench.told(sent)
    assert verdict != Verdict.ACCEPTED
    barrier(bench)


# Keys


def test_the_old_key_is_good_until_the_barrier_and_the_new_one_after_it(bench: Bench) -> None:
    old, new = bench.party(PRICES).public_key, bench.keys.pair("prices-2")[0]
    bench.accept(bench.rotate(PRICES, "prices-2"))
    assert bench.party(PRICES).public_key == old
    body = SetTariff(MARKET, SLOT, 1, TARIFF, 0)
    early = bench.sign(PRICES, Kind.TARIFF, body, nonce=2, key_of="prices-2")
    assert bench.decide(early).receipts[0].verdict == Verdict.BAD_SIGNATURE
    assert bench.party(PRICES).nonce == 1
    bench.accept(bench.sign(PRICES, Kind.TARIFF, body, nonce=2))
    bench.move(Phase.OPEN)
    assert bench.party(PRICES) == Party(new, int(Role.PRICE_AUTHORITY), 2, 0)
    late = bench.sign(PRICES, Kind.ROTATE_KEY, RotateKey(old, 0), nonce=3)
    assert bench.decide(late).receipts[0].verdict == Verdict.BAD_SIGNATURE
    bench.accept(bench.sign(PRICES, Kind.ROTATE_KEY, RotateKey(old, 0), nonce=3, key_of="prices-2"))


def test_the_latest_signed_of_two_new_keys_stays(bench: Bench) -> None:
    bench.accept(
        bench.rotate(AUDITOR, "later", submitted_ms=2),
        bench.rotate(AUDITOR, "sooner", submitted_ms=1),
    )
    barrier(bench)
    assert bench.party(AUDITOR).public_key == bench.keys.pair("later")[0]


def test_the_operator_may_rotate_its_own_key_with_the_phase_it_sends(bench: Bench) -> None:
    """The phase uses a nonce of the very party that its barrier changes."""
    bench.accept(bench.rotate(OPERATOR, "operator-new"), bench.tariff())
    bench.move(Phase.OPEN)
    assert bench.party(OPERATOR) == Party(
        bench.keys.pair("operator-new")[0], int(Role.OPERATOR), 2, 0
    )


def test_everybody_may_rotate(bench: Bench) -> None:
    bench.join("ann")
    barrier(bench)
    for party in ("ann", "ann.meter", AUDITOR, VALIDATORS[0]):
        bench.accept(bench.rotate(party, f"{party}-new"))
    barrier(bench)
    for party in ("ann", "ann.meter", AUDITOR, VALIDATORS[0]):
        assert bench.party(party).public_key == bench.keys.pair(f"{party}-new")[0]
    assert party_key("ann-new") not in bench.application.state.entries
