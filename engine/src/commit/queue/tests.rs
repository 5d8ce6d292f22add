#![cfg(not(feature = "model"))]

use super::{
    sample::{group, job},
    *,
};

fn tenants(jobs: &[Job]) -> Vec<u128> {
    jobs.iter().map(|job| job.group[0].tenant.uuid().as_u128()).collect()
}

#[tokio::test]
async fn tenants_take_turns() {
    let queue = Queue::default();
    let mut callers = Vec::new();
    for tenant in [1, 1, 1, 1, 2, 3] {
        let (job, caller) = job(tenant);
        queue.push(job).unwrap();
        callers.push(caller);
    }
    assert_eq!(tenants(&queue.take(1, 4).await), [1, 2, 3, 1]);
    assert_eq!(tenants(&queue.take(1, 4).await), [1, 1]);
    assert_eq!(queue.depth(), 0);
}

#[tokio::test]
async fn a_line_is_bounded_and_others_are_not_affected() {
    let queue = Queue::default();
    let mut callers = Vec::new();
    for _ in 0..TENANT_WAITING_MAX {
        let (job, caller) = job(1);
        queue.push(job).unwrap();
        callers.push(caller);
    }
    assert_eq!(queue.push(job(1).0), Err(CommitError::QueueFull));
    let (other, _caller) = job(2);
    assert_eq!(queue.push(other), Ok(()));
    assert_eq!(tenants(&queue.take(1, 2).await), [1, 2]);
}

#[tokio::test]
async fn callers_that_have_gone_are_left_out() {
    let queue = Queue::default();
    let (gone, caller) = job(1);
    drop(caller);
    queue.push(gone).unwrap();
    let (waiting, _caller) = job(2);
    queue.push(waiting).unwrap();
    assert_eq!(tenants(&queue.take(1, 10).await), [2]);
}

#[tokio::test]
async fn a_closed_queue_serves_what_waits_and_then_ends() {
    let queue = Queue::default();
    let (waiting, _caller) = job(1);
    queue.push(waiting).unwrap();
    queue.close();
    assert_eq!(queue.push(job(1).0), Err(CommitError::Draining));
    assert_eq!(queue.take(1, 10).await.len(), 1);
    assert!(queue.take(1, 10).await.is_empty());
}

#[tokio::test]
async fn a_group_stays_together_and_counts_with_all_its_items() {
    let queue = Queue::default();
    let (large, _large) = group(1, 60);
    queue.push(large).unwrap();
    let (other, _other) = group(2, 60);
    queue.push(other).unwrap();
    let (small, _small) = job(1);
    queue.push(small).unwrap();
    assert_eq!(queue.depth(), 121);
    // Two groups of sixty do not fit into a hundred, so the second waits for the next batch.
    assert_eq!(tenants(&queue.take(1, 100).await), [1]);
    assert_eq!(tenants(&queue.take(1, 100).await), [2, 1]);
    let (too_large, _caller) = group(1, TENANT_WAITING_MAX + 1);
    assert_eq!(queue.push(too_large), Err(CommitError::QueueFull));
}
