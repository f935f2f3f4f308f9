"""The one JSON object of a run, for other tools."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from pathlib import Path

from gridpact import __version__
from gridpact.model import RunResult
from gridpact.reports.carbon_totals import carbon_totals
from gridpact.reports.physics import grid_totals
from gridpact.reports.totals import elapsed_s, totals_of

MECHANISM = "auction"
TIMED = ("inputs", "compilation", "clearing", "grid", "ledger", "report")


def run_json(result: RunResult, report_path: Path | None) -> dict[str, object]:
    """The object of `run --json`; parts that were not computed are None.

    Args:
        result: the run.
        report_path: where the page lies; None without one.
    """
    totals = totals_of(result)
    scenario, ledger = result.scenario, result.ledger
    timings: dict[str, object] = {name: result.timings_s.get(name) for name in TIMED}
    return {
        "version": __version__,
        "scenario": scenario.name,
        "seed": scenario.seed,
        "market": MECHANISM,
        "engine": result.engine,
        "days": scenario.days,
        "slots": len(result.slots),
        "participants": len(scenario.members),
        "orders": totals.orders,
        "trades": totals.trades,
        "traded_wh": totals.traded_wh,
        "seller_gain_pct": result.gains.seller_gain_pct,
        "buyer_saving_pct": result.gains.buyer_saving_pct,
        "energy_residual_wh": result.energy_residual_wh,
        "money_residual_nano": result.money_residual_nano,
        "grid": _grid(result),
        "homes": _homes(result),
        "forecast": _forecast(result),
        "credit_notes": {
            "count": len(result.credits),
            "change_nano": sum(each.note.change.total_nano for each in result.credits),
        },
        "certificates": None,
        "carbon": _carbon(result),
        "market_state_root": ledger.market_state_root,
        "ledger": {
            "path": str(ledger.path),
            "height": ledger.height,
            "transactions": ledger.transactions,
            "state_root": ledger.state_root,
            "record_hash": ledger.record_hash,
        },
        "timings_s": timings | {"total": elapsed_s(result)},
        "receipts": dict(result.receipts),
        "bytes": {name: result.sizes.get(name) for name in ("envelopes", "payloads", "store")},
        "sources": list(result.sources),
        "remarks": list(result.remarks),
        "report": None if report_path is None else str(report_path),
    }


def _grid(result: RunResult) -> dict[str, object] | None:
    totals = grid_totals(result)
    if totals is None or result.grid is None:
        return None
    return {
        "network": result.grid.reference,
        "converged_slots": totals.converged_slots,
        "vm_min_pu": totals.vm_min_pu,
        "vm_max_pu": totals.vm_max_pu,
        "loading_max_percent": totals.loading_max_percent,
        "losses_wh": totals.losses_wh,
        "from_outside_wh": totals.from_outside_wh,
        "curtailed_wh": totals.curtailed_wh,
        "cuts": totals.cuts,
        "violations": totals.violations,
    }


def _carbon(result: RunResult) -> dict[str, object] | None:
    totals = carbon_totals(result)
    return None if totals is None else asdict(totals)


def _homes(result: RunResult) -> dict[str, object] | None:
    if not result.homes:
        return None
    return {
        "count": len(result.homes),
        "charged_wh": sum(home.charged_wh for home in result.homes),
        "discharged_wh": sum(home.discharged_wh for home in result.homes),
        "shortfalls": sum(len(home.shortfalls) for home in result.homes),
    }


def _forecast(result: RunResult) -> dict[str, object] | None:
    errors = result.forecast
    if not errors.values:
        return None
    return {
        "values": errors.values,
        "mae_wh": _finite(errors.mae_wh),
        "rmse_wh": _finite(errors.rmse_wh),
        "bias_wh": _finite(errors.bias_wh),
        "naive_mae_wh": _finite(errors.naive_mae_wh),
        "skill": _finite(errors.skill),
        "pinball_wh": {str(level): _finite(loss) for level, loss in errors.pinball_wh.items()},
        "below": {str(level): _finite(share) for level, share in errors.below.items()},
    }


def _finite(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if isfinite(value) else None
