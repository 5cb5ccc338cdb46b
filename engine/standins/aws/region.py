"""One provider instance's region and endpoint, and EC2 there."""

# ruff: noqa: PLC0415 (a plugin starts at every preview, and most previews call nothing)

from __future__ import annotations

import json
import os
import threading
from typing import Any

from engine.standins.resource import ProviderError
from engine.standins.values import Properties, plain

#: How long something may take to come to be or to go (terraform-provider-aws waits 5 to 20 minutes).
WAIT_SECONDS = 600

_NOT_FOUND = (".NotFound", ".Malformed", "NoSuch")


class Region:
    """Where one instance of the provider works."""

    def __init__(self) -> None:
        self.name = ""
        self._endpoint = ""
        self._client: Any = None
        self._making = threading.Lock()

    def configure(self, config: Properties) -> None:
        """Take the provider's configuration. ProviderError where it leads to Amazon itself."""
        given = plain(config)
        self.name = given.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
        if not self.name:
            raise ProviderError("Missing region configuration: set aws:region or AWS_REGION")
        endpoints = given.get("endpoints") or []
        endpoints = json.loads(endpoints) if isinstance(endpoints, str) else endpoints
        named = [each["ec2"] for each in endpoints if each.get("ec2")]
        environment = os.environ.get("AWS_ENDPOINT_URL_EC2") or os.environ.get("AWS_ENDPOINT_URL")
        self._endpoint = named[0] if named else environment or ""
        if not self._endpoint:
            raise ProviderError(
                "This computer has only the offline stand-in for the aws plugin, which works on a local server that "
                "AWS_ENDPOINT_URL names, never on Amazon's own. The real plugin is needed: `pulumi plugin install "
                "resource aws` fetches it where get.pulumi.com can be reached."
            )

    @property
    def ec2(self) -> Any:
        """EC2 in this region; may be used by many threads."""
        with self._making:
            if self._client is None:
                import boto3

                self._client = boto3.client("ec2", region_name=self.name, endpoint_url=self._endpoint)
            return self._client


def explained(doing: str, error: Exception) -> ProviderError:
    """A failure of AWS in the plugin's words."""
    response = getattr(error, "response", None)
    if response is None:
        return ProviderError(f"{doing}: {error}")
    about, answer = response.get("Error", {}), response.get("ResponseMetadata", {})
    operation = getattr(error, "operation_name", "")
    return ProviderError(
        f"{doing}: operation error EC2: {operation}, https response error StatusCode: "
        f"{answer.get('HTTPStatusCode')}, RequestID: {answer.get('RequestId')}, api error "
        f"{about.get('Code')}: {about.get('Message')}"
    )


def is_missing(error: Exception) -> bool:
    """Whether what was asked for does not exist."""
    response = getattr(error, "response", None) or {}
    return any(mark in str(response.get("Error", {}).get("Code", "")) for mark in _NOT_FOUND)
