"""Building and signing requests and certificates."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519

from engine.standins.resource import ProviderError
from engine.standins.tls import names


def _digest(key: Any) -> hashes.SHA256 | None:
    """Ed25519 hashes by itself."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def request(key: Any, inputs: dict[str, Any]) -> x509.CertificateSigningRequest:
    """A signed request for the inputs' subject and names."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(names.subject(inputs.get("subject")))
    alternatives = names.alternative_names(inputs)
    if alternatives is not None:
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(key, _digest(key))


def _start(
    subject: x509.Name, issuer: x509.Name, public_key: Any, inputs: dict[str, Any], start: datetime, end: datetime
) -> x509.CertificateBuilder:
    """What every certificate holds."""
    authority = bool(inputs["isCaCertificate"])
    longest = inputs.get("maxPathLength") if authority else None
    length = int(longest) if longest is not None and longest >= 0 else None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=length), critical=True)
    )
    usage = names.key_usage(inputs["allowedUses"])
    if usage is not None:
        builder = builder.add_extension(usage, critical=True)
    extended = names.extended_usage(inputs["allowedUses"])
    if extended is not None:
        builder = builder.add_extension(extended, critical=False)
    if authority or inputs["setSubjectKeyId"]:
        identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
        builder = builder.add_extension(identifier, critical=False)
    return builder


def self_signed(key: Any, inputs: dict[str, Any], start: datetime, end: datetime) -> x509.Certificate:
    """A certificate that its own key signs."""
    subject = names.subject(inputs.get("subject"))
    builder = _start(subject, subject, key.public_key(), inputs, start, end)
    alternatives = names.alternative_names(inputs)
    if alternatives is not None:
        builder = builder.add_extension(alternatives, critical=False)
    if inputs["setAuthorityKeyId"]:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    return builder.sign(key, _digest(key))


def locally_signed(
    key: Any,
    authority: x509.Certificate,
    asked: x509.CertificateSigningRequest,
    inputs: dict[str, Any],
    start: datetime,
    end: datetime,
) -> x509.Certificate:
    """A certificate for a request, signed by the authority's key."""
    if not asked.is_signature_valid:
        raise ProviderError("certRequestPem is not signed by the key that it holds")
    builder = _start(asked.subject, authority.subject, asked.public_key(), inputs, start, end)
    for extension in asked.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            builder = builder.add_extension(extension.value, critical=extension.critical)
    try:
        issuer = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        pass  # an authority without an identifier cannot be pointed at
    else:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer)
        builder = builder.add_extension(identifier, critical=False)
    return builder.sign(key, _digest(key))
