"""The fake API server and a client of it."""

from collections.abc import AsyncIterator

import pytest

from slipway.kube.client import KubeClient

from .fakeapi import FakeApi, serving


@pytest.fixture
def fake() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def client(fake: FakeApi) -> AsyncIterator[KubeClient]:
    async with serving(fake) as made:
        yield made
