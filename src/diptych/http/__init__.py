"""The gateway: a bounded context over HTTP, as an ASGI app that runs by itself or mounted in another.

It needs the extra `http`.
"""

try:
    from diptych.http.gateway import Gateway
except ModuleNotFoundError as missing:
    raise ImportError(f'{missing}. The gateway comes with: pip install "diptych[http]"') from missing

from diptych.http.logs import configure_logging
from diptych.http.role import Role
from diptych.http.settings import GatewaySettings, ServerSettings

__all__ = ["Gateway", "GatewaySettings", "Role", "ServerSettings", "configure_logging"]
