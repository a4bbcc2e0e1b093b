"""Proves that the tree is layered as docs/ARCHITECTURE.md says.

The table under "Floors" is read from that page, so page and code cannot drift apart.
"""

from __future__ import annotations

import re

from tests.tidy.tree import CPP, ROOT, line_at, sources, text_of

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
FLOOR_LINE = re.compile(r"^([0-9])  (\S.*)$", re.MULTILINE)
FOLDER = re.compile(r"\b(?:daemon|lib)/\w+|\bcuda\b|\bmain\b")

# Whole histories of the store replay in a test because these know nothing of the machine.
PURE = ("daemon/core/", "daemon/policy/")
IMPURE_HEADERS = re.compile(
    r"sys/.*|unistd\.h|fcntl\.h|poll\.h|signal\.h|csignal|pthread\.h|time\.h|ctime|chrono|thread"
    r"|mutex|shared_mutex|condition_variable|future|semaphore|filesystem|fstream|iostream|cstdlib"
)


def floors() -> dict[str, int]:
    """Return the floor of each folder, as the page has them."""
    page = text_of("docs/ARCHITECTURE.md")
    section = page[page.index("\n## Floors") :]
    table = section.split("```")[1]
    return {
        folder: int(number)
        for number, line in FLOOR_LINE.findall(table)
        for folder in FOLDER.findall(line)
    }


def folder_of(name: str) -> str:
    """Return the folder that a file belongs to in the sense of the floors."""
    parts = name.split("/")
    return parts[0] if parts[0] in ("cuda", "include") else "/".join(parts[:2])


def includes(name: str) -> list[tuple[int, str, str]]:
    """Return line, kind ('<' or '"') and target of each include of a file."""
    text = text_of(name)
    return [(line_at(text, f.start()), f[1], f[2]) for f in INCLUDE.finditer(text)]


def test_the_page_has_a_floor_for_every_folder_of_code() -> None:
    known = {*floors(), "include", "lib/client"}
    folders = {folder_of(name) for name in sources(*CPP, under=("daemon/", "lib/", "cuda/"))}
    assert folders <= known, f"no floor in docs/ARCHITECTURE.md for {sorted(folders - known)}"


def test_a_quoted_include_names_a_file_from_the_root() -> None:
    wrong = [
        f'{name}:{line}: "{target}"'
        for name in sources(*CPP)
        for line, kind, target in includes(name)
        if kind == '"'
        and not (ROOT / target).exists()
        and not (name.startswith("include/") and (ROOT / "include" / target).exists())
    ]
    assert not wrong, "\n".join(wrong)


def test_a_file_includes_only_from_its_own_floor_or_below() -> None:
    level = floors() | {"include": 0}
    wrong = []
    for name in sources(*CPP, under=("daemon/", "lib/", "cuda/")):
        here = folder_of(name)
        if here == "lib/client":
            continue
        for line, kind, target in includes(name):
            there = folder_of(target)
            if kind == '"' and there != here and level.get(there, 9) > level.get(here, 9):
                wrong.append(f"{name}:{line}: {here} is below {there}")
    assert not wrong, "\n".join(wrong)


def test_the_client_library_uses_include_and_lib_only() -> None:
    wrong = [
        f"{name}:{line}: {target}"
        for name in sources(*CPP, under=("lib/client/",))
        for line, kind, target in includes(name)
        if kind == '"' and not target.startswith(("include/", "lib/"))
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_below_the_client_library_includes_it() -> None:
    wrong = [
        f"{name}:{line}: {target}"
        for name in sources(*CPP, under=("daemon/", "lib/", "cuda/"))
        for line, _, target in includes(name)
        if target.startswith("lib/client/") and not name.startswith("lib/client/")
    ]
    assert not wrong, "\n".join(wrong)


def test_core_and_policy_know_no_file_thread_socket_or_clock() -> None:
    wrong = [
        f"{name}:{line}: <{target}>"
        for name in sources(*CPP, under=PURE)
        for line, kind, target in includes(name)
        if kind == "<" and IMPURE_HEADERS.fullmatch(target)
    ]
    assert not wrong, "\n".join(wrong)
