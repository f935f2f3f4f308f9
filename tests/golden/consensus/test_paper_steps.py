"""Every step of [XIONG23], section 4.1.1, stands in the code, and the scripts execute it.

Method: docstrings in `raft/` name the steps that a function carries out; the scripts beside this
file run under a profiler that notes which functions were entered.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from gridpact.consensus import raft
from raft_script import run_script

SOURCES = sorted(Path(raft.__file__).parent.glob("*.py"))
TRANSITIONS = ("replica.py", "elections.py", "following.py", "leading.py", "state.py")
"""Where what happens to a replica stands."""
STEPS = {
    ("election", 1): "a follower that hears no heartbeat stands, term + 1",
    ("election", 2): "votes for itself, asks all; more than half of the weight elects",
    ("election", 3): "heartbeats; all others become followers",
    ("consensus", 1): "the leader adds the request to its log and sends it to all",
    ("consensus", 2): "followers copy it, then confirm",
    ("consensus", 3): "more than half of the weight: applied, the client answered",
    ("consensus", 4): "the leader waits for the others until all have the log",
}
Function = tuple[str, str]
"""(file, name)."""
_STEP = re.compile(r"\[XIONG23\], section 4\.1\.1, (election|consensus), step (\d)")
_ORIGIN = re.compile(r"\[(?:XIONG23|ONGARO14)\]|[Oo]urs:|See `Replica")


def functions(sources: list[Path]) -> Iterator[tuple[Function, str]]:
    """Every function and its text."""
    for path in sources:
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                yield (path.name, node.name), ast.get_source_segment(source, node) or ""


def steps_of(text: str) -> set[tuple[str, int]]:
    return {(part, int(number)) for part, number in _STEP.findall(" ".join(text.split()))}


def executed(scripts: list[str]) -> set[Function]:
    """Functions of `raft/` that the scripts enter."""
    found: set[Function] = set()
    names = {str(path): path.name for path in SOURCES}

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename in names:
            found.add((names[frame.f_code.co_filename], frame.f_code.co_name))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for script in scripts:
            run_script(script)
    finally:
        sys.setprofile(before)
    return found


def scripts() -> list[str]:
    return [
        path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.txt"))
    ]


def missing(entered: set[Function]) -> set[tuple[str, int]]:
    """Steps of the paper that no entered function carries out."""
    done = [steps_of(text) for function, text in functions(SOURCES) if function in entered]
    return set(STEPS) - set().union(*done)


def test_every_step_of_the_paper_is_executed_by_the_scripts() -> None:
    assert not missing(executed(scripts()))
    assert set().union(*(steps_of(text) for _, text in functions(SOURCES))) == set(STEPS)


def test_the_papers_own_profile_does_all_of_them_alone() -> None:
    script = (Path(__file__).parent / "paper_steps.txt").read_text(encoding="utf-8")
    assert not missing(executed([script]))


def test_a_step_that_no_script_executes_is_reported() -> None:
    entered = executed(scripts()) - {("leading.py", "on_propose")}
    assert missing(entered) == {("consensus", 1)}


@pytest.mark.parametrize("kind", ["on_", "become_", "decide", "advance"])
def test_every_transition_says_where_it_comes_from(kind: str) -> None:
    sources = [path for path in SOURCES if path.name in TRANSITIONS]
    found = [
        (function, text)
        for function, text in functions(sources)
        if function[1].removeprefix("_").startswith(kind)
    ]
    assert found
    assert [function for function, text in found if not _ORIGIN.search(text)] == []
