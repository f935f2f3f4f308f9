"""What transactions of carbon are told, fault by fault, in the world of the table of verdicts.

Two slots before all others are settled there; the sums of the first were sent.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from tests.carbon_bench import part, sums
from tests.ledger_bench import (
    AUDITOR,
    LENGTH_S,
    MARKET,
    OPERATOR,
    OTHER_MARKET,
    SLOT,
    Bench,
    Signed,
)

from gridpact.codec import Wire
from gridpact.contracts.bodies import AllotMemberCarbon, AllotSlotCarbon, MemberCarbonPayload
from gridpact.model import CarbonRules, MemberCarbon, Phase, SlotCarbon

ALLOTTED_S, SETTLED_S = SLOT - 2 * LENGTH_S, SLOT - LENGTH_S
"""Both settled; the first has its carbon, all of it in Dan's storage."""
HEAVY = CarbonRules(generation_mg_per_kwh=2**20, supplier_mg_per_kwh=0)
WIDE = part(generated_wh=2**42, charged=(2**42, 2**62))
"""A TWh of sun that a storage takes: what two of them hold is beyond 64 bits."""
METERED = ("ann", "dan", "fay", "gus")
KEY = bytes(32)
FULL_S, OPEN_S, LAST_S = (
    SLOT + 5 * LENGTH_S,
    SLOT + 3 * LENGTH_S,
    (2**63 - 1) // LENGTH_S * LENGTH_S,
)
"""The last open slot before one without tariff, an open one, and the end of time."""
SEALED, SHUT_S = OTHER_MARKET, SLOT
"""A market without carbon rules, and a slot of it."""
LIMIT_SLOTS = 4096

Write = Callable[[Bench], Signed]
Row = tuple[str, str, Write]
"""(faults, sender, transaction)"""
Make = Callable[..., Row]


def settle_two(bench: Bench) -> None:
    """Slots in which nobody's meter saw anything; the sums of the first wait for a barrier."""
    bench.open(first_s=ALLOTTED_S, slots=2)
    bench.walk(Phase.DELIVERED, first_s=ALLOTTED_S, slots=2)
    for member in METERED:
        meter = f"{member}.meter"
        bench.accept(bench.batch(member, [0, 0], sender=meter, first_s=ALLOTTED_S))
    bench.walk(Phase.SETTLED, first_s=ALLOTTED_S, slots=2)
    bench.accept(allotment(bench, ALLOTTED_S, dan=WIDE))


def send_parts(bench: Bench, first_s: int, **parts: MemberCarbon) -> list[MemberCarbon]:
    """A part of everybody for one slot; who is not named used nothing."""
    mine = {member: parts.get(member, part()) for member in METERED}
    for member, its_part in mine.items():
        bench.accept(bench.member_carbon(member, its_part, first_s=first_s))
    return list(mine.values())


def allotment(bench: Bench, first_s: int, **parts: MemberCarbon) -> Signed:
    """The sums of everybody's parts, after these were sent."""
    mine = send_parts(bench, first_s, **parts)
    return bench.slot_carbon(sums(mine, 0, rules=HEAVY), first_s=first_s)


def member_carbons(make: Make, odd: Wire) -> list[Row]:
    """Parts of one member, by descending precedence."""

    def body(first_s: int, participant: str = "ann", market: str = MARKET) -> AllotMemberCarbon:
        return AllotMemberCarbon(market, first_s, participant, 0)

    def of(slots: int) -> MemberCarbonPayload:
        return MemberCarbonPayload([part(load=(0, 1))] * slots)

    none, good = body(1, "nobody", "lv9"), MemberCarbonPayload([part()])
    shut = body(SHUT_S, "eve", SEALED)
    return [
        make("expired, odd payload, no role, no market", AUDITOR, none, odd, 0),
        make("odd payload, no role, no market", AUDITOR, none, odd),
        make("no role, no market", AUDITOR, none, of(1)),
        make("no market, misaligned, no account", OPERATOR, none, of(1)),
        make("no slot, no account, one final", OPERATOR, body(FULL_S, "nobody"), of(2)),
        make("no account, not settled", OPERATOR, body(OPEN_S, "nobody"), of(1)),
        make("misaligned, no account", OPERATOR, body(SLOT + 1, "nobody"), of(1)),
        make("too long, no account", OPERATOR, body(SLOT, "nobody"), of(LIMIT_SLOTS + 1)),
        make("no rules, not settled, no meter, no energy", OPERATOR, shut, of(1)),
        make("one final, one allotted, no meter", OPERATOR, body(ALLOTTED_S, "eve"), of(3)),
        make("one allotted, no meter, no energy", OPERATOR, body(ALLOTTED_S, "eve"), of(2)),
        make("no meter, no energy", OPERATOR, body(SETTLED_S, "eve"), of(1)),
        make("carbon without energy", OPERATOR, body(SETTLED_S), of(1)),
        make("", OPERATOR, body(SETTLED_S), good),
    ]


