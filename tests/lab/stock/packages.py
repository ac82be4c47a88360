"""apt, and what needs its packages first."""

from pyinfra.operations import apt, crontab, files, git, server

from tests.lab.stock import DATA, FOLDER

DEB = f"{FOLDER}/stock-lab_1.0_all.deb"
CONTROL = (
    "Package: stock-lab\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: Lab <lab@localhost>\\nDescription: empty\\n"
)

files.directory(name="files.directory: for everything", path=FOLDER)
apt.update(name="apt.update: at most once a day", cache_time=86400)
apt.packages(
    name="apt.packages: from the PC's own sources",
    packages=["cron", "git", "gpg", "net-tools"],
    no_recommends=True,
    _env={"LC_ALL": "C"},
)
apt.packages(name="apt.packages: removed with its settings", packages=["less"], present=False, purge=True)
server.packages(name="server.packages: by whatever manager there is", packages=["tree"], _sudo=True)
apt.key(
    name="apt.key: a key ring of the PC", src="/usr/share/keyrings/debian-archive-keyring.gpg", dest="stock-lab.gpg"
)
apt.sources_file(
    name="apt.sources_file: a folder as source",
    filename="stock-lab",
    uris=f"file:{FOLDER}/apt",
    suites="./",
    signed_by="/etc/apt/keyrings/stock-lab.gpg",
)
apt.repo(name="apt.repo: a folder as source", src=f"deb [trusted=yes] file:{FOLDER}/more ./", filename="stock-repo")
server.shell(
    name="server.shell: build a package",
    commands=[
        "mkdir -p deb/DEBIAN",
        f"printf '{CONTROL}' > deb/DEBIAN/control",
        f"dpkg-deb --root-owner-group --build deb {DEB}",
        "rm -r deb",
    ],
    _chdir=FOLDER,
    _env={"SOURCE_DATE_EPOCH": "0"},
)
apt.deb(name="apt.deb: the built package", src=DEB)
crontab.crontab(name="crontab.crontab: of root", command="/bin/true", cron_name="stock lab", minute="17", hour=[2, 14])
crontab.crontab(
    name="crontab.crontab: of another user",
    command="echo \"50% of 'it'\" >/dev/null",
    user="operator",
    special_time="@daily",
)
server.script_template(
    name="server.script_template: a repository", src=str(DATA / "origin.sh.j2"), folder=f"{FOLDER}/origin"
)
git.repo(name="git.repo: cloned from a folder", src=f"{FOLDER}/origin", dest=f"{FOLDER}/clone", branch="main")
git.config(name="git.config: for the machine", key="user.email", value="lab@localhost", system=True)
