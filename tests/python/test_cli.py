"""The commands: tables for people and the same facts for programs, one line for an error, and
the exit status that is documented.
"""

from __future__ import annotations

import json
import pathlib
import threading
from typing import Any

import click
import pytest

import lmcd
from lmcd import _ffi
from lmcd.cli import main
from lmcd.cli.sizes import size
from tests.python.daemon import Daemon, fresh_keys, store


class Commands:
    """Runs commands against one daemon."""

    def __init__(self, socket: str, capture: pytest.CaptureFixture[str]) -> None:
        self._socket = socket
        self._capture = capture

    def text(self, *arguments: str, status: int = 0, complaint: bool | None = None) -> str:
        """Return what a command prints, or its complaint, which a status of 2 or more has."""
        complains = status > 1 if complaint is None else complaint
        assert main([*arguments, "--socket", self._socket]) == status
        out, err = self._capture.readouterr()
        assert (err != "") == complains, err
        return err if complains else out

    def facts(self, *arguments: str, status: int = 0) -> Any:
        return json.loads(self.text(*arguments, "--json", status=status))


@pytest.fixture
def run(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(daemon.socket, capsys)


@pytest.fixture
def keys(space: lmcd.Namespace) -> lmcd.Keys:
    keys = fresh_keys(3)
    store(space, keys, length=4096)
    return keys


def test_status_shows_what_is_there(run: Commands, keys: lmcd.Keys) -> None:
    stats = run.facts("status")
    assert stats["metrics"]["objects"] == 3
    text = run.text("status")
    for part in ("3, 0 leased, 0 pinned, policy ARC", "64.0 MiB", "test", "_default"):
        assert part in text


def test_ls_shows_objects(run: Commands, keys: lmcd.Keys) -> None:
    facts = run.facts("ls")
    assert {one["key"] for one in facts["objects"]} == set(keys.hex())
    assert facts["more"] is False
    assert run.facts("ls", "--limit", "2")["more"] is True
    assert keys[1].hex()[:16] in run.text("ls", keys[1].hex()[:16])


def test_ls_says_that_there_is_no_such_name(run: Commands, keys: lmcd.Keys) -> None:
    for arguments, text in (
        (("--namespace", "77"), "no namespace has the number 77"),
        (("--tenant", "nobody"), "no tenant 'nobody' has objects or a quota"),
    ):
        assert text in run.text("ls", *arguments, status=1, complaint=True)
    # One that is known, and empty, is no mistake.
    run.text("quota", "set", "empty", "1MB")
    assert run.facts("ls", "--tenant", "empty")["objects"] == []
    run.text("clear", "--all")
    assert run.facts("ls", "--namespace", "0")["objects"] == []


def test_one_thing_is_no_plural(run: Commands, keys: lmcd.Keys) -> None:
    assert "1 sessions" not in run.text("status")
    assert run.text("clear", keys[0].hex()) == "cleared 1 object, 4.0 KiB\n"
    assert run.text("clear", "--all") == "cleared 2 objects, 8.0 KiB\n"


def test_lookup_tells_what_is_absent(run: Commands, keys: lmcd.Keys) -> None:
    absent = fresh_keys(1)[0].hex()
    assert run.facts("lookup", keys[0].hex())["absent"] == []
    assert run.facts("lookup", keys[0].hex(), absent, status=1)["absent"] == [absent]
    assert f"absent: {absent}" in run.text("lookup", absent, status=1)


def test_pins_survive_a_clear(run: Commands, keys: lmcd.Keys) -> None:
    assert run.facts("pin", keys[0].hex()) == {"changed": 1}
    assert "pinned" in run.text("ls", keys[0].hex())
    assert run.facts("clear", "--all") == {"objects": 2, "bytes": 8192, "kept": 1}
    assert run.text("unpin") == "unpinned 1 object\n"
    assert run.text("clear", "--namespace", "0") == "cleared 1 object, 4.0 KiB\n"


def test_a_quota_is_set_shown_and_removed(run: Commands) -> None:
    assert run.text("quota", "set", "tenant", "10MB") == "quota of tenant: 9.5 MiB\n"
    assert run.text("quota", "set", "tenant", "1.5MiB") == "quota of tenant: 1.5 MiB\n"
    assert run.facts("quota", "get", "tenant") == [
        {"tenant": "tenant", "limit_bytes": 3 << 19, "used_bytes": 0}
    ]
    assert "1.5 MiB" in run.text("quota", "list")
    assert run.facts("quota", "set", "_default", "7") == {"tenant": "", "limit_bytes": 7}
    run.text("quota", "delete", "tenant")
    assert 'no quota for tenant "tenant"' in run.text(
        "quota", "delete", "tenant", status=1, complaint=True
    )
    assert "'lots' is no size" in run.text("quota", "set", "tenant", "lots", status=2)
    assert "MiB" in run.text("quota", "set", "--help")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("7", 7),
        ("7B", 7),
        ("1 kB", 1000),
        ("1KiB", 1024),
        ("10mb", 10_000_000),
        ("10 MiB", 10 << 20),
        ("1.5GB", 1_500_000_000),
        ("1.5gib", 3 << 29),
        ("2T", 2 * 10**12),
        ("2Ti", 2 << 40),
    ],
)
def test_a_size_means_what_its_unit_says(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "MB", "1 MBB", "1iB", "-1", "1e3", "0x10", "8388608TiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        size(text)


def test_nothing_is_cleared_by_a_verb_alone(run: Commands, keys: lmcd.Keys) -> None:
    assert "--all" in run.text("clear", status=2)
    assert "--all" in run.text("clear", "--all", "--tenant", "somebody", status=2)
    assert len(run.facts("ls")["objects"]) == 3


def test_an_extension_of_an_earlier_build_says_how_to_mend_it(
    run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        _ffi.lib.lmcd_of_a_later_build  # noqa: B018

    monkeypatch.setattr(lmcd.Session, "ping", missing)
    text = run.text("ping", status=1, complaint=True)
    assert text.count("\n") == 1
    assert "lmcd_of_a_later_build" in text
    assert "rebuild it: make build" in text


def test_ping_and_config_and_events(run: Commands, daemon: Daemon, space: lmcd.Namespace) -> None:
    assert run.facts("ping")["daemon_pid"] == daemon.pid
    assert f"pid {daemon.pid} answers" in run.text("ping", "--count", "1")
    assert run.facts("config")["l1-size-gb"]["value"] == 0.0625
    assert "0.0625" in run.text("config")


def test_bench_measures(run: Commands) -> None:
    figures = run.facts("bench", "--rounds", "10")
    assert {one["unit"] for one in figures} == {"us", "GB/s"}
    assert all(one["median"] > 0 for one in figures)


def test_doctor_checks_this_machine(run: Commands) -> None:
    findings = {one["subject"]: one for one in run.facts("doctor")}
    assert findings["daemon"]["state"] == "good"
    assert lmcd.__version__ in findings["versions"]["text"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["lookup"], "takes at least one key"),
        (["pin"], "takes keys, a namespace or a tenant"),
        (["ls", "xyz"], "8 to 64 hexadecimal digits"),
        (["ls", "00112233"], "0 objects begin with it"),
        (["ls", "--limit", "0"], "0 is not in the range"),
        (["ping", "--wait-seconds", "nan"], "is no number from 0 to 3600"),
        (["nonsense"], "No such command"),
    ],
)
def test_wrong_usage_is_one_line(run: Commands, arguments: list[str], text: str) -> None:
    error = run.text(*arguments, status=2)
    assert text in error
    assert error.startswith("lmcd: ")
    assert len(error.splitlines()) == 1


