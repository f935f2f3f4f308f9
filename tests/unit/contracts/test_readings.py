"""Goal: only who may report is heard, and versions of two senders stand side by side."""

from __future__ import annotations

import pytest

from gridpact.codec import Wire
from gridpact.contracts.bodies import Kind, ReadingPayload, ReportReading
from gridpact.model import Phase, Quality, Reading, Role, SlotReadings, Verdict
from gridpact.node import SimulatedKeys
from gridpact.units import QUANTITY_MAX
from ledger_bench import (
    AUDITOR,
    LENGTH_S,
    MARKET,
    METERING,
    OPERATOR,
    SLOT,
    UNIT,
    Bench,
    genesis_with,
)

MEASURED, ESTIMATED = Quality.MEASURED, Quality.ESTIMATED
OTHER_METERING = "metering-2"


@pytest.fixture
def bench() -> Bench:
    """Ann's meter names the metering operator, Bob's nobody; their slot has been delivered."""
    keys = SimulatedKeys(7)
    bench = Bench(genesis_with(keys, parties=[(OTHER_METERING, Role.METERING_OPERATOR)]), keys)
    bench.accept(bench.register("ann"), bench.meter("ann", reporter=METERING))
    bench.join("bob", deposit_nano=UNIT)
    bench.open()
    bench.walk(Phase.DELIVERED)
    return bench


def by(sender: str, version: int = 1, import_wh: int = 0, export_wh: int = 0) -> Reading:
    return Reading("ann.meter", sender, version, MEASURED, import_wh, export_wh)


def test_a_reading_is_kept_as_it_was_sent(bench: Bench) -> None:
    bench.accept(bench.reading("ann", 250, 0, version=3, quality=ESTIMATED))
    kept = Reading("ann.meter", "ann.meter", 3, ESTIMATED, 250, 0)
    assert bench.readings("ann") == SlotReadings([kept], [])


def test_gross_values_of_both_directions_are_kept(bench: Bench) -> None:
    bench.accept(bench.reading("ann", QUANTITY_MAX, QUANTITY_MAX))
    reading = bench.readings("ann").readings[0]
    assert (reading.import_wh, reading.export_wh) == (QUANTITY_MAX, QUANTITY_MAX)


def test_a_later_version_of_one_sender_replaces_the_earlier(bench: Bench) -> None:
    bench.accept(bench.reading("ann", 250), bench.reading("ann", 260, version=2))
    assert bench.readings("ann").readings == [by("ann.meter", 2, 260)]


@pytest.mark.parametrize("swapped", [False, True])
def test_meter_and_metering_operator_stand_side_by_side(bench: Bench, swapped: bool) -> None:
    transactions = [
        bench.reading("ann", 250),
        bench.reading("ann", 300, sender=METERING),
    ]
    bench.accept(*(reversed(transactions) if swapped else transactions))
    assert bench.readings("ann").readings == [by("ann.meter", 1, 250), by(METERING, 1, 300)]


def test_a_second_meter_has_a_reading_of_its_own(bench: Bench) -> None:
    bench.accept(bench.meter("ann", "ann.a-roof"))
    bench.open(first_s=SLOT + LENGTH_S)
    bench.walk(Phase.DELIVERED, first_s=SLOT + LENGTH_S)
    late = SLOT + LENGTH_S
    bench.accept(
        bench.reading("ann", 5, slot_s=late),
        bench.reading("ann", 0, 7, meter="ann.a-roof", slot_s=late),
    )
    assert [(r.meter, r.import_wh, r.export_wh) for r in bench.readings("ann", late).readings] == [
        ("ann.a-roof", 0, 7),
        ("ann.meter", 5, 0),
    ]


def test_readings_are_taken_until_the_slot_is_final(bench: Bench) -> None:
    bench.accept(bench.reading("ann"), bench.reading("bob"))
    for version, phase in ((2, Phase.METERED), (3, Phase.SETTLED)):
        bench.move(phase)
        bench.accept(bench.reading("bob", version=version))
    settled = bench.readings("bob").settled
    assert [reading.version for reading in settled] == [2]
    assert [reading.version for reading in bench.readings("bob").readings] == [3]
    bench.move(Phase.FINAL)
    bench.refuse(bench.reading("bob", version=4), Verdict.READING_CLOSED)
    bench.refuse(bench.reading("bob", version=1), Verdict.READING_CLOSED)


class Odd(Wire, frozen=True):
    version: int
    quality: int
    import_wh: int
    export_wh: int


@pytest.mark.parametrize(
    "payload",
    [
        Odd(0, 1, 0, 0),
        Odd(-1, 1, 0, 0),
        Odd(2**31, 1, 0, 0),
        Odd(1, 0, 0, 0),
        Odd(1, 4, 0, 0),
        Odd(1, 1, -1, 0),
        Odd(1, 1, 0, -1),
        Odd(1, 1, QUANTITY_MAX + 1, 0),
    ],
)
def test_malformed_payload(bench: Bench, payload: Odd) -> None:
    body = ReportReading(MARKET, SLOT, "ann", "ann.meter")
    bench.refuse(bench.write("ann.meter", Kind.READING, body, payload), Verdict.MALFORMED_PAYLOAD)


