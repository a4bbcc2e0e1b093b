"""Metrics: what the table declares is what a scrape tells, promtool finds nothing to say against
it, and a real Prometheus takes it.
"""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

import lmcd
from lmcd.admin.exposition import SERIES, declared, exposition
from tests.python.admin.conftest import Serve
from tests.python.admin.server import AdminServer
from tests.python.daemon import READY_S, Daemon, fresh_keys, store

with_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="Prometheus is not installed",
)


def names_of(text: str) -> set[str]:
    """Return the metrics that a scrape declares."""
    return set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))


def value_of(text: str, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    assert found, series
    return float(found[1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_scrape_has_every_metric_of_the_table(daemon: Daemon, admin: AdminServer) -> None:
    admin.call("PUT", "/quota/a", {"limit_bytes": 4096})
    text = admin.get("/metrics").text
    assert names_of(text) == {f"lmcd_{one['name']}" for one in declared()}
    assert value_of(text, "lmcd_up") == 1
    assert value_of(text, 'lmcd_tenant_limit_bytes{tenant="a"}') == 4096


def test_numbers_are_those_of_the_snapshot(space: lmcd.Namespace, admin: AdminServer) -> None:
    store(space, fresh_keys(3), length=4096)
    text = admin.get("/metrics").text
    assert value_of(text, "lmcd_committed_bytes_total") == 3 * 4096
    assert value_of(text, "lmcd_objects") == 3
    (namespace,) = admin.get("/status").json["namespaces"]
    series = f'lmcd_namespace_hot_bytes{{fingerprint="{namespace["fingerprint"]}"}}'
    assert value_of(text, series) == 3 * 4096
    assert value_of(text, 'lmcd_verb_seconds_count{verb="Reserve"}') == 1
    assert value_of(text, 'lmcd_verb_seconds_bucket{le="+Inf",verb="Reserve"}') == 1


def test_a_family_tells_its_largest() -> None:
    tenants = [{"tenant": str(at), "used_bytes": at} for at in range(3 * SERIES)]
    daemon = dict.fromkeys(("version", "instance_id", "policy", "backing"), "x") | {"uptime_ms": 1}
    text = exposition({"daemon": daemon, "metrics": {}, "tenants": tenants}, 0.0).decode()
    told = re.findall(r'^lmcd_tenant_used_bytes\{tenant="(\d+)"\}', text, re.MULTILINE)
    assert sorted(map(int, told)) == list(range(2 * SERIES, 3 * SERIES))


def test_metrics_can_be_turned_off(daemon: Daemon, serve: Serve) -> None:
    assert serve("--disable-metrics").get("/metrics").status == 404


@with_prometheus
def test_promtool_has_nothing_to_say(daemon: Daemon, admin: AdminServer) -> None:
    text = admin.get("/metrics").text
    result = subprocess.run(
        ["promtool", "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        timeout=READY_S,
        check=False,
    )
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def asked(port: int, query: str) -> list[dict[str, Any]]:
    url = f"http://127.0.0.1:{port}/api/v1/query?query={query}"
    with urllib.request.urlopen(url, timeout=READY_S) as response:
        found: list[dict[str, Any]] = json.load(response)["data"]["result"]
    return found


@pytest.mark.slow
@with_prometheus
def test_a_real_prometheus_scrapes_the_second_listener(
    space: lmcd.Namespace, serve: Serve, tmp_path: pathlib.Path
) -> None:
    store(space, fresh_keys(3), length=4096)
    metrics_port, own_port = free_port(), free_port()
    serve("--prometheus-port", str(metrics_port))
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        "- job_name: lmcd\n"
        f"  static_configs: [{{targets: ['127.0.0.1:{metrics_port}']}}]\n"
    )
    prometheus = subprocess.Popen(
        [
            *("prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}"),
            f"--web.listen-address=127.0.0.1:{own_port}",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 2 * READY_S
        found: list[dict[str, Any]] = []
        while not found:
            assert time.monotonic() < end, "Prometheus has not scraped"
            try:
                found = asked(own_port, "lmcd_committed_bytes_total")
            except OSError:
                continue
        assert float(found[0]["value"][1]) == 3 * 4096
        assert float(asked(own_port, "up")[0]["value"][1]) == 1
    finally:
        prometheus.terminate()
        prometheus.wait(timeout=READY_S)


def test_the_second_listener_has_metrics_alone(daemon: Daemon, serve: Serve) -> None:
    port = free_port()
    serve("--prometheus-port", str(port))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=READY_S) as response:
        assert b"lmcd_up 1.0" in response.read()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=READY_S)
