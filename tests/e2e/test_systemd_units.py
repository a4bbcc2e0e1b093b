"""Proves that systemd takes the units, the user and the directories as they are written, that
the daemon takes the example configuration, and that its sandbox is no wider than it was.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

UNITS = pathlib.Path(__file__).resolve().parents[2] / "systemd"
SERVICES = ("lmcd.service", "lmcd-admin.service")
NAMES = (*SERVICES, "lmcd.socket")
# systemd-analyze's scale: 100 is a service without any restriction.
EXPOSURE_LIMIT = 20

judged_by_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def run(*command: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def installed(tmp_path: pathlib.Path) -> pathlib.Path:
    """The units as installed, with a program that exists in place of the daemon."""
    for name in NAMES:
        text = (UNITS / name).read_text()
        for program in ("lmcd-daemon", "lmcd"):
            text = text.replace(f"ExecStart={program} ", "ExecStart=/bin/true ")
        (tmp_path / name).write_text(text)
    return tmp_path


@judged_by_systemd
def test_systemd_accepts_services_and_socket(installed: pathlib.Path) -> None:
    result = run("systemd-analyze", "verify", *(installed / name for name in NAMES))
    # It speaks of units of the machine, too; only what it says of ours counts.
    ours = [line for line in result.stderr.splitlines() if "lmcd" in line]
    assert not ours, "\n".join(ours)


@judged_by_systemd
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_exposed_no_more_than_the_limit(installed: pathlib.Path, service: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_LIMIT}"]
    result = run(*command, installed / service)
    if "unrecognized option" in result.stderr:
        pytest.skip("this systemd-analyze cannot judge a unit that is not loaded")
    assert result.returncode == 0, result.stdout + result.stderr


def test_sysusers_accepts_the_user() -> None:
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("systemd-sysusers is not installed")
    result = run("systemd-sysusers", "--dry-run", UNITS / "lmcd.sysusers.conf")
    assert result.returncode == 0, result.stderr


def test_the_daemon_accepts_the_example_configuration() -> None:
    daemon = UNITS.parent / "build/release/python/lmcd/_bin/lmcd-daemon"
    result = run(daemon, "--config", UNITS / "lmcd.yaml", "--print-config")
    assert result.returncode == 0, result.stderr
