//! S4: manifests that try to make the operator act for somebody else. None has an effect on the other tenant, each gets the
//! answer that an absent object gets, and nothing of the other tenant shows in status or Events.

use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};

use super::bed::{
    Bed, PLATFORM, SYSTEM,
    site::{TestTenant, condition, create, dollar, try_create, wait},
};

/// What alice of the victim has: a number that stands nowhere else.
const TREASURE: &str = "424242.42";
const RANDOM: &str = "77777777-1234-5678-9abc-def012345678";

/// What may differ between an attack and its twin.
struct Trial {
    what: &'static str,
    attack: Value,
    /// The same manifest about something that does not exist.
    twin: Value,
    /// What the attack names and the twin does not, by what the twin names instead.
    names: Vec<(String, String)>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confused_deputies_get_the_answer_of_absence() {
    let bed = Bed::new().await;
    let victim = &bed.tenant;
    let mut spec = dollar();
    spec["amount"] = json!(TREASURE);
    victim.create("Payment", "treasure", spec).await;
    victim.completed("treasure").await;
    let mallory = bed.site.tenant("mallory").await;
    mallory.fund("5.00").await;
    let before = (
        bed.books().payments().await.len(),
        bed.books().balance("alice").await,
        bed.books().balance("bob").await,
    );

    let trials = trials(&bed, victim, &mallory).await;
    let mut answers = Vec::new();
    for (number, trial) in trials.iter().enumerate() {
        let attack = answer(&mallory, &format!("attack-{number:02}"), &trial.attack).await;
        let twin = answer(&mallory, &format!("twin-no-{number:02}"), &trial.twin).await;
        let mut seen = attack.replace(&format!("attack-{number:02}"), &format!("twin-no-{number:02}"));
        for (theirs, absent) in &trial.names {
            seen = seen.replace(theirs.as_str(), absent);
        }
        assert_eq!(seen, twin, "{}: it is told apart from what is absent", trial.what);
        answers.push(format!("{}: {}", trial.what, twin.lines().next().unwrap_or_default()));
    }
    let after = (
        bed.books().payments().await.len(),
        bed.books().balance("alice").await,
        bed.books().balance("bob").await,
    );
    assert_eq!(before, after, "something happened to the victim");
    no_leak(&bed, &mallory).await;
    println!("{} manifests, none with an effect:\n{}", trials.len(), answers.join("\n"));
    assert!(12 <= trials.len());
}

async fn trials(bed: &Bed, victim: &TestTenant, mallory: &TestTenant) -> Vec<Trial> {
    let payment = victim.completed("treasure").await;
    let uid = victim.settled("treasure").await.uid().unwrap();
    let wallet = victim.wallets().get("alice").await.unwrap().status.unwrap().wallet_id.unwrap();
    let pay = |from: Value| json!({"kind": "Payment", "spec": {"from": from, "to": {"name": "bob"}, "amount": "1.00", "currency": "USD"}});
    let refund = |id: &str| json!({"kind": "Refund", "spec": {"payment": {"id": id}}});
    let with = |mut body: Value, path: &str, value: Value| {
        *body.pointer_mut(path).unwrap() = value;
        body
    };
    let marked = |from: &str, metadata: Value| {
        let mut body = pay(json!({"name": from}));
        body["metadata"] = metadata;
        body
    };
    let none = |name: &str| pay(json!({"name": name}));
    let same = Vec::new;
    let swap = |theirs: &str, absent: &str| vec![(theirs.to_owned(), absent.to_owned())];
    let order = |from: &str| {
        json!({"kind": "StandingOrder", "spec": {"schedule": "0 9 1 * *", "template": {
            "from": {"name": from}, "to": {"name": "bob"}, "amount": "1.00", "currency": "USD"}}})
    };
    let _ = (bed, mallory);
    vec![
        Trial {
            what: "a namespace beside the name",
            attack: pay(json!({"name": "treasury", "namespace": "acme"})),
            twin: none("treasury"),
            names: same(),
        },
        Trial {
            what: "namespace/name",
            attack: none("acme/alice"),
            twin: none("nope/alice"),
            names: swap("acme", "nope"),
        },
        Trial {
            what: "a path upwards",
            attack: none("../acme/alice"),
            twin: none("../nope/alice"),
            names: swap("acme", "nope"),
        },
        Trial {
            what: "the other's wallet by id",
            attack: pay(json!({"id": wallet})),
            twin: pay(json!({"id": RANDOM})),
            names: swap(&wallet, RANDOM),
        },
        Trial {
            what: "paying into the other's wallet by id",
            attack: with(none("alice"), "/spec/to", json!({"id": wallet})),
            twin: with(none("alice"), "/spec/to", json!({"id": RANDOM})),
            names: swap(&wallet, RANDOM),
        },
        Trial {
            what: "a refund of the other's payment",
            attack: refund(&payment),
            twin: refund(RANDOM),
            names: swap(&payment, RANDOM),
        },
        Trial {
            what: "a refund of the other's payment by name",
            attack: json!({"kind": "Refund", "spec": {"payment": {"name": "treasure"}}}),
            twin: json!({"kind": "Refund", "spec": {"payment": {"name": "nothing1"}}}),
            names: swap("treasure", "nothing1"),
        },
        Trial {
            what: "labels and annotations of the other",
            attack: marked(
                "treasury",
                json!({"labels": {"payplane.io/tenant": "acme", "payplane.io/platform": PLATFORM}, "annotations": {"payplane.io/tenant": "acme", "payplane.io/let-go": "true"}}),
            ),
            twin: none("treasury"),
            names: same(),
        },
        Trial {
            what: "an owner in the other's namespace",
            attack: marked(
                "treasury",
                json!({"ownerReferences": [{"apiVersion": "payplane.io/v1alpha1", "kind": "Payment", "name": "treasure", "uid": uid, "blockOwnerDeletion": true}]}),
            ),
            twin: none("treasury"),
            names: same(),
        },
        Trial {
            what: "a tenant in the spec",
            attack: {
                let mut body = none("treasury");
                body["spec"]["tenant"] = json!("acme");
                body["spec"]["namespace"] = json!("acme");
                body
            },
            twin: none("treasury"),
            names: same(),
        },
        Trial {
            what: "the other's key",
            attack: {
                let mut body = none("treasury");
                body["spec"]["idempotencyKey"] = json!("acme/treasure");
                body
            },
            twin: {
                let mut body = none("treasury");
                body["spec"]["idempotencyKey"] = json!("nope/treasure");
                body
            },
            names: same(),
        },
        Trial {
            what: "templates in strings",
            attack: {
                let mut body = none("treasury");
                body["spec"]["reference"] = json!("{{ .Secrets }} ${TOKEN} $(cat /etc/passwd) {self.spec}");
                body
            },
            twin: none("treasury"),
            names: same(),
        },
        Trial {
            what: "a name that looks alike",
            attack: none("\u{430}lice"),
            twin: none("nobody"),
            names: swap("\u{430}lice", "nobody"),
        },
        Trial {
            what: "an order from the other's wallet",
            attack: order("acme/alice"),
            twin: order("nope/alice"),
            names: swap("acme", "nope"),
        },
        Trial {
            what: "billing the other from one's own namespace",
            attack: billing("acme"),
            twin: billing("nope"),
            names: swap("acme", "nope"),
        },
    ]
}

fn billing(tenant: &str) -> Value {
    json!({"kind": "TenantBilling", "spec": {
        "tenantRef": {"name": tenant}, "plan": {"currency": "USD"},
        "period": {"unit": "Day", "timeZone": "Europe/Zurich", "start": "2026-10-31T23:00:00Z"},
    }})
}

/// What the author of a manifest is told: admission's refusal, or conditions once they are there.
async fn answer(mallory: &TestTenant, name: &str, manifest: &Value) -> String {
    let kind = manifest["kind"].as_str().unwrap();
    let mut body = mallory.object(kind, name, manifest["spec"].clone());
    for (key, value) in manifest["metadata"].as_object().into_iter().flatten() {
        body["metadata"][key] = value.clone();
    }
    if let Err(refused) = try_create(&mallory.client, body).await {
        let kube::Error::Api(status) = refused else { panic!("{name}: {refused}") };
        return format!("refused by admission ({}): {}", status.code, status.message);
    }
    let object = wait(&mallory.objects(kind), name, "has an answer", |object| {
        condition(object, "Ready").is_some_and(|ready| ready["status"] != "Unknown")
    })
    .await;
    let conditions = object.data["status"]["conditions"].as_array().unwrap().iter();
    let mut told: Vec<String> = conditions
        .map(|one| format!("{}={} {} {}", one["type"], one["status"], one["reason"], one["message"]))
        .collect();
    told.sort();
    told.join("\n")
}

/// Nothing that the victim has stands in what mallory may read.
async fn no_leak(bed: &Bed, mallory: &TestTenant) {
    let mut read = String::new();
    for kind in ["Payment", "Refund", "StandingOrder", "TenantBilling", "Wallet"] {
        for object in mallory.objects(kind).list(&ListParams::default()).await.unwrap() {
            read += &object.data["status"].to_string();
        }
    }
    let events = Api::<Event>::namespaced(bed.site.client.clone(), &mallory.name);
    for event in events.list(&ListParams::default()).await.unwrap() {
        read += &serde_json::to_string(&event).unwrap();
    }
    assert!(read.len() > 2_000, "there is something to look through");
    for secret in [TREASURE, "acme/treasure", "acme/alice is", "root:x:0"] {
        assert!(!read.contains(secret), "{secret} shows");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_tenant_takes_neither_namespace_nor_name() {
    let bed = Bed::new().await;
    let spec = |namespace: &str| json!({"platformRef": {"namespace": SYSTEM, "name": PLATFORM}, "namespaces": [{"name": namespace}]});
    let tenant = |name: &str, spec: Value| json!({"apiVersion": "payplane.io/v1alpha1", "kind": "Tenant", "metadata": {"name": name}, "spec": spec});
    let mut late = Vec::new();
    for (name, namespace) in [("thief", "acme"), ("sneak", SYSTEM)] {
        create(&bed.site.client, tenant(name, spec(namespace))).await;
        let tenants = Api::<payplane_crds::Tenant>::all(bed.site.client.clone());
        let refused = wait(&tenants, name, "has an answer", |tenant| {
            condition(tenant, "Ready").is_some_and(|ready| ready["status"] == "False")
        });
        late.push(condition(&refused.await, "Ready").unwrap()["reason"].clone());
    }
    bed.tenant.pay("still-works").await;
    bed.tenant.completed("still-works").await;
    assert_eq!(late, ["NamespaceClaimed", "NamespaceExists"]);
    // Payments need generateName to bring a key, or every retry would pay again.
    let mut nameless = bed.tenant.object("Payment", "x", dollar());
    nameless["metadata"] = json!({"generateName": "pay-", "namespace": "acme"});
    let nameless = serde_json::from_value(nameless).unwrap();
    let refused = bed.tenant.objects("Payment").create(&PostParams::default(), &nameless).await;
    assert!(refused.unwrap_err().to_string().contains("idempotencyKey"));
}
