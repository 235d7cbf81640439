"""The reader over generated sitemaps, whole and in pieces of seven bytes."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta, timezone

import pytest

from ocd.core.errors import ContractBroken
from ocd.sources.sitemaps import reader
from tests.factories.clock import NOW

NS = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
HOSTS = frozenset({"shop.test"})
A, B, C = (f"https://shop.test/{name}" for name in "abc")


def urlset(*locs, ns=NS, head=HEAD):
    urls = "".join(f"<url><loc>{loc}</loc></url>" for loc in locs)
    return f"{head}<urlset {ns}>{urls}</urlset>".encode()


def split(body, size):
    return [body[at : at + size] for at in range(0, len(body), size)]


def read_all(chunks):
    """Return (entries, what the reader says of the file)."""
    entries = []
    return entries, reader.read(chunks, entries.append, hosts=HOSTS, now=NOW)


def read(body, size=None):
    return read_all(split(body, size) if size else [body])


def locs(entries):
    return [entry.loc for entry in entries]


GOOD = urlset(A, B, C)
pieces = pytest.mark.parametrize("size", [None, 1, 7, 64], ids=["whole", "1", "7", "64"])

ACCEPTED = {
    "plain": (GOOD, [A, B, C], {}),
    "no url": (urlset(), [], {"file without URLs": 1}),
    "BOM": (b"\xef\xbb\xbf" + GOOD, [A, B, C], {}),
    "no declaration": (urlset(A, head=""), [A], {}),
    "no namespace": (urlset(A, ns=""), [A], {"no namespace": 1}),
    "leading blank line": (b"\n \r\n" + GOOD, [A, B, C], {"blank before the XML declaration": 1}),
    "forty blank lines": (b"\n" * 40 + GOOD, [A, B, C], {"blank before the XML declaration": 1}),
    "prefixed namespace": (
        (
            f'{HEAD}<s:urlset xmlns:s="http://www.sitemaps.org/schemas/sitemap/0.9"><s:url>'
            f"<s:loc>{A}</s:loc></s:url></s:urlset>"
        ).encode(),
        [A],
        {},
    ),
    "escaped ampersand": (
        urlset("https://shop.test/?a=1&amp;b=2"),
        ["https://shop.test/?a=1&b=2"],
        {},
    ),
    "CDATA": (urlset(f"<![CDATA[{A}]]>"), [A], {}),
    "white space around": (urlset(f"\n  {A}\n"), [A], {"location with white space around it": 1}),
    "latin-1 as declared": (
        '<?xml version="1.0" encoding="ISO-8859-1"?><urlset><url><loc>https://shop.test/é'
        "</loc></url></urlset>".encode("latin-1"),
        ["https://shop.test/é"],
        {"no namespace": 1},
    ),
    "UTF-16": (urlset(A, head="").decode().encode("utf-16"), [A], {}),
    "gzip": (gzip.compress(GOOD), [A, B, C], {}),
    "two gzip members": (gzip.compress(GOOD[:150]) + gzip.compress(GOOD[150:]), [A, B, C], {}),
    "duplicates": (urlset(A, B, A), [A, B, A], {}),
    "text": (f"{A}\n{B}\r\n\n".encode(), [A, B], {}),
    "text with a BOM": (b"\xef\xbb\xbf" + f"{A}\n".encode(), [A], {}),
    "text, two gzip members": (
        gzip.compress(f"{A}\n".encode()) + gzip.compress(f"{B}\n".encode()),
        [A, B],
        {},
    ),
    "short text": (b"http://shop.test", ["http://shop.test"], {}),
    "fragment": (urlset(f"{A}#top"), [A], {"location with a fragment": 1}),
    "default port": (urlset("https://shop.test:443/a"), [A], {"location with the default port": 1}),
    "capitals in the host": (urlset("https://Shop.TEST/a"), [A], {}),
    "www": (urlset("https://www.shop.test/a"), ["https://www.shop.test/a"], {}),
}


@pieces
@pytest.mark.parametrize("name", ACCEPTED)
def test_a_sitemap_is_read_alike_in_any_pieces(name, size):
    body, expected, warnings = ACCEPTED[name]

    entries, parsed = read(body, size)

    assert locs(entries) == expected
    assert dict(parsed.warnings) == warnings
    assert not parsed.is_index


BOMB = f"""<?xml version="1.0"?><!DOCTYPE urlset [<!ENTITY a "{"x" * 50}">{
    "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
}]><urlset {NS}><url><loc>https://shop.test/&i;</loc></url></urlset>""".encode()
XXE = (
    '<?xml version="1.0"?><!DOCTYPE urlset [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    f"<urlset {NS}><url><loc>https://shop.test/&f;</loc></url></urlset>"
).encode()

