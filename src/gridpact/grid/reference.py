"""Where a network comes from: `simbench:CODE`, `pandapower:FILE`, `pgm:FILE`, `csv:FOLDER`."""

from __future__ import annotations

import warnings
from importlib import resources
from typing import TYPE_CHECKING

from gridpact.errors import InputError, Problem
from gridpact.grid.csv_folder import load_csv_folder
from gridpact.grid.pandapower_json import load_pandapower_json, rows_of_frame
from gridpact.grid.pandapower_tables import network_of_frames
from gridpact.grid.pgm_json import load_pgm_json
from gridpact.grid.rows import closest, shown

if TYPE_CHECKING:
    from pathlib import Path

    from gridpact.model.grid import Network

BUILT_IN = "1-LV-rural2--0-sw"
"""The SimBench code of the grid that ships with the package."""
FORMS = {
    "simbench": "simbench:CODE",
    "pandapower": "pandapower:FILE",
    "pgm": "pgm:FILE",
    "csv": "csv:FOLDER",
}


def load_network(reference: str, base: Path) -> Network:
    """The network that a scenario names.

    Args:
        reference: `simbench:CODE`, `pandapower:FILE`, `pgm:FILE` or `csv:FOLDER`.
        base: folder that a relative FILE or FOLDER starts from: that of the scenario.

    Raises:
        InputError: the reference, or everything that is wrong with what it leads to.
    """
    form, colon, rest = reference.partition(":")
    if not colon or form not in FORMS or not rest.strip():
        hint = closest(form, FORMS) if colon else ""
        message = (
            f"{shown(reference)} names no network; allowed: {', '.join(FORMS.values())}"
            f"{hint or '; correct it'}"
        )
        raise InputError([Problem("network.reference", message)])
    if form == "simbench":
        return _simbench(rest.strip(), reference)
    path = base / rest.strip()
    if form == "csv":
        return load_csv_folder(_folder(path, reference), reference)
    text = _text(path, reference)
    if form == "pandapower":
        return load_pandapower_json(text, reference)
    return load_pgm_json(text, reference)


def _folder(path: Path, reference: str) -> Path:
    if not path.is_dir():
        message = f"{shown(str(path))} is not a folder; correct the path"
        raise InputError([Problem(reference, message)])
    return path


def _text(path: Path, reference: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}; check the path"
    except UnicodeDecodeError as error:
        message = f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"
    except ValueError as error:  # a path with a NUL character
        message = f"{shown(str(path))} is not a path: {error}"
    raise InputError([Problem(reference, message)])


def _simbench(code: str, reference: str) -> Network:
    """The grid of the package, or another one from the `simbench` package."""
    if code == BUILT_IN:
        folder = resources.files("gridpact").joinpath("data", "lv_rural2")
        return load_csv_folder(folder, reference)
    try:
        import simbench
    except ImportError as error:
        message = (
            f"only {BUILT_IN} ships with gridpact; other grids of SimBench need the simbench "
            "package: pip install 'gridpact[simbench]'"
        )
        raise InputError([Problem(reference, message)]) from error
    known = simbench.collect_all_simbench_codes()
    if code not in known:
        hint = closest(code, known) or "; see simbench.collect_all_simbench_codes()"
        message = f"{shown(code)} is not a code of SimBench{hint}"
        raise InputError([Problem(reference, message)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations between simbench and pandas
        net = simbench.get_simbench_net(code)
    frames = {
        name: rows_of_frame(table.to_json(orient="split", double_precision=15, default_handler=str))
        for name, table in net.items()
        if hasattr(table, "columns")
    }
    # The package leaves the kind of tap changer open, and pandapower 3 then ignores the taps.
    for transformer in frames.get("trafo", []):
        if transformer.get("tap_changer_type") is None:
            transformer["tap_changer_type"] = "Ratio"
    return network_of_frames(frames, float(net["f_hz"]), reference)
