"""Values as HTML: lists, tables and texts, each of them up to some size, and all of it escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..shown import HIDDEN

ITEMS: Final = 100
"""Items of one list or dict."""
LENGTH: Final = 2000
"""Characters of one text."""
LEVELS: Final = 8
PARTS: Final = 2000
"""Values inside of lists and dicts, all together; then the size of a list or dict is all that is told."""
CHARACTERS: Final = 100_000
"""Of all texts together; then a text is cut after ``_BEGINNING``."""
_BEGINNING: Final = 100
_COLUMNS: Final = 8
_LONGEST_NAME: Final = 100
_TABLE: Final = (
    '<div class="tys-scroll"><table class="tys-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>{}'
)


class Values:
    """Writes values of ``shown.plain``. One is for a whole page, or for a part of it that must not take the place of
    the others: what is left to show is counted over all values.
    """

    def __init__(self) -> None:
        self._left = PARTS
        self._characters = CHARACTERS

    def html(self, value: Any, level: int = 0) -> SafeString:
        self._left -= 1
        if value is HIDDEN:
            return format_html('<span class="tys-hidden">{}</span>', _("hidden"))
        if isinstance(value, str):
            return self._text(value)
        if not isinstance(value, list | dict):
            return format_html('<code class="tys-plain">{}</code>', str(value))
        if not value:
            return format_html('<span class="tys-none">{}</span>', _("empty"))
        if level >= LEVELS or self._left <= 0:
            return more(len(value))
        if isinstance(value, dict):
            return self._dict(value, level)
        columns = _columns(value)
        return self._table(columns, value, level) if columns else self._list(value, level)

    def _list(self, items: Sequence[Any], level: int) -> SafeString:
        count = self._count(items)
        lines = format_html_join("", "<li>{}</li>", ((self.html(item, level + 1),) for item in items[:count]))
        return format_html('<ol class="tys-list">{}</ol>{}', lines, more(len(items) - count))

    def _dict(self, pairs: dict[str, Any], level: int) -> SafeString:
        count = self._count(pairs)
        shown = [*pairs.items()][:count]
        lines = format_html_join(
            "", "<div><dt>{}</dt><dd>{}</dd></div>", ((_cut(key), self.html(value, level + 1)) for key, value in shown)
        )
        return format_html('<dl class="tys-dict">{}</dl>{}', lines, more(len(pairs) - count))

    def _table(self, columns: Sequence[str], rows: Sequence[dict[str, Any]], level: int) -> SafeString:
        count = min(self._count(rows), max(1, self._left // len(columns)))
        head = format_html_join("", '<th scope="col">{}</th>', ((_cut(name),) for name in columns))
        cells = ([self.html(row[name], level + 2) for name in columns] for row in rows[:count])
        lines = ((format_html_join("", "<td>{}</td>", ((cell,) for cell in row)),) for row in cells)
        body = format_html_join("", "<tr>{}</tr>", lines)
        return format_html(_TABLE, head, body, more(len(rows) - count))

    def _text(self, value: str) -> SafeString:
        if not value:
            return format_html('<span class="tys-none">{}</span>', _("empty"))
        length = min(LENGTH, max(_BEGINNING, self._characters))
        self._characters -= len(value[:length])
        return format_html('<span class="tys-text">{}</span>{}', value[:length], more(len(value) - length))

    def _count(self, items: Sequence[Any] | dict[str, Any]) -> int:
        return min(len(items), ITEMS, max(1, self._left))


def _columns(items: Sequence[Any]) -> list[str]:
    """The keys of a list of small dicts that are alike, such as dataclasses of one kind."""
    first = items[0]
    if not isinstance(first, dict) or not 0 < len(first) <= _COLUMNS:
        return []
    alike = all(isinstance(item, dict) and item.keys() == first.keys() for item in items)
    flat = alike and not any(isinstance(value, list | dict) and value for item in items for value in item.values())
    return [*first] if flat else []


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def more(count: int) -> SafeString:
    """What is not shown of a value."""
    if count <= 0:
        return SafeString()
    words = ngettext("… %(count)s more", "… %(count)s more", count)
    return format_html('<span class="tys-more">{}</span>', words % {"count": number_format(count, force_grouping=True)})
