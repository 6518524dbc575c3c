from __future__ import annotations

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from . import money

MOST = 20
"""Of one thing in one cart."""


class SignInForm(AuthenticationForm):
    remember = forms.BooleanField(required=False, label="Remember me for four weeks")


class QuantityForm(forms.Form):
    quantity = forms.IntegerField(min_value=0, max_value=MOST)


class CurrencyForm(forms.Form):
    currency = forms.ChoiceField(choices=[(code, code) for code in money.RATES])


class GiftNoteForm(forms.Form):
    gift_note = forms.CharField(
        required=False,
        max_length=200,
        label="Gift note",
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "Written by hand on a card"}),
    )
