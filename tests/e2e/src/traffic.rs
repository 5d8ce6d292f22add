//! Clients that pay over gRPC from the tenant's pod while faults happen, each one payment after another.
//!
//! A payment without an answer is sent again with its key, as callers are told to do, until it has one. Each answer is noted
//! with the moment when it came, so a test can count what was acknowledged and say for how long nobody was served.

use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::{sync::watch, task::JoinHandle};

use crate::TestTenant;
use crate::cluster::{DEADLINE, within};

/// How many pay at once: a cluster of two cores has something left to do.
pub const CLIENTS: usize = 2;

/// Reads keys, pays once per key, and prints the answer in one line.
const SCRIPT: &str = r#"
cd /var/run/secrets/payplane
while read -r key; do
  body=$(printf '%s' "$0" | sed "s/KEY/$key/")
  until said=$(grpcurl -max-time 10 -cacert ca.crt -H "authorization: Bearer $(cat token)" -import-path /proto \
    -proto payplane/v1/payment_service.proto -d "$body" "$(cat endpoint)" \
    payplane.v1.PaymentService/CreatePayment 2>&1); do
    echo "no answer: $said" | tr -d '\n'; echo
    sleep 0.1
  done
  echo "$said" | tr -d '\n'; echo
done
"#;

/// Payments under way.
#[derive(Debug)]
pub struct Traffic {
    answers: watch::Receiver<Vec<Instant>>,
    stop: watch::Sender<bool>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Traffic {
    /// Begins to pay dollars from one wallet to another, from the tenant's client pod.
    pub fn start(tenant: &TestTenant, from: &str, to: &str) -> Self {
        let wallet = |name: &str| json!({"name": format!("{}/{name}", tenant.name)});
        let body = json!({
            "idempotency_key": "KEY", "from": wallet(from), "to": wallet(to),
            "amount": {"amount": "1.00", "currency": "USD"},
        });
        let (answered, answers) = watch::channel(Vec::new());
        let stop = watch::Sender::new(false);
        let client = |number| {
            let pipe = Pipe::open(&tenant.name, &body);
            tokio::spawn(pay(number, pipe, answered.clone(), stop.subscribe()))
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { answers, stop, clients }
    }

    /// How many payments were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.answers.borrow().len()
    }

    /// Waits until so many more are acknowledged.
    pub async fn flows(&self, more: usize) {
        let wanted = self.acknowledged() + more;
        let mut answers = self.answers.clone();
        let enough = within(DEADLINE, answers.wait_for(|all| wanted <= all.len())).await;
        drop(enough.expect("payments do not flow").expect("every client has ended"));
    }

    /// The longest time since then in which nobody got an answer.
    pub fn longest_gap(&self, since: Instant) -> Duration {
        let answers = self.answers.borrow();
        let gap = |pair: &[Instant]| pair[1].saturating_duration_since(pair[0].max(since));
        answers.windows(2).map(gap).max().unwrap_or_default()
    }

    /// Lets every payment that was begun be answered; gives their ids.
    pub async fn stop(self) -> Vec<String> {
        self.stop.send_replace(true);
        join_all(self.clients).await.into_iter().flat_map(|ids| ids.expect("a client failed")).collect()
    }
}

async fn pay(
    number: usize,
    mut pipe: Pipe,
    answered: watch::Sender<Vec<Instant>>,
    stop: watch::Receiver<bool>,
) -> Vec<String> {
    let mut ids = Vec::new();
    while !*stop.borrow() {
        let key = format!("client-{number}-{}", ids.len());
        let answer = pipe.pay(&key).await;
        let payment = &answer["outcome"]["payment"];
        assert_eq!(payment["state"], "PAYMENT_STATE_COMPLETED", "{key}: {answer}");
        ids.push(payment["id"].as_str().expect("a payment has an id").to_owned());
        answered.send_modify(|all| all.push(Instant::now()));
    }
    ids
}

/// The script, running in the client pod.
struct Pipe {
    keys: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// Killed when this goes.
    _process: Child,
}

impl Pipe {
    fn open(namespace: &str, body: &Value) -> Self {
        let mut command = Command::new("kubectl");
        command.args(["exec", "-i", "-n", namespace, "client", "--", "sh", "-c", SCRIPT, &body.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("kubectl did not run");
        let keys = process.stdin.take().expect("stdin is piped");
        let lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines();
        Self { keys, lines, _process: process }
    }

    /// The first answer to this payment.
    async fn pay(&mut self, key: &str) -> Value {
        self.keys.write_all(format!("{key}\n").as_bytes()).await.expect("the client pod is gone");
        let mut last = String::new();
        let answer = within(DEADLINE, async {
            loop {
                last = self.lines.next_line().await.expect("no text").expect("the client pod is gone");
                if let Ok(answer) = serde_json::from_str(&last) {
                    return answer;
                }
            }
        });
        let answer = answer.await;
        answer.unwrap_or_else(|| panic!("{key} got no answer; the last attempt: {last}"))
    }
}
