mock_provider "google" {}

override_resource {
  target = google_service_account.this["intake"]

  values = {
    email  = "curfew-intake@access-system.iam.gserviceaccount.com"
    member = "serviceAccount:curfew-intake@access-system.iam.gserviceaccount.com"
  }
}

override_resource {
  target = google_service_account.this["controller"]

  values = {
    email  = "curfew-controller@access-system.iam.gserviceaccount.com"
    member = "serviceAccount:curfew-controller@access-system.iam.gserviceaccount.com"
  }
}

variables {
  project         = "access-system"
  scope           = "organizations/123456789"
  grantable_roles = ["roles/logging.admin", "roles/compute.viewer"]
  keys = {
    intake = "projects/access-keys/locations/europe-west1/keyRings/curfew/cryptoKeys/intake"
    forms  = "projects/access-keys/locations/europe-west1/keyRings/curfew/cryptoKeys/forms"
    facts  = "projects/access-keys/locations/europe-west1/keyRings/curfew/cryptoKeys/facts"
  }
}

run "the_roles_hold_what_the_lists_say_and_nothing_else" {
  assert {
    condition = setunion(
      google_organization_iam_custom_role.this["controller_reader"].permissions,
      google_organization_iam_custom_role.this["controller_writer"].permissions,
    ) == toset([for line in split("\n", trimspace(file("../../../deploy/controller-permissions.txt"))) : line if !startswith(line, "#")])
    error_message = "the controller's two roles are not deploy/controller-permissions.txt"
  }

  assert {
    condition     = google_organization_iam_custom_role.this["intake_reader"].permissions == toset([for line in split("\n", trimspace(file("../../../deploy/intake-permissions.txt"))) : line if !startswith(line, "#")])
    error_message = "intake's role is not deploy/intake-permissions.txt"
  }

  assert {
    condition     = alltrue([for permission in google_organization_iam_custom_role.this["intake_reader"].permissions : can(regex("\\.(get|getIamPolicy|list|search[A-Za-z]*|analyzeIamPolicy)$", permission))])
    error_message = "intake's role holds something that is not reading"
  }
}

run "only_the_writing_binding_is_limited_to_the_grantable_roles" {
  assert {
    condition     = google_organization_iam_member.scope["controller_writer"].condition[0].expression == "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['roles/compute.viewer', 'roles/logging.admin'])"
    error_message = "the controller may give and take other roles than the grantable ones"
  }

  assert {
    condition     = alltrue([for name in ["intake_reader", "controller_reader"] : length(google_organization_iam_member.scope[name].condition) == 0])
    error_message = "reading is limited by a condition on writing"
  }
}

run "only_the_controller_writes_policies_and_only_intake_signs" {
  assert {
    condition = { for name, binding in google_organization_iam_member.scope : name => binding.member } == {
      intake_reader     = "serviceAccount:curfew-intake@access-system.iam.gserviceaccount.com"
      controller_reader = "serviceAccount:curfew-controller@access-system.iam.gserviceaccount.com"
      controller_writer = "serviceAccount:curfew-controller@access-system.iam.gserviceaccount.com"
    }
    error_message = "a role is bound to the other part"
  }

  assert {
    condition     = alltrue([for binding in google_kms_crypto_key_iam_member.intake : binding.member == "serviceAccount:curfew-intake@access-system.iam.gserviceaccount.com"]) && google_kms_crypto_key_iam_member.controller[0].member == "serviceAccount:curfew-controller@access-system.iam.gserviceaccount.com"
    error_message = "a key is bound to the other part"
  }
}

run "a_folder_is_bound_on_the_folder_with_the_organisations_roles" {
  variables {
    scope        = "folders/200000000001"
    organization = "123456789"
  }

  assert {
    condition     = google_folder_iam_member.scope["controller_writer"].folder == "folders/200000000001" && google_organization_iam_custom_role.this["controller_writer"].org_id == "123456789"
    error_message = "the folder's binding or its role is elsewhere"
  }

  assert {
    condition     = length(google_folder_iam_member.scope["controller_writer"].condition) == 1 && length(google_organization_iam_member.scope) == 0
    error_message = "the folder's binding is not limited, or there is another"
  }
}

run "a_project_gets_roles_without_what_projects_cannot_hold" {
  variables {
    scope = "projects/access-web"
  }

  assert {
    condition     = google_project_iam_member.scope["controller_writer"].project == "access-web" && length(google_project_iam_member.scope["controller_writer"].condition) == 1
    error_message = "the project's binding is elsewhere or not limited"
  }

  assert {
    condition     = alltrue(flatten([for role in google_project_iam_custom_role.this : [for permission in role.permissions : !can(regex("^resourcemanager\\.(folders|organizations)\\.", permission))]]))
    error_message = "a project's custom role cannot hold permissions on folders or organisations"
  }

  assert {
    condition     = contains(google_project_iam_custom_role.this["controller_writer"].permissions, "resourcemanager.projects.setIamPolicy")
    error_message = "the controller cannot write the project's policy"
  }
}

