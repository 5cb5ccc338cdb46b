"""Keys and certificates: their forms, what they hold, what replaces them."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
from datetime import datetime, timedelta
from typing import Any

import asyncssh
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from tests.engine.conftest import MakeStack
from tests.engine.stack import Stack

pytestmark = pytest.mark.engine

PROGRAM = """
    keys = {name: tls.PrivateKey(name, **given) for name, given in settings["keys"].items()}
    pulumi.export("keys", {name: {
        "pem": key.private_key_pem, "pkcs8": key.private_key_pem_pkcs8, "openssh": key.private_key_openssh,
        "public": key.public_key_pem, "line": key.public_key_openssh, "md5": key.public_key_fingerprint_md5,
        "sha256": key.public_key_fingerprint_sha256, "id": key.id} for name, key in keys.items()})
    authority = tls.SelfSignedCert(
        "authority", private_key_pem=keys["ec"].private_key_pem, is_ca_certificate=True, validity_period_hours=1000,
        allowed_uses=["cert_signing", "crl_signing"],
        subject=tls.SelfSignedCertSubjectArgs(common_name="Test CA", organization="Tests"), max_path_length=0)
    request = tls.CertRequest(
        "request", private_key_pem=keys["ed"].private_key_pem, dns_names=["node.test"], ip_addresses=["10.77.0.10"],
        subject=tls.CertRequestSubjectArgs(common_name="node-1"))
    signed = tls.LocallySignedCert(
        "signed", ca_cert_pem=authority.cert_pem, ca_private_key_pem=keys["ec"].private_key_pem,
        cert_request_pem=request.cert_request_pem, validity_period_hours=settings["hours"],
        early_renewal_hours=settings["early"], allowed_uses=["digital_signature", "server_auth", "client_auth"])
    pulumi.export("certificates", {
        "authority": authority.cert_pem, "request": request.cert_request_pem, "signed": signed.cert_pem,
        "id": signed.id, "start": signed.validity_start_time, "end": signed.validity_end_time,
        "due": signed.ready_for_renewal,
        "algorithms": [authority.key_algorithm, request.key_algorithm, signed.ca_key_algorithm]})
