"""Look-ups against a real name server on loopback: what is there, what is not, what nobody can tell."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from typing import Any

import dns.resolver
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from newsletter.checks.dns import DomainReport, Selector, look_up
from newsletter.delivery.dkim import Signer
from newsletter.errors import InputError
from tests.checks.nameserver import SILENT, Zone, closed_port, serving

_QUICK = 0.5  # seconds until a name server that keeps silent is given up
_SENDER = "letters.example"
_SPF = "v=spf1 ip4:192.0.2.1 -all"
_DMARC = "v=DMARC1; p=reject; rua=mailto:dmarc@letters.example"


def _public(bits: int) -> str:
    key = rsa.generate_private_key(65537, bits).public_key()
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(der).decode()


@pytest.fixture(scope="module")
def rsa_2048() -> str:
    return _public(2048)


def _good(key: str, **more: Any) -> dict[str, Any]:
    return {
        _SENDER: {"TXT": ["site-verification=1", _SPF], "MX": ["10 mx.letters.example."]},
        "_dmarc.letters.example": {"TXT": [_DMARC]},
        "k1._domainkey.letters.example": {"TXT": [f"v=DKIM1; k=rsa; p={key}"]},
        **more,
    }


def _report(zone: Zone, domain: str = _SENDER, **options: Any) -> DomainReport:
    with serving(zone) as server:
        timeout = _QUICK if SILENT in str(zone) else 10
        return look_up(domain, resolver=server.resolver(), timeout=timeout, **options)


def test_a_domain_with_everything(rsa_2048: str) -> None:
    report = _report(_good(rsa_2048), selectors=["k1"])
    assert (report.spf.state, report.spf.valid, report.spf.all) == ("present", True, "fail")
    assert (report.spf.lookups, report.spf.error, report.spf.record) == (0, "", _SPF)
    assert report.bounce_spf is report.spf
    dmarc = report.dmarc
    assert (dmarc.state, dmarc.valid, dmarc.location) == ("present", True, _SENDER)
    assert (dmarc.policy, dmarc.subdomain_policy, dmarc.applied) == ("reject",) * 3
    assert (dmarc.adkim, dmarc.aspf, dmarc.rua) == (
        "relaxed",
        "relaxed",
        ("dmarc@letters.example",),
    )
    [key] = report.dkim
    assert (key.state, key.valid, key.key_type, key.bits) == ("present", True, "rsa", 2048)
    assert not key.revoked
    assert not key.testing
    assert key.name == "k1._domainkey.letters.example"
    assert (report.mx.state, report.mx.hosts) == ("present", ("mx.letters.example",))
    assert [one.aligned for one in report.dkim_alignment] == [True]
    assert report.spf_alignment.aligned is True
    assert report.not_looked_at == ()


def test_no_record_is_told_from_no_domain() -> None:
    report = _report({_SENDER: {"TXT": ["hello"]}, "www.letters.example": {"A": ["192.0.2.1"]}})
    assert (report.spf.state, report.spf.reason) == ("absent", "letters.example has no SPF record")
    assert report.dmarc.state == "absent"
    assert "_dmarc.letters.example" in report.dmarc.reason
    assert (report.mx.state, report.mx.reason) == (
        "absent",
        "letters.example has neither an MX record nor an address",
    )
    report = _report({"other.example": {"A": ["192.0.2.1"]}}, selectors=["k1"])
    assert (report.spf.state, report.spf.reason) == ("absent", "letters.example does not exist")
    assert report.dkim[0].state == "absent"
    assert report.dkim[0].reason == "k1._domainkey.letters.example does not exist"
    assert report.mx.reason == "letters.example does not exist"
    assert report.not_looked_at == ()


@pytest.mark.parametrize(
    ("record", "all_"),
    [
        ("v=spf1 +all", "pass"),
        ("v=spf1 all", "pass"),
        ("v=spf1 ?all", "neutral"),
        ("v=spf1 a ~all", "softfail"),
        ("v=spf1 ip4:192.0.2.1", "neutral"),
        ("v=spf1 redirect=_spf.letters.example", "fail"),
    ],
)
def test_spf_says_what_it_says_of_everybody_else(record: str, all_: str) -> None:
    zone = {
        _SENDER: {"TXT": [record], "A": ["192.0.2.1"]},
        "_spf.letters.example": {"TXT": [_SPF]},
    }
    spf = _report(zone).spf
    assert (spf.valid, spf.all) == (True, all_), spf


def test_two_spf_records_are_none() -> None:
    spf = _report({_SENDER: {"TXT": [_SPF, "v=spf1 -all", "v=spf10 x"]}}).spf
    assert (spf.state, spf.valid) == ("present", False)
    assert spf.error.startswith("letters.example has 2 SPF records")


def test_spf_with_a_mistake() -> None:
    spf = _report({_SENDER: {"TXT": ["v=spf1 ipv4:192.0.2.1 -all"]}}).spf
    assert (spf.state, spf.valid, spf.all) == ("present", False, "fail")
    assert "ipv4" in spf.error


def test_spf_with_more_than_ten_questions() -> None:
    includes = " ".join(f"include:s{n}.example" for n in range(11))
    servers = {f"s{n}.example": {"TXT": [_SPF]} for n in range(11)}
    spf = _report({_SENDER: {"TXT": [f"v=spf1 {includes} -all"]}, **servers}).spf
    assert (spf.valid, spf.lookups, spf.all) == (False, 11, "fail")
    assert "11/10" in spf.error
    ten = includes.rpartition(" ")[0]
    spf = _report({_SENDER: {"TXT": [f"v=spf1 {ten} -all"]}, **servers}).spf
    assert (spf.valid, spf.lookups) == (True, 10)


def test_an_include_that_is_not_there_breaks_spf_and_one_that_is_silent_leaves_it_open() -> None:
    record = "v=spf1 include:relay.example -all"
    spf = _report({_SENDER: {"TXT": [record]}}).spf
    assert spf.valid is False
    assert "relay.example" in spf.error
    spf = _report({_SENDER: {"TXT": [record]}, "relay.example": SILENT}).spf
    assert (spf.state, spf.valid, spf.error) == ("present", None, "")
    assert spf.reason == f"relay.example (TXT): no name server answered within {_QUICK} seconds"
    spf = _report({_SENDER: {"TXT": [record]}, "relay.example": "SERVFAIL"}).spf
    assert spf.valid is None
    # Eleven questions are too many, whatever the first one was not answered with.
    many = record.replace("-all", "a " * 10 + "-all")
    spf = _report({_SENDER: {"TXT": [many], "A": ["192.0.2.1"]}, "relay.example": "SERVFAIL"}).spf
    assert spf.valid is None, "the include comes first"
    many = record.replace("v=spf1", "v=spf1 a:host.example" + " a" * 9)
    zone = {_SENDER: {"TXT": [many], "A": ["192.0.2.1"]}, "host.example": "SERVFAIL"}
    spf = _report(zone).spf
    assert (spf.valid, spf.lookups) == (False, 11)


def test_a_question_for_a_note_alone_leaves_nothing_open() -> None:
    """Whether an alias (CNAME) stands beside the record."""
    zone: Zone = {
        _SENDER: {"TXT": ["v=spf1 include:relay.example -all"]},
        "relay.example": {"TXT": [_SPF], "CNAME": SILENT},
    }
    spf = _report(zone).spf
    assert (spf.valid, spf.reason) == (True, "")


def test_nobody_but_the_resolver_is_asked(monkeypatch: pytest.MonkeyPatch, rsa_2048: str) -> None:
    """checkdmarc would ask for the text behind `exp` on its own."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a second resolver asks")

    record = "v=spf1 include:relay.example ip4:192.0.2.1 -all exp=why.letters.example"
    included = "v=spf1 ip4:192.0.2.2 exp=why.letters.example -all"
    zone = _good(rsa_2048)
    zone[_SENDER] = {"TXT": [record]}
    zone["relay.example"] = {"TXT": [included]}
    with serving(zone) as server:
        mine = server.resolver()
        real = dns.resolver.Resolver.resolve

        def watched(self: dns.resolver.Resolver, *args: Any, **kwargs: Any) -> Any:
            names = [str(one) for one in self.nameservers]
            assert self is mine or names == ["nobody"], names
            return real(self, *args, **kwargs)

        monkeypatch.setattr(dns.resolver.Resolver, "resolve", watched)
        report = look_up(_SENDER, selectors=["k1"], resolver=mine, timeout=_QUICK)
        asked = {kind for _, kind in server.asked}
        assert ("why.letters.example", "TXT") not in server.asked
        assert len(server.asked) == len(set(server.asked)), "nothing is asked twice"
    assert report.spf.valid is True
    assert not [note for note in report.spf.notes if "exp" in note]
    assert "SPF" not in asked


