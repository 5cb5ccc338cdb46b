"""The cluster's own certificate authority, and a certificate for each member."""

import pulumi
import pulumi_tls as tls

#: Members prove themselves to members only, and a certificate that ends takes the cluster down: long-lived on purpose.
#: A member that must not be trusted any more is replaced; a leaked authority means a new stack.
_VALID_HOURS = 20 * 365 * 24


class Authority:
    """The authority of one cluster; its key never leaves the state."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        self._opts = opts
        self._key = tls.PrivateKey(f"{name}-authority", algorithm="ECDSA", ecdsa_curve="P256", opts=opts)
        self._certificate = tls.SelfSignedCert(
            f"{name}-authority",
            private_key_pem=self._key.private_key_pem,
            subject=tls.SelfSignedCertSubjectArgs(common_name=f"{pulumi.get_project()}-{pulumi.get_stack()}"),
            is_ca_certificate=True,
            allowed_uses=["cert_signing", "crl_signing"],
            validity_period_hours=_VALID_HOURS,
            opts=opts,
        )

    @property
    def certificate(self) -> pulumi.Output[str]:
        """The authority's certificate, PEM."""
        return self._certificate.cert_pem

    def member(self, name: str) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """A member's private key (secret) and certificate, PEM; its common name is the member's."""
        key = tls.PrivateKey(f"{name}-tls", algorithm="ECDSA", ecdsa_curve="P256", opts=self._opts)
        request = tls.CertRequest(
            f"{name}-tls",
            private_key_pem=key.private_key_pem,
            subject=tls.CertRequestSubjectArgs(common_name=name),
            opts=self._opts,
        )
        signed = tls.LocallySignedCert(
            f"{name}-tls",
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=self._key.private_key_pem,
            ca_cert_pem=self._certificate.cert_pem,
            allowed_uses=["digital_signature", "key_encipherment", "server_auth", "client_auth"],
            validity_period_hours=_VALID_HOURS,
            opts=self._opts,
        )
        return key.private_key_pem, signed.cert_pem
