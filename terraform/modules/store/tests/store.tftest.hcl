mock_provider "google" {}

variables {
  project  = "access-system"
  location = "europe-west1"
}

run "every_declared_index_and_exemption_is_made" {
  assert {
    condition     = length(google_firestore_index.this) == length(jsondecode(file("../../../deploy/firestore.indexes.json")).indexes)
    error_message = "an index of deploy/firestore.indexes.json is missing"
  }

  assert {
    condition     = length(google_firestore_field.this) == length(jsondecode(file("../../../deploy/firestore.indexes.json")).fieldOverrides)
    error_message = "an exemption of deploy/firestore.indexes.json is missing"
  }

  assert {
    condition     = length(google_firestore_field.this["requests/*"].index_config) == 1 && length(google_firestore_field.this["requests/*"].index_config[0].indexes) == 0
    error_message = "requests are indexed by every field"
  }

  assert {
    condition     = one(google_firestore_field.this["requests/live"].index_config[0].indexes).order == "ASCENDING"
    error_message = "live requests cannot be found"
  }

  assert {
    condition     = [for field in google_firestore_index.this["requests-status.phase.ASCENDING-specView.requestedAt.DESCENDING"].fields : "${field.field_path} ${field.order}"] == ["status.phase ASCENDING", "specView.requestedAt DESCENDING"]
    error_message = "the fields of an index are in another order"
  }
}

run "the_database_survives_terraform" {
  assert {
    condition     = google_firestore_database.this.delete_protection_state == "DELETE_PROTECTION_ENABLED" && google_firestore_database.this.deletion_policy == "ABANDON"
    error_message = "terraform destroy would delete the audit trail"
  }
}

run "no_backups_are_possible_but_not_for_longer_than_firestore_keeps_them" {
  command = plan

  variables {
    backup_retention_days = 99
  }

  expect_failures = [var.backup_retention_days]
}

run "a_number_for_a_project_is_refused" {
  command = plan

  variables {
    project = "123456789"
  }

  expect_failures = [var.project]
}

run "a_zone_for_a_location_is_refused" {
  command = plan

  variables {
    location = "europe-west1-b"
  }

  expect_failures = [var.location]
}

run "a_database_with_a_space_is_refused" {
  command = plan

  variables {
    database = "my database"
  }

  expect_failures = [var.database]
}

run "a_key_by_its_short_name_is_refused" {
  command = plan

  variables {
    encryption_key = "key"
  }

  expect_failures = [var.encryption_key]
}
