variable "project" {
  description = "The project that holds the keys. Best one of their own, whose administrators do not run Curfew."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be a project id, such as access-keys, not a number or a full name."
  }
}

variable "location" {
  description = "Where the keys are kept. Near intake and controller: every request is signed once."
  type        = string

  validation {
    condition     = can(regex("^([a-z]+-[a-z]+[0-9]+|[a-z]+[0-9]*)$", var.location))
    error_message = "location must be a location of Cloud KMS, such as europe-west1, europe or global."
  }
}

variable "key_ring" {
  description = "The name of the key ring. Key rings cannot be deleted or renamed."
  type        = string
  default     = "curfew"

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,63}$", var.key_ring))
    error_message = "key_ring must be 1 to 63 letters, digits, underscores and hyphens."
  }
}

variable "protection_level" {
  description = "SOFTWARE, or HSM for keys that never leave a hardware module."
  type        = string
  default     = "HSM"

  validation {
    condition     = contains(["SOFTWARE", "HSM"], var.protection_level)
    error_message = "protection_level must be SOFTWARE or HSM."
  }
}

variable "intake_key_version" {
  description = "Which version of intake's key signs; to rotate, add a version, publish it in `keys`, then name it here."
  type        = number
  default     = 1

  validation {
    condition     = var.intake_key_version >= 1 && floor(var.intake_key_version) == var.intake_key_version
    error_message = "intake_key_version must be a whole number, 1 or more."
  }
}

variable "forms_key_version" {
  description = "Which version of the forms' key derives; forms that are open while it changes must be opened again."
  type        = number
  default     = 1

  validation {
    condition     = var.forms_key_version >= 1 && floor(var.forms_key_version) == var.forms_key_version
    error_message = "forms_key_version must be a whole number, 1 or more."
  }
}

variable "facts_rotation_days" {
  description = "After how many days Cloud KMS makes a new version of the wrapping key."
  type        = number
  default     = 90

  validation {
    condition     = var.facts_rotation_days >= 1 && floor(var.facts_rotation_days) == var.facts_rotation_days
    error_message = "facts_rotation_days must be a whole number of days, 1 or more."
  }
}

variable "destroy_after_days" {
  description = "How long a key version that somebody destroys can still be restored."
  type        = number
  default     = 30

  validation {
    condition     = var.destroy_after_days >= 1 && var.destroy_after_days <= 120 && floor(var.destroy_after_days) == var.destroy_after_days
    error_message = "destroy_after_days must be a whole number of days, 1 to 120."
  }
}
