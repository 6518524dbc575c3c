"""USER_SNAPSHOT_AGE: who the user is without SQL, for so long and no longer."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib import auth
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group, Permission, User
from django.db import models
from django.http import HttpRequest
from django.test.utils import isolate_apps

from tests.engines.rows import UseEngine
from tests.sessions import ShopSession
from tests.web.browser import ApiClient, Browser
from tests.web.signing import async_sign_in, put_in_cart, sign_in, sign_out
from tests.web.stored import raw_records
from tests.web.traffic import statements
from tests.web.urls import View, address
from typed_sessions import SessionMode, aget_session, clock, snapshots
from typed_sessions.auth import TypedSessionBackend, login
from typed_sessions.backends.base import SessionStore
from typed_sessions.testing.engines import Clock, Configure
from typed_sessions.transports import Presented, Source

if TYPE_CHECKING:
    from pytest_django import Settings

AGE = 300

pytestmark = pytest.mark.usefixtures("engine", "_age")


@pytest.fixture
def engine(use_engine: UseEngine, request: pytest.FixtureRequest) -> type[SessionStore]:
    """An engine that needs no SQL itself, so that whatever is counted is for the user."""
    return use_engine(getattr(request, "param", "redis"))


@pytest.fixture
def _age(engine: type[SessionStore], configure: Configure) -> None:
    configure(USER_SNAPSHOT_AGE=AGE)


def shown(user: Any) -> str:
    flags = f"{user.is_active} {user.is_staff} {user.is_superuser}"
    return f"{user.pk} {user.get_username()} {user.get_full_name()} {user.email} {flags} {user.is_authenticated}"


def page(request: Any) -> str:
    """Everything that pages show of a user."""
    return f"{shown(request.user)} {request.typed_session.user_name} {request.typed_session.is_authenticated}"


async def async_page(request: Any) -> str:
    session = await aget_session(request, ShopSession)
    return f"{shown(await request.auser())} {session.user_name} {session.is_authenticated}"


each_way = pytest.mark.parametrize("view", [page, async_page])


@each_way
@pytest.mark.parametrize("path", [sign_in, async_sign_in])
@pytest.mark.parametrize("engine", ["redis", "cache"], indirect=True)
def test_request_needs_no_sql(browser: Browser, user: User, clock: Clock, view: View, path: Any) -> None:
    """From the sign-in on, and until the snapshot is over, a request that shows its user needs no SQL at all."""
    browser.visit(path(user))
    with statements("") as asked:
        for _ in range(3):
            assert (
                browser.visit(view).text == f"{user.pk} ada Ada Lovelace ada@example.com True False False True ada True"
            )
        clock.advance(AGE - 1)
        assert browser.visit(view).status == 200
        assert browser.visit(put_in_cart()).status == 200
    assert asked == []


@each_way
def test_snapshot_is_renewed(browser: Browser, user: User, clock: Clock, view: View) -> None:
    """When it is over, the user is asked of the database once, and for as long again nobody is asked."""
    browser.visit(sign_in(user))
    clock.advance(AGE)
    with statements("auth_user") as asked:
        assert browser.visit(view).text.startswith(f"{user.pk} ada")
    assert "SELECT" in asked
    with statements("") as asked:
        clock.advance(AGE - 1)
        assert browser.visit(view).text.startswith(f"{user.pk} ada")
    assert asked == []


def roles(request: Any) -> str:
    """What the session says of its user."""
    assert request.user.is_authenticated
    session = request.typed_session
    return f"{session.display_name} {session.email} {session.roles} {session.permissions} {session.auth_provider}"


PROVIDER = "typed_sessions.auth.TypedSessionBackend"


def test_s64_what_the_session_says_is_renewed_too(browser: Browser, user: User, clock: Clock) -> None:
    """Names, roles and permissions in the session are as old as the snapshot, and no older."""
    browser.visit(sign_in(user))
    user.groups.add(Group.objects.create(name="staff"))
    user.user_permissions.add(Permission.objects.get(codename="view_user"))
    User.objects.update(last_name="Byron", email="byron@example.com")
    clock.advance(AGE - 1)
    assert browser.visit(roles).text == f"Ada Lovelace ada@example.com [] [] {PROVIDER}"
    clock.advance(1)
    renewed = f"Ada Byron byron@example.com ['staff'] ['auth.view_user'] {PROVIDER}"
    assert browser.visit(roles).text == renewed
    assert browser.visit(roles).text == renewed


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
@each_way
def test_request_that_may_change_something(browser: Browser, user: User, view: View, method: str) -> None:
    """A request by an unsafe method is worth a look at the account, however young the snapshot."""
    browser.visit(sign_in(user))
    browser.visit(view)
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    token = {"X-CSRFToken": browser.cookies["csrftoken"], "cookie": cookies}
    with statements("auth_user") as asked:
        assert browser.ask(method, address(view), "", token).status == 200
    assert bool(asked) is (method not in ("GET", "HEAD", "OPTIONS"))


class OwnBackend(TypedSessionBackend):
    """Does more to its users than to get them."""

    def get_user(self, user_id: Any) -> Any:
        user = super().get_user(user_id)
        if user is not None:
            user.get_full_name = lambda: "of the backend"  # type: ignore[method-assign]  # as a backend may
        return user

    async def aget_user(self, user_id: Any) -> Any:
        return await sync_to_async(self.get_user)(user_id)


@each_way
def test_backend_that_gets_users_in_its_own_way(browser: Browser, user: User, settings: Settings, view: View) -> None:
    """A user to whom a backend does more than to load the row comes from that backend, in every request."""
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.OwnBackend"]
    browser.visit(sign_in(user))
    for _ in range(2):
        with statements("auth_user") as asked:
            assert "of the backend" in browser.visit(view).text
        assert asked == ["SELECT"]
    assert browser.visit(kept).text == "null"


def test_permissions_are_asked_of_the_database(browser: Browser, user: User) -> None:
    """What a user may do is no part of the snapshot: it is asked for anew, and so is what the row has besides."""
    browser.visit(sign_in(user))
    user.user_permissions.add(Permission.objects.get(codename="view_user"))

    def view(request: Any) -> str:
        return f"{request.user.has_perm('auth.view_user')} {request.user.check_password('a good one')}"

    with statements("") as asked:
        assert browser.visit(view).text == "True True"
    assert set(asked) == {"SELECT"}


@each_way
def test_without_the_setting(browser: Browser, user: User, configure: Configure, view: View) -> None:
    """By default every request asks the database, and nothing of the user is kept but what the class has fields for."""
    configure(USER_SNAPSHOT_AGE=0)
    browser.visit(sign_in(user))
    with statements("auth_user") as asked:
        browser.visit(view)
    assert asked == ["SELECT"]
    assert browser.visit(lambda request: snapshots.KEY in request.session).text == "False"


@each_way
def test_setting_that_is_turned_on_and_off(
    browser: Browser, user: User, configure: Configure, clock: Clock, view: View
) -> None:
    """Sessions from before the setting get their snapshot with the next request, and without it none counts."""
    configure(USER_SNAPSHOT_AGE=0)
    browser.visit(sign_in(user))
    configure(USER_SNAPSHOT_AGE=AGE)
    browser.visit(view)
    with statements("") as asked:
        assert browser.visit(view).text.startswith(f"{user.pk} ada")
    assert asked == []
    configure(USER_SNAPSHOT_AGE=0)
    with statements("auth_user") as asked:
        browser.visit(view)
    assert asked == ["SELECT"]


def kept(request: Any) -> str:
    return json.dumps(request.session.get(snapshots.KEY))


def test_what_is_kept(browser: Browser, engine: type[SessionStore], user: User, clock: Clock) -> None:
    """Names, address and flags are kept, with whose and how old they are, and never the password's hash."""
    browser.visit(sign_in(user))
    assert json.loads(browser.visit(kept).text) == {
        "user": str(user.pk),
        "taken": clock.now,
        "fields": {
            "id": user.pk, "username": "ada", "first_name": "Ada", "last_name": "Lovelace",
            "email": "ada@example.com", "is_staff": False, "is_active": True, "is_superuser": False,
        },
    }  # fmt: skip
    assert user.password not in str(raw_records(engine))