REFUSED = {
    "empty": (b"", "empty"),
    "blank": (b"\n  \n" * 40, "empty"),
    "HTML": (b"<!DOCTYPE html><html><title>Password</title></html>", "HTML"),
    "HTML without a doctype": (b"\n<HTML><body>Checking your browser</body></HTML>", "HTML"),
    "HTML after a comment": (b"<!-- shop --><html><body/></html>", "HTML"),
    "truncated": (GOOD[:150], "not well-formed at line"),
    "unescaped ampersand": (urlset("https://shop.test/?a=1&b=2"), "line 2"),
    "billion laughs": (BOMB, "DOCTYPE"),
    "external entity": (XXE, "DOCTYPE"),
    "invalid UTF-8": (GOOD.replace(b"/b", b"/\xff"), "not well-formed"),
    "another root": (b"<opml version='2.0'><body/></opml>", "opml"),
    "truncated gzip": (gzip.compress(GOOD)[:-12], "truncated gzip|not well-formed"),
    "gzip without its end": (gzip.compress(GOOD)[:-4], "truncated gzip"),
    "damaged gzip": (gzip.compress(GOOD)[:20] + b"\0" * 40, "gzip"),
    "double gzip": (gzip.compress(gzip.compress(GOOD)), "gzip inside gzip"),
    "nested too deeply": (f"<urlset {NS}>{'<a>' * 2000}{'</a>' * 2000}</urlset>".encode(), "deep"),
    "JSON": (b'{"error": "not found"}', "not well-formed"),
    "text that is not UTF-8": (A.encode() + b"\n\xff\xfe\n", "UTF-8"),
    "something after the end": (GOOD + b"<urlset/>", "not well-formed"),
}


@pieces
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_sitemap_is_refused_alike_in_any_pieces(name, size):
    body, reason = REFUSED[name]

    with pytest.raises(ContractBroken, match=reason) as caught:
        read(body, size)

    assert "root:" not in str(caught.value)


@pytest.mark.parametrize("size", [None, 7])
def test_the_name_or_type_never_decides_whether_it_is_gzip(size):
    plain, packed = read(GOOD, size), read(gzip.compress(GOOD), size)

    assert plain == packed


def test_fewer_bytes_than_a_gzip_magic_are_no_crash():
    with pytest.raises(ContractBroken):
        read(b"\x1f")


def bomb(before):
    """Yield 200 MiB of spaces, packed, in chunks as the network gives them."""
    packer = zlib.compressobj(wbits=31)
    yield packer.compress(before)
    block = b" " * 2**20
    for _ in range(200):
        packed = packer.compress(block)
        if packed:
            yield packed
    yield packer.flush()


@pytest.mark.parametrize("before", [b"", GOOD[:-9]], ids=["spaces", "after urls"])
def test_a_gzip_bomb_is_stopped_early_in_little_memory(before):
    packed = list(bomb(before))
    taken = []
    tracemalloc.start()

    with pytest.raises(ContractBroken):
        read_all(taken.append(chunk) or chunk for chunk in packed)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20
    assert len(taken) < len(packed) / 2


def test_more_bytes_than_the_protocol_allows_are_refused():
    filler = b"<!--" + b"x" * 2**16 + b"-->"

    def endless():
        yield GOOD[:-9]
        while True:
            yield filler

    with pytest.raises(ContractBroken, match="50 MiB"):
        read_all(endless())


