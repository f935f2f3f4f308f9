"""Who may import whom, and what the lower layers may not touch.

Method: every module under `src/gridpact` is parsed, never run, and held against the tables below;
then small offending sources prove that each check bites. The tables are the law, and
`docs/adr/` says why it is so.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parent.parent / "src"
PACKAGE = "gridpact"

FOUNDATION = ("errors", "files", "units", "codec", "quantize")
"""Layer 0, in order: each may import those before it."""
LAYER = {
    **dict.fromkeys(FOUNDATION, 0),
    "model": 1,
    "carbon": 2,
    "certificates": 2,
    "consensus": 2,
    "grid": 2,
    "ledger": 2,
    "market": 2,
    "market.integer": 2,
    "market.solvers": 2,
    "settlement": 2,
    "agents": 3,
    "contracts": 3,
    "inputs": 3,
    "node": 4,
    "sim": 4,
    "pipeline": 5,
    "api": 6,
    "reports": 6,
    "studies": 6,
    "web": 6,
    "cli": 7,
    "__main__": 8,
    "": 8,  # gridpact/__init__.py, which re-exports for researchers
}
WITHIN_A_LAYER = {
    ("api", "reports"): "a run from Python has the tables and pages of a run from the terminal",
    ("market", "market.integer"): "the room joins its two halves",
    ("market", "market.solvers"): "the room joins its two halves",
    ("market.solvers", "market.integer"): "a solver's certificate is checked by the integer half",
}
FORBIDDEN = {
    ("contracts", "market"): "contracts see only market.integer",
    ("contracts", "market.solvers"): "contracts see only market.integer",
}
OPEN_ROOMS = {"studies": "each study is a door of its own, so that none loads the others"}
"""Rooms all of whose modules may be used from outside."""
OPEN_MODULES = {
    "gridpact.api.folder": "what a run leaves behind, for the command line",
    "gridpact.api.microgrid_folder": "the same of microgrids",
    "gridpact.agents.microgrids": "operators of microgrids, who have nothing to do with homes",
    "gridpact.inputs.microgrid_days": "days of microgrids, which need numpy where scenarios do not",
    "gridpact.model.microgrid_day": "nouns of a day of microgrids",
    "gridpact.pipeline.microgrid_run": "a run of microgrids, beside that of an auction",
    "gridpact.pipeline.outsourced": "a trace handed out; needs scipy, runs do not",
    "gridpact.pipeline.retrace": "tracing again what a ledger says, for auditors",
    "gridpact.pipeline.microgrids": "a day of microgrids, beside that of an auction",
    "gridpact.carbon.outsourcing": "handing tracing out; needs scipy, tracing does not",
    "gridpact.carbon.outsourcing.checks": "how far answers are apart",
    "gridpact.carbon.outsourcing.cloud": "computing in the clear, for data centres",
    "gridpact.carbon.outsourcing.curves": "nouns of masked curves",
    "gridpact.carbon.outsourcing.masks": "nouns of masks",
    "gridpact.carbon.outsourcing.problem": "nouns of equations",
    "gridpact.carbon.allocation": "whole micrograms of what is known exactly, for ledgers",
    "gridpact.carbon.series": "many snapshots part by part, beside tracing of arrays",
    "gridpact.consensus.configuration": "who votes with which weight",
    "gridpact.consensus.frames": "messages on a link",
    "gridpact.consensus.quorum": "how much weight is enough",
    "gridpact.consensus.raft": "the Rafts",
    "gridpact.consensus.raft.messages": "what Rafts say, for those who lie or listen",
    "gridpact.consensus.raft.records": "what Rafts keep, for those who watch a disk",
    "gridpact.consensus.raft.replica": "parts of a Raft, for those who watch or break them",
    "gridpact.consensus.raft.rules": "names of a Raft's timers",
    "gridpact.consensus.raft.trace": "what hosts of Rafts write down, and what plays it again",
    "gridpact.consensus.shape": "events and effects of all protocols",
    "gridpact.contracts.bodies": "shapes of all transactions",
    "gridpact.contracts.genesis": "what a ledger starts from",
    "gridpact.contracts.keys": "names of everything in the state",
    "gridpact.contracts.statements": "opening proved values",
    "gridpact.inputs.microgrids": "files of microgrids, which need numpy where scenarios do not",
    "gridpact.inputs.orders": "order files, which need numpy where scenarios do not",
    "gridpact.market.integer.microgrids": "clearing of microgrids, which auctions never load",
    "gridpact.market.integer.microgrids.bargain": "the rule of a bargain by itself, for studies",
    "gridpact.market.integer.microgrids.packing": "arrays as bytes, for those who tamper with them",
    "gridpact.market.integer.microgrids.plain": "the slow judgement, beside the fast one",
    "gridpact.market.solvers.programme": "the programme without trade, for those who time solvers",
    "gridpact.market.solvers.proposal": "certificates from a solver, which needs the exact side",
    "gridpact.market.solvers.solve": "each solver by itself, for those who compare them",
    "gridpact.market.solvers.sparse": "matrices of a clearing, for those who compare solvers",
    "gridpact.inputs.flow_series": "snapshots to trace; scenarios need none",
    "gridpact.inputs.instants": "times in options, which files have too",
    "gridpact.inputs.solved_flow_homes": "homes as nodes of a flow; scenarios need no tracing",
    "gridpact.inputs.solved_flow_imports": "intensity of imports; scenarios need no tracing",
    "gridpact.inputs.solved_flow_reference": "flows to trace; scenarios need none",
    "gridpact.model.asset_checks": "what is wrong with an asset",
    "gridpact.model.assets": "nouns of homes: batteries, loads, vehicles, plans",
    "gridpact.model.carbon": "nouns of traced flows",
    "gridpact.model.grid": "nouns of the network and its flows",
    "gridpact.model.microgrids": "nouns of microgrids that bargain",
    "gridpact.model.trace_jobs": "nouns of traces that are handed out",
    "gridpact.node.audit": "the auditor's replay and what it found",
    "gridpact.node.clouds": "providers who are not trusted",
    "gridpact.node.clouds.client": "asking and judging by themselves, for jobs on a ledger",
    "gridpact.node.clouds.protocol": "what goes to a provider, for those who weigh it",
    "gridpact.node.clouds.worker": "serving as a provider, for those who lie",
    "gridpact.node.cometbft": "CometBFT, for those who ask whether it is installed",
    "gridpact.node.devnet": "networks of validators on one machine",
    "gridpact.node.door": "engines in other processes",
    "gridpact.node.engines": "names of engines",
    "gridpact.node.hosting": "where a run trades",
    "gridpact.node.logs": "how nodes log",
    "gridpact.node.prover": "proofs of each kind of paper",
    "gridpact.node.ports": "free addresses on this machine",
    "gridpact.node.signing": "a validator's signer and its keys",
    "gridpact.node.raft": "folders of Raft validators",
    "gridpact.reports.carbon_page": "pages of traces, apart from those of runs",
    "gridpact.reports.carbon_summary": "what a series of traces came to",
    "gridpact.reports.carbon_tables": "tables of traces, apart from those of runs",
    "gridpact.ledger.blocks": "what an engine decides and what its record says",
    "gridpact.ledger.envelope": "what is signed",
    "gridpact.ledger.proofs": "offline proofs",
    "gridpact.ledger.snapshots": "states as files",
    "gridpact.ledger.statemap": "the tree over the state, and its proofs",
    "gridpact.ledger.trees": "the trees over lists, and their proofs",
    "gridpact.sim.histories": "whether what clients saw could be",
    "gridpact.sim.replay": "playing what real validators recorded",
    "gridpact.settlement.arbitration": "who is paid and who pays for traces handed out",
    "gridpact.settlement.standings": "which providers are on the blacklist",
    "gridpact.settlement.carbon": "carbon statements; settling money needs none",
    "gridpact.settlement.score_parts": "what a score is made of",
    "gridpact.settlement.scores": "how scores move; settling money needs none of it",
}
"""Modules used from outside their room without its `__init__`, each with what it is the door to.

