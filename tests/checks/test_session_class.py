"""Checks of the session dataclass: each fault is told with the class, or with the class and the field."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.checks import classes
from tests.checks.findings import ABSENT, found, found_ids, ids, typed

_HERE = "tests.checks.classes"


@pytest.mark.parametrize(
    ("name", "where", "what"),
    [
        ("WithModel", "WithModel.owner", "is a model (django.contrib.auth.models.User); store its primary key"),
        ("WithModelDeepInside", "WithModelDeepInside.lines[][].owner", "is a model"),
        ("WithoutDefault", "WithoutDefault.currency", "has no default"),
        ("Undecorated", "Undecorated", "has no @dataclass decorator"),
        ("OfUndecoratedParent", "UndecoratedParent", "has no @dataclass decorator"),
        ("OfUndecoratedMixin", "UndecoratedMixin", "has no @dataclass decorator"),
        ("WithOwnInit", "WithOwnInit", "has an __init__ of its own"),
        ("WithInitVar", "WithInitVar.start", "is an InitVar"),
        ("WithTakenName", "WithTakenName.mode", "is a name that every session already has"),
        ("WithUnknownMerge", "WithUnknownMerge.page_views", "has merge='sum'; it is one of 'last', 'add'"),
        ("WithTypeOfTypeChecking", "WithTypeOfTypeChecking", "import it outside TYPE_CHECKING"),
        ("WithAmbiguousUnion", "WithAmbiguousUnion.tags", "cannot be stored"),
        ("WithSyntaxError", "WithSyntaxError", "SyntaxError"),
        ("WithFailingAnnotation", "WithFailingAnnotation", "TypeError"),
        ("WithEndlessType", "WithEndlessType.tree", "RecursionError"),
        ("UnrelatedDataclass", "UnrelatedDataclass", "is not a subclass of typed_sessions.TypedSession"),
        ("T", "T", "is not a subclass of typed_sessions.TypedSession"),
    ],
)
def test_what_cannot_be_stored_is_told_with_class_and_field(name: str, where: str, what: str) -> None:
    """Each fault is one error that begins with its place, says what it is, and carries the class."""
    (message,) = found(**typed(SESSION_CLASS=f"{_HERE}.{name}"))

    assert message.id == "typed_sessions.E021"
    assert where in message.msg.split(" ", 1)[0] or name in ("UnrelatedDataclass", "T")
    assert what in message.msg
    assert message.obj is getattr(classes, name)


@pytest.mark.parametrize("name", ["Good", "GoodChild", "GoodWithSlots", "GoodOfHooks", "GoodOfMixin"])
def test_what_can_be_stored_is_not_told(name: str) -> None:
    """Class variables, merge functions, init=False, slots, foreign metadata, parents without fields: all fine."""
    assert found(**typed(SESSION_CLASS=f"{_HERE}.{name}")) == []


def test_a_field_of_type_any_is_a_warning() -> None:
    """Any can be stored, and comes back as plain JSON, which is told with class and field."""
    (message,) = found(**typed(SESSION_CLASS=f"{_HERE}.WithAny"))
    assert message.id == "typed_sessions.W022"
    assert message.msg.startswith("WithAny.anything is Any, ")
    assert message.obj is classes.WithAny


def test_every_field_at_fault_is_told() -> None:
    """Errors and warnings of one class come together."""
    assert found_ids(**typed(SESSION_CLASS=f"{_HERE}.WithBoth")) == ["E021", "W022"]


@pytest.mark.parametrize(
    ("path", "failure"),
    [
        ("no.such", "ModuleNotFoundError: No module named 'no'"),
        ("tests.sessions.Nope", "ImportError: "),
        ("tests.checks.broken.ShopSession", "RuntimeError: this module is broken"),
        ("a b.c", "ModuleNotFoundError: "),
    ],
)
def test_a_session_class_that_cannot_be_imported_is_told_with_the_reason(path: str, failure: str) -> None:
    """The message has the path and what its import raised, whatever that is."""
    (message,) = found(**typed(SESSION_CLASS=path))
    assert message.id == "typed_sessions.E020"
    assert message.msg.startswith(f"SESSION_CLASS {path!r} cannot be imported: {failure}")


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        ({}, ["W023"]),
        ({"SAVE": "explicit"}, ["W023"]),
        ({"SESSION_CLASS": "typed_sessions.AuthUserSession"}, []),
        ({"SESSION_CLASS": "typed_sessions.TypedSession"}, []),
        ({"SESSION_CLASS": "typed_sessions.session.AuthUserSession"}, []),
    ],
)
def test_only_a_session_class_that_is_not_named_is_told_as_that(given: dict[str, Any], numbers: list[str]) -> None:
    """Who names one of our own classes wants that one."""
    assert found_ids(TYPED_SESSIONS=given) == numbers


def test_a_project_without_the_setting_has_not_named_its_class() -> None:
    """The class is missed in a project that never wrote TYPED_SESSIONS, too."""
    assert found_ids(TYPED_SESSIONS=ABSENT) == ["W023"]


def test_wrong_settings_do_not_hide_behind_the_class() -> None:
    """While TYPED_SESSIONS itself is wrong, the class is not looked at, and no second message says the same."""
    assert ids(found(**typed(SESSION_CLASS="no.such", PERM_EXPIRY=timedelta(0)))) == ["E010"]
