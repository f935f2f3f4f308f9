"""The roots of every error, sorted by who can mend it.

A refusal of a valid call by the rules is no exception: it is a `Verdict` in a receipt.
"""

from __future__ import annotations

from dataclasses import dataclass


class GridpactError(Exception):
    """Root of all expected errors; anything else that escapes is a bug."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input, in words a person can act on."""

    where: str
    """File and line, table and key, or field."""
    message: str
    """Fact, value with unit, what is allowed, what to do."""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class InputError(GridpactError):
    """A file or request is wrong: all its problems at once."""

    def __init__(self, problems: list[Problem]) -> None:
        if not problems:
            raise InvariantError("an InputError names at least one problem")
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


class StoreError(GridpactError):
    """The ledger's folder cannot be read or written: full, read-only, locked or damaged."""


class InvariantError(Exception):
    """Our own bug. A replica that meets one stops before it writes anything."""


def invariant(condition: bool, message: str) -> None:
    """Stop when `condition` is false. Not `assert`, which `python -O` removes.

    Raises:
        InvariantError: the condition does not hold.
    """
    if not condition:
        raise InvariantError(message)
