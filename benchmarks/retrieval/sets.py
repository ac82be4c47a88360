"""Sets of questions whose right documents are known, in BEIR's form, made at run time of texts that others publish.

`debian-fr`, `debian-en`: sections of Debian's reference (package, GPL-2+), asked by `questions.tsv`; `nothing.tsv` has no answer there.
`faq-fr`: a public French FAQ with questions of people, from a checkout of etalab-ia/piaf-ml (repository, MIT).
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

HERE = Path(__file__).parent
VERSION = "2.100"  # of debian-reference-fr and -en, as Debian 12 has them
_WORDS = 20  # a section with fewer is a heading over others
_FAQ = "clients/cnil/knowledge_base/"
_FAQ_FILES = {
    "squad.json": "8cb051979ede97e349b066f31487888647562a6d680c8e5dc35be2e5d38c2efb",
    "raw_and_preparation/epitca_perf_V2.json": "9a2f13e916ab8ea09a78a0afd55aec38740683c3bf7dddfa3b7e9b191361f672",
}
Rows = list[dict[str, str]]


@dataclass
class Set:
    """`right`: for each question the ids of the documents that answer it, none for one without an answer."""

    name: str
    corpus: Rows
    asked: dict[str, str] = field(default_factory=dict)
    right: dict[str, list[str]] = field(default_factory=dict)

    def add(self, text: str, right: Iterable[str]) -> None:
        """One more question."""
        number = f"q{len(self.asked)}"
        self.asked[number], self.right[number] = text, list(right)

    def written(self, folder: Path) -> tuple[Path, Path, Path]:
        """Corpus, questions and judgements as files."""
        qrels = [f"{number}\t{one}\t1" for number, those in self.right.items() for one in those]
        qrels += [f"{number}\t-\t0" for number, those in self.right.items() if not those]
        contents = {
            "corpus.jsonl": "\n".join(json.dumps(row) for row in self.corpus),
            "queries.jsonl": "\n".join(
                json.dumps({"_id": number, "text": text}) for number, text in self.asked.items()
            ),
            "qrels.tsv": "\n".join(qrels),
        }
        paths = [folder / name for name in contents]
        for path, content in zip(paths, contents.values(), strict=True):
            path.write_text(content, "utf-8")
        return paths[0], paths[1], paths[2]


class _Sections(HTMLParser):
    """Sections of a page that DocBook made: id, title and text of each."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Rows = []
        self._heading = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if re.fullmatch("h[1-6]", tag) and named.get("class") == "title":
            self.found.append({"_id": "", "title": "", "text": ""})
            self._heading = tag
        elif self._heading and tag == "a" and named.get("id"):
            self.found[-1]["_id"] = str(named["id"])

    def handle_endtag(self, tag: str) -> None:
        if tag == self._heading:
            self._heading = ""
        elif self.found and not self._heading and tag in {"p", "pre", "li", "td", "dt", "dd", "div"}:
            self.found[-1]["text"] += "\n\n" if tag in {"p", "pre"} else "\n"

    def handle_data(self, data: str) -> None:
        if self.found:
            self.found[-1]["title" if self._heading else "text"] += data


def _tidy(row: dict[str, str]) -> dict[str, str]:
    title = re.sub(r"^(Chapitre |Chapter )?[\d.]+\s*", "", " ".join(row["title"].split()))
    text = re.sub(r"\n\s*\n+", "\n\n", re.sub(r"[ \t]+", " ", row["text"])).strip()
    return {"_id": row["_id"], "title": title, "text": text}


def sections(language: str) -> Rows:
    """Debian's reference in "fr" or "en", section by section. Raise OSError, subprocess.CalledProcessError."""
    name = f"debian-reference-{language}"
    with tempfile.TemporaryDirectory(prefix="retrieval-") as folder:
        subprocess.run(
            ["apt-get", "download", "-qq", f"{name}={VERSION}"], cwd=folder, check=True, stderr=subprocess.DEVNULL
        )
        [package] = Path(folder).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        pages = sorted(Path(folder, "usr/share/debian-reference").glob(f"ch*.{language}.html"))
        found = [row for page in pages for row in _sections_of(page.read_text("utf-8"))]
    return [row for row in map(_tidy, found) if len(row["text"].split()) >= _WORDS]


def _sections_of(page: str) -> Rows:
    reader = _Sections()
    reader.feed(page)
    return reader.found


def debian(language: str) -> Set:
    """The reference with the questions of this folder."""
    made, column = Set(f"debian-{language}", sections(language)), {"fr": 0, "en": 1}[language]
    for line in (HERE / "questions.tsv").read_text("utf-8").splitlines():
        right, *texts = line.split("\t")
        made.add(texts[column], right.split())
    for line in (HERE / "nothing.tsv").read_text("utf-8").splitlines():
        made.add(line.split("\t")[column], ())
    return made


def faq(checkout: Path) -> Set:
    """The FAQ with its questions of people; those of `nothing.tsv` are asked too. Raise OSError, ValueError for another content."""
    base = checkout / _FAQ
    for name, pin in _FAQ_FILES.items():
        if hashlib.sha256((base / name).read_bytes()).hexdigest() != pin:
            raise ValueError(f"{base / name}: another content than the one that was measured")
    entries, asked = (json.loads((base / name).read_text("utf-8")) for name in _FAQ_FILES)
    made, ids = Set("faq-fr", []), {}  # type: Set, dict[str, list[str]]
    for number, entry in enumerate(entries["data"]):
        pages = entry["paragraphs"]
        row = {"_id": f"{entry['id']}.{number}", "title": pages[0]["qas"][0]["question"]}
        made.corpus.append(row | {"text": "\n\n".join(page["context"] for page in pages)})
        ids.setdefault(str(entry["id"]), []).append(row["_id"])
    for entry in asked:
        for one in entry["epitca"] if str(entry["expected"]) in ids else ():  # of three the document is not there
            made.add(one["question"], ids[str(entry["expected"])])
    for line in (HERE / "nothing.tsv").read_text("utf-8").splitlines():
        made.add(line.split("\t")[0], ())
    return made


def sets(checkout: Path | None) -> list[Set]:
    """All that can be had here; what cannot is said."""
    found = []
    if not shutil.which("dpkg-deb"):
        print("debian-fr, debian-en are left out: they come as packages of Debian", file=sys.stderr)
    else:
        found += [debian("fr"), debian("en")]
    if checkout:
        found.append(faq(checkout))
    else:
        print("faq-fr is left out: --faq names a checkout of etalab-ia/piaf-ml", file=sys.stderr)
    return found
