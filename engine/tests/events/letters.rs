//! Events that Kafka refuses for what they are.

use std::collections::HashMap;

use payplane_proto::v1 as proto;
use tonic::Code;

use super::{
    flow::status,
    oracle::Expected,
    support::{
        client::{Client, code, fields, paid, payment},
        eventually,
        kafka::{Kafka, Seen},
        world::World,
    },
    traffic::wallets,
};

const SMALL: usize = 4_000;
const LARGE: usize = 100_000;

/// A payment whose event is larger than [`SMALL`].
async fn pay_with_much_to_say(client: &Client, key: &str) -> String {
    let metadata: HashMap<String, String> =
        (0..16).map(|number| (format!("label-{number}"), "x".repeat(250))).collect();
    let request = proto::CreatePaymentRequest { metadata, ..payment(key, "alice", "bob", "1.00") };
    paid(&client.pay(request).await.unwrap()).id.clone()
}

async fn letters(client: &Client, include_settled: bool) -> Vec<proto::DeadLetter> {
    let request = proto::ListDeadLettersRequest { page_size: 1, include_settled, ..Default::default() };
    let mut all = Vec::new();
    let mut token = String::new();
    loop {
        let request = proto::ListDeadLettersRequest { page_token: token, ..request.clone() };
        let page = client.events.clone().list_dead_letters(request).await.unwrap().into_inner();
        all.extend(page.dead_letters);
        token = page.next_page_token;
        if token.is_empty() {
            return all;
        }
    }
}

async fn waiting(client: &Client, count: usize) -> Vec<proto::DeadLetter> {
    eventually("dead letters", async || Some(letters(client, false).await).filter(|all| all.len() == count))
        .await
}

async fn retry(client: &Client, event_id: &str) -> Result<(), tonic::Status> {
    let request =
        proto::RetryDeadLetterRequest { event_id: event_id.to_owned(), reason: "larger now".to_owned() };
    client.events.clone().retry_dead_letter(request).await.map(|_| ())
}

fn has<'a>(id: &'a str) -> impl Fn(&[Seen]) -> bool + 'a {
    move |seen| seen.iter().any(|seen| seen.id() == id)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kafka_refuses_waits_apart_and_holds_up_nothing() {
    let (kafka, mut world) = (Kafka::shared(), World::new().await);
    kafka.answers().await;
    let operator = wallets(&world).await;
    let (files, topic) = kafka.files();
    kafka.create_topic(&topic, SMALL).await;
    world.kafka_dir = Some(files.path().to_owned());
    world.add_engine(world.database.app_dir()).await;
    let platform = world.on_behalf_of("acme", "erin");

    // The engine knows the topic's bound: not sent, and the next ones are.
    let poison = pay_with_much_to_say(&operator, "poison").await;
    let next = paid(&operator.pay(payment("next", "alice", "bob", "1.00")).await.unwrap()).clone();
    let mut reader = kafka.reader(&topic).await;
    let next_id = format!("{}/{}", next.id, next.from_wallet_id);
    reader.until("the payment after it", has(&next_id)).await;
    let found = waiting(&platform, 2).await;
    assert!(found.iter().all(|letter| letter.event_id.starts_with(&poison)), "{found:?}");
    assert!(found[0].problem.contains("4000"), "{}", found[0].problem);
    assert_eq!((&*found[0].tenant, found[0].attempts), ("acme", 1));
    assert_eq!(status(&platform).await.dead_letters, 2);

    // Sent again while nothing has changed, it waits again; when the topic takes more, it arrives.
    let again = &found[0].event_id;
    assert_eq!(code(retry(&world.as_role("acme", "admin"), again).await), Code::PermissionDenied);
    assert_eq!(fields(&retry(&platform, "x").await.unwrap_err()), ["event_id"]);
    assert_eq!(code(retry(&platform, &format!("{poison}/{poison}")).await), Code::NotFound);
    retry(&platform, again).await.unwrap();
    eventually("the second refusal", async || {
        let all = letters(&platform, false).await;
        all.iter().any(|letter| letter.event_id == *again && letter.attempts == 2).then_some(())
    })
    .await;
    kafka.bound_topic(&topic, LARGE).await;
    retry(&platform, again).await.unwrap();
    reader.until("the letter", has(again)).await;
    let settled = eventually("the letter to be settled", async || {
        let all = letters(&platform, true).await;
        all.into_iter().find(|letter| letter.state() == proto::DeadLetterState::Sent)
    });
    let settled = settled.await;
    assert_eq!((&settled.event_id, &*settled.decided_by, &*settled.reason), (again, "erin", "larger now"));

    // The bound sinks behind the engine's back: the broker refuses, and the engine finds out which one it was.
    kafka.bound_topic(&topic, SMALL).await;
    let second = pay_with_much_to_say(&operator, "poison behind its back").await;
    let last = paid(&operator.pay(payment("last", "alice", "bob", "1.00")).await.unwrap()).clone();
    reader.until("the payment after it", has(&format!("{}/{}", last.id, last.to_wallet_id))).await;
    let found = waiting(&platform, 3).await;
    let of_second: Vec<_> = found.iter().filter(|letter| letter.event_id.starts_with(&second)).collect();
    assert_eq!(of_second.len(), 2);

    // Given up: kept with who and why, and neither sent nor listed any more.
    let drop = proto::DropDeadLetterRequest {
        event_id: of_second[0].event_id.clone(),
        reason: "nobody needs it".to_owned(),
    };
    platform.events.clone().drop_dead_letter(drop.clone()).await.unwrap();
    assert_eq!(code(platform.events.clone().drop_dead_letter(drop).await), Code::FailedPrecondition);
    waiting(&platform, 2).await;
    let acts: Vec<(i16, String)> =
        sqlx::query_as("select act, actor from payplane.event_acts order by act_id")
            .fetch_all(&mut world.database.superuser().await)
            .await
            .unwrap();
    let erin = || "erin".to_owned();
    assert_eq!(acts, [(1, erin()), (1, erin()), (2, erin())]);
    // Everything else is there: all but the letters that wait or were dropped.
    let expected = Expected::read(&world).await;
    let missing = 3;
    let enough = |seen: &[Seen]| {
        expected.len() - missing <= seen.iter().map(Seen::id).collect::<std::collections::HashSet<_>>().len()
    };
    let seen = reader.until("the rest", enough).await;
    println!(
        "4 events refused, 1 sent after all, 1 dropped, 2 wait; {} of {} events arrived",
        seen.iter().map(Seen::id).collect::<std::collections::HashSet<_>>().len(),
        expected.len()
    );
}
