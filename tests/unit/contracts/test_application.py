"""Goal: the application is one deterministic state machine behind any engine.

Coherence: what an honest proposer makes, every honest replica accepts. Determinism: verdicts and
roots depend on the block and the state before it, and on nothing else: not on the engine's name,
the header time, or whether the state was lived through or read back from a store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import msgspec
import pytest

from gridpact.codec import encode, sha256
from gridpact.contracts import Application, Candidate, Unreadable
from gridpact.contracts.application import Info, is_early
from gridpact.contracts.bodies import (
    Kind,
    OrderPayload,
    PlaceOrder,
    RotateKey,
)
from gridpact.contracts.genesis import APP_VERSION, genesis_hash
from gridpact.contracts.keys import CLOCK, party_key, slot_key, tariff_key
from gridpact.errors import InvariantError
from gridpact.ledger import Account, account_key, system_key
from gridpact.ledger.blocks import (
    FORMAT_VERSION,
    Proposal,
    Record,
    engine_root,
    payloads_root,
    proposal_hash,
    receipts_root,
    record_hash,
    state_root,
    transactions_root,
    validators_id,
)
from gridpact.ledger.statemap import verify_map_proof
from gridpact.model import AccountMode, Clock, Party, Phase, Side, Verdict, uses_nonce
from gridpact.node import SimulatedKeys
from ledger_bench import (
    LENGTH_S,
    MARKET,
    NEVER,
    OPERATOR,
    PRICES,
    SLOT,
    UNIT,
    VALIDATORS,
    Bench,
    Signed,
    engine_of,
    genesis_with,
    verify_once,
)


@pytest.fixture
def bench() -> Bench:
    """Ann and Bob with 10 each; two slots open."""
    bench = Bench()
    bench.join("ann", "bob", deposit_nano=10 * UNIT)
    bench.open(slots=2)
    return bench


def proposal_of(bench: Bench, *transactions: Signed, time_s: int = 0) -> Proposal:
    return bench.proposal(transactions, time_s)


PAYLOAD = OrderPayload(Side.BID, 200_000, 1, 200_000, 0)


def order_at(nonce: int, bench: Bench, **more: object) -> Signed:
    """A small bid by Ann with a nonce of the test's choosing."""
    return bench.sign("ann", Kind.ORDER, PlaceOrder(MARKET, SLOT), PAYLOAD, nonce=nonce, **more)


# The chain's start


def test_a_chain_starts_with_a_clock_three_accounts_and_its_parties() -> None:
    bench = Bench()
    everybody = Account(int(AccountMode.POSTPAID), Account.NO_LIMIT, 0, 0)
    expected = {
        CLOCK: Clock(0, [0, 0]),
        **{system_key(name): everybody for name in ("bank", "fund", "grid")},
        **{
            party_key(party.party): Party(party.public_key, party.roles, 0, 0)
            for party in bench.genesis.parties
        },
    }
    entries = bench.application.state.entries
    assert {key: entry.value for key, entry in entries.items()} == expected
    assert {(entry.salt, entry.phase) for entry in entries.values()} == {(b"", 0)}
    first_hash = genesis_hash(bench.genesis)
    assert bench.application.info() == Info(APP_VERSION, 0, first_hash)
    assert bench.application.init_chain().keys() == expected.keys()


def test_every_field_of_the_genesis_is_in_the_chains_name() -> None:
    genesis = Bench().genesis
    names = {genesis_hash(genesis)}
    for field, value in {
        "version": 1,
        "app_version": 1,
        "chain": "bench-2",
        "currency": "CHF",
        "network": "grid",
        "previous": bytes(32),
        "markets": genesis.markets[:1],
        "parties": genesis.parties[:-1],
        "validators": genesis.validators[:-1],
        "limits": msgspec.structs.replace(genesis.limits, slots_per_phase=1),
        "fallback": msgspec.structs.replace(genesis.fallback, delay_s=0),
    }.items():
        names.add(genesis_hash(msgspec.structs.replace(genesis, **{field: value})))
    assert len(names) == 1 + len(genesis.__struct_fields__)


# At the door


