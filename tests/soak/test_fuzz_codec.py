"""Tens of thousands of bodies over real HTTP: every one is answered, and none finds a bug."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.documents import ErrorDocument, ScoreDocument
from service.settings import Settings
from tests.service import bodies
from tests.service.fakes import fake_scorer
from tests.service.serving import metric, served, unexpected

N_BODIES = 20_000

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

content_types = st.one_of(
    st.just("application/json"),
    st.just("application/json"),
    st.sampled_from(["application/json; charset=utf-8", "text/csv", "application/json;charset=x"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.strip),
)


def test_any_body_over_http():
    statuses: Counter[int] = Counter()
    # Hypothesis tries constants that it reads in the sources, the one of the bug among them.
    scorers = {"houses": fake_scorer(raises=False)}
    with served(scorers, Settings(max_rows=20, max_body_bytes=5_000)) as client:

        @settings(
            max_examples=N_BODIES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(bodies.any_body, content_types)
        def post(body, content_type):
            answer = client.post("/score", content=body, headers={"content-type": content_type})
            statuses[answer.status_code] += 1
            if answer.status_code == 200:
                ScoreDocument.model_validate_json(answer.content)
                return
            ErrorDocument.model_validate_json(answer.content, strict=True)
            assert bodies.MARK not in answer.text
            assert answer.status_code in {400, 413, 415, 422}

        post()
        assert unexpected(client) == 0
        assert metric(client, "shapserve_requests_total") >= N_BODIES
    assert statuses.keys() >= {200, 400, 413, 415, 422}
