//! Completions for shells and pages for man, made from the definition of the command line.
//!
//! Packages carry what these commands print, so it is never older than the binary beside it.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Command, ValueEnum};
use clap_complete::aot;
use clap_mangen::Man;

/// A shell that completions can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Options of `purser completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsOptions {
    /// The shell
    pub shell: Shell,

    /// Write a file of the name that the shell looks for into this directory, not to stdout
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Options of `purser man`.
#[derive(Args, Clone, Debug)]
pub struct ManOptions {
    /// The command whose page to print, such as `config check`; without it, purser's own
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    pub command: Vec<String>,

    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Prints the completions of a shell, or writes them to a file.
///
/// # Errors
/// What is written to fails.
pub fn completions(
    mut definition: Command,
    options: &CompletionsOptions,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (generator, file) = match options.shell {
        Shell::Bash => (aot::Shell::Bash, "purser"),
        Shell::Zsh => (aot::Shell::Zsh, "_purser"),
        Shell::Fish => (aot::Shell::Fish, "purser.fish"),
    };
    let mut text = Vec::new();
    aot::generate(generator, &mut definition, "purser", &mut text);
    match &options.out {
        Some(directory) => write(directory, file, &text),
        None => print(&text, out),
    }
}

/// Prints one page, or writes all of them into a directory.
///
/// # Errors
/// There is no such command, or what is written to fails.
pub fn man(
    mut definition: Command,
    options: &ManOptions,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    // Only a built command knows the names of those above it.
    definition.build();
    if let Some(directory) = &options.out {
        return write_all(&definition, directory);
    }
    let mut command = &definition;
    for name in &options.command {
        match command.find_subcommand(name) {
            Some(found) => command = found,
            None => bail!("there is no command `{} {name}`", spaced(command)),
        }
    }
    print(&page(command)?, out)
}

fn write_all(command: &Command, directory: &Path) -> anyhow::Result<()> {
    write(
        directory,
        &format!("{}.1", hyphened(command)),
        &page(command)?,
    )?;
    command
        .get_subcommands()
        // clap's own, which repeats the others.
        .filter(|child| child.get_name() != "help")
        .try_for_each(|child| write_all(child, directory))
}

fn page(command: &Command) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command.clone())
        // As man finds it: `man purser-config-check`.
        .title(hyphened(command))
        .manual("purser")
        .render(&mut text)
        .context("make the page")?;
    Ok(text)
}

/// `purser config check`.
fn spaced(command: &Command) -> &str {
    command.get_bin_name().unwrap_or(command.get_name())
}

/// `purser-config-check`.
fn hyphened(command: &Command) -> String {
    spaced(command).replace(' ', "-")
}

fn write(directory: &Path, name: &str, text: &[u8]) -> anyhow::Result<()> {
    let path = directory.join(name);
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&path, text))
        .with_context(|| format!("write {}", path.display()))
}

fn print(text: &[u8], out: &mut dyn Write) -> anyhow::Result<()> {
    match out.write_all(text).and_then(|()| out.flush()) {
        // Who reads has read enough: `purser man | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write to stdout"),
    }
}
