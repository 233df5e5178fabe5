variable "project" {
  description = "Curfew's own project, whose metrics and log are watched."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be a project id, such as access-system, not a number or a full name."
  }
}

variable "audit_project" {
  description = "The project that keeps the log. Not Curfew's own: nobody who runs Curfew should administer it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.audit_project))
    error_message = "audit_project must be a project id, such as access-audit, not a number or a full name."
  }

  validation {
    condition     = var.audit_project != var.project
    error_message = "audit_project must be another project than Curfew's own: who can delete Curfew must not be able to delete its log."
  }
}

variable "installation" {
  description = "The installation's name, as in the configuration."
  type        = string
  default     = "prod"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.installation))
    error_message = "installation must be 1 to 31 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "scope" {
  description = "What Curfew manages: organizations/N, folders/N or projects/ID. Policy writes below it are collected."
  type        = string

  validation {
    condition     = can(regex("^(organizations/[0-9]+|folders/[0-9]+|projects/[a-z][a-z0-9-]{4,28}[a-z0-9])$", var.scope))
    error_message = "scope must be organizations/NUMBER, folders/NUMBER or projects/ID."
  }
}

variable "controller_email" {
  description = "The controller's service account, `controller_email` of the module identity."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+@[a-z0-9-]+\\.iam\\.gserviceaccount\\.com$", var.controller_email))
    error_message = "controller_email must be the address of a service account."
  }
}

variable "notification_channels" {
  description = "Who is told of alerts on the metrics: full names of channels in `project`."
  type        = list(string)

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "notification_channels must be full names: projects/P/notificationChannels/N."
  }
}

variable "audit_notification_channels" {
  description = "Who is told of policy writes that are not Curfew's: full names of channels in `audit_project`."
  type        = list(string)

  validation {
    condition     = alltrue([for channel in var.audit_notification_channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))])
    error_message = "audit_notification_channels must be full names: projects/P/notificationChannels/N."
  }
}

variable "location" {
  description = "Where the log is kept: a region, or global, eu or us."
  type        = string
  default     = "global"

  validation {
    condition     = can(regex("^([a-z]+-[a-z]+[0-9]+|global|eu|us)$", var.location))
    error_message = "location must be a region such as europe-west1, or global, eu or us."
  }
}

variable "retention_days" {
  description = "How long the log is kept."
  type        = number
  default     = 400

  validation {
    condition     = var.retention_days >= 30 && var.retention_days <= 3650 && floor(var.retention_days) == var.retention_days
    error_message = "retention_days must be a whole number from 30 to 3650."
  }
}

variable "lock" {
  description = "Whether the bucket is locked: nobody can then shorten its retention or delete it, ever. Leave it on but for a trial."
  type        = bool
  default     = true
}

variable "compare_write_ids" {
  description = "Whether the ids of policy writes are also compared with the controller's log, by SQL, every 15 minutes. Cloud Monitoring needs a BigQuery reservation for it."
  type        = bool
  default     = false
}

variable "rules_folder" {
  description = "The folder with the Prometheus rules, *.yml; null for deploy/prometheus."
  type        = string
  default     = null

  validation {
    condition     = var.rules_folder == null || length(fileset(coalesce(var.rules_folder, "."), "**/*.yml")) > 0
    error_message = "rules_folder has no file that ends in .yml."
  }
}

variable "runbooks" {
  description = "What stands before the path of a runbook, docs/runbooks/NAME.md, in an alert: the address of your copy of this repository, with a / at its end."
  type        = string
  default     = ""

  validation {
    condition     = var.runbooks == "" || can(regex("^https://.+/$", var.runbooks))
    error_message = "runbooks must begin with https:// and end with a slash."
  }
}