The ledger has several doors so that each stays small; its `__init__` is that of the kernel."""

QUIET_BELOW = 4
LOUD_ROOMS = {"inputs"}
"""Reading files and their dates is what this room is for."""
HOST_MODULES = {
    "asyncio": "events and effects; a host of layer 4 does the waiting",
    "concurrent": "a host of layer 4",
    "multiprocessing": "a host of layer 4",
    "secrets": "chance as a seeded Random from the caller",
    "select": "events and effects; a host of layer 4",
    "selectors": "events and effects; a host of layer 4",
    "socket": "events and effects; a host of layer 4",
    "ssl": "a host of layer 4",
    "subprocess": "a host of layer 4",
    "threading": "a host of layer 4",
    "time": "now_ms from the caller",
    "uuid": "ids derived from sender and nonce",
}
HOST_CALLS = {
    "datetime.date.today": "now_ms from the caller",
    "datetime.datetime.now": "now_ms from the caller",
    "datetime.datetime.today": "now_ms from the caller",
    "datetime.datetime.utcnow": "now_ms from the caller",
    "os.environ": "a value from the caller",
    "os.getenv": "a value from the caller",
    "os.urandom": "chance as a seeded Random from the caller",
}
SEEDED = {
    "numpy.random": {"BitGenerator", "Generator", "PCG64", "SeedSequence", "default_rng"},
    "random": {"Random"},
}
"""What may be used of the random modules, and only with a seed; the rest is global or unseeded."""
NEEDS_SEED = {"numpy.random.PCG64", "numpy.random.default_rng", "random.Random"}

INTEGER_ROOMS = {
    "certificates",
    "codec",
    "consensus",
    "contracts",
    "ledger",
    "market.integer",
    "settlement",
    "units",
}
EXACT_MATH = {"comb", "factorial", "gcd", "isqrt", "lcm", "perm", "prod"}
ONLY_IMPORTER = {
    "clarabel": "market.solvers",
    "highspy": "market.solvers",  # clearing; agents plan their own homes, see BESIDES
    "piqp": "market.solvers",
}

BESIDES = {
    ("highspy", "agents"): "a home's own plan is no clearing and never reaches a contract",
}

BASE_ONLY = ("cli", "codec", "errors", "ledger", "model", "settlement", "units")
"""What `--help`, `prove` and `verify` need: of `cli` the door, of the rest every module."""
HEAVY = {"clarabel", "highspy", "numba", "numpy", "piqp", "plotly", "polars", "pyarrow", "simbench"}


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def sources() -> dict[str, str]:
    """Module name -> source of everything in the package but its data."""
    return {
        module_name(path): path.read_text(encoding="utf-8")
        for path in sorted((SRC / PACKAGE).rglob("*.py"))
        if path.relative_to(SRC / PACKAGE).parts[0] != "data"
    }


def room_of(module: str) -> str:
    """The room a module lies in: the longest prefix in the table, else its first part."""
    parts = module.split(".")[1:]
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in LAYER:
            return ".".join(parts[:length])
    return parts[0] if parts else ""


def imports(module: str, is_package: bool, tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """(line, module, name) of every import, at any depth; name is empty for `import module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                home = module.split(".")
                home = home[: len(home) - node.level + is_package]
                origin = ".".join([*home, *([origin] if origin else [])])
            for alias in node.names:
                yield node.lineno, origin, alias.name


def check_layers(module: str, source: str, modules: set[str]) -> list[str]:
    """What `module` may not import. `modules` are all that exist, to tell modules from names."""
    found = []
    room = room_of(module)
    if room not in LAYER:
        return [f"{module}: room {room!r} has no layer; give it one in LAYER, with an ADR"]
    is_package = any(name.startswith(f"{module}.") for name in modules)
    for line, origin, name in imports(module, is_package, ast.parse(source)):
        where = f"{module}:{line}"
        outside = origin.split(".")[0]
        if outside != PACKAGE:
            if ONLY_IMPORTER.get(outside, room) != room and (outside, room) not in BESIDES:
                found.append(f"{where}: only {ONLY_IMPORTER[outside]} imports {outside}")
            continue
        target = f"{origin}.{name}" if f"{origin}.{name}" in modules else origin
        other = room_of(target)
        if target == PACKAGE and name == "__version__":
            continue
        if other == room:
            continue
        if reason := FORBIDDEN.get((room, other)):
            found.append(f"{where}: {room} imports {target}: {reason}")
        elif not lower(other, room):
            found.append(
                f"{where}: {room or PACKAGE} (layer {LAYER[room]}) imports {target} "
                f"(layer {LAYER.get(other)}); only lower layers: pass a result type of model/"
            )
        door = f"{PACKAGE}.{other}" if other else PACKAGE
        if target != door and target not in OPEN_MODULES and other not in OPEN_ROOMS:
            found.append(
                f"{where}: {target} is inside a room; import from {door}, "
                "or name it in OPEN_MODULES with the reason"
            )
    return list(dict.fromkeys(found))


def lower(other: str, room: str) -> bool:
    if other not in LAYER:
        return False
    if other in FOUNDATION and room in FOUNDATION:
        return FOUNDATION.index(other) < FOUNDATION.index(room)
    return LAYER[other] < LAYER[room] or (room, other) in WITHIN_A_LAYER


def full_names(tree: ast.AST) -> dict[str, str]:
    """Local name -> dotted name it was imported from."""
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.split(".")[0]
                known[local] = alias.name if alias.asname else local
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return known


def dotted(node: ast.AST, known: dict[str, str]) -> str:
    """The full dotted name that an expression spells, or nothing."""
    if isinstance(node, ast.Name):
        return known.get(node.id, "")
    if isinstance(node, ast.Attribute):
        origin = dotted(node.value, known)
        return f"{origin}.{node.attr}" if origin else ""
    return ""


def check_quiet(module: str, source: str) -> list[str]:
    """Clock, chance, threads, sockets, environment, print: not below layer 4."""
    room = room_of(module)
    if LAYER.get(room, 0) >= QUIET_BELOW or room in LOUD_ROOMS:
        return []
    found = []
    tree = ast.parse(source)
    known = full_names(tree)
    for line, origin, name in imports(module, False, tree):
        first = origin.split(".")[0]
        if first in HOST_MODULES:
            found.append(f"{module}:{line}: import of {first}; take {HOST_MODULES[first]}")
        if instead := HOST_CALLS.get(f"{origin}.{name}"):
            found.append(f"{module}:{line}: {origin}.{name}; take {instead}")
        if origin in SEEDED and name and name not in SEEDED[origin]:
            found.append(f"{module}:{line}: {origin}.{name}; take a seeded Random from the caller")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "print":
            found.append(f"{module}:{node.lineno}: print; return a value, commands print")
        if isinstance(node, ast.Attribute):
            name = dotted(node, known)
            if name in HOST_CALLS:
                found.append(f"{module}:{node.lineno}: {name}; take {HOST_CALLS[name]}")
            origin, _, last = name.rpartition(".")
            if origin in SEEDED and last not in SEEDED[origin]:
                found.append(f"{module}:{node.lineno}: {name}; take a seeded Random")
        if isinstance(node, ast.Call) and not node.args and not node.keywords:
            name = dotted(node.func, known)
            if name in NEEDS_SEED:
                found.append(f"{module}:{node.lineno}: {name}() without a seed")
    return found


def check_integers(module: str, source: str) -> list[str]:
    """No float, no true division, no rounding where the ledger's numbers are made."""
    if room_of(module) not in INTEGER_ROOMS:
        return []
    found = []
    tree = ast.parse(source)
    known = full_names(tree)
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Name) and node.id in {"complex", "float", "round"}:
            found.append(f"{module}:{line}: {node.id}; integers and the divisions of units")
        elif isinstance(node, ast.Attribute) and node.attr.startswith("float"):
            found.append(f"{module}:{line}: .{node.attr}; integers")
        elif isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append(f"{module}:{line}: the number {node.value}; integers")
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            found.append(f"{module}:{line}: /; divide_exact, floor_divide, or Path.joinpath")
    for line, origin, name in imports(module, False, tree):
        if origin in {"decimal", "statistics"}:
            found.append(f"{module}:{line}: {origin}; integers")
        if origin == "math" and name and name not in EXACT_MATH:
            found.append(f"{module}:{line}: math.{name} is a float; exact: {sorted(EXACT_MATH)}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            origin, _, last = dotted(node, known).rpartition(".")
            if origin == "math" and last not in EXACT_MATH:
                found.append(f"{module}:{node.lineno}: math.{last} is a float")
    return found


# The tree


@pytest.mark.parametrize("module", sorted(sources()))
def test_module_keeps_to_its_layer(module: str) -> None:
    source = sources()[module]
    found = check_layers(module, source, set(sources()))
    found += check_quiet(module, source) + check_integers(module, source)
    assert not found, "\n" + "\n".join(found)


def test_open_modules_exist() -> None:
    """An exception that nothing needs any more goes."""
    used = {
        f"{origin}.{name}" if f"{origin}.{name}" in sources() else origin
        for module, source in sources().items()
        for _, origin, name in imports(module, False, ast.parse(source))
        if room_of(module) != room_of(origin)
    }
    assert set(OPEN_MODULES) <= used


@pytest.mark.parametrize("room", [room for room in BASE_ONLY if f"{PACKAGE}.{room}" in sources()])
def test_room_needs_base_dependencies_only(room: str) -> None:
    """A fresh interpreter imports the room and every module in it, and none of the extras."""
    home = f"{PACKAGE}.{room}"
    names = [home] if room == "cli" else [name for name in sources() if room_of(name) == room]
    code = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        f"print(*sorted({HEAVY!r} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


# Broken twins: each offence is seen, each lawful neighbour is left alone

MODULES = {
    "gridpact",
    "gridpact.carbon",
    "gridpact.cli",
    "gridpact.codec",
    "gridpact.contracts",
    "gridpact.contracts.application",
    "gridpact.ledger",
    "gridpact.ledger.hidden",
    "gridpact.market",
    "gridpact.market.integer",
    "gridpact.market.integer.auction",
    "gridpact.market.solvers",
    "gridpact.model",
    "gridpact.model.scenario",
    "gridpact.pipeline",
    "gridpact.units",
}


@pytest.mark.parametrize(
    ("module", "source", "words"),
    [
        ("gridpact.ledger.hidden", "from gridpact.market import Trade", "only lower layers"),
        ("gridpact.ledger.hidden", "import gridpact.pipeline", "only lower layers"),
        ("gridpact.model.scenario", "from ..codec import encode\nfrom .. import cli", "layer 7"),
        ("gridpact.carbon", "def f():\n    from gridpact.ledger import Tree", "only lower layers"),
        ("gridpact.units", "from gridpact.codec import encode", "only lower layers"),
        ("gridpact.codec", "from gridpact import run", "layer 8"),
        (
            "gridpact.carbon",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import gridpact.market",
            "only lower layers",
        ),
        ("gridpact.contracts", "from gridpact.ledger.hidden import leaf", "inside a room"),
        ("gridpact.contracts", "from gridpact.ledger import hidden", "inside a room"),
        ("gridpact.contracts", "from gridpact.market import clear", "only market.integer"),
        ("gridpact.contracts", "import gridpact.market.solvers", "only market.integer"),
        ("gridpact.contracts", "from gridpact.market.integer.auction import a", "inside a room"),
        ("gridpact.market.integer", "from gridpact.market.solvers import s", "only lower layers"),
        ("gridpact.market", "import piqp", "only market.solvers"),
        ("gridpact.gadgets", "", "has no layer"),
    ],
)
def test_broken_twin_of_layers(module: str, source: str, words: str) -> None:
    found = check_layers(module, source, MODULES | {module})
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gridpact.ledger", "from gridpact.ledger.hidden import leaf"),
        ("gridpact.ledger.hidden", "from gridpact.model import Slot\nfrom . import Tree"),
        ("gridpact.contracts", "from gridpact.market.integer import clear"),
        ("gridpact.contracts", "from gridpact.market import integer"),
        ("gridpact.market", "from gridpact.market.solvers import s"),
        ("gridpact.market.solvers", "import piqp"),
        ("gridpact.ledger", "from gridpact import __version__"),
        ("gridpact.cli", "from gridpact.pipeline import run"),
    ],
)
def test_lawful_imports_pass(module: str, source: str) -> None:
    assert check_layers(module, source, MODULES) == []


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio",
        "from concurrent.futures import ThreadPoolExecutor",
        "def f():\n    import time",
        "from time import monotonic",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime as clock\nclock.utcnow()",
        "from datetime import date\ndate.today()",
        "import random\nrandom.shuffle([])",
        "from random import randint",
        "from random import SystemRandom",
        "import random\nrandom.Random()",
        "import numpy as np\nnp.random.rand()",
        "from numpy.random import default_rng\ndefault_rng()",
        "import secrets",
        "import os\nos.environ['HOME']",
        "from os import environ",
        "import os\nos.urandom(8)",
        "print('x')",
        "log = print",
    ],
)
def test_broken_twin_of_quiet(source: str) -> None:
    assert len(check_quiet("gridpact.agents.quoting", source)) == 1
    assert check_quiet("gridpact.inputs.csv", source) == []
    assert check_quiet("gridpact.node.host", source) == []


@pytest.mark.parametrize(
    "source",
    [
        "import random\nrng = random.Random(7)\nrng.shuffle([])",
        "import numpy as np\nnp.random.default_rng(7)",
        "from datetime import datetime\ndatetime.fromtimestamp(0)",
        "import os.path\nos.fsync(3)",
    ],
)
def test_seeded_chance_and_given_time_pass(source: str) -> None:
    assert check_quiet("gridpact.agents.quoting", source) == []


@pytest.mark.parametrize(
    "source",
    [
        "x: float = 1",
        "x = 0.5",
        "x = 1e6",
        "x = 3 / 2",
        "x = 3\nx /= 2",
        "x = round(y)",
        "import numpy as np\nnp.float64",
        "import math\nmath.sqrt(2)",
        "from math import floor",
        "from decimal import Decimal",
    ],
)
def test_broken_twin_of_integers(source: str) -> None:
    assert len(check_integers("gridpact.settlement.bills", source)) == 1
    assert check_integers("gridpact.grid.flow", source) == []


def test_exact_arithmetic_passes() -> None:
    source = "from math import isqrt\nimport math\nx = isqrt(9) // 2 + math.gcd(4, 6)"
    assert check_integers("gridpact.market.integer.auction", source) == []
