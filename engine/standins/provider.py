"""A resource provider plugin: the plugin protocol's gRPC service over what the plugin offers."""

# ruff: noqa: N802, D102 (the methods' names and meanings are the protocol's, pulumi/provider.proto)

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable
from typing import Any

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]
from google.protobuf import empty_pb2  # type: ignore[import-untyped]

from engine.standins import orphan, protocol
from engine.standins.diffs import property_of
from engine.standins.resource import Call, Provider, ProviderError, Resource
from engine.standins.values import decode_map, encode_map


class Servicer(protocol.provider_pb2_grpc.ResourceProviderServicer):
    """The plugin protocol's provider service over a `Provider`."""

    def __init__(self, provider: Provider, engine_address: str) -> None:
        self._provider = provider
        self._messages = protocol.provider_pb2
        self._engine_address = engine_address
        self._engine: Any = None
        self._running: set[asyncio.Task[Any]] = set()

    async def _log(self, urn: str, severity: str, text: str, ephemeral: bool) -> None:
        if self._engine is None:
            channel = grpc.aio.insecure_channel(self._engine_address, options=protocol.CHANNEL_OPTIONS)
            self._engine = protocol.engine_pb2_grpc.EngineStub(channel)
        request = protocol.engine_pb2.LogRequest(
            severity=protocol.engine_pb2.LogSeverity.Value(severity), message=text, urn=urn, ephemeral=ephemeral
        )
        await self._engine.Log(request)

    def _call(self, urn: str, preview: bool = False) -> Call:
        async def log(severity: str, text: str, ephemeral: bool) -> None:
            await self._log(urn, severity, text, ephemeral)

        return Call(urn=urn, log=log, preview=preview)

    async def _run(self, context: Any, work: Awaitable[Any]) -> Any:
        """Do the work of one request; its failure becomes the request's error, a cancel stops it."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        try:
            return await task
        except ProviderError as error:
            await context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except asyncio.CancelledError:
            task.cancel()
            await context.abort(grpc.StatusCode.UNKNOWN, "context canceled")
        finally:
            self._running.discard(task)

    async def _resource(self, context: Any, urn: str) -> Resource:
        token = urn.split("::")[-2].rpartition("$")[2]
        if token not in self._provider.resources:
            known = ", ".join(sorted(self._provider.resources))
            await context.abort(
                grpc.StatusCode.NOT_FOUND,
                f"The offline stand-in for the {self._provider.name} plugin has no resource {token!r}; "
                f"it has {known}. The real plugin has all of them: `pulumi plugin install resource "
                f"{self._provider.name}` fetches it where get.pulumi.com can be reached.",
            )
        return self._provider.resources[token]

    async def Handshake(self, request: Any, context: Any) -> Any:
        self._engine_address = request.engine_address or self._engine_address
        return self._messages.ProviderHandshakeResponse(accept_secrets=True)

    async def Attach(self, request: Any, context: Any) -> Any:
        self._engine_address = request.address
        return empty_pb2.Empty()

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return protocol.plugin_pb2.PluginInfo(version=self._provider.version)

    async def GetSchema(self, request: Any, context: Any) -> Any:
        return self._messages.GetSchemaResponse(schema="{}")

    async def GetMapping(self, request: Any, context: Any) -> Any:
        return self._messages.GetMappingResponse()

    async def GetMappings(self, request: Any, context: Any) -> Any:
        return self._messages.GetMappingsResponse()

    async def CheckConfig(self, request: Any, context: Any) -> Any:
        return self._messages.CheckResponse(inputs=request.news)

    async def DiffConfig(self, request: Any, context: Any) -> Any:
        return self._messages.DiffResponse(changes=self._messages.DiffResponse.DIFF_NONE)

    async def Configure(self, request: Any, context: Any) -> Any:
        if self._provider.configure is not None:
            try:
                self._provider.configure(decode_map(request.args))
            except ProviderError as error:
                await context.abort(grpc.StatusCode.UNKNOWN, str(error))
        return self._messages.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    async def Cancel(self, request: Any, context: Any) -> Any:
        for task in list(self._running):
            task.cancel()
        return empty_pb2.Empty()

    async def Check(self, request: Any, context: Any) -> Any:
        resource = await self._resource(context, request.urn)
        work = resource.check(self._call(request.urn), decode_map(request.news))
        inputs, failures = await self._run(context, work)
        return self._messages.CheckResponse(
            inputs=encode_map(inputs),
            failures=[self._messages.CheckFailure(property=f.property, reason=f.reason) for f in failures],
        )

    async def Diff(self, request: Any, context: Any) -> Any:
        resource = await self._resource(context, request.urn)
        state, inputs = decode_map(request.olds), decode_map(request.news)
        old_inputs = decode_map(request.old_inputs) if request.HasField("old_inputs") else state
        for name in request.ignoreChanges:
            if name in old_inputs:
                inputs[name] = old_inputs[name]
        found = await self._run(context, resource.diff(self._call(request.urn), old_inputs, state, inputs))
        messages = self._messages
        detailed = {}
        for path, kind in found.changes.items():
            full_kind = f"{kind}_REPLACE" if path in found.replaces else kind
            detailed[path] = messages.PropertyDiff(kind=messages.PropertyDiff.Kind.Value(full_kind))
        return messages.DiffResponse(
            changes=messages.DiffResponse.DIFF_SOME if found.changes else messages.DiffResponse.DIFF_NONE,
            replaces=sorted({property_of(path) for path in found.replaces}),
            diffs=sorted({property_of(path) for path in found.changes}),
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    async def Create(self, request: Any, context: Any) -> Any:
        resource = await self._resource(context, request.urn)
        work = resource.create(self._call(request.urn, request.preview), decode_map(request.properties))
        identifier, outputs = await self._run(context, work)
        return self._messages.CreateResponse(id=identifier, properties=encode_map(outputs))

    async def Read(self, request: Any, context: Any) -> Any:
        resource = await self._resource(context, request.urn)
        inputs, state = decode_map(request.inputs), decode_map(request.properties)
        work = resource.read(self._call(request.urn), request.id, inputs, state)
        identifier, inputs, state = await self._run(context, work)
        return self._messages.ReadResponse(id=identifier, properties=encode_map(state), inputs=encode_map(inputs))

    async def Update(self, request: Any, context: Any) -> Any:
        resource = await self._resource(context, request.urn)
        state, inputs = decode_map(request.olds), decode_map(request.news)
        for name in request.ignoreChanges:
            if name in state:
                inputs[name] = state[name]
        work = resource.update(self._call(request.urn, request.preview), request.id, state, inputs)
        return self._messages.UpdateResponse(properties=encode_map(await self._run(context, work)))

    async def Delete(self, request: Any, context: Any) -> Any:
        resource = await self._resource(context, request.urn)
        work = resource.delete(self._call(request.urn), request.id, decode_map(request.properties))
        await self._run(context, work)
        return empty_pb2.Empty()

    async def Invoke(self, request: Any, context: Any) -> Any:
        function = self._provider.functions.get(request.tok)
        if function is None:
            await context.abort(
                grpc.StatusCode.NOT_FOUND,
                f"The offline stand-in for the {self._provider.name} plugin has no function {request.tok!r}.",
            )
            raise AssertionError("abort does not return")
        result = await self._run(context, function(self._call(""), decode_map(request.args)))
        return self._messages.InvokeResponse(**{"return": encode_map(result)})


async def _serve(provider: Provider, engine_address: str) -> None:
    server = grpc.aio.server(options=protocol.CHANNEL_OPTIONS)
    servicer = Servicer(provider, engine_address)
    protocol.provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    print(port, flush=True)  # the engine reads the port from the first line
    await stop.wait()
    await server.stop(grace=None)


def serve(provider: Provider) -> None:
    """Serve the provider until the engine ends the process. The engine's address is the last argument."""
    orphan.watch(orphan.exit_with_children)
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    asyncio.run(_serve(provider, addresses[-1] if addresses else ""))
