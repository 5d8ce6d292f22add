//! What is applied of the engines for a verdict, and what their Deployment remembers of it. Pure.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::PodTemplateSpec};
use kube::ResourceExt;

use super::{Verdict, hash, template_of};
use crate::meta::{REFUSED, REFUSED_BECAUSE, SCHEMA, TEMPLATE};

/// Holds the engines where the verdict wants them. `engine` is what the Platform asks for, `live` what runs.
pub fn hold(engine: &mut Deployment, verdict: &Verdict, live: Option<&Deployment>) {
    let asked = template_of(engine).as_ref().map(hash);
    match verdict {
        Verdict::Proceed => mark(engine, TEMPLATE, asked),
        Verdict::NoWayBack { .. } => {
            engine.spec.get_or_insert_default().paused = Some(true);
            mark(engine, TEMPLATE, asked);
        }
        Verdict::Migrating | Verdict::Frozen(_) => {
            if let Some(template) = live.and_then(template_of) {
                engine.spec.get_or_insert_default().template = template;
            }
            mark(engine, TEMPLATE, live.and_then(|live| live.annotations().get(TEMPLATE).cloned()));
        }
        Verdict::GoBack { template, schema, refused, why } => {
            refuse(engine, template, refused, why);
            // Of the engines that come back, not of those that were to come.
            mark(engine, SCHEMA, schema.clone());
        }
        Verdict::StayBack { template, refused, why } => refuse(engine, template, refused, why),
    }
}

fn refuse(engine: &mut Deployment, template: &PodTemplateSpec, refused: &str, why: &str) {
    engine.spec.get_or_insert_default().template = template.clone();
    mark(engine, REFUSED, Some(refused.to_owned()));
    mark(engine, REFUSED_BECAUSE, Some(why.to_owned()));
}

fn mark(engine: &mut Deployment, name: &str, value: Option<String>) {
    let annotations = engine.metadata.annotations.get_or_insert_default();
    annotations.remove(name);
    annotations.extend(value.map(|value| (name.to_owned(), value)));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::Trouble, *};

    fn template(image: &str) -> PodTemplateSpec {
        serde_json::from_value(json!({"spec": {"containers": [{"name": "engine", "image": image}]}})).unwrap()
    }

    fn engine(image: &str, annotations: serde_json::Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"annotations": annotations}, "spec": {"selector": {}, "template": template(image)},
        }))
        .unwrap()
    }

    #[test]
    fn each_verdict_holds_a_template_and_remembers_what_it_needs() {
        let back = || Box::new(template("old"));
        let go = |schema: Option<&str>| Verdict::GoBack {
            template: back(),
            schema: schema.map(str::to_owned),
            refused: "r".into(),
            why: "w".into(),
        };
        let stay = Verdict::StayBack { template: back(), refused: "r".into(), why: "w".into() };
        let frozen = Verdict::Frozen(Trouble { reason: String::new(), message: String::new() });
        let new = hash(&template("new"));
        // The verdict, the image, whether it is paused, and the marks: template, schema, refused.
        let cases = [
            (Verdict::Proceed, "new", false, [Some(new.as_str()), Some("20"), None]),
            (Verdict::NoWayBack { why: "w".into() }, "new", true, [Some(new.as_str()), Some("20"), None]),
            (Verdict::Migrating, "live", false, [Some("t"), Some("20"), None]),
            (frozen, "live", false, [Some("t"), Some("20"), None]),
            (go(Some("15")), "old", false, [None, Some("15"), Some("r")]),
            (go(None), "old", false, [None, None, Some("r")]),
            (stay, "old", false, [None, Some("20"), Some("r")]),
        ];
        let live = engine("live", json!({"payplane.io/template": "t"}));
        for (verdict, image, paused, marks) in cases {
            let mut held = engine("new", json!({"payplane.io/schema": "20"}));
            hold(&mut held, &verdict, Some(&live));
            let found =
                [TEMPLATE, SCHEMA, REFUSED].map(|name| held.annotations().get(name).map(String::as_str));
            assert_eq!(found, marks, "{verdict:?}");
            let spec = held.spec.clone().unwrap();
            assert_eq!(
                (spec.template, spec.paused.unwrap_or(false)),
                (template(image), paused),
                "{verdict:?}"
            );
        }
    }
}
