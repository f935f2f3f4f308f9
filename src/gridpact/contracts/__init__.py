"""Handlers, one per kind of transaction, and the application that runs them on the kernel."""

from gridpact.contracts.application import (
    Application,
    BlockResult,
    Candidate,
    Unreadable,
    is_early,
)
from gridpact.contracts.bargaining import agreements_of
from gridpact.contracts.carbon_balance import carbon_residuals
from gridpact.contracts.claims import APPLIED_IN_ORDER
from gridpact.contracts.closing import concerns
from gridpact.contracts.conservation import energy_residual_wh, unbalanced
from gridpact.contracts.kinds import KINDS
from gridpact.contracts.transactions import judge_payload

__all__ = [
    "APPLIED_IN_ORDER",
    "KINDS",
    "Application",
    "BlockResult",
    "Candidate",
    "Unreadable",
    "agreements_of",
    "carbon_residuals",
    "concerns",
    "energy_residual_wh",
    "is_early",
    "judge_payload",
    "unbalanced",
]
