"""`session_exclusive`: one request at a time for a stored session, by a lease in its record."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIHandler
from django.db import connections
from django.http import Http404, HttpResponse
from django.template.response import TemplateResponse
from django.test import AsyncRequestFactory
from django.utils.decorators import method_decorator
from django.views import View as ViewClass

from tests.sessions import ShopSession
from tests.web.browser import ID, Answer, ApiClient, Asgi, Browser
from tests.web.conftest import NewBrowser
from tests.web.kinds import Body, Kind, async_function, each_kind_and_part, function
from tests.web.matrix import TRANSACTIONAL, each_engine_once
from tests.web.options.conftest import Look, Meanwhile, TakeTurn, Waiting, told
from tests.web.signing import put_in_cart, sign_in, sign_out, state, status, who
from tests.web.stored import spoil, wipe
from tests.web.urls import address
from typed_sessions import live_sessions, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.decorators import session_exclusive, session_readonly
from typed_sessions.exceptions import SessionBusy, SessionConflict, SessionLeaseLost, StoreUnavailable
from typed_sessions.stores.record import Record
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.usefixtures("engine", "clock")

LEASE = 30
OVER = LEASE + 1
"""Seconds after which a lease is over: it begins with the next full one."""
at_once = partial(session_exclusive, wait=0)


def count(request: Any) -> str:
    request.typed_session.page_views += 1
    return str(request.typed_session.page_views)


def look(request: Any) -> str:
    return f"{request.typed_session.page_views} {request.typed_session.currency}"


def to_dollars(request: Any) -> None:
    request.typed_session.currency = "USD"


def id_of(browser: Browser) -> str:
    return tokens.digest(browser.token)


@pytest.fixture
def visitor(clock: Clock, browser: Browser) -> Browser:
    browser.visit(put_in_cart("tea"))
    return browser


@pytest.fixture
def abandoned(visitor: Browser, take_turn: TakeTurn, verbs: Verbs) -> Browser:
    """A visitor one of whose requests has taken a turn, and will never end it."""
    take_turn(visitor)
    verbs.take()
    return visitor


# One at a time


@pytest.mark.parametrize(("engine", "handler"), [("cache", "wsgi"), ("redis", "asgi")], indirect=True)
@each_kind_and_part
def test_wherever_it_stands(
    visitor: Browser, verbs: Verbs, clock: Clock, record_of: Look, meanwhile: Meanwhile, kind: Kind
) -> None:
    """On everything that can be a view, and around a part of one, it costs one save more than the view without it;
    whoever has no time to wait is told to come later; and whoever stays for longer than the lease is overtaken.
    """
    verbs.take()
    assert visitor.visit(kind(session_exclusive, count)).text.strip('"') == "1"
    assert verbs.take() == ["load", "save", "save"]
    assert record_of(visitor).lease is None

    def busy(request: Any) -> str:
        answer = meanwhile(visitor).visit(function(at_once, count))
        assert (answer.status, answer["Retry-After"], answer.ours) == (503, "1", {})
        assert answer["Cache-Control"] == "no-store"
        assert answer.text == "Another request of this session has not finished. Please try again."
        return count(request)

    assert visitor.visit(kind(session_exclusive, busy)).text.strip('"') == "2"

    def overtaken(request: Any) -> str:
        to_dollars(request)
        clock.advance(OVER)
        assert meanwhile(visitor).visit(function(at_once, count)).text == "3"
        return count(request)

    answer = visitor.visit(kind(session_exclusive, overtaken))
    assert (answer.status, answer.ours) == (409, {})
    assert answer.text == "The session was changed by another request. Please try again."
    assert visitor.visit(look).text == "3 EUR"
    assert visitor.visit(kind(at_once, look)).text.strip('"') == "3 EUR"
    assert record_of(visitor).lease is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("engine", "handler"),
    [("db", "wsgi"), ("redis", "wsgi"), ("cache", "wsgi"), ("cached_db", "wsgi")],
    indirect=True,
)
def test_two_threads(visitor: Browser, waiting: Waiting) -> None:
    """Of two requests in two threads the second waits until the first has saved, and sees it."""
    inside: list[str] = []
    first_is_in = threading.Event()

    @session_exclusive
    def view(request: Any) -> str:
        name = request.GET["name"]
        inside.append(f"{name} in")
        first_is_in.set()
        if name == "first":
            assert waiting.begun.wait(20)
        views = count(request)
        inside.append(f"{name} out")
        return views

    def visit(name: str) -> Answer:
        try:
            if name == "second":
                assert first_is_in.wait(20)
            return visitor.copy().visit(view, f"name={name}")
        finally:
            connections.close_all()

    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(visit, ["first", "second"]))
    assert [answer.text for answer in answers] == ["1", "2"]
    assert inside == ["first in", "first out", "second in", "second out"]


@pytest.mark.parametrize(
    ("engine", "handler"),
    [pytest.param(name, "asgi", marks=TRANSACTIONAL) for name in ("db", "redis", "cache", "cached_db")],
    indirect=True,
)
async def test_three_tasks(engine: type[SessionStore], waiting: Waiting) -> None:
    """The same with tasks of one event loop, which the waiting ones do not block."""
    begun = engine()
    await begun.acreate()
    inside: list[str] = []
    first_is_in = asyncio.Event()

    @session_exclusive
    async def view(request: Any) -> str:
        name = request.GET["name"]
        inside.append(f"{name} in")
        first_is_in.set()
        if name == "first":
            assert await asyncio.to_thread(waiting.begun.wait, 20)
        (await request.session.aget_typed_session()).page_views += 1
        inside.append(f"{name} out")
        return str(request.typed_session.page_views)

    site, path = Asgi(), address(view)

    async def visit(name: str) -> str:
        if name != "first":
            await first_is_in.wait()
        headers = {"cookie": f"{ID}={begun.session_key}"}
        return (await site.ask("GET", f"{path}?name={name}", "", headers)).text

    answers = await asyncio.gather(*map(visit, ["first", "second", "third"]))
    assert (answers[0], sorted(answers)) == ("1", ["1", "2", "3"])
    assert [each.split()[1] for each in inside] == ["in", "out"] * 3
    assert len({each.split()[0] for each in inside[::2]}) == 3


def test_those_who_do_not_say_so(visitor: Browser, meanwhile: Meanwhile, record_of: Look) -> None:
    """Other requests wait for nobody; what both change is kept, and the turn stays the first one's."""

    @session_exclusive
    def view(request: Any) -> str:
        count(request)
        assert meanwhile(visitor).visit(count).text == "1"
        assert meanwhile(visitor).visit(to_dollars).status == 200
        assert meanwhile(visitor).visit(at_once(count)).status == 503
        request.session["own"] = 1
        return str(request.typed_session.currency)

    assert visitor.visit(view).text == "EUR"
    assert visitor.visit(look).text == "2 USD"
    assert record_of(visitor).lease is None


