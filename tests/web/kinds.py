"""Everything that can be a view, with an option of views where people put it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views import View as ViewClass
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import api_view, authentication_classes
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.web.urls import View
from typed_sessions.decorators import session_disabled
from typed_sessions.rest_framework import TypedSessionAuthentication

Option = Callable[[Any], Any]
"""A decorator under test."""
Body = Callable[[Any], Any]
"""What the view does with its request."""


async def _awaited(body: Body, request: Any) -> Any:
    """A body is no coroutine function, so it finds the session loaded."""
    if not request.session.is_disabled:
        await request.session.aget_typed_session()
    return body(request)


def _page_of(answer: Any) -> HttpResponseBase:
    return answer if isinstance(answer, HttpResponseBase) else HttpResponse(str(answer))


def _data_of(answer: Any) -> HttpResponseBase:
    return answer if isinstance(answer, HttpResponseBase) else Response(str(answer))


def function(option: Option, body: Body) -> View:
    @option
    def view(request: Any) -> Any:
        return body(request)

    return view  # type: ignore[no-any-return]  # as the decorator gives it


def async_function(option: Option, body: Body) -> View:
    @option
    async def view(request: Any) -> Any:
        return await _awaited(body, request)

    return view  # type: ignore[no-any-return]


def method(option: Option, body: Body) -> View:
    class Pages:
        @option
        def show(self, request: Any) -> Any:
            return body(request)

    return Pages().show  # type: ignore[no-any-return]


def async_method(option: Option, body: Body) -> View:
    class Pages:
        @option
        async def show(self, request: Any) -> Any:
            return await _awaited(body, request)

    return Pages().show  # type: ignore[no-any-return]


def _page(body: Body) -> type[ViewClass]:
    class Page(ViewClass):
        def get(self, request: Any) -> HttpResponseBase:
            return _page_of(body(request))

    return Page


def view_class(option: Option, body: Body) -> View:
    return option(_page(body)).as_view()  # type: ignore[no-any-return]


def _async_page(body: Body) -> type[ViewClass]:
    class Page(ViewClass):
        async def get(self, request: Any) -> HttpResponseBase:
            return _page_of(await _awaited(body, request))

    return Page


def async_view_class(option: Option, body: Body) -> View:
    return option(_async_page(body)).as_view()  # type: ignore[no-any-return]


def view_of_a_class(option: Option, body: Body) -> View:
    return option(_page(body).as_view())  # type: ignore[no-any-return]


def dispatch_by_djangos_decorator(option: Option, body: Body) -> View:
    return method_decorator(option, name="dispatch")(_page(body)).as_view()


def async_dispatch_by_djangos_decorator(option: Option, body: Body) -> View:
    return method_decorator(option, name="dispatch")(_async_page(body)).as_view()


def handler_of_a_class(option: Option, body: Body) -> View:
    class Page(ViewClass):
        @option
        def get(self, request: Any) -> HttpResponseBase:
            return _page_of(body(request))

    return Page.as_view()


def _api(body: Body) -> type[APIView]:
    class Api(APIView):
        authentication_classes = (TypedSessionAuthentication,)

        def get(self, request: Any) -> HttpResponseBase:
            return _data_of(body(request))

    return Api


def api_class(option: Option, body: Body) -> View:
    return option(_api(body)).as_view()  # type: ignore[no-any-return]


def view_of_an_api_class(option: Option, body: Body) -> View:
    return option(_api(body).as_view())  # type: ignore[no-any-return]


def _before_the_handler(option: Option) -> list[type[BaseAuthentication]]:
    """REST framework asks who it is before it calls the handler, so a decorator of the handler cannot prevent it."""
    return [] if option is session_disabled else [TypedSessionAuthentication]


def handler_of_an_api_class(option: Option, body: Body) -> View:
    class Api(APIView):
        authentication_classes = _before_the_handler(option)

        @option
        def get(self, request: Any) -> HttpResponseBase:
            return _data_of(body(request))

    return Api.as_view()


def around_api_view(option: Option, body: Body) -> View:
    @option
    @api_view(["GET"])
    @authentication_classes([TypedSessionAuthentication])
    def view(request: Any) -> HttpResponseBase:
        return _data_of(body(request))

    return view  # type: ignore[no-any-return]


def within_api_view(option: Option, body: Body) -> View:
    @api_view(["GET"])
    @authentication_classes(_before_the_handler(option))
    @option
    def view(request: Any) -> HttpResponseBase:
        return _data_of(body(request))

    return view


PAGES = [
    function, async_function, method, async_method, view_class, async_view_class, view_of_a_class,
    dispatch_by_djangos_decorator, async_dispatch_by_djangos_decorator, handler_of_a_class,
]  # fmt: skip
APIS = [api_class, view_of_an_api_class, handler_of_an_api_class, around_api_view, within_api_view]


# Around a part of a view


def part(option: Option, body: Body) -> View:
    def view(request: Any) -> Any:
        with option(request):
            return body(request)

    return view


def async_part(option: Option, body: Body) -> View:
    async def view(request: Any) -> Any:
        async with option(request):
            return await _awaited(body, request)

    return view


def part_of_an_api(option: Option, body: Body) -> View:
    """The request is REST framework's."""

    @api_view(["GET"])
    @authentication_classes(_before_the_handler(option))
    def view(request: Any) -> HttpResponseBase:
        with option(request):
            return _data_of(body(request))

    return view


PARTS = [part, async_part, part_of_an_api]

Kind = Callable[[Option, Body], View]
each_kind = pytest.mark.parametrize("kind", [*PAGES, *APIS])
each_page = pytest.mark.parametrize("kind", PAGES)
each_api = pytest.mark.parametrize("kind", APIS)
each_kind_and_part = pytest.mark.parametrize("kind", [*PAGES, *APIS, *PARTS])
