# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

"""Clients that are not Asio: curl, s_client of OpenSSL, and WebSocket by hand. Each check raises
AssertionError with what it saw."""

import base64
import hashlib
import os
import socket
import ssl
import struct
import subprocess

ADDRESS = "127.0.0.1"
PATIENCE_S = 20


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def curl(*arguments):
    run = subprocess.run(["curl", "-sk", "--max-time", str(PATIENCE_S), *arguments],
                         capture_output=True)
    expect(run.returncode == 0, f"curl {' '.join(arguments)}: status {run.returncode}")
    return run.stdout


def get_files(scheme, port, root, reuses=True):
    """Files are whole, connections are reused if so asked, and errors are answered."""
    what = ("small.txt", "large.bin")
    base = f"{scheme}://{ADDRESS}:{port}/"
    for name in what:
        expect(curl(base + name) == (root / name).read_bytes(), f"{name} differs")
    answered = curl("-o", "/dev/null", "-w", "%{http_code}", base + "absent")
    expect(answered == b"404", f"absent file: {answered}")
    expect(b"200" in curl("-I", base + what[0]).splitlines()[0], "HEAD")
    if reuses:
        connects = curl("-o", "/dev/null", base + what[0], "-o", "/dev/null", base + what[0], "-w",
                        "%{num_connects} ")
        expect(connects.split() == [b"1", b"0"], f"connections of two requests: {connects}")
    posted = curl("-o", "/dev/null", "-w", "%{http_code}", "-d", "x", base + what[0])
    expect(posted == b"400", f"POST: {posted}")


def s_client(port, request=b"GET /small.txt HTTP/1.0\r\n\r\n"):
    """A TLS client that shuts down in good order."""
    run = subprocess.run(["openssl", "s_client", "-quiet", "-connect", f"{ADDRESS}:{port}"],
                         input=request, capture_output=True, timeout=PATIENCE_S)
    expect(b"small file" in run.stdout, f"s_client: {run.stdout[:80]} {run.stderr[-200:]}")


class WebSocket:
    """One connection: its handshake, and frames in both directions."""

    def __init__(self, port, tls=False):
        stream = socket.create_connection((ADDRESS, port), PATIENCE_S)
        if tls:
            settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            settings.check_hostname = False
            settings.verify_mode = ssl.CERT_NONE
            stream = settings.wrap_socket(stream)
        self.stream = stream
        self.input = stream.makefile("rb")
        key = base64.b64encode(os.urandom(16))
        stream.sendall(b"GET / HTTP/1.1\r\nHost: example\r\nUpgrade: websocket\r\n"
                       b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       b"Sec-WebSocket-Key: " + key + b"\r\n\r\n")
        head = b"".join(iter(self.input.readline, b"\r\n"))
        expect(b" 101 " in head.splitlines()[0], f"upgrade: {head[:80]}")
        guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        expect(base64.b64encode(hashlib.sha1(key + guid).digest()) in head, "accept key")

    def send(self, opcode, payload, final=True):
        mask = os.urandom(4)
        length = len(payload)
        head = bytes([opcode | (0x80 if final else 0)])
        if length < 126:
            head += bytes([0x80 | length])
        elif length < 1 << 16:
            head += struct.pack("!BH", 0x80 | 126, length)
        else:
            head += struct.pack("!BQ", 0x80 | 127, length)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self.stream.sendall(head + mask + masked)

    def receive(self):
        """Opcode and payload of the next message; its parts joined."""
        kind, payload = 0, b""
        while True:
            first, second = self.input.read(2)
            length = second & 0x7F
            if length == 126:
                length, = struct.unpack("!H", self.input.read(2))
            elif length == 127:
                length, = struct.unpack("!Q", self.input.read(8))
            payload += self.input.read(length)
            kind = kind or first & 0x0F
            if first & 0x80:
                return kind, payload

    def close(self):
        self.send(8, struct.pack("!H", 1000))
        kind, payload = self.receive()
        expect(kind == 8, f"close answered by {kind}")
        expect(payload[:2] == struct.pack("!H", 1000), f"close code {payload[:2]}")
        self.input.close()
        self.stream.close()


def converse(port, tls=False):
    """Messages of all sizes, in parts and with a ping between them, come back as they were."""
    connection = WebSocket(port, tls)
    for size in (1, 125, 126, 65535, 65536, 300_000):
        message = b"m" * (size - 1) + b"!"
        connection.send(1, message)
        answer = connection.receive()
        expect(answer == (1, message), f"{size} bytes: {answer[0]}, {len(answer[1])} bytes")
    connection.send(1, b"first ", final=False)
    connection.send(9, b"ping")
    connection.send(0, b"second")
    answers = sorted([connection.receive(), connection.receive()])
    expect(answers == [(1, b"first second"), (10, b"ping")], f"in parts: {answers}")
    connection.close()
