//! Who may work with a tenant's objects: one RoleBinding per ClusterRole of the chart, named like it.
//!
//! The roles add up: who operates or approves also looks, an admin does everything. Treasury is no part of it: bringing
//! money into a tenant is bound by hand, to few.

use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use payplane_crds::{
    Tenant,
    tenant::{Group, TenantGroups},
};

use super::metadata;

const GROUP: &str = "rbac.authorization.k8s.io";

/// The ClusterRoles that are bound. The operator has the right to bind these and no others.
pub const ROLES: [&str; 4] = ["payplane-view", "payplane-edit", "payplane-approve", "payplane-admin"];

/// One binding for each role that somebody has.
pub fn bindings(tenant: &Tenant, namespace: &str) -> Vec<RoleBinding> {
    let TenantGroups { viewers, operators, approvers, admins } = &tenant.spec.groups;
    let members: [&[&Vec<Group>]; 4] =
        [&[viewers, operators, approvers, admins], &[operators, admins], &[approvers, admins], &[admins]];
    let binding = |(role, groups): (&str, &[&Vec<Group>])| {
        let mut names: Vec<&str> = groups.iter().copied().flatten().map(|group| group.0.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        (!names.is_empty()).then(|| RoleBinding {
            metadata: metadata(tenant, namespace, role),
            role_ref: RoleRef { api_group: GROUP.into(), kind: "ClusterRole".into(), name: role.into() },
            subjects: Some(names.into_iter().map(subject).collect()),
        })
    };
    ROLES.into_iter().zip(members).filter_map(binding).collect()
}

fn subject(group: &str) -> Subject {
    Subject { api_group: Some(GROUP.into()), kind: "Group".into(), name: group.into(), ..Subject::default() }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;
    use serde_json::{Value, json};

    use super::{super::tests::tenant, *};

    /// Roles and who has them, such as "view: a b".
    fn told(groups: Value) -> Vec<String> {
        let bindings = bindings(&tenant(json!({"groups": groups})), "shop");
        let line = |binding: &RoleBinding| {
            assert_eq!(binding.role_ref.name, binding.name_any());
            let names = binding.subjects.iter().flatten().map(|subject| subject.name.as_str());
            format!("{}: {}", binding.name_any(), names.collect::<Vec<_>>().join(" "))
        };
        bindings.iter().map(line).collect()
    }

    #[test]
    fn every_group_has_what_its_role_says_and_a_role_that_nobody_has_is_not_bound() {
        let cases = [
            (json!({}), vec![]),
            (json!({"viewers": ["v"]}), vec!["payplane-view: v"]),
            (json!({"operators": ["o"]}), vec!["payplane-view: o", "payplane-edit: o"]),
            (json!({"approvers": ["a"]}), vec!["payplane-view: a", "payplane-approve: a"]),
            (
                json!({"admins": ["b"]}),
                vec!["payplane-view: b", "payplane-edit: b", "payplane-approve: b", "payplane-admin: b"],
            ),
            (
                json!({"viewers": ["x"], "operators": ["y", "x"]}),
                vec!["payplane-view: x y", "payplane-edit: x y"],
            ),
        ];
        for (groups, expected) in cases {
            assert_eq!(told(groups.clone()), expected, "{groups}");
        }
    }
}
