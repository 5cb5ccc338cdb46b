"""`PrivateKey`, and the forms in which keys are written."""

# ruff: noqa: PLC0415 (a plugin starts at every preview, and most previews need nothing of what is imported late)

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

from engine.standins.generated import Generated
from engine.standins.resource import Call, CheckFailure
from engine.standins.values import Properties, Unknown, plain

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

CURVES = ("P224", "P256", "P384", "P521")


def new_key(algorithm: str, curve: str, bits: int) -> PrivateKeyTypes:
    """A fresh private key."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if algorithm == "ED25519":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)
    curves: dict[str, type[ec.EllipticCurve]] = {
        "P224": ec.SECP224R1,
        "P256": ec.SECP256R1,
        "P384": ec.SECP384R1,
        "P521": ec.SECP521R1,
    }
    return ec.generate_private_key(curves[curve]())


def public_key_outputs(key: PrivateKeyTypes) -> dict[str, str]:
    """The public half: PEM, OpenSSH's form, and its fingerprints.

    OpenSSH knows no P224: its form and the fingerprints are empty then.
    """
    from cryptography.hazmat.primitives import serialization as form

    public = key.public_key()
    pem = public.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo).decode()
    try:
        line = public.public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH).decode()
    except ValueError:
        return {
            "publicKeyPem": pem,
            "publicKeyOpenssh": "",
            "publicKeyFingerprintMd5": "",
            "publicKeyFingerprintSha256": "",
        }
    blob = base64.b64decode(line.split()[1])
    md5 = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    sha256 = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return {
        "publicKeyPem": pem,
        "publicKeyOpenssh": line + "\n",
        "publicKeyFingerprintMd5": ":".join(md5[index : index + 2] for index in range(0, len(md5), 2)),
        "publicKeyFingerprintSha256": f"SHA256:{sha256}",
    }


def private_key_outputs(key: PrivateKeyTypes) -> dict[str, str]:
    """The private half as PEM (the algorithm's traditional form), PKCS#8 and OpenSSH's own."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ed25519

    def pem(kind: form.PrivateFormat) -> str:
        return key.private_bytes(form.Encoding.PEM, kind, form.NoEncryption()).decode()

    traditional = (
        form.PrivateFormat.PKCS8
        if isinstance(key, ed25519.Ed25519PrivateKey)
        else form.PrivateFormat.TraditionalOpenSSL
    )
    try:
        openssh = pem(form.PrivateFormat.OpenSSH)
    except ValueError:
        openssh = ""
    return {
        "privateKeyPem": pem(traditional),
        "privateKeyPemPkcs8": pem(form.PrivateFormat.PKCS8),
        "privateKeyOpenssh": openssh,
    }


def key_id(key: PrivateKeyTypes) -> str:
    """The resource's id: SHA-1 of the public key's DER form."""
    from cryptography.hazmat.primitives import serialization as form

    der = key.public_key().public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha1(der, usedforsecurity=False).hexdigest()


class PrivateKey(Generated):
    """A private key in every form that its users may want."""

    defaults: ClassVar[Properties] = {"ecdsaCurve": "P224", "rsaBits": 2048}
    computed: ClassVar[tuple[str, ...]] = (
        "privateKeyPem",
        "privateKeyPemPkcs8",
        "privateKeyOpenssh",
        "publicKeyPem",
        "publicKeyOpenssh",
        "publicKeyFingerprintMd5",
        "publicKeyFingerprintSha256",
    )
    secret = frozenset({"privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"})

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[CheckFailure]]:
        """The algorithm and the curve have to be known ones."""
        failures = []
        wanted = {"algorithm": ("RSA", "ECDSA", "ED25519"), "ecdsaCurve": CURVES}
        for name, allowed in wanted.items():
            value = plain(self.settle(inputs).get(name))
            if value is None:
                failures.append(CheckFailure(name, f"Missing required property '{name}'"))
            elif not isinstance(value, Unknown) and value not in allowed:
                listed = " ".join(f'"{item}"' for item in allowed)
                reason = f'Attribute {name} value must be one of: [{listed}], got: "{value}"'
                failures.append(CheckFailure(name, reason))
        return inputs, failures

    def generate(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make the key."""
        key = new_key(inputs["algorithm"], inputs["ecdsaCurve"], int(inputs["rsaBits"]))
        return key_id(key), private_key_outputs(key) | public_key_outputs(key)
