"""Proves that an installed lmcd can be built against: by pkg-config and by CMake, wherever the
installation was moved to, by a program that is then run.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"
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
    (tmp_path / "main.c").write_text(PROGRAM)
    (tmp_path / "CMakeLists.txt").write_text(PROJECT)
    run("cmake", "-G", "Ninja", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}", cwd=tmp_path)
    run("cmake", "--build", "build", cwd=tmp_path)
    assert run(tmp_path / "build" / "consumer") == project_version()


def test_the_daemon_is_installed(prefix: pathlib.Path) -> None:
    assert os.access(prefix / "bin" / "lmcd-daemon", os.X_OK)


@pytest.mark.slow
def test_one_wheel_holds_daemon_library_headers_and_bindings(tmp_path: pathlib.Path) -> None:
    # Built from a copy, as from an archive: nothing of the build tree may be needed.
    source = tmp_path / "lmcd"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns("build", ".venv", ".git"))
    python = ROOT / ".venv" / "bin" / "python"
    run(python, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", tmp_path, source)
    (wheel,) = tmp_path.glob("lmcd-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "lmcd/__init__.py",
        "lmcd/cli/__init__.py",
        "lmcd/_bin/lmcd-daemon",
        "lmcd/_lib/liblmcd.so.0",
        "lmcd/include/lmcd.h",
    ):
        assert needed in names
    assert any(re.fullmatch(r"lmcd/_native\..*\.so", name) for name in names)
    assert sum(name.startswith("lmcd/_lib/") for name in names) == 1

    # The dependencies are those of .venv; the package comes from the wheel alone.
    site = tmp_path / "site"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel)
    alone = {"PYTHONPATH": str(site)}
    assert "serve" in run(site / "bin" / "lmcd", "--help", env=alone)
    origin = run(python, "-c", "import lmcd._native; print(lmcd._native.__file__)", env=alone)
    assert origin.startswith(str(site))
