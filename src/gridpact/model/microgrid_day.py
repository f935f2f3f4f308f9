"""A day of microgrids: what is given, and what each slot came to."""

from __future__ import annotations

from dataclasses import dataclass

from gridpact.model.market import SlotState
from gridpact.model.microgrids import Agreement, MicrogridBid, MicrogridTerms


@dataclass(frozen=True, slots=True)
class MicrogridDay:
    """M microgrids and T slots that follow each other without gaps."""

    name: str
    currency: str
    ids: tuple[str, ...]
    terms: MicrogridTerms
    truth: tuple[MicrogridBid, ...]
    """Real loads and generation; what each bids is its forecast of them."""
    start_s: int
    """Of the first slot, seconds since 1970 in UTC; a multiple of the slot length."""
    slot_length_s: int


@dataclass(frozen=True, slots=True)
class MicrogridSlot:
    """One slot, settled; lists by microgrid, money in nano-currency."""

    start_s: int
    state: SlotState
    refused: str
    """Why there is no clearing; empty when there is one."""
    agreements: tuple[Agreement, ...]
    """Empty without a clearing."""
    window_surplus_nano: int
    """What all gain by trade over the window, as the plan has it."""
    first_surplus_nano: int
    """The slot's part of it; negative when storage moves the gain to later slots."""
    content_uwh: tuple[int, ...]
    """Of each storage after the slot."""
    sent_wh: tuple[int, ...]
    received_wh: tuple[int, ...]
    missing_wh: tuple[int, ...]
    """Sold and not delivered."""
    penalty_nano: tuple[int, ...]
    """Paid for that."""
    cost_nano: tuple[int, ...]
    """Of the slot for each: shortage of green energy, turbine, grid, fees, transfers, penalties."""
    alone_cost_nano: tuple[int, ...]
    """The same on a day without any trade, each with its own plan and storage."""
