"""Telepath clients that cost less than any server: blocking sockets for one link, epoll for several. They know of the protocol only what a
call takes: the request is encoded once, and every answer must be the same bytes as the first.

First line in: a `Target`; each further line is a phase {"kind": "calls", "durationMs"}, answered by a `CallsResult`, as telepath-load.ts
has them.
"""

import itertools
import json
import math
import os
import select
import socket
import ssl
import sys
import time

import msgpack

TIMED_OF = 16
FLOOR_MS = 0.001
STEP = math.log(1.02)
CHUNK = 65536


class Histogram(dict):
    """As histogram.ts counts."""

    def add(self, seconds):
        bucket = max(0, math.ceil(math.log(seconds * 1000 / FLOOR_MS) / STEP))
        self[bucket] = self.get(bucket, 0) + 1


class Clients:
    def __init__(self, target):
        self.target = target
        self.context = self.tls_context(target.get("tls"))
        self.control = self.connected()
        self.requests = self.encoded_calls(self.greeted())
        self.next_request = itertools.cycle(self.requests).__next__
        self.socks = [self.connected() for _ in range(target["links"])]
        self.answer = self.first_answer(self.socks[0])
        self.buffer = bytearray(CHUNK)

    def tls_context(self, tls):
        if tls is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(tls["ca"])
        context.load_cert_chain(tls["cert"], tls["key"])
        return context

    def connected(self):
        sock = socket.create_connection((self.target["host"], self.target["port"]))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is None:
            return sock
        return self.context.wrap_socket(sock, server_hostname=self.target["tls"]["hostname"])

    def greeted(self):
        auth = self.target.get("auth")
        given = [auth["user"], {"passwd": auth["passwd"]}] if auth else None
        self.control.sendall(msgpack.packb(["tele:syn", {"auth": given, "vers": [3, 0], "name": "*"}]))
        body = self.received(self.control)[1]
        if not body["retn"][0]:
            sys.exit(f"the server refused the login: {body['retn']}")
        return body["sess"]

    def received(self, sock):
        unpacker = msgpack.Unpacker(use_list=True, strict_map_key=False)
        while True:
            unpacker.feed(sock.recv(CHUNK) or sys.exit("the server closed the link"))
            for message in unpacker:
                return message

    def encoded_calls(self, sess):
        todos = self.target.get("todos") or [[self.target["method"], [], {}]]
        return [msgpack.packb(["t2:init", {"todo": todo, "name": None, "sess": sess}]) for todo in todos]

    def first_answer(self, sock):
        """The bytes as they came: both sides write the same message in several ways."""
        sock.sendall(self.next_request())
        unpacker = msgpack.Unpacker(use_list=True, strict_map_key=False)
        answer = b""
        while True:
            got = sock.recv(CHUNK) or sys.exit("the server closed the link")
            answer += got
            unpacker.feed(got)
            for kind, body in unpacker:
                retn = body.get("retn")
                if retn is not None and not retn[0]:
                    sys.exit(f"the server refused the call: {retn}")
                if kind == "t2:fini" or (kind == "t2:yield" and retn is None):
                    return answer

    def calls(self, seconds):
        latencies = Histogram()
        cpu = time.process_time()
        start = time.perf_counter()
        loop = self.one_by_one if len(self.socks) == 1 else self.all_at_once
        made = loop(start + seconds, latencies)
        return {
            "calls": made,
            "seconds": time.perf_counter() - start,
            "cpuUs": (time.process_time() - cpu) * 1e6,
            "latencies": list(latencies.items()),
        }

    def one_by_one(self, end, latencies):
        send, receive = self.socks[0].sendall, self.socks[0].recv
        request, answer, size = self.next_request, self.answer, len(self.answer)
        clock = time.perf_counter
        made, now = 0, 0.0
        while now < end:
            for _ in range(TIMED_OF):
                send(request())
                got = receive(CHUNK)
                if got != answer:
                    self.check_rest(self.socks[0], got)
            made += TIMED_OF
            began = clock()
            send(request())
            got = receive(CHUNK)
            now = clock()
            if len(got) < size:
                self.check_rest(self.socks[0], got)
            made += 1
            latencies.add(now - began)
        return made

    def all_at_once(self, end, latencies):
        request, answer = self.next_request, self.answer
        clock = time.perf_counter
        ways = {sock.fileno(): (sock, sock.send, sock.recv) for sock in self.socks}
        poll = select.epoll()
        for number in ways:
            poll.register(number, select.EPOLLIN)
        timed = self.socks[0].fileno()
        under_way, made, now, began = len(ways), 0, 0.0, clock()
        for _, send, _ in ways.values():
            send(request())
        while under_way:
            for number, _ in poll.poll():
                sock, send, receive = ways[number]
                got = receive(CHUNK)
                if got != answer:
                    self.check_rest(sock, got)
                made += 1
                if number == timed:
                    now = clock()
                    latencies.add(now - began)
                    began = now
                if now < end:
                    send(request())
                else:
                    under_way -= 1
        poll.close()
        return made

    def check_rest(self, sock, got):
        """Small answers come in one piece, nearly always."""
        answer = memoryview(self.answer)
        place = 0
        while True:
            if got != answer[place : place + len(got)]:
                sys.exit("an answer is not like the first")
            place += len(got)
            if place == len(answer):
                return
            got = sock.recv(CHUNK) or sys.exit("the server closed a link")


def main():
    clients = Clients(json.loads(sys.stdin.readline()))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(clients.calls(json.loads(line)["durationMs"] / 1000)), flush=True)
    os._exit(0)


main()
