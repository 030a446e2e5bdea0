//! Hands that work beside the thread of a job: they read files, compress, seal, open and write.
//!
//! Work is given and its result taken in the order of the job's own thread, so that what is stored does not
//! depend on who was faster. A crew of nobody does everything at once, where it is given.
//!
//! While the job's thread waits for a result it does what nobody has begun. So there are as many threads as
//! processors and none too many (ARCHITECTURE, "On all cores").

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::{self, JoinHandle},
};

use super::Job;
use crate::{
    Error, Result,
    content::{Compressor, Decompressor},
};

type Task = Box<dyn FnOnce(&mut Tools) + Send>;
/// What is to be done with all parts of a task, or with the error that came first.
type End<Q> = Box<dyn FnOnce(Result<Vec<Q>>) + Send>;

/// What each hand keeps from task to task.
pub(crate) struct Tools {
    pub(crate) compressor: Compressor,
    pub(crate) decompressor: Decompressor,
}

impl Tools {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { compressor: Compressor::new()?, decompressor: Decompressor::new()? })
    }
}

/// How many hands a job has beside its own thread, if each needs `hand_bytes` and the rest of the job
/// `first_bytes`.
pub(crate) fn hands(job: &Job, first_bytes: usize, hand_bytes: usize) -> usize {
    let affordable = job.memory_bytes().saturating_sub(first_bytes) / hand_bytes;
    affordable.min(job.threads().saturating_sub(1))
}

/// Threads that take tasks in turn. They start with the first task and end with the crew.
pub(crate) struct Crew {
    size: usize,
    queue: Arc<Queue>,
    hands: Vec<JoinHandle<()>>,
}

impl Crew {
    pub(crate) fn new(size: usize) -> Self {
        Self { size, queue: Arc::default(), hands: Vec::new() }
    }

    /// How many there are.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Does a task at once, on the caller's thread.
    pub(crate) fn here<T>(&mut self, task: impl FnOnce(&mut Tools) -> Result<T>) -> Result<T> {
        let mut own = self.queue.own_tools()?;
        let done = task(&mut own);
        self.queue.put_back(own);
        done
    }

