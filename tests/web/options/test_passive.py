"""`session_passive`: the request does not make the session last longer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.http import Http404, HttpResponse

from tests.web.browser import ID, PID, ApiClient, Browser
from tests.web.kinds import Kind, each_kind_and_part, function
from tests.web.matrix import each_engine_once
from tests.web.options.conftest import Look
from tests.web.options.test_readonly import OURS, Around
from tests.web.signing import Request, put_in_cart, sign_in, state, status, who
from tests.web.urls import View
from typed_sessions import tokens
from typed_sessions.decorators import session_exclusive, session_passive, session_readonly
from typed_sessions.exceptions import SessionReadOnly
from typed_sessions.stores.record import Record
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine", "clock")

HOUR, DAY = 3600, 86_400


def look(request: Any) -> str:
    return f"{request.typed_session.currency} {request.session.get('seen')}"


def count(request: Any) -> str:
    request.typed_session.page_views += 1
    return str(request.typed_session.page_views)


def clocks(record: Record) -> tuple[int, int]:
    return record.seen, record.expires


@pytest.fixture
def visitor(clock: Clock, browser: Browser) -> Browser:
    browser.visit(put_in_cart("tea"))
    return browser


@each_kind_and_part
def test_poll(visitor: Browser, clock: Clock, verbs: Verbs, record_of: Look, kind: Kind) -> None:
    """Where a request would make the session last longer, this one writes nothing and sets no cookie; what it changes
    is saved, and the end stays where it was.
    """
    before = record_of(visitor)
    clock.advance(HOUR)
    verbs.take()
    answer = visitor.visit(kind(session_passive, look))
    assert (answer.status, answer.text.strip('"'), answer.ours) == (200, "EUR tea", {})
    assert verbs.take() == ["load"]
    assert visitor.visit(kind(session_passive, count)).text.strip('"') == "1"
    assert verbs.take() == ["load", "save"]
    after = record_of(visitor)
    assert clocks(after) == clocks(before)
    assert after.modified == before.modified + HOUR
    assert visitor.visit(look).status == 200  # a request without the option
    assert clocks(record_of(visitor)) == (before.seen + HOUR, before.expires + HOUR)


@each_engine_once
def test_polling_for_ever(visitor: Browser, clock: Clock) -> None:
    """A page that polls all the time does not keep the session, whether it saves or not."""
    for hours in range(0, 14 * 24, 7):
        clock.advance(7 * HOUR if hours else HOUR)
        assert visitor.visit(session_passive(count if hours % 2 else look)).status == 200
    clock.advance(6 * HOUR)
    assert visitor.visit(status).text == "expired expired_idle"


def test_permanent_cookie(visitor: Browser, user: User, clock: Clock, record_of: Look) -> None:
    """A permanent cookie that is set again with a save ends when the session does, and no later."""
    visitor.visit(sign_in(user, remember=True))
    before = record_of(visitor)
    clock.advance(DAY)
    assert visitor.visit(session_passive(look)).ours == {}
    answer = visitor.visit(session_passive(count))
    assert clocks(record_of(visitor)) == clocks(before)
    if PID in answer.cookies:
        assert int(answer.cookies[PID]["max-age"]) == before.expires - clock.now
    assert before.expires - clock.now == 27 * DAY


def test_every_request_saves(visitor: Browser, settings: Settings, clock: Clock, verbs: Verbs) -> None:
    """Not even SESSION_SAVE_EVERY_REQUEST makes such a request a use of the session."""
    settings.SESSION_SAVE_EVERY_REQUEST = True
    clock.advance(HOUR)
    verbs.take()
    assert visitor.visit(session_passive(look)).ours == {}
    assert verbs.take() == ["load"]
    visitor.visit(look)
    assert verbs.take() == ["load", "touch"]


def test_save_that_is_told(visitor: Browser, clock: Clock, verbs: Verbs, record_of: Look) -> None:
    """A save in the view stores what has changed, and writes nothing if nothing has."""
    before = record_of(visitor)
    clock.advance(HOUR)
    verbs.take()
    visitor.visit(session_passive(lambda request: request.session.save()))
    assert verbs.take() == ["load"]

    @session_passive
    async def view(request: Any) -> None:
        await request.session.aset("seen", "cup")
        await request.session.asave()

    visitor.visit(view)
    assert verbs.take() == ["load", "save"]
    after = record_of(visitor)
    assert (clocks(after), after.bag != before.bag) == (clocks(before), True)


@pytest.mark.parametrize("is_for_longer", [False, True])
def test_only_from_there_on_and_for_the_whole_request(
    new_site: Callable[..., Browser], clock: Clock, record_of: Look, is_for_longer: bool
) -> None:
    """Said around a part of a view it goes for the rest of the request, in which middleware uses the session too."""
    browser = new_site(OURS, f"{Around.__module__}.{Around.__qualname__}")
    browser.visit(put_in_cart())
    before = record_of(browser)
    clock.advance(HOUR)

    def view(request: Any) -> str:
        if not is_for_longer:
            with session_passive(request):
                pass
        return look(request)

    browser.visit(view)
    assert clocks(record_of(browser)) == (
        (before.seen + HOUR, before.expires + HOUR) if is_for_longer else clocks(before)
    )


def test_session_that_begins(browser: Browser, clock: Clock, record_of: Look) -> None:
    """A session that begins in such a request has the usual length."""
    assert browser.visit(session_passive(count)).ours
    assert clocks(record_of(browser)) == (clock.now, clock.now + 14 * DAY)


@pytest.mark.parametrize("remember", [False, True])
def test_signing_in(visitor: Browser, user: User, clock: Clock, record_of: Look, remember: bool) -> None:
    """Whoever signs in, or proves anew who it is, has a session of the usual length."""
    for _ in range(2):
        clock.advance(DAY)
        visitor.visit(session_passive(sign_in(user, remember)))
        assert clocks(record_of(visitor)) == (clock.now, clock.now + (28 if remember else 14) * DAY)
    assert visitor.visit(session_passive(who)).text == f"ada ada {tokens.digest(visitor.token)}"


def test_new_token(visitor: Browser, clock: Clock, record_of: Look) -> None:
    """A new token for the same session does not make it last longer."""
    before = record_of(visitor)
    clock.advance(HOUR)
    answer = visitor.visit(session_passive(lambda request: request.session.cycle_key()))
    after = record_of(visitor)
    assert answer.ours[ID] == visitor.token
    assert (after.id != before.id, clocks(after)) == (True, clocks(before))


def test_expiry_that_the_view_sets(visitor: Browser, clock: Clock, record_of: Look) -> None:
    """How long the session is to last may still be said, and counts from then."""
    clock.advance(HOUR)
    visitor.visit(session_passive(lambda request: request.session.set_expiry(60)))
    assert record_of(visitor).expires == clock.now + 60
    clock.advance(30)
    visitor.visit(session_passive(count))
    clock.advance(30)
    assert visitor.visit(status).text.split()[0] in ("expired", "fresh")


def test_ending(visitor: Browser, user: User) -> None:
    """Ending is as always."""
    visitor.visit(sign_in(user))
    kept = visitor.copy()
    assert visitor.visit(session_passive(lambda request: request.session.flush() or state(request))).ours[ID] == ""
    assert kept.visit(status).text == "ended logged_out"


def test_with_other_options(visitor: Browser, clock: Clock, record_of: Look) -> None:
    """Read-only within passive refuses changes; a turn of one's own within it, and around it, keeps the end."""
    before = record_of(visitor)
    clock.advance(HOUR)

    def refused(request: Request) -> str:
        with pytest.raises(SessionReadOnly), session_readonly(request):
            request.typed_session.currency = "USD"
        return look(request)

    options: tuple[Callable[[View], Any], ...] = (
        lambda view: session_passive(session_readonly(view)),
        lambda view: session_readonly(session_passive(view)),
        lambda view: session_passive(session_exclusive(view)),
        lambda view: session_exclusive(session_passive(view)),
        session_passive,
    )
    for option in options:
        assert visitor.visit(option(refused)).text == "EUR tea"
    assert visitor.visit(session_exclusive(session_passive(count))).text == "1"
    assert visitor.visit(session_passive(session_exclusive(count))).text == "2"
    after = record_of(visitor)
    assert (clocks(after), after.lease) == (clocks(before), None)


