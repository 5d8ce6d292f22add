//! A bed whose operator and engine are reached directly, because proxies would cost what is measured.

use std::time::{Duration, Instant};

use super::{
    bed::{Bed, Operator, eventually, process::Running},
    counts::{Costs, Counts, busy},
};

/// Longer than a new operator may take among whatever there is.
const READY: Duration = Duration::from_secs(120);

pub struct World {
    pub bed: Bed,
    engine: Running,
}

impl World {
    /// A bed with an operator that is ready.
    pub async fn new() -> Self {
        let mut bed = Bed::new().await;
        bed.operator.process.kill();
        let engine = start_engine(&bed).await;
        let mut world = Self { bed, engine };
        world.renew().await;
        world
    }

    /// Another operator, whose memory is of what comes now. Gives how long it took to be ready.
    pub async fn renew(&mut self) -> Duration {
        self.bed.operator.process.kill();
        let started = Instant::now();
        self.bed.operator = Operator::start_directly(&self.bed.site, &["--leader-elect=false"]);
        let operator = &self.bed.operator;
        super::load::patient("an operator that is ready", READY, async || operator.get("/readyz").await)
            .await;
        started.elapsed()
    }

    pub async fn counts(&self) -> Counts {
        Counts::read(&self.bed.site.api).await
    }

    /// What every process of it has used so far.
    pub fn costs(&self) -> Costs {
        Costs {
            operator: busy(&self.bed.operator.process),
            engine: busy(&self.engine),
            server: busy(self.bed.site.api.server()),
            etcd: busy(self.bed.site.api.etcd()),
        }
    }

    /// A new operator among objects that are as they should be: how soon it is ready, and what it asked for and wrote.
    pub async fn restart(&mut self) -> Restart {
        // The one before may still have Events to write, which are not the new one's.
        self.bed.operator.process.kill();
        let before = self.counts().await;
        let ready = self.renew().await;
        // Whatever it writes at first sight comes now.
        tokio::time::sleep(Duration::from_secs(10)).await;
        let counts = self.counts().await - before;
        Restart {
            ready,
            requests: counts.all(),
            writes: counts.all_writes(),
            written: counts.only_writes().table(1),
        }
    }

    /// Share of a core, and writes, over a time in which nothing happens.
    pub async fn idle(&self, time: Duration) -> Idle {
        let (before, work) = (self.counts().await, self.costs().operator);
        // Time is what is measured here.
        tokio::time::sleep(time).await;
        let share = (self.costs().operator - work) / time.as_secs_f64();
        let (resident, _) = self.bed.operator.process.resident();
        Idle { time, share, writes: (self.counts().await - before).all_writes(), resident }
    }
}

/// What a new operator costs.
#[derive(Clone, Debug, Default)]
pub struct Restart {
    pub ready: Duration,
    pub requests: u64,
    pub writes: u64,
    /// Which, if any.
    pub written: String,
}

/// A time in which nothing happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idle {
    pub time: Duration,
    pub share: f64,
    pub writes: u64,
    pub resident: u64,
}

/// A second engine on the same ledger with the certificate that the operator made, as in a cluster.
async fn start_engine(bed: &Bed) -> Running {
    let (certificate, key) = bed.site.engine_certificate().await;
    let port = bed.site.direct_engine_port;
    let engine = bed.ledger.start_engine_with_tls(&certificate, &key, port);
    eventually("an engine that listens", async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
    })
    .await;
    engine
}
