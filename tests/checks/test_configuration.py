"""Checks of TYPED_SESSIONS, key by key, and of what it means together with Django's settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.checks.findings import found, found_ids, found_on_server, ids, served, typed
from typed_sessions import conf

DAY = timedelta(days=1)
_TRUTH_WRONG = [1, 0, None, "True", "yes"]
_NAME_WRONG = [
    "", "a b", "a;b", "a=b", "a,b", "\u00e9", "a\tb", "a\nb", "a\n", "a\rb", "a\x00", "\x7f", "a\"b", "a/b", "path",
    "Max-Age", "secure", "httponly", "Partitioned", None, 5, b"ss-pid",
]  # fmt: skip
_WRONG: dict[str, list[Any]] = {
    "SESSION_CLASS": [
        "",
        "ShopSession",
        ".ShopSession",
        "shop.",
        "..ShopSession",
        None,
        5,
        timedelta,
        b"shop.sessions.ShopSession",
    ],
    "TEMP_EXPIRY": [0, 3600, "14 days", timedelta(0), -DAY, timedelta(milliseconds=999), timedelta(days=7300), True],
    "PERM_EXPIRY": [
        None,
        0,
        86400,
        timedelta(0),
        -DAY,
        timedelta(milliseconds=999),
        timedelta(days=7300),
        timedelta.max,
    ],
    "ABSOLUTE_EXPIRY": [0, 86400, timedelta(0), -DAY, timedelta(milliseconds=999), timedelta.max, False],
    "SLIDING": _TRUTH_WRONG,
    "TOUCH_INTERVAL": [-1, 1.5, "60", None, True, timedelta(seconds=60)],
    "SAVE": ["", "AUTO", "manual", None, True, ["auto"], {}],
    "PERM_COOKIE_NAME": _NAME_WRONG,
    "OPTION_COOKIE_NAME": _NAME_WRONG,
    "HASH_IDS": _TRUTH_WRONG,
    "CODEC": ["", "JSON", "pickle", None, ["json"], {}],
    "MAX_BYTES": [0, 1023, -1, 65536.0, "65536", None, True],
    "REMEMBER_DEFAULT": _TRUTH_WRONG,
    "COOKIE_PREFIX": ["__host-", "__Host", None, True, ["__Host-"], {}],
    "PERMANENT_ID": ["never", "", None, True, [], {}],
    "CONSENT": ["", "may_recognise", "shop.", "..privacy.ask", True, 5, len],
    "USER_COOKIE": _TRUTH_WRONG,
    "CLEAR_SITE_DATA": ["cache", ['"cache"'], ["cash"], [None], [[]], {"cache": True}, None, 5],
    "HEADERS": ["/api/", ["api/"], [""], [5], {"/api/": True}, None, True],
    "USER_SNAPSHOT_AGE": [-1, 1.5, "300", None, True, timedelta(seconds=60)],
    "MAX_SESSIONS_PER_USER": [0, -1, "3", True, 1.5],
    "ON_LIMIT": ["", "Refuse", None],
    "ON_STORE_ERROR": ["", "503", None],
    "REVOCATION_JOURNAL": [None, 1, "yes"],
    "REPLICA_ACKS": [-1, None, "1", True],
    "TRUSTED_PROXIES": ["10.0.0.0/8", ["10.0.0.1/8"], ["0.0.0.0/0"], ["localhost"], [None], [[]], {"unix": 1}, None],
    "AUTH_EVENTS": ["shop.Events", ["Events"], [dict], [None], {"shop.Events": 1}, None, 5],
}
_RIGHT: dict[str, list[Any]] = {
    "SESSION_CLASS": ["tests.sessions.ShopSession"],
    "TEMP_EXPIRY": [None, timedelta(hours=2), 14 * DAY],
    "PERM_EXPIRY": [timedelta(hours=2), 90 * DAY],
    "ABSOLUTE_EXPIRY": [None, 28 * DAY, 365 * DAY],
    "SLIDING": [True, False],
    "TOUCH_INTERVAL": [0, 60, 3600],
    "SAVE": ["auto", "explicit"],
    "PERM_COOKIE_NAME": ["ss-pid", "p", "a.b_c~1"],
    "OPTION_COOKIE_NAME": ["ss-opt", "o"],
    "HASH_IDS": [True, False],
    "CODEC": ["json"],
    "MAX_BYTES": [1024, 10**9],
    "REMEMBER_DEFAULT": [True, False],
    "COOKIE_PREFIX": [""],  # the others need more than this one setting; see below
    "PERMANENT_ID": ["on_remember", "always"],
    "CONSENT": [None, "tests.checks.parts.a_function", "tests.checks.parts.ShopConsent"],
    "USER_COOKIE": [True, False],
    "CLEAR_SITE_DATA": [[], ["cache", "storage"], ("*",)],
    "HEADERS": [[], ["/api/"], ("/api/", "/")],
    "USER_SNAPSHOT_AGE": [0, 300],
    "MAX_SESSIONS_PER_USER": [None, 1, 3],
    "ON_LIMIT": ["end_oldest", "refuse"],
    "ON_STORE_ERROR": ["error", "anonymous"],
    "REVOCATION_JOURNAL": [False],  # what else they may be is for the redis engine
    "REPLICA_ACKS": [0],
    "TRUSTED_PROXIES": [[], ["10.0.0.0/8", "unix"], ("::1", "127.0.0.1")],
    "AUTH_EVENTS": [[], ["tests.checks.parts.ShopEvents"], ("typed_sessions.AuthEvents",)],
}


def _cases(of: dict[str, list[Any]]) -> list[Any]:
    return [pytest.param(key, value, id=f"{key}={value!r}") for key, values in of.items() for value in values]


def test_every_key_has_cases_here() -> None:
    """A new key of TYPED_SESSIONS cannot come without wrong and right values for it in this file."""
    assert set(_WRONG) == set(_RIGHT) == set(conf.RULES)


@pytest.mark.parametrize(("key", "value"), _cases(_WRONG))
def test_a_wrong_value_is_told_by_its_key(key: str, value: Any) -> None:
    """A value of the wrong kind is one error that names the key and says what it must be."""
    (message,) = found(**typed(**{key: value}))

    assert message.id == "typed_sessions.E010"
    assert message.msg.startswith(f"TYPED_SESSIONS[{key!r}] must be ")


@pytest.mark.parametrize(("key", "value"), _cases(_RIGHT))
def test_a_right_value_is_not_told(key: str, value: Any) -> None:
    """What the documentation allows is not complained about."""
    assert found(**typed(**{key: value})) == []


def test_every_wrong_key_is_told_at_once() -> None:
    """Five mistakes are five messages, so that they are mended in one go; nothing that depends on them is guessed."""
    messages = found_on_server(**typed(SAVE="no", CODEC="no", HASH_IDS="no", CONSENT=5, HEADERS="/"))
    assert ids(messages) == ["E010"] * 5
    wrong = sorted(message.msg.split("'")[1] for message in messages)
    assert wrong == ["CODEC", "CONSENT", "HASH_IDS", "HEADERS", "SAVE"]


@pytest.mark.parametrize("key", ["SESION_CLASS", "session_class", "NO_LIMIT", "", 5, None, ("SAVE",)])
def test_an_unknown_key_is_told_with_the_known_ones(key: Any) -> None:
    """A key that is misspelt, or not there yet, is one error that lists what there is."""
    (message,) = found(TYPED_SESSIONS={"SESSION_CLASS": "tests.sessions.ShopSession", key: True})

    assert message.id == "typed_sessions.E010"
    assert str(key) in message.msg
    assert "is not a setting of this version; the settings are SESSION_CLASS, TEMP_EXPIRY, " in message.msg


@pytest.mark.parametrize("given", [None, [], (), 5, "tests.sessions.ShopSession", {"SAVE"}, True])
def test_typed_sessions_is_a_dict(given: Any) -> None:
    """Anything else than a dict is one error, whatever else would be looked up in it."""
    (message,) = found_on_server(TYPED_SESSIONS=given)
    assert (message.id, message.msg) == ("typed_sessions.E010", "TYPED_SESSIONS must be a dict.")


# Lifetimes


@pytest.mark.parametrize(
    ("age", "temp", "numbers"),
    [
        (1_209_600, None, []),
        (3600, None, []),
        (1_209_600, timedelta(hours=1), []),  # Django's default: nobody wrote it
        (3600, timedelta(hours=1), []),
        (3600, timedelta(hours=2), ["W011"]),
        (3600, timedelta(hours=1, microseconds=1), []),
    ],
)
def test_two_settings_for_one_lifetime_agree(age: int, temp: timedelta | None, numbers: list[str]) -> None:
    """SESSION_COOKIE_AGE is told only if TEMP_EXPIRY says something else."""
    assert found_ids(SESSION_COOKIE_AGE=age, **typed(TEMP_EXPIRY=temp)) == numbers


@pytest.mark.parametrize("age", ["3600", "", b"3600", None, 0, -1, 1.5, [], {}])
def test_session_cookie_age_is_a_number_of_seconds(age: Any) -> None:
    """What is no number, such as the text of an environment variable, is an error with its value."""
    (message,) = found(SESSION_COOKIE_AGE=age)
    assert (message.id, repr(age) in message.msg) == ("typed_sessions.E017", True)


@pytest.mark.parametrize(
    ("perm", "numbers"),
    [(timedelta(days=400), []), (timedelta(days=400, seconds=1), ["W012"]), (timedelta(days=730), ["W012"])],
)
def test_s42_a_permanent_session_ends_before_browsers_forget_it(perm: timedelta, numbers: list[str]) -> None:
    """400 days are what browsers keep a cookie, to the second."""
    assert found_ids(**typed(PERM_EXPIRY=perm, ABSOLUTE_EXPIRY=None)) == numbers


def test_s42_twenty_years_are_refused() -> None:
    """The lifetime that Django would send unchecked is an error here."""
    assert found_ids(**typed(PERM_EXPIRY=timedelta(days=7305))) == ["E010"]


@pytest.mark.parametrize(
    ("absolute", "numbers"),
    [(None, []), (28 * DAY, []), (28 * DAY - timedelta(seconds=1), ["W013"]), (DAY, ["W013"])],
)
def test_the_absolute_end_is_not_before_the_idle_one(absolute: timedelta | None, numbers: list[str]) -> None:
    """An ABSOLUTE_EXPIRY that is shorter than PERM_EXPIRY makes the latter mean nothing."""
    assert found_ids(**typed(ABSOLUTE_EXPIRY=absolute)) == numbers


@pytest.mark.parametrize(
    ("keys", "age", "numbers"),
    [
        ({"TOUCH_INTERVAL": 59, "TEMP_EXPIRY": timedelta(minutes=1)}, 1_209_600, []),
        ({"TOUCH_INTERVAL": 60, "TEMP_EXPIRY": timedelta(minutes=1)}, 1_209_600, ["W014"]),
        ({"TOUCH_INTERVAL": 60, "PERM_EXPIRY": timedelta(minutes=1)}, 1_209_600, ["W014"]),
        ({"TOUCH_INTERVAL": 60}, 60, ["W014"]),
        ({"TOUCH_INTERVAL": 60}, 61, []),
        ({"TOUCH_INTERVAL": 10**400}, 1_209_600, ["W014"]),
    ],
)
def test_use_extends_a_session_before_it_ends(keys: dict[str, Any], age: int, numbers: list[str]) -> None:
    """A TOUCH_INTERVAL as long as the shortest lifetime, wherever that is set, ends sessions that are in use."""
    assert found_ids(SESSION_COOKIE_AGE=age, **typed(**keys)) == numbers


# Cookies


@pytest.mark.parametrize(
    ("changed", "keys", "named"),
    [
        ({}, {"OPTION_COOKIE_NAME": "ss-id"}, ["SESSION_COOKIE_NAME", "OPTION_COOKIE_NAME"]),
        ({}, {"PERM_COOKIE_NAME": "x", "OPTION_COOKIE_NAME": "x"}, ["PERM_COOKIE_NAME", "OPTION_COOKIE_NAME"]),
        ({}, {"PERM_COOKIE_NAME": "csrftoken"}, ["CSRF_COOKIE_NAME", "PERM_COOKIE_NAME"]),
        ({}, {"PERM_COOKIE_NAME": "django_language"}, ["LANGUAGE_COOKIE_NAME", "PERM_COOKIE_NAME"]),
        ({"CSRF_COOKIE_NAME": "ss-id"}, {}, ["SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME"]),
        ({"LANGUAGE_COOKIE_NAME": "ss-opt"}, {}, ["LANGUAGE_COOKIE_NAME", "OPTION_COOKIE_NAME"]),
        ({"SESSION_COOKIE_NAME": "ss-pid"}, {}, ["SESSION_COOKIE_NAME", "PERM_COOKIE_NAME"]),
    ],
)
def test_no_two_cookies_have_one_name(changed: dict[str, Any], keys: dict[str, Any], named: list[str]) -> None:
    """Cookies of one name overwrite each other, ours or Django's; the message names both settings."""
    (message,) = found(**changed, **typed(**keys))
    assert message.id == "typed_sessions.E015"
    assert [name in message.msg for name in named] == [True, True]
    assert message.msg.count("COOKIE_NAME") == 2


