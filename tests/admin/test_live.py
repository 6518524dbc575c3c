"""The live part of the page: counters and chart, and the requests by which the page refreshes itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import time
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client
from django.utils import translation
from django.utils.dateformat import format as formatted

from tests.admin.conftest import LIST, Begin, Desk, few, ids, told
from tests.web.urls import address
from typed_sessions import EndReason, live_sessions
from typed_sessions.admin.live import REFRESH, with_seconds
from typed_sessions.admin.words import REASONS
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.stores.record import Record
from typed_sessions.testing.engines import Clock, Verbs

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.web.browser import Answer

LIVE = f"{LIST}live/"
BY_ITSELF = {REFRESH.replace("-", "_"): "1"}
"""The header of a request that the page makes by itself."""
UNUSED = "No session has ended in the last hour."


def counters(answer: Answer) -> dict[str, str]:
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", answer.text))


def reasons(answer: Answer) -> list[str]:
    """Why sessions have ended, and how many, as it is read."""
    (found,) = re.findall(r'<p class="tys-reasons">(.*?)</p>', answer.text, re.DOTALL)
    return re.sub(r"<[^>]+>", "", found).removeprefix("Why they ended: ").split(" · ")


def part(answer: Answer, name: str) -> str:
    """The text of that part."""
    found = re.search(rf'<(\w+)[^>]* data-part="{name}">(.*?)</\1>', answer.text, re.DOTALL)
    assert found is not None
    return found.group(2)


def rows(answer: Answer) -> list[tuple[str, ...]]:
    """The table of numbers, without its times."""
    return re.findall(r"</time></th><td>(.*?)</td><td>(.*?)</td></tr>", answer.text)


def is_page(answer: Answer) -> bool:
    return "<html" in answer.text


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.fixture
def clerk(desk: Callable[[User], Desk], staff: Callable[..., User]) -> Desk:
    """Somebody who may see sessions, and nothing else."""
    return desk(staff("view_livesession"))


def test_counters(desk: Callable[[User], Desk], begin: Begin, root: User, user: User, clock: Clock) -> None:
    """The page counts all sessions, and what happened to them within the last hour, by reason."""
    first, second, *_others = begin(user), begin(user), begin(), begin()
    begin(user, ago=3 * 3600)
    live_sessions.end(first.id, EndReason.ENDED_BY_STAFF)
    live_sessions.end(second.id, EndReason.LOGGED_OUT)
    found = desk(root).get()
    assert counters(found)["Live"] == "4"
    assert (counters(found)["Signed in"], counters(found)["Anonymous"]) == ("2", "2")
    assert counters(found)["Ended in the last hour"] == "2"
    assert sorted(reasons(found)) == ["ended by staff 1", "signed out 1"]
    clock.advance(3700)
    later = desk(root).get()
    assert counters(later)["Ended in the last hour"] == "0"
    assert reasons(later) == [UNUSED]


@few
def test_started_in_the_last_hour(clerk: Desk, clock: Clock) -> None:
    """Sessions that began are counted for an hour."""
    assert counters(clerk.get())["Started in the last hour"] == "1"
    clock.advance(3700)
    assert counters(clerk.get())["Started in the last hour"] == "0"


@few
def test_commonest_reason_comes_first(clerk: Desk, begin: Begin) -> None:
    """Reasons are sorted by how often they were one."""
    why = [EndReason.OVER_LIMIT, EndReason.EXPIRED_IDLE, EndReason.EXPIRED_IDLE, EndReason.USER_INACTIVE]
    for reason in [*why, EndReason.EXPIRED_IDLE, EndReason.USER_INACTIVE]:
        live_sessions.end(begin().id, reason)
    assert reasons(clerk.get()) == ["expired, unused 3", "user no longer active 2", "too many sessions 1"]


def test_every_reason_has_its_words() -> None:
    """Whatever ended a session can be said, and no two reasons are said alike."""
    assert set(REASONS) == set(EndReason)
    assert len({str(words) for words in REASONS.values()}) == len(EndReason)


def test_chart_goes_on_by_itself(clerk: Desk, begin: Begin, clock: Clock) -> None:
    """Each look counts, so that after two in different quarters of an hour there is a line, and its numbers in a table,
    the last one first.
    """
    first = clerk.get(LIVE)
    assert "There is one measurement so far" in part(first, "picture")
    assert rows(first) == [("1", "1")]
    begin()
    begin()
    clock.advance(900)
    second = clerk.get(LIVE)
    assert rows(second) == [("3", "1"), ("1", "1")]
    assert second.text.count('<path class="tys-line') == 2
    assert "3 live, 1 signed in</title>" in second.text


@few
def test_nothing_measured(clerk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a measurement the chart and its table say so."""
    monkeypatch.setattr("typed_sessions.live.LiveSessions.history", lambda self, since: [])
    found = clerk.get(LIVE)
    assert "Nothing was measured in this time." in part(found, "picture")
    assert "Nothing was measured in this time." in part(found, "rows")


