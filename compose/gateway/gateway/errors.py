"""Refusals. How they look to a client is its API's matter: `openai.py`, `ollama.py`."""


class Refusal(Exception):
    """A request that is answered with an error. `message` is a fixed text of ours: it never quotes the request."""

    def __init__(self, status: int, code: str, message: str, *, param: str | None = None, retry_after: int = 0) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.param, self.retry_after = status, code, message, param, retry_after

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Headers that belong to this refusal, beside the content type."""
        headers = []
        if self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if self.status in (408, 413):
            headers.append((b"connection", b"close"))  # the rest of the body is not worth reading
        if self.retry_after:
            headers.append((b"retry-after", str(self.retry_after).encode()))
        return headers


def bad_request(code: str, message: str, param: str | None = None) -> Refusal:
    """A 400: the client has to change the request."""
    return Refusal(400, code, message, param=param)


def engine_unavailable() -> Refusal:
    """A 503 that tells the client to come back."""
    return Refusal(503, "engine_unavailable", "The engine does not answer yet.", retry_after=5)
