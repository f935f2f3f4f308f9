"""The leader's pool: what it takes, in which order it gives, and how much at a time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from tests.ledger_bench import NEVER, SLOT, Bench, Signed, genesis_with

from gridpact.codec import encode
from gridpact.consensus.raft.messages import PAYLOAD_MAX
from gridpact.contracts import Candidate
from gridpact.contracts.bodies import Deposit, GrantRole, Kind, MovePhase
from gridpact.contracts.genesis import DEFAULT_LIMITS
from gridpact.ledger.envelope import sign_envelope
from gridpact.model import Phase, Role
from gridpact.node import SimulatedKeys
from gridpact.node.raft import pool as pool_module
from gridpact.node.raft.blocks import BLOCK_BYTES_MAX, ITEM_BYTES, Block, proposal_of
from gridpact.node.raft.pool import Pool

TIME_S = 1_700_000_000


@pytest.fixture
def bench() -> Bench:
    return Bench()


def candidate(bench: Bench, signed: Signed) -> Candidate:
    found = bench.candidate(*signed)
    assert isinstance(found, Candidate)
    return found


def filled(bench: Bench, *signed: Signed) -> Pool:
    pool = Pool()
    for one in signed:
        assert pool.add(candidate(bench, one))
    return pool


def give(pool: Pool, bench: Bench) -> list[Signed] | None:
    """What the next block has in it, on the bench's state."""
    block = pool.next_block(bench.application, TIME_S)
    return None if block is None else block.items


def decide(pool: Pool, bench: Bench) -> list[Signed] | None:
    """The next block is decided and executed."""
    items = give(pool, bench)
    if items is not None:
        bench.decide(*items, time_s=TIME_S)
        for raw, sealed in items:
            pool.drop(candidate(bench, (raw, sealed)).transaction.id)
    pool.after_block()
    return items


def held(pool: Pool) -> list[Signed]:
    return [(one.transaction.raw, one.sealed) for one in pool._candidates.values()]


def sizes(pool: Pool) -> int:
    return total(held(pool))


def phase(bench: Bench, not_before_s: int) -> Signed:
    body = MovePhase("lv1", 1, Phase.OPEN, SLOT, 1, not_before_s)
    return bench.write("operator", Kind.PHASE, body, expiry_s=NEVER)


def test_a_block_has_what_waits_in_the_order_in_which_it_came(bench: Bench) -> None:
    signed = [bench.register("ann"), bench.tariff(), bench.register("bob"), bench.meter("ann")]
    pool = filled(bench, *signed)
    block = pool.next_block(bench.application, TIME_S)
    assert block == Block(1, TIME_S, bench.application.genesis_hash, signed)
    assert bench.application.process_proposal(proposal_of(block), bench.candidates(block.items))
    assert held(pool) == signed, "it stays until it is decided"
    assert decide(pool, bench) == signed
    assert len(pool) == 0
    assert give(pool, bench) is None


def test_one_transaction_is_held_once(bench: Bench) -> None:
    tariff = bench.tariff()
    pool = filled(bench, tariff, tariff)
    assert len(pool) == 1
    assert pool._bytes == sizes(pool)
    assert candidate(bench, tariff).transaction.id in pool


