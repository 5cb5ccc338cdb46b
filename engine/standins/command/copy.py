"""`command:remote:CopyToRemote`: files and directories put on another machine over SFTP."""

# ruff: noqa: PLC0415 (a plugin starts at every preview, and most previews need nothing of what is imported late)

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.standins.command.base import CommandResource, connection_failures, unique_id, with_defaults
from engine.standins.command.connection import Connected
from engine.standins.resource import Call, CheckFailure, ProviderError
from engine.standins.values import Properties, Unknown, is_archive, is_asset, plain

if TYPE_CHECKING:
    import asyncssh


class CopyToRemote(CommandResource):
    """Copies `source` to `remotePath`; again when the source's content or the path changes."""

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[CheckFailure]]:
        """Fill in the connection's defaults, and see that there is one source and a path."""
        failures = connection_failures(inputs.get("connection"))
        source = plain(inputs.get("source"))
        if is_asset(source) and not {"path", "text"} & source.keys():
            failures.append(CheckFailure("asset", "asset must be a path-based file asset or a text asset"))
        elif is_archive(source) and "path" not in source:
            failures.append(CheckFailure("archive", "archive must be a path to a file or directory"))
        elif not isinstance(source, Unknown) and not is_asset(source) and not is_archive(source):
            failures.append(CheckFailure("asset", "either asset or archive must be set"))
        if inputs.get("remotePath") is None:
            failures.append(CheckFailure("remotePath", "missing required field 'remotePath'"))
        if failures:
            return inputs, failures
        return inputs | {"connection": with_defaults(inputs["connection"])}, []

    async def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Copy."""
        if call.preview:
            return "", inputs
        await self._copy(call, plain(inputs))
        return unique_id(""), inputs

    async def update(self, call: Call, identifier: str, state: Properties, inputs: Properties) -> Properties:
        """Copy again, only if the content or the path is another one."""
        if call.preview:
            return inputs
        old, new = plain(state), plain(inputs)
        moved = old.get("remotePath") != new.get("remotePath")
        if moved or old["source"].get("hash") != new["source"].get("hash"):
            await self._copy(call, new)
        return inputs

    async def _copy(self, call: Call, values: dict[str, Any]) -> None:
        import asyncssh

        source, target = values["source"], values["remotePath"]
        async with Connected(call, values["connection"]) as connection:
            try:
                async with connection.start_sftp_client() as sftp:
                    await _put(sftp, source, target)
            except asyncssh.SFTPError as error:
                raise ProviderError(f"failed to copy to remote path {target}: {error.reason}") from None
            except OSError as error:
                raise ProviderError(f"open {error.filename}: {(error.strerror or '').lower()}") from None


async def _put(sftp: asyncssh.SFTPClient, source: dict[str, Any], target: str) -> None:
    if "path" in source:
        await _put_path(sftp, source["path"], target)
        return
    if await sftp.isdir(target):
        raise ProviderError(
            f"remote path {target} is a directory; when using a text asset, remotePath must be a file path"
        )
    await _write(sftp, source["text"].encode(), target)


async def _write(sftp: asyncssh.SFTPClient, content: bytes, target: str) -> None:
    await sftp.makedirs(posixpath.dirname(target) or ".", exist_ok=True)
    async with sftp.open(target, "wb") as remote:
        await remote.write(content)


async def _put_path(sftp: asyncssh.SFTPClient, source: str, target: str) -> None:
    """Copy a file or a directory from this machine.

    | source | target is a directory | target does not exist | target is a file |
    |---|---|---|---|
    | dir | target/dir | target/dir | error |
    | dir/ | into target | into target | error |
    | file | target/file | target | overwritten |
    """
    local = Path(source)
    is_directory = await sftp.isdir(target)
    if local.is_dir():
        if not source.endswith("/"):
            await sftp.makedirs(target, exist_ok=True)
            target = posixpath.join(target, local.name)
        if await sftp.exists(target) and not await sftp.isdir(target):
            raise ProviderError(f"remote path {target} exists but is not a directory")
        await sftp.makedirs(target, exist_ok=True)
        for path in sorted(local.rglob("*")):
            remote = posixpath.join(target, path.relative_to(local).as_posix())
            if path.is_dir():
                await sftp.makedirs(remote, exist_ok=True)
            else:
                await sftp.put(str(path), remote)
        return
    if not local.exists():
        raise ProviderError(f"open {source}: no such file or directory")
    if is_directory:
        target = posixpath.join(target, local.name)
    await sftp.makedirs(posixpath.dirname(target) or ".", exist_ok=True)
    await sftp.put(source, target)
