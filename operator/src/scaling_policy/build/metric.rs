//! Metrics as an autoscaler has them. Pure.

use k8s_openapi::{
    api::autoscaling::v2::{
        ExternalMetricSource, MetricIdentifier, MetricSpec, MetricTarget, PodsMetricSource,
        ResourceMetricSource,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::LabelSelector},
};
use payplane_crds::scaling_policy::{EngineMetric, NamedMetric, ResourceMetric, ResourceName, ScalingMetric};
use rust_decimal::Decimal;

use crate::metrics_api::{PLATFORM_LABEL, metric_name};

/// One metric. Those of engines are of this Platform.
pub fn metric(metric: &ScalingMetric, platform: Option<&str>) -> MetricSpec {
    let none = MetricSpec::default();
    let of_engines = metric.engine.as_ref().map(|found| engine(found, platform));
    match (&metric.resource, &metric.pods, of_engines.as_ref().or(metric.external.as_ref())) {
        (Some(found), ..) => MetricSpec { resource: Some(resource(found)), type_: "Resource".into(), ..none },
        (_, Some(found), _) => {
            let pods = PodsMetricSource { metric: identifier(found), target: target(found) };
            MetricSpec { pods: Some(pods), type_: "Pods".into(), ..none }
        }
        (_, _, found) => {
            let external =
                found.map(|found| ExternalMetricSource { metric: identifier(found), target: target(found) });
            MetricSpec { external, type_: "External".into(), ..none }
        }
    }
}

/// By the name that the operator itself serves it under.
fn engine(found: &EngineMetric, platform: Option<&str>) -> NamedMetric {
    let label = platform.map(|platform| (PLATFORM_LABEL.to_owned(), platform.to_owned()));
    NamedMetric {
        name: metric_name(found.name).into(),
        match_labels: label.into_iter().collect(),
        average_value: Some(found.average_value.clone()),
        value: None,
    }
}

fn resource(found: &ResourceMetric) -> ResourceMetricSource {
    let name = match found.name {
        ResourceName::Cpu => "cpu",
        ResourceName::Memory => "memory",
    };
    let target = MetricTarget {
        average_utilization: Some(found.average_utilization),
        type_: "Utilization".into(),
        ..MetricTarget::default()
    };
    ResourceMetricSource { name: name.into(), target }
}

fn identifier(found: &NamedMetric) -> MetricIdentifier {
    let selector = (!found.match_labels.is_empty()).then(|| LabelSelector {
        match_labels: Some(found.match_labels.clone()),
        ..LabelSelector::default()
    });
    MetricIdentifier { name: found.name.clone(), selector }
}

fn target(found: &NamedMetric) -> MetricTarget {
    let quantity = |value: &Option<String>| value.as_deref().map(|value| Quantity(canonical(value)));
    MetricTarget {
        average_value: quantity(&found.average_value),
        type_: if found.value.is_some() { "Value".into() } else { "AverageValue".into() },
        value: quantity(&found.value),
        ..MetricTarget::default()
    }
}

/// The quantity as the API server writes it, "1k" for "1000": otherwise ours would differ from theirs for ever. Binary
/// units, and what is finer than thousandths, stay as they are.
fn canonical(quantity: &str) -> String {
    const UNITS: [(&str, i64); 5] =
        [("G", 1_000_000_000_000), ("M", 1_000_000_000), ("k", 1_000_000), ("", 1_000), ("m", 1)];
    let digits = quantity.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let unit = UNITS.iter().find(|(unit, _)| *unit == &quantity[digits.len()..]);
    let thousandths =
        unit.and_then(|(_, factor)| digits.parse::<Decimal>().ok()?.checked_mul(Decimal::from(*factor)));
    let whole = thousandths.filter(|value| value.is_integer()).and_then(|value| i64::try_from(value).ok());
    let largest = whole
        .and_then(|value| UNITS.iter().find(|(_, factor)| value % factor == 0).map(|unit| (value, unit)));
    match largest {
        None => quantity.into(),
        Some((0, _)) => "0".into(),
        Some((value, (unit, factor))) => format!("{}{unit}", value / factor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_the_api_server_writes_them() {
        for (given, expected) in [
            ("1000", "1k"),
            ("50", "50"),
            ("1500", "1500"),
            ("0.5", "500m"),
            ("1500m", "1500m"),
            ("2000m", "2"),
            ("2000k", "2M"),
            ("0", "0"),
            ("64Mi", "64Mi"),
            ("1.0", "1"),
            ("0.0001", "0.0001"),
        ] {
            assert_eq!(canonical(given), expected, "{given}");
        }
    }
}
