"""A stand-in for the gateway that passes bytes on and does nothing else: `python bare.py PORT ENGINE_PORT`.

uvicorn with uvloop and httptools, raw ASGI, and aiohttp towards the engine: what these parts cost on this machine before any work is done
in them. No key, no limit, no record, no filter: for comparison only.
"""

import sys
from typing import Any

import aiohttp
import uvicorn

_HEADERS = {"Content-Type": "application/json"}


class Bare:
    """The application."""

    def __init__(self, engine: int) -> None:
        self._url = f"http://127.0.0.1:{engine}"
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, and its answer back as it comes."""
        self._session = self._session or aiohttp.ClientSession(self._url, connector=aiohttp.TCPConnector(limit=0))
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        async with self._session.request(scope["method"], scope["path"], data=body, headers=_HEADERS) as answer:
            kept = [
                (name.lower(), value)
                for name, value in answer.raw_headers
                if name.lower() in (b"content-type", b"content-length")
            ]
            await send({"type": "http.response.start", "status": answer.status, "headers": kept})
            async for piece in answer.content.iter_any():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(
        Bare(int(sys.argv[2])), host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", ws="none", lifespan="off",
        access_log=False, log_level="warning", proxy_headers=False, server_header=False, date_header=False,
    )  # fmt: skip
