"""Sealing a signer's key with another passphrase."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gridpact.errors import InputError
from gridpact.node.signing import Kind, make_key, reseal
from gridpact.node.signing.keyfile import key_path, unlock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "signer"
    make_key(made, kind=Kind.RAFT, chain=bytes(32), name="v", passphrase=None)
    return made


def saying(*answers: str) -> Callable[[str], str]:
    rest = iter(answers)
    return lambda _question: next(rest)


def test_a_key_is_sealed_and_sealed_anew(folder: Path) -> None:
    path = key_path(folder, 1)
    public = unlock(path).public
    reseal(folder, saying("first", "first"))
    assert unlock(path, b"first").public == public
    reseal(folder, saying("first", "second", "second"))
    assert unlock(path, b"second").public == public
    with pytest.raises(InputError, match="wrong passphrase"):
        unlock(path, b"first")


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (("first", "a", "b"), "not repeated"),
        (("wrong", "a", "a"), "wrong passphrase"),
        (("first", "", ""), "passphrase"),
    ],
)
def test_a_slip_of_the_tongue_changes_nothing(
    folder: Path, answers: tuple[str, ...], words: str
) -> None:
    path = key_path(folder, 1)
    reseal(folder, saying("first", "first"))
    before = path.read_bytes()
    with pytest.raises(InputError, match=words):
        reseal(folder, saying(*answers))
    assert path.read_bytes() == before
