"""The derivation of passwords: always the same, never the same for two purposes, and of letters and digits."""

from collections import Counter
from itertools import product

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from plan.environments import NAME, Environment
from plan.passwords import ALPHABET, LENGTH, ROOT_LENGTH, derive, derive_all, password_key

pytestmark = pytest.mark.plan

ROOT = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ--"

roots = st.text(st.sampled_from(ALPHABET), min_size=ROOT_LENGTH, max_size=ROOT_LENGTH)
names = st.from_regex(NAME, fullmatch=True)
#: Short names of few characters, so that what is written one after the other often looks alike.
alike = st.text(st.sampled_from("a1.-"), min_size=1, max_size=4).filter(NAME.fullmatch)
generations = st.integers(min_value=1, max_value=10**6)
purposes = st.tuples(names | alike, st.none() | names | alike, generations)


@pytest.mark.parametrize(
    ("environment", "reader", "generation", "password"),
    [
        ("shop", None, 1, "6gFylfJQF91Prq40rUcn4KxalfqoMKKCCD3T3Ur9"),
        ("shop", None, 2, "MvvjC3DAJ3SUmBqJJFNajLE4Y9E7gCNRYCPANRBe"),
        ("shop", "blog", 1, "0uEFXTUtPCJ9oNxC24Pn1Jjmfjv87k3u3JK91GGI"),
    ],
)
def test_the_derivation_never_changes(environment: str, reader: str | None, generation: int, password: str) -> None:
    """Were it another, every repository would get a new password and kept ones would open no more."""
    assert derive(ROOT, environment, generation, reader=reader) == password


@given(roots, names, generations)
def test_it_is_the_standard_derivation(root: str, name: str, generation: int) -> None:
    """By another implementation of HKDF, with the purpose written out by hand."""
    info = f'["backup-storage password 1", "environment", "{name}", {generation}]'.encode()
    number = int.from_bytes(HKDFExpand(SHA256(), 64, info).derive(root.encode()), "big")
    digits = [ALPHABET[number // len(ALPHABET) ** place % len(ALPHABET)] for place in range(LENGTH)]
    assert derive(root, name, generation) == "".join(digits)


@given(roots, *[purposes] * 2)
def test_two_purposes_never_share_a_password(
    root: str, one: tuple[str, str | None, int], other: tuple[str, str | None, int]
) -> None:
    first, second = (derive(root, name, generation, reader=reader) for name, reader, generation in (one, other))
    assert (first == second) is (one == other)


def test_names_that_look_alike_when_they_are_joined_have_passwords_of_their_own() -> None:
    parts = ["a", "aa", "a.a", "a-1", "1", "11"]
    made = Counter(
        derive(ROOT, name, generation, reader=reader)
        for name, reader, generation in product(parts, [None, *parts], [1, 11, 111])
    )
    assert len(made) == len(parts) * (len(parts) + 1) * 3


@given(st.lists(roots, min_size=2, max_size=2, unique=True), purposes)
def test_two_stacks_never_share_a_password(both: list[str], purpose: tuple[str, str | None, int]) -> None:
    name, reader, generation = purpose
    assert len({derive(root, name, generation, reader=reader) for root in both}) == 2


@given(roots, purposes)
def test_a_password_has_forty_letters_and_digits(root: str, purpose: tuple[str, str | None, int]) -> None:
    name, reader, generation = purpose
    password = derive(root, name, generation, reader=reader)
    assert len(password) == LENGTH
    assert password.isascii()
    assert password.isalnum()


def test_every_character_is_as_likely_as_any_other_in_every_place() -> None:
    """Pearson's chi-squared over 61 degrees of freedom: below 130 in all but one of a million fair draws."""
    made = [derive(ROOT, "shop", generation) for generation in range(1, 3101)]
    fair = len(made) / len(ALPHABET)
    for place in range(LENGTH):
        counts = Counter(password[place] for password in made)
        assert sum((counts[character] - fair) ** 2 / fair for character in ALPHABET) < 130


@pytest.mark.parametrize("root", ["", "x" * (ROOT_LENGTH - 1)])
def test_a_root_that_is_too_short_is_refused_without_being_told(root: str) -> None:
    with pytest.raises(ValueError, match=f"^the secret root has {len(root)} characters; it must have 64 or more$"):
        derive(root, "shop", 1)


def test_every_environment_and_every_reader_has_its_password_and_an_environments_turn_together() -> None:
    def made(generation: int) -> dict[str, str]:
        shop = Environment(clients=(), readers=("blog", "docs"), generation=generation)
        return derive_all(ROOT, {"shop": shop, "blog": Environment()})

    first, second = made(1), made(2)
    assert sorted(first) == ["blog/password", "shop/password", "shop/readers/blog", "shop/readers/docs"]
    assert {key for key in first if first[key] != second[key]} == {key for key in first if key.startswith("shop/")}
    assert first[password_key("shop", reader="blog")] == derive(ROOT, "shop", 1, reader="blog")
