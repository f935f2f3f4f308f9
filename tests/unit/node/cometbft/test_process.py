"""Finding the program, and the version that everything is pinned to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gridpact.errors import InputError
from gridpact.node.cometbft.process import SETTING, VERSION, find_program

ROOT = Path(__file__).resolve().parents[4]


def test_make_builds_the_version_that_we_speak() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"^COMETBFT := (\S+)$", text, re.MULTILINE) == [VERSION]


def test_a_program_that_is_not_there_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(SETTING, str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="nothing: not found; `make cometbft` builds"):
        find_program()
    there = tmp_path / "there"
    there.touch()
    monkeypatch.setenv(SETTING, str(there))
    assert find_program() == there
