"""A service per module: its scenario runs once, and each row of the fault matrix checks its part of it."""

from collections.abc import Iterator

import pytest

from tests.support.database import Cluster
from tests.support.payout_service import PayoutService, new_payout_service


@pytest.fixture(scope="module")
def service(
    cluster: Cluster, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PayoutService]:
    """Return a service with the module's ``SETTINGS``, if it has any, on a database and a bank of its own."""
    settings = getattr(request.module, "SETTINGS", {})
    with new_payout_service(cluster, tmp_path_factory.mktemp("service"), **settings) as service:
        yield service
