"""The routes: signing in and out, the current session, and the sessions of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, JsonResponse
from django.urls import reverse

from tests.engines.rows import rows
from tests.rest_framework.clients import SESSION, SESSIONS, SIGN_IN, SIGN_OUT, ByCookie, ByHeader, Caller
from tests.rest_framework.conftest import Api, Configure, NewCaller
from tests.rest_framework.sessions import ApiSession
from tests.web.browser import OPT, PID, X_ID, X_OPT, X_PID
from tests.web.stored import count, raw_records
from typed_sessions import AuthEvents, EndReason, live_sessions
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Clock, watched

if TYPE_CHECKING:
    from pytest_django import Settings

DAY = 24 * 3600


pytestmark = pytest.mark.usefixtures("engine")


def fields_of(session: Any) -> dict[str, Any]:
    """What an answer says of a session, less what every answer says in its own words."""
    return {name: value for name, value in session.items() if name not in ("id", "authenticated_at", "expires_at")}


ANONYMOUS = {
    "mode": "temp",
    "status": "fresh",
    "is_authenticated": False,
    "user_auth_id": None,
    "user_name": None,
    "display_name": None,
    "first_name": None,
    "last_name": None,
    "email": None,
    "roles": [],
    "permissions": [],
    "currency": "EUR",
    "cart": [],
    "note": None,
    "gift": False,
    "page_views": 0,
    "coupon": "",
}
ADA = {
    **ANONYMOUS,
    "status": "live",
    "is_authenticated": True,
    "user_name": "ada",
    "display_name": "Ada Lovelace",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "email": "ada@example.com",
}


# Signing in and out


@pytest.mark.parametrize(("remember", "mode"), [(None, "temp"), (False, "temp"), (True, "perm")])
def test_sign_in(caller: Caller, user: User, engine: type[SessionStore], remember: bool | None, mode: str) -> None:
    """Good credentials are answered with the session that begins, and it is the one of the next request."""
    answer = caller.sign_in(remember=remember)
    session = answer.json()
    assert answer.status_code == 200
    assert fields_of(session) == {**ADA, "mode": mode, "user_auth_id": str(user.pk)}
    stored = live_sessions.get(session["id"])
    assert (stored.user_name, count(engine)) == ("ada", 1)
    assert caller.get(SESSION).json() == session


def test_sign_in_tells_its_times(caller: Caller, user: User, clock: Clock, settings: Settings) -> None:
    """The answer knows already when the session began, and when it ends if it is not used."""
    settings.TIME_ZONE = "UTC"
    session = caller.sign_in(remember=True).json()
    stored = live_sessions.get(session["id"])
    assert session["authenticated_at"] == stored.authenticated_at.isoformat().replace("+00:00", "Z")
    assert session["expires_at"] == stored.expires_at.isoformat().replace("+00:00", "Z")


def test_sign_in_writes_once(
    caller: Caller, user: User, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sign-in is one write, and one over another session a read and a write."""
    verbs = watched(engine, monkeypatch)
    for expected in (["create"], ["load", "replace"]):
        verbs.called.clear()
        caller.sign_in()
        assert verbs.called == expected


def test_remember_that_is_not_said(caller: Caller, user: User, configure: Configure) -> None:
    """A client that does not say whether to remember leaves it to the project."""
    configure(REMEMBER_DEFAULT=True)
    assert caller.sign_in().json()["mode"] == "perm"
    assert caller.sign_in(remember=None).json()["mode"] == "perm"
    assert caller.sign_in(remember=False).json()["mode"] == "temp"


