"""Checks of the cache behind an engine: that it is there, and that it keeps what it is given."""

from __future__ import annotations

from typing import Any

import pytest

from tests.checks.findings import LOCAL, engine, found, found_ids, found_on_server, ids, on, redis, typed

_CACHES = "django.core.cache.backends"
_LOCAL_PLAIN = {"BACKEND": f"{_CACHES}.locmem.LocMemCache"}
_DUMMY = {"BACKEND": f"{_CACHES}.dummy.DummyCache"}
_QUIET_LOCAL = {"BACKEND": "tests.checks.parts.QuietLocalCache", "OPTIONS": {"MAX_ENTRIES": 100_000}}
_QUIET_DUMMY = {"BACKEND": "tests.checks.parts.QuietDummyCache"}
_MEMCACHED = {"BACKEND": f"{_CACHES}.memcached.PyMemcacheCache", "LOCATION": "nowhere.invalid:11211"}
_DJANGOS_REDIS = {"BACKEND": f"{_CACHES}.redis.RedisCache", "LOCATION": "redis://nowhere.invalid:6379/0"}
_UNLIMITED = redis(SOCKET_TIMEOUT=None)


@pytest.mark.parametrize("name", ["redis", "cached_db", "cache"])
def test_the_cache_that_is_named_is_there(name: str) -> None:
    """A SESSION_CACHE_ALIAS that CACHES does not have is one error, whatever else is in CACHES."""
    (message,) = found(SESSION_ENGINE=engine(name), SESSION_CACHE_ALIAS="sessions", CACHES={"default": _DUMMY})
    assert message.id == "typed_sessions.E030"
    assert message.hint == "Add CACHES['sessions']."


def test_only_the_cache_that_is_named_is_looked_at() -> None:
    """Other aliases may be what they like."""
    caches = {"default": _DUMMY, "pages": _LOCAL_PLAIN, "sessions": redis()}
    assert found(SESSION_ENGINE=engine("redis"), SESSION_CACHE_ALIAS="sessions", CACHES=caches) == []


@pytest.mark.parametrize("caches", [{}, {"default": _DUMMY}, {"default": {}}, None])
def test_the_db_engine_needs_no_cache(caches: Any) -> None:
    """CACHES is nothing to the db engine, on a server either."""
    assert found_on_server(SESSION_ENGINE=engine("db"), CACHES=caches) == []


# redis


@pytest.mark.parametrize(
    "cache", [LOCAL, _DUMMY, _MEMCACHED, _DJANGOS_REDIS, {"BACKEND": "no.such"}, {"BACKEND": None}, {}]
)
def test_the_redis_engine_needs_django_redis(cache: dict[str, Any]) -> None:
    """Any other cache, Django's own for Redis included, is one error that says what it is and what to write."""
    (message,) = found(**on("redis", **cache))
    assert message.id == "typed_sessions.E031"
    assert repr(cache.get("BACKEND")) in message.msg


def test_a_cache_derived_from_django_redis_is_one() -> None:
    """A project's subclass of django-redis' cache is looked at as django-redis' own is."""
    derived = "tests.checks.derived_cache.ShopRedisCache"
    assert found(**on("redis", **{**redis(), "BACKEND": derived})) == []
    assert found_ids(**on("redis", **{**_UNLIMITED, "BACKEND": derived})) == ["W033"]


@pytest.mark.parametrize("value", [False, None])
def test_responses_that_are_bytes_are_fine(value: bool | None) -> None:
    """decode_responses is told only if it is on."""
    assert found(**on("redis", **redis(CONNECTION_POOL_KWARGS={"decode_responses": value}))) == []


