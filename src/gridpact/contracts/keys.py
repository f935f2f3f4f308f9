"""Names of everything in the state: readable paths, since a member asks for them by hand.

Ids contain no slash, so a key is never ambiguous. The second part of an owned key is its owner.
"""

from __future__ import annotations

from gridpact.contracts.bodies import Claim, Endorsement
from gridpact.ledger import Account, Namespace, Privacy, Secret
from gridpact.model import (
    Agreement,
    Bill,
    CarbonStatement,
    CarbonStore,
    Clearing,
    Clock,
    Closure,
    CreditNote,
    MemberParts,
    Metering,
    Party,
    SlotBid,
    SlotCarbon,
    SlotContracts,
    SlotOrders,
    SlotReadings,
    SlotSeals,
    SlotState,
    SlotTariff,
)
from gridpact.model.trace_jobs import ProviderStanding, TraceJob

CLOCK = "clock"
OF_A_SLOT = frozenset({"seals", "orders", "contracts", "readings", "bids", "agreements", "parts"})
"""Namespaces of what a member holds in a slot until it is final."""


def party_key(party: str) -> str:
    """Key, roles and nonce of a party."""
    return f"party/{party}"


def metering_key(owner: str) -> str:
    """A participant's meters."""
    return f"metering/{owner}"


def slot_key(market: str, start_s: int) -> str:
    """Public state of a slot."""
    return f"slot/{market}/{start_s}"


def tariff_key(market: str, start_s: int) -> str:
    """Tariff of a slot that is not open yet."""
    return f"tariff/{market}/{start_s}"


def position_key(what: str, owner: str, market: str, start_s: int) -> str:
    """A participant's orders, contracts or readings in one slot."""
    return f"{what}/{owner}/{market}/{start_s}"


def position_group(what: str, market: str, start_s: int) -> str:
    """The set of all participants' such keys of one slot."""
    return f"{what}/{market}/{start_s}"


def bill_key(owner: str, billing_day: str) -> str:
    """A participant's bill of one day."""
    return f"bill/{owner}/{billing_day}"


def credit_key(owner: str, billing_day: str) -> str:
    """What corrections changed about a participant's bill of one day."""
    return f"credit/{owner}/{billing_day}"


def slot_carbon_key(market: str, start_s: int) -> str:
    """Carbon of a slot over all members."""
    return f"slot-carbon/{market}/{start_s}"


def carbon_key(owner: str, billing_day: str) -> str:
    """A participant's carbon statement of one day."""
    return f"carbon/{owner}/{billing_day}"


def carbon_store_key(owner: str, market: str) -> str:
    """Carbon in a participant's storage."""
    return f"carbon-store/{owner}/{market}"


def closure_key(party: str) -> str:
    """What stays of a member that has left."""
    return f"closure/{party}"


def clearing_key(market: str, start_s: int) -> str:
    """The best clearing of a closed slot that was proposed so far."""
    return f"clearing/{market}/{start_s}"


def claim_key(sender: str, nonce: int) -> str:
    """Something that waits for the next barrier."""
    return f"claim/{sender}/{nonce}"


def endorsement_key(number: int) -> str:
    """Validators' requests for phase `number`."""
    return f"endorsement/{number}"


def open_job_key(grid_company: str, nonce: int) -> str:
    """A trace that is handed out, until it ends."""
    return f"tracing/{grid_company}/{nonce}"


def ended_job_key(grid_company: str, nonce: int) -> str:
    """The same from its end on; barriers no longer look at it."""
    return f"traced/{grid_company}/{nonce}"


def provider_key(provider: str) -> str:
    """Strikes and blacklist of a provider of traces; absent until its first wrong result."""
    return f"provider/{provider}"


def _without_owner(key: str) -> str:
    what, _, rest = key.split("/", 2)
    return f"{what}/{rest}"


def _all_of_kind(key: str) -> str:
    return key.partition("/")[0]


NAMESPACES = (
    Namespace(CLOCK, Clock, Privacy.PUBLIC),
    Namespace("party", Party, Privacy.PUBLIC),
    Namespace("metering", Metering, Privacy.PUBLIC, _all_of_kind),
    Namespace("system", Account, Privacy.PUBLIC, _all_of_kind),
    Namespace("slot", SlotState, Privacy.PUBLIC),
    Namespace("tariff", SlotTariff, Privacy.PUBLIC),
    Namespace("endorsement", Endorsement, Privacy.PUBLIC),
    Namespace("claim", Claim, Privacy.SEALED, _all_of_kind),
    Namespace("secret", Secret, Privacy.SEALED),
    Namespace("account", Account, Privacy.OWNED, _all_of_kind),
    Namespace("bill", Bill, Privacy.OWNED, _without_owner),
    Namespace("credit", CreditNote, Privacy.OWNED, _without_owner),
    Namespace("slot-carbon", SlotCarbon, Privacy.PUBLIC, _all_of_kind),
    Namespace("carbon", CarbonStatement, Privacy.OWNED, _without_owner),
    Namespace("parts", MemberParts, Privacy.OWNED, _without_owner),
    Namespace("carbon-store", CarbonStore, Privacy.OWNED, _all_of_kind),
    Namespace("closure", Closure, Privacy.PUBLIC),
    Namespace("seals", SlotSeals, Privacy.OWNED, _without_owner),
    Namespace("orders", SlotOrders, Privacy.OWNED, _without_owner),
    Namespace("contracts", SlotContracts, Privacy.OWNED, _without_owner),
    Namespace("readings", SlotReadings, Privacy.OWNED, _without_owner),
    Namespace("bids", SlotBid, Privacy.OWNED, _without_owner),
    Namespace("agreements", Agreement, Privacy.OWNED, _without_owner),
    Namespace("clearing", Clearing, Privacy.SEALED),
    Namespace("tracing", TraceJob, Privacy.PUBLIC, _all_of_kind),
    Namespace("traced", TraceJob, Privacy.PUBLIC),
    Namespace("provider", ProviderStanding, Privacy.PUBLIC),
)