@pytest.mark.parametrize("is_good", [True, False])
def test_what_others_save_stays(visitor: Browser, meanwhile: Meanwhile, is_good: bool) -> None:
    """A turn in which nothing was changed, or of which nothing is kept, does not undo what others have saved in it."""

    def turn(request: Any) -> None:
        look(request)
        request.session.get("seen")
        meanwhile(visitor).visit(to_dollars)
        meanwhile(visitor).visit(put_in_cart("cup"))
        if not is_good:
            count(request)
            raise Http404

    def view(request: Any) -> str:
        try:
            with session_exclusive(request):
                turn(request)
        except Http404:
            pass
        request.typed_session.visited.add("here")
        return "done"

    assert visitor.visit(session_exclusive(turn)).status == (200 if is_good else 404)
    assert visitor.visit(look).text == "0 USD"
    visitor.visit(lambda request: setattr(request.typed_session, "currency", "EUR"))
    assert visitor.visit(view).text == "done"

    def everything(request: Any) -> str:
        session = request.typed_session
        return f"{look(request)} {session.visited} {[line.sku for line in session.cart]} {request.session['seen']}"

    assert visitor.visit(everything).text == "0 USD {'here'} ['tea', 'cup', 'cup'] cup"


def test_two_sessions(visitor: Browser, new_browser: NewBrowser, meanwhile: Meanwhile) -> None:
    """Nobody waits for another visitor."""
    other = new_browser()
    other.visit(put_in_cart())

    @session_exclusive
    def view(request: Any) -> str:
        return meanwhile(other).visit(at_once(count)).text

    assert visitor.visit(view).text == "1"


@pytest.mark.parametrize("outer", [at_once, session_exclusive])
def test_within_each_other(visitor: Browser, verbs: Verbs, meanwhile: Meanwhile, outer: Any) -> None:
    """A request does not wait for itself, and keeps its turn until the outermost end."""

    def view(request: Any) -> str:
        with session_exclusive(request, wait=0):
            count(request)
        with session_exclusive(request, wait=0):
            pass
        assert meanwhile(visitor).visit(at_once(count)).status == 503
        return count(request)

    verbs.take()
    assert visitor.visit(outer(at_once(view))).text == "2"
    assert verbs.take() == ["load", "save", "load", "save"]  # the second load is of whom was told to come later
    assert visitor.visit(at_once(count)).text == "3"


