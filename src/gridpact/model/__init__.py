"""The shared nouns: what every room may know about, and nothing that decides anything."""

from gridpact.model.scenario import (
    AccountMode,
    AccountPolicy,
    AgentPolicy,
    Member,
    Profiles,
    ProfileSource,
    ProfileUnit,
    Quoting,
    Scenario,
    Slot,
    SlotPrices,
    Tariff,
    TariffWindow,
    TieRule,
)

__all__ = [
    "AccountMode",
    "AccountPolicy",
    "AgentPolicy",
    "Member",
    "ProfileSource",
    "ProfileUnit",
    "Profiles",
    "Quoting",
    "Scenario",
    "Slot",
    "SlotPrices",
    "Tariff",
    "TariffWindow",
    "TieRule",
]
