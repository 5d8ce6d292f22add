//! A ScalingPolicy with its class and its windows worked in. Pure.

use jiff::{SignedDuration, Timestamp};
use payplane_crds::{
    ScalingPolicy,
    scaling_policy::{
        Disruption, ResourceMetric, ResourceName, ScalingClass, ScalingMetric, ScalingPace, ScalingWindow,
    },
};

use crate::schedule::Schedule;

/// What is asked for, now.
#[derive(Clone, Debug, PartialEq)]
pub struct Valid {
    /// The fewest pods outside of windows.
    pub floor: i32,
    /// The fewest pods, now.
    pub minimum: i32,
    /// The most pods.
    pub maximum: i32,
    /// By what load.
    pub metrics: Vec<ScalingMetric>,
    /// How fast pods are added.
    pub scale_out: Option<ScalingPace>,
    /// How fast pods are taken away.
    pub scale_in: Option<ScalingPace>,
    /// How many pods may be away at once.
    pub disruption: Option<Disruption>,
    /// The window that raises the minimum.
    pub window: Option<String>,
    /// When a window begins or ends next.
    pub next_change: Option<Timestamp>,
}

/// How slowly pods go where a metric has a threshold of its own for that: such thresholds are low, so what is asked for
/// is patience.
const RELUCTANT: ScalingPace = ScalingPace {
    stabilization_seconds: Some(600),
    max_pods: Some(1),
    max_percent: None,
    period_seconds: 300,
};

/// Works the class and the windows in.
///
/// # Errors
/// What a person has to change; it names the field.
pub fn validate(policy: &ScalingPolicy, now: Timestamp) -> Result<Valid, String> {
    let spec = &policy.spec;
    let class = spec.class.map(values);
    let given = |own: Option<i32>, class: Option<i32>, field: &str| {
        own.or(class).ok_or_else(|| format!("{field} is not given."))
    };
    let floor = given(spec.min_replicas, class.map(|class| class.minimum), "minReplicas")?;
    let maximum = given(spec.max_replicas, class.map(|class| class.maximum), "maxReplicas")?;
    if maximum < floor {
        return Err(format!(
            "minReplicas {floor} is more than maxReplicas {maximum}, one of which comes from the class."
        ));
    }
    let metrics = match (&spec.metrics[..], class) {
        ([], Some(class)) => vec![cpu(class.cpu)],
        ([], None) => return Err("metrics is empty.".into()),
        (metrics, _) => metrics.to_vec(),
    };
    if spec.target.platform.is_none() && metrics.iter().any(|metric| metric.engine.is_some()) {
        return Err("metrics: a metric of engine needs target.platform, whose engines tell it.".into());
    }
    let has_threshold = metrics.iter().any(|metric| metric.scale_in_below.is_some());
    let (window, minimum, next_change) = windows(&spec.windows, floor, now)?;
    Ok(Valid {
        floor,
        minimum: minimum.min(maximum),
        maximum,
        metrics,
        scale_out: spec.scale_out.clone(),
        scale_in: spec.scale_in.clone().or(has_threshold.then_some(RELUCTANT)),
        disruption: disruption(policy, class, maximum)?,
        window,
        next_change,
    })
}

fn disruption(
    policy: &ScalingPolicy,
    class: Option<Class>,
    maximum: i32,
) -> Result<Option<Disruption>, String> {
    // A Platform keeps the budget of its engines itself: two budgets for one pod stop every eviction.
    if policy.spec.target.platform.is_some() {
        return Ok(None);
    }
    let of_class =
        class.map(|class| Disruption { min_available: Some(class.available), max_unavailable: None });
    let disruption = policy.spec.disruption.clone().or(of_class);
    match disruption.as_ref().and_then(|disruption| disruption.min_available) {
        Some(available) if maximum <= available => Err(format!(
            "disruption.minAvailable {available} is not less than maxReplicas {maximum}: no pod could ever be evicted. \
             Lower it, or give maxUnavailable."
        )),
        _ => Ok(disruption),
    }
}

/// The window that counts, the minimum with it, and when that may change.
fn windows(
    windows: &[ScalingWindow],
    floor: i32,
    now: Timestamp,
) -> Result<(Option<String>, i32, Option<Timestamp>), String> {
    let (mut found, mut minimum, mut next): (Option<String>, i32, Option<Timestamp>) = (None, floor, None);
    for window in windows {
        let schedule = Schedule::parse(&window.schedule, &window.time_zone)
            .map_err(|invalid| format!("windows: in {:?}, {invalid}.", window.name))?;
        let length = SignedDuration::from_secs(window.duration_seconds);
        let end = schedule
            .last_until(now)
            .and_then(|begin| begin.checked_add(length).ok())
            .filter(|end| now < *end);
        if end.is_some() && minimum < window.min_replicas {
            (found, minimum) = (Some(window.name.clone()), window.min_replicas);
        }
        next = next.into_iter().chain(end).chain(schedule.next_after(now)).min();
    }
    Ok((found, minimum, next))
}

