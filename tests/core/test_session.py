"""The session dataclasses: what they say of themselves with and without a request, and how a view gets hold of one."""

from __future__ import annotations

import copy
import dataclasses
import logging
import pickle
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.http import HttpRequest
from django.test.utils import isolate_apps
from rest_framework.request import Request

from tests.core.classes import PlainSession
from tests.core.records import NOW
from tests.sessions import CartLine, ShopSession
from typed_sessions import (
    AuthUserSession,
    EndReason,
    SessionMode,
    SessionStatus,
    TypedSession,
    aget_session,
    clock,
    get_session,
    session_field,
    tokens,
)
from typed_sessions.backends.db import SessionStore
from typed_sessions.backends.facts import Facts
from typed_sessions.session import FieldOptions, attach, field_options, has_default, options_of
from typed_sessions.stores.record import Client

if TYPE_CHECKING:
    from pytest_django import Settings

FACTS = [
    "id", "urn", "mode", "status", "end_reason", "is_new", "is_authenticated", "was_authenticated", "created_at",
    "authenticated_at",
    "last_modified", "last_seen_at", "expires_at", "client_info",
]  # fmt: skip


class Known:
    """The facts of a session that is stored and signed in."""

    id = "0123456789abcdef0123456789abcdef01234567"
    mode = SessionMode.PERM
    status = SessionStatus.ENDED
    end_reason = EndReason.ENDED_BY_STAFF
    is_stored = True
    is_authenticated = True
    was_authenticated = True
    client = Client(address="192.0.2.7", agent="Browser/1")
    restraint = None
    _moments = ("created", "authenticated", "modified", "seen", "expires")

    def refusal(self, names: Sequence[str]) -> Exception:
        raise AssertionError(names)

    def time(self, name: Literal["created", "authenticated", "modified", "seen", "expires"]) -> int | None:
        return NOW + self._moments.index(name)


@pytest.mark.parametrize("session_class", [TypedSession, AuthUserSession, ShopSession, PlainSession])
def test_an_object_that_belongs_to_no_request(session_class: type[TypedSession]) -> None:
    """An object that a test made is new, temporary, fresh, not signed in, and has neither id nor times."""
    session = session_class()
    assert {name: getattr(session, name) for name in FACTS} == {
        **dict.fromkeys(FACTS),
        "mode": SessionMode.TEMP,
        "status": SessionStatus.FRESH,
        "is_new": True,
        "is_authenticated": False,
        "was_authenticated": False,
    }
    assert session.time_to_live() is None


def test_an_object_that_belongs_to_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The facts come from the engine, times as aware datetimes in UTC."""
    session = ShopSession()
    attach(session, Known())
    first = datetime.fromtimestamp(NOW, tz=timezone.utc)
    assert [getattr(session, name) for name in FACTS] == [
        Known.id, f"urn:iauthsession:{Known.id}", Known.mode, Known.status, Known.end_reason, False, True, True,
        *(first + timedelta(seconds=second) for second in range(5)), Known.client,
    ]  # fmt: skip
    monkeypatch.setattr(clock, "now", lambda: NOW - 60)
    assert session.time_to_live() == timedelta(seconds=64)
    monkeypatch.setattr(clock, "now", lambda: NOW + 60)
    assert session.time_to_live() == timedelta(0)


@pytest.mark.parametrize("is_stored", [True, False])
@pytest.mark.parametrize("is_authenticated", [True, False])
def test_new_and_signed_in_are_two_facts(is_stored: bool, is_authenticated: bool) -> None:
    """A session is new until it is stored, whoever it belongs to."""
    known = Known()
    known.is_stored, known.is_authenticated = is_stored, is_authenticated
    session = ShopSession()
    attach(session, known)
    assert (session.is_new, session.is_authenticated) == (not is_stored, is_authenticated)


@pytest.mark.parametrize("name", FACTS)
def test_facts_are_read_only(name: str) -> None:
    """The framework's facts cannot be assigned."""
    with pytest.raises(AttributeError):
        setattr(ShopSession(), name, None)


def test_facts_are_no_fields() -> None:
    """Facts are neither stored nor shown, compared or copied with the fields."""
    session = ShopSession(page_views=1)
    attach(session, Known())
    assert {each.name for each in dataclasses.fields(session)}.isdisjoint({*FACTS, "_facts"})
    assert session == ShopSession(page_views=1)
    assert repr(session) == repr(ShopSession(page_views=1))
    assert dataclasses.asdict(session) == dataclasses.asdict(ShopSession(page_views=1))
    assert "_facts" not in vars(session)


