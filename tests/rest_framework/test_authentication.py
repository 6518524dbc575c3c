"""Who a request is by its session, and when it has to pass the CSRF check."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication, BasicAuthentication
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from tests.rest_framework.clients import SESSION, SIGN_IN, SIGN_OUT, ByCookie, ByHeader, Caller
from tests.rest_framework.conftest import Configure, NewCaller
from tests.rest_framework.sessions import ApiSession
from tests.rest_framework.urls import address
from tests.web.browser import X_ID, X_OPT, X_PID
from tests.web.conftest import PASSWORD
from tests.web.stored import count
from typed_sessions import SessionMode, get_session, live_sessions, tokens
from typed_sessions.backends.base import SessionStore
from typed_sessions.decorators import session_disabled
from typed_sessions.rest_framework import StrictTypedSessionAuthentication, TypedSessionAuthentication
from typed_sessions.testing.engines import Clock
from typed_sessions.transports import CHALLENGE

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine")

UNSAFE = ["post", "put", "patch", "delete"]


class Who(APIView):
    """Tells who the user is, whatever the method."""

    authentication_classes = [TypedSessionAuthentication]
    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        return Response({"user": request.user.get_username()})

    post = put = patch = delete = get


class Private(Who):
    permission_classes = [IsAuthenticated]


class Both(Private):
    authentication_classes = [TypedSessionAuthentication, BasicAuthentication]


class Strict(Who):
    authentication_classes = [StrictTypedSessionAuthentication]


def basic(username: str, password: str = PASSWORD) -> str:
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


def bare(caller: ByCookie) -> APIClient:
    """What another site makes the browser send: its cookies, and nothing that a script would have to read."""
    return caller.client


@pytest.mark.parametrize("method", UNSAFE)
def test_s34_cookie_needs_the_csrf_token(by_cookie: ByCookie, user: User, method: str) -> None:
    """Who came by cookie is refused an unsafe request without the token, and served one with it."""
    by_cookie.sign_in()
    path = address(Private)
    forged = getattr(bare(by_cookie), method)(path)
    assert (forged.status_code, forged.json()["detail"][:11]) == (403, "CSRF Failed")
    served = by_cookie.call(method, path)
    assert (served.status_code, served.json()) == (200, {"user": "ada"})


@pytest.mark.parametrize("method", UNSAFE)
def test_s34_header_needs_no_csrf_token(by_header: ByHeader, user: User, method: str) -> None:
    """Who came by header is asked for no token."""
    by_header.sign_in()
    assert by_header.call(method, address(Private)).json() == {"user": "ada"}


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_s34_safe_methods_need_no_csrf_token(by_cookie: ByCookie, user: User, method: str) -> None:
    """Reading is not checked."""
    by_cookie.sign_in()
    assert getattr(bare(by_cookie), method)(address(Private)).status_code == 200


@pytest.mark.parametrize("header", [X_ID, X_PID, X_OPT, "X-ss-opts"])
@pytest.mark.parametrize("value", ["junk", "", "perm"])
def test_s35_header_beside_a_cookie_gives_no_way_round_the_check(
    by_cookie: ByCookie, user: User, header: str, value: str
) -> None:
    """A signed-in browser that is made to send any session header is not served as its user without the token."""
    by_cookie.sign_in()
    assert bare(by_cookie).post(address(Private), headers={header: value}).status_code == 401


def test_s35_header_where_headers_do_not_count(by_cookie: ByCookie, user: User, configure: Configure) -> None:
    """Where headers are not accepted, one changes nothing: the session is of the cookie, and so the check is made."""
    by_cookie.sign_in()
    path = address(Private)
    for accepted in ([], ["/elsewhere/"]):
        configure(HEADERS=accepted)
        assert bare(by_cookie).post(path, headers={X_ID: "junk"}).status_code == 403
        assert bare(by_cookie).post(path, headers={X_OPT: "temp"}).status_code == 403


def test_s19_header_counts_and_cookie_does_not(
    by_cookie: ByCookie, by_header: ByHeader, user: User, other_user: User
) -> None:
    """A request with both is the header's user."""
    by_cookie.sign_in("ada")
    by_header.sign_in("grace")
    assert bare(by_cookie).post(address(Private), headers=by_header.sent).json() == {"user": "grace"}


@pytest.mark.parametrize("remember", [False, True])
def test_s36_sign_in_by_cookie_needs_the_csrf_token(
    by_cookie: ByCookie, user: User, engine: type[SessionStore], remember: bool
) -> None:
    """Another site cannot sign a visitor in, though nobody is signed in yet."""
    credentials = {"username": "ada", "password": PASSWORD, "remember": remember}
    answer = bare(by_cookie).post(SIGN_IN, credentials, format="json")
    assert (answer.status_code, set(answer.cookies) - {"csrftoken"}, count(engine)) == (403, set(), 0)
    assert by_cookie.post(SIGN_IN, credentials).status_code == 200


