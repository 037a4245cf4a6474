//! `--help` of every command, word for word: the exit codes and the environment are promises.

use crate::kitchen::Kitchen;

/// Returns the commands that the program itself lists.
fn commands(kitchen: &Kitchen) -> Vec<String> {
    let help = kitchen.run(&["--help"]).stdout;
    let listed = help.split("\nCommands:\n").nth(1).unwrap();
    let listed = listed.split("\n\n").next().unwrap();
    let names = listed.lines().filter_map(|line| {
        // A description that goes on in the next line is further to the right.
        let line = line
            .strip_prefix("  ")
            .filter(|line| !line.starts_with(' '))?;
        line.split(' ').next().map(str::to_owned)
    });
    names.filter(|name| name != "help").collect()
}

#[test]
fn the_help_of_every_command() {
    let kitchen = Kitchen::new("");
    let commands = commands(&kitchen);
    for known in ["init", "lock", "build", "inspect", "verify"] {
        assert!(commands.iter().any(|name| name == known), "{commands:?}");
    }
    let help = |arguments: &[&str]| {
        let output = kitchen.run(arguments);
        output.expect(0);
        assert_eq!(output.stderr, "");
        output.stdout
    };
    insta::assert_snapshot!("prebake", help(&["--help"]));
    for command in commands {
        insta::assert_snapshot!(command.clone(), help(&[&command, "--help"]));
    }
}
