"""What a leader knows of a follower, where it is not what the follower has."""

from __future__ import annotations

from dataclasses import replace

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


def test_an_answer_to_an_earlier_term_says_nothing_of_the_log() -> None:
    fresh, known = Progress(1), agreed(30)
    fresh.sent(0)
    known.sent(4)
    for progress in (fresh, known):
        before = replace(progress)
        assert not progress.refused(0)
        assert progress == before


def test_a_copy_of_an_older_answer_does_not_send_a_snapshot_again() -> None:
    progress = agreed(30)
    progress.waiting = True
    assert not progress.accepted(30)
    assert progress.waiting
    assert progress.accepted(40)
    assert not progress.waiting


def test_a_probe_that_agrees_ends_the_probing_although_it_is_no_news() -> None:
    progress = agreed(30)
    progress.probe()
    progress.sent(0)
    assert not progress.accepted(30)
    assert not progress.waiting
    assert not progress.probing