def test_s36_sign_in_by_header_needs_none(by_header: ByHeader, user: User) -> None:
    """A program signs in without ever having seen a page."""
    assert by_header.sign_in().status_code == 200


def test_s36_header_that_does_not_count_is_no_way_round_it(
    by_cookie: ByCookie, user: User, configure: Configure
) -> None:
    """A header is not enough to sign in without the token where headers are off."""
    configure(HEADERS=[])
    credentials = {"username": "ada", "password": PASSWORD}
    assert bare(by_cookie).post(SIGN_IN, credentials, format="json", headers={X_OPT: "temp"}).status_code == 403


@pytest.mark.parametrize("method", UNSAFE)
def test_s36_strict_class_asks_visitors_too(by_cookie: ByCookie, by_header: ByHeader, method: str) -> None:
    """Where the session of a visitor is at stake, the strict class asks for the token; the plain class does not."""
    assert getattr(bare(by_cookie), method)(address(Who)).status_code == 200
    assert getattr(bare(by_cookie), method)(address(Strict)).status_code == 403
    assert by_cookie.call(method, address(Strict)).status_code == 200
    assert by_header.call(method, address(Strict)).status_code == 200


def test_s37_sign_out_and_changes_by_post_alone(caller: Caller, user: User) -> None:
    """A link or an image signs nobody in or out."""
    caller.sign_in()
    for path in (SIGN_IN, SIGN_OUT):
        answer = caller.get(path)
        assert (answer.status_code, answer["Allow"]) == (405, "POST, OPTIONS")
    assert caller.get(address(Private)).json() == {"user": "ada"}


def test_s37_sign_out_needs_the_csrf_token(by_cookie: ByCookie, user: User) -> None:
    """Another site cannot sign a user out, nor end or change sessions."""
    by_cookie.sign_in()
    client = bare(by_cookie)
    session_id = by_cookie.get(SESSION).json()["id"]
    assert client.post(SIGN_OUT).status_code == 403
    assert client.patch(SESSION, {"currency": "GBP"}, format="json").status_code == 403
    assert client.delete("/api/sessions/").status_code == 403
    assert client.delete(f"/api/sessions/{session_id}/").status_code == 403
    session = by_cookie.get(SESSION).json()
    assert (session["user_name"], session["currency"], session["id"]) == ("ada", "EUR", session_id)


def test_s39_nobody(caller: Caller) -> None:
    """Who shows nothing gets 401 with a challenge, as a program expects."""
    answer = caller.get(address(Private))
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, CHALLENGE)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({X_ID: "junk"}, "malformed"),
        ({X_ID: ""}, "malformed"),
        ({X_ID: tokens.issue(SessionMode.PERM)}, "malformed"),
        ({X_PID: "junk", X_OPT: "perm"}, "malformed"),
        ({X_PID: "junk"}, "wrong_mode"),
        ({X_ID: tokens.issue(SessionMode.TEMP)}, "lost"),
        ({X_OPT: "temp", "X-ss-opts": "perm"}, "ambiguous"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_s39_bad_header(sent: dict[str, str], code: str, db: None) -> None:
    """A header that opens nothing is a 401 that says why, on views that are open to everybody too."""
    for view in (Who, Private, Both, Strict):
        answer = APIClient().get(address(view), headers=sent)
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, CHALLENGE)
        assert (answer.json()["code"], set(answer.json())) == (code, {"detail", "code"})


def test_s39_ended_and_expired_header(by_header: ByHeader, user: User, clock: Clock) -> None:
    """A program whose session is over is told that it is, and how it came."""
    by_header.sign_in()
    before = by_header.copy()
    assert live_sessions.end(by_header.get(SESSION).json()["id"])
    answer = by_header.get(address(Who))
    assert (answer.status_code, answer.json()["code"]) == (401, "ended_by_user")
    before.sent = {X_OPT: "temp"}
    before.sign_in()
    clock.advance(15 * 24 * 3600)
    assert before.get(address(Who)).json()["code"] == "expired_idle"


def test_s39_inactive_user_by_header(by_header: ByHeader, user: User) -> None:
    """A user who has been deactivated is nobody any more, and their program is told so."""
    by_header.sign_in()
    User.objects.update(is_active=False)
    answer = by_header.get(address(Who))
    assert (answer.status_code, answer.json()["code"], answer["WWW-Authenticate"]) == (401, "user_inactive", CHALLENGE)


