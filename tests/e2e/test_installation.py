"""Proves that an installed lmcd can be built against: by pkg-config and by CMake, wherever the
installation was moved to, by a program that is then run.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import zipfile
from collections.abc import Iterator, Mapping

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"
PYTHON = ROOT / ".venv" / "bin" / "python"
PROGRAM = """
#include <lmcd.h>
#include <lmcd_admin.h>
#include <stdio.h>
int main(void) { return puts(lmcd_version()) < 0; }
"""
PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(consumer C)
find_package(lmcd REQUIRED)
add_executable(consumer main.c)
target_link_libraries(consumer PRIVATE lmcd::lmcd)
"""


def run(
    *command: str | pathlib.Path,
    cwd: pathlib.Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a command that must succeed and return what it printed."""
    result = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result.stdout.strip()


def project_version() -> str:
    found = re.search(r"project\(lmcd VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text())
    assert found
    return found[1]


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An installation that was moved after it was made."""
    first = tmp_path_factory.mktemp("installed")
    run("cmake", "--install", BUILD, "--prefix", first / "prefix")
    return pathlib.Path(shutil.move(first / "prefix", first / "moved"))


def build_by_cmake(folder: pathlib.Path, prefix: str | pathlib.Path) -> None:
    (folder / "main.c").write_text(PROGRAM)
    (folder / "CMakeLists.txt").write_text(PROJECT)
    run("cmake", "-G", "Ninja", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}", cwd=folder)
    run("cmake", "--build", "build", cwd=folder)


def library_folder(prefix: pathlib.Path) -> pathlib.Path:
    return next(prefix.rglob("liblmcd.so.0")).parent


def test_a_program_builds_with_pkg_config(prefix: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "main.c").write_text(PROGRAM)
    library = library_folder(prefix)
    found = {"PKG_CONFIG_PATH": str(library / "pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", "lmcd", env=found).split()
    run("cc", "-std=c99", "main.c", "-o", "consumer", *flags, cwd=tmp_path)
    printed = run(tmp_path / "consumer", env={"LD_LIBRARY_PATH": str(library)})
    assert printed == run("pkg-config", "--modversion", "lmcd", env=found) == project_version()


def test_a_program_builds_with_cmake(prefix: pathlib.Path, tmp_path: pathlib.Path) -> None:
    build_by_cmake(tmp_path, prefix)
    assert run(tmp_path / "build" / "consumer") == project_version()


def test_the_daemon_is_installed(prefix: pathlib.Path) -> None:
    assert os.access(prefix / "bin" / "lmcd-daemon", os.X_OK)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The wheel, built from a copy as from an archive: nothing of the build tree may be needed."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "lmcd"
    left = shutil.ignore_patterns("build", ".venv*", ".git", ".*_cache")
    shutil.copytree(ROOT, source, ignore=left)
    run(PYTHON, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, source)
    (made,) = folder.glob("lmcd-*.whl")
    return made


@pytest.fixture(scope="module")
def site(wheel: pathlib.Path) -> pathlib.Path:
    """The wheel installed; the dependencies are those of .venv."""
    site = wheel.parent / "site"
    run(PYTHON, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel)
    return site


@pytest.mark.slow
def test_one_wheel_holds_daemon_library_headers_and_bindings(wheel: pathlib.Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "lmcd/__init__.py",
        "lmcd/cli/__init__.py",
        "lmcd/_bin/lmcd-daemon",
        "lmcd/_lib/liblmcd.so.0",
        "lmcd/include/lmcd.h",
        "lmcd/share/pkgconfig/lmcd.pc",
        "lmcd/share/cmake/lmcd/lmcdConfig.cmake",
        "lmcd/demo/docs/ARCHITECTURE.md",
    ):
        assert needed in names
    assert any(re.fullmatch(r"lmcd/_native\..*\.so", name) for name in names)
    assert sum(name.startswith("lmcd/_lib/") for name in names) == 1


@pytest.mark.slow
def test_what_the_wheel_installs_works_alone(site: pathlib.Path, tmp_path: pathlib.Path) -> None:
    alone = {"PYTHONPATH": str(site)}
    assert "serve" in run(site / "bin" / "lmcd", "--help", cwd=tmp_path, env=alone)
    where = run(PYTHON, "-c", "import lmcd; print(lmcd.__file__)", cwd=tmp_path, env=alone)
    assert where.startswith(str(site))
    told = run(site / "bin" / "lmcd", "demo", "--json", cwd=tmp_path, env=alone)
    assert json.loads(told.splitlines()[-1])["ok"]


@pytest.mark.slow
def test_a_program_builds_against_the_wheel(site: pathlib.Path, tmp_path: pathlib.Path) -> None:
    prefix = run(site / "bin" / "lmcd", "--prefix", env={"PYTHONPATH": str(site)})
    assert prefix == str(site / "lmcd")
    found = {"PKG_CONFIG_PATH": f"{prefix}/share/pkgconfig"}
    flags = run("pkg-config", "--cflags", "--libs", "lmcd", env=found).split()
    run("cc", "-std=c99", ROOT / "examples" / "hello.c", "-o", tmp_path / "hello", *flags)
    build_by_cmake(tmp_path, prefix)
    assert run(tmp_path / "build" / "consumer") == project_version()
    with installed_daemon(site, tmp_path) as socket:
        assert "read back" in run(tmp_path / "hello", socket)


@contextlib.contextmanager
def installed_daemon(site: pathlib.Path, folder: pathlib.Path) -> Iterator[str]:
    """Run the wheel's daemon; yields its socket once somebody listens there."""
    place = str(folder / "s")
    daemon = subprocess.Popen(
        [
            *(site / "lmcd" / "_bin" / "lmcd-daemon", "--socket", place),
            *("--state-dir", folder / "state", "--l1-size-gb", "0.0625"),
            *("--l1-backing", "memfd"),
        ]
    )
    try:
        with socket.socket(socket.AF_UNIX) as client:
            while client.connect_ex(place) != 0:
                assert daemon.poll() is None, "the daemon ended"
        yield place
    finally:
        daemon.terminate()
        assert daemon.wait(timeout=60) == 0
