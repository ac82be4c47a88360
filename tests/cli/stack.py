"""The genuine gateway before the engine's double, in a process of its own: `python -m tests.cli.stack FOLDER`.

Prints its port, and ends when its input does.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway.settings import Settings

from tests.gateway.conftest import KEY, MODEL, POLICIES, serving, write_keys
from tests.gateway.double import EngineDouble, running


async def main(folder: Path) -> None:
    """Serve until the end of the input."""
    write_keys(folder / "keys.json", KEY)
    async with running(EngineDouble(MODEL)) as engine:
        settings = Settings(
            engine_url=engine.url, chat_model=MODEL, host="127.0.0.1", port=0,
            policy_file=POLICIES / "gateway.yaml", keys_file=folder / "keys.json",
        )  # fmt: skip
        async with serving(settings) as port:
            print(port, flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
