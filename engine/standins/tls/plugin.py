"""The `tls` plugin's stand-in."""

from __future__ import annotations

from engine.standins.generated import Generated
from engine.standins.provider import serve
from engine.standins.resource import Provider
from engine.standins.tls.certificates import CertRequest, LocallySignedCert, SelfSignedCert
from engine.standins.tls.keys import PrivateKey

RESOURCES: tuple[type[Generated], ...] = (CertRequest, LocallySignedCert, PrivateKey, SelfSignedCert)


def main() -> None:
    """Serve until the engine ends the process."""
    names = {kind: kind.__name__ for kind in RESOURCES}
    tokens = {f"tls:index/{name[0].lower()}{name[1:]}:{name}": kind() for kind, name in names.items()}
    serve(Provider(name="tls", version="5.6.2", resources=tokens))
