"""A small day with carbon: two homes, two slots, every number worked out by hand.

Ann only draws. Bob has the sun and a storage. Members' plants emit 40 g/kWh, the external grid
400 g/kWh, what a supplier sells counts as 500 g/kWh. So 1 Wh of sun is 40,000 ug.

First slot: Bob's sun gives 900 Wh. His load takes 100 of them, his storage 200, and 600 are fed in
and sold to Ann. The grid adds 450 Wh, 50 Wh are lost on the way to Ann, who draws 1,000. What Ann
and the losses share is 600 x 40,000 + 450 x 400,000 = 204,000,000 ug on 1,050 Wh.

Second slot: no sun. The storage gives 150 Wh with 6,000,000 of its 8,000,000 ug; 100 Wh are Bob's
load, 50 are fed in. The grid adds 990 Wh, 40 are lost; 398,000,000 ug on 1,040 Wh.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from tests.ledger_bench import DAY, LENGTH_S, SLOT, TARIFF, UNIT, Bench, Signed, genesis_with

from gridpact.codec import decode
from gridpact.contracts.genesis import Genesis
from gridpact.contracts.keys import carbon_key, carbon_store_key, slot_carbon_key
from gridpact.ledger import Document, Entry
from gridpact.model import (
    CarbonLine,
    CarbonRules,
    CarbonStatement,
    CarbonStore,
    MemberCarbon,
    MemberParts,
    Phase,
    Role,
    SlotCarbon,
    Verdict,
)
from gridpact.node import SimulatedKeys

DSO = "dso"
OF_CARBON = ("carbon", "carbon-store", "slot-carbon")
"""Namespaces that an allotment writes."""
RULES = CarbonRules(generation_mg_per_kwh=40_000, supplier_mg_per_kwh=500_000)
IMPORT_MG_PER_KWH = 400_000
NEXT = SLOT + LENGTH_S
FAR = SLOT + 1_000 * LENGTH_S
"""Slots from here on open when a test needs a barrier and nothing else."""


def with_carbon(genesis: Genesis, rules: CarbonRules | None = RULES) -> Genesis:
    """The genesis with carbon rules for its first market."""
    first, *others = genesis.markets
    markets = [msgspec.structs.replace(first, carbon=rules), *others]
    return msgspec.structs.replace(genesis, markets=markets)


def fresh(rules: CarbonRules | None = RULES) -> Bench:
    """A chain with a grid company, whose first market has carbon rules."""
    keys = SimulatedKeys(7)
    genesis = genesis_with(keys, parties=[(DSO, Role.GRID_COMPANY)])
    return Bench(with_carbon(genesis, rules), keys)


def part(
    load: tuple[int, int] = (0, 0),
    generated_wh: int = 0,
    charged: tuple[int, int] = (0, 0),
    discharged: tuple[int, int] = (0, 0),
) -> MemberCarbon:
    """Of one member in one slot; pairs are (Wh, ug)."""
    return MemberCarbon(
        load[0], generated_wh, charged[0], discharged[0], load[1], charged[1], discharged[1]
    )


def sums(
    parts: Sequence[MemberCarbon],
    imported_wh: int,
    lost: tuple[int, int] = (0, 0),
    exported: tuple[int, int] = (0, 0),
    rules: CarbonRules = RULES,
    import_mg_per_kwh: int = IMPORT_MG_PER_KWH,
) -> SlotCarbon:
    """What members' parts of one slot come to, with what was emitted for it."""

    def over_members(name: str) -> int:
        return sum(getattr(each, name) for each in parts)

    return SlotCarbon(
        import_mg_per_kwh=import_mg_per_kwh,
        imported_wh=imported_wh,
        generated_wh=over_members("generated_wh"),
        discharged_wh=over_members("discharged_wh"),
        load_wh=over_members("load_wh"),
        charged_wh=over_members("charged_wh"),
        lost_wh=lost[0],
        exported_wh=exported[0],
        imported_ug=imported_wh * import_mg_per_kwh,
        generated_ug=over_members("generated_wh") * rules.generation_mg_per_kwh,
        discharged_ug=over_members("discharged_ug"),
        load_ug=over_members("load_ug"),
        charged_ug=over_members("charged_ug"),
        lost_ug=lost[1],
        exported_ug=exported[1],
    )


