"""Who has given wrong results, and who may be hired: kept from job to job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

STRIKES_MAX = 2
"""So many wrong results put a provider on the blacklist."""
CYCLES_OUT = 3
"""For so many whole cycles after the one of the last strike."""


@dataclass(frozen=True, slots=True)
class Standings:
    """Strikes and the blacklist. A cycle is a settlement period, counted from 0.

    Source: [SUN23], section 4.3: two wrong results, out for three cycles. Ours: strikes count from
    job to job, nobody is hired in the rest of the cycle either, and who comes back begins anew.
    """

    strikes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """By provider, below `STRIKES_MAX`; none is 0."""
    back_in_cycle: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """By provider on the blacklist, also of times past."""

    def may_hire(self, provider: str, cycle: int) -> bool:
        """Whether a provider is off the blacklist in a cycle."""
        return cycle >= self.back_in_cycle.get(provider, 0)

    def struck(self, provider: str, cycle: int) -> Standings:
        """After one more wrong result; a strike while on the blacklist changes nothing."""
        if not self.may_hire(provider, cycle):
            return self
        count = self.strikes.get(provider, 0) + 1
        if count < STRIKES_MAX:
            return replace(self, strikes=MappingProxyType({**self.strikes, provider: count}))
        left = {name: n for name, n in self.strikes.items() if name != provider}
        out = {**self.back_in_cycle, provider: cycle + 1 + CYCLES_OUT}
        return Standings(MappingProxyType(left), MappingProxyType(out))
