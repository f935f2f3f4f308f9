"""What is known of a restored host: that it lies behind, and that an operator let it go on.

Two small files beside the position, for people to read. The position itself never moves back.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import time
from typing import TypeVar

import msgspec

from gridpact.errors import InputError, Problem, StoreError
from gridpact.files import sync_folder
from gridpact.node.signing.keyfile import write_privately

BEHIND = "behind.json"
ALLOWED = "allowed.json"

Place = tuple[int, int]
"""(term, last index) of a Raft log, (height, round) of CometBFT: what is later is larger."""


class Behind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A start that was refused."""

    noted_ms: int
    """Time since 1970."""
    stated: Place
    """What the host has."""
    reach: Place
    """What was signed for: the host must come so far again."""


class Allowed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An operator's word that a refused host may go on."""

    allowed_ms: int
    """Time since 1970."""
    forgiven: Place
    """No host that has less may start with this."""
    reach: Place


_Mark = TypeVar("_Mark", Behind, Allowed)


def system_ms() -> int:
    """The host's clock, in milliseconds since 1970."""
    return int(time() * 1000)


class Standing:
    """The two files of one signer."""

    def __init__(self, folder: Path, now_ms: Callable[[], int] = system_ms) -> None:
        self._folder, self._now_ms = folder, now_ms
        self.behind = _read(folder / BEHIND, Behind)
        """The start that was refused last, until an operator allows it."""
        self.allowed = _read(folder / ALLOWED, Allowed)
        """What a restored host may do, until it has come far enough."""

    def note_behind(self, stated: Place, reach: Place) -> None:
        """Remember a refused start; StoreError when the disk refuses."""
        self.behind = Behind(self._now_ms(), stated, reach)
        _write(self._folder / BEHIND, self.behind)

    def allow(self) -> Allowed:
        """Let the host go on whose start was refused last.

        Raises:
            InputError: none was refused.
            StoreError: the disk refused.
        """
        if self.behind is None:
            text = "no start was refused, so there is nothing to allow"
            raise InputError([Problem(str(self._folder), text)])
        self.allowed = Allowed(self._now_ms(), self.behind.stated, self.behind.reach)
        _write(self._folder / ALLOWED, self.allowed)
        self._remove(BEHIND)
        self.behind = None
        return self.allowed

    def not_behind(self) -> None:
        """A host with everything has come: nobody needs to be allowed any more."""
        if self.behind is not None:
            self._remove(BEHIND)
            self.behind = None

    def reached(self) -> None:
        """The host is where it was: what was allowed is used up."""
        self._remove(ALLOWED)
        self.allowed = None

    def _remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)
        sync_folder(self._folder)


def _read(path: Path, mark_type: type[_Mark]) -> _Mark | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=mark_type)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        text = f"{path}: cannot be read ({error}); nothing is signed before it is put right"
        raise StoreError(text) from error


def _write(path: Path, mark: Behind | Allowed) -> None:
    write_privately(path, msgspec.json.format(msgspec.json.encode(mark)) + b"\n")