@pytest.mark.parametrize("sender", ["ann", OPERATOR, AUDITOR])
def test_role_missing(bench: Bench, sender: str) -> None:
    bench.refuse(bench.reading("ann", sender=sender), Verdict.ROLE_MISSING)


@pytest.mark.parametrize(
    ("market", "start_s"), [("lv9", SLOT), (MARKET, SLOT - LENGTH_S), (MARKET, SLOT + 1)]
)
def test_unknown_slot(bench: Bench, market: str, start_s: int) -> None:
    body = ReportReading(market, start_s, "ann", "ann.meter")
    payload = ReadingPayload(1, MEASURED, 0, 0)
    bench.refuse(bench.write("ann.meter", Kind.READING, body, payload), Verdict.UNKNOWN_SLOT)


def test_not_delivered(bench: Bench) -> None:
    late = SLOT + LENGTH_S
    bench.open(first_s=late)
    for phase in (Phase.CLOSED, Phase.CLEARED):
        bench.refuse(bench.reading("ann", slot_s=late), Verdict.NOT_DELIVERED)
        bench.move(phase, first_s=late)
    bench.refuse(bench.reading("ann", slot_s=late), Verdict.NOT_DELIVERED)
    bench.move(Phase.DELIVERED, first_s=late)
    bench.accept(bench.reading("ann", slot_s=late))


@pytest.mark.parametrize(
    ("owner", "meter", "sender"),
    [
        ("ann", "ann.meter", "bob.meter"),  # another's meter
        ("ann", "bob.meter", "bob.meter"),  # Ann has no such meter
        ("bob", "ann.meter", "ann.meter"),
        ("nobody", "ann.meter", "ann.meter"),
        ("ann", "nobody", "ann.meter"),
        ("bob", "bob.meter", METERING),  # the meter does not name it
        ("ann", "ann.meter", OTHER_METERING),  # the meter names another
    ],
)
def test_who_may_not_report(bench: Bench, owner: str, meter: str, sender: str) -> None:
    bench.refuse(bench.reading(owner, meter=meter, sender=sender), Verdict.METER_FOREIGN)


def test_a_named_reporter_needs_the_role(bench: Bench) -> None:
    """Bob's meter may report, but only for itself, even when another meter names it."""
    bench.accept(bench.meter("ann", "ann.roof", reporter="bob.meter"))
    late = SLOT + LENGTH_S
    bench.open(first_s=late)
    bench.walk(Phase.DELIVERED, first_s=late)
    foreign = bench.reading("ann", meter="ann.roof", sender="bob.meter", slot_s=late)
    bench.refuse(foreign, Verdict.METER_FOREIGN)
    bench.accept(bench.grant("bob.meter", Role.METERING_OPERATOR))
    bench.open(first_s=late + LENGTH_S)
    bench.accept(bench.reading("ann", meter="ann.roof", sender="bob.meter", slot_s=late))


def test_a_reporter_that_lost_its_role_is_not_heard(bench: Bench) -> None:
    bench.accept(bench.reading("ann", sender=METERING))
    bench.accept(bench.grant(METERING, Role.METERING_OPERATOR, granted=0))
    bench.accept(bench.reading("ann", sender=METERING, version=2))
    bench.open(first_s=SLOT + LENGTH_S)
    bench.refuse(bench.reading("ann", sender=METERING, version=3), Verdict.ROLE_MISSING)


def test_a_meter_younger_than_the_slot_has_nothing_to_say(bench: Bench) -> None:
    bench.accept(bench.meter("ann", "ann.roof"))
    bench.open(first_s=SLOT + LENGTH_S)
    bench.refuse(bench.reading("ann", meter="ann.roof"), Verdict.METER_FOREIGN)


def test_a_version_must_be_new(bench: Bench) -> None:
    bench.accept(bench.reading("ann", 1, version=2))
    bench.refuse(bench.reading("ann", 2, version=2), Verdict.VERSION_STALE)
    bench.refuse(bench.reading("ann", 2, version=1), Verdict.VERSION_STALE)
    bench.accept(bench.reading("ann", 2, version=1, sender=METERING))  # each counts its own
    bench.refuse(bench.reading("ann", 3, version=1, sender=METERING), Verdict.VERSION_STALE)
    bench.accept(bench.reading("ann", 3, version=2**31 - 1))


def test_the_first_reason_wins(bench: Bench) -> None:
    late = SLOT + LENGTH_S
    bench.open(first_s=late)
    foreign = {"owner": "ann", "meter": "bob.meter", "sender": "bob.meter"}
    bench.refuse(bench.reading(**foreign, slot_s=late + 1), Verdict.UNKNOWN_SLOT)
    bench.refuse(bench.reading(**foreign, slot_s=late), Verdict.NOT_DELIVERED)
    bench.accept(bench.reading("ann"), bench.reading("bob"))
    bench.refuse(bench.reading("ann"), Verdict.VERSION_STALE)
    bench.walk(Phase.FINAL)
    bench.refuse(bench.reading(**foreign), Verdict.METER_FOREIGN)  # before READING_CLOSED
    bench.refuse(bench.reading("ann"), Verdict.READING_CLOSED)
