"""`typed_sessions doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.core.checks import Error, Info
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django_redis import get_redis_connection

from tests.commands.conftest import REDIS, Foreign, Run, damage
from tests.engines.rows import UseEngine, rows
from tests.servers.redis import RedisServer
from tests.stores.tools import NAMES, index_of
from tests.web.browser import Browser
from typed_sessions import clock, conf, live_sessions, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.doctor import Finding, Level, examination, worst
from typed_sessions.management import site
from typed_sessions.models import StoredSession
from typed_sessions.states import EndReason
from typed_sessions.stores import redis_inspection, wire
from typed_sessions.stores.record import LINGER, TOMBSTONE_LIFE
from typed_sessions.stores.redis_inspection import RedisInspection
from typed_sessions.stores.statistics import Sample
from typed_sessions.testing.engines import Clock
from typed_sessions.testing.stores import full_record, new_record

if TYPE_CHECKING:
    from pytest_django import Settings

on_redis = pytest.mark.parametrize("engine", REDIS, indirect=True)
ALL_OF_REDIS = [
    "settings", "store", "clock", "reaper", "role", "persistence", "eviction", "time_to_live", "index", "records",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _no_system_checks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the tests are no example; one test looks at what becomes of complaints."""
    if "complaints" not in request.fixturenames:
        monkeypatch.setattr("django.core.checks.run_checks", lambda **_: [])
    monkeypatch.setattr(examination, "SLOW", 60)  # a machine that is busy with other tests is not a slow store


