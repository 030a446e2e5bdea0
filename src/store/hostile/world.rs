//! The state of a hostile store: its histories, who sees which, and how far the script is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use super::{
    Act, Content, Devices, Item, Pick, Script, When,
    branch::{Branch, Eye},
    text::method_name,
};
use crate::store::{
    ObjectName,
    faults::{Fault, Method, Request, mix},
};

/// One request, as who runs the store sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its number, counted from 1.
    pub time: u64,
    /// Which handle made it.
    pub device: u8,
    /// What was asked.
    pub method: Method,
    /// For which object, or below which prefix.
    pub name: String,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}: {} {}", self.time, self.device, method_name(self.method), self.name)
    }
}

/// How a device sees the store.
#[derive(Clone, Default)]
struct Handle {
    branch: usize,
    frozen: Option<u64>,
    /// What is served, by the name under which it is asked for.
    labels: BTreeMap<String, String>,
    manner: Manner,
}

/// What becomes of the next put.
#[derive(Clone, Copy, Default)]
struct Manner {
    delay: u64,
    again: Option<u64>,
}

/// A put that will be made once more.
struct Again {
    time: u64,
    device: u8,
    name: ObjectName,
    bytes: Arc<[u8]>,
}

/// Everything that a hostile store knows.
pub(super) struct World {
    script: Script,
    /// For each item how many requests matched.
    matched: Vec<u64>,
    /// For the next request.
    queued: Vec<Act>,
    pub(super) time: u64,
    branches: Vec<Branch>,
    handles: BTreeMap<u8, Handle>,
    created: Vec<ObjectName>,
    again: Vec<Again>,
    pub(super) acts: u64,
    pub(super) trace: Vec<Seen>,
}

impl World {
    pub(super) fn new(script: Script) -> Self {
        Self {
            matched: vec![0; script.0.len()],
            script,
            queued: Vec::new(),
            time: 0,
            branches: vec![Branch::default()],
            handles: BTreeMap::new(),
            created: Vec::new(),
            again: Vec::new(),
            acts: 0,
            trace: Vec::new(),
        }
    }

    /// The next request comes in: what the script does at it.
    pub(super) fn begin(&mut self, device: u8, request: &Request<'_>) -> Fault {
        if request.method != Method::Line {
            self.time += 1;
            let (time, method, name) = (self.time, request.method, request.name.to_owned());
            self.trace.push(Seen { time, device, method, name });
            self.handle(device).manner = Manner::default();
            self.put_again();
        }
        let mut fault = Fault::None;
        for act in self.due(device, request) {
            self.act_on_request(device, act, &mut fault);
        }
        fault
    }

    fn due(&mut self, device: u8, request: &Request<'_>) -> Vec<Act> {
        let mut due =
            if request.method == Method::Line { Vec::new() } else { std::mem::take(&mut self.queued) };
        for (Item { when, act }, matched) in self.script.0.iter().zip(&mut self.matched) {
            let matches = match when {
                When::At(time) => request.method != Method::Line && *time == self.time,
                When::Nth(_, pattern) | When::Each(pattern) => {
                    pattern.matches(request.method, device, request.name)
                }
            };
            *matched += u64::from(matches);
            if matches && !matches!(when, When::Nth(n, _) if n != matched) {
                due.push(act.clone());
            }
        }
        due
    }

    fn act_on_request(&mut self, device: u8, act: Act, fault: &mut Fault) {
        self.acts += 1;
        let scattered = self.time;
        let manner = &mut self.handle(device).manner;
        match act {
            Act::Fault(other) => *fault = other,
            Act::Delay(requests) => manner.delay = requests,
            Act::Reorder(0) => {}
            Act::Reorder(below) => manner.delay = mix(below, scattered) % below,
            Act::Duplicate(requests) => manner.again = Some(requests),
            other => {
                self.acts -= 1;
                self.act(&other);
            }
        }
    }

