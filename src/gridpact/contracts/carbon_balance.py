"""What carbon must come to at every barrier, computed from the state alone."""

from __future__ import annotations

from collections import defaultdict

from gridpact.contracts.keys import slot_key
from gridpact.ledger import State
from gridpact.model import CarbonStatement, CarbonStore, SlotCarbon, SlotState

SUMMED = (
    "load_wh",
    "generated_wh",
    "charged_wh",
    "discharged_wh",
    "load_ug",
    "charged_ug",
    "discharged_ug",
)
"""What slots say over all members and statements say of each."""


def carbon_residuals(state: State) -> list[str]:
    """Every way in which the carbon allotted so far does not add up, in words; empty when it does.

    Each slot balances; what members' statements of a day say is what its slots say; what storages
    hold is what they took less what they gave. Members who left took their statements and storages
    with them: then what is here may be less than the slots' sums, never more.
    """
    found = []
    by_day: dict[str, list[int]] = defaultdict(lambda: [0] * len(SUMMED))
    stored: dict[str, int] = defaultdict(int)
    for key in sorted(state.group("slot-carbon")):
        carbon, (_, market, start_s) = state.entries[key].value, key.split("/")
        slot = state.entries[slot_key(market, int(start_s))].value
        if not isinstance(carbon, SlotCarbon) or not isinstance(slot, SlotState):
            continue
        if carbon.residual_wh or carbon.residual_ug:
            found.append(f"{key}: {carbon.residual_wh} Wh, {carbon.residual_ug} ug from balancing")
        _add(by_day[slot.tariff.billing_day], carbon)
        stored[market] += carbon.charged_ug - carbon.discharged_ug
    stated: dict[str, list[int]] = defaultdict(lambda: [0] * len(SUMMED))
    for key, entry in state.entries.items():
        if isinstance(entry.value, CarbonStatement):
            _add(stated[key.split("/")[2]], entry.value)
    for day in sorted(by_day.keys() | stated.keys()):
        for name, here, there in zip(SUMMED, stated[day], by_day[day], strict=True):
            if not _agree(state, here, there):
                found.append(f"carbon of {day}: statements say {name} {here}, slots {there}")
    held: dict[str, int] = defaultdict(int)
    for key in state.group("carbon-store"):
        store = state.entries[key].value
        if isinstance(store, CarbonStore):
            held[key.split("/")[2]] += store.held_ug
    for market in sorted(stored.keys() | held.keys()):
        if not _agree(state, held[market], stored[market]):
            text = f"storages hold {held[market]} ug, slots say {stored[market]} ug"
            found.append(f"carbon of {market}: {text}")
    return found


def _add(sums: list[int], value: SlotCarbon | CarbonStatement) -> None:
    for place, name in enumerate(SUMMED):
        sums[place] += getattr(value, name)


def _agree(state: State, here: int, there: int) -> bool:
    if here == there:
        return True
    left = any(key.startswith("closure/") for key in state.entries)
    return left and here <= there