"""

KEYS: dict[str, dict[str, Any]] = {
    "ed": {"algorithm": "ED25519"},
    "ec": {"algorithm": "ECDSA", "ecdsa_curve": "P256"},
    "old": {"algorithm": "ECDSA"},
    "rsa": {"algorithm": "RSA"},
}


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    stack = make_stack()
    stack.program(PROGRAM)
    stack.settings(keys=KEYS, hours=240, early=24)
    stack.up()
    return stack


@pytest.fixture(scope="module")
def outputs(stack: Stack) -> dict[str, Any]:
    return stack.outputs()


@pytest.fixture(scope="module")
def state(stack: Stack, outputs: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return stack.resources()


def test_a_key_has_the_algorithm_and_size_that_were_asked_for(outputs: dict[str, Any]) -> None:
    read = {
        name: serialization.load_pem_private_key(key["pem"].encode(), None) for name, key in outputs["keys"].items()
    }
    assert isinstance(read["ed"], ed25519.Ed25519PrivateKey)
    assert isinstance(read["rsa"], rsa.RSAPrivateKey)
    assert read["rsa"].key_size == 2048
    curves = [key.curve.name for key in (read["ec"], read["old"]) if isinstance(key, ec.EllipticCurvePrivateKey)]
    assert curves == ["secp256r1", "secp224r1"]


def test_the_pem_form_is_the_algorithms_own(outputs: dict[str, Any]) -> None:
    heads = {name: key["pem"].splitlines()[0] for name, key in outputs["keys"].items()}
    assert heads == {
        "ed": "-----BEGIN PRIVATE KEY-----",
        "ec": "-----BEGIN EC PRIVATE KEY-----",
        "old": "-----BEGIN EC PRIVATE KEY-----",
        "rsa": "-----BEGIN RSA PRIVATE KEY-----",
    }
    assert {key["pkcs8"].splitlines()[0] for key in outputs["keys"].values()} == {"-----BEGIN PRIVATE KEY-----"}


def test_ssh_takes_the_openssh_form_and_it_is_the_same_key(outputs: dict[str, Any]) -> None:
    for name in ("ed", "ec", "rsa"):
        key = outputs["keys"][name]
        line = asyncssh.import_private_key(key["openssh"]).export_public_key().decode()
        assert line.split()[:2] == key["line"].split()[:2]
        assert key["line"].endswith("\n")


def test_a_curve_that_ssh_does_not_know_has_no_ssh_form(outputs: dict[str, Any]) -> None:
    assert (outputs["keys"]["old"]["line"], outputs["keys"]["old"]["sha256"]) == ("", "")


def test_fingerprints_are_those_that_ssh_shows(outputs: dict[str, Any]) -> None:
    key = outputs["keys"]["ed"]
    content = base64.b64decode(key["line"].split()[1])
    assert key["sha256"] == "SHA256:" + base64.b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    assert key["md5"].replace(":", "") == hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_private_keys_are_nowhere_in_the_state(outputs: dict[str, Any], state: dict[str, Any]) -> None:
    stored = json.dumps(state)
    for key in outputs["keys"].values():
        for form in ("pem", "pkcs8", "openssh"):
            lines = [line for line in key[form].splitlines() if "-----" not in line]
            assert lines == [] or lines[0] not in stored


def load(outputs: dict[str, Any], name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(outputs["certificates"][name].encode())


def test_an_authority_may_sign(outputs: dict[str, Any]) -> None:
    authority = load(outputs, "authority")
    assert authority.subject == authority.issuer
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, 0)
    usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)


def test_a_signed_certificate_holds_the_request_and_is_accepted(outputs: dict[str, Any]) -> None:
    authority, signed = load(outputs, "authority"), load(outputs, "signed")
    signed.verify_directly_issued_by(authority)
    [name] = signed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "node-1"
    names = signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node.test"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("10.77.0.10")]
    uses = signed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    assert outputs["certificates"]["id"] == str(signed.serial_number)
    assert outputs["certificates"]["algorithms"] == ["ECDSA", "ED25519", "ECDSA"]


def test_a_signed_certificate_is_valid_for_its_hours(outputs: dict[str, Any]) -> None:
    signed = load(outputs, "signed")
    told = [datetime.fromisoformat(outputs["certificates"][name]) for name in ("start", "end")]
    assert told == [signed.not_valid_before_utc, signed.not_valid_after_utc]
    assert told[1] - told[0] == timedelta(hours=240)
    assert outputs["certificates"]["due"] is False


def test_a_tls_library_accepts_the_chain(outputs: dict[str, Any]) -> None:
    store = Store([load(outputs, "authority")])
    verifier = PolicyBuilder().store(store).build_client_verifier()
    assert verifier.verify(load(outputs, "signed"), []).chain[0] == load(outputs, "signed")


def test_a_refresh_keeps_everything(stack: Stack, outputs: dict[str, Any]) -> None:
    stack.refresh()
    assert stack.outputs() == outputs


def test_a_certificate_that_is_due_is_replaced(stack: Stack, outputs: dict[str, Any]) -> None:
    stack.settings(keys=KEYS, hours=240, early=48)
    assert {name: step["op"] for name, step in stack.planned().items()} == {"signed": "update"}
    stack.settings(keys=KEYS, hours=240, early=239)
    stack.up()
    kept = stack.outputs()["certificates"]
    assert kept["signed"] == outputs["certificates"]["signed"]
    stack.settings(keys=KEYS, hours=240, early=241)
    assert {name: step["op"] for name, step in stack.planned().items()} == {"signed": "replace"}


def test_a_changed_key_replaces_what_hangs_on_it(stack: Stack) -> None:
    stack.settings(keys=KEYS | {"ed": {"algorithm": "ECDSA", "ecdsa_curve": "P384"}}, hours=240, early=24)
    planned = {name: step["op"] for name, step in stack.planned().items()}
    assert planned == {"ed": "replace", "request": "replace", "signed": "replace"}


def test_an_unknown_algorithm_is_refused_at_preview(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.program("""
        tls.PrivateKey("key", algorithm="DSA")
    """)
    failed = stack.pulumi("preview", check=False)
    assert failed.status != 0
    assert "algorithm value must be one of" in failed.text
