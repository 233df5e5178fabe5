"""The check itself: what is planted must be found."""

import copy
import unittest

import yaml

from . import app_engine, cloud_run, image, kubernetes, unit


class Planted(unittest.TestCase):
    """`root` and `product` are set by the check before the suite is loaded."""

    root = None
    product = None

    def read(self, name):
        return (self.root / name).read_text(encoding="utf-8")

    def plant(self, text, right, wrong):
        self.assertIn(right, text, "the file has changed: plant something else")
        return text.replace(right, wrong, 1)

    def assert_found(self, found, expected):
        self.assertTrue(any(expected in problem for problem in found), f"{expected!r} is not in {found}")

    def test_cloud_run(self):
        judge = cloud_run.Judge()
        good = self.read("deploy/cloudrun/intake.yaml")
        for right, wrong, expected in [
            ("serviceAccountName:", "serviceAcountName:", "serviceAcountName"),
            ("timeoutSeconds: 60", "timeoutSeconds: soon", "timeoutSeconds"),
            ("containerPort: 8080", "containerPort: 8081", "asks /health, which port 8081"),
            ("run.googleapis.com/ingress: all", "run.googleapis.com/ingres: all", "there is no annotation run.googleapis.com/ingres"),
            ("run.googleapis.com/ingress: all", 'autoscaling.knative.dev/minScale: "1"', "belongs to Revision"),
            ('{"collector":["intake"]}', '{"collector":["intakes"]}', "names intakes"),
            ("value: /etc/curfew/config/curfew.yaml", "value: x\n            - name: CURFEW_STORE__KIMD\n              value: firestore", "CURFEW_STORE__KIMD"),
            ("args: [intake]", "args: [intakes]", "no command"),
            ("name: config, mountPath", "name: conf, mountPath", "no volume conf"),
            ("serving.knative.dev/v1", "serving.knative.dev/v2", "nothing that Cloud Run takes"),
        ]:
            with self.subTest(expected):
                manifest = yaml.safe_load(self.plant(good, right, wrong))
                self.assert_found(list(judge.problems(manifest, self.product)), expected)

    def test_kubernetes(self):
        folder = self.root / "deploy/kubernetes"
        good = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.yaml") if path.name != "curfew.yaml"}
        for name, right, wrong, expected in [
            ("intake.yaml", "replicas: 2", "replica: 2", "replica"),
            ("intake.yaml", "replicas: 2", "replicas: two", "spec.replicas"),
            ("intake.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "is not restricted"),
            ("intake.yaml", "runAsUser: 65532", "runAsUser: 0", "may run as root"),
            ("intake.yaml", "serviceAccountName: intake", "serviceAccountName: intak", "no service account"),
            ("intake.yaml", "path: /readyz, port: ops", "path: /ready, port: ops", "does not answer"),
            ("controller.yaml", "CURFEW_LISTEN__OPS", "CURFEW_LISTEN__OPS2", "no variable"),
            ("service.yaml", "app.kubernetes.io/component: intake", "app.kubernetes.io/component: front", "no deployment has"),
            ("network-policies.yaml", "policyTypes: [Ingress]", "policyType: [Ingress]", "policyType"),
            ("kustomization.yaml", "  - disruption.yaml\n", "", "differ in disruption.yaml"),
            ("disruption.yaml", "policy/v1", "policy/v1beta1", "no such kind"),
        ]:
            with self.subTest(expected):
                files = copy.copy(good) | {name: self.plant(good[name], right, wrong)}
                self.assert_found(list(kubernetes.problems(files, self.product)), expected)

    def test_app_engine(self):
        good = self.read("deploy/appengine/app.yaml")
        for right, wrong, expected in [
            ("service_account:", "service_acount:", "serviceAcount"),
            ("cpu: 1", "cpu: one", "cpu"),
            ("min_num_instances: 1", "min_instances: 1", "minInstances"),
            ("CURFEW_CONFIG:", "CURFEW_CONFIGURATION:", "no variable"),
        ]:
            with self.subTest(expected):
                manifest = yaml.safe_load(self.plant(good, right, wrong))
                self.assert_found(list(app_engine.problems(manifest, self.product)), expected)

    def test_dockerfile(self):
        good = self.read("Dockerfile")
        stages = lambda text: list(image.stages("Dockerfile", text, self.root))
        for right, wrong, look, expected in [
            ("FROM chef AS build", "FROM chief AS build", stages, "no stage chief"),
            ("COPY --from=plan", "COPY --from=plans", stages, "no stage plans"),
            ("COPY . .", "COPY nothing .", stages, "nothing named nothing"),
            ("USER 65532:65532", "USER nonroot", stages, "no number"),
            ("USER 65532:65532", "USER 0", stages, "or root"),
            ("WORKDIR /src", "WORKDIR src", lambda text: image.lint("Dockerfile", text), "DL3000"),
        ]:
            with self.subTest(expected):
                self.assert_found(look(self.plant(good, right, wrong)), expected)

    def test_build_context(self):
        good = self.read(".dockerignore")
        for left_out, expected in [
            ("!tests/Cargo.toml\n", "cargo metadata"),
            ("!deploy/firestore.indexes.json\n", "compiles in ../../../deploy/firestore.indexes.json"),
            ("*\n", "is no list"),
        ]:
            with self.subTest(left_out):
                try:
                    found = list(image.missing_from_context(self.root, self.plant(good, left_out, "")))
                except ValueError as error:
                    found = [str(error)]
                self.assert_found(found, expected)

    def test_unit(self):
        good = self.read("deploy/systemd/curfew.service")
        cases = [("curfew all", "curfew everything", "no command"), ("Environment=CURFEW_CONFIG", "Environment=CURFEW_CONF", "no variable")]
        if unit.is_there():
            cases.append(("Restart=always", "Restart=allways", "verify"))
        for right, wrong, expected in cases:
            with self.subTest(expected):
                self.assert_found(list(unit.problems(self.plant(good, right, wrong), self.product)), expected)
        if unit.is_there():
            bare = "\n".join(line for line in good.splitlines() if not line.startswith(("SystemCall", "Capability", "Restrict", "NoNew", "Private", "Protect")))
            self.assert_found(list(unit.problems(bare, self.product)), "exposure")

    def test_configuration(self):
        good = self.read("deploy/systemd/curfew.yaml")
        self.assertIsNone(self.product.objection(good, "all"))
        settings = yaml.safe_load(self.plant(good, "hostedDomains:", "hostedDomain:"))
        self.assertEqual(list(self.product.unknown_settings(settings)), ["iap.hostedDomain"])
        for right, wrong, expected in [
            ("scope: organizations/123456789", "scope: organisations/1", "scope"),
            ("baseUrl: https:", "baseUrl: http:", "baseUrl"),
            ("level: SESSION", "level: SESION", "keys[0].level"),
            ("acceptSingleProcess: true", "acceptSingleProcess: false", "acceptSingleProcess"),
            ("keyId: intake-1", "keyId: intake-2", "signing.keyId"),
        ]:
            with self.subTest(expected):
                self.assertIn(expected, self.product.objection(self.plant(good, right, wrong), "all") or "")

    def test_keys_in_cloud_kms(self):
        good = self.read("deploy/cloudrun/curfew.yaml")
        environment = {"PORT": "8080"}
        ring = "projects/access-keys/locations/europe-west1/keyRings/curfew/cryptoKeys"
        for right, wrong, mode, expected in [
            (f"formKey:\n  kms: {ring}/forms/cryptoKeyVersions/1\n", "", "intake", "formKey"),
            (f"{ring}/intake/cryptoKeyVersions/1\n  keyId", f"{ring}/intake\n  keyId", "intake", "signing.kms"),
            (f"kms: {ring}/facts\n", "", "controller", "factsKey"),
        ]:
            with self.subTest(expected):
                self.assertIsNone(self.product.objection(good, mode, environment))
                self.assertIn(expected, self.product.objection(self.plant(good, right, wrong), mode, environment) or "")
