"""Goal: money comes in at barriers, goes out only if it is free, and never appears or vanishes."""

from __future__ import annotations

import pytest

from gridpact.codec import Wire
from gridpact.contracts.bodies import Claim, Deposit, Kind, MoneyPayload, Withdraw
from gridpact.contracts.keys import NAMESPACES, claim_key
from gridpact.contracts.money import apply_withdraw
from gridpact.ledger import Account, Draft, Secret, State, account_key, secret_key, system_key
from gridpact.model import AccountMode, Phase, Verdict
from gridpact.units import INT64_MAX, INT64_MIN
from ledger_bench import AUDITOR, OPERATOR, SLOT, UNIT, Bench

MOST = 2**62
"""Largest amount of one payment."""


@pytest.fixture
def bench() -> Bench:
    return Bench()


def barrier(bench: Bench) -> None:
    """Any phase will do."""
    start_s = SLOT + 900 * bench.application.phase
    bench.accept(bench.tariff(first_s=start_s))
    bench.move(Phase.OPEN, first_s=start_s)


class Odd(Wire, frozen=True):
    amount_nano: int
    reference: str


# Deposits


def test_a_deposit_waits_for_the_barrier(bench: Bench) -> None:
    bench.join("ann")
    barrier(bench)
    bench.accept(bench.deposit("ann", 7 * UNIT, submitted_ms=5))
    assert bench.account("ann") == (0, 0)
    assert bench.system("bank") == 0
    claim = bench.value(claim_key(OPERATOR, 4), Claim)
    assert (claim.kind, claim.submitted_ms) == (Kind.DEPOSIT, 5)
    barrier(bench)
    assert bench.account("ann") == (7 * UNIT, 0)
    assert bench.system("bank") == -7 * UNIT
    assert bench.events[f"claim/{OPERATOR}/4"] == Verdict.ACCEPTED
    assert bench.entry(claim_key(OPERATOR, 4)) is None


@pytest.mark.parametrize("participant", ["nobody", AUDITOR, "ann.meter"])
def test_a_deposit_for_somebody_without_an_account_is_refused_at_the_barrier(
    bench: Bench, participant: str
) -> None:
    bench.join("ann")
    barrier(bench)
    bench.accept(bench.deposit(participant, UNIT))
    barrier(bench)
    assert bench.events[f"claim/{OPERATOR}/4"] == Verdict.UNKNOWN_PARTY
    assert bench.system("bank") == 0


@pytest.mark.parametrize(
    "payload", [Odd(0, ""), Odd(-1, ""), Odd(MOST + 1, ""), Odd(1, "two\nlines")]
)
@pytest.mark.parametrize("kind", [Kind.DEPOSIT, Kind.WITHDRAW])
def test_an_amount_has_bounds_and_a_reference_is_printable(
    bench: Bench, kind: Kind, payload: Odd
) -> None:
    bench.join("ann")
    barrier(bench)
    sender, body = (OPERATOR, Deposit("ann", 0)) if kind == Kind.DEPOSIT else ("ann", Withdraw(0))
    bench.refuse(bench.write(sender, kind, body, payload), Verdict.MALFORMED_PAYLOAD)


def test_deposits_up_to_the_last_nano_of_64_bits_and_not_beyond(bench: Bench) -> None:
    bench.join("ann")
    bench.accept(bench.deposit("ann", MOST), bench.deposit("ann", MOST - 1))
    barrier(bench)
    assert bench.account("ann") == (INT64_MAX, 0)
    bench.accept(bench.deposit("ann", 1), bench.deposit("ann", MOST))
    barrier(bench)
    assert bench.account("ann") == (INT64_MAX, 0)
    assert bench.system("bank") == -INT64_MAX
    for nonce in (6, 7):
        assert bench.events[f"claim/{OPERATOR}/{nonce}"] == Verdict.OVERFLOW
        assert bench.entry(claim_key(OPERATOR, nonce)) is None


def test_the_bank_has_64_bits_too(bench: Bench) -> None:
    bench.join("ann", "bob", deposit_nano=MOST)
    bench.join("eve", deposit_nano=1)
    barrier(bench)
    assert bench.system("bank") == INT64_MIN
    assert (bench.account("ann"), bench.account("eve")) == ((MOST, 0), (0, 0))
    assert bench.events[f"claim/{OPERATOR}/9"] == Verdict.OVERFLOW


