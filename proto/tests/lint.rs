//! The API's style rules, checked on the descriptors: the standard rules of buf that apply to this package.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeSet;

use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

fn files() -> Vec<FileDescriptorProto> {
    let set = FileDescriptorSet::decode(payplane_proto::FILE_DESCRIPTOR_SET).unwrap();
    let ours: Vec<_> = set.file.into_iter().filter(|file| file.package().starts_with("payplane.")).collect();
    assert_eq!(ours.len(), 16, "a file of the API is missing from the descriptors, or this number is old");
    ours
}

/// Splits "WalletStatus" into "WALLET_STATUS".
fn upper_snake(pascal: &str) -> String {
    let mut out = String::new();
    for c in pascal.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

fn is_pascal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_lower_snake(name: &str) -> bool {
    !name.contains("__")
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn packages_match_their_folders() {
    for file in files() {
        let folder = file.package().replace('.', "/");
        assert!(
            file.name().starts_with(&format!("{folder}/")),
            "{} declares {}",
            file.name(),
            file.package()
        );
        assert_eq!(file.syntax(), "proto3", "{}", file.name());
    }
}

#[test]
fn messages_are_pascal_case_and_fields_lower_snake_case() {
    fn check(message: &DescriptorProto) {
        assert!(is_pascal(message.name()), "message {}", message.name());
        for field in &message.field {
            assert!(is_lower_snake(field.name()), "field {}.{}", message.name(), field.name());
        }
        message.nested_type.iter().for_each(check);
    }
    files().iter().flat_map(|file| &file.message_type).for_each(check);
}

#[test]
fn enum_values_carry_the_name_of_their_enum_and_zero_is_unspecified() {
    fn check(item: &EnumDescriptorProto) {
        let prefix = upper_snake(item.name());
        assert_eq!(item.value[0].number(), 0, "{}", item.name());
        assert_eq!(item.value[0].name(), format!("{prefix}_UNSPECIFIED"));
        for value in &item.value {
            assert!(value.name().starts_with(&format!("{prefix}_")), "{} in {}", value.name(), item.name());
        }
    }
    files().iter().flat_map(|file| &file.enum_type).for_each(check);
}

#[test]
fn every_method_has_a_request_and_a_response_of_its_own() {
    let mut used = BTreeSet::new();
    let mut methods = 0;
    for file in files() {
        for service in &file.service {
            assert!(service.name().ends_with("Service"), "service {}", service.name());
            for method in &service.method {
                let path = |name: &str, suffix: &str| format!(".{}.{name}{suffix}", file.package());
                assert_eq!(method.input_type(), path(method.name(), "Request"));
                assert_eq!(method.output_type(), path(method.name(), "Response"));
                assert!(used.insert(method.input_type().to_owned()), "{} is used twice", method.input_type());
                methods += 1;
            }
        }
    }
    assert!(methods > 0, "no method was looked at");
}
