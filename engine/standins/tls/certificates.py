"""`SelfSignedCert`, `CertRequest` and `LocallySignedCert`.

The write-only key inputs (`privateKeyPemWo`, `caPrivateKeyPemWo`) are not offered.
"""

# ruff: noqa: PLC0415 (a plugin starts at every preview, and most previews need nothing of what is imported late)

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from engine.standins.generated import Generated
from engine.standins.resource import Call, CheckFailure, Diff, ProviderError
from engine.standins.values import Properties, Unknown, plain

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

READY = "readyForRenewal"


def load_key(pem: str, name: str) -> PrivateKeyTypes:
    """A private key from PEM; ProviderError that names the input, never its content."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        raise ProviderError(f"Failed to parse private key PEM: {name} is not an unencrypted PEM key") from None


def algorithm_of(key: PrivateKeyTypes) -> str:
    """The key's algorithm in the plugin's words."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    kinds = ((rsa.RSAPrivateKey, "RSA"), (ec.EllipticCurvePrivateKey, "ECDSA"), (ed25519.Ed25519PrivateKey, "ED25519"))
    for kind, name in kinds:
        if isinstance(key, kind):
            return name
    raise ProviderError(f"a private key of type {type(key).__name__} is not supported")


def missing(inputs: Properties, *names: str) -> list[CheckFailure]:
    """The required inputs that are absent."""
    absent = [name for name in names if plain(inputs.get(name)) is None]
    return [CheckFailure(name, f"Missing required property '{name}'") for name in absent]


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_due(state: dict[str, Any], early_hours: float) -> bool:
    """Whether the certificate has run out, or does so within its early renewal time."""
    end = state.get("validityEndTime")
    if not isinstance(end, str):
        return False
    return datetime.now(UTC) >= datetime.fromisoformat(end) - timedelta(hours=early_hours)


class CertRequest(Generated):
    """A certificate signing request."""

    computed: ClassVar[tuple[str, ...]] = ("certRequestPem", "keyAlgorithm")

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[CheckFailure]]:
        """A key has to be given."""
        return inputs, missing(inputs, "privateKeyPem")

    def generate(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make and sign the request."""
        from cryptography.hazmat.primitives.serialization import Encoding

        from engine.standins.tls import issue

        key = load_key(inputs["privateKeyPem"], "privateKeyPem")
        request = issue.request(key, inputs)
        identifier = hashlib.sha1(request.public_bytes(Encoding.DER), usedforsecurity=False).hexdigest()
        return identifier, {
            "certRequestPem": request.public_bytes(Encoding.PEM).decode(),
            "keyAlgorithm": algorithm_of(key),
        }


class Certificate(Generated):
    """What both kinds of certificates share: validity, renewal, allowed uses."""

    defaults: ClassVar[Properties] = {"earlyRenewalHours": 0, "isCaCertificate": False, "setSubjectKeyId": False}
    no_replace = frozenset({"earlyRenewalHours"})
    required: ClassVar[tuple[str, ...]] = ()

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[CheckFailure]]:
        """What is required is there, and each allowed use has a meaning."""
        from engine.standins.tls.names import USAGES

        failures = missing(inputs, "allowedUses", "validityPeriodHours", *self.required)
        uses = plain(inputs.get("allowedUses"))
        for index, use in enumerate(uses if isinstance(uses, list) else []):
            if not isinstance(use, Unknown) and use not in USAGES:
                listed = " ".join(f'"{item}"' for item in sorted(USAGES))
                reason = f'Attribute allowed_uses[{index}] value must be one of: [{listed}], got: "{use}"'
                failures.append(CheckFailure(f"allowedUses[{index}]", reason))
        return inputs, failures

    async def diff(self, call: Call, old_inputs: Properties, state: Properties, inputs: Properties) -> Diff:
        """A certificate that is due for renewal is replaced."""
        found = await super().diff(call, old_inputs, state, inputs)
        early = plain(self.settle(inputs)["earlyRenewalHours"])
        if not isinstance(early, Unknown) and is_due(plain(state), early):
            found.changes[READY] = "UPDATE"
            found.replaces.add(READY)
        return found

    async def read(
        self, call: Call, identifier: str, inputs: Properties, state: Properties
    ) -> tuple[str, Properties, Properties]:
        """Time passes: the state says whether the certificate is due."""
        identifier, inputs, state = await super().read(call, identifier, inputs, state)
        early = plain(state).get("earlyRenewalHours") or 0
        return identifier, inputs, state | {READY: is_due(plain(state), early)}

    def validity(self, inputs: dict[str, Any]) -> tuple[datetime, datetime, dict[str, Any]]:
        """From now on, for as long as the inputs say; both times, and the outputs that tell them."""
        start = datetime.now(UTC).replace(microsecond=0)
        end = start + timedelta(hours=inputs["validityPeriodHours"])
        told = {"validityStartTime": _timestamp(start), "validityEndTime": _timestamp(end)}
        return start, end, told | {READY: is_due(told, inputs["earlyRenewalHours"])}


class SelfSignedCert(Certificate):
    """A certificate signed by its own key, such as an authority's; its id is its serial number."""

    defaults: ClassVar[Properties] = Certificate.defaults | {"setAuthorityKeyId": False}
    computed: ClassVar[tuple[str, ...]] = ("certPem", "keyAlgorithm", READY, "validityStartTime", "validityEndTime")
    required: ClassVar[tuple[str, ...]] = ("privateKeyPem",)

    def generate(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make and sign the certificate."""
        from cryptography.hazmat.primitives.serialization import Encoding

        from engine.standins.tls import issue

        key = load_key(inputs["privateKeyPem"], "privateKeyPem")
        start, end, told = self.validity(inputs)
        made = issue.self_signed(key, inputs, start, end)
        pem = made.public_bytes(Encoding.PEM).decode()
        return str(made.serial_number), told | {"certPem": pem, "keyAlgorithm": algorithm_of(key)}


class LocallySignedCert(Certificate):
    """A certificate for a request, signed by an authority's key; its id is its serial number."""

    computed: ClassVar[tuple[str, ...]] = ("certPem", "caKeyAlgorithm", READY, "validityStartTime", "validityEndTime")
    required: ClassVar[tuple[str, ...]] = ("caCertPem", "caPrivateKeyPem", "certRequestPem")

    def generate(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make and sign the certificate."""
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding

        from engine.standins.tls import issue

        key = load_key(inputs["caPrivateKeyPem"], "caPrivateKeyPem")
        try:
            authority = x509.load_pem_x509_certificate(inputs["caCertPem"].encode())
            request = x509.load_pem_x509_csr(inputs["certRequestPem"].encode())
        except ValueError as error:
            raise ProviderError(f"Failed to parse caCertPem or certRequestPem: {error}") from None
        start, end, told = self.validity(inputs)
        made = issue.locally_signed(key, authority, request, inputs, start, end)
        pem = made.public_bytes(Encoding.PEM).decode()
        return str(made.serial_number), told | {"certPem": pem, "caKeyAlgorithm": algorithm_of(key)}
