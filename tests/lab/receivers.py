"""Doubles of those who receive alerts: Slack, Teams, a webhook, a dead man, a mail server. Over TLS, with an authority of the test.

Each takes only what its original documents: Slack's incoming webhook JSON with `attachments` or `text`, a Teams workflow a message with
one adaptive card, the mail server nothing before STARTTLS. What does not fit is answered with an error, so that Alertmanager says so.
"""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from citadelle import certificates

HOST = "receivers"


@dataclass
class Received:
    """What has come, by receiver: `(time, title, text)`; and the ports."""

    secret: str
    address: str
    web: int = 0
    mail: int = 0
    messages: dict[str, list[tuple[float, str, str]]] = field(default_factory=dict)

    def add(self, receiver: str, title: str, text: str) -> None:
        self.messages.setdefault(receiver, []).append((time.monotonic(), title, text))

    def url(self, receiver: str) -> str:
        return f"https://{self.address}:{self.web}/{receiver}/{self.secret}"

    def wait(self, receiver: str, what: Callable[[str], bool], seconds: float = 120) -> str:
        """Title and text of a message that fits, which came or comes within this time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _, title, text in list(self.messages.get(receiver, [])):
                if what(f"{title}\n{text}"):
                    return f"{title}\n{text}"
            time.sleep(0.1)
        raise AssertionError(
            f"{receiver} has not got it within {seconds:.0f} s: {[m[1] for m in self.messages.get(receiver, [])]}"
        )

    def more(self, receiver: str, count: int, within: float) -> None:
        """Wait until so many more messages have come."""
        wanted, end = len(self.messages.get(receiver, [])) + count, time.monotonic() + within
        while len(self.messages.get(receiver, [])) < wanted:
            assert time.monotonic() < end, f"{receiver} has got fewer than {count} within {within:.0f} s"
            time.sleep(0.1)

    def silence(self, receiver: str, seconds: float, within: float) -> bool:
        """Whether it once hears nothing for so many seconds: what a dead man's alarm is."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            if time.monotonic() - self.messages[receiver][-1][0] > seconds:
                return True
            time.sleep(0.1)
        return False


def slack(body: dict[str, Any]) -> tuple[str, str]:
    [one] = body["attachments"]
    return one["title"], one["text"]


def teams(body: dict[str, Any]) -> tuple[str, str]:
    [one] = body["attachments"]
    if body["type"] != "message" or one["contentType"] != "application/vnd.microsoft.card.adaptive":
        raise ValueError("no adaptive card")
    title, text = (block["text"] for block in one["content"]["body"] if block["type"] == "TextBlock")
    return title, text


def webhook(body: dict[str, Any]) -> tuple[str, str]:
    if body["version"] != "4":
        raise ValueError("another version")
    return f"{body['status']} {body['commonLabels']['alertname']}", json.dumps(body["alerts"], ensure_ascii=False)


FORMS = {"slack": slack, "teams": teams, "webhook": webhook, "deadman": webhook}


def web_handler(received: Received) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            _, receiver, secret = self.path.split("/", 2)
            try:
                if secret != received.secret:
                    raise ValueError("not the secret")
                received.add(receiver, *FORMS[receiver](json.loads(body)))
            except (ValueError, KeyError) as error:
                received.add("refused", receiver, repr(error))
                self.send_error(400)
                return
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def mail_handler(received: Received, context: ssl.SSLContext) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        """As much of SMTP as a client of STARTTLS needs."""

        def handle(self) -> None:
            self.secure, self.stream = False, self.request
            self.reader = self.stream.makefile("rb")
            self.say("220 receivers")
            while line := self.reader.readline():
                word = line.decode().strip().upper()
                if word == "QUIT":
                    self.say("221 bye")
                    return
                self.answer(word)

        def say(self, text: str) -> None:
            self.stream.sendall(text.encode() + b"\r\n")

        def answer(self, word: str) -> None:
            if word.startswith(("EHLO", "HELO")):
                self.say("250-receivers\r\n250 8BITMIME" if self.secure else "250-receivers\r\n250 STARTTLS")
            elif word == "STARTTLS":
                self.say("220 go")
                self.stream = context.wrap_socket(self.request, server_side=True)
                self.secure, self.reader = True, self.stream.makefile("rb")
            elif not self.secure:
                self.say("530 STARTTLS first")
            elif word == "DATA":
                self.say("354 go")
                self.take()
                self.say("250 ok")
            else:
                self.say("250 ok")

        def take(self) -> None:
            # A line that begins with a dot has got one more on its way.
            lines = (line.removeprefix(b".") for line in iter(self.reader.readline, b".\r\n"))
            mail = message_from_bytes(b"".join(lines), policy=policy.default)
            body = mail.get_body(("plain",))
            received.add("email", str(mail["Subject"]), body.get_content() if body else "")

    return Handler


@contextmanager
def receivers(address: str, folder: Path, secret: str) -> Iterator[Received]:
    """All of them, listening on this address; `folder` gets the authority's certificate as `ca.pem`."""
    certificates.make(folder, HOST, [address])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{HOST}.pem", folder / f"{HOST}.key")
    received = Received(secret, address)
    web = ThreadingHTTPServer((address, 0), web_handler(received))
    web.socket = context.wrap_socket(web.socket, server_side=True)
    mail = socketserver.ThreadingTCPServer((address, 0), mail_handler(received, context))
    mail.daemon_threads = web.daemon_threads = True
    received.web, received.mail = web.server_address[1], mail.server_address[1]
    for server in (web, mail):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield received
    finally:
        for server in (web, mail):
            server.shutdown()
            server.server_close()
