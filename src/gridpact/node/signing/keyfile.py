"""Ed25519 keys in files: the public half in clear, the secret sealed with a passphrase.

Argon2id makes the key of a SecretBox out of the passphrase; the file says with which effort. A key
without a passphrase is for tests and networks of one machine, and is written only when asked for.
Secrets are in no log, no error and no representation.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox
from nacl.utils import random

from gridpact.errors import InputError, Problem, StoreError
from gridpact.files import sync_folder
from gridpact.node.signature_worker import verify_signature

PASSPHRASE = "GRIDPACT_PASSPHRASE"  # noqa: S105 (the name of a variable)
"""Environment variable that unlocks keys where nobody can type."""
SEED_BYTES = 32
SIGNATURE_BYTES = 64
MEMORY_MAX = 1 << 30
"""Bytes; a damaged file must not ask for more."""
OPERATIONS_MAX = 16
FORMAT = "gridpact/key/v1"
_ROTATION = b"gridpact/rotation/v1"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Effort:
    """What each try of a passphrase costs."""

    operations: int = argon2id.OPSLIMIT_MODERATE
    memory: int = argon2id.MEMLIMIT_MODERATE
    """Bytes."""


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="sealed"):
    salt: bytes
    operations: Annotated[int, Meta(ge=1, le=OPERATIONS_MAX)]
    memory: Annotated[int, Meta(ge=argon2id.MEMLIMIT_MIN, le=MEMORY_MAX)]
    box: bytes


class _Unprotected(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="unprotected"):
    seed: bytes


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    public: str
    """Hexadecimal."""
    secret: _Sealed | _Unprotected


class SigningKey:
    """A key that is unlocked. Shows its public half only."""

    __slots__ = ("_secret", "public")

    def __init__(self, seed: bytes) -> None:
        self.public, self._secret = crypto_sign_seed_keypair(seed)

    def sign(self, data: bytes) -> bytes:
        """Signature over the data, 64 bytes."""
        return crypto_sign(data, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"SigningKey({self.public.hex()})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a key is not copied; open its file where it is needed")


class Rotation(msgspec.Struct, frozen=True):
    """The old key's word for the new one; a peer checks it with `check_rotation`."""

    number: int
    """Of the new key."""
    old_public: bytes
    new_public: bytes
    signature: bytes


def key_path(folder: Path, number: int) -> Path:
    """Where the key of this number lies."""
    return folder / f"key-{number}.json"


def new_key(
    path: Path, passphrase: bytes | None, *, effort: Effort | None = None, seed: bytes | None = None
) -> bytes:
    """Write a key that is not there yet; returns the public half.

    Args:
        path: of the file.
        passphrase: seals it; None leaves it unprotected.
        effort: to be spent on each try of the passphrase.
        seed: 32 bytes of a key that is known already; else the operating system's randomness.
    Raises:
        InputError: there is a key, or the passphrase is empty.
        StoreError: the disk refused.
    """
    if path.exists():
        raise InputError([Problem(str(path), "is there; a key is never overwritten")])
    seed = random(SEED_BYTES) if seed is None else seed
    _write(path, seed, passphrase, effort or Effort())
    return SigningKey(seed).public


def public_key(path: Path) -> bytes:
    """The public half, 32 bytes, without a passphrase.

    Raises:
        InputError: no such file, damaged, or readable by others.
    """
    return bytes.fromhex(_read(path).public)


def is_sealed(path: Path) -> bool:
    """Whether a passphrase is needed; raises like `public_key`."""
    return isinstance(_read(path).secret, _Sealed)


def unlock(path: Path, passphrase: bytes | None = None) -> SigningKey:
    """The key in a file.

    Raises:
        InputError: no such file, damaged, readable by others, or the passphrase is missing or
            wrong.
    """
    return SigningKey(_seed(path, passphrase))


def unlock_with(
    path: Path,
    *,
    passphrase_file: Path | None = None,
    prompt: Callable[[str], str] | None = None,
) -> SigningKey:
    """The key in a file, with the passphrase from a file, the environment or a person.

    Args:
        path: of the key.
        passphrase_file: for unattended starts; only its owner may read it.
        prompt: asks a person; called only when nothing else has the passphrase.
    Raises:
        InputError: as `unlock`.
    """
    if not is_sealed(path):
        return unlock(path)
    return unlock(path, find_passphrase(str(path), passphrase_file, prompt))


def find_passphrase(
    what: str, passphrase_file: Path | None, prompt: Callable[[str], str] | None
) -> bytes | None:
    """From the file, else the environment, else a person; None when there is none of them.

    Raises:
        InputError: the file cannot be read, or others can read it.
    """
    if passphrase_file is not None:
        return _read_private(passphrase_file).removesuffix(b"\n").removesuffix(b"\r")
    if (named := os.environ.get(PASSPHRASE)) is not None:
        return named.encode()
    return None if prompt is None else prompt(f"Passphrase for {what}: ").encode()


