"""The Python language host: runs the program when the engine asks for it.

The program runs in a process of its own, with the interpreter of the virtual environment that `Pulumi.yaml`
names (`runtime.options.virtualenv`), as the real language host does it.
"""

# ruff: noqa: N802, D102 (the methods' names and meanings are the protocol's, pulumi/language.proto)

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import threading
from concurrent import futures
from importlib import metadata
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf import empty_pb2, json_format  # type: ignore[import-untyped]

from engine.standins import orphan, protocol

PROGRAM = Path(__file__).with_name("program.py")
SHOWN_ALREADY = 32
"""The exit status by which the program's process says that it has reported its error itself."""


def interpreter(options: dict[str, Any], root: str) -> str:
    """The Python that runs the program: the virtual environment's that the project names, else this one."""
    virtualenv = options.get("virtualenv")
    if not virtualenv:
        return sys.executable
    found = Path(root, str(virtualenv)) / "bin" / "python"
    if not found.exists():
        raise FileNotFoundError(
            f"The 'virtualenv' option in Pulumi.yaml is set to \"{virtualenv}\", but there is no virtual "
            f'environment at "{found.parent.parent}"; run `pulumi install` (or `make up`) to make it'
        )
    return str(found)


def installed_packages() -> list[dict[str, str]]:
    """The SDK packages beside this one whose plugin is in the plugin cache.

    The engine downloads what is named here and missing; where this host stands in for the real one that cannot
    work, so a package whose plugin is missing is left to fail when the program uses it.
    """
    cache = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi", "plugins")
    packages = []
    for path in sorted(Path(sysconfig.get_path("purelib")).glob("*/pulumi-plugin.json")):
        about = json.loads(path.read_text())
        name, version = about.get("name", ""), about.get("version", "")
        if about.get("resource") and (cache / f"resource-{name}-v{version}").is_dir():
            packages.append({"kind": "resource", "name": name, "version": f"v{version}"})
    return packages


def _options(info: Any) -> dict[str, Any]:
    options: dict[str, Any] = json_format.MessageToDict(info.options)
    return options


class LanguageHost(protocol.language_pb2_grpc.LanguageRuntimeServicer):
    """The language runtime's service."""

    def __init__(self, engine_address: str) -> None:
        self._engine_address = engine_address
        self._messages = protocol.language_pb2
        self._programs: set[subprocess.Popen[str]] = set()

    def Handshake(self, request: Any, context: Any) -> Any:
        self._engine_address = request.engine_address or self._engine_address
        return self._messages.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return protocol.plugin_pb2.PluginInfo(version="3.250.0")

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:
        return self._messages.GetRequiredPluginsResponse()

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        response = self._messages.GetRequiredPackagesResponse()
        for package in installed_packages():
            response.packages.add(**package)
        return response

    def Run(self, request: Any, context: Any) -> Any:
        root = request.info.root_directory or request.pwd
        try:
            python = interpreter(_options(request.info), root)
        except FileNotFoundError as error:
            return self._messages.RunResponse(error=str(error))
        specification = {
            "program": str(Path(request.info.program_directory or request.pwd, request.info.entry_point or ".")),
            "arguments": list(request.args),
            "directory": request.pwd,
            "config": dict(request.config),
            "configSecretKeys": list(request.configSecretKeys),
            "settings": {
                "monitor": request.monitor_address,
                "engine": self._engine_address,
                "project": request.project,
                "stack": request.stack,
                "parallel": request.parallel,
                "dry_run": request.dryRun,
                "organization": request.organization,
                "root_directory": root,
            },
        }
        process = subprocess.Popen(
            [python, "-u", str(PROGRAM)], stdin=subprocess.PIPE, text=True, cwd=request.pwd, env=_environment(python)
        )
        self._programs.add(process)
        try:
            process.communicate(json.dumps(specification))
        finally:
            self._programs.discard(process)
        if process.returncode == SHOWN_ALREADY:
            return self._messages.RunResponse(bail=True)
        if process.returncode:
            return self._messages.RunResponse(error=f"Program exited with non-zero exit code: {process.returncode}")
        return self._messages.RunResponse()

    def InstallDependencies(self, request: Any, context: Any) -> Any:
        directory = request.info.program_directory or request.directory
        python = sys.executable
        command = [python, "-m", "pip", "install", "-r", "requirements.txt"]
        done = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        yield self._messages.InstallDependenciesResponse(stdout=done.stdout)
        if done.returncode:
            context.abort(grpc.StatusCode.UNKNOWN, f"{' '.join(command)} failed with {done.returncode}")

    def About(self, request: Any, context: Any) -> Any:
        version = ".".join(str(part) for part in sys.version_info[:3])
        return self._messages.AboutResponse(executable=sys.executable, version=version)

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        found = {item.name: item.version for item in metadata.distributions()}
        dependencies = [
            self._messages.DependencyInfo(name=name, version=version) for name, version in sorted(found.items())
        ]
        return self._messages.GetProgramDependenciesResponse(dependencies=dependencies)

    def Cancel(self, request: Any, context: Any) -> Any:
        self.stop()
        return empty_pb2.Empty()

    def stop(self) -> None:
        """End the programs that still run."""
        for process in list(self._programs):
            process.terminate()


def _environment(python: str) -> dict[str, str]:
    """The program's environment: its virtual environment first on PATH."""
    search = f"{Path(python).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return os.environ | {"PATH": search, "PYTHONUNBUFFERED": "1"}


def main() -> None:
    """Serve until the engine ends the process. The engine's address is the last argument."""
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    host = LanguageHost(addresses[-1] if addresses else "")

    def abandon() -> None:
        host.stop()
        orphan.exit_at_once()

    orphan.watch(abandon)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=protocol.CHANNEL_OPTIONS)
    protocol.language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    print(port, flush=True)  # the engine reads the port from the first line
    stop.wait()
    host.stop()
    server.stop(grace=None)
