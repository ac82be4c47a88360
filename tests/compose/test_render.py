"""Every combination of Compose files renders, asks for each variable, and reads here as Docker Compose reads it."""

import re
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values

from citadelle.accelerator.variants import OVERLAYS
from citadelle.image_lock import ORIGIN

from . import render

needs_plugin = pytest.mark.skipif(not render.has_plugin(), reason="no `docker compose` plugin on this machine")
LOCK = render.COMPOSE / "images.lock.env"


AMD = render.Combination("ollama", "amd")
each = pytest.mark.parametrize("combination", render.COMBINATIONS, ids=str)
genuine = pytest.mark.parametrize("combination", render.GENUINE)


def test_each_accelerator_has_its_file_and_each_file_its_accelerator() -> None:
    named = {
        kind: {path.name.split(".")[1] for path in render.COMPOSE.glob(f"{kind}.*.yaml")}
        for kind in ("accelerator", "engine")
    }
    assert named["accelerator"] == {one.accelerator for one in render.every()} - {""} == set(OVERLAYS)
    assert named["engine"] == set(render.ENGINES)
    assert render.further() == ["observability", "tls", "dashboards"]


@each
def test_services_and_published_ports(combination: render.Combination) -> None:
    model = render.own_model(*combination)
    parts = {"tls": {"tls"}, "observability": {"prometheus", "alertmanager"}, "dashboards": {"grafana", "loki"}}
    further = set().union(*(parts[name] for name in combination.further.split("+") if name))
    assert set(model["services"]) == {"engine", "gateway", "rag"} | further
    published = {name for name, service in model["services"].items() if service.get("ports")}
    assert published == {"gateway"} | further & {"tls", "loki"}


def test_logs_are_taken_on_the_loopback_address_and_grafana_is_behind_tls() -> None:
    services = render.own_model("ollama", further="tls+observability+dashboards")["services"]
    assert [(port["host_ip"], port["published"]) for port in services["loki"]["ports"]] == [("127.0.0.1", "3100")]
    assert [port["target"] for port in services["tls"]["ports"]] == [8443, 8444]
    assert set(services["grafana"]["networks"]) & set(services["tls"]["networks"]) == {"dashboards"}
    assert set(services["grafana"]["networks"]) & set(services["prometheus"]["networks"]) == {"eyes"}
    caddy = (render.COMPOSE / "tls/Caddyfile").read_text("utf-8")
    assert "\n:8444 {\n\timport secured\n\treverse_proxy grafana:3000 {" in caddy


@each
def test_variables_are_required_and_have_no_fallback(combination: render.Combination) -> None:
    for path in render.files(*combination):
        uses = re.findall(r"(?<!\$)\$\{?\w[^}]*\}?", re.sub(r"(?m)#.*$", "", path.read_text("utf-8")))
        assert uses or path.name == "accelerator.nvidia.yaml"
        assert [use for use in uses if not re.fullmatch(r"\$\{[A-Z_]+:\?\}", use)] == []


@needs_plugin
@genuine
def test_docker_compose_renders_it_without_a_warning(combination: render.Combination) -> None:
    done = render.genuine(combination, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


SLOW = [pytest.param(one, marks=pytest.mark.docker) for one in (*render.GENUINE[1].values, AMD)]


@pytest.mark.lab
@needs_plugin
@pytest.mark.parametrize("combination", [render.GENUINE[0], *SLOW], ids=str)
def test_a_missing_variable_stops_it(combination: render.Combination, tmp_path: Path) -> None:
    lines = render.STACK_ENV.read_text("utf-8").splitlines()
    last = render.files(*combination)[-1:] if combination.accelerator else render.files(*combination)
    used = {name for path in last for name in re.findall(r"\$\{(\w+):", path.read_text("utf-8"))}
    env_file = tmp_path / "stack.env"
    for name in sorted(used):
        env_file.write_text("\n".join(line for line in lines if not line.startswith(f"{name}=")))
        done = render.genuine(combination, "--quiet", env_file=env_file)
        assert done.returncode != 0, name
        assert name in done.stderr


@needs_plugin
@genuine
def test_own_reading_agrees_with_docker_compose(combination: render.Combination) -> None:
    own, genuine = render.own_model(*combination), render.genuine_model(*combination)
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
            "group_add",
        ):
            assert own["services"][name].get(key) == rendered.get(key), (name, key)
        devices = [device.split(":")[0] for device in own["services"][name].get("devices", [])]
        assert sorted(devices) == sorted(device["source"] for device in rendered.get("devices", []))
        sources = [(mount["source"], mount.get("read_only")) for mount in rendered["volumes"]]
        assert [(mount["source"], mount.get("read_only")) for mount in own["services"][name]["volumes"]] == sources
    assert set(own["networks"]) == set(genuine["networks"])
    assert set(own["volumes"]) == set(genuine["volumes"])


def test_third_party_images_are_pinned_by_digest_and_say_where_it_came_from() -> None:
    text = LOCK.read_text("utf-8")
    images = dotenv_values(LOCK)
    assert {"OLLAMA_IMAGE", "PYTHON_IMAGE", "DEBIAN_IMAGE"} <= set(images)
    for name, image in images.items():
        assert re.fullmatch(r"(docker\.io|ghcr\.io)/[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", image or ""), name
        above = text[: text.index(f"{name}=")].rsplit("\n\n", 1)[-1]
        assert ORIGIN.search(above.rstrip()), name


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
