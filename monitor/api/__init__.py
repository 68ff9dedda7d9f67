"""Floor 6: the HTTP API and the page. `create_app(services)` makes it, `serve(app, settings)` runs it.

Importing this costs nothing; FastAPI is loaded when one of the names is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monitor.api.app import create_app
    from monitor.api.server import ListenProblem, listen, serve
    from monitor.api.services import Services
    from monitor.api.settings import ApiSettings

__all__ = ["ApiSettings", "ListenProblem", "Services", "create_app", "listen", "serve"]

_WHERE = {
    "create_app": "app",
    "listen": "server",
    "ListenProblem": "server",
    "serve": "server",
    "Services": "services",
    "ApiSettings": "settings",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"monitor.api.{_WHERE[name]}"), name)
