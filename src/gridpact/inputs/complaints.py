"""What is wrong with one data file: every problem counted, the first of them kept in words."""

from __future__ import annotations

from gridpact.errors import InputError, Problem

PROBLEMS_SHOWN = 50
"""Problems of one file that are listed; the rest is counted."""
STOP_AFTER = 100_000
"""Problems after which a file is not read on: it is another one than was meant."""
_ROOM = 8 * PROBLEMS_SHOWN


class Complaints:
    """The problems of one file, by line.

    Bad cells cost no memory: only those that come first in the file are kept.
    """

    def __init__(self, file: str, unit: str = "line") -> None:
        self.file = file
        self.unit = unit
        """What a place in the file is called: `line` of text, or `row` of a table."""
        self.count = 0
        self._kept: list[tuple[int, int, Problem]] = []

    def place(self, line: int) -> str:
        """How messages name a line."""
        return f"{self.file}:{line}" if self.unit == "line" else f"{self.file} {self.unit} {line}"

    def note(self, line: int, message: str) -> None:
        """A problem in one line.

        Raises:
            InputError: it is one too many.
        """
        self._keep(line, Problem(self.place(line), message))

    def note_file(self, message: str) -> None:
        """A problem that no single line has; it comes after those that one has."""
        self._keep(2**62, Problem(self.file, message))

    def _keep(self, line: int, problem: Problem) -> None:
        self._kept.append((line, self.count, problem))
        self.count += 1
        if len(self._kept) > _ROOM:
            self._kept = sorted(self._kept)[:PROBLEMS_SHOWN]
        if self.count == STOP_AFTER:
            problems = self.problems()[:-1]
            rest = f"and at least {STOP_AFTER - PROBLEMS_SHOWN} more problems; it was not read on"
            raise InputError([*problems, Problem(self.file, rest)])

    def problems(self) -> list[Problem]:
        """The first in the order of lines, and how many more there are."""
        found = [problem for _, _, problem in sorted(self._kept)[:PROBLEMS_SHOWN]]
        if self.count > len(found):
            rest = self.count - len(found)
            found.append(Problem(self.file, f"and {rest} more problems in this file"))
        return found
