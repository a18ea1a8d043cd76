"""Lets a test use the real Telepath client of Synapse, as it is.

Reads one JSON command per line on standard input and answers each with one JSON line {"id", "result"} or {"id", "error"} on standard output,
between which stand the lines {"event": ...}. Commands run side by side. What JSON cannot say is an object with one member: {"$bytes": hex},
{"$int": decimal}, {"$float": text}, {"$map": [[key, value], ...]}. Certificates and `telepath.yaml` are those of SYN_DIR, as the tools of
Synapse read them. Ends at the end of its input.
"""

import asyncio
import json
import os
import sys

import synapse.common as s_common
import synapse.exc as s_exc
import synapse.lib.certdir as s_certdir
import synapse.telepath as s_telepath

# What the library prints goes to standard error; standard output belongs to the test.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

SAFE = 2**53 - 1


def say(line):
    answers.write(json.dumps(line) + "\n")


def pack(value):
    if isinstance(value, bytes):
        return {"$bytes": value.hex()}
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf")) or value == int(value)):
        return {"$float": repr(value)}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > SAFE:
        return {"$int": str(value)}
    if isinstance(value, (list, tuple)):
        return [pack(one) for one in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: pack(one) for key, one in value.items()}
        return {"$map": [[pack(key), pack(one)] for key, one in value.items()]}
    return value


TAGS = {"$bytes": bytes.fromhex, "$int": int, "$float": float}


def unpack(value):
    if isinstance(value, list):
        return tuple(unpack(one) for one in value)
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((tag, inner),) = value.items()
        if tag in TAGS:
            return TAGS[tag](inner)
        if tag == "$map":
            return {unpack(key): unpack(one) for key, one in inner}
    return {key: unpack(one) for key, one in value.items()}


def describe(exc):
    info = exc.errinfo if isinstance(exc, s_exc.SynErr) else {"mesg": str(exc)}
    return {"name": type(exc).__name__, "info": pack(info)}


def info_of(proxy):
    return pack(
        {
            "sess": proxy.sess,
            "ahaname": (getattr(proxy, "_ahainfo", None) or {}).get("name"),
            "features": getattr(proxy, "_features", None) or {},
            "sharinfo": proxy.sharinfo,
            "idle": sum(not link.isfini for link in proxy.links),
            "isfini": proxy.isfini,
        }
    )


class Agent:
    def __init__(self):
        # Proxies, shares, reconnecting clients and iterators, by the names that the test gave them.
        self.things = {}

    async def ready(self, on):
        """What to call: of a reconnecting client, once it has a link."""
        thing = self.things[on]
        if isinstance(thing, s_telepath.Client):
            await thing.waitready()
        return await thing.proxy() if isinstance(thing, s_telepath.ClientV2) else thing

    async def open(self, name, url, opts):
        self.things[name] = proxy = await s_telepath.openurl(url, **opts)
        proxy.onfini(lambda: say({"event": "fini", "of": name}))
        return info_of(proxy)

    async def client(self, name, urls, conf, kind):
        async def onlink(proxy, urlinfo=None):
            say({"event": "link", "of": name})
            proxy.onfini(lambda: say({"event": "unlink", "of": name}))

        if kind == "open":
            client = await s_telepath.open(urls, onlink=onlink)
        else:
            client = await s_telepath.Client.anit(urls, conf=conf, onlink=onlink)
        self.things[name] = client

    async def info(self, on):
        return info_of(self.things[on])

    async def call(self, on, method, args, kwargs, timeout=None, keep=None):
        target = await self.ready(on)
        called = getattr(target, method)(*unpack(args), **unpack(kwargs))
        value = await (called if timeout is None else asyncio.wait_for(called, timeout))
        if keep is not None:
            self.things[keep] = value
            return pack(value.sharinfo)
        return pack(value)

    async def retry(self, on, method, args, kwargs, within):
        """A call, made again as long as the link fails: for what happens while a server is restarted."""
        give_up_at = asyncio.get_running_loop().time() + within
        while True:
            try:
                return await self.call(on, method, args, kwargs)
            except (s_exc.LinkErr, s_exc.IsFini, s_exc.NotReady, asyncio.TimeoutError, OSError):
                if asyncio.get_running_loop().time() > give_up_at:
                    raise
                await asyncio.sleep(0.02)

    async def items(self, on, method, args, kwargs, take=None):
        """All items of a stream, or so many and then the loop is left."""
        found = []
        if take == 0:
            return found
        async for item in getattr(await self.ready(on), method)(*unpack(args), **unpack(kwargs)):
            found.append(pack(item))
            if len(found) == take:
                break
        return found

    async def iterate(self, on, method, args, kwargs, keep):
        stream = getattr(await self.ready(on), method)(*unpack(args), **unpack(kwargs))
        self.things[keep] = stream.__aiter__()

    async def next(self, on, count=1):
        return [pack(await self.things[on].__anext__()) for _ in range(count)]

    async def leave(self, on):
        await self.things.pop(on).aclose()

    async def fini(self, on):
        await self.things.pop(on).fini()

    async def many(self, on, method, args, kwargs, count):
        """So many calls at once; gives what they answered, errors as {"error"}."""
        target = await self.ready(on)
        calls = [getattr(target, method)(*unpack(args), **unpack(kwargs)) for _ in range(count)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        return [{"error": describe(one)} if isinstance(one, BaseException) else pack(one) for one in results]

    async def take_session(self, on, of):
        """From now on a proxy calls in the session of another one, on links of its own: what a thief would do."""
        self.things[on].sess = self.things[of].sess

    async def certs(self, path, steps, bits):
        """Certificates as the library makes them: steps are [kind, name, signer or nil]."""
        certdir = s_certdir.CertDir(path=(path,))
        certdir.crypto_numbits = bits
        kinds = {
            "ca": certdir.genCaCert,
            "host": certdir.genHostCert,
            "user": certdir.genUserCert,
            "code": certdir.genCodeCert,
        }
        for kind, name, signas in steps:
            await asyncio.to_thread(kinds[kind], name, signas=signas)

    async def guid(self, value):
        return s_common.guid(unpack(value))


async def answer(agent, command):
    number, op = command.pop("id"), command.pop("op")
    try:
        say({"id": number, "result": await getattr(agent, op)(**command)})
    except Exception as exc:
        say({"id": number, "error": describe(exc)})


async def main():
    agent = Agent()
    async with s_telepath.withTeleEnv():
        say({"ready": True})
        running = set()
        while line := await asyncio.to_thread(sys.stdin.readline):
            task = asyncio.create_task(answer(agent, json.loads(line)))
            running.add(task)
            task.add_done_callback(running.discard)
        # Links and streams may be in any state: leave without tidying up after them.
        os._exit(0)


asyncio.run(main())
