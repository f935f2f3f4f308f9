"""The genesis file: what a ledger starts from, and what its first hash commits to.

The table of keys is `docs/ledger-folder.md`. The file is JSON for people; what is hashed is the
canonical encoding of the same values, so spaces and key order in the file do not matter.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from gridpact.codec import (
    Name,
    Natural,
    PositiveQuantity,
    PublicKey,
    Quantity,
    Text,
    Wire,
    encode,
    tagged_hash,
)
from gridpact.errors import InputError, Problem
from gridpact.model import CarbonRules, TieRule

APP_VERSION = 4
GENESIS_VERSION = 3


class BargainWeight(Wire, frozen=True):
    """What share of the common gain a microgrid gets, relative to others."""

    party: Name
    weight: Quantity


class BargainRules(Wire, frozen=True):
    """Rules of a market whose microgrids bargain over a window of slots instead of ordering."""

    gap_ppb: Annotated[int, Meta(ge=1, le=10**6)]
    """How far from the best a clearing may be, in 1e-9 of gross turnover."""
    price_max_micro_per_kwh: PositiveQuantity
    """Most that a bid may state as loss or as a turbine's cost; compensation rests on it."""
    end_micro_per_kwh: Quantity
    """Price of stored energy that is missing after a window."""
    weights: list[BargainWeight]
    """Who is not named has weight 1."""


class Market(Wire, frozen=True):
    """Rules of one market, fixed for the life of the chain."""

    market: Name
    slot_length_s: PositiveQuantity
    tie: TieRule
    orders_per_slot: PositiveQuantity
    """Most open orders of one sender in one slot."""
    sealed_deposit_nano: Annotated[int, Meta(ge=0, le=2**50)]
    """Held for each order, which is sealed until the gate is closed, and lost when it is not
    revealed; 0: orders are open."""
    bargain: BargainRules | None
    """Of a market of microgrids; None: members send orders to an auction."""
    carbon: CarbonRules | None
    """None: no carbon is allotted."""


class GenesisParty(Wire, frozen=True):
    """A party that is there from the start."""

    party: Name
    public_key: PublicKey
    roles: Natural
    """Sum of `Role` values."""


class Validator(Wire, frozen=True):
    """A replica that decides, with its voting weight."""

    party: Name
    weight: PositiveQuantity


class Limits(Wire, frozen=True):
    """Caps that keep one sender from filling everybody's disk."""

    envelope_bytes: PositiveQuantity
    payload_bytes: PositiveQuantity
    block_transactions: PositiveQuantity
    slots_per_phase: PositiveQuantity
    """Most slots that one phase or tariff transaction may cover."""


class FallbackRule(Wire, frozen=True):
    """When validators may move a phase although the operator is silent."""

    quorum: PositiveQuantity
    """This many validators must ask for the same."""
    delay_s: Natural
    """`not_before` of such a phase lies at least this long after the slot's end."""


class Genesis(Wire, frozen=True):
    """Everything that all replicas must agree on before the first block."""

    version: Natural
    app_version: Natural
    chain: Name
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
    network: Text
    """Reference of the network model; empty without one."""
    previous: Annotated[bytes, Meta(max_length=32)]
    """Record hash that an older chain ended with; empty for a new one."""
    markets: list[Market]
    parties: list[GenesisParty]
    validators: list[Validator]
    limits: Limits
    fallback: FallbackRule


DEFAULT_LIMITS = Limits(
    envelope_bytes=4096, payload_bytes=65536, block_transactions=10_000, slots_per_phase=4096
)


def genesis_hash(genesis: Genesis) -> bytes:
    """Name of the chain: what every signature is bound to."""
    return tagged_hash(b"gridpact/genesis/v1", encode(genesis))


def genesis_to_json(genesis: Genesis) -> bytes:
    """The genesis file, with keys named and bytes in hexadecimal."""
    return msgspec.json.format(msgspec.json.encode(_named(genesis)), indent=2) + b"\n"


def genesis_from_json(data: bytes, where: str) -> Genesis:
    """The genesis that a file describes.

    Raises:
        InputError: not JSON, a key missing, unknown or of the wrong type, a version we do not
            speak, or an id twice.
    """
    try:
        genesis = _unnamed(msgspec.json.decode(data), Genesis)
        encode(genesis)
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError([Problem(where, f"not a genesis file: {error}")]) from error
    problems = [
        Problem(where, f"version {found} is not {known}; use the matching gridpact release")
        for found, known in (
            (genesis.version, GENESIS_VERSION),
            (genesis.app_version, APP_VERSION),
        )
        if found != known
    ]
    for field, ids in (
        ("parties", [party.party for party in genesis.parties]),
        ("markets", [market.market for market in genesis.markets]),
        ("validators", [validator.party for validator in genesis.validators]),
    ):
        if len(set(ids)) != len(ids) or not ids:
            problems.append(Problem(where, f"{field}: at least one, each id once; found {ids}"))
    for market in genesis.markets:
        problems.extend(_bargain_problems(market, where))
    if problems:
        raise InputError(problems)
    return genesis


def _bargain_problems(market: Market, where: str) -> list[Problem]:
    """What does not fit together in a market of bargains."""
    if market.bargain is None:
        return []
    problems = []
    if market.sealed_deposit_nano:
        fact = f"sealed_deposit_nano is {market.sealed_deposit_nano} where microgrids bargain"
        problems.append(Problem(where, f"market {market.market}: {fact}; set it to 0"))
    if market.carbon is not None:
        fact = "carbon rules where microgrids bargain, whose plants have no meters"
        problems.append(Problem(where, f"market {market.market}: {fact}; set carbon to null"))
    named = [each.party for each in market.bargain.weights]
    if len(set(named)) != len(named):
        fact = f"weights of market {market.market}: each party once"
        problems.append(Problem(where, f"{fact}; found {named}"))
    return problems


def _named(value: object) -> object:
    """Structs as objects with field names, bytes as hexadecimal."""
    if isinstance(value, Wire):
        fields = type(value).__struct_fields__
        return {field: _named(getattr(value, field)) for field in fields}
    if isinstance(value, list):
        return [_named(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


_STRUCTS: dict[str, type[Wire]] = {
    "markets": Market,
    "bargain": BargainRules,
    "weights": BargainWeight,
    "parties": GenesisParty,
    "validators": Validator,
    "carbon": CarbonRules,
    "limits": Limits,
    "fallback": FallbackRule,
}
_BYTES = {"public_key", "previous"}


def _unnamed(value: object, struct: type[Wire]) -> Genesis:
    """The inverse of `_named` for a genesis."""
    return msgspec.convert(_fields(value, struct), Genesis)


def _fields(value: object, struct: type[Wire]) -> list[object]:
    fields = struct.__struct_fields__
    if not isinstance(value, dict) or set(value) != set(fields):
        found = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise ValueError(f"{struct.__name__} has the keys {sorted(fields)}, found {found}")
    result: list[object] = []
    for field in fields:
        item = value[field]
        if field in _BYTES:
            item = bytes.fromhex(item)
        elif field in _STRUCTS and item is not None:
            inner = _STRUCTS[field]
            item = (
                [_fields(i, inner) for i in item]
                if isinstance(item, list)
                else _fields(item, inner)
            )
        result.append(item)
    return result
