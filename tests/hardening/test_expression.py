"""The closed set of predicates."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadelle.hardening.expression import PREDICATES, describe, holds, problem, show

RIGHT = [
    (1, {"equals": 1}), ("disabled", {"equals": "Disabled"}), ([1], {"equals": [1]}), (2, {"not_equals": 1}),
    ("a", {"one_of": ["b", "A"]}),
    (14, {"at_least": 14}), (900, {"at_least": 1, "at_most": 900}), (3, {"bits": 1}), (15, {"bits": 8}),
    (["x"], {"contains": "X"}),
    (["x"], {"excludes": "y"}), ("2.6.1", {"like": r"2\.\d\.\d"}), ([], {"empty": True}), (None, {"empty": True}),
    ([0], {"empty": False}),
    ([{"a": 1}], {"every": {"a": {"equals": 1}}}), ([], {"every": {"a": {"equals": 1}}}),
    (-1, {"any": [{"equals": -1}, {"at_least": 15}]}),
    (["10.0.0.0/8", "10.0.0.0/255.0.0.0", "10.0.0.1-10.0.0.9", "fd00::/8"], {"networks": True}),
    (["80", "11000-11433"], {"spares": 11434}),
]  # fmt: skip
WRONG = [
    ("c", {"one_of": ["a", "b"]}),
    (True, {"equals": 1}), (1, {"equals": True}), ("1", {"equals": 1}), (None, {"equals": 0}),
    (1, {"not_equals": 1}), (None, {"at_least": 0}),
    ("20", {"at_least": 1}), (True, {"at_least": 1}), (0, {"at_least": 1, "at_most": 900}),
    (901, {"at_least": 1, "at_most": 900}),
    (2, {"bits": 1}), (None, {"bits": 1}), ("x", {"contains": "x"}), (["x"], {"excludes": "X"}),
    (None, {"excludes": "x"}),
    ("12.6.1x", {"like": r"2\.\d\.\d"}), (None, {"like": ".*"}), ([0], {"empty": True}), ([], {"empty": False}),
    ([{"a": 1}, {"a": 2}], {"every": {"a": {"equals": 1}}}), ([{}], {"every": {"a": {"equals": 1}}}),
    ({"a": 1}, {"every": {"a": {"equals": 1}}}),
    (14, {"any": [{"equals": -1}, {"at_least": 15}]}),
    (["10.0.0.0/8", "LocalSubnet"], {"networks": True}), (["::/0"], {"networks": True}), ("10.0.0.0/8", {"networks": True}),
    (["any"], {"spares": 11434}), ([], {"spares": 11434}), (["1-65535"], {"spares": 11434}), (None, {"spares": 11434}),
]  # fmt: skip


@pytest.mark.parametrize(("value", "wanted"), RIGHT)
def test_what_holds(value: Any, wanted: dict[str, Any]) -> None:
    assert holds(value, wanted)


@pytest.mark.parametrize(("value", "wanted"), WRONG)
def test_what_does_not(value: Any, wanted: dict[str, Any]) -> None:
    assert not holds(value, wanted)


def test_every_predicate_is_seen_both_ways() -> None:
    for cases in (RIGHT, WRONG):
        assert {name for _, wanted in cases for name in wanted} == set(PREDICATES)


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        ({}, "says nothing"),
        ({"eval": "1"}, "has no such predicate: eval"),
        ({"every": {"a": {"__class__": 1}}}, "has no such predicate: __class__"),
        ({"any": [{"equals": 1}, {}]}, "says nothing"),
    ],
)
def test_an_expression_that_is_wrong_is_named(wanted: dict[str, Any], what: str) -> None:
    assert problem(wanted) == what


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES)
def test_no_value_breaks_a_predicate(value: Any) -> None:
    assert all(isinstance(holds(value, wanted), bool) for _, wanted in RIGHT)
    assert "\n" not in show(value)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"equals": None}, "absent"),
        ({"equals": True}, "yes"),
        ({"one_of": ["Disabled", "absent"]}, "Disabled or absent"),
        ({"at_least": 1, "at_most": 900}, "at least 1, at most 900"),
        ({"empty": False, "every": {"Enabled": {"equals": 1}}}, "one or more, each with Enabled 1"),
        ({"any": [{"equals": -1}, {"at_least": 15}]}, "-1 or at least 15"),
        ({"empty": True}, "nothing"),
    ],
)
def test_an_expression_for_people(wanted: dict[str, Any], text: str) -> None:
    assert describe(wanted) == text