@few
@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("", "Sessions in the last 24 hours"),
        ("range=day", "Sessions in the last 24 hours"),
        ("range=week", "Sessions in the last 7 days"),
        ("range=%00", "Sessions in the last 24 hours"),
        ("range=week&range=day", "Sessions in the last 24 hours"),
    ],
)
def test_range(clerk: Desk, query: str, title: str) -> None:
    """Whoever looks chooses how far the chart goes back, and what cannot be chosen is a day."""
    found = clerk.get(LIVE, query)
    assert part(found, "title") == title
    assert part(found, "caption").startswith(f"{title}. The highest number in each ")
    (chosen,) = re.findall(r'<a [^>]*aria-current="true">(.*?)</a>', found.text.split("tys-ranges")[1])
    assert chosen in title


@few
def test_week_has_what_a_day_has_not(clerk: Desk, clock: Clock) -> None:
    """What was measured two days ago is in the week alone."""
    clerk.get()
    clock.advance(2 * 86_400)
    clerk.get()
    assert (len(rows(clerk.get(LIVE, "range=day"))), len(rows(clerk.get(LIVE, "range=week")))) == (1, 2)


@few
def test_page_and_part_of_it(clerk: Desk) -> None:
    """For a reader it is a page of its own, with ways back; for the script it is the part alone."""
    page, fragment = clerk.get(LIVE), clerk.get(LIVE, **BY_ITSELF)
    assert is_page(page)
    assert f'href="{LIST}"' in page.text
    assert fragment.text.lstrip().startswith('<section class="tys-live"')
    assert not is_page(fragment)
    assert counters(page) == counters(fragment)


@few
def test_never_stored(clerk: Desk) -> None:
    """No cache keeps it, neither the page nor the part."""
    for found in (clerk.get(LIVE), clerk.get(LIVE, **BY_ITSELF)):
        assert "no-store" in found["cache-control"]


@few
@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE"])
def test_read_only(clerk: Desk, method: str) -> None:
    """There is nothing to send."""
    token = clerk.browser.cookies["csrftoken"]
    headers = {**clerk.browser.headers(), "X-CSRFToken": token}
    assert clerk.browser.ask(method, LIVE, "", headers).status == 405


@few
def test_who_may_see_it(
    desk: Callable[[User], Desk], staff: Callable[..., User], new_browser: Any, user: User, clerk: Desk
) -> None:
    """Whoever may see sessions may see how many there are; others may not, and who is nobody is asked to sign in."""
    assert clerk.get(LIVE).status == 200
    other = desk(staff("end_livesession", name="other"))
    assert other.get(LIVE).status == 403
    for browser in (new_browser(), desk(user).browser):
        answer = browser.get(LIVE, **BY_ITSELF)
        assert (answer.status, answer["location"]) == (302, f"/admin/login/?next={LIVE}")


