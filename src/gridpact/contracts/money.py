"""Money in and out: the operator attests what reached the bank, a member takes out what is free."""

from __future__ import annotations

from gridpact.contracts.bodies import Deposit, MoneyPayload, Withdraw
from gridpact.contracts.call import Call
from gridpact.ledger import Account, AmountOverflowError, Draft, Leg, account_key, system_key
from gridpact.model import Verdict

BANK = system_key("bank")


def deposit(call: Call, body: Deposit, _: MoneyPayload) -> Verdict:
    """Asks to credit a participant. Refusals: none before the barrier."""
    return call.wait(body.submitted_ms)


def apply_deposit(
    draft: Draft, sender: str, body: Deposit, payload: MoneyPayload, salt: bytes
) -> Verdict:
    """Credits the participant against the bank. Refusals: UNKNOWN_PARTY."""
    account = account_key(body.participant)
    if draft.get(account, Account) is None:
        return Verdict.UNKNOWN_PARTY
    amount = payload.amount_nano
    draft.post(Leg(BANK, -amount, 0), Leg(account, amount, 0))
    return Verdict.ACCEPTED


def withdraw(call: Call, body: Withdraw, payload: MoneyPayload) -> Verdict:
    """Holds the amount at once. Credit serves for trading only: what is paid out must be there.

    Refusals: UNKNOWN_PARTY, INSUFFICIENT_FUNDS.
    """
    key = account_key(call.sender)
    account = call.draft.get(key, Account)
    if account is None:
        return Verdict.UNKNOWN_PARTY
    amount = payload.amount_nano
    if account.available_nano < amount:
        return Verdict.INSUFFICIENT_FUNDS
    call.draft.post(Leg(key, -amount, amount))
    return call.wait(body.submitted_ms)


def apply_withdraw(
    draft: Draft, sender: str, body: Withdraw, payload: MoneyPayload, salt: bytes
) -> Verdict:
    """Pays what was held, or gives it back. Refusals: OVERFLOW of the bank's balance."""
    account, amount = account_key(sender), payload.amount_nano
    try:
        draft.post(Leg(account, 0, -amount), Leg(BANK, amount, 0))
    except AmountOverflowError:
        draft.post(Leg(account, amount, -amount))
        return Verdict.OVERFLOW
    return Verdict.ACCEPTED
