"""Where a token may come from (REQ-S19 to REQ-S28): one way for each request, and never by halves."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib import auth
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path

from tests.web.browser import ID, OPT, PID, X_ID, X_OPT, X_PID, Answer, ApiClient, Asgi, Browser, is_deleted, place_of
from tests.web.conftest import PASSWORD
from tests.web.everywhere.visitors import NewVisitor, is_signed_in
from tests.web.matrix import each_engine_once, each_way, two_engines
from tests.web.signing import Request, async_sign_in, async_sign_out, cart, put_in_cart, sign_in, sign_out, status, who
from tests.web.stored import raw_records
from tests.web.urls import View, address
from typed_sessions import SessionMode, aget_session, get_session, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import InvalidSessionToken
from typed_sessions.testing.engines import Clock, Configure, Verbs
from typed_sessions.transports import Source

if TYPE_CHECKING:
    from pytest_django import Settings

NOBODY = "anonymous anonymous None"
SECURITY = "django.security.typed_sessions"

pytestmark = pytest.mark.usefixtures("engine", "clock")

by_header = pytest.mark.usefixtures("_headers")


@pytest.fixture
def _headers(engine: type[SessionStore], configure: Configure) -> None:
    configure(HEADERS=["/"])


class Signed:
    """Two users: ada, with a temporary token, and grace, with a permanent one; as cookies and as headers."""

    def __init__(self, browser: Browser, ada: User, grace: User) -> None:
        self.ada, self.grace = browser.copy(), browser.copy()
        self.ada.visit(sign_in(ada, remember=False))
        self.grace.visit(sign_in(grace, remember=True))
        self.cookies = {
            "none": {},
            "ada": {ID: self.ada.token, OPT: "temp"},
            "grace": {PID: self.grace.token, OPT: "perm", ID: self.grace.cookies[ID]},
        }
        self.headers = {
            "none": {},
            "announced": {X_OPT: "perm"},
            "ada": {X_ID: self.ada.token},
            "grace": {X_PID: self.grace.token, X_OPT: "perm"},
        }


@pytest.fixture
def signed(browser: Browser, user: User, other_user: User) -> Signed:
    return Signed(browser, user, other_user)


@contextmanager
def untouched(engine: type[SessionStore], *tokens_of_others: str) -> Iterator[None]:
    """What is stored of these sessions is the same before and after."""

    def stored() -> list[object]:
        return [engine().store.load(tokens.digest(token)) for token in tokens_of_others]

    before = stored()
    yield
    assert stored() == before


# REQ-S19


@by_header
@each_engine_once
@pytest.mark.parametrize("cookie", ["none", "ada", "grace"])
@pytest.mark.parametrize("header", ["none", "announced", "ada", "grace"])
def test_s19_one_source_counts(
    signed: Signed, engine: type[SessionStore], clock: Clock, handler: str, header: str, cookie: str
) -> None:
    """If there is any header of ours, cookies are neither read nor extended, set or deleted; without one they count."""
    cookies, headers = signed.cookies[cookie], signed.headers[header]
    browser = Browser(signed.ada.ask, dict(cookies))
    counts = cookie if header == "none" else header
    name = {"none": "anonymous", "announced": "anonymous"}.get(counts, counts)
    ignored = [one.token for one in (signed.ada, signed.grace) if one is not getattr(signed, counts, None)]
    clock.advance(3600)  # so that whatever is used is extended
    with untouched(engine, *ignored):
        answer = browser.visit(who, **headers)
        assert answer.text.startswith(f"{name} {name} ")
        browser.visit(put_in_cart(), **headers)
        leave = async_sign_out if handler == "asgi" else sign_out
        left = browser.visit(leave, **headers)
        assert left.status == 200
    if header != "none":
        assert (answer.ours, left.ours) == ({}, {})
        assert browser.cookies.items() >= cookies.items()
    assert is_signed_in(signed.ada) is (counts != "ada")
    assert is_signed_in(signed.grace, "grace") is (counts != "grace")


@by_header
@each_engine_once
def test_s19_sign_in_by_header_leaves_the_browser_alone(
    signed: Signed, engine: type[SessionStore], user: User, handler: str
) -> None:
    """A sign-in by header neither ends nor takes over the session of the cookies that come along."""
    browser = Browser(signed.ada.ask, dict(signed.cookies["grace"]))
    enter = async_sign_in if handler == "asgi" else sign_in
    with untouched(engine, signed.grace.token):
        answer = browser.visit(enter(user), X_ss_opt="temp")
    assert answer.ours == {}
    assert answer.told[X_ID] not in browser.cookies.values()
    assert is_signed_in(ApiClient(browser.ask, answer.told))
    assert is_signed_in(browser, "grace")


@by_header
@each_engine_once
def test_s19_source_is_told(signed: Signed) -> None:
    """The session says which way its request's identity came."""

    def source(request: Any) -> str:
        told: Source = request.session.source
        return told.value

    assert signed.ada.visit(source).text == "cookie"
    assert signed.ada.visit(source, **signed.headers["grace"]).text == "header"
    assert signed.ada.visit(source, X_ss_opt="temp").text == "header"
    assert Browser(signed.ada.ask).visit(source).text == "cookie"


