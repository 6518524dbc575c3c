"""docs/life.rst: its examples run, and its tables are what the code does."""

from __future__ import annotations

import importlib
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client, override_settings
from django.utils import timezone

from tests.test_docs import (
    ADA,
    README,
    Project,
    ada,
    docs,
    every,
    project,
    rows,
    section,
    session_of,
    settings_blocks,
    settings_of,
    stored,
    visit,
    words,
)
from typed_sessions import EndReason, clock, conf, live, live_sessions
from typed_sessions.backends import revocations
from typed_sessions.backends.db import SessionStore
from typed_sessions.exceptions import SignInRefused
from typed_sessions.models import Revocation, StoredSession
from typed_sessions.stores import record, redis

if TYPE_CHECKING:
    from pytest_django import Settings

__all__ = ["ada", "project"]

PAGE = docs("life")


@pytest.fixture
def shop(project: Project, db: None) -> Any:
    """The page's project, with its receivers; gives its module of the stock."""
    project(PAGE)
    importlib.import_module("shop.receivers")
    cache.clear()
    return sys.modules["shop.stock"]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`later(seconds)` moves the clock on."""
    now = clock.now()
    passed = [0]
    monkeypatch.setattr(clock, "now", lambda: now + passed[0])

    def advance(seconds: float) -> None:
        passed[0] += int(seconds)

    return advance


def table(title: str) -> list[list[str]]:
    """The rows of the table under a heading, without its head."""
    return rows(section(PAGE, title))[1:]


def settings_with(name: str) -> dict[str, Any]:
    """TYPED_SESSIONS of the page's block that mentions `name`."""
    (block,) = [block for block in settings_blocks(PAGE) if name in block.text]
    found: dict[str, Any] = settings_of(block)["TYPED_SESSIONS"]
    return found


# When a session ends


def test_expired_cart_gives_its_goods_back(shop: Any, client: Client, later: Any) -> None:
    """What a cart has reserved is free again when the reaper tells of its end, once, and not before."""
    assert client.get("/put_into_cart/cup/").content == b"9 left"
    assert client.get("/put_into_cart/cup/").content == b"8 left"
    later(14 * 24 * 3600 + record.GRACE - 1)
    assert (live_sessions.reap().ended, shop.left("cup")) == (0, 8)
    later(1)
    assert (live_sessions.reap().ended, shop.left("cup")) == (1, 10)
    assert (live_sessions.reap().ended, shop.left("cup")) == (0, 10)


def test_clearsessions_is_one_round(shop: Any, client: Client, later: Any) -> None:
    """Django's command has the same told."""
    client.get("/put_into_cart/cup/")
    later(14 * 24 * 3600 + record.GRACE)
    call_command("clearsessions")
    assert (shop.left("cup"), StoredSession.objects.count()) == (10, 0)


def test_new_token_keeps_the_goods(shop: Any, client: Client, ada: User) -> None:
    """A sign-in ends the session under its old token, and not the reservation; a sign-out ends that too."""
    client.get("/put_into_cart/cup/")
    client.force_login(ada)
    assert (session_of(client).cart, shop.left("cup")) == ({"cup": 1}, 9)
    client.logout()
    assert shop.left("cup") == 10


