"""Goal: a slot's money by hand, from contracts and readings to bills, corrections and archive.

Import 0.30, export 0.08, network fee 0.02 per kWh; every member starts with 10.
"""

from __future__ import annotations

import msgspec
import pytest

from gridpact.codec import decode, encode, sha256
from gridpact.contracts.books import SlotBooks
from gridpact.contracts.conservation import money_residual_nano
from gridpact.contracts.keys import bill_key, credit_key, position_group
from gridpact.contracts.statements import Statement, open_claim
from gridpact.ledger import Document
from gridpact.ledger.blocks import record_hash
from gridpact.ledger.proofs import (
    ProofError,
    ProvedDocument,
    StateClaim,
    check_proof,
    proof_bytes,
    read_proof,
    state_proof,
)
from gridpact.ledger.trees import EMPTY_TREE, Frontier, leaf_hash, merkle_root
from gridpact.model import (
    AccountMode,
    Bill,
    BillLine,
    CreditNote,
    LineKind,
    Phase,
    Quality,
    SlotTariff,
    Verdict,
)
from gridpact.settlement import NO_BILL
from gridpact.units import QUANTITY_MAX
from ledger_bench import (
    DAY,
    LENGTH_S,
    MARKET,
    METERING,
    SLOT,
    UNIT,
    WAY,
    Bench,
)

TEN = 10 * UNIT
NEXT = SLOT + LENGTH_S
PURCHASE, SALE, FEE, IMPORT, EXPORT = tuple(LineKind)[:5]
REFERENCE = f"{MARKET}.{SLOT}.0"


class Books:
    """Collects the documents of all blocks."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.documents: list[Document] = []

    def walk(self, last: Phase, *, first_s: int = SLOT) -> None:
        start = self.bench.slot(first_s).phase
        for phase in WAY:
            if start < phase <= last:
                self.bench.move(phase, first_s=first_s)
                assert self.bench.result is not None
                self.documents += self.bench.result.documents

    def series(self, key: str) -> list[Document]:
        """What is kept beside the state under the key of a bill or a credit note."""
        return [document for document in self.documents if document.series == key]

    def lines(self, owner: str) -> list[BillLine]:
        """A participant's lines of the day, checked against the tree in its bill."""
        own = self.series(bill_key(owner, DAY))
        return self._checked(own, self.bench.bill(owner)) if own else []

    def corrections(self, owner: str) -> list[BillLine]:
        """The lines of its credit note, checked in the same way, and the note against the bill."""
        own = self.series(credit_key(owner, DAY))
        if not own:
            assert self.bench.entry(credit_key(owner, DAY)) is None
            return []
        note, bill = self.bench.credit(owner), self.bench.entry(bill_key(owner, DAY))
        assert bill is not None
        assert (note.bill, note.billed_nano) == (bill.content(), self.bench.bill(owner).total_nano)
        return self._checked(own, note.change)

    def _checked(self, own: list[Document], bill: Bill) -> list[BillLine]:
        assert [document.index for document in own] == list(range(len(own)))
        frontier = Frontier()
        for document in own:
            frontier = frontier.append(leaf_hash(document.salt + document.data))
        lines = [decode(BillLine, document.data) for document in own]
        assert (bill.lines, bill.frontier) == (len(own), list(frontier.hashes))
        assert bill.total_nano == sum(line.amount_nano for line in lines)
        return lines


@pytest.fixture
def bench() -> Bench:
    """Ann buys 600 Wh of Bob at 0.15; Eve only has a meter; `SLOT` is delivered."""
    bench = Bench()
    bench.join("ann", "bob", "eve", deposit_nano=TEN)
    bench.open(slots=2)
    bench.accept(bench.bid("ann", 200_000, 1_000), bench.offer("bob", 100_000, 600))
    bench.walk(Phase.DELIVERED)
    return bench


@pytest.fixture
def books(bench: Bench) -> Books:
    return Books(bench)


def report(bench: Bench, ann: int, bob: int, eve: int) -> None:
    """Net readings, + = injection."""
    for member, net in (("ann", ann), ("bob", bob), ("eve", eve)):
        bench.accept(bench.reading(member, max(0, -net), max(0, net)))


