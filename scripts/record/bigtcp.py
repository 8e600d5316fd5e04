"""Sets the largest GSO and GRO packet of an interface, for IPv4 too, by rtnetlink: older `ip` commands cannot.

    bigtcp.py INTERFACE OCTETS
"""

import socket
import struct
import sys

RTM_NEWLINK, NLM_F_REQUEST, NLM_F_ACK, NLMSG_ERROR = 16, 1, 4, 2
IFLA_GSO_MAX_SIZE, IFLA_GRO_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE, IFLA_GRO_IPV4_MAX_SIZE = 41, 58, 63, 64

index, octets = socket.if_nametoindex(sys.argv[1]), int(sys.argv[2])
kinds = (IFLA_GSO_MAX_SIZE, IFLA_GRO_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE, IFLA_GRO_IPV4_MAX_SIZE)
body = struct.pack("=BxHiII", 0, 0, index, 0, 0) + b"".join(struct.pack("=HHI", 8, kind, octets) for kind in kinds)
route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
route.settimeout(5)
route.send(struct.pack("=IHHII", 16 + len(body), RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, 1, 0) + body)
answer = route.recv(4096)
kind, error = struct.unpack_from("=4xH", answer)[0], struct.unpack_from("=i", answer, 16)[0]
if kind != NLMSG_ERROR or error != 0:
    sys.exit(f"the kernel refuses a GSO size of {octets} on {sys.argv[1]}: error {-error}")
