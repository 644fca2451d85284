"""What compose's set-up steps make: secrets, certificates, databases; what health checks say."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ops.databases import DatabaseUrls
from ops.docker import certificates, health, secrets
from ops.docker import database as database_step
from ops.ports import free_port
from ops.postgres import Cluster
from ops.tests.compose import CHECKOUT

pytestmark = pytest.mark.feature("R06")

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TWO = {"loc1": "https://nginx:8001", "loc2": "https://nginx:8002"}


def texts(directory: Path) -> dict[str, str]:
    """Return what all files hold."""
    return {
        str(path.relative_to(directory)): path.read_text(encoding="ascii")
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_secrets_stay_and_another_location_joins(tmp_path: Path) -> None:
    secrets.make(tmp_path, TWO)
    first = texts(tmp_path)
    secrets.make(tmp_path, {**TWO, "loc4": "https://four.example.org"})
    second = texts(tmp_path)
    changed = {name for name in first if second[name] != first[name]}
    assert changed == {"loc1/peers", "loc2/peers", "kafka_users"}
    assert set(json.loads(second["loc1/peers"])) == {"loc2", "loc4"}
    assert json.loads(second["loc1/peers"])["loc4"]["url"] == "https://four.example.org"
    (tmp_path / "loc1" / "secret_key").unlink()
    secrets.make(tmp_path, TWO)
    assert texts(tmp_path)["loc1/secret_key"] != first["loc1/secret_key"]


def test_secrets_are_one_locations_own(tmp_path: Path) -> None:
    secrets.make(tmp_path, TWO)
    one, two = (
        {name.partition("/")[2]: text for name, text in texts(tmp_path).items() if name[:4] == loc}
        for loc in TWO
    )
    shared = {name for name in one if one[name] == two[name]}
    assert shared == {"elasticsearch_host"}
    seed = base64.b64decode(two["location_key"])
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    assert json.loads(one["peers"])["loc2"]["public_key"] == base64.b64encode(public).decode()
    assert json.loads(one["kafka_security"])["sasl.password"] == one["kafka"]


def test_secrets_are_for_their_owner_and_containers(tmp_path: Path) -> None:
    """The directory keeps others of this machine out; the files are shown to other users."""
    directory = tmp_path / "new" / "secrets"
    code = (
        "import os, sys; os.umask(0o077);from ops.docker import secrets; secrets.main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, directory],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"48 files in {directory} for loc1, loc2, loc3.\n"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in directory.rglob("*") if path.is_file()}
    assert modes == {0o444}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates as the set-up container makes them."""
    directory = tmp_path_factory.mktemp("certificates")
    named = ["nginx=nginx,localhost,127.0.0.1,::1,localhost", "kafka=kafka"]
    assert certificates.main([str(directory), *named]) == 0
    return directory


def test_certificates_are_what_servers_and_clients_take(made: Path) -> None:
    trust = ssl.create_default_context(cafile=str(made / "trust" / "sins-ca.pem"))
    trust.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(made / "kafka" / "keystore.pem")
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    for name, is_named in (("kafka", True), ("elsewhere", False)):
        client = trust.wrap_bio(inside, outside, server_hostname=name)
        answering = server.wrap_bio(outside, inside, server_side=True)
        assert handshake(client, answering) is is_named
        inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()


def handshake(*ends: ssl.SSLObject) -> bool:
    """Return whether both ends agree."""
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return True


def test_private_keys_are_private(made: Path) -> None:
    modes = {
        str(path.relative_to(made)): stat.S_IMODE(path.stat().st_mode)
        for path in made.rglob("*")
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes()
    }
    assert modes.pop("authority/ca.key") == 0o400
    assert set(modes.values()) == {0o440}
    assert not [name for name in modes if name.startswith("trust/")]


def test_authority_signs_servers_and_no_other_authority(made: Path) -> None:
    authority = x509.load_pem_x509_certificate((made / "authority" / "ca.pem").read_bytes())
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    bundle = (made / "trust" / "ca-certificates.crt").read_bytes()
    assert bundle.startswith((made / "trust" / "sins-ca.pem").read_bytes())


def test_certificates_stay_until_they_run_out_or_are_of_others(tmp_path: Path) -> None:
    authority = certificates.ensure_authority(tmp_path, NOW)
    assert certificates.ensure_authority(tmp_path, NOW)[0] == authority[0]

    def serial(when: datetime, *hosts: str) -> int:
        made = certificates.ensure_server(tmp_path, authority, "nginx", hosts, when)
        return made.serial_number

    first = serial(NOW, "nginx", "127.0.0.1")
    assert serial(NOW + timedelta(days=300), "nginx", "127.0.0.1") == first
    second = serial(NOW + timedelta(days=380), "nginx", "127.0.0.1")
    assert second != first
    assert serial(NOW + timedelta(days=380), "nginx", "127.0.0.1", "crm.example.org") != second


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path / "postgres", free_port(), is_durable=False)
    cluster.create()
    cluster.start()
    yield cluster
    cluster.destroy()


def prepare_database(cluster: Cluster, folder: Path, password: str) -> DatabaseUrls:
    """Run the step as its container does."""
    place = f"127.0.0.1:{cluster.port}/sins"
    urls = DatabaseUrls(f"postgresql://sins_app:{password}@{place}", f"postgresql://o%40:x@{place}")
    given = {
        "SUPERUSER_URL": cluster.superuser_url(),
        "DATABASE_URL": urls.application,
        "DATABASE_OWNER_URL": urls.owner,
    }
    for name, url in given.items():
        (folder / name).write_text(f"{url}\n", encoding="ascii")
    with pytest.MonkeyPatch.context() as patch:
        for name in given:
            patch.setenv(f"{name}_FILE", str(folder / name))
        assert database_step.main() == 0
    return urls


def test_database_step_may_be_repeated_and_changes_passwords(
    cluster: Cluster, tmp_path: Path
) -> None:
    first = prepare_database(cluster, tmp_path, "first")
    with psycopg.connect(first.owner) as owner:
        owner.execute("CREATE TABLE kept ()")
    second = prepare_database(cluster, tmp_path, "second")
    with psycopg.connect(second.application) as application:
        found = application.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert found == (False, False, False)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            application.execute("CREATE TABLE mine ()")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(first.application)


def test_health_of_a_database(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "url").write_text(cluster.superuser_url(), encoding="ascii")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    assert health.main(["database"]) == 0
    cluster.stop()
    assert health.main(["database"]) == 1


@pytest.mark.parametrize(("status", "code"), [("200 OK", 0), ("503 No", 1), (None, 1)])
def test_health_of_a_server(status: str | None, code: int) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{server.getsockname()[1]}/readyz"
    if status is None:
        server.close()
        assert health.main([address]) == code
        return

    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    with server:
        thread = threading.Thread(target=answer)
        thread.start()
        assert health.main([address]) == code
        thread.join()


def test_set_up_steps_are_those_compose_names() -> None:
    text = (CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8")
    text += (CHECKOUT / "docker-compose.production.yml").read_text(encoding="utf-8")
    text += (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
    text += (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"ops\.docker\.(\w+)", text))
    files = {path.stem for path in (CHECKOUT / "ops" / "docker").glob("[a-z]*.py")}
    assert named == files
