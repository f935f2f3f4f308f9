"""What a node tells over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest

from gridpact.errors import StoreError
from gridpact.node.door import NodeStatus
from gridpact.node.metrics import Health, Metrics
from gridpact.node.ports import free_ports

STATUS = NodeStatus(0, "v1", "raft", b"\x01" * 32, 7, b"\x02" * 32, b"\x03" * 32, "v2", 3, 5)
COUNTS = {
    ("transactions", (("verdict", "ACCEPTED"),)): 4.0,
    ("transactions", (("verdict", "EXPIRED"),)): 1.0,
    ("blocks_passed_over", ()): 0.0,
}


@contextmanager
def serving(health: Health) -> Iterator[int]:
    metrics = Metrics(lambda _number: STATUS, lambda: COUNTS, lambda: health)
    (port,) = free_ports("127.0.0.1", 1)
    metrics.start("127.0.0.1", port)
    try:
        yield port
    finally:
        metrics.close()


def get(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_figures_have_names_labels_and_kinds() -> None:
    with serving(Health(is_well=True, reason="")) as port:
        status, text = get(port, "/metrics")
    assert status == 200
    for line in (
        "# TYPE gridpact_height gauge",
        "gridpact_height 7.0",
        "gridpact_leads 0.0",
        "gridpact_has_leader 1.0",
        'gridpact_transactions_total{verdict="ACCEPTED"} 4.0',
        'gridpact_transactions_total{verdict="EXPIRED"} 1.0',
        "gridpact_blocks_passed_over_total 0.0",
    ):
        assert line in text.splitlines()


def test_health_is_200_or_503_with_the_reason() -> None:
    with serving(Health(is_well=True, reason="")) as port:
        status, text = get(port, "/health")
        assert (status, json.loads(text)["leader"]) == (200, "v2")
    with serving(Health(is_well=False, reason="no leader is known")) as port:
        status, text = get(port, "/health")
        assert (status, json.loads(text)["reason"]) == (503, "no leader is known")


def test_anything_else_is_not_found() -> None:
    with serving(Health(is_well=True, reason="")) as port:
        assert get(port, "/admin")[0] == 404
        assert get(port, "/health")[0] == 200


def test_an_address_that_is_taken_is_refused_by_name() -> None:
    with serving(Health(is_well=True, reason="")) as port:
        other = Metrics(lambda _number: STATUS, lambda: COUNTS, lambda: Health(True, ""))
        with pytest.raises(StoreError, match=f"127.0.0.1:{port}"):
            other.start("127.0.0.1", port)
        other.close()
        assert get(port, "/health")[0] == 200
