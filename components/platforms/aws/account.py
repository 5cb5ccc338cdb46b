"""The way into an AWS account: credentials and region, checked before anything else is asked."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from plan.aws import regions
from plan.problems import SettingsError

#: A preview waits for these answers; a way that is blocked has to show soon.
_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 3})

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_UNKNOWN = {"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "SignatureDoesNotMatch"}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}

#: Where a partition's other regions can be asked about: every account has them from the start.
_ALWAYS_ENABLED = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}


class Account:
    """An account as seen from one region. Raises SettingsError where there is no way into it."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._session = boto3.Session(region_name=region)
        known = self._known_regions()
        if region not in known:
            raise SettingsError([regions.unknown(region, known)])
        self._check()

    def client(self, service: str) -> Any:
        """A client of one service in the region."""
        return self._session.client(service, config=_CONFIG)

    def _known_regions(self) -> list[str]:
        partitions = self._session.get_available_partitions()
        return [name for each in partitions for name in self._session.get_available_regions("ec2", each)]

    def _check(self) -> None:
        region = self.region
        try:
            self.client("sts").get_caller_identity()
            self._check_enabled()
        except (NoCredentialsError, PartialCredentialsError):
            raise SettingsError([regions.no_credentials(region)]) from None
        except (UnauthorizedSSOTokenError, TokenRetrievalError, SSOTokenLoadError):
            raise SettingsError([regions.expired(region)]) from None
        except ClientError as error:
            code = error_code(error)
            if code in _EXPIRED:
                raise SettingsError([regions.expired(region)]) from None
            if code in _UNKNOWN and self._is_disabled():
                raise SettingsError([regions.disabled(region)]) from None
            raise SettingsError([regions.refused(region, code)]) from None
        except BotoCoreError as error:
            raise SettingsError([regions.unreachable(region, str(error))]) from None

    def _check_enabled(self) -> None:
        try:
            answer = self.client("ec2").describe_regions(AllRegions=True, RegionNames=[self.region])
        except ClientError as error:
            if is_denied(error):
                # A region that lets itself be asked is enabled.
                return
            raise
        if any(found["OptInStatus"] == "not-opted-in" for found in answer["Regions"]):
            raise SettingsError([regions.disabled(self.region)])

    def _is_disabled(self) -> bool:
        """A region that is not enabled knows nobody: whether the account is known elsewhere tells the two apart."""
        home = _ALWAYS_ENABLED.get(self._session.get_partition_for_region(self.region), self.region)
        try:
            elsewhere = self._session.client("ec2", region_name=home, config=_CONFIG)
            answer = elsewhere.describe_regions(AllRegions=True, RegionNames=[self.region])
        except (ClientError, BotoCoreError):
            return False
        return any(found["OptInStatus"] == "not-opted-in" for found in answer["Regions"])


def error_code(error: ClientError) -> str:
    """AWS's name for what went wrong."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


def is_denied(error: ClientError) -> bool:
    """Whether a permission is missing."""
    return error_code(error) in _DENIED
