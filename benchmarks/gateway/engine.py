"""A stand-in for the engine that answers at once, so that what is measured is the way there and back: `uvicorn` runs `app`."""

from typing import Any

EVENT = b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
USAGE = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":30,"completion_tokens":100,"total_tokens":130}}\n\ndata: [DONE]\n\n'
ANSWER = b'{"choices":[{"message":{"role":"assistant","content":"Paris."}}],"usage":{"prompt_tokens":30,"completion_tokens":3}}'
EVENTS = 100


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """A whole answer, or 100 events; `GET /v1/models` for the gateway's readiness."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    streams = b'"stream":true' in body
    kind = b"text/event-stream" if streams else b"application/json"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    for _ in range(EVENTS if streams else 0):
        await send({"type": "http.response.body", "body": EVENT, "more_body": True})
    await send({"type": "http.response.body", "body": USAGE if streams else ANSWER})