    /// Gives a task away, to be done after those given before.
    pub(crate) fn give<T: Send + 'static>(
        &mut self,
        task: impl FnOnce(&mut Tools) -> Result<T> + Send + 'static,
    ) -> Result<Later<T>> {
        self.give_to(|open| &mut open.tasks, task, || {})
    }

    /// Gives a task away that the caller is about to wait for: it is done before those of [`Self::give`].
    pub(crate) fn give_first<T: Send + 'static>(
        &mut self,
        task: impl FnOnce(&mut Tools) -> Result<T> + Send + 'static,
    ) -> Result<Later<T>> {
        self.give_to(|open| &mut open.first, task, || {})
    }

    /// Gives a task away that goes on from what the one before it, given in the same way, came to: of these only one is
    /// done at a time, and before all that are quick, since others wait for what comes of them.
    pub(crate) fn give_in_turn<T: Send + 'static>(
        &mut self,
        task: impl FnOnce(&mut Tools) -> Result<T> + Send + 'static,
    ) -> Result<Later<T>> {
        let queue = Arc::clone(&self.queue);
        // Who waits for it may want the next one: whose turn that is, must be known before.
        self.give_to(|open| &mut open.in_turn, task, move || queue.end_turn())
    }

    /// Gives a task away that mostly waits for a disk or a network: the hands do it before all others, and the caller
    /// only when there is nothing else.
    pub(crate) fn give_slow<T: Send + 'static>(
        &mut self,
        task: impl FnOnce(&mut Tools) -> Result<T> + Send + 'static,
    ) -> Result<Later<T>> {
        self.give_to(|open| &mut open.slow, task, || {})
    }

    fn give_to<T: Send + 'static>(
        &mut self,
        line: fn(&mut Open) -> &mut VecDeque<Task>,
        task: impl FnOnce(&mut Tools) -> Result<T> + Send + 'static,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<Later<T>> {
        if self.size == 0 {
            return Ok(Later::Here(self.here(task)));
        }
        let (done, result) = sync_channel(1);
        self.put(
            line,
            Box::new(move |tools| {
                let result = task(tools);
                then();
                answer(&done, result);
            }),
        )?;
        Ok(Later::Coming(Coming { result, queue: Arc::clone(&self.queue) }))
    }

    /// As [`Self::give_first`], for a task that takes long: anybody may do a part of it, and whoever does the last
    /// one joins what came of them, in order.
    pub(crate) fn give_first_in_parts<P: Send + 'static, Q: Send + 'static, T: Send + 'static>(
        &mut self,
        parts: Vec<P>,
        work: fn(P) -> Result<Q>,
        join: impl FnOnce(Vec<Q>) -> Result<T> + Send + 'static,
    ) -> Result<Later<T>> {
        if self.size == 0 || parts.is_empty() {
            return Ok(Later::Here(parts.into_iter().map(work).collect::<Result<_>>().and_then(join)));
        }
        let (done, result) = sync_channel(1);
        let end = Box::new(move |parts: Result<_>| answer(&done, parts.and_then(join)));
        let none = parts.iter().map(|_| None).collect();
        let whole = Arc::new(Mutex::new(Whole { parts: none, end: Some(end) }));
        for (number, part) in parts.into_iter().enumerate() {
            let whole = Arc::clone(&whole);
            self.put(|open| &mut open.first, Box::new(move |_| Whole::add(&whole, number, work(part))))?;
        }
        Ok(Later::Coming(Coming { result, queue: Arc::clone(&self.queue) }))
    }

    fn put(&mut self, line: fn(&mut Open) -> &mut VecDeque<Task>, task: Task) -> Result<()> {
        self.begin()?;
        let mut open = self.queue.lock();
        if open.is_closed {
            return Err(STOPPED);
        }
        line(&mut open).push_back(task);
        drop(open);
        self.queue.more.notify_one();
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "threads of the job, which end with it")]
    fn begin(&mut self) -> Result<()> {
        while self.hands.len() < self.size {
            let (queue, mut tools) = (Arc::clone(&self.queue), Tools::new()?);
            self.hands.push(thread::spawn(move || {
                let hand = Hand(queue);
                while let Some(task) = hand.0.next() {
                    task(&mut tools);
                }
            }));
        }
        Ok(())
    }
}

/// What came of the parts of a task so far.
struct Whole<Q> {
    parts: Vec<Option<Q>>,
    /// None once it was called.
    end: Option<End<Q>>,
}

impl<Q> Whole<Q> {
    fn add(whole: &Mutex<Self>, number: usize, part: Result<Q>) {
        let mut open = whole.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(end) = open.end.take() else { return };
        let all = match part {
            Err(error) => Err(error),
            Ok(part) => {
                if let Some(place) = open.parts.get_mut(number) {
                    *place = Some(part);
                }
                if open.parts.iter().any(Option::is_none) {
                    open.end = Some(end);
                    return;
                }
                Ok(open.parts.drain(..).flatten().collect())
            }
        };
        drop(open);
        end(all);
    }
}

fn answer<T>(done: &SyncSender<Result<T>>, result: Result<T>) {
    // Nobody waits any more when the job has failed.
    let _ = done.send(result);
}

/// A hand at work. If it stops before the crew ends, the tasks that wait go, and with them whoever waits for them
/// hears of it.
struct Hand(Arc<Queue>);

impl Drop for Hand {
    fn drop(&mut self) {
        if thread::panicking() {
            *self.0.lock() = Open { is_closed: true, ..Open::default() };
            self.0.more.notify_all();
        }
    }
}

/// Tasks that nobody has begun. Whoever gives tasks bounds how many results are open ([`Line`]).
#[derive(Default)]
struct Queue {
    open: Mutex<Open>,
    more: Condvar,
    /// The tools of the job's own thread.
    own: Mutex<Option<Tools>>,
}

