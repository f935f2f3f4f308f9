"""Writes the solved flows that lie in `flows/`: `python -m tests.papers.write_flows`.

Needs pandapower, whose published cases they are. case33bw has two plants, so that lines turn.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandapower
from pandapower import networks
from tests.oracle.test_tracing_oracle import solve, solved_file

FOLDER = Path(__file__).parent / "flows"


def write() -> None:
    feeder = networks.case33bw()
    pandapower.create_sgen(feeder, 17, 1.5)
    pandapower.create_sgen(feeder, 32, 1.0)
    for name, net in (("case33bw", feeder), ("case118", networks.case118())):
        solve(net)
        path = solved_file(net, FOLDER / f"{name}.json")
        found = json.loads(path.read_text(encoding="utf-8"))
        lines = [f'"{key}": {_lines(value)}' for key, value in found.items()]
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _lines(value: object) -> str:
    if isinstance(value, list):
        return "[\n" + ",\n".join(json.dumps(row) for row in value) + "\n]"
    return json.dumps(value)


if __name__ == "__main__":
    write()
