"""What a reader can type to check a run: the same commands on the page and on the terminal."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from gridpact.model import RunResult


@dataclass(frozen=True, slots=True)
class Command:
    """One line for a shell."""

    purpose: str
    """What it does, as a heading."""
    words: tuple[str, ...]
    """Program, options and values; an option stands in one word with its value."""

    @property
    def line(self) -> str:
        """The whole command on one line."""
        return " ".join(self.words)

    def broken(self, width: int) -> str:
        """The command on as many lines as the width needs, broken between words only."""
        lines = [self.words[0]]
        for word in self.words[1:]:
            if len(lines[-1]) + len(word) + len("  \\") > width:
                lines[-1] += " \\"
                lines.append(f"  {word}")
            else:
                lines[-1] += f" {word}"
        return "\n".join(lines)


def checking_commands(result: RunResult) -> list[Command]:
    """Audit everything; prove one bill; verify the proof against the record's hash."""
    ledger = shlex.quote(str(result.ledger.path))
    root = result.ledger.record_hash
    commands = [Command("Audit the whole ledger", ("gridpact", "audit", ledger, f"--root {root}"))]
    if result.bills:
        participant = result.bills[0].participant_id
        proof = f"{participant}.proof"
        commands += [
            Command(
                "Prove one member's bill",
                ("gridpact", "prove", ledger, f"--bill {participant}", f"-o {proof}"),
            ),
            Command(
                "Verify the proof, without the ledger",
                ("gridpact", "verify", proof, f"--root {root}"),
            ),
        ]
    return commands
