from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest

MakeModule = Callable[..., str]


@pytest.fixture
def make_module(monkeypatch: pytest.MonkeyPatch) -> MakeModule:
    """`make_module(name, **content)`: a module of a project, to be imported by its name until the test is over."""

    def make(name: str, **content: object) -> str:
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
        return name

    return make
