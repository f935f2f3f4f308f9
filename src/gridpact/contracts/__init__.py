"""Handlers, one per kind of transaction, and the application that runs them on the kernel."""

from gridpact.contracts.application import (
    Application,
    BlockResult,
    Candidate,
    Unreadable,
    is_early,
)
from gridpact.contracts.conservation import energy_residual_wh, unbalanced
from gridpact.contracts.transactions import judge_payload

__all__ = [
    "Application",
    "BlockResult",
    "Candidate",
    "Unreadable",
    "energy_residual_wh",
    "is_early",
    "judge_payload",
    "unbalanced",
]