def test_sign_out_and_another_user(browser: Browser, user: User, other_user: User) -> None:
    """A snapshot goes with its session, and never serves for anybody else."""
    browser.visit(sign_in(user))
    browser.visit(sign_out)
    assert browser.visit(kept).text == "null"
    browser.visit(sign_in(user))
    browser.visit(sign_in(other_user))
    assert browser.visit(page).text.startswith(f"{other_user.pk} grace")


FIELDS = {
    "id": 1, "username": "eve", "first_name": "", "last_name": "", "email": "", "is_staff": True, "is_active": True,
    "is_superuser": True,
}  # fmt: skip
SPOILT: dict[str, Any] = {
    "nothing": None,
    "text": "eve",
    "no time": {"user": "{pk}", "fields": FIELDS},
    "text for a time": {"user": "{pk}", "taken": "now", "fields": FIELDS},
    "from the future": {"user": "{pk}", "taken": 10**11, "fields": FIELDS},
    "of another user": {"user": "{pk}0", "taken": "{now}", "fields": FIELDS},
    "of nobody": {"taken": "{now}", "fields": FIELDS},
    "no fields": {"user": "{pk}", "taken": "{now}"},
    "text for fields": {"user": "{pk}", "taken": "{now}", "fields": "eve"},
    "a field too few": {"user": "{pk}", "taken": "{now}", "fields": {**FIELDS, "is_staff": ...}},
    "a field too many": {"user": "{pk}", "taken": "{now}", "fields": {**FIELDS, "level": 3}},
}


