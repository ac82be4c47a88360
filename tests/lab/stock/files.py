"""Files, folders and links: made, changed, fetched."""

from io import BytesIO, StringIO

from pyinfra import host
from pyinfra.operations import files, server

from tests.lab.stock import DATA, FOLDER, LEFT_BY_SSH, PORT

BYTES = bytes(range(256)) * 4
SITE = str(DATA / "site")
STRANGE = f'{FOLDER}/put/it\'s a "file" $HOME é.txt'
OWNED = {"user": "stock", "group": "stock"}

files.directory(name="files.directory: with mode and owner", path=f"{FOLDER}/put", mode="750", **OWNED)
files.put(name="files.put: bytes", src=BytesIO(BYTES), dest=f"{FOLDER}/put/bytes", mode="640", **OWNED)
files.put(name="files.put: text, mode left to the PC", src=StringIO("déjà vu\n"), dest=f"{FOLDER}/put/text")
files.put(name="files.put: nothing", src=BytesIO(b""), dest=f"{FOLDER}/put/empty")
files.put(name="files.put: three megabytes", src=BytesIO(BYTES * 3072), dest=f"{FOLDER}/put/large")
files.put(name="files.put: under a strange name", src=StringIO("strange\n"), dest=STRANGE)
files.put(name="files.put: below the home folder", src=StringIO("home\n"), dest="stock-relative.txt")
files.put(
    name="files.put: with a time of its own",
    src=StringIO("old\n"),
    dest=f"{FOLDER}/put/old",
    mtime="2026-01-01T00:00:00Z",
)
files.put(name="files.put: into a folder", src=str(DATA / "record.sh"), dest=f"{FOLDER}/put", mode=True)
files.put(name="files.put: into folders not there yet", src=StringIO("deep\n"), dest=f"{FOLDER}/put/a/b/deep", **OWNED)
files.file(name="files.file: the target of a link", path=f"{FOLDER}/put/target", mode="600", **OWNED)
files.link(name="files.link: to a file", path=f"{FOLDER}/put/link", target="target")
files.put(name="files.put: through a link", src=StringIO("behind the link\n"), dest=f"{FOLDER}/put/link")
server.shell(
    name="server.shell: a file with two names, once",
    commands=f"test -e {FOLDER}/put/first || {{ echo old > {FOLDER}/put/first; ln {FOLDER}/put/first {FOLDER}/put/second; }}",
)
files.put(name="files.put: over a second name", src=StringIO("both\n"), dest=f"{FOLDER}/put/second")
files.put(
    name="files.put: with sudo as another",
    src=StringIO("by sudo\n"),
    dest="/home/stock/by-sudo",
    _sudo=True,
    _sudo_user="stock",
)
files.put(name="files.put: with su as another", src=StringIO("by su\n"), dest="/home/stock/by-su", _su_user="stock")
files.put(
    name="files.put: refused to another",
    src=StringIO(LEFT_BY_SSH),
    dest="/root/never",
    _su_user="stock",
    _ignore_errors=True,
)
files.template(
    name="files.template: with values", src=str(DATA / "greeting.j2"), dest=f"{FOLDER}/put/greeting", mode="600",
    who="l'équipe", numbers=[1, 2, 3],
)  # fmt: skip

LINES = f"{FOLDER}/lines"
files.put(name="files.put: lines, once", src=StringIO("one\ntwo\nthree\n"), dest=f"{LINES}.orig")
server.shell(name="server.shell: copy the lines, once", commands=f"test -e {LINES} || cp {LINES}.orig {LINES}")
files.line(name="files.line: added", path=LINES, line="four = 'quoted' & more")
files.line(name="files.line: replaced", path=LINES, line="^two.*", replace='two = "2"')
files.line(name="files.line: removed", path=LINES, line="^three$", present=False)
files.replace(name="files.replace: in place", path=LINES, text="one", replace="o/n&e")
files.block(
    name="files.block: added", path=LINES, content=["first é", "second $HOME `id`"], try_prevent_shell_expansion=True
)
WINDOWS_LINES = f"{FOLDER}/windows-lines"
server.shell(
    name="server.shell: lines as Windows ends them, once",
    commands=f"test -e {WINDOWS_LINES} || printf 'one\\r\\ntwo\\r\\n' > {WINDOWS_LINES}",
)
files.line(name="files.line: among lines of Windows", path=WINDOWS_LINES, line="three")
files.block(name="files.block: among lines of Windows", path=WINDOWS_LINES, content="four\r")

files.sync(
    name="files.sync: a folder",
    src=SITE,
    dest=f"{FOLDER}/site",
    exclude_dir="old",
    delete=True,
    mode="644",
    dir_mode="755",
)
files.copy(name="files.copy: a file", src=f"{FOLDER}/put/bytes", dest=f"{FOLDER}/put/a")
files.directory(name="files.directory: to move into", path=f"{FOLDER}/moved")
files.file(name="files.file: touched again", path=f"{FOLDER}/to-move", touch=True)
files.move(name="files.move: over what is there", src=f"{FOLDER}/to-move", dest=f"{FOLDER}/moved", overwrite=True)
files.directory(name="files.directory: owner of all below", path=f"{FOLDER}/moved", recursive=True, **OWNED)
files.file(name="files.file: gone", path="/etc/issue.net", present=False)
files.directory(name="files.directory: gone", path="/usr/share/doc/curl", present=False)
files.link(name="files.link: gone", path="/etc/os-release", present=False)
files.directory(name="files.directory: to unpack into", path=f"{FOLDER}/unpacked")
files.unarchive(
    name="files.unarchive: sent and unpacked",
    src=host.data.stock_archive,
    dest=f"{FOLDER}/unpacked",
    creates=f"{FOLDER}/unpacked/site/index.html",
    **OWNED,
)
files.download(
    name="files.download: over loopback",
    src=f"http://127.0.0.1:{PORT}/index.html",
    dest=f"{FOLDER}/downloaded.html",
    sha256sum=host.data.stock_sha256,
    mode="600",
)
for what, path in (
    ("bytes", f"{FOLDER}/put/bytes"),
    ("three megabytes", f"{FOLDER}/put/large"),
    ("shadow", "/etc/shadow"),
):
    files.get(name=f"files.get: {what}", src=path, dest=f"{host.data.stock_fetched}/{what}", create_local_dir=True)
files.get(
    name="files.get: with sudo as another", src="/home/stock/by-sudo", dest=f"{host.data.stock_fetched}/by-sudo",
    _sudo=True, _sudo_user="stock",
)  # fmt: skip
