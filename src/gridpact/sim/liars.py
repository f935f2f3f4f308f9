"""Replicas that lie, as wrappers around what an honest one does, and twins with one key.

Raft tolerates crashes only, so what liars do to it is shown and not counted against it. The
wrappers know no protocol; what a lie says is written by a function that comes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from random import Random
from typing import Any

import msgspec

from gridpact.consensus.frames import Frame, Framing
from gridpact.consensus.raft import RaftMessage
from gridpact.consensus.raft.messages import Append, Entry, VoteReply
from gridpact.consensus.shape import Effect, Event, Replica, Send
from gridpact.sim.network import NetworkPlan
from gridpact.sim.schedule import Plan
from gridpact.sim.trial import Outcome, run_plan

Lie = Callable[[Send], Iterable[Send]]
"""What is sent in place of a message: nothing, something else, more."""


class Liar:
    """An honest replica whose messages pass through a lie.

    Everything else of it can be asked of it as of the honest one.
    """

    def __init__(self, honest: Replica, lie: Lie) -> None:
        self._honest, self._lie = honest, lie

    def __getattr__(self, name: str) -> Any:
        return getattr(self._honest, name)

    def start(self, now_ms: int) -> list[Effect]:
        """See `Replica.start`."""
        return self._bent(self._honest.start(now_ms))

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        """See `Replica.step`."""
        return self._bent(self._honest.step(event, now_ms))

    def _bent(self, effects: list[Effect]) -> list[Effect]:
        bent: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Send):
                bent.extend(self._lie(effect))
            else:
                bent.append(effect)
        return bent


def withhold(random: Random, share: float) -> Lie:
    """Keep back a share of all messages."""
    return lambda send: () if random.random() < share else (send,)


def only_to(peers: Collection[str]) -> Lie:
    """Speak to a chosen few."""
    return lambda send: (send,) if send.peer in peers else ()


def tampered(random: Random) -> Lie:
    """Change a byte of the frame without the key to sign it again."""

    def lie(send: Send) -> Iterable[Send]:
        place = random.randrange(len(send.data))
        changed = bytes((send.data[place] ^ random.randint(1, 255),))
        return (
            msgspec.structs.replace(
                send, data=send.data[:place] + changed + send.data[place + 1 :]
            ),
        )

    return lie


def equivocate(
    framing: Framing[RaftMessage],
    name: str,
    peers: Collection[str],
    change: Callable[[RaftMessage], RaftMessage],
) -> Lie:
    """Tell some peers something else, signed with the own key.

    Args:
        framing: of the liar.
        name: of the liar.
        peers: who is told the other thing.
        change: the other thing, or the same.
    """

    def lie(send: Send) -> Iterable[Send]:
        if send.peer not in peers:
            return (send,)
        body = msgspec.msgpack.decode(send.data, type=Frame).body
        message: RaftMessage = msgspec.msgpack.decode(body, type=RaftMessage)
        return (msgspec.structs.replace(send, data=framing.seal(change(message), send.peer)),)

    return lie


def other_payloads(message: RaftMessage) -> RaftMessage:
    """A leader's entries with other payloads."""
    if not isinstance(message, Append) or not message.entries:
        return message
    entries = [
        entry
        if entry.configuration or not entry.payload
        else Entry(entry.term, configuration=False, payload=b"lie " + entry.payload[:60])
        for entry in message.entries
    ]
    return Append(
        message.term,
        message.previous_index,
        message.previous_term,
        entries,
        message.commit,
        message.question,
    )


def every_vote(message: RaftMessage) -> RaftMessage:
    """A voter that grants whatever it is asked."""
    if isinstance(message, VoteReply) and not message.trial:
        return VoteReply(message.term, granted=True, trial=False)
    return message


def with_twin(plan: Plan) -> Plan:
    """The plan with one more host, which has the name of the first voter.

    Links of the copy are like those of the original.
    """
    tables = [[*row, row[0]] for row in plan.network.tables]
    tables.append(list(tables[0]))
    network = NetworkPlan(
        plan.network.model, tables, plan.network.ordered, plan.network.lost, plan.network.duplicated
    )
    return replace(plan, network=network, ppm=(*plan.ppm, 0), twin=True)


def run_with_twins(
    plan: Plan, keep: Collection[int] | None = None, stop_ms: int | None = None
) -> Outcome:
    """A run in which the first voter exists twice.

    Args:
        plan: what happens.
        keep: numbers of the actions that do, all when None.
        stop_ms: end of the faulty part, in milliseconds of world time; the plan's when None.
    """
    return run_plan(with_twin(plan), keep, stop_ms)
