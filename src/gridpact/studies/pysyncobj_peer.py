"""PySyncObj for comparison: three processes, a replicated counter, one call at a time.

`python -m gridpact.studies.pysyncobj_peer N` prints the milliseconds of N calls that waited for
their decision. Its journal is written to files, which PySyncObj does not synchronise to the disk.
"""

from __future__ import annotations

import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from gridpact.node.ports import free_ports

TURN_S = 0.001
"""PySyncObj looks at its sockets and queues this often at least; its default is 50 ms."""
LEADER_WAITS_S = 30.0


def _counter(own: str, others: list[str], journal: Path) -> Any:
    from pysyncobj import SyncObj, SyncObjConf, replicated

    class Counter(SyncObj):  # type: ignore[misc]
        """Adds up."""

        def __init__(self) -> None:
            conf = SyncObjConf(
                journalFile=str(journal),
                fullDumpFile=str(journal) + ".dump",
                autoTickPeriod=TURN_S,
                appendEntriesUseBatch=False,
                dynamicMembershipChange=False,
            )
            super().__init__(own, others, conf)
            self._sum = 0

        @replicated  # type: ignore[untyped-decorator]
        def add(self, value: int) -> int:
            """Add and return the sum."""
            self._sum += value
            return self._sum

    return Counter()


def _peer(own: str, others: list[str], journal: Path) -> None:
    _counter(own, others, journal)
    time.sleep(3600)


def main(calls: int) -> None:
    """Run three, call in one of them, print what each call took."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports("127.0.0.1", 3)]
    with tempfile.TemporaryDirectory(prefix="gridpact-") as folder:
        context = get_context("spawn")
        peers = [
            context.Process(
                target=_peer,
                args=(own, [a for a in addresses if a != own], Path(folder) / f"{place}"),
                daemon=True,
            )
            for place, own in enumerate(addresses[1:], start=1)
        ]
        for peer in peers:
            peer.start()
        counter = _counter(addresses[0], addresses[1:], Path(folder) / "0")
        until = time.monotonic() + LEADER_WAITS_S
        while not counter.isReady() and time.monotonic() < until:
            time.sleep(0.05)
        for _ in range(calls):
            began = time.perf_counter()
            counter.add(1, sync=True, timeout=10)
            print(f"{(time.perf_counter() - began) * 1000:.4f}")  # noqa: T201
        counter.destroy()
        for peer in peers:
            peer.terminate()


if __name__ == "__main__":
    main(int(sys.argv[1]))
