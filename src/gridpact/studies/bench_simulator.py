"""How many messages per second the simulator carries on one core with every checker on."""

from __future__ import annotations

from time import process_time

from gridpact.consensus.raft import Profile
from gridpact.errors import invariant
from gridpact.sim import PROTOCOLS, Plan, Trial, plan_of

SEEDS = 40
ROUNDS = 5
"""The best of so many counts: others share the machine."""


def bench_simulator() -> dict[str, dict[str, float | int]]:
    """Run seeds of every protocol in this process, with faults, clients and checkers.

    Returns:
        by protocol: messages per second and seeds per minute of processor time; as baseline the
        same worlds with nobody looking on: `ratio` is the share of their rate that remains.
    """
    return {f"{protocol}, {SEEDS} seeds": _measure(protocol) for protocol in PROTOCOLS}


def _measure(protocol: str) -> dict[str, float | int]:
    plans = [plan_of(protocol, Profile.HARDENED, seed) for seed in range(SEEDS)]
    best, bare = (min(run(plans) for _ in range(ROUNDS)) for run in (_watched, _bare))
    per_message_s, messages, seconds = best
    baseline_s = bare[0] * messages
    return {
        "messages": messages,
        "messages_per_s": 1 / per_message_s,
        "seeds_per_min": 60 * SEEDS / seconds,
        "baseline_messages_per_s": 1 / bare[0],
        "baseline_s": baseline_s,
        "ours_s": seconds,
        "ratio": baseline_s / seconds,
    }


def _watched(plans: list[Plan]) -> tuple[float, int, float]:
    """(seconds a message, messages, seconds) of whole runs."""
    started, messages = process_time(), 0
    for plan in plans:
        outcome = Trial(plan).run()
        invariant(outcome.rule == "", f"seed {plan.seed}: {outcome.rule}")
        messages += outcome.messages
    seconds = process_time() - started
    return seconds / messages, messages, seconds


def _bare(plans: list[Plan]) -> tuple[float, int, float]:
    """The same of the faulty parts of the runs, without checkers."""
    started, messages = process_time(), 0
    for plan in plans:
        world = Trial(plan).world
        world.watch = None
        for host in world.hosts:
            world.start(host)
        world.run(plan.active_us)
        messages += world.messages
    seconds = process_time() - started
    return seconds / messages, messages, seconds
