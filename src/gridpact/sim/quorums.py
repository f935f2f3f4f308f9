"""The global observer of quorums: whoever is elected must meet whoever has decided.

Sets are bit masks. A set of voters that elects in a term must share a member with every set that
decided in an earlier term, under the same configuration or a neighbouring one; configurations that
are further apart are linked by those between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gridpact.sim.world import Violation


class QuorumWatch:
    """Sees all sets that were counted in one run.

    Args:
        names: of all who may be counted.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._bit = {name: 1 << place for place, name in enumerate(dict.fromkeys(names))}
        self._decided: dict[int, dict[int, int]] = {}
        """Earliest term by mask, by number of the configuration."""
        self._elected: dict[int, dict[int, int]] = {}
        """Latest term by mask, by number of the configuration."""

    def elected(self, number: int, term: int, voters: Iterable[str]) -> None:
        """These made a leader, counted with configuration `number`.

        Raises:
            Violation: a set that decided earlier has no member among them.
        """
        mask = self._mask(voters)
        held = self._elected.setdefault(number, {})
        held[mask] = max(term, held.get(mask, 0))
        for other in (number - 1, number, number + 1):
            for decided, since in self._decided.get(other, {}).items():
                if since < term and not decided & mask:
                    raise Violation("quorums meet", self._words(decided, since, mask, term))

    def decided(self, number: int, term: int, holders: Iterable[str]) -> None:
        """These hold what a leader of `term` has decided with configuration `number`.

        Raises:
            Violation: a set that elected in a later term has no member among them.
        """
        mask = self._mask(holders)
        held = self._decided.setdefault(number, {})
        since = held.get(mask)
        if since is not None and since <= term:
            return
        held[mask] = term
        for other in (number - 1, number, number + 1):
            for elected, until in self._elected.get(other, {}).items():
                if until > term and not elected & mask:
                    raise Violation("quorums meet", self._words(mask, term, elected, until))

    def _mask(self, names: Iterable[str]) -> int:
        mask = 0
        for name in names:
            mask |= self._bit[name]
        return mask

    def _words(self, decided: int, since: int, elected: int, term: int) -> str:
        sets = [
            "".join(n + " " for n, bit in self._bit.items() if bit & m).strip()
            for m in (decided, elected)
        ]
        return f"{{{sets[0]}}} decided in term {since}, {{{sets[1]}}} elected in term {term}"
