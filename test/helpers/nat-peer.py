"""The two ends of masqueraded traffic.

  nat-peer.py serve PORT ADDRESS...             answers TCP and UDP with the address and port that it sees; says "ready"
  nat-peer.py ask PORT QUESTION...              each PROTOCOL,ADDRESS[,SECONDS]; prints what the other side saw as JSON, a
                                                line for each question; of ICMP [] means that an answer came; null: none
                                                came in that time
  nat-peer.py talk PORT ADDRESS                 for each line of input a datagram, all from one socket; prints as ask does
  nat-peer.py try SECONDS QUESTION...           each PROTOCOL,ADDRESS,PORT; prints the same, or "refused", or "silent"
"""

import json
import os
import select
import socket
import struct
import sys

TIMEOUT = 20


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(port, addresses):
    tcp, udp = [], []
    for address in addresses:
        for kind, sockets in ((socket.SOCK_STREAM, tcp), (socket.SOCK_DGRAM, udp)):
            one = socket.socket(family_of(address), kind)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((address, port))
            if kind == socket.SOCK_STREAM:
                one.listen(64)
            sockets.append(one)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([*tcp, *udp, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        for one in ready:
            if one in tcp:
                connection, peer = one.accept()
                connection.sendall(json.dumps(peer[:2]).encode())
                connection.close()
            else:
                _, peer = one.recvfrom(100)
                one.sendto(json.dumps(peer[:2]).encode(), peer)


def ask_icmp(address, seconds):
    ipv6 = family_of(address) == socket.AF_INET6
    protocol = socket.IPPROTO_ICMPV6 if ipv6 else socket.IPPROTO_ICMP
    one = socket.socket(family_of(address), socket.SOCK_RAW, protocol)
    one.settimeout(seconds)
    kind, answer = (128, 129) if ipv6 else (8, 0)
    body = struct.pack("!HH", os.getpid() & 0xFFFF, 1)
    # Of IPv6 the kernel computes the checksum; that of IPv4 covers nothing but these words.
    total = (kind << 8) + sum(struct.unpack("!HH", body))
    checksum = 0 if ipv6 else ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    one.sendto(struct.pack("!BBH", kind, 0, checksum) + body, (address, 0))
    while True:
        message, peer = one.recvfrom(1000)
        message = message if ipv6 else message[20:]
        if message[0] == answer and message[4:8] == body and peer[0] == address:
            return []


def ask(protocol, address, port, seconds):
    if protocol == "icmp":
        return ask_icmp(address, seconds)
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family_of(address), kind) as one:
        one.settimeout(seconds)
        one.connect((address, port))
        if protocol == "udp":
            one.send(b"x")
        return json.loads(one.recv(100))


def talk(address, port):
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as one:
        one.settimeout(TIMEOUT)
        one.connect((address, port))
        for _ in sys.stdin:
            one.send(b"x")
            print(one.recv(100).decode(), flush=True)


def tried(question, seconds):
    protocol, address, port = question.split(",")
    try:
        return ask(protocol, address, int(port), seconds)
    except ConnectionRefusedError:
        return "refused"
    # A real server that answers past the director: the client resets that, and its own connection times out.
    except (TimeoutError, socket.timeout):
        return "silent"


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]), sys.argv[3:])
elif sys.argv[1] == "talk":
    talk(sys.argv[3], int(sys.argv[2]))
elif sys.argv[1] == "try":
    for question in sys.argv[3:]:
        print(json.dumps(tried(question, float(sys.argv[2]))), flush=True)
else:
    for question in sys.argv[3:]:
        protocol, address, *seconds = question.split(",")
        try:
            seen = ask(protocol, address, int(sys.argv[2]), float(seconds[0]) if seconds else TIMEOUT)
        except TimeoutError:
            seen = None
        print(json.dumps(seen), flush=True)
