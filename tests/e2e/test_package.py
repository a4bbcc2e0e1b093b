"""Proves that CPack makes a Debian package that dpkg installs, that has what it should and nothing
of the tests, and that dpkg removes without a trace. Into a folder: scripts that speak to systemd
know that by DPKG_ROOT and keep quiet.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"
EXPECTED = {
    *("usr/bin/lmcd-daemon", "usr/include/lmcd.h", "etc/lmcd/lmcd.yaml"),
    *("usr/lib/systemd/system/lmcd.service", "usr/lib/systemd/system/lmcd.socket"),
    *("usr/lib/systemd/system/lmcd-admin.service", "usr/lib/sysusers.d/lmcd.conf"),
    *("usr/lib/tmpfiles.d/lmcd.conf", "usr/share/doc/lmcd/copyright"),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("cpack") is None or shutil.which("dpkg") is None,
        reason="cpack and dpkg are not installed",
    ),
]


def run(*command: str | pathlib.Path, cwd: pathlib.Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("package")
    config = BUILD / "CPackConfig.cmake"
    run("cpack", "-G", "DEB", "--config", config, "-B", folder, cwd=folder)
    (made,) = folder.glob("*.deb")
    return made


def files_under(root: pathlib.Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def test_it_installs_and_removes_cleanly(package: pathlib.Path, tmp_path: pathlib.Path) -> None:
    target = tmp_path / "root"
    (target / "var/lib/dpkg/updates").mkdir(parents=True)
    (target / "var/lib/dpkg/info").mkdir()
    (target / "var/lib/dpkg/status").touch()
    forced = (f"--force-{what}" for what in ("script-chrootless", "depends", "not-root"))
    dpkg = ("dpkg", f"--root={target}", *forced)
    run(*dpkg, "--install", package)
    installed = {name for name in files_under(target) if not name.startswith("var/lib/dpkg")}
    assert installed >= EXPECTED, sorted(EXPECTED - installed)
    assert any(name.startswith("usr/lib/") and "liblmcd.so" in name for name in installed)
    assert not [name for name in installed if "test" in name or "bench" in name]
    daemon = target / "usr/bin/lmcd-daemon"
    config = target / "etc/lmcd/lmcd.yaml"
    run(daemon, "--config", config, "--print-config")
    run(*dpkg, "--remove", "lmcd")
    assert config.exists(), "the administrator's until a purge"
    run(*dpkg, "--purge", "lmcd")
    left = {name for name in files_under(target) if not name.startswith("var/lib/dpkg")}
    assert left <= {"var/log/dpkg.log"}, left


def test_it_names_what_it_needs(package: pathlib.Path) -> None:
    about = run("dpkg-deb", "--info", package)
    assert "Package: lmcd" in about
    assert "libc6" in about
    assert "systemd" in about
    assert "/etc/lmcd/lmcd.yaml" in run("dpkg-deb", "--info", package, "conffiles")


def test_its_scripts_are_sound() -> None:
    for script in sorted((ROOT / "deploy" / "debian").iterdir()):
        run("sh", "-n", script)
