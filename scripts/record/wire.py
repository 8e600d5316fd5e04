"""A faulty wire: forwards frames between two interfaces and loses, repeats, delays and shuffles some.

    wire.py LEFT RIGHT PLAN

Theory of operation. One raw socket a side reads whole frames; each becomes zero or more entries in a
queue ordered by due time, and the loop sends what is due. PLAN is JSON:

    seed      seed of the random choices (one generator a direction)
    delayMs   delay of every frame, each way
    a2b, b2a  chances from 0 to 1 of frames with a TCP payload, or a pure ACK, left to right or right to left:
              loss, duplicate, late (by lateMs); for fragments: shuffle, the chance that the fragments of a
              datagram leave in random order
    script    deliberate faults, each { direction, port, kind, action, times, skip, ms }: frames of the given
              kind to or from that client port; the first `skip` ones pass, the next `times` ones are hit.
              kind: syn, syn-ack, ack (no payload, not SYN, FIN or RST), data, fin, fragment
              action: drop, duplicate, late (by ms)

The random faults leave SYNs and the frames that a script hits alone, so that a plan's story stays in order.
Python's standard library only; Linux.
"""

import heapq
import json
import random
import select
import signal
import socket
import struct
import sys
import time

ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
FIN, SYN, RST, ACK = 1, 2, 4, 16
LIFETIME_S = 120  # a wire never outlives its case by long


def attach(interface):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    raw.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    raw.bind((interface, 0))
    return raw


def classify(frame):
    """(kind, source port, destination port, datagram id or None) of an Ethernet frame; kind is '' if of no interest."""
    if len(frame) < 34 or frame[12:14] != b"\x08\x00":
        return "", 0, 0, None
    header = (frame[14] & 15) * 4
    length, identity, fragment = struct.unpack_from("!HHH", frame, 16)
    if fragment & 0x3FFF:
        return "fragment", 0, 0, identity
    if frame[23] != socket.IPPROTO_TCP:
        return "", 0, 0, None
    at = 14 + header
    source, destination = struct.unpack_from("!HH", frame, at)
    flags = frame[at + 13]
    payload = length - header - (frame[at + 12] >> 4) * 4
    if flags & SYN:
        kind = "syn-ack" if flags & ACK else "syn"
    elif flags & RST:
        kind = "rst"
    elif payload > 0:
        kind = "data"
    else:
        kind = "fin" if flags & FIN else "ack"
    return kind, source, destination, None


class Direction:
    def __init__(self, name, out, plan):
        self.name, self.out = name, out
        self.random = random.Random(f"{plan['seed']} {name}")
        self.chances = plan.get(name, {})
        self.delay = plan.get("delayMs", 1) / 1000
        self.script = [dict(step) for step in plan.get("script", []) if step["direction"] == name]
        self.datagrams = {}

    def chance(self, key):
        return self.random.random() < self.chances.get(key, 0)

    def scripted(self, kind, ports):
        for step in self.script:
            if step["kind"] == kind and (step.get("port") is None or step["port"] in ports):
                if step.get("skip", 0) > 0:
                    step["skip"] -= 1
                elif step.get("times", 1) > 0:
                    step["times"] = step.get("times", 1) - 1
                    return step
        return None

    def deliveries(self, frame):
        """(delay in seconds, frame) for each frame that leaves because this one came."""
        kind, source, destination, datagram = classify(frame)
        step = self.scripted(kind, (source, destination))
        if step is not None:
            if step["action"] == "drop":
                return []
            if step["action"] == "duplicate":
                return [(self.delay, frame), (self.delay, frame)]
            return [(self.delay + step["ms"] / 1000, frame)]
        if datagram is not None and "shuffle" in self.chances:
            return self.fragments(frame, datagram)
        if kind not in ("data", "ack"):
            return [(self.delay, frame)]
        if self.chance("loss"):
            return []
        late = self.chances.get("lateMs", 5) / 1000 if self.chance("late") else 0
        first = (self.delay + late, frame)
        return [first, (self.delay + 0.001, frame)] if self.chance("duplicate") else [first]

    def fragments(self, frame, datagram):
        """Holds the fragments of a datagram until its last one, then lets them go, perhaps in another order."""
        held = self.datagrams.setdefault(datagram, [])
        held.append(frame)
        if frame[20] & 0x20:
            return []
        del self.datagrams[datagram]
        if self.chance("shuffle"):
            before = list(held)
            while held == before:
                self.random.shuffle(held)
        return [(self.delay, one) for one in held]


def main():
    left, right, plan = attach(sys.argv[1]), attach(sys.argv[2]), json.loads(sys.argv[3])
    ways = {left: Direction("a2b", right, plan), right: Direction("b2a", left, plan)}
    signal.alarm(LIFETIME_S)
    queue, count = [], 0
    print("ready", flush=True)
    while True:
        wait = max(0, queue[0][0] - time.monotonic()) if queue else None
        for came in select.select([left, right], [], [], wait)[0]:
            frame = came.recv(65536)
            for delay, out in ways[came].deliveries(frame):
                count += 1  # keeps frames of one due time in order
                heapq.heappush(queue, (time.monotonic() + delay, count, ways[came].out, out))
        while queue and queue[0][0] <= time.monotonic():
            _, _, out, frame = heapq.heappop(queue)
            out.send(frame)


main()
