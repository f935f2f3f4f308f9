"""What a node tells its operators over HTTP: Prometheus figures at /metrics, and /health.

Served by a thread of its own, on an address of the operator's choosing. It only reads numbers that
the node counts anyway, when somebody asks.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from gridpact.errors import StoreError
from gridpact.node.door import NodeStatus
from gridpact.node.links import Counts as LinkCounts

if TYPE_CHECKING:
    from prometheus_client.core import Metric

REQUEST_WAITS_S = 5.0
"""How long a client may take to say what it wants."""

Labels = tuple[tuple[str, str], ...]
Counts = Mapping[tuple[str, Labels], float]
"""By name and labels: what only ever grows."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a node can serve."""

    is_well: bool
    reason: str
    """Empty when it is well."""


def verdict_counts(transactions: Counter[str]) -> dict[tuple[str, Labels], float]:
    """Transactions in blocks, by verdict."""
    return {
        ("transactions", (("verdict", verdict),)): count
        for verdict, count in list(transactions.items())
    }


def link_counts(links: LinkCounts) -> dict[tuple[str, Labels], float]:
    """What the links to other validators have done."""
    found: dict[tuple[str, Labels], float] = {}
    for way, frames, size in (
        ("in", links.frames_in, links.bytes_in),
        ("out", links.frames_out, links.bytes_out),
    ):
        found["link_frames", (("way", way),)] = frames
        found["link_bytes", (("way", way),)] = size
    for why, count in (("away", links.away), ("behind", links.behind)):
        found["link_frames_dropped", (("reason", why),)] = count
    for (peer, reason), count in list(links.refusals.items()):
        found["link_refusals", (("peer", peer), ("reason", reason.value))] = count
    return found


class Metrics:
    """The figures of one node."""

    def __init__(
        self,
        status: Callable[[int], NodeStatus],
        counts: Callable[[], Counts],
        health: Callable[[], Health],
    ) -> None:
        """Nothing is served before `start`."""
        self._status, self._counts, self._health = status, counts, health
        self._server: WSGIServer | None = None
        self._thread: threading.Thread | None = None

    def start(self, host: str, port: int) -> None:
        """Serve.

        Raises:
            StoreError: the address is not to be had.
        """
        from prometheus_client import CollectorRegistry, make_wsgi_app

        registry = CollectorRegistry()
        registry.register(_Collector(self._status, self._counts))
        figures = make_wsgi_app(registry)

        def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            if environ.get("PATH_INFO") == "/health":
                return self._answer_health(start)
            if environ.get("PATH_INFO") == "/metrics":
                found: Iterable[bytes] = figures(environ, start)
                return found
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/metrics or /health\n"]

        try:
            server = make_server(host, port, answer, _Server, _Quiet)
        except OSError as error:
            raise StoreError(f"{host}:{port}: no metrics there: {error.strerror}") from error
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def _answer_health(self, start: Callable[..., Any]) -> Iterable[bytes]:
        health, status = self._health(), self._status(0)
        start(
            "200 OK" if health.is_well else "503 Service Unavailable",
            [("Content-Type", "application/json")],
        )
        facts = {
            "ok": health.is_well,
            "reason": health.reason,
            "name": status.name,
            "engine": status.engine,
            "height": status.height,
            "leader": status.leader,
            "term": status.term,
        }
        return [json.dumps(facts).encode() + b"\n"]


class _Collector:
    """Turns what a node knows into Prometheus' families."""

    def __init__(self, status: Callable[[int], NodeStatus], counts: Callable[[], Counts]) -> None:
        self._status, self._counts = status, counts

    def collect(self) -> Iterable[Metric]:
        """Called by the registry at each request."""
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            InfoMetricFamily,
        )

        status = self._status(0)
        yield InfoMetricFamily(
            "gridpact_node",
            "Who this is.",
            {"name": status.name, "engine": status.engine, "chain": status.genesis.hex()},
        )
        for name, words, value in (
            ("height", "Blocks in the ledger.", status.height),
            ("term", "Term of the Raft; 0 where there is none.", status.term),
            ("leads", "Whether this validator leads.", status.leader == status.name),
            ("has_leader", "Whether it knows a leader.", bool(status.leader)),
            ("waiting", "Transactions taken in and not answered.", status.waiting),
        ):
            yield GaugeMetricFamily(f"gridpact_{name}", words, float(value))
        families: dict[str, CounterMetricFamily] = {}
        for (name, labels), count in sorted(self._counts().items()):
            if name not in families:
                words = name.replace("_", " ").capitalize() + "."
                keys = [label for label, _ in labels]
                families[name] = CounterMetricFamily(f"gridpact_{name}", words, labels=keys)
            families[name].add_metric([text for _, text in labels], count)
        yield from families.values()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    timeout = REQUEST_WAITS_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that it has
        """Requests of a monitoring system fill no log."""