def test_nobody_stays_signed_in_by_an_open_page(
    desk: Callable[[User], Desk], root: User, engine: type[SessionStore], clock: Clock
) -> None:
    """What the page asks by itself is no use of the session; a page that somebody opens is."""
    at = desk(root)

    def record() -> Record:
        found = engine().store.load(at.id)
        assert isinstance(found, Record)
        return found

    before = record()
    for _ in range(3):
        clock.advance(3600)
        assert at.get(LIVE, **BY_ITSELF).status == 200
        assert at.get(**BY_ITSELF).status == 200
        assert at.get(LIVE).status == 200
    assert (record().seen, record().expires) == (before.seen, before.expires)
    at.get()
    assert record().seen == clock.now
    assert record().expires > before.expires


@few
@pytest.mark.parametrize("is_staff", [True, False])
def test_refusal_is_no_use_of_the_session(
    desk: Callable[[User], Desk], staff: Callable[..., User], engine: type[SessionStore], clock: Clock, is_staff: bool
) -> None:
    """Whoever lost the permission, or is no member of staff any more, does not stay signed in by a page left open."""
    at = desk(staff())
    User.objects.filter(pk=at.user.pk).update(is_staff=is_staff)
    before = engine().store.load(at.id)
    clock.advance(3600)
    assert at.browser.get(LIVE, **BY_ITSELF).status == (403 if is_staff else 302)
    assert engine().store.load(at.id) == before


@few
def test_refresh_of_the_list(clerk: Desk, begin: Begin) -> None:
    """The list that the script asks for has its rows, and no counters, which it has from elsewhere."""
    record = begin(ago=10)
    found = clerk.get(**BY_ITSELF)
    assert ids(found) == [clerk.id, record.id]
    assert "tys-live" not in found.text


@few
def test_messages_wait_for_a_reader(clerk: Desk) -> None:
    """What there is to tell is told on the next page that somebody opens, and not to the script."""

    def tell(request: HttpRequest) -> str:
        messages.success(request, "Two sessions were ended.")
        return ""

    clerk.browser.get(address(tell))
    assert "Two sessions were ended." not in clerk.get(**BY_ITSELF).text
    assert "Two sessions were ended." in clerk.get().text


@few
def test_refresh_leaves_nothing_to_tell(clerk: Desk) -> None:
    """What there would be to say of a list on its every refresh is not stored for the next page."""
    refused = "q=%00"
    assert told(clerk.get(query=refused)) != []
    for _ in range(3):
        clerk.get(query=refused, **BY_ITSELF)
    assert told(clerk.get()) == []


@few
def test_store_away(clerk: Desk, verbs: Verbs) -> None:
    """A store that does not answer is a part that says so, with a status by which the script knows it."""
    for headers in ({}, BY_ITSELF):
        verbs.before("count_by_user", failing(StoreUnavailable("no answer")))
        found = clerk.get(LIVE, **headers)
        assert found.status == 503
        assert part(found, "problem") == "The session store does not answer at the moment."
        assert counters(found) == {}


@few
def test_store_away_below_the_list(clerk: Desk, verbs: Verbs) -> None:
    """The list is there all the same, and the script goes on asking."""
    verbs.before("samples", failing(StoreUnavailable("no answer")))
    found = clerk.get()
    assert (found.status, ids(found)) == (200, [clerk.id])
    assert part(found, "problem") == "The session store does not answer at the moment."


