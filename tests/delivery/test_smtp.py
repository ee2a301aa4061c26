"""SMTP against a real server, at its best and at its worst: a clear outcome each time, and an end."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from newsletter.config import SmtpSettings
from newsletter.delivery import Envelope, Letter, Outcome, Unreachable
from newsletter.delivery.transports.smtp import SmtpTransport
from newsletter.editions import Skeleton
from newsletter.errors import TransportError
from tests.delivery.smtp_server import Script, Server, free_port

BODY = b"From: a@example.com\r\nSubject: x\r\n\r\nHello\r\n.dotted\r\n..twice\r\n.\r\nend\r\n"
PATIENCE = 20  # seconds: more than any case takes, less than any of its server's stalls


def envelope(n: int = 1, recipient: str = "reader@example.org", body: bytes = BODY) -> Envelope:
    letter = Letter("e" * 16, "aaaaaaaaaa", "x", "", "", Skeleton.cut(body, "aaaaaaaaaa"))
    return Envelope(1, n, "bounce+token@example.com", recipient, letter, {})


def transport(url: str, **options: Any) -> SmtpTransport:
    quick = {"connect_timeout": 1, "command_timeout": 0.5, "final_timeout": 0.5}
    return SmtpTransport(SmtpSettings(url=url, **(quick | options)), Path("/"))


def send(script: Script, *envelopes: Envelope, **options: Any) -> tuple[list[Outcome], Server]:
    """Send on one lane; the outcomes, and the server as it was left."""
    begun = time.monotonic()
    with Server(script) as server:
        lane = transport(server.url, **options).lane()
        try:
            outcomes = [one for sent in envelopes or [envelope()] for one in lane.send([sent])]
        finally:
            lane.close()
    assert time.monotonic() - begun < PATIENCE
    return outcomes, server


def one(script: Script, *envelopes: Envelope, **options: Any) -> Outcome:
    outcomes, _ = send(script, *envelopes, **options)
    return outcomes[-1]


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
def test_a_message_arrives_as_it_is(extensions: tuple[str, ...]) -> None:
    outcomes, server = send(Script(extensions=extensions), envelope(1), envelope(2))
    assert [outcome.state for outcome in outcomes] == ["accepted", "accepted"]
    assert (outcomes[0].code, outcomes[0].answer) == ("250 2.0.0", "taken")
    assert [taken.message for taken in server.taken] == [BODY, BODY]
    assert server.taken[0].sender == "bounce+token@example.com"
    assert server.taken[0].recipient == "reader@example.org"
    assert server.connections == 1


@pytest.mark.parametrize(
    "body", [b".\r\n", b"\r\n.\r\n", b"x", b"..\r\n\r\n", b"a\r\n.b\r\n", b"H: x\r\n\r\n.\r\n.\r\n"]
)
def test_dots_are_stuffed(body: bytes) -> None:
    _, server = send(Script(), envelope(body=body))
    assert server.taken[0].message == (body if body.endswith(b"\r\n") else body + b"\r\n")


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize(
    ("point", "reply", "state", "code"),
    [
        ("rcpt", b"550 5.1.1 no such user", "rejected", "550 5.1.1"),
        ("rcpt", b"452 4.2.2 mailbox full", "deferred", "452 4.2.2"),
        ("mail", b"451 4.3.0 not now", "deferred", "451 4.3.0"),
        ("data", b"451 later", "deferred", "451"),
        ("dot", b"554 5.7.1 spam", "rejected", "554 5.7.1"),
        ("dot", b"450 4.7.0 slow down", "deferred", "450 4.7.0"),
        ("dot", b"421 4.3.2 going down", "deferred", "421 4.3.2"),
        ("rcpt", b"421 4.7.0 too many", "deferred", "421 4.7.0"),
    ],
)
def test_what_the_server_answers(
    extensions: tuple[str, ...], point: str, reply: bytes, state: str, code: str
) -> None:
    script = Script(extensions=extensions, replies={point: reply}, times=1)
    outcomes, server = send(script, envelope(1), envelope(2))
    assert (outcomes[0].state, outcomes[0].code) == (state, code)
    assert outcomes[1].state == "accepted"  # and the connection is in order again
    assert len(server.taken) == 1


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
def test_a_354_after_a_refused_recipient_gets_an_empty_message(
    extensions: tuple[str, ...],
) -> None:
    script = Script(
        extensions=extensions,
        recipients={"gone@example.org": b"550 5.1.1 gone"},
        always_354=True,
    )
    outcomes, server = send(script, envelope(1, "gone@example.org"), envelope(2))
    assert [outcome.state for outcome in outcomes] == ["rejected", "accepted"]
    assert [taken.recipient for taken in server.taken] == ["reader@example.org"]
    assert server.connections == 1


@pytest.mark.parametrize(
    ("script", "state"),
    [
        (Script(closes={"mail"}), "deferred"),
        (Script(closes={"rcpt"}), "deferred"),
        (Script(closes={"data"}), "deferred"),
        (Script(closes={"dot"}), "uncertain"),
        (Script(closes={"dot"}, keeps=True), "uncertain"),
        (Script(stalls={"mail"}), "deferred"),
        (Script(stalls={"rcpt"}), "deferred"),
        (Script(stalls={"data"}), "deferred"),
        (Script(stalls={"dot"}), "uncertain"),
        (Script(replies={"mail": b"what"}), "deferred"),
        (Script(replies={"rcpt": b"2x0 ok"}), "deferred"),
        (Script(replies={"data": b"250-" + b"x" * 20_000}), "deferred"),
        (Script(replies={"data": b"\r\n".join([b"250-x"] * 500)}), "deferred"),
    ],
)
@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
def test_a_connection_lost_before_the_final_dot_is_another_try_and_after_it_a_doubt(
    script: Script, state: str, extensions: tuple[str, ...]
) -> None:
    script.extensions = extensions
    assert one(script).state == state


def test_a_server_that_stops_reading_in_the_middle_has_not_got_it() -> None:
    big = b"Subject: x\r\n\r\n" + b"x" * 70 * 400_000
    assert one(Script(read_slowly=True), envelope(body=big)).state == "deferred"
    assert one(Script(closes={"body"}), envelope(body=big)).state == "deferred"


@pytest.mark.parametrize(
    "script",
    [
        Script(closes={"connect"}),
        Script(stalls={"connect"}),
        Script(stalls={"ehlo"}),
        Script(replies={"connect": b"421 4.3.2 busy"}),
        Script(replies={"connect": b"554 no"}),
        Script(flood=10_000_000),
        Script(slow=True),
    ],
)
def test_a_server_that_can_not_be_used_leaves_the_message_unsent(script: Script) -> None:
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:\d+"):
        one(script)


def test_nobody_listens() -> None:
    way = transport(f"smtp://127.0.0.1:{free_port()}")
    with pytest.raises(TransportError, match="can't be reached: Connection refused"):
        way.check()
    lane = way.lane()
    with pytest.raises(Unreachable):
        list(lane.send([envelope()]))
    lane.close()


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(TransportError, match=r"nowhere\.invalid:25"):
        transport("smtp://nowhere.invalid", security="none").check()


def test_the_next_server_takes_over() -> None:
    with Server() as server:
        way = transport(f"smtp://127.0.0.1:{free_port()}", fallbacks=[server.url])
        way.check()
        lane = way.lane()
        assert next(lane.send([envelope()])).state == "accepted"
        lane.close()
        assert len(server.taken) == 1


def test_a_sender_that_is_refused_is_nobodys_bounce() -> None:
    with pytest.raises(
        TransportError, match=r"refuses mail from bounce…@example\.com: 553 5\.7\.1"
    ):
        one(Script(replies={"mail": b"553 5.7.1 not you"}))


@pytest.mark.parametrize(
    "script",
    [
        Script(extensions=("PIPELINING", "SIZE 50")),
        Script(replies={"dot": b"552 5.3.4 too big"}),
    ],
)
def test_an_edition_over_the_servers_size_stops_with_its_name(script: Script) -> None:
    with pytest.raises(TransportError, match=f"edition {'e' * 16} is {len(BODY)} bytes"):
        one(script)


@pytest.mark.parametrize(
    "address",
    [
        "a@b.example\r\nRCPT TO:<c@d.example>",
        "a\0@b.example",
        "a b@c.example",
        "<a@b.example>",
        "a",
    ],
)
def test_no_address_smuggles_a_command(address: str) -> None:
    outcomes, server = send(Script(), envelope(1, address), envelope(2))
    assert (outcomes[0].state, outcomes[0].code) == ("rejected", "553 5.1.3")
    assert len(server.taken) == 1
    assert not [line for line in server.commands if "d.example" in line]


def test_other_letters_need_smtputf8() -> None:
    outcomes, server = send(Script(), envelope(1, "jörg@example.org"))
    assert outcomes[0].state == "accepted"
    assert "SMTPUTF8" in next(line for line in server.commands if line.startswith("MAIL"))
    refused = one(Script(extensions=()), envelope(1, "jörg@example.org"))
    assert (refused.state, refused.code) == ("rejected", "553 5.6.7")


def test_a_connection_that_was_closed_while_idle_is_opened_again() -> None:
    outcomes, server = send(Script(idle_close=True), *[envelope(n) for n in range(5)])
    assert [outcome.state for outcome in outcomes] == ["accepted"] * 5
    assert [taken.message for taken in server.taken] == [BODY] * 5
    outcomes, server = send(Script(after=2), *[envelope(n) for n in range(6)])
    assert [outcome.state for outcome in outcomes] == ["accepted"] * 6
    assert len(server.taken) == 6


def test_connections_are_renewed() -> None:
    _, server = send(Script(), *[envelope(n) for n in range(6)], messages_per_connection=2)
    assert server.connections == 3
    assert server.commands.count("QUIT") == 3


# -- TLS and AUTH ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], tuple[Path, ssl.SSLContext]]:
    """Makes a certificate for a host: the file of its authority, and the server's context."""

    def make(host: str) -> tuple[Path, ssl.SSLContext]:
        folder = tmp_path_factory.mktemp("tls")
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        now = datetime.datetime.now(datetime.UTC)
        alternative: x509.GeneralName = x509.DNSName(host)
        if host[0].isdigit():
            alternative = x509.IPAddress(ipaddress.ip_address(host))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        public = folder / "ca.pem"
        public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = folder / "key.pem"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(public, private)
        return public, context

    return make


