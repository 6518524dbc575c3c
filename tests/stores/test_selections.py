"""Lists by kind, of some time and in either order, against a model of them, and what they cost on Redis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.servers.cluster import RedisCluster
from tests.servers.redis import RedisServer
from tests.stores.conftest import MakeStore, stores
from tests.stores.tools import NAMES, commands
from typed_sessions import EndReason, SessionMode, clock
from typed_sessions.stores import places
from typed_sessions.stores.base import Store
from typed_sessions.stores.record import Record
from typed_sessions.stores.redis import RedisStore
from typed_sessions.stores.selection import EVERYTHING, Selection
from typed_sessions.stores.statistics import Sample
from typed_sessions.testing.stores import (
    DAY,
    AsyncVerbs,
    created,
    full_record,
    new_record,
    next_save,
    saved,
    successor,
)

SECONDS = 9
"""From the first second that matters to the last: few, so that many sessions have one in common."""

modes, users, seconds = st.sampled_from(SessionMode), st.sampled_from([None, "7", "8"]), st.integers(0, SECONDS)
bounds = st.none() | seconds
acts = st.sampled_from(["save", "replace", "touch", "end"])
begins = st.lists(st.tuples(st.just("create"), modes, users, seconds, seconds), min_size=8, max_size=20)
steps = st.builds(list.__add__, begins, st.lists(st.tuples(acts, modes, users, seconds, seconds), max_size=10))
selections = st.builds(
    Selection,
    mode=st.none() | modes,
    signed_in=st.none() | st.booleans(),
    by=st.sampled_from(["seen", "expires"]),
    ascending=st.booleans(),
    since=bounds,
    before=bounds,
)


class Model:
    """A store, and what is live in it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = clock.now()
        self.live: list[Record] = []

    def step(self, verb: str, mode: SessionMode, user: str | None, seen: int, expires: int) -> None:
        """Something becomes of the session that has waited for it longest."""
        facts: dict[str, Any] = {"mode": mode, "user": user, "seen": self.seen(seen), "expires": self.expires(expires)}
        if verb == "create" or not self.live:
            self.live.append(created(self.store, new_record(self.store, **facts)))
            return
        base = self.live.pop(0)
        if verb == "end":
            self.store.end(base.id, EndReason.LOGGED_OUT, self.now)
        elif verb == "touch":
            later = {name: max(facts[name], getattr(base, name)) for name in ("seen", "expires")}
            assert self.store.touch(base, facts["seen"], facts["expires"])
            self.live.append(msgspec.structs.replace(base, **later))
        elif verb == "save":
            # For another user, as clocks that move by less than a minute are found in the lists as late as that.
            facts["user"] = "9" if base.user is None else None
            self.live.append(saved(self.store.save(next_save(base, **facts), base)))
        else:
            self.live.append(saved(self.store.replace(successor(base, **facts), base)))

    def seen(self, second: int) -> int:
        return self.now - SECONDS + second

    def expires(self, second: int) -> int:
        return self.now + DAY + second

    def placed(self, selection: Selection) -> Selection:
        """With bounds that are times."""
        at = self.seen if selection.by == "seen" else self.expires
        since, before = (None if bound is None else at(bound) for bound in (selection.since, selection.before))
        return Selection(
            mode=selection.mode,
            signed_in=selection.signed_in,
            by=selection.by,
            ascending=selection.ascending,
            since=since,
            before=before,
        )

    def check(self, selection: Selection, size: int) -> None:
        """That pages of ``size`` are those of a sorted list, and that there are as many as are counted."""
        moments = {one.id: one.seen if selection.by == "seen" else one.expires for one in self.live}
        expected = [record.id for record in self.live if selection.chooses(record)]
        pages = [list(self.store.newest(self.now, size, at, selection)) for at in range(0, len(expected) + size, size)]
        listed = [session_id for page in pages for session_id in page]
        assert sorted(listed) == sorted(expected)
        in_order = [moments[session_id] for session_id in listed]
        assert in_order == sorted(in_order, reverse=not selection.ascending)
        assert all(len(page) == size for page in pages[: len(expected) // size])
        assert self.store.count(self.now, selection) == len(expected)

    def clear(self) -> None:
        for record in self.live:
            self.store.end(record.id, EndReason.LOGGED_OUT, self.now)


@pytest.mark.parametrize("name", stores("sqlite", "valkey", "redis6", "cluster"))
def test_pages_are_those_of_a_sorted_list(make_store: MakeStore, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever has become of the sessions, of whatever is selected, and however long the pages are."""
    monkeypatch.setattr(places, "STEP", 4)
    monkeypatch.setattr(places, "LIFE", 0)
    store = make_store(name)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps, st.lists(selections, min_size=1, max_size=3), st.integers(1, 12))
    def goes(done: list[tuple[Any, ...]], chosen: list[Selection], size: int) -> None:
        model = Model(store)
        try:
            for step in done:
                model.step(*step)
            for selection in [EVERYTHING, *map(model.placed, chosen)]:
                model.check(selection, size)
        finally:
            model.clear()

    goes()


# What it costs on Redis


@pytest.fixture(params=["sync", "async"])
def verbs(request: pytest.FixtureRequest, make_store: MakeStore) -> Store:
    store = make_store("valkey")
    return store if request.param == "sync" else AsyncVerbs(store)


def _reads(store: Store) -> dict[str, tuple[list[str], Callable[[], object]]]:
    """What somebody asks who looks at live sessions, and the commands for it."""
    now = clock.now()
    chosen = Selection(signed_in=True, by="expires", ascending=True, since=now, before=now + 30 * DAY)
    return {
        "newest": (["EVALSHA"], lambda: store.newest(now, 10)),
        "newest of some": (["EVALSHA"], lambda: store.newest(now, 10, 5, chosen)),
        "count": (["EVALSHA"], lambda: store.count(now)),
        "count of some": (["EVALSHA"], lambda: store.count(now, chosen)),
        "count_by_user": (["EVALSHA"], lambda: store.count_by_user(now)),
        "load_many": (["MGET"], lambda: store.load_many([NAMES.root, "x"])),
        "of_user": (["EVALSHA"], lambda: store.of_user("7", now)),
        "at_address": (["ZREVRANGEBYSCORE", "MGET"], lambda: store.at_address("192.0.2.7", now, 10)),
        "at_address of few": (["ZREVRANGEBYSCORE", "MGET"], lambda: store.at_address("192.0.2.7", now, 5)),
        "at_address of nobody": (["ZREVRANGEBYSCORE"], lambda: store.at_address("192.0.2.8", now, 10)),
        "tally": (["HGETALL", "HGETALL"], lambda: store.tally(now)),
        "keep_sample": (["EVALSHA"], lambda: store.keep_sample(Sample(now, 1, 1, 1))),
        "samples": (["ZRANGEBYSCORE"], lambda: store.samples(now - DAY)),
    }


def test_s89_what_a_look_costs(verbs: Store, valkey: RedisServer) -> None:
    """A look at live sessions is one command for each of what it wants, or two, and no look through the keys."""
    for _ in range(8):
        created(verbs, full_record(verbs))
    reads = _reads(verbs)
    for _, ask in reads.values():
        ask()
    for name, (expected, ask) in reads.items():
        with commands(valkey) as seen:
            ask()
        assert (name, seen) == (name, expected)
        assert not {"KEYS", "SCAN", "ZSCAN", "HSCAN", "SORT"} & {*seen, *seen.inside}


def test_s89_what_is_gone_from_an_address_is_looked_up_once(verbs: Store, valkey: RedisServer) -> None:
    """Sessions that have ended leave their address as somebody asks for it, and others take their places."""
    now = clock.now()
    records = [created(verbs, full_record(verbs, expires=now + 900 - number)) for number in range(6)]
    for record in records[:3]:
        verbs.end(record.id, EndReason.LOGGED_OUT, now)
    look = ["ZREVRANGEBYSCORE", "MGET"]
    for expected in ([*look, "ZREM", *look, "ZREM", *look], look):
        with commands(valkey) as seen:
            assert list(verbs.at_address("192.0.2.7", now, 2)) == [record.id for record in records[3:5]]
        assert seen == expected


# And on a cluster


@pytest.fixture
def cluster(make_store: MakeStore) -> RedisStore:
    store = make_store("cluster")
    assert isinstance(store, RedisStore)
    return store


def test_lists_of_a_cluster_have_one_slot(redis_cluster: RedisCluster) -> None:
    """One script can look at all lists, and what has a key for each user or address is spread."""
    client: Any = redis_cluster.client()
    numbers = (NAMES.claimed, NAMES.samples, NAMES.tally(500_000), NAMES.tally(500_001))
    assert len({client.keyslot(key) for key in (*NAMES.lists, *numbers)}) == 1
    assert len({client.keyslot(NAMES.user(str(user))) for user in range(50)}) > 25
    assert len({client.keyslot(f"{NAMES.addresses}192.0.2.{host}") for host in range(50)}) > 25


@pytest.mark.parametrize("way", ["sync", "async"])
def test_s89_trips_to_a_cluster(cluster: RedisStore, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look takes as many trips as on one node, and one for the records that it leads to, which are on all nodes; a
    write takes one for the lists, and one for each of its user and addresses.
    """
    trips: list[object] = []
    for name in ("_execute", "_aexecute", "_execute_each", "_aexecute_each"):
        monkeypatch.setattr(cluster, name, _noting(getattr(cluster, name), trips))
    verbs: Store = cluster if way == "sync" else AsyncVerbs(cluster)
    now, chosen = clock.now(), Selection(signed_in=True, by="expires")
    record, other = full_record(verbs), full_record(verbs)
    asked: list[tuple[str, int, Callable[[], object]]] = [
        ("create", 6, lambda: verbs.create(record)),  # and one for the tally
        ("create again", 5, lambda: verbs.create(record)),
        ("touch", 5, lambda: verbs.touch(record, now + 60, record.expires + 60)),
        ("replace", 8, lambda: verbs.replace(other, record)),
        ("newest", 2, lambda: verbs.newest(now, 10)),
        ("newest of some", 2, lambda: verbs.newest(now, 10, 0, chosen)),
        ("newest of none", 1, lambda: verbs.newest(now, 10, 0, Selection(signed_in=False))),
        ("count", 1, lambda: verbs.count(now)),
        ("count of some", 1, lambda: verbs.count(now, chosen)),
        ("count_by_user", 1, lambda: verbs.count_by_user(now)),
        ("load_many", 1, lambda: verbs.load_many([other.id])),
        ("of_user", 2, lambda: verbs.of_user("7", now)),
        ("at_address", 3, lambda: verbs.at_address("192.0.2.7", now, 10)),  # and one for what is gone
        ("at_address again", 2, lambda: verbs.at_address("192.0.2.7", now, 10)),
        ("tally", 2, lambda: verbs.tally(now)),
        ("keep_sample", 1, lambda: verbs.keep_sample(Sample(now, 1, 1, 1))),
        ("samples", 1, lambda: verbs.samples(0)),
        ("end", 4, lambda: verbs.end(other.id, EndReason.LOGGED_OUT, now)),
        ("clear_expired", 1, lambda: verbs.clear_expired(now)),
    ]
    for name, number, ask in asked:
        trips.clear()
        ask()
        assert (name, len(trips)) == (name, number), trips


def _noting(execute: Callable[..., Any], trips: list[object]) -> Callable[..., Any]:
    def noted(*args: Any) -> Any:
        trips.append(args)
        return execute(*args)

    return noted
