"""The words everything else is said in: states, errors, the clock, the two formats."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.utils.functional import SimpleLazyObject, lazystr
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy

from typed_sessions import EndReason, SessionMode, SessionStatus, clock, exceptions
from typed_sessions.formats import FORMATS, JSON, MSGPACK, Format, format_of


def test_modes_statuses_and_reasons_are_the_contracts() -> None:
    """The values that are stored and shown are those of the contract."""
    assert [mode.value for mode in SessionMode] == ["temp", "perm"]
    assert {status.value for status in SessionStatus} == {
        "fresh", "live", "expired", "ended", "lost", "rejected", "unavailable",
    }  # fmt: skip
    assert {reason.value for reason in EndReason} == {
        "logged_out", "expired_idle", "expired_absolute", "ended_by_user", "ended_by_staff",
        "over_limit", "password_changed", "user_inactive", "rotated", "undecodable",
    }  # fmt: skip
    assert all(status == str(status.value) for status in SessionStatus)


@pytest.mark.parametrize("reason", EndReason)
def test_a_timeout_is_expired_and_every_other_end_is_ended(reason: EndReason) -> None:
    """A visitor whose session timed out is told `expired`; any other reason reads `ended`."""
    timeouts = {EndReason.EXPIRED_IDLE, EndReason.EXPIRED_ABSOLUTE}
    assert reason.status is (SessionStatus.EXPIRED if reason in timeouts else SessionStatus.ENDED)


def test_the_clock_gives_whole_seconds_rounded_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every time in a record is in whole seconds since the epoch."""
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.999)
    assert clock.now() == 1_800_000_000
    assert isinstance(clock.now(), int)


def test_one_tree_of_errors() -> None:
    """Whatever the app raises on purpose can be caught as one class, and a bad value also as Python's own errors."""
    classes = [value for value in vars(exceptions).values() if isinstance(value, type)]
    own = {error for error in classes if issubclass(error, Exception) and error.__module__ == exceptions.__name__}
    assert len(own) >= 9
    assert all(issubclass(error, exceptions.TypedSessionError) for error in own)
    assert issubclass(exceptions.SessionFieldError, ValueError)
    assert issubclass(exceptions.SessionFieldError, TypeError)
    assert issubclass(exceptions.SessionTooLarge, ValueError)
    assert issubclass(exceptions.MissingSession, ImproperlyConfigured)
    assert issubclass(exceptions.MissingSession, AttributeError)
    assert issubclass(exceptions.SignInRefused, PermissionDenied)
    assert issubclass(exceptions.InvalidSessionToken, PermissionDenied)


def test_a_field_error_says_where_what_and_that_nothing_was_saved() -> None:
    """The message of a field error stands by itself, and its parts are attributes."""
    error = exceptions.SessionFieldError("ShopSession.cart[0].quantity", "expected int, got str")
    assert (error.path, error.problem) == ("ShopSession.cart[0].quantity", "expected int, got str")
    assert str(error).startswith("ShopSession.cart[0].quantity: expected int, got str.")
    assert "not saved" in str(error)


def test_a_size_error_names_sizes_limit_and_largest_parts() -> None:
    """The message of a record that is too large says by how much, and where to look."""
    error = exceptions.SessionTooLarge(70_000, 65_536, [("cart", 60_123), ("session['x']", 9_000)])
    assert (error.size, error.limit) == (70_000, 65_536)
    for part in ("70,000 bytes", "MAX_BYTES", "65,536", "cart (60,123 bytes), session['x'] (9,000 bytes)", "not saved"):
        assert part in str(error)


def test_a_conflict_names_session_and_fields() -> None:
    """The message of a conflict says which fields of which session, and what to do."""
    error = exceptions.SessionConflict("0123", ["cart", "bag['key']"])
    assert (error.session_id, error.fields) == ("0123", ("cart", "bag['key']"))
    assert str(error).startswith("Session 0123: cart, bag['key'] was changed by another request")


