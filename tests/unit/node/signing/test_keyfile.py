from __future__ import annotations

import pickle
from pathlib import Path

import msgspec
import pytest
from tests.unit.node.signing.rig import LITTLE

from gridpact.errors import InputError, StoreError
from gridpact.node.signature_worker import verify_signature
from gridpact.node.signing import keyfile
from gridpact.node.signing.keyfile import (
    PASSPHRASE,
    change_passphrase,
    check_rotation,
    key_path,
    new_key,
    public_key,
    rotate,
    unlock,
    unlock_with,
    write_privately,
)

SECRET = b"correct horse"
SEED = bytes(range(100, 132))
CHAIN = bytes(32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = key_path(tmp_path, 1)
    new_key(path, SECRET, effort=LITTLE, seed=SEED)
    return path


@pytest.fixture(autouse=True)
def _no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSPHRASE, raising=False)


def problem(path: Path, passphrase: bytes | None = SECRET) -> str:
    """Why a key stays locked; the file is as it was."""
    before = path.read_bytes() if path.exists() else b""
    with pytest.raises(InputError) as caught:
        unlock(path, passphrase)
    assert (path.read_bytes() if path.exists() else b"") == before
    return str(caught.value)


def test_a_sealed_key_signs_again(path: Path) -> None:
    key = unlock(path, SECRET)
    assert key.public == public_key(path)
    assert verify_signature(key.public, b"data", key.sign(b"data"))


def test_the_file_is_private_and_has_the_secret_nowhere(path: Path) -> None:
    data = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert SEED not in data
    assert SEED.hex().encode() not in data
    assert msgspec.json.encode(SEED).strip(b'"') not in data
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_what_shows_a_key_does_not_tell_it(path: Path) -> None:
    key = unlock(path, SECRET)
    assert repr(key) == f"SigningKey({key.public.hex()})"
    with pytest.raises(TypeError, match="not copied"):
        pickle.dumps(key)


def test_a_wrong_passphrase_is_told(path: Path) -> None:
    assert "wrong passphrase" in problem(path, b"wrong")
    assert PASSPHRASE in problem(path, None)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    assert f"mode {mode:03o} lets others read it; chmod 600 key-1.json" in problem(path)


def test_damage_is_told(path: Path) -> None:
    whole = path.read_text()
    public = public_key(path).hex()
    for broken, words in [
        (whole[:-20], "not a key file, or damaged"),
        (whole.replace(public, bytes(32).hex()), "do not belong together"),
        (whole.replace(public, "00"), "not a key of the format"),
        (whole.replace("key/v1", "key/v9"), "not a key of the format"),
        (whole.replace(f'"memory": {LITTLE.memory}', f'"memory": {1 << 40}'), "damaged"),
        (whole.replace('"box": "', '"box": "AAAA'), "wrong passphrase, or damaged"),
    ]:
        assert broken != whole
        path.write_text(broken)
        assert words in problem(path)
    path.unlink()
    assert "cannot be read" in problem(path)


def test_a_key_is_never_overwritten(path: Path) -> None:
    with pytest.raises(InputError, match="never overwritten"):
        new_key(path, SECRET, effort=LITTLE)
    assert unlock(path, SECRET).public == public_key(path)


def test_an_empty_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="protects nothing"):
        new_key(tmp_path / "key", b"")
    assert not list(tmp_path.iterdir())


def test_a_key_is_unprotected_only_when_asked_for(tmp_path: Path) -> None:
    public = new_key(tmp_path / "key", None, seed=SEED)
    assert unlock_with(tmp_path / "key").public == public
    assert b"unprotected" in (tmp_path / "key").read_bytes()


def test_a_passphrase_comes_from_file_then_environment_then_person(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def prompt(text: str) -> str:
        asked.append(text)
        return SECRET.decode()

    assert unlock_with(path, prompt=prompt).public == public_key(path)
    assert asked == [f"Passphrase for {path}: "]
    monkeypatch.setenv(PASSPHRASE, SECRET.decode())
    assert unlock_with(path, prompt=prompt).public == public_key(path)
    monkeypatch.setenv(PASSPHRASE, "wrong")
    file = tmp_path / "passphrase"
    write_privately(file, SECRET + b"\n")
    assert unlock_with(path, passphrase_file=file, prompt=prompt).public == public_key(path)
    assert len(asked) == 1
    file.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600 passphrase"):
        unlock_with(path, passphrase_file=file)


def test_a_passphrase_is_changed(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(InputError, match="wrong passphrase"):
        change_passphrase(path, b"wrong", b"new", effort=LITTLE)
    assert path.read_bytes() == before
    change_passphrase(path, SECRET, b"new", effort=LITTLE)
    assert unlock(path, b"new").public == public_key(path)
    assert "wrong passphrase" in problem(path, SECRET)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(keyfile.os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        change_passphrase(path, SECRET, b"new", effort=LITTLE)
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_the_old_key_vouches_for_the_new_one(path: Path) -> None:
    known = public_key(path)
    rotation = rotate(path.parent, 1, SECRET, chain=CHAIN, name="a", effort=LITTLE)
    assert rotation.number == 2
    assert rotation.new_public == unlock(key_path(path.parent, 2), SECRET).public != known
    assert check_rotation(rotation, chain=CHAIN, name="a", known=known)
    assert not check_rotation(rotation, chain=CHAIN, name="b", known=known)
    assert not check_rotation(rotation, chain=bytes([1]) * 32, name="a", known=known)
    assert not check_rotation(rotation, chain=CHAIN, name="a", known=rotation.new_public)
    other = msgspec.structs.replace(rotation, new_public=known)
    assert not check_rotation(other, chain=CHAIN, name="a", known=known)


def test_a_wrong_passphrase_makes_no_new_key(path: Path) -> None:
    with pytest.raises(InputError, match="wrong passphrase"):
        rotate(path.parent, 1, b"wrong", chain=CHAIN, name="a", effort=LITTLE)
    assert not key_path(path.parent, 2).exists()