@pytest.fixture
def complaints(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the system checks say."""
    said: list[Any] = []

    def run_checks(**asked: object) -> list[Any]:
        said.append(asked)
        return said[:1]

    monkeypatch.setattr("django.core.checks.run_checks", run_checks)
    return said


@pytest.fixture
def client(engine: type[SessionStore]) -> Any:
    return get_redis_connection(django_settings.SESSION_CACHE_ALIAS)


def found(run: Run, *arguments: object, code: int | None = None) -> dict[str, list[Any]]:
    """Level, what was found and what to do, of each check; of several findings of one check the last."""
    said = run("doctor", "--json", *arguments)
    assert code is None or said.code == code, said
    return {one["check"]: [one["level"], one["found"], one["advice"]] for one in said.json["findings"]}


def troubles(run: Run, *arguments: object) -> dict[str, list[Any]]:
    """What is not well, but for what is so on every server of the tests."""
    return {
        check: told
        for check, told in found(run, *arguments).items()
        if told[0] != "ok" and check not in ("persistence", "durability")
    }


def store_some(engine: type[SessionStore]) -> list[str]:
    """Two sessions of users and one of nobody, and one that has ended."""
    store = engine().store
    records = [full_record(store), full_record(store, user="8"), new_record(store), new_record(store)]
    for record in records:
        assert store.create(record)
    live_sessions.end(records.pop().id)
    return [record.id for record in records]


def test_all_is_well(run: Run, engine: type[SessionStore]) -> None:
    """On each engine every check says that, and what, it has looked at."""
    store_some(engine)
    told = found(run)
    if engine.__module__.endswith("redis"):
        assert list(told) == ALL_OF_REDIS
        assert told["index"][:2] == ["ok", "8 entries for 3 records"]
        assert told["records"][:2] == ["ok", "3 records, 1 tombstone, all of them readable"]
        assert told["persistence"][0] == "warning"
    else:
        assert list(told)[:5] == ["settings", "store", "clock", "reaper", "migrations"]
        assert list(told)[5:] == (["cache"] if engine.__module__.endswith("cached_db") else [])
        assert run("doctor").code == 0
    assert troubles(run) == {}
    assert "write" in told["store"][1] and "read" in told["store"][1] and "delete" in told["store"][1]


def test_nothing_is_changed(run: Run, engine: type[SessionStore], clock: Clock) -> None:
    """Looking leaves every session as it was, and no probe behind."""
    ids = store_some(engine)
    store = engine().store
    before = store.load_many(ids)
    clock.advance(60)
    for arguments in ([], ["--repair"]):
        run("doctor", *arguments)
        assert store.load_many(ids) == before
    assert live_sessions.count() == 3
    if engine.__module__.endswith("redis"):
        client = get_redis_connection(django_settings.SESSION_CACHE_ALIAS)
        assert not client.exists(tokens.urn("probe"))


def test_for_people(run: Run, use_engine: UseEngine) -> None:
    """Each finding has its level, its check, what was found, and what to do."""
    use_engine("cache")
    said = run("doctor")
    assert said.code == 1
    assert said.err == "One thing is not as it should be."
    *_, finding, advice = said.out.splitlines()
    assert finding.startswith("warning  durability    a cache may drop sessions")
    assert advice.strip().startswith("→ For anything but development use")
    assert run("doctor", "--fail-level", "error").code == 0


def test_progress(run: Run, use_engine: UseEngine) -> None:
    """Looking at keys is progress, on a terminal."""
    engine = use_engine("redis")
    store_some(engine)
    assert "keys looked at" in run("doctor", terminal=True).err


def test_complaints_of_system_checks(
    run: Run, complaints: list[Any], use_engine: UseEngine, settings: Settings
) -> None:
    """What the system checks complain of is told with their ids; those that are silenced, or for servers, are not."""
    use_engine("db")
    complaints.append(Error("Nonsense.", hint="Leave it.", id="typed_sessions.E010"))
    assert found(run, code=1)["settings"] == ["error", "typed_sessions.E010: Nonsense.", "Leave it."]
    assert complaints[-1] == {"tags": ["typed_sessions"], "include_deployment_checks": True}
    settings.DEBUG = True
    settings.SILENCED_SYSTEM_CHECKS = ["typed_sessions.E010"]
    assert found(run, code=0)["settings"][:2] == ["ok", "no system check complains"]
    assert complaints[-1]["include_deployment_checks"] is False
    complaints[0] = Info("By the way.", id="typed_sessions.I001")
    assert found(run, code=0)["settings"] == ["ok", "typed_sessions.I001: By the way.", ""]


def test_workers_that_do_not_share_a_cache(run: Run, use_engine: UseEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of one process as a store is an error on a server."""
    monkeypatch.undo()
    use_engine("cache")
    said = run("doctor")
    assert "typed_sessions.E037: The session cache is the memory of one process" in said.out


@pytest.mark.parametrize(("ahead", "level"), [(1, "ok"), (-2, "ok"), (5, "warning"), (-20, "warning"), (90, "error")])
@pytest.mark.parametrize("engine", rows("postgres", "redis", "cluster"), indirect=True)
def test_r35_clocks(
    run: Run, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch, ahead: int, level: str
) -> None:
    """A clock that is not the store's is told by how much."""
    theirs = site.store().time()
    assert theirs is not None
    monkeypatch.setattr("typed_sessions.clock.machine", lambda: theirs + 0.5 + ahead)
    monkeypatch.setattr(type(site.store()), "time", lambda self: theirs)
    told = found(run)["clock"]
    assert told[0] == level
    if level != "ok":
        assert f"{abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the store's" in told[1]
        assert "NTP" in told[2]


def test_slow_store(run: Run, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that takes its time is told with how much."""
    monkeypatch.setattr(examination, "SLOW", 0)
    told = found(run)["store"]
    assert (told[0], told[1][:15]) == ("warning", "is slow: write ")


@pytest.mark.parametrize("engine", rows("redis", "cluster"), indirect=True)
def test_store_that_is_down(run: Run, engine: type[SessionStore], request: pytest.FixtureRequest) -> None:
    """A store that does not answer is one error, and what could not be looked at because of that is said."""
    if django_settings.SESSION_CACHE_ALIAS == "cluster":
        cluster = request.getfixturevalue("redis_cluster")
        for node in cluster.nodes:
            node.kill()
    else:
        request.getfixturevalue("valkey").kill()
    told = found(run, code=1)
    assert told.pop("settings")[0] == "ok"
    assert told.pop("store")[0] == "error"
    assert {level for level, *_ in told.values()} <= {"unknown"}
    assert all("could not look" in said for _, said, _ in told.values())


def test_store_that_was_never_there(run: Run, use_engine: UseEngine, settings: Settings) -> None:
    """A store that no connection can be made to is an error and no crash."""
    use_engine("redis")
    factory = {"CONNECTION_FACTORY": "typed_sessions.redis_cluster.ClusterConnectionFactory"}
    nowhere = {**settings.CACHES["cluster"], "LOCATION": "redis://127.0.0.1:1/0", "OPTIONS": factory}
    settings.CACHES = {**settings.CACHES, "nowhere": nowhere}
    settings.SESSION_CACHE_ALIAS = "nowhere"
    assert found(run, code=1)["store"][0] == "error"


def test_engine_of_somebody_else(run: Run, settings: Settings) -> None:
    """Of an engine that is none of ours, or none at all, there is no store to look into."""
    for engine in ("django.contrib.sessions.backends.db", "nowhere", "tests"):
        settings.SESSION_ENGINE = engine
        assert found(run, code=1)["store"][:2] == [
            "error",
            f"cannot be asked: SESSION_ENGINE is {engine!r}, and no engine of typed_sessions.",
        ]
        said = run("list")
        assert (said.code, said.err) == (2, f"SESSION_ENGINE is {engine!r}, and no engine of typed_sessions.")


def test_store_of_somebody_else(run: Run, use_engine: UseEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a store that is none of ours only what every store has is looked at."""
    monkeypatch.setattr(use_engine("db"), "store", Foreign())
    assert list(found(run, code=0)) == ["settings", "clock"]


def test_nobody_reaps(run: Run, engine: type[SessionStore], visitor: Callable[[], Browser], clock: Clock) -> None:
    """Ends that wait for long say that no reaper runs; after one has been there all is well."""
    visitor()
    clock.advance(14 * 86_400 + 60)
    assert found(run)["reaper"][0] == "ok"
    clock.advance(600)
    level, said, advice = found(run)["reaper"]
    assert (level, said) == (
        "warning",
        "expired, and on_ended not called: 1 session, the first 11 min ago",
    )
    assert "reap --forever" in advice
    run("reap")
    assert found(run)["reaper"][0] == "ok"


@pytest.mark.parametrize("engine", rows("db", "postgres"), indirect=True)
def test_pending_migrations(run: Run, engine: type[SessionStore], database_alias: str) -> None:
    """A table of an earlier release is an error, with what to call."""
    connection = connections[database_alias]
    (last,) = (key for key in MigrationLoader(connection).graph.leaf_nodes() if key[0] == "typed_sessions")
    MigrationRecorder(connection).record_unapplied(*last)
    level, said, advice = found(run, code=1)["migrations"]
    assert (level, said) == ("error", f"not applied: {'.'.join(last)}")
    assert ("--database postgres" in advice) is (database_alias == "postgres")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("engine", rows("db", "postgres"), indirect=True)
def test_no_table(run: Run, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that was never migrated is told of by every check, and by the other verbs without a traceback."""
    monkeypatch.setattr(StoredSession._meta, "db_table", "nowhere")
    told = found(run, code=1)
    assert told["store"][0] == "error"
    assert told["reaper"][0] == "unknown"
    said = run("list")
    assert said.code == 1
    assert "nowhere" in said.err


@pytest.mark.parametrize("engine", ["cached_db"], indirect=True)
def test_cache_of_copies_is_down(run: Run, engine: type[SessionStore], valkey: RedisServer) -> None:
    """Without its cache cached_db is slow, and cannot end a session."""
    valkey.kill()
    level, said, advice = found(run, code=1)["cache"]
    assert (level, said[:16]) == ("error", "does not answer:")
    assert "no session can be ended" in advice


class TestRedis:
    """What is wrong with keys is found, and mended if that is asked for."""

    @on_redis
    def test_r09_keys_that_live_for_ever(self, run: Run, engine: type[SessionStore], client: Any, clock: Clock) -> None:
        """Every key without a time to live is found, and is given the one that it should have, if it is one of ours."""
        ids = store_some(engine)
        assert engine().store.keep_sample(Sample(clock.now, 3, 2, 4))
        (ended,) = [name for name in _ids(client) if name not in ids]
        index, tally = index_of(full_record(engine().store)), NAMES.tally(clock.now // 3600)
        names = [key.decode() for key in client.scan_iter()]
        assert {*index, tally, NAMES.samples} < set(names)
        client.set(tokens.urn("something"), "else")
        for name in [*names, tokens.urn("something")]:
            client.persist(name)
        told = troubles(run)
        assert list(told) == ["time_to_live"]
        assert told["time_to_live"][1].startswith(f"live for ever: {len(names) + 1} keys (")
        assert "--repair" in told["time_to_live"][2]
        level, said, _ = found(run, "--repair", code=1)["time_to_live"]
        assert (level, said.partition(" (")[0]) == ("warning", f"live for ever: {len(names) + 1} keys")
        assert said.endswith(f"; {len(names)} mended")
        assert client.ttl(tokens.urn("something")) == -1  # somebody else's, who knows what it is for
        client.delete(tokens.urn("something"))
        assert found(run)["time_to_live"][:2] == ["ok", "every key has a time to live"]
        longest = conf.settings().perm_seconds + LINGER
        assert client.ttl(tokens.urn(ids[0])) == pytest.approx(14 * 86_400 + LINGER, abs=5)
        assert client.ttl(tokens.urn(ended)) == pytest.approx(TOMBSTONE_LIFE, abs=5)
        for name in (*index, tally, NAMES.samples):
            assert longest - 5 <= client.ttl(name) <= longest + 14 * 86_400

    @on_redis
    def test_unreadable_keys_are_left(self, run: Run, engine: type[SessionStore], client: Any) -> None:
        """A record that cannot be read is told of and kept, and lives no longer than any."""
        damaged, *_ = store_some(engine)
        damage(engine, damaged)
        client.persist(tokens.urn(damaged))
        client.lpush(tokens.urn("0" * 40), "of another type")
        client.expire(tokens.urn("0" * 40), 1000)
        told = found(run, "--repair", code=1)
        assert told["records"][:2] == [
            "warning",
            f"unreadable: 2 records ({_in_any_order(said := told['records'][1], damaged, '0' * 40)})",
        ], said
        assert client.get(tokens.urn(damaged)) == b"junk"
        assert 0 < client.ttl(tokens.urn(damaged)) <= conf.settings().perm_seconds + LINGER

    @on_redis
    def test_r14_entries_that_lead_nowhere(self, run: Run, engine: type[SessionStore], client: Any) -> None:
        """Entries of what is gone or has ended are found, and go; those of others stay."""
        gone, ended, *_ = store_some(engine)
        client.delete(tokens.urn(gone))
        client.set(tokens.urn(ended), client.get(tokens.urn(_tombstone(client))), ex=100)
        by_seen, by_expiry = NAMES.lists_of(new_record(engine().store))
        client.zadd(NAMES.claimed, {"1" * 40: 1})
        client.zadd(by_seen, {"2" * 40: 1})
        client.expire(NAMES.claimed, 100)
        told = troubles(run)
        assert list(told) == ["index"]
        # Of each session three, by use, by expiry and by user, a claim, and one by use alone.
        assert told["index"][1].startswith("lead to no record: 8 index entries (")
        assert told["index"][1].endswith(" …)")
        assert troubles(run, "--repair") == {}
        assert found(run)["index"][1] == "2 entries for 1 record"
        assert [client.zcard(key) for key in (by_seen, by_expiry)] == [1, 1]

    @on_redis
    def test_places_that_are_kept(self, run: Run, engine: type[SessionStore], clock: Clock) -> None:
        """That a sign-in under way has its place in a user's index is no trouble."""
        store_some(engine)
        assert engine().store.reserve("7", "1" * 40, (), 5, clock.now, clock.now + 60)
        assert troubles(run) == {}
        assert found(run)["index"][1] == "8 entries for 3 records"

    @on_redis
    def test_r14_records_that_are_not_indexed(self, run: Run, engine: type[SessionStore], client: Any) -> None:
        """Records that have lost an entry of the index are found, and get it back."""
        by_seen, _, by_expiry = store_some(engine)
        client.zrem(NAMES.lists_of(full_record(engine().store))[0], by_seen)
        client.delete(NAMES.user("8"))
        client.zrem(NAMES.lists_of(new_record(engine().store))[1], by_expiry)
        told = troubles(run)
        assert list(told) == ["index"]
        assert told["index"][1].startswith("not in the index, and so not listed: 3 records (")
        assert live_sessions.count_for("8") == 0
        assert troubles(run, "--repair") == {}
        assert troubles(run) == {}
        assert live_sessions.count_for("8") == 1
        assert live_sessions.count() == 3
        assert len(live_sessions.recent()) == 3

    @on_redis
    def test_r14_addresses_that_are_not_indexed(self, run: Run, engine: type[SessionStore], client: Any) -> None:
        """Records that are not found by an address of theirs are told of, and are found again."""
        first, second, _ = store_some(engine)
        address = "2001:db8::7"
        client.zrem(NAMES.addresses + address, first)
        told = troubles(run)
        assert list(told) == ["index"]
        assert told["index"][1] == f"not in the index, and so not listed: 1 record ({first})"
        assert troubles(run, "--repair") == {}
        assert set(engine().store.at_address(address, clock.now(), 10)) == {first, second}

    @on_redis
    def test_overdue_and_claimed(self, run: Run, engine: type[SessionStore], client: Any, clock: Clock) -> None:
        """What waits for a reaper, what one has claimed, and what an index still has of it, is as it should be."""
        store_some(engine)
        clock.advance(14 * 86_400 + 60)
        assert troubles(run) == {}
        assert len(engine().store.claim_overdue(clock.now, 2, 60).claims) == 2
        assert troubles(run) == {}

    @on_redis
    def test_r14_overdue_records(self, run: Run, engine: type[SessionStore], client: Any, clock: Clock) -> None:
        """Of a session that has expired only the entry counts by which a reaper finds it."""
        first, *_ = store_some(engine)
        clock.advance(14 * 86_400 + 60)
        by_seen, by_expiry = NAMES.lists_of(record := full_record(engine().store))
        client.delete(by_seen, *NAMES.owners_of(record))
        assert troubles(run) == {}
        client.zrem(by_expiry, first)
        assert found(run)["index"][1].startswith("not in the index, and so not listed: 1 record (")
        assert troubles(run, "--repair") == {}
        assert live_sessions.reap().ended == 3

    @pytest.mark.parametrize("engine", ["redis"], indirect=True)
    def test_what_is_saved_meanwhile(
        self, run: Run, engine: type[SessionStore], client: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A key that has been given a time to live since it was looked at keeps that one."""
        session_id, *_ = store_some(engine)
        client.persist(tokens.urn(session_id))

        def save(self: RedisInspection, key: str) -> int:
            client.expire(key, 77_777)
            return 1000

        monkeypatch.setattr(RedisInspection, "_due_life", save)
        told = found(run, "--repair")["time_to_live"]
        assert told[1].endswith("; 0 mended")
        assert client.ttl(tokens.urn(session_id)) > 77_000
        assert found(run)["time_to_live"][0] == "ok"

    @pytest.mark.parametrize("engine", ["redis"], indirect=True)
    def test_what_ends_meanwhile(self, run: Run, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> None:
        """A session that ends while the doctor looks is no trouble."""
        ids = store_some(engine)
        decode = wire.decode

        def end_and_decode(session_id: str, raw: object) -> Any:
            result = decode(session_id, raw)
            if session_id in ids:
                ids.remove(session_id)
                engine().store.end(session_id, EndReason.LOGGED_OUT, 1_800_000_000)
            return result

        monkeypatch.setattr(wire, "decode", end_and_decode)
        assert troubles(run) == {}

    @pytest.mark.parametrize("engine", REDIS, indirect=True)
    def test_many(self, run: Run, engine: type[SessionStore], client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """However many keys there are, each is looked at, in batches."""
        monkeypatch.setattr(redis_inspection, "_BATCH", 20)
        store = engine().store
        records = [full_record(store, user=str(number % 2)) for number in range(300)]
        for record in records:
            assert store.create(record)
            client.set(f"other-{record.id}", "else", ex=100)
        for record in records[:150]:
            client.zrem(NAMES.lists_of(record)[0], record.id)
        for record in records[-100:]:
            client.delete(tokens.urn(record.id))
        assert troubles(run, "--repair") == {}
        assert found(run)["index"][1] == "600 entries for 200 records"
        assert live_sessions.count() == 200

    def test_sentinel(self, run: Run, use_engine: UseEngine, use_cache: Callable[[str], str]) -> None:
        """The master that Sentinel names is the one that is looked at."""
        engine = use_engine("redis")
        use_cache("sentinel")
        store_some(engine)
        assert troubles(run) == {}
        assert found(run)["index"][1] == "8 entries for 3 records"

    def test_prefixed_keys(
        self, run: Run, use_engine: UseEngine, use_cache: Callable[[str], str], valkey: RedisServer, settings: Settings
    ) -> None:
        """Only the keys of this project are looked at, whatever its prefix has in it."""
        use_engine("redis")
        entry = {**settings.CACHES["djredis_prefixed"], "KEY_PREFIX": "sh*p[1]?"}
        settings.CACHES = {**settings.CACHES, "odd": entry}
        settings.SESSION_CACHE_ALIAS = "odd"
        valkey.run("SET", "shop1x:urn:iauthsession:" + "0" * 40, "of others")
        store = site.store()
        store.create(new_record(store))
        assert troubles(run) == {}
        assert found(run)["records"][1] == "1 record, 0 tombstones, all of them readable"


class TestServer:
    """What Redis says of itself."""

    @pytest.fixture
    def configured(self, valkey: RedisServer) -> Iterator[Callable[[str, str], None]]:
        """`configured(name, value)` changes the configuration for this test."""
        before: dict[str, str] = {}

        def change(name: str, value: str) -> None:
            before.setdefault(name, str(valkey.client().config_get(name)[name]))
            valkey.run("CONFIG", "SET", name, value)

        yield change
        for name, value in before.items():
            valkey.run("CONFIG", "SET", name, value)
        valkey.run("CONFIG", "RESETSTAT")

    @pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
    @pytest.mark.parametrize("engine", ["redis"], indirect=True)
    def test_r12_eviction(
        self, run: Run, engine: type[SessionStore], configured: Callable[[str, str], None], policy: str
    ) -> None:
        """Every policy but noeviction is a warning."""
        assert found(run)["eviction"][:2] == ["ok", "maxmemory-policy is noeviction"]
        configured("maxmemory-policy", policy)
        level, said, advice = found(run)["eviction"]
        assert level == "warning"
        assert f"maxmemory-policy is {policy}" in said
        assert "noeviction" in advice

    @pytest.mark.parametrize("engine", ["redis"], indirect=True)
    def test_r12_what_was_dropped(
        self, run: Run, engine: type[SessionStore], configured: Callable[[str, str], None], valkey: RedisServer
    ) -> None:
        """That the server has dropped keys already is told."""
        valkey.run("SET", "other", "x" * 100_000)
        configured("maxmemory-policy", "allkeys-random")
        configured("maxmemory", "1")
        with pytest.raises(Exception, match="maxmemory"):
            valkey.run("SET", "more", "x")
        configured("maxmemory", "0")
        assert "and has dropped" in found(run)["eviction"][1]

    @pytest.mark.parametrize("engine", ["redis"], indirect=True)
    def test_persistence(self, run: Run, engine: type[SessionStore], configured: Callable[[str, str], None]) -> None:
        """A log of every write is well; snapshots alone, and nothing at all, are warnings."""
        level, said, advice = found(run)["persistence"]
        assert (level, said[:15]) == ("warning", "nothing is kept")
        assert "appendonly yes" in advice
        configured("save", "3600 1")
        assert found(run)["persistence"][1].startswith("there are snapshots alone")
        configured("appendonly", "yes")
        assert found(run)["persistence"][:2] == ["ok", "every write is logged (appendonly)"]

    @pytest.mark.parametrize("engine", ["redis"], indirect=True)
    def test_disk_that_is_full(self, run: Run, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch) -> None:
        """A server that could not write to its disk is an error."""
        info = RedisInspection.info

        def full(self: RedisInspection, section: str) -> list[dict[str, Any]]:
            return [{**node, "rdb_last_bgsave_status": "err"} for node in info(self, section)]

        monkeypatch.setattr(RedisInspection, "info", full)
        assert found(run, code=1)["persistence"][:2] == ["error", "rdb_last_bgsave_status is not ok"]

    @pytest.mark.parametrize("engine", ["redis"], indirect=True)
    def test_replica(self, run: Run, engine: type[SessionStore], valkey: RedisServer) -> None:
        """Whoever is connected to a replica can write nothing, and is told why."""
        valkey.run("REPLICAOF", "127.0.0.1", "1")
        try:
            told = found(run, code=1)
        finally:
            valkey.run("REPLICAOF", "NO", "ONE")
        assert told["role"][:2] == ["error", "a replica is connected"]
        assert told["store"][0] == "error"

    def test_s76_least_privilege(self, run: Run, least_privilege: None) -> None:
        """Who may not ask the server about itself is told so; the keys can be looked at all the same."""
        store = site.store()
        store.create(new_record(store))
        told = found(run, code=0)
        levels = {check: level for check, (level, *_) in told.items()}
        unknown = {"role", "persistence", "eviction"}
        assert {check for check, level in levels.items() if level == "unknown"} == unknown
        assert {level for check, level in levels.items() if check not in unknown} == {"ok"}
        assert "could not look: Redis did not do what was asked: NoPermissionError" in told["eviction"][1]

    def test_s76_no_scan(self, run: Run, restrict: Callable[..., None]) -> None:
        """Who may not list keys is told that they were not looked at."""
        restrict("+@all", "-@dangerous", "-scan")
        levels = {check: level for check, (level, *_) in found(run, code=0).items()}
        assert {levels[check] for check in ("time_to_live", "index", "records")} == {"unknown"}

    def test_s76_no_lives(self, run: Run, restrict: Callable[..., None]) -> None:
        """Who may not ask how long a key lives is told so."""
        store = site.store()
        store.create(new_record(store))
        restrict("+@all", "-@dangerous", "-ttl")
        told = found(run, code=0)["index"]
        assert told[0] == "unknown"
        assert "NoPermissionError" in told[1]

    def test_s76_no_mending(self, run: Run, restrict: Callable[..., None], valkey: RedisServer) -> None:
        """What could not be mended is told as such, and does not stay in the way of the rest."""
        store = site.store()
        store.create(record := new_record(store))
        restrict("+@all", "-@dangerous", "-expire", "-zrem")
        for key in NAMES.lists_of(record):
            valkey.run("PERSIST", key)
            valkey.run("ZADD", key, 1, "0" * 40)
        told = found(run, "--repair", code=1)
        assert told["time_to_live"][1].endswith("; 0 mended")
        assert told["index"][1] == f"lead to no record: 2 index entries ({'0' * 40}, {'0' * 40}); 0 mended"
        assert "may write" in told["index"][2]
        assert told["records"][0] == "ok"


def test_worst_of_nothing() -> None:
    """The level of several findings is the worst of theirs, and of none it is well."""
    assert worst([]) is Level.OK
    assert worst([Finding("a", level, "b") for level in (Level.WARNING, Level.ERROR, Level.OK)]) is Level.ERROR


def _ids(client: Any) -> list[str]:
    """Of every record and tombstone."""
    names = [key.decode().rpartition(":")[2] for key in client.scan_iter()]
    return [name for name in names if tokens.is_well_formed(name)]


def _tombstone(client: Any) -> str:
    """The id of one that has ended."""
    return next(name for name in _ids(client) if b"ended" in client.get(tokens.urn(name))[:24])


def _in_any_order(said: str, *names: str) -> str:
    """The names as they are in what was said."""
    return ", ".join(sorted(names, key=said.index))
