"""A stand-in for an object store: the three calls of S3 that reading needs, over HTTP, from a dictionary.

Knows no signatures. It can be told to fail. The client is the real one, which is what the trainer uses.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


@contextmanager
def fake_s3(
    bucket: str, objects: Mapping[str, bytes], *, failing: Mapping[str, tuple[int, str]] = MappingProxyType({})
) -> Iterator[str]:
    """Yields the endpoint of a store with one bucket.

    `failing` has an HTTP status and S3's code for it, by the object's name, or "" for the listing.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            if not self._fails():
                self._object(body=False)

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if self._fails():
                return
            if url.path.strip("/") == bucket:
                self._answer(200, _listing(bucket, objects, parse_qs(url.query)))
            else:
                self._object(body=True)

        def _name(self) -> str:
            return unquote(urlsplit(self.path).path).strip("/").removeprefix(bucket).strip("/")

        def _fails(self) -> bool:
            if (failure := failing.get(self._name())) is None:
                return False
            status, code = failure
            body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
            self._answer(status, body, body=self.command != "HEAD")
            return True

        def _object(self, *, body: bool) -> None:
            content = objects.get(self._name())
            if content is None:
                self._answer(404, b"", body=body)
                return
            first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
            part = content[int(first) : int(last) + 1] if last else content
            more = {"Content-Range": f"bytes {first}-{last}/{len(content)}"} if last else {}
            self._answer(206 if last else 200, part, body=body, **more)

        def _answer(self, status: int, content: bytes, *, body: bool = True, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), "ETag": '"x"', **headers}.items():
                self.send_header(name, value)
            self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _listing(bucket: str, objects: Mapping[str, bytes], query: Mapping[str, list[str]]) -> bytes:
    """ListObjectsV2, all in one page."""
    prefix, delimiter = (query.get(name, [""])[0] for name in ("prefix", "delimiter"))
    below = [name for name in sorted(objects) if name.startswith(prefix)]
    contents, prefixes = [], set()
    for name in below:
        head, found, _ = name.removeprefix(prefix).partition(delimiter) if delimiter else (name, "", "")
        if found:
            prefixes.add(f"{prefix}{head}{delimiter}")
        else:
            contents.append(name)
    entries = "".join(
        f"<Contents><Key>{escape(name)}</Key><Size>{len(objects[name])}</Size>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for name in contents
    )
    entries += "".join(f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in sorted(prefixes))
    count = len(contents) + len(prefixes)
    text = (
        f'<?xml version="1.0"?><ListBucketResult><Name>{bucket}</Name><KeyCount>{count}</KeyCount>'
        f"<IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
    )
    return text.encode()
