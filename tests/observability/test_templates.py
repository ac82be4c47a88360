"""What a person reads of an alert, in both languages: by Alertmanager's own rendering, from what a rule says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.observability.test_config import in_image
from tests.observability.test_rules import ALERTS

NOTES = ALERTS["LogsUndelivered"]["annotations"]
LEGS = ("siem", "loki")
RENDER = """for language in en fr; do for part in title text; do
  amtool template render --template.glob='/etc/alertmanager/templates/*.tmpl' --template.data=/t/$1.json \
    --template.text="{{{{ template \\"citadelle.$part.$language\\" . }}}}"; printf '\\036'
done; done"""


def data(status: str, severity: str) -> dict[str, object]:
    """A group of two alerts of a kind, as Alertmanager hands it to a receiver."""
    said = [
        {name: text.replace("{{ $labels.leg }}", leg).replace('{{ $value | printf "%.0f" }}', "7") for name, text in NOTES.items()}
        for leg in LEGS
    ]  # fmt: skip
    common = {name: text for name, text in said[0].items() if text == said[1][name]}
    alerts = [
        {"status": status, "annotations": one, "labels": {"leg": leg}} for leg, one in zip(LEGS, said, strict=True)
    ]
    labels = {"alertname": "LogsUndelivered", "severity": severity, "host": "srv1"}
    return {"status": status, "commonLabels": labels, "commonAnnotations": common, "alerts": alerts}


@pytest.mark.docker
def test_both_languages_say_what_has_happened_where_and_what_to_do(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    cases = {
        "critical": ("firing", "[CRITICAL] srv1: ", "[CRITIQUE] srv1 : "),
        "warning": ("firing", "[WARNING] srv1: ", "[ATTENTION] srv1 : "),
        "info": ("firing", "[INFO] srv1: ", "[INFORMATION] srv1 : "),
        "over": ("resolved", "[RESOLVED] srv1: ", "[RÉSOLU] srv1 : "),
    }
    for name, (status, *_) in cases.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(data(status, name)))
    script = f"say() {{ {RENDER.format()}; }}; for name in {' '.join(cases)}; do say $name; done"
    done = in_image("alertmanager", tmp_path, script)
    assert done.returncode == 0, done.stderr
    shown = [part.strip("\n") for part in done.stdout.split("\x1e")][:-1]
    assert len(shown) == 4 * len(cases)
    for (_, english, french), (title, text, titre, texte) in zip(
        cases.values(), zip(*[iter(shown)] * 4, strict=True), strict=True
    ):
        assert (title, titre) == (f"{english}{NOTES['summary']}", f"{french}{NOTES['summary_fr']}")
        assert text.splitlines() == [
            *(f"{leg} has taken nothing for 90 seconds; 7 lines wait on the disk." for leg in LEGS),
            "Alert: LogsUndelivered. What to do: docs/runbooks/LogsUndelivered.md",
        ]
        assert texte.splitlines() == [
            *(f"{leg} n'a rien pris depuis 90 secondes ; 7 lignes attendent sur le disque." for leg in LEGS),
            "Alerte : LogsUndelivered. Que faire : docs/runbooks/LogsUndelivered.md",
        ]
