mock_provider "google" {}

variables {
  project         = "access-system"
  name            = "curfew"
  service_account = "curfew-intake@access-system.iam.gserviceaccount.com"
  configuration   = "installation: prod"
  files           = { "intake-1.pub" = "-----BEGIN PUBLIC KEY-----" }
}

run "each_file_has_a_secret_a_folder_and_one_reader" {
  assert {
    condition = { for name, mount in output.mounts : name => "${mount.path}/${mount.file}" } == {
      config         = "/etc/curfew/config/curfew.yaml"
      "intake-1-pub" = "/etc/curfew/intake-1.pub/intake-1.pub"
      collector      = "/etc/rungmp/config.yaml"
    }
    error_message = "a file is elsewhere"
  }

  assert {
    condition     = alltrue([for binding in google_secret_manager_secret_iam_member.this : binding.member == "serviceAccount:curfew-intake@access-system.iam.gserviceaccount.com"])
    error_message = "somebody else may read a file"
  }

  assert {
    condition     = yamldecode(google_secret_manager_secret_version.this["collector"].secret_data).spec.endpoints[0].port == 9464
    error_message = "the collector asks another port"
  }
}

run "a_private_key_is_refused" {
  command = plan

  variables {
    files = { "facts.key" = "-----BEGIN PRIVATE KEY-----" }
  }

  expect_failures = [var.files]
}

run "a_name_that_is_taken_is_refused" {
  command = plan

  variables {
    files = { config = "x" }
  }

  expect_failures = [var.files]
}

run "a_text_that_is_no_configuration_is_refused" {
  command = plan

  variables {
    configuration = "nothing: here"
  }

  expect_failures = [var.configuration]
}

run "a_project_number_is_refused" {
  command = plan

  variables {
    project = "123456789"
  }

  expect_failures = [var.project]
}

run "a_name_in_capitals_is_refused" {
  command = plan

  variables {
    name = "Curfew"
  }

  expect_failures = [var.name]
}

run "a_default_service_account_is_refused" {
  command = plan

  variables {
    service_account = "123-compute@developer.gserviceaccount.com"
  }

  expect_failures = [var.service_account]
}
