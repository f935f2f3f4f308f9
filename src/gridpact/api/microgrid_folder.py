"""A day of microgrids into a folder: ledger, page, numbers."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gridpact import __version__
from gridpact.agents.microgrids import STAND_IN, ForecastError
from gridpact.api.folder import LEDGER, MANIFEST, REPORT, written_aside
from gridpact.files import write_atomically
from gridpact.node.engines import EMBEDDED
from gridpact.pipeline.microgrid_run import MicrogridRun, run_microgrids
from gridpact.reports import write_microgrid_report

if TYPE_CHECKING:
    from gridpact.model.microgrid_day import MicrogridDay
    from gridpact.pipeline.microgrids import Progress


def run_microgrids_into_folder(
    day: MicrogridDay,
    target: Path,
    progress: Progress | None = None,
    *,
    seed: int,
    error: ForecastError = STAND_IN,
    engine: str = EMBEDDED,
    validators: int = 1,
) -> tuple[MicrogridRun, dict[str, object]]:
    """Run a day and write everything it came to into a folder.

    Args:
        day: of the microgrids.
        target: absent, empty, or the folder of an earlier run, which is replaced at the end.
        progress: told (slots done, slots in all).
        seed: of keys and forecasts.
        error: of the forecasts.
        engine: what orders the transactions.
        validators: how many decide.
    Returns:
        The run, its ledger at its final place, and the object of `run.json`.
    Raises:
        StoreError: the disk refused; what was at `target` before is still there.
    """
    began = time.perf_counter()
    with written_aside(target) as aside:
        found = run_microgrids(
            day,
            aside / LEDGER,
            progress,
            seed=seed,
            error=error,
            engine=engine,
            validators=validators,
        )
        placed = dataclasses.replace(found.ledger, path=target / LEDGER)
        found = dataclasses.replace(found, ledger=placed)
        found.timings_s["total"] = time.perf_counter() - began
        summary = microgrid_json(found, target / REPORT)
        write_microgrid_report(found.day, found.slots, _ledger_facts(found), aside / REPORT)
        write_atomically(aside / MANIFEST, json.dumps(summary, indent=2).encode() + b"\n")
    return found, summary


def _ledger_facts(run: MicrogridRun) -> dict[str, str]:
    """What the page says of the ledger."""
    return {
        "Engine": run.engine,
        "Blocks": f"{run.ledger.height:,}",
        "Transactions": f"{run.ledger.transactions:,}",
        "Money on all accounts": f"{run.money_residual_nano} nano-{run.day.currency}",
        "Record hash": run.ledger.record_hash,
        "Market root": run.ledger.market_state_root,
        "Replay it": f"gridpact audit {run.ledger.path}",
    }


def microgrid_json(run: MicrogridRun, report: Path) -> dict[str, object]:
    """The one JSON object of a run."""
    slots = run.slots
    return {
        "version": __version__,
        "scenario": run.day.name,
        "seed": run.seed,
        "market": "microgrid",
        "engine": run.engine,
        "slots": len(slots),
        "cleared": sum(not slot.refused for slot in slots),
        "refused": {str(slot.start_s): slot.refused for slot in slots if slot.refused},
        "traded_wh": sum(slot.state.traded_wh for slot in slots),
        "negative_first_surplus": sum(slot.first_surplus_nano < 0 for slot in slots),
        "microgrids": {
            name: {
                "sold_wh": sum(slot.sent_wh[i] for slot in slots),
                "purchased_wh": sum(slot.received_wh[i] for slot in slots),
                "missing_wh": sum(slot.missing_wh[i] for slot in slots),
                "penalty_nano": sum(slot.penalty_nano[i] for slot in slots),
                "transfer_nano": sum(
                    slot.agreements[i].transfer_nano for slot in slots if slot.agreements
                ),
                "cost_nano": sum(slot.cost_nano[i] for slot in slots),
                "alone_cost_nano": sum(slot.alone_cost_nano[i] for slot in slots),
            }
            for i, name in enumerate(run.day.ids)
        },
        "money_residual_nano": run.money_residual_nano,
        "receipts": run.verdicts,
        "market_state_root": run.ledger.market_state_root,
        "ledger": {
            "path": str(run.ledger.path),
            "height": run.ledger.height,
            "transactions": run.ledger.transactions,
            "state_root": run.ledger.state_root,
            "record_hash": run.ledger.record_hash,
        },
        "timings_s": dict(run.timings_s),
        "report": str(report),
    }
