"""Goal: carbon in a ledger folder is audited, proved, exported, forgotten and handed on like money.

Method: the small day of `carbon_bench` on disk, up to final slots. Whatever is changed in its
database must be found; whatever somebody may have of it must open the commitments of the state.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.carbon_bench import (
    ANN,
    BOB,
    NEXT,
    allotment,
    part,
    settle,
    sums,
    with_carbon,
)
from tests.ledger_bench import DAY, LENGTH_S, MARKET, SLOT, TARIFF, Bench, Signed, genesis_with
from tests.unit.node.cometbft.dialogue import Dialogue
from tests.unit.node.written_ledger import SEED, WrittenBench

from gridpact.codec import decode, encode, sha256
from gridpact.contracts import allotting
from gridpact.contracts.statements import Statement, open_claim
from gridpact.errors import InputError
from gridpact.ledger.blocks import record_hash
from gridpact.ledger.proofs import ProofError, ProofFile, check_proof
from gridpact.ledger.snapshots import read_snapshot, snapshot_bytes
from gridpact.model import CarbonLine, CarbonStatement, CarbonStore, Phase, SlotCarbon
from gridpact.node import (
    LedgerStore,
    SimulatedKeys,
    audit_ledger,
    export_participant,
    forget_participant,
    prove_bill,
    restore_ledger,
    snapshot_ledger,
)
from gridpact.node.cometbft import messages as abci
from gridpact.node.prover import prove_carbon

NEXT_DAY = "2023-11-15"
GENESIS = with_carbon(genesis_with(SimulatedKeys(SEED)))


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slots of two billing days, final."""
    folder = tmp_path_factory.mktemp("day") / "ledger"
    bench = WrittenBench(folder, GENESIS)
    settle(bench, second_day=NEXT_DAY)
    bench.accept(*allotment(bench))
    bench.move(Phase.FINAL, slots=2)
    bench.store.close()
    return folder


@pytest.fixture
def ledger(day: Path, tmp_path: Path) -> Path:
    """A copy of the day in a folder of its own."""
    return shutil.copytree(day, tmp_path / "ledger")


# Audit


def test_an_honest_ledger_audits(day: Path) -> None:
    report = audit_ledger(day)
    assert report.violations == []
    assert report.height > 0


def change(folder: Path, table: str, where: str, column: str, value: object) -> None:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        query = f"UPDATE {table} SET {column} = ? WHERE {where}"  # noqa: S608
        assert db.execute(query, [value]).rowcount == 1
        db.commit()


def stored(folder: Path, table: str, where: str, column: str) -> bytes:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        query = f"SELECT {column} FROM {table} WHERE {where}"  # noqa: S608
        ((value,),) = db.execute(query).fetchall()
    return bytes(value)


LINE = f"series = 'carbon/ann/{DAY}' AND idx = 0"


@pytest.mark.parametrize(
    ("table", "where", "kind", "field"),
    [
        ("private_documents", LINE, CarbonLine, "bought_ug"),
        ("private_state", f"key = 'carbon/bob/{DAY}'", CarbonStatement, "load_ug"),
        ("private_state", f"key = 'carbon-store/bob/{MARKET}'", CarbonStore, "held_ug"),
        ("state", f"key = 'slot-carbon/{MARKET}/{SLOT}'", SlotCarbon, "lost_ug"),
    ],
)
def test_a_microgram_that_was_changed_is_found(
    ledger: Path, table: str, where: str, kind: type[Any], field: str
) -> None:
    column = "data" if table == "private_documents" else "value"
    value = decode(kind, stored(ledger, table, where, column))
    more = msgspec.structs.replace(value, **{field: getattr(value, field) + 1})
    change(ledger, table, where, column, encode(more))
    found = "\n".join(audit_ledger(ledger).violations)
    name = f"carbon/ann/{DAY}" if table == "private_documents" else where.split("'")[1]
    assert f"{name!r}" in found
    assert "is not what the replay gives" in found or "are not what the replay gives" in found


@pytest.mark.parametrize(("column", "value"), [("salt", bytes(32)), ("owner", "bob"), ("idx", 7)])
def test_a_line_that_was_moved_is_found(ledger: Path, column: str, value: object) -> None:
    change(ledger, "private_documents", LINE, column, value)
    assert audit_ledger(ledger).violations


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ("private_documents", LINE),
        ("private_state", f"key = 'carbon/ann/{DAY}'"),
        ("private_state", f"key = 'carbon-store/bob/{MARKET}'"),
        ("state", f"key = 'slot-carbon/{MARKET}/{NEXT}'"),
    ],
)
def test_a_row_that_is_gone_is_found(ledger: Path, table: str, where: str) -> None:
    with closing(sqlite3.connect(ledger / "ledger.sqlite")) as db:
        assert db.execute(f"DELETE FROM {table} WHERE {where}").rowcount == 1  # noqa: S608
        db.commit()
    assert audit_ledger(ledger).violations


