"""Sigma rules for the SIEM, written once: valid, about fields, codes and events that there are, and the same questions in LogQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from sigma.backends.loki import LogQLBackend
from sigma.collection import SigmaCollection
from sigma.processing.pipeline import ProcessingPipeline
from sigma.validation import SigmaValidator
from sigma.validators.core import validators

from citadelle import audit
from citadelle.shipping import channels
from tests.conftest import ROOT

FOLDER = ROOT / "policies/sigma"
RULES = SigmaCollection.load_ruleset([FOLDER])
GIVEN = [document for path in sorted(FOLDER.glob("*.yml")) for document in yaml.safe_load_all(path.read_text())]
TABLE = channels.load(ROOT / "policies/windows-events.yaml")
# Sigma's words for the logs of Windows (SigmaHQ, "windows-services").
LOGS = {
    "security": "Security", "system": "System", "windefend": "Microsoft-Windows-Windows Defender/Operational",
    "bitlocker": "Microsoft-Windows-BitLocker/BitLocker Management",
}  # fmt: skip
# How both lie in Loki (docs/observability.md): a stream of its own, in each line JSON, what is kept of an event below `data`.
FIELDS = {field: f"data_{re.sub(r'[^A-Za-z0-9]', '_', field)}" for row in TABLE for field in row.keep}
PIPELINE = ProcessingPipeline.from_dict({
    "name": "the audit trail and events of Windows in Loki",
    "priority": 20,
    "transformations": [
        {"id": "form", "type": "set_custom_attribute", "attribute": "loki_parser", "value": "json"},
        *({"id": job, "type": "set_custom_attribute", "attribute": "logsource_loki_selection", "value": f'{{job="{job}"}}',
           "rule_conditions": [{"type": "logsource", "product": product}]}
          for job, product in (("audit", "citadelle"), ("windows", "windows"))),
        {"id": "fields", "type": "field_name_mapping", "mapping": {"EventID": "number", "Computer": "host", **FIELDS},
         "rule_conditions": [{"type": "logsource", "product": "windows"}]},
        *({"id": f"log_{service}", "type": "add_condition", "conditions": {"channel": channel},
           "rule_conditions": [{"type": "logsource", "product": "windows", "service": service}]}
          for service, channel in LOGS.items()),
    ],
})  # fmt: skip
# Two look names of techniques up in the web.
JUDGES = {judge for name, judge in validators.items() if name not in {"attacktag", "d3_fendtag"}}
QUESTIONS: list[str] = LogQLBackend(processing_pipeline=PIPELINE, case_sensitive=True).convert(RULES)


def of(product: str) -> list[Any]:
    """Rules that look at single lines of this product's."""
    found = [rule for rule in GIVEN if rule.get("logsource", {}).get("product") == product]
    return [pytest.param(rule, id=rule["name"]) for rule in found]


def values(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else [value]


def test_the_rules_are_valid_by_sigmas_own_judgement() -> None:
    assert len(RULES.rules) == len(GIVEN) > 25
    assert {rule["logsource"]["product"] for rule in GIVEN if "logsource" in rule} == {"citadelle", "windows"}
    assert [str(error) for error in RULES.errors] == []
    found = SigmaValidator(JUDGES).validate_rules(iter(RULES.rules))
    assert [f"{issue.rules[0].title}: {type(issue).__name__}" for issue in found] == []


def test_a_rule_that_names_nothing_is_found() -> None:
    """The judgement can fail."""
    [rule, *_] = [rule for rule in GIVEN if "detection" in rule]
    broken = rule | {"id": "1", "detection": rule["detection"] | {"unused": {"code": "x"}}}
    wrong = SigmaCollection.from_yaml(yaml.safe_dump(broken), collect_errors=True)
    assert wrong.errors
    issues = {type(issue).__name__ for issue in SigmaValidator(JUDGES).validate_rules(iter(wrong.rules))}
    assert issues == {"DanglingDetectionIssue"}


@pytest.mark.parametrize("rule", of("citadelle"))
def test_a_rule_is_about_what_a_record_holds(rule: dict) -> None:
    selection = rule["detection"]["selection"]
    assert {field.partition("|")[0] for field in selection} <= audit.FIELDS | {"event", "missing"}
    gateway = "".join(path.read_text() for path in (ROOT / "compose/gateway/gateway").glob("*.py"))
    assert [code for code in values(selection.get("code", [])) if f'"{code}"' not in gateway] == []
    events = {"start"} if "missing|gt" in selection else set()
    assert [
        one for one in values(selection.get("event", [])) if one not in events and not audit.EVENTS.fullmatch(one)
    ] == []


@pytest.mark.parametrize("rule", of("windows"))
def test_a_rule_is_about_what_leaves_the_pc(rule: dict) -> None:
    """By the table of events: the number in that log, and each field kept of it."""
    selection = rule["detection"]["selection"]
    rows = [row for row in TABLE if row.channel == LOGS[rule["logsource"]["service"]]]
    for number in values(selection["EventID"]):
        [row] = [row for row in rows if not row.ids or number in row.ids]
        assert selection.keys() - {"EventID"} <= set(row.keep)


def test_each_becomes_a_question_to_loki() -> None:
    """One for each rule, but those that another one counts."""
    counted = {name for rule in GIVEN if "correlation" in rule for name in rule["correlation"]["rules"]}
    assert len(QUESTIONS) == len(GIVEN) - len(counted)
    by_code = {
        code: question for question in QUESTIONS for code in re.findall(r"(?:code|event|number)=`?(\w+)", question)
    }
    assert by_code["answer_cut"] == '{job="audit"} | json | code=`answer_cut`'
    assert by_code["limit_reached"] == (
        'sum by (key) (count_over_time({job="audit"} | json | code=`limit_reached` or code=`too_many_at_once` [5m])) > 50'
    )
    assert (
        by_code["4625"]
        == 'sum by (host) (count_over_time({job="windows"} | json | channel=`Security` and number=4625 [5m])) > 10'
    )
    administrators = "channel=`Security` and number=4732 and data_TargetSid=`S-1-5-32-544`"
    assert by_code["4732"] == f'{{job="windows"}} | json | {administrators}'
    assert all(len(re.findall(r'\{job="(?:audit|windows)"\} \| json \|', question)) == 1 for question in QUESTIONS)
