from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.tracing import trace_id_in, trace_id_of, traceparent_of

pytestmark = pytest.mark.feature("R05")

EVENT = UUID("01a1feab-11be-725a-9085-2074cbd7c25b")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_request_id_that_is_a_trace_id_stays_one():
    assert trace_id_of(TRACE) == TRACE
    assert traceparent_of(TRACE, EVENT) == f"00-{TRACE}-90852074cbd7c25b-01"


@given(st.text(max_size=80))
def test_every_request_has_one_trace_whose_header_is_well_formed(request_id: str):
    assert trace_id_in(traceparent_of(request_id, EVENT)) == trace_id_of(request_id)
    assert trace_id_in(traceparent_of(request_id)) == trace_id_of(request_id)


@pytest.mark.parametrize("header", [
    "", "00", f"00-{'0' * 32}-90852074cbd7c25b-01", f"00-{TRACE}-{'0' * 16}-01",
    f"ff-{TRACE}-90852074cbd7c25b-01", f"00-{TRACE.upper()}-90852074cbd7c25b-01",
    f"00-{TRACE}-90852074cbd7c25b-01-more",
])  # fmt: skip
def test_a_malformed_header_names_no_trace(header: str):
    assert trace_id_in(header) is None