    /// Does what concerns the whole store at once, and keeps the rest for the next request.
    pub(super) fn act(&mut self, act: &Act) {
        if act.is_of_request() {
            self.queued.push(act.clone());
            return;
        }
        self.acts += 1;
        match act {
            Act::Swap(a, b, devices) => {
                self.relabel(a, b, *devices);
                self.relabel(b, a, *devices);
            }
            Act::Relabel { object, under, devices } => self.relabel(object, under, *devices),
            Act::Inject { name, content, devices } => self.inject(name, content, *devices),
            Act::Replay(time, devices) => self.split(*devices, |branch| branch.at(*time)),
            Act::Fork(devices) => self.split(*devices, Branch::clone),
            Act::Freeze(devices) => {
                let now = self.time;
                self.each(*devices, |handle| handle.frozen = handle.frozen.or(Some(now)));
            }
            Act::Heal(devices) => self.heal(*devices),
            _ => {}
        }
    }

    fn handle(&mut self, device: u8) -> &mut Handle {
        self.handles.entry(device).or_default()
    }

    fn each(&mut self, devices: Devices, mut change: impl FnMut(&mut Handle)) {
        devices.numbers().for_each(|device| change(self.handle(device)));
    }

    fn relabel(&mut self, object: &Pick, under: &Pick, devices: Devices) {
        let (Some(object), Some(under)) = (self.pick(object), self.pick(under)) else { return };
        self.each(devices, |handle| {
            handle.labels.insert(under.as_str().to_owned(), object.as_str().to_owned());
        });
    }

    fn inject(&mut self, name: &Pick, content: &Content, devices: Devices) {
        let Some(name) = self.pick(name) else { return };
        let bytes: Option<Arc<[u8]>> = match content {
            Content::Bytes(bytes) => Some(bytes.as_slice().into()),
            Content::Noise(length) => {
                Some((0_u64..).map(|n| mix(7, n).to_le_bytes()[0]).take(*length).collect())
            }
            Content::Copy(other) => self.pick(other).and_then(|other| self.bytes_of(&other)),
        };
        let Some(bytes) = bytes else { return };
        let branches: BTreeSet<usize> = devices.numbers().map(|device| self.handle(device).branch).collect();
        let eye = Eye { device: u8::MAX, now: self.time, frozen: None };
        for branch in branches {
            if let Some(branch) = self.branches.get_mut(branch) {
                branch.delete(name.as_str(), eye);
                branch.create(name.as_str(), Arc::clone(&bytes), eye, 0);
            }
        }
    }

    /// Gives some devices a store of their own, made from the first one's.
    fn split(&mut self, devices: Devices, copy: impl FnOnce(&Branch) -> Branch) {
        let Some(first) = devices.numbers().next() else { return };
        let branch = self.handle(first).branch;
        let Some(own) = self.branches.get(branch).map(copy) else { return };
        self.branches.push(own);
        let branch = self.branches.len() - 1;
        self.each(devices, |handle| handle.branch = branch);
    }

    fn heal(&mut self, devices: Devices) {
        let mut apart = BTreeSet::new();
        self.each(devices, |handle| {
            apart.insert(std::mem::take(handle).branch);
        });
        for branch in apart.into_iter().filter(|branch| *branch > 0) {
            let other = self.branches.get(branch).cloned().unwrap_or_default();
            if let Some(main) = self.branches.first_mut() {
                main.absorb(&other);
            }
        }
    }

    fn pick(&self, pick: &Pick) -> Option<ObjectName> {
        let created = |n: &u64| {
            let index = n.checked_rem(self.created.len() as u64)?;
            self.created.get(usize::try_from(index).ok()?)
        };
        match pick {
            Pick::Created(n) => created(n).cloned(),
            Pick::Beside(n) => created(n).and_then(beside),
            Pick::Named(name) => Some(name.clone()),
        }
    }

    /// Of any of the stores: an attacker keeps everything.
    fn bytes_of(&self, name: &ObjectName) -> Option<Arc<[u8]>> {
        let find = |branch: &Branch| {
            branch.present().find(|(other, _)| *other == name.as_str()).map(|(_, bytes)| Arc::clone(bytes))
        };
        self.branches.iter().find_map(find)
    }

