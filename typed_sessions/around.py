"""Putting something around a view: a function, sync or async, a class-based view, or one of REST framework."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from inspect import isawaitable
from typing import Any, NamedTuple

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest

from .flows import Flow, adrive, drive
from .session import engine_of


class Option(NamedTuple):
    """What stands around a view: called with what goes on to it, its request, and whether clients are programs."""

    sync: Callable[[Callable[[], Any], HttpRequest, bool], Any]
    asynchronous: Callable[[Callable[[], Awaitable[Any]], HttpRequest, bool], Awaitable[Any]]


class Stretch(ABC):
    """A part of a request, for which something is said of its session: ``with`` and ``async with`` are its ends.

    Around a view it includes the rendering of what the view has answered.
    """

    def __init__(self, request: object) -> None:
        self.engine = engine_of(request)

    @abstractmethod
    def beginning(self) -> Flow[None]:
        """What is done before anything of the part runs."""

    def ending(self, is_good: bool) -> Flow[None]:
        """What is done after it. ``is_good`` unless there was an exception, or an answer that says that something went
        wrong.
        """
        yield from ()

    def __enter__(self) -> None:
        drive(self.beginning())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        drive(self.ending(kind is None))

    async def __aenter__(self) -> None:
        await adrive(self.beginning())

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        await adrive(self.ending(kind is None))


def stretched(make: Callable[[HttpRequest], Stretch]) -> Option:
    """The option that makes a stretch of a view's whole run."""

    def sync(go_on: Callable[[], Any], request: HttpRequest, is_api: bool) -> Any:
        stretch = make(request)
        drive(stretch.beginning())
        try:
            response = go_on()
        except BaseException:
            drive(stretch.ending(is_good=False))
            raise
        if isawaitable(response):  # of an async view, by what did not say that it is one
            return ending(response, stretch)
        if not _goes_on_in(response, stretch):
            drive(stretch.ending(_is_good(response)))
        return response

    async def asynchronous(go_on: Callable[[], Awaitable[Any]], request: HttpRequest, is_api: bool) -> Any:
        stretch = make(request)
        await adrive(stretch.beginning())
        return await ending(go_on(), stretch)

    async def ending(running: Awaitable[Any], stretch: Stretch) -> Any:
        try:
            response = await running
        except BaseException:
            await adrive(stretch.ending(is_good=False))
            raise
        if not _goes_on_in(response, stretch):
            await adrive(stretch.ending(_is_good(response)))
        return response

    return Option(sync, asynchronous)


def _goes_on_in(response: Any, stretch: Stretch) -> bool:
    """Whether the stretch ends with the rendering of the response, which is done by sync code, also in async sites."""
    if getattr(response, "is_rendered", True):
        return False
    response.add_post_render_callback(lambda rendered: drive(stretch.ending(_is_good(rendered))))
    return True


def _is_good(response: Any) -> bool:
    return getattr(response, "status_code", 200) < 500


def around(view: Any, option: Option) -> Any:
    """``view`` with ``option`` around each call of it. Raises ``TypeError`` for what is no view."""
    if inspect.isclass(view):
        if not hasattr(view, "dispatch"):
            raise TypeError(f"{view.__name__} is no view: it has no dispatch().")
        view.dispatch = _method_around(view.dispatch, option)  # type: ignore[attr-defined]  # every view class has it
        return view
    what: object = view
    if not callable(what):
        raise TypeError(f"{view!r} is neither a view nor a request.")
    is_in_api = is_api(getattr(view, "cls", None))  # what a REST framework view function was made of
    if iscoroutinefunction(view) or _is_method_of_async(view):

        @wraps(view)
        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            return await option.asynchronous(partial(view, *args, **kwargs), _request_among(args, kwargs), is_in_api)

        return asynchronous

    @wraps(view)
    def sync(*args: Any, **kwargs: Any) -> Any:
        request = _request_among(args, kwargs)
        return option.sync(partial(view, *args, **kwargs), request, is_in_api or _is_of_rest_framework(args))

    return sync


def _method_around(dispatch: Callable[..., Any], option: Option) -> Callable[..., Any]:
    @wraps(dispatch)
    def wrapper(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        # An async view's dispatch is a plain function too; what it returns is to be awaited.
        run = option.asynchronous if getattr(self, "view_is_async", False) else option.sync
        return run(partial(dispatch, self, request, *args, **kwargs), request, is_api(type(self)))

    return wrapper


def _is_method_of_async(view: Any) -> bool:
    """Whether it is the dispatch of an async view, as method_decorator gives it, perhaps with others around it: that is
    a plain function, and what it returns is to be awaited.
    """
    while view is not None:
        if getattr(getattr(getattr(view, "func", None), "__self__", None), "view_is_async", False):
            return True
        view = getattr(view, "__wrapped__", None)
    return False


def is_api(view_class: Any) -> bool:
    """Whether it is a view of REST framework, which need not be installed."""
    return hasattr(view_class, "authentication_classes")


def request_in(argument: object) -> HttpRequest | None:
    """Django's request, if the argument is that or REST framework's."""
    request = getattr(argument, "_request", argument)
    return request if isinstance(request, HttpRequest) else None


def _request_among(args: tuple[Any, ...], kwargs: dict[str, Any]) -> HttpRequest:
    """Of a function it is the first argument, and of a method the second."""
    for argument in (*args[:2], kwargs.get("request")):
        if request := request_in(argument):
            return request
    raise TypeError("This decorator is for views, which have the request as their first argument.")


def _is_of_rest_framework(args: tuple[Any, ...]) -> bool:
    return any(hasattr(argument, "_request") for argument in args[:2])
