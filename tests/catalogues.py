"""`python -m tests.catalogues`: has the translations follow the strings of the package.

Strings that are new come into the catalogues, to be translated; those that are gone leave them; and all are compiled.
So call it twice: before the new ones are translated, and afterwards. A string that has changed a little is a new one.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from babel.messages import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

PACKAGE = Path(__file__).resolve().parents[1] / "typed_sessions"
PLURALS = {"de": "nplurals=2; plural=(n != 1);", "fr": "nplurals=2; plural=(n > 1);"}
"""Of each language that is there, in Django's words."""
_KEYWORDS = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "npgettext_lazy": ((1, "c"), 2, 3),
}


class String(NamedTuple):
    """What the package has translated: one form, or singular and plural."""

    context: str | None
    forms: tuple[str, ...]


def strings() -> dict[String, list[str]]:
    """Every string of the package, and the files that it stands in, in their order."""
    found: dict[String, list[str]] = {}
    for file in sorted(PACKAGE.rglob("*")):
        for string in _strings_in(file):
            places = found.setdefault(string, [])
            if (place := file.relative_to(PACKAGE).as_posix()) not in places:
                places.append(place)
    return found


def _strings_in(file: Path) -> Iterator[String]:
    if file.suffix not in (".py", ".html"):
        return
    text = file.read_text(encoding="utf-8")
    source = text if file.suffix == ".py" else templatize(text)
    for _line, forms, _comments, context in extract("python", BytesIO(source.encode()), keywords=_KEYWORDS):
        yield String(context, _forms(forms))


def path_of(language: str, suffix: str = "po") -> Path:
    return PACKAGE / "locale" / language / "LC_MESSAGES" / f"django.{suffix}"


def read(language: str) -> Catalog:
    if not path_of(language).exists():
        return Catalog(locale=language)
    with path_of(language).open("rb") as file:
        return read_po(file, locale=language)


def translations(catalog: Catalog) -> dict[String, Message]:
    """What the catalogue has, by what it is a translation of."""
    return {String(message.context, _forms(message.id)): message for message in catalog if message.id}


def is_missing(message: Message) -> bool:
    return not all(_forms(message.string))


def _forms(text: object) -> tuple[str, ...]:
    return tuple(map(str, text)) if isinstance(text, list | tuple) else (str(text),)


def updated(language: str) -> str:
    """The catalogue of a language as a text, with all strings of the package and no others."""
    known, catalog = translations(read(language)), Catalog(locale=language)
    for string, places in strings().items():
        last = known.get(string)
        catalog.add(
            "".join(string.forms) if len(string.forms) == 1 else string.forms,
            last.string if last else None,
            locations=[(place, 0) for place in places],
            user_comments=last.user_comments if last else (),
            context=string.context,
        )
    file = BytesIO()
    write_po(file, catalog, width=118, omit_header=True, include_lineno=False)
    head = "".join(f'"{line}\\n"\n' for line in header(language).splitlines())
    return f'msgid ""\nmsgstr ""\n{head}\n{file.getvalue().decode()}'


def header(language: str) -> str:
    """What a catalogue says of itself: nothing that changes by itself, such as a date."""
    return (
        f"Language: {language}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
        f"Content-Transfer-Encoding: 8bit\nPlural-Forms: {PLURALS[language]}\n"
    )


def compiled(language: str) -> bytes:
    """The catalogue as Python's gettext reads it."""
    texts = {b"": header(language).encode()}
    for string, message in translations(read(language)).items():
        if is_missing(message):
            continue
        context = f"{string.context}\4" if string.context else ""
        texts[f"{context}{chr(0).join(string.forms)}".encode()] = "\0".join(_forms(message.string)).encode()
    parts = sorted(texts.items())
    table = 28 + 16 * len(parts)  # after 7 numbers, and two tables with length and place of each text
    places: list[int] = []
    body = b""
    for each in (0, 1):
        for pair in parts:
            places += (len(pair[each]), table + len(body))
            body += pair[each] + b"\0"
    head = (0x950412DE, 0, len(parts), 28, 28 + 8 * len(parts), 0, 0)
    return struct.pack(f"<{len(head) + len(places)}I", *head, *places) + body


def main() -> int:
    untranslated = 0
    for language in PLURALS:
        path_of(language).parent.mkdir(parents=True, exist_ok=True)
        path_of(language).write_text(updated(language), encoding="utf-8")
        path_of(language, "mo").write_bytes(compiled(language))
        missing = [string for string, message in translations(read(language)).items() if is_missing(message)]
        untranslated += len(missing)
        sys.stdout.write("".join(f"{language}: {' / '.join(string.forms)}\n" for string in missing))
    return min(untranslated, 1)


if __name__ == "__main__":
    sys.exit(main())
