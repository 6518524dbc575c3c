"""A page that asks the user who is signed in for the password again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import RedirectURLMixin
from django.http import HttpResponse
from django.shortcuts import resolve_url
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView

from .auth import login
from .forms import ConfirmPasswordForm
from .session import engine_of
from .states import SessionMode

if TYPE_CHECKING:
    _FormView = FormView[ConfirmPasswordForm]
else:
    _FormView = FormView  # Django's own cannot be subscripted


@method_decorator([sensitive_post_parameters(), csrf_protect, never_cache], name="dispatch")
class ConfirmPasswordView(LoginRequiredMixin, RedirectURLMixin, _FormView):
    """For ``recent_auth_required``. A right password is a new sign-in, of the same kind and with all that belongs to
    one; after a wrong one everything is as it was. Goes on to ``next``, or to ``LOGIN_REDIRECT_URL``.
    """

    form_class = ConfirmPasswordForm
    template_name = "typed_sessions/confirm_password.html"

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request, "user": self.request.user}

    def form_valid(self, form: ConfirmPasswordForm) -> HttpResponse:
        assert form.confirmed is not None
        login(self.request, form.confirmed, remember=engine_of(self.request).mode is SessionMode.PERM)
        return super().form_valid(form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        here = {self.redirect_field_name: self.get_redirect_url()}
        return super().get_context_data(**here, **kwargs)

    def get_default_redirect_url(self) -> str:
        return resolve_url(self.next_page or settings.LOGIN_REDIRECT_URL)
