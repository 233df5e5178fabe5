variable "project" {
  description = "The project of the secrets."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be a project id, such as access-system, not a number or a full name."
  }
}

variable "name" {
  description = "What the secrets' ids begin with."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,38}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 40 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "service_account" {
  description = "Who may read them."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+@[a-z0-9-]+\\.iam\\.gserviceaccount\\.com$", var.service_account))
    error_message = "service_account must be the address of a service account of its own, not one of Google's default accounts."
  }
}

variable "configuration" {
  description = "The text of curfew.yaml."
  type        = string

  validation {
    condition     = can(yamldecode(var.configuration).installation)
    error_message = "configuration must be the text of a curfew.yaml; it has no installation. Check it with `curfew config check`."
  }
}

variable "files" {
  description = "Further files that the configuration names, by file name; NAME is mounted as /etc/curfew/NAME/NAME, which the configuration calls ../NAME/NAME. Nothing secret: Terraform's state keeps the text."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.files) : can(regex("^[a-z0-9][a-z0-9.-]{0,38}[a-z0-9]$", name)) && !contains(["config", "collector"], name)])
    error_message = "files must be named with lower-case letters, digits, dots and hyphens, and not config or collector."
  }

  validation {
    condition     = alltrue([for text in values(var.files) : !strcontains(text, "PRIVATE KEY")])
    error_message = "files holds a private key: Terraform's state would keep it. Sign with Cloud KMS (module signing) instead."
  }
}