def test_a_slot_by_hand(bench: Bench, books: Books) -> None:
    """Ann takes 1,000 and Bob feeds in 500 of the 600 he sold; Eve feeds in 250."""
    report(bench, -1_000, 500, 250)
    books.walk(Phase.SETTLED)
    assert books.lines("ann") == [
        BillLine(SLOT, PURCHASE, 0, REFERENCE, 600, 300_000, -90_000_000),
        BillLine(SLOT, FEE, 0, REFERENCE, 600, 40_000, -12_000_000),
        BillLine(SLOT, IMPORT, 0, "ann.meter/v1", 400, 600_000, -120_000_000),
    ]
    assert books.lines("bob") == [
        BillLine(SLOT, SALE, 0, REFERENCE, 600, 300_000, 90_000_000),
        BillLine(SLOT, IMPORT, 0, "bob.meter/v1", 100, 600_000, -30_000_000),
    ]
    assert books.lines("eve") == [
        BillLine(SLOT, EXPORT, 0, "eve.meter/v1", 250, 160_000, 20_000_000),
    ]
    assert bench.account("ann") == (TEN - 222_000_000, 0)
    assert bench.account("bob") == (TEN + 60_000_000, 0)
    assert bench.account("eve") == (TEN + 20_000_000, 0)
    assert bench.system("grid") == 130_000_000  # 120 + 30 - 20
    assert bench.system("network.north") == 12_000_000
    assert bench.system("fund") == 0
    assert bench.system("bank") == -3 * TEN
    slot = bench.slot()
    assert (slot.grid_import_wh, slot.grid_export_wh) == (500, 250)
    assert bench.bill("ann") == Bill(
        total_nano=-222_000_000,
        purchases_nano=-90_000_000,
        sales_nano=0,
        fees_nano=-12_000_000,
        grid_import_nano=-120_000_000,
        grid_export_nano=0,
        lost_deposits_nano=0,
        bought_wh=600,
        sold_wh=0,
        grid_import_wh=400,
        grid_export_wh=0,
        lines=3,
        frontier=bench.bill("ann").frontier,
    )


def test_what_is_metered_as_agreed_leaves_the_grid_out(bench: Bench, books: Books) -> None:
    report(bench, -600, 600, 0)
    books.walk(Phase.SETTLED)
    assert [line.kind for line in books.lines("ann")] == [PURCHASE, FEE]
    assert [line.kind for line in books.lines("bob")] == [SALE]
    assert books.lines("eve") == []
    assert bench.entry(f"bill/eve/{DAY}") is None
    assert bench.system("grid") == 0
    assert bench.account("ann") == (TEN - 102_000_000, 0)
    assert bench.account("bob") == (TEN + 90_000_000, 0)


def test_a_seller_that_delivers_nothing_had_it_in_escrow() -> None:
    """Its deposit is the exposure of its order to the nano; it ends at zero, not below."""
    bench = Bench()
    exposure = (300_000 - 150_000) * 600
    bench.join("ann", deposit_nano=TEN)
    bench.join("bob", deposit_nano=exposure)
    bench.open()
    bench.accept(bench.bid("ann", 150_000, 600), bench.offer("bob", 150_000, 600))
    assert bench.account("bob") == (0, exposure)
    bench.walk(Phase.DELIVERED)
    bench.accept(bench.reading("ann", 600), bench.reading("bob"))
    bench.walk(Phase.SETTLED)
    assert bench.account("bob") == (0, 0)
    assert bench.bill("bob").total_nano == -exposure


def test_a_settlement_may_leave_a_debt_and_then_nothing_more_is_held(bench: Bench) -> None:
    """Consumption cannot be refused; orders can."""
    report(bench, -100_000, 600, 0)
    bench.walk(Phase.SETTLED)
    available, escrow = bench.account("ann")
    assert (available, escrow) == (TEN - 102_000_000 - 99_400 * 300_000, 0)
    assert available < 0
    refused = bench.bid("ann", 80_000, 1, slot_s=NEXT)
    bench.refuse(refused, Verdict.INSUFFICIENT_FUNDS)


def test_half_units_gather_in_the_fund() -> None:
    bench = Bench()
    bench.join("ann", "bob", deposit_nano=TEN)
    bench.open()
    bench.accept(bench.bid("ann", 200_000, 3), bench.offer("bob", 100_001, 3))
    bench.walk(Phase.DELIVERED)
    bench.accept(bench.reading("ann", 3), bench.reading("bob", 0, 3))
    bench.walk(Phase.SETTLED)
    assert bench.bill("ann").purchases_nano == -450_002  # 450,001.5
    assert bench.bill("bob").sales_nano == 450_001
    assert bench.system("fund") == 1