@pytest.mark.parametrize(
    ("transaction", "verdict"),
    [
        (lambda b: order_at(1, b), Verdict.ACCEPTED),
        (lambda b: b.sign("nobody", Kind.ROTATE_KEY, ROTATE, nonce=1), Verdict.UNKNOWN_SENDER),
        (lambda b: order_at(1, b, key_of="bob"), Verdict.BAD_SIGNATURE),
        (lambda b: order_at(1, b, chain=bytes(32)), Verdict.BAD_SIGNATURE),
        (lambda b: b.sign(OPERATOR, Kind.ROTATE_KEY, ROTATE, nonce=7), Verdict.NONCE_USED),
        (lambda b: b.sign(OPERATOR, Kind.ROTATE_KEY, ROTATE, nonce=1), Verdict.NONCE_USED),
        (lambda b: order_at(2, b), Verdict.NONCE_AHEAD),
        (lambda b: order_at(2**62, b), Verdict.NONCE_AHEAD),
        (lambda b: order_at(1, b, expiry_s=SLOT - 1), Verdict.EXPIRED),
        (lambda b: order_at(1, b, expiry_s=SLOT), Verdict.ACCEPTED),
        # with two faults the smaller number
        (lambda b: b.sign("nobody", Kind.ROTATE_KEY, ROTATE, nonce=9), Verdict.UNKNOWN_SENDER),
        (lambda b: order_at(2, b, key_of="bob", expiry_s=0), Verdict.BAD_SIGNATURE),
        (lambda b: b.sign(OPERATOR, 4, ROTATE, nonce=1, expiry_s=0), Verdict.NONCE_USED),
        (lambda b: order_at(2, b, expiry_s=0), Verdict.NONCE_AHEAD),
    ],
)
def test_envelopes_are_judged_against_the_state(
    bench: Bench, transaction: Callable[[Bench], Signed], verdict: Verdict
) -> None:
    """The gate of the first slot has closed."""
    bench.move(Phase.CLOSED)
    candidate = bench.candidate(*transaction(bench))
    assert isinstance(candidate, Candidate)
    assert bench.application.check_tx(candidate) == verdict


ROTATE = RotateKey(bytes(32), 0)


def test_a_mempool_counts_on_from_what_waits(bench: Bench) -> None:
    candidate = bench.candidate(*order_at(3, bench))
    assert isinstance(candidate, Candidate)
    check = bench.application.check_tx
    assert check(candidate) == Verdict.NONCE_AHEAD
    assert check(candidate, 1) == Verdict.NONCE_AHEAD
    assert check(candidate, 2) == Verdict.ACCEPTED
    assert check(candidate, 3) == Verdict.NONCE_USED


def test_a_signature_checked_under_another_key_is_checked_again(bench: Bench) -> None:
    """A candidate says what was checked; what it says under a wrong key counts for nothing."""
    candidate = bench.candidate(*order_at(1, bench))
    forged = bench.candidate(*order_at(1, bench, key_of="bob"))
    assert isinstance(candidate, Candidate)
    assert isinstance(forged, Candidate)
    key = bench.party("ann").public_key
    check = bench.application.check_tx
    for checked_key in (b"", bytes(32)):
        for good in (False, True):
            told = [
                check(Candidate(each.transaction, each.sealed, checked_key, good))
                for each in (candidate, forged)
            ]
            assert told == [Verdict.ACCEPTED, Verdict.BAD_SIGNATURE]
    believed = Candidate(candidate.transaction, candidate.sealed, key, False)
    assert check(believed) == Verdict.BAD_SIGNATURE


# Coherence


def mixed(bench: Bench, chance: Random) -> list[Candidate]:
    """Good, refusable, replayed, gapped, forged, expired and early transactions, shuffled."""
    transactions = [
        *(order_at(nonce, bench) for nonce in (1, 2, 3, 4, 6)),
        order_at(2, bench, key_of="bob"),
        order_at(3, bench, expiry_s=SLOT - 1),
        bench.sign("nobody", Kind.ROTATE_KEY, ROTATE, nonce=1),
        bench.bid("bob", 200_000, 10**6),  # beyond its funds: included and refused
        bench.cancel("bob", 9),
        bench.phase(Phase.CLOSED, not_before_s=500),
        bench.deposit("ann", 5),
        bench.tariff(first_s=SLOT + 9_000),
        *bench_validators(bench),
    ]
    chance.shuffle(transactions)
    found = bench.candidates([*transactions, *transactions[:3]])
    return [candidate for candidate in found if isinstance(candidate, Candidate)]


