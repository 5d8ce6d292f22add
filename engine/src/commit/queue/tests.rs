#![cfg(not(feature = "model"))]

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake},
};

use futures::FutureExt as _;

use super::{
    sample::{group, job},
    *,
};

fn tenants(jobs: &[Job]) -> Vec<u128> {
    jobs.iter().map(|job| job.group[0].tenant.uuid().as_u128()).collect()
}

/// Single requests of a tenant. Whoever drops the callers takes them back.
fn push(queue: &Queue, tenant: u128, count: usize) -> Vec<oneshot::Receiver<Answer>> {
    let (jobs, callers): (Vec<_>, Vec<_>) = (0..count).map(|_| job(tenant)).unzip();
    jobs.into_iter().for_each(|job| queue.push(job).unwrap());
    callers
}

/// What is there now.
fn look(queue: &Queue, lane: Lane) -> Vec<Job> {
    queue.take(lane, 1, 1_000).now_or_never().unwrap_or_default()
}

#[tokio::test]
async fn tenants_take_turns() {
    let queue = Queue::default();
    let _callers = [1, 1, 1, 1, 2, 3].map(|tenant| push(&queue, tenant, 1));
    assert_eq!(tenants(&queue.take(Lane::Short, 1, 4).await), [1, 2, 3, 1]);
    assert_eq!(tenants(&queue.take(Lane::Short, 1, 4).await), [1, 1]);
    assert_eq!(queue.depth(), 0);
}

#[tokio::test]
async fn a_committer_that_waits_for_company_is_woken_when_it_has_come() {
    struct Alarm(AtomicUsize);
    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (queue, alarm) = (Queue::default(), Arc::new(Alarm(AtomicUsize::new(0))));
    let mut take = pin!(queue.take(Lane::Short, 3, 8));
    let waker = alarm.clone().into();
    let mut look = || take.as_mut().poll(&mut Context::from_waker(&waker)).map(|jobs| tenants(&jobs));
    assert!(look().is_pending());
    let _two = push(&queue, 1, 2);
    assert_eq!(alarm.0.load(Ordering::Relaxed), 0, "two of three");
    let _third = push(&queue, 1, 1);
    assert_eq!((alarm.0.load(Ordering::Relaxed), look()), (1, Poll::Ready(vec![1, 1, 1])));
}

#[tokio::test]
async fn a_line_is_bounded_and_others_are_not_affected() {
    let queue = Queue::default();
    let _callers = push(&queue, 1, TENANT_WAITING_MAX);
    assert_eq!(queue.push(job(1).0), Err(CommitError::QueueFull));
    let (other, _caller) = job(2);
    assert_eq!(queue.push(other), Ok(()));
    assert_eq!(tenants(&queue.take(Lane::Short, 1, 2).await), [2]);
    assert_eq!(queue.depth(), TENANT_WAITING_MAX);
}

#[tokio::test]
async fn a_line_is_nearly_full_while_those_inside_still_find_room() {
    let queue = Queue::default();
    let [tenant, other] = [1, 2].map(|number| TenantId::from_uuid(uuid::Uuid::from_u128(number)));
    let mut callers = push(&queue, 1, TENANT_NEARLY_FULL - 1);
    assert!(!queue.is_nearly_full(tenant));
    callers.extend(push(&queue, 1, 1));
    assert!(queue.is_nearly_full(tenant) && !queue.is_nearly_full(other));
    callers.extend(push(&queue, 1, TENANT_WAITING_MAX - TENANT_NEARLY_FULL));
}

#[tokio::test]
async fn a_line_that_gets_long_leaves_the_others() {
    let queue = Queue::default();
    let _callers = (push(&queue, 1, SHORT_MAX), push(&queue, 2, 1));
    assert!(look(&queue, Lane::Long).is_empty(), "not longer than a batch");
    let _last = push(&queue, 1, 1);
    assert_eq!(tenants(&look(&queue, Lane::Short)), [2]);
    assert_eq!(look(&queue, Lane::Long).len(), SHORT_MAX + 1);
}

#[tokio::test]
async fn a_line_moves_when_its_last_batch_has_ended() {
    let queue = Queue::default();
    let _first = push(&queue, 1, 2);
    assert_eq!(look(&queue, Lane::Short).len(), 2);
    let (long, _long) = group(1, SHORT_MAX + 1);
    queue.push(long).unwrap();
    assert!(look(&queue, Lane::Long).is_empty() && look(&queue, Lane::Short).is_empty());
    queue.close();
    let mut waiting = pin!(queue.take(Lane::Long, 1, 1_000));
    assert!(waiting.as_mut().now_or_never().is_none(), "closed, but one is on its way");
    queue.ended(Lane::Short);
    assert_eq!(waiting.await.len(), 1);
    assert!(queue.take(Lane::Long, 1, 1_000).await.is_empty());
}

#[tokio::test]
async fn a_committer_that_begins_has_nothing_in_the_air() {
    let queue = Queue::default();
    let _first = push(&queue, 1, 1);
    assert_eq!(look(&queue, Lane::Short).len(), 1);
    let _long = push(&queue, 1, SHORT_MAX + 1);
    queue.begin(Lane::Short);
    assert_eq!(look(&queue, Lane::Long).len(), SHORT_MAX + 1);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_returns_once_its_line_was_short_for_a_while() {
    let queue = Queue::default();
    let _long = push(&queue, 1, SHORT_MAX + 1);
    assert_eq!(look(&queue, Lane::Long).len(), SHORT_MAX + 1);
    let _soon = push(&queue, 1, 1);
    assert_eq!(look(&queue, Lane::Long).len(), 1, "too soon");
    tokio::time::advance(CALM_AFTER).await;
    queue.ended(Lane::Long);
    let _under_way = push(&queue, 1, 1);
    assert_eq!(look(&queue, Lane::Long).len(), 1, "its last batch has not ended");
    queue.ended(Lane::Long);
    queue.ended(Lane::Long);
    let _calm = push(&queue, 1, 1);
    assert_eq!(look(&queue, Lane::Short).len(), 1);
}

#[tokio::test]
async fn callers_that_have_gone_are_left_out() {
    let queue = Queue::default();
    let (gone, caller) = job(1);
    drop(caller);
    queue.push(gone).unwrap();
    let (waiting, _caller) = job(2);
    queue.push(waiting).unwrap();
    assert_eq!(tenants(&queue.take(Lane::Short, 1, 10).await), [2]);
}

#[tokio::test]
async fn a_closed_queue_serves_what_waits_and_then_ends() {
    let queue = Queue::default();
    let (waiting, _caller) = job(1);
    queue.push(waiting).unwrap();
    queue.close();
    assert_eq!(queue.push(job(1).0), Err(CommitError::Draining));
    assert_eq!(queue.take(Lane::Short, 1, 10).await.len(), 1);
    assert!(queue.take(Lane::Short, 1, 10).await.is_empty());
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
    assert_eq!(tenants(&queue.take(Lane::Short, 1, 100).await), [1]);
    assert_eq!(tenants(&queue.take(Lane::Short, 1, 100).await), [2, 1]);
    let (too_large, _caller) = group(1, TENANT_WAITING_MAX + 1);
    assert_eq!(queue.push(too_large), Err(CommitError::QueueFull));
}
