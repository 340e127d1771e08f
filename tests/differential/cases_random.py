# SPDX-License-Identifier: GPL-2.0-or-later
"""Random stories: targets whose series come, go, move and fail. SEED=... tells the same ones again.

They keep to what Prometheus 2.42 does as the reference does: no line twice, no series that is not
of the last good scrape in one that fails, timestamps that rise."""
import gzip
import os
import random

from common import NOW, Pieces, RESET, Reply, same

SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
STORIES = 40
LENGTH = 7
RULES = [
    {"action": "drop", "source_labels": ["__name__"], "regex": "m[0-3]"},
    {"action": "drop", "source_labels": ["l"], "regex": "[ab].*"},
    {"source_labels": ["l"], "regex": "(.)(.*)", "target_label": "first", "replacement": "$1"},
    {"source_labels": ["k", "l"], "separator": "/", "target_label": "both"},
    {"action": "labelmap", "regex": "(k)", "replacement": "was_$1"},
    {"action": "uppercase", "source_labels": ["l"], "target_label": "upper"},
    {"target_label": "fixed", "replacement": "f"},
]
NUMBERS = ["0", "1", "-1", "1e3", "+Inf", "-Inf", "NaN", "0.1", "123456789.123", "4.9e-324", "1.7976931348623157e308",
           "00012", ".5", "5.", "9007199254740993", "0.1234567890123456789"]


class Story:
    def __init__(self, seed):
        self.dice = random.Random(seed)
        count = self.dice.randrange(1, 40)
        self.texts = [self.series(number) for number in range(count)]
        self.stamped = set(self.dice.sample(self.texts, count // 5)) if self.dice.random() < 0.3 else set()
        self.present = set(self.dice.sample(self.texts, self.dice.randrange(count + 1)))
        self.known = set()
        self.breaks = False  # whether a body breaks off with an error

    def series(self, number):
        labels = "".join(
            f'{name}="{"".join(self.dice.choices("abcdü-. ", k=self.dice.randrange(1, 6)))}",'
            for name in ("l", "k") if self.dice.random() < 0.5)
        return f"m{number}" + (f"{{{labels[:-1]}}}" if labels else "")

    def line(self, text, step):
        number = self.dice.choice(NUMBERS) if self.dice.random() < 0.5 else repr(self.dice.uniform(-1e6, 1e6))
        stamp = f" {NOW + 1000 * step}" if text in self.stamped else ""
        comment = f"# HELP {text.split('{')[0]} Words {step}.\n" if self.dice.random() < 0.1 else ""
        return f"{comment}{text} {number}{stamp}\n"

    def step(self, step):
        for text in self.texts:
            if self.dice.random() < 0.15:
                self.present ^= {text}
        lines = sorted(self.present, key=self.texts.index)
        if self.dice.random() < 0.2:
            self.dice.shuffle(lines)
        kind = self.dice.random()
        if step > 1 and kind < 0.1:
            return Reply("".join(self.line(text, step) for text in lines).encode(), "503 Down")
        if step > 1 and kind < 0.15:
            return Pieces([b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\na 1\n"], RESET)
        if step > 1 and kind < 0.3:
            self.breaks = True
            return self.framed("".join(self.line(text, step) for text in lines if text in self.known) + "!\n")
        self.known = set(self.present)
        return self.framed("".join(self.line(text, step) for text in lines))

    def framed(self, body):
        body = body.encode()
        framing = self.dice.choice(["length", "chunked"])
        pieces = self.dice.choice([1, 1, 3])
        if self.dice.random() < 0.3:
            return Reply(gzip.compress(body), headers=[("Content-Encoding", "gzip")], framing=framing, pieces=pieces)
        return Reply(body, framing=framing, pieces=pieces)


def case(seed):
    story = Story(seed)
    replies = [story.step(step) for step in range(1, LENGTH + 1)]
    rules = [rule for rule in RULES if story.dice.random() < 0.2]
    made = same(*replies, b"last 1\n", honor_labels=story.dice.random() < 0.3,
                honor_timestamps=story.dice.random() < 0.8,
                **({"metric_relabel_configs": rules} if rules else {}))
    made.ignored = "added" if story.breaks else None  # see "series added after a parse error"
    return made


CASES = {f"random SEED={SEED} {number}": case(SEED * 1000 + number) for number in range(STORIES)}
