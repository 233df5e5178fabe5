"""The check itself: whatever is changed in a file of vectors must be found."""

import copy
import json
import unittest

from .tally import Tally

# What is said for people, and for forgeries what may be forged otherwise just as well.
SPOKEN = {"description", "about", "name", "forgeries"}


class Changed(unittest.TestCase):
    """`files` (name to check and path) is set by the program before the suite is loaded."""

    files = {}

    def read(self, name):
        return json.loads(self.files[name][1].read_text(encoding="utf-8"))

    def is_found(self, name, vectors):
        tally = Tally(told=False)
        try:
            self.files[name][0](tally, vectors)
        except (KeyError, TypeError, ValueError):
            return True
        return tally.failed > 0

    def test_every_changed_value_is_found(self):
        for name in self.files:
            vectors = self.read(name)
            self.assertFalse(self.is_found(name, vectors), f"{name} as it is")
            places = list(leaves(vectors))
            self.assertGreater(len(places), 8)
            for place in places:
                if name == "rejected.json" and place[-1] != "why":
                    continue
                with self.subTest(name, place=place):
                    self.assertTrue(self.is_found(name, changed(vectors, place)))

    def test_a_payload_in_order_among_the_rejected_is_found(self):
        good = self.read("payloads.json")["vectors"]
        rejected = self.read("rejected.json")
        for n, vector in enumerate(rejected["vectors"]):
            mended = copy.deepcopy(rejected)
            mended["vectors"][n]["payload"] = next(of for of in good if of["type"] == vector["type"])["payload"]
            with self.subTest(vector["name"]):
                self.assertTrue(self.is_found("rejected.json", mended))

    def test_what_is_left_out_is_found(self):
        for name, kind in [("payloads.json", "type"), ("facts.json", "kind"), ("rejected.json", "why")]:
            vectors = self.read(name)
            for value in {vector[kind] for vector in vectors["vectors"]}:
                fewer = [vector for vector in vectors["vectors"] if vector[kind] != value]
                with self.subTest(name, without=value):
                    self.assertTrue(self.is_found(name, vectors | {"vectors": fewer}))

    def test_a_forgery_that_verifies_is_found(self):
        vectors = self.read("trust.json")
        spec = next(envelope for envelope in vectors["envelopes"] if envelope["type"] == "spec")
        for n, forgery in enumerate(vectors["forgeries"]):
            genuine = copy.deepcopy(vectors)
            genuine["forgeries"][n] = forgery | spec
            with self.subTest(forgery["why"]):
                self.assertTrue(self.is_found("trust.json", genuine))

    def test_a_fact_taken_out_of_the_chain_is_found(self):
        vectors = self.read("trust.json")
        for n in range(len(vectors["chain"]) - 1):
            shorter = copy.deepcopy(vectors)
            del shorter["chain"][n]
            with self.subTest(n):
                self.assertTrue(self.is_found("trust.json", shorter))


def leaves(value, place=()):
    """The places of all texts and numbers that say something to programs."""
    if isinstance(value, dict):
        for name, below in value.items():
            if name not in SPOKEN:
                yield from leaves(below, place + (name,))
    elif isinstance(value, list):
        for n, below in enumerate(value):
            yield from leaves(below, place + (n,))
    elif not isinstance(value, bool):
        yield place


def changed(vectors, place):
    """A copy with one character of that place changed, or one more, or a number one larger."""
    copied = copy.deepcopy(vectors)
    *way, last = place
    holder = copied
    for step in way:
        holder = holder[step]
    value = holder[last]
    if isinstance(value, int):
        holder[last] = value + 1
    else:
        middle = len(value) // 2
        other = "b" if value[middle : middle + 1] == "a" else "a"
        holder[last] = value[:middle] + other + value[middle + 1 :]
    return copied
