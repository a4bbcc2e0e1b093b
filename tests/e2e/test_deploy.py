"""Proves that deploy/ asks only for metrics that exist, and that those who judge it accept it."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
import yaml

from lmcd.admin.app import ROUTES
from lmcd.admin.exposition import declared
from lmcd.cli.context import daemon_program

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


def manifests() -> list[tuple[str, dict[str, Any]]]:
    """Return the specification of each pod, with its file's name."""
    found = []
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] == "Pod":
                found.append((path.name, document["spec"]))
            elif document["kind"] == "DaemonSet":
                found.append((path.name, document["spec"]["template"]["spec"]))
    return found


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize(("name", "pod"), manifests())
def test_pods_need_no_privilege(name: str, pod: dict[str, Any]) -> None:
    for field in ("hostIPC", "hostPID", "hostNetwork", "shareProcessNamespace"):
        assert field not in pod
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in containers(pod):
        context = container["securityContext"]
        assert "privileged" not in context
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
    if name == "sidecar.yaml":  # within the Pod Security level `baseline`
        assert all("hostPath" not in volume for volume in pod["volumes"])


@pytest.mark.parametrize(("name", "pod"), manifests())
def test_probes_ask_for_paths_that_the_server_has(name: str, pod: dict[str, Any]) -> None:
    probes = [
        probe["httpGet"]["path"]
        for container in containers(pod)
        for kind, probe in container.items()
        if kind.endswith("Probe")
    ]
    assert probes, name
    assert set(probes) <= {route.path for route in ROUTES if route.method == "GET"}


def refusal(*options: str) -> str:
    """Return what the daemon says against options; nothing when it takes them."""
    command = [str(daemon_program()), "--print-config", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr


def test_the_daemon_takes_every_option_that_is_given(tmp_path: pathlib.Path) -> None:
    compose = yaml.safe_load((DEPLOY / "container" / "compose.yaml").read_text())
    assert refusal(*compose["services"]["lmcd"]["command"]) == ""
    for _, pod in manifests():
        for container in containers(pod):
            if container["name"] == "lmcd" and "--config" not in container["args"]:
                assert refusal(*container["args"]) == ""
    config, _ = yaml.safe_load_all((DEPLOY / "kubernetes" / "daemonset.yaml").read_text())
    (tmp_path / "lmcd.yaml").write_text(config["data"]["lmcd.yaml"])
    assert refusal("--config", str(tmp_path / "lmcd.yaml")) == ""
    assert "no such option" in refusal("--l1-sise-gb", "8"), "it would have said so"


def test_files_that_compose_mounts_are_there() -> None:
    compose = yaml.safe_load((DEPLOY / "container" / "compose.yaml").read_text())
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / "container" / source).is_file(), volume
