"""The two ends of the recorded conversations: small servers, and one client story a case.

    peers.py serve-NAME ADDRESS PORT [--option value]    prints "ready" when it listens, runs until ended
    peers.py NAME ENDPOINT [PORT]                        tells its story and exits 0, or fails loudly

The lab's TCP server speaks one command a line, so that each story can ask for just the segments it wants:
    GET n      n octets, then the line's end           PUT n     takes n octets, answers their checksum
    ECHO text  text                                    RESET     drops the connection by RST
    EOF        waits for the client's FIN, answers     HALF      sends FIN, then takes what still comes
    STALL ms   does not read for that long             BYE       answers and closes
Everything checks what it receives. Python's standard library only; Linux.
"""

import signal
import socket
import struct
import sys
import threading
import time
import zlib

SO_NO_CHECK = 11
UDP_SEGMENT = 103
IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, IP_PMTUDISC_DONT = 10, 3, 0
TCP_FASTOPEN, MSG_FASTOPEN = 23, 0x20000000
IPPROTO_MPTCP = 262
LIFETIME_S = 60


def pattern(length):
    """Octets that tell their own offset: lines of 16 characters, so a capture can be read by eye."""
    return b"".join(b"octet %08d.\n" % at for at in range(0, length + 16, 16))[:length]


def option(name, default=0):
    return int(sys.argv[sys.argv.index(f"--{name}") + 1]) if f"--{name}" in sys.argv else default


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


def dns_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


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


def tell_server_first(endpoint):
    mail = socket.create_connection((endpoint, 25), 10, ("", 40000))
    stream = mail.makefile("rwb")

    def expect(code):
        while True:
            line = stream.readline()
            assert line.startswith(code), f"expected {code!r}, received {line!r}"
            if line[3:4] == b" ":
                return

    expect(b"220")
    for command, code in ((b"EHLO client.culvert.test", b"250"), (b"QUIT", b"221")):
        stream.write(command + b"\r\n")
        stream.flush()
        expect(code)
    assert stream.read() == b""
    mail.close()
    silent = socket.create_connection((endpoint, 13), 10, ("", 40001))
    assert silent.makefile("rb").read() == b"the time is now\r\n"
    silent.close()


def tell_loss_reorder(endpoint):
    def open_(local):
        return Connection(endpoint, 9000, local)

    idle = open_(40001)  # its handshake ACK is lost: the server repeats the SYN-ACK while the client says nothing
    time.sleep(1.4)
    idle.echo(b"after the second handshake ACK")
    idle.end()
    first = open_(40002)  # its first data is lost
    first.echo(b"the first words")
    first.end()
    both = open_(40003)  # the handshake ACK is lost and the data carries the ACK
    both.echo(b"words that complete the handshake")
    both.end()
    again = open_(40004)  # the SYN-ACK is lost
    again.echo(b"after the second SYN")
    again.end()
    down = open_(40005)
    down.get(option("down"))
    down.end()
    up = open_(40006)
    up.put(option("up"))
    up.end()


def tell_gateway_view(endpoint):
    def open_(local):
        return Connection(endpoint, 9000, local)

    idle = open_(41001)
    time.sleep(1.4)
    idle.echo(b"idle until the SYN-ACK came twice")
    idle.end()
    missing = open_(41002)
    missing.echo(b"no handshake ACK before these words")
    missing.end()
    swapped = open_(41003)
    swapped.put(5000)
    swapped.end()
    twice = open_(41004)
    twice.put(3000)
    twice.end()
    bare = open_(41005)
    bare.close()
    again = open_(41006)
    again.echo(b"after the second SYN-ACK")
    again.end()
    down = open_(41007)
    down.get(option("down"))
    down.end()
    up = open_(41008)
    up.put(option("up"))
    up.end()


def tell_fragments(endpoint):
    client = datagram_socket(40000)
    for length, answer in ((3000, 100), (100, 3000), (5000, 8000), (8000, 5000), (4001, 3003), (1473, 1473)):
        ask(client, (endpoint, 9000), f"SIZE {answer}", length, answer)
    client.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    ask(client, (endpoint, 9000), "SIZE 64 NOCHECK", 64, 64)
    ask(client, (endpoint, 9000), "SIZE 4000 NOCHECK", 3500, 4000)
    client.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 0)
    client.sendto(b"SIZE 10\n".ljust(4000, b"-"), (endpoint, 9000))  # loses a fragment: no answer is due
    time.sleep(0.1)


