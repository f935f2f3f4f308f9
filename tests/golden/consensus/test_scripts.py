"""Raft told as scripts: commands, and what follows from each to the byte.

How to read and write them: `tests/raft_script.py`. `--update-golden` writes what happens under the
commands of each file; read the difference before it is committed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from raft_script import run_script

SCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("script", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_what_follows_from_each_command(script: Path, golden: Callable[[str, str], None]) -> None:
    golden(script.name, run_script(script.read_text(encoding="utf-8")))
