"""The list of live sessions."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User

from tests.admin.conftest import Begin, Desk, ids


def test_newest_first(desk: Callable[[User], Desk], begin: Begin, root: User, user: User) -> None:
    """The list has the session that was used last at its top."""
    old, new = begin(user, ago=100), begin(ago=10)
    page = desk(root).get()
    assert page.status == 200
    assert ids(page)[1:] == [new.id, old.id]
