"""Every step of [XIONG23], section 4.1.1, stands in the code, and the scripts execute it.

Method: docstrings of `replica.py` name the steps that a function carries out; the scripts beside
this file run under a profiler that notes which functions were entered.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from gridpact.consensus.raft import replica
from raft_script import run_script

SOURCE = Path(replica.__file__)
STEPS = {
    ("election", 1): "a follower that hears no heartbeat stands, term + 1",
    ("election", 2): "votes for itself, asks all; more than half of the weight elects",
    ("election", 3): "heartbeats; all others become followers",
    ("consensus", 1): "the leader adds the request to its log and sends it to all",
    ("consensus", 2): "followers copy it, then confirm",
    ("consensus", 3): "more than half of the weight: applied, the client answered",
    ("consensus", 4): "the leader waits for the others until all have the log",
}
_STEP = re.compile(r"\[XIONG23\], section 4\.1\.1, (election|consensus), step (\d)")
_ORIGIN = re.compile(r"\[(?:XIONG23|ONGARO14)\]|[Oo]urs:|See `Replica")


def functions(source: str) -> Iterator[tuple[str, str]]:
    """(name, text) of every method."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            yield node.name, ast.get_source_segment(source, node) or ""


def steps_of(text: str) -> set[tuple[str, int]]:
    return {(part, int(number)) for part, number in _STEP.findall(" ".join(text.split()))}


def executed(scripts: list[str]) -> set[str]:
    """Functions of `replica.py` that the scripts enter."""
    found: set[str] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename == str(SOURCE):
            found.add(frame.f_code.co_name)

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


def missing(source: str, entered: set[str]) -> set[tuple[str, int]]:
    """Steps of the paper that no entered function carries out."""
    done = [steps_of(text) for name, text in functions(source) if name in entered]
    return set(STEPS) - set().union(*done)


def test_every_step_of_the_paper_is_executed_by_the_scripts() -> None:
    source = SOURCE.read_text(encoding="utf-8")
    assert not missing(source, executed(scripts()))
    assert set().union(*(steps_of(text) for _, text in functions(source))) == set(STEPS)


def test_the_papers_own_profile_does_all_of_them_alone() -> None:
    script = (Path(__file__).parent / "paper_steps.txt").read_text(encoding="utf-8")
    assert not missing(SOURCE.read_text(encoding="utf-8"), executed([script]))


def test_a_step_that_no_script_executes_is_reported() -> None:
    source = SOURCE.read_text(encoding="utf-8")
    entered = executed(scripts()) - {"_on_propose"}
    assert missing(source, entered) == {("consensus", 1)}


@pytest.mark.parametrize("kind", ["_on_", "_become_", "_decide", "_advance"])
def test_every_transition_says_where_it_comes_from(kind: str) -> None:
    found = [(n, text) for n, text in functions(SOURCE.read_text("utf-8")) if n.startswith(kind)]
    assert found
    assert [name for name, text in found if not _ORIGIN.search(text)] == []
