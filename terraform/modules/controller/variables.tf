variable "project" {
  description = "Curfew's own project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be a project id, such as access-system, not a number or a full name."
  }
}

variable "region" {
  description = "The region. Near the store: each turn on a policy records facts in it."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region of Cloud Run, such as europe-west1."
  }
}

variable "name" {
  description = "The name of the worker pool or service; secrets are named after it."
  type        = string
  default     = "curfew-controller"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,38}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 40 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "image" {
  description = "The image, by digest: what runs is then what was built and looked at."
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image must end in a digest, @sha256:…; a tag can be moved to another image."
  }
}

variable "service_account" {
  description = "The controller's service account, `controller_email` of the module identity."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+@[a-z0-9-]+\\.iam\\.gserviceaccount\\.com$", var.service_account))
    error_message = "service_account must be the address of a service account of its own, not one of Google's default accounts."
  }
}

variable "configuration" {
  description = "The text of curfew.yaml. `baseUrl` and `iap.audience` need not be in it: this module sets both from its variables."
  type        = string
}

variable "base_url" {
  description = "Where people go, `base_url` of the module intake: links in notices point there."
  type        = string

  validation {
    condition     = startswith(var.base_url, "https://")
    error_message = "base_url must begin with https://."
  }
}

variable "iap_audience" {
  description = "What IAP signs, `audience` of the module intake."
  type        = string

  validation {
    condition     = can(regex("^/projects/[0-9]+/(global/backendServices/[0-9]+|[a-z0-9-]+/backendServices/[0-9]+|locations/[a-z0-9-]+/services/[a-z0-9-]+|apps/[a-z0-9.:-]+)$", var.iap_audience))
    error_message = "iap_audience must be an audience as IAP signs it, such as /projects/123/locations/europe-west1/services/curfew."
  }
}

variable "files" {
  description = "Further files that the configuration names, by file name; NAME is mounted as /etc/curfew/NAME/NAME, which the configuration calls ../NAME/NAME. Nothing secret: Terraform's state keeps the text."
  type        = map(string)
  default     = {}
}

variable "environment" {
  description = "Further environment variables: settings as CURFEW_SECTION__KEY, or CURFEW_LOG."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.environment) : startswith(name, "CURFEW_")])
    error_message = "environment may hold names that begin with CURFEW_ only."
  }
}

variable "run_as" {
  description = "worker_pool, or service where worker pools are not available: always on, CPU outside of requests, callable by nobody."
  type        = string
  default     = "worker_pool"

  validation {
    condition     = contains(["worker_pool", "service"], var.run_as)
    error_message = "run_as must be worker_pool or service."
  }
}

variable "instances" {
  description = "How many controllers run. One is enough: a second takes over sooner, and both may act without harm."
  type        = number
  default     = 1

  validation {
    condition     = var.instances >= 1 && var.instances <= 5 && floor(var.instances) == var.instances
    error_message = "instances must be a whole number from 1 to 5; with 0 nothing would take access away but the bindings' own ends."
  }
}

variable "collector_image" {
  description = "The sidecar that reads the metrics for Managed Service for Prometheus."
  type        = string
  default     = "us-docker.pkg.dev/cloud-ops-agents-artifacts/cloud-run-gmp-sidecar/cloud-run-gmp-sidecar:1.2.0"

  validation {
    condition     = can(regex("(@sha256:[0-9a-f]{64}|:[0-9]+\\.[0-9]+\\.[0-9]+)$", var.collector_image))
    error_message = "collector_image must end in a version, :1.2.0, or a digest."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the worker pool or service."
  type        = bool
  default     = true
}