#[derive(Default)]
struct Open {
    slow: VecDeque<Task>,
    in_turn: VecDeque<Task>,
    first: VecDeque<Task>,
    tasks: VecDeque<Task>,
    /// Whether somebody is at one of those that are done in turn.
    is_taken: bool,
    is_closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a task; none once the crew has ended.
    fn next(&self) -> Option<Task> {
        let waits = |open: &mut Open| open.has_nothing_to_do() && !open.is_closed;
        let mut open = self.more.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        open.slow.pop_front().or_else(|| open.next_quick())
    }

    /// Lets the next of those that are done in turn have its own.
    fn end_turn(&self) {
        self.lock().is_taken = false;
        self.more.notify_one();
    }

    fn own_tools(&self) -> Result<Tools> {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner).take();
        own.map_or_else(Tools::new, Ok)
    }

    fn put_back(&self, own: Tools) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
    }
}

impl Open {
    fn has_nothing_to_do(&self) -> bool {
        let whose_turn_it_is = !self.is_taken && !self.in_turn.is_empty();
        self.slow.is_empty() && !whose_turn_it_is && self.first.is_empty() && self.tasks.is_empty()
    }

    fn next_quick(&mut self) -> Option<Task> {
        let in_turn = if self.is_taken { None } else { self.in_turn.pop_front() };
        self.is_taken |= in_turn.is_some();
        in_turn.or_else(|| self.first.pop_front()).or_else(|| self.tasks.pop_front())
    }

    /// The caller's next. While a hand is at one in turn, it will soon have more to do itself.
    fn next_own(&mut self) -> Option<Task> {
        self.next_quick().or_else(|| if self.is_taken { None } else { self.slow.pop_front() })
    }
}

const STOPPED: Error = Error::Internal("a worker thread stopped");

/// What nobody has begun is not done any more: nobody waits for it.
impl Drop for Crew {
    fn drop(&mut self) {
        let waiting = std::mem::replace(&mut *self.queue.lock(), Open { is_closed: true, ..Open::default() });
        drop(waiting);
        self.queue.more.notify_all();
        self.hands.drain(..).for_each(|hand| drop(hand.join()));
    }
}

/// The result of a task.
pub(crate) enum Later<T> {
    Here(Result<T>),
    Coming(Coming<T>),
}

impl<T> Later<T> {
    /// Waits for it, and does meanwhile what nobody has begun.
    pub(crate) fn wait(self) -> Result<T> {
        match self {
            Self::Here(result) => result,
            Self::Coming(coming) => coming.wait(),
        }
    }
}

/// The result of a task that was given away.
pub(crate) struct Coming<T> {
    result: Receiver<Result<T>>,
    queue: Arc<Queue>,
}

impl<T> Coming<T> {
    /// The result, if it is there.
    fn try_take(&self) -> Option<Result<T>> {
        match self.result.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Disconnected) => Some(Err(STOPPED)),
            Err(TryRecvError::Empty) => None,
        }
    }

    fn wait(self) -> Result<T> {
        let mut own = self.queue.own_tools()?;
        let result = loop {
            if let Some(result) = self.try_take() {
                break result;
            }
            // Only the job's thread gives tasks: when there is none, none will come before the result, but those whose
            // turn comes, and slow ones behind them: they are done by the hand that is at one in turn.
            let Some(task) = self.queue.lock().next_own() else {
                break self.result.recv().unwrap_or(Err(STOPPED));
            };
            task(&mut own);
        };
        self.queue.put_back(own);
        result
    }
}

/// Results that are taken in the order in which their tasks were given.
pub(crate) struct Line<T> {
    waiting: VecDeque<Later<T>>,
    room: usize,
}

impl<T> Line<T> {
    /// A line in which at most `room` stand.
    pub(crate) fn new(room: usize) -> Self {
        Self { waiting: VecDeque::new(), room }
    }

    pub(crate) fn push(&mut self, later: Later<T>) {
        self.waiting.push_back(later);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many stand in it.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody else may stand in line before the first is waited for.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() > self.room
    }

    /// The first, if it is there or the line is too long.
    pub(crate) fn next_due(&mut self) -> Option<Result<T>> {
        if self.waiting.len() > self.room {
            return self.next();
        }
        if let Later::Coming(coming) = self.waiting.front()? {
            let result = coming.try_take()?;
            self.waiting.pop_front();
            return Some(result);
        }
        self.next()
    }

