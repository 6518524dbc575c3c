"""Every path by which Django, this app and REST framework let a user sign in, for visitors by either transport."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import auth
from django.contrib.auth.models import User
from rest_framework.request import Request as RestRequest

from tests.web.browser import Answer
from tests.web.conftest import PASSWORD
from tests.web.everywhere.visitors import Visitor
from tests.web.signing import Request, async_sign_in, sign_in, state

Path = Callable[[Visitor, User], Answer]


def django_login(visitor: Visitor, user: User) -> Answer:
    def view(request: Request) -> str:
        auth.login(request, user)
        return state(request)

    return visitor.visit(view)


def django_alogin(visitor: Visitor, user: User) -> Answer:
    async def view(request: Request) -> str:
        await auth.alogin(request, user)
        return state(request)

    return visitor.visit(view)


def credentials(visitor: Visitor, user: User) -> Answer:
    def view(request: Request) -> str:
        found = auth.authenticate(request, username=user.username, password=PASSWORD)
        assert found is not None
        auth.login(request, found)
        return state(request)

    return visitor.visit(view)


def async_credentials(visitor: Visitor, user: User) -> Answer:
    async def view(request: Request) -> str:
        found = await auth.aauthenticate(request, username=user.username, password=PASSWORD)
        assert found is not None
        await auth.alogin(request, found)
        return state(request)

    return visitor.visit(view)


def rest_framework(visitor: Visitor, user: User) -> Answer:
    def view(request: Request) -> str:
        auth.login(RestRequest(request), user)
        return state(request)

    return visitor.visit(view)


def page_of_the_admin(visitor: Visitor, user: User) -> Answer:
    User.objects.filter(pk=user.pk).update(is_staff=True)
    visitor.get("/admin/login/")
    return visitor.post("/admin/login/?next=/admin/", username=user.username, password=PASSWORD)


def page_of_django(visitor: Visitor, user: User) -> Answer:
    visitor.get("/admin/login/")  # for its token
    return visitor.post("/accounts/login/", username=user.username, password=PASSWORD)


PATHS: dict[str, Path] = {
    "login": lambda visitor, user: visitor.visit(sign_in(user)),
    "alogin": lambda visitor, user: visitor.visit(async_sign_in(user)),
    "Django's login": django_login,
    "Django's alogin": django_alogin,
    "authenticate": credentials,
    "aauthenticate": async_credentials,
    "REST framework": rest_framework,
    "admin": page_of_the_admin,
    "LoginView": page_of_django,
}
