//! What must have arrived, read from the journal past the engine, and whether it did.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::PgConnection;

use crate::support::{eventually, kafka::Seen, world::World};

/// A wallet's change: the event's id, the wallet, its version after it, the operation's sequence and seal.
type Change = (String, String, i64, i64, i64);

/// What the journal says.
pub(crate) struct Expected {
    changes: Vec<Change>,
    /// Operations that changed no wallet.
    others: BTreeSet<String>,
    pub(crate) newest: i64,
}

const CHANGES: &str = "\
    with sealed as (
        select j.*, s.seal from payplane.journal j join payplane.seals s on s.batch_id = j.sequence / 1024
    )
    select operation_id || '/' || debit_account, debit_account::text, debit_version, sequence, seal
    from sealed where debit_version is not null
    union all
    select operation_id || '/' || credit_account, credit_account::text, credit_version, sequence, seal
    from sealed where credit_version is not null
    order by 2, 3";

const OTHERS: &str = "select operation_id::text from payplane.journal \
                      where debit_version is null and credit_version is null";

const UNSEALED: &str = "select count(*) from payplane.unsealed";

const NEWEST: &str = "select seal from payplane.seal_head";

impl Expected {
    /// All that was decided. Whoever asks has stopped asking the engine for more.
    pub(crate) async fn read(world: &World) -> Self {
        let mut superuser = world.database.superuser().await;
        eventually("everything to be sealed", async || {
            (number(&mut superuser, UNSEALED).await == 0).then_some(())
        })
        .await;
        let changes = sqlx::query_as(CHANGES).fetch_all(&mut superuser).await.unwrap();
        let others: Vec<String> = sqlx::query_scalar(OTHERS).fetch_all(&mut superuser).await.unwrap();
        let newest = number(&mut superuser, NEWEST).await;
        Self { changes, others: others.into_iter().collect(), newest }
    }

    pub(crate) fn len(&self) -> usize {
        self.changes.len() + self.others.len()
    }

    /// Whether everything is there, repeated or not.
    pub(crate) fn is_in(&self, seen: &[Seen]) -> bool {
        // The count first: readers ask again and again, and the events of ten minutes are many.
        self.len() <= seen.len() && self.len() <= seen.iter().map(Seen::id).collect::<HashSet<_>>().len()
    }

    /// Without repetitions it is exactly the journal: nothing is missing or invented, and each wallet's versions come in
    /// their order without a gap. Gives the number of repetitions.
    pub(crate) fn assert_is(&self, seen: &[Seen]) -> usize {
        assert!(
            seen.is_sorted_by_key(|seen| seen.offset) || 1 < partitions(seen),
            "one partition, out of order"
        );
        let mut first: HashMap<&str, &Seen> = HashMap::new();
        let mut wallets: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        let mut places: HashMap<&str, i32> = HashMap::new();
        for event in seen {
            let place = *places.entry(&event.key).or_insert(event.partition);
            assert_eq!(place, event.partition, "wallet {} is in two partitions", event.key);
            if let Some(before) = first.get(event.id()) {
                assert_eq!(before.event, event.event, "one id, two events");
                continue;
            }
            first.insert(event.id(), event);
            if let Some(version) = event.version() {
                wallets.entry(&event.key).or_default().push(version);
            }
        }
        let mut others = BTreeSet::new();
        let mut arrived: Vec<Change> = Vec::new();
        for event in first.values() {
            let operation = event.operation();
            let Some(version) = event.version() else {
                assert!(
                    others.insert(operation["id"].as_str().unwrap().to_owned()),
                    "two events of one refusal"
                );
                continue;
            };
            let (sequence, seal) =
                (operation["sequence"].as_i64().unwrap(), operation["seal"].as_i64().unwrap());
            arrived.push((event.id().to_owned(), event.key.clone(), version, sequence, seal));
        }
        arrived.sort_by(|a, b| (&a.1, a.2).cmp(&(&b.1, b.2)));
        let mut expected = self.changes.clone();
        expected.sort_by(|a, b| (&a.1, a.2).cmp(&(&b.1, b.2)));
        assert_eq!(arrived.len(), expected.len(), "events of changes");
        assert_eq!(arrived, expected);
        assert_eq!(others, self.others);
        for (wallet, versions) in wallets {
            let in_order: Vec<i64> = (1..).take(versions.len()).collect();
            assert_eq!(versions, in_order, "the versions of {wallet}");
        }
        seen.len() - first.len()
    }
}

async fn number(superuser: &mut PgConnection, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(superuser).await.unwrap()
}

fn partitions(seen: &[Seen]) -> usize {
    seen.iter().map(|seen| seen.partition).collect::<HashSet<_>>().len()
}
