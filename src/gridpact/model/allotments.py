"""Carbon as it stands on the ledger: whole micrograms for each slot and member.

Micrograms are exact: mg/kWh times Wh. Physical carbon follows the power flow; contractual carbon
follows the contracts. They answer different questions and are never added up.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from gridpact.codec import Hash, Int64, Natural, Quantity, Wire

Micrograms = Annotated[int, Meta(ge=0, le=2**62)]
"""Up to 4.6 million tonnes; a sum may leave 64 bits and is refused then."""


class CarbonRules(Wire, frozen=True):
    """What a market's energy emits by agreement, mg/kWh; fixed for the life of the chain."""

    generation_mg_per_kwh: Quantity
    """Of what members generate."""
    supplier_mg_per_kwh: Quantity
    """Of what is bought outside the market, as its supplier states it: contractual carbon only."""


class SlotCarbon(Wire, frozen=True):
    """Carbon of one slot over all members, public; what goes in comes out.

    imported + generated + discharged = load + charged + lost + exported, both in Wh and in
    micrograms.
    """

    import_mg_per_kwh: Quantity
    """What the external grids emitted in this slot."""
    imported_wh: Natural
    generated_wh: Natural
    """By members, less what was spilled."""
    discharged_wh: Natural
    load_wh: Natural
    charged_wh: Natural
    lost_wh: Int64
    """In lines, transformers and shunts; the rounding of the power flow to whole Wh is in it."""
    exported_wh: Natural
    imported_ug: Natural
    generated_ug: Natural
    discharged_ug: Natural
    load_ug: Natural
    charged_ug: Natural
    lost_ug: Natural
    exported_ug: Natural

    @property
    def residual_wh(self) -> int:
        """What went in less what came out: 0."""
        gone = self.load_wh + self.charged_wh + self.lost_wh + self.exported_wh
        return self.imported_wh + self.generated_wh + self.discharged_wh - gone

    @property
    def residual_ug(self) -> int:
        """Emitted + imported less loads, losses, stored change and exported: 0."""
        gone = self.load_ug + self.charged_ug + self.lost_ug + self.exported_ug
        return self.imported_ug + self.generated_ug + self.discharged_ug - gone


class MemberCarbon(Wire, frozen=True):
    """Energy and carbon of one member in one slot, behind its meter."""

    load_wh: Natural
    generated_wh: Natural
    charged_wh: Natural
    discharged_wh: Natural
    load_ug: Micrograms
    charged_ug: Micrograms
    """That the storage took in."""
    discharged_ug: Micrograms
    """That it gave back."""

    @property
    def net_wh(self) -> int:
        """What the member's meters see, + = export."""
        return self.generated_wh + self.discharged_wh - self.load_wh - self.charged_wh


class CarbonLine(Wire, frozen=True):
    """One slot of a member's carbon statement."""

    slot_start_s: Natural
    physical: MemberCarbon
    bought_wh: Natural
    """By contract, of other members, as far as the lines could carry it and it was used."""
    bought_ug: Natural
    """Contractual: at the market's factor of generation."""
    supplied_wh: Natural
    """Metered beyond contracts: from outside."""
    supplied_ug: Natural
    """Contractual: at the supplier's factor."""


class CarbonStatement(Wire, frozen=True):
    """A participant's carbon of one day; its lines are kept beside it under `frontier`."""

    load_wh: Int64
    generated_wh: Int64
    charged_wh: Int64
    discharged_wh: Int64
    load_ug: Int64
    """Physical: of what was used."""
    charged_ug: Int64
    discharged_ug: Int64
    bought_wh: Int64
    bought_ug: Int64
    """Contractual, of energy bought of members."""
    supplied_wh: Int64
    supplied_ug: Int64
    """Contractual, of energy from outside."""
    lines: Natural
    frontier: list[Hash]
    """Subtree hashes of the RFC 6962 tree over the salted lines."""


class CarbonStore(Wire, frozen=True):
    """Carbon that a member's storage holds in one market; what was in it at first is 0."""

    held_ug: Natural


class MemberParts(Wire, frozen=True):
    """A member's part of consecutive slots, waiting for the sums of these slots."""

    slots: list[MemberCarbon]
