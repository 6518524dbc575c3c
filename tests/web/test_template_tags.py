"""The template tags: what became of the visitor's session, as text and as a sentence."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.template import Context, Engine, RequestContext, Template
from django.template.response import TemplateResponse
from django.test import Client, RequestFactory

from tests.servers.redis import RedisServer
from tests.test_docs import Project, blocks, docs, project
from tests.web.browser import Answer, ApiClient, Browser
from tests.web.options.test_required import arrive
from tests.web.signing import Request, put_in_cart, sign_in, who
from tests.web.urls import View
from typed_sessions import EndReason, SessionMode, SessionStatus, live_sessions, tokens
from typed_sessions.decorators import session_disabled, session_required
from typed_sessions.exceptions import MissingSession
from typed_sessions.templatetags import typed_sessions as tags
from typed_sessions.testing.engines import Clock, Configure, Verbs

if TYPE_CHECKING:
    from pytest_django import Settings

__all__ = ["project"]

pytestmark = pytest.mark.usefixtures("engine", "clock")

WORDS = "{% load typed_sessions %}{% session_status as status %}{% session_reason as reason %}{{ status }}|{{ reason }}"
NOTICE = "{% load typed_sessions %}{% session_notice %}"


def shows(text: str) -> View:
    """A view whose page is this template."""
    return lambda request: Template(text).render(Context({"request": request}))


class _Notice(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def notice(answer: Answer) -> str:
    """The sentence on the page; empty if there is none."""
    assert answer.status == 200
    page = _Notice(answer.text)
    said = "".join(page.texts).strip()
    assert [(tag, attributes["role"]) for tag, attributes in page.elements] == ([("p", "status")] if said else [])
    return said


SAID = {
    "fresh": ("fresh|", ""),
    "live": ("live|", ""),
    "rejected": ("rejected|", ""),
    "expired": ("expired|expired_idle", "Your session has expired because it was not used for some time."),
    "ended": ("ended|ended_by_staff", "Your session has been ended by our staff."),
    "lost": ("lost|", "Your session could not be found any more."),
}


@pytest.mark.parametrize("status", SAID)
def test_what_became_of_the_session(browser: Browser, clock: Clock, verbs: Verbs, status: str) -> None:
    """The page tells status, reason and a sentence, begins no session, and asks the store no more than once."""
    browser = arrive(status, browser, clock)
    verbs.take()
    answer = browser.visit(shows(WORDS + WORDS))
    assert answer.text == SAID[status][0] * 2
    assert answer.ours == {}
    assert verbs.take().count("load") <= 1
    assert notice(browser.visit(shows(NOTICE))) == SAID[status][1]


@pytest.mark.parametrize("text", [WORDS, NOTICE])
@pytest.mark.parametrize("status", SAID)
def test_s47_page_varies(browser: Browser, clock: Clock, status: str, text: str) -> None:
    """A page that tells it is not the same for everybody, whatever it tells; one without the tags is."""
    browser = arrive(status, browser, clock)
    assert "Cookie" in browser.visit(shows(text))["Vary"]
    assert "Cookie" not in browser.visit(shows("{% load typed_sessions %}hello"))["Vary"]


@pytest.mark.parametrize("remember", [False, True])
def test_notice_is_given_once(browser: Browser, user: User, clock: Clock, remember: bool) -> None:
    """The page that tells it takes the cookies of that session away, and the next one has nothing to tell; status and
    reason alone take nothing away.
    """
    browser.visit(sign_in(user, remember))
    clock.advance(30 * 86_400)
    for _ in range(2):
        assert browser.visit(shows(WORDS)).text == "expired|expired_idle"
    answer = browser.visit(shows(NOTICE))
    assert notice(answer) == SAID["expired"][1]
    assert answer["Cache-Control"] == "private, no-store"
    assert not {"ss-id", "ss-pid", "ss-opt"} & {*browser.cookies}
    assert notice(browser.visit(shows(NOTICE))) == ""


def test_tab_that_has_not_heard_of_the_sign_in(browser: Browser, user: User, clock: Clock) -> None:
    """Who comes with the token of just before the sign-in has the new one already, or is about to, and nothing ended;
    long after, it has.
    """
    browser.visit(put_in_cart())
    tab = browser.copy()
    browser.visit(sign_in(user))
    cookies = dict(tab.cookies)
    assert notice(tab.visit(shows(NOTICE))) == ""
    assert tab.cookies == cookies
    clock.advance(3600)
    assert notice(tab.visit(shows(NOTICE))) == "Your session has ended because it was replaced by a newer one."


def test_live_session_keeps_its_cookies(browser: Browser, user: User) -> None:
    """A page with nothing to tell takes no cookie away."""
    browser.visit(sign_in(user, remember=True))
    cookies = dict(browser.cookies)
    assert notice(browser.visit(shows(NOTICE))) == ""
    assert browser.cookies == cookies
    assert browser.visit(shows(WORDS)).text == "live|"


def test_s59_user_whom_nobody_vouches_for(browser: Browser, user: User, settings: Settings) -> None:
    """While no backend answers for the user, the page tells nothing, and takes nothing away: one may come back."""
    browser.visit(sign_in(user))
    backends = settings.AUTHENTICATION_BACKENDS
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.AllowAllUsersModelBackend"]
    assert notice(browser.visit(shows(NOTICE))) == ""
    settings.AUTHENTICATION_BACKENDS = backends
    assert browser.visit(who).text.startswith("ada ada ")


def test_page_that_is_rendered_later(browser: Browser, settings: Settings, tmp_path: Any) -> None:
    """A template response, whose request is not among its variables, tells the same, and varies as well."""
    (tmp_path / "page.html").write_text(NOTICE + WORDS)
    templates: Any = settings.TEMPLATES
    settings.TEMPLATES = [{**templates[0], "DIRS": [tmp_path]}]
    browser.visit(put_in_cart())
    live_sessions.end(tokens.digest(browser.token), EndReason.OVER_LIMIT)
    answer = browser.visit(lambda request: TemplateResponse(request, "page.html"))
    assert notice(answer) == "Your session has ended because you signed in on too many devices.\nended|over_limit"
    assert "Cookie" in answer["Vary"]


def test_page_without_context_processors(browser: Browser) -> None:
    """A template that is rendered with a request need not have it among its variables."""
    bare = Engine(libraries={"typed_sessions": "typed_sessions.templatetags.typed_sessions"})
    browser.visit(put_in_cart())
    assert browser.visit(lambda request: bare.from_string(WORDS).render(RequestContext(request))).text == "live|"


def test_async_view(browser: Browser) -> None:
    """In an async view the tags tell of the session that was loaded before."""

    async def view(request: Any) -> str:
        await request.session.aget_typed_session()
        return Template(WORDS).render(Context({"request": request}))

    browser.visit(put_in_cart())
    assert browser.visit(view).text == "live|"


def test_session_that_begins_on_the_page(browser: Browser) -> None:
    """A visitor who gets a session in this request is told nothing of the one before."""

    def view(request: Request) -> Any:
        request.typed_session.currency = "USD"
        request.session.save()
        return shows(NOTICE + WORDS)(request)

    browser = browser.copy(ss_id=tokens.issue(SessionMode.TEMP))
    assert browser.visit(view).text.strip() == "live|"


def test_s59_user_who_is_not_let_in_any_more(browser: Browser, user: User) -> None:
    """The page that finds out that the account is switched off says so."""
    browser.visit(sign_in(user))
    User.objects.update(is_active=False)
    said = notice(browser.visit(shows(NOTICE)))
    assert said == "Your session has ended because your account is not active any more."


# Sentences


def test_each_reason_has_its_sentence() -> None:
    """Whatever a session can end for, and whatever can become of it, is said in a sentence that is translated."""
    assert {*tags._OF_REASON} == {*EndReason}
    assert {*tags._OF_STATUS} == {*SessionStatus} - {SessionStatus.FRESH, SessionStatus.LIVE, SessionStatus.REJECTED}
    said = [str(sentence) for sentence in (*tags._OF_REASON.values(), *tags._OF_STATUS.values())]
    assert len({*said}) == len(said)
    assert all(sentence.startswith("Your session ") and sentence.endswith(".") for sentence in said)


@pytest.mark.parametrize("reason", EndReason)
def test_each_end_is_told(browser: Browser, clock: Clock, reason: EndReason) -> None:
    """Whoever comes with the token of a session that has ended reads why."""
    browser.visit(put_in_cart())
    live_sessions.end(tokens.digest(browser.token), reason)
    clock.advance(120)
    assert browser.visit(shows(WORDS)).text == f"{reason.status.value}|{reason.value}"
    assert notice(browser.visit(shows(NOTICE))) == str(tags._OF_REASON[reason])


def test_sentence_is_translated(browser: Browser, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence is in the language of the request, and not in that of the process."""
    browser = arrive("lost", browser, clock)
    monkeypatch.setattr("django.utils.translation._trans.gettext", str.upper)
    assert notice(browser.visit(shows(NOTICE))) == "YOUR SESSION COULD NOT BE FOUND ANY MORE."


