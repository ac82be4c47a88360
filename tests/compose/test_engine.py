"""The engines as they are started: what each may not do, said by its own switches; nothing of the host's environment comes in."""

from __future__ import annotations

import re

import pytest

from . import render

OLLAMA = {
    "OLLAMA_NOPRUNE": "1",  # pruning would fail on the read-only store, and the program with it
    "OLLAMA_NO_CLOUD": "1",
    "OLLAMA_NOHISTORY": "1",
    "OLLAMA_DEBUG": "0",
    "OLLAMA_DEBUG_LOG_REQUESTS": "0",  # would write prompts to a file
    "OLLAMA_HOST": "0.0.0.0:11434",  # of the isolated network; nothing is published
    "OLLAMA_MODELS": "/models",
    "HOME": "/run/engine",
}
SIZED = {
    "OLLAMA_KEEP_ALIVE",
    "OLLAMA_CONTEXT_LENGTH",
    "OLLAMA_NUM_PARALLEL",
    "OLLAMA_MAX_LOADED_MODELS",
    "OLLAMA_MAX_QUEUE",
}
DEVICES = re.compile(
    r"GGML_OPENVINO_DEVICE|OLLAMA_VULKAN|OLLAMA_IGPU_ENABLE|HSA_ENABLE_DXG_DETECTION|LD_LIBRARY_PATH|PATH"
    r"|LLAMA_ARG_(DEVICE|FLASH_ATTN|N_GPU_LAYERS)|OMP_WAIT_POLICY|XILINX_XRT"
)
LLAMACPP = ["--offline", "--no-webui", "--no-slots"]


@pytest.mark.parametrize("combination", render.COMBINATIONS, ids=str)
def test_its_environment_is_fixed(combination: render.Combination) -> None:
    engine = render.own_model(*combination)["services"]["engine"]
    wanted = OLLAMA if combination.engine == "ollama" else {"HOME": "/run/engine"}
    assert wanted.items() <= engine["environment"].items()
    further = engine["environment"].keys() - wanted.keys() - (SIZED if combination.engine == "ollama" else set())
    assert [name for name in further if not DEVICES.fullmatch(name)] == []
    assert not combination.accelerator or further or combination.accelerator in {"nvidia", "amd"}
    assert "env_file" not in engine


@pytest.mark.parametrize("combination", render.COMBINATIONS, ids=str)
def test_its_home_is_in_memory_and_its_models_cannot_be_written(combination: render.Combination) -> None:
    engine = render.own_model(*combination)["services"]["engine"]
    [home] = [entry for entry in engine["tmpfs"] if entry.startswith("/run/engine:")]
    assert {"noexec", "nosuid", "nodev", "mode=0700", "uid=10001", "gid=10001"} <= set(home.split(":")[1].split(","))
    assert [mount["read_only"] for mount in engine["volumes"] if mount["target"] == "/models"] == [True]


def test_llama_cpp_fetches_nothing_shows_nothing_and_keeps_no_prompt() -> None:
    engine = render.own_model("llamacpp")["services"]["engine"]
    assert [word for word in LLAMACPP if word not in engine["command"]] == []
    assert engine["command"][engine["command"].index("--cache-ram") + 1] == "0"
    assert [
        word
        for word in engine["command"]
        if word in {"--metrics", "--props", "--slots", "--log-file", "--verbose", "-v"}
    ] == []
