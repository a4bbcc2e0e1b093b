"""Proves that deploy/ asks only for metrics that exist, and that those who judge it accept it."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from lmcd.admin.exposition import declared

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "lmcd.rules.yml"
NAME = re.compile(r"\blmcd_\w+")


def known_metrics() -> set[str]:
    names = set()
    for metric in declared():
        name = f"lmcd_{metric['name']}"
        histogram = metric["kind"] == "histogram"
        names |= (
            {f"{name}{suffix}" for suffix in ("_bucket", "_sum", "_count")} if histogram else {name}
        )
    return names


def test_the_grafana_dashboard_uses_only_metrics_that_exist() -> None:
    board = json.loads((DEPLOY / "grafana" / "lmcd.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    queries += [one["query"]["query"] for one in board["templating"]["list"] if "refId" in str(one)]
    used = {name for query in queries for name in NAME.findall(query)}
    assert used
    assert used <= known_metrics(), sorted(used - known_metrics())


def test_the_grafana_dashboard_is_what_its_panels_declare() -> None:
    command = [sys.executable, str(ROOT / "tools" / "write_grafana.py"), "--check"]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0


def test_the_alerts_use_only_metrics_that_exist() -> None:
    rules = [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]
    used = {name for rule in rules for name in NAME.findall(rule["expr"])}
    assert used
    assert used <= known_metrics(), sorted(used - known_metrics())
    for rule in rules:
        assert {"summary", "description"} <= set(rule["annotations"]), rule["alert"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed")
def test_promtool_accepts_the_alerts_and_every_query(tmp_path: pathlib.Path) -> None:
    board = json.loads((DEPLOY / "grafana" / "lmcd.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    as_rules = {
        "groups": [
            {
                "name": "grafana",
                "rules": [
                    {"record": f"panel:{at}", "expr": query.replace("$__rate_interval", "1m")}
                    for at, query in enumerate(queries)
                ],
            }
        ]
    }
    (tmp_path / "grafana.yml").write_text(yaml.safe_dump(as_rules))
    for path in (RULES, tmp_path / "grafana.yml"):
        command = ["promtool", "check", "rules", str(path)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
