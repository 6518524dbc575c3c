"""Who may do what: by group, by Django's permissions, and by how long ago they signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.authentication import BasicAuthentication
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from tests.rest_framework.clients import ByHeader, Caller
from tests.rest_framework.conftest import Configure, NewCaller
from tests.rest_framework.test_authentication import basic
from tests.rest_framework.urls import address
from typed_sessions import get_session, snapshots
from typed_sessions.decorators import session_disabled
from typed_sessions.rest_framework import HasPermission, HasRole, RecentAuth, TypedSessionAuthentication
from typed_sessions.testing.engines import Clock

from .sessions import ApiSession

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.usefixtures("engine")

ADD_USER = "auth.add_user"


def view(*permissions: Any, **attributes: Any) -> str:
    """The address of a view that wants these permissions."""

    class Wanting(APIView):
        authentication_classes = [TypedSessionAuthentication]
        permission_classes = permissions

        def get(self, request: Request) -> Response:
            self.check_object_permissions(request, object())
            return Response()

    return address(type("View", (Wanting,), attributes))


def status(caller: Caller, path: str, **headers: str) -> int:
    return int(caller.get(path, **headers).status_code)


def make_editor(user: User) -> Group:
    group = Group.objects.create(name="editors")
    user.groups.add(group)
    return group


def allow(user: User) -> Permission:
    permission = Permission.objects.get(codename="add_user")
    user.user_permissions.add(permission)
    return permission


def test_role(caller: Caller, user: User) -> None:
    """Members of the group are let in, other users get 403, and visitors 401."""
    path = view(HasRole("editors"))
    assert status(caller, path) == 401
    caller.sign_in()
    assert status(caller, path) == 403
    make_editor(user)
    assert status(caller, path) == 200


def test_permission(caller: Caller, user: User) -> None:
    """Users with the permission are let in, other users get 403, and visitors 401."""
    path = view(HasPermission(ADD_USER))
    assert status(caller, path) == 401
    caller.sign_in()
    assert status(caller, path) == 403
    allow(user)
    assert status(caller, path) == 200


def test_superuser(caller: Caller, user: User) -> None:
    """A superuser has every permission, and is in no group that they are not in."""
    User.objects.update(is_superuser=True)
    caller.sign_in()
    assert (status(caller, view(HasPermission(ADD_USER))), status(caller, view(HasRole("editors")))) == (200, 403)


def test_s64_what_is_taken_away_is_gone(caller: Caller, user: User) -> None:
    """A role or permission that is taken away is missing in the next request, though the session remembers it."""
    group, permission = make_editor(user), allow(user)
    session = caller.sign_in().json()
    assert (session["roles"], session["permissions"]) == (["editors"], [ADD_USER])
    role, right = view(HasRole("editors")), view(HasPermission(ADD_USER))
    assert (status(caller, role), status(caller, right)) == (200, 200)
    user.groups.remove(group)
    user.user_permissions.remove(permission)
    assert (status(caller, role), status(caller, right)) == (403, 403)
    assert caller.get("/api/session/").json()["roles"] == ["editors"]


class Forging(APIView):
    """A view that lets something into the session that is none of its business."""

    authentication_classes = [TypedSessionAuthentication]

    def get(self, request: Request) -> Response:
        session = get_session(request, ApiSession)
        session.roles, session.permissions = ["editors"], ["*"]
        return Response()


def test_s64_what_the_session_says_counts_for_nothing(caller: Caller, user: User) -> None:
    """Roles and permissions that got into the session somehow let nobody in."""
    caller.sign_in()
    caller.get(address(Forging))
    assert caller.get("/api/session/").json()["permissions"] == ["*"]
    assert (status(caller, view(HasRole("editors"))), status(caller, view(HasPermission(ADD_USER)))) == (403, 403)


def test_s64_snapshot_is_believed_as_long_as_it_is_young(
    caller: Caller, user: User, configure: Configure, clock: Clock
) -> None:
    """With USER_SNAPSHOT_AGE, what was taken away is gone when the snapshot is over, and not later."""
    configure(USER_SNAPSHOT_AGE=60)
    group, permission = make_editor(user), allow(user)
    caller.sign_in()
    role, right = view(HasRole("editors")), view(HasPermission(ADD_USER))
    user.groups.remove(group)
    user.user_permissions.remove(permission)
    clock.advance(59)
    assert (status(caller, role), status(caller, right)) == (200, 200)
    clock.advance(2)
    assert (status(caller, role), status(caller, right)) == (403, 403)


def test_s64_without_a_snapshot_the_session_is_not_believed(caller: Caller, user: User, configure: Configure) -> None:
    """It is the snapshot that is young enough: what a session without one says of roles may be of any age."""
    configure(USER_SNAPSHOT_AGE=60)
    group = make_editor(user)
    permission = HasRole("editors")
    found: list[bool] = []

    class Forgetting(APIView):
        authentication_classes = [TypedSessionAuthentication]

        def get(self, request: Request) -> Response:
            found.append(permission.has_permission(request, self))
            del request.session[snapshots.KEY]
            found.append(permission.has_permission(request, self))
            return Response()

    caller.sign_in()
    user.groups.remove(group)
    assert status(caller, address(Forgetting)) == 200
    assert found == [True, False]


def test_snapshot_needs_no_sql(
    new_caller: NewCaller, user: User, configure: Configure, settings: Settings, clock: Clock
) -> None:
    """With USER_SNAPSHOT_AGE, a request whose permissions the session remembers asks no user table."""
    configure(USER_SNAPSHOT_AGE=60)
    make_editor(user)
    allow(user)
    caller = new_caller()
    caller.sign_in()
    path = view(HasRole("editors"), HasPermission(ADD_USER), ~HasRole("interns"))
    with CaptureQueriesContext(connection) as asked:
        assert status(caller, path) == 200
    assert [query["sql"] for query in asked if '"auth_' in query["sql"]] == []


def test_snapshot_without_a_permission_is_asked_about(caller: Caller, user: User, configure: Configure) -> None:
    """A permission that the session does not remember may be one of too many, so the user is asked for it."""
    configure(USER_SNAPSHOT_AGE=60)
    caller.sign_in()
    allow(user)
    assert status(caller, view(HasPermission(ADD_USER))) == 200


def test_snapshot_of_somebody_else_is_not_believed(
    by_header: ByHeader, user: User, other_user: User, configure: Configure
) -> None:
    """The user of another credential is asked for themselves, whatever the session beside it remembers."""
    configure(USER_SNAPSHOT_AGE=60)
    make_editor(user)
    by_header.sign_in()
    path = view(HasRole("editors"), authentication_classes=[BasicAuthentication])
    assert status(by_header, path, Authorization=basic("grace")) == 403
    assert status(by_header, path, Authorization=basic("ada")) == 200


def test_snapshot_on_a_view_without_a_session(by_header: ByHeader, user: User, configure: Configure) -> None:
    """Where the session is disabled, the user is asked."""
    configure(USER_SNAPSHOT_AGE=60)
    make_editor(user)
    asked: list[Any] = []

    class Forced(BasicAuthentication):
        def authenticate(self, request: Any) -> Any:
            asked.append(request)
            return user, None

    class Open(APIView):
        authentication_classes = [Forced]
        permission_classes = [HasRole("editors")]

        def get(self, request: Request) -> Response:
            return Response()

    assert status(by_header, address(session_disabled(Open))) == 200
    assert asked


def test_recent_sign_in(caller: Caller, user: User, clock: Clock) -> None:
    """Whoever has signed in a while ago gets 403 with a code by which a client knows what to do; visitors get 401."""
    path = view(RecentAuth(300))
    assert status(caller, path) == 401
    caller.sign_in()
    clock.advance(300)
    assert status(caller, path) == 200
    clock.advance(1)
    answer = caller.get(path)
    assert (answer.status_code, answer.json()) == (
        403,
        {"detail": "Sign in again to do this.", "code": "reauthentication_required"},
    )
    caller.sign_in()
    assert status(caller, path) == 200


def test_recent_sign_in_is_that_of_the_session(by_header: ByHeader, user: User, other_user: User) -> None:
    """Another credential is no sign-in, neither for the same user nor beside a session of another one."""
    path = view(RecentAuth(300), authentication_classes=[BasicAuthentication])
    assert status(by_header, path, Authorization=basic("ada")) == 403
    by_header.sign_in("grace")
    assert status(by_header, path, Authorization=basic("ada")) == 403


@pytest.mark.parametrize("seconds", [0, -1, True, 1.5, "300", None])
def test_seconds_that_are_none(seconds: Any) -> None:
    """RecentAuth says at once what it needs."""
    with pytest.raises(TypeError, match=r"as RecentAuth\(300\)"):
        RecentAuth(seconds)


class Never(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        return False

    def has_object_permission(self, request: Request, view: APIView, obj: Any) -> bool:
        return False  # REST framework's ~ turns both answers round


def test_operators(caller: Caller, user: User, clock: Clock) -> None:
    """Permissions are joined by &, | and ~ among themselves and with REST framework's, in any order."""
    make_editor(user)
    caller.sign_in()
    clock.advance(400)
    role, right, recent = HasRole("editors"), HasPermission(ADD_USER), RecentAuth(300)
    expected = {
        role & IsAuthenticated: 200,
        IsAuthenticated & role: 200,
        role & right: 403,
        right | role: 200,
        Never | role: 200,
        role | Never: 200,
        Never & role: 403,
        ~right: 200,
        ~role: 403,
        ~(role & right): 200,
        AllowAny & ~Never & (role | recent): 200,
        IsAuthenticated & recent: 403,
    }
    assert [status(caller, view(joined)) for joined in expected] == [*expected.values()]