def bench_validators(bench: Bench) -> list[Signed]:
    late_s = SLOT + 2 * LENGTH_S + 3_600
    return [
        bench.phase(Phase.CLOSED, slots=2, sender=validator, not_before_s=late_s)
        for validator in VALIDATORS
    ]


@pytest.mark.parametrize("seed", range(20))
def test_what_a_proposer_makes_a_replica_accepts(bench: Bench, seed: int) -> None:
    """And what was left out could not have been added."""
    bench.move(Phase.CLOSED, first_s=SLOT + LENGTH_S)
    application = bench.application
    candidates = mixed(bench, Random(seed))
    for time_s in (0, 499, 500, NEVER):
        proposal, chosen = application.prepare_proposal(candidates, time_s)
        assert proposal.transactions == [candidate.transaction.raw for candidate in chosen]
        assert (proposal.height, proposal.parent) == (application.height + 1, application.last_hash)
        assert application.process_proposal(proposal, chosen)
        waiting = iter(candidates)
        assert all(candidate in waiting for candidate in chosen)  # in the order given
        senders: dict[str, int] = {}
        for candidate in chosen:
            envelope = candidate.transaction.envelope
            before = senders.get(envelope.sender, bench.party(envelope.sender).nonce)
            assert envelope.nonce == before + 1
            senders[envelope.sender] = envelope.nonce
            assert not is_early(candidate.transaction, time_s)


def test_a_proposer_leaves_out_what_it_cannot_show(bench: Bench) -> None:
    """A payload that is missing or another one: no replica would accept the block."""
    raw, sealed = order_at(1, bench)
    transaction = bench.application.readable(raw)
    assert not isinstance(transaction, Verdict)
    for held in (b"", sealed[:-1], sealed + b"\x00"):
        bare = bench.checked(transaction, held)
        proposal, chosen = bench.application.prepare_proposal([bare], 0)
        assert chosen == []
        assert bench.application.process_proposal(proposal, chosen)


def test_a_sender_whose_transaction_is_left_out_waits_with_all_that_follow(bench: Bench) -> None:
    early = bench.phase(Phase.CLOSED, not_before_s=1_000)
    after = bench.deposit("ann", 5)
    other = bench.tariff(first_s=SLOT + 9_000)
    candidates = [c for c in bench.candidates([early, after, other]) if isinstance(c, Candidate)]
    _, chosen = bench.application.prepare_proposal(candidates, 999)
    assert chosen == candidates[2:]
    _, chosen = bench.application.prepare_proposal(candidates, 1_000)
    assert chosen == candidates


def test_a_phase_before_its_time_is_in_no_valid_block(bench: Bench) -> None:
    """The time delays a phase; executed later or earlier it does the same."""
    early = bench.phase(Phase.CLOSED, not_before_s=1_000)
    for time_s, accepted in ((0, False), (999, False), (1_000, True), (NEVER, True)):
        proposal = proposal_of(bench, early, time_s=time_s)
        candidates = bench.candidates([early])
        assert bench.application.process_proposal(proposal, candidates) is accepted
    transaction = bench.application.readable(early[0])
    assert not isinstance(transaction, Verdict)
    assert (is_early(transaction, 999), is_early(transaction, 1_000)) == (True, False)


def test_a_block_has_a_cap() -> None:
    keys = SimulatedKeys(7)
    limits = msgspec.structs.replace(genesis_with(keys).limits, block_transactions=2)
    bench = Bench(genesis_with(keys, limits=limits), keys)
    transactions = [bench.register(name) for name in ("a", "b", "c")]
    candidates = [c for c in bench.candidates(transactions) if isinstance(c, Candidate)]
    proposal, chosen = bench.application.prepare_proposal(candidates, 0)
    assert chosen == candidates[:2]
    assert bench.application.process_proposal(proposal, chosen)
    full = proposal_of(bench, *transactions)
    assert not bench.application.process_proposal(full, candidates)


