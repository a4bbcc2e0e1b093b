"""Proves that the code keeps to its vocabulary: calls that are never right, names that say
nothing, marks of unfinished work, addresses that belong to the machine's configuration.
"""

from __future__ import annotations

import ast
import re

from tests.tidy.tree import CPP, OTHERS, PYTHON, code_of, files, matches, sources, text_of

SHIPPED = ("lib/", "daemon/", "cuda/")
UNSAFE = re.compile(
    r"\b(?:strcpy|strcat|sprintf|vsprintf|gets|rand|srand|system|popen|alloca|atoi|atol|atof"
    r"|strtok|tmpnam|mktemp|setjmp|longjmp)\s*\("
)
SLEEP = re.compile(r"\b(?:sleep|usleep|nanosleep|sleep_for|sleep_until|time\.sleep)\s*\(")
PRINT = re.compile(r"\b(?:printf|puts|putchar|vprintf)\s*\(|\bstd::(?:cout|cerr|clog)\b")
THROW = re.compile(r"\bthrow\b|\bdynamic_cast\b|\btypeid\b|\busing\s+namespace\s+std\b")
# Handing the environment on to a child (`**os.environ`) reads nothing.
ENVIRONMENT = re.compile(r"\b(?:secure_)?getenv\s*\(|(?<!\*\*)\bos\.environ\b")
EMPTY_NAME = re.compile(r"\b\w*(?:manager|helper|utils|common)\w*\b", re.IGNORECASE)
STANDARD_NAMES = {"common_type", "common_type_t", "common_reference", "common_reference_t"}
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
REGISTRY = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|deb\.debian\.org|security\.debian\.org"
    r"|archive\.ubuntu\.com|registry\.npmjs\.org|crates\.io|proxy\.golang\.org"
    r"|download\.pytorch\.org|anaconda\.org)\b"
)
# These two spell out what is forbidden.
SPELLED_OUT = ("tests/tidy/test_words.py", "docs/STYLE.md")


def found_in_code(pattern: re.Pattern[str], rule: str, names: list[str]) -> list[str]:
    """Return every match outside comments and literals."""
    return [hit for name in names for hit in matches(name, code_of(name), pattern, rule)]


def found_in_text(pattern: re.Pattern[str], rule: str, names: list[str]) -> list[str]:
    """Return every match anywhere."""
    return [hit for name in names for hit in matches(name, text_of(name), pattern, rule)]


def test_no_call_that_is_never_right() -> None:
    wrong = found_in_code(UNSAFE, "unsafe", list(sources(*CPP)))
    assert not wrong, "\n".join(wrong)


def test_no_test_sleeps() -> None:
    wrong = found_in_code(SLEEP, "sleep", list(sources(*CPP, under=("tests/",))))
    python = [name for name in sources(*PYTHON, under=("tests/",)) if name not in SPELLED_OUT]
    wrong += found_in_text(SLEEP, "sleep", python)
    assert not wrong, "\n".join(wrong)


def test_daemon_and_libraries_print_nothing_past_the_log() -> None:
    talkers = ("daemon/server/main.cc", "lib/base/log")
    names = [name for name in sources(*CPP, under=SHIPPED) if not name.startswith(talkers)]
    wrong = found_in_code(PRINT, "print", names)
    assert not wrong, "\n".join(wrong)


def test_our_code_throws_nothing() -> None:
    wrong = found_in_code(THROW, "throw", list(sources(*CPP, under=SHIPPED)))
    assert not wrong, "\n".join(wrong)


def test_only_the_configuration_reads_the_environment() -> None:
    # The service manager and the fault tests speak to a process through the environment, too.
    readers = (
        "daemon/config/",
        "lib/base/supervisor",
        "lib/base/sync_point",
        "lib/client/settings",
        "bindings/python/lmcd/cli/context",
    )
    cpp = [name for name in sources(*CPP, under=SHIPPED) if not name.startswith(readers)]
    python = [
        name
        for name in sources(*PYTHON, under=("bindings/python/lmcd/",))
        if not name.startswith(readers)
    ]
    wrong = found_in_code(ENVIRONMENT, "environment", cpp)
    wrong += found_in_text(ENVIRONMENT, "environment", python)
    assert not wrong, "\n".join(wrong)


def test_only_one_python_module_touches_the_extension() -> None:
    pattern = re.compile(
        r"^\s*(?:import cffi|from cffi|from lmcd\._native|import lmcd\._native)", re.MULTILINE
    )
    names = [
        name
        for name in sources(*PYTHON, under=("bindings/python/lmcd/",))
        if not name.endswith("/_ffi.py")
    ]
    wrong = found_in_text(pattern, "ffi", names)
    assert not wrong, "\n".join(wrong)


def python_names(name: str) -> list[tuple[int, str]]:
    """Return what a Python file itself names, not what it borrows."""
    named = []
    for node in ast.walk(ast.parse(text_of(name))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            named.append((node.lineno, node.name))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            named.append((node.lineno, node.id))
        elif isinstance(node, ast.arg):
            named.append((node.lineno, node.arg))
    return named


def test_no_name_is_an_empty_word() -> None:
    wrong = [name for name in files() if EMPTY_NAME.search(name.rpartition("/")[2])]
    for name in sources(*CPP):
        hits = matches(name, code_of(name), EMPTY_NAME, "name")
        wrong += [hit for hit in hits if hit.rpartition(" ")[2] not in STANDARD_NAMES]
    for name in sources(*PYTHON):
        wrong += [
            f"{name}:{at}: {word}" for at, word in python_names(name) if EMPTY_NAME.fullmatch(word)
        ]
    assert not wrong, "\n".join(wrong)


def everything() -> list[str]:
    """Return every file that people write."""
    plain = [name for name in files() if "." not in name.rpartition("/")[2]]
    return [
        name
        for name in [*sources(*CPP, *PYTHON, *OTHERS), *plain]
        if name not in SPELLED_OUT and not name.startswith("tests/fuzz/corpus/")
    ]


def test_nothing_is_marked_unfinished() -> None:
    wrong = found_in_text(UNFINISHED, "unfinished", everything())
    assert not wrong, "\n".join(wrong)


def test_no_file_names_a_package_registry() -> None:
    wrong = found_in_text(REGISTRY, "registry", everything())
    assert not wrong, "\n".join(wrong)
