//! The date that chat templates are told: always the same, so that a prompt is the same tomorrow.

/// Friday, 26 July 2024, at noon: the date that Llama 3's chat templates write themselves where nobody tells them the time.
const YEAR: &str = "2024";

/// The date in the form that `format` asks for, as Python's `strftime` writes it.
///
/// # Errors
/// A part of a date that is not known.
pub fn strftime(format: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut characters = format.chars();
    while let Some(c) = characters.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        // A minus leaves the zero in front out.
        let mut part = characters.next();
        let bare = part == Some('-');
        if bare {
            part = characters.next();
        }
        let found = match part {
            Some('Y') => YEAR,
            Some('y') => "24",
            Some('m') => "07",
            Some('d') => "26",
            Some('b' | 'h') => "Jul",
            Some('B') => "July",
            Some('a') => "Fri",
            Some('A') => "Friday",
            Some('j') => "208",
            Some('H' | 'I') => "12",
            Some('M' | 'S') => "00",
            Some('p') => "PM",
            Some('F') => "2024-07-26",
            Some('T') => "12:00:00",
            Some('%') => "%",
            _ => {
                return Err(format!(
                    "{format:?} asks for a part of a date that is not known"
                ));
            }
        };
        text += match bare {
            // Of "00" one zero stays.
            true if found.starts_with('0') => &found[1..],
            _ => found,
        };
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_python_writes_them() {
        let of = |format| strftime(format).unwrap();
        assert_eq!(of("%d %b %Y"), "26 Jul 2024");
        assert_eq!(
            of("%A, %B %d, %y: %-m/%-d %H:%M:%S 100%%"),
            "Friday, July 26, 24: 7/26 12:00:00 100%"
        );
        assert_eq!(of("%-M"), "0");
        for format in ["%", "%-", "%Q", "%é"] {
            assert!(strftime(format).is_err(), "{format}");
        }
    }
}