    /// The first, waited for; none when nobody stands in line.
    pub(crate) fn next(&mut self) -> Option<Result<T>> {
        self.waiting.pop_front().map(Later::wait)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::SyncSender, time::Duration};

    use super::*;

    /// The results of tasks that end in another order than they began.
    fn results(hands: usize) -> Vec<usize> {
        let mut crew = Crew::new(hands);
        let mut line = Line::new(hands);
        let mut results = Vec::new();
        for n in 0..20 {
            let task = move |_: &mut Tools| {
                thread::sleep(Duration::from_millis((20 - n) as u64 % 3));
                Ok(n)
            };
            line.push(crew.give(task).unwrap());
            while let Some(result) = line.next_due() {
                results.push(result.unwrap());
            }
            assert!(line.waiting.len() <= hands);
        }
        while let Some(result) = line.next() {
            results.push(result.unwrap());
        }
        results
    }

    #[test]
    fn results_come_in_the_order_in_which_tasks_were_given() {
        for hands in [0, 1, 2, 5] {
            assert_eq!(results(hands), (0..20).collect::<Vec<_>>(), "{hands} hands");
        }
    }

    /// A crew of one hand that has begun something and goes on once it is told to.
    fn busy() -> (Crew, Later<()>, SyncSender<()>) {
        let (begun, has_begun) = sync_channel(1);
        let (release, released) = sync_channel(1);
        let mut crew = Crew::new(1);
        let task = move |_: &mut Tools| {
            begun.send(()).unwrap();
            released.recv().unwrap();
            Ok(())
        };
        let held = crew.give(task).unwrap();
        has_begun.recv().unwrap();
        (crew, held, release)
    }

