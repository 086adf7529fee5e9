"""An unmodified nacos-sdk-python behind the judge protocol (tests/sdk/README.md)."""

import asyncio
import json
import logging
import os
import sys
import time

from v2.nacos.common.client_config_builder import ClientConfigBuilder
from v2.nacos.config.model.config_param import ConfigParam
from v2.nacos.config.nacos_config_service import NacosConfigService
from v2.nacos.naming.model.naming_param import (
    BatchRegisterInstanceParam,
    DeregisterInstanceParam,
    ListInstanceParam,
    ListServiceParam,
    RegisterInstanceParam,
    SubscribeServiceParam,
)
from v2.nacos.naming.nacos_naming_service import NacosNamingService
from v2.nacos.utils.net_util import NetUtils

# Whatever a library prints belongs on stderr: stdout carries the protocol alone.
OUT = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


class Unsupported(Exception):
    pass


def say(message):
    OUT.write(json.dumps(message) + "\n")
    OUT.flush()


def host(instance):
    return {
        "ip": instance.ip,
        "port": instance.port,
        "cluster": instance.clusterName,
        "healthy": instance.healthy,
        "weight": instance.weight,
        "metadata": instance.metadata or {},
    }


class Judge:
    def __init__(self):
        self.naming = None
        self.config = None
        self.subscriptions = {}

    async def carry_out(self, request):
        operation = getattr(self, "op_" + request["op"], None)
        if operation is None:
            raise Unsupported
        return await operation(request)

    async def op_connect(self, request):
        self.naming = await NacosNamingService.create_naming_service(settings(request))

    async def op_connect_config(self, request):
        self.config = await NacosConfigService.create_config_service(settings(request))

    async def op_address(self, _request):
        return NetUtils.get_local_ip()

    async def op_publish(self, request):
        config = ConfigParam(
            data_id=request["data_id"],
            group=request["group"],
            content=request["content"],
            cas_md5=request.get("cas_md5") or "",
            beta_ips=request.get("beta_ips") or "",
        )
        return await self.config.publish_config(config)

    async def op_get(self, request):
        config = ConfigParam(data_id=request["data_id"], group=request["group"])
        return await self.config.get_config(config) or None

    async def op_remove(self, request):
        config = ConfigParam(data_id=request["data_id"], group=request["group"])
        return await self.config.remove_config(config)

    async def op_listen(self, request):
        async def changed(_namespace, _group, data_id, content):
            say({"event": "config", "data_id": data_id, "content": content or None})

        await self.config.add_listener(request["data_id"], request["group"], changed)

    @staticmethod
    def registration(request, address):
        return RegisterInstanceParam(
            service_name=request["service"],
            group_name=request["group"],
            ip=address["ip"],
            port=address["port"],
            cluster_name=address.get("cluster") or "",
            metadata=address.get("metadata") or {},
        )

    async def op_register(self, request):
        accepted = await self.naming.register_instance(self.registration(request, request))
        check(accepted)

    async def op_batch_register(self, request):
        instances = [self.registration(request, each) for each in request["instances"]]
        batch = BatchRegisterInstanceParam(
            service_name=request["service"], group_name=request["group"], instances=instances
        )
        check(await self.naming.batch_register_instances(batch))

    async def op_deregister(self, request):
        address = DeregisterInstanceParam(
            service_name=request["service"],
            group_name=request["group"],
            ip=request["ip"],
            port=request["port"],
            cluster_name=request.get("cluster") or "",
        )
        check(await self.naming.deregister_instance(address))

    async def op_subscribe(self, request):
        service = request["service"]

        async def changed(instances):
            hosts = [host(each) for each in instances]
            say({"event": "push", "service": service, "hosts": hosts})

        subscription = SubscribeServiceParam(
            service_name=service, group_name=request["group"], subscribe_callback=changed
        )
        self.subscriptions[service, request["group"]] = subscription
        await self.naming.subscribe(subscription)

    async def op_unsubscribe(self, request):
        subscription = self.subscriptions.pop((request["service"], request["group"]))
        await self.naming.unsubscribe(subscription)

    async def op_query(self, request):
        return await self.list_instances(request, None)

    async def op_select(self, request):
        return await self.list_instances(request, True)

    async def list_instances(self, request, healthy_only):
        found = await self.naming.list_instances(
            ListInstanceParam(
                service_name=request["service"],
                group_name=request["group"],
                subscribe=False,
                healthy_only=healthy_only,
            )
        )
        return [host(each) for each in found]

    async def op_list_services(self, request):
        page = await self.list_page(
            request["group"], request.get("page", 1), request.get("size", 10)
        )
        return {"count": page.count, "names": page.services}

    async def list_page(self, group, page, size):
        return await self.naming.list_services(
            ListServiceParam(group_name=group, page_no=page, page_size=size)
        )

    async def op_timed_unary(self, request):
        calls = request["n"]
        took_us = []
        for _ in range(calls):
            start = time.perf_counter_ns()
            await self.list_page(request["group"], 1, 10)
            took_us.append((time.perf_counter_ns() - start) // 1000)
        took_us.sort()
        return {"p50_us": took_us[calls // 2], "p99_us": took_us[calls * 99 // 100]}

    async def op_status(self, _request):
        return {"up": bool(await (self.naming or self.config).server_health())}

    async def op_close(self, _request):
        await self.naming.shutdown()


def settings(request):
    config = (
        ClientConfigBuilder()
        .server_address(request["server"])
        .namespace_id(request.get("namespace") or "")
        .username(request.get("username"))
        .password(request.get("password"))
        .cache_dir(os.path.abspath("cache"))
        .log_dir(os.path.abspath("log"))
        .log_level(logging.ERROR)
        .load_cache_at_start(False)
        .build()
    )
    config.set_update_cache_when_empty(True)
    config.disable_use_config_cache = True
    return config


def check(accepted):
    if not accepted:
        raise RuntimeError("the SDK answered false")


async def main():
    judge = Judge()
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    while line := await lines.readline():
        request = json.loads(line)
        try:
            result = await judge.carry_out(request)
            say({"id": request["id"], "ok": True, "result": result})
        except Unsupported:
            say({"id": request["id"], "ok": False, "error": "unsupported"})
        except Exception as failure:  # reported, whatever it is: the test decides
            error = f"{type(failure).__name__}: {failure}"
            say({"id": request["id"], "ok": False, "error": error})
    # The test is gone. Its instances must leave by the connection's end, as in a crash.
    os._exit(0)


asyncio.run(main())