def slot_carbons(make: Make) -> list[Row]:
    """Sums of slots, by descending precedence."""
    replace = msgspec.structs.replace
    good = sums([part()], 0)
    empty = replace(good, lost_wh=-1, exported_wh=1, discharged_ug=1, lost_ug=1)
    odd = replace(empty, imported_ug=1)
    torn = replace(odd, imported_wh=1)

    def body(first_s: int, *slots: SlotCarbon, market: str = MARKET) -> AllotSlotCarbon:
        return AllotSlotCarbon(market, first_s, list(slots), KEY, 0)

    none = body(1, torn, market="lv9")
    return [
        make("expired, no role, no market", AUDITOR, none, None, 0),
        make("no role, no market", AUDITOR, none),
        make("no market, misaligned", OPERATOR, none),
        make("no slot, one open", OPERATOR, body(FULL_S, torn, torn)),
        make("misaligned", OPERATOR, body(SLOT + 1, torn)),
        make("beyond 64 bits", OPERATOR, body(LAST_S, torn, torn)),
        make("no rules, not settled, energy torn", OPERATOR, body(SHUT_S, torn, market=SEALED)),
        make("one final, one allotted", OPERATOR, body(ALLOTTED_S, torn, torn, torn)),
        make("allotted, energy torn", OPERATOR, body(ALLOTTED_S, torn)),
        make("energy and carbon torn", OPERATOR, body(SETTLED_S, torn)),
        make("carbon torn, lost without energy", OPERATOR, body(SETTLED_S, odd)),
        make("lost without energy", OPERATOR, body(SETTLED_S, empty)),
        make("", OPERATOR, body(SETTLED_S, good)),
    ]


def carbon_at_the_barrier(operator: str) -> list[Row]:
    """What an accepted allotment comes to."""

    def allotted_twice(bench: Bench) -> Signed:
        bench.accept(allotment(bench, SETTLED_S))
        return bench.slot_carbon(sums([part()], 0), first_s=SETTLED_S, submitted_ms=1)

    def allotted(**parts: MemberCarbon) -> Write:
        return lambda bench: allotment(bench, SETTLED_S, **parts)

    def other_part(bench: Bench) -> Signed:
        sun = part(load=(1, 2**20), generated_wh=1)
        send_parts(bench, SETTLED_S, ann=msgspec.structs.replace(sun, load_ug=1))
        return bench.slot_carbon(sums([sun], 0, rules=HEAVY), first_s=SETTLED_S)

    return [
        ("carbon allotted a moment before", operator, allotted_twice),
        (
            "nobody's part",
            operator,
            lambda b: b.slot_carbon(sums([part()], 0), first_s=SETTLED_S),
        ),
        (
            "energy that no meter saw",
            operator,
            allotted(ann=part(load=(1, 2**20)), dan=part(generated_wh=1)),
        ),
        ("parts that are not in the sums", operator, other_part),
        (
            "a storage that holds nothing",
            operator,
            allotted(ann=part(load=(1, 1), discharged=(1, 1))),
        ),
        ("more than 64 bits of carbon", operator, allotted(dan=WIDE)),
        ("", operator, allotted()),
    ]