    #[test]
    fn who_waits_does_what_nobody_has_begun_and_slow_work_last() {
        let (mut crew, held, release) = busy();
        let (done, order) = sync_channel(3);
        let task = |name: &'static str| {
            let done = done.clone();
            move |_: &mut Tools| {
                done.send(name).unwrap();
                Ok(thread::current().id())
            }
        };
        let slow = crew.give_slow(task("slow")).unwrap();
        let later = crew.give(task("later")).unwrap();
        let first = crew.give_first(task("first")).unwrap();
        for result in [slow, later, first] {
            assert_eq!(result.wait().unwrap(), thread::current().id());
        }
        assert_eq!(order.try_iter().collect::<Vec<_>>(), ["first", "later", "slow"]);
        release.send(()).unwrap();
        held.wait().unwrap();
    }

    #[test]
    fn hands_do_slow_work_first() {
        let (mut crew, _held, release) = busy();
        let (done, order) = sync_channel(3);
        let task = |name: &'static str| {
            let done = done.clone();
            move |_: &mut Tools| {
                done.send(name).unwrap();
                Ok(())
            }
        };
        let _given = [
            crew.give(task("later")).unwrap(),
            crew.give_slow(task("slow")).unwrap(),
            crew.give_first(task("first")).unwrap(),
        ];
        release.send(()).unwrap();
        assert_eq!(order.iter().take(3).collect::<Vec<_>>(), ["slow", "first", "later"]);
    }

    #[test]
    fn of_tasks_in_turn_one_is_done_at_a_time_and_others_beside_it() {
        let (mut crew, held, release) = busy();
        crew.size = 4;
        let (done, order) = sync_channel(40);
        let at_it = Arc::new(Mutex::new(()));
        let mut in_turn = Line::new(20);
        for number in 0..20 {
            let (done, at_it) = (done.clone(), Arc::clone(&at_it));
            let task = move |_: &mut Tools| {
                let _alone = at_it.try_lock().unwrap();
                thread::sleep(Duration::from_millis(number % 2));
                done.send(number).unwrap();
                Ok(())
            };
            in_turn.push(crew.give_in_turn(task).unwrap());
        }
        // It needs the one in turn to go on while it is done itself.
        let others = crew.give(move |_| Ok(order.iter().take(20).collect::<Vec<_>>())).unwrap();
        assert_eq!(others.wait().unwrap(), (0..20).collect::<Vec<_>>());
        while let Some(result) = in_turn.next() {
            result.unwrap();
        }
        release.send(()).unwrap();
        held.wait().unwrap();
    }

    #[test]
    fn who_waits_sends_nothing_while_a_hand_is_at_a_task_in_turn() {
        let (begun, has_begun) = sync_channel(1);
        let (done, order) = sync_channel(2);
        let mut crew = Crew::new(1);
        let at_the_end = done.clone();
        let in_turn = crew.give_in_turn(move |_: &mut Tools| {
            begun.send(()).unwrap();
            thread::sleep(Duration::from_millis(50));
            at_the_end.send("in turn").unwrap();
            Ok(())
        });
        has_begun.recv().unwrap();
        let slow = crew
            .give_slow(move |_| {
                done.send("slow").unwrap();
                Ok(())
            })
            .unwrap();
        in_turn.unwrap().wait().unwrap();
        slow.wait().unwrap();
        assert_eq!(order.iter().collect::<Vec<_>>(), ["in turn", "slow"]);
    }

    fn squared(number: u32) -> Result<u32> {
        number.checked_mul(number).ok_or(Error::Cancelled)
    }

    #[test]
    fn a_task_in_parts_is_joined_in_order_and_tells_an_error() {
        for hands in [0, 1, 3] {
            let mut crew = Crew::new(hands);
            let tasks: Vec<_> =
                (0..20).map(|n| crew.give_first_in_parts((0..n).collect(), squared, Ok).unwrap()).collect();
            for (n, later) in (0..20).zip(tasks) {
                assert_eq!(later.wait().unwrap(), (0..n).map(|n| n * n).collect::<Vec<_>>());
            }
            let failed = crew.give_first_in_parts(vec![1, u32::MAX, 2, u32::MAX], squared, Ok).unwrap();
            assert!(matches!(failed.wait(), Err(Error::Cancelled)));
            let failed = crew.give_first_in_parts(vec![1, 2], squared, |_| Err::<(), _>(Error::Cancelled));
            assert!(matches!(failed.unwrap().wait(), Err(Error::Cancelled)));
        }
    }

    #[test]
    fn parts_are_done_by_several_at_once() {
        let (mut crew, held, release) = busy();
        let meet = Arc::new((Mutex::new(0), Condvar::new()));
        let parts = vec![Arc::clone(&meet), meet];
        let met = |meet: Arc<(Mutex<usize>, Condvar)>| {
            let (here, more) = &*meet;
            *here.lock().unwrap() += 1;
            more.notify_all();
            let wait = Duration::from_secs(60);
            let (_here, late) = more.wait_timeout_while(here.lock().unwrap(), wait, |n| *n < 2).unwrap();
            if late.timed_out() { Err(STOPPED) } else { Ok(thread::current().id()) }
        };
        let both = crew.give_first_in_parts(parts, met, Ok).unwrap();
        release.send(()).unwrap();
        held.wait().unwrap();
        let both = both.wait().unwrap();
        assert!(both[0] != both[1]);
    }

    /// Lets a hand go on when it goes.
    struct Releasing(SyncSender<()>);

    impl Drop for Releasing {
        fn drop(&mut self) {
            self.0.send(()).unwrap();
        }
    }

    #[test]
    fn parts_that_nobody_began_go_with_the_crew() {
        let (mut crew, held, release) = busy();
        let never = |_: Releasing| Err::<(), _>(Error::Cancelled);
        let parts = crew.give_first_in_parts(vec![Releasing(release)], never, Ok).unwrap();
        drop(crew);
        held.wait().unwrap();
        assert!(matches!(parts.wait(), Err(Error::Internal(_))));
    }

    #[test]
    fn an_error_comes_out_where_its_task_stands_and_the_crew_goes_on() {
        for hands in [0, 2] {
            let mut crew = Crew::new(hands);
            let failed = crew.give(|_| Err::<(), _>(Error::Cancelled)).unwrap();
            let after = crew.give(|_| Ok(7)).unwrap();
            assert!(matches!(failed.wait(), Err(Error::Cancelled)));
            assert_eq!(after.wait().unwrap(), 7);
        }
    }
}