def test_dmarc_that_is_weak_strict_or_inherited() -> None:
    record = "v=DMARC1; p=none; sp=quarantine; adkim=s; aspf=s"
    zone = {
        "_dmarc.letters.example": {"TXT": [record]},
        "news.letters.example": {"TXT": [_SPF]},
    }
    report = _report(zone, "news.letters.example", bounces="letters.example")
    dmarc = report.dmarc
    assert (dmarc.location, dmarc.policy, dmarc.subdomain_policy) == (
        *(_SENDER, "none"),
        "quarantine",
    )
    assert dmarc.applied == "quarantine"
    assert (dmarc.adkim, dmarc.aspf, dmarc.rua) == ("strict", "strict", ())
    assert report.organisation == _SENDER
    assert (report.spf_alignment.mode, report.spf_alignment.aligned) == ("strict", False)


@pytest.mark.parametrize(
    ("records", "why"),
    [
        (["v=DMARC1; p=nothing"], "nothing"),
        (["v=DMARC1 p=none"], "begins with v=DMARC1"),
        (["DMARC1; p=none"], "begins with v=DMARC1"),
        ([" v=DMARC1; p=none"], "begins with v=DMARC1"),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "2 DMARC records"),
    ],
)
def test_dmarc_that_nobody_can_read(records: list[str], why: str) -> None:
    dmarc = _report({"_dmarc.letters.example": {"TXT": records}}).dmarc
    assert (dmarc.state, dmarc.valid, dmarc.policy) == ("present", False, None)
    assert why in dmarc.error