@pytest.mark.parametrize(
    ("options", "location", "numbers"),
    [
        ({}, "redis://a", ["W033"]),
        ({"SOCKET_TIMEOUT": 0.5}, "redis://a", ["W033"]),
        ({"SOCKET_CONNECT_TIMEOUT": 0.5}, "redis://a", ["W033"]),
        ({"SOCKET_TIMEOUT": 0.5, "SOCKET_CONNECT_TIMEOUT": None}, "redis://a", ["W033"]),
        ({"SOCKET_TIMEOUT": 0, "SOCKET_CONNECT_TIMEOUT": 0}, "redis://a", ["W033"]),
        ({"SOCKET_TIMEOUT": 0.5, "SOCKET_CONNECT_TIMEOUT": 0.5}, "redis://a", []),
        ({"CONNECTION_POOL_KWARGS": {"socket_timeout": 1, "socket_connect_timeout": 1}}, "redis://a", []),
        ({"CONNECTION_POOL_KWARGS": {"socket_timeout": 1}, "SOCKET_CONNECT_TIMEOUT": 1}, "redis://a", []),
        ({"CONNECTION_POOL_KWARGS": {"max_connections": 5}}, "redis://a", ["W033"]),
        ({}, "redis://a?socket_timeout=1&socket_connect_timeout=1", []),
        ({}, "redis://a?socket_timeout=1", ["W033"]),
        ({}, ["redis://a?socket_timeout=1&socket_connect_timeout=1", "redis://b"], ["W033"]),
        ({}, "", ["W033"]),
        ({}, None, ["W033"]),
    ],
)
def test_a_redis_that_hangs_does_not_hold_workers(options: dict[str, Any], location: Any, numbers: list[str]) -> None:
    """Both limits are asked for, in any of the places where django-redis and redis-py take them from."""
    cache = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "OPTIONS": options}
    assert found_ids(**on("redis", **cache)) == numbers


@pytest.mark.parametrize(
    "cache", [{}, {"OPTIONS": {}}, {"OPTIONS": None}, {"OPTIONS": {"CONNECTION_POOL_KWARGS": None}}]
)
def test_a_cache_without_options_has_no_limits(cache: dict[str, Any]) -> None:
    """Options that are missing or empty, at either level, mean that none is set."""
    assert found_ids(**on("redis", BACKEND="django_redis.cache.RedisCache", LOCATION="redis://a", **cache)) == ["W033"]