def test_one_turn_after_the_other(visitor: Browser, verbs: Verbs) -> None:
    """A request may have two turns; each sees what others saved before it."""
    session_id = id_of(visitor)

    def view(request: Any) -> str:
        with session_exclusive(request):
            count(request)
        live_sessions.update(session_id, lambda session: setattr(session, "currency", "USD"))
        with session_exclusive(request):
            count(request)
            return look(request)

    assert visitor.visit(view).text == "2 USD"
    assert visitor.visit(look).text == "2 USD"


# Waiting


@each_engine_once
@pytest.mark.parametrize("how", [function, async_function])
def test_worker_that_dies(abandoned: Browser, clock: Clock, verbs: Verbs, record_of: Look, how: Kind) -> None:
    """A turn that nobody ends is over with its lease, to the second, and until then it keeps others out."""
    ran: list[int] = []

    def body(request: Any) -> str:
        ran.append(1)
        return count(request)

    for seconds, code in ((0, 503), (LEASE, 503), (1, 200)):
        clock.advance(seconds)
        answer = abandoned.visit(how(at_once, body))
        assert (answer.status, len(ran)) == (code, code == 200)
    assert verbs.take() == ["load", "load", "load", "save", "save"]
    assert record_of(abandoned).lease is None


@pytest.mark.parametrize("lease", [1, 100])
def test_length_of_the_lease(visitor: Browser, clock: Clock, meanwhile: Meanwhile, lease: int) -> None:
    """`lease` is what it is called with, whoever waits."""

    @session_exclusive(lease=lease)
    def view(request: Any) -> str:
        other = meanwhile(visitor)
        answers = []
        for seconds in (lease, 1):
            clock.advance(seconds)
            answers.append(other.visit(at_once(look)).status)
        return str(answers)

    assert visitor.visit(view).text == "[503, 200]"


@pytest.mark.parametrize("is_async", [False, True])
def test_wait_that_is_over(abandoned: Browser, waiting: Waiting, caplog: Any, is_async: bool) -> None:
    """Who has waited for long enough is told to come later, and the log says for which session, without its token."""
    session_id = id_of(abandoned)

    async def async_view(request: Any) -> str:
        with pytest.raises(SessionBusy) as caught:
            async with session_exclusive(request, wait=0.01):
                raise AssertionError
        assert caught.value.session_id == session_id
        return await session_exclusive(wait=0.01)(async_look)(request)

    async def async_look(request: Any) -> str:
        raise AssertionError

    view = async_view if is_async else session_exclusive(wait=0.01)(look)
    assert abandoned.visit(view).status == 503
    assert waiting.begun.is_set()
    assert told(caplog.records) == [
        f"Session {session_id}: another request has it for itself, and 0.01 s of waiting are over."
    ]
    assert abandoned.token not in caplog.text


def test_busy_session_is_still_a_session(abandoned: Browser, clock: Clock) -> None:
    """A view that goes on without its turn saves as any other does."""

    def view(request: Any) -> str:
        try:
            with session_exclusive(request, wait=0):
                raise AssertionError
        except SessionBusy:
            return count(request)

    assert abandoned.visit(view).text == "1"
    assert abandoned.visit(look).text == "1 EUR"
    assert abandoned.visit(at_once(look)).status == 503
    clock.advance(OVER)
    assert abandoned.visit(at_once(look)).status == 200


def test_lease_that_runs_out_while_one_waits(abandoned: Browser, waiting: Waiting, clock: Clock) -> None:
    """Who waits goes on as soon as the lease is over."""
    waiting.action = lambda: clock.advance(OVER)
    assert abandoned.visit(session_exclusive(count)).text == "1"


def test_turn_sees_what_is_stored(abandoned: Browser, waiting: Waiting, clock: Clock) -> None:
    """Who has loaded the session before, and waited, sees what was saved meanwhile, with own changes on top of it."""
    session_id = id_of(abandoned)

    def others() -> None:
        live_sessions.update(session_id, lambda session: setattr(session, "currency", "USD"))
        live_sessions.update(session_id, lambda session: setattr(session, "page_views", 5))
        clock.advance(OVER)

    waiting.action = others

    def view(request: Any) -> str:
        count(request)
        request.session["own"] = 1
        with session_exclusive(request):
            return look(request)

    assert abandoned.visit(view).text == "6 USD"
    assert abandoned.visit(look).text == "6 USD"


ENDS: dict[str, Callable[[type[SessionStore], Browser, Clock], object]] = {
    "ended": lambda engine, browser, clock: live_sessions.end(id_of(browser)),
    "lost": lambda engine, browser, clock: wipe(engine),
    "expired": lambda engine, browser, clock: clock.advance(15 * 86_400),
    "rotated": lambda engine, browser, clock: browser.copy().visit(lambda request: request.session.cycle_key()),
    "damaged": lambda engine, browser, clock: spoil(engine, browser.token, b'"revision"', b'"revisiox"'),
}


