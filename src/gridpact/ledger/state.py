"""The working state: keys to values, double-entry accounts, drafts that apply whole or not at all.

Every leaf of the state map is `sha256(salt || value)`. Public values have no salt; personal ones
are salted, so that the tree can be published and a forgotten value cannot be guessed back. The
kernel knows accounts and nothing else of what the values mean.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

import msgspec

from gridpact.codec import CodecError, Hash, Int64, Natural, Wire, WireType, encode, sha256
from gridpact.errors import InvariantError
from gridpact.units import fits_int64


class Account(Wire, frozen=True):
    """Money of one party. The rule of all modes is available >= -limit."""

    NO_LIMIT: ClassVar[int] = -1
    """Limit of an account that may go below zero as far as it must."""
    DEBT_MAX: ClassVar[int] = 2**62
    """As far as orders may bring it there: the rest of the 64 bits is for settlement, which nobody
    may be able to stop by owing too much."""

    mode: Natural
    limit_nano: Int64
    """0 for prepaid, n for a credit limit, NO_LIMIT for postpaid."""
    available_nano: Int64
    """Free to use; below zero it is a receivable that the next deposit pays."""
    escrow_nano: Natural
    """Held for open orders and contracts."""

    def can_hold(self, amount_nano: int) -> bool:
        """Whether `amount_nano` may move from available to escrow."""
        limit = self.DEBT_MAX if self.limit_nano == self.NO_LIMIT else self.limit_nano
        return self.available_nano - amount_nano >= -limit


class Secret(Wire, frozen=True):
    """A member's secret, from which the salts of everything derived about it come."""

    secret: Hash


class Privacy(Enum):
    """Who may read a namespace's values."""

    PUBLIC = "public"
    """everybody; no salt."""
    OWNED = "owned"
    """the owner named by the key's second part; salted from the owner's secret."""
    SEALED = "sealed"
    """whoever has the payload it came from; the payload's salt serves."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """One kind of key, `<name>/...`, and what its values are."""

    name: str
    wire_type: type[Wire]
    privacy: Privacy
    group: Callable[[str], str] | None = None
    """Name of the set that a key is listed in, so that barriers find what they work on."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A value with its salt."""

    value: Wire
    salt: bytes
    """Empty for public values."""
    phase: int
    """Number of the phase in which it was written; an owned value written again in the same
    phase has the same salt."""

    def content(self) -> bytes:
        """What the state map holds under the key: sha256(salt || canonical value)."""
        return sha256(self.salt + encode(self.value))


