"""Clients: each sends one request after the other and remembers what it saw.

They sit beside a host, so that the order of calls and answers is exactly what the host did. A
request that is refused or gets no answer is tried again elsewhere as a new one; what became of one
without an answer stays open.
"""

from __future__ import annotations

from gridpact.consensus.shape import Decide, Propose, ReadReady, ReadRequest, Refused
from gridpact.sim.histories import Operation, check_linearizable
from gridpact.sim.raft_watch import RaftWatch
from gridpact.sim.world import Host, Violation, World

FAITHFUL = 0.8
"""Share of requests that go to where the last one was answered."""
READ_TOKENS = 1 << 40
"""Tokens of reads count from here, those of writes from 1."""


class ClosedClients:
    """So many clients, each with one request at a time.

    Args:
        world: where they are.
        watch: knows what is decided.
        count: how many.
        think_us: mean pause between two requests.
        patience_us: how long one waits for an answer.
        reads: share of requests that read.
        payload_bytes: size of a write; at least 16.
    """

    def __init__(
        self,
        world: World,
        watch: RaftWatch,
        *,
        count: int,
        think_us: int,
        patience_us: int,
        reads: float,
        payload_bytes: int,
    ) -> None:
        self._world, self._watch = world, watch
        self._think_us, self._patience_us, self._reads = think_us, patience_us, reads
        self._padding = bytes(max(0, payload_bytes - 16))
        self._hints = [""] * count
        self._busy: list[Operation | None] = [None] * count
        self.operations: list[Operation] = []
        self.acknowledged = 0
        self.stopped = False
        for client in range(count):
            world.at(world.random.randrange(2 * think_us), self._begin, client)

    def _begin(self, client: int) -> None:
        if self.stopped:
            return
        world = self._world
        random = world.random
        host = self._chosen(client)
        reads = random.random() < self._reads
        token = len(self.operations) + 1
        payload = b"" if reads else b"%016d" % token + self._padding
        operation = Operation(client, world.now_us, payload)
        self.operations.append(operation)
        self._busy[client] = operation
        world.at(world.now_us + self._patience_us, self._give_up, operation)
        if not host.alive or host.paused_until_us > world.now_us:
            self._hints[client] = ""
            return
        host.pending[payload or READ_TOKENS + token] = operation
        if reads:
            world.step(host, ReadRequest(READ_TOKENS + token))
        else:
            world.step(host, Propose(token, payload))

    def _chosen(self, client: int) -> Host:
        """Who answered last, or was said to lead; now and then anybody, as a lost client would."""
        random = self._world.random.random
        found = self._world.by_name.get(self._hints[client]) if random() < FAITHFUL else None
        hosts = found or self._world.hosts
        return hosts[int(random() * len(hosts))]

    def _give_up(self, operation: Operation) -> None:
        if self._busy[operation.client] is operation:
            self._hints[operation.client] = ""
            self._next(operation)

    def _next(self, operation: Operation) -> None:
        self._busy[operation.client] = None
        pause_us = int(self._world.random.random() * 2 * self._think_us) + 1
        self._world.at(self._world.now_us + pause_us, self._begin, operation.client)

    # Answers

    def decided(self, host: Host, effect: Decide) -> None:
        """See `Clients.decided`: the host that took the request has executed it."""
        operation = host.pending.pop(effect.payload, None) if host.pending else None
        if operation is not None:
            self._answered(host, operation, effect.height)

    def ready(self, host: Host, effect: ReadReady) -> None:
        """See `Clients.ready`: the client reads what the host has executed."""
        heights = self._watch.heights
        if host.count < len(heights) and heights[host.count] <= effect.height:
            raise Violation("reads wait", f"{host.name} reads {effect.height} before executing it")
        operation = host.pending.pop(effect.token, None)
        if operation is not None:
            self._answered(host, operation, host.height)

    def refused(self, host: Host, effect: Refused) -> None:
        """See `Clients.refused`: nothing has happened, and perhaps somebody else can."""
        if effect.token < READ_TOKENS:
            key: bytes | int = b"%016d" % effect.token + self._padding
        else:
            key = effect.token
        operation = host.pending.pop(key, None)
        if operation is not None and self._busy[operation.client] is operation:
            self._hints[operation.client] = effect.leader
            self._next(operation)

    def _answered(self, host: Host, operation: Operation, height: int) -> None:
        operation.height = height
        operation.ended_us = self._world.now_us
        self.acknowledged += 1
        if self._busy[operation.client] is operation:
            self._hints[operation.client] = host.name
            self._next(operation)

    # Afterwards

    def check(self) -> None:
        """Nothing acknowledged is lost, and the history is linearizable.

        Raises:
            Violation: else.
        """
        places = self._watch.places
        for operation in self.operations:
            if operation.payload:
                height = places.get(operation.payload, -1)
                if operation.height not in {-1, height}:
                    raise Violation(
                        "acknowledged stays",
                        f"{operation.payload[:16]!r} at {operation.height}, now {height}",
                    )
                operation.height = height
        check_linearizable(self.operations)
