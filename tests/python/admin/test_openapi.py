"""The OpenAPI document says what the server does: schemathesis makes calls of it, good and bad, and
holds each answer against it.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from lmcd.admin.app import ROUTES
from tests.python.admin.server import AdminServer
from tests.python.daemon import Daemon

SCHEMATHESIS = pathlib.Path(sys.executable).with_name("schemathesis")
# Streams do not end by themselves.
ENDLESS = [route.path for route in ROUTES if route.stream]


def test_every_route_is_described(admin: AdminServer) -> None:
    document = admin.get("/openapi.json").json
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    assert described == {(route.method, route.path) for route in ROUTES}


@pytest.mark.slow
@pytest.mark.skipif(not SCHEMATHESIS.exists(), reason="schemathesis is not installed")
def test_the_server_does_what_the_document_says(
    daemon: Daemon, admin: AdminServer, tmp_path: pathlib.Path
) -> None:
    without = [word for path in ENDLESS for word in ("--exclude-path", path)]
    # Off: what a call refuses beyond its schema (a text past 255 bytes of UTF-8, or nothing that
    # selects), and what only a token or another state would bring about.
    result = subprocess.run(
        [
            *(SCHEMATHESIS, "run", f"{admin.url}/openapi.json", "--max-examples", "30"),
            *("--exclude-checks", "positive_data_acceptance,ignored_auth", *without),
            *("--generation-deterministic", "--phases", "examples,coverage,fuzzing"),
            # This machine may be busy.
            *("--suppress-health-check", "all"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    assert admin.get("/healthz").status == 200
