"""A second opinion on the same files: compose-lint, of other people's making."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from . import render

# (rule, service, what its message names): why the finding is no fault here
EXCLUDED = {
    (
        "CL-0013",
        "engine",
        "'/run/citadelle/models'",
    ): "the verified models, bound there read-only: the verification gate itself",
    (
        "CL-0013",
        "gateway",
        "'/run/citadelle/audit'",
    ): "the socket of the audit's receiver: the gateway can only add to it",
    ("CL-0013", "gateway", "'/run/citadelle/verdict'"): "the host's verdict on the model files, read-only",
    ("CL-0013", "tls", "'/etc/citadelle/tls'"): "the certificate and its key, read-only: what TLS is made of",
    ("CL-0013", "prometheus", "'/run/citadelle/observability/prometheus'"): "its password, in memory, read-only",
    (
        "CL-0013",
        "alertmanager",
        "'/run/citadelle/observability/alertmanager'",
    ): "secrets of its receivers, in memory, read-only",
    ("CL-0013", "grafana", "'/run/citadelle/observability/grafana'"): "its own secrets, in memory, read-only",
    ("CL-0013", "gateway", "'/etc/citadelle/gateway'"): "keyed hashes and their pepper, read-only: holds no key",
}


@pytest.mark.parametrize(
    ("how", "combination"),
    [
        *(("own", combination) for combination in render.COMBINATIONS[:2]),
        *(pytest.param("genuine", *one.values, marks=one.marks) for one in render.GENUINE),
    ],
)
def test_compose_lint_has_nothing_to_say(tmp_path: Path, combination: render.Combination, how: str) -> None:
    if how == "genuine" and not render.has_plugin():
        pytest.skip("no `docker compose` plugin on this machine")
    model = render.own_model(*combination) if how == "own" else render.genuine_model(*combination)
    findings = lint(tmp_path, model)
    assert [finding for finding in findings if not excluded(finding)] == []
    assert len(findings) == sum(service in model["services"] for _, service, _ in EXCLUDED)


def test_compose_lint_can_fail(tmp_path: Path) -> None:
    model = render.own_model("ollama")
    model["services"]["rag"] |= {"privileged": True, "read_only": False}
    assert lint(tmp_path, model) != []


def excluded(finding: dict) -> bool:
    """Whether a finding is one of the justified ones."""
    return any(
        (finding["rule_id"], finding["service"]) == (rule, service) and named in finding["message"]
        for rule, service, named in EXCLUDED
    )


def lint(folder: Path, model: dict) -> list[dict]:
    """All findings of compose-lint on a rendered model, whatever their severity."""
    path = folder / "compose.yaml"
    path.write_text(json.dumps(model, indent=1))
    command = [str(Path(sys.executable).with_name("compose-lint")), "--format", "json", "--fail-on", "low", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)["findings"]
