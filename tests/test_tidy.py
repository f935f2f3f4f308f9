"""What a reader should never meet: drawers, left-overs, machine paths, words with two meanings.

Method: checkers are functions from text to a list of complaints, each naming what to do instead.
They run over every file of the repository, then over small broken twins that they must catch.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
TESTS = ROOT / "tests"

LINE_MAX = 100
MODULE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
README_LINES_MAX = 120
EXPORTS_MAX = 15

LONG_FUNCTIONS: dict[str, str] = {}
"""`module:qualified name` of functions that may be longer, each with the reason."""
WIDE_ROOMS = {"gridpact.model": "the nouns are all it has, and every room reads them"}
"""Rooms that may export more than EXPORTS_MAX names, each with the reason."""
UNIMPORTED: dict[str, str] = {
    "gridpact.node.cometbft": "a process of its own, started by name: docs/cometbft.md",
}
"""Modules that nothing in the package imports and that stay, each with the reason."""

DRAWERS = {"base.py", "common.py", "helpers.py", "manager.py", "misc.py", "utils.py"}
LEFT_OVERS = re.compile(
    r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|NotImplemented" + r"Error|for no" + r"w)\b"
)
MACHINE = re.compile(
    r"(?<![\w.~-])/(?:work|farm|root|home/\w+|Users/\w+)/"
    r"|pythonhosted[.]org|pypi[.]org/simple|registry[.]npmjs[.]org|proxy[.]golang[.]org"
    r"|deb[.]debian[.]org|static[.]crates[.]io"
)

WORDS = {
    "burn": "retire",
    "burned": "retired",
    "burnt": "retired",
    "timestep": "slot",
    "timesteps": "slots",
    "wheeling": "network fee",
}
"""Not in code, comments or messages; docs may explain the literature's word."""
NAMES = {
    "ask": "offer",
    "asks": "offers",
    "producer": "generator",
    "producers": "generators",
    "tick": "phase",
    "ticks": "phases",
}
"""Not as part of a variable's or a class's name; as verbs and in prose they are plain English."""


