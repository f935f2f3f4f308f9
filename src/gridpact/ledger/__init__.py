"""The ledger kernel: accounts, trees, blocks, proofs. It knows nothing of electricity."""

from gridpact.ledger.state import (
    Account,
    AmountOverflowError,
    Document,
    Draft,
    Entry,
    Event,
    Leg,
    Namespace,
    Privacy,
    Secret,
    State,
    account_key,
    owner_of,
    secret_key,
    system_key,
)

__all__ = [
    "Account",
    "AmountOverflowError",
    "Document",
    "Draft",
    "Entry",
    "Event",
    "Leg",
    "Namespace",
    "Privacy",
    "Secret",
    "State",
    "account_key",
    "owner_of",
    "secret_key",
    "system_key",
]