def test_a_text_of_something_else_is_no_dmarc_record() -> None:
    dmarc = _report({"_dmarc.letters.example": {"TXT": [_SPF]}}).dmarc
    assert dmarc.state == "absent"
    assert dmarc.notes == ("_dmarc.letters.example has a text that is no DMARC record",)


def test_keys_of_every_kind(rsa_2048: str) -> None:
    ed = ed25519.Ed25519PrivateKey.generate().public_key()
    raw = ed.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    texts = {
        "ed": f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}",
        "old": f"k=rsa; t=y:s; p={_public(1024)}",
        "revoked": "v=DKIM1; k=rsa; p=",
        "cut": f"v=DKIM1; p={rsa_2048[:200]}",
        "broken": f"v=DKIM1; p={rsa_2048[:201]}",
        "version": f"v=DKIM2; p={rsa_2048}",
        "late": f"p={rsa_2048}; v=DKIM1",
        "keyless": "v=DKIM1; k=rsa",
        "twice": f"v=DKIM1; p={rsa_2048}; p={rsa_2048}",
        "unknown": "v=DKIM1; k=dsa; p=AAAA",
        "sha1": f"v=DKIM1; h=sha1; p={rsa_2048}",
        "other": f"v=DKIM1; s=tlsrpt; p={rsa_2048}",
        "prose": "please ask the administrator",
    }
    zone: dict[str, Any] = {
        f"{name}._domainkey.letters.example": {"TXT": [record]} for name, record in texts.items()
    }
    zone["alias._domainkey.letters.example"] = {"CNAME": ["k9._domainkey.relay.example."]}
    zone["k9._domainkey.relay.example"] = {"TXT": [f"v=DKIM1; p={rsa_2048}"]}
    zone["nowhere._domainkey.letters.example"] = {"CNAME": ["k0._domainkey.relay.example."]}
    zone["double._domainkey.letters.example"] = {"TXT": [texts["ed"], texts["old"]]}
    names = (*texts, "alias", "nowhere", "double", "missing")
    found = dict(zip(names, _report(zone, selectors=names).dkim, strict=True))
    assert {name for name, key in found.items() if key.valid} == {"ed", "old", "alias"}
    assert (found["ed"].key_type, found["ed"].bits) == ("ed25519", 256)
    assert (found["old"].bits, found["old"].testing) == (1024, True)
    assert (found["alias"].bits, found["alias"].alias) == (2048, "k9._domainkey.relay.example")
    assert [name for name, key in found.items() if key.revoked] == ["revoked"]
    assert [name for name, key in found.items() if key.state == "absent"] == ["nowhere", "missing"]
    assert {name: key.error for name, key in found.items() if key.valid is False} == {
        "revoked": "p= is empty: the key is revoked",
        "cut": "p= is no RSA key: a part of it is missing, or it is another key's",
        "broken": "p= is no base64: a part of the key is missing",
        "version": "it must begin with v=DKIM1",
        "late": "it must begin with v=DKIM1",
        "keyless": "it has no p=, the key",
        "twice": "it is no list of tags, such as v=DKIM1; p=…",
        "unknown": "k=dsa is no key type that receivers know",
        "sha1": "h=sha1 does not allow sha256, the only hash in use (RFC 8301)",
        "other": "s=tlsrpt does not allow mail",
        "prose": "it is no list of tags, such as v=DKIM1; p=…",
        "double": "double._domainkey.letters.example has 2 TXT records; there must be one",
    }