@pytest.mark.parametrize(
    "fields",
    [
        {"version": FORMAT_VERSION + 1},
        {"version": 0},
        {"height": 1},
        {"height": 99},
        {"parent": bytes(32)},
        {"transactions": []},
        {"transactions": [b"x"]},
        {"transactions": [b"x", b"y"]},
        {"transactions": [b"x", b"y", b"z"]},
    ],
)
def test_a_proposal_that_does_not_follow_is_refused(
    bench: Bench, fields: dict[str, object]
) -> None:
    transactions = [order_at(1, bench), bench.deposit("ann", 1)]
    good = proposal_of(bench, *transactions)
    candidates = bench.candidates(transactions)
    assert bench.application.process_proposal(good, candidates)
    bad = msgspec.structs.replace(good, **fields)
    assert not bench.application.process_proposal(bad, candidates)


@pytest.mark.parametrize(
    "transactions",
    [
        lambda b: [(b.tariff()[0][:-1], b"")],
        lambda b: [b.sign("nobody", Kind.ROTATE_KEY, ROTATE, nonce=1)],
        lambda b: [order_at(1, b, key_of="bob")],
        lambda b: [order_at(1, b), order_at(1, b)],
        lambda b: [order_at(2, b)],
        lambda b: [order_at(1, b), order_at(3, b)],
        lambda b: [order_at(2, b), order_at(1, b)],
        lambda b: [order_at(1, b, expiry_s=SLOT - 1)],
        lambda b: [(order_at(1, b)[0], b"")],
        lambda b: [(order_at(1, b)[0], bytes(40))],
    ],
)
def test_a_proposal_with_what_should_not_be_there_is_refused(
    bench: Bench, transactions: Callable[[Bench], Sequence[Signed]]
) -> None:
    bench.move(Phase.CLOSED)
    sent = transactions(bench)
    proposal = proposal_of(bench, *sent)
    assert not bench.application.process_proposal(proposal, bench.candidates(sent))


# Execution


def test_a_decided_block_is_executed_whatever_is_in_it(bench: Bench) -> None:
    """Each fault is named, and below 20 not even a nonce is used."""
    bench.move(Phase.CLOSED)
    before = bench.market_root
    sent = [
        (b"junk", b""),
        bench.sign("nobody", Kind.ROTATE_KEY, ROTATE, nonce=1),
        order_at(1, bench, key_of="bob"),
        bench.sign(OPERATOR, Kind.ROTATE_KEY, ROTATE, nonce=1),
        order_at(2, bench),
        (order_at(1, bench)[0], b""),
    ]
    result = bench.decide(*sent)
    assert [Verdict(receipt.verdict) for receipt in result.receipts] == [
        Verdict.MALFORMED_ENVELOPE,
        Verdict.UNKNOWN_SENDER,
        Verdict.BAD_SIGNATURE,
        Verdict.NONCE_USED,
        Verdict.NONCE_AHEAD,
        Verdict.PAYLOAD_MISMATCH,
    ]
    assert [receipt.transaction for receipt in result.receipts] == [sha256(raw) for raw, _ in sent]
    assert all(receipt.postings_hash == b"" for receipt in result.receipts)
    assert bench.market_root == before
    assert result.changes == {}
    readable = [sha256(b"\x05" * 32 + encode(PAYLOAD)) for _ in "ab"]
    named = [b"", b"", readable[0], b"", readable[1], b""]
    assert result.record.payloads_root == payloads_root(named)


@pytest.mark.parametrize("verdict", Verdict)
def test_from_20_on_a_verdict_uses_the_nonce(verdict: Verdict) -> None:
    assert uses_nonce(verdict) == (verdict == Verdict.ACCEPTED or verdict >= 20)


def test_a_key_that_rotates_inside_a_block_is_the_new_one_right_after_the_barrier(
    bench: Bench,
) -> None:
    """Candidates were checked before the block, against the old key."""
    bench.accept(bench.rotate("ann", "ann-2"))
    result = bench.decide(
        order_at(2, bench),
        bench.phase(Phase.CLOSED),
        order_at(3, bench),
        order_at(3, bench, key_of="ann-2"),
    )
    assert [Verdict(receipt.verdict) for receipt in result.receipts] == [
        Verdict.ACCEPTED,
        Verdict.ACCEPTED,
        Verdict.BAD_SIGNATURE,
        Verdict.GATE_CLOSED,
    ]


