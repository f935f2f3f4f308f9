"""The conversation with CometBFT: every request, crashes between them, and missing payloads.

Method: a test plays CometBFT against an adapter on a real folder; a bench in memory says which
state the same transactions must give.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

import pytest
from tests.ledger_bench import Bench
from tests.unit.node.cometbft.dialogue import Dialogue, blocks_of_a_slot

from gridpact.codec import decode, sha256
from gridpact.contracts.keys import party_key
from gridpact.errors import InputError, InvariantError
from gridpact.ledger.blocks import Receipt, record_hash
from gridpact.ledger.proofs import check_proof, read_proof
from gridpact.model import Party, Verdict
from gridpact.node import EmbeddedEngine, audit_ledger, forget_participant
from gridpact.node.cometbft import messages as abci
from gridpact.node.cometbft import payloads


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def dialogue(tmp_path: Path, bench: Bench) -> Dialogue:
    return Dialogue(tmp_path, bench)


def root(dialogue: Dialogue) -> bytes:
    return dialogue.adapter.application.state_map.root


def test_a_slot_has_the_state_of_the_bench(dialogue: Dialogue, bench: Bench) -> None:
    dialogue.begin()
    blocks = blocks_of_a_slot(bench)
    for transactions in blocks:
        answer = dialogue.block(*transactions)
        assert [result.code for result in answer.tx_results] == [0] * len(transactions)
        assert answer.app_hash == dialogue.adapter.application.last_hash
    assert root(dialogue) == bench.market_root
    info = dialogue.info()
    assert info.last_block_height == len(blocks)
    assert info.last_block_app_hash == record_hash(dialogue.adapter.store.record(len(blocks)))
    dialogue.adapter.close()
    assert audit_ledger(dialogue.folder / "ledger").violations == []


def test_an_empty_block_moves_cometbft_and_not_the_ledger(dialogue: Dialogue, bench: Bench) -> None:
    dialogue.begin()
    first = dialogue.block()
    assert first.app_hash == bench.application.genesis_hash
    dialogue.block(bench.register("ann"))
    last = dialogue.adapter.application.last_hash
    assert dialogue.block().app_hash == last
    assert (dialogue.adapter.height, dialogue.adapter.store.height()) == (3, 1)
    again = dialogue.crash().info()
    assert (again.last_block_height, again.last_block_app_hash) == (3, last)


@pytest.mark.parametrize("stop", ["proposal", "finalize", "side file", "commit"])
def test_a_crash_leaves_one_height_or_the_next(
    dialogue: Dialogue, bench: Bench, stop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialogue.begin()
    blocks = blocks_of_a_slot(bench)
    for number, transactions in enumerate(blocks):
        dialogue.bring(*transactions)
        request = dialogue.request(*(envelope for envelope, _ in transactions))
        assert dialogue.accepts(request)
        if stop != "proposal":
            dialogue.finalize(request)
        if stop == "commit":
            dialogue.commit()
        elif stop == "side file":
            monkeypatch.setattr(dialogue.adapter.store, "save_block", _power_cut)
            with pytest.raises(OSError, match="power"):
                dialogue.commit()
        dialogue = dialogue.crash()
        info = dialogue.info()
        assert info.last_block_height == (number + 1 if stop == "commit" else number)
        if stop != "commit":
            dialogue.finalize(request)  # payloads are here since the vote, nobody has to ask
            dialogue.commit()
    assert root(dialogue) == bench.market_root


def _power_cut(*_: object) -> None:
    raise OSError("power cut")


def test_a_block_that_was_executed_but_not_decided_leaves_nothing(
    dialogue: Dialogue, bench: Bench
) -> None:
    """CometBFT that starts anew may send another block than the one that was executed."""
    dialogue.begin()
    ann, bob = bench.register("ann"), bench.register("bob")
    dialogue.bring(ann, bob)
    once = dialogue.finalize(dialogue.request(ann[0]))
    assert dialogue.finalize(dialogue.request(ann[0])) == once
    dialogue.finalize(dialogue.request(ann[0], bob[0]))
    dialogue.commit()
    bench.accept(ann, bob)
    assert root(dialogue) == bench.market_root


def test_a_payload_is_needed_to_vote_and_to_execute(dialogue: Dialogue, bench: Bench) -> None:
    dialogue.begin()
    ann = bench.register("ann")
    asked: list[Collection[bytes]] = []

    async def nobody(ids: Collection[bytes], timeout_s: float) -> None:
        asked.append(ids)

    async def somebody(ids: Collection[bytes], timeout_s: float) -> None:
        asked.append(ids)
        if len(asked) > 2:
            assert dialogue.adapter.take(*ann)

    dialogue.adapter.fetch = nobody
    assert dialogue.check(ann[0]).code == 0, "a mempool judges envelopes"
    assert dialogue.prepare(ann[0]) == ()
    assert not dialogue.accepts(dialogue.request(ann[0]))
    assert asked == [[sha256(ann[0])]]
    dialogue.adapter.fetch = somebody
    assert dialogue.finalize(dialogue.request(ann[0])).tx_results[0].code == 0
    assert len(asked) == 3, "it asks until the payload is there"


def test_what_a_block_needs_comes_in_although_there_is_no_room(
    dialogue: Dialogue, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialogue.begin()
    monkeypatch.setattr(payloads, "WAITING_MAX", 1)
    ann, bob = bench.register("ann"), bench.register("bob")
    assert dialogue.adapter.take(*ann)
    assert not dialogue.adapter.take(*bob)

    async def somebody(ids: Collection[bytes], timeout_s: float) -> None:
        assert dialogue.adapter.take(*bob)

    dialogue.adapter.fetch = somebody
    assert dialogue.accepts(dialogue.request(ann[0], bob[0]))
    assert not dialogue.adapter.take(*bench.register("cyd"))


def test_a_decided_replay_is_refused_with_the_payload_from_the_ledger(
    dialogue: Dialogue, bench: Bench
) -> None:
    dialogue.begin()
    ann = bench.register("ann")
    dialogue.block(ann)
    request = dialogue.request(ann[0])
    assert not dialogue.accepts(request)
    assert [r.code for r in dialogue.finalize(request).tx_results] == [Verdict.NONCE_USED]
    dialogue.commit()
    dialogue.adapter.close()
    (found,) = audit_ledger(dialogue.folder / "ledger").violations
    assert "no honest replica" in found


def test_a_payload_that_fits_no_envelope_is_not_kept(dialogue: Dialogue, bench: Bench) -> None:
    envelope, payload = bench.register("ann")
    assert not dialogue.adapter.take(envelope, payload + b"x")
    assert not dialogue.adapter.take(envelope, b"")
    assert not dialogue.adapter.take(envelope[:-1], payload)
    assert dialogue.adapter.payloads.get(sha256(envelope)) is None


def test_payloads_are_given_before_and_after_they_are_in_the_ledger(
    dialogue: Dialogue, bench: Bench
) -> None:
    dialogue.begin()
    ann, bob = bench.register("ann"), bench.register("bob")
    ids = [sha256(envelope) for envelope, _ in (ann, bob)]
    assert dialogue.adapter.held(ids) == []
    dialogue.bring(ann, bob)
    assert dialogue.adapter.held(ids) == [ann, bob]
    assert dialogue.accepts(dialogue.request(ann[0]))
    dialogue = dialogue.crash()
    assert dialogue.adapter.held(ids) == [ann], "on the disk since the vote"
    dialogue.bring(ann, bob)
    dialogue.finalize(dialogue.request(ann[0]))
    dialogue.commit()
    assert dialogue.adapter.payloads.get(ids[0]) is None
    assert sorted(dialogue.adapter.held(ids)) == sorted([ann, bob])


def test_a_proposal_against_the_rules_is_rejected(dialogue: Dialogue, bench: Bench) -> None:
    dialogue.begin()
    ann, bob = bench.register("ann"), bench.register("bob")
    dialogue.bring(ann, bob)
    before = root(dialogue)
    assert not dialogue.accepts(dialogue.request(bob[0], ann[0])), "nonces in order"
    assert not dialogue.accepts(dialogue.request(ann[0], b"no transaction"))
    late = dialogue.request(ann[0])
    assert not dialogue.accepts(abci.RequestBlock(late.txs, late.hash, 7, late.time))
    assert root(dialogue) == before
    assert dialogue.accepts(dialogue.request(ann[0], bob[0]))


def test_what_is_unreadable_in_a_decided_block_gets_a_verdict(
    dialogue: Dialogue, bench: Bench
) -> None:
    dialogue.begin()
    ann = bench.register("ann")
    dialogue.bring(ann)
    answer = dialogue.finalize(dialogue.request(b"no transaction", ann[0]))
    dialogue.commit()
    assert [result.code for result in answer.tx_results] == [Verdict.MALFORMED_ENVELOPE, 0]
    rows = dialogue.adapter.store.transactions(1)
    assert [row.sealed for row in rows] == [None, ann[1]]


def test_the_mempool_counts_nonces_and_says_what_it_refuses(
    dialogue: Dialogue, bench: Bench
) -> None:
    dialogue.begin()
    refused: list[tuple[bytes, Verdict]] = []
    dialogue.adapter.refused = lambda *told: refused.append(told)
    first, second, third = (bench.register(name) for name in ("ann", "bob", "cyd"))
    dialogue.bring(first, second)
    assert dialogue.check(first[0]).code == Verdict.NONCE_USED
    assert refused == [], "it waits, so nobody is told that it is refused"
    assert dialogue.check(b"junk").code == Verdict.MALFORMED_ENVELOPE
    dialogue.block()
    assert dialogue.check(third[0], abci.RECHECK).code == Verdict.NONCE_AHEAD
    assert refused == [
        (sha256(b"junk"), Verdict.MALFORMED_ENVELOPE),
        (sha256(third[0]), Verdict.NONCE_AHEAD),
    ]
    assert dialogue.check(first[0], abci.RECHECK).code == 0
    assert dialogue.check(second[0], abci.RECHECK).code == 0


def test_a_query_gives_public_values_with_proofs_and_no_personal_ones(
    dialogue: Dialogue, bench: Bench
) -> None:
    def query(path: str, data: bytes, *, prove: bool = False) -> abci.ResponseQuery:
        request = abci.RequestQuery(data, path, 0, prove)
        return dialogue.ask(abci.QUERY, request, abci.ResponseQuery)

    dialogue.begin()
    key = party_key("operator")
    assert query("/state", key.encode(), prove=True).code != 0, "before the first block"
    ann = bench.register("ann")
    dialogue.block(ann)
    assert decode(Party, query("/state", key.encode()).value).nonce == 1
    for wanted in (key, party_key("nobody")):
        proof = read_proof(query("/state", wanted.encode(), prove=True).value)
        check_proof(proof, dialogue.adapter.application.last_hash)
        assert proof.state is not None
        assert (proof.state.value is None) == (wanted != key)
    receipt = decode(Receipt, query("/receipt", sha256(ann[0])).value)
    assert receipt.verdict == Verdict.ACCEPTED
    assert query("/state", b"account/ann").code != 0
    for path, data in (("/else", b""), ("/state", b"\xff"), ("/receipt", b"x"), ("/state", b"x")):
        assert query(path, data).code != 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chain_id", "another"),
        ("app_state_bytes", b"{}"),
        ("initial_height", 2),
        ("validators", ()),
    ],
)
def test_another_chain_is_refused(dialogue: Dialogue, field: str, value: object) -> None:
    first = dialogue.first()
    fields = {name: getattr(first, name) for name in first.__slots__}
    request = abci.RequestInitChain(**{**fields, field: value})
    with pytest.raises(InputError, match=field.partition("_b")[0]):
        dialogue.ask(abci.INIT_CHAIN, request, abci.ResponseInitChain)


def test_requests_without_effect(dialogue: Dialogue) -> None:
    hello = abci.Echo("hello")
    assert dialogue.ask(abci.ECHO, hello, abci.Echo) == hello
    nothing = dialogue.ask(abci.EXTEND_VOTE, abci.Empty(), abci.ResponseExtendVote)
    assert nothing.vote_extension == b""
    for extension, result in ((b"", abci.ACCEPT), (b"x", abci.REJECT_PROPOSAL)):
        request = abci.RequestVerifyVoteExtension(1, extension)
        answer = dialogue.ask(abci.VERIFY_VOTE_EXTENSION, request, abci.ResponseResult)
        assert answer.result == result


def test_out_of_turn_is_an_error(dialogue: Dialogue) -> None:
    dialogue.begin()
    with pytest.raises(InputError, match="no block"):
        dialogue.commit()
    with pytest.raises(InvariantError, match="CometBFT is at 5"):
        dialogue.finalize(abci.RequestBlock((), b"", 5))


def test_the_ledger_of_another_engine_is_refused(tmp_path: Path, bench: Bench) -> None:
    async def make() -> None:
        engine = await EmbeddedEngine.create(tmp_path / "ledger", bench.genesis)
        ann = bench.register("ann")
        await engine.submit(*ann)
        await engine.receipts([sha256(ann[0])])
        await engine.close()

    asyncio.run(make())
    with pytest.raises(InputError, match="another engine"):
        Dialogue(tmp_path, bench)


def test_forgetting_makes_no_block_on_a_ledger_that_others_decide(
    dialogue: Dialogue, bench: Bench
) -> None:
    dialogue.begin()
    for transactions in blocks_of_a_slot(bench)[:1]:
        dialogue.block(*transactions)
    dialogue.adapter.close()
    with pytest.raises(InputError):
        forget_participant(dialogue.folder / "ledger", "ann", 7)
