"""Everything that can go wrong, as a list of actions with times.

A schedule names its actions one by one, so that a violation can be looked for with fewer of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from gridpact.consensus.shape import Reconfigure, TransferLeadership
from gridpact.sim.world import World

TRAPS = ("write", "torn", "durable", "sent", "decided", "elected")
"""Where a leader is killed: before a record is written, in the middle of it, when it is durable and
before anything is sent, after the first message of a step, before it executes a decision, as soon
as it is elected."""
JUMP_MAX_MS = 3_600_000
CHANGE_TOKENS = 1 << 50
"""Tokens of configuration changes count from here."""

Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that goes wrong, and until when."""

    at_us: int
    until_us: int
    kind: str
    """One of `KINDS`."""
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        words = " ".join(str(argument) for argument in self.arguments)
        return f"{self.at_us / 1000:.1f}..{self.until_us / 1000:.1f} ms {self.kind} {words}"


def _links(world: World, senders: int, receivers: int) -> list[Any]:
    """The links from hosts of one bit mask to hosts of another."""
    return [
        sender.links[receiver.index]
        for sender in world.hosts
        for receiver in world.hosts
        if senders >> sender.index & 1 and receivers >> receiver.index & 1
    ]


def _crash(world: World, place: int, kept_permille: int) -> Undo:
    host = world.hosts[place]
    if host.alive:
        world.crash(host, kept_permille)
    return lambda: world.start(host)


def _reboot(world: World, kept_permille: int) -> Undo:
    undone = [_crash(world, host.index, kept_permille) for host in world.hosts]
    return lambda: _all(undone)


def _kill_leader(world: World, trap: str) -> Undo:
    leader = world.leader()
    targets = world.hosts if trap == "elected" or leader is None else [leader]
    for host in targets:
        if host.alive:
            host.trap = trap

    def restart() -> None:
        for host in targets:
            host.trap = ""
            world.start(host)

    return restart


def _cut(links: Iterable[Any]) -> Undo:
    chosen = list(links)
    for link in chosen:
        link.cut += 1

    def mend() -> None:
        for link in chosen:
            link.cut -= 1

    return mend


def _partition(world: World, mask: int) -> Undo:
    if mask == 0:
        leader = world.leader()
        mask = 1 << (leader.index if leader else 0)
    return _cut(_links(world, mask, ~mask) + _links(world, ~mask, mask))


def _one_way(world: World, sender: int, receiver: int) -> Undo:
    return _cut([world.hosts[sender].links[receiver]])


def _deaf(world: World, mask: int) -> Undo:
    return _cut(_links(world, ~mask, mask))


def _clog(world: World, sender: int, receiver: int) -> Undo:
    here, there = world.hosts[sender], world.hosts[receiver]
    link = here.links[there.index]
    if link.held is None:
        link.held = []
    return lambda: world.release(here, there)


def _flap(world: World, place: int, period_us: int) -> Undo:
    mask = 1 << place
    links = _links(world, mask, ~mask) + _links(world, ~mask, mask)
    state: dict[str, Undo | None] = {"mend": None, "on": _nothing}

    def turn(_: object) -> None:
        if state["on"] is None:
            return
        mend = state["mend"]
        if mend is None:
            state["mend"] = _cut(links)
        else:
            mend()
            state["mend"] = None
        world.at(world.now_us + period_us, turn)

    def stop() -> None:
        state["on"] = None
        if state["mend"]:
            state["mend"]()

    turn(None)
    return stop


def _lose(world: World, permille: int) -> Undo:
    return _change_links(world, "lost", permille / 1000)


def _double(world: World, permille: int) -> Undo:
    return _change_links(world, "duplicated", permille / 1000)


def _change_links(world: World, what: str, share: float) -> Undo:
    links = _links(world, -1, -1)
    held = [getattr(link, what) for link in links]
    for link in links:
        setattr(link, what, share)

    def undo() -> None:
        for link, value in zip(links, held, strict=True):
            setattr(link, what, value)

    return undo


def _slow_disk(world: World, place: int, factor: int) -> Undo:
    disk = world.hosts[place].disk
    disk.slowdown = factor

    def undo() -> None:
        disk.slowdown = 1

    return undo


def _pause(world: World, place: int, until_us: int) -> Undo:
    host = world.hosts[place]
    if host.alive:
        host.paused_until_us = max(host.paused_until_us, until_us)
    return _nothing


def _jump(world: World, place: int, jump_ms: int) -> Undo:
    world.hosts[place].offset_us += jump_ms * 1000
    return _nothing