class Unwatched(WrittenBench):
    """A host that does not ask for sums."""

    def check(self) -> None:
        """Nothing is asked."""


@pytest.mark.parametrize("bare", [False, True], ids=["a slot opens", "a bare barrier"])
def test_an_auditor_asks_for_the_sums_of_a_release_that_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bare: bool
) -> None:
    """Its replay gives the same wrong state, so only the sums can tell."""
    monkeypatch.setattr(allotting, "_held_after", lambda *_: None)
    bench = Unwatched(tmp_path / "ledger", GENESIS)
    settle(bench)
    past_s = SLOT - LENGTH_S
    bench.accept(bench.tariff(TARIFF, first_s=past_s))
    bench.move(Phase.OPEN, first_s=past_s)
    bench.walk(Phase.DELIVERED, first_s=past_s)
    bench.accept(bench.batch("ann", [0], sender="ann.meter", first_s=past_s))
    bench.accept(bench.batch("bob", [0], sender="bob.meter", first_s=past_s))
    bench.walk(Phase.FINAL, first_s=past_s)
    bench.accept(*allotment(bench))
    if bare:
        bench.move(Phase.FINAL, first_s=past_s)
    else:
        bench.open(first_s=NEXT + LENGTH_S)
    bench.store.close()
    (found,) = audit_ledger(bench.folder).violations
    assert f"carbon of {MARKET}: storages hold 0 ug, slots say 2000000 ug" in found


# Proofs


def proof_of(
    folder: Path, prove: Callable[[LedgerStore, str, str], ProofFile], member: str, day: str
) -> tuple[ProofFile, bytes]:
    store = LedgerStore.open(folder, writable=False)
    try:
        tip = store.tip()
        assert tip is not None
        return prove(store, member, day), tip[1]
    finally:
        store.close()


def test_a_statement_is_proved_to_who_has_no_ledger(day: Path) -> None:
    proof, root = proof_of(day, prove_carbon, "ann", DAY)
    statement = verify(proof, root)
    assert statement.key == f"carbon/ann/{DAY}"
    (line,) = statement.carbon
    assert (line.slot_start_s, line.physical, line.bought_wh) == (SLOT, ANN[0], 600)
    assert isinstance(statement.value, CarbonStatement)
    assert statement.value.load_ug == 194_285_714


def test_without_a_day_it_is_the_last(day: Path) -> None:
    proof, _ = proof_of(day, prove_carbon, "bob", "")
    assert proof.state is not None
    assert proof.state.key == f"carbon/bob/{NEXT_DAY}"


