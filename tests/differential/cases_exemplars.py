# SPDX-License-Identifier: GPL-2.0-or-later
"""Exemplars (reference 2.3, 4.4)."""
from common import NOW, om, same
from lib.proto import COUNTER, HISTOGRAM, bucket, counter, exemplar, family, histogram, metric, reply

INF = float("inf")


def counted(*exemplars):
    """A counter with these exemplars, one a scrape."""
    return [om(f"# TYPE c counter\nc_total {number} # {text}\n# EOF\n")
            for number, text in enumerate(exemplars, 1)]


def own(ms):
    return f"{(NOW + ms) / 1000:.3f}"


def case(*replies, **job):
    made = same(*replies, **job)
    made.exemplars = True
    return made


CASES = {
    "exemplars: with times of their own": case(*counted(
        '{id="1"} 1 ' + own(0), '{id="2"} 2 ' + own(1000), '{id="3"} 3.5 ' + own(2000)), om("# EOF\n")),
    "exemplars: unchanged": case(*counted(*['{id="1"} 1 ' + own(0)] * 3), om("# EOF\n")),
    "exemplars: without times": case(*counted('{id="1"} 1', '{id="2"} 2'), om("# EOF\n")),
    "exemplars: without times, unchanged": case(*counted('{id="1"} 1', '{id="1"} 1'), om("# EOF\n")),
    "exemplars: of a sample with a time": case(
        om("# TYPE c counter\nc_total 1 " + own(3) + ' # {id="1"} 1\n# EOF\n'), om("# EOF\n")),
    "exemplars: of buckets": case(om(
        '# TYPE h histogram\nh_bucket{le="1.0"} 1 # {id="a"} 0.5 ' + own(0) + '\nh_bucket{le="+Inf"} 2 # {id="b"} 7 '
        + own(5) + "\nh_count 2\nh_sum 7.5\n# EOF\n"), om("# EOF\n")),
    "exemplars: of 128 characters": case(*counted('{abcdefgh="' + "v" * 120 + '"} 1 ' + own(0)), om("# EOF\n")),
    "exemplars: of 129 characters": case(*counted('{abcdefghi="' + "v" * 120 + '"} 1 ' + own(0)), om("# EOF\n")),
    "exemplars: of 128 characters that are more bytes": case(
        *counted('{abcdefgh="' + "\u00fc" * 120 + '"} 1 ' + own(0)), om("# EOF\n")),
    "exemplars: several labels": case(*counted('{trace="t",span="s",a="1"} 1 ' + own(0)), om("# EOF\n")),
    "exemplars: a value of NaN": case(*counted('{id="1"} NaN ' + own(0)), om("# EOF\n")),
    "exemplars: of a series that rules drop": case(
        *counted('{id="1"} 1 ' + own(0)), om("# EOF\n"), metric_relabel_configs=[{"action": "drop"}]),
    "exemplars: of a series that rules rename": case(
        *counted('{id="1"} 1 ' + own(0)), om("# EOF\n"),
        metric_relabel_configs=[{"target_label": "__name__", "replacement": "new_total"}]),
    "exemplars: of a scrape that fails": case(
        om("# TYPE c counter\nc_total 0\n# EOF\n"), om('# TYPE c counter\nc_total 1 # {id="1"} 1 ' + own(0) + "\n"), om("# EOF\n")),
    "exemplars: that go back in time": case(*counted('{id="1"} 1 ' + own(5000), '{id="2"} 2 ' + own(0)), om("# EOF\n")),
    "exemplars: another value at the same time": case(*counted('{id="1"} 1 ' + own(0), '{id="1"} 2 ' + own(0)), om("# EOF\n")),
    "exemplars: whose order of labels changes": case(*counted('{a="1",b="2"} 1 ' + own(0), '{b="2",a="1"} 1 ' + own(0)), om("# EOF\n")),
    "exemplars: a label twice": case(*counted('{a="1",a="2"} 1 ' + own(0)), om("# EOF\n")),
    "exemplars: an empty label": case(*counted('{a="",b="1"} 1 ' + own(0)), om("# EOF\n")),
    "exemplars: escapes are kept": case(*counted('{a="x\\\\y\\n"} 1 ' + own(0)), om("# EOF\n")),
    "exemplars: of a sample that is too old": case(
        om("# TYPE c counter\nc_total 1\n# EOF\n"),
        om(f'# TYPE c counter\nc_total 2 {NOW / 1000 - 900:.3f} # {{a="1"}} 1\n# EOF\n'), om("# EOF\n")),
    "exemplars: in protobuf": case(reply(
        family("c_total", COUNTER, metric({}, counter(1, exemplar(2, {"id": "1"}, 1.5, (NOW + 7) / 1000)))),
        family("h", HISTOGRAM, metric({}, histogram(2, 3, bucket(
            2, INF, exemplar(3, {"id": "2"}, 2.5, (NOW + 9) / 1000)))))), reply()),
}