def test_more_urls_than_the_protocol_allows_are_refused(monkeypatch):
    monkeypatch.setattr(reader, "MAX_URLS", 2)

    assert locs(read(urlset(A, B))[0]) == [A, B]
    with pytest.raises(ContractBroken, match="more than"):
        read(GOOD)


ODD = {
    "": "empty location",
    "/relative": "location not absolute http(s)",
    "//shop.test/a": "location not absolute http(s)",
    "ftp://shop.test/a": "location not absolute http(s)",
    "javascript:alert(1)": "location not absolute http(s)",
    "https:///a": "location not absolute http(s)",
    "https://shop.test/a b": "location with white space inside",
    "https://shop.test/" + "a" * 2048: "location too long",
    "https://user:word@shop.test/a": "location with credentials",
    "https://other.test/a": "location on another host",
    "https://shop.test:8443/a": "location on another host",
    "https://[::1/a": "location is no URL",
}


@pytest.mark.parametrize("size", [None, 7])
@pytest.mark.parametrize("loc", ODD, ids=lambda loc: loc[:24] or "empty")
def test_an_odd_location_is_left_out_and_counted(loc, size):
    entries, parsed = read(urlset(A, loc, B), size)

    assert locs(entries) == [A, B]
    assert dict(parsed.warnings) == {ODD[loc]: 1}


def test_every_odd_location_is_counted_by_kind():
    entries, parsed = read(urlset(A, *ODD))

    assert locs(entries) == [A]
    assert sum(parsed.warnings.values()) == len(ODD)


def test_a_file_without_any_usable_location_is_refused():
    with pytest.raises(ContractBroken, match="no usable location"):
        read(urlset(*ODD))


def test_a_url_without_a_location_is_counted():
    url = "<url><lastmod>2026</lastmod></url>"

    _, parsed = read(urlset(A).replace(b"</urlset>", f"{url}</urlset>".encode()))

    assert dict(parsed.warnings) == {"empty location": 1}


def test_an_index_gives_its_children_as_they_stand():
    children = "".join(f"<sitemap><loc>{loc}</loc></sitemap>" for loc in (A, "/b"))

    entries, parsed = read(f"<sitemapindex {NS}>{children}</sitemapindex>".encode())

    assert (parsed.is_index, parsed.children, entries) == (True, [A, "/b"], [])


def dated(lastmod):
    return f"<urlset {NS}><url><loc>{A}</loc><lastmod>{lastmod}</lastmod></url></urlset>".encode()


