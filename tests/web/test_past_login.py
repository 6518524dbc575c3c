"""What reaches a session past Django's own doors: by hand, by other packages, by middleware, by mistake."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.contrib import auth
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.sessions.backends.base import UpdateError
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpResponse

from tests.sessions import CartLine, ShopSession
from tests.web.browser import ID, OPT, PID, ApiClient, Browser
from tests.web.conftest import PASSWORD
from tests.web.signing import Request, cart, put_in_cart, sign_in, sign_out, state, status, who
from typed_sessions import aget_session, live_sessions
from typed_sessions.auth import TypedSessionBackend, login, logout
from typed_sessions.backends.base import SessionStore
from typed_sessions.debug import TypedSessionExceptionReporterFilter
from typed_sessions.decorators import recent_auth_required
from typed_sessions.exceptions import SignInRefused
from typed_sessions.testing.engines import Clock, Configure

OURS = "typed_sessions.middleware.TypedSessionMiddleware"
USERS = "django.contrib.auth.middleware.AuthenticationMiddleware"

pytestmark = pytest.mark.usefixtures("engine")


def by_hand(user: User) -> Callable[[Request], str]:
    """Puts the user into the session as Django's `login` does, and does nothing else of it."""

    def view(request: Request) -> str:
        request.session[auth.SESSION_KEY] = str(user.pk)
        request.session[auth.BACKEND_SESSION_KEY] = "typed_sessions.auth.TypedSessionBackend"
        request.session[auth.HASH_SESSION_KEY] = user.get_session_auth_hash()
        return state(request)

    return view


def test_s11_sign_in_by_hand(browser: Browser, user: User) -> None:
    """A visitor's token is not that of the user whom a view puts into the session; what the visitor had stays."""
    browser.visit(put_in_cart())
    before = browser.copy()
    browser.visit(by_hand(user))
    assert browser.cookies[ID] != before.cookies[ID]
    assert browser.visit(who).text.startswith("ada")
    assert browser.visit(cart).text == "['a'] a"
    assert before.visit(who).text.startswith("anonymous")


def test_s17_user_changed_by_hand(browser: Browser, user: User, other_user: User) -> None:
    """Who is put in another user's place has what is put in afterwards and nothing else, and has proved nothing."""
    browser.visit(sign_in(user))
    browser.visit(put_in_cart("theirs"))
    before = browser.copy()

    def change(request: Request) -> None:
        by_hand(other_user)(request)
        request.session["seen"] = "mine"

    browser.visit(change)
    assert browser.visit(cart).text == "[] mine"
    assert browser.visit(lambda request: request.typed_session.authenticated_at).text == "None"
    assert browser.visit(recent_auth_required(300)(state)).status == 302
    assert before.visit(who).text.startswith("anonymous")


def test_s17_sign_out_by_hand(browser: Browser, user: User, configure: Configure) -> None:
    """Who takes the user out of the session leaves nothing of theirs in it, and not their token or cookie either."""
    configure(USER_COOKIE=True)
    browser.visit(sign_in(user))
    browser.visit(put_in_cart())
    before = browser.copy()

    def leave(request: Request) -> None:
        for key in (auth.SESSION_KEY, auth.BACKEND_SESSION_KEY, auth.HASH_SESSION_KEY):
            del request.session[key]

    answer = browser.visit(leave)
    assert answer.cookies["X-UAId"].value == ""
    assert browser.visit(cart).text == "[] None"
    assert browser.visit(lambda request: request.typed_session.user_name).text == "None"
    assert before.visit(who).text.startswith("anonymous")


def test_s17_sign_in_after_a_sign_out_by_hand(browser: Browser, user: User, other_user: User) -> None:
    """The next user of a session that was left by hand in the same request has nothing of the former."""
    browser.visit(sign_in(user))
    browser.visit(put_in_cart())

    def view(request: Request) -> None:
        del request.session[auth.SESSION_KEY]
        auth.login(request, other_user, "typed_sessions.auth.TypedSessionBackend")

    browser.visit(view)
    assert browser.visit(who).text.startswith("grace grace")
    assert browser.visit(cart).text == "[] None"


def test_signal_of_another_package(browser: Browser, user: User, clock: Clock) -> None:
    """That somebody sends `user_logged_in`, as for an API token, is no sign-in, and changes nothing of the session."""
    browser.visit(sign_in(user, remember=True))
    before = dict(browser.cookies)
    clock.advance(3600)

    def hand_out_token(request: Request) -> None:
        user_logged_in.send(sender=User, request=request, user=request.user)

    browser.visit(hand_out_token)
    assert {name: browser.cookies[name] for name in (PID, OPT)} == {name: before[name] for name in (PID, OPT)}
    assert browser.visit(recent_auth_required(300)(state)).status == 302


