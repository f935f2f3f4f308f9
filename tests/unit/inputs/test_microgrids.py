"""Windows of microgrids from JSON: units, rounding, and every problem at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gridpact.errors import InputError
from gridpact.inputs.microgrids import load_microgrids

CASE = Path(__file__).parents[3] / "src/gridpact/data/microgrids/aeps22.json"


@pytest.fixture
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(CASE.read_text(encoding="utf-8"))
    return loaded


def problems_of(folder: Path, document: object) -> list[str]:
    path = folder / "window.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_microgrids(path)
    return [str(problem) for problem in refused.value.problems]


def test_units_of_the_stand_in() -> None:
    window = load_microgrids(CASE)
    assert window.ids == ("MG1", "MG2", "MG3", "MG4")
    bid = window.bids[0]
    assert bid.load_wh[:2] == [4_427_764, 4_371_503]
    assert bid.turbine.quadratic_pico_per_wh2 == 15
    assert bid.turbine.linear_micro_per_kwh == 85_000
    assert (
        bid.storage.content_max_uwh == 3_420 * 10**9
    )  # 3,600 kWh inside, 0.95 of it at the output
    assert window.terms.feed_in_micro_per_kwh == [45_000] * 24
    assert window.terms.retail_micro_per_kwh[8] == 168_000


def test_half_hours_have_half_the_energy(tmp_path: Path, document: dict[str, Any]) -> None:
    """And a turbine's cost per kW^2 and hour is twice that per kWh^2."""
    document["step_h"] = 0.5
    path = tmp_path / "window.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    bid = load_microgrids(path).bids[0]
    assert bid.load_wh[0] == 2_213_882
    assert bid.turbine.quadratic_pico_per_wh2 == 30
    assert bid.storage.energy_max_wh == 500_000


def test_green_demand_above_the_load_counts_as_the_load(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    document["microgrids"][1]["green_demand_kw"][3] = 99_999
    path = tmp_path / "window.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    bid = load_microgrids(path).bids[1]
    assert bid.green_demand_wh[3] == bid.load_wh[3]


def test_all_problems_are_told_at_once(tmp_path: Path, document: dict[str, Any]) -> None:
    one, two, three, four = document["microgrids"]
    one["load_kw"][5] = float("nan")
    one["renewable_kw"] = one["renewable_kw"][:-1]
    two["id"] = "MG1"
    two["turbine"]["p_max_kw"] = "much"
    three["storage"]["e_start_kwh"] = 9_999
    four["shortage_loss_usd_per_kwh"] = -0.5
    four["load_kw"][0] = 1e300
    document["end_price_usd_per_kwh"] = None
    document["storage_efficiency"]["charge"] = 1.5
    found = problems_of(tmp_path, document)
    wanted = [
        "window.json: storage_efficiency.charge: 1.5 is out of range; allowed: 0.001..1",
        "window.json: end_price_usd_per_kwh: nothing is no number",
        "window.json: microgrids[0].load_kw[5]: 'NaN' is no number",
        "window.json: microgrids[0].renewable_kw: has 23 numbers for 24 periods",
        "window.json: microgrids[1].id: 'MG1' is no name of its own",
        "window.json: microgrids[1].turbine.p_max_kw: 'much' is no number",
        "window.json: microgrids[2].storage: start and end are not within",
        "window.json: microgrids[3].load_kw[0]: '1E+300' is no number",
        "window.json: microgrids[3].shortage_loss_usd_per_kwh: -0.5 is out of range",
    ]
    assert len(found) == len(wanted)
    for start, message in zip(wanted, found, strict=True):
        assert message.startswith(start)


@pytest.mark.parametrize("text", ["", "[", "[]", "3", '{"microgrids": 3}', "\xff", "[" * 100_000])
def test_what_is_no_window_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "window.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"window\.json"):
        load_microgrids(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json.*cannot be read"):
        load_microgrids(tmp_path / "nowhere.json")


def test_the_price_of_missing_energy_may_be_left_out(tmp_path: Path) -> None:
    document = json.loads(CASE.read_text())
    del document["end_price_usd_per_kwh"]
    path = tmp_path / "short.json"
    path.write_text(json.dumps(document))
    assert load_microgrids(path).terms.end_micro_per_kwh == 1_000_000
