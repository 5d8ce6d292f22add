//! Listeners: TLS with certificates that change, health, probes, metrics, limits.

// A test fails by panicking, in its helpers too.
#![allow(clippy::panic, clippy::unwrap_used)]

use crate::support;

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use payplane_engine::{config::TransportConfig, server::Server};
use payplane_proto::v1::{
    self as proto, ledger_service_client::LedgerServiceClient, payment_item::Operation,
};
use sqlx::Connection as _;
use support::{TempDir, client::payment, eventually, postgres::Postgres, world::World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_used_without_a_restart() {
    let world = World::new().await;
    let files = TempDir::new();
    let first = write_certificate(&files);
    let mut config = world.config(world.database.app_dir());
    config.transport = TransportConfig { tls_dir: Some(files.path().to_owned()), insecure_plaintext: false };
    let server = Server::start(config).await.unwrap();
    assert!(connect(server.grpc_address, &first).await.is_some());
    assert!(connect(server.grpc_address, &self_signed().0).await.is_none(), "any certificate is trusted");
    files.write("tls.crt", "nonsense");
    files.write("tls.key", "nonsense");
    assert!(connect(server.grpc_address, &first).await.is_some(), "a bad file took the certificate away");
    let second = write_certificate(&files);
    eventually("the new certificate", async || connect(server.grpc_address, &second).await).await;
    assert!(connect(server.grpc_address, &first).await.is_none(), "the old certificate is still in use");
    let channel = connect(server.grpc_address, &second).await.unwrap();
    let error = LedgerServiceClient::new(channel)
        .get_trial_balance(proto::GetTrialBalanceRequest {})
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
}

/// Whoever calls beside them waits for threads that are idle nearly always.
#[tokio::test(flavor = "multi_thread")]
async fn calls_of_many_items_are_read_on_a_thread_of_their_own() {
    let world = World::new().await;
    let (mut engine, port) = world.spawn_engine();
    let client = world.as_role_at_port(port, "acme", "operator");
    let balances = || proto::GetBalancesRequest::default();
    eventually("the engine", async || client.wallets.clone().get_balances(balances()).await.ok()).await;
    let before = processor_time(engine.id());
    let item = |number: usize| proto::PaymentItem {
        operation: Some(Operation::CreatePayment(payment(&number.to_string(), "alice", "bob", "no amount"))),
    };
    let request = proto::CreatePaymentsRequest { items: (0..8_000).map(item).collect(), view: 0 };
    let refused = client.payments.clone().create_payments(request).await.unwrap_err();
    let after = processor_time(engine.id());
    engine.kill().unwrap();
    engine.wait().unwrap();
    // However much is wrong, the answer fits into what clients take.
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    let took = |thread: &str| after.get(thread).unwrap() - before.get(thread).copied().unwrap_or_default();
    assert!(took("tokio-rt-worker") < took("bulk"), "{before:?} {after:?}");
}

/// Of the threads of a process by their names, in nanoseconds.
fn processor_time(process: u32) -> BTreeMap<String, u64> {
    let mut times = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten() {
        let read = |file: &str| fs::read_to_string(thread.path().join(file)).unwrap();
        let nanoseconds: u64 = read("schedstat").split(' ').next().unwrap().parse().unwrap();
        *times.entry(read("comm").trim_end().to_owned()).or_default() += nanoseconds;
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_database() {
    let postgres = Postgres::start(&[]);
    let world = World::with_engines(&postgres, 1).await;
    let server = &world.engines[0];
    let channel = Endpoint::from_shared(format!("http://{}", server.grpc_address)).unwrap().connect_lazy();
    let health = HealthClient::new(channel);
    let status = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        health.clone().check(request).await.unwrap().into_inner().status()
    };
    eventually("serving", async || (status("").await == ServingStatus::Serving).then_some(())).await;
    assert_eq!(status("payplane.v1.PaymentService").await, ServingStatus::Serving);
    assert!(get(server.http_address, "/readyz").await.starts_with("HTTP/1.1 200"));
    postgres.stop();
    eventually("not serving", async || (status("").await == ServingStatus::NotServing).then_some(())).await;
    assert!(get(server.http_address, "/readyz").await.starts_with("HTTP/1.1 503"));
    assert!(get(server.http_address, "/livez").await.starts_with("HTTP/1.1 200"));
    let error = world.as_role("acme", "operator").pay(payment("k", "a", "b", "1.00")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    postgres.launch();
    eventually("serving again", async || (status("").await == ServingStatus::Serving).then_some(())).await;
    assert!(get(server.http_address, "/readyz").await.starts_with("HTTP/1.1 200"));
}

/// On a busy machine whoever looks whether the database is there may wait for seconds while it commits.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_commits_is_there_however_slowly_it_answers() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    operator.wallet("bob", "USD").await;
    world.fund("acme", "alice", "1000.00").await;
    let mut superuser = world.database.superuser().await;
    let mut holder = superuser.begin().await.unwrap();
    sqlx::query("lock table payplane.schema_migrations").execute(&mut *holder).await.unwrap();
    let (began, mut paid) = (Instant::now(), 0);
    // Longer than two looks may take.
    while began.elapsed() < Duration::from_secs(6) {
        operator.pay(payment(&format!("k{paid}"), "alice", "bob", "0.01")).await.unwrap();
        paid += 1;
    }
    println!("{paid} payments while nobody could look whether the database is there");
    assert!(get(world.engines[0].http_address, "/readyz").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmigrated_database_is_not_ready() {
    let mut world = World::new().await;
    world.database = Postgres::shared().empty_database().await;
    let server = Server::start(world.config(world.database.app_dir())).await.unwrap();
    assert!(get(server.http_address, "/readyz").await.starts_with("HTTP/1.1 503"));
    world.database.migrate().await;
    eventually("ready", async || {
        get(server.http_address, "/readyz").await.starts_with("HTTP/1.1 200").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_happened() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    operator.wallet("alice", "USD").await;
    world.fund("acme", "alice", "1.00").await;
    operator.pay(payment("k", "alice", "nobody", "1.00")).await.unwrap();
    let text = get(world.engines[0].http_address, "/metrics").await;
    for line in [
        "payplane_engine_payments_total{outcome=\"completed\"} 1",
        "payplane_engine_refusals_total{reason=\"wallet_not_found\"} 1",
        "payplane_engine_database_up 1",
        "payplane_engine_build_info{version=",
        "payplane_engine_batch_items_count 2",
        "payplane_engine_queue_depth 0",
        "method=\"/payplane.v1.PaymentService/CreatePayment\"",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_messages_and_unknown_methods_are_refused() {
    let world = World::new().await;
    let operator = world.as_role("acme", "operator");
    let request = proto::GetBalancesRequest { wallet_ids: vec!["x".repeat(1_000); 1_100] };
    let error = operator.wallets.clone().get_balances(request).await.unwrap_err();
    assert!(matches!(error.code(), Code::OutOfRange | Code::ResourceExhausted), "{error:?}");
    let reflection = http_post(world.engines[0].grpc_address).await;
    assert_eq!(reflection, Code::PermissionDenied);
}

/// A method that no table knows.
async fn http_post(address: SocketAddr) -> Code {
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let codec =
        tonic_prost::ProstCodec::<proto::GetTrialBalanceRequest, proto::GetTrialBalanceResponse>::default();
    let path = http::uri::PathAndQuery::from_static("/payplane.v1.LedgerService/DeleteEverything");
    let request = tonic::Request::new(proto::GetTrialBalanceRequest {});
    client.unary(request, path, codec).await.unwrap_err().code()
}

async fn connect(address: SocketAddr, ca: &str) -> Option<Channel> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name("engine.test");
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
    endpoint.connect_timeout(Duration::from_secs(5)).tls_config(tls).unwrap().connect().await.ok()
}

/// Writes a fresh pair and gives the certificate, which is its own authority.
fn write_certificate(files: &TempDir) -> String {
    let (certificate, key) = self_signed();
    files.write("tls.crt", &certificate);
    files.write("tls.key", &key);
    certificate
}

fn self_signed() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["engine.test".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: engine\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
