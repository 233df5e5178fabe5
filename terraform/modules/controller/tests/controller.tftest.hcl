mock_provider "google" {}

variables {
  project         = "access-system"
  region          = "europe-west1"
  image           = "europe-west1-docker.pkg.dev/access-system/curfew/curfew@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  service_account = "curfew-controller@access-system.iam.gserviceaccount.com"
  configuration   = "installation: prod"
  base_url        = "https://access.example.com"
  iap_audience    = "/projects/123/global/backendServices/456"
}

run "a_worker_pool_has_its_instance_and_no_address" {
  assert {
    condition     = google_cloud_run_v2_worker_pool.this[0].scaling[0].manual_instance_count == 1 && length(google_cloud_run_v2_service.this) == 0
    error_message = "the controller is not one worker"
  }

  assert {
    condition     = google_cloud_run_v2_worker_pool.this[0].template[0].containers[0].args == tolist(["controller"])
    error_message = "something else than the controller runs"
  }

  assert {
    condition     = !contains([for variable in google_cloud_run_v2_worker_pool.this[0].template[0].containers[0].env : variable.name], "CURFEW_LISTEN__OPS")
    error_message = "the operations port is open to more than the collector"
  }
}

run "a_service_is_always_on_and_nobody_may_call_it" {
  variables {
    run_as = "service"
  }

  assert {
    condition     = google_cloud_run_v2_service.this[0].ingress == "INGRESS_TRAFFIC_INTERNAL_ONLY" && google_cloud_run_v2_service.this[0].template[0].scaling[0].min_instance_count == 1
    error_message = "the service is open, or sleeps"
  }

  assert {
    condition     = alltrue([for container in google_cloud_run_v2_service.this[0].template[0].containers : container.resources[0].cpu_idle == false])
    error_message = "the controller has no CPU between requests, of which there are none"
  }
}

run "no_instance_is_refused" {
  command = plan

  variables {
    instances = 0
  }

  expect_failures = [var.instances]
}

run "an_audience_of_another_form_is_refused" {
  command = plan

  variables {
    iap_audience = "https://access.example.com"
  }

  expect_failures = [var.iap_audience]
}

run "a_project_number_is_refused" {
  command = plan

  variables {
    project = "123456789"
  }

  expect_failures = [var.project]
}

run "a_zone_for_a_region_is_refused" {
  command = plan

  variables {
    region = "europe-west1-b"
  }

  expect_failures = [var.region]
}

run "a_name_in_capitals_is_refused" {
  command = plan

  variables {
    name = "Curfew"
  }

  expect_failures = [var.name]
}

run "an_image_by_tag_is_refused" {
  command = plan

  variables {
    image = "curfew:latest"
  }

  expect_failures = [var.image]
}

run "a_default_service_account_is_refused" {
  command = plan

  variables {
    service_account = "123-compute@developer.gserviceaccount.com"
  }

  expect_failures = [var.service_account]
}

run "an_address_without_tls_is_refused" {
  command = plan

  variables {
    base_url = "http://access.example.com"
  }

  expect_failures = [var.base_url]
}

run "another_programs_variable_is_refused" {
  command = plan

  variables {
    environment = { FIRESTORE_EMULATOR_HOST = "127.0.0.1:1" }
  }

  expect_failures = [var.environment]
}

run "a_job_is_refused" {
  command = plan

  variables {
    run_as = "job"
  }

  expect_failures = [var.run_as]
}

run "a_moving_collector_is_refused" {
  command = plan

  variables {
    collector_image = "collector:latest"
  }

  expect_failures = [var.collector_image]
}
