"""What a leader knows of a follower, where it is not what the follower has."""

from __future__ import annotations

from gridpact.consensus.raft.progress import Progress


def agreed(index: int) -> Progress:
    """A follower whose log is the leader's up to an index."""
    progress = Progress(index + 1)
    progress.sent(1)
    assert progress.accepted(index)
    return progress


def test_one_refusal_moves_back_to_what_agreed_and_no_further() -> None:
    progress = agreed(30)
    progress.sent(4)
    assert progress.refused(3)
    assert (progress.matched, progress.next_index) == (30, 31)


def test_who_refuses_what_it_had_is_counted_for_less_and_gets_all_of_it_again() -> None:
    progress = agreed(30)
    progress.sent(4)
    assert progress.refused(1)
    progress.sent(0)
    assert progress.refused(1)
    assert (progress.matched, progress.next_index) == (0, 1)
    progress.sent(5)
    assert progress.accepted(5)
    assert progress.matched == 5
