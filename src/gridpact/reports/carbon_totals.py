"""Carbon of a run in a dozen integers."""

from __future__ import annotations

from dataclasses import dataclass

from gridpact.model import RunResult
from gridpact.reports.amounts import NO_BREAK, fixed


@dataclass(frozen=True, slots=True)
class CarbonTotals:
    """Sums over all slots with carbon, in whole Wh and micrograms."""

    slots: int
    """With carbon."""
    imported_wh: int
    generated_wh: int
    load_wh: int
    lost_wh: int
    exported_wh: int
    imported_ug: int
    """Emitted beyond the external grids."""
    generated_ug: int
    """Emitted by members' plants."""
    load_ug: int
    """Physical: of what members used."""
    lost_ug: int
    stored_ug: int
    """Charged less discharged."""
    exported_ug: int
    residual_ug: int
    """Of slots, statements and storages: 0."""
    contractual_bought_wh: int
    contractual_bought_ug: int
    """Of energy bought of members, by contract."""
    contractual_supplied_wh: int
    contractual_supplied_ug: int
    """Of energy bought outside, as its supplier states it."""


def carbon_sentence(totals: CarbonTotals) -> str:
    """What members' use emitted, both ways of counting apart."""
    gone = f"losses {mass_text(totals.lost_ug)}, exported {mass_text(totals.exported_ug)}"
    if totals.stored_ug:
        gone += f", stored {mass_text(totals.stored_ug)}"
    contractual_ug = totals.contractual_bought_ug + totals.contractual_supplied_ug
    return (
        f"by power flow {mass_text(totals.load_ug)} in what members used "
        f"({intensity_text(totals.load_ug, totals.load_wh)}), {gone}; "
        f"by contract {mass_text(contractual_ug)}"
    )


def mass_text(carbon_ug: int) -> str:
    """Carbon for people.

    >>> mass_text(170_234_576_449).split(), mass_text(5_400_000).split()
    (['170.23', 'kg'], ['5.40', 'g'])
    """
    unit, name = (10**9, "kg") if abs(carbon_ug) >= 10**9 else (10**6, "g")
    return f"{fixed(carbon_ug, unit, 2)}{NO_BREAK}{name}"


def intensity_text(carbon_ug: int, energy_wh: int) -> str:
    """Carbon of energy in g/kWh; a dash without energy.

    >>> intensity_text(527_000_000, 1_000)
    '527 g/kWh'
    """
    if energy_wh == 0:
        return "-"
    return f"{fixed(carbon_ug, energy_wh * 1000, 0)} g/kWh"


def carbon_totals(result: RunResult) -> CarbonTotals | None:
    """Sums over all slots; None when no carbon was asked for."""
    carbon = result.carbon
    if carbon is None:
        return None
    slots = [slot for slot in carbon.slots if slot is not None]
    stated = [each.statement for each in carbon.statements]
    return CarbonTotals(
        slots=len(slots),
        imported_wh=sum(slot.imported_wh for slot in slots),
        generated_wh=sum(slot.generated_wh for slot in slots),
        load_wh=sum(slot.load_wh for slot in slots),
        lost_wh=sum(slot.lost_wh for slot in slots),
        exported_wh=sum(slot.exported_wh for slot in slots),
        imported_ug=sum(slot.imported_ug for slot in slots),
        generated_ug=sum(slot.generated_ug for slot in slots),
        load_ug=sum(slot.load_ug for slot in slots),
        lost_ug=sum(slot.lost_ug for slot in slots),
        stored_ug=sum(slot.charged_ug - slot.discharged_ug for slot in slots),
        exported_ug=sum(slot.exported_ug for slot in slots),
        residual_ug=carbon.residual_ug,
        contractual_bought_wh=sum(one.bought_wh for one in stated),
        contractual_bought_ug=sum(one.bought_ug for one in stated),
        contractual_supplied_wh=sum(one.supplied_wh for one in stated),
        contractual_supplied_ug=sum(one.supplied_ug for one in stated),
    )
