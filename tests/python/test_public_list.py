"""What is public stands in lmcd/__init__.py, whole and in order, and importing it does nothing
but define it.
"""

import ast
import importlib
import importlib.util
import pathlib
import pkgutil
import subprocess
import sys

import lmcd

PACKAGE = pathlib.Path(lmcd.__file__).resolve().parent


def test_every_public_name_is_there_once() -> None:
    assert len(set(lmcd.__all__)) == len(lmcd.__all__)
    for name in lmcd.__all__:
        assert getattr(lmcd, name) is not None


def test_what_is_imported_to_be_public_is_listed() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lmcd")
        for alias in node.names
    }
    public = {name for name in imported if not name.startswith("_")} - {"aio"}
    assert public | {"__version__"} == set(lmcd.__all__)


def test_every_error_is_public() -> None:
    errors = importlib.import_module("lmcd.errors")
    named = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert named <= set(lmcd.__all__)


def test_only_one_module_imports_cffi() -> None:
    importers = [
        path.name
        for path in PACKAGE.rglob("*.py")
        if "lmcd._native" in path.read_text() or "import cffi" in path.read_text()
    ]
    assert importers == ["_ffi.py"]


def test_only_the_configuration_module_reads_the_environment() -> None:
    readers = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if "os.environ" in path.read_text() or "getenv" in path.read_text()
    ]
    # The demo hands its own on to the engines that it starts.
    assert set(readers) - {"demo/processes.py"} == {"cli/context.py"}


def test_importing_has_no_side_effect() -> None:
    script = (
        "import os, sys, threading\n"
        "before = dict(os.environ), threading.active_count(), set(os.listdir('/proc/self/fd'))\n"
        "import lmcd\n"
        "after = dict(os.environ), threading.active_count(), set(os.listdir('/proc/self/fd'))\n"
        "assert before == after, (before, after)\n"
        "slow = {'asyncio', 'numpy', 'torch', 'click', 'rich'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_every_module_can_be_imported() -> None:
    for module in pkgutil.walk_packages([str(PACKAGE)], "lmcd."):
        if module.name == "lmcd.vllm" and importlib.util.find_spec("vllm") is None:
            continue
        if ".demo" not in module.name and not module.name.endswith("_native"):
            importlib.import_module(module.name)