@few
def test_engine_that_cannot_count(clerk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where sessions cannot be counted, that is said, and is no error of the server."""

    def refuse(self: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr("typed_sessions.live.LiveSessions.statistics", refuse)
    found = clerk.get(LIVE)
    assert found.status == 503
    assert part(found, "problem") == "The engine of this project cannot count its sessions."


@pytest.mark.parametrize("headers", [{}, {REFRESH: "1"}])
def test_engine_of_somebody_else(client: Client, root: User, settings: Settings, headers: dict[str, str]) -> None:
    """A project that has not changed its engine yet is told so, as by the list, and is no error of the server."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    ours, stock = "typed_sessions.middleware.TypedSession", "django.contrib.sessions.middleware.Session"
    settings.MIDDLEWARE = [name.replace(ours, stock) for name in settings.MIDDLEWARE]
    client.force_login(root)
    found = client.get(LIVE, headers=headers)
    assert found.status_code == 503
    assert "The engine of this project cannot count its sessions." in found.text
    assert client.get(LIST, headers=headers).status_code == 200


@few
def test_nothing_is_counted_for_nobody(clerk: Desk, verbs: Verbs) -> None:
    """What is posted to the list, and what another page shows in a window, costs no count."""
    verbs.take()
    clerk.post(action="nothing")
    clerk.browser.get(f"{LIST}?_popup=1")
    assert verbs.take().count("tally") == 1, "the list that the post leads to"


@few
def test_other_site(desk: Callable[[User], Desk], root: User) -> None:
    """On a site of the project's own, the page asks that site."""
    at = desk(root)
    office = "/office/typed_sessions/livesession/"
    for found in (at.get(office), at.get(f"{office}live/"), at.get(f"{office}live/", **BY_ITSELF)):
        assert f'data-typed-sessions-live="{office}live/"' in found.text
        assert f'href="{office}live/?range=week"' in found.text
        assert LIST not in found.text


class _Inline(HTMLParser):
    """Collects what a strict Content-Security-Policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.found += [f"{tag} {name}" for name in names if name == "style" or name.startswith("on")]
        self.found += [tag] if tag == "style" or (tag == "script" and "src" not in names) else []
        self.found += [
            str(names[name]) for name in ("src", "href") if (names.get(name) or "").startswith(("//", "http"))
        ]


@few
def test_strict_policy(clerk: Desk) -> None:
    """No page has a script, style or event handler in it, or asks another host for anything."""
    for found in (clerk.get(), clerk.get(LIVE), clerk.get(LIVE, **BY_ITSELF)):
        inline = _Inline()
        inline.feed(found.text)
        assert inline.found == []


@few
def test_without_a_script(clerk: Desk) -> None:
    """No button is to be seen that needs one, and a link shows the page anew."""
    for found in (clerk.get(), clerk.get(LIVE, "range=week")):
        assert re.findall(r"<button[^>]*data-pause[^>]*>", found.text)[0].endswith(" hidden>")
        (link,) = re.findall(r'<a href="([^"]*)" data-refresh>Refresh</a>', found.text)
        assert link == ("?range=week" if "data-is-page" in found.text else "")


@few
@pytest.mark.parametrize("language", ["en", "de"])
def test_numbers_are_those_of_the_language(
    clerk: Desk, language: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large numbers are grouped as people do it, and lengths and places in the chart stay what they are."""
    settings.LANGUAGE_CODE = language
    settings.USE_THOUSAND_SEPARATOR = True
    known = live_sessions.statistics()
    monkeypatch.setattr(
        "typed_sessions.live.LiveSessions.statistics", lambda self: known._replace(live=1_234_567, signed_in=1000)
    )
    found = clerk.get(LIVE)
    grouped = {"en": ["1,234,567", "1,000", "1,233,567"], "de": ["1.234.567", "1.000", "1.233.567"]}
    assert list(counters(found).values())[:3] == grouped[language]


@pytest.mark.parametrize(
    ("language", "expected"), [("en", "2:05:09 p.m."), ("de", "14:05:09"), ("fi", "14.05.09"), ("ko", "오후 2:05:09")]
)
def test_time_of_day_with_seconds(language: str, expected: str) -> None:
    """It is written as the language writes it, so that one sees that it goes on."""
    forms = {"en": "P", "de": "H:i", "fi": "G.i", "ko": "A g:i"}
    with translation.override(language):
        assert formatted(time(14, 5, 9), with_seconds(forms[language])) == expected
