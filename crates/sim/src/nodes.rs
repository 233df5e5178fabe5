//! What lies where: an organisation with projects right below it, and the access system in a folder of its own.

use curfew_core::resource::Resource;

/// The organisation, which is the scope.
pub fn org() -> Resource {
    Resource::Organization(1)
}

/// The `n`-th project.
pub fn project(n: usize) -> Resource {
    Resource::Project(format!("demo-project-{n}"))
}

/// The folder in which the access system lies.
pub fn folder_above() -> Resource {
    Resource::Folder(2)
}

/// A folder beside it.
pub fn folder_beside() -> Resource {
    Resource::Folder(3)
}

/// The project that holds the access system; protected.
pub fn system() -> Resource {
    Resource::Project("curfew-system".into())
}

/// The folder of its keys; protected as a whole.
pub fn folder_of_keys() -> Resource {
    Resource::Folder(4)
}

/// The project of its keys, which is protected because of where it lies.
pub fn keys() -> Resource {
    Resource::Project("curfew-keys".into())
}

/// All nodes besides the organisation and the projects right below it.
pub(crate) fn nodes_of_the_system() -> [Resource; 5] {
    [folder_above(), folder_beside(), folder_of_keys(), system(), keys()]
}

/// What the configuration protects.
pub(crate) fn protected() -> [Resource; 2] {
    [system(), folder_of_keys()]
}

/// The node, and all that it lies in, up to the organisation.
pub(crate) fn line(node: &Resource) -> Vec<Resource> {
    let mut line = vec![node.clone()];
    if *node == keys() {
        line.push(folder_of_keys());
    }
    if [system(), folder_of_keys(), keys()].contains(node) {
        line.push(folder_above());
    }
    if *node != org() {
        line.push(org());
    }
    line
}
