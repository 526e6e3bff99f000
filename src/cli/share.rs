//! `af1 share`: records in the forms of collections of results.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::output::{print, warn_of_missing};
use crate::record::{Findings, Sheet, Sweep};
use crate::share::{self, About, Form, HubName, Relationship, Shared};
use crate::{Error, Result, record};

#[derive(Args, Clone, Debug)]
pub struct Share {
    /// Files of records
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The form of the collection
    #[arg(long = "as", value_name = "FORM", value_parser = forms())]
    form: &'static dyn Form,
    /// The model's name on its hub
    #[arg(long, value_name = "OWNER/NAME")]
    model_id: HubName,
    /// The model of the records, by the name that they have, where they are of several
    #[arg(long, value_name = "MODEL")]
    of: Option<String>,
    /// Files that runs wrote with their --answers: what was said to every prompt
    #[arg(long, value_name = "FILE")]
    answers: Vec<PathBuf>,
    /// Who evaluated
    #[arg(long, value_name = "NAME", default_value = "not stated")]
    by: String,
    /// What they are to whoever made the model
    #[arg(long, value_name = "WHAT", value_enum, default_value = "third-party")]
    relationship: Relationship,
    /// The dataset on the hub whose tasks these are
    #[arg(long, value_name = "OWNER/NAME")]
    dataset: Option<HubName>,
    /// The folder into which files are written
    #[arg(short, long, value_name = "DIR", help_heading = "Output")]
    out: PathBuf,
}

/// The forms by their names.
fn forms() -> impl TypedValueParser<Value = &'static dyn Form> {
    let value = |form: &&dyn Form| PossibleValue::new(form.name()).help(form.help());
    let names = PossibleValuesParser::new(share::ALL.iter().map(value));
    names.map(|name| share::named(&name).expect("clap takes the names of forms only"))
}

impl Share {
    pub fn run(self) -> Result<()> {
        let lines = record::merge(&self.files)?;
        warn_of_missing(&lines);
        let findings = Findings::of(&lines);
        // Whether the answers are those of the records.
        Sheet::read(
            &self.answers,
            findings.sweeps.iter().flat_map(Sweep::measurements),
        )?;
        let about = About {
            model: self.model_id.clone(),
            by: self.by.clone(),
            relationship: self.relationship,
            dataset: self.dataset.clone(),
            written: self.written()?,
        };
        let shared = Shared::of(&findings, self.of.as_deref(), about, &self.answers)?;
        for path in self.form.write(&shared, &self.out)? {
            print(&format!("{}\n", path.display()))?;
        }
        Ok(())
    }

    /// When the last of the records was written, in seconds since 1970.
    fn written(&self) -> Result<u64> {
        let mut last = UNIX_EPOCH;
        for path in &self.files {
            let time: std::io::Result<SystemTime> =
                std::fs::metadata(path).and_then(|file| file.modified());
            last = last.max(time.map_err(|e| Error::reading(path, "file of records", e))?);
        }
        Ok(last
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_secs()))
    }
}