def test_each_shared_name_is_a_message() -> None:
    """Two pairs of cookies with one name each are two errors."""
    assert found_ids(CSRF_COOKIE_NAME="ss-id", LANGUAGE_COOKIE_NAME="ss-opt") == ["E015", "E015"]


_SECURE = served(SESSION_COOKIE_NAME="__Secure-ss-id", **typed(COOKIE_PREFIX="__Secure-"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (served(), []),
        (_SECURE, []),
        ({**_SECURE, "SESSION_COOKIE_DOMAIN": "shop.example", "SESSION_COOKIE_PATH": "/shop"}, []),
        ({"SESSION_COOKIE_DOMAIN": "shop.example", "SESSION_COOKIE_PATH": "/shop"}, []),
        (served(SESSION_COOKIE_SECURE=False), ["__Host- goes over TLS only"]),
        ({**_SECURE, "SESSION_COOKIE_SECURE": False}, ["__Secure- goes over TLS only"]),
        (served(SESSION_COOKIE_DOMAIN="shop.example"), ["__Host- has no domain"]),
        (served(SESSION_COOKIE_PATH="/shop"), ["__Host- is for the whole host"]),
        ({"SESSION_COOKIE_NAME": "__Secure-ss-id"}, ["__Secure- goes over TLS only"]),
        ({**typed(PERM_COOKIE_NAME="__Host-p")}, ["__Host- goes over TLS only"]),
        (
            {"SESSION_COOKIE_NAME": "__Host-ss-id", **typed(OPTION_COOKIE_NAME="__Secure-o")},
            ["__Host- goes over TLS only", "__Secure- goes over TLS only"],
        ),
        (
            served(SESSION_COOKIE_SECURE=None, SESSION_COOKIE_DOMAIN="a", SESSION_COOKIE_PATH=""),
            ["__Host- goes over TLS only", "__Host- has no domain", "__Host- is for the whole host"],
        ),
    ],
)
def test_s43_s46_a_prefix_has_what_browsers_ask_for(changed: dict[str, Any], said: list[str]) -> None:
    """Each attribute that would make browsers drop a cookie with a prefix is an error, however it came by its name."""
    messages = found(**changed)
    assert ids(messages) == ["E018"] * len(said)
    assert [message.msg.removeprefix("A cookie with the prefix ").split(",")[0] for message in messages] == said


