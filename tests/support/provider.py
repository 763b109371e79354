"""An OpenID provider of the tests' own: it signs everybody in, and makes tokens of the service."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from tests.support.issuer import Issuer

CLIENT, SECRET = "console", "console-secret"


@dataclass
class Provider:
    """What it was asked for, and how it is to answer."""

    issuer: Issuer
    scope: str
    url: str = ""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    id_claims: dict[str, Any] = field(default_factory=dict)
    """Claims of ID tokens that are not what they should be."""
    asked: list[dict[str, str]] = field(default_factory=list)

    def authorize(self, query: dict[str, str]) -> str:
        """Sign in; return where the browser is sent."""
        self.asked.append(query)
        code = f"code-{len(self.codes)}"
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state'], 'iss': self.url})}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, str] | None:
        """Return the tokens for a code, once, to the client that has the verifier and the secret."""
        query = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        secret = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if query is None or challenge != query["code_challenge"] or authorization != f"Basic {secret}":
            return None
        claims = {"aud": CLIENT, "iss": self.url, "nonce": query["nonce"], "sub": "maria", **self.id_claims}
        return {
            "access_token": self.issuer.token(self.scope, sub="maria"),
            "id_token": self.issuer.token(**claims),
            "token_type": "Bearer",
        }


@contextmanager
def running_provider(issuer: Issuer, scope: str) -> Iterator[Provider]:
    """Serve a provider; yield it."""
    provider = Provider(issuer, scope)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library's name
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query))
            if parts.path == "/authorize":
                self.send_response(303)
                self.send_header("location", provider.authorize(query))
                self.end_headers()
            elif parts.path == "/keys":
                self._answer(json.loads(issuer.key_set()))
            else:
                names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
                self._answer({"issuer": provider.url, **{k: f"{provider.url}/{path}" for k, path in names.items()}})

        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._answer(provider.token(form, self.headers.get("authorization", "")))

        def _answer(self, content: object) -> None:
            self.send_response(200 if content is not None else 400)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
