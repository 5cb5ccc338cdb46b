"""What is said of a region, or of the way to it, before anything can be looked up there."""

from collections.abc import Collection
from difflib import get_close_matches


def unknown(region: str, known: Collection[str]) -> str:
    """A region that AWS does not have, with the nearest names that it has."""
    near = get_close_matches(region, sorted(known), n=3, cutoff=0.85)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(known))}."
    return f"backup-storage:region is {region}, which AWS does not have; {hint}"


def disabled(region: str) -> str:
    """A region that the account has not switched on."""
    return (
        f"backup-storage:region is {region}, which is not enabled for this AWS account; enable it under Account > "
        "AWS Regions, or choose a region that is."
    )


def no_credentials(region: str) -> str:
    """Nothing to prove who is asking."""
    return (
        "There are no AWS credentials; run `aws sso login` or `aws configure`, or set AWS_PROFILE (how they are found: "
        "https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html)."
    )


def expired(region: str) -> str:
    """A session that is over."""
    return "The AWS credentials have expired; log in again, for example with `aws sso login`."


def refused(region: str, reason: str) -> str:
    """Credentials that AWS does not know."""
    return f"AWS refuses the credentials ({reason}); check the profile or the keys that are set."


def unreachable(region: str, reason: str) -> str:
    """No way there from this computer."""
    return f"AWS cannot be reached in {region} ({reason}); check the network, and AWS_ENDPOINT_URL where it is set."
