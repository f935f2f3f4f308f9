"""A job from packages to rates, with real processes, on a real ledger that an auditor replays."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from nacl.bindings import (
    crypto_box_seal_open,
    crypto_sign_ed25519_pk_to_curve25519,
    crypto_sign_ed25519_sk_to_curve25519,
)
from tests.unit.carbon.flows import random_flow

from gridpact.carbon import trace
from gridpact.carbon.outsourcing.checks import SAME
from gridpact.codec import sha256
from gridpact.errors import InputError
from gridpact.model.trace_jobs import TraceMode, TraceState
from gridpact.node import SimulatedKeys, audit_ledger
from gridpact.pipeline.outsourced import JobTerms, OutsourcedRun, RatesFile, outsource_on_ledger
from gridpact.studies.lying_clouds import command_of

FLOW = random_flow(4, 12, 8, acyclic=True)
FACTORS = [0.1 + 0.1 * i for i in range(len(FLOW.network.source_ids))]
SEED = 3
LIAR = Path(__file__).parents[1] / "node" / "clouds" / "liar.py"


def run(
    folder: Path, *behaviours: str, mode: TraceMode = TraceMode.DOUBLE, timeout_s: float = 30.0
) -> OutsourcedRun:
    done = outsource_on_ledger(
        FLOW,
        FACTORS,
        [
            (sys.executable, str(LIAR), behaviour)
            if behaviour in ("refuses", "crash")
            else command_of(behaviour)
            for behaviour in behaviours
        ],
        3,
        folder,
        JobTerms(mode, 100, 501, timeout_s),
        SEED,
    )
    report = audit_ledger(folder / "ledger")
    assert report.ok, report.violations
    assert done.residual_nano == 0
    assert sum(done.gained_nano.values()) == 0
    return done


def assert_carbon(done: OutsourcedRun) -> None:
    """The rates that were published are those that tracing finds."""
    expected = trace(FLOW, np.array([FACTORS]))
    assert done.load_t_per_h == pytest.approx(expected.load_t_per_h.sum(), rel=SAME)
    assert done.loss_t_per_h == pytest.approx(expected.loss_t_per_h.sum(), rel=SAME)


def share_of(station: str, folder: Path) -> RatesFile:
    public, signing = SimulatedKeys(SEED).pair(station)
    box = (folder / "shares" / f"{station}.box").read_bytes()
    data = crypto_box_seal_open(
        box,
        crypto_sign_ed25519_pk_to_curve25519(public),
        crypto_sign_ed25519_sk_to_curve25519(signing),
    )
    return msgspec.json.decode(data, type=RatesFile)


def test_honest_ones_and_what_lies_beside_the_ledger(tmp_path: Path) -> None:
    done = run(tmp_path, "honest", "honest")
    assert done.job.state is TraceState.DONE
    assert done.gained_nano == {"grid-company": -200, "cloud-1": 100, "cloud-2": 100}
    assert [step.state.name for step in done.steps] == [
        *("REQUESTED", "FIRST", "FIRST", "ACCEPTED", "DONE")
    ]
    assert_carbon(done)
    stations = [f"substation-{i}" for i in (1, 2, 3)]
    packages = [(tmp_path / "packages" / f"{name}.box").read_bytes() for name in stations]
    assert done.job.packages == [sha256(box) for box in packages]
    shares = [(tmp_path / "shares" / f"{name}.box").read_bytes() for name in stations]
    assert done.job.shares == [sha256(box) for box in shares]
    data = (tmp_path / "rates.json").read_bytes()
    assert done.job.rates == sha256(data)
    whole = msgspec.json.decode(data, type=RatesFile)
    parts = [share_of(name, tmp_path) for name in stations]
    assert sorted(whole.loads) == sorted(load for part in parts for load in part.loads)
    assert sorted(whole.branches) == sorted(row for part in parts for row in part.branches)


def test_a_lazy_one_pays_the_third(tmp_path: Path) -> None:
    done = run(tmp_path, "honest", "zeros", "honest")
    assert done.right == (True, False, True, False, True)
    gained = {"grid-company": -200, "cloud-1": 200, "cloud-2": -100, "cloud-3": 100}
    assert done.gained_nano == gained
    assert done.standings["cloud-2"].back_in_cycle > 0
    assert_carbon(done)


def test_a_silent_one_is_replaced_when_market_time_has_passed(tmp_path: Path) -> None:
    done = run(tmp_path, "silent", "honest", "honest", timeout_s=4.0)
    assert [run.absent for run in done.job.runs] == [1, 0, 0]
    assert done.gained_nano["cloud-1"] == 0
    assert_carbon(done)


@pytest.mark.slow
def test_the_data_centre_decides_between_liars(tmp_path: Path) -> None:
    done = run(tmp_path, "zeros", "scaled", "single")
    assert done.gained_nano == {
        "grid-company": 501,
        **{f"cloud-{i}": -167 for i in (1, 2, 3)},
    }
    assert_carbon(done)


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", ["refuses", "crash"])
def test_who_declines_or_dies_anchors_nothing(behaviour: str, tmp_path: Path) -> None:
    done = run(tmp_path, behaviour, "honest", "honest")
    assert [(run.absent, bool(run.result)) for run in done.job.runs] == [(1, 0), (0, 1), (0, 1)]
    assert not done.standings


@pytest.mark.slow
def test_residual_mode(tmp_path: Path) -> None:
    done = run(tmp_path, "single", "honest", mode=TraceMode.RESIDUAL)
    assert done.right == (False, True)
    assert done.gained_nano == {"grid-company": -100, "cloud-1": 0, "cloud-2": 100}
    assert_carbon(done)


def test_what_cannot_be_traced_hires_nobody(tmp_path: Path) -> None:
    bare = replace(FLOW, p_source_mw=0.0 * FLOW.p_source_mw)
    terms = JobTerms(TraceMode.DOUBLE, 100, 501, 30.0)
    with pytest.raises(InputError, match="inflow less outflow"):
        outsource_on_ledger(bare, FACTORS, [command_of("honest")], 2, tmp_path, terms, SEED)
    assert not list(tmp_path.iterdir())