@cache
def files() -> tuple[Path, ...]:
    """Everything that is or could be committed."""
    if shutil.which("git") and (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout.decode()
        paths = [ROOT / name for name in listed.split("\0") if name]
    else:
        made = re.compile(r"\.(?!ci\b)|(?:build|dist|out)/|.*__pycache__/")
        paths = [
            path for path in ROOT.rglob("*") if not made.match(path.relative_to(ROOT).as_posix())
        ]
    return tuple(sorted(path for path in paths if path.is_file()))


def python_files(folder: Path) -> list[Path]:
    return [path for path in files() if path.suffix == ".py" and path.is_relative_to(folder)]


def name_of(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def package() -> dict[str, str]:
    """Module name -> source."""
    return {name_of(path): path.read_text(encoding="utf-8") for path in python_files(SRC)}


def check_file_name(path: str) -> list[str]:
    name = Path(path).name
    return [f"{path}: a drawer; name it after what it holds"] if name in DRAWERS else []


def check_lines(path: str, source: str) -> list[str]:
    lines = source.splitlines()
    found = [
        f"{path}:{number}: {len(line)} characters; at most {LINE_MAX}"
        for number, line in enumerate(lines, 1)
        if len(line) > LINE_MAX
    ]
    if len(lines) > MODULE_LINES_MAX:
        found.append(f"{path}: {len(lines)} lines; split above {MODULE_LINES_MAX}")
    return found


def check_left_overs(path: str, source: str) -> list[str]:
    return [
        f"{path}:{number}: {match[0]!r}; finish it, or a line under Known limits"
        for number, line in enumerate(source.splitlines(), 1)
        if (match := LEFT_OVERS.search(line))
    ]


def check_machine(path: str, text: str) -> list[str]:
    return [
        f"{path}:{number}: {match[0]!r} holds on one machine only; leave it to its settings"
        for number, line in enumerate(text.splitlines(), 1)
        if (match := MACHINE.search(line))
    ]


def functions(tree: ast.AST, prefix: str = "") -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Qualified name -> definition, nested ones included."""
    found = {}
    for node in ast.iter_child_nodes(tree):
        name = prefix
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[name := f"{prefix}{node.name}"] = node
            name += "."
        elif isinstance(node, ast.ClassDef):
            name = f"{prefix}{node.name}."
        found |= functions(node, name)
    return found


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end without the docstring: explaining more is no fault."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def check_module(module: str, source: str) -> list[str]:
    """Docstring, length of functions, no `assert`."""
    tree = ast.parse(source)
    found = []
    if not (ast.get_docstring(tree) or "").strip():
        found.append(f"{module}: no docstring; say what it is for and what it must not know")
    for name, function in functions(tree).items():
        if length(function) > FUNCTION_LINES_MAX and f"{module}:{name}" not in LONG_FUNCTIONS:
            found.append(f"{module}:{name}: {length(function)} lines; {FUNCTION_LINES_MAX} stop")
    found += [
        f"{module}:{node.lineno}: assert; use invariant, which python -O keeps"
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    ]
    return found


def exports(source: str) -> list[str] | None:
    """What `__all__` lists; None when the module has none."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if ast.unparse(target) == "__all__" and node.value:
                return list(ast.literal_eval(node.value))
    return None


def check_exports(module: str, source: str) -> list[str]:
    """The `__init__` of a room says what it offers, and offers little."""
    names = exports(source)
    body = ast.parse(source).body
    if names is None and any(isinstance(node, ast.ImportFrom) for node in body):
        return [f"{module}: no __all__; list what the room offers"]
    if len(names or []) > EXPORTS_MAX and module not in WIDE_ROOMS:
        return [f"{module}: {len(names or [])} names in __all__; {EXPORTS_MAX} at most"]
    return []


def check_words(module: str, source: str) -> list[str]:
    """One word for one thing: `docs/glossary.md`."""
    found = [
        f"{module}:{number}: {word!r} here is {WORDS[word]!r}"
        for number, line in enumerate(source.splitlines(), 1)
        for word in re.findall(r"[a-z]+", line.lower())
        if word in WORDS
    ]
    found += [
        f"{module}:{line}: {word!r} in {name!r} here is {NAMES[word]!r}"
        for line, name in given_names(ast.parse(source))
        for word in name.lower().split("_")
        if word in NAMES
    ]
    return found


def given_names(tree: ast.AST) -> list[tuple[int, str]]:
    """(line, name) of every class, argument and variable that the source names itself."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found.append((node.lineno, node.name))
        elif isinstance(node, ast.arg):
            found.append((node.lineno, node.arg))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.append((node.lineno, node.id))
    return found


def check_test(path: str, source: str) -> list[str]:
    """A test that sleeps is slow and unsure; one that asserts a constant cannot fail."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant):
            found.append(f"{path}:{node.lineno}: assert of a constant; assert what must hold")
        name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if name in {"sleep", "time.sleep"}:
            found.append(f"{path}:{node.lineno}: sleep; pass now_ms, or wait for the event itself")
    return found


def mentioned(module: str, source: str) -> set[str]:
    """Modules that a source imports, or names in a string as lazy loaders do.

    Importing a module imports the packages around it, except those that the source itself is in.
    """
    named: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named.add(node.value.partition(":")[0])
    around = {name.rsplit(".", cut)[0] for name in named for cut in range(name.count(".") + 1)}
    return {name for name in named | around if not f"{module}.".startswith(f"{name}.")}


def check_dead(sources: dict[str, str], entry_points: set[str]) -> list[str]:
    """Modules that nothing imports. Commands are found by name, entry points from outside."""
    used = entry_points | {"gridpact", *UNIMPORTED}
    for module, source in sources.items():
        used |= mentioned(module, source)
    return [
        f"{module}: nothing imports it; use it or remove it"
        for module in sorted(set(sources) - used)
        if not module.startswith("gridpact.cli.") and not module.endswith(".__main__")
    ]


def check_adr_index(index: str, names: set[str]) -> list[str]:
    listed = set(re.findall(r"\]\((\d{3}-[\w-]+\.md)\)", index))
    return [f"docs/adr/README.md does not list {name}" for name in sorted(names - listed)] + [
        f"docs/adr/README.md lists {name}, which is not there" for name in sorted(listed - names)
    ]


# The tree


def clean(found: list[str]) -> None:
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("path", [str(path.relative_to(ROOT)) for path in files()])
def test_file_is_portable_and_well_named(path: str) -> None:
    clean(check_file_name(path))
    try:
        text = (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:  # a picture or a compressed table has no lines
        return
    clean(check_machine(path, text))


@pytest.mark.parametrize("module", sorted(package()))
def test_module_is_tidy(module: str) -> None:
    source = package()[module]
    clean(check_lines(module, source))
    clean(check_left_overs(module, source))
    clean(check_module(module, source))
    clean(check_words(module, source))


@pytest.mark.parametrize("path", [str(path.relative_to(ROOT)) for path in python_files(TESTS)])
def test_test_is_tidy(path: str) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    clean(check_lines(path, source))
    clean(check_left_overs(path, source))
    clean(check_test(path, source))


def test_rooms_offer_little() -> None:
    found = []
    for path in python_files(SRC):
        if path.name == "__init__.py":
            found += check_exports(name_of(path), path.read_text(encoding="utf-8"))
    clean(found)


def test_no_module_is_dead() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entry_points = {script.partition(":")[0] for script in project["scripts"].values()}
    clean(check_dead(package(), entry_points))


def test_every_exception_is_needed() -> None:
    """A reason that nothing needs any more goes."""
    long = {
        f"{module}:{name}"
        for module, source in package().items()
        for name, function in functions(ast.parse(source)).items()
        if length(function) > FUNCTION_LINES_MAX
    }
    wide = {
        name_of(path)
        for path in python_files(SRC)
        if len(exports(path.read_text(encoding="utf-8")) or []) > EXPORTS_MAX
    }
    assert set(LONG_FUNCTIONS) <= long
    assert set(WIDE_ROOMS) <= wide
    assert set(UNIMPORTED) <= set(package())


def test_readme_is_read_in_two_minutes() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= README_LINES_MAX


def test_index_of_decisions_is_complete() -> None:
    folder = ROOT / "docs" / "adr"
    names = {path.name for path in folder.glob("*.md")} - {"README.md"}
    clean(check_adr_index((folder / "README.md").read_text(encoding="utf-8"), names))


def test_ci_counts_a_skip_as_a_failure(tmp_path: Path) -> None:
    """The rule of conftest.py, for a test, a module, and an expected failure that stays one."""
    shutil.copy(TESTS / "conftest.py", tmp_path)
    (tmp_path / "test_one.py").write_text(
        "import pytest\n"
        "@pytest.mark.skipif(True, reason='no broker')\n"
        "def test_skips(): pass\n"
        "@pytest.mark.xfail(strict=True)\n"
        "def test_known(): assert not 1\n"
        "def test_runs(): pass\n"
    )
    (tmp_path / "test_two.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(tmp_path)]
    for required, closing in (("0", "1 passed, 2 skipped, 1 xfailed"), ("1", "1 error")):
        environment = {**os.environ, "GRIDPACT_REQUIRE_SERVICES": required}
        result = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert closing in result.stdout
        assert (result.returncode == 0) == (required == "0")


# Broken twins


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (check_file_name("src/gridpact/ledger/utils.py"), "a drawer"),
        (check_lines("m", "x = 1" + " " * 96), "101 characters"),
        (check_lines("m", "\n" * 801), "801 lines"),
        (check_left_overs("m", "# TO" + "DO: later"), "Known limits"),
        (check_left_overs("m", "raise NotImplemented" + "Error"), "finish it"),
        (check_machine("m", "see /" + "work/main"), "one machine only"),
        (check_machine("m", "--index-url https://py" + "pi.org/simple"), "one machine only"),
        (check_module("m", "x = 1"), "no docstring"),
        (check_module("m", '"""D."""\nassert x'), "use invariant"),
        (check_module("m", '"""D."""\ndef f():\n' + "    x = 1\n" * 70), "71 lines"),
        (check_module("m", '"""D."""\nclass C:\n def f(s):\n' + "  x = 1\n" * 70), "m:C.f"),
        (check_exports("m", f"__all__ = {[str(n) for n in range(16)]}"), "16 names"),
        (check_exports("m", "from gridpact.ledger.trees import Tree"), "no __all__"),
        (check_words("m", "# certificates to burn"), "'retire'"),
        (check_words("m", "WHEELING_FEE = 1"), "'network fee'"),
        (check_words("m", "def f(best_ask): pass"), "'offer'"),
        (check_words("m", "for tick in x: pass"), "'phase'"),
        (check_test("m", "assert 1"), "assert of a constant"),
        (check_test("m", "from time import sleep\nsleep(1)"), "pass now_ms"),
        (check_dead({"gridpact.a": "import gridpact.b", "gridpact.b": ""}, set()), "gridpact.a"),
        (
            check_dead({"gridpact.a": "from gridpact.a.b import c", "gridpact.a.b": ""}, set()),
            "gridpact.a",
        ),
        (check_adr_index("[1](001-a.md)", {"001-a.md", "002-b.md"}), "does not list 002-b.md"),
        (check_adr_index("[1](001-a.md)", set()), "not there"),
    ],
)
def test_broken_twin_is_caught(found: list[str], words: str) -> None:
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(
    "found",
    [
        check_file_name("src/gridpact/ledger/trees.py"),
        check_lines("m", "x = 1" + " " * 95),
        check_machine("m", "https://example.org/*/item ~/*/x ../*/y".replace("*", "work")),
        check_module("m", '"""D."""\ndef f():\n    """' + "x\n" * 80 + '"""\n    return 1'),
        check_exports("m", '"""D."""'),
        check_words("m", "# a task\ndef ask(ticker): basket = 1"),
        check_test("m", "assert x == 1"),
        check_dead(
            {"gridpact.a": "import gridpact.b.c", "gridpact.b": "", "gridpact.b.c": ""},
            {"gridpact.a"},
        ),
        check_dead({"gridpact.a": "load('gridpact.b:run')", "gridpact.b": ""}, {"gridpact.a"}),
    ],
)
def test_lawful_neighbour_passes(found: list[str]) -> None:
    assert found == []
