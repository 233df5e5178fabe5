"""The check itself: what is planted must be found, in the right file and line; a check that finds nothing proves nothing."""

import pathlib
import tempfile
import unittest

from . import bindings, hygiene, tree

STORE = "terraform/modules/store/main.tf"
IDENTITY = "terraform/modules/identity/main.tf"
INTAKE = "terraform/modules/intake/main.tf"

# What is planted, into which file, for what, and how Terraform calls it.
PLANTED = [
    ("an argument that does not exist", STORE, "  concurrency_mode  ", "  concurency_mode  ", "Unsupported argument"),
    ("a nested argument that does not exist", INTAKE, "        path = \"/health\"", "        pth = \"/health\"", "Unsupported argument"),
    ("a block that does not exist", STORE, "  index_config {", "  indx_config {", "Unsupported block type"),
    ("a second block where one may stand", STORE, "  daily_recurrence {}", "  daily_recurrence {}\n  daily_recurrence {}", "Too many daily_recurrence blocks"),
    ("a required argument that is missing", IDENTITY, '  account_id   = "${var.account_prefix}${each.key}"\n', "", "Missing required argument"),
    ("a required block that is missing", "terraform/modules/files/main.tf", "  replication {\n    auto {}\n  }\n", "", "Insufficient replication blocks"),
    ("a value of the wrong type", INTAKE, "        cpu_idle = false\n      }\n\n      startup_probe", "        cpu_idle = \"never\"\n      }\n\n      startup_probe", "Incorrect attribute value type"),
    ("a value that is none of the documented ones", STORE, '"FIRESTORE_NATIVE"', '"FIRESTORE_NATIV"', "Value not in the documented list"),
    ("a type of resource that does not exist", STORE, '"google_firestore_index"', '"google_firestore_indexes"', "Invalid resource type"),
    ("a type that only the other provider has", INTAKE, "  provider = google-beta\n\n  project = var.project\n  service = ", "  project = var.project\n  service = ", "Invalid resource type"),
    ("a reference to a value that does not exist", "terraform/modules/store/outputs.tf", "google_firestore_database.this.name", "google_firestore_database.this.title", "Unsupported attribute"),
    ("a reference to a variable that does not exist", STORE, "= var.location", "= var.place", "Reference to undeclared input variable"),
    ("a module's variable that does not exist", "terraform/examples/complete/main.tf", "  grantable_roles = ", "  grantable_role = ", "Unsupported argument"),
    ("a module's output that does not exist", "terraform/examples/complete/main.tf", "module.store.database", "module.store.databse", "Unsupported attribute"),
]

UNTIDY = [
    ("an unused variable", "terraform/modules/store/variables.tf", 'variable "location"', 'variable "spare" {\n  description = "x"\n  type = bool\n}\n\nvariable "location"', "variable spare is not used"),
    ("a variable used in its own check alone", "terraform/modules/files/main.tf", "member    = \"serviceAccount:${var.service_account}\"", "member    = \"allUsers\"", "variable service_account is not used"),
    ("an unused local", STORE, "locals {", "locals {\n  spare = 1", "local spare is not used"),
    ("an unchecked variable", "terraform/modules/store/variables.tf", "  validation {\n    condition     = can(regex(\"^([a-z]+-", "  nothing {\n    condition     = can(regex(\"^([a-z]+-", "variable location has no validation"),
    ("an output without a description", "terraform/modules/store/outputs.tf", '  description = "The project of the database', '  # "The project of the database', "output project has no description"),
    ("an output that the README does not know", "terraform/modules/store/outputs.tf", 'output "database"', 'output "base"', "README.md does not list the output base"),
    ("a check of a variable that no test tries", "terraform/modules/store/tests/store.tftest.hcl", "  expect_failures = [var.location]", "  expect_failures = [var.project]", "no test shows that variable location refuses something"),
    ("an unbounded provider", "terraform/modules/store/versions.tf", ">= 6.50.0, < 7.0.0", ">= 6.50.0", "does not bound the version of google"),
]

# A change that Terraform accepts and that the tests of the modules must not.
MISCHIEF = [
    ("the controller may give and take every role", IDENTITY, 'name == "controller_writer" ? local.grantable : null', "null"),
    ("intake may write policies", IDENTITY, 'controller_writer = { part = "controller"', 'controller_writer = { part = "intake"'),
    ("the service can be reached around the load balancer", INTAKE, "default_uri_disabled = local.has_balancer", "default_uri_disabled = false"),
    ("IAP is off", INTAKE, "iap_enabled          = !local.has_balancer", "iap_enabled          = false"),
    ("the bucket is not locked", "terraform/modules/monitoring/audit.tf", "locked           = var.lock", "locked           = false"),
]


class Planted(unittest.TestCase):
    """`source` and `providers` are set by the check before the suite is loaded."""

    source = None
    providers = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = tree.Tree(self.source, folder.name, self.providers.environment)

    def plant(self, file, right, wrong):
        """Replaces the first occurrence and returns the line on which the change begins."""
        path = self.tree.root / file
        text = path.read_text(encoding="utf-8")
        self.assertIn(right, text, f"{file} has changed: plant something else")
        path.write_text(text.replace(right, wrong, 1), encoding="utf-8")
        return text[: text.index(right)].count("\n") + 1

    def test_what_the_schema_does_not_allow_is_found_where_it_stands(self):
        for what, file, right, wrong, summary in PLANTED:
            with self.subTest(what):
                before = (self.tree.root / file).read_text(encoding="utf-8")
                line = self.plant(file, right, wrong)
                found = self.tree.findings(pathlib.Path(file).parent)
                (self.tree.root / file).write_text(before, encoding="utf-8")
                here = [finding for finding in found if finding.summary == summary and finding.file == file]
                self.assertTrue(here, f"found only {[str(finding) for finding in found]}")
                self.assertLessEqual(min(abs(finding.line - line) for finding in here), 12, [str(finding) for finding in here])

    def test_what_is_untidy_is_found(self):
        self.assertEqual(list(hygiene.problems(self.tree.root)), [])
        for what, file, right, wrong, problem in UNTIDY:
            with self.subTest(what):
                before = (self.tree.root / file).read_text(encoding="utf-8")
                self.plant(file, right, wrong)
                found = list(hygiene.problems(self.tree.root))
                (self.tree.root / file).write_text(before, encoding="utf-8")
                self.assertTrue(any(problem in line for line in found), found)

    def test_a_file_out_of_format_is_found(self):
        self.plant(STORE, "  concurrency_mode  ", "concurrency_mode  ")
        self.assertEqual(self.tree.unformatted(), [STORE.removeprefix("terraform/")])

    def test_mischief_that_terraform_accepts_fails_the_modules_tests(self):
        for what, file, right, wrong in MISCHIEF:
            with self.subTest(what):
                before = (self.tree.root / file).read_text(encoding="utf-8")
                self.plant(file, right, wrong)
                passed, failed = self.tree.tests(pathlib.Path(file).parent)
                (self.tree.root / file).write_text(before, encoding="utf-8")
                self.assertGreater(failed, 0, f"{passed} tests passed")

    def test_bindings_of_an_unknown_shape_are_an_error_and_not_an_empty_schema(self):
        with self.assertRaises(bindings.UnreadableBinding):
            bindings.read({"index.js": "class A extends cdktf.TerraformResource {\n}\n", "index.d.ts": ""}, "google_a")
