"""What the engine would have said, had it been asked, when the documents do not contain the answer."""

import time

import orjson

USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def answer(text: str, model: str, identity: str, *, stream: bool) -> bytes:
    """`text` as an engine's whole answer, or as its stream of events."""
    kind = "chat.completion.chunk" if stream else "chat.completion"
    head = {"id": f"chatcmpl-{identity}", "object": kind, "created": int(time.time()), "model": model}
    message = {"role": "assistant", "content": text}
    if not stream:
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return orjson.dumps(head | {"choices": [choice], "usage": USAGE})
    said = head | {"choices": [{"index": 0, "delta": message, "finish_reason": None}]}
    ended = head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    events = (said, ended, head | {"choices": [], "usage": USAGE})
    return b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events) + b"data: [DONE]\n\n"
