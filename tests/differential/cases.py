# SPDX-License-Identifier: GPL-2.0-or-later
"""All cases by name."""
from harness import Case
import cases_client
import cases_exemplars
import cases_histograms
import cases_http
import cases_labels
import cases_limits
import cases_protobuf
import cases_random
import cases_relabel
import cases_staleness
import cases_text
import cases_vectors

CASES = {}
for module in (cases_random, cases_exemplars, cases_histograms, cases_labels, cases_staleness, cases_http, cases_client,
               cases_relabel, cases_limits, cases_protobuf, cases_text, cases_vectors):
    for name, case in module.CASES.items():
        assert name not in CASES, name
        CASES[name] = case