@pytest.mark.parametrize(
    ("raw", "instant"),
    [
        ("2026", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-10", datetime(2026, 10, 1, tzinfo=UTC)),
        ("2026-10-09", datetime(2026, 10, 9, tzinfo=UTC)),
        ("2026-10-09T08:30Z", datetime(2026, 10, 9, 8, 30, tzinfo=UTC)),
        ("2026-10-09T08:30:15Z", datetime(2026, 10, 9, 8, 30, 15, tzinfo=UTC)),
        ("2026-10-09T08:30:15.25Z", datetime(2026, 10, 9, 8, 30, 15, 250000, tzinfo=UTC)),
        (
            "2026-10-09T08:30:15-05:00",
            datetime(2026, 10, 9, 8, 30, 15, tzinfo=timezone(timedelta(hours=-5))),
        ),
    ],
)
def test_a_w3c_date_is_an_instant(raw, instant):
    (entry,), parsed = read(dated(raw))

    assert (entry.lastmod_raw, entry.lastmod_at) == (raw, instant)
    assert not parsed.warnings


@pytest.mark.parametrize(
    "raw",
    [
        "yesterday", "2026-13-01", "2026-02-30", "09.10.2026", "10/09/2026", "2026-10-09T08:30:15",
        "1760000000", "Fri, 09 Oct 2026 08:30:15 GMT", "20261009", "2026-W41-5",
        "2026-10-09 08:30:15+00:00", "2026-10-09T25:00:00Z", "²²²²",
        "0001-01-01T00:00+14:00", "0000-00-00", "2026-10-09T08:30:15-0500",
    ],
)  # fmt: skip
def test_another_date_keeps_the_url_and_the_raw_text(raw):
    (entry,), parsed = read(dated(raw))

    assert (entry.lastmod_raw, entry.lastmod_at) == (raw, None)
    assert dict(parsed.warnings) == {"lastmod is no W3C datetime": 1}


def fingerprint(extra):
    body = f'<urlset {NS} xmlns:image="i"><url><loc>{A}</loc>{extra}</url></urlset>'
    return read(body.encode())[0][0].fingerprint


def test_the_fingerprint_follows_the_image_not_the_lastmod():
    image = "<image:image><image:loc>https://shop.test/{}.jpg</image:loc></image:image>"

    assert fingerprint("") == fingerprint("<lastmod>2026</lastmod>")
    assert fingerprint("") != fingerprint(image.format(1))
    assert fingerprint(image.format(1)) != fingerprint(image.format(2))


def test_a_lastmod_in_the_future_is_no_instant():
    (entry,), parsed = read(dated("2099-01-01"))

    assert (entry.lastmod_raw, entry.lastmod_at) == ("2099-01-01", None)
    assert dict(parsed.warnings) == {"lastmod in the future": 1}


def test_a_single_huge_tag_is_refused():
    def endless():
        yield GOOD[:-9] + b"<!--"
        while True:
            yield b"x" * 2**16

    with pytest.raises(ContractBroken, match="tag or comment"):
        read_all(endless())


RSS = f"""{HEAD}<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel><title>Garage</title>
<link>https://shop.test/</link><atom:link href="https://shop.test/feed" rel="self"/>
<item><title>One</title><atom:link href="https://shop.test/x" rel="self"/><link> {A} </link>
<pubDate>Fri, 09 Oct 2026 08:30:15 GMT</pubDate><guid>1</guid></item>
<item><link>{B}</link></item></channel></rss>""".encode()
ATOM = f"""{HEAD}<feed xmlns="http://www.w3.org/2005/Atom"><link href="https://shop.test/"/><updated>2026-10-10T00:00:00Z</updated>
<entry><link rel="edit" href="https://shop.test/edit"/><link href="{A}"/><link rel="alternate" href="https://shop.test/b"/>
<updated>2026-10-09T08:30:15Z</updated></entry></feed>""".encode()
FEED = "a feed, which may name the newest pages only"


@pieces
def test_rss_is_read_and_flagged(size):
    entries, parsed = read(RSS, size)

    assert locs(entries) == [A, B]
    assert entries[0].lastmod_at == datetime(2026, 10, 9, 8, 30, 15, tzinfo=UTC)
    assert dict(parsed.warnings) == {FEED: 1, "location with white space around it": 1}


@pieces
def test_atom_is_read_and_flagged(size):
    (entry,), parsed = read(ATOM, size)

    assert (entry.loc, entry.lastmod_raw) == (A, "2026-10-09T08:30:15Z")
    assert dict(parsed.warnings) == {FEED: 1}


def test_a_feed_date_that_is_none_keeps_the_url():
    (entry, _), parsed = read(RSS.replace(b"Fri, 09 Oct 2026 08:30:15 GMT", b"lately"))

    assert (entry.lastmod_raw, entry.lastmod_at) == ("lately", None)
    assert parsed.warnings["lastmod is no W3C datetime"] == 1


def test_the_first_image_is_kept_and_every_one_counts():
    images = "".join(
        f"<image:image><image:loc>https://cdn.test/{n}.jpg</image:loc><image:title>T{n}</image:title>"
        f"<image:caption>C{n}</image:caption></image:image>"
        for n in range(3)
    )
    body = f'<urlset {NS} xmlns:image="i"><url><loc>{A}</loc>{images}</url></urlset>'

    (entry,), _ = read(body.encode())

    assert (entry.image_loc, entry.image_title) == ("https://cdn.test/0.jpg", "T0")
    for part in ("T0", "C1", "cdn.test/2"):
        ((other,), _) = read(body.replace(part, "other").encode())
        assert other.fingerprint != entry.fingerprint


def test_an_element_within_a_location_does_not_end_it():
    (entry,), _ = read(urlset("https://shop.test/<b>bold</b>a"))

    assert entry.loc == "https://shop.test/bolda"