def test_signal_that_another_user_has_left(
    browser: Browser, user: User, other_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`on_logout` is for the user of the session, and not for whom another package signs out."""
    called: list[object] = []
    monkeypatch.setattr(ShopSession, "on_logout", lambda self, request: called.append(self.user_name))
    browser.visit(sign_in(user))

    def give_back_token(request: Request) -> None:
        user_logged_out.send(sender=User, request=request, user=other_user)

    browser.visit(give_back_token)
    assert called == []
    browser.visit(sign_out)
    assert called == ["ada"]


def test_signal_without_our_engine(user: User) -> None:
    """Signals of requests that have no session of ours, or none at all, pass by."""
    user_logged_in.send(sender=User, request=None, user=user)
    user_logged_out.send(sender=User, request=None, user=user)


def test_s57_hook_that_fails_at_sign_out(browser: Browser, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in `on_logout`, the session has ended."""

    def fail(session: ShopSession, request: object) -> None:
        raise OSError

    browser.visit(sign_in(user))
    before = browser.copy()
    monkeypatch.setattr(ShopSession, "on_logout", fail)
    assert browser.visit(sign_out).status == 500
    assert before.visit(who).text.startswith("anonymous")
    assert ID not in browser.cookies


@pytest.mark.django_db(transaction=True)
def test_s57_sign_out_that_is_rolled_back(browser: Browser, user: User) -> None:
    """A transaction that is rolled back around a sign-out does not bring the session back."""
    browser.visit(sign_in(user))
    before = browser.copy()

    @transaction.atomic
    def view(request: Request) -> None:
        logout(request)
        raise PermissionDenied

    assert browser.visit(view).status == 403
    assert before.visit(who).text.startswith("anonymous")


@pytest.mark.django_db(transaction=True)
def test_sign_in_that_is_rolled_back_leaves_no_snapshot(browser: Browser, user: User, configure: Configure) -> None:
    """Of an account that a transaction may yet take back no snapshot is kept, and the first request asks for it."""
    configure(USER_SNAPSHOT_AGE=600)

    @transaction.atomic
    def view(request: Request) -> None:
        login(request, User.objects.create_user("ghost"))
        transaction.set_rollback(True)

    browser.visit(view)
    assert browser.visit(who).text.startswith("anonymous")


def test_refused_sign_in_keeps_what_the_view_did(browser: Browser, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """A veto takes back the sign-in, and nothing else that the request has changed, before it or after."""
    monkeypatch.setattr(ShopSession, "validate", lambda self, request, user: "no")

    def view(request: Request) -> str:
        session = request.typed_session
        session.cart.append(CartLine("b"))
        with pytest.raises(SignInRefused):
            auth.login(request, user, "typed_sessions.auth.TypedSessionBackend")
        session.currency = "USD"
        return str(request.typed_session is session)

    browser.visit(put_in_cart())
    before = browser.cookies[ID]
    assert browser.visit(view).text == "True"
    assert browser.cookies[ID] == before
    assert browser.visit(lambda request: request.typed_session.currency).text == "USD"
    assert browser.visit(cart).text == "['a', 'b'] a"
    assert browser.visit(who).text.startswith("anonymous")


def test_refusal_is_of_one_attempt(browser: Browser, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice of a lifetime, and that there was a veto, do not outlive the attempt they belong to."""
    monkeypatch.setattr(ShopSession, "validate", lambda self, request, user: "no")

    def refused(request: Request) -> None:
        with pytest.raises(SignInRefused):
            login(request, user, remember=True)

    browser.visit(refused)
    monkeypatch.undo()
    browser.visit(sign_in(user))
    assert browser.cookies[OPT] == "temp"


class Denying(TypedSessionBackend):
    """Lets users sign in, and knows none of them afterwards, as a directory that has locked the account."""

    def get_user(self, user_id: object) -> None:
        return None

    async def aget_user(self, user_id: object) -> None:
        return None


def async_state(request: Request) -> Any:
    async def view() -> str:
        session = await aget_session(request, ShopSession)
        return f"{session.is_authenticated} {session.user_name} {(await request.auser()).is_authenticated}"

    return view()


markcoroutinefunction(async_state)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_s59_backend_that_denies_its_user(browser: Browser, user: User, settings: Any, asynchronous: bool) -> None:
    """Whom the backend does not know is nobody, for the typed session as well; the record of a good account stays."""
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.Denying"]

    def enter(request: Request) -> None:
        auth.login(request, user, f"{__name__}.Denying")

    def shown(request: Request) -> str:
        session = request.typed_session
        return f"{session.is_authenticated} {session.user_name} {request.user.is_authenticated}"

    browser.visit(enter)
    assert iscoroutinefunction(async_state)
    assert browser.visit(async_state if asynchronous else shown).text == "False None False"
    settings.AUTHENTICATION_BACKENDS = ["typed_sessions.auth.TypedSessionBackend", f"{__name__}.Denying"]
    assert live_sessions.count_for(user) == 1


class Early:
    """Middleware in front of the one that knows the user."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        request.typed_session.currency  # noqa: B018  # it looks, and that is all
        return self.get_response(request)


def test_s59_middleware_that_looks_early(new_site: Callable[..., Browser], user: User) -> None:
    """A look at the session before anybody can know the user does not spare the view that its user is verified."""
    browser = new_site(OURS, f"{__name__}.Early", USERS)
    browser.visit(sign_in(user))
    User.objects.update(is_active=False)
    assert browser.visit(lambda request: request.typed_session.is_authenticated).text == "False"


def test_user_after_a_sign_out_in_another_colour(browser: Browser, user: User) -> None:
    """`request.auser()` after a sync sign-out in the same request is nobody."""

    async def view(request: Any) -> bool:
        await sync_to_async(lambda: request.user.is_authenticated)()
        await sync_to_async(logout)(request)
        return bool((await request.auser()).is_authenticated)

    browser.visit(sign_in(user))
    assert browser.visit(view).text == "False"


def test_wrong_password_in_async_code(browser: Browser, user: User) -> None:
    """`aauthenticate` with a wrong password is nobody, and with the right one the user."""

    async def view(request: Request) -> str:
        found = [await auth.aauthenticate(request, username="ada", password=word) for word in ("wrong", PASSWORD)]
        return str(found)

    assert browser.visit(view).text == "[None, <User: ada>]"


def test_s32_option_cookie_alone(browser: Browser, user: User) -> None:
    """An option cookie that says "perm", without a permanent cookie, hides no temporary session."""
    browser.visit(sign_in(user))
    assert browser.copy(ss_opt="perm").visit(who).text.startswith("ada")


def test_s23_path_that_a_view_changes(browser: Browser, user: User, configure: Configure) -> None:
    """The answer goes the way the request has come, whatever becomes of the path in between."""
    configure(HEADERS=["/sync/"])

    def view(request: Request) -> None:
        login(request, user)
        request.path_info = "/elsewhere/"

    client = ApiClient(browser.ask)
    answer = client.visit(view)
    assert answer["X-ss-id"]
    assert answer.ours == {}


def test_s26_origin_that_is_none(browser: Browser, configure: Configure) -> None:
    """An Origin that cannot be read is a foreign one."""
    configure(HEADERS=["/sync/"])
    assert browser.visit(status, X_ss_opt="temp", Origin="http://[").status == 403


def test_s20_junk_in_the_other_header(browser: Browser, user: User, configure: Configure) -> None:
    """A good header does not make up for a bad one beside it."""
    configure(HEADERS=["/sync/"])
    client = ApiClient(browser.ask)
    client.visit(sign_in(user))
    assert client.visit(who).text.startswith("ada")
    assert client.visit(who, X_ss_pid="junk").status == 401


def test_s20_own_403_of_a_view(browser: Browser, configure: Configure) -> None:
    """A view's own 403 stays what it is, even if it has met with a bad header."""
    configure(HEADERS=["/sync/"])

    def view(request: Request) -> HttpResponse:
        with pytest.raises(PermissionDenied):
            request.typed_session  # noqa: B018  # that it raises is all there is to see
        return HttpResponse("not from here", status=403)

    answer = browser.visit(view, X_ss_id="junk")
    assert (answer.status, answer.text) == (403, "not from here")


def test_s53_disabled_view_and_settings_that_always_write(
    browser: Browser, user: User, settings: Any, configure: Configure
) -> None:
    """A view without a session has no cookie and no Vary, whatever else is always saved and always given."""
    from typed_sessions.decorators import session_disabled

    settings.SESSION_SAVE_EVERY_REQUEST = True
    configure(PERMANENT_ID="always")
    browser.visit(sign_in(user))
    browser.cookies.pop(PID, None)
    answer = browser.visit(session_disabled(lambda request: "page"))
    assert answer.ours == {}
    assert "Cookie" not in answer["Vary"]


def test_request_by_keyword(browser: Browser, user: User) -> None:
    """Decorators find the request among keyword arguments too, and say what is missing if there is none."""
    guarded: Any = recent_auth_required(300)(state)
    browser.visit(sign_in(user))
    assert browser.visit(lambda request: guarded(request=request)).text.startswith("ada")
    with pytest.raises(TypeError, match="first argument"):
        guarded("no request")
    with pytest.raises(TypeError, match="no dispatch"):
        recent_auth_required(300)(type("Mixin", (), {}))


def test_password_is_right_in_another_form(browser: Browser, user: User) -> None:
    """Credentials that are good sign nobody in by themselves: who was there is verified as before."""
    browser.visit(sign_in(user))
    User.objects.update(is_active=False)
    other = User.objects.create_user("grace", password=PASSWORD)

    def view(request: Request) -> str:
        assert authenticate(request, username="grace", password=PASSWORD) == other
        return str(request.typed_session.is_authenticated)

    assert browser.visit(view).text == "False"


def test_engine_of_djangos(new_site: Callable[..., Browser], settings: Any) -> None:
    """With an engine of Django's own, `request.user` and `request.auser()` are Django's."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    browser = new_site(OURS, USERS)

    async def view(request: Any) -> str:
        return f"{(await request.auser()).is_anonymous} {await sync_to_async(lambda: request.user.is_anonymous)()}"

    assert browser.visit(view).text == "True True"


def test_live_sessions_of_nobody(user: User, engine: type[SessionStore]) -> None:
    """What is no user of the project's is refused, where it would have been somebody else's number, or nobody's."""
    from django.contrib.auth.models import AnonymousUser, Group

    with pytest.raises(TypeError, match="Group"):
        live_sessions.count_for(Group(pk=user.pk))
    for nobody in (None, "", User(), AnonymousUser()):
        with pytest.raises((ValueError, TypeError, ValidationError)):
            live_sessions.end_for_user(nobody)


def test_refused_sign_in_of_the_same_user(browser: Browser, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is signed in and is refused a new sign-in stays signed in, under the same token."""
    browser.visit(sign_in(user))
    before = browser.cookies[ID]
    monkeypatch.setattr(ShopSession, "validate", lambda self, request, user: "no")

    def view(request: Request) -> None:
        with pytest.raises(SignInRefused):
            auth.login(request, user, "typed_sessions.auth.TypedSessionBackend")

    browser.visit(view)
    assert browser.cookies[ID] == before
    assert browser.visit(who).text.startswith("ada ada")


def test_s20_saving_does_not_get_past_a_bad_header(browser: Browser, configure: Configure) -> None:
    """What is refused cannot be saved or given a new token either."""
    configure(HEADERS=["/sync/"])
    for act in (lambda request: request.session.save(), lambda request: request.session.cycle_key()):
        assert browser.visit(act, X_ss_id="junk").status == 401


def test_s09_session_that_is_held_for_too_long(engine: type[SessionStore], db: None, clock: Clock) -> None:
    """Who has loaded a session in time, and holds it beyond its end, does not bring it back."""
    first = engine()
    first.save()
    held = engine(first.session_key)
    held.load()
    clock.advance(15 * 24 * 3600)
    held["x"] = 1
    with pytest.raises(UpdateError):
        held.save()


def test_s85_variable_that_cannot_be_shown() -> None:
    """A report of an error goes on past an object whose repr fails."""

    class Broken:
        def __repr__(self) -> str:
            raise ValueError

    def frame(broken: object) -> Any:
        return inspect.currentframe()

    shown = dict(TypedSessionExceptionReporterFilter().get_traceback_frame_variables(None, frame(Broken())))
    assert isinstance(shown["broken"], Broken)


def test_time_of_a_sign_in_of_this_request(browser: Browser, user: User, clock: Clock) -> None:
    """When the user signed in is known at once, and is what the next request reads."""

    def view(request: Request) -> str:
        login(request, user)
        return str(request.typed_session.authenticated_at)

    answer = browser.visit(view)
    assert answer.text == str(datetime.fromtimestamp(clock.now, tz=timezone.utc))
    assert browser.visit(lambda request: request.typed_session.authenticated_at).text == answer.text
