//! The Linux of a distribution: a stand-in that knows the driver's scripts, or, where the
//! behaviour says `kernel`, this host's own kernel.
//!
//! The stand-in runs anywhere, under wine too. It takes the arguments of `run.sh` apart and does
//! what a few programs would do.
//!
//! With `kernel` the rootfs is unpacked, and its programs run for real: each distribution has a
//! process that holds its mount and process namespaces, as the `init` of a distribution of WSL 2
//! does, and each call enters those. That takes root.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio, exit};

use super::World;

/// Unpacks the image, where its programs are to run for real.
pub(crate) fn unpack(world: &World, disk: &Path, image: &Path) {
    if !world.is("kernel") {
        return;
    }
    let root = disk.join("root");
    fs_err::create_dir(&root).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "-xpzf"]).arg(image);
    let status = tar.arg("-C").arg(&root).status().unwrap();
    assert!(status.success(), "{tar:?}");
}

/// Ends all that runs in a distribution.
pub(crate) fn end(world: &World, name: &str) {
    let holder = world.folder.join(format!("{name}.holder"));
    if let Ok(pid) = fs_err::read_to_string(&holder) {
        let _ = Command::new("kill").args(["-9", pid.trim()]).status();
        // The kernel ends the process namespace with its first process; wait until it has.
        while Path::new("/proc").join(pid.trim()).exists() && !is_zombie(pid.trim()) {
            std::thread::yield_now();
        }
        let _ = fs_err::remove_file(holder);
    }
    fs_err::write(world.folder.join(format!("{name}.ended")), b"").unwrap();
}

fn is_zombie(pid: &str) -> bool {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().unwrap_or("Z").starts_with('Z')
}

/// Runs what follows `--exec`.
pub(crate) fn run(world: &World, name: &str, disk: &Path, command: &[&str]) -> ! {
    if world.is("kernel") {
        in_kernel(world, name, disk, command)
    }
    let ["/bin/sh", "-c", script, "prebake", words @ ..] = command else {
        panic!("{command:?}");
    };
    if script.contains("mkdir -p -- ") {
        let [path] = words else {
            panic!("{words:?}");
        };
        if *path == "/file" {
            eprintln!("mkdir: can't create directory '/file': File exists");
            exit(1);
        }
        exit(0);
    }
    if script.starts_with("cat ") {
        let file = words[0].rsplit('/').next().unwrap();
        match fs_err::read_to_string(world.folder.join(file)) {
            Ok(why) => print(&why),
            Err(_) => exit(1),
        }
        exit(0);
    }
    if script.contains("Kills a program") {
        fs_err::write(world.folder.join(format!("{}.killed", words[0])), b"").unwrap();
        exit(0);
    }
    stand_in(world, name, words)
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).unwrap();
    out.flush().unwrap();
}

/// Does what `run.sh` and a program would.
fn stand_in(world: &World, name: &str, words: &[&str]) -> ! {
    let [_script, "first", words @ ..] = words else {
        panic!("{words:?}");
    };
    let [
        id,
        user,
        folder,
        network,
        terminal,
        variables,
        path,
        program,
        shares,
        rest @ ..,
    ] = words
    else {
        panic!("{words:?}");
    };
    assert!(["none", "host"].contains(network), "{network}");
    assert!(["yes", "no"].contains(terminal), "{terminal}");
    let shares: usize = shares.parse().unwrap();
    let (shares, rest) = rest.split_at(3 * shares);
    let at = rest.iter().position(|word| word == program).unwrap();
    let (environment, command) = rest.split_at(at);
    let give_up = |why: &str| -> ! {
        fs_err::write(world.folder.join(format!("{id}.why")), why).unwrap();
        exit(125)
    };
    match command {
        ["arguments", arguments @ ..] => {
            for argument in arguments {
                print(&format!("{argument:?}\n"));
            }
        }
        ["asked"] => print(&format!(
            "{user} {folder} {network} {variables} {path} {shares:?} {environment:?}"
        )),
        ["copy"] => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).unwrap();
            std::io::stdout().write_all(&bytes).unwrap();
            eprintln!("{} bytes", bytes.len());
        }
        ["code", code] => exit(code.parse().unwrap()),
        ["why", why @ ..] => give_up(&format!("{}\n", why.join("\n"))),
        ["itself"] => world.fail("Schwerwiegender Fehler", "Wsl/Service/0x8000ffff"),
        ["on"] => {
            print("on\n");
            let ended = [format!("{id}.killed"), format!("{name}.ended")];
            let ended = ended.map(|file| world.folder.join(file));
            while !ended.iter().any(|file| file.exists()) {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            exit(137);
        }
        _ => give_up("missing\n"),
    }
    exit(0)
}

/// Runs it in the distribution's namespaces, which are made by the first call.
fn in_kernel(world: &World, name: &str, disk: &Path, command: &[&str]) -> ! {
    let root = disk.join("root");
    let root = root.to_str().unwrap();
    let holder = world.folder.join(format!("{name}.holder"));
    let starting = fs_err::File::create(world.folder.join("starting")).unwrap();
    starting.file().lock().unwrap();
    if !holder.exists() {
        let drive = world.folder.join("drive-c");
        let pid = hold(root, drive.to_str().unwrap());
        fs_err::write(&holder, pid.to_string()).unwrap();
    }
    drop(starting);
    let pid = fs_err::read_to_string(&holder).unwrap();
    // What the real one has in its environment is not the test's either.
    let mut program = Command::new("nsenter");
    program
        .args(["--target", pid.trim(), "--mount", "--pid", "chroot", root])
        .args(command)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin:/mnt/c/Windows")
        .env("WSL_INTEROP", "/run/WSL/1_interop")
        .current_dir("/");
    let status = program.status().unwrap();
    exit(status.code().unwrap_or(super::FAILED))
}

/// Starts the process that holds a distribution's namespaces, and returns its number.
#[expect(clippy::zombie_processes, reason = "it is to outlive this process")]
fn hold(root: &str, drive: &str) -> u32 {
    let script = "
        set -e
        mount --bind \"$1\" \"$1\"
        mount -t proc proc \"$1/proc\"
        mount -t tmpfs tmpfs \"$1/run\"
        mount --rbind /dev \"$1/dev\"
        mkdir -p \"$1/mnt/c\" \"$1/run/WSL\"
        : >\"$1/run/WSL/1_interop\"
        mount --bind \"$2\" \"$1/mnt/c\"
        echo ready
        exec sleep 1000000";
    let mut child = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child"])
        .args(["sh", "-c", script, "hold", root, drive])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // It outlives this process, and must not hold a pipe of the test's.
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut ready).expect("namespaces");
    // It is `unshare` that is our child; the one in the namespaces is its own.
    let tasks = format!("/proc/{0}/task/{0}/children", child.id());
    let children = fs_err::read_to_string(tasks).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}