def _two(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    caches = {"default": one, "pages": other}
    return found_ids(SESSION_ENGINE=engine("redis"), CACHES=caches)


@pytest.mark.parametrize(
    "options",
    [
        {"SOCKET_TIMEOUT": 5},
        {"SOCKET_CONNECT_TIMEOUT": 5},
        {"PASSWORD": "secret"},
        {"USERNAME": "shop"},
        {"PARSER_CLASS": "redis.connection._HiredisParser"},
        {"CONNECTION_POOL_CLASS": "redis.BlockingConnectionPool"},
        {"CONNECTION_POOL_KWARGS": {"decode_responses": True}},
        {"CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory"},
        {"SENTINELS": [("other.invalid", 26379)]},
        {"SENTINEL_KWARGS": {"password": "secret"}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_two_caches_on_one_pool_agree_on_its_options(options: dict[str, Any]) -> None:
    """Each option that goes into the pool is told when another cache of the same URL has it differently."""
    assert _two(redis(), redis(**options)) == ["W034"]
    assert _two(redis(**options), redis(**options)) in ([], ["E032"])  # which is told of the one cache


@pytest.mark.parametrize(
    ("one", "other", "numbers"),
    [
        ("redis://a/0", "redis://a/1", []),
        ("redis://a/0", ["redis://a/0"], ["W034"]),
        (["redis://a/0", "redis://b/0"], ["redis://c/0", "redis://b/0"], ["W034"]),
        ("redis://a/0,redis://b/0", "redis://b/0", ["W034"]),
        (("redis://a/0", "redis://b/0"), "redis://c/0", []),
    ],
)
def test_a_pool_is_found_by_its_url(one: Any, other: Any, numbers: list[str]) -> None:
    """Caches share a pool if any of their URLs is the same, database number included."""
    assert _two({**redis(), "LOCATION": one}, {**redis(SOCKET_TIMEOUT=5), "LOCATION": other}) == numbers


@pytest.mark.parametrize(
    "other",
    [
        {**_UNLIMITED, "BACKEND": f"{_CACHES}.redis.RedisCache"},
        {**_UNLIMITED, "BACKEND": "no.such"},
        {"LOCATION": _UNLIMITED["LOCATION"]},
        redis(IGNORE_EXCEPTIONS=True, COMPRESSOR="django_redis.compressors.zlib.ZlibCompressor"),
        redis(CONNECTION_POOL_KWARGS={}, PASSWORD=""),
        {**redis(), "KEY_PREFIX": "pages", "TIMEOUT": 5},
    ],
)
def test_what_does_not_change_the_pool_is_not_told(other: dict[str, Any]) -> None:
    """Options that are not the pool's, empty ones, and caches that are not django-redis' do no harm to ours."""
    assert _two(redis(), other) == []


def test_each_cache_on_our_pool_is_told() -> None:
    """Two other caches of the URL are two messages."""
    caches = {"default": redis(), "pages": _UNLIMITED, "counts": _UNLIMITED}
    messages = found(SESSION_ENGINE=engine("redis"), CACHES=caches)
    assert [(message.id, message.msg.split("'")[3]) for message in messages] == [
        ("typed_sessions.W034", "pages"),
        ("typed_sessions.W034", "counts"),
    ]


# cached_db


@pytest.mark.parametrize("cache", [LOCAL, _DUMMY, _QUIET_LOCAL, _QUIET_DUMMY])
@pytest.mark.parametrize(("debug", "numbers"), [(False, ["E035"]), (True, [])])
def test_cached_db_needs_a_shared_cache(cache: dict[str, Any], debug: bool, numbers: list[str]) -> None:
    """A cache of one process, or none, or a project's own of that kind, is refused outside DEBUG."""
    assert found_ids(DEBUG=debug, **on("cached_db", **cache)) == numbers


@pytest.mark.parametrize(
    "cache",
    [
        _MEMCACHED,
        _DJANGOS_REDIS,
        redis(),
        {"BACKEND": f"{_CACHES}.db.DatabaseCache", "LOCATION": "copies"},
        {"BACKEND": f"{_CACHES}.filebased.FileBasedCache", "LOCATION": "/srv/copies"},
    ],
)
def test_cached_db_takes_any_shared_cache(cache: dict[str, Any]) -> None:
    """A cache that all processes see is fine, and may drop copies."""
    assert found_on_server(**on("cached_db", **cache)) == []


# cache


@pytest.mark.parametrize("cache", [_MEMCACHED, _DJANGOS_REDIS, redis(), LOCAL])
def test_the_cache_engine_is_always_warned_of(cache: dict[str, Any]) -> None:
    """Any cache may drop sessions and cannot list them, which is told with no other message when it is set up well."""
    assert found_ids(**on("cache", **cache)) == ["W038"]


@pytest.mark.parametrize("cache", [_DUMMY, _QUIET_DUMMY])
def test_a_cache_that_stores_nothing_is_refused(cache: dict[str, Any]) -> None:
    """Sessions in a dummy cache, a project's own of that kind included, are an error and nothing else."""
    assert found_ids(**on("cache", **cache)) == ["E036"]


@pytest.mark.parametrize(
    ("cache", "numbers"), [(LOCAL, ["E037", "W038"]), (_QUIET_LOCAL, ["E037", "W038"]), (redis(), ["W038"])]
)
def test_the_memory_of_one_process_is_refused_on_a_server(cache: dict[str, Any], numbers: list[str]) -> None:
    """`check --deploy` refuses a local memory cache, a project's own of that kind included; `check` alone does not."""
    assert ids(found_on_server(**on("cache", **cache))) == numbers
    assert found_ids(**on("cache", **cache)) == ["W038"]


@pytest.mark.parametrize("name", ["cache", "cached_db"])
@pytest.mark.parametrize(
    ("option", "for_all", "is_told"),
    [
        (None, None, False),
        (True, None, True),
        (False, None, False),
        (None, True, True),
        (None, False, False),
        (False, True, False),
        (True, False, True),
    ],
)
def test_r04_a_cache_that_hides_errors_is_refused(
    name: str, option: bool | None, for_all: bool | None, is_told: bool
) -> None:
    """An ignored error looks like a session that is gone, so it is refused; the alias' own word counts."""
    options = {} if option is None else {"IGNORE_EXCEPTIONS": option}
    django_redis = {} if for_all is None else {"DJANGO_REDIS_IGNORE_EXCEPTIONS": for_all}
    numbers = found_ids(**on(name, **redis(**options)), **django_redis)
    assert ("E039" in numbers) is is_told


def test_the_redis_engine_does_not_mind_ignored_errors() -> None:
    """It talks to Redis beside the cache's own methods, which are all that the option changes."""
    assert found(DJANGO_REDIS_IGNORE_EXCEPTIONS=True, **on("redis", **redis(IGNORE_EXCEPTIONS=True))) == []


@pytest.mark.parametrize("backend", ["locmem.LocMemCache", "db.DatabaseCache", "filebased.FileBasedCache"])
@pytest.mark.parametrize(
    ("entry", "numbers"),
    [({}, ["W038", "W040"]), ({"OPTIONS": {}}, ["W038", "W040"]), ({"OPTIONS": {"MAX_ENTRIES": 9}}, ["W038"])],
)
def test_a_cache_that_culls_has_a_limit_of_its_owner_s(backend: str, entry: dict[str, Any], numbers: list[str]) -> None:
    """Django's caches that hold 300 entries unless told otherwise have to be told."""
    assert found_ids(**on("cache", BACKEND=f"{_CACHES}.{backend}", LOCATION="x", **entry)) == numbers


# The codec


@pytest.mark.parametrize(
    ("name", "numbers"), [("db", ["W041"]), ("cached_db", ["W041"]), ("redis", []), ("cache", ["W038"])]
)
def test_a_codec_that_the_database_does_not_use_is_told(name: str, numbers: list[str]) -> None:
    """msgpack is for Redis and caches; with an engine on the database it would be believed and not be true."""
    assert found_ids(**on(name, **redis()), **typed(CODEC="msgpack")) == numbers


@pytest.mark.parametrize("name", ["db", "cached_db", "redis"])
def test_json_is_fine_for_every_engine(name: str) -> None:
    """The codec that is the default may be written down."""
    assert found(**on(name, **redis()), **typed(CODEC="json")) == []


# Abilities


@pytest.mark.parametrize(
    ("name", "numbers"),
    [("db", []), ("cached_db", []), ("redis", []), ("cache", ["E042", "W038"])],
)
def test_a_limit_needs_a_store_that_knows_the_sessions_of_a_user(name: str, numbers: list[str]) -> None:
    """MAX_SESSIONS_PER_USER does nothing on an engine that cannot list."""
    assert found_ids(**on(name, **redis()), **typed(MAX_SESSIONS_PER_USER=3)) == numbers


@pytest.mark.parametrize("ability", [{"REVOCATION_JOURNAL": True}, {"REPLICA_ACKS": 1}])
@pytest.mark.parametrize(
    ("name", "numbers"), [("db", ["W043"]), ("cached_db", ["W043"]), ("redis", []), ("cache", ["W038", "W043"])]
)
def test_what_is_about_replicas_is_for_redis(name: str, ability: dict[str, Any], numbers: list[str]) -> None:
    """A journal or acknowledgements that nothing will ever read are told."""
    assert found_ids(**on(name, **redis()), **typed(**ability)) == numbers
