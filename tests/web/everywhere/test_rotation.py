"""What a sign-in does to what was there before it (REQ-S11 to REQ-S18), by every path there is; a change of rights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

import django
import pytest
from django.conf import settings
from django.contrib import auth
from django.contrib.auth.middleware import RemoteUserMiddleware
from django.contrib.auth.models import Group, Permission, User
from django.core.cache import caches
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.web.browser import OPT, X_OPT, X_PID, ApiClient, Browser
from tests.web.conftest import PASSWORD
from tests.web.everywhere.visitors import NewVisitor, Visitor, is_nobody, is_signed_in, tokens_of
from tests.web.matrix import TRANSACTIONAL, each_engine, each_way, half_of_the_ways
from tests.web.paths import PATHS
from tests.web.signing import Request, async_sign_in, cart, put_in_cart, sign_in, sign_out, status, who
from tests.web.stored import count, raw_records
from tests.web.urls import View, address
from typed_sessions import tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.exceptions import StoreUnavailable
from typed_sessions.models import StoredSession
from typed_sessions.stores.byte_cache import byte_cache
from typed_sessions.stores.cache import CacheStore
from typed_sessions.testing.engines import Verbs
from typed_sessions.views import ConfirmPasswordView

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine", "clock")

each_path = pytest.mark.parametrize("path", PATHS)


def holding(visitor: Visitor, permanent: str) -> Visitor:
    """The visitor, whose temporary session is in use, with a permanent token besides."""
    if isinstance(visitor, ApiClient):
        return ApiClient(visitor.ask, {**visitor.sent, X_PID: permanent})
    return visitor.copy(ss_pid=permanent, ss_opt="temp")


@each_way
@each_path
def test_s11_every_path_gives_new_tokens(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, path: str
) -> None:
    """A sign-in by any path takes the data along under a new token, and the old ones of both modes are dead at once."""
    remembered, before = new_visitor(), new_visitor()
    remembered.visit(sign_in(user, remember=True))
    before.visit(put_in_cart())
    visitor = holding(before, remembered.token)
    answer = PATHS[path](visitor, user)
    assert answer.status in (200, 302)
    assert is_signed_in(visitor)
    assert visitor.visit(cart).text == "['a'] a"
    assert not tokens_of(visitor) & (tokens_of(before) | tokens_of(remembered))
    assert is_nobody(before)
    assert is_nobody(remembered)
    assert count(engine) == 1


@each_engine
@pytest.mark.parametrize("handler", ["wsgi"], indirect=True)
def test_s11_forced_sign_in(browser: Browser, engine: type[SessionStore], user: User) -> None:
    """`force_login` of Django's test client gives a new token too, and the old one is dead."""
    browser.visit(put_in_cart())
    before = browser.copy()
    client = Client()
    client.cookies.load(browser.cookies)
    client.force_login(user)
    after = Browser(browser.ask, {name: morsel.value for name, morsel in client.cookies.items()})
    assert is_signed_in(after)
    assert after.visit(cart).text == "['a'] a"
    assert is_nobody(before)
    assert count(engine) == 1


NOISE = ["state", "oauth_token", "ss-opt", "ss-id", "X-ss-id", "remember", "next", "provider", "session_key", "cycle"]


