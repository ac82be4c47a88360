"""The gateway asked by its own description, by schemathesis: no failure of its own, and every answer as it is described."""

import asyncio
from pathlib import Path

import pytest

from tests.gateway.conftest import KEY, Run, Stack, policies, run  # noqa: F401
from tests.gateway.test_malformed import without_limits

from .running import clients

pytestmark = pytest.mark.lab
DESCRIPTION = Path(__file__).resolve().parents[2] / "compose/gateway/openapi.yaml"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,ignored_auth"


@pytest.mark.timeout(300)
def test_every_answer_is_as_described(run: Run, policies: Path) -> None:  # noqa: F811
    without_limits(policies)
    program = clients().with_name("st")

    async def scenario(stack: Stack) -> None:
        process = await asyncio.create_subprocess_exec(
            *(program, "run", DESCRIPTION, "--url", stack.url, "--header", f"Authorization: Bearer {KEY}"),
            *("--checks", CHECKS, "--max-examples", "10", "--seed", "1", "--generation-deterministic", "--no-color"),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=policies,
        )  # fmt: skip
        said = (await process.communicate())[0].decode()
        assert process.returncode == 0, said[-8000:]
        assert "Tested: 7" in said, said[-3000:]
        assert len(stack.engine.requests) > 20  # some were right, and answered

    run(scenario, embed_model="e5:small", seconds=250)