def test_the_default_hooks_do_nothing() -> None:
    """A class without hooks of its own can be asked for all of them."""
    session = ShopSession(page_views=1)
    session.on_created(None)
    session.on_registered(None, User())
    assert session.validate(None, User()) is None
    session.on_authenticated(None, User())
    session.on_logout(None)
    assert session == ShopSession(page_views=1)
    assert ShopSession.upgrade(1, {"a": 1}) == {"a": 1}


# Copies


def attached() -> tuple[ShopSession, str]:
    """A session of a request, and the token that it came by."""
    facts = Facts()
    text = tokens.issue(SessionMode.TEMP)
    facts.token = tokens.read(text)
    session = ShopSession(cart=[CartLine("a")], gift_note="secret")
    attach(session, facts)
    return session, text


def test_copies_of_a_session() -> None:
    """A copy is equal, a deep one shares nothing of the fields, and neither can do without the first."""
    session, _ = attached()
    shallow, deep = copy.copy(session), copy.deepcopy(session)
    assert shallow == deep == session
    assert shallow.cart is session.cart
    deep.cart[0].quantity = 5
    assert session.cart == [CartLine("a")]
    assert session.id is not None


def test_replace_makes_an_object_of_no_request() -> None:
    """`dataclasses.replace` makes a new object, which belongs to no request until it is assigned to one."""
    session, _ = attached()
    replaced = dataclasses.replace(session, currency="USD")
    assert (replaced.currency, replaced.cart) == ("USD", session.cart)
    assert replaced.id is None


def test_s84_a_pickled_session_holds_no_token() -> None:
    """Who puts a session object into a cache, or sends it to a worker, does not spread what the cookie carries."""
    session, text = attached()
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        if protocol >= 2:  # older ones cannot hold objects with slots
            pickled = pickle.dumps(session, protocol)
            assert text.encode() not in pickled
            again = pickle.loads(pickled)
            assert again == session
            assert again.id is None


@dataclasses.dataclass
class WithSecrets(AuthUserSession):
    card: str = session_field(default="", secret=True)
    pins: list[int] = session_field(default_factory=list, secret=True)
    shown: str = session_field(default="", secret=True, repr=True)
    plain: str = session_field(default="")


def test_repr_hides_secret_fields() -> None:
    """A field marked secret is not in `repr`, unless it asks to be; everything else is."""
    shown = repr(WithSecrets(card="4111", pins=[1234], shown="asked for", plain="public"))
    assert "4111" not in shown
    assert "1234" not in shown
    assert "plain='public'" in shown
    assert "shown='asked for'" in shown


def test_field_options() -> None:
    """`session_field` keeps what it is told, gives the rest to `dataclasses.field`, and has the contract's defaults."""

    @dataclasses.dataclass
    class Declared(TypedSession):
        a: int = session_field(default=0, merge="add", carry_over=False, secret=True, renamed_from="old")
        b: int = session_field(
            default=0, api="write", renamed_from=["older", "oldest"], metadata={"unit": "s"}, kw_only=True
        )
        c: int = 0
        d: list[int] = session_field(default_factory=list, init=False, compare=False)

    options = field_options(Declared)
    assert options["a"] == dataclasses.replace(
        options["c"], merge="add", carry_over=False, secret=True, renamed_from=("old",)
    )
    assert (options["b"].renamed_from, options["b"].api) == (("older", "oldest"), "write")
    assert options["c"] == FieldOptions(merge="last", carry_over=True, secret=False, renamed_from=(), api="")
    declared = {each.name: each for each in dataclasses.fields(Declared)}
    assert declared["b"].metadata["unit"] == "s"
    assert declared["b"].kw_only
    assert not declared["d"].init
    assert not declared["d"].compare
    assert options_of(declared["c"]) == options["c"]
    assert all(map(has_default, declared.values()))
    assert not has_default(dataclasses.fields(CartLine)[0])


def test_clients_see_who_the_user_is_and_change_nothing() -> None:
    """Of an AuthUserSession, clients of an API see what pages show of the user, and nothing else unless it is said."""
    options = field_options(ShopSession)
    assert {name for name, option in options.items() if option.api == "read"} == {
        "user_auth_id", "user_name", "display_name", "first_name", "last_name", "email", "roles", "permissions",
    }  # fmt: skip
    assert {option.api for option in options.values()} == {"", "read"}


