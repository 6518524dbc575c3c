"""`live_sessions`: the sessions of a user, seen and ended from outside, on every engine that lists."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.exceptions import ImproperlyConfigured, ValidationError

from tests.engines.rows import UseEngine, rows
from tests.servers.redis import RedisServer
from tests.sessions import ShopSession
from tests.web.browser import Browser
from tests.web.conftest import NewBrowser
from tests.web.matrix import TRANSACTIONAL
from tests.web.signing import put_in_cart, sign_in, sign_out, status, write_to
from tests.web.stored import spoil
from typed_sessions import EndReason, SessionMode, SessionStatus, live_sessions, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.live import LiveSessions
from typed_sessions.stores.base import Store
from typed_sessions.stores.record import Record
from typed_sessions.testing.engines import Clock, Verbs

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine")

LISTING = [
    *rows("db", "postgres", "redis", "msgpack", "redis6", "cluster"),
    pytest.param("cached_db", marks=TRANSACTIONAL),
]
UNKNOWN = "0" * 40
VERBS = {
    "get": 1,
    "for_user": 1,
    "count_for": 1,
    "count": 1,
    "recent": 3,
    "statistics": 0,
    "history": 1,
    "end": 2,
    "end_for_user": 3,
    "end_all": 6,
    "reap": 3,
    "update": 2,
}
"""Every verb, with the number of its arguments."""


def some_arguments(verb: str) -> list[Any]:
    if verb.endswith(("for_user", "count_for")):
        return ["7"]
    of_session: dict[str, list[Any]] = {"get": [UNKNOWN], "end": [UNKNOWN], "update": [UNKNOWN, repr]}
    return of_session.get(verb, [])


class AsyncTwins:
    """The async twins by the names of the verbs."""

    def __getattr__(self, name: str) -> Any:
        return async_to_sync(getattr(live_sessions, f"a{name}"))


@pytest.fixture(params=LISTING)
def engine(request: pytest.FixtureRequest, use_engine: UseEngine) -> type[SessionStore]:
    """Every engine that lists."""
    return use_engine(request.param)


@pytest.fixture(params=["sync", "async"])
def live(request: pytest.FixtureRequest) -> LiveSessions:
    """The verbs, or their async twins by the same names."""
    return live_sessions if request.param == "sync" else cast("LiveSessions", AsyncTwins())


@pytest.fixture
def handler() -> str:
    """The sessions come from outside: how the requests were served before makes no difference."""
    return "wsgi"


@pytest.fixture
def signed_in(engine: type[SessionStore], new_browser: NewBrowser, clock: Clock) -> Callable[..., Browser]:
    """`signed_in(user)` is a browser of its own, a minute after the one before."""

    def new(user: User, remember: bool = False) -> Browser:
        clock.advance(60)
        browser = new_browser()
        browser.visit(sign_in(user, remember))
        return browser

    return new


def id_of(browser: Browser) -> str:
    return tokens.digest(browser.token)


def ids(sessions: list[Any]) -> list[str | None]:
    return [session.id for session in sessions]


def test_session_by_its_id(live: LiveSessions, signed_in: Callable[..., Browser], user: User, clock: Clock) -> None:
    """An id gives the session as a view would see it, with its facts, and with where it was used."""
    browser = signed_in(user, remember=True)
    browser.visit(put_in_cart("tea"))
    clock.advance(60)
    browser.visit(put_in_cart("cup"), REMOTE_ADDR="", user_agent="Other/2")
    session = live.get(id_of(browser))
    assert isinstance(session, ShopSession)
    assert ([line.sku for line in session.cart], session.user_name) == (["tea", "cup"], "ada")
    assert (session.id, session.mode, session.status) == (id_of(browser), SessionMode.PERM, SessionStatus.LIVE)
    assert (session.is_authenticated, session.is_new, session.end_reason) == (True, False, None)
    assert session.created_at is not None
    assert session.last_seen_at is not None
    assert (session.last_seen_at - session.created_at).total_seconds() == 60
    assert session.time_to_live() == session.expires_at - session.last_seen_at  # type: ignore[operator]  # it has one
    assert session.client_info is not None
    assert (session.client_info.address, session.client_info.agent) == ("127.0.0.1", "")
    assert session.client_info.last_agent == "Other/2"


def test_session_of_a_visitor(live: LiveSessions, engine: type[SessionStore], browser: Browser, user: User) -> None:
    """A session in which nobody is signed in is found by its id, and is of no user."""
    browser.visit(put_in_cart())
    session = live.get(id_of(browser))
    assert (session.is_authenticated, session.mode) == (False, SessionMode.TEMP)
    assert live.for_user(user) == []


def test_s05_what_opens_nothing(
    live: LiveSessions, signed_in: Callable[..., Browser], user: User, clock: Clock
) -> None:
    """An unknown id, a token, and the id of a session that ended or expired are nothing, and there is none to end."""
    ended, expired = signed_in(user), signed_in(user)
    given = [UNKNOWN, expired.token, "", "x", "☃", id_of(ended)]
    ended.visit(sign_out)
    clock.advance(15 * 86_400)
    for session_id in (*given, id_of(expired)):
        assert live.get(session_id) is None
        assert live.end(session_id) is False
    assert live.for_user(user) == []
    assert (live.count_for(user), live.end_for_user(user)) == (0, 0)


def test_s02_what_is_no_id_reaches_no_store(live: LiveSessions, verbs: Verbs) -> None:
    """What cannot be an id is nothing, without a question: not even the name of something else in the store."""
    names = ("{lists}:samples", "by-user:1", "*")
    for text in ("", "x", "☃", *names, UNKNOWN.upper() + "A", "../" * 13 + "x", UNKNOWN + "\n"):
        assert live.get(text) is None
        assert live.end(text) is False
    assert verbs.take() == []


def test_ended_session_is_nothing(live: LiveSessions, signed_in: Callable[..., Browser], user: User) -> None:
    """Of a session that was ended only its visitor learns why."""
    browser = signed_in(user)
    session_id = id_of(browser)
    kept = browser.copy()
    browser.visit(sign_out)
    assert live.get(session_id) is None
    assert live.end(session_id) is False
    assert kept.visit(status).text == "ended logged_out"


def test_newest_first(
    live: LiveSessions, signed_in: Callable[..., Browser], user: User, other_user: User, clock: Clock
) -> None:
    """The sessions of a user come in the order of their last use; those of others, and former ones, do not come."""
    first, second, third = signed_in(user), signed_in(user, remember=True), signed_in(user)
    theirs = signed_in(other_user)
    third.visit(sign_in(user, remember=True))  # once more: its first session has been replaced
    clock.advance(60)
    first.visit(put_in_cart())
    assert ids(live.for_user(user)) == [id_of(first), id_of(third), id_of(second)]
    assert ids(live.for_user(other_user)) == [id_of(theirs)]
    assert (live.count_for(user), live.count_for(other_user)) == (3, 1)
    third.visit(sign_out)
    assert ids(live.for_user(user)) == [id_of(first), id_of(second)]
    assert live.count_for(user) == 2


@pytest.mark.parametrize(
    "by", [lambda user: user, lambda user: user.pk, lambda user: str(user.pk)], ids=["user", "pk", "text"]
)
def test_s60_ways_to_name_a_user(
    live: LiveSessions, signed_in: Callable[..., Browser], user: User, other_user: User, by: Callable[[User], object]
) -> None:
    """A user may be given as such, or by the primary key, as a number or as text."""
    signed_in(user)
    signed_in(other_user)
    assert ids(live.for_user(by(user))) == ids(live.for_user(user))
    assert live.count_for(by(user)) == 1
    assert live.end_for_user(by(user)) == 1
    assert live.count_for(other_user) == 1


def test_user_who_is_nobody(live: LiveSessions, signed_in: Callable[..., Browser], user: User) -> None:
    """A key that no user has has no sessions, and what is no user of this project is an error, not an empty list."""
    signed_in(user)
    for key in (user.pk + 1, str(user.pk + 1), uuid.uuid4()):
        assert (live.for_user(key), live.count_for(key), live.end_for_user(key)) == ([], 0, 0)
    errors = {"": ValidationError, "*": ValidationError, AnonymousUser(): ValidationError, None: ValueError}
    for nonsense, error in [*errors.items(), (User(), ValueError), (Group(pk=user.pk), TypeError)]:
        for ask in (live.for_user, live.count_for, live.end_for_user):
            with pytest.raises(error):
                ask(nonsense)
    assert live.count_for(user) == 1


def test_ending_one(live: LiveSessions, signed_in: Callable[..., Browser], user: User) -> None:
    """A session is ended at once, and once; its visitor is told by whom."""
    browser, other = signed_in(user), signed_in(user)
    assert live.end(id_of(browser)) is True
    assert live.end(id_of(browser)) is False
    assert browser.visit(status).text == "ended ended_by_user"
    assert live.end(id_of(other), EndReason.ENDED_BY_STAFF) is True
    assert other.visit(status).text == "ended ended_by_staff"
    assert live.count_for(user) == 0


def test_s57_ending_while_a_request_runs(
    live: LiveSessions, signed_in: Callable[..., Browser], user: User, verbs: Verbs
) -> None:
    """What is in flight cannot bring an ended session back."""
    browser = signed_in(user)
    session_id = id_of(browser)
    verbs.before("save", lambda: live.end(session_id))
    assert browser.visit(put_in_cart()).status == 400
    assert live.get(session_id) is None


@pytest.mark.parametrize("reason", [None, EndReason.ENDED_BY_STAFF])
def test_ending_all_of_a_user(
    live: LiveSessions, signed_in: Callable[..., Browser], user: User, other_user: User, reason: EndReason | None
) -> None:
    """All sessions of a user end, of which the answer is the number; those of others stay."""
    browsers = [signed_in(user, remember) for remember in (False, True, False)]
    theirs = signed_in(other_user)
    given = {} if reason is None else {"reason": reason}
    assert live.end_for_user(user, **given) == 3
    assert live.end_for_user(user, **given) == 0
    said = (reason or EndReason.ENDED_BY_USER).value
    assert {browser.visit(status).text for browser in browsers} == {f"ended {said}"}
    assert theirs.visit(status).text == "live -"


def test_ending_all_others(live: LiveSessions, signed_in: Callable[..., Browser], user: User) -> None:
    """`keep` is the id of the one that stays: of the view that asks, as a rule."""
    kept, *others = (signed_in(user) for _ in range(3))
    assert live.end_for_user(user, keep=id_of(kept)) == 2
    assert ids(live.for_user(user)) == [id_of(kept)]
    assert {browser.visit(status).text for browser in others} == {"ended ended_by_user"}
    assert live.end_for_user(user, keep=UNKNOWN) == 1


def test_ending_others_in_a_view(browser: Browser, signed_in: Callable[..., Browser], user: User) -> None:
    """A view lists and ends the other sessions of its user, in sync and async code."""
    other = signed_in(user)
    browser.visit(sign_in(user))

    async def view(request: Any) -> str:
        own = (await request.session.aget_typed_session()).id
        others = [session.id for session in await live_sessions.afor_user(await request.auser()) if session.id != own]
        return f"{others} {await live_sessions.aend_for_user(await request.auser(), keep=own)}"

    assert browser.visit(view).text == f"['{id_of(other)}'] 1"
    assert browser.visit(status).text == "live -"


def test_counting_all(
    live: LiveSessions, signed_in: Callable[..., Browser], new_browser: NewBrowser, user: User, clock: Clock
) -> None:
    """Every live session counts, whoever is signed in or nobody."""
    assert live.count() == 0
    signed_in(user)
    signed_in(user, remember=True)
    new_browser().visit(put_in_cart())
    assert live.count() == 3
    clock.advance(15 * 86_400)
    assert live.count() == 1


def test_recent_in_pages(
    live: LiveSessions, signed_in: Callable[..., Browser], new_browser: NewBrowser, user: User, clock: Clock
) -> None:
    """All live sessions come in the order of their last use, page by page, each as `get` would answer it."""
    browsers = [signed_in(user, remember) for remember in (False, True, False)]
    clock.advance(60)
    visitor = new_browser()
    visitor.visit(put_in_cart("tea"))
    browsers[0].visit(put_in_cart())
    clock.advance(60)
    visitor.visit(put_in_cart("cup"))
    expected = [id_of(browser) for browser in (visitor, browsers[0], browsers[2], browsers[1])]
    assert ids(live.recent()) == expected
    assert [ids(live.recent(2, offset)) for offset in (0, 1, 2, 3, 4, 400)] == [
        expected[:2],
        expected[1:3],
        expected[2:],
        expected[3:],
        [],
        [],
    ]
    assert live.recent(0) == []
    first = live.recent(1)[0]
    assert ([line.sku for line in first.cart], first.is_authenticated, first.status) == (
        ["tea", "cup"],
        False,
        SessionStatus.LIVE,
    )
    browsers[2].visit(sign_out)
    assert id_of(visitor) in ids(live.recent())
    assert len(live.recent()) == 3


@pytest.mark.parametrize("numbers", [(-1, 0), (10, -1)])
def test_recent_counts_from_nothing(live: LiveSessions, numbers: tuple[int, int]) -> None:
    """Less than nothing is a mistake."""
    with pytest.raises(ValueError, match="count from 0"):
        live.recent(*numbers)


def test_ending_everything(
    live: LiveSessions, signed_in: Callable[..., Browser], new_browser: NewBrowser, user: User, other_user: User
) -> None:
    """All sessions end, of users and of visitors; their visitors are told by whom, and nobody is counted twice."""
    visitor = new_browser()
    visitor.visit(put_in_cart())
    browsers = [signed_in(user), signed_in(other_user, remember=True), visitor]
    assert live.end_all() == 3
    assert live.end_all() == 0
    assert live.count() == 0
    assert {browser.visit(status).text for browser in browsers} == {"ended ended_by_staff"}


def test_r19_ending_all_before_an_instant(
    live: LiveSessions, signed_in: Callable[..., Browser], user: User, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions that began before an instant end, in pages, however often they were used since; later ones stay."""
    monkeypatch.setattr("typed_sessions.live._PAGE", 2)
    old = [signed_in(user) for _ in range(5)]
    clock.advance(60)
    instant = clock.moment()
    new = [signed_in(user) for _ in range(3)]
    for browser in (*old[:2], *new[:1], *old[2:]):
        clock.advance(60)
        browser.visit(put_in_cart())
    numbers: list[int] = []
    assert live.end_all(instant, EndReason.PASSWORD_CHANGED, numbers.append) == 5
    assert numbers == sorted(numbers)
    assert numbers[-1] == 5
    assert sorted(map(str, ids(live.for_user(user)))) == sorted(id_of(browser) for browser in new)
    assert {browser.visit(status).text for browser in old} == {"ended password_changed"}
    assert live.end_all(instant) == 0


