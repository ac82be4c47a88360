"""The ways to the engine that are compared, each a process of its own: the engine itself, nginx, the bare stack, our gateway, LiteLLM."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from citadelle.keys import Keys

ROOT = Path(__file__).resolve().parents[2]
LITELLM = ROOT / "benchmarks/.venv-litellm"
HIGH = 10**9
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  upstream engine {{ server 127.0.0.1:{engine}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""


@dataclass(frozen=True)
class Way:
    """Name, port and process of a way to the engine, and the key it wants."""

    name: str
    port: int
    process: int
    key: str

    def _processes(self) -> list[Path]:
        children = Path(f"/proc/{self.process}/task/{self.process}/children").read_text().split()
        return [Path(f"/proc/{pid}") for pid in (self.process, *children)]

    @property
    def cpu(self) -> float:
        """Microseconds of processor time so far, its children's too."""
        tasks = [task for process in self._processes() for task in (process / "task").iterdir()]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1000

    @property
    def memory(self) -> float:
        """Resident memory in MB."""
        pages = sum(int((process / "statm").read_text().split()[1]) for process in self._processes())
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    @property
    def sockets(self) -> int:
        """How many sockets it has open."""
        links = [link for process in self._processes() for link in (process / "fd").iterdir()]
        return sum(os.readlink(link).startswith("socket:") for link in links)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextlib.contextmanager
def started(*command: str | Path, **environment: str) -> Iterator[int]:
    """A process, ended afterwards; its id."""
    env = {"PATH": os.environ["PATH"]} | environment
    with subprocess.Popen(
        [str(part) for part in command], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


def listening(port: int, seconds: float = 600) -> None:
    """Until the port takes connections."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


def policy(folder: Path) -> Path:
    """The shipped policy with every limit there and none in reach: they are counted, and refuse nobody."""
    shutil.copytree(ROOT / "policies", folder / "policies")
    path = folder / "policies/gateway.yaml"
    rules = yaml.safe_load(path.read_text("utf-8"))
    amounts = {f"{part}_{span}": HIGH for part in ("requests", "tokens_in", "tokens_out") for span in ("minute", "day")}
    rules["per_key"], rules["ceiling"] = amounts | {"concurrency": HIGH}, amounts
    rules["limits"] |= {"in_flight": 64, "queue": 64}
    path.write_text(yaml.safe_dump(rules, allow_unicode=True), "utf-8")
    return path


def ways(folder: Path, stack: contextlib.ExitStack, python: str, packages: str) -> list[Way]:
    """Every process started and listening; nginx and LiteLLM where they are installed."""
    key, engine = _key(folder), free_port()
    run = stack.enter_context(started(python, Path(__file__).with_name("engine.py"), engine, PYTHONPATH=packages))
    made = [
        Way("engine", engine, run, key),
        *_nginx(folder, stack, engine, key),
        _bare(stack, engine, key, python, packages),
    ]
    audit = folder / "audit.sock"
    (folder / "log").mkdir()
    receiver = [
        ROOT / "citadelle/audit_receiver.py",
        "--socket",
        audit,
        "--log",
        folder / "log",
        "--key",
        folder / "key",
    ]
    stack.enter_context(started(python, *receiver))
    for name, more in (("unaudited", {}), ("gateway", {"GATEWAY_AUDIT_SOCKET": str(audit)})):
        port = free_port()
        environment = {
            "PYTHONPATH": f"{ROOT / 'compose/gateway'}:{packages}", "GATEWAY_ENGINE_URL": f"http://127.0.0.1:{engine}",
            "GATEWAY_CHAT_MODEL": "m", "GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": str(port),
            "GATEWAY_POLICY_FILE": str(policy(folder / name)), "GATEWAY_KEYS_FILE": str(folder / "host/gateway/keys.json"),
        }  # fmt: skip
        made.append(Way(name, port, stack.enter_context(started(python, "-m", "gateway", **environment | more)), key))
    made += _litellm(folder, stack, engine)
    for way in made:
        listening(way.port)
    return made


def _key(folder: Path) -> str:
    keys = Keys(folder / "host")
    with keys.alone():
        keys.operator()
    return keys.operator_file.read_text().strip()


def _nginx(folder: Path, stack: contextlib.ExitStack, engine: int, key: str) -> list[Way]:
    if not shutil.which("nginx", path="/usr/sbin:/usr/bin"):
        print("nginx is left out: apt-get install nginx-light", file=sys.stderr)
        return []
    port, file = free_port(), folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, engine=engine, port=port))
    return [Way("nginx", port, stack.enter_context(started("/usr/sbin/nginx", "-c", file)), key)]


def _bare(stack: contextlib.ExitStack, engine: int, key: str, python: str, packages: str) -> Way:
    port, program = free_port(), Path(__file__).with_name("bare.py")
    return Way("bare", port, stack.enter_context(started(python, program, port, engine, PYTHONPATH=packages)), key)


def _litellm(folder: Path, stack: contextlib.ExitStack, engine: int) -> list[Way]:
    program, port, key = LITELLM / "bin/litellm", free_port(), "sk-benchmark"
    if not program.exists():
        print(f"litellm is left out: {program} is absent, see benchmarks/gateway/README.md", file=sys.stderr)
        return []
    given = {"model": "openai/m", "api_base": f"http://127.0.0.1:{engine}/v1", "api_key": "none"}
    file = folder / "litellm.yaml"
    file.write_text(
        yaml.safe_dump(
            {"model_list": [{"model_name": "m", "litellm_params": given}], "general_settings": {"master_key": key}}
        )
    )
    options = ["--config", file, "--host", "127.0.0.1", "--port", port, "--num_workers", 1]
    process = started(program, *options, HOME=str(folder), LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_LOG="ERROR")
    return [Way("litellm", port, stack.enter_context(process), key)]