def test_own_template(browser: Browser, clock: Clock, settings: Settings, tmp_path: Any) -> None:
    """A project says it in its own way by a template of the same name, which gets sentence, status and reason."""
    (tmp_path / "typed_sessions").mkdir()
    (tmp_path / "typed_sessions/notice.html").write_text("[{{ status }} {{ reason }}: {{ notice }}]")
    templates: Any = settings.TEMPLATES
    settings.TEMPLATES = [{**templates[0], "DIRS": [tmp_path]}]
    answer = arrive("expired", browser, clock).visit(shows(NOTICE))
    assert answer.text == f"[expired expired_idle: {SAID['expired'][1]}]"


# The page that session_required sends people to


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("expired", "Your session has expired."),
        ("ended", "Your session has ended."),
        ("lost", "Your session could not be found any more."),
    ],
)
def test_word_in_the_address(browser: Browser, word: str, said: str) -> None:
    """A visitor without a session reads what the address says of the one before, if it is a word that we know."""
    assert notice(browser.visit(shows(NOTICE), f"session={word}")) == said
    assert browser.visit(shows(WORDS), f"session={word}").text == "fresh|"


@pytest.mark.parametrize(
    "word", ["fresh", "live", "rejected", "unavailable", "", "EXPIRED", "<b>ended</b>", "ended%00"]
)
def test_s22_nothing_of_the_address_is_repeated(browser: Browser, word: str) -> None:
    """No other word says anything, and none gets into the page; nor does what goes by another name."""
    for query in (f"session={word}", f"session=ended&session={word}", f"Session=ended&reason={word}"):
        assert browser.visit(shows(NOTICE), query).text.strip() == ""


