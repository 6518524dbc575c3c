"""django-user-visit: a row for each session of each user on each day."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.db.models.signals import pre_save

from tests.ecosystem.people import rows_of, sign_in
from tests.web.browser import Browser
from tests.web.conftest import NewBrowser
from tests.web.signing import Request, put_in_cart, sign_out, who

pytestmark = pytest.mark.usefixtures("engine")


def session_id(request: Request) -> str:
    return str(request.typed_session.id)


def keys() -> list[str]:
    return list(rows_of("user_visit.UserVisit").values_list("session_key", flat=True))


@pytest.mark.parametrize("remember", [False, True])
def test_visits(browser: Browser, user: User, remember: bool) -> None:
    """Each session has one visit, under its id; visitors who are not signed in have none."""
    browser.visit(put_in_cart())
    ids: list[str] = []
    for _ in range(2):
        browser.visit(sign_in(user, remember))
        ids += {browser.visit(session_id, user_agent="Lynx").text for _ in range(2)}
        browser.visit(sign_out, user_agent="Lynx")
    assert len({*ids}) == 2
    assert keys() == ids
    assert {(visit.user, visit.ua_string) for visit in rows_of("user_visit.UserVisit")} == {(user, "Lynx")}


def test_row_saved_again(browser: Browser, user: User) -> None:
    """A visit that is changed later keeps the id."""
    browser.visit(sign_in(user))
    current = browser.visit(session_id).text
    (visit,) = rows_of("user_visit.UserVisit")
    visit.save()
    assert keys() == [current]


def test_key_opens_nothing(browser: Browser, new_browser: NewBrowser, user: User) -> None:
    """What the table holds is no credential."""
    browser.visit(sign_in(user))
    browser.visit(who)
    (key,) = keys()
    assert new_browser(ss_id=key).visit(who).text == "anonymous anonymous None"


@pytest.fixture
def as_delivered() -> Iterator[None]:
    """Without the receiver of the page."""
    receiver = sys.modules["shop.visits"].keep_no_token
    model = rows_of("user_visit.UserVisit").model
    assert pre_save.disconnect(receiver, sender=model)
    yield
    pre_save.connect(receiver, sender=model)


@pytest.mark.usefixtures("as_delivered")
def test_as_it_is_delivered(browser: Browser, new_browser: NewBrowser, user: User) -> None:
    """As the page warns: by itself the package stores a key that opens the session."""
    browser.visit(sign_in(user))
    browser.visit(who)
    assert keys() == [browser.token]
    assert new_browser(ss_id=browser.token).visit(who).text.startswith("ada ada")
