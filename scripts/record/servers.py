"""The servers of the recorded conversations.

    servers.py NAME ADDRESS PORT [--option value]    prints "ready" when it listens, runs until ended

The lab's TCP server speaks one command a line, so that each story can ask for just the segments it wants:
    GET n      n octets, then the line's end           PUT n     takes n octets, answers their checksum
    ECHO text  text                                    RESET     drops the connection by RST
    EOF        waits for the client's FIN, answers     HALF      sends FIN, then takes what still comes
    STALL ms   does not read for that long             BYE       answers and closes
"""

import signal
import socket
import struct
import sys
import threading
import time
import zlib

from endpoints import (
    IP_MTU_DISCOVER,
    IP_PMTUDISC_DONT,
    IPPROTO_MPTCP,
    LIFETIME_S,
    SO_NO_CHECK,
    TCP_FASTOPEN,
    dns_name,
    option,
    pattern,
    sign,
)


def lab_session(connection):
    try:
        lab_commands(connection)
    except ConnectionResetError:
        connection.close()  # some stories end so


def lab_commands(connection):
    stream = connection.makefile("rb")
    while line := stream.readline():
        command, _, argument = line.decode().strip().partition(" ")
        if command == "GET":
            connection.sendall(pattern(int(argument)) + b"\n")
        elif command == "PUT":
            connection.sendall(b"%08x\n" % zlib.crc32(stream.read(int(argument))))
        elif command == "ECHO":
            connection.sendall(argument.encode() + b"\n")
        elif command == "STALL":
            time.sleep(int(argument) / 1000)
        elif command == "RESET":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            break
        elif command == "EOF":
            connection.sendall(b"%d octets until your FIN\n" % len(stream.read()))
            break
        elif command == "HALF":
            connection.shutdown(socket.SHUT_WR)
            stream.read()
        elif command == "BYE":
            connection.sendall(b"bye\n")
            break
    stream.close()
    connection.close()


def smtp_session(connection):
    stream = connection.makefile("rwb")

    def say(text):
        stream.write(text.encode() + b"\r\n")
        stream.flush()

    say("220 mail.culvert.test ESMTP ready")
    for line in stream:
        verb = line.decode().strip().split(" ")[0].upper()
        if verb == "EHLO":
            say("250-mail.culvert.test greets you\r\n250-PIPELINING\r\n250 SIZE 1048576")
        elif verb == "QUIT":
            say("221 2.0.0 bye")
            break
        else:
            say("502 5.5.2 not here")
    stream.close()
    connection.close()


def greet_session(connection):
    connection.sendall(b"the time is now\r\n")
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)
    connection.close()


def serve_tcp(session):
    address, port = sys.argv[2], int(sys.argv[3])
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP if "--mptcp" in sys.argv else 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if option("rcvbuf"):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, option("rcvbuf"))
    if "--fastopen" in sys.argv:
        listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 16)
    if "--md5" in sys.argv:
        sign(listener, sys.argv[sys.argv.index("--md5") + 1])
    listener.bind((address, port))
    listener.listen(16)
    print("ready", flush=True)
    accepted = 0
    while True:
        connection, _ = listener.accept()
        accepted += 1
        if accepted == option("only"):
            listener.close()  # from now on the port refuses
        worker = threading.Thread(target=session, args=(connection,))
        worker.start()
        if accepted == option("only"):
            worker.join()
            signal.pause()


def serve_udp():
    """Answers "SIZE n [NOCHECK] [LATE ms]" with n octets; "LAST" is answered and then the port is closed."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
    server.bind((sys.argv[2], int(sys.argv[3])))
    print("ready", flush=True)
    while True:
        asked, client = server.recvfrom(65535)
        words = asked[:64].decode().split("\n")[0].split()
        server.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, int("NOCHECK" in words))
        if "LATE" in words:
            time.sleep(int(words[words.index("LATE") + 1]) / 1000)
        server.sendto(pattern(int(words[1]) if words[0] == "SIZE" else 16), client)
        if words[0] == "LAST":
            server.close()
            signal.pause()


def serve_dns():
    """A name server of one zone: A records for two names, else NXDOMAIN."""
    zone = {dns_name("www.culvert.test"): b"\x0a\x00\x00\x50", dns_name("mail.culvert.test"): b"\x0a\x00\x00\x19"}
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((sys.argv[2], int(sys.argv[3])))
    print("ready", flush=True)
    while True:
        query, client = server.recvfrom(512)
        question = query[12:]
        found = zone.get(question[:-4])
        head = query[:2] + (b"\x85\x80" if found else b"\x85\x83") + b"\0\1" + (b"\0\1" if found else b"\0\0") + b"\0" * 4
        answer = b"\xc0\x0c\0\1\0\1\0\0\x01\x2c\0\4" + found if found else b""
        server.sendto(head + question + answer, client)


SERVERS = {
    "lab": lambda: serve_tcp(lab_session),
    "smtp": lambda: serve_tcp(smtp_session),
    "greeting": lambda: serve_tcp(greet_session),
    "udp": serve_udp,
    "dns": serve_dns,
}

signal.alarm(LIFETIME_S)
SERVERS[sys.argv[1]]()