def test_s59_inactive_user_by_cookie(by_cookie: ByCookie, user: User, engine: type[SessionStore]) -> None:
    """A browser of a user who has been deactivated is a visitor's, and its session is gone."""
    by_cookie.sign_in()
    User.objects.update(is_active=False)
    assert by_cookie.get(address(Who)).json() == {"user": ""}
    assert count(engine) == 0


def test_inactive_user_of_a_backend_that_admits_them(new_caller: NewCaller, user: User, settings: Settings) -> None:
    """Inactive users are kept out of an API even if a backend lets them sign in, as REST framework does it."""
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.AllowAllUsersModelBackend"]
    caller = new_caller()
    caller.sign_in()
    User.objects.update(is_active=False)
    answer = caller.get(address(Private))
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, CHALLENGE)
    if isinstance(caller, ByHeader):
        assert answer.json()["code"] == "user_inactive"


def test_s26_header_from_a_page_of_another_site(by_header: ByHeader, user: User) -> None:
    """A page of another site gets 403, whatever it sends, and no challenge."""
    by_header.sign_in()
    for headers in ({"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}):
        answer = by_header.get(address(Who), **headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


def test_s40_two_users_in_one_request(by_header: ByHeader, user: User, other_user: User) -> None:
    """A session header and an Authorization header of different users are refused, and not one of them chosen."""
    by_header.sign_in()
    answer = by_header.get(address(Both), Authorization=basic("grace"))
    assert (answer.status_code, "different users" in answer.json()["detail"]) == (400, True)


def test_s40_one_user_twice(by_header: ByHeader, user: User) -> None:
    """Both headers may name the same user."""
    by_header.sign_in()
    assert by_header.get(address(Both), Authorization=basic("ada")).json() == {"user": "ada"}


def test_s40_wrong_authorization_beside_a_good_session(by_header: ByHeader, user: User) -> None:
    """Wrong credentials are wrong, also beside good ones."""
    by_header.sign_in()
    assert by_header.get(address(Both), Authorization=basic("ada", "wrong")).status_code == 401


def test_s40_authorization_that_nobody_reads(by_header: ByHeader, user: User) -> None:
    """A header that no class of the view understands, such as a proxy's, is nobody's."""
    by_header.sign_in()
    for view in (Both, Private):
        assert by_header.get(address(view), Authorization="Proxy abc").json() == {"user": "ada"}


class Named:
    """A user as packages have it that keep users in tokens: no model, and a key that is text."""

    def __init__(self, pk: str) -> None:
        self.pk = pk


def test_s40_other_kinds_of_users(by_header: ByHeader, user: User) -> None:
    """A user outside the database is compared by the text of the key, and a credential without a user is none."""
    by_header.sign_in()

    class Bearer(BaseAuthentication):
        def authenticate(self, request: Request) -> Any:
            return {"same": (Named(str(user.pk)), None), "other": (Named("0"), None), "key": (None, "a key")}[
                request.headers["Authorization"]
            ]

    class Mixed(Private):
        authentication_classes = [TypedSessionAuthentication, Bearer]

    statuses = [by_header.get(address(Mixed), Authorization=told).status_code for told in ("same", "other", "key")]
    assert statuses == [200, 400, 200]


def test_authorization_without_a_session(by_header: ByHeader, user: User) -> None:
    """A program that has a session of nobody, or none, may use another credential."""
    assert by_header.get(address(Both), Authorization=basic("ada")).json() == {"user": "ada"}
    assert APIClient().get(address(Both), headers={"Authorization": basic("ada")}).json() == {"user": "ada"}


def test_view_without_a_session(new_caller: NewCaller, user: User) -> None:
    """On a view that is declared to have no session, the session is no credential, and others go on."""
    caller = new_caller()
    caller.sign_in()
    path = address(session_disabled(type("Open", (Both,), {"permission_classes": [AllowAny]})))
    assert caller.post(path).json() == {"user": ""}
    assert caller.post(path, Authorization=basic("ada")).json() == {"user": "ada"}


def test_request_without_authentication_middleware(by_cookie: ByCookie, user: User, settings: Settings) -> None:
    """Where nobody says who the user is, nobody is."""
    by_cookie.sign_in()
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "auth." not in name and "admin" not in name]
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "Message" not in name]
    other = by_cookie.copy()
    assert other.get(address(Who)).json() == {"user": ""}


def test_user_and_session_are_the_same_in_all_layers(caller: Caller, user: User) -> None:
    """REST framework's request, Django's and the session agree."""
    seen: list[Any] = []

    class Layers(Private):
        def get(self, request: Request) -> Response:
            session = get_session(request, ApiSession)
            seen.extend([request.user, request._request.user, session.user_auth_id, request.auth])
            return Response()

    caller.sign_in()
    caller.get(address(Layers))
    assert seen == [user, user, str(user.pk), None]
