//! What the API server says that it was asked for, and what processes say that they used.

use std::{collections::BTreeMap, ops::Sub, time::Duration};

use super::bed::{ApiServer, process::Running};

/// Of the API server itself, its elections and its rules of fairness, which nobody here writes.
const OWN: [&str; 6] = [
    "coordination.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "apiregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "apiextensions.k8s.io",
];
const WRITES: [&str; 5] = ["APPLY", "PATCH", "POST", "PUT", "DELETE"];

/// Requests that the API server has served, by verb and resource. Watches are left out: they are counted when they end.
#[derive(Clone, Debug, Default)]
pub struct Counts(BTreeMap<(String, String), u64>);

impl Counts {
    pub async fn read(server: &ApiServer) -> Self {
        let mut counts = BTreeMap::new();
        for line in metrics(server).await.lines().filter(|line| line.starts_with("apiserver_request_total{"))
        {
            let label = |name: &str| {
                let rest = line.split(&format!("{name}=\"")).nth(1)?;
                rest.split('"').next()
            };
            let text = |name: &str| label(name).unwrap_or_default();
            let resource = [text("resource"), text("subresource")].join("/").trim_end_matches('/').to_owned();
            if resource.is_empty() || text("verb") == "WATCH" || OWN.contains(&text("group")) {
                continue;
            }
            *counts.entry((text("verb").to_owned(), resource)).or_default() += value(line);
        }
        Self(counts)
    }

    /// Requests of these verbs about these resources.
    fn sum(&self, which: impl Fn(&str, &str) -> bool) -> u64 {
        self.0.iter().filter(|((verb, resource), _)| which(verb, resource)).map(|(_, count)| count).sum()
    }

    /// Writes of this resource.
    pub fn writes(&self, wanted: &str) -> u64 {
        self.sum(|verb, resource| WRITES.contains(&verb) && resource == wanted)
    }

    /// All that the operator can have written. What this program makes and deletes is not among it.
    pub fn all_writes(&self) -> u64 {
        self.sum(|verb, resource| {
            let is_made_here = ["POST", "DELETE"].contains(&verb) && resource == "payments";
            WRITES.contains(&verb) && !is_made_here
        })
    }

    /// Without what only reads.
    pub fn only_writes(mut self) -> Self {
        self.0.retain(|(verb, _), _| WRITES.contains(&verb.as_str()));
        self
    }

    /// Everything.
    pub fn all(&self) -> u64 {
        self.sum(|_, _| true)
    }

    /// Every verb and resource with its share of so many objects, the dearest first.
    pub fn table(&self, objects: u64) -> String {
        let mut lines: Vec<_> = self.0.iter().filter(|(_, count)| objects <= **count * 20).collect();
        lines.sort_by_key(|(_, count)| u64::MAX - *count);
        let each = |count: u64| format!("{:.2}", count as f64 / objects.max(1) as f64);
        let lines =
            lines.iter().map(|((verb, resource), count)| format!("{verb} {resource} {}", each(**count)));
        lines.collect::<Vec<_>>().join(", ")
    }
}

impl Sub for Counts {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        let counts = self.0.into_iter().map(|(key, count)| {
            let earlier = before.0.get(&key).copied().unwrap_or(0);
            (key, count - earlier)
        });
        Self(counts.filter(|(_, count)| 0 < *count).collect())
    }
}

/// What the API server and its etcd hold, in MiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holdings {
    /// Resident memory of the API server.
    pub server: f64,
    /// Of it, what objects use after the last collection of garbage.
    pub heap: f64,
    /// Resident memory of etcd.
    pub etcd: f64,
    /// What etcd's file holds, without what is free in it.
    pub stored: f64,
}

impl Holdings {
    pub async fn read(server: &ApiServer) -> Self {
        let kernel = |process: &Running| process.resident().0 as f64 / 1_024.0;
        let mib = |text: &str, name: &str| gauge(text, name) / 1_048_576.0;
        Self {
            server: kernel(server.server()),
            heap: mib(&metrics(server).await, "go_memstats_heap_alloc_bytes "),
            etcd: kernel(server.etcd()),
            stored: mib(&server.etcd_metrics().await, "etcd_mvcc_db_total_size_in_use_in_bytes "),
        }
    }
}

impl Sub for Holdings {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self {
            server: self.server - before.server,
            heap: self.heap - before.heap,
            etcd: self.etcd - before.etcd,
            stored: self.stored - before.stored,
        }
    }
}

/// Processor time, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Costs {
    pub operator: f64,
    pub engine: f64,
    pub server: f64,
    pub etcd: f64,
}

impl Costs {
    pub fn each(&self, objects: u64) -> [f64; 4] {
        [self.operator, self.engine, self.server, self.etcd].map(|seconds| seconds * 1_000.0 / objects as f64)
    }
}

impl Sub for Costs {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self {
            operator: self.operator - before.operator,
            engine: self.engine - before.engine,
            server: self.server - before.server,
            etcd: self.etcd - before.etcd,
        }
    }
}

/// Seconds of processor time that a process has used.
pub fn busy(process: &Running) -> f64 {
    Duration::from_millis(process.processor_time() * 10).as_secs_f64()
}

async fn metrics(server: &ApiServer) -> String {
    let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
    server.client().request_text(request).await.unwrap()
}

fn value(line: &str) -> u64 {
    line.rsplit(' ').next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) as u64
}

fn gauge(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}
