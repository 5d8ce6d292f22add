//! The operator: custom resources in, ledger facts and Kubernetes objects out, status back.
//!
//! Every kind is reconciled in the same steps, one file per step: *observe* (the only reads), *validate*, *plan* or
//! *build* (pure), *act* or *apply* (the only writes), *report* (status from what was answered, never from what was
//! intended). [`run`] is the composition root: it alone knows how the parts are put together.

pub mod args;
pub mod audit;
pub mod check;
pub mod telemetry;

pub mod context;
pub mod controllers;

pub mod approval;
pub mod payment;
pub mod refund;
pub mod standing_order;
pub mod wallet;

pub mod backup;
pub mod backup_schedule;
pub mod billing_plan;
pub mod objects;
pub mod platform;
pub mod restore;
pub mod scaling_policy;
pub mod tenant;
pub mod tenant_billing;
pub mod timeout_policy;

pub mod engine;
pub mod follow;
pub mod refresh;
pub mod schedule;

pub mod apply;
pub mod condition;
pub mod events;
pub mod hash;
pub mod status;

pub mod api;
pub mod backoff;
pub mod barman;
pub mod error;
pub mod http;
pub mod job;
pub mod lease;
pub mod lost;
pub mod meta;
pub mod metrics_api;
pub mod place;
pub mod scrape;
pub mod sealed;
pub mod wake;
pub mod watch;

use std::{error::Error, sync::Arc, time::Duration};

use kube::{Client, runtime::reflector};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{Args, Command},
    context::{Context, Settings, Stores},
    controllers::Sources,
    engine::{Engines, Token},
    lease::Elector,
    telemetry::Metrics,
    watch::Health,
};

/// How long running reconciles may take to end. Less than the pod's termination grace period.
const DRAIN: Duration = Duration::from_secs(20);

/// Why the operator stops.
type Fatal = Box<dyn Error>;

/// Runs the operator until it is told to stop, or does what the subcommand says.
///
/// # Errors
/// When something that it cannot work without is missing, or a part of it ends.
pub async fn run(args: Args) -> Result<(), Fatal> {
    // Before the first connection: kube, tonic and rcgen share this one provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match &args.command {
        Some(Command::Check) => return check::run(&args).await,
        Some(Command::CopyObjects(config)) => return Ok(objects::run(config).await?),
        None => {}
    }
    let stop = stop_on_signal()?;
    let metrics = Metrics::new()?;
    let health = Arc::new(Health::default());
    let probed = http::Probed { metrics: metrics.clone(), health: health.clone() };
    let http = tokio::spawn(http::serve(args.http_address, probed));
    tokio::select! {
        outcome = lead(&args, metrics, health, stop) => outcome,
        outcome = http => Err(format!("the HTTP server ended: {outcome:?}").into()),
        outcome = serve_figures(&args) => Err(format!("the metrics API ended: {outcome:?}").into()),
    }
}

/// Answers autoscalers, whether this process leads or not. Never ends where nobody asked for it.
async fn serve_figures(args: &Args) -> Result<(), Fatal> {
    let Some(address) = args.metrics_api_address else { return std::future::pending().await };
    let client = Client::try_default().await?;
    Ok(metrics_api::serve(client, args.metrics_api(), address, args.served_namespaces()).await?)
}

/// Becomes leader, acts, and gives the lead back.
async fn lead(
    args: &Args,
    metrics: Metrics,
    health: Arc<Health>,
    stop: CancellationToken,
) -> Result<(), Fatal> {
    let client = Client::try_default().await?;
    let drained = CancellationToken::new();
    let lease = if args.leader_elect {
        let mut elector = Elector::new(client.clone(), &args.namespace, lease::NAME, identity(args));
        tokio::select! {
            () = elector.acquire(|follows| metrics.set_stands_by(follows)) => {}
            () = stop.cancelled() => return Ok(()),
        }
        Some(tokio::spawn(keep(elector, drained.clone())))
    } else {
        None
    };
    metrics.leader.set(1);
    tracing::info!(identity = identity(args), "leading");
    let acted = act(args, client, metrics, health, stop).await;
    drained.cancel();
    if let Some(lease) = lease {
        lease.await?;
    }
    acted
}

/// Keeps the Lease until everything is drained, then gives it up. Losing it earlier ends the process on the spot:
/// another process acts already.
async fn keep(mut elector: Elector, drained: CancellationToken) {
    tokio::select! {
        () = elector.hold() => {
            tracing::error!("lost the Lease; this process ends at once");
            std::process::exit(1);
        }
        () = drained.cancelled() => {}
    }
    match elector.release().await {
        Ok(()) => tracing::info!("gave the Lease up"),
        Err(error) => {
            tracing::warn!(error = %telemetry::chain(&error), "could not give the Lease up; it runs out by itself");
        }
    }
}