# REQ-S20


def bad_headers(signed: Signed, engine: type[SessionStore], user: User, clock: Clock) -> dict[str, dict[str, str]]:
    """Every kind of header that opens nothing. Time goes by, so that there is an expired one."""
    short, ended = Browser(signed.ada.ask), ApiClient(signed.ada.ask)
    short.visit(sign_in(user))
    short.visit(lambda request: request.session.set_expiry(60))
    ended.visit(sign_in(user))
    before = ended.copy()
    ended.visit(sign_in(user))
    clock.advance(61)
    ada, grace = signed.ada.token, signed.grace.token
    return {
        "junk": {X_ID: "junk"},
        "empty": {X_ID: ""},
        "blanks": {X_ID: "  "},
        "long": {X_ID: "a" * 65_536},
        "forged": {X_ID: ada[:-1] + ("0" if ada[-1] != "0" else "1")},
        "upper case": {X_ID: ada.upper()},
        "id": {X_ID: tokens.digest(ada)},
        "unknown": {X_ID: tokens.issue(SessionMode.TEMP)},
        "unknown permanent": {X_PID: tokens.issue(SessionMode.PERM), X_OPT: "perm"},
        "blank": {X_ID: signed.grace.cookies[ID]},
        "expired": {X_ID: short.token},
        "ended": {X_ID: before.token},
        "empty permanent": {X_PID: "", X_OPT: "perm"},
        "temporary as permanent": {X_PID: ada, X_OPT: "perm"},
        "permanent as temporary": {X_ID: grace},
        "permanent without option": {X_PID: grace},
        "permanent with temp": {X_PID: grace, X_OPT: "temp"},
        "permanent with perm,perm": {X_PID: grace, X_OPT: "perm,perm"},
        "temporary with perm": {X_ID: ada, X_OPT: "perm"},
        "two options": {X_ID: ada, X_OPT: "temp", "X-ss-opts": "perm"},
        "two options for the permanent": {X_PID: grace, X_OPT: "perm", "X-ss-opts": "temp"},
        "twice": {X_ID: f"{ada},{ada}"},
        "twice, spaced": {X_ID: f"{ada}, {ada}"},
        "option twice": {X_PID: grace, X_OPT: "perm, perm"},
    }