run "each_part_uses_its_own_key_only" {
  assert {
    condition     = alltrue([for binding in google_kms_crypto_key_iam_member.intake : binding.role == "roles/cloudkms.signer"]) && [for binding in google_kms_crypto_key_iam_member.intake : binding.crypto_key_id] == [var.keys.forms, var.keys.intake]
    error_message = "intake is more or less than the signer of its key"
  }

  assert {
    condition     = google_kms_crypto_key_iam_member.controller[0].crypto_key_id == var.keys.facts && google_kms_crypto_key_iam_member.controller[0].role == "roles/cloudkms.cryptoKeyDecrypter"
    error_message = "the controller is more or less than the decrypter of its key"
  }
}

run "the_store_is_one_database" {
  variables {
    database = "requests"
  }

  assert {
    condition     = alltrue([for binding in google_project_iam_member.store : binding.condition[0].expression == "resource.name == 'projects/access-system/databases/requests'"])
    error_message = "a part may use other databases"
  }
}

run "eleven_grantable_roles_are_refused" {
  command = plan

  variables {
    grantable_roles = [for n in range(11) : "roles/service${n}.viewer"]
  }

  expect_failures = [var.grantable_roles]
}

run "basic_roles_are_refused" {
  command = plan

  variables {
    grantable_roles = ["roles/editor"]
  }

  expect_failures = [var.grantable_roles]
}

run "a_folder_without_its_organisation_is_refused" {
  command = plan

  variables {
    scope = "folders/200000000001"
  }

  expect_failures = [var.organization]
}

run "the_own_project_as_scope_is_refused" {
  command = plan

  variables {
    scope = "projects/access-system"
  }

  expect_failures = [var.scope]
}

run "a_project_number_as_scope_is_refused" {
  command = plan

  variables {
    scope = "projects/123"
  }

  expect_failures = [var.scope]
}

run "the_step_by_hand_names_both_accounts" {
  assert {
    condition     = strcontains(output.groups_reader_step, "Groups Reader") && alltrue([for part in ["intake", "controller"] : strcontains(output.groups_reader_step, "curfew-${part}@access-system.iam.gserviceaccount.com")])
    error_message = "the printed step does not say what to do"
  }
}

run "a_key_by_its_short_name_is_refused" {
  command = plan

  variables {
    keys = { intake = "intake", forms = "forms", facts = "facts" }
  }

  expect_failures = [var.keys]
}

run "without_keys_nobody_is_bound_to_one" {
  variables {
    keys = null
  }

  assert {
    condition     = length(google_kms_crypto_key_iam_member.intake) == 0 && length(google_kms_crypto_key_iam_member.controller) == 0
    error_message = "somebody is bound to a key that is not there"
  }
}

run "a_project_number_is_refused" {
  command = plan

  variables {
    project = "123456789"
  }

  expect_failures = [var.project]
}

run "an_installation_in_capitals_is_refused" {
  command = plan

  variables {
    installation = "Prod"
  }

  expect_failures = [var.installation]
}

run "a_database_with_a_space_is_refused" {
  command = plan

  variables {
    database = "my database"
  }

  expect_failures = [var.database]
}

run "a_prefix_in_capitals_is_refused" {
  command = plan

  variables {
    account_prefix = "Curfew-"
  }

  expect_failures = [var.account_prefix]
}

run "an_organisation_by_its_full_name_is_refused" {
  command = plan

  variables {
    organization = "organizations/123456789"
  }

  expect_failures = [var.organization]
}

run "a_role_without_its_prefix_is_refused" {
  command = plan

  variables {
    grantable_roles = ["compute.viewer"]
  }

  expect_failures = [var.grantable_roles]
}

run "a_role_named_twice_is_refused" {
  command = plan

  variables {
    grantable_roles = ["roles/compute.viewer", "roles/compute.viewer"]
  }

  expect_failures = [var.grantable_roles]
}

run "the_policy_analyzer_is_one_permission_more" {
  variables {
    policy_analyzer = true
  }

  assert {
    condition     = contains(google_organization_iam_custom_role.this["intake_reader"].permissions, "cloudasset.assets.analyzeIamPolicy")
    error_message = "lists by the Policy Analyzer would be refused"
  }
}
