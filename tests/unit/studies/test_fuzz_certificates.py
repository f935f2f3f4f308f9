"""Tampered certificates: each is refused by name or proved harmless, and a lax check is caught."""

from __future__ import annotations

import pytest

from gridpact.market.integer.microgrids import ClearingVerdict
from gridpact.studies import fuzz_certificates as study

COUNT = 850


def test_every_corruption_is_refused_or_harmless() -> None:
    told: list[tuple[int, int]] = []
    report = study.fuzz_certificates(COUNT, 1, lambda *done: told.append(done))
    assert report.violations == []
    assert report.tried == COUNT
    assert report.unchanged + sum(report.refused.values()) + sum(report.harmless.values()) == COUNT
    assert told == [(500, COUNT)]
    verdicts = {name.split(": ")[1] for name in report.refused}
    missed = {"ACCEPTED", "BIDS_WRONG", "SURPLUS_NEGATIVE", "TRADE_WITHOUT_SURPLUS"}
    assert verdicts | missed == {verdict.name for verdict in ClearingVerdict}
    # Money and costs are exact: nothing about them is ever harmless.
    assert set(report.harmless) <= {
        *("duals", "alone_duals", "balance_duals", "duals bytes", "alone_duals bytes"),
        *("balance_duals bytes", "plan dearer", "alone_plan dearer"),
    }


def test_the_same_seed_tries_the_same() -> None:
    assert study.fuzz_certificates(100, 3) == study.fuzz_certificates(100, 3)


@pytest.mark.parametrize("verdict", [ClearingVerdict.ACCEPTED, ClearingVerdict.GAP_TOO_WIDE])
def test_broken_twin_of_the_check(
    verdict: ClearingVerdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that accepts all, or refuses all, differs from the plain judgement."""
    monkeypatch.setattr(study, "verify", lambda *_: verdict)
    assert study.fuzz_certificates(100, 3).violations
