"""What each kind of host gets, in order: the table of contents of a converge."""

from pyinfra import host

from citadelle.operations.twin import windows_side
from citadelle.settings import refuse_bad_data
from roles.accelerator.deploy import accelerator, container_toolkit
from roles.bitlocker.deploy import bitlocker
from roles.docker.deploy import docker
from roles.events.deploy import events
from roles.hardening.deploy import hardening
from roles.line.deploy import line
from roles.model_files.deploy import model_files
from roles.observability.deploy import observability
from roles.platform.deploy import platform
from roles.service_user.deploy import service_user
from roles.stack.deploy import stack
from roles.updates.deploy import updates
from roles.wsl.deploy import inside_wsl, wsl

refuse_bad_data(host)  # all of it at once, before the first role

if "windows" in host.groups:
    platform()  # first: on a PC that cannot become a host, nothing is changed
    hardening()  # before any encryption: its policies say by which method
    bitlocker()  # before the distribution: its disk, models and keys come under an encryption that has begun
    wsl()
    events()  # after its account and before the line: nothing of it is needed to come back
    line()  # late: a run that fails here has set all else
    updates()  # last: it may restart the PC

if "windows" in host.groups or "wsl" in host.groups:
    # pyinfra orders by dependencies alone: an operation of both hosts of a PC keeps what is below behind what is above.
    windows_side(name="Go on only where the Windows side is right")

if "wsl" in host.groups:
    inside_wsl()  # before all that needs systemd

if "wsl" in host.groups or "linux" in host.groups:
    accelerator()  # before any change: a host without what is asked for is left as it is
    service_user()  # before any container: its user ids must be nobody's
    docker()
    container_toolkit()
    hardening()  # before anything serves, and after Docker: its files and its rules are judged too
    model_files()  # before the stack: a wrong digest must stop here
    observability()  # before the stack: its containers find their secrets and their way out
    stack()
