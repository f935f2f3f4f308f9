"""The [carbon] table of a scenario file: what imported, generated and supplied energy emits."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gridpact.errors import InputError
from gridpact.inputs.calendar import midnight_s
from gridpact.inputs.solved_flow_imports import MG_PER_KWH_MAX, read_import_intensity
from gridpact.model import CarbonPolicy, CarbonRules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gridpact.inputs.homes import RunDays
    from gridpact.inputs.tables import TableReader

KEYS = ("import_mg_per_kwh", "imports", "generation_mg_per_kwh", "supplier_mg_per_kwh")
REMEDY = "give mg/kWh: 400 g/kWh is 400000"


def read_carbon(
    table: TableReader, folder: Path, *, has_network: bool, run: RunDays
) -> CarbonPolicy | None:
    """The policy; None when the table says nothing.

    Args:
        table: the table; problems are noted in it.
        folder: paths are relative to it.
        has_network: carbon follows the power flow, so it needs a network.
        run: the traded days, which a file has to cover.
    """
    given = {key for key in KEYS if table.has(key)}
    if not given:
        table.finish()
        return None
    if not has_network:
        table.refuse(KEYS, "carbon follows the power flow, and the scenario has no network")
    timed = "imports" in given
    if timed and "import_mg_per_kwh" in given:
        table.refuse(("import_mg_per_kwh",), "imports says it over time")
    known = None if timed else table.integer("import_mg_per_kwh", 0, MG_PER_KWH_MAX, remedy=REMEDY)
    file = None
    if timed:
        name = table.text("imports", "a CSV file with the columns start and mg_per_kwh")
        file = folder / name if name else None
        if file is not None:
            _check_file(table, file, run)
    generation = table.integer("generation_mg_per_kwh", 0, MG_PER_KWH_MAX, default=0, remedy=REMEDY)
    supplier = table.integer("supplier_mg_per_kwh", 0, MG_PER_KWH_MAX, default=known, remedy=REMEDY)
    table.finish()
    return CarbonPolicy(CarbonRules(generation, supplier), known or 0, file)


def import_mg_per_kwh(policy: CarbonPolicy, starts_s: Sequence[int]) -> list[int]:
    """What imports emit in slots with these starts.

    Raises:
        InputError: the file does not have one of them.
    """
    if policy.imports is None:
        return [policy.import_mg_per_kwh] * len(starts_s)
    found: list[int] = read_import_intensity(policy.imports).at(starts_s).tolist()
    return found


def _check_file(table: TableReader, file: Path, run: RunDays) -> None:
    end_s = midnight_s(run.first_day + timedelta(days=run.days), run.zone)
    try:
        read_import_intensity(file).at([run.first.start_s, end_s - 1])
    except InputError as error:
        for problem in error.problems:
            table.problem("imports", str(problem))
