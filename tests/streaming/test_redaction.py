"""What is shown of an address: never a secret, and the host wherever it can be told."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from roadmask.streaming.redaction import redact_address, redact_command, redact_json, redact_record, redact_text

ADDRESSES = [
    # user and password
    ("rtsp://host/stream", "rtsp://host/stream"),
    ("rtsp://eve:pass@host/x", "rtsp://host/x"),
    ("rtsp://eve@host/x", "rtsp://host/x"),
    ("rtsp://:pass@host/x", "rtsp://host/x"),
    ("rtsp://eve:pa%40ss@host:554/x", "rtsp://host:554/x"),
    ("rtsp://me@mail.com:pass@10.0.0.1/x", "rtsp://10.0.0.1/x"),
    ("https://ghp_0123@github.com/a/b.mp4", "https://github.com/a/b.mp4"),
    # passwords that should have been encoded
    ("rtsp://eve:pa:ss@host/x", "rtsp://host/x"),
    ("rtsp://eve:pa@ss@host/x", "rtsp://host/x"),
    ("rtsp://eve:pa/ss@host/x", "rtsp://host/x"),
    ("rtsp://eve:pa?ss@host/x", "rtsp://host/x"),
    ("rtsp://eve:pa#ss@host/x", "rtsp://host/x"),
    ("rtsp://eve:p@s/s@host/x", "rtsp://host/x"),
    ("rtsp://eve:p@/?#:s@10.0.0.1:554/x", "rtsp://10.0.0.1:554/x"),
    ("rtsp://eve:pa ss@host/x", "rtsp://host/x"),
    ("rtsp://eve:pa'ss\"@host/x", "rtsp://host/x"),
    ("rtsp://admin:12345/6@10.0.0.1/x", "rtsp://10.0.0.1/x"),
    ("rtsp://admin:12345/6@cam/x", "rtsp://cam/x"),
    ("rtsp://admin:1234/a=5@10.0.0.1/x", "rtsp://10.0.0.1/x"),
    ("s3://AKIA01:abc/def+ghi@bucket/a.mp4", "s3://bucket/a.mp4"),
    ("rtsp://eve:pass", "rtsp://eve:***"),
    # queries and signed URLs
    ("http://host?token=pass", "http://host"),
    ("http://host/x#pass", "http://host/x"),
    ("http://host/x?user=eve&password=pass", "http://host/x"),
    ("http://host:8080/x?token=abc@def", "http://host:8080/x"),
    ("http://cam:1234/x?token=abc@de.fg", "http://cam:1234/x"),
    (
        "https://b.s3.amazonaws.com/a.mp4?X-Amz-Credential=AKIA%2F1&X-Amz-Signature=0a",
        "https://b.s3.amazonaws.com/a.mp4",
    ),
    ("https://b.s3.amazonaws.com/a.mp4?AWSAccessKeyId=AKIA&Signature=a%3D", "https://b.s3.amazonaws.com/a.mp4"),
    ("https://a.blob.core.windows.net/c/a.mp4?sv=2024&sig=a%2Fb%3D", "https://a.blob.core.windows.net/c/a.mp4"),
    ("https://storage.googleapis.com/b/a?GoogleAccessId=me@home.org&Signature=x", "https://storage.googleapis.com/b/a"),
    # secrets in paths
    (
        "rtsp://10.0.0.1:554/user=admin_password=tlJwpbo6_channel=1_stream=0.sdp?real_stream",
        "rtsp://10.0.0.1:554/user=***_channel=1_stream=0.sdp",
    ),
    ("rtsp://10.0.0.1/user=admin&password=a@b/c&channel=2", "rtsp://10.0.0.1/user=***&channel=2"),
    ("rtsp://cam:554/user=admin_password=p@ss", "rtsp://cam:554/user=***"),
    ("http://host/live/token=abc/video", "http://host/live/token=***"),
    ("http://host/live/password%3Dabc", "http://host/live/password%3D***"),
    (
        "rtsp://10.0.0.1:554/user=admin&password=tlJwpbo6&channel=1&stream=0.sdp",
        "rtsp://10.0.0.1:554/user=***&channel=1&stream=0.sdp",
    ),
    ("rtsp://10.0.0.1/user%3Dadmin%26password%3Dtl%26channel%3D1", "rtsp://10.0.0.1/user%3D***"),
    ("rtsp://cam/0/admin:tiger/main", "rtsp://cam/0/***/main"),
    ("rtsp://cam/live/password/tiger/ch0", "rtsp://cam/live/password/***/ch0"),
    ("http://cam/api/TOKEN/abc", "http://cam/api/TOKEN/***"),
    ("rtsp://cam/ch0;pwd=tiger", "rtsp://cam/ch0;pwd=***"),
    ("rtsp://host/vod/mp4:sample.mp4", "rtsp://host/vod/mp4:sample.mp4"),
    # paths that hold '@'
    ("rtsp://host/live@1080", "rtsp://host/live@1080"),
    ("rtsp://host:554/live@1080", "rtsp://host:554/live@1080"),
    ("rtsp://mediamtx:8554/live@main", "rtsp://mediamtx:8554/live@main"),
    ("rtsp://eve:pass@camera.local/live@1080", "rtsp://camera.local/live@1080"),
    # a later '@' may still end the password
    ("rtsp://eve:pass@camera.local/live@main", "rtsp://***"),
    ("rtsp://eve:tiger@10.0.0.1/x@cam/stream", "rtsp://***"),
    ("rtsp://eve:tiger@zoo.org/x@cam:554/stream", "rtsp://cam:554/stream"),
    ("rtsp://eve:a@b.c/d?e@host", "rtsp://***"),
    # one slash is missing
    ("rtsp:/cam/x", "rtsp:/cam/x"),
    ("rtsp:/eve:pass@cam/x", "rtsp:/cam/x"),
    ("http:/cam/x?token=pass", "http:/cam/x"),
    ("http://host/data/me@home/x.mp4", "http://host/data/me@home/x.mp4"),
    ("file:///data/me@home/x.mp4", "file:///data/me@home/x.mp4"),
    ("/data/me@home/x.mp4", "/data/me@home/x.mp4"),
    ("replay:me@home/x.mp4", "replay:me@home/x.mp4"),
    # IPv6, ports without a host, multicast
    ("rtsp://[2001:db8::1]:554/x", "rtsp://[2001:db8::1]:554/x"),
    ("rtsp://eve:pa:ss@[fe80::1%25eth0]/x", "rtsp://[fe80::1%25eth0]/x"),
    ("rtsp://2001:db8::1/live", "rtsp://2001:db8::1/live"),
    ("udp://:5000", "udp://:5000"),
    ("udp://@239.0.0.1:5000", "udp://239.0.0.1:5000"),
    # Windows
    (r"C:\drives\me@home.org\a.mp4", r"C:\drives\me@home.org\a.mp4"),
    ("front=C:/drives/me@home.org/a.mp4", "front=C:/drives/me@home.org/a.mp4"),
    ("file://C:/drives/me@home.org/a.mp4", "file://C:/drives/me@home.org/a.mp4"),
    (r"\\server\share\me@home.org\a.mp4", r"\\server\share\me@home.org\a.mp4"),
    # arguments
    ("--source=rtsp://eve:pass@host/x?y", "--source=rtsp://host/x"),
    ("front=rtsp://h1/a,rear=rtsp://eve:pass@h2/b", "front=rtsp://h1/a,rear=rtsp://h2/b"),
    ("http://proxy/http://eve:pass@host/x", "http://proxy/http://host/x"),
    ("eve:pa@ss@host/x", "host/x"),
    ("--page-token=abc", "--page-token=***"),
    ("synthetic:front?fps=10&seconds=4", "synthetic:front?fps=10&seconds=4"),
    ("drive/?fps=25", "drive/?fps=25"),
]


@pytest.mark.parametrize(("address", "shown"), ADDRESSES)
def test_an_address(address: str, shown: str) -> None:
    assert redact_address(address) == shown
    assert redact_address(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("open rtsp://u:p@h/x?y=1 failed, http://h2/z too.", "open rtsp://h/x failed, http://h2/z too."),
        ("[rtsp @ 0x5f] rtsp://u:p@h:554/x: 401 Unauthorized", "[rtsp @ 0x5f] rtsp://h:554/x: 401 Unauthorized"),
        ("[Errno 111] Connection refused: 'http://u:p@h/x?t=1'", "[Errno 111] Connection refused: 'http://h/x'"),
        ("(see rtsp://u:p@h).", "(see rtsp://h)."),
        ("<http://u:p@[::1]:80/>", "<http://[::1]:80/>"),
        ("a rtsp://eve:pa ss@host/x b", "a rtsp://host/x b"),
        ("GET /user=admin_password=tlJw_channel=1 failed", "GET /user=admin_password=*** failed"),
        ("Authorization: Basic ZXZlOnBhc3M=\nAccept: */*", "Authorization: ***\nAccept: */*"),
        ("roadmask live --page-token abc front=rtsp://h/x", "roadmask live --page-token *** front=rtsp://h/x"),
        ("read 640x480@30fps at 12:00:00, mail me@home.org", "read 640x480@30fps at 12:00:00, mail me@home.org"),
        ("two\nrtsp://u:p@h/x\nlines", "two\nrtsp://h/x\nlines"),
    ],
)
def test_a_message(text: str, shown: str) -> None:
    assert redact_text(text) == shown


def test_what_a_known_address_holds_is_hidden_wherever_it_stands() -> None:
    known = ["rtsp://admin:tl'Jw pb@admin-cam/x?key=abc", "http://eve:p%40ss@host"]
    text = "login admin with tl'Jw pb, p@ss or p%40ss and key=abc at admin2; rtsp://admin:tl'Jw pb@admin-cam/x?key=abc"
    assert redact_text(text, known) == "login *** with ***, *** or *** and *** at admin2; rtsp://***-cam/x"


def test_a_command_line_is_quoted_and_has_no_secrets() -> None:
    command = ["roadmask", "live", "--page-token", "s3cr3t", "front=rtsp://eve:pa'ss wd@host/x", "-o", "my drive.zarr"]
    assert redact_command(command) == "roadmask live --page-token '***' front=rtsp://host/x -o 'my drive.zarr'"


def test_json_data() -> None:
    data = {"a": ["rtsp://u:p@h/x", 1, None, True, 0.5], "http://u:p@h": {"b": "plain"}}
    assert redact_json(data) == {"a": ["rtsp://h/x", 1, None, True, 0.5], "http://h": {"b": "plain"}}
    assert json.dumps(redact_json(data))


def test_a_log_record() -> None:
    record = logging.LogRecord("roadmask", logging.INFO, "", 0, "cannot open %s: %d", ("rtsp://u:p@h/x", 5), None)
    assert redact_record(record)
    assert record.getMessage() == "cannot open rtsp://h/x: 5"


# Secrets are written with capital letters, 7 and 9; nothing else is.
CAPITALS = "QXZ79"
IPS = st.sampled_from(["10.0.0.1", "10.20.30.40", "[fe80::1]", "[2001:db8::5]", "localhost"])
DOTTED = st.sampled_from(["camera.local", "a.b.example.org", "cam-3.home"])
LABELS = st.sampled_from(["host", "mediamtx", "front-cam", "nvr2"])
PORTS = st.sampled_from(["", ":554", ":5000", ":443"])
PATHS = st.sampled_from(["", "/", "/live", "/a/b.mp4", "/h264/ch1", "/stream_1.sdp"])


def secret(marks: str) -> st.SearchStrategy[str]:
    return st.text(CAPITALS + marks, min_size=3, max_size=16).filter(
        lambda text: any(mark in CAPITALS for mark in text)
    )


@st.composite
def logins(draw: st.DrawFn, blanks: str) -> tuple[str, str]:
    """An address with a login, whose password may hold whatever does not make a better host; and its host."""
    hosts, marks = draw(st.sampled_from([(IPS, ".="), (DOTTED, "="), (LABELS, "")]))
    host = draw(hosts)
    password = draw(secret("@/:?#&%_+$!,;~*()" + marks + blanks))
    # with a parameter behind a '@', only an IP address is told from the parameter's value
    assume(hosts is IPS or "=" not in password or "@" not in password)
    query = draw(st.sampled_from(["", "?token=QXZ", "#XZQ", "?x=1&sig=Q%2FX"]))
    return f"rtsp://{draw(secret(''))}:{password}@{host}{draw(PORTS)}{draw(PATHS)}{query}", host


@st.composite
def paths(draw: st.DrawFn) -> tuple[str, str]:
    """An address without a login, with a secret in path and query, and a path that may hold '@'."""
    host = draw(st.one_of(IPS, DOTTED, LABELS))
    name = draw(st.sampled_from(["password", "user=QXZ_password", "token", "api_key", "user"]))
    path = draw(st.sampled_from(["/", "/live@1080/", "/me@home.mp4/", "/a/"]))
    inside = draw(secret("@/:?#&%_=+"))
    return f"rtsp://{host}{draw(st.sampled_from(['', ':554', ':8080']))}{path}{name}={inside}?sig=QX", host


@settings(max_examples=600, deadline=None)
@given(st.one_of(logins(" '\"<>"), paths()))
def test_no_secret_of_an_address_is_shown_and_its_host_is(address: tuple[str, str]) -> None:
    shown = redact_address(address[0])
    assert not set(CAPITALS) & set(shown), shown
    assert f"//{address[1]}" in shown


@settings(max_examples=600, deadline=None)
@given(st.one_of(logins(""), paths()), st.sampled_from(["{}", "cannot open {}: gone", "'{}', again", "a={} b", '"{}"']))
def test_no_secret_in_a_message_is_shown_and_hosts_are(address: tuple[str, str], around: str) -> None:
    shown = redact_text(around.format(address[0]))
    assert not set(CAPITALS) & set(shown), shown
    assert f"//{address[1]}" in shown


@st.composite
def careless_logins(draw: st.DrawFn) -> str:
    """An address whose password may look more like a host than the host does."""
    host = draw(st.one_of(IPS, DOTTED, LABELS))
    pieces = st.sampled_from(["Q", "XZ", "@", "/", ":", "?", "#", "@QX.ZQ/", "@97.9.7.9/", "@ZQ:77/", "@XQ/"])
    password = "QX" + "".join(draw(st.lists(pieces, min_size=1, max_size=6)))
    return f"rtsp://{draw(st.sampled_from(['Q', 'XZ']))}:{password}@{host}{draw(PORTS)}{draw(PATHS)}"


@settings(max_examples=300, deadline=None)
@given(careless_logins())
def test_no_part_of_a_password_that_holds_a_better_host_is_shown(address: str) -> None:
    assert not set(CAPITALS) & set(redact_address(address)), address
    assert not set(CAPITALS) & set(redact_text(f"cannot open {address}: gone")), address


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_any_text_can_be_redacted(text: str) -> None:
    shown = redact_text(text)
    assert redact_address(redact_address(text)) == redact_address(text)
    assert shown == text or set(text) & set(":=-")
