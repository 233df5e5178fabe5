"""Providers that know Google's schema and can do nothing else, for Terraform on this machine.

Terraform connects to them by `TF_REATTACH_PROVIDERS` instead of downloading the real ones. They answer what a
configuration may say; what is asked of real resources they refuse, so plans need `mock_provider`.
"""

import concurrent.futures
import json
import os
import pathlib
import sys

import grpc
import msgpack

from . import bindings

sys.path.insert(0, str(pathlib.Path(__file__).parent))
messages, services = grpc.protos_and_services("plugin.proto")
sys.path.pop(0)

MODES = {
    "single": messages.Schema.NestedBlock.SINGLE,
    "list": messages.Schema.NestedBlock.LIST,
    "set": messages.Schema.NestedBlock.SET,
}

# Two providers and a Terraform that asks about every module at once.
THREADS = 8

# How msgpack carries what Terraform does not know yet.
UNKNOWN = object()


class Provider(services.ProviderServicer):
    """`schemas` is keyed by kind (`provider`, `resource`, `data`) and type name."""

    def __init__(self, schemas):
        self.schemas = schemas

    def GetMetadata(self, request, context):
        named = messages.GetMetadata.Resource
        return messages.GetMetadata.Response(
            resources=[named(type_name=name) for kind, name in self.schemas if kind == "resource"],
            data_sources=[named(type_name=name) for kind, name in self.schemas if kind == "data"],
        )

    def GetProviderSchema(self, request, context):
        response = messages.GetProviderSchema.Response()
        for (kind, name), block in self.schemas.items():
            target = {
                "provider": lambda: response.provider,
                "resource": lambda: response.resource_schemas[name],
                "data": lambda: response.data_source_schemas[name],
            }[kind]()
            target.block.CopyFrom(_block(block))
        return response

    def ValidateProviderConfig(self, request, context):
        return messages.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request, context):
        found = self._wrong_values(("resource", request.type_name), request.config)
        return messages.ValidateResourceConfig.Response(diagnostics=found)

    def ValidateDataResourceConfig(self, request, context):
        found = self._wrong_values(("data", request.type_name), request.config)
        return messages.ValidateDataResourceConfig.Response(diagnostics=found)

    def StopProvider(self, request, context):
        return messages.StopProvider.Response()

    def _wrong_values(self, key, config):
        value = msgpack.unpackb(config.msgpack, ext_hook=lambda code, data: UNKNOWN, strict_map_key=False)
        return list(_wrong_values(self.schemas[key], value, []))


class Providers:
    """The running servers; a context manager. `environment` tells Terraform of them."""

    def __init__(self, schemas_by_provider):
        self.schemas_by_provider = schemas_by_provider
        self.servers = []
        self.environment = {}

    def __enter__(self):
        reattach = {}
        for provider, schemas in self.schemas_by_provider.items():
            server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=THREADS))
            services.add_ProviderServicer_to_server(Provider(schemas), server)
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            self.servers.append(server)
            reattach[f"registry.terraform.io/hashicorp/{provider}"] = {
                "Protocol": "grpc",
                "ProtocolVersion": 6,
                "Pid": os.getpid(),
                "Test": True,
                "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"},
            }
        self.environment = {"TF_REATTACH_PROVIDERS": json.dumps(reattach)}
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.stop(grace=None).wait()


def _block(block):
    result = messages.Schema.Block()
    for attribute in block.attributes.values():
        result.attributes.add(
            name=attribute.name,
            type=json.dumps(attribute.type).encode(),
            required=attribute.required,
            optional=attribute.optional,
            computed=attribute.computed,
        )
    for nested in block.blocks.values():
        single = nested.mode == "single"
        result.block_types.add(
            type_name=nested.name,
            block=_block(nested.block),
            nesting=MODES[nested.mode],
            min_items=0 if single else nested.minimum,
            max_items=0 if single else nested.maximum,
        )
    return result


def _wrong_values(block, value, steps):
    """Known texts that are none of those that the documentation lists."""
    if not isinstance(value, dict):
        return
    for name, attribute in block.attributes.items():
        given = value.get(name)
        if attribute.values and isinstance(given, str) and given not in attribute.values:
            yield _diagnostic([*steps, name], f"{given!r} is none of {', '.join(attribute.values)}")
    for name, nested in block.blocks.items():
        given = value.get(name)
        if nested.mode == "single":
            yield from _wrong_values(nested.block, given, [*steps, name])
        for n, item in enumerate(given if isinstance(given, list) else []):
            # An element of a set has no number that Terraform would understand.
            here = [*steps, name, n] if nested.mode == "list" else [*steps, name]
            yield from _wrong_values(nested.block, item, here)


def _diagnostic(steps, detail):
    diagnostic = messages.Diagnostic(severity=messages.Diagnostic.ERROR, summary="Value not in the documented list", detail=detail)
    for step in steps:
        if isinstance(step, int):
            diagnostic.attribute.steps.add(element_key_int=step)
        else:
            diagnostic.attribute.steps.add(attribute_name=step)
    return diagnostic


def schemas(wanted, package):
    """The schemas of a provider for `wanted`, pairs of kind and type name; unknown types are left out."""
    folders = {(kind, name): bindings.folder(package.provider, kind, name) for kind, name in wanted}
    texts = package.read({*folders.values(), "provider"})
    found = {("provider", package.provider): bindings.read(texts["provider"], package.provider)}
    for (kind, name), here in folders.items():
        if here in texts:
            found[kind, name] = bindings.read(texts[here], name)
    return found