def tell_fragments_tcp(endpoint):
    upload = Connection(endpoint, 9000, 40000)
    upload.put(9000)
    upload.get(9000)
    upload.end()


def tell_tfo(endpoint):
    for local, text in ((40000, b"asks for a cookie"), (40001, b"data in the SYN"), (40002, pattern(600)[:-1].replace(b"\n", b" "))):
        connection = Connection(endpoint, 9000, local, fastopen=b"ECHO " + text + b"\n")
        connection.line(text)
        connection.end()


def tell_mptcp(endpoint):
    connection = Connection(endpoint, 9000, 40000, mptcp=True)
    connection.echo(b"over one subflow")
    connection.put(4000)
    connection.get(4000)
    connection.end()
    plain = Connection(endpoint, 9000, 40001)
    plain.echo(b"plain TCP to the same port")
    plain.end()


def tell_gso(endpoint):
    connection = Connection(endpoint, 9000, 40000)
    connection.put(option("up"))
    connection.get(option("down"))
    connection.end()
    client = datagram_socket(40000)
    client.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1200)
    client.sendto(b"SIZE 16\n".ljust(1200, b"-") * 5, (endpoint, 9001))
    for _ in range(5):
        assert client.recv(2048) == pattern(16)


def tell_bulk(endpoint):
    connection = Connection(endpoint, 9000, 40000)
    connection.put(option("up"))
    connection.end()


def tell_icmp(endpoint):
    """Waits for a line on its input where the lab must change the network first."""

    def step(name):
        print(name, flush=True)
        sys.stdin.readline()

    def refused(client):
        try:
            client.recv(64)
        except OSError as why:
            return why.strerror
        raise AssertionError("an ICMP error was due")

    upload = Connection(endpoint, 9000, 40005)  # before any UDP error: the client remembers the path's MTU
    upload.put(4000)
    upload.end()
    closed = datagram_socket(40000)
    closed.connect((endpoint, 9999))
    closed.send(b"nobody listens here")
    assert refused(closed) == "Connection refused"
    flow = datagram_socket(40001)
    flow.connect((endpoint, 9001))
    ask(flow, (endpoint, 9001), "SIZE 32", 16, 32)
    ask(flow, (endpoint, 9001), "LAST", 16, 16)
    time.sleep(0.05)
    flow.send(b"the port has closed since")
    assert refused(flow) == "Connection refused"
    hasty = datagram_socket(40002)
    hasty.sendto(b"SIZE 200 LATE 150\n", (endpoint, 9002))
    hasty.close()  # the late answer meets a closed port: the error goes from client to server
    time.sleep(0.3)
    big = datagram_socket(40003, discover=IP_PMTUDISC_PROBE)
    ask(big, (endpoint, 9002), "SIZE 32", 16, 32)
    big.sendto(b"x" * 1400, (endpoint, 9002))  # DF, too big for the narrow link: fragmentation needed
    time.sleep(0.1)
    short = datagram_socket(40004)
    ask(short, (endpoint, 9002), "SIZE 32", 16, 32)
    for hops in (2, 1):
        short.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
        short.sendto(b"SIZE 32 with %d to live\n" % hops, (endpoint, 9002))
        time.sleep(0.1)
    cut = Connection(endpoint, 9000, 40006)
    cut.echo(b"the way is open")
    step("block")
    cut.send(b"ECHO the way is shut\n")
    time.sleep(0.1)
    lost = datagram_socket(40007)
    lost.sendto(b"SIZE 32\n", (endpoint, 9002))
    time.sleep(0.1)
    step("unblock")
    cut.line(b"the way is shut")
    cut.end()


