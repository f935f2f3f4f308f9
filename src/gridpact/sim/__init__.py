"""The simulator: a seeded world in which protocols meet everything that can go wrong."""

from gridpact.sim.campaign import Finding, Report, Request, shrink, simulate
from gridpact.sim.faults import KINDS
from gridpact.sim.schedule import PROTOCOLS, Plan, plan_of
from gridpact.sim.trial import Outcome, Trial, run_plan
from gridpact.sim.twins import BROKEN
from gridpact.sim.world import Violation

__all__ = [
    "BROKEN",
    "KINDS",
    "PROTOCOLS",
    "Finding",
    "Outcome",
    "Plan",
    "Report",
    "Request",
    "Trial",
    "Violation",
    "plan_of",
    "run_plan",
    "shrink",
    "simulate",
]
