"""What commands and the admin ask of a site alike."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User

from typed_sessions import site
from typed_sessions.models import LiveSession


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "key"),
    [
        ("7", "7"),
        ("007", "7"),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", None),
        ("-99999999999999999999", None),
        ("seven", None),
        ("7\0", None),
        ("", None),
    ],
)
def test_written_keys(given: str, key: str | None) -> None:
    """A primary key that somebody has written is one if the database can have it, whether or not there is that user."""
    assert site.written_key(given) == key


def test_other_kinds_of_keys() -> None:
    """A primary key may be a text, or the one of another model."""
    relation = LogEntry._meta.get_field("user")
    for field, good, bad in ((LiveSession._meta.pk, "ada", "a\0"), (relation, "7", "x"), (User._meta.pk, "7", "x")):
        model = SimpleNamespace(_meta=SimpleNamespace(pk=field))
        assert site._is_key(model, good)
        assert not site._is_key(model, bad)