@each_engine_once
@pytest.mark.parametrize("end", ["ended", "lost", "expired"])
def test_session_that_ends_while_one_waits(
    abandoned: Browser, engine: type[SessionStore], waiting: Waiting, clock: Clock, end: str
) -> None:
    """Who waits for a session that ends is told what any request is whose session ended under its hands."""
    waiting.action = lambda: ENDS[end](engine, abandoned, clock)

    def view(request: Any) -> str:
        raise AssertionError

    answer = abandoned.visit(session_exclusive(view))
    assert (answer.status, answer.ours) == (400, {})
    assert abandoned.visit(status).text.split()[0] == end


@pytest.mark.parametrize(("engine", "handler"), [("redis", "wsgi")], indirect=True)
@pytest.mark.parametrize("end", ["rotated", "damaged"])
def test_record_that_is_another(
    abandoned: Browser, engine: type[SessionStore], waiting: Waiting, clock: Clock, end: str
) -> None:
    """A new token, or a record that nobody can read, is an end for who waits for it."""
    waiting.action = lambda: ENDS[end](engine, abandoned, clock)
    assert abandoned.visit(session_exclusive(look)).status == 400


@pytest.mark.parametrize("is_part", [False, True])
def test_end_at_the_last_moment(visitor: Browser, verbs: Verbs, is_part: bool) -> None:
    """A session that ends between the load and the lease is not brought back."""
    session_id = id_of(visitor)
    verbs.before("save", lambda: live_sessions.end(session_id))

    def part(request: Any) -> str:
        with session_exclusive(request):
            raise AssertionError

    assert visitor.visit(part if is_part else session_exclusive(look)).status == 400
    assert live_sessions.get(session_id) is None


def test_save_at_the_last_moment(visitor: Browser, verbs: Verbs) -> None:
    """A save between the load and the lease is seen in the turn."""
    session_id = id_of(visitor)
    verbs.take()
    verbs.before("save", lambda: live_sessions.update(session_id, lambda session: setattr(session, "currency", "USD")))
    assert visitor.visit(session_exclusive(look)).text == "0 USD"
    assert verbs.take() == ["load", "save", "save", "save"]


def test_session_that_ends_in_its_turn(visitor: Browser, record_of: Look) -> None:
    """Changes of a session that was ended meanwhile are lost, and that is told; without changes there is nothing to."""
    for view, code in ((look, 200), (count, 400)):
        visitor.visit(put_in_cart())
        session_id = id_of(visitor)

        @session_exclusive
        def turn(request: Any, view: Body = view, session_id: str = session_id) -> Any:
            shown = view(request)
            live_sessions.end(session_id)
            return shown

        assert visitor.visit(turn).status == code
        assert live_sessions.get(session_id) is None


@pytest.mark.parametrize("change", [count, lambda request: count(request) and request.session.cycle_key()])
@pytest.mark.parametrize("is_used", [True, False])
def test_session_that_expires_in_its_turn(
    visitor: Browser, clock: Clock, meanwhile: Meanwhile, change: Body, is_used: bool
) -> None:
    """Who holds a session for longer than it lasts saves it if others have used it meanwhile, and does not bring it
    back if nobody has.
    """

    @session_exclusive
    def view(request: Any) -> str:
        for _ in range(3):
            clock.advance(7 * 86_400)
            if is_used:
                assert meanwhile(visitor).visit(to_dollars).status == 200
        change(request)
        return "done"

    assert visitor.visit(view).status == (200 if is_used else 400)
    assert visitor.visit(look).text == ("1 USD" if is_used else "0 EUR")


# Overtaken


def test_overtaken_says_so(
    visitor: Browser, clock: Clock, meanwhile: Meanwhile, take_turn: TakeTurn, caplog: Any
) -> None:
    """A save in the view raises it as well, whether the other one has finished or not; it is a conflict."""
    session_id = id_of(visitor)

    def view(request: Any) -> str:
        with pytest.raises(SessionLeaseLost) as caught, session_exclusive(request):
            outlast(request)
        assert isinstance(caught.value, SessionConflict)
        assert (caught.value.session_id, caught.value.fields) == (session_id, ())
        assert str(caught.value) == (
            f"Session {session_id}: this request had it for itself for longer than its lease, and another request has "
            "changed it since. Nothing of this request was saved. Give session_exclusive a longer lease."
        )
        return look(request)

    def outlast(request: Any) -> None:
        to_dollars(request)
        clock.advance(OVER)
        if "finished" in request.GET:
            meanwhile(visitor).visit(session_exclusive(count))
        else:
            take_turn(visitor)
        request.session.save()

    assert visitor.visit(view).text == "0 EUR"
    clock.advance(OVER)
    assert visitor.visit(view, "finished").text == "1 EUR"
    assert visitor.visit(look).text == "1 EUR"
    visitor.visit(session_exclusive(outlast), "finished")
    assert [line.partition(" request")[0] for line in told(caplog.records)] == [f"Session {session_id}: this"]


