"""An unmodified nacos-sdk-python of the HTTP generation behind the judge protocol
(tests/sdk/README.md)."""

import ctypes
import json
import logging
import os
import signal
import sys

import nacos
from nacos.listener import SubscribeListener

# Whatever a library prints belongs on stderr: stdout carries the protocol alone.
OUT = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)

# Seconds between beats, as the SDK's own documentation has it, and between polls of a
# subscription; its default of 7 would only make tests slow.
BEAT_SECONDS = 5
POLL_SECONDS = 1


# The SDK listens to configs in processes of its own. They end with this one, however it ends.
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
os.register_at_fork(after_in_child=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))


class Unsupported(Exception):
    pass


def say(message):
    OUT.write(json.dumps(message) + "\n")
    OUT.flush()


def host(instance):
    return {
        "ip": instance["ip"],
        "port": instance["port"],
        "cluster": instance["clusterName"],
        "healthy": instance["healthy"],
        "weight": instance["weight"],
        "metadata": instance.get("metadata") or {},
    }


class Judge:
    def __init__(self):
        self.naming = None
        self.config = None

    def carry_out(self, request):
        operation = getattr(self, "op_" + request["op"], None)
        if operation is None:
            raise Unsupported
        return operation(request)

    def op_connect(self, request):
        self.naming = nacos.NacosClient(
            request["server"], namespace="public", logDir=os.path.abspath("log"),
            log_level=logging.ERROR, username=request.get("username"),
            password=request.get("password"),
        )

    def op_register(self, request):
        check(
            self.naming.add_naming_instance(
                request["service"],
                request["ip"],
                request["port"],
                cluster_name=request.get("cluster") or "DEFAULT",
                metadata=request.get("metadata") or {},
                group_name=request["group"],
                heartbeat_interval=BEAT_SECONDS,
            )
        )

    def op_deregister(self, request):
        check(
            self.naming.remove_naming_instance(
                request["service"],
                request["ip"],
                request["port"],
                cluster_name=request.get("cluster") or "DEFAULT",
                group_name=request["group"],
            )
        )

    def op_subscribe(self, request):
        service = request["service"]
        known = {}

        def changed(event, local):
            instance = local.instance
            if str(event).rsplit(".", 1)[-1].upper() == "DELETED":
                known.pop(local.instance_id, None)
            else:
                known[local.instance_id] = instance
            hosts = [host(each) for each in known.values()]
            say({"event": "push", "service": service, "hosts": hosts})

        self.naming.subscribe(
            SubscribeListener(fn=changed, listener_name=service),
            POLL_SECONDS,
            service,
            group_name=request["group"],
        )

    def op_unsubscribe(self, request):
        self.naming.unsubscribe(service_name=request["service"])

    def op_query(self, request):
        return self.list_instances(request, False)

    def op_select(self, request):
        return self.list_instances(request, True)

    def list_instances(self, request, healthy_only):
        found = self.naming.list_naming_instance(
            request["service"], group_name=request["group"], healthy_only=healthy_only
        )
        return [host(each) for each in found["hosts"]]

    def op_connect_config(self, request):
        self.config = nacos.NacosClient(
            request["server"], namespace=request.get("namespace"), logDir=os.path.abspath("log"),
            log_level=logging.ERROR,
        )

    def op_publish(self, request):
        if "cas_md5" in request or "beta_ips" in request:
            raise Unsupported
        return self.config.publish_config(request["data_id"], request["group"], request["content"])

    def op_get(self, request):
        return self.config.get_config(request["data_id"], request["group"], no_snapshot=True)

    def op_search(self, request):
        """All there is of a group: the SDK asks for nothing less."""
        found = self.config.get_configs(group=request["group"], no_snapshot=True)
        return [each["dataId"] for each in found["pageItems"]]

    def op_remove(self, request):
        return self.config.remove_config(request["data_id"], request["group"])

    def op_listen(self, request):
        def changed(told):
            say({"event": "config", "data_id": told["data_id"], "content": told["content"]})

        self.config.add_config_watcher(request["data_id"], request["group"], changed)

    def op_close(self, _request):
        self.naming.stop_subscribe()


def check(accepted):
    if not accepted:
        raise RuntimeError("the SDK answered false")


def main():
    judge = Judge()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            say({"id": request["id"], "ok": True, "result": judge.carry_out(request)})
        except Unsupported:
            say({"id": request["id"], "ok": False, "error": "unsupported"})
        except Exception as failure:  # reported, whatever it is: the test decides
            error = f"{type(failure).__name__}: {failure}"
            say({"id": request["id"], "ok": False, "error": error})
    # The test is gone. Its instances must leave as in a crash.
    os._exit(0)


main()
