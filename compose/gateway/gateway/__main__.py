"""`python -m gateway`: serve."""

import gc
import os
import sys

import uvicorn
import yaml
from pydantic import ValidationError

from gateway.app import Gateway
from gateway.log import event
from gateway.server import guarded
from gateway.settings import Settings


def config(app: Gateway, settings: Settings) -> uvicorn.Config:
    """The server around the application: no access log, no headers of proxies believed, no websockets."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=guarded(app.rules.policy.limits),
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="error",  # its warnings are what strangers send
        proxy_headers=False,
        server_header=False,
        limit_concurrency=256,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=10,
    )


def main() -> int:
    """Serve until told to stop; 2 when settings or policy are wrong."""
    try:
        settings = Settings.from_environment(os.environ)
        app = Gateway(settings)
    except (OSError, ValidationError, ValueError, yaml.YAMLError) as error:
        print(f"gateway: cannot start: {error}", file=sys.stderr)
        return 2
    gc.freeze()  # what is there now stays: the collector need not look at it while a request waits
    event("start", listen=f"{settings.host}:{settings.port}")
    uvicorn.Server(config(app, settings)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
