mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123" }
  }

  mock_resource "google_compute_backend_service" {
    defaults = { generated_id = 456 }
  }

  mock_resource "google_compute_region_backend_service" {
    defaults = { generated_id = 789 }
  }

  mock_resource "google_certificate_manager_dns_authorization" {
    defaults = { dns_resource_record = [{ name = "_acme-challenge.access.example.com.", type = "CNAME", data = "x.authorize.certificatemanager.goog." }] }
  }
}

mock_provider "google-beta" {
  mock_resource "google_project_service_identity" {
    defaults = {
      email  = "service-123@gcp-sa-iap.iam.gserviceaccount.com"
      member = "serviceAccount:service-123@gcp-sa-iap.iam.gserviceaccount.com"
    }
  }
}

variables {
  project         = "access-system"
  region          = "europe-west1"
  image           = "europe-west1-docker.pkg.dev/access-system/curfew/curfew@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  service_account = "curfew-intake@access-system.iam.gserviceaccount.com"
  configuration   = "installation: prod"
  iap_members     = ["group:everyone@example.com"]
}

run "without_a_load_balancer_iap_is_on_the_service" {
  assert {
    condition     = google_cloud_run_v2_service.this.iap_enabled && !google_cloud_run_v2_service.this.default_uri_disabled && google_cloud_run_v2_service.this.ingress == "INGRESS_TRAFFIC_ALL"
    error_message = "the service is open without IAP, or closed to people"
  }

  assert {
    condition     = output.audience == "/projects/123/locations/europe-west1/services/curfew" && output.base_url == "https://curfew-123.europe-west1.run.app"
    error_message = "IAP signs another audience"
  }

  assert {
    condition     = google_iap_web_cloud_run_service_iam_member.this["group:everyone@example.com"].role == "roles/iap.httpsResourceAccessor"
    error_message = "nobody may sign in"
  }

  assert {
    condition     = google_cloud_run_v2_service_iam_member.iap.member == "serviceAccount:service-123@gcp-sa-iap.iam.gserviceaccount.com" && google_cloud_run_v2_service_iam_member.iap.role == "roles/run.invoker"
    error_message = "IAP may not call the service, or somebody else may"
  }
}

run "the_service_is_told_its_audience_and_address" {
  assert {
    condition = { for variable in google_cloud_run_v2_service.this.template[0].containers[0].env : variable.name => variable.value } == {
      CURFEW_CONFIG        = "/etc/curfew/config/curfew.yaml"
      CURFEW_BASEURL       = "https://curfew-123.europe-west1.run.app"
      CURFEW_IAP__AUDIENCE = "/projects/123/locations/europe-west1/services/curfew"
    }
    error_message = "the environment does not say what IAP signs"
  }
}

run "only_the_collector_sees_its_file_and_it_has_no_other" {
  variables {
    files = { "intake-1.pub" = "-----BEGIN PUBLIC KEY-----" }
  }

  assert {
    condition     = toset([for mount in google_cloud_run_v2_service.this.template[0].containers[0].volume_mounts : mount.mount_path]) == toset(["/etc/curfew/config", "/etc/curfew/intake-1.pub"])
    error_message = "intake's files are elsewhere"
  }

  assert {
    condition     = [for mount in google_cloud_run_v2_service.this.template[0].containers[1].volume_mounts : mount.mount_path] == ["/etc/rungmp"]
    error_message = "the collector sees other files"
  }
}

run "a_global_load_balancer_is_the_only_way_in" {
  variables {
    load_balancer = { kind = "global", domain = "access.example.com" }
    oauth_client  = { id = "123-abc.apps.googleusercontent.com", secret = "s" }
  }

  assert {
    condition     = !google_cloud_run_v2_service.this.iap_enabled && google_cloud_run_v2_service.this.default_uri_disabled && google_cloud_run_v2_service.this.ingress == "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
    error_message = "the service can be reached around the load balancer"
  }

  assert {
    condition     = google_compute_backend_service.this[0].iap[0].enabled && google_compute_backend_service.this[0].iap[0].oauth2_client_id == "123-abc.apps.googleusercontent.com"
    error_message = "IAP is off, or signs in with another client"
  }

  assert {
    condition     = output.audience == "/projects/123/global/backendServices/456" && output.base_url == "https://access.example.com"
    error_message = "IAP signs another audience"
  }

  assert {
    condition     = length(google_iap_web_backend_service_iam_member.this) == 1 && length(google_iap_web_cloud_run_service_iam_member.this) == 0
    error_message = "people may sign in where nothing is"
  }
}

