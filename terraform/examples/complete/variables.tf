variable "project" {
  description = "Curfew's own project: store, service accounts, intake and controller."
  type        = string
}

variable "keys_project" {
  description = "The project of the keys."
  type        = string
}

variable "audit_project" {
  description = "The project that keeps the log."
  type        = string
}

variable "region" {
  description = "Where everything runs."
  type        = string
  default     = "europe-west1"
}

variable "installation" {
  description = "Names this installation in every binding that it owns."
  type        = string
  default     = "prod"
}

variable "scope" {
  description = "What may be managed: organizations/N, folders/N or projects/ID."
  type        = string
}

variable "organization" {
  description = "The organisation's number; needed with a folder as scope."
  type        = string
  default     = null
}

variable "grantable_roles" {
  description = "The roles that the controller may give and take, at most ten; [] for no limit."
  type        = list(string)
}

variable "image" {
  description = "The image of intake and controller, by digest."
  type        = string
}

variable "iap_members" {
  description = "Who may open Curfew."
  type        = list(string)
}

variable "hosted_domains" {
  description = "The domains that people must sign in with."
  type        = list(string)

  validation {
    condition     = length(var.hosted_domains) > 0
    error_message = "hosted_domains is empty: name the domains whose people may sign in."
  }
}

variable "operators" {
  description = "Who may end access for others."
  type        = list(string)
}

variable "auditors" {
  description = "Who may see every request."
  type        = list(string)
  default     = []
}

variable "keys_from" {
  description = "From when intake's key counts, a date."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", var.keys_from))
    error_message = "keys_from must be a date such as 2026-01-31."
  }
}

variable "keys_until" {
  description = "Until when intake's key counts, a date."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", var.keys_until)) && timecmp("${var.keys_until}T00:00:00Z", "${var.keys_from}T00:00:00Z") > 0
    error_message = "keys_until must be a date after keys_from."
  }
}

variable "intake_key_version" {
  description = "Which version of intake's key signs; see docs/keys.md before it is changed."
  type        = number
  default     = 1
}

variable "other_intake_keys" {
  description = "Versions of intake's key that are believed beside the one that signs: the next one before it signs, and earlier ones until nothing rests on them."
  type = list(object({
    version         = number
    public_key      = string
    from            = string
    until           = string
    distrusted_from = optional(string)
  }))
  default = []

  validation {
    condition     = alltrue([for key in var.other_intake_keys : key.version != var.intake_key_version])
    error_message = "other_intake_keys names the version that signs: its entry is made of keys_from and keys_until."
  }
}

variable "wrapped_facts_key" {
  description = "The controller's key, wrapped by Cloud KMS, base64; null until it has been made (README.md, step 3)."
  type        = string
  default     = null
}

variable "load_balancer" {
  description = "Null for IAP directly on Cloud Run; see the module intake."
  type = object({
    kind        = string
    domain      = string
    network     = optional(string)
    proxy_range = optional(string)
  })
  default = null
}

variable "oauth_client" {
  description = "Your own OAuth client, for people outside the organisation; see the module intake."
  type = object({
    id     = string
    secret = string
  })
  default   = null
  sensitive = true
}

variable "reauthentication" {
  description = "How fresh a sign-in must be; see the module intake."
  type = object({
    method          = string
    max_age_seconds = number
  })
  default = {
    method          = "ENROLLED_SECOND_FACTORS"
    max_age_seconds = 3600
  }
}

variable "run_controller_as" {
  description = "worker_pool or service."
  type        = string
  default     = "worker_pool"
}

variable "alerts_to" {
  description = "The mail address that alerts go to."
  type        = string

  validation {
    condition     = can(regex("^[^@\\s]+@[^@\\s]+$", var.alerts_to))
    error_message = "alerts_to must be a mail address."
  }
}

variable "lock_log" {
  description = "Whether the log's bucket is locked for ever."
  type        = bool
  default     = true
}
