"""The counters by themselves: adding, looking, listening, from many threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from typed_sessions.states import EndReason
from typed_sessions.telemetry import NAMES, Counters

Heard = list[tuple[str, str]]


@pytest.fixture
def counters() -> Counters:
    return Counters()


def into(heard: Heard) -> Callable[[str, str], None]:
    return lambda name, reason: heard.append((name, reason))


def test_nothing_has_happened_yet(counters: Counters) -> None:
    """Every name is there from the beginning, at 0, but for the one that has reasons."""
    assert counters.snapshot() == dict.fromkeys((name for name in NAMES if name != "ended"), 0)


def test_what_is_counted(counters: Counters) -> None:
    """Each count adds one, or as many as are told; those with a reason are counted apart."""
    counters.add("reads")
    counters.add("reads")
    counters.add("missed", times=5)
    counters.add("ended", EndReason.ROTATED.value, times=0)
    counters.add("ended", EndReason.LOGGED_OUT.value)
    counters.add("ended", EndReason.EXPIRED_IDLE.value, times=2)
    found = {name: number for name, number in counters.snapshot().items() if number or "." in name}
    assert found == {"reads": 2, "missed": 5, "ended.logged_out": 1, "ended.expired_idle": 2}


def test_snapshot_is_a_copy(counters: Counters) -> None:
    """What is done with a snapshot changes no count, and it stays as it was."""
    before = counters.snapshot()
    before["reads"] = 7
    counters.add("writes")
    assert (counters.snapshot()["reads"], before["writes"]) == (0, 0)


def test_beginning_from_nothing(counters: Counters) -> None:
    """After a reset it is as in the beginning, and who listens still does."""
    heard: Heard = []
    counters.subscribe(into(heard))
    counters.add("ended", "rotated")
    counters.reset()
    assert not any(counters.snapshot().values())
    assert "ended.rotated" not in counters.snapshot()
    counters.add("reads")
    assert heard == [("ended", "rotated"), ("reads", "")]


def test_listener_hears_each_count(counters: Counters) -> None:
    """A listener is told name and reason, once for each that is counted from then on."""
    heard: Heard = []
    counters.add("reads")
    counters.subscribe(into(heard))
    counters.add("touches")
    counters.add("ended", "logged_out")
    counters.add("missed", times=3)
    assert heard == [("touches", ""), ("ended", "logged_out"), *[("missed", "")] * 3]


def test_listener_twice(counters: Counters) -> None:
    """Who subscribes twice is told once, also by another reference to the same method; and leaves with one goodbye."""

    class Ear:
        def __init__(self) -> None:
            self.heard: Heard = []

        def hear(self, name: str, reason: str) -> None:
            self.heard.append((name, reason))

    ear, other = Ear(), Ear()
    counters.subscribe(ear.hear)
    counters.subscribe(ear.hear)
    counters.subscribe(other.hear)
    counters.add("reads")
    counters.unsubscribe(ear.hear)
    counters.unsubscribe(ear.hear)
    counters.add("writes")
    assert (ear.heard, other.heard) == ([("reads", "")], [("reads", ""), ("writes", "")])


def test_listener_that_raises(counters: Counters, caplog: pytest.LogCaptureFixture) -> None:
    """Its error is logged, what it was told of is counted, and those after it are told."""

    def broken(name: str, reason: str) -> None:
        raise RuntimeError("no room on the disk")

    heard: Heard = []
    counters.subscribe(broken)
    counters.subscribe(into(heard))
    with caplog.at_level(logging.ERROR, "typed_sessions"):
        counters.add("reads")
    assert (heard, counters.snapshot()["reads"]) == ([("reads", "")], 1)
    assert "no room on the disk" in caplog.text


def test_listener_that_counts(counters: Counters) -> None:
    """A listener may look at the counters, count, and leave while it is told."""
    seen: list[int] = []

    def curious(name: str, reason: str) -> None:
        counters.unsubscribe(curious)
        counters.add("writes")
        seen.append(counters.snapshot()["reads"])

    counters.subscribe(curious)
    counters.add("reads")
    counters.add("reads")
    assert (seen, counters.snapshot()["writes"]) == ([1], 1)


def test_threads(counters: Counters) -> None:
    """What many threads count at once is counted, and told, to the last one, while others come and go."""
    heard: Heard = []
    counters.subscribe(into(heard))
    begin = threading.Barrier(8)

    def work(number: int) -> None:
        begin.wait()
        for _ in range(500):
            counters.add("reads")
            counters.add("ended", f"reason {number % 2}")
            passer_by = into([])
            counters.subscribe(passer_by)
            counters.unsubscribe(passer_by)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {name: number for name, number in counters.snapshot().items() if number}
    assert found == {"reads": 4000, "ended.reason 0": 2000, "ended.reason 1": 2000}
    assert len(heard) == 8000
