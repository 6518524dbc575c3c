"""The live sessions of a user, on that user's own page in the admin."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.contrib.admin import helpers
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import clock, site
from ..exceptions import StoreUnavailable
from ..live import live_sessions
from . import ending
from .ending import LISTED, Part, Run, end_part, has_own, log_ends, number, tell
from .permissions import Viewer
from .queryset import Source, Wanted

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object

LARGEST: Final = 1000
"""Users whose sessions one action ends."""


class LiveSessionsUserMixin(Base):
    """For the ``ModelAdmin`` of users: ``class UserAdmin(LiveSessionsUserMixin, BaseUserAdmin)``.

    A user's page tells how many live sessions there are, and links to them; the list of users can end all sessions of
    those that are ticked. A class that has ``actions`` of its own names ``"end_live_sessions"`` among them.
    """

    actions: Any = ("end_live_sessions",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        own = self._row_of(request, obj)
        return [*super().get_fieldsets(request, obj), *([(_("Live sessions"), {"fields": (own,)})] if own else [])]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        own = self._row_of(request, obj)
        return [*super().get_readonly_fields(request, obj), *([own] if own else [])]

    @admin.display(description=gettext_lazy("live sessions"))
    def live_sessions_shown(self, user: Any) -> SafeString | str:
        """How many, and where they are."""
        return self._told(user, (_("show"), "changelist"))

    @admin.display(description=gettext_lazy("live sessions"))
    def live_sessions_to_end(self, user: Any) -> SafeString | str:
        """``live_sessions_shown`` for those who may end them."""
        return self._told(user, (_("show"), "changelist"), (_("end all…"), "end_matching"))

    @admin.action(permissions=["end_live_sessions"], description=gettext_lazy("End all sessions of selected users"))
    def end_live_sessions(self, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        users = list(queryset[: LARGEST + 1])
        if len(users) > LARGEST:
            text = _("Those are more than %(count)s users. No session was ended.")
            self.message_user(request, text % {"count": number(LARGEST)}, "ERROR")
            return None
        viewer = Viewer(request, self.admin_site)
        users = [user for user in users if viewer.may_see(user)]
        if request.POST.get("post"):
            self._end(request, users, viewer)
            return None
        return self._ask(request, users)

    def has_end_live_sessions_permission(self, request: HttpRequest) -> bool:
        """Also whether the project's engine can say which sessions a user has."""
        try:
            site.listing_store()
        except (ImproperlyConfigured, site.AskedWrongly):
            return False
        return Viewer(request, self.admin_site).may_end

    def _row_of(self, request: HttpRequest, obj: Any) -> str | None:
        viewer = Viewer(request, self.admin_site)
        if obj is None or not viewer.may_view or not viewer.may_see(obj):
            return None
        return "live_sessions_to_end" if viewer.may_end else "live_sessions_shown"

    def _told(self, user: Any, *links: tuple[str, str]) -> SafeString | str:
        count = _count(user)
        if count is None:
            return _("unknown")
        told = format_html("{}", number(count))
        for words, name in links if count else ():
            if url := self._url(name, user):
                told = format_html('{} · <a href="{}">{}</a>', told, url, words)
        return told

    def _url(self, name: str, user: Any) -> str | None:
        """``None`` if live sessions are not on this site."""
        try:
            url = reverse(f"admin:typed_sessions_livesession_{name}", current_app=self.admin_site.name)
        except NoReverseMatch:
            return None
        return f"{url}?{urlencode({'user': site.key_of_user(user)})}"

    def _ask(self, request: HttpRequest, users: Sequence[Any]) -> HttpResponse:
        counted = [(user, _count(user) or 0) for user in users]
        total = sum(count for _user, count in counted)
        words = ngettext("End %(count)s session?", "End %(count)s sessions?", total)
        hidden = [("action", "end_live_sessions"), ("post", "yes")]
        hidden += [(helpers.ACTION_CHECKBOX_NAME, user.pk) for user in users]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": _("End all sessions of selected users"),
            "question": words % {"count": number(total)} if total else _("There is no session to end."),
            "rows": [("", f"{user.get_username()}: {number(count)}") for user, count in counted[:LISTED]],
            "notes": [_("Your own session goes on, if it is among them.")],
            "hidden": hidden,
            "count": total,
            "back": request.get_full_path(),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "typed_sessions/admin/confirm.html", context)

    def _end(self, request: HttpRequest, users: Sequence[Any], viewer: Viewer) -> None:
        now, until, part = clock.now(), monotonic() + ending.SECONDS, Part()
        each = [frozenset({Source("user", site.key_of_user(user))}) for user in users]
        is_own = has_own(Wanted(sources=(frozenset().union(*each),)), viewer)
        try:
            for sources in each:
                end_part(Run(wanted=Wanted(sources=(sources,)), words="", total=0, began=now), viewer, part, until)
                if not part.is_all:
                    break
        finally:
            log_ends(request, part.rows)
        tell(request, part.ended, is_own=is_own, left=part.left, is_cut=part.is_cut)
        if not part.is_all:
            self.message_user(request, _("There are more: please end them too."), "WARNING")


def _count(user: Any) -> int | None:
    """``None`` if nobody can tell."""
    try:
        return live_sessions.count_for(user)
    except (StoreUnavailable, ImproperlyConfigured, NotImplementedError):
        return None