def test_s13_wrong_credentials(caller: Caller, user: User, engine: type[SessionStore]) -> None:
    """401 that says nothing of which part was wrong, and session, tokens and records as they were."""
    caller.patch(SESSION, {"currency": "GBP"})
    records, tokens = raw_records(engine), caller.tokens()
    User.objects.create_user("gone", password="a good one", is_active=False)
    refusals = [caller.sign_in("ada", "wrong"), caller.sign_in("nobody"), caller.sign_in("gone")]
    assert {answer.status_code for answer in refusals} == {401}
    assert {answer["WWW-Authenticate"] for answer in refusals} == {'TypedSession header="X-ss-id"'}
    assert {answer.content for answer in refusals} == {
        b'{"detail":"No active account has these credentials.","code":"invalid_credentials"}'
    }
    assert (raw_records(engine), caller.tokens()) == (records, tokens)


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({}, {"username": ["This field is required."], "password": ["This field is required."]}),
        ({"username": "", "password": "x"}, {"username": ["This field may not be blank."]}),
        ({"username": "ada", "password": "x", "remember": "perhaps"}, {"remember": ["Must be a valid boolean."]}),
        ([], {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}),
    ],
    ids=["nothing", "blank", "no truth", "no object"],
)
def test_sign_in_without_credentials(caller: Caller, sent: Any, problem: dict[str, list[str]]) -> None:
    """What is no sign-in is a 400 that says what is missing."""
    answer = caller.post(SIGN_IN, sent)
    assert (answer.status_code, answer.json()) == (400, problem)


def test_password_with_spaces(caller: Caller, user: User) -> None:
    """Spaces around a password are part of it."""
    user.set_password(" a b ")
    user.save()
    assert caller.sign_in(password="a b").status_code == 401
    assert caller.sign_in(password=" a b ").status_code == 200


def test_s11_s15_every_sign_in_gives_a_new_token(new_caller: NewCaller, user: User, other_user: User) -> None:
    """What was known before a sign-in opens nothing after it, whoever signs in again."""
    caller = new_caller()
    caller.patch(SESSION, {"currency": "GBP"})
    for name in ("ada", "ada", "grace"):
        before = caller.copy()
        caller.sign_in(name)
        assert not set(before.tokens()) & set(caller.tokens())
        if isinstance(before, ByHeader):
            assert before.get(SESSION).json()["code"] == ("logged_out" if name == "grace" else "rotated")
        else:
            assert before.get(SESSION).json()["status"] == "ended"
        assert caller.get(SESSION).json()["currency"] == ("EUR" if name == "grace" else "GBP")


def test_s38_sign_in_rotates_the_csrf_token(by_cookie: ByCookie, user: User) -> None:
    """A CSRF token that was known before the sign-in is none after it."""
    before = by_cookie.headers()
    by_cookie.sign_in()
    assert by_cookie.headers() != before
    assert by_cookie.client.post(SIGN_OUT, headers=before).status_code == 403
    assert by_cookie.post(SIGN_OUT).status_code == 204


def test_s23_tokens_are_told_as_they_came(by_cookie: ByCookie, by_header: ByHeader, user: User) -> None:
    """A browser is told by cookie alone, a program by header alone, and neither in the body."""
    answer = by_cookie.sign_in(remember=True)
    assert {PID, OPT} <= set(answer.cookies)
    assert not {X_ID, X_PID, X_OPT} & set(answer.headers)
    answer = by_header.sign_in(remember=True)
    assert (answer[X_OPT], answer.has_header(X_PID), answer.has_header(X_ID)) == ("perm", True, False)
    assert answer["Cache-Control"] == "private, no-store"


class Curfew(AuthEvents):
    """Vetoes by what the session says."""

    def validate(self, session: Any, request: HttpRequest | None, user: Any) -> object:
        return {"": None, "text": "Come back in the morning.", "no": 1, "own": JsonResponse({"own": 1}, status=418)}[
            session.coupon
        ]


