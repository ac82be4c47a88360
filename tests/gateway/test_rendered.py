"""What a reader of Markdown makes of a filtered answer: no address of somebody else's, no tag that acts. A genuine one, HTML let in."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import html
from markdown_it import MarkdownIt

from .test_links import ACTIVE, ALLOWED, BROKEN, FORMS, KEPT, PIECES, PLAIN, passed

READER = MarkdownIt("commonmark", {"html": True})
setattr(READER, "validateLink", lambda url: True)  # noqa: B010  its own choice of addresses is not what is tested
ADDRESSES = {"href", "src", "poster", "background", "action", "formaction", "data", "cite", "ping", "srcset", "style"}
ACTING = {"script", "style", "iframe", "svg", "math", "object", "embed", "base", "meta", "link", "form", "template"}
FOREIGN = re.compile(
    r"[\s,(]*(?:(?:https?|ftp|wss?):|[/\\]{2}|(?:javascript|data|file|mailto|vbscript):)", re.IGNORECASE
)
OWN = re.compile(rf"https?://(?:{'|'.join(map(re.escape, ALLOWED))})\.?(?::\d+)?(?:[/?#]|[^\w@%-]*\Z)", re.IGNORECASE)
AROUND = [
    "{}",
    "> {}",
    "- {}",
    "<div>\n{}\n</div>",
    "`a` {} `b`",
    "[{}](x)",
    "{} <b>",
    "*{}*",
    "    x\n\n{}",
]


def fetched(text: str) -> list[str]:
    """What the page of a text would fetch, lead to, or run."""
    found = []
    for element in html.fragments_fromstring(f"<div>{READER.render(text)}</div>")[0].iter():
        if not isinstance(element.tag, str):
            continue
        found += [f"<{element.tag}>"] * (element.tag in ACTING)
        for name, value in element.attrib.items():
            tight = re.sub(r"[\t\n\r]", "", value)
            is_foreign = name in ADDRESSES and FOREIGN.match(tight) and not OWN.match(tight)
            is_hidden = name in ("style", "srcset") and re.search(r"url\(|//", tight)
            if is_foreign or is_hidden or (name.startswith("on") and value):
                found.append(f"{name}={tight}")
    return found


def test_the_reader_sees_what_is_tested() -> None:
    """Without the filter, most forms are a request, a link or a script to this one reader too: it is no witness that is blind."""
    forms = FORMS + BROKEN + ACTIVE
    assert len([form for form in forms if fetched(form)]) > len(forms) / 2
    assert not any(map(fetched, PLAIN + KEPT))


@pytest.mark.parametrize("form", FORMS + BROKEN + ACTIVE)
def test_no_form_is_left_wherever_it_stands(form: str) -> None:
    for around in AROUND:
        out = passed([around.format(form)])
        assert fetched(out) == [], out


MORE = [
    "> ",
    "\n> ",
    "\n\n",
    "<b ",
    "<p style=",
    "<!--",
    "-->",
    "`",
    "[r]:",
    "![a][r]",
    "src=",
    "title='",
    "//evil.example/S",
]


@pytest.mark.lab
@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(PIECES + MORE + FORMS), max_size=14).map("".join))
def test_whatever_is_put_together(text: str) -> None:
    out = passed([text])
    assert fetched(out) == [], out