/// Runs every controller until `stop`, then lets running reconciles end.
async fn act(
    args: &Args,
    client: Client,
    metrics: Metrics,
    health: Arc<Health>,
    stop: CancellationToken,
) -> Result<(), Fatal> {
    let settings = settings(args, &client).await?;
    let (wake, wakeups) = wake::channels();
    let (stores, writers) = stores();
    let token = Token::new(args.token_file.clone());
    let context = Arc::new(Context {
        events: events::Events::start(client.clone(), identity(args), metrics.clone()),
        engines: Engines::new(token, args.engine_endpoint_override.clone()),
        backoff: backoff::Backoff::default(),
        windows: platform::Windows::default(),
        filled: context::Filled::default(),
        client,
        settings,
        stores,
        wake,
        metrics,
    });
    let refreshing = tokio::spawn(refresh::run(context.clone()));
    let following = tokio::spawn(follow::run(context.clone()));
    let expiring = tokio::spawn(payment::expire::run(context.clone()));
    let auditing = tokio::spawn(audit::run(context.clone()));
    let certifying = args
        .metrics_api_address
        .map(|_| tokio::spawn(metrics_api::certificate::keep(context.client.clone(), args.metrics_api())));
    let sources = Sources { writers, wakeups, health };
    let mut controllers = tokio::spawn(controllers::run(context, sources, stop.clone()));
    tokio::select! {
        outcome = &mut controllers => {
            outcome?;
            if !stop.is_cancelled() {
                return Err("a controller ended".into());
            }
        }
        () = stop.cancelled() => drain(controllers).await,
    }
    refreshing.abort();
    following.abort();
    expiring.abort();
    auditing.abort();
    certifying.inspect(JoinHandle::abort);
    Ok(())
}

async fn drain(mut controllers: JoinHandle<()>) {
    tracing::info!("stopping; waiting for running reconciles");
    if tokio::time::timeout(DRAIN, &mut controllers).await.is_err() {
        tracing::warn!("some reconciles did not end in time; the next leader repeats them");
        controllers.abort();
    }
}

fn stores() -> (Stores, controllers::Writers) {
    let (platforms, write_platforms) = reflector::store();
    let (tenants, write_tenants) = reflector::store();
    let (wallets, write_wallets) = reflector::store();
    let (payments, write_payments) = reflector::store();
    let (refunds, write_refunds) = reflector::store();
    let (scaling_policies, write_scaling_policies) = reflector::store();
    let (standing_orders, write_standing_orders) = reflector::store();
    let (approvals, write_approvals) = reflector::store();
    let (timeout_policies, write_timeout_policies) = reflector::store();
    let (backups, write_backups) = reflector::store();
    let (tenant_billings, write_tenant_billings) = reflector::store();
    let (billing_plans, write_billing_plans) = reflector::store();
    let (backup_schedules, write_backup_schedules) = reflector::store();
    let (restores, write_restores) = reflector::store();
    let writers = controllers::Writers {
        platforms: write_platforms,
        tenants: write_tenants,
        wallets: write_wallets,
        payments: write_payments,
        refunds: write_refunds,
        scaling_policies: write_scaling_policies,
        standing_orders: write_standing_orders,
        approvals: write_approvals,
        timeout_policies: write_timeout_policies,
        backups: write_backups,
        tenant_billings: write_tenant_billings,
        billing_plans: write_billing_plans,
        backup_schedules: write_backup_schedules,
        restores: write_restores,
    };
    (
        Stores {
            platforms,
            tenants,
            wallets,
            payments,
            refunds,
            scaling_policies,
            standing_orders,
            timeout_policies,
            backups,
            approvals,
            tenant_billings,
            billing_plans,
            backup_schedules,
            restores,
        },
        writers,
    )
}

async fn settings(args: &Args, client: &Client) -> Result<Settings, Fatal> {
    let issuer = match &args.issuer {
        Some(issuer) => issuer.clone(),
        None => discover_issuer(client).await?,
    };
    Ok(Settings {
        platform_namespaces: args.served_namespaces(),
        engine_image: args.engine_image.clone(),
        postgres_image: args.postgres_image.clone(),
        kafka_image: args.kafka_image.clone(),
        redis_image: args.redis_image.clone(),
        operator_image: args.operator_image.clone(),
        backup_account: args.backup_account.clone(),
        issuer,
        subject: args.subject(),
    })
}

/// Asks the API server who signs ServiceAccount tokens.
async fn discover_issuer(client: &Client) -> Result<String, Fatal> {
    let request = ::http::Request::get("/.well-known/openid-configuration").body(Vec::new())?;
    let document = api::call("read the issuer of ServiceAccount tokens", client.request(request)).await;
    let document: serde_json::Value =
        document.map_err(|error| format!("{}; give it with --issuer", telemetry::chain(&error)))?;
    document["issuer"].as_str().map(String::from).ok_or_else(|| {
        "the API server names no issuer of ServiceAccount tokens; give it with --issuer".into()
    })
}

/// Differs between any two processes, or both would believe that they lead.
fn identity(args: &Args) -> String {
    match args.identity.as_str() {
        "" => format!("{}-{}", meta::MANAGER, std::process::id()),
        name => name.into(),
    }
}

fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        told.cancel();
    });
    Ok(stop)
}
