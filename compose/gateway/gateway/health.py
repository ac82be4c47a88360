"""The container's health check: a real request to /healthz. Exit 0 when ready, 1 otherwise."""

import http.client
import os
import sys


def main() -> int:
    """Ask the gateway of this container."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("GATEWAY_PORT", "8080")), timeout=8)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except OSError as error:
        print(type(error).__name__)
        return 1
    print(status)
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