@pytest.mark.parametrize("limit", ["POOL_MAX", "POOL_BYTES_MAX"])
def test_there_is_room_for_so_much(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    signed = [bench.register(name) for name in ("ann", "bob", "cyd")]
    room = 2 if limit == "POOL_MAX" else sizes(filled(bench, *signed[:2]))
    monkeypatch.setattr(pool_module, limit, room)
    pool = filled(bench, *signed[:2])
    third = candidate(bench, signed[2])
    assert not pool.add(third)
    assert held(pool) == signed[:2]
    assert pool.add(candidate(bench, signed[0])), "it is here already"
    pool.drop(candidate(bench, signed[0]).transaction.id)
    pool.drop(bytes(32))
    assert pool.add(third)
    assert held(pool) == signed[1:]
    assert pool._bytes == sizes(pool)


def test_another_leader_makes_it_empty(bench: Bench) -> None:
    signed = [phase(bench, TIME_S + 1), bench.tariff()]
    pool = filled(bench, *signed)
    assert give(pool, bench) == signed[1:]
    pool.clear()
    assert (len(pool), pool._bytes, pool._later) == (0, 0, set())


def test_what_follows_a_missing_nonce_waits_for_it(bench: Bench) -> None:
    first, second, third = (bench.register(name) for name in ("ann", "bob", "cyd"))
    tariff = bench.tariff()
    pool = filled(bench, third, second, tariff)
    assert decide(pool, bench) == [tariff]
    assert decide(pool, bench) is None
    assert held(pool) == [third, second]
    pool.add(candidate(bench, first))
    assert decide(pool, bench) == [first]
    assert decide(pool, bench) == [second]
    assert decide(pool, bench) == [third]
    assert len(pool) == 0


def test_what_can_never_be_in_a_block_is_dropped(bench: Bench) -> None:
    used = bench.register("ann")
    bench.accept(used)
    stranger = bench.bid("nobody", 200_000, 10)
    forged = bench.sign("prices", Kind.GRANT_ROLE, grant_body(), nonce=1, key_of="ann")
    good = bench.register("bob")
    pool = filled(bench, used, stranger, forged, good)
    assert give(pool, bench) == [good]
    assert held(pool) == [good]
    assert pool._bytes == sizes(pool)


def test_what_has_expired_is_dropped(bench: Bench) -> None:
    bench.join("ann", deposit_nano=10**9)
    bench.open()
    bid = bench.bid("ann", 200_000, 10, expiry_s=SLOT)
    pool = filled(bench, bid)
    bench.walk(Phase.CLOSED)
    bench.open(first_s=SLOT + 900)
    bench.walk(Phase.CLOSED, first_s=SLOT + 900)
    assert give(pool, bench) is None
    assert held(pool) == []


def grant_body() -> GrantRole:
    return GrantRole("ann", Role.AUDITOR, 1, 0)


def test_a_phase_waits_until_its_time_and_holds_nobody_else_up(bench: Bench) -> None:
    early = phase(bench, TIME_S + 1)
    follower, tariff = bench.register("ann"), bench.tariff()
    pool = filled(bench, early, follower, tariff)
    assert decide(pool, bench) == [tariff]
    assert give(pool, bench) is None
    assert held(pool) == [early, follower]
    pool.after_block()
    block = pool.next_block(bench.application, TIME_S + 1)
    assert block is not None
    assert block.items == [early, follower]


def test_what_waits_for_later_is_not_looked_at_before_the_next_block(bench: Bench) -> None:
    early = phase(bench, TIME_S + 1)
    pool = filled(bench, early)
    assert give(pool, bench) is None
    assert pool.next_block(bench.application, TIME_S + 1) is None
    pool.after_block()
    assert pool.next_block(bench.application, TIME_S + 1) is not None


@pytest.mark.parametrize(
    "payload_bytes", [[65_536] * 9, [100] * 1_500, [60_000, 1, 65_536, 40_000, 65_536, 65_536, 900]]
)
def test_a_block_fits_an_entry_of_the_log_and_leaves_nothing_out_that_does(
    bench: Bench, payload_bytes: list[int]
) -> None:
    signed = [large(bench, nonce, size) for nonce, size in enumerate(payload_bytes, 1)]
    pool = filled(bench, *signed)
    given: list[Signed] = []
    while items := decide(pool, bench):
        block = block_with(bench, items)
        assert len(encode(block)) <= PAYLOAD_MAX
        given += items
        if len(pool):
            following = signed[len(given)]
            assert total((*items, following)) > BLOCK_BYTES_MAX
    assert given == signed


def test_the_cap_of_the_genesis_holds(bench: Bench) -> None:
    keys = SimulatedKeys(7)
    limits = msgspec.structs.replace(DEFAULT_LIMITS, block_transactions=2)
    few = Bench(genesis_with(keys, limits=limits), keys)
    signed = [few.register(name) for name in ("ann", "bob", "cyd")]
    pool = filled(few, *signed)
    assert decide(pool, few) == signed[:2]
    assert decide(pool, few) == signed[2:]


def test_a_pool_full_of_what_must_wait_does_not_hide_the_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked through slice by slice, so many slices for a block."""
    monkeypatch.setattr(pool_module, "BLOCK_BYTES_MAX", 1)
    ahead = [bench.register(name) for name in ("gap", "ann", "bob", "cyd")][1:]
    tariff = bench.tariff()
    pool = filled(bench, *ahead, tariff)
    assert give(pool, bench) == [tariff]
    monkeypatch.setattr(pool_module, "TRIES_MAX", 2)
    pool.after_block()
    assert give(pool, bench) is None
    assert give(pool, bench) == [tariff], "the next look goes on behind"


def large(bench: Bench, nonce: int, payload_bytes: int) -> Signed:
    """A transaction whose payload has this size and no sense, which only execution finds."""
    sealed = bytes(payload_bytes)
    raw = sign_envelope(
        genesis_hash=bench.application.genesis_hash,
        signing_key=bench.keys.pair("operator")[1],
        sender="operator",
        nonce=nonce,
        kind=Kind.DEPOSIT,
        expiry_s=NEVER,
        body=Deposit("ann", 0),
        sealed=sealed,
    )
    return raw, sealed


def block_with(bench: Bench, items: list[Signed]) -> Block:
    application = bench.application
    return Block(application.height, TIME_S, application.last_hash, items)


def total(items: Sequence[Signed]) -> int:
    return sum(len(raw) + len(sealed) + ITEM_BYTES for raw, sealed in items)
