data "google_project" "this" {
  project_id = var.project
}

locals {
  number       = data.google_project.this.number
  has_balancer = var.load_balancer != null
  is_global    = try(var.load_balancer.kind == "global", false)
  is_regional  = try(var.load_balancer.kind == "regional", false)

  # What IAP signs as `aud`, exactly.
  audience = (
    local.is_global ? "/projects/${local.number}/global/backendServices/${google_compute_backend_service.this[0].generated_id}" :
    local.is_regional ? "/projects/${local.number}/${var.region}/backendServices/${google_compute_region_backend_service.this[0].generated_id}" :
    "/projects/${local.number}/locations/${var.region}/services/${var.name}"
  )

  base_url = local.has_balancer ? "https://${var.load_balancer.domain}" : "https://${var.name}-${local.number}.${var.region}.run.app"

  # The name of what IAP guards, for its settings.
  iap_resource = (
    local.is_global ? "projects/${local.number}/iap_web/compute/services/${google_compute_backend_service.this[0].name}" :
    local.is_regional ? "projects/${local.number}/iap_web/compute-${var.region}/services/${google_compute_region_backend_service.this[0].name}" :
    "projects/${local.number}/iap_web/cloud_run-${var.region}/services/${var.name}"
  )

  environment = merge(
    {
      CURFEW_CONFIG        = "/etc/curfew/config/curfew.yaml"
      CURFEW_BASEURL       = local.base_url
      CURFEW_IAP__AUDIENCE = local.audience
    },
    var.environment,
  )
}

module "files" {
  source = "../files"

  project         = var.project
  name            = var.name
  service_account = var.service_account
  configuration   = var.configuration
  files           = var.files
}

resource "google_cloud_run_v2_service" "this" {
  provider = google-beta

  project              = var.project
  location             = var.region
  name                 = var.name
  description          = "Curfew intake: API and pages"
  ingress              = local.has_balancer ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_ALL"
  iap_enabled          = !local.has_balancer
  default_uri_disabled = local.has_balancer
  deletion_protection  = var.deletion_protection
  # Lets Cloud Run take what it still counts as a preview; once nothing is one, it answers GA.
  launch_stage = "BETA"

  template {
    service_account                  = var.service_account
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    timeout                          = "60s"
    max_instance_request_concurrency = 80

    scaling {
      min_instance_count = var.min_instances
      max_instance_count = var.max_instances
    }

    containers {
      name  = "intake"
      image = var.image
      args  = ["intake"]

      ports {
        container_port = 8080
      }

      resources {
        limits = { cpu = "1", memory = "512Mi" }
        # The collector must be able to read the metrics between requests.
        cpu_idle = false
      }

      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 2
        failure_threshold = 30

        http_get {
          path = "/health"
        }
      }

      liveness_probe {
        period_seconds    = 10
        timeout_seconds   = 5
        failure_threshold = 3

        http_get {
          path = "/health"
        }
      }

      dynamic "env" {
        for_each = local.environment

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "volume_mounts" {
        for_each = { for name, mount in module.files.mounts : name => mount if name != "collector" }

        content {
          name       = volume_mounts.key
          mount_path = volume_mounts.value.path
        }
      }
    }

    containers {
      name       = "collector"
      image      = var.collector_image
      depends_on = ["intake"]

      resources {
        limits   = { cpu = "0.5", memory = "256Mi" }
        cpu_idle = false
      }

      volume_mounts {
        name       = "collector"
        mount_path = module.files.mounts.collector.path
      }
    }

    dynamic "volumes" {
      for_each = module.files.mounts

      content {
        name = volumes.key

        secret {
          secret = volumes.value.secret

          items {
            version = volumes.value.version
            path    = volumes.value.file
          }
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [launch_stage]
  }
}

# Google makes this service agent on first use only; the invoker's binding needs it before.
resource "google_project_service_identity" "iap" {
  provider = google-beta

  project = var.project
  service = "iap.googleapis.com"
}

resource "google_cloud_run_v2_service_iam_member" "iap" {
  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = google_project_service_identity.iap.member
}

resource "google_iap_web_cloud_run_service_iam_member" "this" {
  for_each = toset(local.has_balancer ? [] : var.iap_members)

  project                = var.project
  location               = var.region
  cloud_run_service_name = google_cloud_run_v2_service.this.name
  role                   = "roles/iap.httpsResourceAccessor"
  member                 = each.value
}

resource "google_iap_settings" "reauthentication" {
  count = var.reauthentication == null ? 0 : 1

  name = local.iap_resource

  access_settings {
    reauth_settings {
      method      = var.reauthentication.method
      max_age     = "${var.reauthentication.max_age_seconds}s"
      policy_type = "MINIMUM"
    }
  }

  depends_on = [google_cloud_run_v2_service.this]
}