#[derive(Clone, Copy)]
struct Class {
    minimum: i32,
    maximum: i32,
    cpu: i32,
    available: i32,
}

fn values(class: ScalingClass) -> Class {
    match class {
        ScalingClass::Gateway => Class { minimum: 2, maximum: 10, cpu: 70, available: 2 },
        ScalingClass::Core => Class { minimum: 2, maximum: 8, cpu: 60, available: 2 },
        ScalingClass::Business => Class { minimum: 2, maximum: 6, cpu: 60, available: 1 },
    }
}

fn cpu(percent: i32) -> ScalingMetric {
    let resource = ResourceMetric { name: ResourceName::Cpu, average_utilization: percent };
    ScalingMetric { resource: Some(resource), ..ScalingMetric::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::fixture::policy, *};

    fn valid(spec: Value, now: &str) -> Result<Valid, String> {
        validate(&policy(spec), now.parse().unwrap())
    }

    #[test]
    fn a_class_fills_what_is_not_given() {
        let cases = [
            (json!({"class": "Gateway"}), (2, 10, 70, Some(2))),
            (json!({"class": "Core"}), (2, 8, 60, Some(2))),
            (json!({"class": "Business"}), (2, 6, 60, Some(1))),
            (
                json!({"class": "Core", "minReplicas": 4, "disruption": {"maxUnavailable": 1}}),
                (4, 8, 60, None),
            ),
        ];
        for (spec, expected) in cases {
            let valid = valid(spec.clone(), "2026-11-21T00:00:00Z").unwrap();
            let cpu = valid.metrics[0].resource.as_ref().unwrap().average_utilization;
            let available = valid.disruption.unwrap().min_available;
            assert_eq!((valid.minimum, valid.maximum, cpu, available), expected, "{spec}");
        }
    }

    #[test]
    fn what_can_never_be_satisfied_is_told_by_field() {
        for (spec, blamed) in [
            (json!({"class": "Core", "minReplicas": 9}), "minReplicas 9"),
            (json!({"class": "Core", "disruption": {"minAvailable": 8}}), "disruption.minAvailable 8"),
            (json!({"class": "Core", "maxReplicas": 2}), "disruption.minAvailable 2"),
            (json!({"minReplicas": 1, "maxReplicas": 2}), "metrics"),
            (
                json!({"class": "Core", "metrics": [{"engine": {"name": "QueueDepth", "averageValue": "5"}}]}),
                "needs target.platform",
            ),
            (
                json!({"class": "Core", "windows": [
                    {"name": "a", "schedule": "99 * * * *", "durationSeconds": 60, "minReplicas": 3},
                ]}),
                "windows: in \"a\", schedule",
            ),
        ] {
            let message = valid(spec.clone(), "2026-11-21T00:00:00Z").unwrap_err();
            assert!(message.contains(blamed), "{spec}: {message}");
        }
    }

    #[test]
    fn windows_raise_the_minimum_while_they_last() {
        let spec = json!({"class": "Gateway", "windows": [
            {"name": "payday", "schedule": "0 6 25 * *", "timeZone": "Europe/Berlin", "durationSeconds": 7200, "minReplicas": 6},
            {"name": "rush", "schedule": "30 6 25 * *", "timeZone": "Europe/Berlin", "durationSeconds": 3600, "minReplicas": 8},
            {"name": "low", "schedule": "0 0 * * *", "durationSeconds": 86400, "minReplicas": 1},
        ]});
        for (now, window, minimum, next) in [
            ("2026-11-25T04:59:59Z", None, 2, "2026-11-25T05:00:00Z"),
            ("2026-11-25T05:00:00Z", Some("payday"), 6, "2026-11-25T05:30:00Z"),
            ("2026-11-25T05:30:00Z", Some("rush"), 8, "2026-11-25T06:30:00Z"),
            ("2026-11-25T06:30:00Z", Some("payday"), 6, "2026-11-25T07:00:00Z"),
            ("2026-11-25T07:00:00Z", None, 2, "2026-11-26T00:00:00Z"),
        ] {
            let valid = valid(spec.clone(), now).unwrap();
            assert_eq!((valid.window.as_deref(), valid.minimum, valid.floor), (window, minimum, 2), "{now}");
            assert_eq!(valid.next_change.unwrap().to_string(), next, "{now}");
        }
    }
}