def test_a_party_that_a_block_registers_may_speak_in_it(bench: Bench) -> None:
    result = bench.decide(
        bench.register("eve"),
        bench.withdraw("eve", 1),
        bench.phase(Phase.CLOSED),
        bench.sign("eve", Kind.ROTATE_KEY, ROTATE, nonce=1),
    )
    assert [Verdict(receipt.verdict) for receipt in result.receipts] == [
        Verdict.ACCEPTED,
        Verdict.UNKNOWN_SENDER,
        Verdict.ACCEPTED,
        Verdict.ACCEPTED,
    ]


def test_a_block_out_of_turn_is_our_bug(bench: Bench) -> None:
    height = bench.application.height
    for wrong in (height, height + 2, 0):
        proposal = msgspec.structs.replace(proposal_of(bench), height=wrong)
        with pytest.raises(InvariantError, match="out of turn"):
            bench.application.finalize_block(proposal, [])


def test_a_payload_that_is_not_here_stops_the_replica(bench: Bench) -> None:
    """Every replica executes the same; one without the payload fetches it or waits."""
    raw, _ = order_at(1, bench)
    transaction = bench.application.readable(raw)
    assert not isinstance(transaction, Verdict)
    bare = bench.checked(transaction, b"")
    with pytest.raises(InvariantError, match="without its payload"):
        bench.application.finalize_block(proposal_of(bench, (raw, b"")), [bare])


def test_nothing_is_official_before_commit(bench: Bench) -> None:
    application = bench.application
    info, root = application.info(), bench.market_root
    sent = order_at(1, bench)
    result = application.finalize_block(proposal_of(bench, sent), bench.candidates([sent]))
    assert (application.info(), bench.market_root) == (info, root)
    application.commit(result)
    assert application.info() == Info(APP_VERSION, info.height + 1, record_hash(result.record))
    assert bench.market_root == result.record.market_root != root


def test_a_record_says_all_that_its_block_was(bench: Bench) -> None:
    parent = bench.application.last_hash
    sent = [order_at(1, bench), bench.deposit("ann", 1), bench.tariff(first_s=SLOT + 9_000)]
    proposal = proposal_of(bench, *sent, time_s=77)
    result = bench.decide(*sent, time_s=77)
    engine = msgspec.structs.replace(bench.application.engine, height=proposal.height)
    assert result.record == Record(
        version=FORMAT_VERSION,
        genesis=genesis_hash(bench.genesis),
        height=bench.application.height,
        time_s=77,
        parent=parent,
        proposal=proposal_hash(proposal),
        transactions=3,
        transactions_root=transactions_root([raw for raw, _ in sent]),
        payloads_root=payloads_root([sha256(sent[0][1]), sha256(sent[1][1]), b""]),
        receipts_root=receipts_root(result.receipts),
        market_root=bench.market_root,
        engine_root=engine_root(engine),
        validators=validators_id(engine),
        engine="embedded",
        state_root=state_root(bench.market_root, engine_root(engine)),
    )
    assert bench.application.last_hash == record_hash(result.record)


def test_the_changes_of_a_block_are_the_difference_of_states(bench: Bench) -> None:
    """Also where a key is written and deleted in one block."""
    before = dict(bench.application.state.entries)
    result = bench.decide(
        order_at(1, bench),
        bench.sign("ann", Kind.ROTATE_KEY, ROTATE, nonce=2),
        bench.tariff(first_s=SLOT + 9_000),
        bench.phase(Phase.CLOSED),
    )
    after = bench.application.state.entries
    rebuilt = dict(before)
    for key, entry in result.changes.items():
        if entry is None:
            rebuilt.pop(key, None)
        else:
            rebuilt[key] = entry
    assert rebuilt == after
    assert result.changes["claim/ann/2"] is None


# Determinism


def day(bench: Bench) -> list[tuple[list[Signed], int]]:
    """A short day as blocks with header times."""
    after = SLOT + LENGTH_S
    return [
        ([bench.register("ann"), bench.meter("ann"), bench.deposit("ann", UNIT)], 1),
        ([bench.register("bob"), bench.meter("bob"), bench.deposit("bob", UNIT)], 2),
        ([bench.tariff(slots=2), bench.phase(Phase.OPEN, slots=2)], 3),
        ([bench.bid("ann", 200_000, 900), bench.offer("bob", 100_000, 700)], 4),
        ([bench.bid("ann", 999_999, 1), bench.withdraw("bob", 5)], 5),
        ([bench.offer("bob", 100_000, 70, slot_s=after), bench.phase(Phase.CLOSED, number=2)], 6),
        ([bench.phase(Phase.CLEARED, number=3)], 7),
        ([bench.phase(Phase.DELIVERED, number=4), bench.reading("bob", 0, 650)], 8),
        ([bench.reading("ann", 800)], 9),
        ([bench.phase(Phase.METERED, number=5), bench.phase(Phase.SETTLED, number=6)], 10),
        ([bench.reading("ann", 700, version=2)], 11),
        ([bench.phase(Phase.FINAL, number=7), bench.cancel("bob", 3)], 12),
    ]


