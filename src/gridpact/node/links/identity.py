"""Who validators are on their links: an Ed25519 key each, and certificates that are pinned.

Nobody vouches for anybody: a certificate is good when it is, byte for byte, the one that a member
is known by. So the names, dates and uses that certificates carry are never looked at.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gridpact.codec import Name
from gridpact.errors import InputError, Problem

_VALID_FROM = datetime(2000, 1, 1, tzinfo=UTC)
_VALID_TO = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""How X.509 writes that a certificate does not end; it ends when nobody pins it any more."""


class Member(msgspec.Struct, frozen=True):
    """A validator as the others know it."""

    name: Name
    """Party id."""
    host: str
    """Where it listens."""
    port: int
    certificate: str
    """Its one certificate, as PEM text."""

    def fingerprint(self) -> bytes:
        """The certificate's DER bytes, which are what is compared.

        Raises:
            InputError: the text is not one certificate in PEM form.
        """
        try:
            der = ssl.PEM_cert_to_DER_cert(self.certificate)
            again = ssl.DER_cert_to_PEM_cert(der)
        except ValueError as error:
            raise InputError([Problem(self.name, f"no certificate in PEM form: {error}")]) from None
        if again.split() != self.certificate.split():
            raise InputError([Problem(self.name, "not one certificate in PEM form")])
        return der


def make_identity(name: str) -> tuple[bytes, str]:
    """A new key and the certificate that goes with it; the operating system's randomness.

    Returns:
        Private key and self-signed certificate, both PEM.
    Raises:
        InputError: the package `cryptography` is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError as error:
        text = (
            "making keys for links needs cryptography, which is not installed; "
            "install the extra: pip install 'gridpact[node]'"
        )
        raise InputError([Problem(name, text)]) from error
    key = Ed25519PrivateKey.generate()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(
        issuer_name=subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=_VALID_FROM,
        not_valid_after=_VALID_TO,
    ).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, builder.sign(key, None).public_bytes(pem).decode()


def write_key(path: Path, key: bytes) -> None:
    """Write a new file that only its owner can read; OSError when the disk refuses."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  (a descriptor, made with its mode)
        file.write(key)
        file.flush()
        os.fsync(file.fileno())


def server_context(own: Member, key: Path, peers: Sequence[Member]) -> ssl.SSLContext:
    """For who listens: TLS 1.3, and whoever connects must show a certificate of `peers`.

    Raises:
        InputError: the key cannot be read, can be read by others, or is not the certificate's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # nothing is resumed: every connection shows its certificate
    return _pinned(context, own, key, peers)


def client_context(own: Member, key: Path, peers: Sequence[Member]) -> ssl.SSLContext:
    """For who connects: TLS 1.3, and whoever listens must show a certificate of `peers`.

    Raises:
        InputError: the key cannot be read, can be read by others, or is not the certificate's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # addresses change; the pinned certificate is the name
    return _pinned(context, own, key, peers)


def _pinned(
    context: ssl.SSLContext, own: Member, key: Path, peers: Sequence[Member]
) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    own.fingerprint()
    if peers:
        pins = b"".join(peer.fingerprint() for peer in peers)
        try:
            context.load_verify_locations(cadata=pins)
        except ssl.SSLError as error:
            names = ", ".join(peer.name for peer in peers)
            text = f"a certificate cannot be read: {error.reason}"
            raise InputError([Problem(names, text)]) from None
    try:
        if os.name != "nt" and (mode := key.stat().st_mode & 0o777) & 0o077:
            text = f"others can read this private key (mode {mode:o}); chmod 600 it"
            raise InputError([Problem(str(key), text)])
        with tempfile.TemporaryDirectory() as folder:  # OpenSSL takes certificates from files
            certificate = Path(folder) / "certificate.pem"
            certificate.write_text(own.certificate, encoding="ascii")
            context.load_cert_chain(certificate, key, password=_no_password)
    except OSError as error:
        text = f"no private key of {own.name}'s certificate: {error.strerror or error}"
        raise InputError([Problem(str(key), text)]) from None
    return context


def _no_password() -> str:
    """A validator starts by itself; without this OpenSSL would ask on the terminal."""
    return ""
