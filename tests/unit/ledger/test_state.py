"""Goal: a draft applies whole or not at all, money only moves, and salts hide what is personal.

Method: a kernel with made-up namespaces, since it knows nothing of what values mean; salts and
commitments are computed again with the standard library.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

import msgspec
import pytest

from gridpact.codec import Natural, Wire, encode
from gridpact.errors import InvariantError
from gridpact.ledger import (
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
from gridpact.units import INT64_MAX, INT64_MIN

NO_LIMIT = Account.NO_LIMIT


class Note(Wire, frozen=True):
    number: Natural


def by_kind(key: str) -> str:
    return key.partition("/")[0]


def by_shelf(key: str) -> str:
    """Notes `note/<owner>/<shelf>` are listed by shelf."""
    return "note/" + key.split("/")[2]


NAMESPACES = (
    Namespace("secret", Secret, Privacy.SEALED),
    Namespace("account", Account, Privacy.OWNED, by_kind),
    Namespace("system", Account, Privacy.PUBLIC, by_kind),
    Namespace("note", Note, Privacy.OWNED, by_shelf),
    Namespace("board", Note, Privacy.PUBLIC),
    Namespace("letter", Note, Privacy.SEALED, by_kind),
)
ANN, BOB, BANK = account_key("ann"), account_key("bob"), system_key("bank")
SECRETS = {"ann": b"\x01" * 32, "bob": b"\x02" * 32}
SALT = b"s" * 32


def kernel(
    *, ann: Account | None = None, bob: Account | None = None, secrets: dict[str, bytes] = SECRETS
) -> State:
    """Ann and Bob with their accounts and secrets, and a bank; everything written in phase 1."""
    state = State(NAMESPACES)
    draft = Draft(state, 1)
    for owner, secret in secrets.items():
        draft.put(secret_key(owner), Secret(secret), SALT)
    draft.put(ANN, ann or Account(1, 0, 0, 0))
    draft.put(BOB, bob or Account(1, 0, 0, 0))
    draft.put(BANK, Account(3, NO_LIMIT, 0, 0))
    draft.commit()
    return state


def balance(source: Draft | State, key: str) -> tuple[int, int]:
    """(available, escrow) of an account."""
    entry = source.entry(key) if isinstance(source, Draft) else source.entries[key]
    assert entry is not None
    assert isinstance(entry.value, Account)
    return entry.value.available_nano, entry.value.escrow_nano


# Drafts


def test_nothing_is_in_the_state_before_commit() -> None:
    state = kernel()
    before = dict(state.entries)
    draft = Draft(state, 2)
    draft.put("board/a", Note(1))
    draft.put("note/ann/x", Note(2))
    draft.delete(BOB)
    draft.post(Leg(BANK, -5, 0), Leg(ANN, 5, 0))
    draft.append("ann", "diary", 0, Note(3))
    assert state.entries == before
    assert list(state.group("note/x")) == []
    assert set(state.group("account")) == {ANN, BOB}
    draft.commit()
    assert state.entries.keys() ^ before.keys() == {"board/a", "note/ann/x", BOB}
    assert balance(state, ANN) == (5, 0)
    assert set(state.group("account")) == {ANN}


def test_a_draft_reads_what_it_wrote() -> None:
    state = kernel()
    draft = Draft(state, 2)
    assert draft.get("board/a", Note) is None
    draft.put("board/a", Note(1))
    assert draft.get("board/a", Note) == Note(1)
    draft.put("board/a", Note(2))
    assert draft.require("board/a", Note) == Note(2)
    draft.delete("board/a")
    assert draft.get("board/a", Note) is None
    assert draft.entry("board/a") is None
    assert draft.writes == {"board/a": None}
    draft.commit()
    assert "board/a" not in state.entries


@pytest.mark.parametrize("kind", [Account, Secret, Entry, Leg, Document, Event])
def test_what_the_kernel_keeps_cannot_be_changed_in_place(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen


def test_a_draft_that_is_dropped_leaves_nothing() -> None:
    state = kernel()
    before = dict(state.entries)
    Draft(state, 2).put("board/a", Note(1))
    assert Draft(state, 2).get("board/a", Note) is None
    assert state.entries == before


def test_keys_that_are_wrong_are_our_bug() -> None:
    draft = Draft(kernel(), 2)
    with pytest.raises(InvariantError, match="board/a is missing"):
        draft.require("board/a", Note)
    with pytest.raises(InvariantError, match="system/bank is a Account, not a Note"):
        draft.get(BANK, Note)
    with pytest.raises(KeyError):
        draft.put("nowhere/a", Note(1))
    assert owner_of("note/ann/x/y") == "ann"
    assert draft.writes == {}


# Groups


def test_groups_are_the_states_with_the_drafts_changes_sorted() -> None:
    state = kernel()
    draft = Draft(state, 2)
    for owner in ("bob", "ann"):
        draft.put(f"note/{owner}/x", Note(1))
    draft.put("note/ann/y", Note(1))
    assert draft.group("note/x") == ["note/ann/x", "note/bob/x"]
    assert draft.group("note/y") == ["note/ann/y"]
    draft.commit()
    later = Draft(state, 2)
    later.delete("note/ann/x")
    later.put("note/bob/x", Note(2))
    assert later.group("note/x") == ["note/bob/x"]
    assert Draft(state, 2).group("note/x") == ["note/ann/x", "note/bob/x"]
    later.put("note/ann/x", Note(3))
    assert later.group("note/x") == ["note/ann/x", "note/bob/x"]
    assert later.group("nothing") == []


def test_groups_lose_what_is_deleted() -> None:
    state = kernel()
    draft = Draft(state, 2)
    draft.put("note/ann/x", Note(1))
    draft.commit()
    assert list(state.group("note/x")) == ["note/ann/x"]
    later = Draft(state, 3)
    later.delete("note/ann/x")
    later.delete("note/bob/x")  # was never there
    later.commit()
    assert list(state.group("note/x")) == []
    assert "note/ann/x" not in state.entries
    assert "note/x" not in state._groups  # slots come and go; their lists must not stay


def test_a_namespace_without_groups_lists_nothing() -> None:
    state = kernel()
    draft = Draft(state, 2)
    draft.put("board/a", Note(1))
    draft.commit()
    assert draft.group("board") == []
    state.delete("board/a")
    assert "board/a" not in state.entries


def test_entries_put_back_are_listed_as_before() -> None:
    """What a restart does: every entry again, in another order."""
    state = kernel()
    draft = Draft(state, 2)
    draft.put("note/ann/x", Note(1))
    draft.commit()
    again = State(NAMESPACES)
    for key in sorted(state.entries, reverse=True):
        again.put(key, state.entries[key])
    for name in ("account", "system", "note/x", "letter"):
        assert sorted(again.group(name)) == sorted(state.group(name))


# Money


@pytest.mark.parametrize(
    ("limit", "available", "amount", "allowed"),
    [
        (0, 100, 100, True),  # prepaid: to zero
        (0, 100, 101, False),
        (0, -1, 0, False),  # in debt after a settlement, nothing more is held
        (50, 100, 150, True),  # credit limit: to -50
        (50, 100, 151, False),
        (50, -50, 0, True),
        (NO_LIMIT, 0, 2**62, True),  # postpaid
        (NO_LIMIT, 0, 2**62 + 1, False),  # the rest of 64 bits is for settlement
        (NO_LIMIT, -(2**62), 1, False),
    ],
)
def test_one_rule_for_all_modes(limit: int, available: int, amount: int, allowed: bool) -> None:
    assert Account(1, limit, available, 7).can_hold(amount) is allowed


def test_postings_move_money() -> None:
    state = kernel(ann=Account(1, 0, 100, 10))
    draft = Draft(state, 2)
    draft.post(Leg(ANN, -30, 20), Leg(BOB, 4, 0), Leg(BANK, 6, 0))
    assert balance(draft, ANN) == (70, 30)
    assert balance(draft, BOB) == (4, 0)
    assert balance(draft, BANK) == (6, 0)
    draft.post(Leg(ANN, 5, -5))
    assert balance(draft, ANN) == (75, 25)
    assert draft.legs == [
        Leg(ANN, -30, 20),
        Leg(BOB, 4, 0),
        Leg(BANK, 6, 0),
        Leg(ANN, 5, -5),
    ]


def test_two_legs_of_one_account_add_up() -> None:
    draft = Draft(kernel(), 2)
    draft.post(Leg(ANN, 7, 0), Leg(ANN, -3, 3), Leg(BANK, -7, 0))
    assert balance(draft, ANN) == (4, 3)


def test_a_posting_keeps_mode_and_limit() -> None:
    draft = Draft(kernel(ann=Account(2, 50, 0, 0)), 2)
    draft.post(Leg(ANN, -50, 50))
    assert draft.require(ANN, Account) == Account(2, 50, -50, 50)


@pytest.mark.parametrize(
    "legs",
    [
        [Leg(ANN, 1, 0)],
        [Leg(ANN, 1, 0), Leg(BANK, -2, 0)],
        [Leg(ANN, 0, 1), Leg(BANK, 0, 0)],
        [Leg(ANN, -1, 0), Leg(BANK, 0, 0)],
    ],
)
def test_a_set_that_does_not_balance_cannot_be_posted(legs: list[Leg]) -> None:
    draft = Draft(kernel(ann=Account(1, 0, 100, 100)), 2)
    with pytest.raises(InvariantError, match="do not balance"):
        draft.post(*legs)
    assert (draft.writes, draft.legs) == ({}, [])


@pytest.mark.parametrize(
    ("before", "leg"),
    [
        (Account(3, NO_LIMIT, INT64_MAX, 0), Leg(ANN, 1, 0)),
        (Account(3, NO_LIMIT, INT64_MIN, 1), Leg(ANN, -1, 1)),
        (Account(3, NO_LIMIT, 0, INT64_MAX), Leg(ANN, -1, 1)),
    ],
)
def test_an_amount_beyond_64_bits_moves_nothing(before: Account, leg: Leg) -> None:
    """The overflowing leg comes last, when the others have been looked at already."""
    draft = Draft(kernel(ann=before), 2)
    rest = -(leg.available_nano + leg.escrow_nano)
    with pytest.raises(AmountOverflowError):
        draft.post(Leg(BOB, 3, 0), Leg(BANK, rest - 3, 0), leg)
    assert (draft.writes, draft.legs) == ({}, [])


@pytest.mark.parametrize(
    ("before", "leg", "after"),
    [
        (Account(3, NO_LIMIT, INT64_MAX - 1, 0), Leg(ANN, 1, 0), (INT64_MAX, 0)),
        (Account(3, NO_LIMIT, INT64_MIN + 1, 0), Leg(ANN, -1, 1), (INT64_MIN, 1)),
        (Account(3, NO_LIMIT, 0, INT64_MAX - 1), Leg(ANN, -1, 1), (-1, INT64_MAX)),
    ],
)
def test_amounts_may_reach_the_last_value_of_64_bits(
    before: Account, leg: Leg, after: tuple[int, int]
) -> None:
    draft = Draft(kernel(ann=before), 2)
    draft.post(leg, Leg(BANK, -(leg.available_nano + leg.escrow_nano), 0))
    assert balance(draft, ANN) == after


def test_escrow_never_goes_below_zero() -> None:
    draft = Draft(kernel(ann=Account(1, 0, 0, 5)), 2)
    with pytest.raises(InvariantError, match="escrow of account/ann would be -1"):
        draft.post(Leg(ANN, 6, -6))
    assert (draft.writes, draft.legs) == ({}, [])
    draft.post(Leg(ANN, 5, -5))
    assert balance(draft, ANN) == (5, 0)


def test_money_needs_an_account() -> None:
    draft = Draft(kernel(), 2)
    with pytest.raises(InvariantError, match="account/eve is missing"):
        draft.post(Leg(BANK, -1, 0), Leg(account_key("eve"), 1, 0))
    assert (draft.writes, draft.legs) == ({}, [])


# Salts


def owned_salt(owner: str, purpose: str, phase: int) -> bytes:
    message = purpose.encode() + phase.to_bytes(8, "big")
    return hmac.new(SECRETS[owner], message, sha256).digest()


def test_a_personal_value_is_salted_from_the_owners_secret_the_key_and_the_phase() -> None:
    state = kernel()
    draft = Draft(state, 7)
    draft.put("note/ann/x", Note(1))
    draft.put("note/ann/y", Note(1))
    draft.put("note/bob/x", Note(1))
    draft.commit()
    entries = {key: state.entries[key] for key in ("note/ann/x", "note/ann/y", "note/bob/x")}
    for key, entry in entries.items():
        assert entry == Entry(Note(1), owned_salt(owner_of(key), key, 7), 7)
        assert entry.content() == sha256(entry.salt + encode(Note(1))).digest()
    assert len({entry.content() for entry in entries.values()}) == 3


def test_a_value_written_again_in_a_phase_keeps_its_salt_and_in_the_next_gets_another() -> None:
    state = kernel()
    salts = []
    for phase, number in ((3, 1), (3, 2), (4, 2), (4, 3)):
        draft = Draft(state, phase)
        draft.put("note/ann/x", Note(number))
        draft.put("note/ann/x", Note(number))
        draft.commit()
        salts.append(state.entries["note/ann/x"].salt)
    assert salts == [owned_salt("ann", "note/ann/x", phase) for phase in (3, 3, 4, 4)]


def test_a_value_that_was_deleted_in_between_has_the_salt_that_it_would_have_had() -> None:
    """So the order of what different senders do inside a phase never shows."""
    state = kernel()
    draft = Draft(state, 3)
    draft.put("note/ann/x", Note(1))
    draft.delete("note/ann/x")
    draft.put("note/ann/x", Note(1))
    assert draft.entry("note/ann/x") == Entry(Note(1), owned_salt("ann", "note/ann/x", 3), 3)


def test_a_barrier_raises_the_phase_inside_a_draft() -> None:
    draft = Draft(kernel(), 3)
    draft.phase = 4
    draft.put("note/ann/x", Note(1))
    entry = draft.entry("note/ann/x")
    assert entry == Entry(Note(1), owned_salt("ann", "note/ann/x", 4), 4)


def test_public_values_have_no_salt_and_sealed_ones_bring_theirs() -> None:
    state = kernel()
    draft = Draft(state, 2)
    draft.put("board/a", Note(1))
    draft.put("letter/a", Note(1), SALT)
    draft.commit()
    assert state.entries["board/a"] == Entry(Note(1), b"", 2)
    assert state.entries["board/a"].content() == sha256(encode(Note(1))).digest()
    assert state.entries["letter/a"] == Entry(Note(1), SALT, 2)
    assert state.entries["letter/a"].content() == sha256(SALT + encode(Note(1))).digest()


@pytest.mark.parametrize(
    ("key", "salt"), [("board/a", SALT), ("note/ann/x", SALT), ("letter/a", b"")]
)
def test_a_salt_that_does_not_fit_is_our_bug(key: str, salt: bytes) -> None:
    draft = Draft(kernel(), 2)
    with pytest.raises(InvariantError, match="salt does not fit"):
        draft.put(key, Note(1), salt)
    assert draft.writes == {}


def test_without_a_secret_nothing_personal_can_be_written() -> None:
    draft = Draft(kernel(), 2)
    with pytest.raises(InvariantError, match="secret/eve is missing"):
        draft.put("note/eve/x", Note(1))


def test_a_member_who_joins_in_this_draft_has_a_secret_already() -> None:
    draft = Draft(kernel(), 2)
    draft.put(secret_key("eve"), Secret(b"\x03" * 32), SALT)
    draft.put("note/eve/x", Note(1))
    assert draft.group("note/x") == ["note/eve/x"]


# Documents and postings


def test_a_document_lies_beside_the_state() -> None:
    state = kernel()
    before = dict(state.entries)
    draft = Draft(state, 5)
    sealed = draft.append("ann", "bill/ann/day", 3, Note(9))
    salt = owned_salt("ann", "bill/ann/day/3", 5)
    assert sealed == salt + encode(Note(9))
    assert draft.documents == [Document("ann", "bill/ann/day", 3, salt, encode(Note(9)))]
    draft.commit()
    assert state.entries == before


def test_without_postings_there_is_no_commitment() -> None:
    assert Draft(kernel(), 2).postings_hash(b"id") == b""


def test_the_postings_hash_commits_to_every_leg_under_its_owners_salt() -> None:
    draft = Draft(kernel(), 6)
    legs = [Leg(ANN, 5, 0), Leg(BANK, -5, 0)]
    draft.post(*legs)
    commitments = [
        sha256(owned_salt("ann", "posting/" + b"id".hex(), 6) + msgspec.msgpack.encode(legs[0])),
        sha256(msgspec.msgpack.encode(legs[1])),
    ]
    joined = b"".join(commitment.digest() for commitment in commitments)
    assert draft.postings_hash(b"id") == sha256(joined).digest()


def test_the_postings_hash_hides_amounts_behind_the_secret() -> None:
    """Whoever knows everything but the secret cannot try amounts against the receipt."""

    def told(amount: int, secret: bytes, purpose: bytes = b"id", phase: int = 2) -> bytes:
        draft = Draft(kernel(secrets={**SECRETS, "ann": secret}), phase)
        draft.post(Leg(ANN, amount, 0), Leg(BOB, -amount, 0))
        return draft.postings_hash(purpose)

    usual = told(5, b"\x01" * 32)
    assert usual == told(5, b"\x01" * 32)
    others = [
        told(6, b"\x01" * 32),
        told(5, b"\x09" * 32),
        told(5, b"\x01" * 32, purpose=b"other"),
        told(5, b"\x01" * 32, phase=3),
    ]
    assert len({usual, *others}) == 5
