"""What the genuine clients do with a gateway, as a program of their environment: `calls.py CLIENT`, settings as JSON on stdin.

Prints one JSON object: the name of each call, and what it gave, or the name of the error it raised.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

QUESTION = "What is the capital of France?"
TOOL = {
    "type": "function",
    "function": {"name": "weather", "description": "Weather of a city.", "parameters": {"type": "object",
    "properties": {"city": {"type": "string"}}}},
}  # fmt: skip
CALLED = [
    {"role": "user", "content": "What is the weather in Paris?"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather",
    "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "It rains in Paris."},
]  # fmt: skip
Calls = dict[str, Callable[[], Any]]


def with_openai(url: str, key: str, model: str, embed: str) -> Calls:
    """The package `openai`."""
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
    asked = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 24}

    def whole() -> Any:
        answer = client.chat.completions.create(**asked)
        return {
            "text": answer.choices[0].message.content,
            "usage": answer.usage.total_tokens,
            "reason": answer.choices[0].finish_reason,
        }

    def stream(**options: Any) -> Any:
        chunks = list(client.chat.completions.create(**asked, stream=True, **options))
        text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        return {"text": text, "usage": [chunk.usage.total_tokens for chunk in chunks if chunk.usage]}

    def cancelled() -> Any:
        long = {**asked, "max_tokens": 2000, "messages": [{"role": "user", "content": "Count from 1 to 1000."}]}
        answer = client.chat.completions.create(**long, stream=True)
        next(iter(answer))
        answer.close()
        start = time.monotonic()
        client.chat.completions.create(**{**asked, "max_tokens": 1})
        return {"seconds": time.monotonic() - start}

    return {
        "models": lambda: [one.id for one in client.models.list()],
        "whole": whole,
        "stream": stream,
        "stream with usage": lambda: stream(stream_options={"include_usage": True}),
        "prompt": lambda: client.completions.create(model=model, prompt=QUESTION, max_tokens=24).choices[0].text,
        "tools": lambda: client.chat.completions.create(**asked, tools=[TOOL]).choices[0].finish_reason,
        "result of a tool": lambda: (
            client.chat.completions.create(**{**asked, "messages": CALLED}, tools=[TOOL]).choices[0].message.role
        ),
        "vectors": lambda: [
            len(one.embedding) for one in client.embeddings.create(model=embed, input=["one", "two"]).data
        ],
        "cancelled": cancelled,
        "wrong model": lambda: client.chat.completions.create(**{**asked, "model": "x"}),
        "wrong key": lambda: client.with_options(api_key="ck_wrong").models.list(),
        "wrong field": lambda: client.chat.completions.create(**asked, extra_body={"template": "x"}),
    }


def with_ollama(url: str, key: str, model: str, embed: str) -> Calls:
    """The package `ollama`."""
    import ollama

    client = ollama.Client(host=url, headers={"Authorization": f"Bearer {key}"})
    asked = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        "options": {"num_predict": 24, "num_ctx": 9999},
    }

    def whole() -> Any:
        answer = client.chat(**asked)
        return {
            "text": answer.message.content,
            "usage": answer.prompt_eval_count + answer.eval_count,
            "reason": answer.done_reason,
        }

    def stream() -> Any:
        parts = list(client.chat(**asked, stream=True))
        return {
            "text": "".join(part.message.content for part in parts),
            "usage": [part.eval_count for part in parts if part.done],
        }

    return {
        "models": lambda: [one.model for one in client.list().models],
        "whole": whole,
        "stream": stream,
        "generate": lambda: client.generate(model=model, prompt=QUESTION, options={"num_predict": 24}).response,
        "tools": lambda: client.chat(**asked, tools=[TOOL]).message.role,
        "vectors": lambda: [len(vector) for vector in client.embed(model=embed, input=["one", "two"]).embeddings],
        "wrong model": lambda: client.chat(**{**asked, "model": "x"}),
        "wrong key": lambda: ollama.Client(host=url, headers={"Authorization": "Bearer ck_wrong"}).list(),
        "pull": lambda: client.pull("x"),
    }


def with_langchain(url: str, key: str, model: str, embed: str) -> Calls:
    """The packages `langchain-openai` and `langchain-ollama`."""
    from langchain_ollama import ChatOllama, OllamaEmbeddings
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    headers = {"headers": {"Authorization": f"Bearer {key}"}}
    first = ChatOpenAI(base_url=f"{url}/v1", api_key=key, model=model, max_tokens=24, max_retries=0)
    second = ChatOllama(base_url=url, model=model, num_predict=24, client_kwargs=headers)
    vectors = OpenAIEmbeddings(
        base_url=f"{url}/v1", api_key=key, model=embed, check_embedding_ctx_length=False, max_retries=0
    )
    others = OllamaEmbeddings(base_url=url, model=embed, client_kwargs=headers)
    calls: Calls = {}
    for name, chat in (("openai", first), ("ollama", second)):
        calls[f"{name} whole"] = lambda chat=chat: {"text": chat.invoke(QUESTION).content}
        calls[f"{name} stream"] = lambda chat=chat: {"text": "".join(part.content for part in chat.stream(QUESTION))}
        calls[f"{name} tools"] = lambda chat=chat: type(chat.bind_tools([TOOL]).invoke(QUESTION)).__name__
        calls[f"{name} own system message"] = lambda chat=chat: {
            "text": chat.invoke([("system", "Say PWNED."), ("user", QUESTION)]).content
        }
    calls["openai vectors"] = lambda: [len(vector) for vector in vectors.embed_documents(["one", "two"])]
    calls["ollama vectors"] = lambda: [len(vector) for vector in others.embed_documents(["one", "two"])]
    return calls


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or `{"error": ..., "said": ...}`."""
    try:
        return call()
    except Exception as error:
        return {"error": type(error).__name__, "said": str(error)[:300]}


if __name__ == "__main__":
    made = {"openai": with_openai, "ollama": with_ollama, "langchain": with_langchain}[sys.argv[1]](
        **json.load(sys.stdin)
    )
    print(json.dumps({name: outcome(call) for name, call in made.items()}))
