"""What a leader knows of one follower, and how much it may send without an answer."""

from __future__ import annotations

from dataclasses import dataclass

INFLIGHT_MAX = 64
"""Messages with entries that a follower may not have answered yet."""


@dataclass(slots=True)
class Progress:
    """Begins with a probe: where the two logs agree is not known yet."""

    next_index: int
    matched: int = 0
    """Up to here the follower's durable log is the leader's."""
    probing: bool = True
    """One message at a time until the logs agree somewhere."""
    waiting: bool = False
    """A probe or a snapshot has no answer yet."""
    inflight: int = 0
    heard_ms: int = 0
    answered: int = 0
    """The latest question that it has answered."""

    @property
    def may_send(self) -> bool:
        """Whether another message with entries may go before an answer comes."""
        return not self.waiting and self.inflight < INFLIGHT_MAX

    def heard(self, now_ms: int, question: int) -> None:
        """An answer has come, whatever it says."""
        self.heard_ms = now_ms
        self.answered = max(self.answered, question)
        if self.inflight:
            self.inflight -= 1

    def sent(self, entries: int) -> None:
        """A message with entries has gone."""
        if self.probing:
            self.waiting = True
        else:
            self.next_index += entries
            self.inflight += 1

    def probe(self) -> None:
        """Begin again to look for where the logs agree."""
        self.probing, self.waiting, self.inflight = True, False, 0

    def refused(self, hint: int) -> bool:
        """The logs do not agree before the entries that were sent.

        Args:
            hint: where the follower says to try next; 0 when it only says that the message was of
                an earlier term.
        Returns:
            False when that says nothing new: to send again for each copy of an answer would breed
            copies.
        """
        if hint == 0:
            return False  # ours: an answer to what it sent as leader of an earlier term
        next_index = max(hint, self.matched + 1)
        if self.probing and hint <= self.matched and self.next_index == self.matched + 1:
            # ours: it refuses what it had; who was let in again without its disk counts for less
            self.matched, next_index = hint - 1, hint
        elif hint >= self.next_index or (self.probing and next_index >= self.next_index):
            return False
        self.probe()
        self.next_index = next_index
        return True

    def accepted(self, index: int) -> bool:
        """The follower's durable log is the leader's up to `index`; whether that is news."""
        news = index > self.matched
        if news or self.probing:
            self.waiting = False  # ours: a copy of an older answer does not end a snapshot's wait
        self.probing = False
        if news:
            self.matched = index
        if index >= self.next_index:
            self.next_index = index + 1
        if self.matched + 1 == self.next_index:
            self.inflight = 0  # ours: nothing is on its way, whatever answers were lost
        return news
