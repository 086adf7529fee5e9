"""First steps: register with a real SDK, see it listed, watch it disappear.

Start the server, then `python tests/sdk/demo.py [ADDRESS]`, with nacos-sdk-python 3.2.0 installed.
"""

import asyncio
import logging
import sys
import tempfile

from v2.nacos import (
    ClientConfigBuilder,
    ListServiceParam,
    NacosNamingService,
    RegisterInstanceParam,
    SubscribeServiceParam,
)

ADDRESS = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8848"


async def connect(folder):
    """One client with a connection of its own; its cache stays out of the way."""
    config = (
        ClientConfigBuilder()
        .server_address(ADDRESS)
        .cache_dir(folder)
        .log_dir(folder)
        .log_level(logging.ERROR)
        .load_cache_at_start(False)
        .build()
    )
    config.set_update_cache_when_empty(True)  # or the SDK hides that the last instance left
    return await NacosNamingService.create_naming_service(config)


async def main():
    with tempfile.TemporaryDirectory() as folder:
        consumer = await connect(folder)
        changes = asyncio.Queue()

        async def told(instances):
            await changes.put([f"{each.ip}:{each.port}" for each in instances])

        await consumer.subscribe(
            SubscribeServiceParam(service_name="orders", subscribe_callback=told)
        )
        print("consumer  subscribed to orders")

        provider = await connect(folder)
        await provider.register_instance(
            RegisterInstanceParam(service_name="orders", ip="192.0.2.1", port=8080)
        )
        print("provider  registered 192.0.2.1:8080")
        while not (hosts := await asyncio.wait_for(changes.get(), 10)):
            pass
        print("consumer  was told", *hosts)

        listed = await consumer.list_services(ListServiceParam())
        print("consumer  sees services", *listed.services)

        await provider.shutdown()
        print("provider  closed its connection")
        while hosts := await asyncio.wait_for(changes.get(), 40):
            pass
        print("consumer  was told that orders has no instance any more")
        await consumer.shutdown()


asyncio.run(main())