    fn put_again(&mut self) {
        let time = self.time;
        let (now, later): (Vec<Again>, _) = self.again.drain(..).partition(|again| again.time <= time);
        self.again = later;
        for Again { device, name, bytes, .. } in now {
            self.create(device, &name, &bytes, 0);
        }
    }
}

/// What a handle asks for.
impl World {
    pub(super) fn put(&mut self, device: u8, name: &ObjectName, bytes: &[u8]) -> bool {
        let bytes: Arc<[u8]> = bytes.into();
        let Manner { delay, again } = self.handle(device).manner;
        if let Some(requests) = again {
            let time = self.time.saturating_add(requests);
            self.again.push(Again { time, device, name: name.clone(), bytes: Arc::clone(&bytes) });
        }
        self.create(device, name, &bytes, delay)
    }

    fn create(&mut self, device: u8, name: &ObjectName, bytes: &Arc<[u8]>, delay: u64) -> bool {
        let (eye, handle) = self.eye(device);
        let (branch, shown) = (handle.branch, eye.now.saturating_add(delay));
        let Some(branch) = self.branches.get_mut(branch) else { return false };
        let created = branch.create(name.as_str(), Arc::clone(bytes), eye, shown);
        if created {
            self.created.push(name.clone());
        }
        created
    }

    pub(super) fn get(&mut self, device: u8, name: &ObjectName) -> Option<Arc<[u8]>> {
        let (eye, handle) = self.eye(device);
        let (branch, label) = (handle.branch, handle.labels.get(name.as_str()).cloned());
        let name = label.as_deref().unwrap_or(name.as_str());
        self.branches.get(branch)?.get(name, eye)
    }

    pub(super) fn delete(&mut self, device: u8, name: &ObjectName) {
        let (eye, handle) = self.eye(device);
        let branch = handle.branch;
        if let Some(branch) = self.branches.get_mut(branch) {
            branch.delete(name.as_str(), eye);
        }
    }

    /// The names under `prefix` that lead to something, in their order.
    pub(super) fn list(&mut self, device: u8, prefix: &str) -> Vec<(ObjectName, u64)> {
        let (eye, handle) = self.eye(device);
        let (branch, labels) = (handle.branch, handle.labels.clone());
        let Some(branch) = self.branches.get(branch) else { return Vec::new() };
        let mut names: Vec<&str> = branch.list(prefix, eye).collect();
        if !labels.is_empty() {
            names.extend(labels.keys().map(String::as_str).filter(|name| name.starts_with(prefix)));
            names.sort_unstable();
            names.dedup();
        }
        let line = |name: &str| {
            let bytes = branch.get(labels.get(name).map_or(name, String::as_str), eye)?;
            Some((ObjectName::parse(name).ok()?, bytes.len() as u64))
        };
        names.into_iter().filter_map(line).collect()
    }

    /// What everybody's store holds.
    pub(super) fn objects(&self) -> BTreeMap<String, Arc<[u8]>> {
        let main = self.branches.first();
        main.into_iter()
            .flat_map(Branch::present)
            .map(|(name, bytes)| (name.to_owned(), Arc::clone(bytes)))
            .collect()
    }

    fn eye(&mut self, device: u8) -> (Eye, &Handle) {
        let now = self.time;
        let handle = &*self.handle(device);
        (Eye { device, now, frozen: handle.frozen }, handle)
    }
}

/// A name in the same place that is probably free: the device's next commit, or another last digit.
fn beside(name: &ObjectName) -> Option<ObjectName> {
    let (place, last) = name.as_str().rsplit_once('/')?;
    let last = match last.strip_suffix('0') {
        _ if last.len() == 20 => format!("{:020}", last.parse::<u64>().ok()?.checked_add(1)?),
        Some(most) => format!("{most}1"),
        None => format!("{}0", last.get(..last.len() - 1)?),
    };
    ObjectName::parse(&format!("{place}/{last}")).ok()
}
