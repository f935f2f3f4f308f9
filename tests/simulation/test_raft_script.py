"""The script that shows why weights must not change when they are applied.

A..E, old weights 10 10 30 30 20, new ones 40 20 15 15 10. A leads and lets the change be decided
with A, B, C, E; then {A, B} and {C, D, E} cannot hear each other. Source: spec of consensus,
section 3.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.frames import Framing
from gridpact.consensus.raft import (
    ChangeAtApply,
    JointChange,
    Profile,
    RaftMessage,
    RaftReplica,
    Role,
    Timing,
    recover,
    weighted_raft,
)
from gridpact.consensus.shape import Decide, Propose, Reconfigure, TimerFired
from gridpact.sim.keys import Keyring
from gridpact.sim.network import NetworkPlan
from gridpact.sim.raft_watch import RaftWatch
from gridpact.sim.world import Host, Violation, World

NAMES = ("a", "b", "c", "d", "e")
OLD = dict(zip(NAMES, (10, 10, 30, 30, 20), strict=True))
NEW = dict(zip(NAMES, (40, 20, 15, 15, 10), strict=True))
TRADE = b"TRADE-X"


class Script:
    """Five hosts that reach each other in a millisecond, and somebody who cuts links."""

    def __init__(self, change: ChangeAtApply | JointChange) -> None:
        self.rules = replace(weighted_raft(Profile.HARDENED, Timing(1)), change=change)
        self.keys = Keyring(b"script")
        tables = [[[1000]] * 5] * 5
        network = NetworkPlan("constant", tables, ordered=True, lost=0.0, duplicated=0.0)
        for name in NAMES:
            self.keys.signer(name)
        self.world = World(NAMES, self.make, network, Random(1), disk_us=100)
        self.world.watch = self.watch = RaftWatch(self.world.by_name)
        self.hosts = dict(zip(NAMES, self.world.hosts, strict=True))
        for host in self.world.hosts:
            self.world.start(host)

    def make(self, host: Host, random: Random) -> RaftReplica:
        stored = recover(configuration_of(0, OLD), host.disk.records)
        framing = Framing[RaftMessage](
            b"script".ljust(32), host.name, RaftMessage, self.keys.signer(host.name), self.keys
        )
        return RaftReplica(host.name, stored, self.rules, random, framing, NAMES)

    def cut(self, *sides: str) -> None:
        """Only hosts of one side hear each other; who is on none hears nobody."""
        for sender in NAMES:
            for receiver in NAMES:
                together = any(sender in side and receiver in side for side in sides)
                self.hosts[sender].links[self.hosts[receiver].index].cut = not together

    def pass_ms(self, ms: int) -> None:
        self.world.run(self.world.now_us + ms * 1000)

    def lead(self, name: str) -> None:
        """Let a host stand, after everybody has given up waiting for another leader."""
        self.pass_ms(self.rules.timeouts.least_ms + 1)
        self.world.step(self.hosts[name], TimerFired("election"))
        self.pass_ms(6)
        assert self.hosts[name].replica.role is Role.LEADER

    def play(self) -> None:
        for host in self.world.hosts:
            host.ppm = 0 if host.name == "a" else -900_000  # nobody else's patience ends
        self.pass_ms(1)
        self.lead_first("a")
        self.cut("abce")
        self.world.step(self.hosts["a"], Reconfigure(1, tuple(NEW.items())))
        # the change is decided with A, B, C, E; that it is, only A and B hear
        self.pass_ms(2)
        self.cut("ab", "cde")
        self.pass_ms(4)
        self.world.step(self.hosts["a"], Propose(2, TRADE))
        self.pass_ms(6)

    def lead_first(self, name: str) -> None:
        for _ in range(100):
            self.pass_ms(10)
            if self.hosts[name].replica.role is Role.LEADER:
                self.pass_ms(10)
                return
        pytest.fail(f"{name} does not lead")

    def other_side(self) -> None:
        """C asks D and E; then writes something of its own."""
        for name in "cde":
            self.hosts[name].offset_us += 10**6
        for _ in range(20):
            self.world.step(self.hosts["c"], TimerFired("election"))
            self.pass_ms(6)
            if self.hosts["c"].replica.role is Role.LEADER:
                break
        else:
            return
        self.world.step(self.hosts["c"], Propose(3, b"TRADE-Y"))
        self.pass_ms(6)


def test_weights_that_count_when_applied_lose_a_trade() -> None:
    script = Script(ChangeAtApply())
    script.play()
    assert script.watch.payloads == [TRADE], "A decides with A and B: 60 of 100 under the new"
    assert script.hosts["a"].replica.membership.configuration.number == 1
    assert script.hosts["c"].replica.membership.configuration.number == 0
    with pytest.raises(Violation) as caught:
        script.other_side()
    assert caught.value.rule in {"leader completeness", "quorums meet"}


def test_without_an_observer_the_trade_is_overwritten() -> None:
    script = Script(ChangeAtApply())
    executed: dict[str, dict[int, bytes]] = {name: {} for name in NAMES}

    class Recorder:
        def decided(self, host: Host, effect: Decide) -> None:
            executed[host.name][effect.height] = effect.payload

        def ready(self, host: Host, effect: object) -> None:
            """Nobody reads."""

        refused = ready

    script.world.watch, script.world.clients = None, Recorder()
    script.play()
    script.other_side()
    (height,) = executed["a"]
    assert executed["a"][height] == TRADE
    script.pass_ms(100)
    assert TRADE not in executed["c"].values()
    assert b"TRADE-Y" in executed["c"].values()
    held = script.hosts["c"].replica.log.entry(height)
    assert held.payload != TRADE, "another entry stands where A has executed the trade"


def test_a_joint_change_keeps_it() -> None:
    script = Script(JointChange())
    script.play()
    assert script.watch.payloads == [TRADE]
    script.other_side()
    assert script.hosts["c"].replica.role is not Role.LEADER, "under the new weights 40 of 100"
    script.cut("abcde")
    script.pass_ms(2000)
    assert script.watch.payloads == [TRADE]
    for host in script.world.hosts:
        assert host.count == 1
        assert host.replica.membership.configuration.number == 2
