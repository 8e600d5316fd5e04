"""The clients of the recorded conversations: one story a case, told to the servers of servers.py.

    stories.py NAME ENDPOINT [--option value]    exits 0 when all was as expected, or fails loudly

Where the lab must change the network in the middle of a story, the story prints the step's name and waits
for a line on its input.
"""

import signal
import socket
import struct
import sys
import time

from endpoints import (
    IP_PMTUDISC_PROBE,
    LIFETIME_S,
    SO_NO_CHECK,
    UDP_SEGMENT,
    Connection,
    ask,
    datagram_socket,
    dns_name,
    option,
    pattern,
    sign,
)


def step(name):
    print(name, flush=True)
    sys.stdin.readline()


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
    for local in (41009, 41010):
        silent = socket.create_connection((endpoint, 13), 10, ("", local))
        assert silent.makefile("rb").read() == b"the time is now\r\n"
        silent.close()
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


def tell_big_tcp(endpoint):
    """Down first: the window in a SYN-ACK is not scaled, so nothing above 64 KiB can answer it."""
    connection = Connection(endpoint, 9000, 40000)
    connection.get(option("down"))
    connection.put(option("up"))
    connection.end()


def tell_icmp(endpoint):
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


def tell_options(endpoint):
    """TCP options and flags that are present, absent or odd; the lab sets the kernels in between."""
    step("plain")
    plain = Connection(endpoint, 9000, 40000)
    plain.put(3000)
    plain.end()
    step("ecn")
    marked = Connection(endpoint, 9000, 40001)
    marked.put(3000)
    marked.get(3000)
    marked.end()
    urgent = Connection(endpoint, 9000, 40002)
    urgent.socket.send(b"!", socket.MSG_OOB)  # the first octet of the stream; the server reads past it
    urgent.echo(b"after an urgent octet")
    urgent.socket.send(b"?", socket.MSG_OOB)
    urgent.end()


def tell_reuse(endpoint):
    """Four incarnations of one 5-tuple."""
    served = Connection(endpoint, 9000, 40000)
    served.echo(b"the server closes first")
    served.end()
    reset = Connection(endpoint, 9000, 40000)
    reset.echo(b"the client resets")
    reset.reset()
    eager = Connection(endpoint, 9000, 40000)
    eager.echo(b"the client closes first")
    eager.close()
    time.sleep(1.2)  # a TIME_WAIT port may be used again after a second
    last = Connection(endpoint, 9000, 40000)
    last.echo(b"the port is used again")
    last.end()


def tell_midstream(endpoint):
    early = Connection(endpoint, 9000, 40000)
    early.echo(b"before the capture")
    step("capture")
    early.echo(b"the capture begins here")
    whole = Connection(endpoint, 9000, 40001)
    whole.echo(b"a whole connection")
    early.put(3000)
    whole.end()
    early.end()


def tell_simultaneous_open(endpoint):
    """Told by both sides at once: each connects to the other's port at the same moment."""
    both = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    both.settimeout(10)
    both.bind(("", option("local")))
    time.sleep(max(0, option("at") / 1000 - time.time()))
    both.connect((endpoint, option("remote")))
    both.sendall(b"from port %d\n" % option("local"))
    assert both.recv(64) == b"from port %d\n" % option("remote")
    both.close()


def tell_plain(endpoint):
    """A little of everything, for cases about the way of capturing."""
    connection = Connection(endpoint, 9000, 40000)
    connection.put(option("up", 4000))
    connection.get(option("down", 4000))
    connection.end()
    ask(datagram_socket(40000), (endpoint, 9001), "SIZE 100", 50, 100)


def tell_md5(endpoint):
    signed = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    signed.settimeout(10)
    signed.bind(("", 40000))
    sign(signed, endpoint)
    signed.connect((endpoint, 9002))
    signed.sendall(b"ECHO signed\nBYE\n")
    assert signed.makefile("rb").read() == b"signed\nbye\n"
    signed.close()
    unsigned = Connection(endpoint, 9000, 40001)
    unsigned.echo(b"unsigned")
    unsigned.end()


signal.alarm(LIFETIME_S)
globals()[f"tell_{sys.argv[1].replace('-', '_')}"](sys.argv[2])