def _transfer(world: World, place: int) -> Undo:
    leader = world.leader()
    if leader and leader.paused_until_us <= world.now_us:
        world.step(leader, TransferLeadership(world.hosts[place].name))
    return _nothing


def _change(world: World, *weights: int) -> Undo:
    """A weight of 0 is none: not a member."""
    leader = world.leader()
    chosen = tuple(
        (host.name, weight) for host, weight in zip(world.hosts, weights, strict=False) if weight
    )
    if leader and leader.paused_until_us <= world.now_us:
        world.step(leader, Reconfigure(CHANGE_TOKENS, tuple(sorted(chosen))))
    return _nothing


def _compact(world: World, place: int) -> Undo:
    world.compact(world.hosts[place])
    return _nothing


def _nothing() -> None:
    """Some faults need no undoing."""


def _all(undone: Iterable[Undo]) -> None:
    for undo in undone:
        undo()


_DO: dict[str, Callable[..., Undo]] = {
    "crash": _crash,
    "reboot": _reboot,
    "leader": _kill_leader,
    "partition": _partition,
    "one-way": _one_way,
    "deaf": _deaf,
    "clog": _clog,
    "flap": _flap,
    "loss": _lose,
    "duplicates": _double,
    "slow-disk": _slow_disk,
    "pause": _pause,
    "clock": _jump,
    "transfer": _transfer,
    "weights": _change,
    "members": _change,
    "compact": _compact,
}
KINDS = tuple(_DO)
"""All kinds of faults; configuration changes, transfers and snapshots count as such here."""


def arrange(world: World, actions: Iterable[Action]) -> None:
    """Let the actions happen when their time comes."""

    def begin(action: Action) -> None:
        undo = _DO[action.kind](world, *action.arguments)
        if undo is not _nothing:
            world.at(action.until_us, lambda _: undo())

    for action in actions:
        world.at(action.at_us, begin, action)


def heal(world: World) -> None:
    """Nothing goes wrong any more: everybody is up and every link is free."""
    for host in world.hosts:
        host.trap = ""
        host.paused_until_us = 0
        host.disk.slowdown = 1
        for place, link in enumerate(host.links):
            link.cut, link.lost, link.duplicated = 0, 0.0, 0.0
            world.release(host, world.hosts[place])
        world.start(host)


class Draw:
    """Draws the arguments of an action.

    Args:
        random: all chance.
        voters: how many vote at the start; the hosts after them are spare.
        hosts: how many there are.
        weight_max: the largest weight, 1 where all are equal.
        unit_us: the shortest election timeout, in microseconds.
    """

    def __init__(
        self, random: Random, *, voters: int, hosts: int, weight_max: int, unit_us: int
    ) -> None:
        self._random, self._voters, self._hosts = random, voters, hosts
        self._weight_max, self._unit_us = weight_max, unit_us

    def action(self, kind: str, end_us: int) -> Action:
        """One action of a kind before `end_us`."""
        random = self._random
        at_us = random.randrange(end_us)
        length_us = int(self._unit_us * 0.4 * 25 ** random.random())
        until_us = min(end_us, at_us + length_us)
        return Action(at_us, until_us, kind, self._arguments(kind, until_us))

    def _arguments(self, kind: str, until_us: int) -> tuple[Any, ...]:
        random = self._random
        place, other = random.randrange(self._hosts), random.randrange(self._hosts)
        mask = random.randrange(1 << self._hosts)
        kept = random.choice((0, 1000, random.randint(0, 1000)))
        jump_ms = random.choice((-1, 1)) * int(JUMP_MAX_MS ** random.random())
        rare = int(1000 * random.random() ** 2)
        weights = [random.randint(1, self._weight_max) for _ in range(self._hosts)]
        voting = [weight if random.random() < 0.7 else 0 for weight in weights]
        return {
            "crash": (place, kept),
            "reboot": (kept,),
            "leader": (random.choice(TRAPS),),
            "partition": (0 if random.random() < 0.4 else mask,),
            "one-way": (place, other),
            "deaf": (mask,),
            "clog": (place, other),
            "flap": (place, self._unit_us // random.choice((2, 5, 20, 60))),
            "loss": (min(rare, 600),),
            "duplicates": (rare,),
            "slow-disk": (place, random.choice((3, 20, 200))),
            "pause": (place, until_us),
            "clock": (place, jump_ms),
            "transfer": (place,),
            "weights": tuple(weights[: self._voters]),
            "members": tuple(voting if any(voting) else weights),
            "compact": (place,),
        }[kind]
