"""django-axes: who fails too often is locked out, and a log says who was in, and until when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.core.management import call_command
from django.http import HttpRequest

from tests.ecosystem.people import PASSWORD, open_form, rows_of, sign_in
from tests.sessions import ShopSession
from tests.web.browser import OPT, PID, Answer, Browser
from tests.web.signing import cart, put_in_cart, sign_out, who

LIMIT = 3

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture(autouse=True)
def _staff(user: User) -> None:
    """Who may use the admin's form."""
    user.is_staff = True
    user.save()


def try_password(browser: Browser, password: str) -> Answer:
    open_form(browser)
    return browser.post("/admin/login/?next=/", username="ada", password=password)


def test_lockout(browser: Browser) -> None:
    """After too many failures the right password is refused too, and the visitor's session is as it was."""
    browser.visit(put_in_cart())
    before = browser.token
    answers = [try_password(browser, "wrong") for _ in range(LIMIT)]
    answers.append(try_password(browser, PASSWORD))
    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    assert [answer.ours for answer in answers] == [{}] * 4
    assert browser.token == before
    assert browser.visit(who).text.startswith("anonymous anonymous")
    assert browser.visit(cart).text == "['a'] a"
    call_command("axes_reset")
    assert try_password(browser, PASSWORD).status == 302
    assert browser.visit(who).text.startswith("ada ada")


def test_success_resets(browser: Browser) -> None:
    """Failures before a success do not count after it."""
    for password in ("wrong", "wrong", PASSWORD):
        answer = try_password(browser, password)
    assert answer.status == 302
    assert not rows_of("axes.AccessAttempt").exists()
    browser.visit(sign_out)
    assert [try_password(browser, "wrong").status for _ in range(LIMIT - 1)] == [200, 200]


def test_remembered(browser: Browser, user: User) -> None:
    """Beside axes, our backend is told that the user wants to be remembered."""
    answer = browser.visit(sign_in(user, remember=True))
    assert (answer.ours[OPT], answer.ours[PID]) == ("perm", browser.token)
    assert browser.visit(who).text.startswith("ada ada")


@pytest.mark.parametrize("remember", [False, True])
def test_log(browser: Browser, user: User, remember: bool) -> None:
    """The log knows a session by the digest that its id is taken from, and notes the sign-out of that one alone."""
    other = browser.copy()
    ids = [device.visit(sign_in(user, remember)).text.split()[-1] for device in (other, browser)]
    assert [row.session_hash[:40] for row in rows_of("axes.AccessLog")] == ids
    browser.visit(sign_out)
    assert [row.logout_time is not None for row in rows_of("axes.AccessLog")] == [False, True]


@dataclass
class Closed(ShopSession):
    """Nobody may come in."""

    def validate(self, request: HttpRequest | None, user: AbstractBaseUser) -> str | None:
        return "closed"


def test_veto_counts(browser: Browser, configure: Callable[..., None]) -> None:
    """As the page warns: a right password that `validate` vetoes is one more failure."""
    configure(SESSION_CLASS=f"{__name__}.Closed")
    assert [try_password(browser, PASSWORD).status for _ in range(LIMIT)] == [200, 200, 429]