# Withdrawals


def test_a_withdrawal_is_held_at_once_and_paid_at_the_barrier(bench: Bench) -> None:
    bench.join("ann", deposit_nano=7 * UNIT)
    barrier(bench)
    bench.accept(bench.withdraw("ann", 5 * UNIT))
    assert bench.account("ann") == (2 * UNIT, 5 * UNIT)
    assert bench.system("bank") == -7 * UNIT
    barrier(bench)
    assert bench.account("ann") == (2 * UNIT, 0)
    assert bench.system("bank") == -2 * UNIT
    assert bench.events["claim/ann/1"] == Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("mode", "limit_nano", "most"),
    [(AccountMode.PREPAID, 0, 7 * UNIT), (AccountMode.CREDIT_LIMIT, 3 * UNIT, 7 * UNIT)],
)
def test_the_last_nano_can_be_taken_out_and_not_one_more(
    bench: Bench, mode: AccountMode, limit_nano: int, most: int
) -> None:
    bench.join("ann", deposit_nano=7 * UNIT, mode=mode, limit_nano=limit_nano)
    barrier(bench)
    bench.refuse(bench.withdraw("ann", most + 1), Verdict.INSUFFICIENT_FUNDS)
    bench.accept(bench.withdraw("ann", most))
    assert bench.account("ann") == (7 * UNIT - most, most)
    bench.refuse(bench.withdraw("ann", 1), Verdict.INSUFFICIENT_FUNDS)


def test_money_in_an_open_order_cannot_be_taken_out(bench: Bench) -> None:
    bench.join("ann", deposit_nano=UNIT)
    bench.open()
    bench.accept(bench.bid("ann", 200_000, 1_000))  # holds 0.22
    bench.refuse(bench.withdraw("ann", 780_000_001), Verdict.INSUFFICIENT_FUNDS)
    bench.accept(bench.withdraw("ann", 780_000_000))
    assert bench.account("ann") == (0, UNIT)


def test_a_deposit_of_the_same_phase_cannot_be_taken_out_yet(bench: Bench) -> None:
    bench.join("ann")
    barrier(bench)
    bench.accept(bench.deposit("ann", UNIT))
    bench.refuse(bench.withdraw("ann", UNIT), Verdict.INSUFFICIENT_FUNDS)
    barrier(bench)
    bench.accept(bench.withdraw("ann", UNIT))


@pytest.mark.parametrize("amount", [1, MOST])
def test_credit_is_for_trading_and_is_not_paid_out(bench: Bench, amount: int) -> None:
    bench.join("ann", mode=AccountMode.POSTPAID)
    bench.join("bob", mode=AccountMode.CREDIT_LIMIT, limit_nano=MOST)
    barrier(bench)
    for member in ("ann", "bob"):
        bench.refuse(bench.withdraw(member, amount), Verdict.INSUFFICIENT_FUNDS)


def test_a_withdrawal_that_cannot_be_paid_goes_back() -> None:
    """The bank's 64 bits are full: the money must not stay in escrow that nothing asks for."""
    draft = Draft(State(NAMESPACES), 1)
    draft.put(secret_key("ann"), Secret(bytes(32)), bytes(32))
    draft.put(account_key("ann"), Account(1, 0, 0, 7))
    draft.put(system_key("bank"), Account(3, Account.NO_LIMIT, INT64_MAX, 0))
    verdict = apply_withdraw(draft, "ann", Withdraw(0), MoneyPayload(7, ""), bytes(32))
    assert verdict == Verdict.OVERFLOW
    assert draft.require(account_key("ann"), Account) == Account(1, 0, 7, 0)
    assert draft.require(system_key("bank"), Account).available_nano == INT64_MAX


def test_an_account_is_salted_with_its_owners_secret(bench: Bench) -> None:
    """Two members with the same balance have different leaves."""
    bench.join("ann", "bob", deposit_nano=UNIT)
    barrier(bench)
    entries = [bench.entry(account_key(member)) for member in ("ann", "bob")]
    assert entries[0] is not None
    assert entries[1] is not None
    assert entries[0].value == entries[1].value
    assert entries[0].content() != entries[1].content()
