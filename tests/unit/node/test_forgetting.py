"""Goal: what is about a forgotten member is in no file any more; everybody else notices nothing.

Method: a small day on disk; the bytes that must go are taken from the ledger before, and every file
of its folder is searched for them afterwards.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.ledger_bench import DAY, SLOT
from tests.unit.node.written_ledger import LATER, SEED, WrittenBench, trade_a_slot, written_day

from gridpact.contracts.statements import open_claim
from gridpact.errors import InputError, StoreError
from gridpact.ledger.blocks import record_hash
from gridpact.ledger.proofs import ProofFile, check_proof
from gridpact.model import LineKind
from gridpact.node import (
    LedgerStore,
    SimulatedKeys,
    audit_ledger,
    export_participant,
    forget_participant,
    prove_bill,
)


def personal_bytes(folder: Path, member: str) -> set[bytes]:
    """Payload values, salts, state values, lines and the secret of one member."""
    keys = SimulatedKeys(SEED)
    found = {keys.secret(member)}
    exported: Any = export_participant(folder, member)
    for transaction in exported["transactions"]:
        if transaction["sealed"]:
            sealed = bytes.fromhex(transaction["sealed"])
            found |= {sealed[:32], sealed[32:]}
    items = [exported["account"], exported["secret"]]
    for bill in exported["bills"]:
        items += [bill, *bill["lines"]]
    for item in items:
        found |= {bytes.fromhex(item["salt"]), bytes.fromhex(item["canonical"])}
    return {data for data in found if len(data) > 6}


def left_in(folder: Path, wanted: set[bytes]) -> list[str]:
    """Which of the bytes are in which file."""
    return [
        f"{path.name}: {data.hex()}"
        for path in folder.iterdir()
        for content in (path.read_bytes(),)
        for data in sorted(wanted)
        if data in content
    ]


def bill_proof(folder: Path, member: str) -> tuple[ProofFile, bytes]:
    """A proof of a bill, and the record hash that it is checked against."""
    store = LedgerStore.open(folder, writable=False)
    try:
        tip = store.tip()
        assert tip is not None
        return prove_bill(store, member, DAY), tip[1]
    finally:
        store.close()


def verify(proof: tuple[ProofFile, bytes]) -> None:
    proved = check_proof(*proof)
    assert proved.state is not None
    assert open_claim(proved.state).lines


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day") / "ledger"
    written_day(folder).store.close()
    return folder


@pytest.fixture
def ledger(day: Path, tmp_path: Path) -> Path:
    """A copy of the day in a folder of its own."""
    return shutil.copytree(day, tmp_path / "ledger")


def test_the_story_of_a_forgotten_member(ledger: Path) -> None:
    gone = personal_bytes(ledger, "ann")
    assert len(gone) > 20
    assert left_in(ledger, gone)
    earlier = bill_proof(ledger, "bob")
    before = export_participant(ledger, "bob")
    whole = audit_ledger(ledger)
    assert (whole.violations, whole.pruned_payloads, whole.base_height) == ([], 0, 0)

    done = forget_participant(ledger, "ann", SEED)
    assert (done.already, done.payloads, done.state_entries) == (False, 9, 3)
    assert done.documents > 3

    assert left_in(ledger, gone) == []
    report = audit_ledger(ledger)
    assert report.violations == []
    assert report.pruned_payloads == done.payloads
    assert report.base_height == report.height == whole.height + 1
    assert report.transactions == whole.transactions + 2

    verify(earlier)
    verify(bill_proof(ledger, "bob"))
    after = export_participant(ledger, "bob")
    for part in ("bills", "account", "party", "meters"):
        assert after[part] == before[part], part
    with pytest.raises(InputError, match="'ann' has no bill"):
        bill_proof(ledger, "ann")

    again = forget_participant(ledger, "ann", SEED)
    assert (again.already, again.totals) == (True, done.totals)
    assert audit_ledger(ledger).height == report.height


def test_totals_of_a_year_stay(ledger: Path) -> None:
    exported: Any = export_participant(ledger, "ann")
    bill = exported["bills"][0]["value"]
    totals = forget_participant(ledger, "ann", SEED).totals
    assert set(totals) == {"2023"}
    for kind, field in {
        LineKind.PURCHASE: "purchases_nano",
        LineKind.SALE: "sales_nano",
        LineKind.NETWORK_FEE: "fees_nano",
        LineKind.GRID_IMPORT: "grid_import_nano",
        LineKind.GRID_EXPORT: "grid_export_nano",
        LineKind.LOST_DEPOSIT: "lost_deposits_nano",
    }.items():
        assert totals["2023"][kind] == bill[field], kind
    assert sum(totals["2023"].values()) == bill["total_nano"]
    assert export_participant(ledger, "ann")["annual_totals"]


def test_the_ledger_goes_on_and_forgets_another(ledger: Path) -> None:
    """After the base everything is executed; a second member moves the base on."""
    forget_participant(ledger, "ann", SEED)
    bench = WrittenBench.going_on(ledger)
    trade_a_slot(bench, ("bob", "cyd"), LATER)
    bench.store.close()
    report = audit_ledger(ledger)
    assert report.violations == []
    assert report.base_height < report.height
    wanted = personal_bytes(ledger, "cyd")
    forget_participant(ledger, "cyd", SEED)
    assert left_in(ledger, wanted) == []
    report = audit_ledger(ledger)
    assert report.violations == []
    assert report.base_height == report.height


def test_a_forgotten_id_stays_taken(ledger: Path) -> None:
    forget_participant(ledger, "ann", SEED)
    bench = WrittenBench.going_on(ledger)
    told = bench.told(bench.register("ann"), bench.rotate("ann", "other"), bench.withdraw("ann", 1))
    assert [verdict.name for verdict in told] == [
        "ALREADY_REGISTERED",
        "ROLE_MISSING",
        "ROLE_MISSING",
    ]
    bench.store.close()
    assert audit_ledger(ledger).violations == []


@pytest.mark.parametrize(
    ("participant", "seed", "text"),
    [
        ("eve", SEED, "there are: ann, bob, cyd"),
        ("ann", SEED + 1, "no operator"),
        ("ann.meter", SEED, "no participant"),
    ],
)
def test_refusals_change_nothing(ledger: Path, participant: str, seed: int, text: str) -> None:
    before = audit_ledger(ledger)
    with pytest.raises(InputError, match=text):
        forget_participant(ledger, participant, seed)
    assert audit_ledger(ledger) == before


def test_an_account_in_use_is_refused(ledger: Path) -> None:
    bench = WrittenBench.going_on(ledger)
    bench.open(first_s=LATER)
    bench.store.close()
    before = audit_ledger(ledger)
    with pytest.raises(InputError, match="ACCOUNT_IN_USE; 1 slots are not final"):
        forget_participant(ledger, "ann", SEED)
    assert audit_ledger(ledger) == before


def test_without_a_final_slot_there_is_no_barrier(tmp_path: Path) -> None:
    bench = WrittenBench(tmp_path / "ledger")
    bench.join("ann")
    bench.open()
    bench.store.close()
    with pytest.raises(InputError, match="no slot is final"):
        forget_participant(bench.folder, "ann", SEED)


@pytest.mark.parametrize("step", ["forget", "wipe"])
def test_a_crash_between_the_steps_can_be_repeated(
    ledger: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = personal_bytes(ledger, "ann")

    def crash(*_: object) -> None:
        raise StoreError("crash")

    with monkeypatch.context() as patch:
        patch.setattr(LedgerStore, step, crash)
        with pytest.raises(StoreError, match="crash"):
            forget_participant(ledger, "ann", SEED)
    assert audit_ledger(ledger).violations == []
    done = forget_participant(ledger, "ann", SEED)
    assert done.already == (step == "wipe")
    assert done.totals["2023"][LineKind.PURCHASE] < 0
    assert left_in(ledger, wanted) == []
    assert audit_ledger(ledger).violations == []


@pytest.mark.parametrize("step", ["forget", "wipe"])
def test_a_process_that_dies_leaves_a_ledger_that_can_go_on(ledger: Path, step: str) -> None:
    """Nothing is closed, so log and lock lie there as the crash left them."""
    wanted = personal_bytes(ledger, "ann")
    script = (
        "import os, sys; from pathlib import Path; from gridpact.node import LedgerStore\n"
        "from gridpact.node import forget_participant\n"
        "setattr(LedgerStore, sys.argv[2], lambda *_: os._exit(9))\n"
        f"forget_participant(Path(sys.argv[1]), 'ann', {SEED})"
    )
    command = [sys.executable, "-c", script, str(ledger), step]
    assert subprocess.run(command, check=False).returncode == 9
    assert audit_ledger(ledger).violations == []
    assert left_in(ledger, wanted)
    forget_participant(ledger, "ann", SEED)
    assert left_in(ledger, wanted) == []
    assert audit_ledger(ledger).violations == []


def test_a_reader_in_the_way_is_named_and_the_command_can_be_repeated(ledger: Path) -> None:
    wanted = personal_bytes(ledger, "ann")
    bench = WrittenBench.going_on(ledger)
    bench.barrier()
    reader = LedgerStore.open(ledger, writable=False)
    with reader.one_moment():
        reader.height()
        bench.store.close()
        with pytest.raises(StoreError, match="another program"):
            forget_participant(ledger, "ann", SEED)
    reader.close()
    forget_participant(ledger, "ann", SEED)
    assert left_in(ledger, wanted) == []


def test_a_closed_account_that_nobody_forgot_stays_readable_after_another_is(ledger: Path) -> None:
    """Its lines are under no tree of the base; a digest watches over them."""
    bench = WrittenBench.going_on(ledger)
    bench.accept(bench.close_account("cyd"))
    bench.barrier()
    bench.store.close()
    assert audit_ledger(ledger).violations == []
    forget_participant(ledger, "ann", SEED)
    assert audit_ledger(ledger).violations == []
    done = forget_participant(ledger, "cyd", SEED)
    assert done.documents
    assert done.totals["2023"][LineKind.SALE] > 0
    assert audit_ledger(ledger).violations == []


def test_export_is_deterministic_and_names_units(ledger: Path) -> None:
    first, second = (json.dumps(export_participant(ledger, "ann")) for _ in range(2))
    assert first == second
    value = json.loads(first)
    kinds = [transaction["kind"] for transaction in value["transactions"]]
    assert {
        "register_participant",
        "register_meter",
        "deposit",
        "order",
        "reading",
        "withdraw",
    } == (set(kinds))
    order = next(t for t in value["transactions"] if t["kind"] == "order")
    assert order["payload"]["side"] == "bid"
    assert order["payload"]["energy_wh"] == 1_117
    assert order["body"] == {"market": "lv1", "slot_start_s": SLOT}
    assert value["party"]["roles"] == ["member"]
    assert value["meters"][0]["party"]["id"] == "ann.meter"
    assert len(value["bills"][0]["lines"]) == value["bills"][0]["value"]["lines"]


def test_the_record_of_the_base_is_the_last(ledger: Path) -> None:
    forget_participant(ledger, "ann", SEED)
    store = LedgerStore.open(ledger, writable=False)
    base = store.base()
    assert base is not None
    assert (base.height, base.first) == (store.height(), 1)
    assert base.record == record_hash(store.record(base.height))
    store.close()
