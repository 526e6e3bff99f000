//! The `af1` program: reads arguments, runs the verb, prints the error.

use std::process::ExitCode;

use af1::cli::Cli;
use af1::error::exit;
use af1::progress::on_stderr;

fn main() -> ExitCode {
    // SAFETY: nothing else runs yet that could read the environment at the same time.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
    af1::interrupt::on_interrupt();
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are what was asked for; everything else is a wrong command line.
            let code = if e.use_stderr() {
                exit::USAGE
            } else {
                exit::SUCCESS
            };
            Cli::show(&e);
            return ExitCode::from(code);
        }
    };
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            on_stderr(&format!("error: {e}"));
            ExitCode::from(e.exit_code())
        }
    }
}
