//! Prometheus' text exposition format 0.0.4, as far as counters and gauges need it. The client libraries bring registries
//! of shared atomic counters; here the numbers come from those who counted them, and a page is a loop over them.

use std::fmt::{Display, Write as _};

/// The content type of a page.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family's numbers are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Rises until the process ends.
    Counter,
    /// Rises and falls.
    Gauge,
}

/// A page that is being written.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

/// Samples of one name, one below the other as the format wants it.
pub(super) struct Family<'a> {
    name: &'a str,
    text: &'a mut String,
}

impl Page {
    /// Begins a family. A counter's name ends in `_total`.
    pub(super) fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &str) -> Family<'a> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        put(&mut self.text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { name, text: &mut self.text }
    }

    /// The whole page.
    pub(super) fn finish(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// One sample.
    pub(super) fn sample(&mut self, labels: &[(&str, &dyn Display)], value: impl Display) -> &mut Self {
        self.text.push_str(self.name);
        for (n, (label, text)) in labels.iter().enumerate() {
            let text = text.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            put(self.text, format_args!("{}{label}=\"{text}\"", if n == 0 { '{' } else { ',' }));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        put(self.text, format_args!("{close} {value}\n"));
        self
    }
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_the_format_wants_it() {
        let mut page = Page::default();
        page.family("a_total", Kind::Counter, "All of a.").sample(&[], 1);
        let odd = "a \"b\"\\\n";
        page.family("b", Kind::Gauge, "B now.")
            .sample(&[("x", &odd), ("y", &2)], 0.5)
            .sample(&[("x", &"")], 3);
        let text = "# HELP a_total All of a.\n# TYPE a_total counter\na_total 1\n\
                    # HELP b B now.\n# TYPE b gauge\nb{x=\"a \\\"b\\\"\\\\\\n\",y=\"2\"} 0.5\nb{x=\"\"} 3\n";
        assert_eq!(page.finish(), text);
    }
}