def test_permissions_are_values() -> None:
    """What is written alike is equal, so that joined permissions are comparable as REST framework has them."""
    assert HasRole("a") == HasRole("a") != HasRole("b")
    assert HasRole("a") != HasPermission("a")
    assert (HasRole("a") & RecentAuth(5)) == (HasRole("a") & RecentAuth(5))
    assert len({HasRole("a"), HasRole("a"), HasRole("b")}) == 2
    assert [repr(HasRole("a")), repr(RecentAuth(5))] == ["HasRole('a')", "RecentAuth(5)"]


def test_function_views(user: User) -> None:
    """Views that are functions take the same instances, and a test that forces a user needs no session."""

    @api_view(["GET"])
    @permission_classes([HasRole("editors") | HasPermission(ADD_USER)])
    def listing(request: Request) -> Response:
        return Response()

    def ask(who: Any) -> int:
        request = APIRequestFactory().get("/")
        force_authenticate(request, who)
        return int(listing(request).status_code)

    assert [ask(user), ask(AnonymousUser())] == [403, 403]
    make_editor(user)
    assert ask(user) == 200


def test_project_without_a_user_for_visitors(caller: Caller, api: Any) -> None:
    """Where a visitor's user is None, a visitor has no role, no permission, and has not signed in."""
    api(UNAUTHENTICATED_USER=None)
    for permission in (HasRole("editors"), HasPermission(ADD_USER), RecentAuth(300)):
        assert status(caller, view(permission)) == 401


def test_user_model_without_groups(user: User) -> None:
    """A user model that has no groups has no roles."""

    class Ungrouped:
        is_authenticated = True

    request = Request(APIRequestFactory().get("/"))
    request.user = Ungrouped()  # type: ignore[assignment]  # as of another model
    assert not HasRole("editors").has_permission(request, APIView())
