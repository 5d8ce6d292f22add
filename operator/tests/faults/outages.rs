//! K6 and what else servers do: watches break, answer 410, requests are slow, lost or refused; API server, engine and
//! database go away and come back. Statuses are right within a minute, and nothing runs hot.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    Paid,
    bed::{
        Bed, Fault, Rule, eventually,
        site::{condition, dollar, is_true, wait},
        switch::Call,
    },
    settle_up, sized,
};

fn is_status(call: &Call) -> bool {
    call.verb == "PATCH" && call.kind == "payments/status"
}

fn is_money(call: &Call) -> bool {
    ["CreatePayment", "AuthorizePayment", "CapturePayment"].contains(&call.kind.as_str())
}

/// Names, and what they must come to, over all faults.
struct Storm {
    bed: Bed,
    paid: Paid,
    lines: Vec<String>,
}

impl Storm {
    /// One payment and one hold under a name.
    async fn pay(&mut self, name: &str) {
        self.bed.tenant.pay(name).await;
        let hold = format!("{name}-hold");
        self.bed.tenant.hold(&hold).await;
        self.paid.dollars.push(name.into());
        self.paid.holds.push(hold);
    }

    /// Everything is paid once; tells what the fault cost.
    async fn settle(&mut self, fault: &str) {
        let started = Instant::now();
        settle_up(&self.bed.tenant, &self.bed.books(), &self.paid).await;
        let (api, engine) = (&self.bed.site.to_api.switch, &self.bed.site.to_engine.switch);
        let (fired, writes) = (api.strikes() + engine.strikes(), api.writes());
        self.lines.push(format!(
            "{fault}: right after {:?}, fired {fired} in all, {writes} writes so far",
            started.elapsed()
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_fail_cost_time_and_nothing_else() {
    let mut storm = Storm { bed: Bed::new().await, paid: Paid::default(), lines: Vec::new() };
    let (api, engine) = (storm.bed.site.to_api.switch.clone(), storm.bed.site.to_engine.switch.clone());

    for code in [409, 429, 500] {
        api.set(vec![Rule::first(3, Fault::Answer(code), is_status)]);
        let fired = api.strikes();
        storm.pay(&format!("status-{code}")).await;
        storm.settle(&format!("three status writes get {code}")).await;
        assert_eq!(api.strikes() - fired, 3, "{code} has not fired");
    }
    for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
        let word = format!("{fault:?}").to_lowercase();
        api.set(vec![Rule::first(3, fault, is_status)]);
        engine.set(vec![Rule::first(3, fault, is_money)]);
        let (writes, calls) = (api.strikes(), engine.strikes());
        storm.pay(&word).await;
        storm.settle(&word).await;
        let (writes, calls) = (api.strikes() - writes, engine.strikes() - calls);
        assert!(1 < writes && 1 < calls, "{word}: {writes} writes and {calls} calls");
    }

    api.cut();
    storm.pay("cut").await;
    storm.settle("every connection to the API server breaks").await;
    api.set(vec![Rule::first(40, Fault::Answer(410), |call| call.verb == "WATCH")]);
    api.cut();
    let listed = api.calls("LIST", "payments");
    storm.pay("gone").await;
    storm.settle("watches answer 410").await;
    assert!(listed < api.calls("LIST", "payments"), "nobody listed again after 410");
    unseen(&mut storm).await;
    let slow = Fault::Delay(Duration::from_millis(700));
    api.set(vec![Rule::every(slow, |call| call.verb != "WATCH" && call.kind != "leases")]);
    storm.pay("slow").await;
    storm.settle("the API server is slow").await;
    api.heal();

    storm.bed.site.api.stop();
    // The fault itself: nobody answers for so long.
    tokio::time::sleep(Duration::from_secs(sized(3, 300) as u64)).await;
    storm.bed.site.api.start().await;
    storm.pay("restarted").await;
    storm.settle("the API server was away").await;
    assert!(storm.bed.operator.process.ended().is_none(), "the operator ended");

    away(&mut storm).await;
    is_idle(&mut storm).await;
    println!("{}", storm.lines.join("\n"));
}

/// A Payment that waits for its payee is deleted while no watch works, and the payee made; then every watch works again
/// but that of Payments, whose cache still has it. It must not be paid.
async fn unseen(storm: &mut Storm) {
    let api = storm.bed.site.to_api.switch.clone();
    let mut spec = dollar();
    spec["to"] = json!({"name": "dora"});
    storm.bed.tenant.create("Payment", "withdrawn", spec).await;
    wait(&storm.bed.tenant.payments(), "withdrawn", "waits for its payee", |payment| {
        condition(payment, "Ready").is_some_and(|ready| ready["status"] == "False")
    })
    .await;
    let fired = api.strikes();
    let watches = |call: &Call| ["WATCH", "LIST"].contains(&call.verb);
    api.set(vec![Rule::every(Fault::Answer(500), watches)]);
    api.cut();
    api.struck(fired + 1).await;
    storm.bed.tenant.delete("withdrawn").await;
    storm.bed.tenant.wallet("dora").await;
    let looked = api.calls("GET", "payments");
    api.set(vec![Rule::every(Fault::Answer(500), move |call| watches(call) && call.kind == "payments")]);
    wait(&storm.bed.tenant.wallets(), "dora", "is ready", |wallet| is_true(wallet, "Ready")).await;
    eventually("the payment is looked at", async || (looked < api.calls("GET", "payments")).then_some(()))
        .await;
    api.heal();
    storm.pay("after-withdrawn").await;
    storm.settle("a deletion that no watch saw").await;
    assert_eq!(storm.bed.books().balance("dora").await.0, "0.00", "a deleted Payment was paid");
}

/// The engine, and then its database, are away for a while.
async fn away(storm: &mut Storm) {
    let seconds = sized(4, 120) as u64;
    for what in ["engine", "database"] {
        match what {
            "engine" => storm.bed.ledger.stop_engine(),
            _ => storm.bed.ledger.stop_postgres(),
        }
        let engine = storm.bed.site.to_engine.switch.clone();
        engine.reset();
        let (started, writes) = (Instant::now(), storm.bed.site.to_api.switch.writes());
        storm.pay(what).await;
        let name = storm.paid.dollars.last().unwrap().clone();
        wait(&storm.bed.tenant.payments(), &name, "says that the engine is away", |payment| {
            condition(payment, "Ready").is_some_and(|ready| ready["reason"] == "EngineUnavailable")
        })
        .await;
        // The fault itself: it is away for so long.
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        // Two payments wait 0.1 to 0.2 s, then twice as long each time, up to 15 s; wallets and the tenant likewise.
        let (calls, bound) = (engine.all_calls(), 5 * (8 + started.elapsed().as_secs() / 7));
        assert!(calls <= bound, "{bound} calls to a {what} that is away would be enough: {}", engine.table());
        let writes = storm.bed.site.to_api.switch.writes() - writes;
        assert!(writes <= 20, "{writes} writes while the {what} was away");
        match what {
            "engine" => storm.bed.ledger.start_engine().await,
            _ => storm.bed.ledger.start_postgres().await,
        }
        storm.settle(&format!("{what} away {seconds} s: {calls} calls, {writes} writes meanwhile")).await;
    }
}

/// With nothing to do, nothing is written and hardly anybody is asked.
async fn is_idle(storm: &mut Storm) {
    let (api, engine) = (storm.bed.site.to_api.switch.clone(), storm.bed.site.to_engine.switch.clone());
    // What the last faults left behind ends first: events, and wallets that are gathered.
    tokio::time::sleep(Duration::from_secs(3)).await;
    api.reset();
    engine.reset();
    let seconds = sized(10, 120) as u64;
    // Time is what is measured here.
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    assert_eq!(api.writes(), 0, "an idle operator writes: {}", api.table());
    // The refresher every ten seconds, the audit of settled payments every thirty.
    let settled = 3 * storm.paid.names().count() as u64;
    let bound = (seconds / 10 + 1) + settled * (seconds / 30 + 1);
    assert!(engine.all_calls() <= bound, "an idle operator asks: {}", engine.table());
    storm.lines.push(format!("idle {seconds} s: no writes, {} calls", engine.all_calls()));
}