run "a_regional_load_balancer_is_the_only_way_in" {
  variables {
    load_balancer    = { kind = "regional", domain = "access.example.com", network = "default", proxy_range = "10.129.0.0/23" }
    reauthentication = { method = "SECURE_KEY", max_age_seconds = 3600 }
  }

  assert {
    condition     = google_cloud_run_v2_service.this.default_uri_disabled && google_compute_region_backend_service.this[0].iap[0].enabled && length(google_compute_backend_service.this) == 0
    error_message = "the service can be reached around the load balancer, or IAP is off"
  }

  assert {
    condition     = output.audience == "/projects/123/europe-west1/backendServices/789"
    error_message = "IAP signs another audience"
  }

  assert {
    condition     = google_iap_settings.reauthentication[0].name == "projects/123/iap_web/compute-europe-west1/services/curfew" && google_iap_settings.reauthentication[0].access_settings[0].reauth_settings[0].max_age == "3600s"
    error_message = "nobody must sign in again"
  }

  assert {
    condition     = google_compute_subnetwork.proxies[0].purpose == "REGIONAL_MANAGED_PROXY" && output.certificate_record.type == "CNAME"
    error_message = "the balancer has no addresses, or the domain cannot be proved"
  }
}

run "everybody_is_refused" {
  command = plan

  variables {
    iap_members = ["allAuthenticatedUsers"]
  }

  expect_failures = [var.iap_members]
}

run "an_image_by_tag_is_refused" {
  command = plan

  variables {
    image = "europe-west1-docker.pkg.dev/access-system/curfew/curfew:latest"
  }

  expect_failures = [var.image]
}

run "an_own_client_without_a_load_balancer_is_refused" {
  command = plan

  variables {
    oauth_client = { id = "123-abc.apps.googleusercontent.com", secret = "s" }
  }

  expect_failures = [var.oauth_client]
}

run "a_regional_load_balancer_without_a_network_is_refused" {
  command = plan

  variables {
    load_balancer = { kind = "regional", domain = "access.example.com" }
  }

  expect_failures = [var.load_balancer]
}

run "a_default_service_account_is_refused" {
  command = plan

  variables {
    service_account = "123-compute@developer.gserviceaccount.com"
  }

  expect_failures = [var.service_account]
}

run "other_variables_than_curfews_are_refused" {
  command = plan

  variables {
    environment = { FIRESTORE_EMULATOR_HOST = "127.0.0.1:1" }
  }

  expect_failures = [var.environment]
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

run "an_unknown_way_to_sign_in_again_is_refused" {
  command = plan

  variables {
    reauthentication = { method = "PASSWORD", max_age_seconds = 3600 }
  }

  expect_failures = [var.reauthentication]
}

run "signing_in_every_second_is_refused" {
  command = plan

  variables {
    reauthentication = { method = "LOGIN", max_age_seconds = 1 }
  }

  expect_failures = [var.reauthentication]
}

run "half_an_instance_is_refused" {
  command = plan

  variables {
    min_instances = 0.5
  }

  expect_failures = [var.min_instances]
}

run "fewer_instances_at_most_than_at_least_is_refused" {
  command = plan

  variables {
    max_instances = 0
  }

  expect_failures = [var.max_instances]
}

run "a_moving_collector_is_refused" {
  command = plan

  variables {
    collector_image = "collector:latest"
  }

  expect_failures = [var.collector_image]
}

run "an_entrance_for_nobody_is_refused" {
  command = plan

  variables {
    iap_members = []
  }

  expect_failures = [var.iap_members]
}

run "a_load_balancer_of_no_kind_is_refused" {
  command = plan

  variables {
    load_balancer = { kind = "internal", domain = "access.example.com" }
  }

  expect_failures = [var.load_balancer]
}

run "a_load_balancer_without_a_domain_is_refused" {
  command = plan

  variables {
    load_balancer = { kind = "global", domain = "https://access.example.com" }
  }

  expect_failures = [var.load_balancer]
}

run "a_global_load_balancer_with_a_network_is_refused" {
  command = plan

  variables {
    load_balancer = { kind = "global", domain = "access.example.com", network = "default" }
  }

  expect_failures = [var.load_balancer]
}

run "too_few_addresses_for_the_proxies_is_refused" {
  command = plan

  variables {
    load_balancer = { kind = "regional", domain = "access.example.com", network = "default", proxy_range = "10.0.0.0/28" }
  }

  expect_failures = [var.load_balancer]
}
