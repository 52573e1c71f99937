"""The way to the server: what the request says, TLS, proxies, redirects, addresses, servers."""

from __future__ import annotations

from typing import Callable

import pytest

from bridge import Bridge
from fakeserver import FakeServer

# Headers


def test_headers_of_the_user(fake: FakeServer, wispsocks: Callable[..., Bridge]) -> None:
    """They stand in the request as they were given, the handshake's own beside them."""
    wispsocks(fake.url, "-H", "Cookie: a=1", "--header", "X-Token:  with spaces\t", "-H",
              "x-token: again", "-H", "User-Agent: tester/1.0", "-H", "Origin: https://a.test",
              "-H", "Empty:", "-H", "X-Long: " + 5000 * "x")
    server = fake.accept()
    for line in ("Cookie: a=1", "X-Token: with spaces", "x-token: again", "User-Agent: tester/1.0",
                 "Origin: https://a.test", "Empty: ", "X-Long: " + 5000 * "x"):
        assert server.header_lines.count(line) == 1
    assert server.headers["upgrade"] == "websocket"
    server.open()


@pytest.mark.parametrize("value", ["other.test", "other.test:8080", "h" * 117], ids=len)
def test_host_of_the_user(fake: FakeServer, value: str,
                          wispsocks: Callable[..., Bridge]) -> None:
    """It replaces the URL's, also in the case that the header's name is spelled in."""
    bridge = wispsocks(fake.url, "-H", f"hOST: {value} ")
    server = fake.accept()
    assert [line for line in server.header_lines
            if line.lower().startswith("host:")] == [f"Host: {value}"]
    server.open()
    bridge.wait_connected()


def test_header_value_is_not_repeated_in_an_error() -> None:
    """It may be a secret."""
    from test_cli import URL, check_usage_error
    assert "s3cret" not in check_usage_error("wispsocks", "-H", "Upgrade: s3cret", URL)
    assert "s3cret" not in check_usage_error("wispsocks", "-H", "s3cret", URL)
