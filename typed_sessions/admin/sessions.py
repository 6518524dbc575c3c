"""The page of live sessions, in Django's own admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR, SEARCH_VAR
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import URLPattern, re_path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import site, tokens
from ..exceptions import StoreUnavailable
from ..models import LiveSession
from ..states import SessionMode
from . import moments
from .details import DetailsMixin
from .devices import device_of
from .ending import CUT, EndingMixin
from .filters import FILTERS, PARAMETERS, sorted_by
from .live import LivePartMixin, is_refresh
from .locations import country_of
from .queryset import ONE_PAGE, SessionQuery, find, last_of
from .search import id_of_token, sources_of, without, without_tokens

if TYPE_CHECKING:
    ProjectAdmin = admin.ModelAdmin[LiveSession]


def admin_base() -> type[admin.ModelAdmin[Any]]:
    """Django's own ``ModelAdmin``, or that of django-unfold where the project uses it, so that it looks alike."""
    if not apps.is_installed("unfold"):
        return admin.ModelAdmin
    from unfold.admin import ModelAdmin  # type: ignore[import-untyped]  # has no types

    found: type[admin.ModelAdmin[Any]] = ModelAdmin
    return found


if not TYPE_CHECKING:
    ProjectAdmin = admin_base()


class LiveSessionAdmin(LivePartMixin, EndingMixin, DetailsMixin, ProjectAdmin):
    """Lists, filters and searches the live sessions of any engine that knows what it holds. Looking extends none.

    To put it on another ``AdminSite``: ``site.register(LiveSession, LiveSessionAdmin)``.
    """

    list_display = (
        "session",
        "owner",
        "last_seen",
        "device",
        "address",
        "expires_in",
        "mode_shown",
        "began",
    )
    list_display_links = ("session",)
    list_filter = FILTERS
    list_per_page = ONE_PAGE
    list_max_show_all = 200
    ordering = ("-seen",)
    search_fields = ("id",)
    search_help_text = gettext_lazy("Exactly: a user's name or e-mail address, an IP address, or the id of a session.")
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    # The list.

    def get_queryset(self, request: HttpRequest) -> Any:
        return SessionQuery(self.viewer(request))

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        # What Django refuses to search for arrives as nothing, which must not find everything.
        is_searched = any(text.strip() for text in (search_term, request.GET.get(SEARCH_VAR, "")))
        return queryset.restricted(sources_of(search_term)) if is_searched else queryset, False

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """By the filters alone, which say on every page what the list is about."""
        if lookup not in PARAMETERS:
            raise IncorrectLookupParameters
        return True

    def get_ordering(self, request: HttpRequest) -> Any:
        return ("expires",) if sorted_by(request) == ("expires",) else self.ordering

    def get_sortable_by(self, request: HttpRequest) -> Any:
        columns = {"seen": "last_seen", "expires": "expires_in"}
        return [columns[field] for field in sorted_by(request)]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if (query := without_tokens(request.GET)) is not None:
            return _to(request, query)
        if ERROR_FLAG in request.GET and len(request.GET) > 1:
            return _to(request, without(request.GET, ERROR_FLAG))
        if (refusal := self.refusal(request, lists=True)) is not None:
            return refusal
        try:
            response = self._list(request, extra_context or {})
        except StoreUnavailable:
            return self.unavailable(request, _("The session store does not answer. Please try again."), 503)
        is_refused = isinstance(response, HttpResponseRedirect) and response.url == f"{request.path}?{ERROR_FLAG}=1"
        if is_refused and PAGE_VAR in request.GET:
            return _to(request, without(request.GET, PAGE_VAR))  # there are no longer so many
        return response

    def _list(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        url = f"{self.end_matching_url()}?{without(request.GET, PAGE_VAR, ERROR_FLAG).urlencode()}"
        may_end = self.has_end_permission(request)
        response = super().changelist_view(request, {"end_matching_url": url if may_end else None, **context})
        listed = getattr(response, "context_data", None) or {}
        if "cl" in listed and listed["cl"].queryset.is_cut and not is_refresh(request):
            self.message_user(request, str(CUT), "WARNING")
        return response

    # One session.

    def get_urls(self) -> list[URLPattern]:
        """An id without the name of a page leads on, as Django has it, but for one that is a token."""
        name = "typed_sessions_livesession_one"
        one = re_path(r"^(?P<text>[^/]*[0-9a-z]{40}[^/]*)/$", self.admin_site.admin_view(self.one_view), name=name)
        return [one, *super().get_urls()]

    def one_view(self, request: HttpRequest, text: str) -> HttpResponse:
        shown = id_of_token(unquote(text)) or unquote(text).removeprefix(tokens.urn(""))
        return HttpResponseRedirect(self.page_url("change", quote(shown)))

    def typed_session(self, row: LiveSession) -> Any:
        """The session of a row, read from what was loaded with it; ``None`` if that has ended or cannot be read.

        For columns of your own: what is in it is for those alone for whom ``row.viewer.may_see_payload`` is true.
        """
        return None if row.record is None else site.session_of(row.record)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self._refusal_to_view(request) or super().change_view(request, object_id, form_url, extra_context)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self._refusal_to_view(request) or super().history_view(request, object_id, extra_context)

    def _refusal_to_view(self, request: HttpRequest) -> HttpResponse | None:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self.refusal(request)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> LiveSession | None:
        return find(object_id, self.viewer(request))

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        return self.not_there(request, object_id)

    # The columns. Times are of the record, to the second.

    @admin.display(description=gettext_lazy("session"))
    def session(self, row: LiveSession) -> SafeString | str:
        shown = f"{row.pk[:8]}…"
        if row.pk != row.viewer.own_id:
            return shown
        return format_html('{} <span class="tys-you">{}</span>', shown, _("this is you"))

    @admin.display(description=gettext_lazy("user"))
    def owner(self, row: LiveSession) -> SafeString | str:
        if row.user is None:
            return format_html('<span class="tys-none">{}</span>', _("anonymous"))
        if row.person is None:
            return format_html('<span class="tys-none">{}</span>', _("deleted (%(key)s)") % {"key": row.user})
        name, url = row.person.get_username(), row.viewer.user_url(row.person)
        return format_html('<a href="{}">{}</a>', url, name) if url else name

    @admin.display(description=gettext_lazy("last seen"), ordering="seen")
    def last_seen(self, row: LiveSession) -> SafeString:
        return moments.ago(row.record.seen)

    @admin.display(description=gettext_lazy("expires"), ordering="expires")
    def expires_in(self, row: LiveSession) -> SafeString:
        return moments.ahead(row.record.expires)

    @admin.display(description=gettext_lazy("created"))
    def began(self, row: LiveSession) -> SafeString:
        return moments.ago(row.record.created)

    @admin.display(description=gettext_lazy("mode"))
    def mode_shown(self, row: LiveSession) -> str:
        return _("permanent") if row.record.mode is SessionMode.PERM else _("temporary")

    @admin.display(description=gettext_lazy("device"), empty_value="-")
    def device(self, row: LiveSession) -> SafeString | None:
        _address, agent = last_of(row.record)
        device = device_of(agent)
        return format_html('<span title="{}">{}</span>', device.agent, device.text) if device.agent else None

    @admin.display(description=gettext_lazy("address"), empty_value="-")
    def address(self, row: LiveSession) -> SafeString | str | None:
        address, _agent = last_of(row.record)
        country = country_of(address)
        if country is None:
            return address or None
        name = country.name or country.code
        return format_html('{} <span class="tys-country" title="{}">{}</span>', address, name, country.code)


def _to(request: HttpRequest, query: QueryDict) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"{request.path}?{query.urlencode()}")
