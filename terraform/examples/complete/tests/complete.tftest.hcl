mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123" }
  }

  mock_resource "google_service_account" {
    defaults = {
      email  = "someone@access-system.iam.gserviceaccount.com"
      member = "serviceAccount:someone@access-system.iam.gserviceaccount.com"
    }
  }

  mock_resource "google_monitoring_notification_channel" {
    defaults = { name = "projects/access-system/notificationChannels/1" }
  }

  mock_resource "google_compute_backend_service" {
    defaults = { generated_id = 456 }
  }

  mock_resource "google_logging_project_bucket_config" {
    defaults = { id = "projects/access-audit/locations/global/buckets/curfew-prod" }
  }
}

mock_provider "google-beta" {}

# Its keys cannot be destroyed, which is what a test does at its end; they have a test of their own.
override_module {
  target = module.signing

  outputs = {
    intake_key         = "projects/access-keys/locations/europe-west1/keyRings/curfew/cryptoKeys/intake"
    intake_key_version = "projects/access-keys/locations/europe-west1/keyRings/curfew/cryptoKeys/intake/cryptoKeyVersions/1"
    intake_public_key  = "-----BEGIN PUBLIC KEY-----"
    forms_key          = "projects/access-keys/locations/europe-west1/keyRings/curfew/cryptoKeys/forms"
    forms_key_version  = "projects/access-keys/locations/europe-west1/keyRings/curfew/cryptoKeys/forms/cryptoKeyVersions/1"
    facts_key          = "projects/access-keys/locations/europe-west1/keyRings/curfew/cryptoKeys/facts"
  }
}

variables {
  project         = "access-system"
  keys_project    = "access-keys"
  audit_project   = "access-audit"
  scope           = "organizations/123456789"
  grantable_roles = ["roles/compute.viewer"]
  image           = "europe-west1-docker.pkg.dev/access-system/curfew/curfew@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  iap_members     = ["group:everyone@example.com"]
  hosted_domains  = ["example.com"]
  operators       = ["group:platform-oncall@example.com"]
  keys_from       = "2026-01-01"
  keys_until      = "2028-01-01"
  alerts_to       = "security@example.com"
}

run "everything_fits_together" {
  assert {
    condition     = output.base_url == "https://curfew-123.europe-west1.run.app" && output.address == null
    error_message = "people go elsewhere"
  }

  assert {
    condition     = yamldecode(local.configuration).store.project == "access-system" && yamldecode(local.configuration).signing.keyId == yamldecode(local.configuration).keys[0].id
    error_message = "the configuration does not name what was made"
  }

  assert {
    condition     = yamldecode(local.configuration).protected == ["projects/access-system", "projects/access-keys", "projects/access-audit"]
    error_message = "Curfew could grant access to itself"
  }
}

run "a_rotation_believes_both_keys" {
  variables {
    intake_key_version = 2
    other_intake_keys = [{
      version         = 1
      public_key      = "-----BEGIN PUBLIC KEY----- the first"
      from            = "2025-01-01"
      until           = "2026-02-01"
      distrusted_from = "2026-01-15"
    }]
  }

  assert {
    condition     = [for key in yamldecode(local.configuration).keys : key.id] == ["intake-2", "intake-1"] && yamldecode(local.configuration).signing.keyId == "intake-2"
    error_message = "what signs is not believed, or what signed before is not"
  }

  assert {
    condition     = yamldecode(local.configuration).keys[1].distrustedFrom == "2026-01-15" && !can(yamldecode(local.configuration).keys[0].distrustedFrom)
    error_message = "the stolen key is trusted, or the other is not"
  }
}

run "the_key_that_signs_is_no_other_key" {
  command = plan

  variables {
    other_intake_keys = [{ version = 1, public_key = "x", from = "2025-01-01", until = "2026-02-01" }]
  }

  expect_failures = [var.other_intake_keys]
}

run "with_a_load_balancer_both_parts_know_the_same_audience" {
  variables {
    load_balancer = { kind = "global", domain = "access.example.com" }
  }

  assert {
    condition     = output.base_url == "https://access.example.com" && module.intake.audience == "/projects/123/global/backendServices/456"
    error_message = "IAP signs another audience"
  }
}

run "keys_that_end_before_they_begin_are_refused" {
  command = plan

  variables {
    keys_until = "2025-01-01"
  }

  expect_failures = [var.keys_until]
}

run "people_of_no_domain_are_refused" {
  command = plan

  variables {
    hosted_domains = []
  }

  expect_failures = [var.hosted_domains]
}

run "a_key_that_begins_some_day_is_refused" {
  command = plan

  variables {
    keys_from = "soon"
  }

  expect_failures = [var.keys_from]
}

run "alerts_to_nobody_are_refused" {
  command = plan

  variables {
    alerts_to = "nobody"
  }

  expect_failures = [var.alerts_to]
}
