"""Plays a validator's registry: TLS in front of a plain OCI registry, with the checks of protocol.md 1.4 and 5 in front of both.

Nothing of the miner's own code is used: sr25519 comes from py-sr25519-bindings, the ss58 address is decoded here.
Prints one JSON object per line: the address first, then each request.
"""

import argparse
import hashlib
import http.client
import http.server
import itertools
import json
import ssl
import sys
import time

import sr25519
import trustme

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
FORWARDED = ("accept", "range")
RETURNED = ("content-type", "content-range", "docker-content-digest", "etag", "location")


def public_key(address):
    number = 0
    for character in address:
        number = number * 58 + ALPHABET.index(character)
    raw = number.to_bytes(35, "big")
    checksum = hashlib.blake2b(b"SS58PRE" + raw[:33], digest_size=64).digest()[:2]
    if raw[0] != 42 or raw[33:] != checksum:
        raise ValueError("not an address of format 42")
    return raw[1:33]


def refusal(headers, registered):
    """Why the request is refused, or None."""
    hotkey, nonce, signature = (headers.get(f"X-Chutes-{name}") for name in ("Hotkey", "Nonce", "Signature"))
    if not (hotkey and nonce and signature):
        return "incomplete headers"
    if hotkey not in registered:
        return "hotkey not registered"
    if not nonce.isdigit() or abs(time.time() - int(nonce)) >= 600:
        return "nonce out of window"
    try:
        good = sr25519.verify(bytes.fromhex(signature), f"{hotkey}:{nonce}:registry".encode(), public_key(hotkey))
    except Exception:
        return "signature not readable"
    return None if good else "signature does not fit"


def handler(arguments):
    connections = itertools.count(1)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            super().setup()
            self.number = next(connections)

        def log_message(self, *_):
            pass

        def reply(self, status, headers, body):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def forward(self):
            backend = http.client.HTTPConnection(arguments.backend)
            kept = {name: self.headers[name] for name in FORWARDED if name in self.headers}
            backend.request(self.command, self.path, headers=kept)
            answer = backend.getresponse()
            body = answer.read()
            headers = [(name, value) for name, value in answer.getheaders() if name.lower() in RETURNED]
            length = answer.getheader("content-length", str(len(body)))
            self.reply(answer.status, [*headers, ("Content-Length", length)], body)
            return answer.status

        def answer(self):
            why = refusal(self.headers, {arguments.miner})
            if why is None:
                status = self.forward()
            else:
                status = 401
                body = json.dumps({"detail": why}).encode()
                self.reply(status, [("Content-Length", str(len(body)))], body)
            names = sorted(name.lower() for name in self.headers)
            told = {"method": self.command, "path": self.path, "host": self.headers["Host"], "status": status}
            sni = getattr(self.connection, "sni", None)
            print(json.dumps({**told, "why": why, "sni": sni, "headers": names, "connection": self.number}), flush=True)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    return Handler


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True, help="host name of the certificate")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--miner", required=True, help="registered hotkey (ss58)")
    parser.add_argument("--backend", required=True, help="host:port of the plain registry")
    parser.add_argument("--ca", required=True, help="where to write the certificate authority (PEM)")
    arguments = parser.parse_args()

    authority = trustme.CA()
    authority.cert_pem.write_to_path(arguments.ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(arguments.name).configure_cert(context)
    context.sni_callback = lambda connection, name, _: setattr(connection, "sni", name)

    server = http.server.ThreadingHTTPServer((arguments.host, 0), handler(arguments))
    server.daemon_threads = True
    # The handshake belongs to the connection's own thread.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(json.dumps({"port": server.server_address[1]}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