def test_a_refused_header_says_why_and_how_it_is_answered() -> None:
    """An error of the session headers has a word for programs, a sentence for people, and the status of the answer."""
    error = exceptions.InvalidSessionToken("expired_idle", "Sign in again.")
    assert (error.code, error.detail, error.status_code, str(error)) == (
        "expired_idle", "Sign in again.", 401, "Sign in again.",
    )  # fmt: skip
    assert exceptions.InvalidSessionToken("cross_site", "No.", 403).status_code == 403


@pytest.mark.parametrize(("reason", "said"), [("Closed.", "Closed."), ("", ""), (True, "The sign-in was refused.")])
def test_a_veto_keeps_its_reason(reason: object, said: str) -> None:
    """A text is what people are told; any other reason is for the caller, and people are told that it was refused."""
    error = exceptions.SignInRefused(reason)
    assert (error.reason, str(error)) == (reason, said)


def test_a_disabled_session_says_which_decorator_to_take_away() -> None:
    """The message stands by itself."""
    assert "@session_disabled" in str(exceptions.SessionDisabled())


def test_formats_have_the_names_of_the_setting() -> None:
    """CODEC names the two formats, and a format says which it is."""
    assert FORMATS == {"json": JSON, "msgpack": MSGPACK}
    assert repr(JSON) == "<Format json>"


@pytest.mark.parametrize("length", [0, 1, 15, 16, 65_535, 65_536])
def test_the_format_of_a_map_is_told_by_its_first_byte(length: int, format: Format) -> None:
    """Maps of every length are recognised in both formats, as bytes and inside a record."""
    written = format.dumps({f"key {number}": number for number in range(length)})
    assert format_of(written) is format
    assert format_of(msgspec.Raw(written)) is format


def test_nothing_at_all_has_a_format() -> None:
    """An emptied column or key is asked for its format like anything else, and is then no map of it."""
    assert format_of(b"") in FORMATS.values()
    assert format_of(msgspec.Raw(b"")) in FORMATS.values()


def test_a_map_is_taken_apart_and_joined_unchanged(format: Format) -> None:
    """Values that nobody looked at stay the bytes they were."""
    written = format.dumps({"a": [1, {"b": None}], "é": "☃", "": math.pi})
    parts = format.split(written)
    assert list(parts) == ["a", "é", ""]
    assert bytes(parts["a"]) == format.dumps([1, {"b": None}])
    assert format.dumps(parts) == written


LAZY = lazystr("lazy")
TEXTS: dict[str, tuple[Any, str]] = {
    "lazystr": (LAZY, "lazy"),
    "translation": (gettext_lazy("Yes"), "Yes"),
    "marked safe": (mark_safe("<b>"), "<b>"),
    "SafeString": (SafeString("safe"), "safe"),
    "str subclass": (type("Name", (str,), {})("name"), "name"),
}


@pytest.mark.parametrize(("value", "text"), TEXTS.values(), ids=TEXTS.keys())
def test_lazy_and_marked_strings_are_text(value: Any, text: str, format: Format) -> None:
    """Lazy strings, SafeString and other kinds of str are written as the text they are, as values and as keys."""
    assert format.loads(format.dumps({"value": value})) == {"value": text}
    assert format.loads(format.dumps({value: 1})) == {text: 1}


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (User(pk=7), r"is a model instance \(auth.User\); store its primary key"),
        (SimpleLazyObject(lambda: User(pk=7)), "is a model instance"),
        (object(), "is object, which a session cannot hold"),
        (1j, "is complex"),
        (print, "is builtin_function_or_method"),
        (ValueError("x"), "is ValueError"),
        (int, "is type"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_data_is_refused(value: Any, complaint: str, format: Format) -> None:
    """What has no meaning outside the process is refused in words that say what it is."""
    with pytest.raises(TypeError, match=complaint):
        format.dumps({"value": value})