@by_header
@each_engine_once
def test_s20_s24_bad_header_is_refused(
    signed: Signed, engine: type[SessionStore], user: User, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is wrong with a header, it is a 401 that says so; a good cookie does not help, and is not lost."""
    bad = bad_headers(signed, engine, user, clock)
    others = [signed.ada.token, signed.grace.token]
    caplog.clear()
    for cookies in (signed.cookies["none"], signed.cookies["grace"]):
        browser = Browser(signed.ada.ask, dict(cookies))
        with untouched(engine, *others):
            for what, headers in bad.items():
                for view in (who, sign_in(user)):
                    expect_unauthorized(browser.visit(view, **headers), what)
        assert browser.cookies == cookies
    written = " ".join(str(vars(record)) for record in caplog.records if record.name != "django.db.backends")
    assert not any(token in written for token in others)
    assert is_signed_in(signed.ada)
    assert is_signed_in(signed.grace, "grace")


def expect_unauthorized(answer: Answer, what: str = "") -> None:
    assert answer.status == 401, what
    assert answer["Content-Type"] == "application/json"
    said = json.loads(answer.text)
    assert said.keys() == {"detail", "code"}
    assert all(said.values())
    assert answer["WWW-Authenticate"]
    assert "no-store" in answer["Cache-Control"]
    assert (answer.cookies, answer.told) == ({}, {})


def uses() -> dict[str, View]:
    """Each way for a view to be the first to ask for the session."""

    async def awaited_user(request: Any) -> object:
        return await request.auser()

    async def awaited_item(request: Any) -> object:
        return await request.session.aget("seen")

    async def awaited_session(request: Any) -> object:
        return await aget_session(request, type(await request.session.aget_typed_session()))

    async def awaited_sign_out(request: Any) -> None:
        await auth.alogout(request)

    def caught(request: Any) -> str:
        for _ in range(2):
            with pytest.raises(InvalidSessionToken):
                _ = request.typed_session
        with pytest.raises(InvalidSessionToken):
            _ = request.user.is_authenticated
        request.session["color"] = "red"
        return "not reached"

    return {
        "typed_session": lambda request: request.typed_session,
        "get_session": lambda request: get_session(request, object),  # type: ignore[type-var]
        "item": lambda request: request.session.get("seen"),
        "containing": lambda request: "seen" in request.session,
        "setting": lambda request: request.session.__setitem__("seen", 1),
        "keys": lambda request: list(request.session.keys()),
        "expiry": lambda request: request.session.set_expiry(60),
        "user": lambda request: request.user.is_authenticated,
        "template": lambda request: engines["django"].from_string("{{ user.username }}").render({}, request),
        "sign-out": auth.logout,
        "awaited user": awaited_user,
        "awaited item": awaited_item,
        "awaited session": awaited_session,
        "awaited sign-out": awaited_sign_out,
        "caught": caught,
    }


@by_header
@two_engines
@pytest.mark.parametrize("use", uses())
@pytest.mark.parametrize("token", ["junk", "unknown"])
def test_s20_first_use_is_refused(signed: Signed, token: str, use: str) -> None:
    """However a view asks for the session first, it gets the error, and the client its 401."""
    text = tokens.issue(SessionMode.TEMP) if token == "unknown" else token
    expect_unauthorized(signed.ada.visit(uses()[use], X_ss_id=text), use)


@by_header
@two_engines
def test_s20_view_without_a_session(signed: Signed, verbs: Verbs) -> None:
    """A view that does not use the session does not notice what is wrong with the header, and costs nothing."""

    async def asynchronous(request: HttpRequest) -> str:
        return "public"

    verbs.take()
    for view in (lambda request: "public", asynchronous):
        answer = signed.ada.visit(view, X_ss_id="junk")
        assert (answer.status, answer.text, answer.ours, answer.told) == (200, "public", {}, {})
    assert verbs.take() == []


@by_header
@two_engines
def test_s20_middleware_that_needs_the_session(
    new_site: Callable[..., Browser], settings: Settings, user: User
) -> None:
    """It is a 401 also if another middleware, and not the view, asks for the session."""
    browser = new_site(*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware")
    expect_unauthorized(browser.visit(lambda request: "", X_ss_id="junk"))
    expect_unauthorized(browser.visit(lambda request: "", X_ss_id=tokens.issue(SessionMode.TEMP)))


# REQ-S21


@each_engine_once
def test_s21_headers_are_off(signed: Signed) -> None:
    """Without HEADERS a token in a header opens nothing, and the cookie counts as ever."""
    for headers in signed.headers.values():
        assert Browser(signed.ada.ask).visit(who, **headers).text == NOBODY
        answer = signed.ada.visit(who, **headers)
        assert (answer.text.split()[0], answer.told) == ("ada", {})
        assert "X-ss" not in answer["Vary"]


@each_engine_once
def test_s21_headers_count_under_their_paths(signed: Signed, configure: Configure) -> None:
    """Headers count under the prefixes of HEADERS, and elsewhere do nothing."""
    configure(HEADERS=["/async/", "/api/"])

    async def asynchronous(request: Any) -> str:
        return str(await request.auser())

    header = signed.headers["grace"]
    assert signed.ada.visit(asynchronous, **header).text == "grace"
    assert signed.ada.visit(who, **header).text.startswith("ada ada ")
    assert signed.ada.visit(who, X_ss_id="junk").text.startswith("ada ada ")
    assert Browser(signed.ada.ask).visit(who, **header).text == NOBODY


# REQ-S22


def whoever(request: HttpRequest, rest: str = "") -> HttpResponse:
    return HttpResponse(who(request))  # type: ignore[arg-type]


urlpatterns = [path("at/", whoever), path("at/<path:rest>", whoever)]


@by_header
@two_engines
@pytest.mark.parametrize("remember", [False, True])
def test_s22_token_in_any_other_place(browser: Browser, user: User, settings: Settings, remember: bool) -> None:
    """A token in the query, the form, JSON, the path or another header opens nothing, also for clients by header."""
    browser.visit(sign_in(user, remember))
    token = browser.token
    settings.ROOT_URLCONF = __name__
    named = dict.fromkeys((ID, PID, X_ID, X_PID, "sessionid", "session_key", "SessionId", "token"), token)
    named |= {OPT: "perm" if remember else "temp", X_OPT: "perm" if remember else "temp"}
    query = "&".join(f"{name}={value}" for name, value in named.items())
    headers = {"Authorization": f"Bearer {token}", "X_Session_Id": token, "Referer": f"http://testserver/?{query}"}
    for extra in ({}, {X_OPT: "temp"}):
        sent = {**extra, "content-type": "application/x-www-form-urlencoded"}
        asked = [
            browser.ask("GET", f"/at/?{query}", "", extra),
            browser.ask("GET", f"/at/;ss-id={token}", "", extra),
            browser.ask("GET", f"/at/(S({token}))/{token}", "", extra),
            browser.ask("GET", "/at/", "", {**extra, **{name.replace("_", "-"): v for name, v in headers.items()}}),
            browser.ask("POST", "/at/", query, {**sent, **csrf(browser)}),
            browser.ask("POST", "/at/", json.dumps(named), {**extra, **csrf(browser)}),
        ]
        assert [(answer.status, answer.text) for answer in asked] == [(200, NOBODY)] * 6


def csrf(browser: Browser) -> dict[str, str]:
    """What lets a form through that is sent with the cookie of CSRF alone."""
    token = browser.cookies["csrftoken"]
    return {"cookie": f"csrftoken={token}", "x-csrftoken": token}


@each_way
@pytest.mark.parametrize("remember", [False, True])
def test_s22_token_in_no_address_and_no_page(new_visitor: NewVisitor, user: User, remember: bool) -> None:
    """No redirect and no page of Django's own shows a token, signing in, in and out of the admin, and at errors."""
    User.objects.update(is_staff=True, is_superuser=True)
    visitor = new_visitor()
    visitor.visit(sign_in(user, remember))
    seen = {visitor.token}

    def broken(request: Request) -> None:
        raise ValueError(request.typed_session)

    answers = [
        visitor.get("/admin/"),
        visitor.get("/admin/auth/user/"),
        visitor.get("/accounts/password_change/"),
        visitor.get("/nowhere/"),
        visitor.visit(broken),
        visitor.visit(lambda request: engines["django"].from_string("{% debug %}{{ request }}").render({}, request)),
        visitor.post("/accounts/login/?next=/admin/", username=user.username, password=PASSWORD),
    ]
    seen.add(visitor.token)
    answers.append(visitor.post("/accounts/logout/?next=/"))
    answers.append(visitor.get("/admin/"))
    assert {answer.status for answer in answers} >= {200, 302, 404, 500}
    for answer in answers:
        assert not any(token in answer["Location"] + answer.text for token in seen)


# REQ-S23


@by_header
@each_engine_once
@pytest.mark.parametrize("remember", [False, True])
def test_s23_header_request_sets_no_cookie(
    browser: Browser, user: User, clock: Clock, handler: str, remember: bool
) -> None:
    """Whatever happens to a session by header, its token is told in a header, and no cookie is set nor deleted."""
    enter, leave = (async_sign_in, async_sign_out) if handler == "asgi" else (sign_in, sign_out)
    client = ApiClient(browser.ask)

    def steps() -> Iterator[tuple[View, bool]]:
        """Each with whether it gives a new token."""
        yield status, False
        yield put_in_cart(), True
        yield put_in_cart(), False
        yield enter(user, remember), True
        yield who, False
        yield lambda request: request.session.cycle_key(), True
        clock.advance(3600)
        yield who, False
        yield lambda request: request.session.set_expiry(60), False
        yield enter(user, not remember), True
        yield leave, False

    told: list[str] = []
    for view, is_new in steps():
        answer = client.visit(view, cookie="ss-id=junk; ss-pid=junk; ss-opt=perm; X-UAId=1")
        assert (answer.status, answer.ours) == (200, {})
        assert not any(name.startswith("ss-") or name == "X-UAId" for name in answer.cookies)
        assert bool(answer.told) is is_new
        if is_new:
            assert answer["Cache-Control"] == "private, no-store"
            told.append(client.token)
            assert client.token not in answer.text
    assert len(set(told)) == len(told) == 4
    expect_unauthorized(client.visit(who))


@by_header
@each_engine_once
def test_s23_cookie_request_tells_no_token_in_a_header(browser: Browser, user: User, handler: str) -> None:
    """A browser gets its tokens in cookies alone, which scripts of the page cannot read."""
    enter, leave = (async_sign_in, async_sign_out) if handler == "asgi" else (sign_in, sign_out)
    for view in (put_in_cart(), enter(user, True), who, enter(user, False), leave):
        answer = browser.visit(view)
        assert answer.told == {}
        for token in [browser.cookies.get(ID), browser.cookies.get(PID)]:
            assert token is None or token not in answer.text
            outside = [value for name, value in answer.lines if name.lower() != "set-cookie"]
            assert token is None or token not in outside


# REQ-S24


@by_header
@two_engines
@pytest.mark.parametrize("spelling", [X_OPT, "X-ss-opts", "both"])
def test_s24_two_spellings_that_agree(signed: Signed, spelling: str) -> None:
    """The option may come in either spelling, or in both if they agree."""
    names = (X_OPT, "X-ss-opts") if spelling == "both" else (spelling,)
    client = ApiClient(signed.ada.ask, {X_PID: signed.grace.token, **dict.fromkeys(names, "perm")})
    assert is_signed_in(client, "grace")


@by_header
@pytest.mark.parametrize(("engine", "handler"), [("db", "asgi"), ("redis", "asgi")], indirect=True)
def test_s24_header_that_came_twice(signed: Signed, engine: type[SessionStore]) -> None:
    """A header of ours in two lines is refused, whether they agree or not, and one with an underscore is not ours."""
    ada, grace = signed.ada.token.encode(), signed.grace.token.encode()
    ask = async_to_sync(Asgi().ask)
    cookies = {"cookie": f"ss-id={signed.ada.token}"}
    with untouched(engine, signed.ada.token, signed.grace.token):
        for first, second in ((ada, ada), (ada, b"junk"), (b"junk", ada), (ada, grace), (b"", ada)):
            lines = [(b"x-ss-id", first), (b"x-ss-id", second)]
            expect_unauthorized(ask("GET", address(who), "", cookies, *lines))
        permanent = [(b"x-ss-pid", grace), (b"x-ss-opt", b"perm"), (b"x-ss-opt", b"perm")]
        expect_unauthorized(ask("GET", address(who), "", cookies, *permanent))
        underscored = [(b"x_ss_pid", grace), (b"x_ss_opt", b"perm")]
        assert ask("GET", address(who), "", cookies, *underscored).text.startswith("ada ada ")
        assert ask("GET", address(who), "", {}, *underscored).text == NOBODY


# REQ-S26

FOREIGN = [
    {"Sec_Fetch_Site": "cross-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://testserver.evil.example"},
    {"Origin": "https://testserver"},
    {"Origin": "http://testserver:8000"},
    {"Origin": "https://evil.example", "Sec_Fetch_Site": "same-origin"},
]
OWN = [
    {},
    {"Sec_Fetch_Site": "same-origin"},
    {"Sec_Fetch_Site": "none"},
    {"Origin": "http://testserver"},
    {"Origin": "https://app.example", "Sec_Fetch_Site": "cross-site"},
    {"Origin": "https://sub.trusted.example"},
]


@by_header
@two_engines
@pytest.mark.parametrize("headers", FOREIGN)
def test_s26_page_of_another_site_is_refused(
    signed: Signed, engine: type[SessionStore], user: User, settings: Settings, headers: dict[str, str]
) -> None:
    """Headers of ours that a page of another site made the browser send are a 403, whatever token they have."""
    settings.CSRF_TRUSTED_ORIGINS = ["https://app.example", "https://*.trusted.example"]
    before = raw_records(engine)
    for ours in (signed.headers["ada"], signed.headers["grace"], {X_OPT: "temp"}, {X_ID: "junk"}):
        for view in (who, put_in_cart(), sign_in(user)):
            answer = signed.ada.visit(view, **ours, **headers)
            assert answer.status == 403
            assert json.loads(answer.text).keys() == {"detail", "code"}
            assert (answer.ours, answer.told) == ({}, {})
    assert raw_records(engine) == before
    assert signed.ada.visit(who, **headers).text.startswith("ada ada ")  # by cookie; forms have CSRF tokens


@by_header
@two_engines
@pytest.mark.parametrize("headers", OWN)
def test_s26_own_and_trusted_pages_are_served(signed: Signed, settings: Settings, headers: dict[str, str]) -> None:
    """Headers of ours are taken from clients that are no browser, from pages of this site, and of trusted ones."""
    settings.CSRF_TRUSTED_ORIGINS = ["https://app.example", "https://*.trusted.example"]
    assert signed.ada.visit(who, **signed.headers["grace"], **headers).text.startswith("grace grace ")


# REQ-S27


@each_engine_once
@pytest.mark.parametrize("name", [ID, PID, OPT])
def test_s27_cookie_that_came_twice(
    signed: Signed, engine: type[SessionStore], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """The same cookie with two values is nobody's, in either order, and the security log is told, without a token."""
    mine, theirs = signed.grace, Browser(signed.grace.ask)
    theirs.visit(put_in_cart("theirs"))
    other = {ID: theirs.cookies[ID], PID: tokens.issue(SessionMode.PERM), OPT: "temp"}[name]
    rest = "; ".join(f"{key}={value}" for key, value in signed.cookies["grace"].items() if key != name)
    caplog.set_level(logging.WARNING, SECURITY)
    with untouched(engine, mine.token, theirs.token):
        for first, second in ((mine.cookies[name], other), (other, mine.cookies[name]), (mine.cookies[name], "")):
            for between in (f"; {name}", f";{name}", f" ; {name} ", f"; other=1;\t{name}"):
                caplog.clear()
                sent = f"{rest}; {name}={first}{between}={second}"
                answer = Browser(mine.ask).visit(status, cookie=sent)
                assert (answer.text, answer.ours) == ("rejected -", {}), sent
                assert Browser(mine.ask).visit(cart, cookie=sent).text == "[] None"
                told = [record for record in caplog.records if record.name == SECURITY]
                assert told
                assert name in told[0].getMessage()
                assert not any(token in caplog.text for token in (mine.token, theirs.token))
    assert is_signed_in(mine, "grace")


@each_engine_once
def test_s27_cookie_that_came_twice_alike(signed: Signed) -> None:
    """The same cookie twice with one value says one thing."""
    token = signed.ada.token
    assert Browser(signed.ada.ask).visit(who, cookie=f"ss-id={token}; ss-id={token}").text.startswith("ada ada ")
    assert Browser(signed.ada.ask).visit(who, cookie=f"ss-id={token}; a=ss-id=x").text.startswith("ada ada ")


@each_engine_once
def test_s27_sign_in_with_tossed_cookies(signed: Signed, engine: type[SessionStore], user: User, handler: str) -> None:
    """Who has been tossed a cookie can sign in, into a session that nobody else has a token of."""
    planted = Browser(signed.ada.ask)
    planted.visit(put_in_cart("theirs"))
    enter = async_sign_in if handler == "asgi" else sign_in
    sent = f"ss-id={signed.ada.token}; ss-id={planted.token}"
    browser = Browser(signed.ada.ask)
    answer = browser.visit(enter(user), cookie=sent)
    assert answer.text.startswith("ada ")
    assert browser.token not in (signed.ada.token, planted.token)
    assert browser.visit(cart).text == "[] None"
    assert planted.visit(cart).text == "['theirs'] theirs"


PLANTED = [
    ("", "/sync"),
    ("", "/sync/"),
    *((domain, where) for domain in ("shop.example.com", "example.com") for where in ("/", "/sync", "/sync/")),
]
"""Domain and path that a cookie can have to be sent along with the site's own, which is at "/" of this host alone."""


@pytest.mark.parametrize(("engine", "handler"), [("db", "wsgi"), ("redis", "wsgi")], indirect=True)
@pytest.mark.parametrize("name", [ID, PID, OPT])
@pytest.mark.parametrize(("domain", "where"), PLANTED)
def test_s27_planted_cookie_goes(
    browser: Browser, settings: Settings, user: User, name: str, domain: str, where: str
) -> None:
    """What somebody planted beside the site's own cookie is deleted, so that the visitor can sign in to stay."""
    settings.ALLOWED_HOSTS = ["shop.example.com"]
    planted = {(name, domain, where): "temp" if name == OPT else tokens.issue(SessionMode.TEMP)}

    def visit(view: View) -> Answer:
        own = [f"{key}={value}" for key, value in browser.cookies.items()]
        others = [f"{key}={value}" for (key, *_), value in planted.items()]
        answer = browser.visit(view, host="shop.example.com", cookie="; ".join([*others, *own]))
        for morsel in answer.morsels:
            if is_deleted(morsel):
                planted.pop((morsel.key, *place_of(morsel)), None)
        return answer

    for _ in range(3):
        visit(sign_in(user, remember=True))
    assert planted == {}
    assert browser.cookies[OPT] == "perm"
    assert visit(who).text.startswith("ada ada ")


# REQ-S28


@two_engines
@pytest.mark.parametrize(
    "name", ["SS-ID", "Ss-Id", "ss_id", "ss-id\t\t", "=ss-id", "ss-i", "ss-idd", "__Host-ss-id", "ss-id%00", '"ss-id"']
)
def test_s28_names_are_exact(signed: Signed, name: str) -> None:
    """A cookie that is only called like ours, or has no name, is not ours, alone and beside the real one."""
    token = signed.ada.token
    alone = Browser(signed.ada.ask).visit(who, cookie=f"{name}={token}")
    assert alone.text.startswith("ada ada " if name.strip() == ID else NOBODY)
    if name.strip() != ID:
        beside = Browser(signed.ada.ask).visit(who, cookie=f"{name}={tokens.issue(SessionMode.TEMP)}; ss-id={token}")
        assert beside.text.startswith("ada ada ")


@two_engines
@pytest.mark.parametrize("text", ["=ss-pid={}; ss-opt=perm", "ss-pid={}; =ss-opt=perm", "ss-pid; ss-opt=perm; {}"])
def test_s28_cookies_without_a_name_are_ignored(signed: Signed, text: str) -> None:
    """A nameless cookie whose value looks like one of ours opens nothing."""
    sent = text.format(signed.grace.token)
    assert Browser(signed.ada.ask).visit(who, cookie=sent).text == NOBODY


@by_header
@two_engines
@pytest.mark.parametrize("name", ["X-ss", "X-ssid", "ss-id", "X-ss-id-", "XX-ss-id", "X-ss-idd"])
def test_s28_header_names_are_exact(signed: Signed, name: str) -> None:
    """A header that is only called like ours is not ours."""
    browser = Browser(signed.ada.ask, dict(signed.cookies["grace"]))
    assert browser.visit(who, **{name: signed.ada.token}).text.startswith("grace grace ")
    assert Browser(signed.ada.ask).visit(who, **{name: signed.ada.token}).text == NOBODY
