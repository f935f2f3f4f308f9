"""What a transaction is told: accepted, or the first reason why not.

Reasons are tried in the order of their numbers, so a transaction with several faults always gets
the same one. The numbers are on the ledger in receipts and never change their meaning.
"""

from __future__ import annotations

from enum import IntEnum


class Verdict(IntEnum):
    """The outcome of one transaction, by documented precedence."""

    ACCEPTED = 0
    """The rules allow it; its effects are in the state."""

    # 1-19: judged from the envelope. Such a transaction uses nothing, not even its nonce. No honest
    # replica votes for it; it is in a block only when an earlier one in the same block changed its
    # sender's key.
    OVERSIZED = 1
    """Envelope or payload is above the size cap of the genesis file."""
    MALFORMED_ENVELOPE = 2
    """Not the canonical bytes of an envelope."""
    UNKNOWN_VERSION = 3
    """The envelope's version is not one this software speaks."""
    UNKNOWN_KIND = 4
    """No handler has this kind tag."""
    MALFORMED_BODY = 5
    """The public part is not canonical for its kind."""
    PAYLOAD_MISMATCH = 6
    """A payload is missing, superfluous, or does not have the hash that the envelope names."""
    UNKNOWN_SENDER = 7
    """No registered party has this id."""
    BAD_SIGNATURE = 8
    """The signature is not by the sender's current key over this chain's digest."""
    NONCE_USED = 9
    """The sender has already used this nonce: a replay."""
    NONCE_AHEAD = 10
    """A smaller nonce of the sender is still missing."""
    MEMPOOL_FULL = 11
    """Too many transactions wait, in all or from this sender; try again after the next block."""

    # 20 and above: judged by the rules. The nonce is used, nothing else changes.
    EXPIRED = 20
    """Gates of slots after the expiry slot are already closed."""
    MALFORMED_PAYLOAD = 21
    """The payload has the right hash but is not canonical for its kind."""
    ROLE_MISSING = 22
    """The sender does not hold the role that this kind asks for."""
    UNKNOWN_MARKET = 23
    UNKNOWN_SLOT = 24
    """The slot was never opened."""
    UNKNOWN_PARTY = 25
    """A party, meter or participant named in the transaction is not registered, or the sender has
    no account."""
    ALREADY_REGISTERED = 26
    PHASE_NUMBER_WRONG = 27
    """Phase numbers have no gaps: the next one is one above the last."""
    RANGE_WRONG = 28
    """The range of slots is empty, too long, not aligned to the market's slot length, or ends
    beyond 64 bits of time."""
    PHASE_STEP_WRONG = 29
    """A slot in the range is not in the phase just before the requested one."""
    TOO_EARLY = 30
    """Validators may move a phase only after the stated delay."""
    ALREADY_ENDORSED = 31
    READINGS_MISSING = 32
    """A meter that was active when the slot opened has not reported; nothing counts as zero."""
    TARIFF_MISSING = 33
    """A slot cannot open before the price authority has set its tariff."""
    TARIFF_WRONG = 34
    """Feed-in plus network fee must be below retail, and an open slot's tariff is fixed."""
    GATE_CLOSED = 35
    """Orders of this slot can no longer be sent or cancelled."""
    NOT_DELIVERED = 36
    """A reading for a slot that has not been delivered yet."""
    PRICE_OUT_OF_BAND = 37
    """Price and limit must lie between feed-in and retail of the slot."""
    LIMIT_WRONG = 38
    """A bid's limit is at least its price, an offer's at most."""
    TOO_MANY_ORDERS = 39
    """The sender's cap of open orders in this slot is reached."""
    UNKNOWN_ORDER = 40
    INSUFFICIENT_FUNDS = 41
    """The account would go below its limit."""
    METER_MISSING = 42
    """The sender has no meter that was active when the slot opened."""
    METER_FOREIGN = 43
    """The sender may not report for this meter, or the owner has no such meter."""
    VERSION_STALE = 44
    """This sender has already reported this version or a later one."""
    READING_CLOSED = 45
    """The slot is final, or its carbon is allotted: corrections are over."""
    OVERFLOW = 46
    """A balance would leave the signed 64-bit range."""
    SEALING_WRONG = 47
    """The market takes sealed orders and this one is open, or the reverse."""
    UNKNOWN_SEAL = 48
    """The sender has no sealed order of this nonce in the slot."""
    SEAL_BROKEN = 49
    """What is revealed is not what was sealed."""
    NOT_REVEALING = 50
    """Orders are revealed between gate closure and the phase `revealed`."""
    NOT_CLEARED = 51
    """Trades are curtailed between clearing and delivery."""
    UNKNOWN_TRADE = 52
    CURTAILMENT_WRONG = 53
    """More than the trade's energy, or a trade that was curtailed already."""
    ACCOUNT_IN_USE = 54
    """The account owes money, or orders, contracts or readings of it are not final, or a trace
    that names it is open."""

    MECHANISM_WRONG = 55
    """An order in a market of bargains, or a bid in one of orders."""
    WINDOW_WRONG = 56
    """The bid's lists do not have one number for each slot of its window."""
    BID_WRONG = 57
    """A number of the bid is absurd, dearer than the market allows, or fits no other."""
    NOT_CLEARING = 58
    """Clearings are proposed between gate closure and the phase `cleared`, and of bids."""
    LEFT_OUT_WRONG = 59
    """Whom a clearing leaves out did not bid, is not in order, or everybody is."""

    # 60 + n: what `market.integer.microgrids` says of a certificate with its verdict n.
    CLEARING_BIDS_WRONG = 61
    """Together the bids are too large to be checked, or all weights are zero."""
    CLEARING_SHAPE_WRONG = 62
    """Counts differ from those of the bids, or packed numbers are not canonical."""
    CLEARING_OVERFLOW = 63
    CLEARING_LIMIT_BROKEN = 64
    CLEARING_GREEN_UNBALANCED = 65
    CLEARING_POWER_UNBALANCED = 66
    CLEARING_STORAGE_WRONG = 67
    CLEARING_TRADE_UNBALANCED = 68
    CLEARING_COST_WRONG = 69
    CLEARING_GAP_TOO_WIDE = 70
    """The duals do not prove that the plan is within the market's gap of the best."""
    CLEARING_ALONE_LIMIT_BROKEN = 71
    CLEARING_ALONE_GREEN_UNBALANCED = 72
    CLEARING_ALONE_POWER_UNBALANCED = 73
    CLEARING_ALONE_STORAGE_WRONG = 74
    CLEARING_ALONE_COST_WRONG = 75
    CLEARING_ALONE_GAP_TOO_WIDE = 76
    """What a microgrid could do without trade is not proved to be its best."""
    CLEARING_SURPLUS_NEGATIVE = 77
    CLEARING_TRADE_WITHOUT_SURPLUS = 78
    CLEARING_TRANSFERS_WRONG = 79
    CLEARING_FIRST_TRANSFERS_WRONG = 80
    DEPOSIT_SHORT = 90
    """A microgrid's deposit does not cover what the clearing may cost it."""

    CARBON_UNRULED = 91
    """The genesis file has no carbon rules for this market."""
    NOT_SETTLED = 92
    """Carbon is allotted to slots that are settled and not yet final."""
    CARBON_ALLOTTED = 93
    """A slot in the range has its carbon already."""
    CARBON_MEMBERS_WRONG = 94
    """Not each member metered in these slots has sent its part of them, or somebody else has."""
    CARBON_ENERGY_WRONG = 95
    """A member's energy is not what its meters saw, or a slot's does not add up."""
    CARBON_UNBALANCED = 96
    """What is emitted and imported is not what is used, lost, stored and exported."""
    CARBON_WITHOUT_ENERGY = 97
    """Carbon where no energy is."""
    CARBON_STORE_SHORT = 98
    """A storage would give back more carbon than it holds."""

    # 100 and above: traces that are handed out.
    TRACE_TERMS_WRONG = 100
    """A name twice or reserved, the grid company as its own provider, or a deadline that has
    passed, is no slot start or does not come after the other."""
    TRACE_ROLE_MISSING = 101
    """Who is named as a provider or a substation does not hold that role."""
    PROVIDER_BLACKLISTED = 102
    """A provider named has given too many wrong results and is not back yet."""
    UNKNOWN_TRACE_JOB = 103
    """No such job is open, or it was requested after the last barrier."""
    TRACE_STATE_WRONG = 104
    """The job does not wait for this."""
    NOT_ASKED = 105
    """The job does not wait for this sender's."""
    ALREADY_SENT = 106
    """The job has this from the sender; what was sent first counts."""
    JUDGEMENT_WRONG = 107
    """Names a run that has no result, or says something a second time."""
    JUDGEMENT_SHORT = 108
    """Does not say enough to decide the next step."""
    SHARES_WRONG = 109
    """Not one share for each substation."""


FIRST_RULE_VERDICT = Verdict.EXPIRED
"""From here on a refused transaction has used its nonce."""


def uses_nonce(verdict: Verdict) -> bool:
    """Whether a transaction with this verdict has used its nonce."""
    return verdict == Verdict.ACCEPTED or verdict >= FIRST_RULE_VERDICT