@pytest.mark.parametrize("code", [200, 404, 503])
def test_whatever_is_answered(visitor: Browser, clock: Clock, record_of: Look, code: int) -> None:
    """The status makes no difference, nor does an error of the view."""
    before = record_of(visitor)
    clock.advance(HOUR)

    @session_passive
    def view(request: Any) -> HttpResponse:
        look(request)
        if code == 404:
            raise Http404
        return HttpResponse(status=code)

    assert visitor.visit(view).status == code
    assert clocks(record_of(visitor)) == clocks(before)


def test_client_by_header(browser: Browser, configure: Configure, clock: Clock, verbs: Verbs) -> None:
    """A client whose session comes by header polls in the same way."""
    configure(HEADERS=["/"])
    client = ApiClient(browser.ask)
    client.visit(put_in_cart())
    clock.advance(HOUR)
    verbs.take()
    answer = client.visit(function(session_passive, look))
    assert (answer.text, answer.told, verbs.take()) == ("EUR a", {}, ["load"])


def test_when_told_to_save(visitor: Browser, configure: Configure, clock: Clock, verbs: Verbs) -> None:
    """With SAVE="explicit" it is the same: a request that would slide the end does not."""
    configure(SAVE="explicit")
    clock.advance(HOUR)
    verbs.take()
    visitor.visit(session_passive(look))
    assert verbs.take() == ["load"]
    visitor.visit(look)
    assert verbs.take() == ["load", "touch"]
