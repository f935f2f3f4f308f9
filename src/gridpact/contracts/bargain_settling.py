"""From agreements and readings to bills of microgrids: `metered -> settled`, and corrections.

Source: [AEPS22], section 3, contract SC2 (check, pay).
"""

from __future__ import annotations

import msgspec

from gridpact.contracts.books import SlotBooks
from gridpact.contracts.genesis import Market
from gridpact.contracts.keys import position_group, position_key
from gridpact.contracts.settling import archived, metered_owners
from gridpact.ledger import Draft, owner_of
from gridpact.model import (
    Agreement,
    BillLine,
    Phase,
    Reading,
    SlotReadings,
    SlotState,
)
from gridpact.settlement import (
    Metered,
    bargain_lines,
    choose_readings,
    reading_reference,
)


def settle_bargain(draft: Draft, market: Market, start_s: int, slot: SlotState) -> SlotState:
    """Pays transfers, compensation, fees and the rest with the grid; writes the bill lines.

    Returns:
        The slot with its exchange with the grid, in phase `settled`.
    """
    books = SlotBooks(draft, slot.tariff)
    agreements = agreements_of(draft, market.market, start_s)
    chosen = {
        owner: choose_readings(held.readings)
        for owner, held in _readings(draft, market.market, start_s, slot).items()
    }
    for owner, lines in _lines(market, start_s, slot, agreements, chosen).items():
        held = agreements.get(owner)
        books.enter(owner, held.escrow_nano if held is not None else 0, lines)
    books.close()
    return msgspec.structs.replace(
        slot,
        phase=Phase.SETTLED,
        grid_import_wh=books.grid_import_wh,
        grid_export_wh=books.grid_export_wh,
    )


def finalize_bargain(draft: Draft, market: Market, start_s: int, slot: SlotState) -> SlotState:
    """Ends corrections: a later reading of a seller may change what its buyers are owed.

    Every microgrid whose lines differ gets those taken back and the new ones, on a credit note.
    """
    books = SlotBooks(draft, slot.tariff)
    agreements = agreements_of(draft, market.market, start_s)
    held = _readings(draft, market.market, start_s, slot)
    latest = {owner: choose_readings(one.readings) for owner, one in held.items()}
    used = {owner: one.settled or latest[owner] for owner, one in held.items()}
    if latest != used:
        before = _lines(market, start_s, slot, agreements, used)
        after = _lines(market, start_s, slot, agreements, latest)
        for owner in before:
            gone = [line for line in before[owner] if line not in after[owner]]
            new = [line for line in after[owner] if line not in before[owner]]
            books.correct(owner, [*map(_taken_back, gone), *map(_put_instead, new)])
    books.close()
    return archived(draft, market, start_s, slot, books)


def agreements_of(draft: Draft, market: str, start_s: int) -> dict[str, Agreement]:
    """All agreements of a slot, by microgrid in the order of their ids."""
    keys = sorted(draft.group(position_group("agreements", market, start_s)), key=owner_of)
    return {owner_of(key): draft.require(key, Agreement) for key in keys}


def metered_in(readings: list[Reading]) -> Metered:
    """What the chosen readings of one microgrid add up to."""
    return Metered(
        sum(reading.export_wh for reading in readings),
        sum(reading.import_wh for reading in readings),
        reading_reference(readings),
    )


def _readings(draft: Draft, market: str, start_s: int, slot: SlotState) -> dict[str, SlotReadings]:
    return {
        owner: draft.require(position_key("readings", owner, market, start_s), SlotReadings)
        for owner in metered_owners(draft, slot)
    }


def _lines(
    market: Market,
    start_s: int,
    slot: SlotState,
    agreements: dict[str, Agreement],
    readings: dict[str, list[Reading]],
) -> dict[str, list[BillLine]]:
    return bargain_lines(
        market=market.market,
        slot_start_s=start_s,
        tariff=slot.tariff,
        agreements=agreements,
        metered={owner: metered_in(seen) for owner, seen in readings.items()},
    )


def _taken_back(line: BillLine) -> BillLine:
    return msgspec.structs.replace(line, correction=-1, amount_nano=-line.amount_nano)


def _put_instead(line: BillLine) -> BillLine:
    return msgspec.structs.replace(line, correction=1)
