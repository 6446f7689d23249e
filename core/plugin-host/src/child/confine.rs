//! What a plug-in's process does to itself before it runs anything of the plug-in: limits, user,
//! and what the kernel keeps it from.

use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::fs::{Gid, Uid};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getpid, set_child_subreaper, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::speaker::Speaker;
use crate::process::{Allowed, Setup};
use crate::transport::Listener as _;

/// What any program needs to read: libraries, certificates, names of hosts, time zones, itself.
const READABLE: [&str; 12] = [
    "/usr",
    "/lib",
    "/lib64",
    "/etc",
    "/proc/self",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/sys/devices/system/cpu",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
];

/// System calls that no plug-in needs and that reach beyond its process.
const FORBIDDEN: [i64; 34] = [
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_by_handle_at,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_vhangup,
];

/// The latest version of Landlock that is made use of.
const LANDLOCK: ABI = ABI::V6;

/// Why a process cannot be confined, and so does not open the library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ConfineError {
    #[error("cannot set {what} of its process")]
    System { what: &'static str, source: io::Error },
    #[error("cannot restrict what its process reads and writes")]
    Landlock(#[from] RulesetError),
    #[error("cannot restrict the system calls of its process")]
    Filter(#[from] BackendError),
    #[error("cannot restrict the system calls of its process")]
    Seccomp(#[from] seccompiler::Error),
}

/// What the kernel keeps a plug-in's process from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enforcement {
    /// Paths: `read`, `write` and `exec` of the permissions are enforced.
    pub paths: bool,
    /// TCP ports: those of `network` are enforced where all of them are known.
    pub ports: bool,
    /// System calls: no network at all where `network` is empty, and none that reach beyond the
    /// process.
    pub system_calls: bool,
}

impl Enforcement {
    /// What this kernel can do.
    pub fn of_this_kernel() -> Self {
        let has = |access: Ruleset| access.create().is_ok();
        let hard = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let paths = hard().handle_access(AccessFs::Execute).is_ok_and(has);
        let ports = hard().handle_access(AccessNet::ConnectTcp).is_ok_and(has);
        let system_calls = rustix::thread::secure_computing_mode().is_ok();
        Self { paths, ports, system_calls }
    }

    /// What is declared only, in words; none if all is enforced.
    pub fn missing(self) -> Option<String> {
        let lacks = [
            (self.paths, "paths (the kernel has no Landlock)"),
            (self.ports, "TCP ports (the kernel has no Landlock for networks)"),
            (self.system_calls, "system calls (the kernel has no seccomp)"),
        ];
        let lacks: Vec<_> = lacks.iter().filter(|(has, _)| !has).map(|(_, what)| *what).collect();
        (!lacks.is_empty()).then(|| lacks.join(", "))
    }

    /// Says in the hub's log what is not enforced.
    pub(super) fn tell(self, speaker: &Speaker) {
        if let Some(missing) = self.missing() {
            let message = format!("declared but not enforced by this kernel: {missing}");
            speaker.log(2, 0, "confinement", &message, "");
        }
    }
}

/// Confines this process, which must have one thread only, for good.
pub(super) fn confine(setup: &Setup) -> Result<Enforcement, ConfineError> {
    limit(Resource::Core, 0, "the size of core dumps")?;
    limit(Resource::Nofile, setup.open_files, "the number of open files")?;
    if let Some(bytes) = setup.memory_bytes {
        limit(Resource::As, bytes, "the address space")?;
    }
    let system =
        |what| move |errno: rustix::io::Errno| ConfineError::System { what, source: errno.into() };
    // Of what the plug-in starts and forgets, this process is the parent.
    set_child_subreaper(Some(getpid())).map_err(system("the reaper"))?;
    set_no_new_privs(true).map_err(system("the privileges"))?;
    // As the hub's user, who can get to all of the paths.
    let rules = rules(&setup.allowed, setup.code.path())?;
    if let Some((uid, gid)) = setup.user {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        set_thread_groups(&[]).map_err(system("the groups"))?;
        set_thread_res_gid(gid, gid, gid).map_err(system("the group"))?;
        set_thread_res_uid(uid, uid, uid).map_err(system("the user"))?;
        // Both are undone by a change of user.
        set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(system("the owner"))?;
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(system("the end"))?;
    }
    let paths = rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced;
    filter(&setup.allowed)?;
    let kernel = Enforcement::of_this_kernel();
    Ok(Enforcement { paths, ..kernel })
}

fn limit(resource: Resource, value: u64, what: &'static str) -> Result<(), ConfineError> {
    let limit = Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(resource, limit).map_err(|errno| ConfineError::System { what, source: errno.into() })
}

/// What may be touched, as the kernel takes it; paths are looked up here.
fn rules(allowed: &Allowed, code: &Path) -> Result<RulesetCreated, RulesetError> {
    let read = READABLE.iter().map(PathBuf::from).chain(allowed.read.iter().cloned());
    let read = read.chain([code.to_owned()]);
    // A file is replaced, and gets journals beside it: that takes its folder.
    let folder = |path: &PathBuf| match path.parent() {
        Some(parent) if !path.is_dir() => parent.to_owned(),
        _ => path.clone(),
    };
    let write = allowed.write.iter().map(folder);
    let all = AccessFs::from_all(LANDLOCK);
    let only_read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut ruleset = Ruleset::default()
        .handle_access(all)?
        .scope(Scope::Signal)?
        .scope(Scope::AbstractUnixSocket)?;
    if allowed.ports.is_some() {
        ruleset = ruleset.handle_access(AccessNet::ConnectTcp)?;
    }
    let port = |port: &u16| Ok::<_, RulesetError>(NetPort::new(*port, AccessNet::ConnectTcp));
    // A program is started by the loader that it names.
    let loaders = if allowed.exec.is_empty() { &[][..] } else { &["/lib", "/lib64", "/usr/lib"] };
    ruleset
        .create()?
        .add_rules(path_beneath_rules(loaders, only_read | AccessFs::Execute))?
        .add_rules(path_beneath_rules(read, only_read))?
        .add_rules(path_beneath_rules(["/dev/null"], AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(write, all & !AccessFs::Execute))?
        .add_rules(path_beneath_rules(&allowed.exec, only_read | AccessFs::Execute))?
        .add_rules(allowed.ports.iter().flatten().map(port))
}

/// Answers forbidden system calls with "not permitted".
fn filter(allowed: &Allowed) -> Result<(), ConfineError> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else { return Ok(()) };
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> =
        FORBIDDEN.into_iter().map(|call| (call, Vec::new())).collect();
    if !allowed.network {
        let other = SeccompCondition::new(
            0,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::Ne,
            libc::AF_UNIX as u64,
        )?;
        rules.insert(libc::SYS_socket, vec![SeccompRule::new(vec![other])?]);
    }
    let forbidden = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, forbidden, arch)?;
    let program: BpfProgram = filter.try_into()?;
    match seccompiler::apply_filter(&program) {
        // A kernel without seccomp: the plug-in runs, and the hub's log says so.
        Err(seccompiler::Error::Prctl(error)) if error.raw_os_error() == Some(libc::EINVAL) => {
            Ok(())
        }
        applied => Ok(applied?),
    }
}
