locals {
  environment = merge(
    {
      CURFEW_CONFIG        = "/etc/curfew/config/curfew.yaml"
      CURFEW_BASEURL       = var.base_url
      CURFEW_IAP__AUDIENCE = var.iap_audience
    },
    # A service must listen on the port that Cloud Run asks; the controller has the operations port only.
    local.is_service ? { CURFEW_LISTEN__OPS = "0.0.0.0:9464" } : {},
    var.environment,
  )

  is_service = var.run_as == "service"

  own_mounts = { for name, mount in module.files.mounts : name => mount if name != "collector" }
}

module "files" {
  source = "../files"

  project         = var.project
  name            = var.name
  service_account = var.service_account
  configuration   = var.configuration
  files           = var.files
}

# It pulls its work from the store and has no address.
resource "google_cloud_run_v2_worker_pool" "this" {
  count = local.is_service ? 0 : 1

  project             = var.project
  location            = var.region
  name                = var.name
  description         = "Curfew controller: the only one that writes policies"
  deletion_protection = var.deletion_protection
  # Lets Cloud Run take what it still counts as a preview; once nothing is one, it answers GA.
  launch_stage = "BETA"

  scaling {
    scaling_mode          = "MANUAL"
    manual_instance_count = var.instances
  }

  template {
    service_account = var.service_account

    containers {
      name  = "controller"
      image = var.image
      args  = ["controller"]

      resources {
        limits = { cpu = "1", memory = "512Mi" }
      }

      dynamic "env" {
        for_each = local.environment

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "volume_mounts" {
        for_each = local.own_mounts

        content {
          name       = volume_mounts.key
          mount_path = volume_mounts.value.path
        }
      }
    }

    containers {
      name       = "collector"
      image      = var.collector_image
      depends_on = ["controller"]

      resources {
        limits = { cpu = "0.5", memory = "256Mi" }
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

# Where worker pools are not to be had: a service that nobody may call, always on, with CPU outside of requests.
resource "google_cloud_run_v2_service" "this" {
  count = local.is_service ? 1 : 0

  project             = var.project
  location            = var.region
  name                = var.name
  description         = "Curfew controller: the only one that writes policies"
  ingress             = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  deletion_protection = var.deletion_protection

  template {
    service_account       = var.service_account
    execution_environment = "EXECUTION_ENVIRONMENT_GEN2"

    scaling {
      min_instance_count = var.instances
      max_instance_count = var.instances
    }

    containers {
      name  = "controller"
      image = var.image
      args  = ["controller"]

      ports {
        container_port = 9464
      }

      resources {
        limits   = { cpu = "1", memory = "512Mi" }
        cpu_idle = false
      }

      # Not /readyz: a controller whose store is away must stay, to go on by itself once it is back.
      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 2
        failure_threshold = 30

        http_get {
          path = "/livez"
          port = 9464
        }
      }

      liveness_probe {
        period_seconds    = 10
        timeout_seconds   = 5
        failure_threshold = 3

        http_get {
          path = "/livez"
          port = 9464
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
        for_each = local.own_mounts

        content {
          name       = volume_mounts.key
          mount_path = volume_mounts.value.path
        }
      }
    }

    containers {
      name       = "collector"
      image      = var.collector_image
      depends_on = ["controller"]

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
}
