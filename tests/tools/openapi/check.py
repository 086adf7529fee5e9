"""Judges a server's OpenAPI document: it is valid, and a client made of it works.

check.py DOCUMENT.json BASE_URL WORK_DIRECTORY: validates, generates, publishes a config, reads it
back and lists the instances of a service that the caller registered. Prints `3 calls`.
"""

import importlib
import json
import os
import pathlib
import re
import subprocess
import sys


def validated(path):
    from openapi_spec_validator import OpenAPIV31SpecValidator

    document = json.loads(path.read_text())
    found = [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]
    assert not found, found[:5]
    return document


def generated(path, work):
    """The package the generator makes; it must understand every operation."""
    settings = work / "settings.yaml"
    names = "project_name_override: registry\npackage_name_override: registry\n"
    settings.write_text(names + "post_hooks: []\n")
    tool = pathlib.Path(sys.executable).parent / "openapi-python-client"
    done = subprocess.run(
        [tool, "generate", "--path", path, "--meta", "none", "--config", settings,
         "--output-path", work / "registry", "--overwrite"],
        capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "WARNING" not in said and "rror" not in said, said[-4000:]
    sys.path.insert(0, str(work))
    return importlib.import_module("registry")


def operation(document, method, path):
    """The module and function a generated client has for an operation."""
    found = document["paths"][path][method]
    tag = re.sub("[^a-z0-9]", "", found["tags"][0])
    name = re.sub("(?=[A-Z])", "_", found["operationId"]).lower()
    return importlib.import_module(f"registry.api.{tag}.{name}")


def main():
    path, base, work = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    document = validated(path)
    registry = generated(path, work)
    client = registry.Client(base_url=base)
    publish = operation(document, "post", "/v3/admin/cs/config")
    models = importlib.import_module("registry.models")
    body_type = next(
        value for name, value in vars(models).items() if name.endswith("PostV3AdminCsConfigBody")
    )
    body = body_type(content="made by a generated client")
    name = {"data_id": "generated", "group_name": "G"}
    answer = publish.sync_detailed(client=client, body=body, **name)
    assert answer.status_code == 200 and answer.parsed.data is True, answer
    read = operation(document, "get", "/v3/client/cs/config")
    answer = read.sync_detailed(client=client, **name)
    assert answer.parsed.data["content"] == "made by a generated client", answer
    hosts = operation(document, "get", "/v3/client/ns/instance/list")
    answer = hosts.sync_detailed(client=client, service_name="generated")
    assert [host["port"] for host in answer.parsed.data] == [8080], answer
    print("3 calls")


main()
