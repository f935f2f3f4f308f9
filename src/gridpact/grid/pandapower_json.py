"""The file that pandapower writes with `to_json`, taken apart without pandapower.

It is a JSON object whose tables are JSON texts again, one per data frame, as pandas writes them
with `orient="split"`. Which tables become what is the business of `pandapower_tables`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gridpact.errors import InputError, Problem
from gridpact.grid.pandapower_tables import Frames, network_of_frames
from gridpact.grid.rows import shown

if TYPE_CHECKING:
    from gridpact.model.grid import Network

OLDEST_MAJOR = 2
"""Version 1 kept other columns, in kW."""
REMEDY = "save it again with pandapower.to_json(net, file) of pandapower 2 or 3"


def load_pandapower_json(text: str, reference: str) -> Network:
    """The network in a file of pandapower 2 or 3.

    Args:
        text: what the file holds.
        reference: how the network is called in messages and results.

    Raises:
        InputError: everything that is wrong with the file, by table and index.
    """
    net = _net(text, reference)
    frames: Frames = {}
    problems = []
    for name, value in net.items():
        if not isinstance(value, dict) or value.get("_class") != "DataFrame":
            continue
        try:
            frames[name] = rows_of_frame(value.get("_object"), str(value.get("orient", "split")))
        except ValueError as error:
            message = f"is not a table of pandapower: {error}; {REMEDY}"
            problems.append(Problem(f"{reference}: {name}", message))
    hertz = net.get("f_hz", 50.0)
    if isinstance(hertz, bool) or not isinstance(hertz, int | float) or not 0 < hertz < 1000:
        message = f"{shown(hertz)} is no frequency; allowed: a number from 0 to 1000; correct it"
        problems.append(Problem(f"{reference}: f_hz", message))
    if problems:
        raise InputError(problems)
    return network_of_frames(frames, float(hertz), reference)


def rows_of_frame(frame: object, orient: str = "split") -> list[dict[str, Any]]:
    """The rows of one table by column, each with its `index`.

    Args:
        frame: what pandas writes, as text or as the object that the text means.
        orient: how it was written.

    Raises:
        ValueError: it is something else.

    >>> rows_of_frame('{"columns":["vn_kv"],"index":[7],"data":[[0.4]]}')
    [{'index': 7, 'vn_kv': 0.4}]
    """
    if isinstance(frame, str):
        try:
            frame = json.loads(frame)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
    parts = frame if isinstance(frame, dict) else {}
    if orient == "split":
        columns, index, data = (parts.get(key) for key in ("columns", "index", "data"))
        if not (isinstance(columns, list) and isinstance(index, list) and isinstance(data, list)):
            raise ValueError("columns, index and data must be lists")
        if len(index) != len(data):
            raise ValueError(f"{len(index)} indices for {len(data)} rows")
        rows = []
        for number, cells in zip(index, data, strict=True):
            if not isinstance(cells, list) or len(cells) != len(columns):
                raise ValueError(f"row {shown(number)} does not have {len(columns)} values")
            rows.append({"index": number, **dict(zip(map(str, columns), cells, strict=True))})
        return rows
    if orient == "index":
        if parts is not frame or not all(isinstance(cells, dict) for cells in parts.values()):
            raise ValueError("it must be an object of rows, each an object")
        return [{"index": number, **cells} for number, cells in parts.items()]
    raise ValueError(f'orient is {orient!r}; allowed: "split", "index"')


def _net(text: str, reference: str) -> dict[str, Any]:
    """The tables and values of the file, after checking what kind of file it is."""
    try:
        file = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"is not JSON: {error}; {REMEDY}, without an encryption key"
        raise InputError([Problem(reference, message)]) from error
    net = file.get("_object") if isinstance(file, dict) else None
    if not isinstance(net, dict) or file.get("_class") != "pandapowerNet":
        message = f"is not a network of pandapower 2 or 3; {REMEDY}"
        raise InputError([Problem(reference, message)])
    version = str(net.get("format_version", net.get("version", "")))
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) < OLDEST_MAJOR:
        message = f"format_version is {shown(version)}; allowed: {OLDEST_MAJOR} or later; {REMEDY}"
        raise InputError([Problem(reference, message)])
    return net
