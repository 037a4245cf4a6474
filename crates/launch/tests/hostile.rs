//! Scripts that want more than they are given: each is told, and nothing is left of it.
//!
//! One test, for what is left is looked for among this process's own children.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "support/alpine.rs"]
mod alpine;
#[path = "support/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use alpine::Alpine;
use prebake_apk::path::GuestPath;
use prebake_launch::sandbox::{
    Call, Finished, Limits, NotRun, Refused, SandboxError, Script, Status,
};
use world::World;

type Judge = fn(Result<Finished, SandboxError>);

struct Case {
    name: &'static str,
    limits: Limits,
    call: Call,
    judge: Judge,
}

fn case(name: &'static str, line: &str, judge: Judge) -> Case {
    Case {
        name,
        limits: Limits {
            time: Duration::from_secs(20),
            ..Limits::default()
        },
        call: Alpine::call(line),
        judge,
    }
}

impl Case {
    fn limits(mut self, change: fn(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    fn call(mut self, change: fn(&mut Call)) -> Self {
        change(&mut self.call);
        self
    }
}

/// It did what it could, and was refused the network.
fn no_network(result: Result<Finished, SandboxError>) {
    assert_eq!(result.unwrap().refused, [Refused::Network]);
}

/// It ran to its end, and what it tried failed by itself.
fn nothing_refused(result: Result<Finished, SandboxError>) {
    let finished = result.unwrap();
    assert!(finished.succeeded(), "{finished:?}");
    assert_eq!(finished.refused, []);
}

fn disk(result: Result<Finished, SandboxError>) {
    let finished = result.unwrap();
    assert!(finished.succeeded(), "{finished:?}");
    assert_eq!(finished.refused, [Refused::Disk]);
}

fn timed_out(result: Result<Finished, SandboxError>) {
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "still running after 1 seconds");
}

fn too_many(result: Result<Finished, SandboxError>) {
    let error = result.unwrap_err();
    assert!(
        matches!(error, SandboxError::TooManyProcesses { limit: 64, .. }),
        "{error:?}"
    );
}

fn too_much(result: Result<Finished, SandboxError>) {
    let error = result.unwrap_err();
    assert!(
        matches!(error, SandboxError::OutOfMemory { .. }),
        "{error:?}"
    );
}

fn background(result: Result<Finished, SandboxError>) {
    let finished = result.unwrap();
    assert!(finished.succeeded(), "{finished:?}");
    assert_eq!(finished.refused, [Refused::Background]);
}

fn not_run(result: Result<Finished, SandboxError>) -> NotRun {
    match result.unwrap_err() {
        SandboxError::NotRun { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

fn script(call: &mut Call, content: &[u8]) {
    call.program = b"/lib/apk/exec/x-1.post-install".to_vec();
    call.script = Some(Script {
        path: GuestPath::from_relative(b"lib/apk/exec/x-1.post-install").unwrap(),
        content: content.to_vec(),
    });
}

fn cases() -> Vec<Case> {
    let second = |limits: &mut Limits| limits.time = Duration::from_secs(1);
    vec![
        case("tcp", "nc -w 1 192.0.2.1 80; true", no_network),
        case("tcp over ipv6", "nc -w 1 2001:db8::1 80; true", no_network),
        case("udp", "echo x | nc -u -w 1 192.0.2.1 53; true", no_network),
        case("a name, with no resolver", "rm -f /etc/resolv.conf; nslookup example.com; true", no_network),
        case(
            "a name, with a resolver",
            "echo -e 'nameserver 192.0.2.53\\noptions timeout:1 attempts:1' > /etc/resolv.conf; wget -T 1 http://example.com; true",
            no_network,
        ),
        case("itself, where nobody listens", "nc -w 1 127.0.0.1 80; true", no_network),
        case(
            "itself",
            "nc -l -p 8080 -s 127.0.0.1 -e echo hello & sleep 0.2; nc 127.0.0.1 8080 < /dev/null",
            nothing_refused,
        ),
        case("ping", "ping -c 1 -w 1 192.0.2.1; true", |result| {
            // Without the right to make raw packets it gets no further.
            result.unwrap();
        }),
        case("own host by name", "getent hosts localhost; hostname", |result| {
            let finished = result.unwrap();
            let output = String::from_utf8_lossy(&finished.output);
            assert!(output.ends_with("localhost\n"), "{output}");
            assert_eq!(finished.refused, []);
        }),
        case(
            "kernel settings",
            "! { echo x > /proc/sys/kernel/hostname; } 2>/dev/null \
             && ! { echo x > /proc/sys/kernel/core_pattern; } 2>/dev/null \
             && ! { echo b > /proc/sysrq-trigger; } 2>/dev/null \
             && ! hostname other 2>/dev/null && ! test -e /sys/kernel",
            nothing_refused,
        ),
        case(
            "mounts",
            "! mount -t tmpfs none /mnt && ! mount --bind /etc /mnt && ! umount /proc \
             && ! mount -o remount,rw /proc && ! umount /dev/null && ! pivot_root /mnt /mnt",
            nothing_refused,
        ),
        case(
            "namespaces within",
            "! unshare -U true && ! unshare -m true && ! unshare -n true",
            nothing_refused,
        ),
        case(
            "devices",
            "! mknod /tmp/disk b 8 0 && ! mknod /tmp/mem c 1 1 && ! test -e /dev/kmsg \
             && test $(ls /dev | wc -l) -le 12",
            nothing_refused,
        ),
        case(
            "the host's world",
            "test \"$(ls -A / | tr '\\n' ' ')\" = 'bin dev etc home lib media mnt opt proc root \
             run sbin srv sys tmp usr var ' && chroot / true && ! ls /proc/1/root/ 2>/dev/null \
             && ! cat /proc/1/environ 2>/dev/null && test $(cat /proc/self/mounts | wc -l) -le 12 \
             && test \"$(env | grep -v -e ^PWD -e ^SHLVL -e ^PATH | wc -l)\" = 0",
            nothing_refused,
        ),
        case(
            "its rights",
            "grep -q 'NoNewPrivs:.1' /proc/self/status && grep -q 'CapEff:.00000000880400fb' /proc/self/status && grep -q 'Seccomp:.2' /proc/self/status && grep -q 'CapBnd:.00000000880400fb' /proc/self/status || { cat /proc/self/status; false; }",
            nothing_refused,
        ),
        case("forks without end", "b() { b | b & }; b; sleep 100", too_many)
            .limits(|limits| limits.processes = 64),
        case(
            "forks that only fail",
            "i=0; while test $i -lt 1000; do sleep 100 & i=$((i+1)); done; wait",
            too_many,
        )
        .limits(|limits| limits.processes = 64),
        case("fills the disk", "yes > /big; rm /big; yes > /big; true", disk)
            .limits(|limits| limits.disk = 32 << 20),
        case(
            "fills the disk with names",
            "i=0; while echo > /tmp/$i; do i=$((i+1)); done 2>/dev/null; true",
            disk,
        )
        .limits(|limits| limits.files = 2000),
        case("one file without end", "dd if=/dev/zero of=/big bs=1M seek=100000 count=1", |result| {
            let finished = result.unwrap();
            assert_eq!(finished.refused, [Refused::Disk], "{finished:?}");
        })
        .limits(|limits| limits.disk = 32 << 20),
        case("sleeps for ever", "echo before; sleep 1000", |result| {
            match result.unwrap_err() {
                SandboxError::TimedOut { output, .. } => assert_eq!(output, b"before\n"),
                other => panic!("{other:?}"),
            }
        })
        .limits(second),
        case("writes without end", "yes", |result| match result.unwrap_err() {
            SandboxError::TimedOut { output, .. } => assert_eq!(output.len(), 1000),
            other => panic!("{other:?}"),
        })
        .limits(second)
        .limits(|limits| limits.output = 1000),
        case("writes a lot", "seq 1 300000; echo end >&2", |result| {
            let finished = result.unwrap();
            assert!(finished.truncated && finished.succeeded());
            assert_eq!(&finished.output[..4], b"1\n2\n");
        })
        .limits(|limits| limits.output = 1000),
        case(
            "ignores signals and sends them",
            "trap '' TERM INT HUP; kill -9 1; kill -9 -1; kill 1; sleep 1000",
            timed_out,
        )
        .limits(second),
        case("leaves a process", "setsid sleep 1000 & exit 0", background),
        case(
            "leaves a process that holds the output",
            "(trap '' HUP; setsid sh -c 'trap \"\" TERM; sleep 1000' &) ; exit 0",
            background,
        ),
        case("leaves a process that ends", "(sleep 0.05; echo late) & exit 0", |result| {
            let finished = result.unwrap();
            assert_eq!((finished.output, finished.refused), (b"late\n".to_vec(), vec![]));
        }),
        case("fails", "exit 7", |result| {
            assert_eq!(result.unwrap().status, Status::Exited(7));
        }),
        case("dies of a signal", "kill -SEGV $$", |result| {
            assert_eq!(result.unwrap().status, Status::Signalled(11));
        }),
        case("takes memory without end", "tail /dev/zero", too_much)
            .limits(|limits| limits.memory = 64 << 20),
        case("takes memory by many", "for i in 1 2 3 4 5 6 7 8; do head -c 16000000 /dev/zero | sort -z & done; wait; sleep 9", too_much)
            .limits(|limits| limits.memory = 64 << 20),
        case("is not there", "", |result| {
            assert!(matches!(not_run(result), NotRun::Missing));
        })
        .call(|call| call.program = b"/nowhere".to_vec()),
        case("names what is not there", "", |result| {
            let why = not_run(result);
            assert!(matches!(&why, NotRun::NoInterpreter(Some(name)) if name == "/bin/bash"));
            assert_eq!(why.to_string(), "its interpreter /bin/bash is not there");
        })
        .call(|call| script(call, b"#!/bin/bash\ntrue\n")),
        case("names nothing", "", |result| {
            assert!(matches!(not_run(result), NotRun::Format));
        })
        .call(|call| script(call, b"true\n")),
    ]
}

#[test]
fn each_is_told_and_leaves_nothing() {
    let before = World::now();
    let mut failed = Vec::new();
    for case in cases() {
        let test = "each_is_told_and_leaves_nothing";
        let Some(mut alpine) = Alpine::with(test, &case.limits) else {
            return;
        };
        let inside = World::of_children();
        let begun = Instant::now();
        let result = alpine.0.run(&case.call);
        eprintln!("{} ({:?}): {result:?}", case.name, begun.elapsed());
        let left = World::in_namespaces(&inside);
        assert_eq!(left.len(), 1, "only the agent is left after {}", case.name);
        let judged = catch_unwind(AssertUnwindSafe(|| (case.judge)(result)));
        if judged.is_err() {
            failed.push(case.name);
        }
        // It is of further use, if there is room for it.
        let roomy = Limits::default();
        if (case.limits.disk, case.limits.files) == (roomy.disk, roomy.files) {
            assert_eq!(alpine.shell_ok("echo here"), "here\n", "{}", case.name);
            eprintln!("{}", alpine::told(&alpine.changes()));
        }
        drop(alpine);
        assert!(World::in_namespaces(&inside).is_empty(), "{}", case.name);
        assert_eq!(World::now(), before, "{}", case.name);
    }
    assert!(failed.is_empty(), "{failed:?}");
    an_agent_that_dies_is_told();
    assert_eq!(World::now(), before);
}

/// The machine's out-of-memory killer may take the agent itself.
fn an_agent_that_dies_is_told() {
    let Some(mut alpine) = Alpine::with("an_agent_that_dies_is_told", &Limits::default()) else {
        return;
    };
    let inside = World::of_children();
    let agent = World::in_namespaces(&inside);
    let killer = std::thread::spawn(move || {
        // Once there is a run, the agent is not alone.
        while World::in_namespaces(&inside).len() < 3 {
            std::thread::yield_now();
        }
        let killed = std::process::Command::new("kill")
            .arg("-9")
            .args(&agent)
            .status();
        assert!(killed.unwrap().success());
        inside
    });
    let error = alpine.0.run(&Alpine::call("sleep 1000")).unwrap_err();
    assert!(matches!(error, SandboxError::Lost { .. }), "{error:?}");
    let inside = killer.join().unwrap();
    assert!(matches!(alpine.0.changes(), Err(SandboxError::Lost { .. })));
    drop(alpine);
    // Its orphans die by a signal of their own, in their own time.
    while !World::in_namespaces(&inside).is_empty() {
        std::thread::yield_now();
    }
}
