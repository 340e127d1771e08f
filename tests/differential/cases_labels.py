# SPDX-License-Identifier: GPL-2.0-or-later
"""Target labels against exposed ones, URLs, and what target labels may say."""
from common import A, bad, differs, good, same

CLASH = (b'a{instance="x",job="y",mine="z",exported_mine="w"} 1\nb{job=""} 2\nc{mine=""} 3\n'
         b'd{exported_exported_mine="1",exported_mine="2",mine="3"} 4\ne{mine="m"} 5\nf{other="o"} 6\n')
MINE = {"mine": "m"}
REPORTS = "older: the report series of 2.42 lose the label exported_x of a target that has x too"

CASES = {
    # ------------------------------------------------------------- honor_labels (reference 4.2)
    "target labels win": same(CLASH, CLASH, labels=MINE),
    "exposed labels win": same(CLASH, CLASH, labels=MINE, honor_labels=True),
    "exposed label of the same value is renamed": same(b'a{mine="m"} 1\n', labels=MINE),
    "exported_ name that the target has": differs(
        REPORTS, [good({'a{exported_exported_mine="x"}': 1}, 1)],
        b'a{mine="x"} 1\n', labels={"mine": "m", "exported_mine": "e"}),
    "exported_ name that both have": differs(
        REPORTS, [good({'a{exported_exported_exported_mine="y",exported_exported_mine="x"}': 1}, 1)],
        b'a{mine="x",exported_mine="y"} 1\n', labels={"mine": "m", "exported_mine": "e"}),
    "several labels clash, the shortest name first": same(b'a{b="1",exported_b="2",exported_exported_b="3"} 1\n', labels={"b": "t", "exported_b": "t"}),
    "exposed exported_job": same(b'a{exported_job="x",job="y"} 1\n'),
    "empty exposed label leaves the target's": same(b'a{instance=""} 1\n'),
    "empty exposed label honored hides the target's": same(b'a{instance="",mine=""} 1\n', labels=MINE, honor_labels=True),
    "honored job and instance": same(b'a{job="j",instance="i"} 1\nup_ 1\n', honor_labels=True),
    "__name__ of the target": same(b"a 1\n", labels={"x__name": "n"}),
    "empty label": same(b'a{x=""} 1\na{x="",y="1"} 2\n'),
    "label of the target that is empty": same(A, labels={"none": ""}),
    "label with odd characters": same('a{x="ü\\n\\"\\\\\t,{}"} 1\n'),
    "label names that look reserved": same(b'a{__x="1",___="2",_="3"} 1\n'),
    "labels __ of the target stay hidden": same(A, labels={"__hidden": "x", "shown": "y"}),
    "name twice": same(A, b'a{__name__="x"} 1\n', A),
    "__name__ empty": same(A, b'a 2\na{__name__=""} 1\n', A),
    "label name twice": same(b"g 1\n", b'g 1\na{b="1",b="2"} 1\nh 1\n', b"g 3\n", scrapes=4),
    "label name twice, one empty": same(b'a{b="1",b=""} 1\n'),
    "label twice with one value": same(b"g 1\n", b'a{b="1",b="1"} 1\n'),
    "order of labels": differs(
        "deviation: a spelling of known labels is no series added",
        [good({'a{x="1",y="2"}': 1}, 1), good({'a{x="1",y="2"}': 2})],
        b'a{x="1",y="2"} 1\n', b'a{y="2",x="1"} 2\n'),
    # ------------------------------------------------------------------- targets (reference 5)
    "instance given": same(A, labels={"instance": "me"}),
    "instance empty": same(A, labels={"instance": ""}),
    "job given": same(A, labels={"job": "other"}),
    "path": same(A, metrics_path="/some/path"),
    "path with query characters": same(A, metrics_path="/a?b=c"),
    "path with blanks and letters": same(A, metrics_path="/a b/ü%41"),
    "path without slash": same(A, metrics_path="metrics"),
    "path of the target": same(A, labels={"__metrics_path__": "/other"}),
    "parameters": same(A, params={"b": ["2", "3"], "a": ["x y", "&=?/ü"], "c": []}),
    "new parameter of the target": same(A, params={"z": ["1"]}, labels={"__param_a": "9", "__param_zz": ""}),
    "empty parameter": same(A, params={"a": [""]}),
    "parameter with a null": same(A, params={"match[]": ['{job="x"}', "{__name__=~\"job:.*\"}"]}),
    "targets alike are one": same(A, targets=[{}, {}]),
    "targets that differ in a meta label are one": same(A, targets=[{"__meta_x": "1"}, {"__meta_x": "2"}]),
    "interval of the target": same(A, A, labels={"__scrape_interval__": "6s"}),
    "time-out of the target": same(A, labels={"__scrape_timeout__": "2s900ms"}),
    "interval and time-out by a rule": same(A, relabel_configs=[
        {"target_label": "__scrape_interval__", "replacement": "4s500ms"},
        {"target_label": "__scrape_timeout__", "replacement": "4s250ms"}]),
    "short interval of the job": same(A, A, A, scrape_interval="2s500ms", scrape_timeout="2s500ms"),
}

# A label of the target comes before the parameter of the job since 2.52; here it is only the URL.
CASES["parameter of the target"] = same(A, params={"a": ["1", "2"]}, labels={"__param_a": "9"})
CASES["parameter of the target"].asks = "GET /metrics?a=9&a=2"

# Targets that are none: nothing may be sent of them.
NONE = {
    "address removed": [{"target_label": "__address__", "replacement": ""}],
    "address with a path": [{"source_labels": ["__address__"], "target_label": "__address__",
                             "replacement": "$1/x"}],
    "interval that is none": [{"target_label": "__scrape_interval__", "replacement": "soon"}],
    "interval of zero": [{"target_label": "__scrape_interval__", "replacement": "0s"}],
    "time-out of zero": [{"target_label": "__scrape_timeout__", "replacement": "0"}],
    "time-out longer than the interval": [{"target_label": "__scrape_timeout__", "replacement": "6s"}],
    "dropped": [{"action": "drop"}],
    "labelkeep without the address": [{"action": "labelkeep", "regex": "job|case"}],
}
for name, rules in NONE.items():
    case = same(A, relabel_configs=rules)
    case.none = True
    CASES["no target: " + name] = case
