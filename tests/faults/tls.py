"""A TLS front before the sandbox, with a certificate that can turn bad, and nothing of HTTP."""

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST: Final = "localhost"
_CHUNK: Final = 64 * 1024
_DAY: Final = timedelta(days=1)


class Certificates:
    """An authority of the test's own, which signs for `HOST`.

    Attributes:
        authority: the file that a client has to trust.
        good: a context with a valid certificate.
        expired: one whose certificate ended yesterday.
        foreign: one whose certificate an unknown authority has signed.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC)
        key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = _signed("authority", key, by="authority", with_key=key, until=now + _DAY)
        self.authority = folder / "authority.pem"
        self.authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        self.good = _context(folder / "good", key, until=now + _DAY)
        self.expired = _context(folder / "expired", key, until=now - _DAY)
        self.foreign = _context(folder / "foreign", other, until=now + _DAY)


def _context(
    path: Path, authority: ec.EllipticCurvePrivateKey, *, until: datetime
) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    signed = _signed(HOST, key, by="authority", with_key=authority, until=until)
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    by: str,
    with_key: ec.EllipticCurvePrivateKey,
    until: datetime,
) -> x509.Certificate:
    is_authority = name == by
    public = with_key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(by))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - 30 * _DAY)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(with_key, hashes.SHA256())
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class TlsFront:
    """Passes what comes over TLS on to `port` of this machine."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self._server: asyncio.Server | None = None
        self._flows: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self, context: ssl.SSLContext | None) -> None:
        """Listen with this certificate; None speaks no TLS. Connections that stand are broken."""
        await self.close()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for flow in tuple(self._flows):
            flow.cancel()
        await asyncio.gather(*self._flows, return_exceptions=True)
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flow = asyncio.current_task()
        assert flow is not None
        self._flows.add(flow)
        behind: asyncio.StreamWriter | None = None
        try:
            answers, behind = await asyncio.open_connection("127.0.0.1", self._behind)
            ways = [_copied(reader, behind), _copied(answers, writer)]
            tasks = [asyncio.ensure_future(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # broken connections are what the front is for
        finally:
            self._flows.discard(flow)
            for end in (writer, behind):
                if end is not None:
                    end.transport.abort()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