def tell_reset(endpoint):
    for local, story in ((40000, "refused"), (40001, "at once"), (40002, "after data"), (40003, "by the server")):
        if story == "refused":
            try:
                Connection(endpoint, 9999, local)
            except ConnectionRefusedError:
                continue
            raise AssertionError("the port was to refuse")
        connection = Connection(endpoint, 9000, local)
        if story == "at once":
            connection.reset()
        elif story == "after data":
            connection.echo(b"then the client resets")
            connection.reset()
        else:
            connection.send(b"ECHO then the server resets\nRESET\n")
            connection.line(b"then the server resets")
            try:
                connection.stream.read()
            except ConnectionResetError:
                connection.close()
                continue
            raise AssertionError("a reset was due")
    early = Connection(endpoint, 9000, 40004)
    early.send(b"STALL 50\nEOF\nhalf of the talk is over\n")
    early.socket.shutdown(socket.SHUT_WR)
    early.line(b"25 octets until your FIN")
    assert early.stream.read() == b""
    early.close()
    late = Connection(endpoint, 9000, 40005)
    late.send(b"HALF\n")
    assert late.stream.read() == b""
    late.send(b"PUT 2000\n" + pattern(1000))
    time.sleep(0.05)
    late.close()
    silent = Connection(endpoint, 9000, 40006)
    silent.close()
    unread = Connection(endpoint, 9000, 40007)
    unread.send(b"GET 3000\n")
    time.sleep(0.1)
    unread.close()  # unread octets: the kernel resets instead of closing
    time.sleep(0.1)
    last = Connection(endpoint, 9002, 40008)
    last.end()
    try:
        Connection(endpoint, 9002, 40009)
    except ConnectionRefusedError:
        return
    raise AssertionError("the port was to refuse once its listener had closed")


def tell_keepalive(endpoint):
    def probing(local):
        connection = Connection(endpoint, 9000, local)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
            connection.socket.setsockopt(socket.IPPROTO_TCP, name, 1)
        return connection

    idle = probing(40000)
    time.sleep(2.6)  # probes before any data: at the client's ISN itself
    idle.echo(b"the first words after two probes")
    time.sleep(1.6)
    idle.end()
    stalled = Connection(endpoint, 9001, 40001)  # the server's small buffer fills: the client probes its window
    stalled.send(b"STALL 1500\n")
    time.sleep(0.1)
    stalled.put(9000)
    stalled.end()
    lazy = Connection(endpoint, 9000, 40002, rcvbuf=2048)  # the client's small buffer fills: the server probes
    lazy.send(b"GET 9000\n")
    time.sleep(1.5)
    lazy.take(9000)
    lazy.end()


def tell_dns(endpoint):
    queries = (("10.0.0.5", 53, "www"), ("10.0.0.6", 53, "mail"), ("10.0.0.5", 5353, "mail"), ("10.0.0.6", 5353, "nobody"))
    for round_ in range(2):
        clients = []
        for identity, (source, port, name) in enumerate(queries, 1 + round_ * 16):
            client = datagram_socket(40000 + port, source)
            question = dns_name(f"{name}.culvert.test") + b"\0\1\0\1"
            client.sendto(struct.pack("!HHHHHH", identity, 0x0100, 1, 0, 0, 0) + question, (endpoint, port))
            clients.append((client, identity))
        for client, identity in clients:
            assert client.recv(512)[:2] == struct.pack("!H", identity)
            client.close()


def tell_overlap(endpoint):
    connection = Connection(endpoint, 9000, 40000)
    connection.echo(b"from the network " + sys.argv[3].encode())
    connection.put(2000)
    time.sleep(0.2)
    connection.get(2000)
    connection.end()
    client = datagram_socket(40000)
    ask(client, (endpoint, 9001), f"SIZE 48 {sys.argv[3]}", 32, 48)


def main():
    signal.alarm(LIFETIME_S)
    servers = {
        "serve-lab": lambda: serve_tcp(lab_session),
        "serve-smtp": lambda: serve_tcp(smtp_session),
        "serve-greeting": lambda: serve_tcp(greet_session),
        "serve-udp": serve_udp,
        "serve-dns": serve_dns,
    }
    name = sys.argv[1]
    if name in servers:
        servers[name]()
    else:
        globals()[f"tell_{name.replace('-', '_')}"](sys.argv[2])


main()
