//! What every experiment's verb does around the experiment: words become a request to a study, and what comes back is shown.

use std::path::PathBuf;

use clap::Args;

use super::args::{Format, InterventionArgs, ModelArgs, OutputArgs, PromptArgs};
use super::cost;
use super::output::{check_files, deliver, show};
use super::shard::{AskedShard, file_of};
use crate::experiment::{ALL, Ask, Entry, Experiment, Given};
use crate::kit::Block;
use crate::progress::say;
use crate::record::{Line, file_text};
use crate::selfcheck;
use crate::study::{Request, Study, out_of_reach};
use crate::{Result, report};

/// What all experiments ask for.
#[derive(Args, Clone, Debug)]
pub struct Common {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub prompts: PromptArgs,
    #[command(flatten)]
    pub intervention: InterventionArgs,
    #[command(flatten)]
    pub record: RecordArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Where records are kept while a run goes on.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct RecordArgs {
    /// Append cells to this file as they are measured (those of a boundary, a pruned head, a draw together); cells that it
    /// holds already are not measured again
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Write what was said to every prompt in every cell to this file, a JSON object a line; cells that the record holds are measured again
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// Measure only the i-th of n parts of the sweep, or with `auto` the part of a Slurm array's task, of an Indexed Job's pod, or that
    /// AF1_SHARD says; {shard} in the name of a file becomes i-of-n, and `af1 merge` joins the records
    #[arg(long, value_name = "I/N")]
    pub shard: Option<AskedShard>,
    /// Say how many prompts and cells there are and how long they take at most, and measure nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl Common {
    /// Makes the model and its prompts ready. What is wrong with the command line is said before anything is fetched or loaded.
    pub fn open(self) -> Result<Lab> {
        let Self {
            model,
            prompts,
            intervention,
            mut record,
            mut output,
        } = self;
        let shard = record.shard.map(AskedShard::shard).transpose()?;
        record.record = file_of("--record", record.record, shard)?;
        record.answers = file_of("--answers", record.answers, shard)?;
        output.out = file_of("--out", output.out, shard)?;
        check_files(
            &[
                ("--prompts", prompts.prompts.as_deref()),
                ("--styles", prompts.styles.as_deref()),
            ],
            &[
                ("--out", output.out.as_deref()),
                ("--record", record.record.as_deref()),
                ("--answers", record.answers.as_deref()),
            ],
        )?;
        let request = Request {
            asked: prompts.asked(),
            method: intervention.method(),
            record: record.record,
            shard: shard.unwrap_or_default(),
            answers: record.answers,
        };
        Ok(Lab {
            study: Study::open(request, || model.engine())?,
            control: Vec::new(),
            whole: shard.is_none(),
            dry_run: record.dry_run,
            model,
            output,
        })
    }
}

/// A study, and how what comes of it is shown.
pub struct Lab {
    pub study: Study,
    /// What was found in planted models; shown before the results.
    pub control: Vec<selfcheck::Row>,
    /// Which model was asked for.
    pub model: ModelArgs,
    pub output: OutputArgs,
    /// Whether all parts of a sweep are measured here.
    whole: bool,
    /// Whether nothing is to be measured.
    dry_run: bool,
}

impl Lab {
    /// The experiment that these options ask for.
    pub fn experiment(&self, options: &dyn Ask) -> Result<Box<dyn Experiment>> {
        options.experiment(&Given {
            model: &self.study.model,
            engine: &self.study.engine,
            seed: self.study.request().asked.seed,
        })
    }

    /// Whether it is only asked what a run would take.
    pub fn dry_run(&self) -> bool {
        self.dry_run
    }

    /// The control, as it stands before the results.
    fn control_text(&self) -> String {
        match (self.control.is_empty(), self.output.format) {
            (true, _) => String::new(),
            (false, Format::Json) => report::selfcheck_lines(&self.control),
            (false, Format::Table) => {
                let engine = &self.study.engine;
                let version = engine.runtime().version();
                let document = report::control(version, engine.placement(), &self.control);
                report::text(&document, self.output.look()) + "\n"
            }
        }
    }

    /// Measures what is not in the record yet, and delivers the whole sweep; `next` stands below the table.
    pub fn run(mut self, experiment: &dyn Experiment, next: &str) -> Result<()> {
        if self.dry_run {
            let cost = self.study.cost(experiment)?;
            let text = report::text(&[cost::blocks(&cost)], self.output.look());
            return deliver(self.output.out.as_deref(), &text);
        }
        let out = self.output.out.clone();
        let format = self.output.format;
        let mut text = self.control_text();
        if out.is_none() {
            show(&std::mem::take(&mut text))?;
        }
        // Verdicts of maps and curves are no claims.
        let is_shown = |entry: &&Entry| entry.view.kind() == experiment.kind();
        let claims = ALL
            .iter()
            .find(is_shown)
            .is_some_and(|entry| entry.view.claims());
        if let Some(few) = claims.then(|| out_of_reach(&self.study)).flatten() {
            say!("{few}");
        }
        let stream = format == Format::Json && out.is_none();
        let mut came_out = false;
        let swept = self.study.run(experiment, |new| {
            came_out |= new.iter().any(|line| !line.failed());
            // Where nothing came out there is nothing to print but the error.
            match stream && (came_out || !new.iter().all(Line::failed_as_a_whole)) {
                true => show(&file_text(new)),
                false => Ok(()),
            }
        })?;
        let lines = swept.lines;
        if lines.iter().any(|line| !line.failed()) {
            // Of a shard's templates there is nothing to say together.
            let pooled = match self.whole {
                true => report::pooled_lines(&lines),
                false => String::new(),
            };
            if format == Format::Json {
                // The lines are for machines, the sentence is for who waits for them.
                for sentence in report::conclusions(&lines) {
                    say!("conclusion: {sentence}");
                }
            }
            match format {
                Format::Json if stream => show(&pooled)?,
                Format::Json => deliver(out.as_deref(), &(text + &file_text(&lines) + &pooled))?,
                Format::Table => {
                    let table = report::terminal(&lines, self.output.look());
                    let next =
                        report::text(&[vec![Block::Text(next.to_owned())]], self.output.look());
                    deliver(out.as_deref(), &(text + &table + &next))?;
                }
            }
        }
        let count = swept.failures.len();
        match swept.failures.into_iter().next() {
            None => Ok(()),
            Some(error) => {
                if count > 1 {
                    say!("{count} templates could not be evaluated; the first:");
                }
                Err(error)
            }
        }
    }
}
