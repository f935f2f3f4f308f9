"""What is done to a network, each kind by a name; afterwards `FaultNetwork.heal` mends it all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from gridpact.studies.fault_network import FaultNetwork
from gridpact.studies.fault_proxy import HEALTHY, LinkState

LASTS_S = (0.5, 2.5)
"""How long most faults last: some are over before anybody notices, some outlast elections."""
APART_S = (0.0, 0.3)
"""Between two parts of a fault."""
ENDS_WITHIN_S = 15.0
"""How long a validator may go on when its disk is full, while clients write."""
ABSENT_BLOCKS = 600
"""A log keeps no more of what is decided."""
ABSENT_S = 20.0
"""Nobody is away for longer."""
ROOM_BYTES = 64 * 2**10
"""What files may still grow by, at most, when the disk is filled up."""
CLOCK_JUMP_S = 3 * 86_400
"""How far clocks jump, at most, forwards or backwards."""

Act = Callable[[FaultNetwork, Random], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind."""

    name: str
    act: Act
    """Does the damage and waits as long as it lasts."""
    needs: str = ""
    """`links` that can be made bad, a `disk` or a `clock` of our own; empty: processes only."""


async def _lasts(chance: Random) -> None:
    await asyncio.sleep(chance.uniform(*LASTS_S))


async def _apart(chance: Random) -> None:
    await asyncio.sleep(chance.uniform(*APART_S))


async def _one(network: FaultNetwork, chance: Random) -> str:
    """The leader more often than chance would have it."""
    return await (network.leader() if chance.random() < 0.5 else network.follower())


# Processes


async def _kill_leader(network: FaultNetwork, chance: Random) -> None:
    await network.kill(await network.leader())
    await _lasts(chance)


async def _kill_follower(network: FaultNetwork, chance: Random) -> None:
    await network.kill(await network.follower())
    await _lasts(chance)


async def _kill_again(network: FaultNetwork, chance: Random) -> None:
    """One after the other, the next before the last is well."""
    for _ in range(chance.randint(2, 4)):
        name = await _one(network, chance)
        await network.kill(name)
        await _apart(chance)
        network.start(name)
        await asyncio.sleep(chance.uniform(0, 1.5))


async def _long_absence(network: FaultNetwork, chance: Random) -> None:
    """One is away until the others' logs have forgotten what it lacks."""
    name = await network.follower()
    await network.kill(name)
    await network.until_further(ABSENT_BLOCKS, ABSENT_S)


async def _lost_ledger(network: FaultNetwork, chance: Random) -> None:
    """Always of the same validator, so that the others keep the whole chain to compare with."""
    name = network.names[-1]
    await network.kill(name)
    network.lose_ledger(name)
    await _lasts(chance)


async def _kill_all(network: FaultNetwork, chance: Random) -> None:
    names = chance.sample(network.names, len(network.names))
    if chance.random() < 0.5:
        await network.kill(*names)
    else:
        for name in names:
            await network.kill(name)
            await _apart(chance)
    await _apart(chance)


async def _pause_leader(network: FaultNetwork, chance: Random) -> None:
    network.pause(await network.leader())
    await _lasts(chance)


async def _pause_follower(network: FaultNetwork, chance: Random) -> None:
    network.pause(await network.follower())
    await _lasts(chance)


async def _pause_all(network: FaultNetwork, chance: Random) -> None:
    network.pause(*network.names)
    await _lasts(chance)


async def _restart(network: FaultNetwork, chance: Random) -> None:
    await network.shut_down(await _one(network, chance))
    await _apart(chance)


async def _restart_all(network: FaultNetwork, chance: Random) -> None:
    names = chance.sample(network.names, len(network.names))
    await network.shut_down(*names)
    await _apart(chance)
    for name in names:
        network.start(name)
        await _apart(chance)


# Links


async def _partition(network: FaultNetwork, chance: Random, name: str) -> None:
    network.set_links(network.links(name), _none(chance))
    await _lasts(chance)


async def _partition_leader(network: FaultNetwork, chance: Random) -> None:
    await _partition(network, chance, await network.leader())


async def _partition_follower(network: FaultNetwork, chance: Random) -> None:
    await _partition(network, chance, await network.follower())


async def _one_way(network: FaultNetwork, chance: Random) -> None:
    out = chance.random() < 0.5
    pairs = network.links(await _one(network, chance), outgoing=out, incoming=not out)
    network.set_links(pairs, _none(chance))
    await _lasts(chance)


async def _one_link(network: FaultNetwork, chance: Random) -> None:
    network.set_links([chance.choice(network.links())], _none(chance))
    await _lasts(chance)


