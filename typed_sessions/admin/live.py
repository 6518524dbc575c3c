"""The live part of the page: how many sessions there are and were, refreshed by itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.contrib.messages.storage.base import BaseStorage, Message
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone as zones
from django.utils.formats import date_format, get_format, number_format
from django.utils.functional import Promise, SimpleLazyObject
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from .. import clock
from ..decorators import session_passive
from ..exceptions import MissingSession, StoreUnavailable
from ..live import live_sessions
from ..states import EndReason
from ..stores.statistics import Statistics
from .chart import DAY, RANGES, Chart, Range, beginning, chart
from .words import REASONS

if TYPE_CHECKING:
    from ..models import LiveSession

    _Admin = admin.ModelAdmin[LiveSession]
else:
    _Admin = object  # it is put before the project's own, whichever theme has that

REFRESH: Final = "X-Typed-Sessions-Refresh"
"""The header of the requests that the page makes by itself."""
_AWAY: Final = gettext_lazy("The session store does not answer at the moment.")
_UNKNOWN: Final = gettext_lazy("The engine of this project cannot count its sessions.")


@dataclass(frozen=True, kw_only=True)
class LivePart:
    """What the template shows. With a ``problem`` there is nothing else."""

    range: Range
    at: datetime
    problem: str | Promise = ""
    counters: tuple[tuple[str, str], ...] = ()
    """Names and numbers."""
    reasons: tuple[tuple[str, str], ...] = ()
    """Why sessions have ended, and how many for each reason, the commonest first."""
    chart: Chart | None = None

    @property
    def time(self) -> str:
        return date_format(self.at, with_seconds(get_format("TIME_FORMAT")))

    @property
    def ranges(self) -> tuple[Range, ...]:
        return tuple(RANGES.values())


class LivePartMixin(_Admin):
    """For an admin of live sessions: counters and a chart above the list, and the address they refresh from."""

    class Media:
        css: Mapping[str, list[str]] = {"all": ["typed_sessions/admin.css"]}
        js = ("typed_sessions/admin.js",)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_GET(self.live_view))

        @wraps(view)
        def live(request: HttpRequest) -> HttpResponseBase:
            with _passive(request):  # a request that is refused is no use of the session either
                return view(request)

        return [path("live/", live, name="typed_sessions_livesession_live"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not is_refresh(request):
            live = SimpleLazyObject(partial(live_part, DAY))  # most of what is posted here shows no list
            return super().changelist_view(request, {"live": live, **(extra_context or {})})
        with _passive(request):
            # What waits to be told is for a page that somebody reads, and so is what there is to tell of this one.
            request._messages = _NoMessages(request)  # type: ignore[attr-defined]  # where Django's own has them
            return super().changelist_view(request, extra_context)

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """The live part as a page of its own, or alone for the script that refreshes it. 503 if the store is away."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        live = live_part(RANGES.get(request.GET.get("range", ""), DAY))
        context: dict[str, Any] = {"live": live, "opts": self.opts}
        name = "typed_sessions/admin/live.html"
        if not is_refresh(request):
            name = "typed_sessions/admin/live_page.html"
            context |= {**self.admin_site.each_context(request), "media": self.media, "title": _("Sessions over time")}
        return TemplateResponse(request, name, context, status=503 if live.problem else 200)


class _NoMessages(BaseStorage):
    """Has none, and keeps none."""

    def _get(self, *args: object, **kwargs: object) -> tuple[list[Message], bool]:
        return [], True

    def _store(self, messages: list[Message], response: HttpResponseBase, *args: object, **kwargs: object) -> Any:
        return []


def _passive(request: HttpRequest) -> AbstractContextManager[object]:
    """``session_passive``, and nothing where the engine is none of ours."""
    try:
        return session_passive(request)
    except MissingSession:
        return nullcontext()


def is_refresh(request: HttpRequest) -> bool:
    """Whether the page itself asks, and nobody has done anything."""
    return REFRESH in request.headers


def live_part(chosen: Range) -> LivePart:
    """Asks the store for all that is shown; a problem of it is what there is to show."""
    now = clock.now()
    at = datetime.fromtimestamp(now, zones.get_current_timezone())
    try:
        statistics = live_sessions.statistics()
        since = datetime.fromtimestamp(beginning(chosen, now), timezone.utc)
        samples = live_sessions.history(since)
    except StoreUnavailable:
        return LivePart(range=chosen, at=at, problem=_AWAY)
    except (NotImplementedError, ImproperlyConfigured):
        return LivePart(range=chosen, at=at, problem=_UNKNOWN)
    return LivePart(
        range=chosen,
        at=at,
        counters=_counters(statistics),
        reasons=_reasons(statistics.ended),
        chart=chart(samples, chosen, now),
    )


def _counters(statistics: Statistics) -> tuple[tuple[str, str], ...]:
    found = {
        _("Live"): statistics.live,
        _("Signed in"): statistics.signed_in,
        _("Anonymous"): statistics.anonymous,
        _("Started in the last hour"): statistics.started,
        _("Ended in the last hour"): sum(statistics.ended.values()),
    }
    return tuple((name, _number(value)) for name, value in found.items())


def _reasons(ended: Mapping[EndReason, int]) -> tuple[tuple[str, str], ...]:
    found = sorted(ended.items(), key=lambda pair: -pair[1])
    return tuple((str(REASONS[reason]), _number(count)) for reason, count in found)


def _number(value: int) -> str:
    return number_format(value, force_grouping=True)


def with_seconds(form: str) -> str:
    """A format of Django's for the time of day, with seconds after its minutes."""
    if "P" in form:  # "2 p.m.", "noon"
        return form.replace("P", "g:i:s a")
    before, minutes, after = form.partition("i")
    return f"{before}{minutes}{before[-1:]}s{after}"
