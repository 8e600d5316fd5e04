"""What both ends of the recorded conversations share: test octets, socket options that Python does not name,
and a client's connection. Python's standard library only; Linux.
"""

import socket
import struct
import sys
import zlib

SO_NO_CHECK = 11
UDP_SEGMENT = 103
IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, IP_PMTUDISC_DONT = 10, 3, 0
TCP_FASTOPEN, MSG_FASTOPEN = 23, 0x20000000
TCP_MD5SIG = 14
IPPROTO_MPTCP = 262
LIFETIME_S = 60  # neither end outlives its case by long


def pattern(length):
    """Octets that tell their own offset: lines of 16 characters, so a capture can be read by eye."""
    return b"".join(b"octet %08d.\n" % at for at in range(0, length + 16, 16))[:length]


def option(name, default=0):
    return int(sys.argv[sys.argv.index(f"--{name}") + 1]) if f"--{name}" in sys.argv else default


def sign(endpoint, peer):
    """Asks for TCP-MD5 signatures (RFC 2385) on segments to and from an address: struct tcp_md5sig."""
    key = b"the lab's key"
    address = struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(peer)).ljust(128, b"\0")
    setting = address + struct.pack("=BBHi80s", 0, 0, len(key), 0, key)
    endpoint.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, setting)


def dns_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


class Connection:
    """A client's connection to the lab server, bound to a port of its own so that a plan can name it."""

    def __init__(self, endpoint, port, local, mptcp=False, fastopen=None, rcvbuf=0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP if mptcp else 0)
        self.socket.settimeout(30)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if rcvbuf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.socket.bind(("", local))
        if fastopen is None:
            self.socket.connect((endpoint, port))
        else:
            self.socket.settimeout(None)  # without a cookie a socket with a timeout would not wait
            self.socket.sendto(fastopen, MSG_FASTOPEN, (endpoint, port))
        self.stream = self.socket.makefile("rb")

    def send(self, octets):
        self.socket.sendall(octets)

    def line(self, expected):
        came = self.stream.readline()
        assert came == expected + b"\n", f"expected {expected!r}, received {came!r}"

    def echo(self, text):
        self.send(b"ECHO " + text + b"\n")
        self.line(text)

    def get(self, length):
        self.send(b"GET %d\n" % length)
        self.take(length)

    def take(self, length):
        assert self.stream.read(length + 1) == pattern(length) + b"\n", "the download differs"

    def put(self, length):
        octets = pattern(length)
        self.send(b"PUT %d\n" % length + octets)
        self.line(b"%08x" % zlib.crc32(octets))

    def end(self):
        """Closes after the server has: the server's FIN comes first."""
        self.send(b"BYE\n")
        self.line(b"bye")
        assert self.stream.read() == b""
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def datagram_socket(local, source="", discover=IP_PMTUDISC_DONT):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, discover)
    client.settimeout(10)
    client.bind((source, local))
    return client


def ask(client, to, words, length, answer):
    """Sends `words` filled up to `length` octets and expects `answer` octets of the pattern back."""
    client.sendto((words.encode() + b"\n").ljust(length, b"-"), to)
    assert client.recv(65535) == pattern(answer), f"the answer to {words!r} differs"