async def _all_apart(network: FaultNetwork, chance: Random) -> None:
    network.set_links(network.links(), _none(chance))
    await _lasts(chance)


async def _flapping(network: FaultNetwork, chance: Random) -> None:
    pairs = network.links(await _one(network, chance))
    for _ in range(chance.randint(3, 8)):
        network.set_links(pairs, _none(chance))
        await asyncio.sleep(chance.uniform(0.05, 0.4))
        network.set_links(pairs, HEALTHY)
        await asyncio.sleep(chance.uniform(0.05, 0.4))


async def _delay(network: FaultNetwork, chance: Random) -> None:
    delay_ms = chance.choice([50, 200, 800])
    network.set_links(network.links(), LinkState(delay_ms=delay_ms, jitter_ms=delay_ms))
    await _lasts(chance)


async def _resets(network: FaultNetwork, chance: Random) -> None:
    share = chance.choice([0.01, 0.05, 0.2])
    network.set_links(network.links(), LinkState(reset_chance=share))
    await _lasts(chance)


async def _slow(network: FaultNetwork, chance: Random) -> None:
    rate = chance.choice([4, 16, 64]) * 2**10
    network.set_links(network.links(), LinkState(bytes_per_s=rate))
    await _lasts(chance)


def _none(chance: Random) -> LinkState:
    """A link without traffic: silent, or with resets."""
    return LinkState(held=True) if chance.random() < 0.5 else LinkState(cut=True)


# Disks and clocks


async def _full_disk(network: FaultNetwork, chance: Random) -> None:
    name = await _one(network, chance)
    network.fill_disk(name, chance.randrange(ROOM_BYTES))
    code = await network.until_ended(name, ENDS_WITHIN_S)
    if code != 1:
        network.blame(f"{name} ended with code {code} when its disk was full")
    await _apart(chance)


async def _clock_jump(network: FaultNetwork, chance: Random) -> None:
    name = await _one(network, chance)
    await network.shut_down(name)
    network.start_ahead(name, chance.randrange(-CLOCK_JUMP_S, CLOCK_JUMP_S))
    for _ in range(3):
        await asyncio.sleep(chance.uniform(0.5, 1.5))
        network.set_clock(name, chance.randrange(-CLOCK_JUMP_S, CLOCK_JUMP_S))
    await asyncio.sleep(1.0)
    await network.shut_down(name)


# Several


async def _two_at_once(network: FaultNetwork, chance: Random) -> None:
    """One validator is cut off while another one dies, stands still or starts again."""
    name = await _one(network, chance)
    others = [other for other in network.names if other != name]
    network.set_links(network.links(name), _none(chance))
    await _apart(chance)
    other = chance.choice(others)
    what = chance.randrange(3)
    if what == 0:
        await network.kill(other)
    elif what == 1:
        network.pause(other)
    else:
        await network.kill(other)
        network.start(other)
    await _lasts(chance)
    network.set_links(network.links(name), HEALTHY)
    await _lasts(chance)


FAULTS = (
    Fault("kill-leader", _kill_leader),
    Fault("kill-follower", _kill_follower),
    Fault("kill-again", _kill_again),
    Fault("kill-all", _kill_all),
    Fault("long-absence", _long_absence),
    Fault("pause-leader", _pause_leader),
    Fault("pause-follower", _pause_follower),
    Fault("pause-all", _pause_all),
    Fault("restart", _restart),
    Fault("restart-all", _restart_all),
    Fault("partition-leader", _partition_leader, "links"),
    Fault("partition-follower", _partition_follower, "links"),
    Fault("one-way-partition", _one_way, "links"),
    Fault("one-link", _one_link, "links"),
    Fault("all-apart", _all_apart, "links"),
    Fault("flapping-links", _flapping, "links"),
    Fault("delay", _delay, "links"),
    Fault("resets", _resets, "links"),
    Fault("slow-links", _slow, "links"),
    Fault("full-disk", _full_disk, "disk"),
    Fault("lost-ledger", _lost_ledger, "disk"),
    Fault("clock-jump", _clock_jump, "clock"),
    Fault("two-at-once", _two_at_once, "links"),
)


def left_out(network: FaultNetwork) -> dict[str, str]:
    """Faults that this network cannot have, each with the reason."""
    if network.has_links:
        return {}
    reasons = {
        "links": f"the links of {network.engine} go through no proxy",
        "disk": f"{network.engine} runs a program of its own, whose disk stays as it is",
        "clock": f"{network.engine} runs a program of its own, whose clock stays as it is",
    }
    return {fault.name: reasons[fault.needs] for fault in FAULTS if fault.needs}
