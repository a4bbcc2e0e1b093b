"""Finds the functions of a source file and how long they are.

For C++ this reads braces, not the language: a brace at file, namespace or class level opens
a function if what stands before it has parentheses and no assignment. That is right for code
laid out as ours is, costs milliseconds, and needs no compiler.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator

from tests.tidy.tree import line_at

_PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", re.MULTILINE)
_TEST = re.compile(r"\bTEST(?:_F|_P)?\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)")
_NAME = re.compile(r"(operator\s*\S+|~?\w+)\s*\(")
_SCOPE = re.compile(r"\b(?:namespace|class|struct|union|enum|extern)\b")
_ASSIGNED = re.compile(r"(?<![=!<>])=(?!=)\s*$")


@dataclasses.dataclass(frozen=True)
class Function:
    """A function's name, the line where its body begins, and how many lines the body has."""

    name: str
    line: int
    lines: int


def _name_before(head: str) -> str | None:
    """Return the name of the function whose body follows `head`, if one does."""
    test = _TEST.search(head)
    if test:
        return f"{test[1]}.{test[2]}"
    if "(" not in head or _ASSIGNED.search(head):
        return None
    before_arguments = head.partition("(")[0]
    if _SCOPE.search(before_arguments) and not head.rstrip().endswith((")", "const", "noexcept")):
        return None
    name = _NAME.search(head)
    return name[1] if name else None


def cpp_functions(code: str) -> Iterator[Function]:
    """Yield the functions of blanked C or C++, lambdas as part of what encloses them."""
    code = _PREPROCESSOR.sub(lambda found: "\n" * found[0].count("\n"), code)
    depth = 0
    opened: tuple[str, int, int] | None = None  # name, offset, depth of the open function
    head = 0
    for found in re.finditer(r"[{};]", code):
        offset, mark = found.start(), found[0]
        if mark == "{":
            function = None if opened else _name_before(code[head:offset])
            if function:
                opened = (function, offset, depth)
            depth += 1
        elif mark == "}":
            depth -= 1
            if opened and depth == opened[2]:
                first = line_at(code, opened[1])
                yield Function(opened[0], first, line_at(code, offset) - first + 1)
                opened = None
        if not opened:
            head = offset + 1


def python_functions(text: str) -> Iterator[Function]:
    """Yield the functions of Python source, without their docstrings."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            first, last = body[0].lineno, body[-1].end_lineno or body[-1].lineno
            yield Function(node.name, node.lineno, last - first + 1)
