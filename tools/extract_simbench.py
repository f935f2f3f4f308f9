"""Writes the package data of one SimBench grid: network tables and a year of profiles.

Run it with the `simbench` extra installed, from anywhere:

    python tools/extract_simbench.py

The same simbench release gives the same tables and the same numbers in `profiles.npz`; that file's
bytes also depend on the zlib build that numpy uses. What the tables mean is in the README.md and
NOTICE beside them, which are written by hand. Anything in the source that the tables could not
express (a scaled load, an open service flag, a shunt) stops the run instead of being dropped.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import simbench

from gridpact.quantize import ppm_from_relative

CODE = "1-LV-rural2--0-sw"
FOLDER = Path(__file__).resolve().parents[1] / "src/gridpact/data/lv_rural2"
ZONE = ZoneInfo("Europe/Berlin")
INTERVAL_S = 900
INTERVALS = 366 * 96
EMPTY_TABLES = ("gen", "storage", "shunt", "ward", "xward", "impedance", "dcline", "trafo3w")

Row = dict[str, Any]


def require(condition: object, fact: str) -> None:
    """Stop when the source holds something that the tables do not express."""
    if not condition:
        sys.exit(f"{CODE}: {fact}; extend the tables before extracting")


def name_of(simbench_name: str) -> str:
    """Our identifier: `LV2.101 Bus 23` is `bus-23`, `MV1.101 Bus 8` is `mv-bus-8`."""
    found = re.fullmatch(r"(LV|MV)\d\.\d+ (Bus|Line|Switch) (\d+)", simbench_name)
    require(found, f"unexpected name {simbench_name!r}")
    assert found is not None  # noqa: S101  # for the type checker; `require` has stopped otherwise
    level = "mv-" if found[1] == "MV" else ""
    return f"{level}{found[2].lower()}-{found[3]}"


def number_of(simbench_name: str) -> int:
    """The running number at the end of a SimBench name."""
    return int(simbench_name.rsplit(" ", 1)[1])


def number(value: float) -> str:
    """Ten significant digits: all that SimBench gives, without the noise of unit conversion."""
    return f"{float(value):.10g}"


def whole(value: float, factor: int) -> int:
    """`value` in a smaller unit, where it must be a whole number."""
    scaled = float(value) * factor
    require(abs(scaled - round(scaled)) < 1e-6, f"{value} x {factor} is no whole number")
    return round(scaled)


def buses(net: Any) -> list[Row]:
    """Connection points."""
    require(net.bus.in_service.all(), "a bus is out of service")
    rows = []
    for row in net.bus.itertuples():
        longitude, latitude = json.loads(row.geo)["coordinates"]
        rows.append(
            {
                "bus": name_of(row.name),
                "vn_kv": number(row.vn_kv),
                "vm_min_pu": number(row.min_vm_pu),
                "vm_max_pu": number(row.max_vm_pu),
                "longitude_deg": number(longitude),
                "latitude_deg": number(latitude),
                "simbench_name": row.name,
            }
        )
    return sorted(rows, key=lambda row: (number_of(row["simbench_name"]), row["bus"]))


def lines(net: Any, bus: dict[int, str]) -> list[Row]:
    """Cables between buses."""
    require(net.line.in_service.all(), "a line is out of service")
    require((net.line.df == 1).all(), "a line is derated")
    rows = [
        {
            "line": name_of(row.name),
            "from_bus": bus[row.from_bus],
            "to_bus": bus[row.to_bus],
            "length_km": number(row.length_km),
            "r_ohm_per_km": number(row.r_ohm_per_km),
            "x_ohm_per_km": number(row.x_ohm_per_km),
            "c_nf_per_km": number(row.c_nf_per_km),
            "g_us_per_km": number(row.g_us_per_km),
            "max_i_ka": number(row.max_i_ka),
            "parallel": int(row.parallel),
            "cable": row.std_type,
            "simbench_name": row.name,
        }
        for row in net.line.itertuples()
    ]
    return sorted(rows, key=lambda row: number_of(row["simbench_name"]))


def transformers(net: Any, bus: dict[int, str]) -> list[Row]:
    """The substation."""
    require(len(net.trafo) == 1 and net.trafo.in_service.all(), "not exactly one transformer")
    require((net.trafo.df == 1).all() and not net.trafo.autoTap.any(), "a derated or OLTC unit")
    rating = ("sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "vkr_percent", "pfe_kw", "i0_percent")
    tap = ("tap_neutral", "tap_min", "tap_max", "tap_pos", "tap_step_percent", "tap_step_degree")
    keys = (*rating, "shift_degree", *tap)
    return [
        {
            "transformer": f"transformer-{number_of(row['name'])}",
            "hv_bus": bus[row["hv_bus"]],
            "lv_bus": bus[row["lv_bus"]],
            **{key: number(row[key]) for key in keys},
            "tap_side": row["tap_side"],
            "parallel": int(row["parallel"]),
            "type": row["std_type"],
            "simbench_name": row["name"],
        }
        for row in net.trafo.to_dict("records")
    ]


def external_grids(net: Any, bus: dict[int, str]) -> list[Row]:
    """Where the medium voltage grid holds the voltage."""
    require(len(net.ext_grid) == 1 and net.ext_grid.in_service.all(), "not exactly one source")
    return [
        {
            "external_grid": "external-grid-1",
            "bus": bus[row.bus],
            "vm_pu": number(row.vm_pu),
            "va_degree": number(row.va_degree),
            "frequency_hz": number(net.f_hz),
            "simbench_name": row.name,
        }
        for row in net.ext_grid.itertuples()
    ]


def switches(net: Any, bus: dict[int, str]) -> list[Row]:
    """Switches between a bus and the end of a line or transformer."""
    require((net.switch.z_ohm == 0).all(), "a switch has an impedance")
    require(net.switch.et.isin(["l", "t"]).all(), "a switch joins two buses")
    rows = []
    for row in net.switch.itertuples():
        if row.et == "l":
            kind, element = "line", name_of(net.line.name[row.element])
        else:
            kind = "transformer"
            element = f"transformer-{number_of(net.trafo.name[row.element])}"
        rows.append(
            {
                "switch": name_of(row.name),
                "bus": bus[row.bus],
                "element_kind": kind,
                "element": element,
                "switch_kind": {"LS": "load_switch", "CB": "circuit_breaker"}[row.type],
                "state": "closed" if row.closed else "open",
                "simbench_name": row.name,
            }
        )
    return sorted(rows, key=lambda row: number_of(row["simbench_name"]))


def loads(net: Any, bus: dict[int, str]) -> list[Row]:
    """Customers, by their number in SimBench."""
    shares = [column for column in net.load.columns if column.startswith("const_")]
    require((net.load[shares].fillna(0) == 0).all().all(), "a load depends on the voltage")
    require(net.load.in_service.all() and (net.load.scaling == 1).all(), "a scaled or idle load")
    rows = [
        {
            "load": f"{row.profile.lower()}-{number_of(row.name):03d}",
            "bus": bus[row.bus],
            "p_w": whole(row.p_mw, 10**6),
            "q_var": whole(row.q_mvar, 10**6),
            "profile": row.profile,
            "simbench_name": row.name,
        }
        for row in net.load.itertuples()
    ]
    return sorted(rows, key=lambda row: number_of(row["simbench_name"]))


def generators(net: Any, bus: dict[int, str]) -> list[Row]:
    """Photovoltaic plants."""
    require((net.sgen.type == "PV").all(), "a generator that is not photovoltaic")
    require(net.sgen.in_service.all() and (net.sgen.scaling == 1).all(), "a scaled or idle plant")
    rows = [
        {
            "generator": f"pv-{number_of(row.name)}",
            "bus": bus[row.bus],
            "p_w": whole(row.p_mw, 10**6),
            "q_var": whole(row.q_mvar, 10**6),
            "sn_va": whole(row.sn_mva, 10**6),
            "profile": row.profile,
            "simbench_name": row.name,
        }
        for row in net.sgen.itertuples()
    ]
    return sorted(rows, key=lambda row: number_of(row["simbench_name"]))


def profile_start_s(net: Any) -> int:
    """First instant of the profiles in UTC seconds, after checking what the labels mean.

    SimBench names no time zone. Its labels leave out 02:00..02:45 on 2016-03-27 and have them
    twice on 2016-10-30, so they are German clock time, and the rows are evenly spaced in UTC.
    """
    labels = net.profiles["load"]["time"]
    require((labels == net.profiles["renewables"]["time"]).all(), "two time columns differ")
    start_s = int(datetime(2016, 1, 1, tzinfo=ZONE).timestamp())
    first = datetime.fromtimestamp(start_s, ZoneInfo("UTC"))
    steps = (first + timedelta(seconds=INTERVAL_S * i) for i in range(INTERVALS))
    clock = [step.astimezone(ZONE).strftime("%d.%m.%Y %H:%M") for step in steps]
    require(list(labels) == clock, "the labels are not German clock time every 15 minutes")
    return start_s


def write_profiles(net: Any, load_rows: list[Row], pv_rows: list[Row], file: Path) -> None:
    """All profile types that the grid uses, as 32-bit integers in millionths of nominal."""
    load_names = sorted({row["profile"] for row in load_rows})
    pv_names = sorted({row["profile"] for row in pv_rows})
    load, renewables = net.profiles["load"], net.profiles["renewables"]

    def table(source: pd.DataFrame, columns: list[str]) -> np.ndarray[Any, Any]:
        values = source[columns].to_numpy(dtype=np.float64).T
        return np.ascontiguousarray(ppm_from_relative(values).astype(np.int32))

    np.savez_compressed(
        file,
        start_s=np.int64(profile_start_s(net)),
        interval_s=np.int64(INTERVAL_S),
        load_profiles=np.array(load_names),
        load_p_ppm=table(load, [f"{name}_pload" for name in load_names]),
        load_q_ppm=table(load, [f"{name}_qload" for name in load_names]),
        pv_profiles=np.array(pv_names),
        pv_p_ppm=table(renewables, pv_names),
    )


def write_table(file: Path, rows: list[Row]) -> None:
    """One CSV, columns in the order of the first row."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Read the grid, check it, write the folder."""
    warnings.simplefilter("ignore")  # pandas deprecations inside simbench
    net = simbench.get_simbench_net(CODE)
    for table in EMPTY_TABLES:
        require(table not in net or len(net[table]) == 0, f"the grid has entries in {table}")
    bus = {index: name_of(name) for index, name in net.bus.name.items()}
    load_rows, pv_rows = loads(net, bus), generators(net, bus)
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_table(FOLDER / "buses.csv", buses(net))
    write_table(FOLDER / "lines.csv", lines(net, bus))
    write_table(FOLDER / "transformers.csv", transformers(net, bus))
    write_table(FOLDER / "external_grids.csv", external_grids(net, bus))
    write_table(FOLDER / "switches.csv", switches(net, bus))
    write_table(FOLDER / "loads.csv", load_rows)
    write_table(FOLDER / "generators.csv", pv_rows)
    write_profiles(net, load_rows, pv_rows, FOLDER / "profiles.npz")
    for file in sorted(FOLDER.iterdir()):
        sys.stdout.write(f"{file.stat().st_size:>10,} bytes  {file.name}\n")


if __name__ == "__main__":
    main()
