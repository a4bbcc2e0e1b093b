"""What a user may say in `kv_connector_extra_config`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

_PREFIX = "lmcd."
_MODES = ("auto", "engine_driven", "daemon_driven")
_SWITCH = ("auto", "on", "off")

# Spellings of another cache's connector: their names here, and what one of their units is.
_FOREIGN = {
    "lmcache.mp.mq_timeout": ("timeout_ms", 1000),
    "lmcache.mp.heartbeat_interval": ("heartbeat_interval_ms", 1000),
}
# Known there, without a meaning here: a Unix socket has no host and port.
_IGNORED = ("lmcache.mp.host", "lmcache.mp.port")


@dataclass(frozen=True)
class Options:
    """The connector's options. **Units**: milliseconds, threads and tokens, as the names say."""

    socket: str | None = None
    transfer_mode: str = "auto"
    timeout_ms: int = 5000
    heartbeat_interval_ms: int = 1000
    prefetch_timeout_ms: int = 2000
    copy_threads: int = 2
    save_decode_cache: bool = False
    kv_shm: str = "auto"
    chunk_size: int = 0  # 0: the daemon's

    @classmethod
    def of(cls, extra_config: Mapping[str, Any]) -> Options:
        """Read the options; raises ValueError that names the key and what would be valid."""
        names = {field.name: field.type for field in fields(cls)}
        given: dict[str, Any] = {}
        for key, value in extra_config.items():
            if key in _FOREIGN:
                name, unit = _FOREIGN[key]
                given.setdefault(name, round(_number(key, value) * unit))
            elif key.startswith(_PREFIX):
                name = key.removeprefix(_PREFIX)
                if name not in names:
                    known = ", ".join(_PREFIX + name for name in names)
                    raise ValueError(f"{key}: not an option; known are {known}")
                given[name] = _parsed(key, value, str(names[name]))
            elif key.startswith("lmcache.mp.") and key not in _IGNORED:
                raise ValueError(f"{key}: not an option that lmcd takes over")
        options = cls(**given)
        options._check()
        return options

    def _check(self) -> None:
        _check_choice("transfer_mode", self.transfer_mode, _MODES)
        _check_choice("kv_shm", self.kv_shm, _SWITCH)
        _check_range("timeout_ms", self.timeout_ms, 1, 600_000)
        _check_range("heartbeat_interval_ms", self.heartbeat_interval_ms, 10, 600_000)
        _check_range("prefetch_timeout_ms", self.prefetch_timeout_ms, 0, 600_000)
        _check_range("copy_threads", self.copy_threads, 1, 64)
        _check_range("chunk_size", self.chunk_size, 0, 65_536)


def _parsed(key: str, value: Any, kind: str) -> Any:
    if kind == "int":
        return round(_number(key, value))
    if kind == "bool":
        if isinstance(value, bool):
            return value
        if str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
        raise ValueError(f"{key} is {value!r}: must be true or false")
    if not isinstance(value, str):
        raise ValueError(f"{key} is {value!r}: must be a string")
    return value


def _number(key: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{key} is {value!r}: must be a number") from None


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{_PREFIX}{name} is {value!r}: must be one of {', '.join(choices)}")


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{_PREFIX}{name} is {value}: must be {low} to {high}")