def test_a_bill_gathers_the_slots_of_its_day_and_the_next_day_has_its_own() -> None:
    bench = Bench()
    bench.join("ann", deposit_nano=TEN)
    bench.open(slots=2)
    other_day = SlotTariff(300_000, 80_000, 20_000, "north", "2023-11-15")
    bench.open(first_s=SLOT + 2 * LENGTH_S, prices=other_day)
    books = Books(bench)
    for i, import_wh in enumerate((100, 200, 400)):
        start_s = SLOT + i * LENGTH_S
        bench.walk(Phase.DELIVERED, first_s=start_s)
        bench.accept(bench.reading("ann", import_wh, slot_s=start_s))
        books.walk(Phase.SETTLED, first_s=start_s)
    assert bench.bill("ann").grid_import_wh == 300
    assert bench.bill("ann").lines == 2
    assert bench.bill("ann", "2023-11-15").total_nano == -120_000_000
    indices = [(document.series, document.index) for document in books.documents]
    assert indices == [
        (f"bill/ann/{DAY}", 0),
        (f"bill/ann/{DAY}", 1),
        ("bill/ann/2023-11-15", 0),
    ]


def test_members_are_settled_in_the_order_of_their_ids() -> None:
    """Bills and postings come in the same order on every replica: `ann` before `ann-2`."""
    bench = Bench()
    bench.join("ann-2", "ann", "bob")
    bench.open()
    books = Books(bench)
    books.walk(Phase.DELIVERED)
    bench.accept(*(bench.reading(member, 1) for member in ("bob", "ann-2", "ann")))
    books.walk(Phase.SETTLED)
    assert [document.owner for document in books.documents] == ["ann", "ann-2", "bob"]
    for member in ("ann-2", "ann"):
        bench.accept(bench.reading(member, 2, version=2))
    books.walk(Phase.FINAL)
    assert [document.owner for document in books.documents[3:]] == ["ann", "ann"] + ["ann-2"] * 2


def test_the_best_reading_settles(bench: Bench, books: Books) -> None:
    """The metering operator's version 2 over the meter's measured version 1."""
    report(bench, -1_000, 600, 0)
    bench.accept(bench.reading("bob", 0, 590, version=2, quality=Quality.ESTIMATED))
    books.walk(Phase.SETTLED)
    assert books.lines("bob")[1] == BillLine(
        SLOT, IMPORT, 0, "bob.meter/v2", 10, 600_000, -3_000_000
    )


# Corrections


def test_a_later_version_is_settled_once_more_at_final(bench: Bench, books: Books) -> None:
    """Ann took 400, not 1,000: of 600 bought, 200 are left over instead of 400 missing.

    The bill keeps every byte; what changed is on a note that names it.
    """
    report(bench, -1_000, 600, 0)
    books.walk(Phase.SETTLED)
    issued = bench.entry(bill_key("ann", DAY))
    total = bench.bill("ann").total_nano
    before = bench.account("ann"), bench.account("bob"), bench.system("grid")
    bench.accept(bench.reading("ann", 400, version=2))
    assert (bench.account("ann"), bench.account("bob"), bench.system("grid")) == before
    books.walk(Phase.FINAL)
    assert len(books.lines("ann")) == 3
    assert bench.entry(bill_key("ann", DAY)) is issued
    assert books.corrections("ann") == [
        BillLine(SLOT, IMPORT, -1, "ann.meter/v1", 400, 600_000, 120_000_000),
        BillLine(SLOT, EXPORT, 1, "ann.meter/v2", 200, 160_000, 16_000_000),
    ]
    change = bench.credit("ann").change
    assert (change.grid_import_nano, change.grid_import_wh) == (120_000_000, -400)
    assert (change.grid_export_nano, change.grid_export_wh) == (16_000_000, 200)
    assert change.total_nano == 136_000_000
    assert bench.account("ann") == (TEN + total + 136_000_000, 0)
    assert books.corrections("bob") == []
    assert bench.account("bob") == before[1]
    assert bench.system("grid") == before[2] - 136_000_000
    assert (bench.slot().grid_import_wh, bench.slot().grid_export_wh) == (0, 200)


def test_of_many_late_versions_only_the_last_is_settled(bench: Bench, books: Books) -> None:
    report(bench, -600, 600, 0)
    books.walk(Phase.SETTLED)
    for version in (2, 3, 4):
        bench.accept(bench.reading("eve", version, version=version))
    books.walk(Phase.FINAL)
    assert books.corrections("eve") == [
        BillLine(SLOT, IMPORT, 1, "eve.meter/v4", 4, 600_000, -1_200_000),
    ]


