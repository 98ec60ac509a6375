"""A short version of make fuzz."""

import pytest
from fuzz import fuzz


@pytest.mark.filterwarnings("ignore")
def test_damaged_inputs_end_with_a_clear_error_or_a_plausible_result():
    ended, failures = fuzz(cases=150, seed=2)
    assert failures == {}
    assert sum(ended.values()) == 150
