"""After the answer: what would be lost raises or is told in the log, and what can still be done is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.contrib.auth.models import User
from django.http import FileResponse, HttpResponse, StreamingHttpResponse

from tests.sessions import CartLine, ShopSession
from tests.web.browser import ID, Answer, Asgi, Browser
from tests.web.conftest import NewBrowser
from tests.web.options.conftest import Look, told
from tests.web.options.test_readonly import CHANGES, OURS
from tests.web.signing import Request, cart, put_in_cart, sign_in, status, who
from tests.web.urls import View, address
from typed_sessions import live_sessions, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.decorators import session_exclusive, session_readonly
from typed_sessions.exceptions import SessionCommitted
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine", "clock")

Late = Callable[[Any], object]
"""What is done when the answer has begun."""


def id_of(browser: Browser) -> str:
    return tokens.digest(browser.token)


def streaming(late: Late, code: int = 200, before: Late | None = None) -> View:
    """Streams what `late` shows of the request."""

    def view(request: Any) -> StreamingHttpResponse:
        def body() -> Iterable[str]:
            yield str(late(request))

        if before:
            before(request)
        return StreamingHttpResponse(body(), status=code)

    return view


def async_streaming(late: Late, code: int = 200, before: Late | None = None) -> View:
    """The same in async code, in which the session is loaded before the answer."""

    async def view(request: Any) -> StreamingHttpResponse:
        async def body() -> AsyncIterator[str]:
            yield str(late(request))

        await request.session.aget_typed_session()
        if before:
            before(request)
        return StreamingHttpResponse(body(), status=code)

    return view


each_stream = pytest.mark.parametrize(
    ("handler", "stream"),
    [("wsgi", streaming), ("asgi", async_streaming)],
    indirect=["handler"],
)
Stream = Callable[..., View]


@pytest.fixture
def visitor(clock: Clock, browser: Browser) -> Browser:
    def begin(request: Request) -> None:
        request.typed_session.cart.append(CartLine("tea"))
        request.session.update({"seen": "tea", "list": [1]})

    browser.visit(begin)
    return browser


def change(request: Any) -> None:
    request.typed_session.cart[0].quantity = 7
    request.session["list"].append(2)


def look(request: Any) -> str:
    session = request.typed_session
    return f"{session.cart[0].quantity} {session.currency} {sorted(request.session.items())}"


UNCHANGED = "1 EUR [('list', [1]), ('seen', 'tea')]"


@each_stream
def test_what_is_said(visitor: Browser, verbs: Verbs, stream: Stream) -> None:
    """Assignment, a change of the bag and a new token raise, and say how to do it in time, and past the request."""
    session_id = id_of(visitor)

    def late(request: Any) -> str:
        assert look(request) == UNCHANGED
        for name, (do, fields) in CHANGES.items():
            if name == "save":
                continue  # which is another matter
            with pytest.raises(SessionCommitted) as caught:
                do(request)
            assert (caught.value.session_id, caught.value.fields) == (session_id, fields)
            assert str(caught.value) == (
                f"Session {session_id}: {', '.join(fields) or 'it'} cannot be changed any more, because the request "
                "has been answered. Change it before that, or use live_sessions.update(id, change). A test that makes "
                "a request by hand calls the middleware's process_request(request)."
            )
        return look(request)

    verbs.take()
    answer = visitor.visit(stream(late))
    assert (answer.text, answer.ours) == (UNCHANGED, {})
    assert verbs.take() == ["load"]
    assert visitor.visit(look).text == UNCHANGED


@pytest.mark.parametrize("handler", ["asgi"], indirect=True)
def test_async_ways(browser: Browser) -> None:
    """The ways that async code has raise the same."""

    async def view(request: Any) -> StreamingHttpResponse:
        async def body() -> AsyncIterator[str]:
            session = request.session
            for late in (session.aset("x", 1), session.aupdate({"x": 1}), session.acycle_key()):
                with pytest.raises(SessionCommitted):
                    await late
            yield "done"

        await request.session.aset("seen", "tea")
        return StreamingHttpResponse(body())

    assert browser.visit(view).text == "done"


@each_stream
def test_nested_change_is_told(visitor: Browser, caplog: Any, stream: Stream) -> None:
    """A nested change that nobody has saved is an error in the log, by the id and what was changed, and no token."""
    answer = visitor.visit(stream(change))
    assert answer.status == 200
    words = (
        f"Session {id_of(visitor)}: cart, session['list'] changed after the answer had begun, and was not saved. "
        "Change it before, or use live_sessions.update(id, change)."
    )
    assert told(caplog.records) == [words]
    assert visitor.token not in caplog.text
    assert [record.levelname for record in caplog.records if record.name == "typed_sessions"] == ["ERROR"]
    assert visitor.visit(look).text == UNCHANGED


@each_stream
def test_what_cannot_be_stored(visitor: Browser, caplog: Any, stream: Stream) -> None:
    """Nested values that no session can hold are told as well."""

    def late(request: Any) -> None:
        request.typed_session.cart[0].quantity = object()
        request.session["list"].append(object())

    assert visitor.visit(stream(late)).status == 200
    assert [line.partition(" changed")[0] for line in told(caplog.records)] == [
        f"Session {id_of(visitor)}: cart, session['list']"
    ]


@each_stream
def test_what_was_changed_in_time(visitor: Browser, caplog: Any, stream: Stream) -> None:
    """What was changed before the answer is saved with it, and reading in it is no change."""
    answer = visitor.visit(stream(look, before=change))
    assert answer.text == "7 EUR [('list', [1, 2]), ('seen', 'tea')]"
    assert told(caplog.records) == []
    assert visitor.visit(look).text == answer.text


@each_stream
def test_answer_of_500_and_above(visitor: Browser, caplog: Any, stream: Stream) -> None:
    """What is not saved because of the status is not told of, not even what could not have been saved."""

    def spoil(request: Any) -> None:
        change(request)
        request.typed_session.cart[0].quantity = object()

    for before in (change, spoil):
        assert visitor.visit(stream(lambda request: "own words", 503, before)).text == "own words"
    assert told(caplog.records) == []
    assert visitor.visit(look).text == UNCHANGED


@each_stream
def test_when_told_to_save(visitor: Browser, configure: Configure, caplog: Any, stream: Stream) -> None:
    """With SAVE="explicit" what nobody has saved in time is not told of either."""
    configure(SAVE="explicit")

    def spoil(request: Any) -> None:
        request.typed_session.cart[0].quantity = object()

    assert visitor.visit(stream(lambda request: "page", before=spoil)).text == "page"
    assert told(caplog.records) == []


@pytest.mark.parametrize("handler", ["wsgi"], indirect=True)
def test_session_that_is_first_asked_for_in_the_stream(visitor: Browser, verbs: Verbs, caplog: Any) -> None:
    """It is loaded then, and restrained at once."""

    def late(request: Any) -> str:
        with pytest.raises(SessionCommitted):
            request.session["x"] = 1
        change(request)
        return look(request)

    verbs.take()
    assert visitor.visit(streaming(late)).text.startswith("7 EUR")
    assert verbs.take() == ["load"]
    assert len(told(caplog.records)) == 1


@each_stream
def test_answer_that_nobody_reads(visitor: Browser, caplog: Any, stream: Stream) -> None:
    """What is not read changes nothing, and is closed like any other."""
    assert visitor.visit(stream(change, 304)).status == 304
    assert len(told(caplog.records)) in (0, 1)  # servers send no body, handlers may run through it
    assert visitor.visit(look).text == UNCHANGED


@each_stream
def test_save_in_the_stream(visitor: Browser, caplog: Any, stream: Stream) -> None:
    """`save()` stores nested changes of a stored session, over what others have stored; nothing is told in the log."""

    def late(request: Any) -> str:
        change(request)
        live_sessions.update(session_id, lambda session: setattr(session, "currency", "USD"))
        request.session.save()
        return look(request)

    session_id = id_of(visitor)
    answer = visitor.visit(stream(late))
    assert answer.text == "7 USD [('list', [1, 2]), ('seen', 'tea')]"
    assert (answer.ours, told(caplog.records)) == ({}, [])
    assert visitor.visit(look).text == answer.text


@each_stream
def test_changes_after_the_save(visitor: Browser, caplog: Any, stream: Stream) -> None:
    """Only what is not stored in the end is told of."""

    def late(request: Any) -> None:
        change(request)
        request.session.save()
        request.typed_session.visited.add("late")
        request.typed_session.cart[0].quantity = 1
        request.typed_session.cart[0].quantity = 7

    visitor.visit(stream(late))
    assert [line.partition(" changed")[0] for line in told(caplog.records)] == [f"Session {id_of(visitor)}: visited"]


@each_stream
def test_save_that_the_client_cannot_learn_of(new_browser: NewBrowser, user: User, stream: Stream) -> None:
    """A session that would begin in the stream cannot be told to the client, so it does not begin; nor a copy of one
    under a new token.
    """
    browser = new_browser()

    def late(request: Any) -> str:
        request.typed_session.visited.add("late")
        for save in (request.session.save, request.session.create, lambda: request.session.save(must_create=True)):
            with pytest.raises(SessionCommitted) as caught:
                save()
            assert str(caught.value).startswith(f"Session {request.typed_session.id or '(not stored)'}: it cannot")
        return "done"

    answer = browser.visit(stream(late))
    assert (answer.text, answer.ours) == ("done", {})


@each_stream
@pytest.mark.parametrize("code", [200, 503])
def test_new_token_that_was_not_stored(visitor: Browser, stream: Stream, code: int) -> None:
    """What a status of 500 has kept from being stored is not stored by a save in the stream."""
    before = visitor.token

    def late(request: Any) -> str:
        try:
            request.session.save()
        except SessionCommitted:
            return "refused"
        return "saved"

    answer = visitor.visit(stream(late, code, lambda request: request.session.cycle_key()))
    assert answer.text == ("saved" if code == 200 else "refused")
    assert (visitor.token != before) == (code == 200)
    assert visitor.visit(look).text == UNCHANGED


@each_stream
def test_update_in_the_stream(visitor: Browser, caplog: Any, stream: Stream) -> None:
    """`live_sessions.update` is the way to change the session then."""

    def late(request: Any) -> str:
        session = live_sessions.update(request.typed_session.id, lambda session: setattr(session, "currency", "USD"))
        return str(session.currency)

    assert visitor.visit(stream(late)).text == "USD"
    assert told(caplog.records) == []
    assert visitor.visit(look).text.startswith("1 USD")


@each_stream
def test_ending_in_the_stream(visitor: Browser, caplog: Any, stream: Stream) -> None:
    """The session can still be ended, though the browser keeps its cookies."""
    change_first = visitor.copy()

    def late(request: Any) -> str:
        change(request)
        request.session.flush()
        with pytest.raises(SessionCommitted):
            request.typed_session.currency = "USD"
        with pytest.raises(SessionCommitted):
            request.session["x"] = 1
        return "done"

    answer = visitor.visit(stream(late))
    assert (answer.text, answer.ours, told(caplog.records)) == ("done", {}, [])
    assert change_first.visit(status).text == "ended logged_out"


@each_stream
@pytest.mark.parametrize("option", [session_readonly, session_exclusive])
def test_options_of_the_view_are_over(visitor: Browser, record_of: Look, stream: Stream, option: Any) -> None:
    """The stream is behind the view: what restrains it is the answer."""

    def late(request: Any) -> str:
        assert record_of(visitor).lease is None
        with pytest.raises(SessionCommitted):
            request.typed_session.currency = "USD"
        with session_readonly(request), pytest.raises(SessionCommitted):
            request.typed_session.currency = "USD"
        return look(request)

    assert visitor.visit(option(stream(late))).text == UNCHANGED


@each_stream
def test_part_of_the_stream(visitor: Browser, caplog: Any, stream: Stream) -> None:
    """A read-only part of it changes nothing about that."""

    def late(request: Any) -> None:
        with session_readonly(request):
            change(request)

    visitor.visit(stream(late))
    assert len(told(caplog.records)) == 1


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")
def test_file(visitor: Browser, caplog: Any, tmp_path: Any, verbs: Verbs) -> None:
    """A file that a view sends has nothing to do with the session."""
    (tmp_path / "report.txt").write_text("report")
    verbs.take()

    def view(request: Any) -> FileResponse:
        return FileResponse((tmp_path / "report.txt").open("rb"))

    assert visitor.visit(view).text == "report"
    assert (verbs.take(), told(caplog.records)) == ([], [])


# The user


@pytest.fixture
def signed_in(visitor: Browser, user: User) -> Browser:
    visitor.visit(sign_in(user))
    return visitor


def user_late(request: Any) -> str:
    return f"{request.user} {request.typed_session.user_name}"


def stream_of_user(request: Any) -> StreamingHttpResponse:
    """Asks for the user when the answer has begun, and for nothing before."""

    def body() -> Iterable[str]:
        yield user_late(request)

    return StreamingHttpResponse(body())


async def async_stream_of_user(request: Any) -> StreamingHttpResponse:
    async def body() -> AsyncIterator[str]:
        user = await request.auser()
        yield f"{user} {(await request.session.aget_typed_session()).user_name}"

    return StreamingHttpResponse(body())


each_stream_of_user = pytest.mark.parametrize(
    ("handler", "view"), [("wsgi", stream_of_user), ("asgi", async_stream_of_user)], indirect=["handler"]
)


@each_stream_of_user
def test_user(signed_in: Browser, caplog: Any, view: View) -> None:
    """Who the user is can be asked for the first time when the answer has begun."""
    assert signed_in.visit(view).text == "ada ada"
    assert told(caplog.records) == []


@each_stream_of_user
def test_user_after_a_new_secret_key(
    signed_in: Browser, settings: Settings, record_of: Look, verbs: Verbs, caplog: Any, view: View
) -> None:
    """After a change of SECRET_KEY the user is found as well; the session waits for its new hash and token."""
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "new, and long enough for all of them"
    before, token = record_of(signed_in), signed_in.token
    verbs.take()
    answer = signed_in.visit(view)
    assert (answer.text, answer.ours, verbs.take()) == ("ada ada", {}, ["load"])
    assert told(caplog.records) == []
    assert record_of(signed_in) == before
    assert signed_in.visit(who).text.startswith("ada ada")
    signed_in.visit(lambda request: request.user.is_authenticated)
    assert signed_in.token != token
    settings.SECRET_KEY_FALLBACKS = []
    assert signed_in.visit(who).text.startswith("ada ada")


@each_stream_of_user
def test_snapshot_of_the_user(
    signed_in: Browser, user: User, configure: Configure, clock: Clock, caplog: Any, view: View
) -> None:
    """A new snapshot of the user that comes too late is not stored, and nobody is blamed for it."""
    configure(USER_SNAPSHOT_AGE=60)
    signed_in.visit(sign_in(user))
    clock.advance(61)
    User.objects.update(first_name="Augusta")
    assert signed_in.visit(view).text == "ada ada"
    assert told(caplog.records) == []


@each_stream_of_user
def test_revoked_account(signed_in: Browser, caplog: Any, view: View) -> None:
    """A sign-in that is not good any more ends then, too."""
    User.objects.update(is_active=False)
    kept = signed_in.copy()
    assert signed_in.visit(view).text == "AnonymousUser None"
    assert kept.visit(status).text == "ended user_inactive"
    assert told(caplog.records) == []


# Behind the stream, and in front of the middleware


class Above:
    """A middleware in front of ours, which comes too late with what it wants to change."""

    sync_capable = async_capable = True
    seen: list[object]

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if iscoroutinefunction(self.get_response):
            return self._acall(request)
        return self._change(request, self.get_response(request))

    async def _acall(self, request: Any) -> Any:
        return self._change(request, await self.get_response(request))

    def _change(self, request: Any, response: HttpResponse) -> HttpResponse:
        for late in (
            lambda: setattr(request.typed_session, "currency", "USD"),
            lambda: request.session.update({"x": 1}),
            lambda: setattr(request, "typed_session", ShopSession()),
        ):
            with pytest.raises(SessionCommitted):
                late()
        response["X-Seen"] = str(request.typed_session.currency)
        return response


def test_middleware_in_front_of_ours(new_site: Callable[..., Browser]) -> None:
    """What stands in front of the middleware reads the session when the answer is known, and does not change it."""
    browser = new_site(f"{__name__}.Above", OURS)
    browser.visit(put_in_cart())
    answer = browser.visit(cart)
    assert (answer.text, answer["X-Seen"]) == ("['a'] a", "EUR")
    assert browser.visit(cart).text == "['a'] a"


@pytest.mark.parametrize(("engine", "handler"), [("redis", "asgi")], indirect=True)
async def test_task_that_outlives_its_request(engine: type[SessionStore], caplog: Any) -> None:
    """A task that a view leaves behind cannot change the session any more; it can save nested changes, and update."""
    begun = engine()
    await begun.aset("list", [1])
    await begun.acreate()
    session_id = begun.typed_session.id
    assert session_id is not None
    answered = asyncio.Event()
    tasks: list[asyncio.Task[str]] = []

    async def view(request: Any) -> str:
        session = await request.session.aget_typed_session()

        async def work() -> str:
            await answered.wait()
            with pytest.raises(SessionCommitted):
                session.currency = "USD"
            with pytest.raises(SessionCommitted):
                await request.session.aset("x", 1)
            (await request.session.aget("list")).append(2)
            await request.session.asave()
            updated = await live_sessions.aupdate(session_id, lambda fresh: setattr(fresh, "currency", "GBP"))
            return str(updated.currency)

        tasks.append(asyncio.create_task(work()))
        return "answered"

    answer: Answer = await Asgi().ask("GET", address(view), "", {"cookie": f"{ID}={begun.session_key}"})
    assert answer.text == "answered"
    answered.set()
    assert await tasks[0] == "GBP"
    after = engine(begun.session_key)
    assert (await after.aget("list"), (await after.aget_typed_session()).currency) == ([1, 2], "GBP")  # type: ignore[attr-defined]  # of the class of the tests
    assert told(caplog.records) == []