ANN = (part(load=(1_000, 194_285_714)), part(load=(1_000, 382_692_308)))
BOB = (
    part(load=(100, 4_000_000), generated_wh=900, charged=(200, 8_000_000)),
    part(load=(100, 4_000_000), discharged=(150, 6_000_000)),
)
SLOTS = (
    sums([ANN[0], BOB[0]], 450, lost=(50, 9_714_286)),
    sums([ANN[1], BOB[1]], 990, lost=(40, 15_307_692)),
)


def deliver(bench: Bench, *, second_day: str = DAY) -> None:
    """Both slots up to delivery, Ann's purchase of 600 Wh in the first, all readings in."""
    bench.join("ann", "bob", deposit_nano=10 * UNIT)
    second = msgspec.structs.replace(TARIFF, billing_day=second_day)
    bench.accept(bench.tariff(), bench.tariff(second, first_s=NEXT))
    bench.move(Phase.OPEN, slots=2)
    bench.accept(bench.bid("ann", 200_000, 600), bench.offer("bob", 100_000, 600))
    bench.walk(Phase.DELIVERED, slots=2)
    bench.accept(bench.batch("ann", [-1_000, -1_000], sender="ann.meter"))
    bench.accept(bench.batch("bob", [600, 50], sender="bob.meter"))


def settle(bench: Bench, *, second_day: str = DAY) -> None:
    """The same, on to where carbon can be allotted."""
    deliver(bench, second_day=second_day)
    bench.walk(Phase.SETTLED, slots=2)


def allotment(bench: Bench) -> list[Signed]:
    """Everything that the operator sends for both slots."""
    return [
        bench.member_carbon("ann", *ANN),
        bench.member_carbon("bob", *BOB),
        bench.slot_carbon(*SLOTS),
    ]


def barrier(bench: Bench) -> None:
    """What waits takes effect; slots far away open."""
    bench.open(first_s=FAR + bench.application.phase * LENGTH_S)


def event_of(bench: Bench, transaction: Signed) -> Verdict | None:
    """What a claim came to at its barrier; None while it waits."""
    envelope = bench.candidate(*transaction).transaction.envelope  # type: ignore[union-attr]
    return bench.events.get(f"claim/{envelope.sender}/{envelope.nonce}")


def statement(bench: Bench, member: str, day: str = DAY) -> CarbonStatement:
    return bench.value(carbon_key(member, day), CarbonStatement)


def held_ug(bench: Bench, member: str) -> int:
    """Carbon in a member's storage; 0 when the state says nothing of one."""
    key = carbon_store_key(member, bench.genesis.markets[0].market)
    return bench.value(key, CarbonStore).held_ug if bench.entry(key) is not None else 0


def slot_sums(bench: Bench, start_s: int = SLOT) -> SlotCarbon:
    return bench.value(slot_carbon_key(bench.genesis.markets[0].market, start_s), SlotCarbon)


def carbon_of(bench: Bench) -> dict[str, Entry]:
    """All that allotments have written."""
    entries = bench.application.state.entries
    return {key: entry for key, entry in entries.items() if key.partition("/")[0] in OF_CARBON}


def waiting_parts(bench: Bench) -> dict[str, int]:
    """(owner, first slot) of parts that wait for their sums, with the number of slots."""
    entries = bench.application.state.entries.items()
    return {
        key.split("/")[1]: len(entry.value.slots)
        for key, entry in entries
        if isinstance(entry.value, MemberParts)
    }


def lines_of(bench: Bench, member: str, day: str = DAY) -> list[CarbonLine]:
    """What the last block wrote beside the state."""
    return [decode(CarbonLine, document.data) for document in documents_of(bench, member, day)]


def documents_of(bench: Bench, member: str, day: str = DAY) -> list[Document]:
    assert bench.result is not None
    key = carbon_key(member, day)
    return [document for document in bench.result.documents if document.series == key]