def change_passphrase(
    path: Path, old: bytes | None, new: bytes | None, *, effort: Effort | None = None
) -> None:
    """Seal a key anew; the file is replaced whole or not at all.

    Raises:
        InputError: as `unlock` for the old passphrase, or the new one is empty.
        StoreError: the disk refused; the old file is still there.
    """
    _write(path, _seed(path, old), new, effort or Effort())


def rotate(
    folder: Path,
    number: int,
    passphrase: bytes | None,
    *,
    chain: bytes,
    name: str,
    effort: Effort | None = None,
) -> Rotation:
    """Make the next key beside the one of this number, sealed with the same passphrase.

    Nothing signs with it before its number is chosen: the others must know it first.

    Args:
        folder: of the keys.
        number: of the key that is in use.
        passphrase: of that key.
        chain: name of the chain, 32 bytes.
        name: of the member.
        effort: for the new file.
    Raises:
        InputError: as `unlock` and `new_key`.
    """
    old = unlock(key_path(folder, number), passphrase)
    new_public = new_key(key_path(folder, number + 1), passphrase, effort=effort)
    signature = old.sign(_rotation(chain, name, old.public, new_public))
    return Rotation(number + 1, old.public, new_public, signature)


def check_rotation(rotation: Rotation, *, chain: bytes, name: str, known: bytes) -> bool:
    """Whether the key that is known of a member vouches for the new one."""
    said = _rotation(chain, name, rotation.old_public, rotation.new_public)
    return rotation.old_public == known and verify_signature(known, said, rotation.signature)


def _rotation(chain: bytes, name: str, old: bytes, new: bytes) -> bytes:
    """Only the name has no fixed length, so nothing is ambiguous."""
    return b"".join((_ROTATION, chain, name.encode(), old, new))


def _seed(path: Path, passphrase: bytes | None) -> bytes:
    document = _read(path)
    secret = document.secret
    if isinstance(secret, _Unprotected):
        seed = secret.seed
    elif passphrase is None:
        raise _bad(path, f"is sealed; name a passphrase file, or set {PASSPHRASE}")
    else:
        try:
            seed = SecretBox(_box_key(passphrase, secret)).decrypt(secret.box)
        except (CryptoError, ValueError, TypeError) as error:
            raise _bad(path, "wrong passphrase, or damaged; try again, or restore it") from error
    if len(seed) != SEED_BYTES or crypto_sign_seed_keypair(seed)[0].hex() != document.public:
        raise _bad(path, "damaged: its two halves do not belong together; restore it")
    return seed


def _box_key(passphrase: bytes, sealed: _Sealed) -> bytes:
    return argon2id.kdf(
        SecretBox.KEY_SIZE, passphrase, sealed.salt, sealed.operations, sealed.memory
    )


def _write(path: Path, seed: bytes, passphrase: bytes | None, effort: Effort) -> None:
    secret: _Sealed | _Unprotected
    if passphrase is None:
        secret = _Unprotected(seed)
    elif not passphrase:
        raise _bad(path, "an empty passphrase protects nothing; choose one")
    else:
        salt = random(argon2id.SALTBYTES)
        sealed = _Sealed(salt, effort.operations, effort.memory, b"")
        box = bytes(SecretBox(_box_key(passphrase, sealed)).encrypt(seed))
        secret = msgspec.structs.replace(sealed, box=box)
    document = _Document(FORMAT, SigningKey(seed).public.hex(), secret)
    write_privately(path, msgspec.json.format(msgspec.json.encode(document)) + b"\n")


def write_privately(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all.

    Raises:
        StoreError: the disk refused; what was there before still is.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                aside.unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        text = f"{path}: cannot be written: {error.strerror}; give room and permission"
        raise StoreError(text) from error


def _read(path: Path) -> _Document:
    data = _read_private(path)
    try:
        document = msgspec.json.decode(data, type=_Document)
        public = bytes.fromhex(document.public)
    except (msgspec.MsgspecError, ValueError) as error:
        raise _bad(path, f"not a key file, or damaged ({error}); restore it") from error
    if document.format != FORMAT or len(public) != SEED_BYTES:
        raise _bad(path, f"not a key of the format {FORMAT}; use the program that made it")
    return document


def _read_private(path: Path) -> bytes:
    """Bytes of a file that only its owner may read."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & _OTHERS:
                raise _bad(path, f"mode {mode:03o} lets others read it; chmod 600 {path.name}")
            return file.read()
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror}") from error


def _bad(path: Path, text: str) -> InputError:
    return InputError([Problem(str(path), text)])