def test_r19_restored_from_a_backup(live: LiveSessions, signed_in: Callable[..., Browser], user: User) -> None:
    """Sessions that a backup has brought back after they had ended are over when all before it are ended."""
    browser = signed_in(user)
    record = _store().load(id_of(browser))
    assert isinstance(record, Record)
    kept = browser.copy()
    browser.visit(sign_out)
    again = msgspec.structs.replace(record, id=UNKNOWN)
    assert _store().create(again)
    assert live.end_all() == 1
    assert live.get(UNKNOWN) is None
    assert kept.visit(status).text == "ended logged_out"


def _store() -> Store:
    store: Store = import_module(django_settings.SESSION_ENGINE).SessionStore().store
    return store


def test_time_without_zone(live: LiveSessions) -> None:
    """Nobody is to guess in which time zone an instant is meant."""
    with pytest.raises(ValueError, match="before needs a time zone"):
        live.end_all(datetime(2026, 1, 1))  # which is what is wrong with it


def test_session_that_ends_while_all_do(
    live: LiveSessions, signed_in: Callable[..., Browser], user: User, verbs: Verbs
) -> None:
    """Whoever leaves while everything is ended is not counted."""
    browsers = [signed_in(user) for _ in range(3)]
    verbs.before("load_many", lambda: live_sessions.end(id_of(browsers[0])))
    assert live.end_all() == 2
    assert live.count() == 0


