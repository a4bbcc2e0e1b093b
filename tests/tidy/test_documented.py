"""Proves that what the tables declare is explained in docs/, and that links of the pages lead
somewhere.
"""

from __future__ import annotations

import pathlib
import re

from tests.tidy.tree import ROOT, line_at, sources, text_of

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def test_every_relative_link_of_a_page_leads_to_a_file() -> None:
    wrong = []
    for name in sources(".md"):
        text = text_of(name)
        for found in LINK.finditer(text):
            target = pathlib.PurePosixPath(name).parent / found[1]
            if "://" not in found[1] and not (ROOT / target).exists():
                wrong.append(f"{name}:{line_at(text, found.start())}: {found[1]}")
    assert not wrong, "\n".join(wrong)