def test_who_owed_nothing_has_an_empty_bill_for_the_note_to_name(
    bench: Bench, books: Books
) -> None:
    report(bench, -600, 600, 0)
    books.walk(Phase.SETTLED)
    assert bench.entry(bill_key("eve", DAY)) is None
    bench.accept(bench.reading("eve", 7, version=2))
    books.walk(Phase.FINAL)
    assert bench.bill("eve") == NO_BILL
    assert books.lines("eve") == []
    assert bench.credit("eve").billed_nano == 0
    assert bench.credit("eve").change.total_nano == -7 * 300_000
    assert len(books.corrections("eve")) == 1


def test_a_version_that_says_the_same_is_stated_under_its_number(
    bench: Bench, books: Books
) -> None:
    report(bench, -1_000, 600, 0)
    books.walk(Phase.SETTLED)
    total = bench.bill("ann").total_nano
    bench.accept(bench.reading("ann", 1_000, version=2))
    books.walk(Phase.FINAL)
    assert [(line.correction, line.reference) for line in books.corrections("ann")] == [
        (-1, "ann.meter/v1"),
        (1, "ann.meter/v2"),
    ]
    assert bench.credit("ann").change.total_nano == 0
    assert bench.bill("ann").total_nano == total


def test_one_note_gathers_the_corrections_of_a_day(bench: Bench, books: Books) -> None:
    """It is found by the day, whichever slot was corrected first."""
    report(bench, -1_000, 600, 0)
    books.walk(Phase.SETTLED)
    books.walk(Phase.DELIVERED, first_s=NEXT)
    for member, net in (("ann", 10), ("bob", 0), ("eve", 0)):
        bench.accept(bench.reading(member, net, slot_s=NEXT))
    books.walk(Phase.SETTLED, first_s=NEXT)
    for start_s in (SLOT, NEXT):
        bench.accept(bench.reading("ann", 600, version=2, slot_s=start_s))
        books.walk(Phase.FINAL, first_s=start_s)
        books.corrections("ann")
    assert [line.slot_start_s for line in books.corrections("ann")] == [SLOT, NEXT, NEXT]
    assert bench.credit("ann").change.total_nano == 400 * 300_000 - 590 * 300_000


def test_a_note_names_the_bill_as_it_stands_when_the_day_goes_on(
    bench: Bench, books: Books
) -> None:
    """The first slot is corrected before the second is settled: the bill still grows, and the
    note follows it."""
    report(bench, -1_000, 600, 0)
    books.walk(Phase.SETTLED)
    bench.accept(bench.reading("ann", 400, version=2))
    books.walk(Phase.FINAL)
    first = bench.credit("ann")
    books.walk(Phase.DELIVERED, first_s=NEXT)
    for member, net in (("ann", 10), ("bob", 20), ("eve", 0)):
        bench.accept(bench.reading(member, net, slot_s=NEXT))
    books.walk(Phase.SETTLED, first_s=NEXT)
    note = bench.credit("ann")
    assert note.change == first.change
    assert (note.bill != first.bill, note.billed_nano) == (True, first.billed_nano - 3_000_000)
    assert len(books.corrections("ann")) == 2
    assert bench.entry(credit_key("bob", DAY)) is None


def test_a_correction_without_effect_on_money_or_a_grid_line_writes_no_note(
    bench: Bench, books: Books
) -> None:
    """Bob fed in what he sold, whichever version says so."""
    report(bench, -600, 600, 0)
    books.walk(Phase.SETTLED)
    bench.accept(bench.reading("bob", 0, 600, version=2))
    books.walk(Phase.FINAL)
    assert books.corrections("bob") == []


def test_without_new_versions_final_writes_nothing(bench: Bench, books: Books) -> None:
    report(bench, -1_000, 500, 250)
    books.walk(Phase.SETTLED)
    bills = [bench.bill(member) for member in ("ann", "bob", "eve")]
    count = len(books.documents)
    books.walk(Phase.FINAL)
    assert not any(key.startswith("credit/") for key in bench.application.state.entries)
    assert [bench.bill(member) for member in ("ann", "bob", "eve")] == bills
    assert len(books.documents) == count
    assert (bench.slot().grid_import_wh, bench.slot().grid_export_wh) == (500, 250)


