"""Whether what clients saw could have happened one after the other, in real time.

Every write has a height of its own and every read returns one, so the only order that can explain
the history is known: by height, reads behind the write that they saw. The check is then exact and
needs no search: an operation that ended before another began must not stand behind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from gridpact.sim.world import Violation


class Operation:
    """A write or a read by a client; the end is infinite while its fate is not known."""

    __slots__ = ("began_us", "client", "ended_us", "height", "payload")

    def __init__(self, client: int, began_us: int, payload: bytes = b"") -> None:
        self.client, self.began_us, self.payload = client, began_us, payload
        """A read has no payload."""
        self.ended_us: float = inf
        self.height = -1
        """Where the write is decided, or the last one that the read saw; -1: nowhere, not known."""

    @property
    def order(self) -> int:
        """Its only possible place."""
        return 2 * self.height + (not self.payload)


def check_linearizable(operations: Iterable[Operation]) -> None:
    """Compare real time with the order of heights, in O(n log n).

    Raises:
        Violation: one operation ended before another began and yet stands behind it.
    """
    placed = [operation for operation in operations if operation.height >= 0]
    by_end = sorted(placed, key=lambda operation: operation.ended_us)
    latest: Operation | None = None
    ended = 0
    for operation in sorted(placed, key=lambda operation: operation.began_us):
        while ended < len(by_end) and by_end[ended].ended_us < operation.began_us:
            if latest is None or by_end[ended].order > latest.order:
                latest = by_end[ended]
            ended += 1
        if latest is not None and latest.order > operation.order:
            raise Violation("linearizability", f"{_words(latest)} before {_words(operation)}")


def _words(operation: Operation) -> str:
    kind = "write" if operation.payload else "read"
    return (
        f"{kind} of {operation.height} by client {operation.client} "
        f"({operation.began_us}..{operation.ended_us} us)"
    )
