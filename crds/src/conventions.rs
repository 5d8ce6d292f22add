//! What every kind has, read from the CRDs themselves: the table of `docs/conventions.md`. A page that nobody writes by
//! hand does not grow old.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};

const START: &str = "<!-- kinds: written by `make generate` -->\n";
const END: &str = "<!-- end of kinds -->\n";
const HEAD: &str = "\
| kind | scope | short | columns (more with `-o wide`) | conditions | rules of change |\n\
|---|---|---|---|---|---|\n";

/// The page with the table of these kinds in place of the one that it has. None if the page has no place for one.
pub fn with_table(page: &str, crds: &[CustomResourceDefinition]) -> Option<String> {
    let (before, rest) = page.split_once(START)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{START}{}{END}{after}", table(crds)))
}

/// One line per kind.
pub fn table(crds: &[CustomResourceDefinition]) -> String {
    let mut lines: Vec<String> = crds.iter().map(line).collect();
    lines.sort_unstable();
    format!("{HEAD}{}", lines.concat())
}

fn line(crd: &CustomResourceDefinition) -> String {
    let names = &crd.spec.names;
    let short = names.short_names.iter().flatten().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    format!(
        "| {} | {} | {} | {} | {} | {} |\n",
        names.kind,
        crd.spec.scope,
        short.join(", "),
        columns(crd),
        conditions(crd),
        rules_of_change(crd),
    )
}

/// Those that are always printed, and how many more.
fn columns(crd: &CustomResourceDefinition) -> String {
    let columns =
        crd.spec.versions.iter().flat_map(|version| version.additional_printer_columns.iter().flatten());
    let (usual, wide): (Vec<_>, Vec<_>) =
        columns.partition(|column| column.priority.unwrap_or_default() == 0);
    let names: Vec<&str> = usual.iter().map(|column| &*column.name).collect();
    format!("{} (+{})", names.join(", "), wide.len())
}

/// As the field says which there are.
fn conditions(crd: &CustomResourceDefinition) -> String {
    let found = roots(crd).filter_map(|root| property(property(root, "status")?, "conditions"));
    let told: Vec<&str> = found.filter_map(|conditions| conditions.description.as_deref()).collect();
    told.join(" ").trim_end_matches('.').replace('\n', " ")
}

/// How many rules look at the object as it was, on whatever level.
fn rules_of_change(crd: &CustomResourceDefinition) -> usize {
    roots(crd).map(count_transitions).sum()
}

fn count_transitions(schema: &JSONSchemaProps) -> usize {
    let own = schema.x_kubernetes_validations.iter().flatten();
    let own = own.filter(|rule| rule.rule.contains("oldSelf")).count();
    let below: usize = schema.properties.iter().flat_map(|all| all.values()).map(count_transitions).sum();
    own + below
}

fn roots(crd: &CustomResourceDefinition) -> impl Iterator<Item = &JSONSchemaProps> {
    crd.spec.versions.iter().filter_map(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref())
}

fn property<'a>(schema: &'a JSONSchemaProps, name: &str) -> Option<&'a JSONSchemaProps> {
    schema.properties.as_ref()?.get(name)
}