def test_reaping(live: LiveSessions, signed_in: Callable[..., Browser], user: User, clock: Clock) -> None:
    """A pass answers how many had expired, and leaves the others alone."""
    browsers = [signed_in(user, remember) for remember in (False, True, False)]
    assert live.reap()[:2] == (0, 0)
    clock.advance(15 * 86_400)
    assert live.reap()[:2] == (2, 0)
    assert live.reap()[:2] == (0, 0)
    assert ids(live.for_user(user)) == [id_of(browsers[1])]


def test_looking_changes_nothing(
    live: LiveSessions, signed_in: Callable[..., Browser], user: User, clock: Clock
) -> None:
    """Who looks at a session from outside neither prolongs it nor saves what is set on what was answered."""
    browser = signed_in(user)
    clock.advance(3600)
    session = live.get(id_of(browser))
    session.currency = "USD"
    live.for_user(user)[0].currency = "USD"
    again = live.get(id_of(browser))
    assert (again.currency, again.last_seen_at, again.expires_at) == ("EUR", session.last_seen_at, session.expires_at)
    assert browser.visit(lambda request: request.typed_session.currency).text == "EUR"


def test_session_that_ends_between_index_and_record(
    live: LiveSessions, signed_in: Callable[..., Browser], user: User, verbs: Verbs
) -> None:
    """Of two steps the second may find less: what has ended meanwhile is not listed."""
    kept, ended = signed_in(user), signed_in(user)
    verbs.before("load_many", lambda: live_sessions.end(id_of(ended)))
    assert ids(live.for_user(user)) == [id_of(kept)]


