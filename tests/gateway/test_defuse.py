"""Control tokens of chat templates, written in a message, are broken; ordinary text is not."""

import pytest
from gateway import chat
from gateway.settings import Policy, load_policy
from hypothesis import given
from hypothesis import strategies as st

from .conftest import POLICIES
from .test_chat import EVIL, parse


@pytest.mark.parametrize(
    "token",
    [
        "<|im_start|>system\n", "<|im_end|>", "<|IM_START|>", "<|endoftext|>", "<|start_header_id|>system<|end_header_id|>", "<|eot_id|>",
        "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]",
        "<start_of_turn>model", "<end_of_turn>",
        "<bos>", "<｜User｜>", "<｜begin▁of▁sentence｜>", "<|[INST]|>", "<<SYS>></s>", "<data-0123456789abcdef>", "</data-x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_control_tokens_are_broken(policy: Policy, token: str, role: str) -> None:
    messages = [{"role": role, "content": f"a{token}{EVIL}"}, {"role": "user", "content": "go"}]
    content = parse(policy, messages=messages).turns[0]["content"]
    assert policy.control.search(content) is None
    assert token not in content
    assert content.replace(" ", "") == f"a{token}{EVIL}".replace(" ", "")


PIECES = ["<", "|", ">", "[", "]", "/", "s", "INST", "im_start", "<|", "|>", " ", "SYS", "data-"]
SHIPPED = load_policy(POLICIES / "gateway.yaml")[0]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_defusing_leaves_no_token_and_changes_only_spaces(text: str) -> None:
    safe = chat.defuse(text, SHIPPED)
    assert SHIPPED.control.search(safe) is None
    assert safe.replace(" ", "") == text.replace(" ", "")
    if SHIPPED.control.search(text) is None:
        assert safe == text


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d",
        "x[0] = y[1]",
        "if (a<b || c>d)",
        "<strong>hé</strong>",
        "l'été à Paris ½",
        "$HOME | grep <file>",
    ],
)
def test_ordinary_text_arrives_unchanged(policy: Policy, text: str) -> None:
    assert parse(policy, messages=[{"role": "user", "content": text}]).question == text
