"""Sigma rules for the SIEM, written once: valid, about fields and codes that there are, and the same questions in LogQL."""

from __future__ import annotations

import re

import pytest
import yaml
from sigma.backends.loki import LogQLBackend
from sigma.collection import SigmaCollection
from sigma.processing.pipeline import ProcessingPipeline
from sigma.validation import SigmaValidator
from sigma.validators.core import validators

from citadelle import audit
from tests.conftest import ROOT

FOLDER = ROOT / "policies/sigma"
RULES = SigmaCollection.load_ruleset([FOLDER])
GIVEN = [document for path in sorted(FOLDER.glob("*.yml")) for document in yaml.safe_load_all(path.read_text())]
# How the audit trail lies in Loki (docs/observability.md): a stream of its own, a record of JSON in each line.
PIPELINE = ProcessingPipeline.from_yaml("""
name: the audit trail in Loki
priority: 20
transformations:
  - {id: stream, type: set_custom_attribute, attribute: logsource_loki_selection, value: '{job="audit"}'}
  - {id: form, type: set_custom_attribute, attribute: loki_parser, value: json}
""")
# Two look names of techniques up in the web.
JUDGES = {judge for name, judge in validators.items() if name not in {"attacktag", "d3_fendtag"}}
QUESTIONS: list[str] = LogQLBackend(processing_pipeline=PIPELINE, case_sensitive=True).convert(RULES)


def test_the_rules_are_valid_by_sigmas_own_judgement() -> None:
    assert len(RULES.rules) == len(GIVEN) > 8
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


@pytest.mark.parametrize("rule", [rule for rule in GIVEN if "detection" in rule], ids=lambda rule: rule["name"])
def test_a_rule_is_about_what_a_record_holds(rule: dict) -> None:
    selection = rule["detection"]["selection"]
    assert {field.partition("|")[0] for field in selection} <= audit.FIELDS | {"event", "missing"}
    gateway = "".join(path.read_text() for path in (ROOT / "compose/gateway/gateway").glob("*.py"))
    codes = selection.get("code", [])
    assert [code for code in ([codes] if isinstance(codes, str) else codes) if f'"{code}"' not in gateway] == []


def test_each_becomes_a_question_to_loki() -> None:
    """One for each rule, but those that another one counts."""
    counted = {name for rule in GIVEN if "correlation" in rule for name in rule["correlation"]["rules"]}
    assert len(QUESTIONS) == len(GIVEN) - len(counted)
    by_code = {code: question for question in QUESTIONS for code in re.findall(r"code=`?(\w+)", question)}
    assert by_code["answer_cut"] == '{job="audit"} | json | code=`answer_cut`'
    assert by_code["limit_reached"] == (
        'sum by (key) (count_over_time({job="audit"} | json | code=`limit_reached` or code=`too_many_at_once` [5m])) > 50'
    )
    assert all(question.count('{job="audit"} | json |') == 1 for question in QUESTIONS)
