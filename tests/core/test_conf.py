"""TYPED_SESSIONS: every key's default and rule, and that it is read when it is used."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from typed_sessions import conf

if TYPE_CHECKING:
    from pytest_django import Settings

DAY = timedelta(days=1)


class Rule(NamedTuple):
    """What a key of TYPED_SESSIONS is unless it is set, may be, and must not be, and how the complaint begins."""

    default: Any
    good: list[Any]
    bad: list[Any]
    complaint: str


_LIFETIMES = [DAY, timedelta(seconds=1), timedelta(days=3650)]
_NO_LIFETIMES = [60, 1.5, "14 days", [], True]
_TRUTH = ([True, False], [None, 0, 1, "True", "no"], "must be True or False")
_COOKIE = (
    ["ss-pid", "shop_pid", "__Host-pid", "a"],
    [None, 5, b"pid", "", *(f"ss{wrong}pid" for wrong in (*' ;=,"/\\\t\0\x7fí', "\r\n")), "Path", "expires"],
    "must be a cookie name",
)

RULES = {
    "SESSION_CLASS": Rule(
        "typed_sessions.AuthUserSession",
        ["shop.sessions.ShopSession", "shop.ShopSession"],
        [None, "", "ShopSession", ".ShopSession", "shop.", 5, dict],
        "must be the dotted path of a class",
    ),
    "TEMP_EXPIRY": Rule(None, [*_LIFETIMES, None], _NO_LIFETIMES, "must be a timedelta"),
    "PERM_EXPIRY": Rule(28 * DAY, _LIFETIMES, [*_NO_LIFETIMES, None], "must be a timedelta"),
    "ABSOLUTE_EXPIRY": Rule(90 * DAY, [*_LIFETIMES, None], _NO_LIFETIMES, "must be a timedelta"),
    "SLIDING": Rule(True, *_TRUTH),
    "TOUCH_INTERVAL": Rule(60, [0, 1, 3600], [-1, 1.5, "60", None, True, DAY], "must be a whole number, 0 or more"),
    "SAVE": Rule("auto", ["auto", "explicit"], ["Auto", "", None, True, ["auto"]], "must be one of 'auto', 'explicit'"),
    "PERM_COOKIE_NAME": Rule("ss-pid", *_COOKIE),
    "OPTION_COOKIE_NAME": Rule("ss-opt", *_COOKIE),
    "HASH_IDS": Rule(True, *_TRUTH),
    "CODEC": Rule("json", ["json", "msgpack"], ["JSON", "pickle", None, dict], "must be one of 'json', 'msgpack'"),
    "MAX_BYTES": Rule(
        65_536, [1024, 10**9], [0, 1023, -1, 65_536.0, "64k", None, True], "must be a whole number, 1024 or more"
    ),
    "REMEMBER_DEFAULT": Rule(False, *_TRUTH),
    "COOKIE_PREFIX": Rule(
        "",
        ["", "__Host-", "__Secure-"],
        ["__host-", "__Host", "__Host-ss-", None, True, ["__Host-"]],
        "must be one of '', '__Host-', '__Secure-'",
    ),
    "PERMANENT_ID": Rule(
        "on_remember",
        ["on_remember", "always"],
        ["never", "", None, True, len],
        "must be one of 'on_remember', 'always'",
    ),
    "CONSENT": Rule(
        None,
        [None, "shop.privacy.may_recognise"],
        ["", "may_recognise", ".privacy", "shop.", True, len],
        "must be the dotted path of a function",
    ),
    "USER_COOKIE": Rule(False, *_TRUTH),
    "CLEAR_SITE_DATA": Rule(
        (),
        [(), [], ["cache"], ("cookies", "storage", "executionContexts"), ["*"]],
        ["cache", '"cache"', ['"cache"'], ["cash"], ["cache", None], {"cache"}, None, True],
        "must be a list of some of 'cache', 'cookies', 'storage', 'executionContexts', '*'",
    ),
    "HEADERS": Rule(
        (),
        [(), [], ["/"], ["/api/", "/v2/api"], ("/api/",)],
        ["/api/", ["api/"], [""], ["/api/", 5], [b"/api/"], {"/api/"}, None, True],
        "must be a list of path prefixes",
    ),
    "USER_SNAPSHOT_AGE": Rule(0, [0, 1, 300], [-1, 1.5, "300", None, True, DAY], "must be a whole number, 0 or more"),
    "AUTH_EVENTS": Rule(
        (),
        [(), [], ["shop.events.ShopEvents"], ("shop.Events", "shop.audit.Audit")],
        ["shop.events.ShopEvents", ["ShopEvents"], ["shop."], [dict], ["shop.Events", None], {"shop.Events"}, None],
        "must be a list of dotted paths of classes",
    ),
    "MAX_SESSIONS_PER_USER": Rule(
        None, [None, 1, 3], [0, -1, 1.5, "3", True, DAY], "must be a whole number, 1 or more, or None"
    ),
    "ON_LIMIT": Rule(
        "end_oldest",
        ["end_oldest", "refuse"],
        ["", "Refuse", None, True, ["refuse"]],
        "must be one of 'end_oldest', 'refuse'",
    ),
    "ON_STORE_ERROR": Rule(
        "error", ["error", "anonymous"], ["", "503", None, True], "must be one of 'error', 'anonymous'"
    ),
    "REVOCATION_JOURNAL": Rule(False, *_TRUTH),
    "REPLICA_ACKS": Rule(0, [0, 1, 2], [-1, 1.5, "1", None, True, DAY], "must be a whole number, 0 or more"),
    "TRUSTED_PROXIES": Rule(
        (),
        [(), [], ["10.0.0.0/8"], ("127.0.0.1", "::1", "2001:db8::/32"), ["unix"]],
        [
            "unix",
            "10.0.0.0/8",
            ["10.0.0.1/8"],
            ["0.0.0.0/0", "10.0.0.0/8"],
            ["::/0"],
            ["proxy"],
            [""],
            [10],
            None,
            True,
        ],
        "must be a list of networks or addresses",
    ),
}
GOOD = [(key, value) for key, rule in RULES.items() for value in rule.good]
BAD = [(key, value, rule.complaint) for key, rule in RULES.items() for value in rule.bad]


def test_every_setting_has_its_row_here() -> None:
    """The keys that are checked, the fields of the settings object and the rows of this test are the same."""
    assert set(conf.RULES) == set(RULES)
    assert {declared.name.upper() for declared in dataclasses.fields(conf.Settings)} == set(RULES)


@pytest.mark.parametrize("key", RULES)
def test_default(key: str, settings: Settings) -> None:
    """A key that is not set has the default of the contract."""
    settings.TYPED_SESSIONS = {}
    assert getattr(conf.settings(), key.lower()) == RULES[key].default


@pytest.mark.parametrize(("key", "value"), GOOD, ids=repr)
def test_good_value(key: str, value: object, settings: Settings) -> None:
    """A good value has no problem and is the one in force."""
    settings.TYPED_SESSIONS = {key: value}
    assert conf.problems({key: value}) == {}
    assert getattr(conf.settings(), key.lower()) == value


@pytest.mark.parametrize(("key", "value", "complaint"), BAD, ids=repr)
def test_bad_value(key: str, value: object, complaint: str, settings: Settings) -> None:
    """A bad value is refused by the check and at use, in words that name the key and say what to write."""
    assert conf.problems({key: value}).keys() == {key}
    assert conf.problems({key: value})[key].startswith(complaint)
    settings.TYPED_SESSIONS = {key: value}
    with pytest.raises(ImproperlyConfigured) as caught:
        conf.settings()
    assert str(caught.value).startswith(f"TYPED_SESSIONS['{key}'] {complaint}")


@pytest.mark.parametrize("key", ["TEMP_EXPIRY", "PERM_EXPIRY", "ABSOLUTE_EXPIRY"])
@pytest.mark.parametrize("lifetime", [timedelta(0), -DAY, timedelta(milliseconds=999), 4000 * DAY, timedelta.max])
def test_a_lifetime_has_limits(key: str, lifetime: timedelta) -> None:
    """A lifetime that would be over at once, or outlive every clock in a record, is refused in words of its own."""
    assert conf.problems({key: lifetime}) == {key: "must be between one second and ten years"}


@pytest.mark.parametrize("key", ["SESION_CLASS", "session_class", "NO_LIMIT", 5])
def test_an_unknown_key_is_refused(key: object, settings: Settings) -> None:
    """A misspelt key is not passed over: the complaint lists those there are."""
    (found,) = conf.problems({key: True}).items()
    assert found[0] == str(key)
    assert all(name in found[1] for name in RULES)
    settings.TYPED_SESSIONS = {key: True}
    with pytest.raises(ImproperlyConfigured, match=f"TYPED_SESSIONS\\['{key}'\\] is not a setting"):
        conf.settings()


@pytest.mark.parametrize("given", [None, "typed_sessions.AuthUserSession", [("CODEC", "json")], {"CODEC"}, 5])
def test_the_setting_must_be_a_dict(given: object, settings: Settings) -> None:
    """Anything but a dict is refused."""
    assert conf.problems(given) == {"": "must be a dict"}
    settings.TYPED_SESSIONS = given
    with pytest.raises(ImproperlyConfigured, match=r"^TYPED_SESSIONS must be a dict\.$"):
        conf.settings()


def test_all_problems_are_found_at_once() -> None:
    """The check tells of every wrong key, and of no right one."""
    given = {"CODEC": "yaml", "SAVE": "auto", "MAX_BYTES": 1, "COLOUR": "red"}
    assert conf.problems(given).keys() == {"CODEC", "MAX_BYTES", "COLOUR"}


def test_without_the_setting_all_is_default(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """TYPED_SESSIONS may be missing."""
    settings.TYPED_SESSIONS = {"CODEC": "msgpack"}  # whose end clears what is known of the settings, too
    monkeypatch.setattr(conf, "django_settings", object())
    assert conf.settings() == conf.Settings()


def test_override_settings_works_at_once_and_ends_with_its_block(settings: Settings) -> None:
    """Settings are read at use: an override holds in its block, with the rest at its default, and not after."""
    settings.TYPED_SESSIONS = {"CODEC": "msgpack", "SLIDING": False}
    with override_settings(TYPED_SESSIONS={"CODEC": "json", "TEMP_EXPIRY": timedelta(minutes=5)}):
        assert conf.settings().codec == "json"
        assert conf.settings().sliding is True
        assert conf.settings().temp_seconds == 300
    assert conf.settings().codec == "msgpack"
    assert conf.settings().sliding is False
    assert conf.settings().temp_seconds == settings.SESSION_COOKIE_AGE


def test_other_settings_leave_the_object_alone(settings: Settings) -> None:
    """The object is made once, and again only when TYPED_SESSIONS changes."""
    before = conf.settings()
    settings.SESSION_COOKIE_NAME = "other"
    assert conf.settings() is before


def test_temporary_sessions_live_as_long_as_djangos_by_default(settings: Settings) -> None:
    """TEMP_EXPIRY is SESSION_COOKIE_AGE unless it is set."""
    settings.TYPED_SESSIONS = {}
    assert conf.settings().temp_seconds == 14 * 86_400
    settings.SESSION_COOKIE_AGE = 120
    assert conf.settings().temp_seconds == 120
    settings.TYPED_SESSIONS = {"TEMP_EXPIRY": DAY}
    assert conf.settings().temp_seconds == 86_400


def test_lifetimes_in_seconds(settings: Settings) -> None:
    """Lifetimes are whole seconds where they are used; no absolute lifetime is none."""
    settings.TYPED_SESSIONS = {"PERM_EXPIRY": timedelta(seconds=90.7), "ABSOLUTE_EXPIRY": timedelta(hours=2)}
    assert conf.settings().perm_seconds == 90
    assert conf.settings().absolute_seconds == 7200
    settings.TYPED_SESSIONS = {"ABSOLUTE_EXPIRY": None}
    assert conf.settings().absolute_seconds is None
    assert conf.settings().perm_seconds == 28 * 86_400


@pytest.mark.parametrize(
    ("prefix", "given", "names"),
    [
        ("", {}, ("ss-pid", "ss-opt")),
        ("__Host-", {}, ("__Host-ss-pid", "__Host-ss-opt")),
        ("__Secure-", {"PERM_COOKIE_NAME": "p"}, ("__Secure-p", "__Secure-ss-opt")),
        ("__Host-", {"PERM_COOKIE_NAME": "__Host-p", "OPTION_COOKIE_NAME": "o"}, ("__Host-p", "__Host-o")),
        ("", {"PERM_COOKIE_NAME": "__Host-p"}, ("__Host-p", "ss-opt")),
    ],
)
def test_s46_names_of_the_cookies(
    prefix: str, given: dict[str, str], names: tuple[str, str], settings: Settings
) -> None:
    """COOKIE_PREFIX goes before both names, once: one that has it already stays as it is."""
    settings.TYPED_SESSIONS = {"COOKIE_PREFIX": prefix, **given}
    assert (conf.settings().perm_cookie, conf.settings().option_cookie) == names


def test_the_settings_object_cannot_be_changed() -> None:
    """Who reads a setting cannot set it for everybody."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        conf.settings().codec = "msgpack"  # type: ignore[misc]