@pytest.mark.parametrize(
    ("engine", "transport", "handler"), [("cache", "cookie", "wsgi"), ("cache", "header", "asgi")], indirect=True
)
def test_s12_nothing_in_a_request_keeps_the_token(new_visitor: NewVisitor, user: User) -> None:
    """No query, form, header or option keeps a sign-in from changing the token, nor makes it a permanent one."""
    visitor = new_visitor()
    visitor.get("/admin/login/")  # for the token of forms
    words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9)
    noise = st.dictionaries(st.sampled_from(NOISE) | words, words | st.sampled_from(["temp", "perm", "true"]))
    headers = st.dictionaries(st.from_regex(r"X-[A-Za-z]{1,9}(-[a-z]{1,9})?", fullmatch=True), words.map(str.strip))

    @hypothesis_settings(
        max_examples=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(noise, noise, headers, st.sampled_from(["temp", "junk", "PERM", "perm,temp"]))
    def check(query: dict[str, str], form: dict[str, str], sent: dict[str, str], option: str) -> None:
        some = visitor.copy()
        some.visit(put_in_cart())
        before = some.copy()
        some = saying(some, option)
        some.visit(sign_in(user), urlencode(query), **{"X_provider": "none", **sent})
        once = some.copy()
        assert some.token != before.token
        assert mode_of(some) == "temp"
        assert is_nobody(before)
        body = {**form, "username": user.username, "password": PASSWORD}
        assert some.post(f"/accounts/login/?{urlencode(query)}", **body).status == 302
        assert some.token != once.token
        assert is_nobody(once)
        assert is_signed_in(some)

    check()


def saying(visitor: Visitor, option: str) -> Visitor:
    if isinstance(visitor, ApiClient):
        return ApiClient(visitor.ask, {**visitor.sent, X_OPT: option})
    return visitor.copy(ss_opt=option)


def mode_of(visitor: Visitor) -> str:
    return visitor.sent[X_OPT] if isinstance(visitor, ApiClient) else visitor.cookies[OPT]


@half_of_the_ways
@each_path
def test_s14_signing_in_again_gives_a_new_token(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, path: str
) -> None:
    """A user who signs in again, by any path, gets a new token for the same data."""
    visitor = new_visitor()
    PATHS[path](visitor, user)
    visitor.visit(put_in_cart())
    before = visitor.copy()
    PATHS[path](visitor, user)
    assert is_signed_in(visitor)
    assert not tokens_of(visitor) & tokens_of(before)
    assert visitor.visit(cart).text == "['a'] a"
    assert is_nobody(before)
    assert count(engine) == 1


def cycle_key(request: Request) -> None:
    request.session.cycle_key()


async def acycle_key(request: Request) -> None:
    await request.session.acycle_key()


def change_email(request: Request) -> None:
    User.objects.update(email="ada@example.org")
    request.session.cycle_key()


@half_of_the_ways
@pytest.mark.parametrize("remember", [False, True])
@pytest.mark.parametrize("change", [cycle_key, acycle_key, change_email])
def test_s14_new_token_whenever_asked_for(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, change: View, remember: bool
) -> None:
    """`cycle_key`, for any change of rights or of who can prove what, moves the session to a new token of its mode."""
    visitor, elsewhere = new_visitor(), new_visitor()
    elsewhere.visit(sign_in(user))
    visitor.visit(sign_in(user, remember))
    visitor.visit(put_in_cart())
    before = visitor.copy()
    visitor.visit(change)
    assert mode_of(visitor) == ("perm" if remember else "temp")
    assert is_nobody(before)
    assert is_signed_in(visitor)
    assert visitor.visit(cart).text == "['a'] a"
    assert is_signed_in(elsewhere)
    assert count(engine) == 2


@each_way
@pytest.mark.parametrize("remember", [False, True])
def test_s14_showing_the_password_again(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, remember: bool
) -> None:
    """Whoever confirms the password gets a new token of the same mode; after a wrong one everything is as it was."""
    visitor = new_visitor()
    visitor.visit(sign_in(user, remember))
    visitor.visit(put_in_cart())
    page = address(ConfirmPasswordView.as_view())
    before = visitor.copy()
    records = raw_records(engine)
    assert visitor.post(page, password="wrong").status == 200
    assert tokens_of(visitor) == tokens_of(before)
    assert raw_records(engine) == records
    assert visitor.post(page, password=PASSWORD).status == 302
    assert mode_of(visitor) == ("perm" if remember else "temp")
    assert is_nobody(before)
    assert is_signed_in(visitor)
    assert visitor.visit(cart).text == "['a'] a"
    assert count(engine) == 1


@each_way
def test_s14_acting_as_another(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, other_user: User
) -> None:
    """To begin and to stop acting as another user each give a new token, and neither sees the other's data."""
    visitor = new_visitor()
    visitor.visit(sign_in(user))
    visitor.visit(put_in_cart())
    for acting, name in ((other_user, "grace"), (user, "ada")):
        before = visitor.copy()
        visitor.visit(sign_in(acting))
        assert is_signed_in(visitor, name)
        assert visitor.visit(cart).text == "[] None"
        assert is_nobody(before)
        assert count(engine) == 1
        visitor.visit(put_in_cart(name))


@each_way
@pytest.mark.parametrize("remember", [False, True])
def test_s15_old_token_is_dead_at_once(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, remember: bool
) -> None:
    """There is no grace for the token from before a sign-in: it neither reads nor writes nor signs out."""
    visitor = new_visitor()
    visitor.visit(put_in_cart())
    before = visitor.copy()
    visitor.visit(sign_in(user, remember))
    for view in (who, cart, put_in_cart("theirs"), sign_out):
        answer = before.copy().visit(view)
        assert "ada" not in answer.text
        assert "'a'" not in answer.text
    assert is_signed_in(visitor)
    assert visitor.visit(cart).text == "['a'] a"


@pytest.mark.parametrize("change", [sign_in, sign_out, cycle_key, "another"])
@pytest.mark.parametrize("engine", [pytest.param("cached_db", marks=TRANSACTIONAL)], indirect=True)
def test_s15_copy_in_the_cache_is_dead_too(new_visitor: NewVisitor, user: User, other_user: User, change: Any) -> None:
    """A copy that other processes have been reading does not outlive its session, nor for a moment."""
    visitor = new_visitor()
    visitor.visit(sign_in(user))
    caches[settings.SESSION_CACHE_ALIAS].clear()  # of the marks that writes leave
    assert is_signed_in(visitor)
    copies = byte_cache(settings.SESSION_CACHE_ALIAS)
    assert b"ada" in copies.get(tokens.urn(tokens.digest(visitor.token)))
    before = visitor.copy()
    visitor.visit(sign_in(other_user) if change == "another" else sign_in(user) if change is sign_in else change)
    assert is_nobody(before)


@each_way
def test_s16_what_does_not_carry_over(new_visitor: NewVisitor, user: User) -> None:
    """A visitor's field that says so begins anew at sign-in, but not at a user's next one; the others come along."""

    def plant(request: Request) -> None:
        request.typed_session.landing_page = "/offer"
        request.typed_session.currency = "USD"

    def shown(request: Request) -> str:
        return f"{request.typed_session.landing_page!r} {request.typed_session.currency}"

    visitor = new_visitor()
    visitor.visit(plant)
    visitor.visit(sign_in(user))
    assert visitor.visit(shown).text == "'' USD"
    visitor.visit(plant)
    visitor.visit(sign_in(user))
    assert visitor.visit(shown).text == "'/offer' USD"


def fields_of_the_user(request: Request) -> str:
    session = request.typed_session
    return f"{session.user_auth_id} {session.email} {session.first_name} {session.roles} {session.gift_note!r}"


@half_of_the_ways
@each_path
def test_s17_another_user_finds_nothing(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, other_user: User, path: str
) -> None:
    """Signing in over somebody else's session, by any path, leaves nothing of it, and ends it."""
    visitor = new_visitor()
    visitor.visit(sign_in(user, remember=True))
    visitor.visit(put_in_cart())
    before = visitor.copy()
    PATHS[path](visitor, other_user)
    assert is_signed_in(visitor, "grace")
    assert visitor.visit(cart).text == "[] None"
    assert visitor.visit(fields_of_the_user).text == f"{other_user.pk} None None [] ''"
    assert not tokens_of(visitor) & tokens_of(before)
    assert is_nobody(before)
    assert count(engine) == 1


class ProxyUser(RemoteUserMiddleware):
    """The web server in front says who it is."""

    header = "HTTP_X_USER"


class AsyncProxyUser(RemoteUserMiddleware):
    """The same for async sites, where Django before 6.1 puts the beginning in front by itself."""

    header = "HTTP_X_USER" if django.VERSION >= (6, 1) else "X_USER"


@each_engine
def test_s17_identity_from_a_proxy(
    new_site: Callable[..., Browser],
    engine: type[SessionStore],
    user: User,
    other_user: User,
    settings: Settings,
    handler: str,
) -> None:
    """When the proxy names another user than before, nothing of the one before is left (CVE-2014-0482)."""
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
    browser = new_site(*settings.MIDDLEWARE, f"{__name__}.{'Async' * (handler == 'asgi')}ProxyUser")
    browser.visit(put_in_cart(), X_User="ada")
    assert browser.visit(who, X_User="ada").text.startswith("ada ada")
    before = browser.copy()
    assert browser.visit(who, X_User="grace").text.startswith("grace grace")
    assert browser.visit(cart, X_User="grace").text == "[] None"
    assert before.visit(status).text == "ended logged_out"
    assert browser.visit(who).text.startswith("anonymous anonymous")
    assert count(engine) == 0


def write_by_hand(user: User) -> View:
    """Makes the session the user's without `login`, as some packages do."""

    def view(request: Request) -> None:
        request.session[auth.SESSION_KEY] = str(user.pk)
        request.session[auth.BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        request.session[auth.HASH_SESSION_KEY] = user.get_session_auth_hash()

    return view


@each_way
def test_s17_identity_changed_by_hand(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, other_user: User
) -> None:
    """Whoever writes another user into the session past `login` does not give that user the first one's data."""
    visitor = new_visitor()
    visitor.visit(sign_in(user))
    visitor.visit(put_in_cart())
    before = visitor.copy()
    visitor.visit(write_by_hand(other_user))
    assert is_nobody(before)
    assert visitor.visit(cart).text == "[] None"
    assert visitor.visit(lambda request: request.user).text == "grace"
    assert count(engine) == 1


@each_way
def test_s11_identity_begun_by_hand(new_visitor: NewVisitor, engine: type[SessionStore], user: User) -> None:
    """A visitor's session that is made a user's past `login` gets a new token too, and the old one is dead."""
    visitor = new_visitor()
    visitor.visit(put_in_cart())
    before = visitor.copy()
    visitor.visit(write_by_hand(user))
    assert is_nobody(before)
    assert visitor.visit(lambda request: request.user).text == "ada"
    assert visitor.visit(cart).text == "['a'] a"
    assert count(engine) == 1


# A change of rights


def rights(request: Request) -> str:
    user = cast("User", request.user)
    groups = user.groups.filter(name="editors").exists()
    return f"{user.has_perm('auth.view_user')} {user.is_staff} {user.is_superuser} {groups}"


async def async_rights(request: Request) -> str:
    user = cast("User", await request.auser())
    groups = await user.groups.filter(name="editors").aexists()
    return f"{await user.ahas_perm('auth.view_user')} {user.is_staff} {user.is_superuser} {groups}"


@each_way
@pytest.mark.parametrize("root", [False, True])
def test_s64_rights_that_were_taken_are_gone(new_visitor: NewVisitor, user: User, handler: str, root: bool) -> None:
    """What is taken from a user, or given, past every signal, counts in the next request of a session that lives on."""
    shown = async_rights if handler == "asgi" else rights
    editors = Group.objects.create(name="editors")
    user.user_permissions.add(Permission.objects.get(codename="view_user"))
    user.groups.add(editors)
    accounts = User.objects.filter(pk=user.pk)
    accounts.update(is_staff=True, is_superuser=root)
    visitor = new_visitor()
    visitor.visit(sign_in(user))
    assert visitor.visit(shown).text == f"True True {root} True"
    assert visitor.get("/admin/auth/user/").status == 200
    accounts.update(is_staff=False, is_superuser=False)
    User.user_permissions.through.objects.all().delete()
    User.groups.through.objects.all().delete()
    assert visitor.visit(shown).text == "False False False False"
    assert visitor.get("/admin/auth/user/").status == 302
    assert is_signed_in(visitor)
    accounts.update(is_staff=True, is_superuser=True)
    assert visitor.visit(shown).text == "True True True False"
    assert visitor.get("/admin/auth/user/").status == 200


# REQ-S18


def no_answer(*_: object, **__: object) -> None:
    raise StoreUnavailable("The store does not answer, says the test.")


@each_way
@pytest.mark.parametrize("verb", ["end", "replace"])
def test_s18_store_that_fails_at_a_sign_in(
    new_visitor: NewVisitor,
    engine: type[SessionStore],
    user: User,
    verbs: Verbs,
    handler: str,
    verb: str,
) -> None:
    """If an old session cannot be ended nobody has signed in: it is a 503, and no new session is there."""
    remembered, before = new_visitor(), new_visitor()
    remembered.visit(sign_in(user, remember=True))
    before.visit(put_in_cart())
    visitor = holding(before, remembered.token)
    had = tokens_of(visitor)
    enter = async_sign_in(user) if handler == "asgi" else sign_in(user)
    verbs.before(verb, no_answer)
    answer = visitor.visit(enter)
    assert (answer.status, answer.ours, answer.told) == (503, {}, {})
    assert tokens_of(visitor) == had
    assert visitor.visit(cart).text == "['a'] a"
    assert not is_signed_in(visitor)
    assert count(engine) == (2 if verb == "end" else 1)
    visitor.visit(enter)
    assert is_signed_in(visitor)
    assert count(engine) == 1


HALFWAY = {"db": (StoredSession, "save"), "cached_db": (StoredSession, "save"), "cache": (CacheStore, "_bury")}
"""Where a rotation has a second step; on Redis one script does it all."""


@pytest.mark.parametrize(
    ("engine", "halfway"), [pytest.param(name, step, id=name) for name, step in HALFWAY.items()], indirect=["engine"]
)
def test_s18_rotation_is_whole_or_not_at_all(
    browser: Browser,
    engine: type[SessionStore],
    user: User,
    monkeypatch: pytest.MonkeyPatch,
    halfway: tuple[type[object], str],
) -> None:
    """If the store fails halfway through a rotation there are not two sessions: the new one is undone."""
    browser.visit(put_in_cart())
    before = browser.copy()
    with monkeypatch.context() as patch:
        patch.setattr(*halfway, no_answer)
        answer = browser.visit(sign_in(user))
    assert (answer.status, answer.ours) == (503, {})
    assert before.visit(cart).text == "['a'] a"
    assert count(engine) == 1
    browser.visit(sign_in(user))
    assert is_signed_in(browser)
    assert is_nobody(before)
    assert count(engine) == 1


@each_way
def test_s18_rotation_whose_reply_was_lost(
    new_visitor: NewVisitor, engine: type[SessionStore], user: User, monkeypatch: pytest.MonkeyPatch, handler: str
) -> None:
    """If the store has done a rotation and could not say so, the old token is dead, and nobody is signed in by it."""
    visitor = new_visitor()
    visitor.visit(put_in_cart())
    store = type(engine().store)
    replace, areplace = store.replace, store.areplace

    def lost(self: Any, *args: Any) -> None:
        replace(self, *args)
        no_answer()

    async def alost(self: Any, *args: Any) -> None:
        await areplace(self, *args)
        no_answer()

    with monkeypatch.context() as patch:
        patch.setattr(store, "replace", lost)
        patch.setattr(store, "areplace", alost)
        answer = visitor.visit(async_sign_in(user) if handler == "asgi" else sign_in(user))
    assert (answer.status, answer.ours, answer.told) == (503, {}, {})
    assert is_nobody(visitor)
    assert count(engine) == 1
    if isinstance(visitor, ApiClient):
        visitor.forget()
    visitor.visit(sign_in(user))
    assert is_signed_in(visitor)