def plant(value: Any, user: User) -> View:
    """Puts something where the snapshot is."""

    def view(request: Any) -> None:
        planted = value
        if isinstance(value, dict):
            planted = {
                key: {"{pk}": str(user.pk), "{pk}0": f"{user.pk}0", "{now}": clock.now()}.get(str(part), part)
                for key, part in value.items()
            }
            if isinstance(fields := planted.get("fields"), dict):
                planted["fields"] = {name: part for name, part in fields.items() if part is not ...}
        request.session[snapshots.KEY] = planted

    return view


@each_way
@pytest.mark.parametrize("name", SPOILT)
@pytest.mark.parametrize("handler", ["wsgi"])
def test_snapshot_that_makes_no_sense(browser: Browser, user: User, view: View, name: str) -> None:
    """What is no snapshot of this release and this user counts for nothing, and is replaced."""
    browser.visit(sign_in(user))
    browser.visit(plant(SPOILT[name], user))
    for _ in range(2):
        assert browser.visit(view).text.startswith(f"{user.pk} ada Ada Lovelace ada@example.com True False False True")
    assert json.loads(browser.visit(kept).text)["fields"]["username"] == "ada"


def test_snapshot_is_no_change_of_ones_own(browser: Browser, user: User, configure: Configure, clock: Clock) -> None:
    """With SAVE="explicit" a renewed snapshot is stored with the next save, and is no reason for one."""
    configure(SAVE="explicit")
    browser.visit(sign_in(user))
    taken = json.loads(browser.visit(kept).text)["taken"]
    clock.advance(AGE)
    browser.visit(page)
    assert json.loads(browser.visit(kept).text)["taken"] == taken

    def save(request: Any) -> None:
        assert request.user.is_authenticated
        request.session.modified = True

    browser.visit(save)
    assert json.loads(browser.visit(kept).text)["taken"] == clock.now


def test_client_by_header(browser: Browser, user: User, configure: Configure) -> None:
    """A program's requests need no SQL either."""
    configure(HEADERS=["/"])
    client = ApiClient(browser.ask)
    client.visit(sign_in(user))
    with statements("") as asked:
        assert client.visit(page).text.startswith(f"{user.pk} ada")
    assert asked == []


