"""Generate the C source of `lmcd._native`, the cffi extension (API mode).

What is declared comes from the public headers, between their cffi markers, so that no
declaration is written twice. A snippet `native/x.cdef` adds declarations of functions that
`native/x.c` defines for the bindings alone: loops over many items that would be slow in
Python.

Usage: build_native.py OUTPUT.c
"""

from __future__ import annotations

import pathlib
import sys

import cffi

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HEADERS = ["include/lmcd.h", "include/lmcd_admin.h"]
BEGIN = "/* cffi:begin */"
END = "/* cffi:end */"


def marked_block(header: str) -> str:
    """Return what stands between the markers of a header."""
    text = (ROOT / header).read_text()
    before, begin, rest = text.partition(BEGIN)
    block, end, _ = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{header}: needs one {BEGIN} and, after it, one {END}")
    # cffi reports lines of what it was given: keep those of the header.
    return "\n" * before.count("\n") + block


def main() -> None:
    """Write the C source to the path named on the command line."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    ffi = cffi.FFI()
    for header in HEADERS:
        ffi.cdef(marked_block(header))
    for snippet in sorted((HERE / "native").glob("*.cdef")):
        ffi.cdef(snippet.read_text())
    sources = sorted((HERE / "native").glob("*.c"))
    includes = [*HEADERS, *(str(source.relative_to(ROOT)) for source in sources)]
    ffi.set_source("lmcd._native", "".join(f'#include "{name}"\n' for name in includes))
    ffi.emit_c_code(sys.argv[1])
    # cffi leaves a file alone whose text is right; the build needs it newer than the headers.
    pathlib.Path(sys.argv[1]).touch()


if __name__ == "__main__":
    main()
