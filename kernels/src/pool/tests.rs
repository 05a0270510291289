use super::*;
use std::collections::HashSet;
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;

/// How often each task of a region ran.
fn counts(tasks: usize, threads: usize) -> Vec<usize> {
    let counts: Vec<_> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
    run(tasks, threads, &|task| {
        counts[task].fetch_add(1, Ordering::Relaxed);
    });
    counts.into_iter().map(AtomicUsize::into_inner).collect()
}

#[test]
fn each_task_runs_once_whatever_the_threads() {
    for threads in [0, 1, 2, 5] {
        for tasks in [0, 1, 2, 3, 100] {
            assert_eq!(counts(tasks, threads), vec![1; tasks], "{tasks} tasks on {threads} threads");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "slow")]
fn many_callers_at_once() {
    thread::scope(|scope| {
        for caller in 0..8 {
            scope.spawn(move || {
                for round in 0..300 {
                    let tasks = 2 + (caller * 7 + round) % 40;
                    assert_eq!(counts(tasks, 1 + round % 4), vec![1; tasks]);
                }
            });
        }
    });
}

/// Each of two tasks waits for the other to begin, which takes two threads.
#[test]
fn workers_help() {
    let both = Barrier::new(2);
    let threads = Mutex::new(HashSet::new());
    run(2, 2, &|_| {
        both.wait();
        lock(&threads).insert(thread::current().id());
    });
    assert_eq!(lock(&threads).len(), 2);
}

/// A region whose helpers are all stuck elsewhere is done by its caller.
#[test]
fn callers_need_nobody() {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            run(2, 2, &|_| {
                while !done.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            });
        });
        for _ in 0..100 {
            assert_eq!(counts(50, 2), [1; 50]);
        }
        done.store(true, Ordering::Release);
    });
}

#[test]
fn regions_within_tasks_stay_on_their_thread() {
    run(4, 3, &|_| {
        let outer = thread::current().id();
        assert_eq!(threads(), 1);
        run(10, 3, &|_| assert_eq!(thread::current().id(), outer));
    });
    assert_ne!(with_threads(3, threads), 1);
}

#[test]
fn panics_reach_the_caller_and_leave_no_task_running() {
    for round in 0..if cfg!(miri) { 2 } else { 100 } {
        let running = AtomicUsize::new(0);
        let result = catch_unwind(AssertUnwindSafe(|| {
            run(20, 3, &|task| {
                running.fetch_add(1, Ordering::Relaxed);
                if task == round % 20 {
                    running.fetch_sub(1, Ordering::Relaxed);
                    resume_unwind(Box::new("expected"));
                }
                running.fetch_sub(1, Ordering::Relaxed);
            });
        }));
        assert_eq!(result.expect_err("a panic").downcast_ref(), Some(&"expected"));
        assert_eq!(running.into_inner(), 0);
        assert!(!IN_TASK.get());
        assert_eq!(counts(30, 3), [1; 30]);
    }
}

#[test]
fn the_number_of_threads_is_restored() {
    let before = threads();
    let panicked = catch_unwind(|| with_threads(7, || -> () { resume_unwind(Box::new(threads())) }));
    assert_eq!(panicked.expect_err("a panic").downcast_ref(), Some(&7usize));
    assert_eq!(threads(), before);
    assert_eq!(with_threads(0, threads), 1);
}
