"""What the admin server is told: the options of its section, as the daemon reads them."""

from __future__ import annotations

import ipaddress
import pathlib
from dataclasses import dataclass
from typing import Any

_LEAST_TOKEN = 16


class WrongSetting(ValueError):
    """An option does not make sense here; the text names it."""


@dataclass(frozen=True)
class Settings:
    """Where it listens, and for whom. `token` is the file's, without the white space around it."""

    daemon_socket: str
    http_host: str = "127.0.0.1"
    http_port: int = 8080
    http_socket: str = ""
    prometheus_port: int = 0
    token: str = ""
    metrics: bool = True

    @property
    def loopback(self) -> bool:
        """Whether nobody but this machine reaches the port."""
        return is_loopback(self.http_host)


def is_loopback(host: str) -> bool:
    """Return whether a name or an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def settings_of(config: dict[str, Any]) -> Settings:
    """Take the settings out of what `lmcd-daemon --print-config` prints.

    Raises WrongSetting for a token file that gives no token.
    """
    value = {name: one["value"] for name, one in config.items()}
    return Settings(
        daemon_socket=value["socket"],
        http_host=value["http-host"],
        http_port=value["http-port"],
        http_socket=value["http-socket"],
        prometheus_port=value["prometheus-port"],
        token=_token(value["http-token-file"]),
        metrics=not value["disable-metrics"],
    )


def _token(path: str) -> str:
    if not path:
        return ""
    try:
        token = pathlib.Path(path).read_text().strip()
    except OSError as error:
        raise WrongSetting(f'option "http-token-file": {path}: {error.strerror}') from None
    except UnicodeDecodeError:
        raise WrongSetting(f'option "http-token-file": {path} is no text') from None
    if len(token) < _LEAST_TOKEN or not token.isascii() or not token.isprintable():
        raise WrongSetting(
            f'option "http-token-file": {path} must hold at least {_LEAST_TOKEN} printable '
            "ASCII characters"
        )
    return token