def test_a_worse_late_word_of_a_second_sender_changes_nothing() -> None:
    """Same version, lower quality: the choice of the settlement stands."""
    bench = Bench()
    bench.accept(bench.register("ann"), bench.meter("ann", reporter=METERING))
    bench.open()
    books = Books(bench)
    books.walk(Phase.DELIVERED)
    bench.accept(bench.reading("ann", 100))
    books.walk(Phase.SETTLED)
    bench.accept(bench.reading("ann", 999, sender=METERING, quality=Quality.ESTIMATED))
    books.walk(Phase.FINAL)
    assert len(books.lines("ann")) == 1
    assert books.corrections("ann") == []


def proved(bench: Bench, books: Books, key: str) -> tuple[StateClaim, Statement]:
    """One entry with its lines as a member keeps it: a file, checked against one hash, offline."""
    assert bench.result is not None
    entry, path = bench.application.query(key)
    assert entry is not None
    documents = [ProvedDocument(line.salt, line.data) for line in books.series(key)]
    claim = StateClaim(key, entry.salt, encode(entry.value), encode(path), documents)
    record = bench.result.record
    file = proof_bytes(state_proof(record, claim))
    shown = check_proof(read_proof(file), record_hash(record)).state
    assert shown is not None
    return shown, open_claim(shown)


def story(bench: Bench, books: Books) -> None:
    """Ann is billed for 1,000 Wh; her meter then says 700, so 300 fewer at 0.30 are due.

    The issued bill stays, byte for byte, and a proof of it made before the correction still holds
    against the record it was made for. The note names it; both are proved and opened offline;
    together they say what moved; no money appeared.
    """
    report(bench, -1_000, 600, 0)
    books.walk(Phase.SETTLED)
    kept, statement = proved(bench, books, bill_key("ann", DAY))
    assert isinstance(statement.value, Bill)
    assert statement.value.total_nano == -222_000_000
    paid = bench.account("ann")[0]

    bench.accept(bench.reading("ann", 700, version=2))
    assert bench.account("ann")[0] == paid  # nothing moves before corrections end
    books.walk(Phase.FINAL)

    bill, of_bill = proved(bench, books, bill_key("ann", DAY))
    assert (bill.salt, bill.value) == (kept.salt, kept.value), "the bill was rewritten"
    assert bill.documents == kept.documents
    note, of_note = proved(bench, books, credit_key("ann", DAY))
    assert isinstance(of_note.value, CreditNote)
    assert bill.value is not None
    assert of_note.value.bill == sha256(bill.salt + bill.value)
    assert of_note.value.billed_nano == sum(line.amount_nano for line in of_bill.lines)
    assert of_note.lines == (
        BillLine(SLOT, IMPORT, -1, "ann.meter/v1", 400, 600_000, 120_000_000),
        BillLine(SLOT, IMPORT, 1, "ann.meter/v2", 100, 600_000, -30_000_000),
    )
    assert of_note.value.change.total_nano == 90_000_000 == 300 * 300_000
    assert bench.account("ann")[0] == paid + 90_000_000
    assert bench.account("ann")[0] == TEN + of_note.value.billed_nano + 90_000_000
    assert money_residual_nano(bench.application.state) == 0

    with pytest.raises(ProofError, match="the 1 lines are not the 2 of 'credit/ann/"):
        open_claim(msgspec.structs.replace(note, documents=note.documents[:1]))
    with pytest.raises(ProofError, match="the 3 lines are not the 2 of 'credit/ann/"):
        open_claim(msgspec.structs.replace(note, documents=bill.documents))


def test_the_story_of_a_correction(bench: Bench, books: Books) -> None:
    story(bench, books)


