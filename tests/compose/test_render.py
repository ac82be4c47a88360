"""Every combination of Compose files renders, asks for each variable, and reads here as Docker Compose reads it."""

import re
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values

from . import render

needs_plugin = pytest.mark.skipif(not render.has_plugin(), reason="no `docker compose` plugin on this machine")
LOCK = render.COMPOSE / "images.lock.env"


@pytest.mark.parametrize("engine", render.ENGINES)
def test_three_services_and_one_published_port(engine: str) -> None:
    model = render.own_model(engine)
    assert set(model["services"]) == {"engine", "gateway", "rag"}
    assert [name for name, service in model["services"].items() if service.get("ports")] == ["gateway"]


@pytest.mark.parametrize("engine", render.ENGINES)
def test_variables_are_required_and_have_no_fallback(engine: str) -> None:
    for path in render.files(engine):
        uses = re.findall(r"(?<!\$)\$\{?\w[^}]*\}?", re.sub(r"(?m)#.*$", "", path.read_text("utf-8")))
        assert uses
        assert [use for use in uses if not re.fullmatch(r"\$\{[A-Z_]+:\?\}", use)] == []


@needs_plugin
@pytest.mark.parametrize("engine", render.ENGINES)
def test_docker_compose_renders_it_without_a_warning(engine: str) -> None:
    done = render.genuine(engine, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


@needs_plugin
@pytest.mark.parametrize("engine", render.ENGINES)
def test_a_missing_variable_stops_it(engine: str, tmp_path: Path) -> None:
    lines = render.STACK_ENV.read_text("utf-8").splitlines()
    used = {name for path in render.files(engine) for name in re.findall(r"\$\{(\w+):", path.read_text("utf-8"))}
    env_file = tmp_path / "stack.env"
    for name in sorted(used):
        env_file.write_text("\n".join(line for line in lines if not line.startswith(f"{name}=")))
        done = render.genuine(engine, "--quiet", env_file=env_file)
        assert done.returncode != 0, name
        assert name in done.stderr


@needs_plugin
@pytest.mark.parametrize("engine", render.ENGINES)
def test_own_reading_agrees_with_docker_compose(engine: str) -> None:
    own, genuine = render.own_model(engine), render.genuine_model(engine)
    for name, service in genuine["services"].items():
        rendered = {key: value for key, value in service.items() if value is not None}
        assert set(own["services"][name]) == set(rendered), name
        for key in (
            "user",
            "image",
            "read_only",
            "cap_drop",
            "restart",
            "tmpfs",
            "pids_limit",
            "entrypoint",
            "command",
            "environment",
        ):
            assert own["services"][name].get(key) == rendered.get(key), (name, key)
        sources = [(mount["source"], mount.get("read_only")) for mount in rendered["volumes"]]
        assert [(mount["source"], mount.get("read_only")) for mount in own["services"][name]["volumes"]] == sources
    assert set(own["networks"]) == set(genuine["networks"])
    assert set(own["volumes"]) == set(genuine["volumes"])


def test_third_party_images_are_pinned_by_digest_and_say_where_it_came_from() -> None:
    text = LOCK.read_text("utf-8")
    images = dotenv_values(LOCK)
    assert {"OLLAMA_IMAGE", "PYTHON_IMAGE", "DEBIAN_IMAGE"} <= set(images)
    for name, image in images.items():
        assert re.fullmatch(r"docker\.io/[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", image or ""), name
        above = text[: text.index(f"{name}=")].rsplit("\n\n", 1)[-1]
        assert "confirm with docker buildx imagetools inspect before a release" in above, name


@pytest.mark.parametrize("package", ["gateway", "rag"])
def test_wheels_are_locked_by_hash(package: str) -> None:
    text = (render.COMPOSE / package / "requirements.lock").read_text("utf-8")
    requirements = re.split(r"(?m)^(?=[a-z])", text)
    assert len(requirements) > 8
    assert [part for part in requirements if part.strip() and "--hash=sha256:" not in part] == []
    assert "index-url" not in text


@pytest.mark.skipif(sys.platform != "linux", reason="paths of a Linux host")
def test_policy_files_named_by_the_stack_are_there() -> None:
    mounts = render.own_model("ollama")["services"]["gateway"]["volumes"]
    ours = [mount["source"] for mount in mounts if "/policies/" in mount["source"]]
    assert len(ours) == 3
    assert [source for source in ours if not Path(source).is_file()] == []
