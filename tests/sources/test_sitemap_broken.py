"""Every kind of broken sitemap ends as it should: read whole, or refused with a reason; never in between."""

from __future__ import annotations

import gzip
import zlib

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocd.core.errors import OcdError
from ocd.sources.sitemaps import reader
from tests.factories.clock import NOW
from tests.factories.sitemaps import HEAD, NS, entry, index, urlset
from tests.sources.broken import SHOP, serving

S = SHOP.decode()
GOOD = urlset(*(entry(f"{S}/{slug}") for slug in "abc"))


def bomb(size):
    packer = zlib.compressobj(wbits=31)
    blocks = [packer.compress(GOOD[:-9].encode())]
    blocks += [packer.compress(b" " * 2**20) for _ in range(size)]
    return b"".join([*blocks, packer.flush()])


def doctype(entity):
    return f'<?xml version="1.0"?><!DOCTYPE urlset [{entity}]><urlset {NS}><url><loc>{S}/&e;</loc></url></urlset>'


PRIVATE = (
    "http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:6379/", "http://[::1]/x.xml", "http://10.0.0.5/s.xml",
    "http://0x7f000001/s.xml", "http://localhost./s.xml", "file:///etc/passwd", "ftp://shop.example/s.xml",
)  # fmt: skip
#: name → (body, URLs when it is read, or why it is refused)
FILES = {
    "plain.xml": (GOOD, 3),
    "utf8_bom.xml": ("\ufeff" + GOOD, 3),
    "leading_blank_lines.xml": ("\n\n" + GOOD, 3),
    "no_namespace.xml": (GOOD.replace(NS, ""), 3),
    "prefixed.xml": (f'<s:urlset xmlns:s="n"><s:url><s:loc>{S}/a</s:loc></s:url></s:urlset>', 1),
    "gzipped.xml.gz": (gzip.compress(GOOD.encode()), 3),
    "two_members.xml.gz": (gzip.compress(GOOD[:200].encode()) + gzip.compress(GOOD[200:].encode()), 3),
    "plain_named_gz.xml.gz": (GOOD, 3),
    "gzipped_named_xml.xml": (gzip.compress(GOOD.encode()), 3),
    "duplicates.xml": (urlset(*(entry(f"{S}/{slug}") for slug in "abcab")), 3),
    "text.txt": (f"{S}/a\n\n{S}/b\r\n{S}/a\n", 2),
    "cdata.xml": (urlset(entry(f"<![CDATA[{S}/?a=1&b=2]]>")), 1),
    "odd_locations.xml": (urlset(*(entry(one) for one in (f"{S}/a", "", "/b", "javascript:x", f"{S}/a b", f"{S}/{'x' * 2048}"))), 1),
    "odd_lastmods.xml": (urlset(*(entry(f"{S}/{n}", raw) for n, raw in enumerate(("2026-11", "soon", "2026-02-30")))), 3),
    "rss.xml": (f"<rss><channel><item><link>{S}/a</link></item></channel></rss>", 1),
    "atom.xml": (f'<feed xmlns="http://www.w3.org/2005/Atom"><entry><link href="{S}/a"/></entry></feed>', 1),
    "index.xml": (index(f"{S}/plain.xml", f"{S}/text.txt"), 3),
    "empty.xml": ("", "empty body"),
    "blanks.xml": (" \n" * 500, "empty body"),
    "no_urls.xml": (urlset(), "no URL at all"),
    "password_page.xml": ("<!DOCTYPE html><html><title>Password</title></html>", "HTML page"),
    "challenge.xml": ("\n<HTML><body>Checking your browser</body></HTML>", "HTML page"),
    "error.json": ('{"errors":"Not Found"}', "not well-formed"),
    "truncated.xml": (GOOD[: len(GOOD) // 2], "not well-formed at line"),
    "truncated.xml.gz": (gzip.compress(GOOD.encode())[:-9], "truncated gzip"),
    "damaged.xml.gz": (gzip.compress(GOOD.encode())[:20] + b"\0" * 30, "gzip"),
    "double.xml.gz": (gzip.compress(gzip.compress(GOOD.encode())), "gzip inside gzip"),
    "trailing.xml.gz": (gzip.compress(GOOD.encode()) + b"more", "something else"),
    "ampersand.xml": (urlset(entry(f"{S}/?a=1&b=2")), "line 2, column"),
    "invalid_utf8.xml": (GOOD.encode().replace(b"/b", b"/\xff"), "not well-formed"),
    "billion_laughs.xml": (doctype('<!ENTITY a "aaaa"><!ENTITY e "&a;&a;&a;&a;">'), "DOCTYPE"),
    "external_entity.xml": (doctype('<!ENTITY e SYSTEM "file:///etc/passwd">'), "DOCTYPE"),
    "deep.xml": (f"<urlset {NS}>{'<a>' * 3000}{'</a>' * 3000}</urlset>", "nested too deeply"),
    "another_root.xml": ("<opml><body/></opml>", "root element"),
    "after_the_end.xml": (GOOD + "<urlset/>", "not well-formed"),
    "bomb.xml.gz": (bomb(60), "expands beyond|50 MiB"),
    "all_odd.xml": (urlset(entry("/a"), entry("")), "no usable location"),
    "elsewhere.xml": (urlset(entry("https://other.example/a")), "another host"),
    "nested_index.xml": (index(f"{S}/index.xml"), "index within an index"),
    "self_index.xml": (index(f"{S}/self_index.xml"), "names itself"),
    "loop_a.xml": (index(f"{S}/loop_b.xml"), "index within an index"),
    "loop_b.xml": (index(f"{S}/loop_a.xml"), "index within an index"),
    "private_index.xml": (index(*PRIVATE), "files that are not fetched"),
    "foreign_index.xml": (index("https://other.example/a.xml"), "another host"),
    "half_index.xml": (index(f"{S}/plain.xml", f"{S}/truncated.xml"), "not well-formed"),
    "missing_child.xml": (index(f"{S}/plain.xml", f"{S}/nowhere.xml"), "answered 404"),
    "many_children.xml": (index(*(f"{S}/{n}.xml" for n in range(51))), "more than 50 files"),
}  # fmt: skip


@pytest.fixture(scope="module")
def outcome():
    bodies = {
        name: body.encode() if isinstance(body, str) else body for name, (body, _) in FILES.items()
    }
    with serving(bodies) as read:
        yield read


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_is_classed_as_it_should_be(outcome, name):
    _, expected = FILES[name]

    found = outcome(name)

    if isinstance(expected, int):
        assert (found.error, found.urls) == ("", expected)
    else:
        assert found.is_refused
        assert any(part in found.error for part in expected.split("|")), found.error
        assert "root:" not in found.error


@pytest.mark.parametrize(
    "name", ["private_index.xml", "foreign_index.xml", "many_children.xml", "self_index.xml"]
)
def test_an_index_that_is_refused_has_none_of_its_files_fetched(outcome, name):
    assert outcome(name).asked == (f"/{name}",)


def test_there_are_enough_kinds():
    assert len(FILES) >= 47


def fed(chunks):
    """Read chunks as the site's own; returns the URLs, or None where they are refused."""
    found = []
    try:
        reader.read(chunks, found.append, hosts=frozenset({"shop.example"}), now=NOW)
    except OcdError:
        return None
    return [one.loc for one in found]


PARTS = st.sampled_from([
    b"<urlset>", b"</urlset>", b"<url>", b"</url>", b"<loc>", b"</loc>", b"<lastmod>", b"</lastmod>", b"<rss>",
    b"<channel>", b"<item>", b"<link>", b"</link>", b"</item>", b"<feed>", b"<entry>", b"<link href='https://shop.example/x'/>",
    b"</entry>", b"</feed>", b"<sitemapindex>", b"<sitemap>", b"<image>", b"</image>", b"<title>", b"https://shop.example/a",
    b"&amp;", b"&", b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<!DOCTYPE x [", b"<!ENTITY a 'b'>", b"<?xml version='1.0'?>",
    b"\xff\xfe", b"\x1f\x8b\x08", b"\0", b"2026-11-01", b"\n", b" " * 70, "é".encode(), b"<x:y xmlns:x='z'>",
])  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PARTS | st.binary(max_size=12), max_size=40), st.integers(1, 30))
def test_anything_at_all_is_read_or_refused_alike_in_any_pieces(parts, size):
    body = b"".join(parts)

    whole = fed([body])

    assert fed([body[at : at + size] for at in range(0, len(body), size)]) == whole


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_good_file_with_a_few_bytes_changed_is_read_or_refused(data):
    body = bytearray(
        data.draw(st.sampled_from([GOOD.encode(), gzip.compress(GOOD.encode(), mtime=0)]))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    found = fed([bytes(body)])

    assert found is None or all(loc.startswith("https://shop.example") for loc in found)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(GOOD) - 1))
def test_no_truncated_file_counts_as_whole(end):
    assert fed([GOOD.encode()[:end]]) is None


def grown_mb(chunks):
    process = psutil.Process()
    before = process.memory_info().rss
    fed(chunks)
    return (process.memory_info().rss - before) / 1e6


def test_fifty_thousand_urls_and_bombs_take_no_memory_to_speak_of():
    """15 MB is the bar; nothing is kept here but what the reader itself holds."""
    part = "".join(entry(f"{S}/products/{n}", "2026-11-01", f"{S}/{n}.jpg") for n in range(1000))

    def sitemap():
        yield f"{HEAD}<urlset {NS}>".encode()
        for _ in range(50):
            yield part.encode()
        yield b"</urlset>"

    count = 0

    def counted(_):
        nonlocal count
        count += 1

    packed = [bomb(200)]
    process = psutil.Process()
    fed([GOOD.encode()])
    before = process.memory_info().rss
    reader.read(sitemap(), counted, hosts=frozenset({"shop.example"}), now=NOW)
    grown = (process.memory_info().rss - before) / 1e6

    assert count == 50_000
    assert grown <= 15
    assert grown_mb(packed) <= 15