def played(bench: Bench, blocks: list[tuple[list[Signed], int]]) -> list[Record]:
    return [bench.decide(*sent, time_s=time_s).record for sent, time_s in blocks]


def test_the_same_blocks_give_the_same_records() -> None:
    first, second = Bench(), Bench()
    assert played(first, day(first)) == played(second, day(second))
    told = set(first.told_by_id.values())
    assert told == {Verdict.ACCEPTED, Verdict.PRICE_OUT_OF_BAND, Verdict.GATE_CLOSED}


@pytest.mark.parametrize("cut", range(13))
def test_a_restored_application_goes_on_like_the_living_one(cut: int) -> None:
    live = Bench()
    blocks = day(live)
    before = played(live, blocks[:cut])
    entries = list(live.application.state.entries.items())
    Random(cut).shuffle(entries)
    again = Bench()
    again.application = Application(again.genesis, engine_of(again.genesis), verify_once)
    tip = record_hash(before[-1]) if before else genesis_hash(again.genesis)
    again.application.restore(entries, cut, tip)
    assert again.application.info() == live.application.info()
    assert again.market_root == live.market_root
    assert played(again, blocks[cut:]) == played(live, blocks[cut:])
    assert again.application.state.entries == live.application.state.entries
    assert again.groups() == live.groups()


def test_engine_and_header_time_are_outside_the_market_root() -> None:
    live, other = Bench(), Bench()
    other.application = Application(other.genesis, engine_of(other.genesis, "raft"), verify_once)
    other.application.init_chain()
    other.decide()  # and one block higher all the way
    ours = played(live, day(live))
    theirs = played(other, [(sent, 1_000 - time_s) for sent, time_s in day(other)])
    assert [record.market_root for record in ours] == [record.market_root for record in theirs]
    assert [r.receipts_root for r in ours] == [r.receipts_root for r in theirs]
    for name in ("engine_root", "state_root", "parent", "proposal", "height", "time_s"):
        assert all(getattr(a, name) != getattr(b, name) for a, b in zip(ours, theirs, strict=True))


def test_a_proposal_does_not_depend_on_what_was_judged_before(bench: Bench) -> None:
    """Judging a proposal changes nothing, however often."""
    application = bench.application
    sent = [order_at(1, bench), bench.phase(Phase.CLOSED)]
    entries = dict(application.state.entries)
    proposal, candidates = proposal_of(bench, *sent), bench.candidates(sent)
    assert [application.process_proposal(proposal, candidates) for _ in range(3)] == [True] * 3
    assert not application.process_proposal(proposal, [Unreadable(bytes(32), Verdict(2))] * 2)
    assert application.state.entries == entries
    assert application.prepare_proposal([c for c in candidates if isinstance(c, Candidate)], 0) == (
        proposal,
        candidates,
    )


# Looking things up


def test_a_query_comes_with_a_proof_of_presence_or_absence(bench: Bench) -> None:
    bench.accept(order_at(1, bench))
    root = bench.market_root
    for key in (account_key("ann"), party_key(PRICES), slot_key(MARKET, SLOT), CLOCK):
        entry, proof = bench.application.query(key)
        assert entry is not None
        assert verify_map_proof(root, key.encode(), entry.content(), proof)
        assert not verify_map_proof(root, key.encode(), None, proof)
    for key in (account_key("nobody"), tariff_key(MARKET, SLOT), "claim/ann/1"):
        entry, proof = bench.application.query(key)
        assert entry is None
        assert verify_map_proof(root, key.encode(), None, proof)


def test_who_is_a_party(bench: Bench) -> None:
    ann = bench.application.party("ann")
    assert ann is not None
    assert ann.public_key == bench.keys.pair("ann")[0]
    assert bench.application.party("nobody") is None
    assert bench.application.phase == 1
