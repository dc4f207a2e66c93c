"""The Lambda's handler as a module: it is deployed as a file alone and belongs to no package."""

import importlib.util
from types import ModuleType

from ts_migration_tests.embedded_stack import CHECKOUT

HANDLER = CHECKOUT / "infra" / "orchestrator" / "handler.py"


def load_handler() -> ModuleType:
    """A fresh copy of it."""
    spec = importlib.util.spec_from_file_location("orchestrator_handler", HANDLER)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
