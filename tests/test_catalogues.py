"""The German and French words: every string of the package has them, and what is compiled is what was written."""

from __future__ import annotations

import gettext
import re
from functools import cache
from io import BytesIO
from pathlib import Path

import django
import pytest
from babel.messages import Message
from django.utils import translation

from tests import catalogues
from tests.catalogues import PLURALS, String, compiled, header, path_of, read, strings, translations, updated
from typed_sessions.admin.words import REASONS
from typed_sessions.models import LiveSession
from typed_sessions.states import EndReason

LANGUAGES = pytest.mark.parametrize("language", sorted(PLURALS))


@cache
def known(language: str) -> dict[String, Message]:
    return translations(read(language))


def forms(message: Message) -> tuple[str, ...]:
    return message.string if isinstance(message.string, tuple) else (str(message.string),)


def in_words(string: String) -> str:
    return " / ".join(string.forms)


def of_django(language: str) -> list[gettext.GNUTranslations]:
    """Django's own words, a catalogue for each of its apps."""
    files = sorted(Path(django.__file__).parent.rglob(f"locale/{language}/LC_MESSAGES/django.mo"))
    return [gettext.GNUTranslations(BytesIO(file.read_bytes())) for file in files]


# What is there


def test_strings_are_found_in_code_and_templates() -> None:
    """Of each way to mark a string there is one among those that are found."""
    found = strings()
    assert found[String(None, ("Your session has expired.",))] == ["templatetags/typed_sessions.py"]
    assert "templates/typed_sessions/admin/live.html" in found[String(None, ("Refresh",))]
    assert String(None, ("%(count)s session was ended.", "%(count)s sessions were ended.")) in found
    assert 'As of <span data-part="at">%(time)s</span>' in [string.forms[0] for string in found]


@LANGUAGES
def test_every_string_is_translated(language: str) -> None:
    """No string of the package is missing, empty or guessed; `python -m tests.catalogues` says which are new."""
    missing = [in_words(string) for string in strings() if string not in known(language)]
    missing += [in_words(string) for string, message in known(language).items() if catalogues.is_missing(message)]
    assert missing == []
    assert [in_words(string) for string, message in known(language).items() if message.fuzzy] == []


@LANGUAGES
def test_catalogue_is_what_the_tool_writes(language: str) -> None:
    """Nothing is left of strings that are gone, and the head has nothing that changes by itself, such as a date."""
    text = path_of(language).read_text(encoding="utf-8")
    assert text == updated(language)
    assert not re.search(r"^#~|^\"(POT-|PO-|Last-|X-|Generated)|#: /", text, re.M)


@LANGUAGES
def test_compiled_catalogue_is_that_of_the_source(language: str) -> None:
    """Python reads from the .mo what the .po says."""
    assert path_of(language, "mo").read_bytes() == compiled(language)
    with path_of(language, "mo").open("rb") as file:
        found = gettext.GNUTranslations(file)
    assert found.info()["plural-forms"] in header(language)
    for string, message in known(language).items():
        assert _said(found, string) == forms(message)


def _said(catalogue: gettext.GNUTranslations, string: String) -> tuple[str, ...]:
    """In all its forms."""
    context, one, many = string.context, string.forms[0], string.forms[-1]
    if len(string.forms) == 1:
        return (catalogue.gettext(one) if context is None else catalogue.pgettext(context, one),)
    if context is None:
        return tuple(catalogue.ngettext(one, many, number) for number in (1, 2))
    return tuple(catalogue.npgettext(context, one, many, number) for number in (1, 2))


# What it says


@LANGUAGES
def test_placeholders_and_tags_are_kept(language: str) -> None:
    """What code puts into a text, and its markup, is in the translation too, in each of its forms."""
    part = re.compile(r"%\(\w+\)[sd]|\{\w+\}|<[^>]+>")
    differing = []
    for string, message in known(language).items():
        wanted = sorted(part.findall(string.forms[-1]))
        found = {form: sorted(part.findall(form)) for form in forms(message)}
        differing += [form for form in found if found[form] != wanted or "%" in part.sub("", form)]
    assert differing == []


@LANGUAGES
def test_texts_end_as_they_do_in_english(language: str) -> None:
    """A sentence stays one, what opens a page keeps its dots, and a word remains a word."""
    marks = ".…:?"
    differing = []
    for string, message in known(language).items():
        end = string.forms[0][-1]
        for form in forms(message):
            same = form[-1] == end if end in marks else form[-1] not in marks
            if not same or form != form.strip():
                differing.append(form)
    assert differing == []


@LANGUAGES
def test_plurals_have_all_forms(language: str) -> None:
    """As many as the language has."""
    count = int(PLURALS[language].split(";")[0].partition("=")[2])
    several = [message for string, message in known(language).items() if len(string.forms) > 1]
    assert {len(forms(message)) for message in several} == {count}


@LANGUAGES
def test_words_of_django_are_django_s(language: str) -> None:
    """Catalogues of all apps are one to Django: no page of the project says another thing because of ours."""
    theirs, differing = of_django(language), {}
    for string, message in known(language).items():
        told = {_said(catalogue, string)[0] for catalogue in theirs} - {string.forms[0]}
        if told and forms(message)[0] not in told:
            differing[in_words(string)] = told
    assert differing == {}


def test_french_has_its_spaces() -> None:
    """No line begins with a colon or a question mark, or ends with a quotation mark that opens."""
    texts = [form for message in known("fr").values() for form in forms(message)]
    wrong = re.compile(r"[^\W\N{NO-BREAK SPACE}][:;?!»](?!\d)|«[^\N{NO-BREAK SPACE}]| [:;?!»]|'")
    assert [text for text in texts if wrong.search(text)] == []


def test_german_addresses_people_formally() -> None:
    """Sie, and never du."""
    texts = [form for message in known("de").values() for form in forms(message)]
    assert [text for text in texts if re.search(r"\b([Dd]u|[Dd]ein\w*|[Dd]ich|[Dd]ir|sie sind)\b", text)] == []


# What people see


@pytest.mark.parametrize(
    ("language", "plural", "reason", "notice"),
    [
        ("de", "aktive Sitzungen", "abgemeldet", "Ihre Sitzung ist abgelaufen."),
        ("fr", "sessions actives", "déconnexion", "Votre session a expiré."),
        ("en", "live sessions", "signed out", "Your session has expired."),
    ],
)
def test_words_are_those_of_the_language(language: str, plural: str, reason: str, notice: str) -> None:
    """Models, reasons and notices speak the language that is active, whatever was active when they were imported."""
    with translation.override(language):
        assert str(LiveSession._meta.verbose_name_plural) == plural
        assert str(REASONS[EndReason.LOGGED_OUT]) == reason
        assert translation.gettext("Your session has expired.") == notice
