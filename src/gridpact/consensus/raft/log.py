"""A replica's log: a snapshot, then entries; with the configurations that are in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridpact.codec import decode
from gridpact.consensus.configuration import Configuration
from gridpact.consensus.raft.messages import (
    BATCH_BYTES,
    ENTRIES_MAX,
    Append,
    InstallSnapshot,
)
from gridpact.errors import invariant

if TYPE_CHECKING:
    from gridpact.consensus.raft.messages import Entry
    from gridpact.consensus.raft.records import Snapshot, Stored


class Log:
    """Indices count from 1; those up to the snapshot's are gone."""

    __slots__ = ("configurations", "entries", "last_index", "snapshot")

    def __init__(self, stored: Stored) -> None:
        self.snapshot: Snapshot = stored.snapshot
        self.entries: list[Entry] = []
        self.last_index = stored.snapshot.index
        """Of the last entry, or the snapshot's."""
        self.configurations: list[tuple[int, Configuration]] = [
            (stored.snapshot.index, stored.snapshot.configuration)
        ]
        """(index, configuration) of the snapshot and of every entry that is one, in order."""
        self.replace_from(stored.snapshot.index + 1, stored.entries)

    @property
    def last_term(self) -> int:
        """Of the last entry, or the snapshot's."""
        return self.entries[-1].term if self.entries else self.snapshot.term

    def term_at(self, index: int) -> int:
        """Term of the entry at an index; -1 where there is none (any more)."""
        if index > self.last_index:
            return -1
        place = index - self.snapshot.index - 1
        if place >= 0:
            return self.entries[place].term
        return self.snapshot.term if place == -1 else -1

    def entry(self, index: int) -> Entry:
        """The entry at an index, which must be there."""
        return self.entries[index - self.snapshot.index - 1]

    def replace_from(self, first: int, entries: list[Entry]) -> None:
        """Put entries at an index; what stood there and after it goes."""
        place = first - self.snapshot.index - 1
        invariant(0 <= place <= len(self.entries), f"entries at {first} leave a gap")
        if place < len(self.entries):
            del self.entries[place:]
            while self.configurations[-1][0] >= first:
                self.configurations.pop()
        self.entries.extend(entries)
        self.last_index = first + len(entries) - 1
        for index, entry in enumerate(entries, start=first):
            if entry.configuration:
                self.configurations.append((index, decode(Configuration, entry.payload)))

    def batch(self, first: int) -> list[Entry]:
        """Entries from an index on, as many as fit into one message."""
        place = first - self.snapshot.index - 1
        found = self.entries[place : place + ENTRIES_MAX]
        size = 0
        for count, entry in enumerate(found):
            size += len(entry.payload)
            if size > BATCH_BYTES and count:
                return found[:count]
        return found

    def first_of_term(self, index: int) -> int:
        """The first index of the run of entries with one term that the entry at `index` is in."""
        term = self.term_at(index)
        while index > self.snapshot.index + 1 and self.term_at(index - 1) == term:
            index -= 1
        return index

    def next_try(self, previous: int, commit: int) -> int:
        """Where a leader should try next: past the own log, or before a term that differs."""
        if previous > self.last_index:
            return self.last_index + 1
        return max(self.first_of_term(previous), commit + 1)

    def configuration_at(self, index: int) -> Configuration:
        """The last configuration at or before an index."""
        for place, configuration in reversed(self.configurations):
            if place <= index:
                return configuration
        return self.configurations[0][1]

    def denies(self, message: Append | InstallSnapshot, commit: int) -> bool:
        """Whether a leader's message goes against something decided, up to `commit`."""
        if isinstance(message, InstallSnapshot):
            return self._differs(message.index, message.index_term, commit)
        previous = message.previous_index
        if previous > commit:
            return False
        if self._differs(previous, message.previous_term, commit):
            return True
        for index, entry in enumerate(message.entries, start=previous + 1):
            if index > commit:
                return False
            if self._differs(index, entry.term, commit):
                return True
        return False

    def _differs(self, index: int, term: int, commit: int) -> bool:
        return self.snapshot.index <= index <= commit and self.term_at(index) != term

    def compact(self, snapshot: Snapshot) -> None:
        """Let a snapshot take the place of what lies before it."""
        if snapshot.keeps_rest:
            del self.entries[: snapshot.index - self.snapshot.index]
        else:
            self.entries.clear()
        later = [held for held in self.configurations if held[0] > snapshot.index]
        kept = later if snapshot.keeps_rest else []
        self.configurations = [(snapshot.index, snapshot.configuration), *kept]
        self.snapshot = snapshot
        self.last_index = snapshot.index + len(self.entries)