def test_overtaken_without_changes(visitor: Browser, clock: Clock, take_turn: TakeTurn, record_of: Look) -> None:
    """Who only reads has lost nothing, and does not end the turn of the other one."""

    @session_exclusive
    def view(request: Any) -> str:
        clock.advance(OVER)
        take_turn(visitor)
        return look(request)

    assert visitor.visit(view).text == "0 EUR"
    assert record_of(visitor).lease is not None
    assert visitor.visit(at_once(look)).status == 503


def test_overtaken_by_nobody(visitor: Browser, clock: Clock, meanwhile: Meanwhile) -> None:
    """Who stays for longer, with nobody waiting for a turn, saves as usual, also over what others saved."""

    @session_exclusive
    def view(request: Any) -> str:
        clock.advance(10 * OVER)
        meanwhile(visitor).visit(to_dollars)
        return count(request)

    assert visitor.visit(view).text == "1"
    assert visitor.visit(at_once(look)).text == "1 USD"


def test_new_token_of_who_was_overtaken(visitor: Browser, clock: Clock, meanwhile: Meanwhile, user: User) -> None:
    """A new token is not stored either."""

    @session_exclusive
    def view(request: Any) -> None:
        request.session.cycle_key()
        clock.advance(OVER)
        meanwhile(visitor).visit(at_once(count))

    answer = visitor.visit(view)
    assert (answer.status, answer.ours) == (409, {})
    assert visitor.visit(look).text == "1 EUR"


# What is saved at the end


@each_engine_once
@pytest.mark.parametrize(
    ("code", "raises"), [(500, ValueError), (404, Http404), (503, None), (500, None), (404, None)], ids=str
)
def test_turn_that_goes_wrong(
    visitor: Browser, verbs: Verbs, record_of: Look, code: int, raises: type[Exception] | None
) -> None:
    """After an exception, and an answer of 500 and above, nothing is saved, and the turn is given back."""

    @session_exclusive
    def view(request: Any) -> HttpResponse:
        count(request)
        request.session["own"] = 1
        if raises:
            raise raises
        return HttpResponse(status=code)

    verbs.take()
    assert visitor.visit(view).status == code
    assert verbs.take() == ["load", "save", "save"]
    assert record_of(visitor).lease is None
    is_saved = raises is None and code < 500
    assert visitor.visit(look).text == f"{int(is_saved)} EUR"
    assert visitor.visit(lambda request: "own" in request.session).text == str(is_saved)


def test_part_that_goes_wrong(visitor: Browser) -> None:
    """What was changed in the part is undone, and what is changed before and after it is not."""

    def view(request: Any) -> str:
        count(request)
        with pytest.raises(ValueError, match="wrong"), session_exclusive(request):
            fail(request)
        request.typed_session.visited.add("after")
        return look(request)

    def fail(request: Any) -> None:
        count(request)
        to_dollars(request)
        raise ValueError("wrong")

    assert visitor.visit(view).text == "1 EUR"
    assert visitor.visit(look).text == "1 EUR"


@pytest.mark.parametrize("kind", [function, async_function])
def test_page_that_is_rendered_later(
    visitor: Browser, in_template: Callable[[str], str], meanwhile: Meanwhile, verbs: Verbs, record_of: Look, kind: Kind
) -> None:
    """The turn lasts until the page is rendered, and what changes then is saved with the rest; if the page cannot be
    rendered, it is undone with the rest.
    """
    page = in_template("{{ change }} {{ request.typed_session.cart.clear }} {{ request.GET.fail|add:fail }}")

    def body(request: Any) -> TemplateResponse:
        count(request)

        def change() -> str:
            assert meanwhile(visitor).visit(at_once(look)).status == 503
            return count(request)

        def fail() -> str:
            if "fail" in request.GET:
                raise ValueError
            return ""

        return TemplateResponse(request, page, {"change": change, "fail": fail})

    verbs.take()
    view = kind(session_exclusive, body)
    assert visitor.visit(view, "fail").status == 500
    assert verbs.take() == ["load", "save", "load", "save"]  # one load is of whom was told to come later
    assert record_of(visitor).lease is None
    verbs.take()
    assert visitor.visit(view).text.split()[0] == "2"
    assert verbs.take() == ["load", "save", "load", "save"]
    assert visitor.visit(at_once(lambda request: f"{look(request)} {request.typed_session.cart}")).text == "2 EUR []"


