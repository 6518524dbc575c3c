"""Stored sessions of visitors who do not come: as many as a test wants, on all kinds of devices."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from typing import Any
from unittest.mock import patch

import msgspec
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.db import transaction

from tests.browser.site.people import CUSTOMERS
from typed_sessions import EndReason, SessionMode, clock, live_sessions, tokens
from typed_sessions.stores.record import Client, Record, new_nonce

_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5"
BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36",
    f"Mozilla/5.0 (Linux; Android 10; K) {_CHROME} Mobile Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_SAFARI} Safari/605.1.15",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {_SAFARI} Mobile/15E148 Safari/604.1",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36 Edg/142.0.0.0",
)
AGENTS = (*BROWSERS, "curl/8.14.1", "<script>alert(1)</script>")
_LIFETIME = 14 * 86_400


def _store() -> Any:
    return import_module(settings.SESSION_ENGINE).SessionStore()


def _kept(user: User | None) -> Record:
    """A session as the engine makes it, and keeps it no longer."""
    session = _store()
    session["visited"] = ["/", "/products/<b>teapot</b>/"]
    if user is not None:
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    record = session.store.load(tokens.digest(session.session_key))
    session.delete()
    assert isinstance(record, Record)
    return record


def made(count: int, seed: int = 1) -> Iterator[Record]:
    """So many sessions of the last two days, one in three somebody's; the same for the same seed, but for ids."""
    now, chance = clock.now(), random.Random(seed)
    templates = [_kept(user) for user in User.objects.filter(username__in=CUSTOMERS).order_by("pk")]
    nobody = _kept(None)
    for number in range(count):
        age = int(2 * 86_400 * chance.random() ** 3)
        template = templates[number // 3 % len(templates)] if number % 3 == 0 else nobody
        mode = SessionMode.PERM if template.user and chance.random() < 0.5 else SessionMode.TEMP
        yield _aged(template, mode, now - age, chance)


def _aged(
    template: Record, mode: SessionMode, seen: int, chance: random.Random, agents: tuple[str, ...] = AGENTS
) -> Record:
    created = seen - chance.randrange(6 * 3600)
    return msgspec.structs.replace(
        template,
        id=tokens.digest(tokens.issue(mode)),
        nonce=new_nonce(),
        mode=mode,
        created=created,
        modified=seen,
        seen=seen,
        expires=seen + _LIFETIME,
        authenticated=created if template.user else None,
        client=Client(address=f"203.0.113.{chance.randrange(1, 250)}", agent=chance.choice(agents)),
    )


def grow(count: int) -> None:
    """Stores so many of them."""
    store, records = _store().store, made(count)
    while batch := list(islice(records, 1000)):
        with transaction.atomic():
            for record in batch:
                store.create(record)


def pass_a_day() -> None:
    """Lets visitors come and go for a day, most of them towards its end, so that there is something to show."""
    now, chance = clock.now(), random.Random(2)
    users = list(User.objects.filter(username__in=CUSTOMERS).order_by("pk"))
    with patch("typed_sessions.clock.now", lambda: now - 86_400):
        templates = [_kept(user) for user in users] + [_kept(None)] * 2 * len(users)
    for moment in range(now - 86_400, now + 1, 300):
        with patch("typed_sessions.clock.now", lambda moment=moment: moment):
            _come_and_go(templates, moment, (moment - now) / 86_400 + 1, chance)


def _come_and_go(templates: list[Record], moment: int, of_day: float, chance: random.Random) -> None:
    """What happens within five minutes."""
    store = _store().store
    for _ in range(max(0, int(7 + 5 * math.sin((of_day - 0.55) * 2 * math.pi) + chance.randrange(4)))):
        template = chance.choice(templates)
        mode = SessionMode.PERM if template.user and chance.random() < 0.5 else SessionMode.TEMP
        store.create(_aged(template, mode, moment - chance.randrange(300), chance, BROWSERS))
    live = live_sessions.recent(1000)
    for session in chance.sample(live, min(len(live), int(len(live) * 0.03 + chance.random() * 3))):
        live_sessions.end(
            session.id, chance.choice((EndReason.LOGGED_OUT, EndReason.LOGGED_OUT, EndReason.ENDED_BY_USER))
        )
    live_sessions.statistics()
