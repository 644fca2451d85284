"""``python -m ops.docker.certificates DIRECTORY NAME=HOST,… …``: an authority and its certificates.

Makes what is missing or soon expires, and leaves the rest. In the directory:

    authority/ca.pem, ca.key     the authority; its key leaves this directory nowhere
    trust/sins-ca.pem            whom to trust: this authority alone
    trust/ca-certificates.crt    the same, and those the system trusts
    NAME/cert.pem, key.pem       a server, for the hosts it is named by
    NAME/keystore.pem            both in one, as Kafka wants them
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS: Final = 3650
SERVER_DAYS: Final = 397  # what browsers accept at most
LEFT_DAYS: Final = 30
SYSTEM: Final = Path("/etc/ssl/certs/ca-certificates.crt")

Authority = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def main(arguments: list[str]) -> int:
    """Make what is missing; print until when each certificate holds."""
    directory, *named = arguments
    now = datetime.now(UTC)  # noqa: TID251 - the process's own time
    authority = ensure_authority(Path(directory), now)
    for text in named:
        name, _, hosts = text.partition("=")
        certificate = ensure_server(Path(directory), authority, name, hosts.split(","), now)
        print(f"{name}: until {certificate.not_valid_after_utc:%Y-%m-%d}")
    return 0


def ensure_authority(directory: Path, now: datetime) -> Authority:
    """Return the authority in the directory; make it if there is none."""
    folder = directory / "authority"
    if (folder / "ca.pem").exists():
        certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        key = load_pem_private_key((folder / "ca.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("SINS, this installation's own authority")
        certificate = (
            _builder(name, name, key, now, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        _write(folder / "ca.key", _pem(key), 0o400)
        _write(folder / "ca.pem", certificate.public_bytes(Encoding.PEM), 0o444)
    known = SYSTEM.read_bytes() if SYSTEM.exists() else b""
    own = certificate.public_bytes(Encoding.PEM)
    _write(directory / "trust" / "sins-ca.pem", own, 0o444)
    _write(directory / "trust" / "ca-certificates.crt", own + known.replace(own, b""), 0o444)
    return certificate, key


def ensure_server(
    directory: Path, authority: Authority, name: str, hosts: Sequence[str], now: datetime
) -> x509.Certificate:
    """Return a server's certificate; made anew if it is missing, of other hosts, or runs out."""
    folder, wanted = directory / name, _alternatives(hosts)
    if (folder / "keystore.pem").exists():
        old = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
        found = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if found == wanted and old.not_valid_after_utc > now + timedelta(days=LEFT_DAYS):
            return old
    issuer, issuer_key = authority
    key = ec.generate_private_key(ec.SECP256R1())
    # Brokers show theirs to each other as well.
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(_name(name), issuer.subject, key, now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(wanted, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    text = certificate.public_bytes(Encoding.PEM)
    # For the group: the server's user is another one, of this group.
    _write(folder / "key.pem", _pem(key), 0o440)
    _write(folder / "cert.pem", text, 0o444)
    _write(folder / "keystore.pem", _pem(key) + text, 0o440)
    return certificate


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks differ
        .not_valid_after(now + timedelta(days=days))
    )


def _alternatives(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(host) for host in dict.fromkeys(hosts)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # whatever the umask
        file.write(content)
    scratch.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