@pytest.mark.parametrize("fails", [False, True])
def test_turn_that_the_view_does_not_end(visitor: Browser, record_of: Look, fails: bool) -> None:
    """A part that has no end ends with the request, and is undone if that went wrong."""

    def view(request: Any) -> str:
        turn: Any = session_exclusive(request)
        turn.__enter__()
        count(request)
        with session_exclusive(request):
            count(request)
        if fails:
            raise ValueError
        return "done"

    assert visitor.visit(view).status == (500 if fails else 200)
    assert record_of(visitor).lease is None
    assert visitor.visit(at_once(look)).text == ("0 EUR" if fails else "2 EUR")


WRONG: dict[str, Callable[[Any], object]] = {
    "type": lambda request: setattr(request.typed_session, "currency", 5),
    "no encoding": lambda request: setattr(request.typed_session, "currency", object()),
    "bag": lambda request: request.session.update({"x": object()}),
    "size": lambda request: setattr(request.typed_session, "currency", "x" * 100_000),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("is_part", [True, False])
def test_what_cannot_be_saved(visitor: Browser, record_of: Look, wrong: str, is_part: bool) -> None:
    """An error of the closing save is told, and the turn is given back all the same."""

    def part(request: Any) -> None:
        with session_exclusive(request):
            WRONG[wrong](request)

    assert visitor.visit(part if is_part else session_exclusive(WRONG[wrong])).status == 500
    assert record_of(visitor).lease is None
    assert visitor.visit(at_once(look)).text == "0 EUR"


def test_field_that_refuses_to_merge(browser: Browser, configure: Configure, meanwhile: Meanwhile) -> None:
    """A conflict with who does not say so is a 409 as ever, and the turn is given back."""
    configure(SESSION_CLASS="typed_sessions.testing.engines.ContractSession")

    def write(note: str) -> Body:
        return lambda request: setattr(request.typed_session, "note", note)

    browser.visit(write("first"))

    @session_exclusive
    def view(request: Any) -> None:
        write("mine")(request)
        meanwhile(browser).visit(write("theirs"))

    assert browser.visit(view).status == 409
    assert browser.visit(at_once(lambda request: request.typed_session.note)).text == "theirs"


def test_when_told_to_save(visitor: Browser, configure: Configure, record_of: Look) -> None:
    """With SAVE="explicit" the turn ends without a save, unless one is told."""
    configure(SAVE="explicit")
    visitor.visit(session_exclusive(count))
    assert (visitor.visit(look).text, record_of(visitor).lease) == ("0 EUR", None)

    @session_exclusive
    def view(request: Any) -> str:
        count(request)
        request.session.save()
        return count(request)

    assert visitor.visit(view).text == "2"
    assert (visitor.visit(look).text, record_of(visitor).lease) == ("1 EUR", None)
    visitor.visit(session_exclusive(lambda request: request.session.update({"told": 1})))
    assert visitor.visit(lambda request: request.session["told"]).text == "1"


def test_saves_within_a_turn(visitor: Browser, verbs: Verbs, meanwhile: Meanwhile) -> None:
    """A save in the view keeps the turn."""

    @session_exclusive
    def view(request: Any) -> str:
        count(request)
        request.session.save()
        assert meanwhile(visitor).visit(at_once(look)).status == 503
        return look(request)

    verbs.take()
    assert visitor.visit(view).text == "1 EUR"
    assert verbs.take() == ["load", "save", "save", "load", "save"]


def test_turn_does_not_extend_the_session(visitor: Browser, clock: Clock, record_of: Look) -> None:
    """To take a turn and to give it back is no use of the session; the request is, as any other, when that is due."""
    before = record_of(visitor)
    clock.advance(30)
    visitor.visit(session_exclusive(look))
    between = record_of(visitor)
    assert (between.seen, between.expires, between.modified) == (before.seen, before.expires, before.modified)
    assert (between.data, between.bag, between.client) == (before.data, before.bag, before.client)
    clock.advance(3600)
    visitor.visit(session_exclusive(look))
    assert record_of(visitor).expires == before.expires + 3630


def test_client_that_comes_by_header(browser: Browser, configure: Configure, clock: Clock, take_turn: TakeTurn) -> None:
    """A client whose session comes by header waits like others."""
    configure(HEADERS=["/"])
    client = ApiClient(browser.ask)
    assert client.visit(session_exclusive(count)).text == "1"
    take_turn(client)
    answer = client.visit(at_once(count))
    assert (answer.status, answer["Retry-After"], answer.told) == (503, "1", {})
    clock.advance(OVER)
    assert client.visit(at_once(count)).text == "2"


# Sessions that begin, change hands, or end


def test_visitor_without_a_session(browser: Browser, verbs: Verbs, record_of: Look) -> None:
    """Who has no session waits for nobody, and may begin one, which nobody has to wait for then."""
    assert browser.visit(session_exclusive(look)).ours == {}
    assert verbs.take() == []

    def view(request: Any) -> str:
        with session_exclusive(request):
            count(request)
            request.session.save()
            with session_exclusive(request):
                return count(request)

    assert browser.visit(session_exclusive(view)).text == "2"
    assert (record_of(browser).lease, browser.visit(at_once(look)).text) == (None, "2 EUR")


@pytest.mark.parametrize("has_session", [True, False])
def test_signing_in(
    visitor: Browser, new_browser: NewBrowser, user: User, engine: type[SessionStore], has_session: bool
) -> None:
    """A sign-in in one's turn gives a new token, whose session is nobody's."""
    browser = visitor if has_session else new_browser()
    before = browser.cookies.get(ID)
    answer = browser.visit(session_exclusive(sign_in(user, remember=True)))
    assert answer.text == f"ada {id_of(browser)}"
    assert before != browser.token
    assert browser.visit(at_once(who)).text == f"ada ada {id_of(browser)}"


@pytest.mark.parametrize("end", [sign_out, lambda request: request.session.flush() or state(request)])
def test_ending(visitor: Browser, user: User, end: Body) -> None:
    """A session that ends in its turn has ended."""
    visitor.visit(sign_in(user))
    kept = visitor.copy()
    answer = visitor.visit(session_exclusive(end))
    assert (answer.text, answer.ours[ID]) == ("anonymous None", "")
    assert kept.visit(status).text == "ended logged_out"


@pytest.mark.parametrize("renew", ["cycle_key", "create"])
def test_new_token(visitor: Browser, record_of: Look, renew: str) -> None:
    """A new token in one's turn is stored at its end, and nobody has to wait for it."""
    before = visitor.token
    answer = visitor.visit(session_exclusive(lambda request: getattr(request.session, renew)()))
    assert answer.ours[ID] == visitor.token != before
    assert record_of(visitor).lease is None
    assert visitor.visit(at_once(look)).text == "0 EUR"


def test_new_token_of_another(visitor: Browser, meanwhile: Meanwhile) -> None:
    """Who gives the session a new token without a turn ends the turn of the other, whose changes are lost."""

    @session_exclusive
    def view(request: Any) -> str:
        tab = meanwhile(visitor)
        tab.visit(lambda request: request.session.cycle_key())
        visitor.cookies.update(tab.cookies)
        return count(request)

    assert visitor.visit(view).status == 400
    assert visitor.visit(at_once(count)).text == "1"


def test_read_only_within(visitor: Browser, record_of: Look) -> None:
    """A part of one's turn may be read-only; what is changed beside it is saved."""

    @session_exclusive
    def view(request: Any) -> str:
        count(request)
        with session_readonly(request):
            look(request)
        return count(request)

    assert visitor.visit(view).text == "2"
    assert visitor.visit(session_exclusive(session_readonly(count))).status == 500
    assert visitor.visit(session_readonly(session_exclusive(look))).text == "2 EUR"
    assert record_of(visitor).lease is None


# A store that does not answer


def out_of_order() -> None:
    raise StoreUnavailable("out of order")


@pytest.mark.parametrize("verb", ["load", "save"])
def test_store_that_does_not_answer_at_the_beginning(visitor: Browser, verbs: Verbs, verb: str) -> None:
    """Without an answer there is no turn."""
    verbs.before(verb, out_of_order)
    answer = visitor.visit(session_exclusive(lambda request: 1 / 0))
    assert (answer.status, answer["Retry-After"], answer.ours) == (503, "1", {})
    assert visitor.visit(at_once(look)).status == 200


@pytest.mark.parametrize(("view", "code"), [(look, 200), (count, 503), (lambda request: 1 / 0, 500)])
def test_store_that_does_not_answer_at_the_end(
    visitor: Browser, verbs: Verbs, clock: Clock, caplog: Any, view: Body, code: int
) -> None:
    """A lease that could not be given back runs out; only who loses changes by it is told so."""
    session_id = id_of(visitor)

    @session_exclusive
    def turn(request: Any) -> Any:
        verbs.before("save", out_of_order, times=9)
        return view(request)

    assert visitor.visit(turn).status == code
    assert f"Session {session_id}: its lease could not be given back: out of order" in told(caplog.records)
    verbs.before("save", lambda: None)
    assert visitor.visit(at_once(look)).status == 503
    clock.advance(OVER)
    assert visitor.visit(at_once(look)).text == "0 EUR"


# A client that goes away


@pytest.mark.parametrize(("engine", "handler"), [("redis", "asgi")], indirect=True)
@pytest.mark.parametrize("where", ["lease", "view", "save"])
async def test_client_that_goes_away(engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """A request that is cancelled, wherever it is, saves nothing and keeps nobody out."""
    begun = engine()
    await begun.acreate()
    session_id = begun.typed_session.id
    store, reached, saves = begun.store, asyncio.Event(), iter(["lease", "save"])
    asave = type(store).asave

    async def stopping(self: Any, record: Any, base: Any) -> Any:
        if next(saves, "") == where:
            await stop()
        return await asave(self, record, base)

    async def stop() -> None:
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(type(store), "asave", stopping)

    @session_exclusive
    async def view(request: Any) -> None:
        (await request.session.aget_typed_session()).page_views += 1
        if where == "view":
            await stop()

    scope: Any = AsyncRequestFactory().get(address(view), headers={"cookie": f"{ID}={begun.session_key}"}).scope
    scope["headers"] = [line for line in scope["headers"] if line != (b"cookie", b"")]
    incoming: list[Any] = [{"type": "http.request", "body": b""}]

    async def receive() -> Any:
        if incoming:
            return incoming.pop()
        await reached.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError

    await ASGIHandler()(scope, receive, send)
    record = await store.aload(session_id or "")
    assert isinstance(record, Record)
    assert (record.lease, (await engine(begun.session_key).aget_typed_session()).page_views) == (None, 0)  # type: ignore[attr-defined]  # of the class of the tests


# How it is written


def _subclass(page: Any) -> Any:
    class Subclass(page):  # type: ignore[misc]  # it is any
        pass

    return Subclass


def test_ways_to_write_it(visitor: Browser, meanwhile: Meanwhile) -> None:
    """With and without brackets, with either argument, and as Django's `method_decorator` has it."""

    class Page(ViewClass):
        @method_decorator(session_exclusive(lease=10))
        def get(self, request: Any) -> HttpResponse:
            return HttpResponse(meanwhile(visitor).visit(at_once(look)).status)

    class Other(Page):
        get = method_decorator(session_exclusive)(Page.get.__wrapped__)  # type: ignore[attr-defined]

    def body(request: Any) -> str:
        return str(meanwhile(visitor).visit(at_once(look)).status)

    for view in (
        session_exclusive(body),
        session_exclusive()(body),
        session_exclusive(wait=1)(body),
        session_exclusive(wait=0.5, lease=1)(body),
        session_exclusive(body, lease=1),
        Page.as_view(),
        Other.as_view(),
        method_decorator(session_exclusive(wait=1), name="dispatch")(_subclass(Page)).as_view(),
    ):
        assert visitor.visit(view).text == "503"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"wait": -1}, "wait is a number of seconds from 0 to 3600, and not -1"),
        ({"wait": "5"}, "wait is a number of seconds from 0 to 3600, and not '5'"),
        ({"wait": True}, "wait is a number of seconds from 0 to 3600, and not True"),
        ({"wait": None}, "wait is a number of seconds from 0 to 3600, and not None"),
        ({"wait": 3601}, "wait is a number of seconds from 0 to 3600, and not 3601"),
        ({"wait": float("nan")}, "wait is a number of seconds from 0 to 3600, and not nan"),
        ({"lease": 3601}, "lease is a whole number of seconds from 1 to 3600, and not 3601"),
        ({"lease": 0}, "lease is a whole number of seconds from 1 to 3600, and not 0"),
        ({"lease": 1.5}, "lease is a whole number of seconds from 1 to 3600, and not 1.5"),
        ({"lease": True}, "lease is a whole number of seconds from 1 to 3600, and not True"),
        ({"lease": "30"}, "lease is a whole number of seconds from 1 to 3600, and not '30'"),
    ],
    ids=str,
)
@pytest.mark.parametrize("handler", ["wsgi"], indirect=True)
def test_what_are_no_seconds(arguments: Any, words: str) -> None:
    """What can be no time to wait, or to have the session, is told where it is written."""
    with pytest.raises(TypeError, match=words):
        session_exclusive(**arguments)
    with pytest.raises(TypeError, match=words):
        session_exclusive(look, **arguments)


@pytest.mark.parametrize("thing", [5, "view", ShopSession])
@pytest.mark.parametrize("handler", ["wsgi"], indirect=True)
def test_what_is_no_view(thing: Any) -> None:
    """What is neither a view nor a request is told so, and brackets do not hide it."""
    with pytest.raises(TypeError, match=r"is neither a view nor a request|is no view"):
        session_exclusive(thing)
    with pytest.raises(TypeError, match=r"is neither a view nor a request|is no view"):
        session_exclusive(wait=1)(thing)
    with pytest.raises(TypeError, match="for views, which have the request as their first argument"):
        session_exclusive(lambda *args: None)(5)