@pytest.mark.parametrize(
    "backend", ["typed_sessions.auth.TypedSessionBackend", "django.contrib.auth.backends.ModelBackend"]
)
def test_veto(caller: Caller, user: User, configure: Configure, settings: Settings, backend: str) -> None:
    """A veto is a 403 with its reason, or the response that it brings, and leaves the session as it was."""
    settings.AUTHENTICATION_BACKENDS = [backend]
    configure(AUTH_EVENTS=[f"{__name__}.Curfew"])
    before = caller.patch(SESSION, {"coupon": "text"}).json()
    answer = caller.sign_in()
    assert (answer.status_code, answer.json()) == (
        403,
        {"detail": "Come back in the morning.", "code": "sign_in_refused"},
    )
    assert caller.get(SESSION).json() == before
    caller.patch(SESSION, {"coupon": "no"})
    assert caller.sign_in().json() == {"detail": "The sign-in was refused.", "code": "sign_in_refused"}
    caller.patch(SESSION, {"coupon": "own"})
    assert (caller.sign_in().status_code, caller.sign_in().json()) == (418, {"own": 1})
    caller.patch(SESSION, {"coupon": ""})
    assert caller.sign_in().status_code == 200


def test_sign_in_with_another_user_model(caller: Caller, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a user is in the field that the user model names."""
    User.objects.create_user("ada", "ada@example.com", "a good one")
    monkeypatch.setattr(User, "USERNAME_FIELD", "email")
    assert caller.post(SIGN_IN, {"username": "ada", "password": "a good one"}).json() == {
        "email": ["This field is required."]
    }
    assert caller.post(SIGN_IN, {"email": "ada@example.com", "password": "a good one"}).status_code == 200


def test_s32_s57_sign_out(new_caller: NewCaller, user: User, engine: type[SessionStore]) -> None:
    """Sign-out ends the session at once, for everybody who has its token."""
    caller = new_caller()
    caller.sign_in(remember=True)
    other = caller.copy()
    answer = caller.post(SIGN_OUT)
    assert (answer.status_code, answer.content, count(engine)) == (204, b"", 0)
    replayed = other.get(SESSION)
    if isinstance(other, ByHeader):
        assert (replayed.status_code, replayed.json()["code"]) == (401, "logged_out")
    else:
        assert {name: answer.cookies[name].value for name in (PID, OPT)} == {PID: "", OPT: ""}
        assert (replayed.json()["status"], replayed.json()["is_authenticated"]) == ("ended", False)


def test_s80_sign_out_of_nobody(caller: Caller, engine: type[SessionStore]) -> None:
    """Signing out without having signed in is no error and stores nothing."""
    answer = caller.post(SIGN_OUT)
    assert (answer.status_code, count(engine)) == (204, 0)


# The current session


def test_s78_session_of_a_visitor(caller: Caller, engine: type[SessionStore]) -> None:
    """A visitor sees the defaults, and no session begins by looking."""
    answer = caller.get(SESSION)
    assert (answer.status_code, answer.json()) == (
        200,
        {**ANONYMOUS, "id": None, "authenticated_at": None, "expires_at": None},
    )
    assert count(engine) == 0


def test_session_gives_a_browser_its_csrf_token(by_cookie: ByCookie, settings: Settings) -> None:
    """A script of a page that has no form gets the token by looking at its session, unless it is kept in that."""
    by_cookie.client.cookies.clear()
    assert set(by_cookie.get(SESSION).cookies) == {"csrftoken"}
    by_cookie.client.cookies.clear()
    settings.CSRF_USE_SESSIONS = True
    assert not by_cookie.get(SESSION).cookies


def test_status_of_a_session_that_is_over(by_cookie: ByCookie, user: User, clock: Clock) -> None:
    """A browser is told what became of its session."""
    by_cookie.sign_in()
    clock.advance(15 * DAY)
    assert fields_of(by_cookie.get(SESSION).json()) == {**ANONYMOUS, "status": "expired"}


def test_change_of_fields(caller: Caller, engine: type[SessionStore]) -> None:
    """A visitor changes what is open for change, which begins a session; what is not given stays."""
    answer = caller.patch(SESSION, {"currency": "GBP", "cart": [{"sku": "cup", "price": "1.50"}]})
    cart = [{"sku": "cup", "quantity": 1, "price": "1.50", "parts": []}]
    assert answer.status_code == 200
    assert fields_of(answer.json()) == {**ANONYMOUS, "status": "live", "currency": "GBP", "cart": cart}
    assert caller.patch(SESSION, {"note": "for you"}).json()["currency"] == "GBP"
    assert caller.get(SESSION).json()["cart"] == cart
    stored: ApiSession = live_sessions.get(answer.json()["id"])
    assert (stored.cart[0].quantity, stored.currency, stored.note) == (1, "GBP", "for you")


def test_change_with_explicit_saving(caller: Caller, configure: Configure) -> None:
    """A change is stored where sessions are saved only when that is asked for."""
    configure(SAVE="explicit")
    caller.patch(SESSION, {"currency": "GBP"})
    assert caller.get(SESSION).json()["currency"] == "GBP"


def test_s72_nothing_else_can_be_changed(caller: Caller, user: User, engine: type[SessionStore]) -> None:
    """What is not declared open for change stays as it is, whatever a client sends."""
    session = caller.sign_in().json()
    records = raw_records(engine)
    forged = dict.fromkeys(session, "forged") | {
        "roles": ["staff"],
        "permissions": ["*"],
        "user_auth_id": "1",
        "auth_provider": "mine",
        "meta": {"a": "b"},
        "pin": "0000",
        "internal": "mine",
        "page_views": 7,
        "is_authenticated": False,
        "_facts": None,
        "schema_version": 2,
    }
    for name in ("currency", "cart", "note", "gift", "coupon"):
        del forged[name]
    answer = caller.patch(SESSION, forged)
    assert (answer.status_code, answer.json()) == (200, session)
    stored = live_sessions.get(session["id"])
    assert (stored.pin, stored.internal, stored.meta) == ("", "for us", {})
    assert raw_records(engine) == records


def test_s72_change_of_nothing_begins_no_session(caller: Caller, engine: type[SessionStore]) -> None:
    """A visitor who changes nothing has no session afterwards."""
    assert caller.patch(SESSION, {"roles": ["staff"]}).status_code == 200
    assert caller.patch(SESSION).status_code == 200
    assert count(engine) == 0


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({"currency": 5}, {"currency": ["Expected str, got int"]}),
        ({"currency": None}, {"currency": ["This field may not be null."]}),
        ({"cart": [{"sku": "a"}, {}]}, {"cart": ["[1]: Object missing required field sku"]}),
        (
            {"cart": [{"sku": "a", "parts": [{"sku": "b", "quantity": "2"}]}], "gift": "yes"},
            {"cart": ["[0].parts[0].quantity: Expected int, got str"], "gift": ["Expected bool, got str"]},
        ),
        ({"gift": True}, {"non_field_errors": ["a gift needs a note"]}),
        ([], {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}),
    ],
    ids=["type", "null", "missing part", "two fields", "combination", "no object"],
)
def test_refused_values(caller: Caller, engine: type[SessionStore], sent: Any, problem: dict[str, list[str]]) -> None:
    """What a field cannot hold is a 400 that names the field and the place in it, and nothing of the request counts."""
    caller.patch(SESSION, {"note": None, "coupon": "TEA"})
    records = raw_records(engine)
    answer = caller.patch(SESSION, {"coupon": "MILK", **sent} if isinstance(sent, dict) else sent)
    assert (answer.status_code, answer.json()) == (400, problem)
    assert raw_records(engine) == records


@pytest.mark.parametrize("levels", [26, 400])
def test_deeply_nested_value(caller: Caller, levels: int) -> None:
    """Nesting that may be too much for others is refused when it comes in."""
    nested: list[Any] = []
    for _ in range(levels):
        nested = [{"sku": "a", "parts": nested}]
    assert caller.patch(SESSION, {"cart": nested}).json() == {"cart": ["Is nested too deep."]}
    assert caller.patch(SESSION, {"cart": nested[0]["parts"][0]["parts"]}).status_code == (200 if levels < 100 else 400)


def test_session_that_would_be_too_large(caller: Caller, configure: Configure) -> None:
    """More than a session may hold is a 400 that does not say what else is in it; the session is as it was."""
    configure(MAX_BYTES=4096)
    caller.patch(SESSION, {"note": "short"})
    answer = caller.patch(SESSION, {"note": "x" * 5000})
    assert (answer.status_code, answer.json()) == (
        400,
        {"non_field_errors": ["This is more than a session may hold."]},
    )
    assert caller.get(SESSION).json()["note"] == "short"


@pytest.mark.parametrize("body", ["{", "nothing", '{"currency": NaN}'])
def test_body_that_is_no_json(by_header: ByHeader, body: str) -> None:
    """A body that cannot be read is a 400."""
    for path, method in ((SESSION, by_header.client.patch), (SIGN_IN, by_header.client.post)):
        answer = method(path, body, content_type="application/json", headers=by_header.sent)
        assert (answer.status_code, answer.json()["detail"][:16]) == (400, "JSON parse error")


# The sessions of a user


def agents(answer: Any) -> list[str]:
    return [device["user_agent"] for device in answer.json()]


def test_s62_my_devices(new_caller: NewCaller, user: User, other_user: User, clock: Clock) -> None:
    """A user sees their own sessions, the last used first, and which one is this."""
    phone, laptop, stranger = new_caller(), new_caller(), new_caller()
    phone.post(SIGN_IN, {"username": "ada", "password": "a good one", "remember": True}, User_Agent="Phone")
    clock.advance(60)
    laptop.post(SIGN_IN, {"username": "ada", "password": "a good one"}, User_Agent="Laptop")
    stranger.sign_in("grace")
    answer = laptop.get(SESSIONS, User_Agent="Laptop")
    assert agents(answer) == ["Laptop", "Phone"]
    first, second = answer.json()
    assert (first["is_current"], first["mode"], first["address"]) == (True, "temp", "127.0.0.1")
    assert (second["is_current"], second["mode"]) == (False, "perm")
    assert set(first) == {
        "id", "is_current", "mode", "created_at", "last_seen_at", "expires_at", "address", "user_agent"
    }  # fmt: skip
    assert first["id"] == laptop.get(SESSION).json()["id"]
    clock.advance(120)
    phone.patch(SESSION, {"currency": "GBP"}, User_Agent="Phone 2")
    assert agents(phone.get(SESSIONS)) == ["Phone 2", "Laptop"]


def test_s62_end_one(new_caller: NewCaller, user: User) -> None:
    """A user signs another device out, which is told why; a second time there is nothing to end."""
    phone, laptop = new_caller(), new_caller()
    lost = phone.sign_in(remember=True).json()["id"]
    laptop.sign_in()
    path = reverse("typed_sessions:session-end", args=[lost])
    answer = laptop.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert laptop.delete(path).status_code == 404
    assert len(laptop.get(SESSIONS).json()) == 1
    if isinstance(phone, ByHeader):
        assert phone.get(SESSION).json()["code"] == EndReason.ENDED_BY_USER.value
    else:
        assert phone.get(SESSION).json()["status"] == "ended"


def test_s87_sessions_of_others_cannot_be_ended(
    caller: Caller, new_caller: NewCaller, user: User, other_user: User
) -> None:
    """A session of another user, of a visitor, or of nobody is not found, and lives on."""
    stranger, visitor = new_caller(), new_caller()
    ids = [stranger.sign_in("grace").json()["id"], visitor.patch(SESSION, {"currency": "GBP"}).json()["id"]]
    caller.sign_in()
    for session_id in (*ids, "0" * 40, "*", "☃", caller.tokens()[0]):
        answer = caller.delete(f"{SESSIONS}{session_id}/")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})
    assert stranger.get(SESSION).json()["user_name"] == "grace"
    assert visitor.get(SESSION).json()["currency"] == "GBP"


def test_ending_the_current_session_is_signing_out(caller: Caller, user: User, engine: type[SessionStore]) -> None:
    """The current session is ended as by sign-out, cookies and all."""
    session_id = caller.sign_in().json()["id"]
    before = caller.copy()
    answer = caller.delete(f"{SESSIONS}{session_id}/")
    assert (answer.status_code, count(engine)) == (204, 0)
    if isinstance(caller, ByCookie):
        assert {answer.cookies[name].value for name in ("ss-id", OPT)} == {""}
    else:
        assert before.get(SESSION).json()["code"] == EndReason.LOGGED_OUT.value


def test_s61_s62_end_others(new_caller: NewCaller, user: User, other_user: User) -> None:
    """A user ends all other sessions of theirs, and is told how many there were."""
    caller, *others, stranger = [new_caller() for _ in range(4)]
    for other in others:
        other.sign_in(remember=True)
    stranger.sign_in("grace")
    caller.sign_in()
    assert caller.delete(SESSIONS).json() == {"ended": 2}
    assert caller.delete(SESSIONS).json() == {"ended": 0}
    assert [device["is_current"] for device in caller.get(SESSIONS).json()] == [True]
    assert stranger.get(SESSION).json()["is_authenticated"]


def test_s22_ids_are_shown_as_no_token_even_where_they_are_one(
    new_caller: NewCaller, user: User, configure: Configure
) -> None:
    """With HASH_IDS off, where a session's id is its token, the API shows another, and takes that one."""
    configure(HASH_IDS=False)
    phone, laptop, caller = new_caller(), new_caller(), new_caller()
    lost = phone.sign_in().json()["id"]
    laptop.sign_in()
    own = caller.sign_in().json()["id"]
    assert (lost in phone.tokens(), own in caller.tokens()) == (False, False)
    shown = {device["id"]: device["is_current"] for device in caller.get(SESSIONS).json()}
    assert (len(shown), shown[own], shown[lost]) == (3, True, False)
    assert caller.get(SESSION).json()["id"] == own
    assert caller.delete(f"{SESSIONS}{phone.tokens()[0]}/").status_code == 404
    assert caller.delete(f"{SESSIONS}{lost}/").status_code == 204
    assert caller.delete(SESSIONS).json() == {"ended": 1}
    assert caller.delete(f"{SESSIONS}{own}/").status_code == 204
    assert live_sessions.for_user(user) == []


def test_sessions_are_for_users(caller: Caller) -> None:
    """A visitor has no list of sessions, and none to end."""
    for answer in (caller.get(SESSIONS), caller.delete(SESSIONS), caller.delete(f"{SESSIONS}{'0' * 40}/")):
        assert (answer.status_code, answer.has_header("WWW-Authenticate")) == (401, True)


@pytest.mark.parametrize("engine", rows("cache"), indirect=True)
def test_store_that_cannot_list(new_caller: NewCaller, user: User) -> None:
    """Where nobody knows a user's sessions that is a 501, and the rest works: the current one can be ended."""
    caller = new_caller()
    session_id = caller.sign_in().json()["id"]
    for answer in (caller.get(SESSIONS), caller.delete(SESSIONS), caller.delete(f"{SESSIONS}{'0' * 40}/")):
        assert (answer.status_code, answer.json()) == (
            501,
            {"detail": "This site's session store cannot list sessions."},
        )
    assert caller.delete(f"{SESSIONS}{session_id}/").status_code == 204


def test_names_of_the_routes() -> None:
    """The routes have the names of the documentation."""
    names = ("sign-in", "sign-out", "session", "sessions")
    assert [reverse(f"typed_sessions:{name}") for name in names] == [SIGN_IN, SIGN_OUT, SESSION, SESSIONS]


def test_project_settings_do_not_open_or_close_the_routes(caller: Caller, user: User, api: Api) -> None:
    """The routes have authentication and permissions of their own, whatever the project's defaults are."""
    api(
        DEFAULT_AUTHENTICATION_CLASSES=["rest_framework.authentication.BasicAuthentication"],
        DEFAULT_PERMISSION_CLASSES=["rest_framework.permissions.IsAdminUser"],
        UNAUTHENTICATED_USER=None,
    )
    assert caller.get(SESSION).status_code == 200
    assert caller.get(SESSIONS).status_code == 401
    assert caller.sign_in().status_code == 200
    assert caller.get(SESSIONS).status_code == 200
    assert caller.post(SIGN_OUT).status_code == 204