def test_session_that_another_has_taken_over(
    live: LiveSessions, signed_in: Callable[..., Browser], user: User, other_user: User, engine: type[SessionStore]
) -> None:
    """An index that is a moment behind shows nobody the session of somebody else."""
    theirs = signed_in(other_user)
    signed_in(user)

    class Behind:
        """Still has, under one user, a session that is another one's by now."""

        def __init__(self, store: Any) -> None:
            self.store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self.store, name)

        def of_user(self, key: str, now: int) -> list[str]:
            return [*self.store.of_user(key, now), id_of(theirs)]

        async def aof_user(self, key: str, now: int) -> list[str]:
            return [*await self.store.aof_user(key, now), id_of(theirs)]

    with pytest.MonkeyPatch.context() as patch:
        store = engine().store
        patch.setattr(engine, "store", property(lambda self: Behind(store)))
        assert id_of(theirs) not in ids(live.for_user(user))


@pytest.mark.parametrize("engine", rows("db", "redis"), indirect=True)
def test_record_that_cannot_be_read(
    live: LiveSessions, signed_in: Callable[..., Browser], user: User, engine: type[SessionStore]
) -> None:
    """A damaged record is no session, and hides no other."""
    damaged, whole = signed_in(user), signed_in(user)
    damaged.visit(write_to("currency", "XXX"))
    spoil(engine, damaged.token, b'"currency":"XXX"', b'"currency":"XX')
    assert live.get(id_of(damaged)) is None or engine.__module__.endswith("db")
    assert id_of(whole) in ids(live.for_user(user))


