//! What was measured, as it is printed.

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A table in Markdown, ready for docs/speed.md.
#[derive(Default)]
pub(crate) struct Table(Vec<[String; 4]>);

impl Table {
    pub(crate) fn row(&mut self, what: &str, measured: String, ratio: &str, goal: &str) {
        // At once too: a whole run takes long, and may fail later.
        eprintln!("{what}: {measured}, {ratio}");
        self.0.push([what.to_owned(), measured, ratio.to_owned(), goal.to_owned()]);
    }

    pub(crate) fn print(&self) {
        println!("\n| what | measured | ratio | goal |\n|---|---|---|---|");
        for [what, measured, ratio, goal] in &self.0 {
            println!("| {what} | {measured} | {ratio} | {goal} |");
        }
    }
}
