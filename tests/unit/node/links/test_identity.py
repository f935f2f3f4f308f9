"""Keys and certificates: made, kept from others, and refused when they do not belong together."""

from __future__ import annotations

import os
import random
import ssl
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from gridpact.errors import InputError
from gridpact.node.links import Member, Mesh, make_identity, write_key
from gridpact.node.links.identity import client_context, server_context

ANN_KEY, ANN = make_identity("ann")
BOB_KEY, BOB = make_identity("bob")


def member(name: str, certificate: str) -> Member:
    return Member(name, "localhost", 1, certificate)


def mesh(own: Member, key: Path, *peers: Member) -> Mesh:
    return Mesh(
        own,
        key,
        peers,
        chain=bytes(32),
        version=1,
        received=lambda *_: None,
        chance=random.Random(1),
    )


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "ann.pem"
    write_key(path, ANN_KEY)
    return path


def test_an_identity_is_ed25519_and_does_not_end(tmp_path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    read = x509.load_pem_x509_certificate(ANN.encode())
    assert isinstance(read.public_key(), Ed25519PublicKey)
    assert read.subject.rfc4514_string() == "CN=ann"
    assert read.not_valid_after_utc > datetime(9999, 1, 1, tzinfo=UTC)
    read.verify_directly_issued_by(read)
    assert make_identity("ann")[1] != ANN


@pytest.mark.skipif(os.name == "nt", reason="no modes")
def test_a_key_is_its_owners_alone(key: Path) -> None:
    assert key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_key(key, BOB_KEY)
    assert key.read_bytes() == ANN_KEY
    key.chmod(0o640)
    with pytest.raises(InputError, match=r"others can read this private key \(mode 640\)"):
        mesh(member("ann", ANN), key)


def test_contexts_speak_tls_1_3_and_trust_the_pinned_only(key: Path) -> None:
    for make in (server_context, client_context):
        context = make(member("ann", ANN), key, [member("bob", BOB)])
        assert context.minimum_version == context.maximum_version == ssl.TLSVersion.TLSv1_3
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert not context.check_hostname
        (trusted,) = context.get_ca_certs(binary_form=True) or [b""]
        assert trusted in {b"", ssl.PEM_cert_to_DER_cert(BOB)}
        assert context.cert_store_stats()["x509"] == 1


@pytest.mark.parametrize(
    "certificate",
    ["", "bob", ANN + BOB, ANN.replace("M", "?", 1), ANN[:-40], BOB[:100] + BOB[104:]],
)
def test_what_is_no_certificate_is_refused(key: Path, certificate: str) -> None:
    with pytest.raises(InputError):
        mesh(member("ann", ANN), key, member("bob", certificate))
    with pytest.raises(InputError):
        mesh(member("ann", certificate), key, member("bob", BOB))


def test_a_key_that_is_not_the_certificates_is_refused(key: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no private key of bob's certificate"):
        mesh(member("bob", BOB), key)
    with pytest.raises(InputError, match="No such file"):
        mesh(member("ann", ANN), tmp_path / "none.pem")
    broken = tmp_path / "broken.pem"
    write_key(broken, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(InputError) as caught:
        mesh(member("ann", ANN), broken)
    assert "AAAA" not in str(caught.value)


def test_nobody_is_a_member_twice(key: Path) -> None:
    ann, bob = member("ann", ANN), member("bob", BOB)
    for peers, words in (
        ([ann], "two members of one name"),
        ([bob, bob], "two members of one name"),
        ([msgspec.structs.replace(ann, name="bob")], "two members with one certificate"),
        ([bob, msgspec.structs.replace(bob, name="cyd")], "two members with one certificate"),
    ):
        with pytest.raises(InputError, match=words):
            mesh(ann, key, *peers)
