"""Values of a session, as people see them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import HASH_SESSION_KEY
from django.db.models import TextChoices

from typed_sessions import AuthUserSession, session_field
from typed_sessions.shown import DEEPEST, HIDDEN, TOO_DEEP, bag_of, fields_of, plain


class Colour(Enum):
    RED = "red"


class Size(TextChoices):
    SMALL = "s", "small"


@dataclass
class Card:
    holder: str = "Ada"
    number: str = session_field(default="4111", secret=True)
    code: str = session_field(default="123", secret=True, repr=True)
    scheme: str = field(default="https", repr=False)


@dataclass
class Wallet(AuthUserSession):
    pin: str = session_field(default="1234", secret=True)
    internal: int = field(default=7, repr=False)
    card: Card = field(default_factory=Card)
    cards: list[Card] = field(default_factory=lambda: [Card()])
    by_name: dict[str, Card] = field(default_factory=lambda: {"first": Card()})
    note: str = "(hidden)"


SHOWN = {"holder": "Ada", "number": HIDDEN, "code": HIDDEN, "scheme": HIDDEN}


def test_s86_what_is_secret_is_hidden_however_deep() -> None:
    """By `secret`, also if `repr` would show it, and by `repr`; in fields, lists and dicts of dataclasses alike."""
    shown = fields_of(Wallet())
    assert shown["pin"] is HIDDEN
    assert shown["internal"] is HIDDEN
    assert shown["card"] == SHOWN
    assert shown["cards"] == [SHOWN]
    assert shown["by_name"] == {"first": SHOWN}
    told = json.dumps(shown)
    assert not any(secret in told for secret in ("1234", "4111", "123", "https"))


def test_what_reads_like_hidden_is_not() -> None:
    """A page can tell a text from what stands for a secret."""
    shown = fields_of(Wallet())
    assert shown["note"] == HIDDEN
    assert shown["note"] is not HIDDEN


def test_fields_have_the_order_of_the_class() -> None:
    """What the project declared last comes last."""
    assert [*fields_of(Wallet())][-6:] == ["pin", "internal", "card", "cards", "by_name", "note"]


def test_s86_what_opens_something_is_hidden_in_the_bag() -> None:
    """What Django and others keep there, by its name, also inside of what is no secret itself."""
    bag = {
        HASH_SESSION_KEY: "h",
        "_csrftoken": "c",
        "_password_reset_token": "r",
        "oauth_access_TOKEN": {"value": "o"},
        "password": None,
        "api_key": 5,
        "login": {"step": 2, "client_secret": "s", "tries": [{"pkce_code_verifier": "v", "at": 1}]},
        "_password_reset_key": "allauth's",
        "mfa.totp.secret": "JBSW",
        "account_email_verification_code": {"email": "ada@example.com"},
        "account_login": {"user": 5, "code": "123456"},
        "mfa.webauthn.state": {"challenge": "c", "user_verification": None},
        "country_code": "DE",
        "_auth_user_id": "17",
        "tab": "(hidden)",
        "hashtag": "#tea",
    }
    assert bag_of(bag) == {
        HASH_SESSION_KEY: HIDDEN,
        "_csrftoken": HIDDEN,
        "_password_reset_token": HIDDEN,
        "oauth_access_TOKEN": HIDDEN,
        "password": HIDDEN,
        "api_key": HIDDEN,
        "login": {"step": 2, "client_secret": HIDDEN, "tries": [{"pkce_code_verifier": HIDDEN, "at": 1}]},
        "_password_reset_key": HIDDEN,
        "mfa.totp.secret": HIDDEN,
        "account_email_verification_code": HIDDEN,
        "account_login": {"user": 5, "code": HIDDEN},
        "mfa.webauthn.state": {"challenge": HIDDEN, "user_verification": None},
        "country_code": "DE",
        "_auth_user_id": "17",
        "tab": "(hidden)",
        "hashtag": "#tea",
    }


def test_a_field_of_the_class_is_not_hidden_by_its_name() -> None:
    """The project says what is secret there."""

    @dataclass
    class Counting(AuthUserSession):
        token_count: int = 3
        limits: dict[str, int] = field(default_factory=lambda: {"secret": 5})

    assert fields_of(Counting())["token_count"] == 3
    assert fields_of(Counting())["limits"] == {"secret": 5}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (1.5, 1.5),
        ("tea", "tea"),
        (b"tea", "b'tea'"),
        (Decimal("1.50"), "1.50"),
        (Colour.RED, "red"),
        (Size.SMALL, "s"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, tzinfo=timezone.utc), "2026-01-02 03:04:00+00:00"),
        (timedelta(hours=1), "1:00:00"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ((1, "a"), [1, "a"]),
        ({2, 1}, [1, 2]),
        (frozenset({Colour.RED}), ["red"]),
        ({Colour.RED: Decimal(1), 5: None}, {"red": "1", "5": None}),
        (Card, "<class 'tests.core.test_shown.Card'>"),
    ],
)
def test_a_value_is_told_in_what_json_has(value: object, shown: object) -> None:
    """Every kind of field has one form, for programs, terminals and pages."""
    assert plain(value) == shown
    json.dumps(plain(value))


def test_what_is_nested_too_deep_ends_in_dots() -> None:
    """A value that a visitor nests as deep as it gets costs no page."""
    value: Any = "end"
    for _ in range(900):
        value = [value]
    for shown in (plain(value), bag_of({"deep": value})["deep"]):
        levels = 0
        while isinstance(shown, list):
            (shown,) = shown
            levels += 1
        assert (shown, levels <= DEEPEST + 1) == (TOO_DEEP, True)


def test_half_a_character_is_spelled_out() -> None:
    """JSON can hold what no answer can be encoded with."""
    shown = bag_of({"half \ud800": ["\udfff", {"\ud801": 1}]})
    assert shown == {"half \\ud800": ["\\udfff", {"\\ud801": 1}]}
    json.dumps(shown, ensure_ascii=False).encode()
