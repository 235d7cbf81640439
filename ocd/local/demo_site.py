"""A small invented hot-rod parts shop, served on loopback, for the demo's sitemap snapshot.

Run it with `python -m ocd.local.demo_site --port 8099`.
"""

from __future__ import annotations

import argparse
import gzip
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

_PARTS = {
    "products": [
        f"{part}-{size}"
        for part in (
            "ptfe-hose",
            "an-fitting",
            "fuel-filter",
            "swivel-elbow",
            "bulkhead-union",
            "check-valve",
        )
        for size in ("4an", "6an", "8an", "10an", "12an", "16an")
    ],
    "collections": [
        "an-fittings",
        "fuel-pumps",
        "filters",
        "hoses",
        "brakes",
        "flathead-v8",
        "regulators",
    ],
    "pages": ["about", "sizing-guide", "shipping", "returns", "contact"],
    "blogs": [
        f"garage/{slug}"
        for slug in (
            "ls-swap-fuel-lines",
            "efi-or-carb",
            "bending-hardline",
            "first-start-checklist",
        )
    ],
}
_SITEMAP = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
_IMAGE = 'xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"'


def document(path: str, base: str) -> tuple[str, bytes] | None:
    """Return content type and body of a path, None where there is nothing."""
    if path == "/robots.txt":
        return (
            "text/plain",
            f"User-agent: *\nDisallow: /cart\nSitemap: {base}/sitemap.xml\n".encode(),
        )
    if path == "/sitemap.xml":
        children = "".join(
            f"<sitemap><loc>{base}/sitemap_{kind}_1.xml</loc></sitemap>" for kind in _PARTS
        )
        return (
            "application/xml",
            f'<?xml version="1.0" encoding="UTF-8"?>\n<sitemapindex {_SITEMAP}>{children}</sitemapindex>'.encode(),
        )
    for kind, slugs in _PARTS.items():
        if path == f"/sitemap_{kind}_1.xml":
            body = _urlset(kind, slugs, base)
            return "application/xml", gzip.compress(body, mtime=0) if kind == "blogs" else body
    return None


def _urlset(kind: str, slugs: list[str], base: str) -> bytes:
    urls = "".join(
        f"<url><loc>{base}/{kind}/{slug}</loc><lastmod>2026-10-0{1 + number % 9}T08:00:00Z</lastmod>"
        + (
            f"<image:image><image:loc>{base}/img/{slug}.jpg</image:loc><image:title>{escape(slug.replace('-', ' '))}</image:title></image:image>"
            if kind == "products"
            else ""
        )
        + "</url>"
        for number, slug in enumerate(slugs)
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset {_SITEMAP} {_IMAGE}>{urls}</urlset>'.encode()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = document(self.path, f"http://{self.headers.get('Host', '127.0.0.1')}")
        kind, body = found or ("text/plain", b"not found\n")
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: supervisord's log is for what matters."""


def serve(port: int) -> ThreadingHTTPServer:
    """Return a server of the site on 127.0.0.1, not yet serving."""
    return ThreadingHTTPServer(("127.0.0.1", port), _Handler)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description="Serve the demo shop's sitemap on 127.0.0.1.")
    parser.add_argument("--port", type=int, required=True)
    with serve(parser.parse_args().port) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
