"""The check itself: what is planted must be found, and what is right must not."""

import pathlib
import unittest

from .markdown import Page

WRONG = [
    ("[a](nothing.md)", "leads nowhere"),
    ("[a](../README.md#no-such-heading)", "leads to no heading"),
    ("[a](#no-such-heading)\n\n# Here", "leads to no heading"),
    ("```sh\ncurfew intakes\n```", "there is no command intakes"),
    ("```sh\ncurfew config check --strict\n```", "there is no option --strict"),
    ("```sh\ncurfew config check everything\n```", "everything is none of"),
    ("```sh\ncurfew explain\n```", "1 arguments are needed"),
    ("```sh\ncurfew config\n```", "needs a command"),
    ("```sh\ncurfew keys wrap --kms x\n```", "needs --installation"),
    ("```sh\nX=1 curfew --configuration x.yaml config check | head && true\n```", "no option --configuration"),
    ("```sh\nkubectl exec deployment/x -- /usr/local/bin/curfew helth\n```", "there is no command helth"),
    ("The command `curfew sweep --once` does it.", "there is no command sweep"),
    ("Say:\n\n    cargo xtask chekc\n\nand go on.", "there is no command chekc"),
    ("```\n$ curfew-demo --prot 1\nprints this\n```", "no option --prot"),
    ("```yaml\niap: {audiense: x}\n```", "there is no setting iap.audiense"),
    ("The setting `eligible.maxDurations` says so.", "there is no setting eligible.maxDurations"),
    ("Set `CURFEW_STORE__KIMD=firestore`.", "there is no variable CURFEW_STORE__KIMD"),
    ("See `deploy/kubernetes/nothing.yaml`.", "deploy/kubernetes/nothing.yaml does not exist"),
    ("See `deploy/{nothing,nowhere}.yaml`.", "does not exist"),
    ("```sh\nterraform apply -target=module.nothing\n```", "no module.nothing"),
    ("`module.store.nothing` is it.", "module.store has no output nothing"),
    ("`var.nothing` is it.", "no module has a variable nothing"),
    ("```sh\nx=$(terraform output -raw nothing)\n```", "has no output nothing"),
    ("```hcl\nload_balancers = {}\n```", "has no variable load_balancers"),
    ("| `NOT_SIGNED_IN`, `NOT_SIGNED_UP` | x |", "there is no reason NOT_SIGNED_UP"),
]

WRONG_GCLOUD = [
    ("```sh\ngcloud iap webb add-iam-policy-binding\n```", "there is no command gcloud iap webb"),
    ("```sh\ngcloud beta run worker-pools replace x.yaml --region r\n```", "has no flag --region"),
    ("```sh\ngcloud projects \\\n  get-iam-policy x --formatt json\n```", "has no flag --formatt"),
    ("```sh\nX=$(gcloud projects describe $P --fromat x)\n```", "has no flag --fromat"),
    ("```sh\ngcloud kms keys create x --purpose encrypting\n```", "--purpose takes"),
    ("Run `gcloud firestore backup list`.", "there is no command gcloud firestore backup"),
]

RIGHT = """
# The page

[here](#the-page), [readme](../README.md#code-map), [away](https://example.com/#x), `[no](link.md)`

```sh
for part in intake controller; do curfew --config deploy/systemd/curfew.yaml config check $part; done
CURFEW_CONFIG=x curfew explain ID --json > out.txt
```

`curfew health`, `curfew` alone, `eligible.maxDuration`, `CURFEW_STORE__KIND=firestore`, `deploy/{intake,controller}-permissions.txt`

```yaml
apiVersion: v1
kind: Anything
```

```
curfew prints this
```
"""


class Planted(unittest.TestCase):
    """`judge` is set by the check before the suite is loaded."""

    judge = None

    def found(self, text):
        return list(self.judge.problems(Page(pathlib.PurePosixPath("docs/page.md"), text)))

    def assert_found(self, cases):
        for text, expected in cases:
            with self.subTest(text):
                found = self.found(text)
                self.assertTrue(any(expected in problem for problem in found), f"{expected!r} is not in {found}")

    def test_what_is_wrong(self):
        self.assert_found(WRONG)

    def test_what_is_wrong_with_gcloud(self):
        if self.judge.programs["gcloud"]:
            self.assert_found(WRONG_GCLOUD)

    def test_what_is_right(self):
        self.assertEqual(self.found(RIGHT), [])
