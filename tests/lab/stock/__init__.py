"""One run of pyinfra's own operations, as a platform engineer would write it; nothing in it knows a connector."""

from pathlib import Path

DATA = Path(__file__).with_name("data")
FOLDER = "/srv/stock"
PORT = 8099

# What pyinfra's own operations report as a change in every run, and why.
ALWAYS = {
    "server.shell": "runs what it is given",
    "server.script": "runs what it is given",
    "server.script_template": "runs what it is given",
    "server.wait": "waits in a command",
    "systemd.daemon_reload": "is a command",
    "python.call": "is a function call",
    "files.file: touched again": "a touch is a command",
    "files.move": "its source is made anew before",
    "files.put: through a link": "the fact about a file knows no links, so it is sent again",
    "systemd.service: restarted": "a restart is a command",
}
# What `_su_user` leaves behind over `@ssh` where that user may not write: the text under a temporary name, readable by all.
LEFT_BY_SSH = "never\n"
# Operations that must fail and whose failure is ignored.
FAILING = {
    "server.shell: fails and is ignored",
    "server.shell: stopped by its timeout",
    "files.put: refused to another",
}