@pytest.mark.parametrize(
    ("name", "prefix", "numbers"),
    [
        ("ss-id", "__Host-", ["E019"]),
        ("__Secure-ss-id", "__Host-", ["E019"]),
        ("__Host-ss-id", "__Secure-", ["E019"]),
        ("__Host-ss-id", "__Host-", []),
        ("__Host-ss-id", "", []),
    ],
)
def test_s46_the_temporary_cookie_has_the_prefix_too(name: str, prefix: str, numbers: list[str]) -> None:
    """COOKIE_PREFIX is nothing that changes Django's setting: the error says what to write there."""
    messages = found(**served(SESSION_COOKIE_NAME=name, **typed(COOKIE_PREFIX=prefix)))
    assert ids(messages) == numbers
    for message in messages:
        assert f"Set SESSION_COOKIE_NAME = '{prefix}{name}'" in (message.hint or "")


# What dotted paths name


@pytest.mark.parametrize(
    "path", ["no.such", "tests.checks.parts.nothing", "tests.checks.broken.X", "tests.settings.SECRET_KEY"]
)
def test_s93_consent_is_something_to_ask(path: str) -> None:
    """A path that cannot be imported, and one of something that cannot be called, are an error with the path."""
    (message,) = found(**typed(CONSENT=path))
    assert (message.id, repr(path) in message.msg) == ("typed_sessions.E024", True)


