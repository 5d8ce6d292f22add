//! A whole Payplane on loopback, without a cluster: PostgreSQL, the engine, etcd, a kube-apiserver with the chart's rights
//! and policies, and the operator, each a process of its own. Between the operator and both servers stand proxies that
//! count every call and go wrong on demand.
//!
//! Order: a [`Site`] (one API server with its two proxies) and a [`Ledger`] (PostgreSQL and the engine) start side by
//! side, the operator follows, and a Platform, a Tenant and two funded wallets are made as a user makes them. No
//! kubelet runs: the engine is started here, and its Deployment is told to be ready. Everything ends with the test,
//! however that ends.

// Each binary uses a part of this, and failing is what it is for.
#![allow(dead_code, unused_imports, missing_docs, clippy::panic, clippy::unwrap_used, clippy::expect_used)]

pub mod api_proxy;
pub mod api_server;
pub mod books;
pub mod engine_proxy;
pub mod ledger;
pub mod objects;
pub mod operator;
pub mod process;
pub mod site;
pub mod switch;
pub mod wait;

pub use api_server::{ApiServer, ISSUER};
pub use books::Books;
pub use ledger::Ledger;
pub use operator::Operator;
pub use site::Site;
pub use switch::{Fault, Rule};
pub use wait::{PATIENCE, eventually};

/// Namespace of the operator and its Platform.
pub const SYSTEM: &str = "payplane-system";
/// Name of the Platform.
pub const PLATFORM: &str = "main";

/// How many cases: few in a normal run, all of them under `make prove`.
pub fn sized(few: usize, all: usize) -> usize {
    if std::env::var_os("PAYPLANE_PROVE").is_some() { all } else { few }
}

/// What every test here stands on: one API server, one ledger, one operator, and a tenant whose alice has money.
pub struct Bed {
    /// Dropped before the site, where its log is.
    pub operator: Operator,
    pub site: Site,
    pub ledger: Ledger,
    pub tenant: site::TestTenant,
}

impl Bed {
    pub async fn new() -> Self {
        let keys = api_server::Keys::new();
        let (site, mut ledger) = tokio::join!(Site::new(&keys), Ledger::new());
        ledger.believe(&site).await;
        let bed = Self::with(site, ledger).await;
        bed.operator.is_ready().await;
        bed
    }

    /// Starts the operator at a site that nobody has used yet.
    pub async fn with(site: Site, ledger: Ledger) -> Self {
        let operator = Operator::start(&site, &["--leader-elect=false"]);
        site.found(&ledger).await;
        let tenant = site.tenant("acme").await;
        tenant.fund("1000000.00").await;
        Self { site, ledger, operator, tenant }
    }

    pub fn books(&self) -> Books {
        self.ledger.books(&self.tenant.name)
    }
}
