"""The files of the repository as the tidy tests see them, and how a rule is broken on purpose.

A line breaks a rule on purpose by saying so itself, or in the comment line before it:
`tidy(rule): reason`. Without a reason it does not count.
"""

from __future__ import annotations

import functools
import os
import pathlib
import re
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
CPP = (".h", ".cc", ".c", ".cu", ".cuh", ".def")
PYTHON = (".py",)
OTHERS = (".md", ".txt", ".cmake", ".in", ".toml", ".json", ".yaml", ".yml", ".sh", ".service")

NOT_OURS = re.compile(r"\.(?!ci$).*|build|dist|__pycache__|.*\.egg-info")

# Comments and literals of C and C++, longest form first. An apostrophe after a digit separates
# thousands and opens no literal.
_CPP_OPAQUE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"\((?:.*?)\)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
    re.DOTALL,
)


@functools.cache
def files() -> tuple[str, ...]:
    """Return every file that is not built, cached or installed, relative to the root."""
    found: list[str] = []
    for directory, folders, names in os.walk(ROOT):
        folders[:] = [folder for folder in folders if not NOT_OURS.fullmatch(folder)]
        here = pathlib.Path(directory).relative_to(ROOT)
        found += [(here / name).as_posix() for name in names]
    return tuple(sorted(found))


def sources(*suffixes: str, under: tuple[str, ...] = ("",)) -> Iterator[str]:
    """Yield the files with one of the suffixes below one of the folders."""
    for name in files():
        if name.endswith(suffixes) and name.startswith(under):
            yield name


@functools.cache
def text_of(name: str) -> str:
    """Return the text of a file."""
    return (ROOT / name).read_text(encoding="utf-8")


def blanked(text: str) -> str:
    """Return C or C++ with comments blanked and literals emptied, lines kept."""

    def blank(found: re.Match[str]) -> str:
        lines = "\n" * found[0].count("\n")
        return lines or " " if found[0][0] == "/" else f'""{lines}'

    return _CPP_OPAQUE.sub(blank, text)


@functools.cache
def code_of(name: str) -> str:
    """Return the code of a C or C++ file, without what comments and literals say."""
    return blanked(text_of(name))


def line_at(text: str, offset: int) -> int:
    """Return the number, from 1, of the line that holds an offset."""
    return text.count("\n", 0, offset) + 1


def excused(name: str, line: int, rule: str) -> bool:
    """Tell whether a line, or the one before it, gives a reason to break a rule."""
    lines = text_of(name).split("\n")
    near = lines[max(line - 2, 0) : line]
    return any(re.search(rf"tidy\({rule}\): \w", text) for text in near)


def matches(name: str, text: str, pattern: re.Pattern[str], rule: str) -> Iterator[str]:
    """Yield `file:line: what` for each match that has no excuse."""
    for found in pattern.finditer(text):
        line = line_at(text, found.start())
        if not excused(name, line, rule):
            yield f"{name}:{line}: {found[0].strip()}"
