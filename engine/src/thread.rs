//! Threads with a scheduler of their own, for what takes a processor for milliseconds. The threads that read and answer
//! everybody's calls shall be idle nearly always: whoever calls waits for its turn there several times, and the operating
//! system lets a thread that was idle run at once.
//!
//! - A committer: beside calls it would wait for its turn whenever a batch has landed, and everybody's next batch with it; and
//!   while it decides a large batch, nobody's calls would be read.
//! - Calls of many items ([`Apart`]): each of them is read and asked for at once.

use std::{cell::OnceCell, convert::Infallible, io, sync::Arc, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::JoinSet,
};

/// Why work on a thread of its own has not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ThreadError {
    /// It never began.
    #[error("the thread could not be started")]
    NotStarted(#[from] io::Error),
    /// It panicked.
    #[error("the thread panicked")]
    Panicked,
}

thread_local! {
    static HOME: OnceCell<Handle> = const { OnceCell::new() };
}

/// The scheduler that serves everybody, also for work that runs apart from it. What is used by many has to begin there, such as
/// work with the database: a connection of the pool is served, whoever has it later, by the scheduler on which it was made.
pub fn home() -> Handle {
    HOME.with(|known| known.get().cloned()).unwrap_or_else(Handle::current)
}

/// A thread on which pieces of work run by turns. Ends with the last of its clones.
#[derive(Clone, Debug)]
pub struct Apart {
    scheduler: Handle,
    _wanted: Arc<oneshot::Sender<Infallible>>,
}

impl Apart {
    /// Starts a thread of this name.
    pub async fn new(name: &'static str) -> Result<Self, ThreadError> {
        let (sender, scheduler) = oneshot::channel();
        let (wanted, unwanted) = oneshot::channel();
        let home = Handle::current();
        let thread = tokio::spawn(on_a_thread(name, async {
            let _ = HOME.with(|known| known.set(home));
            let _ = sender.send(Handle::current());
            let _ = unwanted.await;
        }));
        let Ok(scheduler) = scheduler.await else {
            return Err(thread.await.ok().and_then(Result::err).unwrap_or(ThreadError::Panicked));
        };
        Ok(Self { scheduler, _wanted: Arc::new(wanted) })
    }

    /// Runs work there until it ends. Dropping this ends the work where it waits next.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ThreadError> {
        let mut alone = JoinSet::new();
        alone.spawn_on(work, &self.scheduler);
        let ended = alone.join_next().await;
        ended.and_then(Result::ok).ok_or(ThreadError::Panicked)
    }
}

/// Runs work on a thread of this name until it ends. Dropping this ends the work where it waits next, and the thread.
pub async fn on_a_thread(
    name: &str,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ThreadError> {
    let (sender, ended) = oneshot::channel();
    // Lives as long as somebody waits here.
    let (_wanted, unwanted) = oneshot::channel::<Infallible>();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let result = runtime.map(|runtime| {
            runtime.block_on(async {
                tokio::select! { () = work => {} _ = unwanted => {} }
            });
        });
        // Nobody listens any more if it was not wanted any more.
        let _ = sender.send(result);
    })?;
    Ok(ended.await.map_err(|_| ThreadError::Panicked)??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_under_the_threads_name_and_ends_with_it() {
        let (sender, named) = oneshot::channel();
        let work = async move {
            let _ = sender.send(thread::current().name().map(str::to_owned));
        };
        on_a_thread("apart", work).await.unwrap();
        assert_eq!(named.await.unwrap().as_deref(), Some("apart"));
    }

    #[tokio::test]
    async fn work_that_panics_is_told() {
        let told = on_a_thread("apart", async { panic!("of this test") }).await;
        assert!(matches!(told, Err(ThreadError::Panicked)), "{told:?}");
    }

    #[tokio::test]
    async fn pieces_run_on_one_thread_and_end_when_nobody_waits_for_them() {
        let apart = Apart::new("apart").await.unwrap();
        let name = async || apart.run(async { thread::current().name().map(str::to_owned) }).await.unwrap();
        assert_eq!(name().await.as_deref(), Some("apart"));
        let (held, is_gone) = oneshot::channel::<Infallible>();
        let (sender, began) = oneshot::channel();
        let endless = apart.run(async move {
            let _held = held;
            let _ = sender.send(());
            std::future::pending::<()>().await;
        });
        tokio::select! {
            _ = endless => unreachable!("it does not end"),
            began = began => began.unwrap(),
        }
        assert!(is_gone.await.is_err(), "dropped with the call");
        assert!(apart.run(async { panic!("of this test") }).await.is_err(), "told");
        assert_eq!(name().await.as_deref(), Some("apart"), "and the others go on");
    }

    #[tokio::test]
    async fn what_begins_at_home_runs_there_from_anywhere() {
        let apart = Apart::new("apart").await.unwrap();
        let name = || thread::current().name().map(str::to_owned);
        let there =
            apart.run(async move { home().spawn(async move { name() }).await.unwrap() }).await.unwrap();
        assert_eq!((there, home().id()), (name(), Handle::current().id()));
    }

    #[tokio::test]
    async fn a_thread_ends_when_nobody_can_use_it() {
        let apart = Apart::new("apart").await.unwrap();
        let (held, is_gone) = oneshot::channel::<Infallible>();
        let (clone, (sender, began)) = (apart.clone(), oneshot::channel());
        apart.scheduler.spawn(async move {
            let _held = held;
            let _ = sender.send(());
            std::future::pending::<()>().await;
        });
        began.await.unwrap();
        drop((apart, clone));
        assert!(is_gone.await.is_err(), "with everything on it");
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_ends() {
        let (held, is_gone) = oneshot::channel::<Infallible>();
        let work = async move {
            let _held = held;
            std::future::pending::<()>().await;
        };
        let waiting = tokio::spawn(on_a_thread("apart", work));
        tokio::task::yield_now().await;
        waiting.abort();
        assert!(is_gone.await.is_err(), "dropped with the work");
    }
}
