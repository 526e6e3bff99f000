//! `--shard`: which part of a sweep this process measures, and the names of its files.
//!
//! `auto` asks the scheduler that started the process. Only `auto` reads the environment, so that a variable that is left over changes no
//! other run.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::progress::say;
use crate::study::Shard;
use crate::{Error, Result};

/// The variable that says a shard outright.
const SHARD: &str = "AF1_SHARD";
/// The variable that says how many shards there are, where the scheduler does not.
const COUNT: &str = "AF1_SHARD_COUNT";
/// The variable of Slurm.
const SLURM: &str = "SLURM_ARRAY_TASK_ID";
/// The variable of an Indexed Job of Kubernetes, which counts from 0 on.
const KUBERNETES: &str = "JOB_COMPLETION_INDEX";

/// What stands for the shard in the name of a file.
const PLACE: &str = "{shard}";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedShard {
    /// The shard that the option names.
    Given(Shard),
    /// The shard that the scheduler says.
    Auto,
}

impl FromStr for AskedShard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text
                .parse()
                .map(Self::Given)
                .map_err(|reason: String| format!("{reason}, or auto")),
        }
    }
}

impl AskedShard {
    /// The shard, by the environment if that is asked for; then it is said, because a wrong one would measure what nobody asked for.
    pub fn shard(self) -> Result<Shard> {
        match self {
            Self::Given(shard) => Ok(shard),
            Self::Auto => {
                let variable = |name: &str| {
                    let value = std::env::var_os(name).filter(|value| !value.is_empty());
                    value.map(|value| value.to_string_lossy().into_owned())
                };
                let found = Environment(&variable)
                    .found()
                    .map_err(|reason| Error::Usage(format!("--shard auto: {reason}")))?;
                say!("shard {}, by {}", found.shard, found.by);
                Ok(found.shard)
            }
        }
    }
}

/// A file of a shard: `{shard}` in its name becomes the shard, such as `2-of-4`.
pub fn file_of(
    option: &str,
    path: Option<PathBuf>,
    shard: Option<Shard>,
) -> Result<Option<PathBuf>> {
    let named = |path: &PathBuf| path.to_string_lossy().contains(PLACE);
    match (path, shard) {
        (Some(path), Some(shard)) if named(&path) => {
            let name = path.to_string_lossy().replace(PLACE, &shard.name());
            Ok(Some(PathBuf::from(name)))
        }
        (Some(path), None) if named(&path) => Err(Error::Usage(format!(
            "{option} {}: {PLACE} stands for the shard, and there is no --shard",
            path.display()
        ))),
        (path, _) => Ok(path),
    }
}

/// The record of a study or of its shard: where the name that all shards are given has no place for it, `study.jsonl` becomes
/// `study-2-of-4.jsonl`.
pub fn record_of(path: PathBuf, shard: Option<Shard>) -> Result<PathBuf> {
    let named = file_of("record", Some(path.clone()), shard)?.unwrap_or_default();
    Ok(match shard {
        Some(shard) if named == path => beside(&path, shard),
        _ => named,
    })
}

fn beside(path: &Path, shard: Shard) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let end = path.extension().map_or(String::new(), |extension| {
        format!(".{}", extension.to_string_lossy())
    });
    path.with_file_name(format!("{stem}-{}{end}", shard.name()))
}

/// The variables of the process.
struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

/// A shard, and which variable says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    shard: Shard,
    by: &'static str,
}