def test_roles_and_permissions() -> None:
    """The helpers ask for one, any or all of the names, and a superuser has every permission."""
    session = AuthUserSession(roles=["staff", "editor"], permissions=["shop.view", "shop.add"])
    assert session.has_role("staff") and session.has_permission("shop.view")
    assert not session.has_role("sta") and not session.has_permission("shop.vie")
    assert session.has_any_role("x", "editor") and session.has_any_permission("x", "shop.add")
    assert not session.has_any_role("x", "y") and not session.has_any_permission("x")
    assert session.has_all_roles("staff", "editor") and session.has_all_permissions("shop.view", "shop.add")
    assert not session.has_all_roles("staff", "x") and not session.has_all_permissions("shop.view", "x")
    assert not session.has_any_role() and not session.has_any_permission()
    assert session.has_all_roles() and session.has_all_permissions()
    assert not AuthUserSession().has_role("staff")
    superuser = AuthUserSession(permissions=["*"])
    assert superuser.has_permission("shop.view") and superuser.has_all_permissions("shop.view", "any.thing")
    assert superuser.has_any_permission("shop.view") and not superuser.has_any_permission()
    assert not superuser.has_role("*")


# Filling from a user


@pytest.fixture
def user_models() -> Iterator[SimpleNamespace]:
    """Custom user models of several makes, without tables."""
    with isolate_apps("tests"):

        class Bare(AbstractBaseUser):
            """Nothing but what Django asks for: no groups, no permissions, no names; a UUID as key."""

            id = models.UUIDField(primary_key=True, default=uuid.uuid4)
            phone = models.CharField(max_length=20, unique=True)

            USERNAME_FIELD = "phone"

            class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]
                app_label = "tests"
                managed = False

        class ByMail(AbstractBaseUser):
            """An address as key, user name and e-mail."""

            address = models.EmailField(primary_key=True)

            USERNAME_FIELD = "address"
            EMAIL_FIELD = "address"

            class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]
                app_label = "tests"
                managed = False

        yield SimpleNamespace(bare=Bare, by_mail=ByMail)


def test_fill_from_a_user_with_a_uuid_and_nothing_else(user_models: SimpleNamespace) -> None:
    """A custom user without names, groups and permissions fills what there is; the key is text."""
    key = uuid.UUID(int=7)
    session = AuthUserSession(first_name="left", roles=["over"], permissions=["from.before"])
    session.fill_from_user(user_models.bare(id=key, phone="555-1234"))
    assert session == AuthUserSession(
        user_auth_id=str(key), user_auth_name="555-1234", user_name="555-1234", display_name="555-1234"
    )


def test_fill_from_a_user_whose_key_is_the_address(user_models: SimpleNamespace) -> None:
    """USERNAME_FIELD and EMAIL_FIELD say where name and address are."""
    session = AuthUserSession()
    session.fill_from_user(user_models.by_mail(address="a@example.org"))
    assert (session.user_auth_id, session.user_name, session.email) == ("a@example.org",) * 3


@pytest.mark.django_db
def test_fill_from_djangos_user() -> None:
    """Django's own user fills every field; roles are the groups' names, permissions its own and theirs."""
    user = User.objects.create_user("ann", "ann@example.org", first_name="Ann", last_name="Lee")
    user.backend = "typed_sessions.auth.TypedSessionBackend"
    view, add = (Permission.objects.get(codename=f"{name}_group") for name in ("view", "add"))
    for name in ("staff", "editors"):
        user.groups.add(Group.objects.create(name=name))
    Group.objects.get(name="staff").permissions.add(view)
    user.user_permissions.add(add)
    session = ShopSession(currency="USD")
    session.fill_from_user(user)
    assert session == ShopSession(
        user_auth_id=str(user.pk),
        user_auth_name="ann",
        user_name="ann",
        display_name="Ann Lee",
        first_name="Ann",
        last_name="Lee",
        email="ann@example.org",
        auth_provider="typed_sessions.auth.TypedSessionBackend",
        roles=["editors", "staff"],
        permissions=["auth.add_group", "auth.view_group"],
        currency="USD",
    )


