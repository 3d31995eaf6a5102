"""The fake API server, a client of it, and a reconciler on both."""

from collections.abc import AsyncIterator

import pytest

from slipway.kube.client import KubeClient

from .bench import Bench
from .build import JOB_PATH, job
from .fakeapi import FakeApi, serving


@pytest.fixture
def fake() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def client(fake: FakeApi) -> AsyncIterator[KubeClient]:
    async with serving(fake) as made:
        yield made


@pytest.fixture
def bench(client: KubeClient, fake: FakeApi) -> Bench:
    made = Bench(client, fake)
    fake.put(JOB_PATH, job())
    made.told()
    return made
