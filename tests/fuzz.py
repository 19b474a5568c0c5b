"""Requests that schemathesis makes up from an app's OpenAPI document."""

from collections.abc import Callable
from typing import Any

import pytest

from workbook import Server


def assert_no_500(
    server: Server, leave_out: str = "", change: Callable[[Any], object] = lambda case: None
) -> None:
    """Try every operation but those at one path; `change` may alter a request before it is sent."""
    schemathesis: Any = pytest.importorskip("schemathesis")  # both are slow to import
    from hypothesis import HealthCheck, given, settings

    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    if leave_out:
        schema = schema.exclude(path=leave_out)
    for result in schema.get_all_operations():

        @settings(
            max_examples=20,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=result.ok().as_strategy())
        def probe(case: Any) -> None:
            change(case)
            assert case.call(timeout=20).status_code < 500

        probe()
