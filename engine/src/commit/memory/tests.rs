//! What one lane's committer learned holds in the other, as far as numbers allow.

use payplane_ledger::{Account, AccountId, AccountKind, Balance, Currency, Sequence, Status};
use uuid::Uuid;

use super::*;
use crate::commit::queue::sample;

fn tenant() -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(1))
}

/// The memories of two lanes, each with a number of its own and all settings.
fn lanes(numbers: [i64; 2]) -> [Memory; 2] {
    let accounts = Arc::<Accounts>::default();
    numbers.map(|next_batch| {
        let mut memory = Memory::new(accounts.clone());
        memory.learn_settings(1, vec![(tenant(), Arc::new(Parameters::new(Vec::new())))]);
        memory.was_right(written(next_batch));
        memory
    })
}

const fn written(next_batch: i64) -> Written {
    Written { next_batch: BatchId(next_batch), now: Timestamp(0) }
}

/// The two accounts of a sample request after a batch.
fn after(batch: BatchId) -> Snapshot {
    let mut snapshot = Snapshot::new(batch);
    for id in [1, 2] {
        let account = Account {
            currency: Currency::parse("USD").unwrap(),
            kind: AccountKind::Wallet,
            status: Status::Active,
            class: Arc::from(""),
            floor: 0,
            ceiling: None,
            balance: Balance { posted_credits: 100, version: 1, ..Balance::default() },
            last: batch.sequence(0),
        };
        snapshot.insert_account(tenant(), AccountId::from_uuid(Uuid::from_u128(id)), account);
    }
    snapshot
}

/// The last operations of the accounts that a memory would decide on; none if it would not decide.
fn remembered(memory: &Memory) -> Vec<Sequence> {
    let (job, _) = sample::job(1);
    let requests: Vec<&Request> = job.group.iter().collect();
    let known = memory.snapshot(&requests);
    known.iter().flat_map(|(snapshot, _)| snapshot.accounts()).map(|(_, _, account)| account.last).collect()
}

#[test]
fn a_tenant_that_changes_lanes_is_known_there() {
    let [mut short, long] = lanes([8, 12]);
    assert_eq!(remembered(&long), []);
    short.learn(&after(BatchId(8)), written(16));
    assert_eq!(remembered(&long), [BatchId(8).sequence(0); 2]);
}

#[test]
fn a_lane_whose_number_is_older_than_an_account_draws_another() {
    let [mut short, mut long] = lanes([8, 4]);
    short.learn(&after(BatchId(8)), written(16));
    assert_eq!(remembered(&long), []);
    long.was_right(written(20));
    assert_eq!(remembered(&long), [BatchId(8).sequence(0); 2]);
}

#[test]
fn what_was_sent_in_one_lane_is_never_older_in_the_other() {
    let [mut short, mut long] = lanes([8, 12]);
    short.learn(&after(BatchId(8)), written(16));
    long.left(&after(BatchId(12)), BatchId(12));
    assert_eq!(remembered(&short), [BatchId(12).sequence(0); 2]);
}

#[test]
fn a_connection_that_broke_is_believed_in_neither_lane() {
    let [mut short, long] = lanes([8, 12]);
    short.learn(&after(BatchId(8)), written(16));
    short.forget();
    assert_eq!(remembered(&long), []);
}

#[test]
fn a_tenant_whose_accounts_are_in_use_holds_up_nobody_else() {
    let [mut short, long] = lanes([8, 12]);
    short.learn(&after(BatchId(8)), written(16));
    let other = TenantId::from_uuid(Uuid::from_u128(2));
    let mut snapshot = Snapshot::new(BatchId(4));
    let account = after(BatchId(4)).accounts().next().map(|(_, id, account)| (id, account.clone())).unwrap();
    snapshot.insert_account(other, account.0, account.1);
    long.accounts.learn(&snapshot);
    let others = long.accounts.of(other).unwrap();
    let _in_use = others.try_lock().unwrap();
    assert_eq!(remembered(&long), [BatchId(8).sequence(0); 2], "or this never ends");
}

#[test]
fn all_are_forgotten_before_they_are_too_many() {
    let accounts = Accounts::default();
    let one = after(BatchId(8)).accounts().next().map(|(.., account)| account.clone()).unwrap();
    let many = |tenant: u128, count: u128| {
        let mut snapshot = Snapshot::new(BatchId(8));
        for id in 0..count {
            let id = AccountId::from_uuid(Uuid::from_u128(id));
            snapshot.insert_account(TenantId::from_uuid(Uuid::from_u128(tenant)), id, one.clone());
        }
        snapshot
    };
    let known = |tenant: u128| {
        let tenant = accounts.of(TenantId::from_uuid(Uuid::from_u128(tenant)));
        tenant.map(|accounts| accounts.try_lock().unwrap().len())
    };
    accounts.learn(&many(1, 60_000));
    accounts.learn(&many(2, 5_000));
    assert_eq!((known(1), known(2)), (Some(60_000), Some(5_000)));
    accounts.learn(&many(3, 1_000));
    assert_eq!((known(1), known(2), known(3)), (None, None, Some(1_000)));
}
