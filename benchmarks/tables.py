"""Tables as text: reStructuredText, which reads well in a terminal too, or Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

Row = Sequence[str]
Write = Callable[[str, Row, Iterable[Row]], str]


def rst(title: str, head: Row, rows: Iterable[Row]) -> str:
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([title, "-" * len(title), "", rule, lines[0], rule, *lines[1:], rule, ""])


def markdown(title: str, head: Row, rows: Iterable[Row]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join([f"### {title}", "", *lines, ""])


FORMATS: dict[str, Write] = {"rst": rst, "markdown": markdown}