class Leg(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One side of a posting set."""

    account: str
    available_nano: int
    escrow_nano: int


class Document(msgspec.Struct, frozen=True, gc=False):
    """A personal record that is not state: a bill line. Its salted hash is in a bill's tree."""

    owner: str
    series: str
    index: int
    salt: bytes
    data: bytes


class Event(msgspec.Struct, frozen=True, gc=False):
    """What became of something that waited for a barrier."""

    subject: str
    verdict: int


class AmountOverflowError(Exception):
    """A posting would leave the signed 64-bit range; the kernel turns it into a verdict."""


def account_key(party: str) -> str:
    """State key of a party's account."""
    return f"account/{party}"


def system_key(name: str) -> str:
    """State key of an account that belongs to nobody: bank, grid, fund, network.<region>."""
    return f"system/{name}"


def secret_key(party: str) -> str:
    """State key of a party's secret."""
    return f"secret/{party}"


def owner_of(key: str) -> str:
    """The party that an owned key belongs to: its second part."""
    return key.split("/", 2)[1]


class State:
    """All entries, with the groups that the namespaces ask for. Only `Draft.commit` changes it."""

    def __init__(self, namespaces: Iterable[Namespace]) -> None:
        self.namespaces = {namespace.name: namespace for namespace in namespaces}
        self.entries: dict[str, Entry] = {}
        self._groups: dict[str, dict[str, None]] = {}

    def namespace(self, key: str) -> Namespace:
        """The namespace that `key` belongs to; KeyError when there is none."""
        return self.namespaces[key.partition("/")[0]]

    def group(self, name: str) -> Iterable[str]:
        """Keys listed under `name`, in no order that means anything."""
        return self._groups.get(name, ())

    def put(self, key: str, entry: Entry) -> None:
        """Set one entry and list its key."""
        self.entries[key] = entry
        group_of = self.namespace(key).group
        if group_of is not None:
            self._groups.setdefault(group_of(key), {})[key] = None

    def delete(self, key: str) -> None:
        """Remove one entry and its listing; an absent key is left absent."""
        self.entries.pop(key, None)
        group_of = self.namespace(key).group
        if group_of is not None:
            name = group_of(key)
            members = self._groups.get(name, {})
            members.pop(key, None)
            if not members:
                self._groups.pop(name, None)


class Draft:
    """What one transaction would do. Nothing of it is in the state before `commit`.

    Handlers read and write through a draft, so a refusal at any point changes nothing.
    """

    __slots__ = ("_departed", "_listed", "documents", "events", "legs", "phase", "state", "writes")

    def __init__(self, state: State, phase: int) -> None:
        self.state = state
        self.phase = phase
        """Number of the current phase; a barrier raises it."""
        self.writes: dict[str, Entry | None] = {}
        self.legs: list[Leg] = []
        self.documents: list[Document] = []
        self.events: list[Event] = []
        self._listed: dict[str, dict[str, bool]] = {}
        self._departed: dict[str, bytes] = {}
        """Secrets that this draft removes; they still salt the postings it made before."""

    def entry(self, key: str) -> Entry | None:
        """The entry as this draft leaves it."""
        if key in self.writes:
            return self.writes[key]
        return self.state.entries.get(key)

    def get(self, key: str, wire_type: type[WireType]) -> WireType | None:
        """The value under `key`, or None.

        Raises:
            InvariantError: the value has another type; a bug in the keys.
        """
        entry = self.entry(key)
        if entry is None:
            return None
        value = entry.value
        if not isinstance(value, wire_type):
            raise InvariantError(f"{key} is a {type(value).__name__}, not a {wire_type.__name__}")
        return value

    def require(self, key: str, wire_type: type[WireType]) -> WireType:
        """The value under `key`, which must be there.

        Raises:
            InvariantError: it is not.
        """
        value = self.get(key, wire_type)
        if value is None:
            raise InvariantError(f"{key} is missing from the state")
        return value

    def group(self, name: str) -> list[str]:
        """Keys listed under `name` as this draft leaves them, sorted."""
        keys = set(self.state.group(name))
        for key, present in self._listed.get(name, {}).items():
            (keys.add if present else keys.discard)(key)
        return sorted(keys)

    def put(self, key: str, value: Wire, salt: bytes = b"") -> None:
        """Write one value; `salt` is given for sealed namespaces only.

        Raises:
            AmountOverflowError: a number of it would leave 64 bits.
            InvariantError: the salt does not fit the namespace.
        """
        namespace = self.state.namespace(key)
        privacy = namespace.privacy
        if (privacy is Privacy.SEALED) != bool(salt):
            raise InvariantError(f"{key}: salt does not fit {privacy}")
        if privacy is Privacy.OWNED:
            before = self.entry(key)
            if before is not None and before.phase == self.phase:
                salt = before.salt
            else:
                salt = self.derived_salt(owner_of(key), key)
        _check_range(value)
        self.writes[key] = Entry(value, salt, self.phase)
        if namespace.group is not None:
            self._listed.setdefault(namespace.group(key), {})[key] = True

    def delete(self, key: str) -> None:
        """Remove one entry."""
        held = self.entry(key)
        if held is not None and isinstance(held.value, Secret):
            self._departed[owner_of(key)] = held.value.secret
        self.writes[key] = None
        group_of = self.state.namespace(key).group
        if group_of is not None:
            self._listed.setdefault(group_of(key), {})[key] = False

    def derived_salt(self, owner: str, purpose: str) -> bytes:
        """HMAC-SHA256(owner's secret, purpose || phase number).

        Nobody without the secret can try values against the commitment.
        """
        return self._salted(self.require(secret_key(owner), Secret).secret, purpose)

    def _salted(self, secret: bytes, purpose: str) -> bytes:
        return hmac.digest(secret, purpose.encode() + self.phase.to_bytes(8, "big"), "sha256")

    def post(self, *legs: Leg) -> None:
        """Move money. A set that does not sum to zero cannot be posted.

        Raises:
            InvariantError: the set does not balance, or an escrow would go below zero.
            AmountOverflowError: an amount or a balance would leave 64 bits, or a balance would
                when its escrow comes back.
        """
        if sum(leg.available_nano + leg.escrow_nano for leg in legs):
            raise InvariantError(f"postings do not balance: {legs}")
        moved: dict[str, Account] = {}
        for leg in legs:
            account = moved.get(leg.account) or self.require(leg.account, Account)
            available = account.available_nano + leg.available_nano
            escrow = account.escrow_nano + leg.escrow_nano
            amounts = (leg.available_nano, leg.escrow_nano, available, escrow, available + escrow)
            if not all(map(fits_int64, amounts)):
                raise AmountOverflowError(leg.account)
            if escrow < 0:
                raise InvariantError(f"escrow of {leg.account} would be {escrow} nano")
            moved[leg.account] = Account(account.mode, account.limit_nano, available, escrow)
        for key, account in moved.items():
            self.put(key, account)
        self.legs.extend(legs)

    def append(self, owner: str, series: str, index: int, value: Wire) -> bytes:
        """Keep a personal record beside the state.

        Returns:
            Its bytes with the salt in front, for a tree that commits to it.
        """
        salt = self.derived_salt(owner, f"{series}/{index}")
        data = _check_range(value)
        self.documents.append(Document(owner, series, index, salt, data))
        return salt + data

    def postings_hash(self, purpose: bytes) -> bytes:
        """Commitment to all legs, for the receipt; empty without legs.

        Each leg is hashed with a salt of its owner, so a receipt tells nobody an amount and a
        member can show its own. `purpose` is the transaction's id.
        """
        if not self.legs:
            return b""
        commitments = []
        for leg in self.legs:
            salt = b""
            if not leg.account.startswith("system/"):
                owner, what = owner_of(leg.account), "posting/" + purpose.hex()
                secret = self._departed.get(owner)
                salt = self._salted(secret, what) if secret else self.derived_salt(owner, what)
            commitments.append(sha256(salt + msgspec.msgpack.encode(leg)))
        return sha256(b"".join(commitments))

    def commit(self) -> None:
        """Make the state what this draft says."""
        for key, entry in self.writes.items():
            if entry is None:
                self.state.delete(key)
            else:
                self.state.put(key, entry)


def _check_range(value: Wire) -> bytes:
    """The bytes of a value that is about to be kept.

    Raises:
        AmountOverflowError: a sum in it has left 64 bits.
    """
    try:
        return encode(value)
    except CodecError as error:
        raise AmountOverflowError(str(error)) from error