@pytest.mark.django_db
def test_fill_from_a_user_without_names() -> None:
    """Names and an address that are empty are none, and the user name is what is displayed."""
    session = AuthUserSession()
    session.fill_from_user(User.objects.create_user("bob"))
    assert (session.first_name, session.last_name, session.email, session.auth_provider) == (None,) * 4
    assert session.display_name == "bob"


@pytest.mark.django_db
def test_fill_from_a_superuser() -> None:
    """All permissions there are would be a long list; one star says the same."""
    session = AuthUserSession()
    session.fill_from_user(User.objects.create_superuser("root"))
    assert session.permissions == ["*"]
    assert session.has_permission("auth.add_group")


@pytest.mark.django_db
def test_fill_from_a_user_with_too_many_permissions(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """Permissions that would fill the record are left out, and a line in the log says so."""
    user = User.objects.create_user("ann")
    user.user_permissions.set(Permission.objects.all())
    session = AuthUserSession()
    settings.TYPED_SESSIONS = {"MAX_BYTES": 1024}
    with caplog.at_level(logging.WARNING, "typed_sessions"):
        session.fill_from_user(user)
    assert session.permissions == []
    assert session.user_name == "ann"
    (line,) = caplog.messages
    assert line.startswith(f"User {user.pk} has too many permissions")


def test_a_class_may_fill_more_or_less(user_models: SimpleNamespace) -> None:
    """`fill_from_user` is the project's to override."""

    @dataclasses.dataclass
    class Sparing(AuthUserSession):
        def fill_from_user(self, user: AbstractBaseUser) -> None:
            self.user_auth_id = str(user.pk)

    session = Sparing()
    session.fill_from_user(user_models.by_mail(address="a@example.org"))
    assert session == Sparing(user_auth_id="a@example.org")


# Getting hold of it


def request_with(engine: object) -> HttpRequest:
    """A request as the middleware leaves it."""
    request = HttpRequest()
    request.session = engine  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    return request


@pytest.fixture
def request_() -> HttpRequest:
    """A request of a new visitor: no token, so that nothing asks the database."""
    return request_with(SessionStore(None))


def test_get_session_is_the_requests_own_object(request_: HttpRequest) -> None:
    """`get_session`, `of` and the attribute give one object, of Django's request and of REST framework's."""
    session = get_session(request_, ShopSession)
    assert isinstance(session, ShopSession)
    assert ShopSession.of(request_) is session
    assert get_session(Request(request_), ShopSession) is session
    assert get_session(request_, AuthUserSession) is session
    assert get_session(request_, TypedSession) is session
    assert request_.typed_session is session  # type: ignore[attr-defined]


async def test_aget_session_is_the_same_object(request_: HttpRequest) -> None:
    """The async way gives the object that the sync ways give."""
    session = await aget_session(request_, ShopSession)
    assert get_session(request_, ShopSession) is session
    assert await aget_session(Request(request_), AuthUserSession) is session


async def test_another_class_than_the_projects_is_an_error(request_: HttpRequest) -> None:
    """Asking for a class that the project's sessions are not says which they are."""
    words = r"This project's sessions are ShopSession .*SESSION_CLASS.*, and a PlainSession was asked for"
    with pytest.raises(TypeError, match=words):
        get_session(request_, PlainSession)
    with pytest.raises(TypeError, match=words):
        PlainSession.of(request_)
    with pytest.raises(TypeError, match=words):
        await aget_session(request_, PlainSession)


@pytest.mark.parametrize(
    "engine", [None, {}, SimpleNamespace(typed_session=ShopSession())], ids=["none", "dict", "other"]
)
async def test_a_request_without_the_middleware_is_told_so(engine: object) -> None:
    """Without our middleware and engine the error says which lines of the settings are missing."""
    for request in (request_with(engine), Request(request_with(engine))):
        with pytest.raises(ImproperlyConfigured, match=r"TypedSessionMiddleware.*typed_sessions\.backends"):
            get_session(request, ShopSession)
        with pytest.raises(ImproperlyConfigured, match="has no typed session"):
            await aget_session(request, ShopSession)


@pytest.mark.parametrize("request_or_not", [None, HttpRequest(), object(), AnonymousUser()], ids=type)
def test_what_is_no_request_with_a_session_is_told_so(request_or_not: Any) -> None:
    """A request made by hand, or no request at all, is told what it lacks."""
    with pytest.raises(ImproperlyConfigured, match="has no typed session"):
        ShopSession.of(request_or_not)