def test_the_published_key_is_compared_with_the_one_that_signs() -> None:
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    ours = Signer(_SENDER, "k1", private).dns_record
    spaced = ours.replace("p=", "p= ").replace("MII", "MII \t")
    zone = {"k1._domainkey.letters.example": {"TXT": [spaced]}}
    [key] = _report(zone, selectors=["k1"]).dkim
    assert key.valid
    assert key.same_key(ours)
    assert not key.same_key(ours.replace("MII", "MIJ"))
    [missing] = _report({}, selectors=["k1"]).dkim
    assert not missing.same_key("v=DKIM1; p=")


def test_a_long_record_comes_over_tcp() -> None:
    key = _public(4096)
    with serving({"k1._domainkey.letters.example": {"TXT": [f"v=DKIM1; p={key}"]}}) as server:
        report = look_up(_SENDER, selectors=["k1"], resolver=server.resolver(), timeout=_QUICK)
        assert server.tcp == 1
    assert (report.dkim[0].valid, report.dkim[0].bits) == (True, 4096)


def test_alignment_follows_the_organisation_and_the_record(rsa_2048: str) -> None:
    signers = [
        Selector("k1", "mail.letters.example"),
        Selector("k1", _SENDER),
        Selector("k1", "relay.example"),
    ]
    zone = _good(rsa_2048)
    relaxed = _report(zone, selectors=signers, bounces="bounces.letters.example")
    assert [one.aligned for one in relaxed.dkim_alignment] == [True, True, False]
    assert (relaxed.spf_alignment.domain, relaxed.spf_alignment.aligned) == (
        "bounces.letters.example",
        True,
    )
    assert relaxed.bounce_spf.state == "absent"
    zone["_dmarc.letters.example"] = {"TXT": [f"{_DMARC}; adkim=s; aspf=s"]}
    strict = _report(zone, selectors=signers, bounces="bounces.letters.example")
    assert [one.aligned for one in strict.dkim_alignment] == [False, True, False]
    assert strict.spf_alignment.aligned is False
    # Strict or relaxed? Where it matters, nobody can tell.
    zone["_dmarc.letters.example"] = SILENT
    unknown = _report(zone, selectors=signers, bounces="bounces.letters.example")
    assert [one.aligned for one in unknown.dkim_alignment] == [None, True, False]
    assert unknown.spf_alignment.aligned is None
    # co.uk is a suffix under which anybody registers, by the list.
    report = _report({}, "a.letters.co.uk", bounces="b.other.co.uk")
    assert report.organisation == "letters.co.uk"
    assert report.spf_alignment.aligned is False


@pytest.mark.parametrize("code", ["SERVFAIL", "REFUSED"])
def test_a_failing_name_server_is_no_missing_record(rsa_2048: str, code: str) -> None:
    names = (_SENDER, "_dmarc.letters.example", "k1._domainkey.letters.example")
    report = _report(dict.fromkeys(names, code), selectors=["k1"])
    states = (report.spf.state, report.dmarc.state, report.dkim[0].state, report.mx.state)
    assert states == ("unknown",) * 4
    why = f"the name server could not tell ({code})"
    assert report.not_looked_at == (
        f"SPF of letters.example: {why}",
        f"DMARC of letters.example: {why}",
        f"DKIM key k1._domainkey.letters.example: {why}",
        f"MX of letters.example: {why}",
    )


def test_one_silent_name_does_not_hide_the_others(rsa_2048: str) -> None:
    zone = _good(rsa_2048)
    zone["_dmarc.letters.example"] = SILENT
    report = _report(zone, selectors=["k1"])
    assert (report.spf.state, report.dkim[0].state, report.mx.state) == ("present",) * 3
    assert report.dmarc.state == "unknown"
    assert report.not_looked_at == (
        f"DMARC of letters.example: no name server answered within {_QUICK} seconds",
    )


