"""The same day on every engine: one market state root.

Nothing of a network's timing may reach the state: how transactions fall into blocks, who leads, and
how many decide differ from engine to engine.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.cli.small_run import call, write_scenario

from gridpact.errors import InputError
from gridpact.node import audit_ledger
from gridpact.node.cometbft import find_program

pytestmark = [pytest.mark.service, pytest.mark.slow]

ENGINES = {"embedded": 1, "raft": 3, "weighted-raft": 3, "cometbft": 4}


def _installed() -> dict[str, int]:
    try:
        find_program()
    except InputError:
        if os.environ.get("GRIDPACT_REQUIRE_SERVICES"):
            raise
        return {name: count for name, count in ENGINES.items() if name != "cometbft"}
    return ENGINES


def test_one_day_has_one_market_root_whatever_decides(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path)
    roots, records = {}, {}
    for engine, validators in _installed().items():
        out = tmp_path / engine
        done = call("run", scenario, "--engine", engine, "--out", out, "--json")
        assert done.code == 0, done.err
        ledgers = [out / "ledger"]
        if validators > 1:
            homes = sorted((out / "network").glob("*/ledger"))
            assert len(homes) == validators
            ledgers += homes
        reports = [audit_ledger(ledger) for ledger in ledgers]
        assert [report.violations for report in reports] == [[]] * len(ledgers)
        (records[engine],) = {report.record_hash for report in reports}
        (roots[engine],) = {report.market_state_root for report in reports}
    assert len(set(roots.values())) == 1
    assert len(set(records.values())) == len(records)


def test_microgrids_bargain_alike_whatever_decides(tmp_path: Path) -> None:
    roots = {}
    for engine in ("embedded", "raft"):
        out = tmp_path / engine
        arguments = ("run", "rural-quarters", "--market", "microgrid", "--engine", engine)
        done = call(*arguments, "--out", out, "--json")
        assert done.code == 0, done.err
        assert done.json["cleared"] == 24
        assert audit_ledger(out / "ledger").ok
        roots[engine] = done.json["market_state_root"]
    assert roots["raft"] == roots["embedded"]