@pytest.mark.parametrize(
    "path",
    [
        "no.such",
        "tests.checks.parts.nothing",
        "tests.checks.broken.X",
        "tests.checks.parts.a_function",
        "tests.checks.parts.ShopBackend",
        "tests.settings.SECRET_KEY",
    ],
)
def test_events_classes_are_events_classes(path: str) -> None:
    """What is none, or not there, is an error with its path; right ones beside it are not told."""
    (message,) = found(**typed(AUTH_EVENTS=["tests.checks.parts.ShopEvents", path]))
    assert (message.id, repr(path) in message.msg) == ("typed_sessions.E025", True)


@pytest.mark.parametrize(
    ("keys", "numbers"),
    [
        ({"USER_SNAPSHOT_AGE": 60}, []),
        ({"SAVE": "explicit"}, []),
        ({"USER_SNAPSHOT_AGE": 60, "SAVE": "auto"}, []),
        ({"USER_SNAPSHOT_AGE": 1, "SAVE": "explicit"}, ["W026"]),
    ],
)
def test_a_snapshot_is_stored_by_somebody(keys: dict[str, Any], numbers: list[str]) -> None:
    """Where only views save, a snapshot that is over is asked for again and again: nobody stores the new one."""
    assert found_ids(**typed(**keys)) == numbers


