"""Who may change something over HTTP: on loopback everyone but pages of browsers, elsewhere whoever
has the token; and each such call leaves a line.
"""

from __future__ import annotations

import pathlib
import signal
import stat
import subprocess
import sys

import pytest

from tests.python.admin.conftest import Serve
from tests.python.admin.server import AdminServer, UnixConnection
from tests.python.daemon import Daemon

TOKEN = "0123456789abcdef-token"


@pytest.fixture
def token_file(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return str(path)


def test_off_loopback_changes_need_the_token(daemon: Daemon, serve: Serve, token_file: str) -> None:
    admin = serve("--http-host", "0.0.0.0", "--http-token-file", token_file)
    assert admin.get("/status").status == 200, "reading needs none"
    assert admin.call("POST", "/clear-cache").status == 401
    wrong = {"Authorization": f"Bearer {TOKEN}x"}
    assert admin.call("POST", "/clear-cache", headers=wrong).status == 401
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert admin.call("POST", "/clear-cache", headers=right).status == 200


def test_off_loopback_without_a_token_file_nothing_can_be_changed(
    daemon: Daemon, serve: Serve
) -> None:
    admin = serve("--http-host", "0.0.0.0")
    reply = admin.call("PUT", "/quota/a", {"limit_bytes": 1})
    assert reply.status == 403
    assert "--http-token-file" in reply.json["reason"]


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Host": "rebound.example"}]
)
def test_a_page_of_a_browser_changes_nothing(
    daemon: Daemon, admin: AdminServer, headers: dict[str, str]
) -> None:
    assert admin.call("POST", "/clear-cache", headers=headers).status == 403
    assert admin.call("POST", "/clear-cache", headers={"Origin": admin.url}).status == 200


def test_the_unix_socket_is_its_users_own_and_needs_no_token(daemon: Daemon, serve: Serve) -> None:
    path = daemon.folder / "admin.sock"
    admin = serve("--http-host", "0.0.0.0", "--http-socket", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    reply = admin.call("POST", "/clear-cache", connection=UnixConnection(str(path)))
    assert reply.status == 200
    admin.end(signal.SIGKILL)
    again = serve("--http-socket", str(path))
    assert again.call("GET", "/healthz", connection=UnixConnection(str(path))).status == 200
    assert again.end() == 0
    assert not path.exists()


def test_every_call_that_would_change_something_leaves_a_line(
    daemon: Daemon, admin: AdminServer
) -> None:
    admin.get("/status")
    admin.call("PUT", "/quota/a", {"limit_bytes": 1})
    line = admin.lines.with_text("admin.call")
    assert 'call="put_quota" path="/quota/a" from="127.0.0.1" status="200"' in line
    admin.call("PUT", "/quota/a", {"limit_bytes": -1})
    assert 'status="400" reason="body.limit_bytes is -1' in admin.lines.with_text("admin.call")
    assert "admin.verb verb=QuotaSet" in (daemon.folder / "log").read_text()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("short", "must hold at least 16"), (None, "No such file"), ("ü" * 20, "must hold")],
)
def test_a_token_file_without_a_token_stops_the_start(
    tmp_path: pathlib.Path, text: str | None, reason: str
) -> None:
    path = tmp_path / "token"
    if text is not None:
        path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "lmcd", "admin", "--http-token-file", str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1
