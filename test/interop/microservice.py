"""Two real CGSE microservices: one offers a sum, the other finds it through the registry and asks for it. Prints what came of it.

The registry's ports come from the settings of the release.
"""

import asyncio
import json
import os

from egse.registry.client import AsyncRegistryClient
from egse.registry.service import ZMQMicroservice


async def add(request):
    return {"status": "ok", "sum": request["a"] + request["b"]}


async def registered(service_type):
    async with AsyncRegistryClient(timeout=5) as client:
        return await client.discover_service(service_type)


async def until_registered(service_type):
    while not (service := await registered(service_type)):
        await asyncio.sleep(0.05)
    return service


async def main():
    adder = ZMQMicroservice("Adder", "adder", metadata={"unit": "none"})
    adder.register_handler("add", add)
    running = asyncio.create_task(adder.start())  # kept, or it would be collected
    found = await asyncio.wait_for(until_registered("adder"), 10)
    asker = ZMQMicroservice("Asker", "asker")
    await asker.registry_client.connect()
    answer = await asker.call_service("adder", "add", {"a": 2, "b": 3})
    await adder.stop()
    # It deregisters, and then waits for ever for a context that is in use elsewhere.
    while await registered("adder"):
        await asyncio.sleep(0.05)
    print(json.dumps({"found": found, "id": adder.service_id, "answer": answer, "port": adder.rep_port}))
    running.cancel()
    os._exit(0)


asyncio.run(main())