def test_without_a_daemon_the_status_is_3(
    stopped_daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("status", "ls", "ping", "config"):
        assert main([command, "--socket", stopped_daemon.socket]) == 3
        error = capsys.readouterr().err
        assert "lmcd serve" in error
        assert len(error.splitlines()) == 1


def test_a_plain_file_is_no_socket(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert main(["ping", "--socket", str(path)]) == 1
    assert f"connect to {path}: it is no socket" in capsys.readouterr().err


def test_who_is_no_operator_is_denied(
    stopped_daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    stopped_daemon.start("--admin-uids", "4294967294")
    assert main(["status", "--socket", stopped_daemon.socket]) == 4
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(["ping", "--socket", stopped_daemon.socket]) == 0


def test_version_and_help_need_no_daemon(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{lmcd.__version__}\n"
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in ("serve", "status", "quota", "doctor", "demo"):
        assert command in shown
    for command in ("status", "ls", "pin", "quota", "events", "bench", "demo"):
        assert main([command, "--help"]) == 0


def test_ping_waits_for_a_daemon_that_starts(
    stopped_daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["ping", "--socket", stopped_daemon.socket, "--wait-seconds"]
    assert main([*arguments, "0.1"]) == 3
    assert "is `lmcd serve` running?" in capsys.readouterr().err
    starting = threading.Thread(target=stopped_daemon.start)
    starting.start()
    assert main([*arguments, "30"]) == 0
    starting.join()