@pytest.mark.parametrize("engine", ["redis"], indirect=True)
@pytest.mark.parametrize("verb", VERBS)
def test_store_that_does_not_answer(
    live: LiveSessions, valkey: RedisServer, engine: type[SessionStore], verb: str
) -> None:
    """An outage is an error, and never an empty list."""
    arguments = some_arguments(verb)
    getattr(live, verb)(*arguments)
    valkey.stop()
    with pytest.raises(StoreUnavailable):
        getattr(live, verb)(*arguments)


# Engines that cannot


@pytest.mark.parametrize("engine", ["cache"], indirect=True)
@pytest.mark.parametrize(
    "verb", ["for_user", "count_for", "end_for_user", "count", "recent", "statistics", "end_all", "reap"]
)
def test_cache_cannot_list(live: LiveSessions, engine: type[SessionStore], user: User, verb: str) -> None:
    """On the cache engine what needs a list says so, and which engines have one."""
    with pytest.raises(NotImplementedError, match="CacheStore cannot list sessions; use the redis, db or cached_db"):
        getattr(live, verb)(*some_arguments(verb))
    assert not live_sessions.can_list


@pytest.mark.parametrize("engine", ["cache"], indirect=True)
def test_cache_has_no_history(live: LiveSessions, engine: type[SessionStore]) -> None:
    """Nobody can have taken a sample on the cache engine, and so there is none."""
    assert live.history() == []


@pytest.mark.parametrize("engine", ["cache"], indirect=True)
def test_cache_knows_ids(live: LiveSessions, signed_in: Callable[..., Browser], user: User) -> None:
    """A session whose id is known can be looked at and ended on the cache engine too."""
    browser = signed_in(user)
    assert live.get(id_of(browser)).user_name == "ada"
    assert live.end(id_of(browser)) is True
    assert browser.visit(status).text == "ended ended_by_user"


def test_engines_that_can_list(engine: type[SessionStore]) -> None:
    """Every other engine can."""
    assert live_sessions.can_list
    assert import_module(django_settings.SESSION_ENGINE).SessionStore is engine


@pytest.mark.parametrize("engine", ["db"], indirect=True)
@pytest.mark.parametrize("verb", VERBS)
def test_engine_of_django(live: LiveSessions, engine: type[SessionStore], settings: Settings, verb: str) -> None:
    """Where the project's engine is none of ours, the error names the setting."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    with pytest.raises(ImproperlyConfigured, match=r"SESSION_ENGINE is 'django\.contrib\.sessions\.backends\.db'"):
        getattr(live, verb)(*some_arguments(verb))
    assert not live_sessions.can_list


def test_every_verb_has_a_twin() -> None:
    """Each verb is there for async code too, with the same arguments, and nothing else is."""
    public = {name for name, member in vars(LiveSessions).items() if callable(member) and name[0] != "_"}
    assert public == {*VERBS, *(f"a{verb}" for verb in VERBS)}
    for verb, arguments in VERBS.items():
        sync, twin = getattr(LiveSessions, verb), getattr(LiveSessions, f"a{verb}")
        assert sync.__annotations__ == twin.__annotations__
        assert len(sync.__annotations__) == arguments + 1
