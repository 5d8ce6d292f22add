//! Autoscalers go by what engines say, through the API server's own aggregation and a standby of the operator: load brings
//! engines, its end takes them away, and an engine that says nothing changes nothing.
//!
//! The autoscaler is the cluster's own controller, the roles are the chart's, the figures are a real engine's.

use std::sync::Arc;

use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::Pod};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::bed::{
    ISSUER, Ledger, Operator, PLATFORM, SYSTEM, Site,
    api_server::{ADMIN, Keys},
    eventually,
    process::free_port,
    site::{chart, condition, create, wait},
};

const API: &str = "/apis/external.metrics.k8s.io/v1beta1";
const CUSTOM: &str = "/apis/custom.metrics.k8s.io/v1beta2";
const QUEUE: &str = "payplane_engine_queue_depth";
const RATE: &str = "payplane_engine_requests_per_second";
const SERVICE: &str = "payplane-operator-metrics";

/// A Platform whose engine is real, and two operators, of which the one that does not lead is asked.
pub struct World {
    pub site: Site,
    pub ledger: Ledger,
    port: u16,
    _operators: [Operator; 2],
}

impl World {
    pub async fn new() -> Self {
        let keys = Keys::new();
        let (mut site, mut ledger) = tokio::join!(Site::new(&keys), Ledger::new());
        ledger.believe(&site).await;
        let (port, of_leader) = (free_port(), free_port());
        let start = |name: &str, port: u16| {
            let address = format!("--metrics-api-address=127.0.0.1:{port}");
            Operator::start(&site, &[&format!("--identity={name}"), &address])
        };
        let leader = start("leader", of_leader);
        leader.leads().await;
        let standby = start("standby", port);
        standby.is_ready().await;
        site.found(&ledger).await;
        aggregate(&site, port).await;
        show_engine(&site, "engine-0", ledger.http_port).await;
        site.api.autoscale();
        Self { site, ledger, port, _operators: [leader, standby] }
    }

    /// A question as somebody asks it of the API server, and its answer with its status.
    async fn ask(&self, path: &str, token: &str) -> Result<Value, u16> {
        let client = self.site.api.client_that_hears_refusals(token);
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        client.request::<Value>(request).await.map_err(|error| match error {
            kube::Error::Api(status) => status.code,
            other => panic!("{path}: {other:?}"),
        })
    }
}

/// The chart's APIServices, to a Service that leads to this machine instead of pods.
async fn aggregate(site: &Site, port: u16) {
    let services = Api::<k8s_openapi::api::core::v1::Service>::namespaced(site.client.clone(), SYSTEM);
    services.delete(SERVICE, &DeleteParams::default()).await.unwrap();
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": SYSTEM},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    });
    create(&site.client, service).await;
    let services = Api::<k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService>::all(
        site.client.clone(),
    );
    let mut served = 0;
    for mut api in chart().into_iter().filter(|object| object["kind"] == "APIService") {
        api["spec"]["service"]["port"] = json!(port);
        let name = api["metadata"]["name"].as_str().unwrap().to_owned();
        create(&site.client, api).await;
        // Whether it answers is looked at without its certificate; what is asked of it is not.
        wait(&services, &name, "is served and trusted", |api| {
            let is_trusted = api.spec.as_ref().is_some_and(|spec| spec.ca_bundle.is_some());
            is_trusted && condition(api, "Available").is_some_and(|found| found["status"] == "True")
        })
        .await;
        served += 1;
    }
    assert_eq!(served, 2, "external and custom metrics");
}

/// The pod that a cluster would run the engine in.
async fn show_engine(site: &Site, name: &str, port: u16) {
    let deployments = Api::<Deployment>::namespaced(site.client.clone(), SYSTEM);
    let engine = deployments.get(&format!("{PLATFORM}-engine")).await.unwrap().spec.unwrap();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": SYSTEM, "labels": engine.selector.match_labels},
        "spec": {"containers": [
            {"name": "engine", "image": "none", "ports": [{"name": "http", "containerPort": port}]},
        ]},
    });
    create(&site.client, pod).await;
    let status = json!({"status": {
        "phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }});
    let pods = Api::<Pod>::namespaced(site.client.clone(), SYSTEM);
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

/// Asks past the API server, with this certificate or none; gives what comes back, if anything does.
async fn knock(port: u16, identity: Option<[Vec<u8>; 2]>) -> Option<String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().unwrap().dangerous();
    let builder = builder.with_custom_certificate_verifier(Arc::new(Anybody(provider)));
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some([certificate, key]) => {
            let chain = CertificateDer::pem_slice_iter(&certificate).collect::<Result<_, _>>().unwrap();
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&key).unwrap()).unwrap()
        }
    };
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
    let request = format!("GET {API} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer).filter(|answer| !answer.is_empty())
}

