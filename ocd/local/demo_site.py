"""A small invented hot-rod parts shop, served on loopback, for the demo's sitemap snapshot.

Run it with `python -m ocd.local.demo_site --port 8099`.
"""

from __future__ import annotations

import argparse
import gzip
import re
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

_PARTS = ("ptfe-hose", "an-fitting", "fuel-filter", "swivel-elbow", "bulkhead-union", "check-valve")
_SIZES = ("4an", "6an", "8an", "10an", "12an", "16an")
_PATHS = {
    "products": ["", *(f"products/{part}-{size}" for part in _PARTS for size in _SIZES)],
    "collections": [
        f"collections/{slug}"
        for slug in (
            *("an-fittings", "fuel-pumps", "filters", "hoses", "brakes", "flathead-v8"),
            *("regulators", "gauges", "ls-swap"),
        )
    ],
    "pages": [
        f"pages/{slug}"
        for slug in ("about", "sizing-guide", "shipping", "returns", "contact", "warranty")
    ],
    "blogs": [
        f"blogs/garage/{slug}"
        for slug in (
            *("ls-swap-fuel-lines", "efi-or-carb", "bending-hardline", "first-start-checklist"),
            *("e85-and-hoses", "return-or-returnless", "which-an-size", "flathead-cooling"),
        )
    ],
}
#: Served gzipped, as some shops do.
_GZIPPED = "blogs"
_SITEMAP = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
_IMAGE = 'xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"'
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_HOST = re.compile(r"[\w.\-\[\]:]+", re.ASCII)


def document(path: str, base: str) -> tuple[str, bytes] | None:
    """Return content type and body of a path, None where there is nothing; `base` stands in every URL."""
    if path == "/robots.txt":
        return (
            "text/plain",
            f"User-agent: *\nDisallow: /cart\nSitemap: {base}/sitemap.xml\n".encode(),
        )
    if path == "/sitemap.xml":
        return "application/xml", _index(base)
    for kind, paths in _PATHS.items():
        if path == f"/sitemap_{kind}_1.xml" and kind != _GZIPPED:
            return "application/xml", _urlset(paths, base)
        if path == f"/sitemap_{kind}_1.xml.gz" and kind == _GZIPPED:
            return "application/gzip", gzip.compress(_urlset(paths, base), mtime=0)
        if path.removeprefix("/") in paths:
            return "text/html; charset=utf-8", _page(path)
    return None


def _page(path: str) -> bytes:
    name = escape(path.rpartition("/")[2].replace("-", " ") or "Parts for hot rods")
    return f"<!doctype html><title>{name}</title><h1>{name}</h1>\n".encode()


def _index(base: str) -> bytes:
    children = "".join(
        f"<sitemap><loc>{base}/sitemap_{kind}_1.xml{'.gz' if kind == _GZIPPED else ''}</loc></sitemap>\n"
        for kind in _PATHS
    )
    return f"{_DECLARATION}<sitemapindex {_SITEMAP}>\n{children}</sitemapindex>\n".encode()


def _urlset(paths: list[str], base: str) -> bytes:
    urls = "".join(
        f"<url><loc>{base}/{path}</loc><lastmod>2026-{1 + number % 9:02}-{1 + number % 28:02}T08:00:00Z</lastmod>"
        f"{_image(path, base)}</url>\n"
        for number, path in enumerate(paths)
    )
    return f"{_DECLARATION}<urlset {_SITEMAP} {_IMAGE}>\n{urls}</urlset>\n".encode()


def _image(path: str, base: str) -> str:
    if not path.startswith("products/"):
        return ""
    slug = path.removeprefix("products/")
    title = escape(slug.replace("-", " "))
    return f"<image:image><image:loc>{base}/img/{slug}.jpg</image:loc><image:title>{title}</image:title></image:image>"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = document(self.path.partition("?")[0], f"http://{self._authority()}")
        kind, body = found or ("text/plain", b"not found\n")
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _authority(self) -> str:
        """Return the name we were called by: bound to 0.0.0.0 we do not know another."""
        named = self.headers.get("Host", "")
        if _HOST.fullmatch(named):
            return named
        host, port, *_ = self.connection.getsockname()
        return f"{host}:{port}"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: supervisord's log is for what matters."""


def serve(port: int, address: str = "127.0.0.1") -> ThreadingHTTPServer:
    """Return a server of the site, bound but not yet serving; port 0 takes a free one."""
    return ThreadingHTTPServer((address, port), _Handler)


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve the demo shop's sitemap.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default="127.0.0.1", help="default: 127.0.0.1")
    options = parser.parse_args()
    with serve(options.port, options.address) as server:

        def stop(*_: object) -> None:
            # shutdown() waits for the loop that this handler interrupts.
            threading.Thread(target=server.shutdown).start()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        server.serve_forever()


if __name__ == "__main__":
    main()
