"""Lets a test use the registry clients of the installed CGSE release, as they are.

Reads one JSON command per line on standard input and answers each with one JSON line {"id", "result"} or {"id", "error"} on standard
output, between which stand the lines {"event": ...} and {"log": ...} of what the clients saw in the meantime. Commands run side by side,
except that the calls to one synchronous client wait for each other. Ends at the end of its input.
"""

import asyncio
import concurrent.futures
import importlib
import inspect
import json
import logging
import os
import sys
import threading

# What the release prints goes to standard error; standard output belongs to the test.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
answers_lock = threading.Lock()


def say(line):
    with answers_lock:
        answers.write(json.dumps(line, default=repr) + "\n")


class Tell(logging.Handler):
    def emit(self, record):
        say({"log": record.getMessage(), "level": record.levelname})


class AsyncDriver:
    def __init__(self, arguments):
        self.client = importlib.import_module("egse.registry.client").AsyncRegistryClient(**arguments)
        self.contexts = {}

    async def call(self, method, args, kwargs):
        result = getattr(self.client, method)(*args, **kwargs)
        return await result if inspect.isawaitable(result) and not isinstance(result, asyncio.Task) else result

    async def request(self, kind, request):
        return await self.client._send_request(*envelope(kind), request)

    async def listen(self, types):
        for kind in types:
            self.client.on_event(kind, lambda data, kind=kind: say({"event": kind, "data": data}))
        await self.client.start_event_listener()

    async def enter(self, manager, args, kwargs):
        context = getattr(self.client, manager)(*args, **kwargs) if manager else self.client
        self.contexts[manager] = context
        entered = await context.__aenter__() if hasattr(context, "__aenter__") else context.__enter__()
        return None if entered is self.client else entered

    async def leave(self, manager):
        context = self.contexts.pop(manager)
        if hasattr(context, "__aexit__"):
            await context.__aexit__(None, None, None)
        else:
            context.__exit__(None, None, None)


class SyncDriver:
    """All calls come from one thread, as the sockets of the client want it."""

    def __init__(self, arguments):
        self.thread = concurrent.futures.ThreadPoolExecutor(1)
        client_class = importlib.import_module("egse.registry.client").RegistryClient
        self.client = self.thread.submit(client_class, **arguments).result()

    async def call(self, method, args, kwargs):
        return await self.in_thread(lambda: getattr(self.client, method)(*args, **kwargs))

    async def request(self, kind, request):
        return await self.in_thread(lambda: self.client._send_request(*envelope(kind), request))

    async def enter(self, manager, args, kwargs):
        await self.in_thread(self.client.__enter__)

    async def leave(self, manager):
        await self.in_thread(lambda: self.client.__exit__(None, None, None))

    async def take_event(self, timeout_ms):
        """The next event on the client's own socket, None when there is none in that time."""

        def take():
            if not self.client.sub_socket.poll(timeout_ms):
                return None
            topic, body = self.client.sub_socket.recv_multipart()
            return {"topic": topic.decode(), "body": json.loads(body)}

        return await self.in_thread(take)

    async def in_thread(self, work):
        return await asyncio.get_running_loop().run_in_executor(self.thread, work)


def envelope(kind):
    """The message type as the release names it; releases with plain REQ sockets have none."""
    types = getattr(importlib.import_module("egse.registry"), "MessageType", None)
    return (types[kind],) if types else ()


async def use(function, args, kwargs):
    module, _, name = function.rpartition(".")
    target = getattr(importlib.import_module(module), name)
    if inspect.iscoroutinefunction(target):
        return await target(*args, **kwargs)
    return await asyncio.to_thread(target, *args, **kwargs)


drivers = {}


async def perform(command):
    op = command["op"]
    if op == "use":
        return await use(command["function"], command["args"], command["kwargs"])
    if op == "new":
        kind = AsyncDriver if command["kind"] == "async" else SyncDriver
        drivers[command["client"]] = kind(command["kwargs"])
        return None
    driver = drivers[command["client"]]
    if op == "call":
        return await driver.call(command["method"], command["args"], command["kwargs"])
    if op == "request":
        return await driver.request(command["kind"], command["request"])
    if op == "listen":
        return await driver.listen(command["types"])
    if op == "enter":
        return await driver.enter(command["manager"], command["args"], command["kwargs"])
    if op == "leave":
        return await driver.leave(command["manager"])
    if op == "take_event":
        return await driver.take_event(command["timeout_ms"])
    raise ValueError(f"no such operation: {op}")


async def answer(command):
    try:
        say({"id": command["id"], "result": await perform(command)})
    except Exception as exc:
        say({"id": command["id"], "error": f"{type(exc).__name__}: {exc}"})


async def main():
    importlib.import_module("egse.registry.client")
    for name in ("egse.registry", "egse.registry.client", "registry_client", "async_registry_client"):
        logging.getLogger(name).setLevel(logging.INFO)
    for name in ("egse.registry", "registry_client", "async_registry_client"):
        logging.getLogger(name).addHandler(Tell())
    say({"ready": True})
    running = set()
    while line := await asyncio.to_thread(sys.stdin.readline):
        task = asyncio.create_task(answer(json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)
    # Sockets and threads of the clients may be in any state: leave without tidying up after them.
    os._exit(0)


asyncio.run(main())
