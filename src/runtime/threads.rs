//! Several threads that make things of one kind.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Result;

/// Makes so many things, several threads at once: the system's part of making a session, new memory, takes longer than the runtime's.
///
/// # Errors
/// The first thing that cannot be made; the others are not waited for longer than those that are being made.
pub fn side_by_side<T: Send>(
    count: usize,
    threads: usize,
    make: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut made = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return made;
            }
            let one = make(at);
            if one.is_err() {
                // The others need not go on.
                next.store(count, Ordering::Relaxed);
            }
            made.push((at, one));
        }
    };
    let mut all = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for thread in threads {
            match thread.join() {
                Ok(made) => all.extend(made),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn all_are_made_in_order_and_the_first_failure_is_told() {
        for threads in [1, 2, 5] {
            let all = side_by_side(100, threads, |at| Ok(2 * at)).unwrap();
            assert!(all.into_iter().eq((0..100).map(|at| 2 * at)));
            let some = |at: usize| match at < 30 {
                true => Ok(at),
                false => Err(Error::Usage(at.to_string())),
            };
            let failed = side_by_side(100, threads, some).unwrap_err();
            assert_eq!(failed.to_string(), "30");
        }
    }
}