def test_silence_at_the_first_question_is_the_last_question() -> None:
    with serving({_SENDER: SILENT}) as server:
        selectors = [f"k{n}" for n in range(20)]
        report = look_up(_SENDER, selectors=selectors, resolver=server.resolver(), timeout=_QUICK)
        assert {name for name, _ in server.asked} == {_SENDER}
    assert len(report.not_looked_at) == 23


def test_all_questions_together_take_a_bounded_time(rsa_2048: str) -> None:
    names = [f"k{n}" for n in range(40)]
    zone = _good(rsa_2048, **{f"{name}._domainkey.letters.example": SILENT for name in names})
    with serving(zone) as server:
        began = time.monotonic()
        report = look_up(_SENDER, selectors=names, resolver=server.resolver(), timeout=_QUICK)
        took = time.monotonic() - began
    assert took < 15 * _QUICK, "and not 40 times"
    assert {key.state for key in report.dkim} == {"unknown"}
    assert report.dkim[-1].reason == "there was no time left to ask"


def test_without_a_network_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = dns.resolver.Resolver(configure=False)
    nobody.nameservers, nobody.port = ["127.0.0.1"], closed_port()
    report = look_up(_SENDER, selectors=["k1"], resolver=nobody, timeout=_QUICK)
    assert report.spf.state == report.dmarc.state == report.mx.state == "unknown"
    assert len(report.not_looked_at) == 4

    def unset(*_: Any, **__: Any) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", unset)
    report = look_up(_SENDER)
    assert report.not_looked_at[0] == "SPF of letters.example: no name server is set up"


@pytest.mark.parametrize("root", ["NXDOMAIN", "SERVFAIL", "REFUSED", {"NS": []}, SILENT])
def test_a_closed_network_denies_every_name_and_is_not_believed(root: Any) -> None:
    report = _report({".": root, "inside.example": {"TXT": [_SPF]}}, selectors=["k1"])
    assert report.spf.state == report.dmarc.state == report.mx.state == "unknown"
    assert report.dkim[0].state == "unknown"
    assert report.spf.reason == "the name server knows no names of the internet"
    # One that has something to say of the domain is believed when it denies a name under it.
    report = _report({".": root, _SENDER: {"TXT": [_SPF]}}, selectors=["k1"])
    assert (report.spf.state, report.dmarc.state, report.dkim[0].state) == (
        *("present", "absent"),
        "absent",
    )


def test_where_bounces_arrive() -> None:
    zone = {
        "one.example": {"MX": ["20 b.example.", "10 A.example."]},
        "none.example": {"MX": ["0 ."]},
        "address.example": {"AAAA": ["2001:db8::1"]},
        "empty.example": {"TXT": ["x"]},
        "half.example": "SERVFAIL",
    }
    found = {name: _report(zone, bounces=name).mx for name in (*zone, "nowhere.example")}
    assert found["one.example"].hosts == ("a.example", "b.example")
    assert (found["none.example"].state, found["none.example"].null) == ("absent", True)
    assert (found["address.example"].state, found["address.example"].implicit) == ("present", True)
    assert found["empty.example"].state == found["nowhere.example"].state == "absent"
    assert found["half.example"].state == "unknown"


def test_a_mended_record_is_seen_at_once() -> None:
    """checkdmarc keeps what it heard for half an hour."""
    for own, all_ in (("+all", "pass"), ("-all", "fail")):
        zone = {
            _SENDER: {"TXT": ["v=spf1 redirect=_spf.letters.example"]},
            "_spf.letters.example": {"TXT": [f"v=spf1 {own}"]},
        }
        assert _report(zone).spf.all == all_


@pytest.mark.parametrize("domain", ["", ".", "a..example", "x" * 64 + ".example", "a b.example"])
def test_what_is_no_domain_is_refused(domain: str) -> None:
    with pytest.raises(InputError, match="is no domain"):
        look_up(domain, resolver=dns.resolver.Resolver(configure=False))


def test_letters_beyond_ascii_are_asked_in_their_xn_form() -> None:
    zone = {"xn--mller-kva.example": {"TXT": [_SPF]}}
    report = _report(zone, "Müller.example.")
    assert (report.domain, report.spf.state) == ("xn--mller-kva.example", "present")
    assert report.spf_alignment.aligned is True


def test_the_libraries_are_imported_when_somebody_asks() -> None:
    code = (
        "import sys, newsletter.checks.dns; "
        "print([one for one in ('checkdmarc', 'dns', 'cryptography') if one in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ran.stdout.strip() == "[]"
