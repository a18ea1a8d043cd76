"""Runs one real Synapse service as its own program would, and says on file descriptor 3 on which ports it listens.

    synapse-service.py KIND DIR [--also URL]... [--key-bits N] [arguments of the service]

KIND is a service of Synapse, `cell` for one with nothing but the API that all have, or `probe` for that and the methods below. The
configuration comes from cell.yaml of the directory and the environment, as always. When the standard input ends, the whole process group is
killed: nothing survives the test that started it.
"""

import argparse
import asyncio
import importlib
import json
import os
import signal
import sys
import threading

import synapse.exc as s_exc
import synapse.lib.cell as s_cell
import synapse.lib.certdir as s_certdir
import synapse.lib.share as s_share

KINDS = {
    "aha": "synapse.lib.aha.AhaCell",
    "axon": "synapse.axon.Axon",
    "cell": "synapse.lib.cell.Cell",
    "cortex": "synapse.cortex.Cortex",
    "cryotank": "synapse.cryotank.CryoCell",
    "jsonstor": "synapse.lib.jsonstor.JsonStorCell",
}


class ProbeShare(s_share.Share):
    """What `ProbeApi.share` gives: a counter of its own."""

    typename = "probeshare"

    async def __anit__(self, link, start):
        await s_share.Share.__anit__(self, link, start)
        self.total = start

    async def add(self, number):
        self.total += number
        return self.total

    async def upto(self, number):
        for value in range(self.total, number):
            yield value


class ProbeApi(s_cell.CellApi):
    """What a test of a client wants to call, and what it left running or open here."""

    async def echo(self, *args, **kwargs):
        return [args, kwargs]

    async def value(self, valu):
        return valu

    async def fail(self, name, info):
        raise getattr(s_exc, name)(**info)

    async def crash(self, mesg):
        raise ValueError(mesg)

    async def count(self, number, fail_at=None, pause=0):
        self.cell.streams += 1
        try:
            for value in range(number):
                if value == fail_at:
                    raise s_exc.BadArg(mesg="no further", name="count", valu=value)
                if pause:
                    await asyncio.sleep(pause)
                yield value
        finally:
            self.cell.streams -= 1

    async def fill(self, number, size):
        """So many items of that many bytes, as fast as they are taken."""
        for value in range(number):
            self.cell.sent = value + 1
            yield bytes(size)

    async def wait(self, seconds):
        self.cell.waiting += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.cell.waiting -= 1

    async def share(self, start):
        return await ProbeShare.anit(self.link, start)

    async def whoami(self):
        return self.user.name

    async def state(self):
        """What runs and is open now; the caller's own session and link are among it."""
        dmon = self.cell.dmon
        items = sum(len(sess.items) for sess in dmon.sessions.values())
        return {
            "streams": self.cell.streams,
            "waiting": self.cell.waiting,
            "sent": self.cell.sent,
            "sessions": len(dmon.sessions),
            "shares": items - len(dmon.sessions),
            "links": len(dmon.links),
        }


class Probe(s_cell.Cell):
    cellapi = ProbeApi
    streams = 0
    waiting = 0
    sent = 0


def class_of(kind):
    if kind == "probe":
        return Probe
    module, _, name = KINDS[kind].rpartition(".")
    return getattr(importlib.import_module(module), name)


def make_keys_of(bits):
    def init(self, path=None, init=s_certdir.CertDir.__init__):
        init(self, path)
        self.crypto_numbits = bits

    s_certdir.CertDir.__init__ = init


def die_with_the_test():
    sys.stdin.read()
    os.killpg(os.getpgrp(), signal.SIGKILL)


def ports_of(cell, others):
    sockets = [sock for server in cell.httpds for sock in server._sockets.values()]
    return {
        "telepath": cell.sockaddr[1] if cell.sockaddr else None,
        "also": others,
        "https": sockets[0].getsockname()[1] if sockets else None,
        "provision": cell.provaddr[1] if getattr(cell, "provaddr", None) else None,
    }


async def main():
    pars = argparse.ArgumentParser()
    pars.add_argument("kind", choices=[*KINDS, "probe"])
    pars.add_argument("--also", action="append", default=[])
    pars.add_argument("--key-bits", type=int)
    opts, argv = pars.parse_known_args()
    if opts.key_bits:
        make_keys_of(opts.key_bits)
    threading.Thread(target=die_with_the_test, daemon=True).start()
    cell = await class_of(opts.kind).initFromArgv(argv)
    others = [(await cell.dmon.listen(url))[1] for url in opts.also]
    with os.fdopen(3, "w") as report:
        report.write(json.dumps(ports_of(cell, others)) + "\n")
    await cell.main()


if __name__ == "__main__":
    asyncio.run(main())
