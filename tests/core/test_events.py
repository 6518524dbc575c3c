"""AUTH_EVENTS: the classes a project lists, made once, and what is said of those that are none."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from tests.sessions import ShopSession
from typed_sessions import AuthEvents, TypedSession, events

if TYPE_CHECKING:
    from pytest_django import Settings

HOOKS = ["on_created", "on_registered", "validate", "on_authenticated", "on_logout", "on_ended"]


class Audit(AuthEvents):
    def on_logout(self, session: Any, request: Any) -> None:
        raise NotImplementedError


class Greeting(AuthEvents):
    async def on_created(self, session: Any, request: Any) -> None:  # type: ignore[override]  # either is allowed
        raise NotImplementedError


class HookedSession(ShopSession):
    def on_created(self, request: Any) -> None:
        raise NotImplementedError


def listed(*names: str) -> dict[str, Any]:
    return {"AUTH_EVENTS": [f"{__name__}.{name}" for name in names]}


def test_nothing_is_listed_by_default(settings: Settings) -> None:
    """Without the setting there is nobody to tell."""
    settings.TYPED_SESSIONS = {}
    assert events.configured() == ()


def test_classes_are_made_once_in_their_order(settings: Settings) -> None:
    """One instance of each class serves all requests, in the order of the list, until the setting changes."""
    settings.TYPED_SESSIONS = listed("Greeting", "Audit")
    first = events.configured()
    assert [type(one) for one in first] == [Greeting, Audit]
    assert events.configured() is first
    with override_settings(TYPED_SESSIONS=listed("Audit")):
        assert [type(one) for one in events.configured()] == [Audit]
    assert [type(one) for one in events.configured()] == [Greeting, Audit]
    settings.SESSION_COOKIE_NAME = "other"
    again = events.configured()
    assert events.configured() is again


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no.such", "'no.such' cannot be imported: No module named 'no'"),
        (f"{__name__}.Missing", "Missing' cannot be imported: "),
        (f"{__name__}.HookedSession", "HookedSession' is no subclass of AuthEvents"),
        (f"{__name__}.HOOKS", "HOOKS' is no subclass of AuthEvents"),
    ],
)
def test_what_is_no_events_class_is_told_with_its_path(settings: Settings, path: str, said: str) -> None:
    """A request does not go on without the events of its project; the error names setting and path."""
    settings.TYPED_SESSIONS = {"AUTH_EVENTS": [path]}
    with pytest.raises(ImproperlyConfigured, match=r"^TYPED_SESSIONS\['AUTH_EVENTS'\]: '") as caught:
        events.configured()
    assert said in str(caught.value)


def test_a_class_that_overrides_nothing_can_be_asked_for_everything() -> None:
    """The defaults do nothing, and veto nobody."""
    one, session, user = AuthEvents(), ShopSession(), User()
    assert one.on_created(session, None) is None  # type: ignore[func-returns-value]  # is what is tested
    assert one.on_registered(session, None, user) is None  # type: ignore[func-returns-value]
    assert one.validate(session, None, user) is None
    assert one.on_authenticated(session, None, user) is None  # type: ignore[func-returns-value]
    assert one.on_logout(session, None) is None  # type: ignore[func-returns-value]
    assert session == ShopSession()


@pytest.mark.parametrize("name", HOOKS)
def test_methods_are_named_as_the_hooks(name: str) -> None:
    """An events class has each hook of the session class, with the session as one more argument."""
    own, _, *others = inspect.signature(getattr(AuthEvents, name)).parameters
    assert [own, *others] == [*inspect.signature(getattr(TypedSession, name)).parameters]
    assert next(iter(inspect.signature(getattr(AuthEvents(), name)).parameters)) == "session"


def test_there_is_no_other_hook() -> None:
    """The two classes have the same hooks."""
    assert [name for name in vars(AuthEvents) if name[0] != "_"] == HOOKS
    assert {name for name in vars(TypedSession) if name.startswith("on_") or name == "validate"} == set(HOOKS)


@pytest.mark.parametrize(
    ("method", "is_default"),
    [
        (AuthEvents().on_logout, True),
        (Audit().on_created, True),
        (Audit().on_logout, False),
        (Greeting().on_created, False),
        (ShopSession().on_created, True),
        (ShopSession().validate, True),
        (HookedSession().on_created, False),
        (HookedSession().on_logout, True),
        (len, False),
        (object(), False),
    ],
)
def test_a_method_that_nobody_has_overridden_is_known(method: object, is_default: bool) -> None:
    """Async code does not take a thread for what does nothing."""
    assert events.is_default(method) is is_default