def test_address_of_whom_it_does_not_concern(browser: Browser, clock: Clock) -> None:
    """Who has a session, or had one of which more is known, is told by that, and not by the address."""
    browser.visit(put_in_cart())
    assert notice(browser.visit(shows(NOTICE), "session=lost")) == ""
    clock.advance(15 * 86_400)
    assert notice(browser.visit(shows(NOTICE), "session=lost")) == SAID["expired"][1]


def test_word_that_session_required_gives(browser: Browser, user: User) -> None:
    """The page to which somebody is sent whose cookie is deleted with the same answer says what has happened."""
    browser.visit(sign_in(user))
    User.objects.update(is_active=False)
    answer = browser.visit(session_required(lambda request: "done"))
    assert browser.cookies.get("ss-id") is None
    query = answer["Location"].partition("?")[2]
    assert notice(browser.visit(shows(NOTICE), query)) == "Your session has ended."


# What is in the way


@pytest.mark.hasty
@pytest.mark.parametrize("engine", ["redis"], indirect=True)
@pytest.mark.parametrize("on_store_error", ["error", "anonymous"])
def test_r02_store_is_down(
    browser: Browser, configure: Configure, valkey: RedisServer, verbs: Verbs, on_store_error: str
) -> None:
    """Without its store the page says so, once it has waited for it, and keeps the cookies."""
    configure(ON_STORE_ERROR=on_store_error)
    browser.visit(put_in_cart())
    cookies = dict(browser.cookies)
    valkey.kill()
    verbs.take()
    answer = browser.visit(shows(NOTICE + WORDS))
    assert notice(answer) == "Your session cannot be reached at the moment. Please try again later.\nunavailable|"
    assert (verbs.take(), browser.cookies) == (["load"], cookies)
    assert "Cookie" in answer["Vary"]


def test_s20_header_that_opens_nothing(browser: Browser, configure: Configure) -> None:
    """A client by header gets its 401 also from a page that would only tell."""
    configure(HEADERS=["/"])
    client = ApiClient(browser.ask)
    client.visit(put_in_cart())
    assert client.visit(shows(WORDS)).text == "live|"
    assert client.visit(shows(NOTICE), X_ss_id="junk").status == 401


@pytest.mark.parametrize("tag", ["session_status", "session_reason", "session_notice"])
@pytest.mark.parametrize(
    ("context", "told"),
    [
        ({}, "This template has no request to ask for its session"),
        ({"request": None}, "This template has no request to ask for its session"),
        ({"request": RequestFactory().get("/")}, "MIDDLEWARE needs"),
    ],
)
def test_no_session_to_tell_of(tag: str, context: dict[str, Any], told: str) -> None:
    """Without a request, or without our middleware, the tags say what is missing."""
    with pytest.raises(MissingSession, match=told):
        Template(f"{{% load typed_sessions %}}{{% {tag} %}}").render(Context(context))


@pytest.mark.parametrize(("text", "shown"), [(WORDS, "fresh|"), (NOTICE, "")])
def test_s53_view_without_a_session(browser: Browser, verbs: Verbs, text: str, shown: str) -> None:
    """A page that is declared to have no session, on a template that all pages share, tells of none and asks nobody."""
    browser.visit(put_in_cart())
    verbs.take()
    answer = browser.visit(session_disabled(shows(text)))
    assert (answer.status, answer.text.strip(), verbs.take()) == (200, shown, [])
    assert "Cookie" not in answer["Vary"]


# What the documentation shows

PAGE = docs("cookies-and-lifetimes")


@pytest.mark.django_db
def test_view_of_the_page(client: Client, project: Project) -> None:
    """The view that the page shows sends people where the page says."""
    project(PAGE)
    client.cookies["ss-id"] = tokens.issue(SessionMode.TEMP)
    answer = client.get("/pay/")
    assert answer.status_code == 302
    assert answer["Location"] == "/sorry/?session=lost&next=/pay/"
    assert answer["Location"] in PAGE.read_text(encoding="utf-8")
    client.cookies.clear()
    assert client.get("/pay/")["Location"] == "/start/?session=fresh&next=/pay/"


def test_template_of_the_page(browser: Browser, clock: Clock) -> None:
    """The template that the page shows is one."""
    (block,) = blocks(PAGE, "html")
    assert notice(arrive("expired", browser, clock).visit(shows(block.text))) == SAID["expired"][1]
