"""What axe finds on a page, as far as it keeps people from using it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

# What it loads beforehand is against the policy too.
_OPTIONS = {"resultTypes": ["violations"], "preload": False}
_SEVERE = ("serious", "critical")


# What Django's own pages have as well: links that stand out too little, and a field with no label but a title.
_DJANGOS = (".breadcrumbs", "#changelist-search")


def findings(page: Page, within: str = "#container") -> list[str]:
    """One line for each element with a serious or critical finding."""
    # A colour on its way to another is none that anybody reads. A style element would be against the policy.
    page.evaluate(
        """() => {
            const still = new CSSStyleSheet();
            still.replaceSync("*, ::before, ::after { transition: none !important; animation: none !important }");
            document.adoptedStyleSheets = [still];
        }"""
    )
    context = {"include": [[within]], "exclude": [[selector] for selector in _DJANGOS]}
    # Not there for every type checker, and without types.
    axe = import_module("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page, context=context, options=_OPTIONS)
    severe = [finding for finding in found.response["violations"] if finding["impact"] in _SEVERE]
    return [line for finding in severe for line in _lines(finding)]


def _lines(finding: dict[str, Any]) -> list[str]:
    rule, impact = finding["id"], finding["impact"]
    return [f"{rule} ({impact}): {node['target']}: {node['html'][:200]}: {_why(node)}" for node in finding["nodes"]]


def _why(node: dict[str, Any]) -> str:
    return "; ".join(check["message"] for check in [*node["any"], *node["all"], *node["none"]])