Authority = Callable[[str], tuple[Path, ssl.SSLContext]]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_encrypted_to_a_server_with_a_valid_certificate(
    authority: Authority, security: str
) -> None:
    ca_file, context = authority("127.0.0.1")
    script = Script(tls=context, implicit=security == "tls")
    outcomes, server = send(
        script, envelope(1), envelope(2), security=security, ca_file=ca_file, command_timeout=5
    )
    assert [outcome.state for outcome in outcomes] == ["accepted", "accepted"]
    assert ("STARTTLS" in server.commands) == (security == "starttls")


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("wrong", ["authority", "host"])
def test_a_certificate_that_is_not_valid_is_refused_before_anything_is_sent(
    authority: Authority, security: str, wrong: str
) -> None:
    ca_file, context = authority("127.0.0.1" if wrong == "authority" else "other.example")
    options: dict[str, Any] = {"security": security}
    if wrong == "host":
        options["ca_file"] = ca_file
    script = Script(tls=context, implicit=security == "tls")
    with Server(script) as server:
        with pytest.raises(TransportError, match=r"certificate of .* is not valid"):
            transport(server.url, **options).check()
        assert not any(line.startswith("MAIL") for line in server.commands)
        transport(server.url, verify=False, **options).check()


def test_a_server_without_starttls_gets_nothing_in_the_clear() -> None:
    with Server() as server, pytest.raises(TransportError, match="does not offer STARTTLS"):
        transport(server.url, security="starttls").check()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_logging_in(mechanism: str) -> None:
    script = Script(login=("me", "sesame-57"), mechanisms=(mechanism,))
    assert one(script, username="me", password="sesame-57").state == "accepted"
    with Server(script) as server, pytest.raises(TransportError, match="refuses the name") as told:
        transport(server.url, username="me", password="wrong-99").check()
    for secret in ("wrong-99", base64.b64encode(b"\0me\0wrong-99").decode()):
        assert secret not in f"{told.value!r} {told.value} {told.value.__cause__!r}"


def test_secrets_mask_themselves() -> None:
    settings = SmtpSettings(url="smtp://127.0.0.1:1", username="me", password="sesame-57")
    assert "sesame-57" not in f"{settings!r} {settings} {settings.model_dump()}"


def test_a_password_never_goes_to_another_machine_in_the_clear() -> None:
    with pytest.raises(ValueError, match="name and password"):
        SmtpSettings(url="smtp://me:secret@mail.example.com")
