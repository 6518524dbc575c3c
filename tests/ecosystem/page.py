"""The settings and modules that docs/ecosystem.rst shows, so that what is driven is what a reader copies."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ecosystem.rst"
_BLOCK = re.compile(r"^\.\. code-block:: py\n\n((?: {4}.*\n|\n)+)", re.MULTILINE)


def files() -> dict[str, str]:
    """The text of each file that the page shows; blocks of one file are put together in order."""
    found: dict[str, str] = {}
    for block in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        first, _, text = textwrap.dedent(block).partition("\n")
        name = first.removeprefix("# ")
        found[name] = found.get(name, "") + text
    return found


SETTINGS = files()["shop/settings.py"]


def install() -> None:
    """Makes the page's modules importable. To be called when the apps are ready."""
    modules = {name.removesuffix(".py").replace("/", "."): text for name, text in files().items()}
    del modules["shop.settings"]
    sys.modules["shop"] = ModuleType("shop")
    for name in sorted(modules, key=lambda name: name == "shop.asgi"):  # which imports another
        module = sys.modules[name] = ModuleType(name)
        exec(compile(modules[name], f"{PAGE.name}:{name}", "exec"), vars(module))