def test_the_story_notices_a_correction_that_rewrites_the_bill(
    bench: Bench, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rewrite(self: SlotBooks, owner: str, lines: list[BillLine]) -> None:
        if lines:
            self.enter(owner, 0, lines)

    monkeypatch.setattr(SlotBooks, "correct", rewrite)
    with pytest.raises(AssertionError, match="the bill was rewritten"):
        story(bench, books)


# Final


def test_what_leaves_the_state_leaves_a_root(bench: Bench) -> None:
    report(bench, -1_000, 500, 0)
    bench.walk(Phase.SETTLED)
    state = bench.application.state
    leaves = [
        leaf_hash(key.encode() + b"\x00" + state.entries[key].content())
        for what in ("orders", "contracts", "readings")
        for key in sorted(state.group(position_group(what, MARKET, SLOT)))
    ]
    assert len(leaves) == 2 + 2 + 3
    bench.move(Phase.FINAL)
    assert bench.slot().archive == merkle_root(leaves)
    rooms = {key.partition("/")[0] for key in state.entries}
    assert not rooms & {"orders", "contracts", "readings"}


def test_an_empty_slot_has_the_root_of_nothing() -> None:
    bench = Bench()
    bench.open()
    bench.walk(Phase.FINAL)
    assert bench.slot().archive == EMPTY_TREE


def test_other_slots_keep_what_they_have(bench: Bench) -> None:
    bench.accept(bench.bid("ann", 200_000, 1, slot_s=NEXT))
    report(bench, 0, 0, 0)
    bench.walk(Phase.FINAL)
    assert len(bench.orders("ann", NEXT)) == 1
    assert bench.account("ann")[1] == 220_000


# Amounts beyond 64 bits

HUGE = SlotTariff(QUANTITY_MAX, 0, 0, "north", DAY)


def test_a_line_beyond_64_bits_is_a_named_refusal() -> None:
    """Three meters of one owner, each with the largest reading under the highest tariff."""
    bench = Bench()
    bench.join("ann", mode=AccountMode.POSTPAID)
    bench.accept(bench.meter("ann", "ann.b"), bench.meter("ann", "ann.c"))
    bench.open(prices=HUGE)
    bench.walk(Phase.DELIVERED)
    for meter in ("ann.meter", "ann.b", "ann.c"):
        bench.accept(bench.reading("ann", QUANTITY_MAX, meter=meter))
    bench.walk(Phase.METERED)
    bench.refuse(bench.phase(Phase.SETTLED), Verdict.OVERFLOW)


def test_a_bill_beyond_64_bits_is_a_named_refusal() -> None:
    """Ann's purchases sum to three times 2^62, her sales keep her account in range."""
    bench = Bench()
    bench.join("ann", "bob", mode=AccountMode.POSTPAID)
    bench.open(slots=5, prices=HUGE)
    for i, buyer in enumerate(("ann", "bob", "ann", "bob", "ann")):
        start_s, seller = SLOT + i * LENGTH_S, "bob" if buyer == "ann" else "ann"
        bench.accept(
            bench.bid(buyer, QUANTITY_MAX, QUANTITY_MAX, slot_s=start_s),
            bench.offer(seller, QUANTITY_MAX, QUANTITY_MAX, slot_s=start_s),
        )
        bench.walk(Phase.DELIVERED, first_s=start_s)
        bench.accept(
            bench.reading(buyer, QUANTITY_MAX, slot_s=start_s),
            bench.reading(seller, 0, QUANTITY_MAX, slot_s=start_s),
        )
        bench.walk(Phase.METERED, first_s=start_s)
        if i < 4:
            bench.move(Phase.SETTLED, first_s=start_s)
    assert bench.bill("ann").purchases_nano == -2 * QUANTITY_MAX**2
    refused = bench.phase(Phase.SETTLED, first_s=SLOT + 4 * LENGTH_S)
    bench.refuse(refused, Verdict.OVERFLOW)


def test_a_posting_beyond_64_bits_is_a_named_refusal() -> None:
    """Two members' imports fill the grid's account, four members' exports empty it further than
    one amount can say, although the balance before and after would fit."""
    bench = Bench()
    members = ("ann", "bob", "dan", "eve")
    bench.join(*members, mode=AccountMode.POSTPAID)
    bench.open(slots=2, prices=SlotTariff(QUANTITY_MAX, QUANTITY_MAX - 1, 0, "north", DAY))
    for start_s, net_wh in ((SLOT, (-1, -1, 0, 0)), (NEXT, (1, 1, 1, 1))):
        bench.walk(Phase.DELIVERED, first_s=start_s)
        for member, sign in zip(members, net_wh, strict=True):
            imported, exported = QUANTITY_MAX * (sign < 0), QUANTITY_MAX * (sign > 0)
            bench.accept(bench.reading(member, imported, exported, slot_s=start_s))
        bench.walk(Phase.METERED, first_s=start_s)
        if start_s == SLOT:
            bench.move(Phase.SETTLED)
    bench.refuse(bench.phase(Phase.SETTLED, first_s=NEXT), Verdict.OVERFLOW)


def test_bills_can_be_read_again(bench: Bench) -> None:
    report(bench, -1_000, 500, 250)
    bench.walk(Phase.FINAL)
    for member in ("ann", "bob", "eve"):
        assert decode(Bill, encode(bench.bill(member))) == bench.bill(member)
