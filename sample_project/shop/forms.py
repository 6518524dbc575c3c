from __future__ import annotations

from django import forms

from . import money
from .sessions import MOST


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


class EmailForm(forms.Form):
    email = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
