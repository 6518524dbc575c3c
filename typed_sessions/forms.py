"""Forms for signing in: with "remember me", and for the password alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from . import auth, conf

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class RememberMeMixin(forms.Form):
    """Gives an ``AuthenticationForm`` the choice of a lifetime, whichever view uses it."""

    remember = forms.BooleanField(label=_("Remember me"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["remember"].initial = conf.settings().remember_default

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        user = getattr(self, "user_cache", None)
        if user is not None:
            auth.remember_as(user, self.cleaned_data["remember"])
        return cleaned or self.cleaned_data

    def get_invalid_login_error(self) -> ValidationError:
        """Says why, if the credentials are good and ``validate`` of the session vetoed them with a text."""
        reason = auth.told(auth.refusal_of(getattr(self, "request", None)))
        if reason is not None:
            return ValidationError(reason, code="refused")
        error: ValidationError = super().get_invalid_login_error()  # type: ignore[misc]  # of the form it is mixed into
        return error


class SignInForm(RememberMeMixin, AuthenticationForm):
    """User name, password, and "remember me": ``LoginView.as_view(authentication_form=SignInForm)``."""


class ConfirmPasswordForm(forms.Form):
    """Asks the user who is signed in for the password again; ``request`` and ``user`` are given to it."""

    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )

    def __init__(self, *args: Any, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.user = user
        self.confirmed: AbstractBaseUser | None = None
        """The user as the authentication backend knows them, once the password was right."""

    @sensitive_variables("password")
    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        found = authenticate(self.request, username=self.user.get_username(), password=password)
        if found is None and (reason := auth.told(auth.refusal_of(self.request))) is not None:
            raise ValidationError(reason, code="refused")
        if found is None or found.pk != self.user.pk:
            raise ValidationError(_("This is not your password."), code="wrong_password")
        self.confirmed = found
        return password
