"""Subjects, alternative names and key usages: from the plugin's inputs to X.509's own terms."""

from __future__ import annotations

import ipaddress
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Extended
from cryptography.x509.oid import NameOID, ObjectIdentifier

_SUBJECT = (
    ("country", NameOID.COUNTRY_NAME),
    ("organization", NameOID.ORGANIZATION_NAME),
    ("organizationalUnit", NameOID.ORGANIZATIONAL_UNIT_NAME),
    ("locality", NameOID.LOCALITY_NAME),
    ("province", NameOID.STATE_OR_PROVINCE_NAME),
    ("streetAddresses", NameOID.STREET_ADDRESS),
    ("postalCode", NameOID.POSTAL_CODE),
    ("commonName", NameOID.COMMON_NAME),
    ("serialNumber", NameOID.SERIAL_NUMBER),
    ("emailAddress", NameOID.EMAIL_ADDRESS),
)

_KEY_USAGES = {
    "digital_signature": "digital_signature",
    "content_commitment": "content_commitment",
    "key_encipherment": "key_encipherment",
    "data_encipherment": "data_encipherment",
    "key_agreement": "key_agreement",
    "cert_signing": "key_cert_sign",
    "crl_signing": "crl_sign",
    "encipher_only": "encipher_only",
    "decipher_only": "decipher_only",
}

_EXTENDED_USAGES = {
    "any_extended": Extended.ANY_EXTENDED_KEY_USAGE,
    "server_auth": Extended.SERVER_AUTH,
    "client_auth": Extended.CLIENT_AUTH,
    "code_signing": Extended.CODE_SIGNING,
    "email_protection": Extended.EMAIL_PROTECTION,
    "ipsec_end_system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec_tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec_user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": Extended.TIME_STAMPING,
    "ocsp_signing": Extended.OCSP_SIGNING,
    "microsoft_server_gated_crypto": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape_server_gated_crypto": ObjectIdentifier("2.16.840.1.113730.4.1"),
}

USAGES = (*_KEY_USAGES, *_EXTENDED_USAGES)
"""Every word that `allowedUses` may hold (RFC 5280, sections 4.2.1.3 and 4.2.1.12)."""


def subject(fields: dict[str, Any] | None) -> x509.Name:
    """A distinguished name."""
    attributes = []
    for field, oid in _SUBJECT:
        value = (fields or {}).get(field)
        values = value if isinstance(value, list) else [value]
        attributes += [x509.NameAttribute(oid, item) for item in values if item]
    return x509.Name(attributes)


def alternative_names(inputs: dict[str, Any]) -> x509.SubjectAlternativeName | None:
    """The DNS names, addresses and URIs; None where there are none."""
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in inputs.get("dnsNames") or []]
    names += [x509.IPAddress(ipaddress.ip_address(text)) for text in inputs.get("ipAddresses") or []]
    names += [x509.UniformResourceIdentifier(uri) for uri in inputs.get("uris") or []]
    return x509.SubjectAlternativeName(names) if names else None


def key_usage(uses: list[str]) -> x509.KeyUsage | None:
    """The key usages among the allowed uses; None where there are none."""
    named = {_KEY_USAGES[use] for use in uses if use in _KEY_USAGES}
    if not named:
        return None
    flags = {flag: flag in named for flag in _KEY_USAGES.values()}
    # "Only" narrows a key agreement and means nothing without one.
    for flag in ("encipher_only", "decipher_only"):
        flags[flag] = flags[flag] and flags["key_agreement"]
    return x509.KeyUsage(**flags)


def extended_usage(uses: list[str]) -> x509.ExtendedKeyUsage | None:
    """The extended key usages among the allowed uses; None where there are none."""
    named = [_EXTENDED_USAGES[use] for use in uses if use in _EXTENDED_USAGES]
    return x509.ExtendedKeyUsage(named) if named else None