@pytest.mark.parametrize(
    ("member", "day_of", "said"),
    [
        ("eve", DAY, "'eve' has no carbon statement; participants: ann, bob"),
        ("ann", "2023-11-16", f"ann has no carbon statement of .*{DAY}, {NEXT_DAY}"),
    ],
)
def test_what_cannot_be_proved_is_named(day: Path, member: str, day_of: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        proof_of(day, prove_carbon, member, day_of)


def test_no_part_of_a_proof_can_be_changed(day: Path) -> None:
    proof, root = proof_of(day, prove_carbon, "ann", DAY)
    claim = proof.state
    assert claim is not None
    value = decode(CarbonStatement, claim.value or b"")
    (line,) = claim.documents
    replace = msgspec.structs.replace
    physical = decode(CarbonLine, line.data)
    less = replace(physical, bought_ug=physical.bought_ug - 1)
    forged_line = replace(line, data=encode(less))
    for forged in (
        replace(claim, value=encode(replace(value, load_ug=value.load_ug - 1))),
        replace(claim, key=f"carbon/bob/{DAY}"),
        replace(claim, salt=bytes(32)),
        replace(claim, documents=[forged_line]),
        replace(claim, documents=[line, line]),
    ):
        with pytest.raises(ProofError):
            verify(replace(proof, state=forged), root)


def verify(proof: ProofFile, root: bytes) -> Statement:
    """All that somebody does who has the file and the record's hash."""
    proved = check_proof(proof, root)
    assert proved.state is not None
    return open_claim(proved.state)


# Export


def test_an_export_has_all_of_ones_own_and_nothing_of_others(day: Path) -> None:
    bob: Any = export_participant(day, "bob")
    first, second = bob["carbon_statements"]
    assert [one["key"] for one in (first, second)] == [
        f"carbon/bob/{DAY}",
        f"carbon/bob/{NEXT_DAY}",
    ]
    (line,) = second["lines"]
    assert line["value"]["physical"] == msgspec.structs.asdict(BOB[1])
    assert second["value"]["discharged_ug"] == 6_000_000
    (store,) = bob["carbon_stores"]
    assert (store["key"], store["value"]) == (f"carbon-store/bob/{MARKET}", {"held_ug": 2_000_000})
    for opened in (first, second, store):
        content = bytes.fromhex(opened["salt"] + opened["canonical"])
        assert sha256(content).hex() == opened["commitment"]
    about = [one for one in bob["transactions"] if "carbon" in one["kind"]]
    assert [(one["kind"], one["body"]["participant"]) for one in about] == [
        ("member_carbon", "bob")
    ]
    assert about[0]["payload"]["slots"][0]["charged_ug"] == 8_000_000
    assert bob["units"]["_ug"]
    ann: Any = export_participant(day, "ann")
    assert ann["carbon_stores"] == []
    texts = {name: json.dumps(export) for name, export in (("ann", ann), ("bob", bob))}
    for mine, other in (("ann", bob), ("bob", ann)):
        for statement in other["carbon_statements"]:
            for secret in (statement, *statement["lines"]):
                assert secret["salt"] not in texts[mine]
                assert secret["canonical"] not in texts[mine]


def test_parts_that_wait_are_open_positions(ledger: Path) -> None:
    bench = WrittenBench.going_on(ledger)
    later_s = NEXT + LENGTH_S
    bench.open(first_s=later_s)
    bench.walk(Phase.DELIVERED, first_s=later_s)
    bench.accept(bench.batch("ann", [-1_000], sender="ann.meter", first_s=later_s))
    bench.accept(bench.batch("bob", [0], sender="bob.meter", first_s=later_s))
    bench.walk(Phase.SETTLED, first_s=later_s)
    bench.accept(bench.member_carbon("ann", ANN[0], first_s=later_s))
    bench.open(first_s=later_s + LENGTH_S)
    bench.store.close()
    ann: Any = export_participant(ledger, "ann")
    kinds = [position["key"].partition("/")[0] for position in ann["open_positions"]]
    assert sorted(kinds) == ["parts", "readings"]
    bob: Any = export_participant(ledger, "bob")
    assert "parts" not in json.dumps(bob["open_positions"])
    assert audit_ledger(ledger).violations == []


# Forgetting


def test_a_forgotten_member_leaves_no_carbon_behind(ledger: Path) -> None:
    before: Any = export_participant(ledger, "bob")
    others: Any = export_participant(ledger, "ann")
    wanted = {bytes.fromhex(before["carbon_stores"][0]["salt"])}
    for statement in before["carbon_statements"]:
        for opened in (statement, *statement["lines"]):
            wanted |= {bytes.fromhex(opened["salt"]), bytes.fromhex(opened["canonical"])}
    (part,) = [one for one in before["transactions"] if one["kind"] == "member_carbon"]
    wanted.add(bytes.fromhex(part["sealed"]))
    proof = proof_of(ledger, prove_carbon, "ann", DAY)
    done = forget_participant(ledger, "bob", SEED)
    for path in ledger.iterdir():
        content = path.read_bytes()
        assert not [data for data in wanted if data in content], path.name
    assert audit_ledger(ledger).violations == []
    bill_lines = sum(len(bill["lines"]) for bill in before["bills"])
    assert done.documents == bill_lines + 2
    assert sum(done.totals["2023"].values()) == sum(
        bill["value"]["total_nano"] for bill in before["bills"]
    )
    after: Any = export_participant(ledger, "ann")
    assert after["carbon_statements"] == others["carbon_statements"]
    with pytest.raises(InputError, match="'bob' has no carbon statement; participants: ann"):
        proof_of(ledger, prove_carbon, "bob", DAY)
    for again in (proof, proof_of(ledger, prove_carbon, "ann", DAY)):
        assert verify(*again).carbon
    assert forget_participant(ledger, "bob", SEED).already


def test_lines_of_who_stays_are_watched_after_another_was_forgotten(ledger: Path) -> None:
    """The blocks that wrote them are not executed any more; the tree in the statement is."""
    forget_participant(ledger, "bob", SEED)
    line = decode(CarbonLine, stored(ledger, "private_documents", LINE, "data"))
    more = msgspec.structs.replace(line, supplied_ug=line.supplied_ug + 1)
    change(ledger, "private_documents", LINE, "data", encode(more))
    found = audit_ledger(ledger).violations
    assert any(f"documents of 'carbon/ann/{DAY}'" in text for text in found)


def test_carbon_goes_on_after_somebody_was_forgotten(ledger: Path) -> None:
    forget_participant(ledger, "bob", SEED)
    bench = WrittenBench.going_on(ledger)
    go_on_alone(bench)
    bench.store.close()
    assert audit_ledger(ledger).violations == []
    proof, root = proof_of(ledger, prove_carbon, "ann", DAY)
    proved = check_proof(proof, root)
    assert proved.state is not None
    assert [line.slot_start_s for line in open_claim(proved.state).carbon] == [
        SLOT,
        NEXT + LENGTH_S,
    ]


def go_on_alone(bench: Bench) -> None:
    """One more slot of the first billing day, with Ann only."""
    start_s = NEXT + LENGTH_S
    bench.open(first_s=start_s)
    bench.walk(Phase.DELIVERED, first_s=start_s)
    bench.accept(bench.batch("ann", [-10], sender="ann.meter", first_s=start_s))
    bench.walk(Phase.SETTLED, first_s=start_s)
    mine = part(load=(10, 4_000_000))
    bench.accept(
        bench.member_carbon("ann", mine, first_s=start_s),
        bench.slot_carbon(sums([mine], 10), first_s=start_s),
    )
    bench.move(Phase.FINAL, first_s=start_s)


# Handing on


def test_a_restored_ledger_has_statements_with_their_lines(day: Path, tmp_path: Path) -> None:
    data, record = snapshot_ledger(day)
    folder = tmp_path / "again"
    restore_ledger(data, folder, where="s")
    assert audit_ledger(folder).violations == []
    for prove in (prove_carbon, prove_bill):
        assert proof_of(folder, prove, "ann", DAY) == proof_of(day, prove, "ann", DAY)
    old: Any = export_participant(day, "bob")
    new: Any = export_participant(folder, "bob")
    for name in ("carbon_statements", "carbon_stores", "bills"):
        assert new[name] == old[name]
    assert proof_of(folder, prove_carbon, "bob", "")[1] == record_hash(record)


def test_a_snapshot_without_a_line_is_refused(day: Path, tmp_path: Path) -> None:
    snapshot = read_snapshot(snapshot_ledger(day)[0])
    kept = [d for d in snapshot.private.documents if d.series != f"carbon/ann/{DAY}"]
    assert len(kept) == len(snapshot.private.documents) - 1
    private = msgspec.structs.replace(snapshot.private, documents=kept)
    data = snapshot_bytes(msgspec.structs.replace(snapshot, private=private))
    with pytest.raises(InputError, match=f"'carbon/ann/{DAY}' are not the lines"):
        restore_ledger(data, tmp_path / "x", where="s")


class Noted(Bench):
    """A bench that notes which blocks it was asked for."""

    def __init__(self) -> None:
        super().__init__(GENESIS, SimulatedKeys(SEED))
        self.blocks: list[tuple[Signed, ...]] = []

    def accept(self, *transactions: Signed, time_s: int = 0) -> None:
        super().accept(*transactions, time_s=time_s)
        self.blocks.append(transactions)


def test_state_sync_brings_statements_with_their_lines(tmp_path: Path) -> None:
    bench = Noted()
    settle(bench)
    bench.accept(*allotment(bench))
    bench.move(Phase.FINAL, slots=2)
    giver = Dialogue(tmp_path / "giver", Noted(), 1)
    giver.begin()
    for transactions in bench.blocks:
        giver.block(*transactions)
    taker = Dialogue(tmp_path / "taker", Noted())
    last = giver.ask(abci.LIST_SNAPSHOTS, abci.Empty(), abci.ResponseListSnapshots).snapshots[-1]
    offer = abci.RequestOfferSnapshot(last, giver.adapter.application.last_hash)
    assert taker.ask(abci.OFFER_SNAPSHOT, offer, abci.ResponseResult).result == abci.ACCEPT
    for index in range(last.chunks):
        wanted = abci.RequestLoadSnapshotChunk(last.height, last.format, index)
        chunk = giver.ask(abci.LOAD_SNAPSHOT_CHUNK, wanted, abci.ResponseLoadSnapshotChunk).chunk
        applied = abci.RequestApplySnapshotChunk(index, chunk, "peer")
        taker.ask(abci.APPLY_SNAPSHOT_CHUNK, applied, abci.ResponseApplySnapshotChunk)
    assert taker.info() == giver.info()
    for key in (f"carbon/ann/{DAY}", f"carbon/bob/{DAY}"):
        documents = [side.adapter.store.documents(key) for side in (giver, taker)]
        assert documents[0] == documents[1]
        assert len(documents[0]) == 2
