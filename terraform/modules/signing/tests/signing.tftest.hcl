mock_provider "google" {}

variables {
  project  = "access-keys"
  location = "europe-west1"
}

# Keys cannot be destroyed, which is what a test does at the end of an apply.
run "intake_signs_and_the_controller_wraps" {
  command = plan

  assert {
    condition     = google_kms_crypto_key.intake.purpose == "ASYMMETRIC_SIGN" && google_kms_crypto_key.intake.version_template[0].algorithm == "EC_SIGN_P256_SHA256"
    error_message = "intake's key does not sign as Curfew verifies"
  }

  assert {
    condition     = google_kms_crypto_key.facts.purpose == "ENCRYPT_DECRYPT" && google_kms_crypto_key.facts.rotation_period == "7776000s"
    error_message = "the controller's key is not wrapped, or never by a new version"
  }

  assert {
    condition     = google_kms_crypto_key.forms.purpose == "MAC" && google_kms_crypto_key.forms.version_template[0].algorithm == "HMAC_SHA256"
    error_message = "the forms' key derives no key of 256 bits"
  }
}

run "another_protection_is_refused" {
  command = plan

  variables {
    protection_level = "EXTERNAL"
  }

  expect_failures = [var.protection_level]
}

run "a_key_that_is_gone_at_once_is_refused" {
  command = plan

  variables {
    destroy_after_days = 0
  }

  expect_failures = [var.destroy_after_days]
}

run "a_project_number_is_refused" {
  command = plan

  variables {
    project = "123456789"
  }

  expect_failures = [var.project]
}

run "a_location_in_capitals_is_refused" {
  command = plan

  variables {
    location = "Europe"
  }

  expect_failures = [var.location]
}

run "a_key_ring_with_a_slash_is_refused" {
  command = plan

  variables {
    key_ring = "a/b"
  }

  expect_failures = [var.key_ring]
}

run "version_zero_is_refused" {
  command = plan

  variables {
    intake_key_version = 0
  }

  expect_failures = [var.intake_key_version]
}

run "version_zero_of_the_forms_key_is_refused" {
  command = plan

  variables {
    forms_key_version = 0
  }

  expect_failures = [var.forms_key_version]
}

run "rotation_twice_a_day_is_refused" {
  command = plan

  variables {
    facts_rotation_days = 0.5
  }

  expect_failures = [var.facts_rotation_days]
}
