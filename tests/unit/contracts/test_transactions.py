"""Goal: what can be refused without knowing the state is refused, the first reason first."""

from __future__ import annotations

import msgspec
import pytest

from bargain_bench import bids_of
from carbon_bench import ANN, SLOTS
from gridpact.codec import Wire, decode, encode, sha256
from gridpact.contracts import judge_payload
from gridpact.contracts.bodies import CloseAccount, Kind, OrderPayload, PlaceOrder
from gridpact.contracts.kinds import KINDS
from gridpact.ledger.envelope import Envelope, Transaction, signing_digest
from gridpact.model import Certificate, Side, Verdict
from gridpact.node import SimulatedKeys
from ledger_bench import MARKET, SLOT, Bench, genesis_with
from trace_rows import TRACE_BODIES

BODY = PlaceOrder(MARKET, SLOT)
PAYLOAD = OrderPayload(Side.BID, 200_000, 1, 200_000, 0)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def changed(raw: bytes, **fields: object) -> bytes:
    """The envelope with other fields, canonical again."""
    return encode(msgspec.structs.replace(decode(Envelope, raw), **fields))


def order(bench: Bench) -> tuple[bytes, bytes]:
    return bench.sign("auditor", Kind.ORDER, BODY, PAYLOAD, nonce=1)


def test_a_good_envelope_is_read(bench: Bench) -> None:
    raw, sealed = order(bench)
    transaction = bench.application.readable(raw)
    assert transaction == Transaction(
        raw=raw,
        envelope=decode(Envelope, raw),
        id=sha256(raw),
        body=BODY,
        digest=signing_digest(bench.application.genesis_hash, raw),
    )
    assert judge_payload(transaction, sealed, bench.application.rules) == Verdict.ACCEPTED


def test_the_size_is_judged_before_anything_else() -> None:
    keys = SimulatedKeys(7)
    raw, sealed = order(Bench())
    limits = genesis_with(keys).limits
    for name, size, data in (("envelope_bytes", len(raw), raw), ("payload_bytes", 0, sealed)):
        for spare, verdict in ((0, Verdict.ACCEPTED), (-1, Verdict.OVERSIZED)):
            cap = (size or len(sealed)) + spare
            tight = msgspec.structs.replace(limits, **{name: cap})
            bench = Bench(genesis_with(keys, limits=tight), keys)
            if name == "envelope_bytes":
                read = bench.application.readable(data)
                assert isinstance(read, Transaction) == (verdict == Verdict.ACCEPTED)
                assert bench.application.readable(bytes(cap + 1)) == Verdict.OVERSIZED
            else:
                transaction = bench.application.readable(raw)
                assert isinstance(transaction, Transaction)
                assert judge_payload(transaction, data, bench.application.rules) == verdict


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:0],
        lambda raw: raw[:-1],
        lambda raw: raw + b"\x00",
        lambda raw: b"\x99" + raw[1:] + b"\xc0",
        lambda raw: b"\xdc\x00\x08" + raw[1:],
        lambda raw: raw[:1] + b"\xcc" + raw[1:],  # version 1 in a longer form
        lambda raw: msgspec.msgpack.encode([raw]),
    ],
)
def test_malformed_envelopes(bench: Bench, spoil: object) -> None:
    assert callable(spoil)
    raw, _ = order(bench)
    assert bench.application.readable(spoil(raw)) == Verdict.MALFORMED_ENVELOPE


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"version": 0}, Verdict.UNKNOWN_VERSION),
        ({"version": 2}, Verdict.UNKNOWN_VERSION),
        ({"version": 2, "kind": 99, "public": b"", "payload_hash": b""}, Verdict.UNKNOWN_VERSION),
        ({"kind": 0}, Verdict.UNKNOWN_KIND),
        ({"kind": 99, "public": b"", "payload_hash": b""}, Verdict.UNKNOWN_KIND),
        ({"public": b""}, Verdict.MALFORMED_BODY),
        ({"public": encode(BODY) + b"\x00"}, Verdict.MALFORMED_BODY),
        ({"public": b"\x92\xa3lv1\xcf\x00\x00\x00\x00\x00\x00\x00\x01"}, Verdict.MALFORMED_BODY),
        ({"kind": int(Kind.TARIFF)}, Verdict.MALFORMED_BODY),
        ({"public": b"", "payload_hash": b""}, Verdict.MALFORMED_BODY),
        ({"payload_hash": b""}, Verdict.PAYLOAD_MISMATCH),
        ({"payload_hash": bytes(31)}, Verdict.PAYLOAD_MISMATCH),
    ],
)
def test_the_first_fault_is_named(
    bench: Bench, fields: dict[str, object], verdict: Verdict
) -> None:
    raw, _ = order(bench)
    assert bench.application.readable(changed(raw, **fields)) == verdict


