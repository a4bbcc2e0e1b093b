"""Proves that lines, files and functions stay as short as docs/STYLE.md asks, and that every
header opens with its contract. What is longer has a reason in exceptions.py.
"""

from __future__ import annotations

from tests.tidy.exceptions import LONG_FILES, LONG_FUNCTIONS
from tests.tidy.functions import Function, cpp_functions, python_functions
from tests.tidy.tree import CPP, PYTHON, blanked, code_of, excused, sources, text_of

LINE_CHARACTERS = 100
FILE_LINES = 800
FUNCTION_LINES = 70


def test_no_line_is_longer_than_100_characters() -> None:
    wrong = [
        f"{name}:{number}: {len(line)} characters"
        for name in sources(*CPP, *PYTHON)
        if not name.endswith(".def")  # a table reads better with one row a line
        for number, line in enumerate(text_of(name).split("\n"), 1)
        if len(line) > LINE_CHARACTERS and not excused(name, number, "line")
    ]
    assert not wrong, "\n".join(wrong)


def test_no_file_is_longer_than_800_lines_without_a_reason() -> None:
    lengths = {name: text_of(name).count("\n") for name in sources(*CPP, *PYTHON)}
    long = {name for name, lines in lengths.items() if lines > FILE_LINES}
    assert long == set(LONG_FILES), "exceptions.py names other files than those past the limit"


def long_functions() -> dict[tuple[str, str], Function]:
    """Return every function past the limit."""
    found = [(name, f) for name in sources(*CPP) for f in cpp_functions(code_of(name))]
    found += [(name, f) for name in sources(*PYTHON) for f in python_functions(text_of(name))]
    return {(name, f.name): f for name, f in found if f.lines > FUNCTION_LINES}


SAMPLE = """
#define OPEN(x) if (x) {
namespace lmcd {
struct Point { int x = 0; };           // a brace in a comment: {
constexpr int kTable[] = {1, 2};
class Store {
 public:
  explicit Store(int capacity) : capacity_(capacity) {
    run([&] {
      call("{");
    });
  }
  bool empty() const noexcept { return 1'000 == '{'; }
};
}
std::vector<int> Store::place(const Key& key,
                              int length) {
  for (;;) {
  }
}
TEST(Store, forgets_what_is_cold) {
}
"""


def test_functions_are_found_whatever_stands_around_them() -> None:
    found = {(f.name, f.lines) for f in cpp_functions(blanked(SAMPLE))}
    assert found == {
        ("Store", 5),
        ("empty", 1),
        ("place", 4),
        ("Store.forgets_what_is_cold", 2),
    }


def test_no_function_is_longer_than_70_lines_without_a_reason() -> None:
    wrong = [
        f"{name}:{function.line}: {function.name} has {function.lines} lines"
        for (name, _), function in long_functions().items()
        if function.lines > LONG_FUNCTIONS.get((name, function.name), (FUNCTION_LINES, ""))[0]
    ]
    assert not wrong, "\n".join(wrong)


def test_an_exception_allows_no_more_than_is_needed() -> None:
    long = long_functions()
    loose = [
        f"{name}: {function} may have {lines}"
        for (name, function), (lines, _) in LONG_FUNCTIONS.items()
        if (name, function) not in long or long[name, function].lines < lines
    ]
    assert not loose, "\n".join(loose)


def test_every_header_opens_with_its_contract() -> None:
    wrong = [
        name
        for name in sources(".h", ".cuh", under=("lib/", "daemon/", "cuda/", "include/"))
        if not text_of(name).lstrip().startswith(("// ", "/* "))
    ]
    assert not wrong, "\n".join(wrong)
