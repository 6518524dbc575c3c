"""What became of the visitor's session, for templates: one page says it without creating anything."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from django import template
from django.core.exceptions import SynchronousOnlyOperation
from django.template import Context
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..exceptions import MissingSession, SessionDisabled, StoreUnavailable
from ..required import PARAMETER
from ..session import engine_of
from ..states import EndReason, SessionStatus

register = template.Library()

_OF_STATUS: Final[dict[SessionStatus, Promise]] = {
    SessionStatus.EXPIRED: _("Your session has expired."),
    SessionStatus.ENDED: _("Your session has ended."),
    SessionStatus.LOST: _("Your session could not be found any more."),
    SessionStatus.UNAVAILABLE: _("Your session cannot be reached at the moment. Please try again later."),
}
"""For what nothing more is known of. Who comes for the first time, and whose session is live, is told nothing."""

_OF_REASON: Final[dict[EndReason, Promise]] = {
    EndReason.LOGGED_OUT: _("Your session has ended because you signed out."),
    EndReason.EXPIRED_IDLE: _("Your session has expired because it was not used for some time."),
    EndReason.EXPIRED_ABSOLUTE: _("Your session has expired because you signed in a long time ago."),
    EndReason.ENDED_BY_USER: _("Your session has been ended from another of your devices."),
    EndReason.ENDED_BY_STAFF: _("Your session has been ended by our staff."),
    EndReason.OVER_LIMIT: _("Your session has ended because you signed in on too many devices."),
    EndReason.PASSWORD_CHANGED: _("Your session has ended because your password was changed."),
    EndReason.USER_INACTIVE: _("Your session has ended because your account is not active any more."),
    EndReason.ROTATED: _("Your session has ended because it was replaced by a newer one."),
    EndReason.UNDECODABLE: _("Your session has ended because it could not be read any more."),
}

_PAST: Final = {status.value: status for status in (SessionStatus.EXPIRED, SessionStatus.ENDED, SessionStatus.LOST)}
"""What became of a session that was. ``session_required`` may have put one of these words into the address."""


@register.simple_tag(takes_context=True)
def session_status(context: Context) -> str:
    """What became of the session that the request asked for, as text: ``fresh``, ``live``, ``expired``, ``ended``,
    ``lost``, ``rejected`` or ``unavailable``.
    """
    return _known(_engine_in(context))[0].value


@register.simple_tag(takes_context=True)
def session_reason(context: Context) -> str:
    """Why that session has ended, as text, such as ``ended_by_staff``; empty if it has not, or if it is not known."""
    reason = _known(_engine_in(context))[1]
    return reason.value if reason else ""


@register.inclusion_tag("typed_sessions/notice.html", takes_context=True)
def session_notice(context: Context) -> dict[str, Any]:
    """One sentence about a session that the visitor had, and nothing about one that is live, or never was. It is said
    once: the cookie of that session goes with the page.
    """
    engine = _engine_in(context)
    status, reason = _known(engine)
    if status in _PAST.values():
        if engine.stale_mode is None:  # the browser has the next token already, or is about to
            return {"notice": None, "status": status.value, "reason": ""}
        engine.is_told = True
    if status is SessionStatus.FRESH:
        # The cookie went with the redirect. The address is anybody's to write: no word of it gets into the page.
        status = _PAST.get(_request_in(context).GET.get(PARAMETER, ""), status)
    notice = _OF_STATUS.get(status) if reason is None else _OF_REASON[reason]
    return {"notice": notice, "status": status.value, "reason": reason.value if reason else ""}


def _known(engine: Any) -> tuple[SessionStatus, EndReason | None]:
    if engine.facts.status is not SessionStatus.UNAVAILABLE:  # nobody waits for the store twice
        # A page that only tells of it does not have to fail; async code loads the session before it renders.
        with suppress(StoreUnavailable, SessionDisabled, SynchronousOnlyOperation):
            _loaded = engine.typed_session
    return engine.facts.status, engine.facts.end_reason


def _engine_in(context: Context) -> Any:
    return engine_of(_request_in(context))


def _request_in(context: Context) -> Any:
    request = getattr(context, "request", None) or context.get("request")
    if request is None:
        raise MissingSession(
            "This template has no request to ask for its session. Render it with one: render(request, ...), or "
            "TemplateResponse(request, ...)."
        )
    return request
