"""Users, services, settings of the machine, and every way to run a command."""

from pyinfra import host
from pyinfra.operations import files, python, server, systemd

from tests.lab.stock import DATA, FOLDER, PORT

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk3tCi6CHB5KbKvCw6dZqjhxbFhgvM1kA4h9bBqRmT8 stock lab"
# Made up: nobody knows a password that has it.
PASSWORD = "$6$stocklab$4QpVYfhmE4JQe4RYsoG1KNAbLZRHnYh3nQ8J5mR4m3U0PX2qVqg9QdW4a1BqXGgZcnV1l6kR8l4w8nWyqXyq0/"
RECORD = f"{FOLDER}/recorded"


def record(what: str, command: str, **arguments: object) -> None:
    """Have a command's output in a file of its name, for the comparison."""
    server.shell(name=f"server.shell: {what}", commands=f"{{ {command}; }} > '{RECORD}/{what}'", **arguments)


files.directory(name="files.directory: for records, open to all", path=RECORD, mode="1777")
server.group(name="server.group: with a number", group="stock", gid=4200)
server.group(name="server.group: of the system", group="stocksys", system=True)
server.user(
    name="server.user: with everything",
    user="stock",
    uid=4201,
    group="stock",
    groups=["stocksys", "adm"],
    home="/home/stock",
    shell="/bin/sh",
    comment="Stock d'été",
    password=PASSWORD,
    public_keys=[KEY],
    create_home=True,
)
server.user(name="server.user: without a shell", user="silent", system=True, shell="/usr/sbin/nologin")
server.user(name="server.user: gone", user="games", present=False)
server.user_authorized_keys(
    name="server.user_authorized_keys: two for one", user="operator", public_keys=[KEY, KEY.replace("AIGk", "AIGl")]
)

record("as it comes", "pwd; umask; id; echo $HOME $USER")
record("in a folder", "pwd; ls -d *", _chdir="/etc/apt")
record(
    "with variables", 'echo "$STOCK_LAB|$STOCK_MORE"', _env={"STOCK_LAB": 'it\'s "two"\nlines é', "STOCK_MORE": "$HOME"}
)
record("with bash", "echo ${BASH_VERSION:+bash}; echo {1..3}", _shell_executable="bash")
record("with input", "cat", _stdin="one line")
record("with input that ends its line", "cat", _stdin="one line\n")
record("with input of several lines", "cat", _stdin=["one\n", "two", "\n", "four"])
record("without input", "cat; echo end")
record("on a terminal", "true", _get_pty=True)
server.shell(
    name="server.shell: on a terminal or not",
    commands=f"if [ -t 1 ]; then echo terminal; else echo none; fi >> '{RECORD}/on a terminal'",
    _get_pty=True,
)
record("with sudo", "id; echo $HOME", _sudo=True)
record("with sudo as another", "pwd; id; echo $HOME; umask", _sudo=True, _sudo_user="stock")
record("with sudo and a login", "pwd; echo $HOME", _sudo=True, _sudo_user="stock", _use_sudo_login=True)
record("with su", "pwd; id; echo $HOME", _su_user="stock")
record("with su and a login", "echo $HOME", _su_user="stock", _use_su_login=True)
record("with su for one without a shell", "id", _su_user="silent", _su_shell="bash")
record("with sudo and su", "id", _sudo=True, _su_user="stock")
record("with much output", "seq 1 200000 | sha256sum; seq 1 200000", _timeout=60)
server.shell(
    name="server.shell: output that is no text",
    commands=["printf '\\000\\377\\376\\r\\n\\033[0mend'", "head -c 300000 /dev/zero", "printf 'to stderr' >&2"],
)
server.shell(name="server.shell: an exit code that is right too", commands="exit 3", _success_exit_codes=[0, 3])
server.shell(name="server.shell: nothing but a comment", commands=["# nothing", ""])
server.shell(name="server.shell: fails and is ignored", commands="exit 3", _ignore_errors=True)
server.shell(name="server.shell: stopped by its timeout", commands="sleep 30", _timeout=1, _ignore_errors=True)
server.shell(
    name="server.shell: right at the third try",
    commands=[f"echo try >> '{RECORD}/tries'", f"test $(wc -l < '{RECORD}/tries') -ge 3"],
    _retries=2,
    _retry_delay=0,
)
server.shell(
    name="server.shell: until it says so",
    commands=f"echo x >> '{RECORD}/until'; wc -c < '{RECORD}/until'",
    _retries=3,
    _retry_delay=0,
    _retry_until=lambda done: int(done["stdout_lines"][0]) < 6,
)
server.script(
    name="server.script: with arguments", src=str(DATA / "record.sh"), args=(f"{RECORD}/script", "one", "'two words'")
)


def same_host() -> None:
    """A function of the deploy that runs a command itself."""
    is_right, output = host.run_shell_command("printf 'called\\n'")
    assert is_right
    assert output.stdout_lines == ["called"]


python.call(name="python.call: that runs a command", function=same_host)

server.sysctl(
    name="server.sysctl: kept for the next boot",
    key="net.ipv4.tcp_fin_timeout",
    value=42,
    persist=True,
    persist_file="/etc/sysctl.d/90-stock.conf",
)
files.directory(name="files.directory: to mount on", path=f"{FOLDER}/mounted")
server.mount(
    name="server.mount: memory",
    path=f"{FOLDER}/mounted",
    device="stock-memory",  # a name that no other mount has: pyinfra looks for the device too, and would remount that one
    fs_type="tmpfs",
    options=["size=1024k", "noexec"],
)
# No server.timezone here: its timedatectl moves the clock of the whole machine, once after each boot (settimeofday's time zone).
server.etc_hosts(name="server.etc_hosts: a name", ip="192.0.2.7", hostnames=["stock.example", "stock"])
server.security_limit(
    name="server.security_limit: of one user", domain="stock", limit_type="soft", item="nofile", value=4096
)

files.template(
    name="files.template: a unit", src=str(DATA / "web.service.j2"), dest="/etc/systemd/system/stock-web.service",
    folder=f"{FOLDER}/site", port=PORT, mode="644",
)  # fmt: skip
systemd.daemon_reload(name="systemd.daemon_reload: for the unit")
server.service(name="server.service: running, by whatever system there is", service="stock-web", running=True)
systemd.service(name="systemd.service: running and at boot", service="stock-web", running=True, enabled=True)
systemd.service(name="systemd.service: stopped and not at boot", service="cron", running=False, enabled=False)
systemd.service(name="systemd.service: restarted", service="stock-web", restarted=True)
server.wait(name="server.wait: for the port", port=PORT)