def test_each_wrong_path_is_a_message() -> None:
    """Three wrong paths are three errors."""
    assert found_ids(**typed(CONSENT="no.such", AUTH_EVENTS=["no.such", "no.such2"])) == ["E024", "E025", "E025"]


# The bag's serializer


@pytest.mark.parametrize(
    "path", ["django.contrib.sessions.serializers.JSONSerializer", "tests.checks.parts.CompactSerializer"]
)
def test_a_serializer_that_writes_json_is_fine(path: str) -> None:
    """Django's serializer and any other whose bytes are JSON go into the record."""
    assert found(SESSION_SERIALIZER=path) == []


@pytest.mark.parametrize(
    "path",
    [
        "tests.checks.parts.PickleSerializer",
        "tests.checks.parts.LossySerializer",
        "tests.checks.parts.a_function",
        "django.contrib.sessions.serializers.PickleSerializer",
        "no.such",
        "nodots",
        ".x",
    ],
)
def test_a_serializer_that_does_not_write_json_is_refused(path: str) -> None:
    """Bytes that are not JSON, JSON of something else, and what is not there, each are one error with the path."""
    (message,) = found(SESSION_SERIALIZER=path)
    assert (message.id, repr(path) in message.msg) == ("typed_sessions.E016", True)


@pytest.mark.parametrize(
    "path",
    [
        "tests.checks.parts.FailingSerializer",
        "tests.checks.parts.NoSerializer",
        "tests.checks.broken.X",
        "..x",
        None,
        5,
    ],
)
def test_a_serializer_that_fails_is_told(path: Any) -> None:
    """Whatever a serializer raises is one error about SESSION_SERIALIZER."""
    (message,) = found(SESSION_SERIALIZER=path)
    assert message.level >= 40
    assert "SESSION_SERIALIZER" in message.msg