/// Takes any server for the right one: here it is the client that is judged.
#[derive(Debug)]
struct Anybody(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_api_server_is_answered_and_it_passes_on_what_the_roles_allow() {
    let world = World::new().await;
    let listed = world.ask(API, ADMIN).await.unwrap();
    let names: Vec<_> =
        listed["resources"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, [QUEUE, RATE]);

    let path = |namespace: &str, metric: &str, platform: &str| {
        format!("{API}/namespaces/{namespace}/{metric}?labelSelector=platform%3D{platform}")
    };
    let queue = path(SYSTEM, QUEUE, PLATFORM);
    let found = world.ask(&queue, ADMIN).await.unwrap();
    assert_eq!(found["items"][0]["value"], "0", "nobody pays: {found}");
    assert_eq!(found["items"][0]["metricLabels"], json!({"platform": PLATFORM}));
    let found = world.ask(&path(SYSTEM, RATE, PLATFORM), ADMIN).await.unwrap();
    assert!(found["items"][0]["window"].as_u64().is_some_and(|seconds| 0 < seconds), "{found}");
    for (asked, code) in [
        (path(SYSTEM, RATE, "other"), 503),
        (path("default", RATE, PLATFORM), 404),
        (path(SYSTEM, "other", PLATFORM), 404),
        (format!("{API}/namespaces/{SYSTEM}/{RATE}"), 400),
    ] {
        assert_eq!(world.ask(&asked, ADMIN).await, Err(code), "{asked}");
    }
    let token = world.site.token("payplane-operator", ISSUER).await;
    assert_eq!(world.ask(&queue, &token).await, Err(403), "no role lets it read figures");

    let mut refused = 0;
    for name in ["other", "forged"] {
        assert_eq!(knock(world.port, Some(world.site.api.identity(name))).await, None, "{name}");
        refused += 1;
    }
    assert_eq!(knock(world.port, None).await, None, "without a certificate");
    let answer = knock(world.port, Some(world.site.api.identity("front"))).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    println!("{} callers that are not the API server got nothing", refused + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_engine_tells_its_share_and_is_chosen_by_labels_or_by_name() {
    let mut world = World::new().await;
    let listed = world.ask(CUSTOM, ADMIN).await.unwrap();
    let names: Vec<_> =
        listed["resources"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    for object in ["pods", "platforms.payplane.io"] {
        assert!(names.contains(&json!(format!("{object}/{QUEUE}"))), "{object}: {names:?}");
    }
    let of = |object: &str, query: &str| format!("{CUSTOM}/namespaces/{SYSTEM}/{object}/{RATE}?{query}");
    let instance = "labelSelector=app.kubernetes.io%2Finstance";
    for asked in [
        of("pods/*", ""),
        of("pods/engine-0", ""),
        of("pods/*", &format!("{instance}%3D{PLATFORM}")),
        of(
            "pods/*",
            &format!("{instance}+in+%28{PLATFORM}%2Cother%29&metricLabelSelector=platform%3D{PLATFORM}"),
        ),
    ] {
        let found = world.ask(&asked, ADMIN).await.unwrap();
        let items = found["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "{asked}: {found}");
        assert_eq!(items[0]["describedObject"]["name"], "engine-0", "{asked}");
        assert_eq!(items[0]["metric"]["name"], RATE, "{asked}");
        assert!(items[0]["windowSeconds"].as_u64().is_some_and(|seconds| 0 < seconds), "{found}");
    }
    let found = world.ask(&of(&format!("platforms.payplane.io/{PLATFORM}"), ""), ADMIN).await.unwrap();
    assert_eq!(found["items"][0]["describedObject"]["kind"], "Platform", "{found}");
    for (asked, code) in [
        (of("pods/other", ""), 404),
        (of("pods/*", &format!("{instance}%3Dother")), 404),
        (of("pods/*", "labelSelector=%2C%2C"), 400),
        (of("pods/*", "metricLabelSelector=colour%3Dred"), 400),
        (of("pods/*", "metricLabelSelector=platform%3Dother"), 404),
        (of("platforms.payplane.io/other", ""), 503),
        (of("pods/*", "").replace(RATE, "other"), 404),
        (of("pods/*", "").replace(SYSTEM, "default"), 404),
    ] {
        assert_eq!(world.ask(&asked, ADMIN).await, Err(code), "{asked}");
    }
    let token = world.site.token("payplane-operator", ISSUER).await;
    assert_eq!(world.ask(&of("pods/*", ""), &token).await, Err(403), "no role lets it read figures");

    // A second one, which is said to be ready and says nothing: without it there is no figure of the first one either.
    show_engine(&world.site, "engine-1", free_port()).await;
    eventually("the silence of one is heard", async || {
        (world.ask(&of("pods/engine-0", ""), ADMIN).await == Err(503)).then_some(())
    })
    .await;
    let pods = Api::<Pod>::namespaced(world.site.client.clone(), SYSTEM);
    pods.delete("engine-1", &DeleteParams::default().grace_period(0)).await.unwrap();
    eventually("the other one is heard again", async || world.ask(&of("pods/*", ""), ADMIN).await.ok()).await;
    world.ledger.stop_engine();
    eventually("no engine is heard", async || {
        (world.ask(&of("pods/*", ""), ADMIN).await == Err(503)).then_some(())
    })
    .await;
}

pub fn replicas(engine: &Deployment) -> i32 {
    engine.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_brings_engines_its_end_takes_them_away_and_silence_changes_nothing() {
    let mut world = World::new().await;
    let client = world.site.client.clone();
    let engines = Api::<Deployment>::namespaced(client.clone(), SYSTEM);
    let autoscalers = Api::<HorizontalPodAutoscaler>::namespaced(client.clone(), SYSTEM);
    let policies = Api::<payplane_crds::ScalingPolicy>::namespaced(client.clone(), SYSTEM);
    let engine = format!("{PLATFORM}-engine");
    let policy = json!({
        "apiVersion": "payplane.io/v1alpha1", "kind": "ScalingPolicy",
        "metadata": {"name": "busy", "namespace": SYSTEM},
        "spec": {
            "target": {"platform": {"name": PLATFORM}}, "minReplicas": 1, "maxReplicas": 3,
            "metrics": [{"engine": {"name": "RequestsPerSecond", "averageValue": "10"}}],
            "scaleIn": {"stabilizationSeconds": 0, "maxPods": 10, "periodSeconds": 1},
        },
    });
    create(&client, policy).await;
    let hears = |autoscaler: &HorizontalPodAutoscaler, status: &str| {
        condition(autoscaler, "ScalingActive").is_some_and(|found| found["status"] == status)
    };
    let name = format!("busy-{engine}");
    let found = wait(&autoscalers, &name, "hears the engine", |live| hears(live, "True")).await;
    println!("idle: {}", json!(found.status.unwrap().current_metrics));
    assert_eq!(replicas(&engines.get(&engine).await.unwrap()), 1, "nobody calls");

    let books = world.ledger.books("");
    let mut calls = 0;
    eventually("load brings engines", async || {
        for _ in 0..20 {
            books.try_transfers().await?;
            calls += 1;
        }
        (replicas(&engines.get(&engine).await.unwrap()) == 3).then_some(())
    })
    .await;

    // The engine says nothing any more, but its pod is said to be ready.
    world.ledger.stop_engine();
    let deaf = wait(&autoscalers, &name, "hears nothing", |live| hears(live, "False")).await;
    let told = condition(&deaf, "ScalingActive").unwrap();
    assert_eq!(told["reason"], "FailedGetExternalMetric", "{told}");
    assert!(told["message"].as_str().unwrap().contains("gives no figures"), "{told}");
    assert_eq!(replicas(&engines.get(&engine).await.unwrap()), 3, "silence takes no engine away");
    // Its autoscaler is not watched: a change of the spec makes it look now.
    let slower = Patch::Merge(json!({"spec": {"scaleIn": {"periodSeconds": 2}}}));
    policies.patch("busy", &PatchParams::default(), &slower).await.unwrap();
    let policy = wait(&policies, "busy", "says what is missing", |policy| {
        condition(policy, "Ready").is_some_and(|ready| ready["reason"] == "MetricsUnavailable")
    })
    .await;
    let words = condition(&policy, "Ready").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(words.contains("stays as it is") && words.contains("metricsApi.enabled"), "{words}");
    assert_eq!(replicas(&engines.get(&engine).await.unwrap()), 3, "still none");

    world.ledger.start_engine().await;
    wait(&autoscalers, &name, "hears the engine again", |live| hears(live, "True")).await;
    wait(&engines, &engine, "is alone again", |engine| replicas(engine) == 1).await;
    println!(
        "{calls} rounds of calls brought three engines; one silence took none; the end of the load took two"
    );
}