def test_session_without_fields_of_a_user(browser: Browser, user: User, configure: Configure, clock: Clock) -> None:
    """A session class that says nothing of its user has a snapshot beside it all the same."""
    configure(SESSION_CLASS="typed_sessions.TypedSession")

    def view(request: Any) -> str:
        return shown(request.user)

    browser.visit(lambda request: login(request, user))
    for _ in range(2):
        clock.advance(AGE)
        browser.visit(view)
        with statements("") as asked:
            assert browser.visit(view).text.startswith(f"{user.pk} ada")
        assert asked == []


@each_way
def test_user_whom_a_request_has_saved(browser: Browser, user: User, view: View) -> None:
    """What a request changes of its own user is there in the next one, however young the snapshot."""

    def rename(request: Any) -> None:
        request.user.last_name = "Byron"
        request.user.save()

    browser.visit(sign_in(user))
    browser.visit(view)
    browser.visit(rename)
    assert "Ada Byron" in browser.visit(view).text


# Saving the user of a snapshot; what others have changed meanwhile is in everywhere/test_revocation.py


def test_saving_one_field_and_then_all(browser: Browser, user: User) -> None:
    """After a save of single fields, a save of all of them still writes nothing that is old."""

    def view(request: Any) -> str:
        me = request.user
        me.last_name = "Byron"
        me.save(update_fields=["last_name"])
        me.first_name = "Augusta"
        me.save()
        return str(me.get_full_name())

    browser.visit(sign_in(user))
    User.objects.update(email="new@example.com")
    assert browser.visit(view).text == "Augusta Byron"
    assert User.objects.values_list("first_name", "last_name", "email").get() == ("Augusta", "Byron", "new@example.com")


def test_user_of_a_snapshot_is_a_user(browser: Browser, user: User) -> None:
    """The object is one of the model, equal to the row's, and what it leaves out is loaded when it is asked for."""

    def view(request: Any) -> str:
        me = User.objects.get()
        assert request.user == me
        assert hash(request.user) == hash(me)
        assert request.user._state.db == "default"
        assert not request.user._state.adding
        assert "password" in request.user.get_deferred_fields()
        assert isinstance(request.user.date_joined, datetime)
        return "an ordinary user"

    browser.visit(sign_in(user))
    assert browser.visit(view).text == "an ordinary user"


# Other user models


@pytest.fixture
def member() -> Iterator[Any]:
    """A user of a model with neither names nor flags, whose key is a UUID."""
    with isolate_apps("tests"):

        class Member(AbstractBaseUser):
            id = models.UUIDField(primary_key=True)
            phone = models.CharField(max_length=20, unique=True)

            USERNAME_FIELD = "phone"

            class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]
                app_label = "tests"
                managed = False

        yield Member(id=uuid.UUID(int=7), phone="555-1234", password="a hash")


def test_model_of_another_make(
    member: Any, engine: type[SessionStore], monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """A snapshot has what there is of name, address and flags, in plain JSON, and gives it back as it was."""
    monkeypatch.setattr(auth, "get_user_model", lambda: type(member))
    session, request = engine(), HttpRequest()
    request.method = "GET"
    session.bind(request, Presented(Source.COOKIE, SessionMode.TEMP))
    session[auth.SESSION_KEY] = str(member.id)
    session[auth.BACKEND_SESSION_KEY] = PROVIDER
    assert snapshots.take(session, member) is True
    assert session[snapshots.KEY]["fields"] == {"id": str(member.id), "phone": "555-1234"}
    again = snapshots.user_of(session)
    assert (type(again), again.pk, again.phone) == (type(member), member.pk, "555-1234")


def test_user_who_is_none_of_the_model(engine: type[SessionStore]) -> None:
    """Of a user that is no object of the project's model, as some backends have them, nothing is kept."""
    session = engine()
    assert snapshots.take(session, object()) is False
    assert not session.keys()