@pytest.mark.parametrize("kind", Kind)
def test_an_envelope_names_a_payload_if_and_only_if_its_kind_has_one(
    bench: Bench, kind: Kind
) -> None:
    has_payload = KINDS[kind].payload is not None
    raw, _ = order(bench)
    fields = {"kind": int(kind), "public": encode(BODIES[kind])}
    for payload_hash in (b"", bytes(32)):
        read = bench.application.readable(changed(raw, payload_hash=payload_hash, **fields))
        fits = bool(payload_hash) == has_payload
        assert (read if isinstance(read, Verdict) else Verdict.ACCEPTED) == (
            Verdict.ACCEPTED if fits else Verdict.PAYLOAD_MISMATCH
        )


def bodies() -> dict[Kind, Wire]:
    """One body of each kind, as the bench writes them."""
    bench = Bench()
    transactions = [
        bench.register("ann"),
        bench.meter("ann"),
        bench.grant("ann", 1),
        bench.rotate("ann", "ann"),
        bench.deposit("ann", 1),
        bench.withdraw("ann", 1),
        bench.tariff(),
        bench.bid("ann", 1, 1),
        bench.cancel("ann", 1),
        bench.phase(1),
        bench.write("operator", Kind.CLOSE_ACCOUNT, CloseAccount("ann", 0)),
        bench.seal("ann", PAYLOAD),
        bench.reveal("ann", 1, PAYLOAD),
        bench.curtailment((0, 1, "line-7")),
        bench.microgrid("ann", bids_of()["ann"]),
        bench.clearing(Certificate(b"", b"", b"", b"", b"", [], [], [], [])),
        bench.reading("ann"),
        bench.batch("ann", [1, -1]),
        bench.member_carbon("ann", *ANN),
        bench.slot_carbon(*SLOTS),
        *(bench.write("ann", kind, body) for kind, body in TRACE_BODIES.items()),
    ]
    read = [bench.application.readable(raw) for raw, _ in transactions]
    return {Kind(t.envelope.kind): t.body for t in read if isinstance(t, Transaction)}


BODIES = bodies()


def test_the_bench_writes_every_kind() -> None:
    assert set(BODIES) == set(Kind)


def test_a_payload_is_the_one_that_the_envelope_names(bench: Bench) -> None:
    raw, sealed = order(bench)
    transaction = bench.application.readable(raw)
    assert isinstance(transaction, Transaction)
    for other in (b"", sealed[:-1], sealed + b"\x00", sealed[:32], bytes(32) + sealed[32:]):
        verdict = judge_payload(transaction, other, bench.application.rules)
        assert verdict == Verdict.PAYLOAD_MISMATCH


def test_a_kind_without_payload_takes_none(bench: Bench) -> None:
    raw, _ = bench.tariff()
    transaction = bench.application.readable(raw)
    assert isinstance(transaction, Transaction)
    rules = bench.application.rules
    assert judge_payload(transaction, b"", rules) == Verdict.ACCEPTED
    assert judge_payload(transaction, bytes(40), rules) == Verdict.PAYLOAD_MISMATCH


def test_the_same_bytes_on_another_chain_have_another_digest() -> None:
    keys = SimulatedKeys(7)
    here, there = (
        Bench(genesis_with(keys), keys),
        Bench(genesis_with(keys, orders_per_slot=9), keys),
    )
    raw, _ = order(here)
    read = [bench.application.readable(raw) for bench in (here, there)]
    assert isinstance(read[0], Transaction)
    assert isinstance(read[1], Transaction)
    assert read[0].id == read[1].id
    assert read[0].digest != read[1].digest