impl Environment<'_> {
    /// What the environment says: `AF1_SHARD` before all others.
    fn found(&self) -> Result<Found, String> {
        let found = match self.own()? {
            Some(found) => found,
            None => match (self.slurm()?, self.kubernetes()?) {
                (Some(slurm), Some(kubernetes)) if slurm.shard != kubernetes.shard => {
                    return Err(format!(
                        "{SLURM} says {} and {KUBERNETES} says {}; set {SHARD}=I/N to the one that is meant",
                        slurm.shard, kubernetes.shard
                    ));
                }
                (Some(found), _) | (None, Some(found)) => found,
                (None, None) => {
                    return Err(format!(
                        "nothing says which shard this is; expected {SHARD}=I/N, the variables of a Slurm array ({SLURM}), or those of an \
                         Indexed Job of Kubernetes ({KUBERNETES}) with {COUNT}=N"
                    ));
                }
            },
        };
        match self.number(COUNT)? {
            Some(count) if count != found.shard.count => Err(format!(
                "{COUNT} is {count}, and {} says shard {}; leave {COUNT} out, or set {SHARD}=I/N to the shard that is meant",
                found.by, found.shard
            )),
            _ => Ok(found),
        }
    }

    fn own(&self) -> Result<Option<Found>, String> {
        let Some(text) = (self.0)(SHARD) else {
            return Ok(None);
        };
        let shard = text
            .parse()
            .map_err(|reason: String| format!("{SHARD}: {reason}"))?;
        Ok(Some(Found { shard, by: SHARD }))
    }

    /// The place of a task in its array, wherever that begins and whatever its step.
    fn slurm(&self) -> Result<Option<Found>, String> {
        let Some(id) = self.number(SLURM)? else {
            return Ok(None);
        };
        let [min, max, step, count] =
            ["MIN", "MAX", "STEP", "COUNT"].map(|of| format!("SLURM_ARRAY_TASK_{of}"));
        let min = self.needed(&min, SLURM)?;
        let count = self.needed(&count, SLURM)?;
        let step = self.number(&step)?.unwrap_or(1).max(1);
        let max = self.number(&max)?;
        let by_hand = format!("set {SHARD}=I/N, or give --shard I/N");
        // Whoever submits one task of an earlier array again means that one, not all of the sweep.
        if count == 1 && id > 1 {
            return Err(format!(
                "the Slurm array is the single task {id}, and it is not said of how many; {by_hand}"
            ));
        }
        let index = id.checked_sub(min).map(|behind| behind / step);
        let regular =
            max.is_none_or(|max| max.checked_sub(min).map(|all| all / step + 1) == Some(count));
        match index {
            Some(index) if regular && index < count && min + index * step == id => {
                let shard = Shard::new(index, count);
                Ok(Some(Found { shard, by: SLURM }))
            }
            _ => Err(format!(
                "task {id} has no place in an array of {count} tasks from {min} on with the step {step}{}: a list such as 1,3,7 is none that \
                 can be counted; {by_hand}",
                max.map_or(String::new(), |max| format!(" to {max}"))
            )),
        }
    }

    fn kubernetes(&self) -> Result<Option<Found>, String> {
        let Some(index) = self.number(KUBERNETES)? else {
            return Ok(None);
        };
        // Kubernetes does not say how many there are.
        let count = self.needed(COUNT, KUBERNETES)?;
        match index < count {
            true => Ok(Some(Found {
                shard: Shard::new(index, count),
                by: KUBERNETES,
            })),
            false => Err(format!(
                "{KUBERNETES} is {index}, which is none of 0 to {} as {COUNT}={count} has it; {COUNT} must be the completions of the Job",
                count.saturating_sub(1)
            )),
        }
    }

    fn needed(&self, name: &str, beside: &str) -> Result<usize, String> {
        self.number(name)?.ok_or_else(|| {
            format!("{beside} is set, and {name} is not; set {name}, or {SHARD}=I/N")
        })
    }

    /// A number of as few digits as no computation with it goes wrong.
    fn number(&self, name: &str) -> Result<Option<usize>, String> {
        let Some(text) = (self.0)(name) else {
            return Ok(None);
        };
        let number = text.parse::<u32>().map(|number| number as usize);
        number
            .map(Some)
            .map_err(|_| format!("{name} is {text:?}, and not a number"))
    }
}