def test_receivers_hear_of_ends_and_losses(
    shop: Any, client: Client, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    """The signals have what the page's receivers write down."""
    client.force_login(ada)
    ended, lost = session_of(client).id, stored()
    StoredSession.objects.filter(pk=lost.typed_session.id).delete()
    with caplog.at_level("INFO", logger="shop.receivers"):
        live_sessions.end(ended)
        visit(client, lost)
        client.get("/put_into_cart/cup/")
    told = [line.getMessage() for line in caplog.records if line.name == "shop.receivers"]
    today = lost.typed_session.created_at.date()
    assert told == [f"{ended} of ada ended: ended_by_user", f"{lost.typed_session.id} is lost; its token is of {today}"]


def test_every_reason_is_explained() -> None:
    """The table has each reason, in the order of the code."""
    assert [row[0].strip("`") for row in table("Why, and who tells when")] == [reason.value for reason in EndReason]


def test_overdue_session_that_is_ended_has_expired(
    shop: Any, client: Client, later: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Who ends a session that is over already has that told, as expired, and has ended none."""
    client.get("/put_into_cart/cup/")
    session_id = session_of(client).id
    later(15 * 24 * 3600)
    with caplog.at_level("INFO", logger="shop.receivers"):
        assert live_sessions.end(session_id) is False
    assert (caplog.messages, shop.left("cup")) == ([f"{session_id} of a visitor ended: expired_idle"], 10)


# How long it lives, and how many at once


def test_lifetimes_of_some(shop: Any, client: Client, ada: User, settings: Settings) -> None:
    """Staff has a quarter of an hour, and half a day at most; others have what the settings say."""
    settings.TYPED_SESSIONS = {"SESSION_CLASS": "shop.sessions.CarefulSession"}
    sessions = []
    for group in ("customers", "staff"):
        ada.groups.set([Group.objects.get_or_create(name=group)[0]])
        client.force_login(ada)
        sessions.append(session_of(client))
    idle = [session.expires_at - session.last_seen_at for session in sessions]
    assert idle == [timedelta(days=14), timedelta(minutes=15)]
    overall = [StoredSession.objects.get(pk=sessions[1].id).until]
    assert overall == [int(sessions[1].authenticated_at.timestamp()) + 12 * 3600]


def test_s56_table_of_standards() -> None:
    """The defaults in the table are those of the settings, and so are the lifetimes that the page sets for a level."""
    with override_settings(TYPED_SESSIONS={}):
        defaults = conf.settings()
    shown = {row[0]: (span(row[1]), span(row[2])) for row in table("What standards ask for")}
    assert shown["the defaults, temporary"] == (defaults.temp_seconds, defaults.absolute_seconds)
    assert shown["the defaults, permanent"] == (defaults.perm_seconds, defaults.absolute_seconds)
    with override_settings(TYPED_SESSIONS=settings_with("timedelta(hours=24)")):
        level = conf.settings()
    idle, overall = shown["NIST SP 800-63B-4, AAL2"]
    assert (level.temp_seconds, level.perm_seconds, level.absolute_seconds) == (idle, idle, overall)


def test_s56_readme_sets_the_same() -> None:
    """The settings for that level are in README too."""
    (of_readme,) = [block for block in settings_blocks(README) if "timedelta(hours=24)" in block.text]
    assert settings_of(of_readme)["TYPED_SESSIONS"] == settings_with("timedelta(hours=24)")


def span(text: str) -> int | None:
    if text == "–":
        return None
    number, unit = text.split()
    return int(timedelta(**{unit.removesuffix("s") + "s": int(number)}).total_seconds())


def test_limit(shop: Any, ada: User, settings: Settings) -> None:
    """The fourth sign-in ends the first session, and with `refuse` nobody is let in."""
    settings.TYPED_SESSIONS = settings_with("MAX_SESSIONS_PER_USER")
    browsers = [Client() for _ in range(4)]
    for browser in browsers:
        browser.force_login(ada)
    tokens = [browser.cookies["ss-id"].value for browser in browsers]
    reasons = [SessionStore(token).typed_session.end_reason for token in tokens]
    assert reasons == [EndReason.OVER_LIMIT, None, None, None]
    settings.TYPED_SESSIONS = {**settings.TYPED_SESSIONS, "ON_LIMIT": "refuse"}
    with pytest.raises(SignInRefused):
        Client().login(**ADA)
    assert live_sessions.count_for(ada) == 3


# Ending sessions


def test_ways_to_end(shop: Any, ada: User) -> None:
    """Each call of the table ends what the table says, and answers how many."""
    calls = [re.sub(r"^``live_sessions\.(.+)``$", r"\1", row[1]) for row in table("Ending sessions")]
    assert calls == [
        "end(id)", "end_for_user(user)", "end_for_user(user, keep=id)", "end_all()", "end_all(before=instant)",
    ]  # fmt: skip
    for call, left in zip(calls, (3, 1, 2, 0, 1), strict=True):
        StoredSession.objects.all().delete()
        for _ in range(3):
            Client().force_login(ada)
        ids = [session.id for session in live_sessions.for_user(ada)]
        StoredSession.objects.update(created=clock.now() - 60)
        stored()
        names = {"id": ids[0], "user": ada, "instant": timezone.now() - timedelta(seconds=30)}
        answer = eval(f"live_sessions.{call}", {"live_sessions": live_sessions, **names})
        assert (int(answer), live_sessions.count()) == (4 - left, left)


# Redis


FIGURES = [
    ("looks every 30 seconds", every(), 30),
    ("alone for 30 seconds after its expiry", record.GRACE, 30),
    ("until the next round of the reaper, which is 30 seconds", every(), 30),
    ("Redis keeps an expired session for an hour", record.LINGER, 3600),
    ("Redis has forgotten the session after an hour", record.LINGER, 3600),
    ("at most once in a minute", clock._CHECKED_FOR, 60),
    ("differ by more than 2 seconds", clock.TOLERANCE, 2),
    ("(1,000 at most)", live.LARGEST_BATCH, 1000),
    ("the ends of the last 300 seconds", revocations._RECENT, 300),
    ("0.3 seconds at most", redis.ACKS_WITHIN, 0.3),
    ("``typed_sessions_revocation``", Revocation._meta.db_table, "typed_sessions_revocation"),
]


@pytest.mark.parametrize(("told", "actual", "figure"), FIGURES, ids=str)
def test_figures_are_those_of_the_code(told: str, actual: object, figure: object) -> None:
    """A figure that the page names is the one in the code."""
    text = Path(PAGE).read_text(encoding="utf-8")
    cells = re.sub(r"  +", " ", " ".join(" ".join(cell) for cell in columns(text)))
    assert told in words(text) or told in cells
    assert actual == figure


def columns(text: str) -> list[list[str]]:
    """Each column of the last table, read downwards."""
    lines = text[: text.index("\nEach round of the reaper")].splitlines()
    rules = [number for number, line in enumerate(lines) if re.fullmatch(r"=+( +=+)+", line)]
    starts = [rule.start() for rule in re.finditer(r"=+", lines[rules[-1]])]
    ends = [*starts[1:], None]
    body = lines[rules[-3] + 1 : rules[-1]]
    return [[line[start:end].strip() for line in body] for start, end in zip(starts, ends, strict=True)]
