variable "project" {
  description = "Curfew's own project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be a project id, such as access-system, not a number or a full name."
  }
}

variable "region" {
  description = "The region of the service. Near the store: each page reads it."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region of Cloud Run, such as europe-west1."
  }
}

variable "name" {
  description = "The name of the service; load balancer and secrets are named after it."
  type        = string
  default     = "curfew"

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
  description = "Intake's service account, `intake_email` of the module identity."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+@[a-z0-9-]+\\.iam\\.gserviceaccount\\.com$", var.service_account))
    error_message = "service_account must be the address of a service account of its own, not one of Google's default accounts."
  }
}

variable "configuration" {
  description = "The text of curfew.yaml. `baseUrl` and `iap.audience` need not be in it: this module sets both."
  type        = string
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

variable "iap_members" {
  description = "Who may open Curfew at all: roles/iap.httpsResourceAccessor. Groups of people, as a rule."
  type        = list(string)

  validation {
    condition     = length(var.iap_members) > 0
    error_message = "iap_members is empty: nobody could sign in."
  }

  validation {
    condition     = alltrue([for member in var.iap_members : can(regex("^(user|group|serviceAccount|domain):.+$", member))])
    error_message = "iap_members must be user:, group:, serviceAccount: or domain: members; allUsers and allAuthenticatedUsers would open Curfew to the world."
  }
}

variable "load_balancer" {
  description = "Null for IAP directly on the Cloud Run service. Otherwise an external load balancer with IAP on its backend: kind global or regional, the domain; for a regional one the network and, unless the network has one in this region, a range for its proxies (/26 or wider)."
  type = object({
    kind        = string
    domain      = string
    network     = optional(string)
    proxy_range = optional(string)
  })
  default = null

  validation {
    condition     = var.load_balancer == null || contains(["global", "regional"], try(var.load_balancer.kind, ""))
    error_message = "load_balancer.kind must be global or regional."
  }

  validation {
    condition     = var.load_balancer == null || can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.load_balancer.domain))
    error_message = "load_balancer.domain must be a host name in lower case, such as access.example.com."
  }

  validation {
    condition     = try(var.load_balancer.kind, "") != "regional" || try(var.load_balancer.network, null) != null
    error_message = "load_balancer.network must name the network of a regional load balancer."
  }

  validation {
    condition     = try(var.load_balancer.kind, "") != "global" || (try(var.load_balancer.network, null) == null && try(var.load_balancer.proxy_range, null) == null)
    error_message = "load_balancer.network and proxy_range belong to a regional load balancer; a global one has neither."
  }

  validation {
    condition     = try(var.load_balancer.proxy_range, null) == null || can(cidrhost(var.load_balancer.proxy_range, 63))
    error_message = "load_balancer.proxy_range must be a range of at least 64 addresses, such as 10.129.0.0/23."
  }
}

variable "oauth_client" {
  description = "Your own OAuth client, for people outside the organisation: Google's, which IAP uses by itself, lets only the organisation's people in. Needs a load balancer."
  type = object({
    id     = string
    secret = string
  })
  default   = null
  sensitive = true

  validation {
    condition     = var.oauth_client == null || can(regex("\\.apps\\.googleusercontent\\.com$", var.oauth_client.id))
    error_message = "oauth_client.id must end in .apps.googleusercontent.com."
  }

  validation {
    condition     = var.oauth_client == null || var.load_balancer != null
    error_message = "oauth_client needs a load_balancer: IAP directly on Cloud Run serves people of the organisation only."
  }
}

variable "reauthentication" {
  description = "How fresh a sign-in must be: method LOGIN, SECURE_KEY or ENROLLED_SECOND_FACTORS, and after how many seconds again. Null for IAP's usual session."
  type = object({
    method          = string
    max_age_seconds = number
  })
  default = null

  validation {
    condition     = var.reauthentication == null || contains(["LOGIN", "SECURE_KEY", "ENROLLED_SECOND_FACTORS"], try(var.reauthentication.method, ""))
    error_message = "reauthentication.method must be LOGIN, SECURE_KEY or ENROLLED_SECOND_FACTORS."
  }

  validation {
    condition     = var.reauthentication == null || (try(var.reauthentication.max_age_seconds, 0) >= 300 && try(var.reauthentication.max_age_seconds, 0) <= 86400)
    error_message = "reauthentication.max_age_seconds must be 300 to 86400: five minutes to a day."
  }
}

variable "min_instances" {
  description = "How many instances always run. One spares the first person of the day the start."
  type        = number
  default     = 1

  validation {
    condition     = var.min_instances >= 0 && floor(var.min_instances) == var.min_instances
    error_message = "min_instances must be a whole number, 0 or more."
  }
}

variable "max_instances" {
  description = "How many instances may run."
  type        = number
  default     = 4

  validation {
    condition     = var.max_instances >= max(1, var.min_instances) && floor(var.max_instances) == var.max_instances
    error_message = "max_instances must be a whole number, at least 1 and at least min_instances."
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
  description = "Whether Terraform refuses to delete the service."
  type        = bool
  default     = true
}
